"""davit v1 push: images of the store to old registries, complete and in order; what is there is not sent again, what stopped on the way is
begun again."""
import json
import subprocess

import pytest

from support import oci
from support.davit import FAST
from support.v1_registry import Answer, V1Index, V1Registry, refuse

USER, PASSWORD = "alice", "s3cret v1"


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """web: three layers, the last of 3 MB; zst: one of zstd."""
    made = oci.Layout.create(tmp_path_factory.mktemp("layouts") / "layout")
    tars = [oci.tar_of({"etc/motd": b"hello\n"}), oci.tar_of({"app": b"app\n"}), oci.tar_of({"big": oci.noise("v1", 3000000)})]
    made.tag("web", made.add_image([(oci.gzip_of(t), oci.sha256(t)) for t in tars], config={"Cmd": ["/app"]}))
    packed = subprocess.run(["zstd", "-qc"], input=tars[0], stdout=subprocess.PIPE, check=True).stdout
    made.tag("zst", made.add_image([(made.add_blob(packed, oci.OCI_LAYER_ZSTD), oci.sha256(tars[0]))]))
    return made


@pytest.fixture
def filled(davit, layout, tmp_path):
    """The store has both."""
    for name in ("web", "zst"):
        davit("copy", f"oci:{layout.path}:{name}", f"store:demo/{name}:1.0")
    return davit


@pytest.fixture
def alone():
    with V1Registry() as registry:
        yield registry


@pytest.fixture
def bound():
    with V1Index(users={USER: PASSWORD}) as index, V1Registry(index=index) as registry:
        yield registry


def push(davit, registry, *args, **how):
    """As the user, through the index."""
    return davit(*FAST, "v1", "push", "--index", registry.index.url, "-u", USER, "--password-stdin", "demo/web:1.0",
                 "old/web:7", *args, data=PASSWORD.encode(), **how)


def changes(registry):
    return [f"{r.method} {r.path.rsplit('/', 1)[1] or 'repository'}" for r in registry.requests if r.method == "PUT"]


def test_a_pushed_image_is_whole_and_comes_back_as_it_was(filled, other_davit, alone, layout, tmp_path):
    filled("v1", "push", "demo/web:1.0", f"{alone.host}/old/web:7")
    chain = alone.ancestry(alone.tags["old/web"]["7"])
    assert len(chain) == 3 and all(alone.images[i].checksum == alone.images[i].sum() for i in chain)
    assert [alone.images[i].layer for i in reversed(chain)] == [layout.blob(d) for d in layout.image("web").layers]
    assert changes(alone) == ["PUT repository", *3 * ["PUT json", "PUT layer", "PUT checksum"], "PUT 7", "PUT images"]
    other_davit("v1", "pull", f"{alone.host}/old/web:7")
    config = json.loads(other_davit("config", f"store:{alone.host}/old/web:7").out)
    assert config["rootfs"] == json.loads(filled("config", "store:demo/web:1.0").out)["rootfs"]
    assert config["config"]["Cmd"] == ["/app"]
    other_davit("unpack", f"store:{alone.host}/old/web:7", tmp_path / "root")
    assert (tmp_path / "root/big").stat().st_size == 3000000


def test_through_an_index_the_list_goes_first_and_again_with_checksums_last(filled, bound):
    push(filled, bound)
    chain = bound.ancestry(bound.tags["old/web"]["7"])
    first, last = [r for r in bound.index.requests if r.method == "PUT"]
    assert str(first) == "PUT /v1/repositories/old/web/" and [e["id"] for e in first.json] == chain[::-1]
    assert str(last) == "PUT /v1/repositories/old/web/images" and last.headers["x-docker-endpoints"] == bound.host
    assert {e["id"]: e["checksum"] for e in last.json} == {i: bound.images[i].sum() for i in chain}
    access = {(r.method, r.headers["authorization"].rpartition("access=")[2]) for r in bound.requests}
    assert access == {("GET", "read"), ("PUT", "write")}
    assert PASSWORD not in str([r.headers for r in bound.requests])


