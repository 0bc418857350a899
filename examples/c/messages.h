/* What the nodes tell each other, as the features of ledger entries:
 *
 *   {"kind":"signature","distance":81.3,"values":[50,21,77,0,28,0,27,48,22]}   this looks anomalous
 *   {"kind":"done","step":3}                      all that I found up to the end of this step is
 * above
 *   {"kind":"votes","step":3,"confirm":[812,815],"reject":[813]}               on the ids of
 * signatures
 *
 * The ledger keeps features as they were written, but for spaces: so the kind can be told from how
 * they begin, and no JSON library is needed. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "readings.h"

/* Readings of all nodes together in a step of the simulation, one a second. */
#define STEP_READINGS 1024

/* Room for the ids of as many signatures as a step can have, each with a comma. */
#define TEXT_BYTES (STEP_READINGS * 21 + 128)

struct text {
    size_t len;
    char bytes[TEXT_BYTES];
};

static inline void text_add(struct text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(text->bytes + text->len, TEXT_BYTES - text->len, format, arguments);
    va_end(arguments);
    if (added < 0 || (size_t)added >= TEXT_BYTES - text->len)
        abort(); /* TEXT_BYTES is wrong */
    text->len += (size_t)added;
}

static inline void text_clear(struct text *text) {
    text->len = 0;
    text->bytes[0] = '\0';
}

static inline void write_signature(struct text *text, const double *features, double distance) {
    text_clear(text);
    text_add(text, "{\"kind\":\"signature\",\"distance\":%.4g,\"values\":[", distance);
    for (int i = 0; i < FEATURES; i++)
        text_add(text, "%s%.17g", i ? "," : "", features[i]);
    text_add(text, "]}");
}

static inline void write_done(struct text *text, long step) {
    text_clear(text);
    text_add(text, "{\"kind\":\"done\",\"step\":%ld}", step);
}

/* A list of ids so far: its numbers and commas, without the brackets. */
static inline void add_id(struct text *list, int64_t id) {
    text_add(list, "%s%lld", list->len ? "," : "", (long long)id);
}

static inline void write_votes(struct text *text, long step, const struct text *confirm,
                               const struct text *reject) {
    text_clear(text);
    text_add(text, "{\"kind\":\"votes\",\"step\":%ld,\"confirm\":[%s],\"reject\":[%s]}", step,
             confirm->bytes, reject->bytes);
}

static inline bool is_kind(const char *features, const char *kind) {
    static const char before[] = "{\"kind\":\"";
    size_t len = strlen(kind);
    return strncmp(features, before, sizeof before - 1) == 0 &&
           strncmp(features + sizeof before - 1, kind, len) == 0 &&
           features[sizeof before - 1 + len] == '"';
}

/* Reads the numbers of the list with this name, at most `max`; how many there were. */
static inline int read_list(const char *features, const char *name, double *numbers, int max) {
    char key[32];
    snprintf(key, sizeof key, "\"%s\":[", name);
    const char *at = strstr(features, key);
    if (!at)
        return 0;
    at += strlen(key);
    int count = 0;
    while (count < max) {
        char *end = NULL;
        double number = strtod(at, &end);
        if (end == at)
            break;
        numbers[count++] = number;
        at = end + (*end == ',');
    }
    return count;
}

#endif
