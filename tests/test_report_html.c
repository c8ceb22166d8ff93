/* Goal: the page has every field of the form, bears a mark only where the report
 * bears it, in the place of its pack, and nothing from outside becomes markup.
 * Method: made-up reports with the embedded catalog and packs; facts about the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/policy_json.h"
#include "node/report_html.h"

enum { PAGE_MAX = 1024 * 1024, ITEMS_MAX = 400, PACKS = 5 };

struct sheet {
    struct policy_set *policy;
    Hr__Report report;
    Hr__Patient patient;
    Hr__Identifier identifier;
    Hr__Identifier *identifiers[1];
    Hr__Item items[ITEMS_MAX];
    Hr__Item *list[ITEMS_MAX];
    struct hr_mark signs[PACKS];
    struct report_form form;
    struct report_page page;
    char *text; /* the page, with a zero byte */
};

static char *
text_of(const char *s)
{
    return (char *)(uintptr_t)s;
}

static Hr__Item *
add_item(struct sheet *s, const char *code, const char *name, const char *value)
{
    Hr__Item *item = &s->items[s->report.n_items];
    assert_true(s->report.n_items < ITEMS_MAX);
    hr__item__init(item);
    item->code = text_of(code);
    item->name = text_of(name);
    item->value = text_of(value);
    s->list[s->report.n_items++] = item;
    return item;
}

static struct sheet *
sheet_open(const char *kind, enum hr_kind pack_kind)
{
    struct sheet *s = calloc(1, sizeof *s);
    char error[256];
    assert_non_null(s);
    assert_int_equal(policy_set_load_embedded(&s->policy, error, sizeof error), STATUS_OK);
    assert_int_equal(policy_set_count(s->policy), PACKS);
    for (size_t i = 0; i < PACKS; i++) {
        hr_pack_mark(policy_set_pack(s->policy, i), pack_kind, &s->signs[i]);
        assert_int_equal(s->signs[i].mark, HR_UNKNOWN);
    }
    hr__report__init(&s->report);
    hr__patient__init(&s->patient);
    hr__identifier__init(&s->identifier);
    s->identifier.type = text_of("RI");
    s->identifier.value = text_of("11010519491231002X");
    s->identifiers[0] = &s->identifier;
    s->patient.identifiers = s->identifiers;
    s->patient.n_identifiers = 1;
    s->patient.name = text_of("欧阳测试");
    s->patient.sex = text_of("F");
    s->patient.birth_date = text_of("1949-12-31");
    s->report.patient = &s->patient;
    s->report.kind = text_of(kind);
    s->report.status = text_of("final");
    s->report.report_id = text_of("R-77");
    s->report.examined_at = text_of("2026-11-20T08:05:00+08:00");
    s->report.reported_at = text_of("2026-11-20T10:15:00+08:00");
    s->report.items = s->list;
    s->form = (struct report_form){.report = &s->report,
                                   .institution = "某县人民医院",
                                   .printed_at = "2026-11-22T09:30:00+08:00",
                                   .catalog = policy_set_catalog(s->policy),
                                   .signs = s->signs,
                                   .sign_count = PACKS};
    s->page.bytes = malloc(PAGE_MAX);
    s->page.max = PAGE_MAX - 1;
    assert_non_null(s->page.bytes);
    return s;
}

static const char *
print(struct sheet *s)
{
    report_page_begin(&s->page, "报告单");
    report_page_form(&s->page, &s->form);
    assert_int_equal(report_page_end(&s->page), STATUS_OK);
    s->page.bytes[s->page.count] = '\0';
    s->text = (char *)s->page.bytes;
    return s->text;
}

static void
sheet_close(struct sheet *s)
{
    policy_set_free(s->policy);
    free(s->page.bytes);
    free(s);
}

static size_t
times(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) {
        n++;
    }
    return n;
}

