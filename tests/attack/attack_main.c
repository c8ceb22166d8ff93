/* attack_wire: attacks on the daemon of a home over loopback, for tests/e2e/wire*.sh.
 * Prints what it did; FAILED lines and exit 1 when the node did what it must not. */
#include <signal.h>
#include <sodium.h>
#include <string.h>

#include "attack.h"

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } attacks[] = {{"handshake", attack_handshake}, {"record", attack_record},
                   {"burst", attack_replay},        {"replay", attack_replay},
                   {"limits", attack_limits},       {"caps", attack_caps},
                   {"load", attack_load},           {"control", attack_control}};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    if (sodium_init() < 0) {
        die("libsodium cannot be started");
    }
    for (size_t i = 0; argc > 1 && i < sizeof attacks / sizeof attacks[0]; i++) {
        if (strcmp(attacks[i].name, argv[1]) == 0) {
            return attacks[i].run(argc - 1, argv + 1);
        }
    }
    die("usage: attack_wire ATTACK ARGUMENTS; the attacks are in tests/attack");
}
