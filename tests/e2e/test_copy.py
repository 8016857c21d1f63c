"""davit copy: every pair of places with skopeo as judge, what becomes of an index, and what is refused."""
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import tarfile

import pytest

from support import oci
from support.davit import assert_rss
from support.image_archive import layers

EXACT = ("docker", "store", "oci", "oci-archive", "dir")       # these keep every manifest


def skopeo(*args, check=True):
    run = subprocess.run(["skopeo", "--insecure-policy", *map(str, args)], capture_output=True)
    assert not check or run.returncode == 0, run.stderr.decode()
    return run.stdout


def raw_digest(*place):
    """What skopeo finds there."""
    return oci.sha256(skopeo("inspect", "--raw", *place))


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    made = oci.Layout.create(tmp_path_factory.mktemp("copy") / "layout")
    tars = layers(3)
    made.tag("web", made.add_image([(oci.gzip_of(t), oci.sha256(t)) for t in tars]))
    made.tag("plain", made.add_image([(made.add_blob(t, oci.OCI_LAYER), oci.sha256(t)) for t in tars]))
    children = []
    for arch in (oci.HOST_ARCH, "s390x", "riscv64"):
        tar = oci.tar_of({"arch": arch.encode()})
        image = made.add_image([(oci.gzip_of(tar), oci.sha256(tar))], arch=arch)
        children.append({**image, "platform": {"architecture": arch, "os": "linux"}})
        about = made.add_manifest(made.add_config([], arch="unknown", os_name="unknown"), [
            {**made.add_blob(b'{"about":"%s"}' % arch.encode(), "application/vnd.in-toto+json")}])
        children.append({**about, "platform": {"architecture": "unknown", "os": "unknown"},
                         "annotations": {"vnd.docker.reference.digest": image["digest"],
                                         "vnd.docker.reference.type": "attestation-manifest"}})
    made.tag("multi", made.add_index(children, annotations={"kept": "yes"}))
    return made


class Places:
    """Names of places in a directory of its own."""

    def __init__(self, root, registry):
        self.root, self.registry = root, registry

    def __call__(self, kind, name):
        return {"docker": f"docker://{self.registry.host}/copy/{self.root.name.lower()}-{name}:1",
                "store": f"store:copy/{name}:1",
                "oci": f"oci:{self.root}/layout:{name}",
                "oci-archive": f"oci-archive:{self.root}/{name}.tar:{name}",
                "docker-archive": f"docker-archive:{self.root}/{name}-docker.tar:copy/{name}:1",
                "dir": f"dir:{self.root}/{name}-dir"}[kind]


@pytest.fixture
def places(tmp_path, open_registry):
    root = tmp_path / "places"
    root.mkdir()
    return Places(root, open_registry)


def judge(davit, place, tmp_path):
    """The digest of what is in a place, in the words of skopeo; of the store in those of davit save."""
    if place.startswith("store:"):
        out = tmp_path / "judged.tar"
        davit("save", "--format", "oci", "-o", out, place)
        place = f"oci-archive:{out}"
    return raw_digest("--tls-verify=false", place)


def whole(davit, place, tmp_path):
    """Skopeo reads every blob of it."""
    if place.startswith("store:"):
        return
    out = tmp_path / "read"
    shutil.rmtree(out, ignore_errors=True)
    skopeo("copy", "-q", "--all", "--src-tls-verify=false", place, f"dir:{out}")


# ---- pairs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["web", "multi"])
@pytest.mark.parametrize("kinds", list(itertools.product(EXACT, EXACT)), ids="-".join)
def test_every_pair_keeps_bytes_and_digests(davit, layout, places, tmp_path, kinds, name):
    expected = layout.tags()[name]["digest"]
    first, second = places(kinds[0], "one"), places(kinds[1], "two")
    result = davit("copy", f"oci:{layout.path}:{name}", first)
    assert result.text == expected + "\n"
    assert davit("copy", first, second).text == expected + "\n"
    assert judge(davit, second, tmp_path) == expected
    whole(davit, second, tmp_path)
    again = davit("copy", "--json", first, second).json
    assert again["Digest"] == expected and not again["Updated"]
    if kinds[1] not in ("oci-archive",):            # which is written anew
        assert again["Copied"] == {"Count": 0, "Size": 0}


