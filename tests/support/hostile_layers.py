#!/usr/bin/env python3
"""Decides which layers attack, and what must become of each: the corpus of the tests of unpacking.

    hostile_layers.py --seeds DIR [--kind tar|inflate]     the small ones as files, to start a fuzzer with
    hostile_layers.py --list

A case is the layers of one image, the row of the threats that it is for,
and its outcome: Refused (the status of the
program and a word of its message; nothing may be at the target then),
or Contained (the whole tree, and no other).
What is outside of the target is never touched. Names that lead there are put together from where the sentinel
stands: BESIDE from the target, and an absolute path.
"""
import argparse
import hashlib
import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support import oci, trees  # noqa: E402
from support.layers import (END, GNU, MTIME, V7, base256, bz2, device, directory, entry, fifo, file,
                             # noqa: E402
                            gnu_long, hardlink, header, layer, lzma, octal, opaque, pax, symlink, whiteout,
                            with_path, zstd)

BESIDE = "../beside"            # a sentinel beside the target, as seen from it
GIB = 1 << 30
S = 10 ** 9


# ---- outcomes ------------------------------------------------------------------------------------


@dataclass
class Refused:
    word: str = ""
    code: int = 1


@dataclass
class Contained:
    """{path: Node}. Directories above a path that are not named are 0755 and root's, as is the root."""
    tree: dict

    def nodes(self):
        found = {b"": D(mtime=None)}
        for name, node in self.tree.items():
            path = name if isinstance(name, bytes) else name.encode()
            above = path.split(b"/")[:-1]
            for depth in range(1, len(above) + 1):
                found.setdefault(b"/".join(above[:depth]), D(mtime=None))
            found[path] = node
        return found


def node(type, mode, uid, gid, mtime, xattrs, **more):
    mtime_ns = None if mtime is None else mtime * S if mtime < 10 ** 12 else mtime
    return trees.Node(type, mode, uid, gid, mtime_ns=mtime_ns, xattrs=xattrs, **more)


def F(data=b"", mode=0o644, uid=0, gid=0, mtime=MTIME, xattrs=None, same_as=None):
    """A regular file; same_as: the name, first in order, of which it is a hard link."""
    return node("file", mode, uid, gid, mtime, xattrs or {}, size=len(data),
                sha256=hashlib.sha256(data).hexdigest(), same_as=same_as and same_as.encode())


def D(mode=0o755, uid=0, gid=0, mtime=MTIME, xattrs=None):
    return node("directory", mode, uid, gid, mtime, xattrs or {})


def L(target, uid=0, gid=0, mtime=MTIME, same_as=None):
    return node("symlink", None, uid, gid, mtime, {}, target=target.encode(),
                same_as=same_as and same_as.encode())


def P(mode=0o644):
    return node("fifo", mode, 0, 0, MTIME, {})


def DEV(type, major, minor, mode=0o644):
    return node(type, mode, 0, 0, MTIME, {}, rdev=(major, minor))


@dataclass
class Blob:
    """What the registry has, what it is when inflated, and its media type's codec."""
    data: bytes
    inflated: object            # bytes, or its digest
    codec: str = "gzip"

    @property
    def diff_id(self):
        return self.inflated if isinstance(self.inflated, str) else oci.sha256(self.inflated)


@dataclass
class Case:
    name: str
    row: str
    layers: object              # a list of Blob, or of the bytes of a tar; or what gives it
    outcome: object
    flags: tuple = ()
    diff_ids: list = None       # what the config says, where it lies
    seconds: int = 20

    @property
    def blobs(self):
        layers = self.layers() if callable(self.layers) else self.layers
        return [b if isinstance(b, Blob) else Blob(b, b, "none") for b in layers]


class Corpus:
    """Collects the cases; outside: the absolute path of the sentinel, without the first '/'."""

    def __init__(self, outside):
        self.outside = outside.lstrip("/")
        self.absolute = "/" + self.outside
        self.cases = []

    def add(self, row, name, outcome, *entries, **how):
        """A case of one layer of these entries."""
        self.layers(row, name, outcome, [layer(*entries)], **how)

    def layers(self, row, name, outcome, layers, **how):
        self.cases.append(Case(name, row, layers, outcome, **how))

    def contained(self, row, name, tree, *entries, **how):
        self.add(row, name, Contained(tree), *entries, **how)

    def refused(self, row, name, word, *entries, **how):
        self.add(row, name, Refused(word), *entries, **how)


# ---- D1: names -----------------------------------------------------------------------------------

OUTSIDE = "is outside of"


def add_names(c):
    for name, path in (("beside", f"{BESIDE}/victim"), ("far", "../" * 20 + "etc/davit-was-here"),
                       ("inside", "a/../b"), ("clamped", "a/../../beside/victim"), ("last", "a/.."),
                       ("alone", ".."), ("dotted", f"./{BESIDE}/victim"), ("absolute", f"/{BESIDE}/victim"),
                       ("slashes", "..//beside///victim")):
        c.refused("D1", f"dotdot-{name}", OUTSIDE, file("first"), file(path, b"evil"))
    for kind, make in (("directory", lambda n: directory(n, 0o777)), ("symlink", lambda n: symlink(n, "x")),
                       ("hardlink", lambda n: hardlink(n, "first")), ("fifo", fifo),
                       ("device", lambda n: device(n, "3", 1, 3))):
        c.refused("D1", f"dotdot-{kind}", OUTSIDE, file("first"), make(f"{BESIDE}/new"))
    c.refused("D1", "dotdot-whiteout", OUTSIDE, whiteout(f"{BESIDE}/victim"))
    c.refused("D1", "dotdot-opaque", OUTSIDE, opaque(f"{BESIDE}/dir"))
    c.refused("D1", "dotdot-pax", OUTSIDE, with_path(f"{BESIDE}/victim"))
    c.refused("D1", "dotdot-gnu-name", OUTSIDE, file("short", gnu_name=f"{BESIDE}/victim"))
    c.refused("D1", "dotdot-prefix", OUTSIDE, file("beside/victim", prefix=".."))
    c.refused("D1", "dotdot-across-prefix", OUTSIDE, file("../beside/victim", prefix="a/.."))
    c.refused("D1", "dotdot-directory-then-file", OUTSIDE, directory("a"), directory("a/.."), file("a/x"))

    evil = F(b"evil")
    c.contained("D1", "absolute", {"etc/x": evil}, file("/etc/x", b"evil"))
    c.contained("D1", "absolute-sentinel", {f"{c.outside}/victim": evil},
                with_path(f"{c.absolute}/victim", file, b"evil"))
    c.contained("D1", "absolute-pax", {"x": evil}, with_path("///x", file, b"evil"))
    c.contained("D1", "absolute-prefix", {"a/x": evil}, file("x", b"evil", prefix="/a"))
    c.contained("D1", "slashes-and-dots", {"a/b/c": evil}, file(".//a/./b//./c", b"evil"))
    c.contained("D1", "almost-dotdot", {"...": evil, "..a": evil, ".. ": evil, "a..": evil},
                *[file(n, b"evil") for n in ("...", "..a", ".. ", "a..")])
    c.contained("D1", "backslashes", {"..\\..\\x": evil}, file("..\\..\\x", b"evil"))
    c.contained("D1", "odd-bytes", {b"\xff\n\x1b[2J": evil}, file(b"\xff\n\x1b[2J", b"evil"))
    c.contained("D1", "root-directory", {"": D(0o711)}, directory("/", 0o711))
    c.contained("D1", "root-dot", {"": D(0o700, uid=7)}, directory("./", 0o700, uid=7))
    c.contained("D1", "root-empty-name", {"": D(0o750), "x": evil}, directory("", 0o750), file("x", b"evil"))
    c.contained("D1", "root-twice-the-last-counts", {"": D(0o755)}, directory(".", 0), directory("/", 0o755))
    for name, make in (("file", lambda n: file(n, b"evil")), ("symlink", lambda n: symlink(n, c.absolute)),
                       ("hardlink", lambda n: hardlink(n, "first")), ("fifo", fifo),
                       ("device", lambda n: device(n, "3", 1, 3))):
        for what, path in (("dot", "."), ("slash", "/"), ("empty", "")):
            c.refused("D1" if name != "symlink" else "D2", f"root-{what}-{name}", "root", file("first"),
                      make(path))

    c.refused("D1", "nul-pax-path", "NUL", with_path("good\0/../x"))
    c.refused("D1", "nul-gnu-name", "NUL", gnu_long("L", "good\0/../x"), file("short"))
    c.contained("D1", "nul-header-name", {"good": evil}, file(b"good\0/../../beside/victim", b"evil"))
    c.refused("D1", "two-names", "two names", with_path("pax") [:1024], gnu_long("L", "gnu"), file("short"))
    c.contained("D1", "component-255", {"n" * 255: evil}, with_path("n" * 255, file, b"evil"))
    c.refused("D1", "component-256", "too long", with_path("n" * 256))
    c.refused("D1", "path-of-10000", "too long", with_path("abc/" * 2500 + "x"))
    c.add("D1", "path-of-70000", Refused("65536"), with_path("x" * 70000))
    c.add("D1", "gnu-name-of-70000", Refused("65536"), file("short", gnu_name="x" * 70000))
    c.contained("D1", "global-pax-path", {"x": evil}, pax({"path": "../x", "uid": "7"}, "g"),
                file("x", b"evil"))
    deep = "a/" * 2000
    c.contained("D1", "deep-2000", {deep + "x": evil}, with_path(deep + "x", file, b"evil"))
    c.layers("D1", "deep-2000-removed", Contained({"keep": evil}),
             [layer(with_path(deep + "x", file, b"evil"), file("keep", b"evil")), layer(whiteout("a"))])
    c.layers("D1", "deep-2000-replaced", Contained({"a": evil}),
             [layer(with_path(deep + "x", file, b"evil")), layer(file("a", b"evil"))])


