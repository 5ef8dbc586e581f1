/* Objects whose fields are anything: they are taken or refused by name, and nothing else happens. */
#include "fixture.h"

#include "controller/decode.h"

static const char service_text[] =
    "{'kind':'Service','metadata':{'name':'g','namespace':'shop','uid':'u','resourceVersion':'7',"
    "'labels':{'a':'b'},'annotations':{'c':'d'}},'spec':{'type':'ExternalName','externalName':"
    "'db.example.com','clusterIP':'10.9.0.1','ipFamilies':['IPv4','IPv6'],"
    "'internalTrafficPolicy':'Local','selector':{'app':'g'},'ports':[{'name':'grpc','port':8001,"
    "'targetPort':'grpc','protocol':'TCP','appProtocol':'grpc','nodePort':30000},{'name':'m','port'"
    ":"
    "9090}],'sessionAffinity':'None','trafficDistribution':'PreferSameZone'},'status':{}}";

static const char slice_text[] =
    "{'kind':'EndpointSlice','metadata':{'name':'g','namespace':'shop','resourceVersion':'7',"
    "'labels':{'kubernetes.io/service-name':'g'},'ownerReferences':[{'apiVersion':'v1','kind':"
    "'Service','uid':'u'}]},"
    "'addressType':'IPv4','ports':[{'name':'grpc','port':9001,'protocol':'TCP','appProtocol':'x'}],"
    "'endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':true,'serving':true,"
    "'terminating':false},'hostname':'g-0','nodeName':'n','zone':'z','targetRef':{'kind':'Pod',"
    "'name':'g-0','uid':'p'},'hints':{'forZones':[{'name':'z'}],'forNodes':[{'name':'n'}]},"
    "'deprecatedTopology':{'x':'y'}},{'addresses':['10.0.0.2']}]}";

/* What a value may be replaced by. */
static const char *const absurd[] = {
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "70000",
    "65536",
    "1e300",
    "18446744073709551616",
    "\"\"",
    "\"x\"",
    "\"\\u00e9\\ud83d\\ude00\"",
    "\" 10.0.0.1 \"",
    "\"999.1.1.1\"",
    "[]",
    "{}",
    "[null]",
    "[[]]",
    "[{}]",
    "{\"a\":null}",
    "{\"name\":null}",
    "[\"x\",7]",
};

/* Where the value that begins at `at` ends. */
static size_t value_end(const char *text, size_t at)
{
    int depth = 0;
    bool quoted = false;

    for (;; at++) {
        if (text[at] == '"')
            quoted = !quoted;
        if (quoted)
            continue;
        if (depth == 0 && strchr(",]}", text[at]))
            return at;
        depth += text[at] == '{' || text[at] == '[';
        depth -= text[at] == '}' || text[at] == ']';
    }
}

/* Behind a comma stands a value only in an array; in an object it is a key, and a colon follows. */
static bool is_value(const char *text, size_t at)
{
    if (at == 0 || !strchr(":[,", text[at - 1]) || strchr("]}", text[at]))
        return false;
    return text[at - 1] != ',' || text[at] != '"' ||
           memchr(text + at, ':', value_end(text, at) - at) == NULL;
}

static enum code decode(const struct json *json, bool service, struct err *err)
{
    struct service_object *object = NULL;
    const struct slice *slice = NULL;
    struct object_meta meta;
    enum code code = decode_meta(json, &meta, err);

    if (code != CODE_OK)
        return code;
    code = service ? decode_service(json, &meta, &object, err)
                   : decode_slice(json, &meta, &slice, err);
    cr_assert(code == CODE_OK || (!object && !slice));
    service_object_free(object);
    slice_unref(slice);
    return code;
}

static void check_one(const char *text, bool service)
{
    struct json *json = NULL;
    struct err err = {0};

    cr_assert_eq(json_parse(str_of(text), &json, &err), CODE_OK, "%s: %s", err.msg, text);
    if (decode(json, service, &err) != CODE_OK)
        cr_assert(str_starts_with(str_of(err.msg), STR("shop/")) ||
                      str_starts_with(str_of(err.msg), STR("default/")) ||
                      str_starts_with(str_of(err.msg), STR("metadata")),
                  "%s for %s", err.msg, text);
    json_free(json);
}

/* Puts every absurd value in the place of every value. */
static size_t replace_all(const char *original, bool service)
{
    char text[2048], changed[2048];
    size_t len = strlen(original), values = 0;

    for (size_t i = 0; i <= len; i++)
        text[i] = original[i] == '\'' ? '"' : original[i];
    for (size_t at = 0; at < len; at++) {
        if (!is_value(text, at))
            continue;
        values++;
        for (size_t i = 0; i < ARRAY_LEN(absurd); i++) {
            snprintf(changed, sizeof(changed), "%.*s%s%s", (int)at, text, absurd[i],
                     text + value_end(text, at));
            check_one(changed, service);
        }
    }
    return values;
}

