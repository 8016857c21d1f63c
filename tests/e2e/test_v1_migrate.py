"""Out of old registries into today's: davit v1 migrate, and copy and pull of v1://. Judged by skopeo, umoci and the trees that come out."""
import json
import subprocess
import threading
import time
from dataclasses import replace

import pytest

from support import trees
from support.davit import FAST, SLOW
from support.faults import Action, StallHead, Status
from support.faulty_registry import FaultyRegistry
from support.registry import DockerRegistry
from support.v1_registry import Answer, V1Index, V1Registry, refuse, tar_of

USER, PASSWORD = "alice", "s3cret v1"
BASE, APP, OTHER = "00112233445566aa", "b" * 64, "c" * 16
REPOSITORIES, TAGS = 10, 5


def skopeo(*args):
    return subprocess.run(["skopeo", "--insecure-policy", *map(str, args)], check=True, capture_output=True).stdout


def listed(registry, name):
    return sorted(json.loads(skopeo("list-tags", "--tls-verify=false", f"docker://{registry.host}/{name}"))["Tags"])


def fetched(registry):
    return sorted(r.path.split("/")[3] for r in registry.requests if r.path.endswith("/layer"))


def fill(registry, base_layers):
    """Every tag stands on the same root file system, those of a repository besides on one layer of its own; each is one more."""
    below = None
    for i, layer in enumerate(base_layers):
        below = registry.add(f"{i:016x}", {}, parent=below, layer=layer)
    for r in range(REPOSITORIES):
        own = registry.add(f"{r + 1:064x}", {f"repository-{r}": b"x" * (1000 + r)}, parent=below)
        for t in range(TAGS):
            top = registry.add(f"{(r + 1) * 1000 + t:064x}", {f"tag-{t}": f"{r} {t}".encode()}, parent=own)
            registry.tag(f"old/app{r}", f"v{t}", top)
    return registry


@pytest.fixture(scope="module")
def base(images):
    image = images.image("derived")
    return [image.blob(digest) for digest in image.layers]


@pytest.fixture
def index():
    with V1Index(users={USER: PASSWORD}) as index:
        yield index


@pytest.fixture
def real(index, base):
    """On a real root file system."""
    with V1Registry(index=index) as registry:
        yield fill(registry, base)


@pytest.fixture
def old(index):
    with V1Registry(index=index) as registry:
        yield fill(registry, [tar_of({"etc/": None, "etc/motd": b"hello\n"}), tar_of({"lib": b"x" * 200000})])


@pytest.fixture
def alone():
    """APP on BASE, under three names."""
    with V1Registry() as registry:
        registry.add(BASE, {"etc/": None, "etc/motd": b"hello\n", "gone": b"x"})
        registry.add(APP, {".wh.gone": b"", "app": b"x" * 100000}, parent=BASE, config={"Cmd": ["/app"]})
        registry.tag("old/app", "1.0", APP)
        registry.tag("old/app", "latest", APP)
        registry.tag("old/base", "1", BASE)
        yield registry


@pytest.fixture
def new(tmp_path):
    with DockerRegistry(tmp_path) as registry:
        yield registry


def tree(top):
    """Directories that no layer describes have the time they were made."""
    return {path: replace(node, mtime_ns=None) if node.type == "directory" else node for path, node in trees.walk(top).items()}


# ---- a whole index -----------------------------------------------------------------------------------------


