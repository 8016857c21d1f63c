"""TLS of one registry: its own CA, client certificates, its token server and its redirects, and what is
refused (service.md 11 and 12; threats A2, A3, A14, C9). Everything is at an address that is not loopback,
since those count as insecure."""
import os
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from support.davit import FAST
from support.namespace import Namespace
from support.nginx import Nginx
from support.registry import DockerRegistry
from support.tls import Issuer, write_key
from support.token_server import TokenServer

IMAGE = "demo/twice:1.0"
LAYERED = "demo/debian:1.0"


@pytest.fixture(scope="module")
def address():
    """An address of this machine that is not loopback, so that it counts as secure."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("no address but loopback here")
        return probe.getsockname()[0]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def server(issuer, address):
    """A server's certificate that is right for the address."""
    return issuer.server("server", address)


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    """The CA of client certificates."""
    return Issuer(tmp_path_factory.mktemp("users"), "davit users")


@pytest.fixture(scope="module")
def private(open_registry, server, address, tmp_path_factory):
    """docker-registry with TLS of its own."""
    with DockerRegistry(tmp_path_factory.mktemp("private"), authority=server, address=address,
                        data=open_registry) as registry:
        yield registry


@pytest.fixture(scope="module")
def guarded(open_registry, server, users, address, tmp_path_factory):
    """nginx that lets nobody in without a client certificate of `users`."""
    with Nginx(tmp_path_factory.mktemp("guarded"), open_registry.host, server, address,
               client_ca=users.ca) as nginx:
        yield nginx


@pytest.fixture
def certs(davit):
    """An empty certs.d that every run of davit uses."""
    path = davit.root / "certs.d"
    path.mkdir()
    davit.options = ["--certs-dir", str(path)]
    return path


def pull(davit, host, image=IMAGE, code=0, **how):
    args = [*getattr(davit, "options", []), *FAST, "pull", f"{host}/{image}"]
    return davit.fails(code, *args, **how) if code else davit(*args, **how)


def assert_nothing_stored(davit):
    assert davit.store.blobs() == set() and davit.store.ingests() == []
    assert davit("images", "--json").out.strip() in (b"", b"[]")


# ---- roots ---------------------------------------------------------------------------------------


def test_a_ca_of_the_host_is_trusted(davit, certs, private, issuer, images):
    issuer.install(certs, private.host)
    pull(davit, private.host)
    davit.store.assert_exactly(images.image("twice").blobs)
    assert davit(*davit.options, "digest", f"{private.host}/{IMAGE}").text.startswith("sha256:")


@pytest.mark.parametrize("other", ["other.example", "{address}", "{address}:1"])
def test_a_ca_of_another_host_is_not(davit, certs, private, issuer, address, other):
    """The port is part of the name, as it is written in the reference."""
    issuer.install(certs, other.format(address=address))
    before = private.mark()
    result = pull(davit, private.host, code=5)
    assert "not trusted" in result.error
    assert f"{certs}/{private.host}/ca.crt" in result.error        # and what to do about it
    assert private.since(before) == []
    assert_nothing_stored(davit)


def test_two_cas_may_stand_in_one_file(davit, certs, private, issuer, users):
    target = certs / private.host
    target.mkdir()
    (target / "both.crt").write_bytes(users.ca.read_bytes() + b"\nand\n" + issuer.ca.read_bytes())
    pull(davit, private.host)


def test_the_files_of_a_host_are_read_by_suffix_alone(davit, certs, private, issuer):
    issuer.install(certs, private.host, "zz")
    for name in ("README", "ca.pem", "old.crt.bak", "CA.CRT"):
        (certs / private.host / name).write_text("not a certificate")
    pull(davit, private.host)


@pytest.mark.parametrize("own", [True, False])
def test_the_systems_roots_still_work_beside_a_hosts_own(davit, certs, private, issuer, users, own):
    """SSL_CERT_FILE stands for the system's bundle."""
    if own:
        users.install(certs, private.host)
    pull(davit, private.host, env={"SSL_CERT_FILE": str(issuer.ca)})


