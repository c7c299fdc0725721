/* zone_files.h - a zone_source that reads the system's time-zone database: TZDIR, or
 * /usr/share/zoneinfo. It reads files on the caller's thread; they are small, local and read once
 * (zones keeps them). */
#ifndef PERDURE_SCHEDULE_ZONE_FILES_H
#define PERDURE_SCHEDULE_ZONE_FILES_H

#include "schedule/zone.h"

typedef struct zone_files {
  zone_source source;
  const char *folder;
} zone_files;

void zone_files_init(zone_files *f);

#endif
