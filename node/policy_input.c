/* A decision input from JSON: total, whatever the members hold. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/policy_json.h"

/* ---- arena ------------------------------------------------------------------ */

struct policy_arena_block {
    struct policy_arena_block *next;
    max_align_t data[];
};

static void *
take(struct policy_arena *arena, size_t count, size_t size)
{
    if (count > JSON_BYTES_MAX) {
        return NULL;
    }
    struct policy_arena_block *block = calloc(1, sizeof *block + (count + 1) * size);
    if (block == NULL) {
        return NULL;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    return block->data;
}

void
policy_arena_free(struct policy_arena *arena)
{
    while (arena->blocks != NULL) {
        struct policy_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
}

/* ---- single members --------------------------------------------------------- */

static struct hr_text
text_of(const json_t *value)
{
    if (!json_is_string(value)) {
        return (struct hr_text){NULL, 0};
    }
    return (struct hr_text){json_string_value(value), json_string_length(value)};
}

static struct hr_text
text_at(const json_t *object, const char *key)
{
    return text_of(json_object_get(object, key));
}

static enum hr_value
truth_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_true(value) ? HR_TRUE : json_is_false(value) ? HR_FALSE : HR_UNKNOWN;
}

/* A whole number; a real without a fraction is one too. */
static bool
number_of(const json_t *value, int64_t *out)
{
    const double limit = 9007199254740992.0; /* 2^53 */
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return true;
    }
    double real = json_is_real(value) ? json_real_value(value) : 0.5;
    if (!(real >= -limit && real <= limit) || real - (double)(int64_t)real != 0.0) {
        return false;
    }
    *out = (int64_t)real;
    return true;
}

/* Index of the member's text among the names (NULL: not to be written), 0 else. */
static int
choice_at(const json_t *object, const char *key, const char *const *names, int count)
{
    struct hr_text text = text_at(object, key);
    for (int i = 1; text.bytes != NULL && i < count; i++) {
        if (names[i] != NULL && strlen(names[i]) == text.size &&
            memcmp(names[i], text.bytes, text.size) == 0) {
            return i;
        }
    }
    return 0;
}

static const char *const level_names[] = {NULL, "tertiary", "secondary", "primary", "none"};
static const char *const grade_names[] = {NULL, "A", "B", "C", "none"};
static const char *const ownership_names[] = {NULL, "public", "private"};
static const char *const alliance_names[] = {"other", "city_group", "county_group"};
static const char *const listing_names[] = {NULL, "listed", "exited", "suspended",
                                            "rectifying"};
static const char *const status_names[] = {NULL, "final", "corrected", "preliminary",
                                           "cancelled"};
static const char *const side_names[] = {NULL, "left", "right", "both"};
static const char *const organiser_names[] = {NULL, "national", "provincial"};
static const char *const encounter_names[] = {NULL, "outpatient", "inpatient", "emergency"};
static const char *const title_names[] = {NULL, "junior", "intermediate", "associate", "chief"};

/* ---- institutions ----------------------------------------------------------- */

/* An alliance whose id cannot be read could be any: then none is known. */
static bool
read_alliances(const json_t *array, struct policy_arena *arena, struct hr_institution *out)
{
    if (!json_is_array(array)) {
        return true;
    }
    struct hr_alliance *all = take(arena, json_array_size(array), sizeof *all);
    if (all == NULL) {
        return false;
    }
    out->alliances_known = true;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *one = json_array_get(array, i);
        all[i].id = text_at(one, "id");
        all[i].kind = (enum hr_alliance_kind)choice_at(one, "kind", alliance_names, 3);
        out->alliances_known = out->alliances_known && all[i].id.bytes != NULL;
    }
    out->alliances = all;
    out->alliance_count = out->alliances_known ? json_array_size(array) : 0;
    return true;
}

/* A bound of a period: null or absent is open; false when it is no date. */
static bool
read_bound(const json_t *period, const char *key, struct hr_date *out)
{
    const json_t *value = json_object_get(period, key);
    *out = hr_date_parse(text_of(value));
    return out->known || value == NULL || json_is_null(value);
}

/* A period whose dates cannot be read could hold any day: then the listing is
 * unknown. */
