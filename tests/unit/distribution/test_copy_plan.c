/* Unit tests of distribution/copy_plan.c: what is behind a name, in which order, and what becomes of an index. A source in memory. */
#include "distribution/copy_plan.h"

#include "oci/manifest.h"
#include "oci/media_type.h"
#include "registry/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MANIFEST DV_MEDIA_TYPE_OCI_MANIFEST
#define INDEX DV_MEDIA_TYPE_OCI_INDEX
#define DOCUMENTS 16

/* Documents of a place; what is hidden is not there. */
typedef struct memory_source {
    dv_source source;
    struct {
        char text[4096];
        davit_descriptor descriptor;
        bool hidden;
    } documents[DOCUMENTS];
    size_t count;
} memory_source;

static int no_resolve(dv_source *s, const char *name, davit_descriptor *out, davit_error **err)
{
    return DAVIT_ENOTFOUND;
}

static int give(dv_source *s, const davit_descriptor *desc, dv_buf *out, davit_error **err)
{
    const memory_source *m = (memory_source *)s;
    for (size_t i = 0; i < m->count; i++) {
        if (!m->documents[i].hidden && davit_digest_equal(&m->documents[i].descriptor.digest, &desc->digest)) {
            dv_buf_puts(out, m->documents[i].text);
            return 0;
        }
    }
    return dv_error_set(err, DAVIT_ENOTFOUND, "no %s", desc->digest.text);
}

static int has_all(dv_source *s, const davit_descriptor *blob, davit_error **err)
{
    return strstr(blob->media_type, "foreign") == NULL;
}

static const dv_source_ops ops = {.resolve = no_resolve, .document = give, .has_blob = has_all};

static const davit_descriptor *add(memory_source *m, const char *type, const char *text)
{
    davit_descriptor *d = &m->documents[m->count].descriptor;
    snprintf(m->documents[m->count].text, sizeof(m->documents[0].text), "%s", text);
    d->media_type = type;
    d->size = strlen(text);
    assert_int_equal(davit_digest_of(DAVIT_SHA256, text, strlen(text), &d->digest, NULL), 0);
    m->count++;
    return d;
}

static void blob_text(char *out, size_t size, const char *type, char digit)
{
    char hex[65];
    memset(hex, digit, 64);
    hex[64] = '\0';
    snprintf(out, size, "{\"mediaType\":\"%s\",\"digest\":\"sha256:%s\",\"size\":7}", type, hex);
}

/* An image with the config "c" and one layer for each digit of layers. */
static const davit_descriptor *add_image(memory_source *m, const char *layers, const char *type)
{
    char text[4096], blob[256];
    blob_text(blob, sizeof(blob), DV_MEDIA_TYPE_OCI_CONFIG, 'c');
    int n = snprintf(text, sizeof(text),
                     "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST "\",\"config\":%s,\"layers\":[", blob);
    for (size_t i = 0; layers[i]; i++) {
        blob_text(blob, sizeof(blob), type, layers[i]);
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%s", i ? "," : "", blob);
    }
    snprintf(text + n, sizeof(text) - (size_t)n, "]}");
    return add(m, MANIFEST, text);
}

static const davit_descriptor *add_index(memory_source *m, const davit_descriptor *const *children,
                                         const char *const *archs, size_t count)
{
    char text[4096];
    int n = snprintf(text, sizeof(text), "{\"schemaVersion\":2,\"mediaType\":\"" INDEX "\",\"manifests\":[");
    for (size_t i = 0; i < count; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d,\"platform\":{\"os\":\"linux\","
                      "\"architecture\":\"%s\"}}",
                      i ? "," : "", children[i]->media_type, children[i]->digest.text, (int)children[i]->size,
                      archs[i]);
    snprintf(text + n, sizeof(text) - (size_t)n, "]}");
    return add(m, INDEX, text);
}

