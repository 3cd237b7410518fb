# SPDX-License-Identifier: LGPL-2.1-or-later
"""A system bus of its own with the project's policy, lanzad on it, and busctl as root or nobody."""
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import traceback
from pathlib import Path

from program_tests import LANZAD
from wire import ERROR, ERROR_NAME, MEMBER, Wire

SOURCE = Path(os.environ.get("LANZA_SOURCE", os.getcwd()))

NAME, OBJECT = "org.lanzaboote.Lanza1", "/org/lanzaboote/Lanza1"
INVALID = "org.freedesktop.DBus.Error.InvalidArgs"
DENIED = "org.freedesktop.DBus.Error.AccessDenied"
WITH_PASSWORD = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
# Not in Python 3.11.
F_ADD_SEALS, SEAL_SEAL, SEAL_SHRINK, SEAL_GROW, SEAL_WRITE = 1033, 1, 2, 4, 8
ALL_SEALS = SEAL_SEAL | SEAL_SHRINK | SEAL_GROW | SEAL_WRITE
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

# What a distribution's system.conf says, in short.
CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_type="method_return"/>
    <allow send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.PolicyKit1"/>
  </policy>
  <policy user="root">
    <allow own="org.freedesktop.PolicyKit1"/>
  </policy>
  <policy user="polkitd">
    <allow own="org.freedesktop.PolicyKit1"/>
  </policy>
  <include>{source}/dbus/org.lanzaboote.Lanza1.conf</include>
</busconfig>
"""

ACTIONS = SOURCE / "dbus/org.lanzaboote.lanza1.policy"
# Fails where the root folder is no mount point: what is mounted there might show outside.
PRIVATE_MOUNTS = ["unshare", "--mount", "--propagation=private"]
POLKIT = """
mount --bind {folder}/share /usr/share/polkit-1
mount --bind {folder}/etc /etc/polkit-1
exec /usr/lib/polkit-1/polkitd --no-debug
"""


def plain(value):
    """busctl's JSON, or a part of it, without the types."""
    if isinstance(value, dict) and set(value) == {"type", "data"}:
        return plain(value["data"])
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


class PrivateBus:
    """The bus, and lanzad on it for the tree ROOT."""

    def __init__(self, root, *options, program=LANZAD, wrapper=()):
        self.command = [*wrapper, str(program)]
        self.folder = Path(tempfile.mkdtemp(prefix="lanza-bus-"))
        self.folder.chmod(0o755)
        (self.folder / "bus.conf").write_text(CONFIGURATION.format(folder=self.folder, source=SOURCE))
        self.environment = {
            **os.environ,
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.folder}/bus",
            # What the sanitizer keeps of freed memory is no part of what the service takes up.
            "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', 'detect_leaks=1')}:quarantine_size_mb=8",
        }
        self.log = open(self.folder / "log", "w+b")
        self.processes = []
        self.daemon = self.start("dbus-daemon", f"--config-file={self.folder}/bus.conf", "--nofork", "--nopidfile", "--print-address=1")
        assert self.daemon.stdout.readline(), "no bus"
        self.service = self.start_service(root, *options)

    def __enter__(self):
        return self

    def __exit__(self, kind, *ignored):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
                process.send_signal(signal.SIGCONT)  # one that a test has stopped ends, too
            process.wait(timeout=60)
        log = self.text()
        self.log.close()
        shutil.rmtree(self.folder)
        assert kind or "Sanitizer" not in log and "runtime error" not in log, log
        if kind:
            print("".join(f"# {line}\n" for line in log.splitlines()), end="")

    def start(self, *command):
        process = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log
        )
        self.processes.append(process)
        return process

    def start_owner(self, name, *command):
        """A program, once it has the NAME."""
        watcher = self.wire()
        rule = f"type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='{name}'"
        watcher.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "AddMatch", "s", [rule])
        process = self.start(*command)
        watcher.wait(lambda message: message.fields.get(MEMBER) == "NameOwnerChanged")
        watcher.close()
        return process

    def start_service(self, root, *options):
        return self.start_owner(NAME, *self.command, f"--root={root}", *options)

    def start_polkit(self, rules=""):
        """The real polkitd, with the project's actions and RULES in place of the system's."""
        for path, text in (("share/actions/lanza.policy", ACTIONS.read_text()), ("share/rules.d/10.rules", rules)):
            (self.folder / path).parent.mkdir(parents=True)
            (self.folder / path).write_text(text)
        (self.folder / "etc/rules.d").mkdir(parents=True)
        script = POLKIT.format(folder=self.folder)
        return self.start_owner("org.freedesktop.PolicyKit1", *PRIVATE_MOUNTS, "sh", "-ec", script)

    def text(self):
        self.log.flush()
        return (self.folder / "log").read_text(errors="replace")

    def wire(self):
        return Wire(self.folder / "bus")

    def busctl(self, *arguments, nobody=False):
        command = (NOBODY if nobody else []) + ["busctl", "--system", "--json=short", "--timeout=60", *arguments]
        return subprocess.run(
            command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False
        )

    def call(self, interface, member, *arguments, nobody=False):
        """The result of a method that must succeed."""
        done = self.busctl("call", NAME, OBJECT, f"{NAME}.{interface}", member, *arguments, nobody=nobody)
        assert done.returncode == 0, (member, arguments, done.stderr)
        return plain(json.loads(done.stdout))[0]

    def get(self, interface, name, nobody=False):
        done = self.busctl("get-property", NAME, OBJECT, f"{NAME}.{interface}", name, nobody=nobody)
        assert done.returncode == 0, (name, done.stderr)
        return plain(json.loads(done.stdout))

    def stop(self):
        self.service.send_signal(signal.SIGTERM)
        return self.service.wait(timeout=60)


def wait_until(condition, what, seconds=60):
    """For what tells nobody when it comes."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)


def error(wire, interface, member, signature="a{sv}", values=({},), flags=0, fds=()):
    """Name and lines of the error that a call must end with."""
    reply = wire.call(NAME, OBJECT, interface and f"{NAME}.{interface}", member, signature, values, flags=flags, fds=fds)
    assert reply.type == ERROR, (member, reply.values())
    return reply.fields[ERROR_NAME], reply.values()[0].splitlines()


def state(tree):
    """The ESP and the key store. What is remembered of hashes is none of it: when that is written depends on the clock."""
    return [line for folder in ("boot", "var") for line in tree.snapshot(folder) if "/var/cache/" not in f"{line[0]}/"]


def become(uid):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def as_nobody(action, uid=65534):
    """Runs ACTION in a child that is nobody, or another who is not root; it must end well."""
    return in_child(action, lambda: become(uid))


def in_child(action, prepare=lambda: None):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            prepare()
            action()
            status = 0
        except BaseException:  # pylint: disable=broad-except
            print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="", flush=True)
        os._exit(status)
    return child


def ended_well(child):
    return os.waitpid(child, 0)[1] == 0


def memory(content=b"", size=None, seals=ALL_SEALS):
    """A descriptor of sealed memory."""
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, content)
    if size is not None:
        os.truncate(fd, size)
    fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


class Lock:
    """Another program that holds the key store's lock."""

    def __init__(self, tree):
        folder = tree.root / "var/lib/lanzad"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        self.fd = os.open(folder, os.O_RDONLY)
        fcntl.flock(self.fd, fcntl.LOCK_EX)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        os.close(self.fd)
