#include "node/policy_explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text under construction; a failed allocation makes the rest do nothing. */
struct page {
    char *bytes;
    size_t size, capacity;
    bool failed;
    bool english;
};

__attribute__((format(printf, 2, 3))) static void
put(struct page *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int needed = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (needed < 0 || p->failed) {
        p->failed = true;
        return;
    }
    if (p->capacity - p->size <= (size_t)needed) {
        size_t capacity = (p->capacity + (size_t)needed + 1) * 2;
        char *bytes = realloc(p->bytes, capacity);
        if (bytes == NULL) {
            p->failed = true;
            return;
        }
        p->bytes = bytes;
        p->capacity = capacity;
    }
    va_start(arguments, format);
    vsnprintf(p->bytes + p->size, p->capacity - p->size, format, arguments);
    va_end(arguments);
    p->size += (size_t)needed;
}

static enum status
finish(struct page *p, char **out)
{
    *out = NULL;
    if (p->failed || p->bytes == NULL) {
        free(p->bytes);
        return STATUS_NO_MEMORY;
    }
    *out = p->bytes;
    return STATUS_OK;
}

/* For "%.*s" of a text from a pack or the catalog, which were checked. */
#define TEXT(t) (int)(t).size, (t).bytes

static struct hr_text
words(const struct page *p, const struct hr_rule *rule)
{
    return p->english ? rule->en : rule->zh;
}

static const char *
say(const struct page *p, const char *zh, const char *en)
{
    return p->english ? en : zh;
}

/* The verdict and its name in the contract, the same in both languages. */
static const char *
verdict_name(const struct page *p, enum hr_verdict verdict)
{
    static const char *const zh[] = {"无适用规则 (no_rule)", "排除 (barred)", "可以 (may)",
                                     "原则上认可 (should)", "应当 (must)"};
    return p->english ? hr_verdict_name(verdict) : zh[verdict];
}

static const char *
reason_name(const struct page *p, enum hr_reason reason)
{
    static const char *const zh[] = {"未填", "符合", "不完整", "不符合"};
    return p->english ? hr_reason_name(reason) : zh[reason];
}

static void
put_rule(struct page *p, const char *lead, const struct hr_rule *rule)
{
    struct hr_text text = words(p, rule);
    put(p, "%s%.*s\n      [%.*s · %.*s]\n", lead, TEXT(text), TEXT(rule->citation),
        TEXT(rule->id));
}

static void
put_heading(struct page *p, const char *zh, const char *en)
{
    put(p, "\n%s\n", say(p, zh, en));
}

/* A text that came with the input: control characters must not reach a page. */
static void
put_code(struct page *p, struct hr_text code)
{
    for (size_t i = 0; i < code.size && i < 64; i++) {
        unsigned char c = (unsigned char)code.bytes[i];
        put(p, "%c", c < 0x20 || c >= 0x7f ? '?' : c);
    }
}

static void
put_head(struct page *p, const struct hr_pack *pack, const struct hr_catalog *catalog,
         const struct hr_policy_input *input, const struct hr_decision *d)
{
    struct hr_text title = hr_pack_title(pack, p->english);
    const struct hr_item *item =
        input->item.bytes == NULL ? NULL : hr_catalog_by_code(catalog, input->item);
    put(p, "%.*s\n%.*s · %.*s\n", TEXT(title), TEXT(hr_pack_document(pack)),
        TEXT(hr_pack_id(pack)));
    put(p, "%s", say(p, "项目：", "item: "));
    if (item != NULL) {
        struct hr_text name = p->english ? item->name_en : item->name_zh;
        put(p, "%.*s (%.*s)\n", TEXT(name), TEXT(item->code));
    } else if (input->item.bytes == NULL) {
        put(p, "%s\n", say(p, "未对照到目录", "not mapped to the catalog"));
    } else {
        put_code(p, input->item);
        put(p, "%s\n", say(p, "（目录中没有）", " (not in the catalog)"));
    }
    put(p, "\n%s%s — %s\n", say(p, "结论：", "verdict: "), verdict_name(p, d->verdict),
        hr_verdict_words(d->verdict, p->english));
    if (d->at_best != d->verdict) {
        put(p, "%s%s — %s\n", say(p, "未知项若都成立：", "if every unknown turned out well: "),
            verdict_name(p, d->at_best), hr_verdict_words(d->at_best, p->english));
    }
    put(p, "%s\n",
        d->recognize
            ? say(p, "默认选项：互认（由医师确认）",
                  "pre-selected: recognize (the physician confirms)")
            : say(p, "不作预选，请医师选择", "nothing is pre-selected; please choose"));
}

static void
put_checks(struct page *p, const struct hr_pack *pack, const struct hr_decision *d,
           enum hr_value value)
{
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        const struct hr_rule *rule = hr_pack_check_rule(pack, (enum hr_check)i);
        if (d->checks[i] != value || rule == NULL) {
            continue;
        }
        put_rule(p, "  - ", rule);
        if (value == HR_UNKNOWN) {
            put(p, "      %s%s\n", say(p, "如何补齐：", "what would settle it: "),
                hr_check_settle((enum hr_check)i, p->english));
        }
        if (d->caps[i] < HR_MUST) {
            put(p, "      %s%s\n", say(p, "结论因此至多为：", "so the verdict is at most: "),
                verdict_name(p, d->caps[i]));
        }
    }
}

static bool
any_check(const struct hr_decision *d, enum hr_value value)
{
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        if (d->checks[i] == value) {
            return true;
        }
    }
    return false;
}

