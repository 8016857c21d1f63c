/* Any bytes as the documents of a docker-archive, and as names and links of one. */
#include "archive/archive_names.h"
#include "archive/docker_archive.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void release_nothing(void *value)
{
    (void)value;
}

static void fuzz_manifest(const uint8_t *data, size_t size)
{
    DV_AUTO(dv_docker_manifest) m = {0};
    DV_AUTOPTR(davit_error) err = NULL;
    if (dv_docker_manifest_parse(data, size, &m, &err) < 0)
        assert(davit_error_message(err)[0] && m.count == 0);
    for (size_t i = 0; i < m.count; i++)
        assert(m.items[i].config);
}

static void fuzz_v1(const uint8_t *data, size_t size)
{
    char parent[DV_V1_ID_SIZE + 1];
    DV_AUTO(dv_docker_repositories) list = {0};
    DV_AUTO(dv_buf) config = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    dv_v1_image images[2] = {{.bytes = data, .size = size}, {.bytes = data, .size = size}};
    dv_docker_repositories_parse(data, size, &list, NULL);
    if (dv_v1_image_parent(data, size, parent, NULL) < 0)
        return;
    assert(strlen(parent) == 0 || strlen(parent) == DV_V1_ID_SIZE);
    for (size_t i = 0; i < 2; i++)
        davit_digest_of(DAVIT_SHA256, data, i, &images[i].diff_id, NULL);
    dv_v1_images_to_config(images, 2, &config, NULL);
}

static int take(void *user, const void *bytes, size_t size, davit_error **err)
{
    (void)user, (void)bytes, (void)err;
    assert(size > 0);
    return 0;
}

static void fuzz_save(const uint8_t *data, size_t size)
{
    davit_image_config *config = NULL;
    size_t count;
    if (davit_image_config_parse(data, size, &config, NULL) < 0)
        return;
    const davit_digest *diff_ids = davit_image_config_diff_ids(config, &count);
    dv_docker_layer *layers = dv_new_array(dv_docker_layer, count);
    for (size_t i = 0; layers && i < count; i++)
        layers[i].diff_id = diff_ids[i];
    const dv_docker_image image = {.config = config, .layers = layers, .layer_count = count};
    DV_AUTO(dv_buf) out = DV_BUF_INIT(16u << 20);
    if (layers && count > 0 && count < 100) {
        dv_docker_v1_jsons(&image, take, NULL, NULL);
        dv_docker_manifest_format(&image, 1, &out, NULL);
        dv_docker_oci_manifest_format(&image, &out, NULL);
    }
    free(layers);
    davit_image_config_free(config);
}

/* Lines "name target", with a value for each second one. */
static void fuzz_names(const uint8_t *data, size_t size)
{
    DV_AUTOPTR(dv_archive_names) names = dv_archive_names_new(release_nothing);
    DV_AUTOFREE char *text = dv_strndup((const char *)data, size < 4096 ? size : 4096);
    char *next = text, *line;
    for (unsigned i = 0; names && next && (line = strsep(&next, "\n")); i++) {
        char *target = line, *name = strsep(&target, " ");
        void *value;
        if (dv_archive_name_clean(name, name, NULL) < 0)
            continue;
        assert(!strstr(name, "//") && name[0] != '/');
        if (target)
            dv_archive_names_put_link(names, name, target, NULL);
        else
            dv_archive_names_put(names, name, text, NULL);
        if (i < 64)
            dv_archive_names_find(names, target ? target : line, &value, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_manifest(data, size);
    fuzz_v1(data, size);
    fuzz_save(data, size);
    fuzz_names(data, size);
    return 0;
}
