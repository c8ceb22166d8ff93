/* Goal: what Chinese systems send becomes the reports that it means.
 * Method: our own messages after INTERFACES.md section 2, one test for each rule
 * of 1.5 to 1.10, 3 and 4; GB 18030 by re-encoding; random damage. */
#include "tests/normalise_fixture.h"

#include <iconv.h>

#define MSH "MSH|^~\\&|LIS|县医院|ESB|平台|20240301120000||ORU^R01^ORU_R01|7|P|2.5.1\r"
#define PID "PID|1||MZ001^^^^PI~11010519491231002X^^^^NNCHN||张  晋||19491231|男\r"
#define OBR                                                                                    \
    "OBR|1|SQ1|BG1|BC^血常规|||20240301080300|||||||20240301081000||||||||20240301110000||" \
    "HM|F\r"

static void
test_a_plain_report_is_published(void **state)
{
    (void)state;
    struct outcome o =
        run(MSH PID OBR "OBX|1|NM|6690-2^白细胞^LN||6.50|10\\S\\9/L|3.5-9.5|N|||F\r"
                        "OBX|2|NM|2823-3^钾^LN||7.1|mmol/L|3.5-5.3|HH|||F|||20240301090000\r");
    assert_int_equal(json_array_size(o.reports), 1);
    EXPECT(&o, "0.action", "publish");
    EXPECT(&o, "0.source", "file:1");
    EXPECT(&o, "0.report_id", "BG1");
    EXPECT(&o, "0.placer_id", "SQ1");
    EXPECT(&o, "0.kind", "laboratory");
    EXPECT(&o, "0.status", "final");
    EXPECT(&o, "0.examined_at", "2024-03-01T08:03:00+08:00");
    EXPECT(&o, "0.reported_at", "2024-03-01T11:00:00+08:00");
    EXPECT(&o, "0.patient.name", "张晋");
    EXPECT(&o, "0.patient.sex", "M");
    EXPECT(&o, "0.patient.birth_date", "1949-12-31");
    EXPECT(&o, "0.patient.identifiers.0.type", "PI");
    EXPECT(&o, "0.patient.identifiers.0.usable", "");
    EXPECT(&o, "0.patient.identifiers.1.type", "RI");
    EXPECT(&o, "0.patient.identifiers.1.value", "11010519491231002X");
    EXPECT(&o, "0.patient.identifiers.1.usable", "true");
    EXPECT(&o, "0.items.0.code", "LAB.WBC");
    EXPECT(&o, "0.items.0.local_code", "6690-2");
    EXPECT(&o, "0.items.0.value", "6.50");
    EXPECT(&o, "0.items.0.unit", "10^9/L");
    EXPECT(&o, "0.items.0.examined_at", "2024-03-01T08:03:00+08:00");
    EXPECT(&o, "0.items.1.code", "LAB.K");
    EXPECT(&o, "0.items.1.critical", "true");
    EXPECT(&o, "0.items.1.flags.0", "HH");
    EXPECT(&o, "0.items.1.examined_at", "2024-03-01T09:00:00+08:00");
    outcome_free(&o);
}

static void
test_marks_of_a_source_are_claims_wherever_they_stand(void **state)
{
    (void)state;
    struct outcome o =
        run(MSH PID OBR "OBX|1|NM|2823-3^★钾^LN||4.1|mmol/L|3.5-5.3||||F\r"
                        "OBX|2|NM|2951-2^ * 钠（鄂HR）^LN||140|mmol/L|137-147||||F\r"
                        "NTE|1||互认标识：川渝HR\rNTE|2||溶血\r"
                        "OBX|3|NM|2075-0^氯 互认^LN||101|mmol/L|99-110|鄂HR|||F\r"
                        "OBX|4|NM|8867-4^心率(HR)^LN||80|/min|||||F\r"
                        "OBX|5|ST|57290-9^HLA-B*27^LN||阳性||||||F\r"
                        "OBX|6|ST|X1^★^L||1||||||F\r"
                        "OBX|7|ST|HR^互认标识^L||是||||||F\r");
    EXPECT(&o, "0.items.0.code", "LAB.K");
    EXPECT(&o, "0.items.0.name", "钾");
    EXPECT(&o, "0.items.0.claimed_marks.0", "★");
    EXPECT(&o, "0.items.1.name", "钠");
    EXPECT(&o, "0.items.1.claimed_marks.0", "*");
    EXPECT(&o, "0.items.1.claimed_marks.1", "鄂HR");
    EXPECT(&o, "0.items.1.claimed_marks.2", "川渝HR");
    EXPECT(&o, "0.items.1.note", "溶血");
    EXPECT(&o, "0.items.2.name", "氯");
    EXPECT(&o, "0.items.2.claimed_marks.0", "互认");
    EXPECT(&o, "0.items.2.claimed_marks.1", "鄂HR");
    EXPECT(&o, "0.items.2.flags.0", "");
    EXPECT(&o, "0.items.3.name", "心率(HR)"); /* a heart rate */
    EXPECT(&o, "0.items.3.claimed_marks.0", "");
    EXPECT(&o, "0.items.4.name", "HLA-B*27"); /* an allele */
    EXPECT(&o, "0.items.4.claimed_marks.0", "");
    EXPECT(&o, "0.items.5.name", "★"); /* else no name would be left */
    EXPECT(&o, "0.items.6.name", "");  /* the row of the mark is no result */
    EXPECT(&o, "0.claimed_marks.0", "互认");
    outcome_free(&o);
    o = run("报告单号,身份证号,姓名,项目代码,项目名称,编码体系,结果,单位,采样时间,互认标识\n"
            "B1,11010519491231002X,张晋,2823-3,钾,LN,4.1,mmol/L,2024-03-01 08:03,★\n"
            "B1,11010519491231002X,张晋,2951-2,钠,LN,140,mmol/L,2024-03-01 08:03,否\n"
            "B1,11010519491231002X,张晋,2075-0,[互认]氯,LN,101,mmol/L,2024-03-01 08:03,是\n");
    EXPECT(&o, "0.items.0.claimed_marks.0", "★");
    EXPECT(&o, "0.items.1.claimed_marks.0", "");
    EXPECT(&o, "0.items.2.name", "氯");
    EXPECT(&o, "0.items.2.claimed_marks.0", "互认");
    EXPECT(&o, "0.items.2.claimed_marks.1", "");
    outcome_free(&o);
}

