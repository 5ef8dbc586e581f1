#include "protocol/native.h"

#include "base/hash.h"
#include "protocol/name_set.h"
#include "wire/fields.h"
#include "wire/reader.h"
#include "wire/writer.h"

struct native_session {
    const struct native_host *host;
    void *ctx;
    char *namespace_name; /* NULL: none given */
    struct native_place place;
    char *place_text; /* owned: of both */
    struct name_set targets;
    struct list dirty;
    struct native_session_stats stats;
};

/* ---- targets ---- */

static struct str target_name(const void *item)
{
    return ((const struct native_target *)item)->name;
}

static void *subscribe(void *ctx, struct str name)
{
    struct native_session *session = ctx;
    struct native_target *target = xmalloc(sizeof(*target) + name.len);
    char *text = (char *)(target + 1);

    *target = (struct native_target){.session = session, .name = str_put(&text, name)};
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

struct request {
    struct str namespace_name;
    struct native_place place;
    struct str *targets; /* owned */
    size_t len;
    size_t cap;
};

static void request_done(struct request *request)
{
    free(request->targets);
}

static enum code read_text(const struct wire_field *field, const char *what, struct str *ret_text,
                           struct err *err)
{
    if (field->bytes.len > NATIVE_TARGET_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "%s is longer than %d bytes", what,
                    NATIVE_TARGET_MAX);
    if (!wire_is_utf8(field->bytes))
        return fail(err, CODE_INVALID_ARGUMENT, "%s is not UTF-8", what);
    *ret_text = field->bytes;
    return CODE_OK;
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
            code = read_text(&field, "place.zone", &place->zone, err);
        else if (field.number == PLACE_NODE)
            code = read_text(&field, "place.node", &place->node, err);
    }
    return reader.failed ? fail(err, CODE_INVALID_ARGUMENT, "malformed place") : code;
}

static enum code read_field(const struct wire_field *field, struct request *request,
                            struct err *err)
{
    if (field->type != WIRE_BYTES)
        return CODE_OK;
    if (field->number == WATCH_REQUEST_PLACE)
        return read_place(field->bytes, &request->place, err);
    if (field->number == WATCH_REQUEST_NAMESPACE)
        return read_text(field, "namespace", &request->namespace_name, err);
    if (field->number != WATCH_REQUEST_TARGETS)
        return CODE_OK;
    if (request->len == NATIVE_TARGETS_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED,
                    "more than %d targets: share them out over more streams", NATIVE_TARGETS_MAX);
    request->targets =
        xgrow(request->targets, &request->cap, request->len, sizeof(*request->targets));
    return read_text(field, "a target", &request->targets[request->len++], err);
}

static enum code parse(struct str message, struct request *request, struct err *err)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;
    enum code code = CODE_OK;

    while (code == CODE_OK && wire_next(&reader, &field))
        code = read_field(&field, request, err);
    if (reader.failed)
        return fail(err, CODE_INVALID_ARGUMENT, "malformed WatchRequest");
    if (code == CODE_OK)
        request->len = names_sort(request->targets, request->len);
    return code;
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

enum code native_session_request(struct native_session *session, struct str message,
                                 struct err *err)
{
    CLEANUP(request_done) struct request request = {0};
    enum code code = parse(message, &request, err);

    if (code != CODE_OK)
        return code;
    session->stats.requests++;
    set_namespace(session, request.namespace_name);
    set_place(session, &request.place);
    if (name_set_replace(&session->targets, request.targets, request.len, &target_ops, session) > 0)
        session->host->wake(session->ctx, true);
    return CODE_OK;
}

/* ---- responses ---- */

/* Why there is no list at all: the client keeps the one it had, so the response carries no
 * version. */
static const char *obstacle(const struct native_list *list, const struct blob *blob)
{
    if (!blob)
        return list->problem;
    if (blob->len > NATIVE_RESPONSE_MAX - 2 * NATIVE_TARGET_MAX)
        return "the list is too long for one message";
    return NULL;
}

static void put_problem(struct native_session *session, const char *problem, struct buf *head)
{
    wire_put_bytes(head, WATCH_RESPONSE_PROBLEM, str_of(problem));
    session->stats.problems++;
}

static bool say(struct native_session *session, struct native_target *target, struct buf *head,
                struct blob **ret_blob)
{
    struct native_list list = {0};
    struct blob *blob = NULL;
    const char *missing;

    session->host->resolve(session->ctx, target, &list);
    if (list.version != 0 && list.version == target->sent_version)
        return false;
    if (list.version != 0)
        blob = session->host->bytes(session->ctx, target);
    missing = obstacle(&list, blob);
    if (missing)
        list.version = hash_content(missing, strlen(missing)); /* so that it is said once */
    if (list.version == target->sent_version)
        return false;
    target->sent_version = list.version;
    wire_put_bytes(head, WATCH_RESPONSE_TARGET, target->name);
    *ret_blob = missing ? NULL : blob_ref(blob);
    if (missing || list.problem)
        put_problem(session, missing ? missing : list.problem, head);
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
    char version[17];

    json_open_object(writer, NULL);
    json_put_str(writer, "name", target->name);
    if (target->sent_version != 0) {
        snprintf(version, sizeof(version), "%016llx", (unsigned long long)target->sent_version);
        json_put_str(writer, "version", str_of(version));
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
    json_put_u64(writer, "problems", session->stats.problems);
    json_open_array(writer, "targets");
    for (size_t i = 0; i < session->targets.len; i++)
        if (!choose || choose(ctx, session->targets.items[i]))
            dump_target(session->targets.items[i], writer);
    json_close_array(writer);
}
