/* What words mean: statuses, flags, sections, parts of a report.
 * Source: HL7 tables 0085, 0078, 0074 (INTERFACES.md 1.6, 1.5) and the words of
 * Chinese systems (section 2). */
#include <string.h>

#include "node/normalise_parts.h"
#include "proto/text.h"

const char *
item_status(char letter)
{
    switch (letter) {
    case 'F':
    case 'B':
    case 'V':
    case 'U':
        return "final";
    case 'P':
    case 'R':
    case 'S':
        return "preliminary";
    case 'C':
        return "corrected";
    case 'A':
        return "amended";
    case 'I':
    case 'O':
        return "registered";
    case 'X':
    case 'N': /* not asked: no status fits; there will be no value either */
        return "cancelled";
    case 'D':
    case 'W':
        return "entered-in-error";
    default:
        return NULL;
    }
}

static const struct {
    const char *word;
    char letter;
} status_words[] = {
    {"final", 'F'},     {"preliminary", 'P'}, {"corrected", 'C'},  {"amended", 'A'},
    {"cancelled", 'X'}, {"canceled", 'X'},    {"registered", 'I'}, {"entered-in-error", 'W'},
    {"正式", 'F'},      {"正式报告", 'F'},    {"已审核", 'F'},     {"审核", 'F'},
    {"已发布", 'F'},    {"终审", 'F'},        {"最终", 'F'},       {"已报告", 'F'},
    {"已完成", 'F'},    {"完成", 'F'},        {"初步", 'P'},       {"初步报告", 'P'},
    {"临时", 'P'},      {"初审", 'R'},        {"未审核", 'R'},     {"待审核", 'R'},
    {"已更正", 'C'},    {"更正", 'C'},        {"修改", 'C'},       {"已修改", 'C'},
    {"修正", 'C'},      {"作废", 'W'},        {"已作废", 'W'},     {"撤回", 'W'},
    {"已撤回", 'W'},    {"撤销", 'W'},        {"召回", 'W'},       {"取消", 'X'},
    {"已取消", 'X'},    {"退检", 'X'},
};

const char *
item_status_word(struct view sent, char *letter)
{
    *letter = '\0';
    sent = text_trim(sent);
    if (sent.count == 1) {
        char c = (char)sent.bytes[0];
        c = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
        *letter = item_status(c) == NULL ? '\0' : c;
        return item_status(c);
    }
    for (size_t i = 0; i < sizeof status_words / sizeof status_words[0]; i++) {
        if (text_is_nocase(sent, status_words[i].word)) {
            *letter = status_words[i].letter;
            return item_status(*letter);
        }
    }
    return NULL;
}

bool
is_critical_flag(struct view f)
{
    return text_is_nocase(f, "HH") || text_is_nocase(f, "LL") || text_is_nocase(f, "AA") ||
           text_has(f, "危") || text_has_nocase(f, "critical") || text_has_nocase(f, "panic");
}

static bool
is_one_of(struct view v, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text_is_nocase(v, list[i])) {
            return true;
        }
    }
    return false;
}

bool
is_flag(struct view v)
{
    static const char *const flags[] = {
        "L",    "H",    "LL",   "HH",   "<",  ">",  "N",  "A",    "AA",
        "U",    "D",    "B",    "W",    "S",  "R",  "I",  "MS",   "VS",
        "POS",  "NEG",  "IND",  "DET",  "ND", "RR", "WR", "NR",   "SDD",
        "NS",   "↑",    "↓",    "↑↑",   "↓↓", "高", "低", "偏高", "偏低",
        "正常", "异常", "阳性", "阴性", "+",  "*",  "危", "危急", "危急值"};
    return is_one_of(v, flags, sizeof flags / sizeof flags[0]);
}

bool
is_placeholder(struct view v)
{
    static const char *const nothing[] = {"-", "--", "---",  "—",    "——",  "－",  "－－",
                                          "/", "\\", "null", "NULL", "N/A", "\"\""};
    return is_one_of(text_trim(v), nothing, sizeof nothing / sizeof nothing[0]);
}

