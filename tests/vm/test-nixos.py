#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of a machine that has the NixOS module: installed in a chroot, switched, switched back by the boot menu, switched from
there, rolled back, cleaned and installed anew. It boots under Secure Boot after each, by the boot entry
that lanzad made, what was chosen, and has nothing left to do. Its systems bring lanzad in two versions."""
import contextlib
import json
import re

import archive
import tap
from images import Images
from machine import MachineError
from nixos import PARAMETERS, PROFILES
from nixos_machine import ENROLL_ANYWAY, NixosMachine
from nixos_system import ENTER, INSTALL, NEWER, OLDER, NixosSystems

# As nixos-rebuild starts it.
REBUILD = ("LOCALE_ARCHIVE=/run/current-system/sw/lib/locale/locale-archive NIXOS_INSTALL_BOOTLOADER=0 systemd-run -E LOCALE_ARCHIVE "
           "-E NIXOS_INSTALL_BOOTLOADER --collect --no-ask-password --pipe --quiet --service-type=exec "
           "--unit=nixos-rebuild-switch-to-configuration {system}/bin/switch-to-configuration {action}")

# Nix alone may write to the store.
STORE_WRITABLE = "unshare --mount sh -ec 'if mountpoint -q /nix/store; then mount -o remount,rw,bind /nix/store; fi; {command}'"

# The last line of systemd-boot's menu.
MENU = "Reboot Into Firmware Interface"


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


class System(NixosMachine):
    def __init__(self, name, images):
        super().__init__(name, images)
        self.nixos = NixosSystems(images)
        self.choice = None

    def boot(self):
        """By the firmware's own boot option; where there is a menu, CHOICE is typed."""
        self.start(esp_first=False)
        if self.choice:
            self.wait_console(MENU)
            self.press(self.choice)
        self.wait_up()

    def boot_medium(self, toplevel):
        """A first start with TOPLEVEL in the store, from a medium that runs no system of the disk."""
        self.seed(self.nixos.take())
        with open(self.path("initrd"), "wb") as file:
            file.write(self.images.initrd("installation medium"))
        self.boot_directly(self.images.kernel, self.path("initrd"), " ".join(["init=/usr/lib/systemd/systemd", *PARAMETERS]))
        self.set_profile(toplevel)

    # Nix

    def put(self, entries):
        self.run(STORE_WRITABLE.format(command="busybox tar -x -C / -f -"), archive.tar(entries))

    def make(self, label, version, timeout=0, specialisations=None):
        """nix-build: the system LABEL with lanzad in VERSION. Returns its toplevel."""
        self.nixos.use(version, timeout)
        toplevel = self.add_toplevel(label, "of " + label, specialisations=specialisations)
        if self.process:
            self.put_generations()
        return toplevel

    def set_profile(self, toplevel):
        """nix-env --set"""
        self.run(f"mkdir -p {PROFILES} && cd {PROFILES}; last=$(ls | sed -n 's/^system-\\([0-9]*\\)-link$/\\1/p' | sort -n | tail -n 1); "
                 f"ln -s {toplevel} system-$((last + 1))-link && ln -s system-$((last + 1))-link new && mv -T new system")

    def switch_generation(self, number):
        """nix-env --switch-generation, of which --rollback is one."""
        self.run(f"cd {PROFILES} && ln -s system-{number}-link new && mv -T new system")

    def collect_garbage(self):
        """nix-collect-garbage -d"""
        self.run(f"cd {PROFILES}; for link in system-*-link; do [ $link = $(readlink system) ] || rm $link; done")
        needed = self.nixos.closure(self.run(f"readlink -f {PROFILES}/system /run/current-system /nix/var/nix/gcroots/booted-system").text.split())
        dead = set(self.run("ls -d /nix/store/*").text.split()) - needed
        self.run(STORE_WRITABLE.format(command="rm -rf " + " ".join(sorted(dead))))
        return dead

    # NixOS

    def enter(self, command, environment="", status=0):
        """nixos-enter, where nothing made a machine id yet. Returns what it said."""
        result = self.run(f"mv /etc/machine-id /etc/machine-id.kept; {environment} bash -c {quoted(ENTER)} bash {quoted(command)}; "
                          "status=$?; mv /etc/machine-id.kept /etc/machine-id; exit $status", check=False)
        return self.expect(status, "nixos-enter: " + command, result)

    def install_system(self, status=0):
        """nixos-install, after it has set the profile."""
        self.run("touch /etc/NIXOS")
        return self.enter(INSTALL, "NIXOS_INSTALL_BOOTLOADER=1", status)

    def rebuild(self, action, system=PROFILES + "/system", status=0):
        """nixos-rebuild ACTION, once there is SYSTEM. Returns what it said."""
        return self.expect(status, f"{action} {system}", self.run(REBUILD.format(system=system, action=action), check=False))

    def expect(self, status, what, result):
        if result.status != status:
            raise MachineError(self.describe(f"'{what}' ended with status {result.status}, not {status}:\n{result.text}{result.error_text}"))
        return result.text + result.error_text

    def lanzactl(self, arguments):
        """The result of the running system's lanzactl."""
        return json.loads(self.run(f"/run/current-system/sw/bin/lanzactl {arguments} --json=short").text)

    # What is seen

    def entries_shown(self):
        """What bootctl says of the boot menu: toplevel -> entry."""
        listed = json.loads(self.run("bootctl list --json=short").text)
        return {entry["options"].split("/init")[0].removeprefix("init="): entry for entry in listed if entry["type"] == "type2"}

    def stub_of(self, toplevel):
        image = self.read(self.entries_shown()[toplevel]["path"])
        return re.search(rb"lanzastub (\d+\.\d+\.\d+)\0", image).group(1).decode()

    def service_version(self):
        return json.loads(self.run("busctl --json=short get-property org.lanzaboote.Lanza1 /org/lanzaboote/Lanza1 "
                                   "org.lanzaboote.Lanza1.Manager Version").text)["data"]

    def expect_entries(self, default, others=()):
        """These systems can be chosen, and DEFAULT is what starts without a choice."""
        shown = self.entries_shown()
        assert set(shown) == {default, *others}, shown
        assert [toplevel for toplevel, entry in shown.items() if entry["isDefault"]] == [default], shown

    def expect_running(self, toplevel):
        """TOPLEVEL was booted, with nothing against it."""
        assert self.secure_boot() == (0, 1)
        assert self.run("cat /proc/cmdline").text.startswith(f"init={toplevel}/init ")
        assert self.run("readlink /run/booted-system /run/current-system").text.split() == [toplevel] * 2
        assert [path for path, entry in self.entries_shown().items() if entry["isSelected"]] == [toplevel]
        assert "\\EFI\\systemd\\systemd-bootx64.efi" in self.console.text  # says the firmware
        status = self.lanzactl("status --check")
        assert status["secure-boot"] and status["problems"] == [], status

    @contextlib.contextmanager
    def nothing_is_written(self):
        self.run("df /boot")  # the first after a mount counts free clusters, and vfat notes them down
        before = self.sectors_written()
        yield
        assert self.sectors_written() == before


