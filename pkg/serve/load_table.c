#include "serve/load_table.h"

#include <assert.h>
#include <math.h>

#include "base/hash.h"

#undef HASH_FUNCTION
#define HASH_FUNCTION(keyptr, keylen, hashv) HASH_FUNCTION_SEEDED(keyptr, keylen, hashv)
#include <uthash.h>

#define KEY_MAX 512

/* How many rows a Service has. */
struct service_rows {
    UT_hash_handle hh;
    size_t rows;
    char name[];
};

struct entry {
    UT_hash_handle hh;
    struct load_row row;
    struct service_rows *service;
    uint64_t window;            /* the number of the one under way, as of which the flows are */
    uint64_t since_us, last_us; /* what was reported happened from here on; the last report */
    size_t gauges;              /* of streams that have calls in progress here */
    char key[];                 /* service, 0, zone, 0, client */
};

struct load_gauge {
    struct entry *entry;
    double calls;
};

struct load_table {
    uint64_t interval_us, window_us;
    uint64_t now_us; /* of the last use */
    uint64_t swept_us;
    struct entry *entries;
    struct service_rows *services;
    size_t gauges;
};

/* ---- windows ---- */

static uint64_t window_at(const struct load_table *table, uint64_t now_us)
{
    return now_us / table->window_us;
}

static void flow_roll(struct load_flow *flow, bool once)
{
    flow->before = once ? flow->now : 0;
    flow->now = 0;
}

static void roll(struct entry *entry, uint64_t window)
{
    struct load_row *row = &entry->row;
    bool once = window == entry->window + 1;

    if (window <= entry->window)
        return;
    entry->window = window;
    flow_roll(&row->succeeded, once);
    flow_roll(&row->failed, once);
    flow_roll(&row->issued, once);
    for (size_t i = 0; i < row->categories_len; i++)
        flow_roll(&row->categories[i].calls, once);
    for (size_t i = 0; i < row->named_len; i++) {
        flow_roll(&row->named[i].calls, once);
        flow_roll(&row->named[i].sum, once);
    }
}

static void flow_add(struct load_flow *flow, double amount)
{
    flow->total += amount;
    flow->now += amount;
}

static void flow_merge(struct load_flow *flow, const struct load_flow *other)
{
    flow->total += other->total;
    flow->now += other->now;
    flow->before += other->before;
}

static double recent(const struct load_flow *flow)
{
    return flow->now + flow->before;
}

/* ---- rows ---- */

static void entry_free(struct load_table *table, struct entry *entry)
{
    struct service_rows *service = entry->service;

    HASH_DEL(table->entries, entry);
    if (--service->rows == 0) {
        HASH_DEL(table->services, service);
        free(service);
    }
    free(entry->row.categories);
    free(entry->row.named);
    free(entry);
}

static struct service_rows *service_get(struct load_table *table, struct str name)
{
    struct service_rows *service = NULL;

    HASH_FIND(hh, table->services, name.ptr, name.len, service);
    if (service)
        return service;
    service = xcalloc(1, sizeof(*service) + name.len + 1);
    memcpy(service->name, name.ptr, name.len);
    HASH_ADD_KEYPTR(hh, table->services, service->name, name.len, service);
    return service;
}

static struct str key_of(struct str service, struct str zone, struct str client, char out[KEY_MAX])
{
    char *at = out;

    assert(service.len + zone.len + client.len + 2 <= KEY_MAX);
    str_put(&at, service);
    *at++ = '\0';
    str_put(&at, zone);
    *at++ = '\0';
    str_put(&at, client);
    return str_make(out, (size_t)(at - out));
}

static struct entry *entry_find(const struct load_table *table, struct str key)
{
    struct entry *entry;

    HASH_FIND(hh, table->entries, key.ptr, key.len, entry);
    return entry;
}

static struct entry *entry_new(struct load_table *table, struct str key)
{
    struct entry *entry = xcalloc(1, sizeof(*entry) + key.len + 1);
    struct str rest;

    memcpy(entry->key, key.ptr, key.len);
    rest = str_make(entry->key, key.len);
    entry->row.service = str_cut(&rest, '\0');
    entry->row.zone = str_cut(&rest, '\0');
    entry->row.client = rest;
    entry->service = service_get(table, entry->row.service);
    entry->service->rows++;
    entry->window = window_at(table, table->now_us);
    entry->since_us = table->now_us - min_u64(table->interval_us, table->now_us);
    HASH_ADD_KEYPTR(hh, table->entries, entry->key, key.len, entry);
    return entry;
}

/* ---- forgetting ---- */

static void sweep(struct load_table *table)
{
    struct entry *entry, *next;

    table->swept_us = table->now_us;
    HASH_ITER(hh, table->entries, entry, next)
    {
        if (entry->gauges == 0 && table->now_us - entry->last_us >= LOAD_FORGET_US)
            entry_free(table, entry);
    }
}

