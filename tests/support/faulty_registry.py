"""A scripted registry: it serves images correctly until a fault says otherwise, and writes down
every request. Nothing is random. Raw sockets, so that it can break framing as well as content.

    with FaultyRegistry() as reg:
        reg.add_image(layout, "web", "demo/web:1.0")
        reg.fault("blob", Cut(after=1000), digest=layer, nth=1)
        ...                                  # run a client against reg.host
        assert [r.range for r in reg.gets(layer)] == [None, (1000, None)]

kinds: ping manifest blob tags catalog token data upload referrers other, or "any"; how it is pushed
to is in support.faulty_uploads. `data` is what blobs are
redirected to: reg.second is another port, another origin. Faults that match one request apply in
the order they were installed. A TLS hello on the plain port is hung up on, and counted in
reg.hellos.
"""
import fcntl
import json
import mmap
import re
import secrets
import select
import socket
import ssl
import struct
import termios
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

from support import oci
from support.faults import PIECE, Action, Request, Response, error
from support.faulty_uploads import Uploads

REASONS = {200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content", 302: "Found", 307: "Temporary Redirect",
           400: "Bad Request", 405: "Method Not Allowed", 411: "Length Required",
           413: "Request Entity Too Large", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           416: "Range Not Satisfiable", 429: "Too Many Requests", 500: "Internal Server Error",
           503: "Service Unavailable"}
V2 = re.compile(r"^/v2/(?P<name>.+)/(?P<what>manifests|blobs|tags)/(?P<ref>[^/]+)$")


class ClientGone(Exception):
    """The client closed the connection, or the registry is being stopped."""


# ---- authentication ------------------------------------------------------------------------------


@dataclass
class Basic:
    """Wants a user and password. {user: password}"""
    users: dict

    def challenge(self, registry, request):
        return 'Basic realm="faulty"'

    def allows(self, registry, request):
        return bool(request.basic) and self.users.get(request.basic[0]) == request.basic[1]


@dataclass
class Bearer:
    """Wants a token of /token, here or at `realm`; opaque, each good for `uses` requests."""
    users: dict = field(default_factory=dict)
    realm: object = None         # None: the same origin; "second"; or a URL
    uses: int = None
    anonymous: bool = True       # tokens without a user too
    expires_in: int = 300
    scheme: str = "Bearer"       # as written in the challenge
    error: str = None            # error="..." in the challenge to a refused token
    refresh_tokens: dict = field(default_factory=dict)

    def __post_init__(self):
        self.tokens, self.lock = {}, threading.Lock()

    def url(self, registry):
        if self.realm is None:
            return f"{registry.url}/token"
        return f"{registry.second_url}/token" if self.realm == "second" else self.realm

    def challenge(self, registry, request):
        extra = f',error="{self.error}"' if self.error and request.header("Authorization") else ""
        return (f'{self.scheme} realm="{self.url(registry)}",service="faulty",'
                f'scope="repository:{request.name}:'
                f'{"pull" if request.method in ("GET", "HEAD") else "pull,push"}"{extra}')

    def allows(self, registry, request):
        scheme, _, token = (request.header("Authorization") or "").partition(" ")
        with self.lock:
            if scheme.lower() != "bearer" or self.tokens.get(token, 0) == 0:
                return False
            self.tokens[token] -= 1
            return True

    def answer(self, request):
        if request.method == "POST":
            form = {k: v[0] for k, v in request.form.items()}
            known = form.get("refresh_token") in self.refresh_tokens or (
                form.get("username") in self.users
                and self.users[form["username"]] == form.get("password"))
        elif request.basic:
            known = self.users.get(request.basic[0]) == request.basic[1]
        else:
            known = self.anonymous
        if not known:
            return error(401, "UNAUTHORIZED", "incorrect user or password")
        token = "tok-" + secrets.token_hex(8)
        with self.lock:
            self.tokens[token] = self.uses if self.uses is not None else 1 << 30
        document = {"token": token, "access_token": token, "expires_in": self.expires_in}
        return Response(200, [("Content-Type", "application/json")], oci.dumps(document))


# ---- the registry --------------------------------------------------------------------------------


