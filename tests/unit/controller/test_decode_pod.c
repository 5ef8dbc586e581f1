#include "fixture.h"

#include "controller/decode.h"

static enum code decode(const char *text, struct pod_object *ret_pod, struct err *err)
{
    struct json *json = parse(text);
    struct object_meta meta;
    enum code code = decode_meta(json, &meta, err);

    if (code == CODE_OK)
        code = decode_pod(json, &meta, ret_pod, err);
    ret_pod->account = str_eq(ret_pod->account, STR("frontend")) ? STR("frontend") : STR("");
    json_free(json);
    return code;
}

#define META "'metadata':{'namespace':'web','name':'a'}"
#define POD(spec, status) "{" META ",'spec':{" spec "},'status':{" status "}}"
#define ACCOUNT "'serviceAccountName':'frontend'"
#define IPS "'podIPs':[{'ip':'10.0.0.1'},{'ip':'fd00::1'}]"

static size_t addresses_of(const char *text)
{
    struct pod_object pod = {.account = STR("")};
    struct err err = {0};

    cr_assert_eq(decode(text, &pod, &err), CODE_OK, "%s: %s", text, err.msg);
    return pod.len;
}

Test(decode_pod, reads_account_and_addresses)
{
    struct pod_object pod = {.account = STR("")};
    struct pod_address first, second;
    struct err err = {0};

    cr_assert(pod_address_parse(STR("10.0.0.1"), &first));
    cr_assert(pod_address_parse(STR("fd00::1"), &second));
    cr_assert_eq(decode(POD(ACCOUNT ",'nodeName':'n'", IPS ",'podIP':'10.0.0.9'"), &pod, &err),
                 CODE_OK, "%s", err.msg);
    cr_assert(str_eq(pod.account, STR("frontend")));
    cr_assert_eq(pod.len, 2);
    cr_assert_arr_eq(pod.addresses[0].bytes, first.bytes, sizeof(first.bytes));
    cr_assert_arr_eq(pod.addresses[1].bytes, second.bytes, sizeof(second.bytes));
}

Test(decode_pod, whoever_lives_has_addresses)
{
    cr_assert_eq(addresses_of(POD(ACCOUNT, IPS)), 2);
    cr_assert_eq(addresses_of(POD(ACCOUNT, IPS ",'phase':'Pending'")), 2, "init containers run");
    cr_assert_eq(addresses_of(POD(ACCOUNT, IPS ",'phase':'Running'")), 2);
    cr_assert_eq(addresses_of(POD(ACCOUNT, IPS ",'phase':'Unknown'")), 2);
    cr_assert_eq(addresses_of(POD(ACCOUNT ",'hostNetwork':false", IPS)), 2);
    cr_assert_eq(
        addresses_of("{'metadata':{'namespace':'web','name':'a','deletionTimestamp':'2026'},"
                     "'spec':{" ACCOUNT "},'status':{" IPS "}}"),
        2, "it runs until it is gone");
}

Test(decode_pod, who_identifies_nobody)
{
    cr_assert_eq(addresses_of(POD(ACCOUNT, IPS ",'phase':'Succeeded'")), 0);
    cr_assert_eq(addresses_of(POD(ACCOUNT, IPS ",'phase':'Failed'")), 0);
    cr_assert_eq(addresses_of(POD(ACCOUNT ",'hostNetwork':true", IPS)), 0);
    cr_assert_eq(addresses_of(POD(ACCOUNT ",'hostNetwork':true", "'podIPs':[{'ip':'127.0.0.1'}]")),
                 0, "a node's may be of any kind");
    cr_assert_eq(addresses_of(POD("", IPS)), 0, "a mirror pod");
    cr_assert_eq(addresses_of(POD("'serviceAccountName':''", IPS)), 0);
    cr_assert_eq(addresses_of(POD(ACCOUNT, "'podIP':'10.0.0.1'")), 0);
    cr_assert_eq(addresses_of(POD(ACCOUNT, "'podIPs':[]")), 0);
    cr_assert_eq(addresses_of("{" META "}"), 0);
}

/* Labels of 63 bytes, and a last one that makes it so long. */
static enum code decode_account_of(size_t len)
{
    char name[OBJECT_NAME_MAX + 2], text[1024];
    struct pod_object pod;

    memset(name, 'a', len);
    name[63] = name[127] = name[191] = '.';
    name[len] = '\0';
    snprintf(text, sizeof(text), POD("'serviceAccountName':'%s'", IPS), name);
    return decode(text, &pod, NULL);
}

Test(decode_pod, an_account_has_a_name_of_253_bytes_at_most)
{
    cr_assert_eq(decode_account_of(OBJECT_NAME_MAX), CODE_OK);
    cr_assert_eq(decode_account_of(OBJECT_NAME_MAX + 1), CODE_INVALID_ARGUMENT);
}

Test(decode_pod, names_what_is_wrong)
{
#define IP(text) POD(ACCOUNT, "'podIPs':[{'ip':" text "}]")
    static const struct {
        const char *text, *error;
    } cases[] = {
        {POD("'serviceAccountName':7", IPS),
         "web/a: spec.serviceAccountName: expected a string, found a number"},
        {POD("'serviceAccountName':'a/b'", IPS),
         "web/a: spec.serviceAccountName: 'a/b' is no valid name"},
        {POD(ACCOUNT ",'hostNetwork':'true'", IPS),
         "web/a: spec.hostNetwork: expected a boolean, found a string"},
        {POD(ACCOUNT, IPS ",'phase':{}"),
         "web/a: status.phase: expected a string, found an object"},
        {POD(ACCOUNT, "'podIPs':{}"), "web/a: status.podIPs: expected an array, found an object"},
        {POD(ACCOUNT, "'podIPs':['10.0.0.1']"),
         "web/a: status.podIPs[0]: expected an object, found a string"},
        {POD(ACCOUNT, "'podIPs':[{}]"), "web/a: status.podIPs[0].ip: '' is no address of a pod"},
        {IP("'127.0.0.1'"), "web/a: status.podIPs[0].ip: '127.0.0.1' is no address of a pod"},
        {IP("7"), "web/a: status.podIPs[0].ip: expected a string, found a number"},
        {POD(ACCOUNT, "'podIPs':[{'ip':'10.0.0.1'},{'ip':'10.0.0.2'},{'ip':'10.0.0.3'}]"),
         "web/a: status.podIPs: more than 2"},
        {"{" META ",'spec':[]}", "web/a: spec: expected an object, found an array"},
        {"{" META ",'status':7}", "web/a: status: expected an object, found a number"},
        {"{'metadata':{'name':'A'}}", "metadata.name: 'A' is no valid name"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pod_object pod = {.account = STR("")};
        struct err err = {0};

        cr_assert_eq(decode(cases[i].text, &pod, &err), CODE_INVALID_ARGUMENT, "%s", cases[i].text);
        cr_assert_str_eq(err.msg, cases[i].error);
        cr_assert_eq(pod.len, 0);
    }
}
