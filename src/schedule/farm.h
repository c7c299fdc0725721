/* farm.h - the 32-bit FarmHash fingerprint: it gives every scheduled time its share of the jitter,
 * the same in every process and on every machine. Not for maps. */
#ifndef PERDURE_SCHEDULE_FARM_H
#define PERDURE_SCHEDULE_FARM_H

#include "base/span.h"

uint32_t farm_fingerprint32(span s);

#endif
