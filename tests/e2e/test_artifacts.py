"""attach, referrers, artifact and index, against Debian's docker-registry, which has no referrers API: the list under a tag is ours to
keep. What arrives is judged with skopeo, byte for byte where other clients write the same."""
import hashlib
import json
import os
import re

import pytest

from support import oci
from support.registry import DockerRegistry

ABSENT = "sha256:" + "0" * 64
EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "data": "e30=",
         "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}
TITLE = "org.opencontainers.image.title"
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with DockerRegistry(tmp_path_factory.mktemp("artifacts")) as registry:
        yield registry


@pytest.fixture
def repository(registry, small, request):
    """A repository of this test's own with web:1.0."""
    name = "t/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:80]
    registry.push(small, "web", f"{name}:1.0")
    return name


@pytest.fixture
def here(davit, tmp_path, monkeypatch):
    """A working directory with files, for davit(..., cwd=here)."""
    folder = tmp_path / "here"
    (folder / "docs").mkdir(parents=True)
    (folder / "notes.txt").write_bytes(b"remember\n")
    (folder / "docs" / "a.json").write_bytes(b"{}\n")
    (folder / "odd:name/x".replace("/", "_")).write_bytes(b"colon")
    return folder


def raw(registry, name):
    return json.loads(registry.inspect(name, "--raw"))


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(data, media_type, title):
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), "annotations": {TITLE: title}}


# ---- artifact push -------------------------------------------------------------------------------


def test_artifact_push_is_what_other_clients_write(davit, registry, here):
    name = f"{registry.host}/t/push:1"
    result = davit("artifact", "push", "--type", "application/x-notes", "-a", "b=2", "-a", "a=1=1", name,
                   "notes.txt:text/plain", "./docs/a.json", cwd=here)
    data = registry.inspect("t/push:1", "--raw")
    assert result.text == digest_of(data) + "\n"
    expected = {
        "schemaVersion": 2, "mediaType": oci.OCI_MANIFEST, "artifactType": "application/x-notes", "config": EMPTY,
        "layers": [layer(b"remember\n", "text/plain", "notes.txt"),
                   layer(b"{}\n", "application/octet-stream", "docs/a.json")],
        "annotations": {"a": "1=1", "b": "2"}}
    assert json.loads(data) == expected
    assert list(json.loads(data)) == list(expected)
    assert davit("artifact", "push", "--type", "application/x-notes", "-a", "a=1=1", "-a", "b=2", name,
                 "notes.txt:text/plain", "docs/a.json", cwd=here).text == result.text


def test_artifact_push_without_a_type_and_from_elsewhere(davit, registry, here):
    davit("artifact", "push", f"{registry.host}/t/untyped", here / "notes.txt", "odd:name_x", cwd=here)
    document = raw(registry, "t/untyped:latest")
    assert document["artifactType"] == "application/vnd.unknown.artifact.v1"
    assert [one["annotations"][TITLE] for one in document["layers"]] == ["notes.txt", "odd:name_x"]


def test_artifact_push_of_annotations_alone(davit, registry):
    davit("artifact", "push", "--type", "a/b", "-a", "k=v", f"{registry.host}/t/alone:1")
    document = raw(registry, "t/alone:1")
    assert document["layers"] == [EMPTY] and document["annotations"] == {"k": "v"}


