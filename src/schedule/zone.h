/* zone.h - time zones: what a clock on the wall shows at a time, and the other way round.
 *
 * A zone is made from the content of a TZif file (RFC 8536: the system's time-zone database, or
 * what a client sends along with a schedule). Nothing here reads files: a `zone_source` does, and
 * `zones` keeps what it read, by name. Pure; one thread.
 *
 * Content is hostile: every count is checked against the bytes that are there and against
 * ZONE_MAX_BYTES, so that a zone's size and the work per look-up are bounded.
 */
#ifndef PERDURE_SCHEDULE_ZONE_H
#define PERDURE_SCHEDULE_ZONE_H

#include "base/civil.h"
#include "base/err.h"
#include "base/hmap.h"

enum { ZONE_MAX_BYTES = 256 * 1024, ZONE_NAME_BYTES = 255 };

typedef struct zone zone;

/* Offset +0, no transitions. */
extern const zone zone_utc;

/* INVALID_ARGUMENT "malformed time zone information". The zone lives in the arena and keeps nothing
 * of the input. */
MUST_USE err *zone_parse(span tzif, arena *a, const zone **ret_zone);

/* The span of time with one offset from UTC that holds a time: [from, until), in seconds since
 * 1970. */
typedef struct zone_period {
  int64_t offset, from, until;
} zone_period;

zone_period zone_at(const zone *z, int64_t unix_s);

/* What a clock shows. */
typedef struct zone_clock {
  civil_date date;
  int weekday; /* 0: Sunday */
  int hour, minute, second;
} zone_clock;

zone_clock zone_show(const zone *z, int64_t unix_s);
/* --- by name --- */

/* The content of the database's file of this name, in the arena. NOT_FOUND when there is none. */
typedef struct zone_source zone_source;
struct zone_source {
  err *(*read)(zone_source *s, span name, arena *a, span *ret_tzif);
};

/* Zones that were asked for, read once. */
typedef struct zones {
  zone_source *source; /* NULL: only UTC is known */
  hmap by_name;
} zones;

void zones_init(zones *z, zone_source *source);
void zones_release(zones *z);
/* "", "UTC" and "Local" are UTC. INVALID_ARGUMENT "unknown time zone X" or "time: invalid location
 * name". The zone lives as long as `z`. */
MUST_USE err *zones_find(zones *z, span name, arena *a, const zone **ret_zone);

#endif
