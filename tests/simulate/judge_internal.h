/* What the files of the judge share. */
#ifndef SIMULATE_JUDGE_INTERNAL_H
#define SIMULATE_JUDGE_INTERNAL_H

#include "judge.h"
#include "known.h"

/* ---- judge_state.c: what the oracle makes of a pair of known states ---- */

void judge_forget_answers(void);
/* Two lists with equal hashes are equal; `native` ones tell more. */
uint64_t judge_hash(const struct answer *answer, bool native);
uint64_t judge_expected(const struct query *query, struct states pair, bool native);
bool judge_is_empty(const struct query *query, struct states pair);
void judge_oracle(const struct query *query, struct states pair, struct answer *ret_answer);
bool judge_is_leaving(const struct query *query, struct states pair, const struct entry *entry);
bool judge_knows(const struct query *query, struct states pair, const struct entry *entry);
bool judge_names(const struct query *query, struct states pair);
/* Both at that time. */
struct states judge_pair_at(uint64_t us);
/* The one before in time: *ret_service tells which of the two went back. False: there is none. */
bool judge_step_back(struct states *pair, bool *ret_service) must_check;

/* Indexes of states, ascending, by which all different states of something are named. */
struct moments {
    size_t len;
    size_t items[512];
};

void judge_service_moments(struct moments *moments, unsigned service, size_t low, size_t high);
void judge_slices_moments(struct moments *moments, unsigned service, size_t low, size_t high);

/* ---- judge_hold.c: what holds forbid ---- */

enum { EPISODES_MAX = 256 };

/* When the controller said that it kept that Service's list. */
struct hold_history {
    struct hold_episode {
        uint64_t from_us, until_us; /* SIM_NEVER: it still does */
    } episodes[EPISODES_MAX];
    size_t len;
    uint64_t releases_us[EPISODES_MAX];
    size_t releases_len;
};

/* A hold was in force then. */
bool judge_was_held(const struct hold_history *holds, uint64_t from_us, uint64_t until_us);

/* A catalog went out from that time to before that one, or so long ago that it is not known any more. */
bool judge_was_published(uint64_t from_us, uint64_t until_us);

/* A list that follows from `pair` may take the place of the account's last at that time. */
bool judge_may_replace(const struct account *account, const struct query *query,
                       const struct answer *answer, uint64_t us, struct states pair,
                       const struct hold_history *holds);

#define EARLY_US 1000 /* what takes place within a turn has one time */

/* What a client of unknown place gets of the whole port; an ExternalName's host aside. */
struct query judge_whole_of(const struct query *query);
bool judge_was_released(const struct hold_history *holds, uint64_t from_us);

enum { STATES_MAX = 512 };

/* The states on the way to `pair`, newest first. False: the Service itself changed on it. */
bool judge_way_back(unsigned service, struct states from, struct states pair,
                    struct states states[STATES_MAX], size_t *ret_len);

/* ---- judge_protect.c ---- */

/* The part of it that is about protection. */
bool judge_may_have_dropped(const struct account *account, const struct query *query, uint64_t us,
                            struct states pair, const struct hold_history *holds);

/* Times: what was out when protection began stood at base_us or later, what counts now at due_us or later, nothing is from after at_us. */
struct protected_search {
    uint64_t base_us, due_us, at_us;
    const struct account *account; /* what counts is above its floors; NULL: no matter */
};

/* The list is that of a hold, protection: *ret_base is the state that was out when it began. */
bool judge_is_protected(const struct protected_search *search, const struct query *query,
                        const struct answer *answer, const struct hold_history *holds,
                        struct states *ret_base);
bool judge_is_above(struct states pair, const struct account *account);

/* ---- judge_near.c: priorities ---- */

/* Of lists with the same backends. */
bool judge_near_fits(const struct query *query, const struct answer *got, const struct answer *want);
void judge_near(struct near_account *near, const struct query *query, const struct answer *got, const struct answer *want, uint64_t us,
                const char *who);
void judge_near_final(const struct query *query, const struct answer *got, const struct answer *want, const char *who);

/* ---- judge_text.c ---- */

void judge_complain(const char *what, const struct query *query, const struct answer *answer,
                    struct states low, struct states high, const char *who);

#endif
