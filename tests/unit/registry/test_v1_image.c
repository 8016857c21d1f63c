/* Unit tests of registry/v1_image.c and request_stream.c: registry-v1.md 5, 8-10. */
#include "v1_test.h"

#define AS_USER " [Authorization: Basic dTpw]"
#define BIG (3u << 20)

/* --- json ------------------------------------------------------------------------------------------------------------ */

static void davit_v1_image_get_json__keeps_the_bytes_and_the_checksums(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_image_json) json = NULL;
    v1_open(f, ROWS({NULL,
                     .headers = JSON "X-Docker-Size: 77\r\nX-Docker-Checksum-Payload: sha256:00, tarsum:1\r\n"
                                     "X-Docker-Checksum-Payload: sha256:01\r\n",
                     .body = "{ \"id\": \"x\" }\n"}));
    assert_ok(davit_v1_image_get_json(f->v1, ID, f->auth, &json, &err));
    assert_request(f->base.one, 0, "GET /v1/images/" ID "/json" AS_USER);
    assert_int_equal(json->size, 14);
    assert_memory_equal(json->bytes, "{ \"id\": \"x\" }\n", 14);
    assert_int_equal(json->layer_size, 77);
    assert_int_equal(json->checksums.count, 3);
    assert_string_equal(json->checksums.items[0], "sha256:00");
    assert_string_equal(json->checksums.items[1], "tarsum:1");
    assert_string_equal(json->checksums.items[2], "sha256:01");
}

static void davit_v1_image_get_json__what_is_not_said_is_not_known(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_image_json) json = NULL;
    v1_open(f, ROWS({NULL, .headers = "X-Docker-Size: many\r\n", .body = "{}"}));
    assert_ok(davit_v1_image_get_json(f->v1, ID, NULL, &json, &err));
    assert_true(json->layer_size == DAVIT_SIZE_UNKNOWN);
    assert_int_equal(json->checksums.count, 0);
}

static void davit_v1_image_get_metadata__reads_it(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_image_metadata) m = NULL;
    v1_open(f, ROWS({NULL, .headers = JSON, .body = "{\"id\":\"" ID "\",\"Size\":5}\n"}));
    assert_ok(davit_v1_image_get_metadata(f->v1, ID, f->auth, &m, &err));
    assert_request(f->base.one, 0, "GET /v1/images/" ID "/json" AS_USER);
    assert_string_equal(m->id, ID);
    assert_int_equal(m->size, 5);
    assert_memory_equal(m->raw, "{\"id\":\"" ID "\",\"Size\":5}\n", m->raw_size);
}

static void davit_v1_image_get_metadata__no_json_is_refused(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_image_metadata) m = NULL;
    v1_open(f, ROWS({NULL, .body = "<html>"}));
    assert_int_equal(davit_v1_image_get_metadata(f->v1, ID, NULL, &m, &err), DAVIT_EFORMAT);
    assert_false(davit_error_is_v1_registry(err));
}

static void davit_v1_image_add_metadata__json_with_a_newline(void **state)
{
    v1_fixture *f = *state;
    char id[] = ID;
    const davit_v1_image_metadata m = {.id = id};
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(dv_buf) expected = DV_BUF_INIT(4096);
    DV_AUTOFREE char *text = NULL;
    assert_ok(davit_v1_image_metadata_format(&m, &text, &err));
    dv_buf_printf(&expected, "PUT /v1/images/" ID "/json" AS_USER " [Content-Type: application/json] %s\n",
                  text);
    v1_open(f, ROWS({NULL, .body = "true"}));
    assert_ok(davit_v1_image_add_metadata(f->v1, ID, &m, f->auth, &err));
    assert_request(f->base.one, 0, dv_buf_text(&expected));
}

