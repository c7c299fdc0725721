/* mail.h - messages between runs: sent at least once, received idempotently.
 *
 *   mail.c      a run's items have something to tell (engine/message.h): a `letter` for each
 *   receive.c   a message to a run of this shard: found, stepped, answered when durable
 *
 *   step durable --mail_post--> letter --receive--> the target's step, durable --> answered:
 *   run read     --mail_again-->   |                                      the sender's step
 *                                  '--- failed, or the answer was lost: later, or after a restart
 *
 * A letter is memory only. What is to be told is in the sender's rows, with a due time, so that
 * timers.c finds and loads the sender after a restart, and the letter is written again. While a
 * letter is under way its run stays in memory. One item has at most one letter; what it has to tell
 * may change meanwhile, and is told after the answer to what was told before.
 *
 * `receive` is all that sender and receiver share: a message, and an op that is answered. They need
 * not be runs of one shard.
 */
#ifndef PERDURE_SHARD_MAIL_H
#define PERDURE_SHARD_MAIL_H

#include "engine/message.h"
#include "shard/shard_int.h"

void mail_init(shard *s);
void mail_release(shard *s);
/* The step is durable: its messages are delivered. */
void mail_post(shard *s, shard_run *run, const engine_step *st);
/* The run was read: what it has to tell may have been told before. */
void mail_again(shard *s, shard_run *run);
/* Letters whose time has come. */
void mail_wake(shard *s, int64_t now);
int64_t mail_next_ns(const shard *s);

/* Delivers. op->done without an error: done, now or before. ALREADY_EXISTS (a start), NOT_FOUND,
 * INVALID_ARGUMENT (too many signals) are answers; any other error means once more. `again`: the
 * message may have been delivered before. */
void receive(shard *s, shard_op *op, const engine_message *m, bool again);
/* start.c: the part of `receive` that starts a child. */
void start_child(shard *s, shard_op *op, const engine_message *m, bool again);

#endif
