#include "fixture.h"

#include <errno.h>
#include <sys/socket.h>

static int near, far; /* a connected pair */
static struct fd_watch *watch, *other;
static int calls, last_events;

static void make_pair(void)
{
    int fds[2];

    make_loop();
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    near = fds[0];
    far = fds[1];
}

static void free_pair(void)
{
    fd_watch_free(watch);
    close(near);
    close(far);
    free_loop();
}

TestSuite(fd_watch, .init = make_pair, .fini = free_pair, .timeout = 20);

static void on_event(void *ctx, int events)
{
    (void)ctx;
    calls++;
    last_events = events;
}

static void free_both(void *ctx, int events)
{
    (void)ctx;
    (void)events;
    calls++;
    fd_watch_free(watch);
    fd_watch_free(other);
    watch = other = NULL;
}

static void start(void (*fn)(void *ctx, int events), int events)
{
    cr_assert_eq(fd_watch_new(loop, near, fn, NULL, &watch, NULL), CODE_OK);
    fd_watch_set(watch, events);
}

Test(fd_watch, tells_again_until_the_bytes_are_read)
{
    start(on_event, FD_READABLE);
    cr_assert_eq(write(far, "x", 1), 1);
    turn_until(&calls, 3);
    cr_assert_eq(last_events, FD_READABLE);
}

Test(fd_watch, tells_what_was_asked_for_and_no_more)
{
    start(on_event, FD_WRITABLE);
    cr_assert_eq(write(far, "x", 1), 1);
    turn_until(&calls, 1);
    cr_assert_eq(last_events, FD_WRITABLE);
    fd_watch_set(watch, FD_READABLE | FD_WRITABLE);
    turn_until(&calls, 2);
    cr_assert_eq(last_events, FD_READABLE | FD_WRITABLE);
}

Test(fd_watch, is_silent_when_set_to_nothing)
{
    start(on_event, 0);
    cr_assert_eq(write(far, "x", 1), 1);
    loop_turn(loop, 10);
    fd_watch_set(watch, FD_READABLE);
    fd_watch_set(watch, 0);
    loop_turn(loop, 10);
    cr_assert_eq(calls, 0);
}

Test(fd_watch, may_free_itself_and_another_that_is_ready_too)
{
    cr_assert_eq(fd_watch_new(loop, far, free_both, NULL, &other, NULL), CODE_OK);
    fd_watch_set(other, FD_WRITABLE);
    start(free_both, FD_WRITABLE);
    turn_until(&calls, 1);
    loop_turn(loop, 10);
    cr_assert_eq(calls, 1);
}

static void replace_descriptor(void *ctx, int events)
{
    int was = near, fds[2];

    (void)ctx;
    (void)events;
    calls++;
    fd_watch_free(watch);
    close(near);
    close(far);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    near = fds[0];
    far = fds[1];
    cr_assert(near == was || far == was, "the number is used again at once");
    start(on_event, FD_WRITABLE);
}

Test(fd_watch, of_a_number_that_is_used_again_in_the_same_turn_works)
{
    start(replace_descriptor, FD_WRITABLE);
    turn_until(&calls, 4);
}

/* A unix socket whose peer closed with our bytes unread is in the state of a reset one. */
static void reset_by_peer(void)
{
    cr_assert_eq(write(near, "x", 1), 1);
    close(far);
    far = -1;
}

Test(fd_watch, tells_of_an_error_as_what_was_asked_for_again_and_again)
{
    char byte;

    start(on_event, FD_READABLE);
    reset_by_peer();
    turn_until(&calls, 3);
    cr_assert_eq(last_events, FD_READABLE);
    cr_assert_eq(recv(near, &byte, 1, 0), -1);
    cr_assert_eq(errno, ECONNRESET);
}

static void free_self(void *ctx, int events)
{
    (void)ctx;
    (void)events;
    calls++;
    fd_watch_free(watch);
    watch = NULL;
}

Test(fd_watch, may_free_itself_when_told_of_an_error)
{
    start(free_self, FD_READABLE);
    reset_by_peer();
    turn_until(&calls, 1);
    loop_turn(loop, 10);
    cr_assert_eq(calls, 1);
}

Test(fd_watch, of_a_regular_file_is_refused_with_the_reason)
{
    struct err err = {0};
    FILE *file = tmpfile();

    cr_assert_eq(fd_watch_new(loop, fileno(file), on_event, NULL, &watch, &err),
                 CODE_PERMISSION_DENIED);
    cr_assert(strstr(err.msg, "cannot watch descriptor"), "%s", err.msg);
    fclose(file);
}

Test(fd_watch, left_over_aborts_loop_free, .signal = SIGABRT)
{
    start(on_event, FD_READABLE);
    loop_free(loop);
}
