#include "tests/sim/evil.h"

#include "crypto/checkpoint.h"
#include "proto/frame.h"
#include "proto/wire.pb-c.h"
#include "tests/sim/authority.h"

/* ---- frames on their way ---- */

/* A line under an offered head that looks like a witness's, by a key of nobody. */
static void
add_stranger(struct world *w, struct message *m)
{
    static const char payload[] =
        "qqqqqgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";
    static uint8_t note[MESSAGE_BYTES_MAX];
    char name[KEY_NAME_CHARS_MAX + 1];
    const struct member *who = &w->members[sim_below(&w->rng, (uint64_t)w->member_count)];
    Hr__HeadTell *tell = hr__head_tell__unpack(NULL, m->message_count, m->bytes);
    if (tell != NULL && tell->cosigned.len > 0 && tell->cosigned.len < 4096) {
        memcpy(note, tell->cosigned.data, tell->cosigned.len);
        origin_witness_name(SIM_NETWORK, who->institution, name);
        int more = snprintf((char *)note + tell->cosigned.len, 512, "\xe2\x80\x94 %s %s\n",
                            name, payload);
        ProtobufCBinaryData kept = tell->cosigned;
        tell->cosigned = (ProtobufCBinaryData){kept.len + (size_t)more, note};
        m->message_count = hr__head_tell__pack(tell, m->bytes); /* of FRAME_BYTES_MAX bytes */
        tell->cosigned = kept;
    }
    if (tell != NULL) {
        hr__head_tell__free_unpacked(tell, NULL);
    }
}

void
evil_frame(struct world *w, struct node *n, struct message *m)
{
    if (n->evil != EVIL_FORGER || !sim_percent(&w->rng, 40)) {
        return;
    }
    w->happened[HAPPENED_FORGED]++;
    bool tells =
        m->kind == (FRAME_HEAD | FRAME_ANSWER) || (m->kind == FRAME_HEAD && m->request == 0);
    if (tells && sim_percent(&w->rng, 60)) {
        add_stranger(w, m);
        return;
    }
    /* A tile, an entry, a record, or the message itself: a head, a line. */
    if (m->raw_count > 0 && sim_percent(&w->rng, 80)) {
        m->bytes[m->message_count + sim_below(&w->rng, m->raw_count)] ^=
            (uint8_t)(1u << sim_below(&w->rng, 8));
    } else if (m->raw_count > 0 && sim_percent(&w->rng, 50)) {
        m->raw_count = (size_t)sim_below(&w->rng, m->raw_count);
    } else if (m->message_count > 0) {
        m->bytes[sim_below(&w->rng, m->message_count)] ^=
            (uint8_t)(1u << sim_below(&w->rng, 8));
    }
}

void
evil_heard(struct world *w, struct node *n, const struct message *m)
{
    size_t at = w->recorded_count;
    if (n->evil != EVIL_REPLAYER || m->type != MSG_FRAME) {
        return;
    }
    if (at == SIM_RECORDED_MAX) {
        at = (size_t)sim_below(&w->rng, SIM_RECORDED_MAX);
        free(w->recorded[at].bytes);
    } else {
        w->recorded_count++;
    }
    w->recorded[at] = *m;
    size_t count = m->message_count + m->raw_count;
    w->recorded[at].bytes = malloc(count + 1);
    assert(w->recorded[at].bytes != NULL);
    memcpy(w->recorded[at].bytes, m->bytes, count);
}

/* ---- turns ---- */

/* An open session of `n`; 0: none. */
static uint32_t
some_session(struct world *w, const struct node *n)
{
    uint32_t first = (uint32_t)sim_below(&w->rng, w->link_count);
    for (uint32_t i = 0; i < w->link_count; i++) {
        uint32_t k = (first + i) % w->link_count;
        if (w->links[k].open && (w->links[k].a == n->number || w->links[k].b == n->number)) {
            return 2 * k + (w->links[k].a == n->number ? 0 : 1);
        }
    }
    return 0;
}

static void
replay(struct world *w, struct node *n)
{
    for (int i = 0; i < 20 && w->recorded_count > 0; i++) {
        uint32_t session = some_session(w, n);
        const struct message *m = &w->recorded[sim_below(&w->rng, w->recorded_count)];
        if (session != 0) {
            w->happened[HAPPENED_REPLAYED]++;
            wire_post(w, n, session, m);
        }
    }
}

