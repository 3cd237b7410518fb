#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Plants one violation of each kind in a small tree, and sees that lint finds it, with file and line, and nothing else."""
import os
import subprocess
import sys
import tempfile

SOURCE = os.environ.get("LANZA_SOURCE", os.getcwd())
LINT = os.path.join(SOURCE, "tests/lint/run")
TABLE = "util::;crypto:util:libcrypto;pe:crypto util:;keys:crypto util:;esp:crypto util:;firmware:util:efivar;boot:util:jansson;ops:esp pe util:;"
C = "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"
HASH = "# SPDX-License-Identifier: LGPL-2.1-or-later\n"

# A small tree without fault: what the planted files use, and something for each row of the table.
CLEAN = {
    "daemon/build.mk": HASH,
    "daemon/util/span.h": C + "#pragma once\n\nint span_size(void);\n",
    "daemon/util/span.c": C + '#include "daemon/util/span.h"\n\nint span_size(void) {\n        return 1;\n}\n',
    "daemon/crypto/digest.c": C + "#include <openssl/evp.h>\n\nint digest_count(void);\n\nint digest_count(void) {\n"
    "        return EVP_MD_CTX_new() != NULL;\n}\n",
    "daemon/pe/pe-image.h": C + "#pragma once\n\nint pe_image_count(void);\n",
    "daemon/pe/pe-image.c": C + '#include "daemon/pe/pe-image.h"\n\n#include "daemon/util/span.h"\n#include "stubs/stub-abi.h"\n\n'
    "int pe_image_count(void) {\n        return span_size();\n}\n",
    "daemon/keys/key.c": C + "int key_count;\n",
    "daemon/esp/esp.c": C + "int esp_count;\n",
    "daemon/firmware/variable.c": C + "#include <efivar/efivar.h>\n\nint variable_count;\n",
    "daemon/boot/bootspec.c": C + "#include <jansson.h>\n\nint bootspec_count;\n",
    "daemon/ops/sync.c": C + '#include "daemon/pe/pe-image.h"\n\nint sync_count(void);\n\nint sync_count(void) {\n'
    "        return pe_image_count();\n}\n",
    "daemon/service.c": C + "#include <systemd/sd-bus.h>\n\nint service_count;\n",
    "daemon/main.c": C + '#include <jansson.h>\n\n#include "daemon/util/span.h"\n\nint main_count;\n',
    "dbus/names.h": C + "#pragma once\n",
    "client/client.c": C + '#include <systemd/sd-bus.h>\n\n#include "dbus/names.h"\n\nint client_count;\n',
    "stubs/stub-abi.h": C + "#pragma once\n",
    "stubs/stub.c": C + '#include <efi.h>\n#include <stdint.h>\n\n#include "stubs/stub-abi.h"\n\nint stub_count;\n',
    "tests/lib/fixture.h": C + "#pragma once\n\n#include <glib.h>\n",
    "tests/pe/test-pe.c": C + '#include <stdio.h>\n\n#include "daemon/pe/pe-image.h"\n#include "tests/lib/fixture.h"\n\nint test_count;\n',
    "tests/fuzz/fuzz-pe.c": C + '/* fuzzes: pe */\n#include "daemon/pe/pe-image.h"\n\nint fuzz_count;\n',
    "tests/lib/script": "#!/bin/sh\n" + HASH + "set -eu\necho ready\n",
    "tests/lib/program.py": "#!/usr/bin/env python3\n" + HASH + "print(1)\n",
}

LONG_FUNCTION = "int far(void);\n\nint far(void) {\n" + "        (void)0;\n" * 70 + "        return 0;\n}\n"

