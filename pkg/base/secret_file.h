/*
 * Small files that hold secrets: tokens, kubeconfigs, keys.
 *
 * Errors: the message names the file and the cause.
 */
#ifndef BASE_SECRET_FILE_H
#define BASE_SECRET_FILE_H

#include "base/err.h"

/* The whole of a regular file of at most `max` bytes, NUL-terminated. The caller wipes and frees it
 * with secret_free(). */
enum code secret_file_read(const char *path, size_t max, char **ret_text,
                           struct err *err) must_check;
/* A regular file that we may read? */
enum code secret_file_check(const char *path, struct err *err) must_check;
/* Overwrites before it frees. NULL is fine. */
void secret_free(char *text);
DEFINE_CLEANUP(char, secret_free)

#endif
