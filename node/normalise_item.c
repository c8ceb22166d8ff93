/* OBX -> item: fields put back where they belong, values by type, units, codes
 * (INTERFACES.md 1.5, 1.6, 1.10). */
#include <stdio.h>
#include <string.h>

#include "node/normalise_hl7.h"
#include "proto/civil.h"
#include "proto/text.h"

static struct view
nothing(struct view near)
{
    return (struct view){near.bytes, 0};
}

/* A single letter of table 0085 that can stand for a result, not a flag. */
static bool
is_status_letter(struct view v)
{
    return v.count == 1 && item_status((char)v.bytes[0]) != NULL;
}

static struct view
field(struct message *m, const struct hl7_segment *s, uint32_t n)
{
    struct view v = text_trim(hl7_field(&m->d, s, n));
    return hl7_is_null(v) ? nothing(v) : v;
}

/* Flags and status one field off, in either direction (INTERFACES.md 1.10). */
static void
put_back(struct message *m, const struct hl7_segment *obx, struct observation *o)
{
    struct view nine = field(m, obx, 9), ten = field(m, obx, 10), twelve = field(m, obx, 12);
    struct view nine_code = text_trim(hl7_component(&m->d, nine, 1));
    if (o->flags.count == 0 && is_flag(nine_code)) {
        o->flags = nine;
        o->flags_field = 9;
        run_warn(m->run, message_place(obx, 9), "holds the flag of OBX-8", text_view(""));
    } else if (o->flags.count == 0 && is_flag(ten) && !text_is(ten, "A") &&
               !text_is(ten, "N") && !text_is(ten, "B") && !text_is(ten, "S") &&
               !text_is(ten, "R")) {
        o->flags = ten;
        o->flags_field = 10;
        run_warn(m->run, message_place(obx, 10), "holds the flag of OBX-8", text_view(""));
    }
    if (o->status.count > 0) {
        return;
    }
    bool ten_free = o->flags_field != 10;
    if (ten_free && is_status_letter(ten) && (o->flags_field == 9 || text_is(ten, "F"))) {
        o->status = ten;
        run_warn(m->run, message_place(obx, 10), "holds the status of OBX-11", text_view(""));
    } else if (is_status_letter(twelve)) {
        o->status = twelve;
        run_warn(m->run, message_place(obx, 12), "holds the status of OBX-11", text_view(""));
    }
}

void
read_observation(struct message *m, const struct hl7_segment *obx, struct observation *o)
{
    const struct hl7_delimiters *d = &m->d;
    *o = (struct observation){.flags_field = 8};
    o->type = field(m, obx, 2);
    o->id = hl7_piece(field(m, obx, 3), d->repetition, 1);
    o->sub_id = field(m, obx, 4);
    o->value = hl7_field(d, obx, 5);
    o->unit = field(m, obx, 6);
    o->reference = field(m, obx, 7);
    o->flags = field(m, obx, 8);
    o->status = hl7_value(d, obx, 11, 1);
    o->time = hl7_value(d, obx, 14, 1);
    put_back(m, obx, o);
    struct view first = text_trim(hl7_component(d, o->id, 1));
    o->code = text_trim(hl7_piece(first, d->subcomponent, 1));
    o->suffix = text_trim(hl7_piece(first, d->subcomponent, 2));
    o->name = text_trim(hl7_component(d, o->id, 2));
    o->system = text_trim(hl7_component(d, o->id, 3));
    o->other_code = text_trim(hl7_component(d, o->id, 4));
    o->other_system = text_trim(hl7_component(d, o->id, 6));
    if (o->name.count == 0) {
        o->name = text_trim(hl7_component(d, o->id, 5));
    }
    if (o->name.count == 0) {
        o->name = text_trim(hl7_component(d, o->id, 9));
    }
    if (o->code.count == 0 && o->other_code.count > 0) {
        o->code = o->other_code;
        o->system = o->other_system;
    }
    uint32_t number;
    if (o->code.count == 0 && o->name.count == 0 && o->sub_id.count > 0 &&
        !text_to_u32(o->sub_id, &number)) {
        o->code = text_trim(hl7_component(d, o->sub_id, 1));
        o->name = text_trim(hl7_component(d, o->sub_id, 2));
        o->system = text_trim(hl7_component(d, o->sub_id, 3));
        o->sub_id = nothing(o->sub_id);
        run_warn(m->run, message_place(obx, 4), "holds the test code of OBX-3", text_view(""));
    }
}

/* ---- units ---- */

static bool
is_power_of_ten(struct view v)
{
    return text_is(v, "10") || text_is_nocase(v, "x10") || text_is(v, "×10") ||
           text_is(v, "*10") || text_is(v, "X 10") || text_is(v, "x 10") || text_is(v, "× 10");
}

