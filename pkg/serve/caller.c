#include "serve/caller.h"

#include "base/clock.h"
#include "base/log.h"
#include "serve/worker.h"

#define UNKNOWN_KEY_US 1000000
#define AUDIT_LINES_PER_SECOND 100 /* of each worker; all are counted */

static void tell_unknown_key(struct worker *worker)
{
    uint64_t now = loop_now_us(worker->loop);

    counter_add(&worker->stats.tokens_unknown_key, 1);
    if (!worker->options.unknown_key ||
        (worker->unknown_key_us && now - worker->unknown_key_us < UNKNOWN_KEY_US))
        return;
    worker->unknown_key_us = now;
    worker->options.unknown_key(worker->options.unknown_key_ctx);
}

static enum code check(const struct worker *worker, struct str authorization,
                       struct service_account **ret_account, struct err *why)
{
    struct str token = authorization, scheme = str_cut(&token, ' ');

    if (!str_eq_nocase(scheme, STR("bearer")))
        return fail(why, CODE_UNAUTHENTICATED, "the authorization is not a Bearer token");
    if (!worker->verifier)
        return fail(why, CODE_UNAVAILABLE, "the keys of the API server are not known yet");
    return verifier_check(worker->verifier, str_trim(token), clock_wall_us(), ret_account, why);
}

enum code caller_authenticate(void *ctx, const struct rpc *rpc, struct str authorization,
                              struct service_account **ret_account, struct err *err)
{
    struct worker *worker = ctx;
    struct err why = {0};
    enum code code = check(worker, authorization, ret_account, &why);

    if (code == CODE_OK) {
        counter_add(&worker->stats.tokens_accepted, 1);
        return code;
    }
    worker_complain(worker, rpc, "a client's token is refused", &why);
    if (code == CODE_UNAVAILABLE) {
        counter_add(&worker->stats.tokens_early, 1);
        return fail(err, code, "tokens cannot be verified yet: try again later");
    }
    if (code == CODE_NOT_FOUND)
        tell_unknown_key(worker);
    else
        counter_add(&worker->stats.tokens_refused, 1);
    return fail(err, CODE_UNAUTHENTICATED, "the token is not accepted");
}

/* ---- who connects ---- */

static void identify_user(struct worker *worker, uid_t uid, struct service_account **ret_account)
{
    const struct service_account *account = uid_accounts_find(worker->options.uids, uid);

    counter_add(account ? &worker->stats.unix_known : &worker->stats.unix_unknown, 1);
    if (account)
        *ret_account = account_copy(account);
}

static enum code identify_pod(struct worker *worker, const struct rpc *rpc,
                              struct service_account **ret_account, struct err *err)
{
    struct worker_stats *stats = &worker->stats;
    struct counter *const counters[] = {
        [POD_OWNER_NONE] = &stats->pod_unknown,
        [POD_OWNER_ONE] = &stats->pod_known,
        [POD_OWNER_SEVERAL] = &stats->pod_clash,
    };
    struct str account = STR("");
    enum pod_owner owner;

    if (!worker->origins.pods) {
        counter_add(&stats->pods_early, 1);
        fail(err, CODE_UNAVAILABLE, "pods are not known yet: try again later");
        worker_complain(worker, rpc, "a client cannot be identified", err);
        return err->code;
    }
    owner = origin_find(&worker->origins, rpc_peer(rpc), &account);
    counter_add(counters[owner], 1);
    if (owner == POD_OWNER_ONE)
        *ret_account = account_of_text(account, ACCOUNT_BY_POD);
    return CODE_OK;
}

enum code caller_identify(void *ctx, const struct rpc *rpc, struct service_account **ret_account,
                          struct err *err)
{
    const struct credentials *credentials = worker_credentials(rpc);
    struct worker *worker = ctx;

    if (!credentials)
        return worker->options.pods ? identify_pod(worker, rpc, ret_account, err) : CODE_OK;
    if (worker->options.uids)
        identify_user(worker, credentials->uid, ret_account);
    return CODE_OK;
}

/* ---- what it may see ---- */

struct caller worker_caller(const struct rpc *rpc)
{
    const struct service_account *account = rpc_account(rpc);

    return account ? (struct caller){account->namespace_name, account->name} : (struct caller){0};
}

/* A client can ask for names by the thousand. */
static bool may_audit(struct worker *worker)
{
    uint64_t now = loop_now_us(worker->loop);

    if (now - worker->audit_us >= 1000000) {
        worker->audit_us = now;
        worker->audit_lines = 0;
    }
    return worker->audit_lines++ < AUDIT_LINES_PER_SECOND;
}

void worker_tell_refused(struct worker *worker, const struct rpc *rpc,
                         const struct subscriber *subscriber)
{
    const struct service_account *known = rpc_account(rpc);
    const struct credentials *user = worker_credentials(rpc);
    char peer[ADDRESS_TEXT_MAX], account[2 * ACCOUNT_NAME_MAX] = "nobody";

    counter_add(&worker->stats.access_refused, 1);
    if (!may_audit(worker))
        return;
    address_format(rpc_peer(rpc), peer);
    if (known)
        snprintf(account, sizeof(account), "%" STR_FMT "/%" STR_FMT, STR_ARG(known->namespace_name),
                 STR_ARG(known->name));
    log_warn(LOG_SERVE,
             subscriber->content->hidden & TOPIC_HIDDEN_OWN
                 ? "client may not see a Service that it asks for"
                 : "client may not see a backend of a Service that it asks for",
             KV_STR("peer", peer),
             KV_STR("account", account), KV_STR("by", known ? account_by_name(known->by) : "none"),
             KV_TEXT("name", subscriber->topic->text), user ? KV_U64("uid", user->uid) : KV_END,
             KV_U64("pid", user ? (uint64_t)user->pid : 0));
}
