#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Callers that mean harm. Whatever nobody sends: root's status is answered within a second, memory stays bounded, and nothing
changes. With full counts if LANZA_LONG is set, else less of everything."""
import os
import random
import signal
import socket
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from private_bus import DENIED, INVALID, NAME, OBJECT, PrivateBus, as_nobody, ended_well, error, in_child, state, wait_until
from program_tests import BUILD, LANZAD, Tree, run_tests
from wire import ALLOW_INTERACTIVE, CALL, DESTINATION, ERROR, ERROR_NAME, INTERFACE, MEMBER, PATH, REPLY_SERIAL, RETURN, SIGNAL, NO_REPLY, types

LONG = bool(os.environ.get("LANZA_LONG"))
SEED = int(os.environ.get("LANZA_SEED") or random.randrange(1 << 32))
SANITIZED = LANZAD.parent.name == "san"
LIMITS = f"{NAME}.Error.LimitsExceeded"
INSTALLED = BUILD / "lanzad"
# With sanitizers everything takes several times as long; what would wait behind a flood waits longer than that.
SECONDS_MAX = {INSTALLED: 1, LANZAD: 5 if SANITIZED else 1}
# What the sanitizers add, they add several times.
MEBIBYTES_MAX = 192

PROPERTIES, INTROSPECTABLE, PEER = (f"org.freedesktop.DBus.{name}" for name in ("Properties", "Introspectable", "Peer"))
MANAGER, KEYS, FIRMWARE, ESP = (f"{NAME}.{name}" for name in ("Manager", "Keys", "Firmware", "Esp"))

# What nobody may send, and what it costs most to deal with.
CALLS = [
    (MANAGER, "GetStatus", "a{sv}", [{}]),
    (MANAGER, "Cancel", "t", [1]),
    (KEYS, "Create", "a{sv}", [{}]),
    (ESP, "Sync", "a{sv}", [{"toplevel": ("s", "/nix/store/system-1")}]),
    (ESP, "CollectGarbage", "a{sv}", [{}]),
    (FIRMWARE, "Enroll", "a{sv}", [{"microsoft": ("s", "all")}]),
    (FIRMWARE, "ListSignatures", "s", [""]),
    (PROPERTIES, "GetAll", "s", [KEYS]),
    (PROPERTIES, "GetAll", "s", [FIRMWARE]),
    (PROPERTIES, "Get", "ss", [MANAGER, "Operation"]),
    (INTROSPECTABLE, "Introspect", "", []),
    (PEER, "GetMachineId", "", []),
]


def scaled(count):
    return count if LONG else max(count // 5, 1)


def waited_for_processors(processes):
    """Seconds that their threads could have run and did not: that is not the service's doing."""
    total = 0
    for process in processes:
        for task in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[1])
            except OSError:
                pass  # it has ended
    return total / 1e9


class Probe:
    """Root, who asks for the status again and again."""

    def __init__(self, bus):
        self.result, theirs = os.pipe()
        self.child = in_child(lambda: self.ask(bus, theirs))
        os.close(theirs)

    def ask(self, bus, output):
        over = []
        worst = (0, 0)
        signal.signal(signal.SIGTERM, lambda *_: over.append(True))
        count = 0
        while not over or count == 0:
            waited = waited_for_processors([bus.service, bus.daemon])
            start = time.monotonic()
            wire = bus.wire()
            reply = wire.call(NAME, OBJECT, MANAGER, "GetStatus", "a{sv}", [{}])
            while reply.fields.get(ERROR_NAME) == "org.freedesktop.DBus.Error.LimitsExceeded":
                reply = wire.call(NAME, OBJECT, MANAGER, "GetStatus", "a{sv}", [{}])  # of the bus, for what waits for the service
            seconds = time.monotonic() - start
            wire.close()
            assert reply.type == RETURN, reply.fields
            waited = waited_for_processors([bus.service, bus.daemon]) - waited
            worst = max(worst, (seconds - min(waited, seconds), seconds))
            count += 1
            time.sleep(0.02)
        os.write(output, f"{worst[0]} {worst[1]} {count}".encode())

    def stop(self):
        """Returns whether it was answered all the time."""
        child, self.child = self.child, None
        if child:
            os.kill(child, signal.SIGTERM)
        return child and ended_well(child)

    def end(self):
        assert self.stop(), "root was not answered"
        text = os.read(self.result, 1000).decode()
        os.close(self.result)
        return [float(word) for word in text.split()]