static memory_source *start(davit_client *client)
{
    memory_source *m = dv_new(memory_source);
    assert_non_null(m);
    m->source = (dv_source){.ops = &ops, .client = client};
    return m;
}

/* Two images with a layer in common, and an index of them. */
static const davit_descriptor *two(memory_source *m)
{
    static const char *const archs[] = {"amd64", "s390x"};
    const davit_descriptor *children[2];
    children[0] = add_image(m, "12", DV_MEDIA_TYPE_OCI_LAYER_GZIP);
    children[1] = add_image(m, "13", DV_MEDIA_TYPE_OCI_LAYER_GZIP);
    return add_index(m, children, archs, 2);
}

static void expect_blobs(const dv_copy_plan *p, const char *digits)
{
    char found[32] = "";
    for (size_t i = 0; i < p->blob_count && i < sizeof(found) - 1; i++)
        found[i] = p->blobs[i].digest.text[7];
    assert_string_equal(found, digits);
}

static davit_client client;

static void copy_plan__children_come_before_what_lists_them_and_blobs_once(void **state)
{
    DV_AUTOFREE memory_source *m = start(&client);
    DV_AUTO(dv_copy_plan) p = DV_COPY_PLAN_INIT;
    const davit_descriptor *root = two(m);
    assert_int_equal(
        dv_copy_plan_make(&p, &m->source, root, &(dv_copy_choice){.sparse = false}, NULL, NULL, NULL), 0);
    assert_int_equal(p.document_count, 3);
    assert_true(davit_digest_equal(&dv_copy_plan_root(&p)->descriptor.digest, &root->digest));
    assert_true(p.documents[0].is_child && p.documents[1].is_child && !p.documents[2].is_child);
    expect_blobs(&p, "c123");
}

