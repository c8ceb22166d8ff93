#include "proto/charset.h"

#include <assert.h>
#include <iconv.h>
#include <stdio.h>
#include <string.h>

#include "proto/text.h"

const char *
charset_text(enum charset c)
{
    static const char *const latin[] = {
        "8859/1", "8859/2",  "8859/3",  "8859/4",  "8859/5",  "8859/6",  "8859/7",  "8859/8",
        "8859/9", "8859/10", "8859/11", "8859/12", "8859/13", "8859/14", "8859/15", "8859/16"};
    if (c >= CHARSET_8859_1 && c <= CHARSET_8859_16) {
        return latin[c - CHARSET_8859_1];
    }
    static const char *const names[] = {"not stated", "UTF-8",       "GB 18030", "BIG-5",
                                        "EUC-KR",     "ISO-2022-JP", "CP1252",   "UTF-16"};
    return names[c];
}

/* Upper case letters and digits of the name alone. */
static size_t
plain_name(struct view name, char *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < name.count && n + 1 < cap; i++) {
        uint8_t c = name.bytes[i];
        if (c >= 'a' && c <= 'z') {
            c = (uint8_t)(c - 32);
        }
        if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
            out[n++] = (char)c;
        }
    }
    out[n] = '\0';
    return n;
}

static const struct name_row {
    const char *begins;
    enum charset charset;
} names[] = {
    {"GB18030", CHARSET_GB18030},      {"GBK", CHARSET_GB18030},
    {"GB2312", CHARSET_GB18030},       {"CP936", CHARSET_GB18030},
    {"UNICODEUTF8", CHARSET_UTF8},     {"UTF8", CHARSET_UTF8},
    {"UNICODEUTF16", CHARSET_WIDE},    {"UNICODEUTF32", CHARSET_WIDE},
    {"UTF16", CHARSET_WIDE},           {"UTF32", CHARSET_WIDE},
    {"UNICODE", CHARSET_NONE}, /* from analysers: UTF-8 or GBK, the bytes decide */
    {"ASCII", CHARSET_NONE},           {"USASCII", CHARSET_NONE},
    {"ISOIR6", CHARSET_NONE},          {"BIG5", CHARSET_BIG5},
    {"KSX1001", CHARSET_EUC_KR},       {"EUCKR", CHARSET_EUC_KR},
    {"ISOIR87", CHARSET_ISO_2022_JP},  {"ISOIR159", CHARSET_ISO_2022_JP},
    {"JISX0202", CHARSET_ISO_2022_JP}, {"CP1252", CHARSET_CP1252},
    {"WINDOWS1252", CHARSET_CP1252},   {"ISOIR100", CHARSET_8859_1},
};

static const struct name_row *
find_name(const char *plain)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t n = strlen(names[i].begins);
        /* ISOIR6 must not take ISOIR69. */
        if (strncmp(plain, names[i].begins, n) == 0 &&
            (strncmp(plain, "ISOIR", 5) != 0 || plain[n] == '\0')) {
            return &names[i];
        }
    }
    return NULL;
}

static enum charset
latin_part(const char *plain)
{
    const char *digits = strncmp(plain, "ISO8859", 7) == 0 ? plain + 7
                         : strncmp(plain, "8859", 4) == 0  ? plain + 4
                                                           : "";
    uint32_t part = 0;
    if (!text_to_u32(text_view(digits), &part) || part < 1 || part > 16 || part == 12) {
        return CHARSET_NONE;
    }
    return (enum charset)((uint32_t)CHARSET_8859_1 + part - 1);
}

enum charset
charset_named(struct view name)
{
    char plain[40];
    plain_name(name, plain, sizeof plain);
    const struct name_row *row = find_name(plain);
    return row != NULL ? row->charset : latin_part(plain);
}

bool
charset_is_known(struct view name)
{
    char plain[40];
    return plain_name(name, plain, sizeof plain) > 0 &&
           (find_name(plain) != NULL || latin_part(plain) != CHARSET_NONE);
}

