/* refuse.c - answers that mean "it is not there (any more)". */
#include "engine/engine_int.h"

err *engine_not_found(arena *a, const char *what) {
  err *e = ERR(a, NOT_FOUND, "%s", what);
  e->detail_type = "temporal.api.errordetails.v1.NotFoundFailure";
  return e;
}

err *wft_not_found(arena *a) { return engine_not_found(a, "Workflow task not found."); }

err *run_closed_error(arena *a) {
  return engine_not_found(a, "workflow execution already completed");
}