/* ORC-28 (table 0177), PD1-12, a column; what is usual care holds nothing. */
static void
test_what_is_confidential_is_held(void **state)
{
    (void)state;
    static const struct {
        const char *before_obr, *held;
    } cases[] = {{"", ""},
                 {"ORC|RE||||||||||||||||||||||||||||R\r", ""}, /* field 29 */
                 {"ORC|RE|||||||||||||||||||||||||||R^Restricted\r", "true"},
                 {"ORC|RE|||||||||||||||||||||||||||HIV\r", "true"},
                 {"ORC|RE|||||||||||||||||||||||||||u\r", ""},
                 {"ORC|RE|||||||||||||||||||||||||||\"\"\r", ""},
                 {"PD1||||||||||||Y\r", "true"},
                 {"PD1||||||||||||N\r", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        snprintf(text, sizeof text, "%s%s%s%sOBX|1|NM|2823-3^钾^LN||4.1|mmol/L|||||F\r", MSH,
                 PID, cases[i].before_obr, OBR);
        struct outcome o = run(text);
        EXPECT(&o, "0.action", "publish");
        EXPECT(&o, "0.held", cases[i].held);
        outcome_free(&o);
    }
    struct outcome o = run("报告单号,身份证号,item,结果,采样时间,保密\n"
                           "1,11010519491231002X,LAB.K,4.1,2024-03-01,\n"
                           "2,11010519491231002X,LAB.K,4.1,2024-03-01,是\n"
                           "2,11010519491231002X,LAB.NA,140,2024-03-01,否\n"
                           "3,11010519491231002X,LAB.K,4.1,2024-03-01,否\n");
    EXPECT(&o, "0.held", "");
    EXPECT(&o, "1.held", "true");
    EXPECT(&o, "2.held", "");
    outcome_free(&o);
}

static void
test_gb18030_says_the_same_as_utf8(void **state)
{
    (void)state;
    const char *text = MSH "PID|1||11010519491231002X^^^^NNCHN||李珅𠮷^||1949|女\r" OBR
                           "OBX|1|ST|1001^钾皛葉||４.１０|mmol/L|3.5-5.3|偏高|||F\r";
    char gb[1024], *in = strdup(text), *from = in, *to = gb;
    size_t in_left = strlen(text), out_left = sizeof gb;
    iconv_t c = iconv_open("GB18030", "UTF-8");
    assert_true(iconv(c, &from, &in_left, &to, &out_left) != (size_t)-1);
    iconv_close(c);
    struct outcome a = run(text),
                   b = normalise_view((struct view){(const uint8_t *)gb, sizeof gb - out_left},
                                      NULL);
    EXPECT(&a, "0.patient.name", "李珅𠮷");
    EXPECT(&b, "0.patient.name", "李珅𠮷");
    EXPECT(&b, "0.items.0.name", "钾皛葉");
    EXPECT(&b, "0.items.0.value", "4.10");
    EXPECT(&b, "0.items.0.flags.0", "偏高");
    assert_true(json_equal(json_object_get(json_array_get(a.reports, 0), "items"),
                           json_object_get(json_array_get(b.reports, 0), "items")));
    assert_true(warned(&b, 0, "GB 18030"));
    free(in);
    outcome_free(&a);
    outcome_free(&b);
}

/* An ESB: OUL, numeric identifier types, SPM before OBR, ST numbers, status 0. */
static void
test_an_esb_needs_its_code_map(void **state)
{
    (void)state;
    const char *oul =
        "MSH|^~\\&|ESB|1|HIS|1|20240301||OUL^R21^OUL_R21|1|P|2.6|||AL|AL|CHN|UNICODE UTF-8\r"
        "PID|1||0001^^^^21~^^^^51~11010519491231002X^^^^1~^^^^25||张三||19491231|1\r"
        "SPM|1|||C^血清|||||||||||||20240301080000\r"
        "OBR|1||B1|SH^生化|||20240301083000\r"
        "OBX|0|ST|1001^钾^^K^K||4.1|^mmol/L|3.5--5.3|↑|||0\r"
        "OBX|1|ST|1002^酮体||阴性|||-|||\r";
    struct outcome o = run(oul);
    EXPECT(&o, "0.action", "hold");
    EXPECT(&o, "0.status", "unknown");
    EXPECT(&o, "0.items.0.code", "");
    EXPECT(&o, "0.items.0.unit", "mmol/L");
    EXPECT(&o, "0.items.0.reference", "3.5--5.3");
    EXPECT(&o, "0.patient.identifiers.1.type", "1");
    EXPECT(&o, "0.patient.identifiers.1.usable", "");
    assert_int_equal(
        json_array_size(json_object_get(
            json_object_get(json_array_get(o.reports, 0), "patient"), "identifiers")),
        2);
    assert_true(warned(&o, 0, "2 of 2 codes"));
    outcome_free(&o);
    o = normalise_view(text_view(oul), "sender,system,local_code,item\n"
                                       "ESB,PID-3,1,RI\nESB,PID-3,21,local\n"
                                       "ESB,OBX-11,0,final\nESB,OBX-11,,final\n"
                                       "ESB,,1001,LAB.K\nOTHER,,1002,LAB.NA\n");
    EXPECT(&o, "0.action", "publish");
    EXPECT(&o, "0.status", "final");
    EXPECT(&o, "0.specimen", "血清");
    EXPECT(&o, "0.patient.identifiers.0.type", "local");
    EXPECT(&o, "0.patient.identifiers.1.type", "RI");
    EXPECT(&o, "0.items.0.code", "LAB.K");
    EXPECT(&o, "0.items.0.local_code", "1001");
    EXPECT(&o, "0.items.1.code", "");
    EXPECT(&o, "0.items.1.value", "阴性");
    EXPECT(&o, "0.items.1.reference", "");
    outcome_free(&o);
}

static void
test_imaging_is_one_service_with_its_texts(void **state)
{
    (void)state;
    const char *ris = "MSH|^~\\&|RIS|1|HIS|1|20240301||ORU^R01|1|P|2.5.1\r" PID "ORC||||||CM\r"
                      "OBR||Q1|CT77^RIS|CTXB^胸部CT平扫^^01^CT|||20240301100000|20240301100500|"
                      "||||所见全文|||||||||"
                      "20240301113000|||F|||||||李医师|王医师|^^^放射科\r"
                      "OBX|1|TX|1037^检查所见^LN||双肺纹理清晰\rCT值正常~第二段||||||F\r"
                      "OBX|2|ST|1038^检查印象^LN||未见明显异常||||||F\r"
                      "OBX|3|ST|113014^DICOM Study^DCM||1.2.3.4||||||F\r";
    struct outcome o = normalise_view(text_view(ris), "item,sender,local_code,system\n"
                                                      "CT.CHEST.PLAIN,RIS,CTXB,*\n");
    EXPECT(&o, "0.kind", "imaging");
    EXPECT(&o, "0.action", "publish");
    assert_int_equal(count_of(&o, 0, "items"), 1);
    EXPECT(&o, "0.items.0.code", "CT.CHEST.PLAIN");
    EXPECT(&o, "0.items.0.local_code", "CTXB");
    EXPECT(&o, "0.items.0.name", "胸部CT平扫");
    EXPECT(&o, "0.items.0.status", "final");
    EXPECT(&o, "0.items.0.examined_at", "2024-03-01T10:00:00+08:00");
    EXPECT(&o, "0.findings", "双肺纹理清晰\nCT值正常\n第二段");
    EXPECT(&o, "0.impression", "未见明显异常");
    EXPECT(&o, "0.study_uid", "1.2.3.4");
    EXPECT(&o, "0.department", "放射科");
    EXPECT(&o, "0.reviewer", "李医师");
    EXPECT(&o, "0.author", "王医师");
    outcome_free(&o);
}

static void
test_pathology_is_told_from_imaging(void **state)
{
    (void)state;
    struct outcome o = run(MSH PID "OBR|1||P1|BL1^胃黏膜活检|||20240301\r"
                                   "OBX|1|TX|1^肉眼所见||灰白组织||||||F\r"
                                   "OBX|2|TX|2^病理诊断||慢性炎||||||F\r");
    EXPECT(&o, "0.kind", "pathology");
    EXPECT(&o, "0.findings", "灰白组织");
    EXPECT(&o, "0.impression", "慢性炎");
    EXPECT(&o, "0.examined_at", "2024-03-01");
    outcome_free(&o);
}

/* Status letters of OBX-11 (table 0085) with OBR-25 = F. */
static void
test_item_statuses_follow_the_table(void **state)
{
    (void)state;
    static const char *const table[][4] = {
        {"F", "final", "final", "publish"},
        {"P", "preliminary", "preliminary", "publish"},
        {"C", "corrected", "corrected", "publish"},
        {"A", "amended", "corrected", "publish"},
        {"B", "final", "final", "publish"},
        {"V", "final", "final", "publish"},
        {"R", "preliminary", "preliminary", "hold"},
        {"S", "preliminary", "preliminary", "publish"},
        {"I", "registered", "final", "publish"},
        {"O", "registered", "final", "publish"},
        {"X", "cancelled", "cancelled", "withdraw"},
        {"D", "entered-in-error", "entered-in-error", "withdraw"},
        {"W", "entered-in-error", "entered-in-error", "withdraw"},
        {"", "final", "final", "publish"},
        {"0", "final", "final", "publish"},
        {"?", "unknown", "final", "publish"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text, "%s%s%sOBX|1|NM|2823-3^K^LN||4.1|mmol/L||||%s%s\r", MSH,
                 PID, OBR, "|", table[i][0]);
        struct outcome o = run(text);
        if (strcmp(text_of(&o, "0.items.0.status"), table[i][1]) != 0 ||
            strcmp(text_of(&o, "0.status"), table[i][2]) != 0 ||
            strcmp(text_of(&o, "0.action"), table[i][3]) != 0) {
            fail_msg("OBX-11 %s: %s %s %s", table[i][0], text_of(&o, "0.items.0.status"),
                     text_of(&o, "0.status"), text_of(&o, "0.action"));
        }
        outcome_free(&o);
    }
}

static void
test_order_statuses_and_withdrawals(void **state)
{
    (void)state;
    static const struct {
        const char *order, *status, *action;
        int reason;
    } table[] = {{"C", "corrected", "publish", 0},   {"P", "preliminary", "publish", 0},
                 {"A", "preliminary", "publish", 0}, {"R", "preliminary", "hold", 0},
                 {"X", "cancelled", "withdraw", 3},  {"I", "registered", "hold", 0},
                 {"S", "registered", "hold", 0},     {"", "unknown", "hold", 0}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[1024];
        snprintf(
            text, sizeof text,
            "%s%sOBR|1||BG1|A^B|||20240301||||||||||||||||||%s\rOBX|1|NM|2823-3^K^LN||4.1\r",
            MSH, PID, table[i].order);
        struct outcome o = run(text);
        EXPECT(&o, "0.status", table[i].status);
        EXPECT(&o, "0.action", table[i].action);
        assert_int_equal(json_integer_value(
                             json_object_get(json_array_get(o.reports, 0), "withdraw_reason")),
                         table[i].reason);
        outcome_free(&o);
    }
    struct outcome o = run(MSH PID OBR "OBX|1|NM|2823-3^K^LN||4.1||||||W\r");
    assert_int_equal(
        json_integer_value(json_object_get(json_array_get(o.reports, 0), "withdraw_reason")),
        2);
    outcome_free(&o);
    /* One result of two was wrong: the report stands, corrected. */
    o = run(MSH PID OBR
            "OBX|1|NM|2823-3^K^LN||4.1||||||W\rOBX|2|NM|2951-2^Na^LN||140||||||F\r");
    EXPECT(&o, "0.status", "corrected");
    EXPECT(&o, "0.action", "publish");
    EXPECT(&o, "0.items.0.status", "entered-in-error");
    outcome_free(&o);
}

static void
test_what_is_no_patient_result_is_ignored(void **state)
{
    (void)state;
    static const char *const headers[] = {"MSH|^~\\&|A||||2024||ORU^R01|1|T|2.3.1\r",
                                          "MSH|^~\\&|A||||2024||ORU^R01|1|D|2.3.1\r",
                                          "MSH|^~\\&|A||||2024||ORU^R01|1|Q|2.3.1\r",
                                          "MSH|^~\\&|A||||2024||ORU^R01|1|P|2.3.1||||2\r",
                                          "MSH|^~\\&|A||||2024||ORU^R01|1|P|2.3.1||||1\r"};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text, "%s%s%sOBX|1|NM|2823-3^K^LN||4.1||||||F\r", headers[i], PID,
                 OBR);
        struct outcome o = run(text);
        EXPECT(&o, "0.action", "ignore");
        assert_int_equal(o.counts.ignored, 1);
        assert_true(any_has(o.problems, "ignored: record 1"));
        outcome_free(&o);
    }
}

