"""davit copy between registries: streamed, mounted, resumed; what is sent, to whom, and what faults leave behind."""
import json
import os
import random
import shutil
import subprocess

import pytest

from support import oci
from support.davit import FAST, SLOW, assert_rss
from support.faults import Corrupt, Cut, CutUpload, Error, MountLies, Reset, SlowTake, StallBody, Truncate, Unavailable, Vanish
from support.faulty_registry import Basic, FaultyRegistry
from support.registry import DockerRegistry

from conftest import USERS, serve

MIB = 1 << 20


def skopeo(*args):
    return subprocess.run(["skopeo", "--insecure-policy", *map(str, args)], check=True,
                          capture_output=True).stdout


@pytest.fixture(scope="module")
def other_registry(tmp_path_factory):
    with DockerRegistry(tmp_path_factory.mktemp("other")) as registry:
        yield registry


@pytest.fixture
def target():
    with FaultyRegistry() as registry:
        registry.separate = True
        yield registry


def blobs_of(image):
    return {image.config, *image.layers}


def arrived(registry, image, name, tag="1.0"):
    """The whole image is there under its name, byte for byte."""
    assert registry.manifests[(name, tag)][0] == image.bytes
    for digest in blobs_of(image):
        assert oci.sha256(bytes(registry.blobs[digest])) == digest


# ---- two registries ----------------------------------------------------------------------------------


def test_between_two_registries_nothing_touches_the_disk(davit, images, open_registry, other_registry):
    image = images.image("debian")
    before = sorted(os.listdir(davit.root))
    result = davit("copy", f"{open_registry.host}/demo/debian:1.0", f"{other_registry.host}/a/debian:1.0")
    assert result.text.strip() == image.digest
    assert sorted(os.listdir(davit.root)) == before and not davit.store.path.exists()
    assert other_registry.inspect("a/debian:1.0", "--raw") == image.bytes
    skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{other_registry.host}/a/debian:1.0",
           f"dir:{davit.root}/read")


def test_again_is_two_requests(davit, images, open_registry, other_registry):
    names = f"{open_registry.host}/demo/twice:1.0", f"{other_registry.host}/again/twice:1.0"
    davit("copy", *names)
    marks = open_registry.mark(), other_registry.mark()
    again = davit("copy", "--json", *names).json
    asked = [*open_registry.since(marks[0]), *other_registry.since(marks[1])]
    assert [a.method for a in asked if a.agent.startswith("davit")] == ["HEAD", "HEAD"], asked
    assert not again["Updated"] and again["Manifests"] == 0


def test_another_repository_of_the_registry_gets_mounts(davit, images, open_registry):
    image = images.image("debian")
    mark = open_registry.mark()
    result = davit("copy", "--json", f"{open_registry.host}/demo/debian:1.0", f"{open_registry.host}/mounted/x:1.0").json
    assert result["Mounted"]["Count"] == len(blobs_of(image)) and result["Copied"]["Count"] == 0
    asked = [a for a in open_registry.since(mark) if "/blobs/" in a.path]
    posts = [a for a in asked if a.method == "POST" and "mount=" in a.path]
    assert len(posts) == len(blobs_of(image)) and all(a.status == 201 for a in posts)
    assert not [a for a in asked if a.method in ("PATCH", "PUT", "GET")]
    assert open_registry.inspect("mounted/x:1.0", "--raw") == image.bytes


def test_another_tag_of_the_repository_is_one_put(davit, images, open_registry):
    davit("copy", f"{open_registry.host}/demo/twice:1.0", f"{open_registry.host}/demo/same:1.0")
    mark = open_registry.mark()
    davit("copy", f"{open_registry.host}/demo/same:1.0", f"{open_registry.host}/demo/same:2.0")
    changed = [a for a in open_registry.since(mark) if a.method not in ("HEAD", "GET")]
    assert [(a.method, a.path) for a in changed] == [("PUT", "/v2/demo/same/manifests/2.0")]
    failed = davit.fails(2, "copy", f"{open_registry.host}/demo/same:1.0", f"{open_registry.host}/demo/same:1.0")
    assert "source and target are the same" in " ".join(failed.errors)


