#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lanzactl as a program: with the real lanzad on a tree, and with a made-up one where a machine would be needed."""
import json
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from program_tests import BUILD, LANZAD, Tree, run_tests

LANZACTL = BUILD / os.environ.get("LANZA_VARIANT", "san") / "lanzactl"
VERBS = ["create-keys", "enroll-keys", "gc", "list", "list-enrolled-keys", "monitor", "security", "setup", "sign", "status", "sync"]
# No bus of this machine is ever asked.
ENVIRONMENT = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent", "TERM": "xterm", "LANZACTL_LANZAD": str(LANZAD)}
ENVIRONMENT.pop("NO_COLOR", None)
PREFIX = "org.lanzaboote.Lanza1.Error."


def run(*arguments, status=0, lanzad=LANZAD, **more):
    """What a run that must end with STATUS says on standard output and on standard error."""
    environment = dict(ENVIRONMENT, LANZACTL_LANZAD=str(lanzad))
    command = [str(LANZACTL), *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False, env=environment, **more)
    errors = done.stderr.decode("utf-8", "replace")
    assert done.returncode == status, (done.returncode, arguments, done.stdout, errors)
    return done.stdout.decode("utf-8"), errors


def usage(*arguments):
    output, errors = run(*arguments, status=2)
    assert output == "" and errors.startswith("lanzactl: ") and "--help" in errors, (output, errors)
    return errors


def on_terminal(*arguments, answer=None, status=0, lanzad=LANZAD, **environment):
    """What a person sees who types ARGUMENTS, and the words of ANSWER, each as soon as there is a question."""
    words = [] if answer is None else answer.split(",")
    child, fd = pty.fork()
    if child == 0:
        os.execve(LANZACTL, [str(LANZACTL), *arguments], {**ENVIRONMENT, "LANZACTL_LANZAD": str(lanzad), **environment})
    seen = b""
    while select.select([fd], [], [], 60)[0]:
        try:
            data = os.read(fd, 4096)
        except OSError:  # its end is closed
            break
        if not data:
            break
        seen += data
        if words and seen.endswith(b"] "):
            os.write(fd, words.pop(0).encode() + b"\n")
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(fd)
    text = seen.decode("utf-8", "replace").replace("\r\n", "\n")
    assert ended == status, (ended, text)
    return text


class Machine:
    """A made-up lanzad: notes what it is called with, and answers what it is told."""

    SCRIPT = """#!/usr/bin/env python3
import json, os, sys
top = os.path.dirname(os.path.abspath(sys.argv[0]))
with open(os.path.join(top, "calls"), "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
with open(os.path.join(top, "answers")) as file:
    answer = json.load(file)[sys.argv[2]]
sys.stdout.write(answer["output"] if "output" in answer else json.dumps(answer["result"]))
sys.stdout.flush()
if answer.get("signal"):
    os.kill(os.getpid(), answer["signal"])
sys.exit(answer.get("status", 0))
"""

    def __init__(self, **answers):
        self.folder = tempfile.TemporaryDirectory(prefix="lanza-test-")
        self.top = Path(self.folder.name)
        self.path = self.top / "lanzad"
        self.path.write_text(self.SCRIPT)
        self.path.chmod(0o755)
        (self.top / "answers").write_text(json.dumps({name.replace("_", "-"): answer for name, answer in answers.items()}))

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.folder.cleanup()

    def calls(self):
        path = self.top / "calls"
        calls = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        path.unlink(missing_ok=True)
        assert all(call[0] == "--oneshot" for call in calls), calls
        return [call[1:] for call in calls]


def answer(status=0, **result):
    return {"status": status, "result": {name.replace("_", "-"): value for name, value in result.items()}}


def state(**more):
    """What lanzad says of a machine in Setup Mode with keys."""
    result = {
        "mode": "setup", "secure_boot": False, "setup_mode": True, "keys_present": True, "keys_enrolled": False,
        "certificates": [], "partitions": [], "generations": [], "problems": [],
    }  # fmt: skip
    return answer(**{**result, **more})


