/* h2_options.h - how we set up libnghttp2, server and client alike. Internal to rpc/. */
#ifndef PERDURE_RPC_H2_OPTIONS_H
#define PERDURE_RPC_H2_OPTIONS_H

#include <nghttp2/nghttp2.h>

/* Routes the library's memory through base/mem.h, so that it is counted. */
nghttp2_mem *h2_mem(void);

/* Both are deleted by the caller. */
nghttp2_option *h2_server_options(void);
nghttp2_option *h2_client_options(void);
nghttp2_session_callbacks *h2_server_callbacks(void); /* h2_session.c */

/* A header of static text: neither copied by the library. */
#define H2_NV(key, text)                                                                          \
  ((nghttp2_nv){(uint8_t *)(uintptr_t)("" key), (uint8_t *)(uintptr_t)("" text), sizeof(key) - 1, \
                sizeof(text) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE})
/* A static name with bytes (anything with .p and .n) that the library copies at once. */
#define H2_NV_COPY(key, bytes)                                                                    \
  ((nghttp2_nv){(uint8_t *)(uintptr_t)("" key), (uint8_t *)(uintptr_t)(bytes).p, sizeof(key) - 1, \
                (bytes).n, NGHTTP2_NV_FLAG_NO_COPY_NAME})

#endif
