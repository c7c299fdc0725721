/* spec_text.h - the texts in which clients write calendars: fields as "1-5/2,8" and cron strings.
 * All become structured calendars or intervals. Texts and errors are those of server 1.32. */
#ifndef PERDURE_SCHEDULE_SPEC_TEXT_H
#define PERDURE_SCHEDULE_SPEC_TEXT_H

#include "proto/pb.gen.h"

/* Errors are INVALID_ARGUMENT and name the field. */
MUST_USE err *spec_text_calendar(const pb_CalendarSpec *in, arena *a,
                                 pb_StructuredCalendarSpec **ret_calendar);

/* What a cron string says: a calendar, or an interval ("@every 1h/5m"). */
typedef struct cron_string {
  pb_StructuredCalendarSpec *calendar; /* or NULL */
  pb_IntervalSpec *interval;           /* or NULL */
  span zone;                           /* "": none named */
} cron_string;

/* [TZ=zone] 5 to 7 fields (+ year, + seconds in front) or a descriptor, [# comment] */
MUST_USE err *spec_text_cron(span text, arena *a, cron_string *ret);

/* Blanks taken from both ends. */
span text_trim(span s);
/* The word in front, taken off; blanks divide words. p == NULL: none left. */
span text_word(span *s);
/* "0 0 * * *" for "@daily" and its like; other texts are returned as they are. */
span text_descriptor(span text);
/* A decimal integer with an optional sign. */
bool text_integer(span s, int *ret);
/* 0 to n - 1: the name of which `s` is a beginning of at least `least` letters, in either case.
 * -1: none. */
int text_name(span s, const char *const *names, int n, size_t least);

extern const char *const text_months[12];
extern const char *const text_weekdays[7];

#endif
