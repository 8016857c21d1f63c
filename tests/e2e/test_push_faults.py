"""Push to a registry that breaks at each step: it arrives whole, or the tag stays what it was."""
import json
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import serve
from support import oci
from support.davit import FAST, SLOW
from support.faults import (Action, Answer, CutUpload, Error, Header, Location, Reset, SlowTake, StallHead,
                            Status, TooLarge, TooMany, Unavailable, Vanish, error)
from support.faulty_registry import Basic, Bearer, FaultyRegistry
from support.nginx import Nginx

MIB = 1 << 20


@pytest.fixture
def to():
    """Where it is pushed to: empty, and each repository by itself."""
    with FaultyRegistry() as registry:
        registry.separate = True
        yield registry


def stored(davit, small, tag, to, name=None):
    """An image of `small`, in the store under a name at `to`."""
    ref = f"{to.host}/{name or 'demo/' + tag}:1.0"
    with FaultyRegistry() as source:
        serve(source, small, tag)
        davit("pull", "-q", source.ref)
        davit("tag", source.ref, ref)
    to.image = small.image(tag)
    return ref


def assert_arrived(to, ref):
    """skopeo has the manifest, and every blob is right."""
    name = ref.partition("/")[2].rpartition(":")[0]
    raw = subprocess.run(["skopeo", "--insecure-policy", "inspect", "--raw", "--tls-verify=false", f"docker://{ref}"],
                         check=True, capture_output=True).stdout
    assert raw == to.image.bytes
    for digest in to.image.blobs - {to.image.digest}:
        assert to.holds(name, digest)
        assert bytes(to.blobs[digest]) == to.image.blob(digest)


def assert_not_tagged(to):
    assert not any(to.tags.values())


# ---- each step -----------------------------------------------------------------------------------

STEPS = {"head": ("blob", "HEAD"), "open": ("upload", "POST"), "patch": ("upload", "PATCH"),
         "put": ("upload", "PUT"), "manifest": ("manifest", "PUT"), "tag": ("manifest", "HEAD")}


@pytest.mark.parametrize("fault", [Unavailable(), TooMany(retry_after=0), TooMany(retry_after=None), Reset()],
                         ids=["503", "429", "429-bare", "reset"])
@pytest.mark.parametrize("step", STEPS)
def test_a_fault_at_each_step_is_survived(davit, small, to, step, fault):
    kind, method = STEPS[step]
    ref = stored(davit, small, "large" if step == "patch" else "web", to)
    to.fault(kind, fault, method=method, nth=1, times=2)
    davit(*FAST, "push", ref)
    assert_arrived(to, ref)


