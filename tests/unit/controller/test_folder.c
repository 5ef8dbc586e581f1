/* One look after another, with the clock in hand. */
#include "folder_world.h"

#include <fcntl.h>
#include <sys/stat.h>

TestSuite(folder, .init = folder_start, .fini = folder_stop);

Test(folder, gives_what_its_files_have_in_order_of_their_names)
{
    put("b.yml", SERVICE_YAML("two", 2));
    put("a.yaml", SERVICE_YAML("one", 1) "---\n" SLICE_YAML("s", "one", AT("10.0.0.1")));
    put("c.json", "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"three\"}}");
    cr_assert_str_eq(look(), "+service one:1, +slice s, +service two:2, +service three");
    cr_assert_eq(counter_get(&folder_stats(folder)->files), 3);
    cr_assert_eq(counter_get(&folder_stats(folder)->objects), 4);
}

Test(folder, reads_only_what_changed)
{
    put("a.yaml", SERVICE_YAML("one", 1));
    put("b.yaml", SERVICE_YAML("two", 2));
    look();
    cr_assert_str_eq(look(), "");
    cr_assert_eq(counter_get(&folder_stats(folder)->reads), 2);
    put("b.yaml", SERVICE_YAML("two", 33));
    cr_assert_str_eq(look(), "+service two:33");
    cr_assert_eq(counter_get(&folder_stats(folder)->reads), 3);
}

Test(folder, looks_only_at_what_was_noted_unless_at_the_whole)
{
    put("a.yaml", SERVICE_YAML("one", 1));
    put("b.yaml", SERVICE_YAML("two", 2));
    look();
    file_replace("b.yaml", SERVICE_YAML("two", 22));
    put("a.yaml", SERVICE_YAML("one", 11));
    put("c.yaml", SERVICE_YAML("three", 3));
    cr_assert_str_eq(look_at_noted(), "+service one:11, +service three:3");
    cr_assert_str_eq(look_at_noted(), "");
    file_delete("c.yaml");
    folder_note_changed(folder, "c.yaml");
    cr_assert_str_eq(look_at_noted(), "");
    cr_assert_eq(again_us, now_us + FOLDER_MISSING_GRACE_US);
    now_us = again_us;
    cr_assert_str_eq(look_at_noted(), "-service three");
    cr_assert_str_eq(look(), "", "quiet at first: no event told of b.yaml");
    now_us = again_us;
    cr_assert_str_eq(look_at_noted(), "+service two:22");
}

Test(folder, looks_at_the_whole_when_it_is_another_folder_or_swapped)
{
    put("a.yaml", SERVICE_YAML("one", 1));
    file_mkdir("..1");
    file_write("..1/b.yaml", SERVICE_YAML("two", 1));
    file_mkdir("..2");
    file_write("..2/b.yaml", SERVICE_YAML("two", 2));
    file_link("..1", "..data");
    file_link("..data/b.yaml", "b.yaml");
    look();
    file_link("..2", "..data");
    cr_assert_str_eq(look_at_noted(), "+service two:2");
    folder_move_aside();
    folder_make();
    file_write("a.yaml", SERVICE_YAML("one", 2));
    file_write("b.yaml", SERVICE_YAML("two", 3));
    cr_assert_str_eq(look_at_noted(), "");
    now_us = again_us;
    cr_assert_str_eq(look_at_noted(), "+service one:2, +service two:3");
}

Test(folder, reads_no_other_files)
{
    static const char *const others[] = {".a.yaml.swp", ".hidden.yaml", "a.yaml~",  "#a.yaml#",
                                         "a.txt",       "4913",         "yaml",     "a.yaml.bak",
                                         "a.YAML",      "#b.yaml",      ".#c.yaml", "a.tmp"};

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        put(others[i], "nonsense: [");
        cr_assert(!folder_reads(others[i]), "%s", others[i]);
    }
    cr_assert(folder_reads("a.yaml") && folder_reads("a.yml") && folder_reads("a.b.json"));
    cr_assert_str_eq(look(), "");
    cr_assert_eq(counter_get(&folder_stats(folder)->files), 0);
}

Test(folder, sees_a_rename_over)
{
    put("a.yaml", SERVICE_YAML("one", 1));
    look();
    replace("a.yaml", SERVICE_YAML("one", 2));
    cr_assert_str_eq(look(), "+service one:2");
}

Test(folder, sees_a_change_within_one_tick_of_the_clock_when_it_is_told)
{
    struct timespec times[2] = {{1000, 0}, {1000, 0}};
    char path[512];

    snprintf(path, sizeof(path), "%s/a.yaml", files_path());
    put("a.yaml", SERVICE_YAML("one", 1));
    utimensat(AT_FDCWD, path, times, 0);
    look();
    folder_note_written(folder, "a.yaml");
    folder_note_written(folder, "no-such.yaml");
    cr_assert_str_eq(look(), "+service one:1");
}

Test(folder, keeps_the_objects_of_a_malformed_file_and_says_so_once)
{
    const char *log;

    log_capture();
    put("a.yaml", SERVICE_YAML("one", 1));
    look();
    put("a.yaml", SERVICE_YAML("one", 2) "---\nkind: [unclosed\n");
    cr_assert_str_eq(look(), "");
    cr_assert_str_eq(look(), "");
    cr_assert_eq(counter_get(&folder_stats(folder)->bad_files), 1);
    log = log_taken();
    cr_assert_eq(log_count(log, "bad manifest: what it gave before stays"), 1, "%s", log);
    cr_assert(strstr(log, "file=a.yaml error=\"line "), "%s", log);
    put("a.yaml", SERVICE_YAML("one", 3));
    cr_assert_str_eq(look(), "+service one:3");
    cr_assert_eq(counter_get(&folder_stats(folder)->bad_files), 0);
}

