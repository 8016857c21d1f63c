"""examples/own_store.c: an embedder pulls and pushes with stores of its own. skopeo is the judge of what arrived."""
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import serve
from support.davit import program
from support.faults import Corrupt, Pace
from support.registry import DockerRegistry

RSS = Path(__file__).resolve().parents[1] / "support" / "rss.py"
EXAMPLE = Path(os.path.realpath(program())).parents[2] / "examples" / "own_store"


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    with DockerRegistry(tmp_path_factory.mktemp("target")) as registry:
        yield registry


@pytest.fixture
def own(tmp_path):
    """The program, with a directory of its own and nobody's configuration."""
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}

    def run(*args, status=0, launcher=()):
        done = subprocess.run([*launcher, EXAMPLE, tmp_path / "own", *args], env=env, capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == status, done.stderr
        return done

    def peak_mib(*args):
        report = tmp_path / "rss"
        run(*args, launcher=(sys.executable, "-ISE", RSS, report))
        return int(report.read_text()) / 1024

    def start(*args):
        return subprocess.Popen([EXAMPLE, tmp_path / "own", *args], env=env, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    run.dir, run.peak_mib, run.start = tmp_path / "own", peak_mib, start
    return run


def blobs(own):
    found = {path.name: path for path in (own.dir / "blobs").iterdir()}
    for name, path in found.items():
        assert name == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@pytest.mark.parametrize("tag", ["debian", "twice", "tiny100"])
def test_what_it_pulls_is_the_image(own, open_registry, images, tag):
    image = images.image(tag)
    done = own("pull", f"{open_registry.host}/demo/{tag}:1.0")
    assert done.stdout == image.digest + "\n"
    have = blobs(own)
    assert have[image.digest].read_bytes() == image.bytes
    config = json.loads(image.bytes)["config"]["digest"]
    assert set(have) | {config} == image.blobs
    assert hashlib.sha256((own.dir / "images" / config).read_bytes()).hexdigest() == config[7:]
    assert "Pull complete" in done.stderr and not any((own.dir / "ingest").iterdir())


def test_pulled_again_one_question_is_asked(own, open_registry):
    ref = f"{open_registry.host}/demo/debian:1.0"
    own("pull", ref)
    mark = open_registry.mark()
    assert "Status: Image is up to date for" in own("pull", ref).stderr
    assert [a.method for a in open_registry.since(mark)] == ["HEAD"]


def test_what_it_pushes_is_what_it_pulled(own, open_registry, target, images, tmp_path):
    image = json.loads(images.image("debian").bytes)
    own("pull", f"{open_registry.host}/demo/debian:1.0")
    own("tag", f"{open_registry.host}/demo/debian:1.0", f"{target.host}/from/own:1.0")
    done = own("push", f"{target.host}/from/own:1.0")
    raw = target.inspect("from/own:1.0", "--raw")
    pushed = json.loads(raw)
    assert done.stdout == "sha256:" + hashlib.sha256(raw).hexdigest() + "\n"
    assert pushed["config"]["digest"] == image["config"]["digest"]
    assert [layer["digest"] for layer in pushed["layers"]] == [layer["digest"] for layer in image["layers"]]
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false",
                    f"docker://{target.host}/from/own:1.0", f"dir:{tmp_path / 'back'}"], check=True)
    for layer in image["layers"]:
        assert (tmp_path / "back" / layer["digest"][7:]).stat().st_size == layer["size"]


def test_another_repository_gets_the_layers_by_mounting(own, open_registry, target):
    own("pull", f"{open_registry.host}/demo/debian:1.0")
    for name in ("mount/first", "mount/second"):
        own("tag", f"{open_registry.host}/demo/debian:1.0", f"{target.host}/{name}:1.0")
    own("push", f"{target.host}/mount/first:1.0")
    mark = target.mark()
    assert "Mounted from mount/first" in own("push", f"{target.host}/mount/second:1.0").stderr
    # Only the config is sent.
    assert len([a for a in target.since(mark) if a.method == "PUT" and "/uploads/" in a.path]) == 1


def test_a_pull_that_was_cut_short_goes_on(own, open_registry, images):
    image = images.image("debian")
    layer = max(json.loads(image.bytes)["layers"], key=lambda layer: layer["size"])
    ref = f"{open_registry.host}/demo/debian:1.0"
    own("pull", ref)
    whole = (own.dir / "blobs" / layer["digest"]).read_bytes()
    for path in [*(own.dir / "images").iterdir(), *(own.dir / "refs").iterdir()]:
        path.unlink()
    for wrong in (False, True):
        (own.dir / "blobs" / layer["digest"]).unlink()
        left = bytearray(whole[:len(whole) // 2])
        left[0] ^= wrong
        (own.dir / "ingest" / f"layer-{layer['digest']}").write_bytes(left)
        for path in [*(own.dir / "images").iterdir(), *(own.dir / "refs").iterdir()]:
            path.unlink()
        own("pull", ref)
        assert (own.dir / "blobs" / layer["digest"]).read_bytes() == whole


def test_killed_in_a_layer_it_goes_on_there(own, faulty):
    faulty.fault("blob", Pace(2e6), digest=faulty.layer, nth=1)
    killed = own.start("pull", faulty.ref)
    faulty.wait_sent(800000)
    killed.kill()
    killed.wait()
    assert not any((own.dir / "refs").iterdir())
    own("pull", faulty.ref)
    assert faulty.gets(faulty.layer)[-1].range[0] > 0
    assert faulty.layer in blobs(own)


@pytest.mark.skipif("DAVIT_ASAN" in os.environ, reason="a sanitizer's memory is its own")
def test_memory_does_not_grow_with_a_layer(own, faulty, small, target):
    serve(faulty, small, "large")
    assert own.peak_mib("pull", faulty.ref) < 24
    own("tag", faulty.ref, f"{target.host}/large:1.0")
    assert own.peak_mib("push", f"{target.host}/large:1.0") < 24


def test_bad_bytes_get_no_name(own, faulty):
    """The registry lies about one layer."""
    faulty.fault("blob", Corrupt(1000), digest=faulty.layer)
    done = own("pull", faulty.ref, status=1)
    assert f"filesystem layer verification failed for digest {faulty.layer}" in done.stderr
    assert faulty.layer not in blobs(own)
    assert not any((own.dir / "refs").iterdir()) and not any((own.dir / "ingest").iterdir())


def test_what_is_not_there_is_said(own, open_registry, target):
    own("pull", f"{open_registry.host}/demo/nothing:1.0", status=1)
    done = own("push", f"{target.host}/none:1.0", status=1)
    assert f"An image does not exist locally with the tag: {target.host}/none" in done.stderr


@pytest.mark.skipif("DAVIT_ASAN" in os.environ, reason="Python is not linked with the sanitizer")
def test_the_example_in_python_asks_for_a_digest(open_registry, images, tmp_path):
    build = EXAMPLE.parents[1]
    script = Path(__file__).resolve().parents[2] / "examples" / "digest.py"

    def digest(ref):
        return subprocess.run([sys.executable, script, ref, build / "libdavit.so"], capture_output=True, text=True,
                              env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, timeout=60)

    assert digest(f"{open_registry.host}/demo/debian:1.0").stdout == images.image("debian").digest + "\n"
    refused = digest("Not A Reference")
    assert refused.returncode == 1 and refused.stderr.startswith("digest.py: ")
