#include <criterion/criterion.h>

#include "lookaside/v1/discovery.pb-c.h"
#include "protocol/native.h"
#include "wire/fields.h"
#include "wire/writer.h"

/* A world of lists by name; version 0: a problem. */
static struct {
    const char *name;
    uint64_t version;
    size_t padding;
    struct native_target *target;
    const char *reason; /* why the list is empty */
    bool diffs;         /* the host knows what makes it of what the client has */
    uint64_t had;       /* by the client, as the host was told */
} lists[] = {{.name = "a", .version = 1}, {.name = "b", .version = 2}, {.name = "bad"}};

static struct blob *blob; /* handed out last */
static size_t answers, updates, subscribed, unsubscribed, made;
static size_t room, asked_for; /* of targets; 0: no end of it */
static struct native_session *session;
static struct err err;

static size_t find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        if (str_eq(str_of(lists[i].name), name))
            return i;
    }
    cr_assert_fail("a target that no test asks for");
    return 0;
}

static enum code on_admit(unused_arg void *ctx, size_t targets, size_t targets_after,
                          struct err *ret_err)
{
    cr_assert_eq(targets, subscribed - unsubscribed);
    asked_for = targets_after;
    if (room && targets_after > room)
        return fail(ret_err, CODE_RESOURCE_EXHAUSTED, "%zu are too many", targets_after);
    return CODE_OK;
}

static void on_subscribe(unused_arg void *ctx, struct native_target *target)
{
    lists[find(target->name)].target = target;
    subscribed++;
}

static void on_unsubscribe(unused_arg void *ctx, struct native_target *target)
{
    lists[find(target->name)].target = NULL;
    lists[find(target->name)].had = 0;
    unsubscribed++;
}

static void on_resolve(unused_arg void *ctx, const struct native_target *target,
                       struct native_list *ret_list)
{
    size_t i = find(target->name);

    if (lists[i].version == 0) {
        *ret_list = (struct native_list){.problem = "no such port"};
        return;
    }
    *ret_list = (struct native_list){lists[i].version, lists[i].reason};
}

static struct blob *on_bytes(unused_arg void *ctx, const struct native_target *target)
{
    made++;
    blob_unref(blob);
    blob = blob_new(2 + lists[find(target->name)].padding);
    memset(blob->bytes, 0, blob->len);
    memcpy(blob->bytes, "\x12", 2);
    return blob;
}

static struct blob *on_changes(unused_arg void *ctx, const struct native_target *target)
{
    static struct blob *changes;
    size_t i = find(target->name);

    if (!lists[i].diffs || lists[i].had == 0)
        return NULL;
    blob_unref(changes);
    changes = blob_copy("\x32", 2);
    return changes;
}

static void on_sent(unused_arg void *ctx, const struct native_target *target)
{
    size_t i = find(target->name);

    lists[i].had = lists[i].version;
}

static void on_wake(unused_arg void *ctx, bool answer)
{
    answers += answer;
    updates += !answer;
}

static void on_describe(unused_arg void *ctx, const struct native_target *target,
                        struct json_writer *writer)
{
    if (str_eq(target->name, STR("b")))
        json_put_str(writer, "view", STR("zone"));
}

static const struct native_host host = {on_admit,   on_subscribe, on_unsubscribe,
                                        on_resolve, on_bytes,     on_changes,
                                        on_sent,    on_wake,      on_describe};

static void open_session(void)
{
    session = native_session_new(&host, NULL);
}

static void close_session(void)
{
    native_session_free(session);
    blob_unref(blob);
    cr_assert_eq(subscribed, unsubscribed);
}

TestSuite(native_session, .init = open_session, .fini = close_session);

static void put_version(struct buf *out, const char *target, const char *version)
{
    size_t mark = wire_open(out, WATCH_REQUEST_VERSIONS);

    wire_put_bytes(out, WIRE_MAP_KEY, str_of(target));
    wire_put_bytes(out, WIRE_MAP_VALUE, str_of(version));
    wire_close(out, mark);
}

/* That version of "a" is known. */
static enum code watch_with(const char *targets, const char *version)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(1024 * 1024);
    struct str rest = str_of(targets);

    while (rest.len > 0)
        wire_put_bytes(&out, WATCH_REQUEST_TARGETS, str_cut(&rest, ' '));
    put_version(&out, "a", version);
    return native_session_request(session, buf_str(&out), &err);
}

