/* main.c: the huren command. */
#include <stdio.h>

int
main(void)
{
    fputs("usage: huren [--home DIR] [--json] COMMAND\n", stderr);
    return 2;
}
