/*
 * tests/support/sandbox.h - a directory to unpack to, and beside it something that nothing may touch; and what is in a directory as text.
 */
#ifndef DV_TESTS_SANDBOX_H
#define DV_TESTS_SANDBOX_H

#include "util/buf.h"

#include <stdbool.h>

/* A directory with "root" (empty) and "outside" in it, below some directory. */
typedef struct sandbox {
    char path[4096]; /* absolute */
    int fd, root_fd;
    dv_buf before; /* outside, as text with everything */
} sandbox;

int sandbox_enter(sandbox *s); /* below the working directory */
int sandbox_enter_in(sandbox *s, const char *base);
/* Removed. False: something outside of the root changed. */
bool sandbox_leave(sandbox *s);

/*
 * A line for each path, sorted: type, mode and owner unless usual (directories 0755, files 0644, 0:0), path, " #N" for N names,
 * " -> target", " =data" of small files, " MAJOR,MINOR". full adds modification times of everything.
 */
void tree_text(int fd, bool full, dv_buf *out);

#endif
