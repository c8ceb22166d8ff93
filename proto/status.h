/* status.h: the one result type of the project, and the words for it. */
#ifndef PROTO_STATUS_H
#define PROTO_STATUS_H

/* One row per code.  The text completes "huren: bundle apply b7.hrb: ...". */
#define STATUS_MAP(X)                                                                          \
    X(STATUS_OK, "ok")                                                                         \
    X(STATUS_NOT_FOUND, "not found")                                                           \
    X(STATUS_EXISTS, "is there already")                                                       \
    X(STATUS_MALFORMED, "data is malformed")                                                   \
    X(STATUS_UNSUPPORTED, "version or kind is not known here")                                 \
    X(STATUS_TOO_BIG, "a limit is exceeded")                                                   \
    X(STATUS_BAD_PROOF, "Merkle proof does not match the signed root")                         \
    X(STATUS_BAD_SIGNATURE, "signature is not valid for this key")                             \
    X(STATUS_BAD_KEY, "key is wrong or not usable")                                            \
    X(STATUS_UNKNOWN_KEY, "no signature by a known key")                                       \
    X(STATUS_THRESHOLD, "too few signatures")                                                  \
    X(STATUS_ROLLBACK, "version is older than the one in hand")                                \
    X(STATUS_GAP, "an earlier version is missing")                                             \
    X(STATUS_FORK, "two signed statements contradict each other")                              \
    X(STATUS_REFUSED, "refused by rule")                                                       \
    X(STATUS_BUSY, "is in use by another process")                                             \
    X(STATUS_UNAVAILABLE, "nobody could be reached")                                           \
    X(STATUS_CORRUPT, "stored data is corrupt")                                                \
    X(STATUS_NO_SPACE, "store is full")                                                        \
    X(STATUS_NO_MEMORY, "out of memory")                                                       \
    X(STATUS_IO, "input/output error")                                                         \
    X(STATUS_NOT_YET, "is not valid yet")                                                      \
    X(STATUS_EXPIRED, "has expired")

#define STATUS_ENUM(code, text) code,
enum status { STATUS_MAP(STATUS_ENUM) STATUS_COUNT };
#undef STATUS_ENUM

#define MUST_USE __attribute__((warn_unused_result))

/* Return the English text of `s`.  Static string, never NULL. */
const char *status_text(enum status s);

#endif
