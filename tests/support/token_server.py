"""Decides who gets a token: a small Docker token service that signs real JWTs (ES256, x5c chain).

GET with optional Basic, POST with grant_type refresh_token or password. Every request is recorded.
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
    give_refresh_token: bool = False

    def __enter__(self):
        self.signer = Signer()
        self.requests = []
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
        self.realm = f"http://{self.host}/token"
        return self

    def __exit__(self, *_):
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

    def _serve(self, handler):
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length).decode("latin-1")
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(handler.path).query)
        request = TokenRequest(handler.command, query, urllib.parse.parse_qs(body),
                               {k.lower(): v for k, v in handler.headers.items()})
        user, right = self._user(request)
        if right:
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
            if self.give_refresh_token and user:
                refresh = secrets.token_hex(16)
                self.refresh_tokens[refresh] = user
                answer["refresh_token"] = refresh
        else:
            request.status = 401
            answer = {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect user or password"}]}
        self.requests.append(request)
        data = json.dumps(answer).encode()
        handler.send_response(request.status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