def test_all_tags_of_a_repository(davit, images, open_registry, other_registry):
    assert davit("copy", "-a", f"{open_registry.host}/demo/tags", f"{other_registry.host}/all/tags").text == "3 tags\n"
    listed = json.loads(skopeo("list-tags", "--tls-verify=false", f"docker://{other_registry.host}/all/tags"))
    assert sorted(listed["Tags"]) == ["1.1", "2.0", "latest"]


def test_credentials_go_to_their_own_registry_only(davit, images, small, htpasswd_registry, target):
    """threats A4: what the source is shown the target never sees."""
    davit.login(htpasswd_registry.host, "alice", USERS["alice"])
    davit("copy", f"{htpasswd_registry.host}/demo/twice:1.0", f"{target.host}/in/twice:1.0")
    arrived(target, images.image("twice"), "in/twice")
    assert not [r for r in target.requests if r.header("Authorization")]
    with FaultyRegistry() as source:
        serve(source, small, "web")
        source.auth = Basic({"sue": "source-secret"})
        target.auth = Basic({"tom": "target-secret"})
        davit.write_auths({source.host: {"username": "sue", "password": "source-secret"},
                           target.host: {"username": "tom", "password": "target-secret"}})
        davit("copy", source.ref, f"{target.host}/in/web:1.0")
        assert {r.basic for r in source.requests} <= {None, ("sue", "source-secret")}
        assert {r.basic for r in target.requests} <= {None, ("tom", "target-secret")}
        arrived(target, source.image, "in/web")


# ---- faults of the source ------------------------------------------------------------------------------


def test_a_source_that_is_cut_goes_on_where_it_was(davit, small, target):
    with FaultyRegistry() as source:
        serve(source, small, "three")
        source.fault("blob", Cut(after=1000000), digest=source.layer, nth=1)
        davit(*FAST, "copy", source.ref, f"{target.host}/in/three:1.0")
        arrived(target, source.image, "in/three")
        assert any(r.range and r.range[0] > 0 for r in source.gets(source.layer))
        assert target.received(source.layer) <= 3000000 + (1 << 20) + 10000


@pytest.mark.parametrize("fault, code", [
    (Corrupt(), 5),
    (Truncate(size=100000, honest=True), (5, 6)),
    (Error(404, "BLOB_UNKNOWN"), 3),
], ids=["corrupt", "short", "absent"])
def test_a_wrong_source_moves_no_tag(davit, small, target, fault, code):
    with FaultyRegistry() as source:
        serve(source, small, "web")
        target.add_manifest("in/web", b"{}", oci.OCI_MANIFEST, "1.0")
        source.fault("blob", fault, digest=source.layer)
        davit.fails(code, *FAST, "copy", source.ref, f"{target.host}/in/web:1.0")
        assert target.manifests[("in/web", "1.0")][0] == b"{}" and source.layer not in target.blobs


# ---- faults of the target ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
@pytest.mark.parametrize("fault", [Unavailable(), Reset()], ids=["503", "reset"])
def test_a_target_that_fails_once_gets_it_again(davit, small, target, method, fault):
    with FaultyRegistry() as source:
        serve(source, small, "large" if method == "PATCH" else "web")
        target.fault("upload", fault, method=method, nth=1)
        name = "large" if method == "PATCH" else "web"
        davit(*FAST, "copy", source.ref, f"{target.host}/in/{name}:1.0")
        arrived(target, source.image, f"in/{name}")


def test_an_upload_that_is_cut_goes_on_where_the_registry_has_it(davit, small, target):
    with FaultyRegistry() as source:
        serve(source, small, "large")
        target.fault("upload", CutUpload(5000000), method="PATCH", nth=3)
        davit(*FAST, "copy", source.ref, f"{target.host}/in/large:1.0")
        arrived(target, source.image, "in/large")
        assert target.received(source.layer) < (40 << 20) + (9 << 20)