def test_usage_errors():
    usage()
    assert "no such verb" in usage("synchronise")
    assert "no such verb" in usage("")
    assert "in front of a verb" in usage("--dry-run", "sync")
    for option in ("--dry", "--dry-ru", "--DRY-RUN", "-n", "-", "--=x", "--toplevel=/nix/store/x", "--dry-run=yes", "--quiet=1"):
        assert option in usage("sync", option), option
    for option in ("--yes", "--yes-this-might-brick-my-machin", "--yes-this-might-brick-my-machine=yes"):
        assert option in usage("enroll-keys", option), option
    for option in ("--root", "--config", "--keys", "--timeout", "--json"):
        assert "value is missing" in usage("sync", option)
    for value in ("", "abc", "-1", "+1", "1s", " 1", "0x10", "99999999999999999999999"):
        assert "takes a number" in usage("create-keys", f"--bits={value}"), value
    assert "too many" in usage("sync", "/nix/store/a", "/nix/store/b")
    assert "too many" in usage("gc", "/nix/store/a")
    assert "file is missing" in usage("sign") and "file is missing" in usage("sign", "--output=a.efi")
    assert "single one" in usage("sign", "--output=a.efi", "b.efi", "c.efi")
    assert "256" in usage("sign", *["a.efi"] * 257)
    assert "--files" in usage("sign", "--files=a.efi")
    assert "--json" in usage("status", "--json=yes")
    assert "lanzactl sync --help" in usage("sync", "--bogus")


def test_help():
    output, _ = run("--help")
    verbs = re.findall(r"^  ([a-z][a-z-]+)  ", output, re.MULTILINE)
    assert sorted(verbs) == VERBS, verbs
    assert re.fullmatch(r"lanzactl \d+\.\d+\.\d+\n", run("--version")[0])
    for verb in VERBS:
        assert run(verb, "--help")[0].startswith(f"lanzactl {verb} [OPTIONS]")
    assert "[TOPLEVEL]" in run("sync", "--help")[0] and " FILE...:" in run("sign", "--help")[0]


def options_of(text, end):
    found = re.findall(r"^  (--[a-z-]+\S*)\s+(\S.*)$", text.split(end)[0], re.MULTILINE)
    return {name: help_text for name, help_text in found if name not in ("--root=DIR", "--config=FILE", "--keys=DIR", "--help")}


def test_options_are_lanzads():
    """The client sees nothing of the daemon: two tables of options, and here they are equal."""
    for verb in set(VERBS) - {"setup", "monitor"}:
        lanzad = subprocess.run([LANZAD, "--oneshot", verb, "--help"], stdout=subprocess.PIPE, check=True).stdout.decode()
        ours = options_of(run(verb, "--help")[0], "\nOptions of every verb")
        ours.pop("--hook", None)  # what it asks for is lanzactl's alone: an exit status
        assert ours == options_of(lanzad, "\nOptions of every verb"), (verb, ours)


def test_whole_way():
    with Tree() as tree:
        output, errors = run("create-keys", tree.option())
        assert output.startswith("Made the keys of PK, KEK, db\nROLE  SUBJECT") and errors == "", (output, errors)
        output, _ = run("sync", tree.option())
        assert output.startswith("/boot: 2 images written, 0 kept, 0 removed; "), output
        assert len(re.findall(r"^  wrote nixos-generation-[12]-[a-z2-7]+\.efi$", output, re.MULTILINE)) == 2
        assert run("sync", tree.option())[0] == "/boot: 0 images written, 2 kept, 0 removed; 0 bytes written, 0 bytes removed\n"
        assert "would" not in run("gc", tree.option(), "--dry-run")[0]
        output, _ = run("status", tree.option(), "--check")
        assert "Keys: all there\n" in output and "Problems: none\n" in output, output
        output, _ = run("list", tree.option())
        assert re.sub(r"2\d{3}-\d\d-\d\d|[a-z2-7]{52}|\d+\.\d KiB", "X", output) == (
            "PROFILE  GENERATION  LABEL   MADE        MARKS\n"
            "system   2           Test 2  X  default, current\n"
            "system   1           Test 1  X\n"
            f"\n{'IMAGE':75}  SIZE      MARKS\n"
            "nixos-generation-1-X.efi  X\n"
            "nixos-generation-2-X.efi  X  default\n"
        ), output
        run("sync", tree.option(), "/nix/store/system-1")
        assert "default nixos-generation-1-" in (tree.root / "boot/loader/loader.conf").read_text()


