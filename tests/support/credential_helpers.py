"""Decides what the credential helpers of the tests do: one that speaks Docker's protocol and remembers what it saw, and
those that misbehave. All are scripts in a directory that the tests put into PATH."""
import json
import os
import shlex
from pathlib import Path

PROTOCOL = '''#!/usr/bin/python3 -ISE
import json, os, sys, time
root = {root!r}
fds = sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd))
verb, data = " ".join(sys.argv[1:]), sys.stdin.read()
with open(root + "/runs", "a") as runs:
    runs.write(json.dumps({{
        "argv": sys.argv, "input": data, "env": dict(os.environ), "cwd": os.getcwd(), "pid": os.getpid(),
        "group": os.getpgrp(), "session": os.getsid(0),
        "fds": fds,
        "parents": open("/proc/%d/cmdline" % os.getppid()).read().split(chr(0))}}) + "\\n")
path = root + "/secrets.json"
secrets = json.load(open(path)) if os.path.exists(path) else {{}}
def missing():
    print("credentials not found in native keychain")
    sys.exit(1)
if verb == "get":
    found = secrets.get(data.strip()) or missing()
    print(json.dumps({{"ServerURL": data.strip(), "Username": found[0], "Secret": found[1]}}))
elif verb == "store":
    new = json.loads(data)
    secrets[new["ServerURL"]] = [new["Username"], new["Secret"]]
elif verb == "erase":
    secrets.pop(data.strip(), None)
elif verb == "list":
    print(json.dumps({{server: found[0] for server, found in secrets.items()}}))
else:
    sys.exit(2)
if verb in ("store", "erase"):
    with open(path, "w") as file:
        json.dump(secrets, file)
'''


class Helper:
    """docker-credential-NAME in a directory of its own, which `path` puts first in PATH."""

    def __init__(self, directory, name="test"):
        self.root = Path(directory)
        self.root.mkdir(parents=True, exist_ok=True)
        self.name, self.program = name, self.root / f"docker-credential-{name}"
        self.write(PROTOCOL.format(root=str(self.root)))

    def write(self, text, mode=0o755):
        self.program.write_text(text)
        self.program.chmod(mode)

    def says(self, shell):
        """From now on it runs these lines of shell."""
        self.write(f"#!/bin/sh\necho $$ > {shlex.quote(str(self.root))}/pid\n{shell}\n")

    @property
    def path(self):
        return f"{self.root}:{os.environ['PATH']}"

    @property
    def runs(self):
        file = self.root / "runs"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def verbs(self):
        return [run["argv"][1] for run in self.runs]

    @property
    def secrets(self):
        file = self.root / "secrets.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def keep(self, server, username, secret):
        (self.root / "secrets.json").write_text(json.dumps({**self.secrets, server: [username, secret]}))

    def pid(self):
        return int((self.root / "pid").read_text())
