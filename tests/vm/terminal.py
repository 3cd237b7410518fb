# SPDX-License-Identifier: LGPL-2.1-or-later
"""Somebody sits at the machine: types on its keyboard and reads its screen.

    with Terminal(machine) as terminal:
        terminal.log_in("ada", PASSWORD)
        terminal.type("lanzactl status\\n")
        terminal.wait("Secure Boot")

The keys go in through QEMU's keyboard and a login on a virtual console, so that logind sees a session at the machine's
own seat, as polkit wants it for what only somebody present may do. There is no screen: the console keeps the text.
"""
import json
import shlex
import socket
import time

from images import PASSWORD
from machine import COMMAND_SECONDS, MachineError

ROWS, COLUMNS = 120, 110

# A key is down for so long, and up for as long: the keyboard holds 16 bytes for a busy machine, no more.
KEY_MILLISECONDS = 20

NAMES = {" ": "spc", "\n": "ret", "-": "minus", "=": "equal", ",": "comma", ".": "dot", "/": "slash", ";": "semicolon",
         "'": "apostrophe"}
SHIFTED = {"_": "minus", "?": "slash", ":": "semicolon", '"': "apostrophe", "|": "backslash", ">": "dot", "&": "7", "$": "4"}


class Keyboard:
    """QEMU's machine protocol, of which one command is used."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(COMMAND_SECONDS)
        self.socket.connect(path)
        self.stream = self.socket.makefile("r", encoding="utf-8")
        self.stream.readline()
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        self.socket.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.stream.readline())
            if "error" in answer:
                raise MachineError(f"QEMU refuses {name}: {answer['error']}")
            if "return" in answer:
                return

    def press(self, character):
        shift = character in SHIFTED or character.isupper()
        name = SHIFTED.get(character) or NAMES.get(character) or character.lower()
        keys = (["shift"] if shift else []) + [name]
        self.command("send-key", keys=[{"type": "qcode", "data": key} for key in keys], **{"hold-time": KEY_MILLISECONDS})
        time.sleep(2 * KEY_MILLISECONDS / 1000)

    def close(self):
        self.stream.close()
        self.socket.close()


class Terminal:
    """The virtual console NUMBER, with a login prompt on it."""

    def __init__(self, machine, number=1):
        self.machine = machine
        self.number = number
        self.name = None
        self.keyboard = Keyboard(machine.path("monitor"))
        # What has long been running where somebody logs in; here it is started by who needs it.
        machine.run("systemctl start disks.service polkit.service systemd-logind.service")
        machine.run(f"chvt {number}; stty rows {ROWS} cols {COLUMNS} </dev/tty{number}; "
                    f"systemctl --no-block start systemd-user-sessions.service getty@tty{number}.service")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind and self.machine.process and not isinstance(value, KeyboardInterrupt):
            print("".join(f"# screen: {line}\n" for line in self.screen().splitlines()), end="", flush=True)
        self.keyboard.close()

    def screen(self):
        """What stands on the screen, a line a row."""
        return self.machine.run(f"/usr/lib/tests/screen {self.number}").text

    def wait(self, *texts, seconds=COMMAND_SECONDS):
        """Waits until TEXTS stand on the screen, one after the other; returns all that does."""
        wanted = " ".join(shlex.quote(text) for text in texts)
        result = self.machine.run(f"/usr/lib/tests/screen {self.number} {seconds} {wanted}", seconds=seconds + 30, check=False)
        if result.status != 0:
            raise MachineError(self.machine.describe(f"no {texts} on the screen within {seconds} seconds"))
        return result.text

    def type(self, text):
        for character in text:
            self.keyboard.press(character)

    def answer(self, *question, text):
        """Waits for QUESTION, as wait() does, and types TEXT and the return key. Returns what the screen showed before."""
        shown = self.wait(*question)
        self.type(text + "\n")
        return shown

    def log_in(self, name, password=PASSWORD):
        self.name = name
        self.answer("login:", text=name)
        self.answer("Password:", text=password)
        self.end()

    def begin(self, command):
        """Types COMMAND at the prompt, on a screen that is empty."""
        self.machine.run(f"printf '\\033[H\\033[2J' >/dev/tty{self.number}")
        self.type(command + "\n")

    def end(self):
        """Waits until the shell's prompt is back; returns what the screen shows before it."""
        prompt = f"{self.name}@machine:~$"
        return self.wait(prompt).rpartition(prompt)[0]

    def command(self, command):
        self.begin(command)
        return self.end()