# ---- D2: through symbolic links ------------------------------------------------------------------


def add_links(c):
    evil, o = F(b"evil"), c.outside
    up, absolute = symlink("d", BESIDE), symlink("d", c.absolute)
    c.contained("D2", "link-up-then-file", {"d": L(BESIDE), "beside/victim": evil}, up,
                file("d/victim", b"evil"))
    c.contained("D2", "link-absolute-then-file", {"d": L(c.absolute), f"{o}/victim": evil}, absolute,
                file("d/victim", b"evil"))
    c.layers("D2", "link-below-then-file", Contained({"d": L(c.absolute), f"{o}/victim": evil}),
             [layer(absolute), layer(file("d/victim", b"evil"))])
    c.layers("D2", "link-below-then-directory-below-it",
             Contained({"d": L(c.absolute), f"{o}/dir": D(0o700), f"{o}/dir/x": evil}),
             [layer(absolute), layer(directory("d/dir", 0o700), file("d/dir/x", b"evil"))])
    c.contained("D2", "link-to-root", {"d": L("/"), "x": evil}, symlink("d", "/"), file("d/x", b"evil"))
    c.contained("D2", "link-to-dotdots", {"a/d": L("../" * 30), "x": evil}, symlink("a/d", "../" * 30),
                file("a/d/x", b"evil"))
    c.contained("D2", "link-to-proc", {"d": L("/proc/self/root"), "proc/self/root/x": evil},
                symlink("d", "/proc/self/root"), file("d/x", b"evil"))
    c.contained("D2", "link-to-proc-cwd", {"d": L("/proc/self/cwd"), "proc/self/cwd/x": evil},
                symlink("d", "/proc/self/cwd"), file("d/x", b"evil"))
    c.contained("D2", "chain-of-links", {"1": L("2"), "2": L("3"), "3": L(BESIDE), "beside/x": evil},
                symlink("1", "2"), symlink("2", "3"), symlink("3", BESIDE), file("1/x", b"evil"))
    c.refused("D2", "loop-of-links", "symbolic links", symlink("a", "b"), symlink("b", "a"),
              file("a/x", b"evil"))
    c.refused("D2", "link-to-itself", "symbolic links", symlink("a", "a"), file("a/x", b"evil"))
    c.refused("D2", "doubling-links", "symbolic links", directory("d"),
              *[symlink(f"d/{i}", f"{i - 1}/../{i - 1}" if i else ".") for i in range(60)],
              file("d/59/x", b"evil"))
    c.contained("D2", "link-then-file-of-that-name", {"f": evil}, symlink("f", f"{BESIDE}/victim"),
                file("f", b"evil"))
    c.contained("D2", "link-to-sentinel-then-file-of-that-name", {"f": evil},
                symlink("f", f"{c.absolute}/victim"),
                file("f", b"evil"))
    c.layers("D2", "link-below-then-file-of-that-name", Contained({"f": evil}),
             [layer(symlink("f", f"{c.absolute}/victim")), layer(file("f", b"evil"))])
    c.contained("D2", "link-then-directory-of-that-name", {"d": D(0o700)}, absolute, directory("d", 0o700))
    c.layers("D2", "link-below-then-directory-of-that-name", Contained({"usr/bin/x": evil, "bin": D(0o700)}),
             [layer(file("usr/bin/x", b"evil"), symlink("bin", "usr/bin")), layer(directory("bin", 0o700))])
    c.contained("D2", "link-then-fifo-of-that-name", {"f": P()}, symlink("f", f"{BESIDE}/victim"), fifo("f"))
    c.contained("D2", "link-then-device-of-that-name", {"f": DEV("char", 1, 3)},
                symlink("f", f"{BESIDE}/victim"),
                device("f", "3", 1, 3))
    c.contained("D2", "link-onto-link", {"f": L("y")}, symlink("f", f"{BESIDE}/dir"), symlink("f", "y"))
    c.contained("D2", "file-then-link-then-through-it", {"d": L(BESIDE), "beside/x": evil},
                file("d", b"a file"),
                up, file("d/x", b"evil"))
    c.contained("D2", "directory-then-link-then-through-it", {"d": L(BESIDE), "beside/y": evil},
                directory("d"),
                file("d/x"), up, file("d/y", b"evil"))
    c.layers("D2", "directory-below-then-link-then-through-it", Contained({"d": L(BESIDE), "beside/y": evil}),
             [layer(directory("d"), file("d/x")), layer(file("d/x2"), up, file("d/y", b"evil"))])
    c.contained("D2", "open-directory-replaced-by-link",
                {"d": L("e"), "e": D(), "e/b": F(b"b"), "e/a": F(b"a")},
                directory("d"), file("d/0"), directory("e"), file("e/a", b"a"), symlink("d", "e"),
                file("d/b", b"b"))
    c.contained("D2", "linked-directory-moves", {"d": L("f"), "e/a": F(b"a"), "f/b": F(b"b")},
                symlink("d", "e"),
                file("d/a", b"a"), symlink("d", "f"), file("d/b", b"b"))
    c.contained("D2", "link-above-moves", {"e/sub/a": F(b"a"), "d": L("f"), "f/sub/b": F(b"b")},
                symlink("d", "e"),
                file("d/sub/a", b"a"), symlink("d", "f"), file("d/sub/b", b"b"))
    c.refused("D2", "file-as-parent", "not a directory", file("f", b"f"), file("f/x", b"evil"))
    c.refused("D2", "fifo-as-parent", "not a directory", fifo("f"), file("f/x", b"evil"))
    c.refused("D2", "device-as-parent", "not a directory", device("f", "3", 1, 3), file("f/x", b"evil"))
    c.refused("D2", "link-to-file-as-parent", "not a directory", file("f", b"f"), symlink("l", "f"),
              file("l/x", b"evil"))
    c.contained("D2", "directory-file-directory", {"d": D(0o711), "d/y": F(b"y")}, directory("d"),
                file("d/x", b"x"),
                file("d", b"file"), directory("d", 0o711), file("d/y", b"y"))
    c.layers("D2", "directory-file-directory-by-layers", Contained({"d": D(), "d/y": F(b"y")}),
             [layer(directory("d"), file("d/x", b"x")), layer(file("d", b"file")),
              layer(directory("d"), file("d/y", b"y"))])
    c.layers("D2", "usr-merge",
             Contained({"usr/bin/sh": F(b"new", 0o755), "bin": L("usr/bin"), "usr/lib/l": F(b"l"),
                                           "lib": L("/usr/lib")}),
             [layer(file("usr/bin/sh", b"old"), symlink("bin", "usr/bin"), symlink("lib", "/usr/lib")),
              layer(file("bin/sh", b"new", mode=0o755), file("lib/l", b"l"))])
    c.refused("D2", "link-to-nothing", "link to nothing", symlink("l", ""))
    c.refused("D2", "target-of-5000", "too long", symlink("l", "short", records={"linkpath": "t" * 5000}))
    c.contained("D2", "ten-thousand-of-one-name", {"f": F(b"9999")},
                *[file("f", b"%d" % i) for i in range(10000)])
    c.contained("D2", "thousand-turns-of-one-name", {"f": F(b"end")},
                *[e for _ in range(1000) for e in (directory("f"), file("f/x"), symlink("f", BESIDE),
                                                   fifo("f"))],
                file("f", b"end"))


