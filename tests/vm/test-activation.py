#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What NixOS' activation meets when it calls lanzactl sync --hook: a bus without lanzad, no bus at all, the service of the
system before, and systems that must not be booted. Whatever is refused leaves the ESP as it was, bit by bit.
"""
import hashlib
import json
import re

import tap
from archive import Entry
from images import Images
from machine import MachineError
from nixos import store_path
from nixos_machine import ENROLL_ANYWAY, NixosMachine
from nixos_system import OLDER as OLDER_VERSION, packaged

OLDER = "/usr/lib/older/lanzad"
DROP_IN = f"[Service]\nExecStart=\nExecStart={OLDER}\n"

# The program for secrets says who runs it, and replaces the initrd's name.
SECRETS = """cat /proc/self/cgroup >>/run/secrets-were-fetched-by
cd "$(mktemp -d)"
echo 'three, and its secret' >initrd-name
echo initrd-name | busybox cpio -o -H newc >>"$1"
"""

# As nixos-install does it: another root without /run, where nobody has made a machine id yet.
CHROOT = """mv /etc/machine-id /etc/machine-id.kept
unshare --mount sh -ec '
        mkdir -p /mnt
        mount --bind / /mnt
        mount -t proc proc /mnt/proc
        mount --rbind /sys /mnt/sys
        mount --bind /dev /mnt/dev
        mount --bind /boot /mnt/boot
        test ! -e /mnt/run/dbus
        NIXOS_INSTALL_BOOTLOADER=1 exec chroot /mnt {command}'
status=$?
mv /etc/machine-id.kept /etc/machine-id
exit $status
"""


class Activation(NixosMachine):
    """Has lanzad's programs; what tells bus and systemd of them comes with put_service()."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.service = {path: entry for path, entry in self.entries.items() if "/dbus-1/" in path or "/systemd/" in path}
        self.entries = {path: entry for path, entry in self.entries.items() if path not in self.service}
        older = next(entry for path, entry in packaged(OLDER_VERSION).items() if path.endswith("/bin/lanzad"))
        self.entries[OLDER] = Entry(older.content, 0o755)
        stub = self.entries["/usr/lib/lanzad/lanzastubx64.efi"].content
        self.stub_version = re.search(rb"lanzastub (\d+\.\d+\.\d+)\0", stub).group(1).decode()
        self.new_stub = stub.replace(b"lanzastub " + self.stub_version.encode(), b"lanzastub 9.9.9")
        self.said = ""

    def put_service(self):
        self.put(self.service)
        self.run("systemctl daemon-reload && busctl call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig")

    def configuration(self, limit, stub=None):
        """A configuration in the store, as the new system brings it. Returns its path."""
        text = f"[Boot]\nLimit={limit}\nLoaderConfig=/etc/lanza/loader.conf\n"
        if stub:
            text += "Stub=" + self.nixos.add(store_path("lanzad", hashlib.sha256(stub).hexdigest()) + "/stub.efi", stub) + "\n"
        return self.nixos.add(store_path("lanzad.conf", text), text.encode())

    def hook(self, toplevel, configuration, *options, status=0, around="{command}"):
        """What activation runs, held against STATUS. Returns the result, or the error's name behind its last dot."""
        command = f"lanzactl sync --hook --config={configuration} --json=short {' '.join(options)} {toplevel}"
        done = self.run(around.format(command=command), check=False)
        self.said = done.error_text
        if done.status != status:
            raise MachineError(self.describe(f"'{command}' ended with status {done.status} instead of {status}:\n"
                                             f"{done.text}{done.error_text}"))
        result = json.loads(done.text)
        return result["error"]["name"].rpartition(".")[2] if "error" in result else result

    def refuses(self, reason, toplevel, configuration, *options):
        """The hook refuses for REASON, and not a bit of the ESP changes."""
        before = self.esp_digest()
        assert self.hook(toplevel, configuration, *options, status=3) == reason, self.said
        assert self.esp_digest() == before

    def esp_digest(self):
        self.run("sync -f /boot; sync")
        with open(self.esp, "rb") as disk:
            return hashlib.file_digest(disk, "sha256").hexdigest()

    def numbers(self):
        """The generations that have an image on the ESP."""
        names = self.run("ls /boot/EFI/Linux").text.split()
        return sorted(int(name.split("-")[2]) for name in names)

    def stub_of(self, number):
        image = self.read("/boot/EFI/Linux/" + self.entry(number))
        return re.search(rb"lanzastub (\d+\.\d+\.\d+)\0", image).group(1).decode()

    def default(self):
        return re.search(r"^default (.*)$", self.run("cat /boot/loader/loader.conf").text, re.MULTILINE).group(1)

    def has_service(self):
        """Whether bus or systemd know how to start one."""
        known = self.run("busctl --no-pager call org.lanzaboote.Lanza1 / org.freedesktop.DBus.Peer Ping", check=False)
        return known.status == 0

    def service_version(self):
        version = self.run("busctl --json=short get-property org.lanzaboote.Lanza1 /org/lanzaboote/Lanza1 "
                           "org.lanzaboote.Lanza1.Manager Version").text
        return json.loads(version)["data"]

    def syncs_of_service(self):
        """The results of all that it was asked to sync."""
        lines = self.run("journalctl --sync; journalctl -u lanzad -o json --output-fields=LANZA_RESULT LANZA_OPERATION=sync").text
        return [json.loads(line)["LANZA_RESULT"] for line in lines.splitlines()]


