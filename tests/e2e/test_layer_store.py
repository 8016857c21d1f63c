"""The layer store as an embedder uses it (support/layer_tool.c): the kernel's overlayfs shows what `davit unpack` makes, tars come back byte by
byte, and what is killed leaves nothing that matters."""
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from support import layers, oci, trees
from support.davit import SLOW, program
from support.faulty_registry import FaultyRegistry
from support.hostile_layers import Contained, corpus
from support.layers import directory, file, hardlink, layer, opaque, symlink, whiteout
from support.namespace import Namespace

THOROUGH = os.environ.get("DAVIT_THOROUGH") == "1"
TOOL = Path(os.path.realpath(program())).parents[2] / "tests" / "layer_tool"
CASES = [case for case in corpus("/outside") if case.row[0] == "D" and not case.flags][::1 if THOROUGH else 4]
NOT_LINKS = tuple(name for name in trees.ALL if name != "same_as")     # overlayfs breaks links when it copies up
pytestmark = pytest.mark.skipif(not TOOL.exists(), reason=f"no {TOOL}: build the tests")

LOWER = layer(
    directory("usr"), directory("usr/lib", mode=0o755), file("usr/lib/libc", b"c" * 5000),
    symlink("lib", "usr/lib"), directory("etc", mode=0o750, uid=3, gid=4), file("etc/passwd", b"root", mode=0o640, gid=4),
    file("usr/su", b"#!", mode=0o4755), directory("var"), directory("var/cache"), file("var/cache/a", b"a"),
    file("var/cache/b", b"b"), directory("tmp", mode=0o1777), file("gone", b"1"), directory("whole/tree", mode=0o711),
    file("whole/tree/leaf", b"2"), directory("swap"), file("swap/x", b"3"))
MIDDLE = layer(
    file("lib/libm", b"m" * 300), whiteout("gone"), opaque("var/cache"), file("var/cache/new", b"n"), whiteout("whole"),
    file("swap", b"a file now"), file("etc/group", b"g", uid=9), hardlink("usr/sudo", "usr/su", mode=0o4755))
UPPER = layer(
    directory("swap"), file("swap/y", b"4"), directory("whole", mode=0o751), file("whole/again", b"5"), whiteout("lib/libm"), file("var/cache/b", b"B"),
    directory("etc", mode=0o700, uid=5), file("gone", b"back"))


class LayerTool:
    def __init__(self, davit):
        self.store, self.env = davit.store.path, davit.env

    def start(self, *args, **pipes):
        return subprocess.Popen([TOOL, self.store, *args], env=self.env, **pipes)

    def run(self, *args, data=b""):
        return subprocess.run([TOOL, self.store, *args], input=data, capture_output=True, env=self.env, timeout=60 * SLOW)

    def __call__(self, *args, data=b""):
        done = self.run(*args, data=data)
        assert done.returncode == 0, f"{args}: {done.stderr.decode(errors='backslashreplace')}"
        return done.stdout

    def words(self, *args, **how):
        return self(*args, **how).decode().split()


@pytest.fixture
def tool(davit):
    yield LayerTool(davit)
    subprocess.run(["rm", "-rf", davit.store.path], check=True)     # deeper than pytest can remove


def merged(directories, where, options):
    """What overlayfs makes of directories, top first, as a context manager."""
    (where / "merged").mkdir()
    (where / "empty").mkdir()
    it = Namespace(f"mount -t overlay overlay -o 'ro,{options}lowerdir={directories}:{where}/empty' {where}/merged")
    return it


def walk_merged(directories, where, options=""):
    with merged(directories, where, options) as namespace:
        if namespace.refused:
            pytest.skip(f"overlayfs cannot be mounted here: {namespace.refused}")
        return trees.walk(namespace.path(str(where / "merged")))


def without_overlay(walked):
    for node in walked.values():
        node.xattrs = {name: value for name, value in (node.xattrs or {}).items() if ".overlay." not in name}
    return walked


@pytest.mark.skipif(os.geteuid() != 0, reason="owners and mounts need root")
def test_overlayfs_shows_what_unpack_makes(davit, tool, tmp_path):
    layout = oci.Layout.create(tmp_path / "layout")
    blobs = [(layers.descriptor(layout, layers.COMPRESSORS[codec](tar), codec), oci.sha256(tar))
             for tar, codec in ((LOWER, "gzip"), (MIDDLE, "zstd"), (UPPER, "none"))]
    layout.tag("it", layout.add_image(blobs))
    with FaultyRegistry() as registry:
        registry.add_image(layout, "it", "demo/it:1")
        ref = f"{registry.host}/demo/it:1"
        davit("pull", "-q", ref)
    davit("unpack", "--pull", "never", ref, tmp_path / "unpacked")
    directories = tool.words("image", ref)[0]
    assert len(directories.split(":")) == 3
    shown, wanted = walk_merged(directories, tmp_path), trees.walk(tmp_path / "unpacked")
    del shown[b""].mtime_ns, wanted[b""].mtime_ns       # no layer says anything of the root
    wrong = trees.compare(without_overlay(shown), wanted, NOT_LINKS, ("overlayfs", "unpacked"))
    assert not wrong, "\n".join(wrong)
    assert not davit("fsck", "--full").errors
    davit("prune", "-f")
    assert len(tool("list").splitlines()) == 3          # the image has them
    davit("rmi", ref)
    assert davit("prune", "-f", "--json").json["UnpackedLayersDeleted"] == 3
    assert os.listdir(davit.store.path / "layers") == []
    davit.store.assert_exactly([])


NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming nobody and mounts need root")
def test_without_root(tmp_path):
    """Opaque directories by user.overlay.opaque, for overlayfs with userxattr; the same tree."""
    with tempfile.TemporaryDirectory(prefix="davit-layers-") as base:
        os.chown(base, NOBODY, NOBODY)
        prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        if subprocess.run([*prefix, "test", "-x", TOOL], check=False).returncode:
            pytest.skip("another user cannot run the program")
        chain = []
        for tar in (LOWER, MIDDLE, UPPER):
            done = subprocess.run([*prefix, TOOL, f"{base}/store", "register", *chain[-1:]], input=tar, capture_output=True)
            assert done.returncode == 0, done.stderr
            chain += done.stdout.decode().split()
        done = subprocess.run([*prefix, TOOL, f"{base}/store", "directories", chain[-1]], capture_output=True, check=True)
        shown = walk_merged(done.stdout.decode().strip(), tmp_path, "userxattr,")
    assert shown[b"gone"].size == 4 and shown[b"swap"].type == "directory"
    assert {os.fsdecode(path) for path in shown if path.startswith((b"var", b"swap", b"whole", b"usr"))} == {
        "var", "var/cache", "var/cache/b", "var/cache/new", "swap", "swap/y", "whole", "whole/again", "usr", "usr/su",
        "usr/sudo", "usr/lib", "usr/lib/libc"}
    owner = shown[b"etc"].xattrs["user.rootlesscontainers"]
    assert owner == b"\x08\x05\x10\xff\xff\xff\xff\x0f"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_hostile_layers(davit, tool, tmp_path, case):
    """As `davit unpack` has them: refused without a trace, or the expected tree; and the tar comes back as it was."""
    chain, codes = [], []
    for blob in case.blobs:
        done = tool.run("register", *chain[-1:], data=blob.data)
        codes.append(done.returncode)
        if done.returncode:
            break
        chain += done.stdout.decode().split()
        assert oci.sha256(tool("tar", chain[-1])) == blob.diff_id
    if not isinstance(case.outcome, Contained):
        assert codes[-1] == 1, "it was registered"
        assert len(os.listdir(davit.store.path / "layers")) == len(chain)
        return
    assert not any(codes), done.stderr.decode(errors="backslashreplace")
    if os.geteuid() == 0:
        shown = without_overlay(walk_merged(tool.words("directories", chain[-1])[0], tmp_path))
        wrong = trees.compare(case.outcome.nodes(), shown, NOT_LINKS, ("expected", "overlayfs"))
        assert not wrong, "\n".join(wrong)
    davit("fsck", "--full")


def assert_sound(davit, tool):
    """No damage; what is left of the dead goes when the next one opens the layers."""
    davit("fsck", "--full")
    names = tool("list").splitlines()
    assert len(os.listdir(davit.store.path / "layers")) == len(names)
    return len(names)


def test_kill_9_leaves_no_half_layer(davit, tool):
    """Register and release are killed at any time: a layer is there whole, or not at all."""
    dice = random.Random(7)
    tar = layer(*[file(f"d{i % 40}/file-{i}", dice.randbytes(3000)) for i in range(400)])
    began = time.monotonic()
    chain = tool.words("register", data=tar)[0]
    whole = time.monotonic() - began
    tool("release", chain)
    assert os.listdir(davit.store.path / "layers") == []
    killed = 0
    for turn in range(6 if not THOROUGH else 100):
        run = tool.start("register", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            run.stdin.write(tar[:dice.randrange(len(tar))] if turn % 2 else tar)
            if turn % 2 == 0:
                run.stdin.close()
            time.sleep(dice.random() * whole)
        except BrokenPipeError:
            pass
        run.kill()
        killed += run.wait() == -9
        if assert_sound(davit, tool):
            run = tool.start("release", chain, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(dice.random() * 0.03)
            run.kill()
            run.wait()
            assert_sound(davit, tool)
            if tool("list"):
                tool("release", chain)
    assert killed
    assert tool.words("register", data=tar) == [chain]
    assert tool("tar", chain) == tar
