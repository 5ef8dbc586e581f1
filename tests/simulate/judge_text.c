#include "judge_internal.h"
#include "object_json.h"

#define COMPLAINT_MAX 6000

static void describe_answer(const struct answer *answer, struct buf *out)
{
    (void)buf_add_char(out, '[');
    for (size_t i = 0; i < answer->len; i++) {
        const struct entry *entry = &answer->items[i];

        (void)buf_printf(out, "%s%s:%u%s%s%s", i ? " " : "", entry->address, entry->port,
                         *entry->other ? "+" : "", entry->other,
                         entry->draining ? " draining" : "");
    }
    (void)buf_add_char(out, ']');
}

static void describe_state(unsigned slot, size_t index, struct buf *out)
{
    const struct api_object *object = known_object(slot, index);
    double seconds =
        (double)(known_us(slot_resource(slot), index) - sim.start_us) / 1e6;
    char text[600];

    if (object)
        object_describe(object, text, sizeof(text));
    else
        slot_name(slot, text);
    if (object || index > 0)
        (void)buf_printf(out, "\n    %10.6f  %s%s", index > 0 ? seconds : 0.0, text,
                         object ? "" : ": nothing");
}

/* Every version of the slot in those states. */
static void describe_slot(unsigned slot, size_t low, size_t high, struct buf *out)
{
    while (low > 0 && known_object(slot, low) == known_object(slot, low - 1))
        low--;
    describe_state(slot, low, out);
    for (size_t i = low + 1; i <= high; i++) {
        if (known_object(slot, i) != known_object(slot, i - 1))
            describe_state(slot, i, out);
    }
}

void judge_complain(const char *what, const struct query *query, const struct answer *answer,
                    struct states low, struct states high, const char *who)
{
    struct buf text = BUFFER_INIT(COMPLAINT_MAX);
    struct answer want;

    describe_answer(answer, &text);
    judge_oracle(query, high, &want);
    (void)buf_add_str(&text, STR("\n  the newest is "));
    describe_answer(&want, &text);
    (void)buf_add_str(&text, STR("\n  of what the controller knew, and since when:"));
    describe_slot(query->service, low.service, high.service, &text);
    for (unsigned i = 0; i < SLICES; i++)
        describe_slot(slice_slot(query->service, i), low.slices, high.slices, &text);
    sim_fail("%s: %s\n  the list is   %s", who, what, buf_cstr(&text));
    buf_done(&text);
}
