"""What one does to one registry: manifest put, blob, delete. Debian's docker-registry has no referrers API and deletes no tag alone;
one of the two here deletes nothing at all. skopeo and the registry's own files judge."""
import hashlib
import json
import re

import pytest

from support import oci
from support.registry import DockerRegistry

ABSENT = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def writable(tmp_path_factory):
    with DockerRegistry(tmp_path_factory.mktemp("writable")) as registry:
        yield registry


@pytest.fixture(scope="module")
def keeping(small, tmp_path_factory):
    """Deletes nothing."""
    with DockerRegistry(tmp_path_factory.mktemp("keeping"), delete=False) as registry:
        registry.push(small, "web", "demo/web:1.0")
        yield registry


@pytest.fixture
def repository(writable, small, request):
    """A repository of this test's own with web:1.0."""
    name = "t/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:80]
    writable.push(small, "web", f"{name}:1.0")
    return name


def ref(registry, name):
    return f"{registry.host}/{name}"


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


# ---- manifest ------------------------------------------------------------------------------------


def test_manifest_put_is_the_very_bytes(davit, writable, repository, small, tmp_path):
    original = json.loads(small.image("web").bytes)
    odd = json.dumps({**original, "annotations": {"k": "<&>"}, "x-unknown": [1.50, None]}, indent=3).encode() + b"\n\n"
    (tmp_path / "m.json").write_bytes(odd)
    result = davit("manifest", "put", tmp_path / "m.json", ref(writable, f"{repository}:odd"))
    assert result.text == sha256(odd) + "\n"
    assert writable.inspect(f"{repository}:odd", "--raw") == odd
    assert davit("manifest", "--raw", ref(writable, f"{repository}:odd")).out == odd


def test_manifest_put_from_standard_input_to_a_digest(davit, writable, repository, small):
    odd = small.image("web").bytes + b"\n"
    name = f"{repository}@{sha256(odd)}"
    assert davit("manifest", "put", "-", ref(writable, name), data=odd).text == sha256(odd) + "\n"
    assert writable.inspect(name, "--raw") == odd


def test_manifest_put_with_tag_and_digest_moves_the_tag(davit, writable, repository, small):
    data = small.image("web").bytes + b" "
    davit("manifest", "put", "-", ref(writable, f"{repository}:both@{sha256(data)}"), data=data)
    assert writable.inspect(f"{repository}:both", "--raw") == data


def test_manifest_put_checks_the_digest_before_it_sends(davit, writable, repository, small):
    mark = writable.mark()
    result = davit.fails(5, "manifest", "put", "-", ref(writable, f"{repository}:1.0@{ABSENT}"),
                         data=small.image("web").bytes)
    assert "nothing was sent" in result.error and ABSENT in result.error
    assert writable.since(mark) == []


def test_manifest_put_of_a_type(davit, writable, repository, small):
    """Without a mediaType of its own, a document may be pushed as what --type says."""
    document = json.loads(small.image("web").bytes)
    document.pop("mediaType", None)
    data = oci.dumps(document)
    davit("manifest", "put", "--type", oci.OCI_MANIFEST, "-", ref(writable, f"{repository}:typed"), data=data)
    assert writable.inspect(f"{repository}:typed", "--raw") == data


def test_manifest_put_whose_blobs_are_absent(davit, writable, repository, small):
    image = small.image("three")
    result = davit.fails(1, "manifest", "put", "-", ref(writable, f"{repository}:three"), data=image.bytes)
    assert "blob unknown" in result.error
    davit.fails(3, "digest", ref(writable, f"{repository}:three"))


@pytest.mark.parametrize("data,words", [
    (b"", "manifest"), (b"{", "manifest"), (b"[]", "not a JSON object"),
    (b'{"schemaVersion":2,"manifests":[],"layers":[]}', "media-type"),
    (b'{"schemaVersion":2,"config":{},"layers":[]}', "digest"),
], ids=["nothing", "half", "list", "mixture", "no-digest"])
def test_manifest_put_of_what_is_none(davit, writable, data, words):
    mark = writable.mark()
    assert words in davit.fails(1, "manifest", "put", "-", ref(writable, "t/none:1"), data=data).error
    assert writable.since(mark) == []


def test_manifest_put_too_long(davit, writable):
    result = davit.fails(1, "manifest", "put", "-", ref(writable, "t/long:1"), data=b" " * (4 << 20) + b"{}")
    assert "longer than 4194304 bytes" in result.error


# ---- blob ----------------------------------------------------------------------------------------


def test_blob_get_is_blob(davit, writable, repository, small):
    image = small.image("web")
    name = ref(writable, f"{repository}@{image.config}")
    assert davit("blob", "get", name).out == davit("blob", name).out == image.blob(image.config)