# Name of the fault, its file, the file's text, the line and words that lint must print.
PLANTED = [
    ("a noun that includes its sibling", "daemon/pe/a.c", C + '#include "daemon/keys/b.h"\n', 2, "may not include daemon/keys/b.h"),
    ("(the header for it)", "daemon/keys/b.h", C + "#pragma once\n", 0, ""),
    ("an upward include", "daemon/util/c.c", C + '\n#include "daemon/pe/pe-image.h"\n', 3, "may not include daemon/pe/"),
    ("OpenSSL outside crypto", "daemon/ops/d.c", C + "#include <openssl/evp.h>\n", 2, "of libcrypto"),
    ("efivar outside firmware", "daemon/ops/e.c", C + "#include <efivar/efivar.h>\n", 2, "of efivar"),
    ("jansson outside boot", "daemon/esp/f.c", C + "#include <jansson.h>\n", 2, "of jansson"),
    ("sd-bus outside service.c", "daemon/oneshot.c", C + "#include <systemd/sd-bus.h>\n", 2, "of libsystemd"),
    ("GLib in what is installed", "daemon/esp/g.c", C + "#include <glib.h>\n", 2, "of glib"),
    ("a client that sees the daemon", "client/h.c", C + '#include "daemon/util/span.h"\n', 2, "may not include daemon/"),
    ("a stub with libc", "stubs/i.c", C + "#include <stdio.h>\n", 2, "has no libc"),
    ("a stub that sees the daemon", "stubs/j.c", C + '#include "daemon/util/span.h"\n', 2, "may not include daemon/"),
    ("a stub's contract in the wrong folder", "daemon/keys/k.c", C + '#include "stubs/stub-abi.h"\n', 2, "may not include stubs/"),
    ("a test that sees another folder", "tests/pe/test-l.c", C + '#include "daemon/keys/b.h"\n', 2, "may not include daemon/keys"),
    ("a fixture that sees the daemon", "tests/lib/m.c", C + '#include "daemon/util/span.h"\n', 2, "may not include daemon/"),
    ("a path not from the root", "daemon/pe/n.c", C + '#include "pe-image.h"\n', 2, "no path from the root"),
    ("a folder without a rule", "extra/o.c", C, 1, "without a rule"),
    ("a header without pragma", "daemon/pe/p.h", C, 1, "no #pragma once"),
    (
        "a call of a sibling",
        "daemon/esp/q.c",
        C + "extern int pe_image_count(void);\nint q(void);\n\nint q(void) {\n        return pe_image_count();\n}\n",
        2,
        "may not use pe_image_count of daemon/pe/",
    ),
    (
        "a call of a library",
        "daemon/pe/r.c",
        C + "extern int json_dumps(void);\nint r(void);\n\nint r(void) {\n        return json_dumps();\n}\n",
        2,
        "may not use json_dumps of jansson",
    ),
    ("a wrong format", "daemon/pe/s.c", C + "int  s;\n", 2, "clang-format"),
    ("a missing licence line", "daemon/pe/t.c", "int t;\n", 1, "SPDX"),
    ("a host of package mirrors", "tests/lib/u.md", "see\nhttps://mirror.example/" + "debian/\n", 2, "package mirror"),
    ("another one", "tests/lib/v.md", "deb." + "debian" + ".org\n", 1, "package mirror"),
    ("unfinished work", "daemon/pe/w.c", C + "int w; /* TO" + "DO */\n", 2, "unfinished"),
    ("a long file", "daemon/pe/x.c", C + "\n".join(f"int x{i};" for i in range(601)) + "\n", 1, "does not say why"),
    ("a long function", "daemon/pe/y.c", C + LONG_FUNCTION, 4, "the function has"),
    ("white space at an end of line", "tests/lib/z.py", HASH + "print(1) \n", 2, "white space"),
    ("no newline at the end", "tests/lib/aa.py", HASH + "print(1)", 2, "newline"),
    ("a script that can't be run", "tests/lib/bb", "#!/bin/sh\n" + HASH, 1, "not executable"),
    ("bad shell", "tests/lib/cc.sh", "#!/bin/sh\n" + HASH + "echo $1\n", 3, "shellcheck"),
    ("bad Python", "tests/lib/dd.py", HASH + "print(\n", 2, "pyflakes3"),
    ("an unused import", "tests/lib/ee.py", HASH + "import os\n", 2, "imported but unused"),
]


def write(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as file:
        file.write(text)
    if text.startswith("#!") and path != "tests/lib/bb":
        os.chmod(full, 0o755)


def make_archives(root, folders):
    """Compiles each folder's files that define something; those that only show a wrong include need not compile."""
    for folder in folders:
        source = os.path.join(root, "daemon", folder)
        objects = []
        for name in sorted(os.listdir(source)):
            path = os.path.join(source, name)
            target = os.path.join(root, "build/release/daemon", folder, name[:-2] + ".o")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            command = ["gcc", "-I", root, "-w", "-c", path, "-o", target]
            if name.endswith(".c") and subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0:
                objects.append(target)
        subprocess.run(["ar", "rcs", os.path.join(root, f"build/release/daemon/{folder}.a")] + objects, check=True)


def lint(root, table):
    subprocess.run(["git", "init", "-q", root], check=True)
    write(root, ".gitignore", "/build/\n")
    with open(os.path.join(SOURCE, ".clang-format"), encoding="utf-8") as file:
        write(root, ".clang-format", file.read())
    make_archives(root, [row.split(":")[0] for row in table.split(";") if row])
    environment = dict(os.environ, LANZA_BUILD=os.path.join(root, "build"))
    return subprocess.run([LINT, table], cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


class Report:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def check(self, good, name, detail=""):
        self.count += 1
        self.failed += not good
        if not good:
            print("".join(f"# {line}\n" for line in detail.splitlines()), end="")
        print(f"{'ok' if good else 'not ok'} {self.count} {name}")


def main():
    report = Report()
    with tempfile.TemporaryDirectory() as root:
        for path, text in CLEAN.items():
            write(root, path, text)
        result = lint(root, TABLE)
        report.check(result.returncode == 0, "a tree without fault passes", result.stdout)

        for _, path, text, _, _ in PLANTED:
            write(root, path, text)
        result = lint(root, TABLE)
        findings = result.stdout.splitlines()
        report.check(result.returncode == 1, "a tree with faults fails", result.stdout)
        expected = set()
        for name, path, _, line, words in PLANTED:
            if not words:
                continue
            found = [finding for finding in findings if finding.startswith(f"{path}:{line}: ") and words in finding]
            report.check(len(found) >= 1, f"found: {name}", result.stdout)
            expected.update(found)
        others = [finding for finding in findings if finding not in expected and not finding.startswith("lint: ")]
        report.check(not others, "nothing else is found", "\n".join(others))

        result = lint(root, TABLE.replace("pe:crypto util:", "pe:crypto util keys:"))
        report.check("USES_pe names its sibling keys" in result.stdout, "found: a table that lets siblings meet", result.stdout)
        result = lint(root, TABLE.replace("util::", "util:pe:"))
        report.check("which uses util" in result.stdout, "found: a table with a circle", result.stdout)
    print(f"1..{report.count}")
    sys.exit(1 if report.failed else 0)


main()
