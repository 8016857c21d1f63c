"""davit load: archives of every kind and age, what is refused, and what a kill leaves."""
import bz2
import gzip
import json
import lzma
import os
import random
import shutil
import signal
import subprocess
import tarfile
import time

import pytest

from support import oci
from support.davit import ASAN, SLOW, assert_rss
from support.image_archive import (Archive, config_of, docker_archive, layers, manifest_of, oci_archive, v1_id)

KILLS = 20 if ASAN else 100


def load(davit, data, *args, **how):
    return davit("load", *args, data=data, timeout=60, **how)


def refused(davit, data, code, *args):
    """Refused, and nothing is left but what was there."""
    before = davit.store.blobs(), listed(davit)
    result = davit.fails(code, "load", *args, data=data, timeout=60)
    assert listed(davit) == before[1]
    assert davit.store.ingests() == []
    assert davit.store.wrong_blobs() == []
    assert davit.store.blobs() == before[0], "what nobody needs was kept"
    return result.error


def listed(davit):
    result = davit.run("images", "--json")
    return result.json if result.code == 0 else None


def ids(davit):
    return {image["Id"] for image in davit("images", "--json").json}


def names(davit):
    return {tag for image in davit("images", "--json").json for tag in image["RepoTags"] or []}


def skopeo(*args):
    subprocess.run(["skopeo", "--insecure-policy", *map(str, args)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """web (gzip), zst, plain and multi by full names; word by a bare one."""
    made = oci.Layout.create(tmp_path_factory.mktemp("layouts") / "layout")
    tars = layers(3)
    made.tag("demo/web:1.0", made.add_image([(oci.gzip_of(t), oci.sha256(t)) for t in tars]))
    made.tag("demo/plain:1.0", made.add_image(
        [(made.add_blob(t, oci.OCI_LAYER), oci.sha256(t)) for t in tars[:2]]))
    children = []
    for arch in (oci.HOST_ARCH, "s390x", "riscv64"):
        tar = oci.tar_of({"arch": arch.encode()})
        image = made.add_image([(oci.gzip_of(tar), oci.sha256(tar))], arch=arch)
        children.append({**image, "platform": {"architecture": arch, "os": "linux"}})
    made.tag("demo/multi:1.0", made.add_index(children))
    return made


# ---- archives of others ------------------------------------------------------------------------------


def test_a_docker_archive_of_skopeo(davit, layout, tmp_path):
    """store.md 10: <hex>.tar with symbolic links, legacy directories beside it."""
    skopeo("copy", f"oci:{layout.path}:demo/web:1.0", f"docker-archive:{tmp_path}/a.tar:demo/web:2.0")
    result = davit("load", "-i", tmp_path / "a.tar")
    assert result.lines == ["Loaded image: demo/web:2.0"]
    assert ids(davit) == {layout.image("demo/web:1.0").config}
    config = layout.json(layout.image("demo/web:1.0").config)
    assert davit.store.blobs() >= set(config["rootfs"]["diff_ids"])
    assert davit.store.ingests() == [] and davit.store.wrong_blobs() == []


def test_an_oci_archive_of_skopeo_keeps_every_byte(davit, layout, tmp_path):
    skopeo("copy", "--all", "--preserve-digests", f"oci:{layout.path}:demo/multi:1.0",
           f"oci-archive:{tmp_path}/a.tar:demo/multi:3")
    assert davit("load", "-i", tmp_path / "a.tar").lines == ["Loaded image: demo/multi:3"]
    wanted = layout.tags()["demo/multi:1.0"]["digest"]
    assert davit("digest", "store:demo/multi:3").lines == [wanted]
    assert davit("manifest", "store:demo/multi:3").out == layout.blob(wanted)


def test_a_layout_directory_and_of_umoci(davit, other_davit, layout, tmp_path):
    result = davit("load", "-i", layout.path)
    assert result.lines == [f"Loaded image: demo/{n}:1.0" for n in ("web", "plain", "multi")]
    skopeo("copy", f"oci:{layout.path}:demo/web:1.0", f"oci:{tmp_path}/u:web")
    subprocess.run(["umoci", "config", "--image", f"{tmp_path}/u:web", "--tag", "changed", "--author", "me"],
                   check=True, capture_output=True)
    result = other_davit("load", "-i", tmp_path / "u")
    assert len(result.lines) == 2 and all(li.startswith("Loaded image ID: sha256:") for li in result.lines)
    assert len(ids(other_davit) | {li.split(": ")[1] for li in result.lines}) == 2


def test_what_a_pull_has_a_load_does_not_write_again(davit, open_registry, images, tmp_path):
    """The registry's manifest stays the image's manifest."""
    ref = f"{open_registry.host}/demo/twice:1.0"
    davit("pull", ref)
    before = davit.store.blobs()
    skopeo("copy", f"oci:{images.path}:twice", f"docker-archive:{tmp_path}/a.tar:again:1")
    davit("load", "-i", tmp_path / "a.tar")
    assert davit.store.blobs() == before
    assert davit("digest", "store:again:1").lines == davit("digest", f"store:{ref}").lines


# ---- forms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", ["plain", "gzip", "zstd", "xz", "bzip2", "two members"])
def test_every_compression_of_the_archive(davit, pack):
    """store.md 9.1"""
    tars = layers(2)
    archive, image_id = docker_archive(tars)
    data = archive.bytes()
    packed = {"plain": lambda: data, "gzip": lambda: gzip.compress(data), "xz": lambda: lzma.compress(data),
              "bzip2": lambda: bz2.compress(data),
              "two members": lambda: gzip.compress(data[:5000]) + gzip.compress(data[5000:]),
              "zstd": lambda: subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE).stdout}[pack]()
    assert load(davit, packed).lines == ["Loaded image: demo/app:1.0"]
    assert ids(davit) == {image_id}
    assert davit.store.blobs() >= {oci.sha256(t) for t in tars}


@pytest.mark.parametrize("pack", ["gzip", "zstd", "xz", "bzip2"])
def test_every_compression_of_a_layer(davit, pack):
    tars = layers(2)
    packed = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress,
              "zstd": lambda d: subprocess.run(["zstd", "-qc"], input=d, stdout=subprocess.PIPE).stdout}[pack]
    blobs = [packed(t) for t in tars]
    archive, image_id = docker_archive(blobs, config=config_of(tars))
    load(davit, archive.bytes())
    assert ids(davit) == {image_id}
    layer = json.loads(davit("manifest", "store:demo/app:1.0").out)["layers"][0]
    if pack in ("gzip", "zstd"):        # as it came
        assert layer["digest"] == oci.sha256(blobs[0]) and layer["mediaType"].endswith("+" + pack)
    else:                               # no media type says these
        assert layer["digest"] == oci.sha256(tars[0]) and layer["mediaType"] == oci.OCI_LAYER


