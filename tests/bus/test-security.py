#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Host security attributes on the bus: fwupd's form, judged by fwupd's own library."""
import json
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from private_bus import NAME, OBJECT, SOURCE, PrivateBus, plain
from program_tests import LANZAD, Tree, run_tests
from wire import INTERFACE, MEMBER, REPLY_SERIAL, SIGNATURE

OURS, FWUPD = f"{NAME}.Security", "org.freedesktop.fwupd"
TYPES = {
    "AppstreamId": "s", "Created": "t", "Name": "s", "Summary": "s", "Description": "s", "Plugin": "s", "Uri": "s", "Flags": "t",
    "HsiLevel": "u", "HsiResult": "u", "HsiResultSuccess": "u", "Metadata": "a{ss}",
}  # fmt: skip
ALWAYS = {"AppstreamId", "Created", "Name", "Summary", "Description", "Plugin", "HsiResultSuccess"}
MISSING_DATA, ENROLL = 4, ("Firmware", "Enroll", "a{sv}", "1", "yes-this-might-brick-my-machine", "b", "true")


def attributes(bus, interface, nobody=False):
    """What busctl gets, with types."""
    done = bus.busctl("call", NAME, OBJECT, interface, "GetHostSecurityAttrs", nobody=nobody)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["type"] == "aa{sv}", answer
    return answer["data"][0]


def host_id(bus, interface, nobody=False):
    done = bus.busctl("get-property", NAME, OBJECT, interface, "HostSecurityId", nobody=nobody)
    assert done.returncode == 0, done.stderr
    return plain(json.loads(done.stdout))


def timeless(items):
    return [{key: value for key, value in item.items() if key != "Created"} for item in items]


def result(bus, name):
    return {item["AppstreamId"]: item for item in plain(attributes(bus, OURS))}[name].get("HsiResult")


class Firmware:
    """A tree, and a file that stands for its firmware."""

    def __enter__(self):
        self.tree = Tree()
        self.option = f"--variables={self.tree.top}/variables"
        return self

    def __exit__(self, *ignored):
        self.tree.__exit__()


def test_types():
    with Firmware() as machine, PrivateBus(machine.tree.root, machine.option) as bus:
        items = attributes(bus, OURS)
        assert len(items) == 11, items
        text = (SOURCE / "dbus/org.lanzaboote.Lanza1.Security.xml").read_text()
        named = TYPES.keys() | {item["AppstreamId"]["data"] for item in items}
        assert not [name for name in named if f"{name} " not in text], named
        for item in items:
            assert ALWAYS <= set(item), item
            for key, value in item.items():
                assert value["type"] == TYPES[key], (key, value)
                assert value["data"] not in (0, "", {}), (key, value)
            assert ("HsiResult" in item) != bool(item.get("Flags", {"data": 0})["data"] & MISSING_DATA), item
            assert ("Uri" in item) == item["AppstreamId"]["data"].startswith("org.fwupd."), item


def test_same_everywhere():
    """Both interfaces, --oneshot and JSON say the same, also to nobody."""
    with Firmware() as machine, PrivateBus(machine.tree.root, machine.option) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        command = [str(LANZAD), "--oneshot", "security", machine.tree.option(), machine.option]
        oneshot = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        for interface in (OURS, FWUPD):
            assert timeless(plain(attributes(bus, interface))) == timeless(oneshot["attributes"])
            assert timeless(plain(attributes(bus, interface, nobody=True))) == timeless(oneshot["attributes"])
            assert host_id(bus, interface) == host_id(bus, interface, nobody=True) == oneshot["host-security-id"] == "HSI:0!"


