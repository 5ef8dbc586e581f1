/* Every file is read by generated code too, and what stands in it must be found by its name. */
#include <criterion/criterion.h>

#include "base/buf.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "wire/proto_file.h"

#define DISCOVERY "lookaside/v1/discovery.proto"
#define ASSIGNMENT "envoy/config/endpoint/v3/endpoint.proto"

typedef Google__Protobuf__FileDescriptorProto descriptor;

static struct buf name = BUFFER_INIT(1024);
static size_t visits;

static void done(void)
{
    buf_done(&name);
}

TestSuite(proto_file, .fini = done);

static descriptor *unpack(const struct proto_file *file)
{
    descriptor *unpacked = google__protobuf__file_descriptor_proto__unpack(
        NULL, file->descriptor.len, (const uint8_t *)file->descriptor.ptr);

    cr_assert_not_null(unpacked);
    return unpacked;
}

static const char *join(struct str scope, const char *own)
{
    buf_reset(&name);
    cr_assert_eq(buf_printf(&name, "%" STR_FMT ".%s", STR_ARG(scope), own), CODE_OK);
    return buf_cstr(&name);
}

/* ---- by name ---- */

static void must_find(struct str scope, const char *own, const struct proto_file *in,
                      bool is_message)
{
    struct proto_symbol symbol;
    const char *full = join(scope, own);

    cr_assert(proto_symbol_find(str_of(full), &symbol), "%s", full);
    cr_expect(str_eq(symbol.file.name, in->name), "%s", full);
    cr_expect_eq(symbol.is_message, is_message, "%s", full);
}

static void check_enum(struct str scope, const Google__Protobuf__EnumDescriptorProto *found,
                       const struct proto_file *in)
{
    must_find(scope, found->name, in, false);
    for (size_t i = 0; i < found->n_value; i++)
        must_find(scope, found->value[i]->name, in, false);
}

static void check_message(struct str scope, const Google__Protobuf__DescriptorProto *message,
                          const struct proto_file *in)
{
    CLEANUP(freep) char *full = xstrdup(join(scope, message->name));

    must_find(scope, message->name, in, true);
    cr_expect_eq(message->n_extension, 0, "reflection says that there are none");
    for (size_t i = 0; i < message->n_field; i++)
        must_find(str_of(full), message->field[i]->name, in, false);
    for (size_t i = 0; i < message->n_oneof_decl; i++)
        must_find(str_of(full), message->oneof_decl[i]->name, in, false);
    for (size_t i = 0; i < message->n_enum_type; i++)
        check_enum(str_of(full), message->enum_type[i], in);
    for (size_t i = 0; i < message->n_nested_type; i++)
        check_message(str_of(full), message->nested_type[i], in);
}

static void check_service(struct str scope, const Google__Protobuf__ServiceDescriptorProto *service,
                          const struct proto_file *in)
{
    CLEANUP(freep) char *full = xstrdup(join(scope, service->name));

    must_find(scope, service->name, in, false);
    for (size_t i = 0; i < service->n_method; i++)
        must_find(str_of(full), service->method[i]->name, in, false);
}

static void check_file(const struct proto_file *file)
{
    descriptor *found = unpack(file);
    struct str package = str_of(found->package);
    struct proto_file same;

    cr_assert(proto_file_find(str_of(found->name), &same));
    cr_expect_eq(same.descriptor.ptr, file->descriptor.ptr);
    cr_expect_eq(found->n_extension, 0, "reflection says that there are none");
    for (size_t i = 0; i < found->n_message_type; i++)
        check_message(package, found->message_type[i], file);
    for (size_t i = 0; i < found->n_enum_type; i++)
        check_enum(package, found->enum_type[i], file);
    for (size_t i = 0; i < found->n_service; i++)
        check_service(package, found->service[i], file);
    google__protobuf__file_descriptor_proto__free_unpacked(found, NULL);
}

