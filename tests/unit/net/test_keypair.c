/* A certificate and its key, replaced while we look. */
#include "net/keypair.h"
#include "tls_world.h"

static struct keypair *keypair;
static int changes, last_fd;

static void on_change(void *ctx, struct tls *tls)
{
    cr_assert_eq(ctx, &changes);
    cr_assert_eq(tls, keypair_tls(keypair));
    changes++;
}

/* What is logged goes to a file; not in the folder, where it would be a change. */
static char log_path[] = "/tmp/lookaside-log-XXXXXX";

static void open_logged(void)
{
    world_open();
    last_fd = dup(STDERR_FILENO);
    cr_assert_eq(dup2(mkostemp(log_path, O_APPEND), STDERR_FILENO), STDERR_FILENO);
    cr_assert_eq(mkdir(in_folder("pair"), 0700), 0);
}

static void close_logged(void)
{
    keypair_free(keypair);
    dup2(last_fd, STDERR_FILENO);
    unlink(log_path);
    world_close();
}

TestSuite(keypair, .init = open_logged, .fini = close_logged, .timeout = 20);

static int count_logged(const char *words)
{
    static char text[65536];
    FILE *file = fopen(log_path, "r");
    int count = 0;

    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    for (const char *at = text; (at = strstr(at, words)); at++)
        count++;
    return count;
}

static void await_logged(const char *words, int count)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;

    while (count_logged(words) < count && clock_monotonic_us() < end_us)
        loop_turn(loop, 10);
    cr_assert_eq(count_logged(words), count, "'%s' is not in the log so often", words);
}

static const char *cert_path, *key_path, *client_ca_path;

static void start_asking(const char *cert, const char *key, const char *client_ca)
{
    struct keypair_options options = {.loop = loop, .on_change = on_change, .ctx = &changes};
    struct err err = {0};

    client_ca_path = options.client_ca_path = client_ca ? xstrdup(in_folder(client_ca)) : NULL;
    cert_path = options.cert_path = xstrdup(in_folder(cert));
    key_path = options.key_path = xstrdup(in_folder(key));
    cr_assert_eq(keypair_new(&options, &keypair, &err), CODE_OK, "%s", err.msg);
}

static void start_with(const char *cert, const char *key)
{
    start_asking(cert, key, NULL);
}

static void start(void)
{
    authority_sign(world.authority, NULL, in_folder("pair/tls.crt"), in_folder("pair/tls.key"));
    start_with("pair/tls.crt", "pair/tls.key");
    cr_assert_eq(changes, 0);
}

static void end(void)
{
    free((void *)(uintptr_t)cert_path);
    free((void *)(uintptr_t)client_ca_path);
    free((void *)(uintptr_t)key_path);
}

/* Long enough for what has happened to be looked at. */
static void look(void)
{
    uint64_t end_us = clock_monotonic_us() + 300 * 1000;

    while (clock_monotonic_us() < end_us)
        loop_turn(loop, 10);
}

/* As a careful writer does it. */
static void move_into(const char *from, const char *to)
{
    cr_assert_eq(rename(in_folder(from), in_folder(to)), 0);
}

Test(keypair, bad_files_are_refused_at_first)
{
    struct keypair_options options = {.loop = loop, .on_change = on_change};
    struct err err = {0};

    options.cert_path = xstrdup(in_folder("absent.crt"));
    options.key_path = xstrdup(in_folder("tls.key"));
    cr_assert_eq(keypair_new(&options, &keypair, &err), CODE_NOT_FOUND);
    cr_assert_not_null(strstr(err.msg, "absent.crt"));
    cr_assert_null(keypair);
    free((void *)(uintptr_t)options.cert_path);
    free((void *)(uintptr_t)options.key_path);
}

Test(keypair, files_that_are_written_again)
{
    struct tls *first;

    start();
    first = tls_ref(keypair_tls(keypair));
    authority_sign(world.authority, NULL, in_folder("pair/tls.crt"), in_folder("pair/tls.key"));
    turn_until(&changes, 1);
    cr_assert_neq(keypair_tls(keypair), first);
    cr_assert_eq(counter_get(&keypair_stats(keypair)->loads), 2);
    cr_assert_eq(counter_get(&keypair_stats(keypair)->failures), 0);
    tls_unref(first);
    end();
}

