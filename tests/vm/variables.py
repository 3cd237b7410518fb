# SPDX-License-Identifier: LGPL-2.1-or-later
"""Firmware variables of a machine that is off, read and written on the host by virt-firmware's tools."""
import json
import struct
import tempfile

GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
IMAGE_SECURITY = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

# Non-volatile, for boot services and at run time.
ATTRIBUTES = 7

# Numbers for boot options of a test, away from those that firmware makes up itself.
FIRST_OPTION = 0x100


def read_all(machine):
    """(name, guid) -> data of every variable in MACHINE's store."""
    path = machine.path("variables.json")
    machine.images.tool("virt-fw-vars", "--input", machine.variables, "--output-json", path)
    with open(path, encoding="utf-8") as file:
        found = json.load(file)["variables"]
    return {(variable["name"], variable["guid"]): bytes.fromhex(variable["data"]) for variable in found}


def write(machine, variables):
    """Sets VARIABLES, (name, guid) -> data."""
    document = {"version": 2, "variables": [
        {"name": name, "guid": guid, "attr": ATTRIBUTES, "data": data.hex()}
        for (name, guid), data in variables.items()]}
    with tempfile.NamedTemporaryFile("w", dir=machine.folder, suffix=".json", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        machine.images.tool("virt-fw-vars", "--inplace", machine.variables, "--set-json", file.name)


def one_shot(entry):
    """What makes systemd-boot choose ENTRY for one boot."""
    return {("LoaderEntryOneShot", LOADER): (entry + "\0").encode("utf-16-le")}


def boot_options(options):
    """Boot#### and BootOrder for OPTIONS, a list of (description, path on the ESP, passed data), tried in that order.

    UEFI specification, "Load Options". The device path is the short form that names the file alone.
    """
    variables = {}
    numbers = []
    for number, (description, path, data) in enumerate(options, FIRST_OPTION):
        name = path.encode("utf-16-le") + b"\0\0"
        device_path = struct.pack("<BBH", 4, 4, 4 + len(name)) + name + struct.pack("<BBH", 0x7F, 0xFF, 4)
        option = struct.pack("<IH", 1, len(device_path)) + description.encode("utf-16-le") + b"\0\0" + device_path + data
        variables[(f"Boot{number:04X}", GLOBAL)] = option
        numbers.append(number)
    variables[("BootOrder", GLOBAL)] = b"".join(struct.pack("<H", number) for number in numbers)
    return variables
