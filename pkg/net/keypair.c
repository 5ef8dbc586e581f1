#include "net/keypair.h"

#include <libgen.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"

#define SETTLE_MS 100       /* several changes are one */
#define LOOK_MS (10 * 1000) /* where nobody tells of changes */
#define NEAR_MAX_US (7 * 24 * 3600 * UINT64_C(1000000))
#define NEAR_PART 5 /* of its validity, for a certificate that lives less long */

struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

struct keypair {
    struct keypair_options options;
    struct keypair_stats stats;
    struct tls *tls;
    struct stamp stamps[2]; /* of the files that `tls` was read from */
    struct path_watch *watches[2];
    struct timer *settled;
    struct timer *look;
    struct err failure; /* the last one that was logged; "" while all is well */
    bool near, over;    /* logged */
};

/* ---- what is on the disk ---- */

static struct stamp stamp_of(const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return (struct stamp){0};
    return (struct stamp){info.st_dev, info.st_ino, info.st_size, info.st_mtim};
}

static bool stamp_eq(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}

static enum code load(struct keypair *keypair, const struct stamp stamps[2], struct err *err)
{
    struct tls *tls;
    enum code code = tls_server_new(keypair->options.cert_path, keypair->options.key_path,
                                    clock_wall_us(), &tls, err);

    if (code != CODE_OK)
        return code;
    tls_unref(keypair->tls);
    keypair->tls = tls;
    memcpy(keypair->stamps, stamps, sizeof(keypair->stamps));
    keypair->near = keypair->over = false;
    counter_add(&keypair->stats.loads, 1);
    counter_set(&keypair->stats.expiry_s, tls_validity(tls).end_us / 1000000);
    return CODE_OK;
}

static void log_loaded(const struct keypair *keypair)
{
    char end[32];

    clock_format_wall(tls_validity(keypair->tls).end_us, end);
    log_info(LOG_NET, "TLS certificate is in use",
             KV_STR("certificate", keypair->options.cert_path), KV_STR("valid_until", end));
}

static void on_failure(struct keypair *keypair, const struct err *err)
{
    if (strcmp(keypair->failure.msg, err->msg) == 0)
        return;
    keypair->failure = *err;
    counter_add(&keypair->stats.failures, 1);
    log_warn(LOG_NET, "TLS certificate cannot be loaded again, keeping the last one", KV_ERR(err));
}

/* Files of a pair that are being written one after the other fail, and are looked at again. */
static void reload(struct keypair *keypair)
{
    const struct stamp stamps[2] = {stamp_of(keypair->options.cert_path),
                                    stamp_of(keypair->options.key_path)};
    struct err err = {0};

    if (stamp_eq(&stamps[0], &keypair->stamps[0]) && stamp_eq(&stamps[1], &keypair->stamps[1])) {
        keypair->failure = (struct err){0};
        return;
    }
    if (load(keypair, stamps, &err) != CODE_OK) {
        on_failure(keypair, &err);
        return;
    }
    keypair->failure = (struct err){0};
    log_loaded(keypair);
    keypair->options.on_change(keypair->options.ctx, keypair->tls);
}

/* ---- its end ---- */

static void check_expiry(struct keypair *keypair)
{
    struct tls_validity validity = tls_validity(keypair->tls);
    uint64_t near_us = min_u64(NEAR_MAX_US, (validity.end_us - validity.begin_us) / NEAR_PART);
    uint64_t now_us = clock_wall_us();
    char end[32];

    clock_format_wall(validity.end_us, end);
    if (now_us >= validity.end_us && !keypair->over)
        log_error(LOG_NET, "TLS certificate has expired, clients will refuse it",
                  KV_STR("certificate", keypair->options.cert_path), KV_STR("expired", end));
    else if (now_us + near_us >= validity.end_us && !keypair->near)
        log_warn(LOG_NET, "TLS certificate expires soon",
                 KV_STR("certificate", keypair->options.cert_path), KV_STR("valid_until", end));
    keypair->over = now_us >= validity.end_us;
    keypair->near = now_us + near_us >= validity.end_us;
    counter_set(&keypair->stats.ends_soon, keypair->near);
}

/* ---- events ---- */

static void on_look(void *ctx)
{
    struct keypair *keypair = ctx;

    reload(keypair);
    check_expiry(keypair);
}

static void on_folder(void *ctx, const char *name unused_arg)
{
    struct keypair *keypair = ctx;

    timer_start(keypair->settled, SETTLE_MS);
}

/* A folder that cannot be watched is looked at. */
static void watch_folder(struct keypair *keypair, const char *path, struct path_watch **ret_watch)
{
    CLEANUP(freep) char *copy = xstrdup(path);
    struct err err = {0};

    if (path_watch_new(keypair->options.loop, dirname(copy), on_folder, keypair, ret_watch, &err) !=
        CODE_OK)
        log_warn(LOG_NET, "cannot be told of a new TLS certificate, looking every 10 s",
                 KV_ERR(&err));
}

/* ---- life ---- */

DEFINE_CLEANUP(struct keypair, keypair_free)

enum code keypair_new(const struct keypair_options *options, struct keypair **ret_keypair,
                      struct err *err)
{
    CLEANUP(keypair_freep) struct keypair *keypair = xcalloc(1, sizeof(*keypair));
    /* Before reading: a change in between is seen next time. */
    const struct stamp stamps[2] = {stamp_of(options->cert_path), stamp_of(options->key_path)};
    enum code code;

    keypair->options = *options;
    code = load(keypair, stamps, err);
    if (code != CODE_OK)
        return code;
    log_loaded(keypair);
    keypair->settled = timer_new(options->loop, on_look, keypair);
    keypair->look = timer_new(options->loop, on_look, keypair);
    timer_repeat(keypair->look, 0, LOOK_MS);
    watch_folder(keypair, options->cert_path, &keypair->watches[0]);
    watch_folder(keypair, options->key_path, &keypair->watches[1]);
    *ret_keypair = TAKE(keypair);
    return CODE_OK;
}

void keypair_free(struct keypair *keypair)
{
    if (!keypair)
        return;
    for (size_t i = 0; i < ARRAY_LEN(keypair->watches); i++)
        path_watch_free(keypair->watches[i]);
    timer_free(keypair->settled);
    timer_free(keypair->look);
    tls_unref(keypair->tls);
    free(keypair);
}

struct tls *keypair_tls(const struct keypair *keypair)
{
    return keypair->tls;
}

const struct keypair_stats *keypair_stats(const struct keypair *keypair)
{
    return &keypair->stats;
}
