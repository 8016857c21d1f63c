"""davit save: the exact archive, its readers, what happens to an index, and what is refused."""
import json
import os
import subprocess
import tarfile
import time

import pytest

from support import oci
from support.davit import assert_rss
from support.image_archive import config_of, docker_archive, layers, read

CREATED_S = oci.MTIME         # oci.CREATED


def skopeo(*args):
    return subprocess.run(["skopeo", "--insecure-policy", *map(str, args)], check=True,
                          capture_output=True).stdout


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    made = oci.Layout.create(tmp_path_factory.mktemp("save") / "layout")
    tars = layers(3)
    gz = [(oci.gzip_of(t), oci.sha256(t)) for t in tars]
    made.tag("demo/web:1.0", made.add_image(gz))
    made.tag("demo/web:2.0", made.add_image([*gz[:2], gz[0]]))
    made.tag("demo/plain:1.0", made.add_image(
        [(made.add_blob(t, oci.OCI_LAYER), oci.sha256(t)) for t in tars]))
    made.tag("demo/empty:1.0", made.add_image([]))
    children = []
    for arch in (oci.HOST_ARCH, "s390x"):
        tar = oci.tar_of({"arch": arch.encode()})
        image = made.add_image([(oci.gzip_of(tar), oci.sha256(tar))], arch=arch)
        children.append({**image, "platform": {"architecture": arch, "os": "linux"}})
    made.tag("demo/multi:1.0", made.add_index(children))
    return made


@pytest.fixture
def filled(davit, layout):
    davit("load", "-i", layout.path)
    return davit


def save(davit, *args):
    return davit("save", *args, timeout=60).out


# ---- the docker format ------------------------------------------------------------------------------


def test_the_entries_of_a_docker_archive(filled, layout):
    """store.md 10: set, order, modes, times, forms."""
    data = save(filled, "demo/web:1.0")
    infos, contents, order = read(data)
    image = layout.image("demo/web:1.0")
    config = layout.json(image.config)
    diff_ids = config["rootfs"]["diff_ids"]
    assert order == sorted(order)
    assert [n for n in order if not n.startswith("blobs/sha256/")] == [
        "blobs", "blobs/sha256", "index.json", "manifest.json", "oci-layout", "repositories"]
    assert contents["oci-layout"] == b'{"imageLayoutVersion": "1.0.0"}'
    path = "blobs/sha256/{}".format
    assert json.loads(contents["manifest.json"]) == [{
        "Config": path(image.config[7:]), "RepoTags": ["demo/web:1.0"], "Layers": [path(d[7:]) for d in diff_ids],
        "LayerSources": {d: {"mediaType": oci.OCI_LAYER, "size": len(contents[path(d[7:])]), "digest": d}
                         for d in diff_ids}}]
    assert contents["manifest.json"].endswith(b"]\n") and b" " not in contents["manifest.json"]
    assert contents["repositories"] == b'{"demo/web":{"1.0":"%s"}}\n' % diff_ids[-1][7:].encode()
    [entry] = json.loads(contents["index.json"])["manifests"]
    assert entry["annotations"] == {"io.containerd.image.name": "docker.io/demo/web:1.0",
                                    "org.opencontainers.image.ref.name": "1.0"}
    manifest = json.loads(contents[path(entry["digest"][7:])])
    assert entry["size"] == len(contents[path(entry["digest"][7:])])
    assert [layer["digest"] for layer in manifest["layers"]] == diff_ids
    assert {layer["mediaType"] for layer in manifest["layers"]} == {oci.OCI_LAYER}
    assert manifest["config"]["digest"] == image.config
    blobs = {name[13:]: contents[name] for name in contents if name.startswith("blobs/")}
    assert {name: oci.sha256(data)[7:] for name, data in blobs.items()} == {name: name for name in blobs}
    known = {image.config[7:], entry["digest"][7:], *(d[7:] for d in diff_ids)}
    v1 = [json.loads(blobs[name]) for name in blobs if name not in known]
    assert len(v1) == 3 and sum("parent" in one for one in v1) == 2 and all(one["os"] == "linux" for one in v1)
    for name, info in infos.items():
        is_dated = name[13:] in blobs and name[13:] != entry["digest"][7:]
        assert info.mtime == (CREATED_S if is_dated else 0), name
        assert info.mode == (0o755 if info.isdir() else 0o644) and info.uid == info.gid == 0
    assert contents[path(image.config[7:])] == layout.blob(image.config)


