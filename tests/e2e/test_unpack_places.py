"""unpack, export, inspect and history of layouts, archives and directories that skopeo made: the same trees as umoci's, every blob verified,
and the store has no part in it."""
import gzip
import os
import re
import shutil
import subprocess
import tarfile

import pytest
from support import layers, oci, trees
from support.davit import assert_rss
from support.image_archive import Archive, config_of

ROOT = os.geteuid() == 0
KINDS = ("oci", "oci-archive", "docker-archive", "dir")
OTHER = {"amd64": "arm64"}.get(oci.HOST_ARCH, "amd64")


def run(*argv):
    done = subprocess.run(list(map(str, argv)), capture_output=True)
    assert done.returncode == 0, f"{argv}: {done.stderr.decode()}"


def skopeo_copy(source, target):
    run("skopeo", "--insecure-policy", "copy", "-q", source, target)


def described(layout, tag):
    """Every name that a layer has an entry for."""
    names = set()
    for digest in layout.image(tag).layers:
        with tarfile.open(layout.blob_path(digest)) as tar:
            names |= {os.fsencode(os.path.normpath(name)) for name in tar.getnames()}
    return names


def by_umoci(layout, tag, where):
    """What the tree must be. A directory without an entry was made just now, whoever made it."""
    run("umoci", "unpack", *([] if ROOT else ["--rootless"]), "--image", f"{layout.path}:{tag}", where)
    tree = trees.walk(where / "rootfs")
    implied = tree.keys() - described(layout, tag)
    assert len(implied) < 10 and all(tree[path].type == "directory" for path in implied)
    for path in implied:
        tree[path].mtime_ns = None
    return tree


@pytest.fixture(scope="module")
def real(images, tmp_path_factory):
    """{kind: place} of files of Debian in six layers, as skopeo writes them; .tree is umoci's."""
    where = tmp_path_factory.mktemp("real")
    places = {"oci": f"oci:{where}/layout:derived", "oci-archive": f"oci-archive:{where}/oci.tar:derived",
              "docker-archive": f"docker-archive:{where}/docker.tar:demo/derived:1", "dir": f"dir:{where}/dir"}
    for place in places.values():
        skopeo_copy(f"oci:{images.path}:derived", place)
    places["tree"] = by_umoci(images, "derived", where / "umoci")
    return places


def plain(*names):
    return layers.layer(*(layers.file(name, oci.noise(name, 50000), uid=0, gid=0) for name in names))


def good_image(layout, names=("one", "two"), **config):
    tars = [plain(name) for name in names]
    return layout.add_image([(oci.gzip_of(tar), oci.sha256(tar)) for tar in tars], **config)


@pytest.fixture
def layout(tmp_path):
    """One of a test's own, to be spoiled: web, of two layers."""
    it = oci.Layout.create(tmp_path / "places" / "layout")
    it.tag("web", good_image(it))
    return it


@pytest.fixture
def place(layout):
    return f"oci:{layout.path}:web"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "targets" / "root"


@pytest.fixture(autouse=True)
def nothing_beside(davit, target):
    """Whatever happened, nothing but the target is left where it stands."""
    target.parent.mkdir()
    yield
    assert {p.name for p in target.parent.iterdir()} <= {"root"}


def refused(davit, target, code, place, *flags):
    """Nothing is left, nor does it export; gives the message."""
    out = davit.root / "refused.tar"
    error = davit.fails(code, "unpack", *flags, place, target).error
    assert not target.exists()
    platform = [flag for flag in flags if flag.startswith("--platform")]
    assert davit.fails(code, "export", *platform, "-o", out, place).error == error
    assert not out.exists() and not davit.store.path.exists()
    return error


def flip(path, at):
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


