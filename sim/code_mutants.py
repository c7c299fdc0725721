#!/usr/bin/env python3
"""One-line mutants of the production code: each must break an invariant within a few seeds.

Usage: sim/code_mutants.py [--seeds N] [--only WORD]. Works on a copy of the sources in
build-mutants/; prints `ok NAME` with the invariant and seed that saw the mutant, `not ok NAME` for
a survivor or for a text that the source does not have any more. The last line is
`N passed, N failed`.
"""

import argparse
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TREE = os.path.join(ROOT, "build-mutants", "tree")
BUILD = os.path.join(ROOT, "build-mutants", "build")
PROGRAM = os.path.join("sim", "perdure-sim")

# (file in src/, text, what it becomes, name)
MUTANTS = [
    ("engine/activity_ops.c", "if (act->attempt != token->attempt) return false;", "",
     "a stale attempt may answer"),
    ("engine/activity_ops.c", "return act->started_time == token->started_time_ns;",
     "return true;", "a forgotten start may answer beside a later one"),
    ("engine/activity_ops.c", "if (is_last_attempt(act)) st->lazy = false;", "",
     "the last attempt is not durable before dispatch"),
    ("engine/backoff.c", "q->attempt >= p->maximum_attempts", "q->attempt > p->maximum_attempts",
     "one attempt too many"),
    ("engine/backoff.c", "for (int32_t i = 1; i < attempt", "for (int32_t i = 2; i < attempt",
     "backoff grows one attempt late"),
    ("engine/backoff.c", "return !f->application_failure_info->non_retryable &&", "return",
     "non-retryable failures are retried"),
    ("engine/activity.c", "act->attempt++;", "", "attempts are not counted"),
    ("engine/activity.c", "act->next_attempt_time = run->tx.now_ns + choice.delay_ns;",
     "act->next_attempt_time = run->tx.now_ns + choice.delay_ns / 2;", "half the backoff"),
    ("engine/activity.c", "if (act->state == PB_ACTIVITY_STATE_STARTED) append_started(run, it);",
     "", "ActivityTaskStarted is not written"),
    ("engine/activity.c", "  tx_buffer(run, closing);\n  item_delete(run, it);",
     "  tx_buffer(run, closing);", "a closed activity stays pending"),
    ("engine/timer.c", "run->tx.now_ns + pb_duration_ns(s->start_to_fire_timeout);",
     "run->tx.now_ns + pb_duration_ns(s->start_to_fire_timeout) / 2;",
     "timers fire early"),
    ("engine/timer.c", "  tx_buffer(run, ev);\n  item_delete(run, it);", "  tx_buffer(run, ev);",
     "a fired timer stays pending"),
    ("engine/fire.c", "if (wake) wft_wake(run);", "", "nobody is told what fired"),
    ("engine/wft.c", "return s->wft_started_time + s->wft_timeout;", "return 0;",
     "workflow tasks do not time out"),
    ("engine/fire.c", "if (s->first_backoff_until) due = MIN(due, s->first_backoff_until);", "",
     "the first backoff never ends"),
    ("engine/wft.c", "if (s->wft_on_sticky) return s->wft_scheduled_time + s->sticky_timeout;",
     "", "sticky tasks do not time out"),
    ("engine/signal.c",
     "if (!run_is_open(run) || run->state.cancel_requested) return NULL;",
     "if (!run_is_open(run)) return NULL;", "a cancel request has two effects"),
    ("engine/signal.c",
     "  remember_request(run, args->request_id, args->sender != NULL);\n", "",
     "request ids of signals are forgotten"),
    ("engine/signal.c", "wft_schedule(run, args->despite_backoff);", "",
     "a signal makes no workflow task"),
    ("engine/wft.c", "wft_clear_sticky(run);\n  s->wft_failures++;", "s->wft_failures++;",
     "a silent sticky worker keeps the run"),
    ("engine/wft.c", "  s->wft_attempt = was_sticky || !counts ? attempt : attempt + 1;",
     "  s->wft_attempt = 1;", "attempts of workflow tasks are not counted"),
    ("engine/wft.c", "s->wft_attempt != token->attempt", "false",
     "a token of another attempt is taken"),
    ("engine/complete.c", "bool more = r->force_create_new_workflow_task || "
     "run_has_buffered(run) || c->wake;", "bool more = r->force_create_new_workflow_task;",
     "what arrived during a task makes no new one"),
    ("engine/history.c", "  run->state.buffered_count++;", "", "buffered events are not counted"),
    ("engine/close.c", "  settle_items(run);\n  child_result", "  child_result",
     "what a closed run had pending goes on"),
    ("shard/call.c", "gate_wait(c->s, &c->gate, run, answer);",
     "c->gate.run = run, run_pin(run), answer(c->s, &c->gate, NULL);", "answers before durable"),
    ("shard/commit.c", "s->durable_lsn = s->batch_lsn;", "s->durable_lsn = s->staged_lsn;",
     "gates open for what is only staged"),
    ("shard/commit.c",
     "if (t->store.status != STORE_OK) step_failed(s, t, failure_of(s, t));", "",
     "failed steps are not noticed"),
    ("shard/commit.c", "run_drop(s, t->parts[i].run, e, true);\n  }\n  if (t->named_done)",
     "gates_fail(s, t->parts[i].run, e);\n  }\n  if (t->named_done)",
     "a failed step stays in memory"),
    ("shard/commit.c", "if (st->new_events || st->closed) watchers_wake(s, run);", "",
     "long polls of history are not woken"),
    ("shard/step.c", "names_join(s, t);", "", "names of queues are not written"),
    ("shard/step.c", "if (run->n_lazy || v.unsettled) lazy_mark(s, run);", "",
     "lazy steps are not written in time"),
    ("shard/step.c", "for (size_t i = 0; i < run->n_lazy; i++) rows[n++] = run->lazy[i];", "",
     "lazy rows are lost"),
    ("shard/step.c", "  engine_settle(run->engine, st);\n", "  (void)st;\n",
     "reads do not write a task's start"),
    ("shard/run_cache.c", "!run->pins && run->lsn <= s->durable_lsn &&", "!run->pins &&",
     "runs leave memory before they are durable"),
    ("shard/run_cache.c", "!list_linked(&run->lazy_node) &&", "",
     "runs leave memory with lazy rows"),
    ("shard/run_cache.c", "if (engine_task_in_memory(run->engine)) return false;", "",
     "runs leave memory with a task handed out"),
    ("shard/run_cache.c", "if (due) timers_evicted(s, run, due);", "(void)due;",
     "deadlines leave memory with the run"),
    ("shard/run_cache.c", "if (rl->load.error && run->publish_ready) timers_load_again(s, "
     "run->key);", "", "a dropped run is read once only"),
    ("shard/start.c",
     "if (span_eq(v->request_id, r->request_id)) return (policy){0, START_DEDUPED, NULL};", "",
     "a repeated start is a new one"),
    ("shard/start.c", ".expected_run = before ? before->key : 0,", ".expected_run = 0,",
     "a start expects no run before it"),
    ("shard/run_cache.c", "    mail_again(s, run);", "",
     "what a run has to tell others is forgotten in a crash"),
    ("shard/mail.c", "  take_answer(l, v.answer);", "  if (l->id % 7) take_answer(l, v.answer);",
     "answers of other runs are lost"),
    ("engine/child.c", "outside_tell(run, items[i], tells);", "outside_tell(run, items[i], false);",
     "children do not hear of the end of their parent"),
    ("engine/child.c", "  item_delete(run, it);\n  wft_wake(run);\n  tx_finish(run);",
     "  wft_wake(run);\n  tx_finish(run);", "the end of a child is told twice"),
    ("shard/poll.c", "if (!e) put_back(p);", "", "a task whose poller vanished is forgotten"),
    ("shard/poll.c", "    put_back(p);\n    poll_end(p, p->gone ? p->gone : e, NULL);",
     "    poll_end(p, p->gone ? p->gone : e, NULL);", "a task that could not be read is forgotten"),
    ("shard/publish.c", "if (p->lsn > s->durable_lsn && !s->draining) continue;", "",
     "a page is read before what was put off is durable"),
    ("shard/timers.c", "if (run && run->phase != RUN_LOADING) continue;", "if (run) continue;",
     "the scan trusts a read under way"),
    ("shard/timers.c", "if (is_due) fire(s, run, now);", "(void)is_due;",
     "what is loaded because it is due does not fire at once"),
    ("shard/names.c", "if (q) q->stored = true;", "(void)q;", "a queue's name is written always"),
    ("shard/token.c", "if (CRYPTO_memcmp(mac, token.p + MAC_AT, TOKEN_MAC_BYTES) != 0) continue;",
     "", "signatures are not checked"),
    ("shard/history_cache.c", "batch_at(h, 0)->lsn <= s->durable_lsn", "true",
     "events leave memory before they are durable"),
    ("matching/matching.c", "return q->complete || !is_behind(e->task.queued, q->end) ? e : NULL;",
     "return e;", "tasks behind the window are handed out"),
    ("matching/matching.c", "if (q->order.n > m->window / 2 && first_entry(q)) return;",
     "if (q->order.n > m->window / 2) return;", "a window full of later tasks is not read again"),
    ("matching/matching.c", "  q->order = kept;\n  q->complete = false;", "  q->order = kept;",
     "a cut window is taken for complete"),
    ("matching/matching.c", "    (void)entry_add(m, q, task);\n", "",
     "new tasks do not reach the queue"),
    ("matching/matching.c", "  if (n) q->end = rows[n - 1].queued;", "",
     "the window does not move"),
    ("engine/update_messages.c", "  tx_append(run, ev);\n  pb_store_UpdateItem *it",
     "  pb_store_UpdateItem *it", "an accepted update is not written"),
    ("engine/update_messages.c", "  attrs->outcome = in->outcome;\n", "",
     "the outcome of an update is not written"),
    ("engine/reset.c", "      (void)again(run, old);\n", "",
     "a signal is not applied again after a reset"),
    ("engine/reset.c", "    if (of_base) child_hear_again(run, old);\n",
     "    (void)of_base;\n",
     "a reset forgets what became of children"),
    ("shard/reset.c",
     "  if (current) e = engine_terminate(current->engine, st_current, &why);\n",
     "  (void)why;\n",
     "a reset leaves the run before it open"),
    ("shard/reset.c", "  engine_note_reset(base->engine, st_base, args.run_id);\n",
     "  (void)st_base;\n",
     "the end of a child does not reach the run that a reset made"),
    ("engine/close.c", "  run->state.delete_time = run->tx.now_ns + NS_PER_SEC;\n  st->lazy",
     "  st->lazy", "a deletion that has to wait is forgotten"),
    ("engine/activity.c", "if (act->state == PB_ACTIVITY_STATE_SCHEDULED && !act->pause) {",
     "if (act->state == PB_ACTIVITY_STATE_SCHEDULED) {", "a paused activity stays in its queue"),
    ("engine/activity_control.c",
     "  act->pause = NULL;\n", "", "an activity is never unpaused"),
    ("schedule/scheduler.c", "next != SPEC_NEVER && may_act(s) ? next : 0;", "0;",
     "a schedule forgets its next time"),
    ("schedule/scheduler.c",
     "info_of(s)->running_workflows.n > 0 || state->starting > 0,", "false,",
     "a schedule does not know what it started"),
    ("engine/visible.c", "  v->closed_ns = s->close_time;\n", "",
     "lists do not know when a run closed"),
    ("engine/visible.c", "run->tx.saved.status != run->state.status ||", "",
     "lists do not hear of the end of a run"),
    ("shard/batch.c", "  b->job = *job;\n  insert(s, b);", "  batch_free(b);",
     "batches are forgotten at a restart"),
]

