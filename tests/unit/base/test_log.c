#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <pty.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"

static FILE *captured;
static char text[1 << 20];

static void capture(void)
{
    captured = tmpfile();
    cr_assert_not_null(captured);
    cr_assert_geq(dup2(fileno(captured), STDERR_FILENO), 0);
}

static void done(void)
{
    fclose(captured);
}

/* All that was written so far. */
static char *output(void)
{
    ssize_t len = pread(fileno(captured), text, sizeof(text) - 1, 0);

    cr_assert_geq(len, 0);
    text[len] = '\0';
    return text;
}

TestSuite(log, .init = capture, .fini = done);

Test(log, writes_text)
{
    const char *line;

    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info(LOG_KUBE, "watch ended", KV_STR("path", "/api/v1/services"), KV_U64("events", 12),
             KV_I64("change", -3));
    line = output();
    cr_assert_str_eq(line + 24,
                     " info  kube   watch ended path=/api/v1/services events=12 change=-3\n");
    cr_assert_eq(line[4], '-');
    cr_assert_eq(line[10], 'T');
    cr_assert_eq(line[23], 'Z');
}

/* A person at a terminal knows the date. */
Test(log, shows_only_the_time_on_a_terminal)
{
    int leader;
    int terminal;
    ssize_t len;

    if (openpty(&leader, &terminal, NULL, NULL, NULL) != 0)
        cr_skip_test("no terminals here: /dev/pts is not mounted");
    cr_assert_geq(dup2(terminal, STDERR_FILENO), 0);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info(LOG_MAIN, "ready");
    len = read(leader, text, sizeof(text));
    cr_assert_eq(len, (ssize_t)strlen("03:04:05.678Z info  main   ready\r\n"));
    cr_assert_eq(text[2], ':');
    cr_assert_eq(strncmp(text + 13, " info  main   ready\r\n", 21), 0);
    close(leader);
    close(terminal);
}

Test(log, quotes_values_that_would_mislead)
{
    static const struct {
        const char *value;
        const char *shown;
    } cases[] = {
        {"plain/1:2", "plain/1:2"},
        {"", "\"\""},
        {"a b", "\"a b\""},
        {"a=b", "\"a=b\""},
        {"a\"b", "\"a\\\"b\""},
        {"a\nlevel=error", "\"a\\nlevel=error\""},
        {"\x1b[31m", "\"\\u001b[31m\""},
        {"\xC3\xA4", "\xC3\xA4"},
        {"\xFF", "\"\\ufffd\""},
    };

    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *shown;

        cr_assert_eq(ftruncate(fileno(captured), 0), 0);
        cr_assert_eq(lseek(fileno(captured), 0, SEEK_SET), 0);
        log_info(LOG_MAIN, "m", KV_STR("v", cases[i].value));
        shown = strstr(output(), " v=") + 3;
        cr_assert_eq(strlen(shown), strlen(cases[i].shown) + 1, "%s", shown);
        cr_assert_eq(strncmp(shown, cases[i].shown, strlen(cases[i].shown)), 0, "%s", shown);
    }
}

