"""The care of a store: tag, rmi, prune, df, history, fsck; and what of it a read-only store allows."""
import json
import os
import re
import time

import pytest

from support import oci
from support.davit import FAST
from support.faults import Pace
from support.faulty_registry import FaultyRegistry
from support.namespace import Namespace

NONE = "sha256:" + "0" * 64


def chain_ids(diff_ids):
    """Bottom first."""
    chains = []
    for diff_id in diff_ids:
        chains.append(oci.sha256(f"{chains[-1]} {diff_id}".encode()) if chains else diff_id)
    return chains


class Pictures:
    """Images of two or three layers on a common base, in a registry."""

    def __init__(self, layout, registry, names):
        self.layout, self.registry = layout, registry
        self.base = oci.noise_layer("base", 30000)
        for name in names:
            layout.tag(name, layout.add_image([self.base, oci.noise_layer(name, 10000)]))
            registry.add_image(layout, name, f"demo/{name}:1.0")

    def ref(self, name):
        return f"{self.registry.host}/demo/{name}:1.0"

    def by_digest(self, name):
        return f"{self.registry.host}/demo/{name}@{self.image(name).digest}"

    def image(self, name):
        return self.layout.image(name)

    def id(self, name):
        return self.layout.json(self.image(name).digest)["config"]["digest"]

    def chains(self, name):
        return chain_ids(self.layout.json(self.id(name))["rootfs"]["diff_ids"])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    layout = oci.Layout.create(tmp_path_factory.mktemp("pictures") / "layout")
    with FaultyRegistry() as registry:
        yield Pictures(layout, registry, ["one", "two", "three"])


@pytest.fixture
def full(davit, pictures):
    """A store with one, two and three."""
    for name in ("one", "two", "three"):
        davit(*FAST, "pull", pictures.ref(name))
    return davit


def whole(davit, *flags):
    """fsck finds nothing at all."""
    result = davit("fsck", "--full", "--json", *flags).json
    assert result["Findings"] == [], result
    return result


# ---- tag -----------------------------------------------------------------------------------------


def tags_of(davit, image_id):
    [image] = [i for i in davit("images", "--json").json if i["Id"] == image_id] or [{"RepoTags": []}]
    return image["RepoTags"]


@pytest.mark.parametrize("source", ["ref", "store:ref", "by_digest", "id", "short", "hex"])
def test_tag_takes_names_ids_and_their_beginnings(full, pictures, source):
    image_id = pictures.id("one")
    text = {"ref": pictures.ref("one"), "store:ref": "store:" + pictures.ref("one"),
            "by_digest": pictures.by_digest("one"), "id": image_id, "short": image_id[7:19],
            "hex": image_id[7:]}[source]
    full("tag", text, "mine")
    assert "mine:latest" in tags_of(full, image_id)
    whole(full)


def test_a_tag_that_is_taken_moves_unless_it_must_not(full, pictures):
    full("tag", pictures.ref("one"), "mine:1")
    error = full.fails(1, "tag", "--no-replace", pictures.ref("two"), "mine:1").error
    assert re.search(r"tag mine:1 is already set to image sha256:\w{64}, use the force option to "
                     r"replace it", error)
    full("tag", "--no-replace", pictures.ref("one"), "mine:1")
    full("tag", pictures.ref("two"), "mine:1")
    assert "mine:1" in tags_of(full, pictures.id("two"))
    assert "mine:1" not in tags_of(full, pictures.id("one"))


@pytest.mark.parametrize("source, target, code, text", [
    ("nope:1", "x:1", 3, "No such image: nope:1"),
    ("REF", f"x@{NONE}", 2, "refusing to create a tag with a digest reference"),
    ("REF", "sha256:1", 2, "refusing to create an ambiguous tag using digest algorithm as name"),
    ("REF", "UPPER", 2, ""),
    ("docker://REF", "x:1", 2, "the store"),
])
def test_tags_that_are_refused(full, pictures, source, target, code, text):
    source = source.replace("REF", pictures.ref("one"))
    assert text in full.fails(code, "tag", source, target).error
    whole(full)


