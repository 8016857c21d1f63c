"""inspect and history of layouts, archives and directories that skopeo made."""
import subprocess

import pytest

KINDS = ("oci", "oci-archive", "docker-archive", "dir")


def run(*argv):
    done = subprocess.run(list(map(str, argv)), capture_output=True)
    assert done.returncode == 0, f"{argv}: {done.stderr.decode()}"


def skopeo_copy(source, target):
    run("skopeo", "--insecure-policy", "copy", "-q", source, target)


@pytest.fixture(scope="module")
def real(images, tmp_path_factory):
    """{kind: place} of files of Debian in six layers, as skopeo writes them."""
    where = tmp_path_factory.mktemp("real")
    places = {"oci": f"oci:{where}/layout:derived", "oci-archive": f"oci-archive:{where}/oci.tar:derived",
              "docker-archive": f"docker-archive:{where}/docker.tar:demo/derived:1", "dir": f"dir:{where}/dir"}
    for place in places.values():
        skopeo_copy(f"oci:{images.path}:derived", place)
    return places


@pytest.mark.parametrize("kind", KINDS)
def test_inspect_and_history_say_of_it_what_the_store_says(davit, other_davit, real, images, kind):
    place = real[kind]
    other_davit("copy", f"oci:{images.path}:derived", "store:derived:1")
    [said], [stored] = davit("inspect", place).json, other_davit("inspect", "derived:1").json
    assert said["RepoTags"] == said["RepoDigests"] == []
    same = ("Id", "Created", "Architecture", "Os", "Config", "RootFS")
    assert {k: said[k] for k in same} == {k: stored[k] for k in same}
    steps, those = davit("history", "--json", place).json, other_davit("history", "--json", "derived:1").json
    assert steps[0].pop("Tags") is None and those[0].pop("Tags") == ["derived:1"]
    if kind == "docker-archive":        # its layers are not compressed
        assert said["Size"] > stored["Size"] and said["Size"] > sum(step.pop("Size") for step in steps) > \
            sum(step.pop("Size") for step in those)
    else:
        assert said["Descriptor"] == stored["Descriptor"] and said["Size"] == stored["Size"]
    assert steps == those
    assert len(davit("history", place).lines) == 7
    assert not davit.store.path.exists()
