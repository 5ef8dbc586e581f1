/*
 * A grpclb stream under any requests, changes and pulls: the initial response comes first and once, no list or fallback twice in a row, the
 * newest is there at the end, and the sums are those of the reports that were accepted.
 *
 * Input: commands of one byte. 0..127: a request of so many bytes that follow; 128..191: the list
 * changes; 192..255: pull.
 */
#include "must_hold.h"
#include "protocol/grpclb.h"
#include "wire/fields.h"
#include "wire/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DUMP_MAX (1024 * 1024)

static uint64_t version; /* 0: there is no list */
static uint64_t said;    /* version + 1; 0: nothing */
static bool subscribed, greeted;
static struct blob *list;
static struct grpclb_calls sum;
static struct grpclb_session *session;

static void on_subscribe(void *ctx unused_arg, struct str name)
{
    must_hold(!subscribed);
    must_hold(name.len <= GRPCLB_NAME_MAX && wire_is_utf8(name));
    subscribed = true;
}

static void on_resolve(void *ctx unused_arg, struct grpclb_list *ret_list)
{
    must_hold(subscribed);
    *ret_list = (struct grpclb_list){version ? version : 1, version ? list : NULL,
                                     version ? NULL : "no such Service"};
}

static void on_wake(void *ctx unused_arg, bool answer unused_arg)
{
}

static void on_too_large(void *ctx unused_arg, size_t len unused_arg)
{
    abort();
}

static void on_report(void *ctx unused_arg, const struct grpclb_calls *calls)
{
    must_hold(subscribed);
    must_hold(calls->started <= GRPCLB_COUNT_MAX && calls->finished <= GRPCLB_COUNT_MAX);
    sum.started += calls->started;
    sum.finished += calls->finished;
    sum.failed_to_send += calls->failed_to_send;
    sum.received += calls->received;
    sum.dropped += calls->dropped;
}

static const struct grpclb_host host = {on_subscribe, on_resolve, on_wake,
                                        on_too_large, on_report,  NULL};

static void request(struct str message)
{
    bool before = subscribed;
    struct err err = {0};
    enum code code = grpclb_session_request(session, message, &err);

    must_hold(code == CODE_OK || code == CODE_INVALID_ARGUMENT || code == CODE_FAILED_PRECONDITION);
    must_hold(err.code == code && (code == CODE_OK) == (err.msg[0] == '\0'));
    must_hold(code == CODE_OK || subscribed == before);
    must_hold(code != CODE_OK || subscribed);
    must_hold(memcmp(&sum, grpclb_session_calls(session), sizeof(sum)) == 0);
}

static bool pull(void)
{
    struct buf head = BUFFER_INIT(64);
    struct blob *blob = NULL;
    enum grpclb_said what = grpclb_session_next(session, &head, &blob);

    must_hold(!buf_failed(&head) && (blob != NULL) == (what == GRPCLB_LIST));
    must_hold((head.len > 0) == (what == GRPCLB_INITIAL || what == GRPCLB_FALLBACK));
    must_hold(what == GRPCLB_NOTHING || (subscribed && greeted == (what != GRPCLB_INITIAL)));
    greeted = greeted || what == GRPCLB_INITIAL;
    if (what == GRPCLB_LIST || what == GRPCLB_FALLBACK) {
        must_hold(said != version + 1 && (version == 0) == (what == GRPCLB_FALLBACK));
        said = version + 1;
    }
    blob_unref(blob);
    buf_done(&head);
    return what != GRPCLB_NOTHING;
}

static void change(uint8_t byte)
{
    version = byte % 4;
    grpclb_session_touch(session);
}

static void check_settled(void)
{
    struct buf text = BUFFER_INIT(DUMP_MAX);
    struct json_writer writer = json_writer(&text);
    struct json *json = NULL;

    while (pull())
        ;
    must_hold(said == (subscribed ? version + 1 : 0));
    json_open_object(&writer, NULL);
    grpclb_session_dump(session, &writer);
    json_close_object(&writer);
    must_hold(json_parse(buf_str(&text), &json, NULL) == CODE_OK);
    json_free(json);
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    version = said = 0;
    subscribed = greeted = false;
    sum = (struct grpclb_calls){0};
    list = blob_copy("\x12", 2);
    session = grpclb_session_new(&host, NULL);
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
    grpclb_session_free(session);
    blob_unref(list);
    return 0;
}
