/* service/index_info.c - see index_info.h. */
#include "service/index_info.h"

#include "service/index_name.h"
#include "service/insecure.h"
#include "service/text_list.h"
#include "util/str.h"

#include <string.h>

void davit_index_info_clear(davit_index_info *index)
{
    if (!index)
        return;
    free(index->name);
    dv_text_list_free(index->mirrors);
    *index = (davit_index_info)DAVIT_INDEX_INFO_INIT;
}

void davit_repository_info_clear(davit_repository_info *info)
{
    if (!info)
        return;
    davit_reference_free(info->name);
    davit_index_info_clear(&info->index);
    free(info->repository_class);
    *info = (davit_repository_info)DAVIT_REPOSITORY_INFO_INIT;
}

/* --- indexes --------------------------------------------------------------------------------------------------- */

/* Docker Hub's; mirrors may be NULL. */
static int hub(char *const *mirrors, davit_index_info *out, davit_error **err)
{
    DV_AUTO(davit_index_info) index = {.secure = true, .official = true};
    index.name = dv_strdup(DAVIT_INDEX_NAME);
    if (!index.name)
        return dv_error_oom(err);
    if (mirrors && mirrors[0]) {
        int r = dv_text_list_copy((const char *const *)mirrors, &index.mirrors, err);
        if (r < 0)
            return r;
    }
    *out = index;
    index = (davit_index_info)DAVIT_INDEX_INFO_INIT; /* moved */
    return 0;
}

static int other(const char *name, bool secure, davit_index_info *out, davit_error **err)
{
    char *copy = dv_strdup(name);
    if (!copy)
        return dv_error_oom(err);
    *out = (davit_index_info){.name = copy, .secure = secure};
    return 0;
}

int dv_index_info_of_name(const dv_service_config *config, const char *name, davit_index_info *out,
                          davit_error **err)
{
    const char *normal = dv_index_name_normal(name);
    int r = config->v27 ? dv_index_name_check(normal, err) : 0;
    if (r < 0)
        return r;
    if (strcmp(normal, DAVIT_INDEX_NAME) == 0)
        return hub(config->mirrors, out, err);
    return other(normal, !dv_service_config_is_insecure(config, normal), out, err);
}

int dv_index_info_without_config(const char *name, const dv_lookup *lookup, davit_index_info *out,
                                 davit_error **err)
{
    const char *normal = dv_index_name_normal(name);
    if (strcmp(normal, DAVIT_INDEX_NAME) == 0)
        return hub(/* mirrors= */ NULL, out, err);
    return other(normal, !dv_insecure_without_config(normal, lookup), out, err);
}

/* --- repositories ---------------------------------------------------------------------------------------------- */

/* Takes the index over, also on failure. */
static int repository(const davit_reference *ref, davit_index_info *index, bool v27,
                      davit_repository_info *out, davit_error **err)
{
    DV_AUTO(davit_repository_info) info = {.index = *index};
    *index = (davit_index_info)DAVIT_INDEX_INFO_INIT;
    int r = davit_reference_trim(ref, &info.name, err);
    if (r < 0)
        return r;
    info.official = (v27 || info.index.official) && !strchr(davit_reference_familiar_name(info.name), '/');
    info.repository_class = dv_strdup("");
    if (!info.repository_class)
        return dv_error_oom(err);
    *out = info;
    info = (davit_repository_info)DAVIT_REPOSITORY_INFO_INIT; /* moved */
    return 0;
}

int dv_repository_info_of(const dv_service_config *config, const davit_reference *ref,
                          davit_repository_info *out, davit_error **err)
{
    davit_index_info index;
    int r = dv_index_info_of_name(config, davit_reference_domain(ref), &index, err);
    return r < 0 ? r : repository(ref, &index, config->v27, out, err);
}

int dv_repository_info_without_config(const davit_reference *ref, const dv_lookup *lookup,
                                      davit_repository_info *out, davit_error **err)
{
    davit_index_info index;
    int r = dv_index_info_without_config(davit_reference_domain(ref), lookup, &index, err);
    return r < 0 ? r : repository(ref, &index, /* v27= */ false, out, err);
}

int davit_parse_repository_info(const davit_reference *ref, davit_repository_info *out, davit_error **err)
{
    return dv_repository_info_without_config(ref, &(dv_lookup){.resolve = dv_resolve}, out, err);
}

/* --- search terms ---------------------------------------------------------------------------------------------- */

int dv_search_term_split(const char *term, char **out_index, const char **out_remote, davit_error **err)
{
    size_t size = strcspn(term, "/");
    bool host = term[size] && (memchr(term, '.', size) || memchr(term, ':', size) ||
                               (size == 9 && dv_str_starts(term, "localhost")));
    char *index = host ? dv_strndup(term, size) : dv_strdup(DAVIT_INDEX_NAME);
    if (!index)
        return dv_error_oom(err);
    *out_index = index;
    *out_remote = host ? term + size + 1 : term;
    return 0;
}

int davit_parse_search_index_info(const char *term, davit_index_info *out, davit_error **err)
{
    DV_AUTOFREE char *name = NULL;
    const char *remote;
    int r = dv_search_term_split(term, &name, &remote, err);
    return r < 0 ? r : dv_index_info_without_config(name, &(dv_lookup){.resolve = dv_resolve}, out, err);
}