static void davit_v1_image_add_json__sends_the_bytes_as_they_are(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    v1_open(f, ROWS({NULL, .body = "true"}));
    assert_ok(davit_v1_image_add_json(f->v1, ID, "{ }", 3, f->auth, &err));
    assert_request(f->base.one, 0,
                   "PUT /v1/images/" ID "/json" AS_USER " [Content-Type: application/json] { }");
}

/* --- layer, down ------------------------------------------------------------------------------------------------------- */

/* Bytes that differ everywhere. */
static unsigned char *big_layer(void)
{
    unsigned char *bytes = malloc(BIG);
    assert_non_null(bytes);
    uint32_t x = 1;
    for (size_t i = 0; i < BIG; i++)
        bytes[i] = (unsigned char)((x = x * 1664525u + 1013904223u) >> 24);
    return bytes;
}

static int take(const void *bytes, size_t size, void *user_data)
{
    dv_buf *out = user_data;
    dv_buf_append(out, bytes, size);
    return out->failed;
}

static void davit_v1_image_get_layer__bytes_to_a_callback(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOFREE unsigned char *layer = big_layer();
    DV_AUTO(dv_buf) got = DV_BUF_INIT(BIG);
    uint64_t size = 0;
    v1_open(f, ROWS({NULL, .body = layer, .size = BIG}));
    assert_ok(davit_v1_image_get_layer(f->v1, ID, f->auth, take, &got, &size, &err));
    assert_request(f->base.one, 0, "GET /v1/images/" ID "/layer" AS_USER);
    assert_int_equal(size, BIG);
    assert_memory_equal(got.data, layer, BIG);
}

static void davit_v1_image_get_layer__goes_on_with_both_ends(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOFREE unsigned char *layer = big_layer();
    DV_AUTO(dv_buf) got = DV_BUF_INIT(BIG);
    char expected[128];
    v1_open(f, ROWS({NULL, .times = 1, .body = layer, .size = BIG, .cut = 1000000, .then = SCRIPT_CLOSE},
                    {NULL, .body = layer, .size = BIG, .ranges = true}));
    assert_ok(davit_v1_image_get_layer(f->v1, ID, f->auth, take, &got, NULL, &err));
    assert_int_equal(got.size, BIG);
    assert_memory_equal(got.data, layer, BIG);
    snprintf(expected, sizeof(expected), "GET /v1/images/" ID "/layer" AS_USER " [Range: bytes=1000000-%u]",
             BIG - 1);
    assert_request(f->base.one, 1, expected);
}

/* The reference server leaves "bytes " out. */
static void davit_v1_image_get_layer__a_content_range_has_a_unit_or_none(void **state)
{
    static const struct {
        const char *range;
        int code;
    } rows[] = {
        {"bytes 4-9/10", 0},
        {"4-9/10", 0},
        {"bytes 3-9/10", DAVIT_EPROTOCOL},
        {"4-9/11", DAVIT_EPROTOCOL},
        {"4-9", DAVIT_EPROTOCOL},
        {"4-9/*", DAVIT_EPROTOCOL},
        {"", DAVIT_EPROTOCOL},
    };
    v1_fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) got = DV_BUF_INIT(100);
        DV_AUTOPTR(davit_error) err = NULL;
        char header[128];
        snprintf(header, sizeof(header), "Content-Range: %s\r\n", rows[i].range);
        v1_open(f, ROWS({NULL, .times = 1, .body = "0123456789", .cut = 4, .then = SCRIPT_CLOSE},
                        {NULL, .status = 206, .headers = header, .body = "456789"}));
        int r = davit_v1_image_get_layer(f->v1, ID, NULL, take, &got, NULL, &err);
        if (r != rows[i].code || strcmp(dv_buf_text(&got), r ? "0123" : "0123456789") != 0)
            fail_msg("%s: %s %s \"%s\"", rows[i].range, davit_code_name(r), davit_error_message(err),
                     dv_buf_text(&got));
    }
}

