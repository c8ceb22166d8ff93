/* Goal: messages are split and unescaped as INTERFACES.md 1.2 and 1.3 say, and a
 * file is cut into its messages whatever its line ends.
 * Method: small messages for each rule; escape then unescape of random text;
 * every cut of a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/hl7v2.h"
#include "proto/text.h"

static struct hl7_delimiters
delimiters_of(const char *message)
{
    struct hl7_delimiters d;
    const char *why = NULL;
    assert_int_equal(hl7_read_delimiters(text_view(message), &d, &why), STATUS_OK);
    return d;
}

static void
expect_delimiters(const char *msh, const char *want, bool repaired)
{
    struct hl7_delimiters d = delimiters_of(msh);
    char got[8] = {d.field, d.component, d.repetition, d.escape, d.subcomponent, d.truncation,
                   0};
    assert_string_equal(got, want);
    assert_int_equal(d.repaired, repaired);
}

static void
test_delimiters_come_from_the_message(void **state)
{
    (void)state;
    expect_delimiters("MSH|^~\\&|A", "|^~\\&", false);
    expect_delimiters("MSH|^~\\&#|A", "|^~\\&#", false);
    expect_delimiters("MSH@~&#\\@A", "@~&#\\", false);
    expect_delimiters("MSH|^~ &|A", "|^~\\&", true);
    expect_delimiters("MSH|^~", "|^~\\&", true);
    expect_delimiters("MSH|^^^^|A", "|^~\\&", true);
    expect_delimiters("MSH|^~|A", "|^~\\&", true);
    expect_delimiters(" msh|^~\\&|A", "|^~\\&", false);
    expect_delimiters("MSH|^~A&|A", "|^~\\&", true);
    expect_delimiters("MSH|^~\\}|A", "|^~\\}", false);
}

static void
test_what_is_no_header_is_refused(void **state)
{
    (void)state;
    struct hl7_delimiters d;
    const char *why = NULL;
    const char *const bad[] = {"",     "MSH", "MSH|", "MSHX^~\\&|", "PID|1", "MSH-18 is empty",
                               "MSH A"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(hl7_read_delimiters(text_view(bad[i]), &d, &why), STATUS_MALFORMED);
        assert_non_null(why);
    }
    /* The default component separator is the field separator here. */
    assert_int_equal(hl7_read_delimiters(text_view("MSH^ |~A"), &d, &why), STATUS_MALFORMED);
}

/* Segments as NAME:text; joined by ";". */
static void
expect_segments(const char *message, const char *want)
{
    struct hl7_delimiters d = delimiters_of(message);
    struct hl7_cursor c;
    struct hl7_segment s;
    char got[1024] = "";
    size_t n = 0;
    hl7_begin(&c, text_view(message), &d);
    while (hl7_next_segment(&c, &s)) {
        struct view first = hl7_field(&d, &s, 2);
        n += (size_t)snprintf(got + n, sizeof got - n, "%s:%.*s;", s.name, (int)first.count,
                              (const char *)first.bytes);
    }
    assert_string_equal(got, want);
}

static void
test_segments_end_with_any_line_end(void **state)
{
    (void)state;
    expect_segments("MSH|^~\\&|\rPID|1|a\rOBR|1|b", "MSH:^~\\&;PID:a;OBR:b;");
    expect_segments("MSH|^~\\&|\nPID|1|a\r\n\r\nOBR|1|b\n\n", "MSH:^~\\&;PID:a;OBR:b;");
    expect_segments("MSH|^~\\&|\r  PID|1|a\rpid|1|c\rZXY|1|z\rABC|1|y\r",
                    "MSH:^~\\&;PID:a;PID:c;ZXY:z;ABC:y;");
}

static void
test_lines_that_are_no_segments_continue_the_text(void **state)
{
    (void)state;
    expect_segments("MSH|^~\\&|\rOBX|1|first line\nCT: clear\n\nno more\rNTE|1|x",
                    "MSH:^~\\&;OBX:first line\nCT: clear\n\nno more;NTE:x;");
    expect_segments("MSH|^~\\&|\rOBX|1|a\nWBC\nabc|d\r", "MSH:^~\\&;OBX:a\nWBC\nabc;");
}

static void
test_an_obx_run_into_a_line_is_cut_out(void **state)
{
    (void)state;
    expect_segments("MSH|^~\\&|\rOBR|1|P|F| OBX||TX|FIND|1|text| OBX||TX|FIND|2|more\r",
                    "MSH:^~\\&;OBR:P;OBX:TX;OBX:TX;");
    expect_segments("MSH|^~\\&|\rOBR|1|the OBX|x|y\rOBX|1|TX|a|OBX|b|c\r",
                    "MSH:^~\\&;OBR:the OBX;OBX:TX;");
}

