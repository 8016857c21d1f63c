"""Where values come from: the configuration file, options and the environment; and what davit info
says about it."""
import json
import os
import shutil
import socket

import pytest

from conftest import serve
from support.davit import FAST
from support.faults import Unavailable
from support.faulty_registry import FaultyRegistry
from support.namespace import Namespace

EMPTY_SERVICE = {"IndexConfigs": {"docker.io": {"Mirrors": [], "Name": "docker.io", "Official": True,
                                                "Secure": True}},
                 "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"], "Mirrors": None}


def write(path, **keys):
    path.write_text(json.dumps({key.replace("_", "-"): value for key, value in keys.items()}))
    return path


def settings(davit, *args, **how):
    """{key: [(value, origin), ...]} of davit info."""
    found = {}
    for row in davit(*args, "info", "--json", **how).json["Settings"]:
        assert set(row) == {"Key", "Value", "Origin"}
        found.setdefault(row["Key"], []).append((row["Value"], row["Origin"]))
    return found


@pytest.fixture(scope="module")
def address():
    """An address of this machine that is not loopback, so that it counts as secure."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("no address but loopback here")
        return probe.getsockname()[0]


@pytest.fixture
def in_the_clear(small, address):
    """A registry without TLS at an address that counts as secure."""
    with FaultyRegistry(address=address) as registry:
        yield serve(registry, small, "web")


# ---- what the file says --------------------------------------------------------------------------


def test_an_insecure_registry_of_the_file_by_host_or_network(davit, in_the_clear, tmp_path, address):
    path = write(tmp_path / "d.json", insecure_registries=[])
    davit.fails(6, *FAST, "--max-download-attempts", "1", "--config", path, "pull", in_the_clear.ref)
    assert in_the_clear.requests == []
    for entry in (in_the_clear.host, f"{address}/24", f"{address}/32", f"http://{in_the_clear.host}"):
        write(path, insecure_registries=["elsewhere", entry])
        davit("--config", path, "digest", in_the_clear.ref)
    write(path, insecure_registries=[address, f"{address}:1"])      # neither is this port's
    davit.fails(6, *FAST, "--max-download-attempts", "1", "--config", path, "digest", in_the_clear.ref)


def test_options_are_added_to_the_files_lists(davit, in_the_clear, tmp_path):
    path = write(tmp_path / "d.json", insecure_registries=["elsewhere"])
    davit("--config", path, "--insecure-registry", in_the_clear.host, "digest", in_the_clear.ref)


def test_the_named_file_goes_before_the_variable(davit, faulty, tmp_path):
    good, bad = write(tmp_path / "good.json"), tmp_path / "bad.json"
    bad.write_text("{")
    davit.env["DAVIT_CONFIG"] = str(bad)
    davit("--config", good, "digest", faulty.ref)
    davit("digest", faulty.ref, env={"DAVIT_CONFIG": ""})
    davit.fails(1, "digest", faulty.ref)


def test_concurrent_downloads_of_the_file_are_a_hard_limit(davit, faulty, small, tmp_path):
    path = write(tmp_path / "d.json", max_concurrent_downloads=1)
    serve(faulty, small, "three")
    davit("--config", path, "pull", faulty.ref)
    assert faulty.peak() == 1


def test_download_attempts_of_the_file_count_and_the_option_goes_before(davit, faulty, tmp_path):
    path = write(tmp_path / "d.json", max_download_attempts=2)
    faulty.fault("manifest", Unavailable())
    davit.fails(6, *FAST, "--config", path, "digest", faulty.ref)
    assert len(faulty.of("manifest", method="HEAD")) == 2
    faulty.requests.clear()
    davit.fails(6, *FAST, "--config", path, "--max-download-attempts", "3", "digest", faulty.ref)
    assert len(faulty.of("manifest", method="HEAD")) == 3


def test_a_number_of_0_is_the_default(davit, tmp_path):
    path = write(tmp_path / "d.json", max_concurrent_downloads=0, max_download_attempts=0)
    found = settings(davit, "--config", path)
    assert found["max-download-attempts"] == [("5", "default")]
    assert found["max-concurrent-downloads"] == [("3 large, 16 small", "default")]


def test_dockers_own_file_will_do(davit, faulty, tmp_path):
    path = tmp_path / "d.json"
    path.write_text('\ufeff{"data-root": "/srv", "log-opts": {"max-size": "10m"}, "debug": true,\n'
                    ' "exec-opts": ["x"], "default-ulimits": {"n": {"Hard": 1}}}\n')
    davit("--config", path, "digest", faulty.ref)
    for text in ("", " \n"):
        path.write_text(text)
        davit("--config", path, "digest", faulty.ref)


# ---- the files that are looked for ---------------------------------------------------------------


@pytest.fixture
def etc(davit, tmp_path):
    """A /etc of davit's own, with docker/ and davit/ in it."""
    mine = tmp_path / "etc"
    mine.mkdir(mode=0o755)
    for name in ("passwd", "group", "hosts", "resolv.conf", "nsswitch.conf", "ld.so.cache"):
        if os.path.exists(f"/etc/{name}"):
            shutil.copy(f"/etc/{name}", mine / name)
    for name in ("docker", "davit"):
        (mine / name).mkdir(mode=0o755)
    with Namespace(f"mount --bind '{mine}' /etc") as namespace:
        if namespace.refused:
            pytest.skip(namespace.refused)
        davit.prefix = namespace.enter
        yield mine


