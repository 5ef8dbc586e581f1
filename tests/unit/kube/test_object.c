#include <criterion/criterion.h>

#include "kube/object.h"

static void assert_page_refused(const char *text, const char *message)
{
    struct json *tree = NULL;
    struct list_page page;
    struct err err = {0};

    cr_assert_neq(list_page_parse(str_of(text), &tree, &page, &err), CODE_OK, "%s", text);
    cr_assert_not_null(strstr(err.msg, message), "'%s' is not in '%s'", message, err.msg);
    cr_assert_null(tree);
}

static void assert_event_refused(const char *text, const char *message)
{
    struct json *tree = NULL;
    struct watch_event event;
    struct err err = {0};

    cr_assert_neq(watch_event_parse(str_of(text), &tree, &event, &err), CODE_OK, "%s", text);
    cr_assert_not_null(strstr(err.msg, message), "'%s' is not in '%s'", message, err.msg);
    cr_assert_null(tree);
}

Test(object, page_has_items_version_and_continue)
{
    CLEANUP(json_freep) struct json *tree = NULL;
    struct list_page page;

    cr_assert_eq(
        list_page_parse(STR("{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"7\","
                            "\"continue\":\"more\"},\"items\":[{},{}]}"),
                        &tree, &page, NULL),
        CODE_OK);
    cr_assert(str_eq(page.version, STR("7")));
    cr_assert(str_eq(page.next, STR("more")));
    cr_assert_eq(json_len(page.items), 2);
}

Test(object, page_of_null_items_is_empty)
{
    CLEANUP(json_freep) struct json *tree = NULL;
    struct list_page page;

    cr_assert_eq(list_page_parse(STR("{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":"
                                     "\"7\"},\"items\":null}"),
                                 &tree, &page, NULL),
                 CODE_OK);
    cr_assert_null(json_first(page.items));
    cr_assert_eq(page.next.len, 0);
}

Test(object, page_that_could_pass_for_an_empty_list_is_refused)
{
    assert_page_refused("", "");
    assert_page_refused("{}", "expected a list");
    assert_page_refused("[]", "expected an object");
    assert_page_refused(
        "{\"kind\":\"Status\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[]}",
        "expected a list, found 'Status'");
    assert_page_refused("{\"kind\":\"ServiceList\",\"metadata\":{},\"items\":[]}",
                        "metadata.resourceVersion: is missing");
    assert_page_refused("{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"1\"}}",
                        "items: is missing");
    assert_page_refused(
        "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":{}}",
        "items: expected an array");
    assert_page_refused(
        "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":1},\"items\":[]}",
        "metadata.resourceVersion: expected a string");
    assert_page_refused(
        "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[", "");
}

Test(object, event_has_type_object_and_version)
{
    static const struct {
        const char *name;
        enum watch_event_type type;
    } cases[] = {{"ADDED", WATCH_ADDED},
                 {"MODIFIED", WATCH_MODIFIED},
                 {"DELETED", WATCH_DELETED},
                 {"BOOKMARK", WATCH_BOOKMARK}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) struct json *tree = NULL;
        CLEANUP(freep) char *line = NULL;
        struct watch_event event;

        cr_assert_gt(asprintf(&line,
                              "{\"type\":\"%s\",\"object\":{\"metadata\":{\"name\":\"a\","
                              "\"namespace\":\"b\",\"resourceVersion\":\"9\"}}}",
                              cases[i].name),
                     0);
        cr_assert_eq(watch_event_parse(str_of(line), &tree, &event, NULL), CODE_OK);
        cr_assert_eq(event.type, cases[i].type);
        cr_assert(str_eq(event.meta.name, STR("a")));
        cr_assert(str_eq(event.meta.namespace_name, STR("b")));
        cr_assert(str_eq(event.meta.version, STR("9")));
    }
}

Test(object, error_event_carries_code_and_message)
{
    CLEANUP(json_freep) struct json *tree = NULL;
    struct watch_event event;

    cr_assert_eq(watch_event_parse(STR("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\","
                                       "\"code\":410,\"message\":\"too old\"}}"),
                                   &tree, &event, NULL),
                 CODE_OK);
    cr_assert_eq(event.type, WATCH_ERROR);
    cr_assert_eq(event.error_code, 410);
    cr_assert(str_eq(event.error_message, STR("too old")));
    cr_assert_eq(event.retry_after_ms, 0);
}

Test(object, reads_how_long_a_status_asks_to_stay_away)
{
    static const struct {
        const char *seconds;
        uint64_t ms;
    } cases[] = {{"3", 3000},
                 {"0", 0},
                 {"-5", 0},
                 {"1e300", RETRY_AFTER_MAX_MS},
                 {"\"3\"", 0},
                 {"null", 0},
                 {"300", RETRY_AFTER_MAX_MS}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(json_freep) struct json *tree = NULL;
        char text[128];

        snprintf(text, sizeof(text), "{\"details\":{\"retryAfterSeconds\":%s}}", cases[i].seconds);
        cr_assert_eq(json_parse(str_of(text), &tree, NULL), CODE_OK, "%s", text);
        cr_assert_eq(status_retry_after_ms(tree), cases[i].ms, "%s", text);
    }
}

Test(object, event_that_the_api_does_not_know_is_refused)
{
    assert_event_refused("{\"type\":\"ADDED\"", "");
    assert_event_refused("null", "expected an object, found a null");
    assert_event_refused("{\"type\":\"ADDED\"}", "object: is missing");
    assert_event_refused("{\"type\":\"RENAMED\",\"object\":{}}", "unknown event 'RENAMED'");
    assert_event_refused("{\"object\":{}}", "unknown event ''");
    assert_event_refused("{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}",
                         "object.metadata.resourceVersion: is missing");
    assert_event_refused("{\"type\":\"ADDED\",\"object\":[]}", "object: expected an object");
}
