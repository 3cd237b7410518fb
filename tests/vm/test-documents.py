#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What README and guide tell people to type, typed: from a machine without keys over everyday use to one whose boot partition was
formatted, whose keys are gone. The commands are the documents' own, taken from their text (tests/lib/documents.py).

Real are firmware, boot loader, service, polkit, file systems. NixOS is not there: nixos-rebuild, nixos-enter and nix-env are short scripts
that do with profiles, lanzactl and chroot what NixOS' own do.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from archive import Entry
from documents import MACHINE, Reader
from images import Images, read
from machine import MachineError
from nixos import PARAMETERS, PROFILES, Nixos, store_path
from nixos_machine import NixosMachine

README, GUIDE = "README.md", "GUIDE.md"
DOES_NOT_BOOT = "When a machine does not boot"
LOADER = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"

REBUILD = """#!/bin/sh -e
# As nixos-rebuild does: a generation of its own for what was built, or the one before, and the hook.
cd /nix/var/nix/profiles
number=$(readlink system | sed 's/system-\\(.*\\)-link/\\1/')
case "$*" in
"switch")
        number=$(($(ls -v | sed -n 's/^system-\\([0-9]*\\)-link$/\\1/p' | tail -n 1) + 1))
        ln -s "$(cat /run/built)" "system-$number-link" ;;
"switch --rollback") number=$((number - 1)) ;;
*) exit 2 ;;
esac
ln -sfn "system-$number-link" system
lanzactl sync --hook -- "$(readlink -f system)"
ln -sfn "$(readlink -f system)" /run/current-system
"""
ENTER = """#!/bin/sh -e
# As nixos-enter does: a name space of mounts of its own, and the tree's own programs.
[ "$1 $3" = "--root --command" ]
export root="$2" command="$4"
exec unshare --mount sh -ec 'for folder in proc sys dev; do mount --rbind /$folder $root/$folder; done; exec chroot $root sh -c "$command"'
"""
DELETE_GENERATIONS = """#!/bin/sh -e
# As nix-env does: all but the last so many go.
[ "$1 $3" = "--profile --delete-generations" ]
cd "$(dirname "$2")"
ls -v | grep '^system-[0-9]*-link$' | head -n "-${4#+}" | xargs rm -f
"""
# Somebody at a terminal, whose answers are the standard input.
ON_TERMINAL = "python3 -c 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' {}"
# What udev would make of the disks' names.
NAMES = """mkdir -p /dev/disk/by-label
for disk in /sys/block/vd*; do case $(<$disk/serial) in
esp) ln -sf /dev/${disk##*/}1 /dev/disk/by-label/boot ;;
root) ln -sf /dev/${disk##*/} /dev/disk/by-label/nixos ;;
esac; done
"""


class Documented(NixosMachine):
    def __init__(self):
        super().__init__("documents", Images())
        self.reader = Reader(MACHINE)
        for name, script in (("nixos-rebuild", REBUILD), ("nixos-enter", ENTER), ("nix-env", DELETE_GENERATIONS)):
            self.entries[f"/usr/local/bin/{name}"] = Entry(script.encode(), 0o755)

    def make_esp(self):
        super().make_esp()
        if not os.path.exists(self.path("second.img")):
            self.copy(self.esp, self.path("second.img"))

    def start(self, *extra, esp_first=True):
        super().start(*extra, *self.disk("second", self.path("second.img")), esp_first=esp_first)

    def type(self, document, heading, index=0, answers=None, statuses=None):
        """Types a block. STATUSES: command -> exit status other than 0; ANSWERS: command -> what is typed then. Returns what
        was printed."""
        printed = ""
        for command in self.reader.take(document, heading, index).commands:
            answer = (answers or {}).get(command)
            result = self.run(ON_TERMINAL.format(command) if answer else command, (answer or "").encode(), check=False)
            printed += result.text + result.error_text
            if result.status != (statuses or {}).get(command, 0):
                raise MachineError(self.describe(f"{document}, {heading}: '{command}' ended with status {result.status}:\n{printed}"))
        return printed

    def go_off(self, document, heading, index=0):
        """Types the one command of a block, which ends the system."""
        command, = self.reader.take(document, heading, index).commands
        self.run(f"setsid {command} >/dev/null 2>&1 </dev/null &")
        self.wait_off()

    def build(self, number):
        """What the next nixos-rebuild makes generation NUMBER of."""
        toplevel = self.nixos.toplevel(f"25.05.{number}", self.nixos.kernel(self.kernel), self.nixos.initrd(self.images.initrd(f"{number}")))
        self.put_generations()
        self.run(f"echo {toplevel} >/run/built")
        self.generations[number] = toplevel

    def numbers(self):
        """Of the generations whose images stand on the ESP, and of the default one."""
        images = self.lanzad("list")["images"]
        return {image["generation"] for image in images}, {image["generation"] for image in images if image["default"]}

    def assert_signed(self, path):
        for name, source in (("signed.efi", path), ("db.pem", "/var/lib/lanzad/keys/db/db.pem")):
            with open(self.path(name), "wb") as file:
                file.write(self.read(source))
        subprocess.run(["sbverify", "--cert", self.path("db.pem"), self.path("signed.efi")], capture_output=True, check=True)

    def put_tree(self, folder):
        """Another machine's system below FOLDER, with a folder for its ESP: lanzad and the configuration are in the store."""
        nixos = Nixos(self.images)
        stub = nixos.add(store_path("lanzad", folder) + "/lanzastubx64.efi", self.entries["/usr/lib/lanzad/lanzastubx64.efi"].content)
        loader = nixos.add(store_path("systemd", folder) + "/systemd-bootx64.efi", read(self.images.tree + LOADER))
        toplevel = nixos.generation(1, nixos.toplevel("25.05", nixos.kernel(self.kernel), nixos.initrd(self.images.initrd("image"))))
        nixos.add(toplevel + "/etc/lanza/lanzad.conf", f"[Boot]\nStub={stub}\nLoader={loader}\n".encode())
        self.put({folder + path: entry for path, entry in nixos.take().items()})
        self.run(f"mkdir -p {folder}/boot")

    def set_variable(self, *arguments):
        """In the firmware's settings, while the machine is off."""
        self.images.tool("virt-fw-vars", "--inplace", self.variables, *arguments)


