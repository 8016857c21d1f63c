"""Who gets which credentials: found where people keep them, sent only where they belong."""
import base64
import time

import pytest

from support import oci
from support.davit import FAST
from support.faults import Body, Header, Redirect, Status
from support.faulty_registry import Basic, Bearer, FaultyRegistry
from conftest import serve

USER, PASSWORD = "alice", "p4ss:with colon"


def identity(host, token):
    return {host: {"auth": base64.b64encode(b"<token>:").decode(), "identitytoken": token}}


# ---- Basic, at a real registry -------------------------------------------------------------------


def test_basic_credentials_of_the_docker_config_file(davit, htpasswd_registry, images):
    davit.login(htpasswd_registry.host, USER, PASSWORD)
    davit("pull", f"{htpasswd_registry.host}/demo/debian:1.0")
    davit.store.assert_exactly(images.image("debian").blobs)


@pytest.mark.parametrize("where", ["authfile", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG",
                                   "XDG_RUNTIME_DIR"])
def test_credentials_are_found_where_people_keep_them(davit, htpasswd_registry, tmp_path, where):
    files = {"DOCKER_CONFIG": "d/config.json", "XDG_RUNTIME_DIR": "d/containers/auth.json"}
    path = davit.login(htpasswd_registry.host, USER, PASSWORD,
                       tmp_path / files.get(where, "auth.json"))
    options = ["--authfile", path] if where == "authfile" else []
    value = str(tmp_path / "d") if where in files else str(path)
    davit(*options, "digest", f"{htpasswd_registry.host}/demo/debian:1.0", env={where: value})


def test_the_first_file_that_has_an_entry_wins(davit, htpasswd_registry, tmp_path):
    host = htpasswd_registry.host
    davit.login(host, USER, "wrong")
    good = davit.login(host, USER, PASSWORD, tmp_path / "good.json")
    davit("--authfile", good, "digest", f"{host}/demo/debian:1.0")
    empty = davit.write_auths({}, tmp_path / "empty.json")
    davit.fails(4, "--authfile", empty, "digest", f"{host}/demo/debian:1.0")


def test_an_https_prefixed_key_is_found(davit, htpasswd_registry):
    """auth.md 5: the hostname of the key decides"""
    davit.login(f"https://{htpasswd_registry.host}/v2/", USER, PASSWORD)
    davit("digest", f"{htpasswd_registry.host}/demo/debian:1.0")


def test_a_key_with_a_path_serves_that_path_only(davit, htpasswd_registry):
    """threat A9: Podman's form, the longest prefix wins"""
    davit.login(f"{htpasswd_registry.host}/demo", USER, PASSWORD)
    davit("digest", f"{htpasswd_registry.host}/demo/debian:1.0")
    davit.login(f"{htpasswd_registry.host}/demo/deb", USER, PASSWORD)
    davit.fails(4, "digest", f"{htpasswd_registry.host}/demo/debian:1.0")


def test_no_credentials_is_status_4(davit, htpasswd_registry):
    davit.fails(4, "pull", f"{htpasswd_registry.host}/demo/debian:1.0")


def test_a_wrong_password_is_status_4_and_not_repeated(davit, htpasswd_registry):
    davit.login(htpasswd_registry.host, USER, "wrong")
    mark = htpasswd_registry.mark()
    result = davit.fails(4, "pull", f"{htpasswd_registry.host}/demo/debian:1.0")
    assert "wrong" not in result.err.decode()
    assert len(htpasswd_registry.since(mark)) <= 4


def test_credentials_of_another_port_are_not_used(davit, faulty):
    """threat A9"""
    faulty.auth = Basic({USER: PASSWORD})
    davit.login("127.0.0.1:1", USER, PASSWORD)
    davit.login("127.0.0.1", USER, PASSWORD, davit.home / "other.json")
    davit.fails(4, "pull", faulty.ref)
    davit.fails(4, "--authfile", davit.home / "other.json", "pull", faulty.ref)
    assert faulty.secrets_seen("main") == []


# ---- tokens, at a real registry ------------------------------------------------------------------


def test_an_anonymous_token_is_enough_for_a_public_image(davit, token_registry, tokens, images):
    davit("pull", f"{token_registry.host}/demo/debian:1.0")
    davit.store.assert_exactly(images.image("debian").blobs)
    assert [r.scopes for r in tokens.requests] == [["repository:demo/debian:pull"]]
    assert tokens.requests[0].user is None
    assert tokens.requests[0].query["service"] == [tokens.service]


