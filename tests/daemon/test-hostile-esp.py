#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ESPs with much on them that nobody expected, and links that dangle or loop. Nothing foreign is touched; what stands in the way
of what lanzad would write is an error that names it, or is left alone with a warning."""
import os
import random
import shutil
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from hostile import INSTALLED, LONG, describe, fifo, folder, link_to, run_table, sparse, walk

IMAGES, CONTENTS = "boot/EFI/Linux", "boot/EFI/nixos"
MANY = 50000 if LONG else 5000
SEED = int(os.environ.get("LANZA_SEED") or random.randrange(1 << 32))


def only(system, where, pattern):
    (found,) = (system.root / where).glob(pattern)
    return str(found.relative_to(system.root))


def foreign(system, *places):
    return [describe(path) for place in places for path in walk(system.root / place)]


def many_files(system):
    """What the inventory costs, by the installed program, against the same without."""
    system.expect("sync", program=INSTALLED)
    bare, bare_peak = system.seconds, system.peak
    for index in range(MANY):
        place = (IMAGES, CONTENTS, "boot/EFI/other", "boot/loader/entries", "boot")[index % 5]
        name = (f"foreign-{index}.efi", f"kernel-{index}", f"file {index}.txt", f"other-{index}.conf", f"nixos-generation-{index}.efi")[index // 5 % 5]
        if index < 5:
            (system.root / place).mkdir(parents=True, exist_ok=True)
        (system.root / place / f"{index}-{name}").write_bytes(b"foreign %d" % index)
    for verb in ("sync", "gc", "list", "status"):
        system.expect(verb, program=INSTALLED)
        print(f"# {verb} with {MANY} foreign files: {system.seconds:.2f} s ({bare:.2f} s without), {system.peak:.1f} MiB ({bare_peak:.1f} MiB)")
        assert system.peak < 24, system.peak
        assert system.seconds < 30 + bare, system.seconds


def long_names(system):
    for place in (IMAGES, CONTENTS, "boot/loader/entries", "boot/EFI/BOOT", "boot"):
        for name in ("x" * 251 + ".efi", "nixos-generation-1-" + "a" * 232 + ".efi", "kernel-" + "v" * 244 + ".efi", "e" * 250 + ".conf",
                     "\N{SNOWMAN}" * 80 + ".efi", os.fsdecode(b"\xff" * 251 + b".efi"), "a\nb\x1b[2J.efi"):  # fmt: skip
            system.put(f"{place}/{name[:255]}" if len(name.encode(errors="surrogateescape")) <= 255 else f"{place}/{name[:60]}.efi", "foreign")
    for verb in ("sync", "gc", "list", "status"):
        system.expect(verb)


def case_twins(system):
    """On a plain folder both exist; on FAT each is the other. One of two is enough, and it stays."""
    for path in (only(system, IMAGES, "nixos-generation-1-*"), only(system, CONTENTS, "kernel-6.1.1-*"), "boot/loader/loader.conf"):
        name = Path(path).name
        shutil.copy(system.root / path, system.root / path.replace(name, name.upper()))
    shutil.copytree(system.root / "boot/EFI/Linux", system.root / "boot/EFI/LINUX")
    shutil.copytree(system.root / "boot/EFI", system.root / "boot/efi")
    before = foreign(system, "boot/EFI/LINUX", "boot/efi")
    system.expect("sync", changes=True)
    names = [path.name.lower() for path in (system.root / IMAGES).iterdir()]
    assert any(name.startswith("nixos-generation-1-") for name in names), names
    names = [path.name.lower() for path in (system.root / CONTENTS).iterdir()]
    assert any(name.startswith("kernel-6.1.1-") for name in names), names
    for verb in ("sync", "gc"):
        system.expect(verb)
    assert foreign(system, "boot/EFI/LINUX", "boot/efi") == before


def in_place(path, make, check):
    """MAKE's result stands at PATH, or at what PATH says of the system."""

    def row(system):
        target = path(system) if callable(path) else path
        system.put(target, make)
        check(system, target)

    return row


