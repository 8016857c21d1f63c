"""Searching: an index that answers as Docker Hub's v1 search does, registries that have only a catalogue, and indexes that
misbehave."""
import base64
import json
import shutil
import time

import pytest

from support.davit import FAST
from support.hub import HubProxy
from support.registry import DockerRegistry
from support.search_server import Answer, SearchServer, repository
from support.tls import Authority
from conftest import USERS

USER, PASSWORD = "alice", USERS["alice"]
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
ROWS = [repository("library/web", 120, official=True, description="A web\nserver"),
        repository("acme/web-tools", 3, automated=True,
                   description="Ünïcode: forty-five characters and then some more of it"),
        repository("acme/webhook", 0)]


@pytest.fixture
def index():
    with SearchServer(ROWS) as server:
        yield server


@pytest.fixture
def other():
    with SearchServer(ROWS) as server:
        yield server


@pytest.fixture(scope="module")
def secure_authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("search-tls"), names=("localhost", "index.localhost"))


@pytest.fixture
def secure_index(secure_authority):
    """Over TLS, under a name that does not count as insecure."""
    with SearchServer(ROWS, authority=secure_authority, name="index.localhost") as server:
        yield server


@pytest.fixture
def trusted(secure_index, secure_authority, tmp_path):
    """The option that makes its certificate a trusted one."""
    return ["--certs-dir", secure_authority.certs_dir(tmp_path / "certs.d", secure_index.host)]


def notes(result):
    return [line for line in result.messages if line.startswith("note: ")]


# ---- what is printed -----------------------------------------------------------------------------


def test_the_table_is_as_docker_prints_it(davit, index):
    result = davit("search", f"{index.host}/web")
    assert [line.rstrip() for line in result.lines] == [
        "NAME             DESCRIPTION                                     STARS     OFFICIAL",
        "library/web      A web server                                    120       [OK]",
        "acme/web-tools   Ünïcode: forty-five characters and then some…   3",
        "acme/webhook                                                     0",
    ]
    assert result.err == b""
    assert [(r.path, r.query) for r in index.requests] == [
        ("/v1/_ping", {}), ("/v1/search", {"q": "web", "n": "25"})]
    assert index.seen("search")[0].headers["x-docker-token"] == "true"
    assert "authorization" not in index.seen("search")[0].headers


def test_no_trunc_shows_whole_descriptions(davit, index):
    result = davit("search", "--no-trunc", f"{index.host}/web-tools")
    assert "forty-five characters and then some more of it" in result.text


def test_json_is_the_list_of_the_engine_api(davit, index):
    result = davit("search", "--json", f"{index.host}/web-tools")
    assert result.json == [{"star_count": 3, "is_official": False, "name": "acme/web-tools",
                            "is_automated": False, "description": ROWS[1]["description"]}]
    assert list(result.json[0]) == ["star_count", "is_official", "name", "is_automated", "description"]


def test_nothing_found_is_a_success(davit, index):
    assert davit("search", f"{index.host}/nothing").lines == [
        "NAME      DESCRIPTION   STARS     OFFICIAL"]
    assert davit("search", "--json", f"{index.host}/nothing").json == []


def test_a_description_cannot_steer_the_terminal(davit, index):
    """threat C11"""
    evil = "\x1b]0;owned\x07\x1b[2J\u202eevil\r\n\tand\x9b1m"
    index.repositories = [repository("evil\x1b[31m/web", description=evil)]
    table = davit("search", "--no-trunc", f"{index.host}/web").out
    document = davit("search", "--json", f"{index.host}/web").out
    for out in (table, document):
        assert not any(c in out.decode() for c in "\x1b\x07\r\u202e\x9b")
    assert b"evil\\x1B[31m/web" in table and b"\\x1B]0;owned\\x07" in table
    assert json.loads(document)[0]["description"] == evil


