/*
 * What happens to the files of one folder, as inotify tells: unlike loop's path_watch it knows when a
 * writer has closed a file, so that nobody reads half of one.
 *
 * Threads: the loop's. Must not be freed inside its callback.
 * Owns:    its descriptors.
 */
#ifndef CONTROLLER_FOLDER_WATCH_H
#define CONTROLLER_FOLDER_WATCH_H

#include "loop/loop.h"

enum folder_event {
    FOLDER_WRITING, /* somebody writes to the file and has not closed it */
    FOLDER_WRITTEN, /* it was closed after writing */
    FOLDER_ARRIVED, /* it was moved here, complete */
    FOLDER_CHANGED, /* it came, went, has other rights; name "": the folder's own, or events were lost */
    FOLDER_LOST,    /* the folder itself was moved or deleted: nothing more will come */
};

struct folder_watch;

typedef void folder_event_fn(void *ctx, enum folder_event event, const char *name);

enum code folder_watch_new(struct loop *loop, const char *path, folder_event_fn *fn, void *ctx,
                           struct folder_watch **ret_watch, struct err *err) must_check;
/* Whether it still watches what has that path: a link in the path, or a mount, may lead elsewhere now, of which no event tells. */
bool folder_watch_is_on(const struct folder_watch *watch, const char *path);
void folder_watch_free(struct folder_watch *watch); /* NULL is fine */

#endif