static void
test_values_are_text_by_their_type(void **state)
{
    (void)state;
    static const char *const table[][3] = {
        {"NM", "6.50", "6.50"},
        {"NM", "<0.5", "<0.5!"},
        {"NM", "*****", "*****!"},
        {"NM", "阴性", "阴性!"},
        {"NM", "", ""},
        {"NM", "\"\"", ""},
        {"NM", "-0.000397", "-0.000397"},
        {"ST", "***.**", "***.**!"},
        {"SN", ">^90", ">90"},
        {"SN", "^100^-^200", "100-200"},
        {"SN", "^1^:^128", "1:128"},
        {"SN", "^3^+", "3+"},
        {"SN", "^182", "182"},
        {"SN", "=^5", "5"},
        {"SN", "%^5", "5!"},
        {"SN", "7.0", "7.0"},
        {"CE", "LA1^Detected^LN", "Detected"},
        {"CWE", "A1", "A1"},
        {"CWE", "^^^B2^Other", "Other"},
        {"NR", "1^10", "1-10"},
        {"VR", "First^Second", "First-Second"},
        {"DR", "20240101^20240102", "20240101/20240102"},
        {"ST", "4~5", "4~5"},
        {"TX", "a^b&c", "a^b&c"},
        {"DT", "20240230", "20240230!"},
        {"DT", "20240229", "20240229"},
        {"TM", "1030", "1030"},
        {"CX", "12^^^A", "12"},
        {"RP", "/a/b.jpg^x", "/a/b.jpg"},
        {"ED", "^Image^BMP^Base64^QUJD", "[attachment Image/BMP Base64, 4 characters]"},
        {"QQ", "kept", "kept!"},
        {"", "7", "7"},
        {"FT", "a\\.br\\b", "a\nb"},
        {"IS", "6.3", "6.3"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[1024], got[200];
        snprintf(text, sizeof text, "%s%s%sOBX|1|%s|1^x||%s||||||F\r", MSH, PID, OBR,
                 table[i][0], table[i][1]);
        struct outcome o = run(text);
        snprintf(got, sizeof got, "%s%s", text_of(&o, "0.items.0.value"),
                 strcmp(text_of(&o, "0.items.0.doubtful"), "true") == 0 ? "!" : "");
        if (strcmp(got, table[i][2]) != 0) {
            fail_msg("%s %s became %s, not %s", table[i][0], table[i][1], got, table[i][2]);
        }
        outcome_free(&o);
    }
}

static void
test_units_and_ranges_are_put_together(void **state)
{
    (void)state;
    static const char *const table[][4] = {{"10^9/L", "4.50&5.90", "10^9/L", "4.50&5.90"},
                                           {"x10^12/L", "70_105", "x10^12/L", "70_105"},
                                           {"10\\S\\9/L", "0.4--8", "10^9/L", "0.4--8"},
                                           {"10*9/L", ">40^>40", "10*9/L", ">40"},
                                           {"^ug/L", "35-150^35^150", "ug/L", "35-150"},
                                           {"CD:289^mg/dL", "-", "mg/dL", ""},
                                           {"mIU/L^^UCUM", "--", "mIU/L", ""},
                                           {"1^ML^METRIC", "—", "ML", ""},
                                           {"mmol/L^millimole^UCUM", "<200", "mmol/L", "<200"},
                                           {"%", "10^9 to 10^12", "%", "10^9 to 10^12"},
                                           {"\"\"", "\"\"", "", ""}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text, "%s%s%sOBX|1|NM|1^x||7|%s|%s||||F\r", MSH, PID, OBR,
                 table[i][0], table[i][1]);
        struct outcome o = run(text);
        EXPECT(&o, "0.items.0.unit", table[i][2]);
        EXPECT(&o, "0.items.0.reference", table[i][3]);
        outcome_free(&o);
    }
}