def test_a_hosts_roots_do_not_help_where_the_systems_cannot_be_read(davit, certs, private, issuer):
    issuer.install(certs, private.host)
    result = pull(davit, private.host, code=1, env={"SSL_CERT_FILE": "/nonexistent.pem"})
    assert "SSL_CERT_FILE" in result.error


def test_an_intermediate_is_enough(davit, certs, open_registry, issuer, address, tmp_path):
    """As in Go: what stands in the list is trusted."""
    middle = Issuer(tmp_path / "middle", "davit middle CA", parent=issuer)
    with Nginx(tmp_path, open_registry.host, middle.server("server", address), address) as nginx:
        middle.install(certs, nginx.host)
        pull(davit, nginx.host)


@pytest.mark.parametrize("wrong", ["expired", "name"])
def test_a_certificate_that_is_expired_or_anothers_is_refused(davit, certs, open_registry, issuer,
                                                              address, tmp_path, wrong):
    pair = issuer.server(wrong, address, expired=True) if wrong == "expired" else \
        issuer.server(wrong, "192.0.2.99")
    with Nginx(tmp_path, open_registry.host, pair, address) as nginx:
        issuer.install(certs, nginx.host)
        result = pull(davit, nginx.host, code=5)
        assert "not trusted" in result.error and "ca.crt" not in result.error
        assert nginx.accesses() == []
    assert_nothing_stored(davit)


def test_without_root_the_users_own_directory_counts(davit, private, issuer):
    """service.md 11, rootless: ~/.config/docker/certs.d, and $XDG_CONFIG_HOME in its place."""
    rootless = {"ROOTLESSKIT_STATE_DIR": "/run/rootlesskit"}
    result = pull(davit, private.host, code=5, env=rootless)
    assert f"{davit.home}/.config/docker/certs.d/{private.host}/ca.crt" in result.error
    issuer.install(davit.home / ".config/docker/certs.d", private.host)
    pull(davit, private.host, env=rootless)
    elsewhere = davit.root / "config"
    pull(davit, private.host, code=5, env={**rootless, "XDG_CONFIG_HOME": str(elsewhere)})
    issuer.install(elsewhere / "docker/certs.d", private.host)
    pull(davit, private.host, env={**rootless, "XDG_CONFIG_HOME": str(elsewhere)})


def test_the_systems_directory_counts_for_root(davit, private, issuer, tmp_path):
    if os.geteuid() != 0 or not os.path.isdir("/etc/docker"):
        pytest.skip("no root, or no /etc/docker to mount over")
    issuer.install(tmp_path / "docker/certs.d", private.host)
    with Namespace(f"mount --bind '{tmp_path}/docker' /etc/docker") as namespace:
        if namespace.refused:
            pytest.skip(namespace.refused)
        pull(davit, private.host, code=5)
        davit.prefix = namespace.enter
        pull(davit, private.host)


# ---- client certificates -------------------------------------------------------------------------


@pytest.mark.parametrize("http2", [True, False])
def test_a_client_certificate_is_shown_with_every_request(davit, certs, open_registry, server, users,
                                                          issuer, address, images, tmp_path, http2):
    with Nginx(tmp_path, open_registry.host, server, address, client_ca=users.ca, http2=http2) as nginx:
        issuer.install(certs, nginx.host)
        users.client("alice").install(certs, nginx.host)
        pull(davit, nginx.host, "demo/tiny100:1.0")
        pull(davit, nginx.host, LAYERED)
        davit.fails(3, *davit.options, "digest", f"{nginx.host}/demo/web:none")
        davit(*davit.options, "tags", f"{nginx.host}/demo/tags")
        seen = nginx.accesses()
    assert set(images.image("tiny100").blobs) <= davit.store.blobs()
    assert davit.store.wrong_blobs() == []
    assert {(a.verify, a.subject) for a in seen} == {("SUCCESS", "CN=alice")}
    # 499 is nginx's word for a range that was let go of because another connection had it by then.
    assert {200, 404} <= {a.status for a in seen} <= {200, 206, 404, 499}
    assert any("/blobs/" in a.uri for a in seen)


