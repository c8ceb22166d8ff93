/* config.c: see config.h. */
#include "node/config.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cyaml/cyaml.h>

#include "crypto/line.h"
#include "node/charter_yaml.h"
#include "node/config_impl.h"
#include "node/origin.h"
#include "proto/civil.h"
#include "proto/text.h"

enum {
    TEXT_MAX = 1024,
    PEERS_MAX = 64,
    TICK_MS_MAX = 3600 * 1000,
    HOURS_MAX = 8760,
    ENTRIES_DAY_MAX = 1000 * 1000 * 1000
};

/* ---- the shape ------------------------------------------------------------ */

struct yaml_network {
    char *name, *listen, *advertise, *tick_ms, *start_wait_ms, *recall_overdue_hours,
        *witnesses_wanted, *witnesses_wait_hours, *member_entries_day;
    char **peers;
    uint32_t peers_count;
};
struct yaml_config {
    char *institution, *name, *zone, *passphrase_file, *store_bytes_max;
    struct yaml_network *networks;
    uint32_t networks_count;
};

#define TEXT(type, member, flags)                                                              \
    CYAML_FIELD_STRING_PTR(#member, CYAML_FLAG_POINTER | (flags), type, member, 0, TEXT_MAX)

static const cyaml_schema_value_t text_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, TEXT_MAX)};
static const cyaml_schema_field_t network_fields[] = {
    TEXT(struct yaml_network, name, 0),
    TEXT(struct yaml_network, listen, CYAML_FLAG_OPTIONAL),
    TEXT(struct yaml_network, advertise, CYAML_FLAG_OPTIONAL),
    TEXT(struct yaml_network, tick_ms, CYAML_FLAG_OPTIONAL),
    TEXT(struct yaml_network, start_wait_ms, CYAML_FLAG_OPTIONAL),
    TEXT(struct yaml_network, recall_overdue_hours, CYAML_FLAG_OPTIONAL),
    TEXT(struct yaml_network, witnesses_wanted, CYAML_FLAG_OPTIONAL),
    TEXT(struct yaml_network, witnesses_wait_hours, CYAML_FLAG_OPTIONAL),
    TEXT(struct yaml_network, member_entries_day, CYAML_FLAG_OPTIONAL),
    CYAML_FIELD_SEQUENCE("peers", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml_network,
                         peers, &text_entry, 0, PEERS_MAX),
    CYAML_FIELD_END};
static const cyaml_schema_value_t network_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_network, network_fields)};
static const cyaml_schema_field_t config_fields[] = {
    TEXT(struct yaml_config, institution, 0),
    TEXT(struct yaml_config, name, 0),
    TEXT(struct yaml_config, zone, CYAML_FLAG_OPTIONAL),
    TEXT(struct yaml_config, passphrase_file, CYAML_FLAG_OPTIONAL),
    TEXT(struct yaml_config, store_bytes_max, CYAML_FLAG_OPTIONAL),
    CYAML_FIELD_SEQUENCE("networks", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct yaml_config, networks, &network_entry, 0, CONFIG_NETWORKS_MAX),
    CYAML_FIELD_END};
static const cyaml_schema_value_t config_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_config, config_fields)};

struct yaml_log {
    char what[160];
    size_t line;
};

__attribute__((format(printf, 3, 0))) static void
take_log(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
    struct yaml_log *log = ctx;
    char text[256];
    if (level < CYAML_LOG_ERROR) {
        return;
    }
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = 0;
    const char *where = strstr(text, "line");
    if (where != NULL && log->line == 0) {
        log->line = strtoul(where + strcspn(where, "0123456789"), NULL, 10);
    }
    if (log->what[0] == 0 && strstr(text, "Backtrace") == NULL) {
        snprintf(log->what, sizeof log->what, "%.150s",
                 strncmp(text, "Load: ", 6) == 0 ? text + 6 : text);
    }
}

