#include <criterion/criterion.h>

#include "grpc/reflection/v1/reflection.pb-c.h"
#include "protocol/reflection.h"
#include "wire/fields.h"
#include "wire/proto_file.h"
#include "wire/writer.h"

typedef Grpc__Reflection__V1__ServerReflectionResponse response;
#define CASE(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

static const struct str names[] = {STR_INIT("a.v1.One"), STR_INIT("b.Two")};
static const struct reflection_services services = {names, ARRAY_LEN(names)};
static struct buf request = BUFFER_INIT(64 * 1024);
static struct buf out = BUFFER_INIT(4 * 1024 * 1024);
static response *got;
static struct err err;

static void done(void)
{
    if (got)
        grpc__reflection__v1__server_reflection_response__free_unpacked(got, NULL);
    buf_done(&request);
    buf_done(&out);
}

TestSuite(reflection, .fini = done);

static enum code check(void)
{
    err = (struct err){0};
    return reflection_check(buf_str(&request), &err);
}

static void answer(void)
{
    cr_assert_eq(check(), CODE_OK, "%s", err.msg);
    reflection_answer(buf_str(&request), &services, &out);
    cr_assert_not(buf_failed(&out));
    got = grpc__reflection__v1__server_reflection_response__unpack(NULL, out.len,
                                                                   (const uint8_t *)out.ptr);
    cr_assert_not_null(got);
}

static void ask(uint32_t field, const char *name)
{
    wire_put_bytes(&request, field, str_of(name));
    answer();
}

static void ask_extension(const char *message, uint64_t number)
{
    size_t mark = wire_open(&request, SERVER_REFLECTION_REQUEST_FILE_CONTAINING_EXTENSION);

    wire_put_bytes(&request, EXTENSION_REQUEST_CONTAINING_TYPE, str_of(message));
    wire_put_varint(&request, EXTENSION_REQUEST_EXTENSION_NUMBER, number);
    wire_close(&request, mark);
    answer();
}

static void expect_error(const char *message)
{
    cr_assert_eq(got->message_response_case, CASE(ERROR_RESPONSE));
    cr_expect_eq(got->error_response->error_code, CODE_NOT_FOUND);
    cr_expect_str_eq(got->error_response->error_message, message);
}

/* The file, first, and so many in all. */
static void expect_files(const char *first, size_t len)
{
    const Grpc__Reflection__V1__FileDescriptorResponse *files;
    struct proto_file file;

    cr_assert_eq(got->message_response_case, CASE(FILE_DESCRIPTOR_RESPONSE));
    files = got->file_descriptor_response;
    cr_assert_eq(files->n_file_descriptor_proto, len);
    cr_assert(proto_file_find(str_of(first), &file));
    cr_expect(
        str_eq(str_make(files->file_descriptor_proto[0].data, files->file_descriptor_proto[0].len),
               file.descriptor));
}

Test(reflection, lists_the_services)
{
    ask(SERVER_REFLECTION_REQUEST_LIST_SERVICES, "*");
    cr_assert_eq(got->message_response_case, CASE(LIST_SERVICES_RESPONSE));
    cr_assert_eq(got->list_services_response->n_service, 2);
    cr_expect_str_eq(got->list_services_response->service[0]->name, "a.v1.One");
    cr_expect_str_eq(got->list_services_response->service[1]->name, "b.Two");
}

Test(reflection, repeats_the_request_and_the_host)
{
    wire_put_bytes(&request, SERVER_REFLECTION_REQUEST_HOST, STR("lookaside.example"));
    ask(SERVER_REFLECTION_REQUEST_FILE_BY_FILENAME, "grpc/health/v1/health.proto");
    cr_expect_str_eq(got->valid_host, "lookaside.example");
    cr_expect_str_eq(got->original_request->host, "lookaside.example");
    cr_expect_str_eq(got->original_request->file_by_filename, "grpc/health/v1/health.proto");
}

Test(reflection, gives_a_file_by_name)
{
    ask(SERVER_REFLECTION_REQUEST_FILE_BY_FILENAME, "grpc/health/v1/health.proto");
    expect_files("grpc/health/v1/health.proto", 1);
}