def test_a_hostile_length_fits_in_a_line(davit, index):
    index.repositories = [repository("web" + "n" * 100000, description="\u202e" * 100000)]
    result = davit("search", "--no-trunc", f"{index.host}/web")
    assert len(result.lines) == 2 and len(result.out) < 100000
    assert davit("search", "--json", f"{index.host}/web").json[0]["name"] == "web" + "n" * 100000


# ---- filters and limits --------------------------------------------------------------------------


@pytest.mark.parametrize("filters,expected", [
    (["stars=1"], ["library/web", "acme/web-tools"]),
    (["stars=1", "stars=4"], ["library/web"]),
    (["is-official=true"], ["library/web"]),
    (["is-official=false"], ["acme/web-tools", "acme/webhook"]),
    (["is-official=0", "stars=1"], ["acme/web-tools"]),
])
def test_filters(davit, index, filters, expected):
    options = [word for f in filters for word in ("--filter", f)]
    result = davit("search", *options, "--json", f"{index.host}/web")
    assert [row["name"] for row in result.json] == expected


def test_automated_is_deprecated_and_finds_nothing(davit, index):
    result = davit("search", "-f", "is-automated=true", "--json", f"{index.host}/web")
    assert result.json == [] and index.requests == []
    assert result.messages[0].startswith("warning: the \"is-automated\" filter is deprecated")
    result = davit("search", "-f", "is-automated=false", "--json", f"{index.host}/web")
    assert len(result.json) == 3 and len(result.messages) == 1


@pytest.mark.parametrize("filter,words", [
    ("type=x", "invalid filter 'type'"),
    ("is-official=maybe", "invalid filter 'is-official=[maybe]'"),
    ("is-official", "invalid filter 'is-official'"),
    ("stars", "invalid filter 'stars'"),
    ("stars=many", "invalid filter 'stars=many': strconv.Atoi: parsing \"many\": invalid syntax"),
    ("=1", "invalid filter '=1': no key"),
])
def test_bad_filters_ask_nobody(davit, index, filter, words):
    result = davit.fails(2, "search", "--filter", filter, f"{index.host}/web")
    assert result.error == f"davit: {words}" and index.requests == []


@pytest.mark.parametrize("limit,sent", [("0", "25"), ("1", "1"), ("100", "100")])
def test_limits(davit, index, limit, sent):
    davit("search", "--limit", limit, f"{index.host}/web")
    assert [r.query["n"] for r in index.seen("search")] == [sent]


@pytest.mark.parametrize("limit", ["101", "-1", "9223372036854775807"])
def test_limits_out_of_range(davit, index, limit):
    result = davit.fails(2, "search", f"--limit={limit}", f"{index.host}/web")
    assert result.error == f"davit: limit {limit} is outside the range of [1, 100]"
    assert index.paths == ["/v1/_ping"]


@pytest.mark.parametrize("limit", ["x", "1.5", "--"])
def test_limits_that_are_none(davit, index, limit):
    davit.fails(2, "search", f"--limit={limit}", f"{index.host}/web")
    assert index.requests == []


def test_a_term_has_no_scheme(davit, index):
    result = davit.fails(2, "search", f"{index.url}/web")
    assert result.error == ("davit: invalid repository name: repository name "
                            f"({index.url}/web) should not have a scheme")


# ---- where and over what -------------------------------------------------------------------------


def test_tls_with_a_ca_of_its_own(davit, secure_index, trusted):
    assert len(davit(*trusted, "search", "--json", f"{secure_index.host}/web").json) == 3
    assert secure_index.paths == ["/v1/_ping", "/v1/_ping", "/v1/search"]


def test_a_certificate_that_is_not_trusted(davit, secure_index):
    """threat A14: and no plain request"""
    host = secure_index.host
    result = davit.fails(5, "search", f"{host}/web")
    assert result.error.startswith(f"davit: invalid registry endpoint https://{host}/v1/: Get ")
    assert result.error.endswith(f"simply place the CA certificate at /etc/docker/certs.d/{host}/ca.crt")
    assert secure_index.requests == []