def test_a_session_that_vanishes_costs_one_restart(davit, small, target):
    with FaultyRegistry() as source:
        serve(source, small, "large")
        target.fault("upload", Vanish(), method="PATCH", nth=3)
        davit(*FAST, "copy", source.ref, f"{target.host}/in/large:1.0")
        arrived(target, source.image, "in/large")
        assert any(r.range is None for r in source.gets(source.layer))


def test_a_mount_that_lies_is_found_out(davit, small, target):
    """quirks.md: 201 for a blob that is not there."""
    target.add_image(small, "web", "from/web:1.0")
    image = small.image("web")
    target.hold("from/web", *blobs_of(image))
    target.fault("upload", MountLies(), method="POST")
    davit(*FAST, "copy", f"{target.host}/from/web:1.0", f"{target.host}/in/web:1.0")
    arrived(target, image, "in/web")
    assert target.holds("in/web", image.layers[0]) and target.received(image.layers[0]) > 0


def test_a_manifest_that_is_refused_for_a_blob_has_all_sent_again(davit, small, target):
    with FaultyRegistry() as source:
        serve(source, small, "web")
        target.fault("manifest", Error(400, "MANIFEST_BLOB_UNKNOWN"), method="PUT", nth=1)
        result = davit(*FAST, "copy", source.ref, f"{target.host}/in/web:1.0")
        arrived(target, source.image, "in/web")
        assert any("lacks a blob" in line for line in result.messages)


@pytest.mark.parametrize("harm", ["absent", "short"])
def test_a_blob_that_a_layout_lacks_moves_no_tag(davit, small, target, tmp_path, harm):
    target.check_manifests = False  # a registry that believes whatever it is told
    shutil.copytree(small.path, tmp_path / "layout")
    digest = small.image("web").layers[0]
    blob = tmp_path / "layout" / "blobs" / "sha256" / digest[7:]
    if harm == "absent":
        blob.unlink()
    else:
        blob.write_bytes(blob.read_bytes()[:-1])
    failed = davit.fails(3 if harm == "absent" else 5, *FAST, "copy", f"oci:{tmp_path}/layout:web", f"{target.host}/to/x:1.0")
    assert digest in failed.error
    assert not any(target.tags.values())


def test_an_index_that_is_refused_for_want_of_children_is_not_sent_twice(davit, target, tmp_path):
    layout = oci.Layout.create(tmp_path / "layout")
    tars = {arch: oci.tar_of({"a": arch.encode()}) for arch in ("amd64", "arm64")}
    images = [{**layout.add_image([(oci.gzip_of(tar), oci.sha256(tar))]), "platform": {"os": "linux", "architecture": arch}}
              for arch, tar in tars.items()]
    layout.tag("all", layout.add_index(images))
    failed = davit.fails(1, *FAST, "copy", "--sparse", "--platform", "linux/amd64",
                         f"oci:{tmp_path}/layout:all", f"{target.host}/to/x:1.0")
    assert images[1]["digest"] in failed.error
    assert len(target.of("upload", method="PUT")) == 2
    assert "1.0" not in str(target.tags)


def test_a_failure_is_in_the_json_progress(davit, small, target):
    target.check_manifests = False
    target.fault("upload", Error(403, "DENIED", "too much"), method="POST")
    failed = davit.fails(4, *FAST, "--progress", "json", "copy", f"oci:{small.path}:web", f"{target.host}/to/x:1.0")
    told = [json.loads(line) for line in failed.messages if line.startswith("{")]
    assert "denied: too much" in told[-1]["errorDetail"]["message"]


def test_a_target_that_may_only_be_read_is_told_and_unchanged(davit, small, target):
    with FaultyRegistry() as source:
        serve(source, small, "web")
        target.fault("upload", Error(403, "DENIED"), method="POST")
        failed = davit.fails(4, *FAST, "copy", source.ref, f"{target.host}/in/web:1.0")
        assert "denied" in failed.error and not target.manifests


