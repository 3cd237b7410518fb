#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a machine that enforces must not run, and that another entry boots after it was refused.

The machine is prepared by lanzad: keys, two generations, enrollment. Then it is switched off, and each case changes the
ESP on the host, makes the firmware try the changed image first and generation 2 next, and reads on the console who
refused and why. Generation 2 has a kernel and an initrd of its own and stops after saying its name: a boot of 10 seconds.
"""
import hashlib
import os
import random
import re
import shutil

import archive
import tap
import variables
from bootimage import Pe, append_sections, flip, sign
from images import Images, read
from nixos import PARAMETERS
from nixos_machine import ENROLL_ANYWAY, HALT, NixosMachine

LONG = os.environ.get("LANZA_LONG") == "1"
SEED = int(os.environ.get("LANZA_SEED") or random.SystemRandom().randrange(1 << 32))
OFFSETS = 200 if LONG else 20

CASE = "\\EFI\\Linux\\case.efi"
EXTRA = "070701"  # the archive behind the initrds, with what the image tells them
NEXT_BOOTS = "stage 1: initrd of generation 2,"
REFUSAL_SECONDS = 240

# Offset of MajorImageVersion in the optional header: a field that nobody looks at, but that is signed.
IMAGE_VERSION = 44


class Prepared:
    """The ESP and the variables of a machine that enforces, and what the cases are made of."""

    def __init__(self, machine, stub):
        self.machine = machine
        self.stub = stub
        self.image_name = machine.entry(1)
        self.next_path = "\\EFI\\Linux\\" + machine.entry(2)
        self.key, self.certificate = machine.path("db.key"), machine.path("db.pem")
        for path in (self.key, self.certificate):
            with open(path, "wb") as file:
                file.write(machine.read("/var/lib/lanzad/keys/db/" + os.path.basename(path)))
        machine.shut_down()
        self.image = machine.esp_read("/EFI/Linux/" + self.image_name)
        self.kernel_path = self.section(".linux").decode()
        self.initrd_path = self.section(".initrd").decode()
        self.kernel = machine.esp_read(on_host(self.kernel_path))
        self.initrd = machine.esp_read(on_host(self.initrd_path))
        shutil.copyfile(machine.variables, machine.path("prepared-variables.fd"))
        os.rename(machine.esp, machine.path("prepared-esp.img"))

    def section(self, name):
        offset, size = Pe(self.image).sections()[name]
        return self.image[offset:offset + size]

    def restore(self):
        self.machine.kill()
        shutil.copyfile(self.machine.path("prepared-variables.fd"), self.machine.variables)
        self.machine.copy(self.machine.path("prepared-esp.img"), self.machine.esp)

    def made(self, kernel=None, kernel_hash=None, initrds=(), arguments="init=/made " + HALT):
        """A boot image of our own making, signed with the machine's key. INITRDS is (path, content) each; without KERNEL_HASH
        the firmware judges the kernel."""
        sections = [(".osrel", b'ID=lanza\nPRETTY_NAME="Case"\nVERSION_ID=1\n'),
                    (".cmdline", " ".join([*PARAMETERS, arguments]).encode()),
                    (".linux", (kernel or self.kernel_path).encode())]
        if kernel_hash:
            sections.append((".linuxh", kernel_hash))
        if initrds:
            sections.append((".initrd", "\n".join(path for path, _ in initrds).encode()))
            sections.append((".initrdh", b"".join(sha256(content) for _, content in initrds)))
        return self.signed(sections)

    def signed(self, sections):
        return sign(append_sections(self.stub, sections), self.key, self.certificate)

    def ukified(self, kernel, initrds, microcode, arguments):
        """A standard UKI with our stub, made by ukify."""
        command = ["build", "--os-release", "ID=ukify\nPRETTY_NAME=Case\nVERSION_ID=1\n", "--uname", "1", "--cmdline",
                   " ".join([*PARAMETERS, arguments])]
        contents = [("stub", self.stub), ("linux", kernel), *[("initrd", initrd) for initrd in initrds], ("microcode", microcode)]
        for number, (option, content) in enumerate(contents):
            path = self.machine.path(f"ukify-{number}")
            with open(path, "wb") as file:
                file.write(content)
            command += ["--" + option, path]
        output = self.machine.path("ukify-output")
        self.machine.images.tool("ukify", *command, "--output", output)
        return sign(read(output), self.key, self.certificate)


def sha256(content):
    return hashlib.sha256(content).digest()


def on_host(path):
    return path.replace("\\", "/")


def prepare(plan, machine):
    with plan.step("a-machine-enforces-with-two-generations-of-different-kernels"):
        machine.add_generation(1, "25.05.1", "of generation 1", [HALT])
        machine.add_generation(2, "25.05.2", "of generation 2", [HALT], kernel=machine.kernel + b"\0" * 8)
        machine.add_generation(3, "25.05.3", "of generation 3")
        machine.install()
        machine.lanzad("create-keys")
        machine.lanzad("sync", machine.generations[2])
        machine.lanzad("enroll-keys", ENROLL_ANYWAY)
        assert machine.secure_boot()[0] == 0
        prepared = Prepared(machine, machine.entries["/usr/lib/lanzad/lanzastubx64.efi"].content)
    return prepared


def try_in_turn(prepared, images, files, explains=0):
    """Boots with IMAGES (description, content) as boot options in that order and generation 2 behind them, and FILES (path ->
    content) changed on the ESP. EXPLAINS says how many of them run the stub, which waits for a key. What was shown."""
    machine = prepared.machine
    prepared.restore()
    options = []
    for number, (description, content) in enumerate(images):
        path = CASE.replace("case", f"case-{number}")
        machine.esp_write(on_host(path), content)
        options.append((description, path, b""))
    for path, content in files.items():
        machine.esp_write(on_host(path), content)
    variables.write(machine, variables.boot_options([*options, ("next", prepared.next_path, b"")]))
    machine.start(esp_first=False)
    for number in range(explains):
        machine.wait_console("at a key press", REFUSAL_SECONDS, times=number + 1)
        machine.press(b"\r")
    machine.wait_off(REFUSAL_SECONDS)
    return machine.console.text


def expect_refused(text, description, by_stub=None):
    """DESCRIPTION's image was refused: by the firmware before it ran, or by the stub with BY_STUB, a pattern."""
    if by_stub:
        assert re.search("lanzastub: " + by_stub, re.sub(r"\s+", " ", text)), f"no '{by_stub}' in:\n{text}"
        assert f'failed to start Boot0100 "{description}"' in text, text
    else:
        assert re.search(f'failed to load Boot[0-9A-F]{{4}} "{description}"', text), text
    assert NEXT_BOOTS in text, f"the next entry did not boot:\n{text}"
    assert text.count("stage 1:") == 1, text


