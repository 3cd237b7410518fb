# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine that runs NixOS-like generations and has lanzad, as `make install` installs it.

    with NixosMachine("slice", images) as machine:
        machine.add_generation(1, "24.05", "first")
        machine.install()
        machine.lanzad("create-keys")
"""
import json
import os
import re
import stat

import archive
from images import read
from machine import Machine, MachineError
from nixos import PARAMETERS, Nixos

CONFIGURATION = """[Boot]
Limit={limit}
LoaderConfig=/etc/lanza/loader.conf
"""
LOADER_CONF = "timeout 0\n"

# A word on the kernel command line that makes the initrd say its name and stop: enough to see which entry was booted.
HALT = "test.halt"

# With it firmware is told that there are no option ROMs to lose: those of QEMU's devices are not signed by anybody.
ENROLL_ANYWAY = "--yes-this-might-brick-my-machine"


def installed():
    """What `make install` made below build/vm/root, path -> Entry."""
    root = os.path.join(os.environ.get("LANZA_BUILD", "build"), "vm/root")
    entries = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            mode = stat.S_IMODE(os.stat(path).st_mode)
            entries["/" + os.path.relpath(path, root)] = archive.Entry(read(path), mode, int(os.stat(path).st_mtime))
    if not entries:
        raise MachineError(f"nothing is installed in {root}: run make check-firmware, or make {root[:-4]}installed first")
    return entries


class NixosMachine(Machine):
    def __init__(self, name, images, limit=0, watch=None):
        super().__init__(name, images, watch)
        self.nixos = Nixos(images)
        self.generations = {}
        self.entries = installed()
        self.entries["/etc/lanza/lanzad.conf.d/test.conf"] = archive.Entry(CONFIGURATION.format(limit=limit).encode())
        self.entries["/etc/lanza/loader.conf"] = archive.Entry(LOADER_CONF.encode())
        self.kernel = read(images.kernel)

    def add_generation(self, number, label, initrd, parameters=(), specialisations=None, kernel=None, secrets=None):
        """Makes generation NUMBER, whose initrd says INITRD; SPECIALISATIONS is name -> (initrd, parameters), SECRETS a
        shell script. It gets into the machine with install(), or put_generations() while it runs. Returns its toplevel."""
        toplevel = self.add_toplevel(label, initrd, parameters, specialisations, kernel, secrets)
        self.generations[number] = self.nixos.generation(number, toplevel)
        return toplevel

    def add_toplevel(self, label, initrd, parameters=(), specialisations=None, kernel=None, secrets=None):
        """The same in no profile."""
        specialisations = {name: (self.nixos.initrd(self.images.initrd(other)), list(other_parameters))
                           for name, (other, other_parameters) in (specialisations or {}).items()}
        return self.nixos.toplevel(label, self.nixos.kernel(kernel or self.kernel),
                                   self.nixos.initrd(self.images.initrd(initrd)), parameters, specialisations,
                                   secrets=self.nixos.secrets(secrets) if secrets else None)

    def put_generations(self):
        self.put(self.nixos.take())

    def install(self, number=None):
        """First boot of the empty machine, into generation NUMBER (the newest), as from an installation medium."""
        toplevel = self.generations[number or max(self.generations)]
        self.seed({**self.entries, **self.nixos.take()})
        with open(self.path("initrd"), "wb") as file:
            file.write(self.images.initrd("installation medium"))
        self.boot_directly(self.images.kernel, self.path("initrd"), " ".join([f"init={toplevel}/init", *PARAMETERS]))

    def lanzad(self, *arguments, status=0):
        """Runs lanzad --oneshot inside and holds its exit status against STATUS. Returns its result, from JSON."""
        result = self.run("lanzad --oneshot " + " ".join(arguments), check=False)
        if result.status != status:
            raise MachineError(self.describe(f"lanzad {' '.join(arguments)} ended with status {result.status} instead of "
                                             f"{status}:\n{result.text}{result.error_text}"))
        self.said = result.error_text
        return json.loads(result.text) if result.text.strip() else None

    def refused(self, *arguments):
        """Runs lanzad --oneshot inside, which must refuse. Returns the name of the reason and the message."""
        result = self.run("lanzad --oneshot " + " ".join(arguments), check=False)
        if result.status == 0:
            raise MachineError(self.describe(f"lanzad {' '.join(arguments)} did what it should refuse:\n{result.text}"))
        error = json.loads(result.text)["error"]
        return error["name"].rpartition(".")[2], error["message"]

    def mend(self, part):
        """Runs the first command of the advice that status has for the problem with PART in it; then it must be gone."""
        found = [problem for problem in self.lanzad("status")["problems"] if part in problem["message"]]
        assert len(found) == 1, (part, found)
        command = re.search("'([^']+)'", found[0]["hint"]).group(1)
        self.run(command)
        left = [problem["message"] for problem in self.lanzad("status")["problems"]]
        assert not [message for message in left if part in message], (command, left)

    def entry(self, number, specialisation=None):
        """The file name of the boot image of generation NUMBER on the mounted ESP."""
        middle = f"-specialisation-{specialisation}" if specialisation else ""
        pattern = re.compile(f"nixos-generation-{number}{re.escape(middle)}-[a-z2-7]{{52}}\\.efi")
        found = [name for name in self.run("ls /boot/EFI/Linux").text.split() if pattern.fullmatch(name)]
        if len(found) != 1:
            raise MachineError(self.describe(f"generation {number} has {len(found)} boot images"))
        return found[0]

    def secure_boot(self):
        """(SetupMode, SecureBoot) as the running system sees them."""
        values = self.run("cd /sys/firmware/efi/efivars; for name in SetupMode SecureBoot; do "
                          "od -An -tu1 -j4 $name-8be4df61-93ca-11d2-aa0d-00e098032b8c; done").text.split()
        return int(values[0]), int(values[1])

    def booted(self):
        """The toplevel that runs."""
        return self.run("readlink /run/booted-system").text.strip()

    def boot_files(self):
        """Every file on the mounted ESP: path -> SHA-256."""
        lines = self.run("cd /boot && find . -type f -exec sha256sum {} +").text.splitlines()
        return {line[66:].lstrip("."): line[:64] for line in lines}

    def sectors_written(self):
        """The write counter of the disk that the ESP is on, after all that was pending was written.
        Documentation/block/stat.rst: the seventh field."""
        return int(self.run(f"sync -f /boot; sync; cat /sys/class/block/{self.esp_disk()}/stat").text.split()[6])

    def esp_disk(self):
        return self.run("for disk in /sys/block/vd*; do [ $(<$disk/serial) != esp ] || echo ${disk##*/}; done").text.strip()
