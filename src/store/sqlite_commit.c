/* A batch on its way to be durable: each step is checked against what is committed, those that pass
 * become one record of the log, and the overlay has their rows. */
#include "store/commit_log.h"
#include "store/row_code.h"

/* While tables cannot be written, so much may wait for them in memory and in the log. */
#define PENDING_BYTES_MAX (INT64_C(64) << 20)

typedef struct refusal {
  int64_t run, conflict_run;
  store_status status;
} refusal;

typedef struct committing {
  sqlite_writer *w;
  store_batch *batch;
  facts staged;      /* of the steps accepted so far */
  buf *content;      /* their rows */
  refusal *refusals; /* runs with a step refused */
  size_t n_refusals, n_accepted;
} committing;

/* --- what is committed --- */

typedef struct known {
  bool exists;
  int64_t last_history; /* id; 0: none */
} known;

/* From the newest to the tables. */
static size_t levels_of(const committing *c, const facts *ret[3]) {
  ret[0] = &c->staged;
  ret[1] = &c->w->open->facts;
  ret[2] = c->w->flushing ? &c->w->flushing->facts : NULL;
  return c->w->flushing ? 3 : 2;
}

static int look_in_tables(sqlite_writer *w, int64_t run, known *ret) {
  *ret = (known){0};
  if (run > w->largest_run) return SQLITE_OK;
  sqlite3_stmt *st = w->st[W_RUN_FACTS];
  sqlite_bind_int(st, 1, run);
  sqlite_bind_int(st, 2, store_row_key(run, 0));
  sqlite_bind_int(st, 3, store_row_key(run, ROW_ID_MAX));
  int rc = sqlite3_step(st);
  if (rc == SQLITE_ROW) {
    ret->exists = sqlite3_column_int(st, 0) != 0;
    ret->last_history = sqlite3_column_int64(st, 1) & ROW_ID_MAX;
  }
  (void)sqlite3_reset(st);
  return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int look_up(const committing *c, int64_t run, known *ret) {
  const facts *levels[3];
  size_t n = levels_of(c, levels);
  bool has_existence = false, has_history = false;
  *ret = (known){0};
  for (size_t i = 0; i < n && !(has_existence && has_history); i++) {
    const run_fact *f = facts_of_run(levels[i], run);
    if (!f) continue;
    if (!has_existence && (f->exists || f->deleted)) {
      ret->exists = !f->deleted;
      has_existence = true;
    }
    if (!has_history && (f->last_history || f->born || f->deleted)) {
      ret->last_history = f->deleted ? 0 : f->last_history;
      has_history = true;
    }
  }
  if (has_existence && has_history) return SQLITE_OK;
  known older;
  int rc = look_in_tables(c->w, run, &older);
  if (!has_existence) ret->exists = older.exists;
  if (!has_history) ret->last_history = older.last_history;
  return rc;
}

static int current_of(const committing *c, int64_t ns, span workflow_id, int64_t *ret_run) {
  const facts *levels[3];
  size_t n = levels_of(c, levels);
  for (size_t i = 0; i < n; i++) {
    const name_fact *f = facts_of_name(levels[i], ns, workflow_id);
    if (!f) continue;
    *ret_run = f->current;
    return SQLITE_OK;
  }
  sqlite3_stmt *st = c->w->st[W_CURRENT_GET];
  sqlite_bind_int(st, 1, ns);
  sqlite_bind_text(st, 2, workflow_id);
  int rc = sqlite3_step(st);
  *ret_run = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
  (void)sqlite3_reset(st);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* --- a step is checked --- */

static err *row_refused(const committing *c, const store_row *r) {
  const char *what = r->kind == ROW_RUN_UPDATE ? "does not hold a run that was to be updated"
                     : r->kind == ROW_HISTORY_ADD
                         ? "already holds history that was to be added, or later one"
                         : "already holds a run that was to be added";
  return ERR(&c->batch->arena, INTERNAL, "%s %s: %lld", c->w->path, what, (long long)r->run);
}

/* `k` is what is known of the row's run, as the step's earlier rows leave it. */
static bool row_fits(const store_row *r, known *k) {
  switch (r->kind) {
    case ROW_RUN_INSERT:
      if (k->exists) return false;
      *k = (known){.exists = true};
      return true;
    case ROW_RUN_UPDATE:
      return k->exists;
    case ROW_HISTORY_ADD:
      if (r->id <= k->last_history) return false;
      k->last_history = r->id;
      return true;
    default:
      return true;
  }
}

static bool needs_check(const store_row *r) {
  return r->kind == ROW_RUN_INSERT || r->kind == ROW_RUN_UPDATE || r->kind == ROW_HISTORY_ADD;
}

static err *check_rows(const committing *c, const store_step *s) {
  known k = {0};
  int64_t run = 0; /* that `k` is of */
  for (size_t i = 0; i < s->n_rows; i++) {
    const store_row *r = &s->rows[i];
    if (!needs_check(r)) continue;
    if (r->run != run) {
      int rc = look_up(c, r->run, &k);
      if (rc != SQLITE_OK) return SQLITE_ERROR_AT(&c->batch->arena, c->w->db, rc, c->w->path);
      run = r->run;
    }
    if (!row_fits(r, &k)) return row_refused(c, r);
  }
  return NULL;
}

/* Sets step->status to STORE_CONFLICT when another run is current than expected. */
static err *check_current(const committing *c, store_step *s) {
  for (size_t i = 0; i < s->n_rows; i++) {
    const store_row *r = &s->rows[i];
    if (r->kind != ROW_CURRENT_PUT) continue;
    int64_t run = 0;
    int rc = current_of(c, r->ns, r->workflow_id, &run);
    if (rc != SQLITE_OK) return SQLITE_ERROR_AT(&c->batch->arena, c->w->db, rc, c->w->path);
    if (run == r->expected_run) return NULL;
    s->status = STORE_CONFLICT;
    s->conflict_run = run;
    return NULL;
  }
  return NULL;
}

/* --- a step is taken --- */

/* Which workflow id is without a current run when this run goes; none if another one is current. */
static int name_deleted(const committing *c, store_row *r) {
  const facts *levels[3];
  size_t n = levels_of(c, levels);
  const run_fact *f = NULL;
  for (size_t i = 0; i < n && !(f && f->born); i++) f = facts_of_run(levels[i], r->run);
  int rc = SQLITE_OK;
  if (f && f->born) {
    r->ns = f->ns;
    r->workflow_id = f->workflow_id;
  } else {
    sqlite3_stmt *st = c->w->st[W_RUN_NAME];
    sqlite_bind_int(st, 1, r->run);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
      span id = span_of(sqlite3_column_text(st, 1), (size_t)sqlite3_column_bytes(st, 1));
      r->ns = sqlite3_column_int64(st, 0);
      r->workflow_id = arena_dup(&c->w->batch_scratch, id);
    }
    (void)sqlite3_reset(st);
    if (rc == SQLITE_DONE) return SQLITE_OK; /* of no run: nothing happens */
    if (rc != SQLITE_ROW) return rc;
  }
  int64_t current = 0;
  rc = current_of(c, r->ns, r->workflow_id, &current);
  if (current != r->run) r->workflow_id = SPAN_NONE;
  return rc;
}

static err *take_step(committing *c, store_step *s) {
  size_t before = c->content->n;
  for (size_t i = 0; i < s->n_rows; i++) {
    store_row r = s->rows[i];
    int rc = r.kind == ROW_RUN_DELETE ? name_deleted(c, &r) : SQLITE_OK;
    if (rc != SQLITE_OK) {
      c->content->n = before;
      return SQLITE_ERROR_AT(&c->batch->arena, c->w->db, rc, c->w->path);
    }
    row_encode(&r, c->content);
    facts_note(&c->staged, &r);
    if (r.kind == ROW_RUN_INSERT) c->w->largest_run = MAX(c->w->largest_run, r.run);
  }
  c->n_accepted++;
  return NULL;
}

/* --- a batch --- */

static void refuse(committing *c, const store_step *s) {
  c->refusals[c->n_refusals++] =
      (refusal){.run = s->run, .status = s->status, .conflict_run = s->conflict_run};
}

/* Gives the step the fate of an earlier refused step of its run. */
static bool refused_before(const committing *c, store_step *s) {
  for (size_t i = 0; i < c->n_refusals && s->run; i++) {
    if (c->refusals[i].run != s->run) continue;
    s->status = c->refusals[i].status;
    s->conflict_run = c->refusals[i].conflict_run;
    return true;
  }
  return false;
}

static void commit_step(committing *c, store_step *s) {
  s->status = STORE_OK;
  s->conflict_run = 0;
  if (refused_before(c, s)) return;
  err *e = check_current(c, s);
  if (!e && s->status == STORE_OK) e = check_rows(c, s);
  if (!e && s->status == STORE_OK) e = take_step(c, s);
  if (e) {
    c->batch->error = e;
    s->status = STORE_FAILED;
  }
  if (s->status != STORE_OK) refuse(c, s);
}

static void fail_all(committing *c, const err *why) {
  c->batch->error = why;
  for (store_step *s = c->batch->steps; s; s = s->next) {
    if (s->status == STORE_OK) s->status = STORE_FAILED;
  }
}

/* A full disk may still have room in the other file of the log. */
static int append(sqlite_writer *w, int64_t number) {
  int rc = commit_log_append(w->log, number);
  if (rc == SQLITE_OK || !w->open->first) return rc;
  if (!sqlite_writer_flush_all(w)) return rc;
  return commit_log_append(w->log, number);
}

static bool too_much_pending(const sqlite_writer *w) {
  return w->failure && commit_log_bytes(w->log) > PENDING_BYTES_MAX;
}

static void finish(committing *c, span content, int64_t now_ns) {
  sqlite_writer *w = c->w;
  if (!w->open->first) w->open_since_ns = now_ns;
  (void)pthread_mutex_lock(&w->mu);
  bool whole = overlay_add(w->open, ++w->last_commit, content);
  (void)pthread_mutex_unlock(&w->mu);
  ASSERT(whole);
  w->commits++;
  for (const store_step *s = c->batch->steps; s; s = s->next) {
    if (s->status != STORE_OK) continue;
    w->steps++;
    w->rows += s->n_rows;
  }
}

void sqlite_writer_commit(sqlite_writer *w, store_batch *b, int64_t now_ns) {
  arena_reset(&w->batch_scratch);
  b->error = NULL;
  size_t n = 0;
  for (store_step *s = b->steps; s; s = s->next) n++;
  committing c = {.w = w, .batch = b, .content = commit_log_content(w->log)};
  c.refusals = arena_array(&w->batch_scratch, refusal, n);
  facts_init(&c.staged, &w->batch_scratch, w->key);
  if (too_much_pending(w)) {
    for (store_step *s = b->steps; s; s = s->next) s->status = STORE_OK;
    fail_all(&c, w->failure);
  } else {
    for (store_step *s = b->steps; s; s = s->next) commit_step(&c, s);
    int rc = c.n_accepted ? append(w, w->last_commit + 1) : SQLITE_OK;
    if (rc != SQLITE_OK) {
      fail_all(&c, SQLITE_ERROR_AT(&b->arena, NULL, rc, w->path));
    } else if (c.n_accepted) {
      finish(&c, commit_log_appended(w->log), now_ns);
    }
  }
  facts_release(&c.staged);
}