static void
has(const char *page, const char *part)
{
    if (strstr(page, part) == NULL) {
        fail_msg("the page lacks: %s", part);
    }
}

static void
lacks(const char *page, const char *part)
{
    if (strstr(page, part) != NULL) {
        fail_msg("the page has: %s", part);
    }
}

/* ---- fields ---- */

static void
the_laboratory_form_has_every_field_of_annex_3_in_its_order(void **state)
{
    static const char *const order[] = {
        "某县人民医院检验报告单",
        "姓名</b>欧阳测试",
        "病人ID</b>MR-9",
        "标本种类</b>血清",
        "样本号</b>S-12",
        "性别</b>女",
        "科室</b>心内科",
        "申请医生</b>张医",
        "样本条码</b>690001",
        "年龄</b>76岁",
        "床号</b>12",
        "患者类别</b>住院",
        "临床诊断</b>高血压",
        "<th>序号</th><th>项目名称</th><th>缩写</th><th>结果</th>"
        "<th>单位</th><th>参考区间</th><th>检测方法</th>",
        "<td>1</td><td>钾</td><td>K</td><td>4.10</td><td>mmol/L</td><td>3.5-5.3</td>"
        "<td>电极法</td>",
        "采集时间</b>2026-11-20 08:05:00<",
        "接收时间</b>2026-11-20 08:30:00<",
        "检验者</b>李检",
        "报告时间</b>2026-11-20 10:15:00<",
        "打印时间</b>2026-11-22 09:30:00<",
        "审核者</b>王审",
        "本报告仅对当前所检标本负责。"};
    struct sheet *s = sheet_open("laboratory", HR_LAB);
    (void)state;
    s->report.specimen = text_of("血清");
    s->report.department = text_of("心内科");
    s->report.orderer = text_of("张医");
    s->report.author = text_of("李检");
    s->report.reviewer = text_of("王审");
    s->form.fields[REPORT_PATIENT_ID] = "MR-9";
    s->form.fields[REPORT_SAMPLE_NO] = "S-12";
    s->form.fields[REPORT_SAMPLE_BARCODE] = "690001";
    s->form.fields[REPORT_BED_NO] = "12";
    s->form.fields[REPORT_PATIENT_CLASS] = "住院";
    s->form.fields[REPORT_CLINICAL_DIAGNOSIS] = "高血压";
    s->form.fields[REPORT_RECEIVED_AT] = "2026-11-20T08:30:00+08:00";
    Hr__Item *k = add_item(s, "LAB.K", "钾", "4.10");
    k->unit = text_of("mmol/L");
    k->reference = text_of("3.5-5.3");
    k->method = text_of("电极法");
    const char *at = print(s);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const char *next = strstr(at, order[i]);
        if (next == NULL) {
            fail_msg("missing, or not after what stands before it: %s", order[i]);
        }
        at = next + strlen(order[i]);
    }
    sheet_close(s);
}

static void
a_field_that_nobody_states_stands_there_empty(void **state)
{
    static const char *const labels[] = {"标本种类", "样本号",   "样本条码", "床号",
                                         "患者类别", "临床诊断", "接收时间"};
    struct sheet *s = sheet_open("laboratory", HR_LAB);
    char want[64];
    (void)state;
    const char *page = print(s);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        (void)snprintf(want, sizeof want, "%s</b></div>", labels[i]);
        has(page, want);
    }
    has(page, "病人ID</b>11010519491231002X</div>");
    sheet_close(s);
}

