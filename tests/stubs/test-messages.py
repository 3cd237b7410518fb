#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the stub says when a boot fails: a person in front of a console has nothing else to go by."""
import glob
import os
import re

SOURCE = os.environ.get("LANZA_SOURCE", os.getcwd())
CALL = re.compile(r"\bfail\(\s*why,\s*[^,]+,((?:\s*(?:\"(?:[^\"\\]|\\.)*\"|BOOT_ANOTHER))+)")
WAY_OUT = re.compile(r"(?:^|\. )(?:Boot|Restart|Start)\b[^.]*\.$")


def calls():
    """(file, sentence) of each call of fail(), with BOOT_ANOTHER spelled out."""
    with open(os.path.join(SOURCE, "stubs/efi.h"), encoding="utf-8") as file:
        another = re.search(r'#define BOOT_ANOTHER "(.*)"', file.read()).group(1)
    for path in sorted(glob.glob(os.path.join(SOURCE, "stubs/*.c"))):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        found = CALL.findall(text)
        if path.endswith("/efi.c"):
            continue  # fail() itself
        assert len(found) == len(re.findall(r"\bfail\(", text)), f"{path}: a call of fail() without a literal sentence"
        for literal in found:
            parts = re.findall(r'"((?:[^"\\]|\\.)*)"|(BOOT_ANOTHER)', literal)
            yield os.path.basename(path), "".join(another if name else part for part, name in parts)


def test_way_out():
    sentences = list(calls())
    assert len(sentences) > 10, sentences
    missing = [f"{path}: {sentence}" for path, sentence in sentences if not WAY_OUT.search(sentence)]
    assert not missing, "\n# ".join(["no way out:", *missing])


TESTS = [("each sentence of the stub ends with what to do", test_way_out)]


def main():
    print(f"1..{len(TESTS)}")
    for number, (title, test) in enumerate(TESTS, 1):
        try:
            test()
            print(f"ok {number} {title}")
        except Exception as error:
            print(f"not ok {number} {title}\n# {type(error).__name__}: {error}")


main()
