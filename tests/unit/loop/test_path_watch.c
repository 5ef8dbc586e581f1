#include "fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static char directory[] = "/tmp/path_watch.XXXXXX";
static char path[128], aside[128];
static struct path_watch *watch;
static int calls;
static char last[64];

static void write_file(const char *where)
{
    FILE *file = fopen(where, "w");

    cr_assert_not_null(file);
    fputs("x", file);
    fclose(file);
}

static void make_directory(void)
{
    make_loop();
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/one.yaml", directory);
    snprintf(aside, sizeof(aside), "%s/.one.swp", directory);
}

static void remove_directory(void)
{
    path_watch_free(watch);
    unlink(path);
    unlink(aside);
    rmdir(directory);
    free_loop();
}

TestSuite(path_watch, .init = make_directory, .fini = remove_directory, .timeout = 20);

static void on_change(void *ctx, const char *name)
{
    (void)ctx;
    calls++;
    snprintf(last, sizeof(last), "%s", name);
}

static void free_self(void *ctx, const char *name)
{
    on_change(ctx, name);
    path_watch_free(watch);
    watch = NULL;
}

static void start(const char *where, void (*fn)(void *ctx, const char *name))
{
    cr_assert_eq(path_watch_new(loop, where, fn, NULL, &watch, NULL), CODE_OK);
}

Test(path_watch, tells_the_name_of_a_new_entry)
{
    start(directory, on_change);
    write_file(path);
    turn_until(&calls, 1);
    cr_assert_str_eq(last, "one.yaml");
}

Test(path_watch, tells_of_rename_over_as_editors_do_it)
{
    write_file(path);
    write_file(aside);
    start(directory, on_change);
    cr_assert_eq(rename(aside, path), 0);
    turn_until(&calls, 2);
    cr_assert_str_eq(last, "one.yaml");
}

Test(path_watch, tells_of_removal)
{
    write_file(path);
    start(directory, on_change);
    unlink(path);
    turn_until(&calls, 1);
    cr_assert_str_eq(last, "one.yaml");
}

Test(path_watch, of_a_file_has_no_name_to_tell)
{
    write_file(path);
    snprintf(last, sizeof(last), "untouched");
    start(path, on_change);
    write_file(path);
    turn_until(&calls, 1);
    cr_assert_str_eq(last, "");
}

Test(path_watch, may_free_itself)
{
    start(directory, free_self);
    write_file(path);
    turn_until(&calls, 1);
    write_file(aside);
    loop_turn(loop, 10);
    cr_assert_eq(calls, 1);
}

Test(path_watch, of_a_missing_path_is_refused_by_name)
{
    struct err err = {0};

    cr_assert_eq(path_watch_new(loop, "/nowhere", on_change, NULL, &watch, &err), CODE_NOT_FOUND);
    cr_assert_str_eq(err.msg, "cannot watch '/nowhere': no such file or directory");
}
