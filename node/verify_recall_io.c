#include "node/verify_recall_io.h"

#include <string.h>

#include "node/candidates.h"
#include "node/decision_input.h"
#include "node/home_io.h"
#include "node/origin.h"
#include "node/recall.h"
#include "proto/text.h"
#include "store/log.h"

static enum status
add_known(struct store_txn *txn, const char *network, const char *origin, uint64_t leaf,
          json_t *found)
{
    struct store_log log;
    uint64_t by;
    uint64_t heard_ms;
    uint8_t what;
    char at[26];
    enum status st = store_log_find(txn, text_view(origin), &log);
    bool held = st == STATUS_OK && leaf < log.size;
    if (held) {
        json_object_set_new(found, "recall_as_of", json_integer((json_int_t)log.size));
    }
    st = st == STATUS_NO_MEMORY
             ? st
             : recall_known(txn, network, origin, leaf, &by, &what, &heard_ms);
    if (st != STATUS_OK) {
        if (held && st == STATUS_NOT_FOUND) {
            json_object_set_new(found, "recalled", json_false());
        }
        return st;
    }
    if (heard_ms != 0) {
        decision_time((int64_t)(heard_ms / 1000), at);
    }
    json_object_set_new(found, "recalled",
                        json_pack("{s:s,s:I,s:o}", "what",
                                  what == 2 ? "withdrawn" : "corrected", "by", (json_int_t)by,
                                  "heard_at", heard_ms != 0 ? json_string(at) : json_null()));
    return STATUS_OK;
}

int
verify_recall_exit(struct cli *cli, const char *path, const json_t *found)
{
    json_t *r = json_object_get(found, "recalled");
    if (json_is_object(r)) {
        return cli_error(cli, CLI_NO,
                         "%s: it is authentic, and its issuer recalled the result: do not rely "
                         "on it, look it up again",
                         path);
    }
    if (json_is_null(r)) {
        return cli_error(cli, CLI_TROUBLE,
                         "%s: it is authentic; whether its result still stands this home "
                         "cannot tell: ask one that has the issuer's log",
                         path);
    }
    return CLI_YES;
}

enum status
verify_recall_add(struct cli *cli, json_t *found)
{
    const char *text = json_string_value(json_object_get(found, "origin"));
    uint64_t leaf = (uint64_t)json_integer_value(json_object_get(found, "index"));
    char path[HOME_IO_PATH_CHARS];
    struct store_options options = {.read_only = true, .handle_of = candidates_handle_of};
    struct store *store;
    struct store_txn *txn;
    struct origin origin;
    json_object_set_new(found, "recalled", json_null());
    json_object_set_new(found, "recall_as_of", json_null());
    if (text == NULL || strlen(text) > ORIGIN_CHARS_MAX ||
        origin_parse(text_view(text), &origin) != STATUS_OK ||
        home_io_path(cli->home, "store", path) != STATUS_OK) {
        return STATUS_OK;
    }
    enum status st = store_open(path, &options, &store);
    if (st == STATUS_OK) {
        st = store_begin_read(store, &txn);
        if (st == STATUS_OK) {
            st = add_known(txn, origin.network, text, leaf, found);
            store_abort(txn);
        }
        store_close(store);
    }
    return st == STATUS_NO_MEMORY ? st : STATUS_OK; /* else this home does not know */
}

void
verify_recall_print(struct cli *cli, const json_t *found)
{
    json_t *r = json_object_get(found, "recalled");
    json_int_t size = json_integer_value(json_object_get(found, "recall_as_of"));
    if (json_is_object(r)) {
        const char *at = json_string_value(json_object_get(r, "heard_at"));
        fprintf(cli->out,
                "  RECALLED: %s by its issuer in entry %" JSON_INTEGER_FORMAT
                ": do not rely on it, look it up again%s%s\n",
                json_string_value(json_object_get(r, "what")),
                json_integer_value(json_object_get(r, "by")),
                at == NULL ? "" : "; this home was told at ", at == NULL ? "" : at);
    } else if (json_is_false(r)) {
        fprintf(
            cli->out,
            "  not recalled, as far as this home's copy of the log goes (%" JSON_INTEGER_FORMAT
            " entries)\n",
            size);
    } else {
        fprintf(cli->out,
                "  whether it was corrected or withdrawn later is not known here: no copy of "
                "the issuer's log\n");
    }
}
