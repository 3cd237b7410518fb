# SPDX-License-Identifier: LGPL-2.1-or-later
"""A whole system in a container: systemd as its first process, bus, polkit, journal, and lanzad as `make install` installs
it.

    with Container("service") as container:
        container.put("/etc/lanza/lanzad.conf.d/test.conf", "...")
        container.boot()
        container.run("lanzactl", "status")

Its root is a copy of the small Debian that the machines in QEMU have. There is no firmware and no vfat in a container: there the
drop-in file TREE lets lanzad take the container's root as a tree, in which any folder is an ESP and nobody asks for variables.
What is written where is the same.
"""
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in ("lib", "vm"):
    sys.path.insert(0, str(HERE.parent / folder))

from images import debian
from program_tests import BUILD, Tree

BOOT_SECONDS = 300
COMMAND_SECONDS = 120
OFF_SECONDS = 120

UNIT = "lanzad.service"
TREE = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=\nExecStart=/usr/sbin/lanzad --root=/ --idle-timeout={}\n"
ENVIRONMENT = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]


def wait_until(condition, what, seconds=COMMAND_SECONDS, pause=0.02):
    """What CONDITION() answers, once that is true."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} seconds: {what}")
        time.sleep(pause)
    return answer


class Container:
    def __init__(self, name):
        self.folder = Path(tempfile.mkdtemp(prefix=f"lanza-{name}-"))
        self.name = f"lanza-{name}-{os.getpid()}"
        self.root = self.folder / "root"
        self.process = None
        self.leader = None
        # cp, not shutil: copytree() reads device nodes, and /dev/full never ends.
        for source, target in ((Path(debian()) / "tree", self.root), (f"{BUILD}/vm/root/.", self.root)):
            subprocess.run(["cp", "-a", "--reflink=auto", source, target], check=True)
        with Tree() as tree:
            subprocess.run(["cp", "-a", tree.root / "nix", self.root], check=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *ignored):
        if kind and self.leader:
            journal = self.run("journalctl", "--no-pager", "--lines=60", "--output=short-monotonic", check=False).stdout
            print("".join(f"# {line}\n" for line in journal.splitlines()), flush=True)
        self.end()
        if not os.environ.get("LANZA_KEEP"):
            shutil.rmtree(self.folder)

    def path(self, name):
        """Where the container's NAME is on this machine, unless something is mounted there."""
        return self.root / name.lstrip("/")

    def put(self, name, text):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def start(self, *arguments, **options):
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "unchanged",
                   str(HERE / "start-container"), self.name]
        return subprocess.Popen([*command, *map(str, arguments)], stdin=subprocess.DEVNULL, **options)

    def boot(self):
        """Starts the system, and waits until it says that it is up."""
        address = str(self.folder / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(self.folder / "console", "wb") as console:
            ready.bind(address)
            ready.settimeout(1)
            self.process = self.start(self.root, "systemd.unit=basic.target", stdout=console, stderr=subprocess.STDOUT,
                                      env={**os.environ, "NOTIFY_SOCKET": address})
            wait_until(lambda: self.hear(ready), "the container is up", BOOT_SECONDS)

    def hear(self, ready):
        """Takes one message of nspawn's (sd_notify(3)); true if it is that all is up."""
        try:
            lines = ready.recv(4096).decode().splitlines()
        except TimeoutError:
            lines = []
        for line in lines:
            if line.startswith("X_NSPAWN_LEADER_PID="):
                self.leader = int(line.partition("=")[2])
        if self.process.poll() is not None:
            raise RuntimeError("the container did not start:\n" + (self.folder / "console").read_text(errors="replace"))
        return "READY=1" in lines

    def end(self):
        """Switches it off, as by the plug: the next boot is of another copy."""
        if self.process:
            self.process.kill()
            self.process.wait(OFF_SECONDS)
            self.start().wait(OFF_SECONDS)
        self.process = self.leader = None

    # Inside

    def command(self, *command, user=0):
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        return ["nsenter", "--target", str(self.leader), "--all", "--root", "--wd", "--", "env", "-i", *ENVIRONMENT, *who, *command]

    def run(self, *command, user=0, check=True):
        done = subprocess.run(self.command(*command, user=user), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=COMMAND_SECONDS, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def begin(self, *command):
        """Runs COMMAND beside the test."""
        return subprocess.Popen(self.command(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    # The service

    def drop_in(self, name, text):
        """Lays the drop-in file NAME over the unit, or takes it away (TEXT is None); counts from the next start."""
        path = f"/etc/systemd/system/{UNIT}.d/{name}.conf"
        if text is None:
            self.path(path).unlink()
        else:
            self.put(path, text)
        if self.leader:
            self.run("systemctl", "stop", UNIT)
            self.run("systemctl", "daemon-reload")

    def show(self, name):
        return self.run("systemctl", "show", "--value", f"--property={name}", UNIT).stdout.strip()

    def service_process(self):
        """The service's process, by its number on this machine."""
        for group in Path("/proc").glob("[0-9]*/cgroup"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile
                if f"/{self.name}/payload/system.slice/{UNIT}\n" in group.read_text():
                    return int(group.parent.name)
        raise ProcessLookupError(f"{UNIT} does not run in the container")
