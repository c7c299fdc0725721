#!/usr/bin/python3
"""Writes pb.gen.h and pb.gen.c: one C struct and one table per message of the schema files.

    gen.py --protoc protoc --proto DIR --header FILE --source FILE [--descriptors FILE] FILE...

How proto types appear in C is told in src/proto/pb.h, the layout of the tables in
src/proto/pb_table.h. Names:

    pb_<Message>, pb_<Outer>_<Inner>   a message
    pb_<x>_<Message>                   a message of package perdure.<x>.v1, always
    pb_<Enum>, PB_<VALUE>              an enum and its values; those of an enum inside a message
                                       are PB_<Message>_<VALUE>
    PB_<Message>_<field>_FIELD         a field number

When messages of two packages share a name, the one of package `common` or `failure` keeps the plain
name; the others get the last component of their package that is not a version: pb_nexus_Failure.
"""

import argparse
import os
import re
import subprocess
import tempfile

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as F
from google.protobuf.descriptor_pb2 import FileDescriptorSet

KEEPS_PLAIN_NAME = ('temporal.api.common.v1', 'temporal.api.failure.v1')
PAYLOADS = '.temporal.api.common.v1.Payloads'
TYPE_RAW = 19  # beside the numbers of FieldDescriptorProto.Type
C_TYPES = {
    F.TYPE_DOUBLE: 'double', F.TYPE_FLOAT: 'float', F.TYPE_INT64: 'int64_t',
    F.TYPE_UINT64: 'uint64_t', F.TYPE_INT32: 'int32_t', F.TYPE_FIXED64: 'uint64_t',
    F.TYPE_FIXED32: 'uint32_t', F.TYPE_BOOL: 'bool', F.TYPE_STRING: 'span', F.TYPE_BYTES: 'span',
    F.TYPE_UINT32: 'uint32_t', F.TYPE_ENUM: 'int32_t', F.TYPE_SFIXED32: 'int32_t',
    F.TYPE_SFIXED64: 'int64_t', F.TYPE_SINT32: 'int32_t', F.TYPE_SINT64: 'int64_t',
    TYPE_RAW: 'span',
}
WIRE_TYPES = {
    F.TYPE_DOUBLE: 1, F.TYPE_FIXED64: 1, F.TYPE_SFIXED64: 1, F.TYPE_FLOAT: 5, F.TYPE_FIXED32: 5,
    F.TYPE_SFIXED32: 5, F.TYPE_STRING: 2, F.TYPE_BYTES: 2, F.TYPE_MESSAGE: 2, TYPE_RAW: 2,
}
SPECIAL = {
    'google.protobuf.Any': 'ANY', 'google.protobuf.Timestamp': 'TIMESTAMP',
    'google.protobuf.Duration': 'DURATION', 'google.protobuf.FieldMask': 'FIELD_MASK',
    'google.protobuf.Struct': 'STRUCT', 'google.protobuf.Value': 'VALUE',
    'google.protobuf.ListValue': 'LIST_VALUE', 'google.protobuf.Empty': 'EMPTY',
    'temporal.api.common.v1.Payload': 'PAYLOAD', 'temporal.api.common.v1.Payloads': 'PAYLOADS',
}
WRAPPERS = ('DoubleValue', 'FloatValue', 'Int64Value', 'UInt64Value', 'Int32Value', 'UInt32Value',
            'BoolValue', 'StringValue', 'BytesValue')
for w in WRAPPERS:
    SPECIAL['google.protobuf.' + w] = 'WRAPPER'
C_KEYWORDS = set('auto break case char const continue default do double else enum extern float for '
                 'goto if inline int long register restrict return short signed sizeof static '
                 'struct switch typedef union unsigned void volatile while linux unix'.split())


class Message:

    def __init__(self, package, outer, proto):
        self.package = package
        self.outer = outer
        self.proto = proto
        self.local = (outer.local + '_' if outer else '') + proto.name
        self.full = (outer.full if outer else package) + '.' + proto.name
        self.c = None
        self.fields = sorted(proto.field, key=lambda f: f.number)


class Enum:

    def __init__(self, package, outer, proto):
        self.outer = outer
        self.proto = proto
        self.full = (outer.full if outer else package) + '.' + proto.name
        self.package = package

    def name_in_c(self):
        prefix = self.outer.c + '_' if self.outer else package_prefix(self.package)
        return prefix + self.proto.name

    def value_in_c(self, value):
        return 'PB_' + (self.outer.c + '_' if self.outer else '') + value.name