/* ---- from the shape to the configuration ---------------------------------- */

struct reader {
    struct view yaml;
    const char *file;
    char *error;
    size_t error_bytes;
};

static enum status
refuse(const struct reader *r, const char *entry, const char *value, const char *what)
{
    snprintf(r->error, r->error_bytes, "%.300s:%zu: %s: '%.100s' %s", r->file,
             charter_yaml_line(r->yaml, entry, value), entry, value, what);
    return STATUS_MALFORMED;
}

/* "" for what is not given. */
static const char *
given(const char *text)
{
    return text == NULL ? "" : text;
}

static bool
is_address(const char *url)
{
    size_t n = strlen(url);
    return n == 0 || (n <= ADDRESS_CHARS_MAX && strncmp(url, "tcp://", 6) == 0 &&
                      strchr(url + 6, ':') != NULL && strpbrk(url, " \t\"'\\") == NULL);
}

/* Texts are copied behind the structs of one block. */
struct block {
    char *at;
    size_t left;
};

static const char *
keep(struct block *b, const char *text)
{
    size_t count = strlen(text) + 1;
    assert(count <= b->left); /* counted before */
    char *out = memcpy(b->at, text, count);
    b->at += count;
    b->left -= count;
    return out;
}

static size_t
texts_bytes(const struct yaml_config *y)
{
    size_t n = strlen(y->institution) + strlen(y->name) + strlen(given(y->passphrase_file)) + 3;
    for (uint32_t i = 0; i < y->networks_count; i++) {
        const struct yaml_network *w = &y->networks[i];
        n += strlen(w->name) + strlen(given(w->listen)) + strlen(given(w->advertise)) + 3;
        for (uint32_t p = 0; p < w->peers_count; p++) {
            n += INSTITUTION_CHARS_MAX + 1;
        }
    }
    return n;
}

/* A strict decimal; 0 for what is not given. */
static bool
read_number(const char *text, uint64_t most, uint64_t *out)
{
    *out = 0;
    return given(text)[0] == 0 || line_decimal(text_view(text), most, out) == STATUS_OK;
}

static enum status
read_network(const struct reader *r, const struct yaml_network *y, struct block *b,
             const char **peers, struct config_network *out)
{
    if (origin_vet_network(y->name) != STATUS_OK) {
        return refuse(r, "name", y->name, "is not the name of a network (a-z 0-9 . - _)");
    }
    if (!is_address(given(y->listen))) {
        return refuse(r, "listen", y->listen, "is not tcp://host:port");
    }
    if (!is_address(given(y->advertise))) {
        return refuse(r, "advertise", y->advertise, "is not tcp://host:port");
    }
    uint64_t tick_ms, start_wait_ms, recall_hours, witnesses, witness_hours, entries_day;
    bool none = strcmp(given(y->witnesses_wanted), "none") == 0;
    if (!read_number(y->tick_ms, TICK_MS_MAX, &tick_ms)) {
        return refuse(r, "tick_ms", y->tick_ms, "is not a number of milliseconds");
    }
    if (!read_number(y->start_wait_ms, TICK_MS_MAX, &start_wait_ms)) {
        return refuse(r, "start_wait_ms", y->start_wait_ms, "is not a number of milliseconds");
    }
    if (!read_number(y->recall_overdue_hours, HOURS_MAX, &recall_hours)) {
        return refuse(r, "recall_overdue_hours", y->recall_overdue_hours,
                      "is not a number of hours, at most 8760");
    }
    if (!read_number(none ? NULL : y->witnesses_wanted, WITNESSES_MAX, &witnesses)) {
        return refuse(r, "witnesses_wanted", y->witnesses_wanted,
                      "is not a number from 1 to 15, nor none");
    }
    if (!read_number(y->witnesses_wait_hours, HOURS_MAX, &witness_hours)) {
        return refuse(r, "witnesses_wait_hours", y->witnesses_wait_hours,
                      "is not a number of hours, at most 8760");
    }
    if (!read_number(y->member_entries_day, ENTRIES_DAY_MAX, &entries_day) ||
        (given(y->member_entries_day)[0] != 0 && entries_day == 0)) {
        return refuse(r, "member_entries_day", y->member_entries_day,
                      "is not a number of log entries, 1 to 1000000000");
    }
    *out = (struct config_network){.name = keep(b, y->name),
                                   .listen = keep(b, given(y->listen)),
                                   .advertise = keep(b, given(y->advertise)),
                                   .tick_ms = (uint32_t)tick_ms,
                                   .start_wait_ms = (uint32_t)start_wait_ms,
                                   .recall_hours = (uint32_t)recall_hours,
                                   .witnesses = none ? CONFIG_NO_WITNESS : (uint32_t)witnesses,
                                   .witness_hours = (uint32_t)witness_hours,
                                   .entries_day = (uint32_t)entries_day,
                                   .peer_count = y->peers_count,
                                   .peers = y->peers_count == 0 ? NULL : peers};
    for (uint32_t i = 0; i < y->peers_count; i++) {
        char code[INSTITUTION_CHARS_MAX + 1];
        if (origin_fold_institution(y->peers[i], code) != STATUS_OK) {
            return refuse(r, "peers", y->peers[i], "is not an institution code");
        }
        peers[i] = keep(b, code);
    }
    return STATUS_OK;
}

