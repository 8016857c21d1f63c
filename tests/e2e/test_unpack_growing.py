"""davit unpack behind a download: a layer is inflated and applied while it comes. What it was made of counts only when that download became the
blob; whatever else was unpacked is never put in place."""
import time

import pytest

from conftest import serve
from support import layers, oci, trees
from support.davit import FAST, SLOW
from support.faults import Corrupt, Cut, RangeIgnored, StallBody
from support.faulty_registry import FaultyRegistry

LARGE = 3 << 20


def entries(word):
    """Content that no compressor makes small, with a name before and behind it."""
    return (layers.file(f"{word}/first", word.encode()), layers.file(f"{word}/noise", oci.noise(word, LARGE)),
            layers.file(f"{word}/last", b"last"))


def gz(*entries):
    tar = layers.layer(*entries)
    return oci.gzip_of(tar), oci.sha256(tar)


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    layout = oci.Layout.create(tmp_path_factory.mktemp("growing") / "layout")
    layout.tag("one", layout.add_image([gz(*entries("a"))]))
    tar = layers.layer(*entries("plain"))
    layout.tag("plain", layout.add_image([(layers.descriptor(layout, tar, "none"), oci.sha256(tar))]))
    layout.tag("two", layout.add_image([gz(*entries("low")), gz(*entries("high"))]))
    return layout


@pytest.fixture
def registry(layout):
    with FaultyRegistry() as registry:
        for tag in layout.tags():
            registry.add_image(layout, tag, f"demo/{tag}:1.0")
        yield registry


@pytest.fixture
def target(tmp_path):
    (tmp_path / "place").mkdir()
    yield tmp_path / "place" / "root"
    assert {p.name for p in (tmp_path / "place").iterdir()} <= {"root"}


@pytest.fixture
def expected(registry, layout, other_davit, tmp_path):
    """The tree as another store gives it, without any fault. Makes the image the one that is served."""
    def make(tag):
        serve(registry, layout, tag)
        other_davit("pull", registry.ref)
        other_davit("unpack", "store:" + registry.ref, tmp_path / "expected")
        registry.clear()
        return trees.without(trees.walk(tmp_path / "expected"), "mtime_ns")
    return make


def until(condition, seconds=10):
    end = time.monotonic() + seconds * SLOW
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.01)


def staged(target, name):
    return [p for p in target.parent.glob(f".davit-*/{name}")]


def ingested(davit):
    """Bytes of unfinished downloads on the disk."""
    return sum((davit.store.path / "ingest" / name).stat().st_size for name in davit.store.ingests())


def test_a_layer_is_applied_while_it_comes(davit, registry, layout, target):
    serve(registry, layout, "one")
    registry.fault("blob", StallBody(after_bytes=2 << 20), digest=registry.layer, times=1)
    run = davit.start("unpack", registry.ref, target)
    until(lambda: any(p.stat().st_size > 1 << 20 for p in staged(target, "a/noise")))
    assert not target.exists()
    assert registry.layer not in davit.store.blobs()
    run.signal()
    assert run.wait().code == 130
    assert not target.exists()
    davit("unpack", registry.ref, target)
    assert (target / "a/last").read_bytes() == b"last"


@pytest.mark.parametrize("tag", ["one", "plain"])
@pytest.mark.parametrize("at", [100, 1 << 20, LARGE])
def test_a_download_that_begins_again_with_other_bytes(davit, registry, layout, target, expected, tag, at):
    """The first answer is wrong and is cut; the second one is not resumed but whole, and right."""
    tree = expected(tag)
    registry.fault("blob", Corrupt(at), digest=registry.layer, times=1)
    registry.fault("blob", Cut(after=LARGE + 500), digest=registry.layer, times=1)
    registry.fault("blob", RangeIgnored(), digest=registry.layer)
    davit(*FAST, "unpack", registry.ref, target)
    assert trees.compare(trees.without(trees.walk(target), "mtime_ns"), tree) == []
    assert davit.store.wrong_blobs() == []


@pytest.mark.parametrize("tag", ["one", "plain", "two"])
def test_a_download_that_was_wrong_once(davit, registry, layout, target, expected, tag):
    tree = expected(tag)
    registry.fault("blob", Corrupt(1 << 20), digest=registry.layer, times=1)
    davit(*FAST, "unpack", registry.ref, target)
    assert trees.compare(trees.without(trees.walk(target), "mtime_ns"), tree) == []
    assert davit.store.wrong_blobs() == []


@pytest.mark.parametrize("tag", ["one", "plain", "two"])
def test_a_download_that_is_always_wrong_is_told_as_that(davit, registry, layout, target, tag):
    serve(registry, layout, tag)
    registry.fault("blob", Corrupt(1 << 20), digest=registry.layer)
    error = davit.fails(5, *FAST, "unpack", registry.ref, target).error
    assert registry.layer in error
    assert not target.exists()
    assert registry.layer not in davit.store.blobs()


def test_a_bad_upper_layer_does_not_let_the_lower_one_be_seen(davit, registry, layout, target):
    serve(registry, layout, "two")
    registry.fault("blob", Corrupt(LARGE), digest=registry.image.layers[1])
    assert registry.image.layers[1] in davit.fails(5, *FAST, "unpack", registry.ref, target).error
    assert not target.exists()


def test_a_download_goes_on_where_a_killed_one_stopped(davit, registry, layout, target, expected):
    tree = expected("one")
    registry.fault("blob", StallBody(after_bytes=2 << 20), digest=registry.layer, times=1)
    run = davit.start("unpack", registry.ref, target)
    until(lambda: staged(target, "a/noise") and ingested(davit) >= 1 << 20)
    run.kill()
    registry.clear()
    davit("unpack", registry.ref, target)
    assert trees.compare(trees.without(trees.walk(target), "mtime_ns"), tree) == []
    assert registry.gets(registry.layer)[-1].range[0] >= 512 << 10


def test_another_process_that_fetches_it_is_waited_for_and_replaced(davit, registry, layout, target, expected):
    tree = expected("two")
    registry.fault("blob", StallBody(after_bytes=1 << 20), digest=registry.layer, times=1)
    first = davit.start("pull", registry.ref)
    registry.wait(lambda: registry.sent(registry.layer) >= 1 << 20)
    second = davit.start(*FAST, "--stall-timeout", 20, "unpack", registry.ref, target)
    time.sleep(0.3)
    assert not target.exists()
    first.kill()
    assert second.wait().code == 0
    assert trees.compare(trees.without(trees.walk(target), "mtime_ns"), tree) == []