Test(decode_absurd, any_value_in_the_place_of_any_other)
{
    cr_assert_eq(replace_all(service_text, true), 34);
    cr_assert_eq(replace_all(slice_text, false), 46);
}

/* Of two members of one name the first counts, for all fields alike. */
Test(decode_absurd, a_key_that_stands_twice)
{
    struct json *json = parse("{'metadata':{'name':'g','name':'h'},'spec':{'ports':[{'port':80,"
                              "'port':'x'}],'ports':7,'internalTrafficPolicy':'Local',"
                              "'internalTrafficPolicy':'Odd'},'spec':null}");
    struct service_object *service = NULL;
    struct object_meta meta;
    struct err err = {0};

    cr_assert_eq(decode_meta(json, &meta, &err), CODE_OK, "%s", err.msg);
    cr_assert_eq(decode_service(json, &meta, &service, &err), CODE_OK, "%s", err.msg);
    cr_assert(str_eq(service->spec.name, STR("g")));
    cr_assert_eq(service->spec.ports[0].number, 80);
    cr_assert(service->spec.local);
    service_object_free(service);
    json_free(json);
}

/* The largest that etcd takes is about 1.5 MiB. */
Test(decode_absurd, an_annotation_of_a_mebibyte)
{
    struct buf text = BUFFER_INIT(4 << 20);
    struct json *json = NULL;
    struct err err = {0};

    buf_printf(&text, "{\"metadata\":{\"name\":\"g\",\"annotations\":{\"kubectl.kubernetes.io/"
                      "last-applied-configuration\":\"");
    for (size_t i = 0; i < (1 << 20) / 16; i++)
        buf_append(&text, "0123456789abcdef", 16);
    buf_printf(&text, "\"}},\"spec\":{\"ports\":[{\"port\":80}]}}");
    cr_assert_eq(json_parse(buf_str(&text), &json, &err), CODE_OK, "%s", err.msg);
    cr_assert_eq(decode(json, true, &err), CODE_OK, "%s", err.msg);
    json_free(json);
    buf_done(&text);
}

/* It never comes so far: what is not UTF-8 is no JSON. */
Test(decode_absurd, bytes_that_are_no_utf8)
{
    static const char *const names[] = {"\xff", "\xc3\x28", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80"};
    char text[256];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct json *json = NULL;
        struct err err = {0};

        snprintf(text, sizeof(text), "{\"metadata\":{\"name\":\"g\",\"labels\":{\"a\":\"%s\"}}}",
                 names[i]);
        cr_assert_neq(json_parse(str_of(text), &json, &err), CODE_OK);
        cr_assert_null(json);
    }
}

/* As many of everything as the API allows, each as long as it allows. */
Test(decode_absurd, a_slice_that_is_as_large_as_can_be)
{
    struct buf text = BUFFER_INIT(8 << 20);
    char longest[254];
    struct json *json = NULL;
    struct err err = {0};
    const struct slice *slice = NULL;
    struct object_meta meta;

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    buf_printf(&text, "{\"metadata\":{\"name\":\"%s\"},\"addressType\":\"IPv6\",\"ports\":[",
               longest);
    for (int i = 0; i < SLICE_PORTS_MAX; i++)
        buf_printf(&text, "%s{\"name\":\"p%d\",\"port\":%d}", i ? "," : "", i, 65535 - i);
    buf_printf(&text, "],\"endpoints\":[");
    for (int i = 0; i < SLICE_ENDPOINTS_MAX; i++)
        buf_printf(&text,
                   "%s{\"addresses\":[\"1111:1111:1111:1111:1111:1111:1111:%x\"],\"zone\":\"%s\","
                   "\"nodeName\":\"%s\",\"hints\":{\"forZones\":[{\"name\":\"%s\"}]}}",
                   i ? "," : "", i, longest, longest, longest);
    buf_printf(&text, "]}");
    cr_assert_eq(json_parse(buf_str(&text), &json, &err), CODE_OK, "%s", err.msg);
    cr_assert_eq(decode_meta(json, &meta, &err), CODE_OK, "%s", err.msg);
    cr_assert_eq(decode_slice(json, &meta, &slice, &err), CODE_OK, "%s", err.msg);
    cr_assert_eq(slice->endpoints_len, SLICE_ENDPOINTS_MAX);
    cr_assert_eq(slice->ports_len, SLICE_PORTS_MAX);
    slice_unref(slice);
    json_free(json);
    buf_done(&text);
}
