/*
 * An intrusive doubly linked list: membership costs no allocation and removal is O(1).
 *
 * A node that is in no list points to itself (list_init) so that list_remove() is always safe.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/base.h"

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_remove(struct list *node)
{
    node->next->prev = node->prev;
    node->prev->next = node->next;
    list_init(node);
}

/* Appends; the node must be in no list. */
static inline void list_append(struct list *list, struct list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

/* Appends all that is in `from`, which is empty then. */
static inline void list_splice(struct list *list, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = list->prev;
    from->prev->next = list;
    list->prev->next = from->next;
    list->prev = from->prev;
    list_init(from);
}

static inline struct list *list_pop(struct list *list)
{
    struct list *node = list->next;

    if (node == list)
        return NULL;
    list_remove(node);
    return node;
}

#define list_for_each(node, head)                                                                  \
    for (struct list *node = (head)->next; node != (head); node = node->next)
/* `node` may be removed inside the loop. */
#define list_for_each_safe(node, head)                                                             \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head);              \
         node = node##_next, node##_next = node->next)

#endif
