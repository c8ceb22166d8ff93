/* Goal: real messages of many systems give what they say, and every file of the
 * sample collection gives reports or a clear reason.
 * Method: the samples of INTERFACES.md (read from ../shared, or HUREN_SHARED), one
 * check for each deviation of its section 1.10; the FHIR that another converter
 * made of the same messages; each sample cut and with one byte changed. */
#include "tests/normalise_fixture.h"

#include <dirent.h>
#include <errno.h>

static char shared_dir[1024];

static bool
find_shared(void)
{
    const char *set = getenv("HUREN_SHARED");
    snprintf(shared_dir, sizeof shared_dir, "%s/samples",
             set != NULL ? set : HR_SOURCE_DIR "/../shared");
    DIR *d = opendir(shared_dir);
    if (d == NULL) {
        printf("SKIPPED: no samples at %s (set HUREN_SHARED)\n", shared_dir);
        return false;
    }
    closedir(d);
    return true;
}

static uint8_t *
read_sample(const char *name, size_t *count)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", shared_dir, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fail_msg("%s: %s", path, strerror(errno));
        abort();
    }
    size_t room = 4 * 1024 * 1024;
    uint8_t *bytes = malloc(room);
    *count = fread(bytes, 1, room, f);
    fclose(f);
    return bytes;
}

static struct outcome
run_sample(const char *name)
{
    size_t count;
    uint8_t *bytes = read_sample(name, &count);
    struct outcome o = normalise_view((struct view){bytes, count}, NULL);
    free(bytes);
    return o;
}

struct check {
    const char *file;
    const char
        *path; /* "" = a problem that contains `want`; "!" = a warning does; "#" = reports */
    const char *want;
};

