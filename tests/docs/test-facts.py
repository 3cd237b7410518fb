#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What README, guide and security model say is so: each figure is one that a check knows, and names of options, settings, files,
errors, certificates are those of the product."""
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from documents import DOCUMENTS, SOURCE, prose, read
from program_tests import LANZAD, Tree, run_tests

FOR_USERS = ("README.md", "GUIDE.md", "SECURITY.md")

# Figures in sentences. Names of things have no check; what has one stands below.
NAMES = r"SHA-256|x86_64|aarch64|PKCS#11|PCR \d+( and \d+)?|LGPL-2\.1-or-later|Debian 12"
# What others were when they were compared: a date.
DATED = r"lanzaboote 1\.1\.0|March 2026|systemd 257"


def lanzad(*arguments, status=0):
    done = subprocess.run([LANZAD, "--oneshot", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def table(document, header):
    """The rows below the line of HEADER, as lists of cells."""
    lines = read(document).split(header + "\n")[1].splitlines()[1:]
    rows = [line.strip("| ").split(" | ") for line in lines[: next((n for n, line in enumerate(lines) if not line.startswith("|")), len(lines))]]
    assert rows, header
    return rows


def sentences(document):
    """Prose without what is between backticks, and without links' targets."""
    return re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`\n]*`", "", prose(document)))


def unit(name):
    return (SOURCE / "units" / name).read_text()


# Each takes the match of its expression.
def is_exit_status(match):
    rows = {row[0]: row[1] for row in table("GUIDE.md", "| status | meaning |")}
    assert match[1] in rows


def is_of_certificates(match):
    years = set(re.findall(r"20\d\d", " ".join(path.name for path in (SOURCE / "daemon/firmware/vendor").glob("*.der"))))
    assert match[1] in years, (match[0], years)


def is_first_with_checks(match):
    assert f"NixOS before {match[1]} has no such checks" in (SOURCE / "units/nixos/module.nix").read_text()


def is_store_mode(match):
    with Tree() as tree:
        lanzad("create-keys", tree.option())
        store = tree.root / "var/lib/lanzad"
        wanted = {0o700: store, 0o600: store / "keys/db/db.key"}[int(match[1], 8)]
        assert stat.S_IMODE(wanted.stat().st_mode) == int(match[1], 8)


CHECKED = {
    r"^\| (\d) \| ": is_exit_status,
    r"exit status (\d)": is_exit_status,
    r"(?:CA|PCA) (20\d\d)|certificates? of (20\d\d)|that of (20\d\d)|Until (20\d\d) devices": lambda match: is_of_certificates([match[0], next(filter(None, match.groups()))]),
    r"NixOS (\d\d\.\d\d) and newer": is_first_with_checks,
    r"mode (0\d\d\d)|they are (0\d\d\d)": lambda match: is_store_mode([match[0], match[1] or match[2]]),
    r"uid 0 only": lambda match: None,  # tests/bus/test-sync-inputs.py
}


def test_figures():
    """Whoever writes a number names what shows it."""
    for document in FOR_USERS:
        text = sentences(document)
        for expression, check in CHECKED.items():
            for match in re.finditer(expression, text, re.MULTILINE):
                check(match)
            text = re.sub(expression, "", text, flags=re.MULTILINE)
        text = re.sub(f"{NAMES}|{DATED}", "", text)
        left = re.findall(r"[^\n]{0,30}\d[^\n]{0,20}", text)
        assert left == [], (document, left)


def test_statuses():
    page = re.sub(r"\n\.(Cm|Nm|Fl)", "", (SOURCE / "client/lanzactl.1").read_text()).split(".Sh EXIT STATUS")[1].split(".Sh ")[0]
    expected = [[number, text.lower().rstrip(".")] for number, text in re.findall(r"^\.It (\d)\n(.*)$", page, re.MULTILINE)]
    found = [[row[0], row[1].lower()] for row in table("GUIDE.md", "| status | meaning |")]
    assert found == expected, (found, expected)


def test_classes():
    """The table of Microsoft's certificates is what enroll-keys would add."""
    rows = table("GUIDE.md", "| class | in db | lets run |")
    assert [row[0] for row in rows] == ["`windows`", "`third-party`", "`option-rom`"], rows
    with Tree() as tree:
        options = [tree.option(), tree.firmware()]
        lanzad("create-keys", *options)
        lanzad("sync", *options)
        for name, certificates, _ in rows:
            result = lanzad("enroll-keys", "--dry-run", *options, f"--microsoft={name.strip('`')}", "--yes-this-might-brick-my-machine")
            added = {variable["variable"]: variable["certificates-added"] for variable in result["variables"]}
            names = {re.search(r"CN=([^,]*)", subject)[1] for subject in added["db"]} - {"NixOS db"}
            assert names == set(certificates.split(", ")), (name, names)
            assert len(added["KEK"]) == 1 + 2, added  # "Microsoft's two certificates for KEK"
        # "Without option-rom … enroll-keys refuses"
        refused = lanzad("enroll-keys", "--dry-run", *options, "--microsoft=windows", status=3)
        assert refused["error"]["name"].endswith("OptionRomRisk"), refused


