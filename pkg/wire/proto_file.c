#include "wire/proto_file.h"

#include "wire/fields.h"
#include "wire/reader.h"

/* A FileDescriptorSet. */
static const unsigned char described[] = {
#include "wire/described.inc"
};

/* The first field of that number; empty if there is none. */
static struct str member(struct str bytes, uint32_t number)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;

    while (wire_next(&reader, &field))
        if (field.number == number && field.type == WIRE_BYTES)
            return field.bytes;
    return STR("");
}

/* ---- files ---- */

static struct wire_reader all_files(void)
{
    return wire_reader(str_make(described, sizeof(described)));
}

static bool next_file(struct wire_reader *reader, struct proto_file *ret_file)
{
    struct wire_field field;

    if (!wire_next(reader, &field))
        return false;
    ret_file->name = member(field.bytes, FILE_DESCRIPTOR_PROTO_NAME);
    ret_file->descriptor = field.bytes;
    return true;
}

bool proto_file_at(size_t index, struct proto_file *ret_file)
{
    struct wire_reader reader = all_files();
    struct proto_file file;

    while (next_file(&reader, &file)) {
        if (index-- > 0)
            continue;
        *ret_file = file;
        return true;
    }
    return false;
}

static bool find_file(struct str name, size_t *ret_index, struct proto_file *ret_file)
{
    struct wire_reader reader = all_files();
    struct proto_file file;

    for (size_t i = 0; next_file(&reader, &file); i++) {
        if (!str_eq(file.name, name))
            continue;
        *ret_index = i;
        *ret_file = file;
        return true;
    }
    return false;
}

bool proto_file_find(struct str name, struct proto_file *ret_file)
{
    size_t index;

    return find_file(name, &index, ret_file);
}

/* ---- imports ---- */

struct walk {
    void (*visit)(void *ctx, const struct proto_file *file);
    void *ctx;
    bool visited[PROTO_FILES_MAX];
};

/* As deep as files import each other. */
static void walk_to(struct walk *walk, struct str name)
{
    struct wire_reader reader;
    struct wire_field field;
    struct proto_file file;
    size_t index;

    if (!find_file(name, &index, &file) || index >= PROTO_FILES_MAX || walk->visited[index])
        return;
    walk->visited[index] = true;
    walk->visit(walk->ctx, &file);
    reader = wire_reader(file.descriptor);
    while (wire_next(&reader, &field))
        if (field.number == FILE_DESCRIPTOR_PROTO_DEPENDENCY)
            walk_to(walk, field.bytes);
}

void proto_file_each_needed(const struct proto_file *file,
                            void (*visit)(void *ctx, const struct proto_file *file), void *ctx)
{
    struct walk walk = {.visit = visit, .ctx = ctx};

    walk_to(&walk, file->name);
}

/* ---- symbols ---- */

enum kind { KIND_NONE, KIND_FILE, KIND_MESSAGE, KIND_ENUM, KIND_SERVICE, KIND_LEAF };

/* What declares what, by the field that holds it. All have their names in field 1. */
static const struct {
    enum kind in;
    uint32_t number;
    enum kind kind;
} declarations[] = {
    {KIND_FILE, FILE_DESCRIPTOR_PROTO_MESSAGE_TYPE, KIND_MESSAGE},
    {KIND_FILE, FILE_DESCRIPTOR_PROTO_ENUM_TYPE, KIND_ENUM},
    {KIND_FILE, FILE_DESCRIPTOR_PROTO_SERVICE, KIND_SERVICE},
    {KIND_MESSAGE, DESCRIPTOR_PROTO_FIELD, KIND_LEAF},
    {KIND_MESSAGE, DESCRIPTOR_PROTO_NESTED_TYPE, KIND_MESSAGE},
    {KIND_MESSAGE, DESCRIPTOR_PROTO_ENUM_TYPE, KIND_ENUM},
    {KIND_MESSAGE, DESCRIPTOR_PROTO_ONEOF_DECL, KIND_LEAF},
    {KIND_ENUM, ENUM_DESCRIPTOR_PROTO_VALUE, KIND_LEAF},
    {KIND_SERVICE, SERVICE_DESCRIPTOR_PROTO_METHOD, KIND_LEAF},
};

static enum kind declared(enum kind in, uint32_t number)
{
    for (size_t i = 0; i < ARRAY_LEN(declarations); i++)
        if (declarations[i].in == in && declarations[i].number == number)
            return declarations[i].kind;
    return KIND_NONE;
}

/* "a.b.C" behind "a.b" is "C". */
static bool behind(struct str name, struct str outer, struct str *ret_rest)
{
    if (!str_starts_with(name, outer) || name.len == outer.len || name.ptr[outer.len] != '.')
        return false;
    *ret_rest = str_slice(name, outer.len + 1, name.len);
    return true;
}

/* What `bytes` declare by that name; as deep as messages are nested. */
static enum kind find(struct str bytes, enum kind in, struct str name)
{
    struct wire_reader reader = wire_reader(bytes);
    enum kind found = KIND_NONE;
    struct wire_field field;

    while (found == KIND_NONE && wire_next(&reader, &field)) {
        enum kind kind = declared(in, field.number);
        struct str own, rest = name; /* an enum's values are named as if they stood beside it */

        if (kind == KIND_NONE)
            continue;
        own = member(field.bytes, DESCRIPTOR_PROTO_NAME);
        if (str_eq(own, name))
            found = kind;
        else if (kind == KIND_ENUM || behind(name, own, &rest))
            found = find(field.bytes, kind, rest);
    }
    return found;
}

bool proto_symbol_find(struct str full_name, struct proto_symbol *ret_symbol)
{
    struct wire_reader reader = all_files();
    struct proto_file file;

    while (next_file(&reader, &file)) {
        struct str package = member(file.descriptor, FILE_DESCRIPTOR_PROTO_PACKAGE);
        enum kind kind = KIND_NONE;
        struct str rest;

        if (behind(full_name, package, &rest))
            kind = find(file.descriptor, KIND_FILE, rest);
        if (kind == KIND_NONE)
            continue;
        *ret_symbol = (struct proto_symbol){file, kind == KIND_MESSAGE};
        return true;
    }
    return false;
}
