/* Unit tests of store/image_list.c: the store as its visitors see it (store.md 3, 5; DESIGN section 6). */
#include "store_test.h"

#include "davit/store.h"
#include "store/db.h"
#include "store/image_store.h"
#include "store/ingest.h"

static davit_store *visit(fixture *f)
{
    return (davit_store *)f->store;
}

static davit_digest digest(const char *of)
{
    return describe(of, strlen(of)).digest;
}

/* One image of a pull: "NAME os/architecture[/variant]"; its config is that of "config of NAME". */
typedef struct spec {
    const char *name, *platform;
} spec;

/* A pull of a reference that gave target at a time; NULL ends the images; those that are not target came by it. */
static void record(fixture *f, const char *reference, const char *target, const spec *specs, int64_t at_s)
{
    davit_error *err = NULL;
    davit_reference *ref = NULL;
    dv_image_row rows[4] = {0};
    bool updated;
    assert_ok(davit_reference_parse(reference, &ref, &err));
    dv_pull_record r = {
        .reference = ref, .target = {.media_type = "m", .digest = digest(target), .size = 7}, .images = rows};
    for (; specs[r.image_count].name; r.image_count++) {
        const spec *one = &specs[r.image_count];
        dv_image_row *row = &rows[r.image_count];
        char config[64];
        snprintf(config, sizeof(config), "config of %s", one->name);
        *row = (dv_image_row){.manifest = digest(one->name), .config = digest(config), .size = 100};
        assert_ok(davit_platform_parse(one->platform, &row->platform, &err));
        if (strcmp(one->name, target) != 0)
            row->index = r.target.digest;
    }
    assert_ok(dv_image_store_record(f->store, &r, &updated, &err));
    davit_reference_free(ref);
    for (size_t i = 0; i < r.image_count; i++) {
        DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
        struct dv_db *db;
        assert_ok(dv_store_db(f->store, &db, &err));
        assert_ok(dv_db_begin(db, DV_DB_WRITE, &tx, &err));
        const dv_db_value values[] = {DV_INTEGER(at_s), DV_TEXT(rows[i].manifest.text)};
        assert_ok(dv_db_run(db, "UPDATE image SET pulled_at = ?1 WHERE manifest = ?2", values, 2, &err));
        assert_ok(dv_db_commit(&tx, &err));
    }
}

#define SPECS(...) ((const spec[]){__VA_ARGS__, {NULL, NULL}})

