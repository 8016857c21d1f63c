"""davit v1 pull: images of old registries into the store, judged by skopeo and by unpacked trees; what makes no sense is refused and
leaves nothing."""
import bz2
import gzip
import hashlib
import json
import lzma
import random
import subprocess
from dataclasses import replace

import pytest

from support import trees
from support.davit import FAST
from support.v1_registry import Answer, V1Index, V1Registry, refuse, tar_of

USER, PASSWORD = "alice", "s3cret v1"
BASE, MIDDLE, APP, OTHER = "00112233445566aa", "a" * 64, "b" * 64, "c" * 16
FILES = {BASE: {"etc/": None, "etc/motd": b"hello\n", "gone": b"x"}, MIDDLE: {"app": b"x" * 300000}, APP: {".wh.gone": b""}}


@pytest.fixture
def alone():
    """APP on MIDDLE on BASE."""
    with V1Registry() as registry:
        registry.add(BASE, FILES[BASE], container_config={"Cmd": ["/bin/sh", "-c", "#(nop) ADD root"]})
        registry.add(MIDDLE, FILES[MIDDLE], parent=BASE)
        registry.add(APP, FILES[APP], parent=MIDDLE, config={"Cmd": ["/app"], "Env": ["A=b"]})
        registry.tag("old/app", "1.0", APP)
        registry.tag("old/app", "latest", MIDDLE)
        yield registry


def skopeo(*args):
    return subprocess.run(["skopeo", "--insecure-policy", *map(str, args)], check=True, capture_output=True).stdout


def fetched(registry):
    return sorted(r.path.split("/")[3] for r in registry.requests if r.path.endswith("/layer"))


def tree(top):
    """Directories that no layer describes have the time they were made."""
    return {path: replace(node, mtime_ns=None) if node.type == "directory" else node for path, node in trees.walk(top).items()}


def refused(davit, code, *args):
    result = davit.fails(code, *FAST, "v1", "pull", *args)
    listed = davit.run("images", "--json")
    assert listed.code != 0 or listed.json == []
    assert davit.store.blobs() == set() and davit.store.ingests() == []
    return result.error


# ---- what becomes of an image ------------------------------------------------------------------------------


def test_an_image_of_today_with_the_history_of_all(davit, alone, tmp_path):
    result = davit("v1", "pull", f"{alone.host}/old/app:1.0")
    assert result.lines == [f"Loaded image: {alone.host}/old/app:1.0"]
    config = json.loads(davit("config", f"store:{alone.host}/old/app:1.0").out)
    layers = [alone.images[i].layer for i in (BASE, MIDDLE, APP)]
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(t).hexdigest() for t in layers]
    assert [h["created_by"] for h in config["history"]] == ["/bin/sh -c #(nop) ADD root", f"/bin/sh -c {MIDDLE}", f"/bin/sh -c {APP}"]
    assert config["config"]["Cmd"] == ["/app"] and (config["os"], config["architecture"]) == ("linux", "amd64")
    assert not {"id", "parent", "Size"} & set(config)
    davit("save", "--format", "oci", "-o", tmp_path / "o.tar", f"{alone.host}/old/app:1.0")
    seen = json.loads(skopeo("inspect", "--config", f"oci-archive:{tmp_path}/o.tar"))
    assert seen["rootfs"]["diff_ids"] == config["rootfs"]["diff_ids"]
    skopeo("copy", f"oci-archive:{tmp_path}/o.tar", f"dir:{tmp_path}/d")


def test_the_tree_is_that_of_all_layers(davit, alone, tmp_path):
    davit("v1", "pull", f"{alone.host}/old/app:1.0")
    davit("unpack", f"store:{alone.host}/old/app:1.0", tmp_path / "root")
    root = tmp_path / "root"
    assert (root / "etc/motd").read_bytes() == b"hello\n" and (root / "app").stat().st_size == 300000
    assert not (root / "gone").exists()


