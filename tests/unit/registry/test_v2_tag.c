/* Unit tests of registry/v2_tag.c: registry-v2.md 7, threats A8, C2, C4. */
#include "registry_test.h"

#include "registry/v2_tag.h"

/* The tags as they come, joined by spaces; ends it behind the nth. */
typedef struct taker {
    dv_buf text;
    unsigned count, stop_at; /* 0: never */
} taker;

static int take(const char *tag, void *user_data)
{
    taker *t = user_data;
    dv_buf_printf(&t->text, "%s%s", t->count++ ? " " : "", tag);
    return t->count == t->stop_at;
}

#define PAGE(tags) "{\"name\":\"app\",\"tags\":" tags "}"
#define FIRST "GET /v2/app/tags/list HTTP"

typedef struct tag_row {
    const char *what;
    script_row pages[4];
    unsigned stop_at;
    const char *expected; /* the tags, or NULL */
    int code;
    const char *words;
} tag_row;

static void check(fixture *f, const tag_row *row)
{
    taker t = {.text = DV_BUF_INIT(1u << 16), .stop_at = row->stop_at};
    DV_AUTOPTR(davit_error) err = NULL;
    size_t count = 0;
    while (count < DV_COUNT(row->pages) && row->pages[count].request)
        count++;
    script *s = script_start(row->pages, count);
    int r = dv_v2_tag_list(open_plain(f, s), take, &t, &err);
    dv_registry_close(DV_STEAL(f->registry));
    script_stop(s);
    if (r != row->code || (row->expected && strcmp(dv_buf_text(&t.text), row->expected) != 0) ||
        (r < 0 && !strstr(davit_error_message(err), row->words)))
        fail_msg("%s: expected %s \"%s\" [%s], got %s \"%s\" [%s]", row->what, davit_code_name(row->code),
                 row->words ? row->words : "", row->expected ? row->expected : "any", davit_code_name(r),
                 davit_error_message(err), dv_buf_text(&t.text));
    dv_buf_clear(&t.text);
}

