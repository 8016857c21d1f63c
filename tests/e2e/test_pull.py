"""Pull of good images from a good registry: what is stored, what is said, what is asked."""
import hashlib
import json
import signal
import time

import pytest

from conftest import serve
from support import oci
from support.davit import FAST, SLOW, assert_rss
from support.faults import Pace


def below(layout, digest):
    """Every blob that an image or index leads to, itself included."""
    found = {digest}
    document = layout.json(digest)
    for child in document.get("manifests", []):
        found |= below(layout, child["digest"])
    return found | {d["digest"] for d in [*document.get("layers", []), document.get("config")] if d}


def host_child(images):
    index = images.json(images.tags()["multi"]["digest"])
    return next((m["digest"] for m in index["manifests"]
                 if m["platform"]["architecture"] == oci.HOST_ARCH), None)


@pytest.mark.parametrize("tag", ["debian", "debian-zstd", "derived", "twice", "empty", "tiny100"])
def test_a_pulled_image_is_stored_bit_for_bit(davit, open_registry, images, tag):
    ref = f"{open_registry.host}/demo/{tag}:1.0"
    result = davit("pull", ref)
    assert result.text == ref + "\n"
    davit.store.assert_exactly(images.image(tag).blobs)


def test_a_docker_schema2_image_is_stored_bit_for_bit(davit, open_registry):
    ref = f"{open_registry.host}/demo/debian-docker:1.0"
    raw = open_registry.inspect("demo/debian-docker:1.0", "--raw")
    document = json.loads(raw)
    assert document["mediaType"] == oci.DOCKER_MANIFEST
    davit("pull", ref)
    davit.store.assert_exactly({oci.sha256(raw), document["config"]["digest"],
                                *(layer["digest"] for layer in document["layers"])})
    assert davit.store.blob_path(oci.sha256(raw)).read_bytes() == raw


def test_the_transcript_of_a_first_pull(davit, open_registry, images):
    image = images.image("debian")
    ref = f"{open_registry.host}/demo/debian:1.0"
    lines = davit("--progress", "plain", "pull", ref).messages
    assert lines[0] == "1.0: Pulling from demo/debian"
    assert lines[-2:] == [f"Digest: {image.digest}", f"Status: Downloaded newer image for {ref}"]
    for short in image.short:
        mine = [line.partition(": ")[2] for line in lines if line.startswith(short)]
        assert mine[0] == "Pulling fs layer" and mine[-2:] == ["Download complete", "Pull complete"]


def test_a_second_pull_is_one_request_and_says_up_to_date(davit, open_registry):
    ref = f"{open_registry.host}/demo/debian:1.0"
    davit("pull", ref)
    mark = open_registry.mark()
    result = davit("pull", ref)
    assert result.messages[-1] == f"Status: Image is up to date for {ref}"
    assert result.text == ref + "\n"
    asked = open_registry.since(mark)
    assert [(a.method, a.path) for a in asked] == [("HEAD", "/v2/demo/debian/manifests/1.0")]


def test_the_first_request_is_the_question_not_a_ping(davit, open_registry):
    mark = open_registry.mark()
    davit("pull", f"{open_registry.host}/demo/twice:1.0")
    asked = open_registry.since(mark)
    assert "/manifests/1.0" in asked[0].path
    assert "/v2/" not in [a.path for a in asked]


def test_every_blob_is_asked_for_once(davit, open_registry, images):
    mark = open_registry.mark()
    davit("pull", f"{open_registry.host}/demo/tiny100:1.0")
    image = images.image("tiny100")
    blobs = [a.path.rpartition("/")[2] for a in open_registry.since(mark) if "/blobs/" in a.path]
    assert sorted(blobs) == sorted([image.config, *image.layers])


def test_a_layer_that_is_there_is_not_fetched_again(davit, open_registry, images):
    davit("pull", f"{open_registry.host}/demo/debian:1.0")
    mark = open_registry.mark()
    result = davit("--progress", "plain", "pull", f"{open_registry.host}/demo/derived:1.0")
    image = images.image("derived")
    for short in image.short[:-1]:
        assert f"{short}: Already exists" in result.messages
    blobs = {a.path.rpartition("/")[2] for a in open_registry.since(mark) if "/blobs/" in a.path}
    assert blobs == {image.config, image.layers[-1]}


def test_a_layer_used_twice_is_fetched_once(davit, faulty, images):
    faulty.add_image(images, "twice", "demo/twice:1.0")
    layer = images.image("twice").layers[0]
    davit("pull", f"{faulty.host}/demo/twice:1.0")
    assert len(faulty.gets(layer)) == 1