def test_the_whole_chain_of_a_client_certificate_is_shown(davit, certs, guarded, users, issuer,
                                                          tmp_path):
    """The server knows the root only; it names that, and not the intermediate."""
    middle = Issuer(tmp_path / "middle", "davit users of one floor", parent=users)
    issuer.install(certs, guarded.host)
    middle.client("bob").install(certs, guarded.host)
    with Nginx(tmp_path, guarded.upstream, guarded.pair, guarded.address, client_ca=users.ca,
               extra="ssl_verify_depth 3;") as nginx:
        issuer.install(certs, nginx.host)
        middle.client("bob").install(certs, nginx.host)
        pull(davit, nginx.host)
        assert {a.subject for a in nginx.accesses()} == {"CN=bob"}


def test_the_first_client_certificate_that_the_server_accepts_is_shown(davit, certs, guarded, users,
                                                                       issuer, tmp_path):
    """In byte order of the names; others' issuers are passed over, as Go does."""
    strangers = Issuer(tmp_path / "strangers", "davit strangers")
    issuer.install(certs, guarded.host)
    strangers.client("aaron").install(certs, guarded.host, "a")
    users.client("bella").install(certs, guarded.host, "b")
    users.client("carol").install(certs, guarded.host, "c")
    before = len(guarded.accesses())
    pull(davit, guarded.host)
    assert {a.subject for a in guarded.accesses()[before:]} == {"CN=bella"}


def test_no_client_certificate_is_said_with_its_place(davit, certs, guarded, issuer):
    issuer.install(certs, guarded.host)
    result = pull(davit, guarded.host, code=6)
    assert "wants a client certificate" in result.error
    assert f"{certs}/{guarded.host}/client.cert" in result.error
    assert_nothing_stored(davit)


def test_a_client_certificate_of_another_issuer_is_not_shown(davit, certs, guarded, issuer, tmp_path):
    issuer.install(certs, guarded.host)
    Issuer(tmp_path / "strangers", "davit strangers").client("eve").install(certs, guarded.host)
    result = pull(davit, guarded.host, code=6)
    assert "wants a client certificate of an issuer that none of those of" in result.error
    assert f"{certs}/{guarded.host}" in result.error
    assert_nothing_stored(davit)


def test_a_client_certificate_that_is_refused_is_named(davit, certs, guarded, issuer, tmp_path):
    """A CA of the same name and another key."""
    issuer.install(certs, guarded.host)
    Issuer(tmp_path / "forgers", "davit users").client("mallory").install(certs, guarded.host, "mine")
    result = pull(davit, guarded.host, code=6)
    assert "refuses the client certificate mine.cert" in result.error
    assert_nothing_stored(davit)


def test_every_command_shows_the_client_certificate(davit, certs, htpasswd_registry, server, users, issuer,
                                                    address, tmp_path):
    """login, ping, the catalogue that stands in for a search, and a login that is wrong"""
    with Nginx(tmp_path, htpasswd_registry.host, server, address, client_ca=users.ca) as nginx:
        issuer.install(certs, nginx.host)
        result = davit.fails(6, *davit.options, *FAST, "login", "-u", "alice", "--password-stdin", nginx.host,
                             data=b"p4ss:with colon")
        assert "wants a client certificate" in result.error
        users.client("alice").install(certs, nginx.host)
        davit(*davit.options, "login", "-u", "alice", "--password-stdin", nginx.host, data=b"p4ss:with colon")
        davit.fails(4, *davit.options, "login", "-u", "alice", "--password-stdin", nginx.host, data=b"wrong")
        davit(*davit.options, "ping", nginx.host)
        assert "demo/twice" in davit(*davit.options, "search", f"{nginx.host}/twice").text
        pull(davit, nginx.host)
        seen = nginx.accesses()
        assert {a.subject for a in seen if a.status != 400} == {"CN=alice"}
        assert any("_catalog" in a.uri for a in seen)


@pytest.fixture(scope="module")
def strict(open_registry, server, users, address, tmp_path_factory):
    """docker-registry that refuses in the handshake, where nginx answers 400."""
    with DockerRegistry(tmp_path_factory.mktemp("strict"), authority=server, client_ca=users.ca,
                        address=address, data=open_registry) as registry:
        yield registry


def test_a_registrys_own_clientcas_work(davit, certs, strict, users, issuer, images):
    issuer.install(certs, strict.host)
    users.client("dora").install(certs, strict.host)
    pull(davit, strict.host)
    davit.store.assert_exactly(images.image("twice").blobs)