# ---- rmi -----------------------------------------------------------------------------------------


def test_rmi_prints_what_docker_prints_and_takes_what_nobody_else_needs(full, pictures):
    result = full("rmi", pictures.ref("one"))
    assert result.lines == [f"Untagged: {pictures.ref('one')}", f"Untagged: {pictures.by_digest('one')}",
                            f"Deleted: {pictures.id('one')}", f"Deleted: {pictures.chains('one')[1]}"]
    full.store.assert_exactly(pictures.image("two").blobs | pictures.image("three").blobs)
    result = full("rmi", "--json", pictures.ref("two"), pictures.ref("three"))
    assert [list(step.values())[0] for step in result.json] == [
        pictures.ref("two"), pictures.by_digest("two"), pictures.id("two"), pictures.chains("two")[1],
        pictures.ref("three"), pictures.by_digest("three"), pictures.id("three"),
        pictures.chains("three")[1], pictures.chains("three")[0]]
    assert [list(step)[0] for step in result.json][:3] == ["Untagged", "Untagged", "Deleted"]
    full.store.assert_exactly(set())


def test_rmi_of_an_id_that_several_repositories_name(full, pictures):
    full("tag", pictures.ref("one"), "mine:1")
    short = pictures.id("one")[7:19]
    error = full.fails(1, "rmi", short).error
    assert error == (f"davit: conflict: unable to delete {short} (must be forced) - image is referenced "
                     "in multiple repositories")
    whole(full)
    result = full("rmi", "-f", short)
    assert f"Deleted: {pictures.id('one')}" in result.lines and "Untagged: mine:1" in result.lines
    full.store.assert_exactly(pictures.image("two").blobs | pictures.image("three").blobs)


def test_rmi_goes_on_behind_a_name_that_fails(full, pictures):
    result = full.fails(3, "rmi", pictures.ref("one"), "nope:1", "nope:2", pictures.ref("two"))
    assert f"Deleted: {pictures.id('one')}" in result.lines
    assert f"Deleted: {pictures.id('two')}" in result.lines
    assert result.error == "davit: No such image: nope:1; No such image: nope:2"
    full.store.assert_exactly(pictures.image("three").blobs)


def test_rmi_with_force_only_mentions_what_is_not_there(full, pictures):
    result = full("rmi", "-f", "nope:1", pictures.ref("one"))
    assert result.messages == ["warning: No such image: nope:1"]
    assert f"Deleted: {pictures.id('one')}" in result.lines


def test_rmi_no_prune_leaves_the_blobs_to_prune(full, pictures):
    full("rmi", "--no-prune", pictures.ref("one"))
    assert full.store.blobs() >= pictures.image("one").blobs
    full("prune", "-q")
    full.store.assert_exactly(pictures.image("two").blobs | pictures.image("three").blobs)


def test_rmi_without_a_store(davit):
    assert "No such image: x" in davit.fails(3, "rmi", "x").error
    assert davit("rmi", "-f", "x").messages == ["warning: No such image: x"]
    assert not davit.store.path.exists()


def test_rmi_keeps_what_a_pull_that_is_running_wants(full, pictures):
    """Its own base layer goes while a pull that has leased it waits for the rest."""
    registry = pictures.registry
    registry.clear()
    slow = oci.noise_layer("slow", 3_000_000)
    pictures.layout.tag("slow", pictures.layout.add_image([pictures.base, slow]))
    registry.add_image(pictures.layout, "slow", "demo/slow:1.0")
    registry.fault("blob", Pace(1_500_000))
    pull = full.start(*FAST, "pull", pictures.ref("slow"))
    registry.wait_sent(500_000)
    full("rmi", *(pictures.ref(name) for name in ("one", "two", "three")))
    full("prune", "-a")
    assert pictures.image("one").layers[0] in full.store.blobs(), "the pull has leased it"
    registry.clear()
    result = pull.wait()
    assert result.code == 0, str(result)
    full.store.assert_exactly(pictures.image("slow").blobs)
    whole(full)


