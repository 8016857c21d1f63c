/*
 * distribution/registry_body.h - a blob of one registry as the body of a request to another: nothing of it is kept but what is between the two.
 *
 * The reader paces the download (net/pipe_body.h). A download that is cut goes on by Range; a reader that must send something again gets it
 * again. The last bytes are held back until size and digest are right, unless the reader began within the blob: then it has to see to that.
 */
#ifndef DV_DISTRIBUTION_REGISTRY_BODY_H
#define DV_DISTRIBUTION_REGISTRY_BODY_H

#include "davit/descriptor.h"
#include "net/body.h"
#include "registry/registry.h"

typedef struct dv_registry_body dv_registry_body;

/*
 * Threads: any. The download begins with the first read. registry and blob are borrowed until the free; the blob's size is known. The reader
 * gets DAVIT_EDIGEST, or why the download failed for good.
 */
int dv_registry_body_new(dv_registry *registry, const davit_descriptor *blob, dv_registry_body **out,
                         davit_error **err);
void dv_registry_body_free(
    dv_registry_body *b); /* Threads: loop; or any, when it was never read. NULL is fine */

dv_body *dv_registry_body_body(dv_registry_body *b);

#endif
