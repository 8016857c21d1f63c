"""Other tars judge ours: what GNU tar, bsdtar and Python write is read as it was in the file system, and what our writer makes of it
is extracted by GNU tar and bsdtar to the same tree and listed by Python with the same names.

    tar_judges.py TAR_TOOL
"""
import io
import os
import random
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
import trees  # noqa: E402

TOOL = sys.argv[1]
ENV = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
for name in ("TAR_OPTIONS", "POSIXLY_CORRECT"):
    ENV.pop(name, None)
ROOT = os.geteuid() == 0
LONG = "a-name-of-a-hundred-bytes-and-more-" * 4
SECONDS = ("type", "mode", "uid", "gid", "size", "target", "rdev", "sha256", "same_as", "mtime_s")
EVERYTHING = ("type", "mode", "uid", "gid", "size", "target", "rdev", "sha256", "same_as", "mtime_ns", "xattrs")

failures, done = [], 0


def run(*argv, stdin=None, check=True):
    result = subprocess.run([os.fspath(a) for a in argv], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV,
                            timeout=100)
    if check and result.returncode:
        raise SystemExit(f"{argv}: {result.stderr.decode(errors='replace')[:500]}")
    return result


def expect(what, faults):
    global done
    done += 1
    if faults:
        failures.append(f"{what}:\n  " + "\n  ".join(str(fault) for fault in faults))


# --- trees ---

def plain_tree(top):
    """What every format can say."""
    dice = random.Random(5)
    (top / "dir/below/deeper").mkdir(parents=True)
    for size in (0, 1, 511, 512, 513, 10239, 10240, 70000):
        (top / f"dir/size-{size}").write_bytes(dice.randbytes(size))
    for mode in (0, 0o400, 0o644, 0o755, 0o4755, 0o2755, 0o1777, 0o7777):
        (top / f"mode-{mode:o}").write_text("mode")
        os.chmod(top / f"mode-{mode:o}", mode)
    os.chmod(top / "dir/below", 0o1777)
    (top / ("n" * 97)).write_text("99 bytes with ./")
    (top / "spaces and  more ").write_text(" ")
    (top / "empty-dir").mkdir()
    (top / "soft").symlink_to("../outside/of it")
    (top / "dangling").symlink_to("/nowhere")
    os.link(top / "dir/size-513", top / "dir/hard")
    os.link(top / "dir/size-513", top / "first-name")
    os.mkfifo(top / "fifo")
    if ROOT:
        os.lchown(top / "dir/size-1", 1000, 50)
        os.lchown(top / "soft", 12, 34)
        os.chown(top / "dir/below", 65534, 65534)


def devices(top):
    if not ROOT:
        return
    try:
        os.mknod(top / "null", 0o20666, os.makedev(1, 3))
        os.mknod(top / "disk", 0o60660, os.makedev(8, 300))
    except PermissionError:
        print("no device nodes here: left out")


def hard_tree(top):
    """What needs GNU's or PAX's extensions."""
    plain_tree(top)
    devices(top)
    (top / LONG).write_text("a long name")
    (top / ("n" * 100)).write_text("a name of 100 bytes")
    (top / ("n" * 101)).write_text("a name of 101 bytes")
    (top / ("d" * 155)).mkdir()
    (top / ("d" * 155) / ("f" * 100)).write_text("the longest of ustar")
    (top / ("d" * 155) / ("f" * 101)).write_text("a byte more")
    deep = top / "deep"
    for _ in range(12):
        deep = deep / LONG
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("a path of 1700 bytes")
    os.link(deep / "bottom", top / "long-hard")
    (top / "long-soft").symlink_to("target/" * 60)
    (top / "sl100").symlink_to("t" * 100)
    (top / "sl101").symlink_to("t" * 101)
    (top / "\u00fcml\u00e4ut-\u65e5\u672c").write_text("utf-8")
    (top / ("\u00fc" * 70)).write_text("long utf-8")
    for name in (b"caf\xe9", b"\xff" * 120, b"new\nline \x1b[2J"):
        (top / os.fsdecode(name)).write_text("not utf-8")
    if ROOT:
        os.chown(top / "long-hard", 3000000, 2147483647)
        os.chown(top / "dir/size-0", 4294967294, 4294967293)