def test_json_is_lanzads():
    with Tree() as tree:
        run("setup", "--yes", tree.option())
        commands = ["status"], ["status", "--check"], ["sync"], ["gc", "--dry-run"], ["create-keys"], ["enroll-keys"], ["sync", "--timeout=5"]
        for command in commands:
            expected = subprocess.run(
                [LANZAD, "--oneshot", *command, tree.option()], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
            )
            for form in ("pretty", "short"):
                output, _ = run(*command, tree.option(), f"--json={form}", status=expected.returncode)
                ours, theirs = json.loads(output), json.loads(expected.stdout)
                for partition in ours.get("partitions", []) + theirs.get("partitions", []):
                    partition.pop("bytes-free", None)  # others use this disk, too
                assert ours == theirs, (command, output)
                assert form == "pretty" or output.count("\n") == 1
        assert json.loads(run("list", tree.option(), "--json=short")[0])["generations"][0]["number"] == 2


def test_refusals():
    with Tree() as tree:
        _, errors = run("enroll-keys", tree.option(), status=3)
        assert "There are no EFI variables to enroll keys in" in errors and "Run this on the system itself" in errors, errors
        run("status", tree.option(), "--check", status=6)
        run("sync", tree.option(), "/nix/store/other", status=3)
        tree.write("nix/store/system-1/boot.json", "{")
        run("create-keys", tree.option())
        _, errors = run("sync", tree.option(), status=5)
        assert "lanzactl: Warning: " in errors and "generation 1 is left out" in errors, errors


def test_broken_programs():
    with Machine(sync={"output": "no json"}, gc={"output": "", "signal": 9}, status={"output": "[]"}) as machine:
        assert "gave no result" in run("sync", status=1, lanzad=machine.path)[1]
        assert "ended by signal 9" in run("gc", status=1, lanzad=machine.path)[1]
        assert "gave no result" in run("status", status=1, lanzad=machine.path)[1]
        _, errors = run("status", status=1, lanzad=machine.top / "missing")
        assert "Cannot run " in errors and "No such file" in errors and "Install lanzad again" in errors, errors


def test_arguments_are_handed_on():
    with Machine(enroll_keys=answer(), sync=answer(), sign=answer(), list_enrolled_keys=answer()) as machine:
        options = ["--microsoft", "--timestamp", "12", "--yes-this-might-brick-my-machine", "--dry-run"]
        run("enroll-keys", *options, "--json=short", lanzad=machine.path)
        words = machine.calls()[0]
        assert words[0] == "enroll-keys"
        assert set(words[1:]) == {"--microsoft=all", "--timestamp=12", "--yes-this-might-brick-my-machine", "--dry-run"}, words
        run("--keys=/k", "--root", "/r", "sync", "--config=/c", "--timeout=3", "--", "--odd name", lanzad=machine.path)
        words = machine.calls()[0]
        assert words[0] == "sync" and words[-2:] == ["--", "--odd name"]
        assert set(words[1:-2]) == {"--keys=/k", "--root=/r", "--config=/c", "--timeout=3"}, words
        files = [f"{i}.efi" for i in range(256)]
        run("sign", "--dry-run", "--json=short", *files, lanzad=machine.path)
        assert machine.calls() == [["sign", "--dry-run", "--", *files]]
        run("list-enrolled-keys", "--variable=db", lanzad=machine.path)
        assert machine.calls() == [["list-enrolled-keys", "--variable=db"]]


def test_only_root_does_without_the_service():
    with tempfile.TemporaryDirectory(prefix="lanza-test-") as folder, Machine(status=answer()) as machine:
        # The folders above the build may be closed to others.
        program = Path(folder) / "lanzactl"
        program.write_bytes(LANZACTL.read_bytes())
        program.chmod(0o755)
        Path(folder).chmod(0o755)
        machine.top.chmod(0o755)
        environment = dict(ENVIRONMENT, LANZACTL_LANZAD=str(machine.path))
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "status", "--json=short"]
        done = subprocess.run(command, capture_output=True, cwd="/", env=environment, check=False)
        assert done.returncode == 7 and machine.calls() == [], done
        assert b"system bus cannot be reached" in done.stderr and b"with sudo" in done.stderr, done.stderr
        assert json.loads(done.stdout)["error"]["name"] == "org.freedesktop.DBus.Error.ServiceUnknown"