static bool
read_listing(const json_t *array, struct policy_arena *arena, struct hr_institution *out)
{
    if (!json_is_array(array)) {
        return true;
    }
    struct hr_period *all = take(arena, json_array_size(array), sizeof *all);
    if (all == NULL) {
        return false;
    }
    out->listing_known = true;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *one = json_array_get(array, i);
        all[i].status = (enum hr_listing_status)choice_at(one, "status", listing_names, 5);
        bool readable = json_is_object(one) && read_bound(one, "from", &all[i].from) &&
                        read_bound(one, "to", &all[i].to);
        out->listing_known = out->listing_known && readable;
    }
    out->periods = all;
    out->period_count = out->listing_known ? json_array_size(array) : 0;
    return true;
}

static bool
read_institution(const json_t *object, struct policy_arena *arena, struct hr_institution *out)
{
    out->territory = text_at(object, "territory");
    out->level = (enum hr_level)choice_at(object, "level", level_names, 5);
    out->grade = (enum hr_grade)choice_at(object, "grade", grade_names, 5);
    out->ownership = (enum hr_ownership)choice_at(object, "ownership", ownership_names, 3);
    out->assessed = truth_at(object, "assessed");
    return read_alliances(json_object_get(object, "alliances"), arena, out) &&
           read_listing(json_object_get(object, "listing"), arena, out);
}

/* ---- result ------------------------------------------------------------------ */

static bool
read_marks(const json_t *array, struct policy_arena *arena, struct hr_policy_input *out)
{
    if (!json_is_array(array)) {
        return true;
    }
    struct hr_text *all = take(arena, json_array_size(array), sizeof *all);
    if (all == NULL) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        all[i] = text_of(json_array_get(array, i));
    }
    out->result.marks_known = true;
    out->result.marks = all;
    out->result.mark_count = json_array_size(array);
    return true;
}

static bool
read_result(const json_t *object, struct policy_arena *arena, struct hr_policy_input *out)
{
    out->result.examined_at = hr_time_parse(text_at(object, "examined_at"));
    out->result.status = (enum hr_result_status)choice_at(object, "status", status_names, 5);
    out->result.mark_note = truth_at(object, "mark_note");
    out->result.images = truth_at(object, "images");
    out->result.method = truth_at(object, "method");
    out->result.reference_interval = truth_at(object, "reference_interval");
    out->result.reviewed = truth_at(object, "reviewed");
    out->result.protocol_complete = truth_at(object, "protocol_complete");
    out->result.critical = truth_at(object, "critical");
    out->result.in_doubt = truth_at(object, "in_doubt");
    out->result.detector_rows_known =
        number_of(json_object_get(object, "detector_rows"), &out->result.detector_rows);
    out->result.side = (enum hr_side)choice_at(object, "side", side_names, 4);
    out->result.body_site = text_at(object, "body_site");
    return read_marks(json_object_get(object, "marks"), arena, out);
}

/* ---- quality ----------------------------------------------------------------- */

/* A round without a readable date or outcome could be the one that decides:
 * then no round is known. */
static bool
read_rounds(const json_t *array, struct policy_arena *arena, struct hr_policy_input *out)
{
    if (!json_is_array(array)) {
        return true;
    }
    struct hr_round *all = take(arena, json_array_size(array), sizeof *all);
    if (all == NULL) {
        return false;
    }
    bool known = true;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *one = json_array_get(array, i);
        enum hr_value passed = truth_at(one, "passed");
        all[i].organiser = (enum hr_organiser)choice_at(one, "organiser", organiser_names, 3);
        all[i].date = hr_date_parse(text_at(one, "date"));
        all[i].passed = passed == HR_TRUE;
        known = known && all[i].date.known && passed != HR_UNKNOWN;
    }
    out->quality.rounds_known = known;
    out->quality.rounds = all;
    out->quality.round_count = known ? json_array_size(array) : 0;
    return true;
}

/* "2025H1" as year * 2, "2025H2" one more. */
static bool
half_of(struct hr_text label, int32_t *half)
{
    if (label.size != 6 || label.bytes[4] != 'H' ||
        (label.bytes[5] != '1' && label.bytes[5] != '2')) {
        return false;
    }
    int32_t year = 0;
    for (size_t i = 0; i < 4; i++) {
        if (label.bytes[i] < '0' || label.bytes[i] > '9') {
            return false;
        }
        year = year * 10 + (label.bytes[i] - '0');
    }
    *half = year * 2 + (label.bytes[5] - '1');
    return true;
}

