#include "rpc/h2_options.h"

#include "base/mem.h"

enum {
  /* Cancelled long polls are normal, also thousands at once when a fleet of workers stops; what is
   * abuse is counted in h2_session.c. The library's own bucket only stops the absurd. */
  RESET_BURST = 200000,
  RESET_RATE = 20000,
  /* The library also counts a frame's head that arrives in pieces. */
  MAX_CONTINUATIONS = 32,
  MAX_OUTBOUND_ACKS = 1000,
  MAX_SETTINGS = 32,
  MAX_SEND_HEADER_BYTES = 128 * 1024,
};

static void *h2_malloc(size_t n, void *arg) { return mem_alloc(n); }
static void h2_free(void *p, void *arg) { mem_free(p); }
static void *h2_calloc(size_t n, size_t size, void *arg) { return mem_zalloc(n * size); }
static void *h2_realloc(void *p, size_t n, void *arg) { return mem_realloc(p, n); }

nghttp2_mem *h2_mem(void) {
  static nghttp2_mem mem = {NULL, h2_malloc, h2_free, h2_calloc, h2_realloc};
  return &mem;
}

static nghttp2_option *common_options(void) {
  nghttp2_option *o;
  if (nghttp2_option_new(&o) != 0) PANIC("out of memory");
  nghttp2_option_set_no_closed_streams(o, 1);
  nghttp2_option_set_max_continuations(o, MAX_CONTINUATIONS);
  nghttp2_option_set_max_outbound_ack(o, MAX_OUTBOUND_ACKS);
  nghttp2_option_set_max_settings(o, MAX_SETTINGS);
  nghttp2_option_set_max_send_header_block_length(o, MAX_SEND_HEADER_BYTES);
  return o;
}

nghttp2_option *h2_server_options(void) {
  nghttp2_option *o = common_options();
  nghttp2_option_set_stream_reset_rate_limit(o, RESET_BURST, RESET_RATE);
  return o;
}

nghttp2_option *h2_client_options(void) { return common_options(); }