def test_killed_and_run_again_sends_only_what_is_missing(davit, small, target):
    with FaultyRegistry() as source:
        serve(source, small, "three")
        stalled = source.fault("blob", StallBody(after_bytes=2000000), digest=source.image.layers[2])
        running = davit.start("copy", source.ref, f"{target.host}/in/three:1.0")
        target.wait(lambda: all(target.holds("in/three", d) for d in source.image.layers[:2]))
        running.kill()
        source.clear()
        del stalled
        assert ("in/three", "1.0") not in target.manifests
        before = target.received()
        davit(*FAST, "copy", source.ref, f"{target.host}/in/three:1.0")
        arrived(target, source.image, "in/three")
        assert target.received() - before < 2 * 3000000


# ---- referrers -----------------------------------------------------------------------------------------


@pytest.fixture
def signed(tmp_path):
    """An image, a signature of it by subject, one of that, and one by tag."""
    layout = oci.Layout.create(tmp_path / "signed")
    tar = oci.tar_of({"a": b"a"})
    image = layout.add_image([(oci.gzip_of(tar), oci.sha256(tar))])
    layout.tag("web", image)
    subject, made = image, []
    for name in ("first", "second"):
        artifact = layout.add_manifest(layout.add_blob(b"{}", "application/vnd.oci.empty.v1+json"),
                                       [layout.add_blob(name.encode(), "text/plain")],
                                       artifactType="application/x-signature", subject=subject)
        made.append(artifact)
        subject = artifact
    layout.referrers = made
    layout.tag(f"sha256-{image['digest'][7:]}.sig", layout.add_manifest(
        layout.add_blob(b"{}", oci.OCI_CONFIG), [layout.add_blob(b"sig", "text/plain")]))
    return layout


@pytest.mark.parametrize("api", [True, False], ids=["api", "tag"])
def test_referrers_and_their_tags_come_along(davit, signed, target, tmp_path, api):
    image = signed.tags()["web"]["digest"]
    with FaultyRegistry() as source:
        source.referrers_api = target.referrers_api = api
        source.add_image(signed, "web", "demo/web:1.0")
        tag = f"sha256-{image[7:]}.sig"
        source.add_image(signed, tag, f"demo/web:{tag}")
        for artifact in signed.referrers:
            source._add(signed, artifact, "demo/web")
        if not api:
            for subject, artifact in zip([image, signed.referrers[0]["digest"]], signed.referrers):
                index = oci.dumps({"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": [
                    {**artifact, "artifactType": "application/x-signature"}]})
                source.add_manifest("demo/web", index, oci.OCI_INDEX, f"sha256-{subject[7:]}")
        plain = davit("copy", "--json", f"{source.host}/demo/web:1.0", f"{target.host}/in/web:1.0").json
        assert plain["Referrers"] == 0
        result = davit("copy", "--json", "--referrers", f"{source.host}/demo/web:1.0", f"{target.host}/in/web:1.0").json
        assert result["Referrers"] == 3 and result["Digest"] == image
        for artifact in signed.referrers:
            assert ("in/web", artifact["digest"]) in target.manifests
        assert ("in/web", tag) in target.manifests
        assert (("in/web", f"sha256-{image[7:]}") in target.manifests) is not api
        # And through a layout, which keeps the list under the tag.
        davit("copy", "--referrers", f"{target.host}/in/web:1.0", f"oci:{tmp_path}/kept:web")
        kept = json.loads(skopeo("inspect", "--raw", f"oci:{tmp_path}/kept:sha256-{image[7:]}"))
        assert [m["digest"] for m in kept["manifests"]] == [signed.referrers[0]["digest"]]
        assert kept["manifests"][0]["artifactType"] == "application/x-signature"
        with FaultyRegistry() as last:
            again = davit("copy", "--json", "--referrers", f"oci:{tmp_path}/kept:web", f"{last.host}/a/b:1").json
            assert again["Referrers"] == 3
            assert all(("a/b", a["digest"]) in last.manifests for a in signed.referrers)


# ---- memory --------------------------------------------------------------------------------------------


def test_memory_with_a_journal(davit, small, journal, open_registry, other_registry):
    open_registry.push(small, "large", "copy/large:1.0")
    result = davit.measured("copy", f"{open_registry.host}/copy/large:1.0", f"{other_registry.host}/copy/journal:1.0")
    assert result.code == 0, str(result)
    assert_rss(result, 16)


