/* Unit tests of distribution/xfer_download.c: one blob through what registries do to it (DESIGN section 5, pull.md 7.3). */
#include "puller.h"

#include "store/ingest.h"

#define BLOB (300 * KIB)

typedef struct story {
    const char *what;
    script_row rows[4]; /* how it is answered, one after the other; the last for ever */
    int code;
    unsigned asked;
    uint64_t most;    /* bytes sent in all */
    const char *with; /* what the last request holds */
    const char *words;
} story;

static void check_story(fixture *f, const story *st, unsigned seed)
{
    blob b = blob_make(BLOB, seed);
    script_stop(f->script);
    f->script = script_start(NULL, 0);
    for (size_t i = 0; i < DV_COUNT(st->rows) && (i == 0 || st->rows[i - 1].times); i++)
        serve_blob(f->script, &b, st->rows[i]);
    {
        DV_AUTOPTR(puller) p = puller_new(f);
        puller_start(p, &b, 1);
        bool ended = puller_wait(p, 8000);
        int code = davit_error_code(p->watches[0].err);
        unsigned asked = script_count(f->script, "GET", NULL);
        DV_AUTOFREE char *last = script_request(f->script, "GET", asked ? asked - 1 : 0);
        uint64_t sent = script_sent(f->script, 0);
        bool there = has_blob(f, &b);
        if (!ended || code != st->code || there != (code == 0) || asked != st->asked || sent > st->most ||
            p->late || (st->with && !strstr(last, st->with)) ||
            (st->words && !strstr(davit_error_message(p->watches[0].err), st->words)))
            fail_msg(
                "%s: expected %s, %u requests, at most %llu bytes; got %s \"%s\", %u, %llu, %s; last was\n%s",
                st->what, davit_code_name(st->code), st->asked, (unsigned long long)st->most,
                ended ? davit_code_name(code) : "no end", davit_error_message(p->watches[0].err), asked,
                (unsigned long long)sent, there ? "there" : "not there", last ? last : "nothing");
        if (code == DAVIT_EDIGEST && count_files(f, "ingest") != 0)
            fail_msg("%s: wrong bytes were kept", st->what); /* of no use to anybody */
    }
    blob_clear(&b);
}

#define CUT(at)                                                       \
    {                                                                 \
        .times = 1, .ranges = true, .cut = (at), .then = SCRIPT_CLOSE \
    }

static void download__comes_through(void **state)
{
    static const story rows[] = {
        {"at once", {{.ranges = true}}, 0, 1, BLOB, NULL, NULL},
        {"cut, resumed", {CUT(100 * KIB), {.ranges = true}}, 0, 2, BLOB, "\r\nRange: bytes=102400-\r\n", NULL},
        {"reset, resumed",
         {{.times = 1, .cut = 100 * KIB, .drip_ms = 1, .drip_size = 20 * KIB, .then = SCRIPT_RESET},
          {.ranges = true}},
         0,
         2,
         2 * BLOB,
         NULL,
         NULL},
        {"cut twice",
         {CUT(100 * KIB), CUT(64 * KIB), {.ranges = true}},
         0,
         3,
         BLOB,
         "\r\nRange: bytes=167936-\r\n",
         NULL},
        {"cut before its first byte", {CUT(SCRIPT_CUT_HEAD), {.ranges = true}}, 0, 2, BLOB, NULL, NULL},
        {"Range ignored", {CUT(100 * KIB), {.times = 0}}, 0, 3, 3 * BLOB, NULL, NULL},
        {"Range refused with 416",
         {CUT(100 * KIB), {.times = 1, .status = 416}, {.times = 0}},
         0,
         3,
         2 * BLOB,
         NULL,
         NULL},
        {"Range refused with 400",
         {CUT(100 * KIB), {.times = 1, .status = 400}, {.times = 0}},
         0,
         3,
         2 * BLOB,
         NULL,
         NULL},
        {"503 twice", {{.times = 2, .status = 503}, {.ranges = true}}, 0, 3, BLOB, NULL, NULL},
        {"429", {{.times = 1, .status = 429}, {.ranges = true}}, 0, 2, BLOB, NULL, NULL},
        {"corrupt, then good",
         {{.times = 1, .body = "\0", .size = BLOB}, {.ranges = true}},
         0,
         2,
         2 * BLOB,
         NULL,
         NULL},
        {"too short a length, then good", /* quirks.md: 200 with fewer bytes */
         {{.times = 1, .body = "short"}, {.ranges = true}},
         0,
         2,
         2 * BLOB,
         NULL,
         NULL},
    };
    static char zeros[BLOB];
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        story st = rows[i];
        for (size_t k = 0; k < DV_COUNT(st.rows); k++)
            if (st.rows[k].size == BLOB)
                st.rows[k].body = zeros;
        check_story(*state, &st, (unsigned)i);
    }
}