def install(plan, machine):
    first = machine.make("25.05", OLDER)
    lanzactl = "/run/current-system/sw/bin/lanzactl "
    with plan.step("installs-in-a-chroot-of-nixos-install"):
        machine.boot_medium(first)
        said = machine.install_system()
        assert "what is written is not signed" in said, said
        machine.expect_entries(first)
    with plan.step("and-is-set-up-in-a-chroot-of-nixos-enter"):
        machine.enter(lanzactl + f"setup --yes {ENROLL_ANYWAY}")
        machine.enter(lanzactl + "status")
        machine.reboot()
        machine.expect_running(first)
        machine.expect_entries(first)
        with machine.nothing_is_written():
            machine.rebuild("boot")
    return first


def switch(plan, machine, first):
    assert machine.service_version() == OLDER
    with plan.step("what-would-not-boot-stops-a-switch-before-it-begins"):
        broken = machine.make("25.05.broken", NEWER)
        machine.set_profile(broken)
        machine.run(STORE_WRITABLE.format(command=f"printf {{ >{broken}/boot.json"))
        with machine.nothing_is_written():
            said = machine.rebuild("switch", status=1)
        assert "Pre-switch checks failed" in said and "Failed to install" not in said, said
        assert machine.run("readlink /run/current-system").text.strip() == first
        machine.switch_generation(1)
        machine.run(f"rm {PROFILES}/system-2-link")
    second = machine.make("25.11", NEWER, timeout="menu-force")
    with plan.step("what-is-only-tried-is-not-installed"):
        with machine.nothing_is_written():
            machine.rebuild("check", second)
            machine.rebuild("dry-activate", second)
            machine.rebuild("test", second)
        machine.expect_entries(first)
    with plan.step("switches-with-the-new-system's-programs-stub-and-configuration"):
        machine.set_profile(second)
        machine.rebuild("switch")
        machine.expect_entries(second, [first])
        assert (machine.stub_of(first), machine.stub_of(second)) == (OLDER, NEWER)
        assert "timeout menu-force" in machine.run("cat /boot/loader/loader.conf").text
    with plan.step("the-service-of-the-old-system-ends-when-it-likes-and-the-new-one's-takes-its-place"):
        assert machine.service_version() == OLDER
        machine.run("systemctl stop lanzad")
        assert machine.service_version() == NEWER
        assert machine.lanzactl("status --check")["problems"] == []
    return second


