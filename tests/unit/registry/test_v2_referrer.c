/* Unit tests of registry/v2_referrer.c (registry-v2.md 8): the API, its pages, and the list under a tag. */
#include "registry_test.h"

#include "registry/v2_referrer.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TAG "sha256-" HEX
#define ENTRY(n, type)                                                                      \
    "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:" #n \
    "123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"size\":" #n        \
    "7,\"artifactType\":\"" type "\",\"annotations\":{\"k\":\"v" #n "\"}}"
#define INDEX(entries)                                                                                       \
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[" entries \
    "]}"
#define INDEX_TYPE "Content-Type: application/vnd.oci.image.index.v1+json\r\n"

static davit_digest subject(void)
{
    davit_digest d;
    assert_int_equal(davit_digest_parse("sha256:" HEX, &d, NULL), 0);
    return d;
}

static void referrer_tag__is_cut_and_cleaned(void **state)
{
    static const char *const rows[][2] = {
        {"sha256:" HEX, TAG},
        {"sha512:" HEX HEX, "sha512-" HEX},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_digest d;
        char tag[DV_REFERRER_TAG_MAX + 1];
        assert_int_equal(davit_digest_parse(rows[i][0], &d, NULL), 0);
        dv_referrer_tag(&d, tag);
        assert_string_equal(tag, rows[i][1]);
    }
}

/* "17 a/b v1; " for each. */
static int note(const davit_descriptor *d, const dv_json *entry, void *user_data)
{
    const char *k = dv_json_string(dv_json_get(dv_json_get(entry, "annotations"), "k"), NULL);
    dv_buf_printf(user_data, "%llu %s %s; ", (unsigned long long)d->size, d->artifact_type, k);
    return 0;
}

static void referrer_list__what_it_gives(void **state)
{
    static const struct {
        const char *what, *type;
        script_row rows[4];
        const char *listed, *asked;
        bool fallback;
        int code;
    } rows[] = {
        {"none", NULL, {{.request = "GET /v2/app/referrers/", .body = INDEX("")}}, "", "GET", false, 0},
        {"manifests is null", NULL, {{.request = "GET", .body = "{\"manifests\":null}"}}, "", "GET", false, 0},
        {"two",
         NULL,
         {{.request = "GET /v2/app/referrers/sha256:" HEX " ",
           .body = INDEX(ENTRY(1, "a/b") "," ENTRY(2, "c/d"))}},
         "17 a/b v1; 27 c/d v2; ",
         "GET",
         false,
         0},
        {"filtered here, whatever the registry did",
         "c/d",
         {{.request = "GET /v2/app/referrers/sha256:" HEX "?artifactType=c%2Fd ",
           .body = INDEX(ENTRY(1, "a/b") "," ENTRY(2, "c/d"))}},
         "27 c/d v2; ",
         "GET",
         false,
         0},
        {"page by page",
         NULL,
         {{.request = "GET /v2/app/referrers/sha256:" HEX " ",
           .headers = "Link: </v2/app/referrers/sha256:" HEX "?p=2>; rel=\"next\"\r\n",
           .body = INDEX(ENTRY(1, "a/b"))},
          {.request = "GET /v2/app/referrers/sha256:" HEX "?p=2 ", .body = INDEX(ENTRY(2, "c/d"))}},
         "17 a/b v1; 27 c/d v2; ",
         "GET GET",
         false,
         0},
        {"a next page on another host is asked for here (threat A8)",
         NULL,
         {{.request = "GET /v2/app/referrers/sha256:" HEX " ",
           .headers =
               "Link: <http://elsewhere.invalid/v2/app/referrers/sha256:" HEX "?p=2>; rel=\"next\"\r\n",
           .body = INDEX(ENTRY(1, "a/b"))},
          {.request = "GET /v2/app/referrers/sha256:" HEX "?p=2 ", .body = INDEX(ENTRY(2, "c/d"))}},
         "17 a/b v1; 27 c/d v2; ",
         "GET GET",
         false,
         0},
        {"a page that comes again",
         NULL,
         {{.request = "GET",
           .headers = "Link: </v2/app/referrers/sha256:" HEX ">; rel=\"next\"\r\n",
           .body = INDEX(ENTRY(1, "a/b"))}},
         "17 a/b v1; ",
         "GET",
         false,
         DAVIT_EPROTOCOL},
        {"no API: the tag",
         "a/b",
         {{.request = "GET /v2/app/manifests/" TAG " ",
           .headers = INDEX_TYPE,
           .body = INDEX(ENTRY(1, "a/b") "," ENTRY(2, "c/d"))}},
         "17 a/b v1; ",
         "GET GET",
         true,
         0},
        {"no API, no tag", NULL, {{.status = 404}}, "", "GET GET", true, 0},
        {"no API, and the tag is an image's",
         NULL,
         {{.request = "GET /v2/app/manifests/",
           .headers = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n",
           .body = "{}"}},
         "",
         "GET GET",
         true,
         0},
        {"denied", NULL, {{.status = 403}}, "", "GET", false, DAVIT_EDENIED},
        {"no index", NULL, {{.request = "GET", .body = "[]"}}, "", "GET", false, DAVIT_EFORMAT},
        {"a bad entry",
         NULL,
         {{.request = "GET", .body = INDEX("{\"digest\":\"x\",\"size\":1}")}},
         "",
         "GET",
         false,
         DAVIT_EFORMAT},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTO(dv_buf) listed = DV_BUF_INIT(4096);
        const davit_digest d = subject();
        bool fallback = !rows[i].fallback;
        size_t count = 0;
        while (count < DV_COUNT(rows[i].rows) && (rows[i].rows[count].request || rows[i].rows[count].status))
            count++;
        f->one = script_start(rows[i].rows, count);
        int r = dv_v2_referrer_list(open_plain(f, f->one), &d, rows[i].type, note, &listed, &fallback, &err);
        unsigned asked = script_count(f->one, "GET", NULL), wanted = strlen(rows[i].asked) > 3 ? 2 : 1;
        if (r != rows[i].code || strcmp(dv_buf_text(&listed), rows[i].listed) != 0 || asked != wanted ||
            (r == 0 && fallback != rows[i].fallback))
            fail_msg("%s: %s \"%s\", \"%s\", %u requests, fallback %d", rows[i].what, davit_code_name(r),
                     davit_error_message(err), dv_buf_text(&listed), asked, fallback);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(DV_STEAL(f->one));
    }
}

