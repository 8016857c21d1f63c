"""A test that no meson.build names would never run: every test_*.c and fuzz_*.c is in its folder's list."""
import re
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent


def main():
    forgotten = []
    for source in [*TESTS.glob("unit/*/test_*.c"), *TESTS.glob("fuzz/fuzz_*.c")]:
        build = source.with_name("meson.build")
        name = source.stem.split("_", 1)[1]
        if not build.exists() or not re.search(rf"'(\w+_)?{re.escape(name)}(\.c)?'", build.read_text()):
            forgotten.append(source)
    for source in forgotten:
        print(f"{source.relative_to(TESTS)} is not in its meson.build")
    sys.exit(1 if forgotten else 0)


main()
