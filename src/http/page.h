/* page.h - the one web page of a development server: what this is and where the API listens. */
#ifndef PERDURE_HTTP_PAGE_H
#define PERDURE_HTTP_PAGE_H

#include "base/buf.h"

typedef struct page_facts {
  const char *version;
  const char *ip; /* of the gRPC API */
  int port;
  const char *database; /* NULL: a private file */
} page_facts;

void page_render(const page_facts *f, buf *out);

#endif
