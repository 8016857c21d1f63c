"""What an old registry may say to a migration, and what it must not come to: wrong names, wrong pages, wrong ids, somebody else's images."""
import sqlite3

import pytest

from support.davit import FAST
from support.registry import DockerRegistry
from support.v1_registry import Answer, V1Index, V1Registry, refuse

BASE, APP = "00112233445566aa", "b" * 64


@pytest.fixture
def old():
    with V1Registry() as registry:
        registry.add(BASE, {"etc/": None, "etc/motd": b"hello\n"})
        registry.add(APP, {"app": b"x" * 1000}, parent=BASE)
        registry.tag("old/app", "1", APP)
        yield registry


@pytest.fixture
def new(tmp_path):
    with DockerRegistry(tmp_path) as registry:
        yield registry


def found(*names, **counters):
    return Answer(200, {"query": "", "num_results": len(names), "results": [{"name": n} for n in names], **counters})


def layers(registry):
    return [r.path for r in registry.requests if r.path.endswith("/layer")]


def catalog(davit, registry):
    names = davit("catalog", "--json", registry.host).json
    return names if isinstance(names, list) else names["repositories"]


# ---- names that a search finds -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["old/app:1", f"old/app@{BASE}", "old/app@sha256:" + "0" * 64, "old/app:", "@", ":", "../x", "old/../app", "/etc/x",
                                  "old//app", "old/app/", "with space", "line\nbreak", "\x1b[31m", "ÿ", "x" * 100000, "http://127.0.0.1:1/x", "a?b", "a#b"])
def test_a_wrong_name_is_a_failure_of_its_own(davit, old, new, tmp_path, name):
    """It is a repository whatever it holds, never a tag, an id or a path; the others are copied."""
    old.answers["GET search"] = old.answers["GET /v1/search"] = found(name, "old/app")
    for target in (new.host, f"oci:{tmp_path}/layouts/below"):
        result = davit.run(*FAST, "v1", "migrate", "--all", old.host, target)
        assert result.code not in (0, 134, 139) and "1 migrated, 0 there already, 1 failed" in result.text
        assert len(result.errors[-1]) < 1000
    assert catalog(davit, new) == ["old/app"]
    assert [p.name for p in (tmp_path / "layouts").iterdir()] == ["below"]
    assert sorted(str(p.relative_to(tmp_path / "layouts/below")) for p in (tmp_path / "layouts").rglob("index.json")) == ["old/app/index.json"]


def test_names_that_a_search_finds_again_are_copied_once(davit, old, new):
    old.answers["GET search"] = old.answers["GET /v1/search"] = found("old/app", "old/app", "old/app")
    assert "1 repository, 1 tag: 1 migrated" in davit("v1", "migrate", "--all", old.host, new.host).text


@pytest.mark.parametrize("pages", [10 ** 9, 2 ** 63 - 1])
def test_pages_without_end_that_say_nothing_new(davit, old, new, pages):
    old.answers["GET search"] = old.answers["GET /v1/search"] = found("old/app", num_pages=pages, page="1")
    assert "1 repository, 1 tag: 1 migrated" in davit("v1", "migrate", "--all", old.host, new.host, timeout=20).text
    assert len([r for r in old.requests if r.path.endswith("/search")]) < 5


def test_a_repository_that_cannot_be_one_at_the_target_is_not_fetched(davit, old, new):
    old.tag("Old/App", "1", APP)
    result = davit.run("v1", "migrate", old.host + "/Old/App", new.host)
    assert result.code != 0 and "Old/App" in result.errors[-1] and layers(old) == []


def test_a_tag_that_cannot_be_one_at_the_target_is_not_fetched(davit, old, new):
    old.tag("old/app", "x" * 129, BASE)
    old.tag("old/app", "-", BASE)
    old.tags["old/app"].pop("1")
    result = davit.run("v1", "migrate", "--all", old.host, new.host)
    assert result.code != 0 and "0 migrated, 0 there already, 2 failed" in result.text and layers(old) == []


# ---- ids -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [None, "", "x", "../json", "0" * 63])
def test_a_tag_of_no_image(davit, old, new, bad):
    old.tags["old/app"]["bad"] = bad
    result = davit.run("v1", "migrate", "--all", old.host, new.host)
    assert "1 migrated, 0 there already, 1 failed" in result.text and "old/app:bad" in "".join(result.errors)
    assert "old/app:bad" not in davit.fails({1, 3, 5}, "v1", "pull", "-a", f"{old.host}/old/app").text
    davit.fails({1, 3, 5}, "copy", f"v1://{old.host}/old/app:bad", f"{new.host}/x:1")


def test_a_cycle_in_what_is_known(davit, old, new):
    """What is remembered is asked for again where it makes no sense."""
    davit("v1", "migrate", "--all", old.host, new.host)
    path = next(davit.store.path.rglob("*.db"))
    with sqlite3.connect(path) as db:
        db.execute("UPDATE v1_image SET parent = ? WHERE id = ?", (APP, BASE))
    assert "1 there already" in davit("v1", "migrate", "--all", old.host, new.host, timeout=20).text


# ---- somebody else's ---------------------------------------------------------------------------------------------


