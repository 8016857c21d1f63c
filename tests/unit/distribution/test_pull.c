/* Unit tests of distribution/pull.c, pull_v2.c and pull_blobs.c through davit_pull(): pull.md 1 to 6, 9, 11. */
#include "pull_test.h"

#define KIB ((size_t)1 << 10)
#define SIZES(...) ((const size_t[]){__VA_ARGS__, 0})

/* --- one pull and what it told ----------------------------------------------------------------------------------- */

typedef struct told {
    dv_buf text; /* a line for each event but the counts: "id: action" or "action" */
    unsigned counts, verified;
    int answer; /* of verify */
    davit_digest asked;
} told;

static void on_progress(const davit_progress *event, void *user_data)
{
    told *t = user_data;
    if (event->has_counts)
        t->counts++;
    else if (event->id)
        dv_buf_printf(&t->text, "%s: %s\n", event->id, event->action);
    else
        dv_buf_printf(&t->text, "%s\n", event->action);
}

static int on_verify(const davit_reference *ref, const davit_manifest *manifest, void *user_data)
{
    told *t = user_data;
    t->verified++;
    t->asked = *davit_manifest_digest(manifest);
    return t->answer;
}

static void told_clear(told *t)
{
    dv_buf_clear(&t->text);
}
DV_DEFINE_AUTO(told, told_clear)

#define TOLD                          \
    {                                 \
        .text = DV_BUF_INIT(1u << 20) \
    }

static int pull(fixture *f, const char *rest, uint32_t flags, told *t, davit_pull_result *out,
                davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = reference(f, rest);
    const davit_pull_options options = {.version = DAVIT_PULL_OPTIONS_VERSION,
                                        .flags = flags,
                                        .progress = t ? on_progress : NULL,
                                        .verify = t ? on_verify : NULL,
                                        .user_data = t};
    return davit_pull(f->client, ref, &options, out, err);
}

static const char *short_id(const blob *b)
{
    static char texts[4][13];
    static unsigned next;
    char *text = texts[next++ % 4];
    snprintf(text, 13, "%s", davit_digest_hex(&b->descriptor.digest));
    return text;
}

/* The lines of one layer, joined by "|". */
static char *lines_of(const told *t, const blob *b)
{
    DV_AUTO(dv_buf) out = DV_BUF_INIT(1u << 16);
    const char *id = short_id(b);
    for (const char *line = dv_buf_text(&t->text), *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        if (strncmp(line, id, 12) == 0)
            dv_buf_printf(&out, "%s%.*s", out.size ? "|" : "", (int)(end - line - 14), line + 14);
    }
    return dv_buf_take(&out);
}

/* --- transcripts -------------------------------------------------------------------------------------------------- */

static void pull__a_new_tag_and_again(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_pull_result result;
    DV_AUTO(image) i = image_make(SIZES(40 * KIB, 50 * KIB), 1);
    DV_AUTO(told) t = TOLD, again = TOLD;
    serve_image(f->script, &i, "1.0", (script_row){0});
    assert_ok(pull(f, ":1.0", 0, &t, &result, &err));
    DV_AUTO(dv_buf) first = DV_BUF_INIT(999), last = DV_BUF_INIT(999);
    dv_buf_puts(&first, "1.0: Pulling from app\n");
    dv_buf_printf(&last, "Digest: %s\nStatus: Downloaded newer image for %s/app:1.0\n",
                  i.manifest.descriptor.digest.text, script_host(f->script));
    assert_true(dv_str_starts(dv_buf_text(&t.text), dv_buf_text(&first)));
    assert_true(dv_str_ends(dv_buf_text(&t.text), dv_buf_text(&last)));
    for (size_t k = 0; k < 2; k++) {
        DV_AUTOFREE char *lines = lines_of(&t, &i.layers[k]);
        assert_string_equal(lines, "Pulling fs layer|Verifying Checksum|Download complete|Pull complete");
        assert_true(has_blob(f, &i.layers[k]));
    }
    assert_null(strstr(dv_buf_text(&t.text), short_id(&i.config))); /* a config is no layer */
    assert_true(has_blob(f, &i.config) && has_blob(f, &i.manifest));
    assert_true(result.updated);
    assert_int_equal(result.tag_count, 1);
    assert_int_equal(result.fetched_count, 4);
    assert_int_equal(result.fetched_bytes, i.manifest.descriptor.size + i.config.descriptor.size + 90 * KIB);
    assert_int_equal(result.present_count, 0);
    assert_true(davit_digest_equal(&result.digest, &i.manifest.descriptor.digest));
    assert_int_equal(count_files(f, "ingest") + count_files(f, "leases"), 0);
    unsigned before = script_count(f->script, "", NULL);
    assert_ok(pull(f, ":1.0", 0, &again, &result, &err));
    assert_int_equal(script_count(f->script, "", NULL) - before, 1); /* one HEAD is all */
    assert_int_equal(script_count(f->script, "HEAD /v2/app/manifests/1.0 ", NULL), 1);
    dv_buf_reset(&last);
    dv_buf_printf(&last, "1.0: Pulling from app\nDigest: %s\nStatus: Image is up to date for %s/app:1.0\n",
                  i.manifest.descriptor.digest.text, script_host(f->script));
    assert_string_equal(dv_buf_text(&again.text), dv_buf_text(&last));
    assert_false(result.updated);
    assert_int_equal(result.fetched_count, 0);
    assert_int_equal(result.present_count, 4);
}