def test_a_layer_of_several_images_is_there_once(filled, layout):
    _, contents, order = read(save(filled, "demo/web"))
    assert len(order) == len(set(order))
    manifest = json.loads(contents["manifest.json"])
    assert [item["RepoTags"] for item in manifest] == [["demo/web:1.0"], ["demo/web:2.0"]]
    assert manifest[0]["Layers"][0] == manifest[1]["Layers"][0] == manifest[1]["Layers"][2]
    assert len(json.loads(contents["index.json"])["manifests"]) == 2


def test_names_of_every_form(filled, layout):
    """store.md 10: name resolution"""
    web = layout.image("demo/web:1.0")

    def tags(*args):
        return [item["RepoTags"] for item in json.loads(read(save(filled, *args))[1]["manifest.json"])]
    assert tags("docker.io/demo/web:1.0") == [["demo/web:1.0"]]
    assert tags(web.config) == tags(web.config[7:]) == tags(web.config[7:15]) == tags(web.config[:20]) == [None]
    assert tags("demo/web", "demo/web:1.0") == [["demo/web:1.0"], ["demo/web:2.0"]]
    assert tags("demo/web:1.0", web.config[7:19]) == [["demo/web:1.0"]]
    assert tags("store:demo/web:1.0") == [["demo/web:1.0"]]
    filled("tag", "demo/web:1.0", "other:latest")
    assert tags("other", "demo/web:1.0") == [["other:latest", "demo/web:1.0"]]


def test_a_digest_is_saved_without_a_tag(davit, open_registry, images):
    digest = images.image("twice").digest
    davit("pull", f"{open_registry.host}/demo/twice@{digest}")
    _, contents, _ = read(save(davit, f"{open_registry.host}/demo/twice@{digest}"))
    assert json.loads(contents["manifest.json"])[0]["RepoTags"] is None
    assert "repositories" not in contents
    [entry] = json.loads(contents["index.json"])["manifests"]
    assert "annotations" not in entry


def test_the_platform_of_a_docker_archive(filled, layout):
    """store.md 10: not matching exactly is an error"""
    def arch(*args):
        _, contents, _ = read(save(filled, *args))
        config = json.loads(contents["manifest.json"])[0]["Config"]
        return json.loads(contents[config])["architecture"]
    assert arch("demo/multi:1.0") == oci.HOST_ARCH
    assert arch("--platform", "linux/s390x", "demo/multi:1.0") == "s390x"
    for ref in ("demo/multi:1.0", "demo/web:1.0"):
        for kind in ("docker", "oci"):
            result = filled.fails({1, 3}, "save", "--format", kind, "--platform", "linux/mips", ref)
            assert "no suitable export target found for platform linux/mips" in result.error
            assert result.out == b""


# ---- readers -----------------------------------------------------------------------------------------


def test_skopeo_reads_what_was_saved(filled, layout, open_registry, tmp_path):
    save(filled, "-o", tmp_path / "d.tar", "demo/web:1.0")
    inspected = json.loads(skopeo("inspect", "--config", f"docker-archive:{tmp_path}/d.tar:demo/web:1.0"))
    image = layout.image("demo/web:1.0")
    assert inspected["rootfs"] == layout.json(image.config)["rootfs"]
    skopeo("copy", "--dest-tls-verify=false", f"docker-archive:{tmp_path}/d.tar:demo/web:1.0",
           f"docker://{open_registry.host}/saved/web:d")
    assert json.loads(open_registry.inspect("saved/web:d", "--raw"))["config"]["digest"] == image.config


