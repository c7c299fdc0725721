#include "server/observe.h"

static const uint64_t patience_ns = 2 * (uint64_t)NS_PER_SEC;

static void render(env_task *t) {
  observer *o = CONTAINER_OF(t, observer, task);
  uv_mutex_lock(&o->mutex);
  buf_clear(&o->text);
  o->render(o->arg, &o->text);
  o->asked = false;
  o->ready = true;
  uv_cond_broadcast(&o->changed);
  uv_mutex_unlock(&o->mutex);
}

void observer_init(observer *o, env_uv *on, void (*fn)(void *arg, buf *out), void *arg) {
  *o = (observer){.env = on, .render = fn, .arg = arg, .task = {.run = render}};
  ASSERT(uv_mutex_init(&o->mutex) == 0);
  ASSERT(uv_cond_init(&o->changed) == 0);
}

bool observer_ask(observer *o, buf *out) {
  int64_t until = (int64_t)(uv_hrtime() + patience_ns), left = (int64_t)patience_ns;
  uv_mutex_lock(&o->mutex);
  o->ready = false;
  if (!o->asked && !o->closed) {
    o->asked = true;
    o->env->env.post(&o->env->env, &o->task);
  }
  while (!o->ready && !o->closed && left > 0) {
    uv_cond_timedwait(&o->changed, &o->mutex, (uint64_t)left);
    left = until - (int64_t)uv_hrtime();
  }
  bool got = o->ready;
  if (got) buf_add(out, buf_span(&o->text));
  uv_mutex_unlock(&o->mutex);
  return got;
}

void observer_close(observer *o) {
  uv_mutex_lock(&o->mutex);
  o->closed = true;
  uv_cond_broadcast(&o->changed);
  uv_mutex_unlock(&o->mutex);
}

void observer_release(observer *o) {
  uv_cond_destroy(&o->changed);
  uv_mutex_destroy(&o->mutex);
  buf_release(&o->text);
}
