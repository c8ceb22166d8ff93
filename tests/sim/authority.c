#include "tests/sim/authority.h"

#include "node/charter_adopt_io.h"
#include "node/charter_build.h"
#include "store/charter.h"
#include "tests/sim/check.h"
#include "tests/sim/node.h"

enum { EPOCHS_MEMBERS_MAX = 30 }; /* bigger worlds have one key, in every hand */

static char *
text_of(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* Key `number` of the authority; those above 7 are nobody's. */
static void
charter_signer(unsigned number, struct note_signer *out)
{
    uint8_t seed[KEY_BYTES];
    char key[16], name[KEY_NAME_CHARS_MAX + 1];
    memset(seed, (int)(100 + number), sizeof seed);
    snprintf(key, sizeof key, "k%u", number % 8);
    origin_charter_name(SIM_NETWORK, key, name);
    enum status st = note_signer_make(view_of_text(name), NOTE_KEY_ED25519, seed, out);
    assert(st == STATUS_OK);
}

static void
fail(struct world *w, enum status st, const char *reason)
{
    CHECK(w, "the simulator", st == STATUS_OK, "the authority: %s: %s", status_text(st),
          reason);
}

static void
decode(struct world *w, struct document *d)
{
    char reason[CHARTER_REASON_CHARS] = "";
    fail(w, charter_document_decode((struct view){d->file, d->file_count}, &d->doc, reason),
         reason);
}

/* Build, and sign with the keys whose bit is set (bit 8 + i: a wrong key k<i>). */
static struct document *
issue(struct world *w, enum charter_kind kind, uint64_t version, ProtobufCMessage *const *rows,
      size_t count, unsigned keys, bool genuine)
{
    char reason[CHARTER_REASON_CHARS] = "";
    struct charter_head head = {.kind = kind,
                                .version = version,
                                .issued_at_s = world_true_s(w) - 3600,
                                .valid_from_s = world_true_s(w) - 3600,
                                .stale_after_s = world_true_s(w) + 30 * 86400};
    assert(w->document_count < SIM_DOCUMENTS_MAX);
    struct document *d = &w->documents[w->document_count++];
    strcpy(head.network, SIM_NETWORK);
    d->genuine = genuine;
    fail(w, charter_build(&head, rows, count, &d->file, &d->file_count, reason), reason);
    for (unsigned i = 0; i < 16; i++) {
        struct note_signer signer;
        uint8_t *out = NULL;
        size_t out_count = 0;
        if ((keys & 1u << i) == 0) {
            continue;
        }
        charter_signer(i, &signer);
        fail(w,
             charter_sign((struct view){d->file, d->file_count}, &signer, &out, &out_count,
                          reason),
             reason);
        free(d->file);
        d->file = out;
        d->file_count = out_count;
    }
    decode(w, d);
    return d;
}

/* ---- the documents ---- */

static void
issue_root(struct world *w, unsigned keys, unsigned old_keys, const struct document *previous)
{
    static const char *const thresholds[] = {"threshold/root", "threshold/members",
                                             "threshold/quality", "threshold/policy"};
    char *roles[CHARTER_KIND_COUNT];
    char names[8][8];
    struct note_signer signers[8];
    Hr__RootRow rows[16];
    ProtobufCMessage *list[16];
    ProtobufCBinaryData hash;
    struct hash before;
    size_t count = 0;
    for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
        roles[k] = text_of(charter_kind_text((enum charter_kind)k));
        hr__root_row__init(&rows[count]);
        rows[count].name = text_of(thresholds[k]);
        rows[count++].threshold = 2;
    }
    for (unsigned i = 0; i < 8; i++) {
        if ((keys & 1u << i) != 0) {
            charter_signer(i, &signers[i]);
            snprintf(names[i], sizeof names[i], "k%u", i);
            hr__root_row__init(&rows[count]);
            rows[count].name = names[i];
            rows[count].public_key =
                (ProtobufCBinaryData){KEY_BYTES, signers[i].key.public_key};
            rows[count].roles = roles;
            rows[count++].n_roles = CHARTER_KIND_COUNT;
        }
    }
    if (previous != NULL) {
        before = previous->doc.head.hash;
        hash = (ProtobufCBinaryData){HASH_BYTES, before.bytes};
        hr__root_row__init(&rows[count]);
        rows[count].name = text_of("previous");
        rows[count].hashes = &hash;
        rows[count++].n_hashes = 1;
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = &rows[i].base;
    }
    w->root_keys = keys;
    (void)issue(w, CHARTER_ROOT, ++w->root_version, list, count, keys | old_keys, true);
}