#define MANIFEST                                                                               \
    "{\"schemaVersion\":2,\"mediaType\":\"application/"                                        \
    "vnd.oci.image.manifest.v1+json\",\"artifactType\":\"sig/x\","                             \
    "\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":\"sha256:" HEX \
    "\",\"size\":2},"                                                                          \
    "\"layers\":[],\"subject\":{\"mediaType\":\"application/"                                  \
    "vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:" HEX                                \
    "\",\"size\":7},\"annotations\":{\"a\":\"b\"}}"

static const char *body_of(const char *request)
{
    return request ? strstr(request, "\r\n\r\n") + 4 : "";
}

static void referrer_add__mends_the_list_under_the_tag(void **state)
{
    static const char entry_format[] =
        "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":"
        "\"%s\",\"size\":%zu,\"artifactType\":\"sig/x\",\"annotations\":{\"a\":\"b\"}}";
    char own[512], text[2048];
    davit_digest digest;
    assert_int_equal(davit_digest_of(DAVIT_SHA256, MANIFEST, strlen(MANIFEST), &digest, NULL), 0);
    snprintf(own, sizeof(own), entry_format, digest.text, strlen(MANIFEST));
    const struct {
        const char *what, *there;
        const char *type;
        const char *before; /* in the new list */
        int code;
        bool puts;
    } rows[] = {
        {"no list yet", NULL, NULL, "", 0, true},
        {"behind others", INDEX(ENTRY(1, "a/b")), INDEX_TYPE, ENTRY(1, "a/b") ",", 0, true},
        {"something else has the tag", "{}", "Content-Type: text/plain\r\n", "", DAVIT_ECONFLICT, false},
        {"listed already", own, INDEX_TYPE, "", 0, false},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        bool listed = rows[i].there == own;
        snprintf(text, sizeof(text), INDEX("%s"), own);
        const char *there = listed ? text : rows[i].there;
        f->one = script_start(ROWS({.request = "PUT /v2/app/manifests/" TAG " ", .status = 201},
                                   {.request = there ? "GET /v2/app/manifests/" TAG " " : "GET /none",
                                    .headers = rows[i].type,
                                    .body = there}));
        int r = dv_v2_referrer_add(open_plain(f, f->one), MANIFEST, strlen(MANIFEST),
                                   "application/vnd.oci.image.manifest.v1+json", &err);
        DV_AUTOFREE char *put = script_request(f->one, "PUT", 0);
        snprintf(text, sizeof(text), INDEX("%s%s"), rows[i].before, own);
        if (r != rows[i].code || (put != NULL) != rows[i].puts || (put && strcmp(body_of(put), text) != 0))
            fail_msg("%s: %s \"%s\"\nexpected %s\n     got %s", rows[i].what, davit_code_name(r),
                     davit_error_message(err), text, body_of(put));
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(DV_STEAL(f->one));
    }
}

static void referrer_remove__takes_one_out(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    const davit_digest d = subject();
    davit_digest one;
    assert_int_equal(
        davit_digest_parse("sha256:1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", &one,
                           NULL),
        0);
    f->one = script_start(
        ROWS({.request = "PUT", .status = 201},
             {.request = "GET",
              .times = 1,
              .headers = INDEX_TYPE,
              .body = INDEX(ENTRY(1, "a/b") "," ENTRY(2, "c/d"))},
             {.request = "GET", .times = 1, .headers = INDEX_TYPE, .body = INDEX(ENTRY(2, "c/d"))}));
    open_plain(f, f->one);
    assert_ok(dv_v2_referrer_remove(f->registry, &d, &one, &err));
    assert_ok(dv_v2_referrer_remove(f->registry, &d, &one, &err)); /* not listed */
    assert_ok(dv_v2_referrer_remove(f->registry, &d, &one, &err)); /* no list */
    assert_int_equal(script_count(f->one, "PUT", NULL), 1);
    DV_AUTOFREE char *put = script_request(f->one, "PUT", 0);
    assert_string_equal(body_of(put), INDEX(ENTRY(2, "c/d")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(referrer_tag__is_cut_and_cleaned),
        client_test(referrer_list__what_it_gives),
        client_test(referrer_add__mends_the_list_under_the_tag),
        client_test(referrer_remove__takes_one_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
