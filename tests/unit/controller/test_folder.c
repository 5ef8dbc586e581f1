/* One look after another, with the clock in hand. */
#include "fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/folder.h"
#include "files.h"

static struct folder *folder;
static struct buf seen = BUFFER_INIT(1 << 16);
static uint64_t now_us = 1000 * 1000;

static void note(char verb, enum object_kind kind, const struct json *object)
{
    const struct json *metadata = json_get(object, "metadata");
    const struct json *spec = json_get(object, "spec");
    const struct json *port = json_get(json_first(json_get(spec, "ports")), "port");

    buf_printf(&seen, "%s%c%s %" STR_FMT, seen.len > 0 ? ", " : "", verb,
               kind == OBJECT_SERVICE ? "service" : "slice",
               STR_ARG(json_text(json_get(metadata, "name"))));
    if (port)
        buf_printf(&seen, ":%d", (int)json_number(port));
}

static void on_upsert(unused_arg void *ctx, enum object_kind kind, const struct json *object,
                      unused_arg const char *file, unused_arg size_t line)
{
    note('+', kind, object);
}

static void on_remove(unused_arg void *ctx, enum object_kind kind, const struct json *object)
{
    note('-', kind, object);
}

static void start(void)
{
    const struct folder_sink sink = {on_upsert, on_remove, NULL};

    folder = folder_new(files_start(), &sink);
}

static void stop(void)
{
    folder_free(folder);
    files_stop();
    buf_done(&seen);
}

TestSuite(folder, .init = start, .fini = stop);

/* A look `ms` later than the last; what it did. */
static const char *look_after(uint64_t ms)
{
    uint64_t again_us;
    struct err err = {0};

    now_us += ms * 1000;
    buf_reset(&seen);
    cr_assert_eq(folder_look(folder, now_us, &again_us, &err), CODE_OK, "%s", err.msg);
    return buf_cstr(&seen);
}

static const char *look(void)
{
    return look_after(5);
}

Test(folder, gives_what_its_files_have_in_order_of_their_names)
{
    file_write("b.yml", SERVICE_YAML("two", 2));
    file_write("a.yaml", SERVICE_YAML("one", 1) "---\n" SLICE_YAML("s", "one", AT("10.0.0.1")));
    file_write("c.json",
               "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"three\"}}");
    cr_assert_str_eq(look(), "+service one:1, +slice s, +service two:2, +service three");
    cr_assert_eq(counter_get(&folder_stats(folder)->files), 3);
    cr_assert_eq(counter_get(&folder_stats(folder)->objects), 4);
}

Test(folder, reads_only_what_changed)
{
    file_write("a.yaml", SERVICE_YAML("one", 1));
    file_write("b.yaml", SERVICE_YAML("two", 2));
    look();
    cr_assert_str_eq(look(), "");
    cr_assert_eq(counter_get(&folder_stats(folder)->reads), 2);
    file_write("b.yaml", SERVICE_YAML("two", 33));
    cr_assert_str_eq(look(), "+service two:33");
    cr_assert_eq(counter_get(&folder_stats(folder)->reads), 3);
}

Test(folder, reads_no_other_files)
{
    static const char *const others[] = {".a.yaml.swp", ".hidden.yaml", "a.yaml~",  "#a.yaml#",
                                         "a.txt",       "4913",         "yaml",     "a.yaml.bak",
                                         "a.YAML",      "#b.yaml",      ".#c.yaml", "a.tmp"};

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        file_write(others[i], "nonsense: [");
        cr_assert(!folder_reads(others[i]), "%s", others[i]);
    }
    cr_assert(folder_reads("a.yaml") && folder_reads("a.yml") && folder_reads("a.b.json"));
    cr_assert_str_eq(look(), "");
    cr_assert_eq(counter_get(&folder_stats(folder)->files), 0);
}

Test(folder, sees_a_rename_over)
{
    file_write("a.yaml", SERVICE_YAML("one", 1));
    look();
    file_replace("a.yaml", SERVICE_YAML("one", 2));
    cr_assert_str_eq(look(), "+service one:2");
}

Test(folder, sees_a_change_within_one_tick_of_the_clock_when_it_is_told)
{
    struct timespec times[2] = {{1000, 0}, {1000, 0}};
    char path[512];

    snprintf(path, sizeof(path), "%s/a.yaml", files_path());
    file_write("a.yaml", SERVICE_YAML("one", 1));
    utimensat(AT_FDCWD, path, times, 0);
    look();
    folder_note_changed(folder, "a.yaml");
    folder_note_changed(folder, "no-such.yaml");
    cr_assert_str_eq(look(), "+service one:1");
}

