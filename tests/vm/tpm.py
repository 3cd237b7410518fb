# SPDX-License-Identifier: LGPL-2.1-or-later
"""A TPM in software, and a disk that it unlocks as lanzaboote's measuredBoot has it: by a policy that systemd-pcrlock made of
what the firmware measured and of what it will measure at the next start of any generation.

    tpm = Tpm(folder)
    machine.start(*tpm.switch_on())
    disk = LockedDisk(machine, "vault", "/dev/nvme0n1p2", [("630-bootloader", "/boot/EFI/BOOT/BOOTX64.EFI"), ...])
"""
import json
import os
import socket
import subprocess

PCRLOCK = "/usr/lib/systemd/systemd-pcrlock"
POLICY = "/var/lib/systemd/pcrlock.json"
PASSPHRASE = "horse battery"
KEY_FILE = "/root/passphrase"
CONTENT = "what nobody may read"

# The handles of what is defined in the TPM's memory: TPM2_GetCapability(TPM_CAP_HANDLES, TPM_HT_NV_INDEX).
HANDLES = r"""python3 - <<'END'
import os, struct
tpm = os.open("/dev/tpmrm0", os.O_RDWR)
os.write(tpm, struct.pack(">HIIIII", 0x8001, 22, 0x17A, 1, 0x01000000, 64))
answer = os.read(tpm, 4096)
count, = struct.unpack_from(">I", answer, 15)
print(*struct.unpack_from(f">{count}I", answer, 19))
END"""


class Tpm:
    """Keeps its state in FOLDER, over the starts of the one machine that it is in."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None
        os.makedirs(folder)

    def switch_on(self):
        """Returns what QEMU is told of it. It ends as QEMU does."""
        path = os.path.join(self.folder, "control")
        if self.process:
            self.process.wait(60)
            os.unlink(path)
        with socket.socket(socket.AF_UNIX) as control:
            control.bind(path)
            control.listen()
            command = ["setpriv", "--pdeathsig", "KILL", "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}",
                       "--ctrl", f"type=unixio,fd={control.fileno()}", "--terminate", "--flags", "startup-clear"]  # fmt: skip
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[control.fileno()])
        return ["-chardev", f"socket,id=tpm,path={path}", "-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm"]


class LockedDisk:
    """A LUKS2 volume on MACHINE's disk SERIAL, made here, which is called DEVICE inside: a passphrase opens it, and the TPM, where
    the firmware is the same, with its keys, and started what is MEASURED (a name for systemd-pcrlock, and a path)."""

    def __init__(self, machine, serial, device, measured):
        self.machine = machine
        self.serial = serial
        self.device = device
        self.find()
        machine.run(f"""umask 077; printf %s '{PASSPHRASE}' >{KEY_FILE}
/usr/lib/systemd/systemd-tpm2-setup
cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file {KEY_FILE} {device}
systemd-cryptsetup attach vault {device} {KEY_FILE} && printf %s '{CONTENT}' >/dev/mapper/vault && systemd-cryptsetup detach vault
for part in firmware-code secureboot-policy secureboot-authority; do {PCRLOCK} lock-$part || exit 1; done""")
        for name, path in measured:
            machine.run(f"{PCRLOCK} lock-pe --pcrlock=/var/lib/pcrlock.d/{name}.pcrlock {path}")
        machine.run(f"{PCRLOCK} make-policy --pcr=0 --pcr=4 --pcr=7")
        machine.run(f"systemd-cryptenroll --unlock-key-file={KEY_FILE} --tpm2-device=auto --tpm2-pcrlock={POLICY} {device}")
        policy = json.loads(machine.run(f"cat {POLICY}").text)
        self.index = policy["nvIndex"]
        self.predicted = {item["pcr"]: item["values"] for item in policy["pcrValues"]}

    def find(self):
        """After a start the disk has its name again."""
        self.machine.run(f"for disk in /sys/block/vd*; do [ $(<$disk/serial) != {self.serial} ] || ln -sf /dev/${{disk##*/}} {self.device}; done;"
                         f"test -e {self.device} && modprobe -a dm_mod dm_crypt")  # fmt: skip

    def as_predicted(self):
        """The PCRs of the policy that have a value which it allows."""
        return {pcr for pcr, values in self.predicted.items()
                if self.machine.run(f"cat /sys/class/tpm/tpm0/pcr-sha256/{pcr}").text.strip().lower() in values}  # fmt: skip

    def policy_kept(self):
        """Whether the policy is in the TPM."""
        return str(self.index) in self.machine.run(HANDLES).text.split()

    def slots(self):
        return [line.split()[1] for line in self.machine.run(f"systemd-cryptenroll {self.device}").text.splitlines()[1:]]

    def opens(self, key, options):
        done = self.machine.run(f"systemd-cryptsetup attach vault {self.device} {key} headless=1,{options} && head -c {len(CONTENT)} /dev/mapper/vault"
                                " && systemd-cryptsetup detach vault", check=False)  # fmt: skip
        return done.status == 0 and done.text == CONTENT

    def opens_by_tpm(self):
        return self.opens("-", "tpm2-device=auto")

    def opens_by_passphrase(self):
        return self.opens(KEY_FILE, "luks")
