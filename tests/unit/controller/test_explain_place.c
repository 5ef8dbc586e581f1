/* Why a list is as it is: zones, nodes, holds, delays. */
#include "explain_world.h"

#include "base/clock.h"

TestSuite(explain_place, .init = explain_start, .fini = explain_stop);

/* ---- places ---- */

#define HINTED(address, node, zone, hints)                                                         \
    "{'addresses':['" address "'],'nodeName':'" node "','zone':'" zone "','hints':{" hints "}}"
#define FOR_ZONE(zone) "'forZones':[{'name':'" zone "'}]"
#define FOR_NODE(node) "'forNodes':[{'name':'" node "'}]"

static size_t views(void)
{
    return json_len(json_get(answer, "views"));
}

Test(explain_place, tells_zone_hints)
{
    put_slice("a", 1,
              HINTED("10.0.0.1", "n1", "z1", FOR_ZONE("z1")) "," HINTED(
                  "10.0.0.2", "n2", "z2", FOR_ZONE("z2")) "," HINTED("10.0.0.3", "n3", "z2",
                                                                     FOR_ZONE("z2")));
    ask_from("greeter", "z2", "");
    cr_assert_str_eq(fate("10.0.0.1"), "out other-zone");
    cr_assert_str_eq(fate("10.0.0.2"), "in ready");
    cr_assert_str_eq(member("listed"), "2");
    cr_assert_str_eq(member("summary"),
                     "2 of 3 endpoints are listed, those whose hints name zone z2");
    cr_assert_str_eq(text_of(json_get(json_get(answer, "view"), "ipv4")), "zone");
    cr_assert_str_eq(text_of(json_get(json_get(answer, "view"), "ipv6")), "all");
    cr_assert_eq(views(), 3, "all, z1, z2");
    ask_from("greeter", "z9", "");
    cr_assert_str_eq(fate("10.0.0.1"), "in ready");
    cr_assert_str_eq(text_of(json_get(json_get(answer, "view"), "ipv4")), "all");
}

Test(explain_place, knows_the_zone_of_a_node)
{
    struct controller_scope *nodes = controller_scope_new(world.controller, OBJECT_NODE, "nodes");

    upsert(nodes, "{'metadata':{'name':'n7','labels':{'topology.kubernetes.io/zone':'z1'}}}");
    put_slice("a", 1,
              HINTED("10.0.0.1", "n1", "z1", FOR_ZONE("z1")) "," HINTED("10.0.0.2", "n2", "z2",
                                                                        FOR_ZONE("z2")));
    ask_from("greeter", "", "n7");
    cr_assert_str_eq(text_of(json_get(json_get(answer, "place"), "zone")), "z1");
    cr_assert_str_eq(fate("10.0.0.2"), "out other-zone");
    controller_scope_free(nodes);
}

Test(explain_place, tells_node_hints)
{
    put_slice("a", 1,
              HINTED("10.0.0.1", "n1", "z1", FOR_NODE("n1")) "," HINTED("10.0.0.2", "n2", "z2",
                                                                        FOR_NODE("n2")));
    ask_from("greeter", "", "n1");
    cr_assert_str_eq(fate("10.0.0.1"), "in ready");
    cr_assert_str_eq(fate("10.0.0.2"), "out other-node");
    cr_assert_str_eq(member("summary"),
                     "1 of 2 endpoints is listed, those whose hints name node n1");
}

Test(explain_place, tells_what_is_not_local)
{
    upsert(world.services, SERVICE_WITH("'internalTrafficPolicy':'Local','ports':[{'port':8001}]"));
    put_slice("a", 1,
              HINTED("10.0.0.1", "n1", "", "") "," HINTED(
                  "10.0.0.2", "n2", "",
                  "") ","
                      "{'addresses':['10.0.0.3'],'nodeName':'n3','conditions':{" DRAINING "}}");
    ask_from("greeter", "", "n1");
    cr_assert_str_eq(fate("10.0.0.1"), "in ready");
    cr_assert_str_eq(fate("10.0.0.2"), "out not-local");
    cr_assert_str_eq(fate("10.0.0.3"), "out not-local");
    cr_assert_str_eq(member("blind"), "false");
    cr_assert_str_eq(member("summary"), "1 of 3 endpoints is listed, those on node n1");
    cr_assert_eq(views(), 5, "all, n1, n2, n3, and nodes without endpoints");
    ask_from("greeter", "", "n3");
    cr_assert_str_eq(fate("10.0.0.3"), "in draining");
    ask_from("greeter", "", "n9");
    cr_assert_str_eq(member("summary"), "the list is empty: internalTrafficPolicy is Local, and no "
                                        "ready endpoint is on the client's node");
    ask_from("greeter", "", "");
    cr_assert_str_eq(member("blind"), "true");
    cr_assert_str_eq(fate("10.0.0.2"), "in ready");
}

Test(explain_place, leaves_views_out_where_there_are_many)
{
    struct buf text = BUFFER_INIT(1 << 20);

    for (int i = 0; i < 100; i++)
        buf_printf(&text, "%s{'addresses':['10.0.0.%d'],'nodeName':'n%d'}", i > 0 ? "," : "", i + 1,
                   i);
    upsert(world.services, SERVICE_WITH("'internalTrafficPolicy':'Local','ports':[{'port':8001}]"));
    put_slice("a", 1, buf_cstr(&text));
    ask("greeter");
    cr_assert_eq(views(), EXPLAIN_VIEWS_MAX);
    cr_assert_str_eq(member("views_left_out"), "38", "of 100 nodes, all, and those without any");
    buf_done(&text);
}
/* ---- holds and delays ---- */

