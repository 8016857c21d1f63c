"""kill -9 anywhere in a pull: the next pull goes on from there, and nothing is left lying about."""
import random
import time

import pytest

from conftest import serve
from support.davit import FAST
from support.faults import Pace

MIB = 1 << 20


def kill_at(davit, faulty, point, pause):
    """Starts a pull and kills it a moment after `point` bytes of blobs went out. False when it had
    ended by itself."""
    run = davit.start(*FAST, "pull", faulty.ref)
    deadline = time.monotonic() + 30
    with faulty.changed:
        while faulty.body_bytes < point and run.alive and time.monotonic() < deadline:
            faulty.changed.wait(0.01)
    time.sleep(pause)
    alive = run.alive
    run.kill()
    return alive


def interval(request, size):
    """The bytes of a blob that one request asked for."""
    first, last = request.range or (0, None)
    return first, size if last is None else min(last + 1, size)


def came(faulty, digest):
    """The bytes that went out, once every connection of a dead client is seen to be gone."""
    faulty.wait(lambda: all(r.ended for r in faulty.requests))
    size = faulty.image.sizes[digest]
    starts = [(interval(r, size)[0], r.sent) for r in faulty.gets(digest)
              if r.status in (200, 206)]
    return [(start, start + sent) for start, sent in starts if sent]


def overlap(ranges, covered):
    """How many bytes of `ranges` are in `covered`, which may overlap itself."""
    points = sorted({p for r in [*ranges, *covered] for p in r})
    return sum((b - a) * sum(r[0] <= a and b <= r[1] for r in ranges)
               for a, b in zip(points, points[1:])
               if any(c[0] <= a and b <= c[1] for c in covered))


class Chain:
    """Pulls of one image into one store, killed one after the other."""

    def __init__(self, davit, faulty, name, rate):
        self.davit, self.faulty, self.rate = davit, faulty, rate
        davit.store.path = davit.root / name
        davit.env["DAVIT_STORE"] = str(davit.store.path)
        self.covered = {digest: [] for digest in faulty.image.sizes}
        self.stored = set()

    def count(self):
        return sum(overlap([(0, self.faulty.image.sizes[d])], c) for d, c in self.covered.items())

    def kill(self, point, pause):
        """Kills a pull once `point` bytes of the image have come, all pulls counted."""
        self.faulty.clear()
        self.faulty.fault("blob", Pace(self.rate))
        hit = kill_at(self.davit, self.faulty, point - self.count(), pause)
        self._check()
        assert self.davit.store.wrong_blobs() == [], "a blob has its name only when it is right"
        self.stored = self.davit.store.blobs()
        return hit

    def end(self):
        self.faulty.clear()
        self.davit(*FAST, "pull", self.faulty.ref)
        self._check()
        self.davit.store.assert_exactly(self.faulty.image.blobs)

    def _check(self):
        for digest, size in self.faulty.image.sizes.items():
            asked = [interval(r, size) for r in self.faulty.gets(digest)]
            again = overlap(asked, self.covered[digest])
            assert again < MIB, f"{again} bytes of {digest} asked for again"
            assert not (asked and digest in self.stored), f"{digest} was there"
            self.covered[digest] += came(self.faulty, digest)


def test_kill_9_at_50_points_loses_less_than_a_mib_of_each_blob(davit, faulty, small):
    serve(faulty, small, "three")
    rng, total = random.Random(20240611), sum(faulty.image.sizes.values())
    kills = rounds = 0
    while kills < 50:
        rounds += 1
        assert rounds < 100, f"only {kills} kills hit a running pull"
        chain = Chain(davit, faulty, f"store-{rounds}", 12e6)
        points = [rng.randrange(0, total + total // 10) for _ in range(rng.randint(1, 4))]
        for point in sorted(points):
            kills += chain.kill(point, rng.choice([0, 0, 0.002, 0.02]))
        chain.end()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kill_9_loses_less_than_a_mib_of_a_blob_in_several_ranges(davit, faulty, small, seed):
    serve(faulty, small, "large")
    rng, size = random.Random(seed), faulty.image.sizes[faulty.layer]
    chain = Chain(davit, faulty, "store-ranges", 8e6)
    for point in sorted(rng.randrange(MIB, size) for _ in range(3)):
        chain.kill(point, rng.choice([0, 0.005]))
    chain.end()


def test_kill_9_between_two_images_keeps_the_first(davit, faulty, images):
    faulty.add_image(images, "twice", "demo/twice:1.0")
    first = f"{faulty.host}/demo/twice:1.0"
    davit("pull", first)
    faulty.fault("blob", Pace(500e3))
    kill_at(davit, faulty, faulty.body_bytes + 100000, 0)
    assert davit("digest", f"store:{first}").text.strip() == images.image("twice").digest
    assert [i["RepoTags"] for i in davit("images", "--json").json] == [[first]]


def test_another_image_can_be_pulled_after_a_kill(davit, faulty, images):
    """threat C10: a dead process holds no lock"""
    faulty.add_image(images, "twice", "demo/twice:1.0")
    faulty.fault("blob", Pace(500e3), digest=faulty.layer)
    kill_at(davit, faulty, 300000, 0)
    started = time.monotonic()
    davit("pull", f"{faulty.host}/demo/twice:1.0")
    assert time.monotonic() - started < 10
