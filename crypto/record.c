#include "crypto/record.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "crypto/blake2b.h"
#include "crypto/keys.h"
#include "proto/text.h"

enum {
    RECORD_SALT_AT = 1,
    RECORD_COMMIT_AT = 1 + SALT_BYTES,
    RECORD_AD_BYTES_MAX = RECORD_HEAD_BYTES + NETWORK_CHARS_MAX + 1 + INSTITUTION_CHARS_MAX
};

_Static_assert(RECORD_OVERHEAD_BYTES ==
                   RECORD_HEAD_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES,
               "one tag after the head");

/* One key for one record: the nonce may be fixed. */
static const uint8_t RECORD_NONCE[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];

size_t
record_bytes(size_t report_bytes)
{
    return RECORD_OVERHEAD_BYTES + (report_bytes / RECORD_PAD_BYTES + 1) * RECORD_PAD_BYTES;
}

static void
derive_k(const uint8_t record_key[KEY_BYTES], const uint8_t r[SALT_BYTES], uint8_t k[KEY_BYTES])
{
    const struct view parts[] = {text_view("huren record v1"), {r, SALT_BYTES}};
    blake2b_parts(record_key, parts, 2, k, KEY_BYTES);
}

static void
derive_commit(const uint8_t k[KEY_BYTES], uint8_t commit[32])
{
    const struct view parts[] = {text_view("huren commit v1"), {k, KEY_BYTES}};
    blake2b_parts(NULL, parts, 2, commit, 32);
}

/* ad = head || network || 0x00 || institution; names hold no NUL. */
static enum status
make_ad(const uint8_t head[RECORD_HEAD_BYTES], const char *network, const char *institution,
        uint8_t ad[RECORD_AD_BYTES_MAX], size_t *count)
{
    size_t network_chars, institution_chars;

    *count = 0;
    if (keys_vet_name(network, NETWORK_CHARS_MAX) != STATUS_OK ||
        keys_vet_name(institution, INSTITUTION_CHARS_MAX) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    network_chars = strlen(network);
    institution_chars = strlen(institution);
    memcpy(ad, head, RECORD_HEAD_BYTES);
    memcpy(ad + RECORD_HEAD_BYTES, network, network_chars);
    ad[RECORD_HEAD_BYTES + network_chars] = 0;
    memcpy(ad + RECORD_HEAD_BYTES + network_chars + 1, institution, institution_chars);
    *count = RECORD_HEAD_BYTES + network_chars + 1 + institution_chars;
    return STATUS_OK;
}

enum status
record_seal(struct view report, const uint8_t record_key[KEY_BYTES], const char *network,
            const char *institution, uint8_t *out, size_t out_max, size_t *out_count)
{
    const struct view salted[] = {text_view("huren salt v1"), report};
    uint8_t k[KEY_BYTES], ad[RECORD_AD_BYTES_MAX];
    uint8_t *const body = out + RECORD_HEAD_BYTES;
    size_t ad_count, padded;
    enum status st;
    int failed;

    *out_count = 0;
    if (report.count > REPORT_BYTES_MAX || record_bytes(report.count) > out_max) {
        return STATUS_TOO_BIG;
    }
    padded = record_bytes(report.count) - RECORD_OVERHEAD_BYTES;
    out[0] = RECORD_VERSION;
    blake2b_parts(record_key, salted, 2, out + RECORD_SALT_AT, SALT_BYTES);
    derive_k(record_key, out + RECORD_SALT_AT, k);
    derive_commit(k, out + RECORD_COMMIT_AT);
    if ((st = make_ad(out, network, institution, ad, &ad_count)) != STATUS_OK) {
        goto cleanup;
    }
    if (report.count > 0) {
        memcpy(body, report.bytes, report.count);
    }
    body[report.count] = 0x80;
    memset(body + report.count + 1, 0, padded - report.count - 1);
    failed = crypto_aead_xchacha20poly1305_ietf_encrypt(body, NULL, body, padded, ad, ad_count,
                                                        NULL, RECORD_NONCE, k);
    assert(failed == 0); /* fails only on lengths far over our limit */
    *out_count = record_bytes(report.count);
cleanup:
    sodium_memzero(k, sizeof k);
    return st;
}

/* Version and length: what can be said without a key. */
static enum status
check_shape(struct view record)
{
    if (record.count > RECORD_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    if (record.count > 0 && record.bytes[0] != RECORD_VERSION) {
        return STATUS_UNSUPPORTED;
    }
    if (record.count < RECORD_OVERHEAD_BYTES + RECORD_PAD_BYTES ||
        (record.count - RECORD_OVERHEAD_BYTES) % RECORD_PAD_BYTES != 0) {
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

static enum status
check_commit(struct view record, const uint8_t k[KEY_BYTES])
{
    uint8_t commit[32];

    derive_commit(k, commit);
    return sodium_memcmp(commit, record.bytes + RECORD_COMMIT_AT, sizeof commit) == 0
               ? STATUS_OK
               : STATUS_BAD_KEY;
}

enum status
record_k(struct view record, const uint8_t record_key[KEY_BYTES], uint8_t k[KEY_BYTES])
{
    enum status st = check_shape(record);

    if (st == STATUS_OK) {
        derive_k(record_key, record.bytes + RECORD_SALT_AT, k);
        st = check_commit(record, k);
    }
    if (st != STATUS_OK) {
        sodium_memzero(k, KEY_BYTES);
    }
    return st;
}

enum status
record_open_with_k(struct view record, const uint8_t k[KEY_BYTES], const char *network,
                   const char *institution, uint8_t *out, size_t out_max, size_t *out_count)
{
    uint8_t ad[RECORD_AD_BYTES_MAX];
    size_t ad_count, padded, report_count;
    enum status st;

    *out_count = 0;
    if ((st = check_shape(record)) != STATUS_OK) {
        return st;
    }
    padded = record.count - RECORD_OVERHEAD_BYTES;
    if (padded > out_max) {
        return STATUS_TOO_BIG;
    }
    if ((st = check_commit(record, k)) != STATUS_OK ||
        (st = make_ad(record.bytes, network, institution, ad, &ad_count)) != STATUS_OK) {
        return st;
    }
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            out, NULL, NULL, record.bytes + RECORD_HEAD_BYTES, record.count - RECORD_HEAD_BYTES,
            ad, ad_count, RECORD_NONCE, k) != 0) {
        return STATUS_BAD_KEY;
    }
    if (sodium_unpad(&report_count, out, padded, RECORD_PAD_BYTES) != 0) {
        sodium_memzero(out, padded);
        return STATUS_MALFORMED;
    }
    *out_count = report_count;
    return STATUS_OK;
}

enum status
record_open_with_patient(struct view record, const uint8_t record_key[KEY_BYTES],
                         const char *network, const char *institution, uint8_t *out,
                         size_t out_max, size_t *out_count)
{
    uint8_t k[KEY_BYTES];
    enum status st;

    *out_count = 0;
    if ((st = record_k(record, record_key, k)) == STATUS_OK) {
        st = record_open_with_k(record, k, network, institution, out, out_max, out_count);
    }
    sodium_memzero(k, sizeof k);
    return st;
}

void
record_sealed(struct view record, struct hash *sealed)
{
    sha256(record.bytes, record.count, sealed);
}
