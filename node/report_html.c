#include "node/report_html.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "node/marks.h"
#include "proto/identifier.h"
#include "proto/text.h"

/* ---- bytes ---- */

static void
put_bytes(struct report_page *p, const char *bytes, size_t count)
{
    if (p->full || count > p->max - p->count) {
        p->full = true;
        return;
    }
    memcpy(p->bytes + p->count, bytes, count);
    p->count += count;
}

/* Markup of our own. */
static void
put(struct report_page *p, const char *markup)
{
    put_bytes(p, markup, strlen(markup));
}

static void
put_escaped(struct report_page *p, struct view v, size_t at, size_t size, uint32_t point)
{
    char code[24];
    if (size == 0 || !text_is_printable(point)) {
        (void)snprintf(code, sizeof code, size == 0 ? "&lt;%02X&gt;" : "&lt;U+%04X&gt;",
                       size == 0 ? (unsigned)v.bytes[at] : (unsigned)point);
        put(p, code);
    } else if (point == '&' || point == '<' || point == '>' || point == '"' || point == '\'') {
        (void)snprintf(code, sizeof code, "&#%u;", (unsigned)point);
        put(p, code);
    } else {
        put_bytes(p, (const char *)v.bytes + at, size);
    }
}

/* Text from outside; line breaks stay in `lines`, else they are blanks. */
static void
put_view(struct report_page *p, struct view v, bool lines)
{
    for (size_t at = 0; at < v.count && !p->full;) {
        uint32_t point = 0;
        size_t size = text_next(v, at, &point);
        if (size == 1 && (point == '\n' || point == '\t')) {
            put(p, point == '\n' && lines ? "\n" : " ");
        } else {
            put_escaped(p, v, at, size, point);
        }
        at += size == 0 ? 1 : size;
    }
}

static void
put_text(struct report_page *p, const char *s)
{
    put_view(p, text_view(s == NULL ? "" : s), false);
}

static struct view
view_of(struct hr_text t)
{
    return (struct view){(const uint8_t *)t.bytes, t.bytes == NULL ? 0 : t.size};
}

/* ---- document ---- */

static const char style[] =
    "@page{size:A4;margin:12mm 12mm 15mm;@bottom-center{content:\"第 \" counter(page) \" 页 / "
    "共 \" counter(pages) \" 页\";font-size:8pt}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:#eee;color:#000;font:10pt/1.45 \"Noto Sans CJK SC\",\"Source Han "
    "Sans SC\",\"Microsoft YaHei\",\"PingFang SC\",SimSun,\"WenQuanYi Micro Hei\",sans-serif;"
    "overflow-wrap:anywhere}\n"
    ".sheet{background:#fff;max-width:210mm;min-height:297mm;margin:6mm auto;padding:12mm;"
    "box-shadow:0 0 3mm #999}\n"
    ".top{position:relative;min-height:15mm;padding:0 34mm;text-align:center}\n"
    ".mark{position:absolute;top:0;right:0;font-size:14pt;font-weight:bold;line-height:1.2;"
    "max-width:33mm}\n"
    ".number{position:absolute;top:0;left:0;max-width:33mm;font-size:8pt;text-align:left}\n"
    "h1{font-size:15pt;line-height:1.3;margin:0;padding-top:5mm;font-weight:bold}\n"
    ".state{display:inline-block;border:.4mm solid;padding:0 3mm;margin-top:1mm;"
    "font-weight:bold}\n"
    ".grid{display:grid;grid-template-columns:1fr 1.25fr 1fr 1.25fr;gap:.6mm 3mm;text-align:"
    "left;font-weight:normal;border-top:.4mm solid;padding:1.2mm 0;margin-top:2mm}\n"
    ".three{grid-template-columns:1fr 1fr 1fr}\n"
    "tbody>tr:last-child td{border-bottom:0}\n"
    ".wide{grid-column:1/-1}\n"
    "b{font-weight:normal;color:#333}b::after{content:\"：\"}\n"
    "table{width:100%;border-collapse:collapse;table-layout:fixed}\n"
    "thead{display:table-header-group}tr{break-inside:avoid}\n"
    "th{font-weight:normal;padding:0}\n"
    ".columns th{border-top:.4mm solid;border-bottom:.4mm solid;padding:1mm;text-align:left;"
    "font-weight:bold}\n"
    "td{padding:.7mm 1mm;vertical-align:top;border-bottom:.1mm solid #bbb}\n"
    ".sub td{font-size:8.5pt;border-bottom:.1mm solid #bbb}\n"
    ".sign{font-weight:bold;margin-right:1mm}.at{font-weight:bold;margin-left:1mm;border:.2mm "
    "solid;padding:0 .8mm;font-size:8.5pt}\n"
    ".flag{font-weight:bold;margin-left:1.5mm;white-space:nowrap}\n"
    ".text{white-space:pre-wrap;margin:0 0 4mm;min-height:12mm}\n"
    "h2{font-size:11pt;margin:3mm 0 1mm;break-after:avoid}\n"
    ".foot{break-inside:avoid;margin-top:1mm}\n"
    ".note{margin:1mm 0 0}.small{font-size:8pt;color:#333;margin:1mm 0 0}\n"
    "@media print{body{background:#fff}.sheet{max-width:none;min-height:0;margin:0;padding:0;"
    "box-shadow:none}.sheet+.sheet{break-before:page}}\n";

