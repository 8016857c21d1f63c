/* store/image_remove.h - forgetting images: by a name, or as many as nothing refers to (store.md 8). */
#ifndef DV_STORE_IMAGE_REMOVE_H
#define DV_STORE_IMAGE_REMOVE_H

#include "davit/store.h"
#include "store/image_store.h"
#include "store/removal_list.h"

/*
 * Forget what name means, in one transaction: references, and the images that then have none. Records go to the list, digests that
 * may be unneeded now to dropped, ids of images that are gone to deleted.
 *
 * Errors: DAVIT_ENOTFOUND "No such image: NAME", DAVIT_ECONFLICT, DAVIT_EINVAL; nothing was changed then
 */
int dv_image_remove(dv_store *s, const char *name, bool force, dv_removals *list, dv_image_digests *dropped,
                    dv_image_digests *deleted, davit_error **err);
/*
 * Forget one image and all its references, unless it has a tag and only_dangling, or a reference means another image too that is
 * not in may_go (NULL: all are). Joins the transaction of this thread.
 */
int dv_image_remove_unused(dv_store *s, const davit_digest *config, bool only_dangling,
                           const dv_digest_set *may_go, dv_removals *list, dv_image_digests *dropped,
                           dv_image_digests *deleted, davit_error **err);

#endif
