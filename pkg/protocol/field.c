#include "protocol/field.h"

enum code field_malformed(struct err *err, const char *what)
{
    return fail(err, CODE_INVALID_ARGUMENT, "malformed %s", what);
}

enum code field_text(const struct wire_field *field, size_t max, const char *what,
                     struct str *ret_text, struct err *err)
{
    if (field->bytes.len > max)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "%s is longer than %zu bytes", what, max);
    if (!wire_is_utf8(field->bytes))
        return fail(err, CODE_INVALID_ARGUMENT, "%s is not UTF-8", what);
    *ret_text = field->bytes;
    return CODE_OK;
}