# ---- every kind of place -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_skopeo_wrote_is_unpacked_as_by_umoci(davit, real, target, kind):
    result = davit.measured("unpack", "--json", real[kind], target)
    assert result.code == 0, str(result)
    assert_rss(result, 32)
    assert result.json["source"] == "files" and result.json["name"] == real[kind]
    assert result.json["layers"] == 6 and result.json["skippedCount"] == 0
    found = trees.walk(target)
    assert len(found) > 100
    wrong = trees.compare(found, real["tree"], names=("davit", "umoci"))
    assert not wrong, "\n".join(wrong)
    assert not davit.store.path.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_its_tar_is_that_of_the_store(davit, other_davit, real, images, tmp_path, kind):
    davit("export", "-o", tmp_path / "files.tar", real[kind])
    assert not davit.store.path.exists()
    other_davit("copy", f"oci:{images.path}:derived", "store:derived:1")
    other_davit("export", "-o", tmp_path / "store.tar", "store:derived:1")
    assert (tmp_path / "files.tar").read_bytes() == (tmp_path / "store.tar").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_inspect_and_history_say_of_it_what_the_store_says(davit, other_davit, real, images, kind):
    place = real[kind]
    other_davit("copy", f"oci:{images.path}:derived", "store:derived:1")
    [said], [stored] = davit("inspect", place).json, other_davit("inspect", "derived:1").json
    assert said["RepoTags"] == said["RepoDigests"] == []
    same = ("Id", "Created", "Architecture", "Os", "Config", "RootFS")
    assert {k: said[k] for k in same} == {k: stored[k] for k in same}
    steps, those = davit("history", "--json", place).json, other_davit("history", "--json", "derived:1").json
    assert steps[0].pop("Tags") is None and those[0].pop("Tags") == ["derived:1"]
    if kind == "docker-archive":        # its layers are not compressed
        assert said["Size"] > stored["Size"] and said["Size"] > sum(step.pop("Size") for step in steps) > \
            sum(step.pop("Size") for step in those)
    else:
        assert said["Descriptor"] == stored["Descriptor"] and said["Size"] == stored["Size"]
    assert steps == those
    assert len(davit("history", place).lines) == 7
    assert not davit.store.path.exists()


def test_history_of_an_image_in_a_registry(davit, open_registry, images):
    ref = f"docker://{open_registry.host}/demo/derived:1.0"
    steps = davit("history", "--json", ref).json
    assert steps == davit("history", "--json", f"oci:{images.path}:derived").json
    assert len(steps) == 6 and steps[0]["Id"] == images.image("derived").config
    davit.fails(3, "history", ref + "-absent")
    assert not davit.store.path.exists()


def test_zstd_layers_and_a_digest_in_place_of_a_name(davit, images, tmp_path, target):
    digest = images.tags()["debian-zstd"]["digest"]
    davit("unpack", f"oci:{images.path}@{digest}", target)
    wrong = trees.compare(trees.walk(target), by_umoci(images, "debian", tmp_path / "umoci"))
    assert not wrong, "\n".join(wrong)


def test_a_docker_archive_that_is_compressed(davit, real, tmp_path, target):
    _, path, name = real["docker-archive"].split(":", 2)
    with open(path, "rb") as plain_file, gzip.open(tmp_path / "x.tar.gz", "wb", compresslevel=1) as packed:
        shutil.copyfileobj(plain_file, packed)
    davit("unpack", f"docker-archive:{tmp_path}/x.tar.gz:{name}", target)
    assert not trees.compare(trees.walk(target), real["tree"])
    assert [p.name for p in tmp_path.glob("*.tar*")] == ["x.tar.gz"]


def test_a_bundle_of_it(davit, layout, target):
    layout.tag("run", good_image(layout, config={"Cmd": ["top"], "WorkingDir": "/srv"}))
    davit("unpack", "--bundle", "--layers", "1", f"oci:{layout.path}:run", target)
    assert {p.name for p in target.iterdir()} == {"rootfs", "config.json"}
    assert {p.name for p in (target / "rootfs").iterdir()} == {"one"}
    assert '"top"' in (target / "config.json").read_text()


def test_an_image_without_layers(davit, images, target):
    davit("unpack", f"oci:{images.path}:empty", target)
    assert list(target.iterdir()) == []


# ---- which image -------------------------------------------------------------------------------------


@pytest.fixture
def multi(layout):
    """An index of this machine's platform and another one."""
    layout.tag("multi", layout.add_index(
        [{**good_image(layout, [f"for-{arch}"], arch=arch), "platform": {"os": "linux", "architecture": arch}}
         for arch in (OTHER, oci.HOST_ARCH)]))
    return f"oci:{layout.path}:multi"


def test_of_an_index_the_platform(davit, multi, tmp_path, target):
    davit("unpack", multi, target)
    assert [p.name for p in target.iterdir()] == [f"for-{oci.HOST_ARCH}"]
    davit("unpack", "--force", "--platform", f"linux/{OTHER}", multi, target)
    assert [p.name for p in target.iterdir()] == [f"for-{OTHER}"]
    davit("export", "--platform", f"linux/{OTHER}", "-o", tmp_path / "x.tar", multi)
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert tar.getnames() == [f"for-{OTHER}"]
    assert davit("inspect", "--platform", f"linux/{OTHER}", multi).json[0]["Architecture"] == OTHER
    assert davit("inspect", multi).json[0]["Architecture"] == oci.HOST_ARCH
    assert len(davit("history", "--platform", f"linux/{OTHER}", multi).lines) == 2