def without_service(plan, machine):
    machine.add_generation(1, "25.05.1", "one")
    machine.add_generation(2, "25.05.2", "two")
    every = machine.configuration(0)
    with plan.step("first-switch-with-a-bus-and-no-lanzad"):
        machine.install()
        assert machine.run("busctl list").text and not machine.has_service()
        result = machine.hook(machine.generations[2], every)
        assert result["partitions"][0]["default-entry"] == machine.entry(2) == machine.default(), result
        assert any("not signed" in warning for warning in result["warnings"]), result
        assert machine.numbers() == [1, 2]
    with plan.step("in-a-chroot-without-a-bus"):
        files = machine.boot_files()
        machine.run("rm -r /boot/*")
        result = machine.hook(machine.generations[2], every, around=CHROOT)
        assert result["partitions"][0]["default-entry"] == machine.default(), result
        assert machine.boot_files() == files


def set_up(plan, machine):
    with plan.step("the-service-sets-secure-boot-up"):
        machine.put_service()
        machine.run(f"lanzactl setup --yes {ENROLL_ANYWAY}")
        assert machine.has_service() and machine.syncs_of_service() == ["done"]
        machine.reboot()
        assert machine.secure_boot() == (0, 1)
        assert machine.booted() == machine.generations[2]


def with_service(plan, machine):
    with plan.step("limit-stub-and-secrets-of-this-very-switch-are-used-by-the-running-service"):
        machine.add_generation(3, "25.05.3", "three", secrets=SECRETS)
        new = machine.configuration(1, machine.new_stub)
        machine.put_generations()
        syncs = machine.syncs_of_service()
        result = machine.hook(machine.generations[3], new)
        assert result["partitions"][0]["default-entry"] == machine.default() == machine.entry(3), result
        assert machine.numbers() == [2, 3]  # the booted one and the new one
        assert (machine.stub_of(2), machine.stub_of(3)) == (machine.stub_version, "9.9.9")
        assert machine.syncs_of_service() == syncs + ["done"]
        fetched_by = machine.run("cat /run/secrets-were-fetched-by").text
        assert fetched_by.count("\n") == 1 and "lanzad.service" not in fetched_by, fetched_by
        names = [path for path in machine.boot_files() if "/initrd-" in path]
        assert len(names) == 3, names  # one for each generation, and the secrets
    return new


