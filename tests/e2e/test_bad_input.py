"""Bad names, flags, files, hosts, disks and documents: one clear line, the right exit status, and
nothing that was stored is lost."""
import json
import os
import socket
import stat
import time

import pytest

from conftest import serve
from support import oci
from support.davit import FAST, SLOW, assert_rss
from support.faults import Body, Header
from support.faulty_registry import FaultyRegistry
from support.namespace import Namespace
from support.tls import Authority

DIGEST = "sha256:" + "a" * 64


# ---- names and flags -----------------------------------------------------------------------------


@pytest.mark.parametrize("ref,why", [
    ("", "invalid reference format"), ("docker/", "invalid reference format"),
    ("ubuntu:", "invalid reference format"), ("a:b:c", "invalid reference format"),
    ("-docker", "invalid reference format"), ("docker///docker", "invalid reference format"),
    ("dock..er/docker", "invalid reference format"), ("[fc00::1]:5000", "invalid reference format"),
    ("127.0.0.1:5000/../x", "invalid reference format"), (f"x@{DIGEST[:-30]}", "invalid"),
    ("x@md5:" + "a" * 32, "digest"), ("x:" + "t" * 129, "invalid reference format"),
    ("x y", "invalid reference format"), ("x\ny", "invalid reference format"),
    ("x\x1b[31m", "invalid reference format"), ("Ubuntu", "must be lowercase"),
    ("docker/Docker", "must be lowercase"), ("a" * 64, "64-byte hexadecimal"),
    ("127.0.0.1:5000/" + "a" * 256, "must not be more than 255 characters"),
    ("http://127.0.0.1:5000/demo/web", "invalid reference format")], ids=range(20))
def test_a_bad_reference_is_status_2(davit, ref, why):
    """threat B1"""
    result = davit.fails(2, "pull", "--", ref)
    assert why in result.error
    assert "\x1b" not in result.error
    assert not davit.store.blobs()


@pytest.mark.parametrize("platform", ["linux/arm/v7/x", "*", "linux/*", "li nux", "nonsense",
                                      "/amd64", "linux/", "linux/amd64\n"])
def test_a_bad_platform_is_status_2(davit, faulty, platform):
    davit.fails(2, "pull", "--platform", platform, faulty.ref)
    assert faulty.requests == []


@pytest.mark.parametrize("args", [
    ["--bogus"], ["pull", "--bogus", "x"], ["pull"], ["bogus"], [], ["inspect"], ["manifest"],
    ["config"], ["digest"], ["blob"], ["tags"], ["ping"], ["images", "--bogus"],
    ["pull", "--platform"], ["--max-concurrent-downloads", "many", "pull", "x"],
    ["--max-concurrent-downloads", "-1", "pull", "x"], ["--progress", "purple", "pull", "x"],
    ["--stall-timeout", "-3", "pull", "x"], ["--retry-delay", "soon", "pull", "x"],
    ["digest", "a", "b"], ["help", "bogus"],
    ["pull", "--all-platforms", "--platform", "linux", "x"],
], ids=lambda args: " ".join(args) or "nothing")
def test_bad_usage_is_a_usage_line_and_status_2(davit, args):
    result = davit.run(*args)
    assert result.code == 2, str(result)
    assert "usage" in result.err.decode().lower()
    assert result.out == b""


@pytest.mark.parametrize("args", [
    ["ping", "a/../b"], ["ping", "../../etc"], ["ping", "a?b"], ["ping", ".."], ["ping", "user@host"],
    ["search", "../x.y/foo"], ["search", "a:b@c/foo"], ["search", "a.b?c/foo"], ["search", "a.b\\c/foo"],
    ["login", "-u", "alice", "--password-stdin", "a/../b"], ["logout", "../b"],
], ids=" ".join)
def test_what_is_no_host_is_asked_nothing(davit, args):
    """Of such a text neither a certificates directory nor a URL is made."""
    result = davit.fails(2, "--debug", *args, data=b"secret")
    assert "certs.d" not in result.error and "GET" not in result.error


def test_all_tags_with_a_tag_is_refused(davit, faulty):
    davit.fails({1, 2}, "pull", "-a", faulty.ref)