static void
test_shifted_fields_are_put_back(void **state)
{
    (void)state;
    struct outcome o = run(MSH PID "OBR|1||B|A^B|||20240301\r"
                                   "OBX|1|NM|WBC^x||6.5|10^9/L|4-10||H|F\r"
                                   "OBX|2|NM|RBC^x||4.8||||N|||F\r"
                                   "OBX|3|NM||ALT^谷丙^L|40|U/L||↑~H^^HL70078|||F\r"
                                   "OBX|4|NM|HGB^x||145||||||C\r");
    EXPECT(&o, "0.items.0.flags.0", "H");
    EXPECT(&o, "0.items.0.status", "final");
    EXPECT(&o, "0.items.1.status", "final");
    EXPECT(&o, "0.items.2.local_code", "ALT");
    EXPECT(&o, "0.items.2.name", "谷丙");
    EXPECT(&o, "0.items.2.flags.0", "↑");
    EXPECT(&o, "0.items.2.flags.1", "H");
    EXPECT(&o, "0.items.3.status", "corrected");
    outcome_free(&o);
}

static void
test_codes_map_by_loinc_only_when_they_are_loinc(void **state)
{
    (void)state;
    struct outcome o = run(MSH PID OBR "OBX|1|NM|6690-2^x^LN||1||||||F\r"
                                       "OBX|2|NM|WBC^x^LN||1||||||F\r"
                                       "OBX|3|NM|6690-3^x^LN||1||||||F\r"
                                       "OBX|4|NM|1^x^L^2823-3^K^LN||1||||||F\r"
                                       "OBX|5|NM|^^LN^RBC^RBC^LAB||1||||||F\r"
                                       "OBX|6|NM|6690-2^x^99MRC||1||||||F\r"
                                       "OBX|7|NM|LAB.NA^x^HR||1||||||F\r");
    static const char *const want[] = {"LAB.WBC", "", "", "LAB.K", "", "", "LAB.NA"};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        char path[32];
        snprintf(path, sizeof path, "0.items.%zu.code", i);
        EXPECT(&o, path, want[i]);
    }
    EXPECT(&o, "0.items.4.local_code", "RBC");
    outcome_free(&o);
}

