/* registry/settings.h - what a client goes by and who said so: the part that is known when it is made. */
#ifndef DV_REGISTRY_SETTINGS_H
#define DV_REGISTRY_SETTINGS_H

#include "davit/client.h"

#include "util/error.h"

/* Rows in the making; what is said about one is copied, except for the key. Sticky on failure. */
typedef struct dv_setting_rows {
    davit_setting *items;
    size_t count, capacity;
    bool failed; /* no memory */
} dv_setting_rows;

#define DV_SETTING_ROWS_INIT \
    {                        \
        NULL                 \
    }
void dv_setting_rows_clear(dv_setting_rows *rows);
DV_DEFINE_AUTO(dv_setting_rows, dv_setting_rows_clear)

/*
 * Note where limits and proxies of a new client came from; its configuration file was read and its limits are set. What can
 * change later, or costs a look at the disk, is added by davit_client_settings().
 */
int dv_settings_note(davit_client *c, const davit_client_options *o, davit_error **err);

#endif
