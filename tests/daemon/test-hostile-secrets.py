#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Generations' programs for initrd secrets that misbehave, run as root's lanzactl has them run: SecretsFailed for the default
generation, a warning for another one, and nothing is left of them: no process, no file, no memory."""
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from hostile import INSTALLED, LONG, describe, walk
from live_system import LiveSystem
from program_tests import run_tests

HINT = "Run the generation's append-initrd-secrets by hand to see why."
LEFT_BEHIND = "echo secret >> $1; (setsid sh -c 'echo $$ > /tmp/pid; trap \"\" TERM INT HUP; exec sleep 86400' >/dev/null 2>&1 &); "
LEFT_BEHIND += "while ! test -s /tmp/pid; do sleep 0.01; done"
# Title, script, what is said.
FAILING = [
    ("fails", "exit 7", "failed with exit status 7"),
    ("fails after it wrote", "echo secret >> $1; exit 1", "failed with exit status 1"),
    ("fails and prints much", "yes printed | head -c 20000000; exit 1", "failed with exit status 1"),
    ("ends by a signal", "kill -9 $$", "was ended by signal 9"),
    ("writes without end", "exec yes secret >> $1", "it wrote too much"),
    ("writes 10 GB in a hole", "exec truncate -s 10G $1", "it wrote too much"),
    ("removes its file", "rm $1", "Cannot read what"),
    ("puts a folder in its place", "rm $1; mkdir $1; echo secret > $1/secret", "Is a directory"),
    ("puts a FIFO in its place", "rm $1; mkfifo $1", "It is no regular file"),
    ("puts a link in its place", "ln -sf /etc/passwd $1", "It is a symbolic link"),
    ("puts a dangling link in its place", "ln -sf /nowhere $1", "It is a symbolic link"),
    ("removes the folder", "rm -r $(dirname $1)", "Cannot read what"),
    ("calls what is not there", "exec /nowhere/program", "cannot be started"),
    ("leaves children and fails", LEFT_BEHIND + "; exit 3", "failed with exit status 3"),
]
if LONG:
    FAILING += [
        ("hangs", "sleep 86400", "did not end within 60 seconds"),
        ("hangs and ignores SIGTERM", "trap '' TERM INT HUP; while :; do sleep 86400; done", "did not end within 60 seconds"),
        ("hangs with children", LEFT_BEHIND + "; sleep 86400", "did not end within 60 seconds"),
    ]
# What is no program at all, as it is put in its place.
NO_PROGRAM = [
    ("is no executable", lambda path: path.chmod(0o444)),
    ("is a folder", lambda path: (path.unlink(), path.mkdir())),
    ("is absent", lambda path: path.unlink()),
    ("is garbage", lambda path: path.write_bytes(bytes(range(256)))),
    ("is empty and not executable", lambda path: (path.write_bytes(b""), path.chmod(0o444))),
    ("is a dangling link", lambda path: (path.unlink(), path.symlink_to("/gone"))),
    ("is a looping link", lambda path: (path.unlink(), path.symlink_to(path.name))),
]
GOOD = [
    ("cuts its file short", "echo secret >> $1; truncate -s 3 $1", b"sec"),
    ("replaces its file", "echo secret > $1.new; mv $1.new $1", b"secret\n"),
    ("leaves other files", "echo more > $1.more; echo secret >> $1", b"secret\n"),
    ("leaves children", LEFT_BEHIND, b"secret\n"),
]


def processes(root):
    """Who lives in the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "root") == str(root):
                found.append(((entry / "cmdline").read_bytes(), (entry / "stat").read_text().rpartition(")")[2].split()[0]))
        except OSError:
            pass  # it has ended
    return [command for command, state in found if state != "Z"]


def state(system):
    return [describe(path) for name in ("boot", "nix", "etc") for path in walk(system.root / name)]


def clean(system, before):
    assert processes(system.root) == [], processes(system.root)
    assert state(system) == before
    assert list((system.root / "run").iterdir()) == []  # it was a mount of its own there


def prepare(system, number, script, change=lambda path: None):
    (system.root / "tmp").chmod(0o1777)
    system.set_secrets(number, script)
    path = system.root / f"nix/store/secrets-{number}/run"
    change(path)
    return f"/nix/store/secrets-{number}/run", state(system)


def in_default(script, words, change=lambda path: None):
    def row():
        with LiveSystem(INSTALLED) as system:
            program, before = prepare(system, 2, script, change)
            error = system.collect(status=3)[0]["error"]
            assert error["name"].endswith(".SecretsFailed") and program in error["message"] and words in error["message"], error
            assert error["hint"] == HINT, error
            assert system.peak < 24, system.peak
            clean(system, before)

    return row


def in_another(script, words, change=lambda path: None):
    def row():
        with LiveSystem(INSTALLED) as system:
            program, before = prepare(system, 1, script, change)
            result, sent = system.collect()
            (warning,) = result["warnings"]
            assert sent == {} and "generation 1: " in warning and program in warning and words in warning, result
            clean(system, before)

    return row


def taken(script, content):
    """What it does to an empty file harms nobody."""

    def row():
        with LiveSystem(INSTALLED) as system:
            _, before = prepare(system, 2, script)
            result, sent = system.collect()
            assert sent == {"/nix/store/system-2": content} and result["warnings"] == [], (result, sent)
            clean(system, before)

    return row


def rows():
    for title, script, words in FAILING:
        yield f"{title}-in-the-default-generation", in_default(script, words)
        if "10 GB" not in title and "without end" not in title and "hangs" not in title:
            yield f"{title}-in-another-generation", in_another(script, words)
    for title, change in NO_PROGRAM:
        yield f"{title}-in-the-default-generation", in_default("exit 0", "cannot be started", change)
        yield f"{title}-in-another-generation", in_another("exit 0", "cannot be started", change)
    for title, script, content in GOOD:
        yield title, taken(script, content)


run_tests("/daemon/hostile/secrets", {title.replace(" ", "-"): row for title, row in rows()})
