"""Logging in: proved first, stored then, in files that others can read; nothing is left of what failed."""
import base64
import fcntl
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import termios
import time

import pytest

from support.davit import FAST, SLOW
from support.faults import Redirect, StallHead, Status
from support.faulty_registry import Basic, Bearer, FaultyRegistry
from support.registry import DockerRegistry
from support.terminal import Terminal
from support.token_server import REFUSALS, TokenServer

USER, PASSWORD = "alice", "p4ss:with colon"
QUICK = [*FAST, "--max-download-attempts", "1"]


def login(davit, host, *options, user=USER, password=PASSWORD, how=(), **more):
    """With the password on standard input; must succeed."""
    result = davit(*options, "login", "-u", user, "--password-stdin", *how, host,
                   data=password.encode(), **more)
    assert result.text == "Login Succeeded\n"
    assert password not in str(result.err)
    return result


def fails(davit, code, host, *options, user=USER, password=PASSWORD, **more):
    """The same, refused; nothing is stored and the password is not repeated."""
    file = davit.home / ".docker" / "config.json"
    before = file.read_bytes() if file.is_file() else None
    result = davit.fails(code, *options, "login", "-u", user, "--password-stdin", host,
                         data=password.encode(), **more)
    assert password not in result.err.decode() + result.out.decode()
    assert (file.read_bytes() if file.is_file() else None) == before
    return result


def config(davit):
    return davit.home / ".docker" / "config.json"


def entry(davit, host):
    return json.loads(config(davit).read_text())["auths"][host]


def decoded(davit, host):
    return base64.b64decode(entry(davit, host)["auth"]).decode()


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def login_tokens():
    """A token server of this test's own."""
    with TokenServer(users={USER: PASSWORD}) as server:
        yield server


@pytest.fixture
def login_registry(login_tokens, tmp_path, images):
    """A registry that asks it for tokens, with demo/twice:1.0."""
    with DockerRegistry(tmp_path, login_tokens) as registry:
        registry.push(images, "twice", "demo/twice:1.0", user=USER)
        login_tokens.requests.clear()
        yield registry


# ---- Basic ---------------------------------------------------------------------------------------


def test_a_password_is_proved_stored_and_used(davit, htpasswd_registry):
    host = htpasswd_registry.host
    result = login(davit, host)
    assert decoded(davit, host) == f"{USER}:{PASSWORD}"
    assert mode(config(davit)) == 0o600 and mode(config(davit).parent) == 0o700
    davit("pull", f"{host}/demo/debian:1.0")
    warning, = result.messages
    assert "unencrypted" in warning and str(config(davit)) in warning and "credsStore" in warning
    assert "docker-credential-davit" in warning


@pytest.mark.parametrize("form", ["https://{}", "https://{}/v2/", "http://{}/some/path?x=1"])
def test_a_url_stands_for_its_host(davit, htpasswd_registry, form):
    host = htpasswd_registry.host
    login(davit, form.format(host))
    assert list(json.loads(config(davit).read_text())["auths"]) == [host]
    davit("digest", f"{host}/demo/debian:1.0")


@pytest.mark.parametrize("user,password", [(USER, "wrong-pw"), ("mallory", PASSWORD)])
def test_a_wrong_password_or_user_is_status_4_and_says_who_refused(davit, htpasswd_registry, user,
                                                                  password):
    host = htpasswd_registry.host
    mark = htpasswd_registry.mark()
    result = fails(davit, 4, host, user=user, password=password)
    assert f"login attempt to http://{host}/v2/ failed with status: 401 Unauthorized" in result.error
    assert not config(davit).exists()
    assert len(htpasswd_registry.since(mark)) == 2       # asked, and refused once


def test_over_tls_the_password_is_never_sent_in_the_clear(davit, tls_faulty):
    """DESIGN 5: TLS and plain are raced for an insecure host, the plain one without credentials"""
    tls_faulty.auth = Basic({USER: PASSWORD})
    result = fails(davit, 4, tls_faulty.host, password="wrong-pw")
    assert f"https://{tls_faulty.host}/v2/" in result.error
    login(davit, tls_faulty.host)


def test_tls_with_the_real_registry(davit, authority, tmp_path, images):
    with DockerRegistry(tmp_path, "htpasswd", {USER: PASSWORD}, authority=authority) as registry:
        login(davit, registry.host)
        result = fails(davit, 4, registry.host, password="wrong-pw")
        assert f"https://{registry.host}/v2/" in result.error


def test_a_registry_that_asks_nobody_is_said_to_have_checked_nothing(davit, open_registry):
    result = login(davit, open_registry.host)
    assert any("did not ask for the credentials" in line for line in result.messages)
    assert decoded(davit, open_registry.host) == f"{USER}:{PASSWORD}"