static bool is(const davit_image *image, const char *name)
{
    const davit_digest d = digest(name);
    return davit_digest_equal(&image->manifest, &d);
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

static void store_open__flags_and_missing(void **state)
{
    fixture *f = *state;
    char *missing;
    assert_true(asprintf(&missing, "%s/none", f->dir) > 0);
    const struct {
        const char *path;
        uint32_t flags;
        int expected;
    } rows[] = {
        {f->path, 0, 0},
        {f->path, DAVIT_STORE_READ_ONLY, 0},
        {f->path, 1u << 5, DAVIT_EINVAL},
        {missing, 0, DAVIT_ENOTFOUND},
        {missing, DAVIT_STORE_READ_ONLY, DAVIT_ENOTFOUND},
        {missing, DAVIT_STORE_CREATE, 0},
        {missing, 0, 0}, /* it was made */
        {"", DAVIT_STORE_CREATE, DAVIT_EINVAL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_store *store = NULL;
        davit_error *err = NULL;
        int r = davit_store_open(rows[i].path, rows[i].flags, &store, &err);
        if (r != rows[i].expected || (r < 0) != (store == NULL))
            fail_msg("row %zu: expected %s, got %s (%s)", i, davit_code_name(rows[i].expected),
                     davit_code_name(r), davit_error_message(err));
        davit_error_free(err);
        davit_store_free(store);
    }
    davit_store_free(NULL);
    free(missing);
}

/* --- listing ----------------------------------------------------------------------------------------------------- */

static void images__of_an_empty_store(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_image_list *list = NULL;
    assert_ok(davit_store_images(visit(f), &list, &err));
    assert_int_equal(davit_image_list_count(list), 0);
    assert_null(davit_image_list_at(list, 0));
    davit_image_list_free(list);
    davit_image_list_free(NULL);
}

static void images__newest_first_with_their_names(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_image_list *list = NULL;
    record(f, "alpine:1", "old", SPECS({"old", "linux/amd64"}), 100);
    record(f, "alpine:3", "new", SPECS({"new", "linux/amd64"}), 300);
    record(f, "127.0.0.1:5000/a/b:2", "middle", SPECS({"middle", "linux/amd64"}), 200);
    record(f, "alpine:latest", "new", SPECS({"new", "linux/amd64"}), 300);
    assert_ok(davit_store_images(visit(f), &list, &err));
    assert_int_equal(davit_image_list_count(list), 3);
    const davit_image *image = davit_image_list_at(list, 0);
    assert_true(is(image, "new") && is(davit_image_list_at(list, 1), "middle") &&
                is(davit_image_list_at(list, 2), "old"));
    assert_int_equal(image->pulled_at_s, 300);
    assert_int_equal(image->size, 100);
    assert_int_equal(image->index.algorithm, DAVIT_DIGEST_NONE);
    assert_string_equal(image->platform.architecture, "amd64");
    assert_int_equal(image->tag_count, 2);
    assert_string_equal(image->tags[0], "docker.io/library/alpine:3");
    assert_string_equal(image->tags[1], "docker.io/library/alpine:latest");
    char by_digest[200];
    snprintf(by_digest, sizeof(by_digest), "docker.io/library/alpine@%s", digest("new").text);
    assert_int_equal(image->digest_count, 1);
    assert_string_equal(image->digests[0], by_digest);
    assert_string_equal(davit_image_list_at(list, 1)->tags[0], "127.0.0.1:5000/a/b:2");
    davit_image_list_free(list);
}

static void images__equal_times_have_an_order_too(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_image_list *list = NULL;
    char name[4][2] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 4; i++) {
        char reference[20];
        snprintf(reference, sizeof(reference), "alpine:%zu", i);
        record(f, reference, name[i], SPECS({name[i], "linux/amd64"}), 100);
    }
    assert_ok(davit_store_images(visit(f), &list, &err));
    for (size_t i = 1; i < 4; i++)
        assert_true(strcmp(davit_image_list_at(list, i - 1)->manifest.text,
                           davit_image_list_at(list, i)->manifest.text) < 0);
    davit_image_list_free(list);
}

/* Images of an index carry its names; one whose name moved on has none. */
static void images__of_an_index_and_without_a_name(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_image_list *list = NULL;
    record(f, "alpine:3", "first", SPECS({"first", "linux/amd64"}), 100);
    record(f, "alpine:3", "index", SPECS({"one", "linux/s390x"}, {"two", "linux/ppc64le"}), 200);
    assert_ok(davit_store_images(visit(f), &list, &err));
    assert_int_equal(davit_image_list_count(list), 3);
    const davit_digest index = digest("index");
    for (size_t i = 0; i < 2; i++) {
        const davit_image *image = davit_image_list_at(list, i);
        assert_true(is(image, "one") || is(image, "two"));
        assert_true(davit_digest_equal(&image->index, &index));
        assert_int_equal(image->tag_count, 1);
        assert_string_equal(image->tags[0], "docker.io/library/alpine:3");
    }
    assert_true(is(davit_image_list_at(list, 2), "first"));
    assert_int_equal(davit_image_list_at(list, 2)->tag_count, 0);
    assert_int_equal(davit_image_list_at(list, 2)->digest_count, 1); /* the digest reference stays */
    davit_image_list_free(list);
}

/* --- finding ------------------------------------------------------------------------------------------------------- */

typedef struct find_row {
    const char
        *name; /* "%m" is the manifest's digest, "%c" the config's, "%h" its hex, "%p" its first 12 digits */
    int expected;
    const char *words;
} find_row;

static char *expand(const char *name, const char *image)
{
    char config[64];
    DV_AUTO(dv_buf) out = DV_BUF_INIT(1000);
    snprintf(config, sizeof(config), "config of %s", image);
    const davit_digest m = digest(image), c = digest(config);
    for (const char *p = name; *p; p++) {
        if (*p != '%')
            dv_buf_putc(&out, *p);
        else if (*++p == 'p')
            dv_buf_append(&out, davit_digest_hex(&c), 12);
        else
            dv_buf_puts(&out, *p == 'm' ? m.text : *p == 'c' ? c.text : davit_digest_hex(&c));
    }
    return dv_buf_take(&out);
}

static void find__by_every_kind_of_name(void **state)
{
    static const find_row rows[] = {
        {"alpine:3", 0, NULL},
        {"docker.io/library/alpine:3", 0, NULL},
        {"library/alpine:3", 0, NULL},
        {"alpine", 0, NULL}, /* :latest */
        {"alpine@%m", 0, NULL},
        {"alpine:whatever@%m", 0, NULL},
        {"%c", 0, NULL},
        {"%h", 0, NULL},
        {"%p", 0, NULL},
        {"sha256:%p", 0, NULL},
        {"alpine:4", DAVIT_ENOTFOUND, "No such image: alpine:4"},
        {"busybox", DAVIT_ENOTFOUND, "No such image: busybox"},
        {"other@%m", DAVIT_ENOTFOUND, "No such image: other@"},
        {"%m", DAVIT_ENOTFOUND, "No such image: "}, /* a manifest's digest is no image id */
        {"Alpine:3", DAVIT_ENOTFOUND, "No such image: Alpine:3"},
        {"", DAVIT_ENOTFOUND, "No such image: "},
        {"sha256:", DAVIT_ENOTFOUND, "No such image: sha256:"},
        {"no name at all", DAVIT_ENOTFOUND, "No such image: no name at all"},
        {"%h0", DAVIT_ENOTFOUND, "No such image: "},
        {"'; DROP TABLE image; --", DAVIT_ENOTFOUND, "No such image: "},
    };
    fixture *f = *state;
    record(f, "alpine:3", "one", SPECS({"one", "linux/amd64"}), 100);
    record(f, "alpine", "one", SPECS({"one", "linux/amd64"}), 100);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_image_list *list = NULL;
        davit_error *err = NULL;
        davit_digest resolved = {0};
        char *name = expand(rows[i].name, "one");
        int r = davit_store_find(visit(f), name, NULL, &list, &err);
        bool found = r == 0 && davit_image_list_count(list) == 1 && is(davit_image_list_at(list, 0), "one");
        bool text = r == 0 || strstr(davit_error_message(err), rows[i].words) == davit_error_message(err);
        if (r != rows[i].expected || found != (r == 0) || !text)
            fail_msg("%s: expected %s \"%s\", got %s \"%s\"", name, davit_code_name(rows[i].expected),
                     rows[i].words ? rows[i].words : "", davit_code_name(r), davit_error_message(err));
        if (davit_store_resolve(visit(f), name, &resolved, NULL) != rows[i].expected)
            fail_msg("%s: resolved otherwise", name);
        davit_error_free(err);
        davit_image_list_free(list);
        free(name);
    }
}

