/*
 * distribution/migrate_private.h - what the stages of one migration share: migrate_v1.c (the whole: whom to ask, which repositories, what is told),
 * migrate_look.c (what the target has), migrate_copy.c (copies). Threads: the calling one, unless a function says otherwise.
 */
#ifndef DV_DISTRIBUTION_MIGRATE_PRIVATE_H
#define DV_DISTRIBUTION_MIGRATE_PRIVATE_H

#include "distribution/copy_private.h"
#include "distribution/v1_reader.h"

#define DV_MIGRATION_REPOSITORIES 16 /* that are migrated together */
#define DV_MIGRATION_TAGS 256        /* the same: bounds what is in memory of ancestries */

typedef struct dv_migration {
    davit_client *client;
    const davit_v1_migrate_options *options;
    davit_v1_open_options open; /* with the URL of whoever is asked */
    davit_v1_client *asked;
    const char *target;
    dv_v1_reader *reader;
    davit_v1_migrate_result result;
    davit_error *first; /* failure */
} dv_migration;

/* A tag, and what becomes of it. */
typedef struct dv_migration_piece {
    dv_v1_wanted *wanted;
    const davit_v1_tag *tag;
    davit_error *err;    /* why it is not to be copied, or was not */
    davit_digest config; /* that an earlier migration may have made for it; algorithm NONE: not known */
    bool there;          /* the target's tag is this image already */
    bool asked;          /* what the target's tag is */
    dv_copy_old old;
    bool copied;
} dv_migration_piece;

/* tag: NULL for all of the repository. Takes the error. */
void dv_migration_fail(dv_migration *m, const char *repository, const char *tag, davit_error *why);
/* What is wrong here rather than there ends everything. Threads: any. */
bool dv_migration_is_over(int r);
/* How many of these pieces, from the first on, are of one repository. */
size_t dv_migration_repository_size(const dv_migration_piece *pieces, size_t count);
/* Where a repository goes. Threads: any. */
int dv_migration_place(const dv_migration *m, const char *repository, dv_place *out, davit_error **err);

/* migrate_look.c: which tags of the target are these images already. */
int dv_migration_look(const dv_migration *m, dv_migration_piece *pieces, size_t count, davit_error **err);
/* migrate_copy.c: those that are not, and what became of them into the result. */
int dv_migration_copy(dv_migration *m, dv_migration_piece *pieces, size_t count, davit_error **err);

#endif
