# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that exist only in memory, and the two archives that carry them into a machine.

An initrd is a cpio archive (the kernel's "newc" form, Documentation/driver-api/early-userspace/buffer-format.rst), what
is laid over the root disk a tar. Both are written here so that owners, modes and times are exact whoever runs the tests.
"""
import io
import stat
import tarfile

# The time of every file in a Nix store.
STORE_TIME = 1


class Entry:
    """One file: CONTENT is bytes for a regular file, str for a symbolic link, None for a folder."""

    def __init__(self, content, mode=0o644, mtime=STORE_TIME):
        self.content = content
        self.mode = mode
        self.mtime = mtime


def folders_of(paths):
    """The parents of PATHS (absolute), each before what it holds."""
    found = set()
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return sorted(found)


def tar(entries):
    """A tar of ENTRIES (absolute path -> Entry), all root's."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in folders_of(entries):
            if path not in entries:
                add_to_tar(archive, path, Entry(None, 0o755))
        for path in sorted(entries):
            add_to_tar(archive, path, entries[path])
    return output.getvalue()


def add_to_tar(archive, path, entry):
    info = tarfile.TarInfo(path.lstrip("/"))
    info.mode = entry.mode
    info.mtime = entry.mtime
    if entry.content is None:
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
    elif isinstance(entry.content, str):
        info.type = tarfile.SYMTYPE
        info.linkname = entry.content
        archive.addfile(info)
    else:
        info.size = len(entry.content)
        archive.addfile(info, io.BytesIO(entry.content))


def cpio(entries):
    """A newc cpio archive of ENTRIES, padded to 4 bytes, so that another may follow it."""
    members = {path: Entry(None, 0o755) for path in folders_of(entries)}
    members.update(entries)
    output = bytearray()
    for number, path in enumerate(sorted(members), 1):
        output += cpio_member(number, path.lstrip("/"), members[path])
    return bytes(output + cpio_member(0, "TRAILER!!!", Entry(b"", 0)))


def cpio_member(number, name, entry):
    if entry.content is None:
        kind, data = stat.S_IFDIR, b""
    elif isinstance(entry.content, str):
        kind, data = stat.S_IFLNK, entry.content.encode()
    else:
        kind, data = stat.S_IFREG, entry.content
    encoded = name.encode() + b"\0"
    fields = [number, (kind | entry.mode) if number else 0, 0, 0, 1, entry.mtime, len(data), 0, 0, 0, 0, len(encoded), 0]
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
    return header + bytes(-len(header) % 4) + data + bytes(-len(data) % 4)
