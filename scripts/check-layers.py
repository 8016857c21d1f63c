#!/usr/bin/env python3
"""Reads every #include under src/ and include/ and refuses what goes against docs/ARCHITECTURE.md:

- a folder includes strictly lower ranks or itself; equal ranks are strangers;
- cli/ includes the public headers, util/ and itself, nothing else;
- a public header includes public headers and the C library only;
- each foreign library has one door.

    check-layers.py [FILE...]     all files, or these
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

RANKS = {"util": 0, "oci": 1, "net": 2, "archive": 2, "auth": 3, "service": 3, "store": 3,
         "registry": 4, "distribution": 5, "serve": 6, "engine": 6, "cli": 6}

# Header: the files or folders that may include it.
DOORS = [
    (r"curl/", ["src/net/"]),
    (r"microhttpd\.h", ["src/net/"]),
    (r"sqlite3\.h", ["src/store/db.c"]),
    (r"jansson\.h", ["src/util/json.c"]),
    (r"openssl/", ["src/util/hash.c", "src/net/tls.c"]),
    (r"libpsl\.h", ["src/auth/realm.c"]),
    (r"(zlib|zstd|lzma|bzlib|isa-l|igzip_lib)\.h|isa-l/", ["src/archive/"]),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def layer_fault(path, header):
    """Why a quoted include is wrong, or None."""
    folder, _, rest = header.partition("/")
    if not rest:
        return "a quoted include carries its folder"
    if path.parts[0] == "include":
        return None if folder == "davit" else "a public header includes only public headers"
    if folder == "davit":
        return None
    if folder not in RANKS:
        return f"no such folder: {folder}"
    own = path.parts[1]
    if folder == own:
        return None
    if own == "cli":
        return None if folder == "util" else "cli uses the public headers and util only"
    if RANKS[folder] >= RANKS[own]:
        return f"{own} has rank {RANKS[own]}, {folder} has {RANKS[folder]}"
    return None


def door_fault(path, header):
    for pattern, doors in DOORS:
        if re.match(pattern, header):
            if any(str(path) == door or (door.endswith("/") and str(path).startswith(door))
                   for door in doors):
                return None
            return f"its only door is {', '.join(doors)}"
    return None


def faults(path):
    """(line number, header, why) of each forbidden include."""
    if path.parts[0] == "src" and path.parts[1] not in RANKS:
        yield 0, "", f"folder {path.parts[1]} has no rank"
        return
    lines = (ROOT / path).read_text(errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        found = INCLUDE.match(line)
        if found:
            quoted, header = found[1] == '"', found[2]
            why = (quoted and layer_fault(path, header)) or door_fault(path, header)
            if why:
                yield number, header, why


def main():
    given = [Path(name).resolve().relative_to(ROOT) for name in sys.argv[1:]]
    files = given or [p.relative_to(ROOT) for top in ("src", "include")
                      for p in sorted((ROOT / top).rglob("*.[ch]"))]
    bad = 0
    for path in files:
        if path.suffix in (".c", ".h") and path.parts[0] in ("src", "include"):
            for number, header, why in faults(path):
                print(f"{path}:{number}: {header}: {why}")
                bad += 1
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