# Mutants that may survive, and why: no promise is broken, or few seeds come to the place.
SURVIVORS = {
    "a queue's name is written always": "the same row again",
    "runs leave memory before they are durable": "a staged step pins its runs as well",
    "a task whose poller vanished is forgotten": "the step that undoes its start offers it too",
    "attempts of workflow tasks are not counted": "longer histories; conformance compares them",
    "a silent sticky worker keeps the run": "its silence is noticed again at every task",
    "tasks behind the window are handed out": "only their order changes",
    "the scan trusts a read under way": "rare: a scan must meet a read that then fails",
    "events leave memory before they are durable": "rare: takes 256 KiB between two commits",
    "a window full of later tasks is not read again": "rare; matching_test.c has it",
    "a page is read before what was put off is durable": "a task read too early is only refused",
    "a token of another attempt is taken": "a gap: no check knows when an attempt timed out",
}


def copy_tree():
    os.makedirs(TREE, exist_ok=True)
    names = subprocess.run(["git", "ls-files", "-z", "--", "src", "proto", "tools", "sim", "tests",
                            "bench", "meson.build", "meson_options.txt"], cwd=ROOT, check=True,
                           capture_output=True).stdout.decode().split("\0")
    for name in filter(None, names):
        source, target = os.path.join(ROOT, name), os.path.join(TREE, name)
        if not os.path.isfile(source):
            continue
        with open(source, "rb") as f:
            put(target, f.read())


