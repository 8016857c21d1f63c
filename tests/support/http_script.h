/*
 * tests/support/http_script.h - an HTTP server inside a C test: plain sockets on 127.0.0.1, each request
 * answered from a table.
 *
 * The first row that fits a request answers it; a request that none fits gets 404 with an empty body. A TLS
 * greeting ends the connection at once, unless the script has a certificate. Threads: any.
 */
#ifndef DV_TEST_HTTP_SCRIPT_H
#define DV_TEST_HTTP_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum script_then {
    SCRIPT_KEEP, /* the connection takes the next request */
    SCRIPT_CLOSE,
    SCRIPT_RESET, /* RST: what is under way is lost */
    SCRIPT_HOLD,  /* nothing more until script_release() or until the peer leaves; then goes on */
} script_then;

typedef enum script_over { SCRIPT_EITHER, SCRIPT_OVER_PLAIN, SCRIPT_OVER_TLS } script_over;

#define SCRIPT_SILENT (-1)       /* as status: no answer at all, only `then` */
#define SCRIPT_CUT_HEAD SIZE_MAX /* as cut: the header and not a byte of the body */
#define SCRIPT_GROUPS 4

typedef struct script_row {
    const char *request; /* the request begins so, "GET /v2/app/blobs/"; NULL: any */
    const char *with;    /* a text that its header holds, NULL: any */
    const char *without; /* a text that it does not hold */
    script_over over;
    unsigned times;      /* so often; 0: always */
    unsigned delay_ms;   /* before the answer */
    int status;          /* 0: 200 */
    const char *headers; /* more lines, each with \r\n; with a Content-Length of their own none is added */
    const void *body;
    size_t size;      /* 0: of the text */
    bool raw;         /* the body is the whole answer, header and all */
    bool ranges;      /* Range is honoured */
    bool endless;     /* the body again and again, without a Content-Length */
    size_t cut;       /* so many bytes of the body, then `then`; 0: all of it */
    unsigned drip_ms; /* between pieces of drip_size bytes (0: 1) */
    size_t drip_size;
    script_then then;
    unsigned group; /* below SCRIPT_GROUPS: whose requests script_peak() counts together */
} script_row;

typedef struct script script;

/* The rows are copied with all they point at: a thread may still be sending. Aborts where no socket can be made. */
script *script_start(const script_row *rows, size_t count);
/* The same with a certificate of its own: greetings become TLS, and plain requests still work. */
script *script_start_tls(const script_row *rows, size_t count, unsigned handshake_delay_ms);
/* One more row, behind the others: for what only the address of a later script tells. */
void script_add(script *s, const script_row *row);
/* Ends every connection and all threads; NULL is fine. */
void script_stop(script *s);

const char *script_host(const script *s); /* "127.0.0.1:PORT" */
/* Everything that SCRIPT_HOLD holds goes on, now and later. */
void script_release(script *s);

/* Requests so far that begin with prefix and hold a text (NULL: any); one counts as soon as it was read. */
unsigned script_count(script *s, const char *prefix, const char *with);
/* Wait until they are that many; false after timeout_ms. */
bool script_wait(script *s, const char *prefix, unsigned count, unsigned timeout_ms);
/* The nth (from 0) request that begins so, header and body; new text, or NULL. A TLS one begins "TLS GET". */
char *script_request(script *s, const char *prefix, unsigned n);
/* The most requests of a group that were being answered at one moment. */
unsigned script_peak(script *s, unsigned group);
/* Answers under way whose peer left early. */
unsigned script_left_early(script *s);
/* Body bytes that were sent for a group. */
uint64_t script_sent(script *s, unsigned group);
/* TLS greetings that came. */
unsigned script_greetings(script *s);

#endif
