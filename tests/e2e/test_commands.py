"""Every other command of the program: what it prints, exactly, and what it asks for."""
import json
import os
import pty
import re
import signal
import threading
import time

import pytest

from support import oci
from support.davit import FAST, SLOW
from support.faults import Body, Corrupt, Cut, EndlessTags, Link, StallHead, Status
from support.faulty_registry import Bearer

COMMANDS = ["pull", "images", "inspect", "manifest", "config", "digest", "blob", "tags", "ping",
            "version", "help"]


@pytest.fixture
def debian(open_registry):
    return f"{open_registry.host}/demo/debian:1.0"


# ---- manifest, config, digest, blob --------------------------------------------------------------


def test_manifest_is_the_exact_bytes(davit, debian, images):
    assert davit("manifest", debian).out == images.image("debian").bytes


def test_manifest_of_an_index_is_the_index(davit, open_registry, images):
    digest = images.tags()["multi"]["digest"]
    result = davit("manifest", f"{open_registry.host}/demo/multi:1.0")
    assert result.out == images.blob(digest)


def test_manifest_with_a_platform_is_the_child(davit, open_registry, images):
    child = images.json(images.tags()["multi"]["digest"])["manifests"][2]["digest"]
    ref = f"{open_registry.host}/demo/multi:1.0"
    assert davit("manifest", "--platform", "linux/arm/v7", ref).out == images.blob(child)
    assert davit("digest", "--platform", "linux/arm/v7", ref).text == child + "\n"


def test_manifest_by_digest_and_with_a_transport(davit, open_registry, images):
    image = images.image("debian")
    ref = f"docker://{open_registry.host}/demo/debian@{image.digest}"
    assert davit("manifest", ref).out == image.bytes


def test_config_is_the_exact_bytes(davit, debian, images):
    image = images.image("debian")
    assert davit("config", debian).out == image.blob(image.config)


def test_config_of_an_index_is_of_a_platform(davit, open_registry):
    ref = f"{open_registry.host}/demo/multi:1.0"
    assert davit("config", "--platform", "linux/arm/v7", ref).json["architecture"] == "arm"
    if oci.HOST_ARCH in ("amd64", "arm64"):
        assert davit("config", ref).json["architecture"] == oci.HOST_ARCH


def test_digest_is_one_request(davit, open_registry, images):
    mark = open_registry.mark()
    result = davit("digest", f"{open_registry.host}/demo/debian:1.0")
    assert result.text == images.image("debian").digest + "\n"
    assert [a.method for a in open_registry.since(mark)] == ["HEAD"]


def test_digest_of_an_index_is_the_index(davit, open_registry, images):
    assert davit("digest", f"{open_registry.host}/demo/multi:1.0").text == \
        images.tags()["multi"]["digest"] + "\n"


def test_store_transport_asks_no_registry(davit, faulty):
    davit("pull", faulty.ref)
    faulty.clear()
    image = faulty.image
    assert davit("manifest", f"store:{faulty.ref}").out == image.bytes
    assert davit("digest", f"store:{faulty.ref}").text == image.digest + "\n"
    assert davit("config", f"store:{faulty.ref}").out == image.blob(image.config)
    assert faulty.requests == []


def test_blob_to_standard_output(davit, faulty):
    result = davit("blob", f"{faulty.host}/demo/web@{faulty.layer}")
    assert result.out == faulty.image.blob(faulty.layer)


def test_blob_to_a_file(davit, faulty, tmp_path):
    target = tmp_path / "layer.tar.gz"
    result = davit("blob", f"{faulty.host}/demo/web@{faulty.layer}", "-o", target)
    assert result.out == b""
    assert target.read_bytes() == faulty.image.blob(faulty.layer)
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["layer.tar.gz"]


def test_a_corrupt_blob_to_a_file_leaves_no_file_and_the_old_one(davit, faulty, tmp_path):
    """threat B6"""
    faulty.fault("blob", Corrupt(5))
    target = tmp_path / "layer.tar.gz"
    davit.fails(5, *FAST, "blob", f"{faulty.host}/demo/web@{faulty.layer}", "-o", target)
    assert not target.exists()
    target.write_bytes(b"old")
    davit.fails(5, *FAST, "blob", f"{faulty.host}/demo/web@{faulty.layer}", "-o", target)
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["layer.tar.gz"]


