/* File events as they come from writers, kubelets and administrators at work. */
#include "fixture.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "controller/source.h"
#include "files.h"

#define RESCAN_US (2 * 1000 * 1000) /* what a lost event costs */

static struct source *source;

static void start(void)
{
    world_start_bare();
    files_start();
}

static void stop(void)
{
    source_free(source);
    world_stop();
    files_stop();
}

TestSuite(source_directory_faults, .init = start, .fini = stop);

static void open_source_at(const char *path)
{
    struct err err = {0};

    cr_assert_eq(source_directory_new(world.loop, world.controller, path, &source, &err), CODE_OK,
                 "%s", err.msg);
}

static const char *greeter_text(int last)
{
    static char text[1024];

    snprintf(
        text, sizeof(text),
        SERVICE_YAML("greeter", 8001) "---\n" SLICE_YAML("greeter-a", "greeter", AT("10.0.0.%d")),
        last);
    return text;
}

static void expect_greeter(int last)
{
    char wanted[64];

    snprintf(wanted, sizeof(wanted), "8001: 10.0.0.%d:9001", last);
    turn_until_published("greeter", wanted);
}

static void open_greeter(void)
{
    file_write("greeter.yaml", greeter_text(1));
    open_source_at(files_path());
    expect_greeter(1);
}

/* By events: three changes take less than one rescan. */
static void expect_watched(void)
{
    uint64_t from = clock_monotonic_us();

    for (int last = 101; last < 104; last++) {
        file_replace("greeter.yaml", greeter_text(last));
        expect_greeter(last);
    }
    cr_assert_lt(clock_monotonic_us() - from, RESCAN_US);
}

