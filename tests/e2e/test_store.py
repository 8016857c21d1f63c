"""The store as other processes, dead processes and other programs see it."""
import os
import re
import signal
import stat
import time

import pytest

from support import oci
from support.davit import FAST, SLOW, Store
from support.faults import Pace
from conftest import serve


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def plant(davit, digest, data, journal=None):
    """What a dead process may have left of a blob."""
    path = davit.store.ingest_path(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if journal is not None:
        path.with_name(path.name + ".journal").write_bytes(journal)


@pytest.fixture
def made(davit, faulty, images):
    """A store that has been used once."""
    faulty.add_image(images, "empty", "demo/empty:1.0")
    davit("pull", f"{faulty.host}/demo/empty:1.0")
    faulty.clear()
    davit.others = images.image("empty").blobs
    return davit


# ---- files and modes -----------------------------------------------------------------------------


def test_blobs_are_read_only_and_directories_private(davit, faulty):
    """threat D13"""
    usual = os.umask(0o022)
    try:
        davit("pull", faulty.ref)
    finally:
        os.umask(usual)
    for digest in faulty.image.blobs:
        assert mode(davit.store.blob_path(digest)) == 0o444
    for path in [davit.store.path, *(p for p in davit.store.path.rglob("*") if p.is_dir())]:
        assert mode(path) == 0o700, path
    for path in davit.store.path.glob("davit.db*"):
        assert mode(path) & 0o077 == 0, path


def test_a_store_is_made_where_it_is_asked_for(davit, faulty):
    path = davit.root / "some where" / "é" / "store"
    davit("--store", path, "pull", faulty.ref)
    Store(path).assert_exactly(faulty.image.blobs)
    assert not davit.store.path.exists()


def test_the_store_of_the_environment(davit, faulty):
    path = davit.root / "elsewhere"
    davit("pull", faulty.ref, store=path)
    Store(path).assert_exactly(faulty.image.blobs)


def test_asking_a_registry_makes_no_store(davit, faulty):
    davit("digest", faulty.ref)
    davit("manifest", faulty.ref)
    assert not davit.store.path.exists() or davit.store.blobs() == set()


def test_a_newer_store_is_refused_and_not_touched(davit, faulty):
    davit("pull", faulty.ref)
    lock = davit.store.path / "lock"
    version = re.sub(rb"\d+", b"9999", lock.read_bytes(), count=1)
    assert b"9999" in version
    lock.write_bytes(version)
    davit.fails({1, 7}, "images")
    davit.fails({1, 7}, *FAST, "pull", faulty.ref)
    assert lock.read_bytes() == version


def test_a_spoilt_database_is_one_clear_line(davit, faulty):
    davit("pull", faulty.ref)
    for path in davit.store.path.glob("davit.db*"):
        path.unlink()
    (davit.store.path / "davit.db").write_bytes(b"this is no database" * 1000)
    davit.fails(7, *FAST, "pull", faulty.ref)
    assert davit.store.blobs() == faulty.image.blobs


def test_a_blob_that_lost_bytes_is_not_shown(davit, faulty):
    """threat B8"""
    davit("pull", faulty.ref)
    path = davit.store.blob_path(faulty.image.digest)
    path.chmod(0o644)
    os.truncate(path, 100)
    result = davit.run("manifest", f"store:{faulty.ref}")
    assert result.code in (5, 7) and result.out == b"", str(result)


# ---- what a dead process leaves ------------------------------------------------------------------


def test_a_finished_prefix_is_continued(made, faulty):
    blob = faulty.image.blob(faulty.layer)
    plant(made, faulty.layer, blob[:1_000_000])
    made(*FAST, "pull", faulty.ref)
    [get] = faulty.gets(faulty.layer)
    assert get.range[0] == 1_000_000
    made.store.assert_exactly(faulty.image.blobs | made.others)


def test_a_whole_ingest_is_hashed_and_not_asked_for(made, faulty):
    plant(made, faulty.layer, faulty.image.blob(faulty.layer))
    made(*FAST, "pull", faulty.ref)
    assert sum(r.sent for r in faulty.gets(faulty.layer)) == 0
    made.store.assert_exactly(faulty.image.blobs | made.others)


@pytest.mark.parametrize("size", [0, 1, 700_000, 1_500_000, 4_000_000])
@pytest.mark.parametrize("journal", [
    None, b"", b"davit-journal 9999\n0 100\n", b"\xff\x00garbage" * 99],
    ids=["no-journal", "empty-journal", "newer-journal", "garbage-journal"])
def test_garbage_in_an_ingest_does_not_spoil_a_blob(made, faulty, size, journal):
    """threat B8"""
    plant(made, faulty.layer, oci.noise("garbage", size), journal)
    made(*FAST, "pull", faulty.ref)
    made.store.assert_exactly(faulty.image.blobs | made.others)


def test_an_ingest_and_a_journal_that_lie_do_not_spoil_a_large_blob(made, faulty, small):
    serve(faulty, small, "large")
    plant(made, faulty.layer, bytes(40 << 20), b"davit-journal 1\n0 41943039\n")
    made(*FAST, "pull", faulty.ref)
    made.store.assert_exactly(faulty.image.blobs | made.others)


# ---- many processes ------------------------------------------------------------------------------


def test_readers_do_not_wait_for_a_download(davit, faulty, images):
    faulty.add_image(images, "twice", "demo/twice:1.0")
    twice = f"{faulty.host}/demo/twice:1.0"
    davit("pull", twice)
    already = faulty.body_bytes
    faulty.fault("blob", Pace(200e3))
    run = davit.start("pull", faulty.ref)
    faulty.wait_sent(already + 100000)
    for command in (["images", "--json"], ["inspect", twice], ["manifest", f"store:{twice}"]):
        started = time.monotonic()
        davit(*command)
        assert time.monotonic() - started < 1.0 * SLOW
    assert run.alive
    run.kill()


def test_a_tag_is_not_visible_before_its_image_is_whole(davit, faulty):
    faulty.fault("blob", Pace(300e3))
    run = davit.start("pull", faulty.ref)
    while run.alive:
        listed = davit("images", "-q").text
        if listed:
            assert faulty.image.blobs <= davit.store.blobs()
        time.sleep(0.1)
    assert run.wait().code == 0
    assert davit("images", "-q").text


def test_two_processes_download_a_blob_once(davit, faulty):
    faulty.fault("blob", Pace(1e6))
    runs = [davit.start("pull", faulty.ref) for _ in range(2)]
    for run in runs:
        assert run.wait().code == 0
    for digest, size in faulty.image.sizes.items():
        assert faulty.sent(digest) == size
    davit.store.assert_exactly(faulty.image.blobs)


def test_eight_processes_at_once(davit, faulty, images):
    refs = []
    for tag in ("debian", "derived", "twice", "multi"):
        faulty.add_image(images, tag, f"demo/{tag}:1.0")
        refs += 2 * [f"{faulty.host}/demo/{tag}:1.0"]
    runs = [davit.start("pull", "--all-platforms", ref) for ref in refs]
    results = [run.wait(60) for run in runs]
    assert [r.code for r in results] == [0] * 8, "\n".join(str(r) for r in results if r.code)
    assert davit.store.ingests() == [] and davit.store.wrong_blobs() == []
    tags = [t for i in davit("images", "--json").json for t in i["RepoTags"]]
    assert set(tags) == set(refs)


def test_a_waiting_process_takes_over_when_the_owner_is_killed(davit, faulty):
    faulty.fault("blob", Pace(500e3), digest=faulty.layer)
    owner = davit.start(*FAST, "pull", faulty.ref)
    faulty.wait(lambda: faulty.sent(faulty.layer) > 300000)
    waiting = davit.start(*FAST, "pull", faulty.ref)
    time.sleep(0.5)
    assert len(faulty.gets(faulty.layer)) == 1
    owner.kill()
    assert waiting.wait().code == 0
    assert faulty.gets(faulty.layer)[-1].range[0] > 200000
    davit.store.assert_exactly(faulty.image.blobs)


def test_a_waiting_process_does_not_wait_for_an_owner_that_is_stuck(davit, faulty):
    """threat C9: after one stall limit it downloads for itself"""
    faulty.fault("blob", Pace(500e3), digest=faulty.layer, nth=1)
    owner = davit.start(*FAST, "--stall-timeout", "20", "pull", faulty.ref)
    faulty.wait(lambda: faulty.sent(faulty.layer) > 200000)
    owner.signal(signal.SIGSTOP)
    try:
        davit(*FAST, "pull", faulty.ref, timeout=20)
    finally:
        owner.signal(signal.SIGCONT)
    assert owner.wait().code == 0
    davit.store.assert_exactly(faulty.image.blobs)


def test_one_process_interrupted_leaves_the_other_alone(davit, faulty):
    faulty.fault("blob", Pace(700e3), digest=faulty.layer)
    runs = [davit.start(*FAST, "pull", faulty.ref) for _ in range(2)]
    faulty.wait(lambda: faulty.sent(faulty.layer) > 200000)
    runs[0].signal(signal.SIGINT)
    assert runs[0].wait(5).code == 130
    assert runs[1].wait().code == 0
    davit.store.assert_exactly(faulty.image.blobs)


def test_a_full_set_of_dead_leases_is_cleared(davit, faulty, images):
    faulty.add_image(images, "twice", "demo/twice:1.0")
    faulty.fault("blob", Pace(100e3), digest=faulty.layer)
    for _ in range(3):
        already = faulty.body_bytes
        run = davit.start(*FAST, "pull", faulty.ref)
        faulty.wait_sent(already + 20000)
        run.kill()
    faulty.clear()
    davit(*FAST, "pull", faulty.ref)
    davit.store.assert_exactly(faulty.image.blobs)


def test_a_closed_standard_output_does_not_end_a_pull_half_done(davit, faulty):
    read, write = os.pipe()
    os.close(read)
    run = davit.start("pull", faulty.ref, stdout=write)
    os.close(write)
    run.wait()
    davit("pull", faulty.ref)
    davit.store.assert_exactly(faulty.image.blobs)
