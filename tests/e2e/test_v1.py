"""Registries of the first version: davit v1 against an index and a registry as the old Python server was, with tokens, cookies,
checksums, private repositories, and disorder."""
import base64

import pytest

from support.davit import FAST
from support.v1_registry import Answer, V1Index, V1Registry, refuse

USER, PASSWORD = "alice", "s3cret v1"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
BASE, APP, OTHER = "00112233445566aa", "b" * 64, "c" * 16
LAYER = {"etc/": None, "etc/motd": b"hello\n"}


def fill(registry):
    registry.add(BASE, LAYER)
    registry.add(APP, {"app": b"x" * 300000}, parent=BASE)
    registry.tag("old/app", "1.0", APP)
    registry.tag("old/app", "latest", APP)
    registry.tag("old/app", "base", BASE)
    registry.tag("single", "latest", BASE)
    return registry


@pytest.fixture
def alone():
    with V1Registry() as registry:
        yield fill(registry)


@pytest.fixture
def index():
    with V1Index(users={USER: PASSWORD}) as index:
        yield index


@pytest.fixture
def bound(index):
    with V1Registry(index=index) as registry:
        fill(registry)
        yield registry


def as_user(davit, *args, **how):
    return davit(*args, "-u", USER, "--password-stdin", data=PASSWORD.encode(), **how)


# ---- a registry that stands alone ----------------------------------------------------------------------


def test_tags_ids_and_ancestry(davit, alone):
    name = f"{alone.host}/old/app"
    assert davit("v1", "tags", name).lines == ["1.0", "base", "latest"]
    assert davit("v1", "tags", "--json", name).json == {"1.0": APP, "base": BASE, "latest": APP}
    assert davit("v1", "id", f"{name}:base").lines == [BASE]
    assert davit("v1", "id", name).lines == [APP]
    assert davit("v1", "ancestry", f"{name}:1.0").lines == [APP, BASE]
    assert davit("v1", "ancestry", f"{name}@{BASE}").lines == [BASE]
    assert not any("authorization" in r.headers for r in alone.requests)


def test_a_repository_without_a_namespace(davit, alone):
    assert davit("v1", "id", f"{alone.host}/single").lines == [BASE]
    assert davit("v1", "id", "--registry", alone.url, "single").lines == [BASE]


def test_json_and_layer_are_the_exact_bytes(davit, alone, tmp_path):
    name = f"{alone.host}/old/app"
    assert davit("v1", "json", name).out == alone.images[APP].json
    assert davit("v1", "layer", name).out == alone.images[APP].layer
    out = tmp_path / "layer.tar"
    davit("v1", "layer", "-o", out, f"{name}@{BASE}")
    assert out.read_bytes() == alone.images[BASE].layer


def test_a_layer_goes_on_where_it_was_cut(davit, alone):
    layer = alone.images[APP].layer
    alone.answers[f"GET images/{APP}/layer"] = [Answer(200, layer, cut=100000), None]
    result = davit(*FAST, "v1", "layer", f"{alone.host}/old/app")
    assert result.out == layer
    asked = [r.headers.get("range") for r in alone.requests if r.path.endswith("/layer")]
    assert asked == [None, f"bytes=100000-{len(layer) - 1}"]


def test_a_layer_comes_from_where_the_registry_sends_us_and_nothing_of_ours_goes_along(davit, alone):
    with V1Registry() as storage:
        storage.answers[f"GET storage/{APP}"] = Answer(200, alone.images[APP].layer)
        alone.redirect_layers = f"{storage.url}storage/"
        result = as_user(davit, "v1", "layer", "--registry", alone.url, "old/app")
        assert result.out == alone.images[APP].layer
        assert [r.headers.get("authorization") for r in storage.requests] == [None]
        assert {r.headers.get("authorization") for r in alone.requests} == {BASIC}


