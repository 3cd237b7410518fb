#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boot counting where the firmware enforces: a generation that never comes up is counted down by systemd-boot, and the
machine falls back by itself to the one that systemd-bless-boot confirmed good."""
import json
import re

import tap
from archive import Entry
from images import Images
from nixos_machine import ENROLL_ANYWAY, HALT, NixosMachine


class CountingMachine(NixosMachine):
    def __init__(self):
        # One generation, if it were not for the one that is kept because it did boot.
        super().__init__("counting", Images(), limit=1)
        self.entries["/etc/lanza/lanzad.conf.d/tries.conf"] = Entry(b"[Boot]\nTries=2\n")

    def image(self, number):
        """(name without counter, counter) of the image of generation NUMBER, on the mounted ESP."""
        return self.only(number, self.run("ls /boot/EFI/Linux").text.split())

    def image_off(self, number):
        """The same while the machine is off."""
        return self.only(number, self.mtools("mdir", "-b", "::/EFI/Linux").decode().replace("::/EFI/Linux/", "").split())

    def only(self, number, names):
        found = [match.groups() for name in names if (match := re.fullmatch(rf"(nixos-generation-{number}-[a-z2-7]{{52}})(.*)\.efi", name))]
        assert len(found) == 1, (number, names)
        return found[0]

    def listed(self):
        """What `list` says of the images: number -> image."""
        return {image["generation"]: image for image in self.lanzad("list")["images"]}

    def fail(self, text):
        """One start that ends before anybody could confirm it."""
        self.start()
        self.wait_console(text)
        self.wait_off()


def confirm(plan, machine):
    with plan.step("a-new-entry-starts-with-its-tries"):
        machine.install()
        machine.lanzad("create-keys")
        machine.lanzad("sync")
        assert machine.image(1)[1] == "+2"
        machine.lanzad("enroll-keys", ENROLL_ANYWAY)
        machine.reboot()
        assert machine.secure_boot() == (0, 1)
        assert machine.booted() == machine.generations[1]
    with plan.step("the-booted-entry-is-known-whatever-counter-it-has-by-now"):
        name, counter = machine.image(1)
        assert counter == "+1-1"
        status = machine.lanzad("status")
        assert status["booted-entry"] == name + ".efi", status["booted-entry"]
        assert [note["message"] for note in status["notes"]] == [
            f"{name}+1-1.efi was booted, and is not confirmed good yet (tries left: 1)"], status
        assert status["problems"] == [], status
        image = machine.listed()[1]
        assert image["booted"] and image["default"] and (image["tries-left"], image["tries-done"]) == (1, 1), image
    with plan.step("systemd-bless-boot-confirms-it"):
        machine.run("systemctl start systemd-bless-boot.service")
        assert machine.image(1) == (name, "")
        assert machine.run("/usr/lib/systemd/systemd-bless-boot status").text.strip() == "good"
        status = machine.lanzad("status")
        assert status["notes"] == [] and status["problems"] == [], status
        image = machine.listed()[1]
        assert image["booted"] and image["default"] and not image["counted"], image
        security = json.loads(machine.run("lanzactl security --json=short").text)
        signed, = (found for found in security["attributes"] if found["AppstreamId"].endswith(".BootedImageSigned"))
        assert signed.get("HsiResult") == 3, signed
    with plan.step("a-sync-after-it-writes-nothing"):
        before = machine.sectors_written()
        assert machine.lanzad("sync")["partitions"][0]["bytes-written"] == 0
        assert machine.sectors_written() == before


def fall_back(plan, machine):
    with plan.step("the-confirmed-one-stays-beside-a-new-one-over-the-limit"):
        machine.add_generation(2, "25.05.2", "that fails", [HALT])
        machine.put_generations()
        machine.lanzad("sync", machine.generations[2])
        assert (machine.image(1)[1], machine.image(2)[1]) == ("", "+2")
        machine.shut_down()
    with plan.step("each-start-that-fails-is-counted"):
        for counter in ("+1-1", "+0-2"):
            machine.fail("stage 1: initrd that fails")
            assert machine.image_off(2)[1] == counter
    with plan.step("without-tries-left-the-machine-falls-back-by-itself"):
        machine.boot()
        assert machine.secure_boot() == (0, 1)
        assert machine.booted() == machine.generations[1]
    with plan.step("sync-leaves-the-one-that-failed-as-it-is-and-says-so"):
        machine.run("df /boot")  # the first after a mount counts free clusters, and vfat notes them down
        failed, good = machine.image(2)[0] + "+0-2.efi", machine.image(1)[0] + ".efi"
        before = machine.sectors_written()
        result = machine.lanzad("sync", machine.generations[2])
        assert result["warnings"] == [f"The default entry, {failed}, has no tries left: systemd-boot starts {good}"], result
        assert result["partitions"][0]["bytes-written"] == 0 and machine.sectors_written() == before, result
        images = machine.listed()
        assert (images[2]["name"], images[2]["tries-left"], images[2]["default"]) == (failed, 0, False), images
        assert (images[1]["name"], images[1]["booted"], images[1]["default"]) == (good, True, True), images
        entries = json.loads(machine.run("bootctl list --json=short").text)
        assert [entry["id"] for entry in entries if entry.get("isDefault")] == [good], entries
    with plan.step("what-status-tells-to-run-gives-it-new-tries"):
        problem, = machine.lanzad("status")["problems"]
        assert problem["message"] == f"The default entry, {failed}, has no tries left: {good} is started", problem
        machine.run(re.search("'([^']+)'", problem["hint"]).group(1))
        assert machine.lanzad("status")["problems"] == []
        assert machine.listed()[2]["default"] and machine.image(2)[1] == "+2"


def scenario(plan):
    with CountingMachine() as machine:
        machine.add_generation(1, "25.05.1", "that works")
        confirm(plan, machine)
        fall_back(plan, machine)


tap.run("vm/counting", scenario)