class Pool:
    """One string constant that holds every name; names are offsets into it."""

    def __init__(self):
        self.at = {}
        self.texts = []
        self.size = 0

    def add(self, text):
        if text not in self.at:
            self.at[text] = self.size
            self.texts.append(text)
            self.size += len(text) + 1
        return self.at[text]


def package_prefix(package):
    m = re.fullmatch(r'perdure\.(\w+)\.v\d+', package)
    return m.group(1) + '_' if m else ''


def last_name(package):
    return [p for p in package.split('.') if not re.fullmatch(r'v\d+', p)][-1]


def read_files(args):
    with tempfile.TemporaryDirectory() as tmp:
        out = args.descriptors or os.path.join(tmp, 'set')
        subprocess.run([args.protoc, '-I', args.proto, '--include_imports',
                        '--descriptor_set_out=' + out] + args.files, check=True)
        with open(out, 'rb') as f:
            return FileDescriptorSet.FromString(f.read())


class Schema:

    def __init__(self, files):
        self.messages, self.enums, self.services = [], [], []
        for file in files.file:
            if file.syntax != 'proto3':
                raise SystemExit(f'{file.name}: only proto3 is supported')
            for m in file.message_type:
                self.add_message(file.package, None, m)
            for e in file.enum_type:
                self.enums.append(Enum(file.package, None, e))
            for s in file.service:
                self.services.append((file.package, s))
        self.collisions = self.give_names()
        self.messages.sort(key=lambda m: m.full)
        self.enums.sort(key=lambda e: e.full)
        self.message_at = {'.' + m.full: i for i, m in enumerate(self.messages)}
        self.enum_at = {'.' + e.full: i for i, e in enumerate(self.enums)}

    def add_message(self, package, outer, proto):
        m = Message(package, outer, proto)
        self.messages.append(m)
        for nested in proto.nested_type:
            self.add_message(package, m, nested)
        for e in proto.enum_type:
            self.enums.append(Enum(package, m, e))

    def give_names(self):
        packages = {}
        for m in self.messages:
            packages.setdefault(m.local, set()).add(m.package)
        collisions = []
        for m in self.messages:
            rivals = {p for p in packages[m.local] if not package_prefix(p)}
            prefix = package_prefix(m.package)
            if m.outer:
                m.c = m.outer.c + '_' + m.proto.name
                continue
            if not prefix and len(rivals) > 1 and m.package not in KEEPS_PLAIN_NAME:
                prefix = last_name(m.package) + '_'
            m.c = prefix + m.proto.name
            if not package_prefix(m.package) and len(rivals) > 1:
                collisions.append((m.full, 'pb_' + m.c))
        names = [m.c for m in self.messages]
        if len(set(names)) != len(names):
            twice = sorted({n for n in names if names.count(n) > 1})
            raise SystemExit(f'names that are not unique: {twice}')
        return sorted(collisions)

    def message(self, type_name):
        return self.messages[self.message_at[type_name]]

    def type_of(self, f):
        raw = f.type == F.TYPE_MESSAGE and f.type_name == PAYLOADS and f.label != F.LABEL_REPEATED
        return TYPE_RAW if raw else f.type

    def is_map(self, f):
        return (f.type == F.TYPE_MESSAGE and f.label == F.LABEL_REPEATED and
                self.message(f.type_name).proto.options.map_entry)


def c_field(f):
    return f.name + '_' if f.name in C_KEYWORDS else f.name


def presence(m, f, kind):
    if f.label == F.LABEL_REPEATED:
        return 'PB_BY_COUNT'
    if m.proto.options.map_entry:
        return 'PB_ALWAYS'
    if real_oneof(f):
        return 'PB_BY_WHICH'
    if has_presence_bit(f):
        return 'PB_BY_HAS'
    if kind in (F.TYPE_MESSAGE, TYPE_RAW):
        return 'PB_BY_POINTER'
    by_type = {'span': 'PB_BY_LENGTH', 'bool': 'PB_BY_BYTE', 'double': 'PB_BY_WORD64',
               'int64_t': 'PB_BY_WORD64', 'uint64_t': 'PB_BY_WORD64'}
    return by_type.get(C_TYPES[kind], 'PB_BY_WORD32')


def real_oneof(f):
    return f.HasField('oneof_index') and not f.proto3_optional


def has_presence_bit(f):
    return f.proto3_optional and f.type != F.TYPE_MESSAGE