@dataclass
class Fault:
    """Which requests an action is for. nth counts the matching ones from 1; times, how many."""
    kind: str
    action: Action
    digest: str = None
    method: str = None
    ranged: bool = None
    origin: str = None
    nth: int = None
    times: int = None
    name: str = None        # of a repository
    seen: int = 0

    def applies(self, request):
        if self.kind not in ("any", request.kind):
            return False
        if (self.digest and request.ref != self.digest) or \
           (self.method and request.method != self.method) or \
           (self.origin and request.origin != self.origin) or \
           (self.name and not request.path.startswith(f"/v2/{self.name}/")) or \
           (self.ranged is not None and bool(request.range) != self.ranged):
            return False
        self.seen += 1
        first = self.nth or 1
        count = self.times or (1 if self.nth else None)
        return self.seen >= first and (count is None or self.seen < first + count)


class FaultyRegistry(Uploads):
    """A context manager; `host` is main, `second_host` another origin on another port.

    authority: a tls.Authority, then main speaks TLS. second_name: what the second origin is called
    in URLs, so that it can be another host too ("localhost"). address: where main listens. window: bytes
    that the kernel takes ahead of us, for a link that is slow (SlowTake) from the first byte on.
    """

    def __init__(self, authority=None, second_name="127.0.0.1", second_authority=None,
                 address="127.0.0.1", window=None):
        super().__init__()
        self.window = window
        self.address = address
        self.context = authority.context() if authority else None
        self.second_context = second_authority.context() if second_authority else None
        self.second_name = second_name
        self.manifests, self.blobs, self.tags = {}, {}, {}
        self.faults, self.requests = [], []
        self.auth = None
        self.page_size = None
        self.hellos = self.body_bytes = self.connections = 0
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.sockets = set()

    # content

    def add_manifest(self, name, data, media_type, *tags):
        """One manifest under its digest and some tags; gives the digest."""
        digest = oci.sha256(data)
        self.manifests[(name, digest)] = (data, media_type)
        for tag in tags:
            self.manifests[(name, tag)] = (data, media_type)
            self.tags.setdefault(name, []).append(tag)
        return digest

    def add_blob(self, data, digest=None):
        digest = digest or oci.sha256(data)
        self.blobs[digest] = data
        return digest

    def add_image(self, layout, tag, name):
        """A layout's image or index with everything below it, as `name` ("demo/web:1.0")."""
        repository, _, new_tag = name.rpartition(":")
        self._add(layout, layout.tags()[tag], repository, new_tag)

    def _add(self, layout, descriptor, repository, *tags):
        data = layout.blob(descriptor["digest"])
        self.add_manifest(repository, data, descriptor["mediaType"], *tags)
        document = json.loads(data)
        for child in document.get("manifests", []):
            self._add(layout, child, repository)
        for blob in [*document.get("layers", []), document.get("config")]:
            if blob:
                self._add_file(layout, blob["digest"])

    def _add_file(self, layout, digest):
        with open(layout.blob_path(digest), "rb") as file:
            self.blobs[digest] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    # faults and what was seen

    def fault(self, kind, action, **which):
        fault = Fault(kind, action, **which)
        self.faults.append(fault)
        return fault

    def clear(self):
        """No faults, and nothing remembered."""
        with self.changed:
            self.faults, self.requests, self.body_bytes, self.upload_bytes = [], [], 0, 0

    def of(self, kind, **which):
        """Requests of a kind whose attributes are as given: of("blob", method="GET")."""
        with self.changed:
            return [r for r in self.requests if kind in ("any", r.kind)
                    and all(getattr(r, k) == v for k, v in which.items())]

    def gets(self, digest=None):
        """GETs of a blob, or of all."""
        return [r for r in self.of("blob", method="GET") if digest in (None, r.ref)]

    def sent(self, digest=None):
        """Bytes of blobs that went out, here and at the second origin."""
        return sum(r.sent for kind in ("blob", "data") for r in self.of(kind)
                   if digest in (None, r.ref) and r.status in (200, 206))

    def asked(self, digest):
        """Bytes of a blob that were asked for, by Range or whole."""
        total, size = 0, len(self.blobs[digest])
        for request in self.gets(digest):
            first, last = request.range or (0, None)
            total += (size - 1 if last is None else min(last, size - 1)) - first + 1
        return total

    def peak(self, kind="blob"):
        """The most requests of a kind that were under way at one time: until their last bytes went
        out, since the client may be faster than our bookkeeping behind that."""
        now = time.monotonic()
        events = sorted(e for r in self.of(kind)
                        for e in ((r.started, 1), (r.last_send if r.ended else now, -1)))
        most = count = 0
        for _, step in events:
            count += step
            most = max(most, count)
        return most

    def secrets_seen(self, origin):
        """Every Authorization and Cookie that an origin was shown."""
        return [v for r in self.of("any", origin=origin)
                for v in r.all("Authorization") + r.all("Cookie")]

    def wait(self, condition, timeout=20):
        """Until condition() is true; it is looked at whenever something was sent."""
        with self.changed:
            if not self.changed.wait_for(condition, timeout):
                raise TimeoutError("the registry did not see it happen:\n" + self.log_tail())

    def wait_sent(self, size, timeout=20):
        """Until so many bytes of blobs went out."""
        self.wait(lambda: self.body_bytes >= size, timeout)

    def log_tail(self, lines=60):
        return "\n".join(str(r) for r in list(self.requests)[-lines:])

    # running

    def __enter__(self):
        self.main, self.host = self._listen("main", self.context, self.address)
        self.second, self.second_host = self._listen("second", self.second_context,
                                                     self.second_name)
        self.url = f"{'https' if self.context else 'http'}://{self.host}"
        self.second_url = f"{'https' if self.second_context else 'http'}://{self.second_host}"
        return self

    def _listen(self, origin, context, name):
        address = self.address if origin == "main" else "127.0.0.1"
        listener = socket.create_server((address, 0), backlog=256)
        if self.window:         # inherited by what is accepted
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.window)
        threading.Thread(target=self._accept, args=(listener, origin, context), daemon=True).start()
        return listener, f"{name}:{listener.getsockname()[1]}"

    def __exit__(self, *_):
        self.stopping.set()
        for listener in (self.main, self.second):
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.changed:
            for sock in list(self.sockets):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self, listener, origin, context):
        while not self.stopping.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(sock, origin, context),
                             daemon=True).start()

    def _connection(self, sock, origin, context):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 << 10)
        with self.changed:
            self.sockets.add(sock)
            self.connections += 1
            number = self.connections
        raw = sock
        try:
            if context:
                sock = context.wrap_socket(sock, server_side=True)
                with self.changed:
                    self.sockets = (self.sockets - {raw}) | {sock}
            elif sock.recv(1, socket.MSG_PEEK) == b"\x16":
                self.hellos += 1
                return
            Connection(self, sock, origin, number).serve()
        except (OSError, ClientGone, ValueError):
            pass
        finally:
            with self.changed:
                self.sockets -= {raw, sock}
                self.changed.notify_all()
            sock.close()

    # answers

    def answer(self, request):
        """The answer to a request with all faults applied."""
        request.registry, request.see_range = self, True
        self._classify(request)
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
            active = [f.action for f in self.faults if f.applies(request)]
        for act in active:
            act.before(request)
        refused = request.method not in ("GET", "HEAD") and any(a.refuses for a in active)
        response = Response() if refused else self._right_answer(request)
        for act in active:
            response = act.after(request, response)
        return response

    def _classify(self, request):
        path = urllib.parse.unquote(request.path)
        found = V2.match(path)
        if self.classify_upload(request, path):
            return
        if found:
            request.kind = {"manifests": "manifest", "blobs": "blob", "tags": "tags"}[found["what"]]
            request.name, request.ref = found["name"], found["ref"]
        elif path in ("/v2/", "/v2"):
            request.kind = "ping"
        elif path == "/v2/_catalog":
            request.kind = "catalog"
        elif path == "/token":
            request.kind = "token"
        elif path.startswith("/data/"):
            request.kind, request.ref = "data", path[len("/data/"):]

    def _right_answer(self, request):
        if request.kind == "token":
            return (self.auth or Bearer()).answer(request)
        if request.kind == "data":
            return self._blob(request)
        if request.kind == "other":
            return error(404, "UNSUPPORTED", "no such page")
        if request.kind == "upload" and request.origin == "second":
            return self._upload(request)        # whoever has the URL
        if self.auth and not self.auth.allows(self, request):
            return error(401, "UNAUTHORIZED", "authentication required",
                         ("WWW-Authenticate", self.auth.challenge(self, request)))
        if request.kind == "manifest":
            return {"PUT": self._put_manifest, "DELETE": self._delete_manifest}.get(
                request.method, self._manifest)(request)
        if request.kind == "blob":
            return self._delete_blob(request) if request.method == "DELETE" \
                else self._blob(request)
        if request.kind == "upload":
            return self._upload(request)
        if request.kind == "referrers":
            return self._referrers(request)
        if request.kind == "tags":
            return self._tags(request)
        document = {"repositories": sorted(self.tags)} if request.kind == "catalog" else {}
        return Response(200, [("Content-Type", "application/json"),
                              ("Docker-Distribution-API-Version", "registry/2.0")],
                        oci.dumps(document))

    def _manifest(self, request):
        found = self.manifests.get((request.name, request.ref))
        if not found:
            return error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        data, media_type = found
        return Response(200, [("Content-Type", media_type),
                              ("Docker-Content-Digest", oci.sha256(data))], data)

    def _blob(self, request):
        data = self.blobs.get(request.ref)
        if data is None or (request.kind == "blob" and not self.holds(request.name, request.ref)):
            return error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        size = len(data)
        headers = [("Content-Type", "application/octet-stream"), ("Accept-Ranges", "bytes"),
                   ("Docker-Content-Digest", request.ref)]
        if not (request.range and request.see_range):
            return Response(200, headers, data)
        first, last = request.range
        last = size - 1 if last is None else min(last, size - 1)
        if first >= size or last < first:
            return Response(416, [("Content-Range", f"bytes */{size}")])
        return Response(206, [*headers, ("Content-Range", f"bytes {first}-{last}/{size}")],
                        data[first:last + 1])

    def _tags(self, request):
        if request.name not in self.tags:
            return error(404, "NAME_UNKNOWN", "repository name not known to registry")
        tags, query = sorted(self.tags[request.name]), request.query
        size = int(query["n"][0]) if "n" in query else self.page_size or len(tags)
        if "last" in query:
            tags = [t for t in tags if t > query["last"][0]]
        page = tags[:size]
        headers = [("Content-Type", "application/json")]
        if len(tags) > size:
            link = f'</v2/{request.name}/tags/list?last={page[-1]}&n={size}>; rel="next"'
            headers.append(("Link", link))
        return Response(200, headers, oci.dumps({"name": request.name, "tags": page}))


