/*
 * One publisher makes version after version of a table of pods, whose addresses go round; readers take them out of one-slot mailboxes,
 * compare and look addresses up: each has one owner in every version, and memory goes when, and only when, the last reference does.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "model/pod_table.h"

#define READERS 3
#define VERSIONS 4000
#define ADDRESSES 500
#define ACCOUNTS 7

struct reader {
    pthread_t thread;
    _Atomic(const struct pod_table *) slot;
    const struct pod_table *current;
    size_t seen, diffs;
};

static struct reader readers[READERS];
static atomic_bool done;
static atomic_bool failed;

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "race-pods: %s\n", what);
    atomic_store(&failed, true);
}

static struct pod_address address_of(size_t index)
{
    struct pod_address address = {{0xFD}};

    address.bytes[14] = (unsigned char)(index >> 8);
    address.bytes[15] = (unsigned char)index;
    return address;
}

/* ---- the publisher: each account is a new text from time to time, as when its last pod went ---- */

static struct blob *accounts[ACCOUNTS];
static struct blob *owners[ADDRESSES];

static struct blob *account_new(size_t index)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "shop/account-%zu", index);

    return blob_copy(text, (size_t)len);
}

static const struct pod_table *next_version(const struct pod_table *base, size_t version)
{
    struct pod_edit *edit = pod_edit_new(base);

    if (version % 10 == 0) {
        blob_unref(accounts[version % ACCOUNTS]);
        accounts[version % ACCOUNTS] = account_new(version % ACCOUNTS);
    }
    for (size_t i = 0; i < 5; i++) {
        size_t at = (version * 31 + i * 97) % ADDRESSES;
        struct pod_address address = address_of(at);

        if (owners[at])
            pod_edit_remove(edit, &address, owners[at]);
        blob_unref(owners[at]);
        owners[at] = blob_ref(accounts[(version + i) % ACCOUNTS]);
        check(pod_edit_add(edit, &address, owners[at]), "an address is not alone");
    }
    pod_table_unref(base);
    return pod_edit_finish(edit);
}

static void publish(const struct pod_table *table)
{
    for (size_t i = 0; i < READERS; i++)
        pod_table_unref(atomic_exchange(&readers[i].slot, pod_table_ref(table)));
}

/* ---- a reader ---- */

static void look_up(const struct reader *reader, const struct pod_address *address)
{
    struct str account;

    switch (pod_table_find(reader->current, address, &account)) {
    case POD_OWNER_ONE:
        check(str_starts_with(account, STR("shop/account-")), "an account is no text");
        break;
    case POD_OWNER_SEVERAL:
        check(false, "an address has two owners");
        break;
    case POD_OWNER_NONE:
        break;
    }
}

static void on_differing(void *ctx, const struct pod_address *address)
{
    struct reader *reader = ctx;

    reader->diffs++;
    look_up(reader, address); /* in the one from before */
}

static bool take(struct reader *reader)
{
    const struct pod_table *next = atomic_exchange(&reader->slot, NULL);

    if (!next)
        return false;
    if (reader->current)
        pod_table_diff(reader->current, next, on_differing, reader);
    pod_table_unref(reader->current);
    reader->current = next;
    reader->seen++;
    for (size_t i = 0; i < 16; i++) {
        struct pod_address address = address_of((reader->seen * 13 + i * 17) % ADDRESSES);

        look_up(reader, &address);
    }
    return true;
}

static void *read_all(void *ctx)
{
    struct reader *reader = ctx;
    bool last = false;

    for (;;) {
        if (take(reader))
            continue;
        if (last)
            break;
        last = atomic_load(&done); /* then the slot once more */
        sched_yield();
    }
    return NULL;
}

int main(void)
{
    const struct pod_table *table = pod_table_new_empty();
    size_t seen = 0, diffs = 0;

    for (size_t i = 0; i < ACCOUNTS; i++)
        accounts[i] = account_new(i);
    for (size_t i = 0; i < READERS; i++) {
        if (pthread_create(&readers[i].thread, NULL, read_all, &readers[i]) != 0)
            return 1;
    }
    for (size_t version = 1; version <= VERSIONS; version++) {
        table = next_version(table, version);
        publish(table);
    }
    atomic_store(&done, true);
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        check(readers[i].current == table, "a reader misses the newest version");
        pod_table_unref(readers[i].current);
        seen += readers[i].seen;
        diffs += readers[i].diffs;
    }
    check(pod_table_len(table) == ADDRESSES, "an address is missing");
    check(diffs > 0, "nothing differed");
    pod_table_unref(table);
    for (size_t i = 0; i < ADDRESSES; i++)
        blob_unref(owners[i]);
    for (size_t i = 0; i < ACCOUNTS; i++)
        blob_unref(accounts[i]);
    printf("race-pods: %zu versions seen by %d readers\n", seen, READERS);
    return atomic_load(&failed) ? 1 : 0;
}
