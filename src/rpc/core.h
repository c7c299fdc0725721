/* core.h - what one server's connections share, without sockets: method table, limits, deadlines,
 * figures, scratch memory. Internal to rpc/.
 *
 * The HTTP/2 side (h2_session.c) turns bytes into calls and answers into bytes; the driver
 * (h2_server.c, or a test, or a fuzzer) moves the bytes and tells the time. One thread.
 */
#ifndef PERDURE_RPC_CORE_H
#define PERDURE_RPC_CORE_H

#include <nghttp2/nghttp2.h>

#include "base/hash.h"
#include "base/heap.h"
#include "base/hmap.h"
#include "base/list.h"
#include "rpc/grpc_gzip.h"
#include "rpc/rpc.h"

typedef struct rpc_core rpc_core;
typedef struct rpc_conn rpc_conn;

/* One row of the method table with its figures. */
typedef struct rpc_entry {
  hmap_node node; /* by "/service/method" */
  span path;
  const rpc_service *service;
  const rpc_method *method;
  rpc_method_stats *stats;
} rpc_entry;

typedef struct rpc_header_line {
  struct rpc_header_line *next;
  span name, value;
} rpc_header_line;

/* What a call needs while it is worked on. Kept for the next call, since most calls need little and
 * the allocator would be busy with blocks of this size. */
typedef struct rpc_memory {
  arena arena;
  buf in;    /* the request's frame as it arrived */
  buf plain; /* the message inflated */
  buf out;   /* the answer's frame */
} rpc_memory;

enum { RPC_SPARE_MEMORIES = 64 };

typedef enum rpc_call_stage {
  CALL_RECEIVING, /* the request is not complete */
  CALL_OPEN,      /* the handler has it */
  CALL_SENDING,   /* answered, the client has not got all of it */
} rpc_call_stage;

struct rpc_call {
  rpc_core *core;
  rpc_conn *conn; /* NULL once the client has gone */
  list_node node; /* in the connection's list of its stage */
  heap_node by_deadline;
  const rpc_entry *entry;
  void *request;
  void (*on_gone)(rpc_call *c, void *arg);
  void *on_gone_arg;
  rpc_memory m;
  size_t out_sent;
  rpc_header_line *headers;
  size_t header_bytes;
  int64_t begin_ns, deadline_ns;
  int64_t stage_ns; /* when this stage began */
  size_t held_bytes;
  int32_t stream_id;
  uint8_t stage;
  uint8_t code;         /* answered with this status */
  uint16_t http_status; /* 200 also for errors, except where the request is no gRPC at all */
  bool end_of_request;  /* the client has sent END_STREAM */
  bool accepts_gzip;    /* said by grpc-accept-encoding */
};

/* A budget for frames that cost us work and carry none; see h2_session.c. */
typedef struct rpc_budget {
  int64_t tokens, filled_ns;
} rpc_budget;

struct rpc_conn {
  rpc_core *core;
  void *driver; /* whoever moves its bytes */
  nghttp2_session *h2;
  list_node node;       /* core.conns */
  list_node dirty_node; /* core.dirty */
  list calls[3];        /* by stage, oldest first */
  size_t n_calls, held_bytes;
  rpc_budget glitches, resets;
  int64_t opened_ns, last_read_ns, idle_since_ns, ping_ns;
  uint64_t requests;
  bool closing;        /* answers may still be sent, nothing is read any more */
  bool going_away;     /* the last GOAWAY is queued: closes when its calls have ended */
  bool wrong_protocol; /* the peer does not speak HTTP/2 */
};

struct rpc_core {
  rpc_limits limits;
  int64_t (*clock_ns)(void);
  const rpc_service *services;
  size_t n_services;
  hash_key path_key;
  hmap by_path;
  rpc_entry *entries; /* the last one stands for unknown methods */
  rpc_method_stats *method_stats;
  size_t n_entries;
  rpc_stats totals;
  heap deadlines;
  uint64_t next_tie;
  list conns, dirty;
  size_t n_conns, n_calls;
  rpc_memory spare[RPC_SPARE_MEMORIES];
  size_t n_spare;
  size_t held_bytes;
  grpc_gzip *gzip;
  buf scratch;
  rpc_call *dispatching;               /* whose handler is on the stack and has not answered yet */
  void (*on_no_calls)(rpc_core *core); /* the last call was freed; may be NULL */
  nghttp2_session_callbacks *callbacks;
  nghttp2_option *options;
};

void rpc_core_init(rpc_core *core, const rpc_limits *limits, const rpc_service *services,
                   size_t n_services, int64_t (*clock_ns)(void));
/* No connection and no unanswered call may be left. */
void rpc_core_release(rpc_core *core);
/* Ends calls whose deadline has passed. Returns when to call again, INT64_MAX: not needed. */
int64_t rpc_core_expire(rpc_core *core, int64_t now_ns);
/* Never NULL: an unknown path gets the entry whose method is NULL. */
const rpc_entry *rpc_core_find(const rpc_core *core, span path);
bool rpc_core_has_service(const rpc_core *core, span name);

/* --- h2_session.c: one connection --- */

rpc_conn *rpc_conn_new(rpc_core *core);
/* Reports every open call gone. */
void rpc_conn_free(rpc_conn *c);
/* Takes bytes from the peer; handlers run inside. False: the connection is beyond repair; send what
 * rpc_conn_pull still has and close. */
MUST_USE bool rpc_conn_feed(rpc_conn *c, span in);
/* Appends bytes for the peer until there are none or `most` is reached. */
void rpc_conn_pull(rpc_conn *c, size_t most, buf *out);
/* Nothing more will come or be taken: close when everything pulled is sent. */
bool rpc_conn_finished(const rpc_conn *c);
/* First step of an orderly end: tells the peer to open no more calls. */
void rpc_conn_announce_end(rpc_conn *c);
/* Second step, a moment later: calls after the last one seen are refused; the connection finishes
 * when its calls have ended. */
void rpc_conn_end(rpc_conn *c);
/* Time limits: silent peers, requests that never end, answers that are not taken, idleness. To be
 * called about once a second. False: close now. */
MUST_USE bool rpc_conn_check_time(rpc_conn *c, int64_t now_ns);
/* Puts the connection on core.dirty. */
void rpc_conn_mark_dirty(rpc_conn *c);
/* Queue an answer of a call: a message in call->out, or a status alone. */
void rpc_conn_send_message(rpc_conn *c, rpc_call *call, bool gzip);
void rpc_conn_send_status(rpc_conn *c, rpc_call *call, const err *e);
void rpc_conn_set_stage(rpc_conn *c, rpc_call *call, rpc_call_stage stage, int64_t now_ns);

/* --- call.c: one call --- */

void rpc_memory_release(rpc_memory *m);
rpc_call *rpc_call_new(rpc_core *core, rpc_conn *conn, int32_t stream_id);
void rpc_call_free(rpc_call *c);
/* One line of the request's headers. */
void rpc_call_header(rpc_call *c, span name, span value);
/* All headers are here: checks them, finds the method. Answers the call if they are wrong. */
void rpc_call_headers_done(rpc_call *c);
/* More of the request's body. When the message is complete, decodes it and runs the handler. */
void rpc_call_body(rpc_call *c, span part);
/* The client sends no more. */
void rpc_call_body_done(rpc_call *c);
/* The stream is closed or the deadline passed. Frees the call unless a handler owes an answer. */
void rpc_call_gone(rpc_call *c, err_code code);
/* Memory of the call changed: keeps the sums of connection and core. */
void rpc_call_account(rpc_call *c);

#endif
