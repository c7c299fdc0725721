#include "schedule/zone_files.h"

#include <stdio.h>
#include <stdlib.h>

/* Every name that is no zone (a folder, a list of zones, nothing) is the same to who asks. */
static err *not_there(arena *a, span name) {
  return ERR(a, NOT_FOUND, "the time-zone database has no zone %.*s", SPAN_ARG(name));
}

static err *read_file(zone_source *s, span name, arena *a, span *ret_tzif) {
  const zone_files *f = CONTAINER_OF(s, zone_files, source);
  const char *path = arena_printf(a, "%s/%.*s", f->folder, SPAN_ARG(name));
  FILE *file = fopen(path, "rbe");
  if (!file) return not_there(a, name);
  uint8_t *p = arena_alloc(a, ZONE_MAX_BYTES);
  size_t n = fread(p, 1, ZONE_MAX_BYTES, file);
  bool whole = feof(file) && !ferror(file);
  fclose(file);
  if (!whole || n < 4 || memcmp(p, "TZif", 4) != 0) return not_there(a, name);
  *ret_tzif = span_of(p, n);
  return NULL;
}

void zone_files_init(zone_files *f) {
  const char *folder = getenv("TZDIR");
  *f = (zone_files){.source = {.read = read_file},
                    .folder = folder ? folder : "/usr/share/zoneinfo"};
}
