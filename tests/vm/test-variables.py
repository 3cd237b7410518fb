#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Variables of a real firmware: the list of writes in tests/firmware/test-agreement.c gets the same answers from OVMF as
from the firmware in memory that other tests stand on."""
import os
import subprocess
import tempfile

import tap
from archive import Entry
from images import GUEST, Images
from machine import Machine
from nixos import boot_installer

PROGRAM = os.path.join(os.environ["LANZA_BUILD"], os.environ.get("LANZA_VARIANT", "san"), "tests/firmware/test-agreement")


def agreement(*arguments):
    return subprocess.run([PROGRAM, *arguments], check=True, stdout=subprocess.PIPE, timeout=300).stdout.decode()


def files_in(folder, target):
    entries = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            entries[f"{target}/{name}"] = Entry(file.read())
    return entries


def writes():
    with tempfile.TemporaryDirectory() as folder:
        agreement("--emit", folder)
        return files_in(folder, "/run/writes")


def runner():
    with open(os.path.join(GUEST, "write-variables"), "rb") as file:
        return Entry(file.read(), 0o755)


def differences(expected, found):
    """Lines that differ, by pairs; a list of nothing where both agree."""
    if len(expected) != len(found):
        return [f"{len(expected)} answers here, {len(found)} there"]
    return [f"in memory: {a}\nOVMF:      {b}" for a, b in zip(expected, found) if a != b]


def scenario(plan):
    images = Images()
    with Machine("variables", images) as machine:
        with plan.step("a-machine-in-setup-mode-boots"):
            boot_installer(machine, images, "installer")
            machine.put({**writes(), "/run/write-variables": runner()})
        with plan.step("ovmf-answers-every-write-as-the-firmware-in-memory-does"):
            expected = agreement("--print").splitlines()
            found = machine.run("/run/write-variables /run/writes", seconds=300).text.splitlines()
            plan.say(f"{len(expected)} writes")
            assert len(expected) >= 100
            assert not differences(expected, found), "\n" + "\n".join(differences(expected, found))
        machine.kill()


tap.run("vm/variables", scenario)
