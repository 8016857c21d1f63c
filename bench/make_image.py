#!/usr/bin/python3
"""Makes the image of the unpacking rows: a Debian root and eight layers of real packages above it.

    bench/make_image.py OUTDIR

OUTDIR/debian9/unpack becomes an OCI layout with the tags debian9 (gzip, as Docker writes it) and debian9-zstd;
OUTDIR/debian9/tars has the layers inflated, 0.tar the lowest. Packages come by apt-get download; without a network,
what this machine has installed stands for them, and the image is smaller. OUTDIR/debs keeps what was downloaded.
"""
import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support import build_images, debian_root, oci  # noqa: E402

# From bottom to top, above the root: many small files, few large ones, and what is usual.
LAYERS = [
    ["perl-modules-5.36", "libperl5.36", "perl"],
    ["libpython3.11-minimal", "libpython3.11-stdlib", "python3.11-minimal", "python3-django",
     "python3-numpy"],
    ["libc6-dev", "linux-libc-dev", "libssl-dev"],
    ["gcc-12", "cpp-12", "libgcc-12-dev"],
    ["golang-1.19-src"],
    ["git", "vim-runtime"],
    ["locales", "iso-codes", "cmake-data"],
    ["libllvm14"],
]
ROOT_PACKAGES = ["iputils-ping"]        # it has a capability
PIECE = 1 << 20


def download(package, debs):
    """The package's file, or None."""
    found = sorted(debs.glob(f"{package}_*.deb"))
    if not found:
        subprocess.run(["apt-get", "download", "-qq", package], cwd=debs, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = sorted(debs.glob(f"{package}_*.deb"))
    return found[0] if found else None


def merged(name):
    """A package's path below the merged /usr, as dpkg would write it."""
    name = name.removeprefix("./").rstrip("/")
    top = name.split("/")[0]
    return f"usr/{name}" if top in build_images.MERGED and top != name else name


def add_deb(out, deb, seen):
    """Everything in a package that the layer has not."""
    run = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
    with tarfile.open(fileobj=run.stdout, mode="r|") as tar:
        for member in tar:
            member.name = merged(member.name)
            if member.name in ("", ".", *build_images.MERGED) or member.name in seen:
                continue
            seen.add(member.name)
            if member.islnk():
                member.linkname = merged(member.linkname)
            out.addfile(member, tar.extractfile(member) if member.isreg() else None)
    if run.wait():
        raise SystemExit(f"make_image: dpkg-deb cannot read {deb}")


def package_tar(packages, debs, path):
    """A layer of packages; gives the number of those that had to be taken from this machine."""
    seen, missing = set(), 0
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as out:
        for package in packages:
            deb = download(package, debs)
            if deb:
                add_deb(out, deb, seen)
                continue
            missing += 1
            for name in sorted({build_images.real_name(p) for p in build_images.installed(package)} - seen):
                seen.add(name)
                build_images.add_path(out, name)
    return missing


def root_tar(outdir, path):
    """The lowest layer; gives whether it is debootstrap's."""
    try:
        made = debian_root.ensure(outdir, include=ROOT_PACKAGES)
    except RuntimeError as why:
        print(f"make_image: {why}; the essential packages of this machine stand for it", file=sys.stderr)
        query = subprocess.run(["dpkg-query", "-W", "-f", "${Essential} ${Priority} ${Package}\n"], text=True,
                               capture_output=True, check=True).stdout.splitlines()
        package_names = [line.split()[-1] for line in query if line.startswith("yes") or " required " in line]
        path.write_bytes(build_images.package_layer(package_names, with_links=True))
        return False
    path.unlink(missing_ok=True)
    os.link(made, path)
    return True


def gzip_pieces(path):
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    with open(path, "rb") as tar:
        for piece in iter(lambda: tar.read(PIECE), b""):
            yield packer.compress(piece)
    yield packer.flush()


def zstd_pieces(path):
    run = subprocess.Popen(["zstd", "-q", "-3", "-c", str(path)], stdout=subprocess.PIPE)
    yield from iter(lambda: run.stdout.read(PIECE), b"")
    if run.wait():
        raise SystemExit("make_image: zstd failed")


def file_digest(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(PIECE), b""):
            digest.update(piece)
    return "sha256:" + digest.hexdigest()


def count_entries(path):
    with tarfile.open(path) as tar:
        return sum(1 for _ in tar)


def build(outdir, fresh):
    """The layout and the tars; gives what they are, for a reader."""
    debs, tars = outdir / "debs", fresh / "tars"
    debs.mkdir(exist_ok=True)
    tars.mkdir(parents=True)
    paths = [tars / f"{i}.tar" for i in range(len(LAYERS) + 1)]
    real_root = root_tar(outdir, paths[0])
    missing = sum(package_tar(packages, debs, path) for packages, path in zip(LAYERS, paths[1:]))
    layout = oci.Layout.create(fresh / "unpack")
    with ThreadPoolExecutor(2) as pool:
        diff_ids = list(pool.map(file_digest, paths))
        for tag, pieces, media_type in (("debian9", gzip_pieces, oci.OCI_LAYER_GZIP),
                                        ("debian9-zstd", zstd_pieces, oci.OCI_LAYER_ZSTD)):
            blobs = list(pool.map(lambda p: layout.add_blob_stream(pieces(p), media_type), paths))
            layout.tag(tag, layout.add_image(list(zip(blobs, diff_ids))))
    return {"layers": len(paths), "entries": sum(map(count_entries, paths)),
            "bytes": sum(path.stat().st_size for path in paths), "debootstrap": real_root,
            "packages_not_downloaded": missing}


def ensure(outdir):
    """(layout, [tars], what it is), made unless it is there. Remove the directory to make it anew."""
    outdir = Path(outdir).resolve()
    outdir.mkdir(parents=True, exist_ok=True)
    facts = outdir / "debian9.json"
    if not facts.exists():
        fresh = outdir / "debian9.new"
        shutil.rmtree(fresh, ignore_errors=True)
        found = build(outdir, fresh)
        oci.replace_directory(fresh, outdir / "debian9")
        facts.write_text(json.dumps(found))
    tars = sorted((outdir / "debian9" / "tars").iterdir(), key=lambda path: int(path.stem))
    return oci.Layout(outdir / "debian9" / "unpack"), tars, json.loads(facts.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("outdir")
    layout, _tars, facts = ensure(parser.parse_args().outdir)
    print(f"{layout.path}: {facts}")


if __name__ == "__main__":
    main()