def test_what_is_there_is_not_sent_again(filled, bound):
    push(filled, bound)
    before = {i: image.json for i, image in bound.images.items()}
    bound.requests.clear()
    push(filled, bound)
    assert changes(bound) == ["PUT 7"] and {i: image.json for i, image in bound.images.items()} == before


def test_an_image_that_stopped_on_the_way_is_begun_again(filled, bound):
    push(filled, bound)
    middle = bound.ancestry(bound.tags["old/web"]["7"])[1]
    bound.images[middle].checksum = bound.images[middle].layer = None
    bound.requests.clear()
    push(filled, bound)
    assert changes(bound) == ["PUT json", "PUT layer", "PUT checksum", "PUT 7"]
    assert bound.images[middle].checksum == bound.images[middle].sum()


def test_a_layer_that_failed_is_sent_again_from_its_json_on(filled, alone):
    filled("v1", "push", "demo/web:1.0", f"{alone.host}/old/web:7")
    base = alone.ancestry(alone.tags["old/web"]["7"])[-1]
    with V1Registry() as fresh:
        fresh.answers[f"PUT images/{base}/layer"] = [refuse(503, "later"), None]
        filled(*FAST, "v1", "push", "demo/web:1.0", f"{fresh.host}/old/web:7")
        assert changes(fresh)[:6] == ["PUT repository", "PUT json", "PUT layer", "PUT json", "PUT layer", "PUT checksum"]
        assert fresh.images[base].checksum == fresh.images[base].sum()


@pytest.mark.parametrize("what,words", [
    ("json", "This image does not belong to the repository"), ("layer", "Image not found"), ("checksum", "Checksum mismatch")])
def test_a_refusal_ends_it_and_no_tag_moves(filled, alone, what, words):
    filled("v1", "push", "demo/web:1.0", f"{alone.host}/old/web:7")
    top = alone.tags["old/web"]["7"]
    with V1Registry() as fresh:
        fresh.answers[f"PUT images/{top}/{what}"] = refuse(400, words)
        error = filled.fails(1, "v1", "push", "demo/web:1.0", f"{fresh.host}/old/web:7").error
        assert error.endswith(f"returned 400: {words}") and fresh.tags == {}


def test_a_wrong_password_sends_nothing(filled, bound):
    result = filled.fails(4, "v1", "push", "--index", bound.index.url, "-u", USER, "--password-stdin", "demo/web:1.0", "old/web",
                          data=b"wrong")
    assert "returned 401" in result.error and bound.requests == []


def test_a_layer_that_nobody_could_read_is_refused(filled, alone):
    assert "zstd" in filled.fails(1, "v1", "push", "demo/zst:1.0", f"{alone.host}/old/zst").error
    assert alone.tags == {}


def damage(davit, digest):
    blob = davit.store.blob_path(digest)
    data = bytearray(blob.read_bytes())
    data[1000] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)


def test_a_damaged_layer_is_not_sent(filled, alone, layout):
    damage(filled, layout.image("web").layers[2])
    filled.fails(5, "v1", "push", "demo/web:1.0", f"{alone.host}/old/web:7")
    assert alone.tags == {} and alone.images == {}


def test_a_layer_that_is_damaged_after_it_was_known_is_not_completed(filled, alone, layout):
    filled("v1", "push", "demo/web:1.0", f"{alone.host}/old/web:7")
    damage(filled, layout.image("web").layers[2])
    with V1Registry() as fresh:
        filled.fails(5, "v1", "push", "demo/web:1.0", f"{fresh.host}/old/web:7")
        assert fresh.tags == {} and [i.checksum for i in fresh.images.values()].count(None) == 1


def test_what_is_not_in_the_store_is_not_pushed(filled, alone):
    filled.fails(3, "v1", "push", "demo/none:1.0", f"{alone.host}/old/web:7")
    assert alone.requests == []


def test_an_early_refusal_of_a_large_layer_is_heard(filled, alone):
    filled("v1", "push", "demo/web:1.0", f"{alone.host}/old/web:7")
    top = alone.tags["old/web"]["7"]
    with V1Registry() as fresh:
        fresh.answers[f"PUT images/{top}/layer"] = Answer(412, b"")
        assert "returned 412" in filled.fails(1, "v1", "push", "demo/web:1.0", f"{fresh.host}/old/web:7").error