def test_an_anonymous_200_after_a_refusal_is_no_login(davit, faulty):
    """threat A1: asked once, then refused, then everybody is let in"""
    faulty.auth = Basic({})
    faulty.fault("ping", Status(200), nth=3, times=100)
    fails(davit, 4, faulty.host)
    assert len(faulty.of("ping")) == 2


@pytest.mark.parametrize("status,code,words", [
    (403, 4, "403 Forbidden"), (404, 3, "404 Not Found"), (429, 6, "429 Too Many Requests"),
    (500, 6, "500 Internal Server Error"), (503, 6, "503 Service Unavailable")])
def test_statuses_of_the_registry(davit, faulty, status, code, words):
    faulty.auth = Basic({USER: PASSWORD})
    faulty.fault("ping", Status(status), nth=2, times=100)
    result = fails(davit, code, faulty.host)
    assert f"login attempt to http://{faulty.host}/v2/ failed with status: {words}" in result.error


def test_a_registry_that_does_not_answer(davit, faulty):
    faulty.fault("ping", StallHead(60))
    result = fails(davit, 6, faulty.host, *QUICK)
    assert result.seconds < 10 * SLOW
    assert f'Get "http://{faulty.host}/v2/": ' in result.error


def test_nobody_there(davit, free_port):
    result = fails(davit, 6, f"127.0.0.1:{free_port}", *QUICK)
    assert f"127.0.0.1:{free_port}" in result.error


def test_an_unknown_host(davit):
    result = fails(davit, 6, "registry.invalid", *QUICK, timeout=60)
    assert "registry.invalid" in result.error


def test_without_a_registry_it_is_docker_hub(davit, free_port):
    """Nothing leaves this machine: the proxy is a port that nobody listens on."""
    result = davit.fails(6, *QUICK, "login", "-u", USER, "--password-stdin", data=b"pw",
                         env={"HTTPS_PROXY": f"http://127.0.0.1:{free_port}"})
    assert 'Get "https://registry-1.docker.io/v2/": ' in result.error


def test_the_password_does_not_follow_a_redirect(davit, faulty):
    """threat A4"""
    faulty.auth = Basic({USER: PASSWORD})
    faulty.fault("ping", Redirect(f"{faulty.second_url}/v2/"))
    faulty.fault("ping", Status(401, b"", (("WWW-Authenticate", 'Basic realm="x"'),)), origin="second")
    fails(davit, 4, faulty.host)
    assert faulty.secrets_seen("second") == []


# ---- tokens --------------------------------------------------------------------------------------


def test_a_token_server_proves_the_password(davit, login_registry, login_tokens):
    login(davit, login_registry.host)
    request, = login_tokens.requests
    assert (request.method, request.user) == ("GET", USER)
    assert request.query == {"account": [USER], "client_id": ["docker"], "offline_token": ["true"],
                             "service": [login_tokens.service]}
    davit("pull", f"{login_registry.host}/demo/twice:1.0")
    assert decoded(davit, login_registry.host) == f"{USER}:{PASSWORD}"


@pytest.mark.parametrize("user,password", [(USER, "wrong-pw"), ("mallory", PASSWORD)])
def test_a_token_server_that_refuses_is_named(davit, login_registry, login_tokens, user, password):
    result = fails(davit, 4, login_registry.host, user=user, password=password)
    assert "token server 127.0.0.1: unauthorized: incorrect user or password" in result.error
    assert f'Get "http://{login_registry.host}/v2/": ' in result.error
    assert len(login_tokens.requests) == 1


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_of_a_token_server(davit, login_registry, login_tokens, name):
    """auth.md 9"""
    login_tokens.refusal = REFUSALS[name]
    result = fails(davit, 4, login_registry.host)
    assert f"token server 127.0.0.1: {REFUSALS[name][4]}" in result.error


@pytest.mark.parametrize("status", [500, 503])
def test_a_token_server_that_fails_is_status_6(davit, login_registry, login_tokens, status):
    login_tokens.refusal = (status, "text/plain", "oops", {})
    result = fails(davit, 6, login_registry.host, *FAST)
    assert f"token server 127.0.0.1: received unexpected HTTP status: {status}" in result.error
    assert len(login_tokens.requests) == 5


def test_a_token_server_that_does_not_answer(davit, login_registry, login_tokens):
    login_tokens.silent = True
    result = fails(davit, 6, login_registry.host, *QUICK)
    assert result.seconds < 10 * SLOW and "token server 127.0.0.1" in result.error