def test_fifty_tags_of_ten_repositories_fetch_each_layer_once_and_again_nothing(davit, real, index, new, base, tmp_path, images):
    old = real
    target = f"{new.host}/mirror"
    result = davit("v1", "migrate", "--all", "--json", "--index", index.url, target, timeout=120).json
    assert (result["Repositories"], result["Tags"], result["Migrated"], result["Failed"]) == (10, 50, 50, 0)
    assert fetched(old) == sorted(old.images)
    assert result["Fetched"] == {"Count": len(old.images), "Size": sum(len(i.layer) for i in old.images.values())}
    for r in range(REPOSITORIES):
        assert listed(new, f"mirror/old/app{r}") == [f"v{t}" for t in range(TAGS)]
    # what stands in several repositories is sent once, and mounted in the others
    assert result["Mounted"]["Count"] == (REPOSITORIES - 1) * len(base)
    assert davit.store.blobs() == set()
    # the same tree as umoci's of the image that its layers were taken from, and one file each
    skopeo("copy", "--src-tls-verify=false", f"docker://{target}/old/app3:v4", f"oci:{tmp_path}/layout:x")
    subprocess.run(["umoci", "unpack", "--image", f"{tmp_path}/layout:x", tmp_path / "bundle"], check=True, capture_output=True)
    subprocess.run(["umoci", "unpack", "--image", f"{images.path}:derived", tmp_path / "was"], check=True, capture_output=True)
    one, other = tree(tmp_path / "bundle/rootfs"), tree(tmp_path / "was/rootfs")
    assert (tmp_path / "bundle/rootfs/tag-4").read_text() == "3 4"
    for extra in (b"repository-3", b"tag-4"):
        one.pop(next(path for path in one if extra in (path if isinstance(path, bytes) else path.encode())))
    assert trees.compare(one, other) == []
    # and again
    old.requests.clear()
    index.requests.clear()
    mark = new.mark()
    result = davit("v1", "migrate", "--json", "--index", index.url, target).json
    assert (result["There"], result["Migrated"], result["Fetched"]["Count"], result["Copied"]["Count"]) == (50, 0, 0, 0)
    assert {r.path.rsplit("/", 1)[1] for r in old.requests} == {"tags"} and len(old.requests) == REPOSITORIES
    assert [a.method for a in new.since(mark) if a.method != "GET"] == ["HEAD"] * 50


def test_a_migration_that_was_killed_goes_on(davit, old, index, new):
    """Layers that came are not asked for again; the one under way is."""
    hung = f"{3:064x}"
    old.answers[f"GET images/{hung}/layer"] = Answer(hang=True)
    running = davit.start("v1", "migrate", "--index", index.url, new.host)
    while hung not in fetched(old) or len(davit.store.blobs()) < 20:
        assert running.alive
    running.kill()
    have = davit.store.blobs()
    del old.answers[f"GET images/{hung}/layer"]
    old.requests.clear()
    davit("v1", "migrate", "--index", index.url, new.host, timeout=120)
    assert len(fetched(old)) <= len(old.images) - len(have) + 6 and len(set(fetched(old))) == len(fetched(old))
    assert listed(new, "old/app9") == [f"v{t}" for t in range(TAGS)]


def test_one_that_fails_does_not_stop_the_others_and_is_done_the_next_time(davit, old, index, new):
    top = f"{2000:064x}"
    right, old.images[top].checksum = old.images[top].checksum, "sha256:" + "0" * 64
    result = davit.run("v1", "migrate", "--index", index.url, new.host, timeout=120)
    assert result.code == 5 and "old/app1:v0" in "".join(result.errors) and "checksum" in "".join(result.errors)
    assert listed(new, "old/app1") == ["v1", "v2", "v3", "v4"] and listed(new, "old/app9") == [f"v{t}" for t in range(TAGS)]
    assert "49 migrated, 0 there already, 1 failed" in result.text
    old.images[top].checksum = right
    old.requests.clear()
    assert "1 migrated, 49 there already, 0 failed" in davit("v1", "migrate", "--index", index.url, new.host).text
    assert fetched(old) == [top]
    assert davit.store.blobs() == set()


def test_a_repository_that_cannot_be_listed(davit, old, index, new):
    del old.tags["old/app4"]
    result = davit.run("v1", "migrate", "--index", index.url, new.host, timeout=120)
    assert result.code == 3 and "old/app4: GET" in "".join(result.errors) and "Repository not found" in "".join(result.errors)
    assert "45 migrated, 0 there already, 1 failed" in result.text


def test_tokens_that_end_on_the_way(davit, old, index, new):
    old.expires = lambda request: request.path == f"/v1/images/{5:064x}/layer"
    assert "50 migrated" in davit("v1", "migrate", "--index", index.url, new.host, timeout=120).text