static void
an_imaging_report_has_findings_and_impression_with_their_lines(void **state)
{
    struct sheet *s = sheet_open("imaging", HR_IMAGING);
    char *page_marks[] = {text_of("鄂HR")};
    char *row_marks[] = {text_of("★")};
    (void)state;
    s->report.findings = text_of("双肺纹理清晰。\n心影不大。");
    s->report.impression = text_of("未见异常");
    s->report.accession = text_of("CT0009");
    s->report.body_site = text_of("膝");
    s->report.side = text_of("left");
    s->report.marks = page_marks;
    s->report.n_marks = 1;
    Hr__Item *item = add_item(s, "CT.CHEST.PLAIN", "胸部CT平扫", "");
    item->device = text_of("CT-64X");
    item->marks = row_marks;
    item->n_marks = 1;
    const char *page = print(s);
    has(page, "检查报告单</h1>");
    has(page, "<div class=\"mark\">鄂HR</div>");
    has(page, "双肺纹理清晰。\n心影不大。</div>");
    has(page, "诊断意见</h2>\n<div class=\"text\">未见异常</div>");
    has(page, "影像号</b>CT0009<");
    has(page, "检查部位</b>膝 左侧<");
    has(page, "仪器型号</b>CT-64X<");
    lacks(page, "★"); /* the page's mark says it of the only examination */
    lacks(page, "本报告仅对当前所检标本负责");
    add_item(s, "CT.HEAD.PLAIN", "头颅CT平扫", "");
    page = print(s); /* now it tells the two apart, and is explained */
    has(page, "<span class=\"sign\">★</span>胸部CT平扫");
    has(page, "“★”标识等同于“鄂HR”标识");
    assert_int_equal(times(page, "class=\"sign\""), 1);
    sheet_close(s);
}

/* ---- marks ---- */

static void
each_pack_has_its_mark_in_its_place_with_its_footnote(void **state)
{
    static const struct {
        const char *row, *page, *want, *footnote;
    } cases[] = {
        {"★", "鄂HR", "<span class=\"sign\">★</span>钾", "项目名称前标注“★”为互认检验项目。"},
        {"*", NULL, "<span class=\"sign\">*</span>钾", "“*”为临床检查检验互认项目。"},
        {"互认", NULL, "钾<span class=\"at\">互认</span>", NULL},
        {"并HR", NULL, "<span class=\"sign\">并HR</span>钾",
         "‘并HR’为可在全市范围内互认的检查项目"},
        {NULL, "川渝HR", "<div class=\"mark\">川渝HR</div>", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sheet *s = sheet_open("laboratory", HR_LAB);
        char *row[] = {text_of(cases[i].row)}, *page[] = {text_of(cases[i].page)};
        Hr__Item *k = add_item(s, "LAB.K", "钾", "4.1");
        add_item(s, "LAB.NA", "钠", "140");
        k->marks = row;
        k->n_marks = cases[i].row != NULL;
        s->report.marks = page;
        s->report.n_marks = cases[i].page != NULL;
        const char *text = print(s);
        has(text, cases[i].want);
        has(text, "<td>2</td><td>钠</td>");
        for (size_t other = 0; other < sizeof cases / sizeof *cases; other++) {
            if (cases[other].footnote != NULL) {
                assert_int_equal(times(text, cases[other].footnote), other == i);
            }
        }
        assert_int_equal(times(text, "class=\"mark\""), cases[i].page != NULL);
        assert_int_equal(times(text, "class=\"sign\"") + times(text, "class=\"at\""),
                         cases[i].row != NULL);
        sheet_close(s);
    }
}

static void
a_page_without_marks_or_charter_or_not_to_be_released_bears_none(void **state)
{
    char *row[] = {text_of("★")}, *page[] = {text_of("鄂HR")};
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct sheet *s = sheet_open("laboratory", HR_LAB);
        Hr__Item *k = add_item(s, "LAB.K", "钾", "4.1");
        k->marks = row;
        s->report.marks = page;
        k->n_marks = s->report.n_marks = i > 0;
        s->form.marks = i == 1 ? REPORT_MARKS_NO_CHARTER : REPORT_MARKS_DERIVED;
        s->form.hold = i == 2 ? "there is no <result> yet" : NULL;
        const char *text = print(s);
        lacks(text, "★");
        lacks(text, "鄂HR");
        lacks(text, "class=\"mark\"");
        assert_int_equal(times(text, "marks need the charter"), i == 1);
        assert_int_equal(times(text, "there is no &#60;result&#62; yet"), i == 2);
        sheet_close(s);
    }
}