static void
flood_one(struct world *w, struct node *n, uint32_t session)
{
    static uint8_t bytes[4096];
    const struct member *m = &w->members[sim_below(&w->rng, (uint64_t)w->member_count)];
    struct message f = {
        .request = 1 + (uint32_t)sim_below(&w->rng, 1000), .last = true, .bytes = bytes};
    uint64_t what = sim_below(&w->rng, 5);
    if (what == 0) {
        Hr__HeadAsk ask;
        hr__head_ask__init(&ask);
        ask.origin = (char *)(uintptr_t)m->origin;
        f.kind = FRAME_HEAD;
        f.message_count = hr__head_ask__pack(&ask, bytes);
    } else if (what == 1) {
        Hr__RangeAsk ask;
        hr__range_ask__init(&ask);
        ask.origin = (char *)(uintptr_t)m->origin;
        ask.what = 1 + (uint32_t)sim_below(&w->rng, 3);
        ask.from = sim_below(&w->rng, 4);
        ask.count = (uint32_t)sim_below(&w->rng, 300);
        ask.size = sim_below(&w->rng, 600);
        f.kind = FRAME_RANGE;
        f.message_count = hr__range_ask__pack(&ask, bytes);
    } else if (what == 2) { /* a head that nobody signed */
        char note[600];
        Hr__HeadTell tell;
        hr__head_tell__init(&tell);
        int count =
            snprintf(note, sizeof note,
                     "%s\n%llu\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"
                     "\xe2\x80\x94 %s AAAA%s\n",
                     m->origin, (unsigned long long)sim_below(&w->rng, 100000), m->origin,
                     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                     "AAAAAAAAAAAAAAAAAAAAAAAAAA==");
        tell.origin = (char *)(uintptr_t)m->origin;
        tell.note = (ProtobufCBinaryData){(size_t)count, (uint8_t *)note};
        f.kind = FRAME_HEAD;
        f.request = 0;
        f.message_count = hr__head_tell__pack(&tell, bytes);
    } else if (what == 3) {
        Hr__Frontier q;
        hr__frontier__init(&q);
        q.digest = (ProtobufCBinaryData){HASH_BYTES, bytes + 2048};
        f.kind = FRAME_FRONTIER;
        f.message_count = hr__frontier__pack(&q, bytes);
    } else {
        f.kind = (uint8_t)(2 + sim_below(&w->rng, 8));
        f.message_count = (size_t)sim_below(&w->rng, 200);
        for (size_t i = 0; i < f.message_count; i++) {
            bytes[i] = (uint8_t)sim_random(&w->rng);
        }
    }
    w->happened[HAPPENED_FLOOD]++;
    wire_post(w, n, session, &f);
}

void
evil_turn(struct world *w, struct node *n)
{
    uint32_t session = some_session(w, n);
    switch (n->evil) {
    case EVIL_REPLAYER:
        replay(w, n);
        break;
    case EVIL_FLOODER:
        for (int i = 0; i < 60 && session != 0; i++) {
            flood_one(w, n, session);
        }
        break;
    case EVIL_ROSTER:
        if (sim_percent(&w->rng, 20) && w->document_count + 8 < SIM_DOCUMENTS_MAX) {
            w->happened[HAPPENED_ROSTER]++;
            authority_plant(w, n, authority_forged(w));
        }
        break;
    case EVIL_NOT:
    case EVIL_TWO_TREES:
    case EVIL_FORGER:
    case EVIL_KINDS:
        break;
    }
}

void
evil_theft(struct world *w, const struct node *victim, const struct network_keys *keys)
{
    uint8_t note[1024], bytes[2048];
    struct note_signer signer;
    struct checkpoint c = {.origin = view_of_text(victim->origin)};
    size_t count = 0;
    Hr__HeadTell tell;
    c.size = victim->history->signed_size + sim_below(&w->rng, 2);
    memset(c.root.bytes, 0x77, HASH_BYTES);
    enum status st =
        note_signer_make(c.origin, NOTE_KEY_ED25519, keys->log.secret_key, &signer);
    st = st == STATUS_OK ? checkpoint_sign(&signer, &c, note, sizeof note, &count) : st;
    assert(st == STATUS_OK);
    hr__head_tell__init(&tell);
    tell.origin = (char *)(uintptr_t)victim->origin;
    tell.note = (ProtobufCBinaryData){count, note};
    struct message m = {.kind = FRAME_HEAD, .last = true, .bytes = bytes};
    m.message_count = hr__head_tell__pack(&tell, bytes);
    for (int i = 0; i < w->count; i++) {
        uint32_t session = w->nodes[i].up ? some_session(w, &w->nodes[i]) : 0;
        if (session != 0) {
            w->happened[HAPPENED_THEFT]++;
            wire_post(w, &w->nodes[i], session, &m); /* told by one to another */
        }
    }
}
