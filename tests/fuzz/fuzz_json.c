/*
 * Any bytes as JSON: what is accepted obeys the limits and survives writing and reading again; what
 * is refused has a message with its place.
 */
#include "base/json.h"
#include "tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *json = NULL;
    struct err err = {0};

    if (json_parse(str_make(data, size), &json, &err) != CODE_OK) {
        must_hold(!json && err.code == CODE_INVALID_ARGUMENT);
        must_hold(str_starts_with(str_of(err.msg), STR("line ")));
        return 0;
    }
    must_hold(err.code == CODE_OK && tree_check(json, 0) <= JSON_VALUES_MAX);
    tree_check_round_trip(json);
    json_free(json);
    return 0;
}