struct member_rows {
    Hr__MemberRow row;
    Hr__PublicKeys keys[SIM_KEYS_MAX];
    Hr__PublicKeys *key_list[SIM_KEYS_MAX];
    char address[32];
    char *address_list[1];
    char *roles[3];
    Hr__SealedNetworkKey sealed[SIM_EPOCHS_MAX], *sealed_list[SIM_EPOCHS_MAX];
    uint8_t sealed_bytes[SIM_EPOCHS_MAX][NETWORK_KEY_SEALED_BYTES];
};

static void
fill_member(const struct world *w, int number, struct member_rows *r)
{
    const struct member *m = &w->members[number];
    hr__member_row__init(&r->row);
    r->row.institution = text_of(m->institution);
    r->row.name = text_of("Hospital");
    r->row.level = text_of("tertiary");
    r->row.grade = text_of("A");
    r->row.ownership = text_of("public");
    r->row.territory = text_of("420581");
    r->roles[0] = text_of("hospital");
    r->roles[1] = text_of("witness");
    r->row.roles = r->roles;
    r->row.n_roles = m->witness ? 2 : 1;
    if (w->auditor && number == 0) {
        r->roles[r->row.n_roles++] = text_of("auditor");
    }
    r->row.left = text_of(m->left ? "2027-01-01" : "");
    for (size_t k = 0; k < m->key_count; k++) {
        Hr__PublicKeys *p = &r->keys[k];
        hr__public_keys__init(p);
        p->log =
            (ProtobufCBinaryData){KEY_BYTES, (uint8_t *)(uintptr_t)m->keys[k].log.public_key};
        p->witness = (ProtobufCBinaryData){KEY_BYTES,
                                           (uint8_t *)(uintptr_t)m->keys[k].witness.public_key};
        p->statement = (ProtobufCBinaryData){
            KEY_BYTES, (uint8_t *)(uintptr_t)m->keys[k].statement.public_key};
        p->session = (ProtobufCBinaryData){KEY_BYTES,
                                           (uint8_t *)(uintptr_t)m->keys[0].session.public_key};
        p->box =
            (ProtobufCBinaryData){KEY_BYTES, (uint8_t *)(uintptr_t)m->keys[k].box.public_key};
        p->from = (uint64_t)m->from_s[k];
        p->to = (uint64_t)m->to_s[k];
        p->revoked = m->revoked[k];
        r->key_list[k] = p;
    }
    r->row.keys = r->key_list;
    r->row.n_keys = m->key_count;
    snprintf(r->address, sizeof r->address, "tcp://127.0.0.1:%d", 1024 + number);
    r->address_list[0] = r->address;
    r->row.addresses = r->address_list;
    r->row.n_addresses = 1;
}

/* ---- network keys ---- */

static void
begin_epoch(struct world *w)
{
    assert(w->epoch_count < SIM_EPOCHS_MAX);
    if (w->epoch_count > 0) {
        w->epochs[w->epoch_count - 1].ended_s = world_true_s(w);
    }
    struct sim_epoch *e = &w->epochs[w->epoch_count++];
    *e = (struct sim_epoch){.from_s = world_true_s(w)};
    e->key.epoch = (uint32_t)w->epoch_count;
    memset(e->key.key, 0xe0 + (int)w->epoch_count, KEY_BYTES);
}

/* The row without a name: all epochs. */
struct epochs_row {
    Hr__MemberRow row;
    Hr__NetworkEpoch epochs[SIM_EPOCHS_MAX], *list[SIM_EPOCHS_MAX];
    uint8_t checks[SIM_EPOCHS_MAX][NETWORK_KEY_CHECK_BYTES];
};

static void
fill_epochs(const struct world *w, struct epochs_row *r)
{
    hr__member_row__init(&r->row);
    for (size_t i = 0; i < w->epoch_count; i++) {
        hr__network_epoch__init(&r->epochs[i]);
        network_key_check(SIM_NETWORK, &w->epochs[i].key, r->checks[i]);
        r->epochs[i].epoch = w->epochs[i].key.epoch;
        r->epochs[i].check = (ProtobufCBinaryData){NETWORK_KEY_CHECK_BYTES, r->checks[i]};
        r->epochs[i].from = (uint64_t)w->epochs[i].from_s;
        r->epochs[i].ended = (uint64_t)w->epochs[i].ended_s;
        r->list[i] = &r->epochs[i];
    }
    r->row.epochs = r->list;
    r->row.n_epochs = w->epoch_count;
}

