/*
 * distribution/v1_task.h - one request of a v1 reader and what becomes of the answer: the tags of a repository, what an image stands on, its
 * json, its layer. What a registry says of itself is checked against itself; json and layer go to the store.
 *
 * Threads: worker, unless it says otherwise. A task and its hand are the worker's from submit to its event.
 */
#ifndef DV_DISTRIBUTION_V1_TASK_H
#define DV_DISTRIBUTION_V1_TASK_H

#include "distribution/load_private.h"
#include "distribution/v1_reader.h"
#include "util/queue.h"
#include "util/workpool.h"

typedef enum dv_v1_task_kind {
    DV_V1_TASK_LIST,
    DV_V1_TASK_ANCESTRY,
    DV_V1_TASK_JSON,
    DV_V1_TASK_LAYER,
} dv_v1_task_kind;

/* What one worker has of its own: where layers go, under a lease that lasts as long as the reader. */
typedef struct dv_v1_hand {
    dv_load load;
    dv_loaded loaded;
    davit_load_options how;
    dv_queue *events;
    bool busy;
} dv_v1_hand;

/* Threads: the calling one. */
void dv_v1_hand_init(dv_v1_hand *h, davit_client *c, dv_store *store, dv_queue *events);
void dv_v1_hand_clear(dv_v1_hand *h);

typedef struct dv_v1_task dv_v1_task;

/* What comes out of the queue: the end of a task, or a count of a layer's bytes. */
typedef struct dv_v1_event {
    dv_node node;
    dv_v1_task *ended; /* NULL: a count, which whoever takes it frees */
    char id[16];
    uint64_t current;
} dv_v1_event;

struct dv_v1_task {
    dv_work work;
    dv_v1_event end;
    dv_v1_task_kind kind;
    davit_client *client;
    const davit_v1_open_options *open;
    dv_v1_hand *hand;
    dv_v1_wanted *wanted;
    const char *id, *parent; /* parent: "" for none */
    davit_v1_texts ancestry; /* the answer; itself first */
    size_t json_size;
    davit_descriptor layer; /* once it is kept */
    bool started, renewed;  /* renewed: it has had its second token */
    int result;
    davit_error *err;
};

void dv_v1_task_clear(dv_v1_task *t);
/* Ends with its event in the hand's queue. */
void dv_v1_task_submit(dv_v1_task *t, dv_v1_hand *hand, dv_workpool *pool);

#endif
