#include "controller/hold.h"

const char *hold_name(enum hold hold)
{
    static const char *const names[HOLD_KINDS] = {
        [HOLD_NONE] = "",
        [HOLD_SETTLE] = "settle",
        [HOLD_ANNOUNCE] = "announce",
        [HOLD_SERVICE_CHANGE] = "service-change",
        [HOLD_DELETION] = "deletion",
        [HOLD_PROTECTION] = "protection",
        [HOLD_RELIST] = "relist",
    };

    return names[hold];
}

static void ports_done(struct hold_state *state)
{
    for (size_t i = 0; i < state->ports_len; i++)
        service_unref(state->ports[i].protected);
    free(state->ports);
}

void hold_state_done(struct hold_state *state)
{
    ports_done(state);
    *state = (struct hold_state){0};
}

void hold_verdict_done(struct hold_verdict *verdict)
{
    free(verdict->keep);
    *verdict = (struct hold_verdict){0};
}

/* ---- one hold ---- */

/* One port of the earlier version, or all of it, and what could be kept of it. */
struct question {
    const struct hold_input *input;
    struct hold_since *since;
    bool emptied; /* it would be */
    const struct service_port *lost; /* what it listed when protection began; NULL: that is not in force */
};

/* True while the hold is in force: it began at `begin_us` unless it had begun before, and ends
 * after `length_us`. What is over before it is applied for the first time has not begun. */
static bool apply(enum hold hold, struct question *question, uint64_t *begun_us, uint64_t begin_us,
                  uint64_t length_us, struct hold_verdict *verdict)
{
    uint64_t since_us = *begun_us ? *begun_us : begin_us;
    uint64_t until = since_us + length_us;

    if (question->input->now_us >= until)
        return false;
    *begun_us = since_us;
    verdict->saves = verdict->saves || question->emptied;
    verdict->next_us = verdict->next_us == 0 ? until : min_u64(verdict->next_us, until);
    if (until <= verdict->until_us)
        return true;
    verdict->hold = hold;
    verdict->since_us = since_us;
    verdict->until_us = until;
    return true;
}

static bool apply_service_change(struct question *question, struct hold_verdict *verdict)
{
    uint64_t changed_us = question->input->changed_us;

    if (!question->emptied || changed_us == 0)
        return false;
    return apply(HOLD_SERVICE_CHANGE, question, &question->since->changed_us, changed_us,
                 HOLD_SERVICE_CHANGE_US, verdict);
}

/* ---- what vanishes ---- */

/* Slices of an earlier version that are no longer in force. */
struct lost {
    const struct slice **slices;
    size_t len;
};

static int cmp_pointer(const void *a, const void *b)
{
    const struct slice *const *left = a;
    const struct slice *const *right = b;

    return (*left > *right) - (*left < *right);
}

static bool contains(const struct slice **sorted, size_t len, const struct slice *slice)
{
    return len > 0 && bsearch(&slice, sorted, len, sizeof(*sorted), cmp_pointer) != NULL;
}

/* Both are sorted by name. */
static struct lost find_lost(const struct service *before, const struct service *after)
{
    struct lost lost = {xmalloc((before->slices_len + 1) * sizeof(*lost.slices)), 0};
    size_t at = 0;

    for (size_t i = 0; i < before->slices_len; i++) {
        const struct slice *slice = before->slices[i];
        bool found = false;

        while (at < after->slices_len && str_cmp(after->slices[at]->name, slice->name) < 0)
            at++;
        for (size_t k = at; k < after->slices_len && !found; k++) {
            if (!str_eq(after->slices[k]->name, slice->name))
                break;
            found = after->slices[k] == slice;
        }
        if (!found)
            lost.slices[lost.len++] = slice;
    }
    qsort(lost.slices, lost.len, sizeof(*lost.slices), cmp_pointer);
    return lost;
}

/* `lost` NULL: any slice may be. What protection is about is no matter of this. */
static bool has_left(const struct backend *backend, const struct service_port *port,
                     const struct lost *lost, const struct question *question)
{
    if (!backend || backend->endpoint->terminating ||
        (lost && !contains(lost->slices, lost->len, backend->slice)))
        return false;
    if (question->lost && service_port_find(question->lost, backend))
        return false;
    return !port || !service_port_find(port, backend);
}

