#include "protocol/native.h"

#include "base/hash.h"
#include "protocol/field.h"
#include "protocol/name_set.h"
#include "wire/fields.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define VERSION_LEN 16

struct native_session {
    const struct native_host *host;
    void *ctx;
    char *namespace_name; /* NULL: none given */
    struct native_place place;
    char *place_text;              /* owned: of both */
    const struct request *request; /* while it is looked at */
    struct name_set targets;
    struct list dirty;
    struct native_session_stats stats;
};

/* A version that the client has. */
struct known {
    struct str name;
    uint64_t version;
};

struct request {
    struct str namespace_name;
    struct native_place place;
    struct str *targets; /* owned */
    size_t len;
    size_t cap;
    struct known *known; /* owned; by name */
    size_t known_len;
    size_t known_cap;
    bool too_many; /* targets: it was not read on */
};

/* ---- targets ---- */

static struct str target_name(const void *item)
{
    return ((const struct native_target *)item)->name;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct known *)a)->name, ((const struct known *)b)->name);
}

static uint64_t known_version(const struct request *request, struct str name)
{
    const struct known key = {.name = name};
    const struct known *known =
        request->known_len ? bsearch(&key, request->known, request->known_len, sizeof(key), by_name)
                           : NULL;

    return known ? known->version : 0;
}

static void *subscribe(void *ctx, struct str name)
{
    struct native_session *session = ctx;
    struct native_target *target = xmalloc(sizeof(*target) + name.len);
    char *text = (char *)(target + 1);

    *target = (struct native_target){.session = session, .name = str_put(&text, name)};
    target->known_version = known_version(session->request, name);
    list_init(&target->dirty);
    list_append(&session->dirty, &target->dirty);
    session->host->subscribe(session->ctx, target);
    return target;
}

static void unsubscribe(void *ctx, void *item)
{
    struct native_session *session = ctx;
    struct native_target *target = item;

    session->host->unsubscribe(session->ctx, target);
    list_remove(&target->dirty);
    free(target);
}

static const struct name_set_ops target_ops = {target_name, subscribe, unsubscribe};

void native_target_touch(struct native_target *target)
{
    struct native_session *session = target->session;

    if (!list_empty(&target->dirty))
        return;
    list_append(&session->dirty, &target->dirty);
    session->host->wake(session->ctx, false);
}

/* ---- requests ---- */

static void request_done(struct request *request)
{
    free(request->targets);
    free(request->known);
}

static enum code read_group(uint64_t value, struct native_place *place, struct err *err)
{
    if (value > NATIVE_GROUPS)
        return fail(err, CODE_INVALID_ARGUMENT, "place.group is greater than %d", NATIVE_GROUPS);
    place->group = (unsigned)value;
    return CODE_OK;
}

static enum code read_place(struct str bytes, struct native_place *place, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    enum code code = CODE_OK;

    place->given = true;
    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.type == WIRE_VARINT && field.number == PLACE_GROUP)
            code = read_group(field.value, place, err);
        if (field.type != WIRE_BYTES)
            continue;
        if (field.number == PLACE_ZONE)
            code = field_text(&field, NATIVE_TARGET_MAX, "place.zone", &place->zone, err);
        else if (field.number == PLACE_NODE)
            code = field_text(&field, NATIVE_TARGET_MAX, "place.node", &place->node, err);
    }
    return reader.failed ? fail(err, CODE_INVALID_ARGUMENT, "malformed place") : code;
}

/* What is no version of ours is none that the client has. */
static enum code read_version(struct str bytes, struct request *request, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct str version = STR("");
    struct known known = {0};
    struct wire_field field;
    enum code code = CODE_OK;

    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.type != WIRE_BYTES)
            continue;
        if (field.number == WIRE_MAP_KEY)
            code = field_text(&field, NATIVE_TARGET_MAX, "a target in versions", &known.name, err);
        else if (field.number == WIRE_MAP_VALUE)
            code = field_text(&field, NATIVE_TARGET_MAX, "a version", &version, err);
    }
    if (reader.failed)
        return fail(err, CODE_INVALID_ARGUMENT, "malformed versions");
    if (code != CODE_OK || version.len != VERSION_LEN || !str_hex_to_u64(version, &known.version))
        return code;
    if (request->known_len == NATIVE_TARGETS_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "more than %d versions", NATIVE_TARGETS_MAX);
    request->known =
        xgrow(request->known, &request->known_cap, request->known_len, sizeof(*request->known));
    request->known[request->known_len++] = known;
    return CODE_OK;
}

