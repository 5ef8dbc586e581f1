#include "controller/hold.h"

const char *hold_name(enum hold hold)
{
    static const char *const names[HOLD_KINDS] = {
        [HOLD_NONE] = "",
        [HOLD_SERVICE_CHANGE] = "service-change",
        [HOLD_DELETION] = "deletion",
    };

    return names[hold];
}

void hold_state_done(struct hold_state *state)
{
    free(state->ports);
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
};

/* True while the hold is in force: it began at `begin_us` unless it had begun before, and ends after `length_us`. */
static bool apply(enum hold hold, struct question *question, uint64_t begin_us, uint64_t length_us,
                  struct hold_verdict *verdict)
{
    uint64_t *since = &question->since->us[hold];
    uint64_t until;

    if (*since == 0)
        *since = begin_us;
    until = *since + length_us;
    if (question->input->now_us >= until)
        return false;
    verdict->saves = verdict->saves || question->emptied;
    verdict->next_us = verdict->next_us == 0 ? until : min_u64(verdict->next_us, until);
    if (until <= verdict->until_us)
        return true;
    verdict->hold = hold;
    verdict->since_us = *since;
    verdict->until_us = until;
    return true;
}

static bool apply_service_change(struct question *question, struct hold_verdict *verdict)
{
    uint64_t changed_us = question->input->changed_us;

    if (!question->emptied || changed_us == 0)
        return false;
    return apply(HOLD_SERVICE_CHANGE, question, changed_us, HOLD_SERVICE_CHANGE_US, verdict);
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

static bool has_port(const struct service *service, uint16_t number)
{
    for (size_t i = 0; i < service->ports_len; i++) {
        if (service->ports[i].number == number)
            return true;
    }
    return false;
}

static void judge_ports(struct hold_state *state, const struct service *before,
                        const struct service *after, const struct hold_input *input,
                        struct hold_verdict *verdict)
{
    struct hold_since *held = xcalloc(before->ports_len + 1, sizeof(*held));
    size_t held_len = 0, gone = 0;

    verdict->keep = xcalloc(before->ports_len + 1, sizeof(*verdict->keep));
    for (size_t i = 0; i < before->ports_len; i++) {
        const struct service_port *port = &before->ports[i];
        struct hold_since since = since_of(state, port->number);
        struct question question = {input, &since, service_empties(port, after)};

        if (port->list.len == 0 ||
            (!has_port(after, port->number) && ++gone > HOLD_GONE_PORTS_MAX))
            continue;
        verdict->keep[i] = apply_service_change(&question, verdict);
        if (verdict->keep[i])
            held[held_len++] = since;
    }
    free(state->ports);
    state->ports = held;
    state->ports_len = held_len;
}

/* What an ExternalName means is no list of a port. */
static void judge_external(struct hold_state *state, const struct service *after,
                           const struct hold_input *input, struct hold_verdict *verdict)
{
    struct question question = {input, &state->whole, !offers(after)};

    verdict->whole = apply_service_change(&question, verdict);
}

static void judge_deletion(struct hold_state *state, const struct service *before,
                           const struct hold_input *input, struct hold_verdict *verdict)
{
    struct question question = {input, &state->whole, true};

    if (offers(before) && input->changed_us != 0)
        verdict->whole = apply(HOLD_DELETION, &question, input->changed_us,
                               input->deletion_grace_us, verdict);
}

void hold_judge(struct hold_state *state, const struct service *before, const struct service *after,
                const struct hold_input *input, struct hold_verdict *ret_verdict)
{
    *ret_verdict = (struct hold_verdict){0};
    if (!before || before == after)
        ;
    else if (!after)
        judge_deletion(state, before, input, ret_verdict);
    else if (before->type == SERVICE_EXTERNAL_NAME)
        judge_external(state, after, input, ret_verdict);
    else if (after->type != SERVICE_EXTERNAL_NAME)
        judge_ports(state, before, after, input, ret_verdict);
    if (ret_verdict->hold == HOLD_NONE)
        hold_state_done(state);
}
