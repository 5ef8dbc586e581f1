#include "controller/folder.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/log.h"
#include "controller/claims.h"

/* Equal stamps: nobody wrote to the file in between. */
struct stamp {
    struct timespec modified, changed;
    off_t size;
    ino_t inode;
    dev_t device;
};

struct file {
    struct claimant claimant; /* its name */
    char *name;
    struct stamp stamp; /* of what was read last, well-formed or not */
    bool seen;          /* in the look that goes on */
    bool again;         /* to be read whatever the stamp says */
    bool check;         /* its objects may be another file's: look and say */
    bool bad;
    uint64_t missing_us; /* since when it is gone; 0: it is not */
    uint64_t busy_us;    /* when somebody wrote to it last and has not closed it; 0: nobody */
    size_t ignored;
    char **keys; /* objects that it gave */
    size_t keys_len;
};

struct folder {
    char *path;
    struct folder_sink sink;
    struct file **files; /* sorted by name */
    size_t len, cap;
    struct claims claims;
    uint64_t again_us;    /* when to look again; 0: no need */
    struct manifest said; /* kinds that were named in the log already: `ignored` only */
    bool crowded;         /* more files than the limit; said once */
    struct folder_stats stats;
};

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
    if (folder->len == FOLDER_FILES_MAX) {
        if (!folder->crowded)
            log_error(LOG_CONTROLLER, "too many manifests: some are left out",
                      KV_STR("folder", folder->path), KV_U64("limit", FOLDER_FILES_MAX));
        folder->crowded = true;
        return NULL;
    }
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

static void free_keys(char **keys, size_t len)
{
    for (size_t i = 0; i < len; i++)
        free(keys[i]);
    free(keys);
}

static void file_free(struct file *file)
{
    free_keys(file->keys, file->keys_len);
    free(file->name);
    free(file);
}

static struct file *file_of(struct claimant *claimant)
{
    return claimant ? container_of(claimant, struct file, claimant) : NULL;
}

/* ---- objects ---- */

/* The file no longer has the object: it goes to the next file that has it, or away. */
static void drop_key(struct folder *folder, struct file *file, const char *key)
{
    struct claimant *heir;
    struct json *tombstone;

    if (!claims_drop(&folder->claims, key, &file->claimant, &heir))
        return;
    if (heir) {
        file_of(heir)->again = true;
        return;
    }
    tombstone = manifest_tombstone(key);
    folder->sink.remove(folder->sink.ctx, manifest_key_kind(key), tombstone);
    json_free(tombstone);
}

static bool has_key(char *const *keys, size_t len, const char *key)
{
    for (size_t i = 0; i < len; i++) {
        if (strcmp(keys[i], key) == 0)
            return true;
    }
    return false;
}

