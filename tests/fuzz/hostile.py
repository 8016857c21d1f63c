"""Replays the corpus of the end-to-end tests (support/hostile_layers.py) in a fuzz target: hostile.py KIND FUZZER ARG..."""
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.hostile_layers import write_seeds  # noqa: E402


def main():
    kind, *argv = sys.argv[1:]
    with tempfile.TemporaryDirectory() as seeds:
        write_seeds(seeds, kind)
        sys.exit(subprocess.run([*argv, seeds]).returncode)


main()