static bool is_full(struct load_table *table)
{
    if (HASH_COUNT(table->entries) < LOAD_ROWS_MAX)
        return false;
    if (table->now_us - table->swept_us >= table->window_us)
        sweep(table);
    return HASH_COUNT(table->entries) >= LOAD_ROWS_MAX;
}

/* ---- adding ---- */

static void see(struct load_table *table, uint64_t now_us)
{
    table->now_us = max_u64(table->now_us, now_us);
}

static size_t rows_of(const struct load_table *table, struct str service)
{
    struct service_rows *found;

    HASH_FIND(hh, table->services, service.ptr, service.len, found);
    return found ? found->rows : 0;
}

struct load_row *load_table_row(struct load_table *table, struct str service, struct str zone,
                                struct str client, uint64_t now_us)
{
    char room[KEY_MAX];
    struct entry *entry;
    struct str key;

    see(table, now_us);
    zone = zone.len <= LOAD_ZONE_MAX ? zone : STR("");
    key = key_of(service, zone, client, room);
    entry = entry_find(table, key);
    if (!entry && rows_of(table, service) >= LOAD_ROWS_OF_SERVICE_MAX) {
        key = key_of(service, STR(LOAD_OTHERS), STR(LOAD_OTHERS), room);
        entry = entry_find(table, key);
    }
    if (!entry && is_full(table))
        return NULL;
    if (!entry)
        entry = entry_new(table, key);
    entry->last_us = table->now_us;
    roll(entry, window_at(table, table->now_us));
    return &entry->row;
}

static void hold_gauge(struct load_table *table, struct load_row *row, double calls,
                       struct load_stream *stream)
{
    struct entry *entry = container_of(row, struct entry, row);

    if (calls <= 0 || stream->len == LOAD_GAUGES_OF_STREAM_MAX || table->gauges == LOAD_GAUGES_MAX)
        return;
    stream->gauges = xgrow(stream->gauges, &stream->cap, stream->len, sizeof(*stream->gauges));
    stream->gauges[stream->len++] = (struct load_gauge){entry, calls};
    table->gauges++;
    entry->gauges++;
    row->in_progress += calls;
}

void load_table_add_calls(struct load_table *table, struct load_row *row,
                          const struct load_calls *calls, struct load_stream *stream)
{
    flow_add(&row->succeeded, (double)calls->succeeded);
    flow_add(&row->failed, (double)calls->failed);
    flow_add(&row->issued, (double)calls->issued);
    hold_gauge(table, row, (double)calls->in_progress, stream);
}

static struct load_category *category_get(struct load_row *row, struct str name)
{
    struct load_category *category;

    name = str_slice(name, 0, min_size(name.len, LOAD_NAME_MAX));
    for (size_t i = 0; i < row->categories_len; i++)
        if (str_eq(str_of(row->categories[i].name), name))
            return &row->categories[i];
    if (row->categories_len == LOAD_CATEGORIES_MAX)
        return &row->categories[LOAD_CATEGORIES_MAX - 1];
    if (row->categories_len == LOAD_CATEGORIES_MAX - 1)
        name = STR(LOAD_OTHERS);
    row->categories =
        xgrow(row->categories, &row->categories_cap, row->categories_len, sizeof(*row->categories));
    category = &row->categories[row->categories_len++];
    *category = (struct load_category){0};
    memcpy(category->name, name.ptr, name.len);
    return category;
}

void load_table_add_dropped(struct load_row *row, struct str category, uint64_t calls)
{
    flow_add(&category_get(row, category)->calls, (double)calls);
}

/* NULL: there are too many, or it is too long. */
static struct load_named *named_get(struct load_row *row, struct str name)
{
    struct load_named *named;

    for (size_t i = 0; i < row->named_len; i++)
        if (str_eq(str_of(row->named[i].name), name))
            return &row->named[i];
    if (row->named_len == LOAD_NAMES_MAX || name.len > LOAD_NAME_MAX ||
        memchr(name.ptr, '\0', name.len))
        return NULL;
    row->named = xgrow(row->named, &row->named_cap, row->named_len, sizeof(*row->named));
    named = &row->named[row->named_len++];
    *named = (struct load_named){0};
    memcpy(named->name, name.ptr, name.len);
    return named;
}

bool load_table_add_metric(struct load_row *row, const struct load_metric *metric)
{
    struct load_named *named = named_get(row, metric->name);

    if (!named)
        return false;
    flow_add(&named->calls, (double)metric->calls);
    flow_add(&named->sum, metric->sum);
    return true;
}

/* ---- streams ---- */

