"""Files of artifacts on the wire: several at once within the limits, and whole whatever happens to one of them. The scripted registry
counts."""
import hashlib
import json
import os
import signal
import time

import pytest

from support import oci
from support.davit import FAST, SLOW, assert_rss
from support.faults import (Action, Corrupt, Cut, CutUpload, Error, Pace, RangeIgnored, Reset, SlowTake, StallHead, TooMany,
                            Unavailable)
from support.faulty_registry import Bearer, FaultyRegistry

MIB = 1 << 20
TITLE = "org.opencontainers.image.title"
EMPTY = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.fixture
def registry():
    with FaultyRegistry() as registry:
        yield registry


def noise(name, size):
    data = b"".join(hashlib.sha256(b"%s %d" % (name.encode(), i)).digest() for i in range(size // 32 + 1))
    return data[:size]


def make_files(folder, sizes, prefix="f"):
    """Files of noise by name: {name: bytes}."""
    folder.mkdir(exist_ok=True)
    found = {f"{prefix}{i}": noise(f"{prefix}{i}", size) for i, size in enumerate(sizes)}
    for name, data in found.items():
        (folder / name).write_bytes(data)
    return found


def push(davit, registry, tmp_path, files, *flags, **how):
    return davit(*FAST, *flags, "artifact", "push", f"{registry.host}/demo/files:1", *files, cwd=tmp_path / "in", **how)


def add(registry, files, tag="1"):
    """These files as an artifact that is there already."""
    layers = [{"mediaType": "application/octet-stream", "digest": registry.add_blob(data), "size": len(data),
               "annotations": {TITLE: name}} for name, data in files.items()]
    registry.add_blob(b"{}")
    document = {"schemaVersion": 2, "mediaType": oci.OCI_MANIFEST, "artifactType": "a/b",
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": EMPTY, "size": 2}, "layers": layers}
    registry.add_manifest("demo/files", oci.dumps(document), oci.OCI_MANIFEST, tag)
    return f"{registry.host}/demo/files:{tag}"


def contents(folder):
    return {name: (folder / name).read_bytes() for name in os.listdir(folder)}


# ---- push ----------------------------------------------------------------------------------------


def test_several_files_go_up_at_once(davit, registry, tmp_path):
    files = make_files(tmp_path / "in", [2 * MIB] * 7)
    registry.fault("upload", SlowTake(6e6 / SLOW), method="PUT")
    push(davit, registry, tmp_path, files)
    puts = [r for r in registry.of("upload", method="PUT") if r.received > MIB]
    assert 3 <= at_once(puts) <= 5
    assert all(registry.blobs[oci.sha256(data)] == data for data in files.values())


def test_no_store_is_made_to_remember_uploads_in(davit, registry, tmp_path):
    push(davit, registry, tmp_path, make_files(tmp_path / "in", [17 * MIB]))
    assert not davit.store.path.exists()


def at_once(requests):
    count = most = 0
    for _, step in sorted(e for r in requests for e in ((r.started, 1), (r.ended, -1))):
        count += step
        most = max(most, count)
    return most


def test_a_given_number_of_uploads_is_a_hard_limit(davit, registry, tmp_path):
    files = make_files(tmp_path / "in", [MIB] * 3 + [1000] * 5)
    registry.fault("upload", SlowTake(20e6), method="PUT")
    push(davit, registry, tmp_path, files, "--max-concurrent-uploads", "2")
    assert at_once(registry.of("upload", method="PUT")) <= 2


def test_the_manifest_is_the_same_whatever_came_first(davit, registry, tmp_path):
    files = make_files(tmp_path / "in", [10, 3 * MIB, 0, 100000])
    first = push(davit, registry, tmp_path, files).text
    document = json.loads(registry.manifests[("demo/files", "1")][0])
    assert [(one["annotations"][TITLE], one["digest"], one["size"]) for one in document["layers"]] == \
        [(name, oci.sha256(data), len(data)) for name, data in files.items()]
    sent = registry.received()
    assert push(davit, registry, tmp_path, files).text == first
    assert registry.received() == sent, "what is there is not sent again"
    [*_, last] = [r for r in registry.requests if r.method == "PUT"]
    assert last.kind == "manifest"


def test_files_with_the_same_bytes_are_sent_once(davit, registry, tmp_path):
    make_files(tmp_path / "in", [MIB])
    (tmp_path / "in" / "same").write_bytes((tmp_path / "in" / "f0").read_bytes())
    (tmp_path / "in" / "empty.json").write_bytes(b"{}")
    push(davit, registry, tmp_path, ["f0", "same", "empty.json"])
    assert registry.received() == MIB + 2
    assert len(json.loads(registry.manifests[("demo/files", "1")][0])["layers"]) == 3


PUSH_FAULTS = {
    "put-503": (Unavailable(), dict(method="PUT", nth=2)),
    "put-429": (TooMany(0), dict(method="PUT", nth=2)),
    "put-cut": (CutUpload(MIB), dict(method="PUT", nth=2)),
    "put-answer-lost": (Reset(), dict(method="PUT", nth=2)),
    "post-503": (Unavailable(), dict(method="POST", nth=3)),
    "post-reset": (Reset(), dict(method="POST", nth=3)),
}


@pytest.mark.parametrize("name", PUSH_FAULTS)
def test_what_happens_to_one_upload_leaves_the_others_alone(davit, registry, tmp_path, name):
    action, which = PUSH_FAULTS[name]
    files = make_files(tmp_path / "in", [3 * MIB, 2 * MIB, 2 * MIB, 1000])
    registry.fault("upload", action, **which)
    push(davit, registry, tmp_path, files)
    assert all(registry.blobs[oci.sha256(data)] == data for data in files.values())
    assert registry.received() <= 7 * MIB + 1002 + 3 * MIB, registry.log_tail()


def test_one_upload_that_is_refused_names_its_file(davit, registry, tmp_path):
    files = make_files(tmp_path / "in", [1000, 2 * MIB])
    registry.add_blob(b"{}")
    registry.fault("upload", Error(403, "DENIED", "not you"), method="PUT")
    result = davit.fails(4, *FAST, "artifact", "push", f"{registry.host}/demo/files:1", *files, cwd=tmp_path / "in")
    assert "denied: not you" in result.error and ("f0: blob" in result.error or "f1: blob" in result.error)
    assert ("demo/files", "1") not in registry.manifests


def test_a_large_file_is_gone_on_with_by_the_next_run(davit, registry, tmp_path, small):
    files = make_files(tmp_path / "in", [20 * MIB, 1000])
    with FaultyRegistry() as other:
        other.add_image(small, "web", "demo/web:1.0")
        davit("pull", f"{other.host}/demo/web:1.0")         # makes the store
    registry.fault("upload", SlowTake(20e6), method="PATCH")
    run = davit.start(*FAST, "artifact", "push", f"{registry.host}/demo/files:1", *files, cwd=tmp_path / "in")
    registry.wait_received(12 * MIB)
    started = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait(5).code == 130
    assert time.monotonic() - started < 1.0 * SLOW
    assert ("demo/files", "1") not in registry.manifests
    registry.wait(lambda: all(r.ended for r in registry.requests))      # what was on its way is taken
    registry.faults.clear()
    push(davit, registry, tmp_path, files)
    assert registry.received() < 24 * MIB, registry.log_tail()
    assert all(registry.blobs[oci.sha256(data)] == data for data in files.values())


def test_a_large_blob_put_is_gone_on_with_by_the_next_run(davit, registry, tmp_path, small):
    [(name, data)] = make_files(tmp_path / "in", [20 * MIB]).items()
    put = (*FAST, "blob", "put", tmp_path / "in" / name, f"{registry.host}/demo/files")
    with FaultyRegistry() as other:
        other.add_image(small, "web", "demo/web:1.0")
        davit("pull", f"{other.host}/demo/web:1.0")         # makes the store
    registry.fault("upload", SlowTake(20e6), method="PATCH")
    run = davit.start(*put)
    registry.wait_received(12 * MIB)
    run.kill()
    registry.wait(lambda: all(r.ended for r in registry.requests))
    registry.faults.clear()
    assert davit(*put).text.strip() == oci.sha256(data)
    assert registry.received() < 24 * MIB, registry.log_tail()
    assert registry.blobs[oci.sha256(data)] == data


def test_progress_of_a_push(davit, registry, tmp_path):
    files = make_files(tmp_path / "in", [2 * MIB, 1000])
    result = push(davit, registry, tmp_path, files, "--progress", "json")
    events = [json.loads(line) for line in result.messages]
    for data in files.values():
        own = [e["status"] for e in events if e.get("id") == oci.sha256(data)[7:19]]
        assert own[-1] == "Pushed"


# ---- pull ----------------------------------------------------------------------------------------


def pull(davit, registry, tmp_path, ref, *flags, **how):
    return davit(*FAST, *flags, "artifact", "pull", "-o", tmp_path / "out", ref, **how)


def test_several_files_come_down_at_once(davit, registry, tmp_path):
    files = {f"large{i}": noise(f"large{i}", 2 * MIB) for i in range(5)}
    ref = add(registry, files)
    registry.fault("blob", Pace(8e6))
    result = pull(davit, registry, tmp_path, ref)
    assert contents(tmp_path / "out") == files and result.lines == list(files)
    assert registry.peak() == 3


def test_small_files_come_sixteen_at_once(davit, registry, tmp_path):
    files = {f"d{i % 3}/small{i}": noise(f"small{i}", 50000) for i in range(40)}
    ref = add(registry, files)
    registry.fault("blob", Pace(250e3))
    result = pull(davit, registry, tmp_path, ref)
    assert result.lines == list(files)
    assert all((tmp_path / "out" / name).read_bytes() == data for name, data in files.items())
    assert 8 <= registry.peak() <= 16


def test_a_given_number_of_downloads_is_a_hard_limit(davit, registry, tmp_path):
    files = {f"f{i}": noise(f"f{i}", 1500000 if i % 2 else 30000) for i in range(10)}
    ref = add(registry, files)
    registry.fault("blob", Pace(8e6))
    pull(davit, registry, tmp_path, ref, "--max-concurrent-downloads", "2")
    assert contents(tmp_path / "out") == files
    assert registry.peak() == 2


PULL_FAULTS = {
    "503": [(Unavailable(), dict(nth=1))],
    "429": [(TooMany(0), dict(nth=1))],
    "reset": [(Reset(), dict(nth=1))],
    "stall": [(StallHead(60), dict(nth=1))],
    "cut": [(Cut(MIB), dict(nth=1))],
    "cut-without-ranges": [(Cut(MIB), dict(nth=1)), (RangeIgnored(), {})],
}


@pytest.mark.parametrize("name", PULL_FAULTS)
def test_what_happens_to_one_download_leaves_the_others_alone(davit, registry, tmp_path, name):
    files = {"a": noise("a", 2 * MIB), "b": noise("b", 3 * MIB), "c/d": noise("c", 1000)}
    ref, spoilt = add(registry, files), oci.sha256(files["b"])
    for action, which in PULL_FAULTS[name]:
        registry.fault("blob", action, digest=spoilt, **which)
    result = pull(davit, registry, tmp_path, ref)
    assert result.lines == list(files)
    assert all((tmp_path / "out" / path).read_bytes() == data for path, data in files.items())
    assert [len(registry.gets(oci.sha256(files[path]))) for path in ("a", "c/d")] == [1, 1]
    again = registry.gets(spoilt)[1:]
    assert len(again) >= 1
    if name == "cut":
        assert again[0].range[0] > 0, "what was there is not asked for again"


class Behind(Action):
    """Not before a file is there."""
    def __init__(self, path):
        self.path = path

    def before(self, request):
        until = time.monotonic() + 10
        while not self.path.exists() and time.monotonic() < until:
            time.sleep(0.01)


@pytest.mark.parametrize("action,code,words", [
    (Corrupt(1000), 5, "verification failed"),
    (Error(404, "BLOB_UNKNOWN", "blob unknown to registry"), 3, "unknown blob"),
    (Error(403, "DENIED", "not you"), 4, "denied"),
], ids=["corrupt", "absent", "denied"])
def test_one_that_is_wrong_has_no_name_and_ends_the_others(davit, registry, tmp_path, action, code, words):
    """threat B6. What was right before stays, and nothing of ours does."""
    files = {"first": b"first", "b": noise("b", 2 * MIB), "slow": noise("slow", 3 * MIB)}
    ref = add(registry, files)
    registry.fault("blob", Pace(1e6), digest=oci.sha256(files["slow"]))
    registry.fault("blob", Behind(tmp_path / "out/first"), digest=oci.sha256(files["b"]))
    registry.fault("blob", action, digest=oci.sha256(files["b"]))
    started = time.monotonic()
    result = davit.fails(code, *FAST, "artifact", "pull", "-o", tmp_path / "out", ref)
    assert words in result.error and ": b: " in result.error, str(result)
    assert time.monotonic() - started < 2.5 * SLOW, "the slow one is not waited for"
    assert contents(tmp_path / "out") == {"first": b"first"} and result.lines == ["first"]


def test_ctrl_c_ends_a_pull_of_files_within_a_second(davit, registry, tmp_path):
    files = {f"f{i}": noise(f"f{i}", 2 * MIB) for i in range(4)}
    ref = add(registry, files)
    registry.fault("blob", Pace(100e3))
    run = davit.start("artifact", "pull", "-o", tmp_path / "out", ref)
    registry.wait_sent(100000)
    started = time.monotonic()
    run.signal(signal.SIGINT)
    result = run.wait(5)
    assert result.code == 130, str(result)
    assert time.monotonic() - started < 1.0 * SLOW
    assert os.listdir(tmp_path / "out") == []


def test_one_token_does_for_all_files(davit, registry, tmp_path):
    files = {f"f{i}": noise(f"f{i}", 1000) for i in range(20)}
    ref = add(registry, files)
    registry.auth = Bearer()
    pull(davit, registry, tmp_path, ref)
    assert len(registry.of("token")) == 1


def test_what_a_mirror_lacks_the_next_has(davit, registry, tmp_path):
    """Of Docker Hub, which is not asked."""
    files = {f"f{i}": noise(f"f{i}", 3000) for i in range(6)}
    add(registry, files)
    with FaultyRegistry() as mirror:
        add(mirror, files)
        del mirror.blobs[oci.sha256(files["f3"])]
        result = davit(*FAST, "--registry-mirror", mirror.url, "--registry-mirror", registry.url,
                       "artifact", "pull", "-o", tmp_path / "out", "demo/files:1")
        assert mirror.gets(oci.sha256(files["f3"])) and len(mirror.of("manifest")) == 1
    assert contents(tmp_path / "out") == files and result.lines == list(files)
    assert registry.gets(oci.sha256(files["f3"])) and not registry.of("manifest")


def test_progress_of_a_pull(davit, registry, tmp_path):
    files = {"a": noise("a", 2 * MIB), "b": noise("b", 1000)}
    registry.fault("blob", Unavailable(), digest=oci.sha256(files["b"]), nth=1)
    registry.fault("blob", Pace(4e6), digest=oci.sha256(files["a"]))
    result = davit("--retry-delay", "0.5", "--progress", "json", "artifact", "pull", "-o", tmp_path / "out",
                   add(registry, files))
    seen = {name: [e["status"] for e in map(json.loads, result.messages) if e.get("id") == oci.sha256(data)[7:19]]
            for name, data in files.items()}
    assert seen["a"][0] == "Downloading" and seen["a"][-1] == "Download complete"
    assert seen["b"] == ["Retrying in 1 second", "Download complete"]


def test_memory_does_not_depend_on_the_size_of_the_files(davit, registry, tmp_path):
    files = {f"f{i}": noise(f"f{i}", 300000) for i in range(30)} | {f"g{i}": noise(f"g{i}", 12 * MIB) for i in range(4)}
    ref = add(registry, files)
    result = davit.measured("artifact", "pull", "-o", tmp_path / "out", ref)
    assert result.code == 0, str(result)
    assert_rss(result, 32)
    result = davit.measured("artifact", "push", f"{registry.host}/demo/again:1", *[tmp_path / "out" / name for name in files])
    assert result.code == 0, str(result)
    assert_rss(result, 32)