def put(path, data):
    """Leaves a file alone that has this content, so that little is compiled."""
    if os.path.exists(path):
        with open(path, "rb") as f:
            if f.read() == data:
                return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def build():
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        subprocess.run(["meson", "setup", BUILD, TREE, "--buildtype=debugoptimized",
                        "-Dwerror=false", "-Ddebug=false"], check=True, stdout=subprocess.DEVNULL)
    return subprocess.run(["ninja", "-C", BUILD, PROGRAM], capture_output=True,
                          text=True).returncode == 0


def caught(seeds):
    done = subprocess.run([os.path.join(BUILD, PROGRAM), "--seeds", str(seeds), "--steps", "16000",
                           "--until-broken"], capture_output=True, text=True, errors="replace")
    found = re.search(r"^broken (\w+) seed (\d+)", done.stdout, re.M)
    if found:
        return f"{found.group(1)}, seed {found.group(2)}"
    failed = re.search(r"^not ok seed (\d+)", done.stdout, re.M)
    return f"the process ended, seed {failed.group(1)}" if failed else None


def try_mutant(path, old, new, seeds):
    """(caught or None, reason of a failure)."""
    source = os.path.join(TREE, "src", path)
    with open(source, encoding="utf-8") as f:
        before = f.read()
    if before.count(old) != 1:
        return None, f"{path} has this text {before.count(old)} times"
    put(source, before.replace(old, new).encode())
    try:
        if not build():
            return None, "does not compile"
        return caught(seeds), "survives"
    finally:
        put(source, before.encode())


def main():
    ap = argparse.ArgumentParser(description="One-line mutants of the production code.")
    ap.add_argument("--seeds", type=int, default=400)
    ap.add_argument("--only", default="")
    args = ap.parse_args()
    copy_tree()
    if not build():
        print("0 passed, 1 failed")
        return 1
    passed = failed = 0
    for path, old, new, name in MUTANTS:
        if args.only not in name and args.only not in path:
            continue
        by, why = try_mutant(path, old, new, args.seeds)
        good = by or name in SURVIVORS and why == "survives"
        if good and not by:
            why = f"survives: {SURVIVORS[name]}"
        passed, failed = passed + bool(good), failed + (not good)
        print(f"{'ok' if good else 'not ok'} mutant: {name} ({path}): {by or why}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
