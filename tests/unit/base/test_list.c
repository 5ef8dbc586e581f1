#include <criterion/criterion.h>

#include "base/list.h"

static struct list list;
static struct list nodes[3];

static void append_three(void)
{
    list_init(&list);
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        list_init(&nodes[i]);
        list_append(&list, &nodes[i]);
    }
}

TestSuite(list, .init = append_three);

Test(list, keeps_the_order)
{
    size_t i = 0;

    list_for_each (node, &list)
        cr_assert_eq(node, &nodes[i++]);
    cr_assert_eq(i, 3);
}

Test(list, pops_from_the_front_until_empty)
{
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        cr_assert_eq(list_pop(&list), &nodes[i]);
    cr_assert(list_empty(&list));
    cr_assert_null(list_pop(&list));
}

Test(list, removes_a_node_twice_without_harm)
{
    list_remove(&nodes[1]);
    list_remove(&nodes[1]);
    cr_assert(list_empty(&nodes[1]));
    cr_assert_eq(nodes[0].next, &nodes[2]);
    cr_assert_eq(nodes[2].prev, &nodes[0]);
}

Test(list, may_lose_the_current_node_while_it_is_walked)
{
    size_t seen = 0;

    list_for_each_safe (node, &list) {
        list_remove(node);
        seen++;
    }
    cr_assert_eq(seen, 3);
    cr_assert(list_empty(&list));
}

Test(list, takes_over_all_of_another_behind_its_own)
{
    struct list other, own;
    size_t i = 0;

    list_init(&other);
    list_append(&other, list_pop(&list));
    list_splice(&other, &list);
    list_splice(&other, &list);
    cr_assert(list_empty(&list));
    list_for_each (node, &other)
        cr_assert_eq(node, &nodes[i++]);
    cr_assert_eq(i, 3);
    list_init(&own);
    list_splice(&own, &other);
    cr_assert_eq(own.next, &nodes[0]);
    cr_assert_eq(own.prev, &nodes[2]);
}
