"""Decides what a Registry v1 index and registry answer, as the old Python server did: tokens, cookies, checksums, images in progress,
private repositories, and disorder.

V1Registry() is a standalone registry, index and registry in one without tokens. V1Registry(index=V1Index(...)) wants that index's
tokens. Every request is recorded in `requests`. `answers` is the disorder: what is put there for "METHOD path" (or "path") is answered
in place of the usual thing, one after the other, the last one again and again.
"""
import base64
import hashlib
import io
import json
import re
import tarfile
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

IMAGE_ID = re.compile(r"^(?:[0-9a-f]{16}|[0-9a-f]{64})$")
TAG = re.compile(r"^[\w][\w.-]{0,127}$")
IN_PROGRESS = "Image is being uploaded, retry later"
IMMUTABLE = {"Cache-Control": "public, max-age=31536000", "Expires": "Thu, 01 Jan 2037 00:00:00 GMT",
             "Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT"}


@dataclass
class Request:
    method: str
    path: str
    query: dict
    headers: dict                   # lower-case names
    body: bytes

    @property
    def user(self):
        value = self.headers.get("authorization", "")
        return base64.b64decode(value[6:]).decode() if value.startswith("Basic ") else None

    @property
    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.method} {self.path}"


@dataclass
class Answer:
    """body: bytes, or what JSON can say."""
    status: int = 200
    body: object = True
    headers: dict = field(default_factory=dict)
    cut: int = None                 # so many bytes of the body, and the connection ends
    hang: bool = False              # nothing, until the server ends
    hang_after: bool = False        # the same behind the bytes

    def bytes(self):
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def refuse(status, words, **headers):
    return Answer(status, {"error": words}, {k.replace("_", "-"): v for k, v in headers.items()})


@dataclass
class Image:
    json: bytes                     # as it came
    layer: bytes = None
    checksum: str = None            # None: in progress

    def sum(self):
        return "sha256:" + hashlib.sha256(self.json + b"\n" + (self.layer or b"")).hexdigest()

    @property
    def parent(self):
        return json.loads(self.json).get("parent") or None