@pytest.mark.parametrize("sums,code", [("sha256:" + "0" * 64, 5), ("tarsum+sha256:00", 0), (None, 0)])
def test_a_layer_is_held_against_its_checksum(davit, alone, tmp_path, sums, code):
    image, out = alone.images[APP], tmp_path / "layer.tar"
    alone.answers[f"GET images/{APP}/json"] = Answer(200, image.json, {"X-Docker-Checksum-Payload": sums})
    args = ("v1", "layer", "-o", out, f"{alone.host}/old/app")
    if code:
        assert "checksum" in davit.fails(code, *args).error
    else:
        davit(*args)
    assert out.exists() == (code == 0)


def test_any_of_several_checksums_will_do(davit, alone):
    image = alone.images[APP]
    alone.answers[f"GET images/{APP}/json"] = Answer(200, image.json, {
        "X-Docker-Checksum-Payload": ["sha256:" + "0" * 64, image.sum()]})
    davit("v1", "layer", f"{alone.host}/old/app")


def test_a_truncated_layer_leaves_no_file(davit, alone, tmp_path):
    out = tmp_path / "layer.tar"
    alone.answers[f"GET images/{APP}/layer"] = Answer(200, alone.images[APP].layer, cut=1000)
    davit.fails({1, 6}, *FAST, "v1", "layer", "-o", out, f"{alone.host}/old/app")
    assert not out.exists()


def test_search_of_a_registry_knows_no_counters(davit, alone):
    assert [line.split() for line in davit("v1", "search", f"{alone.host}/app").lines] == [
        ["NAME", "DESCRIPTION"], ["old/app"]]
    assert [r["name"] for r in davit("v1", "search", "--json", f"{alone.host}/").json] == ["library/single", "old/app"]


def test_tags_are_set_and_deleted(davit, alone):
    name = f"{alone.host}/old/app"
    davit("v1", "set-tag", f"{name}:2.0", BASE)
    assert alone.tags["old/app"]["2.0"] == BASE
    assert [r.body for r in alone.requests if r.method == "PUT"] == [f'"{BASE}"\n'.encode()]
    davit("v1", "delete-tag", f"{name}:2.0")
    assert "2.0" not in alone.tags["old/app"]
    davit("v1", "delete", name)
    assert list(alone.tags) == ["library/single"] and set(alone.images) == {BASE, APP}


# ---- an index and its registry -----------------------------------------------------------------------------


def test_a_token_of_the_index_opens_the_registry(davit, index, bound):
    assert davit("v1", "tags", "--index", index.url, "old/app").lines == ["1.0", "base", "latest"]
    asked = index.requests[0]
    assert (str(asked), asked.headers["x-docker-token"]) == ("GET /v1/repositories/old/app/images", "true")
    assert bound.requests[0].headers["authorization"].startswith("Token Token signature=")
    assert davit("v1", "layer", "--index", index.url, "old/app").out == bound.images[APP].layer
    assert davit("v1", "id", "--index", index.url, "single").lines == [BASE]


def test_an_index_is_known_by_its_ping(davit, index, bound):
    assert davit("v1", "id", f"{index.host}/old/app").lines == [APP]
    assert str(index.requests[0]) == "GET /v1/_ping"


@pytest.mark.parametrize("form", ["{}", "http://{}/v1/", " {} , other.example", "http://{}"])
def test_endpoints_are_hosts_in_many_forms(davit, index, bound, form):
    index.endpoints = form.format(bound.host)
    assert davit("v1", "id", "--index", index.url, "old/app").lines == [APP]


@pytest.mark.parametrize("endpoints", [None, "", ",", "user@host", "host:port"])
def test_an_index_that_names_no_registry_is_an_error_that_says_so(davit, index, bound, endpoints):
    index.endpoints = endpoints
    error = davit.fails(1, "v1", "id", "--index", index.url, "old/app").error
    assert "registry" in error and "token" in error
    assert bound.requests == []


def test_the_registry_option_goes_before_what_the_index_says(davit, index, bound):
    index.endpoints = "nowhere.example"
    args = ("v1", "id", "--index", index.url, "--registry", bound.url, "old/app")
    assert davit(*args).lines == [APP]


