"""Compiles every public header alone: headertest.py INCLUDE_DIR COMPILER ARG...

Each one twice in one file, so that its guard and everything it needs are its own business.
"""
import subprocess
import sys
from pathlib import Path

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wundef", "-Werror", "-fsyntax-only"]


def main():
    include, compiler = Path(sys.argv[1]), sys.argv[2:]
    headers = sorted((include / "davit").glob("*.h"))
    failed = 0
    for header in headers:
        unit = f"#include <davit/{header.name}>\n#include <davit/{header.name}>\nint davit_header_test;\n"
        run = subprocess.run([*compiler, *STRICT, "-I", str(include), "-"], input=unit, text=True,
                             capture_output=True)
        if run.returncode:
            failed += 1
            print(f"{header.name} does not compile alone:\n{run.stderr}")
    if not headers:
        print(f"no headers below {include}")
    sys.exit(1 if failed or not headers else 0)


main()
