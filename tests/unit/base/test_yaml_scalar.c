#include <criterion/criterion.h>
#include <math.h>

#include "base/yaml_scalar.h"

struct scalar_case {
    const char *text;
    enum json_type type;
    double number;
};

static void expect_each(const struct scalar_case *cases, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        struct yaml_scalar scalar = yaml_scalar_resolve(str_of(cases[i].text));

        cr_assert_eq(scalar.type, cases[i].type, "'%s' is %s", cases[i].text,
                     json_type_name(scalar.type));
        cr_assert_eq(scalar.number, cases[i].number, "'%s'", cases[i].text);
    }
}

Test(yaml_scalar, follows_the_core_schema)
{
    static const struct scalar_case cases[] = {
        {"", JSON_NULL, 0},       {"~", JSON_NULL, 0},     {"null", JSON_NULL, 0},
        {"Null", JSON_NULL, 0},   {"NULL", JSON_NULL, 0},  {"nULL", JSON_STRING, 0},
        {"true", JSON_BOOL, 0},   {"False", JSON_BOOL, 0}, {"TRUE", JSON_BOOL, 0},
        {"tRUE", JSON_STRING, 0}, {"yes", JSON_STRING, 0}, {"no", JSON_STRING, 0},
        {"on", JSON_STRING, 0},   {"off", JSON_STRING, 0}, {"y", JSON_STRING, 0},
    };

    expect_each(cases, ARRAY_LEN(cases));
    cr_assert(yaml_scalar_resolve(STR("True")).truth);
    cr_assert_not(yaml_scalar_resolve(STR("FALSE")).truth);
}

Test(yaml_scalar, knows_numbers)
{
    static const struct scalar_case cases[] = {
        {"0", JSON_NUMBER, 0},          {"-7", JSON_NUMBER, -7},     {"+8", JSON_NUMBER, 8},
        {"0777", JSON_NUMBER, 777},     {"0o17", JSON_NUMBER, 15},   {"0x1F", JSON_NUMBER, 31},
        {"0xff", JSON_NUMBER, 255},     {"0o18", JSON_STRING, 0},    {"0x", JSON_STRING, 0},
        {"0xg", JSON_STRING, 0},        {"-0x1", JSON_STRING, 0},    {"1.5", JSON_NUMBER, 1.5},
        {"1.", JSON_NUMBER, 1},         {".5", JSON_NUMBER, .5},     {"-.5e2", JSON_NUMBER, -50},
        {"1e3", JSON_NUMBER, 1000},     {"1E+3", JSON_NUMBER, 1000}, {"1e", JSON_STRING, 0},
        {"1e+", JSON_STRING, 0},        {".", JSON_STRING, 0},       {"-", JSON_STRING, 0},
        {"+", JSON_STRING, 0},          {"1.2.3", JSON_STRING, 0},   {"1_000", JSON_STRING, 0},
        {"10:30", JSON_STRING, 0},      {"1 2", JSON_STRING, 0},     {"nan", JSON_STRING, 0},
        {"2026-01-02", JSON_STRING, 0}, {"e3", JSON_STRING, 0},      {".e3", JSON_STRING, 0},
        {"12h", JSON_STRING, 0},        {"0b1", JSON_STRING, 0},
    };

    expect_each(cases, ARRAY_LEN(cases));
}

Test(yaml_scalar, knows_numbers_that_json_cannot_say)
{
    static const char *const cases[] = {".inf", "-.Inf", "+.INF", ".nan", ".NaN", "1e999"};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct yaml_scalar scalar = yaml_scalar_resolve(str_of(cases[i]));

        cr_assert_eq(scalar.type, JSON_NUMBER, "%s", cases[i]);
        cr_assert_not(isfinite(scalar.number), "%s", cases[i]);
    }
    cr_assert_eq(yaml_scalar_resolve(STR("-.nan")).type, JSON_STRING);
}
