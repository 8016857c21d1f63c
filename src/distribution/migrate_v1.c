/*
 * distribution/migrate_v1.c - davit_v1_migrate(): repositories of an old registry to where images are kept today.
 *
 * Repositories are taken a few at a time. What their tags stand on is fetched into the store, several layers at once and each only once
 * (v1_reader.c); which tags the target has already is asked over several connections (migrate_look.c); the others are copied (migrate_copy.c), their
 * blobs mounted where the target has them in another repository. One that fails is told, and does not stop the rest.
 */
#include "distribution/migrate_private.h"

#include "distribution/search_v1.h"
#include "oci/reference.h"
#include "oci/v1_image.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>

#define TEXT_MAX (16u << 10)

static void migration_clear(dv_migration *m)
{
    dv_v1_reader_close(m->reader);
    davit_v1_client_free(m->asked);
    davit_error_free(m->first);
}
DV_DEFINE_AUTO(dv_migration, migration_clear)

/* --- what is told --------------------------------------------------------------------------------------------------------- */

/* tag: NULL for all of the repository. Takes the error. */
void dv_migration_fail(dv_migration *m, const char *repository, const char *tag, davit_error *why)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(TEXT_MAX);
    const char *detail = davit_v1_error_detail(why);
    m->result.failed_count++;
    dv_buf_printf(&text, "%.300s%s%.300s: %s%s%s", repository, tag ? ":" : "", tag ? tag : "",
                  davit_error_message(why), detail ? ": " : "", detail ? detail : "");
    if (m->options->progress && !text.failed)
        m->options->progress(&(davit_progress){.kind = DAVIT_PROGRESS_WARNING, .action = dv_buf_text(&text)},
                             m->options->user_data);
    if (!m->first && !text.failed)
        dv_error_set(&m->first, davit_error_code(why), "%s", dv_buf_text(&text));
    davit_error_free(why);
}

/* What is wrong here rather than there ends everything. */
bool dv_migration_is_over(int r)
{
    return r == DAVIT_ENOMEM || r == DAVIT_ECANCELLED || r == DAVIT_ENOSPACE || r == DAVIT_ESTORE ||
           r == DAVIT_EIO;
}

size_t dv_migration_repository_size(const dv_migration_piece *pieces, size_t count)
{
    size_t n = 1;
    while (n < count && pieces[n].wanted == pieces->wanted)
        n++;
    return n;
}

/* Where a repository goes. Layouts are put side by side as their names say. */
int dv_migration_place(const dv_migration *m, const char *repository, dv_place *out, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(TEXT_MAX);
    DV_AUTO(dv_place) place = DV_PLACE_INIT;
    char last = m->target[strlen(m->target) - 1];
    dv_buf_printf(&text, "%s%s%s", m->target, last == '/' || last == ':' ? "" : "/", repository);
    if (text.failed)
        return dv_error_set(err, DAVIT_EINVAL, "the name at the target is too long");
    int r = dv_place_parse(dv_buf_text(&text), DV_PLACE_REGISTRY, &place, err);
    if (r < 0)
        return r;
    if (place.name && place.kind == DV_PLACE_LAYOUT)
        return dv_error_set(err, DAVIT_EINVAL, "%.300s: a colon cannot be in the path of a layout",
                            dv_buf_text(&text));
    if (place.reference && !davit_reference_is_name_only(place.reference))
        return dv_error_set(err, DAVIT_EINVAL, "%.300s is no repository", dv_buf_text(&text));
    *out = place;
    place = (dv_place)DV_PLACE_INIT; /* moved */
    return 0;
}

/* --- who is asked ----------------------------------------------------------------------------------------------------------- */

/* So that a host is looked for once, and not for each repository. */
static int find_source(dv_migration *m, const char *host, davit_error **err)
{
    DV_AUTO(dv_buf) name = DV_BUF_INIT(TEXT_MAX);
    bool is_index = false;
    if (m->options->open)
        m->open = *m->options->open;
    if (!host == !(m->open.index || m->open.registry))
        return dv_error_set(err, DAVIT_EINVAL,
                            "either a host, or the URL of an index or a registry, says where from");
    dv_buf_printf(&name, "%s/", host ? host : "");
    if (name.failed)
        return dv_error_set(err, DAVIT_EINVAL, "the name of the host is too long");
    if (host && dv_v1_host_size(dv_buf_text(&name)) == 0) /* which would be Docker Hub's */
        return dv_error_set(err, DAVIT_EINVAL,
                            "%.300s is no host: one has a dot or a port, or is localhost; of any other give "
                            "the URL of its index or registry",
                            host);
    int r = dv_v1_client_find(m->client, dv_buf_text(&name), &m->open, &m->asked, &is_index, err);
    if (r == 0 && host)
        *(is_index ? &m->open.index : &m->open.registry) = davit_v1_client_base_url(m->asked);
    return r;
}