static enum status
read_config(const struct reader *r, const struct yaml_config *y, struct config **out)
{
    char institution[INSTITUTION_CHARS_MAX + 1];
    size_t peer_count = 0;
    int32_t zone_min = 480;
    uint64_t store_bytes = 0;
    if (origin_fold_institution(y->institution, institution) != STATUS_OK) {
        return refuse(r, "institution", y->institution, "is not a code (a-z 0-9 . - _)");
    }
    if (given(y->zone)[0] != 0 && !civil_parse_offset(text_view(y->zone), &zone_min)) {
        return refuse(r, "zone", y->zone, "is not like +08:00");
    }
    if (given(y->store_bytes_max)[0] != 0 &&
        (line_decimal(text_view(y->store_bytes_max), CONFIG_STORE_BYTES_MOST, &store_bytes) !=
             STATUS_OK ||
         store_bytes < CONFIG_STORE_BYTES_LEAST)) {
        return refuse(r, "store_bytes_max", y->store_bytes_max,
                      "is not a number of bytes from 1048576 (1 MiB) to 1099511627776 (1 TiB)");
    }
    for (uint32_t i = 0; i < y->networks_count; i++) {
        peer_count += y->networks[i].peers_count;
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(y->networks[i].name, y->networks[j].name) == 0) {
                return refuse(r, "networks", y->networks[i].name, "stands there twice");
            }
        }
    }
    size_t fixed = sizeof(struct config_block) +
                   y->networks_count * sizeof(struct config_network) +
                   peer_count * sizeof(char *);
    size_t texts = texts_bytes(y);
    struct config_block *c = calloc(1, fixed + texts);
    if (c == NULL) {
        snprintf(r->error, r->error_bytes, "out of memory");
        return STATUS_NO_MEMORY;
    }
    struct config_network *networks = (struct config_network *)(c + 1);
    const char **peers = (const char **)(networks + y->networks_count);
    struct block b = {(char *)c + fixed, texts};
    c->config = (struct config){.institution = keep(&b, institution),
                                .name = keep(&b, y->name),
                                .zone_min = zone_min,
                                .passphrase_file = keep(&b, given(y->passphrase_file)),
                                .store_bytes_max = store_bytes,
                                .network_count = y->networks_count,
                                .networks = networks};
    for (uint32_t i = 0; i < y->networks_count; i++) {
        enum status st = read_network(r, &y->networks[i], &b, peers, &networks[i]);
        if (st != STATUS_OK) {
            config_free(&c->config);
            return st;
        }
        peers += y->networks[i].peers_count;
    }
    *out = &c->config;
    return STATUS_OK;
}