def test_skopeo_copies_an_oci_archive_to_a_registry_byte_for_byte(filled, layout, open_registry, tmp_path):
    save(filled, "--format", "oci", "-o", tmp_path / "o.tar", "demo/multi:1.0")
    skopeo("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", f"oci-archive:{tmp_path}/o.tar:1.0",
           f"docker://{open_registry.host}/saved/multi:1.0")
    digest = layout.tags()["demo/multi:1.0"]["digest"]
    assert open_registry.inspect("saved/multi:1.0", "--raw") == layout.blob(digest)


def test_umoci_unpacks_an_oci_archive(filled, layout, tmp_path):
    save(filled, "--format", "oci", "-o", tmp_path / "o.tar", "demo/web:1.0")
    (tmp_path / "o").mkdir()
    with tarfile.open(tmp_path / "o.tar") as tar:
        tar.extractall(tmp_path / "o")
    listed = subprocess.run(["umoci", "ls", "--layout", tmp_path / "o"], check=True, capture_output=True)
    assert listed.stdout.split() == [b"1.0"]


@pytest.mark.parametrize("kind", ["docker", "oci"])
def test_save_load_save_gives_the_same_bytes(filled, other_davit, kind):
    names = ["demo/multi:1.0", "demo/web", "demo/plain:1.0"]
    first = save(filled, "--format", kind, *names)
    assert save(filled, "--format", kind, *names) == first
    other_davit("load", data=first, timeout=60)
    assert save(other_davit, "--format", kind, *names) == first
    assert other_davit.store.wrong_blobs() == []


def test_ids_and_diff_ids_survive_both_formats(filled, davit, other_davit, layout):
    config = layout.blob(layout.image("demo/web:1.0").config)
    other_davit("load", data=save(filled, "demo/web:1.0"))
    assert other_davit("config", "store:demo/web:1.0").out == config
    third = save(other_davit, "--format", "oci", "demo/web:1.0")
    davit("load", data=third)
    assert davit("config", "store:demo/web:1.0").out == config


# ---- the oci format ----------------------------------------------------------------------------------


def test_an_oci_archive_begins_with_what_a_reader_needs(filled, layout):
    """store.md 11"""
    _, contents, order = read(save(filled, "--format", "oci", "demo/multi:1.0", "demo/web:1.0"))
    assert order[:2] == ["oci-layout", "index.json"]
    index = json.loads(contents["index.json"])
    assert [e["annotations"]["io.containerd.image.name"] for e in index["manifests"]] == [
        "docker.io/demo/multi:1.0", "docker.io/demo/web:1.0"]
    assert order[4] == f"blobs/sha256/{layout.tags()['demo/multi:1.0']['digest'][7:]}"
    for name, data in contents.items():
        if name.startswith("blobs/"):
            assert data == (layout.path / name).read_bytes()


@pytest.fixture
def partial(davit, open_registry):
    """multi, pulled for this machine only; gives the reference."""
    ref = f"{open_registry.host}/demo/multi:1.0"
    davit("pull", ref)
    return ref


def test_the_one_image_of_an_index_that_is_here_goes_under_its_name(davit, partial, images):
    """DESIGN 6"""
    result = davit("save", "--format", "oci", partial)
    assert any("without the index" in line for line in result.messages)
    _, contents, _ = read(result.out)
    [entry] = json.loads(contents["index.json"])["manifests"]
    index = images.json(images.tags()["multi"]["digest"])
    child = [m for m in index["manifests"] if m["platform"]["architecture"] == oci.HOST_ARCH][0]
    assert entry["digest"] == child["digest"]
    assert entry["annotations"]["io.containerd.image.name"] == partial