@pytest.mark.parametrize("at", [1, 9 * MIB + 5, 39 * MIB])
def test_an_upload_that_breaks_goes_on_where_it_broke(davit, small, to, at):
    ref = stored(davit, small, "large", to)
    layer = to.image.layers[0]
    size = to.image.sizes[layer]
    # Pieces are of 8 MiB: this one breaks, once, where the blob's byte `at` is.
    to.fault("upload", CutUpload(at % (8 * MIB)), method="PATCH", nth=at // (8 * MIB) + 1)
    davit(*FAST, "push", ref)
    assert_arrived(to, ref)
    assert to.received(layer) - size < MIB


def test_tokens_that_last_for_three_requests(davit, small, to):
    to.auth = Bearer(users={"alice": "s3cret"}, uses=3, anonymous=False)
    davit.login(to.host, "alice", "s3cret")
    ref = stored(davit, small, "large", to)
    davit(*FAST, "push", ref)
    assert_arrived_with(to, ref)


def assert_arrived_with(to, ref):
    to.auth = None
    assert_arrived(to, ref)


def test_a_location_elsewhere_gets_the_bytes_and_no_password(davit, small, to):
    to.auth = Basic(users={"alice": "s3cret"})
    davit.login(to.host, "alice", "s3cret")
    ref = stored(davit, small, "large", to)
    to.fault("upload", Location("second"))
    davit(*FAST, "push", ref)
    assert not to.secrets_seen("second")
    assert any(r.origin == "second" and r.method == "PATCH" for r in to.requests)
    assert_arrived_with(to, ref)


@pytest.mark.parametrize("form", ["absolute", "path"])
def test_other_forms_of_location(davit, small, to, form):
    ref = stored(davit, small, "large", to)
    to.fault("upload", Location(form))
    davit(*FAST, "push", ref)
    assert_arrived(to, ref)


@pytest.mark.parametrize("kind, method, fault", [
    ("upload", "PATCH", Error(405)),
    ("upload", "PATCH", Answer(201)),
    ("upload", "PATCH", TooLarge(4 * MIB)),
], ids=["405", "201", "413"])
def test_pieces_that_a_registry_does_not_take_as_they_are(davit, small, to, kind, method, fault):
    ref = stored(davit, small, "large", to)
    to.fault(kind, fault, method=method)
    davit(*FAST, "push", ref)
    assert_arrived(to, ref)


def test_a_416_at_the_end_is_asked_about(davit, small, to):
    ref = stored(davit, small, "large", to)
    to.fault("upload", Error(416, "BLOB_UPLOAD_INVALID"), method="PUT", nth=1)
    davit(*FAST, "push", ref)
    assert_arrived(to, ref)


def test_a_session_that_vanishes_is_begun_anew(davit, small, to):
    ref = stored(davit, small, "large", to)
    to.fault("upload", Vanish(), method="PATCH", nth=3)
    davit(*FAST, "push", ref)
    assert_arrived(to, ref)


class LyingMount(Action):
    """201, and the blob is not there."""

    def after(self, request, response):
        digest = request.query.get("mount", [None])[0]
        if digest:
            request.registry.held[request.name].discard(digest)
        return response


def test_a_mount_that_lies_is_found_out(davit, small, to):
    first = stored(davit, small, "web", to, "demo/from")
    davit(*FAST, "push", first)
    davit("tag", first, f"{to.host}/demo/to:1.0")
    to.fault("upload", LyingMount(), method="POST")
    davit(*FAST, "push", f"{to.host}/demo/to:1.0")
    assert_arrived(to, f"{to.host}/demo/to:1.0")


class Loses(Action):
    """A blob is gone when the manifest comes, which is refused."""
    refuses = True

    def __init__(self, name, digest):
        self.name, self.digest = name, digest

    def after(self, request, response):
        request.registry.held[self.name].discard(self.digest)
        return error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")


def test_a_manifest_refused_for_a_missing_blob_sends_it_and_tries_once_more(davit, small, to):
    ref = stored(davit, small, "web", to)
    missing = to.image.layers[1]
    to.fault("manifest", Loses("demo/web", missing), method="PUT", nth=1)
    davit(*FAST, "push", ref)
    assert_arrived(to, ref)
    assert to.received(missing) == 2 * to.image.sizes[missing]
    assert to.received(to.image.layers[0]) == to.image.sizes[to.image.layers[0]]


def test_a_manifest_refused_twice_is_told(davit, small, to):
    ref = stored(davit, small, "web", to)
    to.fault("manifest", Error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown"), method="PUT")
    failed = davit.fails({1, 3}, *FAST, "push", ref)
    assert "blob unknown" in failed.error
    assert len(to.of("manifest", method="PUT")) == 2
    assert_not_tagged(to)


# ---- layers that may not be distributed ----------------------------------------------------------

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


@pytest.mark.parametrize("flags, sent", [([], True), (["--skip-foreign"], False)])
def test_a_foreign_layer_stays_where_it_is_only_if_one_says_so(davit, tmp_path, to, flags, sent):
    layout = oci.Layout.create(tmp_path / "layout")
    ours, foreign = oci.noise_layer("ours", 5000), oci.noise_layer("foreign", 6000)
    layers = [layout.add_blob(ours[0], oci.OCI_LAYER_GZIP), layout.add_blob(foreign[0], FOREIGN)]
    layers[1]["urls"] = ["https://example.com/layer"]
    layout.tag("x", layout.add_manifest(layout.add_config([ours[1], foreign[1]]), layers))
    ref = f"{to.host}/demo/foreign:1.0"
    with FaultyRegistry() as source:
        source.add_image(layout, "x", "demo/x:1.0")
        davit("pull", "-q", f"{source.host}/demo/x:1.0")
        davit("tag", f"{source.host}/demo/x:1.0", ref)
    to.check_manifests = False
    lines = davit("--progress", "plain", *FAST, "push", *flags, ref).messages
    assert (to.received(layers[1]["digest"]) > 0) == sent
    assert any("Skipped foreign layer" in line for line in lines) == (not sent)
    assert to.holds("demo/foreign", layers[0]["digest"])


def test_a_blob_that_the_store_lost_moves_no_tag(davit, small, to):
    ref = stored(davit, small, "web", to)
    to.check_manifests = False  # a registry that believes whatever it is told
    davit.store.blob_path(to.image.layers[0]).unlink()
    failed = davit.fails(3, *FAST, "push", ref)
    assert to.image.layers[0] in failed.error
    assert_not_tagged(to)


def test_what_refers_to_another_image_is_listed_where_the_registry_keeps_no_list(davit, to, tmp_path):
    to.referrers_api = False
    layout = oci.Layout.create(tmp_path / "layout")
    tar = oci.tar_of({"a": b"a"})
    subject = layout.add_image([(oci.gzip_of(tar), oci.sha256(tar))])
    image = layout.add_manifest(layout.add_config([oci.sha256(tar)]),
                                [layout.add_blob(oci.gzip_of(tar), oci.OCI_LAYER_GZIP)], subject=subject)
    layout.tag("note", image)
    ref = f"{to.host}/demo/note:1.0"
    davit("copy", f"oci:{tmp_path}/layout:note", f"store:{ref}")
    davit(*FAST, "push", ref)
    listed = json.loads(to.manifests[("demo/note", f"sha256-{subject['digest'][7:]}")][0])
    assert [m["digest"] for m in listed["manifests"]] == [image["digest"]]


def test_two_programs_that_push_one_blob_at_once_both_arrive(davit, to, tmp_path):
    layout = oci.Layout.create(tmp_path / "layout")
    data = random.randbytes(40 * MIB)
    image = layout.add_image([(layout.add_blob(data, oci.OCI_LAYER), oci.sha256(data))])
    layout.tag("big", image)
    refs = [f"{to.host}/demo/big:{tag}" for tag in ("1", "2")]
    for ref in refs:
        davit("copy", f"oci:{tmp_path}/layout:big", f"store:{ref}")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda ref: davit(*FAST, "push", ref), refs))
    assert sorted(to.tags["demo/big"]) == ["1", "2"]
    assert to.holds("demo/big", oci.sha256(data))


