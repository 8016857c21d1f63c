/* distribution/push_candidates.c - see push_candidates.h. */
#include "distribution/push_candidates.h"

#include "davit/reference.h"
#include "oci/reference.h"
#include "util/error.h"

#include <string.h>

#define LARGE (10u << 20) /* bytes; a layer of more is worth many questions */
#define MIDDLE (100u << 10)

dv_push_limits dv_push_limits_of(uint64_t size)
{
    if (size != DAVIT_SIZE_UNKNOWN && size > LARGE)
        return (dv_push_limits){.mounts = 4, .checks = 3, .others = true};
    if (size != DAVIT_SIZE_UNKNOWN && size > MIDDLE)
        return (dv_push_limits){.mounts = 3, .checks = 1};
    return (dv_push_limits){.mounts = 1, .checks = 1};
}

static int copy_entry(dv_metadata_entries *to, const dv_metadata_entry *entry, davit_error **err)
{
    return dv_metadata_entries_add(to, &entry->digest, entry->repository, entry->hmac, err);
}

static bool is_among(const davit_digest *digest, const davit_digest *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (davit_digest_equal(&list[i], digest))
            return true;
    return false;
}

/* Keep one entry for each digest, the first. */
static void drop_repeated(dv_metadata_entries *list)
{
    for (size_t i = 1; i < list->count;) {
        size_t j = 0;
        while (j < i && !davit_digest_equal(&list->items[j].digest, &list->items[i].digest))
            j++;
        if (j < i)
            dv_metadata_entries_drop(list, i);
        else
            i++;
    }
}

static void cut(dv_metadata_entries *list, unsigned limit)
{
    while (list->count > limit)
        dv_metadata_entries_drop(list, list->count - 1);
}

int dv_push_checks(const dv_metadata_entries *known, const dv_push_target *target, unsigned limit,
                   bool others, const davit_digest *asked, size_t asked_count, dv_metadata_entries *out,
                   davit_error **err)
{
    DV_AUTO(dv_metadata_entries) list = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < known->count; i++) {
        const dv_metadata_entry *e = &known->items[i];
        if (!others && *e->repository && strcmp(e->repository, target->repository) != 0)
            continue;
        if (!is_among(&e->digest, asked, asked_count))
            r = copy_entry(&list, e, err);
    }
    if (r < 0)
        return r;
    dv_metadata_order(&list, target->key, target->repository);
    drop_repeated(&list);
    cut(&list, limit);
    *out = list;
    list = (dv_metadata_entries){0};
    return 0;
}

/* A canonical name on this domain. */
static bool is_on(const char *repository, const char *domain)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    return davit_reference_parse(repository, &ref, NULL) == 0 && davit_reference_is_name_only(ref) &&
           strcmp(davit_reference_name(ref), repository) == 0 &&
           strlen(davit_reference_domain(ref)) == strlen(domain) &&
           strcmp(davit_reference_domain(ref), domain) == 0;
}

int dv_push_mounts(const dv_metadata_entries *known, const dv_push_target *target, unsigned limit,
                   dv_metadata_entries *out, davit_error **err)
{
    DV_AUTO(dv_metadata_entries) list = {0};
    DV_AUTOFREE char *domain = dv_strndup(target->repository, strcspn(target->repository, "/"));
    int r = domain ? 0 : dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < known->count; i++) {
        const dv_metadata_entry *e = &known->items[i];
        if (strcmp(e->repository, target->repository) != 0 && is_on(e->repository, domain))
            r = copy_entry(&list, e, err);
    }
    if (r < 0)
        return r;
    dv_metadata_order(&list, target->key, target->repository);
    cut(&list, limit);
    *out = list;
    list = (dv_metadata_entries){0};
    return 0;
}

bool dv_push_is_news(const dv_metadata_entry *entry, const dv_push_target *target)
{
    return strcmp(entry->repository, target->repository) != 0 || !dv_metadata_is_signed(entry, target->key);
}

bool dv_push_forgets(const dv_metadata_entry *entry, const dv_push_target *target, bool unauthorized,
                     bool has_auth_info)
{
    return *entry->repository && (!unauthorized || has_auth_info) &&
           (!*entry->hmac || dv_metadata_is_signed(entry, target->key));
}