static const struct json *hold_member(const char *key)
{
    return json_get(json_get(answer, "hold"), key);
}

Test(explain_place, tells_what_a_hold_keeps)
{
    put_slice("a", 1, READY("10.0.0.1"));
    put_slice("b", 1, READY("10.0.0.2"));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.2:9001");
    upsert(world.services, SERVICE_WITH("'ports':[{'port':8001,'name':'renamed'}]"));
    remove_object(world.slices, "b");
    turn_until_hold("greeter", "service-change");
    ask("greeter");
    cr_assert_str_eq(text_of(hold_member("name")), "service-change");
    cr_assert_leq(json_number(hold_member("until_ms")), 2000);
    cr_assert_eq(json_number(hold_member("doubted")), 0);
    cr_assert_str_eq(fate("10.0.0.1"), "out no-such-port");
    cr_assert_eq(json_len(json_get(answer, "kept")), 2, "both, as they were");
    cr_assert_str_eq(text_of(json_get(json_first(json_get(answer, "kept")), "reason")), "kept");
    cr_assert_str_eq(member("summary"),
                     "2 of 2 endpoints are listed; a hold keeps this list for now");
    cr_assert_eq(count_in(), 2);
}

Test(explain_place, tells_what_a_hold_keeps_back)
{
    world_stop();
    world.deletion_grace_ms = 2000;
    explain_start();
    put_slice("a", 1, READY("10.0.0.1"));
    turn_until_published("greeter", "8001: 10.0.0.1:9001");
    remove_object(world.services, "greeter");
    turn_until_hold("greeter", "deletion");
    put_slice("a", 2, NOT_READY("10.0.0.1") "," READY("10.0.0.2"));
    ask("greeter");
    cr_assert_str_eq(member("found"), "false");
    cr_assert_str_eq(text_of(hold_member("name")), "deletion");
    cr_assert_str_eq(fate("10.0.0.1"), "in kept");
    cr_assert_str_eq(fate("10.0.0.2"), "out no-service");
    cr_assert(strstr(member("summary"), "the Service is deleted, and a hold keeps its last list"));
    upsert(world.services, SERVICE_WITH("'ports':[{'port':8001,'name':'x'}]"));
    turn_until_hold("greeter", "service-change");
}

/* Two endpoints vanish; one comes back in another slice while the hold still waits for the other. */
Test(explain_place, tells_what_settles)
{
    struct err err = {0};

    put_slice("a", 1, READY("10.0.0.1") "," READY("10.0.0.2"));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.2:9001");
    turn_for_ms(15);
    put_slice("a", 3, READY("10.0.0.1") "," READY("10.0.0.3"));
    turn();
    cr_assert_eq(ask_at("greeter", "", "", &err), CODE_OK);
    cr_assert_str_eq(text_of(hold_member("name")), "settle");
    cr_assert_str_eq(fate("10.0.0.1"), "in ready");
    cr_assert_str_eq(fate("10.0.0.3"), "out held-back");
    cr_assert_eq(json_len(json_get(answer, "kept")), 1);
    cr_assert_str_eq(text_of(json_get(json_first(json_get(answer, "kept")), "address")),
                     "10.0.0.2");
}

Test(explain_place, tells_what_is_on_its_way)
{
    struct err err = {0};

    world.fanout_us = 200 * 1000; /* a window of 800 ms */
    put_slice("a", 1, READY("10.0.0.1"));
    turn_until_published("greeter", "8001: 10.0.0.1:9001");
    put_slice("a", 2, NOT_READY("10.0.0.1") "," READY("10.0.0.2"));
    cr_assert_eq(ask_at("greeter", "", "", &err), CODE_OK);
    cr_assert_str_eq(fate("10.0.0.1"), "in leaving");
    cr_assert_str_eq(fate("10.0.0.2"), "out waiting");
    cr_assert_null(json_get(answer, "hold"));
}

Test(explain_place, tells_what_is_doubted)
{
    put_slice("a", 1, READY("10.0.0.1"));
    list_begin(world.slices);
    cr_assert_not(list_end(world.slices));
    ask("greeter");
    cr_assert_str_eq(fate("10.0.0.1"), "in kept");
    cr_assert_str_eq(text_of(hold_member("name")), "relist");
    cr_assert_null(hold_member("until_ms"));
    cr_assert_eq(json_number(hold_member("doubted")), 1);
    cr_assert(
        strstr(member("summary"), "the API server's last list lacked objects of this Service"));
}

Test(explain_place, has_a_word_and_a_sentence_for_every_reason)
{
    for (enum explain_reason reason = 0; reason < EXPLAIN_REASONS; reason++) {
        cr_assert_not_null(explain_reason_name(reason));
        cr_assert_not_null(explain_reason_text(reason));
        for (enum explain_reason other = 0; other < reason; other++)
            cr_assert_str_neq(explain_reason_name(reason), explain_reason_name(other));
    }
}
