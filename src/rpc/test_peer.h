/* test_peer.h - one end of an HTTP/2 connection to a server without sockets, for tests: frames are
 * written by hand, so that they can be what honest clients never send. The clock stands still
 * unless a test moves it. */
#ifndef PERDURE_RPC_TEST_PEER_H
#define PERDURE_RPC_TEST_PEER_H

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/test.h"
#include "rpc/core.h"

enum { DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

/* Of the service t.S: Echo, Large (100,000 bytes of answer), Poll (waits; a long poll), Wait
 * (waits, no long poll), Start (echo; shed first). Reset by peer_core_new. */
extern size_t peer_handled, peer_gone, peer_parked;
extern rpc_call *peer_last_parked;
extern int64_t peer_now_ns;

/* A connection and what it has answered. */
typedef struct peer {
  rpc_core *core;
  rpc_conn *conn;
  buf out; /* to be fed */
  nghttp2_hd_inflater *hpack;
  bool open;
  int status[64], rst[64]; /* by stream id, -1: none */
  char message[300];       /* the last grpc-message */
  char http_status[8];
  int goaway;
  size_t data_bytes, acks;
} peer;

/* limits NULL: the default. */
rpc_core *peer_core_new(const rpc_limits *limits);
void peer_core_free(rpc_core *core);

peer *peer_new(rpc_core *core);
void peer_free(peer *p);

/* Appends a frame to p->out. */
void peer_frame(peer *p, int type, int flags, uint32_t stream, span payload);
/* Feeds what was written and reads the answers. */
void peer_flush(peer *p);

/* A header as an HPACK literal that enters no table. */
void peer_header(buf *b, const char *name, const char *value);
/* The four headers with a colon. */
void peer_start_headers(buf *b, const char *method, const char *path);
/* HEADERS of a good call, plus one header more if `name` is set. */
void peer_open_with(peer *p, uint32_t stream, const char *path, int flags, const char *name,
                    const char *value);
void peer_open(peer *p, uint32_t stream, const char *path);
extern const span peer_hello; /* a framed message */
/* A good call with peer_hello. */
void peer_call(peer *p, uint32_t stream, const char *path);
/* A call on this stream is answered as it should be. */
void peer_works(peer *p, uint32_t stream);

#endif
