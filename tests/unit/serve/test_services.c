/* The method table and the .proto files that server reflection tells have to agree. */
#include <criterion/criterion.h>

#include "base/base.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "serve/services.h"
#include "wire/proto_file.h"

#define PATH_TEXT_MAX 256

/* "/a.B/C" → "a.B.C" */
static struct str full_name(struct str path, char out[PATH_TEXT_MAX])
{
    struct str rest = str_slice(path, 1, path.len);
    struct str service = str_cut(&rest, '/');
    int len =
        snprintf(out, PATH_TEXT_MAX, "%" STR_FMT ".%" STR_FMT, STR_ARG(service), STR_ARG(rest));

    return str_make(out, (size_t)len);
}

Test(services, every_method_is_declared)
{
    for (size_t i = 0; i < service_methods_len; i++) {
        char text[PATH_TEXT_MAX];
        struct str method = full_name(service_methods[i].path, text);
        struct proto_symbol symbol;

        cr_expect(proto_symbol_find(method, &symbol), "%s", text);
    }
}

static bool is_served(const char *package, const char *service, const char *method)
{
    char path[PATH_TEXT_MAX];

    snprintf(path, sizeof(path), "/%s.%s/%s", package, service, method);
    for (size_t i = 0; i < service_methods_len; i++)
        if (str_eq(service_methods[i].path, str_of(path)))
            return true;
    return false;
}

/* A file of a service that is not served here stays out of DESCRIBED in the Makefile. */
static void check_file(const struct proto_file *file)
{
    Google__Protobuf__FileDescriptorProto *found = google__protobuf__file_descriptor_proto__unpack(
        NULL, file->descriptor.len, (const uint8_t *)file->descriptor.ptr);

    cr_assert_not_null(found);
    for (size_t i = 0; i < found->n_service; i++) {
        const Google__Protobuf__ServiceDescriptorProto *service = found->service[i];

        for (size_t j = 0; j < service->n_method; j++)
            cr_expect(is_served(found->package, service->name, service->method[j]->name),
                      "%s.%s/%s is told and not served", found->package, service->name,
                      service->method[j]->name);
    }
    google__protobuf__file_descriptor_proto__free_unpacked(found, NULL);
}

Test(services, every_method_that_is_told_is_served)
{
    struct proto_file file;

    for (size_t i = 0; proto_file_at(i, &file); i++)
        check_file(&file);
}

Test(services, each_service_has_its_name_once)
{
    struct str names[SERVICES_MAX + 1];
    size_t len = 0;

    while (len <= SERVICES_MAX && service_name_at(len, &names[len]))
        len++;
    cr_expect_gt(len, 3);
    cr_expect_leq(len, SERVICES_MAX);
    for (size_t i = 0; i < len; i++)
        for (size_t j = 0; j < i; j++)
            cr_expect_not(str_eq(names[i], names[j]), "%.*s", STR_ARG(names[i]));
}