def test_scratch_is_a_reserved_name(davit):
    result = davit.fails({1, 2, 4}, "pull", "scratch")
    assert "'scratch' is a reserved name" in result.error


def test_a_missing_tag_is_status_3(davit, open_registry):
    result = davit.fails(3, "pull", f"{open_registry.host}/demo/debian:absent")
    assert f"manifest for {open_registry.host}/demo/debian:absent not found" in result.error


@pytest.mark.parametrize("command", ["manifest", "config", "digest", "pull"])
def test_a_missing_repository_is_status_3(davit, open_registry, command):
    davit.fails(3, command, f"{open_registry.host}/demo/absent:1.0")


def test_one_bad_reference_of_several_does_not_undo_the_others(davit, open_registry, images):
    good = f"{open_registry.host}/demo/twice:1.0"
    davit.fails(3, "pull", good, f"{open_registry.host}/demo/debian:absent")
    assert davit("images", "--json").json[0]["RepoTags"] == [good]


# ---- hosts ---------------------------------------------------------------------------------------


def test_a_host_that_is_not_there_is_status_6(davit):
    result = davit.fails(6, *FAST, "--max-download-attempts", "1", "digest",
                         "no-such-host.invalid/demo/web:1.0", timeout=60)
    assert "no-such-host.invalid" in result.error


def test_a_refused_connection_is_status_6(davit, free_port):
    started = time.monotonic()
    result = davit.fails(6, *FAST, "pull", f"127.0.0.1:{free_port}/demo/web:1.0")
    assert f"127.0.0.1:{free_port}" in result.error
    assert time.monotonic() - started < 10 * SLOW


def test_a_host_that_never_accepts_fails_after_the_connect_limit(davit):
    """threat C9"""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):      # the queue is full, so nobody else gets in
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        host = f"127.0.0.1:{full.getsockname()[1]}"
        result = davit.fails(6, "--connect-timeout", "0.5", "--first-byte-timeout", "0.5",
                             "--retry-delay", "0.05", "--max-download-attempts", "2", "digest",
                             f"{host}/demo/web:1.0")
    assert result.seconds < 10 * SLOW


def test_a_registry_that_answers_html_is_refused(davit, faulty):
    faulty.fault("manifest", Body(b"<html>welcome</html>", "text/html"))
    davit.fails({1, 5}, *FAST, "pull", faulty.ref)


# ---- TLS -----------------------------------------------------------------------------------------


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
def tls_away(small, address, tmp_path):
    """A TLS registry at an address that counts as secure."""
    authority = Authority(tmp_path / "tls", [address])
    with FaultyRegistry(authority=authority, address=address) as registry:
        registry.authority = authority
        yield serve(registry, small, "web")


def test_tls_of_a_loopback_registry_needs_no_flag(davit, tls_registry, images):
    davit("pull", f"{tls_registry.host}/demo/twice:1.0")
    davit.store.assert_exactly(images.image("twice").blobs)


def test_an_untrusted_certificate_is_refused(davit, tls_away):
    result = davit.fails({5, 6}, *FAST, "pull", tls_away.ref)
    assert "certificate" in result.error.lower()
    assert tls_away.requests == []


def test_a_ca_that_the_user_names_is_trusted(davit, tls_away):
    davit("pull", tls_away.ref, env={"SSL_CERT_FILE": str(tls_away.authority.ca)})


def test_missing_ca_certificates_are_said(davit, tls_away):
    result = davit.fails(1, *FAST, "pull", tls_away.ref, env={"SSL_CERT_FILE": "/nonexistent.pem"})
    assert "ca-certificates" in result.error
    assert tls_away.requests == []


def test_a_certificate_of_another_name_is_refused(davit, small, address, tmp_path):
    authority = Authority(tmp_path / "tls", ["127.0.0.1"])
    with FaultyRegistry(authority=authority, address=address) as registry:
        serve(registry, small, "web")
        davit.fails({5, 6}, *FAST, "pull", registry.ref, env={"SSL_CERT_FILE": str(authority.ca)})
        assert registry.requests == []


@pytest.mark.parametrize("how", ["--insecure-registry", "--tls-verify=false"])
def test_an_insecure_registry_is_not_verified(davit, tls_away, how):
    options = [how, tls_away.host] if how == "--insecure-registry" else [how]
    davit(*options, "pull", tls_away.ref)


