#include "fixture.h"

static void assert_refused(struct str text, const char *part)
{
    struct address address;
    struct err err = {0};

    cr_assert_eq(address_parse(text, &address, &err), CODE_INVALID_ARGUMENT, "%s", text.ptr);
    cr_assert_not_null(strstr(err.msg, part), "'%s' has no '%s'", err.msg, part);
}

Test(address, literals_are_parsed_and_formatted)
{
    static const struct {
        const char *text, *formatted;
    } cases[] = {
        {"127.0.0.1:18000", "127.0.0.1:18000"},
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"[::1]:65535", "[::1]:65535"},
        {"[2001:DB8::0:1]:80", "[2001:db8::1]:80"},
        {":18000", "[::]:18000"},
        {"unix:/run/lookaside.sock", "unix:/run/lookaside.sock"},
        {"unix:///run/lookaside.sock", "unix:/run/lookaside.sock"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct address address = parse(cases[i].text);

        cr_assert_str_eq(format(&address), cases[i].formatted);
    }
}

Test(address, malformed_ones_are_refused_with_the_cause)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "no port"},
        {"127.0.0.1", "no port"},
        {"127.0.0.1:", "the port is no number"},
        {"127.0.0.1:65536", "the port is no number from 0 to 65535"},
        {"127.0.0.1:+80", "the port is no number"},
        {"127.0.0.1:80x", "the port is no number"},
        {"127.1:80", "'127.1' is no IP address"},
        {"localhost:80", "'localhost' is no IP address"},
        {"[127.0.0.1]:80", "'127.0.0.1' is no IP address"},
        {"[]:80", "is no IP address"},
        {"::1:80", "needs brackets"},
        {"[::1:80", "needs brackets"},
        {"[::1]80", "the port is no number"},
        {"unix:", "absolute path"},
        {"unix:relative", "absolute path"},
        {"unix://host/path", "absolute path"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(str_of(cases[i].text), cases[i].part);
}

Test(address, embedded_nul_is_refused)
{
    assert_refused(STR("unix:/run/a\0b"), "unix socket path");
    assert_refused(STR("127.0.0.1\0:80"), "no IP address");
}

Test(address, unix_path_has_a_limit)
{
    char text[5 + 108 + 1] = "unix:/";
    struct address address;

    memset(text + 6, 'a', 107);
    assert_refused(str_of(text), "at most 107 bytes");
    text[5 + 107] = '\0';
    address = parse(text);
    cr_assert_str_eq(format(&address), text);
}

Test(address, local_ones_are_loopback_and_unix)
{
    static const struct {
        const char *text;
        bool local, is_unix;
    } cases[] = {
        {"127.0.0.1:1", true, false},
        {"127.255.0.9:1", true, false},
        {"128.0.0.1:1", false, false},
        {"0.0.0.0:1", false, false},
        {"[::1]:1", true, false},
        {"[::]:1", false, false},
        {"[::ffff:127.0.0.1]:1", true, false},
        {"[::ffff:10.0.0.1]:1", false, false},
        {"[::127.0.0.1]:1", false, false},
        {"unix:/x", true, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct address address = parse(cases[i].text);

        cr_assert_eq(address_is_local(&address), cases[i].local, "%s", cases[i].text);
        cr_assert_eq(address_is_unix(&address), cases[i].is_unix, "%s", cases[i].text);
    }
}

Test(address, gives_the_bytes_of_its_ip)
{
    static const struct {
        const char *text;
        int family;
        unsigned char bytes[16];
    } cases[] = {
        {"10.1.2.3:1", 4, {10, 1, 2, 3}},
        {"[::ffff:10.1.2.3]:1", 4, {10, 1, 2, 3}},
        {"[fd00::1]:1", 6, {0xfd, [15] = 1}},
        {"unix:/x", 0, {0}},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct address address = parse(cases[i].text);
        unsigned char bytes[16] = {0};

        cr_assert_eq(address_ip(&address, bytes), cases[i].family, "%s", cases[i].text);
        cr_assert_eq(memcmp(bytes, cases[i].bytes, 16), 0, "%s", cases[i].text);
    }
}

Test(address, of_nobody_is_formatted_too)
{
    struct address unnamed = {.storage.ss_family = AF_UNIX, .len = sizeof(sa_family_t)};
    struct address empty = {0};

    cr_assert_str_eq(format(&unnamed), "unix:");
    cr_assert_str_eq(format(&empty), "unknown");
    cr_assert_not(address_is_local(&empty));
}

Test(address, lookup_takes_names_literals_and_the_dns_scheme)
{
    static const char *const texts[] = {"localhost:8001", "dns:///localhost:8001", "127.0.0.1:8001",
                                        "dns:///127.0.0.1:8001"};
    struct address address;
    struct err err = {0};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        cr_assert_eq(address_lookup(str_of(texts[i]), &address, &err), CODE_OK, "%s", err.msg);
        cr_assert_str_eq(format(&address), "127.0.0.1:8001");
    }
    cr_assert_eq(address_lookup(STR("unix:/x"), &address, &err), CODE_OK);
    cr_assert_str_eq(format(&address), "unix:/x");
}

Test(address, lookup_says_what_it_could_not_find)
{
    struct address address;
    struct err err = {0};

    cr_assert_eq(address_lookup(STR("nobody.invalid:80"), &address, &err), CODE_UNAVAILABLE);
    cr_assert_not_null(strstr(err.msg, "cannot look up 'nobody.invalid': "), "%s", err.msg);
    cr_assert_eq(address_lookup(STR("localhost"), &address, &err), CODE_INVALID_ARGUMENT);
    cr_assert_eq(address_lookup(STR("unix:x"), &address, &err), CODE_INVALID_ARGUMENT);
}