/* Places with a name for each repository and a tag for each image. */
static int check_target(const dv_migration *m, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(TEXT_MAX);
    DV_AUTO(dv_place) place = DV_PLACE_INIT;
    char last = *m->target ? m->target[strlen(m->target) - 1] : '\0';
    dv_buf_printf(&text, "%s%sx", m->target, last == '/' || last == ':' ? "" : "/");
    if (text.failed)
        return dv_error_set(err, DAVIT_EINVAL, "the name of the target is too long");
    int r = dv_place_parse(dv_buf_text(&text), DV_PLACE_REGISTRY, &place, err);
    if (r < 0)
        return r;
    if (place.kind == DV_PLACE_STORE || (place.kind == DV_PLACE_LAYOUT && !place.name) ||
        (place.kind == DV_PLACE_REGISTRY && davit_reference_is_name_only(place.reference)))
        return 0;
    return dv_error_set(
        err, DAVIT_EINVAL,
        "%s: repositories go to a registry (docker://HOST[/PREFIX]), the store (store:[PREFIX]) or layouts "
        "(oci:DIR)",
        m->target);
}

/* --- some tags at a time -------------------------------------------------------------------------------------------------------- */

static int fetch(dv_migration *m, dv_migration_piece *pieces, size_t count, davit_error **err)
{
    DV_AUTOFREE dv_v1_top *tops = dv_new_array(dv_v1_top, count);
    if (!tops)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++)
        tops[i] = (dv_v1_top){.wanted = pieces[i].wanted, .id = pieces[i].tag->id};
    int r = dv_v1_reader_fetch(m->reader, tops, count, err);
    for (size_t i = 0; i < count; i++)
        pieces[i].err = tops[i].err;
    return r;
}

static int migrate_pieces(dv_migration *m, dv_migration_piece *pieces, size_t count, davit_error **err)
{
    int r = count ? fetch(m, pieces, count, err) : 0;
    if (r == 0 && count)
        r = dv_migration_look(m, pieces, count, err);
    if (r == 0 && count)
        r = dv_migration_copy(m, pieces, count, err);
    for (size_t i = 0; i < count; i++)
        davit_error_free(pieces[i].err);
    return r;
}

static void tell_dry(const dv_migration *m, const dv_migration_piece *p)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(TEXT_MAX);
    dv_buf_printf(&text, "%s:%s", p->wanted->name, p->tag->name);
    if (m->options->progress && !text.failed)
        m->options->progress(&(davit_progress){.kind = DAVIT_PROGRESS_MESSAGE, .action = dv_buf_text(&text)},
                             m->options->user_data);
}

/* What cannot be named at the target is not fetched for it. */
static bool has_name(dv_migration *m, const dv_place *place, const dv_migration_piece *p)
{
    DV_AUTOPTR(davit_reference) tagged = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    if (!place->reference || davit_reference_with_tag(place->reference, p->tag->name, &tagged, &why) == 0)
        return true;
    dv_migration_fail(m, p->wanted->name, p->tag->name, DV_STEAL(why));
    return false;
}

/* The pieces that wait for others, so that many are migrated together. */
typedef struct batch {
    dv_migration_piece *pieces;
    size_t count;
} batch;

static int migrate_repository(dv_migration *m, dv_v1_wanted *w, batch *b, davit_error **err)
{
    DV_AUTO(dv_place) place = DV_PLACE_INIT;
    int r = w->err ? 0 : dv_migration_place(m, w->name, &place, &w->err);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (w->err) {
        dv_migration_fail(m, w->name, w->tag, DV_STEAL(w->err));
        return 0;
    }
    m->result.tag_count += w->tags->count;
    for (size_t i = 0; r == 0 && i < w->tags->count; i++) {
        const dv_migration_piece p = {.wanted = w, .tag = &w->tags->items[i]};
        if (!has_name(m, &place, &p))
            continue;
        if (m->options->flags & DAVIT_V1_MIGRATE_DRY_RUN) {
            tell_dry(m, &p);
            continue;
        }
        b->pieces[b->count++] = p;
        if (b->count == DV_MIGRATION_TAGS) {
            r = migrate_pieces(m, b->pieces, b->count, err);
            b->count = 0;
        }
    }
    return r;
}

static int migrate_tags(dv_migration *m, dv_v1_wanted *wanted, size_t count, davit_error **err)
{
    DV_AUTOFREE dv_migration_piece *pieces = dv_new_array(dv_migration_piece, DV_MIGRATION_TAGS);
    batch b = {.pieces = pieces};
    int r = pieces ? 0 : dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = migrate_repository(m, &wanted[i], &b, err);
    return r < 0 ? r : migrate_pieces(m, b.pieces, b.count, err);
}

/* What the user named may have a tag; what a search found is a repository, whatever it holds. */
static int read_name(const dv_migration *m, const char *text, davit_v1_name *out, davit_error **err)
{
    DV_AUTO(davit_v1_name) name = DAVIT_V1_NAME_INIT;
    if (m->options->name_count == 0) {
        out->repository = dv_strdup(text);
        return out->repository ? 0 : dv_error_oom(err);
    }
    int r = davit_v1_name_parse(text, &name, err);
    if (r < 0)
        return r;
    if (name.id)
        return dv_error_set(err, DAVIT_EINVAL, "%s: an id has no name to migrate it under", text);
    *out = name;
    name = (davit_v1_name)DAVIT_V1_NAME_INIT; /* moved */
    return 0;
}

