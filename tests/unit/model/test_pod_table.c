/* Whose pods have which addresses: one version after the other, and what differs between two. */
#include <criterion/criterion.h>

#include "base/buf.h"
#include "model/pod_table.h"

static const struct pod_table *table;
static struct blob *web, *batch;

static void set_up(void)
{
    table = pod_table_new_empty();
    web = blob_copy("web/frontend", 12);
    batch = blob_copy("batch/job", 9);
}

static void tear_down(void)
{
    pod_table_unref(table);
    blob_unref(web);
    blob_unref(batch);
}

TestSuite(pod_table, .init = set_up, .fini = tear_down);

static struct pod_address address(const char *text)
{
    struct pod_address address;

    cr_assert(pod_address_parse(str_of(text), &address), "%s", text);
    return address;
}

/* Consumes what was there. */
static void finish(struct pod_edit *edit)
{
    const struct pod_table *next = pod_edit_finish(edit);

    pod_table_unref(table);
    table = next;
}

static bool add(const char *text, struct blob *account)
{
    struct pod_edit *edit = pod_edit_new(table);
    struct pod_address at = address(text);
    bool alone = pod_edit_add(edit, &at, account);

    finish(edit);
    return alone;
}

static void take(const char *text, struct blob *account)
{
    struct pod_edit *edit = pod_edit_new(table);
    struct pod_address at = address(text);

    pod_edit_remove(edit, &at, account);
    finish(edit);
}

/* "" for nobody, "?" for several. */
static struct str owner(const char *text)
{
    struct pod_address at = address(text);
    struct str account = STR("");
    enum pod_owner found = pod_table_find(table, &at, &account);

    cr_assert(found == POD_OWNER_ONE || account.len == 0);
    return found == POD_OWNER_SEVERAL ? STR("?") : account;
}

static void expect(const char *text, const char *account)
{
    struct str found = owner(text);

    cr_assert(str_eq(found, str_of(account)), "%s: '%" STR_FMT "'", text, STR_ARG(found));
}

Test(pod_table, an_address_is_its_pods)
{
    expect("10.0.0.1", "");
    cr_assert(add("10.0.0.1", web));
    cr_assert(add("fd00::1", batch));
    expect("10.0.0.1", "web/frontend");
    expect("fd00::1", "batch/job");
    expect("fd00:0:0::1", "batch/job");
    expect("10.0.0.2", "");
    cr_assert_eq(pod_table_len(table), 2);
    take("10.0.0.1", web);
    expect("10.0.0.1", "");
    cr_assert_eq(pod_table_len(table), 1);
}

Test(pod_table, an_address_of_several_is_nobodys)
{
    cr_assert(add("10.0.0.1", web));
    cr_assert_not(add("10.0.0.1", batch));
    expect("10.0.0.1", "?");
    cr_assert_not(add("10.0.0.1", web), "two of one account are several");
    cr_assert_eq(pod_table_clashes(table), 2);
    take("10.0.0.1", batch);
    expect("10.0.0.1", "?");
    take("10.0.0.1", batch);
    take("10.0.0.1", web);
    expect("10.0.0.1", "web/frontend");
    cr_assert_eq(pod_table_clashes(table), 0);
    cr_assert_eq(pod_table_len(table), 1);
}

Test(pod_table, addresses_that_are_no_pods_own_are_none)
{
    static const char *const texts[] = {
        "",           "10.0.0",      "10.0.0.1 ", "10.0.0.256",  "host",      "0.0.0.0",
        "0.1.2.3",    "127.0.0.1",   "127.9.9.9", "169.254.1.1", "224.0.0.1", "255.255.255.255",
        "::",         "::1",         "fe80::1",   "febf::1",     "ff02::1",   "::ffff:10.0.0.1",
        "fd00::1%lo", "10.0.0.1/32", "010.0.0.1"};
    struct pod_address out;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        cr_assert_not(pod_address_parse(str_of(texts[i]), &out), "%s", texts[i]);
    cr_assert_not(pod_address_parse(STR("10.0.0.1\0"), &out));
    cr_assert(pod_address_parse(STR("169.253.1.1"), &out));
    cr_assert(pod_address_parse(STR("fec0::1"), &out));
}

Test(pod_table, an_ipv4_address_is_one_in_both_forms)
{
    static const unsigned char four[] = {10, 0, 0, 1};
    static const unsigned char six[16] = {[10] = 0xFF, [11] = 0xFF, 10, 0, 0, 1};
    struct pod_address a = pod_address_of(FAMILY_IPV4, four), b = pod_address_of(FAMILY_IPV6, six);
    struct pod_address parsed = address("10.0.0.1");

    cr_assert_arr_eq(a.bytes, b.bytes, sizeof(a.bytes));
    cr_assert_arr_eq(a.bytes, parsed.bytes, sizeof(a.bytes));
}

