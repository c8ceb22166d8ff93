#include "node/report_own_io.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/record.h"
#include "node/candidates.h"
#include "node/charter_store_io.h"
#include "node/home_io.h"
#include "node/seeds_io.h"
#include "proto/identifier.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "store/kv.h"
#include "store/log.h"

enum { LOOK_BACK_QUARTERS = 80 };

/* ---- the home ---- */

static bool
choose_network(struct cli *cli, const char *name, struct report_home *h)
{
    const struct config_network *n = NULL;
    if (name != NULL) {
        n = config_network(h->config, name);
    } else if (h->config->network_count == 1) {
        n = &h->config->networks[0];
    }
    if (n == NULL && (name != NULL || h->config->network_count > 1)) {
        cli_error(cli, CLI_TROUBLE,
                  name != NULL ? "%s is no network of this home; huren status lists them"
                               : "name the network with --network; huren status lists them",
                  name);
        return false;
    }
    h->network = n == NULL ? NULL : n->name;
    return true;
}

bool
report_home_open(struct cli *cli, const char *network, struct report_home *h)
{
    struct store_options options = {.read_only = true, .handle_of = candidates_handle_of};
    char path[HOME_IO_PATH_CHARS], error[CONFIG_ERROR_CHARS] = "";
    char reason[CHARTER_REASON_CHARS] = "";
    enum status st = config_load(cli->home, &h->config, error, sizeof error);
    if (st != STATUS_OK) {
        cli_error(cli, CLI_TROUBLE, "%s", error[0] != '\0' ? error : status_text(st));
        return false;
    }
    if (!choose_network(cli, network, h)) {
        return false;
    }
    st = home_io_path(cli->home, "store", path);
    st = st == STATUS_OK ? store_open(path, &options, &h->store) : st;
    st = st == STATUS_OK ? store_begin_read(h->store, &h->txn) : st;
    if (st == STATUS_OK && h->network != NULL) {
        st = charter_store_load(h->txn, h->network, &h->charter, reason);
        st = st == STATUS_NOT_FOUND ? STATUS_OK : st;
    }
    if (st != STATUS_OK) {
        cli_error(cli, CLI_TROUBLE, "reading the store of %s: %s%s%s", cli->home,
                  status_text(st), reason[0] != '\0' ? ": " : "", reason);
        return false;
    }
    return true;
}

void
report_home_close(struct report_home *h)
{
    charter_free(h->charter);
    if (h->txn != NULL) {
        store_abort(h->txn);
    }
    store_close(h->store);
    config_free(h->config);
    memset(h, 0, sizeof *h);
}

/* ---- the patient's keys ---- */

/* TYPE:VALUE in normal form.  Error texts never hold the value. */
static bool
read_patient(struct cli *cli, const struct charter *c, const char *text, char type[16],
             char value[IDENTIFIER_CHARS_MAX + 1])
{
    const char *colon = strchr(text, ':');
    const char *why = "";
    struct charter_settings settings;
    if (colon == NULL || colon == text || colon - text > 15 || colon[1] == '\0' ||
        !text_is_utf8(text_view(text), NULL)) {
        cli_error(cli, CLI_TROUBLE, "--patient wants TYPE:VALUE, as RI:11010519491231002X");
        return false;
    }
    memcpy(type, text, (size_t)(colon - text));
    type[colon - text] = '\0';
    enum status st = identifier_normalise(type, text_view(colon + 1), (struct view){NULL, 0},
                                          IDENTIFIER_ANY_DAY, value, &why);
    charter_settings(c, &settings);
    for (size_t i = 0; st == STATUS_UNSUPPORTED && i < settings.identifier_type_count; i++) {
        st = strcmp(settings.identifier_types[i], type) == 0 ? STATUS_OK : st;
    }
    if (st != STATUS_OK) {
        cli_error(cli, CLI_TROUBLE, "the patient's number %s",
                  why[0] != '\0' ? why : "is of no type that is published under");
    }
    return st == STATUS_OK;
}

/* The keys of the patient under all network keys; *count is 0 when none is here. */
static enum status
patient_keys_of(struct cli *cli, const struct report_home *h, const char *type,
                const char *value, struct patient_keys keys[NETWORK_KEY_EPOCHS_MAX],
                size_t *count)
{
    char error[KEYFILE_IO_ERROR_CHARS] = "";
    struct network_keys own;
    struct network_key epochs[NETWORK_KEY_EPOCHS_MAX];
    size_t n = 0;
    *count = 0;
    struct seeds seeds;
    enum status st = seeds_io_read(cli->home, config_passphrase(h->config), &seeds, error);
    if (st != STATUS_OK) {
        cli_error(cli, CLI_TROUBLE, "%s", error[0] != '\0' ? error : status_text(st));
        return STATUS_IO;
    }
    st = STATUS_NOT_FOUND;
    for (size_t i = seeds.count; i-- > 0 && st != STATUS_OK && n == 0;) {
        keys_derive(seeds.at[i], h->network, &own);
        st = charter_network_keys(h->charter, h->config->institution, &own.box, epochs, &n,
                                  NULL);
        keys_wipe(&own);
    }
    seeds_io_wipe(&seeds);
    st = st == STATUS_BAD_KEY || st == STATUS_NOT_FOUND ? STATUS_OK : st;
    for (size_t i = 0; st == STATUS_OK && i < n; i++) {
        st = token_patient_keys(&epochs[i], type, value, &keys[i]);
        *count += st == STATUS_OK;
    }
    sodium_memzero(epochs, sizeof epochs);
    if (st != STATUS_OK || *count == 0) {
        cli_error(cli, CLI_TROUBLE, "%s",
                  st != STATUS_OK ? status_text(st)
                                  : "no network key is sealed to this hospital yet");
    }
    return st == STATUS_OK && *count == 0 ? STATUS_UNAVAILABLE : st;
}