/* "Updated" is about tags, not about bytes. */
static void pull__a_new_tag_on_what_is_here(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_pull_result result;
    DV_AUTO(image) i = image_make(SIZES(40 * KIB), 2);
    DV_AUTO(told) t = TOLD;
    serve_image(f->script, &i, "1.0", (script_row){0});
    serve_manifest(f->script, &i.manifest, "2.0");
    assert_ok(pull(f, ":1.0", 0, NULL, &result, &err));
    assert_ok(pull(f, ":2.0", 0, &t, &result, &err));
    assert_true(result.updated);
    assert_non_null(strstr(dv_buf_text(&t.text), "Status: Downloaded newer image for "));
    assert_int_equal(script_count(f->script, "GET /v2/app/blobs/", NULL), 2);
}

static void pull__a_present_layer_is_said_to_be(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTO(image) one = image_make(SIZES(40 * KIB), 3), two = image_make(SIZES(40 * KIB, 41 * KIB), 3);
    DV_AUTO(told) t = TOLD;
    serve_image(f->script, &one, "1.0", (script_row){0});
    serve_image(f->script, &two, "2.0", (script_row){0});
    assert_ok(pull(f, ":1.0", 0, NULL, NULL, &err));
    assert_ok(pull(f, ":2.0", 0, &t, NULL, &err));
    DV_AUTOFREE char *lower = lines_of(&t, &two.layers[0]), *upper = lines_of(&t, &two.layers[1]);
    assert_string_equal(lower, "Already exists");
    assert_string_equal(upper, "Pulling fs layer|Verifying Checksum|Download complete|Pull complete");
    assert_int_equal(script_count(f->script, blob_request(&two.layers[0]), NULL), 1);
}

static void pull__by_digest(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTO(image) i = image_make(SIZES(40 * KIB), 4);
    DV_AUTO(told) t = TOLD;
    char rest[200], first[300];
    serve_image(f->script, &i, NULL, (script_row){0});
    /* A tag beside the digest is ignored. */
    snprintf(rest, sizeof(rest), ":other@%s", i.manifest.descriptor.digest.text);
    assert_ok(pull(f, rest, 0, &t, NULL, &err));
    snprintf(first, sizeof(first), "%s/app:other@%s: Pulling from app\n", script_host(f->script),
             i.manifest.descriptor.digest.text);
    assert_true(dv_str_starts(dv_buf_text(&t.text), first));
    snprintf(rest, sizeof(rest), "@%s", i.manifest.descriptor.digest.text);
    assert_true(is_stored(f, rest));
    assert_false(is_stored(f, ":other"));
    assert_int_equal(script_count(f->script, "GET /v2/app/manifests/other", NULL), 0);
    /* The next one asks the registry nothing: this repository is known to hold it. */
    unsigned before = script_count(f->script, "", NULL);
    assert_ok(pull(f, rest, 0, NULL, NULL, &err));
    assert_int_equal(script_count(f->script, "", NULL), before);
}

/* --- all tags ----------------------------------------------------------------------------------------------------- */

