/* policy_inputs.h: decision inputs without end, from a seed, for digests and
 * totality.  Members have good, odd, hostile and missing values. */
#ifndef TESTS_POLICY_INPUTS_H
#define TESTS_POLICY_INPUTS_H

#include <stdint.h>
#include <string.h>

#include "policy/policy.h"

/* SplitMix64. */
static inline uint64_t
inputs_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint32_t
inputs_below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)(inputs_next(state) % limit);
}

enum { INPUT_LIST_MAX = 6 };

/* An input and the arrays that it points to. */
struct random_input {
    struct hr_policy_input input;
    struct hr_alliance alliances[2][INPUT_LIST_MAX];
    struct hr_period periods[2][INPUT_LIST_MAX];
    struct hr_text marks[INPUT_LIST_MAX];
    struct hr_round rounds[INPUT_LIST_MAX];
    struct hr_half halves[INPUT_LIST_MAX];
    struct hr_circumstance circumstances[INPUT_LIST_MAX];
};

static inline struct hr_text
inputs_text(uint64_t *state, const char *const *texts, uint32_t count)
{
    uint32_t i = inputs_below(state, count + 1);
    return i == count ? (struct hr_text){NULL, 0}
                      : (struct hr_text){texts[i], strlen(texts[i])};
}

/* Mostly days near each other, sometimes far off. */
static inline struct hr_date
inputs_date(uint64_t *state)
{
    int32_t day = 19800 + (int32_t)inputs_below(state, 400);
    switch (inputs_below(state, 16)) {
    case 0:
        return (struct hr_date){false, 0};
    case 1:
        return (struct hr_date){true, -719528 + (int32_t)inputs_below(state, 3652424)};
    case 2:
        return (struct hr_date){true, inputs_below(state, 2) ? INT32_MAX : INT32_MIN};
    default:
        return (struct hr_date){true, day};
    }
}

static inline struct hr_time
inputs_time(uint64_t *state)
{
    static const char *const fractions[] = {"", "0", "5", "50", "4999999999999999999999"};
    struct hr_date date = inputs_date(state);
    int64_t second = (int64_t)date.day * 86400 + inputs_below(state, 86400);
    if (inputs_below(state, 40) == 0) {
        second = inputs_below(state, 2) ? INT64_MAX : INT64_MIN;
    }
    return (struct hr_time){date.known, second, inputs_text(state, fractions, 5)};
}

static inline enum hr_value
inputs_value(uint64_t *state)
{
    static const enum hr_value values[] = {HR_UNKNOWN, HR_FALSE, HR_TRUE, HR_TRUE, HR_TRUE};
    return values[inputs_below(state, 5)];
}

static inline void
inputs_institution(uint64_t *state, struct random_input *out, int side)
{
    static const char *const territories[] = {"140105", "1401",   "14",     "420100", "510100",
                                              "500103", "430100", "110000", "",       "4"};
    static const char *const ids[] = {"a", "b", ""};
    struct hr_institution *who = side == 0 ? &out->input.issuer : &out->input.receiver;
    who->territory = inputs_text(state, territories, 10);
    who->level = (enum hr_level)inputs_below(state, 5);
    who->grade = inputs_below(state, 2) ? HR_GRADE_A : (enum hr_grade)inputs_below(state, 5);
    who->ownership =
        inputs_below(state, 2) ? HR_PUBLIC : (enum hr_ownership)inputs_below(state, 3);
    who->assessed = inputs_value(state);
    who->alliances_known = inputs_below(state, 4) != 0;
    who->alliance_count = inputs_below(state, INPUT_LIST_MAX);
    who->alliances = out->alliances[side];
    who->listing_known = inputs_below(state, 8) != 0;
    who->period_count = inputs_below(state, INPUT_LIST_MAX);
    who->periods = out->periods[side];
    for (size_t i = 0; i < INPUT_LIST_MAX; i++) {
        out->alliances[side][i].id = inputs_text(state, ids, 3);
        out->alliances[side][i].kind = (enum hr_alliance_kind)inputs_below(state, 3);
        out->periods[side][i].status =
            inputs_below(state, 2) ? HR_LISTED : (enum hr_listing_status)inputs_below(state, 5);
        out->periods[side][i].from = inputs_date(state);
        out->periods[side][i].to = inputs_date(state);
    }
}

