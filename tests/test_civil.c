/* Goal: times are read as senders write them, keep their precision, and come
 * back the same from RFC 3339.
 * Method: known dates, the deviations of INTERFACES.md 1.7, all days of 1200 years. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/civil.h"
#include "proto/text.h"

static void
expect(const char *text, const char *want)
{
    struct civil c;
    char out[CIVIL_CHARS_MAX];
    enum status st = civil_parse(text_view(text), &c);
    if (want == NULL) {
        if (st != STATUS_MALFORMED) {
            fail_msg("'%s' should not be a time", text);
        }
        return;
    }
    if (st != STATUS_OK) {
        fail_msg("'%s' is not read", text);
    }
    civil_format(&c, out);
    assert_string_equal(out, want);
    struct civil again;
    if (c.precision < CIVIL_HOUR || c.has_offset) {
        assert_int_equal(civil_parse_rfc3339(text_view(out), &again), STATUS_OK);
        assert_int_equal(civil_unix_ms(&again, 0), civil_unix_ms(&c, 0));
    }
}

static void
test_every_day_of_twelve_centuries_counts_one_more(void **state)
{
    (void)state;
    int32_t day = civil_days(1600, 1, 1);
    assert_int_equal(civil_days(1970, 1, 1), 0);
    assert_int_equal(civil_days(2000, 3, 1), 11017);
    assert_int_equal(civil_days(2026, 11, 22), 20779);
    for (int32_t y = 1600; y < 2800; y++) {
        for (int32_t m = 1; m <= 12; m++) {
            for (int32_t d = 1; civil_is_date(y, m, d); d++, day++) {
                struct civil c = civil_from_days(day);
                assert_int_equal(civil_days(y, m, d), day);
                assert_true(c.year == y && c.month == m && c.day == d);
            }
        }
    }
    assert_false(civil_is_date(1900, 2, 29));
    assert_true(civil_is_date(2000, 2, 29));
    assert_false(civil_is_date(2024, 13, 1));
    assert_false(civil_is_date(0, 1, 1));
}

static void
test_hl7_times_keep_their_precision(void **state)
{
    (void)state;
    expect("2024", "2024");
    expect("202401", "2024-01");
    expect("20240105", "2024-01-05");
    expect("2024010508", "2024-01-05T08:00:00");
    expect("202401050803", "2024-01-05T08:03:00");
    expect("20240105080359", "2024-01-05T08:03:59");
    expect("20080818183002.1-0700", "2008-08-18T18:30:02.1-07:00");
    expect("20140630120030.1234-0500", "2014-06-30T12:00:30.1234-05:00");
    expect("20241015+0800", "2024-10-15");
    expect("2024-0500", "2024");
    expect("20230501102531-0400", "2023-05-01T10:25:31-04:00");
    expect("20240101240000", "2024-01-02T00:00:00");
    expect("20161231235960", "2016-12-31T23:59:60");
}

static void
test_other_spellings_are_read_too(void **state)
{
    (void)state;
    expect("2026-01-15T14:30:00", "2026-01-15T14:30:00");
    expect("2020-10-10T17:42:31+00:00", "2020-10-10T17:42:31+00:00");
    expect("20240615T103000", "2024-06-15T10:30:00");
    expect("20250115 1430", "2025-01-15T14:30:00");
    expect("2026/10/06 13:05:15", "2026-10-06T13:05:15");
    expect("2024/1/5 8:03", "2024-01-05T08:03:00");
    expect("2024.1.5", "2024-01-05");
    expect("1994050216163360", "1994-05-02T16:16:33.60");
    expect("2024年1月5日 8时3分", "2024-01-05T08:03:00");
    expect("2024年1月5日", "2024-01-05");
    expect("２０２４-０１-０５", "2024-01-05");
    expect("202106040725-0400", "2021-06-04T07:25:00-04:00");
    expect("2024-01-05T08:03:00Z", "2024-01-05T08:03:00+00:00");
    expect("  20240105  ", "2024-01-05");
}

static void
test_nonsense_is_no_time(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",          "0000",           "20241301",        "20240230",        "2024010",
        "202401050", "20240105250000", "20240105086000",  "Jan 2020",        "31/01/2020",
        "1-31-2020", "not-a-date",     "2024-13",         "20240105+2500",   "2024/1/5 8:3x",
        "20240105T", "2024--5",        "20240105080359x", "January 31, 2020"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect(bad[i], NULL);
    }
}

static void
test_rfc3339_takes_only_what_is_written_here(void **state)
{
    (void)state;
    struct civil c;
    const char *const good[] = {"2024",
                                "2024-01",
                                "2024-01-05",
                                "2024-01-05T08:03:59+08:00",
                                "2024-01-05T08:03:00.10+08:00",
                                "2024-01-05T08:03:00Z"};
    const char *const bad[] = {"20240105",
                               "2024-1-5",
                               "2024-01-05T08:03:00",
                               "2024-01-05 08:03+08:00",
                               "2024-01-05T08:03:00+0800",
                               "",
                               "2024-01-05T08+08:00",
                               "2024-01-05T08:03+08:00"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(civil_parse_rfc3339(text_view(good[i]), &c), STATUS_OK);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(civil_parse_rfc3339(text_view(bad[i]), &c), STATUS_MALFORMED);
    }
    assert_int_equal(civil_parse_rfc3339(text_view("2024-01-05T08:03:00.25+08:00"), &c),
                     STATUS_OK);
    assert_int_equal(civil_unix_ms(&c, 0), 1704412980250);
    assert_int_equal(civil_parse(text_view("20240105080300"), &c), STATUS_OK);
    assert_int_equal(civil_unix_ms(&c, 480), 1704412980000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_day_of_twelve_centuries_counts_one_more),
        cmocka_unit_test(test_hl7_times_keep_their_precision),
        cmocka_unit_test(test_other_spellings_are_read_too),
        cmocka_unit_test(test_nonsense_is_no_time),
        cmocka_unit_test(test_rfc3339_takes_only_what_is_written_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