def test_an_identity_token_takes_the_place_of_the_password(davit, login_registry, login_tokens):
    login_tokens.give_refresh_token = "offline"
    result = login(davit, login_registry.host)
    token, = login_tokens.refresh_tokens
    kept = entry(davit, login_registry.host)
    assert kept["identitytoken"] == token
    assert PASSWORD not in config(davit).read_text()
    assert PASSWORD not in base64.b64decode(kept.get("auth", "")).decode()
    assert "identity token is stored unencrypted" in result.messages[-1]
    login_tokens.requests.clear()
    davit("pull", f"{login_registry.host}/demo/twice:1.0")
    request = login_tokens.requests[0]
    assert request.method == "POST" and request.user == USER
    assert request.form["grant_type"] == ["refresh_token"] and request.form["refresh_token"] == [token]


def test_a_realm_that_is_not_trusted_fails_the_login(davit, tmp_path, login_tokens):
    """threat A1: an anonymous token must not count as having logged in"""
    login_tokens.name, login_tokens.public = "localhost", ("demo/twice",)
    login_tokens.realm = login_tokens.realm.replace("127.0.0.1", "localhost")
    with DockerRegistry(tmp_path, login_tokens) as registry:
        result = fails(davit, 4, registry.host)
        assert "sends for tokens to localhost" in result.error
        assert "--trust-realm localhost" in result.error
        assert login_tokens.requests == []
        login(davit, registry.host, "--trust-realm", "localhost")
        assert [r.user for r in login_tokens.requests] == [USER]


def test_a_registry_that_refuses_its_own_token(davit, faulty):
    faulty.auth = Bearer(users={USER: PASSWORD}, uses=0)
    result = fails(davit, 4, faulty.host)
    assert f"login attempt to http://{faulty.host}/v2/ failed with status: 401" in result.error


# ---- what is there already -----------------------------------------------------------------------


def test_stored_credentials_are_tried_first(davit, htpasswd_registry):
    host = htpasswd_registry.host
    login(davit, host)
    before = config(davit).read_bytes()
    result = davit("login", host)
    assert result.text == "Login Succeeded\n"
    assert f"Authenticating with existing credentials... [Username: {USER}]" in result.messages
    assert config(davit).read_bytes() == before


def test_stored_credentials_that_are_refused_stay(davit, htpasswd_registry):
    davit.login(htpasswd_registry.host, USER, "wrong-pw")
    before = config(davit).read_bytes()
    result = davit.fails(4, "login", htpasswd_registry.host)
    assert "401 Unauthorized" in result.error
    assert config(davit).read_bytes() == before


def test_a_stored_password_becomes_an_identity_token(davit, login_registry, login_tokens):
    davit.login(login_registry.host, USER, PASSWORD)
    login_tokens.give_refresh_token = "offline"
    davit("login", login_registry.host)
    token, = login_tokens.refresh_tokens
    assert entry(davit, login_registry.host)["identitytoken"] == token
    assert base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode() not in config(davit).read_text()


OTHERS = """{
\t"auths": {
\t\t"other.example": {"auth": "Ym9iOnNlY3JldA==",   "email": "bob@example"},
\t\t"https://index.docker.io/v1/": {"identitytoken": "hub-token"}
\t},
\t"psFormat": "table {{.ID}}\\t{{.Names}}",
\t"plugins": {"scan": {"optin": "no", "n": 1.50, "big": 1234567890123456789}},
\t"HttpHeaders": {"X-Meta": "1"},
\t"unknown \\u00e9": [1, 2, {"a": null}]
}
"""


def test_other_entries_and_unknown_keys_stay_as_they_are(davit, htpasswd_registry):
    """Byte for byte"""
    host = htpasswd_registry.host
    config(davit).parent.mkdir()
    config(davit).write_text(OTHERS)
    login(davit, host)
    text = config(davit).read_text()
    for line in OTHERS.splitlines()[2:4] + OTHERS.splitlines()[5:]:
        assert line.strip(" ,") in text, line
    assert decoded(davit, host) == f"{USER}:{PASSWORD}"
    assert mode(config(davit)) == 0o600 or mode(config(davit)) == 0o644
    davit("logout", host)
    assert json.loads(config(davit).read_text()) == json.loads(OTHERS)


def test_a_second_login_replaces_the_first(davit, htpasswd_registry):
    login(davit, htpasswd_registry.host)
    login(davit, htpasswd_registry.host, user="bob", password="b0b")
    assert decoded(davit, htpasswd_registry.host) == "bob:b0b"