static void pull__all_tags(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_pull_result result;
    DV_AUTO(image) one = image_make(SIZES(40 * KIB), 5), two = image_make(SIZES(40 * KIB, 41 * KIB), 5);
    DV_AUTO(told) t = TOLD;
    serve_image(f->script, &one, "1.0", (script_row){0});
    serve_image(f->script, &two, "2.0", (script_row){0});
    script_add(f->script, &(script_row){.request = "GET /v2/app/tags/list ",
                                        .body = "{\"tags\":[\"2.0\",\"sha256:no tag\",null,\"1.0\"]}"});
    assert_ok(pull(f, "", DAVIT_PULL_ALL_TAGS, &t, &result, &err));
    assert_int_equal(result.tag_count, 2);
    assert_true(is_stored(f, ":1.0") && is_stored(f, ":2.0"));
    const char *text = dv_buf_text(&t.text);
    const char *first = strstr(text, "2.0: Pulling from app\n"),
               *second = strstr(text, "1.0: Pulling from app\n");
    assert_true(first && second && first < second);                     /* in the registry's order */
    assert_non_null(strstr(text, "\"sha256:no tag\" is no valid tag")); /* quirks.md: Artifactory */
    char status[200];
    snprintf(status, sizeof(status), "Status: Downloaded newer image for %s/app\n", script_host(f->script));
    assert_true(dv_str_ends(text, status));
    assert_int_equal(script_count(f->script, blob_request(&one.layers[0]), NULL), 1);
}

static void pull__all_of_no_tags(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTO(told) t = TOLD;
    char status[200];
    script_add(f->script, &(script_row){.request = "GET /v2/app/tags/list ", .body = "{\"tags\":[]}"});
    assert_ok(pull(f, "", DAVIT_PULL_ALL_TAGS, &t, NULL, &err));
    snprintf(status, sizeof(status), "Status: Image is up to date for %s/app\n", script_host(f->script));
    assert_string_equal(dv_buf_text(&t.text), status);
}

/* --- what is refused before anything is asked ------------------------------------------------------------------------ */

static void pull__bad_arguments(void **state)
{
    static const struct {
        const char *reference;
        uint32_t version, flags;
        int code;
        const char *words;
    } rows[] = {
        {"scratch:1", 1, 0, DAVIT_EFORBIDDEN, "'scratch' is a reserved name"},
        {"scratch", 1, DAVIT_PULL_ALL_TAGS, DAVIT_EFORBIDDEN, "'scratch' is a reserved name"},
        {"docker.io/library/scratch:latest", 1, 0, DAVIT_EFORBIDDEN, "'scratch' is a reserved name"},
        {"127.0.0.1:1/app", 1, 0, DAVIT_EINVAL, "no tag in"},
        {"127.0.0.1:1/app:1", 1, DAVIT_PULL_ALL_TAGS, DAVIT_EINVAL, "tag can't be used with all tags"},
        {"127.0.0.1:1/app:1", 0, 0, DAVIT_EINVAL, "version 0"},
        {"127.0.0.1:1/app:1", 2, 0, DAVIT_EINVAL, "version 2"},
        {"127.0.0.1:1/app:1", 1, 1u << 30, DAVIT_EINVAL, "flags"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_reference) ref = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        const davit_pull_options options = {.version = rows[i].version, .flags = rows[i].flags};
        assert_int_equal(davit_reference_parse(rows[i].reference, &ref, NULL), 0);
        int r = davit_pull(f->client, ref, &options, NULL, &err);
        if (r != rows[i].code || !strstr(davit_error_message(err), rows[i].words))
            fail_msg("%s: expected %s \"%s\", got %s \"%s\"", rows[i].reference,
                     davit_code_name(rows[i].code), rows[i].words, davit_code_name(r),
                     davit_error_message(err));
        assert_int_equal(davit_pull(f->client, ref, &options, NULL, NULL), rows[i].code);
    }
    assert_int_equal(count_files(f, ""), 0);
}

static void pull__a_dry_run_stores_nothing(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_pull_result result;
    DV_AUTO(image) i = image_make(SIZES(40 * KIB, 50 * KIB), 6);
    DV_AUTO(told) t = TOLD;
    serve_image(f->script, &i, "1.0", (script_row){0});
    assert_ok(pull(f, ":1.0", DAVIT_PULL_DRY_RUN, &t, &result, &err));
    assert_int_equal(count_files(f, ""), 0);
    assert_string_equal(dv_buf_text(&t.text), "");
    assert_int_equal(result.fetched_count, 4);
    assert_int_equal(result.fetched_bytes, i.manifest.descriptor.size + i.config.descriptor.size + 90 * KIB);
    assert_int_equal(script_count(f->script, "GET /v2/app/blobs/", NULL), 0);
    assert_ok(pull(f, ":1.0", 0, NULL, NULL, &err));
    assert_ok(pull(f, ":1.0", DAVIT_PULL_DRY_RUN, NULL, &result, &err));
    assert_int_equal(result.fetched_count, 0);
    assert_int_equal(result.present_count, 4);
}

/* --- verify ------------------------------------------------------------------------------------------------------------ */