# ---- D3: metadata through links ------------------------------------------------------------------


def add_metadata(c):
    victim = f"{c.absolute}/victim"
    c.contained("D3", "chown-link", {"l": L(victim, uid=1000, gid=1001)},
                symlink("l", victim, uid=1000, gid=1001))
    c.contained("D3", "chmod-link", {"l": L(victim)}, symlink("l", victim, mode=0o4777))
    c.contained("D3", "utimes-link", {"l": L(victim, mtime=5)}, symlink("l", victim, mtime=5))
    c.contained("D3", "xattr-link", {"l": L(victim)},
                symlink("l", victim, records={"SCHILY.xattr.user.evil": "1"}))
    c.contained("D3", "hardlink-to-link-with-metadata",
                {"h": L(victim, uid=7, same_as="h"), "l": L(victim, uid=7, same_as="h")},
                symlink("l", victim),
                hardlink("h", "l", mode=0o4777, uid=7, records={"SCHILY.xattr.user.evil": "1"}))
    c.contained("D3", "directory-metadata-onto-link", {"d": D(0o7777, uid=7, mtime=5)},
                symlink("d", c.absolute),
                directory("d", 0o7777, uid=7, mtime=5))
    c.contained("D3", "metadata-of-linked-directory-is-inside",
                {"d": L(c.absolute), f"{c.outside}/dir": D(0o7777, uid=7)},
                symlink("d", c.absolute), directory("d/dir", 0o7777, uid=7))
    c.contained("D3", "directory-times-at-the-end", {"d": L(c.absolute), f"{c.outside}": D(0o700, mtime=5),
                                                     f"{c.outside}/x": F(b"x")},
                directory(c.outside, 0o700, mtime=5), symlink("d", c.absolute), file("d/x", b"x"))
    c.contained("D3", "directory-replaced-before-its-times", {"d": L(c.absolute)},
                directory("d", 0o777, mtime=5),
                symlink("d", c.absolute))
    c.contained("D3", "directory-without-permission", {"d": D(0), "d/e": D(0o111), "d/e/f": F(b"f", 0)},
                directory("d", 0), directory("d/e", 0o111), file("d/e/f", b"f", mode=0))


# ---- D4: hard links ------------------------------------------------------------------------------


def add_hardlinks(c):
    evil, bad = F(b"evil"), "hardlink"
    victim = f"{c.absolute}/victim"
    for name, target in (("up", f"{BESIDE}/victim"), ("far", "../" * 20 + "etc/passwd"), ("absolute", victim),
                         ("cwd", "etc/passwd"), ("missing", "nothing"), ("empty", ""), ("dot", "."),
                         ("slash", "/"),
                         ("dotdot", ".."), ("inside-dotdot", "d/../f")):
        c.refused("D4", f"hardlink-{name}", bad, file("f"), directory("d"), hardlink("h", target))
    c.refused("D4", "hardlink-pax", bad, hardlink("h", "f", records={"linkpath": f"{BESIDE}/victim"}))
    c.refused("D4", "hardlink-gnu", bad, hardlink("h", "f", gnu_link=f"{BESIDE}/victim"))
    c.refused("D4", "hardlink-nul", "NUL", hardlink("h", "f", records={"linkpath": "f\0x"}))
    c.refused("D4", "hardlink-through-link", bad, symlink("d", BESIDE), hardlink("h", "d/victim"))
    c.refused("D4", "hardlink-through-absolute-link", bad, symlink("d", c.absolute),
              hardlink("h", "d/victim"))
    c.layers("D4", "hardlink-through-link-below", Refused(bad),
             [layer(symlink("d", c.absolute)), layer(hardlink("h", "d/victim"))])
    c.refused("D4", "hardlink-to-directory", bad, directory("d"), hardlink("h", "d"))
    c.refused("D4", "hardlink-to-device", bad, device("n", "3", 1, 3), hardlink("h", "n"))
    c.refused("D4", "hardlink-to-fifo", bad, fifo("n"), hardlink("h", "n"))
    c.refused("D4", "hardlink-to-itself", "itself", file("f"), hardlink("f", "f"))
    c.refused("D4", "hardlink-to-itself-otherwise", "itself", file("f"), hardlink("./f", "/f"))
    c.refused("D4", "hardlink-before-its-target", bad, hardlink("h", "f"), file("f"))
    c.contained("D4", "hardlink-absolute-inside",
                {"d/f": F(b"evil", same_as="d/f"), "h": F(b"evil", same_as="d/f")},
                file("d/f", b"evil"), hardlink("h", "/d/f"))
    c.contained("D4", "hardlink-through-link-inside",
                {"e/f": F(b"evil", same_as="e/f"), "h": F(b"evil", same_as="e/f"), "d": L("/e")},
                file("e/f", b"evil"),
                symlink("d", "/e"), hardlink("h", "d/f"))
    c.contained("D4", "hardlink-to-link-then-file", {"l": L(victim), "h": evil}, symlink("l", victim),
                hardlink("h", "l"), file("h", b"evil"))
    c.contained("D4", "hardlink-then-other-content",
                {"a": F(b"one", same_as="a"), "b": F(b"two", same_as="b")},
                file("a", b"one"), hardlink("b", "a"), file("b", b"two"))
    c.layers("D4", "hardlink-to-lower-layer",
             Contained({"a": F(b"one", same_as="a"), "b": F(b"one", same_as="a")}),
             [layer(file("a", b"one")), layer(hardlink("b", "a"))])
    c.layers("D4", "hardlink-below-then-other-content",
             Contained({"a": F(b"one", same_as="a"), "b": F(b"two", same_as="b")}),
             [layer(file("a", b"one"), hardlink("b", "a")), layer(file("b", b"two"))])
    c.layers("D4", "hardlink-and-whiteout-of-its-target", Contained({"b": F(b"one", same_as="b")}),
             [layer(file("a", b"one")), layer(hardlink("b", "a"), whiteout("a"))])
    c.contained("D4", "hardlink-with-a-size",
                {"a": F(b"one", same_as="a"), "b": F(b"one", same_as="a"), "c": evil},
                file("a", b"one"), hardlink("b", "a", size=3), file("c", b"evil"))
    c.contained("D4", "aufs-hardlink", {"x": F(b"kept", same_as="x"), "y": F(b"kept", same_as="x")},
                directory(".wh..wh.plnk", 0o700), file(".wh..wh.plnk/1.2", b"kept"),
                hardlink("x", ".wh..wh.plnk/1.2"),
                hardlink("y", ".wh..wh.plnk/1.2"))
    c.refused("D4", "aufs-hardlink-to-nothing", "invalid aufs hardlink", hardlink("x", ".wh..wh.plnk/1.2"))
    c.refused("D4", "aufs-hardlink-out", "hardlink", hardlink("x", f".wh..wh.plnk/../{BESIDE}/victim"))


