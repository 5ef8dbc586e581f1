#include "folder_world.h"

struct folder *folder;
uint64_t now_us = 1000 * 1000;
uint64_t again_us;

static struct buf seen = BUFFER_INIT(1 << 20);

static void note(char verb, enum object_kind kind, const struct json *object)
{
    const struct json *metadata = json_get(object, "metadata");
    const struct json *spec = json_get(object, "spec");
    const struct json *port = json_get(json_first(json_get(spec, "ports")), "port");

    buf_printf(&seen, "%s%c%s %" STR_FMT, seen.len > 0 ? ", " : "", verb,
               kind == OBJECT_SERVICE ? "service" : "slice",
               STR_ARG(json_text(json_get(metadata, "name"))));
    if (port)
        buf_printf(&seen, ":%d", (int)json_number(port));
}

static void on_upsert(unused_arg void *ctx, enum object_kind kind, const struct json *object,
                      unused_arg const char *file, unused_arg size_t line)
{
    note('+', kind, object);
}

static void on_remove(unused_arg void *ctx, enum object_kind kind, const struct json *object)
{
    note('-', kind, object);
}

void folder_start(void)
{
    const struct folder_sink sink = {on_upsert, on_remove, NULL};

    folder = folder_new(files_start(), &sink);
}

void folder_stop(void)
{
    folder_free(folder);
    files_stop();
    buf_done(&seen);
}

const char *look_seen(void)
{
    return buf_cstr(&seen);
}

static const char *look_at(bool whole, uint64_t ms)
{
    struct err err = {0};

    now_us += ms * 1000;
    buf_reset(&seen);
    cr_assert_eq(folder_look(folder, whole, now_us, &again_us, &err), CODE_OK, "%s", err.msg);
    return look_seen();
}

const char *look_after(uint64_t ms)
{
    return look_at(true, ms);
}

const char *look(void)
{
    return look_at(true, 5);
}

const char *look_at_noted(void)
{
    return look_at(false, 5);
}

void put(const char *name, const char *text)
{
    file_write(name, text);
    folder_note_written(folder, name);
}

void replace(const char *name, const char *text)
{
    file_replace(name, text);
    folder_note_written(folder, name);
}
