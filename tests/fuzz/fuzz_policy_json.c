/* Any bytes as a line of `huren policy decide`: no crash, and an answer for
 * every JSON object that names a pack; the same answer from its canonical bytes. */
#include <stdint.h>
#include <stdlib.h>

#include "node/policy_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct policy_set *set;
    char error[256] = "";
    json_t *answer = NULL;
    if (set == NULL && policy_set_load_embedded(&set, error, sizeof error) != STATUS_OK) {
        abort();
    }
    json_t *input;
    enum status st = policy_json_parse((const char *)data, size, &input, error, sizeof error);
    if (st != STATUS_OK) {
        return 0;
    }
    st = policy_decide_object(set, input, &answer);
    if (st == STATUS_OK) {
        size_t bytes;
        json_t *again = NULL;
        char *kept = policy_json_canonical(input, &bytes);
        if (kept == NULL ||
            policy_decide_json(set, kept, bytes, &again, error, sizeof error) != STATUS_OK ||
            !json_equal(answer, again)) {
            abort();
        }
        free(kept);
        json_decref(again);
        json_decref(answer);
        if (policy_mark_object(set, input, &answer) != STATUS_OK) {
            abort();
        }
        json_decref(answer);
    } else if (json_is_object(input) && st == STATUS_NO_MEMORY) {
        abort();
    }
    json_decref(input);
    return 0;
}
