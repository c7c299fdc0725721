#!/usr/bin/env python3
"""Prints the protocol's schema files into proto/.

The facts of the interface (names, numbers, types, labels, oneofs, methods) are read from the
serialized descriptors inside the PyPI package `temporalio`; comments and options are not. See
proto/README.md.

    print_schema.py --package DIR --out proto     # DIR: .../site-packages/temporalio
"""

import argparse
import ast
import pathlib

from google.protobuf import any_pb2, duration_pb2, empty_pb2, field_mask_pb2
from google.protobuf import struct_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

# Option carriers and the cloud control plane are no part of the server's interface; the cluster and
# interaction packages are remains that nothing refers to.
LEFT_OUT = ('temporal/api/cloud/', 'temporal/api/cluster/', 'temporal/api/interaction/',
            'temporal/api/protometa/', 'nexusannotations/', 'google/api/', 'protoc-gen-openapiv2/')
WELL_KNOWN = (any_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2,
              wrappers_pb2)
SCALARS = {
    getattr(FieldDescriptorProto, 'TYPE_' + name.upper()): name
    for name in ('double', 'float', 'int64', 'uint64', 'int32', 'fixed64', 'fixed32', 'bool',
                 'string', 'bytes', 'uint32', 'sfixed32', 'sfixed64', 'sint32', 'sint64')
}


def serialized_in(path):
    """The serialized FileDescriptorProto in a generated module, read without importing it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, 'attr', '') == 'AddSerializedFile':
            return ast.literal_eval(node.args[0])
    return None


def files_of(package):
    found = {}
    for path in sorted((package / 'api').rglob('*_pb2.py')):
        data = serialized_in(path)
        if data is None:
            continue
        file = FileDescriptorProto.FromString(data)
        if not file.name.startswith(LEFT_OUT):
            found[file.name] = file
    for module in WELL_KNOWN:
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        found[file.name] = file
    return found


class Printer:

    def __init__(self, file):
        self.file = file
        self.lines = []

    def line(self, depth, text):
        self.lines.append('  ' * depth + text)

    def type_name(self, full):
        own = '.' + self.file.package + '.'
        if full.startswith(own) and full[len(own)].isupper():
            return full[len(own):]
        return full[1:]

    def type_of(self, field, entries):
        if field.type in SCALARS:
            return SCALARS[field.type]
        entry = entries.get(field.type_name)
        if entry is not None:
            key, value = (self.type_of(f, {}) for f in sorted(entry.field, key=lambda f: f.number))
            return f'map<{key}, {value}>'
        return self.type_name(field.type_name)

    def field(self, depth, field, entries):
        kind = self.type_of(field, entries)
        label = ''
        if field.label == FieldDescriptorProto.LABEL_REPEATED and not kind.startswith('map<'):
            label = 'repeated '
        elif field.proto3_optional:
            label = 'optional '
        options = ''
        if field.options.HasField('packed') and not field.options.packed:
            options = ' [packed = false]'
        self.line(depth, f'{label}{kind} {field.name} = {field.number}{options};')

    def enum(self, depth, enum):
        self.line(depth, f'enum {enum.name} {{')
        if enum.options.allow_alias:
            self.line(depth + 1, 'option allow_alias = true;')
        for value in enum.value:
            self.line(depth + 1, f'{value.name} = {value.number};')
        self.line(depth, '}')

    def message(self, depth, message, scope):
        full = f'{scope}.{message.name}'
        entries = {f'{full}.{m.name}': m for m in message.nested_type if m.options.map_entry}
        self.line(depth, f'message {message.name} {{')
        for enum in message.enum_type:
            self.enum(depth + 1, enum)
        for nested in message.nested_type:
            if not nested.options.map_entry:
                self.message(depth + 1, nested, full)
        printed = set()
        for field in message.field:
            if not field.HasField('oneof_index') or field.proto3_optional:
                self.field(depth + 1, field, entries)
            elif field.oneof_index not in printed:
                printed.add(field.oneof_index)
                self.line(depth + 1, f'oneof {message.oneof_decl[field.oneof_index].name} {{')
                for member in message.field:
                    if (member.HasField('oneof_index') and not member.proto3_optional and
                            member.oneof_index == field.oneof_index):
                        self.field(depth + 2, member, entries)
                self.line(depth + 1, '}')
        self.line(depth, '}')

    def service(self, service):
        self.line(0, f'service {service.name} {{')
        for m in service.method:
            request = ('stream ' if m.client_streaming else '') + self.type_name(m.input_type)
            response = ('stream ' if m.server_streaming else '') + self.type_name(m.output_type)
            self.line(1, f'rpc {m.name}({request}) returns ({response});')
        self.line(0, '}')

    def print(self):
        self.line(0, 'syntax = "proto3";')
        self.line(0, '')
        self.line(0, f'package {self.file.package};')
        imports = sorted(d for d in self.file.dependency if not d.startswith(LEFT_OUT))
        if imports:
            self.line(0, '')
        for name in imports:
            self.line(0, f'import "{name}";')
        for enum in self.file.enum_type:
            self.line(0, '')
            self.enum(0, enum)
        for message in self.file.message_type:
            self.line(0, '')
            self.message(0, message, '.' + self.file.package)
        for service in self.file.service:
            self.line(0, '')
            self.service(service)
        return '\n'.join(self.lines) + '\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--package', type=pathlib.Path, required=True)
    parser.add_argument('--out', type=pathlib.Path, required=True)
    args = parser.parse_args()
    for name, file in sorted(files_of(args.package).items()):
        path = args.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Printer(file).print())


if __name__ == '__main__':
    main()