static void davit_v1_image_get_layer__what_was_passed_on_is_not_passed_on_twice(void **state)
{
    v1_fixture *f = *state;
    DV_AUTO(dv_buf) got = DV_BUF_INIT(100);
    DV_AUTOPTR(davit_error) err = NULL;
    v1_open(f, ROWS({NULL, .times = 1, .body = "0123456789", .cut = 4, .then = SCRIPT_CLOSE},
                    {NULL, .body = "0123456789"}));
    assert_int_equal(davit_v1_image_get_layer(f->v1, ID, NULL, take, &got, NULL, &err), DAVIT_EPROTOCOL);
    assert_non_null(strstr(davit_error_message(err), "ignores ranges"));
    assert_string_equal(dv_buf_text(&got), "0123");
}

static void davit_v1_image_get_layer__without_a_length_there_is_no_going_on(void **state)
{
    v1_fixture *f = *state;
    DV_AUTO(dv_buf) got = DV_BUF_INIT(100);
    static const char raw[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n";
    v1_open(f, ROWS({NULL, .raw = true, .body = raw, .then = SCRIPT_CLOSE}));
    assert_int_equal(davit_v1_image_get_layer(f->v1, ID, NULL, take, &got, NULL, NULL), DAVIT_ENETWORK);
    assert_int_equal(script_count(f->base.one, "", NULL), 1);
}

static void davit_v1_image_get_layer__a_part_that_nobody_asked_for_is_refused(void **state)
{
    v1_fixture *f = *state;
    DV_AUTO(dv_buf) got = DV_BUF_INIT(100);
    v1_open(f, ROWS({NULL, .status = 206, .headers = "Content-Range: bytes 0-3/10\r\n", .body = "0123"}));
    assert_int_equal(davit_v1_image_get_layer(f->v1, ID, NULL, take, &got, NULL, NULL), DAVIT_EPROTOCOL);
    assert_int_equal(got.size, 0);
}

static int refuse_piece(const void *bytes, size_t size, void *user_data)
{
    return DAVIT_ENOSPACE;
}

static void davit_v1_image_get_layer__a_callback_that_refuses_ends_it(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOFREE unsigned char *layer = big_layer();
    v1_open(f, ROWS({NULL, .body = layer, .size = BIG}));
    assert_int_equal(davit_v1_image_get_layer(f->v1, ID, NULL, refuse_piece, NULL, NULL, NULL),
                     DAVIT_ENOSPACE);
    assert_int_equal(script_count(f->base.one, "", NULL), 1);
}

static void davit_v1_image_get_verified_layer__any_of_the_checksums(void **state)
{
    /* printf '{}\\nlayer' | sha256sum */
    char good[] = "sha256:3db12f91db95a0807d65a0f98032c3573e34a9b50de10745302cdab21e85c76f",
         bad[] = "sha256:00", tarsum[] = "tarsum+sha256:00";
    const struct {
        char *sums[2];
        int code;
    } rows[] = {
        {{good, bad}, 0},
        {{bad, good}, 0},
        {{tarsum, NULL}, 0},
        {{NULL, NULL}, 0},
        {{bad, NULL}, DAVIT_EDIGEST},
        {{bad, tarsum}, DAVIT_EDIGEST},
    };
    v1_fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char text[] = "{}", *sums[] = {rows[i].sums[0], rows[i].sums[1]};
        const davit_v1_image_json json = {
            .bytes = text, .size = 2, .checksums = {.items = sums, .count = !!sums[0] + !!sums[1]}};
        DV_AUTO(dv_buf) got = DV_BUF_INIT(100);
        v1_open(f, ROWS({NULL, .body = "layer"}));
        assert_int_equal(davit_v1_image_get_verified_layer(f->v1, ID, &json, NULL, take, &got, NULL, NULL),
                         rows[i].code);
        assert_string_equal(dv_buf_text(&got), "layer");
    }
}

/* --- layer, up --------------------------------------------------------------------------------------------------------- */