def test_a_user_gets_a_token_by_basic(davit, token_registry, tokens):
    davit.login(token_registry.host, USER, PASSWORD)
    davit("pull", f"{token_registry.host}/demo/twice:1.0")
    assert [(r.method, r.user) for r in tokens.requests] == [("GET", USER)]
    assert tokens.requests[0].query["account"] == [USER]


def test_a_private_image_without_a_user_is_status_4(davit, token_registry, tokens):
    davit.fails(4, "pull", f"{token_registry.host}/demo/twice:1.0")


def test_a_wrong_password_at_the_token_server_is_status_4(davit, token_registry, tokens):
    davit.login(token_registry.host, USER, "wr0ng")
    result = davit.fails(4, "pull", f"{token_registry.host}/demo/twice:1.0")
    assert "wr0ng" not in result.err.decode()


def test_an_identity_token_is_exchanged_by_post(davit, token_registry, tokens):
    tokens.refresh_tokens = {"R0-secret": USER}
    davit.write_auths(identity(token_registry.host, "R0-secret"))
    davit("pull", f"{token_registry.host}/demo/twice:1.0")
    request = tokens.requests[-1]
    assert request.method == "POST"
    assert request.form["grant_type"] == ["refresh_token"]
    assert request.form["refresh_token"] == ["R0-secret"]
    assert request.form["service"] == [tokens.service]
    assert request.scopes == ["repository:demo/twice:pull"]


@pytest.mark.parametrize("name", ["token", "access_token", "both"])
def test_either_field_may_hold_the_token(davit, token_registry, tokens, name):
    """quirks"""
    tokens.token_field = name
    davit("digest", f"{token_registry.host}/demo/debian:1.0")


@pytest.mark.parametrize("expires_in", [None, 0, 1])
def test_a_missing_or_tiny_expires_in_counts_as_60_seconds(davit, token_registry, tokens,
                                                            expires_in):
    """quirks: GHCR"""
    tokens.expires_in, tokens.lifetime = expires_in, 300
    davit("pull", f"{token_registry.host}/demo/debian:1.0")
    assert len(tokens.requests) == 1


def test_a_token_that_the_registry_no_longer_takes_is_renewed(davit, token_registry, tokens):
    tokens.lifetime = -5
    run = davit.start(*FAST, "pull", f"{token_registry.host}/demo/debian:1.0")
    deadline = time.monotonic() + 10
    while not tokens.requests and time.monotonic() < deadline:
        time.sleep(0.001)
    tokens.lifetime = 300
    assert run.wait().code == 0
    assert len(tokens.requests) >= 2


def test_one_token_serves_a_whole_pull(davit, token_registry, tokens):
    davit("pull", f"{token_registry.host}/demo/debian:1.0")
    assert len(tokens.requests) == 1


# ---- what a challenge may look like --------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_case_insensitive(davit, faulty, scheme):
    faulty.auth = Bearer(scheme=scheme)
    davit("digest", faulty.ref)


def test_an_unknown_scheme_is_status_4(davit, faulty):
    faulty.fault("manifest", Status(401, b"", (("WWW-Authenticate", "Negotiate"),)))
    davit.fails(4, "digest", faulty.ref)


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer realm", 'Bearer realm="', "\x01", "=,=,=",
                                   'Bearer realm="http://[::1/token"', 'Bearer realm="file:///x"',
                                   'Bearer realm=""', "Bearer " + "a=b," * 3000], ids=range(10))
def test_a_nonsense_challenge_is_an_error_and_no_crash(davit, faulty, value):
    faulty.fault("manifest", Status(401, b"", (("WWW-Authenticate", value),)))
    davit.fails({1, 4, 6}, *FAST, "digest", faulty.ref)


def test_401_on_head_without_a_challenge_is_asked_again_by_get(davit, faulty):
    """quirks"""
    faulty.auth = Bearer()
    faulty.fault("manifest", Status(401), method="HEAD", nth=1)
    davit("digest", faulty.ref)


@pytest.mark.parametrize("status", [401, 403])
def test_denied_is_status_4(davit, faulty, status):
    body = oci.dumps({"errors": [{"code": "DENIED", "message": "this is not for you"}]})
    faulty.fault("manifest", Status(status, body, (("Content-Type", "application/json"),)))
    assert "not for you" in davit.fails(4, "pull", faulty.ref).error