def test_a_refusal_in_the_handshake_says_the_same(davit, certs, strict, issuer, tmp_path):
    issuer.install(certs, strict.host)
    result = pull(davit, strict.host, code=6)
    assert "wants a client certificate" in result.error and "client.cert" in result.error
    Issuer(tmp_path / "forgers", "davit users").client("mallory").install(certs, strict.host, "mine")
    result = pull(davit, strict.host, code=6)
    assert "refuses the client certificate mine.cert" in result.error
    assert_nothing_stored(davit)


def test_each_registry_sees_its_own_client_certificate(davit, certs, open_registry, server, users, issuer,
                                                       address, tmp_path):
    """Two mirrors in one run: the first lacks the image, so that the second is asked too."""
    with Nginx(tmp_path, open_registry.host, server, address, client_ca=users.ca,
               extra="location ~ /library/ { return 404; }") as first, \
         Nginx(tmp_path, open_registry.host, server, address, client_ca=users.ca,
               extra="rewrite ^/v2/library/(.*)$ /v2/demo/$1;") as second:
        for nginx, name in ((first, "first"), (second, "second")):
            issuer.install(certs, nginx.host)
            users.client(name).install(certs, nginx.host)
        mirrors = ["--registry-mirror", f"https://{first.host}",
                   "--registry-mirror", f"https://{second.host}"]
        davit(*davit.options, *mirrors, *FAST, "pull", "twice:1.0")
        assert {a.subject for a in first.accesses()} == {"CN=first"}
        assert {a.subject for a in second.accesses()} == {"CN=second"}
        assert any(a.status == 200 for a in second.accesses())


# ---- token servers and redirects -----------------------------------------------------------------


@pytest.fixture
def tokens_behind_tls(open_registry, server, users, issuer, address, tmp_path):
    """(registry, nginx before its token server), both with the private CA; the token server wants a
    client certificate, as the registry does."""
    with TokenServer(users={"alice": "secret"}, public=("demo/twice",)) as tokens, \
         Nginx(tmp_path, tokens.host, server, address, client_ca=users.ca) as door:
        tokens.realm = f"https://{door.host}/token"
        with DockerRegistry(tmp_path, tokens, data=open_registry) as registry, \
             Nginx(tmp_path, registry.host, server, address, client_ca=users.ca) as front:
            yield front, door


def test_the_token_server_has_the_tls_settings_of_its_registry(davit, certs, tokens_behind_tls, users,
                                                               issuer, images):
    """threat A3: the directory is the registry's; the token server has none."""
    front, door = tokens_behind_tls
    issuer.install(certs, front.host)
    users.client("alice").install(certs, front.host)
    pull(davit, front.host)
    davit.store.assert_exactly(images.image("twice").blobs)
    assert {(a.subject, a.status) for a in door.accesses()} == {("CN=alice", 200)}


def test_a_token_server_that_refuses_is_named(davit, certs, open_registry, server, users, issuer, address,
                                              tmp_path):
    with TokenServer(public=("demo/twice",)) as tokens, \
         Nginx(tmp_path, tokens.host, server, address, client_ca=users.ca) as door:
        tokens.realm = f"https://{door.host}/token"
        with DockerRegistry(tmp_path, tokens, data=open_registry) as registry, \
             Nginx(tmp_path, registry.host, server, address) as front:
            issuer.install(certs, front.host)
            result = pull(davit, front.host, code=6)
            assert "token server" in result.error and door.host in result.error
            assert f"wants a client certificate; put one and its key into {certs}/{front.host}" \
                in result.error
    assert_nothing_stored(davit)


@pytest.fixture
def hosts(tmp_path, address, davit):
    """davit runs where registry.one.test and tokens.two.test are the address."""
    path = tmp_path / "hosts"
    path.write_text(f"127.0.0.1 localhost\n{address} registry.one.test tokens.two.test\n")
    with Namespace(f"mount --bind '{path}' /etc/hosts") as namespace:
        if namespace.refused:
            pytest.skip(namespace.refused)
        davit.prefix = namespace.enter
        yield