/* threat B11: before anything of it is stored. */
static void pull__a_veto_stores_nothing(void **state)
{
    static const int answers[] = {1, -1, DAVIT_EDIGEST};
    fixture *f = *state;
    DV_AUTO(image) i = image_make(SIZES(40 * KIB), 7);
    serve_image(f->script, &i, "1.0", (script_row){0});
    for (size_t k = 0; k < DV_COUNT(answers); k++) {
        DV_AUTO(told) t = TOLD;
        DV_AUTOPTR(davit_error) err = NULL;
        t.answer = answers[k];
        assert_int_equal(pull(f, ":1.0", 0, &t, NULL, &err), DAVIT_EDENIED);
        assert_int_equal(t.verified, 1);
        assert_true(davit_digest_equal(&t.asked, &i.manifest.descriptor.digest));
        assert_non_null(strstr(davit_error_message(err), "was refused by the verifier"));
    }
    assert_false(is_stored(f, ":1.0"));
    assert_int_equal(script_count(f->script, "GET /v2/app/blobs/", NULL), 0);
    assert_int_equal(count_files(f, "blobs/sha256"), 0);
    DV_AUTO(told) yes = TOLD;
    assert_int_equal(pull(f, ":1.0", 0, &yes, NULL, NULL), 0);
    assert_true(is_stored(f, ":1.0"));
}

/* It is asked for what is here already, too. */
static void pull__a_veto_counts_for_what_is_here(void **state)
{
    fixture *f = *state;
    DV_AUTO(image) i = image_make(SIZES(40 * KIB), 8);
    DV_AUTO(told) t = TOLD;
    serve_image(f->script, &i, "1.0", (script_row){0});
    serve_manifest(f->script, &i.manifest, "2.0");
    assert_int_equal(pull(f, ":1.0", 0, NULL, NULL, NULL), 0);
    t.answer = 1;
    assert_int_equal(pull(f, ":2.0", 0, &t, NULL, NULL), DAVIT_EDENIED);
    assert_false(is_stored(f, ":2.0"));
    assert_true(is_stored(f, ":1.0"));
}

/* The user's own no: there is no other endpoint to mend it. */
static void pull__a_veto_is_final_for_a_mirror_too(void **state)
{
    fixture *f = *state;
    DV_AUTO(image) i = image_make(SIZES(40 * KIB), 90);
    DV_AUTO(told) t = TOLD;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_reference) ref = NULL;
    char url[64];
    snprintf(url, sizeof(url), "http://%s", script_host(f->script));
    const char *const mirrors[] = {url, NULL};
    davit_client_options options = quick_options(f);
    options.registry_mirrors = mirrors;
    options.connect_timeout_ms = 1000;
    use_options(f, &options);
    script_add(f->script, &(script_row){.request = "GET /v2/library/app/manifests/1.0 ",
                                        .headers = "Content-Type: " DV_MEDIA_TYPE_OCI_MANIFEST "\r\n",
                                        .body = i.manifest.bytes});
    t.answer = 1;
    assert_int_equal(davit_reference_parse("app:1.0", &ref, NULL), 0);
    const davit_pull_options how = {
        .version = DAVIT_PULL_OPTIONS_VERSION, .verify = on_verify, .user_data = &t};
    assert_int_equal(davit_pull(f->client, ref, &how, NULL, &err), DAVIT_EDENIED);
    assert_int_equal(t.verified, 1);
}

/* --- two at once --------------------------------------------------------------------------------------------------------- */

typedef struct pulling {
    pthread_t thread;
    fixture *f;
    const char *rest;
    told told;
    davit_pull_result result;
    int code;
    davit_error *err;
} pulling;

static void *run_pull(void *arg)
{
    pulling *p = arg;
    p->code = pull(p->f, p->rest, 0, &p->told, &p->result, &p->err);
    return NULL;
}

static void pulling_start(pulling *p, fixture *f, const char *rest)
{
    *p = (pulling){.f = f, .rest = rest, .told = TOLD};
    assert_int_equal(pthread_create(&p->thread, NULL, run_pull, p), 0);
}

static void pulling_clear(pulling *p)
{
    told_clear(&p->told);
    davit_error_free(p->err);
}

