"""The rows of copying: to another registry, within one registry, and the list of many tags.

Each run of each program copies into a repository of its own, which is empty. skopeo remembers where it saw which blob and would mount from there:
it gets an empty memory each time.
"""
import hashlib
import json
import os
import subprocess

TAGS = 10_000
IMAGES = {"copy9": "debian9", "copy100": "tiny100", "mount9": "debian9"}
ROWS = {*IMAGES, "tags10000"}


class Copied:
    """Where each run copies to, and the check of what came: the manifest, and that its last layer can be had."""

    def __init__(self, registry, layout, tag):
        self.registry, self.layout, self.tag, self.count = registry, layout, tag, 0
        self.digest = layout.tags()[tag]["digest"]

    def next(self):
        self.count += 1
        self.name = f"bench/{self.tag}-copied{self.count}:1"
        return f"{self.registry.host}/{self.name}"

    def check(self, name, _directory, _out):
        raw = self.registry.inspect(self.name, "--raw")
        if "sha256:" + hashlib.sha256(raw).hexdigest() != self.digest:
            raise SystemExit(f"bench: {name} left another manifest")
        last = json.loads(raw)["layers"][-1]["digest"]
        url = f"{self.registry.url}/v2/{self.name.rpartition(':')[0]}/blobs/{last}"
        if subprocess.run(["curl", "-sfIo", os.devnull, url]).returncode:
            raise SystemExit(f"bench: {name} left no layer {last}")


def forgetful(argv, directory):
    """skopeo without what it learnt in earlier runs: as root its memory is at one place for everybody."""
    if os.geteuid() != 0:
        return ["env", f"XDG_DATA_HOME={directory / 'data'}", *argv]
    memory = "/var/lib/containers/cache"
    return ["unshare", "-m", "sh", "-c", f'mkdir -p {memory} && mount -t tmpfs none {memory} && exec "$@"', "sh", *argv]


def contenders(davit, first, second, layout, tag):
    copied = Copied(second, layout, tag)
    source = f"{first.host}/bench/{tag}:1"

    def ours(_directory):
        return [davit, "--progress", "none", "copy", "-q", source, copied.next()]

    def skopeo(directory):
        return forgetful(["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false",
                          f"docker://{source}", f"docker://{copied.next()}"], directory)
    return {**({"davit": ours} if davit else {}), "skopeo": skopeo}, copied.check


def add_tags(registry, name):
    """Many tags of one image, as files of the registry: by requests it would take a minute."""
    link = registry.data / "docker/registry/v2/repositories" / name / "_manifests/tags"
    digest = (link / "1/current/link").read_text()
    for i in range(TAGS):
        current = link / f"tag-{i:05}" / "current"
        current.mkdir(parents=True, exist_ok=True)
        (current / "link").write_text(digest)


def listing(davit, registry, name):
    ref = f"{registry.host}/{name}"

    def check(who, _directory, out):
        count = len(json.loads(out)["Tags"]) if out.startswith("{") else len(out.split())
        if count != TAGS + 1:
            raise SystemExit(f"bench: {who} lists {count} tags")
    ours = {"davit": lambda _: [davit, "tags", ref]} if davit else {}
    return {**ours, "skopeo": lambda _: ["skopeo", "list-tags", "--tls-verify=false", f"docker://{ref}"]}, check


def rows(make, davit, first, second, layouts):
    """layouts: {tag: the layout that has it}; first has each as bench/TAG:1."""
    def row(name, title, target, wall, cpu=None):
        tag = IMAGES[name]
        programs, check = contenders(davit, first, target, layouts[tag], tag)
        return make(name, title, programs, check, wall, cpu)

    add_tags(first, "bench/tiny100")
    programs, check = listing(davit, first, "bench/tiny100")
    return [
        row("copy9", "a Debian of nine layers to another registry", second, 0.7, 0.35),
        row("copy100", "100 small layers to another registry", second, 0.7, 0.4),
        row("mount9", "a Debian of nine layers to another repository of the same registry", first, 0.1),
        make("tags10000", f"{TAGS} tags listed", programs, check, 0.6, 0.5),
    ]