/* A Secret that is mounted: the links stay, and what they lead through is swapped. */
Test(keypair, a_mounted_secret)
{
    cr_assert_eq(mkdir(in_folder("pair/..one"), 0700), 0);
    cr_assert_eq(mkdir(in_folder("pair/..two"), 0700), 0);
    cr_assert_eq(symlink("..one", in_folder("pair/..data")), 0);
    cr_assert_eq(symlink("..data/tls.crt", in_folder("pair/tls.crt")), 0);
    cr_assert_eq(symlink("..data/tls.key", in_folder("pair/tls.key")), 0);
    start();
    authority_sign(world.authority, NULL, in_folder("pair/..two/tls.crt"),
                   in_folder("pair/..two/tls.key"));
    look();
    cr_assert_eq(changes, 0, "nothing leads there yet");
    cr_assert_eq(symlink("..two", in_folder("pair/..data_tmp")), 0);
    move_into("pair/..data_tmp", "pair/..data");
    turn_until(&changes, 1);
    cr_assert_eq(count_logged("cannot be loaded"), 0);
    end();
}

Test(keypair, one_file_after_the_other)
{
    struct tls *first;

    start();
    first = keypair_tls(keypair);
    authority_sign(world.authority, NULL, in_folder("new.crt"), in_folder("new.key"));
    move_into("new.crt", "pair/tls.crt");
    await_logged("does not belong to the certificate", 1);
    cr_assert_eq(keypair_tls(keypair), first, "the last pair stays");
    cr_assert_eq(changes, 0);
    close(open(in_folder("pair/touch"), O_CREAT | O_WRONLY, 0600));
    look();
    cr_assert_eq(counter_get(&keypair_stats(keypair)->failures), 1, "it is said once");
    move_into("new.key", "pair/tls.key");
    turn_until(&changes, 1);
    cr_assert_eq(count_logged("keeping the last one"), 1);
    end();
}

Test(keypair, files_that_vanish_and_come_back)
{
    start();
    move_into("pair/tls.crt", "away.crt");
    await_logged("keeping the last one", 1);
    cr_assert_eq(count_logged("No such file"), 1);
    move_into("away.crt", "pair/tls.crt");
    look();
    cr_assert_eq(changes, 0, "it is the same");
    move_into("pair/tls.crt", "away.crt");
    await_logged("keeping the last one", 2);
    end();
}

Test(keypair, what_is_bad_is_not_used)
{
    const struct certificate_spec old = {.begin_s = -7200, .end_s = -60};
    const struct certificate_spec locked = {.passphrase = "secret"};

    start();
    authority_sign(world.authority, &old, in_folder("pair/tls.crt"), in_folder("pair/tls.key"));
    await_logged("has expired at", 1);
    authority_sign(world.authority, &locked, in_folder("pair/tls.crt"), in_folder("pair/tls.key"));
    await_logged("is encrypted", 1);
    cr_assert_eq(changes, 0);
    authority_sign(world.authority, NULL, in_folder("pair/tls.crt"), in_folder("pair/tls.key"));
    turn_until(&changes, 1);
    cr_assert_eq(counter_get(&keypair_stats(keypair)->failures), 2);
    authority_sign(world.authority, &locked, in_folder("pair/tls.crt"), in_folder("pair/tls.key"));
    await_logged("is encrypted", 2);
    end();
}

Test(keypair, files_in_two_folders)
{
    authority_sign(world.authority, NULL, in_folder("tls.crt"), in_folder("pair/tls.key"));
    start_with("tls.crt", "pair/tls.key");
    authority_sign(world.authority, NULL, in_folder("tls.crt"), in_folder("pair/new.key"));
    await_logged("does not belong", 1);
    look();
    move_into("pair/new.key", "pair/tls.key");
    turn_until(&changes, 1);
    end();
}

