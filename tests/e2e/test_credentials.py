"""Credentials out of helpers and files, and into them: who is asked, what runs and how, and what is on disk afterwards."""
import base64
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from support.credential_helpers import Helper
from support.davit import SLOW, program
from support.faulty_registry import Basic, Bearer, FaultyRegistry
from conftest import serve

USER, PASSWORD = "alice", "p4ss:with colon"


@pytest.fixture
def helper(davit, tmp_path):
    """A helper named "test" on PATH, named by credsStore."""
    made = Helper(tmp_path / "helpers")
    davit.env["PATH"] = made.path
    configure(davit, credsStore="test")
    return made


def config_path(davit):
    return davit.home / ".docker" / "config.json"


def configure(davit, **document):
    config_path(davit).parent.mkdir(exist_ok=True)
    config_path(davit).write_text(json.dumps(document))


def gone(pid):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


# ---- reading through a helper --------------------------------------------------------------------


def test_a_pull_gets_its_password_from_a_helper(davit, helper, htpasswd_registry, images):
    host = htpasswd_registry.host
    helper.keep(host, USER, PASSWORD)
    davit("pull", f"{host}/demo/debian:1.0")
    davit.store.assert_exactly(images.image("debian").blobs)
    assert [(run["argv"][1:], run["input"]) for run in helper.runs] == [(["get"], f"{host}\n")], "once for a whole pull"


def test_a_helper_for_one_registry(davit, helper, htpasswd_registry):
    host = htpasswd_registry.host
    helper.keep(host, USER, PASSWORD)
    configure(davit, credsStore="missing", credHelpers={host: "test"})
    davit("digest", f"{host}/demo/debian:1.0")
    configure(davit, credHelpers={"127.0.0.1:1": "test"})
    davit.fails(4, "digest", f"{host}/demo/debian:1.0")


def test_a_token_server_gets_the_helpers_password(davit, helper, token_registry, tokens):
    helper.keep(token_registry.host, USER, PASSWORD)
    davit("pull", f"{token_registry.host}/demo/twice:1.0")
    assert [(r.method, r.user) for r in tokens.requests] == [("GET", USER)]


def test_an_identity_token_comes_through_a_helper(davit, helper, token_registry, tokens):
    tokens.refresh_tokens = {"R0-secret": USER}
    helper.keep(token_registry.host, "<token>", "R0-secret")
    davit("pull", f"{token_registry.host}/demo/twice:1.0")
    assert tokens.requests[-1].form["refresh_token"] == ["R0-secret"]


def test_what_the_helper_lacks_is_in_the_file(davit, helper, htpasswd_registry):
    host = htpasswd_registry.host
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    configure(davit, credsStore="test", auths={host: {"auth": auth}})
    davit("digest", f"{host}/demo/debian:1.0")
    assert helper.verbs == ["get"]


def test_nothing_anywhere_is_anonymous(davit, helper, open_registry):
    davit("digest", f"{open_registry.host}/demo/twice:1.0")
    assert helper.verbs == ["get"]


def test_docker_hub_is_asked_for_by_its_key(davit, helper):
    davit.run("--connect-timeout", "0.3", "--max-download-attempts", "1", "digest", "alpine",
              env={"HTTPS_PROXY": "http://127.0.0.1:9"})
    assert {run["input"] for run in helper.runs} == {"https://index.docker.io/v1/\n"}


@pytest.mark.parametrize("text, valid", [('{{"auths":{auths}}}', True), ('{{"auths":{auths},"x":1}}', False),
                                         ("nonsense", False)], ids=["good", "extra", "nonsense"])
def test_the_variable_with_credentials(davit, htpasswd_registry, text, valid):
    host = htpasswd_registry.host
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    env = {"DOCKER_AUTH_CONFIG": text.format(auths=json.dumps({host: {"auth": auth}}))}
    if valid:
        davit("digest", f"{host}/demo/debian:1.0", env=env)
        return
    result = davit.fails(4, "digest", f"{host}/demo/debian:1.0", env=env)
    assert sum("DOCKER_AUTH_CONFIG" in line for line in result.messages) == 1
    assert auth.encode() not in result.err