# ---- D5: whiteouts -------------------------------------------------------------------------------


def add_whiteouts(c):
    for name, marker in (("dot", ".wh.."), ("dotdot", ".wh..."), ("empty", ".wh."),
                         ("dotdot-below", "d/.wh..."),
                         ("dot-below", "d/.wh.."), ("empty-below", "d/.wh.")):
        c.layers("D5", f"whiteout-of-{name}", Refused("whiteout"),
                 [layer(directory("d"), file("d/x", b"x")), layer(file(marker))])
    low = layer(directory("d"), file("d/low", b"low"), file("d/sub/low", b"low"), file("top", b"low"))
    new = {"d": D(), "d/new": F(b"new"), "top": F(b"low")}
    c.layers("D5", "opaque-before", Contained(new),
             [low, layer(opaque("d"), directory("d"), file("d/new", b"new"))])
    c.layers("D5", "opaque-after", Contained(new),
             [low, layer(directory("d"), file("d/new", b"new"), opaque("d"))])
    c.layers("D5", "opaque-between", Contained({**new, "d/b": F(b"b")}),
             [low, layer(directory("d"), file("d/new", b"new"), opaque("d"), file("d/b", b"b"))])
    c.layers("D5", "opaque-twice", Contained(new),
             [low, layer(opaque("d"), directory("d"), file("d/new", b"new"), opaque("d"))])
    c.layers("D5", "opaque-after-nested",
             Contained({"d": D(mtime=None), "d/sub/new": F(b"new"), "top": F(b"low")}),
             [low, layer(file("d/sub/new", b"new"), opaque("d"))])
    c.layers("D5", "opaque-after-deeply-nested",
             Contained({"d": D(mtime=None), "d/sub/a/b/new": F(b"new"), "top": F(b"low")}),
             [low, layer(file("d/sub/a/b/new", b"new"), opaque("d"))])
    c.layers("D5", "opaque-of-the-root", Contained({"x": F(b"x")}), [low, layer(opaque(""), file("x", b"x"))])
    c.layers("D5", "opaque-of-the-root-after", Contained({"x": F(b"x")}),
             [low, layer(file("x", b"x"), opaque(""))])
    c.layers("D5", "opaque-of-nothing", Contained({"no/where": D(mtime=None), "x": F(b"x")}),
             [layer(file("x", b"x")), layer(opaque("no/where"))])
    c.layers("D5", "opaque-of-a-file", Refused("not a directory"),
             [layer(file("x", b"x")), layer(opaque("x"))])
    c.layers("D5", "opaque-through-link", Contained({"l": L("/d"), "d": D(mtime=None), "top": F(b"low")}),
             [low, layer(symlink("l", "/d")), layer(opaque("l"))])
    c.layers("D5", "opaque-through-link-out", Contained({"l": L(c.absolute), c.outside: D(mtime=None)}),
             [layer(symlink("l", c.absolute)), layer(opaque("l"))])
    c.layers("D5", "opaque-of-an-open-directory",
             Contained({"d": D(mtime=None), "d/sub/x": F(b"x"), "d/y": F(b"y"),
                                                             "top": F(b"low")}),
             [low, layer(file("d/sub/x", b"x"), opaque("d/sub"), opaque("d"), file("d/y", b"y"))])
    c.layers("D5", "whiteout-of-link", Contained({}), [layer(symlink("l", c.absolute)), layer(whiteout("l"))])
    c.layers("D5", "whiteout-through-link-up", Contained({"d": L(BESIDE), "beside": D(mtime=None)}),
             [layer(symlink("d", BESIDE)), layer(whiteout("d/victim"))])
    c.layers("D5", "whiteout-through-absolute-link",
             Contained({"d": L(c.absolute), c.outside: D(mtime=None)}),
             [layer(symlink("d", c.absolute)), layer(whiteout("d/victim"), whiteout("d/dir"))])
    c.layers("D5", "whiteout-through-link-inside",
             Contained({"l": L("d"), "d": D(mtime=None), "d/sub/low": F(b"low"),
                                                              "top": F(b"low")}),
             [low, layer(symlink("l", "d")), layer(whiteout("l/low"))])
    c.layers("D5", "whiteout-of-directory-with-links", Contained({}),
             [layer(symlink("d/a", c.absolute), symlink("d/b", f"{c.absolute}/dir"),
                    symlink("d/c/d", "../" * 20 + "etc"),
                    file("d/e", b"x")), layer(whiteout("d"))])
    c.layers("D5", "whiteout-of-nothing", Contained({"x": F(b"x")}),
             [layer(file("x", b"x")), layer(whiteout("y"))])
    c.layers("D5", "whiteout-of-mine-before", Contained({"x": F(b"new")}),
             [layer(file("x", b"old")), layer(whiteout("x"), file("x", b"new"))])
    c.layers("D5", "whiteout-of-mine-after", Contained({"x": F(b"new")}),
             [layer(file("x", b"old")), layer(file("x", b"new"), whiteout("x"))])
    c.layers("D5", "whiteout-of-my-directory-after",
             Contained({"d": D(), "d/new": F(b"new"), "top": F(b"low")}),
             [low, layer(directory("d"), file("d/new", b"new"), whiteout("d"))])
    c.layers("D5", "whiteout-then-other-type", Contained({"d": F(b"file"), "top": F(b"low")}),
             [low, layer(whiteout("d"), file("d", b"file"))])
    c.contained("D5", "whiteout-in-the-lowest-layer", {"x": F(b"x")}, file("x", b"x"), whiteout("x"),
                whiteout("y"),
                opaque(""))
    c.layers("D5", "whiteout-by-pax-path", Contained({"top": F(b"low")}), [low, layer(with_path(".wh.d"))])
    c.layers("D5", "whiteout-that-is-a-link", Contained({"top": F(b"low")}),
             [low, layer(symlink(".wh.d", c.absolute))])
    c.layers("D5", "whiteout-with-content", Contained({"top": F(b"low")}),
             [low, layer(file(".wh.d", b"x" * 1000))])
    c.contained("D5", "aufs-books", {"x": F(b"x")}, directory(".wh..wh.orph"), directory(".wh..wh.plnk"),
                file(".wh..wh.aufs"), file(".wh..wh.plnk/1.2", b"never linked"), file("x", b"x"))
    c.layers("D5", "unknown-marker",
             Contained({"d": D(), "d/low": F(b"low"), "d/sub/low": F(b"low"), "top": F(b"low")}),
             [low, layer(file("d/.wh..wh.unknown"), file(".wh..wh.unknown/x"))])
    c.layers("D5", "whiteout-of-a-parent-in-use", Contained({"d/sub/new": F(b"new"), "top": F(b"low")}),
             [low, layer(file("d/sub/new", b"new"), whiteout("d"), whiteout("d/sub"))])


