#include "protocol/reflection.h"

#include "protocol/field.h"
#include "wire/fields.h"
#include "wire/proto_file.h"
#include "wire/reader.h"
#include "wire/writer.h"

struct request {
    struct str host;
    uint32_t asks;   /* a field of message_request; 0: nothing */
    struct str name; /* of a file, a symbol or a message */
    int32_t number;  /* of an extension */
};

/* ---- requests ---- */

static enum code read_extension(struct str bytes, struct request *request, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    enum code code = CODE_OK;

    request->name = STR("");
    request->number = 0;
    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.number == EXTENSION_REQUEST_CONTAINING_TYPE && field.type == WIRE_BYTES)
            code = field_text(&field, REFLECTION_NAME_MAX, "containing_type", &request->name, err);
        else if (field.number == EXTENSION_REQUEST_EXTENSION_NUMBER && field.type == WIRE_VARINT)
            request->number = (int32_t)field.value;
    }
    return reader.failed ? fail(err, CODE_INVALID_ARGUMENT, "malformed ExtensionRequest") : code;
}

static enum code read_field(const struct wire_field *field, struct request *request,
                            struct err *err)
{
    switch (field->number) {
    case SERVER_REFLECTION_REQUEST_HOST:
        return field_text(field, REFLECTION_NAME_MAX, "host", &request->host, err);
    case SERVER_REFLECTION_REQUEST_FILE_CONTAINING_EXTENSION:
        request->asks = field->number;
        return read_extension(field->bytes, request, err);
    case SERVER_REFLECTION_REQUEST_FILE_BY_FILENAME:
    case SERVER_REFLECTION_REQUEST_FILE_CONTAINING_SYMBOL:
    case SERVER_REFLECTION_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
    case SERVER_REFLECTION_REQUEST_LIST_SERVICES:
        request->asks = field->number;
        return field_text(field, REFLECTION_NAME_MAX, "the name asked for", &request->name, err);
    default:
        return CODE_OK;
    }
}

/* Of the questions of a request the last counts, as in every oneof. */
static enum code parse(struct str message, struct request *request, struct err *err)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;
    enum code code = CODE_OK;

    *request = (struct request){0};
    while (code == CODE_OK && wire_next(&reader, &field))
        if (field.type == WIRE_BYTES)
            code = read_field(&field, request, err);
    if (reader.failed)
        return fail(err, CODE_INVALID_ARGUMENT, "malformed ServerReflectionRequest");
    if (code == CODE_OK && request->asks == 0)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "the ServerReflectionRequest asks nothing: set list_services or another of "
                    "message_request");
    return code;
}

enum code reflection_check(struct str message, struct err *err)
{
    struct request request;

    return parse(message, &request, err);
}

/* ---- answers ---- */

static void put_error(struct buf *out, const struct err *err)
{
    size_t mark = wire_open(out, SERVER_REFLECTION_RESPONSE_ERROR_RESPONSE);

    wire_put_varint(out, ERROR_RESPONSE_ERROR_CODE, err->code);
    wire_put_bytes(out, ERROR_RESPONSE_ERROR_MESSAGE, str_of(err->msg));
    wire_close(out, mark);
}

static void put_file(void *ctx, const struct proto_file *file)
{
    wire_put_bytes(ctx, FILE_DESCRIPTOR_RESPONSE_FILE_DESCRIPTOR_PROTO, file->descriptor);
}

static void put_files(struct buf *out, const struct proto_file *file)
{
    size_t mark = wire_open(out, SERVER_REFLECTION_RESPONSE_FILE_DESCRIPTOR_RESPONSE);

    proto_file_each_needed(file, put_file, out);
    wire_close(out, mark);
}

static enum code answer_file(const struct request *request, struct buf *out, struct err *err)
{
    struct proto_file file;

    if (!proto_file_find(request->name, &file))
        return fail(err, CODE_NOT_FOUND, "no file '%" STR_FMT "'", STR_ARG(request->name));
    put_files(out, &file);
    return CODE_OK;
}

static enum code answer_symbol(const struct request *request, struct buf *out, struct err *err)
{
    struct proto_symbol symbol;

    if (!proto_symbol_find(request->name, &symbol))
        return fail(err, CODE_NOT_FOUND,
                    "no symbol '%" STR_FMT "'; list_services tells the services",
                    STR_ARG(request->name));
    put_files(out, &symbol.file);
    return CODE_OK;
}

static enum code find_message(const struct request *request, struct err *err)
{
    struct proto_symbol symbol;

    if (!proto_symbol_find(request->name, &symbol) || !symbol.is_message)
        return fail(err, CODE_NOT_FOUND, "no message '%" STR_FMT "'", STR_ARG(request->name));
    return CODE_OK;
}

/* Our files declare none. */
static enum code answer_extension(const struct request *request, struct err *err)
{
    enum code code = find_message(request, err);

    return code != CODE_OK ? code
                           : fail(err, CODE_NOT_FOUND, "no extension %d of '%" STR_FMT "'",
                                  (int)request->number, STR_ARG(request->name));
}

static enum code answer_extensions(const struct request *request, struct buf *out, struct err *err)
{
    enum code code = find_message(request, err);
    size_t mark;

    if (code != CODE_OK)
        return code;
    mark = wire_open(out, SERVER_REFLECTION_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE);
    wire_put_bytes(out, EXTENSION_NUMBER_RESPONSE_BASE_TYPE_NAME, request->name);
    wire_close(out, mark);
    return CODE_OK;
}

static enum code answer_services(const struct reflection_services *services, struct buf *out)
{
    size_t mark = wire_open(out, SERVER_REFLECTION_RESPONSE_LIST_SERVICES_RESPONSE);

    for (size_t i = 0; i < services->len; i++) {
        size_t service = wire_open(out, LIST_SERVICE_RESPONSE_SERVICE);

        wire_put_bytes(out, SERVICE_RESPONSE_NAME, services->names[i]);
        wire_close(out, service);
    }
    wire_close(out, mark);
    return CODE_OK;
}

static enum code answer(const struct request *request, const struct reflection_services *services,
                        struct buf *out, struct err *err)
{
    switch (request->asks) {
    case SERVER_REFLECTION_REQUEST_FILE_BY_FILENAME:
        return answer_file(request, out, err);
    case SERVER_REFLECTION_REQUEST_FILE_CONTAINING_SYMBOL:
        return answer_symbol(request, out, err);
    case SERVER_REFLECTION_REQUEST_FILE_CONTAINING_EXTENSION:
        return answer_extension(request, err);
    case SERVER_REFLECTION_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        return answer_extensions(request, out, err);
    default:
        return answer_services(services, out);
    }
}

void reflection_answer(struct str message, const struct reflection_services *services,
                       struct buf *out)
{
    struct request request;
    struct err err = {0};

    if (parse(message, &request, &err) == CODE_OK) {
        if (request.host.len > 0)
            wire_put_bytes(out, SERVER_REFLECTION_RESPONSE_VALID_HOST, request.host);
        wire_put_bytes(out, SERVER_REFLECTION_RESPONSE_ORIGINAL_REQUEST, message);
        (void)answer(&request, services, out, &err);
    }
    if (err.code != CODE_OK)
        put_error(out, &err);
}