static const struct check checks[] = {
    /* line ends, BOM, MLLP bytes, no final CR */
    {"hl7v2/lab__ms__LAB-ORU-2.hl7", "#", "2"},
    {"hl7v2/lab__ms__LAB-ORU-2.hl7", "1.items.4.value", "220"},
    {"hl7v2/lab__ms__LAB-ORU-2.hl7", "1.items.4.unit", "giga.l-1"},
    {"hl7v2/lab__ms__LAB-ORU-2.hl7", "1.items.4.examined_at", "2014-10-06T08:30:00+07:00"},
    {"hl7v2/framing__cosyte__crlf-line-endings.hl7", "", "ADT^A01 is no message of results"},
    {"hl7v2/framing__cosyte__mixed-line-endings.hl7", "", "ADT^A01 is no message of results"},
    {"hl7v2/malformed__cosyte__mllp-framing-stripped.hl7", "",
     "ADT^A01 is no message of results"},
    {"hl7v2/framing__cosyte__segment-case.hl7", "", "ADT^A01"},
    {"hl7v2/derived/zh_ris_ultrasound_staff_replaced.hl7", "0.impression", "FSFSFSDAFAS"},
    /* character sets */
    {"hl7v2/derived/zh_ris_ultrasound_staff_replaced.hl7", "0.kind", "imaging"},
    {"hl7v2/derived/zh_ris_gb18030.hl7", "0.service", "彩超泌尿系：双肾、输尿管、膀胱"},
    {"hl7v2/derived/zh_ris_gb18030.hl7", "0.author", "测试医师甲"},
    {"hl7v2/derived/zh_ris_gb18030.hl7", "0.department", "超声科门诊"},
    {"hl7v2/derived/zh_gb18030_delimiter_trail.hl7", "0.patient.name", "李珅"},
    {"hl7v2/derived/zh_gb18030_delimiter_trail.hl7", "0.patient.birth_date", "1985-01-15"},
    {"hl7v2/excerpts/ko_cbc_utf8.hl7", "0.items.0.unit", "10^3/μL"},
    {"hl7v2/excerpts/ko_cbc_utf8.hl7", "0.service", "일반혈액검사"},
    {"hl7v2/excerpts/zh_bloodcount_blank_1.hl7", "0.items.2.value", "通用"},
    {"hl7v2/status__rs__elims_29_5065302_35227_NoPII_CANCELED.hl7", "!",
     "is UTF-8, not the character set"},
    /* shifted fields, units, flags, statuses */
    {"hl7v2/derived/zh_shifted_fields_gb18030.hl7", "0.items.2.status", "final"},
    {"hl7v2/excerpts/zh_shifted_fields.hl7", "0.items.0.flags.0", "N"},
    {"hl7v2/excerpts/zh_shifted_fields.hl7", "0.items.0.unit", "10^9/L"},
    {"hl7v2/excerpts/zh_shifted_fields.hl7", "0.patient.name", "张三小明"},
    {"hl7v2/lab__npm-simple-hl7__oru.hl7", "0.items.0.unit", "mg/dL"},
    {"hl7v2/lab__npm-simple-hl7__oru.hl7", "0.items.0.reference", ">40"},
    {"hl7v2/lab__npm-simple-hl7__oru.hl7", "0.items.1.reference", "35-150"},
    {"hl7v2/lab__npm-simple-hl7__oru.hl7", "0.items.3.flags.0", "H"},
    {"hl7v2/lab__ms__ORU-R01-RMGEAD.hl7", "0.items.0.reference", "70_105"},
    {"hl7v2/lab__ms__ORU-R01-RMGEAD.hl7", "0.items.0.value", "182"},
    {"hl7v2/excerpts/zh_bloodcount_blank_1.hl7", "0.items.4.doubtful", "true"},
    {"hl7v2/excerpts/zh_bloodcount_blank_1.hl7", "0.items.3.flags.1", "N"},
    {"hl7v2/excerpts/zh_bloodcount_blank_1.hl7", "0.items.3.code", "LAB.WBC"},
    {"hl7v2/excerpts/zh_chemistry_1.hl7", "0.items.0.value", "-0.000397"},
    {"hl7v2/excerpts/zh_chemistry_1.hl7", "0.items.0.reference", ""},
    {"hl7v2/excerpts/zh_chemistry_1.hl7", "!", "no code of the test"},
    {"hl7v2/excerpts/mindray_bc5380_patient.hl7", "#", "1"},
    {"hl7v2/excerpts/mindray_bc5380_patient.hl7", "0.patient.sex", "F"},
    {"hl7v2/excerpts/mindray_bc5380_patient.hl7", "0.patient.birth_date", "1990-08-04"},
    {"hl7v2/excerpts/mindray_bc5380_patient.hl7", "0.items.5.value", "9.81"},
    {"hl7v2/excerpts/zh_manual_fragment.hl7", "0.patient.name", "刘佳"},
    {"hl7v2/excerpts/zh_manual_fragment.hl7", "0.items.0.code", "LAB.WBC"},
    {"hl7v2/excerpts/micro_campylobacter_v251.hl7", "0.status", "preliminary"},
    {"hl7v2/excerpts/micro_campylobacter_v251.hl7", "0.items.0.value", "Campylobacter jejuni"},
    {"hl7v2/excerpts/radiology_chest_v24.hl7", "0.kind", "imaging"},
    {"hl7v2/excerpts/radiology_chest_v24.hl7", "0.report_id", "ACC001"},
    {"hl7v2/status__rs__sample_CO_20240403.hl7", "0.items.0.status", "entered-in-error"},
    {"hl7v2/status__rs__sample_CO_20240403.hl7", "0.status", "corrected"},
    {"hl7v2/malformed__dex__hl7Message.hl7", "!", "an unknown status"},
    {"hl7v2/radiology__dcm4che__ORU_R01-SR.hl7", "0.items.3.flags.0", "AA"},
    {"hl7v2/radiology__dcm4che__ORU_R01-SR.hl7", "0.items.3.status", "final"},
    {"hl7v2/radiology__dcm4che__ORU_R01-SR.hl7", "0.study_uid",
     "1.2.392.200036.9125.0.198811291108.7"},
    /* delimiters, escapes */
    {"hl7v2/malformed__npm-hl7-standard__input.hl7", "0.items.0.code", "LAB.WBC"},
    {"hl7v2/malformed__npm-hl7-standard__input.hl7", "0.items.1.local_code", "RBC"},
    {"hl7v2/malformed__npm-hl7-standard__input.hl7", "!", "damaged delimiters"},
    {"hl7v2/escape__cosyte__hex-and-delimiters.hl7", "0.items.0.value",
     "Ratio 1^128 and unit mg|dL ends with !"},
    {"hl7v2/escape__cosyte__unknown-escapes.hl7", "0.items.0.value",
     "Some text with \\Z99\\ embedded"},
    {"hl7v2/escape__cosyte__unknown-escapes.hl7", "!", "unknown escape"},
    {"hl7v2/escape__cosyte__escape-highlight.hl7", "0.items.0.value",
     "Critical value requires attention"},
    {"hl7v2/version__cosyte__truncation-char-msh2.hl7", "0.items.0.value", "truncated#at end"},
    {"hl7v2/malformed__cosyte__invalid-encoding-characters.hl7", "", "ADT^A01"},
    /* times */
    {"hl7v2/zseg__cosyte__cerner-oru-r01.hl7", "0.items.0.examined_at",
     "2025-01-15T14:00:00+08:00"},
    {"hl7v2/zseg__cosyte__genericLab-oru-r01.hl7", "0.items.0.examined_at", "2025-01-15"},
    {"hl7v2/datetime__cosyte__tz-offset.hl7", "0.items.0.examined_at",
     "2025-01-02T15:30:45+05:00"},
    {"hl7v2/radiology__hapi__radis1_v22_excerpt.hl7", "0.examined_at",
     "1994-05-02T15:45:00+08:00"},
    /* structure */
    {"hl7v2/radiology__hapi__radis1_v22_excerpt.hl7", "#", "3"},
    {"hl7v2/radiology__hapi__radis1_v22_excerpt.hl7", "0.service", "CT CHEST"},
    {"hl7v2/radiology__hapi__radis1_v22_excerpt.hl7", "!", "ran into the line"},
    {"hl7v2/malformed__dex__PHLIP_FLU_2.5.1_NO_MSH11.hl7", "!", "no processing id"},
    {"hl7v2/malformed__dex__PHLIP_FLU_2.5.1_TWO_OBX_WITH_SAME_OBX3_NULL_OBX4.hl7", "#", "1"},
    {"hl7v2/malformed__dex__Lyme_BadDate.hl7", "!", "does not fit its type"},
    {"hl7v2/multiobr__rs__sample_oru_20241015-001.hl7", "#", "3"},
    {"hl7v2/batch__dex__phlip-flu-batch.hl7", "#", "10"},
    {"hl7v2/batch__cosyte__malformed-mid-batch.hl7", "",
     "record 2: MSH 1 field 9: no message type"},
    {"hl7v2/batch__cosyte__malformed-mid-batch.hl7", "", "record 3: MSH 1 field 9: ADT^A01"},
    {"hl7v2/malformed__cosyte__empty-input.hl7", "", "is empty"},
    {"hl7v2/othertype__npm-hl7-standard__ack_AR.hl7", "", "ACK^V01 is no message of results"},
    {"hl7v2/othertype__dcm4che__OMI_O23-ImagingOrder.hl7", "",
     "OMI^O23 is no message of results"},
    {"hl7v2/odd__ms__ObservationBundle-expected.hl7", "0.items.0.value", "6.3"},
    {"hl7v2/odd__lfh__ORU-multiline-short-mixed.hl7", "0.findings",
     "[PII] Emergency Department\n"
     "ED Encounter Arrival Date: [ADDRESS] [PERSONALNAME]:"},
    {"hl7v2/oul28__ms__OUL-R24-01.hl7", "!", "describes patient or specimen"},
    {"hl7v2/segments__rs__NTE-to-annotation.hl7", "0.items.0.note", "OBX Note"},
    {"hl7v2/segments__rs__NTE-to-annotation.hl7", "0.note", "OBR Note\nOBR Note2\nOBR Note3"},
    /* CSV */
    {"csv/rs__completely-empty-file.csv", "", "is empty"},
    {"csv/rs__change-column-ordering.csv", "#", "7"},
    {"csv/rs__change-column-ordering.csv", "3.items.0.value", "pos"},
    {"csv/rs__quoted-strings-with-embedded-commas.csv", "#", "4"},
    {"csv/rs__sample-adhs-csv-file.csv", "0.items.0.name", "SARS COV2 PCR"},
    {"csv/rs__sample-adhs-csv-file.csv", "0.items.0.value", "Detected"},
    {"csv/rs__sample-adhs-csv-file.csv", "0.patient.birth_date", "1987-02-01"},
    {"csv/rs__sample-batch-pdi-20210608-0001.csv", "#", "20"},
    {"csv/rs__sample-batch-pdi-20210608-0001.csv", "0.examined_at",
     "2021-06-04T07:25:00-04:00"},
    {"csv/rs__sample-batch-pdi-20210608-0001.csv", "0.status", "corrected"},
    {"csv/rs__too-much-data.csv", "", "the row has 8 cells, the header 7"},
    {"csv/rs__weird-data.csv", "#", "7"},
    {"csv/rs__weird-dates.csv", "#", "1"},
    {"csv/rs__weird-dates.csv", "0.examined_at", "2020-01-31"},
    {"csv/rs__weird-dates.csv", "", "record 5: column 5: is no time"},
    {"csv/rs__wrong-type-data.csv", "", "record 2: column 5: is no time"},
};

