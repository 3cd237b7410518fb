#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""From Setup Mode to a machine whose firmware enforces, and its life from there: new generations, older entries, what
must be refused. Firmware, boot loader, kernel and other people's tools judge.
"""
import hashlib
import json
import re
import subprocess

import tap
import variables
from bootimage import Pe
from images import Images
from nixos_machine import ENROLL_ANYWAY, NixosMachine

# Before the certificate in a signature list: UEFI specification, EFI_SIGNATURE_LIST and EFI_SIGNATURE_DATA.
LIST_HEADER = 28 + 16
GUIDS = {"PK": variables.GLOBAL, "KEK": variables.GLOBAL, "db": variables.IMAGE_SECURITY}


def judge(*command):
    process = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=60, check=False)
    output = process.stdout.decode("utf-8", "replace")
    assert process.returncode == 0, f"{' '.join(command)}: status {process.returncode}\n{output}"
    return output


def set_up(plan, machine):
    machine.add_generation(1, "25.05.1", "one")
    machine.add_generation(2, "25.05.2", "two", specialisations={"debug": ("two-debug", ["debug"])})
    machine.add_generation(3, "25.05.3", "three")
    with plan.step("an-empty-machine-is-in-setup-mode"):
        machine.install()
        assert machine.secure_boot() == (1, 0)
        status = machine.lanzad("status")
        assert status["setup-mode"] and not status["secure-boot"] and not status["keys-present"]
        assert [generation["number"] for generation in status["generations"]] == [3, 2, 1]
    with plan.step("keys-are-made-once"):
        assert machine.lanzad("create-keys")["created"] == ["PK", "KEK", "db"]
        assert machine.refused("create-keys")[0] == "KeysExist"
    with plan.step("sync-puts-an-image-a-generation-and-specialisation-on-the-esp"):
        machine.lanzad("sync", machine.generations[3])
        names = {machine.entry(1), machine.entry(2), machine.entry(2, "debug"), machine.entry(3)}
        files = machine.boot_files()
        assert {path.rpartition("/")[2] for path in files if path.startswith("/EFI/Linux/")} == names
        assert len([path for path in files if path.startswith("/EFI/nixos/")]) == 1 + 4, files
        assert "/EFI/systemd/systemd-bootx64.efi" in files and "/EFI/BOOT/BOOTX64.EFI" in files
        assert f"default {machine.entry(3)}\n" in machine.run("cat /boot/loader/loader.conf").text
    with plan.step("a-second-sync-writes-nothing-to-the-disk"):
        before = machine.sectors_written()
        result = machine.lanzad("sync", machine.generations[3])
        assert machine.sectors_written() == before
        assert result["partitions"][0]["bytes-written"] == 0
    with plan.step("bootctl-lists-title-version-and-sort-key"):
        check_boot_entries(machine)
    with plan.step("enrollment-needs-consent-and-a-dry-run-writes-nothing"):
        assert machine.refused("enroll-keys")[0] == "OptionRomRisk"
        machine.lanzad("enroll-keys", ENROLL_ANYWAY, "--dry-run")
        assert machine.secure_boot() == (1, 0)
    with plan.step("enrolling-ends-setup-mode"):
        machine.lanzad("enroll-keys", ENROLL_ANYWAY)
        assert machine.secure_boot()[0] == 0
        again = machine.lanzad("enroll-keys", ENROLL_ANYWAY)
        assert [variable["written"] for variable in again["variables"]] == [False, False, False], again


def check_boot_entries(machine):
    entries = {entry["id"]: entry for entry in json.loads(machine.run("bootctl list --json=short").text)}
    titles = {entries[name]["title"] for name in (machine.entry(1), machine.entry(2), machine.entry(2, "debug"), machine.entry(3))}
    assert len(titles) == 4, f"titles are not unique: {titles}"
    for number in (1, 2, 3):
        entry = entries[machine.entry(number)]
        assert entry["title"].startswith(f"25.05.{number} (Generation {number}, "), entry
        assert entry["version"].startswith(f"Generation {number}, "), entry
        assert entry["sortKey"] == "lanza", entry
    assert "debug" in entries[machine.entry(2, "debug")]["title"]
    order = [name for name in entries if name.startswith("nixos-")]
    assert order[0] == machine.entry(3), order


def check_images(plan, machine):
    """What stands on the ESP, judged on the host while the machine is off."""
    certificate = machine.path("db.pem")
    with open(certificate, "wb") as file:
        file.write(machine.read("/var/lib/lanzad/keys/db/db.pem"))
    paths = [path for path in machine.boot_files() if path.startswith(("/EFI/Linux/", "/EFI/systemd/", "/EFI/BOOT/"))]
    enrolled = machine.lanzad("list-enrolled-keys")["keys"]
    by_readvar = {role: machine.run(f"efi-readvar -v {role} -o /tmp/{role}.esl >/dev/null; cat /tmp/{role}.esl").output
                  for role in GUIDS}
    machine.shut_down()
    with plan.step("sbverify-osslsigncode-and-pesign-accept-every-image-and-loader"):
        assert len(paths) == 6, paths
        for path in paths:
            image = machine.esp_read(path)
            copy = machine.path("copy.efi")
            with open(copy, "wb") as file:
                file.write(image)
            judge("sbverify", "--cert", certificate, copy)
            judge("osslsigncode", "verify", "-CAfile", certificate, "-in", copy)
            digest = re.search("[0-9a-f]{64}", judge("pesign", "-h", "-i", copy)).group(0)
            offset, size = Pe(image).certificates()
            assert bytes.fromhex(digest) in image[offset:offset + size], f"{path}: pesign's digest is not what was signed"
    with plan.step("efi-readvar-and-virt-fw-vars-read-what-list-enrolled-keys-prints"):
        by_virt_firmware = variables.read_all(machine)
        for role, guid in GUIDS.items():
            expected = [key["fingerprint"] for key in enrolled if key["variable"] == role]
            for data in (by_readvar[role], by_virt_firmware[(role, guid)]):
                assert [hashlib.sha256(data[LIST_HEADER:]).hexdigest()] == expected, role


def enforce(plan, machine):
    with plan.step("the-firmware-enforces-and-boots-the-default-generation"):
        machine.boot()
        assert machine.secure_boot() == (0, 1)
        assert machine.booted() == machine.generations[3]
        assert "stage 1: initrd three" in machine.console.text
    with plan.step("status-agrees"):
        status = machine.lanzad("status")
        assert status["secure-boot"] and status["keys-enrolled"] and status["mode"] == "user"
        assert status["booted-entry"] == machine.entry(3)
        assert status["booted-toplevel"] == machine.generations[3]
        assert status["booted-stub"].startswith("lanzastub ") and status["booted-loader"].startswith("systemd-boot ")
        assert status["problems"] == [], status["problems"]
    with plan.step("security-tells-how-it-was-booted"):
        security = json.loads(machine.run("lanzactl security --json=short").text)
        results = {attribute["AppstreamId"].partition(".hsi.")[2]: attribute.get("HsiResult") for attribute in security["attributes"]}
        assert results == {
            "Uefi.SecureBoot": 1, "Uefi.Pk": 3, "Uefi.BootserviceVars": 5, "Uefi.Db": 12, "Kernel.Lockdown": 1, "BootFilesVerified": 3,
            "BootedByStub": 11, "BootedImageSigned": 3, "Pcr11Measured": 14, "PrivateKeys": 5, "Revocations": None,
        }, security  # fmt: skip
        # The one thing that is wrong: this machine has no TPM.
        assert security["host-security-id"] == "HSI:1!", security


def renew(plan, machine):
    with plan.step("a-new-generation-takes-the-oldest-out-with-what-only-it-used"):
        machine.add_generation(4, "25.11.4", "four (first)")
        machine.put_generations()
        before = machine.boot_files()
        oldest = machine.entry(1)
        result = machine.lanzad("sync", machine.generations[4])["partitions"][0]
        after = machine.boot_files()
        gone, new = before.keys() - after.keys(), after.keys() - before.keys()
        assert result["images-removed"] == [oldest], result
        assert "/EFI/Linux/" + oldest in gone and "/EFI/Linux/" + machine.entry(4) in new
        assert sorted(path.rpartition("/")[2].partition("-")[0] for path in gone) == ["initrd", "nixos"], gone
        assert sorted(path.rpartition("/")[2].partition("-")[0] for path in new) == ["initrd", "nixos"], new
    with plan.step("a-store-file-replaced-by-one-of-the-same-inode-size-and-time-is-hashed-anew"):
        initrd = machine.run(f"readlink {machine.generations[4]}/initrd").text.strip()
        before = machine.run(f"stat -c '%i %s %Y' {initrd}").text
        other = machine.images.initrd("four (other)")
        machine.run(f"cat >{initrd}; touch -d @1 {initrd}", other)
        assert machine.run(f"stat -c '%i %s %Y' {initrd}").text == before
        machine.lanzad("sync", machine.generations[4])
        assert hashlib.sha256(other).hexdigest() in machine.boot_files().values()
    with plan.step("after-a-power-cut-the-next-boot-runs-the-new-generation-with-what-is-in-the-store-now"):
        machine.kill()
        machine.boot()
        assert machine.secure_boot() == (0, 1)
        assert machine.booted() == machine.generations[4]
        assert "stage 1: initrd four (other)" in machine.console.text


def refuse(plan, machine):
    with plan.step("with-boot-unmounted-sync-refuses-and-writes-nothing"):
        device, options = machine.run("awk '$2 == \"/boot\" {print $1, $4}' /proc/mounts").text.split()
        machine.run("umount /boot")
        before = machine.sectors_written()
        reason, message = machine.refused("sync")
        assert reason == "EspNotFound" and "/boot" in message, (reason, message)
        assert machine.run("ls -A /boot").text == ""
        assert machine.sectors_written() == before
        machine.run(f"mount -t vfat -o {options} {device} /boot")
    with plan.step("with-a-fresh-key-store-sync-refuses-what-would-not-boot-and-writes-nothing"):
        machine.run("mv /var/lib/lanzad /var/lib/lanzad.kept")
        machine.lanzad("create-keys")
        files, before = machine.boot_files(), machine.sectors_written()
        reason, message = machine.refused("sync", machine.generations[4])
        assert reason == "WouldNotBoot", (reason, message)
        assert machine.sectors_written() == before
        assert machine.boot_files() == files
        assert machine.refused("enroll-keys", ENROLL_ANYWAY)[0] == "NotInSetupMode"
        machine.run("rm -r /var/lib/lanzad; mv /var/lib/lanzad.kept /var/lib/lanzad")
        assert machine.lanzad("sync", machine.generations[4])["partitions"][0]["bytes-written"] == 0


def follow_advice(plan, machine):
    """Of what no made-up machine has: the boot loader's variables, mounts, and vfat, whose modes are those of its mount."""
    with plan.step("what-status-tells-to-run-mends-what-it-found"):
        entry = machine.entry(max(machine.generations))
        machine.run(f"bootctl set-default {entry}; bootctl set-oneshot {entry}")
        machine.mend("LoaderEntryDefault")
        machine.mend("LoaderEntryOneShot")
        device, options = machine.run("awk '$2 == \"/boot\" {print $1, $4}' /proc/mounts").text.split()
        machine.run(f"echo {device} /boot vfat {options},umask=0022 >>/etc/fstab; umount /boot")
        machine.mend("No EFI system partition is mounted")
        document = machine.run("realpath /nix/var/nix/profiles/system").text.strip() + "/boot.json"
        machine.run(f"""cp -a {document} /root/boot.json; sed -i 's#"init":#"initrdSecrets": "/bin/true", &#' {document}""")
        machine.mend("can be read by others, and initrd secrets stand on it")
        machine.run(f"cp -a /root/boot.json {document}; sed -i '$d' /etc/fstab")