def test_blob_head_is_the_size(davit, writable, repository, small):
    image = small.image("web")
    size = len(image.blob(image.layers[0]))
    assert davit("blob", "head", ref(writable, f"{repository}@{image.layers[0]}")).text == f"{size}\n"
    result = davit.fails(3, "blob", "head", ref(writable, f"{repository}@{ABSENT}"))
    assert "unknown blob" in result.error


@pytest.mark.parametrize("size", [0, 2, 300000, 20 << 20])
def test_blob_put_of_a_file(davit, writable, tmp_path, size):
    data = oci.noise(f"put{size}", size)
    (tmp_path / "file").write_bytes(data)
    assert davit("blob", "put", tmp_path / "file", ref(writable, "t/put")).text == sha256(data) + "\n"
    assert davit("blob", ref(writable, f"t/put@{sha256(data)}")).out == data


@pytest.mark.parametrize("size", [0, 5, 9000000])
def test_blob_put_of_a_pipe(davit, writable, size):
    data = oci.noise(f"pipe{size}", size)
    assert davit("blob", "put", "-", ref(writable, "t/pipe"), data=data).text == sha256(data) + "\n"
    assert davit("blob", ref(writable, f"t/pipe@{sha256(data)}")).out == data


def test_blob_put_of_a_pipe_takes_little_memory(davit, writable, tmp_path):
    """40 MiB through a pipe that comes in pieces."""
    data = oci.noise("slow", 40 << 20)
    running = davit.start("blob", "put", "-", ref(writable, "t/slow"), stdin=-1)
    peak = 0
    for at in range(0, len(data), 4 << 20):
        running.process.stdin.write(data[at:at + (4 << 20)])
        running.process.stdin.flush()
        with open(f"/proc/{running.process.pid}/status", encoding="ascii") as status:
            peak = max(peak, int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]))
    result = running.wait()
    assert result.text == sha256(data) + "\n", str(result)
    from support.davit import ASAN
    assert ASAN or peak < 32 * 1024


def test_blob_put_again_sends_nothing(davit, writable, tmp_path):
    (tmp_path / "file").write_bytes(b"once")
    davit("blob", "put", tmp_path / "file", ref(writable, "t/again"))
    mark = writable.mark()
    davit("blob", "put", tmp_path / "file", ref(writable, "t/again"))
    assert [a.method for a in writable.since(mark)] == ["HEAD"]


@pytest.mark.parametrize("how", ["file", "pipe"])
def test_blob_put_of_something_else(davit, writable, tmp_path, how):
    (tmp_path / "file").write_bytes(b"what it is")
    argv = ["blob", "put", "-" if how == "pipe" else tmp_path / "file", ref(writable, f"t/else@{ABSENT}")]
    result = davit.fails(5, *argv, data=b"what it is")
    assert ABSENT in result.error and sha256(b"what it is") in result.error
    davit.fails(3, "blob", "head", ref(writable, f"t/else@{sha256(b'what it is')}"))


def test_blob_delete(davit, writable, repository, small):
    digest = small.image("web").layers[2]
    assert davit("blob", "delete", ref(writable, f"{repository}@{digest}")).text == ""
    davit.fails(3, "blob", "head", ref(writable, f"{repository}@{digest}"))
    davit.fails(3, "blob", "delete", ref(writable, f"{repository}@{digest}"))


def test_blob_delete_where_nothing_is_deleted(davit, keeping, small):
    digest = small.image("web").layers[0]
    assert "does not delete" in davit.fails(1, "blob", "delete", ref(keeping, f"demo/web@{digest}")).error
    davit("blob", "head", ref(keeping, f"demo/web@{digest}"))


# ---- delete --------------------------------------------------------------------------------------


def test_delete_of_a_tag_never_takes_its_siblings(davit, writable, repository, small):
    """This registry deletes only whole manifests: refused, with the names of what would go too."""
    for tag in ("latest", "1.1"):
        writable.push(small, "web", f"{repository}:{tag}")
    writable.push(small, "three", f"{repository}:other")
    for flags in ([], ["--tag-only"]):
        error = davit.fails(1, "delete", *flags, ref(writable, f"{repository}:1.0")).error
        assert "the tags" in error and "latest" in error and "1.1" in error and "other" not in error
        assert small.image("web").digest in error
        assert ("--force-digest" in error) == (not flags)
    assert sorted(davit("tags", ref(writable, repository)).lines) == ["1.0", "1.1", "latest", "other"]


def test_delete_of_an_only_tag_is_refused_too(davit, writable, repository):
    """It may be a child of an index, or have a referrer."""
    assert "index or referrer" in davit.fails(1, "delete", ref(writable, f"{repository}:1.0")).error
    davit("digest", ref(writable, f"{repository}:1.0"))


