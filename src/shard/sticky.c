/* sticky.c - names of sticky queues whose workers are gone.
 *
 * A worker takes a sticky queue with a name of its own, and another one when it starts again, so
 * the rows of these names would pile up for ever. Once a minute some are looked at: a name leaves
 * the disk when its queue was not polled for five minutes (at once after ShutdownWorker, and after
 * a restart), nothing waits in it, here or on disk, and no row on its way to the disk is about to.
 * What a crash prevents is done after the restart.
 */
#include "shard/shard_int.h"

enum { LOOK_AT = 256 };
static const int64_t look_every_ns = 60 * NS_PER_SEC, silence_ns = MATCH_POLLER_MEMORY_NS;

void sticky_init(shard *s) {
  list_init(&s->sticky);
  s->sticky_ns = INT64_MAX;
}

static void look_later(shard *s) {
  s->sticky_ns = now_ns(s) + look_every_ns;
  want_wake(s, s->sticky_ns);
}

void sticky_watch(shard *s, queue_name *q) {
  if (!q->sticky) return;
  list_push_back(&s->sticky, &q->node);
  if (s->n_sticky++ == 0) look_later(s);
}

void sticky_unwatch(shard *s, queue_name *q) {
  if (!q->sticky) return;
  list_remove(&q->node);
  s->n_sticky--;
}

static bool is_dead(shard *s, const queue_name *q) {
  match_queue *mq = queue_of_key(s, q->key);
  if (match_polled_within(mq, now_ns(s), silence_ns)) return false;
  match_retry_load(&s->matching, mq); /* if it is not known what waits on disk */
  return !match_in_use(mq) && !queue_is_staged(s, q->key);
}

static void name_deleted(shard *s, step *t, const err *e) {
  const int64_t *key = t->owner;
  queue_name *q = e ? queue_by_key(s, *key) : NULL;
  if (q) queue_stored(s, q);
}

static void delete_name(shard *s, queue_name *q) {
  step *t = step_new(s);
  int64_t *key = arena_new(&t->arena, int64_t);
  *key = q->key;
  t->owner = key;
  t->named_done = name_deleted;
  queue_delete_name(s, q, t);
  step_unref(t);
}

void sticky_wake(shard *s, int64_t now) {
  if (now < s->sticky_ns) {
    want_wake(s, s->sticky_ns);
    return;
  }
  for (size_t n = MIN(s->n_sticky, (size_t)LOOK_AT); n > 0; n--) {
    queue_name *q = CONTAINER_OF(list_first(&s->sticky), queue_name, node);
    if (is_dead(s, q)) {
      delete_name(s, q);
    } else {
      list_remove(&q->node);
      list_push_back(&s->sticky, &q->node);
    }
  }
  s->sticky_ns = INT64_MAX;
  if (s->n_sticky) look_later(s);
}