Test(reflection, gives_a_symbols_file_and_what_it_imports)
{
    ask(SERVER_REFLECTION_REQUEST_FILE_CONTAINING_SYMBOL,
        "envoy.config.endpoint.v3.ClusterLoadAssignment");
    /* endpoint_components, address, base, struct, wrappers */
    expect_files("envoy/config/endpoint/v3/endpoint.proto", 6);
}

Test(reflection, says_that_there_is_no_file)
{
    ask(SERVER_REFLECTION_REQUEST_FILE_BY_FILENAME, "no/such.proto");
    expect_error("no file 'no/such.proto'");
}

Test(reflection, says_that_there_is_no_symbol)
{
    ask(SERVER_REFLECTION_REQUEST_FILE_CONTAINING_SYMBOL, "no.Such");
    expect_error("no symbol 'no.Such'; list_services tells the services");
}

Test(reflection, a_message_has_no_extensions)
{
    ask(SERVER_REFLECTION_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE, "lookaside.v1.WatchRequest");
    cr_assert_eq(got->message_response_case, CASE(ALL_EXTENSION_NUMBERS_RESPONSE));
    cr_expect_str_eq(got->all_extension_numbers_response->base_type_name,
                     "lookaside.v1.WatchRequest");
    cr_expect_eq(got->all_extension_numbers_response->n_extension_number, 0);
}

Test(reflection, what_is_no_message_can_have_no_extensions)
{
    ask(SERVER_REFLECTION_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE, "lookaside.v1.BackendDiscovery");
    expect_error("no message 'lookaside.v1.BackendDiscovery'");
}

Test(reflection, says_that_there_is_no_extension)
{
    ask_extension("lookaside.v1.WatchRequest", 1000);
    expect_error("no extension 1000 of 'lookaside.v1.WatchRequest'");
}

Test(reflection, says_that_an_extensions_message_is_none)
{
    ask_extension("no.Such", 1);
    expect_error("no message 'no.Such'");
}

Test(reflection, the_last_question_of_a_request_counts)
{
    wire_put_bytes(&request, SERVER_REFLECTION_REQUEST_LIST_SERVICES, STR("*"));
    ask(SERVER_REFLECTION_REQUEST_FILE_BY_FILENAME, "no/such.proto");
    expect_error("no file 'no/such.proto'");
}

Test(reflection, an_error_ends_with_a_whole_letter)
{
    char name[REFLECTION_NAME_MAX + 1] = {0};

    for (size_t i = 0; i + 2 <= REFLECTION_NAME_MAX; i += 2)
        memcpy(name + i, "\xc3\xa4", 2);
    ask(SERVER_REFLECTION_REQUEST_FILE_BY_FILENAME, name);
    cr_assert_eq(got->message_response_case, CASE(ERROR_RESPONSE));
    cr_expect(wire_is_utf8(str_of(got->error_response->error_message)));
}

Test(reflection, refuses_what_asks_nothing)
{
    cr_expect_eq(check(), CODE_INVALID_ARGUMENT);
    cr_expect_str_eq(err.msg, "the ServerReflectionRequest asks nothing: set list_services or "
                              "another of message_request");
}

Test(reflection, refuses_what_is_no_request)
{
    static const char *const broken[] = {"\x3a\x7f", "\xff\xff\xff", "\x2a\x02\x0a\x05"};

    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        buf_reset(&request);
        buf_add_str(&request, str_of(broken[i]));
        cr_expect_eq(check(), CODE_INVALID_ARGUMENT);
        cr_expect(str_starts_with(str_of(err.msg), STR("malformed")), "%s", err.msg);
    }
}

Test(reflection, refuses_a_name_that_is_too_long)
{
    char name[REFLECTION_NAME_MAX + 2] = {0};

    memset(name, 'x', sizeof(name) - 1);
    wire_put_bytes(&request, SERVER_REFLECTION_REQUEST_FILE_CONTAINING_SYMBOL, str_of(name));
    cr_expect_eq(check(), CODE_RESOURCE_EXHAUSTED);
    cr_expect_str_eq(err.msg, "the name asked for is longer than 1024 bytes");
}

Test(reflection, refuses_a_name_that_is_no_text)
{
    wire_put_bytes(&request, SERVER_REFLECTION_REQUEST_FILE_BY_FILENAME, STR("\xff"));
    cr_expect_eq(check(), CODE_INVALID_ARGUMENT);
    cr_expect_str_eq(err.msg, "the name asked for is not UTF-8");
}