def test_the_same_image_gives_the_same_bytes(davit, other_davit, alone):
    ids = set()
    for one in (davit, other_davit, davit):
        one("v1", "pull", f"{alone.host}/old/app:1.0")
        ids.add(one("digest", f"store:{alone.host}/old/app:1.0").text)
    assert len(ids) == 1


def test_a_real_root_file_system_is_the_one_that_was_there(davit, images, tmp_path):
    """Its layers as a v1 registry has them, against umoci's tree of the same image as it is."""
    image = images.image("derived")
    with V1Registry() as registry:
        parent = None
        for i, digest in enumerate(image.layers):
            parent = registry.add(f"{i:016x}", {}, parent=parent, layer=image.blob(digest))
        registry.tag("old/debian", "7", parent)
        davit("v1", "pull", f"{registry.host}/old/debian:7", timeout=120)
        davit("unpack", f"store:{registry.host}/old/debian:7", tmp_path / "v1", timeout=120)
    subprocess.run(["umoci", "unpack", "--image", f"{images.path}:derived", tmp_path / "bundle"], check=True,
                   capture_output=True)
    lines = trees.compare(tree(tmp_path / "v1"), tree(tmp_path / "bundle/rootfs"))
    assert lines == [], "\n".join(lines)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
def test_compressed_layers(davit, alone, tmp_path, pack):
    plain = tar_of(FILES[MIDDLE])
    alone.add(OTHER, {}, parent=BASE, layer=pack(plain))
    alone.tag("old/packed", "1", OTHER)
    davit("v1", "pull", f"{alone.host}/old/packed:1")
    config = json.loads(davit("config", f"store:{alone.host}/old/packed:1").out)
    assert config["rootfs"]["diff_ids"][1] == "sha256:" + hashlib.sha256(plain).hexdigest()


