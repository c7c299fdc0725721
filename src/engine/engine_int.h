/* engine_int.h - the inside of the engine: the run, its items, and the transaction of one step.
 *
 * What is kept is what is stored: `state` and each item's `msg` are decoded from exactly the bytes
 * of their row. A step works on copies: tx_begin saves `state`, item_edit copies an item, tx_event
 * collects events. Then either tx_finish encodes the copies into rows and decodes them back, or
 * tx_rollback forgets them.
 *
 *   RunState, items  --copy-->  edits (step arena)  --encode-->  rows  --decode-->  RunState, items
 */
#ifndef PERDURE_ENGINE_ENGINE_INT_H
#define PERDURE_ENGINE_ENGINE_INT_H

#include "base/hash.h"
#include "base/heap.h"
#include "base/hmap.h"
#include "base/list.h"
#include "base/uuid.h"
#include "engine/engine.h"
#include "proto/pb_time.h"
#include "schedule/cron.h"
#include "visibility/attribute.h"

/* Item ids: up to ITEM_FIRST_BUFFERED they are event ids. */
enum {
  ITEM_FIRST_BUFFERED = 1 << 18,
  ITEM_FIRST_SIGNAL_REQUEST = 1 << 19,
  ITEM_FIRST_CALLBACK = 3 << 18
};

typedef struct engine_item {
  hmap_node by_id, by_name; /* by_name: activity id, timer id or signal request id, per kind */
  heap_node due_node;
  list_node buffered; /* ITEM_KIND_BUFFERED: order of arrival */
  int64_t id;
  int32_t kind; /* pb_store_ItemKind */
  int64_t due_ns;
  store_queued queued;
  arena arena;          /* holds msg */
  bytes *blob;          /* msg points into it */
  size_t counted_bytes; /* in engine_run.detail_bytes */
  void *msg;            /* kept version; NULL while the item is new */

  /* In a step that touched the item: */
  void *edit; /* changed copy, in the step's arena */
  bool touched, deleted;
  int64_t saved_due_ns;
  store_queued saved_queued;
  struct engine_item *next_touched;
} engine_item;

typedef struct tx_event_node {
  pb_HistoryEvent *event;
  struct tx_event_node *next;
} tx_event_node;

typedef struct tx_events {
  tx_event_node *first, *last;
  size_t n;
} tx_events;

/* The earlier of two times, 0 being none. */
static inline int64_t earlier_ns(int64_t a, int64_t b) {
  if (!a || !b) return a ? a : b;
  return MIN(a, b);
}

/* What of the pending workflow task only memory knows: lost in a crash, written before anything
 * else is. */
typedef enum wft_unwritten {
  WFT_WRITTEN,         /* nothing (or what is never written: the events of a transient task) */
  WFT_START_UNWRITTEN, /* that it was handed out */
  WFT_ALL_UNWRITTEN    /* everything: the task is speculative */
} wft_unwritten;

/* One step under way. */
typedef struct tx {
  engine_step *st;
  arena *arena;
  int64_t now_ns;
  pb_store_RunState saved;
  engine_item *touched;
  tx_events events;   /* have their ids */
  tx_events buffered; /* wait for tx_flush_buffer or become items */
  store_queued saved_queued;
  wft_unwritten saved_unwritten;
  int64_t first_event_id;
  size_t first_task, first_row, first_update; /* of this transaction, in the step */
  bool active;
  bool
      by_reset; /* the run ends, and another one begins in its place: its children are that one's */
} tx;

struct engine_run {
  int64_t run, ns;
  arena info_arena, state_arena;
  bytes *info_blob, *state_blob;
  pb_store_RunInfo *info;
  pb_store_RunState state;
  hash_key name_key;
  hmap by_id, by_name;
  heap due;      /* items only; run_due_ns has the run's own */
  list buffered; /* BUFFERED items, oldest first */
  int64_t activities, timers, updates_known, callbacks, memory_bytes;
  struct {
    int64_t n, children, signals, cancels; /* n: items of all kinds that message.h tells of */
  } outside;
  size_t detail_bytes;     /* of heartbeat details */
  store_queued wft_queued; /* of the run row: the pending, not started workflow task */
  bool inserted;           /* the run row is written or staged */
  wft_unwritten unwritten; /* of the workflow task */
  bool from_sticky;        /* the task that only memory knows was taken from the sticky queue */
  arena start_arena;       /* strings of a start that is not written */
  list updates;            /* run_update, in the order of admission: update.h */
  size_t update_bytes;     /* of their requests */
  int64_t expected_run;    /* for the first commit */
  tx tx;
};

