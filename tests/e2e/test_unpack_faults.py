"""davit unpack when things go wrong: killed, interrupted, disks that are full, broken or read-only, calls that fail. The target is
never half there, nothing is left beside it once a run has ended, and the next run does it."""
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from conftest import serve
from support import layers, oci, trees
from support.davit import ASAN, FAST, SLOW
from support.faults import Pace
from support.faulty_registry import FaultyRegistry

ROOT = os.geteuid() == 0
KILLS = 20 if ASAN else 100


def gz(*entries):
    tar = layers.layer(*entries)
    return oci.gzip_of(tar), oci.sha256(tar)


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """A few hundred small files, links, owners, xattrs, whiteouts; and 4 MB."""
    layout = oci.Layout.create(tmp_path_factory.mktemp("faults") / "layout")
    low = [layers.directory("."), layers.directory("d", uid=3), layers.device("null", "3", 1, 3)]
    for i in range(150):
        low += [layers.directory(f"d/{i}"), layers.file(f"d/{i}/file", b"%d" % i, uid=i % 3, mode=0o4755)]
    low += [layers.symlink("link", "d/1"), layers.hardlink("hard", "d/1/file"), layers.fifo("pipe")]
    high = [layers.whiteout(f"d/{i}") for i in range(0, 150, 7)]
    high += [layers.directory("d/1"), layers.opaque("d/1"), layers.file("d/1/new", b"new")]
    high += [layers.file("attr", b"", records={"SCHILY.xattr.user.x": "1"})]
    layout.tag("many", layout.add_image([gz(*low), gz(*high), gz(layers.file("big", oci.noise("b", 4 << 20)))]))
    return layout


@pytest.fixture
def registry(layout):
    with FaultyRegistry() as registry:
        yield serve(registry, layout, "many")


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "place"
    path.mkdir()
    return path


@pytest.fixture
def stored(davit, registry):
    """The image is in the store; gives its name."""
    davit("pull", registry.ref)
    return "store:" + registry.ref


@pytest.fixture
def expected(davit, stored, tmp_path):
    davit("unpack", stored, tmp_path / "expected")
    return trees.without(trees.walk(tmp_path / "expected"), "mtime_ns")


def beside(place):
    return {p.name for p in place.iterdir()}


def assert_whole(target, expected):
    assert trees.compare(trees.walk(target), expected) == []