def test_names_cannot_steer_a_terminal():
    evil = "a\u001b]0;title\u0007\u009b31m\nb"
    key = {"variable": "db", "type": "x509", "origin": "foreign", "subject": evil, "not-after": 1}
    with Machine(list_enrolled_keys=answer(keys=[key]), sync=answer(warnings=[evil])) as machine:
        output, _ = run("list-enrolled-keys", lanzad=machine.path)
        assert "a?]0;title??31m?b" in output and output.count("\n") == 2, output
        _, errors = run("sync", lanzad=machine.path)
        assert errors == "lanzactl: Warning: a?]0;title??31m?b\n", errors


def test_nothing_is_said():
    with Machine(list_enrolled_keys=answer(keys=[])) as machine:
        assert run("list-enrolled-keys", lanzad=machine.path)[0] == "Nothing is enrolled.\n"


def test_columns_are_characters():
    generations = [
        {"profile": "system", "number": 1, "label": "gr\u00fcn", "booted": True, "current": True},
        {"profile": "system", "number": 10, "label": "12345", "booted": True, "problem": "broken"},
    ]
    with Machine(list=answer(generations=generations, warnings=[])) as machine:
        assert run("list", lanzad=machine.path)[0] == (
            "PROFILE  GENERATION  LABEL  MADE  MARKS            PROBLEM\n"
            "system   1           gr\u00fcn         booted, current\n"
            "system   10          12345        booted           broken\n"
        )


def test_marks_of_images():
    ours = {"ours": True, "signed": True, "size": 1024}
    images = [
        {**ours, "name": "a.efi", "booted": True, "default": True, "counted": True, "tries-left": 2, "old-stub": True},
        {**ours, "name": "b.efi", "signed": False},
        {"name": "c.efi", "size": 0, "problem": "It is damaged"},
        {"name": "d.efi", "size": 7},
    ]
    with Machine(list=answer(generations=[], images=images, warnings=["Odd"], status=5)) as machine:
        output, errors = run("list", lanzad=machine.path, status=5)
        assert errors == "lanzactl: Warning: Odd\n" and output == (
            "IMAGE  SIZE     MARKS                                    PROBLEM\n"
            "a.efi  1.0 KiB  booted, default, 2 tries left, old stub\n"
            "b.efi  1.0 KiB  unsigned\n"
            "c.efi  0 bytes  damaged                                  It is damaged\n"
            "d.efi  7 bytes  not lanzad's\n"
        ), output


def test_status_of_machines():
    enrolled = {"mode": "user", "setup_mode": False, "keys_enrolled": True}
    cases = [
        ("not supported", {"mode": "unsupported", "setup_mode": False}),
        ("off: Setup Mode", {}),
        ("off, but these keys are enrolled", enrolled),
        ("enforced, by these keys", {**enrolled, "secure_boot": True}),
        ("enforced, by other keys", {"mode": "user", "setup_mode": False, "secure_boot": True}),
    ]
    for words, facts in cases:
        with Machine(status=state(**facts)) as machine:
            assert f"   Secure Boot: {words}\n" in run("status", lanzad=machine.path)[0], words
    problem = {"message": "It is broken", "hint": "Mend it."}
    with Machine(status=state(problems=[problem], booted_entry="nixos-1.efi", keys_present=False)) as machine:
        output, _ = run("status", lanzad=machine.path)
        assert output.endswith("\n\nProblems:\n  It is broken\n    Mend it.\n") and "        Booted: nixos-1.efi\n" in output, output
        assert "Keys: none\n" in output
        assert run("status", "--quiet", lanzad=machine.path)[0] == ""


def test_colors():
    with Machine(status=state()) as machine:
        assert "\033[32mall there\033[0m" in on_terminal("status", lanzad=machine.path)
        assert "\033" not in on_terminal("status", "--no-color", lanzad=machine.path)
        assert "\033" not in on_terminal("status", lanzad=machine.path, NO_COLOR="1")
        assert "\033" not in on_terminal("status", lanzad=machine.path, TERM="dumb")
        assert "\033" not in run("status", lanzad=machine.path)[0]
        assert "\033" not in on_terminal("status", "--json=pretty", lanzad=machine.path)