static void
a_claim_is_listed_as_a_claim_and_taken_out_of_the_name(void **state)
{
    struct sheet *s = sheet_open("laboratory", HR_LAB);
    char *claimed[] = {text_of("鄂HR")};
    (void)state;
    add_item(s, "LAB.K", "★ *钾", "4.1");
    add_item(s, "LAB.NA", "★", "140"); /* a name that is nothing else stays */
    s->items[0].claimed_marks = s->report.claimed_marks = claimed;
    s->items[0].n_claimed_marks = s->report.n_claimed_marks = 1;
    const char *text = print(s);
    has(text, "<td>1</td><td>钾</td>");
    lacks(text, "class=\"sign\"");
    lacks(text, "class=\"mark\"");
    lacks(text, "项目名称前标注");
    has(text, "未经规则证实，不作为互认标识）：全页“鄂HR”；第 1 项“鄂HR”；第 1 项“★”；第 1 "
              "项“*”");
    sheet_close(s);
}

/* ---- hostile text ---- */

static void
no_text_from_outside_becomes_markup_or_stays_unprintable(void **state)
{
    static const char evil[] = "<script>alert('x')</script>\"&<b onload=\"y\">\xe2\x80\xae"
                               "A\x01\xff\n";
    struct sheet *s = sheet_open("laboratory", HR_LAB);
    char *list[] = {text_of(evil)};
    (void)state;
    const char *calm = print(s);
    size_t tags = times(calm, "<");
    size_t bold = times(calm, "<b>");
    Hr__Report *r = &s->report;
    r->report_id = r->status = r->examined_at = r->reported_at = r->specimen = r->department =
        r->orderer = r->author = r->reviewer = r->note = text_of(evil);
    s->patient.name = s->patient.sex = s->patient.birth_date = text_of(evil);
    s->identifier.type = s->identifier.value = text_of(evil);
    s->form.institution = s->form.printed_at = evil;
    for (size_t i = 0; i < REPORT_FIELD_COUNT; i++) {
        s->form.fields[i] = evil;
    }
    char *claims[] = {text_of("<script>claim</script>")};
    r->marks = list;
    r->claimed_marks = claims; /* what is a mark is no claim */
    r->n_marks = r->n_claimed_marks = 1;
    const char *page = print(s);
    lacks(page, "<script");
    lacks(page, "alert('");
    lacks(page, "onload=\"");
    lacks(page, "\xe2\x80\xae");
    lacks(page, "\x01");
    lacks(page, "\xff");
    has(page, "&#60;script&#62;alert(&#39;x&#39;)&#60;/script&#62;&#34;&#38;");
    has(page, "&lt;U+202E&gt;A&lt;U+0001&gt;&lt;FF&gt;");
    /* new: the state box, the mark's box, the note and the claims, 2 tags each, and a label */
    assert_int_equal(times(page, "<"), tags + 8 + 2);
    assert_int_equal(times(page, "<b>"), bold + 1);
    Hr__Item *item = add_item(s, evil, evil, evil);
    item->unit = item->reference = item->method = item->status = item->note = text_of(evil);
    item->flags = item->marks = list;
    item->claimed_marks = claims;
    item->n_flags = item->n_marks = item->n_claimed_marks = 1;
    page = print(s);
    lacks(page, "<script");
    lacks(page, "onload=\"");
    r->kind = text_of("imaging");
    r->findings = r->impression = r->side = r->body_site = r->accession = text_of(evil);
    page = print(s);
    lacks(page, "<script");
    lacks(page, "onload=\"");
    lacks(page, "\x01");
    sheet_close(s);
}