def contents(plan, prepared):
    """The files that a boot image names."""
    second_path, second = "\\EFI\\nixos\\second.efi", archive.cpio({"/initrd-name": archive.Entry(b"with a second\n")})
    middle = len(prepared.kernel) // 2
    two = prepared.made(kernel_hash=sha256(prepared.kernel),
                        initrds=[(prepared.initrd_path, prepared.initrd), (second_path, second)])
    with plan.step("an-image-with-two-initrds-boots-with-both", independent=True):
        text = try_in_turn(prepared, [("two", two)], {second_path: second})
        assert "stage 1: initrd with a second, init /made" in text, text
    cases = [
        ("a-bit-in-the-kernel", prepared.image, {prepared.kernel_path: flip(prepared.kernel, middle)}, prepared.kernel_path),
        ("a-bit-in-the-first-initrd", two, {prepared.initrd_path: flip(prepared.initrd, 1000), second_path: second},
         prepared.initrd_path),
        ("a-bit-in-the-second-initrd", two, {second_path: flip(second, len(second) - 1)}, second_path),
    ]
    for name, image, files, named in cases:
        with plan.step(name + "-is-refused-by-the-stub-which-names-the-file", independent=True):
            text = try_in_turn(prepared, [(name, image)], files, explains=1)
            expect_refused(text, name, f".*{re.escape(named)} is damaged or was replaced")


def paths(plan, prepared):
    kernel_hash = sha256(prepared.kernel)
    cases = [
        ("a-kernel-path-that-leaves-the-volume", "\\EFI\\..\\..\\kernel.efi", "."),
        ("a-kernel-path-with-nothing-there", "\\EFI\\nixos\\absent.efi", r".*\\EFI\\nixos\\absent\.efi is not on the volume"),
        ("a-kernel-path-to-a-folder", "\\EFI\\nixos", r".*\\EFI\\nixos is a folder"),
    ]
    for name, path, message in cases:
        with plan.step(name + "-is-refused-by-the-stub", independent=True):
            image = prepared.made(kernel=path, kernel_hash=kernel_hash)
            expect_refused(try_in_turn(prepared, [(name, image)], {}, explains=1), name, message)


def says(name):
    return archive.cpio({"/initrd-name": archive.Entry(name.encode() + b"\n")})


def shown_by(text, number):
    """What the console showed of image NUMBER of several."""
    started = f"BdsDxe: starting Boot{variables.FIRST_OPTION + number:04X} "
    assert text.count(started) == 1, f"no image {number} was started:\n{text}"
    return text.partition(started)[2].partition("BdsDxe: starting ")[0]


