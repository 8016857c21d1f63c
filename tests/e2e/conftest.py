"""Decides what every end-to-end test gets: the program, images, registries that behave and one that
does not. $DAVIT names the program (default build/davit), $DAVIT_WRAPPER goes before it (valgrind),
DAVIT_ASAN=1 says that memory and time are a sanitizer's, $DAVIT_TEST_IMAGES keeps the images."""
import os
import resource
import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import build_images, oci  # noqa: E402
from support.davit import Davit, program  # noqa: E402
from support.faulty_registry import FaultyRegistry  # noqa: E402
from support.registry import DockerRegistry  # noqa: E402
from support.tls import Authority  # noqa: E402
from support.token_server import TokenServer  # noqa: E402

USERS = {"alice": "p4ss:with colon", "bob": "b0b"}


def pytest_configure(config):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not os.access(program(), os.X_OK) and not config.option.collectonly:
        pytest.exit(f"no program at {program()}: build it, or set DAVIT", returncode=4)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the registries saw."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if hasattr(value, "log_tail"):
                report.sections.append((f"log of {name}", value.log_tail()))


@pytest.fixture
def davit(tmp_path):
    return Davit(tmp_path / "davit")


@pytest.fixture
def other_davit(tmp_path):
    """A second user: another home and another store."""
    return Davit(tmp_path / "other")


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """The layout of build_images.py."""
    kept = os.environ.get("DAVIT_TEST_IMAGES")
    return build_images.ensure(kept or tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


def fill(registry, images, tags, user=None):
    for tag in tags:
        registry.push(images, tag, f"demo/{tag}:1.0", user=user)


@pytest.fixture(scope="session")
def open_registry(images, tmp_path_factory):
    """For everybody: each tag of the images as demo/TAG:1.0, and some more."""
    with DockerRegistry(tmp_path_factory.mktemp("open")) as registry:
        fill(registry, images, images.tags())
        registry.push(images, "debian", "demo/debian-docker:1.0", format="v2s2")
        for tag in ("latest", "1.1", "2.0"):
            registry.push(images, "twice", f"demo/tags:{tag}")
        yield registry


@pytest.fixture(scope="session")
def htpasswd_registry(images, tmp_path_factory):
    with DockerRegistry(tmp_path_factory.mktemp("htpasswd"), "htpasswd", USERS) as registry:
        fill(registry, images, ["debian", "twice"], "alice")
        yield registry


@pytest.fixture(scope="session")
def token_server():
    with TokenServer(users=USERS, public=("demo/debian",)) as server:
        yield server


@pytest.fixture(scope="session")
def token_registry(images, token_server, tmp_path_factory):
    """demo/debian is for all, demo/twice for users; registry.auth is the token server."""
    with DockerRegistry(tmp_path_factory.mktemp("token"), token_server) as registry:
        fill(registry, images, ["debian", "twice"], "alice")
        yield registry


@pytest.fixture
def tokens(token_server):
    """The token server with nothing remembered; its settings are put back."""
    usual = {k: getattr(token_server, k) for k in
             ("expires_in", "lifetime", "token_field", "give_refresh_token", "refresh_tokens")}
    token_server.requests.clear()
    yield token_server
    for key, value in usual.items():
        setattr(token_server, key, value)


@pytest.fixture(scope="session")
def tls_registry(images, authority, tmp_path_factory):
    with DockerRegistry(tmp_path_factory.mktemp("tls-registry"), authority=authority) as registry:
        fill(registry, images, ["twice"])
        yield registry


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A layout for faults. web: layers of 1.5 MB, 200 kB and 20 kB. large: 40 MiB and 100 kB.
    three: three layers of 3 MB."""
    layout = oci.Layout.create(tmp_path_factory.mktemp("small") / "layout")
    for tag, sizes in (("web", (1500000, 200000, 20000)), ("large", (40 << 20, 100000)),
                       ("three", (3000000, 3000001, 3000002))):
        layout.tag(tag, layout.add_image(
            [oci.noise_layer(f"{tag}{i}", size) for i, size in enumerate(sizes)]))
    return layout


@pytest.fixture
def faulty(small):
    """The scripted registry with demo/web:1.0; `image` is it, `ref` its reference, `layer` the
    digest of its largest layer."""
    with FaultyRegistry() as registry:
        yield serve(registry, small, "web")


@pytest.fixture
def tls_faulty(small, authority):
    with FaultyRegistry(authority=authority) as registry:
        yield serve(registry, small, "web")


def serve(registry, layout, tag):
    """Makes a layout's image the one that `image`, `ref` and `layer` mean."""
    registry.add_image(layout, tag, f"demo/{tag}:1.0")
    registry.image = layout.image(tag)
    registry.ref = f"{registry.host}/demo/{tag}:1.0"
    registry.layer = registry.image.layers[0]
    return registry


@pytest.fixture
def free_port():
    """A port that nobody listens on, kept so for the test."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]
