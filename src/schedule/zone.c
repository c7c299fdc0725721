#include "schedule/zone.h"

#include "base/mem.h"
#include "schedule/zone_int.h"

const zone zone_utc = {0};

/* --- TZif --- */

enum { HEADER_BYTES = 44, TYPE_BYTES = 6, LEAST_OFFSET = -26 * 3600, MOST_OFFSET = 26 * 3600 };

static uint64_t big_endian(const uint8_t *p, size_t n) {
  uint64_t v = 0;
  for (size_t i = 0; i < n; i++) v = v << 8 | p[i];
  return v;
}

typedef struct tzif_block {
  size_t utc_marks, std_marks, leaps, times, types, name_bytes;
} tzif_block;

static bool take_header(span *in, int *ret_version, tzif_block *ret) {
  if (in->n < HEADER_BYTES || memcmp(in->p, "TZif", 4) != 0) return false;
  const uint8_t *p = in->p;
  *ret_version = p[4] ? p[4] - '0' : 1;
  *ret = (tzif_block){.utc_marks = big_endian(p + 20, 4),
                      .std_marks = big_endian(p + 24, 4),
                      .leaps = big_endian(p + 28, 4),
                      .times = big_endian(p + 32, 4),
                      .types = big_endian(p + 36, 4),
                      .name_bytes = big_endian(p + 40, 4)};
  *in = span_of(p + HEADER_BYTES, in->n - HEADER_BYTES);
  return true;
}

/* Counts of 32 bits cannot overflow a size_t here. */
static size_t block_bytes(const tzif_block *b, size_t time_bytes) {
  return b->times * (time_bytes + 1) + b->types * TYPE_BYTES + b->name_bytes +
         b->leaps * (time_bytes + 4) + b->std_marks + b->utc_marks;
}

static bool type_offset(const tzif_block *b, const uint8_t *types, size_t i, int64_t *ret) {
  if (i >= b->types) return false;
  *ret = (int32_t)big_endian(types + i * TYPE_BYTES, 4);
  return *ret > LEAST_OFFSET && *ret < MOST_OFFSET;
}

/* What held before the first transition: the first type that is not summer time. */
static bool first_offset(const tzif_block *b, const uint8_t *types, int64_t *ret) {
  for (size_t i = 0; i < b->types; i++) {
    if (!types[i * TYPE_BYTES + 4]) return type_offset(b, types, i, ret);
  }
  return type_offset(b, types, 0, ret);
}

static bool take_block(const tzif_block *b, const uint8_t *p, size_t time_bytes, arena *a,
                       zone *z) {
  const uint8_t *which = p + b->times * time_bytes, *types = which + b->times;
  zone_transition *t = arena_array(a, zone_transition, b->times + 1);
  if (!first_offset(b, types, &z->first_offset)) return false;
  for (size_t i = 0; i < b->times; i++) {
    uint64_t at = big_endian(p + i * time_bytes, time_bytes);
    t[i].at = time_bytes == 4 ? (int32_t)at : (int64_t)at;
    if (i && t[i].at <= t[i - 1].at) return false;
    if (!type_offset(b, types, which[i], &t[i].offset)) return false;
  }
  z->transitions = t;
  z->n = b->times;
  return true;
}

static bool take_rule(span rest, zone *z) {
  if (rest.n < 2 || rest.p[0] != '\n') return true;
  const uint8_t *end = memchr(rest.p + 1, '\n', rest.n - 1);
  if (!end) return false;
  span text = span_of(rest.p + 1, (size_t)(end - rest.p) - 1);
  return !text.n || zone_rule_parse(text, &z->rule);
}

static bool parse(span in, arena *a, zone *z) {
  int version;
  tzif_block b;
  size_t time_bytes = 4;
  if (in.n > ZONE_MAX_BYTES || !take_header(&in, &version, &b)) return false;
  size_t n = block_bytes(&b, time_bytes);
  if (version >= 2) { /* the same again with longer times */
    if (n > in.n) return false;
    in = span_of(in.p + n, in.n - n);
    if (!take_header(&in, &version, &b)) return false;
    time_bytes = 8;
    n = block_bytes(&b, time_bytes);
  }
  if (n > in.n || !take_block(&b, in.p, time_bytes, a, z)) return false;
  return version < 2 || take_rule(span_of(in.p + n, in.n - n), z);
}