/* Up to DV_MIGRATION_REPOSITORIES of them. */
static int migrate_some(dv_migration *m, char *const *names, size_t count, davit_error **err)
{
    dv_v1_wanted wanted[DV_MIGRATION_REPOSITORIES] = {{.name = NULL}};
    davit_v1_name parsed[DV_MIGRATION_REPOSITORIES] = {DAVIT_V1_NAME_INIT};
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = read_name(m, names[i], &parsed[i], err);
        wanted[i].name = parsed[i].repository;
        wanted[i].tag = parsed[i].tag;
    }
    if (r == 0)
        r = dv_v1_reader_list(m->reader, wanted, count, err);
    m->result.repository_count += count;
    if (r == 0)
        r = migrate_tags(m, wanted, count, err);
    for (size_t i = 0; i < count; i++) {
        dv_v1_wanted_clear(&wanted[i]);
        davit_v1_name_clear(&parsed[i]);
    }
    return r;
}

/* --- the whole -------------------------------------------------------------------------------------------------------------------- */

static int check_options(const davit_v1_migrate_options *o, davit_error **err)
{
    if (o->version != DAVIT_V1_MIGRATE_OPTIONS_VERSION || o->flags & ~DAVIT_V1_MIGRATE_DRY_RUN)
        return dv_error_set(err, DAVIT_EINVAL, "unknown v1 migrate options (version %u, flags 0x%x)",
                            o->version, o->flags);
    if (o->name_count > 0 && o->search)
        return dv_error_set(err, DAVIT_EINVAL, "repositories by name, and by a search, exclude each other");
    return 0;
}

/* Before anything is done for the first of them. */
static int check_names(const dv_migration *m, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < m->options->name_count; i++) {
        DV_AUTO(davit_v1_name) unused = DAVIT_V1_NAME_INIT;
        r = read_name(m, m->options->names[i], &unused, err);
    }
    return r;
}

static int search(const dv_migration *m, davit_v1_texts *out, davit_error **err)
{
    dv_v1_search s = {.asked = m->asked, .open = &m->open, .text = m->options->search};
    int r = dv_v1_search_all(&s, out, err);
    davit_v1_auth_free(s.user);
    return r;
}

static int migrate_all(dv_migration *m, davit_error **err)
{
    DV_AUTO(davit_v1_texts) found = {.items = NULL};
    const davit_v1_migrate_options *o = m->options;
    int r = o->name_count ? 0 : search(m, &found, err);
    if (r < 0)
        return r;
    char *const *names = o->name_count ? (char *const *)o->names : found.items;
    size_t count = o->name_count ? o->name_count : found.count;
    if (count == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s: a search finds no repositories",
                            davit_v1_client_base_url(m->asked));
    for (size_t i = 0; r == 0 && i < count; i += DV_MIGRATION_REPOSITORIES)
        r = migrate_some(m, &names[i],
                         count - i < DV_MIGRATION_REPOSITORIES ? count - i : DV_MIGRATION_REPOSITORIES, err);
    return r;
}

static void count_read(dv_migration *m)
{
    dv_v1_read read;
    dv_v1_reader_count(m->reader, &read);
    m->result.layer_count = read.layer_count;
    m->result.layer_bytes = read.layer_bytes;
}

static int finish(dv_migration *m, davit_error **err)
{
    int r = dv_v1_reader_drop(m->reader, err);
    if (r < 0 || m->result.failed_count == 0)
        return r;
    int code = m->first ? davit_error_code(m->first) : DAVIT_ENOMEM;
    if (m->result.failed_count == 1 && m->first)
        return dv_error_move(err, &m->first, code);
    return dv_error_set(err, code, "%" PRIu64 " could not be migrated, the first: %s", m->result.failed_count,
                        davit_error_message(m->first));
}

int davit_v1_migrate(davit_client *client, const char *host, const char *target,
                     const davit_v1_migrate_options *options, davit_v1_migrate_result *out, davit_error **err)
{
    static const davit_v1_migrate_options defaults = DAVIT_V1_MIGRATE_OPTIONS_INIT;
    DV_AUTO(dv_migration)
    m = {.client = client,
         .options = options ? options : &defaults,
         .open = DAVIT_V1_OPEN_OPTIONS_INIT,
         .target = target};
    int r = check_options(m.options, err);
    if (r == 0)
        r = check_target(&m, err);
    if (r == 0)
        r = check_names(&m, err);
    if (r == 0)
        r = find_source(&m, host, err);
    const dv_v1_reader_options reading = {
        .open = &m.open, .progress = m.options->progress, .user_data = m.options->user_data, .go_on = true};
    if (r == 0)
        r = dv_v1_reader_open(client, &reading, &m.reader, err);
    if (r == 0)
        r = migrate_all(&m, err);
    if (m.reader)
        count_read(&m);
    if (r == 0)
        r = finish(&m, err);
    if (out) /* also what was done before a failure */
        *out = m.result;
    return r;
}
