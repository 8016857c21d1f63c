"""An exported archive, extracted, is what unpacking makes of the image, and the same bytes each time."""
import io
import os
import pty
import subprocess
import tarfile
import time

import pytest
from support import layers, oci, trees
from support.davit import assert_rss
from support.faulty_registry import FaultyRegistry
from support.layers import device, directory, fifo, file, hardlink, layer, opaque, symlink, whiteout

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="owners and devices need root")
CAP_NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")
EXTRACTORS = {"tar": ["tar", "-xp", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--same-owner",
                      "--delay-directory-restore"],
              "bsdtar": ["bsdtar", "-xp", "--numeric-owner", "-f", "-"]}

TARS = [
    layer(directory("./", 0o755, mtime=900), directory("usr", mtime=1000), directory("usr/bin", mtime=1001),
          directory("usr/lib", mtime=1002), symlink("bin", "usr/bin", mtime=5), symlink("lib", "/usr/lib"),
          file("usr/bin/sh", b"sh" * 70000, mode=0o755), file("usr/bin/su", b"su", mode=0o4755),
          file("usr/bin/ping", b"ping", mode=0o755,
               records={"SCHILY.xattr.security.capability": CAP_NET_RAW}),
          file("usr/lib/data", bytes(300000), records={"SCHILY.xattr.user.davit": b"a\0b"}),
          file("usr/lib/time", b"", records={"mtime": "1234.5678"}),
          hardlink("usr/lib/first", "usr/lib/data"), hardlink("usr/lib/second", "usr/lib/data"),
          directory("dev"), device("dev/null", "3", 1, 3, mode=0o666), device("dev/sda", "4", 8, 0, gid=6),
          fifo("dev/initctl", mode=0o600), directory("tmp", 0o1777), directory("old"), file("old/a", b"1"),
          file("old/b", b"1", uid=1000, gid=1001), directory("hidden"), file("hidden/x", b"x"),
          layers.with_path("d" * 120, directory),
          layers.with_path("d" * 120 + "/" + "f" * 90, file, b"a long name"),
          symlink("link", "t" * 90), hardlink("link-of-link", "link")),
    layer(file("bin/tool", b"tool" * 1000, mode=0o755), file("lib/later", b"later"), whiteout("bin/su"),
          whiteout("old/a"), file("old/c", b"2"), opaque("hidden"), file("hidden/y", b"y"),
          directory("usr/bin", 0o750, gid=5, mtime=2000), whiteout("usr/lib/data")),
    layer(file("usr/lib/second", b"its own now"), directory("bin/sub"), file("bin/sub/deep/f", b""),
          whiteout("dev/sda"), file("tmp", b"a file in place of a directory"), file("skipped", b"", records={
              "SCHILY.xattr.trusted.secret": b"1"})),
]
IMPLIED = b"usr/bin/sub/deep"           # no entry describes it: unpacking gives it the present time


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    it = oci.Layout.create(tmp_path_factory.mktemp("export") / "layout")
    it.tag("image", it.add_image([(oci.gzip_of(tar), oci.sha256(tar)) for tar in TARS]))
    it.tag("zstd", it.add_image([(layers.descriptor(it, layers.zstd(tar), "zstd"), oci.sha256(tar))
                                 for tar in TARS]))
    it.tag("plain", it.add_image([(layers.descriptor(it, tar, "none"), oci.sha256(tar)) for tar in TARS]))
    return it


@pytest.fixture(scope="module")
def registry(layout):
    with FaultyRegistry() as it:
        for tag in layout.tags():
            it.add_image(layout, tag, f"demo/export:{tag}")
        yield it


