/*
 * distribution/v1_reader_private.h - what the parts of a v1 reader share: v1_reader.c (tasks, tokens, what stays in the store) and v1_fetch.c (which
 * images are asked for, and in which order). Threads: the calling one.
 */
#ifndef DV_DISTRIBUTION_V1_READER_PRIVATE_H
#define DV_DISTRIBUTION_V1_READER_PRIVATE_H

#include "distribution/v1_task.h"

bool dv_v1_reader_goes_on(const dv_v1_reader *r);
dv_v1_task dv_v1_reader_task(const dv_v1_reader *r, dv_v1_task_kind kind, dv_v1_wanted *w, const char *id,
                             const char *parent);
/* Until all have ended. The failures of single tasks stay with them, unless one is everybody's. */
int dv_v1_reader_run(dv_v1_reader *r, dv_v1_task *tasks, size_t count, davit_error **err);
void dv_v1_tasks_free(dv_v1_task *tasks, size_t count); /* NULL is fine */
/* Its layer stays when the reader drops what it fetched. 1; 0: nothing is known of it. out_parent: "" for none; may be NULL. */
int dv_v1_reader_keep_layer(dv_v1_reader *r, const char *registry, const char *id, char **out_parent,
                            davit_error **err);

#endif
