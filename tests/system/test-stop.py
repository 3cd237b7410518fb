#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service is stopped, or killed, in the middle of a sync: what is on the ESP then, and what the next sync makes of it."""
import contextlib
import hashlib
import json
import os
import random
import sys
import time

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree

from container import COMMAND_SECONDS, TREE, UNIT, Container, wait_until

import tap
from bootimage import Pe

GENERATIONS = 6
CONTENT_BYTES = 16 << 20
CHUNK = 1 << 16


def seed():
    return int(os.environ.get("LANZA_SEED") or random.SystemRandom().randrange(1 << 32))


def add_generation(container, number):
    """Generation NUMBER, whose kernel and initrd are large, and of holes: cheap to lay out, and real work to copy."""
    toplevel, store = f"/nix/store/large-{number}", container.path("/nix/store")
    paths = {}
    for kind, file in (("kernel", f"kernel-linux-6.6.{number}/bzImage"), ("initrd", f"initrd-6.6.{number}/initrd")):
        path = store / file
        path.parent.mkdir()
        with open(path, "wb") as content:
            content.write(f"{kind} {number}".encode())
            content.truncate(CONTENT_BYTES)
        paths[kind] = f"/nix/store/{file}"
    bootspec = {"init": f"{toplevel}/init", "kernelParams": [], "label": f"Large {number}", "system": "x86_64-linux", "toplevel": toplevel, **paths}
    container.put(f"{toplevel}/boot.json", json.dumps({"org.nixos.bootspec.v1": bootspec}))
    profiles = container.path("/nix/var/nix/profiles")
    (profiles / f"system-{number}-link").symlink_to(toplevel)
    (profiles / "system").unlink()
    (profiles / "system").symlink_to(f"system-{number}-link")


def hash_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.digest()


def references(image):
    """(path, SHA-256) of every file that IMAGE boots with: stubs/stub-abi.h."""
    sections = {name: image[offset : offset + size] for name, (offset, size) in Pe(image).sections().items()}
    paths = [sections[".linux"], *sections[".initrd"].split(b"\n")]
    hashes = sections[".linuxh"] + sections[".initrdh"]
    assert len(hashes) == 32 * len(paths), (paths, len(hashes))
    return [(path.decode().replace("\\", "/").lstrip("/"), hashes[32 * i : 32 * i + 32]) for i, path in enumerate(paths)]


def check_invariant(boot):
    """Every image under its final name refers to complete files whose hashes match. Returns how many images there are."""
    images = sorted((boot / "EFI/Linux").glob("nixos-*.efi"))
    known = {}
    for image in images:
        for path, digest in references(image.read_bytes()):
            known.setdefault(path, hash_of(boot / path))
            assert known[path] == digest, (image.name, path)
    return len(images)


def written(boot):
    """How much of a sync has been done: names, and bytes."""
    found = [path for path in boot.rglob("*") if path.is_file()]
    total = 0
    for path in found:
        with contextlib.suppress(FileNotFoundError):  # renamed meanwhile
            total += path.stat().st_size
    return len(found), total


def empty(container):
    """Before the first sync: the ESP as the user had it."""
    container.run("systemctl", "stop", UNIT)
    container.run("sh", "-c", "rm -rf /boot/* /var/cache/lanzad/*")
    (container.path("/boot") / "EFI/other").mkdir(parents=True)
    (container.path("/boot") / "EFI/other/grub.efi").write_text("another system's", encoding="utf-8")


def interrupt(container, after, how):
    """Starts a sync, does HOW once AFTER bytes have been written; how the sync ended, and whether it was in its middle."""
    boot = container.path("/boot")
    sync = container.begin("lanzactl", "--json=short", "sync")
    wait_until(lambda: written(boot)[1] >= after or sync.poll() is not None, f"{after} bytes on the ESP", pause=0.001)
    running = sync.poll() is None
    container.run(*how)
    said = sync.communicate(timeout=COMMAND_SECONDS)[0]
    return sync.returncode, running, said


def check_round(container, after, how, finishes):
    """One interrupted sync and the one that follows. Returns whether the first one was hit in its middle."""
    boot = container.path("/boot")
    empty(container)
    status, middle, said = interrupt(container, after, how)
    assert status == 0 or (middle and not finishes), (status, said)
    wait_until(lambda: container.show("ActiveState") in ("inactive", "failed"), "the service is gone")
    count = check_invariant(boot)
    if finishes:
        assert count == GENERATIONS + 2 and container.show("Result") == "success", count
    else:
        assert container.show("Result") == "signal"
        container.run("systemctl", "reset-failed", UNIT)

    container.run("lanzactl", "sync")
    assert check_invariant(boot) == GENERATIONS + 2
    names = [path.name for path in (boot / "EFI").rglob("*") if path.is_file()]
    assert len(names) == 3 * (GENERATIONS + 2) + 3, names
    assert (boot / "EFI/other/grub.efi").read_text(encoding="utf-8") == "another system's"
    return middle and (finishes or count < GENERATIONS + 2)


def check_rounds(plan, container, how, finishes, numbers):
    """Points over the whole of a sync, by the bytes that are on the ESP; some must be in its middle."""
    rounds = 20 if os.environ.get("LANZA_LONG") else 3
    total = 2 * GENERATIONS * CONTENT_BYTES
    start, middle = time.monotonic(), 0
    for number in range(rounds):
        after = int(total * (number + numbers.random()) / rounds)
        middle += check_round(container, after, how, finishes)
    plan.say(f"{rounds} rounds, {middle} of them in the middle of a sync, {time.monotonic() - start:.1f} s")
    assert middle > 0


def scenario(plan):
    start = seed()
    plan.say(f"LANZA_SEED={start}")
    numbers = random.Random(start)
    with contextlib.ExitStack() as stack:
        with plan.step("a-system-starts-in-a-container"):
            container = stack.enter_context(Container("stop"))
            container.drop_in("tree", TREE.format(60))
            for number in range(3, GENERATIONS + 3):
                add_generation(container, number)
            container.boot()
            container.run("lanzactl", "create-keys")
        with plan.step("asked-to-stop-it-finishes-the-sync-and-answers", independent=True):
            check_rounds(plan, container, ["systemctl", "stop", UNIT], True, numbers)
        with plan.step("killed-it-leaves-what-boots-and-the-next-sync-finishes", independent=True):
            check_rounds(plan, container, ["systemctl", "kill", "--signal=KILL", UNIT], False, numbers)


if __name__ == "__main__":
    tap.run("system/stop", scenario)