Test(pod_table, a_version_stays_as_it_is)
{
    const struct pod_table *before;
    struct pod_address at = address("10.0.0.1");
    struct str account;

    cr_assert(add("10.0.0.1", web));
    before = pod_table_ref(table);
    take("10.0.0.1", web);
    cr_assert(add("10.0.0.1", batch));
    cr_assert_eq(pod_table_find(before, &at, &account), POD_OWNER_ONE);
    cr_assert(str_eq(account, STR("web/frontend")));
    pod_table_unref(before);
}

struct seen {
    struct buf text;
    size_t len;
};

static void on_differing(void *ctx, const struct pod_address *address_seen)
{
    struct seen *seen = ctx;

    buf_printf(&seen->text, "%s%u", seen->len++ ? "," : "", (unsigned)address_seen->bytes[15]);
}

/* The last numbers of the addresses that differ; each once. */
static void expect_diff(const struct pod_table *before, const char *wanted)
{
    struct seen seen = {.text = BUFFER_INIT(4096)};

    pod_table_diff(before, table, on_differing, &seen);
    cr_assert_str_eq(buf_cstr(&seen.text), wanted);
    buf_done(&seen.text);
}

Test(pod_table, tells_who_is_another_one)
{
    static const struct {
        const char *what, *diff;
        struct blob **add, **take;
    } steps[] = {
        {"it comes", "1", &web, NULL},
        {"a second one has it", "1", &batch, NULL},
        {"a third", "", &web, NULL},
        {"one goes", "", NULL, &web},
        {"one is left", "1", NULL, &web},
        {"it goes", "1", NULL, &batch},
        {"nobody had it, nobody has", "", NULL, &batch},
    };

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        const struct pod_table *before = pod_table_ref(table);

        if (steps[i].add)
            (void)!add("10.0.0.1", *steps[i].add);
        if (steps[i].take)
            take("10.0.0.1", *steps[i].take);
        expect_diff(before, steps[i].diff);
        pod_table_unref(before);
    }
}

Test(pod_table, from_one_pod_to_another_is_no_news_if_it_is_the_same_account)
{
    struct blob *again = blob_copy("web/frontend", 12);
    struct pod_address at = address("10.0.0.1");
    const struct pod_table *before;
    struct pod_edit *edit;

    cr_assert(add("10.0.0.1", web));
    before = pod_table_ref(table);
    edit = pod_edit_new(table);
    pod_edit_remove(edit, &at, web);
    cr_assert(pod_edit_add(edit, &at, again));
    finish(edit);
    expect_diff(before, "");
    pod_table_unref(before);
    take("10.0.0.1", again);
    blob_unref(again);
}

/* Against a plain array, by all that can happen. */
Test(pod_table, agrees_with_a_naive_one)
{
    enum { ADDRESSES = 300, STEPS = 20000 };
    struct blob *accounts[2];
    uint8_t pods[ADDRESSES][2] = {{0}};
    uint64_t random = 7;
    struct pod_edit *edit = pod_edit_new(table);

    accounts[0] = web;
    accounts[1] = batch;
    for (size_t step = 0; step < STEPS; step++) {
        size_t at, who;
        struct pod_address where = {{0xFD}};

        random = random * 6364136223846793005u + 1442695040888963407u;
        at = (random >> 33) % ADDRESSES;
        who = (random >> 60) & 1;
        where.bytes[14] = (unsigned char)(at >> 8);
        where.bytes[15] = (unsigned char)at;
        if ((random >> 61) & 1 && pods[at][who] > 0) {
            pod_edit_remove(edit, &where, accounts[who]);
            pods[at][who]--;
        } else if (pods[at][who] < 3) {
            cr_assert_eq(pod_edit_add(edit, &where, accounts[who]), pods[at][0] + pods[at][1] == 0);
            pods[at][who]++;
        }
        if (step % 97 == 0) {
            finish(edit);
            edit = pod_edit_new(table);
        }
    }
    finish(edit);
    for (size_t at = 0; at < ADDRESSES; at++) {
        struct pod_address where = {{0xFD}};
        unsigned all = pods[at][0] + pods[at][1];
        struct str account;

        where.bytes[14] = (unsigned char)(at >> 8);
        where.bytes[15] = (unsigned char)at;
        cr_assert_eq(pod_table_find(table, &where, &account), all == 0   ? POD_OWNER_NONE
                                                              : all == 1 ? POD_OWNER_ONE
                                                                         : POD_OWNER_SEVERAL);
        if (all == 1)
            cr_assert(str_eq(account, blob_str(accounts[pods[at][1]])));
    }
}