# ---- killed and interrupted ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [["--pull", "never"], ["--pull", "always"], ["--no-store"]])
def test_kill_9_anywhere_leaves_no_half_tree(davit, registry, expected, place, how):
    """KILLS times at random moments of a run, in a chain of runs at one place."""
    target, random_ = place / "root", random.Random(how[-1])
    started = time.monotonic()
    davit("unpack", *how, registry.ref, target)
    whole = time.monotonic() - started
    shutil.rmtree(target)
    ended = 0
    for _ in range(KILLS // 3 + 1):
        run = davit.start("unpack", *how, registry.ref, target)
        time.sleep(random_.uniform(0, whole * 1.1))
        run.kill()
        if target.exists():
            assert_whole(target, expected)
            shutil.rmtree(target)
            ended += 1
    davit("unpack", *how, registry.ref, target)
    assert_whole(target, expected)
    assert beside(place) == {"root"}
    assert davit.store.wrong_blobs() == []


def test_kill_9_while_a_tree_is_exchanged_leaves_the_old_or_the_new_one(davit, stored, expected, place):
    target = place / "root"
    for i in range(KILLS // 5):
        if not target.exists():
            target.mkdir()
            (target / "old").write_text("old")
        run = davit.start("unpack", "--force", stored, target)
        time.sleep(random.Random(i).uniform(0, 0.1 * SLOW))
        run.kill()
        names = {p.name for p in target.iterdir()}
        assert names == {"old"} or "big" in names
        if "big" in names:
            assert_whole(target, expected)
            shutil.rmtree(target)
    davit("unpack", "--force", stored, target)
    assert_whole(target, expected)
    assert beside(place) == {"root"}


@pytest.mark.parametrize("how", [["--pull", "always"], ["--no-store"]])
def test_ctrl_c_ends_it_within_a_second_and_leaves_nothing(davit, registry, place, how):
    registry.fault("blob", Pace(200_000), digest=registry.image.layers[2])
    run = davit.start(*FAST, "unpack", *how, registry.ref, place / "root")
    registry.wait_sent(1_000_000)
    run.signal()
    before = time.monotonic()
    result = run.wait()
    assert result.code == 130 and time.monotonic() - before < 1 * SLOW
    assert beside(place) == set()


def test_a_connection_that_is_gone_for_good_leaves_nothing(davit, registry, place):
    registry.fault("blob", Pace(100), digest=registry.image.layers[2])
    davit.fails(6, *FAST, "--max-download-attempts", 1, "--min-rate", "100k", "--min-rate-window", "0.5", "unpack",
                "--no-store", registry.ref, place / "root")
    assert beside(place) == set()


# ---- disks -----------------------------------------------------------------------------------------------------------


def mounted(davit, script, *args):
    """Runs the program in a mount namespace after a script; gives the result."""
    davit.prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                    script + '\n"$@"\ncode=$?\nls -A "$PLACE" >"$LISTING"\nexit $code', "sh"]
    try:
        return davit.run(*args)
    finally:
        davit.prefix = []


@pytest.fixture
def mounts(davit, place, tmp_path):
    if not ROOT or subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("cannot mount")
    davit.env.update(PLACE=str(place), LISTING=str(tmp_path / "listing"))
    return lambda: set((tmp_path / "listing").read_text().split())


def test_a_full_disk_is_said_and_cleaned(davit, stored, place, mounts):
    result = mounted(davit, 'mount -t tmpfs -o size=2m tmpfs "$PLACE"', "unpack", stored, place / "root")
    assert result.code == 7 and "space" in result.errors[0], str(result)
    assert mounts() == set()


def test_the_last_of_a_disk_is_not_used(davit, layout, place, mounts):
    """threat C5: the one that is unpacked to, and the store's. 1 % of a small one stays free."""
    with FaultyRegistry() as registry:
        registry.add_image(layout, "many", "demo/many:1.0")
        ref = f"{registry.host}/demo/many:1.0"
        script = 'mount -t tmpfs -o size=4m tmpfs "$PLACE"'
        result = mounted(davit, script, "unpack", "--no-store", ref, place / "root")
        assert result.code == 7 and "kept free" in result.errors[0], str(result)
        assert mounts() == set()
        result = mounted(davit, script, "--store", place / "store", "pull", ref)
        assert result.code == 7 and "kept free" in result.errors[0], str(result)


def test_a_disk_without_inodes_is_said_and_cleaned(davit, stored, place, mounts):
    result = mounted(davit, 'mount -t tmpfs -o nr_inodes=60 tmpfs "$PLACE"', "unpack", stored, place / "root")
    assert result.code == 7 and "space" in result.errors[0], str(result)
    assert mounts() == set()


def test_a_read_only_disk_is_said(davit, stored, place, mounts):
    result = mounted(davit, 'mount --bind "$PLACE" "$PLACE"; mount -o remount,ro,bind "$PLACE"', "unpack", stored,
                     place / "root")
    assert result.code == 7 and "Read-only" in result.errors[0], str(result)
    assert mounts() == set()


def test_a_mount_point_is_filled(davit, stored, place, mounts, expected):
    result = mounted(davit, 'mount -t tmpfs tmpfs "$PLACE"', "unpack", stored, place)
    assert result.code == 0, str(result)
    assert mounts() == {p.decode() for p in expected if p and b"/" not in p}


@pytest.fixture
def other_mounts(davit, place, mounts):
    """A mount namespace with a small file system at the place, for many runs; gives the place as it is there."""
    with subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                           f"mount -t tmpfs tmpfs {place} && echo ready && exec cat"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"ready\n"
        davit.prefix = ["nsenter", "-t", str(holder.pid), "-m", "--"]
        yield Path(f"/proc/{holder.pid}/root") / place.relative_to("/")
        davit.prefix = []
        holder.stdin.close()


def test_a_mount_point_that_is_not_empty_is_replaced_by_force(davit, stored, place, other_mounts, expected):
    (other_mounts / "old").mkdir()
    (other_mounts / "old/file").write_text("old")
    (other_mounts / "link").write_text("what the image has as a link")
    error = davit.fails(1, "unpack", stored, place).error
    assert "not empty" in error and beside(other_mounts) == {"old", "link"}
    davit("unpack", "--force", stored, place)
    assert_whole(other_mounts, expected)


def test_kill_9_while_a_mount_point_is_replaced(davit, stored, place, other_mounts, expected):
    """The next run finds the old tree, or the new one, and never some of both."""
    new = {p.decode() for p in expected if p and b"/" not in p}
    old = {"old", "d", "link"}
    random_ = random.Random("mount")
    started = time.monotonic()
    davit("unpack", stored, place)
    whole = time.monotonic() - started
    for _ in range(KILLS // 10):
        for child in other_mounts.iterdir():
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
        for name in old:
            (other_mounts / name).write_text("old")
        run = davit.start("unpack", "--force", stored, place)
        time.sleep(random_.uniform(0.3, 1.2) * whole)
        run.kill()
        davit.run("unpack", stored, place)      # refused, since there is something; but mended
        assert beside(other_mounts) in (old, new)
        if beside(other_mounts) == old:
            assert {(other_mounts / name).read_text() for name in old} == {"old"}
        else:
            assert_whole(other_mounts, expected)
    davit("unpack", "--force", stored, place)
    assert_whole(other_mounts, expected)


def test_a_store_on_a_read_only_disk_is_enough(davit, stored, place, mounts, expected):
    davit.env["STORE"] = str(davit.store.path)
    before = trees.exactly(davit.store.path)
    result = mounted(davit, 'mount --bind "$STORE" "$STORE"; mount -o remount,ro,bind "$STORE"', "unpack", stored,
                     place / "root")
    assert result.code == 0, str(result)
    assert trees.exactly(davit.store.path) == before
    assert_whole(place / "root", expected)


# ---- system calls that fail --------------------------------------------------------------------------------------------


# How often a thread makes each call, about. The first write of the main thread is its message, which is spared.
CALLS = {"openat": 40, "openat2": 3, "write": 30, "pread64": 2, "mkdirat": 20, "symlinkat": 1, "linkat": 1, "mknodat": 2,
         "utimensat": 25, "fchown": 20, "fchownat": 2, "fchmod": 5, "fsetxattr": 1, "renameat2": 1,
         "syncfs": 1, "fsync": 1, "newfstatat": 4, "ftruncate": 1, "getdents64": 1, "unlinkat": 3}


@pytest.fixture(scope="module")
def strace(tmp_path_factory):
    if ASAN or not shutil.which("strace") or subprocess.run(["strace", "-o", "/dev/null", "true"],
                                                            stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no strace here")


def test_a_rename_somewhere_else_is_waited_out(davit, stored, expected, place, strace):
    """openat2() then says EAGAIN, to the files of a bundle's users too: here every other time."""
    davit.prefix = ["strace", "-f", "-o", "/dev/null", "-e", "trace=openat2", "-e",
                    "inject=openat2:error=EAGAIN:when=2+2"]
    davit("unpack", "--bundle", stored, place / "bundle")
    assert trees.without(trees.walk(place / "bundle" / "rootfs"), "mtime_ns") == expected


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EMFILE"])
@pytest.mark.parametrize("call", sorted(CALLS))
def test_a_call_that_fails_leaves_nothing_behind(davit, registry, stored, expected, place, strace, call, error):
    """One call of a kind, early, late or in the middle: an error of one line and nothing left, or all is there."""
    target = place / "root"
    only = ["-P", davit.store.blob_path(registry.image.layers[2])] if call == "pread64" else []
    for when in sorted({2 if call == "write" else 1, CALLS[call] // 2 + 1, CALLS[call]}):
        davit.prefix = ["strace", "-f", "-o", "/dev/null", *map(str, only), "-e", f"trace={call}", "-e",
                        f"inject={call}:error={error}:when={when}"]
        result = davit.run("-q", "unpack", stored, target)
        davit.prefix = []
        if result.code == 0:
            assert target.exists(), str(result)
            assert_whole(target, expected)
            shutil.rmtree(target)
        else:
            assert result.code in (1, 7), str(result)
            assert len(result.errors) == 1, str(result)
            assert not target.exists(), str(result)
        left = beside(place)
        if left and call in ("unlinkat", "openat", "openat2", "getdents64", "newfstatat"):
            davit("unpack", stored, target)     # what could not be removed, the next run removes
            assert_whole(target, expected)
            assert beside(place) == {"root"}
            shutil.rmtree(target)
        else:
            assert left == set(), f"{call} {when}: {result}"
    davit("unpack", stored, target)
    assert_whole(target, expected)
