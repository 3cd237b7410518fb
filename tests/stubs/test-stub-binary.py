#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The built stub as a PE file: what firmware, shim and the daemon rely on, and that its bytes depend on nothing but its source.

Debian's own python3, which Debian's python3-pefile belongs to.
"""
import os
import re
import shutil
import subprocess
import tempfile

import pefile

SOURCE = os.environ.get("LANZA_SOURCE", os.getcwd())
STUB = os.path.join(os.environ.get("LANZA_BUILD", os.path.join(SOURCE, "build")), "stubs/lanzastubx64.efi")

READ, WRITE, EXECUTE = 0x40000000, 0x80000000, 0x20000000
NX_COMPAT, DLL = 0x100, 0x2000
SECTION_HEADER = 40


def load():
    with open(STUB, "rb") as file:
        content = file.read()
    return content, pefile.PE(data=content)


def name(section):
    return section.Name.rstrip(b"\0").decode()


def content_of(section):
    return section.get_data()[: section.Misc_VirtualSize]


def constant(text):
    with open(os.path.join(SOURCE, "stubs/stub-abi.h"), encoding="utf-8") as file:
        return int(re.search(rf"#define {text} (\d+)", file.read()).group(1))


def version():
    with open(os.path.join(SOURCE, "Makefile"), encoding="utf-8") as file:
        return re.search(r"^VERSION := (.*)$", file.read(), re.MULTILINE).group(1)


def test_small():
    content, _ = load()
    assert len(content) <= 64 * 1024, len(content)


def test_application():
    _, pe = load()
    assert pe.FILE_HEADER.Machine == 0x8664
    assert pe.OPTIONAL_HEADER.Magic == 0x20B
    assert pe.OPTIONAL_HEADER.Subsystem == 10  # EFI application
    assert not pe.FILE_HEADER.Characteristics & DLL


def test_no_write_and_execute():
    _, pe = load()
    assert pe.OPTIONAL_HEADER.DllCharacteristics & NX_COMPAT
    code = [section for section in pe.sections if section.Characteristics & EXECUTE]
    assert [name(section) for section in code] == [".text"]
    for section in pe.sections:
        rights = section.Characteristics & (READ | WRITE | EXECUTE)
        assert rights in (READ, READ | WRITE, READ | EXECUTE), (name(section), hex(rights))
    assert code[0].contains_rva(pe.OPTIONAL_HEADER.AddressOfEntryPoint)


def test_pages():
    _, pe = load()
    assert pe.OPTIONAL_HEADER.SectionAlignment == 4096
    end = pe.OPTIONAL_HEADER.SizeOfHeaders
    for section in pe.sections:
        assert section.VirtualAddress % 4096 == 0 and section.VirtualAddress >= end, name(section)
        assert section.PointerToRawData % pe.OPTIONAL_HEADER.FileAlignment == 0, name(section)
        end = section.VirtualAddress + section.Misc_VirtualSize


def test_relocations():
    _, pe = load()
    assert ".reloc" in [name(section) for section in pe.sections]
    assert pe.OPTIONAL_HEADER.DATA_DIRECTORY[5].Size > 0
    assert not pe.FILE_HEADER.Characteristics & 1  # relocations stripped


def test_sbat():
    _, pe = load()
    (sbat,) = [section for section in pe.sections if name(section) == ".sbat"]
    lines = content_of(sbat).rstrip(b"\0").decode("ascii").splitlines()
    rows = [line.split(",") for line in lines]
    assert all(len(row) == 6 and all(row) for row in rows), rows
    assert rows[0] == ["sbat", "1", "SBAT Version", "sbat", "1", "https://github.com/rhboot/shim/blob/main/SBAT.md"]
    assert rows[1][:5] == ["lanzastub", "1", "lanzad", "lanzastub", version()], rows[1]
    assert len(rows) == 2


def test_room_for_sections():
    content, pe = load()
    table = pe.sections[0].get_file_offset()
    end = table + SECTION_HEADER * len(pe.sections)
    free = constant("LANZA_STUB_FREE_SECTION_HEADERS")
    headers = pe.OPTIONAL_HEADER.SizeOfHeaders
    assert end + free * SECTION_HEADER <= headers, (end, headers)
    assert headers <= min(section.PointerToRawData for section in pe.sections if section.SizeOfRawData > 0)
    assert not any(content[end:headers])


def test_no_leftovers():
    content, pe = load()
    assert pe.FILE_HEADER.PointerToSymbolTable == 0
    assert pe.OPTIONAL_HEADER.DATA_DIRECTORY[4].Size == 0  # certificates
    assert len(content) == max(section.PointerToRawData + section.SizeOfRawData for section in pe.sections)
    for word in (SOURCE.encode(), b"stubs/", b".pdb"):
        assert word not in content, word
    # A name of two letters at least: offsets in code may look like the end of one.
    assert not re.search(rb"[A-Za-z0-9_-]{2,}\.[ch]\0", content)


def build_at(folder):
    """The stub's bytes from a copy of the sources at another path, by make, as a person would."""
    files = subprocess.run(["git", "-C", SOURCE, "ls-files", "-z", "Makefile", "*build.mk", "stubs"], check=True,
                           capture_output=True).stdout.decode().split("\0")
    for path in filter(None, files):
        os.makedirs(os.path.join(folder, os.path.dirname(path)), exist_ok=True)
        shutil.copyfile(os.path.join(SOURCE, path), os.path.join(folder, path))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    subprocess.run(["make", "-s", "-C", folder, "stubs"], check=True, env=environment, stdout=subprocess.DEVNULL)
    with open(os.path.join(folder, "build/stubs/lanzastubx64.efi"), "rb") as file:
        return file.read()


def test_reproducible():
    content, _ = load()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        first = build_at(one)
        second = build_at(os.path.join(two, "a", "much", "longer", "path"))
    assert first == second
    assert first == content


TESTS = [
    ("takes at most 64 KiB", test_small),
    ("is an EFI application for x64", test_application),
    ("is NX-compatible and has no memory that can be written and executed", test_no_write_and_execute),
    ("has its sections on pages of their own, in order", test_pages),
    ("can be loaded anywhere", test_relocations),
    ("carries an SBAT with our line and version", test_sbat),
    ("has the room for section headers that the daemon relies on", test_room_for_sections),
    ("has no symbols, certificates, trailing bytes or source names", test_no_leftovers),
    ("is the same, byte for byte, built in two folders", test_reproducible),
]


def main():
    print(f"1..{len(TESTS)}")
    for number, (title, test) in enumerate(TESTS, 1):
        try:
            test()
            print(f"ok {number} the stub {title}")
        except Exception as error:  # whatever goes wrong is this test's failure, and the others still run
            print(f"not ok {number} the stub {title}\n# {type(error).__name__}: {error}")


main()