# ---- D6: devices ---------------------------------------------------------------------------------


def add_devices(c):
    null = device("null", "3", 1, 3, mode=0o666)
    c.contained("D6", "devices",
                {"null": DEV("char", 1, 3, 0o666), "sda": DEV("block", 8, 0), "big": DEV("char", 259, 70000)},
                null, device("sda", "4", 8, 0), device("big", "3", 259, 70000))
    c.contained("D6", "devices-skip", {"f": F()}, null, device("sda", "4", 8, 0), file("f"),
                flags=("--devices", "skip"))
    c.refused("D6", "devices-reject", "device", null, flags=("--devices", "reject"))
    c.refused("D6", "char-0-0", "0:0", file("first"), device("first", "3", 0, 0))
    c.refused("D6", "char-0-0-skip", "0:0", device("x", "3", 0, 0), flags=("--devices", "skip"))
    c.refused("D6", "char-blank-numbers", "0:0", device("x", "3", b"        ", b"\0" * 8))
    c.refused("D6", "char-that-wraps-to-0-0", "out of range", device("x", "3", 4096, 0))
    c.refused("D6", "char-minor-out-of-range", "out of range", device("x", "3", 1, 1 << 20))
    c.refused("D6", "char-major-2-32", "out of range", device("x", "3", base256(1 << 32, 8), 0))
    c.refused("D6", "char-negative", "negative", device("x", "3", base256(-1, 8), 0))
    c.contained("D6", "device-then-file", {"n": F(b"data")}, device("n", "3", 1, 3), file("n", b"data"))
    c.layers("D6", "device-below-then-file", Contained({"n": F(b"data")}),
             [layer(device("n", "4", 7, 0)), layer(file("n", b"data"))])
    c.contained("D6", "fifo", {"p": P(0o600)}, fifo("p", mode=0o600))
    c.contained("D6", "fifo-then-file", {"p": F(b"data")}, fifo("p"), file("p", b"data"))
    c.layers("D6", "fifo-below-then-file", Contained({"p": F(b"data")}),
             [layer(fifo("p")), layer(file("p", b"data"))])
    c.layers("D6", "fifo-below-then-directory", Contained({"p": D()}),
             [layer(fifo("p")), layer(directory("p"))])


# ---- D7: extended attributes ---------------------------------------------------------------------

CAP_NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


def with_xattrs(**named):
    """PAX records; '__' in a name stands for '.'."""
    return {"SCHILY.xattr." + name.replace("__", "."): value for name, value in named.items()}


def add_xattrs(c):
    good = {"user.ok": b"1", "security.capability": CAP_NET_RAW}
    both = with_xattrs(user__ok=b"1", security__capability=CAP_NET_RAW)
    c.contained("D7", "xattrs", {"f": F(mode=0o755, uid=7, xattrs=good), "d": D(xattrs={"user.ok": b"1"})},
                file("f", mode=0o755, uid=7, records=both),
                directory("d", records=with_xattrs(user__ok=b"1")))
    for name in ("trusted.overlay.opaque", "trusted.overlay.redirect", "trusted.overlay.whiteout",
                 "trusted.davit",
                 "user.overlay.opaque", "user.overlay.redirect", "user.rootlesscontainers", "security.ima",
                 "security.evm",
                 "security.selinux", "system.posix_acl_access", "system.nfs4_acl", "os2.x", "noprefix"):
        value = {"SCHILY.xattr." + name: b"y", "SCHILY.xattr.user.ok": b"1"}
        c.contained("D7", f"xattr-{name}",
                    {"d": D(xattrs={"user.ok": b"1"}), "f": F(xattrs={"user.ok": b"1"})},
                    directory("d", records=value), file("f", records=value))
    for asked in ("trusted.overlay.opaque", "user.overlay.*", "user.*", "*"):
        value = with_xattrs(trusted__overlay__opaque=b"y", user__overlay__opaque=b"y",
                            user__rootlesscontainers=b"y")
        c.contained("D7", f"xattrs-asked-{asked}", {"d": D()}, directory("d", records=value),
                    flags=("--xattrs", asked))
    c.contained("D7", "xattr-with-zeros", {"f": F(xattrs={"user.z": b"a\0b\n="})},
                file("f", records=with_xattrs(user__z=b"a\0b\n=")))
    c.contained("D7", "xattr-twice-the-last-counts", {"f": F(xattrs={"user.a": b"2"})},
                file("f", records=[("SCHILY.xattr.user.a", b"1"), ("SCHILY.xattr.user.a", b"2")]))
    c.contained("D7", "xattrs-of-libarchive-are-not-ours", {"f": F()},
                file("f", records={"LIBARCHIVE.xattr.user.x": "MQ"}))
    c.refused("D7", "xattr-capability-malformed", "security.capability",
              file("f", records=with_xattrs(security__capability=b"no")))
    c.refused("D7", "xattr-without-name", "without a name", file("f", records={"SCHILY.xattr.": b"1"}))
    c.refused("D7", "xattr-nul-in-name", "NUL", file("f", records={"SCHILY.xattr.user.a\0b": b"1"}))
    c.refused("D7", "xattrs-65", "64", file("f", records={f"SCHILY.xattr.user.{i}": b"1" for i in range(65)}))
    c.refused("D7", "xattrs-129-kib", "131072",
              file("f", records={f"SCHILY.xattr.user.{i}": b"x" * 44000 for i in range(3)}))
    c.layers("D7", "xattrs-of-a-lower-layer-go", Contained({"d": D(xattrs={"user.new": b"1"}), "f": F(b"2")}),
             [layer(directory("d", records=with_xattrs(user__old=b"1")),
                    file("f", records=with_xattrs(user__old=b"1"))),
              layer(directory("d", records=with_xattrs(user__new=b"1")), file("f", b"2"))])


# ---- D8: owners, modes, times --------------------------------------------------------------------


