/* row_code.h - rows in one piece of memory, as the commit log keeps them. */
#ifndef PERDURE_STORE_ROW_CODE_H
#define PERDURE_STORE_ROW_CODE_H

#include "base/buf.h"
#include "store/store.h"

void row_encode(const store_row *r, buf *to);
/* The row at *at, which is moved behind it; everything it refers to is in the arena, blobs too:
 * those have no references to take or drop. false: there is none, or it is damaged. */
bool row_decode(span in, size_t *at, arena *a, store_row *ret_row);

#endif