def test_layers_that_are_links_to_each_other(davit):
    a, b = layers(2)
    config = config_of([a, b, a, a])
    archive = Archive().directory("./").directory("one/").file("./one/layer.tar", a).file("two/layer.tar", b)
    archive.symlink("three/layer.tar", "../one/layer.tar").hardlink("four/layer.tar", "one/layer.tar")
    archive.file("c.json", config)
    archive.file("./manifest.json", [{"Config": "c.json", "RepoTags": ["demo/links:1"], "Layers": [
        "one/layer.tar", "two/layer.tar", "three/layer.tar", "four/layer.tar"]}])
    load(davit, archive.bytes())
    assert ids(davit) == {oci.sha256(config)}


def test_several_images_and_their_lines(davit):
    """store.md 10, load 4: ids are told when the last image has no tag."""
    archive, entries, wanted = Archive(), [], []
    for i, tags in enumerate((["demo/a:1", "demo/a:2"], None)):
        tars = layers(1, seed=f"image{i}")
        config = config_of(tars)
        archive.file(f"{i}.tar", tars[0]).file(f"{i}.json", config)
        entries.append({"Config": f"{i}.json", "RepoTags": tags, "Layers": [f"{i}.tar"]})
        wanted.append(oci.sha256(config))
    archive.file("manifest.json", entries)
    result = load(davit, archive.bytes())
    assert result.lines == ["Loaded image: demo/a:1", "Loaded image: demo/a:2",
                            f"Loaded image ID: {wanted[0]}", f"Loaded image ID: {wanted[1]}"]
    assert names(davit) == {"demo/a:1", "demo/a:2"}