static void
test_each_deviation_is_read_as_meant(void **state)
{
    (void)state;
    if (!find_shared()) {
        skip();
    }
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        const struct check *c = &checks[i];
        struct outcome o = run_sample(c->file);
        bool good;
        if (strcmp(c->path, "") == 0) {
            good = any_has(o.problems, c->want);
        } else if (strcmp(c->path, "!") == 0) {
            good = warned(&o, 0, c->want);
        } else if (strcmp(c->path, "#") == 0) {
            good = json_array_size(o.reports) == (size_t)atoi(c->want);
        } else {
            good = strcmp(text_of(&o, c->path), c->want) == 0;
        }
        if (!good) {
            fail_msg("%s: %s should be '%s', is '%s' (%zu reports)", c->file, c->path, c->want,
                     c->path[0] >= '0' ? text_of(&o, c->path) : "", json_array_size(o.reports));
        }
        outcome_free(&o);
    }
}

static void
for_each_sample(const char *folder, void (*visit)(const char *name))
{
    char path[2048], name[2048];
    snprintf(path, sizeof path, "%s/%s", shared_dir, folder);
    DIR *d = opendir(path);
    assert_non_null(d);
    size_t files = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strstr(e->d_name, ".hl7") != NULL || strstr(e->d_name, ".csv") != NULL) {
            snprintf(name, sizeof name, "%s/%s", folder, e->d_name);
            visit(name);
            files++;
        }
    }
    closedir(d);
    assert_true(files > 0);
}

