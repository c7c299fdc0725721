/* mail.c - letters: what runs have to tell others, until it is answered. */
#include "shard/mail.h"

#include "base/log.h"

typedef struct letter {
  hmap_node node;
  heap_node due; /* waits to be sent once more */
  shard *s;
  shard_run *run; /* pinned */
  int64_t id;
  int tries;
  bool again, under_way;
  bool changed; /* the item may have something else to tell by now */
  arena arena;
  shard_op op;
  engine_message message;
} letter;

void mail_init(shard *s) {
  hmap_init(&s->letters);
  heap_init(&s->letters_due);
}

static uint64_t letter_hash(int64_t run, int64_t id) {
  return hash_u64((uint64_t)store_row_key(run, id));
}

static letter *letter_find(const shard *s, int64_t run, int64_t id) {
  for (hmap_node *n = hmap_first(&s->letters, letter_hash(run, id)); n; n = hmap_next(n)) {
    letter *l = CONTAINER_OF(n, letter, node);
    if (l->run->key == run && l->id == id) return l;
  }
  return NULL;
}

static letter *letter_new(shard *s, shard_run *run, int64_t id) {
  letter *l = mem_new(letter);
  l->s = s;
  l->run = run;
  l->id = id;
  run_pin(run);
  hmap_insert(&s->letters, &l->node, letter_hash(run->key, id));
  return l;
}

static void letter_free(letter *l) {
  shard *s = l->s;
  hmap_remove(&s->letters, &l->node);
  heap_remove(&s->letters_due, &l->due);
  run_unpin(s, l->run);
  arena_release(&l->arena);
  mem_free(l);
}

void mail_release(shard *s) {
  for (hmap_node *n = hmap_each(&s->letters, NULL), *next; n; n = next) {
    next = hmap_each(&s->letters, n);
    letter_free(CONTAINER_OF(n, letter, node));
  }
  hmap_release(&s->letters);
  heap_release(&s->letters_due);
}

/* --- answers --- */

typedef struct verdict {
  bool final;
  engine_answer answer;
} verdict;

static verdict verdict_of(engine_message_kind kind, const err *e) {
  bool is_request = kind == MESSAGE_SIGNAL || kind == MESSAGE_CANCEL;
  if (!e) return (verdict){true, ANSWER_DONE};
  switch (e->code) {
    case ERR_ALREADY_EXISTS:
      return (verdict){kind == MESSAGE_START_CHILD, ANSWER_ALREADY_EXISTS};
    case ERR_NOT_FOUND:
      /* Nobody is there to be closed, or to hear of a result. */
      return (verdict){kind != MESSAGE_START_CHILD, is_request ? ANSWER_NOT_FOUND : ANSWER_DONE};
    case ERR_INVALID_ARGUMENT:
      return (verdict){kind == MESSAGE_SIGNAL, ANSWER_SIGNAL_LIMIT};
    default:
      return (verdict){0};
  }
}

static void letter_send(letter *l);

static void send_later(letter *l, const err *e) {
  enum { MOST_DOUBLINGS = 9 }; /* about a minute */
  int64_t delay = (100 * NS_PER_MS) << MIN(l->tries, MOST_DOUBLINGS);
  int64_t when = now_ns(l->s) + delay;
  if (l->tries == MOST_DOUBLINGS) {
    LOG(WARN, "a message to another workflow cannot be delivered; trying on",
        LOG_SPAN("from", l->run->workflow_id), LOG_SPAN("to", l->message.to.workflow_id),
        LOG_S("error", e->what));
  }
  l->tries++;
  l->again = true;
  heap_insert(&l->s->letters_due, &l->due, when, (uint64_t)store_row_key(l->run->key, l->id));
  want_wake(l->s, when);
}

/* If the sender was dropped meanwhile it is read again, and tells again. */
static void take_answer(letter *l, engine_answer answer) {
  shard *s = l->s;
  if (l->run->phase != RUN_READY) return;
  step *t = step_new(s);
  engine_step *st = step_part_add(s, t, l->run);
  engine_message_answered(l->run->engine, st, l->id, l->message.kind, answer);
  err *e = step_stage(s, t);
  if (e) LOG(ERROR, "an answer from another workflow was lost", LOG_S("error", e->what));
  step_unref(t);
}

static void answered(shard_op *op, const err *e, const void *response) {
  letter *l = CONTAINER_OF(op, letter, op);
  verdict v = verdict_of(l->message.kind, e);
  (void)response;
  l->under_way = false;
  if (!v.final) {
    send_later(l, e);
    return;
  }
  take_answer(l, v.answer);
  if (l->changed) {
    l->again = true;
    letter_send(l);
  } else {
    letter_free(l);
  }
}

/* --- sending --- */

/* Last of all: the answer may come, and the letter go, before this returns. */
static void letter_send(letter *l) {
  shard *s = l->s;
  shard_run *run = l->run;
  l->changed = false;
  arena_reset(&l->arena);
  if (run->phase != RUN_READY || !engine_message_read(run->engine, l->id, &l->arena, &l->message)) {
    letter_free(l);
    return;
  }
  l->under_way = true;
  l->op = (shard_op){.arena = &l->arena,
                     .ns = l->message.ns,
                     .ns_name = arena_dup(&l->arena, engine_info(run->engine)->namespace_name),
                     .deadline_ns = INT64_MAX,
                     .done = answered};
  receive(s, &l->op, &l->message, l->again);
}

static void post(shard *s, shard_run *run, int64_t id, bool again) {
  letter *l = letter_find(s, run->key, id);
  if (!l) {
    l = letter_new(s, run, id);
    l->again = again;
    letter_send(l);
    return;
  }
  if (l->run != run) { /* it was dropped and read again */
    run_pin(run);
    run_unpin(s, l->run);
    l->run = run;
  }
  if (l->under_way) {
    l->changed = true;
    return;
  }
  heap_remove(&s->letters_due, &l->due);
  letter_send(l);
}

void mail_post(shard *s, shard_run *run, const engine_step *st) {
  for (size_t i = 0; i < st->n_messages && run->phase == RUN_READY; i++) {
    post(s, run, st->messages[i], false);
  }
}

void mail_again(shard *s, shard_run *run) {
  step *t = step_new(s);
  engine_step *st = step_part_add(s, t, run);
  engine_waiting_messages(run->engine, st);
  for (size_t i = 0; i < st->n_messages && run->phase == RUN_READY; i++) {
    post(s, run, st->messages[i], true);
  }
  step_unref(t);
}

void mail_wake(shard *s, int64_t now) {
  enum { SEND_A_TURN = 64 };
  for (int i = 0; i < SEND_A_TURN; i++) {
    heap_node *n = heap_min(&s->letters_due);
    if (!n || n->key > now) return;
    letter *l = CONTAINER_OF(n, letter, due);
    heap_remove(&s->letters_due, n);
    letter_send(l);
  }
}

int64_t mail_next_ns(const shard *s) {
  const heap_node *n = heap_min(&s->letters_due);
  return n ? n->key : INT64_MAX;
}
