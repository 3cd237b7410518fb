#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What fwupd, and GNOME's Device Security, which asks fwupd, say of a machine before and after lanzad enrolled its keys; that
lanzad's own attributes agree with fwupd's; and a firmware update with Secure Boot on, up to the point where the firmware
itself would have to take the capsule. fwupd is Debian's, in its own sandbox.

QEMU's firmware tells of no part that can be updated: a driver of ours does (../stubs/updatable.c). It takes no capsules.
"""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from archive import Entry
from documents import FWUPD, Reader
from images import Images, read
from machine import COMMAND_SECONDS
from nixos_machine import ENROLL_ANYWAY, NixosMachine

BUILD = os.environ.get("LANZA_BUILD", "build")

# In a virtual machine fwupd gives no attributes, unless it is told that this is none.
PHYSICAL = "[Service]\nEnvironment=FWUPD_MACHINE_KIND=physical\n"
CONFIGURATION = """[fwupd]
IdleTimeout=0
OnlyTrusted=false

[uefi_capsule]
DisableShimForSecureBoot=true
"""

RESOURCE = "4c414e5a-4144-4c41-4e5a-414454455354"  # in updatable.c
UPDATE = f"""<?xml version="1.0" encoding="UTF-8"?>
<component type="firmware">
  <id>test.firmware</id>
  <name>Test</name>
  <summary>A capsule that no firmware takes</summary>
  <provides><firmware type="flashed">{RESOURCE}</firmware></provides>
  <metadata_license>CC0-1.0</metadata_license>
  <project_license>proprietary</project_license>
  <developer_name>Test</developer_name>
  <releases><release version="2" date="2026-01-01"/></releases>
  <custom><value key="LVFS::UpdateProtocol">org.uefi.capsule</value><value key="LVFS::VersionFormat">number</value></custom>
</component>
"""
CAPSULE = f"/EFI/debian/fw/fwupd-{RESOURCE}.cap"
HELPER = "/EFI/debian/fwupdx64.efi"
HELPERS = "/usr/libexec/fwupd/efi"
SIGNER = "lanzad-sign-fwupd.service"

SUCCESS, RUNTIME_ISSUE, CONFIG_FW, CONFIG_OS = 1 << 0, 1 << 10, 1 << 12, 1 << 13

# What both tell, as (flags, level, result, result that is success); the numbers are FwupdSecurityAttrResult's.
BEFORE = {
    "Uefi.SecureBoot": (RUNTIME_ISSUE | CONFIG_FW, 0, 2, 1),
    "Uefi.BootserviceVars": (SUCCESS, 1, 5, 5),
    "Kernel.Lockdown": (RUNTIME_ISSUE | CONFIG_OS, 0, 2, 1),
}
AFTER = {
    "Uefi.SecureBoot": (SUCCESS, 1, 1, 1),
    "Uefi.Pk": (SUCCESS, 1, 3, 3),
    "Uefi.Db": (SUCCESS | RUNTIME_ISSUE | CONFIG_FW, 0, 12, 3),
    "Uefi.BootserviceVars": (SUCCESS, 1, 5, 5),
    "Kernel.Lockdown": (SUCCESS | RUNTIME_ISSUE, 0, 1, 1),
}
WITH_2011 = {**AFTER, "Uefi.Db": (RUNTIME_ISSUE | CONFIG_FW, 0, 4, 3)}
WITH_BOTH = {**AFTER, "Uefi.Db": (SUCCESS | RUNTIME_ISSUE | CONFIG_FW, 0, 3, 3)}

MICROSOFT = "77fa9abd-0359-4d32-bd60-28f4e78f784b"
CERTIFICATES = "/usr/lib/python3/dist-packages/virt/firmware/certs"
APPEND = f"""cd /tmp
cert-to-efi-sig-list -g {MICROSOFT} {CERTIFICATES}/MicrosoftUEFICA2023.pem 2023.esl
sign-efi-sig-list -a -k /var/lib/lanzad/keys/KEK/KEK.key -c /var/lib/lanzad/keys/KEK/KEK.pem db 2023.esl 2023.auth
chattr -i /sys/firmware/efi/efivars/db-*
efi-updatevar -a -f 2023.auth db"""


def attributes(machine, name, path):
    """Name -> attribute, as who is there on the bus tells it in fwupd's form."""
    answer = json.loads(machine.run(f"busctl --timeout={COMMAND_SECONDS} --json=short call {name} {path} "
                                     "org.freedesktop.fwupd GetHostSecurityAttrs").text)
    found = [{key: value["data"] for key, value in item.items()} for item in answer["data"][0]]
    return {item["AppstreamId"]: item for item in found}


