/*
 * net/file_body.h - the body of a request is a range of a file. Bytes that the page cache has are read where they are sent from;
 * for the others a worker waits, and the transfer meanwhile.
 *
 * Threads: loop, once it is made.
 */
#ifndef DV_NET_FILE_BODY_H
#define DV_NET_FILE_BODY_H

#include "net/body.h"
#include "net/loop.h"
#include "util/workpool.h"

typedef struct dv_file_body dv_file_body;

/*
 * Threads: any. size bytes of fd from first on. fd is the body's from now on, also when this fails. A file that turns out shorter is
 * DAVIT_EIO.
 */
int dv_file_body_new(dv_loop *loop, dv_workpool *pool, int fd, uint64_t first, uint64_t size,
                     dv_file_body **out, davit_error **err);
/* Threads: loop; or any, when it was never read. NULL is fine. A worker that still reads is not waited for. */
void dv_file_body_free(dv_file_body *f);
DV_DEFINE_AUTOPTR(dv_file_body, dv_file_body_free)

dv_body *dv_file_body_body(dv_file_body *f);

#endif