typedef struct source {
    const unsigned char *bytes;
    size_t size, at;
    int code; /* at the end */
} source;

static int give(void *bytes, size_t size, size_t *out_size, void *user_data)
{
    source *s = user_data;
    size_t n = s->size - s->at < size ? s->size - s->at : size;
    if (n == 0 && s->code < 0)
        return s->code;
    if (n > 0)
        memcpy(bytes, s->bytes + s->at, n);
    s->at += n;
    *out_size = n;
    return 0;
}

/* The body that came. */
static void assert_layer_came(script *s, const unsigned char *layer, size_t size)
{
    DV_AUTOFREE char *request = script_request(s, "PUT /v1/images/" ID "/layer", 0);
    assert_non_null(request);
    DV_AUTOFREE char *length = v1_header(request, "Content-Length");
    assert_non_null(length);
    assert_int_equal(strtoull(length, NULL, 10), size);
    assert_memory_equal(strstr(request, "\r\n\r\n") + 4, layer, size);
}

static void davit_v1_image_add_layer__sends_what_is_read(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOFREE unsigned char *layer = big_layer();
    source s = {.bytes = layer, .size = 60000};
    for (size_t i = 0; i < s.size; i++)
        layer[i] |= 1; /* the script keeps texts */
    v1_open(f, ROWS({NULL, .body = "true"}));
    assert_ok(davit_v1_image_add_layer(f->v1, ID, give, &s, s.size, f->auth, &err));
    assert_layer_came(f->base.one, layer, s.size);
}

static void davit_v1_image_add_layer__of_no_bytes(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    source s = {.bytes = NULL};
    v1_open(f, ROWS({NULL, .body = "true"}));
    assert_ok(davit_v1_image_add_layer(f->v1, ID, give, &s, 0, f->auth, &err));
    assert_request(f->base.one, 0, "PUT /v1/images/" ID "/layer" AS_USER);
}

static void davit_v1_image_add_layer__another_size_is_refused(void **state)
{
    static const uint64_t sizes[] = {9, 11};
    v1_fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(sizes); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        source s = {.bytes = (const unsigned char *)"0123456789", .size = 10};
        v1_open(f, ROWS({NULL, .body = "true"}));
        assert_int_equal(davit_v1_image_add_layer(f->v1, ID, give, &s, sizes[i], NULL, &err), DAVIT_EIO);
    }
}

static void davit_v1_image_add_layer__a_source_that_fails_ends_it(void **state)
{
    v1_fixture *f = *state;
    source s = {.bytes = (const unsigned char *)"0123", .size = 4, .code = DAVIT_ESTORE};
    v1_open(f, ROWS({NULL, .body = "true"}));
    assert_int_equal(davit_v1_image_add_layer(f->v1, ID, give, &s, 10, NULL, NULL), DAVIT_ESTORE);
}

/* The answer may come before the body has gone out. */
static void davit_v1_image_add_layer__an_early_refusal_is_heard(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    static const unsigned char none[1];
    source s = {.bytes = none, .size = 1};
    v1_open(f, ROWS({NULL, .status = 409, .body = "{\"error\":\"Image already exists\"}"}));
    int r = davit_v1_image_add_layer(f->v1, ID, give, &s, 1, f->auth, &err);
    assert_refused(f, r, &err, "PUT", "/v1/images/" ID "/layer", 409, "Image already exists");
}

static void davit_v1_image_add_layer__is_not_sent_twice(void **state)
{
    v1_fixture *f = *state;
    source s = {.bytes = (const unsigned char *)"0123", .size = 4};
    v1_open(f, ROWS({NULL, .status = 503}));
    assert_int_equal(davit_v1_image_add_layer(f->v1, ID, give, &s, 4, NULL, NULL), DAVIT_EUNAVAILABLE);
    assert_int_equal(script_count(f->base.one, "", NULL), 1);
}