def add_numbers(c):
    for field_name in ("uid", "gid"):
        for name, value in (("minus-1", base256(-1, 8)), ("2-32", base256(1 << 32, 8)),
                            ("2-32-minus-1", base256((1 << 32) - 1, 8)),
                            ("negative", base256(-1000, 8)), ("2-56", b"\x80" + b"\xff" * 7)):
            c.refused("D8", f"{field_name}-{name}", field_name, file("f", **{field_name: value}))
        for name, value in (("minus-1", "-1"), ("2-32", str(1 << 32)), ("2-32-minus-1", str((1 << 32) - 1)),
                            ("text", "root"),
                            ("hex", "0x0"), ("plus", "+5"), ("fraction", "0.5"), ("2-64", str(1 << 64))):
            c.refused("D8", f"pax-{field_name}-{name}", field_name, file("f", records={field_name: value}))
    c.refused("D8", "uid-text", "owner", file("f", uid=b"0000abc\0"))
    c.contained("D8", "largest-owner", {"f": F(uid=(1 << 32) - 2, gid=(1 << 32) - 2)},
                file("f", uid=base256((1 << 32) - 2, 8), records={"gid": str((1 << 32) - 2)}))
    c.contained("D8", "owner-of-a-name-does-not-count", {"f": F(uid=7)},
                file("f", uid=7, uname="root", gname="root"))
    for name, bits in (("file", 0o100000), ("directory", 0o040000), ("link", 0o120000), ("char", 0o020000),
                       ("block", 0o060000), ("socket", 0o140000), ("all", 0o770000)):
        c.contained("D8", f"mode-bits-of-{name}", {"f": F(b"f", 0o644), "d": D(0o755)},
                    file("f", b"f", mode=bits | 0o644),
                    directory("d", bits | 0o755))
    c.contained("D8", "setuid-survives-chown",
                {"f": F(b"x", 0o6755, uid=1000, gid=1000), "d": D(0o3777, uid=1000)},
                file("f", b"x", mode=0o6755, uid=1000, gid=1000), directory("d", 0o3777, uid=1000))
    c.contained("D8", "setgid-directory-gives-no-group",
                {"d": D(0o2755, gid=50), "d/f": F(b"x"), "d/e": D(), "d/l": L("x")},
                directory("d", 0o2755, gid=50), file("d/f", b"x"), directory("d/e"), symlink("d/l", "x"))
    c.refused("D8", "mode-negative", "mode", file("f", mode=base256(-1, 8)))
    c.refused("D8", "mode-text", "mode", file("f", mode=b"rwxr-xr\0"))
    c.contained("D8", "time-before-1970", {"f": F(mtime=0)}, file("f", mtime=base256(-5, 12)))
    c.contained("D8", "time-far", {"f": F(mtime=0)}, file("f", mtime=base256(1 << 60, 12)))
    c.contained("D8", "time-pax-negative", {"f": F(mtime=0)}, file("f", records={"mtime": "-1.5"}))
    c.contained("D8", "time-pax-fraction", {"f": F(mtime=1600000000 * S + 123456789)},
                file("f", records={"mtime": "1600000000.1234567899999"}))
    c.refused("D8", "time-pax-text", "mtime", file("f", records={"mtime": "yesterday"}))
    c.refused("D8", "time-pax-huge", "mtime", file("f", records={"mtime": "9" * 40}))


# ---- D9: tar ------------------------------------------------------------------------------------


def add_tar(c):
    evil = file("evil", b"evil")
    c.refused("D9", "checksum-wrong", "checksum", file("f", checksum_field=b"000000\0 "))
    c.refused("D9", "checksum-blank", "checksum", file("f", checksum_field=b"        "))
    c.refused("D9", "checksum-text", "checksum", file("f", checksum_field=b"checksum"))
    c.refused("D9", "size-negative", "size", file("f", size=base256(-512, 12)))
    c.refused("D9", "size-text", "size", file("f", size=b"0x000000200\0"))
    c.refused("D9", "size-2-88", "size", file("f", size=b"\x80" + b"\x7f" * 11))
    c.refused("D9", "size-of-65-gib", "68719476736", header("f", size=base256(65 * GIB, 12)))
    c.refused("D9", "size-over-asked", "more than", file("f", b"x" * 2000), flags=("--max-size", "1000"))
    c.layers("D9", "size-more-than-there-is", Refused("unexpected EOF"),
             [header("f", size=10 ** 6) + b"x" * 1000])
    c.refused("D9", "pax-size-negative", "size", file("f", records={"size": "-1"}))
    c.refused("D9", "pax-size-2-63", "size", file("f", records={"size": str(1 << 63)}))
    c.refused("D9", "pax-size-text", "size", file("f", records={"size": "1k"}))
    # What one program takes for content, another takes for entries.
    c.refused("D9", "pax-size-less-than-header", "bytes", pax({"size": "0"}), header("f", size=len(evil)),
              evil)
    c.refused("D9", "pax-size-more-than-header", "bytes", pax({"size": str(len(evil))}), header("f", size=4),
              evil)
    c.contained("D9", "pax-size-hides-entries", {"f": F(evil)}, pax({"size": str(len(evil))}),
                header("f", size=0), evil)
    c.contained("D9", "pax-size-of-a-directory", {"d": D(), "evil": F(b"evil")},
                directory("d", records={"size": "1024"}), evil)
    c.contained("D9", "pax-size-of-the-next-only", {"f": F(b"x" * 600), "g": F(b"ab")},
                file("f", b"x" * 600, records={"size": "600"}), file("g", b"ab"))
    c.contained("D9", "archive-in-a-file", {"a.tar": F(layer(evil))}, file("a.tar", layer(evil)))
    c.contained("D9", "size-of-what-has-no-data", {"d": D(), "l": L("x"), "p": P(), "evil": F(b"evil")},
                directory("d", size=512), symlink("l", "x", size=512), fifo("p", size=512), evil)
    c.refused("D9", "sparse-gnu", "sparse", entry("f", "S", b"x" * 512, magic=GNU))
    maps = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "f",
            "GNU.sparse.realsize": str(1 << 40)}
    c.refused("D9", "sparse-1-0", "sparse",
              file("GNUSparseFile.0/f", b"1\n0\n512\n" + bytes(505) + b"x" * 512, records=maps))
    c.refused("D9", "sparse-0-1", "sparse",
              file("f", b"x",
                   records={"GNU.sparse.map": "0,1,9999999999,9", "GNU.sparse.size": str(1 << 50)}))
    c.refused("D9", "sparse-0-0", "sparse",
              file("f", b"x", records=[("GNU.sparse.numblocks", "99999999"), ("GNU.sparse.offset", "-1")]))
    c.refused("D9", "sparse-by-name-only", "sparse",
              file("f", b"x", records={"GNU.sparse.name": "../../beside/victim"}))
    for name, body in (("too-long", b"99 path=x\n"), ("too-short", b"5 path=x\n"), ("zero", b"0 path=x\n"),
                       ("huge", b"99999999999999999999 path=x\n"), ("negative", b"-9 path=x\n"),
                       ("no-newline", b"9 path=xyz"),
                       ("no-equals", b"9 pathxx\n"), ("no-key", b"6 =xy\n"), ("no-space", b"10path=x\n"),
                       ("zeros", bytes(64))):
        c.refused("D9", f"pax-record-{name}", "pax record", pax(body), file("f"))
    c.refused("D9", "pax-of-2-mib", "extension headers", pax({"comment": "x" * (2 << 20)}), file("f"))
    c.refused("D9", "pax-of-8-gib", "extension headers", header("x", "x", size=base256(8 * GIB, 12)))
    c.refused("D9", "gnu-name-of-1-gib", "extension headers", header("x", "L", size=GIB, magic=GNU))
    c.refused("D9", "globals-without-end", "extension headers", *[pax({"comment": "x" * 2000}, "g")] * 1000,
              file("f"))
    c.refused("D9", "gnu-names-without-end", "second extension header", *[gnu_long("L", "name")] * 1000,
              file("f"))
    c.refused("D9", "pax-twice", "second extension header", pax({"path": "a"}), pax({"path": "b"}), file("f"))
    c.refused("D9", "global-between", "global header", pax({"path": "a"}), pax({"path": "b"}, "g"), file("f"))
    c.refused("D9", "pax-before-the-end", "after an extension header", file("f"), pax({"path": "a"}))
    c.layers("D9", "pax-before-eof", Refused("unexpected EOF"), [file("f") + pax({"path": "a"})])
    for kind in "ZVMDNXA\x01":
        c.refused("D9", f"type-{ord(kind)}", "unhandled tar header type", file("first"), entry("f", kind))
    c.refused("D9", "lone-zero-block", "lone zero block", file("f"), bytes(512), evil)
    c.layers("D9", "trailing-garbage", Refused("behind its end"), [layer(file("f")) + b"garbage"])
    c.layers("D9", "trailing-archive", Refused("behind its end"), [layer(file("f")) + layer(evil)])
    c.layers("D9", "trailing-zeros", Contained({"f": F()}), [layer(file("f")) + bytes(100000)])
    c.layers("D9", "no-end", Contained({"f": F(b"x")}), [file("f", b"x")])
    c.layers("D9", "half-a-header", Refused("unexpected EOF"), [file("f", b"x") + file("g")[:300]])
    c.layers("D9", "data-cut", Refused("unexpected EOF"), [file("f", b"x" * 5000)[:2000]])
    c.layers("D9", "empty", Contained({}), [b""])
    c.layers("D9", "no-tar", Refused("checksum"), [b"This is no archive at all.\n" * 100])
    c.contained("D9", "v7", {"f": F(b"x"), "d": D()}, file("f", b"x", magic=V7, prefix="../.."),
                entry("d/", "\0", magic=V7, mode=0o755))
    c.contained("D9", "contiguous", {"f": F(b"x")}, entry("f", "7", b"x"))
    c.refused("D9", "prefix-of-an-unknown-version", "prefix", file("f", magic=b"ustar\x0099", prefix="p"))
    gnu_times = {345: octal(MTIME, 12) + octal(MTIME, 12)}
    c.contained("D9", "gnu-times-are-no-prefix", {"f": F(b"x")}, file("f", b"x", magic=GNU, raw=gnu_times))


