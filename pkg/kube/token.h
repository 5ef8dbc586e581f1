/*
 * The bearer token of a client: fixed, or a file that rotates.
 */
#ifndef KUBE_TOKEN_H
#define KUBE_TOKEN_H

#include <sys/stat.h>

#include "base/err.h"

struct token {
    char *file;
    char *header; /* "Authorization: Bearer ..." or NULL */
    struct timespec mtime;
    ino_t inode;
};

/* `text` and `file` may be NULL; the file wins. */
void token_init(struct token *token, const char *text, const char *file);
void token_done(struct token *token);
/* The header to send, borrowed until the next call; NULL: none. Looks at the file's time and reads
 * it when that moved. A file that cannot be read is an error only as long as no token was ever
 * read. */
enum code token_header(struct token *token, const char **ret_header, struct err *err) must_check;

#endif