static void
check_outcome(const char *name)
{
    struct outcome o = run_sample(name);
    if (o.counts.reports + o.counts.refused == 0) {
        fail_msg("%s: neither a report nor a reason", name);
    }
    for (size_t i = 0; i < json_array_size(o.reports); i++) {
        char path[64];
        static const char *const members[] = {"report_id", "kind", "status", "action",
                                              "source"};
        for (size_t k = 0; k < sizeof members / sizeof members[0]; k++) {
            snprintf(path, sizeof path, "%zu.%s", i, members[k]);
            if (text_of(&o, path)[0] == '\0') {
                fail_msg("%s: %s is empty", name, path);
            }
        }
    }
    outcome_free(&o);
}

static const char *const folders[] = {"hl7v2", "hl7v2/derived", "hl7v2/excerpts", "csv"};

static void
test_every_sample_gives_reports_or_a_reason(void **state)
{
    (void)state;
    if (!find_shared()) {
        skip();
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        for_each_sample(folders[i], check_outcome);
    }
}

static uint64_t seed = 11;

static uint32_t
draw(uint32_t below)
{
    seed += 0x9E3779B97F4A7C15u;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ (z >> 31)) % below);
}

static void
damage(const char *name)
{
    size_t count;
    uint8_t *bytes = read_sample(name, &count);
    for (int i = 0; count > 0 && i < 12; i++) {
        size_t n = i < 6 ? draw((uint32_t)count) : count;
        uint8_t *copy = malloc(n + 1); /* exact, so that ASan sees a byte too far */
        memcpy(copy, bytes, n);
        if (i >= 6) {
            copy[draw((uint32_t)n)] = (uint8_t)draw(256);
        }
        struct outcome o = normalise_view((struct view){copy, n}, NULL);
        outcome_free(&o);
        free(copy);
    }
    free(bytes);
}