def test_headers_of_the_config_file_go_to_the_registry_only(davit, small):
    """threat A4"""
    with FaultyRegistry(second_name="localhost") as registry:
        serve(registry, small, "web")
        registry.auth = Bearer(realm="second")
        configure(davit, HttpHeaders={"X-Mine": "s3cret", "User-Agent": "evil", "Cookie": "a=b"})
        result = davit("pull", registry.ref)
        assert registry.of("manifest")[-1].header("X-Mine") == "s3cret"
        assert all(r.header("X-Mine") is None for r in registry.of("any", origin="second"))
        assert all(r.header("Cookie") is None and "evil" not in r.header("User-Agent")
                   for r in registry.of("any"))
        assert b"Cookie" in result.err and b"s3cret" not in result.err


# ---- how it is run (threats A11, D12) ------------------------------------------------------------


def test_a_helper_runs_in_a_clean_place(davit, helper, htpasswd_registry):
    helper.keep(htpasswd_registry.host, USER, PASSWORD)
    read, write = os.pipe()
    os.set_inheritable(write, True)
    evil = {"BASH_ENV": "/tmp/evil", "LD_LIBRARY_PATH_X": "1", "PYTHONPATH": "/tmp", "ENV": "/tmp/evil", "SECRET": "x",
            "DAVIT_TRACE": "store", "GNUPGHOME": "/keys", "XDG_RUNTIME_DIR": str(davit.home)}
    davit("digest", f"{htpasswd_registry.host}/demo/debian:1.0", env=evil, pass_fds=(write,))
    os.close(read), os.close(write)
    run, = helper.runs
    assert run["argv"][1:] == ["get"]
    assert run["fds"] == [0, 1, 2]
    assert run["cwd"] == "/"
    assert run["group"] == run["session"] != os.getpgrp()
    given = set(run["env"]) - {"LC_CTYPE"}          # Python's own
    assert given <= {"PATH", "HOME", "TERM", "LANG", "TMPDIR", "GNUPGHOME", "XDG_RUNTIME_DIR"}
    assert run["env"]["GNUPGHOME"] == "/keys"


def test_no_argument_of_any_process_holds_a_secret(davit, helper, htpasswd_registry):
    """threat A12"""
    helper.keep(htpasswd_registry.host, USER, PASSWORD)
    davit("digest", f"{htpasswd_registry.host}/demo/debian:1.0")
    run, = helper.runs
    assert run["argv"] == [str(helper.program), "get"] or run["argv"][1:] == ["get"]
    assert not any(PASSWORD in part for part in run["argv"] + run["parents"])


@pytest.mark.parametrize("name", ["../helpers/docker-credential-test", "/bin/sh", "a/b", "..", ".test", "-test", "te st", "test\n"])
@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_a_name_that_is_no_name(davit, helper, open_registry, key, name):
    """threat A11"""
    configure(davit, **{key: name if key == "credsStore" else {open_registry.host: name}})
    error = davit.fails(1, "digest", f"{open_registry.host}/demo/twice:1.0").error
    assert "credential helper" in error and f"{config_path(davit)}: {key}" in error
    assert helper.runs == []


@pytest.mark.parametrize("path", ["", ".", "helpers", ":", ".:/usr/bin", "./helpers:/usr/bin", "../davit/helpers"])
def test_only_absolute_directories_are_searched(davit, open_registry, path):
    """threat A11: also not in the current directory, which may be somebody else's"""
    made = Helper(davit.root / "helpers")
    shutil.copy(made.program, davit.root / made.program.name)
    configure(davit, credsStore="test")
    env = {"PATH": path}
    error = davit.fails(1, "digest", f"{open_registry.host}/demo/twice:1.0", env=env, cwd=davit.root).error
    assert 'exec: "docker-credential-test": executable file not found in $PATH' in error
    assert made.runs == []


def test_a_directory_for_everybody_is_not_searched(davit, helper, open_registry):
    """threat A11"""
    helper.root.chmod(0o1777)
    error = davit.fails(1, "digest", f"{open_registry.host}/demo/twice:1.0").error
    assert "not found in $PATH" in error and helper.runs == []