static void tag_list__pages_as_registries_send_them(void **state)
{
    static const tag_row rows[] = {
        {"one page", {{.request = FIRST, .body = PAGE("[\"b\",\"a\"]")}}, .expected = "b a"},
        {"none", {{.request = FIRST, .body = PAGE("[]")}}, .expected = ""},
        {"null", {{.request = FIRST, .body = PAGE("null")}}, .expected = ""},
        {"absent", {{.request = FIRST, .body = "{}"}}, .expected = ""},
        {"null entries and no tags", /* quirks.md: Quay, Artifactory */
         {{.request = FIRST, .body = PAGE("[null,\"a\",7,\"sha256:abc\",\"\"]")}},
         .expected = "a sha256:abc "},
        {"a path",
         {{.request = FIRST,
           .headers = "Link: </v2/app/tags/list?n=2&last=b>; rel=\"next\"\r\n",
           .body = PAGE("[\"a\",\"b\"]")},
          {.request = "GET /v2/app/tags/list?n=2&last=b HTTP", .body = PAGE("[\"c\"]")}},
         .expected = "a b c"},
        {"no rel",
         {{.request = FIRST, .headers = "Link: <?last=a>\r\n", .body = PAGE("[\"a\"]")},
          {.request = "GET /v2/app/tags/list?last=a HTTP", .body = PAGE("[\"c\"]")}},
         .expected = "a c"},
        {"another rel",
         {{.request = FIRST, .headers = "Link: <?last=a>; rel=\"prev\"\r\n", .body = PAGE("[\"a\"]")}},
         .expected = "a"},
        {"an empty page in the middle",
         {{.request = FIRST, .headers = "Link: <?p=2>\r\n", .body = PAGE("[\"a\"]")},
          {.request = "GET /v2/app/tags/list?p=2 HTTP", .headers = "Link: <?p=3>\r\n", .body = PAGE("[]")},
          {.request = "GET /v2/app/tags/list?p=3 HTTP", .body = PAGE("[\"b\"]")}},
         .expected = "a b"},
        /* threat A8: only path and query of a Link count */
        {"another host",
         {{.request = FIRST,
           .headers = "Link: <https://evil.example/v2/app/tags/list?p=2>\r\n",
           .body = PAGE("[\"a\"]")},
          {.request = "GET /v2/app/tags/list?p=2 HTTP",
           .with = "\r\nHost: 127.0.0.1:",
           .body = PAGE("[\"b\"]")}},
         .expected = "a b"},
        {"stopped in the second page",
         {{.request = FIRST, .headers = "Link: <?p=2>\r\n", .body = PAGE("[\"a\"]")},
          {.request = "GET /v2/app/tags/list?p=2 HTTP",
           .headers = "Link: <?p=3>\r\n",
           .body = PAGE("[\"b\",\"c\"]")}},
         .stop_at = 2,
         .expected = "a b"},
        {"another path with the same query",
         {{.request = FIRST, .headers = "Link: </v2/app/tags/list/2>\r\n", .body = PAGE("[\"a\"]")},
          {.request = "GET /v2/app/tags/list/2 HTTP", .body = PAGE("[\"b\"]")}},
         .expected = "a b"},
        {"stopped in the first page",
         {{.request = FIRST, .headers = "Link: <?p=2>\r\n", .body = PAGE("[\"a\",\"b\"]")}},
         .stop_at = 1,
         .expected = "a"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check(*state, &rows[i]);
}

static void tag_list__what_it_refuses(void **state)
{
    static const tag_row rows[] = {
        {"unknown repository",
         {{.request = FIRST,
           .status = 404,
           .headers = JSON,
           .body = "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"none\"}]}"}},
         .code = DAVIT_ENOTFOUND,
         .words = "name unknown: none"},
        {"no JSON", {{.request = FIRST, .body = "<html>"}}, .code = DAVIT_EFORMAT, .words = "tag list: "},
        {"no array",
         {{.request = FIRST, .body = PAGE("{\"a\":1}")}},
         .code = DAVIT_EFORMAT,
         .words = "not an array"},
        /* threat C4 */
        {"itself again",
         {{.request = FIRST, .headers = "Link: </v2/app/tags/list>\r\n", .body = PAGE("[\"a\"]")}},
         .code = DAVIT_EPROTOCOL,
         .words = "repeats a page",
         .expected = "a"},
        {"the same page again",
         {{.request = "GET /v2/app/tags/list", .headers = "Link: <?p=2>\r\n", .body = PAGE("[\"a\"]")}},
         .code = DAVIT_EPROTOCOL,
         .words = "repeats a page",
         .expected = "a a"},
        {"two pages in turn",
         {{.request = "GET /v2/app/tags/list?p=2 HTTP",
           .headers = "Link: </v2/app/tags/list?p=3>\r\n",
           .body = PAGE("[]")},
          {.request = "GET /v2/app/tags/list",
           .headers = "Link: </v2/app/tags/list?p=2>\r\n",
           .body = PAGE("[]")}},
         .code = DAVIT_EPROTOCOL,
         .words = "repeats a page"},
        {"a bad link",
         {{.request = FIRST, .headers = "Link: <ftp://x/>\r\n", .body = PAGE("[\"a\"]")}},
         .code = DAVIT_EPROTOCOL,
         .words = "next page"},
        {"too long a page",
         {{.request = FIRST, .body = " ", .endless = true}},
         .code = DAVIT_ETOOBIG,
         .words = ""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check(*state, &rows[i]);
}

typedef struct part_row {
    const char *what;
    dv_page_part part;
    script_row pages[3];
    const char *expected;
} part_row;

static void check_part(fixture *f, const part_row *row)
{
    taker t = {.text = DV_BUF_INIT(1u << 16)};
    DV_AUTOPTR(davit_error) err = NULL;
    size_t count = 0;
    while (count < DV_COUNT(row->pages) && row->pages[count].request)
        count++;
    script *s = script_start(row->pages, count);
    int r = dv_v2_tag_list_part(open_plain(f, s), &row->part, take, &t, &err);
    unsigned asked = script_count(s, "", NULL);
    dv_registry_close(DV_STEAL(f->registry));
    script_stop(s);
    if (r < 0 || strcmp(dv_buf_text(&t.text), row->expected) != 0 || asked != count)
        fail_msg("%s: expected [%s] in %zu requests, got [%s] in %u (%s)", row->what, row->expected, count,
                 dv_buf_text(&t.text), asked, davit_error_message(err));
    dv_buf_clear(&t.text);
}

static void tag_list__a_part_of_it(void **state)
{
    static const part_row rows[] = {
        {"a limit",
         {.limit = 2},
         {{.request = "GET /v2/app/tags/list?n=2 HTTP", .body = PAGE("[\"a\",\"b\"]")}},
         "a b"},
        {"a registry that does not know limits",
         {.limit = 2},
         {{.request = "GET /v2/app/tags/list?n=2 HTTP", .body = PAGE("[\"a\",\"b\",\"c\"]")}},
         "a b"},
        {"null entries are none",
         {.limit = 2},
         {{.request = "GET /v2/app/tags/list?n=2 HTTP",
           .headers = "Link: <?p=2>\r\n",
           .body = PAGE("[null,\"a\"]")},
          {.request = "GET /v2/app/tags/list?p=2 HTTP", .body = PAGE("[\"b\"]")}},
         "a b"},
        {"a limit over two pages",
         {.limit = 3},
         {{.request = "GET /v2/app/tags/list?n=3 HTTP",
           .headers = "Link: <?n=3&last=b>; rel=\"next\"\r\n",
           .body = PAGE("[\"a\",\"b\"]")},
          {.request = "GET /v2/app/tags/list?n=3&last=b HTTP", .body = PAGE("[\"c\",\"d\"]")}},
         "a b c"},
        {"a short page without a link is the end",
         {.limit = 3},
         {{.request = "GET /v2/app/tags/list?n=3 HTTP", .body = PAGE("[\"a\",\"b\"]")}},
         "a b"},
        {"behind a tag",
         {.last = "b"},
         {{.request = "GET /v2/app/tags/list?last=b HTTP", .body = PAGE("[\"c\"]")}},
         "c"},
        {"both, and what a query cannot hold",
         {.limit = 1, .last = "a b&c"},
         {{.request = "GET /v2/app/tags/list?last=a%20b%26c&n=1 HTTP", .body = PAGE("[\"c\"]")}},
         "c"},
        {"a registry that does not know where to begin",
         {.last = "b"},
         {{.request = "GET /v2/app/tags/list?last=b HTTP", .body = PAGE("[\"a\",\"b\",\"c\",\"d\"]")}},
         "c d"},
        {"nor sorts",
         {.last = "b"},
         {{.request = "GET /v2/app/tags/list?last=b HTTP", .body = PAGE("[\"x\",\"b\",\"a\"]")}},
         "a"},
        {"behind a tag that does not exist",
         {.last = "bb"},
         {{.request = "GET /v2/app/tags/list?last=bb HTTP", .body = PAGE("[\"a\",\"b\",\"c\"]")}},
         "c"},
        {"behind the end of the first page",
         {.last = "b"},
         {{.request = "GET /v2/app/tags/list?last=b HTTP",
           .headers = "Link: <?last=b1>\r\n",
           .body = PAGE("[\"a\",\"b\"]")},
          {.request = "GET /v2/app/tags/list?last=b1 HTTP", .body = PAGE("[\"c\"]")}},
         "c"},
        {"behind everything",
         {.limit = 2, .last = "z"},
         {{.request = "GET /v2/app/tags/list?last=z&n=2 HTTP", .body = PAGE("[]")}},
         ""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_part(*state, &rows[i]);
}

/* A page of a thousand names that begin with a letter. */
static char *thousand(char letter)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(1u << 16);
    dv_buf_puts(&text, "{\"tags\":[");
    for (int i = 0; i < DV_PAGE_NAMES_ASKED; i++)
        dv_buf_printf(&text, "%s\"%c%03d\"", i ? "," : "", letter, i);
    dv_buf_puts(&text, "]}");
    return dv_buf_take(&text);
}

/* registry-v2.md 7: a full page without a Link; asked again, a registry without pages gives the same page, which is the end. */
static void tag_list__goes_on_behind_a_full_page(void **state)
{
    DV_AUTOFREE char *a = thousand('a');
    DV_AUTOFREE char *b = thousand('b');
    const script_row first = {.request = "GET /v2/app/tags/list?n=1000 HTTP", .body = a};
    const struct {
        script_row pages[2];
        unsigned count;
    } rows[] = {
        {{first, {.request = "GET /v2/app/tags/list?last=a999&n=1000 HTTP", .body = b}}, 1500},
        {{first, {.request = "GET /v2/app/tags/list?last=a999&n=1000 HTTP", .body = a}}, 1000},
        {{first, {.request = "GET /v2/app/tags/list?last=a999&n=1000 HTTP", .body = PAGE("[]")}}, 1000},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        taker t = {.text = DV_BUF_INIT(1u << 16)};
        DV_AUTOPTR(davit_error) err = NULL;
        script *s = script_start(rows[i].pages, 2);
        assert_ok(dv_v2_tag_list_part(open_plain(f, s), &(dv_page_part){.limit = 1500}, take, &t, &err));
        assert_int_equal(script_count(s, "", NULL), 2);
        assert_int_equal(t.count, rows[i].count);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(s);
        dv_buf_clear(&t.text);
    }
}

/* threat A8: with a base path nothing outside of it is asked for. */
static void tag_list__stays_below_the_endpoint(void **state)
{
    static const struct {
        const char *link;
        int code;
    } rows[] = {
        {"Link: </base/v2/app/tags/list?p=2>\r\n", 0},
        {"Link: </v2/app/tags/list?p=2>\r\n", DAVIT_EPROTOCOL},
        {"Link: </base/../etc/x?p=2>\r\n", DAVIT_EPROTOCOL},
        {"Link: </baseless/v2/app/tags/list?p=2>\r\n", DAVIT_EPROTOCOL},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        taker t = {.text = DV_BUF_INIT(99)};
        DV_AUTOPTR(davit_error) err = NULL;
        script *s = script_start(ROWS(
            {.request = "GET /base/v2/app/tags/list HTTP", .headers = rows[i].link, .body = PAGE("[\"a\"]")},
            {.request = "GET /base/v2/app/tags/list?p=2 HTTP", .body = PAGE("[\"b\"]")}));
        f->registry = open_at(f, s, "http", "/base/", false);
        int r = dv_v2_tag_list(f->registry, take, &t, &err);
        unsigned asked = script_count(s, "", NULL);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(s);
        dv_buf_clear(&t.text);
        if (r != rows[i].code || asked != (r < 0 ? 1 : 2))
            fail_msg("%s: expected %s, got %s after %u requests (%s)", rows[i].link,
                     davit_code_name(rows[i].code), davit_code_name(r), asked, davit_error_message(err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        client_test(tag_list__pages_as_registries_send_them),
        client_test(tag_list__what_it_refuses),
        client_test(tag_list__a_part_of_it),
        client_test(tag_list__goes_on_behind_a_full_page),
        client_test(tag_list__stays_below_the_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