/* --- tx.c: transactions and items --- */

void tx_begin(engine_run *run, engine_step *st);
/* Every change since tx_begin is forgotten; the transaction goes on, empty. */
void tx_rollback(engine_run *run);
/* Ends the transaction: nothing changed. */
void tx_abandon(engine_run *run);
/* Ends the transaction: encodes what changed into st->rows. */
void tx_finish(engine_run *run);
/* Ends a transaction that changed only what is not stored yet (the start of a task). */
void tx_end_unwritten(engine_run *run);

/* Sets `state` to what its row says. */
void run_recall_state(engine_run *run);
engine_run *run_new(int64_t run, int64_t ns);
/* Whether what every reader relies on is there. */
bool info_is_whole(const pb_store_RunInfo *info);
/* A new item and its editable message of the kind's type. `name` may be SPAN_NONE. */
void *item_new(engine_run *run, int64_t id, int32_t kind, span name);
engine_item *item_by_id(const engine_run *run, int64_t id, int32_t kind);
engine_item *item_by_name(const engine_run *run, int32_t kind, span name);
/* The item's message, to read: the step's version if there is one. */
const void *item_msg(const engine_item *it);
/* The same, to change: strings of the kept version stay valid until tx_finish. */
void *item_edit(engine_run *run, engine_item *it);
void item_set_due(engine_run *run, engine_item *it, int64_t due_ns, store_queued queued);
void item_delete(engine_run *run, engine_item *it);
const pb_desc *item_desc(int32_t kind);
/* Items of a kind by id, in the arena; deleted ones are left out. */
engine_item **items_sorted(const engine_run *run, int32_t kind, arena *a, size_t *ret_n);

bool run_is_open(const engine_run *run);
/* Key of the namespace that clients know: a schedule is kept in another one. */
int64_t run_namespace(const engine_run *run);
/* Earliest deadline of the run row itself: task timeout, first backoff, run timeout; of a closed
 * run its deletion. 0: none. */
int64_t run_due_ns(const engine_run *run);

/* --- history.c: events --- */

/* The original numbers tasks per shard from 2^20; clients only see that it grows. */
static inline int64_t history_task_id(int64_t event_id) { return (1 << 20) + event_id; }
/* A new event with its time and type, in no list yet. `which` is the attributes' field number. */
pb_HistoryEvent *event_new(tx *t, int32_t type, uint32_t which);
/* Gives the event the next id. */
void tx_append(engine_run *run, pb_HistoryEvent *ev);
/* The event waits while a workflow task is in flight, and is sorted in when the buffer is flushed.
 */
void tx_buffer(engine_run *run, pb_HistoryEvent *ev);
bool run_has_buffered(const engine_run *run);
/* Events of earlier steps wait, which the worker cannot know of. */
bool run_has_unseen(const engine_run *run);
void tx_flush_buffer(engine_run *run);
/* Drops what is buffered, here and in items: the run closes. */
void tx_drop_buffer(engine_run *run);
/* At the end of a step: flush if no task is in flight, else keep as items. */
void tx_settle_buffer(engine_run *run);
/* Of the row that tx_write_events would add now. */
size_t tx_events_bytes(const engine_run *run);
/* Encodes the step's events, adds the row and counts them. */
void tx_write_events(engine_run *run);
/* Takes a TimerFired event of this timer back out of the buffer. */
bool tx_unbuffer_timer(engine_run *run, int64_t started_event_id);