def test_a_corrupt_blob_to_standard_output_is_status_5(davit, faulty):
    """threat B6"""
    faulty.fault("blob", Corrupt(5))
    davit.fails(5, *FAST, "blob", f"{faulty.host}/demo/web@{faulty.layer}")


def test_a_cut_blob_to_standard_output_is_whole(davit, faulty):
    faulty.fault("blob", Cut(500000), digest=faulty.layer, nth=1)
    result = davit(*FAST, "blob", f"{faulty.host}/demo/web@{faulty.layer}")
    assert result.out == faulty.image.blob(faulty.layer)


def test_blob_without_a_digest_is_usage(davit, faulty):
    davit.fails(2, "blob", faulty.ref)


def test_blob_to_a_full_device_is_status_7(davit, faulty):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with open("/dev/full", "wb") as full:
        run = davit.start("blob", f"{faulty.host}/demo/web@{faulty.layer}", stdout=full)
        assert run.wait().code in (1, 7)


def test_a_reader_that_leaves_ends_the_blob(davit, faulty):
    run = davit.start("blob", f"{faulty.host}/demo/web@{faulty.layer}")
    run.process.stdout.read(1000)
    run.process.stdout.close()
    deadline = time.monotonic() + 10 * SLOW
    while run.alive and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not run.alive
    assert run.process.returncode != 0


# ---- tags ----------------------------------------------------------------------------------------


def test_tags_one_a_line(davit, open_registry):
    lines = davit("tags", f"{open_registry.host}/demo/tags").lines
    assert sorted(lines) == ["1.1", "2.0", "latest"]


def test_tags_of_many_pages(davit, faulty):
    names = [f"v{i:03}" for i in range(95)]
    for name in names:
        faulty.add_manifest("demo/many", faulty.image.bytes, oci.OCI_MANIFEST, name)
    faulty.page_size = 10
    assert davit("tags", f"{faulty.host}/demo/many").lines == names
    assert len(faulty.of("tags")) == 10


def test_endless_tag_pages_end(davit, faulty):
    """threat C4"""
    faulty.fault("tags", EndlessTags())
    result = davit.run(*FAST, "tags", f"{faulty.host}/demo/web", timeout=60)
    assert result.code != 0, "the list is not whole, and it says so"
    assert len(faulty.of("tags")) <= 10001
    assert len(result.errors) == 1


def test_a_page_that_links_to_itself_ends(davit, faulty):
    """threat C4"""
    faulty.fault("tags", Link('</v2/demo/web/tags/list>; rel="next"'))
    result = davit.run(*FAST, "tags", f"{faulty.host}/demo/web")
    assert len(faulty.of("tags")) <= 3
    assert result.lines[:1] == ["1.0"]


def test_a_next_page_on_another_host_is_not_asked_for_there(davit, faulty):
    """threat A8"""
    faulty.auth = Bearer()
    faulty.fault("tags", Link(f'<{faulty.second_url}/v2/demo/web/tags/list?last=x>; rel="next"'),
                 nth=1)
    faulty.fault("tags", Link(f'<{faulty.second_url}/v2/demo/web/tags/list?last=x>; rel="next"'),
                 nth=2)
    davit.run(*FAST, "tags", f"{faulty.host}/demo/web")
    assert faulty.of("any", origin="second") == []


def test_only_rel_next_is_a_next_page(davit, faulty):
    faulty.fault("tags", Link('</v2/demo/web/tags/list?last=x>; rel="last"'))
    assert davit("tags", f"{faulty.host}/demo/web").lines == ["1.0"]
    assert len(faulty.of("tags")) == 1


@pytest.mark.parametrize("body", [b'{"name":"demo/web","tags":null}', b'{"name":"demo/web"}',
                                  b'{"name":"demo/web","tags":[]}'])
def test_no_tags_is_an_empty_list(davit, faulty, body):
    faulty.fault("tags", Body(body))
    assert davit("tags", f"{faulty.host}/demo/web").text == ""


