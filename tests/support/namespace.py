"""Decides how a test gets a small or a read-only disk: a mount in a namespace of its own, which
is gone with its last process whatever happens."""
import os
import select
import subprocess

from support.registry import tied


class Namespace:
    """A context manager: `mounts` (shell) are made in a mount namespace; `enter` is the command
    that goes before a program to be in it. `refused` says why there is none."""

    def __init__(self, mounts):
        self.mounts = mounts
        self.refused = None

    def __enter__(self):
        root = os.geteuid() == 0
        flags = ["-m", "--propagation", "private"] if root else ["-U", "-r", "-m"]
        script = f"{self.mounts} && echo ready && exec sleep 1000"
        self.process = subprocess.Popen(tied(["unshare", *flags, "sh", "-c", script]), text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        readable, _, _ = select.select([self.process.stdout], [], [], 10)
        line = self.process.stdout.readline() if readable else "no answer"
        if line.strip() != "ready":
            self.refused = line.strip() or "no mount namespaces here"
        user = [] if root else ["-U", "--preserve-credentials"]
        self.enter = ["nsenter", "-t", str(self.process.pid), *user, "-m", "--wd=/", "--"]
        return self

    def path(self, path):
        """The same path, seen from outside."""
        return f"/proc/{self.process.pid}/root{path}"

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