err *zone_parse(span tzif, arena *a, const zone **ret_zone) {
  zone *z = arena_new(a, zone);
  if (!parse(tzif, a, z)) return ERR(a, INVALID_ARGUMENT, "malformed time zone information");
  *ret_zone = z;
  return NULL;
}

/* --- looking --- */

zone_period zone_at(const zone *z, int64_t unix_s) {
  size_t from = 0, until = z->n; /* the last transition at or before the time is found between */
  while (from < until) {
    size_t middle = from + (until - from) / 2;
    if (z->transitions[middle].at <= unix_s) {
      from = middle + 1;
    } else {
      until = middle;
    }
  }
  if (from == z->n && z->rule.present) {
    zone_period p = zone_rule_at(&z->rule, unix_s);
    if (z->n) p.from = MAX(p.from, z->transitions[z->n - 1].at);
    return p;
  }
  return (zone_period){.offset = from ? z->transitions[from - 1].offset : z->first_offset,
                       .from = from ? z->transitions[from - 1].at : INT64_MIN,
                       .until = from < z->n ? z->transitions[from].at : INT64_MAX};
}

zone_clock zone_show(const zone *z, int64_t unix_s) {
  int64_t local = unix_s + zone_at(z, unix_s).offset;
  int64_t days = local / DAY_SECONDS, rest = local % DAY_SECONDS;
  if (rest < 0) {
    rest += DAY_SECONDS;
    days--;
  }
  return (zone_clock){.date = civil_of_days(days),
                      .weekday = civil_weekday(days),
                      .hour = (int)(rest / 3600),
                      .minute = (int)(rest / 60 % 60),
                      .second = (int)(rest % 60)};
}

/* --- by name --- */

typedef struct known_zone {
  hmap_node node;
  arena arena;
  const zone *zone;
  span name;
} known_zone;

void zones_init(zones *z, zone_source *source) {
  z->source = source;
  hmap_init(&z->by_name);
}

void zones_release(zones *z) {
  for (hmap_node *n = hmap_each(&z->by_name, NULL), *next; n; n = next) {
    next = hmap_each(&z->by_name, n);
    hmap_remove(&z->by_name, n);
    known_zone *k = CONTAINER_OF(n, known_zone, node);
    arena_release(&k->arena);
    mem_free(k);
  }
  hmap_release(&z->by_name);
}

/* Only names of files that exist are kept, so clients cannot fill the map or steer its order. */
static uint64_t name_hash(span name) {
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < name.n; i++) h = (h ^ name.p[i]) * UINT64_C(0x100000001b3);
  return h;
}

/* A path below the database's folder. */
static bool is_name(span name) {
  if (name.n > ZONE_NAME_BYTES || name.p[0] == '/') return false;
  for (size_t i = 0; i < name.n; i++) {
    bool up = name.p[i] == '.' && i + 1 < name.n && name.p[i + 1] == '.';
    if (up || name.p[i] == '\\' || name.p[i] == 0) return false;
  }
  return true;
}

err *zones_find(zones *z, span name, arena *a, const zone **ret_zone) {
  *ret_zone = &zone_utc;
  if (!name.n || span_eq(name, SPAN("UTC")) || span_eq(name, SPAN("Local"))) return NULL;
  if (!is_name(name)) return ERR(a, INVALID_ARGUMENT, "time: invalid location name");
  uint64_t hash = name_hash(name);
  for (hmap_node *n = hmap_first(&z->by_name, hash); n; n = hmap_next(n)) {
    const known_zone *k = CONTAINER_OF(n, known_zone, node);
    if (!span_eq(k->name, name)) continue;
    *ret_zone = k->zone;
    return NULL;
  }
  span tzif = SPAN_NONE;
  if (!z->source || z->source->read(z->source, name, a, &tzif)) {
    return ERR(a, INVALID_ARGUMENT, "unknown time zone %.*s", SPAN_ARG(name));
  }
  known_zone *k = mem_new(known_zone);
  err *e = zone_parse(tzif, &k->arena, &k->zone);
  if (e) {
    e = err_dup(a, e);
    arena_release(&k->arena);
    mem_free(k);
    return e;
  }
  k->name = arena_dup(&k->arena, name);
  hmap_insert(&z->by_name, &k->node, hash);
  *ret_zone = k->zone;
  return NULL;
}
