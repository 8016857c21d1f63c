/* tests/unit/distribution/puller.h - what one pull is to the transfer manager: a registry, a queue, watches and what they told. */
#ifndef DV_TEST_PULLER_H
#define DV_TEST_PULLER_H

#include "pull_test.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define BLOBS_MAX 40

typedef struct puller {
    dv_transfers *transfers;
    dv_registry *registry;
    dv_queue *events;
    dv_watch watches[BLOBS_MAX];
    size_t count, ended;
    dv_xfer_state last[BLOBS_MAX]; /* states as told; 0 when none yet is WAITING */
    unsigned told[BLOBS_MAX][DV_XFER_FAILED + 1];
    uint64_t counted[BLOBS_MAX];
    unsigned late; /* events behind an end */
} puller;

UNUSED static puller *puller_new(fixture *f)
{
    puller *p = dv_new(puller);
    dv_endpoint endpoint = {.insecure = true};
    char text[64];
    snprintf(text, sizeof(text), "http://%s/", script_host(f->script));
    assert_int_equal(dv_url_parse(text, &endpoint.url, NULL), 0);
    assert_int_equal(dv_transfers_get(f->client, &p->transfers, NULL), 0);
    assert_int_equal(
        dv_registry_open(f->client, &endpoint, script_host(f->script), "app", NULL, &p->registry, NULL), 0);
    dv_url_clear(&endpoint.url);
    p->events = dv_queue_new();
    return p;
}

UNUSED static void puller_free(puller *p)
{
    if (!p)
        return;
    for (dv_node *node; (node = dv_queue_pop(p->events, 0));) {
        dv_xfer_event unused;
        dv_xfer_event_read((dv_xfer_event *)node, &unused);
    }
    for (size_t i = 0; i < p->count; i++)
        davit_error_free(p->watches[i].err);
    dv_queue_free(p->events);
    dv_registry_close(p->registry);
    free(p);
}
DV_DEFINE_AUTOPTR(puller, puller_free)

UNUSED static void puller_start(puller *p, const blob *blobs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        p->watches[p->count++] =
            (dv_watch){.events = p->events, .descriptor = &blobs[i].descriptor, .registry = p->registry};
    assert_int_equal(dv_watches_start(p->transfers, p->watches, p->count, NULL), 0);
}

/* Read events for so long, or until all have ended. */
UNUSED static bool puller_wait(puller *p, unsigned timeout_ms)
{
    uint64_t until = dv_clock_ms() + timeout_ms;
    while (p->ended < p->count) {
        uint64_t now = dv_clock_ms();
        dv_node *node = now < until ? dv_queue_pop(p->events, (int)(until - now)) : NULL;
        dv_xfer_event e;
        if (!node)
            return false;
        dv_xfer_event_read((dv_xfer_event *)node, &e);
        size_t i = (size_t)(e.watch - p->watches);
        p->late += p->told[i][DV_XFER_COMPLETE] + p->told[i][DV_XFER_FAILED];
        p->told[i][e.state]++;
        p->last[i] = e.state;
        if (e.state == DV_XFER_DOWNLOADING)
            p->counted[i] = e.current;
        p->ended += e.state == DV_XFER_COMPLETE || e.state == DV_XFER_FAILED;
    }
    return true;
}

UNUSED static void assert_complete(puller *p)
{
    if (!puller_wait(p, 8000))
        fail_msg("%zu of %zu ended", p->ended, p->count);
    for (size_t i = 0; i < p->count; i++)
        if (p->last[i] != DV_XFER_COMPLETE)
            fail_msg("%s: %s", p->watches[i].descriptor->digest.text, davit_error_message(p->watches[i].err));
    assert_int_equal(p->late, 0);
}

UNUSED static void puller_leave(puller *p)
{
    dv_watches_detach(p->transfers, p->watches, p->count);
}

#endif