/* Who left keeps what was sealed to it before. */
static void
seal_keys(const struct world *w, int number, struct member_rows *r)
{
    const struct member *m = &w->members[number];
    size_t count = m->left ? m->epochs_sealed : w->epoch_count;
    for (size_t i = 0; i < count; i++) {
        uint8_t ephemeral[KEY_BYTES] = {(uint8_t)(number + 1), (uint8_t)(i + 1), 0x5e};
        hr__sealed_network_key__init(&r->sealed[i]);
        enum status st =
            network_key_seal(&w->epochs[i].key, m->keys[m->key_count - 1].box.public_key,
                             ephemeral, r->sealed_bytes[i]);
        assert(st == STATUS_OK);
        r->sealed[i].epoch = w->epochs[i].key.epoch;
        r->sealed[i].sealed =
            (ProtobufCBinaryData){NETWORK_KEY_SEALED_BYTES, r->sealed_bytes[i]};
        r->sealed_list[i] = &r->sealed[i];
    }
    r->row.network_keys = r->sealed_list;
    r->row.n_network_keys = count;
}

static struct document *
issue_members(struct world *w, uint64_t version, unsigned keys, bool genuine)
{
    size_t count = (size_t)w->member_count;
    struct member_rows *rows = calloc(count, sizeof *rows);
    ProtobufCMessage **list = calloc(count + 1, sizeof *list);
    struct epochs_row epochs = {0};
    assert(rows != NULL && list != NULL);
    for (int i = 0; i < w->member_count; i++) {
        fill_member(w, i, &rows[i]);
        seal_keys(w, i, &rows[i]);
        list[i] = &rows[i].row.base;
    }
    if (w->epoch_count > 0) {
        fill_epochs(w, &epochs);
        list[count++] = &epochs.row.base;
    }
    struct document *d = issue(w, CHARTER_MEMBERS, version, list, count, keys, genuine);
    free(list);
    free(rows);
    return d;
}

void
authority_begin(struct world *w)
{
    Hr__PolicyRow row;
    Hr__NetworkSettings settings;
    ProtobufCMessage *list[] = {&row.base};
    issue_root(w, 7, 0, NULL);
    if (w->member_count <= EPOCHS_MEMBERS_MAX) {
        begin_epoch(w);
    }
    (void)issue_members(w, ++w->members_version, 3, true);
    hr__policy_row__init(&row);
    hr__network_settings__init(&settings);
    settings.cosign_s = (uint32_t)w->cosign_s;
    settings.replication = text_of(w->full ? "full" : "index");
    row.settings = &settings;
    (void)issue(w, CHARTER_POLICY, 1, list, 1, 6, true);
}

void
authority_end(struct world *w)
{
    for (size_t i = 0; i < w->document_count; i++) {
        charter_document_free(&w->documents[i].doc);
        free(w->documents[i].file);
    }
    w->document_count = 0;
}

static unsigned
two_keys(const struct world *w)
{
    unsigned keys = 0, n = 0;
    for (unsigned i = 0; i < 8 && n < 2; i++) {
        if ((w->root_keys & 1u << i) != 0) {
            keys |= 1u << i;
            n++;
        }
    }
    return keys;
}

static void
change_key(struct world *w, int member, bool revoked)
{
    struct member *m = &w->members[member];
    if (m->key_count == SIM_KEYS_MAX || m->left) {
        return;
    }
    uint8_t seed[KEY_BYTES] = {0};
    seed[0] = (uint8_t)(member + 1);
    seed[1] = (uint8_t)((member + 1) >> 8);
    seed[2] = (uint8_t)m->key_count;
    keys_derive(seed, SIM_NETWORK, &m->keys[m->key_count]);
    w->happened[revoked ? HAPPENED_REVOKED : HAPPENED_KEY]++;
    m->revoked[m->key_count - 1] = revoked;
    m->to_s[m->key_count - 1] = world_true_s(w);
    m->from_s[m->key_count] = world_true_s(w);
    m->to_s[m->key_count] = 0;
    m->key_version[m->key_count] = w->members_version + 1;
    m->key_count++;
    (void)issue_members(w, ++w->members_version, two_keys(w), true);
    sim_say(w, NULL, "the authority: members %llu: %s has a new key%s",
            (unsigned long long)w->members_version, m->institution,
            revoked ? ", the old one was stolen" : "");
}

void
authority_rotate_key(struct world *w, int member)
{
    change_key(w, member, false);
}

void
authority_revoke_key(struct world *w, int member)
{
    change_key(w, member, true);
}

void
authority_leave(struct world *w, int member, bool left)
{
    w->members[member].left = left;
    w->members[member].epochs_sealed = w->epoch_count;
    if (left && w->epoch_count < SIM_EPOCHS_MAX) {
        w->happened[HAPPENED_EPOCH]++;
        begin_epoch(w);
    }
    w->happened[left ? HAPPENED_LEFT : HAPPENED_BACK]++;
    (void)issue_members(w, ++w->members_version, two_keys(w), true);
    sim_say(w, NULL, "the authority: members %llu: %s %s",
            (unsigned long long)w->members_version, w->members[member].institution,
            left ? "has left" : "is back");
}