/* EVENT(t, ev, attrs, TYPE, field, Message): declares `ev` and its attributes `attrs`. */
#define EVENT(t, ev, attrs, TYPE, field, Message)                                              \
  pb_HistoryEvent *ev = event_new((t), PB_EVENT_TYPE_##TYPE, PB_HistoryEvent_##field##_FIELD); \
  pb_##Message *attrs = ev->field = pb_new((t)->arena, Message)

/* Field by field: a copy need not keep the bytes between them. */
static inline bool same_place(const store_queued *x, const store_queued *y) {
  return x->queue == y->queue && x->priority == y->priority && x->seq == y->seq;
}

/* --- refuse.c: errors with the detail that clients look for --- */

err *engine_not_found(arena *a, const char *what);
err *wft_not_found(arena *a);
err *run_closed_error(arena *a);
/* The last completion wanted to close the run: messages must not keep it from ever closing. */
err *run_closing_error(arena *a);
err *too_many_at_once_error(arena *a, const char *what);
err *not_ready_error(arena *a, const char *what);

/* --- effects --- */

store_row *step_row(engine_step *st);
void step_task(engine_step *st, engine_task task);
void step_message(engine_step *st, int64_t id);
engine_update *step_update(engine_step *st);

/* --- wft.c: the workflow task --- */

/* Makes sure that a workflow task is pending: a no-op if one is, or while the first backoff runs
 * and `despite_backoff` is false. */
void wft_schedule(engine_run *run, bool despite_backoff);
/* Between transactions: makes a speculative task for updates that wait, unless a task is pending.
 */
void wft_speculate(engine_run *run, engine_step *st);
/* After a message from outside: buffer settled, a task pending. */
void wft_wake(engine_run *run);
/* The deadline has passed, of this type when it was asked for. */
void wft_fire(engine_run *run, int32_t timeout_type);
/* WorkflowTaskFailed (or not, when transient), next task pending. */
void wft_failed(engine_run *run, int32_t cause, const pb_Failure *failure, span identity,
                span binary_checksum);
/* Too much is buffered: the task in flight fails and what waits is written before the next one. */
void wft_failed_full(engine_run *run);
/* Writes the events of a transient task before its outcome is written. */
void wft_write_transient(engine_run *run);
/* As wft_failed, but no task follows: the run ends. */
void wft_fail_last(engine_run *run, int32_t cause, const pb_Failure *failure, span identity);
/* complete.c: what follows from WorkflowTaskCompleted. */
void wft_note_completed(engine_run *run, const pb_HistoryEvent *completed);
/* A workflow task kept alive by heartbeats for too long: timed out, and the worker's answer. */
err *wft_heartbeat_over(engine_run *run);
void wft_clear(engine_run *run);
void wft_clear_sticky(engine_run *run);
/* Its events are shown to SDKs and not in history: a later attempt, or a speculative task. */
bool wft_is_transient(const engine_run *run);
bool wft_is_speculative(const engine_run *run);
/* When the task in its present phase has waited too long, 0: never; and the TimeoutType of that. */
int64_t wft_deadline_ns(const engine_run *run, int32_t *ret_type);
/* Queue of the normal or sticky kind for the pending task. */
store_queued wft_place(engine_run *run, bool sticky);
/* What a started task says of the worker; NULL when the poller names no build. In the arena. */
pb_WorkerVersionStamp *poller_version(arena *a, const pb_WorkerVersionCapabilities *c);
/* The request id of a task that its predecessor's answer brings. */
#define HANDED_BACK SPAN("request-from-RespondWorkflowTaskCompleted")
void wft_start_now(engine_run *run, const engine_poller *p, int64_t now_ns);
/* After a crash forgot the start that this valid token speaks of: starts the task as it was. */
void wft_adopt(engine_run *run, const engine_token *token, span identity);
/* Writes what memory alone knows of the task: a speculative one becomes normal. Every step that
 * writes anything else calls it first. */
void wft_settle(engine_run *run);
/* The same where the run ends: a speculative task that nobody took is forgotten. */
void wft_settle_last(engine_run *run);
/* A speculative task that left no trace is over: the state is again as its row says. */
void wft_drop_speculative(engine_run *run);
void wft_fill(engine_run *run, arena *a, bool sticky, engine_wft *ret);

/* --- close.c --- */

/* Appends a close event made by the caller and closes the run. */
void run_close(engine_run *run, int32_t status, pb_HistoryEvent *close_event);
/* The run is closed, to be kept as long as its namespace says. */
void run_end(engine_run *run, int32_t status);
void run_timed_out(engine_run *run);
/* A run that must end because a limit is passed: Terminated by the server. */
void run_force_terminate(engine_run *run, span reason, span details);

/* The rows of a closed run go with this step. */
void run_delete(engine_run *run, engine_step *st);

/* Ends a run whose history or state has outgrown the limits. After every step that lets them grow.
 */
void run_check_limits(engine_run *run, engine_step *st);

/* --- message.c, child.c, external.c: see message.h --- */

/* Items of this kind tell other runs something while they have a due time. */
bool item_tells(int32_t item_kind);
/* Whether an item has something to tell. */
bool run_has_messages(const engine_run *run);
/* Whether what every reader relies on is there. */
bool outside_is_whole(int32_t item_kind, const void *msg);
/* A buffered event was written and has its id. */
void child_note_written(engine_run *run, const pb_HistoryEvent *ev);
/* The run ends: what becomes of its children, what is not sent any more, what its parent hears. */
void children_close(engine_run *run);
void externals_close(engine_run *run);
void child_result_keep(engine_run *run, pb_HistoryEvent *close);

/* --- marker.c: changes of what a run was started with --- */

void merge_search_attributes(engine_run *run, const pb_SearchAttributes *changes);
void merge_memo(engine_run *run, const pb_Memo *changes);

/* --- callback.c: whom the end of the chain is told --- */

/* FAILED_PRECONDITION: with so many more there would be too many. */
MUST_USE err *callbacks_fit(const engine_run *run, const engine_limits *l, size_t n_more, arena *a);
void callbacks_add(engine_run *run, const pb_list_Callback *callbacks, int64_t registered_ns);
/* Those that wait for the end; nobody took them over. */
pb_list_Callback callbacks_standing_by(const engine_run *run, arena *a);
/* The run ends with this event. */
void callbacks_close(engine_run *run, const pb_HistoryEvent *close);
void callbacks_describe(const engine_run *run, pb_DescribeWorkflowExecutionResponse *r, arena *a);

/* --- attach.c --- */

/* An update that is accepted was asked for again, with callbacks of its own: the event that says
 * so; NULL when that is known already. */
pb_HistoryEvent *attach_to_update(engine_run *run, const pb_update_Request *request);

/* A buffered event was written and has its id. */
void attach_note_written(engine_run *run, const pb_HistoryEvent *ev);
/* Of an event that another run, or this one before it was replayed, has written. */
void attach_again(engine_run *run, const pb_HistoryEvent *ev);

/* --- reset_points.c --- */

/* This build of the worker has completed a task. */
void reset_point_note(engine_run *run, int64_t completed_id, span checksum, span build_id);
/* Of the chain up to this run. */
pb_ResetPoints *reset_points_all(const engine_run *run, arena *a);

/* --- run_attributes.c --- */

/* What was set and upserted, and what is known of builds, problems and pauses. */
pb_SearchAttributes *search_attributes_all(const engine_run *run, arena *a);
/* What this transaction changes of the attributes that lists see. */
store_attributes_change seen_attributes_change(const engine_run *run);
/* Sets the attributes and the division of the record. */
void seen_attributes(const engine_run *run, const pb_store_Namespace *ns, store_visible *v);

/* --- failing.c: what lists show of failures --- */

/* Before a transaction ends: brings up to date what the open run shows. */
void failing_settle(engine_run *run);
/* The run ends with this event. */
void failing_closed(engine_run *run, int32_t status, const pb_HistoryEvent *close);
/* Whether a run in this state shows anything; whether two states show something else. */
bool failing_shown(const pb_store_RunState *s);
bool failing_changed(const pb_store_RunState *before, const pb_store_RunState *now);
/* Writes up to FAILING_ATTRIBUTES; how many. */
enum { FAILING_ATTRIBUTES = 4 };
size_t failing_attributes(const engine_run *run, arena *a, store_attribute *out);

/* --- visible.c --- */

/* Never NULL. */
const pb_store_Namespace *step_namespace(const engine_run *run, const engine_step *st);
/* Whether this transaction changes what lists see of a run that is there. */
bool visible_changed(const engine_run *run);
/* Adds the row; what it points to are the run's rows of this step. */
void visible_write(engine_run *run, bool first, store_attributes_change change);

/* --- start.c --- */

/* Encodes the info and decodes it back: what is in memory is what is stored. */
void run_keep_info(engine_run *run, arena *a, const pb_store_RunInfo *info);

/* What event 1 says, and what it does not. */
typedef struct first_event {
  pb_HistoryEvent *event;
  pb_WorkflowExecutionStartedEventAttributes *attrs;
  span request_id;
  int64_t run_timeout_ns, task_timeout_ns, execution_deadline_ns, backoff_ns, first_start_ns;
  const pb_WorkflowExecution *schedule;
} first_event;

/* Info and first state of a run that starts now. */
void run_begin(engine_run *run, span ns_name, const first_event *f, span workflow_id, span run_id);

/* The run that follows this one (continue-as-new, retry) in the same transaction. */
typedef struct follow_args {
  int32_t initiator;
  int32_t attempt;
  int64_t backoff_ns;
  const pb_Duration *shown_backoff; /* as event 1 says it */
  span workflow_type, input, last_completion_result;
  pb_TaskQueue *task_queue;
  int64_t run_timeout_ns, task_timeout_ns;
  const pb_Header *header;
  const pb_Memo *memo;
  const pb_SearchAttributes *search_attributes;
  const pb_RetryPolicy *retry_policy;
  const pb_Failure *continued_failure;
  span cron_schedule;
  span run_id;
  int64_t run;
} follow_args;

void start_follower(engine_run *run, const follow_args *args);

/* How long a run with this cron schedule waits whose predecessor was due at `scheduled_ns`;
 * CRON_NEVER: there is no schedule, or no time that it names. */
int64_t start_cron_backoff_ns(engine_step *st, span cron_schedule, int64_t scheduled_ns);

/* --- backoff.c --- */

typedef struct retry_choice {
  int32_t retry_state; /* pb RetryState; IN_PROGRESS: retry after delay_ns */
  int64_t delay_ns;
} retry_choice;

typedef struct retry_question {
  const pb_RetryPolicy *policy; /* NULL: RETRY_POLICY_NOT_SET */
  int32_t attempt;              /* that just ended, from 1 */
  const pb_Failure *failure;
  int64_t now_ns, deadline_ns; /* deadline 0: none */
  bool delay_is_capped;        /* workflows: next_retry_delay is capped by the maximum interval */
} retry_question;

retry_choice retry_decide(const retry_question *q);
/* Interval after this attempt by the policy alone; saturates. */
int64_t retry_interval_ns(const pb_RetryPolicy *policy, int32_t attempt);
bool failure_is_retryable(const pb_Failure *f, const pb_RetryPolicy *policy);

/* --- run_options.c --- */

/* As started, or as changed since; may be NULL. */
const pb_Priority *run_priority(const engine_run *run);
/* An event of changed options was written, or is read again. */
void options_note_written(engine_run *run,
                          const pb_WorkflowExecutionOptionsUpdatedEventAttributes *attrs);
/* In a step of a run that begins: what the mask names is taken over, with an event if that changes
 * something. */
void options_set(engine_run *run, const pb_WorkflowExecutionOptions *from,
                 const pb_FieldMask *mask);

/* --- priority.c --- */

enum { FAIRNESS_KEY_LIMIT_BYTES = 64 };
/* Why a priority is not valid, or NULL. */
const char *priority_problem(const pb_Priority *p);
/* The place of its tasks: 1 goes first, 5 last. */
int32_t priority_level(const pb_Priority *p);
/* What an activity or a child says of itself, and for the rest what its workflow says; each may be
 * NULL. */
const pb_Priority *priority_inherited(const pb_Priority *own, const pb_Priority *of_parent,
                                      arena *a);

/* --- activity.c, timer.c, signal.c --- */

/* A run that takes the place of another one knows what other runs sent to that one, the newest 64
 * messages. */
void requests_inherit(engine_run *run, const engine_run *before);
/* Signals a run that has just started (signal-with-start). */
void signal_append(engine_run *run, const pb_SignalWithStartWorkflowExecutionRequest *r);

/* True: the activity ended. */
bool activity_fire(engine_run *run, engine_item *it);
void timer_fire(engine_run *run, engine_item *it);
/* The timer of a TimerStarted event. */
void timer_add(engine_run *run, const pb_HistoryEvent *started);
void activity_ready_task(engine_run *run, engine_item *it, engine_step *st);

/* --- failure.c --- */

/* Readers of protocol buffers stop at 100 levels: a chain deeper than FAILURE_DEPTH keeps its
 * outermost and innermost halves, joined by a failure that says how many were left out. */
enum { FAILURE_DEPTH = 64 };
pb_Failure *failure_fit_depth(const pb_Failure *f, arena *a);
/* A failure over the size limit becomes a ServerFailure that says so and keeps what fits. */
pb_Failure *failure_fit_bytes(const pb_Failure *f, size_t limit, arena *a);
/* "Application", "Timeout", "Activity", ...; *ret_type (may be NULL): what it is of that kind, or
 * empty. */
span failure_kind(const pb_Failure *f, span *ret_type);
pb_Failure *failure_server(arena *a, span message, bool non_retryable);
/* Not retryable, made by the server. */
pb_Failure *failure_application(arena *a, span message, span type);
pb_Failure *failure_timeout(arena *a, int32_t type, span message, const pb_Failure *cause,
                            span last_heartbeat_details);

/* --- ledger.c --- */

typedef struct ledger_entry {
  int64_t ended_time, next_delay;
  span worker_identity;
  const pb_Failure *failure;
  int32_t retry_state;
} ledger_entry;

/* Adds the attempt that just ended to the rows of the step. */
void ledger_add(engine_run *run, engine_item *it, const ledger_entry *entry);

#endif
