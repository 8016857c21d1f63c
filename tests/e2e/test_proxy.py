"""Which way requests go: proxies of the environment, and mirrors of Docker Hub's names."""
import base64

import pytest

from support.davit import FAST
from support.faulty_registry import Basic


HOST = "registry.invalid:5000"         # only a proxy can know it
AWAY = f"{HOST}/demo/web:1.0"
OPTIONS = [*FAST, "--insecure-registry", HOST]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_a_proxy_of_the_environment_is_used(davit, faulty, name):
    davit(*OPTIONS, "digest", AWAY, env={name: faulty.url}, timeout=60)
    assert {r.proxied_to for r in faulty.of("manifest")} == {HOST}


def test_a_proxy_gets_its_own_password_and_the_registry_does_not(davit, faulty):
    """threat A4"""
    proxy = faulty.url.replace("http://", "http://bob:pr0xy@")
    davit(*OPTIONS, "digest", AWAY, env={"HTTP_PROXY": proxy}, timeout=60)
    expected = "Basic " + base64.b64encode(b"bob:pr0xy").decode()
    assert {r.header("Proxy-Authorization") for r in faulty.of("manifest")} == {expected}
    assert faulty.secrets_seen("main") == []


def test_loopback_is_never_proxied(davit, faulty, free_port):
    proxy = f"http://127.0.0.1:{free_port}"
    davit("pull", faulty.ref, env={"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy})
    davit.store.assert_exactly(faulty.image.blobs)


@pytest.mark.parametrize("value", ["registry.invalid", ".invalid", "*", "x,registry.invalid:5000"])
def test_no_proxy_is_obeyed(davit, faulty, value):
    davit.fails(6, *OPTIONS, "--max-download-attempts", "1", "digest", AWAY, timeout=60,
                env={"HTTP_PROXY": faulty.url, "NO_PROXY": value})
    assert faulty.of("manifest") == []


@pytest.fixture
def mirror(davit, faulty, small, free_port):
    """faulty as a mirror of library/web; Docker Hub itself is behind a proxy that is not there."""
    faulty.add_image(small, "web", "library/web:1.0")
    dead = f"http://127.0.0.1:{free_port}"
    davit.env.update(HTTP_PROXY=dead, HTTPS_PROXY=dead)
    return faulty


def test_a_mirror_serves_docker_hubs_names(davit, mirror):
    result = davit(*FAST, "--registry-mirror", mirror.url, "pull", "web:1.0")
    assert "web:1.0" in result.text
    davit.store.assert_exactly(mirror.image.blobs)
    assert {r.name for r in mirror.of("blob")} == {"library/web"}


def test_a_mirror_gets_no_credentials_of_docker_hub(davit, mirror):
    """threat A15"""
    mirror.auth = Basic({"alice": "secret"})
    davit.login("https://index.docker.io/v1/", "alice", "secret")
    davit.fails({1, 4, 6}, *FAST, "--max-download-attempts", "1", "--registry-mirror", mirror.url,
                "pull", "web:1.0", timeout=60)
    assert mirror.secrets_seen("main") == []


def test_a_mirror_is_not_asked_for_other_registries(davit, mirror, free_port):
    davit.fails(6, *FAST, "--max-download-attempts", "1", "--registry-mirror", mirror.url, "pull",
                f"127.0.0.1:{free_port}/demo/web:1.0")
    assert mirror.requests == []
