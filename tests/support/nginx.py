"""Decides how the tests put nginx in front of something: TLS, client certificates, redirects of blobs."""
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from support.registry import tied

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
CONF = """
worker_processes 1; daemon off; pid {dir}/pid; error_log {dir}/error.log;
events {{}}
http {{
    log_format seen '$request_method|$request_uri|$server_protocol|$status|$ssl_protocol|$ssl_client_verify|$ssl_client_s_dn';
    access_log {dir}/access.log seen;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    server {{
        listen {address}:{port} ssl{http2}; ssl_certificate {cert}; ssl_certificate_key {key};
        {extra}
        location / {{ proxy_pass http://{upstream}; proxy_set_header Host $http_host; }}
    }}
}}
"""


@dataclass
class Access:
    """One line of the access log."""
    method: str
    uri: str
    protocol: str
    status: int
    tls: str            # "" for a plain request to the TLS port
    verify: str         # "NONE": no client certificate was shown
    subject: str        # of the client certificate


class Nginx:
    """A context manager: nginx before `upstream` (host:port, plain HTTP); `host` is what clients ask.

    pair: the server's certificate and key. client_ca: a file; who shows no certificate of that CA gets
    nginx's 400. verify: on, or optional_no_ca: whatever is shown is only written down. blobs_to: where
    blobs are redirected.
    """

    def __init__(self, directory, upstream, pair, address="127.0.0.1", client_ca=None, verify=None,
                 blobs_to=None, extra="", http2=True):
        self.dir = Path(tempfile.mkdtemp(dir=directory, prefix="nginx-"))
        self.upstream, self.pair, self.address = upstream, pair, address
        self.extra = [extra]
        if client_ca:
            self.extra.append(f"ssl_client_certificate {client_ca};")
        if client_ca or verify:
            self.extra.append(f"ssl_verify_client {verify or 'on'};")
        if blobs_to:
            self.extra.append(f"location ~ ^/v2/.*/blobs/ {{ return 307 {blobs_to}$request_uri; }}")
        self.http2 = " http2" if http2 else ""

    def __enter__(self):
        with socket.socket() as sock:
            sock.bind((self.address, 0))
            port = sock.getsockname()[1]
        conf = self.dir / "nginx.conf"
        conf.write_text(CONF.format(dir=self.dir, address=self.address, port=port, http2=self.http2,
                                    cert=self.pair.cert, key=self.pair.key, upstream=self.upstream,
                                    extra=" ".join(self.extra)))
        self.host = f"{self.address}:{port}"
        self.process = subprocess.Popen(tied([NGINX, "-c", str(conf), "-p", str(self.dir)]),
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as sock:
                if sock.connect_ex((self.address, port)) == 0:
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.__exit__()
        raise RuntimeError(f"nginx did not start:\n{self.log_tail()}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def accesses(self):
        """The requests so far. Waits a moment for the last line to be written."""
        time.sleep(0.05)
        path = self.dir / "access.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        found = [line.split("|", 6) for line in lines]
        return [Access(f[0], f[1], f[2], int(f[3]), f[4].strip("-"), *f[5:]) for f in found if f[0]]

    def log_tail(self, lines=20):
        texts = [(self.dir / name).read_text(errors="replace").splitlines()[-lines:]
                 for name in ("error.log", "access.log") if (self.dir / name).exists()]
        return "\n".join(line for text in texts for line in text)