static const char *const field_keys[] = {
#define REPORT_FIELD_KEY(name, key) [name] = key,
    REPORT_FIELD_MAP(REPORT_FIELD_KEY)
#undef REPORT_FIELD_KEY
};

const char *
report_field_key(enum report_field field)
{
    assert(field < REPORT_FIELD_COUNT);
    return field_keys[field];
}

void
report_page_begin(struct report_page *p, const char *title)
{
    p->count = 0;
    p->full = false;
    put(p, "<!DOCTYPE html>\n<html lang=\"zh-CN\">\n<head>\n<meta charset=\"UTF-8\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
           "style-src 'unsafe-inline'\">\n"
           "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
    put_text(p, title);
    put(p, "</title>\n<style>\n");
    put(p, style);
    put(p, "</style>\n</head>\n<body>\n");
}

enum status
report_page_end(struct report_page *p)
{
    put(p, "</body>\n</html>\n");
    return p->full ? STATUS_TOO_BIG : STATUS_OK;
}

/* ---- marks ---- */

static bool
is_same(const char *mark, struct hr_text t)
{
    return t.bytes != NULL && t.size > 0 && strlen(mark) == t.size &&
           memcmp(mark, t.bytes, t.size) == 0;
}

static bool
is_place(struct hr_text place, const char *name)
{
    return is_same(name, place);
}

/* The pack's row that explains a mark; NULL: none here does. */
static const struct hr_mark *
sign_of(const struct report_form *f, const char *mark)
{
    for (size_t i = 0; i < f->sign_count; i++) {
        if (is_same(mark, f->signs[i].row_sign) || is_same(mark, f->signs[i].text)) {
            return &f->signs[i];
        }
    }
    return NULL;
}

static bool
is_laboratory(const Hr__Report *r)
{
    return strcmp(r->kind, "imaging") != 0 && strcmp(r->kind, "pathology") != 0;
}

static bool
bears_marks(const struct report_form *f)
{
    return f->marks != REPORT_MARKS_NO_CHARTER && f->hold == NULL;
}

/* Is this sign of a row printed?  One that only repeats the page's mark is needed on
 * the laboratory form, and elsewhere to tell rows apart. */
static bool
is_sign_printed(const struct report_form *f, const char *mark)
{
    const Hr__Report *r = f->report;
    const struct hr_mark *s = sign_of(f, mark);
    if (!bears_marks(f)) {
        return false;
    }
    if (s == NULL || is_laboratory(r) || !is_place(s->place, "top_right")) {
        return true;
    }
    for (size_t i = 0; i < r->n_items; i++) {
        bool has = false;
        for (size_t k = 0; k < r->items[i]->n_marks; k++) {
            has = has || strcmp(r->items[i]->marks[k], mark) == 0;
        }
        if (!has) {
            return true;
        }
    }
    return false;
}

/* A mark that the source wrote in front of a name: its length there, blanks
 * included; *mark is the mark. */
static size_t
claim_before(const struct report_form *f, struct view name, struct view *mark)
{
    for (size_t i = 0; i < f->sign_count; i++) {
        const struct view texts[] = {view_of(f->signs[i].row_sign), view_of(f->signs[i].text)};
        for (size_t k = 0; k < 2; k++) {
            if (texts[k].count > 0 && name.count > texts[k].count &&
                memcmp(name.bytes, texts[k].bytes, texts[k].count) == 0) {
                *mark = texts[k];
                struct view rest = {name.bytes + texts[k].count, name.count - texts[k].count};
                return name.count - (size_t)(text_trim(rest).count);
            }
        }
    }
    return 0;
}

/* The name without such marks. */
static struct view
bare_name(const struct report_form *f, const Hr__Item *item)
{
    struct view name = text_trim(text_view(item->name));
    struct view mark;
    size_t skip;
    while ((skip = claim_before(f, name, &mark)) > 0 && skip < name.count) {
        name = text_trim((struct view){name.bytes + skip, name.count - skip});
    }
    return name;
}

static void
put_name(struct report_page *p, const struct report_form *f, const Hr__Item *item)
{
    for (size_t i = 0; i < item->n_marks; i++) {
        const struct hr_mark *s = sign_of(f, item->marks[i]);
        if (is_sign_printed(f, item->marks[i]) &&
            (s == NULL || !is_place(s->place, "at_row"))) {
            put(p, "<span class=\"sign\">");
            put_text(p, item->marks[i]);
            put(p, "</span>");
        }
    }
    put_view(p, bare_name(f, item), false);
    for (size_t i = 0; i < item->n_marks; i++) {
        const struct hr_mark *s = sign_of(f, item->marks[i]);
        if (is_sign_printed(f, item->marks[i]) && s != NULL && is_place(s->place, "at_row")) {
            put(p, "<span class=\"at\">");
            put_text(p, item->marks[i]);
            put(p, "</span>");
        }
    }
}

/* Does a mark of this pack stand on the page, at a row? */
static bool
is_borne(const struct report_form *f, const struct hr_mark *s, bool rows_only)
{
    const Hr__Report *r = f->report;
    for (size_t i = 0; !rows_only && i < r->n_marks; i++) {
        if (sign_of(f, r->marks[i]) == s) {
            return true;
        }
    }
    for (size_t i = 0; i < r->n_items; i++) {
        for (size_t k = 0; k < r->items[i]->n_marks; k++) {
            const char *mark = r->items[i]->marks[k];
            if (sign_of(f, mark) == s && is_sign_printed(f, mark)) {
                return true;
            }
        }
    }
    return false;
}

static void
put_footnotes(struct report_page *p, const struct report_form *f)
{
    put(p, "<p class=\"note\">");
    if (is_laboratory(f->report)) {
        put(p, "本报告仅对当前所检标本负责。");
    }
    for (size_t i = 0; bears_marks(f) && i < f->sign_count; i++) {
        const struct hr_mark *s = &f->signs[i];
        struct view note = view_of(s->footnote);
        if (note.count > 0 ? is_borne(f, s, false) : is_borne(f, s, true)) {
            note = note.count > 0 ? note : view_of(s->alternative_footnote);
            put_view(p, note, false);
        }
    }
    put(p, "</p>\n");
}

static void
put_claim(struct report_page *p, size_t *count, size_t row, struct view mark)
{
    char where[32] = "全页";
    if (row > 0) {
        (void)snprintf(where, sizeof where, "第 %zu 项", row);
    }
    put(p, (*count)++ == 0 ? "<p class=\"small claim\">来源自称的标识（未经规则证实，不作为"
                             "互认标识）："
                           : "；");
    put(p, where);
    put(p, "“");
    put_view(p, mark, false);
    put(p, "”");
}

/* What the source claims, as claims; a mark that holds is no claim any more. */
static void
put_claims(struct report_page *p, const struct report_form *f)
{
    const Hr__Report *r = f->report;
    size_t count = 0;
    for (size_t i = 0; i < r->n_claimed_marks; i++) {
        if (!bears_marks(f) || !marks_bear_out(r, NULL, r->claimed_marks[i])) {
            put_claim(p, &count, 0, text_view(r->claimed_marks[i]));
        }
    }
    for (size_t i = 0; i < r->n_items; i++) {
        const Hr__Item *item = r->items[i];
        for (size_t k = 0; k < item->n_claimed_marks; k++) {
            if (!bears_marks(f) || !marks_bear_out(r, item, item->claimed_marks[k])) {
                put_claim(p, &count, i + 1, text_view(item->claimed_marks[k]));
            }
        }
        struct view name = text_trim(text_view(item->name));
        struct view mark;
        size_t skip;
        while ((skip = claim_before(f, name, &mark)) > 0 && skip < name.count) {
            put_claim(p, &count, i + 1, mark);
            name = text_trim((struct view){name.bytes + skip, name.count - skip});
        }
    }
    if (count > 0) {
        put(p, "。</p>\n");
    }
}

/* ---- fields ---- */

static void
put_label(struct report_page *p, const char *label)
{
    put(p, "<div><b>");
    put(p, label);
    put(p, "</b>");
}

static void
put_field(struct report_page *p, const char *label, const char *value)
{
    put_label(p, label);
    put_text(p, value);
    put(p, "</div>\n");
}

/* "2027-01-11T08:00:00+08:00" as "2027-01-11 08:00:00"; another zone stays. */
static void
put_time(struct report_page *p, const char *label, const char *value)
{
    struct view v = text_view(value);
    put_label(p, label);
    if (v.count > 16 && v.bytes[10] == 'T') {
        bool china = v.count > 6 && memcmp(v.bytes + v.count - 6, "+08:00", 6) == 0;
        put_view(p, (struct view){v.bytes, 10}, false);
        put(p, " ");
        put_view(p, (struct view){v.bytes + 11, v.count - 11 - (china ? 6 : 0)}, false);
    } else {
        put_view(p, v, false);
    }
    put(p, "</div>\n");
}

static const char *
sex_text(const char *sex)
{
    static const char *const words[][2] = {
        {"M", "男"}, {"F", "女"}, {"O", "其他"}, {"U", "未知"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(sex, words[i][0]) == 0) {
            return words[i][1];
        }
    }
    return sex;
}

/* Completed years between two dates; false if they do not tell.  With a year or
 * month alone the difference of these. */
static bool
age_years(const char *born, const char *at, uint32_t *years)
{
    uint32_t b[3] = {0}, a[3] = {0};
    static const size_t from[] = {0, 5, 8}, size[] = {4, 2, 2};
    for (size_t i = 0; i < 3; i++) {
        bool has = strlen(born) >= from[i] + size[i] && strlen(at) >= from[i] + size[i];
        has =
            has && text_to_u32((struct view){(const uint8_t *)born + from[i], size[i]}, &b[i]);
        if (!has ||
            !text_to_u32((struct view){(const uint8_t *)at + from[i], size[i]}, &a[i])) {
            b[i] = a[i] = 0;
            if (i == 0) {
                return false;
            }
            break;
        }
    }
    bool before = a[1] < b[1] || (a[1] == b[1] && a[2] < b[2]);
    if (a[0] < b[0] + (before ? 1 : 0)) {
        return false;
    }
    *years = a[0] - b[0] - (before ? 1 : 0);
    return true;
}

static void
put_age(struct report_page *p, const Hr__Report *r)
{
    char text[32] = "";
    uint32_t years;
    const char *at = r->examined_at[0] != '\0' ? r->examined_at : r->reported_at;
    put_label(p, "年龄");
    if (age_years(r->patient->birth_date, at, &years) && years > 0) {
        (void)snprintf(text, sizeof text, "%u岁", (unsigned)years);
        put(p, text);
    } else if (r->patient->birth_date[0] != '\0') {
        put_text(p, r->patient->birth_date); /* an infant: the day of birth tells more */
        put(p, " 出生");
    }
    put(p, "</div>\n");
}

/* The number the hospital knows the patient by, else one that others know too. */
static void
put_patient_id(struct report_page *p, const struct report_form *f)
{
    const Hr__Patient *patient = f->report->patient;
    const char *id = f->fields[REPORT_PATIENT_ID];
    for (size_t i = 0; id == NULL && i < patient->n_identifiers; i++) {
        if (!identifier_is_person_wide(patient->identifiers[i]->type)) {
            id = patient->identifiers[i]->value;
        }
    }
    if (id == NULL && patient->n_identifiers > 0) {
        id = patient->identifiers[0]->value;
    }
    put_field(p, "病人ID", id);
}

static void
put_state(struct report_page *p, const struct report_form *f)
{
    const char *status = f->report->status;
    const char *word = strcmp(status, "final") == 0         ? NULL
                       : strcmp(status, "corrected") == 0   ? "更正报告"
                       : strcmp(status, "preliminary") == 0 ? "初步报告"
                       : strcmp(status, "cancelled") == 0   ? "已取消"
                                                            : "状态未明";
    if (word != NULL) {
        put(p, "<div class=\"state\">");
        put(p, word);
        put(p, "</div>\n");
    }
    if (f->hold != NULL) {
        put(p, "<div class=\"state\">不予发布</div>\n");
    }
}

static void
put_top(struct report_page *p, const struct report_form *f, const char *title)
{
    const Hr__Report *r = f->report;
    put(p, "<div class=\"top\">\n<div class=\"number\">报告单号<br>");
    put_text(p, r->report_id);
    put(p, "</div>\n");
    if (bears_marks(f) && r->n_marks > 0) {
        put(p, "<div class=\"mark\">");
        for (size_t i = 0; i < r->n_marks; i++) {
            put(p, i == 0 ? "" : " ");
            put_text(p, r->marks[i]);
        }
        put(p, "</div>\n");
    }
    put(p, "<h1>");
    put_text(p, f->institution);
    put(p, title);
    put(p, "</h1>\n");
    put_state(p, f);
    put(p, "</div>\n");
}

/* What stands below every form: note, footnotes, claims, where marks come from. */
static void
put_bottom(struct report_page *p, const struct report_form *f)
{
    if (f->report->note[0] != '\0') {
        put(p, "<p class=\"note\"><b>备注</b>");
        put_text(p, f->report->note);
        put(p, "</p>\n");
    }
    put_footnotes(p, f);
    put_claims(p, f);
    if (f->hold != NULL) {
        put(p, "<p class=\"small\">本报告不予发布，不标注互认标识：");
        put_text(p, f->hold);
        put(p, "</p>\n");
    } else if (f->marks == REPORT_MARKS_NO_CHARTER) {
        put(p, "<p class=\"small\">本页未标注互认标识：标识由章程与规则导出，此处没有章程"
               "（marks need the charter）。</p>\n");
    } else if (f->marks == REPORT_MARKS_PUBLISHED) {
        put(p, "<p class=\"small\">互认标识以发布时所载为准。</p>\n");
    }
}

/* ---- laboratory ---- */

/* An arrow for what lies outside the interval, other flags as sent. */
static void
put_flags(struct report_page *p, const Hr__Item *item)
{
    for (size_t i = 0; i < item->n_flags; i++) {
        const char *flag = item->flags[i];
        if (flag[0] == '\0' || strcmp(flag, "N") == 0) {
            continue;
        }
        put(p, "<span class=\"flag\">");
        put_text(p, strcmp(flag, "H") == 0    ? "↑"
                    : strcmp(flag, "HH") == 0 ? "↑↑"
                    : strcmp(flag, "L") == 0  ? "↓"
                    : strcmp(flag, "LL") == 0 ? "↓↓"
                                              : flag);
        put(p, "</span>");
    }
    put(p, item->critical ? "<span class=\"flag\">危急值</span>" : "");
    put(p, item->doubtful ? "<span class=\"flag\">存疑</span>" : "");
    const char *s = item->status;
    put(p, strcmp(s, "preliminary") == 0 ? "<span class=\"flag\">初步</span>"
           : strcmp(s, "corrected") == 0 || strcmp(s, "amended") == 0
               ? "<span class=\"flag\">已更正</span>"
           : strcmp(s, "cancelled") == 0 || strcmp(s, "entered-in-error") == 0
               ? "<span class=\"flag\">已取消</span>"
               : "");
}

static void
put_abbreviation(struct report_page *p, const struct report_form *f, const char *code)
{
    const struct hr_item *item =
        f->catalog == NULL || code[0] == '\0'
            ? NULL
            : hr_catalog_by_code(f->catalog, (struct hr_text){code, strlen(code)});
    if (item != NULL) {
        put_view(p, view_of(item->abbreviation), false);
    }
}

static void
put_row(struct report_page *p, const struct report_form *f, size_t at)
{
    const Hr__Item *item = f->report->items[at];
    char number[48];
    (void)snprintf(number, sizeof number, "<tr><td>%zu</td><td>", at + 1);
    put(p, number);
    put_name(p, f, item);
    put(p, "</td><td>");
    put_abbreviation(p, f, item->code);
    put(p, "</td><td>");
    put_text(p, item->value);
    put_flags(p, item);
    put(p, "</td><td>");
    put_text(p, item->unit);
    put(p, "</td><td>");
    put_text(p, item->reference);
    put(p, "</td><td>");
    put_text(p, item->method);
    put(p, "</td></tr>\n");
    if (item->note[0] != '\0') {
        put(p, "<tr class=\"sub\"><td></td><td colspan=\"6\">备注：");
        put_text(p, item->note);
        put(p, "</td></tr>\n");
    }
}

static void
put_laboratory_head(struct report_page *p, const struct report_form *f)
{
    const Hr__Report *r = f->report;
    put(p, "<div class=\"grid\">\n");
    put_field(p, "姓名", r->patient->name);
    put_patient_id(p, f);
    put_field(p, "标本种类", r->specimen);
    put_field(p, "样本号", f->fields[REPORT_SAMPLE_NO]);
    put_field(p, "性别", sex_text(r->patient->sex));
    put_field(p, "科室", r->department);
    put_field(p, "申请医生", r->orderer);
    put_field(p, "样本条码", f->fields[REPORT_SAMPLE_BARCODE]);
    put_age(p, r);
    put_field(p, "床号", f->fields[REPORT_BED_NO]);
    put_field(p, "患者类别", f->fields[REPORT_PATIENT_CLASS]);
    put_field(p, "临床诊断", f->fields[REPORT_CLINICAL_DIAGNOSIS]);
    put(p, "</div>\n");
}

/* Text results of a laboratory (a culture in words) stand below the rows. */
static void
put_words(struct report_page *p, const char *heading, const char *text, bool always)
{
    if (text[0] != '\0' || always) {
        put(p, "<h2>");
        put(p, heading);
        put(p, "</h2>\n<div class=\"text\">");
        put_view(p, text_view(text), true);
        put(p, "</div>\n");
    }
}

static void
put_laboratory(struct report_page *p, const struct report_form *f)
{
    const Hr__Report *r = f->report;
    put(p, "<table>\n<colgroup><col style=\"width:6%\"><col style=\"width:25%\"><col "
           "style=\"width:10%\"><col style=\"width:17%\"><col style=\"width:10%\"><col "
           "style=\"width:15%\"><col style=\"width:17%\"></colgroup>\n<thead>\n<tr><th "
           "colspan=\"7\">");
    put_top(p, f, "检验报告单");
    put_laboratory_head(p, f);
    put(p,
        "</th></tr>\n<tr class=\"columns\"><th>序号</th><th>项目名称</th><th>缩写</th><th>结果"
        "</th><th>单位</th><th>参考区间</th><th>检测方法</th></tr>\n</thead>\n<tbody>\n");
    for (size_t i = 0; i < r->n_items && !p->full; i++) {
        put_row(p, f, i);
    }
    put(p, "</tbody>\n</table>\n");
    put_words(p, "所见", r->findings, false);
    put_words(p, "结论", r->impression, false);
    put(p, "<div class=\"foot\">\n<div class=\"grid three\">\n");
    put_time(p, "采集时间", r->examined_at);
    const char *received = f->fields[REPORT_RECEIVED_AT];
    put_time(p, "接收时间", received == NULL ? "" : received);
    put_field(p, "检验者", r->author);
    put_time(p, "报告时间", r->reported_at);
    put_time(p, "打印时间", f->printed_at);
    put_field(p, "审核者", r->reviewer);
    put(p, "</div>\n");
    put_bottom(p, f);
    put(p, "</div>\n");
}

/* ---- imaging and pathology ---- */

/* The first text of the items, each text once at a glance being enough. */
static const char *
first_of(const Hr__Report *r, bool device)
{
    for (size_t i = 0; i < r->n_items; i++) {
        const char *text = device ? r->items[i]->device : r->items[i]->method;
        if (text[0] != '\0') {
            return text;
        }
    }
    return "";
}

static const char *
side_text(const char *side)
{
    return strcmp(side, "left") == 0    ? "左侧"
           : strcmp(side, "right") == 0 ? "右侧"
           : strcmp(side, "both") == 0  ? "双侧"
                                        : side;
}

static void
put_examination_head(struct report_page *p, const struct report_form *f, bool imaging)
{
    const Hr__Report *r = f->report;
    put(p, "<div class=\"grid\">\n");
    put_field(p, "姓名", r->patient->name);
    put_field(p, "性别", sex_text(r->patient->sex));
    put_age(p, r);
    put_patient_id(p, f);
    put_field(p, "科室", r->department);
    put_field(p, "床号", f->fields[REPORT_BED_NO]);
    put_field(p, "患者类别", f->fields[REPORT_PATIENT_CLASS]);
    put_field(p, "申请医生", r->orderer);
    put_field(p, imaging ? "影像号" : "病理号", r->accession);
    put_label(p, imaging ? "检查部位" : "取材部位");
    put_text(p, r->body_site);
    put(p, r->side[0] != '\0' && r->body_site[0] != '\0' ? " " : "");
    put_text(p, side_text(r->side));
    put(p, "</div>\n");
    put_field(p, "检查方法", first_of(r, false));
    put_field(p, imaging ? "仪器型号" : "标本种类", imaging ? first_of(r, true) : r->specimen);
    put(p, "<div class=\"wide\"><b>临床诊断</b>");
    put_text(p, f->fields[REPORT_CLINICAL_DIAGNOSIS]);
    put(p, "</div>\n</div>\n");
}

static void
put_examination(struct report_page *p, const struct report_form *f)
{
    const Hr__Report *r = f->report;
    bool imaging = strcmp(r->kind, "imaging") == 0;
    put(p, "<table>\n<thead>\n<tr><th>");
    put_top(p, f, imaging ? "检查报告单" : "病理检查报告单");
    put_examination_head(p, f, imaging);
    put(p, "</th></tr>\n</thead>\n<tbody>\n<tr style=\"break-inside:auto\"><td "
           "style=\"border-top:.4mm solid;border-bottom:0\">\n<h2>检查项目</h2>\n");
    for (size_t i = 0; i < r->n_items && !p->full; i++) {
        const Hr__Item *item = r->items[i];
        put(p, "<div>");
        put_name(p, f, item);
        if (item->value[0] != '\0') {
            put(p, "：");
            put_view(p, text_view(item->value), false);
            put(p, item->unit[0] != '\0' ? " " : "");
            put_text(p, item->unit);
        }
        put_flags(p, item);
        if (item->note[0] != '\0') {
            put(p, "（备注：");
            put_text(p, item->note);
            put(p, "）");
        }
        put(p, "</div>\n");
    }
    if (r->n_items == 0) {
        put_text(p, r->service);
    }
    put_words(p, imaging ? "检查所见" : "肉眼及镜下所见", r->findings, true);
    put_words(p, imaging ? "诊断意见" : "病理诊断", r->impression, true);
    put(p,
        "</td></tr>\n</tbody>\n</table>\n<div class=\"foot\">\n<div class=\"grid three\">\n");
    put_time(p, "检查时间", r->examined_at);
    put_time(p, "报告时间", r->reported_at);
    put_field(p, "报告者", r->author);
    put_time(p, "打印时间", f->printed_at);
    put_field(p, "审核者", r->reviewer);
    put(p, "</div>\n");
    put_bottom(p, f);
    put(p, "</div>\n");
}

void
report_page_form(struct report_page *p, const struct report_form *form)
{
    put(p, "<section class=\"sheet\">\n");
    if (is_laboratory(form->report)) {
        put_laboratory(p, form);
    } else {
        put_examination(p, form);
    }
    put(p, "</section>\n");
}
