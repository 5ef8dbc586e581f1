#include "controller/status.h"

#include <assert.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "controller/status_internal.h"
#include "kube/call.h"
#include "kube/object.h"

#undef HASH_FUNCTION
#define HASH_FUNCTION(keyptr, keylen, hashv) HASH_FUNCTION_SEEDED(keyptr, keylen, hashv)
#include <uthash.h>

#define KEY_MAX 512
#define PATH_MAX_BYTES 1024
#define LOOKS_AT_ONCE 100
/* For so long an answer to a write counts more than an older object that a watch tells. */
#define OWN_WRITE_US (10 * 1000000)

struct entry {
    UT_hash_handle hh;
    struct list to_look;
    struct status_writer *writer;
    struct budget_turn turn;
    struct kube_call *call;
    uint64_t uid, seen_uid;    /* hashed: whose status is looked at, and was seen */
    struct status_digest seen; /* as the API server has it */
    struct status_digest told; /* as the last Events have it */
    bool has_told;
    /* What the last write said, and what it came to: they differ where the API server prunes. */
    struct status_digest sent, answered;
    bool has_answer;
    uint64_t version;      /* of the object as it was seen, 0: it was not */
    uint64_t sent_version; /* that the last write was based on */
    uint64_t written_us;   /* when it was answered; 0: never */
    uint64_t look_us;      /* not before */
    char key[];            /* namespace/name */
};

struct status_writer {
    struct status_options options;
    struct loop *loop;
    struct entry *entries;
    struct list to_look;
    struct timer *timer;
    bool active;
    bool refused; /* said so already */
    uint64_t forbidden_until_us;
    struct status_stats stats;
};

/* ---- what it is to be ---- */

static void split_key(const struct entry *entry, struct str *namespace_name, struct str *name)
{
    *name = str_of(entry->key);
    *namespace_name = str_cut(name, '/');
}

static void fill_load(const struct entry *entry, const struct resource_status *status,
                      struct status_input *input)
{
    const struct status_options *options = &entry->writer->options;
    double calls, failed;

    if (!options->load)
        return;
    options->load(options->ctx, status->namespace_name, status->name, &calls, &failed);
    input->load = status_load(calls, failed, &entry->seen.load);
}

/* The times of conditions that stay what they are stay, too. */
static void fill(const struct entry *entry, const struct resource_status *status,
                 struct status_input *input)
{
    const struct status_options *options = &entry->writer->options;
    uint64_t now_us = clock_wall_us();

    *input = (struct status_input){.resource = status};
    for (enum condition_kind kind = 0; kind < CONDITIONS; kind++) {
        const struct condition_digest *seen = &entry->seen.conditions[kind];
        bool same = seen->known && seen->status == status->conditions[kind].status;

        input->since_us[kind] = same ? seen->since_us : now_us;
    }
    if (options->clients)
        input->clients = options->clients(options->ctx, status->namespace_name, status->name);
    fill_load(entry, status, input);
    if (options->uncounted)
        input->uncounted = str_of(options->uncounted(options->ctx));
}

/* On the version that is known and no other: not on what another leader wrote meanwhile, nor on an
 * object of the same name that was made anew. */
static void write_object(const struct status_input *input, uint64_t version, struct buf *out)
{
    const struct resource_status *status = input->resource;
    struct json_writer writer = json_writer(out);
    char text[21];

    json_open_object(&writer, NULL);
    json_put_str(&writer, "apiVersion", STR(RESOURCE_API));
    json_put_str(&writer, "kind", STR(RESOURCE_KIND));
    json_open_object(&writer, "metadata");
    json_put_str(&writer, "namespace", status->namespace_name);
    json_put_str(&writer, "name", status->name);
    json_put_str(&writer, "uid", status->uid);
    json_put_str(&writer, "resourceVersion", str_make(text, str_format_u64(version, text)));
    json_close_object(&writer);
    json_open_object(&writer, "status");
    status_write(input, &writer);
    json_close_object(&writer);
    json_close_object(&writer);
}

/* The object to apply, and the digest of its status. */
static struct status_digest compose(const struct entry *entry, const struct resource_status *status,
                                    struct buf *out)
{
    CLEANUP(json_freep) struct json *object = NULL;
    struct status_input input;

    fill(entry, status, &input);
    write_object(&input, entry->version, out);
    if (json_parse(buf_str(out), &object, NULL) != CODE_OK)
        assert(!"what we write can be read");
    return status_digest_read(json_get(object, "status"));
}