def test_a_token_that_nobody_renews_stops_its_own_repository_only(davit, old, index, new):
    def expire(request):
        if request.path != f"/v1/images/{5:064x}/layer":
            return False
        index.private.add("old/app4")
        return True
    old.expires = expire
    result = davit.run("v1", "migrate", "--index", index.url, new.host, timeout=120)
    assert result.code == 4 and "Requires authorization" in "".join(result.errors)
    assert "45 migrated, 0 there already, 5 failed" in result.text
    assert listed(new, "old/app9") == [f"v{t}" for t in range(TAGS)]


def test_layers_and_tags_are_asked_for_several_at_once(davit, old, index, new):
    old.gate("/layer", 6)
    old.gate("/tags", 6)
    davit("v1", "migrate", "--dry-run", "--index", index.url, new.host)
    tags_at_once, old.most_at_once = old.most_at_once, 0
    davit("v1", "migrate", "--index", index.url, "old/app0", "old/app1", new.host, timeout=120)
    assert tags_at_once >= 6 and old.most_at_once >= 6


class Slow(Action):
    """What this answers takes a while; how many did at once."""
    def __init__(self):
        self.now = self.most = 0
        self.lock = threading.Lock()

    def before(self, request):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.2)
        with self.lock:
            self.now -= 1


def test_repositories_are_copied_several_at_once_behind_the_first_tag(davit, old, index):
    """What all stand on is there when the others begin: it is mounted, and sent once."""
    with FaultyRegistry() as target:
        slow = Slow()
        target.fault("manifest", slow, method="PUT")
        result = davit("v1", "migrate", "--json", "--index", index.url, target.host, timeout=120).json
        puts = target.of("manifest", method="PUT")
        assert result["Migrated"] == 50 and len(puts) == 50 and 4 <= slow.most <= 8
        assert puts[0].ended <= min(p.started for p in puts[1:])
        assert result["Copied"]["Count"] == len(old.images) + 50     # each layer once, and a config for each tag


def test_what_several_of_them_lack_is_fetched_once(davit, index, new):
    """All is known from the first time, and no byte of it is here or there; all but the first stand on one more layer."""
    with V1Registry(index=index) as old:
        base = old.add(f"{0:016x}", {"etc/motd": b"hello\n"})
        shared = old.add(f"{1:016x}", {"lib": b"x" * 2000000}, parent=base)
        for r in range(10):
            old.tag(f"old/app{r}", "1", old.add(f"{100 + r:016x}", {"r": b"%d" % r}, parent=shared if r else base))
        davit("v1", "migrate", "--index", index.url, f"{new.host}/first")
        assert davit.store.blobs() == set()
        old.requests.clear()
        davit("v1", "migrate", "--index", index.url, f"{new.host}/second")
        assert fetched(old) == sorted(old.images)
        assert davit.store.blobs() == set()


def test_what_fails_of_one_repository_does_not_stop_those_beside_it(davit, old, index):
    with FaultyRegistry() as target:
        target.fault("manifest", Status(403, b"{}"), method="PUT", name="old/app3")
        result = davit.run(*FAST, "v1", "migrate", "--index", index.url, target.host, timeout=120)
        assert result.code == 4 and "45 migrated, 0 there already, 5 failed" in result.text
        assert not any("old/app3" in line for line in result.lines[:-1]) and len(result.lines) == 46


def test_ctrl_c_ends_all_copies_within_a_second(davit, old, index):
    with FaultyRegistry() as target:
        target.fault("manifest", StallHead(), method="PUT", name="old/app5")
        running = davit.start("v1", "migrate", "--index", index.url, target.host)
        target.wait(lambda: any("old/app5" in r.path for r in target.of("manifest", method="PUT")))
        before = time.monotonic()
        running.signal()
        assert running.wait().code == 130 and time.monotonic() - before < 1.5 * SLOW


def test_a_private_repository_is_migrated_as_its_user(davit, old, index, new):
    index.private.add("old/app7")
    args = ["v1", "migrate", "--index", index.url, "old/app7", new.host]
    assert "images not found" in davit.fails(3, *args).error
    davit(*args[:4], "-u", USER, "--password-stdin", *args[4:], data=PASSWORD.encode())
    assert listed(new, "old/app7") == [f"v{t}" for t in range(TAGS)]


