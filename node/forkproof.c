#include "node/forkproof.h"

#include <string.h>

static enum status
read_head(struct view bytes, struct checkpoint *out)
{
    struct note note;
    if (bytes.count > FORKPROOF_NOTE_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    enum status st = note_parse(bytes, &note);
    return st == STATUS_OK ? checkpoint_parse(note.text, out) : st;
}

/* Point a list of byte strings at hashes. */
static void
point(ProtobufCBinaryData *list, const struct hash *hashes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        list[i] = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)(uintptr_t)hashes[i].bytes};
    }
}

static ProtobufCBinaryData
binary(const uint8_t *bytes, size_t count)
{
    return (ProtobufCBinaryData){count, (uint8_t *)(uintptr_t)bytes};
}

enum status
forkproof_encode(struct view one, struct view other, const struct forkproof_nodes *nodes,
                 uint8_t out[FORKPROOF_BYTES_MAX], size_t *count)
{
    ProtobufCBinaryData old[TREE_PROOF_HASHES_MAX + 1], small[TREE_PROOF_HASHES_MAX],
        large[TREE_PROOF_HASHES_MAX];
    struct checkpoint a, b;
    Hr__ForkProof m;
    enum status st = read_head(one, &a);
    st = st == STATUS_OK ? read_head(other, &b) : st;
    if (st != STATUS_OK) {
        return st;
    }
    bool swap = a.size > b.size;
    hr__fork_proof__init(&m);
    m.format = 1;
    m.note_a = swap ? binary(other.bytes, other.count) : binary(one.bytes, one.count);
    m.note_b = swap ? binary(one.bytes, one.count) : binary(other.bytes, other.count);
    if (nodes != NULL && nodes->by_node) {
        point(small, nodes->small_path, nodes->small_count);
        point(large, nodes->large_path, nodes->large_count);
        m.level = nodes->level;
        m.index = nodes->index;
        m.node_a = binary(nodes->small.bytes, HASH_BYTES);
        m.node_b = binary(nodes->large.bytes, HASH_BYTES);
        m.path_a = small;
        m.n_path_a = nodes->small_count;
        m.path_b = large;
        m.n_path_b = nodes->large_count;
    } else if (nodes != NULL) {
        point(old, nodes->old, nodes->old_count);
        m.old = old;
        m.n_old = nodes->old_count;
    }
    return pb_pack(&m.base, out, FORKPROOF_BYTES_MAX, count);
}

static bool
read_hashes(const ProtobufCBinaryData *list, size_t count, struct hash *out, size_t max)
{
    if (count > max) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (list[i].len != HASH_BYTES) {
            return false;
        }
        memcpy(out[i].bytes, list[i].data, HASH_BYTES);
    }
    return true;
}

/* Two values of one node, each under its root. */
static enum status
judge_node(const Hr__ForkProof *m, struct forkproof *p)
{
    struct hash a, b, path[TREE_PROOF_HASHES_MAX];
    if (m->node_a.len != HASH_BYTES || m->node_b.len != HASH_BYTES || m->n_old > 0 ||
        !read_hashes(m->path_a, m->n_path_a, path, TREE_PROOF_HASHES_MAX)) {
        return STATUS_MALFORMED;
    }
    memcpy(a.bytes, m->node_a.data, HASH_BYTES);
    memcpy(b.bytes, m->node_b.data, HASH_BYTES);
    bool proven =
        !hash_equal(&a, &b) && tree_check_node(&p->a.root, p->a.size, &a, m->level, m->index,
                                               path, m->n_path_a) == STATUS_OK;
    if (!read_hashes(m->path_b, m->n_path_b, path, TREE_PROOF_HASHES_MAX)) {
        return STATUS_MALFORMED;
    }
    p->proven = proven && tree_check_node(&p->b.root, p->b.size, &b, m->level, m->index, path,
                                          m->n_path_b) == STATUS_OK;
    return STATUS_OK;
}

static enum status
judge(const Hr__ForkProof *m, struct forkproof *p)
{
    struct hash old[TREE_PROOF_HASHES_MAX + 1], root;
    bool by_node = m->node_a.len > 0 || m->node_b.len > 0 || m->n_path_a > 0 ||
                   m->n_path_b > 0 || m->level > 0 || m->index > 0;
    if (p->a.size == p->b.size) {
        p->proven = !hash_equal(&p->a.root, &p->b.root);
        return by_node || m->n_old > 0 ? STATUS_MALFORMED : STATUS_OK;
    }
    if (by_node) {
        return judge_node(m, p);
    }
    if (!read_hashes(m->old, m->n_old, old, TREE_PROOF_HASHES_MAX + 1)) {
        return STATUS_MALFORMED;
    }
    p->proven =
        tree_old_root(p->a.size, &p->b.root, p->b.size, old, m->n_old, &root) == STATUS_OK &&
        !hash_equal(&root, &p->a.root);
    return STATUS_OK;
}

enum status
forkproof_read(struct view bytes, struct forkproof *out)
{
    ProtobufCMessage *any = NULL;
    if (bytes.count > FORKPROOF_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    memset(out, 0, sizeof *out);
    pb_arena_init(&out->arena, out->memory, sizeof out->memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st =
        pb_unpack(&hr__fork_proof__descriptor, bytes, FORKPROOF_BYTES_MAX, &out->arena, &any);
    const Hr__ForkProof *m = (const Hr__ForkProof *)any;
    if (st == STATUS_OK && m->format != 1) {
        st = STATUS_UNSUPPORTED;
    }
    if (st == STATUS_OK) {
        out->note_a = (struct view){m->note_a.data, m->note_a.len};
        out->note_b = (struct view){m->note_b.data, m->note_b.len};
        st = read_head(out->note_a, &out->a);
        st = st == STATUS_OK ? read_head(out->note_b, &out->b) : st;
    }
    if (st == STATUS_OK &&
        (out->a.size > out->b.size || out->a.origin.count != out->b.origin.count ||
         memcmp(out->a.origin.bytes, out->b.origin.bytes, out->a.origin.count) != 0)) {
        st = STATUS_MALFORMED;
    }
    st = st == STATUS_OK ? judge(m, out) : st;
    if (st != STATUS_OK) {
        pb_free(&out->arena);
    }
    return st;
}

void
forkproof_free(struct forkproof *p)
{
    pb_free(&p->arena);
}