static void
expect_text(const char *msh, enum charset charset, const char *leaf, const char *want,
            bool unknown)
{
    struct hl7_delimiters d = delimiters_of(msh);
    struct hl7_unescape_notes notes = {0};
    uint8_t out[2048];
    size_t n = hl7_unescape(&d, charset, text_view(leaf), out, &notes);
    if (!text_is((struct view){out, n}, want)) {
        fail_msg("'%s' became '%.*s'", leaf, (int)n, (const char *)out);
    }
    assert_int_equal(notes.unknown, unknown);
}

static void
test_escapes_are_undone_once(void **state)
{
    (void)state;
    const char *m = "MSH|^~\\&|";
    expect_text(m, CHARSET_UTF8, "10\\S\\9/L", "10^9/L", false);
    expect_text(m, CHARSET_UTF8, "\\F\\\\S\\\\T\\\\R\\\\E\\", "|^&~\\", false);
    expect_text(m, CHARSET_UTF8, "\\E\\F\\E\\", "\\F\\", false);
    expect_text(m, CHARSET_UTF8, "a\\X0D0A\\b\\X0D\\c\\X21\\", "a\nb\nc!", false);
    expect_text(m, CHARSET_GB18030, "\\XC0EE\\", "李", false);
    expect_text(m, CHARSET_UTF8, "\\XE69D8E\\", "李", false);
    expect_text(m, CHARSET_UTF8, "a\\.br\\b\\.sp2\\c\\.in+3\\d", "a\nb\n\ncd", false);
    expect_text(m, CHARSET_UTF8, "\\H\\bold\\N\\", "bold", false);
    expect_text(m, CHARSET_UTF8, "\\C2842\\x\\M824041\\", "x", false);
    expect_text(m, CHARSET_UTF8, "with \\Z99\\ in", "with \\Z99\\ in", true);
    expect_text(m, CHARSET_UTF8, "C:\\ a stray one", "C:\\ a stray one", false);
    expect_text(m, CHARSET_UTF8, "one\\", "one\\", false);
    expect_text(m, CHARSET_UTF8, "50\\60 and \\T\\", "50\\60 and &", false);
    expect_text("MSH|^~\\&#|", CHARSET_UTF8, "cut\\P\\", "cut#", false);
    expect_text("MSH@~&#\\@", CHARSET_UTF8, "#F##S#", "@~", false);
}

static uint64_t seed = 20261122;

static uint32_t
draw(uint32_t below)
{
    seed += 0x9E3779B97F4A7C15u;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ (z >> 31)) % below);
}

/* No escaped text can forge a segment or a field, and it comes back the same. */
static void
test_escaped_text_comes_back(void **state)
{
    (void)state;
    static const char letters[] = "|^~\\&#\r\n\x0B\x1C.brXFSTREH0a \xC3\xA9";
    struct hl7_delimiters d = delimiters_of("MSH|^~\\&#|");
    for (int run = 0; run < 20000; run++) {
        uint8_t text[24], escaped[24 * 5], back[24 * 5 * 3 + 256], want[24];
        struct hl7_unescape_notes notes = {0};
        size_t n = draw(sizeof text), m = 0;
        for (size_t i = 0; i < n; i++) {
            text[i] = (uint8_t)letters[draw(sizeof letters - 3)];
        }
        size_t k = hl7_escape(&d, (struct view){text, n}, escaped);
        assert_true(k <= sizeof escaped);
        for (size_t i = 0; i < k; i++) {
            assert_true(strchr("|^~&#\r\n\x0B\x1C", escaped[i]) == NULL);
        }
        for (size_t i = 0; i < n; i++) { /* a line break is a line break */
            if (text[i] == '\r' && i + 1 < n && text[i + 1] == '\n') {
                continue;
            }
            want[m++] = text[i] == '\r' ? '\n' : text[i];
        }
        size_t got = hl7_unescape(&d, CHARSET_UTF8, (struct view){escaped, k}, back, &notes);
        assert_int_equal(got, m);
        assert_memory_equal(back, want, m);
    }
}

static void
test_fields_and_pieces_outside_are_empty(void **state)
{
    (void)state;
    const char *message = "MSH|^~\\&|APP|FAC\rPID|1||a^b&c~d^e|\"\"";
    struct hl7_delimiters d = delimiters_of(message);
    struct hl7_cursor c;
    struct hl7_segment msh, pid;
    hl7_begin(&c, text_view(message), &d);
    assert_true(hl7_next_segment(&c, &msh));
    assert_true(hl7_next_segment(&c, &pid));
    assert_true(text_is(hl7_field(&d, &msh, 1), "|"));
    assert_true(text_is(hl7_field(&d, &msh, 2), "^~\\&"));
    assert_true(text_is(hl7_field(&d, &msh, 3), "APP"));
    assert_int_equal(hl7_field(&d, &msh, 30).count, 0);
    assert_true(text_is(hl7_field(&d, &pid, 3), "a^b&c~d^e"));
    assert_true(text_is(hl7_value(&d, &pid, 3, 1), "a"));
    assert_true(text_is(hl7_value(&d, &pid, 3, 2), "b&c"));
    assert_int_equal(hl7_value(&d, &pid, 3, 9).count, 0);
    assert_true(hl7_is_null(hl7_field(&d, &pid, 4)));
    assert_int_equal(hl7_value(&d, &pid, 4, 1).count, 0);
    struct view rest = hl7_field(&d, &pid, 3), piece;
    bool started = false;
    size_t pieces = 0;
    while (hl7_next_piece(&rest, d.repetition, &started, &piece)) {
        pieces++;
    }
    assert_int_equal(pieces, 2);
}