def test_a_tag_that_named_another_image_moves(davit):
    first, old = docker_archive(layers(1, "old"))
    second, new = docker_archive(layers(1, "new"))
    data = first.bytes()
    load(davit, data)
    assert load(davit, data).lines == ["Loaded image: demo/app:1.0"]
    assert load(davit, second.bytes()).lines == [
        f"The image demo/app:1.0 already exists, renaming the old one with ID {old} to empty string",
        "Loaded image: demo/app:1.0"]
    assert davit("inspect", "demo/app:1.0").json[0]["Id"] == new


def test_an_archive_older_than_manifest_json(davit):
    """store.md 10, load 2: a directory for each layer, parents, tags in repositories."""
    tars, archive = layers(3, "v1"), Archive()
    chain = [v1_id(f"layer {i}") for i in range(3)]
    for i, tar in enumerate(tars):
        v1 = {"id": chain[i], "created": oci.CREATED, "container_config": {"Cmd": ["/bin/sh", f"{i}"]},
              "os": "linux", "architecture": oci.HOST_ARCH, "config": {"Cmd": [f"{i}"]}}
        if i:
            v1["parent"] = chain[i - 1]
        archive.directory(f"{chain[i]}/").file(f"{chain[i]}/VERSION", b"1.0")
        archive.file(f"{chain[i]}/json", v1).file(f"{chain[i]}/layer.tar", tar)
    archive.file("repositories", {"demo/old": {"latest": chain[2], "base": chain[0]}})
    result = load(davit, archive.bytes())
    assert sorted(result.lines) == ["Loaded image: demo/old:base", "Loaded image: demo/old:latest"]
    config = json.loads(davit("config", "store:demo/old:latest").out)
    assert config["rootfs"]["diff_ids"] == [oci.sha256(t) for t in tars]
    assert [h["created_by"] for h in config["history"]] == ["/bin/sh 0", "/bin/sh 1", "/bin/sh 2"]
    assert config["config"] == {"Cmd": ["2"]} and "id" not in config and "parent" not in config
    assert len(json.loads(davit("config", "store:demo/old:base").out)["rootfs"]["diff_ids"]) == 1


@pytest.mark.parametrize("prefix,reverse", [("", False), ("./", False), ("./", True), ("/", False)])
def test_an_oci_archive_in_any_order(davit, layout, prefix, reverse):
    """store.md 11"""
    load(davit, oci_archive(layout, prefix, reverse).bytes())
    for name in ("web", "plain", "multi"):
        digest = layout.tags()[f"demo/{name}:1.0"]["digest"]
        assert davit("digest", f"store:demo/{name}:1.0").lines == [digest]
    assert {oci.sha256(p.read_bytes()) for p in layout.blob_dir.iterdir()} == davit.store.blobs()


def test_the_last_of_equal_entries_counts(davit, layout):
    image = layout.image("demo/web:1.0")
    archive = Archive().file("index.json", b"[]").file(f"blobs/sha256/{image.layers[0][7:]}", b"wrong")
    for path in sorted(p for p in layout.path.rglob("*") if p.is_file()):
        archive.file(str(path.relative_to(layout.path)), path.read_bytes())
    load(davit, archive.bytes())
    assert "demo/web:1.0" in names(davit)


def test_an_archive_with_both_parts_keeps_the_manifests_of_the_oci_part(davit, layout):
    image = layout.image("demo/web:1.0")
    archive = oci_archive(layout)
    archive.file("manifest.json", [{"Config": f"blobs/sha256/{image.config[7:]}", "RepoTags": ["demo/web:1.0"],
                                    "Layers": [f"blobs/sha256/{d[7:]}" for d in image.layers]}])
    assert "Loaded image: demo/web:1.0" in load(davit, archive.bytes()).lines
    assert davit("digest", "store:demo/web:1.0").lines == [image.digest]