def test_the_oldest_images_say_neither_system_nor_machine_and_have_empty_layers(davit, alone, tmp_path):
    alone.add(OTHER, {}, layer=b"", os=None, architecture=None)
    alone.tag("old/scratch", "1", OTHER)
    davit("v1", "pull", f"{alone.host}/old/scratch:1")
    config = json.loads(davit("config", f"store:{alone.host}/old/scratch:1").out)
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    davit("unpack", f"store:{alone.host}/old/scratch:1", tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


# ---- tags ---------------------------------------------------------------------------------------------------


def test_all_tags_fetch_each_layer_once(davit, alone):
    for i in range(20):
        alone.add(f"{i:016x}", {f"f{i}": b"x"}, parent=APP)
        alone.tag("old/app", f"t{i}", f"{i:016x}")
    result = davit("v1", "pull", "-a", f"{alone.host}/old/app", timeout=60)
    assert len(result.lines) == 22
    assert fetched(alone) == sorted([BASE, MIDDLE, APP] + [f"{i:016x}" for i in range(20)])
    names = {t for i in davit("images", "--json").json for t in i["RepoTags"]}
    assert names == {f"{alone.host}/old/app:{t}" for t in alone.tags["old/app"]}


def test_latest_is_what_no_tag_means_and_an_id_gets_no_name(davit, other_davit, alone):
    assert davit("v1", "pull", f"{alone.host}/old/app").lines == [f"Loaded image: {alone.host}/old/app:latest"]
    assert other_davit("v1", "pull", f"{alone.host}/old/app@{APP}").lines[0].startswith("Loaded image ID: sha256:")


def test_through_an_index_with_a_token(davit, tmp_path):
    with V1Index(users={USER: PASSWORD}) as index, V1Registry(index=index) as registry:
        registry.add(BASE, FILES[BASE])
        registry.tag("old/app", "1.0", BASE)
        index.private.add("old/app")
        davit.fails(3, "v1", "pull", "--index", index.url, "old/app:1.0")
        result = davit("v1", "pull", "--index", index.url, "-u", USER, "--password-stdin", "old/app:1.0",
                       data=PASSWORD.encode())
        assert result.lines == [f"Loaded image: {index.host}/old/app:1.0"]
        assert {r.headers["authorization"][:6] for r in registry.requests} == {"Token "}


# ---- what is known is not asked for again -------------------------------------------------------------------------


def test_pulling_again_asks_for_the_tag_only(davit, alone):
    davit("v1", "pull", "-a", f"{alone.host}/old/app")
    digest = davit("digest", f"store:{alone.host}/old/app:1.0").text
    alone.requests.clear()
    assert davit("v1", "pull", f"{alone.host}/old/app:1.0").lines == [f"Loaded image: {alone.host}/old/app:1.0"]
    assert [r.path for r in alone.requests] == ["/v1/_ping", "/v1/repositories/old/app/tags/1.0"]
    assert davit("digest", f"store:{alone.host}/old/app:1.0").text == digest


def test_what_was_removed_is_fetched_again_without_its_json(davit, alone):
    davit("v1", "pull", f"{alone.host}/old/app:1.0")
    digest = davit("digest", f"store:{alone.host}/old/app:1.0").text
    davit("rmi", f"{alone.host}/old/app:1.0")
    davit("prune")
    assert davit.store.blobs() == set()
    alone.requests.clear()
    davit("v1", "pull", f"{alone.host}/old/app:1.0")
    assert fetched(alone) == sorted([BASE, MIDDLE, APP]) and not any(r.path.endswith("/json") for r in alone.requests)
    assert davit("digest", f"store:{alone.host}/old/app:1.0").text == digest
    assert davit("fsck").code == 0


def test_bytes_that_several_ids_have_are_fetched_again_once(davit, alone):
    twice = alone.add("d" * 64, FILES[MIDDLE], parent=MIDDLE)
    alone.tag("old/twice", "1", twice)
    davit("v1", "pull", f"{alone.host}/old/twice:1")
    davit("rmi", f"{alone.host}/old/twice:1")
    assert davit.store.blobs() == set()
    alone.requests.clear()
    davit("v1", "pull", f"{alone.host}/old/twice:1")
    assert len(fetched(alone)) == 2
    assert davit.store.wrong_blobs() == [] and len(davit.store.blobs()) == 4


def test_an_id_is_another_image_in_another_registry(davit, alone, tmp_path):
    with V1Registry() as other:
        other.add(APP, {"other": b"other"})
        other.tag("old/app", "1.0", APP)
        davit("v1", "pull", f"{alone.host}/old/app:1.0")
        davit("v1", "pull", f"{other.host}/old/app:1.0")
        davit("unpack", f"store:{other.host}/old/app:1.0", tmp_path / "root")
    assert {p.name for p in (tmp_path / "root").iterdir()} == {"other"}


def test_bytes_that_changed_are_said_and_right_the_next_time(davit, alone):
    """By the protocol an image never changes; a registry that packs anew gives the same tar in other bytes."""
    alone.images[APP].checksum = "none"
    davit("v1", "pull", f"{alone.host}/old/app:1.0")
    davit("rmi", f"{alone.host}/old/app:1.0")
    davit("prune")
    alone.images[APP].layer = gzip.compress(alone.images[APP].layer)
    assert "other bytes" in davit.fails(1, "v1", "pull", f"{alone.host}/old/app:1.0").error
    davit("v1", "pull", f"{alone.host}/old/app:1.0")
    assert davit("fsck").code == 0


def test_a_wrong_checksum_is_not_remembered(davit, alone):
    right = alone.images[MIDDLE].checksum
    alone.images[MIDDLE].checksum = "sha256:" + "0" * 64
    refused(davit, 5, f"{alone.host}/old/app:1.0")
    alone.images[MIDDLE].checksum = right
    davit("v1", "pull", f"{alone.host}/old/app:1.0")


def test_layers_come_several_at_once(davit, alone):
    """All of the first ones are under way before any is answered."""
    for i in range(6):
        alone.add(f"{i:016x}", {f"f{i}": b"x" * 100}, parent=f"{i - 1:016x}" if i else None)
    alone.tag("old/deep", "1", f"{5:016x}")
    alone.gate("/layer", 6)
    davit("v1", "pull", f"{alone.host}/old/deep:1", timeout=20)
    assert alone.most_at_once >= 6


# ---- what makes no sense -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ancestry,words", [
    ([APP, MIDDLE, APP], "twice"),
    ([], "does not begin with it"),
    ([MIDDLE, BASE], "does not begin with it"),
    ([APP] + [f"{i:016x}" for i in range(10000)], "at most 126 are allowed"),
    ([APP, "../../../../etc/passwd"], "no id"),
    ([APP, "A" * 64], "no id"),
    ([APP, BASE], "has the parent"),
    ([APP, MIDDLE], "has the parent"),
    ({"a": 1}, "ancestry"),
    ([APP, 7], "ancestry"),
])
def test_an_ancestry_that_makes_no_sense(davit, alone, ancestry, words):
    alone.answers[f"GET images/{APP}/ancestry"] = Answer(200, ancestry)
    assert words in refused(davit, {1, 5}, f"{alone.host}/old/app:1.0")
    assert fetched(alone) == []