def test_a_secure_name_is_never_asked_in_the_clear(davit, small, address):
    """threat A14"""
    with FaultyRegistry(address=address) as registry:
        serve(registry, small, "web")
        davit.login(registry.host, "alice", "secret")
        davit.fails(6, *FAST, "--max-download-attempts", "1", "pull", registry.ref)
        assert registry.requests == [] and registry.hellos > 0
        davit("--insecure-registry", registry.host, "pull", registry.ref)


# ---- configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "{", "[]", '"x"', '{"auths":[]}', '{"auths":{"h":5}}', '{"auths":{"h":{"auth":"%%%"}}}',
    '{"auths":{"h":{"auth":"bm9jb2xvbg=="}}}', '{"auths":{"h":{"auth":7}}}', '{"credsStore":5}',
    '{"auths":{}} trailing', '{"auths":{"h":{"auth":"OnBhc3N3b3Jk"}}}'])
def test_an_invalid_docker_config_is_status_1_and_names_the_file(davit, faulty, text):
    path = davit.write_auths({})
    path.write_text(text)
    result = davit.fails(1, "pull", faulty.ref)
    assert "config.json" in result.error


def test_a_docker_config_that_cannot_be_read_is_status_1(davit, faulty):
    path = davit.home / ".docker" / "config.json"
    path.mkdir(parents=True)
    result = davit.fails(1, "pull", faulty.ref)
    assert "config.json" in result.error
    path.rmdir()
    path.symlink_to("config.json")
    davit.fails(1, "pull", faulty.ref)


def test_a_docker_config_that_is_a_fifo_does_not_hang(davit, faulty):
    """threat C9"""
    path = davit.home / ".docker" / "config.json"
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    davit.fails(1, "pull", faulty.ref, timeout=10)


@pytest.mark.parametrize("text,key", [
    ("{", "JSON"), ("[]", "not a JSON object"), ("{} trailing", "JSON"),
    ('{"registry-mirrors":{}}', "registry-mirrors: not a list of strings"),
    ('{"registry-mirrors":["x"]}', "registry-mirrors: invalid mirror: "),
    ('{"registry-mirrors":["https://u:secret@h"]}', "registry-mirrors: invalid mirror: "),
    ('{"mirror-by-digest-only":["https://h"]}', "mirror-by-digest-only: "),
    ('{"insecure-registries":"x"}', "insecure-registries: not a list of strings"),
    ('{"insecure-registries":["svn://h"]}', "insecure-registries: insecure registry svn://h "),
    ('{"insecure-registries":["10.0.0.0/33"]}', "insecure-registries: insecure registry "),
    ('{"allow-nondistributable-artifacts":7}', "allow-nondistributable-artifacts: not a list"),
    ('{"max-concurrent-downloads":"3"}', "max-concurrent-downloads: not a whole number"),
    ('{"max-concurrent-uploads":-1}', "max-concurrent-uploads: -1 is not"),
    ('{"max-download-attempts":1.5}', "max-download-attempts: not a whole number")])
@pytest.mark.parametrize("how", ["--config", "DAVIT_CONFIG"])
def test_an_invalid_configuration_is_status_1_and_names_file_and_key(davit, faulty, tmp_path, how,
                                                                     text, key):
    path = tmp_path / "daemon.json"
    path.write_text(text)
    result = (davit.fails(1, how, path, "pull", faulty.ref) if how == "--config" else
              davit.fails(1, "pull", faulty.ref, env={how: str(path)}))
    assert str(path) in result.error and key in result.error
    assert "secret" not in result.error
    assert faulty.requests == []


def test_a_configuration_that_cannot_be_read_is_status_1(davit, faulty, tmp_path):
    """threat C9"""
    missing, fifo, large = tmp_path / "missing", tmp_path / "fifo", tmp_path / "large"
    os.mkfifo(fifo)
    large.write_bytes(b" " * (1 << 20) + b"{")
    for path, why in ((missing, "No such file"), (tmp_path, "not a regular file"),
                      (fifo, "not a regular file"), (large, "longer than 1048576 bytes")):
        result = davit.fails(1, "--config", path, "pull", faulty.ref, timeout=10)
        assert str(path) in result.error and why in result.error
    assert faulty.requests == []


