"""Decides who is Docker Hub in the tests: registry-1.docker.io:443 is a TLS server of ours, reached
through a proxy (CONNECT) or by an /etc/hosts of the tests' own."""
import random
import socket
import threading

HUB = "registry-1.docker.io"


def _pump(source, target):
    """Copies until either side is gone."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for sock in (source, target):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Forwarder:
    """A context manager: whatever comes to an address goes to `target` ("127.0.0.1:5000")."""

    def __init__(self, target, address=("127.0.0.1", 0)):
        host, _, port = target.rpartition(":")
        self.target, self.address = (host, int(port)), address
        self.sockets = []

    def __enter__(self):
        self.listener = socket.create_server(self.address, backlog=64)
        self.host = "%s:%d" % self.listener.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for sock in [self.listener, *self.sockets]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            onward = self.onward(sock)
        except OSError:
            onward = None
        if not onward:
            sock.close()
            return
        self.sockets.append(onward)
        threading.Thread(target=_pump, args=(onward, sock), daemon=True).start()
        _pump(sock, onward)

    def onward(self, sock):
        return socket.create_connection(self.target, timeout=10)


class HubProxy(Forwarder):
    """The proxy of a network where Docker Hub is `target`; it knows nobody else. `env` leads davit
    to it, `asked` is what it was asked for."""

    def __init__(self, target, ca, name=HUB):
        super().__init__(target)
        self.ca, self.name, self.asked = ca, name, []

    @property
    def env(self):
        url = f"http://{self.host}"
        return {"HTTPS_PROXY": url, "HTTP_PROXY": url, "SSL_CERT_FILE": str(self.ca)}

    def onward(self, sock):
        head = b""
        while b"\r\n\r\n" not in head:
            data = sock.recv(4096)
            if not data:
                return None
            head += data
        line = head.split(b"\r\n")[0].decode()
        self.asked.append(line)
        if not line.startswith(f"CONNECT {self.name}:443 "):
            sock.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return None
        onward = super().onward(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        return onward


def hub_address():
    """An address of this machine for port 443, not used by another test; None when we may not."""
    for _ in range(20):
        address = f"127.77.{random.randrange(256)}.{random.randrange(1, 255)}"
        try:
            socket.create_server((address, 443)).close()
            return address
        except PermissionError:
            return None
        except OSError:
            continue
    return None