/* Takes the framing of chunks away, in place. */
static size_t join_chunks(char *body)
{
    char *to = body;
    for (char *from = body;;) {
        char *end;
        size_t n = strtoul(from, &end, 16);
        if (n == 0)
            return (size_t)(to - body);
        memmove(to, end + 2, n);
        to += n;
        from = end + 2 + n + 2;
    }
}

static void davit_v1_image_add_layer__of_an_unknown_size_goes_in_chunks(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOFREE unsigned char *layer = big_layer();
    source s = {.bytes = layer, .size = 60000};
    for (size_t i = 0; i < s.size; i++)
        layer[i] |= 1; /* the script keeps texts */
    v1_open(f, ROWS({NULL, .body = "true"}));
    assert_ok(davit_v1_image_add_layer(f->v1, ID, give, &s, DAVIT_SIZE_UNKNOWN, f->auth, &err));
    DV_AUTOFREE char *request = script_request(f->base.one, "PUT /v1/images/" ID "/layer", 0);
    DV_AUTOFREE char *encoding = v1_header(request, "Transfer-Encoding");
    assert_string_equal(encoding, "chunked");
    char *body = strstr(request, "\r\n\r\n") + 4;
    assert_int_equal(join_chunks(body), s.size);
    assert_memory_equal(body, layer, s.size);
}

typedef struct canceller {
    davit_client *client;
    unsigned calls;
} canceller;

/* A davit_write_fn. */
static int take_and_cancel(const void *bytes, size_t size, void *user_data)
{
    canceller *c = user_data;
    c->calls++;
    davit_client_cancel(c->client);
    return 0;
}

/* A davit_read_fn without an end. */
static int give_and_cancel(void *bytes, size_t size, size_t *out_size, void *user_data)
{
    canceller *c = user_data;
    if (++c->calls == 3)
        davit_client_cancel(c->client);
    memset(bytes, 'x', size);
    *out_size = size;
    return 0;
}

static void v1_image__a_busy_transfer_hears_a_cancellation(void **state)
{
    v1_fixture *f = *state;
    canceller c = {.client = f->base.client};
    v1_open(f, ROWS({NULL, .body = "0123456789", .endless = true}));
    uint64_t from = dv_clock_ms();
    assert_int_equal(davit_v1_image_get_layer(f->v1, ID, NULL, take_and_cancel, &c, NULL, NULL),
                     DAVIT_ECANCELLED);
    assert_int_equal(c.calls, 1);
    assert_true(dv_clock_ms() - from < 3000);
}

static void v1_image__a_busy_upload_hears_a_cancellation(void **state)
{
    v1_fixture *f = *state;
    canceller c = {.client = f->base.client};
    v1_open(f, ROWS({NULL, .body = "true"}));
    uint64_t from = dv_clock_ms();
    assert_int_equal(davit_v1_image_add_layer(f->v1, ID, give_and_cancel, &c, 1u << 30, NULL, NULL),
                     DAVIT_ECANCELLED);
    assert_true(dv_clock_ms() - from < 3000);
    assert_true(c.calls < 100);
}

static void v1_image__a_cancelled_client_transfers_nothing(void **state)
{
    v1_fixture *f = *state;
    DV_AUTO(dv_buf) got = DV_BUF_INIT(100);
    v1_open(f, ROWS({NULL, .body = "0123"}));
    davit_client_cancel(f->base.client);
    assert_int_equal(davit_v1_image_get_layer(f->v1, ID, NULL, take, &got, NULL, NULL), DAVIT_ECANCELLED);
}

/* --- checksum, ancestry ------------------------------------------------------------------------------------------------ */

static void davit_v1_image_add_checksum__is_a_header(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    v1_open(f, ROWS({NULL, .body = "true"}));
    assert_ok(davit_v1_image_add_checksum(f->v1, ID, "sha256:00", f->auth, &err));
    assert_request(f->base.one, 0,
                   "PUT /v1/images/" ID "/checksum" AS_USER " [X-Docker-Checksum-Payload: sha256:00]");
    assert_int_equal(davit_v1_image_add_checksum(f->v1, ID, "a\nb", f->auth, NULL), DAVIT_EINVAL);
}

