/* Goal: rows of a table become the reports that they mean, and code maps mean what their
 * rows say.
 * Method: our own tables after INTERFACES.md, one test for each rule. */
#include "tests/normalise_fixture.h"

static void
test_csv_rows_of_one_number_are_one_report(void **state)
{
    (void)state;
    const char *csv =
        "\xEF\xBB\xBF报告单号,身份证号,姓名,性别,项目代码,项目名称,结果,单位,参考范围,异常标志,"
        "采样时间,状态\r\n"
        "R1,11010519491231002X,张  晋,男,2823-3,\"钾,血清\",'4.10,mmol/L,3.5-5.3,—,2024/1/5 "
        "8:03,已审核\r\n"
        "R2,11010519491231002X,张晋,男,X9,备注,\"两行\n文字\",,--,危急值,2024/1/6,\r\n"
        "R1,11010519491231002X,张  晋,男,2951-2,钠,１４０,mmol/L,,↑,2024/1/5 8:03,更正\r\n"
        "R3,,李四,,1,x,1,,,,2024-13-01,\r\n"
        "R4,110101199003070011,甲,,1,x,1,,,,2024-01-01,\r\n"
        "R4,11010519491231002X,乙,,2,y,1,,,,2024-01-01,\r\n"
        ",,,,,,7,,,,,\r\n"
        "R5,11010519491231002X,丙,,1,x,1,,,,2024-01-01,,多余\r\n";
    struct outcome o = run(csv);
    assert_int_equal(json_array_size(o.reports), 2);
    EXPECT(&o, "0.source", "file:2");
    EXPECT(&o, "0.report_id", "R1");
    EXPECT(&o, "0.status", "corrected");
    EXPECT(&o, "0.action", "publish");
    EXPECT(&o, "0.patient.name", "张晋");
    EXPECT(&o, "0.items.0.code", "LAB.K");
    EXPECT(&o, "0.items.0.name", "钾,血清");
    EXPECT(&o, "0.items.0.value", "4.10");
    EXPECT(&o, "0.items.0.examined_at", "2024-01-05T08:03:00+08:00");
    assert_int_equal(
        json_array_size(json_object_get(
            json_array_get(json_object_get(json_array_get(o.reports, 0), "items"), 0),
            "flags")),
        0);
    EXPECT(&o, "0.items.1.value", "140");
    EXPECT(&o, "0.items.1.flags.0", "↑");
    EXPECT(&o, "1.source", "file:3");
    EXPECT(&o, "1.items.0.value", "两行\n文字");
    EXPECT(&o, "1.items.0.critical", "true");
    EXPECT(&o, "1.items.0.status", "final");
    assert_int_equal(o.counts.refused, 4);
    assert_true(any_has(o.problems, "refused: record 6: column 11: is no time"));
    assert_true(
        any_has(o.problems, "refused: record 8: rows of one report name different patients"));
    assert_true(
        any_has(o.problems, "refused: record 9: column 1: the row has no report number"));
    assert_true(any_has(o.problems, "refused: record 10: column 13: the row has 13 cells"));
    outcome_free(&o);
}

static void
test_csv_imaging_has_one_item(void **state)
{
    (void)state;
    struct outcome o =
        run("检查号,证件类型,证件号码,检查项目,规范代码,检查所见,检查结论,检查时间,报告医师,"
            "审核医师\n"
            "E1,护照,E12345678,胸部CT平扫,CT.CHEST.PLAIN,正常,未见异常,20240301,甲,乙\n");
    EXPECT(&o, "0.kind", "imaging");
    EXPECT(&o, "0.action", "publish");
    EXPECT(&o, "0.items.0.code", "CT.CHEST.PLAIN");
    EXPECT(&o, "0.items.0.name", "胸部CT平扫");
    EXPECT(&o, "0.findings", "正常");
    EXPECT(&o, "0.impression", "未见异常");
    EXPECT(&o, "0.patient.identifiers.0.type", "PP");
    EXPECT(&o, "0.reviewer", "乙");
    outcome_free(&o);
}

