"""Decides what an index answers: the v1 search of Docker Hub, and the same misbehaving on order.

Every request is recorded. `answers` is the disorder: what is put there for a path ("search", "_ping", "/v2/") is answered in place
of the usual thing, one after the other, the last one again and again.
"""
import base64
import json
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    method: str
    path: str                       # without the query
    query: dict                     # first values
    headers: dict                   # lower-case names

    @property
    def user(self):
        """"user:password" of a Basic header, else None."""
        value = self.headers.get("authorization", "")
        return base64.b64decode(value[6:]).decode() if value.startswith("Basic ") else None


@dataclass
class Answer:
    """One answer in place of the usual one; a body of bytes, of text, or of what JSON can say."""
    status: int = 200
    body: object = ""
    headers: dict = field(default_factory=dict)
    hang: bool = False              # nothing, until the server ends
    endless: bool = False           # the body again and again

    def bytes(self):
        if isinstance(self.body, (bytes, str)):
            return self.body if isinstance(self.body, bytes) else self.body.encode()
        return json.dumps(self.body).encode()


def repository(name, stars=0, official=False, automated=False, description=""):
    """A row as Docker Hub sends it, more keys than we read."""
    return {"name": name, "description": description, "star_count": stars, "is_official": official,
            "is_automated": automated, "is_trusted": automated, "pull_count": 17}


class SearchServer:
    """A context manager. `users` {name: password} may search, everybody when it is empty."""

    def __init__(self, repositories=(), users=None, standalone=None, authority=None, name="127.0.0.1"):
        self.repositories = list(repositories)
        self.users, self.standalone, self.authority, self.name = users or {}, standalone, authority, name
        self.tokens = set()         # X-Docker-Token values that let search
        self.ping_headers = {}
        self.answers = {}
        self.requests = []

    def __enter__(self):
        outer = self
        self.closing = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                outer._serve(self)

            do_POST = do_GET

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass                # TLS greetings to a plain port, and peers that left

        self.server = Server(("127.0.0.1", 0), Handler)
        if self.authority:
            self.server.socket = self.authority.context().wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.host = f"{self.name}:{self.server.server_address[1]}"
        self.url = f"{'https' if self.authority else 'http'}://{self.host}"
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def seen(self, path):
        """The requests for a path: "search" and "_ping" are those of /v1/."""
        path = path if path.startswith("/") else f"/v1/{path}"
        return [r for r in self.requests if r.path == path]

    @property
    def paths(self):
        return [r.path for r in self.requests]

    def log_tail(self):
        return "\n".join(f"{r.method} {r.path} {r.query} {r.headers}" for r in self.requests[-40:])

    # ---- answering

    def _serve(self, handler):
        split = urllib.parse.urlsplit(handler.path)
        query = {k: v[0] for k, v in urllib.parse.parse_qs(split.query, keep_blank_values=True).items()}
        request = Request(handler.command, split.path, query,
                          {k.lower(): v for k, v in handler.headers.items()})
        self.requests.append(request)
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self._send(handler, self._ordered(split.path) or self._usual(request))

    def _ordered(self, path):
        waiting = self.answers.get(path.removeprefix("/v1/"), [])
        waiting = waiting if isinstance(waiting, list) else [waiting]
        return (waiting.pop(0) if len(waiting) > 1 else waiting[0]) if waiting else None

    def _usual(self, request):
        if request.path == "/v1/_ping":
            return self._ping()
        if request.path != "/v1/search":
            return Answer(404, "404 page not found\n")
        if self.users or self.tokens:
            name, _, password = (request.user or "").partition(":")
            token = request.headers.get("authorization", "").removeprefix("Token ")
            if token not in self.tokens and (not name or self.users.get(name) != password):
                return Answer(401, "", {"WWW-Authenticate": 'Basic realm="index"'})
        return self._search(request)

    def _ping(self):
        body = "true" if self.standalone is None else {"standalone": self.standalone}
        return Answer(200, body, self.ping_headers)

    def _search(self, request):
        word, limit = request.query["q"], int(request.query["n"])
        found = [r for r in self.repositories if word in r["name"]][:limit]
        return Answer(200, {"num_pages": 1, "num_results": len(found), "results": found,
                            "page_size": limit, "query": word, "page": 1},
                      {"Content-Type": "application/json"})

    def _send(self, handler, answer):
        if answer.hang:
            self.closing.wait(60)
            handler.close_connection = True
            return
        body = answer.bytes()
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.endless:
            handler.close_connection = True
            handler.send_header("Connection", "close")
        else:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        try:
            handler.wfile.write(body)
            while answer.endless and not self.closing.is_set():
                handler.wfile.write(body)
        except OSError:
            handler.close_connection = True