static void find__an_ambiguous_prefix(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_image_list *list = NULL;
    char first[2] = "", name[20], reference[40];
    unsigned number = 0;
    /* Two images whose ids begin with the same digit: among seventeen there are. */
    for (unsigned seen[128] = {0}; !*first; number++) {
        snprintf(name, sizeof(name), "image %u", number);
        snprintf(reference, sizeof(reference), "alpine:%u", number);
        record(f, reference, name, SPECS({name, "linux/amd64"}), 100);
        char *id = expand("%h", name);
        if (seen[(unsigned char)*id]++)
            first[0] = *id;
        free(id);
    }
    assert_int_equal(davit_store_find(visit(f), first, NULL, &list, &err), DAVIT_EINVAL);
    assert_string_equal(davit_error_message(err) + strlen("ambiguous digest string: "), first);
    davit_error_free(err);
    assert_null(list);
}

/* Two manifests of one config are one image id: not ambiguous. */
static void find__one_id_of_two_manifests(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_image_list *list = NULL;
    record(f, "alpine:3", "index", SPECS({"one", "linux/s390x"}, {"two", "linux/ppc64le"}), 100);
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    struct dv_db *db;
    assert_ok(dv_store_db(f->store, &db, &err));
    assert_ok(dv_db_begin(db, DV_DB_WRITE, &tx, &err));
    const davit_digest config = digest("config of one");
    assert_ok(dv_db_run(db, "UPDATE image SET config = ?1", &DV_TEXT(config.text), 1, &err));
    assert_ok(dv_db_commit(&tx, &err));
    dv_db_tx_clear(&tx);
    tx = (dv_db_tx)DV_DB_TX_INIT;
    assert_ok(davit_store_find(visit(f), config.text, NULL, &list, &err));
    assert_int_equal(davit_image_list_count(list), 1);
    davit_image_list_free(list);
}