def test_plain_http_needs_an_insecure_host(davit, index):
    host = index.host.replace("127.0.0.1", "index.localhost")
    result = davit.fails(6, *FAST, "search", f"{host}/web")
    assert "add `--insecure-registry " + host in result.error
    assert index.requests == []
    assert davit("--insecure-registry", host, "search", "--json", f"{host}/web").json


def test_nobody_is_there(davit, free_port):
    host = f"127.0.0.1:{free_port}"
    result = davit.fails(6, *FAST, "search", f"{host}/web")
    assert result.error.startswith(f"davit: invalid registry endpoint \"http://{host}/v1/\". HTTPS attempt: ")
    assert " HTTP attempt: Get " in result.error


# ---- credentials ---------------------------------------------------------------------------------


def test_basic_with_stored_credentials(davit, index):
    index.users = USERS
    davit.login(index.host, USER, PASSWORD)
    assert davit("search", "--json", f"{index.host}/web").json
    assert [r.headers.get("authorization") for r in index.requests] == [None, BASIC]


@pytest.mark.parametrize("standalone,sent", [(None, BASIC), (True, BASIC), (False, BASIC)])
def test_basic_over_tls(davit, secure_index, trusted, standalone, sent):
    """Standalone: always; else because the request asks for a token."""
    secure_index.standalone = standalone
    davit.login(secure_index.host, USER, PASSWORD)
    davit(*trusted, "search", f"{secure_index.host}/web")
    assert [r.headers.get("authorization") for r in secure_index.requests] == [None, None, sent]


def test_credentials_of_another_host_are_not_sent(davit, index):
    davit.login("127.0.0.1:1", USER, PASSWORD)
    davit("search", f"{index.host}/web")
    assert all("authorization" not in r.headers for r in index.requests)


def test_wrong_credentials_are_status_4(davit, index):
    index.users = USERS
    davit.login(index.host, USER, "wrong-secret")
    result = davit.fails(4, "search", f"{index.host}/web")
    assert result.error == "davit: Unexpected status code 401"
    assert b"wrong-secret" not in result.err
    assert len(index.seen("search")) == 1


def test_no_secret_in_a_trace(davit, index):
    davit.login(index.host, USER, PASSWORD)
    index.answers["search"] = [Answer(302, "", {"Location": "/v1/search?q=web&n=25",
                                                "Set-Cookie": "sid=c00kie; Path=/"}),
                               Answer(503, "", {"X-Docker-Token": "t0ken"}), Answer(200, {"results": []})]
    result = davit(*FAST, "search", f"{index.host}/web", env={"DAVIT_TRACE": "all"})
    assert index.requests[-1].headers["cookie"] == "sid=c00kie"
    for secret in (PASSWORD, BASIC[6:], "c00kie", "t0ken"):
        assert secret.encode() not in result.err


def test_a_token_that_the_index_gave(davit, index):
    index.tokens = {"signature=abc"}
    index.ping_headers = {"X-Docker-Token": "signature=abc"}
    assert davit("search", "--json", f"{index.host}/web").json
    assert index.seen("search")[0].headers["authorization"] == "Token signature=abc"


def test_an_identity_token_asks_the_v2_side(davit, index, tokens):
    """search.md 11; scope registry:catalog:search"""
    tokens.refresh_tokens = {"R0-secret": USER}
    challenge = f'Bearer realm="{tokens.realm}",service="{tokens.service}"'
    index.answers["/v2/"] = Answer(401, "", {"WWW-Authenticate": challenge})
    davit.write_auths({index.host: {"auth": base64.b64encode(b"alice:").decode(),
                                    "identitytoken": "R0-secret"}})
    assert davit("search", "--json", f"{index.host}/web").json
    assert index.paths == ["/v1/_ping", "/v2/", "/v1/search"]
    request, = tokens.requests
    assert (request.method, request.scopes) == ("POST", ["registry:catalog:search"])
    assert index.seen("search")[0].headers["authorization"] == f"Bearer {request.token}"
    assert all("R0-secret" not in str(r.headers) for r in index.requests)


