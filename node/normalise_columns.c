/* The documented header of CSV files (see normalise_csv.h). */
#include <stdio.h>
#include <string.h>

#include "node/normalise_csv.h"
#include "node/normalise_parts.h"
#include "proto/text.h"

/* Names of each column, separated by blanks, the first being ours.  Compared
 * without case, blanks, underlines, hyphens and signs of punctuation. */
static const char *const names[COLUMN_COUNT] = {
    [COLUMN_REPORT_ID] = "report_id 报告单号 报告编号 报告号 报告ID 报告单编号 检验单号 检查号 "
                         "检验编号 检查编号 报告流水号 result_id filler_id",
    [COLUMN_SPECIMEN_ID] = "specimen_id 标本号 样本号 条码号 标本编号 样本编号 条形码",
    [COLUMN_KIND] = "kind 报告类别 类别 报告类型 检查类型 类型",
    [COLUMN_STATUS] = "status 状态 报告状态 结果状态 observation_result_status result_status",
    [COLUMN_ORDER_STATUS] = "order_status 医嘱状态 order_result_status test_result_status",
    [COLUMN_RESIDENT_CARD] = "resident_card 身份证号 身份证 身份证号码 居民身份证号 id_card",
    [COLUMN_IDENTIFIER_TYPE] = "identifier_type 证件类型 证件类别 身份证件类型 身份证件类别",
    [COLUMN_IDENTIFIER] = "identifier 证件号码 证件号 身份证件号码",
    [COLUMN_COUNTRY] = "country 国籍 签发国 发证国家",
    [COLUMN_PATIENT_ID] =
        "patient_id 患者编号 患者ID 病人号 病人ID 病历号 病案号 门诊号 住院号 "
        "患者号 就诊卡号 mrn",
    [COLUMN_NAME] = "name 姓名 患者姓名 病人姓名 patient_name",
    [COLUMN_FAMILY_NAME] = "family_name last_name patient_last_name 姓",
    [COLUMN_GIVEN_NAME] = "given_name first_name patient_first_name 名",
    [COLUMN_SEX] = "sex 性别 patient_sex gender patient_gender",
    [COLUMN_BIRTH_DATE] = "birth_date 出生日期 出生年月 patient_dob dob patient_date_of_birth",
    [COLUMN_ITEM] = "item 规范代码 互认代码 互认项目代码 标准代码 canonical_code",
    [COLUMN_LOCAL_CODE] = "local_code 项目代码 项目编码 检验项目代码 检验项目编码 检查项目代码 "
                          "项目编号 test_code ordered_test_code code",
    [COLUMN_SYSTEM] = "system 编码体系 代码体系 编码系统 code_system",
    [COLUMN_LOINC] = "loinc loinc_code LOINC编码 LOINC代码",
    [COLUMN_ITEM_NAME] = "item_name 项目名称 检验项目 检验项目名称 项目 test_name 指标名称",
    [COLUMN_VALUE] = "value 结果 检验结果 结果值 测定值 定量结果 result test_result "
                     "test_result_code 检测结果",
    [COLUMN_OBSERVATION] = "observation",
    [COLUMN_UNIT] = "unit 单位 计量单位 结果单位 units",
    [COLUMN_REFERENCE] = "reference 参考范围 参考区间 参考值 参考值范围 reference_range",
    [COLUMN_REFERENCE_LOW] = "reference_low 参考下限 参考值下限 参考范围下限",
    [COLUMN_REFERENCE_HIGH] = "reference_high 参考上限 参考值上限 参考范围上限",
    [COLUMN_FLAGS] = "flags 异常标志 异常提示 标志 结果提示 高低标志 异常 abnormal_flag flag",
    [COLUMN_CRITICAL] = "critical 危急值 是否危急值 危急值标志",
    [COLUMN_EXAMINED_AT] =
        "examined_at 采样时间 采集时间 标本采集时间 采样日期 检查时间 检查日期 检验时间 "
        "检验日期 "
        "测定时间 collection_date collected_at test_time specimen_collection_date_time "
        "specimen_collection_date",
    [COLUMN_REPORTED_AT] = "reported_at 报告时间 报告日期 审核时间 发布时间 result_date "
                           "date_result_released report_date",
    [COLUMN_SPECIMEN] = "specimen 标本 标本类型 标本类别 标本种类 样本类型 specimen_type "
                        "specimen_type_code",
    [COLUMN_METHOD] = "method 方法 检验方法 检测方法",
    [COLUMN_DEVICE] = "device 仪器 设备 检验仪器 检查设备 device_id",
    [COLUMN_NOTE] = "note 备注 说明 notes",
    [COLUMN_SERVICE] = "service 检查项目 检查项目名称 医嘱名称 组合名称 医嘱项目 检查名称",
    [COLUMN_DEPARTMENT] = "department 科室 报告科室 执行科室 检验科室 检查科室",
    [COLUMN_PLACER_ID] = "placer_id 申请单号 医嘱号 申请号 申请单编号",
    [COLUMN_ORDERER] = "orderer 申请医师 申请医生 开单医生 送检医生 送检医师",
    [COLUMN_AUTHOR] = "author 报告医师 报告医生 检验者 检验医师 报告人 检验人 检验技师 操作者",
    [COLUMN_REVIEWER] = "reviewer 审核医师 审核医生 审核者 审核人",
    [COLUMN_FINDINGS] = "findings 检查所见 影像所见 影像表现 影像学表现 超声所见 所见 镜下所见",
    [COLUMN_IMPRESSION] =
        "impression 检查结论 检查印象 诊断意见 影像诊断 检查诊断 超声提示 印象 "
        "结论 病理诊断 诊断结论",
    [COLUMN_SIDE] = "side 侧别 左右",
    [COLUMN_BODY_SITE] = "body_site 检查部位 部位 specimen_site",
    [COLUMN_STUDY_UID] = "study_uid 检查实例号 studyinstanceuid",
    [COLUMN_ACCESSION] = "accession 影像号 检查流水号 accession_number",
    [COLUMN_SENDER] = "sender 来源 来源系统 系统 sending_application",
    [COLUMN_PROCESSING] = "processing processing_mode_code",
    [COLUMN_HELD] =
        "held hold confidential confidentiality 保密 是否保密 隐私 隐私保护 限制共享",
    [COLUMN_MARK] =
        "mark 互认标识 互认标志 互认标记 互认 是否互认 结果互认 互认结果标识 HR标识 "
        "recognition_mark",
};

