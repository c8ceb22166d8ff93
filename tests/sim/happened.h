/* happened.h: what a sweep counts, so that a fault that never strikes is noticed. */
#ifndef TESTS_SIM_HAPPENED_H
#define TESTS_SIM_HAPPENED_H

#define HAPPENED_MAP(X)                                                                        \
    X(HAPPENED_LOST, "frames lost")                                                            \
    X(HAPPENED_TWICE, "frames doubled")                                                        \
    X(HAPPENED_LATE, "frames minutes late")                                                    \
    X(HAPPENED_OVERTAKEN, "frames that overtook another")                                      \
    X(HAPPENED_CHANGED, "bytes of streams changed on the way")                                 \
    X(HAPPENED_PAIRS, "times pairs were cut")                                                  \
    X(HAPPENED_ONE_WAY, "times some were heard by nobody")                                     \
    X(HAPPENED_MINORITY, "times a minority was alone")                                         \
    X(HAPPENED_FLAPPING, "phases with flapping links")                                         \
    X(HAPPENED_CRASH, "kills")                                                                 \
    X(HAPPENED_REFUSED_STORE, "stores that refused")                                           \
    X(HAPPENED_CLOCK_HOUR, "clocks an hour or less off")                                       \
    X(HAPPENED_CLOCK_YEARS, "clocks ten years off")                                            \
    X(HAPPENED_CLOCK_STUCK, "clocks standing still")                                           \
    X(HAPPENED_CLOCK_BACK, "clocks running backwards")                                         \
    X(HAPPENED_KEY, "new keys")                                                                \
    X(HAPPENED_REVOKED, "keys stolen and revoked")                                             \
    X(HAPPENED_THEFT, "heads by a stolen key, shown to somebody")                              \
    X(HAPPENED_ROOT, "new roots")                                                              \
    X(HAPPENED_LEFT, "members that left")                                                      \
    X(HAPPENED_BACK, "members that came back")                                                 \
    X(HAPPENED_EPOCH, "network keys that ended")                                               \
    X(HAPPENED_LATE_ENTRY, "entries under an ended key, late")                                 \
    X(HAPPENED_CLOSED_ENTRY, "entries under an ended key, 60 days later")                      \
    X(HAPPENED_WITNESSES_OFF, "times all witnesses were off, for hours")                       \
    X(HAPPENED_RESTORE, "homes put back to an old copy")                                       \
    X(HAPPENED_FORGED, "forged frames")                                                        \
    X(HAPPENED_REPLAYED, "replayed frames")                                                    \
    X(HAPPENED_FLOOD, "frames of a flood")                                                     \
    X(HAPPENED_ROSTER, "rosters that nobody signed")                                           \
    X(HAPPENED_ROSTER_REFUSED, "charter documents refused")                                    \
    X(HAPPENED_FORK, "forks told")                                                             \
    X(HAPPENED_ASK, "look-ups")                                                                \
    X(HAPPENED_ANSWER, "answers")                                                              \
    X(HAPPENED_DECISION, "results leaned on")                                                  \
    X(HAPPENED_RECEIPT, "receipts sent")                                                       \
    X(HAPPENED_RECEIPT_BAD, "receipts that do not hold")                                       \
    X(HAPPENED_REFUSED, "refusals for want of a receipt")                                      \
    X(HAPPENED_RELY, "RELY sent")                                                              \
    X(HAPPENED_RECALL, "RECALL sent")                                                          \
    X(HAPPENED_ACKNOWLEDGED, "recalls acknowledged")

#define HAPPENED_ENUM(name, text) name,
enum happened { HAPPENED_MAP(HAPPENED_ENUM) HAPPENED_COUNT };

#endif
