#include "encode/grpclb.h"

#include <assert.h>

#include "base/hash.h"
#include "wire/fields.h"
#include "wire/writer.h"

/* "[address]:port" */
#define ADDRESS_TOKEN_MAX 64

/* One turn of a client. */
struct slot {
    uint64_t at;                   /* where in the list, as a part of PLACES */
    uint32_t order;                /* of what stands at the same place */
    const struct backend *backend; /* NULL: the call is dropped */
    const struct grpclb_share *share;
};

/* A share, and what becomes of it. */
struct part {
    const struct grpclb_share *share;
    unsigned priority; /* of the localities that count */
    size_t len;        /* listed backends; 1: calls are dropped; 0: it has no entries */
    bool drops;
    uint64_t ratio; /* of one backend, beside the least of all, in RATIO_UNITs */
    uint64_t repeat;
};

#define PLACES (UINT64_C(1) << 32)
#define RATIO_UNIT 1024
#define REPEATS_MAX 64
#define ERROR_PERMILLE 10

/* ---- who is listed ---- */

static bool is_listed(const struct grpclb_share *share, const struct backend *backend)
{
    return (backend->port != 0 || share->asked_port != 0) &&
           (share->hostname.len == 0 || str_eq(share->hostname, backend->endpoint->hostname));
}

static size_t count_listed(const struct grpclb_share *share, const struct locality *locality)
{
    size_t count = 0;

    for (size_t i = 0; i < locality->len; i++)
        count += is_listed(share, share->list->items[locality->first + i].backend);
    return count;
}

static struct part part_of(const struct grpclb_share *share)
{
    const struct backend_list *list = share->weight > 0 ? share->list : NULL;
    struct part part = {.share = share};

    for (size_t i = 0; list && i < list->localities_len; i++) {
        const struct locality *locality = &list->localities[i];

        if (part.len > 0 && locality->priority != part.priority)
            break;
        part.priority = locality->priority;
        part.len += count_listed(share, locality);
    }
    return part;
}

/* Returns how many backends are listed. */
static size_t find_parts(const struct grpclb_share *shares, size_t len, struct part *parts)
{
    size_t listed = 0;

    for (size_t i = 0; i < len; i++) {
        parts[i] = part_of(&shares[i]);
        listed += parts[i].len;
    }
    for (size_t i = 0; listed > 0 && i < len; i++) {
        parts[i].drops = parts[i].len == 0 && shares[i].weight > 0 && shares[i].drop_token.len > 0;
        parts[i].len += parts[i].drops;
    }
    return listed;
}

/* ---- how often ---- */

/* Weights are below 2^25 (model/policy.h): no overflow. */
static void find_ratios(struct part *parts, size_t len, uint64_t most)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < len; i++) {
        if (parts[i].len == 0)
            continue;
        parts[i].ratio = max_u64(((uint64_t)parts[i].share->weight << 28) / parts[i].len, 1);
        least = min_u64(least, parts[i].ratio);
    }
    for (size_t i = 0; i < len; i++)
        parts[i].ratio = min_u64(parts[i].ratio * RATIO_UNIT / least, most * RATIO_UNIT);
}

static uint64_t repeat_at(const struct part *part, uint64_t scale)
{
    return (scale * part->ratio + RATIO_UNIT / 2) / RATIO_UNIT;
}

/* In thousandths, of that part which is off by most. */
static uint64_t error_at(const struct part *parts, size_t len, uint64_t scale)
{
    uint64_t worst = 0;

    for (size_t i = 0; i < len; i++) {
        uint64_t wanted = scale * parts[i].ratio;
        uint64_t got = repeat_at(&parts[i], scale) * RATIO_UNIT;

        if (parts[i].len > 0)
            worst = max_u64(worst, (got > wanted ? got - wanted : wanted - got) * 1000 / wanted);
    }
    return worst;
}

static uint64_t entries_at(const struct part *parts, size_t len, uint64_t scale)
{
    uint64_t entries = 0;

    for (size_t i = 0; i < len; i++)
        entries += parts[i].len * repeat_at(&parts[i], scale);
    return entries;
}

/* The least scale that is good enough; else the best of those that fit; 0: not even the least fits. */
static uint64_t find_scale(const struct part *parts, size_t len, uint64_t most)
{
    uint64_t best = 0, least = UINT64_MAX;

    for (uint64_t scale = 1; scale <= REPEATS_MAX && least > ERROR_PERMILLE; scale++) {
        uint64_t error = error_at(parts, len, scale);

        if (entries_at(parts, len, scale) > most)
            break;
        best = error < least ? scale : best;
        least = min_u64(error, least);
    }
    return best;
}

/* Returns the number of entries. */
static size_t find_repeats(struct part *parts, size_t len, size_t listed)
{
    uint64_t most = max_u64(GRPCLB_ENTRIES_MIN, 4 * (uint64_t)listed), scale, entries = 0;

    find_ratios(parts, len, most);
    scale = find_scale(parts, len, most);
    for (size_t i = 0; i < len; i++) {
        parts[i].repeat =
            scale ? repeat_at(&parts[i], scale)
                  : max_u64(repeat_at(&parts[i], 1) * most / entries_at(parts, len, 1), 1);
    }
    for (size_t i = 0; i < len; i++)
        entries += parts[i].len * parts[i].repeat;
    return (size_t)entries;
}

