/*
 * Any bytes as the stream of a watch: the same lines come out whatever the chunks, and every line
 * is an event of the API or is refused with a reason. The same bytes as a page of a list.
 */
#include "base/hash.h"
#include "kube/lines.h"
#include "kube/object.h"
#include "must_hold.h"

#define LINE_MAX 1024

struct digest {
    uint64_t lines;
    uint64_t hash;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void event_check(struct str line)
{
    CLEANUP(json_freep) struct json *tree = NULL;
    struct watch_event event = {0};
    struct err err = {0};

    if (watch_event_parse(line, &tree, &event, &err) != CODE_OK) {
        must_hold(!tree && err.msg[0]);
        return;
    }
    must_hold(json_type(event.object) == JSON_OBJECT);
    must_hold(!event.initial_end || event.type == WATCH_BOOKMARK);
    must_hold((event.meta.version.len > 0 && event.meta.version.len <= RESOURCE_VERSION_MAX) ||
              event.type == WATCH_ERROR);
}

static bool on_line(void *ctx, struct str line)
{
    struct digest *digest = ctx;

    must_hold(line.len > 0 && line.len <= LINE_MAX && str_find(line, '\n') == line.len);
    digest->hash = hash_mix(digest->hash, hash_content(line.ptr, line.len));
    digest->lines++;
    return true;
}

static bool on_line_check(void *ctx, struct str line)
{
    event_check(line);
    return on_line(ctx, line);
}

static struct digest stream_read(struct str bytes, size_t chunk, bool check)
{
    struct digest digest = {0};
    struct lines lines;
    enum code code = CODE_OK;

    lines_init(&lines, LINE_MAX);
    for (size_t at = 0; at < bytes.len && code == CODE_OK; at += chunk)
        code = lines_feed(&lines, str_slice(bytes, at, at + min_size(chunk, bytes.len - at)),
                          check ? on_line_check : on_line, &digest, NULL);
    digest.hash = hash_mix(digest.hash, (uint64_t)code);
    lines_done(&lines);
    return digest;
}

static void page_check(struct str text)
{
    CLEANUP(json_freep) struct json *tree = NULL;
    struct list_page page = {0};
    struct err err = {0};

    if (list_page_parse(text, &tree, &page, &err) != CODE_OK) {
        must_hold(!tree && err.msg[0]);
        return;
    }
    must_hold(page.version.len > 0 && page.next.len <= CONTINUE_TOKEN_MAX);
    for (const struct json *item = json_first(page.items); item; item = json_next(item))
        (void)object_meta_read(item);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t chunks[] = {1, 2, 7, 64, 1000};
    struct str bytes = str_make(data, size);
    struct digest whole = stream_read(bytes, size + 1, true);

    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        struct digest cut = stream_read(bytes, chunks[i], false);

        must_hold(cut.lines == whole.lines && cut.hash == whole.hash);
    }
    page_check(bytes);
    return 0;
}