# ---- B7, C5, C6: streams -------------------------------------------------------------------------


def gzip_header(flags=0, method=8):
    return bytes([0x1f, 0x8b, method, flags, 0, 0, 0, 0, 0, 255])


ZEROS = bytes(16 << 20)
GIB_OF_ZEROS = "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14"     # its SHA-256


def around_a_gib(head, tail, codec):
    """head, 1 GiB of zeros, tail, as members or frames of 16 MiB: some hundred kB."""
    digest = hashlib.sha256(head)
    for _ in range(GIB // len(ZEROS)):
        digest.update(ZEROS)
    digest.update(tail)
    pack = {"gzip": oci.gzip_of, "zstd": zstd}[codec]
    data = pack(head) + pack(ZEROS) * (GIB // len(ZEROS)) + pack(tail)
    return [Blob(data, "sha256:" + digest.hexdigest(), codec)]


def add_bombs(c):
    for codec in ("gzip", "zstd"):
        def blob(codec=codec):
            return around_a_gib(header("zeros", size=GIB), END, codec)

        zeros = trees.Node("file", 0o644, 0, 0, GIB, MTIME * S, xattrs={}, sha256=GIB_OF_ZEROS)
        c.layers("C5", f"gib-of-zeros-{codec}", Contained({"zeros": zeros}), blob, seconds=60)
        c.layers("C5", f"gib-of-zeros-{codec}-limited", Refused("more than"), blob,
                 flags=("--max-size", "100M"))
    c.layers("C5", "gib-of-zeros-behind-the-end", Contained({"f": F(b"x")}),
             lambda: around_a_gib(layer(file("f", b"x")), b"", "gzip"), seconds=60)
    tar = layer(file("f", oci.noise("nested", 2000)))
    once, twice = oci.gzip_of(tar), oci.gzip_of(oci.gzip_of(tar))
    tree = Contained({"f": F(oci.noise("nested", 2000))})
    c.layers("C5", "nested-gzip", Refused("checksum"), [Blob(twice, once)])
    c.layers("C5", "nested-many", Refused("checksum"), [Blob(nested(tar, 20), nested(tar, 19))])
    c.layers("C5", "gzip-in-zstd", Refused("checksum"), [Blob(zstd(once), once, "zstd")])
    c.layers("C6", "hundred-thousand-empty-members", tree, [Blob(oci.gzip_of(b"") * 100000 + once, tar)])
    c.layers("C6", "hundred-thousand-empty-frames", tree, [Blob(zstd(b"") * 100000 + zstd(tar), tar, "zstd")])


def nested(data, times):
    for _ in range(times):
        data = oci.gzip_of(data)
    return data


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:]


def add_streams(c):
    tar = layer(file("f", oci.noise("stream", 3000)), file("g", b"text " * 1000))
    for codec, data in (("gzip", oci.gzip_of(tar)), ("zstd", zstd(tar, "-3", "--check")),
                        ("xz", lzma.compress(tar)),
                        ("bzip2", bz2.compress(tar))):
        tree = Contained({"f": F(oci.noise("stream", 3000)), "g": F(b"text " * 1000)})

        def stream(name, outcome, blob, codec=codec):
            c.layers("C6", f"{codec}-{name}", outcome, [Blob(blob, tar, codec)])

        stream("whole", tree, data)
        stream("two-members", tree, twofold(codec, tar))
        for name, size in (("empty-of-it", 4 if codec != "xz" else 6), ("header", 11),
                           ("half", len(data) // 2),
                           ("last-byte", len(data) - 1), ("last-bytes", len(data) - 9)):
            stream(f"cut-{name}", Refused(f"{codec} stream: cut short"), data[:size])
        for name, at in (("early", 30), ("middle", len(data) // 2), ("late", len(data) - 6),
                         ("end", len(data) - 2)):
            stream(f"flipped-{name}", Refused(f"{codec} stream: "), flipped(data, at))
        stream("trailing-garbage", Refused("follow its end"), data + b"garbage behind it")
        stream("trailing-zeros", tree, data + bytes(1000))
        stream("trailing-member-of-another", Refused("follow its end"),
               data + (zstd(tar) if codec != "zstd" else oci.gzip_of(tar)))
        stream("trailing-half-header", Refused("cut short"), data + data[:5])
    add_gzip(c, tar)
    add_zstd(c, tar)
    c.layers("C6", "xz-dictionary-of-4-gib", Refused("xz"), [Blob(xz_with_dictionary(tar, 40), tar, "xz")])
    c.layers("C6", "type-says-gzip-bytes-are-zstd", tree, [Blob(zstd(tar), tar, "gzip")])
    c.layers("C6", "type-says-zstd-bytes-are-plain", tree, [Blob(tar, tar, "zstd")])
    c.layers("C6", "type-says-plain-bytes-are-gzip", tree, [Blob(oci.gzip_of(tar), tar, "none")])


def twofold(codec, tar):
    """Two members or frames, cut in the middle of a header."""
    pack = {"gzip": oci.gzip_of, "zstd": zstd, "xz": lzma.compress, "bzip2": bz2.compress}[codec]
    return pack(tar[:700]) + pack(tar[700:])


def add_gzip(c, tar):
    body = oci.gzip_of(tar)[10:]
    tree = Contained({"f": F(oci.noise("stream", 3000)), "g": F(b"text " * 1000)})
    whole = gzip_header(4) + struct.pack("<H", 65535) + b"x" * 65535 + body
    c.layers("C6", "gzip-extra-of-64-kib", tree, [Blob(whole, tar)])
    c.layers("C6", "gzip-extra-that-lies", Refused("gzip"),
             [Blob(gzip_header(4) + struct.pack("<H", 65535) + body[:100], tar)])
    c.layers("C6", "gzip-name-and-comment", tree,
             [Blob(gzip_header(24) + b"../../name\0comment\0" + body, tar)])
    c.layers("C6", "gzip-name-without-end", Refused("gzip"), [Blob(gzip_header(8) + b"n" * 300000, tar)])
    c.layers("C6", "gzip-unknown-method", Refused("checksum"),
             [Blob(gzip_header(0, 9) + body, gzip_header(0, 9) + body)])
    c.layers("C6", "gzip-reserved-flags", Refused("gzip"), [Blob(gzip_header(0xe0) + body, tar)])
    c.layers("C6", "gzip-header-crc-wrong", Refused("gzip"), [Blob(gzip_header(2) + b"\xde\xad" + body, tar)])
    head = gzip_header(2)
    c.layers("C6", "gzip-header-crc-right", tree,
             [Blob(head + struct.pack("<H", zlib.crc32(head) & 0xffff) + body, tar)])
    c.layers("C6", "gzip-crc-wrong", Refused("gzip"),
             [Blob(gzip_header() + body[:-8] + b"\0\0\0\0" + body[-4:], tar)])
    c.layers("C6", "gzip-length-wrong", Refused("gzip"), [Blob(gzip_header() + body[:-4] + b"\1\0\0\0", tar)])
    c.layers("C6", "gzip-block-type-3", Refused("gzip"), [Blob(gzip_header() + b"\x07" + bytes(20), tar)])
    c.layers("C6", "gzip-stored-length-lies", Refused("gzip"),
             [Blob(gzip_header() + b"\x01\x10\x00\x00\x00" + bytes(30), tar)])
    # A fixed block whose first symbol is a match: it reaches before the beginning.
    c.layers("C6", "gzip-distance-too-far", Refused("gzip"),
             [Blob(gzip_header() + b"\x03\x02\x00" + bytes(12), tar)])
    c.layers("C6", "gzip-of-nothing", Contained({}), [Blob(oci.gzip_of(b""), b"")])


def zstd_frame(window, *blocks):
    """A frame by hand: its window byte, and blocks of (type, size, bytes), the last one marked."""
    out = b"\x28\xb5\x2f\xfd" + bytes([0x00, window])
    for i, (kind, size, data) in enumerate(blocks):
        out += struct.pack("<I", size << 3 | kind << 1 | (i == len(blocks) - 1))[:3] + data
    return out


def add_zstd(c, tar):
    tree = Contained({"f": F(oci.noise("stream", 3000)), "g": F(b"text " * 1000)})
    for name, log in (("2-tib", 41), ("64-mib", 26), ("256-mib", 28)):
        frame = zstd_frame((log - 10) << 3, (0, len(tar), tar))
        c.layers("C6", f"zstd-window-of-{name}", Refused("window"), [Blob(frame, tar, "zstd")])
    c.layers("C6", "zstd-window-of-32-mib", tree,
             [Blob(zstd_frame(15 << 3, (0, len(tar), tar)), tar, "zstd")])
    c.layers("C6", "zstd-window-of-64-mib-asked", tree,
             [Blob(zstd_frame(16 << 3, (0, len(tar), tar)), tar, "zstd")],
             flags=("--zstd-window", "64M"))
    c.layers("C6", "zstd-window-of-2-tib-asked", Refused("window"),
             [Blob(zstd_frame(31 << 3, (0, len(tar), tar)), tar, "zstd")],
             flags=("--zstd-window", "128M"))
    c.layers("C6", "zstd-reserved-block", Refused("zstd"),
             [Blob(zstd_frame(0x58, (3, 10, bytes(10))), tar, "zstd")])
    c.layers("C6", "zstd-block-too-large", Refused("zstd"),
             [Blob(zstd_frame(0x58, (1, (1 << 21) - 1, b"\0")), tar, "zstd")])
    skip = b"\x50\x2a\x4d\x18"
    c.layers("C6", "zstd-skippable-first", tree,
             [Blob(skip + struct.pack("<I", 100) + b"x" * 100 + zstd(tar), tar, "zstd")])
    c.layers("C6", "zstd-skippable-only", Contained({}),
             [Blob(skip + struct.pack("<I", 4) + b"skip", b"", "zstd")])
    c.layers("C6", "zstd-skippable-that-lies", Refused("zstd"),
             [Blob(skip + b"\xff\xff\xff\xff" + b"x" * 100, b"", "zstd")])
    named = b"\x28\xb5\x2f\xfd" + bytes([0x01, 0x58, 0x07]) + struct.pack("<I", len(tar) << 3 | 1)[:3] + tar
    c.layers("C6", "zstd-with-dictionary", Refused("zstd"), [Blob(named, tar, "zstd")])


def xz_with_dictionary(data, size_byte):
    """An xz stream whose first block asks for the largest dictionary; its header's CRC is right."""
    stream = bytearray(lzma.compress(data))
    size = (stream[12] + 1) * 4
    block = stream[12:12 + size]
    block[block.index(b"\x21\x01") + 2] = size_byte
    block[-4:] = struct.pack("<I", zlib.crc32(bytes(block[:-4])))
    stream[12:12 + size] = block
    return bytes(stream)


def add_identities(c):
    tar, other = layer(file("f", b"x")), layer(file("f", b"y"))
    wrong = oci.sha256(other)
    c.layers("B7", "diff-id-of-another", Refused("", 5), [tar], diff_ids=[wrong])
    c.layers("B7", "diff-id-of-the-blob", Refused("", 5), [Blob(oci.gzip_of(tar), tar)],
             diff_ids=[oci.sha256(oci.gzip_of(tar))])
    c.layers("B7", "diff-ids-exchanged", Refused("", 5), [tar, other], diff_ids=[wrong, oci.sha256(tar)])
    c.layers("B7", "diff-id-of-the-second-wrong", Refused("", 5), [tar, other],
             diff_ids=[oci.sha256(tar)] * 2)
    c.layers("B7", "diff-id-without-trailing-zeros", Refused("", 5), [tar + bytes(512)],
             diff_ids=[oci.sha256(tar)])
    c.layers("B7", "one-diff-id-missing", Refused("", (1, 5)), [tar, other], diff_ids=[oci.sha256(tar)])
    c.layers("B7", "one-diff-id-too-many", Refused("", (1, 5)), [tar], diff_ids=[oci.sha256(tar), wrong])
    c.layers("B7", "no-diff-ids", Refused("", (1, 5)), [tar], diff_ids=[])


# ---- all -----------------------------------------------------------------------------------------


def corpus(outside):
    """All cases. outside: absolute path of a sentinel with victim (a file) and dir (a directory)."""
    c = Corpus(outside)
    for add in (add_names, add_links, add_metadata, add_hardlinks, add_whiteouts, add_devices, add_xattrs,
                add_numbers, add_tar, add_streams, add_bombs, add_identities):
        add(c)
    return c.cases


SEED_MAX = 64 << 10             # bytes; longer ones only slow a fuzzer down


def write_seeds(directory, kind):
    """The bytes of each small layer: inflated ("tar"), or as the registry has them ("inflate")."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    count = 0
    for case in corpus("/outside"):
        if callable(case.layers):
            continue
        for i, blob in enumerate(case.blobs):
            data = blob.inflated if kind == "tar" else blob.data
            if isinstance(data, bytes) and 0 < len(data) <= SEED_MAX:
                (directory / f"hostile-{case.name.replace('*', 'all')}-{i}").write_bytes(data)
                count += 1
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", metavar="DIR")
    parser.add_argument("--kind", choices=("tar", "inflate"), default="tar")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.seeds:
        print(f"{write_seeds(args.seeds, args.kind)} seeds")
    if args.list:
        for case in corpus("/outside"):
            outcome = "contained" if isinstance(case.outcome, Contained) else case.outcome
            print(f"{case.row:3} {case.name:45} {outcome}")


if __name__ == "__main__":
    main()