static bool
read_halves(const json_t *array, struct policy_arena *arena, struct hr_policy_input *out)
{
    if (!json_is_array(array)) {
        return true;
    }
    struct hr_half *all = take(arena, json_array_size(array), sizeof *all);
    if (all == NULL) {
        return false;
    }
    bool known = true;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *one = json_array_get(array, i);
        enum hr_value passed = truth_at(one, "passed");
        bool readable = half_of(text_at(one, "half"), &all[i].half);
        all[i].passed = passed == HR_TRUE;
        known = known && readable && passed != HR_UNKNOWN;
    }
    out->quality.halves_known = known;
    out->quality.halves = all;
    out->quality.half_count = known ? json_array_size(array) : 0;
    return true;
}

static bool
read_quality(const json_t *object, struct policy_arena *arena, struct hr_policy_input *out)
{
    if (!json_is_object(object)) {
        return true;
    }
    out->quality.known = true;
    const json_t *failed = json_object_get(object, "inspection_failed_year");
    if (failed == NULL || json_is_null(failed)) {
        out->quality.inspection_failed = HR_FALSE; /* none */
    } else if (number_of(failed, &out->quality.inspection_failed_year)) {
        out->quality.inspection_failed = HR_TRUE;
    }
    return read_rounds(json_object_get(object, "rounds"), arena, out) &&
           read_halves(json_object_get(object, "institution"), arena, out);
}

/* ---- annex, order, doctor ----------------------------------------------------- */

static void
read_annex(const json_t *object, struct hr_policy_input *out)
{
    if (!json_is_object(object)) {
        return;
    }
    const json_t *limit = json_object_get(object, "limit_days");
    out->annex.known = true;
    out->annex.listed = truth_at(object, "listed");
    if (limit == NULL || json_is_null(limit)) {
        out->annex.limited = HR_FALSE;
    } else if (number_of(limit, &out->annex.limit_days)) {
        out->annex.limited = HR_TRUE;
    }
}

static void
read_order(const json_t *object, struct hr_policy_input *out)
{
    const json_t *side = json_object_get(object, "side");
    const json_t *site = json_object_get(object, "body_site");
    bool side_asked = side != NULL && !json_is_null(side);
    out->order.side = (enum hr_side)choice_at(object, "side", side_names, 4);
    if (side_asked && out->order.side == HR_SIDE_NONE) {
        out->order.side = HR_SIDE_UNREADABLE;
    }
    out->order.site_asked = site != NULL && !json_is_null(site);
    out->order.body_site = text_of(site);
}

static bool
read_doctor(const json_t *object, struct policy_arena *arena, struct hr_policy_input *out)
{
    const json_t *array = json_object_get(object, "circumstances");
    out->doctor.title = (enum hr_title)choice_at(object, "title", title_names, 5);
    out->doctor.needs_department = truth_at(object, "needs_department") == HR_TRUE;
    if (!json_is_array(array)) {
        return true;
    }
    struct hr_circumstance *all = take(arena, json_array_size(array), sizeof *all);
    if (all == NULL) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *one = json_array_get(array, i);
        all[i].code = text_at(one, "code");
        all[i].note = text_at(one, "note");
    }
    out->doctor.circumstances = all;
    out->doctor.circumstance_count = json_array_size(array);
    return true;
}

enum status
policy_input_from_json(const json_t *json, struct policy_arena *arena,
                       struct hr_policy_input *out)
{
    memset(out, 0, sizeof *out);
    if (!json_is_object(json)) {
        return STATUS_MALFORMED;
    }
    out->at = hr_time_parse(text_at(json, "at"));
    out->in_force_from = hr_date_parse(text_at(json, "in_force_from"));
    out->item = text_at(json, "item");
    out->encounter =
        (enum hr_encounter)choice_at(json, "encounter", encounter_names, HR_EMERGENCY + 1);
    read_annex(json_object_get(json, "annex"), out);
    read_order(json_object_get(json, "order"), out);
    bool ok = read_institution(json_object_get(json, "issuer"), arena, &out->issuer) &&
              read_institution(json_object_get(json, "receiver"), arena, &out->receiver) &&
              read_result(json_object_get(json, "result"), arena, out) &&
              read_quality(json_object_get(json, "quality"), arena, out) &&
              read_doctor(json_object_get(json, "doctor"), arena, out);
    return ok ? STATUS_OK : STATUS_NO_MEMORY;
}
