/* A map from words to how often they were seen. */
#ifndef STRMAP_H
#define STRMAP_H

#include <stddef.h>

struct strmap_entry {
    char *word;
    unsigned long count;
};

struct strmap {
    struct strmap_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t length;
};

/* Counts a word once more. Returns 0, or -1 if there is no memory left. */
int strmap_count(struct strmap *map, const char *word);

/* Frees everything. */
void strmap_free(struct strmap *map);

#endif