def test_esp():
    """What stands on the ESP after a sync is what the table names."""
    expressions = []
    for row in table("GUIDE.md", "| path | what |"):
        for path in re.findall(r"`([^`]*)`", row[0]):
            expressions.append(path.replace(".", r"\.").replace("HASH", "[a-z2-7]{52}").replace("VERSION", r"[\w.]+").replace("-N-", r"-\d+-"))
    with Tree() as tree:
        lanzad("create-keys", tree.option())
        lanzad("sync", tree.option())
        found = {str(path.relative_to(tree.root / "boot")) for path in (tree.root / "boot").rglob("*") if path.is_file()}
    for expression in expressions:
        matching = {path for path in found if re.fullmatch(expression, path)}
        assert matching, (expression, found)
        found -= matching
    assert found == set(), found


def test_names():
    module = (SOURCE / "units/nixos/module.nix").read_text()
    settings = set(re.findall(r"^#(\w+)=", unit("lanzad.conf"), re.MULTILINE))
    errors = set(re.findall(r"^\.It Er (\w+)$", unit("lanzad.8"), re.MULTILINE))
    # Of systemd, in the same form.
    others = {"RuntimeWatchdogSec", "FailureAction", "Before", "RequiredBy"}
    for document in FOR_USERS:
        text = read(document)
        for option in re.findall(r"\bboot\.lanzaboote\.([A-Za-z.]+[A-Za-z])", text):
            for part in option.split("."):
                assert re.search(rf"\b{part}\b", module), (document, option)
        for name in re.findall(r"`([A-Z][A-Za-z]+)=", prose(document)):
            assert name in settings | others, (document, name)
        for name in re.findall(r"refuses with `(\w+)`", text):
            assert name in errors, (document, name)
        for path in re.findall(r"/usr/share/doc/lanzad/([\w.-]+)", text):
            assert (SOURCE / "units" / path).exists(), (document, path)
        for name in re.findall(r"\b(lanzad-[a-z-]+)\.service", text):
            assert (SOURCE / "units" / f"{name}.service").exists(), (document, name)
    for row in table("GUIDE.md", "| option | here |"):
        for name in re.findall(r"`([A-Za-z]+)`", row[0]):
            assert re.search(rf"\b{name}\b", module), name


def test_links():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)\s]*)\)", read(document)):
            path, _, anchor = target.partition("#")
            text = read(path or document)
            titles = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
            assert not anchor or anchor in titles, (document, target)


def test_sandbox():
    """What is said of the service's rights stands in its unit."""
    text = " ".join(read("SECURITY.md").split())
    service = unit("lanzad.service")
    capability, = re.findall(r"one capability \((\w+)\)", text)
    assert re.findall(r"^CapabilityBoundingSet=(.*)$", service, re.MULTILINE) == [capability]
    for said, line in (("no network", "PrivateNetwork=yes"), ("no devices", "PrivateDevices=yes"), ("no home folders", "ProtectHome=yes")):
        assert said in text and f"\n{line}\n" in service, line
    writable = " ".join(re.findall(r"^ReadWritePaths=(.*)$", service, re.MULTILINE)).replace("-/", "/").split()
    assert writable == ["/boot", "/efi", "/boot/efi", "/sys/firmware/efi/efivars"], writable
    assert "write to `/boot`, `/efi`, `/boot/efi`, its own state and the firmware's variables" in read("GUIDE.md")


def test_authority():
    """Who may do what stands in polkit's actions: by password, the firmware only at the machine, kept only for the ESP."""
    policy = (SOURCE / "dbus/org.lanzaboote.lanza1.policy").read_text()
    actions = {}
    for name, body in re.findall(r'<action id="org\.lanzaboote\.lanza1\.([a-z-]+)">(.*?)</action>', policy, re.DOTALL):
        actions[name] = dict(re.findall(r"<(allow_\w+)>(\w+)<", body))
    assert actions.keys() == {"sync", "manage-keys", "enroll"}, actions
    assert "`lanzactl setup` asks three times, once for each" in read("GUIDE.md")
    assert actions["enroll"] == {"allow_any": "no", "allow_inactive": "no", "allow_active": "auth_admin"}, actions
    assert set(actions["manage-keys"].values()) == {"auth_admin"}, actions
    assert [name for name, allowed in actions.items() if "auth_admin_keep" in allowed.values()] == ["sync"], actions


def main():
    os.environ["LANG"] = "C.UTF-8"
    run_tests("/docs/facts", {
        "every-figure-has-a-check": test_figures,
        "exit-statuses-are-those-of-the-manual-page": test_statuses,
        "microsoft's-certificates-are-those-that-are-enrolled": test_classes,
        "the-esp-holds-what-the-table-names": test_esp,
        "options-settings-errors-and-files-are-there": test_names,
        "links-lead-somewhere": test_links,
        "the-service's-rights-are-those-of-its-unit": test_sandbox,
        "who-may-do-what-is-polkit's-policy": test_authority,
    })  # fmt: skip


main()
