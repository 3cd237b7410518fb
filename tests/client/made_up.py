# SPDX-License-Identifier: LGPL-2.1-or-later
"""A made-up service on a private bus, and a made-up program, for tests of the client."""
import json
import os
import subprocess
import tempfile
from pathlib import Path

from program_tests import BUILD

PROGRAMS = BUILD / os.environ.get("LANZA_VARIANT", "san")
LANZACTL = PROGRAMS / "lanzactl"
SERVICE = PROGRAMS / "tests/client/service"
VERSION = subprocess.run([LANZACTL, "--version"], stdout=subprocess.PIPE, check=True).stdout.decode().split()[1]
ERROR = "org.lanzaboote.Lanza1.Error."
CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=%s/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow send_destination="*" eavesdrop="false"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


# lanzad --oneshot: notes its words, sends what "secrets" names, and answers what "answers" names.
PROGRAM = """#!/usr/bin/python3
import fcntl, json, os, socket, sys
top = os.path.dirname(os.path.abspath(sys.argv[0]))
with open(top + "/words", "a") as file:
    file.write(json.dumps(sys.argv[2:]) + "\\n")
settings = json.load(open(top + "/settings"))
for word in sys.argv:
    if word.startswith("--socket="):
        channel = socket.socket(fileno=int(word.partition("=")[2]))
        for toplevel, content in settings["secrets"]:
            fd = os.memfd_create("secrets", os.MFD_ALLOW_SEALING)
            os.write(fd, content.encode())
            fcntl.fcntl(fd, 1033, 0xf)  # F_ADD_SEALS: all
            socket.send_fds(channel, [toplevel.encode()], [fd])
            os.close(fd)
status, result = settings["answers"].get(sys.argv[2], [0, {"by": "program"}])
print(json.dumps(result))
sys.exit(status)
"""


class Bus:
    """A bus, and on it the made-up service with ARGUMENTS; without any, there is no service. Beside it a made-up program,
    which sends SECRETS (pairs of toplevel and content) and has ANSWERS (verb -> [status, result])."""

    def __init__(self, *arguments, secrets=(), answers=None):
        self.folder = tempfile.TemporaryDirectory(prefix="lanza-test-")
        top = Path(self.folder.name)
        top.chmod(0o755)
        (top / "bus.conf").write_text(CONFIGURATION % top)
        self.program = top / "lanzad"
        self.environment = {
            **os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={top}/bus", "LANZACTL_LANZAD": str(self.program),
        }  # fmt: skip
        self.program.write_text(PROGRAM)
        (top / "settings").write_text(json.dumps({"secrets": secrets, "answers": answers or {}}))
        self.program.chmod(0o755)
        command = ["dbus-daemon", f"--config-file={top}/bus.conf", "--nofork", "--print-address"]
        self.daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.daemon.stdout.readline()
        self.service = None
        if arguments:
            self.service = subprocess.Popen([SERVICE, *arguments], stdout=subprocess.PIPE, env=self.environment)
            assert self.service.stdout.readline() == b"ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        for process in (self.service, self.daemon):
            if process:
                process.kill()
                process.wait()
                process.stdout.close()
        self.folder.cleanup()

    def lanzactl(self, *arguments, status=0):
        command = [str(LANZACTL), *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False, env=self.environment)
        errors = done.stderr.decode()
        assert done.returncode == status, (done.returncode, arguments, done.stdout, errors)
        return done.stdout.decode(), errors

    def words(self):
        """What the program was called with, each time."""
        path = self.program.parent / "words"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def calls(self):
        """What the service was asked, as sd-bus shows messages."""
        self.service.kill()
        self.service.wait()
        return self.service.stdout.read().decode()