def test_delete_force_digest_takes_all_tags(davit, writable, repository, small):
    writable.push(small, "web", f"{repository}:1.1")
    writable.push(small, "three", f"{repository}:other")
    result = davit("delete", "--force-digest", ref(writable, f"{repository}:1.0"))
    assert result.text == small.image("web").digest + "\n"
    for tag in ("1.0", "1.1"):
        davit.fails(3, "digest", ref(writable, f"{repository}:{tag}"))
    davit("digest", ref(writable, f"{repository}:other"))


def test_delete_by_digest(davit, writable, repository, small):
    name = ref(writable, f"{repository}@{small.image('web').digest}")
    assert davit("delete", name).text == ""
    davit.fails(3, "delete", name)
    davit.fails(3, "manifest", name)


def test_delete_where_nothing_is_deleted(davit, keeping, small):
    digest = small.image("web").digest
    for name in ("demo/web:1.0", f"demo/web@{digest}"):
        davit.fails(1, "delete", ref(keeping, name))
    assert "does not delete" in davit.fails(1, "delete", "--force-digest", ref(keeping, "demo/web:1.0")).error
    assert davit("digest", ref(keeping, "demo/web:1.0")).text == digest + "\n"


def test_delete_of_what_is_not_there(davit, writable, repository):
    for name in (f"{repository}:nothing", f"{repository}@{ABSENT}", "t/nowhere:1"):
        davit.fails(3, "delete", ref(writable, name))
        if "@" not in name:
            davit.fails(3, "delete", "--force-digest", ref(writable, name))


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("argv", [
    ("manifest", "put"), ("manifest", "put", "x"), ("manifest", "put", "x", "UPPER"), ("manifest", "a", "b"),
    ("manifest", "put", "--raw", "-", "a/b"), ("manifest", "--type", "a/b", "a/b"),
    ("manifest", "put", "-", "store:a/b"), ("manifest", "put", "-", "a", "b"),
    ("blob", "put", "x"), ("blob", "put", "x", "a/b:tag"), ("blob", "head", "a/b"), ("blob", "delete", "a/b:1"),
    ("blob", "head", "-o", "x", f"a/b@{ABSENT}"), ("blob", "take", f"a/b@{ABSENT}"), ("blob", "get"),
    ("blob", "get", "x", "y"), ("blob", "head", "a/b@sha256:12"),
    ("delete",), ("delete", "a/b"), ("delete", f"a/b:1@{ABSENT}"), ("delete", "--tag-only", f"a/b@{ABSENT}"),
    ("delete", "--tag-only", "--force-digest", "a/b:1"), ("delete", "a/b:1", "c/d:1"), ("delete", "store:a/b:1"),
])
def test_bad_usage(davit, argv):
    result = davit.fails(2, *argv, data=b"")
    assert len(result.errors) == 1


def test_files_that_are_not_there(davit, tmp_path):
    for argv in (("manifest", "put", "nothing.json", "127.0.0.1:1/a/b"), ("blob", "put", "nothing.bin", "127.0.0.1:1/a/b")):
        assert argv[2] in davit.fails(3, *argv).error
    davit.fails(7, "blob", "put", tmp_path, "127.0.0.1:1/a/b")


def test_without_credentials(davit, htpasswd_registry, small):
    name = ref(htpasswd_registry, "demo/debian")
    for argv in (("delete", f"{name}:1.0"), ("manifest", "put", "-", f"{name}:new"), ("blob", "put", "-", name),
                 ("blob", "head", f"{name}@{ABSENT}"), ("blob", "delete", f"{name}@{ABSENT}")):
        davit.fails(4, *argv, data=small.image("web").bytes)


def test_with_credentials_of_a_token_server(davit, token_registry, tmp_path):
    davit.login(token_registry.host, "alice", "p4ss:with colon")
    (tmp_path / "file").write_bytes(b"for alice")
    name = ref(token_registry, "demo/mine")
    digest = davit("blob", "put", tmp_path / "file", name).text.strip()
    assert davit("blob", "head", f"{name}@{digest}").text == "9\n"


def test_who_may_pull_may_not_push(davit, token_registry, small):
    """The token server gives everybody a token for demo/debian, for pulling only."""
    name = f"{ref(token_registry, 'demo/debian')}:1.0"
    before = davit("digest", name).text
    for argv in (("manifest", "put", "-", name), ("blob", "put", "-", name.rpartition(":")[0]), ("delete", "--force-digest", name),
                 ("attach", "--type", "a/b", "-a", "k=v", name), ("index", "create", name, ":1.0")):
        davit.fails(4, *argv, data=small.image("web").bytes)
    assert davit("digest", name).text == before