/* The asked platform; else the host's; else the first pulled. */
static void find__the_platform(void **state)
{
    davit_platform host;
    davit_platform_host(&host);
    char here[DAVIT_PLATFORM_TEXT_MAX];
    snprintf(here, sizeof(here), "%s/%s", host.os, host.architecture);
    const struct {
        const char *reference, *platform, *expected;
    } rows[] = {
        {"multi", NULL, "native"},        {"multi", "linux/s390x", "other"},
        {"multi", "linux/arm/v6", "v6"},  {"multi", "linux/arm", NULL}, /* that is v7 (pull.md 5.1) */
        {"multi", "linux/arm/v7", NULL},  {"multi", "windows/amd64", NULL},
        {"foreign", NULL, "far"},         {"foreign", "linux/ppc64le", "far"},
        {"foreign", "linux/s390x", NULL},
    };
    fixture *f = *state;
    record(f, "multi", "index", SPECS({"other", "linux/s390x"}, {"v6", "linux/arm/v6"}, {"native", here}),
           100);
    record(f, "foreign", "far", SPECS({"far", "linux/ppc64le"}), 100);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_image_list *list = NULL;
        davit_error *err = NULL;
        davit_platform wanted = {0};
        char text[200];
        if (rows[i].platform)
            assert_int_equal(davit_platform_parse(rows[i].platform, &wanted, NULL), 0);
        int r = davit_store_find(visit(f), rows[i].reference, rows[i].platform ? &wanted : NULL, &list, &err);
        bool same = rows[i].expected ? r == 0 && is(davit_image_list_at(list, 0), rows[i].expected)
                                     : r == DAVIT_ENOTFOUND;
        snprintf(text, sizeof(text), "No such image: %s for platform %s", rows[i].reference,
                 rows[i].platform ? rows[i].platform : "");
        if (!same || (r < 0 && strcmp(davit_error_message(err), text) != 0))
            fail_msg("%s for %s: expected %s, got %s (%s)", rows[i].reference,
                     rows[i].platform ? rows[i].platform : "us",
                     rows[i].expected ? rows[i].expected : "nothing", davit_code_name(r),
                     davit_error_message(err));
        davit_error_free(err);
        davit_image_list_free(list);
    }
}

