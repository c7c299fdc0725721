/* observe.h - hands figures that the loop's thread owns to the thread that serves HTTP: the request
 * is posted to the loop, which renders them, while the other thread waits. Costs nothing while
 * nobody asks. */
#ifndef PERDURE_SERVER_OBSERVE_H
#define PERDURE_SERVER_OBSERVE_H

#include <uv.h>

#include "base/buf.h"
#include "server/env_uv.h"

typedef struct observer {
  env_uv *env;
  void (*render)(void *arg, buf *out); /* on the loop's thread */
  void *arg;
  uv_mutex_t mutex;
  uv_cond_t changed;
  env_task task;
  buf text;
  bool asked, ready, closed;
} observer;

void observer_init(observer *o, env_uv *on, void (*render)(void *arg, buf *out), void *arg);
/* The other thread. False: the loop was too busy for two seconds, or ends. */
bool observer_ask(observer *o, buf *out);
/* The loop's thread; from now on observer_ask says false. */
void observer_close(observer *o);
/* When the other thread has ended. */
void observer_release(observer *o);

#endif
