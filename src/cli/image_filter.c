/*
 * cli/image_filter.c - see image_filter.h.
 *
 * Values of one key: of reference any may fit, of the others all must. An image that does not say when it was made is older than
 * anything, as for prune.
 */
#include "cli/image_filter.h"

#include "cli/image_json.h"
#include "cli/time_arg.h"
#include "util/clock.h"
#include "util/str.h"

#include <string.h>

#define NEVER INT64_MIN

/* --- reading ------------------------------------------------------------------------------------------------------- */

/* When the image was made that a name means. */
static int find_created(dv_cli *cli, const char *name, int64_t *out, davit_error **err)
{
    DV_AUTOPTR(davit_image_list) list = NULL;
    DV_AUTOPTR(davit_image_config) config = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_store_find_one(cli, name, NULL, &list, &why);
    if (r == DAVIT_ENOTFOUND) /* also without a store */
        return dv_error_set(err, r, "No such image: %s", name);
    if (r == 0)
        r = davit_store_get_config(cli->store, &davit_image_list_at(list, 0)->config, &config, &why);
    if (r < 0)
        return dv_error_move(err, &why, r);
    *out = dv_image_created_s(config);
    return 0;
}

static int read_before(dv_image_filter *f, dv_cli *cli, const char *value, davit_error **err)
{
    int64_t created_s;
    int r = find_created(cli, value, &created_s, err);
    if (r == 0 && created_s < f->before_s)
        f->before_s = created_s;
    f->by_config = true;
    return r;
}

static int read_since(dv_image_filter *f, dv_cli *cli, const char *value, davit_error **err)
{
    int64_t created_s;
    int r = find_created(cli, value, &created_s, err);
    if (r == 0 && created_s > f->since_s)
        f->since_s = created_s;
    f->by_config = true;
    return r;
}

static int read_until(dv_image_filter *f, dv_cli *cli, const char *value, davit_error **err)
{
    int64_t until_s;
    int r = dv_time_arg_parse(value, dv_wall_time_s(), &until_s, err);
    (void)cli;
    if (r == 0 && until_s < f->before_s)
        f->before_s = until_s;
    f->by_config = true;
    return r;
}

static int read_dangling(dv_image_filter *f, dv_cli *cli, const char *value, davit_error **err)
{
    bool yes = dv_str_equal(value, "true") || dv_str_equal(value, "1");
    if (!yes && !dv_str_equal(value, "false") && !dv_str_equal(value, "0"))
        return dv_cli_usage(cli, err, "invalid filter 'dangling=%s': it is true or false", value);
    f->wants_dangling |= yes;
    f->wants_tagged |= !yes;
    return 0;
}

static int read_reference(dv_image_filter *f, dv_cli *cli, const char *value, davit_error **err)
{
    (void)cli, (void)value, (void)err;
    f->by_reference = true;
    return 0;
}

static int read_label(dv_image_filter *f, dv_cli *cli, const char *value, davit_error **err)
{
    (void)cli, (void)value, (void)err;
    f->by_config = true;
    return 0;
}

#define REFERENCE "reference="
#define LABEL "label="

static const struct {
    const char *key;
    int (*read)(dv_image_filter *f, dv_cli *cli, const char *value, davit_error **err);
} keys[] = {
    {REFERENCE, read_reference}, {LABEL, read_label},    {"dangling=", read_dangling},
    {"before=", read_before},    {"since=", read_since}, {"until=", read_until},
};

static int read_filter(dv_image_filter *f, dv_cli *cli, const char *filter, davit_error **err)
{
    for (size_t i = 0; i < DV_COUNT(keys); i++)
        if (dv_str_starts(filter, keys[i].key) && filter[strlen(keys[i].key)])
            return keys[i].read(f, cli, filter + strlen(keys[i].key), err);
    return dv_cli_usage(cli, err,
                        "invalid filter '%s': there are dangling, reference, before, since, until and label, "
                        "each with = and a value",
                        filter);
}

int dv_image_filter_init(dv_image_filter *f, dv_cli *cli, const char *pattern, const dv_texts *filters,
                         davit_error **err)
{
    int r = 0;
    *f = (dv_image_filter){.pattern = pattern,
                           .filters = *filters,
                           .by_reference = pattern != NULL,
                           .before_s = INT64_MAX,
                           .since_s = NEVER};
    for (size_t i = 0; r == 0 && i < filters->count; i++)
        r = read_filter(f, cli, filters->items[i], err);
    return r;
}

/* --- judging ------------------------------------------------------------------------------------------------------- */

/* As Docker's pattern, or as any other spelling of the same name. */
static bool matches(const davit_reference *ref, const char *pattern)
{
    DV_AUTOPTR(davit_reference) wanted = NULL;
    bool yes = false;
    if (davit_reference_familiar_match(ref, pattern, &yes, NULL) == 0 && yes)
        return true;
    return davit_reference_parse(pattern, &wanted, NULL) == 0 &&
           davit_reference_familiar_match(ref, davit_reference_familiar(wanted), &yes, NULL) == 0 && yes;
}

bool dv_image_filter_fits_name(const dv_image_filter *f, const davit_reference *ref)
{
    bool asked = false, fits = false;
    for (size_t i = 0; i < f->filters.count && !fits; i++)
        if (dv_str_starts(f->filters.items[i], REFERENCE)) {
            asked = true;
            fits = matches(ref, f->filters.items[i] + strlen(REFERENCE));
        }
    return (!asked || fits) && (!f->pattern || matches(ref, f->pattern));
}

static int fits_labels(const dv_image_filter *f, const davit_image_config *config, davit_error **err)
{
    int r = 1;
    for (size_t i = 0; r == 1 && i < f->filters.count; i++)
        if (dv_str_starts(f->filters.items[i], LABEL))
            r = config ? dv_image_has_label(config, f->filters.items[i] + strlen(LABEL), err) : 0;
    return r;
}

int dv_image_filter_fits(const dv_image_filter *f, const davit_image *image, const davit_image_config *config,
                         davit_error **err)
{
    bool dangling = image->tag_count == 0;
    int64_t created_s = dv_image_created_s(config);
    if ((f->wants_dangling && !dangling) || (f->wants_tagged && dangling))
        return 0;
    if (f->by_config && (created_s >= f->before_s || created_s <= f->since_s))
        return 0;
    return fits_labels(f, config, err);
}
