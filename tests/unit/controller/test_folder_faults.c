/* Changes that are under way, and what is no file. */
#include "folder_world.h"

#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

TestSuite(folder_faults, .init = folder_start, .fini = folder_stop);

static const char *path_of(const char *name)
{
    static char path[512];

    snprintf(path, sizeof(path), "%s/%s", files_path(), name);
    return path;
}

/* ---- writers ---- */

Test(folder_faults, waits_until_a_writer_of_whom_nothing_is_told_is_quiet)
{
    put("a.yaml", SERVICE_YAML("one", 1));
    look();
    file_write("a.yaml", "");
    cr_assert_str_eq(look(), "");
    cr_assert_eq(again_us, now_us + FOLDER_QUIET_US);
    file_write("a.yaml", SERVICE_YAML("one", 2));
    cr_assert_str_eq(look_after(249), "", "it was written to");
    cr_assert_str_eq(look_after(249), "");
    cr_assert_str_eq(look_after(1), "+service one:2");
    cr_assert_eq(again_us, 0);
}

Test(folder_faults, waits_for_a_new_file_too_but_not_at_the_start)
{
    file_write("a.yaml", SERVICE_YAML("one", 1));
    cr_assert_str_eq(look(), "+service one:1");
    file_write("b.yaml", SERVICE_YAML("two", 2));
    cr_assert_str_eq(look(), "");
    cr_assert_str_eq(look_after(250), "+service two:2");
}

Test(folder_faults, says_nothing_of_a_file_that_is_deleted_while_it_waits)
{
    look();
    file_write("a.yaml", "half: [");
    look();
    file_delete("a.yaml");
    look();
    log_capture();
    cr_assert_str_eq(look_after(30), "");
    cr_assert_eq(counter_get(&folder_stats(folder)->files), 0);
    cr_assert_str_eq(log_taken(), "");
}

/* ---- mounted ConfigMaps ---- */

/* As the kubelet does: a folder with the time in its name, and one link swapped. */
static void mount_version(const char *version, const char *text)
{
    char path[64];

    file_mkdir(version);
    snprintf(path, sizeof(path), "%s/a.yaml", version);
    file_write(path, text);
    file_link(version, "..data");
}

Test(folder_faults, follows_a_mounted_config_map)
{
    mount_version("..2026_01_01", SERVICE_YAML("one", 1));
    file_link("..data/a.yaml", "a.yaml");
    cr_assert_str_eq(look(), "+service one:1");
    cr_assert_str_eq(look(), "");
    mount_version("..2026_01_02", SERVICE_YAML("one", 2));
    cr_assert_str_eq(look(), "+service one:2", "at once, although a.yaml itself did not change");
    cr_assert_eq(counter_get(&folder_stats(folder)->files), 1);
    cr_assert_eq(counter_get(&folder_stats(folder)->reads), 2);
}

Test(folder_faults, follows_a_mounted_config_map_whose_keys_change)
{
    mount_version("..2026_01_01", SERVICE_YAML("one", 1));
    file_link("..data/a.yaml", "a.yaml");
    look();
    file_mkdir("..2026_01_02");
    file_write("..2026_01_02/b.yaml", SERVICE_YAML("one", 2));
    file_link("..2026_01_02", "..data"); /* a.yaml leads nowhere now */
    log_capture();
    cr_assert_str_eq(look(), "");
    file_link("..data/b.yaml", "b.yaml");
    cr_assert_str_eq(look(), "");
    file_delete("a.yaml");
    cr_assert_str_eq(look(), "");
    cr_assert_str_eq(look_after(30), "+service one:2");
    cr_assert_str_eq(log_taken(), "");
}

/* What a look in the middle of the swap would see: old content of one file, new of the other. */
static void swap_now(void *ctx, unused_arg enum object_kind kind,
                     unused_arg const struct json *object, unused_arg const char *file,
                     unused_arg size_t line)
{
    size_t *calls = ctx;

    if ((*calls)++ == 0)
        file_link("..new", "..data");
}

static void ignore_remove(unused_arg void *ctx, unused_arg enum object_kind kind,
                          unused_arg const struct json *object)
{
}

Test(folder_faults, takes_no_half_of_a_swap)
{
    size_t calls = 0;
    const struct folder_sink sink = {swap_now, ignore_remove, &calls};
    struct folder *other;

    file_mkdir("..old");
    file_write("..old/a.yaml", SERVICE_YAML("one", 1));
    file_write("..old/b.yaml", SERVICE_YAML("two", 1));
    file_mkdir("..new");
    file_write("..new/a.yaml", SERVICE_YAML("one", 2));
    file_write("..new/b.yaml", SERVICE_YAML("two", 2));
    file_link("..old", "..data");
    file_link("..data/a.yaml", "a.yaml");
    file_link("..data/b.yaml", "b.yaml");
    other = folder_new(files_path(), &sink);
    cr_assert_eq(folder_look(other, true, now_us, &again_us, NULL), CODE_OK);
    cr_assert_eq(counter_get(&folder_stats(other)->reads), 4, "both files in both versions");
    cr_assert_eq(calls, 3, "b.yaml was swapped before it could be read");
    folder_free(other);
}

/* ---- what is no file ---- */

