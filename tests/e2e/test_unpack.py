"""davit unpack: an image's layers as files, from the store and from a registry, and a bundle around them."""
import json
import os
import pwd
import stat
import subprocess

import pytest

from conftest import serve
from support import layers, oci, trees
from support.davit import FAST, assert_rss
from support.faults import Corrupt, Cut, Truncate
from support.faulty_registry import FaultyRegistry

PASSWD = "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv/web:/bin/false\nbad:x:4294967295:1::/:\n"
GROUP = "root:x:0:\nwww:x:34:\nlogs:x:40:web,root\nold:x:7:web\n"


def gz(*entries):
    tar = layers.layer(*entries)
    return oci.gzip_of(tar), oci.sha256(tar)


def stored_as(layout, compression, *entries):
    tar = layers.layer(*entries)
    return layers.descriptor(layout, layers.COMPRESSORS[compression](tar), compression), oci.sha256(tar)


LOWEST = (layers.directory("etc"), layers.file("etc/passwd", PASSWD), layers.file("etc/group", GROUP),
          layers.directory("srv", mode=0o2775, uid=5, gid=6), layers.file("srv/old", b"old"),
          layers.file("bin-su", b"su", mode=0o4755), layers.symlink("run", "/var/run"),
          layers.hardlink("etc/passwd-", "etc/passwd"), layers.fifo("pipe"))
MIDDLE = (layers.whiteout("srv/old"), layers.file("srv/new", b"new", uid=7),
          layers.directory("var"), layers.directory("var/run"), layers.file("run/pid", b"1"))
TOP = (layers.file("srv/top", b"x" * 300000), layers.device("null", "3", 1, 3, mode=0o666))
NAMES = {b"", b"etc", b"etc/passwd", b"etc/passwd-", b"etc/group", b"srv", b"srv/new", b"srv/top", b"bin-su",
         b"run", b"pipe", b"var", b"var/run", b"var/run/pid", b"null"}


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    layout = oci.Layout.create(tmp_path_factory.mktemp("unpack") / "layout")
    run = {"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["exec top"], "Env": ["A=1", "PATH=/bin"], "User": "web",
           "WorkingDir": "/srv", "Labels": {"who": "me"}, "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGINT"}
    layout.tag("web", layout.add_image([gz(*LOWEST), gz(*MIDDLE), gz(*TOP)], config=run))
    for user in ("33:40", "33", "web:logs", "nobody", "4294967295", "bad", "12345"):
        layout.tag("user-" + user.replace(":", "-"), layout.add_image([gz(*LOWEST)], config={"User": user}))
    for kind in ("none", "zstd", "xz", "bzip2"):
        layout.tag(kind, layout.add_image([stored_as(layout, kind, *LOWEST), gz(*MIDDLE)]))
    good, diff_id = gz(*LOWEST)
    layout.tag("wrong-diff-id", layout.add_image([(good, diff_id), (good, oci.sha256(b"else"))]))
    layout.tag("too-many-diff-ids", layout.add_manifest(layout.add_config([diff_id, diff_id]),
                                                        [layout.add_blob(good, oci.OCI_LAYER_GZIP)]))
    layout.tag("empty", layout.add_image([]))
    layout.tag("skips", layout.add_image([gz(*(layers.file(f"f{i}", records={"SCHILY.xattr.trusted.x": "1"})
                                               for i in range(15)))]))
    layout.tag("large", layout.add_image([oci.noise_layer(f"u{i}", 6 << 20) for i in range(4)]))
    layout.tag("windows", layout.add_image([gz(*LOWEST)], os_name="windows"))
    layout.tag("index", layout.add_index([
        {**layout.add_image([gz(*TOP)], arch="arm64"), "platform": {"os": "linux", "architecture": "arm64"}},
        {**layout.add_image([gz(*LOWEST)]), "platform": {"os": "linux", "architecture": oci.HOST_ARCH}}]))
    return layout


@pytest.fixture
def registry(layout):
    with FaultyRegistry() as registry:
        for tag in layout.tags():
            registry.add_image(layout, tag, f"demo/{tag}:1.0")
        yield serve(registry, layout, "web")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "targets" / "root"


@pytest.fixture(autouse=True)
def nothing_beside(target):
    """Whatever happened, nothing but the target is left where it stands."""
    target.parent.mkdir()
    yield
    assert {p.name for p in target.parent.iterdir()} <= {"root"}