class Security:
    """What fwupd and lanzad say of MACHINE."""

    def __init__(self, machine):
        self.theirs = attributes(machine, "org.freedesktop.fwupd", "/")
        self.ours = attributes(machine, "org.lanzaboote.Lanza1", "/org/lanzaboote/Lanza1")

    def agreed(self):
        """Name -> what both say. lanzad leaves out nothing that fwupd says of the firmware's keys."""
        common = sorted(self.theirs.keys() & self.ours.keys())
        for name in common:
            assert judged(self.theirs[name]) == judged(self.ours[name]), (self.theirs[name], self.ours[name])
            assert self.theirs[name]["Uri"] == self.ours[name]["Uri"], name
        assert [name for name in self.theirs if ".Uefi." in name and name not in common] == [], self.theirs
        return {name.removeprefix("org.fwupd.hsi."): judged(self.ours[name]) for name in common}

    def more(self):
        """Name -> whether it holds, of what fwupd has no attribute for; None where that cannot be told."""
        return {name.removeprefix("org.lanzaboote.hsi."): holds(item) if "HsiResult" in item else None
                for name, item in self.ours.items() if name.startswith("org.lanzaboote.")}

    def device_security(self):
        """What GNOME's panel shows of Secure Boot: it looks for two attributes among fwupd's of level 1."""
        first = {name: item for name, item in self.theirs.items() if item.get("HsiLevel") == 1}
        boot, key = (first.get(f"org.fwupd.hsi.Uefi.{name}", {}) for name in ("SecureBoot", "Pk"))
        if holds(boot) and holds(key):
            return "Secure Boot is Active"
        return "Secure Boot has Problems" if holds(boot) else "Secure Boot is Off"


def holds(item):
    return bool(item.get("Flags", 0) & SUCCESS)


def judged(item):
    return tuple(item.get(key, 0) for key in ("Flags", "HsiLevel", "HsiResult", "HsiResultSuccess"))


GUIDE = Reader(FWUPD)
SECURITY = GUIDE.take_from_sentence("GUIDE.md", "fwupdmgr security")


def words(machine):
    """What it prints: name -> result, of what is about UEFI."""
    found = json.loads(machine.run(SECURITY + " --json").text)["SecurityAttributes"]
    return {item["AppstreamId"].partition(".Uefi.")[2]: item["HsiResult"] for item in found if ".Uefi." in item["AppstreamId"]}


def start_fwupd(machine):
    """Ready to answer: it takes longer than a client would wait. udisks, which it asks for the ESP, asks udev."""
    machine.run("systemctl start disks.service udisks2.service && systemctl restart fwupd.service", seconds=300)


def system_firmware(machine):
    devices = json.loads(machine.run("fwupdmgr get-devices --json --no-authenticate").text)["Devices"]
    found, = (device for device in devices if device["Plugin"] == "uefi_capsule")
    return found


def install_update(machine):
    """fwupdmgr's own words if it refuses."""
    done = machine.run("fwupdmgr install /root/update.cab --no-reboot-check --json --assume-yes", check=False, seconds=300)
    return None if done.status == 0 else json.loads(done.text)["Error"]["Message"]


def before(plan, machine):
    with plan.step("in-setup-mode-fwupd-says-that-secure-boot-is-off-and-nothing-of-keys"):
        machine.install()
        start_fwupd(machine)
        assert words(machine) == {"SecureBoot": "not-enabled", "BootserviceVars": "locked"}, words(machine)
    with plan.step("lanzad-says-the-same-and-that-there-is-no-platform-key"):
        said = Security(machine)
        assert said.device_security() == "Secure Boot is Off"
        assert said.agreed() == BEFORE, said.agreed()
        assert judged(said.ours["org.fwupd.hsi.Uefi.Pk"]) == (CONFIG_OS, 1, 12, 3)
        assert said.more() == {"BootFilesVerified": False, "BootedByStub": False, "BootedImageSigned": None, "Pcr11Measured": False,
                               "PrivateKeys": False, "Revocations": None}, said.more()


def after(plan, machine):
    with plan.step("after-enrollment-fwupd-finds-secure-boot-on-and-platform-key-and-db-good"):
        machine.lanzad("create-keys")
        machine.lanzad("sync")
        machine.run("mkdir /boot/EFI/systemd/drivers")
        machine.lanzad("sign", "/root/updatablex64.efi", "--output=/boot/EFI/systemd/drivers/updatablex64.efi")
        machine.lanzad("enroll-keys", ENROLL_ANYWAY)
        machine.reboot()
        assert machine.secure_boot() == (0, 1)
        machine.run(f"systemctl mask --runtime {SIGNER}")
        start_fwupd(machine)
        assert words(machine) == {"SecureBoot": "enabled", "Pk": "valid", "Db": "not-found", "BootserviceVars": "locked"}, words(machine)
    with plan.step("lanzad-says-the-same-and-more-of-how-it-was-booted"):
        said = Security(machine)
        assert said.device_security() == "Secure Boot is Active"
        assert said.agreed() == AFTER, said.agreed()
        assert said.more() == {"BootFilesVerified": True, "BootedByStub": True, "BootedImageSigned": True, "Pcr11Measured": False,
                               "PrivateKeys": True, "Revocations": None}, said.more()