def test_setup_of_a_tree():
    with Tree() as tree:
        before = tree.snapshot()
        assert "'--yes'" in run("setup", tree.option(), status=2)[1]
        assert "'--yes'" in run("setup", tree.option(), "--json=short", status=2)[1]
        for word in ("no", "", "\4", "yesterday,no", "own,n", "yes" * 20 + ",no"):
            text = on_terminal("setup", tree.option(), answer=word, status=1)
            assert "make the keys that are missing" in text and text.endswith("Nothing was changed.\n"), text
        assert "A dry run" in run("setup", "--dry-run", tree.option())[0]
        assert tree.snapshot() == before
        text = on_terminal("setup", tree.option(), answer="yes")
        assert "Made the keys of PK, KEK, db" in text and "2 images written" in text and text.endswith("The tree is ready.\n"), text
        output, _ = run("setup", tree.option(), "--yes", "--json=short")
        result = json.loads(output)
        assert list(result) == ["sync", "status"] and result["sync"]["partitions"][0]["images-kept"] == 2, output
        assert run("setup", tree.option(), "--yes", "--quiet") == ("", "")


def setup_machine(**status):
    return Machine(
        status=state(**status),
        create_keys=answer(created=["PK", "KEK", "db"]),
        sync=answer(partitions=[]),
        enroll_keys=answer(variables=[{"variable": "db", "written": True, "entries-added": 1}], reboot_needed=True),
    )


def test_setup_of_a_machine():
    with setup_machine(keys_present=False) as machine:
        text = on_terminal("setup", "--timeout=7", answer="microsoft", lanzad=machine.path)
        assert "Whose certificates shall the firmware trust?" in text and "Wrote db: 1 added" in text, text
        assert text.endswith("One thing is left: reboot, for example with 'systemctl reboot'.\n"), text
        verbs = machine.calls()
        assert [call[0] for call in verbs] == ["status", "create-keys", "sync", "status", "enroll-keys"], verbs
        assert verbs[3] == ["status", "--check"] and set(verbs[4]) == {"enroll-keys", "--microsoft=all", "--timeout=7"}, verbs
        assert verbs[2] == ["sync", "--timeout=7"]

        on_terminal("setup", answer="own", lanzad=machine.path)
        assert machine.calls()[-1] == ["enroll-keys", "--yes-this-might-brick-my-machine"]
        on_terminal("setup", answer="no", lanzad=machine.path, status=1)
        assert machine.calls() == [["status"]]
        on_terminal("setup", answer="yes,no", lanzad=machine.path, status=1)
        assert machine.calls() == [["status"]]
        text = on_terminal("setup", "--microsoft=windows", answer="no", lanzad=machine.path, status=1)
        assert "Go on? [yes/no]" in text and machine.calls() == [["status"]]
        run("setup", "--yes", "--microsoft=windows", lanzad=machine.path)
        assert machine.calls()[-1] == ["enroll-keys", "--microsoft=windows"]


def test_setup_is_refused_before_it_begins():
    with setup_machine(mode="user", setup_mode=False) as machine:
        output, errors = run("setup", "--yes", "--json=short", status=3, lanzad=machine.path)
        assert json.loads(output)["error"]["name"] == PREFIX + "NotInSetupMode" and "platform key" in errors, errors
        assert machine.calls() == [["status"]]
    with setup_machine(mode="unsupported", setup_mode=False) as machine:
        assert "no Secure Boot" in run("setup", "--yes", status=3, lanzad=machine.path)[1]
        assert machine.calls() == [["status"]]


def test_setup_stops_where_a_step_fails():
    failed = {"status": 3, "result": {"error": {"name": PREFIX + "EspFull", "message": "Full"}}}
    with setup_machine() as machine:
        (machine.top / "answers").write_text(json.dumps({"status": state(), "sync": failed}))
        run("setup", "--yes", status=3, lanzad=machine.path)
        assert [call[0] for call in machine.calls()] == ["status", "sync"]
    broken = state(problems=[{"message": "It is broken", "hint": "Mend it."}])
    broken["status"] = 6
    with setup_machine() as machine:
        (machine.top / "answers").write_text(json.dumps({"status": broken, "sync": answer(partitions=[])}))
        output, errors = run("setup", "--yes", status=6, lanzad=machine.path)
        assert "would not boot" in errors and "It is broken" in output and "Mend it." in output, (output, errors)
        assert [call[0] for call in machine.calls()] == ["status", "sync", "status"]


def test_setup_of_what_is_set_up():
    with setup_machine(mode="user", setup_mode=False, secure_boot=True, keys_enrolled=True) as machine:
        output, _ = run("setup", "--yes", lanzad=machine.path)
        assert output.endswith("nothing is left to do.\n") and "has these keys already" in output, output
        assert [call[0] for call in machine.calls()] == ["status", "sync", "status"]