def pax_tree(top):
    """What only PAX can say."""
    hard_tree(top)
    os.utime(top / "dir/size-1", ns=(10**9, 1350244992_023960108))
    os.utime(top / "dir/size-0", ns=(0, -2 * 10**9))      # libarchive writes and reads -1.5 as -2.5 and -0.5
    os.utime(top / "soft", ns=(0, 77_000000001), follow_symlinks=False)
    for name, value in {"user.text": b"value", "user.binary": bytes(range(256)), "user.equals": b"=\n="}.items():
        try:
            os.setxattr(top / "dir/size-512", name, value)
        except OSError as error:
            print(f"no xattrs here: left out ({error.strerror})")
            return


def whole_seconds(top):
    """Formats without fractions would differ only by those."""
    for path in [top, *top.rglob("*")]:
        os.utime(path, ns=(10**18, 10**18 + 7 * 10**9), follow_symlinks=False)


# --- what ours says ---

def unhex(text):
    return bytes.fromhex(text)


def parse(line):
    kind, mode, uid, gid, major, minor, size, s, ns, name, link, xattrs, digest = line.split(" ")
    node = trees.Node(kind, int(mode, 8), int(uid), int(gid), mtime_ns=int(s) * 10**9 + int(ns))
    node.xattrs = {unhex(k).decode(): unhex(v) for k, v in (pair.split("=") for pair in xattrs.split(",") if pair)}
    if kind == "file":
        node.size, node.sha256 = int(size), digest
    elif kind == "symlink":
        node.target = unhex(link)
    elif kind in ("char", "block"):
        node.rdev = (int(major), int(minor))
    return unhex(name), unhex(link), node


def cleaned(name):
    return b"/".join(part for part in name.split(b"/") if part not in (b"", b"."))


def listing(archive):
    """{path: Node} of an archive, as trees.walk() would give after extraction."""
    whole = run(TOOL, "list", stdin=archive).stdout.decode()
    for chunk in (1, 777):
        if len(archive) < 2_000_000 or chunk > 1:
            expect(f"pieces of {chunk}", [] if run(TOOL, "list", str(chunk), stdin=archive).stdout.decode() == whole else ["differ"])
    found, group = {}, {}
    for line in whole.splitlines():
        name, link, node = parse(line)
        path = cleaned(name)
        if node.type == "hardlink":
            node = found[cleaned(link)]
        found[path] = node
        group.setdefault(id(node), []).append(path)
    for paths in group.values():
        if len(paths) > 1:
            found[paths[0]].same_as = min(paths)
    return found


