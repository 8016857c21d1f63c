"""Decides how the tests run the program: a fresh home and store, no proxies, a limit on every run,
and what every run must obey (one line of error, no sanitizer report)."""
import base64
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
ASAN = os.environ.get("DAVIT_ASAN") == "1"
SLOW = 4 if ASAN or os.environ.get("DAVIT_WRAPPER") else 1     # how much slower time limits get
SANITIZER = re.compile(r"(Address|Leak|Thread|Memory)Sanitizer|runtime error: ")
# Limits for tests of faults: short, but not so short that a busy machine trips over them.
FAST = ["--retry-delay", "0.05", "--first-byte-timeout", str(1 * SLOW),
        "--stall-timeout", str(1 * SLOW), "--connect-timeout", str(3 * SLOW)]


def program():
    return os.environ.get("DAVIT") or str(PROJECT / "build" / "davit")


@dataclass
class Result:
    """One run that has ended."""
    argv: list
    code: int
    out: bytes
    err: bytes
    seconds: float
    rss_kib: int = None

    @property
    def text(self):
        return self.out.decode()

    @property
    def lines(self):
        return self.out.decode().splitlines()

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def messages(self):
        """Standard error, a line each, as text whatever it was."""
        return self.err.decode(errors="backslashreplace").splitlines()

    @property
    def errors(self):
        return [line for line in self.messages
                if line.startswith("davit: ") and not line.startswith("davit: warning")]

    def __str__(self):
        return (f"{shlex.join(self.argv)}\nexit status {self.code} after {self.seconds:.2f} s\n"
                f"stdout: {self.out[:4000].decode(errors='backslashreplace')}\n"
                f"stderr: {self.err[-4000:].decode(errors='backslashreplace')}")


class Running:
    """A run that has not ended."""

    def __init__(self, argv, env, cwd, **pipes):
        self.argv, self.started = argv, time.monotonic()
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                 **pipes}
        self.process = subprocess.Popen(argv, env=env, cwd=cwd, **pipes)

    def signal(self, number=signal.SIGINT):
        self.process.send_signal(number)

    def kill(self):
        """kill -9, and gone."""
        self.process.kill()
        self.process.communicate()

    @property
    def alive(self):
        return self.process.poll() is None

    def wait(self, timeout=30, data=None):
        try:
            out, err = self.process.communicate(data, timeout=timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            so_far = Result(self.argv, None, out, err, time.monotonic() - self.started)
            raise AssertionError(f"did not end within {timeout * SLOW} s: {so_far}") from None
        result = Result(self.argv, self.process.returncode, out or b"", err or b"",
                        time.monotonic() - self.started)
        assert not SANITIZER.search(result.err.decode(errors="replace")), str(result)
        return result


class Davit:
    """Runs the program: davit("pull", ref) must succeed, davit.fails(3, "pull", ref) must not."""

    def __init__(self, root, **env):
        self.root = Path(root)
        self.prefix = []         # a command that runs the program, such as Namespace.enter
        self.home, self.store = self.root / "home", Store(self.root / "store")
        self.home.mkdir(parents=True, exist_ok=True)
        keep = {k: v for k, v in os.environ.items()
                if k in ("PATH", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
                         "TSAN_OPTIONS", "TMPDIR")}
        self.env = {**keep, "HOME": str(self.home), "DAVIT_STORE": str(self.store.path),
                    "LANG": "C.UTF-8", "TERM": "xterm", **env}

    def argv(self, *args):
        wrapper = shlex.split(os.environ.get("DAVIT_WRAPPER", ""))
        return [*self.prefix, *wrapper, program(), *map(str, args)]

    def start(self, *args, env=None, cwd=None, store=None, **pipes):
        env = {**self.env, **(env or {})}
        if store:
            env["DAVIT_STORE"] = str(getattr(store, "path", store))
        return Running(self.argv(*args), env, cwd or self.root, **pipes)

    def run(self, *args, timeout=30, data=None, **how):
        """Whatever the exit status."""
        if data is not None:
            how["stdin"] = subprocess.PIPE
        return self.start(*args, **how).wait(timeout, data)

    def __call__(self, *args, code=0, **how):
        result = self.run(*args, **how)
        assert result.code == code, str(result)
        if code == 0:
            assert not result.errors, f"an error although it succeeded: {result}"
        return result

    def fails(self, code, *args, **how):
        """Fails with this status (or one of these) and exactly one line of error, the last; gives
        the result, with the message in `error`."""
        codes = code if isinstance(code, (set, tuple, list)) else {code}
        result = self.run(*args, **how)
        assert result.code in codes, f"expected {codes}: {result}"
        if 2 not in codes:
            assert len(result.errors) == 1 and result.messages[-1] == result.errors[0], str(result)
        assert result.errors, str(result)
        result.error = result.errors[0]
        return result

    def measured(self, *args, **how):
        """Like run, and rss_kib is the peak memory."""
        report = self.root / "rss"
        launcher = [sys.executable, "-ISE", str(Path(__file__).with_name("rss.py")), str(report)]
        env = {**self.env, **how.pop("env", {})}
        result = Running([*launcher, *self.argv(*args)], env, self.root).wait(
            how.pop("timeout", 60))
        result.rss_kib = int(report.read_text())
        return result

    def login(self, host, user, password, path=None):
        """Writes credentials where the program looks for them, as Docker does; gives the file."""
        auth = base64.b64encode(f"{user}:{password}".encode()).decode()
        return self.write_auths({host: {"auth": auth}}, path)

    def write_auths(self, auths, path=None):
        path = Path(path or self.home / ".docker" / "config.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"auths": auths}))
        return path


def assert_rss(result, mib):
    """Peak memory, unless a sanitizer eats most of it."""
    if not ASAN and not os.environ.get("DAVIT_WRAPPER"):
        assert result.rss_kib <= mib * 1024, f"{result.rss_kib / 1024:.1f} MiB of {mib}: {result}"


class Store:
    """What a store directory holds, seen from outside."""

    def __init__(self, path):
        self.path = Path(path)

    def blob_path(self, digest):
        return self.path / "blobs" / digest.replace(":", "/")

    def ingest_path(self, digest):
        return self.path / "ingest" / digest.replace(":", "-")

    def blobs(self):
        """Digests of all blobs."""
        return {f"{p.parent.name}:{p.name}" for p in self._files("blobs/sha256", "blobs/sha512")}

    def ingests(self):
        """Names of everything that is not finished."""
        return sorted(p.name for p in self._files("ingest"))

    def _files(self, *folders):
        return [p for folder in folders if (self.path / folder).is_dir()
                for p in (self.path / folder).iterdir()]

    def wrong_blobs(self):
        """Blobs whose bytes are not what their name says: never, not even after a kill."""
        import hashlib
        wrong = []
        for digest in self.blobs():
            algorithm, _, expected = digest.partition(":")
            with open(self.blob_path(digest), "rb") as file:
                actual = hashlib.new(algorithm)
                for piece in iter(lambda: file.read(1 << 20), b""):
                    actual.update(piece)
            if actual.hexdigest() != expected:
                wrong.append(digest)
        return wrong

    def assert_exactly(self, digests):
        """These blobs, right, and nothing left over anywhere."""
        assert self.blobs() == set(digests)
        assert self.wrong_blobs() == []
        assert self.ingests() == []
        assert [p.name for p in self._files("leases")] == []
        known = {"blobs", "ingest", "leases", "layers", "lock", "davit.db", "davit.db-wal",
                 "davit.db-shm"}
        assert {p.name for p in self.path.iterdir()} <= known
