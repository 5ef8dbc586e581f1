#include "kube/identity.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/secret_file.h"
#include "kube/plugin.h"
#include "kube/rotating.h"

#define RENEW_BEFORE_US (60 * 1000000ULL)
#define RENEW_AGAIN_US (10 * 1000000ULL)

struct identity {
    struct loop *loop;
    const struct kube_config *config;
    void (*on_settled)(void *ctx, const struct err *err);
    void *ctx;
    struct rotating token, cert, key, ca; /* files */
    char *authorization;
    /* the plugin's */
    struct plugin *plugin;  /* while it runs */
    struct deferred failed; /* it could not even be started */
    struct err failure;
    struct exec_credential credential;
    uint64_t generation; /* 0: it never answered */
    bool refused;        /* by the server */
    uint64_t renew_us;   /* wall clock: to be asked again from then on; 0: never */
};

/* ---- the plugin ---- */

static bool still_good(const struct identity *identity)
{
    const struct exec_credential *credential = &identity->credential;

    return identity->generation > 0 && !identity->refused &&
           (credential->expires_us == 0 || clock_wall_us() < credential->expires_us);
}

static void authorization_set(struct identity *identity, const char *token)
{
    secret_free(identity->authorization);
    identity->authorization = NULL;
    if (token && asprintf(&identity->authorization, "Authorization: Bearer %s", token) < 0)
        abort();
}

static void settle(struct identity *identity, const struct err *err)
{
    if (err && still_good(identity)) {
        log_warn(LOG_KUBE, "credentials cannot be renewed yet, keeping what is still good",
                 KV_ERR(err), KV_U64("asking_again_in_ms", RENEW_AGAIN_US / 1000));
        identity->renew_us = clock_wall_us() + RENEW_AGAIN_US;
        err = NULL;
    }
    identity->on_settled(identity->ctx, err);
}

/* In time: a minute before its end, or a quarter of its life if that is shorter. */
static uint64_t renewal_us(const struct exec_credential *credential, uint64_t now_us)
{
    uint64_t left_us;

    if (credential->expires_us == 0)
        return 0;
    left_us = credential->expires_us > now_us ? credential->expires_us - now_us : 0;
    return credential->expires_us - min_u64(RENEW_BEFORE_US, left_us / 4);
}

static void credential_take(struct identity *identity, struct exec_credential *credential)
{
    exec_credential_done(&identity->credential);
    identity->credential = *credential;
    identity->generation++;
    identity->refused = false;
    identity->renew_us = renewal_us(credential, clock_wall_us());
    authorization_set(identity, credential->token);
}

static void on_plugin_done(void *ctx, struct exec_credential *credential, const struct err *err)
{
    struct identity *identity = ctx;
    struct err stale = {0};

    plugin_free(TAKE(identity->plugin));
    if (credential && credential->expires_us > 0 && credential->expires_us <= clock_wall_us()) {
        fail(&stale, CODE_UNAUTHENTICATED, "credential plugin '%s': what it gave has expired",
             identity->config->exec->argv[0]);
        exec_credential_done(credential);
        err = &stale;
    } else if (credential) {
        credential_take(identity, credential);
    }
    settle(identity, err);
}

static void on_failed(void *ctx)
{
    struct identity *identity = ctx;
    struct err err = identity->failure;

    settle(identity, &err);
}

/* The authority's PEM, for who wants to know the cluster. */
static struct str ca_text(struct identity *identity)
{
    if (identity->config->ca_data)
        return str_of(identity->config->ca_data);
    if (rotating_look(&identity->ca, NULL, NULL) != CODE_OK || !identity->ca.text)
        return STR("");
    return str_of(identity->ca.text);
}

static void ask(struct identity *identity)
{
    struct plugin_options options = {.config = identity->config,
                                     .ca = ca_text(identity),
                                     .on_done = on_plugin_done,
                                     .ctx = identity};

    identity->failure = (struct err){0};
    if (plugin_start(identity->loop, &options, &identity->plugin, &identity->failure) != CODE_OK)
        deferred_schedule(identity->loop, &identity->failed);
}