@pytest.mark.parametrize("kind", EXACT)
def test_a_docker_archive_holds_the_same_image(davit, layout, places, tmp_path, kind):
    """Layers are inflated in it, so its manifest is another; config and diff_ids are not."""
    image = layout.image("web")
    first, archive, second = places(kind, "one"), places("docker-archive", "two"), places("oci", "three")
    davit("copy", f"oci:{layout.path}:web", first)
    davit("copy", first, archive)
    inspected = json.loads(skopeo("inspect", "--config", archive))
    assert inspected["rootfs"] == layout.json(image.config)["rootfs"]
    whole(davit, archive, tmp_path)
    davit("copy", archive, second)
    manifest = json.loads(skopeo("inspect", "--raw", second))
    assert manifest["config"]["digest"] == image.config
    assert [layer["digest"] for layer in manifest["layers"]] == inspected["rootfs"]["diff_ids"]
    whole(davit, second, tmp_path)


def test_what_skopeo_wrote_is_read(davit, layout, places, tmp_path):
    expected = layout.tags()["multi"]["digest"]
    for place in (f"oci:{tmp_path}/s:x", f"oci-archive:{tmp_path}/s.tar:x", f"dir:{tmp_path}/sd"):
        skopeo("copy", "-q", "--all", "--preserve-digests", f"oci:{layout.path}:multi", place)
        assert davit("copy", place, places("oci", "read")).text == expected + "\n"
    skopeo("copy", "-q", f"oci:{layout.path}:web", f"docker-archive:{tmp_path}/s.docker:a/b:1")
    davit("copy", f"docker-archive:{tmp_path}/s.docker:a/b:1", places("oci", "docker"))
    assert json.loads(skopeo("inspect", "--raw", places("oci", "docker")))["config"]["digest"] \
        == layout.image("web").config


def test_an_archive_of_davit_save_keeps_its_own_manifest(davit, layout, places, tmp_path):
    davit("copy", f"oci:{layout.path}:plain", "store:copy/plain:1")
    davit("save", "-o", tmp_path / "saved.tar", "copy/plain:1")
    with tarfile.open(tmp_path / "saved.tar") as tar:
        index = json.load(tar.extractfile("index.json"))
    assert davit("copy", f"docker-archive:{tmp_path}/saved.tar:copy/plain:1",
                 places("oci", "x")).text.strip() == index["manifests"][0]["digest"]


def test_a_compressed_archive_leaves_nothing_behind(davit, layout, places, tmp_path):
    directory = tmp_path / "packed"
    directory.mkdir()
    davit("copy", f"oci:{layout.path}:web", f"oci-archive:{directory}/a.tar:web")
    subprocess.run(["gzip", directory / "a.tar"], check=True)
    assert davit("copy", f"oci-archive:{directory}/a.tar.gz:web",
                 places("oci", "x")).text.strip() == layout.image("web").digest
    assert os.listdir(directory) == ["a.tar.gz"]


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "dir"])
def test_questions_to_places_without_a_registry(davit, layout, places, kind):
    place, entry = places(kind, "asked"), layout.tags()["multi"]
    davit("copy", f"oci:{layout.path}:multi", place)
    assert davit("digest", place).text.strip() == entry["digest"]
    assert davit("manifest", place).out == layout.blob(entry["digest"])
    child = layout.json(entry["digest"])["manifests"][2]["digest"]
    assert davit("digest", "--platform", "linux/s390x", place).text.strip() == child
    assert davit("config", "--platform", "linux/s390x", place).out == layout.blob(layout.json(child)["config"]["digest"])
    davit.fails(3, "digest", "--platform", "linux/mips64", place)
    failed = davit.fails({1, 2}, "tags", place)         # not every command reads such places
    assert "davit copy brings the image into the store" in " ".join(failed.errors)


# ---- what becomes of an index -------------------------------------------------------------------------


def archs(document):
    return [m["platform"]["architecture"] for m in document["manifests"]]


