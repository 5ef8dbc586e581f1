/*
 * Whether LookasideServices in files are in order, before anybody has them: all that their conditions would say, by the controller's own code.
 *
 * Without an API server not everything can be known. What the files do not have (a Service that is referred to) is said, not blamed, unless
 * they have every Service (check_options.complete). Hosts are held against suffixes where those are given.
 *
 * Threads: one.
 * Owns:    nothing of the manifests, which stay as they are until check_free().
 */
#ifndef CONTROLLER_CHECK_H
#define CONTROLLER_CHECK_H

#include "controller/manifest.h"

struct check;

struct check_options {
    const char *const *host_suffixes; /* as controller_options.host_suffixes; NULL: hosts are not held against any */
    bool complete;                    /* a Service that is not there does not exist */
};

/* Borrowed during the visit. */
struct check_finding {
    const char *file;
    size_t line;        /* where the object's document begins */
    const char *object; /* "LookasideService shop/greeter"; "": it is about the whole file */
    const char *message;
    bool fault; /* else a word about what was not looked at */
};

struct check *check_new(const struct check_options *options) must_check;
void check_free(struct check *check);
/* `services_only`: for what its Services say alone. */
void check_add(struct check *check, const char *file, const struct manifest *manifest, bool services_only);
/* What is to be said, file by file and object by object. Once, when all is added. */
enum code check_run(struct check *check, void (*visit)(void *ctx, const struct check_finding *finding), void *ctx, struct err *err) must_check;

#endif
