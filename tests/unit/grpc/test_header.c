#include <criterion/criterion.h>

#include "grpc/header.h"

Test(header, reads_timeouts)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t us;
    } cases[] = {
        {"1H", true, 3600000000},
        {"2M", true, 120000000},
        {"3S", true, 3000000},
        {"250m", true, 250000},
        {"7u", true, 7},
        {"5000n", true, 5},
        {"99999999H", true, 99999999 * 3600000000ULL},
        {"0S", true, 0},
        {"", false, 0},
        {"S", false, 0},
        {"5", false, 0},
        {"5s", false, 0},
        {"-5S", false, 0},
        {"+5S", false, 0},
        {"5 S", false, 0},
        {"123456789S", false, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t us = 0;

        cr_assert_eq(grpc_timeout_parse(str_of(cases[i].text), &us), cases[i].good, "%s",
                     cases[i].text);
        cr_assert_eq(us, cases[i].us, "%s", cases[i].text);
    }
}

Test(header, writes_timeouts_that_it_reads)
{
    static const uint64_t cases[] = {1, 999, 60000, 99999999, 100000000, 9000000000000};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[16];
        uint64_t us;

        grpc_timeout_format(cases[i], text);
        cr_assert(grpc_timeout_parse(str_of(text), &us), "%s", text);
        cr_assert_leq(us, cases[i] * 1000);
        if (cases[i] <= 99999999)
            cr_assert_eq(us, cases[i] * 1000);
    }
}

Test(header, knows_grpc_js)
{
    cr_assert(grpc_agent_is_node(STR("grpc-node-js/1.14.1")));
    cr_assert(grpc_agent_is_node(STR("checkout/1.0 grpc-node-js/1.14.1")));
    cr_assert_not(grpc_agent_is_node(STR("grpc-go/1.85.0")));
    cr_assert_not(grpc_agent_is_node(STR("my-grpc-node/1.0 grpc-go/1.85.0")));
    cr_assert_not(grpc_agent_is_node(STR("")));
}

Test(header, tells_grpc_from_other_content_types)
{
    cr_assert(grpc_content_type(STR("application/grpc")));
    cr_assert(grpc_content_type(STR("application/grpc+proto")));
    cr_assert(grpc_content_type(STR("application/grpc; charset=utf-8")) ||
              grpc_content_type(STR("application/grpc;charset=utf-8")));
    cr_assert(grpc_content_type(STR("Application/GRPC")));
    cr_assert_not(grpc_content_type(STR("application/grpc-web")));
    cr_assert_not(grpc_content_type(STR("application/json")));
    cr_assert_not(grpc_content_type(STR("")));
}

Test(header, encodes_messages_and_reads_them_back)
{
    char encoded[GRPC_STATUS_MESSAGE_MAX], decoded[GRPC_STATUS_MESSAGE_MAX];

    grpc_message_encode("100% no\n\xc3\xa9", encoded);
    cr_assert_str_eq(encoded, "100%25 no%0A%C3%A9");
    grpc_message_decode(str_of(encoded), decoded, sizeof(decoded));
    cr_assert_str_eq(decoded, "100% no\n\xc3\xa9");
    grpc_message_decode(STR("a%zzb%4"), decoded, sizeof(decoded));
    cr_assert_str_eq(decoded, "a%zzb%4");
}

Test(header, cuts_long_messages)
{
    char text[4096], encoded[GRPC_STATUS_MESSAGE_MAX], decoded[8];

    memset(text, '\n', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    cr_assert_lt(grpc_message_encode(text, encoded), GRPC_STATUS_MESSAGE_MAX);
    cr_assert_eq(strlen(encoded) % 3, 0, "no escape is cut");
    grpc_message_decode(STR("0123456789"), decoded, sizeof(decoded));
    cr_assert_str_eq(decoded, "0123456");
}