def test_an_empty_docker_config_is_fine(davit, faulty):
    davit.write_auths({}).write_text("")
    davit("digest", faulty.ref)


# ---- disks ---------------------------------------------------------------------------------------


@pytest.fixture
def tmpfs(davit):
    """The store is a tmpfs of 3 MiB."""
    davit.store.path.mkdir()
    with Namespace(f"mount -t tmpfs -o size=3m none '{davit.store.path}'") as namespace:
        if namespace.refused:
            pytest.skip(namespace.refused)
        davit.prefix = namespace.enter
        davit.store.path = type(davit.store.path)(namespace.path(davit.store.path))
        yield davit


def test_a_full_disk_is_status_7_and_loses_nothing(tmpfs, faulty, small, images):
    """threat C10"""
    davit, kept = tmpfs, images.image("twice")
    faulty.add_image(images, "twice", "demo/twice:1.0")
    davit("pull", f"{faulty.host}/demo/twice:1.0")
    serve(faulty, small, "three")
    result = davit.fails(7, *FAST, "pull", faulty.ref)
    assert "space" in result.error
    assert davit.store.wrong_blobs() == []
    assert kept.blobs <= davit.store.blobs()
    [entry] = davit("images", "--json").json
    assert entry["RepoTags"] == [f"{faulty.host}/demo/twice:1.0"]
    # an image that fits can still come when the failed one is away
    filler = davit.store.path / "ingest"
    for path in filler.iterdir():
        path.unlink()
    serve(faulty, small, "web")
    davit(*FAST, "pull", faulty.ref)


def test_a_disk_with_no_room_at_all_is_status_7(tmpfs, faulty):
    davit = tmpfs
    filler = davit.store.path / "filler"
    with open(filler, "wb") as file:
        try:
            while True:
                file.write(bytes(65536))
                file.flush()
        except OSError:
            pass
    davit.fails(7, *FAST, "pull", faulty.ref)
    filler.unlink()
    davit(*FAST, "pull", faulty.ref)


@pytest.fixture
def read_only(davit, faulty):
    """A store with demo/web:1.0 on a read-only mount."""
    davit("pull", faulty.ref)
    path = davit.store.path
    with Namespace(f"mount --bind '{path}' '{path}' && "
                   f"mount -o remount,ro,bind '{path}'") as namespace:
        if namespace.refused:
            pytest.skip(namespace.refused)
        davit.prefix = namespace.enter
        yield davit


def test_a_read_only_store_can_be_read(read_only, faulty):
    davit = read_only
    assert davit("images", "--json").json[0]["RepoTags"] == [faulty.ref]
    assert davit("inspect", faulty.ref).json[0]["Id"] == faulty.image.config
    assert davit("manifest", f"store:{faulty.ref}").out == faulty.image.bytes


def test_a_pull_to_a_read_only_store_is_status_7(read_only, faulty, images):
    faulty.add_image(images, "twice", "demo/twice:1.0")
    result = read_only.fails(7, *FAST, "pull", f"{faulty.host}/demo/twice:1.0")
    assert "read" in result.error.lower()
    read_only.prefix = []
    read_only.store.assert_exactly(faulty.image.blobs)
    assert read_only("images", "--json").json[0]["RepoTags"] == [faulty.ref]


def test_a_store_that_is_a_file_is_status_7(davit, faulty):
    davit.store.path.write_text("not a directory")
    davit.fails(7, "pull", faulty.ref)
    assert davit.store.path.read_text() == "not a directory"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_without_permission_is_status_7(davit, faulty):
    davit.store.path.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    davit.fails(7, "pull", faulty.ref)


# ---- documents -----------------------------------------------------------------------------------


def manifest_of(image, **change):
    return oci.dumps({**json.loads(image.bytes), **change})


def depth(count):
    """JSON so deep."""
    return b'{"schemaVersion":2,"x":' + b"[" * count + b"]" * count + b"}"


