/* Marks that a source claims, wherever it prints them: in front of or behind a name, in
 * brackets, as a note, flag or row of its own.  They leave their place and stand as
 * claims: a mark is derived by the rules, never typed (policy contract, "The mark").
 * Source: INTERFACES.md 8 (HR with its scope before it); the packs' signs. */
#include <string.h>

#include "node/normalise_parts.h"
#include "proto/text.h"

enum { SCOPE_LETTERS_MAX = 8, TOKEN_BYTES_MAX = 64, LEADS_MAX = 4 };

static struct view
cut(struct view v, size_t from, size_t to)
{
    return (struct view){v.bytes + from, to - from};
}

/* ---- what is a mark ---- */

static bool
is_sign(struct view v)
{
    return text_is(v, "★") || text_is(v, "☆") || text_is(v, "*") || text_is(v, "＊");
}

/* Chinese letters, then HR: 鄂HR, 川渝HR, 黄石HR. */
static bool
is_scope_hr(struct view v)
{
    size_t letters = 0;
    if (v.count < 5 || !text_is_nocase(cut(v, v.count - 2, v.count), "HR")) {
        return false;
    }
    for (size_t at = 0; at < v.count - 2; letters++) {
        uint32_t point = 0;
        size_t n = text_next(v, at, &point);
        if (n == 0 || point < 0x4E00 || point > 0x9FFF) {
            return false;
        }
        at += n;
    }
    return letters <= SCOPE_LETTERS_MAX && !text_has(v, "率"); /* 心率HR is a heart rate */
}

static bool
is_word(struct view v)
{
    static const char *const words[] = {"互认",         "互认项目",     "检查检验结果互认",
                                        "检验结果互认", "检查结果互认", "结果互认"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (text_is(v, words[i])) {
            return true;
        }
    }
    return false;
}

/* What the claim is kept as. */
static struct view
spelled(struct view v)
{
    return is_word(v) ? text_view("互认") : text_is(v, "＊") ? text_view("*") : v;
}

/* ---- brackets ---- */

static const struct {
    const char *open, *close;
} brackets[] = {{"(", ")"}, {"（", "）"}, {"[", "]"}, {"［", "］"}, {"【", "】"}, {"「", "」"},
                {"“", "”"}, {"\"", "\""}, {"'", "'"}, {"<", ">"},   {"〈", "〉"}};

static bool
ends_with(struct view v, const char *s)
{
    size_t n = strlen(s);
    return v.count >= n && memcmp(v.bytes + v.count - n, s, n) == 0;
}

/* What stands between brackets around all of it; else the text itself. */
static struct view
unwrapped(struct view v)
{
    for (size_t i = 0; i < sizeof brackets / sizeof *brackets; i++) {
        size_t a = strlen(brackets[i].open), b = strlen(brackets[i].close);
        if (v.count > a + b && text_begins(v, brackets[i].open) &&
            ends_with(v, brackets[i].close)) {
            return text_trim(cut(v, a, v.count - b));
        }
    }
    return v;
}

/* Is all of it a mark? */
static bool
is_mark(struct view v)
{
    struct view bare = unwrapped(v);
    return v.count <= TOKEN_BYTES_MAX && (is_sign(bare) || is_scope_hr(bare) || is_word(bare));
}

bool
claim_of_text(struct view text, struct view *mark)
{
    static const char *const labels[] = {"互认标识", "互认标志", "互认标记", "标识", "标志"};
    struct view v = text_trim(text);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        if (text_begins(v, labels[i])) {
            struct view rest = text_trim(cut(v, strlen(labels[i]), v.count));
            size_t colon = text_begins(rest, ":") ? 1 : text_begins(rest, "：") ? 3 : 0;
            v = colon > 0 ? text_trim(cut(rest, colon, rest.count)) : v;
            break;
        }
    }
    *mark = spelled(unwrapped(v));
    return is_mark(v);
}

bool
claim_of_cell(struct view text, struct view *mark)
{
    static const char *const yes[] = {"1", "Y", "YES", "TRUE", "是", "有", "√", "HR"};
    struct view v = text_trim(text);
    if (claim_of_text(v, mark)) {
        return true;
    }
    *mark = text_view("互认");
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (text_is_nocase(v, yes[i])) {
            return true;
        }
    }
    return false;
}

/* ---- names ---- */

/* Scopes that are known: without brackets only these, since HR is a heart rate too. */
static const char *const scopes[] = {
    "全国HR", "京津冀鲁HR", "京津冀HR", "长三角HR", "川渝HR", "京HR", "津HR", "冀HR",
    "晋HR",   "蒙HR",       "辽HR",     "吉HR",     "黑HR",   "沪HR", "苏HR", "浙HR",
    "皖HR",   "闽HR",       "赣HR",     "鲁HR",     "豫HR",   "鄂HR", "湘HR", "粤HR",
    "桂HR",   "琼HR",       "渝HR",     "川HR",     "贵HR",   "云HR", "藏HR", "陕HR",
    "甘HR",   "青HR",       "宁HR",     "新HR",     "并HR",   "互认", "★",    "☆"};

/* Bytes of a mark at the beginning, its blanks not counted; 0: none. */
static size_t
lead(struct view v)
{
    if (text_begins(v, "*") || text_begins(v, "＊")) {
        return v.bytes[0] == '*' ? 1 : 3;
    }
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++) {
        if (text_begins(v, scopes[i])) {
            return strlen(scopes[i]);
        }
    }
    for (size_t i = 0; i < sizeof brackets / sizeof *brackets; i++) {
        size_t a = strlen(brackets[i].open), b = strlen(brackets[i].close);
        for (size_t end = a + b;
             text_begins(v, brackets[i].open) && end <= v.count && end <= TOKEN_BYTES_MAX;
             end++) {
            if (memcmp(v.bytes + end - b, brackets[i].close, b) == 0) {
                return is_mark(cut(v, 0, end)) ? end : 0;
            }
        }
    }
    return 0;
}

