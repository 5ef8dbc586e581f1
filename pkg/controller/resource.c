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

/* Nothing reads LookasideServices yet. */
bool controller_resource_status(const struct controller *controller unused_arg,
                                struct str namespace_name unused_arg, struct str name unused_arg,
                                struct resource_status *ret_status unused_arg)
{
    return false;
}
