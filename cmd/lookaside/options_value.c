/* What the setters share: values that are replaced, added or read. */
#include "model/name.h"
#include "options_internal.h"

void option_replace(char **slot, struct str value)
{
    free(*slot);
    *slot = str_dup(value);
}

void option_add(struct text_list *list, struct str value)
{
    list->items = xgrow(list->items, &list->cap, list->len + 1, sizeof(*list->items));
    list->items[list->len++] = str_dup(value);
    list->items[list->len] = NULL;
}

enum code option_add_each(struct options *options, struct str value, option_setter *add,
                          struct err *err)
{
    enum code code;

    do {
        code = add(options, str_trim(str_cut(&value, ',')), err);
    } while (code == CODE_OK && value.ptr);
    return code;
}

enum code option_check_address(struct str value, struct err *err)
{
    struct address address;

    return address_parse(value, &address, err);
}

enum code option_check_namespace(struct str value, struct err *err)
{
    if (!name_is_label(value))
        return fail(err, CODE_INVALID_ARGUMENT, "'%" STR_FMT "' is not a namespace",
                    STR_ARG(value));
    return CODE_OK;
}

enum code option_read_switch(struct str value, bool *ret_on, struct err *err)
{
    *ret_on = str_eq(value, STR("true"));
    if (!*ret_on && !str_eq(value, STR("false")))
        return fail(err, CODE_INVALID_ARGUMENT, "expected true or false");
    return CODE_OK;
}
