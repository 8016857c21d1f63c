/* distribution/upload_journal.h - where uploads that need no store are written down all the same. Threads: a caller's. */
#ifndef DV_DISTRIBUTION_UPLOAD_JOURNAL_H
#define DV_DISTRIBUTION_UPLOAD_JOURNAL_H

#include "registry/client.h"
#include "store/store.h"

/*
 * The client's store remembers which uploads were begun, where there is one that can be written: nobody needs one to send something, and
 * none is made for it. NULL: there is none. Give it back with dv_store_unref().
 */
dv_store *dv_upload_journal_open(davit_client *c);

#endif
