# SPDX-License-Identifier: LGPL-2.1-or-later
"""`lanzad --oneshot sync`, and `sign`, as a cold process."""
import os
import shutil
import subprocess
import sys
import time

from floor import signature_milliseconds, write_with_barriers
from table import ROUNDS, Row, compare, interleaved
from tree import LANZAD, MIB, STUB, Tree, quietly, script

LARGE_ROUNDS = min(ROUNDS, 3)  # of what writes more than a disk's cache holds

# A small process runs lanzad: until exec(2) a child counts as large as its parent.
PEAK = "import os,resource,sys; os.spawnv(os.P_WAIT, sys.argv[1], sys.argv[1:]); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"


def peak_mib(*command):
    """The greatest resident memory that a program had, as VmHWM of /proc/PID/status."""
    run = subprocess.run([sys.executable, "-ISc", PEAK, *map(str, command)], stdout=subprocess.PIPE, text=True, check=True)
    return int(run.stdout.splitlines()[-1]) / 1024


def new_images(folder):
    count = 20
    tree = Tree(folder, 16 * MIB)
    tree.add_generations(range(1, count + 1))
    tree.sync()
    tree.wait_until_remembered()
    folder_of_images = tree.root / "boot/EFI/Linux"
    images = [(path.name, path.read_bytes()) for path in folder_of_images.iterdir()]

    def ours():
        assert len(tree.sync()["images-written"]) == count

    def before():
        tree.remove_images()
        folder_of_images.mkdir()

    signatures = count * signature_milliseconds()
    mine, by_hand, barriers = interleaved(
        ours, lambda: script("make-images.sh", tree.root, STUB, count),
        lambda: write_with_barriers(tree.root / "nix/store", folder_of_images, images), before=before)
    yield Row("20 new images, contents there", mine, "objcopy, sbsign, mv, one sync", by_hand, goal=0.1)
    yield Row("20 new images, contents there", mine, "20 bare signatures, the same barriers", signatures + barriers, goal=3)


def new_images_and_contents(folder):
    tree = Tree(folder, 16 * MIB)
    tree.add_generations(range(1, 21))

    def ours():
        assert len(tree.sync()["images-written"]) == 20

    def before():
        tree.remove_images()
        tree.remove_contents()

    yield compare("20 new images, 24 MiB of contents", ours, "cp, objcopy, sbsign, mv, one sync",
                  lambda: script("make-images.sh", tree.root, STUB, 20, *tree.contents()), goal=1 / 3, before=before)


def sign_files(folder):
    tree = Tree(folder, MIB)
    files = [folder / f"binary-{number}.efi" for number in range(100)]

    def before():
        for file in files:
            file.unlink(missing_ok=True)
            shutil.copy(STUB, file)

    def ours():
        assert all(file["signed"] for file in tree.lanzad("sign", *files)["files"])

    yield compare("100 files signed in one run, durably", ours, "100 sbsign", lambda: script("sign-files.sh", tree.root, *files),
                  goal=1 / 4, before=before)


def second_sync(folder):
    trees = {}
    for count in (100, 1000):
        (folder / str(count)).mkdir()
        trees[count] = Tree(folder / str(count), 16 * MIB)
        trees[count].add_generations(range(1, count + 1))
        trees[count].sync()
        trees[count].wait_until_remembered()

    def sync(count):
        assert not trees[count].sync()["images-written"]

    boot = trees[100].root / "boot"
    hundred, thousand, find = interleaved(lambda: sync(100), lambda: sync(1000),
                                          lambda: quietly("find", boot, "-printf", "%s %p\n"))
    yield Row("sync of 100 generations, nothing to do", hundred, "find -printf", find, goal=10)
    yield Row("sync of 1,000 generations, nothing to do", thousand, "of 100", hundred, goal=12)
    peak = peak_mib(LANZAD, "--oneshot", "sync", f"--root={trees[1000].root}")
    yield Row("peak memory with 1,000 generations", peak, "what it may take", 24, goal=1, unit="MiB")


def memory(folder):
    tree = Tree(folder, 300 * MIB)
    tree.add_generation(1)
    peak = peak_mib(LANZAD, "--oneshot", "sync", f"--root={tree.root}")
    assert any((tree.root / "boot/EFI/nixos").iterdir())
    yield Row("peak memory, first sync, initrd of 300 MiB", peak, "what it may take", 24, goal=1, unit="MiB")


def cold_install(folder):
    """Ten generations that share nothing, of 60 MB each."""
    tree = Tree(folder, MIB)
    for number in range(1, 11):
        letter = chr(ord("b") + number)
        tree.kernel = tree.store_file(f"linux-6.12.{number}/bzImage", 10_000_000, unlike=letter)
        tree.initrd = tree.store_file(f"initrd-linux-6.12.{number}/initrd", 50_000_000, unlike=letter)
        tree.add_generation(number)
    contents = sorted((tree.root / "nix/store").glob("*/bzImage")) + sorted((tree.root / "nix/store").glob("*/initrd"))
    contents = [path for path in contents if path.stat().st_size >= 10_000_000]
    target = tree.root / "boot/EFI/nixos"
    os.sync()

    def before():
        shutil.rmtree(tree.root / "boot")
        shutil.rmtree(tree.root / "var/cache", ignore_errors=True)
        target.mkdir(parents=True)
        os.sync()
        time.sleep(3)  # a virtual machine gives the memory that was freed back to its host: the same for both

    def ours():
        assert len(tree.sync()["contents-written"]) == 20

    yield compare("first sync, 10 unlike generations of 60 MB", ours, "cp, sync, openssl dgst",
                  lambda: script("copy-and-hash.sh", target, *contents), goal=1.1, before=before, rounds=LARGE_ROUNDS)


BENCHES = (new_images, new_images_and_contents, sign_files, second_sync, memory, cold_install)
