"""Real root file systems come out as umoci, GNU tar and bsdtar have them: type, mode, owner, size, times in
ns, links, devices, xattrs, content. Images of this machine and of debootstrap, in layers made by umoci."""
import fcntl
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from support import debian_root, layers, oci, trees
from support.davit import Davit, assert_rss, program
from support.faulty_registry import FaultyRegistry
from support.layers import directory, file, layer, opaque, symlink, whiteout

ROOT = os.geteuid() == 0
NOBODY = 65534
pytestmark = pytest.mark.skipif(not ROOT, reason="owners and devices need root")
SOURCES = ["/usr/share/perl/5.36.0", "/usr/share/zoneinfo", "/usr/lib/python3/dist-packages",
           "/usr/share/doc", "/usr/share/locale", "/usr/share/man"]
NOT_UTF_8 = b"names/latin-\xe4\n\x01"
ENOUGH = 3000                   # files of the machine
EXTRACTORS = {"tar": ["tar", "-xp", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--same-owner",
                      "--delay-directory-restore", "-f"],
              "bsdtar": ["bsdtar", "-xp", "--numeric-owner", "-f"]}
SKIP = {"tar": set(), "bsdtar": {NOT_UTF_8, b""}}   # it leaves such a name out, and the root's time alone


def run(*argv, **how):
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, errors="replace",
                          env={**os.environ, "LC_ALL": "C.UTF-8"}, **how)
    unlike_us = argv[0] == "bsdtar" and "can't be converted from UTF-8" in done.stderr     # it skips the name
    assert done.returncode == 0 or unlike_us, f"{argv}: {done.stderr}{done.stdout}"


# ---- a root file system --------------------------------------------------------------------------


def copy_real_files(root):
    """A few thousand files of the machine, with their links and times."""
    count = 0
    for source in map(Path, SOURCES):
        if not source.is_dir():
            continue
        for folder, _, names in os.walk(source):
            into = root / folder[1:]
            into.mkdir(parents=True, exist_ok=True)
            if names:
                run("cp", "-a", "--", *[os.path.join(folder, name) for name in names], into)
            count += len(names)
            if count >= ENOUGH:
                return