def test_one_platform_is_the_image_by_itself(davit, layout, places):
    index = layout.json(layout.tags()["multi"]["digest"])
    result = davit("copy", "--platform", "linux/s390x", f"oci:{layout.path}:multi", places("oci", "x"))
    assert result.text.strip() == index["manifests"][2]["digest"]
    assert any("only linux/s390x" in line for line in result.messages)


def test_several_platforms_are_a_new_index_with_their_attestations(davit, layout, places):
    index = layout.json(layout.tags()["multi"]["digest"])
    result = davit("copy", "--platform", f"linux/riscv64,linux/{oci.HOST_ARCH}", f"oci:{layout.path}:multi",
                   places("oci", "x"))
    made = json.loads(skopeo("inspect", "--raw", places("oci", "x")))
    assert made["manifests"] == [index["manifests"][i] for i in (0, 1, 4, 5)]
    assert made["annotations"] == {"kept": "yes"} and result.text.strip() != layout.tags()["multi"]["digest"]
    assert any("4 of the 6 entries" in line and result.text.strip() in line for line in result.messages)


def test_sparse_keeps_the_index_and_leaves_children_out(davit, layout, places, tmp_path):
    expected = layout.tags()["multi"]["digest"]
    result = davit("copy", "--sparse", "--platform", "linux/s390x", f"oci:{layout.path}:multi", places("oci", "x"))
    assert result.text.strip() == expected
    index = layout.json(expected)
    there = {name for name in os.listdir(places.root / "layout" / "blobs" / "sha256")}
    assert [m["digest"][7:] in there for m in index["manifests"]] == [False, False, True, True, False, False]
    # Of what is there of it now, one image can be copied without a word about platforms.
    again = davit("copy", places("oci", "x"), f"oci:{tmp_path}/next:y")
    assert again.text.strip() == index["manifests"][2]["digest"]
    failed = davit.fails(3, "copy", "--all-platforms", places("oci", "x"), f"oci:{tmp_path}/last:y")
    assert "only 1 of the 3 images" in failed.error
    davit("copy", "--sparse", places("oci", "x"), f"oci:{tmp_path}/third:y")
    assert raw_digest(f"oci:{tmp_path}/third:y") == expected


def test_a_pulled_platform_is_copied_alone(davit, layout, places, open_registry):
    place = places("docker", "multi")
    skopeo("copy", "-q", "--all", "--dest-tls-verify=false", f"oci:{layout.path}:multi", place)
    davit("pull", "--platform", "linux/s390x", place)
    child = layout.json(layout.tags()["multi"]["digest"])["manifests"][2]["digest"]
    result = davit("copy", "store:" + place[len("docker://"):], places("oci", "x"))
    assert result.text.strip() == child and any("only linux/s390x" in line for line in result.messages)


def test_a_docker_archive_takes_the_image_of_this_machine(davit, layout, places):
    davit("copy", f"oci:{layout.path}:multi", places("docker-archive", "x"))
    assert json.loads(skopeo("inspect", "--config", places("docker-archive", "x")))["architecture"] == oci.HOST_ARCH


# ---- names --------------------------------------------------------------------------------------------


def test_all_tags(davit, layout, tmp_path, places):
    assert davit("copy", "-a", f"oci:{layout.path}", f"oci:{tmp_path}/all").text == "3 tags\n"
    davit("copy", "-a", f"oci:{tmp_path}/all", f"oci-archive:{tmp_path}/all.tar")
    for name, entry in layout.tags().items():
        assert raw_digest(f"oci:{tmp_path}/all:{name}") == entry["digest"]
        assert raw_digest(f"oci-archive:{tmp_path}/all.tar:{name}") == entry["digest"]
    davit.fails(2, "copy", "-a", f"oci:{layout.path}:web", f"oci:{tmp_path}/all")
    davit.fails(2, "copy", "-a", f"oci:{layout.path}", f"dir:{tmp_path}/dir")


def test_a_replaced_name_is_said_and_can_be_refused(davit, layout, places):
    target = places("oci", "x")
    davit("copy", f"oci:{layout.path}:web", target)
    failed = davit.fails(1, "copy", "--no-replace", f"oci:{layout.path}:plain", target)
    assert layout.image("web").digest in failed.error and raw_digest(target) == layout.image("web").digest
    davit("copy", "--no-replace", f"oci:{layout.path}:web", target)
    result = davit("copy", f"oci:{layout.path}:plain", target)
    assert any("is replaced" in line and layout.image("web").digest in line for line in result.messages)
    assert raw_digest(target) == layout.image("plain").digest