/* threat B6: nothing wrong gets a name; and no registry makes us ask for ever. */
static void download__gives_up(void **state)
{
    static char zeros[BLOB + 100];
    static const story rows[] = {
        {"unknown", {{.status = 404}}, DAVIT_ENOTFOUND, 1, 0, NULL, "unknown blob"},
        {"503 for ever", {{.status = 503}}, DAVIT_EUNAVAILABLE, 5, 0, NULL, "503 Service Unavailable"},
        {"denied", {{.status = 403}}, DAVIT_EDENIED, 1, 0, NULL, NULL},
        {"cut for ever at its beginning",
         {{.cut = SCRIPT_CUT_HEAD, .then = SCRIPT_CLOSE}},
         DAVIT_ENETWORK,
         5,
         0,
         NULL,
         NULL},
        {"corrupt", {{.body = zeros, .size = BLOB}}, DAVIT_EDIGEST, 2, 2 * BLOB, NULL, NULL},
        {"too short a length",
         {{.body = zeros, .size = BLOB - 1}},
         DAVIT_EDIGEST,
         2,
         2 * BLOB,
         NULL,
         "fewer bytes"},
        {"too long a length",
         {{.body = zeros, .size = BLOB + 1}},
         DAVIT_EDIGEST,
         2,
         3 * BLOB,
         NULL,
         "more bytes"},
        {"endless",
         {{.body = zeros, .size = BLOB, .endless = true}},
         DAVIT_EDIGEST,
         2,
         64 * BLOB,
         NULL,
         "more bytes"},
        {"waits too long",
         {{.status = 429, .headers = "Retry-After: 1000\r\n"}},
         DAVIT_ERATELIMIT,
         1,
         0,
         NULL,
         "asks to wait 1000 s, longer than 60 s"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_story(*state, &rows[i], 100 + (unsigned)i);
}

/* 32 KiB of new bytes make the count of attempts begin anew. */
static void download__progress_resets_the_attempts(void **state)
{
    fixture *f = *state;
    blob b = blob_make(BLOB, 200);
    serve_blob(f->script, &b, (script_row){.times = 8, .ranges = true, .cut = 33 * KIB, .then = SCRIPT_CLOSE});
    serve_blob(f->script, &b, (script_row){.ranges = true});
    DV_AUTOPTR(puller) p = puller_new(f);
    puller_start(p, &b, 1);
    assert_complete(p);
    assert_int_equal(script_count(f->script, "GET", NULL), 9);
    assert_int_equal(script_sent(f->script, 0), BLOB);
    blob_clear(&b);
}

/* Retry-After on a blob, in whole seconds for the user. */
static void download__tells_how_long_it_waits(void **state)
{
    fixture *f = *state;
    blob b = blob_make(BLOB, 201);
    serve_blob(f->script, &b, (script_row){.times = 1, .status = 503, .headers = "Retry-After: 1\r\n"});
    serve_blob(f->script, &b, (script_row){0});
    DV_AUTOPTR(puller) p = puller_new(f);
    uint64_t begin = dv_clock_ms();
    puller_start(p, &b, 1);
    assert_complete(p);
    uint64_t took = dv_clock_ms() - begin;
    assert_in_range(took, 1000, 1800);
    assert_true(p->told[0][DV_XFER_RETRYING] >= 1);
    assert_int_equal(p->told[0][DV_XFER_VERIFYING], 1);
    blob_clear(&b);
}

/* What an earlier process left is not asked for again. */
static void download__goes_on_from_what_is_on_disk(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    blob b = blob_make(2 * MIB, 202);
    dv_store *store = NULL;
    dv_ingest *ingest = NULL;
    assert_ok(dv_store_open(f->dir, DV_STORE_CREATE, &store, &err));
    assert_ok(dv_ingest_open(store, &b.descriptor, &ingest, &err));
    assert_ok(dv_ingest_write(ingest, b.bytes, MIB + 5, &err));
    dv_ingest_close(ingest);
    serve_blob(f->script, &b, (script_row){.ranges = true});
    DV_AUTOPTR(puller) p = puller_new(f);
    puller_start(p, &b, 1);
    assert_complete(p);
    assert_int_equal(script_count(f->script, "GET", "\r\nRange: bytes=1048581-\r\n"), 1);
    assert_int_equal(script_sent(f->script, 0), MIB - 5);
    assert_true(has_blob(f, &b));
    dv_store_unref(store);
    blob_clear(&b);
}

/* What was left is wrong: everything once more, and then it is right. */
static void download__does_not_trust_what_is_on_disk(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    blob b = blob_make(BLOB, 203), wrong = blob_make(BLOB, 204);
    dv_store *store = NULL;
    dv_ingest *ingest = NULL;
    assert_ok(dv_store_open(f->dir, DV_STORE_CREATE, &store, &err));
    assert_ok(dv_ingest_open(store, &b.descriptor, &ingest, &err));
    assert_ok(dv_ingest_write(ingest, wrong.bytes, 100 * KIB, &err));
    dv_ingest_close(ingest);
    serve_blob(f->script, &b, (script_row){.ranges = true});
    DV_AUTOPTR(puller) p = puller_new(f);
    puller_start(p, &b, 1);
    assert_complete(p);
    assert_int_equal(script_count(f->script, "GET", NULL), 2);
    assert_int_equal(script_count(f->script, "GET", "\r\nRange: "), 1);
    assert_true(has_blob(f, &b));
    dv_store_unref(store);
    blob_clear(&b);
    blob_clear(&wrong);
}

/* --- somebody else downloads it -------------------------------------------------------------------------------------- */

static void download__waits_for_another_owner(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    blob b = blob_make(BLOB, 205);
    dv_store *store = NULL;
    dv_ingest *ingest = NULL;
    assert_ok(dv_store_open(f->dir, DV_STORE_CREATE, &store, &err));
    assert_ok(dv_ingest_open(store, &b.descriptor, &ingest, &err));
    assert_ok(dv_ingest_write(ingest, b.bytes, 100 * KIB, &err));
    DV_AUTOPTR(puller) p = puller_new(f);
    puller_start(p, &b, 1);
    assert_false(puller_wait(p, 60));
    assert_int_equal(p->told[0][DV_XFER_WAITING], 1);
    assert_ok(dv_ingest_write(ingest, b.bytes + 100 * KIB, BLOB - 100 * KIB, &err));
    assert_ok(dv_ingest_commit(ingest, &err));
    assert_complete(p);
    assert_false(p->watches[0].transferred);
    assert_int_equal(script_count(f->script, "GET", NULL), 0);
    dv_store_unref(store);
    blob_clear(&b);
}

/* The other owner gives up, or makes no progress for a stall limit: we do it ourselves. */
static void download__takes_over_from_another_owner(void **state)
{
    fixture *f = *state;
    for (unsigned stalls = 0; stalls < 2; stalls++) {
        davit_error *err = NULL;
        blob b = blob_make(BLOB, 206 + stalls);
        dv_store *store = NULL;
        dv_ingest *ingest = NULL;
        davit_client_options options = quick_options(f);
        options.stall_timeout_ms = stalls ? 300 : 5000;
        use_options(f, &options);
        assert_ok(dv_store_open(f->dir, DV_STORE_CREATE, &store, &err));
        assert_ok(dv_ingest_open(store, &b.descriptor, &ingest, &err));
        assert_ok(dv_ingest_write(ingest, b.bytes, 100 * KIB, &err));
        serve_blob(f->script, &b, (script_row){.ranges = true, .group = stalls});
        {
            DV_AUTOPTR(puller) p = puller_new(f);
            puller_start(p, &b, 1);
            assert_false(puller_wait(p, 60));
            if (!stalls)
                dv_ingest_close(DV_STEAL(ingest));
            assert_complete(p);
            assert_true(p->watches[0].transferred);
        }
        assert_int_equal(script_sent(f->script, stalls), stalls ? BLOB : BLOB - 100 * KIB);
        assert_true(has_blob(f, &b));
        dv_ingest_close(ingest);
        dv_store_unref(store);
        blob_clear(&b);
    }
}

/* --- several connections ------------------------------------------------------------------------------------------------ */

/* The store and the registry anew, then the blob; how many requests ran at once. */
static unsigned fetch_anew(fixture *f, const blob *b, uint32_t number)
{
    char command[64];
    davit_client_options options = quick_options(f);
    options.max_concurrent_downloads = number;
    davit_client_free(DV_STEAL(f->client));
    snprintf(command, sizeof(command), "rm -rf '%s'/*", f->dir);
    assert_int_equal(system(command), 0);
    use_options(f, &options);
    script_stop(f->script);
    f->script = script_start(NULL, 0);
    serve_blob(f->script, b, (script_row){.ranges = true, .drip_ms = 1, .drip_size = 32 * KIB});
    DV_AUTOPTR(puller) p = puller_new(f);
    puller_start(p, b, 1);
    assert_complete(p);
    return script_peak(f->script, 0);
}

/*
 * A slow link to a large blob: several ranges, of which not a byte is asked for twice. A machine that is itself the slow one
 * keeps to one connection, so that more of them are asked for once in some tries only.
 */
static void download__large_blobs_come_over_several_connections(void **state)
{
    static const struct {
        uint32_t number;
        unsigned most;
    } rows[] = {{0, 6}, {2, 2}};
    fixture *f = *state;
    blob b = blob_make(33 * MIB, 208);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        unsigned peak = 1;
        for (unsigned tries = 0; tries < 5 && peak < 2; tries++) {
            peak = fetch_anew(f, &b, rows[i].number);
            if (peak > rows[i].most || script_sent(f->script, 0) != 33 * MIB || !has_blob(f, &b))
                fail_msg("%u given: %u connections, %llu bytes", rows[i].number, peak,
                         (unsigned long long)script_sent(f->script, 0));
        }
        assert_true(peak >= 2);
    }
    blob_clear(&b);
}

static void download__says_once_that_it_would_wait_too_long(void **state)
{
    fixture *f = *state;
    blob b = blob_make(BLOB, 300);
    serve_blob(f->script, &b, (script_row){.status = 429, .headers = "Retry-After: 1000\r\n"});
    DV_AUTOPTR(puller) p = puller_new(f);
    puller_start(p, &b, 1);
    assert_true(puller_wait(p, 4000));
    const char *text = davit_error_message(p->watches[0].err), *first = strstr(text, "asks to wait");
    if (!first || strstr(first + 1, "asks to wait"))
        fail_msg("%s", text);
    blob_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pull_test(download__comes_through),
        pull_test(download__says_once_that_it_would_wait_too_long),
        pull_test(download__gives_up),
        pull_test(download__progress_resets_the_attempts),
        pull_test(download__tells_how_long_it_waits),
        pull_test(download__goes_on_from_what_is_on_disk),
        pull_test(download__does_not_trust_what_is_on_disk),
        pull_test(download__waits_for_another_owner),
        pull_test(download__takes_over_from_another_owner),
        pull_test(download__large_blobs_come_over_several_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