# ---- prune ---------------------------------------------------------------------------------------


def test_prune_takes_dangling_images_and_what_nobody_needs(full, pictures):
    full("tag", pictures.ref("two"), pictures.ref("one"))
    dry = full("prune", "--dry-run").lines
    assert dry[0] == f"Would untag: {pictures.by_digest('one')}"
    assert f"Would delete: {pictures.id('one')}" in dry and dry[-1].startswith("Reclaimable space: ")
    assert full.store.blobs() >= pictures.image("one").blobs
    result = full("prune", "--json").json
    assert {"Deleted": pictures.id("one")} in result["ImagesDeleted"]
    assert result["BlobsDeleted"] == 3 and 20000 < result["SpaceReclaimed"] < 30000
    full.store.assert_exactly(pictures.image("two").blobs | pictures.image("three").blobs)
    assert full("prune").lines == ["Total reclaimed space: 0B"]


def test_prune_all_with_until(full, pictures):
    """The images say that they are of 2023-11-14T22:13:20Z."""
    for until in ("2023-11-14T22:13:20Z", "2023-11-14", "1700000000", "90000h"):
        assert full("prune", "-a", "--filter", f"until={until}").lines == ["Total reclaimed space: 0B"]
    full("prune", "-a", "--filter", "until=2023-11-15")
    full.store.assert_exactly(set())


@pytest.mark.parametrize("filters, text", [
    (["until=yesterday"], "neither a duration"),
    (["label=x"], "invalid filter 'label=x'"),
    (["until=1h", "until=2h"], "more than one until filter specified"),
])
def test_filters_that_are_refused(full, filters, text):
    words = [word for value in filters for word in ("--filter", value)]
    assert text in full.fails(2, "prune", "-a", *words).error
    assert len(full("images", "-q").lines) == 3


def test_prune_drops_old_ingests_and_spares_the_young(full):
    folder = full.store.path / "ingest"
    folder.mkdir(exist_ok=True)
    now = time.time()
    ages = {"sha256-" + "1" * 64: 8 * 86400, "sha256-" + "2" * 64: 6 * 86400,
            "sha256-" + "3" * 64: -8 * 86400, "sha256-" + "4" * 64: -3600,
            "new-" + "1" * 16: 3600, "new-" + "2" * 16: 0}
    for name, age in ages.items():
        (folder / name).write_bytes(b"x" * 1000)
        os.utime(folder / name, (now - age, now - age))
    assert full("prune", "-f", "--json").json["IngestsDeleted"] == 3
    assert full.store.ingests() == ["new-" + "2" * 16, "sha256-" + "2" * 64, "sha256-" + "4" * 64]


def test_prune_without_a_store(davit):
    assert davit("prune").lines == ["Total reclaimed space: 0B"]
    assert not davit.store.path.exists()


# ---- images --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def years(tmp_path_factory):
    """Images of 2020, 2021 and 2022, and one that does not say when it was made, in a layout."""
    layout = oci.Layout.create(tmp_path_factory.mktemp("years") / "layout")
    for name, created in (("y20", "2020-06-01T00:00:00Z"), ("y21", "2021-06-01T00:00:00Z"),
                          ("y22", "2022-06-01T00:00:00.5Z"), ("never", None)):
        labels = {"year": name, "even": "yes"} if name in ("y20", "y22") else {}
        layout.tag(f"demo/{name}:1", layout.add_image([oci.noise_layer(name, 1000)], created=created,
                                                      config={"Labels": labels}))
    return layout