@pytest.mark.parametrize("trusted", [False, True])
def test_a_strange_token_server_sees_no_client_certificate(davit, certs, hosts, open_registry, users,
                                                           issuer, address, tmp_path, trusted):
    """threat A1: a certificate says who we are, as a password does; --trust-realm lets both go there."""
    pair = issuer.server("two", address, names=("registry.one.test", "tokens.two.test"))
    with TokenServer(public=("demo/twice",)) as tokens, \
         Nginx(tmp_path, tokens.host, pair, address, client_ca=users.ca, verify="optional") as door:
        tokens.realm = f"https://tokens.two.test:{door.host.split(':')[1]}/token"
        with DockerRegistry(tmp_path, tokens, data=open_registry) as registry, \
             Nginx(tmp_path, registry.host, pair, address, client_ca=users.ca) as front:
            host = f"registry.one.test:{front.host.split(':')[1]}"
            issuer.install(certs, host)
            users.client("alice").install(certs, host)
            davit.options += ["--trust-realm", "tokens.two.test"] if trusted else []
            pull(davit, host)
            assert {a.subject for a in front.accesses()} == {"CN=alice"}
            assert {a.subject for a in door.accesses()} == {"CN=alice" if trusted else "-"}


def test_a_redirect_gets_the_roots_and_no_client_certificate(davit, certs, open_registry, server, users,
                                                             issuer, address, images, tmp_path):
    with Nginx(tmp_path, open_registry.host, server, address, client_ca=users.ca,
               verify="optional") as data, \
         Nginx(tmp_path, open_registry.host, server, address, client_ca=users.ca,
               blobs_to=f"https://{data.host}") as front:
        issuer.install(certs, front.host)
        users.client("alice").install(certs, front.host)
        pull(davit, front.host)
        assert {a.subject for a in front.accesses()} == {"CN=alice"}
        assert {(a.subject, a.verify) for a in data.accesses()} == {("-", "NONE")}
        assert len(data.accesses()) >= len(images.image("twice").blobs) - 1
    davit.store.assert_exactly(images.image("twice").blobs)


def test_a_redirect_that_wants_a_client_certificate_is_said(davit, certs, guarded, open_registry, server,
                                                            users, issuer, address, tmp_path):
    """The registry's own certificate would be good there, and is not shown all the same."""
    with Nginx(tmp_path, open_registry.host, server, address, client_ca=users.ca,
               blobs_to=f"https://{guarded.host}") as front:
        for host in (front.host, guarded.host):
            issuer.install(certs, host)
            users.client("alice").install(certs, host)
        result = pull(davit, front.host, code=6)
        assert f"{guarded.host}: wants a client certificate; those of {certs}/{front.host}" in result.error


def test_a_redirect_to_another_ca_is_refused(davit, certs, open_registry, issuer, users, server, address,
                                             tmp_path):
    """Its own directory does not count: it is not the registry that was named."""
    with Nginx(tmp_path, open_registry.host, users.server("data", address), address) as data, \
         Nginx(tmp_path, open_registry.host, server, address, blobs_to=f"https://{data.host}") as front:
        issuer.install(certs, front.host)
        users.install(certs, data.host)
        result = pull(davit, front.host, code=5)
        assert data.host in result.error and f"{certs}/{front.host}/ca.crt" in result.error
        assert data.accesses() == []
        users.install(certs, front.host, "data")
        pull(davit, front.host)


class TlsProxy:
    """A context manager: a CONNECT proxy that speaks TLS itself, and asks for a client certificate."""

    def __init__(self, pair, client_ca):
        self.context = pair.context()
        self.context.load_verify_locations(client_ca)
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.shown = []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "https://localhost:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            client = self.context.wrap_socket(sock, server_side=True)
            self.shown.append(client.getpeercert())
            target = client.recv(65536).split()[1].decode()
            host, _, port = target.rpartition(":")
            with client, socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
                back.start()
                self._copy(client, server)
                back.join(5)
        except OSError:
            pass

    @staticmethod
    def _copy(source, to):
        try:
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except (OSError, ValueError):
            pass


