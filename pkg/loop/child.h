/*
 * A child process that is run for what it prints: its output and time are bounded, its standard input is empty, and it inherits no other
 * descriptor of ours.
 *
 * Threads: the loop's. Starting one waits until it is executed, which takes a millisecond; nothing else waits.
 * Owns:    the process and the session that it leads: what it started and left behind there ends with it.
 */
#ifndef LOOP_CHILD_H
#define LOOP_CHILD_H

#include "base/str.h"
#include "loop/loop.h"

struct child;

struct child_result {
    enum code code;      /* OK: it exited with 0. RESOURCE_EXHAUSTED: its output is too large. DEADLINE_EXCEEDED. UNKNOWN: it failed */
    const char *message; /* of a failure: "exit status 3: <the last line of its standard error>" */
    struct str output;   /* its standard output; borrowed until the child is freed */
};

struct child_options {
    const char *const *argv; /* NULL-terminated; argv[0] without a '/' is looked up in the PATH of `env` */
    const char *const *env;  /* NULL-terminated "NAME=value"; NULL: ours */
    size_t output_max;
    uint64_t timeout_ms;
    /* Once, unless freed before. The child may be freed inside. */
    void (*on_done)(void *ctx, const struct child_result *result);
    void *ctx;
};

/* NOT_FOUND: there is no such command. PERMISSION_DENIED, ... */
enum code child_start(struct loop *loop, const struct child_options *options, struct child **ret_child, struct err *err) must_check;
/* Ends it by force if it runs. No callback comes after it. NULL is fine. */
void child_free(struct child *child);
DEFINE_CLEANUP(struct child, child_free)

#endif