def documents(image):
    """{name: (bytes, media type)} of manifests that must not be taken for an image."""
    good = image.bytes
    layer = json.loads(good)["layers"][0]
    config = json.loads(good)["config"]
    manifest = oci.OCI_MANIFEST
    cases = {
        "depth-100000": depth(100000), "depth-33": depth(33),
        "depth-of-objects": b'{"a":' * 100000 + b"1" + b"}" * 100000,
        "unclosed": b"[" * 100000,
        "200000-values": oci.dumps({**json.loads(good), "x": [0] * 200000}),
        "duplicate-layers": good[:-1] + b',"layers":[]}',
        "duplicate-config": good[:-1] + b',"config":' + oci.dumps(config) + b"}",
        "duplicate-mediaType": good[:-1] + b',"mediaType":"application/x"}',
        "duplicate-digest": good.replace(b'"digest":', b'"digest":"' + DIGEST.encode() +
                                         b'","digest":', 1),
        "case-variant-Layers": good[:-1] + b',"Layers":[]}',
        "case-variant-CONFIG": good[:-1] + b',"CONFIG":{}}',
        "escaped-case-variant": good[:-1] + b',"\\u004cayers":[]}',
        "manifests-and-layers": manifest_of(image, manifests=[]),
        "fsLayers-and-layers": manifest_of(image, fsLayers=[]),
        "another-mediaType": manifest_of(image, mediaType=oci.OCI_INDEX),
        "null-layers": manifest_of(image, layers=None),
        "layers-is-an-object": manifest_of(image, layers={}),
        "a-null-layer": manifest_of(image, layers=[None]),
        "config-is-a-string": manifest_of(image, config="x"),
        "no-config": oci.dumps({"schemaVersion": 2, "mediaType": manifest, "layers": [layer]}),
        "negative-size": manifest_of(image, layers=[{**layer, "size": -1}]),
        "size-2^63": good.replace(b'"size":%d' % layer["size"], b'"size":9223372036854775808'),
        "size-is-a-float": manifest_of(image, layers=[{**layer, "size": 1.5}]),
        "size-is-a-string": manifest_of(image, layers=[{**layer, "size": "7"}]),
        "size-1e3": good.replace(b'"size":%d' % layer["size"], b'"size":1e3'),
        "no-size": manifest_of(image, layers=[{k: layer[k] for k in ("mediaType", "digest")}]),
        "no-digest": manifest_of(image, layers=[{k: layer[k] for k in ("mediaType", "size")}]),
        "digest-is-a-path": manifest_of(image, layers=[{**layer, "digest": "sha256:../../../x"}]),
        "digest-is-upper-case": manifest_of(image, layers=[{**layer,
                                                           "digest": layer["digest"].upper()}]),
        "digest-md5": manifest_of(image, layers=[{**layer, "digest": "md5:" + "a" * 32}]),
        "digest-sha384": manifest_of(image, layers=[{**layer, "digest": "sha384:" + "a" * 96}]),
        "4097-layers": manifest_of(image, layers=[layer] * 4097),
        "invalid-utf-8": good[:-1] + b',"annotations":{"a":"\xff\xfe"}}',
        "nul-in-a-key": good[:-1] + b',"a\x00b":1}',
        "trailing-bytes": good + b"{}",
        "empty": b"", "null": b"null", "a-list": b"[]", "a-string": b'"x"',
        "helm-config": manifest_of(image, config={
            **config, "mediaType": "application/vnd.cncf.helm.config.v1+json"}),
        "wasm-layer": manifest_of(image, layers=[{
            **layer, "mediaType": "application/vnd.wasm.content.layer.v1+wasm"}]),
        "ai-model": manifest_of(image, config={
            **config, "mediaType": "application/vnd.docker.ai.model.config.v0.1+json"}),
    }
    return {name: (data, manifest) for name, data in cases.items()}


def names_of_documents():
    fake = type("Image", (), {"bytes": oci.dumps({
        "schemaVersion": 2, "mediaType": "m",
        "config": {"mediaType": "c", "digest": DIGEST, "size": 1},
        "layers": [{"mediaType": "l", "digest": DIGEST, "size": 2}]})})
    return list(documents(fake))