char *
observation_unit(struct message *m, struct view unit)
{
    struct view rep = hl7_piece(unit, m->d.repetition, 1);
    struct view one = text_trim(hl7_component(&m->d, rep, 1));
    struct view two = text_trim(hl7_component(&m->d, rep, 2));
    struct view three = text_trim(hl7_component(&m->d, rep, 3));
    uint32_t number;
    if (is_power_of_ten(one) && two.count > 0 && two.bytes[0] >= '0' && two.bytes[0] <= '9') {
        /* 10^9/L that nobody escaped, put together again */
        char *power = message_text(m, one);
        return report_join(m->run->arena, power, "^", message_text(m, two));
    }
    if (is_placeholder(one) && two.count == 0) {
        return message_text(m, nothing(one));
    }
    bool is_code = text_has(one, ":") || text_to_u32(one, &number);
    bool is_ucum = text_is_nocase(three, "UCUM");
    if (two.count > 0 && !hl7_is_null(two) && (one.count == 0 || (is_code && !is_ucum))) {
        return message_text(m, two);
    }
    return message_text(m, one);
}

/* ---- codes ---- */

const struct codemap_item *
observation_item(struct message *m, const struct observation *o, struct view unit)
{
    struct run *r = m->run;
    const struct codemap_item *item =
        codemap_find(r->o->map, &r->sender, o->system, o->code, unit);
    if (item == NULL && o->other_code.count > 0) {
        item = codemap_find(r->o->map, &r->sender, o->other_system, o->other_code, unit);
    }
    if (item == NULL && o->code.count == 0 && o->name.count > 0) {
        item =
            codemap_find(r->o->map, &r->sender, o->system, name_without_claims(o->name), unit);
    }
    return item;
}

/* ---- values ---- */

static char *
coded(struct message *m, struct view rep)
{
    static const uint32_t places[] = {2, 5, 9, 1, 4};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct view v = text_trim(hl7_component(&m->d, rep, places[i]));
        if (v.count > 0 && !hl7_is_null(v)) {
            return message_text(m, v);
        }
    }
    return message_text(m, nothing(rep));
}

/* comparator ^ number ^ separator ^ number */
static char *
structured(struct message *m, struct view rep, bool *doubtful)
{
    struct report_arena *a = m->run->arena;
    struct view sign = text_trim(hl7_component(&m->d, rep, 1));
    struct view low = text_trim(hl7_component(&m->d, rep, 2));
    struct view between = text_trim(hl7_component(&m->d, rep, 3));
    struct view high = text_trim(hl7_component(&m->d, rep, 4));
    static const char *const signs[] = {"<", ">", "<=", ">=", "<>", "≤", "≥"};
    bool known = sign.count == 0 || text_is(sign, "=");
    if (known) {
        sign = nothing(sign);
    }
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        known = known || text_is(sign, signs[i]);
    }
    if (low.count == 0 && between.count == 0 && high.count == 0 && text_is_decimal(sign)) {
        return message_text(m, sign); /* a number alone, without its comparator */
    }
    *doubtful = *doubtful || !known || (low.count > 0 && !text_is_decimal(low)) ||
                (high.count > 0 && !text_is_decimal(high));
    char *text = message_text(m, known ? sign : nothing(sign));
    text = report_join(a, text, "", message_text(m, low));
    text = report_join(a, text, "", message_text(m, between));
    return report_join(a, text, "", message_text(m, high));
}

static char *
pair(struct message *m, struct view rep, const char *between)
{
    char *first = message_text(m, hl7_component(&m->d, rep, 1));
    return report_join(m->run->arena, first, between,
                       message_text(m, hl7_component(&m->d, rep, 2)));
}

/* Attachments are named, not carried: source ^ type ^ subtype ^ encoding ^ data. */
static char *
attachment(struct message *m, struct view rep)
{
    char line[200], type[60], subtype[60], encoding[40];
    struct view data = hl7_component(&m->d, rep, 5);
    text_show(hl7_component(&m->d, rep, 2), type, sizeof type);
    text_show(hl7_component(&m->d, rep, 3), subtype, sizeof subtype);
    text_show(hl7_component(&m->d, rep, 4), encoding, sizeof encoding);
    if (data.count > 0) { /* the data may hold the separator, unescaped */
        data.count = (size_t)(rep.bytes + rep.count - data.bytes);
    }
    if (type[0] == '\0' && subtype[0] == '\0' && data.count == 0) {
        return message_text(m, nothing(rep));
    }
    snprintf(line, sizeof line, "[attachment %s/%s %s, %zu characters]", type, subtype,
             encoding, data.count);
    return report_text(m->run->arena, text_view(line));
}

