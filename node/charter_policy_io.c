/* charter_policy_io.c: the rows of policy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/charter_source_io.h"
#include "node/policy_json.h"
#include "proto/charter.pb-c.h"

static enum status
find_embedded(struct charter_source *s, const char *id, uint8_t hash[HASH_BYTES])
{
    struct policy_set *set;
    char error[256];
    enum status st = policy_set_load_embedded(&set, error, sizeof error);
    if (st != STATUS_OK) {
        return source_fail(s, st, id, NULL, "%s", error);
    }
    size_t i = policy_set_find(set, id, strlen(id));
    if (i == SIZE_MAX) {
        char list[256] = "";
        for (size_t p = 0, used = 0; p < policy_set_count(set) && used < sizeof list; p++) {
            struct hr_text other = hr_pack_id(policy_set_pack(set, p));
            used += (size_t)snprintf(list + used, sizeof list - used, " %.*s", (int)other.size,
                                     other.bytes);
        }
        st = source_fail(s, STATUS_NOT_FOUND, id, NULL,
                         "pack '%s' is not in this version of huren; there are:%s", id, list);
    } else {
        memcpy(hash, policy_set_hash(set, i), HASH_BYTES);
    }
    policy_set_free(set);
    return st;
}

static enum status
add_pack(struct charter_source *s, const struct yaml_pack_row *p)
{
    Hr__PolicyRow *row = source_alloc(s, sizeof *row);
    enum status st;
    if (row == NULL) {
        return source_no_memory(s);
    }
    hr__policy_row__init(row);
    row->pack = p->id;
    row->hash.data = source_alloc(s, HASH_BYTES);
    row->hash.len = HASH_BYTES;
    row->annexes = source_alloc(s, (p->annexes.at_count + 1) * sizeof *row->annexes);
    if (row->hash.data == NULL || row->annexes == NULL) {
        return source_no_memory(s);
    }
    if (strcmp(p->hash, "embedded") == 0) {
        if ((st = find_embedded(s, p->id, row->hash.data)) != STATUS_OK) {
            return st;
        }
    } else if (!source_hash(p->hash, row->hash.data)) {
        return source_fail(s, STATUS_MALFORMED, p->id, p->hash,
                           "hash of %s is neither 64 hex digits nor embedded", p->id);
    }
    if (p->in_force_from != NULL && p->in_force_from[0] != 0) {
        row->in_force_from = p->in_force_from;
    }
    if (p->in_force_to != NULL && p->in_force_to[0] != 0) {
        row->in_force_to = p->in_force_to;
    }
    for (uint32_t i = 0; i < p->annexes.at_count; i++) {
        Hr__AnnexRef *a = source_alloc(s, sizeof *a);
        uint8_t *hash = source_alloc(s, HASH_BYTES);
        if (a == NULL || hash == NULL) {
            return source_no_memory(s);
        }
        if (!source_hash(p->annexes.at[i], hash)) {
            return source_fail(s, STATUS_MALFORMED, p->id, p->annexes.at[i],
                               "an annex of %s is not 64 hex digits", p->id);
        }
        hr__annex_ref__init(a);
        a->hash.data = hash;
        a->hash.len = HASH_BYTES;
        row->annexes[row->n_annexes++] = a;
    }
    return source_add(s, &row->base, p->id);
}

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum status
add_settings(struct charter_source *s, const struct yaml_settings *y)
{
    const char *const names[3] = {"look_back_days", "cosign_s", "look_back_epochs"};
    const char *const values[3] = {y->look_back_days, y->cosign_s, y->look_back_epochs};
    uint32_t numbers[3] = {0, 0, 0};
    Hr__PolicyRow *row = source_alloc(s, sizeof *row);
    Hr__NetworkSettings *n = source_alloc(s, sizeof *n);
    if (row == NULL || n == NULL) {
        return source_no_memory(s);
    }
    for (size_t i = 0; i < 3; i++) {
        uint64_t number;
        if (values[i] != NULL && values[i][0] != 0) {
            enum status st =
                source_number(s, "settings", names[i], values[i], UINT32_MAX, &number);
            if (st != STATUS_OK) {
                return st;
            }
            numbers[i] = (uint32_t)number;
        }
    }
    hr__policy_row__init(row);
    hr__network_settings__init(n);
    n->look_back_days = numbers[0];
    n->cosign_s = numbers[1];
    n->look_back_epochs = numbers[2];
    if (y->replication != NULL) {
        n->replication = y->replication;
    }
    n->sensitive = y->sensitive.at;
    n->n_sensitive = y->sensitive.at_count;
    n->identifier_types = y->identifier_types.at;
    n->n_identifier_types = y->identifier_types.at_count;
    if (n->n_sensitive > 1) {
        qsort(n->sensitive, n->n_sensitive, sizeof *n->sensitive, compare_texts);
    }
    if (n->n_identifier_types > 1) {
        qsort(n->identifier_types, n->n_identifier_types, sizeof *n->identifier_types,
              compare_texts);
    }
    row->settings = n;
    return source_add(s, &row->base, "settings");
}

enum status
charter_source_policy(struct charter_source *s)
{
    enum status st = STATUS_OK;
    for (uint32_t i = 0; st == STATUS_OK && i < s->y->packs_count; i++) {
        st = add_pack(s, &s->y->packs[i]);
    }
    return st == STATUS_OK && s->y->settings != NULL ? add_settings(s, s->y->settings) : st;
}