@pytest.mark.parametrize("filters, wanted", [
    ([], "y20 y21 y22 never"),
    (["dangling=false"], "y20 y21 y22 never"),
    (["dangling=true"], ""),
    (["before=demo/y21:1"], "y20 never"),
    (["since=demo/y20:1"], "y21 y22"),
    (["since=demo/y20:1", "before=demo/y22:1"], "y21"),
    (["since=demo/never:1"], "y20 y21 y22"),
    (["until=2021-01-01"], "y20 never"),
    (["reference=demo/y2*"], "y20 y21 y22"),
    (["reference=*/y20", "reference=demo/never:1"], "y20 never"),
    (["reference=demo/nothing"], ""),
    (["label=even"], "y20 y22"),
    (["label=even=yes", "label=year=y22"], "y22"),
    (["label=even=no"], ""),
    (["label=even", "since=demo/y21:1"], "y22"),
])
def test_images_by_filter(davit, years, filters, wanted):
    davit("load", "-q", "-i", years.path)
    words = [word for value in filters for word in ("--filter", value)]
    listed = {image["RepoTags"][0] for image in davit("images", "--json", *words).json}
    assert listed == {f"demo/{name}:1" for name in wanted.split()}
    assert len(davit("images", "-q", "-a", *words).lines) == len(wanted.split())
    assert len(davit("images", *words).lines) == 1 + len(wanted.split())


def test_images_without_a_name_are_the_dangling_ones(full, pictures):
    full("tag", pictures.ref("two"), pictures.ref("one"))
    assert full("images", "-q", "--no-trunc", "-f", "dangling=true").lines == [pictures.id("one")]
    assert pictures.id("one") not in full("images", "-q", "--no-trunc", "-f", "dangling=0").lines
    assert len(full("images", "-f", f"reference={pictures.ref('two')}").lines) == 2
    assert len(full("images", "-f", "reference=*/demo/*", pictures.ref("two")).lines) == 2
    full("rmi", *full("images", "-q", "-f", "dangling=true").lines)
    assert full("images", "-q", "-f", "dangling=true").lines == []


@pytest.mark.parametrize("filter_, code, text", [
    ("dangling=maybe", 2, "it is true or false"),
    ("dangling", 2, "invalid filter 'dangling'"),
    ("reference=", 2, "invalid filter 'reference='"),
    ("colour=red", 2, "invalid filter 'colour=red'"),
    ("until=yesterday", 2, "neither a duration"),
    ("before=nope:1", 3, "No such image: nope:1"),
    ("since=nope:1", 3, "No such image: nope:1"),
])
def test_images_filters_that_are_refused(davit, full, filter_, code, text):
    assert text in full.fails(code, "images", "--filter", filter_).error
    assert full("images", "--filter", "reference=x", "-q").lines == []


def test_filters_without_a_store(davit):
    assert "No such image: x" in davit.fails(3, "images", "-f", "before=x").error
    assert davit("images", "-q", "-f", "dangling=true").lines == []
    assert not davit.store.path.exists()


def test_inspect_says_what_it_found_and_what_it_did_not(full, pictures):
    result = full.run("inspect", pictures.ref("one"), "nope:1", pictures.id("two"), "nope:2")
    assert result.code == 3
    assert [image["Id"] for image in result.json] == [pictures.id("one"), pictures.id("two")]
    assert b"No such image: nope:1; No such image: nope:2" in result.err
    assert full.fails(3, "inspect", "nope:1", "nope:2").out == b""


# ---- df and history ------------------------------------------------------------------------------


def usage(davit):
    return {part["Type"]: part for part in davit("df", "--json").json["Usage"]}


def test_df_counts_shared_layers_once(full, pictures):
    document = full("df", "--json").json
    parts = {part["Type"]: part for part in document["Usage"]}
    needed = set().union(*(pictures.image(n).blobs for n in ("one", "two", "three")))
    size = sum(os.stat(full.store.blob_path(digest)).st_size for digest in needed)
    assert (parts["images"]["Count"], parts["images"]["Size"]) == (3, size)
    assert (parts["layers"]["Count"], parts["shared-layers"]["Count"]) == (4, 1)
    assert parts["shared-layers"]["Size"] == len(pictures.base[0])
    assert all(part["Reclaimable"] == 0 for part in parts.values())
    [one] = [i for i in document["Images"] if i["Id"] == pictures.id("one")]
    assert one["SharedSize"] == len(pictures.base[0])
    assert one["UniqueSize"] == one["Size"] - one["SharedSize"]
    assert one["Size"] == sum(os.stat(full.store.blob_path(d)).st_size
                              for d in pictures.image("one").blobs)
    table = full("df", "-v").text
    assert "RECLAIMABLE" in table and "UNIQUE SIZE" in table and pictures.id("one")[7:19] in table


