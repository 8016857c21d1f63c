"""Decides what can go wrong: the requests and answers of the scripted registry, and the actions
that spoil them. An action is installed with FaultyRegistry.fault()."""
import base64
import email.utils
import gzip
import re
import time
import urllib.parse
from dataclasses import dataclass, field

from support import oci

PIECE = 16384
ENDLESS_CAP = 1 << 30      # no test wants more; keeps a client that never stops from filling a disk


@dataclass
class Request:
    """One request, and what became of it."""
    origin: str                  # "main" or "second"
    connection: int
    method: str
    target: str
    headers: list
    body: bytes = b""
    kind: str = "other"
    name: str = None
    ref: str = None              # tag or digest
    started: float = 0.0
    last_send: float = 0.0            # when its last bytes went out
    ended: float = None
    status: int = None
    sent: int = 0                # bytes of body handed to the socket
    complete: bool = False       # the whole answer was
    proxied_to: str = None       # the host, when the client took us for its proxy
    received: int = 0            # bytes of its body that came
    pieces: object = ()          # the body of an upload as it comes
    cut_body_after: int = None   # bytes of its body after which the connection is reset
    take_rate: float = None      # bytes a second that are taken of its body
    vanished: bool = False       # its upload session is gone
    declined: bool = False       # nothing is mounted

    def stream(self):
        """What is left of its body, as it comes."""
        return self.pieces

    @property
    def chunked(self):
        return (self.header("Transfer-Encoding") or "").lower() == "chunked"

    @property
    def path(self):
        return self.target.partition("?")[0]

    @property
    def query(self):
        return urllib.parse.parse_qs(self.target.partition("?")[2], keep_blank_values=True)

    @property
    def form(self):
        return urllib.parse.parse_qs(self.body.decode("latin-1"), keep_blank_values=True)

    def all(self, header):
        return [v for k, v in self.headers if k.lower() == header.lower()]

    def header(self, header):
        return (self.all(header) or [None])[0]

    @property
    def range(self):
        """(first, last or None) as asked, or None."""
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.header("Range") or "")
        return (int(found[1]), int(found[2]) if found[2] else None) if found else None

    @property
    def basic(self):
        """(user, password) shown, or None."""
        scheme, _, rest = (self.header("Authorization") or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        user, _, password = base64.b64decode(rest).decode().partition(":")
        return user, password

    def __str__(self):
        notes = "".join(f" {k}: {v}" for k, v in self.headers
                        if k.lower() in ("range", "authorization"))
        return f"{self.origin} #{self.connection} {self.method} {self.target}{notes}" \
               f" -> {self.status} {self.sent} bytes{'' if self.complete else ' (not ended)'}"


@dataclass
class Response:
    """An answer before it is sent; actions change it."""
    status: int = 200
    headers: list = field(default_factory=list)
    body: object = b""           # bytes, or an iterator of bytes
    length: object = "auto"      # Content-Length: "auto", a number, or None for none
    chunked: bool = False
    close: bool = False
    raw: bytes = None            # sent instead of everything
    delay: float = 0             # seconds before the first byte
    cut_after: int = None        # bytes of body after which the connection dies ...
    cut_by: str = "rst"          # ... by "rst" or "fin"
    stall_after: int = None      # bytes of body after which nothing comes for `stall` seconds
    stall: float = 0
    rate: float = None           # bytes a second

    def set(self, name, value):
        self.drop(name)
        self.headers.append((name, str(value)))

    def drop(self, name):
        self.headers = [(k, v) for k, v in self.headers if k.lower() != name.lower()]

    def get(self, name):
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)


def error(status, code, message, *headers):
    """An answer as registries give it."""
    body = oci.dumps({"errors": [{"code": code, "message": message, "detail": {"test": True}}]})
    return Response(status, [("Content-Type", "application/json"), *headers], body)


# ---- actions -------------------------------------------------------------------------------------


class Action:
    """What a fault does: `before` may change how the request is seen, `after` the answer. One that
    `refuses` keeps a request that would change something from doing it; after Reset(), Close() and
    StallHead() it is done, and only the answer is lost."""
    refuses = False

    def before(self, request):
        pass

    def after(self, request, response):
        return response


def action(fields):
    """Turns a dataclass of Response fields into an Action that sets them."""
    def make(cls):
        def after(self, request, response):
            for name in fields:
                setattr(response, name, getattr(self, name))
            return response
        cls.after = after
        return dataclass(cls)
    return make


@action(["cut_after", "cut_by"])
class _Cut(Action):
    cut_after: int = 0
    cut_by: str = "rst"


def Cut(after=0, by="rst"):
    """Kills the connection after so many bytes of this answer's body, "rst" or "fin"."""
    return _Cut(after, by)


@action(["raw"])
class Raw(Action):
    """These bytes and nothing else; then the connection is closed."""
    raw: bytes = b""


def Reset():
    """No answer at all: a reset."""
    return _Cut(-1, "rst")


