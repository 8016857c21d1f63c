"""Mirrors of Docker Hub in front of an origin that is Docker Hub as far as davit can tell: who is
asked what, in which order, and what happens when one is dead, wrong, slow or lying."""
import json

import pytest

from conftest import USERS, serve
from support.davit import FAST, SLOW
from support.faults import Body, Corrupt, Raw, Reset, StallBody, StallHead, Status, Truncate
from support.faulty_registry import Basic, Bearer, FaultyRegistry
from support.hub import HUB, Forwarder, HubProxy, hub_address
from support.namespace import Namespace
from support.registry import DockerRegistry
from support.tls import Authority

QUICK = [*FAST, "--max-download-attempts", "2"]


# ---- who is there --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hub_authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("hub-tls"), names=(HUB,))


@pytest.fixture(scope="module")
def origin(small, images, hub_authority, tmp_path_factory):
    """A docker-registry that is Docker Hub: library/web:1.0, library/only-here:1.0, library/tags."""
    with DockerRegistry(tmp_path_factory.mktemp("origin"), authority=hub_authority) as registry:
        registry.push(small, "web", "library/web:1.0")
        registry.push(small, "three", "library/only-here:1.0")
        registry.push(images, "twice", "library/tags:a")
        registry.push(small, "web", "library/tags:b")
        yield registry


@pytest.fixture(scope="module")
def first_mirror(small, tmp_path_factory):
    """A docker-registry with library/web:1.0."""
    with DockerRegistry(tmp_path_factory.mktemp("first")) as registry:
        registry.push(small, "web", "library/web:1.0")
        registry.push(small, "web", "library/tags:b")
        yield registry


@pytest.fixture(scope="module")
def second_mirror(small, tmp_path_factory):
    with DockerRegistry(tmp_path_factory.mktemp("second")) as registry:
        registry.push(small, "web", "library/web:1.0")
        yield registry


@pytest.fixture
def web(small):
    return small.image("web")


@pytest.fixture
def hub(davit, origin, hub_authority):
    """davit's way to Docker Hub, which is `origin`."""
    with HubProxy(origin.host, hub_authority.ca) as proxy:
        davit.env.update(proxy.env)
        yield proxy


@pytest.fixture
def no_hub(davit, free_port):
    """Docker Hub is behind a proxy that is not there."""
    dead = f"http://127.0.0.1:{free_port}"
    davit.env.update(HTTPS_PROXY=dead, HTTP_PROXY=dead)


@pytest.fixture
def bad(small):
    """A scripted mirror that has library/web:1.0."""
    with FaultyRegistry() as registry:
        registry.add_image(small, "web", "library/web:1.0")
        serve(registry, small, "web")
        yield registry


@pytest.fixture
def dead(free_port):
    return f"http://127.0.0.1:{free_port}"


class Watch:
    """What a docker-registry is asked from now on."""

    def __init__(self, registry):
        self.registry, self.start = registry, registry.mark()

    @property
    def paths(self):
        return [f"{a.method} {a.path}" for a in self.registry.since(self.start)]

    @property
    def blobs(self):
        return [path for path in self.paths if "/blobs/" in path]


def configure(davit, **keys):
    """A daemon.json that $DAVIT_CONFIG names; gives its path."""
    path = davit.root / "daemon.json"
    path.write_text(json.dumps({key.replace("_", "-"): value for key, value in keys.items()}))
    davit.env["DAVIT_CONFIG"] = str(path)
    return path


def mirrors(davit, *urls, **keys):
    return configure(davit, registry_mirrors=list(urls), **keys)


# ---- the order -----------------------------------------------------------------------------------