def test_a_platform_that_is_not_there(davit, multi, target):
    error = refused(davit, target, 3, multi, "--platform=linux/s390x")
    assert "no matching manifest for linux/s390x" in error


def test_another_system_is_for_who_asks_for_it(davit, layout, target):
    layout.tag("windows", good_image(layout, os_name="windows"))
    place = f"oci:{layout.path}:windows"
    assert "windows" in refused(davit, target, 1, place)
    davit("unpack", "--platform", "windows/" + oci.HOST_ARCH, place, target)


def test_names_that_are_not_there(davit, layout, target):
    for place in (f"oci:{layout.path}:absent", f"oci:{layout.path}@sha256:{'0' * 64}",
                  f"oci:{layout.path}-none:web", f"oci-archive:{layout.path}/none.tar", f"dir:{layout.path}/none"):
        refused(davit, target, 3, place)
        davit.fails(3, "inspect", place)
        davit.fails(3, "history", place)
    assert "it has: web" in refused(davit, target, 3, f"oci:{layout.path}:absent")
    assert "is no docker archive" in refused(davit, target, 1, f"docker-archive:{an_archive(layout)}")


def an_archive(layout):
    """A tar of a layout."""
    path = layout.path.with_suffix(".tar")
    run("tar", "-C", layout.path, "-cf", path, ".")
    return path


def test_of_several_images_one_must_be_named(davit, layout, target):
    layout.tag("other", good_image(layout, ["three"]))
    for place in (f"oci:{layout.path}", f"oci-archive:{an_archive(layout)}"):
        error = davit.fails(2, "unpack", place, target).error
        assert "has 2 images, name one: web, other" in error
    davit("unpack", f"oci-archive:{an_archive(layout)}:other", target)
    assert [p.name for p in target.iterdir()] == ["three"]


def test_of_several_images_of_a_docker_archive_too(davit, tmp_path, target):
    archive, items = Archive(), []
    for name in ("one", "two"):
        config = config_of([plain(name)])
        archive.file(f"{name}/layer.tar", plain(name)).file(f"{name}.json", config)
        items.append({"Config": f"{name}.json", "RepoTags": [f"demo/{name}:1"], "Layers": [f"{name}/layer.tar"]})
    (tmp_path / "x.tar").write_bytes(archive.file("manifest.json", items).bytes())
    place = f"docker-archive:{tmp_path}/x.tar"
    assert "has 2 images, name one: demo/one:1, demo/two:1" in davit.fails(2, "unpack", place, target).error
    assert "name one" in davit.fails(2, "inspect", place).error
    assert "it has: demo/one:1" in refused(davit, target, 3, place + ":demo/three:1")
    davit("unpack", place + ":demo/two:1", target)
    assert [p.name for p in target.iterdir()] == ["two"]


# ---- what is wrong with it ---------------------------------------------------------------------------


@pytest.mark.parametrize("at", [3, 25000, -10], ids=["head", "middle", "end"])
@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_a_damaged_layer(davit, layout, target, kind, at):
    digest = layout.image("web").layers[1]
    flip(layout.blob_path(digest), at)
    place = f"oci-archive:{an_archive(layout)}" if kind == "oci-archive" else f"oci:{layout.path}:web"
    error = refused(davit, target, 5, place)
    assert f"blob {digest} is damaged at its source" in error


def test_a_damaged_layer_of_a_docker_archive(davit, tmp_path, target):
    tar = plain("one")
    archive = Archive().file("layer.tar", tar[:5000] + b"\1" + tar[5001:]).file("c.json", config_of([tar]))
    (tmp_path / "x.tar").write_bytes(archive.file(
        "manifest.json", [{"Config": "c.json", "RepoTags": None, "Layers": ["layer.tar"]}]).bytes())
    assert oci.sha256(tar) in refused(davit, target, 5, f"docker-archive:{tmp_path}/x.tar")


def test_a_damaged_layer_in_a_directory(davit, real, tmp_path, target, images):
    shutil.copytree(real["dir"][len("dir:"):], tmp_path / "dir")
    digest = images.image("derived").layers[2]
    flip(tmp_path / "dir" / digest[7:], 1000)
    assert f"blob {digest} is damaged" in refused(davit, target, 5, f"dir:{tmp_path}/dir")