def test_pull_by_digest(davit, open_registry, images):
    ref = f"{open_registry.host}/demo/debian@{images.image('debian').digest}"
    result = davit("--progress", "plain", "pull", ref)
    assert result.messages[0] == f"{ref}: Pulling from demo/debian"
    assert result.text == ref + "\n"
    davit.store.assert_exactly(images.image("debian").blobs)


def test_a_digest_beside_a_tag_decides(davit, faulty, images):
    """threat B5"""
    digest = faulty.image.digest
    faulty.add_image(images, "twice", "demo/web:moved")
    davit("pull", f"{faulty.host}/demo/web:moved@{digest}")
    davit.store.assert_exactly(faulty.image.blobs)


def test_no_tag_means_latest(davit, open_registry, images):
    davit("pull", f"{open_registry.host}/demo/tags")
    davit.store.assert_exactly(images.image("twice").blobs)
    assert [i["RepoTags"] for i in davit("images", "--json").json] == \
        [[f"{open_registry.host}/demo/tags:latest"]]


@pytest.mark.parametrize("flag", ["-a", "--all-tags"])
def test_all_tags(davit, open_registry, flag):
    name = f"{open_registry.host}/demo/tags"
    result = davit("--progress", "plain", "pull", flag, name)
    starts = [line for line in result.messages if "Pulling from" in line]
    assert sorted(starts) == [f"{tag}: Pulling from demo/tags" for tag in ("1.1", "2.0", "latest")]
    assert result.messages[-1] == f"Status: Downloaded newer image for {name}"
    tags = [t for i in davit("images", "--json").json for t in i["RepoTags"]]
    assert sorted(tags) == [f"{name}:{tag}" for tag in ("1.1", "2.0", "latest")]


def test_all_tags_skips_invalid_names_and_nulls(davit, faulty, images):
    """quirks: Artifactory lists sha256:..., some registry lists null"""
    from support.faults import Body
    faulty.fault("tags", Body(oci.dumps({"name": "demo/web",
                                         "tags": [None, "1.0", "sha256:" + "a" * 64, "../../x"]})))
    davit("pull", "-a", f"{faulty.host}/demo/web")
    davit.store.assert_exactly(faulty.image.blobs)


def test_several_references_in_one_command(davit, open_registry, images):
    refs = [f"{open_registry.host}/demo/{tag}:1.0" for tag in ("debian", "twice", "empty")]
    assert davit("pull", *refs).lines == refs
    davit.store.assert_exactly(set().union(
        *(images.image(tag).blobs for tag in ("debian", "twice", "empty"))))


def test_an_index_gives_the_image_of_this_host(davit, open_registry, images):
    child = host_child(images)
    if not child:
        pytest.skip("the index has no image for this machine")
    index = images.tags()["multi"]["digest"]
    result = davit("--progress", "plain", "pull", f"{open_registry.host}/demo/multi:1.0")
    assert f"Digest: {index}" in result.messages
    davit.store.assert_exactly(below(images, child) | {index})


@pytest.mark.parametrize("platform,number", [
    ("linux/amd64", 0), ("linux/arm64", 1), ("linux/arm64/v8", 1), ("linux/arm/v7", 2),
    ("linux/arm", 2), ("linux/aarch64", 1), ("linux/x86_64", 0)])
def test_a_platform_is_chosen_by_name_and_alias(davit, open_registry, images, platform, number):
    index = images.tags()["multi"]["digest"]
    child = images.json(index)["manifests"][number]["digest"]
    davit("pull", "--platform", platform, f"{open_registry.host}/demo/multi:1.0")
    davit.store.assert_exactly(below(images, child) | {index})


@pytest.mark.parametrize("platform", ["linux/s390x", "windows/amd64", "linux/arm/v5"])
def test_a_platform_that_is_not_there(davit, open_registry, platform):
    result = davit.fails({1, 3}, "pull", "--platform", platform,
                         f"{open_registry.host}/demo/multi:1.0")
    assert f"no matching manifest for {platform} in the manifest list entries" in result.error
    assert davit("images", "-q").text == ""


def test_an_image_that_is_for_another_platform_is_taken_with_a_warning(davit, open_registry):
    """A manifest by itself is what the tag means, whatever was asked for."""
    ref = f"{open_registry.host}/demo/debian:1.0"
    for _ in range(2):      # the second time nothing is to be done
        result = davit("pull", "--platform", "linux/s390x", ref)
        assert (f"warning: image with reference {ref} was found but its platform (linux/{oci.HOST_ARCH}) "
                "does not match the specified platform (linux/s390x)") in result.messages
    for flags in ([], ["--platform", f"linux/{oci.HOST_ARCH}"]):
        assert not any("warning" in line for line in davit("pull", *flags, ref).messages)


