#include "proto/identifier.h"

#include <assert.h>
#include <string.h>

#include "proto/civil.h"
#include "proto/text.h"

/* ISO 3166-1: alpha-2 and alpha-3, five characters each. */
static const char countries[] =
    "ADANDAEAREAFAFGAGATGAIAIAALALBAMARMAOAGOAQATAARARGASASMATAUTAUAUSAWABWAXALAAZAZEBABIHBBBRB"
    "BDBGDBEBELBFBFABGBGRBHBHRBIBDIBJBENBLBLMBMBMUBNBRNBOBOLBQBESBRBRABSBHSBTBTNBVBVTBWBWABYBLR"
    "BZBLZCACANCCCCKCDCODCFCAFCGCOGCHCHECICIVCKCOKCLCHLCMCMRCNCHNCOCOLCRCRICUCUBCVCPVCWCUWCXCXR"
    "CYCYPCZCZEDEDEUDJDJIDKDNKDMDMADODOMDZDZAECECUEEESTEGEGYEHESHERERIESESPETETHFIFINFJFJIFKFLK"
    "FMFSMFOFROFRFRAGAGABGBGBRGDGRDGEGEOGFGUFGGGGYGHGHAGIGIBGLGRLGMGMBGNGINGPGLPGQGNQGRGRCGSSGS"
    "GTGTMGUGUMGWGNBGYGUYHKHKGHMHMDHNHNDHRHRVHTHTIHUHUNIDIDNIEIRLILISRIMIMNININDIOIOTIQIRQIRIRN"
    "ISISLITITAJEJEYJMJAMJOJORJPJPNKEKENKGKGZKHKHMKIKIRKMCOMKNKNAKPPRKKRKORKWKWTKYCYMKZKAZLALAO"
    "LBLBNLCLCALILIELKLKALRLBRLSLSOLTLTULULUXLVLVALYLBYMAMARMCMCOMDMDAMEMNEMFMAFMGMDGMHMHLMKMKD"
    "MLMLIMMMMRMNMNGMOMACMPMNPMQMTQMRMRTMSMSRMTMLTMUMUSMVMDVMWMWIMXMEXMYMYSMZMOZNANAMNCNCLNENER"
    "NFNFKNGNGANINICNLNLDNONORNPNPLNRNRUNUNIUNZNZLOMOMNPAPANPEPERPFPYFPGPNGPHPHLPKPAKPLPOLPMSPM"
    "PNPCNPRPRIPSPSEPTPRTPWPLWPYPRYQAQATREREUROROURSSRBRURUSRWRWASASAUSBSLBSCSYCSDSDNSESWESGSGP"
    "SHSHNSISVNSJSJMSKSVKSLSLESMSMRSNSENSOSOMSRSURSSSSDSTSTPSVSLVSXSXMSYSYRSZSWZTCTCATDTCDTFATF"
    "TGTGOTHTHATJTJKTKTKLTLTLSTMTKMTNTUNTOTONTRTURTTTTOTVTUVTWTWNTZTZAUAUKRUGUGAUMUMIUSUSAUYURY"
    "UZUZBVAVATVCVCTVEVENVGVGBVIVIRVNVNMVUVUTWFWLFWSWSMYEYEMYTMYTZAZAFZMZMBZWZWE";

const char *
identifier_country(struct view v, char out[4])
{
    char code[4] = {0};
    if (v.count != 2 && v.count != 3) {
        return NULL;
    }
    for (size_t i = 0; i < v.count; i++) {
        uint8_t c = v.bytes[i];
        code[i] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
    }
    for (const char *row = countries; *row != '\0'; row += 5) {
        if (memcmp(v.count == 2 ? row : row + 2, code, v.count) == 0) {
            memcpy(out, row + 2, 3);
            out[3] = '\0';
            return out;
        }
    }
    return NULL;
}