/* Whether the port of an earlier version lists something that its successor `now` (NULL: there is
 * none) does not know. While both mean the same, that can only be in a slice that was lost. */
static bool has_vanished(const struct service_port *port, const struct service_port *now,
                         const struct lost *lost, const struct question *question)
{
    if (!now || now->origin != port->origin || !str_eq(now->name, port->name))
        lost = NULL;
    for (size_t i = 0; i < port->list.len && (!lost || lost->len > 0); i++) {
        const struct listed *listed = &port->list.items[i];

        if (has_left(listed->backend, now, lost, question) ||
            has_left(listed->other, now, lost, question))
            return true;
    }
    return false;
}

/* What was empty and becomes something, slice by slice, is waited for anew. What protection no longer keeps has been waited for since that began. */
static bool apply_settle(struct question *question, struct hold_verdict *verdict)
{
    struct hold_since *since = question->since;
    bool over = since->protected && !question->lost;
    uint64_t begin_us = over ? since->protected_us : question->input->touched_us;

    if (!question->emptied)
        return apply(HOLD_SETTLE, question, &since->settle_us, begin_us, HOLD_SETTLE_US, verdict);
    return apply(HOLD_SETTLE, question, &since->settle_empty_us,
                 since->settle_us ? since->settle_us : begin_us, HOLD_SETTLE_EMPTY_US, verdict);
}

/* Under protection a list goes on changing: what is lost later is waited for by itself. */
static bool judge_settle(const struct service_port *port, const struct service_port *now,
                         const struct lost *lost, struct question *question,
                         struct hold_verdict *verdict)
{
    if (has_vanished(port, now, lost, question))
        return apply_settle(question, verdict);
    if (question->lost)
        question->since->settle_us = question->since->settle_empty_us = 0;
    return false;
}

/* ---- what vanishes too much at once ---- */

/* It shuts down in good order, and is no longer in the list, or was out of it (`before`) when it went. `now` is NULL where the port is gone. */
static bool has_retired(const struct backend *backend, const struct service_port *before,
                        const struct service_port *now)
{
    const struct listed *was = service_port_find(before, backend);
    const struct listed *known = now ? service_port_find(now, backend) : NULL;

    if (known && service_port_lists(now, known->backend))
        return false;
    if (known && known->backend->endpoint->terminating)
        return true;
    if (!was || !service_port_lists(before, was->backend))
        return true;
    return was->backend->endpoint->terminating;
}

static size_t count_retired(const struct service_port *lost, const struct service_port *before,
                            const struct service_port *now)
{
    size_t count = 0;

    for (size_t i = 0; i < lost->list.len; i++)
        count += has_retired(lost->list.items[i].backend, before, now);
    return count;
}

/* Of what `lost` listed. What it listed only because nobody was ready, it does not need once somebody is. */
static bool has_too_little(const struct service_port *lost, const struct service_port *before,
                           const struct service_port *now, uint32_t percent)
{
    size_t least = lost->list.len * percent, left = now ? now->list.len * 100 : 0;

    if (lost->ready == 0 && now && now->ready > 0)
        return false;
    return left < least && left + count_retired(lost, before, now) * 100 < least;
}

/* What a number that no port has any more is taken for. */
static const struct service_port *as_given(const struct service *after)
{
    static const struct service_port any;

    return service_heir(after->ports, after->ports_len, &any);
}

/* The pods' own number is a port of a headless Service only: when that becomes another kind, it is the change that takes the port away. */
static bool is_withdrawn(const struct service_port *port, const struct service_port *now,
                         const struct service *after)
{
    return !now && port->origin == PORT_PODS && after->type == SERVICE_CLUSTER_IP;
}

/* A port may go with its endpoints: that of a Service without ports of its own. */
static bool apply_protection(const struct service *before, const struct service *after,
                             const struct service_port *port, const struct service_port *now,
                             struct question *question, struct hold_verdict *verdict)
{
    const struct policy *policy = now ? now->policy : port->policy;
    struct hold_since *since = question->since;
    const struct service_port *lost = port;

    if (since->protected)
        lost = service_heir(since->protected->ports, since->protected->ports_len, port);
    if (!lost || policy->protection_percent == 0 || policy->protection_us == 0 ||
        is_withdrawn(port, now, after) ||
        !has_too_little(lost, port, now ? now : as_given(after), policy->protection_percent) ||
        !apply(HOLD_PROTECTION, question, &since->protected_us, question->input->touched_us,
               policy->protection_us, verdict))
        return false;
    since->protected = since->protected ? since->protected : before;
    question->lost = lost;
    return true;
}

