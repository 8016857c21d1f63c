"""Every layer of the corpus (support/hostile_layers.py) is refused or contained as it says there, and nothing
outside of the target is touched: threats D1 to D9, B7, C5, C6. Fetched, without a store, and from the store; as root
and as nobody."""
import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from support import hostile_layers, oci, trees
from support.davit import ASAN, Davit, assert_rss, program
from support.faulty_registry import FaultyRegistry
from support.hostile_layers import Contained, Refused
from support.layers import MEDIA_TYPES

ROOT = os.geteuid() == 0
# Every image by every way: minutes. Otherwise each is fetched and goes one other way too.
THOROUGH = bool(os.environ.get("DAVIT_THOROUGH"))
NOBODY = 65534
MEMORY_MIB = 64
# Short, since links to it are in the layers, and named before it is made.
BASE = Path(tempfile.gettempdir()).resolve() / f"davit-{os.getpid()}-{secrets.token_hex(4)}"
CASES = hostile_layers.corpus(str(BASE / "above"))
pytestmark = pytest.mark.skipif(not ROOT, reason="owners and devices need root")


@pytest.fixture(scope="module", autouse=True)
def base():
    BASE.mkdir()
    os.chmod(BASE, 0o755)
    yield
    remove(BASE)


def remove(path):
    subprocess.run(["rm", "-rf", "--", str(path)], check=True)      # rmtree() is not for deep trees


def make_sentinel(path, name):
    """What an escape would change: files, also setuid, a directory, links, a pipe."""
    top = path / name
    (top / "dir" / "below").mkdir(parents=True)
    (top / "victim").write_text("must stay as it is\n")
    (top / "dir" / "inside").write_text("this too\n")
    (top / "dir" / "low").write_text("a name that whiteouts have\n")
    os.chmod(top / "victim", 0o640)
    os.chmod(top / "dir", 0o751)
    os.symlink("victim", top / "link")
    os.link(top / "victim", top / "other-name")
    os.mkfifo(top / "pipe")
    os.setxattr(top / "victim", "user.davit", b"stays")
    for item in (top / "victim", top / "dir", top):
        os.utime(item, ns=(10 ** 18, 10 ** 18 + 7))
    return top


class World:
    """The target and what is beside and above it."""

    def __init__(self, name):
        self.jail = BASE / name
        self.target = self.jail / "root"
        self.jail.mkdir()
        self.beside = make_sentinel(self.jail, "beside")
        self.above = BASE / "above"
        if not self.above.exists():
            make_sentinel(BASE, "above")
        self.before = self.look()

    def look(self):
        return trees.exactly(self.beside), trees.exactly(self.above), sorted(os.listdir(BASE))

    def assert_untouched(self):
        after = self.look()
        for before, now in zip(self.before[:2], after[:2]):
            changed = [p for p in before.keys() | now.keys() if before.get(p) != now.get(p)]
            assert not changed, f"changed outside of the target: {changed}"
        assert after[2] == self.before[2]

    def assert_empty(self):
        assert sorted(os.listdir(self.jail)) == ["beside"], "something is left of what was refused"

    def clear(self):
        remove(self.target)


@pytest.fixture
def world(request):
    it = World(f"{os.getpid()}-{abs(hash(request.node.name)):x}"[:24])
    yield it
    remove(it.jail)


@pytest.fixture(scope="module")
def registry():
    with FaultyRegistry() as it:
        yield it


def publish(registry, case):
    """The image of a case, as the registry has it; gives its reference."""
    blobs = case.blobs
    diff_ids = [b.diff_id for b in blobs] if case.diff_ids is None else case.diff_ids
    config = oci.dumps({"architecture": oci.HOST_ARCH, "os": "linux", "config": {},
                        "rootfs": {"type": "layers", "diff_ids": diff_ids}})
    layers = [{"mediaType": MEDIA_TYPES.get(b.codec, oci.OCI_LAYER), "digest": registry.add_blob(b.data),
               "size": len(b.data)} for b in blobs]
    manifest = {"schemaVersion": 2, "mediaType": oci.OCI_MANIFEST, "layers": layers,
                "config": {"mediaType": oci.OCI_CONFIG, "digest": registry.add_blob(config),
                           "size": len(config)}}
    registry.add_manifest("demo/hostile", oci.dumps(manifest), oci.OCI_MANIFEST, case.name[:120])
    return f"{registry.host}/demo/hostile@{oci.sha256(oci.dumps(manifest))}"


