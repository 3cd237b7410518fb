#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two ESPs, and an XBOOTLDR partition beside the first, where the firmware enforces: the same on both, images that move,
a start from an image on the XBOOTLDR partition, and one from the second disk after the first was wiped."""
import json
import subprocess

import tap
from archive import Entry
from images import Images
from machine import ESP_OFFSET, ESP_TYPE
from nixos_machine import ENROLL_ANYWAY, NixosMachine

XBOOTLDR_TYPE = "BC13C2FF-59E6-4262-A352-B275FD6F7172"
MEGABYTE = 1 << 20
SECTORS = 2048  # of a megabyte
CONFIGURATION = "/etc/lanza/lanzad.conf.d/partitions.conf"
LOADER = "EFI/systemd/systemd-bootx64.efi"


def format_partition(path, offset, megabytes):
    """With FAT32, of OFFSET and size in megabytes. The size of clusters would be chosen by the size of the whole disk, and firmware
    takes few clusters for FAT16."""
    subprocess.run(["mkfs.vfat", "-F", "32", "-s", "1", "--offset", str(offset * SECTORS), path, str(megabytes * 1024)],
                   capture_output=True, check=True)


def make_disk(path, partitions):
    """PARTITIONS: type and size in megabytes of each."""
    table, offset = "label: gpt\n", ESP_OFFSET // MEGABYTE
    with open(path, "wb") as file:
        file.truncate((offset + sum(size for _, size in partitions) + 1) * MEGABYTE)
    for kind, size in partitions:
        table += f"start={offset * SECTORS}, size={size * SECTORS}, type={kind}\n"
        offset += size
    subprocess.run(["sfdisk", "--quiet", path], input=table.encode(), stdout=subprocess.DEVNULL, check=True)
    offset = ESP_OFFSET // MEGABYTE
    for _, size in partitions:
        format_partition(path, offset, size)
        offset += size


class TwoDisks(NixosMachine):
    def make_esp(self):
        make_disk(self.esp, [(ESP_TYPE, self.esp_megabytes), (XBOOTLDR_TYPE, self.esp_megabytes)])
        make_disk(self.path("second.img"), [(ESP_TYPE, self.esp_megabytes)])

    def start(self, *extra, esp_first=True):
        super().start(*self.disk("second", self.path("second.img"), "bootindex=2"), *extra, esp_first=esp_first)

    def mount(self):
        self.run("""for disk in /sys/block/vd*; do case $(<$disk/serial) in esp) first=/dev/${disk##*/} ;; second) second=/dev/${disk##*/} ;; esac; done
mkdir -p -m 0700 /boot2 /xboot
mount -t vfat -o noatime,umask=0077,iocharset=ascii ${second}1 /boot2
mount -t vfat -o noatime,umask=0077,iocharset=ascii ${first}2 /xboot""")

    def configure(self, text):
        self.put({CONFIGURATION: Entry(text.encode())})

    def files(self, folder):
        return sorted(self.run(f"cd {folder} && find . -type f -exec sha256sum {{}} +").text.splitlines())

    def images_on(self, folder):
        """Numbers of the generations whose images stand there, one for each image."""
        names = self.run(f"if [ -e {folder}/EFI/Linux ]; then ls {folder}/EFI/Linux; fi").text.split()
        return sorted(int(name.split("-")[2]) for name in names if name.endswith(".efi"))

    def partition_uuid(self, folder):
        return self.run(f"blkid -p -s PART_ENTRY_UUID -o value $(findmnt -n -o SOURCE {folder})").text.strip()

    def loader_variable(self, name):
        """Of UUIDs: systemd-boot writes them in upper case."""
        content = self.run(f"cat /sys/firmware/efi/efivars/{name}-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", check=False)
        return content.output[4:].decode("utf-16-le").rstrip("\0").lower() if content.status == 0 else None

    def hook(self, number, status=0):
        result = self.run(f"lanzactl sync --hook --json=short {self.generations[number]}", check=False)
        assert result.status == status, (result.status, result.text, result.error_text)
        return json.loads(result.text)

    def assert_settled(self):
        self.run("df /boot /boot2 /xboot")
        before = [self.files(folder) for folder in ("/boot", "/boot2", "/xboot")]
        assert all(partition["bytes-written"] == 0 for partition in self.lanzad("sync")["partitions"])
        assert [self.files(folder) for folder in ("/boot", "/boot2", "/xboot")] == before


def two_esps(plan, machine):
    with plan.step("two-esps-get-the-same"):
        machine.install()
        machine.mount()
        machine.configure("[Esp]\nExtraPaths=/boot2\n")
        machine.lanzad("create-keys")
        first, second = machine.lanzad("sync")["partitions"]
        assert (first["path"], second["path"]) == ("/boot", "/boot2") and "problem" not in second
        assert first["partition-uuid"] == machine.partition_uuid("/boot") and second["partition-uuid"] == machine.partition_uuid("/boot2")
        assert machine.files("/boot") == machine.files("/boot2")
        machine.assert_settled()
    with plan.step("one-that-is-not-mounted-degrades-the-run"):
        machine.run("umount /boot2")
        result = machine.lanzad("sync", status=5)
        assert result["partitions"][1]["error"] == "EspNotFound", result
        machine.run("umount /xboot")
        machine.mount()
        machine.run("mount -o remount,ro /boot2")
        assert machine.lanzad("sync", status=5)["partitions"][1]["error"] == "EspReadOnly"
        machine.run("mount -o remount,rw /boot2")
        machine.assert_settled()
    with plan.step("it-boots-from-the-first-by-own-keys"):
        machine.lanzad("enroll-keys", ENROLL_ANYWAY)
        machine.reboot()
        machine.mount()
        assert machine.secure_boot() == (0, 1) and machine.booted() == machine.generations[1]
        assert machine.loader_variable("StubDevicePartUUID") == machine.partition_uuid("/boot")
        assert [partition["boots"] for partition in machine.lanzad("list")["partitions"]][0] is True


def xbootldr(plan, machine):
    with plan.step("with-xbootldr-images-move-there-but-for-the-booted-one"):
        machine.add_generation(2, "25.05.2", "second")
        machine.put_generations()
        machine.configure("[Esp]\nExtraPaths=/boot2\nXbootldrPath=/xboot\n")
        result = machine.hook(2)
        assert [partition["role"] for partition in result["partitions"]] == ["esp", "xbootldr", "esp"], result
        assert not any("problem" in partition for partition in result["partitions"]), result
        assert (machine.images_on("/boot"), machine.images_on("/xboot"), machine.images_on("/boot2")) == ([1], [1, 2], [1, 2])
        machine.assert_settled()
    with plan.step("a-partition-of-another-disk-is-no-xbootldr-of-this-one"):
        machine.configure("[Esp]\nPath=/boot2\nXbootldrPath=/xboot\n")
        name, message = machine.refused("sync")
        assert name == "EspNotFound" and "own disk only" in message, message
        machine.configure("[Esp]\nExtraPaths=/boot2\nXbootldrPath=/xboot\n")
    with plan.step("an-image-on-xbootldr-boots"):
        machine.reboot()
        machine.mount()
        assert machine.secure_boot() == (0, 1) and machine.booted() == machine.generations[2]
        assert machine.loader_variable("StubDevicePartUUID") == machine.partition_uuid("/xboot")
        found = machine.loader_variable("LoaderDevicePartUUID")
        assert found == machine.partition_uuid("/boot"), found
    with plan.step("then-the-esp-is-left-with-the-boot-loader"):
        machine.lanzad("sync")
        assert (machine.images_on("/boot"), machine.images_on("/xboot"), machine.images_on("/boot2")) == ([], [1, 2], [1, 2])
        assert not machine.run("ls /boot/EFI/nixos").text.split()
        machine.assert_settled()
        ids = [entry["id"] for entry in json.loads(machine.run("bootctl --boot-path=/xboot list --json=short").text) if "nixos" in entry["id"]]
        assert len(ids) == len(set(ids)) == 2, ids
        status = machine.lanzad("status", "--check")
        assert status["problems"] == [], status
        assert [image["partition"] for image in machine.lanzad("list")["images"] if image["booted"]] == ["/xboot"]
        security = json.loads(machine.run("lanzactl security --json=short").text)
        signed, = (found for found in security["attributes"] if found["AppstreamId"].endswith(".BootedImageSigned"))
        assert signed.get("HsiResult") == 3, signed


def wiped(plan, machine):
    with plan.step("with-the-first-esp-wiped-it-boots-from-the-second"):
        machine.shut_down()
        format_partition(machine.esp, ESP_OFFSET // MEGABYTE, machine.esp_megabytes)
        machine.boot()
        machine.mount()
        assert machine.secure_boot() == (0, 1) and machine.booted() == machine.generations[2]
        assert machine.loader_variable("LoaderDevicePartUUID") == machine.partition_uuid("/boot2")
        assert machine.loader_variable("StubDevicePartUUID") == machine.partition_uuid("/boot2")
        machine.lanzad("status", "--check")
    with plan.step("a-hook-counts-the-one-that-the-firmware-starts"):
        # Without an entry for the first it is by the second that this start came.
        machine.configure("[Esp]\nExtraPaths=/boot2\nXbootldrPath=/xboot\nBootEntry=no\n")
        machine.run("rm /sys/firmware/efi/efivars/BootOrder-*")
        machine.run("mount -o remount,ro /boot2")
        assert machine.lanzad("sync", "--dry-run")["partitions"][2]["boots"]
        machine.hook(1, status=1)
        machine.run("mount -o remount,rw /boot2; umount /boot")
        assert machine.hook(2)["partitions"][0]["error"] == "EspNotFound"
        machine.configure("[Esp]\nExtraPaths=/boot2\nXbootldrPath=/xboot\n")
    with plan.step("and-the-next-sync-mends-the-first"):
        machine.run("for disk in /sys/block/vd*; do [ $(<$disk/serial) != esp ] || mount -t vfat -o umask=0077,iocharset=ascii /dev/${disk##*/}1 /boot; done")
        result = machine.lanzad("sync")
        assert not any("problem" in partition for partition in result["partitions"])
        assert [bool(partition.get("boot-entry")) for partition in result["partitions"]] == [True, False, True], result
        machine.run(f"test -s /boot/{LOADER}")
        machine.assert_settled()
        assert machine.lanzad("status", "--check")["problems"] == []


def scenario(plan):
    with TwoDisks("partitions", Images()) as machine:
        machine.add_generation(1, "25.05.1", "first")
        two_esps(plan, machine)
        xbootldr(plan, machine)
        wiped(plan, machine)


tap.run("vm/partitions", scenario)