/* The same at the end; a single asterisk there is no mark (alleles are written so). */
static size_t
trail(struct view v)
{
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++) {
        if (ends_with(v, scopes[i])) {
            return strlen(scopes[i]);
        }
    }
    for (size_t i = 0; i < sizeof brackets / sizeof *brackets; i++) {
        size_t a = strlen(brackets[i].open), b = strlen(brackets[i].close);
        for (size_t n = a + b;
             ends_with(v, brackets[i].close) && n <= v.count && n <= TOKEN_BYTES_MAX; n++) {
            if (memcmp(v.bytes + v.count - n, brackets[i].open, a) == 0) {
                return is_mark(cut(v, v.count - n, v.count)) ? n : 0;
            }
        }
    }
    return 0;
}

/* Take one mark off; false: there is none, or nothing would be left. */
static bool
take_off(struct view *name, struct view *mark)
{
    struct view v = text_trim(*name);
    size_t n = lead(v);
    struct view rest = text_trim(cut(v, n, v.count));
    struct view found = cut(v, 0, n);
    if (n == 0) {
        n = trail(v);
        rest = text_trim(cut(v, 0, v.count - n));
        found = cut(v, v.count - n, v.count);
    }
    if (n == 0 || rest.count == 0) {
        return false;
    }
    *name = rest;
    *mark = spelled(unwrapped(found));
    return true;
}

struct view
name_without_claims(struct view name)
{
    struct view mark;
    for (int i = 0; i < LEADS_MAX && take_off(&name, &mark); i++) {
    }
    return name;
}

/* ---- into a report ---- */

void
add_claim(struct report_arena *a, char ***list, size_t *count, struct view mark)
{
    for (size_t i = 0; i < *count; i++) {
        if (text_is(mark, (*list)[i])) {
            return;
        }
    }
    if (*list == NULL) {
        *list = report_alloc(a, REPORT_CLAIMS_MAX * sizeof **list);
    }
    if (*list != NULL && *count < REPORT_CLAIMS_MAX) {
        (*list)[(*count)++] = report_text(a, mark);
    }
}

static void
claims_of_name(struct report_arena *a, Hr__Item *item)
{
    struct view name = text_trim(text_view(item->name)), mark;
    bool found = false;
    for (int i = 0; i < LEADS_MAX && take_off(&name, &mark); i++) {
        add_claim(a, &item->claimed_marks, &item->n_claimed_marks, mark);
        found = true;
    }
    if (found) {
        item->name = report_text(a, name);
    }
}

/* Lines of a note that are a mark and nothing else. */
static char *
claims_of_note(struct report_arena *a, char *note, char ***list, size_t *count)
{
    struct view rest = text_view(note), mark;
    char *kept = report_text(a, (struct view){rest.bytes, 0});
    bool found = false;
    while (rest.count > 0) {
        const uint8_t *end = memchr(rest.bytes, '\n', rest.count);
        size_t n = end == NULL ? rest.count : (size_t)(end - rest.bytes);
        struct view line = cut(rest, 0, n);
        if (claim_of_text(line, &mark)) {
            add_claim(a, list, count, mark);
            found = true;
        } else {
            kept = report_join(a, kept, "\n", report_text(a, line));
        }
        rest = cut(rest, n + (end != NULL), rest.count);
    }
    return found ? kept : note;
}

static void
claims_of_flags(struct report_arena *a, Hr__Item *item)
{
    size_t kept = 0;
    for (size_t i = 0; i < item->n_flags; i++) {
        struct view flag = text_view(item->flags[i]), mark;
        if (claim_of_text(flag, &mark) && !text_is(mark, "*")) { /* * says abnormal */
            add_claim(a, &item->claimed_marks, &item->n_claimed_marks, mark);
        } else {
            item->flags[kept++] = item->flags[i];
        }
    }
    item->n_flags = kept;
}

/* A row that is no result but says that the report bears a mark. */
static bool
is_mark_row(const Hr__Item *item)
{
    static const char *const names[] = {"互认标识",     "互认标志", "互认标记", "互认",
                                        "结果互认标识", "是否互认", "HR标识"};
    for (size_t i = 0; item->code[0] == '\0' && i < sizeof names / sizeof *names; i++) {
        if (strcmp(item->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

void
claims_take(struct report_arena *a, Hr__Report *r)
{
    size_t kept = 0;
    struct view mark;
    for (size_t i = 0; i < r->n_items; i++) {
        Hr__Item *item = r->items[i];
        if (is_mark_row(item)) {
            if (claim_of_cell(text_view(item->value), &mark)) {
                add_claim(a, &r->claimed_marks, &r->n_claimed_marks, mark);
            }
            continue;
        }
        r->items[kept++] = item;
        claims_of_name(a, item);
        item->note =
            claims_of_note(a, item->note, &item->claimed_marks, &item->n_claimed_marks);
        claims_of_flags(a, item);
    }
    r->n_items = kept;
    r->note = claims_of_note(a, r->note, &r->claimed_marks, &r->n_claimed_marks);
    r->service = report_text(a, name_without_claims(text_view(r->service)));
}