def test_all_platforms_moves_every_child_attestations_included(davit, open_registry, images):
    davit("pull", "--all-platforms", f"{open_registry.host}/demo/multi:1.0")
    davit.store.assert_exactly(below(images, images.tags()["multi"]["digest"]))


def test_another_platform_can_be_added_later(davit, open_registry, images):
    ref = f"{open_registry.host}/demo/multi:1.0"
    davit("pull", "--platform", "linux/arm/v7", ref)
    davit("pull", "--platform", "linux/arm64", ref)
    index = images.tags()["multi"]["digest"]
    children = images.json(index)["manifests"]
    davit.store.assert_exactly({index} | below(images, children[1]["digest"])
                               | below(images, children[2]["digest"]))


@pytest.mark.parametrize("flags", [["pull", "-q"], ["pull", "--quiet"], ["-q", "pull"]])
def test_quiet_says_the_reference_and_nothing_else(davit, open_registry, flags):
    ref = f"{open_registry.host}/demo/twice:1.0"
    result = davit(*flags, ref)
    assert (result.text, result.err) == (ref + "\n", b"")


def test_dry_run_says_how_much_and_stores_nothing(davit, open_registry, images):
    ref = f"{open_registry.host}/demo/derived:1.0"
    mark = open_registry.mark()
    said = davit("pull", "--dry-run", ref).text
    assert said.strip()
    assert not any("/blobs/" in a.path for a in open_registry.since(mark))
    assert davit.store.blobs() == set() and davit.store.ingests() == []
    assert davit("images", "-q").text == ""
    davit("pull", f"{open_registry.host}/demo/debian:1.0")
    assert davit("pull", "--dry-run", ref).text != said


def test_what_skopeo_sees_is_what_we_store(davit, open_registry):
    name = "demo/debian:1.0"
    davit("pull", f"{open_registry.host}/{name}")
    raw, config = (open_registry.inspect(name, *flags) for flags in (["--raw"],
                                                                     ["--config", "--raw"]))
    assert davit("manifest", f"store:{open_registry.host}/{name}").out == raw
    image = davit("images", "--json").json[0]
    assert image["Id"] == "sha256:" + hashlib.sha256(config).hexdigest()
    assert davit.store.blob_path(image["Id"]).read_bytes() == config


def test_a_moved_tag_gives_the_new_image_and_keeps_the_old_blobs(davit, faulty, images):
    davit("pull", faulty.ref)
    faulty.add_image(images, "twice", "demo/web:1.0")
    result = davit("pull", faulty.ref)
    assert result.messages[-1] == f"Status: Downloaded newer image for {faulty.ref}"
    assert davit("digest", f"store:{faulty.ref}").text.strip() == images.image("twice").digest


def test_a_new_tag_of_a_present_image_is_newer_and_fetches_no_blob(davit, open_registry):
    davit("pull", f"{open_registry.host}/demo/tags:1.1")
    mark = open_registry.mark()
    ref = f"{open_registry.host}/demo/tags:2.0"
    assert davit("pull", ref).messages[-1] == f"Status: Downloaded newer image for {ref}"
    assert not any("/blobs/" in a.path for a in open_registry.since(mark))


def test_sha512_layers(davit, faulty):
    """threat B9"""
    blob, diff_id = oci.noise_layer("sha512", 50000)
    digest = "sha512:" + hashlib.sha512(blob).hexdigest()
    faulty.add_blob(blob, digest)
    config = oci.dumps({"architecture": oci.HOST_ARCH, "os": "linux",
                        "rootfs": {"type": "layers", "diff_ids": [diff_id]}})
    manifest = oci.dumps({
        "schemaVersion": 2, "mediaType": oci.OCI_MANIFEST,
        "config": {"mediaType": oci.OCI_CONFIG, "digest": faulty.add_blob(config),
                   "size": len(config)},
        "layers": [{"mediaType": oci.OCI_LAYER_GZIP, "digest": digest, "size": len(blob)}]})
    manifest_digest = faulty.add_manifest("demo/web", manifest, oci.OCI_MANIFEST, "512")
    davit("pull", f"{faulty.host}/demo/web:512")
    davit.store.assert_exactly({manifest_digest, oci.sha256(config), digest})


# ---- how much at once ----------------------------------------------------------------------------