def embedded(plan, prepared):
    """Standard UKIs and initrds in every combination, in one boot: a program of ours (../stubs/kernel.c) tells what it got as
    an initrd, and comes back; after all of them a real kernel boots."""
    program = read(os.path.join(os.environ.get("LANZA_BUILD", "build"), "vm/kernel.efi"))
    inside, path = (".linux", program), (".linux", b"\\program.efi")
    hashed = [path, (".linuxh", sha256(program))]
    files = {f"\\initrd-{number}": content for number, content in enumerate([b"a", b"four", b"seven.."])}
    listed = (".initrd", "\n".join(files).encode())
    hashes = (".initrdh", b"".join(sha256(content) for content in files.values()))
    microcode, one, release = (".ucode", b"mc"), (".initrd", b"only."), (".osrel", b"ID=x")
    good = [
        ("nothing-but-a-kernel", [inside], "no initrd"),
        ("an-initrd", [inside, one], "initrd [only.]"),
        ("microcode", [inside, microcode], "initrd [mc]"),
        ("microcode-and-an-initrd", [inside, one, microcode], "initrd [mc00only.]"),
        ("an-initrd-and-something-to-tell-it", [inside, one, release, (".pcrsig", b"{}")], f"initrd [only.000{EXTRA}"),
        ("nothing-but-a-kernel-and-something-to-tell", [inside, release], "no initrd"),
        ("files-and-no-initrd", hashed, "no initrd"),
        ("files-and-microcode", [*hashed, microcode], "initrd [mc]"),
        ("files-and-three-initrds", [*hashed, listed, hashes], "initrd [a000fourseven..]"),
        ("files-microcode-and-three-initrds", [*hashed, listed, hashes, microcode], "initrd [mc00a000fourseven..]"),
    ]
    refused = [
        ("hashes-of-an-embedded-initrd", [inside, one, (".initrdh", sha256(b"only."))], "carries its kernel inside, and a section .initrdh"),
        ("a-hash-of-an-embedded-kernel", [inside, (".linuxh", sha256(program))], "carries its kernel inside, and a section .linuxh"),
        ("no-hashes-of-files", [*hashed, listed, microcode], r"has no hash of its initrd \initrd-0"),
        ("an-embedded-kernel-that-is-cut-off", [(".linux", program[:-2048])], "The kernel in this boot image is cut off"),
    ]
    whole = prepared.signed([inside, one, microcode])
    parts = {name: Pe(whole).sections()[name] for name in (".linux", ".initrd", ".ucode")}
    changed = [(name[1:], flip(whole, offset + size // 2)) for name, (offset, size) in parts.items()]
    told = archive.cpio({"/initrd-name": archive.Entry("/.extra/os-release")})
    real = prepared.ukified(prepared.kernel, [prepared.initrd, says("the second"), told], says("microcode"), "init=/ukify " + HALT)
    images = [(name, prepared.signed([(".cmdline", b"return"), *sections])) for name, sections, _ in good + refused]
    images += [*changed, ("ukify", real)]
    text = try_in_turn(prepared, images, {path[1].decode(): program, **files}, explains=len(good) + len(refused))
    for number, (name, _, expected) in enumerate(good):
        with plan.step(f"an-image-with-{name}-boots", independent=True):
            shown = shown_by(text, number)
            assert f"test kernel: {expected}" in shown and "command line [return]" in shown and "BAD" not in shown, shown
    for number, (name, _, expected) in enumerate(refused, len(good)):
        with plan.step(f"an-image-with-{name}-is-refused-by-the-stub", independent=True):
            shown = shown_by(text, number)
            assert expected in re.sub(r"\s+", " ", shown) and "test kernel" not in shown, shown
    for name, _ in changed:
        with plan.step(f"an-image-whose-embedded-{name}-was-changed-is-refused-by-the-firmware", independent=True):
            assert re.search(f'failed to load Boot[0-9A-F]{{4}} "{name}"', text), text
    with plan.step("a-uki-made-by-ukify-boots-a-real-kernel-with-all-its-initrds-in-order-and-what-they-are-told", independent=True):
        shown = re.sub(r"\s+", " ", shown_by(text, len(images) - 1))
        assert "stage 1: initrd ID=ukify PRETTY_NAME=Case VERSION_ID=1, init /ukify" in shown, text
        assert text.count("stage 1:") == 1, text


def kernels_by_signature(plan, prepared):
    initrds = [(prepared.initrd_path, prepared.initrd)]
    image = prepared.made(kernel="\\EFI\\nixos\\own.efi", initrds=initrds)
    with plan.step("an-image-without-a-kernel-hash-whose-kernel-is-not-ours-is-refused", independent=True):
        text = try_in_turn(prepared, [("unsigned", image)], {"\\EFI\\nixos\\own.efi": prepared.kernel}, explains=1)
        expect_refused(text, "unsigned", r".*\\EFI\\nixos\\own\.efi")
    with plan.step("an-image-without-a-kernel-hash-whose-kernel-is-signed-boots", independent=True):
        signed = sign(prepared.kernel, prepared.key, prepared.certificate)
        text = try_in_turn(prepared, [("signed", image)], {"\\EFI\\nixos\\own.efi": signed})
        assert "stage 1: initrd of generation 1, init /made" in text, text


def passed_command_line(plan, prepared):
    with plan.step("a-command-line-that-the-boot-loader-passes-has-no-effect", independent=True):
        prepared.restore()
        passed = f"init=/passed {HALT}\0".encode("utf-16-le")
        option = ("passed", "\\EFI\\Linux\\" + prepared.image_name, passed)
        variables.write(prepared.machine, variables.boot_options([option]))
        prepared.machine.start(esp_first=False)
        prepared.machine.wait_off(REFUSAL_SECONDS)
        text = prepared.machine.console.text
        assert f"init {prepared.machine.generations[1]}/init" in text and "/passed" not in text, text


def changed_parts(prepared):
    """(name, image): the boot image unsigned, and with one bit changed in each of its parts."""
    image, pe = prepared.image, Pe(prepared.image)
    signature, size = pe.certificates()
    stub_sections = Pe(prepared.stub).sections()
    appended = [(name, prepared.section(name)) for name in pe.sections() if name not in stub_sections]
    yield "without-its-signature", append_sections(prepared.stub, appended)
    # The signature's value is what ends the PKCS#7 structure; behind it stand at most 7 bytes of padding.
    yield "with-a-bit-changed-in-the-value-of-its-signature", flip(image, signature + size - 40)
    yield "with-a-bit-changed-in-a-header-field", flip(image, pe.optional + IMAGE_VERSION)
    for name, (offset, length) in pe.sections().items():
        yield f"with-a-bit-changed-in-{name.strip('.')}", flip(image, offset + length // 2)


def changed_anywhere(prepared):
    """(name, image): with one bit changed at random offsets that the signature covers."""
    image = prepared.image
    not_covered = Pe(image).not_covered()
    covered = [offset for offset in range(len(image))
               if not any(start <= offset < start + length for start, length in not_covered)]
    chooser = random.Random(SEED)
    for offset in chooser.sample(covered, OFFSETS):
        bit = chooser.randrange(8)
        yield f"byte {offset}, bit {bit}", flip(image, offset, bit)


def in_batches(items, size):
    items = list(items)
    return [items[first:first + size] for first in range(0, len(items), size)]


def images_changed(plan, prepared):
    """Refused by the firmware before a single instruction of them runs. Several are tried in one boot, one after the
    other; with LANZA_LONG=1 each has a boot of its own, of the random ones the first 20."""
    for batch in in_batches(changed_parts(prepared), 1 if LONG else 8):
        text = try_in_turn(prepared, batch, {})
        for name, _ in batch:
            with plan.step(f"a-boot-image-{name}-is-refused-by-the-firmware", independent=True):
                expect_refused(text, name)
    with plan.step("a-boot-image-with-a-bit-changed-anywhere-that-is-signed-is-refused-by-the-firmware", independent=True):
        plan.say(f"{OFFSETS} offsets by LANZA_SEED={SEED}")
        cases = list(changed_anywhere(prepared))
        for batch in in_batches(cases[:20], 1 if LONG else 20) + in_batches(cases[20:], 20):
            text = try_in_turn(prepared, batch, {})
            for name, _ in batch:
                expect_refused(text, name)


def through_the_boot_loader(plan, prepared):
    """As a person meets it: systemd-boot is told to try the damaged entry once, and falls back to its default."""
    machine = prepared.machine
    with plan.step("after-a-refusal-systemd-boot-comes-back-and-boots-the-default-entry", independent=True):
        prepared.restore()
        machine.esp_write(on_host(prepared.kernel_path), flip(prepared.kernel, 5000))
        variables.write(machine, variables.one_shot(prepared.image_name))
        machine.start()
        machine.wait_console("at a key press", REFUSAL_SECONDS)
        machine.press(b"\r")
        machine.wait_off(REFUSAL_SECONDS)
        assert "Failed to execute 25.05.1" in machine.console.text
        assert NEXT_BOOTS in machine.console.text, machine.console.text


def scenario(plan):
    with NixosMachine("refusals", Images()) as machine:
        prepared = prepare(plan, machine)
        contents(plan, prepared)
        paths(plan, prepared)
        embedded(plan, prepared)
        kernels_by_signature(plan, prepared)
        passed_command_line(plan, prepared)
        through_the_boot_loader(plan, prepared)
        images_changed(plan, prepared)


tap.run("vm/refusals", scenario)
