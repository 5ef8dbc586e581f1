#include "serve/xds_tie.h"

#include "model/client.h"

enum topic_kind xds_tie_kind(enum xds_type type)
{
    return type == XDS_LISTENER  ? TOPIC_LISTENER
           : type == XDS_ROUTE   ? TOPIC_ROUTE
           : type == XDS_CLUSTER ? TOPIC_CLUSTER
                                 : TOPIC_ASSIGNMENT;
}

static bool can_be_plain(const struct xds_subscription *subscription)
{
    return subscription->type != XDS_ENDPOINT;
}

static void tie_free(struct xds_tie *tie)
{
    if (!tie)
        return;
    if (tie->subscriber.topic)
        topic_unsubscribe(&tie->subscriber);
    policy_unref(tie->refused);
    policy_unref(tie->declined);
    free(tie);
}

/* One reference to `refused`, NULL: not the plain twin. NULL: the name is malformed. */
static struct xds_tie *tie_new(struct xds_subscription *subscription,
                               const struct xds_tie_client *client, const struct policy *refused,
                               struct err *err)
{
    struct xds_tie *tie = xcalloc(1, sizeof(*tie));
    struct topic_client topic = client->client;

    topic.plain = refused != NULL;
    topic.faults = client_faults(client->agent);
    tie->subscription = subscription;
    tie->stream = client->stream;
    tie->subscriber.changed = client->changed;
    tie->subscriber.refused = client->refused;
    if (refused)
        tie->refused = policy_ref(refused);
    if (topic_subscribe(client->topics, xds_tie_kind(subscription->type), subscription->name,
                        &topic, &tie->subscriber, err))
        return tie;
    tie_free(tie);
    return NULL;
}

/* What the client has declined stays known. */
static void replace(struct xds_subscription *subscription, struct xds_tie *tie)
{
    struct xds_tie *before = subscription->host;

    if (before && tie)
        tie->declined = TAKE(before->declined);
    tie_free(before);
    subscription->host = tie;
}

static bool has_declined(const struct xds_tie *tie, const struct policy *policy)
{
    return tie->declined && policy_same_spec(tie->declined, policy);
}

/* The plain twin, if that is something else. The name is well-formed: it has a tie. */
static bool make_plain(struct xds_subscription *subscription, const struct xds_tie_client *client)
{
    const struct xds_tie *full = subscription->host;
    struct xds_tie *plain = tie_new(subscription, client, full->subscriber.content->policy, NULL);

    if (plain && plain->subscriber.content->version != full->subscriber.content->version) {
        replace(subscription, plain);
        return true;
    }
    tie_free(plain);
    return false;
}

static void join_full(struct xds_subscription *subscription, const struct xds_tie_client *client,
                      struct err *err)
{
    struct xds_tie *tie = tie_new(subscription, client, NULL, err);

    replace(subscription, tie);
    if (!tie || !can_be_plain(subscription))
        return;
    if (policy_is_refused_by(tie->subscriber.content->policy, client->agent) ||
        has_declined(tie, tie->subscriber.content->policy))
        make_plain(subscription, client);
}

enum code xds_tie_join(struct xds_subscription *subscription, const struct xds_tie_client *client,
                       struct err *err)
{
    subscription->host = NULL;
    join_full(subscription, client, err);
    return subscription->host ? CODE_OK : CODE_INVALID_ARGUMENT;
}

void xds_tie_leave(struct xds_subscription *subscription)
{
    tie_free(subscription->host);
    subscription->host = NULL;
}

/* What is something else by now than what was refused is sent as it is. */
bool xds_tie_refuse(struct xds_subscription *subscription, const struct xds_tie_client *client,
                    const struct policy **ret_policy)
{
    struct xds_tie *tie = subscription->host;

    if (!tie || tie->refused || !can_be_plain(subscription) ||
        topic_content(&tie->subscriber)->version != subscription->sent_version ||
        !make_plain(subscription, client))
        return false;
    tie = subscription->host;
    policy_unref(tie->declined);
    tie->declined = policy_ref(tie->refused);
    *ret_policy = tie->refused;
    return true;
}

const struct topic_content *xds_tie_content(const struct xds_subscription *subscription)
{
    struct xds_tie *tie = subscription->host;

    return tie ? topic_content(&tie->subscriber) : NULL;
}

bool xds_tie_is_outdated(const struct xds_subscription *subscription)
{
    struct xds_tie *tie = subscription->host;
    const struct policy *policy;

    if (!tie)
        return false;
    policy = topic_content(&tie->subscriber)->policy;
    return tie->refused ? !policy_same_spec(tie->refused, policy) : has_declined(tie, policy);
}

void xds_tie_retry(struct xds_subscription *subscription, const struct xds_tie_client *client)
{
    join_full(subscription, client, NULL);
}