/* The bytes of a refused CSV report are a file that can be imported again. */
static void
test_refused_csv_rows_are_kept_with_their_header(void **state)
{
    (void)state;
    struct outcome o = run("report_id,patient_id,local_code,value,examined_at\nR1,P,1,2,"
                           "never\nR2,P,1,2,20240101\n");
    assert_int_equal(json_array_size(o.raw), 1);
    assert_string_equal(json_string_value(json_array_get(o.raw, 0)),
                        "report_id,patient_id,local_code,value,examined_at\nR1,P,1,2,never\n");
    outcome_free(&o);
}

static void
test_bad_code_maps_are_refused_with_row_and_reason(void **state)
{
    (void)state;
    const struct {
        const char *text;
        uint32_t row;
        const char *reason;
    } maps[] = {{"", 0, "is empty"},
                {"sender,system,item\n", 1, "no column: local_code"},
                {"sender,system,local_code,item\n*,*,1,LAB.NOTHING\n", 2, "LAB.NOTHING"},
                {"# x\nsender,system,local_code,item\n*,*,,LAB.K\n", 3, "no local code"},
                {"sender,system,local_code,item\n*,PID-3,1,\n", 2, "no meaning"},
                {"\xFF\xFF\xFF", 0, "neither UTF-8"}};
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        struct codemap *m;
        struct codemap_error e;
        assert_int_equal(codemap_new(embedded_find("policy/catalog/catalog.csv")->data, &m),
                         STATUS_OK);
        assert_int_equal(codemap_add(m, text_view(maps[i].text), &e), STATUS_MALFORMED);
        assert_int_equal(e.row, maps[i].row);
        if (strstr(e.reason, maps[i].reason) == NULL) {
            fail_msg("'%s' does not say '%s'", e.reason, maps[i].reason);
        }
        codemap_free(m);
    }
}

static void
test_the_nearest_row_of_a_code_map_wins(void **state)
{
    (void)state;
    struct codemap *m;
    struct codemap_error e;
    assert_int_equal(codemap_new(embedded_find("policy/catalog/catalog.csv")->data, &m),
                     STATUS_OK);
    assert_int_equal(codemap_add(m,
                                 text_view("sender,system,local_code,item,unit\n*,*,G,LAB.K,\n"
                                           "S,*,G,LAB.NA,\n*,L,G,LAB.CL,\n*,*,G,LAB.CA,mmol/L\n"
                                           "*,*,2823-3,LAB.MG,\n*,*,D,LAB.K,\n*,*,D,LAB.NA,\n"),
                                 &e),
                     STATUS_OK);
    struct codemap_sender s = {{text_view("S"), text_view(""), text_view("")}};
    struct codemap_sender none = {{text_view(""), text_view(""), text_view("")}};
    struct view any = text_view(""), g = text_view("G");
    assert_string_equal(codemap_find(m, &none, any, g, any)->code, "LAB.K");
    assert_string_equal(codemap_find(m, &s, text_view("L"), g, any)->code, "LAB.NA");
    assert_string_equal(codemap_find(m, &none, text_view("L"), g, any)->code, "LAB.CL");
    assert_string_equal(codemap_find(m, &none, any, g, text_view("mmol/L"))->code, "LAB.CA");
    assert_string_equal(codemap_find(m, &none, text_view("LN"), text_view("2823-3"), any)->code,
                        "LAB.MG");
    assert_string_equal(codemap_find(m, &none, any, text_view("D"), any)->code, "LAB.NA");
    assert_null(codemap_find(m, &none, any, text_view("H"), any));
    assert_null(codemap_find(m, &none, any, text_view(""), any));
    codemap_free(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_rows_of_one_number_are_one_report),
        cmocka_unit_test(test_csv_imaging_has_one_item),
        cmocka_unit_test(test_refused_csv_rows_are_kept_with_their_header),
        cmocka_unit_test(test_bad_code_maps_are_refused_with_row_and_reason),
        cmocka_unit_test(test_the_nearest_row_of_a_code_map_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