def test_without_mirrors_docker_hub_is_asked(davit, hub, web):
    davit("pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)
    assert hub.asked and set(hub.asked) == {f"CONNECT {HUB}:443 HTTP/1.1"}


def test_a_mirror_that_has_it_is_the_only_one_asked(davit, hub, first_mirror, second_mirror, web):
    first, second = Watch(first_mirror), Watch(second_mirror)
    mirrors(davit, first_mirror.url, second_mirror.url)
    davit("pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)
    assert davit("images", "--json").json[0]["RepoTags"] == ["web:1.0"]
    assert len(first.blobs) == len(web.blobs) - 1
    assert second.paths == [] and hub.asked == []


def test_mirrors_are_asked_in_their_order(davit, hub, first_mirror, second_mirror):
    first, second = Watch(first_mirror), Watch(second_mirror)
    mirrors(davit, second_mirror.url, first_mirror.url)
    davit("pull", "web:1.0")
    assert second.blobs and first.paths == []


def test_mirrors_of_options_come_after_those_of_the_file(davit, hub, first_mirror, second_mirror,
                                                         dead):
    mirrors(davit, first_mirror.url)
    first, second = Watch(first_mirror), Watch(second_mirror)
    davit("--registry-mirror", second_mirror.url, "digest", "web:1.0")
    assert first.paths and second.paths == []
    mirrors(davit, dead)
    davit(*QUICK, "--registry-mirror", second_mirror.url, "digest", "web:1.0")
    assert second.paths and hub.asked == []


def test_a_mirror_with_a_path_is_asked_below_it(davit, no_hub, first_mirror, web, tmp_path):
    class Below(DockerRegistry):
        """The content of first_mirror below a path."""
        def _config(self):
            config = super()._config()
            config["http"]["prefix"] = "/cache/hub/"
            config["storage"]["filesystem"]["rootdirectory"] = str(first_mirror.dir / "data")
            return config

    with Below(tmp_path) as registry:
        mirrors(davit, f"{registry.url}/cache/hub")
        davit(*FAST, "pull", "web:1.0")
        paths = [access.path for access in registry.since(0)]
    assert paths and all(path.startswith("/cache/hub/v2/library/web/") for path in paths)
    davit.store.assert_exactly(web.blobs)


# ---- the next one --------------------------------------------------------------------------------


def test_behind_a_dead_mirror_the_next_is_asked(davit, hub, dead, first_mirror, web):
    mirrors(davit, dead, first_mirror.url)
    davit(*QUICK, "pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)
    assert hub.asked == []


def test_behind_dead_mirrors_docker_hub_is_asked(davit, hub, dead, web):
    mirrors(davit, dead, dead + "/other")
    davit(*QUICK, "pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)
    assert hub.asked


WRONG = {
    "500": Status(500, b"broken"), "404": Status(404, b"not a registry"), "403": Status(403),
    "503": Status(503), "html": Body(b"<html>hello</html>", "text/html"),
    "not-http": Raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "reset": Reset(), "empty": Body(b"", "text/plain"),
}


@pytest.mark.parametrize("what", WRONG)
def test_behind_a_wrong_mirror_the_next_is_asked(davit, hub, bad, first_mirror, web, what):
    bad.fault("any", WRONG[what])
    mirrors(davit, bad.url, first_mirror.url)
    davit(*QUICK, "pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)
    assert bad.of("manifest")


@pytest.mark.parametrize("where", ["manifest", "blob"])
def test_a_mirror_that_stalls_costs_its_limit_and_no_more(davit, hub, bad, first_mirror, web, where):
    bad.fault(where, StallHead())
    mirrors(davit, bad.url, first_mirror.url)
    result = davit(*QUICK, "pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)
    assert result.seconds < 12 * SLOW


def test_what_a_mirror_lacks_comes_from_the_next(davit, hub, first_mirror, small):
    watch = Watch(first_mirror)
    mirrors(davit, first_mirror.url)
    davit(*FAST, "pull", "only-here:1.0")
    davit.store.assert_exactly(small.image("three").blobs)
    assert watch.paths and watch.blobs == []


def test_what_no_endpoint_has_is_status_3(davit, hub, first_mirror):
    mirrors(davit, first_mirror.url)
    result = davit.fails(3, *FAST, "pull", "absent:1.0")
    assert "manifest for absent:1.0 not found" in result.error
    assert first_mirror.host in result.error


@pytest.mark.parametrize("fault", [Corrupt(1000), Truncate(9000), StallBody(5000), Status(500)],
                         ids=["corrupt", "truncated", "stalls", "500"])
def test_a_mirror_that_fails_at_a_blob_is_left_for_the_next(davit, hub, bad, first_mirror, web, fault):
    """threat B6"""
    bad.fault("blob", fault, digest=bad.layer)
    mirrors(davit, bad.url, first_mirror.url)
    watch = Watch(first_mirror)
    davit(*QUICK, "pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)
    assert any(bad.layer in path for path in watch.blobs)


def test_a_mirror_with_a_wrong_config_is_left_for_the_next(davit, hub, bad, first_mirror, web):
    bad.fault("blob", Corrupt(3), digest=web.config)
    mirrors(davit, bad.url, first_mirror.url)
    davit(*QUICK, "pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)


def test_a_mirror_with_other_bytes_for_a_digest_is_left_for_the_next(davit, hub, bad, first_mirror,
                                                                     web):
    """threat B5"""
    bad.fault("manifest", Corrupt(20))
    mirrors(davit, bad.url, first_mirror.url)
    davit(*QUICK, "pull", f"web@{web.digest}")
    davit.store.assert_exactly(web.blobs)
    assert bad.of("manifest")


def test_when_all_fail_each_says_why(davit, no_hub, bad, dead):
    bad.fault("any", Status(500, b"broken"))
    mirrors(davit, dead, bad.url)
    result = davit.fails(6, *QUICK, "pull", "web:1.0", timeout=60)
    assert dead[len("http://"):] in result.error and bad.host in result.error
    assert "500" in result.error and HUB in result.error
    assert result.error.index(dead[len("http://"):]) < result.error.index(bad.host)
    assert davit.store.blobs() == set()


# ---- credentials ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def private_origin(small, hub_authority, tmp_path_factory):
    directory = tmp_path_factory.mktemp("private")
    with DockerRegistry(directory, "htpasswd", USERS, hub_authority) as registry:
        registry.push(small, "web", "library/web:1.0", user="alice")
        yield registry


@pytest.mark.parametrize("auth", [Basic(USERS), Bearer(USERS, anonymous=False)],
                         ids=["basic", "bearer"])
def test_a_mirror_that_asks_for_credentials_gets_none_and_docker_hub_does(davit, private_origin,
                                                                          hub_authority, bad, web, auth):
    """threat A15"""
    bad.auth = auth
    davit.login("https://index.docker.io/v1/", "alice", USERS["alice"])
    mirrors(davit, bad.url)
    with HubProxy(private_origin.host, hub_authority.ca) as proxy:
        davit(*QUICK, "pull", "web:1.0", env=proxy.env)
    davit.store.assert_exactly(web.blobs)
    assert {r.status for r in bad.of("manifest")} == {401}
    assert bad.secrets_seen("main") == []
    assert all(not r.basic and b"password" not in r.body for r in bad.of("token"))


def test_a_mirror_gets_its_own_credentials(davit, hub, bad, web):
    bad.auth = Basic({"bob": "mirror-only"})
    davit.login(bad.host, "bob", "mirror-only")
    mirrors(davit, bad.url)
    davit(*FAST, "pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)
    assert hub.asked == []


# ---- mirrors that serve bytes only ---------------------------------------------------------------


def digest_only(davit, *urls, before=(), behind=()):
    return mirrors(davit, *before, *urls, *behind, mirror_by_digest_only=list(urls))


def test_a_digest_only_mirror_serves_bytes_and_is_asked_no_tag(davit, hub, origin, first_mirror, web):
    """threat A15"""
    watch, hub_watch = Watch(first_mirror), Watch(origin)
    digest_only(davit, first_mirror.url)
    davit("pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)
    assert f"GET /v2/library/web/manifests/{web.digest}" in watch.paths
    assert len(watch.blobs) == len(web.blobs) - 1
    assert not [path for path in watch.paths if "sha256:" not in path]
    assert hub_watch.paths == ["HEAD /v2/library/web/manifests/1.0"]
    assert davit("images", "--json").json[0]["RepoTags"] == ["web:1.0"]
    assert b"up to date" in davit("pull", "web:1.0").err


def test_a_digest_only_mirror_with_another_image_for_the_tag_changes_nothing(davit, hub, bad, small,
                                                                             web):
    """threat A15"""
    bad.add_image(small, "three", "library/web:1.0")
    digest_only(davit, bad.url)
    davit(*FAST, "pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)
    assert all(r.ref.startswith("sha256:") for r in bad.of("manifest"))
    mirrors(davit, bad.url)
    davit(*FAST, "pull", "web:1.0")         # an ordinary one is believed, as in the reference
    assert set(small.image("three").blobs) <= davit.store.blobs()


def test_questions_by_tag_go_past_a_digest_only_mirror(davit, hub, first_mirror, web):
    watch = Watch(first_mirror)
    digest_only(davit, first_mirror.url)
    assert davit("digest", "web:1.0").text.strip().endswith(web.digest)
    assert davit("manifest", "web:1.0").out == web.bytes
    assert set(davit("tags", "tags").lines) == {"a", "b"}
    assert watch.paths == []


def test_questions_by_digest_go_to_a_digest_only_mirror(davit, hub, first_mirror, web, tmp_path):
    digest_only(davit, first_mirror.url)
    assert davit("manifest", f"web@{web.digest}").out == web.bytes
    davit("blob", "-o", tmp_path / "layer", f"web@{web.layers[0]}")
    davit("pull", f"web:1.0@{web.digest}")
    assert hub.asked == []


@pytest.mark.parametrize("fault", [Status(500), Status(404), Corrupt(2000), Reset()],
                         ids=["500", "404", "corrupt", "reset"])
def test_behind_a_digest_only_mirror_that_fails_the_origin_serves(davit, hub, bad, web, fault):
    bad.fault("blob", fault, digest=bad.layer)
    digest_only(davit, bad.url)
    davit(*QUICK, "pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)


def test_behind_a_dead_digest_only_mirror_the_origin_serves(davit, hub, dead, web):
    digest_only(davit, dead)
    davit(*QUICK, "pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)


def test_when_a_digest_only_mirror_and_the_origin_fail_each_says_why(davit, no_hub, bad, dead):
    digest_only(davit, bad.url)
    result = davit.fails(6, *QUICK, "pull", "web:1.0", timeout=60)
    assert HUB in result.error and bad.of("any") == []


def test_an_ordinary_mirror_tells_the_tag_and_the_digest_only_one_before_it_serves(
        davit, hub, bad, first_mirror, web):
    watch = Watch(first_mirror)
    digest_only(davit, bad.url, behind=[first_mirror.url])
    davit(*FAST, "pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)
    assert watch.paths == ["HEAD /v2/library/web/manifests/1.0"] and hub.asked == []
    assert len(bad.gets()) == len(web.blobs) - 1


def test_an_ordinary_mirror_before_a_digest_only_one_serves_all(davit, hub, bad, first_mirror, web):
    digest_only(davit, bad.url, before=[first_mirror.url])
    davit(*FAST, "pull", "web:1.0")
    davit.store.assert_exactly(web.blobs)
    assert bad.of("any") == [] and hub.asked == []


def test_all_tags_are_listed_elsewhere_and_served_by_the_digest_only_mirror(davit, hub, first_mirror,
                                                                            small, images):
    watch = Watch(first_mirror)
    digest_only(davit, first_mirror.url)
    davit(*FAST, "pull", "-a", "tags")
    tags = {tag for image in davit("images", "--json").json for tag in image["RepoTags"]}
    assert tags == {"tags:a", "tags:b"}
    assert not [path for path in watch.paths if "sha256:" not in path]
    assert any(small.image("web").layers[0] in path for path in watch.blobs)


def test_a_digest_only_mirror_that_is_none_is_refused(davit, dead):
    path = configure(davit, mirror_by_digest_only=[dead])
    result = davit.fails(1, "ping", "127.0.0.1:1")
    assert f"{path}: mirror-by-digest-only: " in result.error and dead in result.error


# ---- without a proxy -----------------------------------------------------------------------------


def test_docker_hub_by_its_own_name(davit, dead, origin, hub_authority, web, tmp_path):
    """No proxy in between: /etc/hosts says who registry-1.docker.io is."""
    address = hub_address()
    if not address:
        pytest.skip("port 443 is not for this user")
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{address} {HUB}\n")
    mirrors(davit, dead)
    with Forwarder(origin.host, (address, 443)), \
            Namespace(f"mount --bind '{hosts}' /etc/hosts") as namespace:
        if namespace.refused:
            pytest.skip(namespace.refused)
        davit.prefix = namespace.enter
        davit(*QUICK, "pull", "web:1.0", env={"SSL_CERT_FILE": str(hub_authority.ca)})
    davit.prefix = []
    davit.store.assert_exactly(web.blobs)