/* Two pulls of one client that share layers, and one that is the same: each blob comes once. */
static void pull__several_threads_fetch_each_blob_once(void **state)
{
    static const char *const names[] = {":1.0", ":2.0", ":1.0", ":2.0"};
    fixture *f = *state;
    const script_row how = {.delay_ms = 20};
    DV_AUTO(image) one = image_make(SIZES(40 * KIB, 1200 * KIB, 50 * KIB), 9);
    DV_AUTO(image) two = image_make(SIZES(40 * KIB, 1200 * KIB, 50 * KIB, 60 * KIB), 9);
    pulling pullings[4];
    dv_transfers *ready;
    assert_int_equal(dv_transfers_get(f->client, &ready, NULL), 0);
    serve_image(f->script, &one, "1.0", how);
    serve_image(f->script, &two, "2.0", how);
    for (size_t i = 0; i < 4; i++)
        pulling_start(&pullings[i], f, names[i]);
    uint64_t transferred = 0;
    for (size_t i = 0; i < 4; i++) {
        pthread_join(pullings[i].thread, NULL);
        if (pullings[i].code < 0)
            fail_msg("%s: %s", names[i], davit_error_message(pullings[i].err));
        transferred += pullings[i].result.fetched_count;
    }
    assert_true(transferred >= 6);
    for (size_t k = 0; k < two.layer_count; k++)
        if (script_count(f->script, blob_request(&two.layers[k]), NULL) != 1)
            fail_msg("layer %zu came %u times", k,
                     script_count(f->script, blob_request(&two.layers[k]), NULL));
    assert_int_equal(script_count(f->script, blob_request(&one.config), NULL), 1);
    assert_int_equal(script_count(f->script, blob_request(&two.config), NULL), 1);
    assert_true(is_stored(f, ":1.0") && is_stored(f, ":2.0"));
    assert_int_equal(count_files(f, "ingest") + count_files(f, "leases"), 0);
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 3; k++) { /* everybody hears of every layer to its end */
            DV_AUTOFREE char *lines = lines_of(&pullings[i].told, &two.layers[k]);
            if (!dv_str_ends(lines, "Pull complete") && strcmp(lines, "Already exists") != 0)
                fail_msg("pull %zu, layer %zu: %s", i, k, lines);
        }
        pulling_clear(&pullings[i]);
    }
}

/* --- cancelling ------------------------------------------------------------------------------------------------------------ */

/* davit_client_cancel() from another thread: whatever it waits for, it ends within 300 ms and no tag moves. */
static void pull__ends_when_the_client_is_cancelled(void **state)
{
    enum { MANIFEST, CONFIG, LAYER };
    static const struct {
        const char *what;
        int held;
        script_row row;
    } rows[] = {
        {"manifest", MANIFEST, {.status = SCRIPT_SILENT, .then = SCRIPT_HOLD}},
        {"config", CONFIG, {.status = SCRIPT_SILENT, .then = SCRIPT_HOLD}},
        {"layer", LAYER, {.cut = 1000, .then = SCRIPT_HOLD}},
        {"pause before an attempt", LAYER, {.status = 503, .headers = "Retry-After: 30\r\n"}},
    };
    fixture *f = *state;
    for (size_t k = 0; k < DV_COUNT(rows); k++) {
        DV_AUTO(image) i = image_make(SIZES(40 * KIB, 1200 * KIB), 20 + (unsigned)k);
        const davit_client_options options = quick_options(f);
        script_row row = rows[k].row;
        pulling p;
        char held[200] = "GET /v2/app/manifests/1.0 ";
        use_options(f, &options);
        script_stop(f->script);
        f->script = script_start(NULL, 0);
        if (rows[k].held != MANIFEST) {
            const blob *b = rows[k].held == CONFIG ? &i.config : &i.layers[1];
            snprintf(held, sizeof(held), "%s", blob_request(b));
            serve_blob(f->script, b, row);
        } else {
            row.request = held;
            script_add(f->script, &row);
        }
        serve_image(f->script, &i, "1.0", (script_row){0});
        pulling_start(&p, f, ":1.0");
        assert_true(script_wait(f->script, held, 1, 4000));
        dv_sleep_ms(20);
        uint64_t begin = dv_clock_ms();
        davit_client_cancel(f->client);
        pthread_join(p.thread, NULL);
        uint64_t took = dv_clock_ms() - begin;
        if (p.code != DAVIT_ECANCELLED || took > 300 || is_stored(f, ":1.0") || count_files(f, "leases") != 0)
            fail_msg("%s: %s \"%s\" after %u ms", rows[k].what, davit_code_name(p.code),
                     davit_error_message(p.err), (unsigned)took);
        assert_null(strstr(dv_buf_text(&p.told.text), "Status: "));
        pulling_clear(&p);
        assert_int_equal(pull(f, ":1.0", 0, NULL, NULL, NULL), DAVIT_ECANCELLED);
    }
}

/* --- what a registry may get wrong ----------------------------------------------------------------------------------------- */

typedef struct wrong_row {
    const char *what;
    const char *config_members;
    size_t diff_ids;
    const char *config_type, *layer_type;
    script_row config, layer;
    int code;
    const char *words;
} wrong_row;