void load_stream_reset(struct load_table *table, struct load_stream *stream)
{
    for (size_t i = 0; i < stream->len; i++) {
        struct load_gauge *gauge = &stream->gauges[i];

        gauge->entry->row.in_progress -= gauge->calls;
        gauge->entry->gauges--;
    }
    table->gauges -= stream->len;
    stream->len = 0;
}

void load_stream_done(struct load_table *table, struct load_stream *stream)
{
    load_stream_reset(table, stream);
    free(stream->gauges);
    *stream = (struct load_stream){0};
}

/* ---- several tables ---- */

static void merge_row(struct load_row *row, const struct load_row *other)
{
    flow_merge(&row->succeeded, &other->succeeded);
    flow_merge(&row->failed, &other->failed);
    flow_merge(&row->issued, &other->issued);
    row->in_progress += other->in_progress;
    for (size_t i = 0; i < other->categories_len; i++)
        flow_merge(&category_get(row, str_of(other->categories[i].name))->calls,
                   &other->categories[i].calls);
    for (size_t i = 0; i < other->named_len; i++) {
        struct load_named *named = named_get(row, str_of(other->named[i].name));

        if (!named)
            continue;
        flow_merge(&named->calls, &other->named[i].calls);
        flow_merge(&named->sum, &other->named[i].sum);
    }
}

void load_table_merge(struct load_table *table, const struct load_table *other)
{
    struct entry *entry, *next;

    see(table, other->now_us);
    HASH_ITER(hh, other->entries, entry, next)
    {
        struct str key = str_make(entry->key, (size_t)(entry->row.client.ptr - entry->key) +
                                                  entry->row.client.len);
        struct entry *mine = entry_find(table, key);

        if (!mine)
            mine = entry_new(table, key);
        roll(mine, entry->window);
        roll(entry, mine->window);
        merge_row(&mine->row, &entry->row);
        mine->since_us = min_u64(mine->since_us, entry->since_us);
        mine->last_us = max_u64(mine->last_us, entry->last_us);
    }
}

struct load_table *load_table_copy(struct load_table *table, uint64_t now_us)
{
    struct load_table *copy = load_table_new(table->interval_us / 1000);
    struct entry *entry, *next;

    see(table, now_us);
    sweep(table);
    copy->now_us = table->now_us;
    HASH_ITER(hh, table->entries, entry, next)
    roll(entry, window_at(table, table->now_us));
    load_table_merge(copy, table);
    return copy;
}

/* ---- reading ---- */

size_t load_table_len(const struct load_table *table)
{
    return HASH_COUNT(table->entries);
}

static int by_name(const void *a, const void *b)
{
    const struct load_row *left = *(const struct load_row *const *)a,
                          *right = *(const struct load_row *const *)b;
    int order = str_cmp(left->service, right->service);

    if (order == 0)
        order = str_cmp(left->zone, right->zone);
    return order ? order : str_cmp(left->client, right->client);
}

const struct load_row **load_table_sorted(const struct load_table *table)
{
    const struct load_row **rows = xcalloc(load_table_len(table) + 1, sizeof(struct load_row *));
    struct entry *entry, *next;
    size_t len = 0;

    HASH_ITER(hh, table->entries, entry, next)
    rows[len++] = &entry->row;
    qsort(rows, len, sizeof(struct load_row *), by_name);
    return rows;
}

struct load_rates load_table_rates(const struct load_table *table, const struct load_row *row)
{
    const struct entry *entry = container_of(row, const struct entry, row);
    uint64_t passed_us = table->now_us % table->window_us;
    uint64_t span_us = min_u64(table->window_us + passed_us, table->now_us - entry->since_us);
    double seconds = (double)max_u64(span_us, LOAD_INTERVAL_MIN_MS * 1000) / 1e6;
    double dropped = 0;

    for (size_t i = 0; i < row->categories_len; i++)
        dropped += recent(&row->categories[i].calls);
    return (struct load_rates){
        .calls = (recent(&row->succeeded) + recent(&row->failed)) / seconds,
        .failed = recent(&row->failed) / seconds,
        .dropped = dropped / seconds,
    };
}

double load_named_mean(const struct load_named *named)
{
    double calls = recent(&named->calls);

    return calls > 0 ? recent(&named->sum) / calls : (double)NAN;
}

/* ---- life ---- */

struct load_table *load_table_new(uint64_t interval_ms)
{
    struct load_table *table = xcalloc(1, sizeof(*table));

    table->interval_us = interval_ms * 1000;
    table->window_us = max_u64(LOAD_WINDOW_US, 3 * table->interval_us);
    return table;
}

void load_table_free(struct load_table *table)
{
    struct entry *entry, *next;

    if (!table)
        return;
    assert(table->gauges == 0);
    HASH_ITER(hh, table->entries, entry, next)
    entry_free(table, entry);
    free(table);
}