@pytest.mark.parametrize("where", ["authfile", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG"])
def test_where_it_is_stored(davit, htpasswd_registry, tmp_path, where):
    """DESIGN 4"""
    file = tmp_path / "new" / "config.json"
    options = ["--authfile", file] if where == "authfile" else []
    env = {where: str(file.parent if where == "DOCKER_CONFIG" else file)}
    login(davit, htpasswd_registry.host, *options, env=env)
    assert mode(file) == 0o600 and not config(davit).exists()
    davit(*options, "digest", f"{htpasswd_registry.host}/demo/debian:1.0", env=env)


@pytest.mark.parametrize("what", ["a directory", "nowhere", "truncated"])
def test_a_file_that_cannot_be_written_is_said_with_the_login(davit, htpasswd_registry, what):
    env = {}
    if what == "nowhere":
        env = {"DOCKER_CONFIG": "/proc/davit-nowhere"}
    elif what == "a directory":
        config(davit).mkdir(parents=True)
    else:
        config(davit).parent.mkdir()
        config(davit).write_text('{"auths": {')
    result = fails(davit, {1, 7}, htpasswd_registry.host, env=env)
    assert "accepts the credentials, but they could not be stored" in result.error
    assert "Login Succeeded" not in result.text
    assert (env.get("DOCKER_CONFIG") or str(config(davit))) in result.error


# ---- standard input and options ------------------------------------------------------------------


@pytest.mark.parametrize("given,password", [
    (b"pw\n", "pw"), (b"pw\r\n", "pw"), (b"pw", "pw"), (b"pw\n\n", "pw\n"), (b" p w ", " p w "),
    ("p\u00e4ss\n".encode(), "p\u00e4ss"), (b"x" * 65536, "x" * 65536)])
def test_one_newline_is_stripped_and_nothing_else(davit, faulty, given, password):
    faulty.auth = Basic({USER: password})
    fits = len(given) <= 8192       # a longer one makes a header line that the server is not made for
    if fits:
        davit("login", "-u", USER, "--password-stdin", faulty.host, data=given)
        assert faulty.of("ping")[-1].basic == (USER, password)
    else:
        davit.run("login", "-u", USER, "--password-stdin", faulty.host, data=given)
        assert faulty.of("ping")


@pytest.mark.parametrize("given,words", [
    (b"", "empty"), (b"\n", "empty"), (b"\r\n", "empty"), (b"a\0b", "NUL"), (b"x" * 65537, "longer")])
def test_standard_input_that_is_no_password(davit, faulty, given, words):
    result = davit.fails(2, "login", "-u", USER, "--password-stdin", faulty.host, data=given)
    assert words in result.error
    assert faulty.requests == []


@pytest.mark.parametrize("arguments", [
    ["-p", "s3cret-on-argv"], ["--password", "s3cret-on-argv"], ["--password=s3cret-on-argv"],
    ["-u", "alice", "-p", "s3cret-on-argv"]])
def test_a_password_on_the_command_line_is_refused_with_the_reason(davit, faulty, arguments):
    result = davit.fails(2, "login", *arguments, faulty.host)
    assert "list of processes" in result.error and "--password-stdin" in result.error
    assert "s3cret" not in result.err.decode()
    assert faulty.requests == []


@pytest.mark.parametrize("arguments,words", [
    (["--password-stdin", "HOST"], "--username"),
    (["-u", "alice", "HOST"], "--password-stdin"),
    (["HOST"], "--password-stdin"),
    (["-u", "a:b", "--password-stdin", "HOST"], "colon"),
    (["-u", "alice", "--password-stdin", "HOST/team"], "HOST[:PORT]"),
    (["-u", "alice", "--password-stdin", "ftp://HOST"], "HOST[:PORT]"),
    (["-u", "alice", "--password-stdin", "https://bob:hidden@HOST"], "user name"),
    (["HOST", "HOST"], "too many")])
def test_wrong_usage(davit, faulty, arguments, words):
    result = davit.fails(2, "login", *[a.replace("HOST", faulty.host) for a in arguments], data=b"pw")
    assert words in result.error or words in result.err.decode()
    assert "hidden" not in result.err.decode()
    assert faulty.requests == [] and not config(davit).exists()


# ---- logging out ---------------------------------------------------------------------------------


def test_logout_forgets(davit, htpasswd_registry):
    host = htpasswd_registry.host
    login(davit, host)
    result = davit("logout", host)
    assert result.text == f"Removed the login credentials for {host} from {config(davit)}\n"
    davit.fails(4, "digest", f"{host}/demo/debian:1.0")
    assert davit("logout", host).text == f"Not logged in to {host}\n"


def test_logout_of_docker_hub_by_any_of_its_names(davit):
    for name in ([], ["docker.io"], ["index.docker.io"], ["https://index.docker.io/v1/"]):
        davit.write_auths({"https://index.docker.io/v1/": {"auth": "dTpw"}})
        assert "Removed the login credentials for docker.io" in davit("logout", *name).text
        assert "dTpw" not in config(davit).read_text()


def test_logout_says_what_still_counts(davit, htpasswd_registry, tmp_path):
    host = htpasswd_registry.host
    run = tmp_path / "run"
    davit.login(host, USER, PASSWORD, run / "containers" / "auth.json")
    login(davit, host)
    env = {"XDG_RUNTIME_DIR": str(run)}
    result = davit("logout", host, env=env)
    assert any("still credentials" in line for line in result.messages)
    davit("digest", f"{host}/demo/debian:1.0", env=env)


def variable(host, user=USER, password=PASSWORD):
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {host: {"auth": auth}}})}