static enum code watch(const char *targets, const char *namespace_name)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(1024 * 1024);
    struct str rest = str_of(targets);

    while (rest.len > 0)
        wire_put_bytes(&out, WATCH_REQUEST_TARGETS, str_cut(&rest, ' '));
    if (namespace_name)
        wire_put_bytes(&out, WATCH_REQUEST_NAMESPACE, str_of(namespace_name));
    return native_session_request(session, buf_str(&out), &err);
}

/* "a 1" for a list of that version, "a 1 changed", "a 1 confirmed", "a: no such port" for a problem,
 * "a 1: no such Service" for an empty list; "" for nothing. */
static const char *next(void)
{
    static char text[128];
    CLEANUP(buf_done) struct buf head = BUFFER_INIT(8192);
    struct blob *body = NULL;
    Lookaside__V1__WatchResponse *response;

    text[0] = '\0';
    if (!native_session_next(session, &head, &body))
        return text;
    response = lookaside__v1__watch_response__unpack(NULL, head.len, (const uint8_t *)head.ptr);
    cr_assert_not_null(response);
    cr_assert(*response->version || !body, "without a version there is no list");
    cr_assert(!*response->version || strlen(response->version) == 16);
    snprintf(text, sizeof(text), "%s%s%s%s%s%s", response->target, *response->version ? " " : "",
             response->version + strspn(response->version, "0"),
             !response->changes ? ""
             : body             ? " changed"
                                : " confirmed",
             *response->problem ? ": " : "", response->problem);
    lookaside__v1__watch_response__free_unpacked(response, NULL);
    blob_unref(body);
    return text;
}

static void change(const char *name, uint64_t version)
{
    size_t i = find(str_of(name));

    lists[i].version = version;
    if (lists[i].target)
        native_target_touch(lists[i].target);
}

Test(native_session, every_target_gets_its_list_at_once)
{
    cr_assert_eq(watch("b a", NULL), CODE_OK);
    cr_assert_eq(answers, 1);
    cr_assert_str_eq(next(), "a 1");
    cr_assert_str_eq(next(), "b 2");
    cr_assert_str_eq(next(), "");
}

Test(native_session, a_changed_list_is_sent_again)
{
    cr_assert_eq(watch("a b", NULL), CODE_OK);
    while (*next())
        ;
    change("b", 20);
    cr_assert_eq(updates, 1);
    cr_assert_str_eq(next(), "b 14");
    cr_assert_str_eq(next(), "");
}

Test(native_session, a_touch_without_a_change_is_told_to_nobody)
{
    cr_assert_eq(watch("a", NULL), CODE_OK);
    next();
    change("a", 1);
    cr_assert_str_eq(next(), "");
    cr_assert_eq(made, 1, "a list is made to be sent");
}

Test(native_session, changes_that_were_not_sent_yet_are_one)
{
    cr_assert_eq(watch("a", NULL), CODE_OK);
    next();
    change("a", 10);
    change("a", 11);
    cr_assert_eq(updates, 1);
    cr_assert_str_eq(next(), "a b");
    cr_assert_str_eq(next(), "");
}

Test(native_session, a_request_replaces_the_one_before)
{
    cr_assert_eq(watch("a", NULL), CODE_OK);
    next();
    cr_assert_eq(watch("b", NULL), CODE_OK);
    cr_assert_eq(unsubscribed, 1);
    cr_assert_str_eq(next(), "b 2");
    cr_assert_str_eq(next(), "");
}

Test(native_session, a_target_that_stays_is_not_sent_again)
{
    cr_assert_eq(watch("a", NULL), CODE_OK);
    next();
    cr_assert_eq(watch("a b", NULL), CODE_OK);
    cr_assert_str_eq(next(), "b 2");
    cr_assert_str_eq(next(), "");
}

Test(native_session, a_target_that_comes_back_is_sent_again)
{
    cr_assert_eq(watch("a b", NULL), CODE_OK);
    while (*next())
        ;
    cr_assert_eq(watch("b", NULL), CODE_OK);
    cr_assert_eq(watch("a b", NULL), CODE_OK);
    cr_assert_str_eq(next(), "a 1");
    cr_assert_str_eq(next(), "");
}