class Header:

    def __init__(self, schema):
        self.schema = schema
        self.out = []

    def member(self, f):
        kind = self.schema.type_of(f)
        if f.label == F.LABEL_REPEATED:
            if kind == F.TYPE_MESSAGE:
                return f'pb_list_{self.schema.message(f.type_name).c} {c_field(f)};'
            return f'pb_list_{C_TYPES[kind].removesuffix("_t")} {c_field(f)};'
        if kind == F.TYPE_MESSAGE:
            return f'pb_{self.schema.message(f.type_name).c} *{c_field(f)};'
        return f'{C_TYPES[kind]} {c_field(f)};'

    def struct(self, m):
        o = self.out
        o.append(f'struct pb_{m.c} {{ /* {m.full} */')
        o.append('  pb_head head;')
        done = set()
        for f in m.proto.field:
            if not real_oneof(f):
                o.append('  ' + self.member(f))
                if has_presence_bit(f):
                    o.append(f'  bool has_{f.name};')
            elif f.oneof_index not in done:
                done.add(f.oneof_index)
                o.append(f'  uint32_t which_{m.proto.oneof_decl[f.oneof_index].name};')
                o.append('  union {')
                for g in m.proto.field:
                    if real_oneof(g) and g.oneof_index == f.oneof_index:
                        o.append('    ' + self.member(g))
                o.append('  };')
        o.append('};')
        if m.fields:
            o.append('enum {')
            for f in m.fields:
                o.append(f'  PB_{m.c}_{f.name}_FIELD = {f.number},')
            o.append('};')
        o.append('')

    def enum(self, i, e):
        self.out.append(f'typedef enum pb_{e.name_in_c()} {{ /* {e.full} */')
        for v in e.proto.value:
            self.out.append(f'  {e.value_in_c(v)} = {v.number},')
        self.out.append(f'}} pb_{e.name_in_c()};')
        self.out.append(f'#define pb_{e.name_in_c()}_enum pb_enums[{i}]')
        self.out.append('')

    def text(self):
        s, o = self.schema, self.out
        o += ['/* Written by tools/proto/gen.py; see src/proto/pb.h.', ' *',
              ' * Messages of different packages that share a name:']
        o += [f' *   {full}: {c}' for full, c in s.collisions]
        o += [' */', '#ifndef PERDURE_PROTO_PB_GEN_H', '#define PERDURE_PROTO_PB_GEN_H', '',
              '#include "proto/pb.h"', '#include "proto/pb_table.h"', '']
        for i, e in enumerate(s.enums):
            self.enum(i, e)
        o += [f'typedef struct pb_{m.c} pb_{m.c};' for m in s.messages]
        o.append('')
        o += [f'#define pb_{m.c}_desc pb_descs[{i}]' for i, m in enumerate(s.messages)]
        o.append('')
        listed = {f.type_name for m in s.messages for f in m.fields
                  if f.label == F.LABEL_REPEATED and f.type == F.TYPE_MESSAGE}
        for name in sorted(listed):
            c = s.message(name).c
            o += [f'typedef struct pb_list_{c} {{', f'  pb_{c} **v;', '  size_t n;',
                  f'}} pb_list_{c};']
        o.append('')
        for m in s.messages:
            self.struct(m)
        for package, service in s.services:
            o.append(f'extern const pb_service pb_{service.name}_service;')
        o += ['', '#endif']
        return '\n'.join(o) + '\n'


