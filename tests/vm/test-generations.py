#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A generation of each kind boots where the firmware enforces: systems without boot.json and their specialisations, without
initrd, with kernels and labels of odd names, with a stub of their own, of another profile."""
import json

import tap
from bootimage import Pe
from images import Images, read
from nixos import PARAMETERS
from nixos_machine import ENROLL_ANYWAY, HALT, NixosMachine

LABEL = "Ünïcode \"quotes\" 'x' \\ $(reboot) `x` %s 🐧"
UKI = "/boot/EFI/Linux/debian.efi"
OTHER_STUB = "/nix/store/00000000000000000000000000000000-stub/stub.efi"


class Kinds:
    """The generations: each says its name in its initrd and stops."""

    def __init__(self, machine):
        self.machine, self.nixos = machine, machine.nixos
        machine.add_generation(1, "25.05.1", "of the plain system")
        self.plain = machine.generations[1]

    def initrd(self, name):
        return self.nixos.initrd(self.machine.images.initrd(name))

    def add(self, number, label, initrd, profile="system", kernel=None, extensions=None):
        kernel = kernel or self.nixos.kernel(self.machine.kernel)
        toplevel = self.nixos.toplevel(label, kernel, initrd and self.initrd(initrd), [HALT], extensions=extensions)
        self.nixos.generation(number, toplevel, profile)
        return toplevel

    def document(self, toplevel, change):
        """Changes the boot.json of TOPLEVEL."""
        entry = self.nixos.entries[toplevel + "/boot.json"]
        document = json.loads(entry.content)
        change(document["org.nixos.bootspec.v1"])
        entry.content = json.dumps(document).encode()

    def make_old(self, toplevel):
        """Takes the boot.json of TOPLEVEL away and leaves what older systems have."""
        del self.nixos.entries[toplevel + "/boot.json"]
        self.nixos.add(toplevel + "/kernel-params", " ".join([*PARAMETERS, HALT]).encode())
        modules = "/nix/store/00000000000000000000000000000000-modules"
        self.nixos.add(modules + "/lib/modules/5.10.81/modules.dep", b"")
        self.nixos.add(toplevel + "/kernel-modules", modules)

    def all(self):
        nixos = self.nixos
        old = self.add(2, "21.11", "of the old system")
        special = nixos.toplevel("21.11-special", nixos.kernel(self.machine.kernel), self.initrd("of its specialisation"))
        nixos.add(old + "/specialisation/special", special)
        self.make_old(old)
        self.make_old(special)
        nixos.add(OTHER_STUB, self.machine.entries["/usr/lib/lanzad/lanzastubx64.efi"].content.replace(b"lanzastub,", b"otherstub,"))
        self.add(3, "25.05.3", "of the system with its own stub", extensions={"org.lanzaboote.lanzad": {"stub": OTHER_STUB}})
        bare = self.add(4, "25.05.4", None)
        del nixos.entries[bare + "/initrd"]
        self.document(bare, lambda v1: v1.pop("initrd"))
        odd = self.add(5, "25.05.5", "of the odd system", kernel=nixos.kernel(self.machine.kernel, "6.1.1+odd?=x"),
                       extensions={"org.nix-community.lanzaboote": {"sort_key": "lanzaboote"}})
        self.document(odd, lambda v1: v1.update(label=LABEL))
        self.add(7, "25.05.7", "of the other profile", profile="work")
        nixos.generation(1, self.plain)


def add_uki(machine):
    """Another system's image beside ours: systemd's stub, ukify's sections, signed by nobody."""
    images, output = machine.images, machine.path("debian.efi")
    images.tool("ukify", "build", "--stub", images.tree + "/usr/lib/systemd/boot/efi/linuxx64.efi.stub", "--linux", images.kernel,
                "--cmdline", "quiet", "--os-release", "ID=debian\nPRETTY_NAME=Debian\nVERSION_ID=13\n", "--output", output)
    machine.run(f"mkdir -p /boot/EFI/Linux; cat >{UKI}", read(output))


def describe_uki(machine):
    return machine.run(f"stat -c '%s %Y %Z' {UKI}; sha256sum {UKI}").text


def start(machine, entry, text):
    """Switches on with ENTRY as the default and waits for TEXT."""
    machine.esp_write("/loader/loader.conf", f"timeout 0\ndefault {entry}\n".encode())
    machine.start()
    machine.wait_console(text)
    machine.kill()


def scenario(plan):
    with NixosMachine("generations", Images()) as machine:
        kinds = Kinds(machine)
        kinds.all()
        with plan.step("each-generation-gets-an-image"):
            machine.install()
            machine.lanzad("create-keys")
            add_uki(machine)
            uki = describe_uki(machine)
            result = machine.lanzad("sync")
            assert result["warnings"] == [], result
            machine.lanzad("enroll-keys", ENROLL_ANYWAY)
            entries = {name: machine.entry(*arguments) for name, arguments in {
                "old": (2,), "special": (2, "special"), "stub": (3,), "bare": (4,), "odd": (5,)}.items()}  # fmt: skip
            listed = {entry["id"]: entry for entry in json.loads(machine.run("bootctl list --json=short").text)}
            entries["work"] = next(name for name in listed if name.startswith("nixos-work-generation-7-"))
        with plan.step("another-system's-uki-is-listed-and-stays-as-it-is"):
            assert listed["debian.efi"]["title"] == "Debian", listed
            machine.lanzad("gc")
            assert describe_uki(machine) == uki
        with plan.step("bootctl-shows-labels-and-sort-keys-as-they-are"):
            assert listed[entries["odd"]]["title"].startswith(LABEL + " (Generation 5, "), listed
            assert listed[entries["odd"]]["sortKey"] == "lanzaboote", listed
            assert listed[entries["old"]]["title"].startswith("NixOS 21.11 (Linux 5.10.81) (Generation 2, "), listed
        with plan.step("the-firmware-enforces"):
            machine.reboot()
            assert machine.secure_boot() == (0, 1)
            assert machine.booted() == kinds.plain
            machine.shut_down()
        for name, text in (
            ("old", "of the old system"), ("special", "of its specialisation"), ("stub", "of the system with its own stub"),
            ("odd", "of the odd system"), ("work", "of the other profile"),
        ):  # fmt: skip
            with plan.step(f"boots-the-kind-{name}"):
                start(machine, entries[name], f"stage 1: initrd {text}")
        with plan.step("its-own-stub-is-what-booted"):
            image = machine.esp_read("/EFI/Linux/" + entries["stub"])
            offset, size = Pe(image).sections()[".sbat"]
            assert b"otherstub," in image[offset:offset + size], image[offset:offset + size]
        with plan.step("boots-a-kernel-without-initrd-up-to-its-search-for-a-root"):
            start(machine, entries["bare"], "Unable to mount root fs")


tap.run("vm/generations", scenario)
