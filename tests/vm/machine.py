# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine in QEMU with real firmware: its disks and variables, its console, the agent inside.

    images = Images()
    with Machine("first", images) as machine:
        machine.seed(entries)
        machine.boot_directly(kernel, initrd, "init=... test.seed")
        machine.run("bootctl list")
        machine.reboot()

Each boot is a QEMU of its own on the same disks and variables, so that the host can read and change both while the
machine is off. Emulation only: nothing on the host is touched but a temporary folder. Whatever waits has a limit, and
what was on the console is part of every failure.
"""
import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import archive

# Where steps usually take a second or two, and a booted system 20: at least five times that, for a busy computer.
COMMAND_SECONDS = 120
BOOT_SECONDS = 300
OFF_SECONDS = 120

# What Debian, OVMF and OpenSSL use. Each of the many more that the emulator knows costs it, or the kernel, time.
PROCESSOR = "qemu64,+rdrand,+ssse3,+sse4.1,+sse4.2,+aes,+popcnt"

ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
ESP_MEGABYTES = 192
ESP_OFFSET = 1 << 20

ESCAPES = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[c=>]|[\r\0\x08]")


class MachineError(RuntimeError):
    """The machine did not do what was waited for; says what its console showed."""


class Result:
    def __init__(self, status, output, error):
        self.status = status
        self.output = output
        self.error = error

    @property
    def text(self):
        return self.output.decode("utf-8", "replace")

    @property
    def error_text(self):
        return self.error.decode("utf-8", "replace")


class Console:
    """What came over the serial line, without terminal escapes; a thread collects it and wakes who waits. WATCH is
    called with all of it whenever there is more."""

    def __init__(self, stream, log, watch):
        self.text = ""
        self.ended = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.collect, args=(stream, log, watch), daemon=True)
        self.thread.start()

    def collect(self, stream, log, watch):
        raw = ""
        with open(log, "ab") as file:
            while data := os.read(stream.fileno(), 65536):
                file.write(data)
                file.flush()
                raw += data.decode("utf-8", "replace")
                text = ESCAPES.sub("", raw)
                if watch:
                    watch(text)
                with self.changed:
                    self.text = text
                    self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait(self, predicate, seconds):
        """Waits until PREDICATE(text) is true or the stream ends; whether it became true."""
        with self.changed:
            self.changed.wait_for(lambda: predicate(self.text) or self.ended, seconds)
            return predicate(self.text)


class Machine:
    esp_megabytes = ESP_MEGABYTES

    def __init__(self, name, images, watch=None, memory=512):
        self.name = name
        self.images = images
        self.watch = watch
        self.memory = memory
        self.folder = tempfile.mkdtemp(prefix=f"lanza-{name}-")
        self.process = None
        self.console = None
        self.agent = None
        self.boots = 0
        self.seeded = False
        self.variables = self.path("variables.fd")
        self.root = self.path("root.ext4")
        self.esp = self.path("esp.img")
        shutil.copyfile(images.firmware_variables, self.variables)
        self.copy(images.root, self.root)
        self.make_esp()

    def path(self, name):
        return os.path.join(self.folder, name)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.kill()
        if kind:
            print("".join(f"# {self.name}: {line}\n" for line in self.last_lines(40)), end="", flush=True)
        if not os.environ.get("LANZA_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    # Disks, while the machine is off

    def copy(self, source, target):
        """Copies a disk; its holes stay holes."""
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, target], check=True)

    def make_esp(self):
        """A disk with one vfat partition of the type that firmware boots from."""
        sectors = self.esp_megabytes * 2048
        with open(self.esp, "wb") as file:
            file.truncate(ESP_OFFSET + sectors * 512 + (1 << 20))
        table = f"label: gpt\nstart=2048, size={sectors}, type={ESP_TYPE}, name=ESP\n"
        subprocess.run(["sfdisk", "--quiet", self.esp], input=table.encode(), stdout=subprocess.DEVNULL, check=True)
        subprocess.run(["mkfs.vfat", "-F", "32", "-n", "ESP", "--offset", "2048", self.esp, str(sectors // 2)],
                       capture_output=True, check=True)

    def mtools(self, command, *arguments):
        """Runs an mtools COMMAND on the ESP, for instance mtools("mdel", "::/EFI/Linux/a.efi"). The machine is off."""
        assert self.process is None, "the ESP belongs to the running machine"
        environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C.UTF-8"}
        return subprocess.run([command, "-i", f"{self.esp}@@{ESP_OFFSET}", *arguments], env=environment, check=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_SECONDS).stdout

    def esp_read(self, path):
        return self.mtools("mtype", "::" + path)

    def esp_write(self, path, content):
        with tempfile.NamedTemporaryFile(dir=self.folder) as file:
            file.write(content)
            file.flush()
            self.mtools("mcopy", "-o", file.name, "::" + path)

    def seed(self, entries):
        """Lays ENTRIES (path -> Entry) over the root disk at the next boot_directly()."""
        with open(self.path("seed.tar"), "wb") as file:
            file.write(archive.tar(entries))
        self.seeded = True

    # Power

    def start(self, *extra, esp_first=True):
        """Switches the machine on; the firmware boots from the ESP, unless EXTRA says otherwise or ESP_FIRST is false:
        then it goes by its own BootOrder."""
        assert self.process is None, "the machine is on"
        self.boots += 1
        command = [
            "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg", "-cpu", PROCESSOR,
            "-M", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on", "-m", str(self.memory),
            "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-monitor", "none",
            "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={self.images.firmware_code}",
            "-drive", f"if=pflash,format=raw,unit=1,file={self.variables}",
            *self.disk("esp", self.esp, *(["bootindex=1"] if esp_first else [])), *self.disk("root", self.root),
            "-device", "virtio-rng-pci",
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=agent",
            "-chardev", f"socket,id=agent,path={self.path('agent')},server=on,wait=off",
            "-chardev", f"socket,id=monitor,path={self.path('monitor')},server=on,wait=off",
            "-mon", "chardev=monitor,mode=control",
            *extra,
        ]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.console = Console(self.process.stdout, self.path("console.log"), self.watch)
        self.agent = None

    def disk(self, serial, path, *options):
        device = ",".join(["virtio-blk-pci", f"drive={serial}", f"serial={serial}", *options])
        return ["-drive", f"if=none,id={serial},format=raw,file={path}", "-device", device]

    def boot(self):
        """Switches on and waits until the system inside is up."""
        self.start()
        self.wait_up()

    def boot_directly(self, kernel, initrd, arguments):
        """Boots KERNEL (paths on the host) past the boot loader, as an installation medium would; applies the seed."""
        extra = ["-kernel", kernel, "-initrd", initrd, "-append", arguments + (" test.seed" if self.seeded else "")]
        if self.seeded:
            extra += self.disk("seed", self.path("seed.tar"))
        self.start(*extra)
        self.wait_up()

    def wait_up(self, seconds=BOOT_SECONDS):
        """Waits until the agent inside answers."""
        self.connect_agent(seconds)
        if self.read_line(seconds) != "ready":
            raise MachineError(self.describe("the agent said something else than that it is ready"))

    def wait_off(self, seconds=OFF_SECONDS):
        """Waits until the machine has switched itself off, or asked for a reset."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise MachineError(self.describe(f"the machine did not go off within {seconds} seconds")) from None
        self.release()

    def reboot(self):
        self.shut_down()
        self.boot()

    def shut_down(self):
        """Ends the system properly: file systems are unmounted."""
        self.run("systemctl --no-block reboot --force")
        self.wait_off()

    def kill(self):
        """As when the power goes. What the machine has written stays written."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.release()

    def release(self):
        self.console.thread.join(10)
        for stream in (self.process.stdin, self.process.stdout, self.agent):
            if stream:
                stream.close()
        self.process = None
        self.agent = None

    # Console

    def wait_console(self, text, seconds=BOOT_SECONDS, times=1):
        """Waits until TEXT has been on the console, that many TIMES since the machine was switched on."""
        if not self.console.wait(lambda shown: shown.count(text) >= times, seconds):
            raise MachineError(self.describe(f"no '{text}' on the console within {seconds} seconds"))

    def press(self, keys):
        self.process.stdin.write(keys)
        self.process.stdin.flush()

    def last_lines(self, count):
        text = self.console.text if self.console else ""
        return [line.strip() for line in text.split("\n") if line.strip()][-count:]

    def describe(self, what):
        state = "is on" if self.process and self.process.poll() is None else "is off"
        return f"{self.name}: {what}; the machine {state}"

    # Steps inside

    def run(self, script, input=b"", seconds=COMMAND_SECONDS, check=True):
        """Runs SCRIPT (bash) as root inside. With check, a status other than 0 is a failure."""
        encoded = script.encode()
        self.send(f"{seconds} {len(encoded)} {len(input)}\n".encode() + encoded + input, seconds)
        deadline = seconds + 15
        status, output_bytes, error_bytes = map(int, self.read_line(deadline).split())
        result = Result(status, self.read_exactly(output_bytes, deadline), self.read_exactly(error_bytes, deadline))
        if check and status != 0:
            raise MachineError(self.describe(f"'{script}' ended with status {status}:\n{result.text}{result.error_text}"))
        return result

    def read(self, path):
        return self.run(f"cat '{path}'").output

    def put(self, entries):
        """Writes ENTRIES (path -> Entry) inside the running machine."""
        self.run("busybox tar -x -C / -f -", archive.tar(entries))

    def connect_agent(self, seconds):
        deadline = time.monotonic() + seconds
        self.agent = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.agent.connect(self.path("agent"))
                break
            except OSError:
                # QEMU makes the socket in its first moments; there is nothing to wait on before that.
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise MachineError(self.describe("QEMU did not start")) from None
                time.sleep(0.02)
        self.agent.setblocking(False)
        self.received = b""

    def receive(self, deadline):
        """Takes in what the agent sent; fails once the DEADLINE passed or the machine is off."""
        ready, _, _ = select.select([self.agent], [], [], max(0, deadline - time.monotonic()))
        try:
            data = self.agent.recv(1 << 20) if ready else b""
        except ConnectionResetError:
            data = b""
        if not ready:
            raise MachineError(self.describe("no answer from inside in time"))
        if not data:
            raise MachineError(self.describe("the machine went off while a step ran"))
        self.received += data

    def read_line(self, seconds):
        deadline = time.monotonic() + seconds
        while b"\n" not in self.received:
            self.receive(deadline)
        line, self.received = self.received.split(b"\n", 1)
        return line.decode()

    def read_exactly(self, count, seconds):
        deadline = time.monotonic() + seconds
        while len(self.received) < count:
            self.receive(deadline)
        data, self.received = self.received[:count], self.received[count:]
        return data

    def send(self, data, seconds):
        deadline = time.monotonic() + seconds
        while data:
            _, ready, _ = select.select([], [self.agent], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise MachineError(self.describe("the agent does not take a request"))
            data = data[self.agent.send(data):]
