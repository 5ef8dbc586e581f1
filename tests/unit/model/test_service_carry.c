/* Lists of an earlier version that stay while a hold is in force. */
#include "fixture.h"

/* Drops both versions before anything is read: what is carried must live on its own. */
static const struct service *carry(const struct service *before, const struct service *after)
{
    const struct service *carried = carry_emptied(before, after);

    service_unref(before);
    service_unref(after);
    return carried;
}

Test(service_carry, keeps_the_emptied_list_and_takes_the_others)
{
    const struct service *service =
        carry(MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80 b=81", .uid = "old"),
                           SLICE_TEXT("s", "a=1 b=2", "10.0.0.1@z 10.0.0.2/d 10.0.0.3@y")),
              MAKE_SERVICE(SERVICE_TEXT(.ports = "new=80 b=81", .uid = "new"),
                           SLICE_TEXT("s", "a=1 b=2", "10.0.0.4")));

    cr_assert_str_eq(list_text(port_of(service, 80)), "10.0.0.3:1@y | 10.0.0.1:1@z");
    cr_assert_str_eq(list_text(port_of(service, 81)), "10.0.0.4:2");
    cr_assert(str_eq(port_of(service, 80)->name, STR("new")));
    cr_assert_eq(port_of(service, 80)->draining, 1);
    cr_assert_eq(port_of(service, 80)->total, 3);
    cr_assert_eq(port_of(service, 80)->target, 1);
    cr_assert(str_eq(service->uid, STR("new")));
    cr_assert_eq(service->slices_len, 2, "the slice in both versions");
    service_unref(service);
}

Test(service_carry, keeps_a_port_that_is_gone)
{
    const struct service *service =
        carry(MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80 b=70 c=60"),
                           SLICE_TEXT("s", "a=1 b=2", "10.0.0.1")),
              MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80"), SLICE_TEXT("s", "a=1", "10.0.0.2")));

    cr_assert_eq(service->ports_len, 2, "the one that listed nothing is not kept");
    cr_assert_eq(service->ports[0].number, 70, "sorted");
    cr_assert(service->ports[0].gone);
    cr_assert_not(service->ports[1].gone);
    cr_assert_str_eq(list_text(port_of(service, 70)), "10.0.0.1:2");
    cr_assert_str_eq(list_text(port_of(service, 80)), "10.0.0.2:1");
    service_unref(service);
}

static uint16_t default_number(const struct service *service)
{
    const char *reason;
    const struct service_port *port =
        service_find_port(service, &(struct port_ref){.kind = PORT_NONE}, &reason);

    return port ? port->number : 0;
}

Test(service_carry, a_name_without_a_port_means_what_it_meant)
{
    const struct service *service =
        carry(MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=8001 http=80"),
                           SLICE_TEXT("s", "grpc=1 http=2", "10.0.0.1")),
              MAKE_SERVICE(SERVICE_TEXT(.ports = "web=8001 grpc=8080"),
                           SLICE_TEXT("s", "grpc=1 http=2", "")));
    const struct service *after = MAKE_SERVICE(SERVICE_TEXT(.ports = "web=8001 grpc=8080"),
                                               SLICE_TEXT("s", "grpc=3", "10.0.0.2"));
    const struct service *filled = carry_emptied(service, after);

    cr_assert_eq(default_number(service), 8001, "not the port that is gone, whose only one it is");
    cr_assert_str_eq(list_text(port_of(service, 8001)), "10.0.0.1:1");
    cr_assert_eq(default_number(filled), 8080, "the Service's own choice lists something");
    service_unref(service);
    service_unref(after);
    service_unref(filled);
}

Test(service_carry, a_list_that_is_only_kept_is_no_choice_of_the_service)
{
    const struct service *service =
        carry(MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=8001 http=80"),
                           SLICE_TEXT("s", "grpc=1 http=2", "10.0.0.1")),
              MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=80"), SLICE_TEXT("s", "x=1", "10.0.0.1")));

    cr_assert_eq(default_number(service), 8001, "port 80 has no list of its own yet");
    cr_assert_str_eq(list_text(port_of(service, 80)), "10.0.0.1:2");
    service_unref(service);
}

