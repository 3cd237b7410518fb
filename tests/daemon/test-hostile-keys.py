#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Key stores as others left them: wrong modes and owners, halves, pairs that are none, keys that firmware cannot check, folders
and pipes in the place of keys. Who would use the key refuses, BadKeys, with the file and what mends it."""
import os
import shutil
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from hostile import INSTALLED, MIB, PKI, fifo, folder, link_to, run_table, sparse

STORE = "var/lib/lanzad"
RESTORE = "Restore the key store from a backup"
LOST = "Restore the file from a backup. If there is none: mv "
OTHER = 12345


def pki(name):
    return (PKI / name).read_bytes()


def mode(bits):
    return lambda path: path.chmod(bits)


def owner(path):
    os.chown(path, OTHER, OTHER)


def replaced(make):
    """In its place MAKE, with the modes that are right."""

    def damage(path):
        bits = path.stat().st_mode & 0o777
        if path.is_dir():
            for file in path.iterdir():
                file.unlink()
            path.rmdir()
        else:
            path.unlink()
        if make is None:
            return
        if callable(make):
            make(path)
        else:
            path.write_bytes(make)
        if not path.is_symlink():
            path.chmod(bits)

    return damage


def replaced_tree(make):
    def damage(path):
        shutil.rmtree(path)
        if callable(make):
            make(path)
        else:
            path.write_bytes(make)

    return damage


def pair(name):
    """Both halves are NAME's."""

    def damage(path):
        for end in ("key", "pem"):
            path.with_suffix(f".{end}").write_bytes(pki(f"{name}.{end}"))

    return damage


def padded(size):
    return pki("db.pem") + b"\n" * (size - len(pki("db.pem")))


NO_KEY = ["holds no private key in PEM form"]
UNREADABLE = ["holds a private key that cannot be read: it is damaged"]
BAD_SIGNATURES = ["is damaged: no signature that it makes is good"]
NO_CERTIFICATE = ["holds no certificate in PEM form, or more than one"]
DOES_NOT_BELONG = ["does not belong to the certificate"]
ENCRYPTED = ["is encrypted; lanzad asks nobody for a passphrase"]
NOT_CHECKED = ["is not an RSA key of 2048 to 4096 bits, which is what firmware can check"]

# What status, which reads certificates, does not see.
KEY_ONLY = [NO_KEY, UNREADABLE, BAD_SIGNATURES, DOES_NOT_BELONG, ENCRYPTED, NOT_CHECKED]