def test_a_tag_of_the_target_is_asked_for_once(davit, alone, new):
    davit("v1", "migrate", "--all", alone.host, new.host)
    asked = [a.path for a in new.since(0) if a.method == "HEAD" and "/manifests/" in a.path and "sha256" not in a.path]
    assert sorted(asked) == ["/v2/old/app/manifests/1.0", "/v2/old/app/manifests/latest", "/v2/old/base/manifests/1"]


# ---- which, and where to -------------------------------------------------------------------------------------


def test_by_host_by_name_by_tag_and_by_search(davit, alone, new):
    assert "3 migrated" in davit("v1", "migrate", "--all", alone.host, f"{new.host}/all").text
    davit("v1", "migrate", f"{alone.host}/old/app:1.0", f"{alone.host}/old/base", f"docker://{new.host}/some/")
    assert listed(new, "some/old/app") == ["1.0"] and listed(new, "some/old/base") == ["1"]
    davit("v1", "migrate", "--search", "base", "--registry", alone.url, f"{new.host}/found")
    names = json.loads(davit("catalog", "--json", new.host).out)
    assert [n for n in (names if isinstance(names, list) else names["repositories"]) if n.startswith("found")] == ["found/old/base"]


def test_a_dry_run_lists_the_tags_and_fetches_nothing(davit, alone, new):
    result = davit("v1", "migrate", "--dry-run", "--all", alone.host, new.host)
    assert result.lines == ["old/app:1.0", "old/app:latest", "old/base:1", "2 repositories, 3 tags"]
    assert not [r for r in alone.requests if "/images/" in r.path] and new.since(0) == []


def test_into_layouts_side_by_side_and_into_the_store(davit, alone, tmp_path):
    davit("v1", "migrate", "--all", alone.host, f"oci:{tmp_path}/mirror")
    config = json.loads(skopeo("inspect", "--config", f"oci:{tmp_path}/mirror/old/app:latest"))
    assert config["config"]["Cmd"] == ["/app"]
    davit("v1", "migrate", "--all", alone.host, "store:from")
    names = {t for i in davit("images", "--json").json for t in i["RepoTags"]}
    assert names == {"from/old/app:1.0", "from/old/app:latest", "from/old/base:1"}
    assert davit("fsck").code == 0
    davit("unpack", "store:from/old/app:1.0", tmp_path / "root")
    assert {p.name for p in (tmp_path / "root").iterdir()} == {"etc", "app"}


@pytest.mark.parametrize("args,words", [
    (["x"], "name repositories"), (["--all", "x"], "--all wants one HOST"), (["--all", "a:1", "b:1", "x"], "--all wants one HOST"),
    (["a:1/x", "b:1/x", "t"], "another host"), (["app", "t"], "has no host"),
    (["--all", "--registry", "http://127.0.0.1:1/v1/", "app", "t"], "--all of them"),
    (["--search", "x", "--registry", "http://127.0.0.1:1/v1/", "app", "t"], "named, or searched"),
    (["--registry", "http://127.0.0.1:1/v1/", f"dir:/tmp/x"], "repositories go to"),
    (["--registry", "http://127.0.0.1:1/v1/", f"oci-archive:/tmp/x.tar"], "repositories go to"),
    (["--registry", "http://127.0.0.1:1/v1/", f"host:5000/x:tag"], "invalid reference"),
    (["--registry", "http://127.0.0.1:1/v1/", f"v1://host:5000/x"], "repositories go to"),
    (["--registry", "http://127.0.0.1:1/v1/", f"app@{BASE}", "host:5000"], "no name to migrate it under"),
])
def test_what_is_not_understood(davit, args, words):
    assert words in davit.fails({1, 2}, *FAST, "v1", "migrate", *args).error


def test_an_empty_registry(davit, new):
    with V1Registry() as empty:
        assert "finds no repositories" in davit.fails(3, "v1", "migrate", "--all", empty.host, new.host).error


def test_a_search_of_many_pages(davit, new):
    with V1Index() as index, V1Registry(index=index) as registry:
        registry.add(BASE, {"a": b"a"})
        for i in range(250):
            registry.tag(f"many/r{i:03}", "1", BASE)
        result = davit("v1", "migrate", "--dry-run", "--index", index.url, new.host)
        assert result.lines[-1] == "250 repositories, 250 tags"
        assert [r.query["page"] for r in index.requests if r.path.endswith("/search")] == ["1", "2", "3"]


