/*
 * A native stream under any requests, changes and pulls: every target that exists gets each of its
 * versions at most once in a row, the newest at the end, and nothing is said without cause. Changes
 * begin at what the client has, and only what its first request told is confirmed. Every target was
 * subscribed from the place that is in force.
 *
 * Input: commands of one byte. 0..127: a request of so many bytes that follow; 128..191: a list
 * changes; 192..255: pull.
 */
#include "base/hash.h"
#include "protocol/native.h"
#include "must_hold.h"
#include "wire/fields.h"
#include "wire/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LISTS 8 /* names fall into them by hash */
#define TARGETS_MAX 256

static struct {
    uint64_t version; /* 0: no list, but a problem; 3: both */
    struct blob *blob;
} lists[LISTS];

static struct {
    struct native_target *target;
    uint64_t said; /* version + 1; 0: nothing */
    uint64_t sent; /* the version that the client has, as the host was told */
    uint64_t has;  /* and as the responses say */
    uint64_t place;
} targets[TARGETS_MAX];

static size_t targets_len;
static struct str first; /* request that was accepted */
static struct native_session *session;

static uint64_t place_now(void)
{
    const struct native_place *place = native_session_place(session);

    must_hold(place->zone.len <= NATIVE_TARGET_MAX && wire_is_utf8(place->zone));
    must_hold(place->node.len <= NATIVE_TARGET_MAX && wire_is_utf8(place->node));
    must_hold(place->given || place->zone.len + place->node.len == 0);
    return hash_mix(hash_content(place->zone.ptr, place->zone.len),
                    hash_content(place->node.ptr, place->node.len)) +
           place->given;
}

static size_t list_of(struct str name)
{
    return hash_content(name.ptr, name.len) % LISTS;
}

static void on_subscribe(void *ctx unused_arg, struct native_target *target)
{
    must_hold(targets_len < TARGETS_MAX);
    for (size_t i = 0; i < targets_len; i++)
        must_hold(!str_eq(targets[i].target->name, target->name));
    targets[targets_len].target = target;
    targets[targets_len].place = place_now();
    targets[targets_len].sent = targets[targets_len].has = 0;
    targets[targets_len++].said = 0;
}

static size_t find(const struct native_target *target)
{
    for (size_t i = 0; i < targets_len; i++) {
        if (targets[i].target == target)
            return i;
    }
    abort();
}

static void on_unsubscribe(void *ctx unused_arg, struct native_target *target)
{
    size_t gone = find(target);

    targets[gone] = targets[--targets_len];
}

static void on_resolve(void *ctx unused_arg, const struct native_target *target,
                       struct native_list *ret_list)
{
    size_t list = list_of(target->name);

    (void)find(target);
    ret_list->version = lists[list].version;
    ret_list->problem = lists[list].version % 3 == 0 ? "a problem" : NULL;
}

static struct blob *on_bytes(void *ctx unused_arg, const struct native_target *target)
{
    size_t list = list_of(target->name);

    must_hold(lists[list].version != 0);
    return lists[list].blob;
}

/* Of some lists the changes are known: the two versions. */
static struct blob *on_changes(void *ctx unused_arg, const struct native_target *target)
{
    static struct blob *changes;
    size_t list = list_of(target->name), i = find(target);
    const uint8_t bytes[] = {(uint8_t)targets[i].sent, (uint8_t)lists[list].version};

    if (list % 2 || targets[i].sent == 0)
        return NULL;
    blob_unref(changes);
    changes = blob_copy(bytes, sizeof(bytes));
    return changes;
}

static void on_sent(void *ctx unused_arg, const struct native_target *target)
{
    must_hold(lists[list_of(target->name)].version != 0);
    targets[find(target)].sent = lists[list_of(target->name)].version;
}

static void on_wake(void *ctx unused_arg, bool answer unused_arg)
{
}

static const struct native_host host = {NULL,       on_subscribe, on_unsubscribe,
                                        on_resolve, on_bytes,     on_changes,
                                        on_sent,    on_wake,      NULL};

