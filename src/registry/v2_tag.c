/* registry/v2_tag.c - see v2_tag.h. The pages are v2_page.c's. */
#include "registry/v2_tag.h"

int dv_v2_tag_list(dv_registry *reg, davit_tag_fn fn, void *user_data, davit_error **err)
{
    return dv_v2_tag_list_part(reg, &(dv_page_part){.limit = 0}, fn, user_data, err);
}

int dv_v2_tag_list_part(dv_registry *reg, const dv_page_part *part, davit_tag_fn fn, void *user_data,
                        davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_URL_MAX);
    dv_buf_printf(&path, "v2/%s/tags/list", reg->path);
    if (path.failed)
        return dv_error_oom(err);
    return dv_v2_page_list(
        reg,
        &(dv_page_list){
            .path = dv_buf_text(&path), .key = "tags", .what = "tag list", .part = *part, .goes_on = true},
        fn, user_data, err);
}