static inline void
inputs_lists(uint64_t *state, struct random_input *out)
{
    static const char *const marks[] = {"*",
                                        "\xe9\x84\x82HR",
                                        "\xe2\x98\x85",
                                        "HR",
                                        "\xe5\xb9\xb6 HR",
                                        "\xe4\xba\x92\xe3\x80\x80\xe8\xae\xa4",
                                        "",
                                        "\xe5\xb7\x9d\xe6\xb8\x9dHR",
                                        "\xe3\x80"};
    static const char *const codes[] = {"NEG.EMERGENCY", "NEG.OTHER",
                                        "NEG.EXPIRED",   "CLINICAL",
                                        "SIGNED_NEED",   "NEG.IMAGE_INADEQUATE",
                                        "NEG.X",         ""};
    static const char *const notes[] = {"", " \t", "x", "\xe3\x80\x80"};
    struct hr_policy_input *in = &out->input;
    for (size_t i = 0; i < INPUT_LIST_MAX; i++) {
        struct hr_date date = inputs_date(state);
        out->marks[i] = inputs_text(state, marks, 9);
        out->rounds[i] = (struct hr_round){(enum hr_organiser)inputs_below(state, 3), date,
                                           inputs_below(state, 4) != 0};
        out->halves[i] = (struct hr_half){4048 + (int32_t)inputs_below(state, 6),
                                          inputs_below(state, 4) != 0};
        out->circumstances[i] = (struct hr_circumstance){inputs_text(state, codes, 8),
                                                         inputs_text(state, notes, 4)};
    }
    in->result.marks_known = inputs_below(state, 8) != 0;
    in->result.mark_count = inputs_below(state, INPUT_LIST_MAX);
    in->result.marks = out->marks;
    in->quality.known = inputs_below(state, 8) != 0;
    in->quality.rounds_known = inputs_below(state, 8) != 0;
    in->quality.round_count = inputs_below(state, INPUT_LIST_MAX);
    in->quality.rounds = out->rounds;
    in->quality.halves_known = inputs_below(state, 8) != 0;
    in->quality.half_count = inputs_below(state, INPUT_LIST_MAX);
    in->quality.halves = out->halves;
    in->quality.inspection_failed = inputs_value(state);
    in->quality.inspection_failed_year = 2022 + (int64_t)inputs_below(state, 5);
    in->doctor.title = (enum hr_title)inputs_below(state, 5);
    in->doctor.needs_department = inputs_below(state, 2) != 0;
    in->doctor.circumstance_count = inputs_below(state, INPUT_LIST_MAX);
    in->doctor.circumstances = out->circumstances;
}

