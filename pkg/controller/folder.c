#include "controller/folder_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "base/log.h"

/* A mounted ConfigMap: the files are links into the folder that this link names, and an update swaps
 * this link alone. */
#define SWAPPED_LINK "..data"
#define SWAPS_MAX 10

bool folder_reads(const char *name)
{
    struct str text = str_of(name);

    return text.len > 0 && *name != '.' && *name != '#' &&
           (str_ends_with(text, STR(".yaml")) || str_ends_with(text, STR(".yml")) ||
            str_ends_with(text, STR(".json")));
}

/* ---- files ---- */

static size_t find_file(const struct folder *folder, const char *name, bool *ret_found)
{
    size_t low = 0, high = folder->len;

    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(folder->files[middle]->name, name);

        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct file *get_file(struct folder *folder, const char *name)
{
    bool found;
    size_t at = find_file(folder, name, &found);
    struct file *file;

    if (found)
        return folder->files[at];
    file = xcalloc(1, sizeof(*file));
    file->name = xstrdup(name);
    file->claimant.name = file->name;
    file->again = true;
    folder->files = xgrow(folder->files, &folder->cap, folder->len, sizeof(*folder->files));
    memmove(folder->files + at + 1, folder->files + at,
            (folder->len - at) * sizeof(*folder->files));
    folder->files[at] = file;
    folder->len++;
    return file;
}

/* Its objects must be dropped, or the folder's claims done. */
static void file_free(struct file *file)
{
    for (size_t i = 0; i < file->keys_len; i++)
        free(file->keys[i]);
    free(file->keys);
    free(file->name);
    free(file);
}

/* ---- waiting ---- */

static void look_again_at(struct folder *folder, uint64_t when_us)
{
    if (folder->again_us == 0 || when_us < folder->again_us)
        folder->again_us = when_us;
}

/* True while `*since_us` is younger than `grace_us`; starts it. Then the folder wants another look. */
static bool in_grace(struct folder *folder, uint64_t *since_us, uint64_t grace_us)
{
    if (*since_us == 0)
        *since_us = folder->now_us;
    if (folder->now_us - *since_us >= grace_us)
        return false;
    look_again_at(folder, *since_us + grace_us);
    return true;
}

static bool is_link(int dir, const char *name)
{
    struct stat info;

    return fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
}

/* Whether what is in the file is all that its writer meant to write. Where no event tells, a link that
 * leads to another file now is believed at once, as is all that was there before us. (Another file may
 * have the inode of one that is gone.) */
static bool is_complete(struct folder *folder, int dir, struct file *file,
                        const struct stamp *stamp)
{
    if (file->busy_us != 0)
        return !in_grace(folder, &file->busy_us, FOLDER_WRITER_GRACE_US);
    if (file->told || counter_get(&folder->stats.looks) == 0 || stamp_equal(stamp, &file->stamp))
        return true;
    if ((folder->swapping || !stamp_same_file(stamp, &file->stamp)) && is_link(dir, file->name))
        return true;
    if (!stamp_equal(stamp, &file->latest))
        file->latest_us = 0;
    file->latest = *stamp;
    return !in_grace(folder, &file->latest_us, FOLDER_QUIET_US);
}

/* ---- what is there ---- */

static void say_bad(const struct folder *folder, const struct file *file, const struct err *err)
{
    log_warn(LOG_CONTROLLER,
             file->keys_len > 0 ? "bad manifest: what it gave before stays"
                                : "bad manifest: skipped",
             KV_STR("folder", folder->path), KV_STR("file", file->name), KV_ERR(err));
}

/* It cannot be opened: tried again when that changes. */
static void refuse(struct folder *folder, struct file *file, const char *cause)
{
    struct err err = {0};

    file->stamp = (struct stamp){0};
    file->bad = true;
    if (strncmp(file->cause, cause, sizeof(file->cause) - 1) == 0)
        return;
    snprintf(file->cause, sizeof(file->cause), "%s", cause);
    (void)fail(&err, CODE_INVALID_ARGUMENT, "cannot open: %s", cause);
    say_bad(folder, file, &err);
}

static void look_at_unreachable(struct folder *folder, int dir, const char *name, int error)
{
    bool dangling = error == ENOENT && is_link(dir, name);
    struct file *file;

    if (error == ENOENT && !dangling)
        return; /* gone since the folder was listed */
    file = get_file(folder, name);
    file->seen = true;
    if (!dangling)
        refuse(folder, file, strerror(error));
    else if (!in_grace(folder, &file->missing_us, FOLDER_MISSING_GRACE_US))
        refuse(folder, file, "a link that leads nowhere");
}

static void look_at(struct folder *folder, int dir, const char *name)
{
    struct file *file;
    struct stat info;
    struct stamp stamp;

    if (!folder_reads(name))
        return;
    if (fstatat(dir, name, &info, 0) < 0) {
        look_at_unreachable(folder, dir, name, errno);
        return;
    }
    file = get_file(folder, name);
    file->seen = true;
    file->missing_us = 0;
    if (!S_ISREG(info.st_mode)) {
        refuse(folder, file, "not a regular file");
        return;
    }
    stamp = stamp_of(&info);
    if ((!file->again && stamp_equal(&stamp, &file->stamp)) ||
        !is_complete(folder, dir, file, &stamp))
        return;
    file->stamp = stamp;
    file->due = true;
}

/* ---- what is gone ---- */

static size_t count_missing(const struct folder *folder)
{
    size_t missing = 0;

    for (size_t i = 0; i < folder->len; i++)
        missing += !folder->files[i]->seen;
    return missing;
}

/* How long a file must be gone. */
static uint64_t missing_grace_us(struct folder *folder, const struct stamp *home)
{
    bool other = counter_get(&folder->stats.looks) > 0 && !stamp_same_file(home, &folder->home);
    size_t missing = count_missing(folder);

    if (other && folder->returning_us == 0 && missing > folder->len / 2) {
        folder->returning_us = folder->now_us;
        log_warn(LOG_CONTROLLER,
                 "the folder was replaced by one that lacks most files: they stay for a while",
                 KV_STR("folder", folder->path), KV_U64("missing", missing),
                 KV_U64("ms", FOLDER_RETURN_GRACE_US / 1000));
    }
    if (folder->returning_us != 0 && missing > 0 &&
        in_grace(folder, &folder->returning_us, FOLDER_RETURN_GRACE_US))
        return UINT64_MAX;
    folder->returning_us = 0;
    folder->home = *home;
    return FOLDER_MISSING_GRACE_US;
}

static bool is_gone(struct folder *folder, struct file *file, uint64_t grace_us)
{
    if (file->seen)
        return false;
    if (file->missing_us == 0)
        file->missing_us = folder->now_us;
    return grace_us != UINT64_MAX && !in_grace(folder, &file->missing_us, grace_us);
}

static void forget_gone(struct folder *folder, int dir, const struct stamp *home)
{
    size_t kept = 0;
    uint64_t grace_us;

    /* Not only not listed: a rename while the folder is read can hide the new file. */
    for (size_t i = 0; i < folder->len; i++) {
        if (!folder->files[i]->seen)
            look_at(folder, dir, folder->files[i]->name);
    }
    grace_us = missing_grace_us(folder, home);
    for (size_t i = 0; i < folder->len; i++) {
        struct file *file = folder->files[i];

        if (!is_gone(folder, file, grace_us)) {
            folder->files[kept++] = file;
            continue;
        }
        folder_drop_objects(folder, file);
        file_free(file);
    }
    folder->len = kept;
}

/* ---- reading ---- */

static void read_file(struct folder *folder, int dir, struct file *file)
{
    struct manifest manifest = {0};
    struct err err = {0};
    enum code code = manifest_read(dir, file->name, &file->stamp, &manifest, &err);

    counter_add(&folder->stats.reads, 1);
    file->due = false;
    file->told = false;
    file->again = code == CODE_ABORTED; /* it changes right now */
    file->busy_us = 0;
    file->latest_us = 0;
    file->cause[0] = '\0';
    if (code == CODE_ABORTED)
        look_again_at(folder, folder->now_us + FOLDER_QUIET_US);
    else if (code == CODE_OK)
        folder_give_objects(folder, file, &manifest);
    else if (code != CODE_NOT_FOUND) /* gone: the next look sees it */
        say_bad(folder, file, &err);
    if (code != CODE_ABORTED)
        file->bad = code != CODE_OK && code != CODE_NOT_FOUND;
    manifest_done(&manifest);
}

/* Until none is left: reading one file can make another the source of an object. Every round but the
 * first is for files that were well-formed when they last were read. */
static void read_due(struct folder *folder, int dir)
{
    bool more = true;

    for (int round = 0; more && round < 4; round++) {
        more = false;
        for (size_t i = 0; i < folder->len; i++) {
            if (!folder->files[i]->due || !folder->files[i]->seen)
                continue;
            read_file(folder, dir, folder->files[i]);
            more = true;
        }
    }
}

/* ---- a look ---- */

static void count_files(struct folder *folder)
{
    size_t bad = 0, ignored = 0;

    for (size_t i = 0; i < folder->len; i++) {
        bad += folder->files[i]->bad;
        ignored += folder->files[i]->ignored;
    }
    counter_set(&folder->stats.files, folder->len);
    counter_set(&folder->stats.bad_files, bad);
    counter_set(&folder->stats.objects, claims_len(&folder->claims));
    counter_set(&folder->stats.ignored_objects, ignored);
    counter_add(&folder->stats.looks, 1);
}

static enum code fail_folder(const struct folder *folder, int error, struct err *err)
{
    enum code code = error == ENOENT                     ? CODE_NOT_FOUND
                     : error == EACCES || error == EPERM ? CODE_PERMISSION_DENIED
                                                         : CODE_INVALID_ARGUMENT;

    return fail(err, code, "cannot read folder '%s': %s", folder->path, strerror(error));
}

static enum code check_size(const struct folder *folder, DIR *dir, struct err *err)
{
    struct dirent *entry;
    size_t count = 0;

    while ((entry = readdir(dir)))
        count += folder_reads(entry->d_name);
    rewinddir(dir);
    if (count > FOLDER_FILES_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED,
                    "cannot read folder '%s': %zu manifests, at most %d are read", folder->path,
                    count, FOLDER_FILES_MAX);
    return CODE_OK;
}

static struct stamp swapped_link(int dir)
{
    struct stat info;

    if (fstatat(dir, SWAPPED_LINK, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return (struct stamp){0};
    return stamp_of(&info);
}

/* Whether a look that is not at the whole folder is at this file, too. */
static bool is_of_interest(const struct file *file)
{
    return file->noted || file->again || !file->seen || file->latest_us != 0 ||
           file->busy_us != 0 || file->missing_us != 0;
}

/* `dir` is at its beginning; NULL: only at the files of interest. */
static void look_through(struct folder *folder, int fd, DIR *dir, const struct stamp *home)
{
    struct dirent *entry;

    for (size_t i = 0; i < folder->len; i++) {
        struct file *file = folder->files[i];

        file->due = false;
        if (dir || is_of_interest(file))
            file->seen = file->noted = false;
    }
    while (dir && (entry = readdir(dir)))
        look_at(folder, fd, entry->d_name);
    forget_gone(folder, fd, home);
    read_due(folder, fd);
}

/* Again, while a ConfigMap is swapped. */
static enum code look_whole(struct folder *folder, DIR *dir, const struct stamp *home,
                            struct err *err)
{
    struct stamp before, after;
    enum code code = check_size(folder, dir, err);

    if (code != CODE_OK)
        return code;
    for (int swaps = 0; swaps < SWAPS_MAX; swaps++) {
        before = swapped_link(dirfd(dir));
        folder->swapping = !stamp_equal(&before, &folder->swapped);
        folder->swapped = before;
        look_through(folder, dirfd(dir), dir, home);
        after = swapped_link(dirfd(dir));
        if (stamp_equal(&before, &after))
            return CODE_OK;
        rewinddir(dir);
    }
    look_again_at(folder, folder->now_us + FOLDER_MISSING_GRACE_US);
    return CODE_OK;
}

static enum code look(struct folder *folder, DIR *dir, bool whole, struct err *err)
{
    struct stat info;
    struct stamp home, swapped = swapped_link(dirfd(dir));

    if (fstat(dirfd(dir), &info) < 0)
        return fail_folder(folder, errno, err);
    home = stamp_of(&info);
    if (whole || !stamp_same_file(&home, &folder->home) || !stamp_equal(&swapped, &folder->swapped))
        return look_whole(folder, dir, &home, err);
    folder->swapping = false;
    look_through(folder, dirfd(dir), NULL, &home);
    return CODE_OK;
}

enum code folder_look(struct folder *folder, bool whole, uint64_t now_us, uint64_t *ret_again_us,
                      struct err *err)
{
    DIR *dir = opendir(folder->path);
    enum code code;

    if (!dir)
        return fail_folder(folder, errno, err);
    folder->now_us = now_us;
    folder->again_us = 0;
    code = look(folder, dir, whole, err);
    closedir(dir);
    if (code != CODE_OK)
        return code;
    folder_say_overlaps(folder);
    count_files(folder);
    *ret_again_us = folder->again_us;
    return CODE_OK;
}

void folder_note_writing(struct folder *folder, const char *name, uint64_t now_us)
{
    struct file *file = folder_reads(name) ? get_file(folder, name) : NULL;

    if (!file)
        return;
    file->busy_us = now_us;
    file->told = false;
}

void folder_note_written(struct folder *folder, const char *name)
{
    struct file *file = folder_reads(name) ? get_file(folder, name) : NULL;

    if (!file)
        return;
    file->busy_us = 0;
    file->told = true;
    file->again = true;
}

void folder_note_changed(struct folder *folder, const char *name)
{
    struct file *file = folder_reads(name) ? get_file(folder, name) : NULL;

    if (file)
        file->noted = true;
}

const struct folder_stats *folder_stats(const struct folder *folder)
{
    return &folder->stats;
}

/* ---- life ---- */

struct folder *folder_new(const char *path, const struct folder_sink *sink)
{
    struct folder *folder = xcalloc(1, sizeof(*folder));

    folder->path = xstrdup(path);
    folder->sink = *sink;
    return folder;
}

void folder_free(struct folder *folder)
{
    if (!folder)
        return;
    claims_done(&folder->claims);
    for (size_t i = 0; i < folder->len; i++)
        file_free(folder->files[i]);
    manifest_done(&folder->said);
    free(folder->files);
    free(folder->path);
    free(folder);
}