def test_login_and_logout_say_when_the_variable_goes_first(davit, htpasswd_registry):
    host = htpasswd_registry.host
    result = login(davit, host, env=variable(host, password="old-pw"))
    assert any("$DOCKER_AUTH_CONFIG" in line and host in line for line in result.messages)
    assert "old-pw" not in str(result)
    for env in (variable(host), variable("other.example"), {"DOCKER_AUTH_CONFIG": "nonsense"}):
        result = login(davit, host, env=env)       # the same, of another registry, ignored
        assert not any("goes first" in line for line in result.messages)
    result = davit("logout", host, env=variable(host))
    assert any("$DOCKER_AUTH_CONFIG" in line for line in result.messages)


def test_logout_refuses_what_is_no_registry(davit):
    davit.fails(2, "logout", "host/path")
    davit.fails(2, "logout", "--all", "host")


def test_logout_of_all(davit, htpasswd_registry):
    host = htpasswd_registry.host
    davit.write_auths({"https://index.docker.io/v1/": {"auth": "dTpw"}, "quay.io/team": {"auth": "dTpw"}})
    login(davit, host)
    assert davit("logout", "--all").text == f"Removed the login credentials for all registries from {config(davit)}\n"
    assert json.loads(config(davit).read_text())["auths"] == {}
    davit.fails(4, "digest", f"{host}/demo/debian:1.0")
    assert davit("logout", "-a").text == f"Not logged in to any registry: nothing is stored in {config(davit)}\n"


# ---- helpers -------------------------------------------------------------------------------------


HELPER = """#!{python}
import json, sys
path, verb = {path!r}, sys.argv[1]
try:
    kept = json.load(open(path))
except FileNotFoundError:
    kept = {{}}
text = sys.stdin.read()
open({log!r}, "a").write(verb + "\\n")
if {broken}:
    print("no room", file=sys.stdout)
    sys.exit(1)
if verb == "store":
    one = json.loads(text)
    kept[one["ServerURL"]] = [one["Username"], one["Secret"]]
elif verb == "erase":
    kept.pop(text.strip(), None)
elif verb == "get":
    found = kept.get(text.strip())
    if not found:
        print("credentials not found in native keychain")
        sys.exit(1)
    print(json.dumps({{"ServerURL": text.strip(), "Username": found[0], "Secret": found[1]}}))
elif verb == "list":
    print(json.dumps({{k: v[0] for k, v in kept.items()}}))
json.dump(kept, open(path, "w"))
"""


@pytest.fixture
def helper(davit, tmp_path):
    """A helper program on PATH that keeps secrets in `file`; make(broken) writes it, config names it."""
    bin_dir, file = tmp_path / "bin", tmp_path / "kept.json"
    bin_dir.mkdir()

    class Helper:
        path, log = file, tmp_path / "verbs"

        def make(self, broken=False):
            program = bin_dir / "docker-credential-testkeep"
            program.write_text(HELPER.format(python=sys.executable, path=str(file), log=str(self.log),
                                             broken=broken))
            program.chmod(0o755)

        @property
        def kept(self):
            return json.loads(file.read_text())
    davit.env["PATH"] = f"{bin_dir}:{davit.env['PATH']}"
    config(davit).parent.mkdir(parents=True)
    config(davit).write_text(json.dumps({"credsStore": "testkeep", "other": 1}))
    made = Helper()
    made.make()
    return made


def test_a_helper_keeps_the_password(davit, htpasswd_registry, helper):
    host = htpasswd_registry.host
    result = login(davit, host)
    assert helper.kept == {host: [USER, PASSWORD]}
    assert not any("unencrypted" in line for line in result.messages)
    assert base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode() not in config(davit).read_text()
    davit("digest", f"{host}/demo/debian:1.0")
    assert "Removed" in davit("logout", host).text
    assert helper.kept == {}
    assert json.loads(config(davit).read_text())["other"] == 1
    davit.fails(4, "digest", f"{host}/demo/debian:1.0")


