"""The shared library exports davit_ and nothing else, and everything that the headers declare:
exports.py LIBRARY INCLUDE_DIR SONAME"""
import re
import subprocess
import sys
from pathlib import Path

DECLARED = re.compile(r"DAVIT_API\b[^;(]*?\b(davit_\w+)\s*\(", re.S)
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def exported(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True,
                         text=True).stdout
    return {line.split()[-1].split("@")[0] for line in out.splitlines()}


def declared(include):
    return {name for header in (include / "davit").glob("*.h")
            for name in DECLARED.findall(COMMENT.sub("", header.read_text()))}


def main():
    library, include, soname = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    have, wanted = exported(library), declared(include)
    dynamic = subprocess.run(["readelf", "-d", library], check=True, capture_output=True, text=True).stdout
    faults = [f"exported but not davit_: {name}" for name in sorted(have) if not name.startswith("davit_")]
    faults += [f"declared but not exported: {name}" for name in sorted(wanted - have)]
    faults += [f"exported but in no header: {name}" for name in sorted(have - wanted)
               if name.startswith("davit_")]
    if f"[{soname}]" not in dynamic:
        faults.append(f"soname is not {soname}")
    if not wanted:
        faults.append(f"no declarations found below {include}")
    print("\n".join(faults))
    sys.exit(1 if faults else 0)


main()