@pytest.mark.parametrize("change,words", [
    ({"id": OTHER}, "says that it is"), ({"id": 7}, '"id" is not a string'), ({"parent": OTHER}, "has the parent"),
    ({"config": []}, "not a JSON object"), ({"created": "then"}, "not a time")])
def test_metadata_that_makes_no_sense(davit, alone, change, words):
    image = alone.images[MIDDLE]
    image.json = json.dumps({**json.loads(image.json), **change}).encode()
    image.checksum = image.sum()
    alone.answers[f"GET images/{APP}/ancestry"] = Answer(200, [APP, MIDDLE, BASE])
    assert words in refused(davit, 1, f"{alone.host}/old/app:1.0")
    assert fetched(alone) == []


def test_a_wrong_checksum(davit, alone):
    alone.images[MIDDLE].checksum = "sha256:" + "0" * 64
    assert "checksum" in refused(davit, 5, f"{alone.host}/old/app:1.0")


def test_a_truncated_layer(davit, alone):
    """What was right of the image is not fetched again; a connection that breaks looks the same."""
    layer = alone.images[MIDDLE].layer
    alone.answers[f"GET images/{MIDDLE}/layer"] = Answer(200, layer, cut=1000)
    davit.fails({1, 6}, *FAST, "v1", "pull", f"{alone.host}/old/app:1.0")
    assert davit.run("images", "--json").json == []
    assert "sha256:" + hashlib.sha256(layer).hexdigest() not in davit.store.blobs()
    del alone.answers[f"GET images/{MIDDLE}/layer"]
    alone.requests.clear()
    davit("v1", "pull", f"{alone.host}/old/app:1.0")
    assert fetched(alone) == [MIDDLE] and davit.store.ingests() == []


def test_a_layer_that_does_not_inflate(davit, alone):
    alone.add(OTHER, {}, layer=gzip.compress(tar_of(FILES[MIDDLE]))[:-20], checksum=True)
    alone.tag("old/bad", "1", OTHER)
    assert "layer of image" in refused(davit, {1, 5}, f"{alone.host}/old/bad:1")


def test_an_image_in_progress(davit, alone):
    alone.images[MIDDLE].checksum = None
    assert "being uploaded" in refused(davit, 1, f"{alone.host}/old/app:1.0")


def test_a_tag_that_is_none(davit, alone):
    alone.answers["GET repositories/old/app/tags"] = Answer(200, {"a b": APP})
    refused(davit, {1, 2}, "-a", f"{alone.host}/old/app")
    alone.answers["GET repositories/old/app/tags"] = Answer(200, {"ok": "../x"})
    assert "no image id" in refused(davit, 1, "-a", f"{alone.host}/old/app")