static bool
type_is(const struct observation *o, const char *const *types, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text_is_nocase(o->type, types[i])) {
            return true;
        }
    }
    return false;
}
#define TYPE_IS(o, ...)                                                                        \
    type_is(o, (const char *const[]){__VA_ARGS__},                                             \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static bool
is_clock(struct view v)
{
    for (size_t i = 0; i < v.count; i++) {
        if ((v.bytes[i] < '0' || v.bytes[i] > '9') && strchr("+-.:", v.bytes[i]) == NULL) {
            return false;
        }
    }
    return v.count >= 2;
}

/* A number written wide is a number. */
static char *
narrow_number(struct message *m, char *text)
{
    struct view v = text_view(text);
    if (v.count == 0 || text_is_decimal(v)) {
        return text;
    }
    size_t n = text_narrow(v, m->scratch); /* not longer than a leaf of the message */
    struct view narrow = text_trim((struct view){m->scratch, n});
    return text_is_decimal(narrow) ? report_text(m->run->arena, narrow) : text;
}

static bool
is_stars(const char *text)
{
    size_t n = strspn(text, "*.");
    return n >= 2 && text[n] == '\0' && strchr(text, '*') != NULL;
}

static char *
one_value(struct message *m, const struct observation *o, struct view rep, bool *doubtful)
{
    struct civil c;
    if (TYPE_IS(o, "CE", "CWE", "CNE", "CF")) {
        return coded(m, rep);
    }
    if (TYPE_IS(o, "SN")) {
        return structured(m, rep, doubtful);
    }
    if (TYPE_IS(o, "NR", "VR")) {
        return pair(m, rep, "-");
    }
    if (TYPE_IS(o, "DR")) {
        return pair(m, rep, "/");
    }
    if (TYPE_IS(o, "CX", "EI", "RP")) {
        return message_text(m, hl7_component(&m->d, rep, 1));
    }
    if (TYPE_IS(o, "ED")) {
        return attachment(m, rep);
    }
    if (TYPE_IS(o, "TS", "DTM", "DT")) {
        rep = TYPE_IS(o, "TS") ? hl7_component(&m->d, rep, 1) : rep;
        char *text = message_text(m, rep);
        *doubtful =
            *doubtful || (text[0] != '\0' && civil_parse(text_view(text), &c) != STATUS_OK);
        return text;
    }
    char *text = narrow_number(m, message_text(m, rep));
    if (TYPE_IS(o, "NM")) {
        *doubtful = *doubtful || (text[0] != '\0' && !text_is_decimal(text_view(text)));
    } else if (TYPE_IS(o, "TM")) {
        *doubtful = *doubtful || (text[0] != '\0' && !is_clock(text_view(text)));
    } else if (!TYPE_IS(o, "", "ST", "TX", "FT", "IS", "ID", "NA", "MA", "SI", "FN", "PN",
                        "XPN", "XCN", "XON", "XTN", "XAD", "AD", "TN", "CK", "CN", "CP", "MO",
                        "CQ")) {
        *doubtful = true; /* a type that the standard does not know: kept as text */
    }
    *doubtful = *doubtful || is_stars(text);
    return text;
}

char *
observation_value(struct message *m, const struct observation *o, const char *between,
                  bool *doubtful)
{
    struct view rest = o->value, rep;
    bool started = false, first = true;
    /* Text of an unknown type may hold the repetition sign as a letter. */
    char *text = message_text(m, nothing(rest));
    *doubtful = false;
    if (TYPE_IS(o, "ED")) {
        return attachment(m, rest);
    }
    while (hl7_next_piece(&rest, m->d.repetition, &started, &rep)) {
        char *one = one_value(m, o, rep, doubtful);
        text = first ? one : report_join(m->run->arena, text, between, one);
        first = false;
    }
    return text;
}

bool
observation_is_number(struct message *m, const struct observation *o)
{
    struct view v = text_trim(hl7_piece(o->value, m->d.repetition, 1));
    return TYPE_IS(o, "NM", "SN", "NR") || (v.count > 0 && text_is_decimal(v));
}

/* ---- the item ---- */

static void
add_flags(struct message *m, Hr__Item *item, struct view flags)
{
    struct view rest = flags, rep;
    bool started = false;
    while (flags.count > 0 && hl7_next_piece(&rest, m->d.repetition, &started, &rep)) {
        struct view one = text_trim(hl7_component(&m->d, rep, 1));
        if (one.count == 0 || hl7_is_null(one)) {
            one = text_trim(hl7_component(&m->d, rep, 2));
        }
        if (one.count == 0 || hl7_is_null(one) || text_is_nocase(one, "null")) {
            continue;
        }
        item->critical = item->critical || is_critical_flag(one);
        if (!report_add_flag(m->run->arena, item, message_text(m, one))) {
            break;
        }
    }
}

/* "35-150^35^150" is a text and its two limits; "10^9" is one text. */
static char *
reference(struct message *m, struct view field7)
{
    struct view one = text_trim(hl7_component(&m->d, field7, 1));
    struct view two = text_trim(hl7_component(&m->d, field7, 2));
    struct view three = text_trim(hl7_component(&m->d, field7, 3));
    if (is_placeholder(field7)) {
        return message_text(m, nothing(field7));
    }
    bool limits = two.count > 0 &&
                  (text_is_decimal(two) || text_is_decimal(three) ||
                   (two.count == one.count && memcmp(two.bytes, one.bytes, one.count) == 0));
    bool repeats = two.count > 0 && one.count > two.count;
    return message_text(
        m, one.count > 0 && limits && (repeats || two.count == one.count) ? one : field7);
}

static char words[][20] = {"final",      "preliminary", "corrected", "amended",
                           "registered", "cancelled",   "unknown",   "entered-in-error"};

static char *
shared_word(const char *word)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], word) == 0) {
            return words[i];
        }
    }
    return words[6];
}