def test_what_others_wrote_into_an_index_stays(davit, layout, tmp_path):
    other = oci.Layout.create(tmp_path / "other")
    image = other.add_image([])
    document = {"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "annotations": {"of": "others"}, "manifests": [
        {**image, "annotations": {"org.opencontainers.image.ref.name": "a", "their": "own"},
         "platform": {"os": "linux", "architecture": "amd64"}, "data": "e30="}]}
    (tmp_path / "other" / "index.json").write_bytes(oci.dumps(document))
    davit("copy", f"oci:{layout.path}:web", f"oci:{tmp_path}/other:b")
    made = json.loads((tmp_path / "other" / "index.json").read_bytes())
    assert made["annotations"] == {"of": "others"} and made["manifests"][0] == document["manifests"][0]
    assert [m["annotations"]["org.opencontainers.image.ref.name"] for m in made["manifests"]] == ["a", "b"]


def test_sixteen_copies_into_one_layout_at_once(davit, layout, tmp_path):
    names = [f"n{i}" for i in range(16)]
    running = [davit.start("copy", f"oci:{layout.path}:{('web', 'plain', 'multi')[i % 3]}", f"oci:{tmp_path}/shared:{n}")
               for i, n in enumerate(names)]
    for one in running:
        result = one.wait(60)
        assert result.code == 0, str(result)
    made = {m["annotations"]["org.opencontainers.image.ref.name"]: m["digest"]
            for m in json.loads((tmp_path / "shared" / "index.json").read_bytes())["manifests"]}
    expected = [layout.tags()[("web", "plain", "multi")[i % 3]]["digest"] for i in range(16)]
    assert made == dict(zip(names, expected))
    assert sorted(os.listdir(tmp_path / "shared")) == ["blobs", "index.json", "oci-layout"]
    for blob in (tmp_path / "shared" / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


# ---- what goes wrong ------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing(davit, layout, places, tmp_path):
    image = layout.image("web")
    result = davit("copy", "--dry-run", f"oci:{layout.path}:web", f"oci:{tmp_path}/none:x")
    size = sum(image.sizes.values())
    assert result.lines[0] == image.digest and f"({size} bytes)" in result.lines[1] and "0 blobs" in result.lines[2]
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("source, target, code, text", [
    ("oci:{layout}:web", "oci:{layout}:web", 2, "source and target are the same"),
    ("oci:{layout}:web", "oci:{tmp}/x@sha256:" + "0" * 64, 2, "not a digest"),
    ("oci:{layout}:nope", "oci:{tmp}/x:y", 3, 'no image "nope" there; it has: web, plain, multi'),
    ("oci:{layout}", "oci:{tmp}/x:y", 2, "has 3 images, name one"),
    ("oci:{tmp}/none:x", "oci:{tmp}/x:y", 3, "no such directory"),
    ("oci:{tmp}/full:x", "oci:{tmp}/x:y", 1, "is no OCI image layout: it has no oci-layout"),
    ("oci-archive:{tmp}/text:x", "oci:{tmp}/x:y", 1, "tar header"),
    ("docker-archive:{tmp}/text:x", "oci:{tmp}/x:y", 1, "tar header"),
    ("dir:{tmp}/full", "oci:{tmp}/x:y", 1, "is no directory of the dir: transport"),
    ("oci:{layout}:web", "oci:{tmp}/full:y", 1, "is no OCI image layout, and not empty"),
    ("oci:{layout}:web", "dir:{tmp}/full", 1, "and not empty"),
    ("oci:{layout}:web", "oci-archive:{tmp}/text:y", 1, "it is not overwritten"),
    ("oci:{layout}:web", "oci-archive:{tmp}/none/x.tar:y", (1, 7), "cannot write"),
    ("oci:{layout}:multi", "oci:", 2, "no directory is named"),
    ("store:web:1", "oci:{tmp}/x:y", (3, 7), "store"),
    ("oci:{layout}:web", "store:web@sha256:" + "0" * 64, 2, "a tag, not a digest"),
    ("oci:{layout}:web", "store:" + "0" * 64, 2, "is given a name"),
])
def test_bad_input_has_one_clear_line_and_changes_nothing(davit, layout, tmp_path, source, target, code, text):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "text").write_text("hello, this is no archive\n" * 100)
    where = {"layout": layout.path, "tmp": tmp_path}
    failed = davit.fails(code, "copy", source.format(**where), target.format(**where))
    assert text in " ".join(failed.errors)
    assert not (tmp_path / "x").exists() and os.listdir(tmp_path / "full") == ["mine"]
    assert (tmp_path / "text").read_text().startswith("hello")


