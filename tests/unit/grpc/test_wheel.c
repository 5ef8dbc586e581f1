#include <criterion/criterion.h>

#include "grpc/wheel.h"

struct alarm {
    struct wheel_entry entry;
    struct wheel *wheel;
    unsigned fired;
    uint64_t again_us;
};

static void on_alarm(struct wheel_entry *entry)
{
    struct alarm *alarm = container_of(entry, struct alarm, entry);

    alarm->fired++;
    if (alarm->again_us)
        (void)wheel_set(alarm->wheel, entry, alarm->again_us);
}

static void alarm_init(struct alarm *alarm, struct wheel *wheel)
{
    *alarm = (struct alarm){.wheel = wheel};
    wheel_entry_init(&alarm->entry, on_alarm);
}

Test(wheel, what_must_not_be_late_is_not_however_far)
{
    static struct wheel wheel;
    struct alarm alarm;

    wheel_init(&wheel, 0);
    alarm_init(&alarm, &wheel);
    cr_assert_leq(wheel_set(&wheel, &alarm.entry, 5100000), 5100000 + WHEEL_TICK_US);
    cr_assert_leq(wheel_set(&wheel, &alarm.entry, 65100000), 65100000 + WHEEL_TICK_US);
}

Test(wheel, fires_never_early_and_at_most_a_tick_late)
{
    static const uint64_t delays[] = {0,       1,       19999,    20000,    20001,
                                      555555, 5000000, 5000001, 20479999, 61000000};
    static struct wheel wheel;

    for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
        uint64_t start = 123456789;
        uint64_t due = start + delays[i];
        uint64_t late = delays[i] > WHEEL_FAR_US ? WHEEL_FAR_TICK_US : WHEEL_TICK_US;
        struct alarm alarm;

        wheel_init(&wheel, start);
        alarm_init(&alarm, &wheel);
        cr_assert_leq(wheel_set_about(&wheel, &alarm.entry, due, start), due + late);
        for (uint64_t now = start; now < due; now += WHEEL_TICK_US) {
            wheel_advance(&wheel, now);
            cr_assert_eq(alarm.fired, 0, "%zu fired early", i);
        }
        wheel_advance(&wheel, due + late + WHEEL_TICK_US);
        cr_assert_eq(alarm.fired, 1, "%zu fired %u times", i, alarm.fired);
        cr_assert_eq(wheel.entries, 0);
    }
}

/* Advancing only when it says so. */
Test(wheel, who_sleeps_until_the_next_misses_nothing)
{
    static struct wheel wheel;
    static struct alarm alarms[500];
    const uint64_t start = 987654321;
    unsigned wakes = 0;

    cr_assert_eq((wheel_init(&wheel, start), wheel_next_us(&wheel)), UINT64_MAX);
    for (size_t i = 0; i < ARRAY_LEN(alarms); i++) {
        alarm_init(&alarms[i], &wheel);
        (void)wheel_set_about(&wheel, &alarms[i].entry, start + 60000000 + i * 7777, start);
    }
    while (wheel.entries > 0) {
        uint64_t now = wheel_next_us(&wheel);

        wheel_advance(&wheel, now);
        wakes++;
        for (size_t i = 0; i < ARRAY_LEN(alarms); i++) {
            uint64_t due = start + 60000000 + i * 7777;

            cr_assert(!alarms[i].fired || now >= due, "%zu early", i);
            cr_assert(alarms[i].fired || now < due + WHEEL_FAR_TICK_US, "%zu late", i);
        }
    }
    cr_assert_leq(wakes, 25, "%u wakes for 500 timeouts within 4 s, a minute away", wakes);
}

Test(wheel, a_long_sleep_fires_everything_that_is_due)
{
    static struct wheel wheel;
    static struct alarm alarms[100];

    wheel_init(&wheel, 0);
    for (size_t i = 0; i < ARRAY_LEN(alarms); i++) {
        alarm_init(&alarms[i], &wheel);
        (void)wheel_set(&wheel, &alarms[i].entry, i * 1000000);
    }
    wheel_advance(&wheel, 50500000);
    for (size_t i = 0; i < ARRAY_LEN(alarms); i++)
        cr_assert_eq(alarms[i].fired, i <= 50, "%zu", i);
    cr_assert_eq(wheel.entries, 49);
}

Test(wheel, moves_and_removes_entries)
{
    static struct wheel wheel;
    struct alarm moved, removed;

    wheel_init(&wheel, 0);
    alarm_init(&moved, &wheel);
    alarm_init(&removed, &wheel);
    (void)wheel_set(&wheel, &moved.entry, 100000);
    (void)wheel_set(&wheel, &moved.entry, 900000);
    (void)wheel_set(&wheel, &removed.entry, 100000);
    wheel_remove(&wheel, &removed.entry);
    wheel_remove(&wheel, &removed.entry);
    cr_assert_eq(wheel.entries, 1);
    wheel_advance(&wheel, 500000);
    cr_assert_eq(moved.fired, 0);
    wheel_advance(&wheel, 1000000);
    cr_assert_eq(moved.fired, 1);
    cr_assert_eq(removed.fired, 0);
}

Test(wheel, an_entry_may_come_back_at_once_without_spinning)
{
    static struct wheel wheel;
    struct alarm alarm;

    wheel_init(&wheel, 1000000);
    alarm_init(&alarm, &wheel);
    alarm.again_us = 1; /* long past: the next tick */
    (void)wheel_set(&wheel, &alarm.entry, 1000000);
    wheel_advance(&wheel, 1000000 + WHEEL_TICK_US);
    cr_assert_eq(alarm.fired, 1);
    wheel_advance(&wheel, 1000000 + 2 * WHEEL_TICK_US);
    cr_assert_eq(alarm.fired, 2);
}
