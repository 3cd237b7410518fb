# SPDX-License-Identifier: LGPL-2.1-or-later
"""`lanzad --oneshot sync` as a cold process."""
import shutil
from pathlib import Path

from table import compare
from tree import MIB, STUB, Tree, quietly, script


def new_images(folder):
    tree = Tree(folder, 16 * MIB)
    tree.add_generations(range(1, 21))
    tree.sync()

    def ours():
        assert len(tree.sync()["images-written"]) == 20

    yield compare("20 new images, contents there", ours, "objcopy, sbsign, mv, one sync",
                  lambda: script("make-images.sh", tree.root, STUB, 20), goal=0.1, before=tree.remove_images)


def second_sync(folder):
    tree = Tree(folder, 16 * MIB)
    tree.add_generations(range(1, 101))
    tree.sync()

    def ours():
        assert not tree.sync()["images-written"]

    yield compare("sync of 100 generations, nothing to do", ours, "find -printf",
                  lambda: quietly("find", tree.root / "boot", "-printf", "%s %p\n"), goal=10)


def cold_install(folder):
    tree = Tree(folder, 60 * MIB)
    tree.add_generation(1)
    contents = [tree.root / path[1:] for path in (tree.kernel, tree.initrd)]
    target = Path(tree.root / "boot/EFI/nixos")

    def before():
        shutil.rmtree(tree.root / "boot")
        shutil.rmtree(tree.root / "var/cache", ignore_errors=True)
        target.mkdir(parents=True)

    def ours():
        assert tree.sync()["contents-written"]

    yield compare("first sync of one generation of 68 MiB", ours, "cp, sync, openssl dgst",
                  lambda: script("copy-and-hash.sh", target, *contents), goal=1.1, before=before)


BENCHES = (new_images, second_sync, cold_install)