# ---- helpers that misbehave ----------------------------------------------------------------------


def test_a_helper_that_hangs_is_killed_with_its_children(davit, helper, open_registry):
    helper.says(f"sleep 1000 & echo $! > {helper.root}/child; exec sleep 1000")
    result = davit.fails(6, "--helper-timeout", "0.5", "digest", f"{open_registry.host}/demo/twice:1.0")
    assert "error getting credentials - err: docker-credential-test: no answer within 500 ms" in result.error
    assert result.seconds < 5 * SLOW
    assert gone(helper.pid()) and gone(int((helper.root / "child").read_text()))


def test_a_hanging_helper_is_asked_once(davit, helper, small):
    """Not once more for each endpoint."""
    helper.says(f"echo x >> {helper.root}/count; exec sleep 1000")
    davit.fails(6, "--helper-timeout", "0.5", "pull", "registry.example.com/a/b")
    assert (helper.root / "count").read_text() == "x\n"


def test_a_helper_that_fails_for_a_mirror_is_not_asked_again_for_the_registry(davit, helper, free_port):
    """threat A9: an error, and no reason to go on to Docker Hub"""
    helper.says(f"cat >> {helper.root}/asked; echo locked; exit 1")
    mirror = f"127.0.0.1:{free_port}"
    error = davit.fails(1, "--registry-mirror", f"http://{mirror}", "pull", "alpine").error
    assert (helper.root / "asked").read_text() == f"{mirror}\n"
    assert "`locked`" in error and str(config_path(davit)) in error and "; then: " not in error


@pytest.mark.parametrize("where", ["", ">&2"])
def test_a_helper_that_floods_is_cut_off(davit, helper, open_registry, where):
    helper.says(f"exec head -c 1073741824 /dev/zero {where}")
    result = davit.measured("digest", f"{open_registry.host}/demo/twice:1.0")
    assert result.code == 1 and "says more than 1048576 bytes" in result.errors[0]
    assert result.seconds < 10 * SLOW
    assert gone(helper.pid())


@pytest.mark.parametrize("shell, said", [
    ("echo garbage", "malformed JSON"),
    ("true", "malformed JSON"),
    ("echo '{\"ServerURL\":\"evil.example\",\"Username\":\"u\",\"Secret\":\"hunter2\"}'",
     "it answered for evil.example"),
    ("printf %s '{\"Username\":\"u\",\"Secret\":\"hunter2\\r\\nX: y\"}'", "a line break"),
    ("echo 'is locked'; exit 1", "exit status 1, out: `is locked`"),
    ("printf 'a\\033[2Jb\\nc' >&2; exit 1", "stderr: `a\\x1B[2Jb\\x0Ac`"),
    ("echo '{\"Secret\":\"hunter2\"}'; exit 1", "out: `***`"),
    ("kill -SEGV $$", "signal: "),
], ids=range(8))
def test_a_helper_that_says_something_else(davit, helper, faulty, shell, said):
    """threats A9, A10, A12: an error, no other entry is taken, nobody gets anything"""
    faulty.auth = Basic({USER: PASSWORD})
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    configure(davit, credsStore="test", auths={faulty.host: {"auth": auth}})
    helper.says(shell)
    result = davit.fails(1, "digest", faulty.ref)
    assert "error getting credentials - err: docker-credential-test" in result.error
    assert said in result.error and b"hunter2" not in result.err
    assert faulty.secrets_seen("main") == []


def test_a_helper_that_cannot_run(davit, helper, open_registry):
    ref = f"{open_registry.host}/demo/twice:1.0"
    helper.program.chmod(0o644)
    assert "not found in $PATH" in davit.fails(1, "digest", ref).error
    helper.write("no script\n")
    assert "cannot be executed: Exec format error" in davit.fails(1, "digest", ref).error
    helper.program.unlink()
    assert "not found in $PATH" in davit.fails(1, "digest", ref).error


