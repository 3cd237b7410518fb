#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lanzactl on a private bus, with a made-up service: what it asks, and what it makes of the answers."""
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent / "lib")]

from made_up import ERROR, LANZACTL, VERSION, Bus
from program_tests import run_tests

RESULT = {
    "dry-run": True, "created": ["KEK", "db"], "number": 1 << 40, "partitions": [{"path": "/boot", "default-entry": "a.efi", "boots": True, "images-kept": 2}], "warnings": [],
}  # fmt: skip
def test_result():
    with Bus(VERSION) as bus:
        output, errors = bus.lanzactl("sync", "--json=short", status=5)
        assert json.loads(output) == RESULT, output
        assert errors == "sync: queued\nsync: waiting\nsync: images\n", errors
        assert bus.lanzactl("sync", "--json=short", "--quiet", status=5)[1] == ""
        output, _ = bus.lanzactl("gc", "--dry-run", status=5)
        assert output.startswith("A dry run: nothing was changed.\n/boot: 0 images written, 2 kept"), output


def test_progress():
    """One line that is drawn anew, and nothing that stays."""
    with Bus(VERSION) as bus:

        def seen(*arguments, columns=60, terminal="xterm"):
            master, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            environment = dict(bus.environment, TERM=terminal, NO_COLOR="1")
            command = [LANZACTL, "sync", "--json=short", *arguments]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=slave, env=environment, check=False, timeout=60)
            assert json.loads(done.stdout) == RESULT, done
            os.close(slave)
            text = b""
            while select.select([master], [], [], 60)[0]:
                try:
                    text += os.read(master, 4096)
                except OSError:  # nobody can write there any more
                    break
            os.close(master)
            return text.decode()

        anew = "\r\x1b[K"
        bar = "#" * 19 + "." * 20
        assert seen() == f"{anew}sync: queued{anew}sync: waiting{anew}sync: images [{bar}]  50%{anew}"
        assert seen(columns=200) == seen(columns=0) == f"{anew}sync: queued{anew}sync: waiting{anew}sync: images [{'#' * 20}{'.' * 20}]  50%{anew}"
        assert seen(columns=30) == f"{anew}sync: queued{anew}sync: waiting{anew} 50% sync: images{anew}"
        assert seen(columns=9) == f"{anew}sync: qu{anew}sync: wa{anew} 50% syn{anew}"
        assert seen(terminal="dumb") == "sync: queued\r\nsync: waiting\r\nsync: images\r\n"
        assert seen("--quiet") == ""


def test_progress_of_several_calls():
    with Bus(VERSION) as bus:
        files = [bus.program.parent / name for name in ("one.efi", "two.efi")]
        for path in files:
            path.write_text("an image")
        # What is left of the first call's stack is nothing that the second one's progress could be written to.
        options = os.environ.get("ASAN_OPTIONS", "detect_leaks=1")
        bus.environment["ASAN_OPTIONS"] = f"{options}:detect_stack_use_after_return=1"
        output, errors = bus.lanzactl("sign", *map(str, files))
        assert output == "".join(f"{path}: was signed already\n" for path in files)
        assert errors == "sync: queued\nsync: waiting\nsync: images\n" * 2, errors


def test_ended():
    """Whatever ends it between two files leaves nothing beside them."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        with Bus(VERSION, "once") as bus:
            files = [bus.program.parent / name for name in ("one.efi", "two.efi")]
            for path in files:
                path.write_text("an image")
            before = {path.name for path in bus.program.parent.iterdir()}
            command = [LANZACTL, "sign", *files]
            # Also where the tests run under nohup(1) or in the background: what is ignored would stay so.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=bus.environment,
                                       preexec_fn=lambda number=number: signal.signal(number, signal.SIG_DFL))
            while {path.name for path in bus.program.parent.iterdir()} == before:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(number)
            assert process.wait(timeout=60) == -number
            assert {path.name for path in bus.program.parent.iterdir()} == before
            assert [path.read_text() for path in files] == ["an image"] * 2


def test_signatures():
    with Bus(VERSION) as bus:
        output, _ = bus.lanzactl("list-enrolled-keys", "--variable=db", "--json=short")
        assert json.loads(output) == {"keys": [{"variable": "db", "not-after": 1}]}, output
        calls = bus.calls()
        assert "Member=ListSignatures" in calls and 'STRING "db"' in calls, calls


SECURITY = """Host security id: HSI:0!

Level 1
  ✔ Platform key: valid

The system that runs
  ✘ Kernel? lockdown: not enabled
      It is? off
      Switch it on.

Other
  ? Revocations: not known
      Nobody knows
  ✘ Novelty: not known