def test_changes_need_tokens_of_their_own(davit, index, bound):
    as_user(davit, "v1", "set-tag", "--index", index.url, "old/app:2.0", BASE)
    assert bound.tags["old/app"]["2.0"] == BASE
    as_user(davit, "v1", "delete-tag", "--index", index.url, "old/app:2.0")
    as_user(davit, "v1", "delete", "--index", index.url, "old/app")
    assert "old/app" not in bound.tags
    access = [r.headers["authorization"].rpartition("access=")[2] for r in bound.requests]
    assert access == ["write", "delete", "delete"]


def test_the_password_goes_to_the_index_and_to_nobody_else(davit, index, bound):
    result = as_user(davit, "v1", "set-tag", "--index", index.url, "old/app:2.0", BASE)
    assert {r.headers.get("authorization") for r in index.requests} == {BASIC}
    assert not any(BASIC in str(r.headers) for r in bound.requests)
    assert PASSWORD.encode() not in result.out + result.err


def test_stored_credentials_are_used(davit, index, bound):
    index.private.add("old/app")
    davit.fails(3, "v1", "id", "--index", index.url, "old/app")
    davit.login(index.host, USER, PASSWORD)
    assert davit("v1", "id", "--index", index.url, "old/app").lines == [APP]


def test_a_private_repository_is_not_there_for_others(davit, index, bound):
    index.private.add("old/app")
    error = davit.fails(3, "v1", "tags", "--index", index.url, "old/app").error
    assert error == (f"davit: GET {index.url}repositories/old/app/images returned 404: images not found")
    assert as_user(davit, "v1", "tags", "--index", index.url, "old/app").lines == ["1.0", "base", "latest"]


def test_a_wrong_password_is_refused(davit, index, bound):
    result = davit.fails(4, "v1", "set-tag", "--index", index.url, "-u", USER, "--password-stdin", "old/app:2.0", BASE,
                         data=b"wrong")
    assert "returned 401" in result.error and "wrong" not in result.error


@pytest.mark.parametrize("token", ["", 'signature=X,repository="other/app",access=read', "signature=X",
                                   'signature=X,repository="old/app",access=write'])
def test_a_token_that_does_not_fit_is_refused(davit, index, bound, token):
    """Missing, for another repository, expired, for something else."""
    index.answers["GET repositories/old/app/images"] = Answer(
        200, [], {"X-Docker-Token": token, "X-Docker-Endpoints": bound.host})
    error = davit.fails(4, "v1", "tags", "--index", index.url, "old/app").error
    assert error == f"davit: GET {bound.url}repositories/old/app/tags returned 401: Requires authorization"


def test_an_old_registry_takes_its_cookie_for_the_token(davit, index, bound):
    bound.cookies = True
    assert davit("v1", "ancestry", "--index", index.url, "old/app").lines == [APP, BASE]
    assert [r.headers.get("cookie") for r in bound.requests] == [None, "session=granted"]
    assert all("authorization" in r.headers for r in bound.requests)
    assert not any("cookie" in r.headers for r in index.requests)


def test_search_pages_of_an_index(davit, index, bound):
    index.lists.update({f"many/app{i:02}": [] for i in range(30)})
    index.descriptions["many/app03"] = "three\x1b[31m"
    first = davit("v1", "search", "--index", index.url, "--limit", "4", "many/").text
    assert "many/app03" in first and "many/app04" not in first and "\x1b" not in first
    second = davit("v1", "search", "--index", index.url, "--limit", "4", "--page", "2", "many/")
    assert [line.split()[0] for line in second.lines[1:]] == [f"many/app{i:02}" for i in range(4, 8)]


def test_a_standalone_registry_is_not_asked_for_a_token_to_delete(davit, alone):
    """It would delete the repository, where one tag was meant."""
    error = davit.fails({1, 2}, "v1", "delete-tag", "--index", alone.url, "old/app:1.0").error
    assert "stands alone" in error
    assert set(alone.tags["old/app"]) == {"1.0", "base", "latest"}