bool
charset_decode_as(enum charset c, struct view bytes, uint8_t *out, size_t *count)
{
    char latin[16];
    const char *from = NULL;
    *count = 0;
    if (c == CHARSET_UTF8 || c == CHARSET_NONE) {
        if (!text_is_utf8(bytes, NULL)) {
            return false;
        }
        memcpy(out, bytes.bytes, bytes.count);
        *count = bytes.count;
        return true;
    }
    if (c >= CHARSET_8859_1 && c <= CHARSET_8859_16) {
        snprintf(latin, sizeof latin, "ISO-8859-%d", (int)(c - CHARSET_8859_1) + 1);
        from = latin;
    } else if (c != CHARSET_WIDE) {
        static const char *const iconv_names[] = {[CHARSET_GB18030] = "GB18030",
                                                  [CHARSET_BIG5] = "BIG5",
                                                  [CHARSET_EUC_KR] = "EUC-KR",
                                                  [CHARSET_ISO_2022_JP] = "ISO-2022-JP-2",
                                                  [CHARSET_CP1252] = "CP1252"};
        from = iconv_names[c];
    }
    iconv_t converter = from == NULL ? (iconv_t)-1 : iconv_open("UTF-8", from);
    if (converter == (iconv_t)-1) {
        return false;
    }
    /* iconv's prototype is older than const; it does not write the input. */
    char *in = (char *)(uintptr_t)bytes.bytes, *to = (char *)out;
    size_t in_left = bytes.count, out_left = bytes.count * 3;
    bool ok = iconv(converter, &in, &in_left, &to, &out_left) != (size_t)-1 &&
              iconv(converter, NULL, NULL, &to, &out_left) != (size_t)-1;
    iconv_close(converter);
    *count = ok ? bytes.count * 3 - out_left : 0;
    return ok;
}

struct shape {
    bool ascii;     /* nothing above 0x7F, no ESC */
    bool utf8;      /* all of it is UTF-8 */
    bool long_form; /* with at least one character of three or four bytes */
    bool wide;      /* UTF-16 or UTF-32 */
    size_t bad_at;
};

static struct shape
look(struct view b)
{
    struct shape s = {.ascii = true};
    size_t zeros = 0;
    for (size_t i = 0; i < b.count; i++) {
        s.ascii = s.ascii && b.bytes[i] < 0x80 && b.bytes[i] != 0x1B;
        s.long_form = s.long_form || b.bytes[i] >= 0xE0;
        zeros += b.bytes[i] == 0;
    }
    s.utf8 = text_is_utf8(b, &s.bad_at);
    bool mark = b.count >= 2 && ((b.bytes[0] == 0xFF && b.bytes[1] == 0xFE) ||
                                 (b.bytes[0] == 0xFE && b.bytes[1] == 0xFF));
    s.wide = mark || zeros > b.count / 4;
    return s;
}

/* What to take, without trying; CHARSET_NONE = try GB 18030 at last. */
static enum charset
decide(const struct shape *s, enum charset stated, enum charset preferred, const char **warning)
{
    if (s->ascii) {
        return CHARSET_UTF8;
    }
    if (stated == CHARSET_GB18030 || (stated == CHARSET_NONE && preferred == CHARSET_GB18030)) {
        /* Text of GB 18030 that happens to be UTF-8 has characters of two bytes
         * only; three in a row that fit are UTF-8 under a wrong name. */
        if (s->utf8 && s->long_form) {
            *warning = "is UTF-8, not GB 18030 as stated";
            return CHARSET_UTF8;
        }
        return CHARSET_GB18030;
    }
    if (stated == CHARSET_ISO_2022_JP) {
        return stated;
    }
    if (s->utf8) {
        if (stated != CHARSET_UTF8 && stated != CHARSET_NONE) {
            *warning = "is UTF-8, not the character set that it states";
        }
        return CHARSET_UTF8;
    }
    if (stated != CHARSET_NONE && stated != CHARSET_UTF8 && stated != CHARSET_WIDE) {
        return stated;
    }
    return preferred == CHARSET_UTF8 ? CHARSET_NONE : preferred;
}

enum status
charset_decode(struct view bytes, enum charset stated, enum charset preferred, uint8_t *out,
               size_t *count, struct charset_choice *choice)
{
    if (bytes.count >= 3 && memcmp(bytes.bytes, "\xEF\xBB\xBF", 3) == 0) {
        bytes.bytes += 3;
        bytes.count -= 3;
    }
    struct shape shape = look(bytes);
    *choice = (struct charset_choice){.bad_at = shape.bad_at};
    *count = 0;
    if (shape.wide) {
        return STATUS_UNSUPPORTED;
    }
    enum charset c = decide(&shape, stated, preferred, &choice->warning);
    if (c != CHARSET_NONE && charset_decode_as(c, bytes, out, count)) {
        choice->charset = c;
        return STATUS_OK;
    }
    if (shape.utf8) {
        choice->warning = "is UTF-8, not the character set that it states";
        choice->charset = CHARSET_UTF8;
        return charset_decode_as(CHARSET_UTF8, bytes, out, count) ? STATUS_OK
                                                                  : STATUS_MALFORMED;
    }
    if (c != CHARSET_GB18030 && charset_decode_as(CHARSET_GB18030, bytes, out, count)) {
        choice->warning =
            stated == CHARSET_NONE
                ? "states no usable character set and is not UTF-8; read as GB 18030"
                : "is not in the character set that it states; read as GB 18030";
        choice->charset = CHARSET_GB18030;
        return STATUS_OK;
    }
    return STATUS_MALFORMED;
}
