"""The commands for one registry against the scripted one: with a referrers API and tags that are deleted alone, and with each thing that
breaks. Who else writes at the same time is an action between two requests."""
import json
import re
from dataclasses import dataclass

import pytest

from support import oci
from support.davit import FAST
from support.faults import (Action, ChunkedRefused, Corrupt, Cut, CutUpload, Error, Header, Link, Location, Reset, Status,
                            TooMany, Unavailable, Vanish)
from support.faulty_registry import Bearer

ABSENT = "sha256:" + "0" * 64
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass
class Meanwhile(Action):
    """Somebody else does something when this request was answered."""
    what: object

    def after(self, request, response):
        self.what()
        return response


@pytest.fixture
def repository(faulty):
    return f"{faulty.host}/demo/web"


def put_index(registry, tag, *digests):
    """As another client would: an index of manifests that are there, under a tag."""
    entries = [{"mediaType": oci.OCI_MANIFEST, "digest": digest, "size": len(registry.manifests[("demo/web", digest)][0])}
               for digest in digests]
    data = oci.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
    return registry.add_manifest("demo/web", data, INDEX, tag)


def entries_of(registry, tag):
    return [m["digest"] for m in json.loads(registry.manifests[("demo/web", tag)][0])["manifests"]]


# ---- delete --------------------------------------------------------------------------------------


def test_a_tag_is_deleted_alone(davit, faulty, repository):
    for tag in ("1.1", "latest"):
        faulty.add_manifest("demo/web", faulty.image.bytes, oci.OCI_MANIFEST, tag)
    for flags, tag in (([], "1.0"), (["--tag-only"], "1.1")):
        faulty.clear()
        davit("delete", *flags, f"{repository}:{tag}")
        assert [r.method for r in faulty.of("manifest")] == ["DELETE"]
    assert faulty.tags["demo/web"] == ["latest"]
    assert ("demo/web", faulty.image.digest) in faulty.manifests
    davit.fails(3, "delete", f"{repository}:1.0")


@pytest.mark.parametrize("status,code", [(405, "UNSUPPORTED"), (400, "DIGEST_INVALID"), (501, "UNSUPPORTED")])
def test_what_says_that_a_tag_is_not_deleted(davit, faulty, repository, status, code):
    faulty.fault("manifest", Error(status, code), method="DELETE")
    error = davit.fails(1, *FAST, "delete", f"{repository}:1.0").error
    assert "deletes no tag alone" in error and faulty.image.digest in error
    assert {r.ref for r in faulty.of("manifest", method="DELETE")} == {"1.0"}


def test_siblings_that_cannot_be_asked_for_may_be_there(davit, faulty, repository):
    faulty.tag_delete = False
    faulty.fault("tags", Status(404))
    assert "any other tag that it may have" in davit.fails(1, *FAST, "delete", f"{repository}:1.0").error


def test_delete_with_a_token_for_deleting(davit, faulty, repository):
    faulty.auth = Bearer({"alice": "secret"}, anonymous=False)
    davit.login(faulty.host, "alice", "secret")
    davit("delete", f"{repository}@{faulty.image.digest}")
    scopes = [scope for r in faulty.of("token") for scope in r.query.get("scope", [])]
    assert "repository:demo/web:delete" in scopes


# ---- manifest ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Unavailable(), TooMany(), Reset()], ids=["503", "429", "reset"])
def test_a_put_is_repeated(davit, faulty, repository, fault):
    faulty.fault("manifest", fault, method="PUT", times=2)
    data = faulty.image.bytes + b"\n"
    assert davit(*FAST, "manifest", "put", "-", f"{repository}:new", data=data).text == oci.sha256(data) + "\n"
    assert faulty.manifests[("demo/web", "new")][0] == data


def test_a_put_that_is_never_taken(davit, faulty, repository):
    faulty.fault("manifest", Unavailable(), method="PUT")
    davit.fails(6, *FAST, "manifest", "put", "-", f"{repository}:new", data=faulty.image.bytes)


def test_a_registry_that_stores_other_bytes(davit, faulty, repository):
    faulty.fault("manifest", Header("Docker-Content-Digest", ABSENT), method="PUT")
    assert ABSENT in davit.fails(5, "manifest", "put", "-", f"{repository}:new", data=faulty.image.bytes).error


def test_a_token_that_ends_in_the_middle(davit, faulty, repository, tmp_path):
    faulty.auth = Bearer({"alice": "secret"}, uses=2)
    davit.login(faulty.host, "alice", "secret")
    (tmp_path / "a").write_bytes(b"a")
    davit("artifact", "push", "--type", "a/b", f"{repository}:art", tmp_path / "a")
    assert len(faulty.of("token")) >= 2
    assert json.loads(faulty.manifests[("demo/web", "art")][0])["artifactType"] == "a/b"