def test_a_sparse_index_goes_as_it_is(davit, other_davit, partial, images):
    data = save(davit, "--format", "oci", "--sparse", partial)
    _, contents, _ = read(data)
    [entry] = json.loads(contents["index.json"])["manifests"]
    assert entry["digest"] == images.tags()["multi"]["digest"]
    other_davit("load", data=data)
    assert other_davit("digest", f"store:{partial}").lines == [entry["digest"]]
    assert "--sparse" not in davit.fails(3, "save", "--format", "oci", "--all-platforms", partial).error


def test_of_several_images_the_platform_decides(davit, layout):
    index = layout.json(layout.tags()["demo/multi:1.0"]["digest"])
    third = oci.Layout.create(davit.root / "third")
    for blob in layout.blob_dir.iterdir():
        third.add_blob(blob.read_bytes())
    absent = {**index["manifests"][0], "digest": "sha256:" + "b" * 64,
              "platform": {"architecture": "riscv64", "os": "linux"}}
    third.tag("demo/three:1.0", third.add_index([*index["manifests"], absent]))
    davit("load", "-i", third.path)
    result = davit.fails({1, 3}, "save", "--format", "oci", "demo/three:1.0")
    assert "2 of the 3 images" in result.error
    _, contents, _ = read(save(davit, "--format", "oci", "--platform", "linux/s390x", "demo/three:1.0"))
    [entry] = json.loads(contents["index.json"])["manifests"]
    assert entry["digest"] == index["manifests"][1]["digest"]


def test_all_platforms_with_their_attestations(davit, other_davit, open_registry, images):
    ref = f"{open_registry.host}/demo/multi:1.0"
    davit("pull", "--all-platforms", ref)
    data = save(davit, "--format", "oci", "--all-platforms", ref)
    assert save(davit, "--format", "oci", ref) == data
    other_davit("load", data=data)
    assert other_davit.store.blobs() == davit.store.blobs()
    assert save(other_davit, "--format", "oci", ref) == data


# ---- what is refused ---------------------------------------------------------------------------------


def test_an_image_without_layers(filled):
    """store.md 10"""
    result = filled.fails(1, "save", "demo/empty:1.0")
    assert "empty export - not implemented" in result.error and result.out == b""
    save(filled, "--format", "oci", "demo/empty:1.0")


def test_no_such_image(filled):
    for name in ("nowhere", "demo/web:9", "sha256:" + "0" * 64, "demo/web@sha256:" + "0" * 64):
        result = filled.fails(3, "save", name)
        assert "No such image" in result.error and result.out == b""
    assert filled.run("save", "demo/web:1.0", "nowhere").out == b""


def test_wrong_usage(filled):
    for args in (["--format", "zip", "demo/web"], ["--sparse", "demo/web"], ["--all-platforms", "demo/web"], [],
                 ["--format", "oci", "--sparse", "--all-platforms", "demo/web"],
                 ["--format", "oci", "--sparse", "--platform", "linux/arm64", "demo/web"], ["docker://demo/web"]):
        assert filled.run("save", *args).code in (1, 2)


def test_a_terminal_is_no_place_for_an_archive(filled):
    master, slave = os.openpty()
    result = filled.fails(2, "save", "demo/web:1.0", stdout=slave)
    assert "-o FILE" in " ".join(result.messages)
    result = filled.fails(2, "load", stdin=slave)
    assert "-i FILE" in " ".join(result.messages)
    os.close(master)
    os.close(slave)


def test_a_damaged_layer_ends_it(filled, layout, tmp_path):
    """threat B8"""
    layer = layout.image("demo/web:1.0").layers[1]
    path = filled.store.blob_path(layer)
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    for kind in ("docker", "oci"):
        result = filled.fails({1, 5}, "save", "--format", kind, "-o", tmp_path / "x.tar", "demo/web:1.0")
        assert layer in result.error
        assert list(tmp_path.glob("x*")) == []
    path.unlink()
    for kind in ("docker", "oci"):
        result = filled.fails(3, "save", "--format", kind, "demo/web:1.0")
        assert result.out == b"" and layer[7:] in result.error


