"""Layers at random: what `davit unpack` makes, what `davit export` and GNU tar make, and what umoci makes are one tree. A
failure names its seed; DAVIT_THOROUGH=1 takes more of them."""
import os
import shutil
import subprocess

import pytest
from support import oci, trees
from support.faulty_registry import FaultyRegistry
from support.random_layers import Layers

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices need root")
SEEDS = range(1, 401 if os.environ.get("DAVIT_THOROUGH") else 25)
TAR = ["tar", "-xp", "--numeric-owner", "--same-owner", "--xattrs", "--xattrs-include=*", "--delay-directory-restore"]


def make(layout, seed):
    image = Layers(seed)
    layout.tag(f"seed{seed}", layout.add_image([(oci.gzip_of(tar, 1), oci.sha256(tar)) for tar in image.tars]))
    return image


def run(*argv, **how):
    done = subprocess.run([*map(str, argv)], capture_output=True, timeout=60, **how)
    assert done.returncode == 0, done.stderr
    return done.stdout


def differences(where, image, names):
    """Lines, of two of the trees. No entry says the times of `loose` directories; umoci gives those the group and setgid of the
    one above, which changes its times."""
    walked = []
    for name in names:
        tree = trees.walk(where / name)
        for path, it in tree.items():
            if path in image.loose or it.type == "directory" and "umoci" in names:
                it.mtime_ns = None
            if path in image.loose and "umoci" in names:
                it.gid = it.mode = None
        walked.append(tree)
    return trees.compare(*walked, names=names)


@pytest.mark.parametrize("some", [SEEDS[i::4] for i in range(4)], ids=lambda some: f"{len(some)}from{some[0]}")
def test_random_layers(davit, tmp_path, some):
    layout = oci.Layout.create(tmp_path / "layout")
    wrong = []
    with FaultyRegistry() as registry:
        for seed in some:
            image = make(layout, seed)
            registry.add_image(layout, f"seed{seed}", f"demo/random:{seed}")
            where = tmp_path / "trees"
            (where / "export").mkdir(parents=True)
            davit("unpack", "-q", f"{registry.host}/demo/random:{seed}", where / "unpack")
            archive = run(*davit.argv("export", f"{registry.host}/demo/random:{seed}"), env=davit.env)
            run(*TAR, "-C", where / "export", input=archive)
            run("umoci", "unpack", "--image", f"{layout.path}:seed{seed}", where / "bundle")
            os.rename(where / "bundle/rootfs", where / "umoci")
            for names in (("unpack", "export"), ("unpack", "umoci")):
                wrong += [f"seed {seed}, {names[1]}: {line}" for line in differences(where, image, names)]
            shutil.rmtree(where)
    assert not wrong, "\n".join(wrong)
