#include <criterion/criterion.h>

#include "kube/lines.h"

#define LINE_MAX 16

struct seen {
    char text[256]; /* every line in [] */
    const char *stop_at;
};

static bool on_line(void *ctx, struct str line)
{
    struct seen *seen = ctx;
    size_t len = strlen(seen->text);

    snprintf(seen->text + len, sizeof(seen->text) - len, "[%" STR_FMT "]", STR_ARG(line));
    return !seen->stop_at || !str_eq(line, str_of(seen->stop_at));
}

/* The same result wherever the stream is cut into two or three chunks. */
static void assert_lines(const char *stream, const char *want)
{
    size_t len = strlen(stream);

    for (size_t a = 0; a <= len; a++)
        for (size_t b = a; b <= len; b++) {
            struct seen seen = {0};
            struct lines lines;

            lines_init(&lines, LINE_MAX);
            cr_assert_eq(lines_feed(&lines, str_make(stream, a), on_line, &seen, NULL), CODE_OK);
            cr_assert_eq(lines_feed(&lines, str_make(stream + a, b - a), on_line, &seen, NULL),
                         CODE_OK);
            cr_assert_eq(lines_feed(&lines, str_make(stream + b, len - b), on_line, &seen, NULL),
                         CODE_OK);
            cr_assert_str_eq(seen.text, want, "cut at %zu and %zu: %s", a, b, seen.text);
            lines_done(&lines);
        }
}

Test(lines, are_the_same_wherever_the_chunks_end)
{
    assert_lines("one\ntwo\n", "[one][two]");
    assert_lines("one\r\n\n\r\ntwo\nthr", "[one][two]");
    assert_lines("z\xc3\xbcrich\n\xe2\x82\xac\n", "[z\xc3\xbcrich][\xe2\x82\xac]");
    assert_lines("1234567890123456\nx\n", "[1234567890123456][x]");
    assert_lines("\n\n", "");
}

Test(lines, refuses_a_line_that_is_too_long_whole_or_in_parts)
{
    static const char *const streams[] = {"12345678901234567\n", "12345678901234567"};

    for (size_t i = 0; i < ARRAY_LEN(streams); i++)
        for (size_t cut = 0; cut <= strlen(streams[i]); cut++) {
            struct seen seen = {0};
            struct err err = {0};
            struct lines lines;
            enum code code;

            lines_init(&lines, LINE_MAX);
            code = lines_feed(&lines, str_make(streams[i], cut), on_line, &seen, &err);
            if (code == CODE_OK)
                code = lines_feed(&lines, str_of(streams[i] + cut), on_line, &seen, &err);
            cr_assert_eq(code, CODE_RESOURCE_EXHAUSTED);
            cr_assert_str_eq(err.msg, "a line is longer than 16 bytes");
            cr_assert_str_eq(seen.text, "");
            lines_done(&lines);
        }
}

Test(lines, stops_when_a_line_is_refused)
{
    struct seen seen = {.stop_at = "two"};
    struct lines lines;

    lines_init(&lines, LINE_MAX);
    cr_assert_eq(lines_feed(&lines, STR("one\ntwo\nthree\n"), on_line, &seen, NULL),
                 CODE_CANCELLED);
    cr_assert_str_eq(seen.text, "[one][two]");
    lines_done(&lines);
}

Test(lines, forgets_the_incomplete_line_on_reset)
{
    struct seen seen = {0};
    struct lines lines;

    lines_init(&lines, LINE_MAX);
    cr_assert_eq(lines_feed(&lines, STR("half"), on_line, &seen, NULL), CODE_OK);
    lines_reset(&lines);
    cr_assert_eq(lines_feed(&lines, STR("whole\n"), on_line, &seen, NULL), CODE_OK);
    cr_assert_str_eq(seen.text, "[whole]");
    lines_done(&lines);
}