/* ---- in which order ---- */

struct slots {
    struct slot *items;
    size_t len;
};

/* The next of `total` that are spread evenly. */
static void add_slot(struct slots *slots, const struct part *part, const struct backend *backend,
                     uint64_t at, uint64_t total)
{
    slots->items[slots->len] = (struct slot){
        .at = (2 * at + 1) * (PLACES / 2) / total,
        .order = (uint32_t)slots->len,
        .backend = backend,
        .share = part->share,
    };
    slots->len++;
}

static void add_locality(struct slots *slots, const struct part *part,
                         const struct locality *locality)
{
    uint64_t at = 0, total = count_listed(part->share, locality) * part->repeat;

    for (uint64_t turn = 0; turn < part->repeat; turn++) {
        for (size_t i = 0; i < locality->len; i++) {
            const struct backend *backend = part->share->list->items[locality->first + i].backend;

            if (is_listed(part->share, backend))
                add_slot(slots, part, backend, at++, total);
        }
    }
}

static void add_part(struct slots *slots, const struct part *part)
{
    const struct backend_list *list = part->share->list;

    if (part->drops) {
        for (uint64_t turn = 0; turn < part->repeat; turn++)
            add_slot(slots, part, NULL, turn, part->repeat);
        return;
    }
    for (size_t i = 0; part->len > 0 && i < list->localities_len; i++)
        if (list->localities[i].priority == part->priority)
            add_locality(slots, part, &list->localities[i]);
}

static int compare_slots(const void *left, const void *right)
{
    const struct slot *a = left, *b = right;

    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* ---- writing ---- */

static void put_token(struct buf *out, struct str text)
{
    char token[GRPCLB_TOKEN_MAX];
    struct str end = str_slice(text, text.len - min_size(text.len, sizeof(token)), text.len);

    for (size_t i = 0; i < end.len; i++)
        token[i] = end.ptr[i] > ' ' && end.ptr[i] < 0x7f ? end.ptr[i] : '_';
    wire_put_bytes(out, SERVER_LOAD_BALANCE_TOKEN, str_make(token, end.len));
}

static void put_backend(struct buf *out, const struct backend *backend, uint16_t asked_port)
{
    const struct endpoint *endpoint = backend->endpoint;
    uint16_t port = backend_port_at(backend, asked_port);
    char address[ADDRESS_TOKEN_MAX];

    wire_put_bytes(out, SERVER_IP_ADDRESS,
                   str_make(endpoint->bytes, endpoint->family == FAMILY_IPV4 ? 4 : 16));
    wire_put_varint(out, SERVER_PORT, port);
    if (endpoint->pod.len > 0) {
        put_token(out, endpoint->pod);
        return;
    }
    snprintf(address, sizeof(address),
             endpoint->family == FAMILY_IPV4 ? "%" STR_FMT ":%u" : "[%" STR_FMT "]:%u",
             STR_ARG(endpoint->address), (unsigned)port);
    put_token(out, str_of(address));
}

static void put_slot(struct buf *out, const struct slot *slot)
{
    size_t server = wire_open(out, SERVER_LIST_SERVERS);

    if (slot->backend) {
        put_backend(out, slot->backend, slot->share->asked_port);
    } else {
        put_token(out, slot->share->drop_token);
        wire_put_varint(out, SERVER_DROP, true);
    }
    wire_close(out, server);
}

static struct blob *write_list(const struct slots *slots)
{
    struct buf out = BUFFER_INIT(SIZE_MAX / 2); /* the list is our own, and bounds it */
    size_t list = wire_open(&out, LOAD_BALANCE_RESPONSE_SERVER_LIST);
    struct blob *blob;

    for (size_t i = 0; i < slots->len; i++)
        put_slot(&out, &slots->items[i]);
    wire_close(&out, list);
    assert(!buf_failed(&out));
    blob = blob_copy(out.ptr, out.len);
    buf_done(&out);
    return blob;
}

struct blob *encode_grpclb_list(const struct grpclb_share *shares, size_t len,
                                uint64_t *ret_version)
{
    CLEANUP(freep) struct part *parts = xmalloc(len * sizeof(*parts));
    CLEANUP(freep) struct slot *items = NULL;
    size_t listed = find_parts(shares, len, parts);
    struct slots slots = {0};
    struct blob *blob;

    if (listed > 0) {
        slots.items = items = xmalloc(find_repeats(parts, len, listed) * sizeof(*items));
        for (size_t i = 0; i < len; i++)
            add_part(&slots, &parts[i]);
        qsort(items, slots.len, sizeof(*items), compare_slots);
    }
    blob = write_list(&slots);
    *ret_version = hash_content(blob->bytes, blob->len) | 1;
    return blob;
}