def test_a_proxy_that_speaks_tls_sees_no_client_certificate_and_gets_no_roots(davit, certs, guarded, users,
                                                                              issuer, tmp_path):
    """libcurl asks us about the proxy's handshake too, which is none of the registry's."""
    proxies = Issuer(tmp_path / "proxies", "davit proxies")
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(proxies.ca.read_bytes())
    issuer.install(certs, guarded.host)
    users.client("alice").install(certs, guarded.host)
    with TlsProxy(proxies.server("proxy", "127.0.0.1"), users.ca) as proxy, \
            Namespace(f"mount --bind '{bundle}' /etc/ssl/certs/ca-certificates.crt") as namespace:
        if namespace.refused:
            pytest.skip(namespace.refused)
        env = {"HTTPS_PROXY": proxy.url}
        davit.prefix = namespace.enter
        before = len(guarded.accesses())
        pull(davit, guarded.host, env=env)
        assert proxy.shown and set(map(bool, proxy.shown)) == {False}
        assert {a.subject for a in guarded.accesses()[before:]} == {"CN=alice"}
    with TlsProxy(issuer.server("proxy", "127.0.0.1"), users.ca) as proxy:
        davit.prefix = []
        pull(davit, guarded.host, env={"HTTPS_PROXY": proxy.url}, code={5, 6})
        assert proxy.shown == []


# ---- who has no directory ------------------------------------------------------------------------


def test_an_insecure_registry_never_uses_its_directory(davit, certs, open_registry, server, users, issuer,
                                                       address, tmp_path):
    """service.md 12: not even a broken one matters, and no client certificate is shown."""
    with Nginx(tmp_path, open_registry.host, server, address, client_ca=users.ca,
               verify="optional") as nginx:
        issuer.install(certs, nginx.host)
        users.client("alice").install(certs, nginx.host)
        (certs / nginx.host / "broken.crt").write_text("nonsense")
        pull(davit, nginx.host, code=5)
        davit.options += ["--insecure-registry", nginx.host]
        pull(davit, nginx.host)
        assert {a.subject for a in nginx.accesses()} == {"-"}


def test_a_mirror_has_its_own_directory(davit, certs, open_registry, server, users, issuer, address,
                                        images, tmp_path):
    with Nginx(tmp_path, open_registry.host, server, address, client_ca=users.ca,
               extra="rewrite ^/v2/library/(.*)$ /v2/demo/$1;") as nginx:
        issuer.install(certs, nginx.host)
        users.client("mirrored").install(certs, nginx.host)
        davit(*davit.options, "--registry-mirror", f"https://{nginx.host}", *FAST, "pull", "twice:1.0")
        assert {a.subject for a in nginx.accesses()} == {"CN=mirrored"}
        (certs / nginx.host / "lonely.cert").write_text("x")
        result = davit.fails(2, *davit.options, "--registry-mirror", f"https://{nginx.host}", *FAST, "pull",
                             "twice:1.0")
        assert "missing key lonely.key for client certificate lonely.cert" in result.error
    davit.store.assert_exactly(images.image("twice").blobs)


# ---- bad directories -----------------------------------------------------------------------------


def spoil_unreadable(target, users):
    users.client("alice").install(target.parent, target.name)
    (target / "client.key").chmod(0)


def spoil_encrypted(target, users):
    users.client("locked", passphrase="secret").install(target.parent, target.name)


def spoil_key_of_another(target, users):
    users.client("alice").install(target.parent, target.name)
    shutil.copy(users.client("bob").key, target / "client.key")


def write(name, data):
    return lambda target, users: (target / name).write_bytes(data)


def spoil_key_not_pem(target, users):
    users.client("alice").install(target.parent, target.name)
    (target / "client.key").write_bytes(b"garbage")


