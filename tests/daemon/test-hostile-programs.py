#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two programs that images are made of, stub and boot loader, as a broken package leaves them, and a generation's own stub.

There is a generation to be written, and yet nothing is: not the kernel that would come first, either. A generation whose own
stub is bad is skipped if it is not the default."""
import json
import struct
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from hostile import INSTALLED, LONG, MIB, fifo, folder, link_to, run_table, sparse

HINT = "Install the package that the file belongs to again."
PROGRAMS = {"stub": "usr/lib/lanzad/lanzastubx64.efi", "boot-loader": "usr/lib/systemd/boot/efi/systemd-bootx64.efi"}
SECTION_HEADER = 40


class Image:
    """A PE image that can be damaged; the PE specification's names."""

    def __init__(self, content):
        self.bytes = bytearray(content)
        (self.pe,) = struct.unpack_from("<I", content, 0x3C)
        (self.n_sections,) = struct.unpack_from("<H", content, self.pe + 6)
        (optional_size,) = struct.unpack_from("<H", content, self.pe + 20)
        self.table = self.pe + 24 + optional_size
        (self.headers_size,) = struct.unpack_from("<I", content, self.pe + 24 + 60)

    def put(self, form, offset, value):
        struct.pack_into(form, self.bytes, offset, value)
        return bytes(self.bytes)

    def fill_headers(self):
        """As many sections as the headers have room for, all empty."""
        last = bytes(self.bytes[self.table : self.table + SECTION_HEADER])
        count = min((self.headers_size - self.table) // SECTION_HEADER, 96)
        for i in range(self.n_sections, count):
            header = bytearray(last)
            header[0:8] = b"full%04d" % i
            struct.pack_into("<4I", header, 8, 0, 0, 0, 0)
            self.bytes[self.table + i * SECTION_HEADER : self.table + (i + 1) * SECTION_HEADER] = header
        return self.put("<H", self.pe + 6, count)

    def fill_room(self):
        """Something else stands where section headers would go."""
        end = self.table + self.n_sections * SECTION_HEADER
        self.bytes[end : self.headers_size] = b"x" * (self.headers_size - end)
        return bytes(self.bytes)

    def certificates(self, offset, size):
        struct.pack_into("<2I", self.bytes, self.pe + 24 + 112 + 4 * 8, offset, size)
        return bytes(self.bytes)


def changed(change):
    """What CHANGE makes of the image that was there."""
    return lambda old: change(Image(old))


NO_IMAGE = ["is no PE image, or a damaged one"]
OTHER_MACHINE = ["is for another machine (0xaa64, not x86-64)"]
NO_ROOM = ["cannot take the sections of an image: "]
NOT_SIGNED = ["cannot be signed: it is damaged"]

# Title, what it makes of the good bytes, and what is said.
DAMAGES = [
    ("absent", lambda old: None, ["cannot be read: No such file"]),
    ("empty", lambda old: b"", NO_IMAGE),
    ("a text", lambda old: b"#!/bin/sh\n", NO_IMAGE),
    ("an ELF program", lambda old: Path("/bin/true").read_bytes(), NO_IMAGE),
    ("zeros", lambda old: bytes(len(old)), NO_IMAGE),
    ("DOS header only", lambda old: old[:64], NO_IMAGE),
    ("cut in the headers", lambda old: old[:300], NO_IMAGE),
    ("cut behind the headers", lambda old: old[:0x800], NO_IMAGE),
    ("cut in the last section", lambda old: old[:-600], NO_IMAGE),
    ("PE header beyond the end", lambda old: Image(old).put("<I", 0x3C, 0x7FFFFFF0), NO_IMAGE),
    ("PE header at the end of 32 bits", lambda old: Image(old).put("<I", 0x3C, 0xFFFFFFFF), NO_IMAGE),
    ("for aarch64", changed(lambda image: image.put("<H", image.pe + 4, 0xAA64)), OTHER_MACHINE),
    ("32 bits", changed(lambda image: image.put("<H", image.pe + 24, 0x10B)), NO_IMAGE),
    ("65535 sections", changed(lambda image: image.put("<H", image.pe + 6, 0xFFFF)), NO_IMAGE),
    ("an optional header of 64 KiB", changed(lambda image: image.put("<H", image.pe + 20, 0xFFFF)), NO_IMAGE),
    ("a section beyond the end", changed(lambda image: image.put("<I", image.table + 20, 0x7FFFF000)), NO_IMAGE),
    ("a section of 4 GiB", changed(lambda image: image.put("<I", image.table + 16, 0xFFFFFFF0)), NO_IMAGE),
    ("headers of 4 GiB", changed(lambda image: image.put("<I", image.pe + 24 + 60, 0xFFFFFFFF)), NO_IMAGE),
    ("certificates beyond the end", changed(lambda image: image.certificates(0x7FFFFFF8, 64)), NO_IMAGE),
    ("16 MiB and a byte", lambda old: old + bytes(16 * MIB + 1 - len(old)), ["cannot be read: File too large"]),
    ("10 GB", lambda old: sparse(10 << 30), ["cannot be read: File too large"]),
    ("a folder", lambda old: folder, ["cannot be read: Is a directory"]),
    ("a FIFO", lambda old: fifo, ["cannot be read: It is no regular file"]),
    ("a dangling link", lambda old: link_to("/nix/store/gone"), ["cannot be read: No such file"]),
    ("a looping link", lambda old: link_to(Path(PROGRAMS["stub"]).name), ["cannot be read:"]),
]
FULL = [
    ("full headers", changed(Image.fill_headers), [*NO_ROOM, "no room for more"]),
    ("something where sections would go", changed(Image.fill_room), [*NO_ROOM, "no room for more"]),
    ("no alignment", changed(lambda image: image.put("<I", image.pe + 24 + 36, 0)), NO_ROOM),
    ("bytes behind the last section", lambda old: old + b"trailing bytes" * 100, NO_ROOM),
    ("a section that images have", changed(lambda image: image.put("8s", image.table + 8 * 5 * 3, b".cmdline")), [*NO_ROOM, "has one of them already"]),
]
# What a boot loader is asked besides; it need not take sections.
UNSIGNABLE = [
    ("certificates in front", changed(lambda image: image.certificates(0, 4096)), NOT_SIGNED),
    ("bytes behind the certificates", changed(lambda image: image.certificates(len(image.bytes) - 4096, 2048)), NOT_SIGNED),
    ("sections that share bytes", changed(lambda image: image.put("<I", image.table + 40 + 20, image.headers_size)), NOT_SIGNED),
    ("no certificate directory", changed(lambda image: image.put("<I", image.pe + 24 + 108, 4)), NO_IMAGE),
    ("another boot loader", lambda old: old.replace(b"systemd-boot", b"other-loader"), ["is no systemd-boot"]),
]


def damaged(system, path, damage):
    content = damage((system.root / path).read_bytes())
    if content is None:
        system.remove(path)
    else:
        system.put(path, content)


def program(name, damage, words):
    def row(system):
        system.add_generation(3)
        damaged(system, PROGRAMS[name], damage)
        for verb in ("sync", "gc"):
            system.refuses(verb, "BadImage", str(system.root / PROGRAMS[name]), *words, hint=HINT)
        problems = [item["message"] for item in system.expect("status")["problems"]]
        assert any(all(word in problem for word in words) for problem in problems), problems
        system.expect("list")

    return row


def own_stub(number, damage, words):
    """The generation's own one, in the store."""

    def row(system):
        store = "nix/store/stub/lanzastubx64.efi"
        system.put(store, (system.root / PROGRAMS["stub"]).read_bytes())
        path = system.root / f"nix/store/system-{number}/boot.json"
        document = json.loads(path.read_text())
        path.write_text(json.dumps({**document, "org.lanzaboote.lanzad": {"stub": f"/{store}"}}))
        damaged(system, store, damage)
        if number == 2:
            system.refuses("sync", "BadImage", f"/{store}", *words, hint=HINT)
        else:
            system.warns("sync", "generation 1 is left out", f"/{store}", *words)

    return row


def lean(system):
    """What is refused for its size is not read."""
    system.put(PROGRAMS["stub"], sparse(10 << 30))
    system.refuses("sync", "BadImage", "too large", hint=HINT, program=INSTALLED)
    assert system.peak < 24, system.peak


def rows():
    for index, (title, damage, words) in enumerate([*DAMAGES, *FULL]):
        title = title.replace(" ", "-")
        yield f"stub/{title}", program("stub", damage, words)
        if LONG or index % 2 == 0:
            yield f"stub-of-the-default-generation/{title}", own_stub(2, damage, words)
        if LONG or index % 2 == 1:
            yield f"stub-of-another-generation/{title}", own_stub(1, damage, words)
    for title, damage, words in [*DAMAGES, *UNSIGNABLE]:
        yield f"boot-loader/{title.replace(' ', '-')}", program("boot-loader", damage, words)
    yield "peak-memory-does-not-follow-the-size", lean


run_table("/daemon/hostile/programs", rows())
