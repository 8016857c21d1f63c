/*
 * oci/image_config.h - what is asked of an image config before its image is recorded, beyond what parsing asks.
 */
#ifndef DV_OCI_IMAGE_CONFIG_H
#define DV_OCI_IMAGE_CONFIG_H

#include "davit/image_config.h"

/* Steps that made a layer are no more than the layers; fewer are accepted (store.md 3). DAVIT_EFORMAT. */
int dv_image_config_check_history(const davit_image_config *config, davit_error **err);

#endif
