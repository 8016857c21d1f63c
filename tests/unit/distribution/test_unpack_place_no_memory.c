/*
 * Unit test of distribution/unpack_place.c, placed_image.c and source_layers.c, and of export.c on these: each allocation fails once, on whichever
 * thread, and nothing is lost nor left in place.
 */
#include "../../support/failing_malloc.h"
#include "../../support/tar_blocks.h"
#include "pull_test.h"

#include "davit/unpack.h"
#include "util/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#define LAYERS 2

/* An image in the form of skopeo's dir: transport. */
typedef struct placed {
    davit_client *client;
    char dir[64], place[80], target[80];
} placed;

static void write_file(const placed *p, const char *name, const void *bytes, size_t size)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", p->dir, name);
    DV_AUTOCLOSE fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
}

static void put_blob(const placed *p, const dv_buf *bytes, const char *type, dv_buf *descriptor)
{
    davit_digest digest;
    assert_int_equal(davit_digest_of(DAVIT_SHA256, bytes->data, bytes->size, &digest, NULL), 0);
    write_file(p, davit_digest_hex(&digest), bytes->data, bytes->size);
    dv_buf_printf(descriptor, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}", type, digest.text,
                  bytes->size);
}

static void put_image(const placed *p)
{
    static const char version[] = "Directory Transport Version: 1.1\n";
    DV_AUTO(dv_buf) config = DV_BUF_INIT(1u << 16), manifest = DV_BUF_INIT(1u << 16);
    DV_AUTO(dv_buf) layers = DV_BUF_INIT(1u << 16), described = DV_BUF_INIT(1u << 16);
    dv_buf_puts(&config, "{\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
    for (int k = 0; k < LAYERS; k++) {
        DV_AUTO(dv_buf) tar = DV_BUF_INIT(1u << 16);
        davit_digest diff_id;
        char name[] = {'f', (char)('0' + k), '\0'};
        tar_block(&tar, '0', name, 3);
        tar_data(&tar, "abc", 3);
        tar_end(&tar);
        assert_int_equal(davit_digest_of(DAVIT_SHA256, tar.data, tar.size, &diff_id, NULL), 0);
        dv_buf_printf(&config, "%s\"%s\"", k ? "," : "", diff_id.text);
        dv_buf_puts(&layers, k ? "," : "");
        put_blob(p, &tar, DV_MEDIA_TYPE_OCI_LAYER, &layers);
    }
    dv_buf_puts(&config, "]}}");
    put_blob(p, &config, DV_MEDIA_TYPE_OCI_CONFIG, &described);
    dv_buf_printf(&manifest, "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":%s,\"layers\":[%s]}",
                  DV_MEDIA_TYPE_OCI_MANIFEST, dv_buf_text(&described), dv_buf_text(&layers));
    write_file(p, "manifest.json", manifest.data, manifest.size);
    write_file(p, "version", version, sizeof(version) - 1);
}

/* By another program, which always has memory. */
static void remove_tree(const char *path)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static int set_up_place(void **state)
{
    placed *p = dv_new(placed);
    const davit_client_options options = {.version = DAVIT_CLIENT_OPTIONS_VERSION,
                                          .flags = DAVIT_CLIENT_NO_ENVIRONMENT};
    *state = p;
    if (!p || snprintf(p->dir, sizeof(p->dir), "/tmp/davit-place-XXXXXX") < 0 || !mkdtemp(p->dir))
        return -1;
    snprintf(p->place, sizeof(p->place), "dir:%s", p->dir);
    snprintf(p->target, sizeof(p->target), "%s-root", p->dir);
    put_image(p);
    return davit_client_new(&options, &p->client, NULL);
}

static int tear_down_place(void **state)
{
    placed *p = *state;
    davit_client_free(p->client);
    remove_tree(p->dir);
    free(p);
    return 0;
}

static int unpack(void *user, davit_error **err)
{
    const placed *p = user;
    davit_unpack_result *result = NULL;
    int r = davit_unpack(p->client, p->place, p->target, NULL, &result, err);
    bool right = exists(p->target) == (r == 0) && (r < 0 || result->file_count == LAYERS);
    davit_unpack_result_free(result);
    if (r == 0)
        remove_tree(p->target);
    return right ? r : DAVIT_EINVAL;
}

static int forget(const void *bytes, size_t size, void *user)
{
    (void)bytes, (void)size, (void)user;
    return 0;
}

static int export(void *user, davit_error **err)
{
    const placed *p = user;
    davit_export_result result;
    int r = davit_export(p->client, p->place, NULL, forget, &result, err);
    return r == 0 && result.entry_count != LAYERS ? DAVIT_EINVAL : r;
}

static void unpack_place__any_allocation_may_fail(void **state)
{
    assert_int_equal(fail_each_allocation("unpack", unpack, *state, 0), 0);
}

static void export_place__any_allocation_may_fail(void **state)
{
    assert_int_equal(fail_each_allocation("export", export, *state, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(unpack_place__any_allocation_may_fail, set_up_place, tear_down_place),
        cmocka_unit_test_setup_teardown(export_place__any_allocation_may_fail, set_up_place, tear_down_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