static enum code read_field(const struct wire_field *field, struct request *request,
                            struct err *err)
{
    if (field->type != WIRE_BYTES)
        return CODE_OK;
    if (field->number == WATCH_REQUEST_PLACE)
        return read_place(field->bytes, &request->place, err);
    if (field->number == WATCH_REQUEST_VERSIONS)
        return read_version(field->bytes, request, err);
    if (field->number == WATCH_REQUEST_NAMESPACE)
        return field_text(field, NATIVE_TARGET_MAX, "namespace", &request->namespace_name, err);
    if (field->number != WATCH_REQUEST_TARGETS)
        return CODE_OK;
    request->too_many = request->len == NATIVE_TARGETS_MAX;
    if (request->too_many)
        return fail(err, CODE_RESOURCE_EXHAUSTED,
                    "more than %d targets: share them out over more streams", NATIVE_TARGETS_MAX);
    request->targets =
        xgrow(request->targets, &request->cap, request->len, sizeof(*request->targets));
    return field_text(field, NATIVE_TARGET_MAX, "a target", &request->targets[request->len++], err);
}

static enum code parse(struct str message, struct request *request, struct err *err)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;
    enum code code = CODE_OK;

    while (code == CODE_OK && wire_next(&reader, &field))
        code = read_field(&field, request, err);
    if (reader.failed)
        return field_malformed(err, "WatchRequest");
    if (code != CODE_OK)
        return code;
    request->len = names_sort(request->targets, request->len);
    if (request->known_len > 1)
        qsort(request->known, request->known_len, sizeof(*request->known), by_name);
    return CODE_OK;
}

/* What a target means may depend on it: all become new. */
static void set_namespace(struct native_session *session, struct str name)
{
    if (name.len == 0 || str_eq(name, native_session_namespace(session)))
        return;
    name_set_clear(&session->targets, &target_ops, session);
    free(session->namespace_name);
    session->namespace_name = str_dup(name);
}

/* So may what list it has. */
static void set_place(struct native_session *session, const struct native_place *place)
{
    const struct native_place *before = &session->place;
    char *text;

    if (!place->given || (before->given && str_eq(place->zone, before->zone) &&
                          str_eq(place->node, before->node) && place->group == before->group))
        return;
    name_set_clear(&session->targets, &target_ops, session);
    free(session->place_text);
    session->place_text = text = xmalloc(place->zone.len + place->node.len + 1);
    session->place = (struct native_place){.given = true, .group = place->group};
    session->place.zone = str_put(&text, place->zone);
    session->place.node = str_put(&text, place->node);
}

/* Before anything is applied: a target costs a hundred times its text. */
static enum code admit(const struct native_session *session, size_t targets_after, struct err *err)
{
    return session->host->admit
               ? session->host->admit(session->ctx, session->targets.len, targets_after, err)
               : CODE_OK;
}

enum code native_session_request(struct native_session *session, struct str message,
                                 struct err *err)
{
    CLEANUP(request_done) struct request request = {0};
    enum code code = parse(message, &request, err);

    if (code == CODE_OK)
        code = admit(session, request.len, err);
    else if (request.too_many) /* so that the host hears of it, and may say its own number */
        (void)admit(session, NATIVE_TARGETS_MAX + 1, err);
    if (code != CODE_OK)
        return code;
    set_namespace(session, request.namespace_name);
    set_place(session, &request.place);
    /* Later, the client may have got what changes it before it is told that it is the newest. */
    if (session->stats.requests > 0)
        request.known_len = 0;
    session->stats.requests++;
    session->request = &request;
    if (name_set_replace(&session->targets, request.targets, request.len, &target_ops, session) > 0)
        session->host->wake(session->ctx, true);
    session->request = NULL;
    return CODE_OK;
}

/* ---- responses ---- */

/* What brings the client from what it has to the list that is now. */
struct news {
    struct blob *blob; /* owned */
    bool changes;      /* else the whole list */
};

static void news_done(struct news *news)
{
    blob_unref(news->blob);
}

/* NULL, or why there is no list at all: the client keeps the one it had. */
static const char *find_news(const struct native_target *target, const struct native_list *list,
                             struct news *news)
{
    const struct native_session *session = target->session;
    struct blob *changes;

    if (list->version == 0)
        return list->problem;
    news->changes = list->version == target->known_version;
    if (news->changes)
        return NULL;
    news->blob = blob_ref(session->host->bytes(session->ctx, target));
    if (news->blob->len > NATIVE_RESPONSE_MAX - 2 * NATIVE_TARGET_MAX)
        return "the list is too long for one message";
    changes = session->host->changes(session->ctx, target);
    if (!changes)
        return NULL;
    blob_unref(news->blob);
    news->blob = blob_ref(changes);
    news->changes = true;
    return NULL;
}