/* ---- looking ---- */

static void entry_free(struct entry *entry)
{
    struct status_writer *writer = entry->writer;

    HASH_DEL(writer->entries, entry);
    counter_set(&writer->stats.resources, HASH_COUNT(writer->entries));
    list_remove(&entry->to_look);
    budget_give_up(writer->options.budget, &entry->turn, entry->call);
    free(entry);
}

static void mark(struct entry *entry)
{
    struct status_writer *writer = entry->writer;

    if (!writer->active)
        return;
    if (list_empty(&entry->to_look))
        list_append(&writer->to_look, &entry->to_look);
    if (!timer_active(writer->timer))
        timer_start(writer->timer, STATUS_LOOK_MS);
}

static void mark_for(struct entry *entry, uint64_t look_us)
{
    entry->look_us = look_us;
    mark(entry);
}

static bool same_urgent(const struct entry *entry, const struct status_digest *wanted)
{
    bool pruned = entry->has_answer && wanted->urgent == entry->sent.urgent &&
                  entry->seen.urgent == entry->answered.urgent;

    return pruned || wanted->urgent == entry->seen.urgent;
}

static bool same_slow(const struct entry *entry, const struct status_digest *wanted)
{
    bool pruned = entry->has_answer && wanted->slow == entry->sent.slow &&
                  entry->seen.slow == entry->answered.slow;

    return pruned || wanted->slow == entry->seen.slow;
}

static void tell(struct entry *entry, const struct resource_status *status,
                 const struct status_digest *wanted)
{
    const struct status_digest *before = entry->has_told ? &entry->told : &entry->seen;

    if (entry->writer->options.events)
        status_tell(entry->writer->options.events, status, before, wanted);
    entry->told = *wanted;
    entry->has_told = true;
}

/* An object of the same name that was made anew has nothing of the old one's. */
static void identify(struct entry *entry, struct str uid)
{
    uint64_t hash = hash_content(uid.ptr, uid.len);

    if (entry->uid == hash)
        return;
    entry->uid = hash;
    entry->has_told = entry->has_answer = false;
    if (entry->seen_uid != hash) {
        entry->seen = (struct status_digest){0};
        entry->version = 0;
    }
}

/* False: the resource is gone, and the entry with it. */
static bool read_status(struct entry *entry, struct resource_status *ret_status)
{
    const struct status_options *options = &entry->writer->options;
    struct str namespace_name, name;

    split_key(entry, &namespace_name, &name);
    if (!options->read(options->ctx, namespace_name, name, ret_status)) {
        entry_free(entry);
        return false;
    }
    identify(entry, ret_status->uid);
    return true;
}

/* What is known of the API server's object is of the one that is to be written. */
static bool is_seen(const struct entry *entry)
{
    return entry->version != 0 && entry->seen_uid == entry->uid;
}

static void look(struct entry *entry, uint64_t now_us)
{
    struct status_writer *writer = entry->writer;
    uint64_t counters_us = writer->options.counters_ms * 1000;
    struct buf body = BUFFER_INIT(STATUS_TEXT_MAX);
    struct resource_status status;
    struct status_digest wanted;

    if (!read_status(entry, &status) || !is_seen(entry))
        return; /* it is looked at when it is seen */
    wanted = compose(entry, &status, &body);
    buf_done(&body);
    entry->look_us = now_us + writer->options.pause_ms * 1000;
    tell(entry, &status, &wanted);
    if (!same_urgent(entry, &wanted))
        budget_ask(writer->options.budget, &entry->turn, true);
    else if (same_slow(entry, &wanted))
        return;
    else if (entry->written_us == 0 || now_us >= entry->written_us + counters_us)
        budget_ask(writer->options.budget, &entry->turn, false);
    else
        mark_for(entry, entry->written_us + counters_us);
}

/* Later, because it was looked at just now, or because it is being written. */
static bool has_to_wait(const struct entry *entry, uint64_t now_us)
{
    return entry->call || now_us < entry->look_us || now_us < entry->writer->forbidden_until_us;
}

static void on_time(void *ctx)
{
    struct status_writer *writer = ctx;
    uint64_t now_us = loop_update_now(writer->loop);
    unsigned looks = 0;

    list_for_each_safe (node, &writer->to_look) {
        struct entry *entry = container_of(node, struct entry, to_look);

        if (has_to_wait(entry, now_us))
            continue;
        list_remove(&entry->to_look);
        look(entry, now_us);
        if (++looks == LOOKS_AT_ONCE)
            break;
    }
    if (!list_empty(&writer->to_look))
        timer_start(writer->timer, STATUS_LOOK_MS);
}