def test_an_interrupt_ends_the_helper(davit, helper, open_registry):
    helper.says("exec sleep 1000")
    run = davit.start("pull", f"{open_registry.host}/demo/twice:1.0")
    deadline = time.monotonic() + 10
    while not (helper.root / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    run.signal(signal.SIGINT)
    result = run.wait()
    assert result.code == 130 and gone(helper.pid())


def test_killing_davit_ends_the_helper(davit, helper, open_registry):
    helper.says("exec sleep 1000")
    run = davit.start("pull", f"{open_registry.host}/demo/twice:1.0")
    deadline = time.monotonic() + 10
    while not (helper.root / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    run.kill()
    assert gone(helper.pid())


# ---- config.json ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text, said", [
    ('{"auths": {"a": {"auth": "dTpw"', "malformed JSON"),
    ('{"auths": 5}', "auths: not an object"),
    ('{"auths": {"a": []}}', "auths.a: not a JSON object"),
    ('{"auths": {"a": {"auth": "dTpw!"}}}', "auths.a: illegal base64 data"),
    ('{"credsStore": ["test"]}', "credsStore: not a string"),
    ('{"credHelpers": {"a": null}}', "credHelpers.a: not a string"),
    ('{"HttpHeaders": {"X": 5}}', "HttpHeaders.X: not a string"),
    (None, "not a regular file"),
], ids=range(8))
def test_a_bad_file_is_an_error_that_names_file_key_and_reason(davit, open_registry, text, said):
    path = config_path(davit)
    path.parent.mkdir()
    path.mkdir() if text is None else path.write_text(text)
    error = davit.fails(1, "digest", f"{open_registry.host}/demo/twice:1.0").error
    assert str(path) in error and said in error


# ---- writing -------------------------------------------------------------------------------------

DOCKERS = '''{
	"auths": {
		"https://index.docker.io/v1/": {
			"auth": "b2xkOnB3"
		},
		"unknown.example": {"auth":"b2xkOnB3",   "x": [1, 2 ]}
	},
	"HttpHeaders": {
		"X-Meta": "\\u0041"
	},
	"psFormat": "table {{.ID}}\\\\t",
	"unknown" : {  "nested": [ {} ] , "n": 1.50 }
}
'''


def login(davit, host, user=USER, password=PASSWORD, **how):
    return davit.run("login", "-u", user, "--password-stdin", host, data=password.encode(), **how)


def start_login(davit, host):
    run = davit.start("login", "-u", USER, "--password-stdin", host, stdin=subprocess.PIPE)
    run.process.stdin.write(PASSWORD.encode())
    run.process.stdin.close()
    run.process.stdin = None
    return run


def test_a_login_leaves_every_other_byte_alone(davit, htpasswd_registry):
    path, host = config_path(davit), htpasswd_registry.host
    path.parent.mkdir()
    path.write_text(DOCKERS)
    assert login(davit, host).code == 0
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    entry = f',\n\t\t"{host}": {{\n\t\t\t"auth": "{auth}"\n\t\t}}'
    at = DOCKERS.index("\n\t},\n\t\"HttpHeaders\"")
    assert path.read_text() == DOCKERS[:at] + entry + DOCKERS[at:]
    davit("logout", host)
    assert path.read_text() == DOCKERS


def test_twenty_logins_at_once_lose_nothing(davit):
    config_path(davit).parent.mkdir()
    config_path(davit).write_text(DOCKERS)
    with contextlib.ExitStack() as stack:
        registries = [stack.enter_context(FaultyRegistry()) for _ in range(20)]
        for registry in registries:
            registry.auth = Basic({USER: PASSWORD})
        hosts = [registry.host for registry in registries]
        runs = [start_login(davit, host) for host in hosts]
        assert [run.wait().code for run in runs] == [0] * 20
    document = json.loads(config_path(davit).read_text())
    assert set(document["auths"]) == {*json.loads(DOCKERS)["auths"], *hosts}
    assert sorted(p.name for p in config_path(davit).parent.iterdir()) == ["config.json"]