def test_a_given_number_of_downloads_is_a_hard_limit(davit, faulty, images):
    faulty.add_image(images, "tiny100", "demo/tiny:1.0")
    faulty.fault("blob", Pace(3e6))
    davit("--max-concurrent-downloads", "2", "pull", f"{faulty.host}/demo/tiny:1.0", timeout=60)
    assert faulty.peak() <= 2


def test_small_layers_come_more_than_three_at_once_but_at_most_sixteen(davit, faulty, images):
    faulty.add_image(images, "tiny100", "demo/tiny:1.0")
    faulty.fault("blob", Pace(1e6))
    davit("pull", f"{faulty.host}/demo/tiny:1.0")
    assert 3 < faulty.peak() <= 16


def test_large_layers_come_three_at_once(davit, faulty, small):
    serve(faulty, small, "three")
    more = small.add_image([oci.noise_layer(f"more{i}", 2000000) for i in range(5)])
    small.tag("more", more)
    serve(faulty, small, "more")
    faulty.fault("blob", Pace(4e6))
    davit("pull", faulty.ref)
    large = [r for r in faulty.gets() if r.ref != faulty.image.config]
    events = sorted(e for r in large for e in ((r.started, 1), (r.last_send, -1)))
    count = most = 0
    for _, step in events:
        count += step
        most = max(most, count)
    assert 2 <= most <= 3


def test_a_large_blob_comes_in_bounded_ranges_that_do_not_overlap(davit, faulty, small):
    serve(faulty, small, "large")
    faulty.fault("blob", Pace(15e6))
    davit("pull", faulty.ref)
    size, gets = faulty.image.sizes[faulty.layer], faulty.gets(faulty.layer)
    assert all(r.range and r.range[1] is not None for r in gets), [r.range for r in gets]
    ranges = sorted(r.range for r in gets)
    assert ranges[0][0] == 0 and ranges[-1][1] == size - 1
    assert all(a[1] + 1 == b[0] for a, b in zip(ranges, ranges[1:]))
    assert 1 < faulty.peak() <= 8        # 6 for this blob, the config and the small layer
    davit.store.assert_exactly(faulty.image.blobs)


def test_peak_memory_does_not_depend_on_the_size_of_the_image(davit, faulty, small):
    serve(faulty, small, "large")
    result = davit.measured("pull", faulty.ref)
    assert result.code == 0, str(result)
    assert_rss(result, 16)


# ---- ends early ----------------------------------------------------------------------------------


def test_ctrl_c_ends_a_pull_within_a_second(davit, faulty):
    faulty.fault("blob", Pace(100e3))
    run = davit.start("pull", faulty.ref)
    faulty.wait_sent(50000)
    started = time.monotonic()
    run.signal(signal.SIGINT)
    result = run.wait(5)
    assert result.code == 130, str(result)
    assert time.monotonic() - started < 1.0 * SLOW
    assert davit("images", "-q").text == ""
    faulty.clear()
    davit("pull", faulty.ref)
    davit.store.assert_exactly(faulty.image.blobs)
    assert faulty.gets(faulty.layer)[0].range[0] > 0, "what was there is not asked for again"


@pytest.mark.parametrize("kind", ["manifest", "token", "blob"])
def test_ctrl_c_ends_a_wait_within_a_second(davit, faulty, kind):
    from support.faults import StallHead
    from support.faulty_registry import Bearer
    faulty.auth = Bearer()
    faulty.fault(kind, StallHead(60))
    run = davit.start("pull", faulty.ref)
    faulty.wait(lambda: any(r.kind == kind for r in faulty.requests))
    started = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait(5).code == 130
    assert time.monotonic() - started < 1.0 * SLOW


def test_ctrl_c_ends_a_retry_delay_within_a_second(davit, faulty):
    from support.faults import Unavailable
    faulty.fault("manifest", Unavailable())
    run = davit.start("--retry-delay", "30", "pull", faulty.ref)
    faulty.wait(lambda: len(faulty.of("manifest")) >= 1)
    time.sleep(0.2)
    started = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait(5).code == 130
    assert time.monotonic() - started < 1.0 * SLOW


def test_a_failed_pull_leaves_the_tag_where_it_was(davit, faulty, images):
    from support.faults import Corrupt
    davit("pull", faulty.ref)
    old = davit("digest", f"store:{faulty.ref}").text
    faulty.add_image(images, "twice", "demo/web:1.0")
    faulty.fault("blob", Corrupt(100), digest=images.image("twice").layers[1])
    davit.fails(5, *FAST, "pull", faulty.ref)
    assert davit("digest", f"store:{faulty.ref}").text == old