enum status
config_parse(struct view yaml, const char *file, struct config **out, char *error,
             size_t error_bytes)
{
    struct yaml_log log = {"", 0};
    cyaml_config_t config = {.log_fn = take_log,
                             .log_ctx = &log,
                             .mem_fn = cyaml_mem,
                             .log_level = CYAML_LOG_ERROR,
                             .flags = CYAML_CFG_NO_ALIAS};
    struct reader r = {yaml, file, error, error_bytes};
    cyaml_data_t *data = NULL;
    *out = NULL;
    if (yaml.count == 0 || yaml.count > CONFIG_BYTES_MAX) {
        snprintf(error, error_bytes, "%.300s:1: the file is empty or too long", file);
        return STATUS_MALFORMED;
    }
    cyaml_err_t rc =
        cyaml_load_data(yaml.bytes, yaml.count, &config, &config_schema, &data, NULL);
    if (rc != CYAML_OK) {
        /* libyaml calls a file bad for which it had no memory: an audit must not. */
        log = (struct yaml_log){"", 0};
        rc = cyaml_load_data(yaml.bytes, yaml.count, &config, &config_schema, &data, NULL);
    }
    if (rc != CYAML_OK || data == NULL) {
        snprintf(error, error_bytes, "%.300s:%zu: %s", file, log.line == 0 ? 1 : log.line,
                 log.what[0] != 0 ? log.what : cyaml_strerror(rc));
        return rc == CYAML_ERR_OOM ? STATUS_NO_MEMORY : STATUS_MALFORMED;
    }
    enum status st = read_config(&r, data, out);
    rc = cyaml_free(&config, &config_schema, data, 0);
    assert(rc == CYAML_OK);
    return st;
}

void
config_free(struct config *c)
{
    if (c != NULL) {
        struct config_block *b = (struct config_block *)c; /* its first member */
        if (b->passphrase != NULL) {
            sodium_memzero(b->passphrase, b->passphrase_count);
            free(b->passphrase);
        }
        free(b);
    }
}

struct view
config_passphrase(const struct config *c)
{
    const struct config_block *b = (const struct config_block *)c;
    return (struct view){b->passphrase, b->passphrase_count};
}

const struct config_network *
config_network(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->network_count; i++) {
        if (strcmp(c->networks[i].name, name) == 0) {
            return &c->networks[i];
        }
    }
    return NULL;
}

/* ---- writing -------------------------------------------------------------- */

struct writer {
    char *out;
    size_t room, used;
    bool full;
};

__attribute__((format(printf, 2, 3))) static void
put(struct writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = w->full ? 0 : vsnprintf(w->out + w->used, w->room - w->used, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= w->room - w->used) {
        w->full = true;
        return;
    }
    w->used += (size_t)n;
}

/* A YAML text in double quotes. */
static void
put_quoted(struct writer *w, const char *text)
{
    put(w, "\"");
    for (const char *p = text; *p != 0; p++) {
        if (*p == '"' || *p == '\\') {
            put(w, "\\");
        }
        put(w, "%c", *p);
    }
    put(w, "\"\n");
}

/* An entry with its comment; commented out, with an example, where it is not set. */
static void
put_number(struct writer *w, const char *comment, const char *entry, uint32_t value,
           const char *example)
{
    put(w, "    # %s\n", comment);
    if (value != 0) {
        put(w, "    %s: %" PRIu32 "\n", entry, value);
    } else {
        put(w, "    # %s: %s\n", entry, example);
    }
}