def test_nulls_and_invalid_names_do_not_fail_the_list(davit, faulty):
    """quirks: Artifactory, Quay"""
    faulty.fault("tags", Body(oci.dumps({"name": "demo/web", "tags": [
        None, "1.0", "sha256:" + "a" * 64]})))
    result = davit("tags", f"{faulty.host}/demo/web")
    assert "1.0" in result.lines and "null" not in result.lines


def test_control_characters_of_a_registry_do_not_reach_the_terminal(davit, faulty):
    """threat C11"""
    faulty.fault("tags", Body(json.dumps({"name": "demo/web", "tags": [
        "\x1b]0;owned\x07", "a\u202eb", "\x9b31m"]}, ensure_ascii=False).encode()))
    result = davit.run("tags", f"{faulty.host}/demo/web")
    for bad in (b"\x1b", b"\x07", "\u202e".encode(), "\x9b".encode()):
        assert bad not in result.out + result.err


def test_control_characters_in_an_error_are_escaped(davit, faulty):
    """threat C11"""
    body = json.dumps({"errors": [{"code": "DENIED", "message": "no\x1b[2J\nway\u202e\x9b"}]},
                      ensure_ascii=False).encode()
    faulty.fault("manifest", Status(403, body, (("Content-Type", "application/json"),)))
    result = davit.fails(4, "pull", faulty.ref)
    for bad in (b"\x1b", "\u202e".encode(), "\x9b".encode()):
        assert bad not in result.err


def test_tags_of_a_missing_repository_is_status_3(davit, open_registry):
    davit.fails(3, "tags", f"{open_registry.host}/demo/absent")


# ---- ping, version, help -------------------------------------------------------------------------


def test_ping(davit, open_registry):
    assert davit("ping", open_registry.host).code == 0
    assert davit("ping", f"https://{open_registry.host}/v2/").code == 0, "a URL's host counts"


@pytest.mark.parametrize("status,code", [(401, {0, 4}), (404, {1, 3}), (500, {1, 6})])
def test_ping_tells_answers_apart(davit, faulty, status, code):
    faulty.fault("ping", Status(status))
    result = davit.run(*FAST, "ping", faulty.host)
    assert result.code in code, str(result)


def test_ping_of_nobody_is_status_6(davit, free_port):
    davit.fails(6, *FAST, "ping", f"127.0.0.1:{free_port}")


@pytest.mark.parametrize("flags", [["version"], ["--version"]])
def test_version(davit, flags):
    assert re.search(r"\d+\.\d+", davit(*flags).text)


@pytest.mark.parametrize("flags", [["help"], ["--help"]])
def test_help_names_every_command(davit, flags):
    text = davit(*flags).text
    for command in COMMANDS:
        assert re.search(rf"^\s+{command}\b", text, re.M), command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(davit, command):
    assert command in davit("help", command).text
    assert davit(command, "--help").text == davit("help", command).text


def test_a_terminal_shows_a_manifest_escaped(davit, faulty):
    """threat C11"""
    data = faulty.image.bytes[:-1] + b',"annotations":{"a":"\xc2\x9b31m"}}'
    faulty.add_manifest("demo/web", data, oci.OCI_MANIFEST, "odd")
    assert davit("manifest", f"{faulty.host}/demo/web:odd").out == data
    primary, secondary = pty.openpty()
    seen = []

    def read():
        try:
            while piece := os.read(primary, 65536):
                seen.append(piece)
        except OSError:
            pass
    reader = threading.Thread(target=read)
    reader.start()
    run = davit.start("manifest", f"{faulty.host}/demo/web:odd", stdout=secondary)
    os.close(secondary)
    assert run.wait().code == 0
    reader.join(5)
    os.close(primary)
    assert b"\xc2\x9b" not in b"".join(seen)


@pytest.mark.parametrize("args", [["digest"], ["manifest"], ["config"], ["pull"]])
def test_ctrl_c_ends_every_command_within_a_second(davit, faulty, args):
    faulty.fault("any", StallHead(60))
    run = davit.start(*args, faulty.ref)
    faulty.wait(lambda: bool(faulty.requests))
    started = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait(5).code == 130
    assert time.monotonic() - started < 1.0 * SLOW


