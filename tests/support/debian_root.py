"""Decides how the tests and the benchmark get a Debian root: the tar of what debootstrap makes, which is kept."""
import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
LIMIT_S = 900


def why_not():
    """Why debootstrap cannot be tried, or None."""
    if os.geteuid() != 0:
        return "debootstrap needs root"
    return None if shutil.which("debootstrap") else "debootstrap is not installed"


def pack(root, path):
    """The tar of a tree with everything that tar can say, in one order."""
    subprocess.run(["tar", "-c", "-f", str(path), "-C", str(root), "--format=pax", "--sort=name",
                    "--numeric-owner", "--one-file-system", "--xattrs", "--xattrs-include=*",
                    "--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/lib/apt/lists/?*",
                    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=ctime", "."], check=True)


def ensure(outdir, variant="minbase", include=()):
    """The tar, made unless it is there; RuntimeError says why there is none. Safe for several processes."""
    outdir = Path(outdir)
    outdir.mkdir(parents=True, exist_ok=True)
    name = "-".join(["debian", SUITE, variant, *include])
    tar = outdir / f"{name}.tar"
    with open(outdir / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tar.exists():
            if why_not():
                raise RuntimeError(why_not())
            build(outdir, tar, variant, include)
    return tar


def build(outdir, tar, variant, include):
    root = Path(tempfile.mkdtemp(dir=outdir, prefix="root-"))
    extra = [f"--include={','.join(include)}"] if include else []
    try:
        run = subprocess.run(["debootstrap", f"--variant={variant}", *extra, SUITE, str(root), MIRROR],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, errors="replace", timeout=LIMIT_S)
        if run.returncode:
            raise RuntimeError("debootstrap failed: " + " / ".join(run.stdout.splitlines()[-3:]))
        fresh = tar.with_suffix(".new")
        pack(root, fresh)
        os.rename(fresh, tar)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"debootstrap took more than {LIMIT_S} s") from None
    finally:
        subprocess.run(["umount", "-q", str(root / "proc"), str(root / "sys")], stderr=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", "--one-file-system", str(root)])
