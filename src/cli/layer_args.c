/* cli/layer_args.c - see layer_args.h. */
#include "cli/layer_args.h"

#include "cli/image_arg.h"
#include "util/str.h"

#include <string.h>

#define XATTRS_MAX 256 /* names of --xattrs */

/* --- where from ------------------------------------------------------------------------------------------------------ */

static int read_when(dv_cli *cli, const char *word, davit_pull_when *out, davit_error **err)
{
    static const struct {
        const char *word;
        davit_pull_when meaning;
    } words[] = {{"missing", DAVIT_PULL_MISSING}, {"always", DAVIT_PULL_ALWAYS}, {"never", DAVIT_PULL_NEVER}};
    for (size_t i = 0; i < DV_COUNT(words); i++)
        if (!word || dv_str_equal(word, words[i].word)) {
            *out = words[i].meaning;
            return 0;
        }
    return dv_cli_usage(cli, err, "--pull: '%s' is not missing, always or never", word);
}

static int read_source(dv_cli *cli, const char *pull, bool no_store, const char *image,
                       davit_pull_when *out_when, davit_error **err)
{
    const dv_image_arg arg = dv_image_arg_read(image, DV_TRANSPORT_REGISTRY);
    davit_pull_when when = DAVIT_PULL_MISSING;
    int r = read_when(cli, pull, &when, err);
    if (r < 0)
        return r;
    bool from_store = arg.transport == DV_TRANSPORT_STORE, from_files = arg.transport == DV_TRANSPORT_FILES,
         from_registry = dv_str_starts(image, "docker://");
    if (from_store && (no_store || when == DAVIT_PULL_ALWAYS))
        return dv_cli_usage(cli, err, "%s: that is in the store, which %s excludes", image,
                            no_store ? "--no-store" : "--pull always");
    if (from_files && when == DAVIT_PULL_ALWAYS)
        return dv_cli_usage(cli, err, "%s: that is in no registry, which --pull always asks", image);
    if ((from_registry || (no_store && !from_files)) && when == DAVIT_PULL_NEVER)
        return dv_cli_usage(cli, err, "%s: --pull never excludes a registry", image);
    *out_when = from_store ? DAVIT_PULL_NEVER : from_registry ? DAVIT_PULL_ALWAYS : when;
    return 0;
}

/* --- limits ------------------------------------------------------------------------------------------------------------ */

/* Bytes, or with K, M, G, T behind in units of 1024. */
static bool read_size(const char *text, uint64_t *out)
{
    static const char units[] = "KMGT";
    char digits[24];
    size_t size = strspn(text, "0123456789");
    const char *unit = text[size] ? strchr(units, text[size] & ~0x20) : NULL;
    uint64_t n;
    if (size == 0 || size >= sizeof(digits) || (text[size] && (!unit || text[size + 1])))
        return false;
    memcpy(digits, text, size);
    digits[size] = '\0';
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (!dv_str_to_u64(digits, &n) || n == 0 || n > UINT64_MAX >> shift)
        return false;
    *out = n << shift;
    return true;
}

static int read_limits(dv_cli *cli, const dv_layer_values *v, dv_layer_args *out, davit_error **err)
{
    uint64_t window = 0;
    if (v->max_size && !read_size(v->max_size, &out->max_size_bytes))
        return dv_cli_usage(cli, err, "--max-size: '%s' is not a size, such as 500M or 20G", v->max_size);
    if (v->zstd_window && (!read_size(v->zstd_window, &window) || window < DAVIT_ZSTD_WINDOW_MIN ||
                           window > DAVIT_ZSTD_WINDOW_MAX))
        return dv_cli_usage(cli, err, "--zstd-window: '%s' is not a size from 1M to 128M", v->zstd_window);
    out->zstd_window_bytes = (uint32_t)window;
    return 0;
}

/* --- extended attributes --------------------------------------------------------------------------------------------- */

static int read_xattrs(dv_cli *cli, const dv_texts *lists, dv_layer_args *out, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(64u << 10);
    size_t count = 0;
    for (size_t i = 0; i < lists->count; i++)
        dv_buf_printf(&text, "%s%s", i ? "," : "", lists->items[i]);
    if (lists->count == 0)
        return 0;
    if (text.failed)
        return dv_cli_usage(cli, err, "--xattrs: the list is too long");
    out->xattrs_text = dv_buf_take(&text);
    out->xattrs = dv_new_array(const char *, XATTRS_MAX + 1);
    if (!out->xattrs_text || !out->xattrs)
        return dv_error_oom(err);
    for (char *at = out->xattrs_text, *name; (name = strsep(&at, ","));) {
        if (*name == '\0')
            continue;
        if (count == XATTRS_MAX)
            return dv_cli_usage(cli, err, "--xattrs: more than %d names", XATTRS_MAX);
        out->xattrs[count++] = name;
    }
    return 0;
}

/* --- all of them ------------------------------------------------------------------------------------------------------- */

void dv_layer_args_clear(dv_layer_args *a)
{
    free(a->xattrs);
    free(a->xattrs_text);
    *a = (dv_layer_args){0};
}

int dv_layer_args_read(dv_cli *cli, const dv_layer_values *v, bool no_store, const char *image,
                       dv_layer_args *out, davit_error **err)
{
    DV_AUTO(dv_layer_args) a = {0};
    int r = read_source(cli, v->pull, no_store, image, &a.pull, err);
    if (r == 0)
        r = read_limits(cli, v, &a, err);
    if (r == 0)
        r = read_xattrs(cli, &v->xattrs, &a, err);
    if (r < 0)
        return r;
    *out = a;
    a = (dv_layer_args){0};
    return 0;
}
