#include "resource_world.h"

static const char *const suffixes[] = {"example.com", "apps.example.org", NULL};

void resource_start(void)
{
    world.host_suffixes = suffixes;
    world_start();
}

struct resource_status status_of(const char *name)
{
    struct resource_status status;

    cr_assert(controller_resource_status(world.controller, STR("shop"), str_of(name), &status),
              "%s", name);
    return status;
}

void expect(const char *name, enum condition_kind kind, bool status, const char *reason,
            const char *message)
{
    struct resource_status found = status_of(name);
    const struct condition *condition = &found.conditions[kind];

    cr_assert_str_eq(condition->reason, reason, "%s: %s: %s, and not %s", name, condition->message,
                     condition->reason, reason);
    cr_assert_eq(condition->status, status);
    cr_assert_str_eq(condition->message, message, "'%s' and not '%s'", condition->message, message);
}

const struct policy *policy_at(const char *name)
{
    const struct service *service = published_service(name);

    cr_assert_not_null(service, "%s", name);
    return service->policy;
}

void wait_for_policy(const char *name, enum lb_policy lb)
{
    for (int i = 0; i < 1000 && policy_at(name)->lb != lb; i++)
        turn_for_ms(5);
    cr_assert_eq(policy_at(name)->lb, lb);
}