const char *
kind_of_section(struct view s)
{
    static const char *const laboratory[] = {"LAB", "CH",  "HM",  "MB", "MCB", "MYC", "SR",
                                             "BLB", "BG",  "IMM", "VR", "TX",  "CG",  "HEM",
                                             "MC",  "PAR", "TOX", "UA", "检验"};
    static const char *const imaging[] = {
        "RAD", "RUS", "CT",  "CTH", "XRC", "NMR", "NMS", "MR",   "MRI",  "US",
        "CUS", "OUS", "VUS", "RX",  "NRS", "CR",  "DX",  "MG",   "EC",   "ECG",
        "EN",  "NM",  "PT",  "XA",  "RF",  "DR",  "ES",  "检查", "放射", "超声"};
    static const char *const pathology[] = {"SP", "CP", "PAT", "PATH", "CYTO", "病理"};
    s = text_trim(s);
    if (is_one_of(s, laboratory, sizeof laboratory / sizeof laboratory[0])) {
        return "laboratory";
    }
    if (is_one_of(s, imaging, sizeof imaging / sizeof imaging[0])) {
        return "imaging";
    }
    return is_one_of(s, pathology, sizeof pathology / sizeof pathology[0]) ? "pathology" : NULL;
}

/* Return whether `word` stands in `text` between signs that are no letters. */
static bool
has_word(struct view text, const char *word)
{
    size_t n = strlen(word);
    for (size_t at = 0; at + n <= text.count; at++) {
        if (!text_is_nocase((struct view){text.bytes + at, n}, word)) {
            continue;
        }
        uint8_t before = at == 0 ? ' ' : text.bytes[at - 1];
        uint8_t behind = at + n == text.count ? ' ' : text.bytes[at + n];
        bool letter_before = (before | 32) >= 'a' && (before | 32) <= 'z';
        bool letter_behind = (behind | 32) >= 'a' && (behind | 32) <= 'z';
        if (!letter_before && !letter_behind && behind != '-') {
            return true;
        }
    }
    return false;
}

const char *
kind_of_words(struct view text)
{
    static const char *const pathology[] = {"病理", "免疫组化", "细胞学", "活检", "冰冻切片"};
    static const char *const imaging[] = {
        "超声", "彩超", "B超",  "CT平扫", "CT增强", "磁共振", "核磁",   "X线",
        "X光",  "平片", "胸片", "摄片",   "造影",   "心电图", "胃镜",   "肠镜",
        "内镜", "影像", "放射", "钼靶",   "骨密度", "心动图", "脑电图", "肌电图"};
    static const char *const words[] = {
        "CT",   "MRI", "XRAY",      "X-RAY",          "ULTRASOUND", "ECHO",       "RADIOLOGY",
        "PACS", "RIS", "MAMMOGRAM", "ECHOCARDIOGRAM", "CARDIOGRAM", "RADIOGRAPH", "SONOGRAM"};
    for (size_t i = 0; i < sizeof pathology / sizeof pathology[0]; i++) {
        if (text_has(text, pathology[i])) {
            return "pathology";
        }
    }
    if (has_word(text, "PATHOLOGY") || has_word(text, "BIOPSY")) {
        return "pathology";
    }
    for (size_t i = 0; i < sizeof imaging / sizeof imaging[0]; i++) {
        if (text_has(text, imaging[i])) {
            return "imaging";
        }
    }
    /* CT is also Chlamydia trachomatis and the cycle of a PCR. */
    if (text_has(text, "核酸") || text_has(text, "衣原体") || has_word(text, "DNA") ||
        has_word(text, "RNA") || text_has(text, "抗体")) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (has_word(text, words[i])) {
            return "imaging";
        }
    }
    return NULL;
}

struct part_word {
    const char *word;
    enum text_part part;
    bool pathology;
};

