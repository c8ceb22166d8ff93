/* Records and briefs: whatever is sealed comes back; whatever else is opened is
 * refused and leaves nothing behind; a brief that decodes is canonical.
 * Input: a selector (0 report, 1 record, 2 brief, 3 numbers), then bytes. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/brief.h"
#include "crypto/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 8192 };
static const uint8_t KEY[KEY_BYTES] = {7};
static const char NET[] = "net", INST[] = "h001";

static void
must(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
fuzz_report(struct view report)
{
    static uint8_t record[ROOM * 2], out[ROOM * 2];
    size_t count, n;
    must(record_seal(report, KEY, NET, INST, record, sizeof record, &count) == STATUS_OK);
    must(record_open_with_patient((struct view){record, count}, KEY, NET, INST, out, sizeof out,
                                  &n) == STATUS_OK);
    must(n == report.count);
    must(n == 0 || memcmp(out, report.bytes, n) == 0);
    record[report.count % count] ^= 1;
    must(record_open_with_patient((struct view){record, count}, KEY, NET, INST, out, sizeof out,
                                  &n) != STATUS_OK);
}

static void
fuzz_open(struct view record)
{
    static uint8_t out[ROOM];
    uint8_t k[KEY_BYTES];
    size_t n;
    /* opening needs a commitment to this key, which is not to be guessed */
    must(record_open_with_k(record, KEY, NET, INST, out, sizeof out, &n) != STATUS_OK);
    must(n == 0);
    must(record_k(record, KEY, k) != STATUS_OK);
    must(sodium_is_zero(k, sizeof k) == 1);
}

static void
fuzz_brief(struct view bytes)
{
    uint8_t plain[BRIEF_PLAIN_BYTES] = {0}, again[BRIEF_PLAIN_BYTES];
    struct brief brief;
    if (bytes.count > 0) {
        memcpy(plain, bytes.bytes, bytes.count < sizeof plain ? bytes.count : sizeof plain);
    }
    if (brief_decode(plain, &brief) == STATUS_OK) {
        must(brief_encode(&brief, again) == STATUS_OK);
        must(memcmp(plain, again, sizeof plain) == 0);
    }
    must(brief_open(bytes, KEY, "net/h001/pub", bytes, &brief) != STATUS_OK);
}

static void
fuzz_numbers(struct view bytes)
{
    static uint32_t numbers[ROOM / 4];
    uint8_t sealed[BRIEF_BYTES];
    struct brief brief, back;
    const size_t count = bytes.count / 4;
    if (count > 0) {
        memcpy(numbers, bytes.bytes, count * 4);
    }
    if (brief_make((uint16_t)count, (uint8_t)(count % 128), numbers, count, &brief) ==
        STATUS_OK) {
        must(brief_seal(&brief, KEY, "net/h001/pub", bytes, sealed) == STATUS_OK);
        must(brief_open((struct view){sealed, sizeof sealed}, KEY, "net/h001/pub", bytes,
                        &back) == STATUS_OK);
        must(memcmp(&brief, &back, sizeof brief) == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (sodium_init() < 0 || size == 0 || size > ROOM) {
        return 0;
    }
    const struct view rest = {data + 1, size - 1};
    switch (data[0] % 4) {
    case 0:
        fuzz_report(rest);
        break;
    case 1:
        fuzz_open(rest);
        break;
    case 2:
        fuzz_brief(rest);
        break;
    default:
        fuzz_numbers(rest);
    }
    return 0;
}