def test_memory_between_registries(davit, small, open_registry, other_registry, tmp_path):
    open_registry.push(small, "large", "copy/large:1.0")
    result = davit.measured("copy", f"{open_registry.host}/copy/large:1.0", f"{other_registry.host}/copy/large:1.0")
    assert result.code == 0, str(result)
    assert_rss(result, 16)
    # How many of the hundred are under way with full buffers is a matter of who runs when: the least of three is what it takes.
    results = [davit.measured("copy", f"{open_registry.host}/demo/tiny100:1.0", f"{other_registry.host}/copy/tiny100-{i}:1.0")
               for i in range(3)]
    assert [r.code for r in results] == [0, 0, 0], str(results)
    assert_rss(min(results, key=lambda r: r.rss_kib), 16)
    result = davit.measured("copy", f"{open_registry.host}/copy/large:1.0", f"oci:{tmp_path}/l:x")
    assert result.code == 0, str(result)
    assert_rss(result, 16)


def test_an_empty_target_directory_is_made_and_a_stale_one_swept(davit, small, open_registry, tmp_path):
    (tmp_path / "l").mkdir()
    (tmp_path / "l" / ".davit-0123456789abcdef").write_bytes(b"left")
    davit("copy", f"{open_registry.host}/demo/twice:1.0", f"oci:{tmp_path}/l:x")
    assert sorted(os.listdir(tmp_path / "l")) == ["blobs", "index.json", "oci-layout"]
    shutil.rmtree(tmp_path / "l")


# ---- killed ------------------------------------------------------------------------------------------


@pytest.fixture
def journal(davit, small):
    """A store, which a copy needs for nothing else."""
    davit("copy", "-q", f"oci:{small.path}:web", "store:demo/web:1.0")
    return davit.store


def kill_at(target, run, point):
    """kill -9 when so many bytes of uploads were taken; whether it hit a running copy."""
    with target.changed:
        while target.upload_bytes < point and run.alive:
            target.changed.wait(0.01)
    hit = run.alive
    run.kill()
    target.wait(lambda: all(r.ended for r in target.requests))
    return hit


@pytest.mark.parametrize("place", ["registry", "layout"])
def test_kill_9_at_20_points_sends_less_than_a_mib_again(davit, small, journal, place):
    rng, kills, rounds = random.Random(20240613), 0, 0
    while kills < 20:
        rounds += 1
        assert rounds < 30, f"only {kills} kills hit a running copy"
        with FaultyRegistry() as source, FaultyRegistry() as target:
            target.separate = True
            serve(source, small, "large")
            names = (source.ref if place == "registry" else f"oci:{small.path}:large"), f"{target.host}/in/large:1.0"
            target.fault("upload", SlowTake(150e6), method="PATCH")
            size, hits = source.image.sizes[source.layer], 0
            for point in sorted(rng.randrange(0, size) for _ in range(6)):
                hits += kill_at(target, davit.start(*FAST, "copy", "-q", *names), point)
            target.faults.clear()
            davit(*FAST, "copy", *names)
            arrived(target, source.image, "in/large")
            again = target.received(source.layer) - size
            assert again < max(hits, 1) * MIB, f"{again} bytes sent again after {hits} kills"
            if place == "registry":         # nor is it fetched again from its beginning
                assert source.gets(source.layer)[-1].range[0] > 0
            kills += hits


def test_what_was_begun_wrong_is_begun_anew(davit, small, journal, target):
    """The first bytes are the earlier run's: that they are others' shows at the end, and costs one restart."""
    with FaultyRegistry() as source:
        serve(source, small, "large")
        names = source.ref, f"{target.host}/in/large:1.0"
        source.fault("blob", Corrupt(), digest=source.layer)
        target.fault("upload", SlowTake(40e6 / SLOW), method="PATCH")
        assert kill_at(target, davit.start(*FAST, "copy", *names), 20 * MIB)
        source.clear()
        target.clear()
        davit(*FAST, "copy", *names)
        arrived(target, source.image, "in/large")
        assert [r.range and r.range[0] > 0 for r in source.gets(source.layer)] == [True, None]
        assert {r.status for r in target.of("upload", method="PUT")} >= {400, 201}


