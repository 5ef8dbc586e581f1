#include "net/keypair.h"

#include <libgen.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"

#define SETTLE_MS 100       /* several changes are one */
#define LOOK_MS (10 * 1000) /* where nobody tells of changes */
#define NEAR_MAX_US (7 * 24 * 3600 * UINT64_C(1000000))
#define FILES 3     /* certificate, key, authorities of clients */
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
    struct stamp stamps[FILES]; /* of the files that `tls` was read from */
    struct path_watch *watches[FILES];
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

/* NULL behind the last that there is. */
static const char *path_of(const struct keypair_options *options, size_t index)
{
    const char *const paths[FILES] = {options->cert_path, options->key_path,
                                      options->client_ca_path};

    return paths[index];
}

static void look_at_files(const struct keypair_options *options, struct stamp out[FILES])
{
    for (size_t i = 0; i < FILES; i++)
        out[i] = path_of(options, i) ? stamp_of(path_of(options, i)) : (struct stamp){0};
}

static enum code load(struct keypair *keypair, const struct stamp stamps[FILES], struct err *err)
{
    const struct keypair_options *options = &keypair->options;
    CLEANUP(tls_unrefp) struct tls *tls = NULL;
    enum code code =
        tls_server_new(options->cert_path, options->key_path, clock_wall_us(), &tls, err);

    if (code == CODE_OK && options->client_ca_path)
        code = tls_ask_clients(tls, options->client_ca_path, options->client_required, err);
    if (code != CODE_OK)
        return code;
    counter_set(&keypair->stats.expiry_s, tls_validity(tls).end_us / 1000000);
    tls_unref(keypair->tls);
    keypair->tls = TAKE(tls);
    memcpy(keypair->stamps, stamps, sizeof(keypair->stamps));
    keypair->near = keypair->over = false;
    counter_add(&keypair->stats.loads, 1);
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
    struct stamp stamps[FILES];
    struct err err = {0};
    bool same = true;

    look_at_files(&keypair->options, stamps);
    for (size_t i = 0; i < FILES; i++)
        same = same && stamp_eq(&stamps[i], &keypair->stamps[i]);
    if (same) {
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
    struct stamp stamps[FILES];
    enum code code;

    keypair->options = *options;
    look_at_files(options, stamps); /* before reading: a change in between is seen next time */
    code = load(keypair, stamps, err);
    if (code != CODE_OK)
        return code;
    log_loaded(keypair);
    keypair->settled = timer_new(options->loop, on_look, keypair);
    keypair->look = timer_new(options->loop, on_look, keypair);
    timer_repeat(keypair->look, 0, LOOK_MS);
    for (size_t i = 0; i < FILES && path_of(options, i); i++)
        watch_folder(keypair, path_of(options, i), &keypair->watches[i]);
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