def test_a_refusal_ends_the_session(davit, small, to):
    ref = stored(davit, small, "web", to)
    to.fault("upload", Error(403, "DENIED", "too much"), method="PUT")
    davit.fails(4, *FAST, "push", ref)
    assert to.of("upload", method="DELETE")


# ---- an index that the registry has without its images -------------------------------------------


@pytest.fixture
def sparse(davit, images, to):
    """An index at a registry that takes it, of which only the image of arm64 was sent; the store has all of it now."""
    ref = f"{to.host}/demo/multi:1.0"
    to.check_manifests = False
    with FaultyRegistry() as source:
        source.add_image(images, "multi", "demo/multi:1.0")
        davit("pull", "-q", "--platform", "linux/arm64", f"{source.host}/demo/multi:1.0")
        davit("tag", f"{source.host}/demo/multi:1.0", ref)
        davit(*FAST, "push", "-q", "--sparse", ref)
        davit("pull", "-q", "--all-platforms", f"{source.host}/demo/multi:1.0")
    return ref


def children(images):
    return {child["digest"] for child in images.json(images.tags()["multi"]["digest"])["manifests"]}


def test_a_push_sends_what_a_sparse_one_left_out(davit, images, to, sparse):
    assert not all(("demo/multi", child) in to.manifests for child in children(images))
    davit(*FAST, "push", sparse)
    assert all(("demo/multi", child) in to.manifests for child in children(images))
    for child in children(images):
        image = oci.Image(images, child)
        assert to.manifests[("demo/multi", child)][0] == image.bytes
        for digest in image.sizes:
            assert to.holds("demo/multi", digest) and bytes(to.blobs[digest]) == image.blob(digest)


def test_an_unchanged_index_costs_one_request_for_each_image(davit, images, to, sparse):
    davit(*FAST, "push", "-q", sparse)
    to.clear()
    again = davit(*FAST, "--progress", "plain", "push", sparse)
    assert any("Layer already exists" in line for line in again.messages)
    assert {r.method for r in to.requests} == {"HEAD"}
    assert sorted(r.ref for r in to.of("manifest")) == sorted({"1.0"} | children(images))