def test_logout_of_all_that_a_helper_keeps(davit, htpasswd_registry, helper):
    login(davit, htpasswd_registry.host)
    helper.path.write_text(json.dumps({**helper.kept, "quay.io": ["u", "p"]}))
    davit("logout", "--all")
    assert helper.kept == {}


def test_a_helper_keeps_an_identity_token(davit, login_registry, login_tokens, helper):
    login_tokens.give_refresh_token = "offline"
    login(davit, login_registry.host)
    token, = login_tokens.refresh_tokens
    assert helper.kept == {login_registry.host: ["<token>", token]}
    davit("pull", f"{login_registry.host}/demo/twice:1.0")


def test_a_helper_that_fails_is_said_with_the_login(davit, htpasswd_registry, helper):
    helper.make(broken=True)
    result = fails(davit, {1, 7}, htpasswd_registry.host)
    assert "accepts the credentials, but they could not be stored" in result.error
    assert "docker-credential-testkeep" in result.error


def test_what_is_refused_does_not_reach_the_helper(davit, htpasswd_registry, helper):
    fails(davit, 4, htpasswd_registry.host, password="wrong-pw")
    assert not helper.log.exists() or "store" not in helper.log.read_text()


# ---- other programs ------------------------------------------------------------------------------


def tool(*argv, data=None, **env):
    run = subprocess.run([str(a) for a in argv], input=data, text=True, capture_output=True, timeout=60,
                         env={**os.environ, **{k: str(v) for k, v in env.items()}})
    assert run.returncode == 0, f"{argv}: {run.stdout} {run.stderr}"
    return run.stdout


@pytest.mark.parametrize("kind", ["password", "identity token"])
def test_skopeo_reads_what_davit_stored(davit, login_registry, login_tokens, tmp_path, kind):
    if kind == "identity token":
        login_tokens.give_refresh_token = "offline"
    file = tmp_path / "auth.json"
    login(davit, login_registry.host, "--authfile", file)
    tool("skopeo", "inspect", "--tls-verify=false", "--authfile", file,
         f"docker://{login_registry.host}/demo/twice:1.0")
    tool("skopeo", "logout", "--authfile", file, login_registry.host)
    davit.fails(4, "--authfile", file, "digest", f"{login_registry.host}/demo/twice:1.0")


def test_davit_reads_what_skopeo_stored(davit, htpasswd_registry, tmp_path):
    host, file = htpasswd_registry.host, tmp_path / "auth.json"
    tool("skopeo", "login", "--tls-verify=false", "--authfile", file, "-u", USER, "--password-stdin",
         host, data=PASSWORD)
    davit("--authfile", file, "digest", f"{host}/demo/debian:1.0")
    assert davit("--authfile", file, "login", host).text == "Login Succeeded\n"
    davit("--authfile", file, "logout", host)
    assert host not in file.read_text()


@pytest.mark.skipif(not shutil.which("docker"), reason="no docker here")
def test_docker_reads_what_davit_stored_and_the_other_way_round(davit, htpasswd_registry, tmp_path):
    host = htpasswd_registry.host
    docker = dict(DOCKER_CONFIG=config(davit).parent, DOCKER_HOST=f"unix://{tmp_path}/nobody.sock",
                  HOME=davit.home)
    login(davit, host)
    tool("docker", "manifest", "inspect", "--insecure", f"{host}/demo/debian:1.0", **docker)
    tool("docker", "logout", host, **docker)
    davit.fails(4, "digest", f"{host}/demo/debian:1.0")
    davit.login("other.example", "bob", "x")
    tool("docker", "login", "-u", USER, "--password-stdin", f"http://{host}", data=PASSWORD, **docker)
    davit("digest", f"{host}/demo/debian:1.0")
    login(davit, host, user="bob", password="b0b")
    assert decoded(davit, "other.example") == "bob:x"


# ---- at a terminal -------------------------------------------------------------------------------


