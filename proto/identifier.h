/* identifier.h: normal forms and check digits of numbers for people and institutions.
 * Source: GB 11643 (resident card), GB 32100-2015 (unified social credit code),
 * GB 11714 (organisation code); DESIGN.md section 5 (normal form), INTERFACES.md
 * section 3 (shapes).  Pure: no clock (today comes in), no allocation.
 *
 * Person-wide types and their normal forms (all half-width, upper case, no blanks
 * and no hyphens):
 *   RI  resident card, 18 characters, check digit and birth date right
 *   RP  residence permit of Hong Kong, Macao or Taiwan residents (area 81, 82, 83),
 *       or a foreigner's permanent residence card (begins with 9): same check
 *   PP  passport: a Chinese one as its number (E12345678); any other as
 *       country/number with the ISO 3166-1 alpha-3 code (USA/123456789)
 *   HM  travel permit of Hong Kong and Macao residents: H or M and 8 digits
 *   TW  travel permit of Taiwan residents: 8 digits */
#ifndef PROTO_IDENTIFIER_H
#define PROTO_IDENTIFIER_H

#include <stdbool.h>

#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum { IDENTIFIER_ANY_DAY = INT32_MAX }; /* "today" of who has no clock */

/* Return whether `type` names one of RI, PP, HM, TW, RP. */
bool identifier_is_person_wide(const char *type);

/* Write the normal form of `value` (UTF-8, from outside) as an identifier of
 * the person-wide type `type` to `out`.  `country` is the country that issued a
 * passport: ISO 3166-1 alpha-2 or alpha-3 in either case, or empty; a value that
 * already has it in front ("USA/1234") needs none.  `today` is in days since
 * 1970-01-01: a birth date after it is wrong.  `*why`, unless NULL, is set to a
 * text without any part of the value when the answer is not STATUS_OK.
 *
 * STATUS_OK          `out` may be published under.
 * STATUS_MALFORMED   not of the shape of this type, or a wrong check digit or
 *                    birth date; `out` holds the folded text, for the record.
 * STATUS_UNSUPPORTED the type is not person-wide; `out` likewise.
 * STATUS_TOO_BIG     longer than IDENTIFIER_CHARS_MAX; `out` is empty. */
MUST_USE enum status identifier_normalise(const char *type, struct view value,
                                          struct view country, int32_t today,
                                          char out[IDENTIFIER_CHARS_MAX + 1], const char **why);

/* Check 17 digits and a check character (0-9, X): the sum by GB 11643 alone. */
bool identifier_card_digit_is_right(const char card[18]);

/* GB 32100: 18 characters; GB 11714: 8 and a check character, without hyphen. */
bool identifier_credit_code_is_right(struct view code);
bool identifier_organisation_code_is_right(struct view code);

/* Return whether the check digit of a LOINC code ("2823-3") is right: Luhn, mod 10. */
bool identifier_loinc_is_right(struct view code);

/* The ISO 3166-1 alpha-3 code of a country given as alpha-2 or alpha-3, or NULL.
 * Static. */
const char *identifier_country(struct view country, char out[4]);

#endif