#define GOOD_TYPES DV_MEDIA_TYPE_OCI_CONFIG, DV_MEDIA_TYPE_OCI_LAYER_GZIP

static void check_wrong(fixture *f, const wrong_row *row, unsigned seed)
{
    DV_AUTO(image) i = {.layer_count = 1};
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(told) t = TOLD;
    char expected[400];
    script_stop(f->script);
    f->script = script_start(NULL, 0);
    i.layers[0] = blob_make(40 * KIB, seed);
    i.layers[0].descriptor.media_type = row->layer_type;
    image_finish(&i, row->config_members, row->diff_ids, seed);
    if (strcmp(row->config_type, DV_MEDIA_TYPE_OCI_CONFIG) != 0) { /* the manifest once more, with this type */
        DV_AUTO(dv_buf) text = DV_BUF_INIT(1u << 16);
        i.config.descriptor.media_type = row->config_type;
        dv_buf_puts(&text,
                    "{\"schemaVersion\":2,\"mediaType\":\"" DV_MEDIA_TYPE_OCI_MANIFEST "\",\"config\":");
        append_descriptor(&text, &i.config.descriptor);
        dv_buf_puts(&text, ",\"layers\":[");
        append_descriptor(&text, &i.layers[0].descriptor);
        dv_buf_puts(&text, "]}");
        blob_clear(&i.manifest);
        i.manifest = blob_of_text(dv_buf_text(&text), DV_MEDIA_TYPE_OCI_MANIFEST);
    }
    serve_manifest(f->script, &i.manifest, "1.0");
    serve_blob(f->script, &i.config, row->config);
    serve_blob(f->script, &i.layers[0], row->layer);
    int r = pull(f, ":1.0", 0, &t, NULL, &err);
    const char *digest = strstr(row->words, "image config") ? i.config.descriptor.digest.text
                                                            : i.layers[0].descriptor.digest.text;
    const char *mark = strchr(row->words, '@');
    snprintf(expected, sizeof(expected), "%.*s%s%s", mark ? (int)(mark - row->words) : 400, row->words,
             mark ? digest : "", mark ? mark + 1 : "");
    if (r != row->code || !strstr(davit_error_message(err), expected) || is_stored(f, ":1.0") ||
        count_files(f, "leases") != 0)
        fail_msg("%s: expected %s \"%s\", got %s \"%s\"", row->what, davit_code_name(row->code), expected,
                 davit_code_name(r), davit_error_message(err));
}