# ---- what the registry says, and disorder -----------------------------------------------------------------


@pytest.mark.parametrize("args,code,words", [
    (("tags", "no/such"), 3, "Repository not found"),
    (("id", "old/app:nope"), 3, "Tag not found"),
    (("json", "old/app@" + OTHER), 3, "Image not found"),
    (("delete-tag", "old/app:nope"), 3, "Tag not found: nope"),
    (("delete", "no/such"), 3, "Repository not found"),
    (("set-tag", "old/app:2.0", OTHER), 3, "Image not found"),
])
def test_the_registrys_words_are_passed_on(davit, alone, args, code, words):
    error = davit.fails(code, "v1", *args, "--registry", alone.url).error
    assert error.endswith(words) and " returned 404: " in error


def test_an_image_in_progress_is_no_image(davit, alone):
    alone.add(OTHER, LAYER, checksum=None)
    for verb in ("json", "layer", "ancestry"):
        error = davit.fails(1, "v1", verb, f"{alone.host}/old/app@{OTHER}").error
        assert error.endswith("returned 400: Image is being uploaded, retry later")


@pytest.mark.parametrize("args", [
    ("tags", "old/app:1.0"), ("tags", "a/b", "c"), ("tags",), ("nothing", "a"), ("set-tag", "old/app", BASE), ("id", "-o", "x", "a/b"),
    ("tags", "--page", "2", "a/b"), ("json", "--json", "a/b"), ("search", "-u", "x", "y"), ("tags", "--password-stdin", "a/b")])
def test_what_makes_no_sense_is_a_usage_error(davit, args):
    davit.fails(2, "v1", *args)


@pytest.mark.parametrize("name", ["old/app@xyz", "old/app:", "@" + BASE, "../app", "old/../app", "old/app?x:1", "old//app"])
def test_names_that_are_none_are_refused_before_any_request(davit, alone, name):
    davit.fails({1, 2}, "v1", "json", "--registry", alone.url, name)
    assert alone.requests == []


def test_plain_http_is_for_marked_hosts_only(davit):
    error = davit.fails({1, 2}, "v1", "tags", "--index", "http://index.example/v1/", "old/app").error
    assert "--insecure-registry index.example" in error


def test_a_registry_that_fails_is_asked_again(davit, alone):
    alone.answers["GET repositories/old/app/tags"] = [refuse(503, "later"), Answer(200, {"1.0": APP})]
    assert davit(*FAST, "v1", "tags", "--registry", alone.url, "old/app").lines == ["1.0"]


def test_a_registry_that_hangs_is_given_up(davit, alone):
    alone.answers["GET repositories/old/app/tags"] = Answer(hang=True)
    davit.fails(6, *FAST, "--max-download-attempts", "1", "v1", "tags", "--registry", alone.url, "old/app")


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"a":1}', b"\xff", b""])
def test_wrong_json_is_an_error(davit, alone, body):
    alone.answers["GET repositories/old/app/tags"] = Answer(200, body)
    assert "list of tags" in davit.fails(1, "v1", "tags", "--registry", alone.url, "old/app").error


def test_names_of_a_registry_cannot_steer_the_terminal(davit, alone):
    alone.answers["GET repositories/old/app/tags"] = Answer(200, {"\x1b[2J": APP})
    assert b"\x1b" not in davit("v1", "tags", "--registry", alone.url, "old/app").out


def test_no_trace_shows_a_password_or_a_token(davit, index, bound):
    """threat A12"""
    bound.cookies = True
    result = as_user(davit, "v1", "set-tag", "--index", index.url, "old/app:2.0", BASE, env={"DAVIT_TRACE": "all"})
    assert b"repositories/old/app" in result.err
    secrets = [PASSWORD, BASIC.split()[1], "session=granted", *(t.split(",")[0].removeprefix("signature=") for t in index.tokens)]
    assert len(secrets) == 4 and not [s for s in secrets if s.encode() in result.out + result.err]