def mended(system, target):
    """It was damaged, and is written anew."""
    system.expect("gc")
    system.expect("list")
    system.expect("status")
    system.expect("sync", changes=True)
    assert (system.root / target).is_file() and (system.root / target).stat().st_size > 0
    system.expect("sync")


def swept(system, target):
    """What a cut leaves: gc takes it away, and sync writes it anew."""
    system.expect("gc", changes=True)
    assert not (system.root / target).exists()
    mended(system, target)


def untouched(system, target):
    for verb in ("gc", "list", "status", "sync"):
        system.expect(verb)


def blocks_another(system, target):
    """Nobody knows what it is: it stays, and that generation's image is not written."""
    for verb in ("gc", "list", "status"):
        system.expect(verb)
    system.warns("sync", "The boot image of generation 1 is not written: something that is no file stands under the name", Path(target).name)


def blocks_default(system, target):
    for verb in ("gc", "list", "status"):
        system.expect(verb)
    words = ["Cannot write the boot image of generation 2: something that is no file stands under the name", Path(target).name]
    system.refuses("sync", "Failed", *words, hint="Look at what it is, and move it away.", status=1)


def blocks_program(system, target):
    for verb in ("gc", "list", "status"):
        system.expect(verb)
    system.warns("sync", target.removeprefix("boot/"), "is no file: ")


def blocks_folder(system, target):
    system.add_generation(3)
    for verb in ("sync", "gc"):
        system.refuses(verb, "Failed", target.removeprefix("boot/"), "is no folder", hint="Look at what stands there", status=1)
    system.warns("list", target.removeprefix("boot/"), "is no folder")
    system.expect("status")


def no_partition(system, target):
    for verb in ("sync", "gc"):
        system.refuses(verb, "EspNotFound", "/boot", hint="Mount the EFI system partition")
    system.warns("list", "/boot")
    system.expect("status")


def image(system):
    return only(system, IMAGES, "nixos-generation-1-*")


def default_image(system):
    return only(system, IMAGES, "nixos-generation-2-*")


def content(system):
    return only(system, CONTENTS, "kernel-6.1.1-*")


def default_content(system):
    return only(system, CONTENTS, "kernel-6.1.2-*")


GARBAGE = random.Random(SEED).randbytes(5000)
FILES = [("garbage", GARBAGE), ("empty", b""), ("10 GB", sparse(10 << 30))]
OTHERS = [("folder", folder), ("FIFO", fifo), ("dangling link", link_to("gone")), ("looping link", lambda path: path.symlink_to(path.name))]
EVERYTHING = [*FILES[:2], *OTHERS[1:]]
PLACES = [
    ("image", image, [FILES[0], FILES[2]], mended), ("image", image, [FILES[1]], swept),
    ("image", image, OTHERS, blocks_another),
    ("default image", default_image, [FILES[0], FILES[2]], mended),
    ("default image", default_image, [FILES[1]], swept), ("default image", default_image, OTHERS, blocks_default),
    ("content", content, FILES, mended), ("content", content, OTHERS, blocks_another),
    ("default's content", default_content, FILES, mended), ("default's content", default_content, OTHERS, blocks_default),
    ("loader.conf", "boot/loader/loader.conf", FILES, mended), ("loader.conf", "boot/loader/loader.conf", OTHERS, blocks_program),
    ("boot loader", "boot/EFI/systemd/systemd-bootx64.efi", FILES, mended),
    ("boot loader", "boot/EFI/systemd/systemd-bootx64.efi", OTHERS, blocks_program),
    # Another system's, as far as anybody can tell; what a cut leaves is empty.
    ("fallback loader", "boot/EFI/BOOT/BOOTX64.EFI", [FILES[0], FILES[2]], untouched),
    ("fallback loader", "boot/EFI/BOOT/BOOTX64.EFI", [FILES[1]], mended),
    ("fallback loader", "boot/EFI/BOOT/BOOTX64.EFI", OTHERS, blocks_program),
    *[(name, f"boot/{name}", EVERYTHING, blocks_folder) for name in ("EFI/Linux", "EFI/nixos", "EFI/systemd", "EFI/BOOT", "loader")],
    ("EFI", "boot/EFI", EVERYTHING, blocks_folder),
    ("loader|entries", "boot/loader/entries", EVERYTHING, untouched),
    ("ESP", "boot", EVERYTHING, no_partition),
]  # fmt: skip


