#include "held.h"

static int by_target(const void *a, const void *b)
{
    return strcmp(((const struct held_list *)a)->target, ((const struct held_list *)b)->target);
}

void held_init(struct held *held, const char *const *targets, size_t len)
{
    *held = (struct held){xcalloc(len + 1, sizeof(*held->lists)), len};
    for (size_t i = 0; i < len; i++)
        held->lists[i].target = targets[i];
    qsort(held->lists, len, sizeof(*held->lists), by_target);
}

static void response_free(watch_response *response)
{
    lookaside__v1__watch_response__free_unpacked(response, NULL);
}

void held_done(struct held *held)
{
    for (size_t i = 0; i < held->len; i++)
        response_free(held->lists[i].list);
    free(held->lists);
    *held = (struct held){0};
}

/* ---- changes ---- */

static int cmp_key(const watch_backend *backend, const char *address, unsigned port)
{
    int order = strcmp(backend->address, address);

    return order ? order : (backend->port > port) - (backend->port < port);
}

static int by_key(const void *a, const void *b)
{
    const watch_backend *right = *(watch_backend *const *)b;

    return cmp_key(*(watch_backend *const *)a, right->address, right->port);
}

static void sort(watch_response *list)
{
    if (list->n_backends > 1)
        qsort(list->backends, list->n_backends, sizeof(*list->backends), by_key);
}

/* NULL: it is not there. */
static watch_backend **find(const watch_response *list, const char *address, unsigned port)
{
    size_t low = 0, high = list->n_backends;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = cmp_key(list->backends[middle], address, port);

        if (order == 0)
            return &list->backends[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* False: it removes what is not there. */
static bool take_removed(watch_response *list, const watch_response *changes)
{
    for (size_t i = 0; i < changes->n_removed; i++) {
        watch_backend **place = find(list, changes->removed[i]->address, changes->removed[i]->port);

        if (!place)
            return false;
        lookaside__v1__backend__free_unpacked(*place, NULL);
        memmove(place, place + 1,
                (size_t)(list->backends + --list->n_backends - place) * sizeof(*place));
    }
    return true;
}

static void take_backends(watch_response *list, watch_response *changes)
{
    size_t len = list->n_backends;

    list->backends =
        xrealloc(list->backends, (len + changes->n_backends + 1) * sizeof(*list->backends));
    for (size_t i = 0; i < changes->n_backends; i++) {
        watch_backend *backend = changes->backends[i];
        watch_backend **place = find(list, backend->address, backend->port);

        if (place) {
            lookaside__v1__backend__free_unpacked(*place, NULL);
            *place = backend;
        } else {
            list->backends[len++] = backend;
        }
    }
    changes->n_backends = 0;
    list->n_backends = len;
    sort(list);
}

static void swap(char **a, char **b)
{
    char *kept = *a;

    *a = *b;
    *b = kept;
}

static enum code apply(watch_response *list, watch_response *changes, struct err *err)
{
    if (!list || !take_removed(list, changes))
        return fail(err, CODE_DATA_LOSS,
                    "the server sent changes to another list than it had sent");
    take_backends(list, changes);
    swap(&list->version, &changes->version);
    swap(&list->problem, &changes->problem);
    return CODE_OK;
}

enum code held_take(struct held *held, watch_response *response, const watch_response **ret_list,
                    struct err *err)
{
    const struct held_list key = {.target = response->target};
    struct held_list *place =
        bsearch(&key, held->lists, held->len, sizeof(*held->lists), by_target);
    enum code code = CODE_OK;

    if (!place) {
        response_free(response);
        return fail(err, CODE_DATA_LOSS, "the server sent a list that was not asked for");
    }
    if (response->changes) {
        code = apply(place->list, response, err);
        response_free(response);
    } else {
        response_free(place->list);
        place->list = response;
        sort(response);
    }
    *ret_list = place->list;
    return code;
}