void
authority_end_epoch(struct world *w)
{
    if (w->epoch_count == 0 || w->epoch_count == SIM_EPOCHS_MAX) {
        return;
    }
    w->happened[HAPPENED_EPOCH]++;
    begin_epoch(w);
    (void)issue_members(w, ++w->members_version, two_keys(w), true);
    sim_say(w, NULL, "the authority: members %llu: another network key",
            (unsigned long long)w->members_version);
}

void
authority_rotate_root(struct world *w)
{
    const struct document *previous = NULL;
    for (size_t i = 0; i < w->document_count; i++) {
        if (w->documents[i].genuine && w->documents[i].doc.head.kind == CHARTER_ROOT) {
            previous = &w->documents[i];
        }
    }
    unsigned old = w->root_keys;
    w->happened[HAPPENED_ROOT]++;
    /* One key goes, the next one comes; two old ones and two new ones sign. */
    unsigned next = (old << 1 | old >> 7) & 0xff;
    issue_root(w, next, two_keys(w), previous);
    sim_say(w, NULL, "the authority: root %llu", (unsigned long long)w->root_version);
    (void)issue_members(w, ++w->members_version, two_keys(w), true);
}

const struct document *
authority_forged(struct world *w)
{
    uint64_t turn = sim_below(&w->rng, 3);
    uint64_t version = w->members_version + (turn == 0   ? 1
                                             : turn == 1 ? 1000000
                                                         : 0); /* fast-forward too */
    unsigned keys = sim_percent(&w->rng, 50) ? 1u << 8 | 1u << 9 : two_keys(w) & 0x55;
    /* Another text than the genuine one: somebody is a witness who is not. */
    int member = (int)sim_below(&w->rng, (uint64_t)w->member_count);
    w->members[member].witness = !w->members[member].witness;
    const struct document *d = issue_members(w, version, keys, false);
    w->members[member].witness = !w->members[member].witness;
    return d;
}

/* ---- to nodes ---- */

void
authority_deliver(struct world *w, struct node *n, size_t first)
{
    const struct charter_document *list[SIM_DOCUMENTS_MAX];
    struct charter_step steps[SIM_DOCUMENTS_MAX];
    struct charter *after = NULL;
    struct store_txn *t = NULL;
    size_t count = 0;
    for (size_t i = first; i < w->document_count; i++) {
        if (w->documents[i].genuine) {
            list[count++] = &w->documents[i].doc;
        }
    }
    if (count == 0 || !n->up) {
        return;
    }
    /* An operator's own look at the clock: files in hand are taken on the true day. */
    enum status st = charter_adopt_plan(n->charter, SIM_NETWORK, list, count, world_true_s(w),
                                        steps, &after);
    if (st == STATUS_OK) {
        st = store_begin_write(n->store, STORE_PUBLISH, charter_adopt_bytes(list, count), &t);
    }
    if (st == STATUS_OK) {
        st = charter_adopt_put(t, list, steps, count, n->charter, after, "", world_true_s(w));
        enum status done = store_commit(t);
        st = st == STATUS_OK ? done : st;
    }
    CHECK(w, "I1", st == STATUS_OK || !node_honest(n), "%s: charter adopt: %s", n->institution,
          status_text(st));
    charter_free(after);
    if (n->gossip != NULL) {
        sim_say(w, n, "is given %zu charter documents", count);
        node_reload_charter(w, n);
        struct gossip_event e = {.type = GOSSIP_RELOAD};
        node_event(w, n, &e);
    }
}

void
authority_plant(struct world *w, struct node *n, const struct document *d)
{
    struct store_txn *t = NULL;
    struct store_charter_key key = {view_of_text(SIM_NETWORK),
                                    (enum store_charter)(d->doc.head.kind + 1),
                                    d->doc.head.version};
    enum status st = store_begin_write(n->store, STORE_PUBLISH, 1 << 16, &t);
    if (st == STATUS_OK) {
        st = store_charter_put(t, &key, d->doc.note, d->doc.rows, d->doc.row_count);
        if (st == STATUS_OK) {
            st = store_commit(t);
        } else {
            store_abort(t);
        }
    }
    sim_say(w, n, "plants a document of kind %d version %llu that nobody signed: %s",
            (int)d->doc.head.kind, (unsigned long long)d->doc.head.version, status_text(st));
    struct gossip_event e = {.type = GOSSIP_RELOAD};
    node_event(w, n, &e);
}

size_t
authority_key_now(const struct world *w, const struct node *n)
{
    const struct member *m = &w->members[n->member];
    size_t k = 0;
    while (k + 1 < m->key_count && n->versions[CHARTER_MEMBERS] >= m->key_version[k + 1]) {
        k++;
    }
    return k;
}
