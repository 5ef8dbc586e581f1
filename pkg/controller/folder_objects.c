#include "controller/folder_internal.h"

#include "base/log.h"

#define OVERLAPS_SAID_MAX 20 /* in one look */

static void free_keys(char **keys, size_t len)
{
    for (size_t i = 0; i < len; i++)
        free(keys[i]);
    free(keys);
}

/* The file no longer has the object: it goes to the next file that has it, or away. */
static void drop_key(struct folder *folder, struct file *file, const char *key)
{
    struct claimant *heir;
    struct json *tombstone;

    if (!claims_drop(&folder->claims, key, &file->claimant, &heir))
        return;
    if (heir) {
        file_of(heir)->again = true;
        file_of(heir)->due = true;
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

/* Of twins in one file the first counts. */
static char **give_each(struct folder *folder, struct file *file, struct manifest *manifest,
                        size_t *ret_len)
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
    qsort(keys, len, sizeof(*keys), cmp_key);
    *ret_len = len;
    return keys;
}

void folder_give_objects(struct folder *folder, struct file *file, struct manifest *manifest)
{
    size_t len;
    char **keys = give_each(folder, file, manifest, &len);

    say_ignored(folder, file, manifest);
    for (size_t i = 0; i < file->keys_len; i++) {
        if (!sorted_has(keys, len, file->keys[i]))
            drop_key(folder, file, file->keys[i]);
    }
    free_keys(file->keys, file->keys_len);
    file->keys = keys;
    file->keys_len = len;
}

void folder_drop_objects(struct folder *folder, struct file *file)
{
    for (size_t i = 0; i < file->keys_len; i++)
        drop_key(folder, file, file->keys[i]);
    free_keys(file->keys, file->keys_len);
    file->keys = NULL;
    file->keys_len = 0;
}

static bool is_leaving(const struct file *file)
{
    return !file->seen || file->missing_us != 0;
}

void folder_say_overlaps(struct folder *folder)
{
    size_t said = 0;

    for (size_t i = 0; i < folder->len; i++) {
        struct file *file = folder->files[i];

        for (size_t k = 0; file->check && k < file->keys_len; k++) {
            struct claimant *owner = claims_owner(&folder->claims, file->keys[k]);

            if (owner == &file->claimant || is_leaving(file) || is_leaving(file_of(owner)))
                continue;
            if (said++ < OVERLAPS_SAID_MAX)
                say_twice(folder, file->keys[k], owner->name, file->name);
        }
        file->check = false;
    }
    if (said > OVERLAPS_SAID_MAX)
        log_warn(LOG_CONTROLLER, "more objects stand in two files", KV_STR("folder", folder->path),
                 KV_U64("more", said - OVERLAPS_SAID_MAX));
}