static void
put_scopes(struct page *p, const struct hr_pack *pack, const struct hr_decision *d)
{
    put_heading(p, "互认范围", "scopes");
    for (size_t i = 0; i < hr_pack_scope_count(pack); i++) {
        enum hr_verdict force = HR_NO_RULE;
        const struct hr_rule *rule = hr_pack_scope_rule(pack, i, &force);
        const char *sign = d->scopes[i] == HR_TRUE    ? "  + "
                           : d->scopes[i] == HR_FALSE ? "  - "
                                                      : "  ? ";
        put_rule(p, sign, rule);
    }
}

static void
put_duties(struct page *p, const struct hr_duty *const *duties, size_t count,
           const struct hr_duty *fee)
{
    for (size_t i = 0; i < count; i++) {
        put_rule(p, "  - ", &duties[i]->rule);
    }
    if (fee != NULL) {
        put_rule(p, say(p, "  - 收费：", "  - billing: "), &fee->rule);
    }
    if (count == 0 && fee == NULL) {
        put(p, "  %s\n", say(p, "无", "nothing"));
    }
}

static void
put_reasons(struct page *p, const struct hr_pack *pack, const struct hr_decision *d)
{
    if (d->repeat == HR_FREE) {
        put(p, "  %s\n", say(p, "可以自行决定，不需理由", "free; no reason is needed"));
        return;
    }
    put(p, "  %s\n",
        d->repeat == HR_LISTED_REASON
            ? say(p, "需要下列情形之一：", "one of these reasons is needed:")
            : say(p, "需要写明理由，例如：", "a reason is needed, such as:"));
    for (size_t i = 0; i < hr_pack_exception_count(pack); i++) {
        const struct hr_exception *e = hr_pack_exception(pack, i);
        struct hr_text text = words(p, &e->rule);
        put(p, "    %.*s  %.*s [%.*s]\n", TEXT(e->code), TEXT(text), TEXT(e->rule.citation));
    }
    if (d->reason != HR_REASON_NONE) {
        put(p, "  %s%s%s%s\n", say(p, "所填理由：", "the reason given: "),
            reason_name(p, d->reason),
            d->missing_note ? say(p, "；缺说明", "; a note is missing") : "",
            d->missing_sign_off
                ? say(p, "；缺中级职称以上医师签字", "; the signature of a senior is missing")
                : "");
    }
}

enum status
policy_explain_page(const struct hr_pack *pack, const struct hr_catalog *catalog,
                    const struct hr_policy_input *input, bool english, char **out)
{
    struct page p = {.english = english};
    struct hr_decision d;
    hr_decide(pack, catalog, input, &d);
    put_head(&p, pack, catalog, input, &d);
    if (any_check(&d, HR_FALSE)) {
        put_heading(&p, "不符合的条件", "conditions that are not met");
        put_checks(&p, pack, &d, HR_FALSE);
    }
    if (any_check(&d, HR_UNKNOWN)) {
        put_heading(&p, "未知的条件", "conditions that are not known");
        put_checks(&p, pack, &d, HR_UNKNOWN);
    }
    put_scopes(&p, pack, &d);
    put_heading(&p, "若予互认", "if recognized");
    if (d.form_rule != NULL) {
        put_rule(&p, say(&p, "  - 形式：", "  - form: "), d.form_rule);
    }
    put_duties(&p, d.if_recognized, d.recognized_count, d.fee_if_recognized);
    put_heading(&p, "若需复查", "if repeated");
    put_reasons(&p, pack, &d);
    put_duties(&p, d.if_repeated, d.repeated_count, d.fee_if_repeated);
    struct hr_text gaps = hr_pack_gaps(pack, english);
    if (gaps.size > 0) {
        put(&p, "\n%s%.*s\n", say(&p, "本规则包的说明：", "about these rules: "), TEXT(gaps));
    }
    put(&p, "\n%s\n",
        say(&p, "是否互认由接诊医师判断；本页只说明规则的要求。",
            "The treating physician decides; this page says what the rules ask."));
    return finish(&p, out);
}

enum status
policy_explain_table(const struct hr_pack *pack, const struct hr_catalog *catalog,
                     const struct hr_policy_input *input, bool english, char **out)
{
    struct page p = {.english = english};
    struct hr_decision d;
    hr_decide(pack, catalog, input, &d);
    put(&p, "%s\n",
        say(&p, "检查\t结果\t结论上限\t规则\t出处\t内容",
            "check\tvalue\tcap\trule\tcitation\ttext"));
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        const struct hr_rule *rule = hr_pack_check_rule(pack, (enum hr_check)i);
        if (rule == NULL) {
            continue;
        }
        struct hr_text text = words(&p, rule);
        put(&p, "%s\t%s\t%s\t%.*s\t%.*s\t%.*s\n", hr_check_name((enum hr_check)i),
            hr_value_name(d.checks[i]), d.caps[i] < HR_MUST ? hr_verdict_name(d.caps[i]) : "-",
            TEXT(rule->id), TEXT(rule->citation), TEXT(text));
    }
    put(&p, "verdict\t%s\t-\t-\t-\t%s\n", hr_verdict_name(d.verdict),
        hr_verdict_words(d.verdict, english));
    put(&p, "at_best\t%s\t-\t-\t-\t%s\n", hr_verdict_name(d.at_best),
        hr_verdict_words(d.at_best, english));
    return finish(&p, out);
}
