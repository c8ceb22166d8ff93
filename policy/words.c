/* Names of the contract, and words for people. */
#include "policy/policy.h"

static const char *const check_names[HR_CHECK_COUNT] = {
#define CHECK_NAME(code, name) [code] = name,
    HR_CHECK_MAP(CHECK_NAME)
#undef CHECK_NAME
};

const char *
hr_check_name(enum hr_check check)
{
    return check < HR_CHECK_COUNT ? check_names[check] : "";
}

const char *
hr_value_name(enum hr_value value)
{
    static const char *const names[] = {"unknown", "false", "true", "not_applicable",
                                        "not_in_pack"};
    return names[value];
}

const char *
hr_verdict_name(enum hr_verdict verdict)
{
    static const char *const names[] = {"no_rule", "barred", "may", "should", "must"};
    return names[verdict];
}

const char *
hr_form_name(enum hr_form form)
{
    static const char *const names[] = {"direct", "reread_reissue", "direct_or_reread_reissue"};
    return names[form];
}

const char *
hr_repeat_name(enum hr_repeat repeat)
{
    static const char *const names[] = {"free", "reason", "listed_reason"};
    return names[repeat];
}

const char *
hr_reason_name(enum hr_reason reason)
{
    static const char *const names[] = {"none", "accepted", "incomplete", "rejected"};
    return names[reason];
}

const char *
hr_kind_name(enum hr_kind kind)
{
    static const char *const names[] = {"none", "lab", "imaging", "pathology"};
    return names[kind];
}

const char *
hr_verdict_words(enum hr_verdict verdict, bool english)
{
    static const char *const words[][2] = {
        [HR_NO_RULE] = {"本规则不适用于这两家机构或该结果，由医师自行判断",
                        "these rules do not cover this case; the physician judges freely"},
        [HR_BARRED] =
            {"规则明文排除互认；医师仍可参考该结果",
             "the rules exclude recognition; the physician may still read the result"},
        [HR_MAY] = {"可以互认，由医师自行选择", "may be recognized, at the physician's choice"},
        [HR_SHOULD] = {"原则上应予认可；不认可时写明理由",
                       "recognized in principle; a repeat needs a reason"},
        [HR_MUST] = {"应当互认；确需复查时记录规则所列的情形",
                     "to be recognized; a repeat needs one of the listed reasons"},
    };
    return words[verdict][english];
}