def profile_link(number, target, *words):
    """A generation's link that leads nowhere good."""

    def row(system):
        link = f"nix/var/nix/profiles/system-{number}-link"
        system.put(link, link_to(target) if isinstance(target, str) else target)
        system.put("home/user/boot.json", "{}")
        if number == 2:
            system.refuses("sync", "BadBootspec", f"/{link}", *words, hint="Build the generation again")
        else:
            system.warns("sync", "generation 1 is left out", f"/{link}", *words)
            system.warns("gc", "generation 1 is left out", f"/{link}", *words)
        system.expect("list")
        system.expect("status")

    return row


LINKS = [
    ("dangles", "/nix/store/gone", ["leads to nothing"]),
    ("loops", lambda path: path.symlink_to(path.name), ["leads around in a circle"]),
    ("leads out of the store", "/home/user", ["does not lead directly into /nix/store"]),
    ("leads up and away", "/nix/store/../../home/user", ["does not lead directly into /nix/store"]),
    ("leads to a file", "/nix/store/kernel-linux-6.1.1/bzImage", ["does not lead"]),
    ("is relative", "../../../store/system-1", ["does not lead directly into /nix/store"]),
    ("is a folder", folder, ["is not a symbolic link"]),
    ("is a FIFO", fifo, ["is not a symbolic link"]),
    ("is a file", b"/nix/store/system-1", ["is not a symbolic link"]),
]


def without_meaning(path):
    """The row for a link at PATH that leads nowhere useful: it says nothing, and nothing hangs on it."""

    def kind(make):
        def row(system):
            system.put(path, make)
            for verb in ("sync", "gc", "list", "status"):
                system.expect(verb)

        return row

    return kind


booted = without_meaning("run/booted-system")  # what runs is not known then
current = without_meaning("nix/var/nix/profiles/system")  # the newest generation is the default then


def toplevel_link(system):
    """Activation's argument."""
    for target in ("gone", "loop", "/home/user"):
        system.put("nix/store/loop", link_to("loop"))
        system.put("nix/store/argument", link_to(target))
        system.refuses("sync", "ForeignToplevel", "/nix/store/argument", hint="Make the toplevel a generation first", arguments=["/nix/store/argument"])


def profiles(make, *words):
    def row(system):
        system.put("nix/var/nix/profiles", make)
        for verb in ("sync", "gc"):
            system.refuses(verb, "Failed", "/nix/var/nix/profiles", *words, hint="Profiles=", status=1)

    return row


ROWS = [
    ("foreign files", many_files),
    ("names of 255 bytes", long_names),
    ("case twins", case_twins),
    *[(f"{title} as {kind}", in_place(path, make, check)) for title, path, makes, check in PLACES for kind, make in makes],
    *[(f"link of {which} that {title}", profile_link(number, target, *words)) for title, target, words in LINKS for which, number in (("the default", 2), ("another", 1))],
    *[(f"booted system as {kind}", booted(make)) for kind, make in [*OTHERS, ("file", b"x"), ("link out", link_to("/etc"))]],
    *[(f"profile as {kind}", current(make)) for kind, make in [*OTHERS, ("file", b"x"), ("link out", link_to("/etc"))]],
    *[(f"profiles as {kind}", profiles(make)) for kind, make in [*OTHERS[1:], ("file", b"x")]],
    ("toplevel by links that dangle, loop and lead away", toplevel_link),
]
print(f"# LANZA_SEED={SEED}")
run_table("/daemon/hostile/esp", [(title.replace(" ", "-"), row) for title, row in ROWS])
