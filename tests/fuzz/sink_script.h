/*
 * The verbs of a script that a fuzz target has a sink carry out.
 */
#ifndef FUZZ_SINK_SCRIPT_H
#define FUZZ_SINK_SCRIPT_H

#include "base/json.h"
#include "kube/sink.h"

/* `verb` is one of the target's own where this is false. */
static inline bool sink_script_apply(const struct kube_sink *sink, void *scope, struct str verb, const struct json *item)
{
    if (str_eq(verb, STR("remove")))
        sink->remove(scope, item);
    else if (str_eq(verb, STR("begin")))
        sink->list_begin(scope);
    else if (str_eq(verb, STR("list")))
        sink->list_object(scope, item);
    else if (str_eq(verb, STR("end")))
        (void)sink->list_end(scope);
    else if (str_eq(verb, STR("abort")))
        sink->list_abort(scope);
    else
        return false;
    return true;
}

#endif