/* ---- writing ---- */

static void see(struct entry *entry, const struct json *object)
{
    struct object_meta meta = object_meta_read(object);
    struct str uid = json_text(json_get(json_get(object, "metadata"), "uid"));

    entry->seen_uid = hash_content(uid.ptr, uid.len);
    entry->seen = status_digest_read(json_get(object, "status"));
    if (!str_to_u64(meta.version, UINT64_MAX, &entry->version))
        entry->version = 0;
}

static void written(struct entry *entry, struct str body)
{
    CLEANUP(json_freep) struct json *object = NULL;

    entry->writer->refused = false;
    entry->written_us = loop_update_now(entry->writer->loop);
    if (json_parse(body, &object, NULL) != CODE_OK)
        return; /* the watch will tell */
    see(entry, object);
    entry->answered = entry->seen;
    entry->has_answer = true;
}

static enum status_result result_of(const struct kube_response *response)
{
    switch (response->code) {
    case CODE_OK:
        return STATUS_WRITTEN;
    case CODE_NOT_FOUND:
        return STATUS_GONE;
    case CODE_ABORTED:
        return STATUS_CONFLICT;
    case CODE_PERMISSION_DENIED:
        return STATUS_FORBIDDEN;
    default:
        return STATUS_INVALID;
    }
}

static void complain(struct entry *entry, const struct kube_response *response)
{
    struct status_writer *writer = entry->writer;

    if (!writer->refused)
        log_warn(LOG_CONTROLLER, "a status was refused; serving does not depend on it",
                 KV_STR("resource", entry->key), KV_STR("error", response->message));
    writer->refused = true;
}

static void settle(struct entry *entry, enum status_result result,
                   const struct kube_response *response, struct str body)
{
    struct status_writer *writer = entry->writer;
    uint64_t now_us = loop_update_now(writer->loop), again_us;

    switch (result) {
    case STATUS_WRITTEN:
        written(entry, body);
        mark(entry); /* it may have changed meanwhile */
        break;
    case STATUS_GONE:
    case STATUS_CONFLICT:
        /* The watch tells what became of it, or has told already; if not, the kind itself may be
         * away. */
        again_us = entry->version == entry->sent_version ? STATUS_FORBIDDEN_MS * 1000
                                                         : writer->options.pause_ms * 1000;
        mark_for(entry, now_us + again_us);
        break;
    case STATUS_FORBIDDEN:
        complain(entry, response);
        writer->forbidden_until_us = now_us + STATUS_FORBIDDEN_MS * 1000;
        mark(entry);
        break;
    default:
        complain(entry, response);
        mark_for(entry, now_us + STATUS_REFUSED_MS * 1000);
        break;
    }
}

static void on_answer(void *ctx, const struct kube_response *response, struct str body)
{
    struct entry *entry = ctx;
    struct status_writer *writer = entry->writer;
    bool again = budget_done(writer->options.budget, response);
    enum status_result result = again ? STATUS_FAILED : result_of(response);

    entry->call = NULL;
    counter_add(&writer->stats.results[result], 1);
    if (again)
        mark(entry);
    else
        settle(entry, result, response, body);
}

static void on_turn(void *ctx)
{
    struct entry *entry = ctx;
    struct status_writer *writer = entry->writer;
    struct budget *budget = writer->options.budget;
    struct buf body = BUFFER_INIT(STATUS_TEXT_MAX);
    struct resource_status status;
    char path[PATH_MAX_BYTES];

    if (!read_status(entry, &status) || !is_seen(entry)) {
        (void)budget_done(budget, NULL);
        return;
    }
    entry->sent_version = entry->version;
    entry->sent = compose(entry, &status, &body);
    entry->has_answer = false;
    snprintf(path, sizeof(path),
             "/apis/" RESOURCE_API "/namespaces/%" STR_FMT "/" RESOURCE_PLURAL "/%" STR_FMT
             "/status?fieldManager=lookaside&force=true",
             STR_ARG(status.namespace_name), STR_ARG(status.name));
    entry->call =
        kube_call_start(writer->options.client, &(struct kube_call_options){
                                                    .method = "PATCH",
                                                    .path = path,
                                                    .body = buf_str(&body),
                                                    .content_type = "application/apply-patch+yaml",
                                                    .on_done = on_answer,
                                                    .ctx = entry,
                                                });
    buf_done(&body);
}

