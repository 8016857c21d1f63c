/* Unit tests of registry/upload_plan.c: how a blob is cut, and what answers mean (registry-v2.md 6, quirks.md). */
#include "registry/upload_plan.h"

#include "davit/common.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define UNKNOWN DAVIT_SIZE_UNKNOWN

static dv_headers one_header(const char *name, const char *value)
{
    dv_headers h = DV_HEADERS_INIT;
    if (value)
        assert_int_equal(dv_headers_add(&h, name, value, 0, NULL), 0);
    return h;
}

static void upload_plan__what_goes_next(void **state)
{
    static const struct {
        uint64_t size;
        bool begun, no_patch, ended;
        uint64_t chunk_min, at;
        dv_upload_method method;
        uint64_t length;
    } rows[] = {
        {0, false, false, false, 0, 0, DV_UPLOAD_PUT, 0},
        {1, false, false, false, 0, 0, DV_UPLOAD_PUT, 1},
        {16 * MIB, false, false, false, 0, 0, DV_UPLOAD_PUT, 16 * MIB},
        {16 * MIB + 1, false, false, false, 0, 0, DV_UPLOAD_PATCH, 8 * MIB},
        {16 * MIB + 1, false, false, false, 0, 16 * MIB, DV_UPLOAD_PATCH, 1},
        {16 * MIB + 1, false, false, false, 0, 16 * MIB + 1, DV_UPLOAD_FINISH, 0},
        {20 * MIB, false, false, false, 12 * MIB, 0, DV_UPLOAD_PATCH, 12 * MIB},
        {20 * MIB, false, false, false, 12 * MIB, 12 * MIB, DV_UPLOAD_PATCH, 8 * MIB},
        {20 * MIB, false, false, false, 4096, 0, DV_UPLOAD_PATCH, 8 * MIB},
        {20 * MIB, false, false, false, 2048 * MIB, 0, DV_UPLOAD_PATCH, 8 * MIB}, /* more than we give */
        {20 * MIB, false, true, false, 0, 0, DV_UPLOAD_PUT, 20 * MIB},
        {2 * MIB, true, false, false, 0, MIB, DV_UPLOAD_PATCH, MIB},
        {2 * MIB, true, false, false, 0, 2 * MIB, DV_UPLOAD_FINISH, 0},
        {UNKNOWN, false, false, false, 0, 0, DV_UPLOAD_PATCH, UNKNOWN},
        {UNKNOWN, false, false, true, 0, 5, DV_UPLOAD_FINISH, 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char min[32];
        dv_upload_plan plan;
        snprintf(min, sizeof(min), "%llu", (unsigned long long)rows[i].chunk_min);
        DV_AUTO(dv_headers) answer = one_header("OCI-Chunk-Min-Length", rows[i].chunk_min ? min : NULL);
        dv_upload_plan_init(&plan, rows[i].size, rows[i].begun);
        dv_upload_plan_opened(&plan, &answer);
        plan.no_patch = rows[i].no_patch;
        dv_upload_piece piece = dv_upload_plan_next(&plan, rows[i].at, rows[i].ended);
        if (piece.method != rows[i].method || piece.size != rows[i].length || piece.first != rows[i].at)
            fail_msg("row %zu: method %d, %llu bytes from %llu", i, piece.method,
                     (unsigned long long)piece.size, (unsigned long long)piece.first);
    }
}

static void upload_range__texts(void **state)
{
    static const struct {
        const char *text;
        int r;
        uint64_t size;
    } rows[] = {
        {NULL, 0, 0},
        {"", 0, 0},
        {"0-0", 0, 0}, /* nothing, or one byte */
        {"0-1", 1, 2},
        {"0-8388607", 1, 8388608},
        {"bytes=0-5", 1, 6},
        {"0-", DAVIT_EPROTOCOL, 0},
        {"0", DAVIT_EPROTOCOL, 0},
        {"-5", DAVIT_EPROTOCOL, 0},
        {"5-9", DAVIT_EPROTOCOL, 0},
        {"0-x", DAVIT_EPROTOCOL, 0},
        {"0-18446744073709551615", DAVIT_EPROTOCOL, 0},
        {"0-18446744073709551616", DAVIT_EPROTOCOL, 0},
        {"bytes 0-5/6", DAVIT_EPROTOCOL, 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_headers) answer = one_header("Range", rows[i].text);
        DV_AUTOPTR(davit_error) err = NULL;
        uint64_t size = 0;
        int r = dv_upload_range(&answer, &size, &err);
        if (r != rows[i].r || size != rows[i].size ||
            (r < 0 && !strstr(davit_error_message(err), "bad range format: ")))
            fail_msg("\"%s\": %d, %llu, %s", rows[i].text, r, (unsigned long long)size,
                     davit_error_message(err));
    }
}

static void upload_patched__where_to_go_on(void **state)
{
    static const struct {
        const char *range;
        uint64_t size, before, sent, at; /* at UNKNOWN: refused */
        bool ranged;
    } rows[] = {
        {"0-99", 300, 0, 100, 100, true},
        {NULL, 300, 0, 100, 100, false},
        {"0-0", 300, 0, 100, 100, false},
        {"0-199", 300, 100, 100, 200, true},
        {"0-99", 300, 100, 100, 200, false}, /* stuck at the first piece (ECR): our own count is the right one */
        {"0-49", 300, 100, 100, 200, false},  /* no news either */
        {"0-149", 300, 100, 100, 150, false}, /* it took a part */
        {"0-200", 300, 100, 100, UNKNOWN, false},
        {"0-98", UNKNOWN, 0, 100, UNKNOWN, false}, /* its bytes are gone */
        {"0-99", UNKNOWN, 0, 100, 100, true},
        {"x", 300, 0, 100, UNKNOWN, false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_headers) answer = one_header("Range", rows[i].range);
        dv_upload_plan plan;
        uint64_t at = UNKNOWN;
        dv_upload_plan_init(&plan, rows[i].size, false);
        int r = dv_upload_patched(&plan, &answer, rows[i].before, rows[i].sent, &at, NULL);
        if (at != rows[i].at || (at == UNKNOWN) != (r == DAVIT_EPROTOCOL) || plan.ranged != rows[i].ranged)
            fail_msg("row %zu: %d, %llu, %d", i, r, (unsigned long long)at, plan.ranged);
    }
}

static void upload_asked__where_to_go_on(void **state)
{
    static const struct {
        const char *range;
        bool ranged;
        uint64_t known, at;
    } rows[] = {
        {"0-99", false, 50, 100}, {"0-99", false, 200, 200}, /* it was never seen to tell the truth (ECR) */
        {"0-99", true, 200, 100}, {"0-0", true, 200, 200},      {NULL, true, 200, 200},
        {"0-299", false, 0, 300}, {"0-300", false, 0, UNKNOWN}, {"nonsense", false, 0, UNKNOWN},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_headers) answer = one_header("Range", rows[i].range);
        dv_upload_plan plan;
        uint64_t at = UNKNOWN;
        dv_upload_plan_init(&plan, 300, true);
        plan.ranged = rows[i].ranged;
        int r = dv_upload_asked(&plan, &answer, rows[i].known, &at, NULL);
        if (at != rows[i].at || (at == UNKNOWN) != (r == DAVIT_EPROTOCOL))
            fail_msg("row %zu: %d, %llu", i, r, (unsigned long long)at);
    }
}

