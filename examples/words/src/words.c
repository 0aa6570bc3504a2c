/* Counts the words of its input and prints the most frequent ones. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strmap.h"

#define LONGEST 255

static int more_frequent(const void *left, const void *right)
{
    const struct strmap_entry *a = left, *b = right;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return strcmp(a->word, b->word);
}

/* Reads a word in lower case. Returns its length, 0 at the end. */
static size_t read_word(FILE *in, char *word)
{
    size_t length = 0;
    for (int c; (c = fgetc(in)) != EOF;) {
        if (isalnum(c)) {
            if (length < LONGEST)
                word[length++] = (char)tolower(c);
        } else if (length > 0) {
            break;
        }
    }
    word[length] = '\0';
    return length;
}

static void print_first(struct strmap *map, size_t limit)
{
    size_t used = 0;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].word)
            map->entries[used++] = map->entries[i];
    qsort(map->entries, used, sizeof *map->entries, more_frequent);
    for (size_t i = 0; i < used && i < limit; i++)
        printf("%lu %s\n", map->entries[i].count, map->entries[i].word);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        puts("words 1.0.0");
        return 0;
    }
    char *end = NULL;
    long limit = argc > 1 ? strtol(argv[1], &end, 10) : 10;
    if (limit < 0 || (end && *end)) {
        fprintf(stderr, "usage: words [LIMIT]\n");
        return 2;
    }
    struct strmap map = {0};
    char word[LONGEST + 1];
    while (read_word(stdin, word) > 0)
        if (strmap_count(&map, word) != 0) {
            fprintf(stderr, "words: out of memory\n");
            return 1;
        }
    print_first(&map, (size_t)limit);
    return 0;
}