static FILE *open_file(const char *name)
{
    char path[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", files_path(), name);
    file = fopen(path, "w");
    cr_assert_not_null(file);
    return file;
}

/* ---- writers ---- */

/* Slower than what counts as quiet where no event tells. */
static void never_takes_a_part_of(const char *name)
{
    FILE *file = open_file(name); /* empty now */
    const char *text = greeter_text(5);
    size_t len = strlen(text), third = len / 3;

    turn_for_ms(40);
    for (size_t at = 0; at < len; at += third) {
        fwrite(text + at, 1, len - at < third ? len - at : third, file);
        fflush(file);
        turn_for_ms(400);
    }
    cr_assert_eq(world.publications, 1);
    fclose(file);
}

Test(source_directory_faults, never_publishes_a_half_written_file)
{
    log_capture();
    open_greeter();
    never_takes_a_part_of("greeter.yaml");
    expect_greeter(5);
    cr_assert_eq(log_count(log_taken(), "bad manifest"), 0);
}

Test(source_directory_faults, never_publishes_a_half_written_new_file)
{
    log_capture();
    open_source_at(files_path());
    never_takes_a_part_of("greeter.yaml");
    expect_greeter(5);
    cr_assert_eq(log_count(log_taken(), "bad manifest"), 0);
}

Test(source_directory_faults, sees_a_hard_link)
{
    char from[512], to[512];

    open_source_at(files_path());
    file_write("greeter.part", greeter_text(1));
    snprintf(from, sizeof(from), "%s/greeter.part", files_path());
    snprintf(to, sizeof(to), "%s/greeter.yaml", files_path());
    cr_assert_eq(link(from, to), 0);
    expect_greeter(1);
}

Test(source_directory_faults, is_not_kept_busy_by_other_peoples_files)
{
    struct buf text = BUFFER_INIT(1 << 16);

    open_greeter();
    for (int i = 0; i < 20; i++) {
        file_write("greeter.log", "a line\n");
        turn_for_ms(6);
    }
    source_write_metrics(source, &text);
    cr_assert(strstr(buf_cstr(&text), "\nlookaside_source_looks_total 1\n"), "%s", buf_cstr(&text));
    buf_done(&text);
}

/* More events than the kernel keeps: what they said is found by looking. */
Test(source_directory_faults, finds_what_lost_events_did_not_tell)
{
    open_greeter();
    for (int i = 0; i < 6000; i++) {
        file_write("noise.yaml", "");
        file_delete("noise.yaml");
    }
    file_write("greeter.yaml", greeter_text(7));
    expect_greeter(7);
    expect_watched();
}

/* ---- mounted ConfigMaps ---- */

static void mount_version(const char *version, int last)
{
    char path[64];

    file_mkdir(version);
    snprintf(path, sizeof(path), "%s/greeter.yaml", version);
    file_write(path, greeter_text(last));
    file_link(version, "..data");
}

Test(source_directory_faults, follows_a_mounted_config_map_at_once)
{
    uint64_t from;

    mount_version("..2026_01_01", 1);
    file_link("..data/greeter.yaml", "greeter.yaml");
    open_source_at(files_path());
    expect_greeter(1);
    from = clock_monotonic_us();
    mount_version("..2026_01_02", 2);
    expect_greeter(2);
    mount_version("..2026_01_03", 3);
    expect_greeter(3);
    cr_assert_lt(clock_monotonic_us() - from, RESCAN_US / 2);
}

/* ---- the folder itself ---- */

Test(source_directory_faults, waits_for_a_folder_that_goes_away)
{
    log_capture();
    open_greeter();
    folder_move_aside();
    turn_for_ms(60);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    cr_assert_eq(log_count(log_taken(), "cannot read the folder: what it gave stays"), 1);
    folder_make();
    file_write("greeter.yaml", greeter_text(2)); /* of another folder, with another inode */
    expect_greeter(2);
    expect_watched();
    folder_move_back();
    expect_greeter(1);
    expect_watched();
}

Test(source_directory_faults, keeps_what_it_has_while_a_folder_is_filled_again)
{
    open_greeter();
    folder_move_aside();
    folder_make();
    turn_for_ms(2300);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    cr_assert_eq(world.publications, 1);
    file_write("greeter.yaml", greeter_text(2));
    expect_greeter(2);
}

Test(source_directory_faults, follows_a_link_to_another_folder)
{
    char path[512];

    file_mkdir("one");
    file_write("one/greeter.yaml", greeter_text(1));
    file_mkdir("two");
    file_write("two/greeter.yaml", greeter_text(2));
    file_link("one", "current");
    snprintf(path, sizeof(path), "%s/current", files_path());
    open_source_at(path);
    expect_greeter(1);
    file_link("two", "current");
    expect_greeter(2);
    file_replace("two/greeter.yaml", greeter_text(3));
    expect_greeter(3);
    for (int last = 4; last < 8; last++) { /* by events */
        uint64_t from = clock_monotonic_us();

        file_replace("two/greeter.yaml", greeter_text(last));
        expect_greeter(last);
        cr_assert_lt(clock_monotonic_us() - from, RESCAN_US / 2);
    }
}

Test(source_directory_faults, keeps_what_a_folder_gave_that_is_forbidden_now)
{
    bool root = geteuid() == 0;

    log_capture();
    if (root) {
        cr_assert_eq(chown(files_path(), 65534, 65534), 0);
        cr_assert_eq(seteuid(65534), 0);
    }
    open_greeter();
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(chmod(files_path(), i == 0 ? 0000 : 0600), 0); /* not read; not entered */
        turn_for_ms(60);
        cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
        cr_assert(strstr(log_taken(), "Permission denied"));
        cr_assert_eq(chmod(files_path(), 0700), 0);
        turn_for_ms(60);
        file_replace("greeter.yaml", greeter_text(1));
    }
    expect_watched();
    if (root)
        cr_assert_eq(seteuid(0), 0);
}

/* ---- no events ---- */

/* From now on there is no inotify for this process, as when the system's limit is reached. */
static void forbid_inotify(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_inotify_init1, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EMFILE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {ARRAY_LEN(code), code};

    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
}

Test(source_directory_faults, looks_every_two_seconds_without_file_events)
{
    FILE *file;

    log_capture();
    forbid_inotify();
    open_greeter();
    cr_assert_eq(log_count(log_taken(), "no file events: looking every two seconds"), 1);
    file_replace("greeter.yaml", greeter_text(2));
    expect_greeter(2);
    file = open_file("greeter.yaml"); /* and knows nothing of its writer, but waits for silence */
    for (const char *at = greeter_text(3); *at; at++) {
        fputc(*at, file);
        fflush(file);
        if ((at - greeter_text(3)) % 3 == 0)
            turn_for_ms(30);
        cr_assert_str_eq(published("greeter"), "8001: 10.0.0.2:9001");
    }
    fclose(file);
    expect_greeter(3);
    cr_assert_eq(log_count(log_taken(), "bad manifest"), 0);
}
