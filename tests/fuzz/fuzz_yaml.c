/*
 * Any bytes as YAML: every document obeys the limits, has its line inside the text and survives
 * being written as JSON and read again.
 */
#include "base/yaml.h"
#include "tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct str text;
    size_t last_line;
};

static void on_document(void *ctx, struct json *document, size_t line)
{
    struct seen *seen = ctx;

    must_hold(json_type(document) != JSON_NULL);
    must_hold(line >= seen->last_line && line <= seen->text.len + 1);
    must_hold(tree_check(document, 0) <= YAML_NODES_MAX);
    seen->last_line = line;
    tree_check_round_trip(document);
    json_free(document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {.text = str_make(data, size)};
    struct err err = {0};

    if (yaml_parse(seen.text, on_document, &seen, &err) != CODE_OK)
        must_hold(err.code != CODE_OK && str_starts_with(str_of(err.msg), STR("line ")));
    else
        must_hold(err.code == CODE_OK);
    return 0;
}