static int cmp_key(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool sorted_has(char *const *keys, size_t len, const char *key)
{
    return len > 0 && bsearch(&key, keys, len, sizeof(*keys), cmp_key) != NULL;
}

static void say_twice(const struct folder *folder, const char *key, const char *used,
                      const char *unused)
{
    log_warn(LOG_CONTROLLER, "an object stands in two files: the first file's is used",
             KV_STR("folder", folder->path), KV_STR("object", key), KV_STR("used", used),
             KV_STR("unused", unused));
}

static void give_object(struct folder *folder, struct file *file,
                        const struct manifest_object *object)
{
    struct claimant *before = claims_owner(&folder->claims, object->key);

    if (claims_add(&folder->claims, object->key, &file->claimant))
        folder->sink.upsert(folder->sink.ctx, object->kind, object->json, file->name, object->line);
    else
        file->check = true;
    if (before && before != &file->claimant)
        file_of(before)->check = true;
}

/* Takes the manifest's keys; of twins in one file the first counts. */
static void give_objects(struct folder *folder, struct file *file, struct manifest *manifest)
{
    char **keys = xcalloc(manifest->len + 1, sizeof(*keys));
    struct claims own = {0};
    size_t len = 0;

    for (size_t i = 0; i < manifest->len; i++) {
        struct manifest_object *object = &manifest->objects[i];

        if (claims_owner(&own, object->key)) {
            say_twice(folder, object->key, file->name, file->name);
            continue;
        }
        (void)claims_add(&own, object->key, &file->claimant);
        give_object(folder, file, object);
        keys[len++] = TAKE(object->key);
    }
    claims_done(&own);
    if (len > 0)
        qsort(keys, len, sizeof(*keys), cmp_key);
    for (size_t i = 0; i < file->keys_len; i++) {
        if (!sorted_has(keys, len, file->keys[i]))
            drop_key(folder, file, file->keys[i]);
    }
    free_keys(file->keys, file->keys_len);
    file->keys = keys;
    file->keys_len = len;
}

static void say_ignored(struct folder *folder, struct file *file, const struct manifest *manifest)
{
    struct manifest *said = &folder->said;

    file->ignored = manifest->ignored_objects;
    for (size_t i = 0; i < manifest->ignored_len; i++) {
        if (has_key(said->ignored, said->ignored_len, manifest->ignored[i]) ||
            said->ignored_len == MANIFEST_IGNORED_MAX)
            continue;
        said->ignored =
            xgrow(said->ignored, &said->ignored_cap, said->ignored_len, sizeof(*said->ignored));
        said->ignored[said->ignored_len++] = xstrdup(manifest->ignored[i]);
        log_info(LOG_CONTROLLER, "objects of this kind are not read",
                 KV_STR("kind", manifest->ignored[i]), KV_STR("file", file->name));
    }
}

/* ---- reading ---- */

static struct stamp stamp_of(const struct stat *info)
{
    return (struct stamp){info->st_mtim, info->st_ctim, info->st_size, info->st_ino, info->st_dev};
}

static bool stamp_equal(const struct stamp *a, const struct stamp *b)
{
    return a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec &&
           a->size == b->size && a->inode == b->inode && a->device == b->device;
}

static void read_file(struct folder *folder, int dir, struct file *file)
{
    struct manifest manifest = {0};
    struct err err = {0};
    enum code code = manifest_read(dir, file->name, &manifest, &err);

    counter_add(&folder->stats.reads, 1);
    file->again = false;
    file->bad = code != CODE_OK && code != CODE_NOT_FOUND; /* gone: the next look sees it */
    if (file->bad)
        log_warn(LOG_CONTROLLER,
                 file->keys_len > 0 ? "bad manifest: what it gave before stays"
                                    : "bad manifest: skipped",
                 KV_STR("folder", folder->path), KV_STR("file", file->name), KV_ERR(&err));
    if (code == CODE_OK) {
        say_ignored(folder, file, &manifest);
        give_objects(folder, file, &manifest);
    }
    manifest_done(&manifest);
}

/* ---- a look ---- */

/* True while `*since_us` is younger than `grace_us`; starts it. Then the folder wants another look. */
static bool in_grace(struct folder *folder, uint64_t *since_us, uint64_t grace_us, uint64_t now_us)
{
    if (*since_us == 0)
        *since_us = now_us;
    if (now_us - *since_us >= grace_us)
        return false;
    if (folder->again_us == 0 || *since_us + grace_us < folder->again_us)
        folder->again_us = *since_us + grace_us;
    return true;
}

static void look_at(struct folder *folder, int dir, const char *name, uint64_t now_us)
{
    struct file *file;
    struct stat info;
    struct stamp stamp;

    if (!folder_reads(name) || fstatat(dir, name, &info, 0) < 0)
        return;
    file = get_file(folder, name);
    if (!file)
        return;
    file->seen = true;
    file->missing_us = 0;
    stamp = stamp_of(&info);
    if (!file->again && stamp_equal(&stamp, &file->stamp))
        return;
    /* Not read yet: its stamp still differs when the next look comes. */
    file->again =
        file->busy_us == 0 || !in_grace(folder, &file->busy_us, FOLDER_WRITER_GRACE_US, now_us);
    if (file->again)
        file->stamp = stamp;
}

/* Not only not listed: a rename while the folder is read can hide the new file. */
static bool is_gone(struct folder *folder, int dir, struct file *file, uint64_t now_us)
{
    if (!file->seen)
        look_at(folder, dir, file->name, now_us);
    return !file->seen && !in_grace(folder, &file->missing_us, FOLDER_MISSING_GRACE_US, now_us);
}

static void forget_gone(struct folder *folder, int dir, uint64_t now_us)
{
    size_t kept = 0;

    for (size_t i = 0; i < folder->len; i++) {
        struct file *file = folder->files[i];

        if (!is_gone(folder, dir, file, now_us)) {
            folder->files[kept++] = file;
            continue;
        }
        for (size_t k = 0; k < file->keys_len; k++)
            drop_key(folder, file, file->keys[k]);
        file_free(file);
    }
    folder->len = kept;
}

/* Until none is left: reading one file can make another the source of an object. Every round but the
 * first is for files that were well-formed when they last were read. */
static void read_changed(struct folder *folder, int dir)
{
    bool more = true;

    for (int round = 0; more && round < 4; round++) {
        more = false;
        for (size_t i = 0; i < folder->len; i++) {
            if (!folder->files[i]->again || !folder->files[i]->seen)
                continue;
            read_file(folder, dir, folder->files[i]);
            more = true;
        }
    }
}

static void say_overlaps(struct folder *folder)
{
    for (size_t i = 0; i < folder->len; i++) {
        struct file *file = folder->files[i];

        for (size_t k = 0; file->check && k < file->keys_len; k++) {
            struct claimant *owner = claims_owner(&folder->claims, file->keys[k]);

            if (owner != &file->claimant && file->seen && file_of(owner)->seen)
                say_twice(folder, file->keys[k], owner->name, file->name);
        }
        file->check = false;
    }
}

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

enum code folder_look(struct folder *folder, uint64_t now_us, uint64_t *ret_again_us,
                      struct err *err)
{
    DIR *dir = opendir(folder->path);
    struct dirent *entry;

    if (!dir)
        return fail_folder(folder, errno, err);
    folder->again_us = 0;
    for (size_t i = 0; i < folder->len; i++)
        folder->files[i]->seen = false;
    while ((entry = readdir(dir)))
        look_at(folder, dirfd(dir), entry->d_name, now_us);
    forget_gone(folder, dirfd(dir), now_us);
    read_changed(folder, dirfd(dir));
    say_overlaps(folder);
    count_files(folder);
    closedir(dir);
    *ret_again_us = folder->again_us;
    return CODE_OK;
}

void folder_note_writing(struct folder *folder, const char *name, uint64_t now_us)
{
    struct file *file = folder_reads(name) ? get_file(folder, name) : NULL;

    if (file)
        file->busy_us = now_us;
}

void folder_note_changed(struct folder *folder, const char *name)
{
    bool found;
    size_t at = find_file(folder, name, &found);

    if (!found)
        return;
    folder->files[at]->busy_us = 0;
    folder->files[at]->again = true;
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