def tar_of(files):
    """A layer: {name: bytes or None for a directory}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.mtime = 1400000000
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content or b""))
    return out.getvalue()


class Server:
    """A context manager; `_route(request)` gives the Answer."""

    def __init__(self, authority=None, name="127.0.0.1"):
        self.authority, self.name = authority, name
        self.answers, self.requests = {}, []
        self.gates = {}                     # end of a path: a barrier
        self.most_at_once = 0

    def gate(self, tail, count):
        """Answer no request whose path ends so before `count` of them are there at once (or two seconds are over)."""
        self.gates[tail] = [threading.Barrier(count), 0]

    def _pass_gate(self, request):
        for tail, gate in self.gates.items():
            if not request.path.endswith(tail):
                continue
            gate[1] += 1
            self.most_at_once = max(self.most_at_once, gate[1])
            try:
                gate[0].wait(2)
            except threading.BrokenBarrierError:
                pass
            gate[1] -= 1

    def __enter__(self):
        outer = self
        self.closing = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True      # head and body go out apart

            def log_message(self, *args):
                pass

            def do_GET(self):
                outer._serve(self)

            do_PUT = do_POST = do_DELETE = do_GET

        class Threads(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass                # TLS greetings to a plain port, and peers that left

        self.server = Threads(("127.0.0.1", 0), Handler)
        if self.authority:
            self.server.socket = self.authority.context().wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.host = f"{self.name}:{self.server.server_address[1]}"
        self.url = f"{'https' if self.authority else 'http'}://{self.host}/v1/"
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def seen(self, text):
        """The requests "METHOD /v1/path" that match a pattern from their beginning, as texts."""
        return [str(r) for r in self.requests if re.match(text, str(r))]

    def log_tail(self):
        return "\n".join(f"{r} {r.query} {r.headers} {r.body[:200]}" for r in self.requests[-40:])

    # ---- answering

    def _body(self, handler):
        if handler.headers.get("Transfer-Encoding") != "chunked":
            return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        body = b""
        while size := int(handler.rfile.readline().split(b";")[0], 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        return body

    def _serve(self, handler):
        split = urllib.parse.urlsplit(handler.path)
        query = {k: v[0] for k, v in urllib.parse.parse_qs(split.query, keep_blank_values=True).items()}
        headers = {}
        for name, value in handler.headers.items():
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        request = Request(handler.command, split.path, query, headers, self._body(handler))
        self.requests.append(request)
        self._pass_gate(request)
        self._send(handler, self._ordered(request) or self._route(request))

    def _ordered(self, request):
        path = request.path.removeprefix("/v1/")
        waiting = self.answers.get(f"{request.method} {path}", self.answers.get(path))
        if not waiting:
            return None
        if not isinstance(waiting, list):
            return waiting
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def _send(self, handler, answer):
        if answer.hang:
            self.closing.wait(60)
            handler.close_connection = True
            return
        body = b"" if answer.status in (204, 304) else answer.bytes()
        handler.send_response(answer.status)
        headers = {"Content-Type": "application/json", "Cache-Control": "no-cache", "Pragma": "no-cache", "Expires": "-1",
                   "Content-Length": str(len(body)), **answer.headers}
        for name, value in headers.items():
            for one in value if isinstance(value, list) else [value]:
                if one is not None:
                    handler.send_header(name, one)
        handler.end_headers()
        try:
            handler.wfile.write(body[:answer.cut])
            if answer.hang_after:
                self.closing.wait(60)
        except OSError:
            pass
        if answer.cut is not None:
            handler.close_connection = True


class V1Index(Server):
    """Users, lists of images, tokens, search. `users` {name: password}; `private` repositories answer their users only."""

    def __init__(self, users=None, endpoints="", **server):
        super().__init__(**server)
        self.users, self.endpoints = users or {}, endpoints
        self.lists = {}             # "namespace/name": [{"id", "checksum"}]
        self.private = set()
        self.tokens = {}            # text: (repository, access)
        self.descriptions = {}
        self.page_size = 25

    def allows(self, token, repository):
        """What a registry asks with the Authorization it got."""
        return self.tokens.get(token, (None, None))[0] == repository

    def _user(self, request):
        name, _, password = (request.user or "").partition(":")
        return name if name and self.users.get(name) == password else None

    def _token(self, repository, access):
        signature = hashlib.sha256(f"{repository}{access}{len(self.tokens)}".encode()).hexdigest()[:16].upper()
        token = f'signature={signature},repository="{repository}",access={access}'
        self.tokens[token] = (repository, access)
        return {"X-Docker-Token": f"Token {token}", "X-Docker-Endpoints": self.endpoints,
                "WWW-Authenticate": f"Token {token}"}

    def _route(self, request):
        path = request.path.removeprefix("/v1/")
        if path == "_ping":
            return Answer(200, {}, {"X-Docker-Registry-Standalone": "False"})
        if path == "users/":
            return Answer(200, "OK") if self._user(request) else refuse(401, "bad credentials")
        if path == "search":
            return self._search(request)
        for tail in ("/images", "/"):
            if path.startswith("repositories/") and path.endswith(tail):
                name = path.removeprefix("repositories/").removesuffix(tail)
                return self._repository(request, name if "/" in name else f"library/{name}", tail)
        return refuse(404, "Not Found")

    def _repository(self, request, repository, tail):
        wants = request.headers.get("x-docker-token") == "true"
        if request.method == "GET":
            if repository in self.private and not self._user(request):
                return refuse(404, "images not found")
            if repository not in self.lists:
                return refuse(404, "images not found")
            return Answer(200, self.lists[repository], self._token(repository, "read") if wants else {})
        if not self._user(request):
            return refuse(401, "Requires authorization", WWW_Authenticate='Basic realm="index"')
        if request.method == "DELETE":
            return Answer(202, "", self._token(repository, "delete") if wants else {})
        try:
            entries = request.json
        except ValueError:
            return refuse(400, "Error Decoding JSON")
        if not isinstance(entries, list):
            return refuse(400, "Invalid data")
        self._merge(repository, entries)
        status = 204 if tail == "/images" else 200
        return Answer(status, "", self._token(repository, "write") if wants else {})

    def _merge(self, repository, entries):
        merged = {}
        for entry in entries + self.lists.get(repository, []):
            kept = {k: entry[k] for k in ("id", "checksum") if entry.get(k)}
            if "checksum" not in merged.get(entry["id"], {}):
                merged[entry["id"]] = kept
        self.lists[repository] = list(merged.values())

    def _search(self, request):
        word = request.query.get("q", "")
        found = [name for name in sorted(self.lists) if name not in self.private and
                 (word in name or word in self.descriptions.get(name, ""))]
        size, page = int(request.query.get("n", self.page_size)), int(request.query.get("page", 1))
        rows = [{"name": name, "is_automated": False, "is_trusted": False, "is_official": False, "star_count": 1,
                 "description": self.descriptions.get(name)} for name in found[(page - 1) * size:page * size]]
        return Answer(200, {"num_pages": -(-len(found) // size), "num_results": len(found), "results": rows,
                            "page_size": size, "query": word, "page": str(page)})


class V1Registry(Server):
    """Images and tags. `index`: whose tokens are wanted; without one it stands alone."""

    def __init__(self, index=None, **server):
        super().__init__(**server)
        self.index = index
        self.images, self.tags = {}, {}     # id: Image; "namespace/name": {tag: id}
        self.lists = {}
        self.cookies = False                # set a session, and take it for a token
        self.ranges = True
        self.unit = ""                      # before the bytes of a Content-Range: the old server left it out
        self.redirect_layers = None         # the URL of a storage, in place of bytes
        self.expires = None                 # decides at which request all tokens of the index end, once

    def __enter__(self):
        super().__enter__()
        if self.index and not self.index.endpoints:
            self.index.endpoints = self.host
        return self

    # ---- filling

    def add(self, image_id, files, parent=None, layer=None, checksum=True, **metadata):
        """A complete image; its id."""
        document = {"id": image_id, "created": "2014-10-13T21:19:18.674353812Z", "architecture": "amd64", "os": "linux",
                    "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}, "container_config": {"Cmd": ["/bin/sh", "-c", image_id]},
                    "docker_version": "1.2.0", **({"parent": parent} if parent else {}), **metadata}
        image = Image(json.dumps(document).encode(), tar_of(files) if layer is None else layer)
        image.checksum = image.sum() if checksum is True else checksum
        self.images[image_id] = image
        return image_id

    def tag(self, repository, tag, image_id):
        repository = repository if "/" in repository else f"library/{repository}"
        self.tags.setdefault(repository, {})[tag] = image_id
        entries = [{"id": i, "checksum": self.images[i].checksum} for i in self.ancestry(image_id)]
        (self.index or self).lists.setdefault(repository, []).extend(entries)

    def ancestry(self, image_id):
        ids = []
        while image_id:
            ids.append(image_id)
            image_id = self.images[image_id].parent if image_id in self.images else None
        return ids

    # ---- answering

    def _authorized(self, request, repository):
        """None, or the refusal."""
        if not self.index:
            return None
        if self.cookies and "session=granted" in request.headers.get("cookie", ""):
            return None
        value = request.headers.get("authorization", "")
        fields = dict(re.findall(r'(signature|repository|access)="?([^",]+)', value))
        methods = {"read": ("GET",), "write": ("POST", "PUT"), "delete": ("DELETE",)}.get(fields.get("access"))
        token = value.removeprefix("Token ").removeprefix("Token ")
        if not value.startswith("Token ") or (methods and request.method not in methods) or \
                (repository and fields.get("repository") != repository) or \
                not self.index.allows(token, fields.get("repository")):
            return refuse(401, "Requires authorization", WWW_Authenticate="Token")
        return None

    def _belongs(self, request):
        """The ids that the index lists for the token's repository; None without an index."""
        found = re.search(r'repository="?([^",]+)', request.headers.get("authorization", ""))
        return {e["id"] for e in self.index.lists.get(found[1] if found else "", [])} if self.index else None

    def _route(self, request):
        path = request.path.removeprefix("/v1/")
        if self.expires and self.expires(request):
            self.expires = None
            self.index.tokens.clear()
        answer = self._find(request, path)
        if self.cookies and answer.status < 300:
            answer.headers = {**answer.headers, "Set-Cookie": "session=granted; Path=/"}
        return answer

    def _find(self, request, path):
        if request.path in ("/_ping", "/v1/_ping"):
            return Answer(200, {}, {"X-Docker-Registry-Standalone": "False" if self.index else "True"})
        if path == "users/":
            return Answer(200, "OK")
        if path == "search" and not self.index:
            word = request.query.get("q", "")
            rows = [{"name": name, "description": ""} for name in sorted(self.tags) if word in name]
            return Answer(200, {"query": word, "num_results": len(rows), "results": rows})
        if match := re.fullmatch(r"images/([^/]+)/(json|layer|checksum|ancestry)", path):
            return self._image(request, *match.groups())
        if match := re.fullmatch(r"repositories/([^/]+(?:/[^/]+)?)/tags(?:/([^/]+))?", path):
            return self._tags(request, *match.groups())
        if match := re.fullmatch(r"repositories/([^/]+(?:/[^/]+)?)/(images)?", path):
            return self._repository(request, *match.groups())
        return refuse(404, "Not Found")

    @staticmethod
    def _full(name):
        return name if "/" in name else f"library/{name}"

    def _repository(self, request, name, images):
        name = self._full(name)
        if request.method == "DELETE" and not images:
            if refusal := self._authorized(request, name):
                return refusal
            return Answer() if self.tags.pop(name, None) is not None else refuse(404, "Repository not found")
        if self.index:
            return refuse(404, "Not Found")
        if request.method == "GET":
            return Answer(200, self.lists[name]) if name in self.lists else refuse(404, "images not found")
        self.lists[name] = request.json
        return Answer(204 if images else 200, "")

    def _tags(self, request, name, tag):
        name = self._full(name)
        if refusal := self._authorized(request, name):
            return refusal
        tags = self.tags.get(name)
        if not tag:
            if request.method == "DELETE":
                return Answer() if self.tags.pop(name, None) is not None else refuse(404, "Repository not found")
            return Answer(200, dict(sorted(tags.items()))) if tags else refuse(404, "Repository not found")
        if request.method == "GET":
            return Answer(200, tags[tag]) if tags and tag in tags else refuse(404, "Tag not found")
        if request.method == "DELETE":
            return Answer() if tags and tags.pop(tag, None) else refuse(404, f"Tag not found: {tag}")
        if not TAG.match(tag):
            return refuse(400, "Invalid tag name (must match ^[\\w][\\w.-]{0,127}$)")
        try:
            image_id = request.json
        except ValueError:
            image_id = None
        if not image_id or not isinstance(image_id, str):
            return refuse(400, "Invalid data")
        if image_id not in self.images:
            return refuse(404, "Image not found")
        self.tags.setdefault(name, {})[tag] = image_id
        return Answer()

    def _image(self, request, image_id, what):
        if refusal := self._authorized(request, None):
            return refusal
        if not IMAGE_ID.match(image_id):
            return refuse(404, "Invalid image ID")
        image = self.images.get(image_id)
        if request.method == "PUT":
            return getattr(self, f"_put_{what}")(request, image_id, image)
        if not image:
            return refuse(404, "Image not found")
        if not image.checksum:
            return refuse(400, IN_PROGRESS)
        if self.index and self._is_private(request, image_id):
            return refuse(404, "Image not found")
        if "if-modified-since" in request.headers:
            return Answer(304, b"", IMMUTABLE)
        return getattr(self, f"_get_{what}")(request, image_id, image)

    def _is_private(self, request, image_id):
        homes = {name for name, entries in self.index.lists.items() if image_id in {e["id"] for e in entries}}
        return homes <= self.index.private and image_id not in self._belongs(request)

    def _get_json(self, request, image_id, image):
        return Answer(200, image.json, {**IMMUTABLE, "X-Docker-Size": str(len(image.layer)),
                                        "X-Docker-Checksum-Payload": image.checksum})

    def _get_ancestry(self, request, image_id, image):
        return Answer(200, self.ancestry(image_id), IMMUTABLE)

    def _get_layer(self, request, image_id, image):
        if self.redirect_layers:
            return Answer(302, b"", {"Location": f"{self.redirect_layers}{image_id}"})
        headers = {**IMMUTABLE, "Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
        if not match or not self.ranges:
            return Answer(200, image.layer, headers)
        first, last = int(match[1]), int(match[2])
        if first > last or last >= len(image.layer):
            return Answer(416, b"")
        return Answer(206, image.layer[first:last + 1],
                      {**headers, "Content-Range": f"{self.unit}{first}-{last}/{len(image.layer)}"})

    def _put_json(self, request, image_id, image):
        try:
            document = request.json
        except ValueError:
            return refuse(400, "Invalid JSON")
        listed = self._belongs(request)
        if not isinstance(document, dict) or "id" not in document:
            return refuse(400, "Missing key `id' in JSON")
        if document["id"] != image_id:
            return refuse(400, "JSON data contains invalid id")
        if listed is not None and image_id not in listed:
            return refuse(400, "This image does not belong to the repository")
        parent = document.get("parent")
        if parent and parent not in self.images:
            return refuse(400, "Image depends on a non existing parent")
        if parent and listed is not None and parent not in listed:
            return refuse(400, "Image depends on an unauthorized parent")
        if image and image.checksum:
            return refuse(409, "Image already exists")
        self.images[image_id] = Image(request.body)
        return Answer()

    def _put_layer(self, request, image_id, image):
        if not image:
            return refuse(404, "Image not found")
        if image.checksum:
            return refuse(409, "Image already exists")
        image.layer = request.body
        return Answer()

    def _put_checksum(self, request, image_id, image):
        checksum = request.headers.get("x-docker-checksum-payload")
        if checksum is None:
            return Answer(412, b"")
        if not image:
            return refuse(404, "Image not found")
        if image.checksum:
            return refuse(409, "Cannot set this image checksum")
        if image.layer is None:
            return refuse(400, "Missing Image's checksum")
        if checksum != image.sum():
            return refuse(400, "Checksum mismatch")
        image.checksum = checksum
        return Answer()