Test(native_session, a_problem_is_said_once_and_followed_by_the_list)
{
    cr_assert_eq(watch("bad", NULL), CODE_OK);
    cr_assert_str_eq(next(), "bad: no such port");
    change("bad", 0);
    cr_assert_str_eq(next(), "");
    change("bad", 7);
    cr_assert_str_eq(next(), "bad 7");
    change("bad", 0);
    cr_assert_str_eq(next(), "bad: no such port");
    cr_assert_eq(native_session_stats(session)->problems, 2);
}

Test(native_session, an_empty_list_comes_with_the_reason)
{
    lists[0].reason = "no such Service";
    cr_assert_eq(watch("a", NULL), CODE_OK);
    cr_assert_str_eq(next(), "a 1: no such Service");
}

Test(native_session, who_has_a_list_is_sent_the_changes)
{
    lists[0].diffs = true;
    cr_assert_eq(watch("a", NULL), CODE_OK);
    cr_assert_str_eq(next(), "a 1");
    change("a", 5);
    cr_assert_str_eq(next(), "a 5 changed");
    cr_assert_eq(lists[0].had, 5);
    change("a", 6);
    cr_assert_str_eq(next(), "a 6 changed");
    lists[0].diffs = false;
    change("a", 7);
    cr_assert_str_eq(next(), "a 7", "the host does not know any more what the client has");
    cr_assert_eq(native_session_stats(session)->changes, 2);
}

Test(native_session, what_was_skipped_is_part_of_the_next_change)
{
    lists[0].diffs = true;
    cr_assert_eq(watch("a", NULL), CODE_OK);
    cr_assert_str_eq(next(), "a 1");
    change("a", 5);
    change("a", 1);
    cr_assert_str_eq(next(), "");
    cr_assert_eq(lists[0].had, 1);
    change("a", 6);
    cr_assert_str_eq(next(), "a 6 changed");
}

Test(native_session, a_version_that_is_the_newest_is_only_confirmed)
{
    lists[0].diffs = true;
    cr_assert_eq(watch_with("a b", "0000000000000001"), CODE_OK);
    cr_assert_str_eq(next(), "a 1 confirmed");
    cr_assert_str_eq(next(), "b 2");
    cr_assert_eq(made, 1, "nobody has made what is not sent");
    cr_assert_eq(lists[0].had, 1, "the client has it");
    change("a", 5);
    cr_assert_str_eq(next(), "a 5 changed");
    change("a", 1);
    cr_assert_str_eq(next(), "a 1 changed", "it was the newest once, that is no confirmation");
    cr_assert_eq(native_session_stats(session)->confirmations, 1);
}

Test(native_session, any_other_version_is_answered_with_the_list)
{
    static const char *const versions[] = {"0000000000000002", "1", "", "000000000000000g",
                                           "00000000000000001"};

    lists[0].diffs = true;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        close_session();
        blob = NULL;
        open_session();
        cr_assert_eq(watch_with("a", versions[i]), CODE_OK);
        cr_assert_str_eq(next(), "a 1", "%s", versions[i]);
    }
}

Test(native_session, an_empty_list_is_confirmed_with_its_reason)
{
    lists[0].reason = "no such Service";
    cr_assert_eq(watch_with("a", "0000000000000001"), CODE_OK);
    cr_assert_str_eq(next(), "a 1 confirmed: no such Service");
}

Test(native_session, a_problem_does_not_take_away_what_the_client_has)
{
    cr_assert_eq(watch_with("a", "0000000000000001"), CODE_OK);
    lists[0].version = 0;
    cr_assert_str_eq(next(), "a: no such port");
    change("a", 1);
    cr_assert_str_eq(next(), "a 1 confirmed");
}

/* What changes it may be on its way already. */
Test(native_session, only_the_first_request_tells_versions)
{
    cr_assert_eq(watch("b", NULL), CODE_OK);
    cr_assert_eq(watch_with("a b", "0000000000000001"), CODE_OK);
    cr_assert_str_eq(next(), "b 2");
    cr_assert_str_eq(next(), "a 1");
}

Test(native_session, refuses_malformed_versions_and_too_many)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(1024 * 1024);

    cr_assert_eq(native_session_request(session, STR("\x22\x02\x0A\x05"), &err),
                 CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "malformed versions");
    cr_assert_eq(watch_with("a", "\xFF"), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "a version is not UTF-8");
    for (int i = 0; i < NATIVE_TARGETS_MAX + 1; i++)
        put_version(&out, "a", "0000000000000001");
    cr_assert_eq(native_session_request(session, buf_str(&out), &err), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "more than 10000 versions");
}

