/*
 * archive/archive_names.h - the names in an image archive, what each stands for, and where its links lead. Nothing is unpacked: a name
 * is a key, so no name can reach a file of ours (threats D1, D2).
 *
 * Names are kept clean: without a leading "/" or "./", empty components or a slash at the end. A later entry takes the place of an
 * earlier one of the same name.
 */
#ifndef DV_ARCHIVE_ARCHIVE_NAMES_H
#define DV_ARCHIVE_ARCHIVE_NAMES_H

#include "util/error.h"

#define DV_ARCHIVE_NAMES_MAX 65536            /* different names in one archive */
#define DV_ARCHIVE_NAMES_BYTES_MAX (8u << 20) /* of names and link targets together */
#define DV_ARCHIVE_LINKS_MAX 40               /* symbolic links followed for one name */

/* out: at least strlen(name) + 1 bytes; "" for the root. DAVIT_EFORMAT for a name with a component "..". Pure. */
int dv_archive_name_clean(const char *name, char *out, davit_error **err);

typedef struct dv_archive_names dv_archive_names;

/* release: of a value, when its name goes or gets another. NULL: no memory. */
dv_archive_names *dv_archive_names_new(void (*release)(void *value));
void dv_archive_names_free(dv_archive_names *names);
DV_DEFINE_AUTOPTR(dv_archive_names, dv_archive_names_free)

/* A clean name stands for value, which is taken over, also on failure; NULL: the name stands for nothing. DAVIT_ETOOBIG, DAVIT_ENOMEM. */
int dv_archive_names_put(dv_archive_names *names, const char *name, void *value, davit_error **err);
/* A clean name is a symbolic link with this text. */
int dv_archive_names_put_link(dv_archive_names *names, const char *name, const char *target,
                              davit_error **err);
/*
 * What a path stands for, symbolic links followed within the archive, also those on the way; ".." at the root stays there (store.md 10).
 * NULL: nothing is there. DAVIT_EFORMAT: links that lead in circles. Borrowed.
 */
int dv_archive_names_find(const dv_archive_names *names, const char *path, void **out, davit_error **err);
/* Every name that stands for a value, in the order they first came, until fn gives something else than 0. */
int dv_archive_names_walk(const dv_archive_names *names, int (*fn)(void *user, const char *name, void *value),
                          void *user);

#endif