/* Lower case, without what people write differently. */
static size_t
plain(struct view v, char *out, size_t cap)
{
    size_t n = 0;
    for (size_t at = 0; at < v.count;) {
        uint32_t p = 0;
        size_t length = text_next(v, at, &p);
        length = length == 0 ? 1 : length;
        bool letter =
            (p >= 'a' && p <= 'z') || (p >= 'A' && p <= 'Z') || (p >= '0' && p <= '9');
        bool wide = p >= 0x3400 && p <= 0x9FFF;
        if ((letter || wide) && length < cap - n) {
            memcpy(out + n, v.bytes + at, length);
            out[n] = (char)(p >= 'A' && p <= 'Z' ? out[n] + 32 : out[n]);
            n += length;
        }
        at += length;
    }
    out[n] = '\0';
    return n;
}

static bool
is_named(enum csv_column c, const char *header)
{
    char alias[64];
    for (const char *at = names[c]; *at != '\0';) {
        size_t n = strcspn(at, " ");
        plain((struct view){(const uint8_t *)at, n}, alias, sizeof alias);
        if (strcmp(alias, header) == 0) {
            return true;
        }
        at += n;
        at += strspn(at, " ");
    }
    return false;
}

static void
append(char *list, size_t cap, struct view name)
{
    char shown[64];
    size_t n = strlen(list);
    text_show(name, shown, sizeof shown);
    snprintf(list + n, cap - n, "%s%s", n == 0 ? "" : ", ", shown);
}

static bool
any(const struct csv_header *h, const enum csv_column *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (h->at[list[i]] >= 0) {
            return true;
        }
    }
    return false;
}

static void
find_missing(const struct csv_header *h, char *missing, size_t cap)
{
    static const enum csv_column report[] = {COLUMN_REPORT_ID, COLUMN_SPECIMEN_ID};
    static const enum csv_column patient[] = {COLUMN_RESIDENT_CARD, COLUMN_IDENTIFIER,
                                              COLUMN_PATIENT_ID, COLUMN_NAME,
                                              COLUMN_FAMILY_NAME};
    static const enum csv_column item[] = {COLUMN_ITEM,        COLUMN_LOCAL_CODE,
                                           COLUMN_LOINC,       COLUMN_ITEM_NAME,
                                           COLUMN_OBSERVATION, COLUMN_SERVICE};
    static const enum csv_column value[] = {COLUMN_VALUE, COLUMN_OBSERVATION, COLUMN_FINDINGS,
                                            COLUMN_IMPRESSION};
    static const enum csv_column time[] = {COLUMN_EXAMINED_AT};
    static const struct {
        const enum csv_column *list;
        size_t count;
        const char *text;
    } needs[] = {
        {report, 2, "report_id (报告单号)"},
        {patient, 5, "identifier (证件号码) or patient_id (病历号)"},
        {item, 6, "item or local_code (项目代码) or item_name (项目名称)"},
        {value, 4, "value (结果) or findings (检查所见)"},
        {time, 1, "examined_at (采样时间 or 检查时间)"},
    };
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
        if (!any(h, needs[i].list, needs[i].count)) {
            append(missing, cap, text_view(needs[i].text));
        }
    }
}

bool
csv_header_read(const struct csv_row *row, struct csv_header *h, char *unknown, char *missing,
                size_t cap)
{
    h->cells = row->count;
    unknown[0] = missing[0] = '\0';
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        h->at[c] = -1;
    }
    for (size_t i = 0; i < row->count; i++) {
        char header[96];
        bool found = false;
        plain(row->cells[i], header, sizeof header);
        for (size_t c = 0; c < COLUMN_COUNT && header[0] != '\0'; c++) {
            if (is_named((enum csv_column)c, header)) {
                found = true;
                h->at[c] = h->at[c] < 0 ? (int32_t)i : h->at[c];
            }
        }
        if (!found && row->cells[i].count > 0) {
            append(unknown, cap, row->cells[i]);
        }
    }
    find_missing(h, missing, cap);
    return missing[0] == '\0';
}

struct view
csv_cell(const struct csv_header *h, const struct csv_row *row, enum csv_column c)
{
    static const uint8_t nothing[1];
    if (h->at[c] < 0 || (size_t)h->at[c] >= row->count) {
        return (struct view){nothing, 0};
    }
    struct view v = row->cells[h->at[c]];
    if (v.count > 1 && v.bytes[0] == '\'') { /* a spreadsheet's mark for "this is text" */
        v.bytes++;
        v.count--;
    }
    return is_placeholder(v) ? (struct view){nothing, 0} : v;
}

void
csv_header_describe(void (*line)(void *user, const char *text), void *user)
{
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        line(user, names[c]);
    }
}