def test_insufficient_scope_is_status_4(davit, faulty):
    faulty.auth = Bearer(uses=0, error="insufficient_scope")
    davit.fails(4, "pull", faulty.ref)


@pytest.mark.parametrize("body", [
    b"", b"{}", b"[]", b"null", b'{"token":5}', b'{"token":"x","expires_in":"300"}',
    b'{"token":"a\\r\\nX-Injected: 1"}', b'{"token":"a\\u0000b"}', b"<html>", b'{"token":""}',
    b'{"token":"' + b"[" * 100000], ids=range(11))
def test_a_bad_token_answer_is_an_error_and_injects_nothing(davit, faulty, body):
    """threat A10"""
    faulty.auth = Bearer()
    faulty.fault("token", Body(body))
    davit.fails({1, 4, 6}, *FAST, "digest", faulty.ref)
    assert all(r.header("X-Injected") is None for r in faulty.requests)


def test_a_user_with_a_line_break_is_refused(davit, faulty):
    """threat A10"""
    faulty.auth = Basic({USER: PASSWORD})
    davit.login(faulty.host, "a\r\nX-Injected: 1", "p")
    davit.run(*FAST, "digest", faulty.ref)
    assert all(r.header("X-Injected") is None for r in faulty.requests)


# ---- where credentials go ------------------------------------------------------------------------


@pytest.fixture
def apart(small):
    """The second origin is another host: localhost, not 127.0.0.1."""
    with FaultyRegistry(second_name="localhost") as registry:
        yield serve(registry, small, "web")


def test_a_realm_on_another_host_gets_no_password(davit, apart):
    """threat A1"""
    apart.auth = Bearer(users={USER: PASSWORD}, realm="second")
    davit.login(apart.host, USER, PASSWORD)
    result = davit("pull", apart.ref)                      # the image is for all
    assert apart.of("token", origin="second") != []
    assert apart.secrets_seen("second") == []
    assert all("account" not in r.query for r in apart.of("token"))
    assert b"localhost" in result.err, "and it says so"


def test_a_realm_on_another_host_gets_no_identity_token(davit, apart):
    """threat A1"""
    apart.auth = Bearer(realm="second", refresh_tokens={"R0-secret": USER})
    davit.write_auths(identity(apart.host, "R0-secret"))
    davit("pull", apart.ref)
    assert all("R0-secret" not in r.target and b"R0-secret" not in r.body for r in apart.requests)


def test_a_trusted_realm_gets_the_password(davit, apart):
    """threat A1"""
    apart.auth = Bearer(users={USER: PASSWORD}, realm="second", anonymous=False)
    davit.login(apart.host, USER, PASSWORD)
    davit("--trust-realm", "localhost", "pull", apart.ref)
    assert apart.of("token")[-1].basic == (USER, PASSWORD)


def test_a_realm_on_another_port_of_the_same_host_gets_the_password(davit, faulty):
    """threat A1: "same host" is the same name, any port"""
    faulty.auth = Bearer(users={USER: PASSWORD}, realm="second", anonymous=False)
    davit.login(faulty.host, USER, PASSWORD)
    davit("pull", faulty.ref)
    assert faulty.of("token", origin="second")[-1].basic == (USER, PASSWORD)


def test_an_http_realm_gets_nothing_from_an_https_registry(davit, tls_faulty):
    """threat A1, A3"""
    tls_faulty.auth = Bearer(users={USER: PASSWORD}, realm="second")
    davit.login(tls_faulty.host, USER, PASSWORD)
    davit.fails({1, 4, 6}, *FAST, "pull", tls_faulty.ref)
    assert tls_faulty.of("any", origin="second") == []


@pytest.mark.parametrize("make", [lambda: Basic({USER: PASSWORD}),
                                  lambda: Bearer(users={USER: PASSWORD})], ids=["basic", "bearer"])
def test_a_redirect_to_another_origin_carries_no_credentials(davit, faulty, make):
    """threat A4"""
    faulty.auth = make()
    faulty.fault("blob", Redirect())
    davit.login(faulty.host, USER, PASSWORD)
    davit("--header", "X-Mine: secret", "pull", faulty.ref)
    davit.store.assert_exactly(faulty.image.blobs)
    assert faulty.secrets_seen("main") != []
    assert len(faulty.of("data", origin="second")) == 4
    assert faulty.secrets_seen("second") == []
    assert all(r.header("X-Mine") is None for r in faulty.of("any", origin="second"))