Test(keypair, authorities_of_clients_change_too)
{
    struct authority *other = authority_new();

    authority_sign(world.authority, NULL, in_folder("tls.crt"), in_folder("tls.key"));
    authority_write(world.authority, in_folder("pair/clients.crt"));
    start_asking("tls.crt", "tls.key", "pair/clients.crt");
    authority_write(other, in_folder("pair/clients.crt"));
    turn_until(&changes, 1);
    authority_sign(other, NULL, NULL, in_folder("pair/clients.crt"));
    await_logged("holds no certificate in PEM", 1);
    cr_assert_eq(changes, 1);
    authority_free(other);
    end();
}

Test(keypair, the_end_is_told_before_and_when_it_comes)
{
    const struct certificate_spec spec = {.end_s = 2};
    uint64_t end_us;

    authority_sign(world.authority, &spec, in_folder("pair/tls.crt"), in_folder("pair/tls.key"));
    start_with("pair/tls.crt", "pair/tls.key");
    end_us = tls_validity(keypair_tls(keypair)).end_us;
    cr_assert_eq(counter_get(&keypair_stats(keypair)->expiry_s), end_us / 1000000);
    await_logged("expires soon", 1);
    cr_assert_eq(counter_get(&keypair_stats(keypair)->ends_soon), 1);
    while (clock_wall_us() <= end_us)
        loop_turn(loop, 50);
    close(open(in_folder("pair/touch"), O_CREAT | O_WRONLY, 0600)); /* it looks */
    await_logged("has expired, clients will refuse it", 1);
    cr_assert_eq(count_logged("expires soon"), 1);
    authority_sign(world.authority, NULL, in_folder("pair/tls.crt"), in_folder("pair/tls.key"));
    turn_until(&changes, 1);
    cr_assert_gt(counter_get(&keypair_stats(keypair)->expiry_s), end_us / 1000000);
    cr_assert_eq(counter_get(&keypair_stats(keypair)->ends_soon), 0);
    end();
}

/* The fifth of its life that is left: longer than a week is never near. */
Test(keypair, a_long_life_is_not_near_its_end)
{
    const struct certificate_spec spec = {.begin_s = -364 * 86400, .end_s = 8 * 86400};

    authority_sign(world.authority, &spec, in_folder("pair/tls.crt"), in_folder("pair/tls.key"));
    start_with("pair/tls.crt", "pair/tls.key");
    look();
    cr_assert_eq(count_logged("expires soon"), 0);
    end();
}

/* A day's certificate, renewed every few hours, is not always about to end. */
Test(keypair, a_short_life_is_near_its_end_in_its_last_fifth)
{
    const struct certificate_spec fresh = {.begin_s = -60, .end_s = 86400};
    const struct certificate_spec late = {.begin_s = -9 * 3600, .end_s = 2 * 3600};

    authority_sign(world.authority, &fresh, in_folder("pair/tls.crt"), in_folder("pair/tls.key"));
    start_with("pair/tls.crt", "pair/tls.key");
    look();
    cr_assert_eq(counter_get(&keypair_stats(keypair)->ends_soon), 0);
    authority_sign(world.authority, &late, in_folder("pair/tls.crt"), in_folder("pair/tls.key"));
    turn_until(&changes, 1);
    cr_assert_eq(counter_get(&keypair_stats(keypair)->ends_soon), 1);
    end();
}

Test(keypair, open_connections_outlive_a_change)
{
    char got[5];

    start();
    tls_unref(world.server);
    world.server = tls_ref(keypair_tls(keypair));
    world_accept(&(const struct conn_handler){see_data, see_drained, see_closed});
    cr_assert_eq(peer_connect(), SSL_ERROR_NONE);
    authority_sign(world.authority, NULL, in_folder("pair/tls.crt"), in_folder("pair/tls.key"));
    turn_until(&changes, 1);
    tls_unref(TAKE(world.server));
    peer_say("hello");
    turn_until(&seen.data, 1);
    conn_writev(world.conn, &(struct conn_slice){.ptr = "world", .len = 5}, 1);
    cr_assert_eq(peer_hear(got, 5), 5);
    cr_assert_eq(seen.closed, 0);
    end();
}
