/* Goal: config.yaml means what it says, and what it cannot mean is refused with
 * file and line.
 * Method: the text that init writes is read back; then one mistake at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "node/config.h"

static char error[CONFIG_ERROR_CHARS];

static enum status
parse(const char *text, struct config **out)
{
    error[0] = 0;
    return config_parse((struct view){(const uint8_t *)text, strlen(text)}, "c.yaml", out,
                        error, sizeof error);
}

static void
test_what_init_writes_is_read_back(void **state)
{
    static const char *const peers[] = {"h2", "h3"};
    struct config_network networks[] = {{.name = "yx.cn",
                                         .listen = "tcp://127.0.0.1:7001",
                                         .advertise = "",
                                         .witnesses = CONFIG_NO_WITNESS,
                                         .peers = NULL},
                                        {.name = "zz.cn",
                                         .listen = "",
                                         .advertise = "tcp://a.b:1",
                                         .tick_ms = 200,
                                         .recall_hours = 36,
                                         .witnesses = 3,
                                         .witness_hours = 240,
                                         .entries_day = 7,
                                         .start_wait_ms = 5000,
                                         .peer_count = 2,
                                         .peers = peers}};
    struct config c = {.institution = "h1",
                       .name = "\xe4\xba\xba\xe6\xb0\x91 \"1\" \\ hospital: #1",
                       .zone_min = -330,
                       .passphrase_file = "pass",
                       .network_count = 2,
                       .networks = networks};
    struct config *read;
    char text[8192];
    size_t count;
    (void)state;
    for (c.network_count = 0; c.network_count <= 2; c.network_count++) {
        c.store_bytes_max = c.network_count == 0 ? 0 : CONFIG_STORE_BYTES_LEAST;
        assert_int_equal(config_write(&c, text, sizeof text, &count), STATUS_OK);
        if (parse(text, &read) != STATUS_OK) {
            fail_msg("%s\n%s", error, text);
        }
        assert_string_equal(read->institution, c.institution);
        assert_string_equal(read->name, c.name);
        assert_int_equal(read->zone_min, -330);
        assert_string_equal(read->passphrase_file, "pass");
        assert_int_equal(read->store_bytes_max, c.store_bytes_max);
        assert_int_equal(read->network_count, c.network_count);
        for (size_t i = 0; i < c.network_count; i++) {
            assert_string_equal(read->networks[i].name, networks[i].name);
            assert_string_equal(read->networks[i].listen, networks[i].listen);
            assert_string_equal(read->networks[i].advertise, networks[i].advertise);
            assert_int_equal(read->networks[i].tick_ms, networks[i].tick_ms);
            assert_int_equal(read->networks[i].recall_hours, networks[i].recall_hours);
            assert_int_equal(read->networks[i].witnesses, networks[i].witnesses);
            assert_int_equal(read->networks[i].witness_hours, networks[i].witness_hours);
            assert_int_equal(read->networks[i].entries_day, networks[i].entries_day);
            assert_int_equal(read->networks[i].start_wait_ms, networks[i].start_wait_ms);
            assert_int_equal(read->networks[i].peer_count, networks[i].peer_count);
            for (size_t p = 0; p < networks[i].peer_count; p++) {
                assert_string_equal(read->networks[i].peers[p], peers[p]);
            }
            assert_ptr_equal(config_network(read, networks[i].name), &read->networks[i]);
        }
        assert_null(config_network(read, "other"));
        assert_int_equal(config_passphrase(read).count, 0);
        config_free(read);
    }
    c.network_count = 2;
    assert_int_equal(config_write(&c, text, 300, &count), STATUS_TOO_BIG);
}

static void
test_mistakes_are_named_with_their_line(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "c.yaml:1: "},
        {"institution: h1\n", "Missing required mapping field: name"},
        {"institution: h 1\nname: x\n", "c.yaml:1: institution: 'h 1' is not a code"},
        {"institution: h1\nname: x\nzone: eight\n", "c.yaml:3: zone: 'eight' is not like"},
        {"institution: h1\nname: x\nstore_bytes_max: 1048575\n",
         "c.yaml:3: store_bytes_max: '1048575' is not a number of bytes"},
        {"institution: h1\nname: x\nstore_bytes_max: 1099511627777\n",
         "c.yaml:3: store_bytes_max: '1099511627777' is not a number of bytes"},
        {"institution: h1\nname: x\nstore_bytes_max: 64 GiB\n",
         "c.yaml:3: store_bytes_max: '64 GiB' is not a number of bytes"},
        {"institution: h1\nname: x\nnetworks:\n  - name: A.cn\n", "c.yaml:4: name: 'A.cn'"},
        {"institution: h1\nname: x\nnetworks:\n  - name: a.cn\n    listen: 7001\n",
         "c.yaml:5: listen: '7001' is not tcp://host:port"},
        {"institution: h1\nname: x\nnetworks:\n  - name: a.cn\n    tick_ms: 010\n",
         "c.yaml:5: tick_ms: '010' is not a number"},
        {"institution: h1\nname: x\nnetworks:\n  - name: a.cn\n    recall_overdue_hours: "
         "8761\n",
         "c.yaml:5: recall_overdue_hours: '8761' is not a number of hours"},
        {"institution: h1\nname: x\nnetworks:\n  - name: a.cn\n    witnesses_wanted: 16\n",
         "c.yaml:5: witnesses_wanted: '16' is not a number from 1 to 15, nor none"},
        {"institution: h1\nname: x\nnetworks:\n  - name: a.cn\n    witnesses_wait_hours: -1\n",
         "c.yaml:5: witnesses_wait_hours: '-1' is not a number of hours"},
        {"institution: h1\nname: x\nnetworks:\n  - name: a.cn\n  - name: a.cn\n",
         "'a.cn' stands there twice"},
        {"institution: h1\nname: x\nnetworks:\n  - name: a.cn\n    peers: [\"h/2\"]\n",
         "c.yaml:5: peers: 'h/2' is not an institution code"},
        {"institution: h1\nname: x\nport: 1\n", "Unexpected key: port"},
        {"institution: [h1\n", "c.yaml:"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *c;
        assert_int_equal(parse(cases[i].text, &c), STATUS_MALFORMED);
        assert_null(c);
        if (strstr(error, cases[i].error) == NULL) {
            fail_msg("case %zu: %s", i, error);
        }
    }
}

static void
test_no_network_is_a_configuration_too(void **state)
{
    struct config *c;
    (void)state;
    assert_int_equal(parse("institution: PDY-1\nname: x\n", &c), STATUS_OK);
    assert_string_equal(c->institution, "pdy-1");
    assert_int_equal(c->network_count, 0);
    assert_int_equal(c->zone_min, 480);
    config_free(c);
    config_free(NULL);
    assert_int_equal(config_load("/nonexistent/home", &c, error, sizeof error),
                     STATUS_NOT_FOUND);
    assert_non_null(strstr(error, "huren init"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_init_writes_is_read_back),
        cmocka_unit_test(test_mistakes_are_named_with_their_line),
        cmocka_unit_test(test_no_network_is_a_configuration_too)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