class Source:

    def __init__(self, schema):
        self.schema = schema
        self.pool = Pool()
        self.rows, self.index, self.descs = [], [], []

    def row(self, m, f, run):
        s = self.schema
        kind = s.type_of(f)
        flags = []
        wire = WIRE_TYPES.get(kind, 0)
        if f.label == F.LABEL_REPEATED:
            flags.append('PB_REPEATED')
            if wire != 2 and not (f.options.HasField('packed') and not f.options.packed):
                flags.append('PB_PACKED')
                wire = 2
        if s.is_map(f):
            flags.append('PB_MAP')
        aux = '0'
        if real_oneof(f):
            flags.append('PB_ONEOF')
            aux = f'offsetof(pb_{m.c}, which_{m.proto.oneof_decl[f.oneof_index].name})'
        elif has_presence_bit(f):
            flags.append('PB_OPTIONAL')
            aux = f'offsetof(pb_{m.c}, has_{f.name})'
        sub = 0
        if f.type == F.TYPE_MESSAGE:
            sub = s.message_at[f.type_name]
        elif f.type == F.TYPE_ENUM:
            sub = s.enum_at[f.type_name]
        return (f'{{{f.number << 3 | wire}, {self.pool.add(f.name)}, {self.pool.add(f.json_name)}, '
                f'offsetof(pb_{m.c}, {c_field(f)}), {aux}, {sub}, {kind}, '
                f'{" | ".join(flags) or 0}, {run}, {presence(m, f, kind)}}},')

    def message(self, m):
        first_row, first_index = len(self.rows), len(self.index)
        run = 0
        for i, f in enumerate(m.fields):
            before = m.fields[i - 1] if i else None
            same = (before is not None and real_oneof(f) and real_oneof(before) and
                    f.oneof_index == before.oneof_index)
            run = run + 1 if same else 1
            self.rows.append(self.row(m, f, run))
        if len(m.fields) > 254:
            raise SystemExit(f'{m.full}: more than 254 fields')
        dense = min(m.fields[-1].number + 1, 128) if m.fields else 0
        index = [0] * dense
        for i, f in enumerate(m.fields):
            if f.number < dense:
                index[f.number] = i + 1
        self.index += index
        special = 'MAP_ENTRY' if m.proto.options.map_entry else SPECIAL.get(m.full, 'NONE')
        self.descs.append(f'{{{self.pool.add(m.full)}, {first_row}, {first_index}, '
                          f'sizeof(pb_{m.c}), {len(m.fields)}, {dense}, PB_IS_{special}}},')

    def enums(self):
        values, enums = [], []
        for e in self.schema.enums:
            snake = re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', e.proto.name).upper() + '_'
            prefix = len(snake) if all(v.name.startswith(snake) for v in e.proto.value) else 0
            first = len(values)
            for v in sorted(e.proto.value, key=lambda v: v.number):
                values.append(f'{{{v.number}, {self.pool.add(v.name)}}},')
            enums.append(f'{{{self.pool.add(e.full)}, {first}, {len(e.proto.value)}, {prefix}}},')
        return values, enums

    def services(self):
        o = []
        for package, service in self.schema.services:
            o.append(f'static const pb_method {service.name}_methods[] = {{')
            for m in service.method:
                request = self.schema.message_at[m.input_type]
                response = self.schema.message_at[m.output_type]
                streaming = 'true' if m.server_streaming else 'false'
                o.append(f'    {{"{m.name}", &pb_descs[{request}], &pb_descs[{response}], '
                         f'{streaming}}},')
            o += ['};', f'const pb_service pb_{service.name}_service = {{',
                  f'    "{package}.{service.name}", {service.name}_methods, '
                  f'{len(service.method)}}};']
        o.append('const pb_service *const pb_services[] = {')
        o += [f'    &pb_{s.name}_service,' for _, s in self.schema.services]
        o += ['    NULL,', '};']
        return o

    def text(self):
        for m in self.schema.messages:
            self.message(m)
        values, enums = self.enums()
        o = ['#include "proto/pb.gen.h"', '', 'const pb_field pb_fields[] = {']
        o += ['    ' + r for r in self.rows]
        o += ['};', 'const uint8_t pb_index[] = {']
        o += ['    ' + ''.join(f'{b},' for b in self.index[i:i + 40])
              for i in range(0, len(self.index), 40)]
        o += ['};', 'const pb_desc pb_descs[] = {'] + ['    ' + d for d in self.descs] + ['};']
        o.append(f'const size_t pb_desc_count = {len(self.descs)};')
        o += ['const pb_enum_value pb_enum_values[] = {'] + ['    ' + v for v in values] + ['};']
        o += ['const pb_enum pb_enums[] = {'] + ['    ' + e for e in enums] + ['};']
        o += self.services()
        o.append('const char pb_names[] =')
        o += [f'    "{t}\\0"' for t in self.pool.texts]
        o.append('    "";')
        return '\n'.join(o) + '\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--protoc', default='protoc')
    parser.add_argument('--proto', required=True)
    parser.add_argument('--header', required=True)
    parser.add_argument('--source', required=True)
    parser.add_argument('--descriptors', help='keep the FileDescriptorSet here')
    parser.add_argument('files', nargs='+')
    args = parser.parse_args()
    args.files.sort()
    schema = Schema(read_files(args))
    with open(args.header, 'w') as f:
        f.write(Header(schema).text())
    with open(args.source, 'w') as f:
        f.write(Source(schema).text())


if __name__ == '__main__':
    main()