@pytest.mark.parametrize("argv,code,words", [
    (("NAME", "nothing.txt"), 3, "there is no file nothing.txt"),
    (("NAME", "docs"), 7, "docs is no regular file"),
    (("NAME", "notes.txt", "./notes.txt"), 2, "would both be called notes.txt"),
    (("NAME", "notes.txt:text"), 2, "'text' is not a media type"),
    (("--type", "sbom", "NAME", "notes.txt"), 2, "'sbom' is not a media type"),
    (("-a", "k", "NAME", "notes.txt"), 2, "not KEY=VALUE"),
    (("-a", "k=1", "-a", "k=2", "NAME", "notes.txt"), 2, "annotation k is given twice"),
    (("NAME",), 2, "a file is missing"),
    (("NAME@" + ABSENT, "notes.txt"), 2, "pushed to a tag"),
    (("-o", "x", "NAME", "notes.txt"), 2, "for artifact pull"),
], ids=lambda v: None if isinstance(v, int) else "-".join(v)[:30] if isinstance(v, tuple) else "")
def test_artifact_push_of_bad_input(davit, registry, here, argv, code, words):
    mark = registry.mark()
    argv = [a.replace("NAME", f"{registry.host}/t/bad") for a in argv]
    assert words in davit.fails(code, "artifact", "push", *argv, cwd=here).errors[0]
    assert [a.method for a in registry.since(mark) if a.method not in ("GET", "HEAD")] == []


# ---- artifact pull -------------------------------------------------------------------------------


def test_artifact_pull_gives_the_files_back(davit, registry, here, tmp_path):
    name = f"{registry.host}/t/back:1"
    (here / "empty").write_bytes(b"")
    davit("artifact", "push", name, "notes.txt", "docs/a.json", "empty", cwd=here)
    result = davit("artifact", "pull", "-o", tmp_path / "new" / "out", name)
    assert result.lines == ["notes.txt", "docs/a.json", "empty"]
    for file in result.lines:
        assert (tmp_path / "new" / "out" / file).read_bytes() == (here / file).read_bytes()
    assert (tmp_path / "new/out/notes.txt").stat().st_mode & 0o777 == 0o666 & ~current_umask()
    assert sorted(os.listdir(tmp_path / "new/out")) == ["docs", "empty", "notes.txt"]


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_artifact_pull_overwrites_nothing_unless_forced(davit, registry, here, tmp_path):
    name = f"{registry.host}/t/over:1"
    davit("artifact", "push", name, "docs/a.json", "notes.txt", cwd=here)
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_bytes(b"mine")
    result = davit.fails(1, "artifact", "pull", "-o", out, name)
    assert "notes.txt is there already" in result.error
    assert os.listdir(out) == ["notes.txt"]         # not even the other file
    davit("artifact", "pull", "--force", "-o", out, name)
    assert (out / "notes.txt").read_bytes() == b"remember\n"


def push_titles(registry, davit, name, *titles, content=b"evil"):
    """An artifact whose layers have these titles (None: no title)."""
    blob = davit("blob", "put", "-", f"{registry.host}/{name.split(':')[0]}", data=content).text.strip()
    davit("blob", "put", "-", f"{registry.host}/{name.split(':')[0]}", data=b"{}")
    layers = [{"mediaType": "text/plain", "digest": blob, "size": len(content),
               **({"annotations": {TITLE: title}} if title is not None else {})} for title in titles]
    document = {"schemaVersion": 2, "mediaType": oci.OCI_MANIFEST, "artifactType": "a/b", "config": EMPTY,
                "layers": layers}
    davit("manifest", "put", "-", f"{registry.host}/{name}", data=oci.dumps(document))
    return f"{registry.host}/{name}"


@pytest.mark.parametrize("title", ["../escaped", "/tmp/escaped", "a/../../escaped", "..", ".", "", "a//b", "a\nb", "x" * 256,
                                   "dir/"])
def test_artifact_pull_never_leaves_the_directory(davit, registry, tmp_path, title):
    """threat B2: refused before any file is made."""
    name = push_titles(registry, davit, "t/titles:1", "good.txt", title)
    result = davit.fails(1, "artifact", "pull", "-o", tmp_path / "out", name)
    assert "cannot name a file" in result.error
    assert not (tmp_path / "out").exists() or os.listdir(tmp_path / "out") == []
    assert not (tmp_path / "escaped").exists()


