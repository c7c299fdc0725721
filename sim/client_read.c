/* client_read.c - clients that read histories, page by page and from the end. */
#include "client_int.h"

static void page_answered(sim *s, sim_call *c) {
  client *who = c->who;
  if (!net_ok(c) || c->note > 30) {
    client_later(who);
    return;
  }
  arena a = ARENA_INIT;
  void *q = NULL;
  err *e = pb_decode(net_request_desc(c->method), bytes_span(c->sent), &a, &q);
  ASSERT(!e);
  const pb_GetWorkflowExecutionHistoryResponse *r = net_response(c, &a);
  pb_GetWorkflowExecutionHistoryRequest *next = q;
  next->next_page_token = r->next_page_token;
  if (!r->next_page_token.n) {
    client_later(who);
  } else {
    net_call(s, CALL_history, next, 15 * NS_PER_SEC, page_answered, who)->note = c->note + 1;
  }
  arena_release(&a);
}

void client_read_history(client *c) {
  sim *s = c->sim;
  pb_GetWorkflowExecutionHistoryRequest r = {.execution = client_some_execution(c),
                                             .maximum_page_size = (int32_t)sim_below(s, 6),
                                             .wait_new_event = sim_chance(s, 1, 3)};
  if (sim_chance(s, 1, 3)) {
    r.history_event_filter_type = PB_HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
  }
  net_call(s, CALL_history, &r, 15 * NS_PER_SEC, page_answered, c);
}

static void reverse_answered(sim *s, sim_call *c) { client_later(c->who); }

void client_read_reverse(client *c) {
  pb_GetWorkflowExecutionHistoryReverseRequest r = {
      .execution = client_some_execution(c), .maximum_page_size = (int32_t)sim_below(c->sim, 9)};
  net_call(c->sim, CALL_history_reverse, &r, 15 * NS_PER_SEC, reverse_answered, c);
}
