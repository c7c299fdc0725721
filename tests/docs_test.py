#!/usr/bin/env python3
"""Checks that what the documents name exists: functions in backquotes, files, folders; and the
tests that show each line of guarantees.md.

    docs_test.py [ROOT]
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
SOURCE_FOLDERS = ("src", "bench", "fuzz", "sim")
IDENTIFIER = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)+$|^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$")
PATH = re.compile(r"^[\w./-]+\.(c|h|py|md|txt|proto)$|^[\w./-]+/$")


def source_words():
    words = set()
    for folder in SOURCE_FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".c", ".h", ".py", ".build"):
                words.update(re.findall(r"\w+", path.read_text(errors="replace")))
    for path in (ROOT / "proto").rglob("*.proto"):
        words.update(re.findall(r"\w+", path.read_text()))
    return words


def files():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True,
                            check=True)
    return listed.stdout.splitlines()


def exists(path, known):
    """A path may leave out `src/`; a folder counts when a file lies in it."""
    wanted = [path, "src/" + path]
    return any(name == w or name.startswith(w if w.endswith("/") else w + "/")
               or name.endswith("/" + path) for name in known for w in wanted)


# Where the tests of guarantees.md are: files, and what is a test's name in them.
TESTS = {
    "": ("tests/conformance/recordings/*.json", None),
    "engine:": ("src/engine/testdata/*.txt", None),
    "unit:": ("src/**/*_test.c", r"^(?:TEST\(|static void )(\w+)"),
    "python:": ("tests/e2e/python/*.py", r"^(?:async )?def (test_\w+)\("),
    "server:": ("tests/e2e/server/*.py", r"^(?:async )?def (test_\w+)\("),
    "polyglot:": ("tests/e2e/polyglot/*.py", r"^(?:async )?def (test_\w+)\("),
    "typescript:": ("tests/e2e/typescript/main.ts", r"^test\('([^']+)'"),
    "go:": ("tests/e2e/go/main.go", r'\.check\("([^"]+)"'),
    "java:": ("tests/e2e/java/src/**/Main.java", r'\bcheck\(\s*"([^"]+)"'),
}


def tests():
    found = set()
    for prefix, (pattern, name) in TESTS.items():
        for path in ROOT.glob(pattern):
            names = re.findall(name, path.read_text(), re.M) if name else [path.stem]
            found.update(prefix + n for n in names)
    return found


def unproven(document):
    """Lines of the tables whose last cell does not name tests that exist."""
    known = tests()
    for number, line in enumerate(document.read_text().splitlines(), 1):
        cells = line.split("|")
        if len(cells) != 4 or set(cells[1]) <= {"-"} or not cells[1].strip():
            continue
        named = re.findall(r"`([^`]+)`", cells[2])
        for name in [n for n in named if n not in known] or ([] if named else ["a test"]):
            yield f"{document.name}:{number}: there is no {name}"


def problems(document, words, known):
    for number, line in enumerate(document.read_text().splitlines(), 1):
        for quoted in re.findall(r"`([^`\s]+)`", line):
            name = quoted.rstrip("()")
            if PATH.match(name) and not name.startswith((".dev", "build")):
                if not exists(name, known):
                    yield f"{document.name}:{number}: there is no {quoted}"
            elif IDENTIFIER.match(name) and name not in words:
                yield f"{document.name}:{number}: the code has no {quoted}"


def main():
    words, known = source_words(), files()
    documents = sorted((ROOT / "docs").glob("*.md")) + [ROOT / "README.md"]
    failed = 0
    for document in documents:
        proven = document.name == "guarantees.md"
        found = list(unproven(document) if proven else problems(document, words, known))
        print(f"{'not ok' if found else 'ok'} {document.name} names what exists")
        print("\n".join(found), end="\n" if found else "")
        failed += bool(found)
    print(f"{len(documents) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
