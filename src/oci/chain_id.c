/* oci/chain_id.c - the digest that names a layer with all below it (store.md 1). */
#include "davit/image_config.h"

#include "util/error.h"
#include "util/hash.h"

#include <string.h>

int davit_chain_id(const davit_digest *diff_ids, size_t count, davit_digest *out, davit_error **err)
{
    if (count == 0)
        return dv_error_set(err, DAVIT_EINVAL, "no layers, so no chain id");
    DV_AUTOPTR(dv_hash) h = dv_hash_new(DAVIT_SHA256);
    if (!h)
        return dv_error_oom(err);
    davit_digest chain = diff_ids[0];
    for (size_t i = 1; i < count; i++) {
        dv_hash_reset(h);
        dv_hash_update(h, chain.text, strlen(chain.text));
        dv_hash_update(h, " ", 1);
        dv_hash_update(h, diff_ids[i].text, strlen(diff_ids[i].text));
        dv_hash_final(h, &chain);
    }
    *out = chain;
    return 0;
}
