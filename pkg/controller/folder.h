/*
 * A folder of manifests as a set of objects: what changed since the last look goes to a sink.
 *
 * A look compares every file's stamp with the one that was read, so that missed events do not matter, and reads only what differs. It takes
 * no part of a change: a file is read when its writer has closed it, as events tell, or else when it has been quiet for a moment; one that
 * changes while it is read is read again; a folder whose `..data` is swapped meanwhile (a mounted ConfigMap) is looked through again.
 *
 * What is there and cannot be read or parsed keeps the objects that it gave before. Of an object in several files, the first file by name
 * counts. A folder that comes back as another one, and nearly empty, is probably being filled: what it lacks stays for a while.
 *
 * Threads: one. Never blocks on anything but the file system: pipes, sockets and devices are not opened.
 * Limits:  FOLDER_FILES_MAX files of MANIFEST_BYTES_MAX each. A folder with more is not read: a part of it would be a wrong list.
 */
#ifndef CONTROLLER_FOLDER_H
#define CONTROLLER_FOLDER_H

#include "controller/controller.h"
#include "controller/manifest.h"

#define FOLDER_FILES_MAX 20000
/* A file that is gone is probably being replaced: believed only when it stays so. */
#define FOLDER_MISSING_GRACE_US (25 * 1000)
/* And if the folder is another one, which lacks more than half of the files. */
#define FOLDER_RETURN_GRACE_US (5 * 1000 * 1000)
/* A writer that has done nothing for so long is not waited for. */
#define FOLDER_WRITER_GRACE_US (5 * 1000 * 1000)
/* A file of whose writer no event tells must have been left alone for so long. */
#define FOLDER_QUIET_US (250 * 1000)

struct folder;

struct folder_sink {
    /* `file` and `line`: where the object's document begins. */
    void (*upsert)(void *ctx, enum object_kind kind, const struct json *object, const char *file, size_t line);
    void (*remove)(void *ctx, enum object_kind kind, const struct json *object);
    void *ctx;
};

struct folder_stats {
    struct counter files, bad_files, objects, ignored_objects; /* gauges */
    struct counter looks, reads;
};

struct folder *folder_new(const char *path, const struct folder_sink *sink) must_check;
void folder_free(struct folder *folder);
/* At all of it; or, not `whole`, only at the files that were noted or are waited for: then a change costs nothing that grows with the
 * folder. The folder itself cannot be read: NOT_FOUND and the like; then nothing changes. *ret_again_us: when another look is due whether or
 * not something happens; 0: no need. */
enum code folder_look(struct folder *folder, bool whole, uint64_t now_us, uint64_t *ret_again_us, struct err *err) must_check;
/* Somebody writes to the file of that name: it is read when that ends. */
void folder_note_writing(struct folder *folder, const char *name, uint64_t now_us);
/* The file of that name is complete: closed by its writer or moved here, whatever its stamp will say. */
void folder_note_written(struct folder *folder, const char *name);
/* The file of that name came, went or changed otherwise. */
void folder_note_changed(struct folder *folder, const char *name);
/* Whether a file of that name is read at all: not those that editors make on the way. */
bool folder_reads(const char *name);
const struct folder_stats *folder_stats(const struct folder *folder);

#endif
