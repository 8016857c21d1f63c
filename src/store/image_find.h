/* store/image_find.h - what a name that a user typed means: a reference, an image id, or a prefix of one (store.md 3, 5). */
#ifndef DV_STORE_IMAGE_FIND_H
#define DV_STORE_IMAGE_FIND_H

#include "store/image_store.h"
#include "store/reference_store.h"

/* The row of the reference with this name. DAVIT_ENOTFOUND when there is none, also for what is no reference. */
int dv_image_find_reference(dv_store *s, const char *name, dv_reference_rows *out, davit_error **err);
/* The rows of the one image whose id begins so. DAVIT_ENOTFOUND "No such image: NAME", DAVIT_EINVAL "ambiguous digest string". */
int dv_image_find_by_id(dv_store *s, const char *name, dv_image_rows *out, davit_error **err);
/* The rows of the image or images that a name means, at least one; references come first. Errors: the same. */
int dv_image_find(dv_store *s, const char *name, dv_image_rows *out, davit_error **err);

#endif