def run(davit, case, *args, measured=True):
    how = davit.measured if measured else davit.run
    result = how("unpack", *case.flags, *args, timeout=case.seconds)
    assert 0 <= result.code < 126, f"a crash: {result}"
    if measured:
        assert_rss(result, MEMORY_MIB)
    shown = result.err.replace(b"\n", b"")
    assert not any(b < 32 or b == 127 for b in shown), f"a control character in a message: {result}"
    return result


def assert_refused(result, expected):
    codes = expected.code if isinstance(expected.code, tuple) else (expected.code,)
    assert result.code in codes, f"expected {expected}: {result}"
    assert len(result.errors) == 1, str(result)
    assert expected.word in result.errors[0], f"expected {expected.word!r}: {result}"


def assert_contained(result, expected, target, what=trees.ALL, keep=lambda node: node):
    assert result.code == 0, f"expected a tree: {result}"
    wanted = {path: node for path, node in expected.nodes().items() if keep(node)}
    wrong = trees.compare(wanted, trees.walk(target), what, ("expected", "there"))
    assert not wrong, "\n".join(wrong)


def check(davit, world, case, *args, measured=True):
    result = run(davit, case, *args, world.target, measured=measured)
    world.assert_untouched()
    if isinstance(case.outcome, Refused):
        assert_refused(result, case.outcome)
        world.assert_empty()
    else:
        assert_contained(result, case.outcome, world.target)
        world.clear()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_layer(davit, world, registry, case):
    """Fetched, then without a store; and from the store, where it is one layer's fault."""
    ref = publish(registry, case)
    (davit.root / "etc").mkdir()
    (davit.root / "etc" / "passwd").write_text("in the working directory\n")
    large = case.row in ("C5", "C6")
    check(davit, world, case, ref)
    if ASAN and not THOROUGH:
        return
    both = THOROUGH or large
    streamed = CASES.index(case) % 2 == 0
    if both or streamed:
        check(davit, world, case, "--no-store", ref, measured=large)
    if (both or not streamed) and davit.run("pull", "-q", ref).code == 0:
        check(davit, world, case, "--pull", "never", ref, measured=large)


@pytest.fixture(scope="module")
def nobody_davit():
    """Davit as another user, or why not."""
    home = BASE / "nobody"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    may = subprocess.run([*prefix, "test", "-x", program()])
    if not shutil.which("setpriv") or may.returncode:
        pytest.skip("another user cannot run the program")
    davit = Davit(home / "davit")
    davit.prefix = prefix
    for path in (davit.root, davit.home):
        os.chown(path, NOBODY, NOBODY)
    return davit


# Without root owners are recorded, not set, and there are no devices.
ROOTLESS = ("type", "size", "target", "sha256", "mtime_ns")


@pytest.mark.parametrize("case", [c for c in CASES if c.row[0] == "D"][::1 if THOROUGH else 2],
                         ids=lambda c: c.name)
def test_layer_rootless(nobody_davit, world, registry, case):
    os.chown(world.jail, NOBODY, NOBODY)
    ref = publish(registry, case)
    result = run(nobody_davit, case, "--rootless", "--no-store", ref, world.target)
    world.assert_untouched()
    if isinstance(case.outcome, Contained):
        assert_contained(result, case.outcome, world.target, ROOTLESS,
                         lambda node: node.type not in ("char", "block"))
    elif case.name not in NEEDS_DEVICES:
        assert_refused(result, case.outcome)
        world.assert_empty()


# What is refused because of a device that is not made here.
NEEDS_DEVICES = {"device-as-parent"}


def test_corpus_is_as_large_as_promised():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert sum(len(case.layers) if isinstance(case.layers, list) else 1 for case in CASES) >= 120
    assert {case.row for case in CASES} >= {f"D{i}" for i in range(1, 10)} | {"B7", "C5", "C6"}