def test_df_tells_what_prune_will_free(full, pictures):
    full("tag", pictures.ref("two"), pictures.ref("one"))
    blob = full.store.path / "blobs" / "sha256" / oci.sha256(b"of nobody")[7:]
    blob.write_bytes(b"of nobody")
    said = usage(full)["total"]["Reclaimable"]
    assert said == full("prune", "--json").json["SpaceReclaimed"] > 10000
    assert usage(full)["total"]["Reclaimable"] == 0


def test_history_is_newest_first(full, pictures):
    lines = full("history", pictures.ref("one")).lines
    assert lines[0].split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert lines[1].startswith(pictures.id("one")[7:19]) and "layer 1" in lines[1]
    assert lines[2].startswith("<missing>") and "layer 0" in lines[2]
    steps = full("history", "--json", pictures.id("one")[7:]).json
    assert [s["Id"] for s in steps] == [pictures.id("one"), "<missing>"]
    assert steps[1]["Size"] == len(pictures.base[0])
    assert steps[0]["Tags"] == [pictures.ref("one")] and steps[1]["Tags"] is None
    assert steps[0]["Created"] == oci.MTIME
    assert full("history", "-q", "--no-trunc", pictures.ref("one")).lines == [pictures.id("one"), "<missing>"]


def test_history_of_layers_and_steps_that_do_not_pair(davit, tmp_path):
    """Steps without a layer, layers without a step, and more steps than layers."""
    layout = oci.Layout.create(tmp_path / "odd")
    long = "RUN " + "ä" * 60 + "\tend"
    histories = {
        "empty": [{"created_by": "one"}, {"created_by": long, "empty_layer": True, "comment": "c"}],
        "fewer": [],
        "more": [{"created_by": str(i)} for i in range(3)],
    }
    with FaultyRegistry() as registry:
        for name, history in histories.items():
            layers = [oci.noise_layer(name, 1000), oci.noise_layer(name + "2", 1000)]
            layout.tag(name, layout.add_image(layers[:1] if name == "empty" else layers, history=history))
            registry.add_image(layout, name, f"demo/{name}:1.0")
        ref = f"{registry.host}/demo/%s:1.0"
        error = davit.fails(1, *FAST, "pull", ref % "more").error
        assert "too many non-empty layers in History section" in error
        for name in ("empty", "fewer"):
            davit(*FAST, "pull", ref % name)
        steps = davit("history", "--json", ref % "empty").json
        assert [s["CreatedBy"] for s in steps] == [long, "one"]
        assert steps[0]["Size"] == 0 and steps[1]["Size"] > 1000 and steps[0]["Comment"] == "c"
        table = davit("history", ref % "empty").text
        assert "RUN " + "ä" * 40 + "…" in table and "ä" * 41 not in table
        assert "RUN " + "ä" * 60 + " end" in davit("history", "--no-trunc", ref % "empty").text
        assert [s["CreatedBy"] for s in davit("history", "--json", ref % "fewer").json] == ["", ""]


def test_history_of_a_child_that_was_moved_as_content(davit, tmp_path):
    """What is no longer checked of it when it comes, is when it is asked for."""
    layout = oci.Layout.create(tmp_path / "odd")
    child = layout.add_image([oci.noise_layer("c", 1000)], history=[{"created_by": str(i)} for i in range(2)])
    child["platform"] = {"architecture": oci.HOST_ARCH, "os": "linux"}
    layout.tag("index", layout.add_index([child]))
    with FaultyRegistry() as registry:
        registry.add_image(layout, "index", "demo/index:1.0")
        ref = f"{registry.host}/demo/index:1.0"
        assert "too many non-empty" in davit.fails(1, *FAST, "pull", ref).error
        davit(*FAST, "pull", "--all-platforms", ref)
        assert "too many non-empty layers in History section" in davit.fails(1, "history", ref).error


