/* distribution/migrate_look.c - which tags the target of a migration has already: asked over several connections at once. */
#include "distribution/migrate_private.h"

#include "distribution/v1_convert.h"
#include "registry/client.h"
#include "util/queue.h"
#include "util/workpool.h"

#define LOOKS_AT_ONCE 8 /* connections over which the target is asked what it has */
#define LOOK_SIZE 32    /* tags of a repository that are asked for over one, behind one token */
#define WAIT_MS 100

/* Pieces of one repository. */
typedef struct look {
    dv_work work;
    dv_node done;
    const dv_migration *m;
    dv_queue *ended;
    dv_migration_piece *pieces;
    size_t count;
} look;

static void look_at_one(const look *l, dv_target *target, dv_migration_piece *p)
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
    if (dv_migration_place(l->m, l->pieces->wanted->name, &place, NULL) == 0 &&
        dv_target_open(l->m->client, &place, &target, NULL) == 0)
        for (size_t i = 0; i < l->count; i++)
            look_at_one(l, target, &l->pieces[i]);
    dv_target_close(DV_STEAL(target));
    dv_queue_push(l->ended, &l->done);
}

int dv_migration_look(const dv_migration *m, dv_migration_piece *pieces, size_t count, davit_error **err)
{
    look looks[DV_MIGRATION_REPOSITORIES + DV_MIGRATION_TAGS / LOOK_SIZE];
    size_t n = 0;
    dv_queue *ended = dv_queue_new();
    dv_workpool *pool = ended ? dv_workpool_new(LOOKS_AT_ONCE) : NULL;
    for (size_t i = 0; pool && i < count; n++) {
        size_t left = count - i,
               size = dv_migration_repository_size(&pieces[i], left < LOOK_SIZE ? left : LOOK_SIZE);
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
