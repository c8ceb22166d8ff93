/* config_impl.h: what config.c and config_io.c share. */
#ifndef NODE_CONFIG_IMPL_H
#define NODE_CONFIG_IMPL_H

#include "node/config.h"

/* The configuration, then its networks, peers and texts in the same block. */
struct config_block {
    struct config config; /* first, so that a pointer to it is one to the block */
    uint8_t *passphrase;  /* NULL: none */
    size_t passphrase_count;
};

#endif
