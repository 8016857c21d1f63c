"""Compressed layers as real programs write them are all read the same; cut short or damaged anywhere they are
refused, or, where the damage hits what says nothing, right: never another tree (threats B6, B7, C6)."""
import bz2
import lzma
import os
import random
import shutil
import struct
import subprocess
import zlib

import pytest
from support import oci, trees
from support.davit import ASAN
from support.faulty_registry import FaultyRegistry
from support.layers import MEDIA_TYPES, directory, file, layer, symlink

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")
NOISE = oci.noise("decoders", 60000)
TAR = layer(directory("d"), file("d/noise", NOISE), file("d/text", b"the same line again\n" * 20000),
            file("d/zeros", bytes(200000)), symlink("d/link", "text"),
            *[file(f"d/{i}", b"%d" % i) for i in range(100)])


def piped(*argv):
    def pack(data):
        return subprocess.run(argv, input=data, stdout=subprocess.PIPE, check=True).stdout
    pack.program = argv[0]
    return pack


def deflated(level=6, strategy=zlib.Z_DEFAULT_STRATEGY, window=15):
    def pack(data):
        packer = zlib.compressobj(level, zlib.DEFLATED, 16 + window, 9, strategy)
        return packer.compress(data) + packer.flush()
    return pack


def flushed(mode):
    """Deflate blocks that end everywhere, as servers that stream write them."""
    def pack(data):
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        pieces = [packer.compress(data[i:i + 777]) + packer.flush(mode) for i in range(0, len(data), 777)]
        return b"".join(pieces) + packer.flush()
    return pack


def members(pack, size):
    """One member or frame for each piece."""
    return lambda data: b"".join(pack(data[i:i + size]) for i in range(0, len(data), size))


def block_gzip(data):
    """As bgzip writes it: members of at most 64 kB with their size in the extra field, and an empty one."""
    def member(piece):
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = packer.compress(piece) + packer.flush()
        size = len(body) + 25
        head = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + struct.pack("<HBBHH", 6, 66, 67, 2, size)
        return head + body + struct.pack("<II", zlib.crc32(piece), len(piece))
    return b"".join(member(data[i:i + 65280]) for i in range(0, len(data), 65280)) + member(b"")


def zstd_chunked(data):
    """As Podman writes it: frames, and behind them skippable ones that hold a table and a footer."""
    def skippable(content):
        return b"\x50\x2a\x4d\x18" + struct.pack("<I", len(content)) + content
    return members(piped("zstd", "-q", "-c", "-3"),
                   50000)(data) + skippable(b"table" * 100) + skippable(bytes(64))


ZSTD = ("zstd", "-q", "-c")
PACKERS = {
    "gzip-1": ("gzip", piped("gzip", "-1n")), "gzip-6": ("gzip", piped("gzip", "-6")),
    "gzip-9": ("gzip", piped("gzip", "-9")), "gzip-rsyncable": ("gzip", piped("gzip", "--rsyncable")),
    "pigz": ("gzip", piped("pigz", "-p", "2", "-b", "128")), "bgzip": ("gzip", block_gzip),
    "zlib-stored": ("gzip", deflated(0)), "zlib-fixed": ("gzip", deflated(6, zlib.Z_FIXED)),
    "zlib-huffman": ("gzip", deflated(6, zlib.Z_HUFFMAN_ONLY)), "zlib-rle": ("gzip", deflated(6, zlib.Z_RLE)),
    "zlib-small-window": ("gzip", deflated(6, window=9)),
    "zlib-sync-flush": ("gzip", flushed(zlib.Z_SYNC_FLUSH)),
    "zlib-full-flush": ("gzip", flushed(zlib.Z_FULL_FLUSH)),
    "gzip-members": ("gzip", members(oci.gzip_of, 511)),
    "zstd-1": ("zstd", piped(*ZSTD, "-1")), "zstd-19": ("zstd", piped(*ZSTD, "-19", "--check")),
    "zstd-fast": ("zstd", piped(*ZSTD, "--fast=9", "--no-check")),
    "zstd-22": ("zstd", piped(*ZSTD, "--ultra", "-22", f"--stream-size={len(TAR)}")),
    "zstd-threads": ("zstd", piped(*ZSTD, "-3", "-T2", "-B100KB")),
    "zstd-long": ("zstd", piped(*ZSTD, "--long=25")),
    "zstd-rsyncable": ("zstd", piped(*ZSTD, "-3", "-T1", "--rsyncable")),
    "zstd-frames": ("zstd", members(piped(*ZSTD, "-3"), 30000)), "zstd-chunked": ("zstd", zstd_chunked),
    "xz-0": ("xz", piped("xz", "-0c")), "xz-6-blocks": ("xz", piped("xz", "-c", "--block-size=65536")),
    "xz-crc32": ("xz", piped("xz", "-c", "--check=crc32")),
    "xz-sha256": ("xz", piped("xz", "-c", "--check=sha256")),
    "xz-unchecked": ("xz", piped("xz", "-c", "--check=none")),
    "xz-streams": ("xz", members(lzma.compress, 100000)),
    "xz-x86": ("xz", piped("xz", "-c", "--x86", "--lzma2=preset=1")),
    "bzip2-1": ("bzip2", lambda data: bz2.compress(data, 1)),
    "bzip2-9": ("bzip2", lambda data: bz2.compress(data, 9)),
    "bzip2-streams": ("bzip2", members(bz2.compress, 100000)), "none": ("none", bytes),
}
DAMAGED = ("gzip-6", "gzip-members", "zstd-19", "zstd-frames", "xz-6-blocks", "bzip2-1")