static void
test_orders_are_reports_by_their_number(void **state)
{
    (void)state;
    struct outcome o =
        run(MSH PID
            "OBR|1||A1|X^X|||20240301||||||||||||||||||F\rOBX|1|NM|1^a||1\r"
            "OBR|2||A2|Y^Y|||20240302||||||||||||||||||F\rOBX|1|NM|2^b||2\r"
            "OBR|3||A1|Z^Z|||20240301||||||||||||||||||F\rOBX|1|NM|3^c||3\rNTE|1||溶血~复查\r"
            "PID|2||P2||李四\r"
            "OBR|4||A1|X^X|||20240301||||||||||||||||||F\rOBX|1|NM|1^a||9\r");
    assert_int_equal(json_array_size(o.reports), 3);
    EXPECT(&o, "0.report_id", "A1");
    EXPECT(&o, "0.service", "X; Z");
    assert_int_equal(count_of(&o, 0, "items"), 2);
    EXPECT(&o, "0.items.1.note", "溶血\n复查");
    EXPECT(&o, "1.report_id", "A2");
    EXPECT(&o, "1.examined_at", "2024-03-02");
    EXPECT(&o, "2.report_id", "A1");
    EXPECT(&o, "2.patient.name", "李四");
    EXPECT(&o, "2.items.0.value", "9");
    outcome_free(&o);
}

