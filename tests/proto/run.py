#!/usr/bin/python3
"""Every message type against python3-protobuf: random messages, binary and JSON, both directions.

    tests/proto/run.py [--full] [--count N] [--seed S] [--only SUBSTRING] [--build DIR]

Random messages of every type go through the program tests/proto/pb_peer.c of a build folder and
through the reference, with a descriptor pool made from what the build gave protoc. Also: unknown
fields, messages joined to themselves, damaged input. One check per type; a difference is printed
with the seed and the number of the message. Without --build, build-debug is brought up to date.
"""

import argparse
import math
import os
import random
import struct
import subprocess
import sys
import warnings

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor as FD
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INTEGERS = {
    FD.TYPE_INT32: (-2**31, 2**31 - 1), FD.TYPE_SINT32: (-2**31, 2**31 - 1),
    FD.TYPE_SFIXED32: (-2**31, 2**31 - 1), FD.TYPE_INT64: (-2**63, 2**63 - 1),
    FD.TYPE_SINT64: (-2**63, 2**63 - 1), FD.TYPE_SFIXED64: (-2**63, 2**63 - 1),
    FD.TYPE_UINT32: (0, 2**32 - 1), FD.TYPE_FIXED32: (0, 2**32 - 1),
    FD.TYPE_UINT64: (0, 2**64 - 1), FD.TYPE_FIXED64: (0, 2**64 - 1),
}
TEXTS = ['', 'a', 'workflow-id', 'tab\tquote"back\\slash/', '\x00nul\x00', '\u00e9\u4e2d\U0001f600',
         '\x7f\x01\u2028\u2029<>&', 'x' * 200, '_snake_case', 'ünï/cödé']


# Where we refuse and the reference does not: it drops bits of a varint that do not fit, and takes a
# stray end of a group for the end of the message.
STRICTER = (b'varint of more than 64 bits', b'field number out of range',
            b'end of a group that was not begun')


