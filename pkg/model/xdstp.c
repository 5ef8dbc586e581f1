#include "model/xdstp.h"

#define SCHEME "xdstp://"

bool xdstp_is(struct str name)
{
    return str_starts_with(name, STR(SCHEME));
}

static enum code refuse(struct err *err, struct str name, const char *cause)
{
    return fail(err, CODE_INVALID_ARGUMENT, "name '%" STR_FMT "' %s",
                STR_ARG(str_slice(name, 0, 256)), cause);
}

enum code xdstp_parse(struct str name, struct xdstp *ret_xdstp, struct err *err)
{
    struct str rest = str_slice(name, sizeof(SCHEME) - 1, name.len);
    struct str path = str_slice(rest, 0, str_find(rest, '?'));

    if (str_find(name, '#') < name.len)
        return refuse(err, name, "has a directive (#), which is not understood");
    ret_xdstp->authority = str_cut(&path, '/');
    ret_xdstp->type = str_cut(&path, '/');
    ret_xdstp->id = path;
    if (ret_xdstp->authority.len > XDSTP_AUTHORITY_MAX)
        return refuse(err, name, "has an authority that is too long");
    if (ret_xdstp->type.len == 0 || path.len == 0)
        return refuse(err, name, "is not xdstp://<authority>/<resource type>/<id>");
    return CODE_OK;
}

static bool read_escaped(struct str text, size_t at, char *ret_char)
{
    uint64_t value;
    char digits[2];

    if (at + 3 > text.len)
        return false;
    for (size_t i = 0; i < 2; i++) {
        char ch = text.ptr[at + 1 + i];

        digits[i] = ch >= 'A' && ch <= 'F' ? (char)(ch - 'A' + 'a') : ch;
    }
    if (!str_hex_to_u64(str_make(digits, 2), &value))
        return false;
    *ret_char = (char)value;
    return true;
}

enum code xdstp_read_id(const struct xdstp *xdstp, char out[NAME_TEXT_MAX], struct str *ret_id,
                        struct err *err)
{
    struct str id = xdstp->id;
    size_t len = 0;

    for (size_t at = 0; at < id.len; len++) {
        if (len == NAME_TEXT_MAX)
            return refuse(err, id, "is too long");
        if (id.ptr[at] != '%') {
            out[len] = id.ptr[at++];
            continue;
        }
        if (!read_escaped(id, at, &out[len]))
            return refuse(err, id, "has a '%' that two hexadecimal digits do not follow");
        at += 3;
    }
    *ret_id = str_make(out, len);
    return CODE_OK;
}

void xdstp_put(struct buf *out, struct str authority, struct str type, struct str id)
{
    if (authority.len > 0)
        buf_printf(out, SCHEME "%" STR_FMT "/%" STR_FMT "/", STR_ARG(authority), STR_ARG(type));
    buf_add_str(out, id);
}