static bool is_asked(const struct identity *identity)
{
    return identity->plugin || !list_empty(&identity->failed.link);
}

bool identity_ready(struct identity *identity)
{
    bool due = identity->renew_us > 0 && clock_wall_us() >= identity->renew_us;
    bool good;

    if (!identity->config->exec)
        return true;
    good = still_good(identity);
    if ((!good || due) && !is_asked(identity))
        ask(identity);
    return good;
}

bool identity_refused(struct identity *identity, uint64_t generation)
{
    if (!identity->config->exec)
        return false;
    if (generation == identity->generation)
        identity->refused = true;
    return true;
}

/* ---- files ---- */

static enum code token_check(const char *text, struct err *err)
{
    struct str token = str_trim(str_of(text));

    for (size_t i = 0; i < token.len; i++)
        if ((unsigned char)token.ptr[i] <= ' ' || token.ptr[i] == 0x7f)
            return fail(err, CODE_UNAUTHENTICATED, "does not hold one token");
    return token.len > 0 ? CODE_OK : fail(err, CODE_UNAUTHENTICATED, "does not hold one token");
}

static enum code pem_check(const char *text, struct err *err)
{
    return strstr(text, "-----BEGIN ") ? CODE_OK
                                       : fail(err, CODE_UNAUTHENTICATED, "holds no PEM block");
}

static enum code token_look(struct identity *identity, struct err *err)
{
    CLEANUP(secret_freep) char *token = NULL;

    if (!identity->token.path)
        return CODE_OK;
    if (rotating_look(&identity->token, token_check, err) != CODE_OK)
        return fail_in(err, "token");
    token = str_dup(str_trim(str_of(identity->token.text)));
    authorization_set(identity, token);
    return CODE_OK;
}

static enum code files_look(struct identity *identity, struct err *err)
{
    if (token_look(identity, err) != CODE_OK)
        return CODE_UNAUTHENTICATED;
    if (rotating_look(&identity->cert, pem_check, err) != CODE_OK)
        return fail_in(err, "client certificate");
    if (rotating_look(&identity->key, pem_check, err) != CODE_OK)
        return fail_in(err, "client key");
    return CODE_OK;
}

static const char *first_of(const char *a, const char *b, const char *c)
{
    return a ? a : b ? b : c;
}

enum code identity_get(struct identity *identity, struct credentials *ret_credentials,
                       struct err *err)
{
    const struct kube_config *config = identity->config;
    enum code code = files_look(identity, err);

    if (code != CODE_OK)
        return code;
    *ret_credentials = (struct credentials){
        .authorization = identity->authorization,
        .cert = first_of(config->cert_data, identity->cert.text, identity->credential.cert),
        .key = first_of(config->key_data, identity->key.text, identity->credential.key),
        .generation = identity->generation,
    };
    return CODE_OK;
}

/* ---- life ---- */

struct identity *identity_new(const struct identity_options *options)
{
    const struct kube_config *config = options->config;
    struct identity *identity = xcalloc(1, sizeof(*identity));

    identity->loop = options->loop;
    identity->config = config;
    identity->on_settled = options->on_settled;
    identity->ctx = options->ctx;
    deferred_init(&identity->failed, on_failed, identity);
    rotating_init(&identity->token, config->token_file);
    rotating_init(&identity->cert, config->cert_data ? NULL : config->cert_file);
    rotating_init(&identity->key, config->key_data ? NULL : config->key_file);
    rotating_init(&identity->ca, config->ca_file);
    if (!config->token_file)
        authorization_set(identity, config->token);
    return identity;
}

void identity_free(struct identity *identity)
{
    if (!identity)
        return;
    plugin_free(identity->plugin);
    deferred_cancel(&identity->failed);
    rotating_done(&identity->token);
    rotating_done(&identity->cert);
    rotating_done(&identity->key);
    rotating_done(&identity->ca);
    secret_free(identity->authorization);
    exec_credential_done(&identity->credential);
    free(identity);
}