class Peer:

    def __init__(self, command):
        self.process = subprocess.Popen([command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, op, name, data):
        name = name.encode()
        self.process.stdin.write(struct.pack('<cH', op.encode(), len(name)) + name +
                                 struct.pack('<I', len(data)) + data)
        self.process.stdin.flush()
        head = self.process.stdout.read(5)
        if len(head) != 5:
            raise SystemExit(f'the peer died (status {self.process.wait()})')
        ok, n = struct.unpack('<BI', head)
        return bool(ok), self.process.stdout.read(n)


class Maker:
    """Random messages of any type."""

    def __init__(self, rng, pool, classes):
        self.rng, self.pool, self.classes = rng, pool, classes
        self.budget = rng.choice((5, 20, 60))  # of messages and elements

    def text(self):
        rng = self.rng
        if rng.random() < 0.7:
            return rng.choice(TEXTS)
        return ''.join(chr(rng.choice((rng.randrange(1, 0x80), rng.randrange(0x80, 0xD800),
                                       rng.randrange(0xE000, 0x110000))))
                       for _ in range(rng.randrange(12)))

    def scalar(self, field):
        rng, kind = self.rng, field.type
        if kind in INTEGERS:
            low, high = INTEGERS[kind]
            return rng.choice((low, high, 0, 1, rng.randint(low, high), rng.randint(0, 200)))
        if kind == FD.TYPE_BOOL:
            return rng.random() < 0.5
        if kind == FD.TYPE_ENUM:
            known = [v.number for v in field.enum_type.values]
            if field.enum_type.full_name == 'google.protobuf.NullValue':
                return 0
            return rng.choice(known + [rng.randint(-2**31, 2**31 - 1)] * (rng.random() < 0.3))
        if kind == FD.TYPE_STRING:
            return self.text()
        if kind == FD.TYPE_BYTES:
            return bytes(rng.randrange(256) for _ in range(rng.choice((0, 1, 2, 3, 20))))
        if kind == FD.TYPE_FLOAT:
            value = rng.choice((0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, 1e-38,
                                rng.uniform(-1e9, 1e9), rng.uniform(-1, 1)))
            return struct.unpack('<f', struct.pack('<f', value))[0]
        return rng.choice((0.0, -0.0, 2.0, 1e300, 5e-324, math.inf, -math.inf, math.nan, 0.1,
                           rng.uniform(-1e18, 1e18), rng.uniform(-1, 1)))

    def any(self, message, depth):
        rng = self.rng
        name = rng.choice(('temporal.api.common.v1.WorkflowExecution', 'google.protobuf.Duration',
                           'temporal.api.failure.v1.Failure', 'google.protobuf.StringValue'))
        inner = self.classes(name)()
        self.fill(inner, depth + 1)
        message.type_url = 'type.googleapis.com/' + name
        message.value = inner.SerializeToString()

    def well_known(self, message, name, depth):
        rng = self.rng
        if name == 'google.protobuf.Timestamp':
            message.seconds = rng.choice((0, 1, 253402300799, -62135596800,
                                          rng.randint(-62135596800, 253402300799)))
            message.nanos = rng.choice((0, 1, 999999999, 500000000, 123456000,
                                        rng.randint(0, 999999999)))
        elif name == 'google.protobuf.Duration':
            sign = rng.choice((1, -1))
            message.seconds = sign * rng.choice((0, 1, 315576000000, rng.randint(0, 315576000000)))
            message.nanos = sign * rng.choice((0, 1, 999999999, 250000000, 1000))
        elif name == 'google.protobuf.Any':
            self.any(message, depth)
        elif name == 'google.protobuf.FieldMask':
            message.paths.extend(rng.choice(('a', 'some_field', 'outer_name.inner_name'))
                                 for _ in range(rng.randrange(3)))
        elif name == 'google.protobuf.Value':
            self.value(message, depth)
        else:
            return False
        return True

    def value(self, message, depth):
        kind = self.rng.randrange(6 if depth < 4 else 4)
        if kind == 0:
            message.null_value = 0
        elif kind == 1:
            message.number_value = self.rng.choice((0.0, -1.5, 1e20, 3.0))
        elif kind == 2:
            message.string_value = self.text()
        elif kind == 3:
            message.bool_value = self.rng.random() < 0.5
        elif kind == 4:
            message.struct_value.SetInParent()
            self.fill(message.struct_value, depth + 1)
        else:
            message.list_value.SetInParent()
            self.fill(message.list_value, depth + 1)

    def fill(self, message, depth=0):
        desc = message.DESCRIPTOR
        if self.well_known(message, desc.full_name, depth):
            return
        density = self.rng.choice((0.1, 0.4, 0.9)) if depth < 2 else 0.25
        for field in desc.fields:
            if self.rng.random() > density or self.budget <= 0:
                continue
            if field.label == FD.LABEL_REPEATED:
                for _ in range(self.rng.choice((0, 1, 2, 3, 5))):
                    self.add(message, field, depth)
            elif field.type == FD.TYPE_MESSAGE:
                self.budget -= 1
                getattr(message, field.name).SetInParent()
                self.fill(getattr(message, field.name), depth + 1)
            else:
                setattr(message, field.name, self.scalar(field))

    def add(self, message, field, depth):
        self.budget -= 1
        values = getattr(message, field.name)
        if field.type != FD.TYPE_MESSAGE:
            values.append(self.scalar(field))
        elif not field.message_type.GetOptions().map_entry:
            self.fill(values.add(), depth + 1)
        else:
            value = field.message_type.fields_by_number[2]
            k = self.scalar(field.message_type.fields_by_number[1])
            if value.type == FD.TYPE_MESSAGE:
                self.fill(values[k], depth + 1)
            else:
                values[k] = self.scalar(value)


def unknown_bytes(rng):
    """Fields that no message has, as raw bytes."""
    number = rng.choice((5000, 536870911))
    tag = lambda wire: varint(number << 3 | wire)
    return b''.join(rng.choice((tag(0) + b'\x96\x01', tag(1) + b'12345678', tag(5) + b'1234',
                                tag(2) + b'\x03abc', tag(3) + tag(0) + b'\x01' + tag(4)))
                    for _ in range(rng.randrange(1, 4)))


def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def settle_maps(message):
    """Reading a map makes the reference drop repeated keys; until then it keeps all of them."""
    for field, value in message.ListFields():
        if field.type != FD.TYPE_MESSAGE:
            continue
        if field.label != FD.LABEL_REPEATED:
            settle_maps(value)
        elif not field.message_type.GetOptions().map_entry:
            for item in value:
                settle_maps(item)
        elif field.message_type.fields_by_number[2].type == FD.TYPE_MESSAGE:
            for key in value:
                settle_maps(value[key])
        else:
            len(value)


def canonical(message):
    return message.SerializeToString(deterministic=True)


class Difference(Exception):
    pass


class Test:

    def __init__(self, peer, pool, classes):
        self.peer, self.pool, self.classes = peer, pool, classes

    def ours(self, op, name, data):
        ok, out = self.peer.ask(op, name, data)
        if not ok:
            raise Difference(f'{op}: refused: {out.decode(errors="replace")}\n'
                             f'  input {data[:400]!r}')
        return out

    def expect(self, what, cls, wanted, got):
        if canonical(wanted) != canonical(got):
            raise Difference(f'{what} differs\n  wanted {str(wanted)[:1500]}\n'
                             f'  got {str(got)[:1500]}')

    def settle_any(self, message):
        """An Any holds bytes, in which maps may come in any order."""
        if message.DESCRIPTOR.full_name == 'google.protobuf.Any' and message.type_url:
            inner = self.classes(message.type_url.split('/')[-1])()
            inner.MergeFromString(message.value)
            self.settle_any(inner)
            message.value = canonical(inner)
        for field, value in message.ListFields():
            if field.type != FD.TYPE_MESSAGE:
                continue
            if field.label != FD.LABEL_REPEATED:
                self.settle_any(value)
            elif not field.message_type.GetOptions().map_entry:
                for item in value:
                    self.settle_any(item)

    def parse(self, cls, data):
        """None when the reference refuses. It only warns when it stops early at the stray end of a
        group."""
        message = cls()
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter('always')
                message.MergeFromString(data)
        except DecodeError:
            return None
        if warned:
            return None
        settle_maps(message)
        return message

    def binary(self, name, cls, message, rng):
        data = message.SerializeToString()
        if rng.random() < 0.3:
            extra = unknown_bytes(rng)
            data = data + extra if rng.random() < 0.5 else extra + data
        if rng.random() < 0.2:
            data += data  # fields twice: lists join, messages merge, scalars are replaced
        wanted = self.parse(cls, data)
        self.expect('binary', cls, wanted, self.parse(cls, self.ours('b', name, data)))
        self.mutated(name, cls, data, rng)

    def mutated(self, name, cls, data, rng):
        """Damaged input: both accept and agree, or both refuse."""
        if not data:
            return
        damaged = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 5))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        if rng.random() < 0.3:
            del damaged[rng.randrange(len(damaged) + 1):]
        damaged = bytes(damaged)
        wanted = self.parse(cls, damaged)
        ok, out = self.peer.ask('b', name, damaged)
        if not ok and wanted is not None and any(w in out for w in STRICTER):
            return
        if ok != (wanted is not None):
            raise Difference(f'damaged input: accepted by us {ok}\n  {out[:200]!r}\n  {damaged!r}')
        if ok:
            self.expect('damaged input', cls, wanted, self.parse(cls, out))

    def json(self, name, cls, message):
        data = message.SerializeToString()
        text = json_format.MessageToJson(message, descriptor_pool=self.pool, indent=None)
        ours = self.ours('j', name, data)
        back = json_format.Parse(ours.decode(), cls(), descriptor_pool=self.pool)
        wanted = json_format.Parse(text, cls(), descriptor_pool=self.pool)
        self.settle_any(wanted)
        self.settle_any(back)
        self.expect('our JSON', cls, wanted, back)
        read = self.parse(cls, self.ours('J', name, text.encode()))
        self.settle_any(read)
        self.expect('JSON read by us', cls, wanted, read)
        again = json_format.MessageToJson(message, descriptor_pool=self.pool, indent=2,
                                          preserving_proto_field_name=True, ensure_ascii=False)
        read = self.parse(cls, self.ours('J', name, again.encode()))
        self.settle_any(read)
        self.expect('JSON with proto names', cls, wanted, read)


