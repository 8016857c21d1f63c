/* Unit tests of net/body.c, net/file_body.c and net/pipe_body.c: every byte once, in order, and again after a seek. */
#include "net/body.h"

#include "davit/common.h"
#include "net/file_body.h"
#include "net/http_client.h"
#include "net/pipe_body.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE 1000003 /* no multiple of anything */

static unsigned char bytes[SIZE], got[SIZE + 1];

static void fill(void)
{
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
}

/* Reads all there is now from `from` on, in pieces of no common size; how many bytes, or the error. */
static int64_t read_now(dv_body *b, size_t from, davit_error **err)
{
    size_t at = from;
    for (size_t piece = 1;; piece = piece * 3 % 65536 + 1) {
        size_t room = sizeof(got) - at;
        int64_t n = dv_body_read(b, got + at, piece < room ? piece : room, err);
        if (n < 0)
            return n;
        if (n == 0 || n == DV_BODY_LATER)
            return (int64_t)(at - from);
        at += (size_t)n;
    }
}

static void body_part__of_a_part(void **state)
{
    dv_memory_body memory;
    dv_body_part half, quarter, rest, over;
    davit_error *err = NULL;
    dv_memory_body_init(&memory, bytes, SIZE);
    dv_body_part_init(&half, &memory.body, 1000, 500000);
    dv_body_part_init(&quarter, &half.body, 100, 250000);
    assert_int_equal(read_now(&quarter.body, 0, &err), 250000);
    assert_memory_equal(got, bytes + 1100, 250000);
    assert_int_equal(dv_body_seek(&quarter.body, 200000, &err), 0);
    assert_int_equal(read_now(&quarter.body, 0, &err), 50000);
    assert_memory_equal(got, bytes + 201100, 50000);
    dv_body_part_init(&rest, &memory.body, 900000, DAVIT_SIZE_UNKNOWN);
    assert_int_equal(read_now(&rest.body, 0, &err), SIZE - 900000);
    dv_body_part_init(&over, &memory.body, 900000, SIZE);
    assert_int_equal(read_now(&over.body, 0, &err), DAVIT_EIO);
    assert_non_null(strstr(davit_error_message(err), "ends 900000 bytes early"));
    davit_error_free(err);
}

static int64_t read_nothing(dv_body *b, void *into, size_t max, davit_error **err)
{
    memset(into, 'x', max);
    return (int64_t)max;
}

static void body_seek__what_is_gone_is_gone(void **state)
{
    dv_body once = {.size = DAVIT_SIZE_UNKNOWN, .read = read_nothing};
    dv_body_part part;
    char two[2];
    assert_int_equal(dv_body_seek(&once, 0, NULL), 0);
    assert_int_equal(dv_body_read(&once, two, 2, NULL), 2);
    assert_int_equal(dv_body_seek(&once, 2, NULL), 0);
    assert_int_equal(dv_body_seek(&once, 0, NULL), DAVIT_EUNSUPPORTED);
    dv_body_part_init(&part, &once, 2, 10);
    assert_int_equal(dv_body_read(&part.body, two, 2, NULL), 2);
    assert_int_equal(dv_body_seek(&part.body, 0, NULL), DAVIT_EUNSUPPORTED);
}

/* --- on a loop ------------------------------------------------------------------------------------------------------ */

typedef struct reading {
    dv_task task;
    dv_node done;
    dv_queue *queue;
    dv_loop *loop;
    dv_body *body;
    int64_t got, result;
    unsigned waits;
    davit_error *err;
    dv_pipe_body *pipe;
    size_t written;
    unsigned pauses, seeks;
    dv_timer writer;
} reading;

static void read_on(void *user)
{
    reading *r = user;
    int64_t n = read_now(r->body, (size_t)r->got, &r->err);
    r->result = n;
    r->got += n > 0 ? n : 0;
    if (n >= 0 && (uint64_t)r->got < SIZE) {
        r->waits++;
        return;
    }
    dv_queue_push(r->queue, &r->done);
}

static void start_reading(dv_task *task)
{
    reading *r = (reading *)task;
    r->body->on_wake = read_on;
    r->body->wake_user = r;
    read_on(r);
}