static void change(uint8_t byte)
{
    size_t list = byte % LISTS;

    lists[list].version = byte / LISTS % 4;
    for (size_t i = 0; i < targets_len; i++) {
        if (list_of(targets[i].target->name) == list)
            native_target_touch(targets[i].target);
    }
}

static void request(struct str message)
{
    struct err err = {0};
    enum code code = native_session_request(session, message, &err);

    must_hold(code == CODE_OK || code == CODE_INVALID_ARGUMENT);
    must_hold(err.code == code && (code == CODE_OK) == (err.msg[0] == '\0'));
    if (code == CODE_OK && !first.ptr)
        first = message;
    for (size_t i = 0; i < targets_len; i++)
        must_hold(targets[i].place == place_now());
}

struct said {
    struct str target, version;
    bool changes, problem;
};

static struct said read_head(struct str head)
{
    struct wire_reader reader = wire_reader(head);
    struct wire_field field;
    struct said said = {0};

    while (wire_next(&reader, &field)) {
        if (field.number == WATCH_RESPONSE_TARGET)
            said.target = field.bytes;
        else if (field.number == WATCH_RESPONSE_VERSION)
            said.version = field.bytes;
        said.changes |= field.number == WATCH_RESPONSE_CHANGES;
        said.problem |= field.number == WATCH_RESPONSE_PROBLEM;
    }
    must_hold(!reader.failed);
    return said;
}

static void check_list(size_t i, const struct said *said, const struct blob *blob)
{
    uint64_t version = lists[list_of(targets[i].target->name)].version, told;

    must_hold(said->version.len == 16 && str_hex_to_u64(said->version, &told) && told == version);
    must_hold(said->problem == (version % 3 == 0));
    if (!said->changes)
        must_hold(blob && blob->bytes[0] == 0x12);
    else if (!blob)
        must_hold(targets[i].has == 0 &&
                  memmem(first.ptr, first.len, said->version.ptr, said->version.len));
    else
        must_hold(blob->bytes[0] == targets[i].has && blob->bytes[1] == version);
    must_hold(targets[i].sent == version);
    targets[i].has = version;
}

static bool pull(void)
{
    struct buf head = BUFFER_INIT(8192);
    struct blob *blob = NULL;
    bool said = native_session_next(session, &head, &blob);
    struct said what = read_head(buf_str(&head));
    size_t i = 0;

    if (said) {
        while (i < targets_len && !str_eq(targets[i].target->name, what.target))
            i++;
        must_hold(i < targets_len);
        must_hold(targets[i].said != lists[list_of(targets[i].target->name)].version + 1);
        targets[i].said = lists[list_of(targets[i].target->name)].version + 1;
        must_hold((what.version.len == 0) == (targets[i].said == 1));
        if (what.version.len)
            check_list(i, &what, blob);
        else
            must_hold(!blob && what.problem && !what.changes);
    }
    must_hold(said || head.len == 0);
    must_hold(!buf_failed(&head));
    blob_unref(blob);
    buf_done(&head);
    return said;
}

static void check_settled(void)
{
    while (pull())
        ;
    for (size_t i = 0; i < targets_len; i++)
        must_hold(targets[i].said == lists[list_of(targets[i].target->name)].version + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    session = native_session_new(&host, NULL);
    first = (struct str){0};
    for (size_t i = 0; i < LISTS; i++) {
        lists[i].version = i % 3;
        lists[i].blob = blob_copy("\x12", 2);
    }
    for (size_t i = 0; i < size; i++) {
        size_t len = min_size(data[i], size - i - 1);

        if (data[i] >= 192) {
            (void)pull();
        } else if (data[i] >= 128) {
            change(data[i]);
        } else {
            request(str_make(data + i + 1, len));
            i += len;
        }
    }
    check_settled();
    native_session_free(session);
    must_hold(targets_len == 0);
    for (size_t i = 0; i < LISTS; i++)
        blob_unref(lists[i].blob);
    return 0;
}
