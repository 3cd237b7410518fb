#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that work on one ESP at once: two lanzactl sync and one gc by the service, and lanzad --oneshot sync as from a chroot.

Debian's own python3, which Debian's python3-pefile belongs to."""
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pefile

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from bus_machine import LANZACTL, Machine
from private_bus import PrivateBus
from program_tests import LANZAD, run_tests

ROUNDS = 100 if os.environ.get("LANZA_LONG") else 5
SEED = int(os.environ.get("LANZA_SEED") or random.randrange(1 << 32))


def sections(path):
    image = pefile.PE(path, fast_load=True)
    return {section.Name.rstrip(b"\0").decode(): section.get_data()[: section.Misc_VirtualSize] for section in image.sections}


def check_images(esp):
    """Every image refers to complete files; returns how many there are."""
    images = list((esp / "EFI/Linux").iterdir())
    for path in images:
        found = sections(str(path))
        references = [(found[".linux"], found[".linuxh"])]
        hashes = found.get(".initrdh", b"")
        for number, name in enumerate(found.get(".initrd", b"").split(b"\n") if hashes else []):
            references.append((name, hashes[32 * number : 32 * number + 32]))
        assert len(references) >= 2, (path, found.keys())
        for name, wanted in references:
            content = (esp / name.decode().replace("\\", "/").lstrip("/")).read_bytes()
            assert hashlib.sha256(content).digest() == wanted, (path, name)
    return len(images)


def change_generations(tree, source, number):
    """A new one, and perhaps an old one less."""
    tree.add_generation(number)
    links = sorted((tree.root / "nix/var/nix/profiles").glob("system-*-link"), key=lambda link: int(link.name.split("-")[1]))
    if len(links) > 2 and source.random() < 0.7:
        source.choice(links[:-1]).unlink()
    return len(list((tree.root / "nix/var/nix/profiles").glob("system-*-link")))


def start_all(tree, bus, source):
    environment = {**bus.environment, "LANZACTL_LANZAD": str(tree.program)}
    commands = [
        [LANZACTL, "sync", "--json=short"],
        [LANZACTL, "sync", "--json=short"],
        [LANZACTL, "gc", "--json=short"],
        [LANZAD, "--oneshot", "sync", tree.option()],
    ]
    source.shuffle(commands)
    return [(c, subprocess.Popen(c, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)) for c in commands]


def is_busy(command, process):
    """Whether it gave up waiting; everything else must have succeeded."""
    output, errors = process.communicate(timeout=300)
    if process.returncode == 1:
        assert json.loads(output)["error"]["name"].endswith(".Busy"), (command, output, errors)
        return True
    assert process.returncode == 0, (command, output, errors)
    assert b"reached" not in errors, errors  # it was the service that did it
    return False


def test_four_at_once():
    source = random.Random(SEED)
    busy = 0
    with Machine() as tree, PrivateBus(tree.root, tree.firmware()) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        for number in range(3, 3 + ROUNDS):
            count = change_generations(tree, source, number)
            refused = [is_busy(*running) for running in start_all(tree, bus, source)]
            busy += sum(refused)
            images = check_images(tree.root / "boot")
            again = bus.call("Esp", "Sync", "a{sv}", "0")["partitions"][0]
            assert all(refused) or again["bytes-written"] == 0 and not again["images-written"] and not again["contents-written"], again
            assert check_images(tree.root / "boot") == images == count or any(refused), (images, count)
            assert not list((tree.root / "boot").rglob("*.tmp*")), list((tree.root / "boot").rglob("*"))
    print(f"# LANZA_SEED={SEED}: {ROUNDS} rounds of four, {busy} said that another was busy", flush=True)


run_tests("/bus/concurrency", {"syncs-and-gc-at-once-take-turns-and-leave-nothing-to-do": test_four_at_once})