# Title, which file of the role, how it is damaged, what the message says, and the hint.
DAMAGES = [
    *[(f"key of mode {bits:04o}", "key", mode(bits), [f"its mode is {bits:04o}", "Others may"], "chmod 0600 ")
      for bits in (0o640, 0o604, 0o644, 0o660, 0o602, 0o777)],
    *[(f"certificate of mode {bits:04o}", "pem", mode(bits), ["Others may write to", f"{bits:04o}"], "chmod 0644 ") for bits in (0o664, 0o646)],
    *[(f"folder of mode {bits:04o}", "", mode(bits), ["Others may write to", f"{bits:04o}"], "chmod 0700 ") for bits in (0o770, 0o707)],
    ("key of another user", "key", owner, [f"belongs to the user with the number {OTHER}"], "chown 0:0 "),
    ("certificate of another user", "pem", owner, [f"belongs to the user with the number {OTHER}"], "chown 0:0 "),
    ("folder of another user", "", owner, [f"belongs to the user with the number {OTHER}"], "chown 0:0 "),
    ("half a pair, key missing", "key", replaced(None), ["The key of ", "is missing"], "move the other half away"),
    ("half a pair, certificate missing", "pem", replaced(None), ["The certificate of ", "is missing"], "move the other half away"),
    ("mismatched pair", "key", replaced(pki("foreign-db.key")), DOES_NOT_BELONG, RESTORE),
    ("too short", "key", pair("db-1024"), NOT_CHECKED, RESTORE),
    ("elliptic curve", "key", pair("db-ec"), NOT_CHECKED, RESTORE),
    ("encrypted", "key", pair("db-encrypted"), ENCRYPTED, "openssl pkey -in "),
    ("encrypted, traditional", "key", replaced(pki("db-encrypted-traditional.key")), ENCRYPTED, "openssl pkey -in "),
    ("key empty", "key", replaced(b""), NO_KEY, LOST),
    ("key without its end", "key", replaced(pki("db.key")[:-40]), UNREADABLE, LOST),
    ("key with a damaged private half", "key", replaced(pki("db-damaged.key")), BAD_SIGNATURES, LOST),
    ("key of zeros", "key", replaced(bytes(1700)), NO_KEY, LOST),
    ("key that is a certificate", "key", replaced(pki("db.pem")), NO_KEY, LOST),
    ("key in DER", "key", replaced(b"\x30\x82\x04\xbe" + bytes(1214)), NO_KEY, LOST),
    ("certificate empty", "pem", replaced(b""), NO_CERTIFICATE, RESTORE),
    ("certificate in DER", "pem", replaced(pki("db.der")), NO_CERTIFICATE, RESTORE),
    ("certificate without its end", "pem", replaced(pki("db.pem")[:-40]), NO_CERTIFICATE, RESTORE),
    ("certificate that is a key", "pem", replaced(pki("db.key")), NO_CERTIFICATE, RESTORE),
    ("two certificates", "pem", replaced(pki("db.pem") + pki("foreign-db.pem")), NO_CERTIFICATE, RESTORE),
    ("certificate of 10 MB", "pem", replaced(padded(10 * MIB)), ["is larger than any certificate"], RESTORE),
    ("key of 10 MB", "key", replaced(b"\n" * 10 * MIB), ["is larger than any key"], RESTORE),
    ("certificate of 10 GB", "pem", replaced(sparse(10 << 30)), ["is larger than any certificate"], RESTORE),
    ("folder as a key", "key", replaced(folder), ["is no regular file"], RESTORE),
    ("folder as a certificate", "pem", replaced(folder), ["is no regular file"], RESTORE),
    ("FIFO as a key", "key", replaced(fifo), ["is no regular file"], RESTORE),
    ("FIFO as a certificate", "pem", replaced(fifo), ["is no regular file"], RESTORE),
    ("dangling link as a key", "key", replaced(link_to("gone")), ["The key of ", "is missing"], "move the other half away"),
    ("looping link as a key", "key", replaced(link_to("db.key")), ["symbolic links"], RESTORE),
    ("looping link as a certificate", "pem", replaced(link_to("db.pem")), ["symbolic links"], RESTORE),
    ("key by a link out of the store", "key", replaced(link_to("/etc/shadow")), ["db.key leads out of the key store"], "[Keys]"),
    ("file as the folder", "", replaced(b"keys"), ["keys/db"], RESTORE),
    ("FIFO as the folder", "", replaced(fifo), ["keys/db"], RESTORE),
    ("dangling link as the folder", "", replaced(link_to("gone")), ["has no key for db"], "create-keys"),
    ("looping link as the folder", "", replaced(link_to("db")), ["symbolic links"], RESTORE),
]  # fmt: skip


def database(end, damage, words, hint):
    """db's key signs what stands on the ESP."""

    def row(system):
        place = system.root / STORE / "keys/db" / (f"db.{end}" if end else "")
        system.add_generation(3)
        damage(place)
        name = "NoKeys" if "has no key for db" in words else "BadKeys"
        for verb in ("sync", "gc"):
            system.refuses(verb, name, *words, hint=hint)
        system.expect("list")
        problems = [item["message"] for item in system.expect("status")["problems"]]
        told = any(all(word in problem for word in words) for problem in problems)
        assert told or words in KEY_ONLY or "any key" in words[0], problems

    return row


def enrolling(role, name):
    """PK's and KEK's keys sign what goes to the firmware: here one in Setup Mode."""
    (title, end, damage, words, hint) = next(row for row in DAMAGES if row[0] == name)

    def row(system):
        (system.top / "variables").unlink()
        place = system.root / STORE / "keys" / role
        for half in ("key", "pem"):
            (place / f"{role}.{half}").rename(place / f"db.{half}")
        damage(place / f"db.{end}" if end else place)
        for half in ("key", "pem"):
            if os.path.lexists(place / f"db.{half}"):
                (place / f"db.{half}").rename(place / f"{role}.{half}")
        system.refuses("enroll-keys", "BadKeys", *words, hint=hint, arguments=["--microsoft"])

    return f"{role} at enroll-keys: {title}", row


def whole_store(damage, name, words, hint, status=3):
    def row(system):
        damage(system.root / STORE)
        for verb, more in (("sync", []), ("gc", []), ("create-keys", []), ("enroll-keys", ["--microsoft"])):
            system.refuses(verb, name, *words, hint=hint, arguments=more, status=status)

    return row


def file_of_store(path, damage, words, hint):
    """What enrolling reads besides the keys."""

    def row(system):
        (system.top / "variables").unlink()
        damage(system.root / STORE / path)
        system.refuses("enroll-keys", "BadKeys", *words, hint=hint, arguments=["--microsoft"])

    return row


