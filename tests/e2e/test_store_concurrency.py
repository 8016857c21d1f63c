"""Many processes at one store, kill -9 anywhere in rmi, prune and tag, and disks that fail: no live blob is ever lost.

$DAVIT_STRESS_SECONDS: how long the processes work on one store (20)."""
import collections
import os
import random
import shutil
import subprocess
import threading
import time

import pytest

from support import oci
from support.davit import ASAN, FAST, SLOW, Davit
from support.faulty_registry import FaultyRegistry

NAMES = [f"image{i}" for i in range(6)]
PROCESSES = 16
KILLS = 100


class Images:
    """Small ones: each has the common base, a layer of its own, and one that it shares with its neighbour."""

    def __init__(self, path, registry):
        self.layout, self.registry = oci.Layout.create(path), registry
        base = oci.noise_layer("base", 20000)
        for i, name in enumerate(NAMES):
            self.layout.tag(name, self.layout.add_image(
                [base, oci.noise_layer(f"pair{i // 2}", 5000), oci.noise_layer(name, 3000)]))
            registry.add_image(self.layout, name, f"demo/{name}:1.0")

    def ref(self, name):
        return f"{self.registry.host}/demo/{name}:1.0"

    def id(self, name):
        return self.layout.json(self.layout.image(name).digest)["config"]["digest"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    with FaultyRegistry() as registry:
        yield Images(tmp_path_factory.mktemp("images") / "layout", registry)


@pytest.fixture(scope="module")
def template(tmp_path_factory, images):
    """A store with all images and a dangling one, that nobody uses."""
    davit = Davit(tmp_path_factory.mktemp("template"))
    for name in NAMES:
        davit(*FAST, "pull", images.ref(name))
    davit("tag", images.ref("image0"), "extra:1")
    davit("tag", images.ref("image1"), "extra:2")
    davit("tag", images.ref("image1"), images.ref("image5"))
    return davit.store.path


@pytest.fixture
def fresh(davit, template):
    """Gives the store of the template anew."""
    def give():
        shutil.rmtree(davit.store.path, ignore_errors=True)
        shutil.copytree(template, davit.store.path, symlinks=True)
        return davit
    return give


def damage(davit):
    report = davit.run("fsck", "--full", "--json").json
    return [found for found in report["Findings"] if found["Damage"]]


# ---- kill -9 -------------------------------------------------------------------------------------


def commands(images):
    """Each with the exit statuses of a second run behind one that was cut short."""
    return [
        (["rmi", images.ref("image2")], {0, 3}),
        (["rmi", images.ref("image1"), images.ref("image3"), "extra:2"], {0, 3}),
        (["rmi", "-f", images.id("image1")], {0}),
        (["prune"], {0}),
        (["prune", "-a"], {0}),
        (["tag", images.ref("image3"), "new:1"], {0}),
        (["tag", images.ref("image3"), "extra:1"], {0}),
        (["fsck", "--repair", "--full"], {0}),
    ]


def tidy(davit):
    """What is left is whole, prune leaves nothing that is not needed, and all can be pulled again."""
    assert damage(davit) == []
    davit("prune")
    assert davit.store.wrong_blobs() == [] and davit.store.ingests() == []
    assert davit("fsck", "--json").json["Findings"] == []
    for image in davit("images", "--json").json:
        davit("history", image["Id"])


def test_kill_9_at_100_random_points(fresh, images):
    rng, kills, rounds = random.Random(4711), 0, 0
    plan = commands(images)
    took = {}
    while kills < KILLS:
        rounds += 1
        assert rounds < 4 * KILLS, f"only {kills} kills hit a running command"
        words, statuses = plan[rounds % len(plan)]
        davit = fresh()
        started = time.monotonic()
        run = davit.start(*words)
        key = tuple(words)
        if key not in took:
            assert run.wait().code in statuses
            took[key] = time.monotonic() - started
            continue
        time.sleep(rng.uniform(0, took[key]))
        hit = run.alive
        run.kill()
        kills += hit
        took[key] *= 1.1 if hit else 0.7  # how long it takes depends on what else this machine does
        assert damage(davit) == [], words
        again = davit.run(*words)
        assert again.code in statuses, str(again)
        if rounds % 5 == 0:
            tidy(davit)


@pytest.fixture(scope="module")
def strace():
    works = shutil.which("strace") and subprocess.run(["strace", "-o", "/dev/null", "true"],
                                                      stderr=subprocess.DEVNULL).returncode == 0
    if ASAN or not works:
        pytest.skip("no strace here")


def inject(davit, call, what, when, *words):
    davit.prefix = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                    f"inject={call}:{what}:when={when}"]
    try:
        return davit.run(*words)
    finally:
        davit.prefix = []