def go_back(plan, machine):
    with plan.step("an-older-entry-chosen-for-one-boot-runs"):
        machine.run("bootctl set-oneshot " + machine.entry(2, "debug"))
        machine.reboot()
        assert machine.secure_boot() == (0, 1)
        assert "stage 1: initrd two-debug" in machine.console.text
        assert machine.booted() == machine.run(f"readlink {machine.generations[2]}/specialisation/debug").text.strip()
    with plan.step("the-booted-generation-stays-over-the-limit"):
        for number in (5, 6, 7):
            machine.add_generation(number, f"25.11.{number}", f"number {number}")
        machine.put_generations()
        machine.lanzad("sync", machine.generations[7])
        for number in (2, 5, 6, 7):
            machine.entry(number)
    with plan.step("gc-removes-what-a-deleted-generation-leaves-and-nothing-else"):
        before, image = machine.boot_files(), "/EFI/Linux/" + machine.entry(5)
        machine.run("rm /nix/var/nix/profiles/system-5-link")
        machine.lanzad("gc")
        gone = before.keys() - machine.boot_files().keys()
        assert image in gone and len(gone) == 2, gone
        assert {path: before[path] for path in before if path not in gone} == machine.boot_files()


def scenario(plan):
    with NixosMachine("slice", Images(), limit=3) as machine:
        set_up(plan, machine)
        check_images(plan, machine)
        enforce(plan, machine)
        renew(plan, machine)
        follow_advice(plan, machine)
        refuse(plan, machine)
        go_back(plan, machine)


tap.run("vm/slice", scenario)