/* What an order's status says of a result without one of its own. */
static char
letter_of_order(char order)
{
    switch (order) {
    case 'F':
    case 'C':
    case 'P':
    case 'R':
    case 'I':
    case 'O':
    case 'X':
        return order;
    case 'M':
        return 'C';
    case 'A':
    case 'S':
    case 'N':
        return 'P';
    default:
        return '\0';
    }
}

static void
set_item_status(struct message *m, struct draft *d, const struct hl7_segment *obx,
                const struct observation *o, Hr__Item *item)
{
    struct run *r = m->run;
    struct view sent = o->status;
    char letter = '\0';
    if (hl7_is_null(sent) || text_is(sent, "0")) { /* seen for "nothing said" */
        sent = nothing(sent);
    }
    const char *meaning = codemap_field(r->o->map, &r->sender, "OBX-11", o->status);
    const char *word = meaning != NULL ? item_status_word(text_view(meaning), &letter)
                                       : item_status_word(sent, &letter);
    if (word == NULL && sent.count == 0) {
        letter = letter_of_order(d->order_status);
        word = letter == '\0' ? NULL : item_status(letter);
    } else if (word == NULL) {
        run_warn(r, message_place(obx, 11), "an unknown status",
                 sent.count < 20 ? sent : nothing(sent));
    }
    item->status = shared_word(word == NULL ? "unknown" : word);
    d->unverified = d->unverified || letter == 'R';
    d->wrong_patient = d->wrong_patient || letter == 'W';
    d->unchanged = d->unchanged || letter == 'U';
}

void
add_result(struct message *m, struct draft *d, const struct hl7_segment *obx,
           const struct observation *o)
{
    struct run *r = m->run;
    bool doubtful = false;
    Hr__Item *item = report_add_item(r->arena, d->report);
    if (item == NULL) {
        run_warn(r, message_place(obx, 0), "more results than a report may carry; left out",
                 text_view(""));
        return;
    }
    item->local_code = message_text(m, o->code);
    item->local_system = message_text(m, o->system);
    item->name = message_text(m, o->name);
    item->value_type = message_text(m, o->type);
    item->value = observation_value(m, o, "~", &doubtful);
    item->doubtful = doubtful;
    item->unit = observation_unit(m, o->unit);
    item->reference = reference(m, o->reference);
    item->sub_id = message_text(m, o->sub_id);
    add_flags(m, item, o->flags);
    item->method = message_value(m, obx, 17, 2);
    if (item->method[0] == '\0') {
        item->method = message_value(m, obx, 17, 1);
    }
    item->device = message_value(m, obx, 18, 1);
    item->examined_at = time_text(r, message_place(obx, 14), o->time, m->offset_min);
    set_item_status(m, d, obx, o, item);
    const struct codemap_item *found = observation_item(m, o, text_view(item->unit));
    if (found != NULL) {
        item->code = report_text(r->arena, text_view(found->code));
    }
    if (item->local_code[0] == '\0' && item->name[0] == '\0') {
        run_warn(r, message_place(obx, 3), "no code of the test", text_view(""));
    }
    if (item->doubtful) {
        run_warn(r, message_place(obx, 5), "does not fit its type; kept as text",
                 text_view(""));
    }
}
