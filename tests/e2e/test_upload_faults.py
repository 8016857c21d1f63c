"""How a blob gets to a registry that fails at each step of an upload: whole, with no more bytes sent again than the
failure costs, and no credentials where they do not belong. The scripted registry counts; docker-registry and nginx are the
real ones."""
import hashlib
import subprocess
import time

import pytest

from support import oci
from support.davit import FAST
from support.faults import (Answer, ChunkedRefused, Close, CutUpload, Error, Header, Location,
                            NoHeader, RangeStuck, Reset, SlowTake, StallHead, Status, TooLarge,
                            TooMany, Unavailable, Vanish)
from support.faulty_registry import Basic, Bearer, FaultyRegistry

MIB = 1 << 20
LARGE, SMALL = 20 * MIB, 3 * MIB


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    """Files of noise by size, with their digests."""
    found = {}
    for size in (LARGE, SMALL, 10, 0):
        path = tmp_path_factory.mktemp("blobs") / str(size)
        data = b"".join(hashlib.sha256(b"%d %d" % (size, i)).digest() for i in range(size // 32 + 1))
        path.write_bytes(data[:size])
        found[size] = path, oci.sha256(data[:size])
    return found


def put(davit, registry, blob, *flags):
    path, digest = blob
    result = davit(*FAST, *flags, "blob", "put", path, f"{registry.host}/demo/app")
    assert result.text.strip() == digest
    assert bytes(registry.blobs[digest]) == path.read_bytes()


# What is spoilt, the size of the blob, and how many bytes may come again because of it.
FAULTS = {
    "nothing": (LARGE, [], 0),
    "nothing-small": (SMALL, [], 0),
    "ten-bytes": (10, [], 0),
    "empty": (0, [], 0),
    "post-503": (SMALL, [(Unavailable(), dict(method="POST", nth=1))], 0),
    "post-429": (SMALL, [(TooMany(0), dict(method="POST", nth=1))], 0),
    "post-reset": (SMALL, [(Reset(), dict(method="POST", nth=1))], 0),
    "patch-503": (LARGE, [(Unavailable(), dict(method="PATCH", nth=2))], 0),
    "patch-429": (LARGE, [(TooMany(0), dict(method="PATCH", nth=2))], 0),
    "patch-cut": (LARGE, [(CutUpload(5000000), dict(method="PATCH", nth=2))], 0),
    # "0-0" is one byte and none: who believes it is none is told otherwise, and begins anew.
    "patch-cut-at-once": (LARGE, [(CutUpload(1), dict(method="PATCH", nth=1))], 1),
    "patch-answer-lost": (LARGE, [(Reset(), dict(method="PATCH", nth=2))], 0),
    "patch-answer-stalls": (LARGE, [(StallHead(60), dict(method="PATCH", nth=2))], 0),
    "patch-201": (LARGE, [(Answer(201), dict(method="PATCH"))], 0),
    "patch-405": (LARGE, [(Error(405), dict(method="PATCH"))], 0),
    "patch-400": (LARGE, [(Error(400), dict(method="PATCH"))], 0),
    "patch-without-range": (LARGE, [(NoHeader("Range"), dict(method="PATCH"))], 0),
    "range-stuck": (LARGE, [(RangeStuck(), {})], 0),
    "vanishes-in-a-patch": (LARGE, [(Vanish(), dict(method="PATCH", nth=2))], 8 * MIB),
    "vanishes-at-the-end": (LARGE, [(Vanish(), dict(method="PUT", nth=1))], LARGE),
    "vanishes-in-a-put": (SMALL, [(Vanish(), dict(method="PUT", nth=1))], 0),
    "put-503": (SMALL, [(Unavailable(), dict(method="PUT", nth=1))], 0),
    "put-cut": (SMALL, [(CutUpload(MIB), dict(method="PUT", nth=1))], MIB),
    "put-answer-lost": (SMALL, [(Close(), dict(method="PUT", nth=1))], 0),
    "last-put-answer-lost": (LARGE, [(Close(), dict(method="PUT", nth=1))], 0),
    "put-416": (LARGE, [(Error(416), dict(method="PUT", nth=1))], 0),
    "put-416-small": (SMALL, [(Error(416), dict(method="PUT", nth=1))], 0),
    "put-204": (SMALL, [(Answer(204), dict(method="PUT"))], 0),
    "413-over-5-mib": (LARGE, [(TooLarge(5 * MIB), {})], 0),
    "413-over-2-mib": (SMALL, [(TooLarge(2 * MIB), {})], 0),
    "no-chunks": (LARGE, [(ChunkedRefused(), {})], 0),
    "location-absolute": (LARGE, [(Location("absolute"), {})], 0),
    "location-relative": (LARGE, [(Location("path"), {})], 0),
}


@pytest.mark.parametrize("name", FAULTS)
def test_it_arrives_whole(davit, blobs, name):
    size, faults, again = FAULTS[name]
    with FaultyRegistry() as registry:
        for action, which in faults:
            registry.fault("upload", action, **which)
        put(davit, registry, blobs[size])
        assert registry.received() <= size + again, registry.log_tail()


def test_pieces_are_as_large_as_the_registry_asks(davit, blobs):
    with FaultyRegistry() as registry:
        registry.chunk_min = 12 * MIB
        put(davit, registry, blobs[LARGE])
        assert [r.received for r in registry.of("upload", method="PATCH")] == [12 * MIB, 8 * MIB]


def test_another_origin_gets_the_bytes_and_no_credentials(davit, blobs):
    """threat A5"""
    with FaultyRegistry() as registry:
        registry.auth = Basic({"alice": "s3cret"})
        davit.login(registry.host, "alice", "s3cret")
        registry.fault("upload", Location("second"), method="POST")
        put(davit, registry, blobs[LARGE])
        assert registry.of("upload", origin="second", method="PATCH")
        assert registry.secrets_seen("second") == []


def test_a_token_that_ends_in_the_middle_is_renewed(davit, blobs):
    with FaultyRegistry() as registry:
        registry.auth = Bearer(uses=2)
        put(davit, registry, blobs[LARGE])
        assert len(registry.of("token")) >= 3
        assert registry.received() == LARGE


REFUSED = {
    "denied": ([(Error(403, "DENIED", "not you"), dict(method="PUT"))], 4, "denied: not you"),
    "too-large": ([(TooLarge(1000), {})], 1, "client_max_body_size"),
    "other-bytes-stored": ([(Header("Docker-Content-Digest", "sha256:" + "0" * 64),
                             dict(method="PUT"))], 5, "the registry stored sha256:000"),
    "no-location": ([(NoHeader("Location"), dict(method="POST"))], None, "without a Location"),
    "away": ([(Unavailable(), {})], 6, "503"),
    "full": ([(Status(507), dict(method="PUT"))], 6, "507"),
    "in-an-hour": ([(TooMany(3600), dict(method="PUT"))], 6, "asks to wait 3600 s"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_one_clear_line(davit, blobs, name):
    faults, code, words = REFUSED[name]
    with FaultyRegistry() as registry:
        for action, which in faults:
            registry.fault("upload", action, **which)
        command = ("blob", "put", blobs[SMALL][0], f"{registry.host}/demo/app")
        result = davit.run(*FAST, *command) if code is None else davit.fails(code, *FAST, *command)
        assert result.code != 0 and words in result.errors[-1], str(result)
        assert "s3cret" not in result.err.decode(), "the URL of a session is a secret"


def test_a_slow_registry_is_not_a_silent_one(davit, blobs):
    """1.5 MB/s: the whole takes longer than any of the limits."""
    with FaultyRegistry() as registry:
        registry.fault("upload", SlowTake(1.5e6), method="PUT")
        begin = time.monotonic()
        put(davit, registry, blobs[SMALL])
        assert time.monotonic() - begin > 1.5


def test_docker_registry_has_the_same_bytes(davit, blobs, open_registry):
    for size in (LARGE, SMALL, 10, 0):
        path, digest = blobs[size]
        davit("blob", "put", path, f"{open_registry.host}/demo/uploads")
        got = subprocess.run(["curl", "-sf", f"http://{open_registry.host}/v2/demo/uploads/blobs/{digest}"],
                             check=True, capture_output=True).stdout
        assert oci.sha256(got) == digest