static void reading_init(reading *r)
{
    *r = (reading){.task.run = start_reading, .queue = dv_queue_new()};
    assert_int_equal(dv_loop_new(&r->loop, NULL), 0);
    memset(got, 0, sizeof(got));
}

static void reading_clear(reading *r)
{
    dv_loop_free(r->loop);
    dv_queue_free(r->queue);
    davit_error_free(r->err);
}

static int file_of(size_t before, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    for (size_t i = 0; i < before; i++)
        fputc('?', file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fflush(file);
    int fd = dup(fileno(file));
    fclose(file);
    return fd;
}

static void file_body__every_byte_cached_or_not(void **state)
{
    static const struct {
        const char *what;
        size_t size;
        bool drop; /* from the page cache, as far as the file system has one */
        int result;
    } rows[] = {{"cached", SIZE, false, 0},
                {"not cached", SIZE, true, 0},
                {"too short", SIZE - 10, false, DAVIT_EIO}};
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        reading r;
        dv_file_body *file = NULL;
        dv_workpool *pool = dv_workpool_new(2);
        int fd = file_of(77, rows[i].size);
        reading_init(&r);
        if (rows[i].drop) {
            fsync(fd);
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        }
        assert_int_equal(dv_file_body_new(r.loop, pool, fd, 77, SIZE, &file, NULL), 0);
        r.body = dv_file_body_body(file);
        assert_int_equal(dv_loop_post(r.loop, &r.task, NULL), 0);
        if (!dv_queue_pop(r.queue, 10000))
            fail_msg("%s: stuck at %lld after %u waits", rows[i].what, (long long)r.got, r.waits);
        if ((rows[i].result ? r.result != rows[i].result : r.got != SIZE) ||
            memcmp(got, bytes, (size_t)r.got) != 0)
            fail_msg("%s: %lld of %d bytes, %s", rows[i].what, (long long)r.got, SIZE,
                     davit_error_message(r.err));
        dv_loop_barrier(r.loop);
        dv_file_body_free(file);
        dv_workpool_stop(pool);
        reading_clear(&r);
        dv_workpool_free(pool);
    }
}

typedef struct freeing {
    dv_task task;
    dv_file_body *file;
} freeing;

static void free_file(dv_task *task)
{
    dv_file_body_free(((freeing *)task)->file);
}

/* Freed while a worker reads: the worker ends it. */
static void file_body_free__while_a_worker_reads(void **state)
{
    for (int i = 0; i < 20; i++) {
        reading r;
        dv_file_body *file = NULL;
        dv_workpool *pool = dv_workpool_new(2);
        reading_init(&r);
        /* Behind its end the page cache has nothing, so that a worker is asked. */
        assert_int_equal(dv_file_body_new(r.loop, pool, file_of(0, 1), 4096, SIZE, &file, NULL), 0);
        r.body = dv_file_body_body(file);
        assert_int_equal(dv_loop_post(r.loop, &r.task, NULL), 0);
        dv_loop_barrier(r.loop);
        dv_queue_pop(r.queue, i % 3);
        freeing f = {.task.run = free_file, .file = file};
        assert_int_equal(dv_loop_post(r.loop, &f.task, NULL), 0);
        dv_loop_barrier(r.loop);
        dv_queue_pop(r.queue, 0);
        dv_workpool_stop(pool);
        reading_clear(&r);
        dv_workpool_free(pool);
    }
}

/* --- a pipe --- */

static void write_some(dv_timer *timer)
{
    reading *r = (reading *)((char *)timer - offsetof(reading, writer));
    while (r->written < SIZE) {
        size_t n = SIZE - r->written < 30000 ? SIZE - r->written : 30000;
        if (dv_pipe_body_write(r->pipe, bytes + r->written, n) == DV_HTTP_PAUSE) {
            r->pauses++;
            return;
        }
        r->written += n;
    }
    dv_pipe_body_end(r->pipe);
}

static void on_space(void *user)
{
    write_some(&((reading *)user)->writer);
}

static int on_seek(void *user, uint64_t offset, davit_error **err)
{
    reading *r = user;
    r->seeks++;
    r->written = (size_t)offset;
    dv_timer_start(r->loop, &r->writer, 1);
    return 0;
}