def test_a_layer_that_is_not_what_the_config_says(davit, open_registry, tmp_path):
    """threat B7: pull does not inflate, save does."""
    tars = layers(2)
    wrong = oci.Layout.create(tmp_path / "wrong")
    wrong.tag("wrong", wrong.add_image([(oci.gzip_of(tars[0]), oci.sha256(tars[1]))]))
    ref = open_registry.push(wrong, "wrong", "saved/wrong:1")
    davit("pull", ref)
    result = davit.fails(5, "save", ref)
    assert oci.sha256(tars[1]) in result.error and result.out == b""


# ---- output ------------------------------------------------------------------------------------------


def test_a_file_appears_whole_or_not_at_all(filled, tmp_path):
    target = tmp_path / "out.tar"
    target.write_bytes(b"old")
    filled.fails(3, "save", "-o", target, "nowhere")
    assert target.read_bytes() == b"old"
    save(filled, "-o", target, "demo/web:1.0")
    assert target.read_bytes() == save(filled, "demo/web:1.0")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("out")] == ["out.tar"]


def test_killed_it_leaves_the_file_alone(filled, tmp_path):
    big = docker_archive([oci.tar_of({"f": oci.noise("big", 30 << 20)})], tags=["demo/big:1"])[0]
    filled("load", data=big.bytes())
    target = tmp_path / "out.tar"
    target.write_bytes(b"old")
    for i in range(5):
        running = filled.start("save", "-o", target, "demo/big:1")
        time.sleep(0.01 * i)
        running.kill()
        assert target.read_bytes()[:3] == b"old" or target.stat().st_size > (30 << 20)
        target.write_bytes(b"old")


def test_a_reader_that_goes_away_ends_it(filled):
    running = filled.start("save", "demo/web")
    running.process.stdout.close()
    running.process.stdout = None
    result = running.wait(10)
    assert result.code != 0


@pytest.mark.parametrize("form", ["docker", "oci"])
def test_an_image_that_is_removed_meanwhile_is_saved_whole(davit, other_davit, form):
    """A lease holds what is saved, whoever removes it."""
    archive, image_id = docker_archive([oci.tar_of({f"f{i}": oci.noise(f"r{i}", 300 << 10)}) for i in range(4)])
    davit("load", data=archive.bytes())
    running = davit.start("save", "--format", form, "demo/app:1.0")
    first = os.read(running.process.stdout.fileno(), 1)     # the pipe holds 64 KiB of the rest
    davit("rmi", "demo/app:1.0")
    davit("prune")
    result = running.wait()
    assert result.code == 0, result.err
    other_davit("load", data=first + result.out)
    assert other_davit("images", "-q", "--no-trunc").lines == [image_id]
    davit("prune")
    assert davit.store.blobs() == set() and list((davit.store.path / "leases").iterdir()) == []


def test_a_read_only_store_is_enough(filled, tmp_path):
    usual = save(filled, "demo/web:1.0")
    for path in [filled.store.path, *filled.store.path.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert save(filled, "demo/web:1.0") == usual
    finally:
        for path in [filled.store.path, *filled.store.path.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_memory_does_not_grow_with_the_image(davit, tmp_path):
    tar = oci.tar_of({"f": oci.noise("big", 150 << 20)})
    davit("load", data=docker_archive([oci.gzip_of(tar, 1)], config=config_of([tar]))[0].bytes(), timeout=120)
    for kind in ("docker", "oci"):
        result = davit.measured("save", "-q", "--format", kind, "-o", tmp_path / "x.tar", "demo/app:1.0", timeout=120)
        assert result.code == 0, str(result)
        assert_rss(result, 64)


def test_an_archive_goes_through_a_pipe_into_another_store(filled, other_davit):
    """Nothing is spooled anywhere."""
    saving = filled.start("save", "demo/web", "demo/multi")
    loading = other_davit.start("load", stdin=saving.process.stdout)
    saving.process.stdout.close()
    saving.process.stdout = None
    assert loading.wait(30).code == 0
    assert saving.wait(30).code == 0
