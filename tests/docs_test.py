#!/usr/bin/env python3
"""Checks that what the documents name exists: functions in backquotes, files, folders.

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
        found = list(problems(document, words, known))
        print(f"{'not ok' if found else 'ok'} {document.name} names what exists")
        print("\n".join(found), end="\n" if found else "")
        failed += bool(found)
    print(f"{len(documents) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
