/* distribution/own_images.c - the image configs of a store as an embedder's table (NewImageConfigStoreFromStore). Spec: store.md 3. */
#include "davit/own_stores.h"

#include "davit/store.h"
#include "oci/image_config.h"
#include "oci/media_type.h"
#include "store/content_store.h"
#include "store/ingest.h"
#include "util/error.h"

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

static int put(void *user_data, const davit_digest *id, const void *bytes, size_t size, davit_error **err)
{
    DV_AUTOPTR(davit_image_config) config = NULL;
    const davit_descriptor descriptor = {
        .media_type = DV_MEDIA_TYPE_DOCKER_CONFIG, .digest = *id, .size = size};
    int r = davit_image_config_parse(bytes, size, &config, err);
    if (r == 0)
        r = dv_image_config_check_history(config, err);
    return r < 0 ? r : dv_content_put(user_data, &descriptor, bytes, err);
}

static int get(void *user_data, const davit_digest *id, davit_write_fn give, void *give_data,
               davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    int r = dv_content_read(user_data, id, DAVIT_IMAGE_CONFIG_MAX, &bytes, err);
    if (r < 0)
        return dv_error_wrap(err, r, "failed to get digest %s", id->text);
    give(dv_buf_text(&bytes), bytes.size, give_data); /* who does not want more knows why */
    return 0;
}

void davit_store_get_image_config_store(davit_store *store, davit_image_config_store *out)
{
    *out = (davit_image_config_store){.size = sizeof(*out), .user_data = store, .put = put, .get = get};
}