def test_artifact_pull_follows_no_link(davit, registry, tmp_path):
    """threat B2: a link in the directory leads nowhere, forced or not."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dir").symlink_to(outside)
    (tmp_path / "out" / "file").symlink_to(outside / "file")
    name = push_titles(registry, davit, "t/links:1", "dir/x", "file")
    for flags in ([], ["--force"]):
        davit.fails(1, "artifact", "pull", *flags, "-o", tmp_path / "out", name)
        assert os.listdir(outside) == []
    name = push_titles(registry, davit, "t/links:2", "file")
    davit("artifact", "pull", "--force", "-o", tmp_path / "out", name)
    assert os.listdir(outside) == [] and (tmp_path / "out" / "file").read_bytes() == b"evil"
    assert not (tmp_path / "out" / "file").is_symlink()


def test_artifact_pull_of_titles_that_collide(davit, registry, tmp_path):
    name = push_titles(registry, davit, "t/twice:1", "a", "a")
    assert "two layers have the title a" in davit.fails(1, "artifact", "pull", "-o", tmp_path / "out", name).error
    name = push_titles(registry, davit, "t/twice:2", "a", "a/b")
    assert "a file and a directory" in davit.fails(1, "artifact", "pull", "-o", tmp_path / "out2", name).error
    assert not (tmp_path / "out2").exists()


def test_artifact_pull_leaves_out_what_has_no_title(davit, registry, tmp_path):
    name = push_titles(registry, davit, "t/untitled:1", "a", None)
    result = davit("artifact", "pull", "-o", tmp_path / "out", name)
    assert result.lines == ["a"] and "has no title" in result.messages[0]
    name = push_titles(registry, davit, "t/untitled:2", None)
    assert "none of its layers has a title" in davit.fails(1, "artifact", "pull", "-o", tmp_path / "out", name).error


def test_artifact_pull_of_a_blob_that_lies(davit, faulty, tmp_path):
    """threat B6: no name before the digest was right."""
    image = faulty.image
    document = json.loads(image.bytes)
    document["layers"][0]["annotations"] = {TITLE: "file"}
    document["layers"][0]["size"] -= 1
    faulty.add_manifest("demo/web", oci.dumps(document), oci.OCI_MANIFEST, "lies")
    result = davit.fails(5, "artifact", "pull", "-o", tmp_path / "out", f"{faulty.host}/demo/web:lies")
    assert "longer than" in result.error
    assert os.listdir(tmp_path / "out") == []


def test_artifact_pull_of_an_index(davit, registry, images, tmp_path):
    registry.push(images, "multi", "t/multi:1")
    assert "is an index" in davit.fails(1, "artifact", "pull", "-o", tmp_path, f"{registry.host}/t/multi:1").error


# ---- attach and referrers ------------------------------------------------------------------------


def test_attach_and_referrers(davit, registry, repository, here, small):
    name, image = f"{registry.host}/{repository}:1.0", small.image("web")
    assert davit("referrers", name).text == ""
    sbom = davit("attach", "--type", "application/x-sbom", "-a", "k=v", name, "notes.txt:text/plain",
                 cwd=here).text.strip()
    sign = davit("attach", "--type", "application/x-sign", f"{registry.host}/{repository}@{image.digest}", "-a", "s=1",
                 cwd=here).text.strip()
    assert raw(registry, f"{repository}@{sbom}") == {
        "schemaVersion": 2, "mediaType": oci.OCI_MANIFEST, "artifactType": "application/x-sbom", "config": EMPTY,
        "layers": [layer(b"remember\n", "text/plain", "notes.txt")],
        "subject": {"mediaType": oci.OCI_MANIFEST, "digest": image.digest, "size": len(image.bytes)},
        "annotations": {"k": "v"}}
    assert davit("referrers", name).lines == [f"{sbom} application/x-sbom", f"{sign} application/x-sign"]
    assert davit("referrers", "--type", "application/x-sign", name).lines == [f"{sign} application/x-sign"]
    assert davit("referrers", "--type", "application/x-none", name).lines == []


def test_the_list_under_the_tag_is_as_the_specification_says(davit, registry, repository, here, small):
    digest = small.image("web").digest
    name = f"{registry.host}/{repository}@{digest}"
    sbom = davit("attach", "--type", "application/x-sbom", "-a", "k=v", name, "notes.txt", cwd=here).text.strip()
    size = len(registry.inspect(f"{repository}@{sbom}", "--raw"))
    entry = {"mediaType": oci.OCI_MANIFEST, "digest": sbom, "size": size, "artifactType": "application/x-sbom",
             "annotations": {"k": "v"}}
    tag = digest.replace(":", "-")
    assert raw(registry, f"{repository}:{tag}") == {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    assert davit("referrers", "--json", name).json == {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    before = registry.inspect(f"{repository}:{tag}", "--raw")
    assert davit("attach", "--type", "application/x-sbom", "-a", "k=v", name, "notes.txt", cwd=here).text.strip() == sbom
    assert registry.inspect(f"{repository}:{tag}", "--raw") == before      # the same artifact is listed once


def test_a_deleted_referrer_leaves_the_list(davit, registry, repository, small):
    name = f"{registry.host}/{repository}"
    one, two = (davit("attach", "--type", "a/b", "-a", f"n={n}", f"{name}:1.0").text.strip() for n in (1, 2))
    davit("delete", f"{name}@{one}")
    assert davit("referrers", f"{name}:1.0").lines == [f"{two} a/b"]
    davit("delete", f"{name}@{two}")
    assert davit("referrers", "--json", f"{name}:1.0").json["manifests"] == []


def test_manifest_put_with_a_subject_is_listed(davit, registry, repository, small):
    name, image = f"{registry.host}/{repository}", small.image("web")
    document = {**json.loads(image.bytes), "subject": {"mediaType": oci.OCI_MANIFEST, "digest": image.digest,
                                                       "size": len(image.bytes)}}
    put = davit("manifest", "put", "-", f"{name}:referrer", data=oci.dumps(document)).text.strip()
    assert davit("referrers", f"{name}:1.0").lines == [f"{put} {document['config']['mediaType']}"]


def test_attach_to_a_platform(davit, registry, images):
    registry.push(images, "multi", "t/attach-multi:1")
    index = images.json(images.tags()["multi"]["digest"])
    name = f"{registry.host}/t/attach-multi"
    to_arm = davit("attach", "--type", "a/b", "-a", "k=arm", "--platform", "linux/arm/v7", f"{name}:1").text.strip()
    to_index = davit("attach", "--type", "a/b", "-a", "k=index", f"{name}:1").text.strip()
    assert davit("referrers", f"{name}@{index['manifests'][2]['digest']}").lines == [f"{to_arm} a/b"]
    assert davit("referrers", f"{name}:1").lines == [f"{to_index} a/b"]


def test_a_tag_that_is_something_else_stays(davit, registry, repository, small):
    tag = small.image("web").digest.replace(":", "-")
    registry.push(small, "three", f"{repository}:{tag}")
    name = f"{registry.host}/{repository}:1.0"
    result = davit.fails(1, "attach", "--type", "a/b", "-a", "k=v", name)
    assert "is pushed, but not listed" in result.error and tag in result.error
    assert davit("referrers", name).lines == []
    assert davit("digest", f"{registry.host}/{repository}:{tag}").text.strip() == small.image("three").digest


@pytest.mark.parametrize("argv", [
    ("attach", "a/b:1", "x"), ("attach", "--type", "a/b", "a/b:1"), ("attach", "--type", "a/b"),
    ("attach", "--type", "a/b", "UPPER", "x"), ("attach", "--type", "a/b", "store:a/b", "x"), ("attach", "--type", "", "a", "x"),
    ("referrers",), ("referrers", "a/b", "c/d"), ("referrers", "UPPER"),
    ("artifact",), ("artifact", "take", "a/b"), ("artifact", "push"), ("artifact", "pull"), ("artifact", "pull", "a", "b"),
    ("artifact", "pull", "--type", "a/b", "a"),
    ("index",), ("index", "make", "a", "b"), ("index", "create", "a/b:1"), ("index", "add", "a/b:1"),
    ("index", "remove", "a/b:1"), ("index", "remove", "a/b:1", "sha256:12"), ("index", "remove", "a/b:1", "linux/amd64/v1/x/y"),
    ("index", "create", "a/b:1", "UPPER"), ("index", "create", f"a/b@{ABSENT}", ":x"), ("index", "add", "-a", "k=v", "a/b", ":x"),
])
def test_bad_usage(davit, argv):
    davit.fails(2, *argv)


def test_what_is_not_there(davit, registry, repository, here):
    name = f"{registry.host}/{repository}:nothing"
    for argv in (("attach", "--type", "a/b", name, "notes.txt"), ("referrers", name), ("artifact", "pull", name),
                 ("index", "add", name, ":1.0"), ("index", "remove", name, "linux/amd64"),
                 ("index", "create", f"{registry.host}/{repository}:new", ":nothing")):
        assert "nothing" in davit.fails(3, *argv, cwd=here).error


# ---- index ---------------------------------------------------------------------------------------


@pytest.fixture
def platforms(registry, tmp_path_factory, request):
    """A repository with an image for each of three platforms, tagged amd64, arm64 and armv7; and their manifests' digests."""
    layout = oci.Layout.create(tmp_path_factory.mktemp("platforms") / "layout")
    name = "t/index-" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:80]
    digests = {}
    for tag, config in (("amd64", {"arch": "amd64"}), ("arm64", {"arch": "arm64"}),
                        ("armv7", {"arch": "arm", "variant": "v7"})):
        descriptor = layout.add_image([oci.noise_layer(tag, 1000)], **config)
        layout.tag(tag, descriptor)
        registry.push(layout, tag, f"{name}:{tag}")
        digests[tag] = descriptor["digest"]
    return name, digests


