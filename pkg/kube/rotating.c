#include "kube/rotating.h"

#include "base/log.h"
#include "base/secret_file.h"

void rotating_init(struct rotating *file, const char *path)
{
    *file = (struct rotating){.path = path ? xstrdup(path) : NULL};
}

void rotating_done(struct rotating *file)
{
    free(file->path);
    secret_free(file->text);
}

static bool unchanged(const struct rotating *file, const struct stat *st)
{
    return file->text && file->inode == st->st_ino && file->size == st->st_size &&
           file->mtime.tv_sec == st->st_mtim.tv_sec && file->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

static enum code reload(struct rotating *file, enum code (*check)(const char *, struct err *),
                        struct err *err)
{
    CLEANUP(secret_freep) char *text = NULL;
    struct stat st = {0};
    enum code code;

    /* Before reading: a change in between is seen next time. */
    if (stat(file->path, &st) == 0 && unchanged(file, &st))
        return CODE_OK;
    code = secret_file_read(file->path, ROTATING_SIZE_MAX, &text, err);
    if (code != CODE_OK)
        return code;
    if (check && check(text, err) != CODE_OK)
        return fail_in(err, "'%s'", file->path);
    file->mtime = st.st_mtim;
    file->inode = st.st_ino;
    file->size = st.st_size;
    secret_free(file->text);
    file->text = TAKE(text);
    return CODE_OK;
}

enum code rotating_look(struct rotating *file, enum code (*check)(const char *, struct err *),
                        struct err *err)
{
    struct err cause = {0};

    if (!file->path || reload(file, check, &cause) == CODE_OK)
        return CODE_OK;
    if (!file->text)
        return fail(err, CODE_UNAUTHENTICATED, "%s", cause.msg);
    log_warn(LOG_KUBE, "file cannot be read again, keeping what it held", KV_ERR(&cause));
    return CODE_OK;
}