static void
test_missing_numbers_are_made_up_the_same_each_time(void **state)
{
    (void)state;
    const char *text = MSH PID "OBR|1|||X^X|||20240301\rOBX|1|NM|1^a||1\r";
    struct outcome a = run(text), b = run(text);
    struct outcome c = run(MSH PID "OBR|1|||X^X|||20240301\rOBX|1|NM|1^a||2\r");
    struct outcome d = run(MSH PID "ORC|RE|PL|FI\rOBR|1|||X^X|||20240301\rOBX|1|NM|1^a||2\r");
    assert_int_equal(strncmp(text_of(&a, "0.report_id"), "auto-", 5), 0);
    EXPECT(&b, "0.report_id", text_of(&a, "0.report_id"));
    assert_string_not_equal(text_of(&a, "0.report_id"), text_of(&c, "0.report_id"));
    EXPECT(&d, "0.report_id", "FI");
    outcome_free(&a);
    outcome_free(&b);
    outcome_free(&c);
    outcome_free(&d);
}

static void
test_broken_order_of_segments_is_understood(void **state)
{
    (void)state;
    struct outcome o = run(MSH "OBR|1||A1|X^X|||20240301\rOBX|1|NM|1^a||1||||||F\r" PID);
    EXPECT(&o, "0.patient.name", "张晋");
    outcome_free(&o);
    o = run(MSH PID
            "OBX|1|NM|1^a||1||||||F\rOBX|2|NM|2^b||2||||||F\rOBR|1||A1|X^X|||20240301\r");
    assert_int_equal(count_of(&o, 0, "items"), 2);
    EXPECT(&o, "0.report_id", "A1");
    outcome_free(&o);
    o = run("MSH|^~\\&|A||||2024||ORU^R01|1|P|2.7\r" PID "OBX|1|NM|1^weight||70\r" OBR
            "OBX|1|NM|2^b||2||||||F\rSPM|1|||BLD^全血\rOBX|1|NM|3^volume||5\r");
    assert_int_equal(count_of(&o, 0, "items"), 1);
    EXPECT(&o, "0.items.0.local_code", "2");
    EXPECT(&o, "0.specimen", "全血");
    outcome_free(&o);
    o = run(MSH PID "OBR|1||A1|X^X|||20240301\rSPM|1|||BLD^全血\rOBX|1|NM|3^a||5||||||F\r");
    assert_int_equal(count_of(&o, 0, "items"), 1);
    outcome_free(&o);
    o = run("MSH|^~\\&|A||||2024||OUL^R21|1|P|2.5\r" PID "OBR|1||A1|X^X|||20240301\r"
            "SPM|1|||BLD^全血\rOBX|1|NM|3^a||5||||||F\r"
            "SPM|2|||SER^血清\rOBX|1|NM|4^volume||2\rOBR|2||A2|Y^Y|||20240302\rOBX|1|NM|5^b||6|"
            "|||||F\r");
    assert_int_equal(json_array_size(o.reports), 2);
    EXPECT(&o, "0.specimen", "全血");
    EXPECT(&o, "0.items.0.local_code", "3");
    EXPECT(&o, "1.specimen", "血清");
    assert_int_equal(count_of(&o, 1, "items"), 1);
    EXPECT(&o, "1.items.0.local_code", "5");
    outcome_free(&o);
}