Test(service_carry, keeps_a_list_that_is_not_emptied_either)
{
    static const struct service_keep keep[] = {{.stays = true}, {.stays = false}};
    const struct service *before = MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80 b=81"),
                                                SLICE_TEXT("s", "a=1 b=2", "10.0.0.1 10.0.0.2"));
    const struct service *after = MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80 b=81"),
                                               SLICE_TEXT("s", "a=1 b=2", "10.0.0.2"));
    const struct service *service = service_carry(before, after, keep, 1);

    service_unref(before);
    service_unref(after);
    cr_assert_str_eq(list_text(port_of(service, 80)), "10.0.0.1:1,10.0.0.2:1");
    cr_assert_str_eq(list_text(port_of(service, 81)), "10.0.0.2:2");
    service_unref(service);
}

/* .1 is gone, .2 not ready, .3 shuts down, .4 came later, .5 is new and .6 was not listed. */
Test(service_carry, keeps_only_what_was_lost)
{
    const struct service *lost =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80"),
                     SLICE_TEXT("s", "a=1", "10.0.0.1@z 10.0.0.2@z 10.0.0.3@z"));
    const struct service *before =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80"),
                     SLICE_TEXT("s", "a=1", "10.0.0.1@z 10.0.0.2@z 10.0.0.3@z 10.0.0.4@z 10.0.0.6/n"));
    const struct service *after =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80"),
                     SLICE_TEXT("s", "a=1", "10.0.0.2@z/n 10.0.0.3@z/d 10.0.0.5@z 10.0.0.6/n"));
    const struct service_keep keep[] = {{.stays = true, .lost = port_of(lost, 80)}};
    const struct service *service = service_carry(before, after, keep, 1);
    const struct service_port *port = port_of(service, 80);

    service_unref(lost);
    service_unref(before);
    service_unref(after);
    cr_assert_str_eq(list_text(port), "10.0.0.1:1,10.0.0.2:1,10.0.0.5:1@z");
    cr_assert_eq(port->ready, 3);
    cr_assert_eq(port->draining, 1);
    cr_assert_eq(port->total, 5);
    service_unref(service);
}

Test(service_carry, keeps_what_was_lost_of_a_port_that_is_gone)
{
    const struct service *before = MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80 b=81"),
                                                SLICE_TEXT("s", "a=1", "10.0.0.1 10.0.0.2/d"));
    const struct service *after =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "b=81"), SLICE_TEXT("s", "b=1", "10.0.0.3"));
    const struct service_keep keep[] = {{.stays = true, .lost = port_of(before, 80)}, {.stays = false}};
    const struct service *service = service_carry(before, after, keep, 1);

    cr_assert(port_of(service, 80)->gone);
    cr_assert_str_eq(list_text(port_of(service, 80)), "10.0.0.1:1");
    cr_assert_eq(port_of(service, 80)->total, 1);
    cr_assert_str_eq(list_text(port_of(service, 81)), "10.0.0.3:1");
    service_unref(before);
    service_unref(after);
    service_unref(service);
}

/* A headless Service without ports, whose slices call a number otherwise than before. */
Test(service_carry, keeps_a_list_for_every_port_of_its_number)
{
    const struct service *service =
        carry(MAKE_SERVICE(SERVICE_TEXT(.type = SERVICE_HEADLESS),
                           SLICE_TEXT("s", "rpc=9001", "10.0.0.1"), SLICE_TEXT("t", "web=9001", "")),
              MAKE_SERVICE(SERVICE_TEXT(.type = SERVICE_HEADLESS), SLICE_TEXT("s", "rpc=9001", ""),
                           SLICE_TEXT("u", "a=9001", "")));

    cr_assert_eq(service->ports_len, 2);
    for (size_t i = 0; i < service->ports_len; i++) {
        cr_assert_eq(service->ports[i].number, 9001);
        cr_assert_not(service->ports[i].gone);
        cr_assert_str_eq(list_text(&service->ports[i]), "10.0.0.1:9001");
    }
    cr_assert_eq(default_number(service), 9001);
    service_unref(service);
}

