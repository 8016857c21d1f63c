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

/* --- changing it ---------------------------------------------------------------------------------------------- */

#define OTHER "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void put__the_bytes_and_what_came_of_them(void **state)
{
    davit_digest right;
    assert_int_equal(davit_digest_of(DAVIT_SHA256, BYTES, strlen(BYTES), &right, NULL), 0);
    char told[400], pinned[200];
    snprintf(told, sizeof(told), "Docker-Content-Digest: %s\r\nOCI-Subject: " OTHER "\r\n", right.text);
    snprintf(pinned, sizeof(pinned), "%s", right.text);
    const struct {
        const char *name;
        script_row row;
        int code;
        bool subject;
        unsigned asked;
        const char *words;
    } rows[] = {
        {"1.0", {.status = 201, .headers = told}, 0, true, 1, ""},
        {pinned, {.status = 201, .headers = told}, 0, true, 1, ""},
        {"1.0", {.status = 201}, 0, false, 1, ""},
        {"1.0", {.status = 200}, 0, false, 1, ""},
        {"1.0",
         {.status = 201, .headers = "Docker-Content-Digest: " OTHER "\r\n"},
         DAVIT_EDIGEST,
         false,
         1,
         "the registry stored " OTHER " in place of manifest sha256:"},
        {"1.0",
         {.status = 201, .headers = "Docker-Content-Digest: x\r\n"},
         DAVIT_EPROTOCOL,
         false,
         1,
         "Docker-Content-Digest"},
        {OTHER, {.status = 201}, DAVIT_EDIGEST, false, 0, "manifest verification failed"},
        {"1.0",
         {.status = 400,
          .headers = JSON,
          .body = "{\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\",\"message\":\"no blob\"}]}"},
         DAVIT_EREGISTRY,
         false,
         1,
         "manifest blob unknown: no blob"},
        {"1.0", {.status = 503}, DAVIT_EUNAVAILABLE, false, 5, "503"},
        {"1.0", {.status = 413}, DAVIT_EREGISTRY, false, 1, ""},
        {"1.0",
         {.status = 301, .headers = "Location: /elsewhere\r\n"},
         DAVIT_EPROTOCOL,
         false,
         1,
         "redirect (301) of a PUT"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        dv_manifest_put put = {.subject_known = false};
        script *s = script_start(&rows[i].row, 1);
        int r = dv_v2_manifest_put(open_plain(f, s), rows[i].name, "application/x", BYTES, strlen(BYTES),
                                   &put, &err);
        unsigned asked = script_count(s, "PUT /v2/app/manifests/", "\r\nContent-Type: application/x\r\n");
        DV_AUTOFREE char *request = script_request(s, "PUT", 0);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(s);
        if (r != rows[i].code || asked != rows[i].asked || put.subject_known != rows[i].subject ||
            !strstr(davit_error_message(err), rows[i].words) ||
            (r == 0 && !davit_digest_equal(&put.digest, &right)) ||
            (request && strcmp(strstr(request, "\r\n\r\n") + 4, BYTES) != 0))
            fail_msg("row %zu: %s \"%s\" after %u requests, subject %d", i, davit_code_name(r),
                     davit_error_message(err), asked, put.subject_known);
    }
}

static void exists__by_head(void **state)
{
    static const struct {
        int status, answer;
    } rows[] = {{200, 1}, {404, 0}, {403, DAVIT_EDENIED}};
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        script *s = script_start(ROWS({.request = "HEAD /v2/app/manifests/1.0 ", .status = rows[i].status}));
        assert_int_equal(dv_v2_manifest_exists(open_plain(f, s), "1.0", NULL), rows[i].answer);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(s);
    }
}

#define ERRORS(code, text) JSON, .body = "{\"errors\":[{\"code\":\"" code "\",\"message\":\"" text "\"}]}"

static void delete__what_registries_say(void **state)
{
    static const struct {
        script_row row;
        int code;
        const char *words;
        unsigned asked;
    } rows[] = {
        {{.status = 202}, 0, "", 1},
        {{.status = 404, .headers = ERRORS("MANIFEST_UNKNOWN", "gone")},
         DAVIT_ENOTFOUND,
         "manifest unknown: gone",
         1},
        {{.status = 405, .headers = ERRORS("UNSUPPORTED", "never")},
         DAVIT_EUNSUPPORTED,
         "does not delete: unsupported: never",
         1},
        {{.status = 400, .headers = ERRORS("UNSUPPORTED", "never")}, DAVIT_EUNSUPPORTED, "does not delete", 1},
        {{.times = 1, .status = 503}, DAVIT_ENOTFOUND, "", 2},
        {{.status = 403, .headers = ERRORS("DENIED", "no")},
         DAVIT_EDENIED,
         "denied: no",
         2}, /* asked with the other scope too */
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        script *s = script_start(&rows[i].row, 1);
        int r = dv_v2_manifest_delete(open_plain(f, s), "1.0", &err);
        unsigned asked = script_count(s, "DELETE /v2/app/manifests/1.0 ", NULL);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(s);
        if (r != rows[i].code || asked != rows[i].asked || !strstr(davit_error_message(err), rows[i].words))
            fail_msg("row %zu: %s \"%s\" after %u requests", i, davit_code_name(r), davit_error_message(err),
                     asked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        client_test(resolve__head_says_it_all),
        client_test(resolve__get_where_head_is_not_enough),
        client_test(get__bytes_are_what_was_asked_for),
        client_test(get__no_more_than_the_ceiling),
        client_test(put__the_bytes_and_what_came_of_them),
        client_test(exists__by_head),
        client_test(delete__what_registries_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