Test(folder, skips_a_file_that_was_never_well_formed)
{
    log_capture();
    put("a.yaml", "greeter");
    put("b.yaml", SERVICE_YAML("two", 2));
    cr_assert_str_eq(look(), "+service two:2");
    cr_assert(strstr(log_taken(), "bad manifest: skipped"));
}

Test(folder, removes_what_a_file_no_longer_has)
{
    put("a.yaml", SERVICE_YAML("one", 1) "---\n" SERVICE_YAML("two", 2));
    look();
    put("a.yaml", SERVICE_YAML("two", 2));
    cr_assert_str_eq(look(), "+service two:2, -service one");
}

Test(folder, removes_the_objects_of_a_deleted_file_after_a_moment)
{
    put("a.yaml", SERVICE_YAML("one", 1));
    look();
    file_delete("a.yaml");
    cr_assert_str_eq(look(), "", "an editor may be about to put it back");
    cr_assert_str_eq(look_after(30), "-service one");
    cr_assert_str_eq(look(), "");
}

Test(folder, keeps_the_objects_of_a_file_that_comes_back_in_time)
{
    put("a.yaml", SERVICE_YAML("one", 1));
    look();
    file_rename("a.yaml", "a.yaml~");
    cr_assert_str_eq(look(), "");
    put("a.yaml", SERVICE_YAML("one", 2));
    cr_assert_str_eq(look(), "+service one:2");
    cr_assert_str_eq(look_after(100), "");
}

Test(folder, reads_a_file_when_its_writer_has_closed_it)
{
    put("a.yaml", SERVICE_YAML("one", 1));
    look();
    file_write("a.yaml", "");
    folder_note_writing(folder, "a.yaml", now_us);
    cr_assert_eq(folder_look(folder, true, now_us, &again_us, NULL), CODE_OK);
    cr_assert_eq(again_us, now_us + FOLDER_WRITER_GRACE_US);
    cr_assert_str_eq(look_after(1000), "");
    file_write("a.yaml", SERVICE_YAML("one", 2));
    cr_assert_str_eq(look(), "", "a prefix of what it will be");
    folder_note_written(folder, "a.yaml");
    cr_assert_str_eq(look(), "+service one:2");
}

Test(folder, does_not_wait_for_a_writer_for_ever)
{
    put("a.yaml", SERVICE_YAML("one", 1));
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
    folder_note_written(folder, "b.yaml");
    cr_assert_str_eq(look(), "+service two:2");
    cr_assert_eq(counter_get(&folder_stats(folder)->files), 1);
}

Test(folder, takes_an_object_from_the_first_file_by_name)
{
    const char *log;

    log_capture();
    put("b.yaml", SERVICE_YAML("one", 2));
    cr_assert_str_eq(look(), "+service one:2");
    put("c.yaml", SERVICE_YAML("one", 3));
    cr_assert_str_eq(look(), "");
    log = log_taken();
    cr_assert(strstr(log, "an object stands in two files"), "%s", log);
    cr_assert(strstr(log, "object=\"Service shop/one\" used=b.yaml unused=c.yaml"), "%s", log);
    put("a.yaml", SERVICE_YAML("one", 1));
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
    put("a.yaml", SERVICE_YAML("one", 1) "---\n" SERVICE_YAML("two", 2));
    put("b.yaml", SERVICE_YAML("three", 3));
    look();
    put("a.yaml", SERVICE_YAML("one", 1));
    put("b.yaml", SERVICE_YAML("three", 3) "---\n" SERVICE_YAML("two", 22));
    cr_assert(strstr(look(), "+service two:22"), "%s", look_seen());
    put("b.yaml", SERVICE_YAML("three", 3));
    put("a.yaml", SERVICE_YAML("one", 1) "---\n" SERVICE_YAML("two", 222));
    cr_assert_str_eq(look(), "+service one:1, +service two:222, +service three:3");
    file_rename("a.yaml", "z.yaml");
    folder_note_written(folder, "z.yaml");
    look();
    look_after(30);
    cr_assert_null(strstr(look_seen(), "-service"));
    cr_assert_eq(log_count(log_taken(), "two files"), 0);
}

Test(folder, takes_the_first_of_twins_in_one_file)
{
    log_capture();
    put("a.yaml", SERVICE_YAML("one", 1) "---\n" SERVICE_YAML("one", 2));
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
    put("a.yaml", "apiVersion: apps/v1\nkind: Deployment\n---\n" SERVICE_YAML("one", 1));
    put("b.yaml", "apiVersion: apps/v1\nkind: Deployment\n");
    cr_assert_str_eq(look(), "+service one:1");
    put("b.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {}\n");
    look();
    log = log_taken();
    cr_assert_eq(log_count(log, "objects of this kind are not read"), 1, "%s", log);
    cr_assert(strstr(log, "kind=\"apps/v1 Deployment\" file=a.yaml"), "%s", log);
    cr_assert_eq(counter_get(&folder_stats(folder)->ignored_objects), 2);
}