Test(native_session, a_list_that_does_not_fit_is_a_problem)
{
    lists[0].padding = NATIVE_RESPONSE_MAX;
    cr_assert_eq(watch("a", NULL), CODE_OK);
    cr_assert_str_eq(next(), "a: the list is too long for one message");
}

Test(native_session, the_namespace_stays_until_another_one_is_given)
{
    cr_assert(str_eq(native_session_namespace(session), STR("")));
    cr_assert_eq(watch("a", "shop"), CODE_OK);
    cr_assert_eq(watch("a b", NULL), CODE_OK);
    cr_assert(str_eq(native_session_namespace(session), STR("shop")));
}

Test(native_session, another_namespace_makes_all_targets_new)
{
    cr_assert_eq(watch("a b", "shop"), CODE_OK);
    while (*next())
        ;
    cr_assert_eq(watch("a b", "web"), CODE_OK);
    cr_assert_eq(unsubscribed, 2);
    cr_assert_str_eq(next(), "a 1");
    cr_assert_str_eq(next(), "b 2");
    cr_assert(str_eq(native_session_namespace(session), STR("web")));
}

Test(native_session, a_malformed_request_changes_nothing)
{
    cr_assert_eq(watch("a", NULL), CODE_OK);
    cr_assert_eq(native_session_request(session,
                                        STR("\x0A\x01"
                                            "b"
                                            "\x0A\x05"),
                                        &err),
                 CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "malformed WatchRequest");
    cr_assert_eq(subscribed, 1);
    cr_assert_eq(unsubscribed, 0);
}

Test(native_session, what_the_host_has_no_room_for_changes_nothing)
{
    room = 1;
    cr_assert_eq(watch("a", "shop"), CODE_OK);
    cr_assert_eq(watch("a b", "web"), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "2 are too many");
    cr_assert_eq(subscribed, 1);
    cr_assert_eq(unsubscribed, 0);
    cr_assert(str_eq(native_session_namespace(session), STR("shop")));
    cr_assert_eq(watch("b", NULL), CODE_OK, "another instead");
}

Test(native_session, refuses_too_many_and_too_long_targets)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(1024 * 1024);
    char name[NATIVE_TARGET_MAX + 1] = {0};

    for (int i = 0; i < NATIVE_TARGETS_MAX + 1; i++)
        wire_put_bytes(&out, WATCH_REQUEST_TARGETS, STR("a"));
    cr_assert_eq(native_session_request(session, buf_str(&out), &err), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "more than 10000 targets: share them out over more streams");
    cr_assert_eq(asked_for, NATIVE_TARGETS_MAX + 1, "the host is told");
    buf_reset(&out);
    wire_put_bytes(&out, WATCH_REQUEST_TARGETS, str_make(name, sizeof(name)));
    cr_assert_eq(native_session_request(session, buf_str(&out), &err), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "a target is longer than 1024 bytes");
    cr_assert_eq(native_session_request(session, STR("\x0A\x01\xFF"), &err), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "a target is not UTF-8");
}

Test(native_session, the_dump_tells_targets_and_versions)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(64 * 1024);
    struct json_writer writer = json_writer(&out);

    cr_assert_eq(watch("a b", "shop"), CODE_OK);
    next();
    json_open_object(&writer, NULL);
    native_session_dump(session, &writer, NULL, NULL);
    json_close_object(&writer);
    cr_assert_str_eq(
        buf_cstr(&out),
        "{\"namespace\":\"shop\",\"requests\":1,\"responses\":1,\"changes\":0,\"confirmations\":0,"
        "\"problems\":0,\"targets\":["
        "{\"name\":\"a\",\"version\":\"0000000000000001\"},{\"name\":\"b\",\"view\":\"zone\"}]}");
}

static bool is_named(void *ctx, const struct native_target *target)
{
    return str_eq(target->name, str_of(ctx));
}

Test(native_session, the_dump_of_some_targets_leaves_out_the_others)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(64 * 1024);
    struct json_writer writer = json_writer(&out);

    cr_assert_eq(watch("a b", "shop"), CODE_OK);
    cr_assert(native_session_has(session, is_named, "b"));
    cr_assert_not(native_session_has(session, is_named, "c"));
    json_open_object(&writer, NULL);
    native_session_dump(session, &writer, is_named, "b");
    json_close_object(&writer);
    cr_assert_not_null(strstr(buf_cstr(&out), "\"targets\":[{\"name\":\"b\",\"view\":\"zone\"}]}"));
}