def test_an_identity_token_that_is_refused_is_status_4(davit, index, tokens):
    challenge = f'Bearer realm="{tokens.realm}",service="{tokens.service}"'
    index.answers["/v2/"] = Answer(401, "", {"WWW-Authenticate": challenge})
    davit.write_auths({index.host: {"auth": base64.b64encode(b"alice:").decode(),
                                    "identitytoken": "R0-secret"}})
    result = davit.fails(4, "search", f"{index.host}/web")
    assert result.error.startswith(f"davit: Get \"{index.url}/v1/search?q=web&n=25\": ")
    assert "R0-secret" not in result.error and index.seen("search") == []


# ---- Docker Hub, as far as davit can tell --------------------------------------------------------


@pytest.fixture
def hub(davit, tmp_path):
    authority = Authority(tmp_path / "hub-tls", names=("index.docker.io",))
    with SearchServer(ROWS, authority=authority) as server:
        with HubProxy(server.host, authority.ca, "index.docker.io") as proxy:
            davit.env.update(proxy.env)
            yield server


@pytest.mark.parametrize("term,word", [
    ("web", "web"), ("acme/web", "acme/web"), ("Acme/web", "Acme/web"), ("library/web", "web"),
    ("docker.io/library/web", "web"), ("index.docker.io/web", "web"), ("library/library/web", "library/web"),
    ("", ""),
])
def test_docker_hub_is_asked_without_a_ping(davit, hub, term, word):
    davit("search", term)
    assert [(r.path, r.query) for r in hub.requests] == [("/v1/search", {"q": word, "n": "25"})]
    assert hub.requests[0].headers["host"] == "index.docker.io"


def test_docker_hub_gets_its_credentials_and_has_no_catalogue_here(davit, hub):
    davit.login("https://index.docker.io/v1/", USER, PASSWORD)
    hub.answers["search"] = Answer(404)
    result = davit.fails(3, "search", "web")
    assert result.error == "davit: Unexpected status code 404"
    assert [r.headers["authorization"] for r in hub.requests] == [BASIC]


# ---- redirects and cookies (threats A3, A4) ------------------------------------------------------


def test_a_redirect_on_the_same_origin(davit, index):
    davit.login(index.host, USER, PASSWORD)
    index.answers["search"] = Answer(302, "", {"Location": "/elsewhere", "Set-Cookie": "sid=1; Path=/"})
    index.answers["/elsewhere"] = Answer(200, {"results": ROWS})
    assert len(davit("--header", "X-Meta-Who: me", "search", "--json", f"{index.host}/web").json) == 3
    headers = index.seen("/elsewhere")[0].headers
    assert headers["authorization"] == BASIC and headers["cookie"] == "sid=1"
    assert headers["x-meta-who"] == "me" and headers["x-docker-token"] == "true"


def test_a_redirect_to_another_origin(davit, index, other):
    davit.login(index.host, USER, PASSWORD)
    index.answers["search"] = Answer(302, "", {"Location": f"{other.url}/v1/search?q=web&n=1",
                                               "Set-Cookie": "sid=1; Path=/"})
    assert len(davit("--header", "X-Meta-Who: me", "search", "--json", f"{index.host}/web").json) == 1
    request, = other.requests
    for name in ("authorization", "cookie", "x-meta-who"):
        assert name not in request.headers, name
    assert request.headers["x-docker-token"] == "true"


def test_https_never_becomes_http(davit, secure_index, trusted, other):
    secure_index.answers["search"] = Answer(302, "", {"Location": f"{other.url}/v1/search?q=web&n=1"})
    result = davit.fails(1, *trusted, "search", f"{secure_index.host}/web")
    assert "redirect from https to http" in result.error and other.requests == []


def test_redirects_in_a_circle(davit, index):
    index.answers["search"] = Answer(302, "", {"Location": "/v1/search?q=web&n=25"})
    assert "stopped after 10 redirects" in davit.fails(1, "search", f"{index.host}/web").error


# ---- indexes that misbehave ----------------------------------------------------------------------