def names(target):
    return set(trees.walk(target))


def ref(registry, tag):
    return f"{registry.host}/demo/{tag}:1.0"


# ---- where from ------------------------------------------------------------------------------------------------------


def test_a_registry_image_becomes_a_tree_and_is_in_the_store(davit, registry, target):
    davit("unpack", registry.ref, target)
    tree = trees.walk(target)
    assert set(tree) == NAMES
    assert tree[b"srv"].mode == 0o2775 and (tree[b"srv"].uid, tree[b"srv"].gid) == (5, 6)
    assert tree[b"bin-su"].mode == 0o4755 and tree[b"run"].target == b"/var/run"
    assert tree[b"etc/passwd-"].same_as == tree[b"etc/passwd"].same_as
    assert tree[b"srv"].mtime_ns == layers.MTIME * 10**9 and tree[b""].mode == 0o755
    assert tree[b"null"].rdev == (1, 3) and tree[b"pipe"].type == "fifo"
    davit.store.assert_exactly(registry.image.blobs)
    assert davit("images", "-q").lines == [registry.image.config[7:19]]


def test_what_the_store_has_is_not_asked_for(davit, registry, target):
    davit("pull", registry.ref)
    asked = len(registry.requests)
    result = davit("unpack", "--json", registry.ref, target).json
    assert len(registry.requests) == asked
    assert result["source"] == "store" and result["manifest"] == registry.image.digest
    assert result["config"] == registry.image.config and result["layers"] == 3
    assert names(target) == NAMES


@pytest.mark.parametrize("how", [[], ["--no-store"]])
def test_store_and_registry_give_the_same_tree(davit, registry, target, tmp_path, how):
    davit("pull", registry.ref)
    davit("unpack", "store:" + registry.ref, target)
    davit("unpack", *how, "docker://" + registry.ref, tmp_path / "other")
    one, other = trees.walk(target), trees.walk(tmp_path / "other")
    one[b""].mtime_ns = None        # no entry says it
    assert trees.compare(one, other) == []


def test_an_image_id_names_what_is_in_the_store(davit, registry, target):
    davit("pull", registry.ref)
    davit("unpack", registry.image.config[7:19], target)
    assert names(target) == NAMES


def test_pull_always_asks_and_fetches_no_layer_again(davit, registry, target):
    davit("pull", registry.ref)
    gets = len(registry.gets())
    result = davit("unpack", "--json", "--pull", "always", registry.ref, target).json
    assert result["source"] == "registry" and len(registry.gets()) == gets
    assert names(target) == NAMES


@pytest.mark.parametrize("args", [("--pull", "never"), ()])
def test_pull_never_asks_nobody(davit, registry, target, args):
    name = registry.ref if args else "store:" + registry.ref
    assert "no store" in davit.fails(3, "unpack", *args, name, target).error
    assert registry.requests == [] and not target.exists()


def test_no_store_writes_nothing_but_the_target(davit, registry, target):
    davit("unpack", "--no-store", registry.ref, target)
    assert names(target) == NAMES
    assert not davit.store.path.exists()


@pytest.mark.parametrize("args", [("--no-store", "--pull", "never", "x"), ("--no-store", "store:x"),
                                  ("--pull", "always", "store:x"), ("--pull", "never", "docker://x"),
                                  ("--pull", "now", "x"), ("--devices", "maybe", "x"),
                                  ("--zstd-window", "1G", "x"), ("--zstd-window", "10", "x"),
                                  ("--max-size", "0", "x"), ("--max-size", "1X", "x"), ("x",), ("x", "y", "z")])
def test_what_contradicts_itself_is_a_usage_error(davit, target, args):
    argv = args if len(args) in (1, 3) and args[-1] in ("x", "z") and not args[0].startswith("-") \
        else (*args, target)
    assert "usage: " in str(davit.fails(2, "unpack", *argv))


@pytest.mark.parametrize("kind", ["none", "zstd", "xz", "bzip2"])
@pytest.mark.parametrize("how", [[], ["--no-store"]])
def test_every_compression_is_undone(davit, registry, target, kind, how):
    davit("unpack", *how, ref(registry, kind), target)
    assert names(target) == NAMES - {b"srv/top", b"null"}