class Siege:
    """A service with keys, images and a firmware that has them, and root who watches over it."""

    def __init__(self, title, program=LANZAD, root_waits=False):
        self.title, self.seconds_max = title, None if root_waits else SECONDS_MAX[program]
        self.random = random.Random(f"{SEED} {title}")
        self.tree = Tree()
        self.bus = PrivateBus(self.tree.root, self.tree.firmware(), "--idle-timeout=3600", program=program)
        self.bus.call("Keys", "Create", "a{sv}", "0")
        self.bus.call("Esp", "Sync", "a{sv}", "0")
        self.before = self.hash()
        self.first_memory = self.memory()

    def hash(self):
        variables = self.tree.top / "variables"
        return state(self.tree), variables.read_bytes() if variables.exists() else None

    def memory(self):
        """The most that was resident so far, in MiB."""
        text = Path(f"/proc/{self.bus.service.pid}/status").read_text()
        return int(text.split("VmHWM:")[1].split()[0]) / 1024

    def said(self):
        return [line for line in self.bus.text().splitlines() if "dbus-daemon" not in line]

    def processor_seconds(self):
        fields = Path(f"/proc/{self.bus.service.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        self.bus.__enter__()
        self.tree.__enter__()
        self.probe = Probe(self.bus)
        return self

    def __exit__(self, kind, *more):
        try:
            if not kind:
                self.judge()
        except BaseException:
            print(f"# LANZA_SEED={SEED}\n" + "".join(f"# {line}\n" for line in self.said()[-30:]))
            raise
        finally:
            self.probe.stop()
            self.bus.__exit__(kind, *more)
            self.tree.__exit__(kind, *more)

    def judge(self):
        adjusted, seconds, count = self.probe.end()
        memory = self.memory()
        print(f"# {self.title}: {count:.0f} answers for root, the slowest after {seconds:.2f} s, of which {seconds - adjusted:.2f} s were for "
              f"a processor; memory {self.first_memory:.0f} MiB before, {memory:.0f} MiB at most", flush=True)  # fmt: skip
        assert self.bus.service.poll() is None, "the service has ended"
        assert self.seconds_max is None or adjusted < self.seconds_max, seconds
        assert memory < MEBIBYTES_MAX, memory
        assert self.hash() == self.before, "something has changed"

    def nobody(self, *actions):
        """Each of ACTIONS in a process of nobody's, all at once; each gets a source of chance of its own."""
        sources = [random.Random(self.random.random()) for _ in actions]
        children = [as_nobody(lambda action=action, source=source: action(source)) for action, source in zip(actions, sources)]
        assert all([ended_well(child) for child in children])


def send(wire, call, flags=0, **more):
    return wire.send_call(NAME, OBJECT, *call, flags=flags, **more)


def settle(wire):
    """The bus has taken all that was sent."""
    wire.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId")


def test_many_calls():
    """10000 calls as fast as they go, a half of them without waiting for answers, from two connections; also to the program as it
    is installed, which is as slow as users will see it."""

    def flood(source):
        wire = siege.bus.wire()
        for _ in range(scaled(5000)):
            send(wire, source.choice(CALLS), source.choice([0, NO_REPLY]))
        settle(wire)

    for title, program in (("calls", LANZAD), ("calls, installed program", INSTALLED)):
        with Siege(title, program=program) as siege:
            siege.nobody(flood, flood)


def test_one_call():
    """The same with one kind of call, the one that costs most."""
    with Siege("properties") as siege:

        def flood(_):
            wire = siege.bus.wire()
            for _ in range(scaled(10000)):
                send(wire, (PROPERTIES, "GetAll", "s", [KEYS]), NO_REPLY)
            settle(wire)

        siege.nobody(flood)


def test_open_operations():
    """64 operations that wait for polkit, which does not answer: those within the limit wait, and go with their caller."""
    with Siege("operations") as siege:
        polkit = siege.bus.start_polkit()
        polkit.send_signal(signal.SIGSTOP)

        def begin(source):
            wires = [siege.bus.wire() for _ in range(64)]
            for wire in wires:
                send(wire, source.choice(CALLS[2:6]), ALLOW_INTERACTIVE)

            def refused():
                for wire in wires:
                    settle(wire)
                return sum(m.fields.get(ERROR_NAME) == LIMITS for wire in wires for m in wire.kept)

            wait_until(lambda: refused() >= 64 - 16, "what is over the limit is refused")
            assert refused() == 64 - 16

        siege.nobody(begin)
        siege.nobody(begin)  # the first ones' places are free again
        polkit.send_signal(signal.SIGCONT)


def test_journal():
    """Who is refused again and again leaves 30 entries a minute; what root does then is still written down."""
    with Siege("journal") as siege:

        def insist(_):
            wire = siege.bus.wire()
            for _ in range(50):
                assert error(wire, "Keys", "Create")[0] == DENIED
                time.sleep(0.02)

        start = time.monotonic()
        siege.nobody(insist)
        minutes = 1 + (time.monotonic() - start) // 60
        assert 30 <= siege.bus.text().count("create-keys for uid 65534: AccessDenied") <= 30 * minutes, siege.said()
        siege.bus.call("Esp", "Sync", "a{sv}", "1", "dry-run", "b", "true")
        assert siege.bus.text().count("sync for uid 0: done") == 2, siege.said()


def bad_descriptors():
    """What is no sealed memory, each as the function that opens it."""

    def sparse():
        fd = os.memfd_create("sparse", os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, 4 << 30)
        return fd

    def file():
        fd = os.open("/tmp", os.O_TMPFILE | os.O_RDWR, 0o600)
        os.ftruncate(fd, 4 << 30)
        return fd

    def fifo():
        path = f"/tmp/lanza-fifo-{os.getpid()}"
        os.mkfifo(path)
        fd = os.open(path, os.O_RDWR)
        os.unlink(path)
        return fd

    return {
        "fifo": fifo,
        "socket": lambda: socket.socket(socket.AF_UNIX).detach(),
        "unsealed": lambda: os.memfd_create("unsealed", os.MFD_ALLOW_SEALING),
        "unsealable": lambda: os.memfd_create("unsealable"),
        "sparse memory": sparse,
        "sparse file": file,
        "folder": lambda: os.open("/", os.O_RDONLY),
        "path": lambda: os.open("/etc/passwd", os.O_PATH),
        "device": lambda: os.open("/dev/zero", os.O_RDONLY),
        "pipe": lambda: os.pipe()[0],
    }


def offers(opener):
    """Options that hand in such a descriptor, each with its name."""
    fd = opener()
    yield "configuration", {"configuration": ("h", 0)}, [fd]
    yield "initrd-secrets", {"initrd-secrets": ("a(sh)", [("/nix/store/system-1", 0)])}, [fd]
    os.close(fd)


def test_descriptors():
    """Root's options from nobody are refused as such, root's wrong memory as no sealed memory; what nobody asked for is dropped."""
    with Siege("descriptors") as siege:

        def offer(_):
            wire = siege.bus.wire()
            for what, opener in bad_descriptors().items():
                for option, options, fds in offers(opener):
                    name, lines = error(wire, "Esp", "Sync", values=[options], fds=fds)
                    assert name == DENIED and f"'{option}'" in lines[0], (what, name, lines)

        def flood(source):
            """Sixteen in a message, where there is no place for one."""
            fds = [opener() for opener in bad_descriptors().values()][:4] * 4
            for _ in range(scaled(50)):
                wire = siege.bus.wire()
                for _ in range(scaled(100)):
                    send(wire, source.choice(CALLS), NO_REPLY, fds=fds)
                wire.close()

        siege.nobody(offer)
        wire = siege.bus.wire()
        for what, opener in bad_descriptors().items():
            for option, options, fds in offers(opener):
                name, lines = error(wire, "Esp", "Sync", values=[{**options, "dry-run": ("b", 1)}], fds=fds)
                assert name == INVALID and f"'{option}'" in lines[0] and "seals" in lines[1], (what, name, lines)
        siege.nobody(flood, flood)
        wait_until(lambda: len(os.listdir(f"/proc/{siege.bus.service.pid}/fd")) < 40, "no descriptor is left behind")


def test_large_messages():
    """As large as the bus lets through, and larger. Here root waits, for the bus: it hands over a message in pieces of 2 KiB, and to
    this service nothing else until it has. What the service adds is little."""
    with Siege("sizes", root_waits=True) as siege:
        text = "x" * ((31 if LONG else 4) << 20)
        large = [
            (ESP, "Sync", "a{sv}", [{"toplevel": ("s", text)}]),
            (ESP, "Sync", "a{sv}", [{text: ("b", 1)}]),
            (KEYS, "Create", "a{sv}", [{"no-such-option": ("s", text)}]),
            (KEYS, "Create", "a{sv}", [[("dry-run", ("b", 1))] * 100000]),
            (FIRMWARE, "ListSignatures", "s", [text]),
            (PROPERTIES, "GetAll", "s", [text]),
            (MANAGER, "NoSuchMember", "s", [text]),
        ]

        def push(source):
            wire = siege.bus.wire()
            for call in source.sample(large, len(large)):
                reply = wire.call(NAME, OBJECT, *call)
                assert reply.type == ERROR, (call[1], reply.fields)
                assert len(reply.body) < (10000 if call[0] != PROPERTIES else 2 * len(text)), (call[1], len(reply.body))

        def push_more(_):
            wire = siege.bus.wire()
            try:
                send(wire, (ESP, "Sync", "ay", [bytes(128 << 20)]))
                settle(wire)
            except (OSError, AssertionError):
                return
            raise AssertionError("the bus takes 128 MiB")

        before = siege.processor_seconds()
        siege.nobody(push)
        used = siege.processor_seconds() - before
        print(f"# {len(large)} messages of {len(text) >> 20} MiB took {used:.2f} s of a processor", flush=True)
        assert used < len(large) * (10 if SANITIZED else 1), used
        siege.nobody(push_more)


def test_wrong_calls():
    """Signatures, interfaces, members, paths that are not; forged answers and signals."""
    with Siege("wrong") as siege:

        def confuse(source):
            wire = siege.bus.wire()
            signatures = {"": [], "s": ["x"], "as": [["x"]], "a{sv}s": [{}, "x"], "v": [("v", ("v", ("s", "x")))], "h": [0], "t": [1]}
            for _ in range(scaled(1000)):
                interface, member, signature, values = source.choice(CALLS)
                change = source.randrange(6)
                if change == 0:
                    signature, values = source.choice(list(signatures.items()))
                elif change == 1:
                    interface = None
                elif change == 2:
                    member = source.choice(["NoSuchMember", "Set", "SetAll", member.lower(), "x" * 255])
                elif change == 3:
                    interface = source.choice([PROPERTIES, INTROSPECTABLE, PEER, f"{NAME}.Other", "org.freedesktop.DBus.ObjectManager"])
                path = source.choice(["/", "/org", OBJECT + "/x", "/x" * 100]) if change == 4 else OBJECT
                wire.send_call(NAME, path, interface, member, signature, values)
                if change == 5:
                    wire.send(SIGNAL, {DESTINATION: NAME, PATH: OBJECT, INTERFACE: source.choice([interface, "org.freedesktop.DBus"]),
                                       MEMBER: source.choice([member, "NameOwnerChanged"])}, "sss", [":1.2", ":1.2", ""])  # fmt: skip
                    wire.send(RETURN, {DESTINATION: NAME, REPLY_SERIAL: source.randrange(1, 100)}, "(bba{ss})", [(1, 0, {})])
                    wire.send(CALL, {DESTINATION: NAME, PATH: OBJECT, MEMBER: member})
            settle(wire)

        siege.nobody(confuse, confuse)


def test_disconnects():
    """They leave wherever they are: with answers unread, calls waiting, a message half sent."""
    with Siege("leaving") as siege:

        def come_and_go(source):
            for _ in range(scaled(500)):
                wire = siege.bus.wire()
                for _ in range(source.randrange(1, 20)):
                    send(wire, source.choice(CALLS), source.choice([0, NO_REPLY, ALLOW_INTERACTIVE]))
                if source.random() < 0.3:
                    wire.socket.sendall(b"l\1\0\1" + os.urandom(source.randrange(40)))
                wire.close()

        siege.nobody(come_and_go, come_and_go)


def test_unread_answers():
    """Whoever does not read answers fills the bus, not the service."""
    with Siege("unread") as siege:

        def ask_and_sleep(_):
            wires = [siege.bus.wire() for _ in range(4)]
            for _ in range(scaled(5000)):
                for wire in wires:
                    send(wire, (INTROSPECTABLE, "Introspect", "", []))
            time.sleep(1)

        siege.nobody(ask_and_sleep)


BASIC = "ybnqiuxtdsogh"


def random_signature(source, depth=0):
    kind = source.random()
    if kind < 0.6 or depth > 4:
        return source.choice(BASIC)
    if kind < 0.75:
        return "a" + random_signature(source, depth + 1)
    if kind < 0.85:
        return "v"
    if kind < 0.93:
        return "(" + "".join(random_signature(source, depth + 1) for _ in range(source.randrange(1, 4))) + ")"
    return "a{" + source.choice("ystu") + random_signature(source, depth + 1) + "}"


def random_text(source):
    words = ["", "db", "PK", "all", "windows", "/", "/nix/store/system-1", "/../../etc/passwd", "%s%n", "\u202e", "\x01", "dry-run", "timeout"]
    return source.choice([source.choice(words), source.choice(words) * source.randrange(1, 2000)])


def random_value(source, kind, depth=0):
    """A value of that type; numbers like the edges of their ranges."""
    sizes = {"y": 8, "q": 16, "u": 32, "t": 64}
    if kind in sizes:
        return source.choice([0, 1, 2, (1 << sizes[kind]) - 1, source.getrandbits(sizes[kind])])
    if kind in "nix":
        bits = {"n": 15, "i": 31, "x": 63}[kind]
        return source.choice([0, -1, -(1 << bits), (1 << bits) - 1])
    if kind == "b":
        return source.randrange(2)
    if kind == "h":
        return source.randrange(2)
    if kind == "d":
        return source.choice([0.0, float("nan"), float("inf"), source.random()])
    if kind == "s":
        return random_text(source)
    if kind == "o":
        return source.choice(["/", OBJECT, "/x" * source.randrange(1, 100)])
    if kind == "g":
        return source.choice(["", "s", "a{sv}", "v" * 30])
    if kind == "v":
        inner = "v" if source.random() < 0.3 and depth < 40 else random_signature(source, depth)
        return inner, random_value(source, inner, depth + 1)
    if kind[0] == "(":
        return [random_value(source, part, depth + 1) for part in types(kind[1:-1])]
    count = source.choice([0, 1, 2, 5, 1000 if depth == 0 else 3])
    if kind[1] == "{":
        return [tuple(random_value(source, part, depth + 1) for part in types(kind[2:-1])) for _ in range(count)]
    return [random_value(source, kind[1:], depth + 1) for _ in range(count)]


def random_options(source):
    """Options that there are, with values of their types, or nearly."""
    kinds = {"dry-run": "b", "timeout": "t", "bits": "t", "microsoft": "s", "toplevel": "s", "restub": "b", "allow-unlisted": "b",
             "configuration": "h", "initrd-secrets": "a(sh)", "timestamp": "t", "check": "b", "export": "s", "output": "s"}  # fmt: skip
    options = []
    for name in source.sample(sorted(kinds), source.randrange(4)):
        kind = kinds[name] if source.random() < 0.8 else random_signature(source)
        options.append((name, (kind, random_value(source, kind))))
    return options + options[:1] * source.randrange(2)


def members(text):
    """(interface, member, signature) of all that introspection shows."""
    for interface in ElementTree.fromstring(text).findall("interface"):
        for method in interface.findall("method"):
            yield interface.get("name"), method.get("name"), "".join(a.get("type") for a in method.findall("arg") if a.get("direction") == "in")


def random_call(source, found):
    interface, member, signature = source.choice(found)
    if source.random() < 0.2:
        signature = "".join(random_signature(source) for _ in range(source.randrange(4)))
    if signature == "a{sv}" and source.random() < 0.8:
        return interface, member, signature, [random_options(source)]
    if signature in ("s", "ss", "ssv") and source.random() < 0.5:
        return interface, member, signature, [source.choice(found)[0], "Mode", ("b", 1)][: len(signature)]
    return interface, member, signature, [random_value(source, part) for part in types(signature)]


def fuzz(bus, source, seconds):
    """Calls of all members with random values; what the bus itself does not take costs the connection."""
    wire = bus.wire()
    found = list(members(wire.call(NAME, OBJECT, INTROSPECTABLE, "Introspect").values()[0]))
    deadline, count = time.monotonic() + seconds, 0
    fds = [os.memfd_create("random"), os.open("/dev/null", os.O_RDONLY)]
    while time.monotonic() < deadline:
        try:
            call = random_call(source, found)
            flags = source.choice([0, 0, NO_REPLY, ALLOW_INTERACTIVE])
            send(wire, call, flags, fds=source.choice([[], fds]))
            count += 1
            if count % 16 == 0:
                settle(wire)
                wire.kept.clear()
        except (OSError, AssertionError):
            wire.close()
            wire = bus.wire()
    assert count > 20 * seconds, count
    return count


def test_random_calls():
    for title, program in (("random", LANZAD), ("random, installed program", INSTALLED)):
        with Siege(title, program=program) as siege:
            siege.nobody(*[lambda source: fuzz(siege.bus, source, 60 if LONG else 4)] * 2)


def test_random_calls_of_root():
    """Root may change everything, and end nothing."""
    with Tree() as tree, PrivateBus(tree.root, tree.firmware(), "--idle-timeout=3600") as bus:
        source = random.Random(f"{SEED} root")
        try:
            fuzz(bus, source, 60 if LONG else 4)
            assert bus.service.poll() is None, "the service has ended"
            assert bus.call("Manager", "GetStatus", "a{sv}", "0")["generations"]
            assert bus.stop() == 0
        except BaseException:
            print(f"# LANZA_SEED={SEED}")
            raise


TESTS = {
    "ten-thousand-calls": test_many_calls,
    "ten-thousand-times-the-dearest-property": test_one_call,
    "open-operations-are-limited-and-go-with-their-caller": test_open_operations,
    "refusals-do-not-flood-the-journal": test_journal,
    "descriptors-that-are-no-sealed-memory": test_descriptors,
    "messages-as-large-as-they-can-be": test_large_messages,
    "calls-that-cannot-be-and-forged-answers": test_wrong_calls,
    "callers-leave-anywhere": test_disconnects,
    "answers-that-nobody-reads": test_unread_answers,
    "random-calls-of-nobody": test_random_calls,
    "random-calls-of-root-end-nothing": test_random_calls_of_root,
}

print(f"# LANZA_SEED={SEED}", flush=True)
run_tests("/bus/hostile", {title: test for title, test in TESTS.items() if not sys.argv[1:] or title in sys.argv[1:]})