@pytest.mark.parametrize("call", ["unlinkat", "pwrite64", "fdatasync", "renameat"])
def test_kill_9_at_each_call_that_changes_something(fresh, images, strace, call):
    for words, statuses in commands(images):
        for when in (1, 2, 3, 5, 9):
            davit = fresh()
            result = inject(davit, call, "signal=KILL", when, *words)
            if result.code == 0:
                break           # it makes fewer of them
            assert damage(davit) == [], f"{call} {when}: {words}"
            again = davit.run(*words)
            assert again.code in statuses, str(again)


@pytest.mark.parametrize("call, error", [
    *[(call, error) for call in ("unlinkat", "pwrite64", "fdatasync", "ftruncate", "openat", "getdents64")
      for error in ("ENOSPC", "EIO")], ("openat", "EMFILE")])
def test_a_call_that_fails_is_one_line_and_no_damage(fresh, images, strace, call, error):
    first = 12 if call == "openat" else 1       # before that it is the loader
    for words, statuses in commands(images):
        for when in (first, first + 1, first + 3, first + 7):
            davit = fresh()
            result = inject(davit, call, f"error={error}", when, *words)
            assert result.code in {0, 1, 5, 7, 127}, str(result)
            assert len(result.errors) <= 1, str(result)
            assert damage(davit) == [], f"{call} {when}: {words}: {result}"
            again = davit.run(*words)
            assert again.code in statuses, str(again)


# ---- at once -------------------------------------------------------------------------------------


class Worker(threading.Thread):
    """One process after the other, each doing something to the common store."""

    def __init__(self, davit, images, number, end):
        super().__init__()
        self.davit, self.images, self.end = davit, images, end
        self.rng = random.Random(number)
        self.failures, self.counts = [], collections.Counter()

    def choose(self):
        rng, name = self.rng, self.rng.choice(NAMES)
        ref = self.images.ref(name)
        own = f"own{rng.randrange(4)}:{rng.randrange(3)}"
        return rng.choices([
            ([*FAST, "pull", "-q", ref], {0}),
            (["tag", ref, own], {0, 3}),
            (["rmi", ref], {0, 3}),
            (["rmi", own], {0, 3}),
            (["rmi", self.images.id(name)[7:19]], {0, 1, 3}),
            (["rmi", "-f", self.images.id(name)], {0}),
            (["prune"], {0}),
            (["prune", "-a"], {0}),
            (["fsck", "--full", *(["--repair"] if rng.random() < 0.5 else [])], {0}),
            (["images"], {0}),
            (["df"], {0}),
        ], weights=[40, 10, 10, 8, 5, 3, 8, 2, 4, 3, 3])[0]

    def run(self):
        while time.monotonic() < self.end:
            words, statuses = self.choose()
            try:
                result = self.davit.run(*words, timeout=60)
            except AssertionError as error:
                self.failures.append(str(error))
                return
            self.counts[f"{[w for w in words if w[0].isalpha()][0]} {result.code}"] += 1
            no_store_yet = words[0] == "fsck" and b"no store at" in result.err
            conflict = b"conflict: unable to delete" in result.err
            if result.code not in statuses and not no_store_yet or (result.code == 1 and not conflict):
                self.failures.append(str(result))


def test_16_processes_at_one_store_lose_nothing(davit, images):
    seconds = float(os.environ.get("DAVIT_STRESS_SECONDS", "20"))
    end = time.monotonic() + seconds
    workers = [Worker(davit, images, i, end) for i in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    failures = [failure for worker in workers for failure in worker.failures]
    assert failures == [], "\n".join(failures[:5])
    counts = sum((worker.counts for worker in workers), collections.Counter())
    print(dict(counts))
    assert counts["pull 0"] >= 16 / SLOW
    assert damage(davit) == []
    for name in NAMES:
        davit(*FAST, "pull", images.ref(name))
    davit("prune")
    blobs = set().union(*(images.layout.image(name).blobs for name in NAMES))
    assert davit.store.blobs() >= blobs
    report = davit("fsck", "--full", "--json").json
    assert report["Findings"] == [] and report["Images"] == len(NAMES)
    davit("prune", "-a")
    davit.store.assert_exactly(set())