static const dv_pipe_body_handler pipe_handler = {on_space, on_seek};

static void start_writing(dv_task *task)
{
    reading *r = (reading *)task;
    r->body->on_wake = read_on;
    r->body->wake_user = r;
    dv_timer_start(r->loop, &r->writer, 1);
}

static void pipe_body__back_pressure_and_order(void **state)
{
    reading r;
    reading_init(&r);
    assert_int_equal(dv_pipe_body_new(r.loop, SIZE, &pipe_handler, &r, &r.pipe, NULL), 0);
    r.body = dv_pipe_body_body(r.pipe);
    r.task.run = start_writing;
    r.writer.fire = write_some;
    assert_int_equal(dv_loop_post(r.loop, &r.task, NULL), 0);
    assert_non_null(dv_queue_pop(r.queue, 10000));
    assert_int_equal(r.got, SIZE);
    assert_memory_equal(got, bytes, SIZE);
    assert_true(r.pauses > 0);
    assert_int_equal(r.seeks, 0);
    dv_loop_barrier(r.loop);
    dv_pipe_body_free(r.pipe);
    reading_clear(&r);
}

static void seek_and_read(dv_task *task)
{
    reading *r = (reading *)task;
    davit_error *err = NULL;
    assert_int_equal(dv_pipe_body_write(r->pipe, "thrown away", 11), 0);
    assert_int_equal(dv_body_seek(r->body, 500000, &err), 0);
    r->got = 500000;
    r->body->on_wake = read_on;
    r->body->wake_user = r;
    read_on(r);
}

static void pipe_body__a_seek_begins_elsewhere(void **state)
{
    reading r;
    reading_init(&r);
    assert_int_equal(dv_pipe_body_new(r.loop, SIZE, &pipe_handler, &r, &r.pipe, NULL), 0);
    r.body = dv_pipe_body_body(r.pipe);
    r.task.run = seek_and_read;
    r.writer.fire = write_some;
    assert_int_equal(dv_loop_post(r.loop, &r.task, NULL), 0);
    assert_non_null(dv_queue_pop(r.queue, 10000));
    assert_int_equal(r.got, SIZE);
    assert_memory_equal(got + 500000, bytes + 500000, SIZE - 500000);
    assert_int_equal(r.seeks, 1);
    dv_loop_barrier(r.loop);
    dv_pipe_body_free(r.pipe);
    reading_clear(&r);
}

static void fail_it(dv_task *task)
{
    reading *r = (reading *)task;
    davit_error *err = NULL;
    r->body->on_wake = read_on;
    r->body->wake_user = r;
    assert_int_equal(dv_pipe_body_write(r->pipe, bytes, 10), 0);
    dv_error_set(&err, DAVIT_EDIGEST, "the source lies");
    dv_pipe_body_fail(r->pipe, DAVIT_EDIGEST, err);
}

static void pipe_body__the_source_s_error_is_the_reader_s(void **state)
{
    reading r;
    reading_init(&r);
    assert_int_equal(dv_pipe_body_new(r.loop, SIZE, &pipe_handler, &r, &r.pipe, NULL), 0);
    r.body = dv_pipe_body_body(r.pipe);
    r.task.run = fail_it;
    assert_int_equal(dv_loop_post(r.loop, &r.task, NULL), 0);
    assert_non_null(dv_queue_pop(r.queue, 10000));
    assert_int_equal(r.result, DAVIT_EDIGEST);
    assert_string_equal(davit_error_message(r.err), "the source lies");
    dv_loop_barrier(r.loop);
    dv_pipe_body_free(r.pipe);
    reading_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(body_part__of_a_part),
        cmocka_unit_test(body_seek__what_is_gone_is_gone),
        cmocka_unit_test(file_body__every_byte_cached_or_not),
        cmocka_unit_test(file_body_free__while_a_worker_reads),
        cmocka_unit_test(pipe_body__back_pressure_and_order),
        cmocka_unit_test(pipe_body__a_seek_begins_elsewhere),
        cmocka_unit_test(pipe_body__the_source_s_error_is_the_reader_s),
    };
    fill();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