/* What became of it, and of the plan: the size of the next piece, and whether PATCH is still used. */
static void upload_plan_failed__turns(void **state)
{
    static const struct {
        uint64_t size;
        dv_upload_piece piece;
        int code, status;
        const char *registry_code;
        bool doubtful;
        dv_upload_turn turn;
        uint64_t next; /* bytes of the next piece from 0 on */
        dv_upload_method method;
    } rows[] = {
        {20 * MIB, {DV_UPLOAD_PATCH, 0, 8 * MIB}, DAVIT_ENETWORK, 0, "", 0, DV_UPLOAD_LATER, 8 * MIB, 0},
        {20 * MIB, {DV_UPLOAD_PATCH, 0, 8 * MIB}, DAVIT_EUNAVAILABLE, 503, "", 0, DV_UPLOAD_LATER, 8 * MIB, 0},
        {20 * MIB, {DV_UPLOAD_PATCH, 0, 8 * MIB}, DAVIT_EDENIED, 403, "DENIED", 0, DV_UPLOAD_FAIL, 8 * MIB, 0},
        {20 * MIB,
         {DV_UPLOAD_PATCH, 0, 8 * MIB},
         DAVIT_ENOTFOUND,
         404,
         "BLOB_UPLOAD_UNKNOWN",
         0,
         DV_UPLOAD_RESTART,
         8 * MIB,
         0},
        {20 * MIB, {DV_UPLOAD_PATCH, 0, 8 * MIB}, DAVIT_EREGISTRY, 416, "", 0, DV_UPLOAD_ASK, 8 * MIB, 0},
        {20 * MIB, {DV_UPLOAD_PATCH, 0, 8 * MIB}, DAVIT_EREGISTRY, 413, "", 0, DV_UPLOAD_ASK, 4 * MIB, 0},
        {20 * MIB, {DV_UPLOAD_PATCH, 0, MIB}, DAVIT_EREGISTRY, 413, "", 0, DV_UPLOAD_FAIL, 8 * MIB, 0},
        {20 * MIB,
         {DV_UPLOAD_PATCH, 0, 8 * MIB},
         DAVIT_EREGISTRY,
         405,
         "UNSUPPORTED",
         0,
         DV_UPLOAD_AGAIN,
         20 * MIB,
         DV_UPLOAD_PUT},
        {20 * MIB,
         {DV_UPLOAD_PATCH, 0, 8 * MIB},
         DAVIT_EUNAVAILABLE,
         501,
         "",
         0,
         DV_UPLOAD_AGAIN,
         20 * MIB,
         DV_UPLOAD_PUT},
        {20 * MIB,
         {DV_UPLOAD_PATCH, 0, 8 * MIB},
         DAVIT_EREGISTRY,
         400,
         "UNKNOWN",
         0,
         DV_UPLOAD_AGAIN,
         20 * MIB,
         DV_UPLOAD_PUT},
        {20 * MIB,
         {DV_UPLOAD_PATCH, 8 * MIB, 8 * MIB},
         DAVIT_EREGISTRY,
         400,
         "UNKNOWN",
         0,
         DV_UPLOAD_FAIL,
         8 * MIB,
         0},
        {3 * MIB, {DV_UPLOAD_PUT, 0, 3 * MIB}, DAVIT_EREGISTRY, 413, "", 0, DV_UPLOAD_AGAIN, 3 * MIB / 2, 0},
        {16 * MIB, {DV_UPLOAD_PUT, 0, 16 * MIB}, DAVIT_EREGISTRY, 413, "", 0, DV_UPLOAD_AGAIN, 8 * MIB, 0},
        {1000, {DV_UPLOAD_PUT, 0, 1000}, DAVIT_EREGISTRY, 413, "", 0, DV_UPLOAD_FAIL, 1000, DV_UPLOAD_PUT},
        {1000, {DV_UPLOAD_PUT, 0, 1000}, DAVIT_ENETWORK, 0, "", 0, DV_UPLOAD_LATER, 1000, DV_UPLOAD_PUT},
        {1000,
         {DV_UPLOAD_PUT, 0, 1000},
         DAVIT_EREGISTRY,
         400,
         "DIGEST_INVALID",
         0,
         DV_UPLOAD_FAIL,
         1000,
         DV_UPLOAD_PUT},
        {20 * MIB,
         {DV_UPLOAD_FINISH, 20 * MIB, 0},
         DAVIT_EREGISTRY,
         400,
         "DIGEST_INVALID",
         0,
         DV_UPLOAD_FAIL,
         8 * MIB,
         0},
        {20 * MIB,
         {DV_UPLOAD_FINISH, 20 * MIB, 0},
         DAVIT_EREGISTRY,
         400,
         "DIGEST_INVALID",
         1,
         DV_UPLOAD_AGAIN,
         8 * MIB,
         0},
        {UNKNOWN, {DV_UPLOAD_PATCH, 0, UNKNOWN}, DAVIT_EREGISTRY, 411, "", 0, DV_UPLOAD_FAIL, UNKNOWN, 0},
        {UNKNOWN, {DV_UPLOAD_PATCH, 0, UNKNOWN}, DAVIT_EREGISTRY, 413, "", 0, DV_UPLOAD_FAIL, UNKNOWN, 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        dv_upload_plan plan;
        dv_error_set(&err, rows[i].code, "refused");
        err->http_status = rows[i].status;
        strcpy(err->registry_code, rows[i].registry_code);
        dv_upload_plan_init(&plan, rows[i].size, false);
        plan.doubtful = rows[i].doubtful;
        dv_upload_turn turn = dv_upload_plan_failed(&plan, &rows[i].piece, err);
        dv_upload_piece next = dv_upload_plan_next(&plan, 0, false);
        if (turn != rows[i].turn || next.size != rows[i].next || next.method != rows[i].method)
            fail_msg("row %zu: turn %d, then method %d with %llu bytes", i, turn, next.method,
                     (unsigned long long)next.size);
        if (turn == DV_UPLOAD_AGAIN && rows[i].doubtful)
            assert_int_equal(dv_upload_plan_failed(&plan, &rows[i].piece, err), DV_UPLOAD_FAIL); /* once */
    }
}

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void upload_with_digest__keeps_the_query(void **state)
{
    static const char *const rows[][2] = {
        {"https://r.example/u", "https://r.example/u?digest=sha256%3A" HEX},
        {"https://r.example/u?_state=a%2Fb%3D&x=",
         "https://r.example/u?_state=a%2Fb%3D&x=&digest=sha256%3A" HEX},
        {"https://r.example/u?digest=old&s=1", "https://r.example/u?s=1&digest=sha256%3A" HEX},
        {"https://r.example/u?s=1&digest=old", "https://r.example/u?s=1&digest=sha256%3A" HEX},
        {"https://r.example/u?digest", "https://r.example/u?digest=sha256%3A" HEX},
        {"https://r.example/u?digests=1", "https://r.example/u?digests=1&digest=sha256%3A" HEX},
    };
    davit_digest digest;
    assert_int_equal(davit_digest_parse("sha256:" HEX, &digest, NULL), 0);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_url) url = DV_URL_INIT;
        DV_AUTO(dv_buf) out = DV_BUF_INIT(DV_URL_MAX);
        assert_int_equal(dv_url_parse(rows[i][0], &url, NULL), 0);
        dv_upload_with_digest(&url, &digest, &out);
        assert_string_equal(dv_buf_text(&out), rows[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upload_plan__what_goes_next),
        cmocka_unit_test(upload_range__texts),
        cmocka_unit_test(upload_patched__where_to_go_on),
        cmocka_unit_test(upload_asked__where_to_go_on),
        cmocka_unit_test(upload_plan_failed__turns),
        cmocka_unit_test(upload_with_digest__keeps_the_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