def test_an_image_for_another_system(davit, alone):
    alone.add(OTHER, FILES[BASE], os="windows")
    alone.tag("old/win", "1", OTHER)
    assert "windows" in refused(davit, 1, f"{alone.host}/old/win:1")


@pytest.mark.parametrize("path", ["ancestry", "json", "layer"])
def test_a_token_that_expires_on_the_way_is_renewed(davit, path):
    with V1Index() as index, V1Registry(index=index) as registry:
        registry.add(BASE, FILES[BASE])
        registry.add(MIDDLE, FILES[MIDDLE], parent=BASE)
        registry.tag("old/app", "1.0", MIDDLE)
        registry.expires = lambda request: request.path.endswith(path)
        davit("v1", "pull", "--index", index.url, "old/app:1.0")
        tokens = [r for r in index.requests if r.path.endswith("/images") and "x-docker-token" in r.headers]
        assert len(tokens) == 2 and len(fetched(registry)) <= 4


def test_a_token_that_does_not_get_better(davit):
    with V1Index() as index, V1Registry(index=index) as registry:
        registry.add(BASE, FILES[BASE])
        registry.tag("old/app", "1.0", BASE)
        registry.answers[f"GET images/{BASE}/layer"] = Answer(401, {"error": "Requires authorization"})
        assert "Requires authorization" in refused(davit, 4, "--index", index.url, "old/app:1.0")


# ---- killed, and run again ------------------------------------------------------------------------------------------


def kept(davit, registry):
    """The file of MIDDLE's layer under way; None without one."""
    path = davit.store.path / "ingest" / ("key-" + hashlib.sha256(f"v1 {registry.url} {MIDDLE}".encode()).hexdigest())
    return path if path.exists() else None


LARGE = 3 << 20


def cut_short(davit, registry, size=2 << 20):
    """A run that was killed when about so much of MIDDLE's layer had come; the rest that the next one is to ask for."""
    registry.images[MIDDLE].layer = layer = tar_of({"app": b"x" * LARGE})
    registry.images[MIDDLE].checksum = registry.images[MIDDLE].sum()
    registry.answers[f"GET images/{MIDDLE}/layer"] = Answer(200, layer, cut=size, hang_after=True)
    running = davit.start("v1", "pull", f"{registry.host}/old/app:1.0")
    while True:
        assert running.alive
        try:
            if size <= 5 and MIDDLE in fetched(registry) or kept(davit, registry).stat().st_size >= size // 2:
                break
        except (AttributeError, FileNotFoundError):
            pass
    running.kill()
    listed = davit.run("images", "--json")
    assert listed.code != 0 or listed.json == []
    del registry.answers[f"GET images/{MIDDLE}/layer"]
    registry.requests.clear()
    have = kept(davit, registry).stat().st_size if kept(davit, registry) else 0
    return f"bytes={have}-{len(layer) - 1}" if have > 5 else None


def ranges(registry):
    return [r.headers.get("range") for r in registry.requests if r.path == f"/v1/images/{MIDDLE}/layer"]


@pytest.mark.parametrize("unit", ["", "bytes "])
@pytest.mark.parametrize("size", [5, 2 << 20])
def test_a_pull_that_was_killed_goes_on_within_a_layer(davit, alone, size, unit, tmp_path):
    rest = cut_short(davit, alone, size)
    assert (rest is None) == (size == 5)
    alone.unit = unit
    davit("v1", "pull", f"{alone.host}/old/app:1.0")
    assert ranges(alone) == [rest]
    assert davit.store.wrong_blobs() == [] and davit.store.ingests() == []
    davit("unpack", f"store:{alone.host}/old/app:1.0", tmp_path / "root")
    assert (tmp_path / "root/app").read_bytes() == b"x" * LARGE


