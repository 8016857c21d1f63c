/* Unit tests of registry/v2_manifest.c: registry-v2.md 4, threat B5. */
#include "registry_test.h"

#include "oci/media_type.h"
#include "registry/v2_manifest.h"

#define BYTES "{\"schemaVersion\":2}"
#define TYPE "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n"
#define NOT_FOUND                                                                     \
    {                                                                                 \
        .status = 404, .headers = JSON,                                               \
        .body = "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"gone\"}]}" \
    }

static davit_digest digest_of(davit_digest_algorithm algorithm, const char *bytes)
{
    davit_digest d;
    assert_int_equal(davit_digest_of(algorithm, bytes, strlen(bytes), &d, NULL), 0);
    return d;
}

/* A header with these lines and Docker-Content-Digest of what bytes would have. */
static char *lines(const char *more, const char *bytes)
{
    char *text;
    assert_true(
        asprintf(&text, "%sDocker-Content-Digest: %s\r\n", more, digest_of(DAVIT_SHA256, bytes).text) > 0);
    return text;
}

static void resolve__head_says_it_all(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTOFREE char *header =
        lines("Content-Type: Application/VND.oci.image.index.v1+json; charset=utf-8\r\n", BYTES);
    DV_AUTO(dv_manifest_answer) a = DV_MANIFEST_ANSWER_INIT;
    f->one = script_start(ROWS({.request = "HEAD /v2/app/manifests/1.0 ", .headers = header, .body = BYTES}));
    assert_ok(dv_v2_manifest_resolve(open_plain(f, f->one), "1.0", &a, &err));
    assert_string_equal(a.media_type, "application/vnd.oci.image.index.v1+json");
    assert_string_equal(a.digest.text, digest_of(DAVIT_SHA256, BYTES).text);
    assert_int_equal(a.size, strlen(BYTES));
    assert_int_equal(a.bytes.size, 0);
    assert_int_equal(script_count(f->one, "", NULL), 1);
    DV_AUTOFREE char *sent = script_request(f->one, "HEAD", 0);
    const char *at = sent;
    for (const char *const *type = dv_manifest_accept; *type; type++) {
        at = strstr(at, *type); /* in this order, one a line */
        assert_non_null(at);
        assert_memory_equal(at - 10, "\r\nAccept: ", 10);
    }
}

typedef struct head_row {
    script_row head, get;
    int code;
    const char *words; /* of the error */
    unsigned gets;
} head_row;

static void resolve__get_where_head_is_not_enough(void **state)
{
    const davit_digest digest = digest_of(DAVIT_SHA256, BYTES);
    DV_AUTOFREE char *good = lines(TYPE, BYTES);
    DV_AUTOFREE char *untyped = lines("", BYTES);
    DV_AUTOFREE char *long_of = lines(TYPE "Content-Length: many\r\n", BYTES);
    DV_AUTOFREE char *wrong = lines(TYPE, "something else");
    const script_row body = {.headers = TYPE, .body = BYTES}, missing = NOT_FOUND;
    const head_row rows[] = {
        {{.headers = TYPE, .body = BYTES}, body, 0, "", 1}, /* no digest: ECR */
        {{.status = 404}, body, 0, "", 1},
        {{.status = 405}, body, 0, "", 1},
        {{.status = 401}, body, 0, "", 1}, /* quirks.md: without a challenge */
        {{.headers = TYPE "Docker-Content-Digest:\r\n"}, body, 0, "", 1},
        {{.status = 404}, missing, DAVIT_ENOTFOUND, "manifest unknown: gone", 1}, /* the GET says why */
        {{.headers = untyped}, body, DAVIT_EPROTOCOL, "missing or empty Content-Type header", 0},
        {{.headers = TYPE "Docker-Content-Digest: sha256:abc\r\n"},
         body,
         DAVIT_EPROTOCOL,
         "invalid checksum digest length",
         0},
        {{.headers = good, .endless = true},
         body,
         DAVIT_EPROTOCOL,
         "missing or empty Content-Length header",
         0},
        {{.headers = TYPE, .body = BYTES},
         {.headers = wrong, .body = BYTES},
         DAVIT_EDIGEST,
         "manifest verification failed",
         1},
        {{.status = SCRIPT_SILENT, .then = SCRIPT_RESET}, body, DAVIT_ENETWORK, "", 0},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_manifest_answer) a = DV_MANIFEST_ANSWER_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        script_row both[] = {rows[i].head, rows[i].get};
        both[0].request = "HEAD /v2/app/manifests/1.0 ";
        both[1].request = "GET /v2/app/manifests/1.0 ";
        script *s = script_start(both, 2);
        int r = dv_v2_manifest_resolve(open_plain(f, s), "1.0", &a, &err);
        unsigned gets = script_count(s, "GET", NULL);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(s);
        bool as_expected = r < 0 ? strstr(davit_error_message(err), rows[i].words) != NULL
                                 : davit_digest_equal(&a.digest, &digest) && a.size == strlen(BYTES) &&
                                       strcmp(dv_buf_text(&a.bytes), BYTES) == 0 &&
                                       strcmp(a.media_type, DV_MEDIA_TYPE_OCI_MANIFEST) == 0;
        if (r != rows[i].code || gets != rows[i].gets || !as_expected)
            fail_msg("row %zu: expected %s \"%s\" after %u GET; got %s \"%s\" after %u", i,
                     davit_code_name(rows[i].code), rows[i].words, rows[i].gets, davit_code_name(r),
                     davit_error_message(err), gets);
    }
}