def test_a_manifest_redirect_carries_no_credentials(davit, faulty):
    """threat A4"""
    faulty.auth = Basic({USER: PASSWORD})
    faulty.fault("manifest", Redirect(lambda r: r.registry.second_url + r.target), origin="main",
                 method="GET")
    davit.login(faulty.host, USER, PASSWORD)
    davit.run(*FAST, "pull", faulty.ref)
    assert faulty.secrets_seen("second") == []


def test_credentials_dropped_on_a_redirect_are_not_restored(davit, faulty):
    """threat A4: the chain A, B, A"""
    faulty.auth = Basic({USER: PASSWORD})
    faulty.fault("blob", Redirect(), digest=faulty.layer)
    faulty.fault("data", Redirect(lambda r: f"{r.registry.url}/data/back/{r.ref}"), origin="second",
                 digest=faulty.layer)
    davit.login(faulty.host, USER, PASSWORD)
    davit.run(*FAST, "--max-download-attempts", "1", "pull", faulty.ref)
    back = [r for r in faulty.of("data", origin="main")]
    assert back != [] and all(r.header("Authorization") is None for r in back)


def test_a_401_at_the_redirect_target_gets_no_credentials(davit, faulty):
    """threat A6"""
    faulty.auth = Basic({USER: PASSWORD})
    faulty.fault("blob", Redirect(), digest=faulty.layer)
    faulty.fault("data", Status(401, b"", (("WWW-Authenticate", 'Basic realm="give"'),)))
    davit.login(faulty.host, USER, PASSWORD)
    davit.fails({1, 4, 6}, *FAST, "--max-download-attempts", "2", "pull", faulty.ref)
    assert faulty.secrets_seen("second") == []


def test_the_plain_try_at_a_loopback_registry_shows_no_credentials(davit, faulty):
    """threat A14: TLS and plain HTTP are tried at once, and TLS may still win"""
    faulty.auth = Basic({USER: PASSWORD})
    davit.login(faulty.host, USER, PASSWORD)
    davit("digest", faulty.ref)
    assert faulty.of("manifest")[0].header("Authorization") is None
    assert faulty.of("manifest")[-1].basic == (USER, PASSWORD)


def test_extra_headers_go_to_the_registry_but_not_to_another_realm(davit, apart):
    """threat A4"""
    apart.auth = Bearer(realm="second")
    davit("--header", "X-Mine: secret", "pull", apart.ref)
    assert apart.of("manifest")[-1].header("X-Mine") == "secret"
    assert all(r.header("X-Mine") is None for r in apart.of("any", origin="second"))


@pytest.mark.parametrize("header", ["Authorization: Bearer x", "Cookie: a=b", "Host: evil",
                                    "Range: bytes=0-1", "Content-Length: 3", "X: a\r\nY: b",
                                    "nocolon"])
def test_headers_that_are_ours_to_set_are_refused(davit, faulty, header):
    """threat A4, A10"""
    davit.fails(2, "--header", header, "digest", faulty.ref)
    assert faulty.requests == []


def test_no_cookie_is_ever_sent_back(davit, faulty):
    """quirks: Harbor's CSRF check"""
    faulty.fault("any", Header("Set-Cookie", "sid=1; Path=/"))
    davit("pull", faulty.ref)
    assert all(r.header("Cookie") is None for r in faulty.requests)


@pytest.mark.parametrize("how", [["--debug"], ["trace"]])
def test_no_secret_is_in_what_debugging_prints(davit, faulty, how):
    """threat A12"""
    faulty.auth = Bearer(users={USER: "hunter2-secret"}, anonymous=False)
    faulty.fault("blob", Redirect())
    davit.login(faulty.host, USER, "hunter2-secret")
    env = {"DAVIT_TRACE": "all"} if how == ["trace"] else {}
    result = davit(*([] if env else how), "pull", faulty.ref, env=env)
    said = (result.out + result.err).decode()
    coded = base64.b64encode(f"{USER}:hunter2-secret".encode()).decode()
    for secret in ("hunter2-secret", coded, "s3cret-signature", *faulty.auth.tokens):
        assert secret not in said
