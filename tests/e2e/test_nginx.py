"""nginx in front of the registry: TLS with HTTP/2 for what is small, HTTP/1.1 for blobs (DESIGN 5)."""
import shutil
import socket
import subprocess
import time

import pytest

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
CONF = """
worker_processes 1; daemon off; pid {dir}/pid; error_log {dir}/error.log;
events {{}}
http {{
    log_format seen '$request_method $uri $server_protocol $ssl_protocol'; access_log {dir}/access.log seen;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl http2; ssl_certificate {cert}; ssl_certificate_key {key};
        location / {{ proxy_pass http://{registry}; proxy_set_header Host $http_host; }}
    }}
}}
"""


@pytest.fixture
def nginx(open_registry, authority, tmp_path):
    """Its host:port and its access log."""
    conf = tmp_path / "nginx.conf"
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    conf.write_text(CONF.format(dir=tmp_path, port=port, cert=authority.cert, key=authority.key,
                                registry=open_registry.host))
    with subprocess.Popen([NGINX, "-c", str(conf), "-p", str(tmp_path)],
                          stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(100):
                with socket.socket() as sock:
                    if sock.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"127.0.0.1:{port}", tmp_path / "access.log"
        finally:
            process.terminate()


def test_small_things_come_over_http_2_and_blobs_over_http_1_1(davit, nginx, images):
    host, log = nginx
    davit("pull", f"{host}/demo/multi:1.0")
    davit("pull", f"{host}/demo/tiny100:1.0")
    davit("digest", f"{host}/demo/multi:1.0")
    assert davit.store.wrong_blobs() == []
    assert set(images.image("tiny100").blobs) <= davit.store.blobs()
    seen = [line.split() for line in log.read_text().splitlines() if " TLSv1" in line]
    assert {protocol for _, uri, protocol, _ in seen if "/manifests/" in uri} == {"HTTP/2.0"}
    assert {protocol for _, uri, protocol, _ in seen if "/blobs/" in uri} == {"HTTP/1.1"}