def dangling(system):
    """A state that lives elsewhere, and is not mounted: nobody makes other keys."""
    replaced_tree(link_to("/persist/lanzad"))(system.root / STORE)
    for verb in ("sync", "gc", "create-keys"):
        system.refuses(verb, "BadKeys", "a symbolic link on its path leads to nothing", hint="Mount or make what the link leads to")
    system.refuses("enroll-keys", "NoKeys", "has no key for PK", hint="create-keys", arguments=["--microsoft"])


def expired(system):
    """No firmware looks at it: it is used, with a warning."""
    (system.top / "variables").unlink()
    pair("db-expired")(system.root / STORE / "keys/db/db.key")
    system.expect("sync", changes=True)
    texts = [item["message"] for item in system.expect("status")["notes"]]
    assert any("expired on 2002-01-01" in text for text in texts), texts
    system.expect("sync")


def incomplete(system):
    """Half a pair is never completed, and what is whole never replaced."""
    system.refuses("create-keys", "KeysExist", "has all its keys", hint="never overwrites keys")
    system.remove(f"{STORE}/keys/KEK/KEK.pem")
    system.refuses("create-keys", "BadKeys", "The certificate of KEK is missing", hint="move the other half away")


def configured(system):
    """Keys elsewhere, that the configuration names."""
    for number, make in enumerate((fifo, folder, link_to("gone"), link_to(f"db{3}.key"), sparse(10 << 30))):
        system.put(f"etc/keys/db{number}.key", make)
        system.put("etc/lanza/lanzad.conf", f"[Keys]\nDatabaseKey=/etc/keys/db{number}.key\n")
        if not (system.root / f"etc/keys/db{number}.key").is_symlink():
            (system.root / f"etc/keys/db{number}.key").chmod(0o600)
        system.refuses("sync", "BadKeys", f"/etc/keys/db{number}.key", hint="")


def lean(system):
    replaced(sparse(10 << 30))(system.root / STORE / "keys/db/db.pem")
    system.refuses("sync", "BadKeys", "is larger than any certificate", hint=RESTORE, program=INSTALLED)
    assert system.peak < 24, system.peak


ENROLLING = ["key of mode 0644", "key of another user", "half a pair, key missing", "mismatched pair", "too short", "encrypted", "FIFO as a key",
             "certificate of 10 MB"]  # fmt: skip
TABLE = [
    *[(title, database(*row)) for title, *row in DAMAGES],
    *[enrolling(role, name) for role in ("PK", "KEK") for name in ENROLLING],
    ("store that others write to", whole_store(mode(0o777), "BadKeys", ["Others may write to", "mode is 0777"], "chmod 0700 ")),
    ("store of another user", whole_store(owner, "BadKeys", [f"number {OTHER}"], "chown 0:0 ")),
    ("file as the store", whole_store(replaced_tree(b"keys"), "BadKeys", ["lanzad: Not a directory"], RESTORE)),
    ("FIFO as the store", whole_store(replaced_tree(fifo), "BadKeys", ["lanzad: Not a directory"], RESTORE)),
    ("looping link as the store", whole_store(replaced_tree(link_to("lanzad")), "BadKeys", ["symbolic links"], RESTORE)),
    ("dangling link as the store", dangling),
    ("GUID that is none", file_of_store("GUID", replaced(b"12345\n"), ["GUID does not hold a GUID"], RESTORE)),
    ("GUID as a folder", file_of_store("GUID", replaced(folder), ["GUID: Is a directory"], RESTORE)),
    ("GUID as a FIFO", file_of_store("GUID", replaced(fifo), ["GUID: It is no regular file"], RESTORE)),
    ("GUID of 10 GB", file_of_store("GUID", replaced(sparse(10 << 30)), ["GUID: File too large"], RESTORE)),
    ("timestamp that is none", file_of_store("timestamp", replaced(b"soon"), ["timestamp does not hold"], "Delete it")),
    ("timestamp of the year 10000", file_of_store("timestamp", replaced(b"253402300800"), ["timestamp does not hold"], "Delete it")),
    ("timestamp as a FIFO", file_of_store("timestamp", replaced(fifo), ["timestamp: It is no regular file"], RESTORE)),
    ("expired certificate", expired),
    ("create-keys beside keys", incomplete),
    ("configured keys", configured),
    ("peak memory does not follow the size", lean),
]
run_table("/daemon/hostile/keys", [(title.replace(" ", "-"), row) for title, row in TABLE])