static void put_version(struct buf *head, uint64_t version)
{
    char text[VERSION_LEN + 1];

    wire_put_bytes(head, WATCH_RESPONSE_VERSION, str_make(text, str_format_hex(version, text)));
}

static void put_problem(struct native_session *session, const char *problem, struct buf *head)
{
    wire_put_bytes(head, WATCH_RESPONSE_PROBLEM, str_of(problem));
    session->stats.problems++;
}

/* A list without backends needs no blob. */
static void put_list(struct native_target *target, const struct native_list *list,
                     struct news *news, struct buf *head, struct blob **ret_blob)
{
    struct native_session *session = target->session;

    put_version(head, list->version);
    if (news->changes)
        wire_put_varint(head, WATCH_RESPONSE_CHANGES, true);
    if (list->problem)
        put_problem(session, list->problem, head);
    session->stats.changes += news->changes && news->blob;
    session->stats.confirmations += news->changes && !news->blob;
    session->host->sent(session->ctx, target);
    target->known_version = 0;
    if (news->blob && news->blob->len > 0)
        *ret_blob = TAKE(news->blob);
}

static bool say(struct native_session *session, struct native_target *target, struct buf *head,
                struct blob **ret_blob)
{
    CLEANUP(news_done) struct news news = {0};
    struct native_list list = {0};
    uint64_t version;
    const char *missing;

    session->host->resolve(session->ctx, target, &list);
    if (list.version != 0 && list.version == target->sent_version) {
        session->host->sent(session->ctx, target);
        return false;
    }
    missing = find_news(target, &list, &news);
    /* So that a problem is said once, too. */
    version = missing ? hash_content(missing, strlen(missing)) : list.version;
    if (version == target->sent_version)
        return false;
    target->sent_version = version;
    wire_put_bytes(head, WATCH_RESPONSE_TARGET, target->name);
    if (missing)
        put_problem(session, missing, head);
    else
        put_list(target, &list, &news, head, ret_blob);
    session->stats.responses++;
    return true;
}

bool native_session_next(struct native_session *session, struct buf *head, struct blob **ret_blob)
{
    struct list *node;

    while ((node = list_pop(&session->dirty))) {
        if (say(session, container_of(node, struct native_target, dirty), head, ret_blob))
            return true;
    }
    return false;
}

/* ---- life ---- */

struct native_session *native_session_new(const struct native_host *host, void *ctx)
{
    struct native_session *session = xcalloc(1, sizeof(*session));

    session->host = host;
    session->ctx = ctx;
    list_init(&session->dirty);
    return session;
}

void native_session_free(struct native_session *session)
{
    if (!session)
        return;
    name_set_clear(&session->targets, &target_ops, session);
    free(session->namespace_name);
    free(session->place_text);
    free(session);
}

struct str native_session_namespace(const struct native_session *session)
{
    return session->namespace_name ? str_of(session->namespace_name) : STR("");
}

const struct native_place *native_session_place(const struct native_session *session)
{
    return &session->place;
}

const struct native_session_stats *native_session_stats(const struct native_session *session)
{
    return &session->stats;
}

bool native_session_has(const struct native_session *session, native_choice_fn *choose, void *ctx)
{
    for (size_t i = 0; i < session->targets.len; i++)
        if (choose(ctx, session->targets.items[i]))
            return true;
    return false;
}

static void dump_target(const struct native_target *target, struct json_writer *writer)
{
    const struct native_session *session = target->session;
    char version[VERSION_LEN + 1];

    json_open_object(writer, NULL);
    json_put_str(writer, "name", target->name);
    if (target->sent_version != 0) {
        json_put_str(writer, "version",
                     str_make(version, str_format_hex(target->sent_version, version)));
    }
    if (session->host->describe)
        session->host->describe(session->ctx, target, writer);
    json_close_object(writer);
}

void native_session_dump(const struct native_session *session, struct json_writer *writer,
                         native_choice_fn *choose, void *ctx)
{
    json_put_str(writer, "namespace", native_session_namespace(session));
    json_put_u64(writer, "requests", session->stats.requests);
    json_put_u64(writer, "responses", session->stats.responses);
    json_put_u64(writer, "changes", session->stats.changes);
    json_put_u64(writer, "confirmations", session->stats.confirmations);
    json_put_u64(writer, "problems", session->stats.problems);
    json_open_array(writer, "targets");
    for (size_t i = 0; i < session->targets.len; i++)
        if (!choose || choose(ctx, session->targets.items[i]))
            dump_target(session->targets.items[i], writer);
    json_close_array(writer);
}
