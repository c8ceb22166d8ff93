/* Goal: the character set is the one the bytes are in, whatever the message says.
 * Method: the rule of INTERFACES.md 1.8, case by case; round trips through iconv. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/charset.h"
#include "proto/text.h"

static uint8_t out[4096];

/* Decode `bytes` and expect UTF-8 `want` (NULL: refused). */
static void
expect(const char *bytes, const char *stated, enum charset preferred, const char *want,
       enum charset charset, bool warned)
{
    struct charset_choice choice;
    size_t count = 0;
    enum status st = charset_decode(text_view(bytes), charset_named(text_view(stated)),
                                    preferred, out, &count, &choice);
    if (want == NULL) {
        assert_int_not_equal(st, STATUS_OK);
        return;
    }
    assert_int_equal(st, STATUS_OK);
    assert_int_equal(choice.charset, charset);
    assert_true(text_is((struct view){out, count}, want));
    assert_int_equal(choice.warning != NULL, warned);
}

static void
test_names_are_read_as_senders_write_them(void **state)
{
    (void)state;
    const struct {
        const char *name;
        enum charset charset;
        bool known;
    } rows[] = {{"GB 18030-2000", CHARSET_GB18030, true},
                {"gbk", CHARSET_GB18030, true},
                {"GB2312", CHARSET_GB18030, true},
                {"UNICODE UTF-8", CHARSET_UTF8, true},
                {"utf-8", CHARSET_UTF8, true},
                {"UNICODE", CHARSET_NONE, true},
                {"Unicode", CHARSET_NONE, true},
                {"ASCII", CHARSET_NONE, true},
                {"8859/1", CHARSET_8859_1, true},
                {"8859/15", CHARSET_8859_1 + 14, true},
                {"ISO-8859-2", CHARSET_8859_1 + 1, true},
                {"8859/17", CHARSET_NONE, false},
                {"8859/12", CHARSET_NONE, false},
                {"ISO IR6", CHARSET_NONE, true},
                {"ISO IR 999", CHARSET_NONE, false},
                {"CP1252", CHARSET_CP1252, true},
                {"BIG-5", CHARSET_BIG5, true},
                {"UNICODE UTF-16", CHARSET_WIDE, true},
                {"", CHARSET_NONE, false},
                {"CHN", CHARSET_NONE, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(charset_named(text_view(rows[i].name)), rows[i].charset);
        assert_int_equal(charset_is_known(text_view(rows[i].name)), rows[i].known);
    }
}

static void
test_stated_sets_are_taken(void **state)
{
    (void)state;
    expect("PID|\xC0\xEE\xAB\x7C|", "GB 18030-2000", CHARSET_NONE, "PID|李珅|", CHARSET_GB18030,
           false);
    expect("\x95\x34\xB2\x35", "GB 18030-2000", CHARSET_NONE, "𠮷", CHARSET_GB18030, false);
    expect("M\xFCller", "8859/1", CHARSET_NONE, "Müller", CHARSET_8859_1, false);
    expect("\x80 5", "CP1252", CHARSET_NONE, "€ 5", CHARSET_CP1252, false);
    expect("李明", "UNICODE UTF-8", CHARSET_NONE, "李明", CHARSET_UTF8, false);
    expect("\xEF\xBB\xBF李明", "", CHARSET_NONE, "李明", CHARSET_UTF8, false);
    expect("plain", "GB 18030-2000", CHARSET_NONE, "plain", CHARSET_UTF8, false);
    expect("\xA7\xF5", "BIG-5", CHARSET_NONE, "李", CHARSET_BIG5, false);
}

static void
test_unstated_sets_are_found(void **state)
{
    (void)state;
    expect("李明", "", CHARSET_NONE, "李明", CHARSET_UTF8, false);
    expect("李明", "UNICODE", CHARSET_NONE, "李明", CHARSET_UTF8, false);
    expect("\xC0\xEE\xC3\xF7", "", CHARSET_NONE, "李明", CHARSET_GB18030, true);
    expect("\xC0\xEE\xC3\xF7", "UNICODE", CHARSET_NONE, "李明", CHARSET_GB18030, true);
    expect("\xC0\xEE\xC3\xF7", "ASCII", CHARSET_NONE, "李明", CHARSET_GB18030, true);
    /* The sender's own setting decides what could be both. */
    expect("\xC1\xAA\xCD\xA8", "", CHARSET_GB18030, "联通", CHARSET_GB18030, false);
}

static void
test_wrong_statements_are_seen(void **state)
{
    (void)state;
    expect("\xC0\xEE\xC3\xF7", "UNICODE UTF-8", CHARSET_NONE, "李明", CHARSET_GB18030, true);
    expect("李明^王芳", "GB 18030-2000", CHARSET_NONE, "李明^王芳", CHARSET_UTF8, true);
    expect("Müller", "8859/1", CHARSET_NONE, "Müller", CHARSET_UTF8, true);
    /* Two-byte letters fit both: what is stated wins. */
    expect("\xC1\xAA\xCD\xA8", "GB 18030-2000", CHARSET_NONE, "联通", CHARSET_GB18030, false);
}

static void
test_what_fits_nothing_is_refused(void **state)
{
    (void)state;
    struct charset_choice choice;
    size_t count;
    expect("\xFF\xFF\xFF", "", CHARSET_NONE, NULL, CHARSET_NONE, false);
    expect("abc\x81", "GB 18030-2000", CHARSET_NONE, NULL, CHARSET_NONE, false);
    static const uint8_t wide[] = {0xFF, 0xFE, 'M', 0, 'S', 0, 'H', 0};
    assert_int_equal(charset_decode((struct view){wide, sizeof wide}, CHARSET_NONE,
                                    CHARSET_NONE, out, &count, &choice),
                     STATUS_UNSUPPORTED);
    assert_int_equal(charset_decode((struct view){wide + 2, sizeof wide - 2}, CHARSET_NONE,
                                    CHARSET_NONE, out, &count, &choice),
                     STATUS_UNSUPPORTED);
}

/* Every two-byte letter of GBK whose second byte is a delimiter of HL7. */
static void
test_no_delimiter_inside_a_letter_survives_decoding(void **state)
{
    (void)state;
    size_t letters = 0;
    for (int lead = 0x81; lead <= 0xFE; lead++) {
        static const uint8_t trails[] = {'|', '^', '~', '\\'};
        for (size_t k = 0; k < sizeof trails; k++) {
            uint8_t raw[2] = {(uint8_t)lead, trails[k]};
            size_t count = 0;
            if (charset_decode_as(CHARSET_GB18030, (struct view){raw, 2}, out, &count)) {
                letters++;
                assert_null(memchr(out, trails[k], count));
            }
        }
    }
    assert_true(letters > 464);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_read_as_senders_write_them),
        cmocka_unit_test(test_stated_sets_are_taken),
        cmocka_unit_test(test_unstated_sets_are_found),
        cmocka_unit_test(test_wrong_statements_are_seen),
        cmocka_unit_test(test_what_fits_nothing_is_refused),
        cmocka_unit_test(test_no_delimiter_inside_a_letter_survives_decoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
