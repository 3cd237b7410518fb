#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `lanzactl status` says of machines in all their states, as text and as JSON, asked through the service; and that what
it tells people to do mends what it found."""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from bus_machine import LANZACTL, Machine
from private_bus import PRIVATE_MOUNTS
from private_bus import PrivateBus
from program_tests import LANZAD, Tree, run_tests

LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
ENFORCED = "enforced, by these keys"
BOOTED = "nixos-generation-1-x.efi"

SETUP_MODE = ("The firmware is in Setup Mode: it runs everything",
              "Enroll the keys with 'lanzactl setup', which also does what must come before.")
NO_KEYS = ("There are no keys here yet", "Make keys with 'lanzactl create-keys'.")
NO_IMAGE = ("No image of a generation stands on /boot", "Run 'lanzactl sync'.")
SETTINGS = "the firmware's settings ('systemctl reboot --firmware-setup' goes there)"
NOT_ENFORCED = ("The keys are enrolled, but this start did not enforce them",
                f"Run 'systemctl reboot'. If that changes nothing, switch Secure Boot on in {SETTINGS}.")
FOREIGN = ("The firmware trusts other keys, not the ones of this key store",
           f"Put the firmware into Setup Mode in {SETTINGS}, then run 'lanzactl setup'.")  # fmt: skip

LATER = "'lanzactl setup' does this, too, once the firmware is in Setup Mode."
UNSIGNED = ("2 of the images on /boot are not signed by these keys", "Run 'lanzactl sync'.")
UNSIGNED_LATER = (UNSIGNED[0], LATER)


class Served(Machine):
    """With the service on a bus."""

    def __enter__(self):
        self.bus = PrivateBus(self.root, self.firmware())
        self.bus.__enter__()
        return self

    def __exit__(self, *arguments):
        self.bus.__exit__(*arguments)
        super().__exit__(*arguments)

    def ask(self, *arguments):
        status, output = self.lanzactl(self.bus, *arguments)
        assert status == 0, (arguments, status, output)
        return output

    def set_loader_variable(self, name, text):
        line = f"variable {LOADER} {name} 07 {'0' * 32} {'0' * 64} {(text + chr(0)).encode('utf-16-le').hex()}"
        self.set_variables([*self.variables(), line])

    def expect(self, headline, keys="all there", facts=(), problems=(), notes=(), images=2, foreign=0, **members):
        """JSON and text say this, and nothing more in front of the tables."""
        status = json.loads(self.ask("status", "--json=short"))
        for name, value in members.items():
            assert status[name.replace("_", "-")] == value, (name, status)
        assert [(p["message"], p["hint"]) for p in status["problems"]] == list(problems), status["problems"]
        assert [(p["message"], p["hint"]) for p in status["notes"]] == list(notes), status["notes"]
        text = re.sub(r"\d+\.\d [GM]iB", "SIZE", self.ask("status"))
        assert re.split("\n(?:ROLE|PROFILE) ", text)[0].rstrip() == "\n".join(head(headline, keys, facts, problems, notes, images, foreign)), text


def head(headline, keys, facts, problems, notes, images, foreign):
    yield f"   Secure Boot: {headline}"
    yield f"          Keys: {keys}"
    for label, fact in facts:
        yield f"{label:>14}: {fact}"
    shown = f"{images} image{'' if images == 1 else 's'}" + (f", {foreign} of them not lanzad's" if foreign else "")
    yield f"           ESP: /boot; SIZE of SIZE free; {shown}{'; systemd-boot 257.9' if images else ''}"
    if not problems:
        yield "      Problems: none"
    for title, findings in ("Problems", problems), ("Notes", notes):
        if findings:
            yield f"\n{title}:"
        for message, hint in findings:
            yield f"  {message}\n    {hint}"


def test_whole_life():
    """From the factory to Secure Boot by what status says to do, and then the keys of somebody else."""
    with Served() as machine:
        machine.expect("off: Setup Mode", keys="none", images=0, problems=[NO_KEYS, SETUP_MODE, NO_IMAGE],
                       mode="setup", setup_mode=True, secure_boot=False, keys_present=False, keys_enrolled=False)
        machine.ask("create-keys")
        machine.expect("off: Setup Mode", images=0, problems=[SETUP_MODE, NO_IMAGE], keys_present=True, setup_mode=True)
        machine.ask("sync")
        machine.expect("off: Setup Mode", problems=[SETUP_MODE], mode="setup", setup_mode=True, secure_boot=False, keys_enrolled=False)
        machine.ask("setup", "--yes", "--microsoft")
        machine.expect("off, but these keys are enrolled", problems=[NOT_ENFORCED],
                       mode="user", setup_mode=False, secure_boot=False, keys_enrolled=True)
        machine.restart()
        machine.expect(ENFORCED, mode="user", secure_boot=True, keys_enrolled=True)

        shutil.rmtree(machine.root / "var")
        machine.ask("create-keys")
        machine.expect("enforced, by other keys", problems=[FOREIGN, UNSIGNED_LATER], secure_boot=True, keys_enrolled=False)
        machine.set_variables([line for line in machine.variables() if " PK " not in line])
        machine.restart()
        machine.expect("off: Setup Mode", problems=[SETUP_MODE, UNSIGNED], setup_mode=True)
        machine.ask("setup", "--yes", "--microsoft")
        machine.restart()
        machine.expect(ENFORCED, secure_boot=True, keys_enrolled=True)


class Ready(Served):
    """One of which there is nothing to say."""

    def __enter__(self):
        super().__enter__()
        self.ask("setup", "--yes", "--microsoft")
        self.restart()
        self.expect(ENFORCED)
        return self


def test_booted():
    with Ready() as machine:
        for name, text in (("LoaderEntrySelected", BOOTED), ("LoaderInfo", "systemd-boot 257.9"), ("StubInfo", "lanzastub 0.1")):
            machine.set_loader_variable(name, text)
        (machine.root / "run").mkdir()
        (machine.root / "run/booted-system").symlink_to("/nix/store/system-1")
        facts = [("Booted", BOOTED), ("System", "/nix/store/system-1"), ("Stub", "lanzastub 0.1"), ("Boot loader", "systemd-boot 257.9")]
        machine.expect(ENFORCED, facts=facts, booted_entry=BOOTED, booted_toplevel="/nix/store/system-1",
                       booted_stub="lanzastub 0.1", booted_loader="systemd-boot 257.9")
        assert re.search(r"^system   1           Test 1  \S+  booted$", machine.ask("status"), re.MULTILINE)


def test_override():
    """bootctl needs a firmware that Linux knows; a machine with one does what is told in tests/vm."""
    with Ready() as machine:
        for name, what, command in (
            ("LoaderEntryDefault", "", "set-default"),
            ("LoaderEntryPreferred", " as long as it has tries left", "set-preferred"),
            ("LoaderEntryOneShot", " next", "set-oneshot"),
        ):  # fmt: skip
            before = machine.variables()
            machine.set_loader_variable(name, "windows.conf")
            message = f"The firmware's variable {name} names windows.conf: that entry is started{what}, whatever the default is"
            machine.expect(ENFORCED, problems=[(message, f"Clear it with 'bootctl {command} \"\"'.")])
            machine.set_variables(before)
        machine.expect(ENFORCED)


def test_readable():
    with Ready() as machine:
        machine.set_bootspec(2, initrdSecrets="/nix/store/secrets")
        machine.expect(ENFORCED)
        (machine.root / "boot").chmod(0o755)
        hint = (
            "Run 'umount /boot && mount -o umask=0077 /boot', and add umask=0077 to its mount options for good "
            '(in NixOS: fileSystems."/boot".options).'
        )
        machine.expect(ENFORCED, problems=[("/boot can be read by others, and initrd secrets stand on it", hint)])
        (machine.root / "boot").chmod(0o700)
        machine.expect(ENFORCED)


def test_old_stub():
    with Ready() as machine:
        stub = machine.root / "usr/lib/lanzad/lanzastubx64.efi"
        content = bytearray(stub.read_bytes())
        content[len(content) // 2] ^= 1
        stub.write_bytes(content)
        machine.add_generation(3)
        machine.ask("sync")
        message = "2 of the images on /boot have another stub than new ones get, which is /usr/lib/lanzad/lanzastubx64.efi"
        machine.expect(ENFORCED, images=3, notes=[(message, "Renew them with 'lanzactl sync --restub'.")])
        machine.ask("sync", "--restub")
        machine.expect(ENFORCED, images=3)


def test_damaged():
    with Ready() as machine:
        first, second = sorted((machine.root / "boot/EFI/Linux").iterdir())
        first.write_bytes(b"")
        for kernel in (machine.root / "boot/EFI/nixos").glob("kernel-6.1.2-*"):
            kernel.unlink()
        problems = [
            (f"{first.name} on /boot cannot be booted: It is no EFI program", "Run 'lanzactl sync'."),
            (f"{second.name} on /boot cannot be booted: Its file EFI/nixos/{kernel.name}: No such file or directory", "Run 'lanzactl sync'."),
        ]
        machine.expect(ENFORCED, problems=problems, foreign=1)
        machine.ask("sync")
        machine.expect(ENFORCED)


class Counting(Ready):
    """With boot counting, and a generation that is to be confirmed good: the default."""

    def __enter__(self):
        super().__enter__()
        self.write("etc/lanza/lanzad.conf", "[Boot]\nTries=2\n")
        self.add_generation(3)
        self.ask("sync")
        self.expect(ENFORCED, images=3)
        return self

    def image(self, number):
        found, = (self.root / "boot/EFI/Linux").glob(f"nixos-generation-{number}-*")
        return found

    def set_counter(self, number, counter):
        """As systemd-boot and systemd-bless-boot do. Returns the new name."""
        image = self.image(number)
        return image.rename(image.with_name(re.split(r"[+.]", image.name)[0] + counter + ".efi")).name

    def retry(self, old):
        new = re.sub(r"\+.*", "+2.efi", old)
        return (
            "Make a generation that starts, or one that does the default. Once what kept this one from it is mended, "
            f"'mv /boot/EFI/Linux/{old} /boot/EFI/Linux/{new}' lets it be tried again."
        )

    def mend(self, hint):
        """Runs the command in it inside the tree."""
        subprocess.run(re.search("'([^']+)'", hint).group(1).replace(" /", f" {self.root}/").split(), check=True)


def test_used_up():
    with Counting() as machine:
        name = machine.set_counter(3, "+0-2")
        problem = f"The default entry, {name}, has no tries left: {machine.image(2).name} is started", machine.retry(name)
        machine.expect(ENFORCED, images=3, problems=[problem])
        assert re.search(rf"^{re.escape(name)} .*0 tries left", machine.ask("list"), re.MULTILINE), machine.ask("list")
        machine.mend(problem[1])
        machine.expect(ENFORCED, images=3)
        assert machine.image(3).name.endswith("+2.efi")

        for number in (1, 2, 3):
            name = machine.set_counter(number, "+0-2")
        message = f"The default entry, {name}, has no tries left, nor has any other: it is started all the same"
        machine.expect(ENFORCED, images=3, problems=[(message, machine.retry(name))])
        # Where nothing is counted its name is the default, and its counter means nothing.
        machine.write("etc/lanza/lanzad.conf", "")
        machine.ask("sync")
        machine.expect(ENFORCED, images=3)


def test_unconfirmed():
    """What was booted is found under whatever counter it has by now."""
    with Counting() as machine:
        booted = machine.image(3).name.lower()
        machine.set_loader_variable("LoaderEntrySelected", booted)
        facts = [("Booted", booted)]
        for counter, notes, problems in (
            ("+1-1", [(
                "{} was booted, and is not confirmed good yet (tries left: 1)",
                "systemd-bless-boot.service does that once boot-complete.target is reached; 'systemctl status "
                "systemd-bless-boot.service boot-complete.target' shows both.",
            )], []),
            ("+0-2", [], [(
                "{} was booted with its last try, and is not confirmed good: other entries come before it at the next start",
                "If all is well, 'systemctl start systemd-bless-boot.service' confirms it. On its own that service does so "
                "once boot-complete.target is reached.",
            )]),
            ("", [], []),
        ):  # fmt: skip
            name = machine.set_counter(3, counter)
            machine.expect(ENFORCED, facts=facts, images=3, booted_entry=booted,
                           notes=[(message.format(name), hint) for message, hint in notes],
                           problems=[(message.format(name), hint) for message, hint in problems])
            assert re.search(rf"^{re.escape(name)} .*booted", machine.ask("list"), re.MULTILINE), machine.ask("list")


class Running:
    """Programs that see nothing but a system's tree, so that it is for them the one that runs."""

    def __init__(self, tree):
        self.root = tree.root
        for program in (LANZACTL, LANZAD):
            listing = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
            for path in re.findall(r"(/\S+) \(0x", listing):
                (self.root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, self.root / path[1:])
            shutil.copy(program, self.root / program.name)
        for folder in ("proc", "dev"):
            (self.root / folder).mkdir()

    def lanzactl(self, *arguments):
        script = (
            "for folder in proc dev; do mount --bind /$folder $0/$folder; done; "
            'exec chroot "$0" "$@"'
        )
        environment = {**os.environ, "LANZACTL_LANZAD": "/lanzad", "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}
        command = [*PRIVATE_MOUNTS, "sh", "-ec", script, self.root, "/lanzactl", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done
        return done.stdout


def test_no_efi():
    with Tree() as tree:
        running = Running(tree)
        running.lanzactl("create-keys")
        status = json.loads(running.lanzactl("status", "--json=short"))
        text = running.lanzactl("status")
        assert status["mode"] == "unsupported" and status["keys-present"] and status["partitions"] == [], status
        no_efi = {
            "message": "There are no EFI variables here",
            "hint": "Boot this system in UEFI mode. If it was, mount them: 'mount -t efivarfs efivarfs /sys/firmware/efi/efivars'.",
        }
        assert status["problems"][0] == no_efi, status
        assert text.startswith("   Secure Boot: not supported\n          Keys: all there\n\nProblems:\n  There are no EFI variables here\n    Boot"), text


def test_no_esp():
    with Tree() as tree:
        running = Running(tree)
        firmware = "--variables=/variables"
        running.lanzactl("create-keys", firmware)
        status = json.loads(running.lanzactl("status", "--json=short", firmware))
        text = running.lanzactl("status", firmware)
        messages = [problem["message"] for problem in status["problems"]]
        assert messages[0] == SETUP_MODE[0] and len(messages) == 2 and status["mode"] == "setup" and status["partitions"] == [], status
        assert re.fullmatch(r"No EFI system partition is mounted: /boot is a folder on .*", messages[1]), messages
        hint = status["problems"][1]["hint"]
        assert hint.startswith("Mount the EFI system partition, for example with 'mount /boot', or name its mount point"), hint
        assert f"  {messages[1]}\n    {hint}\n" in text and " ESP: " not in text, text


def test_malformed():
    with Ready() as machine:
        machine.write("nix/store/system-1/boot.json", "[]")
        status = json.loads(machine.ask("status", "--json=short"))
        assert "/nix/store/system-1/boot.json" in status["problems"][0]["message"] and len(status["problems"]) == 1, status
        (machine.root / "nix/var/nix/profiles/system-1-link").unlink()
        machine.expect(ENFORCED)


TESTS = {
    "leads-from-the-factory-to-secure-boot-and-back-to-it": test_whole_life,
    "finds-that-there-is-no-efi": test_no_efi,
    "finds-that-no-esp-is-mounted": test_no_esp,
    "shows-what-was-booted": test_booted,
    "finds-what-overrides-the-default": test_override,
    "finds-an-esp-that-others-can-read": test_readable,
    "notes-images-with-another-stub": test_old_stub,
    "finds-that-the-default-has-no-tries-left": test_used_up,
    "shows-a-start-that-was-not-confirmed-good": test_unconfirmed,
    "finds-images-that-cannot-be-booted": test_damaged,
    "finds-malformed-generations": test_malformed,
}

run_tests("/bus/status", {title: test for title, test in TESTS.items() if not sys.argv[1:] or title in sys.argv[1:]})