def test_what_another_registry_said_for_an_index_is_not_taken_for_what_its_own_says(davit, new):
    """--registry with --index: the user had the index's images from elsewhere, once."""
    with V1Index() as index, V1Registry(index=index) as right, V1Registry(index=index) as other:
        for registry, text in ((right, b"right"), (other, b"other")):
            registry.add(BASE, {"text": text})
            registry.tag("a/a", "1", BASE)
        index.endpoints = right.host
        davit("v1", "migrate", "--index", index.url, "--registry", other.url, "a/a", f"{new.host}/other")
        davit("v1", "migrate", "--index", index.url, "a/a", f"{new.host}/right")
        assert len(layers(right)) == 1
        davit("unpack", f"{new.host}/right/a/a:1", davit.home / "root")
        assert (davit.home / "root/text").read_bytes() == b"right"


def test_a_host_without_a_dot_is_not_the_public_hub(davit, new):
    assert "oldhost" in davit.fails({1, 2}, *FAST, "v1", "migrate", "--all", "oldhost", new.host).error
    assert "oldhost" in davit.fails({1, 2}, *FAST, "v1", "migrate", "oldhost/app", new.host).error


def behind_a_lock(registry, name, password):
    """As a web server in front does it: nothing is said to nobody, whatever is asked."""
    inside, want = registry._route, f"{name}:{password}"
    registry._route = lambda request: inside(request) if request.user == want else refuse(401, "who?", WWW_Authenticate='Basic realm="x"')


@pytest.mark.parametrize("where", [["--all", "{host}"], ["--registry", "{url}"], ["{host}/old/app"]])
def test_a_registry_behind_a_lock_is_searched_by_its_user(davit, old, new, where):
    behind_a_lock(old, "alice", "secret-of-alice")
    where = [word.format(host=old.host, url=old.url) for word in where]
    assert "401" in davit.run("v1", "migrate", *where, new.host).errors[-1]
    assert {r.user for r in old.requests} == {None}
    davit("v1", "migrate", "-u", "alice", "--password-stdin", *where, new.host, data=b"secret-of-alice")
    assert catalog(davit, new) == ["old/app"]


def test_a_registry_that_says_what_it_was_told_is_not_quoted(davit, old, new):
    inside = old._route
    old._route = lambda r: refuse(403, "not with " + r.headers.get("authorization", "")) if "/tags" in r.path else inside(r)
    result = davit.run("v1", "migrate", "-u", "alice", "--password-stdin", old.host + "/old/app", new.host, data=b"secret-of-alice")
    assert result.code == 4 and "403" in result.errors[-1] and b"YWxpY2U6" not in result.err
    assert "not with" in davit.run("v1", "tags", old.host + "/old/app").errors[-1]
    with V1Index() as index, V1Registry(index=index) as registry:
        registry.add(BASE, {})
        registry.tag("a/a", "1", BASE)
        registry._route = lambda r: refuse(403, "not with " + r.headers["authorization"])
        result = davit.run("v1", "migrate", "--index", index.url, "a/a", new.host)
        assert "403" in result.errors[-1] and b"signature=" not in result.err


def test_many_small_answers_are_not_silence(davit, old, new):
    parent = None
    for i in range(600):
        image = old.add(f"{i:064x}", {}, parent=parent if i % 100 else None)
        parent = image
        if i % 100 == 99:
            old.tag("old/deep", f"v{i}", image)
    result = davit("v1", "migrate", old.host + "/old/deep", "store:x")
    assert "json: 250 of 600 read" in result.messages and "json: 500 of 600 read" in result.messages


# ---- what stays in the store ---------------------------------------------------------------------------------------


def test_what_one_failure_needs_stays_and_the_rest_goes(davit, old, new):
    """Nobody else's layers wait in the store for an image that is never mended."""
    own = old.add("c" * 16, {"own": b"own"})
    bad = old.add("d" * 16, {"bad": b"bad"}, parent=own)
    old.tag("old/bad", "1", bad)
    right, old.images[bad].checksum = old.images[bad].checksum, "sha256:" + "0" * 64
    davit.fails(5, "-q", "v1", "migrate", "--all", old.host, new.host)
    assert [len(layers(old)), len(davit.store.blobs())] == [4, 1]
    old.images[bad].checksum = right
    old.requests.clear()
    davit("v1", "migrate", "--all", old.host, new.host)
    assert layers(old) == [f"/v1/images/{bad}/layer"] and davit.store.blobs() == set()


# ---- what is said in the end ---------------------------------------------------------------------------------------


def test_what_was_fetched_before_a_full_disk_or_an_end_is_counted(davit, old, new):
    more = old.add("c" * 16, {"b": b"b"}, parent=APP)
    old.tag("old/b", "1", more)
    old.answers[f"GET images/{more}/layer"] = Answer(hang=True)
    running = davit.start("v1", "migrate", "--json", "--all", old.host, new.host)
    while len(layers(old)) < 3 or len(davit.store.blobs()) < 2:
        assert running.alive
    running.signal()
    result = running.wait(5)
    assert result.code == 130 and result.json["Fetched"]["Count"] == 2
