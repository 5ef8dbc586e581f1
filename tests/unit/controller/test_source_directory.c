/* A folder of manifests, real file events, and what comes out at the other end. */
#include "fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "controller/source.h"
#include "files.h"

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

TestSuite(source_directory, .init = start, .fini = stop);

static void open_source(void)
{
    struct err err = {0};

    cr_assert_eq(source_directory_new(world.loop, world.controller, files_path(), &source, &err),
                 CODE_OK, "%s", err.msg);
}

static void open_greeter(void)
{
    file_write("greeter.yaml", SERVICE_YAML("greeter", 8001) "---\n" SLICE_YAML(
                                   "greeter-a", "greeter", AT("10.0.0.1")));
    open_source();
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
}

Test(source_directory, publishes_the_folder_before_it_returns)
{
    open_greeter();
    cr_assert_eq(world.publications, 1);
    cr_assert(source_synced(source, NULL));
    cr_assert_lt(source_staleness_us(source), 5 * 1000 * 1000);
}

Test(source_directory, publishes_an_empty_folder)
{
    open_source();
    cr_assert_eq(world.publications, 1);
    file_write("greeter.yaml", SERVICE_YAML("greeter", 8001));
    turn_until_published("greeter", "8001:");
}

Test(source_directory, follows_every_way_of_writing_a_file)
{
    open_greeter();
    file_write("more.yml", SLICE_YAML("greeter-b", "greeter", AT("10.0.0.2")));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.2:9001");
    file_replace("more.yml", SLICE_YAML("greeter-b", "greeter", AT("10.0.0.3")));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.3:9001");
    file_write("more.yml", SLICE_YAML("greeter-b", "greeter", AT("10.0.0.4")));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.4:9001");
    file_rename("more.yml", "other.yaml");
    turn_for_ms(60);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001,10.0.0.4:9001");
    file_delete("other.yaml");
    turn_until_published("greeter", "8001: 10.0.0.1:9001");
}

/* Within milliseconds, not at the next rescan: the best of a few, on a busy machine. */
Test(source_directory, publishes_a_change_within_milliseconds)
{
    uint64_t best_us = UINT64_MAX;

    open_greeter();
    for (int i = 2; i < 7; i++) {
        char text[1024], wanted[64];
        uint64_t from = clock_monotonic_us();

        snprintf(text, sizeof(text), SLICE_YAML("greeter-b", "greeter", AT("10.0.0.%d")), i);
        snprintf(wanted, sizeof(wanted), "8001: 10.0.0.1:9001,10.0.0.%d:9001", i);
        file_replace("more.yaml", text);
        turn_until_published("greeter", wanted);
        if (clock_monotonic_us() - from < best_us)
            best_us = clock_monotonic_us() - from;
    }
    cr_assert_lt(best_us, 50 * 1000);
}

Test(source_directory, never_publishes_a_half_written_file)
{
    char path[512];
    FILE *file;

    log_capture();
    open_greeter();
    snprintf(path, sizeof(path), "%s/greeter.yaml", files_path());
    file = fopen(path, "w"); /* empty now */
    cr_assert_not_null(file);
    turn_for_ms(40);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    fputs(SERVICE_YAML("greeter", 8001) "---\napiVersion: discovery.k8s.io/v1\nkind: Endpo", file);
    fflush(file);
    turn_for_ms(40);
    cr_assert_eq(world.publications, 1);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    fclose(file);
    file_write("greeter.yaml", SERVICE_YAML("greeter", 8001) "---\n" SLICE_YAML(
                                   "greeter-a", "greeter", AT("10.0.0.5")));
    turn_until_published("greeter", "8001: 10.0.0.5:9001");
}

Test(source_directory, makes_one_catalog_of_files_that_change_together)
{
    open_source();
    file_write("a.yaml", SERVICE_YAML("greeter", 8001));
    file_write("b.yaml", SLICE_YAML("s", "greeter", AT("10.0.0.1")));
    file_write("c.yaml", SERVICE_YAML("other", 80));
    turn_until(&world.publications, 2);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    cr_assert_str_eq(published("other"), "80:");
}

Test(source_directory, keeps_bad_objects_last_good_versions)
{
    const char *log;

    log_capture();
    open_greeter();
    file_write("greeter.yaml", SERVICE_YAML("greeter", 8002) "---\n" SLICE_YAML(
                                   "greeter-a", "greeter", AT("10.0.0.2") "  zone: 7\n"));
    turn_until_published("greeter", "8002: 10.0.0.1:9001");
    log = log_taken();
    cr_assert(strstr(log, "shop/greeter-a: endpoints[0].zone: expected a string"), "%s", log);
    cr_assert(strstr(log, "file=greeter.yaml line=6"), "%s", log);
}

Test(source_directory, reads_nodes)
{
    const struct counter *nodes = &controller_stats(world.controller)->objects_nodes;

    file_write("node.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: "
                            "{topology.kubernetes.io/zone: z}}\n");
    open_greeter();
    cr_assert_eq(counter_get(nodes), 1);
    file_delete("node.yaml");
    turn_for_ms(100);
    cr_assert_eq(counter_get(nodes), 0);
}

Test(source_directory, needs_a_folder)
{
    struct err err = {0};

    cr_assert_eq(
        source_directory_new(world.loop, world.controller, "/no/such/folder", &source, &err),
        CODE_NOT_FOUND);
    cr_assert_str_eq(err.msg, "cannot read folder '/no/such/folder': No such file or directory");
    cr_assert_null(source);
    cr_assert_eq(source_directory_new(world.loop, world.controller, "/etc/passwd", &source, &err),
                 CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "cannot read folder '/etc/passwd': Not a directory");
    cr_assert_eq(world.publications, 0);
}

Test(source_directory, tells_its_metrics)
{
    struct buf text = BUFFER_INIT(1 << 16);

    open_greeter();
    source_write_metrics(source, &text);
    cr_assert(strstr(buf_cstr(&text), "\nlookaside_source_files 1\n"), "%s", buf_cstr(&text));
    cr_assert(strstr(buf_cstr(&text), "\nlookaside_source_objects 2\n"));
    cr_assert(strstr(buf_cstr(&text), "\n# TYPE lookaside_source_staleness_seconds gauge\n"));
    cr_assert(
        strstr(buf_cstr(&text),
               "\nlookaside_source_staleness_seconds{resource=\"directory\",namespace=\"\"} "));
    buf_done(&text);
}

/* Tests of the fixtures in tests/data/manifests, by the words in them. */
Test(source_directory, reads_the_manifests_of_the_repository)
{
    struct err err = {0};
    const char *folder = "tests/data/manifests";

    cr_assert_eq(access(folder, R_OK), 0, "run from the top folder");
    cr_assert_eq(source_directory_new(world.loop, world.controller, folder, &source, &err), CODE_OK,
                 "%s", err.msg);
    cr_assert_str_eq(published("greeter"),
                     "8001: 10.0.1.1:9001,10.0.1.2:9001,10.0.2.1:9002,fd00::1:9001");
    cr_assert_str_eq(published("chat"), "8001: 10.1.0.1:8001,10.1.0.2:8001");
    cr_assert_str_eq(published("lobby"), "0: 10.2.0.1:0");
    cr_assert_str_eq(published("draining"), "80: 10.3.0.1:80");
    cr_assert_str_eq(published("empty"), "80:; 8001:");
    cr_assert_str_eq(published("outside"), "");
}
