/* distribution/target.c - see target.h. */
#include "distribution/target.h"

int dv_target_open(davit_client *c, const dv_place *place, dv_target **out, davit_error **err)
{
    switch (place->kind) {
    case DV_PLACE_REGISTRY:
        return dv_target_registry_open(c, place, out, err);
    case DV_PLACE_STORE:
        return dv_target_store_open(c, place, out, err);
    case DV_PLACE_LAYOUT:
        return dv_target_layout_open(c, place, out, err);
    case DV_PLACE_OCI_ARCHIVE:
        return dv_target_oci_archive_open(c, place, out, err);
    case DV_PLACE_DOCKER_ARCHIVE:
        return dv_target_docker_archive_open(c, place, out, err);
    case DV_PLACE_V1:
        return dv_error_set(
            err, DAVIT_EUNSUPPORTED,
            "%s: a registry of the first version is no target of a copy; davit v1 push sends one image "
            "of the store",
            place->path);
    case DV_PLACE_DIR:
        return dv_target_dir_open(c, place, out, err);
    }
    return dv_error_set(err, DAVIT_EINVAL, "unknown transport");
}

void dv_target_close(dv_target *t)
{
    if (t)
        t->ops->close(t);
}