def update(plan, machine):
    with plan.step("fwupd-finds-a-part-to-update-but-no-helper-that-this-firmware-would-run"):
        found = system_firmware(machine)
        assert found["Name"] == "System Firmware" and found["Guid"] == [RESOURCE], found
        assert "updatable" in found["Flags"] and "Problems" not in found, found
        machine.run("cd /root && fwupdtool build-cabinet update.cab firmware.bin firmware.metainfo.xml")
        assert install_update(machine) == ("missing signed bootloader for secure boot: "
                                           f"{HELPERS}/fwupdx64.efi.signed cannot be found")
    with plan.step("with-the-one-that-lanzad-signs-whenever-fwupd-starts-it-stages-the-update"):
        machine.run(f"systemctl unmask --runtime {SIGNER}")
        start_fwupd(machine)
        assert install_update(machine) is None
        assert machine.run(f"ls {HELPERS}").text.split() == ["fwupdx64.efi"]
        files = machine.boot_files()
        assert {CAPSULE, HELPER} <= files.keys(), files
    with plan.step("neither-sync-nor-gc-touches-what-is-staged-and-the-machine-still-passes-its-checks"):
        machine.lanzad("sync")
        machine.lanzad("gc")
        assert machine.boot_files() == files
        assert machine.lanzad("status")["problems"] == []


def restart(plan, machine):
    certificate = machine.path("db.pem")
    with open(certificate, "wb") as file:
        file.write(machine.read("/var/lib/lanzad/keys/db/db.pem"))
    machine.shut_down()
    with plan.step("sbverify-accepts-the-helper-that-fwupd-put-on-the-esp"):
        copy = machine.path("fwupdx64.efi")
        with open(copy, "wb") as file:
            file.write(machine.esp_read(HELPER))
        subprocess.run(["sbverify", "--cert", certificate, copy], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
    with plan.step("the-firmware-starts-the-helper-first-which-hands-it-the-capsule"):
        machine.start()
        machine.wait_off(300)
        text = machine.console.text
        assert re.search(r'starting Boot\d{4} "Linux Firmware Updater"(?s:.*)fwupd-efi version ', text), text
        assert "Could not apply capsule update: Unsupported" in text, text
    with plan.step("then-the-machine-boots-as-before-and-fwupd-tells-what-became-of-the-update"):
        # By the way its db gets what fwupd wants to see replaced.
        machine.images.tool("virt-fw-vars", "--inplace", machine.variables, "--add-db", MICROSOFT,
                            f"{machine.images.tree}{CERTIFICATES}/MicrosoftCorporationUEFICA2011.pem")
        machine.boot()
        assert machine.secure_boot() == (0, 1)
        start_fwupd(machine)
        found = system_firmware(machine)
        assert "updatable" in found["Flags"], found
        results = json.loads(machine.run(f"fwupdmgr get-results {found['DeviceId']} --json --no-authenticate").text)
        assert results["UpdateError"] == "failed to run update on reboot: expected 2 and got 1", results
        assert CAPSULE not in machine.boot_files()
    with plan.step("of-microsofts-certificates-both-want-that-of-2023-where-there-is-that-of-2011"):
        said = Security(machine)
        assert said.device_security() == "Secure Boot is Active"
        assert said.agreed() == WITH_2011, said.agreed()
        assert said.more()["BootFilesVerified"]
        machine.run(APPEND)
        start_fwupd(machine)
        assert words(machine)["Db"] == "valid", words(machine)
        assert Security(machine).agreed() == WITH_BOTH


def scenario(plan):
    with NixosMachine("fwupd", Images()) as machine:
        machine.add_generation(1, "25.05.1", "one")
        machine.entries.update({
            "/etc/systemd/system/fwupd.service.d/physical.conf": Entry(PHYSICAL.encode()),
            "/etc/fwupd/fwupd.conf": Entry(CONFIGURATION.encode()),
            "/root/updatablex64.efi": Entry(read(os.path.join(BUILD, "vm/updatablex64.efi"))),
            "/root/firmware.metainfo.xml": Entry(UPDATE.encode()),
            "/root/firmware.bin": Entry(bytes(4096)),
        })  # fmt: skip
        before(plan, machine)
        after(plan, machine)
        update(plan, machine)
        restart(plan, machine)
        with plan.step("every-command-of-the-guide's-for-fwupd-ran"):
            assert GUIDE.left() == [], GUIDE.left()
        machine.kill()


tap.run("vm/fwupd", scenario)