# The shell of these tests: a session with the terminal, the program in a process group of its own. When
# that is stopped, the shell says so and continues it when told.
SHELL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execvp(sys.argv[2], sys.argv[2:])
told = os.open(sys.argv[1], os.O_RDWR)
while True:
    _, status = os.waitpid(child, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        break
    os.write(told, b"S")
    os.read(told, 0)
    while not os.path.exists(sys.argv[1] + ".go"):
        import time; time.sleep(0.01)
    os.tcsetpgrp(0, child)
    os.kill(-child, signal.SIGCONT)
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
"""


class Dialogue:
    """A context manager: davit login at a terminal."""

    def __init__(self, davit, *arguments):
        self.davit, self.arguments = davit, arguments

    def __enter__(self):
        self.terminal = Terminal(200).__enter__()
        fd = self.terminal.fd
        self.usual = termios.tcgetattr(fd)
        self.fifo = self.davit.root / "stopped"
        if not self.fifo.exists():
            os.mkfifo(self.fifo)
        self.stopped = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)

        def own():
            os.setsid()
            fcntl.ioctl(fd, termios.TIOCSCTTY, 0)
        self.davit.prefix = [sys.executable, "-ISE", "-c", SHELL, str(self.fifo)]
        self.run = self.davit.start(*self.arguments, stdin=fd, stdout=fd, stderr=fd, preexec_fn=own)
        self.davit.prefix = []
        return self

    @property
    def raw(self):
        return self.terminal.raw.decode(errors="replace")

    @property
    def echoes(self):
        return bool(termios.tcgetattr(self.terminal.fd)[3] & termios.ECHO)

    def wait(self, condition, what):
        deadline = time.monotonic() + 20 * SLOW
        while not condition():
            assert time.monotonic() < deadline, \
                f"{what}; the terminal shows: {self.raw!r}; {self.state()}"
            time.sleep(0.01)

    def expect(self, text, count=1):
        self.wait(lambda: self.raw.count(text) >= count, f"no {text!r}")

    def type(self, text):
        os.write(self.terminal.primary, text.encode())

    def answer(self, question, text, count=1):
        self.expect(question, count)
        self.type(text + "\n")

    def state(self):
        """Where the program hangs."""
        try:
            tasks = f"/proc/{self.program()}/task"
            return [(open(f"{tasks}/{t}/stat").read().split()[2], open(f"{tasks}/{t}/syscall").read())
                    for t in os.listdir(tasks)]
        except (OSError, IndexError) as error:
            return f"no program: {error}"

    def program(self):
        """The process of the program itself."""
        children = f"/proc/{self.run.process.pid}/task/{self.run.process.pid}/children"
        return int(open(children).read().split()[0])

    def end(self, timeout=20):
        code = self.run.process.wait(timeout * SLOW)
        after = termios.tcgetattr(self.terminal.fd)
        assert after == self.usual, "the terminal is not as it was"
        time.sleep(0.05)
        return code

    def __exit__(self, *_):
        if self.run.process.poll() is None:
            self.run.process.kill()
            self.run.process.wait()
        os.close(self.stopped)
        self.terminal.__exit__()


def test_a_dialogue(davit, htpasswd_registry):
    with Dialogue(davit, "login", htpasswd_registry.host) as d:
        d.answer("Username: ", USER)
        d.expect("Password: ")
        assert not d.echoes
        d.type(PASSWORD + "\n")
        d.expect("Login Succeeded")
        assert d.end() == 0
        assert USER in d.raw and PASSWORD not in d.raw
    assert decoded(davit, htpasswd_registry.host) == f"{USER}:{PASSWORD}"


def test_a_dialogue_with_the_user_given(davit, htpasswd_registry):
    with Dialogue(davit, "login", "-u", USER, htpasswd_registry.host) as d:
        d.answer("Password: ", "wrong-pw")
        assert d.end() == 4
        assert "Username" not in d.raw and "wrong-pw" not in d.raw and "401 Unauthorized" in d.raw
    assert not config(davit).exists()


def test_stored_credentials_that_are_refused_lead_to_a_question(davit, htpasswd_registry):
    davit.login(htpasswd_registry.host, USER, "old-pw")
    with Dialogue(davit, "login", htpasswd_registry.host) as d:
        d.expect("the stored credentials were refused")
        d.answer(f"Username ({USER}): ", "")
        d.answer("Password: ", PASSWORD)
        assert d.end() == 0
        assert PASSWORD not in d.raw and "old-pw" not in d.raw
    assert decoded(davit, htpasswd_registry.host) == f"{USER}:{PASSWORD}"


def test_an_identity_token_alone_leads_to_a_question(davit, htpasswd_registry):
    """auth.md 5: only stored passwords are tried"""
    host = htpasswd_registry.host
    davit.write_auths({host: {"auth": base64.b64encode(b"<token>:").decode(), "identitytoken": "R0"}})
    with Dialogue(davit, "login", host) as d:
        d.answer("Username: ", USER)
        d.answer("Password: ", PASSWORD)
        assert d.end() == 0
        assert "existing credentials" not in d.raw
    assert decoded(davit, host) == f"{USER}:{PASSWORD}"
    assert "R0" not in config(davit).read_text()


def test_a_stored_name_cannot_steer_the_terminal(davit, htpasswd_registry):
    """threat C11"""
    davit.login(htpasswd_registry.host, "a\x1b[2J", "old-pw")
    with Dialogue(davit, "login", htpasswd_registry.host) as d:
        d.expect("Username (a\\x1B[2J): ")
        d.type("\x03")
        assert d.end() == 130
        assert "\x1b[2J" not in d.raw


@pytest.mark.parametrize("question", ["Username: ", "Password: "])
@pytest.mark.parametrize("how", ["Ctrl-C", signal.SIGTERM, signal.SIGHUP, "Ctrl-\\"])
def test_interrupted_at_a_question(davit, htpasswd_registry, question, how):
    with Dialogue(davit, "login", htpasswd_registry.host) as d:
        if question == "Password: ":
            d.answer("Username: ", USER)
        d.expect(question)
        d.type("secret-so-far")
        keys = {"Ctrl-C": "\x03", "Ctrl-\\": "\x1c"}
        started = time.monotonic()
        if how in keys:
            d.type(keys[how])
        else:
            os.kill(d.program(), how)
        assert d.end() == (128 + signal.SIGQUIT if how == "Ctrl-\\" else 130)
        assert time.monotonic() - started < 1 * SLOW
        assert question == "Username: " or "secret-so-far" not in d.raw
    assert not config(davit).exists()


def test_stopped_and_continued_at_the_password(davit, htpasswd_registry):
    with Dialogue(davit, "login", "-u", USER, htpasswd_registry.host) as d:
        d.expect("Password: ")
        d.wait(lambda: not d.echoes, "echo is on")
        d.type("\x1a")
        d.wait(lambda: _read(d.stopped) == b"S", "it did not stop")
        assert d.echoes
        (davit.root / "stopped.go").touch()
        d.expect("Password: ", 2)
        d.wait(lambda: not d.echoes, "echo is on")
        d.type(PASSWORD + "\n")
        d.expect("Login Succeeded")
        assert d.end() == 0
        assert PASSWORD not in d.raw


def _read(fd):
    try:
        return os.read(fd, 1)
    except BlockingIOError:
        return b""


@pytest.mark.parametrize("question,answer,words", [
    ("Username: ", "\n", "no user name"), ("Username: ", "a:b\n", "colon"), ("Username: ", "\x04", "ended"),
    ("Password: ", "\n", "no password"), ("Password: ", "\x04", "ended")])
def test_no_answer_is_no_login(davit, htpasswd_registry, question, answer, words):
    with Dialogue(davit, "login", htpasswd_registry.host) as d:
        if question == "Password: ":
            d.answer("Username: ", USER)
        d.expect(question)
        d.wait(lambda: question == "Username: " or not d.echoes, "echo is on")
        d.type(answer)
        assert d.end() == 2
        assert re.search(words, d.raw)


def test_ctrl_d_within_an_answer_does_not_end_it(davit, htpasswd_registry):
    with Dialogue(davit, "login", htpasswd_registry.host) as d:
        d.expect("Username: ")
        for piece in (USER[:2], "\x04", USER[2:] + "\n"):
            d.type(piece)
            time.sleep(0.1)
        d.expect("Password: ")
        d.wait(lambda: not d.echoes, "echo is on")
        for piece in (PASSWORD[:2], "\x04", PASSWORD[2:] + "\n"):
            d.type(piece)
            time.sleep(0.1)
        assert d.end() == 0
    assert decoded(davit, htpasswd_registry.host) == f"{USER}:{PASSWORD}"


def test_an_answer_that_the_terminal_cuts_is_refused(davit, faulty):
    """A terminal drops what is beyond 4095 bytes of a line: half a password is not sent."""
    with Dialogue(davit, "login", "-u", USER, faulty.host) as d:
        d.expect("Password: ")
        d.wait(lambda: not d.echoes, "echo is on")
        for _ in range(10):
            d.type("p" * 500)
        d.type("\n")
        assert d.end() == 2
        assert "too long" in d.raw and faulty.requests == []


def test_a_password_option_at_a_terminal_would_show_it(davit, htpasswd_registry):
    with Dialogue(davit, "login", "-u", USER, "--password-stdin", htpasswd_registry.host) as d:
        assert d.end() == 2
        assert "terminal" in d.raw


def test_ctrl_c_while_the_registry_is_silent(davit, faulty):
    faulty.fault("ping", StallHead(60))
    with Dialogue(davit, "login", "-u", USER, faulty.host) as d:
        d.answer("Password: ", PASSWORD)
        faulty.wait(lambda: faulty.of("ping"))
        d.type("\x03")
        assert d.end() == 130
    assert not config(davit).exists()
