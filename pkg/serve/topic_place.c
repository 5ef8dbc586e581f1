/* Places of subscribers, each once: a topic looks up what a place gets once for all its clients. */
#include "serve/topic_internal.h"

#define CALLER_TEXT_MAX 253 /* of each text: nothing that proves an account has longer ones */
#define PLACE_KEY_MAX (2 * PLACE_TEXT_MAX + 2 * CALLER_TEXT_MAX + 3)

static struct str short_enough(struct str text)
{
    return text.len <= PLACE_TEXT_MAX ? text : STR("");
}

static unsigned place_key(struct place place, struct caller caller, char out[PLACE_KEY_MAX])
{
    char *at = out;

    str_put(&at, place.zone);
    *at++ = '\0';
    str_put(&at, place.node);
    *at++ = (char)place.group;
    str_put(&at, caller.namespace_name);
    *at++ = '/';
    str_put(&at, caller.account);
    return (unsigned)(at - out);
}

static bool is_bare(const struct place *place)
{
    return place->zone.len == 0 && place->node.len > 0;
}

struct place topic_table_place(const struct topic_table *table, const struct place *place)
{
    struct place full = {.zone = short_enough(place->zone),
                         .node = short_enough(place->node),
                         .group = place->group};

    if (is_bare(&full))
        full.zone = short_enough(catalog_node_zone(table->catalog, full.node));
    return full;
}

/* True: it is another one than before. */
static bool take_node_zone(struct topic_table *table, struct topic_place *place)
{
    struct str zone = short_enough(catalog_node_zone(table->catalog, place->place.node));

    if (str_eq(zone, place->place.zone))
        return false;
    free(place->zone);
    place->zone = str_dup(zone);
    place->place.zone = str_make(place->zone, zone.len);
    return true;
}

/* One that is too long would be somebody else: it is nobody. */
static struct caller known(const struct caller *caller)
{
    bool fits =
        caller->namespace_name.len <= CALLER_TEXT_MAX && caller->account.len <= CALLER_TEXT_MAX;

    return fits ? *caller : (struct caller){0};
}

struct topic_place *topic_place_get(struct topic_table *table, const struct place *given,
                                    const struct caller *asking)
{
    struct caller caller = known(asking);
    struct place wanted = {.zone = short_enough(given->zone),
                           .node = short_enough(given->node),
                           .group = given->group};
    char key[PLACE_KEY_MAX];
    unsigned len = place_key(wanted, caller, key);
    struct topic_place *place;

    HASH_FIND(hh, table->places, key, len, place);
    if (place) {
        place->subscribers++;
        return place;
    }
    place = xcalloc(1, sizeof(*place) + len);
    memcpy(place->key, key, len);
    place->place.zone = str_make(place->key, wanted.zone.len);
    place->place.node = str_make(place->key + wanted.zone.len + 1, wanted.node.len);
    place->place.group = wanted.group;
    place->caller.account = str_make(place->key + len - caller.account.len, caller.account.len);
    place->caller.namespace_name = str_make(
        place->caller.account.ptr - 1 - caller.namespace_name.len, caller.namespace_name.len);
    place->subscribers = 1;
    list_init(&place->bare_link);
    if (is_bare(&place->place)) {
        list_append(&table->bare_places, &place->bare_link);
        take_node_zone(table, place);
    }
    HASH_ADD_KEYPTR(hh, table->places, place->key, len, place);
    return place;
}

void topic_place_put(struct topic_table *table, struct topic_place *place)
{
    if (!place || --place->subscribers > 0)
        return;
    list_remove(&place->bare_link);
    HASH_DEL(table->places, place);
    free(place->zone);
    free(place);
}

bool topic_places_update(struct topic_table *table)
{
    bool changed = false;

    list_for_each (node, &table->bare_places)
        changed |= take_node_zone(table, container_of(node, struct topic_place, bare_link));
    return changed;
}
