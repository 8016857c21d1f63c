"""Decides how the tests make and read image archives by hand: tars of named entries, docker-archives of every age, OCI archives."""
import hashlib
import io
import json
import tarfile

from support import oci


class Archive:
    """A tar whose entries are said one by one."""

    def __init__(self, format=tarfile.PAX_FORMAT):
        self.out = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.out, mode="w", format=format)

    def _add(self, name, data=None, **fields):
        info = tarfile.TarInfo(name)
        info.mode, info.mtime = 0o644, oci.MTIME
        for key, value in fields.items():
            setattr(info, key, value)
        if data is not None:
            info.size = len(data)
        self.tar.addfile(info, io.BytesIO(data) if data is not None else None)
        return self

    def file(self, name, data):
        return self._add(name, data if isinstance(data, bytes) else oci.dumps(data))

    def directory(self, name):
        return self._add(name, type=tarfile.DIRTYPE)

    def symlink(self, name, target):
        return self._add(name, type=tarfile.SYMTYPE, linkname=target)

    def hardlink(self, name, target):
        return self._add(name, type=tarfile.LNKTYPE, linkname=target)

    def special(self, name, kind):
        return self._add(name, type=kind)

    def bytes(self):
        self.tar.close()
        return self.out.getvalue()


def config_of(tars, **extra):
    """An image config's bytes for these plain layers."""
    config = {"architecture": oci.HOST_ARCH, "os": "linux", "created": oci.CREATED,
              "config": {"Cmd": ["sh"]},
              "rootfs": {"type": "layers", "diff_ids": [oci.sha256(t) for t in tars]},
              "history": [{"created": oci.CREATED, "created_by": f"layer {i}"} for i in range(len(tars))]}
    config.update(extra)
    return oci.dumps(config)


def layers(count, seed=""):
    return [oci.tar_of({f"file{seed}{i}": oci.noise(f"{seed}{i}", 3000 + i)}) for i in range(count)]


def docker_archive(tars, tags=("demo/app:1.0",), config=None, paths=None, **item):
    """A docker-archive as those before 25: <id>.json and <n>/layer.tar; gives the Archive and the id."""
    config = config or config_of(tars)
    archive = Archive()
    paths = paths or [f"{i}/layer.tar" for i in range(len(tars))]
    for path, tar in zip(paths, tars):
        archive.file(path, tar)
    name = oci.sha256(config)[7:] + ".json"
    archive.file(name, config)
    archive.file("manifest.json", [{"Config": name, "RepoTags": list(tags) if tags is not None else None,
                                    "Layers": paths, **item}])
    return archive, oci.sha256(config)


def oci_archive(layout, prefix="", reverse=False, skip=()):
    """A tar of a Layout."""
    files = sorted(p for p in layout.path.rglob("*") if p.is_file())
    if reverse:
        files.reverse()
    archive = Archive()
    for path in files:
        name = str(path.relative_to(layout.path))
        if name not in skip:
            archive.file(prefix + name, path.read_bytes())
    return archive


def v1_id(text):
    return hashlib.sha256(text.encode()).hexdigest()


def read(data):
    """{name: TarInfo}, {name: bytes} and the order of an archive's entries."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        infos = tar.getmembers()
        contents = {i.name: tar.extractfile(i).read() for i in infos if i.isreg()}
    return {i.name: i for i in infos}, contents, [i.name for i in infos]


def manifest_of(data):
    return json.loads(read(data)[1]["manifest.json"])