bool
identifier_is_person_wide(const char *type)
{
    static const char *const types[] = {"RI", "PP", "HM", "TW", "RP"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(type, types[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool
identifier_card_digit_is_right(const char card[18])
{
    static const int weights[] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
    int sum = 0;
    for (size_t i = 0; i < 17; i++) {
        sum += (card[i] - '0') * weights[i];
    }
    return card[17] == "10X98765432"[sum % 11];
}

bool
identifier_credit_code_is_right(struct view code)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    static const int weights[] = {1,  3,  9,  27, 19, 26, 16, 17, 20,
                                  29, 25, 13, 8,  24, 10, 30, 28};
    int sum = 0;
    if (code.count != 18) {
        return false;
    }
    for (size_t i = 0; i < 18; i++) {
        const char *found = code.bytes[i] == 0 ? NULL : strchr(alphabet, code.bytes[i]);
        if (found == NULL) {
            return false;
        }
        sum += i < 17 ? (int)(found - alphabet) * weights[i] : 0;
    }
    return code.bytes[17] == (uint8_t)alphabet[(31 - sum % 31) % 31];
}

bool
identifier_organisation_code_is_right(struct view code)
{
    static const int weights[] = {3, 7, 9, 10, 5, 8, 4, 2};
    int sum = 0;
    if (code.count != 9) {
        return false;
    }
    for (size_t i = 0; i < 8; i++) {
        uint8_t c = code.bytes[i];
        bool digit = c >= '0' && c <= '9', letter = c >= 'A' && c <= 'Z';
        if (!digit && !letter) {
            return false;
        }
        sum += (digit ? c - '0' : c - 'A' + 10) * weights[i];
    }
    return code.bytes[8] == (uint8_t) "0123456789X"[(11 - sum % 11) % 11];
}

bool
identifier_loinc_is_right(struct view code)
{
    int sum = 0;
    if (code.count < 3 || code.count > 10 || code.bytes[code.count - 2] != '-') {
        return false;
    }
    for (size_t i = 0; i + 2 < code.count; i++) {
        int digit = code.bytes[code.count - 3 - i] - '0';
        if (digit < 0 || digit > 9) {
            return false;
        }
        digit = i % 2 == 0 ? digit * 2 : digit;
        sum += digit > 9 ? digit - 9 : digit;
    }
    return code.bytes[code.count - 1] == (uint8_t)('0' + (10 - sum % 10) % 10);
}

static bool
all_digits(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return false;
        }
    }
    return true;
}

/* Full-width to half-width, no blanks and hyphens, upper case. */
static bool
fold(struct view value, char out[IDENTIFIER_CHARS_MAX + 1])
{
    size_t n = 0;
    for (size_t at = 0; at < value.count;) {
        uint32_t p = 0;
        size_t length = text_next(value, at, &p);
        uint8_t bytes[4];
        if (length == 0) {
            return false;
        }
        at += length;
        p = p >= 0xFF01 && p <= 0xFF5E ? p - 0xFF01 + '!' : p;
        p = p >= 'a' && p <= 'z' ? p - 32 : p;
        if (p <= ' ' || p == '-' || p == 0xA0 || p == 0x3000 || p == 0xFEFF || p == 0x200B ||
            (p >= 0x2010 && p <= 0x2015) || p == 0x2212) {
            continue;
        }
        length = text_put(p, bytes);
        if (length > IDENTIFIER_CHARS_MAX - n) {
            return false;
        }
        memcpy(out + n, bytes, length);
        n += length;
    }
    out[n] = '\0';
    return true;
}

static const char *
check_card(char out[IDENTIFIER_CHARS_MAX + 1], bool permit, int32_t today)
{
    size_t n = strlen(out);
    if (n == 15 && all_digits(out, 15) && !permit) {
        static const int weights[] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
        int sum = 0;
        memmove(out + 8, out + 6, 9);
        memcpy(out + 6, "19", 2);
        for (size_t i = 0; i < 17; i++) {
            sum += (out[i] - '0') * weights[i];
        }
        out[17] = "10X98765432"[sum % 11];
        out[18] = '\0';
        n = 18;
    }
    if (n != 18 || !all_digits(out, 17) || (out[17] != 'X' && !all_digits(out + 17, 1))) {
        return "is not a card number of 18 or 15 digits";
    }
    bool is_permit = out[0] == '9' || (out[0] == '8' && out[1] >= '1' && out[1] <= '3');
    if (permit != is_permit || (!permit && (out[0] < '1' || out[0] > '7'))) {
        return permit ? "is not the number of a residence permit"
                      : "has an area code that resident cards do not have";
    }
    uint32_t date = 0;
    (void)text_to_u32((struct view){(const uint8_t *)out + 6, 8}, &date);
    int32_t year = (int32_t)(date / 10000), month = (int32_t)(date / 100 % 100),
            day = (int32_t)(date % 100);
    if (!civil_is_date(year, month, day) || year < 1850 ||
        civil_days(year, month, day) > today) {
        return "has a birth date that does not exist or lies in the future";
    }
    return identifier_card_digit_is_right(out) ? NULL : "has a wrong check digit";
}

/* E12345678, EA1234567, G12345678, and older and official series. */
static bool
is_chinese_passport(const char *s)
{
    size_t n = strlen(s);
    if (n != 9 || strchr("DEGPS", s[0]) == NULL) {
        return false;
    }
    bool second_letter = s[1] >= 'A' && s[1] <= 'Z';
    return all_digits(s + (second_letter ? 2 : 1), second_letter ? 7 : 8);
}

static const char *
check_passport(char out[IDENTIFIER_CHARS_MAX + 1], struct view country)
{
    char code[4], number[IDENTIFIER_CHARS_MAX + 1];
    const char *slash = strchr(out, '/'), *known = identifier_country(country, code);
    if (slash != NULL) {
        struct view before = {(const uint8_t *)out, (size_t)(slash - out)};
        known = identifier_country(before, code);
        if (known == NULL) {
            return "names a country that ISO 3166 does not know";
        }
        memcpy(number, slash + 1, strlen(slash + 1) + 1);
    } else {
        memcpy(number, out, strlen(out) + 1);
    }
    size_t n = strlen(number);
    for (size_t i = 0; i < n; i++) {
        if (!all_digits(number + i, 1) && (number[i] < 'A' || number[i] > 'Z')) {
            return "is not a passport number of letters and digits";
        }
    }
    if (n < 5 || n > 20) {
        return "is not a passport number of 5 to 20 characters";
    }
    if ((known == NULL || strcmp(known, "CHN") == 0) && is_chinese_passport(number)) {
        memcpy(out, number, n + 1);
        return NULL;
    }
    if (known == NULL) {
        return "is a passport whose country is not stated";
    }
    memcpy(out, known, 3);
    out[3] = '/';
    memcpy(out + 4, number, n + 1);
    return NULL;
}

static const char *
check_permit(char out[IDENTIFIER_CHARS_MAX + 1], bool taiwan)
{
    size_t n = strlen(out);
    if (taiwan) {
        return n == 8 && all_digits(out, 8) ? NULL
                                            : "is not a travel permit number of 8 digits";
    }
    if ((n != 9 && n != 11) || (out[0] != 'H' && out[0] != 'M') ||
        !all_digits(out + 1, n - 1)) {
        return "is not a travel permit number of H or M and 8 digits";
    }
    out[9] = '\0'; /* the two digits after it count the issues of the card */
    return NULL;
}

enum status
identifier_normalise(const char *type, struct view value, struct view country, int32_t today,
                     char out[IDENTIFIER_CHARS_MAX + 1], const char **why)
{
    const char *ignored, *problem;
    why = why == NULL ? &ignored : why;
    *why = NULL;
    out[0] = '\0';
    if (!fold(value, out)) {
        out[0] = '\0';
        *why = "is longer than an identifier may be, or is not text";
        return STATUS_TOO_BIG;
    }
    if (strcmp(type, "RI") == 0 || strcmp(type, "RP") == 0) {
        problem = check_card(out, type[1] == 'P', today);
    } else if (strcmp(type, "PP") == 0) {
        problem = check_passport(out, country);
    } else if (strcmp(type, "HM") == 0 || strcmp(type, "TW") == 0) {
        problem = check_permit(out, type[0] == 'T');
    } else {
        *why = "is of a type that only one hospital knows";
        return STATUS_UNSUPPORTED;
    }
    *why = problem;
    return problem == NULL ? STATUS_OK : STATUS_MALFORMED;
}
