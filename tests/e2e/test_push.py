"""Push of good images to good registries: what arrives, what is said, what is asked. skopeo is the judge."""
import json
import subprocess

import pytest

from support import oci
from support.davit import assert_rss
from support.nginx import Nginx
from support.registry import DockerRegistry

WRITES = ("POST", "PUT", "PATCH")


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A registry of our own, empty at first; each test takes a repository that no other uses."""
    with DockerRegistry(tmp_path_factory.mktemp("target")) as registry:
        yield registry


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """One that only reads."""
    with DockerRegistry(tmp_path_factory.mktemp("closed"), readonly=True) as registry:
        yield registry


def fetch(davit, source, tag, ref, *flags):
    """demo/TAG:1.0 of a registry, in the store under the name ref."""
    davit("pull", "-q", *flags, f"{source.host}/demo/{tag}:1.0")
    davit("tag", f"{source.host}/demo/{tag}:1.0", ref)
    return ref


def asked(registry, mark, *methods):
    return [a for a in registry.since(mark) if not methods or a.method in methods]


def copied_back(registry, name, directory):
    """Every blob of an image as skopeo fetches it; it checks each digest."""
    out = directory / "back"
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--all", "--preserve-digests",
                    "--src-tls-verify=false", f"docker://{registry.host}/{name}", f"oci:{out}:x"], check=True)
    return {"sha256:" + path.name for path in (out / "blobs" / "sha256").iterdir()}


# ---- what arrives --------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["debian", "debian-zstd", "twice", "empty", "tiny100"])
def test_a_pushed_image_arrives_bit_for_bit(davit, open_registry, target, images, tag, tmp_path):
    ref = fetch(davit, open_registry, tag, f"{target.host}/arrives/{tag}:1.0")
    result = davit("push", ref)
    assert result.text == f"{target.host}/arrives/{tag}@{images.image(tag).digest}\n"
    assert target.inspect(f"arrives/{tag}:1.0", "--raw") == images.image(tag).bytes
    assert copied_back(target, f"arrives/{tag}:1.0", tmp_path) == images.image(tag).blobs


def test_a_docker_schema2_image_keeps_its_manifest(davit, open_registry, target, tmp_path):
    raw = open_registry.inspect("demo/debian-docker:1.0", "--raw")
    ref = fetch(davit, open_registry, "debian-docker", f"{target.host}/schema2/debian:1.0")
    davit("push", ref)
    assert target.inspect("schema2/debian:1.0", "--raw") == raw
    assert json.loads(raw)["mediaType"] == oci.DOCKER_MANIFEST


def test_an_index_goes_with_all_that_it_lists(davit, open_registry, target, images, tmp_path):
    ref = fetch(davit, open_registry, "multi", f"{target.host}/index/all:1.0", "--all-platforms")
    result = davit("push", ref)
    index = images.tags()["multi"]["digest"]
    assert result.text == f"{target.host}/index/all@{index}\n"
    assert target.inspect("index/all:1.0", "--raw") == images.blob(index)
    for child in images.json(index)["manifests"]:
        assert target.inspect(f"index/all@{child['digest']}", "--raw") == images.blob(child["digest"])
    assert index in copied_back(target, "index/all:1.0", tmp_path)


def test_a_loaded_archive_is_pushed(davit, images, target, tmp_path):
    archive, ref = tmp_path / "a.tar", f"{target.host}/loaded/twice:1.0"
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", f"oci:{images.path}:twice",
                    f"docker-archive:{archive}:{ref}"], check=True)
    davit("load", "-i", archive)
    davit("push", ref)
    config = json.loads(target.inspect("loaded/twice:1.0", "--config", "--raw"))
    assert config["rootfs"] == images.json(images.image("twice").config)["rootfs"]


# ---- what of an index is here --------------------------------------------------------------------


def test_the_only_image_of_an_index_goes_under_the_tag(davit, open_registry, target, images):
    ref = fetch(davit, open_registry, "multi", f"{target.host}/index/one:1.0", "--platform", "linux/arm64")
    result = davit("push", ref)
    index = images.json(images.tags()["multi"]["digest"])
    child = next(m for m in index["manifests"] if m["platform"]["architecture"] == "arm64")
    assert result.text == f"{target.host}/index/one@{child['digest']}\n"
    warning = next(line for line in result.messages if "only linux/arm64" in line)
    assert "missing: " in warning and "linux/amd64" in warning
    assert target.inspect("index/one:1.0", "--raw") == images.blob(child["digest"])


def test_a_platform_chooses_of_an_index(davit, open_registry, target, images):
    ref = fetch(davit, open_registry, "multi", f"{target.host}/index/chosen:1.0", "--all-platforms")
    davit("push", "--platform", "linux/arm64", ref)
    index = images.json(images.tags()["multi"]["digest"])
    child = next(m for m in index["manifests"] if m["platform"]["architecture"] == "arm64")
    assert target.inspect("index/chosen:1.0", "--raw") == images.blob(child["digest"])
    failed = davit.fails(3, "push", "--platform", "linux/s390x", ref)
    assert "the store has no image for platform linux/s390x" in failed.error


def test_two_of_three_images_want_a_choice(davit, open_registry, target):
    source = f"{open_registry.host}/demo/multi:1.0"
    ref = f"{target.host}/index/two:1.0"
    davit("pull", "-q", "--platform", "linux/arm64", source)
    davit("pull", "-q", "--platform", "linux/amd64", source)
    davit("tag", source, ref)
    mark = target.mark()
    failed = davit.fails(3, "push", ref)
    assert "2 of the 3 images of its index are in the store" in failed.error
    assert asked(target, mark) == []


def test_a_sparse_index_is_for_the_registry_to_judge(davit, open_registry, target, images):
    ref = fetch(davit, open_registry, "multi", f"{target.host}/index/sparse:1.0", "--platform", "linux/arm64")
    failed = davit.fails({1, 3}, "push", "--sparse", ref)        # docker-registry wants all of it
    assert "manifest" in failed.error
    assert davit.fails({1, 3}, "manifest", ref)


# ---- what is asked -------------------------------------------------------------------------------


def test_an_unchanged_image_costs_one_request(davit, open_registry, target):
    ref = fetch(davit, open_registry, "debian", f"{target.host}/unchanged/debian:1.0")
    first = davit("push", ref)
    mark = target.mark()
    again = davit("--progress", "plain", "push", ref)
    assert again.text == first.text
    assert [(a.method, a.path) for a in asked(target, mark)] == [
        ("HEAD", "/v2/unchanged/debian/manifests/1.0")]
    assert sum("Layer already exists" in line for line in again.messages) == 5


def test_a_second_tag_sends_no_blob(davit, open_registry, target):
    ref = fetch(davit, open_registry, "debian", f"{target.host}/second/debian:1.0")
    davit("push", "-q", ref)
    davit("tag", ref, f"{target.host}/second/debian:2.0")
    mark = target.mark()
    davit("push", "-q", f"{target.host}/second/debian:2.0")
    assert [(a.method, a.path) for a in asked(target, mark, *WRITES)] == [
        ("PUT", "/v2/second/debian/manifests/2.0")]


def test_what_another_repository_has_is_mounted(davit, open_registry, target, images):
    ref = fetch(davit, open_registry, "debian", f"{target.host}/mounted/from:1.0")
    davit("push", "-q", ref)
    davit("tag", ref, f"{target.host}/mounted/to:1.0")
    mark = target.mark()
    result = davit("--progress", "plain", "push", f"{target.host}/mounted/to:1.0")
    assert sum("Mounted from mounted/from" in line for line in result.messages) == 5
    writes = asked(target, mark, *WRITES)
    mounts = [a for a in writes if "mount=" in a.path]
    assert {a.status for a in mounts} == {201} and len(mounts) == 6        # the config too
    assert [a.path for a in writes if a not in mounts] == ["/v2/mounted/to/manifests/1.0"]
    assert target.inspect("mounted/to:1.0", "--raw") == images.image("debian").bytes


def test_what_others_pushed_is_not_sent_again(davit, other_davit, open_registry, target):
    ref = f"{target.host}/others/debian:1.0"
    fetch(davit, open_registry, "debian", ref)
    davit("push", "-q", ref)
    fetch(other_davit, open_registry, "debian", f"{target.host}/others/debian:2.0")
    mark = target.mark()
    other_davit("push", "-q", f"{target.host}/others/debian:2.0")
    assert [a.path for a in asked(target, mark, *WRITES)] == ["/v2/others/debian/manifests/2.0"]


# ---- what is said --------------------------------------------------------------------------------


def test_the_transcript_of_a_first_push(davit, open_registry, target, images):
    ref = fetch(davit, open_registry, "debian", f"{target.host}/said/debian:1.0")
    image = images.image("debian")
    lines = davit("--progress", "plain", "push", ref).messages
    assert lines[0] == f"The push refers to repository [{target.host}/said/debian]"
    assert lines[-1] == f"1.0: digest: {image.digest} size: {len(image.bytes)}"
    ids = [d[7:19] for d in images.json(image.config)["rootfs"]["diff_ids"]]
    assert [line[:12] for line in lines[1:6]] == ids[::-1]               # top first
    for short in ids:
        mine = [line.partition(": ")[2] for line in lines if line.startswith(short)]
        assert mine[0] == "Preparing" and mine[-1] == "Pushed"


def test_the_json_stream_ends_with_an_aux_object(davit, open_registry, target, images):
    ref = fetch(davit, open_registry, "twice", f"{target.host}/said/stream:1.0")
    image = images.image("twice")
    stream = [json.loads(line) for line in davit("--progress", "json", "push", ref).messages]
    assert stream[0] == {"status": f"The push refers to repository [{target.host}/said/stream]"}
    assert stream[-1] == {"progressDetail": {}, "aux": {"Tag": "1.0", "Digest": image.digest,
                                                        "Size": len(image.bytes)}}


def test_quiet_says_only_the_digest(davit, open_registry, target, images):
    ref = fetch(davit, open_registry, "twice", f"{target.host}/said/quiet:1.0")
    result = davit("push", "-q", ref)
    assert result.text == f"{target.host}/said/quiet@{images.image('twice').digest}\n"
    assert result.err == b""


def test_one_json_document(davit, open_registry, target, images):
    ref = fetch(davit, open_registry, "debian", f"{target.host}/said/json:1.0")
    image = images.image("debian")
    size = sum(image.sizes.values())
    assert davit("push", "--json", ref).json == {
        "Repository": f"{target.host}/said/json",
        "Pushed": [{"Tag": "1.0", "Digest": image.digest, "Size": len(image.bytes)}],
        "Sent": {"Count": 6, "Size": size}, "Mounted": {"Count": 0, "Size": 0},
        "Present": {"Count": 0, "Size": 0}}
    again = davit("push", "--json", ref).json
    assert again["Sent"]["Count"] == 0 and again["Present"] == {"Count": 6, "Size": size}


def test_all_tags_go_in_order(davit, open_registry, target, images):
    name = f"{target.host}/all/tags"
    fetch(davit, open_registry, "twice", f"{name}:2.0")
    fetch(davit, open_registry, "debian", f"{name}:1.0")
    davit("tag", f"{name}:2.0", f"{name}:10")
    result = davit("push", "-a", name)
    digest = {tag: images.image(tag).digest for tag in ("twice", "debian")}
    assert result.lines == [f"{name}@{digest['debian']}", f"{name}@{digest['twice']}",
                            f"{name}@{digest['twice']}"]
    tags = json.loads(subprocess.run(["skopeo", "list-tags", "--tls-verify=false", f"docker://{name}"],
                                     check=True, capture_output=True).stdout)["Tags"]
    assert sorted(tags) == ["1.0", "10", "2.0"]


def test_the_digest_reference_is_recorded(davit, open_registry, target, images):
    ref = fetch(davit, open_registry, "twice", f"{target.host}/recorded/twice:1.0")
    davit("push", "-q", ref)
    digests = [d for image in davit("inspect", ref).json for d in image["RepoDigests"]]
    assert f"{target.host}/recorded/twice@{images.image('twice').digest}" in digests


# ---- who may -------------------------------------------------------------------------------------


def test_credentials_are_wanted_and_used(davit, open_registry, htpasswd_registry, images):
    ref = fetch(davit, open_registry, "twice", f"{htpasswd_registry.host}/mine/twice:1.0")
    failed = davit.fails(4, "push", ref)
    assert "no basic auth credentials" in failed.error
    davit.login(htpasswd_registry.host, "alice", "p4ss:with colon")
    davit("push", ref)
    assert htpasswd_registry.inspect("mine/twice:1.0", "--raw", user="alice") == images.image("twice").bytes


def test_who_may_only_pull_is_told_so(davit, open_registry, token_registry, images):
    ref = fetch(davit, open_registry, "twice", f"{token_registry.host}/demo/debian:new")
    failed = davit.fails(4, "push", ref)                 # demo/debian is for all, to pull
    assert "denied" in failed.error or "unauthorized" in failed.error
    davit.login(token_registry.host, "alice", "p4ss:with colon")
    davit("push", ref)
    assert token_registry.inspect("demo/debian:new", "--raw", user="alice") == images.image("twice").bytes


def test_a_registry_that_only_reads_says_so(davit, open_registry, closed):
    ref = fetch(davit, open_registry, "twice", f"{closed.host}/demo/twice:1.0")
    failed = davit.fails(1, "push", ref)
    assert "Method not allowed" in failed.error


# ---- through a proxy -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def limited(target, authority, tmp_path_factory):
    """TLS, and no request body over 5 MB."""
    with Nginx(tmp_path_factory.mktemp("limited"), target.host, authority, extra="client_max_body_size 5m; proxy_request_buffering off; "
                     "proxy_http_version 1.1;") as proxy:
        yield proxy


def certificate_for(davit, proxy, authority):
    certs = davit.root / "certs" / proxy.host
    certs.mkdir(parents=True)
    (certs / "ca.crt").write_bytes(authority.ca.read_bytes())
    return ["--certs-dir", certs.parent]


def test_through_tls_with_a_limit_on_bodies(davit, small, target, limited, authority, tmp_path):
    image = small.image("three")
    ref = f"{limited.host}/limited/large:1.0"
    archive = tmp_path / "large.tar"
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", f"oci:{small.path}:large",
                    f"oci-archive:{archive}:{ref}"], check=True)
    davit("load", "-i", archive)
    davit("tag", davit("images", "-q").lines[0], ref)
    result = davit.measured(*certificate_for(davit, limited, authority), "push", ref, timeout=60)
    assert result.code == 0, str(result)
    image = small.image("large")
    assert target.inspect("limited/large:1.0", "--raw") == image.bytes
    assert copied_back(target, "limited/large:1.0", tmp_path) == image.blobs
    assert_rss(result, 16)


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("argument, code, text", [
    ("HOST/absent/image:1.0", 3, "An image does not exist locally with the tag: HOST/absent/image"),
    ("HOST/here/image:2.0", 3, "tag does not exist: HOST/here/image:2.0"),
    ("HOST/here/image@sha256:" + 64 * "a", {1, 2}, "cannot push a digest reference"),
    ("scratch", 1, "'scratch' is a reserved name"),
    ("HOST/here/Image:1.0", {1, 2}, "must be lowercase"),
    ("oci:/tmp/x", 2, ""),
])
def test_bad_input_is_one_line_and_asks_nobody(davit, open_registry, target, argument, code, text):
    fetch(davit, open_registry, "twice", f"{target.host}/here/image:1.0")
    mark = target.mark()
    failed = davit.fails(code, "push", argument.replace("HOST", target.host))
    assert text.replace("HOST", target.host) in failed.error
    assert asked(target, mark) == []


def test_all_tags_of_nothing(davit, open_registry, target):
    davit("pull", "-q", f"{open_registry.host}/demo/twice:1.0")
    failed = davit.fails(3, "push", "-a", f"{target.host}/nothing/here")
    assert "An image does not exist locally with the tag" in failed.error
    assert davit.fails(2, "push", "-a", f"{target.host}/nothing/here:1.0").code == 2


def test_a_damaged_blob_is_named_and_the_tag_stays(davit, open_registry, target, images):
    image = images.image("debian")
    ref = fetch(davit, open_registry, "debian", f"{target.host}/damaged/debian:1.0")
    path = davit.store.blob_path(image.layers[1])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    failed = davit.fails(5, "push", ref)
    assert image.layers[1] in failed.error and "damaged" in failed.error
    assert davit.fails(3, "manifest", ref)
