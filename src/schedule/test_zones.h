/* test_zones.h - what the tests of this folder share: the system's time zones, and an arena, from
 * the first test to the last. */
#ifndef PERDURE_SCHEDULE_TEST_ZONES_H
#define PERDURE_SCHEDULE_TEST_ZONES_H

#include "base/test.h"
#include "schedule/zone_files.h"

static arena a;
static zone_files files;
static zones all;

static int setup(void **state UNUSED) {
  zone_files_init(&files);
  zones_init(&all, &files.source);
  return 0;
}

static int teardown(void **state UNUSED) {
  zones_release(&all);
  arena_release(&a);
  return 0;
}

#endif
