#!/usr/bin/env python3
"""Decides what images the end-to-end tests and the benchmark use.

    build_images.py OUTDIR [--bench] [--big-mb N]

Makes the OCI layout OUTDIR/images out of files of Debian packages installed on this machine, no
network. Tags: debian (gzip), debian-zstd (the same layers), derived (debian and one layer more),
twice (one layer used twice), empty (no layer), multi (an index of three platforms and an
attestation), tiny100; with --bench ten20; with --big-mb big. The same machine gives the same bytes.
"""
import argparse
import fcntl
import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support import oci  # noqa: E402

# One layer each, bottom to top. The first holds the links of the merged /usr too.
LAYERS = [["base-files"], ["libc6", "libtinfo6"], ["coreutils"], ["bash", "dash"], ["tzdata"]]
MERGED = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"]


def installed(package):
    """The paths of an installed package, or none."""
    run = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True)
    return [path for path in run.stdout.splitlines() if path.startswith("/") and path != "/."]


def real_name(path):
    """The name below the merged /usr: /bin/sh is usr/bin/sh."""
    parent, name = os.path.split(path)
    return os.path.join(os.path.realpath(parent), name).lstrip("/")


def add_path(tar, name):
    """One file, directory or link with fixed owner and time; what is gone or odd is left out."""
    path = "/" + name
    try:
        info = tar.gettarinfo(path, arcname=name)
    except OSError:
        return
    if info is None or not (info.isreg() or info.isdir() or info.issym()):
        return
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mtime = oci.MTIME
    if info.isreg():
        with open(path, "rb") as content:
            tar.addfile(info, content)
    else:
        tar.addfile(info)


def package_layer(packages, with_links):
    """The uncompressed tar of some packages' files."""
    names = {real_name(path) for package in packages for path in installed(package)}
    if with_links:
        names |= {name for name in MERGED if os.path.islink("/" + name)}
    if not names:
        names = {"etc/os-release"}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(names):
            add_path(tar, name)
    return out.getvalue()


def zstd_of(data):
    run = subprocess.run(["zstd", "-q", "-3", "-c"], input=data, stdout=subprocess.PIPE, check=True)
    return run.stdout


def noise_blob(layout, seed, size):
    """(descriptor, diff_id) of a big incompressible layer, made a MiB at a time."""
    diff_id = hashlib.sha256()
    generator = random.Random(seed)
    packer = zlib.compressobj(0, zlib.DEFLATED, 31)
    info = tarfile.TarInfo(f"noise-{seed}")
    info.size, info.mtime = size, oci.MTIME

    def tar():
        yield info.tobuf(tarfile.USTAR_FORMAT)
        left = size
        while left:
            piece = generator.randbytes(min(left, 1 << 20))
            left -= len(piece)
            yield piece
        yield bytes(-size % 512 + 1024)

    def packed():
        for piece in tar():
            diff_id.update(piece)
            yield packer.compress(piece)
        yield packer.flush()

    descriptor = layout.add_blob_stream(packed(), oci.OCI_LAYER_GZIP)
    return descriptor, "sha256:" + diff_id.hexdigest()


def build_multi(layout):
    """An index of three platforms, and the attestation that build tools add."""
    children = []
    for arch, variant in (("amd64", None), ("arm64", "v8"), ("arm", "v7")):
        platform = {"architecture": arch, "os": "linux"}
        if variant:
            platform["variant"] = variant
        base = oci.tar_of({"etc/platform": f"linux/{arch}\n".encode(),
                           "usr/share/noise": oci.noise(arch, 20000)})
        more = oci.tar_of({"etc/motd": f"hello {arch}\n".encode() * 100})
        image = layout.add_image([(oci.gzip_of(t), oci.sha256(t)) for t in (base, more)],
                                 arch=arch, variant=variant)
        children.append({**image, "platform": platform})
    statement = oci.dumps({"_type": "https://in-toto.io/Statement/v0.1", "subject": []})
    config = layout.add_config([oci.sha256(statement)], arch="unknown", os_name="unknown")
    blob = layout.add_blob(statement, "application/vnd.in-toto+json")
    proof = layout.add_manifest(config, [blob])
    children.append({**proof, "platform": {"architecture": "unknown", "os": "unknown"},
                     "annotations": {"vnd.docker.reference.type": "attestation-manifest",
                                     "vnd.docker.reference.digest": children[0]["digest"]}})
    return layout.add_index(children)


def build(path, bench, big_mb):
    layout = oci.Layout.create(path)
    tars = [package_layer(packages, i == 0) for i, packages in enumerate(LAYERS)]
    debian = [(layout.add_blob(oci.gzip_of(tar), oci.OCI_LAYER_GZIP), oci.sha256(tar))
              for tar in tars]
    layout.tag("debian", layout.add_image(debian))
    layout.tag("debian-zstd", layout.add_image(
        [(layout.add_blob(zstd_of(tar), oci.OCI_LAYER_ZSTD), oci.sha256(tar)) for tar in tars]))
    layout.tag("derived", layout.add_image([*debian, oci.noise_layer("derived", 50000)]))
    layer, other = oci.noise_layer("twice", 70000), oci.noise_layer("other", 30000)
    layout.tag("twice", layout.add_image([layer, other, layer]))
    layout.tag("empty", layout.add_image([]))
    layout.tag("multi", build_multi(layout))
    layout.tag("tiny100", layout.add_image(
        [oci.noise_layer(f"tiny-{i}", 100000) for i in range(100)]))
    if bench:
        layout.tag("ten20", layout.add_image(
            [noise_blob(layout, f"ten-{i}", 20 << 20) for i in range(10)]))
    if big_mb:
        layout.tag("big", layout.add_image([noise_blob(layout, "big", big_mb << 20)]))


def stamp_of(bench, big_mb):
    """Names everything that the result depends on."""
    here = Path(__file__).resolve().parent
    versions = subprocess.run(["dpkg-query", "-W", *[p for layer in LAYERS for p in layer]],
                              capture_output=True).stdout
    parts = [versions, (here / "oci.py").read_bytes(), Path(__file__).read_bytes(),
             f"{bench} {big_mb}".encode()]
    return oci.sha256(b"\0".join(parts))


def ensure(outdir, bench=False, big_mb=0):
    """Builds the layout unless it is there; safe for several processes at once."""
    outdir = Path(outdir)
    outdir.mkdir(parents=True, exist_ok=True)
    stamp, wanted = outdir / "stamp", stamp_of(bench, big_mb)
    with open(outdir / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == wanted):
            stamp.unlink(missing_ok=True)
            fresh = outdir / "new"
            shutil.rmtree(fresh, ignore_errors=True)
            build(fresh, bench, big_mb)
            oci.replace_directory(fresh, outdir / "images")
            stamp.write_text(wanted)
    return oci.Layout(outdir / "images")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("outdir")
    parser.add_argument("--bench", action="store_true", help="ten20 too")
    parser.add_argument("--big-mb", type=int, default=0, metavar="N", help="one layer of N MiB too")
    args = parser.parse_args()
    layout = ensure(args.outdir, args.bench, args.big_mb)
    for tag, descriptor in layout.tags().items():
        print(f"{layout.path}:{tag} {descriptor['digest']}")


if __name__ == "__main__":
    main()
