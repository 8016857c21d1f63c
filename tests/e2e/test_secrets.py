"""No secret reaches a log, an error, a file, another process's view, or any origin but its own (threats A1, A4, A5, A9, A12,
A15). Every scenario runs with --debug and every trace, watched from outside."""
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

import pytest

from support.davit import ASAN, FAST, Davit, program
from support.faults import Header, Redirect, StallHead, Status
from support.faulty_registry import Basic, Bearer, FaultyRegistry
from conftest import serve

USER, PASSWORD = "alice", "Pa55-w0rd:&%/secret"
IDENTITY = "identity-token-0f3c9b/+=x"
SIGNATURE = "s1gnature-of-a-signed-url"
PROXY_PASSWORD = "pr0xy-Passw0rd"
NOBODY = 65534
QUICK = [*FAST, "--max-download-attempts", "2"]


def forms(secret):
    """What a secret looks like: itself, percent-encoded, and within base64 at any offset."""
    found = {secret.encode(), urllib.parse.quote(secret, safe="").encode(),
             urllib.parse.quote_plus(secret).encode(), json.dumps(secret)[1:-1].encode()}
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            text = encode(b"\0" * offset + secret.encode())
            first = (offset * 8 + 5) // 6             # characters that the bytes before have a part in
            last = (offset + len(secret.encode())) * 8 // 6
            found.add(text[first:last])
    return found


def leaks(data, secrets):
    return [s for s in secrets for form in forms(s) if form in data]


def test_the_forms_are_found():
    """The test of the tests."""
    for text in (PASSWORD, f"{USER}:{PASSWORD}", f"xx{PASSWORD}yyy"):
        assert leaks(base64.b64encode(text.encode()), [PASSWORD])
        assert leaks(base64.urlsafe_b64encode(text.encode()), [PASSWORD])
    assert leaks(urllib.parse.urlencode({"p": PASSWORD}).encode(), [PASSWORD])
    assert not leaks(base64.b64encode(b"something else, and long enough to matter"), [PASSWORD])