static void
test_damaged_samples_do_no_harm(void **state)
{
    (void)state;
    if (!find_shared()) {
        skip();
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        for_each_sample(folders[i], damage);
    }
}

/* ---- beside the FHIR of another converter ---- */

static json_t *
read_fhir(const char *name, const char *type)
{
    size_t count;
    uint8_t *bytes = read_sample(name, &count);
    json_t *bundle = json_loadb((const char *)bytes, count, 0, NULL), *found = NULL;
    free(bytes);
    assert_non_null(bundle);
    const json_t *entries = json_object_get(bundle, "entry");
    for (size_t i = 0; i < json_array_size(entries) && found == NULL; i++) {
        json_t *r = json_object_get(json_array_get(entries, i), "resource");
        const char *is = json_string_value(json_object_get(r, "resourceType"));
        if (is != NULL && strcmp(is, type) == 0) {
            found = json_incref(r);
        }
    }
    json_decref(bundle);
    assert_non_null(found);
    return found;
}

static long
number_at(const json_t *o, const char *first, const char *second)
{
    const json_t *v = json_object_get(o, first);
    v = second == NULL ? v : json_object_get(v, second);
    v = json_object_get(v, "value");
    assert_true(json_is_number(v));
    return (long)json_number_value(v);
}

static void
test_values_agree_with_another_converter(void **state)
{
    (void)state;
    if (!find_shared()) {
        skip();
    }
    static const struct {
        const char *name;
        char kind; /* s string, c coded, q quantity, r range, t time, x none */
    } pairs[] = {{"cwe-value", 'c'},          {"nm-value", 'q'},
                 {"nr-value", 'r'},           {"tx-value", 's'},
                 {"vr-value", 's'},           {"dtm-value", 't'},
                 {"sn-as-range-value", 'r'},  {"data-absent-st-but-empty-value", 'x'},
                 {"data-absent-x-value", 'x'}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char path[200], want[100] = "";
        snprintf(path, sizeof path, "hl7v2/obx2__rs__OBX-to-Observation-%s.hl7", pairs[i].name);
        struct outcome o = run_sample(path);
        snprintf(path, sizeof path, "fhir/pair__obx2__rs__OBX-to-Observation-%s.json",
                 pairs[i].name);
        json_t *fhir = read_fhir(path, "Observation");
        switch (pairs[i].kind) {
        case 's':
            snprintf(want, sizeof want, "%s",
                     json_string_value(json_object_get(fhir, "valueString")));
            break;
        case 'c':
            snprintf(
                want, sizeof want, "%s",
                json_string_value(json_object_get(
                    json_array_get(json_object_get(
                                       json_object_get(fhir, "valueCodeableConcept"), "coding"),
                                   0),
                    "display")));
            break;
        case 'q':
            snprintf(want, sizeof want, "%ld", number_at(fhir, "valueQuantity", NULL));
            EXPECT(&o, "0.items.0.unit",
                   json_string_value(
                       json_object_get(json_object_get(fhir, "valueQuantity"), "unit")));
            break;
        case 'r':
            snprintf(want, sizeof want, "%ld-%ld", number_at(fhir, "valueRange", "low"),
                     number_at(fhir, "valueRange", "high"));
            break;
        case 't':
            assert_string_equal(json_string_value(json_object_get(fhir, "valueDateTime")),
                                "2023-05-01T10:25:31-04:00");
            snprintf(want, sizeof want, "20230501102531-0400");
            break;
        default:
            break;
        }
        EXPECT(&o, "0.items.0.value", want);
        json_decref(fhir);
        outcome_free(&o);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_deviation_is_read_as_meant),
        cmocka_unit_test(test_every_sample_gives_reports_or_a_reason),
        cmocka_unit_test(test_damaged_samples_do_no_harm),
        cmocka_unit_test(test_values_agree_with_another_converter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