def first_steps(plan, machine):
    with plan.step("before-there-are-keys-a-switch-writes-unsigned-images"):
        machine.install()
        machine.build(2)
        machine.type(README, "Quick start on NixOS", 0)
        assert machine.secure_boot() == (1, 0)
        assert machine.numbers() == ({1, 2}, {2})
        assert not any(image["signed"] for image in machine.lanzad("list")["images"])
    with plan.step("status-says-where-the-machine-stands"):
        text = machine.type(GUIDE, "Setting up", 0)
        assert "Setup Mode" in text and "lanzactl setup" in text, text
    with plan.step("by-single-steps"):
        machine.type(GUIDE, "Step by step", 0)
        assert machine.secure_boot()[0] == 0
    with plan.step("by-a-script"):
        assert "leave the firmware alone" in machine.type(GUIDE, "Step by step", 1)
    with plan.step("a-copy-of-the-keys-is-for-root-alone"):
        machine.type(GUIDE, "A copy of the keys")
        assert machine.run("stat -c %a /root/secure-boot-keys.tar").text.strip() == "600"
    with plan.step("files-for-the-firmware's-menu"):
        machine.type(GUIDE, "Firmware that takes keys only in its own menu")
        assert machine.run("cd /boot/keys && ls -S && rm -r /boot/keys").text.split() == ["db.auth", "KEK.auth", "PK.auth"]


def set_up(plan, machine):
    with plan.step("in-setup-mode-again"):
        machine.run("chattr -i /sys/firmware/efi/efivars/PK-*; efi-updatevar -d 0 -k /var/lib/lanzad/keys/PK/PK.key PK")
        assert machine.secure_boot() == (1, 0)
    with plan.step("microsoft's-certificates-by-class"):
        text = machine.type(GUIDE, "Microsoft's certificates")
        assert "Would write PK: 1 added" in text and machine.secure_boot() == (1, 0), text
    with plan.step("units-for-machines-that-set-themselves-up"):
        machine.type(GUIDE, "Without anybody's doing", 0)
        machine.type(GUIDE, "Without anybody's doing", 1)
        units = "lanzad-generate-keys lanzad-sign-images lanzad-enroll-keys"
        assert machine.run(f"systemctl is-enabled {units}").text.split() == ["enabled"] * 3
        assert "reboot" in machine.run("systemctl show --property=ExecStart lanzad-enroll-keys").text
        machine.run(f"systemctl --no-reload disable {units}")
    with plan.step("setup-asks-once-and-leaves-a-reboot"):
        text = machine.type(README, "Quick start on NixOS", 1, answers={"lanzactl setup": "microsoft\n"})
        assert text.rstrip().endswith("One thing is left: reboot, for example with 'systemctl reboot'."), text
        text = machine.type(GUIDE, "Setting up", 2, answers={"lanzactl setup": "yes\n"})
        assert "leave the firmware alone" in text, text
    with plan.step("the-firmware's-settings-come-up"):
        machine.go_off(GUIDE, "Setting up", 1)
        machine.start()
        machine.wait_console("Boot Manager")
        machine.kill()
    with plan.step("the-firmware-enforces"):
        machine.boot()
        assert machine.secure_boot() == (0, 1) and machine.booted() == machine.generations[2]
        assert "Secure Boot: enforced, by these keys" in machine.run("lanzactl status").text


