#include "grpc/header.h"

#define TIMEOUT_DIGITS 8
#define TIMEOUT_MAX 99999999

bool grpc_timeout_parse(struct str text, uint64_t *ret_us)
{
    static const struct {
        char unit;
        uint64_t us;
    } units[] = {{'H', 3600000000}, {'M', 60000000}, {'S', 1000000}, {'m', 1000}, {'u', 1}};
    uint64_t value;

    if (text.len < 2 || text.len > TIMEOUT_DIGITS + 1)
        return false;
    if (!str_to_u64(str_slice(text, 0, text.len - 1), TIMEOUT_MAX, &value))
        return false;
    if (text.ptr[text.len - 1] == 'n') {
        *ret_us = value / 1000;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (units[i].unit == text.ptr[text.len - 1]) {
            *ret_us = value * units[i].us;
            return true;
        }
    }
    return false;
}

void grpc_timeout_format(uint64_t ms, char out[16])
{
    ms = max_u64(ms, 1);
    if (ms <= TIMEOUT_MAX)
        snprintf(out, 16, "%um", (unsigned)ms);
    else
        snprintf(out, 16, "%uS", (unsigned)min_u64(ms / 1000, TIMEOUT_MAX));
}

bool grpc_content_type(struct str text)
{
    struct str plain = STR("application/grpc");

    if (text.len < plain.len || !str_eq_nocase(str_slice(text, 0, plain.len), plain))
        return false;
    return text.len == plain.len || text.ptr[plain.len] == '+' || text.ptr[plain.len] == ';';
}

bool grpc_agent_is_node(struct str text)
{
    do {
        if (str_starts_with(str_cut(&text, ' '), STR("grpc-node")))
            return true;
    } while (text.ptr);
    return false;
}

size_t grpc_message_encode(const char *text, char out[GRPC_STATUS_MESSAGE_MAX])
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len = 0;

    for (; *text && len + 4 <= GRPC_STATUS_MESSAGE_MAX; text++) {
        unsigned char ch = (unsigned char)*text;

        if (ch >= ' ' && ch <= '~' && ch != '%') {
            out[len++] = (char)ch;
        } else {
            out[len++] = '%';
            out[len++] = hex[ch >> 4];
            out[len++] = hex[ch & 15];
        }
    }
    out[len] = '\0';
    return len;
}

static int hex_value(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    if (ch >= 'a' && ch <= 'f')
        return ch - 'a' + 10;
    if (ch >= 'A' && ch <= 'F')
        return ch - 'A' + 10;
    return -1;
}

void grpc_message_decode(struct str text, char *out, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len && len + 1 < size; i++) {
        if (text.ptr[i] == '%' && i + 2 < text.len && hex_value(text.ptr[i + 1]) >= 0 &&
            hex_value(text.ptr[i + 2]) >= 0) {
            out[len++] = (char)(hex_value(text.ptr[i + 1]) << 4 | hex_value(text.ptr[i + 2]));
            i += 2;
        } else {
            out[len++] = text.ptr[i];
        }
    }
    out[len] = '\0';
}
