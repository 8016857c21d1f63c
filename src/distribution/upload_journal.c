/* distribution/upload_journal.c - see upload_journal.h. */
#include "distribution/upload_journal.h"

#include "util/log.h"

#include <fcntl.h>
#include <unistd.h>

dv_store *dv_upload_journal_open(davit_client *c)
{
    DV_AUTOPTR(davit_error) why = NULL;
    DV_AUTOPTR(dv_store) store = NULL;
    struct dv_db *db;
    if (!c->store_dir || c->flags & DAVIT_CLIENT_STORE_READ_ONLY)
        return NULL;
    int r = dv_store_open(c->store_dir, /* flags= */ 0, &store, &why);
    if (r == 0 && faccessat(dv_store_dirfd(store), ".", W_OK, AT_EACCESS) < 0)
        return NULL;
    if (r == 0)
        r = dv_store_db(store, &db, &why);
    if (r == 0)
        return DV_STEAL(store);
    if (r != DAVIT_ENOTFOUND)
        dv_log(DAVIT_LOG_INFO, "uploads are not journalled: %s", davit_error_message(why));
    return NULL;
}
