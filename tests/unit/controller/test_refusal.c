#include "controller/refusal.h"

#include <criterion/criterion.h>

#include "base/buf.h"

#define GO "gRPC Go 1.85.0"
#define JAVA "gRPC Java 1.85.0"

static struct refusals *refusals;
static struct policy policy;

static void start(void)
{
    refusals = NULL;
    policy = *policy_default();
    policy.namespace_name = STR("shop");
    policy.name = STR("greeter");
    policy.lb = LB_PICK_FIRST;
}

static void stop(void)
{
    refusals_free(refusals);
}

TestSuite(refusal, .init = start, .fini = stop);

static bool add(const char *agent, const char *peer, const char *message)
{
    const struct policy *refused = policy_new(&policy);
    const struct refusal refusal = {refused, str_of(agent), str_of(peer), str_of(message)};
    bool again = refusals_add(&refusals, &refusal);

    policy_unref(refused);
    return again;
}

/* "gRPC Go 1.85.0;gRPC Java 1.85.0" */
static const char *refused_by(void)
{
    static struct buf text = BUFFER_INIT(4096);
    const struct policy *mine = policy_new(&policy), *known = refusals_policy(refusals, mine);

    buf_reset(&text);
    for (size_t i = 0; i < known->refused_by_len; i++)
        buf_printf(&text, "%s%" STR_FMT, i ? ";" : "", STR_ARG(known->refused_by[i]));
    policy_unref(known);
    policy_unref(mine);
    return buf_cstr(&text);
}

static void show(void *ctx, const struct refusal_info *info)
{
    buf_printf(ctx, "%s %zu %s%s;", info->agent, info->peers, info->message, info->plain ? " plain" : "");
}

static const char *all(void)
{
    static struct buf text = BUFFER_INIT(64 * 1024);

    buf_reset(&text);
    refusals_each(refusals, &policy, show, &text);
    return buf_cstr(&text);
}

Test(refusal, of_one_client_is_its_own)
{
    const struct policy *mine = policy_new(&policy), *same;

    cr_expect(!add(GO, "10.0.0.1", "no"));
    cr_expect(!add(GO, "10.0.0.1", "still no"));
    same = refusals_policy(refusals, mine);
    cr_expect_eq(same, mine);
    policy_unref(same);
    policy_unref(mine);
    cr_expect_str_eq(all(), GO " 1 no;");
}

Test(refusal, of_two_is_their_kinds)
{
    cr_expect(!add(GO, "10.0.0.1", "no"));
    cr_expect(!add(JAVA, "10.0.0.2", "never"));
    cr_expect(add(GO, "10.0.0.3", "no!"));
    cr_expect_str_eq(refused_by(), GO);
    cr_expect(!add(GO, "10.0.0.4", "no"), "is known");
    cr_expect(add(JAVA, "10.0.0.1", "never"));
    cr_expect_str_eq(refused_by(), GO ";" JAVA);
    cr_expect_str_eq(all(), GO " 3 no plain;" JAVA " 2 never plain;");
}

Test(refusal, of_a_policy_does_not_outlive_it)
{
    add(GO, "10.0.0.1", "no");
    add(GO, "10.0.0.2", "no");
    cr_expect_str_eq(refused_by(), GO);
    policy.generation = 9;
    cr_expect_str_eq(refused_by(), "", "the same, written again");
    policy.generation = 0;
    policy.uid = STR("other");
    cr_expect_str_eq(refused_by(), "", "the same, made anew");
    policy.uid = STR("");
    cr_expect_str_eq(refused_by(), GO);
    refusals_keep(&refusals, &policy);
    cr_expect_str_eq(refused_by(), GO);
    policy.lb = LB_LEAST_REQUEST;
    cr_expect_str_eq(all(), "");
    cr_expect(!add(GO, "10.0.0.1", "no"));
    cr_expect_str_eq(all(), GO " 1 no;");
    refusals_keep(&refusals, NULL);
    cr_expect_str_eq(all(), "");
}

Test(refusal, keeps_no_more_than_it_has_room_for)
{
    char text[64], longer[REFUSAL_MESSAGE_MAX + 10];

    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    add(GO, "10.0.0.1", longer);
    for (unsigned i = 0; i < 2 * REFUSAL_PEERS_MAX; i++) {
        snprintf(text, sizeof(text), "10.0.1.%u", i);
        add(GO, text, "no");
    }
    for (unsigned i = 0; i < 2 * REFUSAL_KINDS_MAX; i++) {
        snprintf(text, sizeof(text), "kind %u", i);
        cr_expect(!add(text, "10.0.0.1", "no"));
    }
    cr_expect_str_eq(refused_by(), GO);
    cr_expect_lt(strlen(all()), REFUSAL_KINDS_MAX * (REFUSAL_MESSAGE_MAX + REFUSAL_AGENT_MAX + 16));
    cr_expect_not_null(strstr(all(), "gRPC Go 1.85.0 64 xxx"));
}