def Close():
    """No answer at all: an orderly end."""
    return _Cut(-1, "fin")


@action(["delay"])
class StallHead(Action):
    delay: float = 60


@dataclass
class StallBody(Action):
    after_bytes: int = 0
    seconds: float = 60

    def after(self, request, response):
        response.stall_after, response.stall = self.after_bytes, self.seconds
        return response


@action(["rate"])
class Pace(Action):
    """So many bytes a second for this answer (10 is a drip, 20e6 a slow link)."""
    rate: float = 10


@dataclass
class Status(Action):
    """This status with this body, whatever was asked."""
    refuses = True
    status: int
    body: bytes = b""
    headers: tuple = ()

    def after(self, request, response):
        return Response(self.status, list(self.headers), self.body)


def Unavailable(*headers):
    return Status(503, b"upstream is away", tuple(headers))


@dataclass
class TooMany(Action):
    """429 (or `status`) with Retry-After: seconds, "date" (2 s from now), any text, or None."""
    refuses = True
    retry_after: object = 1
    status: int = 429

    def after(self, request, response):
        value = self.retry_after
        if value == "date":
            value = email.utils.formatdate(time.time() + 2, usegmt=True)
        headers = [] if value is None else [("Retry-After", str(value))]
        return error(self.status, "TOOMANYREQUESTS", "slow down, please", *headers)


class RangeIgnored(Action):
    """200 and the whole blob, whatever range was asked."""

    def before(self, request):
        request.see_range = False


@dataclass
class RangeRefused(Action):
    """Every request with a Range is refused with this status."""
    status: int = 416

    def after(self, request, response):
        return error(self.status, "UNSUPPORTED", "no ranges here") if request.range else response


@dataclass
class RangeShifted(Action):
    """206, but from another byte than asked, and Content-Range says so (or lies)."""
    by: int = -1
    honest: bool = True

    def after(self, request, response):
        if response.status != 206:
            return response
        first, last, total = map(int, re.findall(r"\d+", response.get("Content-Range")))
        start = max(0, first + self.by)
        whole = request.registry.blobs[request.ref]
        end = last + 1 if self.honest else start + last + 1 - first
        response.body = bytes(whole[start:end])
        if self.honest:
            response.set("Content-Range", f"bytes {start}-{last}/{total}")
        return response


@dataclass
class Corrupt(Action):
    """One byte of the body is another."""
    offset: int = 0

    def after(self, request, response):
        body = bytearray(response.body)
        if self.offset < len(body):
            body[self.offset] ^= 0xff
        response.body = bytes(body)
        return response


@dataclass
class Truncate(Action):
    """The body ends after `size` bytes, and Content-Length says so (honest) or does not."""
    size: int
    honest: bool = True

    def after(self, request, response):
        if not self.honest:
            response.length, response.close = len(response.body), True
        response.body = response.body[:self.size]
        return response


@dataclass
class Longer(Action):
    """More bytes than the blob has. framing: "length" (Content-Length counts them), "chunked",
    or "beyond" (they follow a right Content-Length)."""
    extra: bytes = b"x" * 1000
    framing: str = "length"

    def after(self, request, response):
        size = len(response.body)
        response.body = bytes(response.body) + self.extra
        response.chunked = self.framing == "chunked"
        response.length = size if self.framing == "beyond" else "auto"
        response.close = self.framing == "beyond"
        return response


