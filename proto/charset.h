/* charset.h: the character set of a message or file, decided and decoded to UTF-8.
 * Source: INTERFACES.md 1.8 (HL7 table 0211, MSH-18); glibc's iconv does the tables.
 * Pure but for iconv, which holds no state between calls.
 *
 * A message is decoded before it is split: the second byte of a GBK character
 * can be the byte of a delimiter. */
#ifndef PROTO_CHARSET_H
#define PROTO_CHARSET_H

#include <stdbool.h>

#include "proto/status.h"
#include "proto/view.h"

enum charset {
    CHARSET_NONE, /* nothing said, or nothing that decides: ASCII, UNICODE, an unknown name */
    CHARSET_UTF8,
    CHARSET_GB18030, /* GBK and GB 2312 too */
    CHARSET_BIG5,
    CHARSET_EUC_KR,
    CHARSET_ISO_2022_JP,
    CHARSET_CP1252,
    CHARSET_WIDE,   /* UTF-16 and UTF-32: refused */
    CHARSET_8859_1, /* then 8859/2 to 8859/16 in order; 8859/12 does not exist */
    CHARSET_8859_16 = CHARSET_8859_1 + 15
};

struct charset_choice {
    enum charset charset; /* what was taken */
    const char *warning;  /* NULL, or why it differs from what was stated; static */
    size_t bad_at;        /* refused: first byte that is in no set */
};

/* Read the name of a set as HL7 senders write it: "GB 18030-2000", "gbk",
 * "UNICODE UTF-8", "8859/1", "ISO IR100", "cp1252". */
enum charset charset_named(struct view name);

/* Return whether the name means anything here; "ISO IR 999" does not. */
bool charset_is_known(struct view name);

const char *charset_text(enum charset c); /* "GB 18030", static */

/* Decide by the rule of INTERFACES.md 1.8 and decode.  `stated` is what the
 * message says, `preferred` what the sender's configuration says (or
 * CHARSET_NONE).  `out` needs room for 3 * bytes.count; a BOM is dropped.
 *
 * STATUS_OK          *count bytes of UTF-8 at `out`.
 * STATUS_UNSUPPORTED the bytes are UTF-16 or UTF-32.
 * STATUS_MALFORMED   neither what was stated, nor UTF-8, nor GB 18030. */
MUST_USE enum status charset_decode(struct view bytes, enum charset stated,
                                    enum charset preferred, uint8_t *out, size_t *count,
                                    struct charset_choice *choice);

/* Decode by one set, no choice.  False when the bytes are not of it. */
bool charset_decode_as(enum charset c, struct view bytes, uint8_t *out, size_t *count);

#endif