def test_lost_output():
    with Machine(status=state()) as machine, open("/dev/full", "wb") as full:
        environment = dict(ENVIRONMENT, LANZACTL_LANZAD=str(machine.path))
        done = subprocess.run([LANZACTL, "status"], stdout=full, stderr=subprocess.DEVNULL, env=environment, check=False)
        assert done.returncode == 1


def test_closed_descriptors():
    """What is opened later does not take their place."""
    with Machine(status=state()) as machine:
        environment = dict(ENVIRONMENT, LANZACTL_LANZAD=str(machine.path))
        for closed, status in (("<&-", 0), (">&-", 1), ("2>&-", 0), ("<&- >&- 2>&-", 1)):
            command = ["sh", "-c", f'exec "$0" status --json=short {closed}', str(LANZACTL)]
            done = subprocess.run(command, capture_output=True, env=environment, check=False, timeout=60)
            assert done.returncode == status and bool(done.stdout) == (status == 0), (closed, done)


def test_hostile_names():
    """Names that would steer a terminal, by way of lanzad's messages, lanzactl's tables, and JSON."""
    name = "a\x1b[31m\x9bb\x7f.efi"
    with Tree() as tree:
        run("create-keys", tree.option())
        run("sync", tree.option())
        tree.write("boot/EFI/Linux/" + name, "no image")
        for words in (["list"], ["list", "--json=pretty"], ["status", "--check"]):
            command = [LANZACTL, *words, tree.option()]
            done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, check=False, timeout=60)
            text = (done.stdout + done.stderr).decode()
            assert ("31m" in text) == (words[0] == "list") and not set(text) & set("\x1b\x9b"), text
            if "--json=pretty" in words:
                assert name in [image["name"] for image in json.loads(done.stdout)["images"]]
        for words in ([LANZACTL, name], [LANZACTL, "sign", "--" + name], [LANZACTL, "sign", name.encode() + b"\xff"],
                      [LANZAD, "--oneshot", "sign", "--" + name], [LANZAD, "--oneshot", name]):  # fmt: skip
            done = subprocess.run(words, capture_output=True, env=ENVIRONMENT, check=False, timeout=60)
            text = done.stderr.decode(errors="replace")
            assert done.returncode == 2 and "31m" in text and not set(text) & set("\x1b\x9b"), text
        folder = tree.root / ("nowhere" + name)
        done = subprocess.run([LANZAD, "--oneshot", "list", f"--root={folder}"], capture_output=True, check=False, timeout=60)
        text = (done.stdout + done.stderr).decode()
        assert done.returncode == 1 and "lanzad: " in text and not set(text) & set("\x1b\x9b"), text


TESTS = {
    "bad-arguments-are-usage-errors": test_usage_errors,
    "help-names-every-verb": test_help,
    "options-are-those-of-lanzad": test_options_are_lanzads,
    "whole-way-through-a-tree": test_whole_way,
    "json-is-that-of-lanzad": test_json_is_lanzads,
    "exit-status-tells-refusal-part-and-finding": test_refusals,
    "closed-descriptors-stay-without-effect": test_closed_descriptors,
    "a-program-without-result-is-a-failure": test_broken_programs,
    "arguments-are-handed-on": test_arguments_are_handed_on,
    "only-root-does-without-the-service": test_only_root_does_without_the_service,
    "names-cannot-steer-a-terminal": test_names_cannot_steer_a_terminal,
    "names-of-files-do-not-either": test_hostile_names,
    "what-is-empty-is-called-so": test_nothing_is_said,
    "columns-are-as-wide-as-characters": test_columns_are_characters,
    "images-have-marks": test_marks_of_images,
    "status-tells-machines-apart": test_status_of_machines,
    "colors-on-terminals-only": test_colors,
    "setup-asks-once-and-makes-a-tree-ready": test_setup_of_a_tree,
    "setup-of-a-machine-ends-with-the-reboot": test_setup_of_a_machine,
    "setup-refuses-before-it-begins": test_setup_is_refused_before_it_begins,
    "setup-stops-where-a-step-fails": test_setup_stops_where_a_step_fails,
    "setup-leaves-out-what-is-done": test_setup_of_what_is_set_up,
    "lost-output-is-a-failure": test_lost_output,
}

run_tests("/client/lanzactl", TESTS)
