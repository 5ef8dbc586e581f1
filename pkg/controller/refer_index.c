#include "controller/refer_index.h"

#include "controller/store_internal.h"

struct referred {
    UT_hash_handle hh;
    char *key;
    const struct object **by;
    size_t len, cap;
};

static struct referred *find(const struct refer_index *index, const char *key)
{
    struct referred *referred;

    HASH_FIND_STR(index->services, key, referred);
    return referred;
}

static void add(struct refer_index *index, const char *key, const struct object *object)
{
    struct referred *referred = find(index, key);

    if (!referred) {
        referred = xcalloc(1, sizeof(*referred));
        referred->key = xstrdup(key);
        HASH_ADD_KEYPTR(hh, index->services, referred->key, strlen(key), referred);
    }
    referred->by = xgrow(referred->by, &referred->cap, referred->len, sizeof(*referred->by));
    referred->by[referred->len++] = object;
}

static void drop(struct refer_index *index, const char *key, const struct object *object)
{
    struct referred *referred = find(index, key);
    size_t at = 0;

    while (referred && at < referred->len && referred->by[at] != object)
        at++;
    if (!referred || at == referred->len)
        return;
    referred->by[at] = referred->by[--referred->len];
    if (referred->len > 0)
        return;
    HASH_DELETE(hh, index->services, referred);
    free(referred->by);
    free(referred->key);
    free(referred);
}

void refer_index_change(struct refer_index *index, const struct object *object,
                        const struct policy *before, const struct policy *after)
{
    size_t len;

    for (size_t i = 0; before && i < before->backends_len; i++) {
        CLEANUP(freep) char *key =
            store_key(before->namespace_name, before->backends[i].service, &len);

        drop(index, key, object);
    }
    for (size_t i = 0; after && i < after->backends_len; i++) {
        CLEANUP(freep) char *key =
            store_key(after->namespace_name, after->backends[i].service, &len);

        add(index, key, object);
    }
}

void refer_index_each(const struct refer_index *index, const char *key,
                      void (*visit)(void *ctx, const struct object *object), void *ctx)
{
    const struct referred *referred = find(index, key);

    for (size_t i = 0; referred && i < referred->len; i++)
        visit(ctx, referred->by[i]);
}