Test(folder, keeps_the_objects_of_a_malformed_file_and_says_so_once)
{
    const char *log;

    log_capture();
    file_write("a.yaml", SERVICE_YAML("one", 1));
    look();
    file_write("a.yaml", SERVICE_YAML("one", 2) "---\nkind: [unclosed\n");
    cr_assert_str_eq(look(), "");
    cr_assert_str_eq(look(), "");
    cr_assert_eq(counter_get(&folder_stats(folder)->bad_files), 1);
    log = log_taken();
    cr_assert_eq(log_count(log, "bad manifest: what it gave before stays"), 1, "%s", log);
    cr_assert(strstr(log, "file=a.yaml error=\"line "), "%s", log);
    file_write("a.yaml", SERVICE_YAML("one", 3));
    cr_assert_str_eq(look(), "+service one:3");
    cr_assert_eq(counter_get(&folder_stats(folder)->bad_files), 0);
}

Test(folder, skips_a_file_that_was_never_well_formed)
{
    log_capture();
    file_write("a.yaml", "greeter");
    file_write("b.yaml", SERVICE_YAML("two", 2));
    cr_assert_str_eq(look(), "+service two:2");
    cr_assert(strstr(log_taken(), "bad manifest: skipped"));
}

Test(folder, removes_what_a_file_no_longer_has)
{
    file_write("a.yaml", SERVICE_YAML("one", 1) "---\n" SERVICE_YAML("two", 2));
    look();
    file_write("a.yaml", SERVICE_YAML("two", 2));
    cr_assert_str_eq(look(), "+service two:2, -service one");
}

Test(folder, removes_the_objects_of_a_deleted_file_after_a_moment)
{
    file_write("a.yaml", SERVICE_YAML("one", 1));
    look();
    file_delete("a.yaml");
    cr_assert_str_eq(look(), "", "an editor may be about to put it back");
    cr_assert_str_eq(look_after(30), "-service one");
    cr_assert_str_eq(look(), "");
}

Test(folder, keeps_the_objects_of_a_file_that_comes_back_in_time)
{
    file_write("a.yaml", SERVICE_YAML("one", 1));
    look();
    file_rename("a.yaml", "a.yaml~");
    cr_assert_str_eq(look(), "");
    file_write("a.yaml", SERVICE_YAML("one", 2));
    cr_assert_str_eq(look(), "+service one:2");
    cr_assert_str_eq(look_after(100), "");
}

Test(folder, reads_a_file_when_its_writer_has_closed_it)
{
    uint64_t again_us;

    file_write("a.yaml", SERVICE_YAML("one", 1));
    look();
    file_write("a.yaml", "");
    folder_note_writing(folder, "a.yaml", now_us);
    cr_assert_eq(folder_look(folder, now_us, &again_us, NULL), CODE_OK);
    cr_assert_eq(again_us, now_us + FOLDER_WRITER_GRACE_US);
    cr_assert_str_eq(look_after(1000), "");
    file_write("a.yaml", SERVICE_YAML("one", 2));
    cr_assert_str_eq(look(), "", "a prefix of what it will be");
    folder_note_changed(folder, "a.yaml");
    cr_assert_str_eq(look(), "+service one:2");
}

Test(folder, does_not_wait_for_a_writer_for_ever)
{
    file_write("a.yaml", SERVICE_YAML("one", 1));
    look();
    file_write("a.yaml", "");
    folder_note_writing(folder, "a.yaml", now_us);
    cr_assert_str_eq(look_after(4999), "");
    cr_assert_str_eq(look_after(1), "-service one");
}

Test(folder, waits_for_the_writer_of_a_new_file)
{
    folder_note_writing(folder, "b.yaml", now_us);
    folder_note_writing(folder, "notes.txt", now_us);
    file_write("b.yaml", SERVICE_YAML("two", 2));
    cr_assert_str_eq(look(), "");
    folder_note_changed(folder, "b.yaml");
    cr_assert_str_eq(look(), "+service two:2");
    cr_assert_eq(counter_get(&folder_stats(folder)->files), 1);
}

Test(folder, takes_an_object_from_the_first_file_by_name)
{
    const char *log;

    log_capture();
    file_write("b.yaml", SERVICE_YAML("one", 2));
    cr_assert_str_eq(look(), "+service one:2");
    file_write("c.yaml", SERVICE_YAML("one", 3));
    cr_assert_str_eq(look(), "");
    log = log_taken();
    cr_assert(strstr(log, "an object stands in two files"), "%s", log);
    cr_assert(strstr(log, "object=\"Service shop/one\" used=b.yaml unused=c.yaml"), "%s", log);
    file_write("a.yaml", SERVICE_YAML("one", 1));
    cr_assert_str_eq(look(), "+service one:1");
    cr_assert(strstr(log_taken(), "used=a.yaml unused=b.yaml"));
    file_delete("a.yaml");
    look();
    cr_assert_str_eq(look_after(30), "+service one:2");
    file_delete("b.yaml");
    look();
    cr_assert_str_eq(look_after(30), "+service one:3");
    file_delete("c.yaml");
    look();
    cr_assert_str_eq(look_after(30), "-service one");
}