def test_the_default_files_in_their_order(davit, etc):
    assert "config" not in settings(davit)
    write(etc / "docker" / "daemon.json", registry_mirrors=["https://docker.example"])
    assert settings(davit)["registry-mirrors"] == [
        ("https://docker.example/", "/etc/docker/daemon.json")]
    write(etc / "davit" / "daemon.json", registry_mirrors=["https://davit.example"])
    found = settings(davit, "--registry-mirror", "https://option.example")
    assert found["registry-mirrors"] == [("https://davit.example/", "/etc/davit/daemon.json"),
                                         ("https://option.example/", "option")]
    assert found["config"] == [("/etc/davit/daemon.json", "default")]
    named = write(etc / "named.json")
    assert "registry-mirrors" not in settings(davit, "--config", "/etc/named.json")
    assert "registry-mirrors" not in settings(davit, env={"DAVIT_CONFIG": "/etc/named.json"})
    named.unlink()
    davit.fails(1, "--config", "/etc/named.json", "info")


def test_a_default_file_with_a_fault_is_an_error(davit, etc):
    (etc / "docker" / "daemon.json").write_text("{")
    assert "/etc/docker/daemon.json: " in davit.fails(1, "info").error
    write(etc / "davit" / "daemon.json")
    davit("info")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_default_file_that_may_not_be_read_is_left_out_with_a_warning(davit, etc):
    path = write(etc / "davit" / "daemon.json", registry_mirrors=["https://davit.example"])
    write(etc / "docker" / "daemon.json", registry_mirrors=["https://docker.example"])
    path.chmod(0o600)
    davit.prefix = [*davit.prefix, "setpriv", "--reuid", "65534", "--clear-groups"]
    result = davit("info", "--json", cwd="/")
    assert "/etc/davit/daemon.json is left out" in result.err.decode()
    assert "https://docker.example/" in result.text and "davit.example" not in result.text
    result = davit.fails(1, "--config", "/etc/davit/daemon.json", "info", cwd="/")
    assert "/etc/davit/daemon.json: Permission denied" in result.error


# ---- davit info ----------------------------------------------------------------------------------


def test_info_without_a_configuration(davit, etc):
    document = davit("info", "--json").json
    assert list(document) == ["RegistryConfig", "Settings", "Version"]
    assert document["RegistryConfig"] == EMPTY_SERVICE
    assert document["Version"] in davit("version").text
    rows = {row["Key"]: (row["Value"], row["Origin"]) for row in document["Settings"]}
    assert rows["max-concurrent-uploads"] == ("5 large, 16 small", "default")
    assert rows["connect-timeout"] == ("10", "default")
    assert rows["first-byte-timeout"] == rows["stall-timeout"] == ("30", "default")
    assert rows["min-rate"] == ("1024", "default") and rows["min-rate-window"] == ("60", "default")
    assert rows["retry-delay"] == ("0.5", "default")
    assert rows["tls-verify"] == ("true", "default")
    assert rows["certs-dir"] == ("/etc/docker/certs.d", "default")
    assert rows["user-agent"] == (f"davit/{document['Version']}", "default")
    assert rows["store"] == (str(davit.store.path), "$DAVIT_STORE")
    assert not {"registry-mirrors", "authfile", "http-proxy", "header", "SSL_CERT_FILE"} & set(rows)
    assert [r["Value"] for r in document["Settings"] if r["Key"] == "insecure-registries"] == [
        "::1/128", "127.0.0.0/8"]


