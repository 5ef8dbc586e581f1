#include "controller/source_internal.h"

#include "base/log.h"
#include "controller/folder.h"
#include "controller/folder_watch.h"

/* Writers make several steps: the look comes when they have been quiet for SETTLE_MS, or after
 * SETTLE_MAX_US of never being quiet. */
#define SETTLE_MS 4
#define SETTLE_MAX_US (100 * 1000)
/* For events that were missed, and folders on which there are none. */
#define RESCAN_MS 2000

struct source_directory {
    struct source base;
    struct loop *loop;
    char *path;
    struct folder *folder;
    struct controller_scope *scopes[OBJECT_KINDS];
    struct folder_watch *watch; /* NULL: the next look tries to make one */
    bool watch_ended;
    bool whole; /* the next look is at the whole folder, not only at files that events named */
    struct timer *settle;
    struct timer *rescan;
    uint64_t unsettled_us; /* the first event that no look has followed; 0: none */
    uint64_t looked_us;    /* the last look that succeeded */
    bool lost;             /* the folder cannot be read; said once */
    bool unwatched;        /* there is no watch on it; said once */
};

static struct source_directory *directory_of(const struct source *source)
{
    return container_of(source, struct source_directory, base);
}

static void on_upsert(void *ctx, enum object_kind kind, const struct json *object, const char *file,
                      size_t line)
{
    struct source_directory *directory = ctx;

    controller_scope_set_place(directory->scopes[kind], file, line);
    controller_sink()->upsert(directory->scopes[kind], object);
    controller_scope_set_place(directory->scopes[kind], NULL, 0);
}

static void on_remove(void *ctx, enum object_kind kind, const struct json *object)
{
    struct source_directory *directory = ctx;

    controller_sink()->remove(directory->scopes[kind], object);
}

/* ---- looking ---- */

/* Whether more may have changed than the file of that name, which is none of ours: ours may be links
 * that lead elsewhere now. Somebody's log or an editor's copy is no reason to look. */
static bool concerns_all(enum folder_event event, const char *name)
{
    return event == FOLDER_LOST || event == FOLDER_ARRIVED || *name == '\0' ||
           str_starts_with(str_of(name), STR(".."));
}

static void on_event(void *ctx, enum folder_event event, const char *name)
{
    struct source_directory *directory = ctx;
    uint64_t now = loop_now_us(directory->loop);

    if (event == FOLDER_WRITING)
        folder_note_writing(directory->folder, name, now);
    if (event == FOLDER_WRITTEN || event == FOLDER_ARRIVED)
        folder_note_written(directory->folder, name);
    if (event == FOLDER_CHANGED)
        folder_note_changed(directory->folder, name);
    if (event == FOLDER_LOST)
        directory->watch_ended = true;
    if (event == FOLDER_WRITING || (!folder_reads(name) && !concerns_all(event, name)))
        return;
    directory->whole = directory->whole || !folder_reads(name);
    if (directory->unsettled_us == 0)
        directory->unsettled_us = now;
    if (now - directory->unsettled_us < SETTLE_MAX_US || !timer_active(directory->settle))
        timer_start(directory->settle, SETTLE_MS);
}

static void watch_folder(struct source_directory *directory)
{
    struct err err = {0};

    if (directory->watch && !directory->watch_ended &&
        folder_watch_is_on(directory->watch, directory->path))
        return;
    folder_watch_free(TAKE(directory->watch));
    directory->watch_ended = false;
    directory->whole = true; /* nobody told what happened meanwhile */
    if (folder_watch_new(directory->loop, directory->path, on_event, directory, &directory->watch,
                         &err) == CODE_OK) {
        directory->unwatched = false;
    } else if (!directory->unwatched && err.code == CODE_RESOURCE_EXHAUSTED) {
        directory->unwatched = true;
        log_warn(LOG_CONTROLLER, "no file events: looking every two seconds", KV_ERR(&err));
    }
}

static enum code look(struct source_directory *directory, struct err *err)
{
    uint64_t now = loop_now_us(directory->loop);
    uint64_t again_us = 0;
    enum code code;

    directory->unsettled_us = 0;
    watch_folder(directory); /* before the look, so that nothing falls between */
    code = folder_look(directory->folder, directory->whole, now, &again_us, err);
    if (code != CODE_OK)
        return code;
    directory->whole = false;
    directory->looked_us = now;
    if (again_us != 0)
        timer_start(directory->settle, (again_us - now + 999) / 1000);
    return CODE_OK;
}