@pytest.mark.parametrize("args", [["tags", "{host}/demo/web"], ["ping", "{host}"],
                                  ["blob", "{host}/demo/web@{layer}"],
                                  ["inspect", "docker://{host}/demo/web:1.0"]])
def test_ctrl_c_ends_the_others_too(davit, faulty, args):
    faulty.fault("any", StallHead(60))
    run = davit.start(*(a.format(host=faulty.host, layer=faulty.layer) for a in args))
    faulty.wait(lambda: bool(faulty.requests))
    started = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait(5).code == 130
    assert time.monotonic() - started < 1.0 * SLOW


# ---- images, inspect -----------------------------------------------------------------------------


def test_images_of_an_empty_store(davit):
    assert davit("images", "--json").json == []
    assert davit("images", "-q").text == ""
    header = davit("images").lines[0].split()
    assert header == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]


def test_images_table(davit, open_registry, images):
    davit("pull", f"{open_registry.host}/demo/debian:1.0")
    row = davit("images").lines[1].split()
    assert row[:3] == [f"{open_registry.host}/demo/debian", "1.0",
                       images.image("debian").config[7:19]]
    assert davit("images", "-q").text.strip() in images.image("debian").config
    header, row = (line.split() for line in davit("images", "--digests").lines)
    assert header[:3] == ["REPOSITORY", "TAG", "DIGEST"]
    assert row[2] == images.image("debian").digest


def test_images_json(davit, open_registry, images):
    name = f"{open_registry.host}/demo/debian"
    davit("pull", f"{name}:1.0")
    image = images.image("debian")
    [entry] = davit("images", "--json").json
    assert entry["Id"] == image.config
    assert entry["RepoTags"] == [f"{name}:1.0"]
    assert entry["RepoDigests"] == [f"{name}@{image.digest}"]
    assert entry["Created"] == oci.MTIME
    assert entry["Size"] > 0


def test_two_tags_of_one_image_are_one_image(davit, open_registry):
    name = f"{open_registry.host}/demo/tags"
    davit("pull", f"{name}:1.1", f"{name}:2.0")
    [entry] = davit("images", "--json").json
    assert sorted(entry["RepoTags"]) == [f"{name}:1.1", f"{name}:2.0"]
    assert len(davit("images").lines) == 3


@pytest.mark.parametrize("transport", ["", "store:", "docker://"])
def test_inspect(davit, open_registry, images, transport):
    name = f"{open_registry.host}/demo/debian"
    if transport != "docker://":
        davit("pull", f"{name}:1.0")
    image = images.image("debian")
    config = images.json(image.config)
    [entry] = davit("inspect", f"{transport}{name}:1.0").json
    assert entry["Id"] == image.config
    assert entry["RepoTags"] == [f"{name}:1.0"]
    assert entry["RepoDigests"] == [f"{name}@{image.digest}"]
    assert entry["Architecture"] == oci.HOST_ARCH and entry["Os"] == "linux"
    assert entry["Created"] == oci.CREATED
    assert entry["RootFS"] == {"Type": "layers", "Layers": config["rootfs"]["diff_ids"]}
    assert entry["Config"]["Cmd"] == ["sh"] and entry["Config"]["Env"] == config["config"]["Env"]
    if transport == "docker://":
        assert davit("images", "-q").text == ""


def test_inspect_says_the_variant(davit, open_registry):
    ref = f"docker://{open_registry.host}/demo/multi:1.0"
    [entry] = davit("inspect", "--platform", "linux/arm/v7", ref).json
    assert (entry["Architecture"], entry["Variant"]) == ("arm", "v7")


def test_inspect_by_image_id(davit, open_registry, images):
    davit("pull", f"{open_registry.host}/demo/debian:1.0")
    image = images.image("debian")
    for name in (image.config, image.config[7:19]):
        assert davit("inspect", name).json[0]["Id"] == image.config


@pytest.mark.parametrize("command", ["inspect", "manifest", "digest", "config"])
def test_what_is_not_in_the_store_is_status_3(davit, command):
    davit.fails(3, command, "store:127.0.0.1:5000/demo/absent:1.0")
