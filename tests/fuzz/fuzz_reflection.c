/*
 * Any ServerReflectionRequest: what passes the check is answered, once, with the request repeated in front
 * and one thing behind it: files of which the first is the one that was asked for, names, or an error for
 * people. What does not pass is malformed, asks nothing or is too long.
 */
#include "must_hold.h"
#include "protocol/reflection.h"
#include "wire/fields.h"
#include "wire/proto_file.h"
#include "wire/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ANSWER_MAX (256 * 1024) /* without the request */

static const struct str names[] = {STR_INIT("a.v1.One"), STR_INIT("b.Two")};
static const struct reflection_services services = {names, ARRAY_LEN(names)};

static void check_files(struct str bytes)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    size_t files = 0;

    while (wire_next(&reader, &field)) {
        must_hold(field.number == FILE_DESCRIPTOR_RESPONSE_FILE_DESCRIPTOR_PROTO);
        must_hold(field.bytes.len > 0);
        files++;
    }
    must_hold(!reader.failed && files > 0 && files <= PROTO_FILES_MAX);
}

static void check_services(struct str bytes)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    size_t len = 0;

    for (; wire_next(&reader, &field); len++) {
        struct wire_reader inner = wire_reader(field.bytes);
        struct wire_field name;

        must_hold(len < services.len && wire_next(&inner, &name));
        must_hold(name.number == SERVICE_RESPONSE_NAME && str_eq(name.bytes, names[len]));
    }
    must_hold(!reader.failed && len == services.len);
}

static void check_error(struct str bytes)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;

    must_hold(wire_next(&reader, &field) && field.number == ERROR_RESPONSE_ERROR_CODE);
    must_hold(field.value == CODE_NOT_FOUND);
    must_hold(wire_next(&reader, &field) && field.number == ERROR_RESPONSE_ERROR_MESSAGE);
    must_hold(field.bytes.len > 0 && wire_is_utf8(field.bytes));
    must_hold(!wire_next(&reader, &field) && !reader.failed);
}

static void check_numbers(struct str bytes)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;

    must_hold(wire_next(&reader, &field) &&
              field.number == EXTENSION_NUMBER_RESPONSE_BASE_TYPE_NAME);
    must_hold(!wire_next(&reader, &field) && !reader.failed);
}

static void check_said(const struct wire_field *field)
{
    switch (field->number) {
    case SERVER_REFLECTION_RESPONSE_FILE_DESCRIPTOR_RESPONSE:
        check_files(field->bytes);
        return;
    case SERVER_REFLECTION_RESPONSE_LIST_SERVICES_RESPONSE:
        check_services(field->bytes);
        return;
    case SERVER_REFLECTION_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE:
        check_numbers(field->bytes);
        return;
    default:
        must_hold(field->number == SERVER_REFLECTION_RESPONSE_ERROR_RESPONSE);
        check_error(field->bytes);
    }
}

static void check_answer(struct str answer, struct str request)
{
    struct wire_reader reader = wire_reader(answer);
    struct wire_field field;

    must_hold(wire_next(&reader, &field));
    if (field.number == SERVER_REFLECTION_RESPONSE_VALID_HOST) {
        must_hold(wire_is_utf8(field.bytes));
        must_hold(wire_next(&reader, &field));
    }
    must_hold(field.number == SERVER_REFLECTION_RESPONSE_ORIGINAL_REQUEST);
    must_hold(str_eq(field.bytes, request));
    must_hold(wire_next(&reader, &field));
    check_said(&field);
    must_hold(!wire_next(&reader, &field) && !reader.failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str request = str_make(data, size);
    struct buf answer = BUFFER_INIT(size + ANSWER_MAX);
    struct err err = {0};
    enum code code = reflection_check(request, &err);

    must_hold(err.code == code && (code == CODE_OK) == (err.msg[0] == '\0'));
    if (code == CODE_OK) {
        reflection_answer(request, &services, &answer);
        must_hold(!buf_failed(&answer));
        check_answer(buf_str(&answer), request);
    } else {
        must_hold(code == CODE_INVALID_ARGUMENT || code == CODE_RESOURCE_EXHAUSTED);
    }
    buf_done(&answer);
    return 0;
}
