#include "fixture.h"

#include <sys/wait.h>

#include "loop/child.h"

TestSuite(child, .init = make_loop, .fini = free_loop, .timeout = 20);

static struct child *child;
static int dones;
static enum code code;
static char message[512];
static char output[4096];
static size_t output_len;
static bool free_inside;

static void on_done(void *ctx, const struct child_result *result)
{
    (void)ctx;
    dones++;
    code = result->code;
    snprintf(message, sizeof(message), "%s", result->message);
    output_len = result->output.len;
    snprintf(output, sizeof(output), "%.*s", (int)result->output.len,
             result->output.ptr ? result->output.ptr : "");
    if (free_inside)
        child_free(TAKE(child));
}

static struct child_options shell(const char *script)
{
    static const char *argv[] = {"sh", "-c", NULL, "sh", "one", NULL};

    argv[2] = script;
    return (struct child_options){
        .argv = argv, .output_max = 1000, .timeout_ms = 10000, .on_done = on_done};
}

static void run(struct child_options options)
{
    struct err err = {0};

    cr_assert_eq(child_start(loop, &options, &child, &err), CODE_OK, "%s", err.msg);
    turn_until(&dones, 1);
    child_free(TAKE(child));
}

/* No zombie is left, whoever collected it. */
static void assert_no_children(void)
{
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
}

Test(child, gives_what_it_printed)
{
    run(shell("printf 'a\\nb %s' \"$1\"; echo noise >&2"));
    cr_assert_eq(code, CODE_OK, "%s", message);
    cr_assert_str_eq(output, "a\nb one");
    cr_assert_str_eq(message, "");
    assert_no_children();
}

Test(child, has_an_empty_input_and_the_environment_it_is_given)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin", "GREETING=hello", NULL};
    struct child_options options = shell("cat; echo \"$GREETING$HOME\"");

    setenv("HOME", "/wrong", 1);
    options.env = env;
    run(options);
    cr_assert_str_eq(output, "hello\n");
}

Test(child, inherits_nothing)
{
    int pipe_fds[2];

    cr_assert_eq(pipe(pipe_fds), 0);
    run(shell("for fd in /proc/self/fd/*; do readlink $fd; done | grep -c -e pipe: -e event"));
    cr_assert_str_eq(output, "1\n", "%s", output); /* grep's own */
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

Test(child, says_how_it_failed_and_its_last_word)
{
    static const struct {
        const char *script;
        const char *message;
    } cases[] = {
        {"exit 3", "exit status 3"},
        {"echo first >&2; printf 'not \\033[1mallowed\\r\\n\\n' >&2; exit 1",
         "exit status 1: not ?[1mallowed"},
        {"kill -9 $$", "ended by signal 9"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        dones = 0;
        run(shell(cases[i].script));
        cr_assert_eq(code, CODE_UNKNOWN);
        cr_assert_str_eq(message, cases[i].message);
    }
}

Test(child, keeps_the_end_of_a_long_complaint)
{
    run(shell("i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1"));
    cr_assert_str_eq(message, "exit status 1: line 1999");
}

Test(child, is_bounded_in_what_it_prints)
{
    run(shell("while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaa; done"));
    cr_assert_eq(code, CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(message, "it wrote more than 1000 bytes");
    cr_assert_leq(output_len, 1000);
    assert_no_children();
}

/* An orphan may have nobody who collects it. */
static bool runs(long pid)
{
    char path[64];
    char state = 'X';
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    file = fopen(path, "r");
    if (!file)
        return false;
    cr_assert_eq(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
    fclose(file);
    return state != 'Z' && state != 'X';
}

Test(child, is_bounded_in_time_with_all_that_it_started)
{
    struct child_options options = shell("sleep 100 & echo $!; sleep 100");
    uint64_t begin_us = clock_monotonic_us();

    options.timeout_ms = 200;
    run(options);
    cr_assert_eq(code, CODE_DEADLINE_EXCEEDED);
    cr_assert_str_eq(message, "no end within 200 ms");
    cr_assert_lt(clock_monotonic_us() - begin_us, 900000);
    for (int i = 0; i < 100 && runs(strtol(output, NULL, 10)); i++)
        loop_turn(loop, 10);
    cr_assert_not(runs(strtol(output, NULL, 10)));
}

Test(child, does_not_wait_for_what_it_left_behind)
{
    uint64_t begin_us = clock_monotonic_us();

    run(shell("sleep 100 & echo done"));
    cr_assert_eq(code, CODE_OK, "%s", message);
    cr_assert_str_eq(output, "done\n");
    cr_assert_lt(clock_monotonic_us() - begin_us, 3000000);
}

Test(child, may_be_freed_inside_its_callback)
{
    struct child_options options = shell("echo x");

    free_inside = true;
    cr_assert_eq(child_start(loop, &options, &child, NULL), CODE_OK);
    turn_until(&dones, 1);
    cr_assert_null(child);
}

Test(child, may_be_freed_while_it_runs)
{
    struct child_options options = shell("sleep 100");

    cr_assert_eq(child_start(loop, &options, &child, NULL), CODE_OK);
    child_free(TAKE(child));
    loop_turn(loop, 10);
    cr_assert_eq(dones, 0);
    assert_no_children();
}

Test(child, names_a_command_that_cannot_be_run)
{
    static const struct {
        const char *command;
        enum code code;
    } cases[] = {{"no-such-command", CODE_NOT_FOUND},
                 {"/no/such/command", CODE_NOT_FOUND},
                 {"/etc/passwd", CODE_PERMISSION_DENIED}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const argv[] = {cases[i].command, NULL};
        struct child_options options = {
            .argv = argv, .output_max = 10, .timeout_ms = 1000, .on_done = on_done};
        struct err err = {0};
        char want[64];

        cr_assert_eq(child_start(loop, &options, &child, &err), cases[i].code, "%s", err.msg);
        snprintf(want, sizeof(want), "cannot run '%s': ", cases[i].command);
        cr_assert_not_null(strstr(err.msg, want), "%s", err.msg);
    }
    assert_no_children();
}