def test_a_truncated_archive_and_a_damaged_blob_move_no_name(davit, layout, places, tmp_path):
    target = places("oci", "x")
    davit("copy", f"oci:{layout.path}:plain", target)
    before = (places.root / "layout" / "index.json").read_bytes()
    davit("copy", f"oci:{layout.path}:web", f"oci-archive:{tmp_path}/a.tar:web")
    whole_archive = (tmp_path / "a.tar").read_bytes()
    for keep in (len(whole_archive) // 2, 512 * 5, 100):
        (tmp_path / "cut.tar").write_bytes(whole_archive[:keep])
        failed = davit.fails({1, 3}, "copy", f"oci-archive:{tmp_path}/cut.tar:web", target)
        assert "EOF" in failed.error or "is no OCI archive" in failed.error or "tar" in failed.error
    broken = tmp_path / "broken"
    shutil.copytree(layout.path, broken)
    blob = broken / "blobs" / "sha256" / layout.image("web").layers[0][7:]
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    failed = davit.fails(5, "copy", f"oci:{broken}:web", target)
    assert "is damaged at its source" in failed.error
    blob.unlink()
    davit.fails(3, "copy", f"oci:{broken}:web", target)
    assert (places.root / "layout" / "index.json").read_bytes() == before
    assert not [n for n in os.listdir(places.root / "layout") if n.startswith(".davit-")]


def test_an_archive_with_other_images_is_not_lost(davit, layout, tmp_path):
    archive = f"oci-archive:{tmp_path}/a.tar"
    davit("copy", "-a", f"oci:{layout.path}", archive)
    before = (tmp_path / "a.tar").read_bytes()
    failed = davit.fails(1, "copy", f"oci:{layout.path}:web", archive + ":web")
    assert "holds other images" in failed.error and (tmp_path / "a.tar").read_bytes() == before


def test_a_layout_that_leads_out_is_not_followed(davit, layout, tmp_path):
    """threats B2, D2"""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    bad = tmp_path / "bad"
    shutil.copytree(layout.path, bad)
    blob = bad / "blobs" / "sha256" / layout.image("web").config[7:]
    blob.unlink()
    blob.symlink_to(secret)
    failed = davit.fails(1, "copy", f"oci:{bad}:web", f"oci:{tmp_path}/x:y")
    assert "leads out of the layout" in failed.error


def test_killed_and_run_again(davit, small, tmp_path):
    """What was staged is swept, what was done is not done again."""
    target = tmp_path / "target"
    image = small.image("large")
    for delay in (0.0, 0.01, 0.03):
        running = davit.start("copy", f"oci:{small.path}:large", f"oci:{target}:x")
        try:
            running.process.wait(delay)
        except subprocess.TimeoutExpired:
            pass
        running.kill()
    assert davit("copy", f"oci:{small.path}:large", f"oci:{target}:x").text.strip() == image.digest
    assert sorted(os.listdir(target)) == ["blobs", "index.json", "oci-layout"]
    assert {n for n in os.listdir(target / "blobs" / "sha256")} == {d[7:] for d in image.blobs}


def test_memory_is_flat(davit, small, tmp_path):
    for target in (f"oci:{tmp_path}/l:x", f"oci-archive:{tmp_path}/a.tar:x", f"docker-archive:{tmp_path}/d.tar:x/y:1"):
        result = davit.measured("copy", f"oci:{small.path}:large", target)
        assert result.code == 0, str(result)
        assert_rss(result, 16)
