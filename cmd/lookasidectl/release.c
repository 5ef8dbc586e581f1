/* lookasidectl release: ends the holds of a Service. */
#include <stdio.h>

#include "command.h"
#include "kube/fetch.h"
#include "kube/query.h"

#define ANSWER_MAX 4096

static int release(const char *admin, struct str namespace_name, struct str name)
{
    struct buf path = BUFFER_INIT(PAGE_PATH_MAX), answer = BUFFER_INIT(ANSWER_MAX);
    struct buf shown = BUFFER_INIT(8 * ANSWER_MAX);
    struct err err = {0};
    int exit_code = 0;

    buf_add_str(&path, STR("/debug/release"));
    query_add(&path, "?namespace", namespace_name);
    query_add(&path, "&name", name);
    if (fetch_post(admin, buf_cstr(&path), STR(""), &answer, &err) == CODE_OK) {
        text_show(&shown, str_trim(buf_str(&answer)));
        printf("%s\n", buf_cstr(&shown));
    } else {
        exit_code = failure(&err);
    }
    buf_done(&path);
    buf_done(&answer);
    buf_done(&shown);
    return exit_code;
}

static int run(int argc, char **argv)
{
    const char *admin = ADMIN_DEFAULT, *service;
    const struct flag flags[] = {ADMIN_FLAG(&admin)};
    struct str namespace_name, name;
    int exit_code;

    if (!flags_parse(&release_command, argc, argv, flags, ARRAY_LEN(flags), &service, 1, 1,
                     &exit_code))
        return exit_code;
    if (!split_service(service, &namespace_name, &name))
        return usage_error(&release_command, "expected NAMESPACE/SERVICE");
    return release(admin, namespace_name, name);
}

const struct command release_command = {
    "release",
    "release NAMESPACE/SERVICE [--admin HOST:PORT]",
    "end the hold that keeps a Service's last list",
    run,
};
