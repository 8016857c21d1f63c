"""Decides how the tests make and read OCI layouts: blobs, manifests, indexes, layers.

Everything is deterministic: the same input gives the same digests on every run.
"""
import gzip
import hashlib
import io
import json
import os
import platform
import random
import shutil
import tarfile
import tempfile
from pathlib import Path

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = OCI_LAYER + "+gzip"
OCI_LAYER_ZSTD = OCI_LAYER + "+zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"

MTIME = 1700000000
CREATED = "2023-11-14T22:13:20Z"
HOST_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def sha256(data):
    """The digest, as text, of some bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def noise(seed, size):
    """`size` incompressible bytes, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def dumps(document):
    """A document's bytes, compact, in the order given."""
    return json.dumps(document, separators=(",", ":")).encode()


def tar_of(files):
    """An uncompressed tar of {name: bytes}, owner and times fixed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(files[name]), MTIME, 0o644
            tar.addfile(info, io.BytesIO(files[name]))
    return out.getvalue()


def gzip_of(data, level=6):
    """gzip -n: no name, no time. Level 0 is for incompressible bytes."""
    return gzip.compress(data, compresslevel=level, mtime=0)


def noise_layer(seed, size):
    """(gzip blob, diff_id) of a layer with one incompressible file."""
    tar = tar_of({f"noise-{seed}": noise(seed, size)})
    return gzip_of(tar, 0), sha256(tar)


class Layout:
    """An OCI image layout directory."""

    def __init__(self, path):
        self.path = Path(path)
        self.blob_dir = self.path / "blobs" / "sha256"

    @classmethod
    def create(cls, path):
        layout = cls(path)
        layout.blob_dir.mkdir(parents=True)
        (layout.path / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
        layout._write_index([])
        return layout

    def _index(self):
        return json.loads((self.path / "index.json").read_bytes())["manifests"]

    def _write_index(self, manifests):
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
        (self.path / "index.json").write_bytes(dumps(document))

    def add_blob(self, data, media_type=None):
        digest = sha256(data)
        (self.blob_dir / digest[7:]).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def add_blob_stream(self, chunks, media_type):
        """Like add_blob for bytes that do not fit into memory."""
        digest, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=self.blob_dir, delete=False) as out:
            for chunk in chunks:
                out.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        os.chmod(out.name, 0o644)
        os.rename(out.name, self.blob_dir / digest.hexdigest())
        return {"mediaType": media_type, "digest": "sha256:" + digest.hexdigest(), "size": size}

    def add_config(self, diff_ids, arch=HOST_ARCH, os_name="linux", variant=None, **extra):
        config = {"created": CREATED, "architecture": arch, "os": os_name}
        if variant:
            config["variant"] = variant
        config["config"] = {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"]}
        config["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
        config["history"] = [{"created": CREATED, "created_by": f"layer {i}"}
                             for i in range(len(diff_ids))]
        config.update(extra)
        return self.add_blob(dumps(config), OCI_CONFIG)

    def add_manifest(self, config, layers, **extra):
        document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config,
                    "layers": layers, **extra}
        return self.add_blob(dumps(document), OCI_MANIFEST)

    def add_image(self, layers, **config):
        """An image of [(blob or descriptor, diff_id)]; gives its manifest descriptor."""
        described = [(self.add_blob(b, OCI_LAYER_GZIP) if isinstance(b, bytes) else b)
                     for b, _ in layers]
        return self.add_manifest(self.add_config([d for _, d in layers], **config), described)

    def add_index(self, manifests, **extra):
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests, **extra}
        return self.add_blob(dumps(document), OCI_INDEX)

    def tag(self, name, descriptor):
        entry = {**{k: v for k, v in descriptor.items() if k != "platform"},
                 "annotations": {"org.opencontainers.image.ref.name": name}}
        kept = [m for m in self._index()
                if m["annotations"]["org.opencontainers.image.ref.name"] != name]
        self._write_index(kept + [entry])

    def tags(self):
        """{tag: descriptor}"""
        return {m["annotations"]["org.opencontainers.image.ref.name"]: m for m in self._index()}

    def blob_path(self, digest):
        return self.blob_dir / digest.partition(":")[2]

    def blob(self, digest):
        return self.blob_path(digest).read_bytes()

    def json(self, digest):
        return json.loads(self.blob(digest))

    def image(self, tag):
        """The parts of a single image, for tests that name its digests."""
        return Image(self, self.tags()[tag]["digest"])


class Image:
    """One manifest of a layout: its digests, sizes and bytes."""

    def __init__(self, layout, digest):
        self.layout, self.digest = layout, digest
        self.bytes = layout.blob(digest)
        self.manifest = json.loads(self.bytes)
        self.config = self.manifest["config"]["digest"]
        self.layers = [layer["digest"] for layer in self.manifest["layers"]]
        self.sizes = {d["digest"]: d["size"]
                      for d in [self.manifest["config"], *self.manifest["layers"]]}
        self.blobs = {self.digest, self.config, *self.layers}
        self.short = [digest[7:19] for digest in self.layers]

    def blob(self, digest):
        return self.layout.blob(digest)


def replace_directory(new, old):
    """Puts `new` where `old` is or was."""
    if old.exists():
        shutil.rmtree(old)
    os.rename(new, old)