# ---- fsck ----------------------------------------------------------------------------------------


def spoil(path):
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_fsck_repairs_by_forgetting_and_pull_completes(full, pictures):
    assert whole(full)["Images"] == 3
    layer = pictures.image("one").layers[1]
    spoil(full.store.blob_path(layer))
    assert "3 images" in full("fsck").text, "layers are only looked at for their sizes"
    result = full.fails(5, "fsck", "--full")
    assert f"blob blobs/sha256/{layer[7:]}: is damaged" in result.text
    assert "run 'davit fsck --repair'" in result.error
    document = full.run("fsck", "--full", "--repair", "--json").json
    [image] = [found for found in document["Findings"] if found["Kind"] == "image"]
    assert image["Subject"] == pictures.id("one") and layer in image["Message"]
    assert image["Remedy"] == f"davit pull {pictures.ref('one')}"
    assert not full.store.blob_path(layer).exists()
    pictures.registry.clear()
    full(*FAST, *image["Remedy"].split()[1:])
    assert len(pictures.registry.gets()) == len(pictures.registry.gets(layer)) == 1, "only what was missing"
    whole(full)


def test_fsck_in_a_store_that_is_in_use(full, pictures):
    registry = pictures.registry
    registry.clear()
    layout = pictures.layout
    layout.tag("used", layout.add_image([pictures.base, oci.noise_layer("used", 2_000_000)]))
    registry.add_image(layout, "used", "demo/used:1.0")
    registry.fault("blob", Pace(1_500_000))
    pull = full.start(*FAST, "pull", pictures.ref("used"))
    registry.wait_sent(300_000)
    while pull.alive:
        assert full("fsck", "--full", "--repair", "--json").json["Damage"] == 0
    registry.clear()
    assert pull.wait().code == 0
    whole(full)


def test_fsck_without_a_store(davit):
    assert "no store at" in davit.fails(3, "fsck").error


# ---- read-only -----------------------------------------------------------------------------------


@pytest.fixture
def read_only(full):
    path = full.store.path
    with Namespace(f"mount --bind '{path}' '{path}' && mount -o remount,ro,bind '{path}'") as namespace:
        if namespace.refused:
            pytest.skip(namespace.refused)
        full.prefix = namespace.enter
        yield full
        full.prefix = []


def test_a_read_only_store_can_be_looked_at(read_only, pictures):
    davit = read_only
    assert len(davit("history", "--json", pictures.ref("one")).json) == 2
    assert usage(davit)["images"]["Count"] == 3
    assert davit("fsck", "--full", "--json").json["Findings"] == []
    for words in (["tag", pictures.ref("one"), "x:1"], ["rmi", pictures.ref("one")], ["prune"],
                  ["prune", "--dry-run"], ["fsck", "--repair"]):
        assert "read-only" in davit.fails(7, *words).error, words


def test_output_is_safe_for_a_terminal(davit, tmp_path):
    """threat C11: history texts are the image's."""
    layout = oci.Layout.create(tmp_path / "evil")
    with FaultyRegistry() as registry:
        layout.tag("evil", layout.add_image([oci.noise_layer("evil", 100)], history=[
            {"created_by": "a\x1b[31mb\nc", "comment": "\x9bx\u202e"}]))
        registry.add_image(layout, "evil", "demo/evil:1.0")
        ref = f"{registry.host}/demo/evil:1.0"
        davit(*FAST, "pull", ref)
        for words in (["history", ref], ["history", "--no-trunc", ref], ["history", "--json", ref]):
            out = davit(*words).out
            assert b"\x1b" not in out and "\u202e" not in out.decode() and "\x9b" not in out.decode()
        assert json.loads(davit("history", "--json", ref).out)[0]["CreatedBy"] == "a\x1b[31mb\nc"