class Connection:
    """One client connection: reads requests, writes answers as broken as they are."""

    def __init__(self, registry, sock, origin, number):
        self.registry, self.sock, self.origin, self.number = registry, sock, origin, number
        self.buffer = b""

    def serve(self):
        while True:
            request = self._read()
            if request is None:
                return
            try:
                response = self.registry.answer(request)
                for _ in request.stream():      # what nobody wanted
                    pass
                alive = self._write(request, response)
            finally:
                with self.registry.changed:
                    request.ended = time.monotonic()
                    self.registry.changed.notify_all()
            if not alive:
                return

    def _read(self):
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                return None
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]
        request = Request(self.origin, self.number, method, target, headers,
                          started=time.monotonic())
        absolute = urllib.parse.urlsplit(target)
        if absolute.scheme:                     # we are somebody's proxy
            request.proxied_to = absolute.netloc
            request.target = target.partition(absolute.netloc)[2]
        request.pieces = self._incoming(request)
        if "/blobs/uploads/" not in target:
            request.body = b"".join(request.pieces)
        return request

    def _incoming(self, request):
        """The body piece by piece, as it comes; counted, and cut where a fault wants it."""
        if (request.header("Expect") or "").lower() == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        started = time.monotonic()
        for piece in self._chunks() if request.chunked else self._exactly(
                int(request.header("Content-Length") or 0)):
            cut = request.cut_body_after
            if cut is not None and request.received + len(piece) >= cut:
                piece = piece[:cut - request.received]
            with self.registry.changed:
                request.received += len(piece)
                self.registry.upload_bytes += len(piece)
                self.registry.changed.notify_all()
            yield piece
            if cut is not None and request.received >= cut:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise ClientGone
            if request.take_rate:
                self._pause(started + request.received / request.take_rate - time.monotonic())

    def _more(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise ClientGone
        self.buffer += data

    def _exactly(self, size):
        while size > 0:
            if not self.buffer:
                self._more()
            piece, self.buffer = self.buffer[:size], self.buffer[size:]
            size -= len(piece)
            yield piece

    def _chunks(self):
        while True:
            while b"\r\n" not in self.buffer:
                self._more()
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            yield from self._exactly(size)
            while len(self.buffer) < 2:
                self._more()
            self.buffer = self.buffer[2:]
            if size == 0:
                return

    def _write(self, request, response):
        """True when the connection may go on."""
        request.status = response.status
        if response.delay:
            self._pause(response.delay)
        if response.raw is not None:
            self.sock.sendall(response.raw)
            return False
        if response.cut_after is not None and response.cut_after < 0:
            return self._cut(response)
        self.sock.sendall(self._head(response))
        if request.method != "HEAD" and response.status != 204 and \
                not self._body(request, response):
            return self._cut(response)
        request.complete = True
        return not response.close

    def _head(self, response):
        lines = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Status')}"]
        lines += [f"{k}: {v}" for k, v in response.headers]
        length = response.length
        if length == "auto":
            none = response.chunked or response.status == 204
            length = None if none else len(response.body)
        if length is not None:
            lines.append(f"Content-Length: {length}")
        if response.chunked:
            lines.append("Transfer-Encoding: chunked")
        if response.close:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _body(self, request, response):
        """False when the fault wants the connection cut."""
        started, stalled = time.monotonic(), response.stall_after is None
        piece_size = PIECE if not response.rate else max(1, min(PIECE, int(response.rate / 50)))
        for piece in self._pieces(response.body, piece_size):
            stop = None
            if response.cut_after is not None and request.sent + len(piece) >= response.cut_after:
                stop = response.cut_after - request.sent
                piece = piece[:stop]
            if not stalled and request.sent + len(piece) >= response.stall_after:
                early = response.stall_after - request.sent
                self._send(request, response, piece[:early])
                self._pause(response.stall)
                piece, stalled = piece[early:], True
            self._send(request, response, piece)
            if stop is not None:
                return False
            if response.rate:
                self._pause(started + request.sent / response.rate - time.monotonic())
        if response.chunked:
            self.sock.sendall(b"0\r\n\r\n")
        return True

    @staticmethod
    def _pieces(body, size):
        if hasattr(body, "__len__"):
            for i in range(0, len(body), size):
                yield body[i:i + size]
        else:
            yield from body

    def _send(self, request, response, piece):
        if not piece:
            return
        request.last_send = time.monotonic()
        if response.chunked:
            self.sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        else:
            self.sock.sendall(piece)
        registry = self.registry
        with registry.changed:
            request.sent += len(piece)
            if request.kind in ("blob", "data"):
                registry.body_bytes += len(piece)
            registry.changed.notify_all()

    def _pause(self, seconds):
        """Waits, but not for a client that has gone."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.registry.stopping.is_set():
                raise ClientGone
            readable, _, _ = select.select([self.sock], [], [], min(left, 0.05))
            if readable and not self._still_there():
                raise ClientGone
            if readable:
                time.sleep(min(left, 0.01))

    def _still_there(self):
        if isinstance(self.sock, ssl.SSLSocket):
            return True
        return bool(self.sock.recv(1, socket.MSG_PEEK))

    def _cut(self, response):
        """First the client gets every byte that was sent: what is counted is what it could read."""
        end = time.monotonic() + 2
        while time.monotonic() < end and self._unsent():
            time.sleep(0.001)
        if response.cut_by == "rst":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def _unsent(self):
        answer = fcntl.ioctl(self.sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
        return struct.unpack("i", answer)[0]
