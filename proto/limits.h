/* limits.h: every bound in one place.  Units are in the names.
 *
 * One enum, because gcc's -Wenum-compare objects across two.  A length that
 * comes from outside is compared with its limit before it is used. */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

#include <stdint.h>

enum {
    /* sizes fixed by algorithms and formats */
    HASH_BYTES = 32,      /* SHA-256 */
    KEY_BYTES = 32,       /* Ed25519 and X25519 public keys, symmetric keys */
    SIGNATURE_BYTES = 64, /* Ed25519 */
    TOKEN_BYTES = 16,     /* BLAKE2b-128 (DESIGN 5) */
    SALT_BYTES = 16,      /* r of a record (DESIGN 5) */
    TILE_HASHES = 256,    /* C2SP tlog-tiles */
    TILE_BYTES = TILE_HASHES * HASH_BYTES,
    TREE_PROOF_HASHES_MAX = 64,
    BRIEF_PLAIN_BYTES = 36,
    BRIEF_BYTES = BRIEF_PLAIN_BYTES + 16,
    RECORD_PAD_BYTES = 256, /* a report is padded to a multiple of this */

    /* names */
    INSTITUTION_CHARS_MAX = 64, /* institution code, lower case in origins */
    NETWORK_CHARS_MAX = 64,     /* reads like a DNS name */
    ORIGIN_CHARS_MAX = 160,     /* <network>/<institution>/exch/<8 hex> and room */
    KEY_NAME_CHARS_MAX = 192,   /* signer name of a note line */
    ADDRESS_CHARS_MAX = 128,    /* tcp://host:port */
    CODE_CHARS_MAX = 64,        /* canonical item code */
    IDENTIFIER_CHARS_MAX = 64,  /* value of a patient identifier */

    /* notes (FORMATS 2) */
    NOTE_BYTES_MAX = 64 * 1024,
    NOTE_SIGNATURES_MAX = 64,
    CHECKPOINT_TEXT_BYTES_MAX = 4096, /* with extension lines */
    TLOGPROOF_BYTES_MAX = NOTE_BYTES_MAX + 8 * 1024,

    /* logs */
    ENTRY_BYTES_MAX = 16 * 1024,   /* DESIGN 6 */
    RECORD_BYTES_MAX = 192 * 1024, /* one sealed report */
    LOGS_MAX = 8192,
    UNINDEXED_ENTRIES_MAX = 100000, /* DESIGN 6: what a look-up reads past indexed_to */

    /* wire (DESIGN 11) */
    FRAME_BYTES_MAX = 1024 * 1024,
    MESSAGE_BYTES_MAX = 64 * 1024, /* a protobuf message inside a frame */
    MESSAGE_DEPTH_MAX = 8,
    MESSAGE_FIELDS_MAX = 49152, /* a report of REPORT_ITEMS_MAX items has some 30,000 */
    MESSAGE_HEAP_BYTES_MAX = 2 * 1024 * 1024, /* what unpacking one may allocate */
    NOISE_MESSAGE_BYTES_MAX = 65535,
    SESSIONS_MAX = 512,
    SESSIONS_PER_ADDRESS_MAX = 64,
    REQUESTS_IN_FLIGHT_MAX = 256, /* in one session */
    SESSION_OPEN_MS_MAX = 5000,
    SESSION_AGE_MS_MAX = 3600 * 1000,
    SESSION_QUEUE_BYTES_MAX = 16 * 1024 * 1024, /* waiting to be sent to one peer */
    SESSIONS_PER_MEMBER_MAX = 8,                /* open ones of one institution and network */
    SESSION_IDLE_MS_MAX = 30 * 1000,            /* then an empty message keeps it alive */
    SESSION_SILENT_MS_MAX = 90 * 1000,          /* then it is dead */
    SESSION_STUCK_MS_MAX = 30 * 1000,           /* a queue of which nothing could be sent */
    SESSION_OLD_MS_MAX = 600 * 1000,            /* an old session may go on after its hour */
    INSTANCE_BYTES = 16,
    SOFTWARE_CHARS_MAX = 64,
    NET_CLOSE_MS_MAX = 5000,
    CONTROL_CALLS_MAX = 32,

    /* members */
    MEMBERS_MAX = 2000,
    WITNESSES_MAX = 15,
    CHARTER_ROW_BYTES_MAX = 60 * 1024,
    CHARTER_ROWS_MAX = 100000,
    NETWORK_KEY_EPOCHS_MAX = 64,
    CHARTER_FILE_BYTES_MAX = 64 * 1024 * 1024,
    CHARTER_KEYS_MAX = 64,              /* charter keys in one root */
    CHARTER_SKEW_S_MAX = 600,           /* a document may be that far ahead of our clock */
    SESSION_KEY_OVERLAP_S = 30 * 86400, /* an ended session key stays valid (DESIGN 7) */
    EPOCH_LATE_S = 60 * 86400,          /* entries under an ended epoch are taken (DESIGN 5) */

    /* gossip (DESIGN 9) */
    GOSSIP_LINES_WHOLE_MAX = 256,
    GOSSIP_BUCKETS = 256,
    GOSSIP_ENTRIES_PER_RANGE_MAX = 256,
    GOSSIP_PUSH_PEERS_MAX = 16,
    LOOKUP_SILENT_MS = 400,
    LOOKUPS_PER_REQUEST_MAX = 64,
    RECEIPT_LEAVES_MAX = 64, /* in one message */

    /* import */
    IMPORT_FILE_BYTES_MAX = 256 * 1024 * 1024,
    HL7_MESSAGE_BYTES_MAX = 16 * 1024 * 1024,
    REPORT_ITEMS_MAX = 2000,
    REPORT_BYTES_MAX = 160 * 1024, /* one encoded report, before sealing */
    JSON_BYTES_MAX = 4 * 1024 * 1024,
    REPORT_IDENTIFIERS_MAX = 32,
    REPORT_FLAGS_MAX = 32,                   /* of one item */
    REPORT_WARNINGS_MAX = 64,                /* kept for one report; more are counted */
    HL7_SEGMENTS_MAX = 100000,               /* in one message */
    NORMALISE_BYTES_MAX = 256 * 1024 * 1024, /* memory for the reports of one record */
    CSV_COLUMNS_MAX = 512,
    CSV_CELL_BYTES_MAX = 1024 * 1024,
    CODEMAP_ROWS_MAX = 200000
};

_Static_assert(REPORT_BYTES_MAX + RECORD_PAD_BYTES < RECORD_BYTES_MAX, "report fits a record");
_Static_assert(RECORD_BYTES_MAX < FRAME_BYTES_MAX, "a record must fit in a frame");

#endif