Test(folder, moves_an_object_between_files_without_removing_it)
{
    log_capture();
    file_write("a.yaml", SERVICE_YAML("one", 1) "---\n" SERVICE_YAML("two", 2));
    file_write("b.yaml", SERVICE_YAML("three", 3));
    look();
    file_write("a.yaml", SERVICE_YAML("one", 1));
    file_write("b.yaml", SERVICE_YAML("three", 3) "---\n" SERVICE_YAML("two", 22));
    cr_assert(strstr(look(), "+service two:22"), "%s", buf_cstr(&seen));
    file_write("b.yaml", SERVICE_YAML("three", 3));
    file_write("a.yaml", SERVICE_YAML("one", 1) "---\n" SERVICE_YAML("two", 222));
    cr_assert_str_eq(look(), "+service one:1, +service two:222, +service three:3");
    file_rename("a.yaml", "z.yaml");
    look();
    look_after(30);
    cr_assert_null(strstr(buf_cstr(&seen), "-service"));
    cr_assert_eq(log_count(log_taken(), "two files"), 0);
}

Test(folder, takes_the_first_of_twins_in_one_file)
{
    log_capture();
    file_write("a.yaml", SERVICE_YAML("one", 1) "---\n" SERVICE_YAML("one", 2));
    cr_assert_str_eq(look(), "+service one:1");
    cr_assert(strstr(log_taken(), "used=a.yaml unused=a.yaml"));
    file_delete("a.yaml");
    look();
    cr_assert_str_eq(look_after(30), "-service one");
}

Test(folder, names_a_kind_that_it_does_not_read_once)
{
    const char *log;

    log_capture();
    file_write("a.yaml", "apiVersion: apps/v1\nkind: Deployment\n---\n" SERVICE_YAML("one", 1));
    file_write("b.yaml", "apiVersion: apps/v1\nkind: Deployment\n");
    cr_assert_str_eq(look(), "+service one:1");
    file_write("b.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {}\n");
    look();
    log = log_taken();
    cr_assert_eq(log_count(log, "objects of this kind are not read"), 1, "%s", log);
    cr_assert(strstr(log, "kind=\"apps/v1 Deployment\" file=a.yaml"), "%s", log);
    cr_assert_eq(counter_get(&folder_stats(folder)->ignored_objects), 2);
}

Test(folder, follows_links_as_config_maps_are_mounted)
{
    char path[512], target[512];

    file_write("v1", SERVICE_YAML("one", 1));
    file_write("v2", SERVICE_YAML("one", 2));
    snprintf(path, sizeof(path), "%s/a.yaml", files_path());
    snprintf(target, sizeof(target), "%s/..data", files_path());
    cr_assert_eq(symlink("v1", target), 0);
    cr_assert_eq(symlink("..data", path), 0);
    cr_assert_str_eq(look(), "+service one:1");
    cr_assert_eq(unlink(target), 0);
    cr_assert_eq(symlink("v2", target), 0);
    cr_assert_str_eq(look(), "+service one:2");
    unlink(path);
    unlink(target);
}

Test(folder, refuses_what_is_no_regular_file)
{
    char path[512];

    log_capture();
    snprintf(path, sizeof(path), "%s/pipe.yaml", files_path());
    cr_assert_eq(mkfifo(path, 0644), 0);
    file_write("a.yaml", SERVICE_YAML("one", 1));
    cr_assert_str_eq(look(), "+service one:1");
    look();
    cr_assert_eq(log_count(log_taken(), "not a regular file"), 1);
}

Test(folder, that_is_gone_changes_nothing)
{
    uint64_t again_us;
    struct err err = {0};

    file_write("a.yaml", SERVICE_YAML("one", 1));
    look();
    folder_delete();
    buf_reset(&seen);
    cr_assert_eq(folder_look(folder, now_us, &again_us, &err), CODE_NOT_FOUND);
    cr_assert(strstr(err.msg, "cannot read folder '/tmp/lookaside-files-"), "%s", err.msg);
    cr_assert_eq(seen.len, 0);
    folder_make();
    file_write("a.yaml", SERVICE_YAML("one", 2));
    cr_assert_str_eq(look(), "+service one:2");
}