def export(davit, *args):
    """The archive, byte for byte."""
    done = subprocess.run(davit.argv("export", *args), env=davit.env, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_same(one, other, names):
    found, wanted = trees.walk(one), trees.walk(other)
    assert len(found) > 20
    wanted[IMPLIED].mtime_ns = None
    if names[0] == "bsdtar":
        found[b""].mtime_ns = None          # of the directory that it works in
    wrong = trees.compare(found, wanted, names=names)
    assert not wrong, "\n".join(wrong)


@needs_root
@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_extracted_it_is_what_unpacking_gives(davit, registry, tmp_path, extractor):
    ref = f"{registry.host}/demo/export:image"
    davit("unpack", ref, tmp_path / "unpacked")
    (tmp_path / "extracted").mkdir()
    subprocess.run([*EXTRACTORS[extractor], "-C", tmp_path / "extracted"], input=export(davit, ref),
                   check=True)
    assert_same(tmp_path / "extracted", tmp_path / "unpacked", (extractor, "unpack"))


@needs_root
def test_extracted_it_is_what_umoci_unpacks(davit, registry, layout, tmp_path):
    subprocess.run(["umoci", "unpack", "--image", f"{layout.path}:image", tmp_path / "umoci"], check=True,
                   capture_output=True)
    (tmp_path / "extracted").mkdir()
    archive = export(davit, f"{registry.host}/demo/export:image")
    subprocess.run([*EXTRACTORS["tar"], "-C", tmp_path / "extracted"], input=archive, check=True)
    found, wanted = trees.walk(tmp_path / "extracted"), trees.walk(tmp_path / "umoci/rootfs")
    wanted[IMPLIED].mtime_ns = wanted[os.path.dirname(IMPLIED)].mtime_ns = None
    for it in wanted.values():
        it.xattrs.pop("trusted.secret", None)           # which umoci keeps
    wrong = trees.compare(found, wanted, names=("export", "umoci"))
    assert not wrong, "\n".join(wrong)


def test_the_same_image_gives_the_same_bytes(davit, other_davit, registry):
    first = export(davit, f"{registry.host}/demo/export:image")
    assert export(davit, "--pull", "never", f"{registry.host}/demo/export:image") == first
    for tag in ("zstd", "plain"):
        assert export(other_davit, f"{registry.host}/demo/export:{tag}") == first


def test_parents_come_first_and_no_name_twice(davit, registry):
    archive = export(davit, f"{registry.host}/demo/export:image")
    with tarfile.open(fileobj=io.BytesIO(archive)) as it:
        members = it.getmembers()
    names = [m.name for m in members]
    assert names[0] == "." and len(set(names)) == len(names)
    seen = {""}
    for member in members[1:]:
        assert not member.name.startswith(("/", "./")) and os.path.dirname(member.name) in seen
        if member.islnk():
            assert member.linkname in names[:names.index(member.name)]
        if member.isdir():
            seen.add(member.name)
    by_name = {m.name: m for m in members}
    assert "usr/lib/data" not in by_name and by_name["usr/lib/first"].isreg()
    assert not any(".wh." in name for name in names)


def test_into_a_file_whole_or_not_at_all(davit, registry, layout, tmp_path):
    ref = f"{registry.host}/demo/export:image"
    davit("export", "-o", tmp_path / "a.tar", ref)
    assert (tmp_path / "a.tar").read_bytes() == export(davit, ref)
    assert (tmp_path / "a.tar").stat().st_mode & 0o111 == 0
    blob = davit.store.path / "blobs/sha256" / layout.image("image").manifest["layers"][1]["digest"][7:]
    os.chmod(blob, 0o644)
    damaged = bytearray(blob.read_bytes())
    damaged[len(damaged) // 2] ^= 0x10
    blob.write_bytes(damaged)
    error = davit.fails(5, "export", "-o", tmp_path / "b.tar", "--pull", "never", ref).error
    assert "is damaged" in error and "fsck" in error
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "davit"]
    done = subprocess.run(davit.argv("export", "--pull", "never", ref), env=davit.env, capture_output=True)
    assert done.returncode == 5 and done.stdout == b""           # nothing before everything was checked


def test_no_archive_to_a_terminal(davit, registry):
    ours, theirs = pty.openpty()
    done = subprocess.run(davit.argv("export", f"{registry.host}/demo/export:image"), env=davit.env,
                          stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=30)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2 and "terminal" in done.stderr


def test_where_the_image_comes_from(davit, registry):
    ref = f"{registry.host}/demo/export:image"
    davit.fails(3, "export", "--pull", "never", "-o", "/dev/null", ref)
    davit.fails(3, "export", "-o", "/dev/null", f"store:{ref}")
    davit("export", "-o", "/dev/null", ref)
    asked = len(registry.requests)
    davit("export", "-o", "/dev/null", ref)
    davit("export", "-o", "/dev/null", f"store:{ref}")
    assert len(registry.requests) == asked
    davit("export", "-o", "/dev/null", "--pull", "always", ref)
    assert len(registry.requests) > asked
    davit.fails(2, "export", "--pull", "sometimes", "-o", "/dev/null", ref)
    davit.fails(2, "export", "--pull", "always", "-o", "/dev/null", f"store:{ref}")


def test_a_reader_that_goes_away(davit, registry):
    ref = f"{registry.host}/demo/export:image"
    davit("pull", "-q", ref)
    with subprocess.Popen(davit.argv("export", ref), env=davit.env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 1


def test_a_lie_about_a_layer(davit, registry, layout):
    layout.tag("lie", layout.add_image([(oci.gzip_of(TARS[0]), oci.sha256(TARS[1]))]))
    registry.add_image(layout, "lie", "demo/export:lie")
    davit.fails(5, "export", "-o", "/dev/null", f"{registry.host}/demo/export:lie")


def test_memory_is_for_names_not_for_data(davit, registry, layout):
    tar = layer(*[file(f"f{i}", b"\1" * (8 << 20)) for i in range(12)])
    layout.tag("large", layout.add_image([(oci.gzip_of(tar, 1), oci.sha256(tar))]))
    registry.add_image(layout, "large", "demo/export:large")
    davit("pull", "-q", f"{registry.host}/demo/export:large")
    result = davit.measured("export", "-o", "/dev/null", f"{registry.host}/demo/export:large")
    assert result.code == 0, str(result)
    assert_rss(result, 24)


def test_sixty_thousand_names_cost_ten_mebibytes(davit, layout):
    """Beside the 13 MiB of a small image: the tree of all names is in memory, and what is inflated ahead of it is little."""
    tar = layer(*[directory(f"usr/share/{i:03}") if i < 600 else
                  file(f"usr/share/{i % 600:03}/some-file-name-{i:06}.txt", b"") for i in range(60600)])
    layout.tag("names", layout.add_image([(oci.gzip_of(tar, 1), oci.sha256(tar))]))
    result = davit.measured("export", "-o", "/dev/null", f"oci:{layout.path}:names")
    assert result.code == 0, str(result)
    assert_rss(result, 26)


# ---- asked for more, or for less ---------------------------------------------------------------------------------------


def test_extended_attributes_that_are_asked_for(davit, registry, layout):
    tar = layer(file("f", b"", records={"SCHILY.xattr.security.selinux": b"label", "SCHILY.xattr.security.ima": b"i",
                                        "SCHILY.xattr.trusted.secret": b"t", "SCHILY.xattr.user.u": b"u"}))
    layout.tag("xattrs", layout.add_image([(oci.gzip_of(tar), oci.sha256(tar))]))
    registry.add_image(layout, "xattrs", "demo/export:xattrs")
    ref = f"{registry.host}/demo/export:xattrs"

    def kept(*args):
        with tarfile.open(fileobj=io.BytesIO(export(davit, *args, ref))) as it:
            return {k.rpartition("xattr.")[2] for k in it.getmember("f").pax_headers if "xattr" in k}
    assert kept() == {"user.u"}
    assert kept("--xattrs", "security.selinux") == {"user.u", "security.selinux"}
    assert kept("--xattrs", "security.*,trusted.*") == {"user.u", "security.selinux", "security.ima"}


def test_limits(davit, registry, layout):
    ref = f"{registry.host}/demo/export:image"
    assert "more than" in davit.fails(1, "export", "--max-size", "100K", "-o", "/dev/null", ref).error
    for bad in (("--max-size", "much"), ("--zstd-window", "1K"), ("--zstd-window", "1G")):
        davit.fails(2, "export", *bad, "-o", "/dev/null", ref)
    tar = layer(file("f", oci.noise("window", 3 << 20)))
    layout.tag("window", layout.add_image([(layers.descriptor(layout, layers.zstd(tar, "--long=26"), "zstd"), oci.sha256(tar))]))
    registry.add_image(layout, "window", "demo/export:window")
    ref = f"{registry.host}/demo/export:window"
    assert "window" in davit.fails(1, "export", "-o", "/dev/null", ref).error
    davit("export", "--zstd-window", "64M", "-o", "/dev/null", ref)


# ---- when things go wrong ------------------------------------------------------------------------------------------------


@pytest.fixture
def large(davit, registry, layout):
    """In the store; 24 MB of data."""
    tar = layer(*[file(f"f{i}", oci.noise(f"l{i}", 1 << 20)) for i in range(24)])
    layout.tag("noise", layout.add_image([(oci.gzip_of(tar, 1), oci.sha256(tar))]))
    registry.add_image(layout, "noise", "demo/export:noise")
    davit("pull", "-q", f"{registry.host}/demo/export:noise")
    return f"store:{registry.host}/demo/export:noise"


@needs_root
def test_a_full_disk(davit, large, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    if subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("cannot mount")
    davit.prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                    f'mount -t tmpfs -o size=4m tmpfs {place}; "$@"; code=$?; ls -A {place} >&2; exit $code', "sh"]
    result = davit.run("export", "-o", place / "root.tar", large)
    davit.prefix = []
    assert result.code == 7 and len(result.messages) == 1 and "space" in result.errors[0], str(result)


def test_kill_9_leaves_no_file_under_its_name(davit, large, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    (place / "old.tar").write_bytes(b"old")
    started = time.monotonic()
    davit("export", "-o", place / "whole.tar", large)
    whole, took = (place / "whole.tar").read_bytes(), time.monotonic() - started
    for i in range(12):
        run = davit.start("export", "-o", place / "old.tar", large)
        time.sleep(took * (i + 1) / 12)
        run.kill()
        assert (place / "old.tar").read_bytes() in (b"old", whole)
    davit("export", "-o", place / "old.tar", large)
    assert (place / "old.tar").read_bytes() == whole


def test_ctrl_c_leaves_nothing(davit, large, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    run = davit.start("export", "-o", place / "a.tar", large)
    while not list(place.iterdir()):
        time.sleep(0.001)
    run.signal()
    result = run.wait()
    assert result.code in (0, 130)
    assert {p.name for p in place.iterdir()} == ({"a.tar"} if result.code == 0 else set())


def test_a_blob_that_changes_between_the_two_readings(davit, registry, layout, tmp_path):
    """The first reading believes it; what is wrong in the second one is never under the final name."""
    tar = layer(file("a", oci.noise("a", 16 << 20)), file("b", b"b"))
    layout.tag("changes", layout.add_image([(layers.descriptor(layout, tar, "none"), oci.sha256(tar))]))
    registry.add_image(layout, "changes", "demo/export:changes")
    ref = f"{registry.host}/demo/export:changes"
    davit("pull", "-q", ref)
    blob = davit.store.blob_path(layout.image("changes").manifest["layers"][0]["digest"])
    os.chmod(blob, 0o644)
    with subprocess.Popen(davit.argv("export", "--pull", "never", ref), env=davit.env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        assert process.stdout.read(1)           # nothing is written before everything was checked once
        with open(blob, "r+b") as file_:
            file_.seek(15 << 20)
            byte = file_.read(1)
            file_.seek(15 << 20)
            file_.write(bytes([byte[0] ^ 0xff]))
        process.stdout.read()
        assert b"is damaged" in process.stderr.read()
        assert process.wait(30) == 5