class View(threading.Thread):
    """What other processes see of a process and of its children while they run."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.seen, self.argvs, self.over = pid, set(), set(), threading.Event()

    def _tree(self, pid):
        yield pid
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                for child in open(f"/proc/{pid}/task/{task}/children").read().split():
                    yield from self._tree(int(child))
        except OSError:
            pass

    def run(self):
        while not self.over.is_set():
            for pid in list(self._tree(self.pid)):
                for name in ("cmdline", "environ"):
                    try:
                        data = open(f"/proc/{pid}/{name}", "rb").read()
                    except OSError:
                        continue
                    self.seen.add(data)
                    if name == "cmdline" and data:
                        self.argvs.add(data)
            time.sleep(0.001)

    def end(self):
        self.over.set()
        self.join(5)
        return b"\n".join(self.seen)


class Watched:
    """Runs davit with everything turned on, and remembers whatever it let out."""

    def __init__(self, davit):
        self.davit = davit
        self.temporary = davit.root / "tmp"
        self.temporary.mkdir()
        self.printed = self.seen = b""
        self.argvs = set()
        davit.env.update(DAVIT_TRACE="all", TMPDIR=str(self.temporary))

    def __call__(self, *args, code=0, data=None, env=None, timeout=60):
        pipes = {"stdin": subprocess.PIPE} if data is not None else {}
        running = self.davit.start("--debug", *args, env=env, **pipes)
        view = View(running.process.pid)
        view.start()
        result = running.wait(timeout, data)
        self.printed += result.out + result.err
        self.seen += view.end()
        self.argvs |= view.argvs
        codes = code if isinstance(code, (tuple, set)) else {code}
        assert result.code in codes, str(result)
        return result

    def everything(self):
        """All of it, and all files but the one that is there to hold credentials."""
        text = self.printed + self.seen
        for path in self.davit.root.rglob("*"):
            if path.is_file() and path != self.davit.home / ".docker" / "config.json" \
                    and "kept" not in path.name:
                text += os.fsencode(str(path)) + path.read_bytes()[:1 << 20]
        return text

    def assert_none(self, *secrets, given=()):
        """given: secrets that the user put on the command line, where everybody sees them."""
        shown = self.printed.decode(errors="replace")[-4000:]
        assert b"debug: " in self.printed, "nothing was traced"
        assert leaks(self.everything(), secrets) == [], shown
        assert leaks(self.printed, given) == [], shown


def told(server, origin="any", kind="any"):
    """All that an origin was shown, headers and bodies."""
    return b"\n".join(f"{r.method} {r.target} {r.headers}".encode() + r.body
                      for r in server.of(kind) if origin in ("any", r.origin))


def shown(server, origin):
    """Headers that carry credentials, at an origin."""
    return [(k, v) for r in server.of("any", origin=origin) for k, v in r.headers
            if k.lower() in ("authorization", "cookie", "proxy-authorization", "x-registry-auth")]


@pytest.fixture
def watched(davit):
    return Watched(davit)


def identity(host, token=IDENTITY):
    return {host: {"auth": base64.b64encode(b"<token>:").decode(), "identitytoken": token}}


def tokens_of(auth):
    return list(auth.tokens)


# ---- login ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: Basic({USER: PASSWORD}), lambda: Bearer({USER: PASSWORD})],
                         ids=["Basic", "Bearer"])
def test_login_lets_no_secret_out(watched, faulty, make):
    faulty.auth = make()
    watched("login", "-u", USER, "--password-stdin", faulty.host, data=PASSWORD.encode())
    watched("pull", faulty.ref)
    watched("logout", faulty.host)
    tokens = tokens_of(faulty.auth) if isinstance(faulty.auth, Bearer) else []
    watched.assert_none(PASSWORD, *tokens)
    assert leaks(told(faulty), [PASSWORD]), "the registry was not told: nothing was tested"


@pytest.mark.parametrize("make", [lambda: Basic({}), lambda: Bearer({}, anonymous=False)],
                         ids=["Basic", "Bearer"])
def test_a_refused_login_lets_no_secret_out(watched, faulty, make):
    faulty.auth = make()
    result = watched("login", "-u", USER, "--password-stdin", faulty.host, data=PASSWORD.encode(), code=4)
    assert not (watched.davit.home / ".docker").exists()
    watched.assert_none(PASSWORD)
    assert result.messages[-1].startswith("davit: ")


def test_a_password_on_the_command_line_is_gone_at_once(watched, faulty):
    """It is refused; and not even we repeat it"""
    result = watched.davit.run("--debug", "login", "-u", USER, "-p", PASSWORD, faulty.host)
    assert result.code == 2
    assert leaks(result.out + result.err, [PASSWORD]) == []


def test_an_identity_token_is_shown_to_nobody(watched, faulty):
    faulty.auth = Bearer(refresh_tokens={IDENTITY: USER}, anonymous=False)
    watched.davit.write_auths(identity(faulty.host))
    watched("pull", faulty.ref)
    watched.assert_none(IDENTITY, *tokens_of(faulty.auth))
    assert leaks(told(faulty, kind="token"), [IDENTITY])
    assert not leaks(told(faulty, kind="manifest") + told(faulty, kind="blob"), [IDENTITY])


def test_a_registry_token_is_shown_to_nobody_but_the_registry(watched, faulty):
    faulty.auth = Bearer()
    faulty.auth.tokens["registry-T0ken-ready"] = 1000
    watched.davit.write_auths({faulty.host: {"registrytoken": "registry-T0ken-ready"}})
    faulty.fault("blob", Redirect())
    watched("pull", faulty.ref)
    watched.assert_none("registry-T0ken-ready")
    assert shown(faulty, "second") == []
    assert faulty.of("token") == []


# ---- other origins -------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: Basic({USER: PASSWORD}), lambda: Bearer({USER: PASSWORD})],
                         ids=["Basic", "Bearer"])
def test_signed_redirects_carry_nothing_and_are_not_shown(watched, faulty, make):
    """threats A4, A12"""
    faulty.auth = make()
    faulty.fault("any", Header("Set-Cookie", "session=c00kie-secret; Path=/"))
    faulty.fault("blob", Redirect(lambda r: f"{r.registry.second_url}/data/{r.ref}?"
                                            f"X-Amz-Signature={SIGNATURE}&sig={SIGNATURE}"))
    watched.davit.login(faulty.host, USER, PASSWORD)
    watched("--header", "X-Private: header-s3cret", "pull", faulty.ref)
    assert faulty.of("data")
    assert shown(faulty, "second") == []
    assert not leaks(told(faulty, "second"), [PASSWORD, "header-s3cret", "c00kie-secret"])
    assert not leaks(told(faulty, "main"), ["c00kie-secret"])
    tokens = tokens_of(faulty.auth) if isinstance(faulty.auth, Bearer) else []
    watched.assert_none(PASSWORD, SIGNATURE, "c00kie-secret", *tokens, given=["header-s3cret"])


def test_a_redirected_signature_is_not_in_the_error_either(watched, faulty):
    """threat A12"""
    faulty.fault("blob", Redirect(lambda r: f"{r.registry.second_url}/data/{r.ref}?sig={SIGNATURE}"))
    faulty.fault("data", Status(403, b"denied"))
    watched(*QUICK, "pull", faulty.ref, code={1, 3, 4, 6})
    assert faulty.of("data")
    watched.assert_none(SIGNATURE)


@pytest.mark.parametrize("command", ["login", "pull"])
def test_another_token_realm_gets_nothing(watched, small, command):
    """threat A1"""
    with FaultyRegistry(second_name="localhost") as registry:
        serve(registry, small, "web")
        registry.auth = Bearer({USER: PASSWORD}, realm="second", anonymous=False,
                               refresh_tokens={IDENTITY: USER})
        for stored in ({"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()},
                       {"identitytoken": IDENTITY}):
            watched.davit.write_auths({registry.host: stored})
            if command == "login":
                watched(*QUICK, "login", "-u", USER, "--password-stdin", registry.host,
                        data=PASSWORD.encode(), code=4)
            else:
                watched(*QUICK, "pull", registry.ref, code=4)
        assert shown(registry, "second") == []
        assert not leaks(told(registry, "second"), [PASSWORD, IDENTITY])
        assert command == "pull" or registry.of("any", origin="second") == []
        watched.assert_none(PASSWORD, IDENTITY)


def test_a_mirror_gets_nothing_of_docker_hubs(watched, faulty, small, free_port):
    """threat A15"""
    faulty.add_image(small, "web", "library/web:1.0")
    faulty.auth = Bearer({USER: PASSWORD}, anonymous=False, refresh_tokens={IDENTITY: USER})
    dead = f"http://127.0.0.1:{free_port}"
    for stored in ({"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()},
                   {"identitytoken": IDENTITY}):
        watched.davit.write_auths({"https://index.docker.io/v1/": stored})
        watched(*QUICK, "--registry-mirror", faulty.url, "--header", "X-Private: header-s3cret", "pull",
                "web:1.0", code={1, 4, 6}, env={"HTTPS_PROXY": dead, "HTTP_PROXY": dead})
    assert faulty.of("manifest")
    assert [v for _, v in shown(faulty, "main") if not v.startswith("Bearer tok-")] == []
    assert not leaks(told(faulty), [PASSWORD, IDENTITY, "header-s3cret"])
    watched.assert_none(PASSWORD, IDENTITY, given=["header-s3cret"])


def test_one_registrys_credentials_do_not_reach_another(watched, faulty, small):
    """threat A9: another port is another registry"""
    with FaultyRegistry() as other:
        serve(other, small, "web")
        other.auth = Basic({USER: PASSWORD})
        watched.davit.login(faulty.host, USER, PASSWORD)
        watched(*QUICK, "pull", other.ref, code=4)
        watched(*QUICK, "login", other.host, code=2)
        assert shown(other, "main") == []
    watched.assert_none(PASSWORD)


# ---- proxies -------------------------------------------------------------------------------------


def test_a_proxys_password_is_the_proxys(watched, faulty):
    """threats A4, A12: it stands in our own environment, where the user put it, and nowhere else"""
    host = "registry.invalid:5000"
    faulty.auth = Basic({USER: PASSWORD})
    watched.davit.login(host, USER, PASSWORD)
    url = faulty.url.replace("http://", f"http://bob:{PROXY_PASSWORD}@")
    options = [*FAST, "--insecure-registry", host]
    running = watched.davit.start("--debug", *options, "pull", f"{host}/demo/web:1.0", env={"HTTP_PROXY": url})
    result = running.wait(60)
    assert result.code == 0, str(result)
    assert faulty.of("manifest")[0].header("Proxy-Authorization")
    faulty.fault("any", Status(407, b"", (("Proxy-Authenticate", 'Basic realm="p"'),)))
    shutil.rmtree(watched.davit.store.path)
    failed = watched.davit.run("--debug", *options, "--max-download-attempts", "1", "pull",
                               f"{host}/demo/web:1.0", env={"HTTP_PROXY": url})
    assert failed.code != 0
    watched.printed = result.out + result.err + failed.out + failed.err
    watched.assert_none(PROXY_PASSWORD, PASSWORD)


def test_a_proxy_that_is_not_there_is_named_without_its_password(watched, free_port):
    url = f"http://bob:{PROXY_PASSWORD}@127.0.0.1:{free_port}"
    result = watched.davit.run("--debug", *QUICK, "login", "-u", USER, "--password-stdin", "registry.invalid",
                               data=PASSWORD.encode(), env={"HTTPS_PROXY": url}, timeout=60)
    assert result.code == 6
    assert leaks(result.out + result.err, [PROXY_PASSWORD, PASSWORD]) == []


# ---- helpers -------------------------------------------------------------------------------------


HELPER = """#!{python} -ISE
import json, os, sys, time
verb, text = sys.argv[1], sys.stdin.read()
with open({seen!r}, "ab") as file:
    for name in ("cmdline", "environ"):
        file.write(open("/proc/self/" + name, "rb").read() + b"\\n")
