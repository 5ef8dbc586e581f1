/*
 * Our .proto files as protoc compiled them, comments and all: what server reflection tells of them. Those
 * of services that are not served here are left out (DESCRIBED in the Makefile).
 *
 * A look-up goes through all files: some 20 us.
 * Threads: any. Owns: nothing; all bytes are part of the program.
 */
#ifndef WIRE_PROTO_FILE_H
#define WIRE_PROTO_FILE_H

#include "base/str.h"

#define PROTO_FILES_MAX 256

struct proto_file {
    struct str name;       /* "lookaside/v1/discovery.proto" */
    struct str descriptor; /* google.protobuf.FileDescriptorProto */
};

/* Of what has a full name: a service, a method, a message, a field, a oneof, an enum or one of its values. */
struct proto_symbol {
    struct proto_file file; /* that declares it */
    bool is_message;
};

/* False behind the last, which is below PROTO_FILES_MAX. */
bool proto_file_at(size_t index, struct proto_file *ret_file) must_check;
bool proto_file_find(struct str name, struct proto_file *ret_file) must_check;
bool proto_symbol_find(struct str full_name, struct proto_symbol *ret_symbol) must_check;
/* Visits the file, and all that it imports and they import, each once. */
void proto_file_each_needed(const struct proto_file *file, void (*visit)(void *ctx, const struct proto_file *file), void *ctx);

#endif
