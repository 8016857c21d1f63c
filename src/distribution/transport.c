/* distribution/transport.c - see transport.h. Whether anything is there is for who opens it. */
#include "distribution/transport.h"

#include "davit/registry_v1.h"
#include "oci/reference.h"
#include "util/error.h"
#include "util/str.h"

#include <string.h>

static const struct {
    const char *prefix;
    dv_place_kind kind;
    const char *noun; /* of what must be behind it */
} transports[] = {
    {"docker://", DV_PLACE_REGISTRY, "reference"},  {"store:", DV_PLACE_STORE, "name"},
    {"oci-archive:", DV_PLACE_OCI_ARCHIVE, "file"}, {"docker-archive:", DV_PLACE_DOCKER_ARCHIVE, "file"},
    {"oci:", DV_PLACE_LAYOUT, "directory"},         {"dir:", DV_PLACE_DIR, "directory"},
    {"v1://", DV_PLACE_V1, "repository"},
};

void dv_place_clear(dv_place *p)
{
    free(p->path);
    free(p->name);
    free(p->id);
    davit_reference_free(p->reference);
    *p = (dv_place)DV_PLACE_INIT;
}

static size_t row_of(dv_place_kind kind)
{
    size_t i = 0;
    while (transports[i].kind != kind)
        i++;
    return i;
}

bool dv_place_is_of_files(const char *text)
{
    for (size_t i = 0; i < DV_COUNT(transports); i++)
        if (dv_str_starts(text, transports[i].prefix))
            return transports[i].kind != DV_PLACE_REGISTRY && transports[i].kind != DV_PLACE_STORE;
    return false;
}

const char *dv_place_prefix(dv_place_kind kind)
{
    return transports[row_of(kind)].prefix;
}

/* "DIR@sha256:<hex>"; colon is the first one of text. */
static bool is_digest(const char *text, const char *colon)
{
    const char *at = colon;
    while (at > text && *at != '@')
        at--;
    return *at == '@' && (strncmp(at, "@sha256:", 8) == 0 || strncmp(at, "@sha512:", 8) == 0);
}

static int parse_path(const char *text, bool with_digest, dv_place *p, davit_error **err)
{
    size_t n = strcspn(text, ":");
    const char *name = text[n] ? text + n + 1 : NULL;
    if (with_digest && name && is_digest(text, text + n)) {
        while (text[n] != '@')
            n--;
        name = NULL;
        int r = davit_digest_parse(text + n + 1, &p->digest, err);
        if (r < 0)
            return r;
    }
    p->path = dv_strndup(text, n);
    p->name = name && *name ? dv_strdup(name) : NULL;
    return p->path && (p->name || !name || !*name) ? 0 : dv_error_oom(err);
}

/* A name that need not be a reference: an image id, for one. */
static int parse_if_it_can(const char *text, davit_reference **out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = davit_reference_parse(text, out, &why);
    return r == 0 || r == DAVIT_EINVAL ? 0 : dv_error_move(err, &why, r);
}

static int parse_v1(const char *text, dv_place *p, davit_error **err)
{
    davit_v1_name name = DAVIT_V1_NAME_INIT;
    int r = davit_v1_name_parse(text, &name, err);
    if (r < 0)
        return r;
    p->path = name.repository;
    p->name = name.tag;
    p->id = name.id;
    return 0;
}

static int parse_rest(const char *rest, dv_place *p, davit_error **err)
{
    int r = 0;
    switch (p->kind) {
    case DV_PLACE_REGISTRY:
        r = davit_reference_parse(rest, &p->reference, err);
        break;
    case DV_PLACE_STORE:
        r = parse_if_it_can(rest, &p->reference, err);
        break;
    case DV_PLACE_DIR:
        p->path = dv_strdup(rest);
        return p->path ? 0 : dv_error_oom(err);
    case DV_PLACE_LAYOUT:
    case DV_PLACE_OCI_ARCHIVE:
        return parse_path(rest, /* with_digest= */ true, p, err);
    case DV_PLACE_V1:
        return parse_v1(rest, p, err);
    case DV_PLACE_DOCKER_ARCHIVE:
        r = parse_path(rest, /* with_digest= */ false, p, err);
        return r == 0 && p->name ? davit_reference_parse(p->name, &p->reference, err) : r;
    }
    if (r < 0)
        return r;
    p->name = dv_strdup(rest);
    return p->name ? 0 : dv_error_oom(err);
}