/* Only departments that look at pictures or slides write these. */
static const struct part_word sure[] = {
    {"病理诊断", PART_IMPRESSION, true},  {"肉眼所见", PART_FINDINGS, true},
    {"大体所见", PART_FINDINGS, true},    {"镜下所见", PART_FINDINGS, true},
    {"巨检", PART_FINDINGS, true},        {"检查所见", PART_FINDINGS, false},
    {"影像所见", PART_FINDINGS, false},   {"影像表现", PART_FINDINGS, false},
    {"影像学表现", PART_FINDINGS, false}, {"影像描述", PART_FINDINGS, false},
    {"超声所见", PART_FINDINGS, false},   {"超声描述", PART_FINDINGS, false},
    {"检查描述", PART_FINDINGS, false},   {"检查表现", PART_FINDINGS, false},
    {"内镜所见", PART_FINDINGS, false},   {"放射所见", PART_FINDINGS, false},
    {"检查印象", PART_IMPRESSION, false}, {"检查结论", PART_IMPRESSION, false},
    {"检查提示", PART_IMPRESSION, false}, {"检查诊断", PART_IMPRESSION, false},
    {"影像诊断", PART_IMPRESSION, false}, {"影像意见", PART_IMPRESSION, false},
    {"影像结论", PART_IMPRESSION, false}, {"超声提示", PART_IMPRESSION, false},
    {"超声诊断", PART_IMPRESSION, false}, {"超声印象", PART_IMPRESSION, false},
    {"放射诊断", PART_IMPRESSION, false}, {"诊断意见", PART_IMPRESSION, false},
    {"诊断印象", PART_IMPRESSION, false}, {"内镜诊断", PART_IMPRESSION, false},
};
/* Enough once the kind is known. */
static const struct part_word likely[] = {
    {"所见", PART_FINDINGS, false},   {"表现", PART_FINDINGS, false},
    {"描述", PART_FINDINGS, false},   {"印象", PART_IMPRESSION, false},
    {"结论", PART_IMPRESSION, false}, {"诊断", PART_IMPRESSION, false},
    {"提示", PART_IMPRESSION, false}, {"意见", PART_IMPRESSION, false},
    {"建议", PART_ADVICE, false},
};
static const struct part_word english[] = {
    {"FINDINGS", PART_FINDINGS, false},
    {"FINDING", PART_FINDINGS, false},
    {"IMPRESSION", PART_IMPRESSION, false},
    {"CONCLUSION", PART_IMPRESSION, false},
    {"STUDY RECOMMENDATION", PART_ADVICE, false},
    {"DIAGNOSTIC IMAGING REPORT", PART_FINDINGS, false},
};
static const struct part_word codes[] = {
    {"59776-5", PART_FINDINGS, false}, {"18782-3", PART_FINDINGS, false},
    {"18748-4", PART_FINDINGS, false}, {"19005-8", PART_IMPRESSION, false},
    {"18783-1", PART_ADVICE, false},   {"22634-0", PART_FINDINGS, true},
    {"22635-7", PART_FINDINGS, true},  {"22637-3", PART_IMPRESSION, true},
    {"113014", PART_STUDY_UID, false},
};

enum text_part
text_part_of(struct view code, struct view system, struct view name, bool strict,
             bool *is_pathology)
{
    const struct part_word *hit = NULL;
    *is_pathology = false;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        bool dicom = codes[i].part == PART_STUDY_UID;
        if (text_is(code, codes[i].word) && (!dicom || text_is_nocase(system, "DCM"))) {
            hit = &codes[i];
        }
    }
    for (size_t i = 0; hit == NULL && i < sizeof sure / sizeof sure[0]; i++) {
        hit = text_has(name, sure[i].word) ? &sure[i] : NULL;
    }
    for (size_t i = 0; hit == NULL && i < sizeof english / sizeof english[0]; i++) {
        bool match = strict ? text_is_nocase(name, english[i].word)
                            : text_has_nocase(name, english[i].word);
        hit = match ? &english[i] : NULL;
    }
    for (size_t i = 0; hit == NULL && !strict && i < sizeof likely / sizeof likely[0]; i++) {
        hit = text_has(name, likely[i].word) ? &likely[i] : NULL;
    }
    if (hit != NULL) {
        *is_pathology = hit->pathology;
        return hit->part;
    }
    if (text_has_nocase(name, "Study Instance UID")) {
        return PART_STUDY_UID;
    }
    if (text_has_nocase(name, "Instance UID")) {
        return PART_OTHER_UID;
    }
    if (!strict && (text_is_nocase(code, "IMP") || text_is_nocase(code, "IMPRESSION"))) {
        return PART_IMPRESSION;
    }
    if (!strict && (text_is_nocase(code, "FIND") || text_is_nocase(code, "GDT"))) {
        return PART_FINDINGS;
    }
    return PART_NONE;
}
