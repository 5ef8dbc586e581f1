#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "controller/folder.h"
#include "model/name.h"

#define STDIN_NAME "standard input"

struct reading {
    struct files *files;
    struct str namespace_name;
};

/* Takes over `name`. */
static enum code read_stream(struct reading *reading, int fd, char *name, struct err *err)
{
    struct files *files = reading->files;
    struct file *file;
    enum code code;

    files->items = xgrow(files->items, &files->cap, files->len, sizeof(*files->items));
    file = &files->items[files->len++];
    *file = (struct file){.name = name};
    code = manifest_read_stream(fd, name, &file->manifest, &file->fault);
    if (reading->namespace_name.len > 0)
        manifest_set_namespace(&file->manifest, reading->namespace_name);
    if (code == CODE_OK || code == CODE_INVALID_ARGUMENT)
        return CODE_OK;
    return fail(err, code, "%s: %s", name, file->fault.msg);
}

static enum code read_file(struct reading *reading, const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    enum code code;

    if (fd < 0)
        return fail(err, CODE_NOT_FOUND, "cannot open '%s': %s", path, strerror(errno));
    code = read_stream(reading, fd, xstrdup(path), err);
    close(fd);
    return code;
}

static int chosen(const struct dirent *entry)
{
    return folder_reads(entry->d_name);
}

static enum code read_folder(struct reading *reading, const char *path, struct err *err)
{
    struct dirent **entries = NULL;
    int len = scandir(path, &entries, chosen, alphasort);
    enum code code = CODE_OK;

    if (len < 0)
        return fail(err, CODE_NOT_FOUND, "cannot read '%s': %s", path, strerror(errno));
    if (len > FILES_FOLDER_MAX)
        code = fail(err, CODE_RESOURCE_EXHAUSTED, "'%s' has more than %d files", path,
                    FILES_FOLDER_MAX);
    for (int i = 0; i < len; i++) {
        char file[PATH_MAX];

        if (code == CODE_OK &&
            snprintf(file, sizeof(file), "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/",
                     entries[i]->d_name) < (int)sizeof(file))
            code = read_file(reading, file, err);
        free(entries[i]);
    }
    free(entries);
    return code;
}

enum code files_read(struct files *files, const struct flag_list *paths, struct str namespace_name,
                     struct err *err)
{
    struct reading reading = {files, namespace_name};
    enum code code = CODE_OK;
    struct stat info;

    for (size_t i = 0; i < paths->len && code == CODE_OK; i++) {
        const char *path = paths->items[i];

        if (strcmp(path, "-") == 0)
            code = read_stream(&reading, STDIN_FILENO, xstrdup(STDIN_NAME), err);
        else if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
            code = read_folder(&reading, path, err);
        else
            code = read_file(&reading, path, err);
    }
    return code;
}

void files_done(struct files *files)
{
    for (size_t i = 0; i < files->len; i++) {
        manifest_done(&files->items[i].manifest);
        free(files->items[i].name);
    }
    free(files->items);
    *files = (struct files){0};
}

bool namespace_is_valid(const struct command *command, const char *namespace_name)
{
    if (!*namespace_name || name_is_label(str_of(namespace_name)))
        return true;
    (void)usage_error(command, "--namespace is not the name of a namespace");
    return false;
}
