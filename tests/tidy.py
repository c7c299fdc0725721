#!/usr/bin/env python3
"""tidy - checks the house rules of docs/style.md over the whole tree.

Each rule is one function from a Tree to findings; a rule without findings is one passed check.
Usage: tests/tidy.py [--json] [--root DIR] [RULE...]. The last line is `N passed, N failed`.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections import namedtuple

FUNCTION_LINES = 70
FILE_LINES = 660  # "about 600": a tenth of slack, no more
COLUMNS = 100

Finding = namedtuple("Finding", "path line message")

CODE = (".c", ".h")
SCRIPTS = (".py", ".sh", ".ts", ".js", ".mjs")
TEXT = CODE + SCRIPTS + (".md", ".txt", ".toml", ".cfg", ".proto", ".sql", ".yml", ".yaml")
C_ROOTS = ("src/", "sim/", "bench/", "fuzz/", "tools/", "tests/", "examples/")
PURE = ("src/engine/", "src/schedule/", "src/store/store.h", "src/matching/", "src/shard/")

RULES = {}


def rule(f):
    RULES[f.__name__.replace("_", "-")] = f
    return f


def blank(text):
    """Comments and literals become spaces, so that what remains is code at the same place."""
    token = re.compile(
        r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
    return token.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def includes_of(text):
    """(line, bracket, name) of every include that is not inside a comment."""
    bare = re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group()), text,
                  flags=re.S)
    for n, line in enumerate(bare.split("\n"), 1):
        m = re.match(r"\s*#\s*include\s*([<\"])([^>\"]+)[>\"]", line)
        if m:
            yield n, m.group(1), m.group(2)


class Tree:
    """The files that belong to the project, read once."""

    def __init__(self, root, paths=None):
        self.root = root
        self.paths = sorted(paths if paths is not None else list_files(root))
        self.texts, self.blanked = {}, {}

    def text(self, path):
        if path not in self.texts:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as f:
                self.texts[path] = f.read()
        return self.texts[path]

    def code(self, path):
        if path not in self.blanked:
            self.blanked[path] = blank(self.text(path))
        return self.blanked[path]

    def c_files(self, suffixes=CODE):
        return [p for p in self.paths if p.endswith(suffixes) and p.startswith(C_ROOTS)]

    def is_script(self, path):
        if path.endswith(SCRIPTS) or path in ("dev", ".ci/run"):
            return True
        return os.path.basename(path) == "meson.build"


def list_files(root):
    """What git would keep; without git, or in a copy that is no clone, all but built files."""
    git = ["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"]
    try:
        out = subprocess.run(git, check=True, capture_output=True).stdout.decode()
        names = [p for p in out.split("\0") if p]
    except (OSError, subprocess.CalledProcessError):
        names = []
        for folder, dirs, files in os.walk(root):
            dirs[:] = [d for d in dirs
                       if not d.startswith((".dev", ".git", "build", "node_modules", "__pyc"))]
            names += [os.path.relpath(os.path.join(folder, f), root) for f in files]
    return [p for p in names if os.path.isfile(os.path.join(root, p))]


def folder_order(tree):
    """The order of the folders, lowest first, as docs/style.md states it."""
    if "docs/style.md" not in tree.paths:
        return []
    text = re.sub(r"\s+", " ", tree.text("docs/style.md"))
    m = re.search(r"\bbase(?: < \w+)+", text)
    return m.group().split(" < ") if m else []


@rule
def include_direction(tree):
    order = folder_order(tree)
    if not order:
        return [Finding("docs/style.md", 1, "states no folder order `base < ... < server`")]
    found = []
    for path in tree.c_files():
        folder = path.split("/")[1] if path.startswith("src/") else None
        if folder and folder not in order:
            found.append(Finding(path, 1, f"folder {folder} has no place in docs/style.md's order"))
            continue
        for line, bracket, name in includes_of(tree.text(path)):
            if bracket != '"':
                continue
            top = name.split("/")[0]
            if "/" not in name:
                beside = os.path.join(os.path.dirname(path), name)
                if not folder and beside in tree.paths:
                    continue
                found.append(Finding(path, line, f'"{name}" does not name its folder'))
            elif folder and top in order and order.index(top) > order.index(folder):
                found.append(Finding(path, line, f"{folder} may not include {top} (above it)"))
            elif top in order and not name.endswith((".gen.h", ".pb.h")):
                if f"src/{name}" not in tree.paths:
                    found.append(Finding(path, line, f'"{name}" is not a file of src/'))
    return found


def functions_of(code):
    """(first line, last line, name) of every function body, by the layout clang-format gives."""
    lines = code.split("\n")
    start = None
    for n, line in enumerate(lines, 1):
        if start is None:
            if not re.match(r"^(?:[A-Za-z_]|\s+)[^=;#]*\)[^=;#]*\{\s*$", line):
                continue
            first = n
            while first > 1 and lines[first - 1][:1].isspace():
                first -= 1
            head = " ".join(lines[first - 1:n])
            name = re.search(r"([A-Za-z_]\w*)\s*\(", head)
            if name and not re.match(r"^(typedef|struct|union|enum)\b[^(]*$", head):
                start = (first, name.group(1))
        elif line.startswith("}"):
            yield start[0], n, start[1]
            start = None


@rule
def function_length(tree):
    found = []
    for path in tree.c_files():
        for first, last, name in functions_of(tree.code(path)):
            if last - first + 1 > FUNCTION_LINES:
                found.append(Finding(path, first, f"{name} has {last - first + 1} lines, "
                                                  f"the limit is {FUNCTION_LINES}"))
    return found


@rule
def file_length(tree):
    found = []
    for path in tree.c_files():
        n = tree.text(path).count("\n")
        if n > FILE_LINES:
            found.append(Finding(path, n, f"{n} lines, the limit is about 600: one idea a file"))
    return found


@rule
def line_length(tree):
    found = []
    for path in tree.paths:
        if not (path.endswith(CODE) or tree.is_script(path)):
            continue
        for n, line in enumerate(tree.text(path).split("\n"), 1):
            if len(line) > COLUMNS:
                found.append(Finding(path, n, f"{len(line)} columns, the limit is {COLUMNS}"))
    return found


# calls, what to use instead, files that may
BANNED = [
    ("malloc calloc realloc free strdup strndup aligned_alloc posix_memalign",
     "base/mem.h (mem_alloc, mem_zalloc, mem_realloc, mem_free) or an arena", ("src/base/mem.c",)),
    ("asprintf vasprintf", "arena_printf or buf_addf", ()),
    ("alloca", "an arena", ()),
    ("strcpy strncpy stpcpy strcat strncat", "spans, arena_dup or buf_add", ()),
    ("sprintf vsprintf", "arena_printf, buf_addf or snprintf", ()),
    ("gets", "fgets or getline", ()),
    ("strtok", "spans", ()),
    ("atoi atol atoll atof", "a parser that reports what is wrong", ()),
    ("assert", "ASSERT of base/base.h for our invariants, an err for input", ()),
    ("abort", "PANIC of base/base.h", ("src/base/panic.c",)),
    ("rand srand random srandom rand_r drand48 lrand48", "base/rng.h, seeded by the env", ()),
    ("time gettimeofday clock ftime localtime gmtime ctime asctime mktime",
     "the env's clock (clock_gettime only where an env is made)", ()),
    ("setjmp longjmp sigsetjmp siglongjmp", "errors as values", ()),
    ("system popen", "uv_spawn with an argument list", ()),
    ("tmpnam mktemp tempnam", "mkstemp", ()),
]
BANNED_IN_PURE = ("clock_gettime nanosleep usleep sleep getrandom getentropy socket pthread_create "
                  "uv_now uv_hrtime")
PURE_HEADERS = ("uv.h pthread.h threads.h time.h sys/time.h sys/socket.h sys/epoll.h poll.h "
                "netinet/in.h arpa/inet.h netdb.h unistd.h sys/random.h")


def calls_in(code, names):
    pattern = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(names.split()))
    for n, line in enumerate(code.split("\n"), 1):
        for m in pattern.finditer(line):
            yield n, m.group(1)


@rule
def banned_calls(tree):
    found = []
    for path in tree.c_files():
        for names, instead, allowed in BANNED:
            if path in allowed:
                continue
            for line, name in calls_in(tree.code(path), names):
                found.append(Finding(path, line, f"{name}() is banned: use {instead}"))
    return found


@rule
def purity(tree):
    """engine, schedule, store.h, matching and shard see no clock, thread, socket or libc random."""
    found = []
    for path in tree.c_files():
        if not path.startswith(PURE):
            continue
        for line, _, name in includes_of(tree.text(path)):
            if name in PURE_HEADERS.split() or name.startswith(("netinet/", "arpa/", "uv/")):
                found.append(Finding(path, line, f"<{name}> is outside the pure folders: an env "
                                                 "supplies time, randomness and tasks"))
        for line, name in calls_in(tree.code(path), BANNED_IN_PURE):
            found.append(Finding(path, line, f"{name}() in a pure folder: ask the env"))
    return found


@rule
def dead_files(tree):
    found = []
    builds = {os.path.dirname(p): tree.text(p) for p in tree.paths
              if os.path.basename(p) == "meson.build"}
    included = set()
    for path in tree.c_files():
        for _, _, name in includes_of(tree.text(path)):
            included.update((name, os.path.join("src", name)))
            included.add(os.path.normpath(os.path.join(os.path.dirname(path), name)))
    for path in tree.c_files():
        if "/testdata/" in path or path.startswith("examples/"):
            continue
        if path.endswith(".h"):
            if path not in included and not any(i.endswith("/" + path) for i in included):
                found.append(Finding(path, 1, "no file includes this header"))
            continue
        folder = os.path.dirname(path)
        while True:
            name = os.path.relpath(path, folder or ".")
            stem = name[:-2]
            text = builds.get(folder, "")
            if re.search(r"'%s'" % re.escape(name), text) or path in included:
                break
            if stem.endswith(("_test", "_fuzz")) and f"'{stem[:-5]}'" in text:
                break  # a loop over names
            if not folder:
                found.append(Finding(path, 1, "no meson.build names this file"))
                break
            folder = os.path.dirname(folder)
    return found


@rule
def folders_explained(tree):
    """Every folder with C code says what lives there: in README.md, in a header of its name, or
    in the README.md of the folder above."""
    found = []
    for folder in sorted({os.path.dirname(p) for p in tree.c_files()}):
        name = os.path.basename(folder)
        if "/testdata" in folder or name == "testdata":
            continue
        above = f"{os.path.dirname(folder)}/README.md"
        if above in tree.paths and f"{name}/" in tree.text(above):
            continue
        if f"{folder}/README.md" not in tree.paths and f"{folder}/{name}.h" not in tree.paths:
            found.append(Finding(folder, 1, "no README.md and no header named like the folder"))
    return found


@rule
def guards(tree):
    found = []
    for path in tree.c_files((".h",)):
        if not path.startswith("src/"):
            continue
        want = "PERDURE_" + re.sub(r"\W", "_", path[4:]).upper()
        if not re.search(r"#ifndef %s\n#define %s\n" % (want, want), tree.text(path)):
            found.append(Finding(path, 1, f"include guard is not {want}"))
    return found


@rule
def open_ends(tree):
    """Nothing half done is left in silence."""
    words = re.compile(r"\b(%s)\b" % "|".join(("TO" "DO", "FIX" "ME", "X" "XX")))
    found = []
    for path in tree.paths:
        if not (path.endswith(TEXT) or tree.is_script(path)):
            continue
        for n, line in enumerate(tree.text(path).split("\n"), 1):
            if words.search(line):
                found.append(Finding(path, n, "an open end: do it, or say plainly what is missing"))
    return found


@rule
def portable_paths(tree):
    """No path of somebody's machine and no address of a package registry."""
    home = re.compile(r"(?<![\w.$}/])/(?:work|root|home/\w+)/\w|\"resolved\":")
    found = []
    for path in tree.paths:
        if not (path.endswith(TEXT + (".json",)) or tree.is_script(path)):
            continue
        for n, line in enumerate(tree.text(path).split("\n"), 1):
            if path != "tests/tidy.py" and home.search(line):
                found.append(Finding(path, n, "names a path of one machine or a registry address"))
    return found


