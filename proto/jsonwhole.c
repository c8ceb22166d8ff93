/* jsonwhole.c: see jsonwhole.h. */
#include "proto/jsonwhole.h"

#include <pthread.h>
#include <stdlib.h>

static _Thread_local unsigned long lost;

static void *
take(size_t size)
{
    void *p = malloc(size);
    lost += p == NULL;
    return p;
}

static void
begin(void)
{
    json_set_alloc_funcs(take, free);
}

unsigned long
json_whole_mark(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin);
    return lost;
}

json_t *
json_whole(json_t *value, unsigned long mark)
{
    if (lost == mark) {
        return value;
    }
    json_decref(value);
    return NULL;
}

char *
json_whole_text(const json_t *value, size_t flags, unsigned long mark)
{
    char *text = json_dumps(value, flags);
    if (lost != mark) {
        free(text);
        text = NULL;
    }
    return text;
}