def with_older_service(plan, machine, new):
    with plan.step("a-running-service-of-an-older-version-is-left-alone"):
        machine.add_generation(4, "25.05.4", "four")
        newest_two = machine.configuration(2, machine.new_stub)
        machine.put_generations()
        machine.put({"/etc/systemd/system/lanzad.service.d/older.conf": Entry(DROP_IN.encode())})
        machine.run("systemctl stop lanzad; systemctl daemon-reload; systemctl start lanzad")
        syncs = machine.syncs_of_service()
        assert machine.service_version() == OLDER_VERSION
        result = machine.hook(machine.generations[4], newest_two)
        assert result["partitions"][0]["default-entry"] == machine.default() == machine.entry(4), result
        assert machine.numbers() == [2, 3, 4]
        assert machine.service_version() == OLDER_VERSION and machine.syncs_of_service() == syncs
    foreign = machine.add_toplevel("25.05.5", "foreign")
    machine.put_generations()
    with plan.step("a-toplevel-of-no-profile-is-refused-by-the-program"):
        machine.refuses("ForeignToplevel", foreign, new)
    machine.run("rm /etc/systemd/system/lanzad.service.d/older.conf; systemctl stop lanzad; systemctl daemon-reload")
    with plan.step("and-where-there-is-a-service-also-by-that"):
        machine.refuses("ForeignToplevel", foreign, new)
        before = machine.esp_digest()
        call = "busctl call org.lanzaboote.Lanza1 /org/lanzaboote/Lanza1 org.lanzaboote.Lanza1.Esp Sync a{sv} 1 toplevel s "
        assert "is no generation" in machine.run(call + foreign, check=False).error_text
        assert machine.service_version() != OLDER_VERSION and machine.syncs_of_service()[-1] == "ForeignToplevel"
        assert machine.esp_digest() == before
    with plan.step("unless-root-insists"):
        machine.hook(foreign, new, "--allow-unlisted")
        assert foreign.encode() in machine.read("/boot/EFI/Linux/" + machine.default())


def malformed(plan, machine, every):
    def spoil(number):
        path = machine.generations[number] + "/boot.json"
        machine.run(f"cp {path} /run/boot.json; printf '{{' >{path}")
        return f"cp /run/boot.json {path}"

    with plan.step("a-malformed-old-generation-is-a-warning"):
        machine.hook(machine.generations[4], every)
        image = machine.entry(1)
        mend = spoil(1)
        result = machine.hook(machine.generations[4], every)
        assert any("generation 1 is left out" in warning for warning in result["warnings"]), result
        assert machine.entry(1) == image and machine.entry(4) == machine.default()
        machine.run(mend)
    with plan.step("a-malformed-requested-one-is-refused"):
        mend = spoil(3)
        machine.refuses("BadBootspec", machine.generations[3], every)
        machine.run(mend)


def lost_keys(plan, machine, every):
    for title, lost in (("keys-that-were-deleted", "/var/lib/lanzad/keys"), ("a-store-that-was-deleted", "/var/lib/lanzad/*")):
        with plan.step(f"with-{title}-an-enforcing-machine-refuses-and-never-writes-unsigned"):
            machine.run(f"cp -a /var/lib/lanzad /root/kept && rm -r {lost}")
            for toplevel in (machine.generations[3], machine.generations[4]):
                machine.refuses("NoKeys", toplevel, every)
            machine.run("rm -rf /var/lib/lanzad/* && cp -a /root/kept/. /var/lib/lanzad/ && rm -r /root/kept")


def boot(plan, machine, every):
    with plan.step("what-the-hook-said-can-be-booted-boots"):
        machine.hook(machine.generations[3], every)
        machine.reboot()
        assert machine.secure_boot() == (0, 1)
        assert machine.booted() == machine.generations[3]
        assert "stage 1: initrd three, and its secret" in machine.console.text
        status = machine.lanzad("status", "--check")
        assert status["booted-stub"] == "lanzastub 9.9.9", status


def scenario(plan):
    with Activation("activation", Images()) as machine:
        without_service(plan, machine)
        set_up(plan, machine)
        new = with_service(plan, machine)
        with_older_service(plan, machine, new)
        every = machine.configuration(0, machine.new_stub)
        machine.put_generations()
        malformed(plan, machine, every)
        lost_keys(plan, machine, every)
        boot(plan, machine, every)


tap.run("vm/activation", scenario)
