/*
 * The event loop: descriptors, timers, signals, deferred calls, file watches, and the one way in from
 * other threads (loop_post). Hides libuv.
 *
 * Threads: a loop belongs to the thread that runs it; every call is for that thread and every callback
 *          comes on it, except loop_post(), loop_stop() and latest_publish(), which any thread may call.
 * Owns:    watchers are embedded in or owned by their users; a watcher must be stopped before the memory that holds
 *          its context goes. *_free()/_stop() may be called inside any callback; after it returns the callback never
 *          comes again.
 * Time:    loop_now_us() is read once per turn of the loop.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/err.h"
#include "base/list.h"

struct loop;

enum code loop_new(struct loop **ret_loop, struct err *err) must_check;
/* All watchers must be gone; asserts that they are. NULL is fine. */
void loop_free(struct loop *loop);
/* Until loop_stop(). */
void loop_run(struct loop *loop);
/* One turn, waiting at most `timeout_ms` for something to happen: for tests. */
void loop_turn(struct loop *loop, uint64_t timeout_ms);
void loop_stop(struct loop *loop); /* any thread */

/* Monotonic; the same all through one turn. */
uint64_t loop_now_us(const struct loop *loop);
/* Reads the clock again: after long work inside a turn. */
uint64_t loop_update_now(struct loop *loop);

/* Scratch memory for one read at a time: content is only valid until the callback that filled it returns. */
#define LOOP_SCRATCH_SIZE (64 * 1024)
char *loop_scratch(struct loop *loop);

/* ---- calls from other threads ---- */

/* Runs fn(ctx) on the loop, in order of posting, once. Costs one allocation and a wakeup. False after
 * loop_run() has ended for good (loop_close_posts()); then fn is not called and the caller keeps ctx. */
bool loop_post(struct loop *loop, void (*fn)(void *ctx), void *ctx) must_check; /* any thread */
/* No post is accepted any more; those that are queued run now. Before tearing down. */
void loop_close_posts(struct loop *loop);

/* ---- deferred calls: run once at the end of this turn, after all I/O callbacks ---- */

struct deferred {
    struct list link;
    void (*fn)(void *ctx);
    void *ctx;
};

void deferred_init(struct deferred *deferred, void (*fn)(void *ctx), void *ctx);
/* Scheduling twice is one call. If a deferred call schedules itself, the loop looks at its sockets
 * before calling again (and does not sleep): that is how long work is cut into turns. */
void deferred_schedule(struct loop *loop, struct deferred *deferred);
void deferred_cancel(struct deferred *deferred);

/* ---- timers ---- */

struct timer;

struct timer *timer_new(struct loop *loop, void (*fn)(void *ctx), void *ctx) must_check;
void timer_free(struct timer *timer); /* NULL is fine */
/* One shot; starting again moves it. Never early, at most 1 ms late when the loop is idle. */
void timer_start(struct timer *timer, uint64_t delay_ms);
/* First after `delay_ms`, then every `every_ms`. */
void timer_repeat(struct timer *timer, uint64_t delay_ms, uint64_t every_ms);
void timer_stop(struct timer *timer);
bool timer_active(const struct timer *timer);

/* ---- descriptors (level-triggered) ----
 * An error on the descriptor is told as whatever was asked for: the next system call on it says which. */

enum { FD_READABLE = 1, FD_WRITABLE = 2 };

struct fd_watch;

/* Watches for nothing yet. The fd stays the caller's: free the watch before closing the fd. */
enum code fd_watch_new(struct loop *loop, int fd, void (*fn)(void *ctx, int events), void *ctx,
                       struct fd_watch **ret_watch, struct err *err) must_check;
void fd_watch_free(struct fd_watch *watch);
/* `events`: FD_READABLE | FD_WRITABLE, or 0. No system call when nothing changes. */
void fd_watch_set(struct fd_watch *watch, int events);

/* ---- signals (one loop of the process) ---- */

struct signal_watch;

enum code signal_watch_new(struct loop *loop, int signum, void (*fn)(void *ctx, int signum), void *ctx,
                           struct signal_watch **ret_watch, struct err *err) must_check;
void signal_watch_free(struct signal_watch *watch);

/* ---- changes below a directory or of one file (inotify) ---- */

struct path_watch;

/* fn is told that something about `path` changed; `name` is the entry in a directory, or "". Several
 * changes may come as one call. The path must exist. */
enum code path_watch_new(struct loop *loop, const char *path, void (*fn)(void *ctx, const char *name),
                         void *ctx, struct path_watch **ret_watch, struct err *err) must_check;
void path_watch_free(struct path_watch *watch);

#endif
