#include "controller/refusal.h"

#include "base/utf8.h"

/* One kind of client. */
struct kind {
    char agent[REFUSAL_AGENT_MAX];
    char message[REFUSAL_MESSAGE_MAX]; /* of the first */
    size_t peers_len;
    char *peers[REFUSAL_PEERS_MAX];
};

struct refusals {
    const struct policy *policy; /* that they are of; a reference */
    size_t len;
    struct kind kinds[REFUSAL_KINDS_MAX];
};

void refusals_free(struct refusals *refusals)
{
    if (!refusals)
        return;
    for (size_t i = 0; i < refusals->len; i++)
        for (size_t k = 0; k < refusals->kinds[i].peers_len; k++)
            free(refusals->kinds[i].peers[k]);
    policy_unref(refusals->policy);
    free(refusals);
}

/* What is written anew is tried anew, even when it says the same. In a directory, where nothing has an uid or a generation, what it says
 * is all that tells. */
static bool is_of(const struct refusals *refusals, const struct policy *policy)
{
    const struct policy *mine = refusals ? refusals->policy : NULL;

    return mine && str_eq(mine->uid, policy->uid) && mine->generation == policy->generation &&
           policy_same_spec(mine, policy);
}

void refusals_keep(struct refusals **refusals, const struct policy *policy)
{
    if (!policy || !is_of(*refusals, policy))
        refusals_free(TAKE(*refusals));
}

static void keep(char *out, size_t size, struct str text)
{
    snprintf(out, size, "%" STR_FMT, STR_ARG(text));
}

/* NULL: there are too many. */
static struct kind *kind_get(struct refusals *refusals, const struct refusal *refusal)
{
    struct kind *kind;

    for (size_t i = 0; i < refusals->len; i++)
        if (str_eq(str_of(refusals->kinds[i].agent), refusal->agent))
            return &refusals->kinds[i];
    if (refusals->len == REFUSAL_KINDS_MAX)
        return NULL;
    kind = &refusals->kinds[refusals->len++];
    keep(kind->agent, sizeof(kind->agent), utf8_cut(refusal->agent, sizeof(kind->agent) - 1));
    keep(kind->message, sizeof(kind->message),
         utf8_tail(refusal->message, sizeof(kind->message) - 1));
    return kind;
}

/* True: it is a new one. */
static bool add_peer(struct kind *kind, struct str peer)
{
    for (size_t i = 0; i < kind->peers_len; i++)
        if (str_eq(str_of(kind->peers[i]), peer))
            return false;
    if (kind->peers_len == REFUSAL_PEERS_MAX)
        return false;
    kind->peers[kind->peers_len++] = str_dup(peer);
    return true;
}

bool refusals_add(struct refusals **refusals, const struct refusal *refusal)
{
    struct kind *kind;

    if (!is_of(*refusals, refusal->policy)) {
        refusals_free(*refusals);
        *refusals = xcalloc(1, sizeof(**refusals));
        (*refusals)->policy = policy_ref(refusal->policy);
    }
    kind = kind_get(*refusals, refusal);
    return kind && add_peer(kind, refusal->peer) && kind->peers_len == REFUSAL_PEERS_ENOUGH;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

const struct policy *refusals_policy(const struct refusals *refusals, const struct policy *policy)
{
    struct str kinds[REFUSAL_KINDS_MAX];
    struct policy fields = *policy;
    size_t len = 0;

    if (!is_of(refusals, policy))
        return policy_ref(policy);
    for (size_t i = 0; i < refusals->len; i++)
        if (refusals->kinds[i].peers_len >= REFUSAL_PEERS_ENOUGH)
            kinds[len++] = str_of(refusals->kinds[i].agent);
    if (len == 0)
        return policy_ref(policy);
    qsort(kinds, len, sizeof(*kinds), by_text);
    fields.refused_by = kinds;
    fields.refused_by_len = len;
    return policy_new(&fields);
}

void refusals_each(const struct refusals *refusals, const struct policy *policy,
                   void (*visit)(void *ctx, const struct refusal_info *info), void *ctx)
{
    if (!is_of(refusals, policy))
        return;
    for (size_t i = 0; i < refusals->len; i++) {
        const struct kind *kind = &refusals->kinds[i];
        const struct refusal_info info = {
            .agent = kind->agent,
            .message = kind->message,
            .peers = kind->peers_len,
            .plain = kind->peers_len >= REFUSAL_PEERS_ENOUGH,
        };

        visit(ctx, &info);
    }
}
