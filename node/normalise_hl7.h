/* normalise_hl7.h: what the HL7 files of the normaliser share; see
 * normalise_parts.h.  Pure. */
#ifndef NODE_NORMALISE_HL7_H
#define NODE_NORMALISE_HL7_H

#include "node/normalise_parts.h"

enum { NO_SEGMENT = INT32_MAX }; /* index of a segment that is not there */

/* One OBR with what belongs to it; all members are indexes of segments. */
struct order {
    uint32_t pid, orc, obr, spm; /* NO_SEGMENT = none */
    uint32_t first, last;        /* segments that may belong to it lie in [first, last] */
    bool has_results;
};

struct message {
    struct run *run;
    struct hl7_delimiters d;
    enum charset charset;
    struct hl7_segment *segments;
    uint32_t *owner; /* order of each segment, or NO_SEGMENT */
    uint32_t count, room;
    struct order *orders;
    uint32_t order_count, order_room;
    uint8_t *scratch; /* HL7_UNESCAPE_ROOM of the whole message */
    int32_t offset_min;
    struct view version;
    bool specimen_oriented; /* OUL^R21, R22, R23: SPM comes before its orders */
    const char *ignored;    /* why this is no patient's result, or NULL */
    bool refused;           /* said already */
};

/* ---- normalise_hl7.c ---- */

/* The text of a leaf: escapes undone, blanks trimmed, "" (null) empty. */
char *message_text(struct message *m, struct view leaf);
/* First repetition, component c of field n. */
char *message_value(struct message *m, const struct hl7_segment *s, uint32_t n, uint32_t c);
struct place message_place(const struct hl7_segment *s, uint32_t field);

/* ---- normalise_order.c: segments -> orders ---- */
enum status message_group(struct message *m);

/* ---- normalise_item.c: OBX ---- */

/* What an OBX says, fields put back where they belong. */
struct observation {
    struct view type, id, sub_id, value, unit, reference, flags, status, time;
    uint32_t flags_field;
    struct view code, system, name;       /* of OBX-3, first coding */
    struct view other_code, other_system; /* alternate coding */
    struct view suffix;                   /* &IMP, &GDT of a service code */
};
void read_observation(struct message *m, const struct hl7_segment *obx, struct observation *o);

/* The value for people, repetitions joined by `between`. */
char *observation_value(struct message *m, const struct observation *o, const char *between,
                        bool *doubtful);
bool observation_is_number(struct message *m, const struct observation *o);

const struct codemap_item *observation_item(struct message *m, const struct observation *o,
                                            struct view unit);
char *observation_unit(struct message *m, struct view field);

/* Add an item for an OBX. */
void add_result(struct message *m, struct draft *d, const struct hl7_segment *obx,
                const struct observation *o);

/* ---- normalise_pid.c ---- */

/* Add the identifiers, name, sex and birth date of `pid` (NULL: there is none). */
void message_patient(struct message *m, struct draft *d, const struct hl7_segment *pid);

/* Chinese, Japanese or Korean letters: family name first, nothing between. */
bool name_is_chinese(struct view v);

/* ---- normalise_report.c: orders -> reports ---- */
enum status message_report(struct message *m);

#endif