@pytest.mark.parametrize("status,code,times", [(500, 6, 2), (503, 6, 2), (429, 6, 2), (403, 4, 1), (418, 1, 1)])
def test_statuses(davit, index, status, code, times):
    index.answers["search"] = Answer(status, "not for you")
    result = davit.fails(code, *FAST, "--max-download-attempts", 2, "search", f"{index.host}/web")
    assert result.error == f"davit: Unexpected status code {status}"
    assert len(index.seen("search")) == times


@pytest.mark.parametrize("body", ["<html>", "[]", "", '{"results":[{"star_count":"3"}]}', '{"results":[]',
                                  b'{"results":[{"name":"\xff"}]}', "[" * 100000])
def test_answers_that_are_none(davit, index, body):
    index.answers["search"] = Answer(200, body)
    result = davit.fails(1, "search", f"{index.host}/web")
    assert result.error.startswith("davit: error decoding registry search results: ")


def test_an_endless_answer(davit, index):
    """threat C1"""
    index.answers["search"] = Answer(200, b" " * 65536, endless=True)
    result = davit.fails(1, "search", f"{index.host}/web", timeout=20)
    assert "longer than 4194304 bytes" in result.error


def test_a_long_answer_that_is_just_short_enough(davit, index):
    index.repositories = [repository(f"web{i:05}", i) for i in range(10000)]
    index.answers["search"] = Answer(200, {"results": index.repositories})
    assert len(davit("search", "--json", f"{index.host}/web").json) == 10000
    assert len(davit("search", "--filter", "stars=9999", f"{index.host}/web").lines) == 2


@pytest.mark.parametrize("path", ["_ping", "search"])
def test_silence_has_a_limit(davit, index, path):
    index.answers[path] = Answer(hang=True)
    result = davit.fails(6, *FAST, "--max-download-attempts", 1, "search", f"{index.host}/web")
    assert "no answer within" in result.error


@pytest.mark.parametrize("path", ["_ping", "search"])
def test_interrupted_within_a_second(davit, index, path):
    index.answers[path] = Answer(hang=True)
    running = davit.start("search", f"{index.host}/web")
    deadline = time.monotonic() + 10
    while not index.seen(path) and time.monotonic() < deadline:
        time.sleep(0.02)
    before = time.monotonic()
    running.signal()
    result = running.wait()
    assert result.code == 130 and time.monotonic() - before < 1.5


# ---- registries that have only a catalogue -------------------------------------------------------


def with_repositories(registry, images, names, user=None):
    """One small image, and its repository again under other names: what a push would have left there."""
    registry.push(images, "twice", "seed:1", user=user)
    root = registry.dir / "data/docker/registry/v2/repositories"
    for name in names:
        shutil.copytree(root / "seed", root / name)
    shutil.rmtree(root / "seed")
    return registry


@pytest.fixture(scope="module")
def large_registry(images, tmp_path_factory):
    """150 repositories, of which the server's pages hold 100."""
    names = [f"team{i % 3}/app-{i:03}" for i in range(148)] + ["zoo/web-ui", "web"]
    with DockerRegistry(tmp_path_factory.mktemp("catalogue")) as registry:
        yield with_repositories(registry, images, names)


