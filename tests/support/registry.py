"""Decides how the tests run Debian's docker-registry: on a free port, with file storage, and dead
at the end whatever happens. Filled by skopeo, so that davit reads what another program wrote."""
import json
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ACCESS = re.compile(r'"(?P<method>[A-Z]+) (?P<path>\S+) HTTP/[\d.]+" (?P<status>\d+) (?P<size>\d+) '
                    r'"[^"]*" "(?P<agent>[^"]*)"')
LISTENING = re.compile(r"listening on (\d+\.\d+\.\d+\.\d+:\d+)")


def tied(argv):
    """A command that dies with us, even when we are killed."""
    return ["setpriv", "--pdeathsig", "KILL", *argv] if shutil.which("setpriv") else argv


@dataclass
class Access:
    """One line of the access log."""
    method: str
    path: str
    status: int
    size: int
    agent: str


class DockerRegistry:
    """A context manager around `docker-registry serve`.

    auth: None, "htpasswd" (users) or a running TokenServer. authority: a tls.Authority or a tls.Pair
    for TLS. client_ca: a file; who has no certificate of that CA is refused in the handshake.
    address: where it listens. data: another registry's, to serve the same images. delete: whether
    manifests and blobs may be deleted. readonly: nothing can be changed.
    """

    def __init__(self, directory, auth=None, users=None, authority=None, client_ca=None,
                 address="127.0.0.1", data=None, delete=True, readonly=False):
        self.client_ca, self.address, self.delete = client_ca, address, delete
        self.readonly = readonly
        self.dir = Path(tempfile.mkdtemp(dir=directory, prefix="registry-"))
        self.auth, self.users, self.authority = auth, users or {}, authority
        self.log_path = self.dir / "log"
        self.data = data.data if data else self.dir / "data"

    def _config(self):
        config = {
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": str(self.data)},
                        "delete": {"enabled": self.delete},
                        "maintenance": {"uploadpurging": {"enabled": False},
                                        "readonly": {"enabled": self.readonly}}},
            "http": {"addr": f"{self.address}:0", "secret": "tests"},
        }
        if self.authority:
            config["http"]["tls"] = {"certificate": str(self.authority.cert),
                                     "key": str(self.authority.key)}
        if self.client_ca:
            config["http"]["tls"]["clientcas"] = [str(self.client_ca)]
        if self.auth == "htpasswd":
            lines = [subprocess.run(["htpasswd", "-Bbn", user, password], check=True, text=True,
                                    capture_output=True).stdout.strip()
                     for user, password in self.users.items()]
            (self.dir / "htpasswd").write_text("\n".join(lines) + "\n")
            config["auth"] = {"htpasswd": {"realm": "davit tests",
                                           "path": str(self.dir / "htpasswd")}}
        elif self.auth:
            (self.dir / "tokens.crt").write_bytes(self.auth.signer.pem())
            config["auth"] = {"token": {"realm": self.auth.realm, "service": self.auth.service,
                                        "issuer": self.auth.issuer,
                                        "rootcertbundle": str(self.dir / "tokens.crt")}}
        return config

    def __enter__(self):
        config = self.dir / "config.yml"
        config.write_text(json.dumps(self._config()))       # JSON is YAML
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen(tied(["docker-registry", "serve", str(config)]),
                                        stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT, cwd=self.dir)
        try:
            self.host = self._wait_ready()
        except BaseException:
            self.__exit__()
            raise
        self.url = f"{'https' if self.authority else 'http'}://{self.host}"
        return self

    def _wait_ready(self):
        """The port is ours once the log says so: the socket is listening before that line."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = LISTENING.search(self.log_path.read_text(errors="replace"))
            if found:
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"docker-registry did not start:\n{self.log_tail()}")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()

    def _skopeo(self, *args, user=None, side=""):
        tls = [f"--{side}tls-verify=false"]
        if user:
            tls.append(f"--{side}creds={user}:{self._password(user)}")
        return ["skopeo", "--insecure-policy", args[0], *tls, *args[1:]]

    def _password(self, user):
        return (self.users or self.auth.users)[user]

    def push(self, layout, tag, name, format=None, user=None):
        """Copies a layout's tag to `name` ("demo/web:1.0"), bytes as they are unless a format is
        given (v2s2)."""
        path = getattr(layout, "path", layout)
        how = ["--format", format] if format else ["--all", "--preserve-digests"]
        run = subprocess.run(
            self._skopeo("copy", "-q", *how, f"oci:{path}:{tag}", f"docker://{self.host}/{name}",
                         user=user, side="dest-"), capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(f"skopeo copy {tag} {name}: {run.stderr}\n{self.log_tail()}")
        return f"{self.host}/{name}"

    def inspect(self, name, *flags, user=None):
        """What skopeo says about an image: bytes with --raw or --config --raw."""
        run = subprocess.run(
            self._skopeo("inspect", *flags, f"docker://{self.host}/{name}", user=user),
            capture_output=True, check=True)
        return run.stdout

    def accesses(self, agent=None):
        """The requests answered so far, in order."""
        found = [Access(m["method"], m["path"], int(m["status"]), int(m["size"]), m["agent"])
                 for m in ACCESS.finditer(self.log_path.read_text(errors="replace"))]
        return [a for a in found if agent is None or agent in a.agent]

    def mark(self):
        """A place in the access log; see `since`."""
        return len(self.accesses())

    def since(self, mark):
        """The requests answered after `mark`; waits a moment for the last line to be written."""
        time.sleep(0.05)
        return self.accesses()[mark:]

    def log_tail(self, lines=40):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