/* ---- the place ---- */

static enum code watch_from(const char *target, const char *zone, const char *node)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(64 * 1024);
    size_t place;

    wire_put_bytes(&out, WATCH_REQUEST_TARGETS, str_of(target));
    place = wire_open(&out, WATCH_REQUEST_PLACE);
    if (zone)
        wire_put_bytes(&out, PLACE_ZONE, str_of(zone));
    if (node)
        wire_put_bytes(&out, PLACE_NODE, str_of(node));
    wire_close(&out, place);
    return native_session_request(session, buf_str(&out), &err);
}

Test(native_session, a_place_stays_in_force_until_another_is_given)
{
    const struct native_place *place = native_session_place(session);

    cr_assert_eq(watch("a", NULL), CODE_OK);
    cr_assert_not(place->given, "the client did not say");
    cr_assert_eq(watch_from("a", "zone-a", "node-1"), CODE_OK);
    cr_assert(str_eq(place->zone, STR("zone-a")) && str_eq(place->node, STR("node-1")));
    cr_assert_eq(watch("a b", NULL), CODE_OK);
    cr_assert(place->given && str_eq(place->zone, STR("zone-a")), "it is remembered");
    cr_assert_eq(watch_from("a", NULL, "node-2"), CODE_OK);
    cr_assert(place->zone.len == 0 && str_eq(place->node, STR("node-2")), "as given, not merged");
}

Test(native_session, another_place_makes_all_targets_new_and_the_same_does_not)
{
    cr_assert_eq(watch_from("a", "zone-a", NULL), CODE_OK);
    cr_assert_str_eq(next(), "a 1");
    cr_assert_eq(watch_from("a", "zone-a", NULL), CODE_OK);
    cr_assert_str_eq(next(), "");
    cr_assert_eq(subscribed, 1);
    cr_assert_eq(watch_from("a", "zone-b", NULL), CODE_OK);
    cr_assert_str_eq(next(), "a 1");
    cr_assert_eq(subscribed, 2);
    cr_assert_eq(watch_from("a", NULL, NULL), CODE_OK);
    cr_assert(native_session_place(session)->given, "given, and unknown");
    cr_assert_str_eq(next(), "a 1");
}

Test(native_session, an_empty_place_is_a_place_too)
{
    cr_assert_eq(watch_from("a", NULL, NULL), CODE_OK);
    cr_assert(native_session_place(session)->given);
    cr_assert_eq(watch_from("a", NULL, NULL), CODE_OK);
    cr_assert_eq(subscribed, 1);
}

Test(native_session, refuses_a_malformed_place)
{
    char text[NATIVE_TARGET_MAX + 2] = {0};

    memset(text, 'z', sizeof(text) - 1);
    cr_assert_eq(watch_from("a", text, NULL), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "place.zone is longer than 1024 bytes");
    cr_assert_eq(watch_from("a", NULL, "\xFF"), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "place.node is not UTF-8");
    cr_assert_eq(native_session_request(session, STR("\x1A\x02\x0A\x05"), &err),
                 CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "malformed place");
    cr_assert_eq(subscribed, 0);
}

static enum code watch_in_group(uint64_t group)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(1024);
    size_t place;

    wire_put_bytes(&out, WATCH_REQUEST_TARGETS, STR("a"));
    place = wire_open(&out, WATCH_REQUEST_PLACE);
    wire_put_varint(&out, PLACE_GROUP, group);
    wire_close(&out, place);
    return native_session_request(session, buf_str(&out), &err);
}

Test(native_session, a_group_is_part_of_the_place)
{
    cr_assert_eq(watch_in_group(7), CODE_OK);
    cr_assert_eq(native_session_place(session)->group, 7);
    cr_assert_str_eq(next(), "a 1");
    cr_assert_eq(watch_in_group(7), CODE_OK);
    cr_assert_str_eq(next(), "");
    cr_assert_eq(watch_in_group(NATIVE_GROUPS), CODE_OK);
    cr_assert_str_eq(next(), "a 1");
    cr_assert_eq(watch_in_group(NATIVE_GROUPS + 1), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "place.group is greater than 64");
}