/* Texts of pull.md 3.3; "@" stands for the digest. Threats B6, B7. */
static void pull__a_wrong_image_is_refused_with_the_specified_text(void **state)
{
    static char zeros[64 * KIB];
    static const wrong_row rows[] = {
        {"layer count",
         LINUX,
         2,
         GOOD_TYPES,
         {0},
         {0},
         DAVIT_EFORMAT,
         "layers from manifest don't match image configuration"},
        {"no rootfs",
         LINUX,
         NO_ROOTFS,
         GOOD_TYPES,
         {0},
         {0},
         DAVIT_EFORMAT,
         "invalid rootfs in image configuration"},
        {"foreign system",
         "\"os\":\"windows\",",
         1,
         GOOD_TYPES,
         {0},
         {0},
         DAVIT_EUNSUPPORTED,
         "image operating system \"windows\" cannot be used on this platform: operating system is not "
         "supported"},
        {"config type",
         LINUX,
         1,
         "application/vnd.cncf.helm.config.v1+json",
         DV_MEDIA_TYPE_OCI_LAYER_GZIP,
         {0},
         {0},
         DAVIT_EUNSUPPORTED,
         "unsupported media type application/vnd.cncf.helm.config.v1+json"},
        {"layer type",
         LINUX,
         1,
         DV_MEDIA_TYPE_OCI_CONFIG,
         "application/vnd.oci.images_are_fun",
         {0},
         {0},
         DAVIT_EUNSUPPORTED,
         "unsupported media type application/vnd.oci.images_are_fun"},
        {"AI model",
         LINUX,
         1,
         "application/vnd.docker.ai.model.config.v0.1+json",
         DV_MEDIA_TYPE_OCI_LAYER_GZIP,
         {0},
         {0},
         DAVIT_EUNSUPPORTED,
         "AI models are not yet supported by the Engine"},
        {"corrupt config",
         LINUX,
         1,
         GOOD_TYPES,
         {.body = zeros, .size = 16},
         {0},
         DAVIT_EDIGEST,
         "error pulling image configuration: image config verification failed for digest @"},
        {"corrupt layer",
         LINUX,
         1,
         GOOD_TYPES,
         {0},
         {.body = zeros, .size = 40 * KIB},
         DAVIT_EDIGEST,
         "filesystem layer verification failed for digest @"},
        {"no config",
         LINUX,
         1,
         GOOD_TYPES,
         {.status = 404},
         {0},
         DAVIT_ENOTFOUND,
         "error pulling image configuration: download failed after attempts=1: unknown blob"},
        {"config fails for ever",
         LINUX,
         1,
         GOOD_TYPES,
         {.status = 503},
         {0},
         DAVIT_EUNAVAILABLE,
         "error pulling image configuration: download failed after attempts=6: received unexpected HTTP "
         "status: 503"},
        {"the config's error wins",
         LINUX,
         1,
         GOOD_TYPES,
         {.status = 404, .delay_ms = 50},
         {.status = 404},
         DAVIT_ENOTFOUND,
         "error pulling image configuration: "},
        {"no layer", LINUX, 1, GOOD_TYPES, {0}, {.status = 404}, DAVIT_ENOTFOUND, "unknown blob"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_wrong(*state, &rows[i], 300 + (unsigned)i);
}

/* threat B5 */
static void pull__a_manifest_of_another_digest(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(image) good = image_make(SIZES(40 * KIB), 40), other = image_make(SIZES(41 * KIB), 41);
    char request[300], rest[200];
    snprintf(rest, sizeof(rest), "@%s", good.manifest.descriptor.digest.text);
    snprintf(request, sizeof(request), "GET /v2/app/manifests/%s ", good.manifest.descriptor.digest.text);
    script_add(f->script, &(script_row){.request = request,
                                        .headers = "Content-Type: " DV_MEDIA_TYPE_OCI_MANIFEST "\r\n",
                                        .body = other.manifest.bytes});
    assert_int_equal(pull(f, rest, 0, NULL, NULL, &err), DAVIT_EDIGEST);
    assert_non_null(strstr(davit_error_message(err), "manifest verification failed for digest "));
    assert_false(is_stored(f, rest));
    assert_int_equal(script_count(f->script, "GET /v2/app/blobs/", NULL), 0);
}

static void pull__missing_and_denied_names_are_explained(void **state)
{
    static const struct {
        const char *code;
        int status, expected;
        const char *words;
    } rows[] = {
        {"MANIFEST_UNKNOWN", 404, DAVIT_ENOTFOUND,
         "manifest for %s/app:1.0 not found: manifest unknown: told"},
        {"NAME_UNKNOWN", 404, DAVIT_ENOTFOUND, "repository %s/app not found: name unknown: told"},
        {"DENIED", 403, DAVIT_EDENIED,
         "pull access denied for %s/app, repository does not exist or may require 'docker login': denied: "
         "told"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTO(dv_buf) body = DV_BUF_INIT(999), expected = DV_BUF_INIT(999);
        dv_buf_printf(&body, "{\"errors\":[{\"code\":\"%s\",\"message\":\"told\"}]}", rows[i].code);
        script_stop(f->script);
        f->script = script_start(ROWS({.status = rows[i].status,
                                       .headers = "Content-Type: application/json\r\n",
                                       .body = dv_buf_text(&body)}));
        const char *mark = strstr(rows[i].words, "%s");
        dv_buf_printf(&expected, "%.*s%s%s", (int)(mark - rows[i].words), rows[i].words,
                      script_host(f->script), mark + 2);
        int r = pull(f, ":1.0", 0, NULL, NULL, &err);
        if (r != rows[i].expected || strcmp(davit_error_message(err), dv_buf_text(&expected)) != 0)
            fail_msg("%s: expected %s, got %s %s", rows[i].code, dv_buf_text(&expected), davit_code_name(r),
                     davit_error_message(err));
    }
}

/* --- indexes --------------------------------------------------------------------------------------------------------------- */

typedef struct entry {
    const blob *manifest;
    const char *platform; /* JSON, NULL: none */
} entry;

static blob index_of(const entry *entries, size_t count)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(1u << 16);
    dv_buf_puts(&text, "{\"schemaVersion\":2,\"mediaType\":\"" DV_MEDIA_TYPE_OCI_INDEX "\",\"manifests\":[");
    for (size_t i = 0; i < count; i++) {
        const davit_descriptor *d = &entries[i].manifest->descriptor;
        dv_buf_printf(&text, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%llu%s%s}", i ? "," : "",
                      d->media_type, d->digest.text, (unsigned long long)d->size,
                      entries[i].platform ? ",\"platform\":" : "",
                      entries[i].platform ? entries[i].platform : "");
    }
    dv_buf_puts(&text, "]}");
    return blob_of_text(dv_buf_text(&text), DV_MEDIA_TYPE_OCI_INDEX);
}

#define HERE "{\"os\":\"linux\",\"architecture\":\"s390x\"}"
#define THERE "{\"os\":\"linux\",\"architecture\":\"ppc64le\"}"

static int pull_platform(fixture *f, const char *rest, const char *platform, davit_pull_result *out,
                         davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = reference(f, rest);
    davit_platform wanted;
    assert_int_equal(davit_platform_parse(platform, &wanted, NULL), 0);
    const davit_pull_options options = {.version = DAVIT_PULL_OPTIONS_VERSION, .platform = &wanted};
    return davit_pull(f->client, ref, &options, out, err);
}

static void pull__an_index_gives_the_platforms_image(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_pull_result result;
    DV_AUTO(image) here = image_make(SIZES(40 * KIB), 50), there = image_make(SIZES(41 * KIB), 51);
    blob index = index_of((const entry[]){{&there.manifest, THERE}, {&here.manifest, HERE}}, 2);
    serve_manifest(f->script, &index, "1.0");
    serve_image(f->script, &here, NULL, (script_row){0});
    serve_image(f->script, &there, NULL, (script_row){0});
    assert_ok(pull_platform(f, ":1.0", "linux/s390x", &result, &err));
    assert_true(davit_digest_equal(&result.digest, &index.descriptor.digest)); /* what the name is */
    assert_true(has_blob(f, &index) && has_blob(f, &here.manifest) && has_blob(f, &here.layers[0]));
    assert_int_equal(script_count(f->script, blob_request(&there.layers[0]), NULL), 0);
    assert_int_equal(pull_platform(f, ":1.0", "linux/arm/v7", NULL, &err), DAVIT_EPLATFORM);
    assert_string_equal(davit_error_message(err),
                        "no matching manifest for linux/arm/v7 in the manifest list entries");
    davit_error_free(err);
    err = NULL;
    assert_ok(pull(f, ":1.0", DAVIT_PULL_ALL_PLATFORMS, NULL, NULL, &err));
    assert_true(has_blob(f, &there.layers[0]) && has_blob(f, &there.config));
    blob_clear(&index);
}

/* pull.md 5: a nested index is gone through with the same question; threat C3: not for ever. */
static void pull__index_within_index(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTO(image) here = image_make(SIZES(40 * KIB), 52);
    blob indexes[6];
    serve_image(f->script, &here, NULL, (script_row){0});
    const blob *inner = &here.manifest;
    for (size_t i = 0; i < DV_COUNT(indexes); i++) {
        char tag[8];
        snprintf(tag, sizeof(tag), "d%zu", i + 1);
        indexes[i] = index_of(&(entry){inner, i ? NULL : HERE}, 1);
        serve_manifest(f->script, &indexes[i], tag);
        inner = &indexes[i];
    }
    assert_ok(pull_platform(f, ":d1", "linux/s390x", NULL, &err));
    assert_ok(pull_platform(f, ":d4", "linux/s390x", NULL, &err));
    assert_int_equal(pull_platform(f, ":d5", "linux/s390x", NULL, &err), DAVIT_ETOOBIG);
    assert_non_null(strstr(davit_error_message(err), "more than 4 deep"));
    davit_error_free(err);
    assert_false(is_stored(f, ":d5"));
    for (size_t i = 0; i < DV_COUNT(indexes); i++)
        blob_clear(&indexes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pull_test(pull__a_new_tag_and_again),
        pull_test(pull__a_new_tag_on_what_is_here),
        pull_test(pull__a_present_layer_is_said_to_be),
        pull_test(pull__by_digest),
        pull_test(pull__all_tags),
        pull_test(pull__all_of_no_tags),
        pull_test(pull__bad_arguments),
        pull_test(pull__a_dry_run_stores_nothing),
        pull_test(pull__a_veto_stores_nothing),
        pull_test(pull__a_veto_counts_for_what_is_here),
        pull_test(pull__a_veto_is_final_for_a_mirror_too),
        pull_test(pull__several_threads_fetch_each_blob_once),
        pull_test(pull__ends_when_the_client_is_cancelled),
        pull_test(pull__a_wrong_image_is_refused_with_the_specified_text),
        pull_test(pull__a_manifest_of_another_digest),
        pull_test(pull__missing_and_denied_names_are_explained),
        pull_test(pull__an_index_gives_the_platforms_image),
        pull_test(pull__index_within_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
