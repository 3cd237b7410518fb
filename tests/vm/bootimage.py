# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boot images and other EFI binaries as tests need them: made wrong on purpose, or to see that the daemon is not the only
one who can make a right one. PE/COFF specification, "Section Table (Section Headers)"; stubs/stub-abi.h.
"""
import os
import struct
import subprocess
import tempfile

CHARACTERISTICS = 0x40000040


def up(value, alignment):
    return (value + alignment - 1) // alignment * alignment


class Pe:
    """The headers of a PE32+ file: where things stand in it."""

    def __init__(self, data):
        self.data = data
        self.header, = struct.unpack_from("<I", data, 0x3C)
        self.section_count, self.optional_size = struct.unpack_from("<H12xH", data, self.header + 6)
        self.optional = self.header + 24
        self.table = self.optional + self.optional_size
        self.section_alignment, self.file_alignment = struct.unpack_from("<II", data, self.optional + 32)

    def sections(self):
        """name -> (offset, size) of each section's content in the file."""
        found = {}
        for number in range(self.section_count):
            name, size, _, raw_size, offset = struct.unpack_from("<8sIIII", self.data, self.table + 40 * number)
            found[name.rstrip(b"\0").decode()] = (offset, min(size, raw_size))
        return found

    def certificates(self):
        """(offset, size) of the certificate table."""
        return struct.unpack_from("<II", self.data, self.optional + 112 + 4 * 8)

    def not_covered(self):
        """Ranges of the file that the signature does not cover: checksum, certificate table's entry, certificates."""
        offset, size = self.certificates()
        return [(self.optional + 64, 4), (self.optional + 144, 8), (offset, size)]


def append_sections(stub, sections):
    """STUB with SECTIONS (name, content) behind its own."""
    pe = Pe(stub)
    output = bytearray(stub)
    last = struct.unpack_from("<II", stub, pe.table + 40 * (pe.section_count - 1) + 8)
    address = up(last[0] + last[1], pe.section_alignment)
    for number, (name, content) in enumerate(sections, pe.section_count):
        output += bytes(-len(output) % pe.file_alignment)
        struct.pack_into("<8sIIII12xI", output, pe.table + 40 * number, name.encode(), len(content), address,
                         up(len(content), pe.file_alignment), len(output), CHARACTERISTICS)
        output += content + bytes(-len(content) % pe.file_alignment)
        address = up(address + len(content), pe.section_alignment)
    struct.pack_into("<H", output, pe.header + 6, pe.section_count + len(sections))
    struct.pack_into("<I", output, pe.optional + 56, address)
    return bytes(output)


def sign(image, key, certificate):
    """IMAGE signed by sbsign with the files KEY and CERTIFICATE (PEM)."""
    with tempfile.TemporaryDirectory(prefix="lanza-sign-") as folder:
        path = os.path.join(folder, "image")
        with open(path, "wb") as file:
            file.write(image)
        subprocess.run(["sbsign", "--key", key, "--cert", certificate, "--output", path, path], check=True,
                       capture_output=True, timeout=60)
        with open(path, "rb") as file:
            return file.read()


def flip(data, offset, bit=0):
    """DATA with one bit changed."""
    changed = bytearray(data)
    changed[offset] ^= 1 << bit
    return bytes(changed)