def read_by_fwupd(bus):
    """In a process of its own: its library is no part of this test. It notes that our own names are not fwupd's, and reads them."""
    script = f"""
import gi, json, sys
gi.require_version("Fwupd", "2.0")
from gi.repository import Fwupd, Gio
flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
bus = Gio.DBusConnection.new_for_address_sync({bus.environment["DBUS_SYSTEM_BUS_ADDRESS"]!r}, flags, None, None)
proxy = Gio.DBusProxy.new_sync(bus, Gio.DBusProxyFlags.NONE, None, {NAME!r}, {OBJECT!r}, {FWUPD!r}, None)
answer = proxy.call_sync("GetHostSecurityAttrs", None, Gio.DBusCallFlags.NONE, -1, None)
found = []
for a in Fwupd.SecurityAttr.array_from_variant(answer, Fwupd.SecurityAttr):
    whole = {{"AppstreamId": a.get_appstream_id(), "Created": a.get_created(), "Name": a.get_name(), "Summary": a.get_title(),
        "Description": a.get_description(), "Plugin": a.get_plugin(), "Uri": a.get_url(), "Flags": int(a.get_flags()),
        "HsiLevel": int(a.get_level()), "HsiResult": int(a.get_result()), "HsiResultSuccess": int(a.get_result_success()),
        "Metadata": {{key: a.get_metadata(key) for key in ("message", "hint", "guid", "name", "mode")}}}}
    whole["Metadata"] = {{key: value for key, value in whole["Metadata"].items() if value}}
    found.append({{key: value for key, value in whole.items() if value}})
success, issue = Fwupd.SecurityAttrFlags.SUCCESS, Fwupd.SecurityAttrFlags.RUNTIME_ISSUE
names = [Fwupd.SecurityAttr.flag_to_string(Fwupd.SecurityAttrFlags(1 << bit)) for bit in range(16)]
words = [Fwupd.SecurityAttr.result_to_string(Fwupd.SecurityAttrResult(number)) for number in range(15)]
json.dump([found, proxy.get_cached_property("HostSecurityId").unpack(), int(success), int(issue), names, words], sys.stdout)
"""
    done = subprocess.run(["/usr/bin/python3", "-c", script], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    notes = [line for line in done.stderr.decode().splitlines() if line and "need to have a 'org.fwupd.hsi.' prefix" not in line]
    assert not notes, notes
    return json.loads(done.stdout)


def host_id_by_fwupd(items, success, issue):
    """As fwupd works it out of attributes."""
    number = 0
    for level in range(1, 6):
        here = [item for item in items if item.get("HsiLevel") == level]
        if [item for item in here if not item.get("Flags", 0) & success]:
            break
        number = level if here else number
    bad = [item for item in items if item.get("Flags", 0) & issue and not item["Flags"] & success]
    return f"HSI:{number}{'!' if bad else ''}"


def test_fwupd():
    with Firmware() as machine, PrivateBus(machine.tree.root, machine.option) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        bus.call("Esp", "Sync", "a{sv}", "0")
        for step in ("setup mode", "enrolled"):
            if step == "enrolled":
                bus.call(*ENROLL)
            items, cached, success, issue, names, words = read_by_fwupd(bus)
            assert timeless(items) == timeless(plain(attributes(bus, OURS))), (step, items)
            assert cached == host_id_by_fwupd(items, success, issue) == host_id(bus, OURS), (step, cached)
        assert names[0] == "success" and names[2] == "missing-data" and names[10] == "runtime-issue", names
        assert names[11:14] == ["action-contact-oem", "action-config-fw", "action-config-os"], names
        wanted = {1: "enabled", 2: "not-enabled", 3: "valid", 4: "not-valid", 5: "locked", 6: "not-locked", 11: "found", 12: "not-found"}
        assert {number: words[number] for number in wanted} == wanted and words[14] == "not-supported", words


def test_changes():
    """What the service changes is announced, and seen at once."""
    with Firmware() as machine, PrivateBus(machine.tree.root, machine.option) as bus:
        watcher = bus.wire()
        watcher.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "AddMatch", "s", ["member='PropertiesChanged'"])
        assert host_id(bus, OURS) == "HSI:0!"
        bus.call("Keys", "Create", "a{sv}", "0")
        announced = set()
        while announced != {OURS, FWUPD}:
            message = watcher.wait(lambda message: message.fields.get(MEMBER) == "PropertiesChanged")
            interface, changed, invalid = message.values()
            if interface in (OURS, FWUPD):
                assert changed == {} and invalid == ["HostSecurityId"], message.values()
                announced.add(interface)
        assert message.fields[INTERFACE] == "org.freedesktop.DBus.Properties"
        assert result(bus, "org.lanzaboote.hsi.PrivateKeys") == 5
        bus.call("Esp", "Sync", "a{sv}", "0")
        assert host_id(bus, OURS) == "HSI:0!" and result(bus, "org.lanzaboote.hsi.BootFilesVerified") == 2
        bus.call(*ENROLL)
        assert host_id(bus, OURS) == "HSI:1!" and result(bus, "org.lanzaboote.hsi.BootFilesVerified") == 3


def test_arguments():
    with Firmware() as machine, PrivateBus(machine.tree.root, machine.option) as bus:
        wire = bus.wire()
        for interface in (OURS, FWUPD):
            reply = wire.call(NAME, OBJECT, interface, "GetHostSecurityAttrs", "s", ["x"])
            assert reply.fields[4] == "org.freedesktop.DBus.Error.InvalidArgs", reply.fields
        reply = wire.call(NAME, OBJECT, FWUPD, "GetDevices")
        assert reply.fields[4] == "org.freedesktop.DBus.Error.UnknownMethod", reply.fields
        assert bus.get("Manager", "Version")


def test_slow_look():
    """Whoever asks for the id makes nobody wait, though all that boots is read for it."""
    with Firmware() as machine, PrivateBus(machine.tree.root, machine.option) as bus:
        bus.call("Keys", "Create", "a{sv}", "0")
        bus.call("Esp", "Sync", "a{sv}", "0")
        bus.call(*ENROLL)
        with open(machine.tree.root / "boot/EFI/Linux/large.efi", "wb") as file:
            file.truncate(128 << 20)
        wire = bus.wire()
        properties = "org.freedesktop.DBus.Properties"
        get = lambda interface, name: wire.send_call(NAME, OBJECT, properties, "Get", "ss", [interface, name])
        slow = {
            get(OURS, "HostSecurityId"): "v", get(FWUPD, "HostSecurityId"): "v",
            wire.send_call(NAME, OBJECT, properties, "GetAll", "s", [OURS]): "a{sv}",
        }  # fmt: skip
        quick = {
            wire.send_call(NAME, OBJECT, properties, "GetAll", "s", [""]): "a{sv}", get(f"{NAME}.Manager", "Version"): "v",
        }  # fmt: skip
        order = []
        while len(order) < 5:
            message = wire.wait(lambda message: message.fields.get(REPLY_SERIAL) in {**slow, **quick})
            serial = message.fields[REPLY_SERIAL]
            assert message.fields.get(SIGNATURE) == {**slow, **quick}[serial], message.fields
            order.append(serial)
            if serial in slow:
                assert str(message.values()).count("HSI:1") == 1, message.values()
        assert set(order[:2]) == set(quick), (order, slow, quick)


TESTS = {
    "keys-have-fwupds-types-and-absent-ones-are-absent": test_types,
    "both-interfaces-and-oneshot-say-the-same": test_same_everywhere,
    "fwupds-library-reads-them-and-works-out-the-same-id": test_fwupd,
    "the-id-is-looked-for-without-the-loop": test_slow_look,
    "changes-are-announced-and-seen": test_changes,
    "nothing-else-of-fwupd-is-there": test_arguments,
}

run_tests("/bus/security", TESTS)
