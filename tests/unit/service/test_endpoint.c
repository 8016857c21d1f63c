/* Unit tests of service/endpoint.c (service.md 9, v28; threat A14). */
#include "service/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void endpoints_for_pull__lists(void **state)
{
    static const struct {
        const char *domain, *mirrors[3], *insecure;
        bool skip;
        const char *expected; /* URL, then m, o, i for the flags */
    } rows[] = {
        /* service.md 9 */
        {"docker.io",
         {"https://my.mirror"},
         NULL,
         false,
         "https://my.mirror/ m, https://registry-1.docker.io/ o"},
        {"index.docker.io", {NULL}, NULL, false, "https://registry-1.docker.io/ o"},
        {"reg.example.com", {"https://my.mirror"}, NULL, false, "https://reg.example.com/ "},
        {"localhost:5000", {NULL}, NULL, false, "https://localhost:5000/ i"},
        {"reg.example.com", {NULL}, "reg.example.com", false, "https://reg.example.com/ i"},
        {"registry-1.docker.io", {"https://my.mirror"}, NULL, false, "https://registry-1.docker.io/ "},
        {"127.0.0.1:5000", {NULL}, NULL, false, "https://127.0.0.1:5000/ i"},
        {"[::1]:5000", {NULL}, NULL, false, "https://[::1]:5000/ i"},
        /* mirrors: in order, path kept, scheme kept, security by host */
        {"docker.io",
         {"http://b", "https://a/v1"},
         NULL,
         false,
         "http://b/ m, https://a/v1/ m, https://registry-1.docker.io/ o"},
        {"docker.io",
         {"https://a", "https://a/"},
         NULL,
         false,
         "https://a/ m, https://registry-1.docker.io/ o"},
        {"docker.io",
         {"https://a:5000/x"},
         "a:5000",
         false,
         "https://a:5000/x/ mi, https://registry-1.docker.io/ o"},
        {"docker.io",
         {"http://127.0.0.1:5000"},
         NULL,
         false,
         "http://127.0.0.1:5000/ mi, https://registry-1.docker.io/ o"},
        {"docker.io",
         {"HTTPS://h"},
         NULL,
         false,
         "https://https//h/ m, https://registry-1.docker.io/ o"}, /* pitfall 1 */
        /* --tls-verify=false; Docker Hub stays what it is */
        {"reg.example.com", {NULL}, NULL, true, "https://reg.example.com/ i"},
        {"docker.io", {NULL}, "docker.io", true, "https://registry-1.docker.io/ o"},
        {"Reg.Example.com", {NULL}, NULL, false, "https://reg.example.com/ "},
        {"reg.example.com:99999", {NULL}, NULL, false, NULL},
        {"docker.io", {"https://"}, NULL, false, NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const char *insecure[] = {rows[i].insecure, NULL};
        DV_AUTOPTR(dv_service_config) c = NULL;
        DV_AUTO(dv_endpoints) e = DV_ENDPOINTS_INIT;
        DV_AUTO(dv_buf) got = DV_BUF_INIT(10000);
        dv_service_options options = {
            .mirrors = rows[i].mirrors, .insecure_registries = insecure, .skip_tls_verify = rows[i].skip};
        assert_int_equal(dv_service_config_new(&options, &c, NULL), 0);
        int r = dv_endpoints_for_pull(c, rows[i].domain, &e, NULL);
        if (!rows[i].expected) {
            assert_int_equal(r, DAVIT_EINVAL);
            continue;
        }
        for (size_t j = 0; j < e.count; j++)
            dv_buf_printf(&got, "%s%s %s%s%s", j ? ", " : "", e.items[j].url.text,
                          e.items[j].mirror ? "m" : "", e.items[j].official ? "o" : "",
                          e.items[j].insecure ? "i" : "");
        if (strcmp(dv_buf_text(&got), rows[i].expected) != 0)
            fail_msg("%s: expected %s, got %s", rows[i].domain, rows[i].expected, dv_buf_text(&got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(endpoints_for_pull__lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
