/* Image arguments: transports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/image_arg.h"

static void image_arg_parse__transports(void **state)
{
    static const struct {
        const char *text;
        int code;
        dv_transport transport;
        const char *name;
    } rows[] = {
        {"alpine", 0, DV_TRANSPORT_REGISTRY, "alpine"},
        {"docker://alpine:3", 0, DV_TRANSPORT_REGISTRY, "alpine:3"},
        {"docker:3", 0, DV_TRANSPORT_REGISTRY, "docker:3"},
        {"docker/x", 0, DV_TRANSPORT_REGISTRY, "docker/x"},
        {"store:alpine", 0, DV_TRANSPORT_STORE, "alpine"},
        {"store:sha256:00", 0, DV_TRANSPORT_STORE, "sha256:00"},
        {"store/x", 0, DV_TRANSPORT_REGISTRY, "store/x"},
        {"", 0, DV_TRANSPORT_REGISTRY, ""},
        {"oci:dir", DAVIT_EINVAL},
        {"oci-archive:x.tar", DAVIT_EINVAL},
        {"docker-archive:x.tar", DAVIT_EINVAL},
        {"dir:/x", DAVIT_EINVAL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        dv_image_arg arg = {0};
        int r = dv_image_arg_parse(rows[i].text, DV_TRANSPORT_REGISTRY, &arg, NULL);
        if (r != rows[i].code)
            print_error("%s: expected %d, got %d\n", rows[i].text, rows[i].code, r);
        assert_int_equal(r, rows[i].code);
        if (r < 0)
            continue;
        assert_int_equal(arg.transport, rows[i].transport);
        assert_string_equal(arg.name, rows[i].name);
    }
}

static void image_arg_parse__files_are_for_commands_that_read_them(void **state)
{
    static const char *const texts[] = {"oci:d:x", "oci-archive:f", "docker-archive:f:a/b:1", "dir:d"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        dv_image_arg arg = dv_image_arg_read(texts[i], DV_TRANSPORT_STORE);
        assert_int_equal(arg.transport, DV_TRANSPORT_FILES);
        assert_string_equal(arg.name, texts[i]);
        assert_int_equal(dv_image_arg_parse(texts[i], DV_TRANSPORT_STORE, &arg, &err), DAVIT_EINVAL);
        assert_non_null(strstr(davit_error_message(err), "davit copy brings the image into the store"));
    }
}

static void image_arg_registry__refuses_the_store(void **state)
{
    const char *name = NULL;
    assert_int_equal(dv_image_arg_registry("store:x", &name, NULL), DAVIT_EINVAL);
    assert_null(name);
    assert_int_equal(dv_image_arg_registry("docker://h:5000/x", &name, NULL), 0);
    assert_string_equal(name, "h:5000/x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_arg_parse__transports),
        cmocka_unit_test(image_arg_parse__files_are_for_commands_that_read_them),
        cmocka_unit_test(image_arg_registry__refuses_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
