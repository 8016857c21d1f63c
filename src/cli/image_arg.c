/* cli/image_arg.c - see image_arg.h. What a name may look like is for the library. */
#include "cli/image_arg.h"

#include "util/str.h"

#include <string.h>

dv_image_arg dv_image_arg_read(const char *text, dv_transport bare)
{
    static const char *const files[] = {"oci:", "oci-archive:", "docker-archive:", "dir:", "v1://"};
    dv_image_arg arg = {.transport = bare, .name = text};
    for (size_t i = 0; i < DV_COUNT(files); i++)
        if (dv_str_starts(text, files[i]))
            arg.transport = DV_TRANSPORT_FILES;
    if (dv_str_starts(text, "docker://"))
        arg = (dv_image_arg){.transport = DV_TRANSPORT_REGISTRY, .name = text + strlen("docker://")};
    else if (dv_str_starts(text, "store:"))
        arg = (dv_image_arg){.transport = DV_TRANSPORT_STORE, .name = text + strlen("store:")};
    return arg;
}

int dv_image_arg_parse(const char *text, dv_transport bare, dv_image_arg *out, davit_error **err)
{
    dv_image_arg arg = dv_image_arg_read(text, bare);
    if (arg.transport == DV_TRANSPORT_FILES)
        return dv_error_set(
            err, DAVIT_EINVAL,
            "%s: this command does not read layouts and archives; davit copy brings the image into "
            "the store",
            text);
    *out = arg;
    return 0;
}

int dv_image_arg_registry(const char *text, const char **out_name, davit_error **err)
{
    dv_image_arg arg = {.name = NULL};
    int r = dv_image_arg_parse(text, DV_TRANSPORT_REGISTRY, &arg, err);
    if (r < 0)
        return r;
    if (arg.transport != DV_TRANSPORT_REGISTRY)
        return dv_error_set(err, DAVIT_EINVAL, "%s: this command asks a registry, not the store", text);
    *out_name = arg.name;
    return 0;
}

int dv_image_arg_store(const char *text, const char **out_name, davit_error **err)
{
    dv_image_arg arg = {.name = NULL};
    int r = dv_image_arg_parse(text, DV_TRANSPORT_STORE, &arg, err);
    if (r < 0)
        return r;
    if (arg.transport != DV_TRANSPORT_STORE)
        return dv_error_set(err, DAVIT_EINVAL, "%s: this command is about the store, not a registry", text);
    *out_name = arg.name;
    return 0;
}
