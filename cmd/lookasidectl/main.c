/* lookasidectl: looks into a running Lookaside, and writes what clients need. */
#include <stdio.h>

#include "command.h"

static const struct command *const commands[] = {
    &bootstrap_command, &check_command,  &diff_command,    &explain_command,
    &get_command,       &load_command,   &release_command, &services_command,
    &streams_command,   &verify_command, &watch_command,
};

static void print_help(FILE *out)
{
    fprintf(out,
            "lookasidectl %s: looks into a running Lookaside, and writes what gRPC clients need\n\n"
            "usage: lookasidectl COMMAND [flags]\n\n",
            LOOKASIDE_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->help);
    fprintf(out, "\n'lookasidectl COMMAND --help' lists the flags of one.\n");
}

/* Output that did not arrive is a failure. */
static int finish(int exit_code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_code;
    fprintf(stderr, "lookasidectl: cannot write the output\n");
    return exit_code ? exit_code : 1;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("lookasidectl %s\n", LOOKASIDE_VERSION);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i]->name) == 0)
            return finish(commands[i]->run(argc - 2, argv + 2));
    fprintf(stderr, "lookasidectl: unknown command '%s'\nTry 'lookasidectl --help'.\n", argv[1]);
    return 2;
}