static void
expect_records(const char *file, const char *want)
{
    struct hl7_batch b;
    struct hl7_record r;
    char got[512] = "";
    size_t n = 0;
    hl7_batch_begin(&b, text_view(file));
    while (hl7_batch_next(&b, &r)) {
        static const char kinds[] = "MJC";
        n += (size_t)snprintf(got + n, sizeof got - n, "%c%u", kinds[r.kind], r.number);
        if (r.kind == HL7_RECORD_COUNT) {
            n += (size_t)snprintf(got + n, sizeof got - n, "(%s %u/%u)", r.trailer, r.stated,
                                  r.found);
        }
        n += (size_t)snprintf(got + n, sizeof got - n, " ");
    }
    assert_string_equal(got, want);
}

static void
test_files_are_cut_into_messages(void **state)
{
    (void)state;
    expect_records("MSH|^~\\&|a\rPID|1\rMSH|^~\\&|b\r", "M1 M2 ");
    expect_records("\xEF\xBB\xBFMSH|^~\\&|a\nPID|1\n\n\n  MSH|^~\\&|b", "M1 M2 ");
    expect_records("\x0BMSH|^~\\&|a\rPID|1\r\x1C\r\x0BMSH|^~\\&|b\x1C\n", "M1 M2 ");
    expect_records("FHS|^~\\&|\rBHS|^~\\&|\rMSH|^~\\&|a\rMSH|^~\\&|b\rBTS|2\rFTS|1\r",
                   "M1 M2 ");
    expect_records("BHS|^~\\&|\rMSH|^~\\&|a\rBTS|3\rBHS|\rMSH|^~\\&|b\rBTS|1|x\rFTS|1\r",
                   "M1 C1(BTS 3/1) M2 C2(FTS 1/2) ");
    expect_records("hello\nMSH|^~\\&|a\nOBX|1|TX|||\nMSH-18 is empty\n", "J0 M1 ");
    expect_records("PID|1\nOBR|2\n", "J0 ");
    expect_records("MSH|^~\\&|a\rBTS|1\rgarbage\rMSH|^~\\&|b\r", "M1 J1 M2 ");
    expect_records("BHS|^~\\&\rMSH|^~\\&|1\rMSH|^~\rMSH|^~\\&|3\rBTS|3\r", "M1 M2 M3 ");
    expect_records("", "");
    expect_records("\r\n \n\x1C", "");
}

/* Against a page that may not be read: no byte behind the end is touched, and
 * every cut of a message gives segments that lie inside it. */
static void
test_cut_messages_stay_inside(void **state)
{
    (void)state;
    const char *whole =
        "MSH|^~\\&|A|B|||2024||ORU^R01|1|P|2.5\rPID|1||x^^^^MR~y\rOBR|1| OBX||TX|F|1|"
        "t\rOBX|1|NM|1^\\X41\\||2|10^9/L\rfree text\r\rOBX|2";
    size_t total = strlen(whole);
    for (size_t n = 0; n <= total; n++) {
        uint8_t *exact = malloc(n == 0 ? 1 : n); /* ASan sees one byte too far */
        memcpy(exact, whole, n);
        struct view v = {exact, n};
        struct hl7_delimiters d;
        const char *why;
        if (hl7_read_delimiters(v, &d, &why) == STATUS_OK) {
            struct hl7_cursor c;
            struct hl7_segment s;
            hl7_begin(&c, v, &d);
            while (hl7_next_segment(&c, &s)) {
                assert_true(s.text.bytes >= exact && s.text.bytes + s.text.count <= exact + n);
                for (uint32_t f = 1; f < 20; f++) {
                    struct view field = hl7_field(&d, &s, f);
                    assert_true(field.bytes >= exact && field.bytes + field.count <= exact + n);
                }
            }
        }
        free(exact);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delimiters_come_from_the_message),
        cmocka_unit_test(test_what_is_no_header_is_refused),
        cmocka_unit_test(test_segments_end_with_any_line_end),
        cmocka_unit_test(test_lines_that_are_no_segments_continue_the_text),
        cmocka_unit_test(test_an_obx_run_into_a_line_is_cut_out),
        cmocka_unit_test(test_escapes_are_undone_once),
        cmocka_unit_test(test_escaped_text_comes_back),
        cmocka_unit_test(test_fields_and_pieces_outside_are_empty),
        cmocka_unit_test(test_files_are_cut_into_messages),
        cmocka_unit_test(test_cut_messages_stay_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