/* A name means the index whole; an id means a manifest. */
static void resolve__index_or_manifest(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_digest got;
    record(f, "multi:1", "index", SPECS({"one", "linux/s390x"}), 100);
    const davit_digest index = digest("index"), one = digest("one");
    assert_ok(davit_store_resolve(visit(f), "multi:1", &got, &err));
    assert_true(davit_digest_equal(&got, &index));
    char *id = expand("%c", "one");
    assert_ok(davit_store_resolve(visit(f), id, &got, &err));
    assert_true(davit_digest_equal(&got, &one));
    free(id);
}

/* --- content ------------------------------------------------------------------------------------------------------- */

#define MANIFEST                                                                         \
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\"," \
    "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":" \
    "\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"size\":0},\"layers\":[]}"
#define CONFIG "{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}"

static void put(fixture *f, const char *bytes)
{
    davit_error *err = NULL;
    const davit_descriptor d = describe(bytes, strlen(bytes));
    assert_ok(dv_content_put(f->store, &d, bytes, &err));
}

static void content__documents_and_blobs(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_manifest *manifest = NULL;
    davit_image_config *config = NULL;
    const davit_digest m = digest(MANIFEST), c = digest(CONFIG), none = digest("none");
    char text[sizeof(CONFIG)];
    int fd = -1;
    uint64_t size;
    put(f, MANIFEST);
    put(f, CONFIG);
    assert_ok(davit_store_get_manifest(visit(f), &m, &manifest, &err));
    assert_true(davit_digest_equal(davit_manifest_digest(manifest), &m));
    davit_manifest_free(manifest);
    assert_ok(davit_store_get_config(visit(f), &c, &config, &err));
    assert_string_equal(davit_image_config_platform(config)->os, "linux");
    davit_image_config_free(config);
    assert_ok(davit_store_open_blob(visit(f), &c, &fd, &size, &err));
    assert_int_equal(size, sizeof(CONFIG) - 1);
    assert_int_equal(read(fd, text, sizeof(text)), sizeof(CONFIG) - 1);
    assert_memory_equal(text, CONFIG, sizeof(CONFIG) - 1);
    close(fd);
    assert_int_equal(davit_store_get_manifest(visit(f), &none, &manifest, NULL), DAVIT_ENOTFOUND);
    assert_int_equal(davit_store_get_config(visit(f), &none, &config, NULL), DAVIT_ENOTFOUND);
    assert_int_equal(davit_store_open_blob(visit(f), &none, &fd, &size, NULL), DAVIT_ENOTFOUND);
    assert_int_equal(davit_store_get_config(visit(f), &m, &config, NULL), DAVIT_EFORMAT); /* not that kind */
}

/* threat B8: bytes that changed on disk are not given out as what they were. */
static void content__damage_is_noticed(void **state)
{
    fixture *f = *state;
    davit_manifest *manifest = NULL;
    const davit_digest m = digest(MANIFEST);
    char path[200];
    put(f, MANIFEST);
    snprintf(path, sizeof(path), "blobs/sha256/%s", davit_digest_hex(&m));
    assert_int_equal(fchmodat(dv_store_dirfd(f->store), path, 0600, 0), 0);
    int fd = openat(dv_store_dirfd(f->store), path, O_WRONLY);
    assert_int_equal(pwrite(fd, "[", 1, 0), 1);
    close(fd);
    assert_int_equal(davit_store_get_manifest(visit(f), &m, &manifest, NULL), DAVIT_EDIGEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(store_open__flags_and_missing),
        store_test(images__of_an_empty_store),
        store_test(images__newest_first_with_their_names),
        store_test(images__equal_times_have_an_order_too),
        store_test(images__of_an_index_and_without_a_name),
        store_test(find__by_every_kind_of_name),
        store_test(find__an_ambiguous_prefix),
        store_test(find__one_id_of_two_manifests),
        store_test(find__the_platform),
        store_test(resolve__index_or_manifest),
        store_test(content__documents_and_blobs),
        store_test(content__damage_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