@pytest.mark.parametrize("name", names_of_documents())
def test_a_malformed_manifest_is_refused(davit, faulty, name):
    """threat B1, B3, B4, B9, C2, C3"""
    data, media_type = documents(faulty.image)[name]
    faulty.add_manifest("demo/web", data, media_type, "1.0")
    codes = {1, 5} if name == "empty" or "size" in name else 1
    result = davit.fails(codes, *FAST, "pull", faulty.ref, timeout=15)
    assert len(result.error) < 2000
    assert davit("images", "-q").text == ""
    assert not davit.store.blobs() & set(faulty.image.layers)


def test_deep_json_costs_no_memory(davit, faulty):
    """threat C2"""
    faulty.add_manifest("demo/web", depth((2 << 20) - 64), oci.OCI_MANIFEST, "1.0")
    result = davit.measured(*FAST, "pull", faulty.ref)
    assert result.code == 1, str(result)
    assert_rss(result, 64)


def test_4_mib_of_small_values_cost_no_memory(davit, faulty):
    """threat C2"""
    faulty.add_manifest("demo/web", b"[" + b"0," * (2_000_000) + b"0]", oci.OCI_MANIFEST, "1.0")
    result = davit.measured(*FAST, "pull", faulty.ref)
    assert result.code == 1, str(result)
    assert_rss(result, 64)


def test_a_manifest_of_just_under_4_mib_is_taken(davit, faulty):
    data = manifest_of(faulty.image, annotations={"a": "x" * ((4 << 20) - 4096)})
    faulty.add_manifest("demo/web", data, oci.OCI_MANIFEST, "1.0")
    davit(*FAST, "pull", faulty.ref)


@pytest.mark.parametrize("media_type", [oci.DOCKER_MANIFEST, oci.OCI_INDEX, oci.DOCKER_LIST])
def test_a_content_type_that_is_not_the_media_type_is_refused(davit, faulty, media_type):
    """threat B3"""
    faulty.fault("manifest", Header("Content-Type", media_type))
    davit.fails(1, *FAST, "pull", faulty.ref)
    assert not davit.store.blobs() & set(faulty.image.layers)


def test_parameters_of_a_content_type_do_not_matter(davit, faulty):
    faulty.fault("manifest", Header("Content-Type", oci.OCI_MANIFEST + "; charset=utf-8"))
    davit(*FAST, "pull", faulty.ref)


def test_schema_1_is_refused_with_the_text_that_people_know(davit, faulty):
    data = oci.dumps({"schemaVersion": 1, "name": "demo/web", "tag": "1.0", "architecture": "amd64",
                      "fsLayers": [{"blobSum": faulty.layer}], "history": [], "signatures": []})
    faulty.add_manifest("demo/web", data, oci.SCHEMA1, "1.0")
    result = davit.fails(1, *FAST, "pull", faulty.ref)
    assert ("Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been "
            f"removed. Suggest the author of {faulty.ref} to upgrade the image") in result.error


def wrap(faulty, digest, size, levels, **entry):
    """An index of an index of ... a manifest; gives the outermost tagged as demo/web:nested."""
    media_type = oci.OCI_MANIFEST
    for _ in range(levels):
        data = oci.dumps({"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": [
            {"mediaType": media_type, "digest": digest, "size": size, **entry}]})
        digest, size, media_type = oci.sha256(data), len(data), oci.OCI_INDEX
        faulty.add_manifest("demo/web", data, oci.OCI_INDEX)
    faulty.add_manifest("demo/web", data, oci.OCI_INDEX, "nested")
    return f"{faulty.host}/demo/web:nested"


def test_an_index_of_an_index_is_followed(davit, faulty):
    ref = wrap(faulty, faulty.image.digest, len(faulty.image.bytes), 2)
    davit(*FAST, "pull", ref)
    assert set(faulty.image.layers) <= davit.store.blobs()


@pytest.mark.parametrize("levels", [6, 200])
@pytest.mark.parametrize("flags", [[], ["--all-platforms"]])
def test_an_index_nested_too_deep_is_refused(davit, faulty, levels, flags):
    """threat C3"""
    ref = wrap(faulty, faulty.image.digest, len(faulty.image.bytes), levels)
    davit.fails(1, *FAST, "pull", *flags, ref)
    assert len(faulty.of("manifest", method="GET")) <= 8
    assert not davit.store.blobs() & set(faulty.image.layers)


