#include <criterion/criterion.h>

#include "model/name.h"

static const char *const suffixes[] = {"example.com", "mesh.example.org", NULL};
static const struct name_context context = {STR_INIT("web"), STR_INIT("cluster.local"), suffixes};

static const char *show(const struct name *name)
{
    static char text[NAME_TEXT_MAX + 8];

    name_format_cluster(name, 0, text);
    return text;
}

Test(name, reads_every_form)
{
    static const char *const cases[][2] = {
        {"greeter.shop:8001", "shop/greeter:8001"},
        {"greeter.shop:grpc", "shop/greeter:grpc"},
        {"greeter.shop", "shop/greeter:"},
        {"greeter.shop.svc", "shop/greeter:"},
        {"greeter.shop.svc:8001", "shop/greeter:8001"},
        {"greeter.shop.svc:grpc", "shop/greeter:grpc"},
        {"greeter.shop.svc.cluster.local", "shop/greeter:"},
        {"greeter.shop.svc.cluster.local:8001", "shop/greeter:8001"},
        {"greeter", "web/greeter:"},
        {"greeter:8001", "web/greeter:8001"},
        {"greeter:grpc", "web/greeter:grpc"},
        {"pod-0.greeter.shop", "shop/greeter/pod-0:"},
        {"pod-0.greeter.shop:8001", "shop/greeter/pod-0:8001"},
        {"pod-0.greeter.shop.svc:8001", "shop/greeter/pod-0:8001"},
        {"pod-0.greeter.shop.svc.cluster.local:grpc", "shop/greeter/pod-0:grpc"},
        /* trailing dots and case */
        {"greeter.shop.", "shop/greeter:"},
        {"greeter.shop.:8001", "shop/greeter:8001"},
        {"greeter.shop.svc.cluster.local.:8001", "shop/greeter:8001"},
        {"greeter.", "web/greeter:"},
        {"GREETER.Shop:8001", "shop/greeter:8001"},
        {"Greeter.shop.SVC.Cluster.LOCAL:Grpc", "shop/greeter:grpc"},
        /* numbers */
        {"greeter.shop:1", "shop/greeter:1"},
        {"greeter.shop:65535", "shop/greeter:65535"},
        {"1.2:3", "2/1:3"},
        {"greeter.shop:8001a", "shop/greeter:8001a"},
        /* the .svc form first, and only where it leaves two or three labels */
        {"greeter.svc", "svc/greeter:"},
        {"pod.greeter.svc", "greeter/pod:"},
        {"svc", "web/svc:"},
        {"svc.svc.svc", "svc/svc:"},
        {"cluster.local", "local/cluster:"},
        {"greeter.cluster.local", "local/cluster/greeter:"},
        {"a.svc.cluster.local", NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct name name;
        struct err err = {0};
        enum code code = name_parse(str_of(cases[i][0]), &context, &name, &err);

        if (!cases[i][1]) {
            cr_assert_eq(code, CODE_INVALID_ARGUMENT, "%s", cases[i][0]);
            continue;
        }
        cr_assert_eq(code, CODE_OK, "%s: %s", cases[i][0], err.msg);
        cr_assert_str_eq(show(&name), cases[i][1], "%s: %s", cases[i][0], show(&name));
    }
}

Test(name, refuses_what_is_malformed_and_says_why)
{
    static const char *const cases[][2] = {
        {"", "name is empty"},
        {".", "name '.' has no host"},
        {":8001", "name ':8001' has no host"},
        {"greeter..shop", "name 'greeter..shop' is not one to three DNS labels"},
        {".greeter.shop", "name '.greeter.shop' is not one to three DNS labels"},
        {"greeter.shop..", "name 'greeter.shop..' is not one to three DNS labels"},
        {"a.b.c.d", "name 'a.b.c.d' is not one to three DNS labels"},
        {"a.b.c.d.svc", "name 'a.b.c.d.svc' is not one to three DNS labels"},
        {"greeter.shop.svc.other.domain",
         "name 'greeter.shop.svc.other.domain' is not one to three DNS labels"},
        {"-greeter.shop", "name '-greeter.shop' is not one to three DNS labels"},
        {"greeter-.shop", "name 'greeter-.shop' is not one to three DNS labels"},
        {"gree_ter.shop", "name 'gree_ter.shop' is not one to three DNS labels"},
        {"greeter shop", "name 'greeter shop' is not one to three DNS labels"},
        {"shop/greeter:8001", "name 'shop/greeter:8001' is not one to three DNS labels"},
        {"[fd00::1]:80",
         "name '[fd00::1]:80' has a port that is neither a number nor a port's name"},
        {"greeter.shop:",
         "name 'greeter.shop:' has a port that is neither a number nor a port's name"},
        {"greeter.shop:0", "name 'greeter.shop:0' has a port that is not between 1 and 65535"},
        {"greeter.shop:65536",
         "name 'greeter.shop:65536' has a port that is not between 1 and 65535"},
        {"greeter.shop:08001",
         "name 'greeter.shop:08001' has a port that is not between 1 and 65535"},
        {"greeter.shop:99999999999999999999",
         "name 'greeter.shop:99999999999999999999' has a port that is not between 1 and 65535"},
        {"greeter.shop:gr_pc",
         "name 'greeter.shop:gr_pc' has a port that is neither a number nor a port's name"},
        {"greeter.shop:80:81",
         "name 'greeter.shop:80:81' has a port that is neither a number nor a port's name"},
        {"greeter.shop:8001.",
         "name 'greeter.shop:8001.' has a port that is neither a number nor a port's name"},
        {"gr\xc3\xbc\xc3\x9f.shop",
         "name 'gr\xc3\xbc\xc3\x9f.shop' is not one to three DNS labels"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct name name;
        struct err err = {0};

        cr_assert_eq(name_parse(str_of(cases[i][0]), &context, &name, &err), CODE_INVALID_ARGUMENT,
                     "%s", cases[i][0]);
        cr_assert_str_eq(err.msg, cases[i][1]);
    }
}

Test(name, of_one_label_needs_the_clients_namespace)
{
    struct name_context nobody = {STR(""), STR("cluster.local"), NULL};
    struct name_context odd = {STR("Not/Ours"), STR("cluster.local"), NULL};
    struct name name;
    struct err err = {0};

    cr_assert_eq(name_parse(STR("greeter:8001"), &nobody, &name, &err), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg,
                     "name 'greeter:8001' has no namespace, and the client has none either");
    cr_assert_eq(name_parse(STR("greeter"), &odd, &name, &err), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "name 'greeter' has no namespace, and the client's is malformed");
    cr_assert_eq(name_parse(STR("greeter.shop"), &nobody, &name, &err), CODE_OK);
}

Test(name, needs_no_cluster_domain)
{
    struct name_context bare = {STR(""), STR(""), NULL};
    struct name name;

    cr_assert_eq(name_parse(STR("greeter.shop.svc"), &bare, &name, NULL), CODE_OK);
    cr_assert_str_eq(show(&name), "shop/greeter:");
    cr_assert_eq(name_parse(STR("greeter.shop.svc.cluster.local"), &bare, &name, NULL),
                 CODE_INVALID_ARGUMENT);
}

Test(name, holds_all_its_text_itself)
{
    char text[] = "pod-0.greeter.shop:grpc", space[] = "web";
    struct name_context here = {str_of(space), STR("cluster.local"), NULL};
    struct name name, other;

    cr_assert_eq(name_parse(str_of(text), &here, &name, NULL), CODE_OK);
    memset(text, 'x', strlen(text));
    cr_assert_str_eq(show(&name), "shop/greeter/pod-0:grpc");
    cr_assert_eq(name_parse(STR("greeter:grpc"), &here, &other, NULL), CODE_OK);
    memset(space, 'x', strlen(space));
    cr_assert_str_eq(show(&other), "web/greeter:grpc");
}

Test(name, has_labels_of_at_most_63_and_512_bytes_in_all)
{
    char text[600];
    struct name name;
    struct err err = {0};

    memset(text, 'a', sizeof(text));
    cr_assert_eq(name_parse(str_make(text, 63), &context, &name, NULL), CODE_OK);
    cr_assert_eq(name_parse(str_make(text, 64), &context, &name, NULL), CODE_INVALID_ARGUMENT);
    text[63] = text[127] = '.';
    text[191] = ':';
    cr_assert_eq(name_parse(str_make(text, 255), &context, &name, NULL), CODE_OK);
    cr_assert_eq(name.port.name.len, 63);
    cr_assert_eq(name_parse(str_make(text, NAME_TEXT_MAX + 1), &context, &name, &err),
                 CODE_INVALID_ARGUMENT);
    cr_assert(strstr(err.msg, "...' is too long"));
    memset(text, 'a', sizeof(text));
    cr_assert_eq(name_parse(str_make(text, NAME_TEXT_MAX), &context, &name, &err),
                 CODE_INVALID_ARGUMENT);
    cr_assert(!strstr(err.msg, "too long"));
}

Test(name, of_a_cluster_survives_parsing_and_formatting)
{
    static const char *const cases[] = {
        "shop/greeter:8001",       "shop/greeter:grpc",   "shop/greeter:",
        "shop/greeter/pod-0:8001", "shop/greeter/pod-0:",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct name name;
        struct err err = {0};

        cr_assert_eq(name_parse_cluster(str_of(cases[i]), &name, &err), CODE_OK, "%s: %s", cases[i],
                     err.msg);
        cr_assert_str_eq(show(&name), cases[i]);
    }
}

Test(name, of_a_cluster_can_have_its_number_put_in)
{
    struct name name;
    char text[NAME_TEXT_MAX + 8];

    cr_assert_eq(name_parse(STR("greeter.shop:grpc"), &context, &name, NULL), CODE_OK);
    name_format_cluster(&name, 8001, text);
    cr_assert_str_eq(text, "shop/greeter:8001");
    cr_assert_eq(name_parse(STR("pod-0.greeter.shop"), &context, &name, NULL), CODE_OK);
    name_format_cluster(&name, 8001, text);
    cr_assert_str_eq(text, "shop/greeter/pod-0:8001");
}

Test(name, of_a_cluster_is_refused_unless_it_is_one_of_ours)
{
    static const char *const cases[] = {
        "",
        "greeter",
        "shop/greeter",
        "greeter:8001",
        "/greeter:1",
        "shop/:1",
        "shop/greeter/:1",
        "shop/greeter/a/b:1",
        "Shop/greeter:1",
        "shop/greeter:0",
        "shop/greeter:08001",
        "shop/greeter:GRPC",
        "shop/gr.eeter:1",
        "shop/greeter:1:2",
        "shop//greeter:1",
        "shop/greeter:65536",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct name name;
        struct err err = {0};

        cr_assert_eq(name_parse_cluster(str_of(cases[i]), &name, &err), CODE_INVALID_ARGUMENT, "%s",
                     cases[i]);
        cr_assert(err.msg[0] != '\0');
    }
}

/* ---- hosts ---- */

Test(name, under_an_allowed_suffix_is_a_host_and_no_service)
{
    static const char *const cases[][2] = {
        {"greeter.example.com", "/greeter.example.com:"},
        {"greeter.example.com:8001", "/greeter.example.com:8001"},
        {"greeter.example.com:grpc", "/greeter.example.com:grpc"},
        {"Greeter.EXAMPLE.com.:8001", "/greeter.example.com:8001"},
        {"a.b.c.d.e.mesh.example.org", "/a.b.c.d.e.mesh.example.org:"},
        {"example.com", "/example.com:"},
        /* the forms that come first, and what only looks like it */
        {"pod-0.greeter.svc", "greeter/pod-0:"},
        {"greeter.badexample.com", "com/badexample/greeter:"},
        {"example.org", "org/example:"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct name name;
        struct err err = {0};

        cr_assert_eq(name_parse(str_of(cases[i][0]), &context, &name, &err), CODE_OK, "%s: %s",
                     cases[i][0], err.msg);
        cr_expect_str_eq(show(&name), cases[i][1], "%s: %s", cases[i][0], show(&name));
        cr_expect_eq(name.form == NAME_HOST, cases[i][1][0] == '/');
    }
}

Test(name, of_a_host_that_is_malformed_is_refused)
{
    static const char *const cases[][2] = {
        {"-a.example.com", "name '-a.example.com' has a host that is not DNS labels"},
        {"a..example.com", "name 'a..example.com' has a host that is not DNS labels"},
        {"a_b.example.com:80", "name 'a_b.example.com:80' has a host that is not DNS labels"},
        {"a.example.com:0", "name 'a.example.com:0' has a port that is not between 1 and 65535"},
    };
    char text[300];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct name name;
        struct err err = {0};

        cr_assert_eq(name_parse(str_of(cases[i][0]), &context, &name, &err), CODE_INVALID_ARGUMENT);
        cr_expect_str_eq(err.msg, cases[i][1]);
    }
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 2 ? '.' : 'a';
    memcpy(text + 254 - 11, "example.com", 11);
    cr_expect_eq(name_parse(str_make(text, 254), &context, &(struct name){0}, NULL), CODE_INVALID_ARGUMENT);
}

Test(name, of_a_hosts_cluster_is_read_back_and_moves_to_its_owner)
{
    struct name name;

    cr_assert_eq(name_parse_cluster(STR("/greeter.example.com:8001"), &name, NULL), CODE_OK);
    cr_expect_eq(name.form, NAME_HOST);
    cr_expect(str_eq(name.host, STR("greeter.example.com")));
    name_set_owner(&name, STR("shop/greeter"));
    cr_expect_str_eq(show(&name), "shop/greeter:8001");
    name_set_owner(&name, STR(""));
    cr_expect_str_eq(show(&name), "/greeter.example.com:8001");
    cr_expect_eq(name_parse_cluster(STR("/:8001"), &name, NULL), CODE_INVALID_ARGUMENT);
    cr_expect_eq(name_parse_cluster(STR("/a/b:8001"), &name, NULL), CODE_INVALID_ARGUMENT);
    cr_expect_eq(name_parse_cluster(STR("/A.example.com:8001"), &name, NULL), CODE_INVALID_ARGUMENT);
}
