/* Pages of the admin port, read and taken apart. */
#include <stdio.h>

#include "command.h"
#include "kube/fetch.h"

enum code admin_error(enum code code, struct err *err)
{
    struct err first = *err;

    if (code != CODE_UNAVAILABLE)
        return code;
    return fail(
        err, code,
        "%s (kubectl port-forward -n NAMESPACE POD 18080 leads there, or name it with --admin)",
        first.msg);
}

enum code page_read(const char *admin, const char *path, struct buf *text, struct json **ret_json,
                    struct err *err)
{
    enum code code = admin_error(fetch(admin, path, text, err), err);

    if (code == CODE_OK && json_parse(buf_str(text), ret_json, err) != CODE_OK)
        code = fail_in(err, "'%s%s' did not answer with JSON", admin, path);
    return code;
}

int dump_command(const struct command *command, const char *path,
                 void (*print)(const struct json *dump), int argc, char **argv)
{
    const char *admin = ADMIN_DEFAULT, *output = "table";
    const struct flag flags[] = {ADMIN_FLAG(&admin), OUTPUT_FLAG(&output)};
    struct buf text = BUFFER_INIT(PAGE_MAX);
    struct json *dump = NULL;
    struct err err = {0};
    bool as_json;
    int exit_code;

    if (!flags_parse(command, argc, argv, flags, ARRAY_LEN(flags), NULL, 0, 0, &exit_code))
        return exit_code;
    if (!output_is_json(output, &as_json))
        return 2;
    exit_code = page_read(admin, path, &text, &dump, &err) == CODE_OK ? 0 : failure(&err);
    if (exit_code == 0 && as_json)
        fwrite(text.ptr, 1, text.len, stdout);
    else if (exit_code == 0)
        print(dump);
    json_free(dump);
    buf_done(&text);
    return exit_code;
}

struct str member(const struct json *json, const char *key)
{
    return json_text(json_get(json, key));
}

unsigned long member_count(const struct json *json, const char *key)
{
    double number = json_number(json_get(json, key));

    return number > 0 && number < 1e15 ? (unsigned long)number : 0;
}