/* ---- a Service ---- */

static bool offers(const struct service *service)
{
    for (size_t i = 0; i < service->ports_len; i++) {
        if (service->ports[i].list.len > 0)
            return true;
    }
    return service->type == SERVICE_EXTERNAL_NAME;
}

static struct hold_since since_of(const struct hold_state *state, uint16_t number)
{
    for (size_t i = 0; i < state->ports_len; i++) {
        if (state->ports[i].number == number)
            return state->ports[i];
    }
    return (struct hold_since){.number = number};
}

/* From an ExternalName back to a Service with lists: those that it carried besides are what the change may empty. */
static bool comes_back(const struct service *before, const struct service *after)
{
    return before->type == SERVICE_EXTERNAL_NAME && after->type != SERVICE_EXTERNAL_NAME;
}

/* Every hold that applies is noted. */
static struct service_keep judge_port(const struct service *before,
                                      const struct service_port *port,
                                      const struct service *after, const struct lost *lost,
                                      struct question *question, struct hold_verdict *verdict)
{
    const struct service_port *now = service_heir(after->ports, after->ports_len, port);
    bool back = comes_back(before, after);
    bool protects = !back && apply_protection(before, after, port, now, question, verdict);
    bool settles = !back && judge_settle(port, now, lost, question, verdict);
    bool changes = apply_service_change(question, verdict);

    if (settles || changes)
        return (struct service_keep){.stays = true};
    return (struct service_keep){
        protects, now && after->type != SERVICE_EXTERNAL_NAME ? question->lost : NULL};
}

static void judge_ports(struct hold_state *state, const struct service *before,
                        const struct service *after, const struct hold_input *input,
                        struct hold_verdict *verdict)
{
    struct hold_since *held = xcalloc(before->ports_len + 1, sizeof(*held));
    struct lost lost = find_lost(before, after);
    size_t held_len = 0, gone = 0;

    verdict->keep = xcalloc(before->ports_len + 1, sizeof(*verdict->keep));
    for (size_t i = 0; i < before->ports_len; i++) {
        const struct service_port *port = &before->ports[i];
        struct hold_since since = since_of(state, port->number);
        struct question question = {input, &since, service_empties(port, after), NULL};

        if (port->list.len == 0 ||
            (!service_heir(after->ports, after->ports_len, port) && ++gone > HOLD_GONE_PORTS_MAX))
            continue;
        verdict->keep[i] = judge_port(before, port, after, &lost, &question, verdict);
        if (!verdict->keep[i].stays)
            continue;
        held[held_len++] = since;
        if (since.protected)
            (void)service_ref(since.protected);
    }
    free(lost.slices);
    ports_done(state);
    state->ports = held;
    state->ports_len = held_len;
}

/* What an ExternalName means is no list of a port. */
static void judge_external(struct hold_state *state, const struct service *before,
                           const struct service *after, const struct hold_input *input,
                           struct hold_verdict *verdict)
{
    struct question question = {input, &state->whole, !offers(after), NULL};

    verdict->whole = apply_service_change(&question, verdict);
    if (!verdict->whole)
        judge_ports(state, before, after, input, verdict);
}

static void judge_deletion(struct hold_state *state, const struct service *before,
                           const struct hold_input *input, struct hold_verdict *verdict)
{
    struct question question = {input, &state->whole, true, NULL};

    if (offers(before) && input->changed_us != 0)
        verdict->whole = apply(HOLD_DELETION, &question, &state->whole.deleted_us,
                               input->changed_us, input->deletion_grace_us, verdict);
}

void hold_judge(struct hold_state *state, const struct service *before, const struct service *after,
                const struct hold_input *input, struct hold_verdict *ret_verdict)
{
    *ret_verdict = (struct hold_verdict){0};
    if (!before || before == after)
        ;
    else if (!after)
        judge_deletion(state, before, input, ret_verdict);
    else if (comes_back(before, after))
        judge_external(state, before, after, input, ret_verdict);
    else
        judge_ports(state, before, after, input, ret_verdict);
    if (ret_verdict->hold == HOLD_NONE)
        hold_state_done(state);
}