def differences(one, other, what, names):
    """Modes of symbolic links mean nothing, and some formats have no fractions of seconds."""
    for node in [*one.values(), *other.values()]:
        if node.type == "symlink":
            node.mode = None
    if "mtime_s" in what:
        what = tuple(w for w in what if w != "mtime_s")
        both = [(p, one[p].mtime_ns // 10**9, other[p].mtime_ns // 10**9) for p in one.keys() & other.keys()]
        return trees.compare(one, other, what, names) + [f"{p}: {a} and {b}" for p, a, b in both if a != b]
    return trees.compare(one, other, what, names)


# --- makers ---

def gnu_tar(form):
    def make(top):
        more = ["--xattrs", "--xattrs-include=*"] if form == "pax" else []
        return run("tar", "-c", f"--format={form}", *more, "--numeric-owner", "-C", top, ".").stdout
    return make


def bsdtar(form):
    def make(top):
        return run("bsdtar", "-c", "--format", form, "-f", "-", "-C", top, ".").stdout
    return make


def python(form):
    def make(top):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form, encoding="utf-8") as tar:
            tar.add(top, arcname=".")
        return out.getvalue()
    return make


MAKERS = [
    # archive, tree, what it keeps
    ("GNU tar v7", gnu_tar("v7"), plain_tree, SECONDS),
    ("GNU tar ustar", gnu_tar("ustar"), plain_tree, SECONDS),
    ("GNU tar oldgnu", gnu_tar("oldgnu"), hard_tree, SECONDS),
    ("GNU tar gnu", gnu_tar("gnu"), hard_tree, SECONDS),
    ("GNU tar pax", gnu_tar("pax"), pax_tree, EVERYTHING),
    ("bsdtar ustar", bsdtar("ustar"), plain_tree, SECONDS),
    ("bsdtar gnutar", bsdtar("gnutar"), hard_tree, SECONDS),
    ("bsdtar pax", bsdtar("pax"), pax_tree, EVERYTHING),
    ("Python ustar", python(tarfile.USTAR_FORMAT), plain_tree, SECONDS),
    ("Python gnu", python(tarfile.GNU_FORMAT), hard_tree, SECONDS),
    ("Python pax", python(tarfile.PAX_FORMAT), hard_tree, SECONDS),
]

JUDGES = [
    ("GNU tar", ["tar", "-xp", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--delay-directory-restore",
                 "--warning=no-timestamp", "--warning=no-unknown-keyword", "-C"]),
    ("bsdtar", ["bsdtar", "-xp", "--numeric-owner", "-f", "-", "-C"]),
]


def check_written(what, archive, expected, kept, work):
    copy = run(TOOL, "copy", stdin=archive).stdout
    expect(f"{what}, written twice", [] if run(TOOL, "copy", stdin=copy).stdout == copy else ["differ"])
    for judge, command in JUDGES:
        out = work / f"{what}-{judge}"
        out.mkdir()
        result = run(*command, out, stdin=copy, check=False)
        expect(f"{what}, our copy extracted by {judge}",
               [result.stderr.decode(errors="replace")[:300]] if result.returncode or result.stderr else [])
        walked = trees.walk(out)
        walked[b""].mtime_ns = expected[b""].mtime_ns      # bsdtar leaves "." at the time of the extraction
        expect(f"{what}, our copy extracted by {judge}", differences(expected, walked, kept, ("tree", judge)))
    with tarfile.open(fileobj=io.BytesIO(copy), encoding="utf-8", errors="surrogateescape") as tar:
        names = {cleaned(os.fsencode(member.name)) for member in tar}
    expect(f"{what}, our copy listed by Python", sorted(names ^ expected.keys()))


def check_makers(work):
    for what, make, grow, kept in MAKERS:
        top = work / what
        top.mkdir()
        grow(top)
        if kept is SECONDS:
            whole_seconds(top)
        if grow is plain_tree and "v7" not in what:
            devices(top)
        if "v7" in what:
            os.unlink(top / "fifo")
        archive = make(top)
        expected = trees.walk(top)
        expect(f"{what}, read", differences(expected, listing(archive), kept, ("tree", "our reader")))
        check_written(what, archive, expected, kept, work)


# --- what they write and we refuse ---

def refused(what, archive, text):
    result = run(TOOL, "list", stdin=archive, check=False)
    said = result.stderr.decode(errors="replace")
    expect(what, [] if result.returncode == 1 and text in said else [f"{result.returncode}: {said}"])


def check_refused(work):
    top = work / "sparse"
    top.mkdir()
    with open(top / "file", "wb") as file:
        file.truncate(9 << 30)
        file.seek(1 << 20)
        file.write(b"data")
    for form, more in (("gnu", []), ("oldgnu", []), ("pax", ["--sparse-version=0.0"]), ("pax", ["--sparse-version=0.1"]),
                       ("pax", ["--sparse-version=1.0"])):
        archive = run("tar", "-cS", f"--format={form}", *more, "-C", top, "file").stdout
        refused(f"a sparse file of GNU tar {form} {more}", archive, "a sparse file")
    refused("a volume label", run("tar", "-c", "--format=gnu", "-V", "label", "-C", top.parent, "--no-recursion", ".").stdout,
            "unhandled tar header type 86")
    refused("an incremental archive", run("tar", "-c", "-G", "--format=gnu", "-C", top, "--exclude=file", ".").stdout,
            "unhandled tar header type 68")


def check_global(work):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "c" * 3000}) as tar:
        tar.addfile(tarfile.TarInfo("only"))
    expect("a global header of Python", sorted(listing(out.getvalue()).keys() ^ {b"only"}))


def main():
    with tempfile.TemporaryDirectory(prefix="tar-judges-") as work:
        work = Path(work)
        check_makers(work)
        check_refused(work)
        check_global(work)
    print("\n".join(failures) or f"{done} judgements")
    sys.exit(1 if failures else 0)


main()