time.sleep(0.2)
path = {kept!r}
kept = json.load(open(path)) if os.path.exists(path) else {{}}
if verb == "store":
    one = json.loads(text)
    kept[one["ServerURL"]] = [one["Username"], one["Secret"]]
    json.dump(kept, open(path, "w"))
elif verb == "get":
    if text.strip() not in kept:
        print("credentials not found in native keychain")
        sys.exit(1)
    user, secret = kept[text.strip()]
    print(json.dumps({{"ServerURL": text.strip(), "Username": user, "Secret": secret}}))
elif verb == "erase":
    kept.pop(text.strip(), None)
    json.dump(kept, open(path, "w"))
"""


@pytest.fixture
def helper(davit, tmp_path):
    """docker-credential-watch on PATH; what it saw of itself is in `seen`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    file = folder / "docker-credential-watch"
    seen = tmp_path / "helper-saw"
    file.write_text(HELPER.format(python=sys.executable, seen=str(seen), kept=str(tmp_path / "kept.json")))
    file.chmod(0o755)
    davit.env["PATH"] = f"{folder}:{davit.env['PATH']}"
    config = davit.home / ".docker" / "config.json"
    config.parent.mkdir()
    config.write_text('{"credsStore": "watch"}')
    return seen


def test_a_helper_is_told_on_its_standard_input_only(watched, faulty, helper):
    """threats A11, A12"""
    faulty.auth = Basic({USER: PASSWORD})
    watched("login", "-u", USER, "--password-stdin", faulty.host, data=PASSWORD.encode())
    watched("pull", faulty.ref)
    watched("logout", faulty.host)
    argvs = [a for a in watched.argvs if b"docker-credential-watch" in a]
    assert argvs, "no helper was seen: nothing was tested"
    assert {a.rstrip(b"\0").split(b"\0")[-1] for a in argvs} <= {b"store", b"get", b"erase"}
    watched.assert_none(PASSWORD)
    assert leaks(helper.read_bytes(), [PASSWORD]) == []
    config = (watched.davit.home / ".docker" / "config.json").read_bytes()
    assert leaks(config, [PASSWORD]) == []