static void
test_times_take_the_zone_that_is_known(void **state)
{
    (void)state;
    const char *tail =
        PID "OBR|1||A1|X^X|||20240301080000\rOBX|1|NM|1^a||1||||||F|||20240301090000-0500\r"
            "OBX|2|NM|1^a||1||||||F|||20241301\r";
    char text[1024];
    snprintf(text, sizeof text, "MSH|^~\\&|A||||20240301+0900||ORU^R01|1|P|2.5\r%s", tail);
    struct outcome o = run(text);
    EXPECT(&o, "0.examined_at", "2024-03-01T08:00:00+08:00"); /* a day has no zone */
    EXPECT(&o, "0.items.0.examined_at", "2024-03-01T09:00:00-05:00");
    EXPECT(&o, "0.items.1.examined_at", "2024-03-01T08:00:00+08:00");
    assert_true(warned(&o, 0, "OBX 2 field 14: is no time"));
    outcome_free(&o);
    snprintf(text, sizeof text, "MSH|^~\\&|A||||20240301120000+0900||ORU^R01|1|P|2.5\r%s",
             tail);
    o = run(text);
    EXPECT(&o, "0.examined_at", "2024-03-01T08:00:00+09:00");
    outcome_free(&o);
    snprintf(text, sizeof text, "MSH|^~\\&|A||||20240301120000||ORU^R01|1|P|2.5\r%s", tail);
    o = normalise_view(text_view(text), "sender,system,local_code,item\nA,MSH-7,,+05:30\n");
    EXPECT(&o, "0.examined_at", "2024-03-01T08:00:00+05:30");
    outcome_free(&o);
}

static void
test_identifiers_keep_their_type_unless_they_are_right(void **state)
{
    (void)state;
    struct outcome o = run(MSH "PID|1|EXT1|110105194912310021^^^^NNCHN~12345^^^^NI~"
                               "11010519491231002x^^^x&2.16.156.10011.1.3&ISO"
                               "~E12345678^^^^PPN~123456789^^^^PPN~123456789^^^^PPN^^^^USA~"
                               "H12345678^^^^HM|ALT1|张^三~Zhang^San||0000|9||||||||||ACC1"
                               "|110105491231002\r" OBR "OBX|1|NM|1^a||1||||||F\r");
    static const char *const want[][3] = {{"NNCHN", "110105194912310021", ""},
                                          {"NI", "12345", ""},
                                          {"RI", "11010519491231002X", "true"},
                                          {"PP", "E12345678", "true"},
                                          {"PPN", "123456789", ""},
                                          {"PP", "USA/123456789", "true"},
                                          {"HM", "H12345678", "true"},
                                          {"PT", "EXT1", ""},
                                          {"PI", "ALT1", ""},
                                          {"AN", "ACC1", ""}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        static const char *const members[] = {"type", "value", "usable"};
        for (size_t k = 0; k < 3; k++) {
            char path[64];
            snprintf(path, sizeof path, "0.patient.identifiers.%zu.%s", i, members[k]);
            EXPECT(&o, path, want[i][k]);
        }
    }
    EXPECT(&o, "0.patient.name", "张三");
    EXPECT(&o, "0.patient.sex", "U");
    EXPECT(&o, "0.patient.birth_date", "");
    assert_true(warned(&o, 0, "has a wrong check digit"));
    assert_true(warned(&o, 0, "country is not stated"));
    /* No reason holds a number of the patient. */
    const json_t *warnings = json_object_get(json_array_get(o.reports, 0), "warnings");
    assert_false(any_has(warnings, "1949"));
    assert_false(any_has(warnings, "12345"));
    outcome_free(&o);
}

static void
test_one_bad_message_loses_nothing_else(void **state)
{
    (void)state;
    struct outcome o = run("BHS|^~\\&\r" MSH PID OBR "OBX|1|NM|1^a||1||||||F\r"
                           "MSH|^~\\&|BAD\rPID|1\r"
                           "MSH|^~\\&|A||||2024||ADT^A01|1|P|2.5\rPID|1||\xFF\xFE\r"
                           "MSH|^~\\&|A||||2024||ADT^A01|1|P|2.5\r" MSH PID OBR
                           "OBX|1|NM|1^a||2||||||F\rBTS|4\r");
    assert_int_equal(json_array_size(o.reports), 2);
    EXPECT(&o, "0.source", "file:1");
    EXPECT(&o, "1.source", "file:5");
    assert_int_equal(o.counts.refused, 3);
    assert_true(any_has(o.problems, "refused: record 2: MSH 1 field 9: no message type"));
    assert_true(
        any_has(o.problems, "refused: record 3: MSH 1 field 18: is in no known character set"));
    assert_true(any_has(o.problems, "refused: record 4: MSH 1 field 9: ADT^A01 is no message"));
    assert_true(any_has(o.problems, "warning: BTS field 1: states 4 messages, 5 were found"));
    assert_string_equal(json_string_value(json_array_get(o.raw, 0)), "MSH|^~\\&|BAD\rPID|1\r");
    outcome_free(&o);
}

