"""Decides how the tests make layers at random that every unpacker must understand alike: few names, so that everything
meets everything; a tree in memory says which parents and link targets there are.

Left out is what unpackers refuse or do not agree about: parents that are files, links in circles, hard links described
otherwise than their targets, and in one layer a marker for what the same layer has (tests/unit/archive has those).
"""
import random

from support import layers

NAMES = "abcd"
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
LINKS_MAX = 8


class Unfit(Exception):
    """The entry that was thought of cannot be made here."""


class Node:
    """A file. Directories know of each name in them which layer made it."""

    def __init__(self, type, target=None, fields=None):
        self.type, self.target, self.fields = type, target, fields
        self.children, self.layers = {}, {}
        self.described = False


class Layers:
    """tars: the layers of an image, lowest first; loose: paths whose times no entry says."""

    def __init__(self, seed, count=4, tries=20):
        self.random = random.Random(seed)
        self.root = Node("directory")
        self.tars = []
        for self.layer in range(1, count + 1):
            made = []
            for _ in range(tries):
                try:
                    made.append(self.entry())
                except Unfit:
                    continue
            self.tars.append(layers.layer(*made))
        self.loose = {b""}
        self.find_loose(self.root, b"")

    # ---- the tree --------------------------------------------------------------------------------

    def resolve(self, names, make=False):
        """The directory that a path leads to, links followed within the root."""
        trail, left, links = [self.root], list(names), 0
        while left:
            name, here = left.pop(0), trail[-1]
            if name == "..":
                trail = trail[:-1] or [self.root]
                continue
            node = here.children.get(name)
            if node is None:
                if not make or links:
                    raise Unfit
                node = self.give(here, name, Node("directory"))
            if node.type == "symlink":
                links += 1
                if links > LINKS_MAX:
                    raise Unfit
                trail = [self.root] if node.target.startswith("/") else trail
                left = [n for n in node.target.split("/") if n] + left
            elif node.type == "directory":
                trail.append(node)
            else:
                raise Unfit
        return trail[-1]

    def give(self, parent, name, node):
        parent.children[name], parent.layers[name] = node, self.layer
        return node

    def has_own(self, parent, name):
        """The current layer made it, or something in it."""
        node = parent.children.get(name)
        return node and (parent.layers[name] == self.layer or any(self.has_own(node, below) for below in node.children))

    def existing(self, type, node=None, above=()):
        for name, child in sorted((node or self.root).children.items()):
            if child.type == type:
                yield (*above, name)
            if child.type == "directory":
                yield from self.existing(type, child, (*above, name))

    def find_loose(self, node, path):
        for name, child in node.children.items():
            if child.type == "directory":
                below = path + b"/" + name.encode() if path else name.encode()
                if not child.described:
                    self.loose.add(below)
                self.find_loose(child, below)

    # ---- entries ---------------------------------------------------------------------------------

    def path(self):
        return [self.random.choice(NAMES) for _ in range(self.random.choice((1, 1, 2, 2, 2, 3, 3, 4)))]

    def metadata(self, xattrs=True):
        pick = self.random
        of = {"uid": pick.choice((0, 0, 1000, 70000, 3000000)), "gid": pick.choice((0, 0, 7, 65534))}
        records = {}
        if pick.random() < .5:
            records["mtime"] = f"{pick.randrange(1, 2 ** 31)}.{pick.randrange(10 ** 9):09d}"
        else:
            of["mtime"] = pick.randrange(1, 2 ** 31)
        if xattrs and pick.random() < .3:
            records["SCHILY.xattr.user." + pick.choice("xy")] = pick.randbytes(pick.randrange(1, 40))
        if xattrs == "file" and pick.random() < .2:
            records["SCHILY.xattr.security.capability"] = CAPABILITY
        return {**of, **({"records": records} if records else {})}

    def mode(self, *more):
        return self.random.choice((0o644, 0o600, 0o755, 0o444, 0, 0o777, *more))

    def put(self, names, node):
        parent = self.resolve(names[:-1], make=True)
        if self.has_own(parent, names[-1]):
            raise Unfit
        self.give(parent, names[-1], node)

    def entry(self):
        names = self.path()
        kind = self.random.choices((self.directory, self.file, self.symlink, self.hardlink, self.other, self.whiteout,
                                    self.opaque), (6, 6, 4, 3, 1, 3, 2))[0]
        return kind(names, self.random.choice(("", "", "./", "/")) + "/".join(names))

    def directory(self, names, name):
        parent = self.resolve(names[:-1], make=True)
        old = parent.children.get(names[-1])
        if not old or old.type != "directory":
            self.put(names, Node("directory"))
        parent.layers[names[-1]] = self.layer
        parent.children[names[-1]].described = True
        return layers.directory(name + self.random.choice(("", "/")), self.mode(0o1777, 0o2755), **self.metadata())

    def file(self, names, name):
        fields = {"mode": self.mode(0o4755, 0o2711, 0o6750), **self.metadata("file")}
        self.put(names, Node("file", fields=fields))
        data = self.random.choice((b"", b"x" * self.random.randrange(2000), bytes(70000) + b"end",
                                   b"y" * 65536 + bytes(131072)))
        return layers.file(name, data, **fields)

    def symlink(self, names, name):
        target = self.random.choice(("", "/", "../")) + "/".join(self.path())
        self.put(names, Node("symlink", target))
        return layers.symlink(name, target, **self.metadata(xattrs=False))

    def hardlink(self, names, name):
        """Described as its target: of one that is not, every unpacker makes something else."""
        target = self.random.choice([*self.existing("file")] or [None])
        if not target:
            raise Unfit
        above = [self.resolve(target[:i]) for i in range(len(target))]
        node = above[-1].children[target[-1]]
        if self.resolve(names[:-1], make=True).children.get(names[-1]) in [*above, node]:
            raise Unfit                 # it would take the target's place
        self.put(names, node)
        return layers.hardlink(name, "/".join(target), **node.fields)

    def other(self, names, name):
        self.put(names, Node("other"))
        fields = {"mode": self.mode(), **self.metadata(xattrs=False)}
        if self.random.random() < .5:
            return layers.fifo(name, **fields)
        return layers.device(name, self.random.choice("34"), self.random.randrange(1, 200), self.random.randrange(200),
                             **fields)

    def whiteout(self, names, name):
        parent = self.resolve(names[:-1])
        if self.has_own(parent, names[-1]):
            raise Unfit
        parent.children.pop(names[-1], None)
        return layers.whiteout(name)

    def opaque(self, names, name):
        directory = self.resolve(names)
        if self.layer == 1 or any(self.has_own(directory, below) for below in directory.children):
            raise Unfit
        directory.children.clear()
        return layers.opaque(name)