/* zh, en: what the check asks; zh, en: what would settle it when unknown. */
static const char *const check_words[HR_CHECK_COUNT][4] = {
    [HR_IN_FORCE] = {"规则已生效", "the rules are in force",
                     "请主管部门确认生效日期并签署政策文件",
                     "the authority enters the date of entry into force in the signed policy"},
    [HR_ISSUER_TERRITORY] = {"出具机构在辖区内", "the issuer is in the territory",
                             "成员名册补充出具机构的行政区划代码",
                             "the roster gives the issuer's territory code"},
    [HR_ISSUER_CLASS] = {"出具机构属于规定类别", "the issuer is of the class named",
                         "成员名册补充出具机构的级别、等次和所有制",
                         "the roster gives the issuer's level, grade and ownership"},
    [HR_ISSUER_LISTED] = {"出具机构在互认名单内", "the issuer is on the list",
                          "取得包含出具机构的最新互认机构名单",
                          "the current list of institutions, with the issuer"},
    [HR_ISSUER_STANDING] = {"出具机构未被暂停、退出或整改",
                            "the issuer is not suspended, exited or rectifying",
                            "取得出具机构当前的名单状态",
                            "the issuer's current status on the list"},
    [HR_RECEIVER_TERRITORY] = {"接诊机构在辖区内", "the receiver is in the territory",
                               "成员名册补充接诊机构的行政区划代码",
                               "the roster gives the receiver's territory code"},
    [HR_RECEIVER_CLASS] = {"接诊机构属于规定类别", "the receiver is of the class named",
                           "成员名册补充接诊机构的级别、等次和所有制",
                           "the roster gives the receiver's level, grade and ownership"},
    [HR_RECEIVER_LISTED] = {"接诊机构在互认名单内", "the receiver is on the list",
                            "取得包含接诊机构的最新互认机构名单",
                            "the current list of institutions, with the receiver"},
    [HR_ISSUER_NOT_RECTIFYING] = {"检查时出具机构不在整改期",
                                  "the issuer was not rectifying on the day of examination",
                                  "取得检查日期及当日出具机构的名单状态",
                                  "the examination date, and the issuer's status on that day"},
    [HR_SCOPE] = {"属于规定的互认范围", "the pair of institutions is in a scope",
                  "成员名册补充双方的级别、所有制、评估和医联体",
                  "the roster gives level, ownership, assessment and alliances of both sides"},
    [HR_ITEM_LISTED] = {"项目在互认清单内", "the item is on the list",
                        "把本院项目对照到目录编码，或装入已签署的项目清单",
                        "a code map to the catalog, or the signed item list (annex)"},
    [HR_USABLE] = {"结果未被撤销", "the result is not cancelled", "向出具机构核实报告状态",
                   "the issuer states the status of the report"},
    [HR_FINAL] = {"结果为终审报告", "the result is final", "向出具机构核实报告状态",
                  "the issuer states the status of the report"},
    [HR_EXAMINED_BEFORE_DECISION] = {"检查时间早于决定时间",
                                     "the examination was before the decision",
                                     "取得采样或检查时间",
                                     "the time of sampling or examination"},
    [HR_MADE_IN_FORCE] = {"检查时规则已生效",
                          "the result was made while the rules were in force",
                          "取得采样或检查时间", "the time of sampling or examination"},
    [HR_WINDOW] = {"在参考时限内", "the result is within its time limit",
                   "取得正确的采样或检查日期", "a plausible date of sampling or examination"},
    [HR_QUALITY] = {"质量评价合格", "the quality assessment was passed",
                    "取得检查日期和该机构该项目的室间质评结果",
                    "the examination date and the issuer's assessment rounds for this item"},
    [HR_INSPECTION] = {"未因交叉质控检查不合格停止互认",
                       "no failed cross inspection stands against the issuer",
                       "取得主管部门对该机构质控检查结果的决定",
                       "the authority's decision on the issuer's inspection"},
    [HR_MARKED] = {"报告带有互认标识", "the report carries the mark",
                   "查看原报告上的互认标识和注释",
                   "the printed report, for its mark and footnote"},
    [HR_IMAGES] = {"影像资料可以调阅", "the images can be retrieved", "确认影像能否调阅",
                   "whether the images can be retrieved"},
    [HR_FULL_FORCE] = {"项目具有完全互认效力", "the item has the full force of the list", "无",
                       "nothing"},
    [HR_METHOD_AND_INTERVAL] = {"报告载明检测方法和参考区间",
                                "method and reference interval are printed",
                                "查看报告是否载明检测方法和参考区间",
                                "the report, for method and reference interval"},
    [HR_REVIEWED] = {"报告经规定的医师审核", "the report was reviewed as the rules ask",
                     "查看报告的书写者和审核者签名", "the signatures of writer and reviewer"},
    [HR_PROTOCOL] = {"序列、平面和期相齐全", "sequences, planes and phases are complete",
                     "由影像科医师确认序列、平面和期相",
                     "a radiologist confirms sequences, planes and phases"},
    [HR_SIDE] = {"检查侧别与医嘱一致", "the side is the one asked for",
                 "核对原检查的侧别，侧别矛盾时联系出具机构",
                 "the side that was examined; if it contradicts the code, ask the issuer"},
    [HR_SITE] = {"检查部位与医嘱一致", "the part is the one asked for", "核对原检查的具体部位",
                 "the part of the body that was examined"},
};

const char *
hr_check_title(enum hr_check check, bool english)
{
    return check < HR_CHECK_COUNT ? check_words[check][english] : "";
}

const char *
hr_check_settle(enum hr_check check, bool english)
{
    return check < HR_CHECK_COUNT ? check_words[check][2 + english] : "";
}