typedef struct get_row {
    const char *told;                 /* Docker-Content-Digest */
    const char *expected;             /* asked by this digest */
    davit_digest_algorithm algorithm; /* of the answer's digest */
    int code;
} get_row;

/* threat B5: the bytes are hashed before anything looks into them. */
static void get__bytes_are_what_was_asked_for(void **state)
{
    const davit_digest right = digest_of(DAVIT_SHA256, BYTES), right512 = digest_of(DAVIT_SHA512, BYTES);
    const davit_digest wrong = digest_of(DAVIT_SHA256, ""), wrong512 = digest_of(DAVIT_SHA512, "");
    const get_row rows[] = {
        {NULL, NULL, DAVIT_SHA256, 0},
        {"", NULL, DAVIT_SHA256, 0},
        {right.text, NULL, DAVIT_SHA256, 0},
        {right512.text, NULL, DAVIT_SHA512, 0},
        {wrong.text, NULL, 0, DAVIT_EDIGEST},
        {wrong512.text, NULL, 0, DAVIT_EDIGEST},
        {"sha256:short", NULL, 0, DAVIT_EPROTOCOL},
        {NULL, right.text, DAVIT_SHA256, 0},
        {NULL, right512.text, DAVIT_SHA512, 0},
        {NULL, wrong.text, 0, DAVIT_EDIGEST},
        {right.text, wrong.text, 0, DAVIT_EDIGEST},
        {right.text, right512.text, DAVIT_SHA512, 0},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_manifest_answer) a = DV_MANIFEST_ANSWER_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        davit_digest expected;
        char header[400];
        snprintf(header, sizeof(header), rows[i].told ? TYPE "Docker-Content-Digest: %s\r\n" : TYPE,
                 rows[i].told);
        if (rows[i].expected)
            assert_int_equal(davit_digest_parse(rows[i].expected, &expected, NULL), 0);
        script *s =
            script_start(ROWS({.request = "GET /v2/app/manifests/", .headers = header, .body = BYTES}));
        int r = dv_v2_manifest_get(open_plain(f, s), rows[i].expected ? rows[i].expected : "1.0",
                                   rows[i].expected ? &expected : NULL, &a, &err);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(s);
        if (r != rows[i].code ||
            (r == 0 && (a.digest.algorithm != rows[i].algorithm || a.size != strlen(BYTES))) ||
            (r == DAVIT_EDIGEST &&
             !strstr(davit_error_message(err), "manifest verification failed for digest sha")))
            fail_msg("row %zu: expected %s, got %s %s (%s)", i, davit_code_name(rows[i].code),
                     davit_code_name(r), a.digest.text, davit_error_message(err));
    }
}

/* threat C1 */
static void get__no_more_than_the_ceiling(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(dv_manifest_answer) a = DV_MANIFEST_ANSWER_INIT, b = DV_MANIFEST_ANSWER_INIT;
    DV_AUTOFREE char *spaces = malloc(DAVIT_MANIFEST_MAX + 1);
    memset(spaces, ' ', DAVIT_MANIFEST_MAX + 1);
    f->one = script_start(
        ROWS({.request = "GET /v2/app/manifests/most ", .body = spaces, .size = DAVIT_MANIFEST_MAX},
             {.body = spaces, .size = DAVIT_MANIFEST_MAX + 1}));
    assert_int_equal(dv_v2_manifest_get(open_plain(f, f->one), "most", NULL, &a, &err), 0);
    assert_int_equal(a.size, DAVIT_MANIFEST_MAX);
    assert_string_equal(a.media_type, "");
    assert_int_equal(dv_v2_manifest_get(f->registry, "more", NULL, &b, &err), DAVIT_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        client_test(resolve__head_says_it_all),
        client_test(resolve__get_where_head_is_not_enough),
        client_test(get__bytes_are_what_was_asked_for),
        client_test(get__no_more_than_the_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
