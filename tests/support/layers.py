"""Decides how the tests write layers byte by byte: any header field, PAX record, type and order, also such
that no sane program writes.

A number is an int (octal digits, or base-256 where they do not fit) or bytes,
the field as it is. Texts are str or
bytes; a name that is too long for its field must come through records=, gnu_name= or prefix=.
"""
import bz2
import lzma
import subprocess

from support import oci

BLOCK = 512
MTIME = oci.MTIME
USTAR, GNU, V7 = b"ustar\x0000", b"ustar  \x00", bytes(8)
FIELDS = {"name": (0, 100), "mode": (100, 8), "uid": (108, 8), "gid": (116, 8), "size": (124, 12),
          "mtime": (136, 12), "link": (157, 100), "magic": (257, 8), "uname": (265, 32), "gname": (297, 32),
          "major": (329, 8), "minor": (337, 8), "prefix": (345, 155)}
NUMBERS = {"mode", "uid", "gid", "size", "mtime", "major", "minor"}


def text(value):
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def base256(value, width):
    """GNU's binary number; negative ones in two's complement, with the first bit set anyway."""
    raw = bytearray((value % (1 << (8 * width))).to_bytes(width, "big"))
    raw[0] |= 0x80
    return bytes(raw)


def number(value, width):
    if isinstance(value, bytes):
        return value
    return octal(value, width) if 0 <= value < 8 ** (width - 1) else base256(value, width)


def checksum(block):
    """The sum of a header's bytes, its own field taken as spaces."""
    return sum(block) - sum(block[148:156]) + 8 * 32


def header(name, type="0", checksum_field=None, raw=None, **fields):
    """One block. raw: {offset: bytes}, put in before the checksum is computed."""
    values = {"mode": 0o644, "uid": 0, "gid": 0, "size": 0, "mtime": MTIME, "magic": USTAR, **fields,
              "name": name}
    block = bytearray(BLOCK)
    for key, value in values.items():
        at, width = FIELDS[key]
        data = number(value, width) if key in NUMBERS else text(value)
        if len(data) > width:
            raise ValueError(f"{key} of {len(data)} bytes does not fit into {width}")
        block[at:at + len(data)] = data
    block[156:157] = text(type)
    for at, data in (raw or {}).items():
        block[at:at + len(data)] = data
    block[148:156] = b"%06o\0 " % checksum(block) if checksum_field is None else checksum_field
    return bytes(block)


def padded(data):
    return data + bytes(-len(data) % BLOCK)


def record(key, value):
    """One PAX record, "LENGTH KEY=VALUE\\n"."""
    body = b" " + text(key) + b"=" + text(value) + b"\n"
    length = len(body) + len(str(len(body)))
    if len(str(length)) != len(str(len(body))):
        length = len(body) + len(str(length))
    return str(length).encode() + body


def pax(records, type="x", **fields):
    """A PAX header; records: {key: value}, pairs, or the bytes as they are."""
    if not isinstance(records, bytes):
        pairs = records.items() if isinstance(records, dict) else records
        records = b"".join(record(key, value) for key, value in pairs)
    return header("PaxHeaders/x", type, **{"size": len(records), **fields}) + padded(records)


def gnu_long(type, name):
    """GNU's long name (L) or long link (K)."""
    data = text(name) + b"\0"
    return header("././@LongLink", type, size=len(data), mtime=0, magic=GNU) + padded(data)


def entry(name, type="0", data=b"", records=None, gnu_name=None, gnu_link=None, **fields):
    """A header, what goes before it, and its data."""
    before = b""
    if len(text(fields.get("link", b""))) > 100:
        records = {**(records or {}), "linkpath": fields.pop("link")}
    if records is not None:
        before += pax(records)
    if gnu_name is not None:
        before += gnu_long("L", gnu_name)
    if gnu_link is not None:
        before += gnu_long("K", gnu_link)
    if gnu_name is not None or gnu_link is not None:
        fields.setdefault("magic", GNU)
    return before + header(name, type, **{"size": len(data), **fields}) + padded(data)


def file(name, data=b"", **fields):
    return entry(name, "0", text(data), **fields)


def directory(name, mode=0o755, **fields):
    return entry(name, "5", mode=mode, **fields)


def symlink(name, target, **fields):
    return entry(name, "2", link=target, mode=fields.pop("mode", 0o777), **fields)


def hardlink(name, target, **fields):
    return entry(name, "1", link=target, **fields)


def device(name, type, major, minor, **fields):
    return entry(name, type, major=major, minor=minor, **fields)


def fifo(name, **fields):
    return entry(name, "6", **fields)


def whiteout(path):
    """Removes a path of the layers below."""
    folder, _, base = path.rpartition("/")
    return file(f"{folder}/.wh.{base}" if folder else f".wh.{base}", mode=0)


def opaque(folder):
    """Removes what the layers below have in a directory."""
    return file(f"{folder}/.wh..wh..opq" if folder else ".wh..wh..opq", mode=0)


def with_path(path, kind=file, *args, **fields):
    """An entry whose name is in a PAX record, however long or odd."""
    return kind("short", *args, records={"path": path}, **fields)


END = bytes(2 * BLOCK)


def layer(*entries):
    """A whole tar."""
    return b"".join(entries) + END


# ---- compressed ----------------------------------------------------------------------------------


def zstd(data, *flags):
    run = subprocess.run(["zstd", "-q", "-c", *(flags or ("-3",))], input=data, stdout=subprocess.PIPE,
                         check=True)
    return run.stdout


COMPRESSORS = {"none": bytes, "gzip": oci.gzip_of, "zstd": zstd,
               "xz": lambda data: lzma.compress(data, preset=1), "bzip2": bz2.compress}
MEDIA_TYPES = {"none": oci.OCI_LAYER, "gzip": oci.OCI_LAYER_GZIP, "zstd": oci.OCI_LAYER_ZSTD}


def descriptor(layout, blob, compression="gzip"):
    """A layer's blob in a layout; xz and bzip2 have no media type of their own."""
    return layout.add_blob(blob, MEDIA_TYPES.get(compression, oci.OCI_LAYER))
