#!/usr/bin/env python3
"""The rules of tidy.py on small trees: each must see what is wrong and pass what is right."""

import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402

STYLE = "only folders below it:\n  base < proto <\n  engine < store < matching < shard < rpc.\n"
LONG = "int f(int a) {\n" + "  a++;\n" * 69 + "}\n"


def c(name):
    """The include guard of src/<name> around nothing."""
    guard = "PERDURE_" + name.upper().replace("/", "_").replace(".", "_")
    return f"#ifndef {guard}\n#define {guard}\n\n#endif\n"


# rule, files, how many findings, what one of them says
CASES = [
    ("include-direction", {"src/engine/a.c": '#include "store/x.h"\n', "src/store/x.h": ""},
     1, "may not include store"),
    ("include-direction", {"src/store/a.c": '#include "engine/x.h"\n', "src/engine/x.h": ""},
     0, ""),
    ("include-direction", {"src/base/a.c": '#include "a.h"\n'}, 1, "does not name its folder"),
    ("include-direction", {"src/odd/a.c": ""}, 1, "no place"),
    ("include-direction", {"src/base/a.c": '#include "base/no.h"\n'}, 1, "not a file"),
    ("include-direction", {"src/base/a.c": '/* #include "rpc/no.h" */\n'}, 0, ""),
    ("include-direction", {"src/rpc/a.c": '#include "proto/pb.gen.h"\n'}, 0, ""),
    ("function-length", {"src/base/a.c": LONG}, 1, "f has 71 lines"),
    ("function-length", {"src/base/a.c": LONG.replace("  a++;\n", "", 1)}, 0, ""),
    ("function-length", {"src/base/a.c": "static const struct x y[] = {\n" + "  {1},\n" * 90 +
                         "};\n"}, 0, ""),
    ("function-length", {"src/base/a.c": "typedef struct x {\n" + "  int (*f)(int);\n" * 90 +
                         "} x;\n"}, 0, ""),
    ("function-length", {"src/base/a.c": "static int\n" + LONG[4:].replace("(int a)",
                         "(int a,\n      int b)")}, 1, "f has"),
    ("file-length", {"src/base/a.c": "int x;\n" * 700}, 1, "700 lines"),
    ("line-length", {"src/base/a.c": "/* " + "y" * 100 + " */\n"}, 1, "106 columns"),
    ("line-length", {"docs/a.md": "y" * 200 + "\n"}, 0, ""),
    ("banned-calls", {"src/base/a.c": "  p = malloc(3);\n  free (p);\n"}, 2, "mem_alloc"),
    ("banned-calls", {"src/base/mem.c": "  p = malloc(3);\n"}, 0, ""),
    ("banned-calls", {"src/base/a.c": "  x->free(p); mem_free(p); y.free(p);\n"}, 0, ""),
    ("banned-calls", {"src/base/a.c": '  /* malloc(3) */ s = "free(x)"; // gets(x)\n'}, 0, ""),
    ("banned-calls", {"src/base/a.c": "  assert(x); static_assert(y);\n"}, 1, "ASSERT"),
    ("banned-calls", {"src/base/a.c": "  sprintf(b, f); snprintf(b, n, f);\n"}, 1, "buf_addf"),
    ("purity", {"src/engine/a.c": "#include <time.h>\n"}, 1, "an env"),
    ("purity", {"src/store/store.h": "#include <pthread.h>\n"}, 1, "pthread.h"),
    ("purity", {"src/store/sqlite.c": "#include <pthread.h>\n"}, 0, ""),
    ("purity", {"src/shard/a.c": "  clock_gettime(0, &ts);\n"}, 1, "ask the env"),
    ("dead-files", {"src/base/a.c": "", "src/base/meson.build": "'a.c'\n"}, 0, ""),
    ("dead-files", {"src/base/a.c": "", "src/base/meson.build": "'b.c'\n"}, 1, "no meson.build"),
    ("dead-files", {"src/base/a.c": "", "meson.build": "'src/base/a.c'\n"}, 0, ""),
    ("dead-files", {"src/base/a_test.c": "", "src/base/meson.build": "'a'\n"}, 0, ""),
    ("dead-files", {"src/base/a.h": ""}, 1, "no file includes"),
    ("dead-files", {"src/base/a.h": "", "src/base/b.c": '#include "base/a.h"\n',
                    "src/base/meson.build": "'b.c'"}, 0, ""),
    ("folders-explained", {"src/base/a.c": ""}, 1, "no README.md"),
    ("folders-explained", {"src/base/a.c": "", "src/base/README.md": ""}, 0, ""),
    ("folders-explained", {"src/base/a.c": "", "src/base/base.h": ""}, 0, ""),
    ("guards", {"src/base/a.h": c("base/a.h")}, 0, ""),
    ("guards", {"src/base/a.h": c("base/b.h")}, 1, "PERDURE_BASE_A_H"),
    ("open-ends", {"docs/a.md": "TO" "DO: later\n"}, 1, "open end"),
    ("open-ends", {"docs/a.md": "a todo list, mktemp /tmp/x.XX" "XXXX\n"}, 0, ""),
    ("portable-paths", {"docs/a.md": "see /wo" "rk/x/y\n"}, 1, "one machine"),
    ("portable-paths", {"a/package-lock.json": '  "resol' 'ved": "x"\n'}, 1, "registry"),
    ("portable-paths", {"docs/a.md": "https://example.org/home/page src/work/x\n"}, 0, ""),
    ("whitespace", {"src/base/a.c": "int x; \n"}, 1, "trailing"),
    ("whitespace", {"src/base/a.c": "int x;"}, 1, "no newline"),
    ("formatting", {"src/base/a.c": "int  x;\n"}, 1, "clang-format"),
    ("formatting", {"src/base/a.c": "int x;\n"}, 0, ""),
]


def check(name, files, count, says):
    files = {"docs/style.md": STYLE, **files}
    if name == "formatting":
        files[".clang-format"] = "BasedOnStyle: Google\n"
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                f.write(text)
        found = tidy.RULES[name](tidy.Tree(root, files))
    if len(found) != count:
        return f"{len(found)} findings instead of {count}: {found}"
    if says and not any(says in f.message for f in found):
        return f"no finding says {says!r}: {found}"
    return None


def main():
    failed = 0
    for n, (name, files, count, says) in enumerate(CASES):
        wrong = check(name, files, count, says)
        failed += bool(wrong)
        print(f"not ok {name} {n}: {wrong}" if wrong else f"ok {name} {n}")
    untested = set(tidy.RULES) - {case[0] for case in CASES}
    if untested:
        failed += 1
        print(f"not ok rules without a case: {sorted(untested)}")
    print(f"{len(CASES) + bool(untested) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