def test_the_catalogue_in_place_of_a_search(davit, large_registry):
    host = large_registry.host
    mark = large_registry.mark()
    result = davit("search", f"{host}/WEB")
    assert [line.split() for line in result.lines] == [
        ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"], ["web", "0"], ["zoo/web-ui", "0"]]
    assert notes(result) == [f"note: {host} has no search; these are the names in its catalogue that "
                             "contain \"WEB\""]
    asked = [a.path for a in large_registry.since(mark)]
    assert asked[:2] == ["/v1/_ping", "/v1/search?q=WEB&n=25"]
    assert [path.split("?")[0] for path in asked[2:]] == ["/v2/_catalog"] * 2


def test_the_catalogue_as_json(davit, large_registry):
    result = davit("search", "--json", f"{large_registry.host}/zoo")
    assert result.json == [{"star_count": 0, "is_official": False, "name": "zoo/web-ui",
                            "is_automated": False, "description": ""}]
    assert len(notes(result)) == 1


def test_the_catalogue_is_cut_at_the_limit_and_says_so(davit, large_registry):
    host = large_registry.host
    result = davit("search", "--json", f"{host}/app-")
    assert len(result.json) == 25
    assert notes(result)[0].endswith("contain \"app-\"; the first 25 of more, see --limit")
    result = davit("search", "--json", "--limit", "100", f"{host}/team1/")
    assert [row["name"] for row in result.json] == [f"team1/app-{i:03}" for i in range(1, 148, 3)]
    assert notes(result)[0].endswith("contain \"team1/\"")
    assert len(davit("search", "--json", "--limit", "1", f"{host}/app-").json) == 1


def test_the_catalogue_alone(davit, large_registry):
    result = davit("search", "--limit", "100", "--json", f"{large_registry.host}/")
    assert len(result.json) == 100
    assert notes(result) == [f"note: {large_registry.host} has no search; these are the names in its "
                             "catalogue; the first 100 of more, see --limit"]


def test_nothing_in_the_catalogue(davit, large_registry):
    result = davit("search", "--json", f"{large_registry.host}/nothing")
    assert result.json == [] and len(notes(result)) == 1
    assert davit("-q", "search", "--json", f"{large_registry.host}/nothing").err == b""


@pytest.mark.parametrize("filter,known", [("stars=1", False), ("is-official=true", False), ("is-official=1", False),
                                          ("stars=0", True), ("stars=-3", True), ("is-official=false", True)])
def test_what_a_catalogue_cannot_know(davit, large_registry, filter, known):
    result = davit("search", "--filter", filter, "--json", f"{large_registry.host}/zoo")
    assert bool(result.json) == known
    assert ("knows neither stars nor what is official" in notes(result)[0]) != known


def test_a_catalogue_with_credentials(davit, images, tmp_path):
    with DockerRegistry(tmp_path, "htpasswd", USERS) as registry:
        with_repositories(registry, images, ["demo/one", "demo/two"], USER)
        result = davit.fails(4, "search", f"{registry.host}/demo")
        assert result.error == (f"davit: {registry.host} has no search (Unexpected status code 404), and its "
                                "catalogue cannot be had: no basic auth credentials")
        davit.login(registry.host, USER, PASSWORD)
        names = [row["name"] for row in davit("search", "--json", f"{registry.host}/demo").json]
        assert names == ["demo/one", "demo/two"]
        davit.login(registry.host, USER, "wrong")
        davit.fails(4, "search", f"{registry.host}/demo")


def test_neither_a_search_nor_a_catalogue(davit, index):
    index.answers["search"] = Answer(404, "404 page not found")
    result = davit.fails(1, "search", f"{index.host}/web")
    assert result.error.startswith(f"davit: {index.host} has no search (Unexpected status code 404), and its "
                                   f"catalogue cannot be had: {index.host} does not list its repositories: ")


def test_names_of_a_catalogue_cannot_steer_the_terminal(davit, index):
    """threat C11"""
    index.answers["search"] = Answer(404)
    index.answers["/v2/_catalog"] = Answer(200, {"repositories": ["web\x1b[2J\u202e", "\x07"]})
    result = davit("search", f"{index.host}/web")
    assert b"\x1b" not in result.out and b"web\\x1B[2J" in result.out
    result = davit("search", f"{index.host}/\x1b")
    assert b"\x1b" not in result.err and b"\x1b" not in result.out


def test_a_catalogue_that_leads_in_a_circle(davit, index):
    """threat C4"""
    index.answers["search"] = Answer(404)
    index.answers["/v2/_catalog"] = Answer(200, {"repositories": ["web"]}, {"Link": "</v2/_catalog>"})
    assert "the registry repeats a page" in davit.fails(1, "search", f"{index.host}/web").error