/* ---- the record ---- */

/* Open the record of a leaf of ours into `plain`, which holds RECORD_BYTES_MAX. */
static enum status
open_record(const struct report_home *h, const struct candidate *c,
            const struct patient_keys *keys, uint8_t *plain, size_t *count)
{
    struct view record, text;
    uint8_t k[KEY_BYTES];
    enum status st = store_record_get(h->txn, c->log, c->leaf, &c->sealed, &record);
    if (st != STATUS_OK) {
        return st;
    }
    if (!c->held) {
        return record_open_with_patient(record, keys[c->patient].record_key, h->network,
                                        c->institution, plain, RECORD_BYTES_MAX, count);
    }
    st = store_salt_get(h->txn, c->log, c->leaf, k, &text);
    st = st == STATUS_OK ? record_open_with_k(record, k, h->network, c->institution, plain,
                                              RECORD_BYTES_MAX, count)
                         : st;
    sodium_memzero(k, sizeof k);
    return st;
}

struct search {
    const char *report_id;
    report_own_fn each;
    void *user;
    size_t found, damaged;
};

static enum status
try_leaf(const struct report_home *h, const struct candidate *c,
         const struct patient_keys *keys, uint8_t *plain, struct search *s)
{
    size_t count = 0;
    struct pb_arena arena;
    ProtobufCMessage *m;
    uint8_t memory[PB_ARENA_BYTES];
    enum status st = open_record(h, c, keys, plain, &count);
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    st = st == STATUS_OK ? pb_unpack(&hr__report__descriptor, (struct view){plain, count},
                                     REPORT_BYTES_MAX, &arena, &m)
                         : st;
    if (st == STATUS_OK && ((Hr__Report *)m)->patient == NULL) {
        st = STATUS_MALFORMED;
    }
    if (st != STATUS_OK) {
        s->damaged += st != STATUS_NO_MEMORY;
        st = st == STATUS_NO_MEMORY ? st : STATUS_OK;
    } else if (strcmp(((Hr__Report *)m)->report_id, s->report_id) == 0) {
        s->found++;
        st = s->each(s->user, (Hr__Report *)m);
    }
    pb_free(&arena);
    sodium_memzero(plain, count);
    return st;
}

static enum status
search_leaves(const struct report_home *h, const struct patient_keys *keys, size_t key_count,
              int64_t now_s, struct search *s)
{
    struct candidates found;
    uint16_t day = 0;
    enum status st = token_day_of_ms(now_s * 1000, &day);
    uint32_t last = token_quarter_of_day(day) + 1;
    if (st != STATUS_OK || last < LOOK_BACK_QUARTERS) {
        return STATUS_MALFORMED;
    }
    uint8_t *plain = malloc(RECORD_BYTES_MAX);
    if (plain == NULL) {
        return STATUS_NO_MEMORY;
    }
    st = candidates_find(h->txn, h->network, keys, key_count, last - LOOK_BACK_QUARTERS, last,
                         &found);
    for (size_t i = 0; st == STATUS_OK && i < found.count; i++) {
        const struct candidate *c = &found.at[i];
        if (c->state == CANDIDATE_LIVE && strcmp(c->institution, h->config->institution) == 0) {
            st = try_leaf(h, c, keys, plain, s);
        }
    }
    if (st == STATUS_OK) {
        candidates_free(&found);
    }
    free(plain);
    return st;
}

int
report_own_find(struct cli *cli, const struct report_home *h, const char *patient,
                const char *report_id, int64_t now_s, report_own_fn each, void *user)
{
    char type[16], value[IDENTIFIER_CHARS_MAX + 1];
    struct patient_keys keys[NETWORK_KEY_EPOCHS_MAX];
    struct search s = {.report_id = report_id, .each = each, .user = user};
    size_t count = 0;
    if (h->network == NULL || h->charter == NULL) {
        return cli_error(cli, CLI_TROUBLE,
                         "this home has no charter yet, so it published nothing; huren "
                         "charter adopt FILE takes the files of the network's authority");
    }
    if (!read_patient(cli, h->charter, patient, type, value)) {
        return CLI_TROUBLE;
    }
    enum status st = patient_keys_of(cli, h, type, value, keys, &count);
    if (st == STATUS_OK) {
        st = search_leaves(h, keys, count, now_s, &s);
        if (st != STATUS_OK) {
            cli_error(cli, CLI_TROUBLE, "searching our own log: %s", status_text(st));
        }
    }
    sodium_memzero(keys, sizeof keys);
    sodium_memzero(value, sizeof value);
    if (st != STATUS_OK) {
        return CLI_TROUBLE;
    }
    if (s.damaged > 0) {
        cli_error(cli, CLI_NO, "%zu records of this patient could not be read", s.damaged);
    }
    return s.found > 0 ? CLI_YES
                       : cli_error(cli, CLI_NO,
                                   "no report with this number stands for this patient in our "
                                   "log (perhaps withdrawn, or published under another number "
                                   "of the patient)");
}