static void davit_v1_image_get_ancestry__the_image_first(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(davit_v1_texts) ids = {.items = NULL};
    v1_open(f, ROWS({NULL, .headers = JSON, .body = "[\"" ID "\",\"00112233445566bb\"]"}));
    assert_ok(davit_v1_image_get_ancestry(f->v1, ID, f->auth, &ids, &err));
    assert_request(f->base.one, 0, "GET /v1/images/" ID "/ancestry" AS_USER);
    assert_int_equal(ids.count, 2);
    assert_string_equal(ids.items[0], ID);
    assert_string_equal(ids.items[1], "00112233445566bb");
}

static void davit_v1_image_get_ancestry__wrong_types_are_refused(void **state)
{
    static const char *const bodies[] = {"{}", "[1]", "[[]]", "\"x\"", "", "[\"a\\u0000\"]"};
    v1_fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(bodies); i++) {
        davit_v1_texts ids = {.items = NULL};
        v1_open(f, ROWS({NULL, .body = bodies[i]}));
        if (davit_v1_image_get_ancestry(f->v1, ID, NULL, &ids, NULL) != DAVIT_EFORMAT || ids.items)
            fail_msg("%s: not refused", bodies[i]);
    }
}

/* --- the statuses of the table of routes ---------------------------------------------------------------------------------- */

typedef int ask_fn(v1_fixture *f, davit_error **err);

static int get_json(v1_fixture *f, davit_error **err)
{
    DV_AUTOPTR(davit_v1_image_json) json = NULL;
    return davit_v1_image_get_json(f->v1, ID, f->auth, &json, err);
}

static int get_layer(v1_fixture *f, davit_error **err)
{
    DV_AUTO(dv_buf) got = DV_BUF_INIT(100);
    return davit_v1_image_get_layer(f->v1, ID, f->auth, take, &got, NULL, err);
}

static int get_ancestry(v1_fixture *f, davit_error **err)
{
    DV_AUTO(davit_v1_texts) ids = {.items = NULL};
    return davit_v1_image_get_ancestry(f->v1, ID, f->auth, &ids, err);
}

static int put_json(v1_fixture *f, davit_error **err)
{
    return davit_v1_image_add_json(f->v1, ID, "{}", 2, f->auth, err);
}

static int put_layer(v1_fixture *f, davit_error **err)
{
    source s = {.bytes = (const unsigned char *)"0123", .size = 4};
    return davit_v1_image_add_layer(f->v1, ID, give, &s, 4, f->auth, err);
}

static int put_checksum(v1_fixture *f, davit_error **err)
{
    return davit_v1_image_add_checksum(f->v1, ID, "sha256:00", f->auth, err);
}

