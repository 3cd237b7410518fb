#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""boot.json, and what it names, as a broken or hostile machine has them: each row twice.

In the default generation it is an error, BadBootspec, that names the file, and nothing changes. In another one that
generation is skipped with a warning, exit status 5, and what it has on the ESP is shielded from sync and gc alike."""
import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from hostile import INSTALLED, LONG, MIB, fifo, folder, link_to, run_table, sparse

V1, SPECIAL = "org.nixos.bootspec.v1", "org.nixos.specialisation.v1"
HINT = "Build the generation again (nixos-rebuild), or delete it."
REQUIRED_TEXTS = ("init", "kernel", "label", "system", "toplevel")
WRONG = [("null", None), ("number", 7), ("real", 0.5), ("true", True), ("array", []), ("object", {})]
NAMES = {"null": "null", "number": "a number", "real": "a number", "true": "a boolean", "array": "an array", "object": "an object"}
MANY = 10000 if LONG else 300
DEEP = 100000


def spec_file(number):
    return f"nix/store/system-{number}/boot.json"


def whole(make):
    """A row that replaces boot.json: MAKE is what put() takes."""
    return lambda system, number: system.put(spec_file(number), make)


def edited(change):
    """A row that CHANGEs the document."""

    def damage(system, number):
        path = system.root / spec_file(number)
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))

    return damage


def member(name, value):
    return edited(lambda document: document[V1].update({name: value}))


def extension(name, value):
    return edited(lambda document: document.update({name: value}))


def without(name):
    return edited(lambda document: document[V1].pop(name))


def text(change):
    """A row that CHANGEs the bytes."""

    def damage(system, number):
        path = system.root / spec_file(number)
        path.write_bytes(change(path.read_bytes()))

    return damage


def special(documents):
    return extension(SPECIAL, documents)


def inner(toplevel="/nix/store/special", **more):
    return {V1: {"init": f"{toplevel}/init", "kernel": "/nix/store/k", "kernelParams": [], "label": "x", "system": "x86_64-linux",
                 "toplevel": toplevel, **more}}  # fmt: skip


def nested(depth):
    document = inner()
    for _ in range(depth):
        document = {**inner(), SPECIAL: {"in": document}}
    return document


def named(key, make, target=None):
    """KEY names TARGET, a file of the store, in whose place stands what MAKE puts there."""

    def damage(system, number):
        path = target or f"/nix/store/hostile-{key}/file"
        if make is not None:
            system.put(path.lstrip("/"), make)
        member(key, path)(system, number)

    return damage


def outside(key, path, *links):
    """KEY names PATH, which leaves the store by way of LINKS (place, target)."""

    def damage(system, number):
        system.put("home/user/file", "somebody's")
        for place, target in links:
            system.put(place, link_to(target))
        member(key, path)(system, number)

    return damage


def document_rows():
    yield "truncated", text(lambda old: old[: len(old) // 2]), ["line 1"]
    yield "cut in a string", text(lambda old: old[: old.index(b"Test") + 2]), ["line 1"]
    yield "empty", whole(""), ["line 1"]
    yield "white space", whole(" \n\t\n"), ["line 3"]
    yield "no JSON", whole("kernel=/nix/store/x\n"), ["line 1"]
    yield "binary", whole(bytes(range(256))), ["line 1"]
    yield "not UTF-8", text(lambda old: old.replace(b"Test", b"T\xff\xfe")), ["line 1", "decode byte 0xff"]
    yield "half a surrogate", text(lambda old: old.replace(b"Test", b"\\ud800")), ["line 1"]
    yield "a byte order mark", text(lambda old: b"\xef\xbb\xbf" + old), ["line 1"]
    yield "UTF-16", text(lambda old: old.decode().encode("utf-16")), ["line 1"]
    yield "a NUL in a string", text(lambda old: old.replace(b"Test", b"\\u0000")), ["line 1"]
    yield "a NUL behind it", text(lambda old: old + b"\0"), ["line 1"]
    yield "text behind it", text(lambda old: old + b"{}"), ["line 1"]
    yield "duplicate keys", text(lambda old: old.replace(b'"kernel":', b'"kernel": "/nix/store/a", "kernel":')), ["duplicate", "line 1"]
    yield "duplicate documents", text(lambda old: old[:-1] + b', "org.nixos.bootspec.v1": {}}'), ["duplicate", "line 1"]
    yield "an array", whole("[]"), ["an array"]
    yield "a string", whole('"x"'), []
    yield "null", whole("null"), []
    yield "an empty object", whole("{}"), [V1, "is missing"]
    yield "nested 100,000 deep", whole("[" * DEEP + "]" * DEEP), ["line 1", "depth"]
    yield "objects nested 100,000 deep", whole('{"a":' * DEEP + "0" + "}" * DEEP), ["line 1", "depth"]
    yield "a number beyond all bounds", text(lambda old: old[:-1] + b', "x": 1e999999}'), ["line 1"]
    yield "100 MB", whole(sparse(100 * MIB)), ["more than 2097152 bytes"]
    yield "a byte too large", whole(b" " * (2 * MIB - 1) + b"{}"), ["more than 2097152 bytes"]
    yield "a folder", whole(folder), ["Is a directory"]
    yield "a FIFO", whole(fifo), ["no regular file"]
    yield "a device", whole(link_to("/dev/zero")), []
    yield "a dangling link", whole(link_to("/nix/store/gone")), ["No such file"]
    yield "a looping link", whole(link_to("boot.json")), ["symbolic link"]
    yield "another toplevel's", member("toplevel", "/nix/store/other"), ["another toplevel", "/nix/store/other"]


def member_rows():
    for name in REQUIRED_TEXTS:
        yield f"{name} missing", without(name), [f'"{V1}".{name}', "is missing"]
        for kind, value in WRONG:
            expected = ["is missing"] if value is None else [f"{NAMES[kind]} instead of a string"]
            yield f"{name} as {kind}", member(name, value), [f'"{V1}".{name}', *expected]
        yield f"{name} empty", member(name, ""), [f'"{V1}".{name}', "is empty"]
        yield f"{name} with a newline", member(name, "/nix/store/a\nb"), [f'"{V1}".{name}', "control character"]
    for name in ("initrd", "initrdSecrets"):
        for kind, value in WRONG[1:]:
            yield f"{name} as {kind}", member(name, value), [f'"{V1}".{name}', f"{NAMES[kind]} instead of a string"]
    yield "kernelParams missing", without("kernelParams"), ["kernelParams", "is missing"]
    for kind, value in [*WRONG[:4], ("string", "quiet"), ("object", {})]:
        yield f"kernelParams as {kind}", member("kernelParams", value), ["kernelParams", "instead of an array"]
        if value is not None and kind != "string":
            yield f"kernelParams with {kind}", member("kernelParams", ["quiet", value]), ["kernelParams", "instead of a string as item 1"]
    yield "kernelParams with a newline", member("kernelParams", ["a\nb"]), ["kernelParams", "item 0", "control character"]
    yield "100,000 kernelParams", member("kernelParams", ["a"] * 100000), ["kernelParams", "more than 4096"]
    for name in (V1, SPECIAL, "org.lanzaboote.lanzad", "org.nix-community.lanzaboote", "org.nixos.systemd-boot"):
        for kind, value in [*WRONG[1:5], ("string", "x")]:
            yield f"{name} as {kind}", extension(name, value), [f'"{name}"', "instead of an object"]
    for name, key in (("org.lanzaboote.lanzad", "sortKey"), ("org.lanzaboote.lanzad", "stub"), ("org.nix-community.lanzaboote", "sort_key"),
                      ("org.nixos.systemd-boot", "sortKey"), ("org.nixos.systemd-boot", "devicetree")):  # fmt: skip
        for kind, value in WRONG[1:]:
            yield f"{name} {key} as {kind}", extension(name, {key: value}), [f'"{name}".{key}', "instead of a string"]


def specialisation_rows():
    many = {f"s{i}": inner(f"/nix/store/special-{i}") for i in range(MANY)}
    yield f"{MANY} specialisations", special(many), [SPECIAL, "more than 256 specialisations"]
    yield "specialisations nested 9 deep", special({"a": nested(9)}), ["nested more than 8 levels"]
    yield "a specialisation that is null", special({"a": None}), [f'"{SPECIAL}"."a"', "null instead of an object"]
    yield "a specialisation without bootspec", special({"a": {}}), [f'"{SPECIAL}"."a"', "is missing"]
    yield "a specialisation of a bad path", special({"a": inner(kernel="bzImage")}), [f'"{SPECIAL}"."a"', "not an absolute path"]
    for title, name in (("empty", ""), ("dot", "."), ("dots", ".."), ("slash", "a/b"), ("newline", "a\nb"), ("long", "x" * 2000)):
        yield f"a specialisation's name: {title}", special({name: inner()}), [SPECIAL, "a member whose name"]


def path_rows():
    for key in ("kernel", "initrd", "init"):
        for value in ("bzImage", "./bzImage", "nix/store/kernel/bzImage", "../../etc/shadow"):
            yield f"{key} {value}", member(key, value), [f'"{V1}".{key}', "is not an absolute path"]
        for value in ("/nix/store/../../etc/shadow", "/nix/store/./x", "/nix//store/x", "/nix/store/x/", "/"):
            yield f"{key} {value}", member(key, value), [f'"{V1}".{key}', "is not a normalised path"]
        yield f"{key} too long", member(key, "/nix/store/" + "x/" * 3000 + "x"), [f'"{V1}".{key}', "too long for a path"]
    for key in ("kernel", "initrd"):
        file = f"/nix/store/hostile-{key}/file"
        away = "leads out of /nix/store"
        yield f"{key} outside the store", outside(key, "/home/user/file"), ["/home/user/file", away]
        yield f"{key} by a link out of the store", outside(key, file, (file[1:], "/home/user/file")), [file, away]
        yield f"{key} by a relative link out of the store", outside(key, file, (file[1:], "../../../home/user/file")), [file, away]
        yield f"{key} in a folder that is a link", outside(key, "/nix/store/way/file", ("nix/store/way", "/home/user")), ["/nix/store/way/file", away]
        yield f"{key} out and back in", outside(
            key, "/nix/store/out/back", ("nix/store/out", "/home/user"), ("home/user/back", "/nix/store/kernel-linux-6.1.1/bzImage")
        ), ["/nix/store/out/back", away]  # fmt: skip
        yield f"{key} absent", named(key, None), [file, "No such file"]
        yield f"{key} as a folder", named(key, folder), [file, "a folder"]
        yield f"{key} as a FIFO", named(key, fifo), [file, "no regular file"]
        yield f"{key}'s file empty", named(key, ""), [file, "is empty"]
        yield f"{key} beyond all bounds", named(key, sparse(1 << 40)), [file, "more than the"]
        yield f"{key} through a file", outside(
            key, "/nix/store/plain/file/more", ("nix/store/plain/file", "/nix/store/kernel-linux-6.1.1/bzImage")
        ), ["/nix/store/plain/file/more", "Not a directory"]  # fmt: skip
        yield f"{key} by a dangling link", named(key, link_to("/nix/store/gone")), [file, "No such file"]
        yield f"{key} by a looping link", named(key, link_to("file")), [file, "symbolic link"]


def looks(system, number, words):
    """Who only looks is told, too."""
    generations = system.expect("list")["generations"]
    (problem,) = [item["problem"] for item in generations if item["number"] == number]
    assert all(word in problem for word in words), problem
    problems = [item["message"] for item in system.expect("status")["problems"]]
    assert any(all(word in problem for word in words) for problem in problems), problems


def in_default(damage, words, also):
    def row(system):
        damage(system, 2)
        system.refuses("sync", "BadBootspec", *words, hint=HINT)
        if also:
            system.refuses("gc", "BadBootspec", *words, hint=HINT)
            looks(system, 2, words)

    return row


def in_another(damage, words, also):
    def row(system):
        damage(system, 1)
        assert system.images(1)
        system.warns("sync", "generation 1 is left out: ", *words)
        system.warns("gc", "generation 1 is left out: ", *words)
        if also:
            looks(system, 1, words)

    return row


def lean(system):
    """What is refused for its size is not read, and what is read has its bounds."""
    system.put(spec_file(1), sparse(100 * MIB))
    system.warns("sync", "has more than 2097152 bytes", program=INSTALLED)
    assert system.peak < 24, system.peak
    text(lambda old: old[:-1] + b', "org.example": [' + b"{}," * 690000 + b"{}]}")(system, 2)
    system.put(spec_file(1), "{")
    system.warns("sync", "line 1", program=INSTALLED)
    assert system.peak < 256, system.peak


def rows():
    """Each row in both places, and with all verbs, if LANZA_LONG is set; else wrong types take turns."""
    for source in (document_rows, member_rows, specialisation_rows, path_rows):
        for index, (title, damage, words) in enumerate(source()):
            title = title.lower().replace(" ", "-")
            also = source != path_rows and (LONG or index % 16 < 2)
            if LONG or source != member_rows or index % 2 == 0:
                yield f"{title}-in-the-default-generation", in_default(damage, words, also)
            if LONG or source != member_rows or index % 2 == 1:
                yield f"{title}-in-another-generation", in_another(damage, words, also)
    yield "peak-memory-does-not-follow-the-size", lean


run_table("/daemon/hostile/bootspec", rows())
