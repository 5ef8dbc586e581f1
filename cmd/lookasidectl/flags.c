#include <stdio.h>

#include "base/str.h"
#include "command.h"
#include "model/name.h"

#define FAILURE_SHOWN_MAX (8 * FAIL_MESSAGE_MAX)

static int usage_hint(const struct command *command)
{
    fprintf(stderr, "Try 'lookasidectl %s --help'.\n", command->name);
    return 2;
}

int usage_error(const struct command *command, const char *message)
{
    fprintf(stderr, "lookasidectl %s: %s\n", command->name, message);
    return usage_hint(command);
}

/* The arguments are not as the command's usage says. */
static int arguments_error(const struct command *command, const char *message)
{
    fprintf(stderr, "lookasidectl %s: %s\nusage: lookasidectl %s\n", command->name, message,
            command->usage);
    return usage_hint(command);
}

/* A message may quote what a server or a file says. */
int failure(const struct err *err)
{
    struct buf text = BUFFER_INIT(FAILURE_SHOWN_MAX);

    text_show(&text, str_of(err->msg));
    fprintf(stderr, "lookasidectl: %s\n", buf_cstr(&text));
    buf_done(&text);
    return 1;
}

static void print_help(const struct command *command, const struct flag *flags, size_t flags_len)
{
    printf("usage: lookasidectl %s\n\n%s\n", command->usage, command->help);
    for (size_t i = 0; i < flags_len; i++) {
        const struct flag *flag = &flags[i];

        printf("\n  --%s%s%s\n        %s", flag->name, flag->argument ? " " : "",
               flag->argument ? flag->argument : "", flag->help);
        if (flag->value && *flag->value && **flag->value)
            printf(" (default %s)", *flag->value);
    }
    printf("\n");
}

static const struct flag *find_flag(struct str name, const struct flag *flags, size_t flags_len)
{
    for (size_t i = 0; i < flags_len; i++)
        if (str_eq(str_of(flags[i].name), name))
            return &flags[i];
    return NULL;
}

/* The name of a flag without its dashes, a short one spelled out; empty when `text` is no flag. */
static struct str flag_name(const char *text)
{
    static const char *const names[][2] = {{"-f", "file"}, {"-n", "namespace"}, {"-o", "output"}};
    struct str rest = str_of(text);

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(text, names[i][0]) == 0)
            return str_of(names[i][1]);
    if (!str_starts_with(rest, STR("--")))
        return STR("");
    rest = str_of(text + 2);
    return str_cut(&rest, '=');
}

static void take_value(const struct flag *flag, const char *value)
{
    if (flag->list)
        flag->list->items[flag->list->len++] = value;
    else
        *flag->value = value;
}

/* And so no value of the one before. */
static bool is_flag(const char *text)
{
    return flag_name(text).len > 0;
}

static int parse_one(const struct command *command, int argc, char **argv, int *index,
                     const struct flag *flags, size_t flags_len)
{
    const char *equals = strchr(argv[*index], '=');
    const struct flag *flag = find_flag(flag_name(argv[*index]), flags, flags_len);
    char message[128] = "";

    if (!flag) {
        snprintf(message, sizeof(message), "unknown flag %.64s", argv[*index]);
        return usage_error(command, message);
    }
    if (!flag->argument && equals)
        snprintf(message, sizeof(message), "flag --%s takes no value", flag->name);
    else if (flag->argument && !equals &&
             (*index + 1 == argc || is_flag(argv[*index + 1])))
        snprintf(message, sizeof(message), "flag --%s needs a value", flag->name);
    else if (flag->list && flag->list->len == FLAG_LIST_MAX)
        snprintf(message, sizeof(message), "flag --%s is given too often", flag->name);
    else if (!flag->argument)
        *flag->given = true;
    else
        take_value(flag, equals ? equals + 1 : argv[++*index]);
    return *message ? usage_error(command, message) : 0;
}

bool flags_parse(const struct command *command, int argc, char **argv, const struct flag *flags,
                 size_t flags_len, const char **positional, size_t min, size_t max, int *ret_exit)
{
    bool ended = false; /* by "--" */
    size_t count = 0;

    for (int i = 0; i < argc; i++) {
        if (!ended && strcmp(argv[i], "--") == 0) {
            ended = true;
            continue;
        }
        if (!ended && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            print_help(command, flags, flags_len);
            *ret_exit = 0;
            return false;
        }
        if (!ended && argv[i][0] == '-') {
            *ret_exit = parse_one(command, argc, argv, &i, flags, flags_len);
            if (*ret_exit)
                return false;
        } else if (count < max) {
            positional[count++] = argv[i];
        } else {
            *ret_exit = arguments_error(command, "too many arguments");
            return false;
        }
    }
    if (count < min) {
        *ret_exit = arguments_error(command, "an argument is missing");
        return false;
    }
    return true;
}

bool output_is_json(const char *output, bool *ret_json)
{
    *ret_json = strcmp(output, "json") == 0;
    if (*ret_json || strcmp(output, "table") == 0)
        return true;
    fprintf(stderr, "lookasidectl: unknown output '%s': expected table or json\n", output);
    return false;
}

const char *target_of(const char *text)
{
    static const char scheme[] = "xds:///";

    return str_starts_with(str_of(text), STR(scheme)) ? text + strlen(scheme) : text;
}

bool split_service(const char *text, struct str *ret_namespace, struct str *ret_name)
{
    struct str rest = str_of(text);

    *ret_namespace = str_cut(&rest, '/');
    *ret_name = rest;
    return name_is_label(*ret_namespace) && name_is_label(rest);
}
