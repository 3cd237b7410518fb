#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lanzactl's pager: when there is one, which one it is, and that root's gives nobody a shell."""
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from program_tests import BUILD, run_tests

LANZACTL = BUILD / os.environ.get("LANZA_VARIANT", "san") / "lanzactl"
MARK = "sed s/^/paged:/"


class Screen:
    """lanzactl status on a terminal, with a made-up lanzad that knows PROBLEMS; as nobody unless AS_ROOT."""

    def __init__(self, problems, as_root=False):
        self.folder = tempfile.TemporaryDirectory(prefix="lanza-test-")
        self.top = Path(self.folder.name)
        self.top.chmod(0o755)
        self.user = 0 if as_root else 65534
        status = {"mode": "setup", "problems": [{"message": text} for text in problems]}
        self.program("lanzad", f"echo '{json.dumps(status)}'")
        # The folders above the build may be closed to others.
        (self.top / "lanzactl").write_bytes(LANZACTL.read_bytes())
        (self.top / "lanzactl").chmod(0o755)
        (self.top / "notes").mkdir()
        (self.top / "notes").chmod(0o777)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.folder.cleanup()

    def program(self, name, script):
        (self.top / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.top / name).chmod(0o755)

    def environment(self, more):
        names = ("PAGER", "LESS", "NO_COLOR")
        environment = {name: value for name, value in os.environ.items() if name not in names}
        environment["PATH"] = f"{self.top}:{environment['PATH']}"
        # Where a program for coverage writes down what ran: the build is closed to others.
        notes = {"GCOV_PREFIX": str(self.top / "notes")}
        return {**environment, **notes, "LANZACTL_LANZAD": str(self.top / "lanzad"), "TERM": "xterm", **more}

    def exec(self, rows, columns, arguments, environment):
        try:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.chdir("/")
            os.setgroups([])
            os.setresgid(*[self.user] * 3)
            os.setresuid(*[self.user] * 3)
            os.execve(self.top / "lanzactl", ["lanzactl", "status", f"--root={self.top}", "--no-color", *arguments], environment)
        finally:
            os._exit(99)

    def show(self, *arguments, rows=10, columns=80, keys=(), **environment):
        """What is seen; of KEYS, pairs of (what is waited for, what is then typed)."""
        keys, environment = list(keys), self.environment(environment)
        child, terminal = pty.fork()
        if child == 0:
            self.exec(rows, columns, arguments, environment)
        seen, place = b"", 0
        while select.select([terminal], [], [], 30)[0]:
            try:
                data = os.read(terminal, 4096)
            except OSError:  # its end is closed
                break
            seen += data
            if keys and keys[0][0] in seen[place:]:
                place = len(seen)
                os.write(terminal, keys.pop(0)[1])
        os.close(terminal)  # who is still there gets a SIGHUP
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        text = seen.decode("utf-8", "replace").replace("\r\n", "\n")
        assert ended == 0 and not keys, (ended, keys, text)
        return text


LONG = [f"problem {number}" for number in range(20)]


def test_what_is_long():
    with Screen(LONG) as screen:
        text = screen.show(PAGER=MARK)
        lines = text.splitlines()
        assert len(lines) > 20 and all(line.startswith("paged:") for line in lines), text
        assert "paged:" not in screen.show(PAGER=MARK, rows=40)
        # Nobody knows how large the screen is.
        assert "paged:" not in screen.show(PAGER=MARK, rows=0)
    with Screen(["wide " * 200]) as screen:
        assert "paged:" in screen.show(PAGER=MARK)
    with Screen(["\u00fc" * 75] * 5) as screen:  # two bytes, one place
        assert "paged:" not in screen.show(PAGER=MARK, rows=12)
        assert "paged:" in screen.show(PAGER=MARK, rows=12, columns=70)


def test_nobody_wants_one():
    with Screen(LONG) as screen:
        for arguments in (["--no-pager"], ["--json=pretty"], ["--json=short"], ["--quiet"]):
            assert "paged:" not in screen.show(*arguments, PAGER=MARK), arguments
        assert "paged:" not in screen.show(PAGER=MARK, TERM="dumb")
        screen.program("less", MARK)
        for pager in ("", "cat"):
            text = screen.show(PAGER=pager)
            assert "paged:" not in text and "problem 19" in text, text
        environment = screen.environment({"PAGER": MARK})
        done = subprocess.run([LANZACTL, "status", "--root=/"], stdout=subprocess.PIPE, env=environment, check=True)
        assert b"problem 19" in done.stdout and b"paged:" not in done.stdout, done


def test_less():
    with Screen(LONG) as screen:
        screen.program("less", f'echo "LESS=$LESS LESSSECURE=$LESSSECURE"; {MARK}')
        assert screen.show().startswith("LESS=FRXMK LESSSECURE=\npaged:")
        assert screen.show(LESS="S").startswith("LESS=S LESSSECURE=\npaged:")


def test_broken():
    """The text is shown all the same."""
    for pager in ("/nonexistent/pager", "/etc/passwd"):
        with Screen(LONG) as screen:
            assert "problem 19" in screen.show(PAGER=pager), pager
    with Screen(LONG) as screen:
        assert "problem 19" in screen.show(PATH="/nonexistent")


def test_root():
    """Neither a variable nor a key makes root's pager run something."""
    with Screen(LONG, as_root=True) as screen:
        screen.program("less", MARK)
        screen.program("opened", f"touch {screen.top}/opened-by-less")
        more = {"PAGER": MARK, "LESS": "+!touch opened", "LESSOPEN": f"|{screen.top}/opened %s", "LESSSECURE": "0"}
        keys = [(b"lines 1-", b"!"), (b"not available", b"\rv"), (b"not available", b"\r|"), (b"not available", b"\rq")]
        text = screen.show(keys=keys, **more)
        assert "problem 1" in text and "paged:" not in text, text
        assert not list(screen.top.glob("opened-by-less"))
        assert "problem 19" in screen.show("--no-pager", **more)


TESTS = {
    "what-is-longer-than-the-screen-goes-through-it": test_what_is_long,
    "there-is-none-where-nobody-wants-one": test_nobody_wants_one,
    "it-is-less-unless-the-environment-says-more": test_less,
    "one-that-does-not-run-hides-nothing": test_broken,
    "of-root-gives-no-shell": test_root,
}

run_tests("/client/pager", TESTS)