Test(log, writes_one_json_object_per_line)
{
    struct json *json = NULL;
    struct err err = {0};

    log_setup(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
    fail(&err, CODE_UNKNOWN, "bad \"thing\"\n");
    log_warn(LOG_NET, "accept failed", KV_ERR(&err), KV_U64("fd", 7), KV_I64("change", -3),
             KV_TEXT("name", str_make("abcdef", 3)));
    cr_assert_eq(json_parse(str_of(output()), &json, &err), CODE_OK, "%s in %s", err.msg, text);
    cr_assert(str_eq(json_text(json_get(json, "level")), STR("warn")));
    cr_assert(str_eq(json_text(json_get(json, "layer")), STR("net")));
    cr_assert(str_eq(json_text(json_get(json, "msg")), STR("accept failed")));
    cr_assert(str_eq(json_text(json_get(json, "error")), STR("bad \"thing\"\n")));
    cr_assert(str_eq(json_text(json_get(json, "name")), STR("abc")));
    cr_assert_eq(json_number(json_get(json, "fd")), 7);
    cr_assert_eq(json_number(json_get(json, "change")), -3);
    cr_assert_eq(json_text(json_get(json, "time")).len, 24);
    cr_assert_eq(strchr(text, '\n'), text + strlen(text) - 1);
    json_free(json);
}

Test(log, keeps_to_its_level)
{
    log_setup(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    log_debug(LOG_MAIN, "no");
    log_info(LOG_MAIN, "no");
    cr_assert_str_eq(output(), "");
    log_warn(LOG_MAIN, "yes");
    log_error(LOG_MAIN, "yes");
    cr_assert_not_null(strstr(output(), " warn  main   yes\n"));
    cr_assert_not_null(strstr(text, " error main   yes\n"));
}

static bool was_asked;

static uint64_t ask(void)
{
    was_asked = true;
    return 1;
}

Test(log, does_not_evaluate_what_it_does_not_write)
{
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_debug(LOG_MAIN, "no", KV_U64("n", ask()));
    cr_assert_not(was_asked);
}

Test(log, cuts_long_values_between_characters)
{
    char value[5000];

    memset(value, 'x', sizeof(value));
    memcpy(value + 1023, "\xC3\xA4", 2);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info(LOG_MAIN, "m", KV_TEXT("v", str_make(value, sizeof(value))));
    cr_assert_eq(strlen(strstr(output(), " v=") + 3), 1023 + 1);
}

/* JSON escapes take six bytes for one: the line stays whole and below what a pipe takes at once. */
Test(log, cuts_values_shorter_where_the_line_would_be_too_long)
{
    char value[2000];
    struct json *json = NULL;
    struct err err = {0};

    memset(value, '\x01', sizeof(value));
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_info(LOG_MAIN, "m", KV_TEXT("a", str_make(value, sizeof(value))),
             KV_TEXT("b", str_make(value, sizeof(value))),
             KV_TEXT("c", str_make(value, sizeof(value))), KV_U64("d", 7));
    cr_assert_leq(strlen(output()), PIPE_BUF);
    cr_assert_eq(text[strlen(text) - 1], '\n');
    cr_assert_eq(json_parse(str_of(text), &json, &err), CODE_OK, "%s", err.msg);
    cr_assert_eq(json_text(json_get(json, "a")).len, 128);
    cr_assert_eq(json_number(json_get(json, "d")), 7);
    json_free(json);
}

/* A pipe of two pages that nobody reads is full after a few lines: none of the threads may wait. */
Test(log, loses_and_counts_lines_that_nobody_reads, .timeout = 20)
{
    int ends[2];
    ssize_t len;
    size_t whole;
    unsigned long long told = 0;
    char *note;

    cr_assert_eq(pipe(ends), 0);
    cr_assert_geq(fcntl(ends[1], F_SETPIPE_SZ, 8192), 0);
    cr_assert_geq(dup2(ends[1], STDERR_FILENO), 0);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    for (int i = 0; i < 500; i++)
        log_info(LOG_MAIN, "x", KV_STR("who", "abcdefghijklmnop"));
    len = read(ends[0], text, sizeof(text));
    cr_assert_gt(len, 0);
    whole = 0;
    for (ssize_t i = 0; i < len; i++)
        whole += text[i] == '\n';
    log_info(LOG_MAIN, "heard again");
    len = read(ends[0], text, sizeof(text) - 1);
    cr_assert_gt(len, 0);
    text[len] = '\0';
    note = strstr(text, " warn  main   log lines lost: nobody read them lines=");
    cr_assert_not_null(note, "%s", text);
    told = strtoull(strstr(note, "lines=") + 6, NULL, 10);
    cr_assert_eq(told + whole, 500, "%llu lost, %zu read", told, whole);
    cr_assert(str_ends_with(str_of(text), STR(" info  main   heard again\n")));
    log_info(LOG_MAIN, "once");
    len = read(ends[0], text, sizeof(text) - 1);
    text[len] = '\0';
    cr_assert_null(strstr(text, "lost"));
}

Test(log, leaves_errno_alone)
{
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    close(STDERR_FILENO);
    errno = ENOENT;
    log_info(LOG_MAIN, "nobody hears this");
    cr_assert_eq(errno, ENOENT);
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < 500; i++)
        log_info(LOG_MAIN, "x", KV_STR("who", arg));
    return NULL;
}

Test(log, does_not_mix_the_lines_of_threads)
{
    pthread_t threads[4];
    size_t lines = 0;

    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, write_lines, "abcdefghijklmnop"), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    for (struct str rest = str_of(output()); rest.len > 0; lines++)
        cr_assert(str_ends_with(str_cut(&rest, '\n'), STR(" info  main   x who=abcdefghijklmnop")));
    cr_assert_eq(lines, 2000);
}

Test(log, reads_names_of_levels_and_formats)
{
    enum log_level level = LOG_LEVEL_DEBUG;
    enum log_format format = LOG_FORMAT_TEXT;

    cr_assert(log_level_parse(STR("warn"), &level));
    cr_assert_eq(level, LOG_LEVEL_WARN);
    cr_assert_not(log_level_parse(STR("WARN"), &level));
    cr_assert_not(log_level_parse(STR(""), &level));
    cr_assert_eq(level, LOG_LEVEL_WARN);
    cr_assert(log_format_parse(STR("json"), &format));
    cr_assert_eq(format, LOG_FORMAT_JSON);
    cr_assert(log_format_parse(STR("text"), &format));
    cr_assert_eq(format, LOG_FORMAT_TEXT);
    cr_assert_not(log_format_parse(STR("xml"), &format));
}
