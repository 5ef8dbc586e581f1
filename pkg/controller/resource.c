#include "controller/resource.h"

const char *condition_name(enum condition_kind kind)
{
    static const char *const names[CONDITIONS] = {
        [CONDITION_ACCEPTED] = "Accepted",
        [CONDITION_RESOLVED_REFS] = "ResolvedRefs",
        [CONDITION_PUBLISHED] = "Published",
    };

    return names[kind];
}
