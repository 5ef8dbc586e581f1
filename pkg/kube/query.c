#include "kube/query.h"

void query_add(struct buf *path, const char *key, struct str value)
{
    (void)buf_printf(path, "%s=", key);
    for (size_t i = 0; i < value.len; i++) {
        unsigned char ch = (unsigned char)value.ptr[i];
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                     (ch >= '0' && ch <= '9') || ch == '-' || ch == '_' || ch == '.' || ch == '~';

        (void)buf_printf(path, plain ? "%c" : "%%%02X", ch);
    }
}