int dv_place_parse(const char *text, dv_place_kind bare, dv_place *out, davit_error **err)
{
    DV_AUTO(dv_place) p = DV_PLACE_INIT;
    const char *rest = text;
    p.kind = bare;
    for (size_t i = 0; i < DV_COUNT(transports); i++) {
        if (!dv_str_starts(text, transports[i].prefix))
            continue;
        p.kind = transports[i].kind;
        rest = text + strlen(transports[i].prefix);
        break;
    }
    if (!*rest || (*rest == ':' && p.kind != DV_PLACE_DIR))
        return dv_error_set(err, DAVIT_EINVAL, "%s: no %s is named", text, transports[row_of(p.kind)].noun);
    int r = parse_rest(rest, &p, err);
    if (r < 0)
        return dv_error_wrap(err, r, "%s", text);
    *out = p;
    p = (dv_place)DV_PLACE_INIT;
    return 0;
}

int dv_place_check_readable(const dv_place *p, davit_error **err)
{
    if (p->kind != DV_PLACE_V1)
        return 0;
    return dv_error_set(
        err, DAVIT_EUNSUPPORTED,
        "v1://%s: what a registry of the first version has is known only when its layers were fetched; "
        "davit pull brings it into the store, davit v1 asks for its parts",
        p->path);
}

void dv_place_format(const dv_place *p, const char *tag, dv_buf *out)
{
    dv_buf_puts(out, dv_place_prefix(p->kind));
    if (p->kind == DV_PLACE_REGISTRY || (p->kind == DV_PLACE_STORE && p->reference)) {
        const char *own = davit_reference_tag(p->reference);
        const char *digest = davit_reference_digest_text(p->reference);
        tag = tag ? tag : own;
        dv_buf_puts(out, davit_reference_familiar_name(p->reference));
        if (tag)
            dv_buf_printf(out, ":%s", tag);
        if (digest && (!tag || tag == own))
            dv_buf_printf(out, "@%s", digest);
        return;
    }
    tag = tag ? tag : p->name;
    if (p->path)
        dv_buf_puts(out, p->path);
    if (p->path && tag)
        dv_buf_putc(out, ':');
    if (tag)
        dv_buf_puts(out, tag);
    else if (p->id)
        dv_buf_printf(out, "@%s", p->id);
    else if (p->digest.algorithm)
        dv_buf_printf(out, "@%s", p->digest.text);
}

static const char *tag_or_latest(const davit_reference *ref)
{
    const char *tag = davit_reference_tag(ref);
    return tag || davit_reference_digest_text(ref) ? tag : "latest";
}

bool dv_place_equal(const dv_place *a, const dv_place *b)
{
    if (a->kind != b->kind || !dv_str_equal(a->path, b->path) || (!a->reference) != (!b->reference))
        return false;
    if (!a->reference)
        return dv_str_equal(a->name, b->name) && dv_str_equal(a->id, b->id) &&
               dv_str_equal(a->digest.text, b->digest.text);
    return dv_str_equal(davit_reference_name(a->reference), davit_reference_name(b->reference)) &&
           dv_str_equal(tag_or_latest(a->reference), tag_or_latest(b->reference)) &&
           dv_str_equal(davit_reference_digest_text(a->reference), davit_reference_digest_text(b->reference));
}

int dv_image_name_read(const char *text, davit_pull_when pull, dv_image_name *out, davit_error **err)
{
    const char *registry = dv_place_prefix(DV_PLACE_REGISTRY), *store = dv_place_prefix(DV_PLACE_STORE);
    dv_image_name name = {.text = text, .of_files = dv_place_is_of_files(text), .pull = pull};
    if (dv_str_starts(text, registry)) {
        name.text = text + strlen(registry);
        name.pull = DAVIT_PULL_ALWAYS;
    } else if (dv_str_starts(text, store)) {
        name.text = text + strlen(store);
        name.pull = DAVIT_PULL_NEVER;
    }
    if (pull == DAVIT_PULL_NEVER && name.pull == DAVIT_PULL_ALWAYS)
        return dv_error_set(err, DAVIT_EINVAL, "%s is in a registry, which is not to be asked", text);
    if (pull == DAVIT_PULL_ALWAYS && (name.of_files || name.pull == DAVIT_PULL_NEVER))
        return dv_error_set(err, DAVIT_EINVAL, "%s is in no registry: it cannot be pulled", text);
    *out = name;
    return 0;
}
