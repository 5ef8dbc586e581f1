/*
 * The manifests that a command is given with -f: files, folders (as --directory reads them: not what
 * lies below), and "-", that is standard input.
 *
 * Owns: what was read; files_done().
 */
#ifndef LOOKASIDECTL_FILES_H
#define LOOKASIDECTL_FILES_H

#include "command.h"
#include "controller/manifest.h"

#define FILES_FOLDER_MAX 20000 /* in one folder */

struct file {
    char *name;
    struct manifest manifest;
    struct err fault; /* it is malformed; what stands before that was read */
};

struct files {
    struct file *items;
    size_t len, cap;
};

/* Adds them. `namespace_name`: of objects that name none; empty: "default". An error is one that is
 * not there or cannot be read. */
enum code files_read(struct files *files, const struct flag_list *paths, struct str namespace_name,
                     struct err *err) must_check;
void files_done(struct files *files);

/* Of --namespace: empty, or a name; prints the error. */
bool namespace_is_valid(const struct command *command, const char *namespace_name) must_check;

#define FILE_FLAG(slot)                                                                            \
    {                                                                                              \
        "file", "FILE", "-f for short; may be repeated; a folder, too, or - for standard input",   \
            NULL, NULL, slot                                                                       \
    }
#define NAMESPACE_FLAG(slot)                                                                       \
    {                                                                                              \
        "namespace", "NAME",                                                                       \
            "of objects that name none; -n for short (default, as in --directory mode: default)",  \
            slot, NULL, NULL                                                                       \
    }

#endif
