"""Decides what of a directory tree the tests compare: type, mode, owner, size, time in ns, link target,
device numbers, xattrs, content, and which names are one file."""
import errno
import hashlib
import os
import stat
from dataclasses import dataclass, field, fields, replace

TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
         stat.S_IFCHR: "char", stat.S_IFBLK: "block", stat.S_IFSOCK: "socket"}
OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
ALL = ("type", "mode", "uid", "gid", "size", "mtime_ns", "target", "rdev", "xattrs", "sha256", "same_as")


@dataclass
class Node:
    """One name. None is "not looked at" when two are compared."""
    type: str
    mode: int = None
    uid: int = None
    gid: int = None
    size: int = None             # of files
    mtime_ns: int = None
    target: bytes = None         # of symbolic links
    rdev: tuple = None           # of devices
    xattrs: dict = None
    sha256: str = None           # of files
    same_as: bytes = None        # the first name, in order, of this very file; its own, where it has one name
    identity: tuple = field(default=None, compare=False)    # inode, ctime, links: see `exactly`

    def differences(self, other, what):
        for name in what:
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine is not None and theirs is not None and mine != theirs:
                yield f"{name} {shown(name, mine)} and {shown(name, theirs)}"


def shown(name, value):
    return f"{value:o}" if name == "mode" else repr(value)


def content(path):
    """The digest of a file; its access time stays, where that is allowed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME | os.O_CLOEXEC)
    except PermissionError:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    digest = hashlib.sha256()
    with open(fd, "rb", buffering=0) as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def xattrs_of(path):
    try:
        return {name: os.getxattr(path, name, follow_symlinks=False)
                for name in os.listxattr(path, follow_symlinks=False)}
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM, errno.EACCES):
            return {}
        raise


def node(path):
    info = os.lstat(path)
    kind = TYPES[stat.S_IFMT(info.st_mode)]
    it = Node(kind, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, mtime_ns=info.st_mtime_ns,
              xattrs=xattrs_of(path), identity=(info.st_ino, info.st_ctime_ns, info.st_nlink))
    if kind == "file":
        it.size, it.sha256 = info.st_size, content(path)
    elif kind == "symlink":
        it.target = os.readlink(path)
    elif kind in ("char", "block"):
        it.rdev = (os.major(info.st_rdev), os.minor(info.st_rdev))
    return it


def walk(top):
    """{path below top: Node}, the top itself as b""; follows nothing and may go as deep as it is."""
    found, first = {}, {}
    root = os.open(top, OPEN_DIRECTORY)
    pending, last, last_fd = [b""], b"", os.dup(root)
    try:
        while pending:
            path = pending.pop()
            # From the one before, where this is below it: a deep tree is gone through once.
            below = path[len(last) + 1:] if last and path.startswith(last + b"/") else None
            fd = reach(root, path) if below is None else reach(last_fd, below)
            os.close(last_fd)
            last, last_fd = path, fd
            pending += walk_directory(fd, path, found)
    finally:
        os.close(last_fd)
        os.close(root)
    for path in sorted(found):
        it = found[path]
        it.same_as = path
        if it.type != "directory" and it.identity[2] > 1:
            it.same_as = first.setdefault(it.identity[0], path)
    return found


def walk_directory(fd, path, found):
    """Notes a directory and what is in it that is none; gives those that are."""
    below, here = [], b"/proc/self/fd/%d/" % fd
    found[path] = node(here + b".")
    for name in os.listdir(here):
        child = path + b"/" + name if path else name
        if stat.S_ISDIR(os.lstat(here + name).st_mode):
            below.append(child)
        else:
            found[child] = node(here + name)
    return below


def reach(start, path):
    """A directory by a path that may be longer than a system call takes."""
    names, fd = path.split(b"/") if path else [], os.dup(start)
    for at in range(0, len(names), 15):         # 15 names of 255 bytes at most
        deeper = os.open(b"/".join(names[at:at + 15]), OPEN_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
        os.close(fd)
        fd = deeper
    return fd


def compare(one, other, what=ALL, names=("one", "other"), limit=20):
    """The differences of two walks, a line each; none is equal."""
    lines = []
    for path in sorted(one.keys() | other.keys()):
        shown_path = path.decode(errors="backslashreplace")
        if path not in one or path not in other:
            here = one.get(path) or other[path]
            lines.append(f"{shown_path}: only in {names[path not in one]}, a {here.type}")
            continue
        lines += [f"{shown_path}: {text}" for text in one[path].differences(other[path], what)]
    return lines[:limit] + ([f"and {len(lines) - limit} more"] if len(lines) > limit else [])


def exactly(top):
    """A walk that shows any change at all: of contents, of metadata, also one that was taken back."""
    return {path: (it, it.identity) for path, it in walk(top).items()}


def without(walked, *attributes):
    """The same walk with some attributes not looked at."""
    known = {f.name for f in fields(Node)}
    assert known >= set(attributes), attributes
    return {path: replace(it, **dict.fromkeys(attributes)) for path, it in walked.items()}
