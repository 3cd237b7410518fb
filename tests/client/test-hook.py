#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lanzactl sync as activation runs it: what is handed to whom, who does the work, and with which exit status it ends."""
import json
import os
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent / "lib")]

from made_up import ERROR, LANZACTL, VERSION, Bus
from program_tests import run_tests

TOPLEVEL = "/nix/store/new"
SECRETS = [[TOPLEVEL, "one"], ["/nix/store/old", ""], [TOPLEVEL, "of another generation with this toplevel"]]
BOOTABLE = {"partitions": [{"path": "/boot", "default-entry": "a.efi", "boots": True}], "warnings": []}


def configuration(bus, text="[Boot]\nLimit=3\n"):
    path = Path(bus.folder.name) / "lanzad.conf"
    path.write_text(text)
    path.chmod(0o644)
    return path


def hook(bus, *options, status=0):
    return bus.lanzactl("sync", "--hook", *options, TOPLEVEL, status=status)


def memory(calls):
    return [line for line in calls.splitlines() if line.startswith("memory ")]


def test_service():
    with Bus(VERSION, secrets=SECRETS) as bus:
        path = configuration(bus, "[Boot]")
        _, errors = hook(bus, f"--config={path}", "--timeout=7")
        assert "not everything could be done, but the new system can be booted" in errors, errors
        assert [sorted(words) for words in bus.words()] == [
            sorted(["initrd-secrets", f"--config={path}", "--socket=3", "--", TOPLEVEL])
        ], bus.words()
        calls = bus.calls()
        assert "Member=Sync" in calls and "Member=Reload" not in calls and '"hook"' not in calls, calls
        assert memory(calls) == [
            "memory configuration sealed [Boot]", f"memory {TOPLEVEL} sealed one", "memory /nix/store/old sealed ",
        ], calls  # fmt: skip


def test_plain():
    """Secrets are root's business, with a hook or without."""
    with Bus(VERSION, secrets=SECRETS) as bus:
        bus.lanzactl("sync", "--allow-unlisted", "--timeout=7", TOPLEVEL, status=5)
        assert [sorted(words) for words in bus.words()] == [
            sorted(["initrd-secrets", "--allow-unlisted", "--socket=3", "--", TOPLEVEL])
        ], bus.words()
        calls = bus.calls()
        assert '"allow-unlisted"' in calls and len(memory(calls)) == 2, calls
    with Bus(VERSION) as bus:
        bus.lanzactl("gc", status=5)
        assert bus.words() == [] and "Member=CollectGarbage" in bus.calls()


def test_others():
    """Who is not root hands over nothing."""
    with Bus(VERSION) as bus:
        top = Path(bus.folder.name)
        # The folders above the build may be closed to others.
        (top / "lanzactl").write_bytes(LANZACTL.read_bytes())
        (top / "lanzactl").chmod(0o755)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", top / "lanzactl", "sync"]
        done = subprocess.run(command, capture_output=True, cwd="/", env=bus.environment, check=False, timeout=60)
        assert done.returncode == 5 and bus.words() == [], done
        assert memory(bus.calls()) == []


def test_failing_secrets():
    error = {"error": {"name": ERROR + "SecretsFailed", "message": "It failed"}}
    with Bus(VERSION, answers={"initrd-secrets": [3, error]}) as bus:
        output, _ = hook(bus, "--json=short", status=3)
        assert json.loads(output) == error
        assert bus.calls() == ""
    with Bus(VERSION, secrets=SECRETS, answers={"initrd-secrets": [0, {"warnings": ["generation 1 has none"]}]}) as bus:
        assert "Warning: generation 1 has none\n" in hook(bus)[1]
        assert len(memory(bus.calls())) == 2


def test_too_many_secrets():
    """A message of the bus carries 16 descriptors."""
    for count, by_service in ((15, True), (16, False)):
        secrets = [[f"/nix/store/{number}", "x"] for number in range(count)]
        with Bus(VERSION, secrets=secrets, answers={"sync": [0, BOOTABLE]}) as bus:
            hook(bus, f"--config={configuration(bus)}")
            assert [words[0] for words in bus.words()] == ["initrd-secrets"] + ([] if by_service else ["sync"])
            calls = bus.calls()
            assert ("Member=Sync" in calls, "Member=Reload" in calls) == (by_service, not by_service), calls
            assert len(memory(calls)) == (count + 1 if by_service else 0)