/* Undo most of the oddness: the input of an ordinary case under `pack`. */
static inline void
inputs_calm(uint64_t *state, const struct hr_pack *pack, struct random_input *out)
{
    static const struct hr_text marks[] = {{"*", 1},
                                           {"\xe9\x84\x82HR", 5},
                                           {"\xe5\xb9\xb6HR", 5},
                                           {"\xe4\xba\x92\xe8\xae\xa4", 6},
                                           {"\xe5\xb7\x9d\xe6\xb8\x9dHR", 8}};
    struct hr_policy_input *in = &out->input;
    struct hr_institution *who[] = {&in->issuer, &in->receiver};
    int32_t day = 19900 + (int32_t)inputs_below(state, 300);
    for (int i = 0; i < 2; i++) {
        who[i]->territory = hr_pack_territory(pack, 0);
        who[i]->level = HR_TERTIARY;
        who[i]->grade = HR_GRADE_A;
        who[i]->ownership = HR_PUBLIC;
        who[i]->listing_known = true;
        who[i]->period_count = 1;
        out->periods[i][0] = (struct hr_period){HR_LISTED, {false, 0}, {false, 0}};
    }
    if (inputs_below(state, 4) == 0) {
        in->receiver.level = (enum hr_level)inputs_below(state, 5);
    }
    in->at = (struct hr_time){true, (int64_t)day * 86400, {NULL, 0}};
    in->result.examined_at = (struct hr_time){
        true, (int64_t)(day - (int32_t)inputs_below(state, 35)) * 86400, {NULL, 0}};
    in->in_force_from = (struct hr_date){inputs_below(state, 8) != 0, 19700};
    in->result.status = inputs_below(state, 8) ? HR_FINAL_RESULT : in->result.status;
    in->result.mark_note = HR_TRUE;
    if (inputs_below(state, 8) != 0) {
        in->result.marks_known = true;
        in->result.mark_count = 5;
        memcpy(out->marks, marks, sizeof marks);
    }
    in->quality.known = true;
    in->quality.rounds_known = true;
    in->quality.inspection_failed = inputs_below(state, 8) ? HR_FALSE : HR_TRUE;
    for (size_t i = 0; i < INPUT_LIST_MAX; i++) {
        out->rounds[i] = (struct hr_round){i % 2 ? HR_NATIONAL : HR_PROVINCIAL,
                                           {true, day - 120 * (int32_t)i + 10},
                                           inputs_below(state, 12) != 0};
    }
    in->quality.round_count = INPUT_LIST_MAX;
}

/* The next input: every other one ordinary, the rest odd in many ways. */
static inline void
inputs_make(uint64_t *state, const struct hr_pack *pack, const struct hr_catalog *catalog,
            struct random_input *out)
{
    static const char *const sites[] = {"knee", "hand", ""};
    struct hr_policy_input *in = &out->input;
    memset(out, 0, sizeof *out);
    in->at = inputs_time(state);
    in->in_force_from = inputs_date(state);
    uint32_t item = inputs_below(state, (uint32_t)hr_catalog_count(catalog) + 2);
    if (item < hr_catalog_count(catalog)) {
        in->item = hr_catalog_at(catalog, item)->code;
    } else if (item == hr_catalog_count(catalog)) {
        in->item = (struct hr_text){"LAB.NOT_THERE", 13};
    }
    inputs_institution(state, out, 0);
    inputs_institution(state, out, 1);
    inputs_lists(state, out);
    in->result.examined_at = inputs_time(state);
    in->result.status = (enum hr_result_status)inputs_below(state, 5);
    in->result.mark_note = inputs_value(state);
    in->result.images = inputs_value(state);
    in->result.method = inputs_value(state);
    in->result.reference_interval = inputs_value(state);
    in->result.reviewed = inputs_value(state);
    in->result.protocol_complete = inputs_value(state);
    in->result.critical = inputs_below(state, 2) ? HR_FALSE : inputs_value(state);
    in->result.in_doubt = inputs_below(state, 4) ? HR_UNKNOWN : inputs_value(state);
    in->result.detector_rows_known = inputs_below(state, 4) != 0;
    in->result.detector_rows = 62 + (int64_t)inputs_below(state, 4);
    in->result.side = (enum hr_side)inputs_below(state, 4);
    in->result.body_site = inputs_text(state, sites, 3);
    in->annex.known = inputs_below(state, 4) != 0;
    in->annex.listed = inputs_value(state);
    in->annex.limited = inputs_value(state);
    in->annex.limit_days = (int64_t)inputs_below(state, 100) - 5;
    in->order.side =
        inputs_below(state, 8) ? (enum hr_side)inputs_below(state, 4) : HR_SIDE_UNREADABLE;
    in->order.site_asked = inputs_below(state, 2) != 0;
    in->order.body_site = inputs_text(state, sites, 3);
    in->encounter = (enum hr_encounter)inputs_below(state, 4);
    if (inputs_below(state, 2) != 0) {
        inputs_calm(state, pack, out);
    }
}

#endif