static void
test_files_of_other_forms_are_refused_with_a_reason(void **state)
{
    (void)state;
    const struct {
        const char *bytes;
        size_t count;
        const char *reason;
    } files[] = {{"", 0, "is empty"},
                 {" \r\n", 3, "is empty"},
                 {"{\"resourceType\":\"Bundle\"}", 25, "is JSON"},
                 {"<xml/>", 6, "is XML"},
                 {"PK\x03\x04zz", 6, "spreadsheet"},
                 {"\xFF\xFEM\0S\0", 6, "UTF-16"},
                 {"PID|1||X\rOBX|1|NM\r", 18, "there is no MSH"},
                 {"a,b\n1,2\n", 8, "missing: report_id"},
                 {"\xFF\xFF\xFF", 3, "neither UTF-8 nor GB 18030"}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct outcome o = normalise_view(
            (struct view){(const uint8_t *)files[i].bytes, files[i].count}, NULL);
        assert_int_equal(json_array_size(o.reports), 0);
        assert_int_equal(o.counts.refused, 1);
        if (!any_has(o.problems, files[i].reason)) {
            fail_msg("file %zu is not refused for: %s", i, files[i].reason);
        }
        outcome_free(&o);
    }
}

static uint64_t seed = 7;

static uint32_t
draw(uint32_t below)
{
    seed += 0x9E3779B97F4A7C15u;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ (z >> 31)) % below);
}

/* Damage: every outcome is a report or a problem, and nothing crashes. */
static void
test_random_damage_gives_reports_or_reasons(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        MSH PID OBR "OBX|1|SN|6690-2^a^LN||>^1^-^2|10^9/L|1-2|H~L|||F|||20240301\rNTE|1||x\r"
                    "OBX|2|ED|2^b||^A^B^Base64^QQ==\rSPM|1|a&b^c&d||BLD\rOBX|3|TX|1^检查所见||"
                    "x\\.br\\y\\XC0EE\\\r",
        "报告单号,身份证号,项目代码,结果,采样时间\n1,11010519491231002X,K,\"4\"\"1\",2024/1/"
        "5\n2,,,,\n"};
    static const char marks[] = "|^~\\&\r\n\"',0F\xFF\xC0\x1C\x0B ";
    for (int i = 0; i < 3000; i++) {
        const char *base = seeds[draw(2)];
        size_t n = strlen(base);
        uint8_t *text = malloc(n * 2);
        memcpy(text, base, n);
        for (uint32_t k = draw(12); k > 0; k--) {
            size_t at = draw((uint32_t)n);
            switch (draw(4)) {
            case 0:
                text[at] = (uint8_t)marks[draw(sizeof marks - 1)];
                break;
            case 1:
                text[at] = (uint8_t)draw(256);
                break;
            case 2: /* take out a piece */
                memmove(text + at, text + at + (n - at) / 3, n - at - (n - at) / 3);
                n -= (n - at) / 3;
                break;
            default: /* double a piece */
                if (n + 16 < strlen(base) * 2 && at + 16 < n) {
                    memmove(text + at + 16, text + at, n - at);
                    n += 16;
                }
                break;
            }
        }
        struct outcome o = normalise_view((struct view){text, n}, NULL);
        assert_true(o.counts.reports + o.counts.refused > 0 || n < 60);
        outcome_free(&o);
        free(text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_report_is_published),
        cmocka_unit_test(test_marks_of_a_source_are_claims_wherever_they_stand),
        cmocka_unit_test(test_what_is_confidential_is_held),
        cmocka_unit_test(test_gb18030_says_the_same_as_utf8),
        cmocka_unit_test(test_an_esb_needs_its_code_map),
        cmocka_unit_test(test_imaging_is_one_service_with_its_texts),
        cmocka_unit_test(test_pathology_is_told_from_imaging),
        cmocka_unit_test(test_item_statuses_follow_the_table),
        cmocka_unit_test(test_order_statuses_and_withdrawals),
        cmocka_unit_test(test_what_is_no_patient_result_is_ignored),
        cmocka_unit_test(test_values_are_text_by_their_type),
        cmocka_unit_test(test_units_and_ranges_are_put_together),
        cmocka_unit_test(test_shifted_fields_are_put_back),
        cmocka_unit_test(test_codes_map_by_loinc_only_when_they_are_loinc),
        cmocka_unit_test(test_orders_are_reports_by_their_number),
        cmocka_unit_test(test_missing_numbers_are_made_up_the_same_each_time),
        cmocka_unit_test(test_broken_order_of_segments_is_understood),
        cmocka_unit_test(test_times_take_the_zone_that_is_known),
        cmocka_unit_test(test_identifiers_keep_their_type_unless_they_are_right),
        cmocka_unit_test(test_one_bad_message_loses_nothing_else),
        cmocka_unit_test(test_files_of_other_forms_are_refused_with_a_reason),
        cmocka_unit_test(test_random_damage_gives_reports_or_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
