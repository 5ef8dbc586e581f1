#include "base/err.h"

#include <assert.h>
#include <stdarg.h>

#include "base/utf8.h"

static void set_message(struct err *err, const char *text)
{
    struct str cut = utf8_cut(str_of(text), sizeof(err->msg) - 1);

    memcpy(err->msg, cut.ptr, cut.len);
    err->msg[cut.len] = '\0';
}

enum code fail(struct err *err, enum code code, const char *fmt, ...)
{
    char text[FAIL_MESSAGE_MAX + 1]; /* one more than fits, so that a cut is seen as one */
    va_list args;

    if (!err)
        return code;
    /* By way of `text`: the arguments may point into err->msg. */
    va_start(args, fmt);
    if (vsnprintf(text, sizeof(text), fmt, args) < 0)
        text[0] = '\0';
    va_end(args);
    set_message(err, text);
    err->code = code;
    return code;
}

enum code fail_in(struct err *err, const char *fmt, ...)
{
    char text[2 * FAIL_MESSAGE_MAX + 2];
    size_t len;
    va_list args;

    if (!err)
        return CODE_UNKNOWN;
    assert(err->code != CODE_OK);
    va_start(args, fmt);
    if (vsnprintf(text, FAIL_MESSAGE_MAX, fmt, args) < 0)
        text[0] = '\0';
    va_end(args);
    len = strlen(text);
    snprintf(text + len, sizeof(text) - len, ": %s", err->msg);
    set_message(err, text);
    return err->code;
}

const char *code_name(enum code code)
{
    static const char *const names[] = {
        [CODE_OK] = "OK",
        [CODE_CANCELLED] = "CANCELLED",
        [CODE_UNKNOWN] = "UNKNOWN",
        [CODE_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
        [CODE_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
        [CODE_NOT_FOUND] = "NOT_FOUND",
        [CODE_ALREADY_EXISTS] = "ALREADY_EXISTS",
        [CODE_PERMISSION_DENIED] = "PERMISSION_DENIED",
        [CODE_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
        [CODE_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
        [CODE_ABORTED] = "ABORTED",
        [CODE_OUT_OF_RANGE] = "OUT_OF_RANGE",
        [CODE_UNIMPLEMENTED] = "UNIMPLEMENTED",
        [CODE_INTERNAL] = "INTERNAL",
        [CODE_UNAVAILABLE] = "UNAVAILABLE",
        [CODE_DATA_LOSS] = "DATA_LOSS",
        [CODE_UNAUTHENTICATED] = "UNAUTHENTICATED",
    };

    if ((unsigned)code >= ARRAY_LEN(names))
        return "UNKNOWN";
    return names[code];
}