# ---- copy and pull -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["docker://{new}/x:1", "oci:{tmp}/l:x", "oci-archive:{tmp}/a.tar:x", "docker-archive:{tmp}/d.tar:x:1", "dir:{tmp}/d",
                                   "store:x:1"])
def test_copy_to_everywhere(davit, alone, new, tmp_path, place):
    target = place.format(new=new.host, tmp=tmp_path)
    digest = davit("copy", f"v1://{alone.host}/old/app:1.0", target).text.strip()
    davit("v1", "pull", f"{alone.host}/old/app:1.0")
    if not place.startswith("docker-archive"):
        assert digest == davit("digest", f"store:{alone.host}/old/app:1.0").text.strip()
    if place.startswith("store"):
        return
    flags = ["--tls-verify=false"] if place.startswith("docker:") else []
    assert json.loads(skopeo("inspect", "--config", *flags, target))["config"]["Cmd"] == ["/app"]


def test_copying_again_asks_for_the_tag_only_and_fetches_only_what_neither_side_has(davit, alone, new):
    davit("copy", f"v1://{alone.host}/old/base:1", f"{new.host}/base:1")
    assert davit.store.blobs() == set()
    alone.requests.clear()
    davit("copy", f"v1://{alone.host}/old/base:1", f"{new.host}/base:1")
    assert [r.path for r in alone.requests] == ["/v1/_ping", "/v1/repositories/old/base/tags/1"]
    davit("copy", f"v1://{alone.host}/old/app:1.0", f"{new.host}/base:2")
    assert fetched(alone) == [APP]


def test_copy_of_all_tags_of_one_by_its_id_and_of_none(davit, alone, new):
    davit("copy", "-a", f"v1://{alone.host}/old/app", f"{new.host}/app")
    assert listed(new, "app") == ["1.0", "latest"]
    davit("copy", f"v1://{alone.host}/old/app@{BASE}", f"{new.host}/by-id:1")
    assert listed(new, "by-id") == ["1"]
    assert "Tag not found" in davit.fails(3, "copy", f"v1://{alone.host}/old/app:none", f"{new.host}/x:1").error
    assert "v1 push" in davit.fails(1, "copy", f"{new.host}/app:1.0", f"v1://{alone.host}/old/app:2").error
    assert "tag can't be used" in davit.fails({1, 2}, "copy", "-a", f"v1://{alone.host}/old/app:1.0", f"{new.host}/x").error


def test_a_bad_image_is_copied_nowhere(davit, alone, new):
    alone.images[APP].checksum = "sha256:" + "0" * 64
    assert "checksum" in davit.fails(5, *FAST, "copy", f"v1://{alone.host}/old/app:1.0", f"{new.host}/x:1").error
    assert not [a for a in new.since(0) if a.method in ("POST", "PUT", "PATCH")]
    alone.answers[f"GET images/{APP}/json"] = refuse(400, "Image is being uploaded, retry later")
    assert "being uploaded" in davit.fails(1, *FAST, "copy", f"v1://{alone.host}/old/app:1.0", f"{new.host}/x:1").error


def test_pull_knows_the_transport(davit, other_davit, alone):
    assert davit("pull", f"v1://{alone.host}/old/app:1.0").lines == [f"Loaded image: {alone.host}/old/app:1.0"]
    davit("pull", "-a", f"v1://{alone.host}/old/app")
    davit("pull", f"v1://{alone.host}/old/base:1", f"v1://{alone.host}/old/app")
    names = {t for i in davit("images", "--json").json for t in i["RepoTags"]}
    assert names == {f"{alone.host}/{n}" for n in ("old/app:1.0", "old/app:latest", "old/base:1")}
    assert "--dry-run" in davit.fails(2, "pull", "--dry-run", f"v1://{alone.host}/old/app").error
    assert "platform" in davit.fails(2, "pull", "--platform", "linux/arm64", f"v1://{alone.host}/old/app").error
    assert "tag" in davit.fails(2, "pull", "-a", f"v1://{alone.host}/old/app:1.0").error