def test_an_oci_part_that_lacks_something_does_not_stop_the_docker_part(davit, layout):
    image = layout.image("demo/web:1.0")
    tars = layers(3)
    archive = oci_archive(layout, skip=[f"blobs/sha256/{image.layers[0][7:]}", f"blobs/sha256/{image.digest[7:]}"])
    for i, tar in enumerate(tars):
        archive.file(f"{i}.tar", tar)
    archive.file("manifest.json", [{"Config": f"blobs/sha256/{image.config[7:]}", "RepoTags": ["demo/web:1.0"],
                                    "Layers": ["0.tar", "1.tar", "2.tar"]}])
    load(davit, archive.bytes())
    assert davit("inspect", "demo/web:1.0").json[0]["Id"] == image.config
    assert davit("digest", "store:demo/web:1.0").lines != [image.digest]


def test_blobs_that_the_store_has_may_be_missing(davit, layout):
    load(davit, oci_archive(layout).bytes())
    image = layout.image("demo/web:1.0")
    sparse = oci_archive(layout, skip=[f"blobs/sha256/{d[7:]}" for d in image.layers])
    load(davit, sparse.bytes())
    assert "demo/web:1.0" in names(davit)


def test_an_index_with_only_some_of_its_images(davit, layout):
    index = layout.json(layout.tags()["demo/multi:1.0"]["digest"])
    absent = index["manifests"][2]["digest"]
    load(davit, oci_archive(layout, skip=[f"blobs/sha256/{absent[7:]}"]).bytes())
    assert davit("digest", "store:demo/multi:1.0").lines == [layout.tags()["demo/multi:1.0"]["digest"]]
    assert len([i for i in davit("images", "--json").json if "demo/multi:1.0" in i["RepoTags"]]) == 2


def test_only_the_platform_that_is_asked_for(davit, other_davit, layout):
    load(davit, oci_archive(layout).bytes(), "--platform", "linux/s390x")
    assert names(davit) == {"demo/multi:1.0"}
    [image] = davit("images", "--json").json
    config = json.loads(davit("config", "--platform", "linux/s390x", "store:demo/multi:1.0").out)
    assert config["architecture"] == "s390x" and image["Id"]
    result = other_davit("load", "--platform", "linux/mips", data=docker_archive(layers(1))[0].bytes())
    assert result.lines == [] and any("nothing was loaded" in line for line in result.messages)


# ---- what is refused -------------------------------------------------------------------------------


def bad_name(name):
    archive, _ = docker_archive(layers(1))
    return archive.file(name, b"x").bytes()


def bad_item(**item):
    archive, _ = docker_archive(layers(1), **item)
    return archive.bytes()


def bad_manifest(text):
    return Archive().file("manifest.json", text).bytes()


def v1_loop():
    a, b = v1_id("a"), v1_id("b")
    archive = Archive()
    for one, other in ((a, b), (b, a)):
        archive.file(f"{one}/json", {"id": one, "parent": other}).file(f"{one}/layer.tar", layers(1)[0])
    return archive.file("repositories", {"demo/loop": {"latest": a}}).bytes()


def cut_layer():
    tar = layers(1)[0]
    return docker_archive([oci.gzip_of(tar)[:-9]], config=config_of([tar]))[0].bytes()


