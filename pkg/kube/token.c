#include "kube/token.h"

#include "base/log.h"
#include "kube/file.h"

#define TOKEN_SIZE_MAX 65536

static void header_set(struct token *token, struct str text)
{
    secret_free(token->header);
    if (asprintf(&token->header, "Authorization: Bearer %" STR_FMT, STR_ARG(text)) < 0)
        abort();
}

void token_init(struct token *token, const char *text, const char *file)
{
    *token = (struct token){0};
    if (file)
        token->file = xstrdup(file);
    else if (text)
        header_set(token, str_of(text));
}

void token_done(struct token *token)
{
    free(token->file);
    secret_free(token->header);
}

static bool unchanged(const struct token *token, const struct stat *st)
{
    return token->header && token->inode == st->st_ino &&
           token->mtime.tv_sec == st->st_mtim.tv_sec && token->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

static enum code file_reload(struct token *token, struct err *err)
{
    CLEANUP(secret_freep) char *text = NULL;
    struct stat st = {0};
    struct str trimmed;
    enum code code;

    /* Before reading: a change in between is seen next time. */
    if (stat(token->file, &st) == 0 && unchanged(token, &st))
        return CODE_OK;
    code = secret_file_read(token->file, TOKEN_SIZE_MAX, &text, err);
    if (code != CODE_OK)
        return code;
    trimmed = str_trim(str_of(text));
    if (trimmed.len == 0 || str_find(trimmed, '\n') < trimmed.len ||
        str_find(trimmed, '\r') < trimmed.len)
        return fail(err, CODE_UNAUTHENTICATED, "'%s' does not hold one token", token->file);
    token->mtime = st.st_mtim;
    token->inode = st.st_ino;
    header_set(token, trimmed);
    return CODE_OK;
}

enum code token_header(struct token *token, const char **ret_header, struct err *err)
{
    struct err cause = {0};

    if (token->file && file_reload(token, &cause) != CODE_OK) {
        if (!token->header)
            return fail(err, CODE_UNAUTHENTICATED, "token: %s", cause.msg);
        log_warn(LOG_KUBE, "token cannot be read again, keeping the old one", KV_ERR(&cause));
    }
    *ret_header = token->header;
    return CODE_OK;
}
