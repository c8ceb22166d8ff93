/* Goal: normal forms and check digits are those of the standards.
 * Method: the vectors of INTERFACES.md section 3, each form of writing, and
 * every single wrong digit of a card. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/civil.h"
#include "proto/identifier.h"
#include "proto/text.h"

static void
expect(const char *type, const char *value, const char *country, const char *want)
{
    char out[IDENTIFIER_CHARS_MAX + 1];
    const char *why;
    enum status st = identifier_normalise(type, text_view(value), text_view(country),
                                          civil_days(2026, 11, 22), out, &why);
    if (want == NULL) {
        assert_int_not_equal(st, STATUS_OK);
        assert_non_null(why);
    } else {
        if (st != STATUS_OK) {
            fail_msg("%s %s: %s", type, value, why);
        }
        assert_string_equal(out, want);
        assert_null(why);
    }
}

static void
test_cards_are_folded_and_checked(void **state)
{
    (void)state;
    expect("RI", "11010519491231002X", "", "11010519491231002X");
    expect("RI", " 110105 19491231-002x ", "", "11010519491231002X");
    expect("RI", "１１０１０５１９４９１２３１００２Ｘ", "", "11010519491231002X");
    expect("RI", "110105491231002", "", "11010519491231002X");
    expect("RI", "310101199001011234", "", "310101199001011234");
    expect("RI", "110105194912310021", "", NULL);
    expect("RI", "", "", NULL);
    expect("RI", "11010519491231002", "", NULL);
    expect("RI", "11010519491331002X", "", NULL);
    expect("RI", "000000000000000000", "", NULL);
    expect("RI", "MRN-1", "", NULL);
}

static void
test_any_single_wrong_digit_is_found(void **state)
{
    (void)state;
    char card[] = "11010519491231002X";
    for (size_t i = 0; i < 17; i++) {
        char right = card[i];
        for (char c = '0'; c <= '9'; c++) {
            card[i] = c;
            assert_true(identifier_card_digit_is_right(card) == (c == right));
        }
        card[i] = right;
    }
}

/* A card whose check digit is right, for birth dates that are not. */
static void
test_birth_dates_must_exist_and_lie_in_the_past(void **state)
{
    (void)state;
    char card[19] = "11010519491331002?";
    for (size_t i = 0; i < 11; i++) {
        card[17] = "10X98765432"[i];
        if (identifier_card_digit_is_right(card)) {
            expect("RI", card, "", NULL);
        }
    }
    char future[19] = "11010520271231002?";
    for (size_t i = 0; i < 11; i++) {
        future[17] = "10X98765432"[i];
        if (identifier_card_digit_is_right(future)) {
            char out[IDENTIFIER_CHARS_MAX + 1];
            expect("RI", future, "", NULL);
            assert_int_equal(identifier_normalise("RI", text_view(future), text_view(""),
                                                  IDENTIFIER_ANY_DAY, out, NULL),
                             STATUS_OK);
        }
    }
}

static void
test_passports_carry_their_country(void **state)
{
    (void)state;
    expect("PP", "e12345678", "", "E12345678");
    expect("PP", "E12345678", "CHN", "E12345678");
    expect("PP", "EA1234567", "cn", "EA1234567");
    expect("PP", "CHN/E12345678", "", "E12345678");
    expect("PP", "123456789", "US", "USA/123456789");
    expect("PP", "USA/123456789", "", "USA/123456789");
    expect("PP", "E12345678", "DEU", "DEU/E12345678");
    expect("PP", "123456789", "", NULL);
    expect("PP", "123456789", "ZZ", NULL);
    expect("PP", "12/34", "", NULL);
}

static void
test_travel_permits(void **state)
{
    (void)state;
    expect("HM", "h12345678", "", "H12345678");
    expect("HM", "M1234567801", "", "M12345678");
    expect("HM", "12345678", "", NULL);
    expect("TW", "12345678", "", "12345678");
    expect("TW", "1234567", "", NULL);
    expect("RP", "11010519491231002X", "", NULL);
    expect("MR", "1234", "", NULL);
    char permit[19] = "81000019900101123?";
    for (size_t i = 0; i < 11; i++) {
        permit[17] = "10X98765432"[i];
        if (identifier_card_digit_is_right(permit)) {
            expect("RP", permit, "", permit);
            expect("RI", permit, "", NULL);
        }
    }
}

static void
test_codes_of_institutions_and_loinc(void **state)
{
    (void)state;
    assert_true(identifier_credit_code_is_right(text_view("91350100M000100Y43")));
    assert_false(identifier_credit_code_is_right(text_view("91350100M000100Y44")));
    assert_false(identifier_credit_code_is_right(text_view("91350100I000100Y43")));
    assert_true(identifier_organisation_code_is_right(text_view("M000100Y4")));
    assert_false(identifier_organisation_code_is_right(text_view("M000100Y5")));
    assert_true(identifier_loinc_is_right(text_view("2823-3")));
    assert_true(identifier_loinc_is_right(text_view("6690-2")));
    assert_true(identifier_loinc_is_right(text_view("24627-2")));
    assert_false(identifier_loinc_is_right(text_view("2823-4")));
    assert_false(identifier_loinc_is_right(text_view("1037")));
    assert_false(identifier_loinc_is_right(text_view("WBC")));
}

static void
test_too_long_values_are_refused_whole(void **state)
{
    (void)state;
    char value[200], out[IDENTIFIER_CHARS_MAX + 1];
    memset(value, 'A', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    assert_int_equal(identifier_normalise("PP", text_view(value), text_view("USA"),
                                          IDENTIFIER_ANY_DAY, out, NULL),
                     STATUS_TOO_BIG);
    value[64] = '\0';
    assert_int_equal(identifier_normalise("PP", text_view(value), text_view("USA"),
                                          IDENTIFIER_ANY_DAY, out, NULL),
                     STATUS_MALFORMED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cards_are_folded_and_checked),
        cmocka_unit_test(test_any_single_wrong_digit_is_found),
        cmocka_unit_test(test_birth_dates_must_exist_and_lie_in_the_past),
        cmocka_unit_test(test_passports_carry_their_country),
        cmocka_unit_test(test_travel_permits),
        cmocka_unit_test(test_codes_of_institutions_and_loinc),
        cmocka_unit_test(test_too_long_values_are_refused_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
