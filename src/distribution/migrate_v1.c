/*
 * distribution/migrate_v1.c - davit_v1_migrate(): repositories of an old registry to where images are kept today.
 *
 * Repositories are taken a few at a time. What their tags stand on is fetched into the store, several layers at once and each only once
 * (v1_reader.c); which tags the target has already is asked for several repositories at once; the others are copied in order (copy.c), their
 * blobs several at once, and mounted where the target has them in another repository. One that fails is told, and does not stop the rest.
 */
#include "distribution/copy_private.h"
#include "distribution/search_v1.h"
#include "distribution/source_v1.h"
#include "distribution/v1_convert.h"
#include "oci/reference.h"
#include "oci/v1_image.h"
#include "registry/client.h"
#include "util/file.h"
#include "util/str.h"
#include "util/workpool.h"

#include <inttypes.h>
#include <string.h>

#define REPOSITORIES_AT_ONCE 16
#define TAGS_AT_ONCE 256 /* bounds what is in memory of ancestries */
#define LOOKS_AT_ONCE 8  /* connections over which the target is asked what it has */
#define LOOK_SIZE 32     /* tags of a repository that are asked for over one, behind one token */
#define TEXT_MAX (16u << 10)
#define WAIT_MS 100

typedef struct migration {
    davit_client *client;
    const davit_v1_migrate_options *options;
    davit_v1_open_options open; /* with the URL of whoever is asked */
    davit_v1_client *asked;
    const char *target;
    dv_v1_reader *reader;
    davit_v1_migrate_result result;
    davit_error *first; /* failure */
} migration;

static void migration_clear(migration *m)
{
    dv_v1_reader_close(m->reader);
    davit_v1_client_free(m->asked);
    davit_error_free(m->first);
}
DV_DEFINE_AUTO(migration, migration_clear)

/* A tag, and what becomes of it. */
typedef struct piece {
    dv_v1_wanted *wanted;
    const davit_v1_tag *tag;
    davit_error *err;
    davit_digest config; /* that an earlier migration may have made for it; algorithm NONE: not known */
    bool there;          /* the target's tag is this image already */
    bool asked;          /* what the target's tag is */
    dv_copy_old old;
} piece;

/* --- what is told --------------------------------------------------------------------------------------------------------- */

/* tag: NULL for all of the repository. Takes the error. */
static void fail(migration *m, const char *repository, const char *tag, davit_error *why)
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
static bool is_ours(int r)
{
    return r == DAVIT_ENOMEM || r == DAVIT_ECANCELLED || r == DAVIT_ENOSPACE || r == DAVIT_ESTORE ||
           r == DAVIT_EIO;
}

/* --- who is asked ----------------------------------------------------------------------------------------------------------- */

/* So that a host is looked for once, and not for each repository. */
static int find_source(migration *m, const char *host, davit_error **err)
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
static int check_target(const migration *m, davit_error **err)
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

/* --- what the target has ------------------------------------------------------------------------------------------------------ */

/* Where a repository goes. Layouts are put side by side as their names say. */
static int place_of(const migration *m, const char *repository, dv_place *out, davit_error **err)
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

/* Pieces of one repository. */
typedef struct look {
    dv_work work;
    dv_node done;
    const migration *m;
    dv_queue *ended;
    piece *pieces;
    size_t count;
} look;

static void look_at_one(const look *l, dv_target *target, piece *p)
{
    DV_AUTO(dv_v1_converted) image = DV_V1_CONVERTED_INIT;
    if (p->err || dv_v1_convert(dv_v1_reader_store(l->m->reader), dv_v1_wanted_registry(p->wanted),
                                p->tag->id, &image, NULL) < 0)
        return;
    p->config = image.config_descriptor.digest;
    int r = target->ops->resolve(target, p->tag->name, &p->old.digest, NULL);
    p->asked = r >= 0;
    p->old.there = r > 0;
    p->there = p->old.there && davit_digest_equal(&p->old.digest, &image.manifest_descriptor.digest);
}

/* Threads: worker. What fails here is seen again, and told, where it is copied. */
static void look_at(dv_work *work)
{
    look *l = (look *)work;
    DV_AUTO(dv_place) place = DV_PLACE_INIT;
    DV_AUTOPTR(dv_target) target = NULL;
    if (place_of(l->m, l->pieces->wanted->name, &place, NULL) == 0 &&
        dv_target_open(l->m->client, &place, &target, NULL) == 0)
        for (size_t i = 0; i < l->count; i++)
            look_at_one(l, target, &l->pieces[i]);
    dv_target_close(DV_STEAL(target));
    dv_queue_push(l->ended, &l->done);
}

static size_t repository_size(const piece *pieces, size_t count)
{
    size_t n = 1;
    while (n < count && pieces[n].wanted == pieces->wanted)
        n++;
    return n;
}

