/*
 * The commands of lookasidectl: one file each. A command gets the arguments behind its name and
 * returns the exit code: 0, 1 when what was asked could not be had, 2 for wrong usage.
 */
#ifndef LOOKASIDECTL_COMMAND_H
#define LOOKASIDECTL_COMMAND_H

#include "base/err.h"
#include "base/json.h"

struct command {
    const char *name;
    const char *usage;
    const char *help;
    int (*run)(int argc, char **argv);
};

extern const struct command bootstrap_command;
extern const struct command check_command;
extern const struct command diff_command;
extern const struct command explain_command;
extern const struct command get_command;
extern const struct command load_command;
extern const struct command release_command;
extern const struct command services_command;
extern const struct command streams_command;
extern const struct command verify_command;
extern const struct command watch_command;

/* ---- flags: "--name value" or "--name=value"; "-o" is "--output", "-n" "--namespace", "-f" "--file"; "--" ends them ---- */

#define FLAG_LIST_MAX 64

struct flag_list {
    const char *items[FLAG_LIST_MAX];
    size_t len;
};

struct flag {
    const char *name;
    const char *argument; /* NULL: the flag has no value, it is given or not */
    const char *help;
    const char **value;     /* holds the default before parsing; of a flag with a value */
    bool *given;            /* of a flag without */
    struct flag_list *list; /* of a flag with a value that may be repeated */
};

/* Parses argv against `flags`; positional arguments, from `min` to `max` of them, go to
 * `positional`. Prints usage errors and --help itself: then *ret_exit is the exit code and the
 * result is false. */
bool flags_parse(const struct command *command, int argc, char **argv, const struct flag *flags,
                 size_t flags_len, const char **positional, size_t min, size_t max,
                 int *ret_exit) must_check;
/* "table" or "json"; prints the error. */
bool output_is_json(const char *output, bool *ret_json) must_check;
/* What a person dials, "xds:///" cut off: as it stands in a client's code. */
const char *target_of(const char *text);
/* Splits "NAMESPACE/NAME"; false unless both are names. */
bool split_service(const char *text, struct str *ret_namespace, struct str *ret_name) must_check;
int usage_error(const struct command *command, const char *message);
int failure(const struct err *err);

#define SERVER_DEFAULT "127.0.0.1:18000"
#define ADMIN_DEFAULT "127.0.0.1:18080"
#define ADMIN_FLAG(slot)                                                                           \
    {                                                                                              \
        "admin", "HOST:PORT", "the admin port of a Lookaside; also unix:/path", slot, NULL, NULL   \
    }
#define OUTPUT_FLAG(slot)                                                                          \
    {                                                                                              \
        "output", "table|json", "-o for short", slot, NULL, NULL                                   \
    }

/* ---- the gRPC port: how it is dialled, and as whom ---- */

struct tls;

struct dial_flags {
    const char *ca;   /* NULL: the system's */
    const char *name; /* NULL: the server's own, as it is dialled */
    const char *cert, *key; /* NULL: it shows none */
    const char *token;      /* a file; NULL: it sends none */
    bool tls;         /* the first four imply it */
    bool insecure;    /* and this */
    bool token_plaintext;
};

#define DIAL_FLAGS(slot)                                                                           \
    {"tls", NULL, "over TLS, with the system's certificate authorities", .given = &(slot)->tls},    \
        {"tls-ca", "FILE", "over TLS, with these instead (PEM)", .value = &(slot)->ca},            \
        {"tls-server-name", "NAME", "over TLS; what the server's certificate must be for, if not " \
                                    "the host that is dialled",                                    \
         .value = &(slot)->name},                                                                  \
        {"tls-cert", "FILE", "over TLS, with this certificate of the client's (PEM)",              \
         .value = &(slot)->cert},                                                                  \
        {"tls-key", "FILE", "and its key", .value = &(slot)->key},                                 \
        {"tls-insecure", NULL, "over TLS, whoever the server may be", .given = &(slot)->insecure}, \
        {"token-file", "FILE", "with the token of a service account; read again at each "          \
                               "connection",                                                       \
         .value = &(slot)->token},                                                                 \
    {                                                                                              \
        "token-plaintext", NULL, "send it to another host without TLS, or with a server that is "  \
                                 "not verified, too: whoever sees it can use it",                  \
        .given = &(slot)->token_plaintext                                                          \
    }

/* What they come to. */
struct dial {
    struct tls *tls;         /* NULL: plaintext */
    bool verified;           /* whose server's certificate is checked */
    const char *server_name; /* of its certificate; NULL: the host that is dialled */
    const char *token;       /* the file that has it; NULL: none is sent */
    bool token_plaintext;    /* also to another host that is not verified */
};

/* Borrows the flags' texts. */
enum code dial_load(const struct dial_flags *flags, struct dial *ret_dial,
                    struct err *err) must_check;
void dial_done(struct dial *dial); /* {0} is fine */

/* ---- the admin port ---- */

#define PAGE_MAX (1024u * 1024 * 1024)
#define PAGE_PATH_MAX 4096

/* An error of asking the admin port; says how to come there when nobody is. */
enum code admin_error(enum code code, struct err *err);
/* A page of the admin port: its text, and the same parsed. */
enum code page_read(const char *admin, const char *path, struct buf *text, struct json **ret_json,
                    struct err *err) must_check;
/* A whole command that reads a page and prints it as a table, or as it came (-o json). */
int dump_command(const struct command *command, const char *path,
                 void (*print)(const struct json *dump), int argc, char **argv);
/* A member's text; empty where there is none. */
struct str member(const struct json *json, const char *key);
/* A member that is a count; 0 where there is none. */
unsigned long member_count(const struct json *json, const char *key);

/* Of a LookasideService (resource_write() of controller/resource.h): each condition that is not in order, in a line; with `all`, also what
 * others say. */
void print_conditions(const struct json *resource, const char *indent, bool all);

/* ---- text on a terminal ---- */

/* Appends what may come from anybody: quoted and escaped, as in logs, where it would move the
 * cursor. */
void text_show(struct buf *out, struct str text);

#define TABLE_COLUMNS_MAX 12

/* Cells are text; columns are as wide as their widest cell. The first row is the head. */
struct table {
    size_t columns;
    bool drop_empty;    /* leave out columns that have no cell but the head's */
    const char *indent; /* in front of every row */
    char **cells;
    size_t len, cap;
};

#define TABLE_INIT(head)                                                                           \
    {                                                                                              \
        .columns = ARRAY_LEN(head), .indent = ""                                                   \
    }

void table_head(struct table *table, const char *const *head);
void table_add(struct table *table, struct str cell);
void table_addf(struct table *table, const char *fmt, ...) printf_like(2, 3);
void table_print(const struct table *table);
void table_done(struct table *table);

#endif