# ---- blobs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault,how", [
    (Unavailable(), {"method": "POST", "times": 2}), (Reset(), {"method": "POST", "nth": 1}),
    (Unavailable(), {"method": "PUT", "nth": 1}), (Vanish(), {"method": "PUT", "nth": 1}),
    (CutUpload(1000), {"method": "PUT", "nth": 1}), (Location("absolute"), {}),
], ids=["post-503", "post-reset", "put-503", "gone", "cut", "absolute"])
def test_a_blob_out_of_a_file_gets_there(davit, faulty, repository, tmp_path, fault, how):
    data = oci.noise("faults", 200000)
    (tmp_path / "file").write_bytes(data)
    faulty.fault("upload", fault, **how)
    digest = davit(*FAST, "blob", "put", tmp_path / "file", repository).text.strip()
    assert faulty.blobs[digest] == data


def test_a_pipe_that_is_short_needs_no_chunks(davit, faulty, repository):
    faulty.fault("upload", ChunkedRefused())
    data = oci.noise("short", 3 << 20)
    digest = davit(*FAST, "blob", "put", "-", repository, data=data).text.strip()
    assert faulty.blobs[digest] == data


def test_a_long_pipe_where_chunks_are_refused(davit, faulty, repository):
    faulty.fault("upload", ChunkedRefused())
    error = davit.fails(1, *FAST, "blob", "put", "-", repository, data=oci.noise("long", 5 << 20)).error
    assert "send a file in place of a pipe" in error


def test_a_pipe_cannot_be_sent_again(davit, faulty, repository):
    faulty.fault("upload", CutUpload(5 << 20), method="PATCH")
    davit.fails({1, 6}, *FAST, "blob", "put", "-", repository, data=oci.noise("long", 9 << 20))


def test_an_upload_location_elsewhere_gets_no_credentials(davit, faulty, repository, tmp_path):
    """threat A5"""
    faulty.auth = Bearer({"alice": "secret"})
    davit.login(faulty.host, "alice", "secret")
    faulty.fault("upload", Location("second"))
    (tmp_path / "file").write_bytes(b"elsewhere")
    davit.run(*FAST, "blob", "put", tmp_path / "file", repository)
    assert not any(r.header("Authorization") for r in faulty.of("any", origin="second"))


# ---- referrers -----------------------------------------------------------------------------------


def test_attach_where_the_registry_lists_referrers(davit, faulty, repository):
    digest = davit("attach", "--type", "a/b", "-a", "k=v", f"{repository}:1.0").text.strip()
    assert [r.ref for r in faulty.of("manifest", method="PUT")] == [digest]
    assert not any(tag.startswith("sha256-") for tag in faulty.tags["demo/web"])
    assert davit("referrers", f"{repository}:1.0").lines == [f"{digest} a/b"]
    [entry] = davit("referrers", "--json", f"{repository}:1.0").json["manifests"]
    assert entry["annotations"] == {"k": "v"} and entry["artifactType"] == "a/b"


def test_referrers_of_many_pages(davit, faulty, repository):
    lines = sorted(davit("attach", "--type", f"a/t{n % 2}", "-a", f"n={n}", f"{repository}:1.0").text.strip() + f" a/t{n % 2}"
                   for n in range(5))
    faulty.page_size = 2
    assert davit("referrers", f"{repository}:1.0").lines == lines
    assert len(faulty.of("referrers")) == 3
    only = [line for line in lines if line.endswith("a/t1")]
    assert davit("referrers", "--type", "a/t1", f"{repository}:1.0").lines == only


def test_a_registry_that_does_not_filter(davit, faulty, repository):
    @dataclass
    class Unfiltered(Action):
        def before(self, request):
            request.query.pop("artifactType", None)

    davit("attach", "--type", "a/one", "-a", "n=1", f"{repository}:1.0")
    two = davit("attach", "--type", "a/two", "-a", "n=2", f"{repository}:1.0").text.strip()
    faulty.fault("referrers", Unfiltered())
    assert davit("referrers", "--type", "a/two", f"{repository}:1.0").lines == [f"{two} a/two"]


def test_referrers_on_another_host_are_not_asked_for(davit, faulty, repository):
    """threat A8"""
    davit("attach", "--type", "a/b", "-a", "n=1", f"{repository}:1.0")
    faulty.fault("referrers", Link(f'<{faulty.second_url}/v2/demo/web/referrers/{faulty.image.digest}?from=1>; rel="next"'), nth=1)
    davit.run(*FAST, "referrers", f"{repository}:1.0")
    assert faulty.of("any", origin="second") == []


def test_referrers_that_lead_in_a_circle(davit, faulty, repository):
    """threat C4"""
    faulty.fault("referrers", Link(f'</v2/demo/web/referrers/{faulty.image.digest}>; rel="next"'))
    assert "repeats a page" in davit.fails({1, 6}, *FAST, "referrers", f"{repository}:1.0").error
    assert len(faulty.of("referrers")) < 10