static void v1_image__statuses_of_its_routes(void **state)
{
    static const struct {
        ask_fn *ask;
        const char *method, *route;
        int status;
        const char *words;
    } rows[] = {
        {get_json, "GET", "json", 404, "Image not found"},
        {get_json, "GET", "json", 404, "Invalid image ID"},
        {get_json, "GET", "json", 400, "Image is being uploaded, retry later"},
        {get_json, "GET", "json", 401, "Requires authorization"},
        {get_layer, "GET", "layer", 404, "Image not found"},
        {get_layer, "GET", "layer", 400, "Image is being uploaded, retry later"},
        {get_layer, "GET", "layer", 416, NULL},
        {get_ancestry, "GET", "ancestry", 404, "Image not found"},
        {get_ancestry, "GET", "ancestry", 400, "Image is being uploaded, retry later"},
        {put_json, "PUT", "json", 400, "Invalid JSON"},
        {put_json, "PUT", "json", 400, "Missing key `id' in JSON"},
        {put_json, "PUT", "json", 400, "JSON data contains invalid id"},
        {put_json, "PUT", "json", 400, "This image does not belong to the repository"},
        {put_json, "PUT", "json", 400, "Image depends on a non existing parent"},
        {put_json, "PUT", "json", 400, "Image depends on an unauthorized parent"},
        {put_json, "PUT", "json", 409, "Image already exists"},
        {put_json, "PUT", "json", 404, "Invalid image ID"},
        {put_layer, "PUT", "layer", 404, "Image not found"},
        {put_layer, "PUT", "layer", 409, "Image already exists"},
        {put_layer, "PUT", "layer", 412, NULL},
        {put_checksum, "PUT", "checksum", 412, NULL},
        {put_checksum, "PUT", "checksum", 400, "Missing Image's checksum"},
        {put_checksum, "PUT", "checksum", 400, "Checksum mismatch"},
        {put_checksum, "PUT", "checksum", 404, "Image not found"},
        {put_checksum, "PUT", "checksum", 409, "Cannot set this image checksum"},
    };
    v1_fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char body[256] = "", path[128];
        DV_AUTOPTR(davit_error) err = NULL;
        if (rows[i].words)
            snprintf(body, sizeof(body), "{\"error\":\"%s\"}", rows[i].words);
        snprintf(path, sizeof(path), "/v1/images/" ID "/%s", rows[i].route);
        v1_open(f, ROWS({NULL, .status = rows[i].status, .headers = JSON, .body = body}));
        int r = rows[i].ask(f, &err);
        assert_refused(f, r, &err, rows[i].method, path, rows[i].status, rows[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        v1_test(davit_v1_image_get_json__keeps_the_bytes_and_the_checksums),
        v1_test(davit_v1_image_get_json__what_is_not_said_is_not_known),
        v1_test(davit_v1_image_get_metadata__reads_it),
        v1_test(davit_v1_image_get_metadata__no_json_is_refused),
        v1_test(davit_v1_image_add_metadata__json_with_a_newline),
        v1_test(davit_v1_image_add_json__sends_the_bytes_as_they_are),
        v1_test(davit_v1_image_get_layer__bytes_to_a_callback),
        v1_test(davit_v1_image_get_layer__goes_on_with_both_ends),
        v1_test(davit_v1_image_get_layer__a_content_range_has_a_unit_or_none),
        v1_test(davit_v1_image_get_layer__what_was_passed_on_is_not_passed_on_twice),
        v1_test(davit_v1_image_get_layer__without_a_length_there_is_no_going_on),
        v1_test(davit_v1_image_get_layer__a_part_that_nobody_asked_for_is_refused),
        v1_test(davit_v1_image_get_layer__a_callback_that_refuses_ends_it),
        v1_test(davit_v1_image_get_verified_layer__any_of_the_checksums),
        v1_test(davit_v1_image_add_layer__sends_what_is_read),
        v1_test(davit_v1_image_add_layer__of_no_bytes),
        v1_test(davit_v1_image_add_layer__another_size_is_refused),
        v1_test(davit_v1_image_add_layer__a_source_that_fails_ends_it),
        v1_test(davit_v1_image_add_layer__an_early_refusal_is_heard),
        v1_test(davit_v1_image_add_layer__is_not_sent_twice),
        v1_test(davit_v1_image_add_layer__of_an_unknown_size_goes_in_chunks),
        v1_test(v1_image__a_busy_transfer_hears_a_cancellation),
        v1_test(v1_image__a_busy_upload_hears_a_cancellation),
        v1_test(v1_image__a_cancelled_client_transfers_nothing),
        v1_test(davit_v1_image_add_checksum__is_a_header),
        v1_test(davit_v1_image_get_ancestry__the_image_first),
        v1_test(davit_v1_image_get_ancestry__wrong_types_are_refused),
        v1_test(v1_image__statuses_of_its_routes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
