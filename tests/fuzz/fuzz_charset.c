/* Character sets: what is decoded is UTF-8 and fits the room that was promised. */
#include <assert.h>
#include <stdlib.h>

#include "proto/charset.h"
#include "proto/civil.h"
#include "proto/identifier.h"
#include "proto/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct charset_choice choice;
    struct civil t, again;
    size_t count = 0;
    if (size < 2) {
        return 0;
    }
    struct view bytes = {data + 2, size - 2};
    uint8_t *out = malloc(bytes.count * 3 + 1);
    enum charset stated = (enum charset)(data[0] % (CHARSET_8859_16 + 1));
    enum charset preferred = (enum charset)(data[1] % (CHARSET_8859_16 + 1));
    if (charset_decode(bytes, stated, preferred, out, &count, &choice) == STATUS_OK) {
        struct view text = {out, count};
        assert(count <= bytes.count * 3);
        assert(text_is_utf8(text, NULL));
        char shown[64], id[IDENTIFIER_CHARS_MAX + 1], written[CIVIL_CHARS_MAX];
        text_show(text, shown, sizeof shown);
        static const char *const types[] = {"RI", "PP", "HM", "TW", "RP"};
        for (size_t i = 0; i < 5; i++) { /* a normal form is its own normal form */
            if (identifier_normalise(types[i], text, text_view(""), IDENTIFIER_ANY_DAY, id,
                                     NULL) == STATUS_OK) {
                char twice[IDENTIFIER_CHARS_MAX + 1];
                assert(identifier_normalise(types[i], text_view(id), text_view(""),
                                            IDENTIFIER_ANY_DAY, twice, NULL) == STATUS_OK);
                assert(text_is(text_view(id), twice));
            }
        }
        if (civil_parse(text, &t) == STATUS_OK && (t.precision < CIVIL_HOUR || t.has_offset)) {
            civil_format(&t, written);
            assert(civil_parse_rfc3339(text_view(written), &again) == STATUS_OK);
            assert(civil_unix_ms(&again, 0) == civil_unix_ms(&t, 0));
        }
    }
    free(out);
    return 0;
}