@pytest.mark.parametrize("part", ["config", "digest"])
def test_a_damaged_document(davit, layout, target, place, part):
    digest = getattr(layout.image("web"), part)
    flip(layout.blob_path(digest), 30)
    assert digest in refused(davit, target, 5, place)
    davit.fails(5, "inspect", place)
    davit.fails(5, "history", place)


def test_blobs_that_are_missing(davit, layout, target, place):
    image = layout.image("web")
    for digest in (image.layers[0], image.config, image.digest):
        layout.blob_path(digest).unlink()
        assert re.search(rf"/layout has no blob {digest}", refused(davit, target, 3, place))


def test_a_layer_that_is_cut_off(davit, layout, target, place):
    path = layout.blob_path(layout.image("web").layers[0])
    os.truncate(path, path.stat().st_size - 1)
    assert "bytes long where its descriptor says" in refused(davit, target, 5, place)


def test_only_the_layers_that_are_wanted_need_to_be_there(davit, layout, target, place):
    layout.blob_path(layout.image("web").layers[1]).unlink()
    davit("unpack", "--layers", "1", place, target)
    assert [p.name for p in target.iterdir()] == ["one"]


def test_a_wrong_diff_id(davit, layout, target):
    tar = plain("one")
    layout.tag("wrong", layout.add_image([(oci.gzip_of(tar), oci.sha256(tar)), (oci.gzip_of(tar), oci.sha256(b""))]))
    error = refused(davit, target, 5, f"oci:{layout.path}:wrong")
    assert oci.sha256(b"") in error and oci.sha256(oci.gzip_of(tar)) in error


def test_an_artifact_is_no_image(davit, layout, target):
    about = layout.add_manifest(layout.add_blob(b"{}", "application/vnd.oci.empty.v1+json"),
                                [layout.add_blob(b"text", "text/plain")])
    layout.tag("artifact", about)
    refused(davit, target, 1, f"oci:{layout.path}:artifact")


def test_a_blob_that_leads_out_of_the_layout(davit, layout, target, place, tmp_path):
    path = layout.blob_path(layout.image("web").layers[0])
    shutil.move(path, tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")
    assert "a link leads out of the layout" in refused(davit, target, 1, place)


# ---- what else was said ------------------------------------------------------------------------------


def test_it_is_never_pulled(davit, target, place):
    for command in (["unpack", place, target], ["export", place]):
        assert "which --pull always asks" in davit.fails(2, command[0], "--pull", "always", *command[1:]).error
    davit("unpack", "--no-store", "--pull", "never", place, target)
    davit("unpack", "--force", "--pull", "missing", place, target)
    assert {p.name for p in target.iterdir()} == {"one", "two"}


def test_a_target_that_holds_the_image_is_not_replaced(davit, layout, tmp_path):
    archive = an_archive(layout)
    (tmp_path / "link").symlink_to(layout.path)
    (tmp_path / "link.tar").symlink_to(archive)
    before = trees.exactly(layout.path.parent)
    for place, target in ((f"oci:{layout.path}:web", layout.path), (f"oci:{layout.path}:web", layout.path.parent),
                          (f"oci:{layout.path}:web", tmp_path / "link"), (f"oci:{tmp_path}/link:web", layout.path),
                          (f"oci-archive:{archive}", archive.parent),
                          (f"oci-archive:{tmp_path}/link.tar", archive.parent)):
        assert "the image comes from there" in davit.fails(2, "unpack", "--force", place, target).error
    assert trees.exactly(layout.path.parent) == before
    davit("unpack", f"oci-archive:{archive}", archive.parent / "beside")


def test_nor_is_the_store(davit, images, place):
    davit("copy", f"oci:{images.path}:twice", "store:twice:1")
    assert "it is the store" in davit.fails(2, "unpack", "--force", place, davit.store.path).error
    assert "it is in the store" in davit.fails(2, "unpack", place, davit.store.path / "x").error
    davit("inspect", "twice:1")


def test_a_registry_or_the_store_when_they_are_named(davit, place, target):
    """A repository may be called as a transport is."""
    davit("copy", place, "store:oci:web")
    assert davit("unpack", "--json", "store:oci:web", target).json["source"] == "store"
    davit("history", "store:oci:web")
    gone = ["--connect-timeout", "1", "--max-download-attempts", "1"]
    for command in (["export"], ["history"]):
        assert "127.0.0.1:1" in davit.fails(6, *gone, *command, "docker://127.0.0.1:1/dir:web").error