def is_there(pack):
    return shutil.which(getattr(pack, "program", "sh")) is not None


@pytest.fixture(scope="module")
def registry():
    with FaultyRegistry() as it:
        yield it


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The tree, as GNU tar extracts it."""
    top = tmp_path_factory.mktemp("expected")
    subprocess.run(["tar", "-xp", "--numeric-owner", "-C", str(top)], input=TAR, check=True)
    return trees.walk(top)


def publish(registry, name, blob, codec):
    config = oci.dumps({"architecture": oci.HOST_ARCH, "os": "linux", "config": {},
                        "rootfs": {"type": "layers", "diff_ids": [oci.sha256(TAR)]}})
    of = {"mediaType": MEDIA_TYPES.get(codec, oci.OCI_LAYER), "digest": registry.add_blob(blob),
          "size": len(blob)}
    manifest = {"schemaVersion": 2, "mediaType": oci.OCI_MANIFEST, "layers": [of],
                "config": {"mediaType": oci.OCI_CONFIG, "digest": registry.add_blob(config),
                           "size": len(config)}}
    registry.add_manifest("demo/packed", oci.dumps(manifest), oci.OCI_MANIFEST, name)
    return f"{registry.host}/demo/packed@{oci.sha256(oci.dumps(manifest))}"


def assert_tree(top, expected):
    wrong = [line for line in trees.compare(expected, trees.walk(top), names=("tar", "davit"))
             if not line.startswith(":")]      # the root has no entry
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", PACKERS)
def test_read(davit, registry, expected, tmp_path, name):
    codec, pack = PACKERS[name]
    if not is_there(pack):
        pytest.skip(f"no {pack.program}")
    davit("unpack", publish(registry, name, pack(TAR), codec), tmp_path / "root")
    assert_tree(tmp_path / "root", expected)


def test_a_window_that_must_be_asked_for(davit, registry, expected, tmp_path):
    """zstd -22 that does not know the size wants 128 MiB (threat C6)."""
    ref = publish(registry, "zstd-22-unknown", piped(*ZSTD, "--ultra", "-22")(TAR), "zstd")
    error = davit.fails(1, "unpack", ref, tmp_path / "root").error
    assert "window" in error and "--zstd-window" in error
    assert not (tmp_path / "root").exists()
    davit("unpack", "--zstd-window", "128M", ref, tmp_path / "root")
    assert_tree(tmp_path / "root", expected)


def unpack_damaged(davit, registry, name, blob, top):
    """The exit status; a refusal leaves nothing and says one line."""
    result = davit.run("unpack", "--no-store", publish(registry, name, blob, PACKERS[name][0]), top,
                       timeout=20)
    if result.code:
        assert result.code in (1, 5), str(result)
        assert len(result.errors) == 1, str(result)
        assert not top.exists() and not list(top.parent.glob(".davit-*")), str(result)
    return result.code


def places(size, seed, count):
    """The first and last bytes, and some between."""
    between = random.Random(seed).sample(range(20, size - 20), count)
    every = [*range(12), *sorted(between), *range(size - 10, size)]
    return every[::3] if ASAN and not os.environ.get("DAVIT_THOROUGH") else every


@pytest.mark.parametrize("name", DAMAGED)
def test_cut_anywhere_is_refused(davit, registry, tmp_path, name):
    packed = PACKERS[name][1](TAR)
    for size in places(len(packed), name, 20):
        code = unpack_damaged(davit, registry, name, packed[:size], tmp_path / "root")
        assert code != 0, f"the first {size} bytes of {len(packed)} were taken for the whole"


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_anywhere_is_refused_or_right(davit, registry, expected, tmp_path, name):
    packed = PACKERS[name][1](TAR)
    refused = 0
    for at in places(len(packed), name, 20):
        blob = bytearray(packed)
        blob[at] ^= 1 << (at % 8)
        if unpack_damaged(davit, registry, name, bytes(blob), tmp_path / "root"):
            refused += 1
        else:
            assert_tree(tmp_path / "root", expected)
            shutil.rmtree(tmp_path / "root")
    assert refused >= (10 if ASAN else 30)