def test_who_was_run_over_comes_again(davit, faulty, repository):
    """Another client writes its list right after ours: ours is read again, and mended."""
    faulty.referrers_api = False
    theirs = davit("attach", "--type", "a/b", "-a", "n=theirs", f"{repository}:1.0").text.strip()
    tag = faulty.image.digest.replace(":", "-")
    faulty.clear()
    faulty.fault("manifest", Meanwhile(lambda: put_index(faulty, tag, theirs)), method="PUT", nth=2)
    ours = davit("attach", "--type", "a/b", "-a", "n=ours", f"{repository}:1.0").text.strip()
    assert entries_of(faulty, tag) == [theirs, ours]
    assert [r.ref for r in faulty.of("manifest", method="PUT")] == [ours, tag, tag]


def test_a_list_that_others_keep_changing(davit, faulty, repository):
    faulty.referrers_api = False
    tag = faulty.image.digest.replace(":", "-")

    def steal():
        if ("demo/web", tag) in faulty.manifests:
            put_index(faulty, tag)

    faulty.fault("manifest", Meanwhile(steal), method="PUT")
    error = davit.fails(1, "attach", "--type", "a/b", "-a", "n=ours", f"{repository}:1.0").error
    assert "is pushed, but not listed" in error and "others keep changing" in error
    assert re.search(r"sha256:[0-9a-f]{64} is pushed", error)


def test_a_blob_that_was_there_and_is_not(davit, faulty, repository, tmp_path):
    """All blobs go again, once; a registry that goes on saying so is believed."""
    (tmp_path / "file").write_bytes(b"twice")
    faulty.fault("manifest", Error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry"), method="PUT", nth=1)
    davit("attach", "--type", "a/b", f"{repository}:1.0", tmp_path / "file")
    assert faulty.received(oci.sha256(b"twice")) == 10
    faulty.clear()
    faulty.fault("manifest", Error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry"), method="PUT")
    davit.fails(1, "attach", "--type", "a/b", "-a", "k=v", f"{repository}:1.0", tmp_path / "file")
    assert len(faulty.of("manifest", method="PUT")) == 2


# ---- index ---------------------------------------------------------------------------------------


@pytest.fixture
def others(faulty):
    """Three more manifests in the repository."""
    return [faulty.add_manifest("demo/web", faulty.image.bytes + b"\n" * n, oci.OCI_MANIFEST) for n in (1, 2, 3)]


def test_index_whose_tag_was_moved_meanwhile(davit, faulty, repository, others):
    """What another one added before our push is not lost."""
    put_index(faulty, "all", others[0], others[2])
    faulty.fault("manifest", Meanwhile(lambda: put_index(faulty, "all", others[0], others[1])), method="GET", nth=1)
    davit("index", "remove", f"{repository}:all", others[0])
    assert entries_of(faulty, "all") == [others[1]]


def test_index_whose_tag_is_always_moved(davit, faulty, repository, others):
    put_index(faulty, "all", *others)
    count = [1]

    def move():
        count[0] += 1
        put_index(faulty, "all", *(others * count[0]))

    faulty.fault("manifest", Meanwhile(move), method="GET")
    assert "others keep moving" in davit.fails(1, "index", "remove", f"{repository}:all", others[0]).error
    assert faulty.of("manifest", method="PUT") == []


def test_index_of_children_that_are_gone(davit, faulty, repository, others):
    put_index(faulty, "two", others[0], others[1])
    del faulty.manifests[("demo/web", others[1])]
    error = davit.fails(3, "index", "create", f"{repository}:all", ":two").error
    assert others[1] in error and "not in the repository" in error
    assert faulty.of("manifest", method="PUT") == []


# ---- artifact pull -------------------------------------------------------------------------------


def test_artifact_pull_over_a_cut_connection(davit, faulty, repository, tmp_path):
    data = oci.noise("pull", 500000)
    (tmp_path / "file").write_bytes(data)
    davit("artifact", "push", f"{repository}:art", tmp_path / "file")
    faulty.fault("blob", Cut(100000), method="GET", nth=1)
    davit(*FAST, "artifact", "pull", "-o", tmp_path / "out", f"{repository}:art")
    assert (tmp_path / "out" / "file").read_bytes() == data


def test_artifact_pull_of_a_damaged_blob(davit, faulty, repository, tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 1000)
    davit("artifact", "push", f"{repository}:art", tmp_path / "file")
    faulty.fault("blob", Corrupt(), method="GET")
    davit.fails(5, *FAST, "artifact", "pull", "-o", tmp_path / "out", f"{repository}:art")
    assert list((tmp_path / "out").iterdir()) == []