def write(path, data=b"", mode=None, owner=None, ns=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if owner:
        os.chown(path, *owner)
    if mode is not None:
        os.chmod(path, mode)
    if ns is not None:
        os.utime(path, ns=(ns, ns))


def add_odd_files(root):
    """What makes file systems differ."""
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        os.symlink(f"usr/{name}" if name != "sbin" else "/usr/sbin", root / name)
    write(root / "usr/bin/su", b"#!setuid\n", 0o4755)
    write(root / "usr/bin/chage", b"#!setgid\n", 0o2755, (0, 42))
    write(root / "usr/bin/ping", b"#!capable\n", 0o755)
    run("setcap", "cap_net_raw+ep", root / "usr/bin/ping")
    write(root / "usr/bin/perl", b"perl " * 10000, 0o755)
    os.link(root / "usr/bin/perl", root / "usr/bin/perl5.36.0")
    (root / "etc").mkdir()
    os.link(root / "usr/bin/perl", root / "etc/also-perl")
    os.symlink("/etc/also-perl", root / "etc/link")
    os.link(root / "etc/link", root / "etc/link-of-link", follow_symlinks=False)
    write(root / "etc/shadow", b"root:*:\n", 0o640, (0, 42), 1234567890123456789)
    write(root / "home/user/file", b"mine\n", 0o600, (1000, 1001), 1_000_000_001)
    os.chown(root / "home/user", 1000, 1001)
    os.chmod(root / "home/user", 0o700)
    write(root / "var/old", b"1970\n", ns=0)
    write(root / ("deep/" + "d" * 200 + "/" + "e" * 200) / ("f" * 250), b"far down\n")
    write(root / "names" / "mit Leerzeichen und Ümläuten", b"utf-8\n")
    write(root / os.fsdecode(NOT_UTF_8), b"bytes\n")
    with open(root / "var/sparse", "wb") as sparse:
        sparse.write(b"begin")
        sparse.seek(5 << 20)
        sparse.write(b"middle")
        sparse.truncate(16 << 20)
    write(root / "var/zeros", bytes(300000))
    os.setxattr(root / "var/zeros", "user.davit", b"a\0b")
    os.setxattr(root / "var", "user.folder", b"yes")
    (root / "dev").mkdir()
    os.mknod(root / "dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "dev/sda", stat.S_IFBLK | 0o660, os.makedev(8, 0))
    os.mkfifo(root / "dev/initctl", 0o600)
    for name in ("null", "sda", "initctl"):
        os.utime(root / "dev" / name, ns=(10 ** 18 + 5, 10 ** 18 + 5))
    for name, mode in (("tmp", 0o1777), ("var/mail", 0o2775), ("root", 0o700), ("var/nothing", 0)):
        (root / name).mkdir(parents=True, exist_ok=True)
        os.chmod(root / name, mode)
        os.utime(root / name, ns=(10 ** 18 + 999, 10 ** 18 + 999))


def change_upper(root):
    """What the second layer does: removes, replaces, changes, adds."""
    shutil.rmtree(root / "usr/share/zoneinfo", ignore_errors=True)
    (root / "etc/link").unlink()
    shutil.rmtree(root / "names")
    (root / "var/old").unlink()
    (root / "var/old").mkdir()
    write(root / "var/old/inside", b"a directory now\n")
    (root / "dev/sda").unlink()
    os.symlink("/dev/null", root / "dev/sda")
    os.chmod(root / "etc/shadow", 0o600)
    write(root / "usr/bin/new", b"new\n", 0o755)
    write(root / "etc/also-perl", b"its own content now\n")


class Umoci:
    """An image in a layout, by umoci, a layer at a time."""

    def __init__(self, where):
        self.where = where
        self.layout = oci.Layout(where / "layout")
        run("umoci", "init", "--layout", self.layout.path)
        run("umoci", "new", "--image", f"{self.layout.path}:image")
        self.count = 0

    def layer(self, change):
        """Unpacks what there is, changes it, packs the difference."""
        bundle = self.where / f"bundle-{self.count}"
        self.count += 1
        run("umoci", "unpack", "--image", f"{self.layout.path}:image", bundle)
        change(bundle / "rootfs")
        run("umoci", "repack", "--image", f"{self.layout.path}:image", bundle)
        shutil.rmtree(bundle)

    def insert(self, source, target, *flags):
        run("umoci", "insert", "--image", f"{self.layout.path}:image", *flags, source, target)

    def config(self, **of):
        """The configuration as the tests' images have it: for this machine."""
        run("umoci", "config", "--image", f"{self.layout.path}:image", "--architecture", oci.HOST_ARCH)


def inflated(layout, descriptor):
    data = layout.blob(descriptor["digest"])
    return subprocess.run(["gzip", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout


def recompressed(layout, tag, codec):
    """The same image with its layers packed otherwise, as tag-codec."""
    image = layout.image(tag)
    config = layout.json(image.config)
    described = [(layers.descriptor(layout, layers.COMPRESSORS[codec](inflated(layout, d)), codec), diff_id)
                 for d, diff_id in zip(image.manifest["layers"], config["rootfs"]["diff_ids"])]
    layout.tag(f"{tag}-{codec}", layout.add_image(described))


def shared(tmp_path_factory, name, make):
    """A directory that is made once for all workers of a run of the tests."""
    base = tmp_path_factory.getbasetemp()
    where = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with open(f"{where}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (where / "made").exists():
            assert not where.exists(), f"making {name} failed before"
            where.mkdir()
            make(where)
            (where / "made").touch()
    return where


def build_local(where):
    """This machine's files in four layers, with whiteouts and an opaque directory by umoci."""
    umoci = Umoci(where)

    def fill(root):
        copy_real_files(root)
        add_odd_files(root)

    umoci.layer(fill)
    umoci.layer(change_upper)
    fresh = where / "fresh"
    write(fresh / "only", b"what was here is hidden\n")
    umoci.insert(fresh, "/usr/share/perl", "--opaque")
    umoci.layer(lambda root: (write(root / "usr/share/perl/later", b"x"), os.chmod(root / "tmp", 0o777)))
    umoci.config()
    for codec in ("zstd", "none"):
        recompressed(umoci.layout, "image", codec)


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    return oci.Layout(shared(tmp_path_factory, "local", build_local) / "layout")


@pytest.fixture(scope="module")
def registry(local):
    with FaultyRegistry() as it:
        for tag in local.tags():
            it.add_image(local, tag, f"demo/local:{tag}")
        yield it


def by_umoci(layout, tag, where, *flags, prefix=()):
    bundle = where / "umoci"
    run(*prefix, "umoci", "unpack", *flags, "--image", f"{layout.path}:{tag}", bundle)
    return bundle / "rootfs"


def assert_same(one, other, names, skip=()):
    """Everything is the same in two trees, but at some paths."""
    found, wanted = [{path: it for path, it in trees.walk(top).items() if path not in skip}
                     for top in (one, other)]
    assert len(found) > 1
    wrong = trees.compare(found, wanted, names=names)
    assert not wrong, "\n".join(wrong)


# ---- tests ---------------------------------------------------------------------------------------


def test_a_comparison_sees_every_difference(tmp_path):
    """The judge is judged: each attribute alone makes two trees differ."""
    one, other = tmp_path / "one", tmp_path / "other"
    for top in (one, other):
        for name in ("content", "mode", "owner", "time", "xattr", "a", "kind"):
            write(top / name, b"same", 0o644, (1, 1), 10 ** 18)
        os.symlink("x", top / "target")
        os.utime(top / "target", ns=(5, 5), follow_symlinks=False)
        os.utime(top, ns=(5, 5))
    assert trees.compare(trees.walk(one), trees.walk(other)) == []
    write(other / "content", b"SAME", ns=10 ** 18)
    os.chmod(other / "mode", 0o645)
    os.chown(other / "owner", 1, 2)
    os.utime(other / "time", ns=(10 ** 18, 10 ** 18 + 1))
    os.setxattr(other / "xattr", "user.x", b"")
    (other / "target").unlink()
    os.symlink("y", other / "target")
    (other / "a").unlink()
    os.link(other / "time", other / "a")
    (other / "kind").unlink()
    os.mkfifo(other / "kind")
    seen = {line.split(":")[0] for line in trees.compare(trees.walk(one), trees.walk(other), limit=100)}
    assert seen >= {"", "content", "mode", "owner", "time", "xattr", "target", "a", "kind"}


@pytest.fixture(scope="module")
def local_by_umoci(local, tmp_path_factory):
    return shared(tmp_path_factory, "umoci", lambda where: by_umoci(local, "image", where)) / "umoci" / "rootfs"


@pytest.mark.parametrize("tag", ["image", "image-zstd", "image-none"])
def test_layers_by_umoci(davit, registry, local_by_umoci, tmp_path, tag):
    davit("unpack", f"{registry.host}/demo/local:{tag}", tmp_path / "root")
    assert_same(tmp_path / "root", local_by_umoci, ("davit", "umoci"))


def test_without_a_store_and_from_it_the_same(davit, registry, tmp_path):
    ref = f"{registry.host}/demo/local:image"
    davit("unpack", "--no-store", ref, tmp_path / "stream")
    davit("pull", "-q", ref)
    result = davit.measured("unpack", "--pull", "never", ref, tmp_path / "store")
    assert result.code == 0, str(result)
    assert_rss(result, 32)
    assert_same(tmp_path / "stream", tmp_path / "store", ("stream", "store"))


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_one_layer_is_what_an_extractor_makes_of_it(davit, local, registry, tmp_path, extractor):
    (tmp_path / "0.tar").write_bytes(inflated(local, local.image("image").manifest["layers"][0]))
    (tmp_path / "other").mkdir()
    run(*EXTRACTORS[extractor], tmp_path / "0.tar", "-C", tmp_path / "other")
    davit("unpack", "--layers", "1", f"{registry.host}/demo/local:image", tmp_path / "root")
    assert_same(tmp_path / "root", tmp_path / "other", ("davit", extractor), SKIP[extractor])


@pytest.fixture(scope="module")
def usr_merge(tmp_path_factory):
    """Two layers above a merged /usr that know nothing of it."""
    layout = oci.Layout.create(tmp_path_factory.mktemp("merge") / "layout")
    tars = [
        layer(directory("."), directory("usr"), directory("usr/bin"), directory("usr/lib"),
              directory("usr/sbin"),
              symlink("bin", "usr/bin"), symlink("lib", "/usr/lib"), symlink("sbin", "./usr/../usr/sbin"),
              file("usr/bin/sh", b"sh", mode=0o755), file("usr/bin/old", b"old"), directory("usr/lib/mod"),
              file("usr/lib/mod/a", b"a"), file("usr/sbin/init", b"init")),
        layer(file("bin/sh", b"new sh", mode=0o755), file("bin/tool", b"tool", uid=5), whiteout("bin/old"),
              file("lib/mod/b", b"b"), directory("lib/new"), file("lib/new/c", b"c"),
              file("sbin/init", b"new init", mode=0o700)),
        layer(whiteout("lib/mod/a"), opaque("lib/new"), file("lib/new/d", b"d"),
              layers.hardlink("bin/sh2", "bin/sh", mode=0o755)),
    ]
    layout.tag("merge", layout.add_image([(oci.gzip_of(tar), oci.sha256(tar)) for tar in tars]))
    return layout


def test_writing_through_the_merged_usr(davit, registry, usr_merge, tmp_path):
    registry.add_image(usr_merge, "merge", "demo/local:merge")
    davit("unpack", f"{registry.host}/demo/local:merge", tmp_path / "root")
    names = {p.decode() for p in trees.walk(tmp_path / "root")}
    assert names >= {"usr/bin/tool", "usr/bin/sh2", "usr/lib/mod/b", "usr/lib/new/d"}
    assert not names & {"usr/bin/old", "usr/lib/mod/a", "usr/lib/new/c"}
    assert os.readlink(tmp_path / "root/lib") == "/usr/lib"
    assert (tmp_path / "root/usr/bin/sh2").read_bytes() == b"new sh"
    assert_same(tmp_path / "root", by_umoci(usr_merge, "merge", tmp_path), ("davit", "umoci"))


def test_a_file_in_place_of_a_directory_by_umoci(davit, registry, tmp_path):
    """umoci writes the file, and then whiteouts of what was in the directory."""
    umoci = Umoci(tmp_path)

    def replace(root):
        shutil.rmtree(root / "names")
        write(root / "names", b"a file now\n")
    umoci.layer(lambda root: (write(root / "names/one"), write(root / "names/two")))
    umoci.layer(replace)
    umoci.config()
    registry.add_image(umoci.layout, "image", "demo/local:replaced")
    davit("unpack", f"{registry.host}/demo/local:replaced", tmp_path / "root")
    assert_same(tmp_path / "root", by_umoci(umoci.layout, "image", tmp_path), ("davit", "umoci"))


@pytest.fixture
def as_nobody(tmp_path_factory):
    """A directory of another user, the program run by it, and the prefix that does that."""
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if subprocess.run([*prefix, "test", "-x", program()]).returncode:
        pytest.skip("another user cannot run the program")
    where = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    davit = Davit(where / "davit")
    davit.prefix = prefix
    run("chown", "-R", f"{NOBODY}:{NOBODY}", where)
    yield davit, where, prefix
    run("rm", "-rf", where)


def test_rootless_by_umoci(as_nobody, local, registry):
    """Owners as xattrs, no devices; umoci puts empty files where devices were."""
    davit, where, prefix = as_nobody
    davit("unpack", "--rootless", f"{registry.host}/demo/local:image", where / "root")
    shutil.copytree(local.path, where / "layout")
    run("chown", "-R", f"{NOBODY}:{NOBODY}", where / "layout")
    umoci = by_umoci(oci.Layout(where / "layout"), "image", where, "--rootless",
                     prefix=[*prefix, "env", f"HOME={where}"])
    assert os.getxattr(where / "root/home/user/file",
                       "user.rootlesscontainers") == b"\x08\xe8\x07\x10\xe9\x07"

    assert_same(where / "root", umoci, ("davit", "umoci"), {b"dev/null"})


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    kept = os.environ.get("DAVIT_TEST_IMAGES")
    if not kept or not os.environ.get("DAVIT_THOROUGH"):
        pytest.skip("debootstrap takes minutes and the network: DAVIT_THOROUGH=1 and DAVIT_TEST_IMAGES ask for it")
    try:
        return debian_root.ensure(kept, include=["iputils-ping"])
    except RuntimeError as why:
        pytest.skip(str(why))


def test_debootstrap(davit, registry, debian, tmp_path):
    """A Debian root: equal to what GNU tar and bsdtar extract, and to what umoci unpacks."""
    layout = oci.Layout.create(tmp_path / "layout")
    tar = debian.read_bytes()
    layout.tag("debian", layout.add_image([(oci.gzip_of(tar, 1), oci.sha256(tar))]))
    registry.add_image(layout, "debian", "demo/local:debian")
    result = davit.measured("unpack", f"{registry.host}/demo/local:debian", tmp_path / "root")
    assert result.code == 0, str(result)
    assert_rss(result, 32)
    root = trees.walk(tmp_path / "root")
    assert "security.capability" in root[b"usr/bin/ping"].xattrs
    assert root[b"usr/bin/su"].mode == 0o4755
    for name, argv in EXTRACTORS.items():
        (tmp_path / name).mkdir()
        run(*argv, debian, "-C", tmp_path / name)
        assert_same(tmp_path / "root", tmp_path / name, ("davit", name), SKIP[name])
    assert_same(tmp_path / "root", by_umoci(layout, "debian", tmp_path), ("davit", "umoci"))