def test_info_says_where_each_value_comes_from(davit, tmp_path):
    path = str(write(tmp_path / "d.json", registry_mirrors=["https://file", "https://bytes"],
                     mirror_by_digest_only=["https://bytes"],
                     insecure_registries=["in-file:5000", "10.1.2.3/8"],
                     allow_nondistributable_artifacts=["foreign.example"],
                     max_concurrent_downloads=7, max_concurrent_uploads=8, max_download_attempts=9))
    document = davit(
        "--config", path, "--registry-mirror", "https://option", "--insecure-registry", "in-option",
        "--insecure-registry", "192.168.0.0/16", "--max-concurrent-downloads", "2", "--certs-dir",
        "/certs", "--trust-realm", "auth.example", "--header", "X-Key: s3cret", "--store", "/st",
        "--connect-timeout", "0.25", "--tls-verify=false", "info", "--json",
        env={"SSL_CERT_FILE": "/ca.pem", "https_proxy": "http://u:s3cret@proxy:3128/",
             "HTTP_PROXY": "proxy:8080", "NO_PROXY": "a,b"}).json
    rows = [(r["Key"], r["Value"], r["Origin"]) for r in document["Settings"]]
    for row in [("registry-mirrors", "https://file/", path), ("registry-mirrors", "https://option/", "option"),
                ("mirror-by-digest-only", "https://bytes/", path),
                ("insecure-registries", "in-file:5000", path),
                ("insecure-registries", "10.0.0.0/8", path),
                ("insecure-registries", "in-option", "option"),
                ("insecure-registries", "192.168.0.0/16", "option"),
                ("insecure-registries", "127.0.0.0/8", "default"),
                ("allow-nondistributable-artifacts", "foreign.example", path),
                ("max-concurrent-downloads", "2", "option"), ("max-concurrent-uploads", "8", path),
                ("max-download-attempts", "9", path), ("connect-timeout", "0.25", "option"),
                ("tls-verify", "false", "option"), ("certs-dir", "/certs", "option"),
                ("trusted-realms", "auth.example", "option"), ("header", "X-Key: ***", "option"),
                ("store", "/st", "option"), ("config", path, "option"),
                ("SSL_CERT_FILE", "/ca.pem", "$SSL_CERT_FILE"),
                ("https-proxy", "http://***@proxy:3128/", "$https_proxy"),
                ("http-proxy", "proxy:8080", "$HTTP_PROXY"), ("no-proxy", "a,b", "$NO_PROXY")]:
        assert row in rows, rows
    assert document["RegistryConfig"]["Mirrors"] == ["https://file/", "https://bytes/", "https://option/"]
    assert "s3cret" not in json.dumps(document)


def test_info_says_the_same_to_people(davit, tmp_path):
    path = write(tmp_path / "d.json", registry_mirrors=["https://a", "https://b"])
    lines = davit("info", env={"DAVIT_CONFIG": str(path), "HTTPS_PROXY": "http://u:s3cret@p:1"}).lines
    cells = [line.split() for line in lines]
    assert cells[0] == ["KEY", "VALUE", "ORIGIN"]
    assert cells[1] == ["registry-mirrors", "https://a/", str(path)]
    assert cells[2] == ["https://b/", str(path)]
    assert ["config", str(path), "$DAVIT_CONFIG"] in cells
    assert ["https-proxy", "http://***@p:1", "$HTTPS_PROXY"] in cells


def test_info_names_credential_files_in_the_order_of_search_and_no_secret(davit, tmp_path):
    docker = davit.login("reg.example", "alice", "s3cret")
    podman = davit.login("reg.example", "alice", "s3cret", tmp_path / "run/containers/auth.json")
    other = davit.login("reg.example", "alice", "s3cret", tmp_path / "other.json")
    result = davit("--authfile", other, "info", "--json", env={
        "REGISTRY_AUTH_FILE": str(other), "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "DOCKER_AUTH_CONFIG": docker.read_text()})
    assert [(r["Value"], r["Origin"]) for r in result.json["Settings"] if r["Key"] == "authfile"] == [
        (str(other), "option"), (str(other), "$REGISTRY_AUTH_FILE"), ("***", "$DOCKER_AUTH_CONFIG"),
        (str(docker), "default"), (str(podman), "default")]
    assert "s3cret" not in result.text and "YWxpY2U6" not in result.text


def test_info_asks_nobody_and_makes_no_store(davit, faulty):
    davit("--registry-mirror", faulty.url, "info")
    davit("--registry-mirror", faulty.url, "info", "--json")
    assert faulty.connections == 0
    assert not davit.store.path.exists()


def test_info_needs_no_home(davit):
    del davit.env["HOME"], davit.env["DAVIT_STORE"]
    davit("info")


def test_what_info_prints_cannot_steer_a_terminal(davit, tmp_path):
    """threat C11"""
    path = tmp_path / "d\x1b[31m.json"
    write(path, max_download_attempts=2)
    for flags in ([], ["--json"]):
        assert b"\x1b" not in davit("--config", path, "info", *flags).out