def switch_back(plan, machine, first, second):
    with plan.step("switches-back-by-the-boot-menu"):
        machine.choice = b"2\r"
        machine.reboot()
        machine.expect_running(first)
        machine.expect_entries(second, [first])
        assert machine.service_version() == OLDER
        with machine.nothing_is_written():
            machine.rebuild("boot")
    with plan.step("and-from-there-to-a-specialisation-of-a-newer-system"):
        third = machine.make("26.05", NEWER, specialisations={"other": ("of the other", ["other"])})
        other = machine.run(f"readlink {third}/specialisation/other").text.strip()
        machine.set_profile(third)
        machine.rebuild("switch", PROFILES + "/system/specialisation/other")
        machine.expect_entries(other, [first, second, third])
        machine.choice = None
        machine.reboot()
        machine.expect_running(other)
        with machine.nothing_is_written():
            machine.rebuild("boot", PROFILES + "/system/specialisation/other")
    return third, other


def roll_back(plan, machine, first, second, third, other):
    with plan.step("rolls-back-to-the-system-before"):
        machine.switch_generation(2)
        machine.rebuild("switch")
        machine.expect_entries(second, [first, third, other])
        machine.choice = b"\r"  # its menu waits for somebody
        machine.reboot()
        machine.expect_running(second)
        machine.choice = None
        with machine.nothing_is_written():
            machine.rebuild("boot")
    with plan.step("and-to-one-whose-lanzad-is-older-than-the-service"):
        assert machine.service_version() == NEWER
        machine.switch_generation(1)
        machine.rebuild("switch")
        machine.expect_entries(first, [second, third, other])
    with plan.step("what-was-deleted-goes-but-what-is-booted"):
        dead = machine.collect_garbage()
        assert third in dead and other in dead and second not in dead, dead
        machine.rebuild("boot")
        machine.expect_entries(first, [second])
        machine.reboot()
        machine.expect_running(first)
    with plan.step("and-that-after-the-next-start"):
        machine.rebuild("boot")
        machine.expect_entries(first)
        with machine.nothing_is_written():
            machine.rebuild("boot")


def reinstall(plan, machine, first):
    machine.run("systemctl stop lanzad; rm -rf /nix/var /etc/NIXOS /var/cache/lanzad; mv /var/lib/lanzad /root/kept")
    machine.run(STORE_WRITABLE.format(command="rm -rf /nix/store/*"))
    machine.nixos.known.clear()
    new = machine.make("26.11", NEWER)
    machine.set_profile(new)
    with plan.step("is-not-installed-anew-without-the-keys-that-firmware-wants"):
        with machine.nothing_is_written():
            said = machine.install_system(status=1)
        assert "Pre-switch checks failed" in said, said
    with plan.step("is-installed-anew-with-them"):
        machine.run("mv /root/kept /var/lib/lanzad")
        machine.install_system()
        machine.reboot()
        machine.expect_running(new)
        machine.rebuild("boot")
        machine.expect_entries(new)
        with machine.nothing_is_written():
            machine.rebuild("boot")


def scenario(plan):
    with System("nixos", Images()) as machine:
        first = install(plan, machine)
        second = switch(plan, machine, first)
        third, other = switch_back(plan, machine, first, second)
        roll_back(plan, machine, first, second, third, other)
        reinstall(plan, machine, first)


tap.run("vm/nixos", scenario)