@dataclass
class Endless(Action):
    """A body that never ends, after the right one (or `prefix`)."""
    prefix: bytes = None
    piece: bytes = b" " * PIECE
    status: int = None

    def after(self, request, response):
        first = bytes(response.body) if self.prefix is None else self.prefix

        def forever():
            yield first
            for _ in range(ENDLESS_CAP // len(self.piece)):
                yield self.piece
        if self.status:
            response = Response(self.status, [("Content-Type", "application/json")])
        response.body, response.chunked = forever(), True
        return response


@dataclass
class Body(Action):
    """Other bytes under the same headers (unless a type is given)."""
    body: bytes
    media_type: str = None

    def after(self, request, response):
        response.status, response.body = 200, self.body
        if self.media_type:
            response.set("Content-Type", self.media_type)
        return response


@dataclass
class NoHeader(Action):
    name: str

    def after(self, request, response):
        response.drop(self.name)
        return response


@dataclass
class Header(Action):
    name: str
    value: str

    def after(self, request, response):
        response.set(self.name, self.value)
        return response


@dataclass
class AddHeaders(Action):
    """These as well, the same name twice if need be."""
    headers: list

    def after(self, request, response):
        response.headers += self.headers
        return response


def BigHeaders(size=70000):
    """More than 64 KiB of headers, no line longer than 8 KiB."""
    return AddHeaders([(f"X-Filler-{i}", "f" * 8000) for i in range(size // 8000 + 1)])


@dataclass
class Redirect(Action):
    """307 to a URL: text, or a function of the request. Default: the blob on the second origin."""
    refuses = True
    to: object = None
    status: int = 307

    def after(self, request, response):
        to = self.to
        if to is None:
            to = f"{request.registry.second_url}/data/{request.ref}?sig=s3cret-signature"
        return Response(self.status, [("Location", to(request) if callable(to) else to)])


class GzipCoded(Action):
    """The body gzip-coded, with Content-Encoding, unasked."""

    def after(self, request, response):
        response.body = gzip.compress(bytes(response.body), mtime=0)
        response.set("Content-Encoding", "gzip")
        return response


class TwoLengths(Action):
    """Two Content-Length headers that differ."""

    def after(self, request, response):
        response.headers.append(("Content-Length", str(len(response.body) - 1)))
        return response


class LengthAndChunked(Action):
    """Content-Length beside Transfer-Encoding: chunked."""

    def after(self, request, response):
        response.chunked, response.length = True, 5
        return response


class FoldedHeader(Action):
    """A header continued on a line that starts with a space (obs-fold)."""

    def after(self, request, response):
        response.headers.append(("X-Folded", "one\r\n two"))
        return response


class BadChunk(Action):
    """A chunk size that is no number."""

    def after(self, request, response):
        response.raw = (b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + bytes(response.body))
        return response


class EndlessTags(Action):
    """Every page has one new tag and a Link to one more."""

    def after(self, request, response):
        number = int((request.query.get("last") or ["t0"])[0][1:]) + 1
        response.body = oci.dumps({"name": request.name, "tags": [f"t{number:08}"]})
        response.set("Link", f'<{request.path}?last=t{number:08}&n=1>; rel="next"')
        return response


@dataclass
class Link(Action):
    """This Link header on every page."""
    value: str

    def after(self, request, response):
        response.set("Link", self.value)
        return response


# ---- of uploads ----------------------------------------------------------------------------------


@dataclass
class Error(Action):
    """The request is refused, as registries do it: Error(405, "UNSUPPORTED"), Error(416, ...)."""
    refuses = True
    status: int
    code: str = "UNSUPPORTED"
    message: str = "refused by a test"

    def after(self, request, response):
        return error(self.status, self.code, self.message)


@dataclass
class Answer(Action):
    """Another status for what was done (a PATCH that is answered 201)."""
    status: int

    def after(self, request, response):
        if response.status < 300:
            response.status = self.status
        return response


@dataclass
class CutUpload(Action):
    """A reset after so many bytes of the request's body; they are kept."""
    after_bytes: int

    def before(self, request):
        request.cut_body_after = self.after_bytes


@dataclass
class SlowTake(Action):
    """So many bytes a second are taken of the request's body."""
    rate: float

    def before(self, request):
        request.take_rate = self.rate


class Vanish(Action):
    """The upload session is gone from here on."""

    def before(self, request):
        request.vanished = True


class MountDeclined(Action):
    """Nothing is mounted: 202 and a session."""

    def before(self, request):
        request.declined = True


class MountLies(Action):
    """201 for every mount, but the blob is not there."""

    def after(self, request, response):
        if "mount" not in request.query:
            return response
        digest = request.query["mount"][0]
        request.registry.held.get(request.name, set()).discard(digest)
        return Response(201, [("Location", f"/v2/{request.name}/blobs/{digest}")])


@dataclass
class TooLarge(Action):
    """413 as nginx says it, for bodies over `limit` bytes."""
    limit: int = 0
    refuses = False

    def before(self, request):
        self.refuses = int(request.header("Content-Length") or 0) > self.limit

    def after(self, request, response):
        if int(request.header("Content-Length") or 0) <= self.limit:
            return response
        return Response(413, [("Content-Type", "text/html")], b"<h1>413</h1>", close=True)


@dataclass
class ChunkedRefused(Action):
    """No chunked transfer encoding (411, or 400)."""
    status: int = 411
    refuses = False

    def before(self, request):
        self.refuses = request.chunked

    def after(self, request, response):
        return error(self.status, "UNSUPPORTED", "length required") if request.chunked else response


@dataclass
class Location(Action):
    """The Location of a session in another form: "second" (on the other origin), "absolute",
    "path" (relative to the request's), or a function of what it was."""
    form: object = "second"

    def after(self, request, response):
        at = response.get("Location")
        if not at:
            return response
        if callable(self.form):
            at = self.form(at)
        elif self.form == "second":
            at = request.registry.second_url + at
        elif self.form == "absolute":
            at = request.registry.url + at
        else:
            at = ("" if request.method == "POST" else "./") + at.rpartition("/")[2]
        response.set("Location", at)
        return response


class RangeStuck(Action):
    """The Range of a session says what it was after the first piece, for ever (quirks.md: ECR)."""
    first = None

    def after(self, request, response):
        if request.method == "PATCH" and response.status < 300:
            self.first = self.first or response.get("Range")
            response.set("Range", self.first)
        return response