REFUSED = {
    "empty": (b"", 1, "it is empty"),
    "no tar": (b"hello" * 1000, 1, ""),
    "an empty tar": (Archive().bytes(), 1, "no image archive"),
    "neither manifest nor layout": (Archive().file("a", b"b").bytes(), 1, "no image archive"),
    "dot dot": (bad_name("../escape"), 1, '".."'),
    "dot dot inside": (bad_name("a/../../escape"), 1, '".."'),
    "null": (bad_manifest(b"null"), 1, "invalid manifest, manifest cannot be null (but can be [])"),
    "an object": (bad_manifest(b"{}"), 1, "manifest.json"),
    "not JSON": (bad_manifest(b"[{"), 1, "manifest.json"),
    "a deep document": (bad_manifest(b"[" * 100000), 1, "manifest.json"),
    "many values": (bad_manifest(b"[" + b"1," * 200000 + b"1]"), 1, "manifest.json"),
    "a document that is too long": (bad_manifest(b"[" + b" " * (5 << 20) + b"]"), 1, "manifest.json"),
    "no such config": (bad_item(Config="nowhere.json"), 3, 'the archive has no "nowhere.json"'),
    "no such layer": (bad_item(Layers=["nowhere.tar"]), 3, 'the archive has no layer "nowhere.tar"'),
    "an absolute layer": (bad_item(Layers=["/etc/passwd"]), 3, 'no layer "/etc/passwd"'),
    "a layer outside": (bad_item(Layers=["../../../../etc/passwd"]), 3, "no layer"),
    "a layer too many": (bad_item(Layers=["0/layer.tar", "0/layer.tar"]), 1,
                         "invalid manifest, layers length mismatch: expected 2, got 1"),
    "a layer too few": (bad_item(Layers=[]), 1, "invalid manifest, layers length mismatch: expected 0, got 1"),
    "a tag that is a digest": (bad_item(tags=["demo/app@sha256:" + "a" * 64]), 1, 'invalid tag "demo/app@sha256:'),
    "a tag without a tag": (bad_item(tags=["demo/app"]), 1, 'invalid tag "demo/app"'),
    "no rootfs": (docker_archive(layers(1), config=b'{"os":"linux"}')[0].bytes(), 1,
                  "invalid image JSON, no RootFS key"),
    "another system": (docker_archive(layers(1), config=config_of(layers(1), os="windows"))[0].bytes(), 1,
                       "cannot load windows image on linux"),
    "a layer that is cut short": (cut_layer(), 1, "layer 0: gzip stream"),
    "an image that is its own parent's parent": (v1_loop(), 1, "max depth exceeded"),
    "a parent that is none": (None, 1, "is not a valid parent for"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(davit, what):
    data, code, message = REFUSED[what]
    if what == "a parent that is none":
        archive, entries, ids_ = Archive(), [], []
        for i in range(2):
            tars = layers(1, f"p{i}")
            config = config_of(tars)
            ids_.append(oci.sha256(config))
            archive.file(f"{i}.tar", tars[0]).file(f"{i}.json", config)
            entries.append({"Config": f"{i}.json", "RepoTags": [f"demo/p:{i}"], "Layers": [f"{i}.tar"]})
        entries[1]["Parent"] = ids_[0]
        data = archive.file("manifest.json", entries).bytes()
    assert message in refused(davit, data, code)


def test_a_layer_that_is_not_what_the_config_says(davit):
    """threat B7; the text is store.md's"""
    good, other = layers(2)
    archive, _ = docker_archive([other], config=config_of([good]))
    assert (f'invalid diffID for layer 0: expected "{oci.sha256(good)}", got "{oci.sha256(other)}"'
            in refused(davit, archive.bytes(), 5))


def test_a_blob_that_is_not_what_its_name_says(davit, layout):
    """threat B1, B5"""
    image = layout.image("demo/web:1.0")
    for digest in (image.layers[0], image.config, image.digest):
        data = oci_archive(layout).file(f"blobs/sha256/{digest[7:]}", layout.blob(digest) + b" ").bytes()
        assert digest in refused(davit, data, 5)


def test_a_blob_that_is_missing(davit, layout):
    image = layout.image("demo/web:1.0")
    for digest in (image.layers[1], image.config, image.digest):
        assert digest in refused(davit, oci_archive(layout, skip=[f"blobs/sha256/{digest[7:]}"]).bytes(), 3)


def test_links_that_lead_in_circles_or_out(davit):
    """threat D2: nothing outside is read, nothing hangs."""
    tar = layers(1)[0]
    for target in ("layer.tar", "../a/layer.tar", "/a/layer.tar"):
        archive = Archive().symlink("a/layer.tar", target).file("c.json", config_of([tar]))
        archive.file("manifest.json", [{"Config": "c.json", "RepoTags": None, "Layers": ["a/layer.tar"]}])
        assert "too many links" in refused(davit, archive.bytes(), 1)
    for etc, code in (("/etc", 1), ("/usr", 3)):
        archive = Archive().symlink("etc", etc).symlink("c.json", "../../../../etc/passwd")
        archive.file("manifest.json", [{"Config": "c.json", "RepoTags": None, "Layers": []}])
        refused(davit, archive.bytes(), code)


def test_a_layout_directory_is_not_left(davit, layout, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(layout.path, copy)
    image = layout.image("demo/web:1.0")
    blob = copy / "blobs" / "sha256" / image.layers[0][7:]
    outside = tmp_path / "outside"
    blob.rename(outside)
    blob.symlink_to(outside)
    assert "leads out of the layout" in davit.fails(1, "load", "-i", copy).error
    blob.unlink()
    os.mkfifo(blob)
    assert "no regular file" in davit.fails(1, "load", "-i", copy).error
    blob.unlink()
    outside.rename(copy / "blobs" / "kept")
    blob.symlink_to("../kept")                      # a link that stays inside is fine
    davit("load", "-i", copy)


def test_devices_and_pipes_in_an_archive_are_nothing(davit):
    archive, _ = docker_archive(layers(1))
    archive.special("dev", tarfile.CHRTYPE).special("fifo", tarfile.FIFOTYPE)
    load(davit, archive.bytes())


def test_sizes_that_lie(davit):
    """threats B6, C1, D9"""
    data = docker_archive(layers(1))[0].bytes()
    for cut in (len(data) // 2, 700, 512 * 3 + 10):
        refused(davit, data[:cut], {1, 3})
    info = tarfile.TarInfo("huge.bin")
    info.size = 1 << 62
    refused(davit, info.tobuf(tarfile.GNU_FORMAT) + b"x" * 100000, {1, 7})


def test_an_entry_a_hundred_thousand_times(davit):
    """One name: bounded memory, nothing left of the others."""
    archive = Archive(tarfile.USTAR_FORMAT)
    for i in range(100000):
        archive.file("same", b"%d" % i)
    good, _ = docker_archive(layers(1))
    data = archive.bytes()
    data = data[:len(data) - len(data) % 10240 or None]
    end = 512 * 2 * 100000
    result = davit.run("load", data=data[:end] + good.bytes(), timeout=120)
    assert result.code == 0, str(result)


def test_a_bomb_is_contained(davit, tmp_path):
    """threat C5: 2 GiB of zeros in a layer of 2 MiB."""
    import zlib
    packer, bomb = zlib.compressobj(9, zlib.DEFLATED, 31), bytearray()
    for _ in range(2048):
        bomb += packer.compress(bytes(1 << 20))
    bomb += packer.flush()
    tar = layers(1)[0]
    (tmp_path / "bomb.tar").write_bytes(docker_archive([bytes(bomb)], config=config_of([tar]))[0].bytes())
    result = davit.measured("load", "-i", tmp_path / "bomb.tar", timeout=120)
    assert result.code == 5, str(result)
    assert_rss(result, 64)
    assert davit.store.ingests() == [] and davit.store.blobs() == set()


def test_memory_does_not_grow_with_the_archive(davit, tmp_path):
    def big():
        info = tarfile.TarInfo("noise")
        info.size = 200 << 20
        yield info.tobuf(tarfile.USTAR_FORMAT)
        piece = oci.noise("big", 1 << 20)
        for _ in range(200):
            yield piece
        yield bytes(1024)
    import hashlib
    diff_id, path = hashlib.sha256(), tmp_path / "layer.tar"
    with open(path, "wb") as out:
        for piece in big():
            diff_id.update(piece)
            out.write(piece)
    config = json.loads(config_of([b""]))
    config["rootfs"]["diff_ids"] = ["sha256:" + diff_id.hexdigest()]
    (tmp_path / "c.json").write_bytes(oci.dumps(config))
    (tmp_path / "manifest.json").write_bytes(oci.dumps(
        [{"Config": "c.json", "RepoTags": ["demo/big:1"], "Layers": ["layer.tar"]}]))
    subprocess.run(["tar", "-C", tmp_path, "-cf", tmp_path / "big.tar", "layer.tar", "c.json", "manifest.json"],
                   check=True)
    result = davit.measured("load", "-q", "-i", tmp_path / "big.tar", timeout=120)
    assert result.code == 0, str(result)
    assert_rss(result, 64)


# ---- input, output, kills --------------------------------------------------------------------------


def test_standard_input_is_a_pipe_that_ends_early_or_never(davit):
    data = docker_archive(layers(1))[0].bytes()
    running = davit.start("load", stdin=subprocess.PIPE)
    running.process.stdin.write(data[:1000])
    running.process.stdin.flush()
    until = time.monotonic() + 20 * SLOW
    while not list((davit.store.path / "leases").glob("*")) and time.monotonic() < until:
        time.sleep(0.02)
    running.signal(signal.SIGINT)
    result = running.wait(5)
    assert result.code == 130 and result.seconds < 5 * SLOW
    assert davit.store.ingests() == []
    assert "demo/app:1.0" not in names(davit)


def test_more_steps_than_layers(davit, tmp_path):
    """store.md 3: refused when the image is recorded, of a manifest.json and of an index.json."""
    steps = [{"created_by": str(i)} for i in range(3)]
    archive, _ = docker_archive(layers(2), config=config_of(layers(2), history=steps))
    assert "too many non-empty layers in History section" in refused(davit, archive.bytes(), 1)
    layout = oci.Layout.create(tmp_path / "odd")
    layout.tag("demo/odd:1", layout.add_image([oci.noise_layer("odd", 1000)], history=steps))
    assert "too many non-empty layers in History section" in refused(davit, oci_archive(layout).bytes(), 1)


def test_a_signal_and_the_end_of_its_input_at_once_are_an_interruption(davit):
    """The signal may be pending still when main is at its end: on one processor more often than not."""
    data = docker_archive(layers(1))[0].bytes()
    davit("load", data=data)
    if shutil.which("taskset"):
        davit.prefix = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    for _ in range(15):
        running = davit.start("load", stdin=subprocess.PIPE)
        running.process.stdin.write(data[:1000])
        running.process.stdin.flush()
        until = time.monotonic() + 20 * SLOW
        while not list((davit.store.path / "leases").glob("*")) and time.monotonic() < until:
            time.sleep(0.002)
        running.signal(signal.SIGSTOP)
        running.signal(signal.SIGINT)
        running.process.stdin.close()
        running.process.stdin = None
        running.signal(signal.SIGCONT)
        assert running.wait(5).code == 130


def test_no_such_file_and_no_archive(davit, tmp_path):
    assert "nowhere.tar" in davit.fails(3, "load", "-i", tmp_path / "nowhere.tar").error
    (tmp_path / "empty").mkdir()
    assert "no OCI layout" in davit.fails(1, "load", "-i", tmp_path / "empty").error


def test_quiet_says_only_the_result(davit):
    result = load(davit, docker_archive(layers(1))[0].bytes(), "-q")
    assert result.lines == ["Loaded image: demo/app:1.0"] and result.err == b""


def killable(layout, tmp_path):
    """Archives of several kinds, each with a name of its own, and what they bring."""
    tars = [oci.tar_of({f"f{i}": oci.noise(f"k{i}", 300 << 10)}) for i in range(3)]
    (tmp_path / "docker.tar").write_bytes(docker_archive(tars, tags=["demo/docker:1", "demo/docker:2"])[0].bytes())
    packed = docker_archive(tars[:2], tags=["demo/packed:1"])[0].bytes()
    (tmp_path / "packed.tar.gz").write_bytes(gzip.compress(packed, 1))
    (tmp_path / "oci.tar").write_bytes(oci_archive(layout).bytes())
    own = {f"demo/{n}:1.0" for n in ("web", "plain", "multi")}
    return [(tmp_path / "docker.tar", {"demo/docker:1", "demo/docker:2"}),
            (tmp_path / "packed.tar.gz", {"demo/packed:1"}), (tmp_path / "oci.tar", own), (layout.path, own)]


def damage(davit):
    return [found for found in davit.run("fsck", "--full", "--json").json["Findings"] if found["Damage"]]


def test_kill_9_at_100_random_points(davit, layout, tmp_path):
    """All names of an archive come at once or not at all; the next run completes; nothing that is left needs more than a prune."""
    rng, kills, rounds, took = random.Random(815), 0, 0, {}
    kinds = killable(layout, tmp_path)
    davit("load", "-i", layers_only(tmp_path))      # a store that is there
    while kills < KILLS:
        assert rounds < 4 * KILLS, f"only {kills} kills hit a running load"
        path, brings = kinds[rounds % len(kinds)]
        rounds += 1
        started = time.monotonic()
        running = davit.start("load", "-q", "-i", path)
        if path not in took:
            assert running.wait().code == 0
            took[path] = time.monotonic() - started
        else:
            time.sleep(rng.uniform(0, took[path]))
            hit = running.alive
            running.kill()
            kills += hit
            took[path] *= 1.1 if hit else 0.7   # how long it takes depends on what else this machine does
            assert damage(davit) == []
        if rounds % 10 == 0:
            davit("load", "-q", "-i", path)
            davit("unpack", "store:" + min(brings), davit.root / f"root{rounds}")
        seen = names(davit) - {"demo/small:1"}
        assert seen in (set(), brings), path
        if seen:
            davit("rmi", "-f", *brings)
        if rounds % 10 == 0:
            davit("prune")      # what the killed ones brought is not there for the next ones
    for name in davit.store.ingests():
        later = time.time() - (120 if name.startswith("new-") else 8 * 86400)
        os.utime(davit.store.path / "ingest" / name, (later, later))
    davit("prune")
    assert davit.store.ingests() == [] and list((davit.store.path / "leases").iterdir()) == []
    assert davit("fsck", "--full", "--json").json["Findings"] == []


@pytest.fixture(scope="module")
def strace():
    works = shutil.which("strace") and subprocess.run(["strace", "-o", "/dev/null", "true"],
                                                      stderr=subprocess.DEVNULL).returncode == 0
    if ASAN or not works:
        pytest.skip("no strace here")


@pytest.mark.parametrize("call, errors", [
    ("pwrite64", ["ENOSPC", "EIO"]), ("fdatasync", ["EIO", "ENOSPC"]), ("renameat", ["EIO"]), ("fsync", ["EIO"]),
    ("openat", ["EMFILE", "EIO", "ENOSPC"]), ("fchmod", ["EPERM"]), ("mkdirat", ["ENOSPC"]), ("read", ["EIO"]),
])
def test_a_call_that_fails_is_one_line_and_leaves_nothing(davit, layout, strace, tmp_path, call, errors):
    kinds = killable(layout, tmp_path)
    small = layers_only(tmp_path)
    first = 12 if call in ("openat", "read") else 1     # before that it is the loader
    for error in errors:
        for n, when in enumerate((first, first + 1, first + 2, first + 4, first + 8, first + 16)):
            path, brings = kinds[n % len(kinds)]
            shutil.rmtree(davit.store.path, ignore_errors=True)
            if n % 2:
                davit("load", "-q", "-i", small)        # else its store is new
            davit.prefix = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                            f"inject={call}:error={error}:when={when}"]
            result = davit.run("load", "-q", "-i", path)
            davit.prefix = []
            assert result.code in {0, 1, 5, 7, 127}, str(result)
            assert len(result.errors) <= 1, str(result)
            if result.code != 0 and davit.store.path.exists():
                assert davit.store.ingests() == [], f"{call} {error} {when}: {result}"
                assert not list(davit.store.path.glob("leases/*")), f"{call} {error} {when}: {result}"
            if result.code != 0 and (davit.store.path / "davit.db").exists():
                assert damage(davit) == [], f"{call} {error} {when}: {result}"
            davit("load", "-q", "-i", path)
            assert names(davit) == brings | ({"demo/small:1"} if n % 2 else set())


def layers_only(tmp_path):
    path = tmp_path / "small.tar"
    path.write_bytes(docker_archive(layers(1, "small"), tags=["demo/small:1"])[0].bytes())
    return path


def test_a_full_disk_is_said(davit, tmp_path):
    """The header says how much is coming."""
    info = tarfile.TarInfo("0/layer.tar")
    info.size = 1 << 50
    result = davit.fails(7, "load", data=info.tobuf(tarfile.GNU_FORMAT) + bytes(100000))
    assert "no space" in result.error
    assert davit.store.ingests() == []


def test_what_it_generates_is_always_the_same(davit, other_davit):
    data = docker_archive(layers(2))[0].bytes()
    load(davit, data)
    load(other_davit, data)
    assert davit("manifest", "store:demo/app:1.0").out == other_davit("manifest", "store:demo/app:1.0").out
    assert manifest_of(data)[0]["RepoTags"] == ["demo/app:1.0"]