def test_the_platform_chooses(davit, registry, target, tmp_path):
    davit("unpack", ref(registry, "index"), target)
    davit("unpack", "--platform", "linux/arm64", ref(registry, "index"), tmp_path / "arm")
    assert b"etc/passwd" in names(target) and names(tmp_path / "arm") == {b"", b"srv", b"srv/top", b"null"}
    davit.fails((1, 3), "unpack", "--platform", "linux/s390x", ref(registry, "index"), tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("how", [[], ["--no-store"]])
def test_another_systems_image_is_only_taken_when_asked_for(davit, registry, target, how):
    name = ref(registry, "windows")
    assert "cannot be used on this platform" in davit.fails(1, "unpack", *how, name, target).error
    assert not target.exists()
    davit("unpack", *how, "--platform", f"windows/{oci.HOST_ARCH}", name, target)


def test_layers_takes_the_lowest(davit, registry, target, tmp_path):
    davit("unpack", "--layers", 1, registry.ref, target)
    assert b"srv/old" in names(target) and b"srv/new" not in names(target)
    error = davit.fails((1, 2), "unpack", "--layers", 4, registry.ref, tmp_path / "none").error
    assert "image has only 3 layers, not 4" in error


def test_an_image_without_layers_is_an_empty_directory(davit, registry, target):
    davit("unpack", ref(registry, "empty"), target)
    assert names(target) == {b""}


# ---- where to --------------------------------------------------------------------------------------------------------


def test_a_target_that_is_not_empty_is_left_alone_without_force(davit, registry, target):
    target.mkdir()
    (target / "mine").write_text("1")
    before = trees.exactly(target)
    assert "--force" in davit.fails(1, "unpack", registry.ref, target).error
    assert trees.exactly(target) == before
    davit("unpack", "--force", registry.ref, target)
    assert names(target) == NAMES


def test_an_empty_target_is_filled(davit, registry, target):
    target.mkdir(mode=0o700)
    davit("unpack", registry.ref, target)
    assert names(target) == NAMES and stat.S_IMODE(target.stat().st_mode) == 0o755


@pytest.mark.parametrize("where", ["", "blobs/x", ".."])
def test_the_store_is_no_target(davit, registry, where):
    davit("pull", registry.ref)
    target = davit.store.path / where
    assert "the store" in davit.fails((1, 2), "unpack", "--force", registry.ref, target).error
    davit.store.assert_exactly(registry.image.blobs)


def test_a_directory_above_that_is_missing_is_named(davit, registry, target):
    assert "/nowhere" in davit.fails(7, "unpack", registry.ref, target / "nowhere" / "x").error


# ---- what is checked -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [["--no-store"], []])
def test_a_layer_that_is_not_what_the_image_says_leaves_nothing(davit, registry, target, how):
    """threat B7"""
    error = davit.fails(5, "unpack", *how, ref(registry, "wrong-diff-id"), target).error
    assert "its content is sha256:" in error and "and the image says " + oci.sha256(b"else") in error
    assert not target.exists()


@pytest.mark.parametrize("how", [["--no-store"], []])
def test_layers_that_do_not_match_the_config_in_number_are_refused(davit, registry, target, how):
    """threat B7"""
    error = davit.fails(1, "unpack", *how, ref(registry, "too-many-diff-ids"), target).error
    assert "layers from manifest don't match image configuration" in error and not target.exists()


def test_a_damaged_layer_in_the_store_is_named_with_what_mends_it(davit, registry, target):
    davit("pull", registry.ref)
    path = davit.store.blob_path(registry.layer)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    os.chmod(path, 0o644)
    path.write_bytes(data)
    error = davit.fails(5, "unpack", registry.ref, target).error
    assert registry.layer in error and "is damaged" in error and "fsck" in error and not target.exists()
    path.unlink()
    error = davit.fails(7, "unpack", registry.ref, target).error
    assert registry.layer in error and "pull the image again" in error and not target.exists()
    davit("unpack", "--pull", "always", registry.ref, target)
    assert names(target) == NAMES


def test_a_size_limit_holds(davit, registry, target):
    """threat C5"""
    assert "more than" in davit.fails(1, "unpack", "--max-size", "200K", registry.ref, target).error
    assert not target.exists()


def test_a_stream_is_resumed_and_a_wrong_one_refused(davit, layout, target):
    with FaultyRegistry() as registry:
        serve(registry, layout, "large")
        registry.fault("blob", Cut(after=4 << 20), digest=registry.layer, times=1)
        davit(*FAST, "unpack", "--no-store", registry.ref, target)
        assert len(names(target)) == 5
        registry.clear()
        registry.fault("blob", Corrupt(5 << 20), digest=registry.image.layers[2])
        error = davit.fails((1, 5), *FAST, "unpack", "--no-store", "--force", registry.ref, target).error
        assert registry.image.layers[2] in error
        assert len(names(target)) == 5
        registry.clear()
        registry.fault("blob", Truncate(1 << 20), digest=registry.image.layers[1])
        davit.fails((1, 5, 6), *FAST, "--max-download-attempts", 2, "unpack", "--no-store", "--force",
                    registry.ref, target)
        assert len(names(target)) == 5


@pytest.mark.parametrize("how", [["--no-store"], []])
def test_memory_stays_small(davit, layout, target, how):
    with FaultyRegistry() as registry:
        serve(registry, layout, "large")
        result = davit.measured("unpack", *how, registry.ref, target)
        assert result.code == 0
        assert_rss(result, 32)


# ---- what is told ----------------------------------------------------------------------------------------------------


def test_what_was_left_out_is_told(davit, registry, target, tmp_path):
    result = davit("unpack", ref(registry, "skips"), target)
    told = [line for line in result.messages if "left out: " in line]
    assert len(told) == 10 and any("and 5 more" in line for line in result.messages)
    document = davit("unpack", "--json", ref(registry, "skips"), tmp_path / "other").json
    assert document["skippedCount"] == 15 and len(document["skipped"]) == 15
    assert document["skipped"][0]["path"] == "f0" and "trusted.x" in document["skipped"][0]["reason"]


def test_counts_are_of_what_was_applied(davit, registry, target):
    document = davit("unpack", "--json", registry.ref, target).json
    assert (document["files"], document["symlinks"], document["hardlinks"], document["devices"],
            document["whiteouts"]) == (8, 1, 1, 1, 1)
    assert document["bytes"] == len(PASSWD) + len(GROUP) + 3 + 2 + 3 + 1 + 300000


def test_one_line_says_what_was_done(davit, registry, target):
    result = davit("-q", "unpack", registry.ref, target)
    assert result.err == b"" and len(result.lines) == 1
    assert result.lines[0].startswith(f"{registry.ref}: 3 layers, ")
    assert result.lines[0].endswith(f" in {target}")


def test_devices_are_kept_left_out_or_refused(davit, registry, target):
    davit("unpack", "--devices", "skip", registry.ref, target)
    assert names(target) == NAMES - {b"null"}
    error = davit.fails(1, "unpack", "--force", "--devices", "reject", registry.ref, target).error
    assert "null" in error and names(target) == NAMES - {b"null"}


def test_rootless_records_owners(davit, registry, target):
    davit("unpack", "--rootless", registry.ref, target)
    tree = trees.walk(target)
    assert tree[b"srv"].uid == 0 and tree[b"srv"].xattrs == {"user.rootlesscontainers": b"\x08\x05\x10\x06"}
    assert b"null" not in tree


# ---- bundle ----------------------------------------------------------------------------------------------------------


def bundle(davit, registry, target, tag, *args):
    davit("unpack", *args, "--bundle", "--force", ref(registry, tag), target)
    return json.loads((target / "config.json").read_bytes())


def test_a_bundle_has_a_root_and_a_config_by_the_image(davit, registry, target):
    spec = bundle(davit, registry, target, "web")
    assert names(target / "rootfs") == NAMES
    assert {p.name for p in target.iterdir()} == {"rootfs", "config.json"}
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert stat.S_IMODE((target / "rootfs").stat().st_mode) == 0o755
    process = spec["process"]
    assert spec["ociVersion"] == "1.0.2" and spec["root"] == {"path": "rootfs"}
    assert process["args"] == ["/bin/sh", "-c", "exec top"] and process["cwd"] == "/srv"
    assert process["user"] == {"uid": 33, "gid": 34, "additionalGids": [7, 40]}
    assert process["env"] == ["TERM=xterm", "A=1", "PATH=/bin", "HOME=/srv/web"]
    assert set(process["capabilities"]) == {"bounding", "effective", "permitted"}      # threat D14
    assert process["noNewPrivileges"] is True
    assert spec["annotations"] == {
        "org.opencontainers.image.os": "linux", "org.opencontainers.image.architecture": oci.HOST_ARCH,
        "org.opencontainers.image.created": oci.CREATED, "org.opencontainers.image.stopSignal": "SIGINT",
        "org.opencontainers.image.exposedPorts": "80/tcp", "who": "me"}
    assert [m["destination"] for m in spec["mounts"]] == ["/proc", "/dev", "/dev/shm", "/dev/mqueue", "/dev/pts",
                                                          "/sys", "/sys/fs/cgroup"]
    assert {n["type"] for n in spec["linux"]["namespaces"]} == {"pid", "network", "ipc", "uts", "mount"}


@pytest.mark.parametrize("user,expected", [("33-40", (33, 40, None)), ("33", (33, 34, [7, 40])),
                                           ("web-logs", (33, 40, None)), ("12345", (12345, 0, None))])
def test_the_user_is_found_in_the_root(davit, registry, target, user, expected):
    found = bundle(davit, registry, target, "user-" + user)["process"]["user"]
    assert (found["uid"], found["gid"], found.get("additionalGids")) == expected


@pytest.mark.parametrize("user", ["nobody", "4294967295", "bad"])
def test_a_user_that_is_nobody_is_refused(davit, registry, target, user):
    """threat B10"""
    error = davit.fails(1, "unpack", "--bundle", ref(registry, "user-" + user), target).error
    assert f'user "{user}"' in error and not target.exists()


@pytest.mark.parametrize("entries,word", [
    ((layers.directory("etc"), layers.fifo("etc/passwd")), "regular file"),
    ((layers.directory("etc"), layers.device("etc/passwd", "3", 1, 5)), "regular file"),
    ((layers.directory("etc"), layers.file("etc/group", b"x:x:1:\n" * 200000)), "longer")])
def test_accounts_that_are_no_small_files_are_refused(davit, tmp_path, target, entries, word):
    """threat B10"""
    layout = oci.Layout.create(tmp_path / "layout")
    layout.tag("x", layout.add_image([gz(*entries)], config={"User": "web"}))
    with FaultyRegistry() as registry:
        serve(registry, layout, "x")
        assert word in davit.fails(1, "unpack", "--bundle", registry.ref, target).error
    assert not target.exists()


def test_an_account_file_is_looked_for_within_the_root(davit, tmp_path, target):
    """threat B10: the host's own is not read through a link"""
    mine = pwd.getpwuid(0).pw_name
    layout = oci.Layout.create(tmp_path / "layout")
    layout.tag("x", layout.add_image([gz(layers.directory("etc"), layers.symlink("etc/passwd", "/real/passwd"),
                                         layers.file("real/passwd", "in:x:9:8::/:\n"))], config={"User": "in"}))
    layout.tag("y", layout.add_image([gz(layers.directory("etc"),
                                         layers.symlink("etc/passwd", "../../../../../../etc/passwd"))],
                                     config={"User": mine}))
    with FaultyRegistry() as registry:
        registry.add_image(layout, "y", "demo/y:1.0")
        serve(registry, layout, "x")
        assert bundle(davit, registry, target, "x")["process"]["user"] == {"uid": 9, "gid": 8}
        davit.fails(1, "unpack", "--bundle", "--force", ref(registry, "y"), target)


def test_a_rootless_bundle_has_a_user_namespace(davit, registry, target):
    spec = bundle(davit, registry, target, "web", "--rootless")
    assert spec["linux"]["uidMappings"] == [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
    assert "user" in {n["type"] for n in spec["linux"]["namespaces"]} and "resources" not in spec["linux"]


# ---- another user ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_user_who_is_not_root_unpacks_rootless(davit, registry, tmp_path, target):
    for path in (davit.root, davit.home, target.parent):
        os.chown(path, 65534, 65534)
    for path in tmp_path.parents:
        if path.owner() == "root" and not path.stat().st_mode & 0o005:
            os.chmod(path, path.stat().st_mode | 0o011)
    os.chmod(tmp_path, 0o755)
    program = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                              *davit.argv("unpack", "--json", registry.ref, target)], env=davit.env, cwd="/",
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    assert program.returncode == 0, program.stderr
    tree = trees.walk(target)
    assert set(tree) == NAMES - {b"null"} and {it.uid for it in tree.values()} == {65534}
    assert tree[b"srv"].xattrs == {"user.rootlesscontainers": b"\x08\x05\x10\x06"}
    assert json.loads(program.stdout)["skipped"][-1]["path"] == "null"
