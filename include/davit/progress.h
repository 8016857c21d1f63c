/*
 * davit/progress.h - what happens during a pull, as the messages Docker sends.
 *
 * For every function here: threads: any, nothing blocks; sizes are bytes.
 */
#ifndef DAVIT_PROGRESS_H
#define DAVIT_PROGRESS_H

#include <davit/common.h>

DAVIT_BEGIN_DECLS

typedef enum davit_progress_kind {
    DAVIT_PROGRESS_MESSAGE = 1, /**< a line: id may be NULL; action "Pulling from library/busybox" */
    DAVIT_PROGRESS_LAYER = 2,   /**< the state of one blob: id is its short digest; action "Downloading" */
    DAVIT_PROGRESS_AUX = 3,     /**< aux_json */
    DAVIT_PROGRESS_WARNING = 4, /**< action is a warning; not part of Docker's stream, shown as a message */
} davit_progress_kind;

/** One event; everything is borrowed during the callback. */
typedef struct davit_progress {
    davit_progress_kind kind;
    const char *id;
    const char *action;
    uint64_t current; /**< bytes; 0 with total 0: an action without counts */
    uint64_t total;   /**< bytes, 0 when unknown */
    bool has_counts;
    const char *aux_json;
} davit_progress;

/** Receives events on the thread that called the pull. Intermediate counts may be skipped, states never. */
typedef void (*davit_progress_fn)(const davit_progress *event, void *user_data);

#define DAVIT_PROGRESS_JSON_WIDTH 200

/**
 * Write an event as one JSON object of Docker's stream, without the line end.
 *
 * @param width  terminal columns for the bar text; DAVIT_PROGRESS_JSON_WIDTH when there is no terminal
 * @return       new text, free with free(); NULL without memory
 *
 * Threads: any
 * Spec:    pull.md 10.2
 */
DAVIT_API char *davit_progress_to_json(const davit_progress *event, unsigned width);

/** The error line of the stream; as davit_progress_to_json(). Spec: pull.md 10.2. */
DAVIT_API char *davit_progress_error_to_json(const char *message);

/**
 * The bar and counts of an event with counts: "[=====>   ]     512B/1.024kB".
 *
 * @param width  as above; at 110 or less the bar is left out
 * @return       new text, free with free(); NULL without memory
 *
 * Threads: any
 * Spec:    pull.md 10.2
 */
DAVIT_API char *davit_progress_bar(uint64_t current, uint64_t total, unsigned width);

/** A size for people, "32.3kB", into text. @return @p text. Threads: any. Spec: pull.md 10.2. */
DAVIT_API char *davit_human_size(double bytes, char text[32]);

DAVIT_END_DECLS

#endif
