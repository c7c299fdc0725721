/* json_lex.h - inside the codec: reads JSON text value by value. Every function returns false with
 * in->problem set when the text is not what it asks for. */
#ifndef PERDURE_PROTO_JSON_LEX_H
#define PERDURE_PROTO_JSON_LEX_H

#include "base/arena.h"

enum { JSON_MAX_DEPTH = 200 }; /* of a value that is skipped; messages have their own limit */

typedef struct json_in {
  const uint8_t *start, *p, *end;
  arena *a;
  const char *problem;
} json_in;

bool json_fail(json_in *in, const char *problem);
/* The first byte of the next value or sign, 0 at the end. */
uint8_t json_peek(json_in *in);
bool json_accept(json_in *in, char sign);
bool json_expect(json_in *in, char sign);
/* "null", "true", "false". */
bool json_accept_word(json_in *in, const char *word);
/* Unescaped; borrowed from the text if nothing was escaped. */
bool json_string(json_in *in, span *ret);
/* The characters of a number. */
bool json_number(json_in *in, span *ret);
bool json_skip(json_in *in);
/* Walks an object or array: false ends it, with in->problem set or not. Start with *n == 0. */
bool json_next_member(json_in *in, size_t *n, span *ret_name);
bool json_next_element(json_in *in, size_t *n);

#endif