Test(folder_faults, opens_no_pipe_socket_or_device)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *log;

    log_capture();
    cr_assert_eq(mkfifo(path_of("pipe.yaml"), 0644), 0);
    cr_assert_lt(
        snprintf(address.sun_path, sizeof(address.sun_path), "%.64s/socket.yaml", files_path()),
        (int)sizeof(address.sun_path));
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    file_link("/dev/zero", "device.yaml");
    file_mkdir("folder.yaml");
    put("a.yaml", SERVICE_YAML("one", 1));
    cr_assert_str_eq(look(), "+service one:1");
    cr_assert_str_eq(look_after(5000), "");
    log = log_taken();
    cr_assert_eq(log_count(log, "bad manifest: skipped"), 4, "%s", log);
    cr_assert_eq(log_count(log, "not a regular file"), 4, "%s", log);
    cr_assert_eq(counter_get(&folder_stats(folder)->reads), 1);
    cr_assert_eq(counter_get(&folder_stats(folder)->bad_files), 4);
    close(fd);
}

Test(folder_faults, keeps_what_a_file_gave_that_became_a_folder)
{
    log_capture();
    put("a.yaml", SERVICE_YAML("one", 1));
    look();
    file_delete("a.yaml");
    file_mkdir("a.yaml");
    cr_assert_str_eq(look_after(100), "");
    cr_assert_str_eq(look_after(100), "");
    cr_assert_eq(log_count(log_taken(), "what it gave before stays"), 1);
    cr_assert_eq(rmdir(path_of("a.yaml")), 0);
    put("a.yaml", SERVICE_YAML("one", 1));
    cr_assert_str_eq(look(), "+service one:1");
    cr_assert_eq(counter_get(&folder_stats(folder)->bad_files), 0);
}

Test(folder_faults, keeps_what_a_link_gave_that_leads_nowhere_until_it_goes)
{
    log_capture();
    file_write("target", SERVICE_YAML("one", 1));
    file_link("target", "a.yaml");
    file_link("a.yaml", "loop.yaml");
    cr_assert_str_eq(look(), "+service one:1");
    file_link("loop.yaml", "a.yaml");
    file_delete("target");
    cr_assert_str_eq(look_after(100), "");
    cr_assert_eq(log_count(log_taken(), "Too many levels of symbolic links"), 2);
    file_link("target", "a.yaml");
    look();
    cr_assert_str_eq(look_after(100), "");
    cr_assert(strstr(log_taken(), "what it gave before stays"));
    cr_assert_eq(counter_get(&folder_stats(folder)->bad_files), 2);
    file_delete("loop.yaml");
    file_delete("a.yaml");
    cr_assert_str_eq(look(), "-service one");
}

Test(folder_faults, refuses_a_huge_file_unread)
{
    log_capture();
    put("a.yaml", SERVICE_YAML("one", 1));
    look();
    cr_assert_eq(truncate(path_of("a.yaml"), MANIFEST_BYTES_MAX + 1), 0);
    folder_note_written(folder, "a.yaml");
    cr_assert_str_eq(look(), "");
    cr_assert(strstr(log_taken(), "larger than 64 MiB"));
    put("a.yaml", SERVICE_YAML("one", 2));
    cr_assert_str_eq(look(), "+service one:2");
}

/* ---- the folder itself ---- */

Test(folder_faults, changes_nothing_when_the_folder_is_gone)
{
    struct err err = {0};

    put("a.yaml", SERVICE_YAML("one", 1));
    look();
    folder_move_aside();
    cr_assert_eq(folder_look(folder, true, now_us, &again_us, &err), CODE_NOT_FOUND);
    cr_assert(strstr(err.msg, "cannot read folder '/tmp/lookaside-files-"), "%s", err.msg);
    folder_move_back();
    cr_assert_str_eq(look(), "");
    replace("a.yaml", SERVICE_YAML("one", 2));
    cr_assert_str_eq(look(), "+service one:2");
}

Test(folder_faults, waits_for_a_folder_that_comes_back_as_another_one_to_be_filled)
{
    const char *log;

    log_capture();
    put("a.yaml", SERVICE_YAML("one", 1));
    put("b.yaml", SERVICE_YAML("two", 1));
    put("c.yaml", SERVICE_YAML("three", 1));
    look();
    folder_move_aside();
    folder_make();
    cr_assert_str_eq(look_after(100), "", "empty, as a mount point is");
    put("b.yaml", SERVICE_YAML("two", 2));
    put("c.yaml", SERVICE_YAML("three", 2));
    cr_assert_str_eq(look_after(4000), "+service two:2, +service three:2");
    cr_assert_str_eq(look_after(1000), "-service one");
    cr_assert_eq(log_count(log_taken(), "the folder was replaced by one that lacks most files"), 1);
    file_delete("b.yaml");
    file_delete("c.yaml");
    look();
    cr_assert_str_eq(look_after(30), "-service two, -service three", "deleted, not replaced");
    log = log_taken();
    cr_assert_str_eq(log, "");
}

Test(folder_faults, believes_a_folder_that_was_replaced_by_a_similar_one)
{
    put("a.yaml", SERVICE_YAML("one", 1));
    put("b.yaml", SERVICE_YAML("two", 1));
    look();
    folder_move_aside();
    folder_make();
    put("b.yaml", SERVICE_YAML("two", 2));
    cr_assert_str_eq(look(), "+service two:2");
    cr_assert_str_eq(look_after(30), "-service one");
}

Test(folder_faults, does_not_read_a_part_of_too_many_files)
{
    struct err err = {0};
    char name[32];

    put("a.yaml", SERVICE_YAML("one", 1));
    look();
    for (int i = 0; i < FOLDER_FILES_MAX; i++) {
        snprintf(name, sizeof(name), "n%d.yaml", i);
        file_write(name, "");
    }
    cr_assert_eq(folder_look(folder, true, now_us, &again_us, &err), CODE_RESOURCE_EXHAUSTED);
    cr_assert(strstr(err.msg, "20001 manifests, at most 20000 are read"), "%s", err.msg);
    put("a.yaml", SERVICE_YAML("one", 2));
    file_delete("n0.yaml");
    cr_assert_str_eq(look(), "+service one:2");
}