def test_a_layer_that_had_come_whole_is_not_asked_for(davit, alone):
    cut_short(davit, alone)
    kept(davit, alone).write_bytes(alone.images[MIDDLE].layer)
    davit("v1", "pull", f"{alone.host}/old/app:1.0")
    assert ranges(alone) == [] and davit.store.wrong_blobs() == []


def test_a_registry_that_does_not_go_on_costs_one_restart(davit, alone):
    rest = cut_short(davit, alone)
    alone.ranges = False
    davit("v1", "pull", f"{alone.host}/old/app:1.0")
    assert ranges(alone) == [rest, None] and davit.store.wrong_blobs() == []


@pytest.mark.parametrize("status", [416, 400])
def test_a_registry_that_refuses_the_rest_costs_one_restart(davit, alone, status):
    rest = cut_short(davit, alone)
    layer = Answer(200, alone.images[MIDDLE].layer)
    alone.answers[f"GET images/{MIDDLE}/layer"] = [refuse(status, "no"), layer]
    davit("v1", "pull", f"{alone.host}/old/app:1.0")
    assert ranges(alone) == [rest, None]


@pytest.mark.parametrize("size", [200000, LARGE * 2])
def test_what_was_kept_of_other_bytes_costs_one_restart(davit, alone, size):
    cut_short(davit, alone)
    kept(davit, alone).write_bytes(b"y" * size)
    davit("v1", "pull", f"{alone.host}/old/app:1.0")
    assert ranges(alone) == ([f"bytes=200000-{len(alone.images[MIDDLE].layer) - 1}", None] if size == 200000 else [None])
    assert davit.store.wrong_blobs() == [] and davit.store.ingests() == []


def test_without_a_checksum_nobody_could_tell_so_it_starts_over(davit, alone):
    alone.images[MIDDLE].checksum = "none"
    alone.answers[f"GET images/{MIDDLE}/layer"] = Answer(200, alone.images[MIDDLE].layer, cut=200000)
    davit.fails({1, 6}, *FAST, "v1", "pull", f"{alone.host}/old/app:1.0")
    assert davit.store.ingests() == []
    del alone.answers[f"GET images/{MIDDLE}/layer"]
    alone.requests.clear()
    davit("v1", "pull", f"{alone.host}/old/app:1.0")
    assert ranges(alone) == [None]


def test_two_that_want_the_same_layer_at_once(davit, alone):
    alone.gate(f"images/{MIDDLE}/layer", 2)
    both = [davit.start("v1", "pull", f"{alone.host}/old/app:{tag}") for tag in ("1.0", "latest")]
    assert [one.wait().code for one in both] == [0, 0]
    assert davit.store.wrong_blobs() == [] and davit.store.ingests() == []


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gzip", "xz"])
def test_a_compressed_layer_that_was_cut(davit, alone, pack):
    """What is kept inflated starts over."""
    plain = tar_of({"app": random.Random(1).randbytes(300000)})
    packed = pack(plain)
    alone.add(OTHER, {}, parent=BASE, layer=packed)
    alone.tag("old/packed", "1", OTHER)
    alone.answers[f"GET images/{OTHER}/layer"] = Answer(200, packed, cut=100000)
    davit.fails({1, 6}, *FAST, "v1", "pull", f"{alone.host}/old/packed:1")
    del alone.answers[f"GET images/{OTHER}/layer"]
    alone.requests.clear()
    davit("v1", "pull", f"{alone.host}/old/packed:1")
    asked = [r.headers.get("range") for r in alone.requests if r.path == f"/v1/images/{OTHER}/layer"]
    assert len(asked) == 1 and bool(asked[0]) == (pack is gzip.compress)
    config = json.loads(davit("config", f"store:{alone.host}/old/packed:1").out)
    assert config["rootfs"]["diff_ids"][1] == "sha256:" + hashlib.sha256(plain).hexdigest()