static void on_look(void *ctx)
{
    struct source_directory *directory = ctx;
    struct err err = {0};
    bool lost = look(directory, &err) != CODE_OK;

    if (lost && !directory->lost)
        log_warn(LOG_CONTROLLER, "cannot read the folder: what it gave stays, trying again",
                 KV_ERR(&err));
    if (!lost && directory->lost)
        log_info(LOG_CONTROLLER, "the folder can be read again", KV_STR("folder", directory->path));
    directory->lost = lost;
}

static void on_rescan(void *ctx)
{
    struct source_directory *directory = ctx;

    directory->whole = true;
    if (directory->unsettled_us == 0) /* else a look is on its way */
        on_look(directory);
}

/* ---- the source ---- */

static void directory_free(struct source *source)
{
    struct source_directory *directory = directory_of(source);

    timer_free(directory->rescan);
    timer_free(directory->settle);
    folder_watch_free(directory->watch);
    folder_free(directory->folder);
    for (size_t i = 0; i < OBJECT_KINDS; i++)
        controller_scope_free(directory->scopes[i]);
    free(directory->path);
    free(directory);
}

static bool directory_synced(const struct source *source, struct buf *ret_reason)
{
    const struct source_directory *directory = directory_of(source);

    if (directory->looked_us == 0 && ret_reason)
        buf_printf(ret_reason, "folder '%s': not read yet", directory->path);
    return directory->looked_us != 0;
}

static uint64_t directory_staleness_us(const struct source *source)
{
    const struct source_directory *directory = directory_of(source);

    return loop_now_us(directory->loop) - directory->looked_us;
}

static void directory_problem(const struct source *source, struct buf *ret_problem)
{
    const struct source_directory *directory = directory_of(source);

    if (directory->lost)
        buf_printf(ret_problem, "the folder '%s' cannot be read", directory->path);
}

static void directory_write_metrics(const struct source *source, struct buf *out)
{
    const struct source_directory *directory = directory_of(source);
    const struct folder_stats *stats = folder_stats(directory->folder);
    const struct {
        const char *name, *type, *help;
        const struct counter *counter;
    } families[] = {
        {"lookaside_source_files", "gauge", "Manifest files in the folder.", &stats->files},
        {"lookaside_source_bad_files", "gauge",
         "Manifest files that are malformed; what they gave before stays.", &stats->bad_files},
        {"lookaside_source_objects", "gauge", "Objects in the manifest files.", &stats->objects},
        {"lookaside_source_ignored_objects", "gauge",
         "Objects of kinds that are not read in the manifest files.", &stats->ignored_objects},
        {"lookaside_source_looks_total", "counter", "Times that the folder was looked through.",
         &stats->looks},
        {"lookaside_source_reads_total", "counter", "Manifest files read.", &stats->reads},
    };

    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        metric_write_head(out, families[i].name, families[i].type, families[i].help);
        metric_write_u64(out, families[i].name, NULL, counter_get(families[i].counter));
    }
    source_write_staleness_head(out);
    source_write_staleness(out, "directory", "", directory_staleness_us(source));
}

static const struct source_ops directory_ops = {directory_free, directory_synced,
                                                directory_staleness_us, directory_problem,
                                                directory_write_metrics};

static void source_freep(struct source **source)
{
    source_free(*source);
}

enum code source_directory_new(struct loop *loop, struct controller *controller, const char *path,
                               struct source **ret_source, struct err *err)
{
    struct source_directory *directory = xcalloc(1, sizeof(*directory));
    CLEANUP(source_freep) struct source *source = &directory->base;
    const struct folder_sink sink = {on_upsert, on_remove, directory};
    enum code code;

    directory->base.ops = &directory_ops;
    directory->loop = loop;
    directory->whole = true;
    directory->path = xstrdup(path);
    directory->folder = folder_new(path, &sink);
    for (size_t i = 0; i < ARRAY_LEN(manifest_kinds); i++)
        directory->scopes[manifest_kinds[i]] =
            controller_scope_new(controller, manifest_kinds[i], path);
    directory->settle = timer_new(loop, on_look, directory);
    directory->rescan = timer_new(loop, on_rescan, directory);
    code = look(directory, err);
    if (code != CODE_OK)
        return code;
    timer_repeat(directory->rescan, RESCAN_MS, RESCAN_MS);
    log_info(LOG_CONTROLLER, "folder read", KV_STR("folder", path),
             KV_U64("files", counter_get(&folder_stats(directory->folder)->files)),
             KV_U64("objects", counter_get(&folder_stats(directory->folder)->objects)));
    controller_set_synced(controller);
    *ret_source = TAKE(source);
    return CODE_OK;
}
