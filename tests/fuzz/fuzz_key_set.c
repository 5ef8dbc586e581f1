/* Any bytes as a set of keys: what is accepted has keys, what is refused has a message. */
#include "must_hold.h"
#include "net/key_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct key_set *set = NULL;
    struct err err = {0};

    if (key_set_parse(str_make(data, size), &set, &err) == CODE_OK)
        must_hold(key_set_len(set) > 0 && key_set_len(set) <= KEYS_MAX);
    else
        must_hold(!set && err.msg[0]);
    key_set_free(set);
    return 0;
}
