#!/usr/bin/python3
"""No method and no request field of the protocol is left out by accident.

    tests/omission/run.py [--build DIR] [--show]

Every method of every service has a handler, or is listed in `unused.txt` with the reason why not.
Every field of every message that a request with a handler can hold is read somewhere in the server
(`src/rpc/handlers`, `src/engine`, `src/shard`, ...), or is listed likewise. What is listed although
it is used, and what does not exist, is wrong too.

Whether a field is read is what the compiler says: the generated header is copied with every field
marked deprecated, every source file is compiled with that copy (nothing is written), and each
warning names a use and the line of the field. An assignment to the field is no use of it. A message
that is kept and given back as it came is not looked into, so its parts are listed.

--show prints everything that is neither read nor listed, ready for unused.txt.
"""

import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorSet

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LIST = os.path.join(HERE, "unused.txt")
READERS = ("src/rpc/handlers/*.c", "src/engine/*.c", "src/shard/*.c",
           "src/matching/*.c", "src/visibility/*.c", "src/schedule/*.c", "src/batch/*.c")
NOT_READERS = re.compile(r"_test\.c$|/test_|/script_")
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wdeprecated-declarations",
         "-fdiagnostics-plain-output", "-fno-diagnostics-show-caret"]
STRUCT = re.compile(r"^struct pb_(\w+) \{ /\* (\S+) \*/")
MEMBER = re.compile(r"^  (\w+) \*?(\w+);$")
NUMBER = re.compile(r"^  (PB_\w+_FIELD) = \d+,$")
USE = re.compile(r"^(\S+?):(\d+):(\d+): warning: .(\w+). is deprecated")
DECLARED = re.compile(r"^\S*pb\.gen\.h:(\d+):\d+: note: declared here")
ROW = re.compile(r'\{"(\w+)", RPC_\w+,\s*(\w+),')
BY_NAME = re.compile(r'find_span\(m->request, "(\w+)"')
# What may stay unbuilt for now.
NEXT_WAVE = ("worker versions", "Nexus", "standalone activities", "workflow pause",
             "time skipping")


def marked(header):
    """The header with every member and every field number deprecated, and what is declared on
    which of its lines."""
    lines, declared, struct, message = [], {}, "", ""
    for number, line in enumerate(header.splitlines(), 1):
        if STRUCT.match(line):
            struct, message = STRUCT.match(line).groups()
        member, constant = MEMBER.match(line), NUMBER.match(line)
        if message and member and member.group(2) != "head":
            declared[number] = f"{message}.{member.group(2)}"
            line = line[:-1] + " __attribute__((deprecated));"
        elif message and constant:
            field = constant.group(1)[len(f"PB_{struct}_"):-len("_FIELD")]
            declared[number] = f"{message}.{field}"
            line = line.replace(" =", " __attribute__((deprecated)) =")
        lines.append(line)
    return "\n".join(lines) + "\n", declared


def reads(source, line, column, name):
    """Whether the expression that begins here reads the member: it may also only assign to it. One
    that goes on below this line counts as reading."""
    member = re.compile(rf"[\w\])](?:->|\.){name}\b(\s*=(?!=))?")
    found = list(member.finditer(source[line - 1], max(column - 1, 0)))
    return not found or not all(m.group(1) for m in found)


def uses_of(path, include, build, declared):
    command = ["cc", *FLAGS, "-I", include, "-I", os.path.join(ROOT, "src"), "-I",
               os.path.join(build, "src"), path]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{path} does not compile with the marked header:\n{done.stderr[:2000]}")
    with open(path) as f:
        source = f.read().splitlines()
    found, use = set(), None
    for line in done.stderr.splitlines():
        if USE.match(line):
            use = USE.match(line)
        elif DECLARED.match(line) and use:
            where, row, column, name = use.groups()
            number = int(DECLARED.match(line).group(1))
            own = os.path.abspath(where) == path  # not in an inline function of a header
            if number in declared and (not own or reads(source, int(row), int(column), name)):
                found.add(declared[number])
            use = None
    return found