static void copy_plan__platforms_of_an_index(void **state)
{
    static const struct {
        const char *platforms[2];
        bool sparse;
        size_t documents;
        bool root_is_index, root_is_same;
        const char *blobs;
    } rows[] = {
        {{"linux/s390x"}, false, 1, false, false, "c13"},
        {{"linux/s390x", "linux/amd64"}, false, 3, true, true, "c123"}, /* all of it is the same document */
        {{"linux/s390x"}, true, 2, true, true, "c13"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTOFREE memory_source *m = start(&client);
        DV_AUTO(dv_copy_plan) p = DV_COPY_PLAN_INIT;
        davit_platform platforms[2];
        const davit_descriptor *root = two(m);
        dv_copy_choice choice = {.platforms = platforms, .sparse = rows[i].sparse};
        for (; choice.platform_count < 2 && rows[i].platforms[choice.platform_count]; choice.platform_count++)
            assert_int_equal(davit_platform_parse(rows[i].platforms[choice.platform_count],
                                                  &platforms[choice.platform_count], NULL),
                             0);
        assert_int_equal(dv_copy_plan_make(&p, &m->source, root, &choice, NULL, NULL, NULL), 0);
        const dv_copy_document *made = dv_copy_plan_root(&p);
        assert_int_equal(p.document_count, rows[i].documents);
        assert_int_equal(davit_manifest_is_index(made->manifest), rows[i].root_is_index);
        assert_int_equal(davit_digest_equal(&made->descriptor.digest, &root->digest), rows[i].root_is_same);
        expect_blobs(&p, rows[i].blobs);
    }
}

/* DESIGN 6: what of an index is not there. */
static void copy_plan__an_index_with_absent_children(void **state)
{
    static const struct {
        bool hidden[2], sparse, whole;
        int code;
        size_t documents;
        bool root_is_index;
    } rows[] = {
        {{true, false}, false, false, 0, 1, false},
        {{true, false}, true, false, 0, 2, true},
        {{true, false}, false, true, DAVIT_ENOTFOUND, 0, false},
        {{true, true}, false, false, DAVIT_ENOTFOUND, 0, false},
        {{true, true}, true, false, 0, 1, true},
        {{false, false}, false, true, 0, 3, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTOFREE memory_source *m = start(&client);
        DV_AUTO(dv_copy_plan) p = DV_COPY_PLAN_INIT;
        const dv_copy_choice choice = {.sparse = rows[i].sparse, .whole = rows[i].whole};
        const davit_descriptor *root = two(m);
        m->documents[0].hidden = rows[i].hidden[0];
        m->documents[1].hidden = rows[i].hidden[1];
        int r = dv_copy_plan_make(&p, &m->source, root, &choice, NULL, NULL, NULL);
        if (r != rows[i].code ||
            (r == 0 && (p.document_count != rows[i].documents ||
                        davit_manifest_is_index(dv_copy_plan_root(&p)->manifest) != rows[i].root_is_index)))
            fail_msg("row %zu: %d, %zu documents", i, r, p.document_count);
    }
}

static int has_first(void *user, const davit_descriptor *document, davit_error **err)
{
    return davit_digest_equal(&document->digest, user);
}

static void copy_plan__what_the_target_has_is_left_out(void **state)
{
    DV_AUTOFREE memory_source *m = start(&client);
    DV_AUTO(dv_copy_plan) p = DV_COPY_PLAN_INIT;
    const davit_descriptor *root = two(m);
    davit_digest first = m->documents[0].descriptor.digest;
    m->documents[0].hidden = true; /* and is not even asked for */
    assert_int_equal(
        dv_copy_plan_make(&p, &m->source, root, &(dv_copy_choice){.sparse = false}, has_first, &first, NULL),
        0);
    assert_int_equal(p.document_count, 2);
    expect_blobs(&p, "c13");
}

static void copy_plan__layers_that_are_somewhere_else_by_nature(void **state)
{
    DV_AUTOFREE memory_source *m = start(&client);
    DV_AUTO(dv_copy_plan) p = DV_COPY_PLAN_INIT;
    const davit_descriptor *root = add_image(m, "12", DV_MEDIA_TYPE_DOCKER_FOREIGN_GZIP);
    assert_int_equal(
        dv_copy_plan_make(&p, &m->source, root, &(dv_copy_choice){.sparse = false}, NULL, NULL, NULL), 0);
    expect_blobs(&p, "c");
}

/* Indexes in indexes end (threats C3); bytes that are not their digest's are refused (threats B5). */
static void copy_plan__hostile_documents(void **state)
{
    static const char *const arch[] = {"amd64"};
    DV_AUTOFREE memory_source *m = start(&client);
    DV_AUTO(dv_copy_plan) deep = DV_COPY_PLAN_INIT;
    DV_AUTO(dv_copy_plan) wrong = DV_COPY_PLAN_INIT;
    const davit_descriptor *at = add_image(m, "1", DV_MEDIA_TYPE_OCI_LAYER_GZIP);
    for (int i = 0; i < DAVIT_INDEX_DEPTH_MAX + 2; i++)
        at = add_index(m, &at, arch, 1);
    assert_int_equal(
        dv_copy_plan_make(&deep, &m->source, at, &(dv_copy_choice){.sparse = false}, NULL, NULL, NULL),
        DAVIT_ETOOBIG);
    m->documents[m->count - 1].text[2] ^= 1;
    assert_int_equal(
        dv_copy_plan_make(&wrong, &m->source, at, &(dv_copy_choice){.sparse = false}, NULL, NULL, NULL),
        DAVIT_EDIGEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy_plan__children_come_before_what_lists_them_and_blobs_once),
        cmocka_unit_test(copy_plan__platforms_of_an_index),
        cmocka_unit_test(copy_plan__an_index_with_absent_children),
        cmocka_unit_test(copy_plan__what_the_target_has_is_left_out),
        cmocka_unit_test(copy_plan__layers_that_are_somewhere_else_by_nature),
        cmocka_unit_test(copy_plan__hostile_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