def test_a_source_that_changed_its_bytes_since_is_found_out(davit, small, journal, target):
    with FaultyRegistry() as source:
        serve(source, small, "large")
        names = source.ref, f"{target.host}/in/large:1.0"
        target.fault("upload", SlowTake(40e6 / SLOW), method="PATCH")
        assert kill_at(target, davit.start(*FAST, "copy", *names), 20 * MIB)
        target.faults.clear()
        source.fault("blob", Corrupt(), digest=source.layer)
        failed = davit.fails(5, *FAST, "copy", *names)
        assert "verification failed" in failed.error
        assert source.layer not in target.blobs and not target.manifests


def test_without_a_store_none_is_made_and_the_blob_starts_over(davit, small, target):
    with FaultyRegistry() as source:
        serve(source, small, "large")
        names = source.ref, f"{target.host}/in/large:1.0"
        target.fault("upload", SlowTake(40e6 / SLOW), method="PATCH")
        assert kill_at(target, davit.start(*FAST, "copy", *names), 20 * MIB)
        target.faults.clear()
        davit(*FAST, "copy", *names)
        arrived(target, source.image, "in/large")
        assert not davit.store.path.exists()
        nowhere = {"env": {"DAVIT_STORE": "", "XDG_DATA_HOME": "", "HOME": ""}}
        davit(*FAST, "copy", source.ref, f"{target.host}/in/large:2.0", **nowhere)


@pytest.mark.parametrize("harm", ["damaged", "newer", "read only"])
def test_a_store_that_cannot_be_used_is_in_nobodys_way(davit, small, journal, target, harm):
    if harm == "damaged":
        for path in journal.path.glob("davit.db*"):
            path.write_bytes(b"no database")
    elif harm == "newer":
        (journal.path / "lock").write_text("davit-store 99\n")
    else:
        for path in [*journal.path.rglob("*"), journal.path]:
            path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        result = davit(*FAST, "copy", f"oci:{small.path}:large", f"{target.host}/in/large:1.0")
    finally:
        journal.path.chmod(0o755)
    arrived(target, small.image("large"), "in/large")
    assert not any("store" in line for line in result.messages)


# ---- out of the store --------------------------------------------------------------------------------


@pytest.fixture
def stored(davit, tmp_path):
    """An image of five layers, in the store; its digest."""
    layout = oci.Layout.create(tmp_path / "layout")
    tars = [oci.tar_of({f"f{i}": oci.noise(f"held{i}", 300 << 10)}) for i in range(5)]
    image = layout.add_image([(layout.add_blob(tar, oci.OCI_LAYER), oci.sha256(tar)) for tar in tars])
    layout.tag("x", image)
    davit("copy", "-q", f"oci:{layout.path}:x", "store:demo/app:1.0")
    return image["digest"]


def test_an_image_that_is_removed_meanwhile_is_copied_whole(davit, stored, target):
    """A lease holds what is copied, whoever removes it."""
    target.fault("upload", SlowTake(4e5 / SLOW), method="PUT")
    running = davit.start("--max-concurrent-uploads", "1", "copy", "store:demo/app:1.0", f"{target.host}/demo/app:1.0")
    target.wait_received(1)
    davit("rmi", "demo/app:1.0")
    davit("prune")
    assert running.alive
    target.faults.clear()
    assert running.wait().code == 0
    assert oci.sha256(target.manifests[("demo/app", "1.0")][0]) == stored
    davit("prune")
    assert davit.store.blobs() == set() and list((davit.store.path / "leases").iterdir()) == []


def test_a_copy_of_what_is_not_there_makes_no_store(davit, target):
    assert "no store" in davit.fails(3, "copy", "store:demo/app:1.0", f"{target.host}/demo/app:1.0").error
    assert not davit.store.path.exists()


def test_a_dry_run_leases_nothing(davit, stored, target):
    davit("copy", "--dry-run", "store:demo/app:1.0", f"{target.host}/demo/app:1.0")
    assert not any((davit.store.path / "leases").glob("*"))
