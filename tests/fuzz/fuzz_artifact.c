/* Any bytes as a manifest whose layers are to be files: a title that is let through leads nowhere but down. */
#include "oci/artifact_manifest.h"
#include "oci/artifact_title.h"
#include "oci/manifest.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_title(const char *title)
{
    if (dv_artifact_title_check(title, NULL) < 0)
        return;
    assert(*title && *title != '/' && strlen(title) <= DV_TITLE_MAX);
    DV_AUTOFREE char *copy = dv_strdup(title);
    char *rest = copy;
    for (char *part; copy && (part = strsep(&rest, "/"));) {
        assert(*part && strcmp(part, ".") != 0 && strcmp(part, "..") != 0);
        assert(strlen(part) <= DV_TITLE_COMPONENT_MAX && !strpbrk(part, "\n\r\t\x1b"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(dv_json) document = NULL;
    DV_AUTOFREE const char **titles = NULL;
    size_t count;
    if (davit_manifest_parse(data, size, NULL, &m, NULL) < 0 || davit_manifest_is_index(m))
        return 0;
    davit_manifest_layers(m, &count);
    if (dv_artifact_titles(m, &document, &titles, NULL) < 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        if (titles[i])
            check_title(titles[i]);
    return 0;
}