# ---- search --------------------------------------------------------------------------------------


def test_search_lets_no_secret_out(watched, faulty):
    faulty.auth = Basic({USER: PASSWORD})
    watched.davit.login(faulty.host, USER, PASSWORD)
    if watched.davit.run("help", "search").code:
        pytest.skip("no search in this program")
    watched(*QUICK, "search", f"{faulty.host}/web", code={0, 1, 3, 4, 6})
    watched.assert_none(PASSWORD)
    assert shown(faulty, "second") == []


# ---- the process itself --------------------------------------------------------------------------


needs_users = pytest.mark.skipif(os.geteuid() != 0 or ASAN or not shutil.which("setpriv"),
                                 reason="needs root, setpriv, and a program that is not dumpable")


@needs_users
def test_the_process_is_closed_to_others_of_the_same_user(faulty, small):
    """threat A12: neither its memory nor its environment can be read, by the same user or another"""
    root = Path(tempfile.mkdtemp(prefix="davit-user-", dir="/tmp"))
    try:
        binary = root / "davit"
        shutil.copy(program(), binary)
        if b"libdavit.so" in subprocess.run(["ldd", binary], capture_output=True).stdout:
            shared = re.search(rb"=> (\S*libdavit\.so\S*)", subprocess.run(
                ["ldd", program()], capture_output=True).stdout)[1].decode()
            shutil.copy(shared, root / Path(shared).name)
            shutil.copy(shared, root / re.search(r"libdavit\.so\.\d+(\.\d+)?", shared)[0])
        for path in [root, *root.iterdir()]:
            os.chown(path, NOBODY, NOBODY)
        as_user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        faulty.auth = Basic({USER: PASSWORD})
        faulty.fault("ping", StallHead(60), nth=2, times=100)
        env = {"HOME": str(root), "PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(root),
               "A_SECRET": "in-the-environment"}
        run = subprocess.Popen([*as_user, str(binary), "login", "-u", USER, "--password-stdin", faulty.host],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
                               cwd=root)
        try:
            run.stdin.write(PASSWORD.encode())
            run.stdin.close()
            faulty.wait(lambda: len(faulty.of("ping")) >= 2)      # the password is under way
            assert leaks(told(faulty), [PASSWORD])
            for name in ("environ", "mem", "maps", "auxv", "fd", "cwd"):
                how = ["ls", "-l"] if name in ("fd", "cwd") else ["head", "-c", "1"]
                look = subprocess.run([*as_user, *how, f"/proc/{run.pid}/{name}"], capture_output=True)
                assert look.returncode != 0 and not leaks(look.stdout, ["in-the-environment"]), name
            argv = subprocess.run([*as_user, "cat", f"/proc/{run.pid}/cmdline"], capture_output=True).stdout
            assert b"login" in argv and not leaks(argv, [PASSWORD])
        finally:
            run.kill()
            run.wait()
            run.stdout.close()
            run.stderr.close()
        assert not (root / ".docker").exists()
    finally:
        shutil.rmtree(root)


def test_what_login_writes_is_for_the_user_only(watched, faulty):
    """threat A12, with any umask"""
    faulty.auth = Basic({USER: PASSWORD})
    before = os.umask(0)
    try:
        watched("login", "-u", USER, "--password-stdin", faulty.host, data=PASSWORD.encode())
    finally:
        os.umask(before)
    folder = watched.davit.home / ".docker"
    assert folder.stat().st_mode & 0o777 == 0o700
    files = list(folder.iterdir())
    assert [f.name for f in files] == ["config.json"], "something was left beside it"
    assert files[0].stat().st_mode & 0o777 == 0o600