Test(service_carry, again_is_equal)
{
    const struct service *before =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80 b=70"), SLICE_TEXT("s", "a=1 b=2", "10.0.0.1@z"));
    const struct service *after =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80"), SLICE_TEXT("t", "x=1", "10.0.0.2"));
    const struct service *once = carry_emptied(before, after);
    const struct service *twice = carry_emptied(once, after);

    cr_assert_not(service_equal(before, once), "a port that is gone is another port");
    cr_assert_not(service_equal(once, after));
    cr_assert(service_equal(once, twice));
    cr_assert_eq(twice->slices_len, 2);
    service_unref(before);
    service_unref(after);
    service_unref(once);
    cr_assert_str_eq(list_text(port_of(twice, 70)), "10.0.0.1:2@z");
    service_unref(twice);
}

/* Where the Service's own choice lists something, a name without a port does not mean what is kept. */
Test(service_carry, again_is_equal_whatever_the_name_without_a_port_means)
{
    const struct service *before =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80"), SLICE_TEXT("s", "a=1", "10.0.0.1"));
    const struct service *after =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "b=81"), SLICE_TEXT("s", "b=1", "10.0.0.1"));
    const struct service *once = carry_emptied(before, after);
    const struct service *twice = carry_emptied(once, after);

    cr_assert_eq(default_number(once), 81);
    cr_assert(service_equal(once, twice));
    service_unref(before);
    service_unref(after);
    service_unref(once);
    service_unref(twice);
}

/* All that belongs to a list comes with it: other addresses, zones that it kept, what views are made of. */
Test(service_carry, keeps_all_that_lists_are_made_of)
{
    const struct service *first =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80"), SLICE_TEXT("4", "a=1", "10.0.0.1@old#u1~x"));
    const struct service *before =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80", .before = first),
                     SLICE_TEXT("4", "a=1", "10.0.0.1@new#u1~x 10.0.0.2@z~y 10.0.0.3/n"),
                     SLICE_TEXT("6", "a=1", "fd00::1@z#u1", .family = FAMILY_IPV6));
    const struct service *service;
    const struct service_port *port;

    service_unref(first);
    service = carry(before, MAKE_SERVICE(SERVICE_TEXT(.ports = "b=80", .prefers = FAMILY_IPV6),
                                         SLICE_TEXT("4", "x=1", "10.0.0.9")));
    port = port_of(service, 80);
    cr_assert_str_eq(list_text(port), "10.0.0.1:1+[fd00::1]:1@old | 10.0.0.2:1@z");
    cr_assert_eq(port->all_len, 4);
    cr_assert(port->by_place);
    cr_assert_eq(port->prefers, FAMILY_IPV4);
    cr_assert_str_eq(view_text(port, "y", NULL), "10.0.0.2:1,[fd00::1]:1@z");
    service_unref(service);
}

Test(service_carry, keeps_a_list_of_the_nodes_own)
{
    const struct service *service =
        carry(MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80", .local = true),
                           SLICE_TEXT("s", "a=1", "10.0.0.1%n1 10.0.0.2%n2")),
              make_service(SERVICE_TEXT(.ports = "a=80"), NULL, 0));

    cr_assert_str_eq(view_text(port_of(service, 80), NULL, "n2"), "10.0.0.2:1");
    service_unref(service);
}

Test(service_carry, is_needed_only_when_a_last_backend_would_go)
{
    const struct service *two =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80"), SLICE_TEXT("s", "a=1", "10.0.0.1 10.0.0.2"));
    const struct service *one =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "b=80"), SLICE_TEXT("s", "b=1", "10.0.0.1"));
    const struct service *none = make_service(SERVICE_TEXT(.ports = "a=80"), NULL, 0);

    cr_assert_not(service_empties(&two->ports[0], one));
    cr_assert_not(service_empties(&none->ports[0], one));
    cr_assert_not(service_empties(&none->ports[0], NULL));
    cr_assert(service_empties(&one->ports[0], none));
    cr_assert(service_empties(&one->ports[0], NULL));
    cr_assert_eq(service_listed(two, 80), 2);
    cr_assert_eq(service_listed(two, 81), 0);
    service_unref(two);
    service_unref(one);
    service_unref(none);
}
