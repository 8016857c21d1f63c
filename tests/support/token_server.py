"""Decides who gets a token: a small Docker token service that signs real JWTs (ES256, x5c chain).

GET with optional Basic, POST with grant_type refresh_token or password. Every request is recorded. On
order it refuses in each of the ways of auth.md 9, or does not answer at all.
"""
import base64
import datetime
import json
import secrets
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

# The registry forgives this much clock skew, so a token that must really expire is signed so much
# earlier.
REGISTRY_LEEWAY = 60


JSON, TEXT = "application/json", "text/plain"
# name -> (status, Content-Type or None, body, further headers, the words that a client shows)
REFUSALS = {
    "text": (401, TEXT, "nope", {}, "unauthorized: nope"),
    "no type": (401, None, "nope", {}, "unauthorized: nope"),
    "stock": (401, JSON, '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required",'
              '"detail":null}]}', {}, "unauthorized"),
    "details": (401, JSON, '{"details":"incorrect username or password"}', {},
                "unauthorized: incorrect username or password"),
    "challenge": (401, TEXT, "x", {"WWW-Authenticate": 'Bearer error="invalid_token",'
                                   'error_description="too old"'}, "errors:; unauthorized: too old; unauthorized: x"),
    "not json": (401, JSON, "<html>", {}, "unauthorized: authentication required"),
    "denied": (403, JSON, '{"errors":[{"code":"DENIED","message":"no access"}]}', {},
               "denied: no access"),
    "denied text": (403, TEXT, "closed", {}, "denied: closed"),
    "list": (401, JSON, '{"errors":[{"code":"UNAUTHORIZED","message":"one"},'
             '{"code":"DENIED","message":"two"}]}', {}, "errors:; unauthorized: one; denied: two"),
}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """A key with a self-signed certificate; the registry trusts the certificate."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "davit test tokens")])
        now = datetime.datetime.utcnow()
        self.cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
                     .public_key(self.key.public_key()).serial_number(1)
                     .not_valid_before(now - datetime.timedelta(days=1))
                     .not_valid_after(now + datetime.timedelta(days=30))
                     .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                     .sign(self.key, hashes.SHA256()))

    def pem(self):
        return self.cert.public_bytes(serialization.Encoding.PEM)

    def sign(self, claims):
        der = self.cert.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
        text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
        r, s = decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@dataclass
class TokenRequest:
    """What one request asked, and what it got."""
    method: str
    query: dict
    form: dict
    headers: dict
    user: str = None       # who proved to be whom; None is anonymous
    status: int = 0
    token: str = None

    @property
    def scopes(self):
        return self.query.get("scope") or " ".join(self.form.get("scope", [])).split()


@dataclass
class TokenServer:
    """A context manager. `public` repositories are for all to pull; users may do everything."""
    users: dict = field(default_factory=dict)
    public: tuple = ()
    service: str = "davit-test"
    issuer: str = "davit-test-issuer"
    expires_in: int = 300          # what the answer says; None leaves it out
    lifetime: float = None         # how long the registry really accepts it; None: expires_in
    token_field: str = "token"     # token, access_token, or both (then `token` is no good)
    refresh_tokens: dict = field(default_factory=dict)   # token -> user
    give_refresh_token: object = False    # True, or "offline": to those who ask for one (login)
    rotate: bool = False           # a refresh token is good once, and another one comes with the answer
    grants: bool = True            # False: no POST here (405)
    refusal: tuple = None          # a row of REFUSALS, or (status, type, body, headers)
    silent: bool = False           # no answer, ever
    name: str = "127.0.0.1"        # what the realm calls this host

    def __enter__(self):
        self.signer = Signer()
        self.requests = []
        self.stopping = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                outer._serve(self)

            def do_POST(self):
                outer._serve(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self.realm = f"http://{self.name}:{self.server.server_address[1]}/token"
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()

    def _user(self, request):
        """(who, whether the proof was right)"""
        form = {k: v[0] for k, v in request.form.items()}
        grant = form.get("grant_type")
        if grant == "refresh_token":
            user = self.refresh_tokens.get(form.get("refresh_token"))
            return user, user is not None
        if grant == "password":
            name, password = form.get("username"), form.get("password")
        else:
            auth = request.headers.get("authorization", "")
            if not auth.lower().startswith("basic "):
                return None, True
            name, _, password = base64.b64decode(auth[6:]).decode().partition(":")
        return name, self.users.get(name) == password

    def _access(self, scopes, user):
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            allowed = [a for a in actions.split(",")
                       if user or (name in self.public and a == "pull")]
            access.append({"type": kind, "name": name, "actions": allowed})
        return access

    def make_token(self, scopes, user):
        now = time.time()
        life = self.lifetime
        expiry = now + (life - REGISTRY_LEEWAY if life is not None else self.expires_in or 60)
        return self.signer.sign({
            "iss": self.issuer, "sub": user or "", "aud": self.service, "exp": int(expiry),
            "nbf": int(now) - 120, "iat": int(now), "jti": secrets.token_hex(8),
            "access": self._access(scopes, user)})

    @staticmethod
    def _body(handler):
        """Of a request; skopeo sends its forms in chunks."""
        if handler.headers.get("Transfer-Encoding") != "chunked":
            return handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode("latin-1")
        body = b""
        while size := int(handler.rfile.readline(), 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        return body.decode("latin-1")

    def _gives_refresh(self, request, user):
        old = request.form.get("refresh_token", [None])[0]
        if self.rotate and old:
            del self.refresh_tokens[old]
            return True
        offline = (request.query.get("offline_token") == ["true"]
                   or request.form.get("access_type") == ["offline"])
        return bool(user) and (self.give_refresh_token is True
                               or self.give_refresh_token == "offline" and offline)

    def _serve(self, handler):
        body = self._body(handler)
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(handler.path).query)
        request = TokenRequest(handler.command, query, urllib.parse.parse_qs(body),
                               {k.lower(): v for k, v in handler.headers.items()})
        if self.silent:
            self.requests.append(request)
            self.stopping.wait()
            return
        headers = {"Content-Type": JSON}
        user, right = self._user(request)
        if self.refusal:
            request.status, kind, text, headers = self.refusal[:4]
            headers = {**headers, **({"Content-Type": kind} if kind else {})}
            answer = text
        elif handler.command == "POST" and not self.grants:
            request.status, answer = 405, {"errors": [{"code": "UNSUPPORTED", "message": "GET it"}]}
        elif right:
            request.user, request.status = user, 200
            request.token = self.make_token(request.scopes, user)
            answer = {}
            if self.token_field in ("token", "access_token"):
                answer[self.token_field] = request.token
            else:
                answer.update(token="no-good", access_token=request.token)
            if handler.command == "POST":
                answer["access_token"] = request.token
            if self.expires_in is not None:
                answer["expires_in"] = self.expires_in
            if self._gives_refresh(request, user):
                refresh = secrets.token_hex(16)
                self.refresh_tokens[refresh] = user
                answer["refresh_token"] = refresh
        else:
            request.status = 401
            answer = {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect user or password"}]}
        self.requests.append(request)
        data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        handler.send_response(request.status)
        for key, value in headers.items():
            handler.send_header(key, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