Test(proto_file, all_that_is_declared_is_found_in_its_file)
{
    struct proto_file file;
    size_t len = 0;

    while (proto_file_at(len, &file)) {
        check_file(&file);
        len++;
    }
    cr_expect_gt(len, 20);
    cr_expect_lt(len, PROTO_FILES_MAX);
}

Test(proto_file, what_is_not_declared_is_not_found)
{
    static const char *const names[] = {
        "",
        ".",
        "lookaside",
        "lookaside.v1",
        "lookaside.v1.",
        "lookaside.v1.Watch",
        "lookaside.v1.WatchRequest.",
        "lookaside.v1.WatchRequest.target",
        "lookaside.v1.WatchRequests",
        ".lookaside.v1.WatchRequest",
        "v1.WatchRequest",
        "WatchRequest",
        "lookaside.v1.BackendDiscovery/Watch",
        "lookaside.v1.WatchRequest.targets.targets",
        "grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING", /* values stand beside enums */
        "helloworld.Greeter",                                       /* only the greeter serves it */
        "google.protobuf.FileDescriptorProto",
    };
    struct proto_symbol symbol;
    struct proto_file file;

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        cr_expect_not(proto_symbol_find(str_of(names[i]), &symbol), "%s", names[i]);
    cr_expect_not(proto_file_find(STR(""), &file));
    cr_expect_not(proto_file_find(STR("lookaside/v1/discovery"), &file));
    cr_expect_not(proto_file_find(STR("helloworld.proto"), &file));
}

Test(proto_file, comments_are_told_too)
{
    struct proto_file file;

    cr_assert(proto_file_find(STR(DISCOVERY), &file));
    cr_expect_not_null(
        memmem(file.descriptor.ptr, file.descriptor.len, "The full set of targets wanted", 30));
}

/* ---- imports ---- */

struct visited {
    struct str names[PROTO_FILES_MAX];
    size_t len;
};

static bool was_visited(const struct visited *visited, struct str file)
{
    for (size_t i = 0; i < visited->len; i++)
        if (str_eq(visited->names[i], file))
            return true;
    return false;
}

static void on_visit(void *ctx, const struct proto_file *file)
{
    struct visited *visited = ctx;

    cr_assert_not(was_visited(visited, file->name), "%.*s comes twice", STR_ARG(file->name));
    visited->names[visited->len++] = file->name;
    visits++;
}

/* Whoever gets these files needs no other. */
static void check_closed(const struct visited *visited)
{
    for (size_t i = 0; i < visited->len; i++) {
        struct proto_file file;
        descriptor *found;

        cr_assert(proto_file_find(visited->names[i], &file));
        found = unpack(&file);
        for (size_t j = 0; j < found->n_dependency; j++)
            cr_expect(was_visited(visited, str_of(found->dependency[j])), "%s lacks %s",
                      found->name, found->dependency[j]);
        google__protobuf__file_descriptor_proto__free_unpacked(found, NULL);
    }
}

Test(proto_file, comes_with_all_that_it_needs_and_first)
{
    struct proto_file file;

    for (size_t i = 0; proto_file_at(i, &file); i++) {
        struct visited visited = {.len = 0};

        proto_file_each_needed(&file, on_visit, &visited);
        cr_assert_gt(visited.len, 0);
        cr_expect(str_eq(visited.names[0], file.name));
        check_closed(&visited);
    }
    cr_expect_gt(visits, 40);
}

Test(proto_file, comes_with_nothing_else)
{
    struct visited visited = {.len = 0};
    struct proto_file file;

    cr_assert(proto_file_find(STR(ASSIGNMENT), &file));
    proto_file_each_needed(&file, on_visit, &visited);
    cr_expect(was_visited(&visited, STR("google/protobuf/wrappers.proto")),
              "of an import's import");
    cr_expect_not(was_visited(&visited, STR(DISCOVERY)));
    cr_expect_not(was_visited(&visited, STR("google/protobuf/any.proto")));
}