def used_fields(build):
    with open(os.path.join(build, "src", "proto", "pb.gen.h")) as f:
        header, declared = marked(f.read())
    paths = [p for pattern in READERS for p in glob.glob(os.path.join(ROOT, pattern))
             if not NOT_READERS.search(p)]
    with tempfile.TemporaryDirectory() as include:
        os.mkdir(os.path.join(include, "proto"))
        with open(os.path.join(include, "proto", "pb.gen.h"), "w") as f:
            f.write(header)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            parts = pool.map(lambda p: uses_of(p, include, build, declared), paths)
            return set(declared.values()), set().union(*parts)


class Schema:
    def __init__(self, build):
        self.messages, self.methods = {}, {}
        with open(os.path.join(build, "src", "proto", "pb.descriptors"), "rb") as f:
            files = FileDescriptorSet.FromString(f.read())
        for file in files.file:
            for m in file.message_type:
                self.add(file.package, m)
            for s in file.service:
                for m in s.method:
                    self.methods[f"{file.package}.{s.name}/{m.name}"] = m.input_type[1:]

    def add(self, scope, message):
        name = f"{scope}.{message.name}"
        self.messages[name] = message
        for m in message.nested_type:
            self.add(name, m)

    def reachable(self, request):
        """Every message that this one can hold, itself included."""
        seen, left = set(), [request]
        while left:
            name = left.pop()
            if name in seen or name.startswith("google."):
                continue
            seen.add(name)
            for f in self.messages[name].field:
                if f.type == FieldDescriptorProto.TYPE_MESSAGE:
                    left.append(f.type_name[1:])
        return seen


def built_methods():
    with open(os.path.join(ROOT, "src", "rpc", "handlers", "table.c")) as f:
        return {name for name, handler in ROW.findall(f.read()) if handler != "NULL"}


def read_list():
    """{entry: reason}; an entry is Service/Method, a message, or a message and a field."""
    listed = {}
    with open(LIST) as f:
        for number, line in enumerate(f, 1):
            line = line.split("#")[0].strip()
            if not line:
                continue
            entry, _, reason = line.partition(":")
            if not reason.strip() or entry in listed:
                sys.exit(f"unused.txt:{number}: needs one reason, once: {line}")
            listed[entry] = reason.strip()
    return listed


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--build", default=os.path.join(ROOT, "build-debug"))
    options.add_argument("--show", action="store_true")
    args = options.parse_args()
    build = os.path.abspath(args.build)
    schema, built, listed = Schema(build), built_methods(), read_list()
    in_header, used = used_fields(build)
    with open(os.path.join(ROOT, "src", "rpc", "handlers", "api.c")) as f:
        by_name = set(BY_NAME.findall(f.read()))
    for request in schema.methods.values():
        used |= {f"{request}.{name}" for name in by_name} & in_header

    checks, missing = 0, []
    wrong, unneeded = [], dict(listed)
    fields = set()
    for method, request in schema.methods.items():
        checks += 1
        if method.split("/")[1] in built:
            fields |= {f"{m}.{f.name}" for m in schema.reachable(request)
                       for f in schema.messages[m].field}
        elif unneeded.pop(method, None) is None:
            missing.append(method)
    whole = {e for e in listed if e in schema.messages}
    for field in sorted(fields):
        checks += 1
        message = field.rpartition(".")[0]
        if field in used:
            continue
        if field in listed:
            unneeded.pop(field, None)
        elif message in whole:
            unneeded.pop(message, None)
        else:
            missing.append(field)
    for entry in unneeded:
        known = entry in schema.methods or entry in in_header or entry in schema.messages
        wrong.append(f"{entry}: listed although " + ("it is used" if known else "it is no name"))
    for entry, reason in listed.items():
        wave = re.match(r"next wave \((.*)\)", reason)
        if reason.startswith("next wave") and (not wave or wave.group(1) not in NEXT_WAVE):
            wrong.append(f"{entry}: only these wait for the next wave: {', '.join(NEXT_WAVE)}")
    for entry in missing:
        print(entry + ":" if args.show else f"not ok {entry}: neither used nor listed")
    for text in wrong:
        print(f"not ok {text}")
    failed = len(missing) + len(wrong)
    print(f"{checks - len(missing)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