def all_messages(pool, files):
    def walk(desc):
        yield desc
        for nested in desc.nested_types:
            if not nested.GetOptions().map_entry:
                yield from walk(nested)
    for file in files.file:
        for desc in pool.FindFileByName(file.name).message_types_by_name.values():
            yield from walk(desc)


def run_type(test, maker_of, desc, cls, args):
    """None, or how the first message that differs differs."""
    for i in range(args.count):
        rng = random.Random(f'{args.seed}/{desc.full_name}/{i}')
        message = cls()
        maker_of(rng).fill(message)
        try:
            test.binary(desc.full_name, cls, message, rng)
            test.json(desc.full_name, cls, message)
        except Difference as e:
            return f'message {i} of seed {args.seed}: {e}'
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--full', action='store_true', help='1000 messages of each type')
    parser.add_argument('--count', type=int, help='messages of each type, default 100')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--only', default='', help='types whose name contains this')
    parser.add_argument('--build', help='a build folder that is up to date')
    args = parser.parse_args()
    args.count = args.count or (1000 if args.full else 100)
    if not args.build:
        args.build = os.path.join(ROOT, 'build-debug')
        subprocess.run([os.path.join(ROOT, 'dev'), 'build', 'debug', 'tests/proto/pb_peer'],
                       check=True)
    sys.stderr = sys.stdout
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the reference complains of bad UTF-8 there
    pool = DescriptorPool()
    with open(os.path.join(args.build, 'src/proto/pb.descriptors'), 'rb') as f:
        files = FileDescriptorSet.FromString(f.read())
    for file in files.file:
        pool.Add(file)
    factory = message_factory.MessageFactory(pool)

    def classes(name):
        return factory.GetPrototype(pool.FindMessageTypeByName(name))

    test = Test(Peer(os.path.join(args.build, 'tests/proto/pb_peer')), pool, classes)
    passed = failed = 0
    for desc in all_messages(pool, files):
        if args.only not in desc.full_name:
            continue
        problem = run_type(test, lambda rng: Maker(rng, pool, classes), desc,
                           factory.GetPrototype(desc), args)
        if problem:
            failed += 1
            print(f'not ok {desc.full_name}\n{problem}', flush=True)
        else:
            passed += 1
            print(f'ok {desc.full_name}', flush=True)
    print(f'{passed} passed, {failed} failed')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main())
