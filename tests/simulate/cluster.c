#include "cluster.h"

struct cluster cluster;

static const struct {
    const char *namespace_name, *name;
} services[SERVICES] = {{"shop", "greeter"}, {"shop", "db"}, {"web", "greeter"}, {"web", "late"}};

const char *slot_namespace(unsigned slot)
{
    return services[slot_service(slot)].namespace_name;
}

void slot_name(unsigned slot, char out[TEXT])
{
    const char *service = services[slot_service(slot)].name;

    if (slot < SERVICES)
        snprintf(out, TEXT, "%s", service);
    else
        snprintf(out, TEXT, "%s-%u", service, (slot - SERVICES) % SLICES);
}

const char *zone_name(int zone)
{
    static const char *const names[ZONES] = {"zone-a", "zone-b", "zone-c"};

    return zone < 0 ? "" : names[zone];
}

void cluster_new_uid(char out[16])
{
    snprintf(out, 16, "uid-%u", ++cluster.uids);
}

/* ---- history ---- */

static void history_add(unsigned slot, const struct api_object *object)
{
    struct api_history *history = &cluster.slots[slot];

    history->versions =
        xgrow(history->versions, &history->cap, history->len, sizeof(*history->versions));
    history->versions[history->len++] = (struct api_version){cluster.step, object};
}

void cluster_start(bool portless)
{
    cluster = (struct cluster){.portless = portless,
                               .version = CLUSTER_VERSION_FIRST,
                               .compacted = CLUSTER_VERSION_FIRST};
    for (unsigned slot = 0; slot < SLOTS; slot++)
        history_add(slot, NULL);
}

void cluster_done(void)
{
    for (unsigned slot = 0; slot < SLOTS; slot++)
        free(cluster.slots[slot].versions);
    for (size_t i = 0; i < cluster.objects_len; i++)
        free(cluster.objects[i]);
    free(cluster.objects);
    free(cluster.log);
    cluster = (struct cluster){0};
}

const struct api_object *cluster_get(unsigned slot)
{
    const struct api_history *history = &cluster.slots[slot];

    return history->versions[history->len - 1].object;
}

const struct api_object *cluster_at(unsigned slot, size_t step)
{
    const struct api_history *history = &cluster.slots[slot];
    size_t i = history->len;

    while (history->versions[--i].step > step)
        ;
    return history->versions[i].object;
}

void cluster_slices(unsigned service, const struct api_object *slices[SLICES])
{
    for (unsigned i = 0; i < SLICES; i++)
        slices[i] = cluster_get(slice_slot(service, i));
}

/* ---- changes ---- */

static struct api_object *object_new(const struct api_object *from)
{
    struct api_object *object = xmalloc(sizeof(*object));

    *object = *from;
    object->version = cluster.version;
    cluster.objects = xgrow(cluster.objects, &cluster.objects_cap, cluster.objects_len,
                            sizeof(*cluster.objects));
    return cluster.objects[cluster.objects_len++] = object;
}

static void log_add(unsigned slot, const struct api_object *before, const struct api_object *after)
{
    cluster.log = xgrow(cluster.log, &cluster.log_cap, cluster.log_len, sizeof(*cluster.log));
    cluster.log[cluster.log_len++] =
        (struct api_change){cluster.version, cluster.step, slot, before, after};
    history_add(slot, after);
}

const struct api_object *cluster_put(const struct api_object *object)
{
    const struct api_object *after;

    cluster.version++;
    cluster.step++;
    after = object_new(object);
    log_add(object->slot, cluster_get(object->slot), after);
    return after;
}

void cluster_delete(unsigned slot)
{
    const struct api_object *before = cluster_get(slot);

    if (!before)
        return;
    cluster.version++;
    cluster.step++;
    log_add(slot, before, NULL);
}

/* The slot as the log has it at that version. */
static const struct api_object *object_then(unsigned slot, uint64_t version)
{
    for (size_t i = 0; i < cluster.log_len; i++) {
        const struct api_change *change = &cluster.log[i];

        if (change->slot == slot && change->version > version)
            return change->before;
    }
    return cluster_get(slot);
}

void cluster_rewind(uint64_t version)
{
    cluster.epoch_step = ++cluster.step;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        const struct api_object *then = object_then(slot, version);

        if (then != cluster_get(slot))
            history_add(slot, then);
    }
    while (cluster.log_len > 0 && cluster.log[cluster.log_len - 1].version > version)
        cluster.log_len--;
    cluster.version = version;
    cluster.compacted = min_u64(cluster.compacted, version);
}
