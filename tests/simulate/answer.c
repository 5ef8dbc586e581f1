#include "answer.h"

static int compare(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    int order = strcmp(left->address, right->address);

    return order ? order : (left->port > right->port) - (left->port < right->port);
}

void answer_sort(struct answer *answer)
{
    qsort(answer->items, answer->len, sizeof(*answer->items), compare);
}

bool answer_equal(const struct answer *a, const struct answer *b)
{
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++) {
        const struct entry *left = &a->items[i], *right = &b->items[i];

        if (compare(left, right) != 0 || strcmp(left->other, right->other) != 0 ||
            left->other_port != right->other_port)
            return false;
        if (*left->pod && *right->pod &&
            (strcmp(left->pod, right->pod) != 0 || left->draining != right->draining))
            return false; /* xDS does not say */
    }
    return true;
}