def test_kill_9_leaves_the_old_or_the_new_file(davit, htpasswd_registry):
    path, host = config_path(davit), htpasswd_registry.host
    path.parent.mkdir()
    path.write_text(DOCKERS)
    old = json.loads(DOCKERS)
    began = time.monotonic()
    assert login(davit, host).code == 0
    whole = time.monotonic() - began
    new = json.loads(path.read_text())
    for _ in range(25):
        path.write_text(DOCKERS)
        run = start_login(davit, host)
        time.sleep(random.uniform(whole * 0.6, whole * 1.1))       # the write is at the end
        run.kill()
        assert json.loads(path.read_text()) in (old, new)
    assert login(davit, host).code == 0, "what a killed one left behind is in nobody's way"
    assert sorted(p.name for p in path.parent.iterdir()) == ["config.json"]


def test_a_login_with_a_helper_keeps_no_secret_in_the_file(davit, helper, htpasswd_registry):
    host = htpasswd_registry.host
    assert login(davit, host).code == 0
    assert helper.secrets == {host: [USER, PASSWORD]}
    assert json.loads(config_path(davit).read_text()) == {"credsStore": "test", "auths": {host: {}}}
    davit("pull", f"{host}/demo/debian:1.0")
    davit("logout", host)
    assert helper.secrets == {}
    assert json.loads(config_path(davit).read_text()) == {"credsStore": "test", "auths": {}}


def test_a_helper_that_will_not_store(davit, helper, htpasswd_registry):
    before = config_path(davit).read_bytes()
    helper.says("[ $1 = store ] || { echo credentials not found in native keychain; exit 1; }; echo is locked; exit 1")
    result = login(davit, htpasswd_registry.host)
    assert result.code == 1 and "error storing credentials - err: " in result.errors[0]
    assert PASSWORD.encode() not in result.err
    assert config_path(davit).read_bytes() == before


def test_a_file_that_is_no_json_is_left_alone(davit, htpasswd_registry):
    config_path(davit).parent.mkdir()
    config_path(davit).write_text("{,}")
    assert login(davit, htpasswd_registry.host).code == 1
    assert config_path(davit).read_text() == "{,}"


# ---- docker-credential-davit ---------------------------------------------------------------------


@pytest.fixture
def own_helper(davit, tmp_path):
    """davit as its own helper, as the installed link has it; what it keeps is erased in the end."""
    link = tmp_path / "bin" / "docker-credential-davit"
    link.parent.mkdir()
    link.symlink_to(program())
    davit.env["PATH"] = f"{link.parent}:{os.environ['PATH']}"

    def run(verb, data=""):
        done = subprocess.run([str(link), verb], input=data, env=davit.env, capture_output=True, text=True, timeout=30)
        assert done.stderr == ""
        return done.returncode, done.stdout

    code, text = run("list")
    if code:
        pytest.skip(f"no keyring here: {text.strip()}")
    before = set(json.loads(text))
    yield run
    for server in set(json.loads(run("list")[1])) - before:
        run("erase", server)


def test_davit_as_its_own_helper(davit, own_helper, htpasswd_registry):
    host = htpasswd_registry.host
    configure(davit, credsStore="davit")
    davit.fails(4, "digest", f"{host}/demo/debian:1.0")
    assert login(davit, host).code == 0
    assert PASSWORD not in config_path(davit).read_text()
    code, text = own_helper("get", host + "\n")
    assert code == 0 and json.loads(text) == {"ServerURL": host, "Username": USER, "Secret": PASSWORD}
    davit("pull", f"{host}/demo/debian:1.0")
    davit("logout", host)
    assert own_helper("get", host) == (1, "credentials not found in native keychain\n")
    davit.fails(4, "digest", f"{host}/demo/debian:1.0")


def test_the_keyring_helper_keeps_an_identity_token(davit, own_helper, token_registry, tokens):
    tokens.refresh_tokens = {"R0-secret": USER}
    secret = {"ServerURL": token_registry.host, "Username": "<token>", "Secret": "R0-secret"}
    assert own_helper("store", json.dumps(secret)) == (0, "")
    configure(davit, credHelpers={token_registry.host: "davit"})
    davit("pull", f"{token_registry.host}/demo/twice:1.0")
    assert tokens.requests[-1].form["refresh_token"] == ["R0-secret"]

