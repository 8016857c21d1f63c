"""davit tags and catalog: parts of lists, against Debian's docker-registry, which gives all tags in no order whatever is asked, and
pages of its catalogue; and against the scripted one."""
import pytest

from support import oci
from support.faults import Status


@pytest.fixture(scope="module")
def many(images, open_registry):
    """A repository with five tags, and their order in this registry."""
    for tag in ("b", "a", "1.1", "latest", "2.0"):
        open_registry.push(images, "twice", f"lists/many:{tag}")
    return f"{open_registry.host}/lists/many"


def test_parts_of_the_tags_make_the_whole(davit, many):
    whole = davit("tags", many).lines
    assert sorted(whole) == ["1.1", "2.0", "a", "b", "latest"]
    parts = davit("tags", "--limit", 2, many).lines
    assert parts == whole[:2]
    while len(part := davit("tags", "--limit", 2, "--last", parts[-1], many).lines) == 2:
        parts += part
    assert parts + part == whole


def test_limit_of_the_tags_as_json(davit, many):
    whole = davit("tags", many).lines
    assert davit("tags", "--json", "--limit", 3, many).json == {"name": "lists/many", "tags": whole[:3]}
    assert davit("tags", "--json", "--last", whole[-1], many).json == {"name": "lists/many", "tags": []}


def test_limit_over_pages(davit, faulty):
    names = [f"t{i:04d}" for i in range(1500)]
    for name in names:
        faulty.add_manifest("demo/many", faulty.image.bytes, oci.OCI_MANIFEST, name)
    faulty.page_size = 1000
    assert davit("tags", "--limit", 1200, f"{faulty.host}/demo/many").lines == names[:1200]
    assert len(faulty.of("tags")) == 2
    assert [r.query["n"] for r in faulty.of("tags")] == [["1000"], ["1000"]]


def test_catalog_is_every_repository(davit, open_registry, many):
    names = davit("catalog", open_registry.host).lines
    assert {"demo/debian", "lists/many"} <= set(names)
    assert davit("catalog", "--json", open_registry.host).json == {"repositories": names}


def test_parts_of_the_catalog_make_the_whole(davit, open_registry, many):
    whole = davit("catalog", open_registry.host).lines
    first = davit("catalog", "--limit", 2, open_registry.host).lines
    assert first == whole[:2]
    assert davit("catalog", "--last", first[-1], open_registry.host).lines == whole[2:]


def test_a_registry_without_catalog(davit, faulty):
    faulty.fault("catalog", Status(404), times=9)
    result = davit.fails(1, "catalog", faulty.host)
    assert f"{faulty.host} does not list its repositories" in result.error


def test_catalog_for_nobody(davit, htpasswd_registry):
    result = davit.fails(4, "catalog", htpasswd_registry.host)
    assert htpasswd_registry.host in result.error


@pytest.mark.parametrize("argv", [
    ("tags",), ("tags", "a/b", "c"), ("tags", "--limit", "0", "a/b"), ("tags", "--limit", "x", "a/b"), ("tags", "a/b:tag"),
    ("tags", "--last", "", "a/b"), ("tags", "--limit", "3", "store:a/b"), ("tags", "UPPER"),
    ("catalog",), ("catalog", "a/b/c"), ("catalog", "host", "x"), ("catalog", "--limit", "-1", "host"),
])
def test_bad_usage(davit, argv):
    davit.fails(2, *argv)


def test_tags_of_what_does_not_exist(davit, open_registry):
    davit.fails(3, "tags", "--limit", 3, f"{open_registry.host}/demo/nothing")
