"""Installs into a temporary directory and builds a program against it with pkg-config, as an embedder
would: installed.py BUILD_DIR PROGRAM.c SANITIZERS"""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def run(argv, **how):
    done = subprocess.run(argv, capture_output=True, text=True, **how)
    if done.returncode:
        sys.exit(f"{argv}\n{done.stdout}{done.stderr}")
    return done.stdout


def main():
    build, source, sanitizers = sys.argv[1:]
    if not shutil.which("pkg-config"):
        sys.exit(77)
    with tempfile.TemporaryDirectory() as root:
        run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", root])
        found = next(Path(root).rglob("davit.pc"))
        env = {**os.environ, "PKG_CONFIG_PATH": str(found.parent), "PKG_CONFIG_SYSROOT_DIR": root}
        flags = run(["pkg-config", "--cflags", "--libs", "davit"], env=env).split()
        program = Path(root) / "program"
        sanitize = [] if sanitizers == "none" else [f"-fsanitize={sanitizers}"]
        run([*os.environ.get("CC", "cc").split(), "-o", str(program), source, *sanitize, *flags])
        library = next(Path(root).rglob("libdavit.so"))
        env = {**os.environ, "LD_LIBRARY_PATH": str(library.parent)}
        run([str(program)], env=env)
        helper = next(Path(root).rglob("docker-credential-davit"))      # the program under another name
        if "docker-credential-davit (davit)" not in run([str(helper), "version"], env=env):
            sys.exit(f"{helper} is not the credential helper")


main()