BAD = {
    # how -> (what spoils it, exit status, texts of the error)
    "certificate without key": (write("client.cert", b"x"), 2, [
        "missing key client.key for client certificate client.cert. CA certificates must use the "
        "extension .crt"]),
    "key without certificate": (write("client.key", b"x"), 2, [
        "missing client certificate client.cert for key client.key"]),
    "key of another certificate": (spoil_key_of_another, 5, ["client.key", "client.cert", "not the key"]),
    "encrypted key": (spoil_encrypted, 5, ["client.key", "encrypted"]),
    "unreadable key": (spoil_unreadable, 7, ["client.key", "ermission denied"]),
    "root not PEM": (write("ca.crt", b"\x30\x82garbage"), 5, ["ca.crt", "not PEM"]),
    "empty root": (write("ca.crt", b""), 5, ["ca.crt", "not PEM"]),
    "root cut short": (write("ca.crt", b"-----BEGIN CERTIFICATE-----\nMIIB"), 5, ["ca.crt", "PEM"]),
    "root with wrong bytes": (write("ca.crt", b"-----BEGIN CERTIFICATE-----\nAAAA\n"
                                    b"-----END CERTIFICATE-----\n"), 5, ["ca.crt", "malformed"]),
    "key not PEM": (spoil_key_not_pem, 5, ["client.key", "not a private key"]),
    "directory in place of a file": (lambda target, users: (target / "ca.crt").mkdir(), 7, [
        "ca.crt", "not a regular file"]),
    "fifo in place of a file": (lambda target, users: os.mkfifo(target / "ca.crt"), 7, [
        "ca.crt", "not a regular file"]),
    "link that leads nowhere": (lambda target, users: (target / "ca.crt").symlink_to("gone"), 7, [
        "ca.crt", "o such file"]),
    "file that is too long": (write("ca.crt", b"#" * ((1 << 20) + 1)), 1, ["ca.crt", "longer"]),
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_directory_is_refused_with_file_and_reason(davit, certs, private, users, how):
    """threat C9 for the fifo; nobody is asked, and nothing is stored."""
    spoil, status, texts = BAD[how]
    target = certs / private.host
    target.mkdir()
    spoil(target, users)
    if how == "unreadable key" and os.geteuid() == 0:     # root that may not read everything
        davit.prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    before = private.mark()
    result = pull(davit, private.host, code=status, timeout=10)
    for text in [str(target), *texts]:
        assert text in result.error
    davit.prefix = []
    assert private.since(before) == []
    assert_nothing_stored(davit)


def test_a_directory_that_is_none_is_refused(davit, certs, private):
    (certs / private.host).write_text("")
    result = pull(davit, private.host, code=2)
    assert f"{certs}/{private.host}" in result.error and "ot a directory" in result.error


def test_the_key_shows_nowhere(davit, certs, private, issuer, users):
    """threat A12: not in a trace, not in an error, not of a key that is refused either."""
    issuer.install(certs, private.host)
    pair = users.client("alice")
    pair.install(certs, private.host)
    body = pair.key.read_text().splitlines()[1]
    result = pull(davit, private.host, env={"DAVIT_TRACE": "http,auth"})
    assert body not in result.err.decode() + result.text
    (certs / private.host / "client.key").write_text(pair.key.read_text().replace("EC PRIVATE", "ODD"))
    result = pull(davit, private.host, code=5)
    assert body not in result.error


def test_certificates_made_by_openssl_are_read(davit, certs, private, guarded, users, issuer, tmp_path):
    """RSA keys in PKCS #8, with the text form before the PEM, and the parameters of a curve."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl")
    signer = tmp_path / "users.key"
    write_key(users.private, signer)

    def run(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, cwd=tmp_path)

    run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "rsa.key", "-out", "rsa.csr", "-subj", "/CN=rsa")
    run("x509", "-req", "-in", "rsa.csr", "-CA", users.ca, "-CAkey", signer, "-CAcreateserial", "-days", "2",
        "-text", "-out", "rsa.pem")
    run("ecparam", "-name", "prime256v1", "-genkey", "-out", "ec.key")      # with EC PARAMETERS before it
    run("req", "-new", "-key", "ec.key", "-out", "ec.csr", "-subj", "/CN=ec")
    run("x509", "-req", "-in", "ec.csr", "-CA", users.ca, "-CAkey", signer, "-CAcreateserial", "-days", "2",
        "-out", "ec.pem")
    issuer.install(certs, guarded.host)
    for name in ("rsa", "ec"):
        shutil.copy(tmp_path / f"{name}.pem", certs / guarded.host / "client.cert")
        shutil.copy(tmp_path / f"{name}.key", certs / guarded.host / "client.key")
        before = len(guarded.accesses())
        davit(*davit.options, "digest", f"{guarded.host}/{IMAGE}")
        assert {a.subject for a in guarded.accesses()[before:]} == {f"CN={name}"}