static void
the_page_fetches_nothing_and_runs_nothing(void **state)
{
    struct sheet *s = sheet_open("laboratory", HR_LAB);
    (void)state;
    const char *page = print(s);
    assert_int_equal(strncmp(page, "<!DOCTYPE html>\n<html lang=\"zh-CN\">", 35), 0);
    has(page, "<meta charset=\"UTF-8\">");
    has(page, "default-src 'none'");
    lacks(page, "<script");
    lacks(page, "<link");
    lacks(page, "http:");
    lacks(page, "https:");
    lacks(page, "url(");
    lacks(page, "@import");
    sheet_close(s);
}

/* ---- long ones ---- */

static void
many_rows_stand_in_one_table_whose_head_repeats(void **state)
{
    struct sheet *s = sheet_open("laboratory", HR_LAB);
    (void)state;
    for (size_t i = 0; i < 200; i++) {
        add_item(s, "LAB.K", "钾", "4.1");
    }
    const char *page = print(s);
    assert_int_equal(times(page, "<thead>"), 1);
    assert_int_equal(times(page, "<tr><td>"), 200);
    has(page, "<td>200</td>");
    has(page, "thead{display:table-header-group}tr{break-inside:avoid}");
    has(page, "@page{size:A4");
    assert_true(strstr(page, "姓名") <
                strstr(page, "</thead>")); /* who it is, on every sheet */
    assert_true(strstr(page, "审核者") > strstr(page, "</table>"));
    sheet_close(s);
}

static void
a_page_that_does_not_fit_is_refused_and_nothing_is_written_past_the_end(void **state)
{
    struct sheet *s = sheet_open("laboratory", HR_LAB);
    (void)state;
    add_item(s, "LAB.K", "钾", "4.1");
    (void)print(s);
    size_t whole = s->page.count;
    for (size_t max = 0; max < whole; max++) {
        s->page.max = max;
        s->page.bytes[max] = 0xa5;
        report_page_begin(&s->page, "报告单");
        report_page_form(&s->page, &s->form);
        assert_int_equal(report_page_end(&s->page), STATUS_TOO_BIG);
        assert_true(s->page.count <= max);
        assert_int_equal(s->page.bytes[max], 0xa5);
    }
    s->page.max = whole;
    (void)print(s);
    sheet_close(s);
}

static void
the_age_is_in_completed_years_on_the_day_of_the_examination(void **state)
{
    static const char *const cases[][2] = {
        {"1949-11-20", "年龄</b>77岁"}, {"1949-11-21", "年龄</b>76岁"},
        {"1949", "年龄</b>77岁"},       {"2026-11-01", "年龄</b>2026-11-01 出生"},
        {"", "年龄</b></div>"},         {"2030-01-01", "年龄</b>2030-01-01 出生"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sheet *s = sheet_open("laboratory", HR_LAB);
        s->patient.birth_date = text_of(cases[i][0]);
        has(print(s), cases[i][1]);
        sheet_close(s);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_laboratory_form_has_every_field_of_annex_3_in_its_order),
        cmocka_unit_test(a_field_that_nobody_states_stands_there_empty),
        cmocka_unit_test(an_imaging_report_has_findings_and_impression_with_their_lines),
        cmocka_unit_test(each_pack_has_its_mark_in_its_place_with_its_footnote),
        cmocka_unit_test(a_page_without_marks_or_charter_or_not_to_be_released_bears_none),
        cmocka_unit_test(a_claim_is_listed_as_a_claim_and_taken_out_of_the_name),
        cmocka_unit_test(no_text_from_outside_becomes_markup_or_stays_unprintable),
        cmocka_unit_test(the_page_fetches_nothing_and_runs_nothing),
        cmocka_unit_test(many_rows_stand_in_one_table_whose_head_repeats),
        cmocka_unit_test(
            a_page_that_does_not_fit_is_refused_and_nothing_is_written_past_the_end),
        cmocka_unit_test(the_age_is_in_completed_years_on_the_day_of_the_examination),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
