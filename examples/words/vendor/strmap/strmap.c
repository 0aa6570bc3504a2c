#include "strmap.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */
static size_t hash(const char *word)
{
    unsigned long long sum = 14695981039346656037ULL;
    for (; *word; word++)
        sum = (sum ^ (unsigned char)*word) * 1099511628211ULL;
    return (size_t)sum;
}

static struct strmap_entry *find(struct strmap *map, const char *word)
{
    size_t at = hash(word) & (map->capacity - 1);
    while (map->entries[at].word && strcmp(map->entries[at].word, word) != 0)
        at = (at + 1) & (map->capacity - 1);
    return &map->entries[at];
}

static int grow(struct strmap *map)
{
    struct strmap wider = {0};
    wider.capacity = map->capacity ? map->capacity * 2 : 64;
    wider.entries = calloc(wider.capacity, sizeof *wider.entries);
    if (!wider.entries)
        return -1;
    wider.length = map->length;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].word)
            *find(&wider, map->entries[i].word) = map->entries[i];
    free(map->entries);
    *map = wider;
    return 0;
}

int strmap_count(struct strmap *map, const char *word)
{
    if (map->length * 2 >= map->capacity && grow(map) != 0)
        return -1;
    struct strmap_entry *entry = find(map, word);
    if (!entry->word) {
        entry->word = strdup(word);
        if (!entry->word)
            return -1;
        map->length++;
    }
    entry->count++;
    return 0;
}

void strmap_free(struct strmap *map)
{
    for (size_t i = 0; i < map->capacity; i++)
        free(map->entries[i].word);
    free(map->entries);
    *map = (struct strmap){0};
}