def test_program():
    """Without a service of its own version lanzactl runs its own lanzad, which runs the programs for secrets itself."""
    for arguments, reload in (((), False), (("0.0.1",), True)):
        with Bus(*arguments, answers={"sync": [0, BOOTABLE]}) as bus:
            path = configuration(bus)
            hook(bus, f"--config={path}", "--timeout=7")
            assert [sorted(words) for words in bus.words()] == [
                sorted(["sync", f"--config={path}", "--timeout=7", "--", TOPLEVEL])
            ], bus.words()
            if reload:
                calls = bus.calls()
                # 2: NO_AUTO_START
                assert calls.count("Member=") == 1 and "Member=Reload" in calls and "Flags=2" in calls, calls
    with Bus("0.0.1") as bus:
        bus.lanzactl("sync", "--dry-run", TOPLEVEL)
        bus.lanzactl("status")
        bus.lanzactl("sync", "--root=/tmp", TOPLEVEL)
        bus.lanzactl("create-keys", "--root=/tmp")
        assert len(bus.words()) == 4 and bus.calls() == ""
    with Bus("0.0.1") as bus:
        bus.lanzactl("create-keys")
        assert "Member=Reload" in bus.calls()


def test_without_bus():
    with Bus(answers={"sync": [0, BOOTABLE]}) as bus:
        bus.environment["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/nonexistent"
        hook(bus)
        assert bus.words() == [["sync", "--", TOPLEVEL]]


def refused(bus, path, reason):
    output, errors = hook(bus, "--json=short", f"--config={path}", status=3)
    error = json.loads(output)["error"]
    assert error["name"] == ERROR + "BadConfiguration" and str(path) in error["message"] and error["hint"], error
    assert reason in error["message"] and error["message"] in errors, (reason, errors)


def test_configuration():
    """Whoever can write the configuration decides what is signed."""
    for arguments in ((VERSION,), ()):
        with Bus(*arguments) as bus:
            path = configuration(bus)
            link = path.with_name("link")
            link.symlink_to(path)
            os.chown(path, 65534, 0)
            refused(bus, path, "not root's")
            refused(bus, link, "not root's")
            os.chown(path, 0, 0)
            for mode in (0o664, 0o646):
                path.chmod(mode)
                refused(bus, path, "others than root can write")
            path.chmod(0o644)
            os.truncate(path, (1 << 20) + 1)
            refused(bus, path, "too large")
            os.mkfifo(path.with_name("fifo"), 0o600)
            refused(bus, path.with_name("fifo"), "no file")
            refused(bus, path.parent, "no file")
            refused(bus, path.with_name("missing"), "No such file")
            assert bus.words() == []
            if arguments:
                assert bus.calls() == ""


def test_exit_status():
    """What is not the new system's boot is a warning."""
    nowhere = {"partitions": [{"path": "/boot", "boots": True}], "warnings": []}
    elsewhere = {"partitions": [{"path": "/boot", "boots": True, "problem": "It is full", "error": "EspFull"},
                                {"path": "/boot2", "default-entry": "a.efi", "boots": False}], "warnings": []}  # fmt: skip
    cases = [
        ([0, BOOTABLE], 0), ([5, BOOTABLE], 0), ([0, nowhere], 1), ([5, nowhere], 1), ([5, {"partitions": []}], 1),
        ([5, elsewhere], 1),
        ([3, {"error": {"name": ERROR + "NoKeys", "message": "None"}}], 3), ([1, {"error": {"name": ERROR + "Busy", "message": "Busy"}}], 1),
    ]  # fmt: skip
    for answer, status in cases:
        with Bus(answers={"sync": answer}) as bus:
            _, errors = hook(bus, status=status)
            assert ("no EFI system partition" in errors) == (status == 1 and "partitions" in answer[1]), errors
            assert ("not everything could be done" in errors) == (answer == [5, BOOTABLE]), errors
            bus.lanzactl("sync", TOPLEVEL, status=answer[0])
    # Where NixOS is being installed nothing may lead to the new boot loader yet.
    unknown = {"partitions": [{"path": "/boot", "default-entry": "a.efi", "boots": False}], "warnings": []}
    for answer, installs, status in ((unknown, None, 1), (unknown, "0", 1), (unknown, "1", 0), (elsewhere, "1", 1), (nowhere, "1", 1)):
        with Bus(answers={"sync": [0, answer]}) as bus:
            bus.environment.pop("NIXOS_INSTALL_BOOTLOADER", None)
            bus.environment.update({"NIXOS_INSTALL_BOOTLOADER": installs} if installs else {})
            _, errors = hook(bus, status=status)
            assert ("EFI/BOOT/BOOTX64.EFI" in errors) == (status == 0), errors
    with Bus(VERSION, ERROR + "ForeignToplevel", "It is foreign") as bus:
        hook(bus, status=3)
        assert [words[0] for words in bus.words()] == ["initrd-secrets"]
    for words in (["--hook"], ["--hook", ""]):
        with Bus(VERSION) as bus:
            assert "toplevel is missing" in bus.lanzactl("sync", *words, status=2)[1]
            assert bus.words() == [] and bus.calls() == ""


def test_service_cannot():
    """It was stopped, or it is the old system's and its sandbox lacks a place that the new one names."""
    bus_error = "org.freedesktop.DBus.Error.LimitsExceeded"
    for name in ("leave", bus_error, *(ERROR + name for name in ("Canceled", "EspReadOnly", "Failed"))):
        with Bus(VERSION, name, "It cannot\x1b", answers={"sync": [0, BOOTABLE]}) as bus:
            output, errors = hook(bus, "--json=short")
            assert json.loads(output) == BOOTABLE and "done without it" in errors, (output, errors)
            # libsystemd's newer versions escape what the older ones hand on.
            said = "It cannot?" in errors or r"It cannot\x1b" in errors
            assert "\x1b" not in errors and said == (name != "leave"), errors
            assert [words[0] for words in bus.words()] == ["initrd-secrets", "sync"]
        with Bus(VERSION, name, "It cannot", answers={"sync": [3, {"error": {"name": ERROR + "EspReadOnly", "message": "No"}}]}) as bus:
            hook(bus, status=3)
    for name, is_left in (("EspReadOnly", True), ("EspNotFound", True), ("EspFull", False)):
        with Bus(VERSION, "part", name, "It cannot\x1b", answers={"sync": [0, BOOTABLE]}) as bus:
            _, errors = hook(bus)
            assert ("done without it: It cannot?" in errors) == is_left, errors
            assert [words[0] for words in bus.words()] == ["initrd-secrets", "sync"][: 2 if is_left else 1]
            output, _ = bus.lanzactl("sync", status=5)
            assert "/boot2: not up to date: It cannot?" in output, output
    for name in ("leave", ERROR + "EspReadOnly"):
        with Bus(VERSION, name, "It cannot") as bus:
            bus.lanzactl("sync", status=1 if name == "leave" else 3)
            assert [words[0] for words in bus.words()] == ["initrd-secrets"]


TESTS = {
    "root-hands-configuration-and-secrets-to-the-service": test_service,
    "root-hands-secrets-to-the-service-without-a-hook": test_plain,
    "others-hand-over-nothing": test_others,
    "secrets-that-fail-are-a-refusal-and-others-a-warning": test_failing_secrets,
    "more-secrets-than-a-message-carries-are-the-programs": test_too_many_secrets,
    "another-version-is-told-that-the-program-did-it": test_program,
    "no-bus-is-needed": test_without_bus,
    "configuration-must-be-roots-alone": test_configuration,
    "exit-status-says-whether-the-new-system-can-be-booted": test_exit_status,
    "what-the-service-cannot-do-the-program-does": test_service_cannot,
}

run_tests("/client/hook", TESTS)
