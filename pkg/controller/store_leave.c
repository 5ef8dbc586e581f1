#include "base/log.h"
#include "controller/publish.h"
#include "controller/store_internal.h"

static uint64_t grace_us(const struct controller_scope *scope)
{
    return publisher_options(scope->store->publisher)->deletion_grace_ms * 1000;
}

/* What is over goes; the timer is set for the first of the others. */
static void on_leave(void *ctx)
{
    struct controller_scope *scope = ctx;
    uint64_t now = loop_now_us(scope->loop), next_us = UINT64_MAX;
    struct object *object, *next;

    HASH_ITER(hh, scope->objects, object, next)
    {
        if (object->leaving_us == 0)
            continue;
        if (object->leaving_us > now)
            next_us = min_u64(next_us, object->leaving_us);
        else
            store_remove(scope, object, now);
    }
    if (next_us != UINT64_MAX)
        timer_start(scope->leave, (next_us - now + 999) / 1000);
}

void store_leave_init(struct controller_scope *scope)
{
    scope->leave = timer_new(scope->loop, on_leave, scope);
}

void store_leave_done(struct controller_scope *scope)
{
    timer_free(TAKE(scope->leave));
}

bool store_leave(struct controller_scope *scope, struct object *object)
{
    uint64_t grace = grace_us(scope);

    if (!object->value.policy || grace == 0)
        return false;
    if (object->leaving_us != 0)
        return true;
    object->leaving_us = loop_now_us(scope->loop) + grace;
    if (!timer_active(scope->leave))
        timer_start(scope->leave, grace / 1000);
    store_drop_rejection(object);
    free(TAKE(object->fault));
    object->flawed = false;
    list_remove(&object->link);
    list_append(&object->group->policies, &object->link);
    publisher_touch(scope->store->publisher, object->group, loop_now_us(scope->loop));
    store_tell_resource(scope->store, object);
    log_info(LOG_CONTROLLER, "a LookasideService is deleted: it stays in force for a while",
             KV_STR("resource", object->key), KV_U64("ms", grace / 1000));
    return true;
}

void store_return(struct object *object)
{
    if (object->leaving_us == 0)
        return;
    object->leaving_us = 0;
    store_tell_resource(object->scope->store, object);
}

/* The grace of the group's LookasideService, where it was deleted; 0: it was not. */
static uint64_t policy_leaves_us(const struct group *group)
{
    const struct object *object = store_policy(group);

    return object ? object->leaving_us : 0;
}

/* Doubted objects have no bound but a list. */
bool store_hold(const struct group *group, struct hold_info *ret_info)
{
    const struct announcement *announced = &group->announced;
    uint64_t leaving_us = policy_leaves_us(group);

    if (group->doubted > 0)
        *ret_info = (struct hold_info){HOLD_RELIST, group->doubted_us, 0, group->doubted, false};
    else if (group->hold != HOLD_NONE && group->hold_until_us >= leaving_us)
        *ret_info = (struct hold_info){group->hold, group->hold_since_us, group->hold_until_us, 0, false};
    else if (leaving_us != 0)
        *ret_info = (struct hold_info){HOLD_DELETION,
                                       leaving_us - grace_us(store_policy(group)->scope), leaving_us, 0, true};
    else if (announced->until_us != 0)
        *ret_info = (struct hold_info){HOLD_ANNOUNCE, announced->first_us, announced->until_us, 0, true};
    else
        return false;
    return true;
}