static int look_at_all(const migration *m, piece *pieces, size_t count, davit_error **err)
{
    look looks[REPOSITORIES_AT_ONCE + TAGS_AT_ONCE / LOOK_SIZE];
    size_t n = 0;
    dv_queue *ended = dv_queue_new();
    dv_workpool *pool = ended ? dv_workpool_new(LOOKS_AT_ONCE) : NULL;
    for (size_t i = 0; pool && i < count; n++) {
        size_t left = count - i, size = repository_size(&pieces[i], left < LOOK_SIZE ? left : LOOK_SIZE);
        looks[n] = (look){.work.run = look_at, .m = m, .ended = ended, .pieces = &pieces[i], .count = size};
        dv_workpool_submit(pool, &looks[n].work);
        i += size;
    }
    for (size_t left = n; left > 0;)
        left -= dv_queue_pop(ended, WAIT_MS) != NULL;
    bool made = pool != NULL;
    dv_workpool_free(pool);
    dv_queue_free(ended);
    int r = made ? dv_client_check_cancelled(m->client, err) : dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < count; i++)
        if (pieces[i].config.algorithm)
            r = dv_v1_reader_stage(m->reader, &pieces[i].config, err);
    return r;
}

/* --- copying ------------------------------------------------------------------------------------------------------------------ */

static int make_parents(const dv_place *to, davit_error **err)
{
    const char *slash = to->kind == DV_PLACE_LAYOUT ? strrchr(to->path, '/') : NULL;
    DV_AUTOFREE char *parent = slash > to->path ? dv_strndup(to->path, (size_t)(slash - to->path)) : NULL;
    if (!slash || slash == to->path)
        return 0;
    if (!parent)
        return dv_error_oom(err);
    return dv_make_directories(parent, 0755, err);
}

static int open_copy(const migration *m, dv_v1_wanted *wanted, dv_copy *c, davit_error **err)
{
    c->from = (dv_place){.kind = DV_PLACE_V1, .path = dv_strdup(wanted->name)};
    if (!c->from.path)
        return dv_error_oom(err);
    int r = place_of(m, wanted->name, &c->to, err);
    if (r == 0)
        r = make_parents(&c->to, err);
    if (r == 0)
        r = dv_source_v1_over(m->client, &c->from, m->reader, wanted, &c->source, err);
    if (r == 0)
        r = dv_target_open(m->client, &c->to, &c->target, err);
    return r;
}

static void add_result(migration *m, const davit_copy_result *r)
{
    m->result.copied_count += r->copied_count;
    m->result.copied_bytes += r->copied_bytes;
    m->result.mounted_count += r->mounted_count;
    m->result.mounted_bytes += r->mounted_bytes;
    m->result.present_count += r->present_count;
    m->result.present_bytes += r->present_bytes;
}