"""


def test_security():
    with Bus(VERSION) as bus:
        assert bus.lanzactl("security")[0] == SECURITY
        result = json.loads(bus.lanzactl("security", "--json=short")[0])
        assert result["host-security-id"] == "HSI:0!" and len(result["attributes"]) == 4, result
        assert result["attributes"][1]["Metadata"] == {"message": "It is\033 off", "hint": "Switch it on."}, result
        assert result["attributes"][3] == {"Name": "Novelty", "HsiLevel": 4000000000, "HsiResult": 4000000000}
        calls = bus.calls()
        assert "Interface=org.lanzaboote.Lanza1.Security" in calls and "Member=GetHostSecurityAttrs" in calls, calls


def test_list():
    with Bus(VERSION) as bus:
        item = {"variable": "db", "not-after": 1}
        lists = {"generations": [item], "images": [item], "partitions": [item], "warnings": []}
        assert json.loads(bus.lanzactl("list", "--json=short")[0]) == lists
        calls = bus.calls()
        assert all(f"Member={member}" in calls for member in ("ListGenerations", "ListImages", "ListPartitions")), calls
    with Bus(VERSION, ERROR + "Failed", "It is broken\nMend it.") as bus:
        output, errors = bus.lanzactl("list", "--json=short", status=1)
        assert json.loads(output)["error"]["message"] == "It is broken" and errors.count("It is broken") == 1, (output, errors)
        assert bus.calls().count("Member=List") == 1


def test_what_is_asked():
    cases = {
        "create-keys": ("Keys", "Create"), "enroll-keys": ("Firmware", "Enroll"), "sync": ("Esp", "Sync"),
        "gc": ("Esp", "CollectGarbage"), "status": ("Manager", "GetStatus"),
    }  # fmt: skip
    for verb, (interface, method) in cases.items():
        with Bus(VERSION) as bus:
            bus.lanzactl(verb, status=5)
            calls = bus.calls()
            assert f"Interface=org.lanzaboote.Lanza1.{interface}" in calls, calls
            assert f"Member={method}" in calls, calls
    with Bus(VERSION) as bus:
        bus.lanzactl("enroll-keys", "--microsoft=windows", "--timestamp=12", "--dry-run", status=5)
        calls = bus.calls()
        for part in ('STRING "microsoft"', 'STRING "windows"', 'STRING "timestamp"', "UINT64 12", 'STRING "dry-run"', "BOOLEAN true"):
            assert part in calls, (part, calls)
    with Bus(VERSION) as bus:
        bus.lanzactl("sync", "/nix/store/x", status=5)
        calls = bus.calls()
        assert 'STRING "toplevel"' in calls and 'STRING "/nix/store/x"' in calls, calls


def test_errors():
    cases = [
        (ERROR + "NoKeys", 3), (ERROR + "EspFull", 3), (ERROR + "WouldNotBoot", 3), (ERROR + "Busy", 1), (ERROR + "Canceled", 1),
        (ERROR + "LimitsExceeded", 1), (ERROR + "Failed", 1), ("org.freedesktop.DBus.Error.AccessDenied", 4),
        ("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", 4), ("org.freedesktop.DBus.Error.InvalidArgs", 2),
        ("org.freedesktop.DBus.Error.NoMemory", 1),
    ]  # fmt: skip
    for name, status in cases:
        with Bus(VERSION, name, "It is broken\nMend it.") as bus:
            output, errors = bus.lanzactl("gc", "--json=short", "--quiet", status=status)
            assert errors == "lanzactl: It is broken\nMend it.\n", errors
            assert json.loads(output) == {"error": {"name": name, "message": "It is broken", "hint": "Mend it."}}, output


def test_without_service():
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for arguments, reason in (((), "cannot be reached"), (("0.0.1",), "of another version")):
        with Bus(*arguments) as bus:
            assert json.loads(bus.lanzactl("status", "--json=short")[0])["by"] == "program"
            # The folders above the build may be closed to others.
            copy = Path(bus.folder.name) / "lanzactl"
            copy.write_bytes(LANZACTL.read_bytes())
            copy.chmod(0o755)
            done = subprocess.run([*nobody, copy, "status"], capture_output=True, cwd="/", env=bus.environment, check=False)
            assert done.returncode == 7 and reason.encode() in done.stderr and b"sudo" in done.stderr, done


def test_files_are_the_programs():
    with Bus(VERSION) as bus:
        for arguments in (["enroll-keys", "--export=esl", "--output=/tmp"], ["status", "--root=/tmp"], ["status", "--config=/x"]):
            assert json.loads(bus.lanzactl(*arguments, "--json=short")[0])["by"] == "program"
        assert bus.calls() == ""


def as_nobody(bus, *arguments):
    """Runs lanzactl as somebody who is not root, on a terminal; returns what was noted by an agent that was started."""
    top = Path(bus.folder.name)
    top.chmod(0o777)
    # The folders above the build may be closed to others.
    (top / "lanzactl").write_bytes(LANZACTL.read_bytes())
    (top / "lanzactl").chmod(0o755)
    (top / "pkttyagent").write_text(f'#!/bin/sh\necho "$$ $*" >{top}/agent\nexec 3>&-\nexec sleep 60\n')
    (top / "pkttyagent").chmod(0o755)
    environment = dict(bus.environment, PATH=f"{top}:{os.environ['PATH']}")
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", top / "lanzactl", *arguments]
    master, terminal = pty.openpty()
    subprocess.run(command, stdin=terminal, stdout=subprocess.PIPE, stderr=terminal, cwd="/", env=environment, check=False, timeout=60)
    os.close(terminal)
    os.close(master)
    note = top / "agent"
    return note.read_text() if note.exists() else ""


def test_agent():
    with Bus(VERSION) as bus:
        process, arguments = as_nobody(bus, "sync").split(" ", 1)
        assert arguments == "--notify-fd 3 --fallback\n", arguments
        assert not Path(f"/proc/{process}").exists()
    for arguments in (["sync", "--no-ask-password"], ["status"], ["list"], ["list-enrolled-keys"]):
        with Bus(VERSION) as bus:
            assert as_nobody(bus, *arguments) == "", arguments
    for arguments, allowed in ((["sync"], True), (["sync", "--no-ask-password"], False)):
        with Bus(VERSION) as bus:
            bus.lanzactl(*arguments, status=5)
            calls = bus.calls()
            # 4: ALLOW_INTERACTIVE_AUTHORIZATION
            assert ("Flags=4" in calls) == allowed, calls


def monitor(bus, *arguments):
    """The first line of each kind that lanzactl monitor prints while something happens."""
    kinds = ["StateChanged", "PropertiesChanged"]
    found = []
    with subprocess.Popen([LANZACTL, "monitor", *arguments], stdout=subprocess.PIPE, env=bus.environment) as process:
        text = b""
        for _ in range(100):
            # It may not listen yet, or to one kind only.
            bus.lanzactl("gc", status=5)
            if select.select([process.stdout], [], [], 0.2)[0]:
                text += os.read(process.stdout.fileno(), 65536)
            lines = text.decode().splitlines(keepends=True)
            found = [line for kind in kinds for line in [line for line in lines if kind in line][:1]]
            if len(found) == len(kinds):
                break
        process.terminate()
    return found


def test_monitor():
    with Bus(VERSION) as bus:
        assert monitor(bus) == ["StateChanged keys esp\n", "PropertiesChanged org.lanzaboote.Lanza1.Keys Present=true Pairs=[[\"db\",7]] Other\n"]
        lines = [json.loads(line) for line in monitor(bus, "--json=short")]
        keys = "org.lanzaboote.Lanza1.Keys"
        assert lines == [
            {"signal": "StateChanged", "what": ["keys", "esp"]},
            {"signal": "PropertiesChanged", "interface": keys, "properties": {"Present": True, "Pairs": [["db", 7]]}, "invalidated": ["Other"]},
        ], lines
        assert "--root" in bus.lanzactl("monitor", "--root=/tmp", status=2)[1]
    environment = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent")
    done = subprocess.run([LANZACTL, "monitor"], capture_output=True, env=environment, check=False, timeout=60)
    assert done.returncode == 1 and b"bus cannot be followed" in done.stderr, done


TESTS = {
    "results-become-json-and-exit-status": test_result,
    "progress-is-one-line-on-a-terminal": test_progress,
    "progress-is-that-of-one-call": test_progress_of_several_calls,
    "what-ends-it-leaves-nothing-beside-files": test_ended,
    "signatures-become-keys": test_signatures,
    "lists-become-one": test_list,
    "attributes-are-grouped-and-marked": test_security,
    "verbs-and-options-become-calls": test_what_is_asked,
    "errors-become-messages-and-exit-statuses": test_errors,
    "without-a-service-of-its-version-root-runs-the-program": test_without_service,
    "an-agent-asks-on-a-terminal-while-the-call-lasts": test_agent,
    "monitor-shows-changes-as-they-come": test_monitor,
    "what-names-files-never-goes-to-the-service": test_files_are_the_programs,
}

run_tests("/client/bus", TESTS)