def every_day(plan, machine):
    with plan.step("a-switch-and-back"):
        machine.build(3)
        text = machine.type(GUIDE, "Every day", 0)
        assert "enforced, by these keys" in text and machine.numbers() == ({1, 2, 3}, {3}), text
        machine.type(GUIDE, "Every day", 1)
        assert machine.numbers() == ({1, 2, 3}, {2})
    with plan.step("what-nothing-needs-goes"):
        name = machine.entry(1)
        machine.run(f"rm {PROFILES}/system-1-link")
        assert name in machine.type(GUIDE, "Every day", 2)
        assert machine.numbers() == ({2, 3}, {2})
    with plan.step("stubs-are-renewed"):
        machine.type(GUIDE, "Every day", 3)
    with plan.step("another-program-is-signed"):
        machine.run(f"cp {LOADER} memtest.efi")
        machine.type(GUIDE, "Every day", 4)
        machine.assert_signed("/boot/EFI/tools/memtest.efi")
    with plan.step("what-programs-read"):
        machine.type(GUIDE, "Every day", 5)
        machine.type(GUIDE, "Fleets", 1)
        assert "HSI:1" in machine.type(GUIDE, "Device Security in GNOME")
        machine.type(GUIDE, "Firmware updates")


def other_trees(plan, machine):
    with plan.step("another-machine's-system-in-a-folder"):
        machine.put_tree("/mnt")
        machine.type(README, "Quick start on Debian", 1)
        assert len(machine.run("ls /mnt/boot/EFI/Linux").text.split()) == 1
        machine.run("rm -r /mnt/* /srv/keys")
    with plan.step("an-image-with-the-variables-of-its-firmware"):
        machine.put_tree("/srv/image")
        machine.type(GUIDE, "Fleets", 0)
        assert "PK" in machine.run("cat /srv/variables").text
        assert machine.run("ls -A /srv").text.split() == ["image", "keys", "variables"]


def several_esps(plan, machine):
    with plan.step("several-esps-have-the-same"):
        machine.run("""mkdir -p -m 0700 /boot2
for disk in /sys/block/vd*; do [ $(<$disk/serial) != second ] || mount -t vfat -o umask=0077,iocharset=ascii /dev/${disk##*/}1 /boot2; done""")
        machine.put({"/etc/lanza/lanzad.conf.d/esps.conf": Entry(b"[Esp]\nExtraPaths=/boot2\n"),
                     "/etc/systemd/system/lanzad.service.d/esp-path.conf": Entry(b"[Service]\nReadWritePaths=-/boot2\n")})
        machine.run("systemctl daemon-reload; systemctl stop lanzad")
        machine.type(GUIDE, "Several ESPs, and XBOOTLDR")
        machine.run("for folder in BOOT Linux nixos systemd; do diff -r /boot/EFI/$folder /boot2/EFI/$folder || exit 1; done")
        machine.run("umount /boot2; rm /etc/lanza/lanzad.conf.d/esps.conf; systemctl stop lanzad")


def repair(plan, machine):
    with plan.step("back-to-a-generation-that-starts"):
        machine.build(4)
        machine.run("nixos-rebuild switch")
        machine.type(GUIDE, DOES_NOT_BOOT, 0)
        assert machine.numbers() == ({2, 3, 4}, {3})
    with plan.step("damaged-files-are-written-anew"):
        before = machine.boot_files()
        machine.run("for file in /boot/EFI/nixos/initrd-*; do printf x | dd of=$file conv=notrunc status=none; done")
        assert machine.boot_files() != before
        machine.type(GUIDE, DOES_NOT_BOOT, 1)
        assert machine.boot_files() == before
    with plan.step("lost-keys-come-from-the-copy"):
        machine.run("systemctl stop lanzad; rm -r /var/lib/lanzad")
        assert machine.refused("sync")[0] == "NoKeys"
        machine.type(GUIDE, DOES_NOT_BOOT, 3)
        assert machine.boot_files() == before
    with plan.step("a-full-esp-has-room-with-fewer-generations"):
        machine.type(GUIDE, DOES_NOT_BOOT, 4)
        assert machine.numbers() == ({2, 3, 4}, {3}), machine.numbers()  # 2 is booted


def rescue(plan, machine):
    with plan.step("an-installation-medium-mends-an-empty-esp"):
        machine.go_off(README, "Quick start on NixOS", 2)
        machine.make_esp()
        machine.set_variable("--set-false", "SecureBootEnable")
        machine.seeded = False
        machine.boot_directly(machine.images.kernel, machine.path("initrd"), " ".join(["init=/usr/lib/systemd/systemd", *PARAMETERS]))
        assert machine.secure_boot() == (0, 0)
        machine.run("umount /boot; " + NAMES)
        machine.type(GUIDE, DOES_NOT_BOOT, 2)
        machine.shut_down()
    with plan.step("the-firmware-enforces-again-and-the-default-runs"):
        machine.set_variable("--set-true", "SecureBootEnable")
        machine.boot()
        assert machine.secure_boot() == (0, 1) and machine.booted() == machine.generations[3]
        assert machine.lanzad("status", "--check")["problems"] == []


def scenario(plan):
    with Documented() as machine:
        machine.add_generation(1, "25.05.1", "one")
        for part in (first_steps, set_up, every_day, other_trees, several_esps, repair, rescue):
            part(plan, machine)
        with plan.step("every-command-that-is-for-a-machine-ran"):
            assert machine.reader.left() == [], machine.reader.left()
        machine.kill()


tap.run("vm/documents", scenario)