def entry(registry, name, digest, architecture, **more):
    return {"mediaType": oci.OCI_MANIFEST, "digest": digest,
            "size": len(registry.inspect(f"{name}@{digest}", "--raw")),
            "platform": {"architecture": architecture, "os": "linux", **more}}


def test_index_create(davit, registry, platforms):
    name, digests = platforms
    result = davit("index", "create", "-a", "k=v", f"{registry.host}/{name}:all", ":amd64", digests["arm64"],
                   f"{registry.host}/{name}:armv7")
    data = registry.inspect(f"{name}:all", "--raw")
    assert result.text == digest_of(data) + "\n"
    assert json.loads(data) == {
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [entry(registry, name, digests["amd64"], "amd64"), entry(registry, name, digests["arm64"], "arm64"),
                      entry(registry, name, digests["armv7"], "arm", variant="v7")],
        "annotations": {"k": "v"}}
    assert davit("digest", "--platform", "linux/arm64", f"{registry.host}/{name}:all").text.strip() == digests["arm64"]


def test_index_of_docker_manifests(davit, registry, images):
    registry.push(images, "debian", "t/docker:amd64", format="v2s2")
    davit("index", "create", f"{registry.host}/t/docker:all", ":amd64")
    [only] = raw(registry, "t/docker:all")["manifests"]
    assert only["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert only["platform"] == {"architecture": oci.HOST_ARCH, "os": "linux"}


def test_index_add_and_remove(davit, registry, platforms):
    name, digests = platforms
    ref = f"{registry.host}/{name}:all"
    first = davit("index", "create", ref, ":amd64").text
    both = davit("index", "add", ref, ":arm64").text
    assert davit("index", "add", ref, ":amd64", ":arm64").text == both     # they are in it
    davit("index", "add", ref, ":armv7")
    assert davit("index", "remove", ref, "linux/arm/v7").text == both
    assert davit("index", "remove", ref, digests["arm64"]).text == first
    assert davit("digest", ref).text == first
    for tag in digests:
        davit("digest", f"{registry.host}/{name}:{tag}")    # manifests stay


def test_index_add_keeps_what_it_does_not_know(davit, registry, platforms):
    """Order, annotations, unknown keys and the way it was written."""
    name, digests = platforms
    before = {"schemaVersion": 2, "x-unknown": {"b": 1, "a": [None]}, "manifests": [
        {**entry(registry, name, digests["armv7"], "arm", variant="v7"), "annotations": {"z": "1", "a": "<2>"}}],
        "mediaType": INDEX, "annotations": {"k": "v"}}
    davit("manifest", "put", "-", f"{registry.host}/{name}:all", data=json.dumps(before, indent=3).encode() + b"\n")
    davit("index", "add", f"{registry.host}/{name}:all", ":amd64")
    before["manifests"].append(entry(registry, name, digests["amd64"], "amd64"))
    after = registry.inspect(f"{name}:all", "--raw")
    assert after == json.dumps(before, indent=3).encode() + b"\n"


def test_index_of_an_index_takes_its_entries(davit, registry, platforms):
    name, digests = platforms
    host = f"{registry.host}/{name}"
    davit("index", "create", f"{host}:two", ":amd64", ":arm64")
    davit("index", "create", f"{host}:three", ":armv7", ":two")
    assert [m["digest"] for m in raw(registry, f"{name}:three")["manifests"]] == [
        digests["armv7"], digests["amd64"], digests["arm64"]]


def test_index_by_digest_moves_no_tag(davit, registry, platforms):
    name, digests = platforms
    host = f"{registry.host}/{name}"
    first = davit("index", "create", f"{host}:all", ":amd64").text.strip()
    second = davit("index", "add", f"{host}@{first}", ":arm64").text.strip()
    assert davit("digest", f"{host}:all").text.strip() == first
    assert len(raw(registry, f"{name}@{second}")["manifests"]) == 2
    assert "does not name that digest" in davit.fails(1, "index", "add", f"{host}:all@{second}", ":armv7").error
    assert davit("digest", f"{host}:all").text.strip() == first
    davit("index", "add", f"{host}:all@{first}", ":armv7")
    assert davit("digest", f"{host}:all").text.strip() != first


def test_index_of_bad_input(davit, registry, platforms, repository):
    name, digests = platforms
    host = f"{registry.host}/{name}"
    before = davit("index", "create", f"{host}:all", ":amd64").text
    for code, words, argv in (
            (2, "in another repository", ("add", f"{host}:all", f"{registry.host}/{repository}:1.0")),
            (2, "no index", ("add", f"{host}:amd64", ":arm64")),
            (3, "not found", ("add", f"{host}:all", ABSENT)),
            (3, "has no entry for linux/s390x", ("remove", f"{host}:all", "linux/s390x")),
            (3, "has no entry for " + digests["arm64"], ("remove", f"{host}:all", digests["arm64"])),
            (2, "nothing would be left", ("remove", f"{host}:all", "linux/amd64"))):
        assert words in davit.fails(code, "index", *argv).errors[0], argv
    assert davit("digest", f"{host}:all").text == before


def test_index_refuses_two_for_one_platform(davit, registry, platforms, small):
    name, _ = platforms
    registry.push(small, "web", f"{name}:web")
    registry.push(small, "three", f"{name}:three")
    assert "two manifests for linux/" in davit.fails(
        1, "index", "create", f"{registry.host}/{name}:all", ":web", ":three").error
    davit.fails(3, "digest", f"{registry.host}/{name}:all")


def test_without_credentials(davit, htpasswd_registry, here):
    name = f"{htpasswd_registry.host}/demo/debian:1.0"
    for argv in (("attach", "--type", "a/b", name, "notes.txt"), ("referrers", name), ("artifact", "pull", name),
                 ("artifact", "push", name, "notes.txt"), ("index", "create", name, ":x"),
                 ("index", "remove", name, "linux/amd64")):
        davit.fails(4, *argv, cwd=here)