def test_a_sparse_push_again_asks_only_for_what_it_sends(davit, images, to):
    ref = f"{to.host}/demo/multi:1.0"
    to.check_manifests = False
    with FaultyRegistry() as source:
        source.add_image(images, "multi", "demo/multi:1.0")
        davit("pull", "-q", "--platform", "linux/arm64", f"{source.host}/demo/multi:1.0")
        davit("tag", f"{source.host}/demo/multi:1.0", ref)
    davit(*FAST, "push", "-q", "--sparse", ref)
    to.clear()
    davit(*FAST, "push", "-q", "--sparse", ref)
    assert [r.method for r in to.requests] == ["HEAD", "HEAD"]


def test_a_registry_that_says_nothing_of_images_by_digest_gets_them_again(davit, images, to, sparse):
    davit(*FAST, "push", "-q", sparse)
    for child in children(images):
        to.fault("manifest", Error(403, "DENIED", "not by digest"), method="HEAD", digest=child)
    to.requests.clear()
    davit(*FAST, "push", "-q", sparse)
    assert {r.ref for r in to.of("manifest", method="PUT")} == {"1.0"} | children(images)


def test_all_platforms_are_all_or_nothing(davit, images, to):
    ref = f"{to.host}/demo/multi:1.0"
    with FaultyRegistry() as source:
        source.add_image(images, "multi", "demo/multi:1.0")
        davit("pull", "-q", "--platform", "linux/arm64", f"{source.host}/demo/multi:1.0")
        davit("tag", f"{source.host}/demo/multi:1.0", ref)
        failed = davit.fails(3, *FAST, "push", "--all-platforms", ref)
        assert "linux/amd64" in failed.error and "pull it with all platforms" in failed.error
        assert to.requests == []
        davit("pull", "-q", "--all-platforms", f"{source.host}/demo/multi:1.0")
    davit(*FAST, "push", "--all-platforms", ref)
    assert all(("demo/multi", child) in to.manifests for child in children(images))
    for other in ("--sparse", "--platform=linux/arm64"):
        assert "exclude each other" in davit.fails(2, "push", "--all-platforms", other, ref).error


# ---- slow links ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_over_a_slow_link_what_is_taken_counts(davit, tmp_path, authority, tls):
    """The 128 KiB that libcurl reads at once, and as much in the kernel, take longer than any limit; no byte does."""
    layout = oci.Layout.create(tmp_path / "layout")
    data = oci.noise("slow", 300 << 10)
    layout.tag("x", layout.add_image([(layout.add_blob(data, oci.OCI_LAYER), oci.sha256(data))]))
    with FaultyRegistry(authority if tls else None, window=8 << 10) as to:
        to.fault("upload", SlowTake(90e3 / SLOW), method="PUT")
        davit("--stall-timeout", SLOW, "--first-byte-timeout", SLOW, "copy", f"oci:{layout.path}:x",
              f"{to.host}/demo/slow:1.0", timeout=60)
        assert to.received(oci.sha256(data)) == len(data)
        assert len(to.of("upload", method="PUT")) == 2


def test_a_manifest_that_is_not_answered_has_a_limit(davit, small, to, authority, tmp_path):
    """Over HTTP/2, whose frames nobody sees: what was sent is known all the same."""
    ref = stored(davit, small, "web", to)
    to.fault("manifest", StallHead(), method="PUT")
    limit = 0.5 * SLOW
    with Nginx(tmp_path, to.host, authority, extra="client_max_body_size 0; proxy_request_buffering off;") as nginx:
        davit("tag", ref, f"{nginx.host}/demo/web:1.0")
        failed = davit.fails(6, "--retry-delay", 0.05, "--stall-timeout", 5 * SLOW,
                             "--first-byte-timeout", limit, "push", f"{nginx.host}/demo/web:1.0")
        assert f"no answer within {limit:g} s" in failed.error
        assert {a.protocol for a in nginx.accesses() if a.method == "PUT" and "/manifests/" in a.uri} == {"HTTP/2.0"}


# ---- the end of patience -------------------------------------------------------------------------