static int copy_tags(migration *m, dv_copy *c, piece *pieces, size_t count, davit_error **err)
{
    for (size_t i = 0; i < count; i++) {
        piece *p = &pieces[i];
        DV_AUTOPTR(davit_error) why = NULL;
        if (p->there || p->err)
            continue;
        c->old = p->asked ? &p->old : NULL;
        int r = dv_copy_name(c, p->tag->name, p->tag->name, /* alone= */ false, &why);
        if (is_ours(r))
            return dv_error_move(err, &why, r);
        m->result.migrated_count += r == 0;
        if (r == 0)
            continue;
        fail(m, p->wanted->name, p->tag->name, DV_STEAL(why));
        r = dv_v1_reader_keep(m->reader, p->wanted, p->tag->id, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* One repository. */
static int copy_repository(migration *m, piece *pieces, size_t count, davit_error **err)
{
    davit_copy_options options = DAVIT_COPY_OPTIONS_INIT;
    DV_AUTO(dv_copy) c = {.client = m->client, .options = &options, .known = dv_v1_reader_store(m->reader)};
    DV_AUTOPTR(davit_error) why = NULL;
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        m->result.there_count += pieces[i].there;
        if (pieces[i].err)
            fail(m, pieces[i].wanted->name, pieces[i].tag->name, dv_error_copy(pieces[i].err));
        any = any || !(pieces[i].there || pieces[i].err);
    }
    if (!any)
        return 0;
    options.progress = m->options->progress;
    options.user_data = m->options->user_data;
    int r = open_copy(m, pieces->wanted, &c, &why);
    if (r == 0)
        r = copy_tags(m, &c, pieces, count, &why);
    if (r == 0)
        r = c.target->ops->finish(c.target, &why);
    add_result(m, &c.result);
    if (is_ours(r))
        return dv_error_move(err, &why, r);
    if (r == 0)
        return 0;
    fail(m, pieces->wanted->name, NULL, DV_STEAL(why));
    for (size_t i = 0; i < count; i++) {
        r = dv_v1_reader_keep(m->reader, pieces[i].wanted, pieces[i].tag->id, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- some tags at a time -------------------------------------------------------------------------------------------------------- */

static int fetch(migration *m, piece *pieces, size_t count, davit_error **err)
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

static int migrate_pieces(migration *m, piece *pieces, size_t count, davit_error **err)
{
    int r = count ? fetch(m, pieces, count, err) : 0;
    if (r == 0 && count)
        r = look_at_all(m, pieces, count, err);
    for (size_t i = 0, size; r == 0 && i < count; i += size) {
        size = repository_size(&pieces[i], count - i);
        r = copy_repository(m, &pieces[i], size, err);
    }
    for (size_t i = 0; i < count; i++)
        davit_error_free(pieces[i].err);
    return r;
}

static void tell_dry(const migration *m, const piece *p)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(TEXT_MAX);
    dv_buf_printf(&text, "%s:%s", p->wanted->name, p->tag->name);
    if (m->options->progress && !text.failed)
        m->options->progress(&(davit_progress){.kind = DAVIT_PROGRESS_MESSAGE, .action = dv_buf_text(&text)},
                             m->options->user_data);
}

/* What cannot be named at the target is not fetched for it. */
static bool has_name(migration *m, const dv_place *place, const piece *p)
{
    DV_AUTOPTR(davit_reference) tagged = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    if (!place->reference || davit_reference_with_tag(place->reference, p->tag->name, &tagged, &why) == 0)
        return true;
    fail(m, p->wanted->name, p->tag->name, DV_STEAL(why));
    return false;
}

/* The pieces that wait for others, so that many are migrated together. */
typedef struct batch {
    piece *pieces;
    size_t count;
} batch;

static int migrate_repository(migration *m, dv_v1_wanted *w, batch *b, davit_error **err)
{
    DV_AUTO(dv_place) place = DV_PLACE_INIT;
    int r = w->err ? 0 : place_of(m, w->name, &place, &w->err);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (w->err) {
        fail(m, w->name, w->tag, DV_STEAL(w->err));
        return 0;
    }
    m->result.tag_count += w->tags->count;
    for (size_t i = 0; r == 0 && i < w->tags->count; i++) {
        const piece p = {.wanted = w, .tag = &w->tags->items[i]};
        if (!has_name(m, &place, &p))
            continue;
        if (m->options->flags & DAVIT_V1_MIGRATE_DRY_RUN) {
            tell_dry(m, &p);
            continue;
        }
        b->pieces[b->count++] = p;
        if (b->count == TAGS_AT_ONCE) {
            r = migrate_pieces(m, b->pieces, b->count, err);
            b->count = 0;
        }
    }
    return r;
}

static int migrate_tags(migration *m, dv_v1_wanted *wanted, size_t count, davit_error **err)
{
    DV_AUTOFREE piece *pieces = dv_new_array(piece, TAGS_AT_ONCE);
    batch b = {.pieces = pieces};
    int r = pieces ? 0 : dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = migrate_repository(m, &wanted[i], &b, err);
    return r < 0 ? r : migrate_pieces(m, b.pieces, b.count, err);
}

/* What the user named may have a tag; what a search found is a repository, whatever it holds. */
static int read_name(const migration *m, const char *text, davit_v1_name *out, davit_error **err)
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

/* Up to REPOSITORIES_AT_ONCE of them. */
static int migrate_some(migration *m, char *const *names, size_t count, davit_error **err)
{
    dv_v1_wanted wanted[REPOSITORIES_AT_ONCE] = {{.name = NULL}};
    davit_v1_name parsed[REPOSITORIES_AT_ONCE] = {DAVIT_V1_NAME_INIT};
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
static int check_names(const migration *m, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < m->options->name_count; i++) {
        DV_AUTO(davit_v1_name) unused = DAVIT_V1_NAME_INIT;
        r = read_name(m, m->options->names[i], &unused, err);
    }
    return r;
}

static int search(const migration *m, davit_v1_texts *out, davit_error **err)
{
    dv_v1_search s = {.asked = m->asked, .open = &m->open, .text = m->options->search};
    int r = dv_v1_search_all(&s, out, err);
    davit_v1_auth_free(s.user);
    return r;
}

static int migrate_all(migration *m, davit_error **err)
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
    for (size_t i = 0; r == 0 && i < count; i += REPOSITORIES_AT_ONCE)
        r = migrate_some(m, &names[i], count - i < REPOSITORIES_AT_ONCE ? count - i : REPOSITORIES_AT_ONCE,
                         err);
    return r;
}

static void count_read(migration *m)
{
    dv_v1_read read;
    dv_v1_reader_count(m->reader, &read);
    m->result.layer_count = read.layer_count;
    m->result.layer_bytes = read.layer_bytes;
}

static int finish(migration *m, davit_error **err)
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
    DV_AUTO(migration)
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