static void
put_network(struct writer *w, const struct config_network *n)
{
    put(w, "  - name: %s\n", n->name);
    put(w, "    # Where this node answers others; without it, it only dials.\n");
    if (n->listen[0] != 0) {
        put(w, "    listen: %s\n", n->listen);
    } else {
        put(w, "    # listen: tcp://0.0.0.0:7411\n");
    }
    put(w, "    # What others dial when that is another address; it stands in HOME/join.\n");
    if (n->advertise[0] != 0) {
        put(w, "    advertise: %s\n", n->advertise);
    } else {
        put(w, "    # advertise: tcp://huren.hospital.example:7411\n");
    }
    put(w, "    # Dial only these institutions; without it, any member.\n");
    if (n->peer_count == 0) {
        put(w, "    # peers: [h2]\n");
    } else {
        put(w, "    peers: [");
        for (size_t i = 0; i < n->peer_count; i++) {
            put(w, "%s%s", i == 0 ? "" : ", ", n->peers[i]);
        }
        put(w, "]\n");
    }
    put_number(w, "Milliseconds between rounds of gossip.", "tick_ms", n->tick_ms, "1000");
    if (n->start_wait_ms != 0) {
        put(w, "    start_wait_ms: %" PRIu32 "\n", n->start_wait_ms);
    }
    put_number(w, "Hours after which a recall that nobody acknowledged is overdue.",
               "recall_overdue_hours", n->recall_hours, "24");
    if (n->witnesses == CONFIG_NO_WITNESS) {
        put(w, "    witnesses_wanted: none\n");
    } else {
        put_number(
            w,
            "Witnesses that must have seen a result of others (1 to 15, or none); without "
            "it\n    # more than half of those that the members document names.",
            "witnesses_wanted", n->witnesses, "2");
    }
    put_number(w,
               "For so many hours a result with fewer is accepted, and shown as such; later it "
               "is\n    # shown and not suggested.",
               "witnesses_wait_hours", n->witness_hours, "72");
    put_number(
        w,
        "Entries of the exchange log that look-ups of one member may cause in a day, half "
        "of\n    # them at once; over it they are refused, and nothing is logged.",
        "member_entries_day", n->entries_day, "1000000");
}

enum status
config_write(const struct config *c, char *out, size_t out_bytes, size_t *count)
{
    struct writer w = {out, out_bytes, 0, false};
    int32_t zone = c->zone_min < 0 ? -c->zone_min : c->zone_min;
    put(&w,
        "# Configuration of this huren home.  Restart `huren serve` after a change.\n"
        "# Keys belong to institution and network: change neither, make a new home.\n"
        "institution: %s\nname: ",
        c->institution);
    put_quoted(&w, c->name);
    put(&w,
        "\n# Zone of times that name none, as most messages of laboratories do.\n"
        "zone: \"%c%02d:%02d\"\n\n"
        "# File with the passphrase of HOME/seed (0600), if the seed is under one.\n",
        c->zone_min < 0 ? '-' : '+', (int)(zone / 60), (int)(zone % 60));
    if (c->passphrase_file[0] != 0) {
        put(&w, "passphrase_file: ");
        put_quoted(&w, c->passphrase_file);
    } else {
        put(&w, "# passphrase_file: /etc/huren/passphrase\n");
    }
    put(&w,
        "\n# Bytes that HOME/store may grow to; without it, the disk is the bound.  A fifth "
        "of\n"
        "# the room (at most 1 GiB) is kept for the exchange log: publishing stops before.\n");
    if (c->store_bytes_max != 0) {
        put(&w, "store_bytes_max: %" PRIu64 "\n", c->store_bytes_max);
    } else {
        put(&w, "# store_bytes_max: 68719476736\n");
    }
    put(&w, "\n# Networks (alliances) of this institution; `huren init --network` adds one.\n");
    put(&w, c->network_count == 0 ? "networks: []\n" : "networks:\n");
    for (size_t i = 0; i < c->network_count; i++) {
        put_network(&w, &c->networks[i]);
    }
    *count = w.used;
    return w.full ? STATUS_TOO_BIG : STATUS_OK;
}
