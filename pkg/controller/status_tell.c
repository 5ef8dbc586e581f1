/* What of a change of status is worth an Event. */
#include "controller/status_internal.h"

static void say(struct events *events, const struct resource_status *status, bool warning,
                const char *reason, const char *note)
{
    events_say(events, &(struct event){.namespace_name = status->namespace_name,
                                       .name = status->name,
                                       .uid = status->uid,
                                       .warning = warning,
                                       .reason = reason,
                                       .note = str_of(note)});
}

static void tell_accepted(struct events *events, const struct resource_status *status)
{
    char note[EVENT_NOTE_MAX];

    snprintf(note, sizeof(note), "generation %llu is in force%s%s",
             (unsigned long long)status->generation,
             *status->conditions[CONDITION_ACCEPTED].message ? ": " : "",
             status->conditions[CONDITION_ACCEPTED].message);
    say(events, status, false, "Accepted", note);
}

static void tell_condition(struct events *events, const struct resource_status *status,
                           enum condition_kind kind, const struct condition_digest *before,
                           const struct condition_digest *after)
{
    const struct condition *condition = &status->conditions[kind];
    bool was_bad = before->known && !before->status;

    if (!condition->status && (!was_bad || before->said != after->said))
        say(events, status, true, condition->reason, condition->message);
    else if (condition->status && was_bad && kind != CONDITION_ACCEPTED)
        say(events, status, false, condition->reason,
            *condition->message ? condition->message : "all is well again");
}

void status_tell(struct events *events, const struct resource_status *status,
                 const struct status_digest *before, const struct status_digest *after)
{
    const struct condition_digest *accepted = &before->conditions[CONDITION_ACCEPTED];
    char note[EVENT_NOTE_MAX];

    if (status->conditions[CONDITION_ACCEPTED].status &&
        !(accepted->known && accepted->status && before->generation == after->generation))
        tell_accepted(events, status);
    for (enum condition_kind kind = 0; kind < CONDITIONS; kind++)
        tell_condition(events, status, kind, &before->conditions[kind], &after->conditions[kind]);
    if (after->holds == 0 || before->holds == after->holds)
        return;
    snprintf(note, sizeof(note), "an earlier list is kept on purpose: hold '%s'",
             hold_name(status->hold));
    say(events, status, true, "ListKept", note);
}