@rule
def whitespace(tree):
    found = []
    for path in tree.paths:
        if not (path.endswith(TEXT) or tree.is_script(path)) or "/testdata/" in path:
            continue
        text = tree.text(path)
        for n, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip() or ("\t" in line and not path.endswith(".txt")):
                found.append(Finding(path, n, "trailing blank or tab"))
        if text and not text.endswith("\n"):
            found.append(Finding(path, text.count("\n") + 1, "no newline at the end"))
    return found


@rule
def formatting(tree):
    files = tree.c_files()
    if not files:
        return []
    cmd = ["clang-format", "--dry-run", "-Werror", "--style=file"]
    out = subprocess.run(cmd + files, cwd=tree.root, capture_output=True, text=True)
    found, seen = [], set()
    for m in re.finditer(r"^(.+?):(\d+):\d+: error:", out.stderr, re.M):
        if (m.group(1), m.group(2)) not in seen:
            seen.add((m.group(1), m.group(2)))
            found.append(Finding(m.group(1), int(m.group(2)), "not as clang-format has it: "
                                                              "./dev fmt"))
    if out.returncode and not found:
        found.append(Finding(".clang-format", 1, "clang-format: " + out.stderr.strip()[:200]))
    return found


def main():
    ap = argparse.ArgumentParser(description="Checks the house rules over the whole tree.")
    ap.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    ap.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    ap.add_argument("rules", nargs="*", metavar="RULE", help=", ".join(RULES))
    args = ap.parse_args()
    unknown = [r for r in args.rules if r not in RULES]
    if unknown:
        ap.error(f"no such rule: {', '.join(unknown)} (rules: {', '.join(RULES)})")
    tree = Tree(args.root)
    results = {name: RULES[name](tree) for name in args.rules or RULES}
    failed = sum(1 for found in results.values() if found)
    if args.json:
        print(json.dumps({
            "passed": len(results) - failed, "failed": failed, "files": len(tree.paths),
            "rules": {name: [f._asdict() for f in found] for name, found in results.items()}}))
        return 1 if failed else 0
    for name, found in results.items():
        for f in found:
            print(f"{f.path}:{f.line}: {name}: {f.message}")
        print(f"{'not ok' if found else 'ok'} {name}")
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