def test_a_wrong_digest_back_is_no_success(davit, small, to):
    ref = stored(davit, small, "web", to)
    to.fault("manifest", Header("Docker-Content-Digest", "sha256:" + 64 * "a"), method="PUT")
    failed = davit.fails(5, *FAST, "push", ref)
    assert "a" * 64 in failed.error or to.image.digest in failed.error


@pytest.mark.parametrize("step", ["open", "put", "manifest"])
def test_a_registry_that_never_recovers(davit, small, to, step):
    kind, method = STEPS[step]
    ref = stored(davit, small, "web", to)
    to.fault(kind, Unavailable(), method=method)
    failed = davit.fails(6, *FAST, "push", ref)
    assert "503" in failed.error
    assert_not_tagged(to)


def test_a_long_retry_after_is_not_waited_for(davit, small, to):
    ref = stored(davit, small, "web", to)
    to.fault("upload", TooMany(retry_after=3600))
    started = time.monotonic()
    failed = davit.fails(6, *FAST, "push", ref)
    assert time.monotonic() - started < 10
    assert "the registry asks to wait 3600 s" in failed.error


def test_who_is_denied_is_told_in_the_registrys_words(davit, small, to):
    ref = stored(davit, small, "web", to)
    to.fault("upload", Error(403, "DENIED", "this is not for you"))
    failed = davit.fails(4, *FAST, "push", ref)
    assert "denied: this is not for you" in failed.error
    assert len(to.of("upload")) <= 2 * len(to.image.sizes)
    assert_not_tagged(to)


def test_a_retry_is_shown(davit, small, to):
    ref = stored(davit, small, "web", to)
    to.fault("upload", Status(503), method="PUT", nth=1, times=3)
    lines = davit("--retry-delay", "0.4", "--progress", "plain", "push", ref).messages
    assert any("Retrying in 1 second" in line for line in lines)


# ---- cut short -----------------------------------------------------------------------------------


def test_ctrl_c_ends_within_a_second_and_the_next_push_goes_on(davit, small, to):
    ref = stored(davit, small, "large", to)
    to.fault("upload", SlowTake(20e6), method="PATCH")
    run = davit.start(*FAST, "push", ref)
    to.wait_received(12 * MIB)
    started = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait().code == 130
    assert time.monotonic() - started < 1.5
    to.wait(lambda: all(r.ended for r in to.requests))        # what was on its way is taken
    to.faults.clear()
    davit(*FAST, "push", ref)
    assert_arrived(to, ref)
    assert to.received(to.image.layers[0]) - to.image.sizes[to.image.layers[0]] < 4 * MIB


@pytest.mark.parametrize("point", [5 * MIB, 21 * MIB])
def test_a_push_right_behind_a_killed_one_arrives(davit, small, to, point):
    """What the dead one sent still comes in while the next asks where it was."""
    ref = stored(davit, small, "large", to)
    to.fault("upload", SlowTake(20e6), method="PATCH")
    run = davit.start(*FAST, "push", ref)
    to.wait_received(point)
    run.kill()
    to.faults.clear()
    davit(*FAST, "push", ref)
    assert_arrived(to, ref)


def test_kill_9_at_50_points_sends_less_than_16_mib_again(davit, small):
    rng, kills, rounds = random.Random(20240612), 0, 0
    while kills < 50:
        rounds += 1
        assert rounds < 60, f"only {kills} kills hit a running push"
        with FaultyRegistry() as to:
            ref = stored(davit, small, "large", to)
            to.fault("upload", SlowTake(150e6), method="PATCH")
            total = sum(to.image.sizes.values())
            hits = 0
            for point in sorted(rng.randrange(0, total) for _ in range(6)):
                run = davit.start(*FAST, "push", "-q", ref)
                with to.changed:
                    while to.upload_bytes < point and run.alive:
                        to.changed.wait(0.01)
                time.sleep(rng.choice([0, 0, 0.003]))
                hits += run.alive
                run.kill()
                to.wait(lambda: all(r.ended for r in to.requests))
            to.faults.clear()
            davit(*FAST, "push", ref)
            assert_arrived(to, ref)
            for digest, size in to.image.sizes.items():
                assert to.received(digest) - size < hits * 16 * MIB
            layer = to.image.layers[0]
            again = to.received(layer) - to.image.sizes[layer]
            assert again < max(hits, 1) * MIB, f"{again} bytes sent again after {hits} kills"
            kills += hits
