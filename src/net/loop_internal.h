/* net/loop_internal.h - what loop.c and http_client.c share: libcurl's multi handle. */
#ifndef DV_NET_LOOP_INTERNAL_H
#define DV_NET_LOOP_INTERNAL_H

#include "net/loop.h"

#include <curl/curl.h>

CURLM *dv_loop_multi(dv_loop *loop);

/* Threads: loop. Called once for each easy handle that ended; its CURLOPT_PRIVATE is the dv_loop_transfer. */
typedef struct dv_loop_transfer {
    void (*ended)(struct dv_loop_transfer *transfer, CURLcode result);
} dv_loop_transfer;

#endif