def test_an_index_that_fans_out_for_ever_is_refused(davit, faulty):
    """threat C3: 4 levels of 64 entries would be 16 million requests"""
    media_type, digest, size = oci.OCI_MANIFEST, faulty.image.digest, len(faulty.image.bytes)
    for level in range(3):
        entries = [{"mediaType": media_type, "digest": digest, "size": size,
                    "annotations": {"n": str(i)}} for i in range(64)]
        data = oci.dumps({"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": entries})
        digest = faulty.add_manifest("demo/web", data, oci.OCI_INDEX, "fan")
        size, media_type = len(data), oci.OCI_INDEX
    davit.run(*FAST, "pull", "--all-platforms", f"{faulty.host}/demo/web:fan")
    assert len(faulty.of("manifest")) < 300


def test_an_index_of_4097_entries_is_refused(davit, faulty):
    """threat C3"""
    entry = {"mediaType": oci.OCI_MANIFEST, "digest": faulty.image.digest,
             "size": len(faulty.image.bytes)}
    data = oci.dumps({"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": [entry] * 4097})
    faulty.add_manifest("demo/web", data, oci.OCI_INDEX, "wide")
    davit.fails(1, *FAST, "pull", f"{faulty.host}/demo/web:wide")


def test_a_child_of_another_type_than_its_descriptor_says_is_refused(davit, faulty):
    """threat B3"""
    data = oci.dumps({"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": [
        {"mediaType": oci.OCI_INDEX, "digest": faulty.image.digest,
         "size": len(faulty.image.bytes)}]})
    faulty.add_manifest("demo/web", data, oci.OCI_INDEX, "confused")
    davit.fails(1, *FAST, "pull", f"{faulty.host}/demo/web:confused")


def with_config(faulty, config, layers=None):
    """demo/web:1.0 with other config bytes."""
    change = {"config": {"mediaType": oci.OCI_CONFIG, "digest": faulty.add_blob(config),
                         "size": len(config)}}
    if layers is not None:
        change["layers"] = layers
    faulty.add_manifest("demo/web", manifest_of(faulty.image, **change), oci.OCI_MANIFEST, "1.0")


@pytest.mark.parametrize("change,why", [
    ({"rootfs": None}, "invalid rootfs in image configuration"),
    ({"rootfs": {"type": "layers", "diff_ids": []}},
     "layers from manifest don't match image configuration"),
    ({"rootfs": {"type": "layers", "diff_ids": [DIGEST, "x", DIGEST]}}, ""),
    ({"os": "windows"}, "cannot be used on this platform"),
    ({"os": "plan9"}, 'image operating system "plan9" cannot be used on this platform'),
    ({"rootfs": {"type": "layers", "diff_ids": "x"}}, "")])
def test_a_config_that_does_not_fit_is_refused(davit, faulty, change, why):
    config = {**faulty.image.layout.json(faulty.image.config), **change}
    with_config(faulty, oci.dumps({k: v for k, v in config.items() if v is not None}))
    result = davit.fails(1, *FAST, "pull", faulty.ref)
    assert why in result.error
    assert davit("images", "-q").text == ""


@pytest.mark.parametrize("config", [
    b"", b"null", b"[]", b"<html>", depth(100000), b"{}",
    b'{"os":"linux","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}',
    b'{"os":"linux","RootFS":{},"rootfs":{"type":"layers","diff_ids":[]}}'], ids=range(8))
def test_a_malformed_config_is_refused(davit, faulty, config):
    """threat B4, C2"""
    with_config(faulty, config)
    davit.fails({1, 5}, *FAST, "pull", faulty.ref)
    assert davit("images", "-q").text == ""


def test_urls_of_a_layer_are_not_asked(davit, faulty):
    """threat A6"""
    document = json.loads(faulty.image.bytes)
    document["layers"][0]["urls"] = [f"{faulty.second_url}/data/{faulty.layer}",
                                     "file:///etc/passwd"]
    faulty.add_manifest("demo/web", oci.dumps(document), oci.OCI_MANIFEST, "1.0")
    davit(*FAST, "pull", faulty.ref)
    assert faulty.of("any", origin="second") == []
