/* Unit tests of net/resolve.c: only what no name server is asked for. */
#include "net/resolve.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void resolve__a_literal_is_itself(void **state)
{
    struct sockaddr_storage found[2];
    assert_int_equal(dv_resolve("127.0.0.1", found, 2, NULL), 1);
    assert_int_equal(found[0].ss_family, AF_INET);
    assert_int_equal(ntohl(((struct sockaddr_in *)&found[0])->sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(dv_resolve("::1", found, 2, NULL), 1);
    assert_int_equal(found[0].ss_family, AF_INET6);
}

static void resolve__fills_no_more_than_there_is_room(void **state)
{
    assert_int_equal(dv_resolve("127.0.0.1", NULL, 0, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolve__a_literal_is_itself),
        cmocka_unit_test(resolve__fills_no_more_than_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