/* ---- entries ---- */

/* 0: it does not fit, and is no name. */
static unsigned key_of(struct str namespace_name, struct str name, char key[KEY_MAX])
{
    int len =
        snprintf(key, KEY_MAX, "%" STR_FMT "/%" STR_FMT, STR_ARG(namespace_name), STR_ARG(name));

    return len < KEY_MAX ? (unsigned)len : 0;
}

static struct entry *entry_get(struct status_writer *writer, struct str namespace_name,
                               struct str name)
{
    char key[KEY_MAX];
    unsigned len = key_of(namespace_name, name, key);
    struct entry *entry = NULL;

    HASH_FIND(hh, writer->entries, key, len, entry);
    if (entry || len == 0)
        return entry;
    entry = xcalloc(1, sizeof(*entry) + len + 1);
    entry->writer = writer;
    list_init(&entry->to_look);
    budget_turn_init(&entry->turn, on_turn, entry);
    memcpy(entry->key, key, len);
    HASH_ADD_KEYPTR(hh, writer->entries, entry->key, len, entry);
    counter_set(&writer->stats.resources, HASH_COUNT(writer->entries));
    return entry;
}

void status_touch(struct status_writer *writer, struct str namespace_name, struct str name)
{
    struct resource_status status;
    struct entry *entry = entry_get(writer, namespace_name, name);

    /* Who does not write looks at nothing, but forgets what is gone. */
    if (entry && (writer->active || read_status(entry, &status)))
        mark(entry);
}

void status_touch_all(struct status_writer *writer)
{
    struct entry *entry, *next;

    HASH_ITER(hh, writer->entries, entry, next)
    mark(entry);
}

void status_observe(struct status_writer *writer, const struct json *object)
{
    struct object_meta meta = object_meta_read(object);
    struct entry *entry = entry_get(writer, meta.namespace_name, meta.name);
    uint64_t now_us = loop_update_now(writer->loop);
    uint64_t version = 0;

    if (!entry || !str_to_u64(meta.version, UINT64_MAX, &version))
        return;
    if (entry->written_us && now_us < entry->written_us + OWN_WRITE_US && version < entry->version)
        return;
    see(entry, object);
    entry->look_us = min_u64(entry->look_us, now_us + writer->options.pause_ms * 1000);
    mark(entry);
}

/* ---- life ---- */

struct status_writer *status_new(const struct status_options *options)
{
    struct status_writer *writer = xcalloc(1, sizeof(*writer));

    writer->options = *options;
    if (options->pause_ms == 0)
        writer->options.pause_ms = STATUS_PAUSE_MS;
    if (options->counters_ms == 0)
        writer->options.counters_ms = STATUS_COUNTERS_MS;
    writer->loop = kube_client_loop(options->client);
    list_init(&writer->to_look);
    writer->timer = timer_new(writer->loop, on_time, writer);
    return writer;
}

static void silence(struct entry *entry)
{
    list_remove(&entry->to_look);
    budget_give_up(entry->writer->options.budget, &entry->turn, TAKE(entry->call));
    entry->has_told = false;
    entry->look_us = 0;
}

void status_set_active(struct status_writer *writer, bool active)
{
    struct entry *entry, *next;

    writer->active = active;
    HASH_ITER(hh, writer->entries, entry, next)
    {
        if (active)
            mark(entry);
        else
            silence(entry);
    }
    if (!active && writer->options.events)
        events_silence(writer->options.events);
}

void status_free(struct status_writer *writer)
{
    struct entry *entry, *next;

    if (!writer)
        return;
    HASH_ITER(hh, writer->entries, entry, next)
    entry_free(entry);
    timer_free(writer->timer);
    free(writer);
}

const char *status_result_name(enum status_result result)
{
    static const char *const names[STATUS_RESULTS] = {
        [STATUS_WRITTEN] = "written",     [STATUS_GONE] = "gone",
        [STATUS_CONFLICT] = "conflict",   [STATUS_INVALID] = "invalid",
        [STATUS_FORBIDDEN] = "forbidden", [STATUS_FAILED] = "failed",
    };

    return names[result];
}

uint64_t status_pending(const struct status_writer *writer)
{
    struct entry *entry, *next;
    uint64_t pending = 0;

    HASH_ITER(hh, writer->entries, entry, next)
    pending += entry->call || budget_waits(&entry->turn);
    return pending;
}

const struct status_stats *status_stats(const struct status_writer *writer)
{
    return &writer->stats;
}
