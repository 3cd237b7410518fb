#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Replays every fuzzer's corpus, with sanitizers: one test a fuzzer. A fuzzer without a corpus fails."""
import os
import subprocess
from pathlib import Path

source = Path(os.environ["LANZA_SOURCE"]) / "tests/fuzz"
programs = Path(os.environ["LANZA_BUILD"]) / os.environ.get("LANZA_VARIANT", "san") / "replay"

fuzzers = sorted(path.stem.removeprefix("fuzz-") for path in source.glob("fuzz-*.c"))
print(f"1..{len(fuzzers)}")
for number, name in enumerate(fuzzers, 1):
    corpus = sorted(str(path) for path in (source / "corpus" / name).glob("*"))
    command = [str(programs / f"replay-{name}"), *corpus]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
    good = corpus and run.returncode == 0
    if not good:
        print("".join(f"# {line}\n" for line in run.stdout.decode("utf-8", "replace").splitlines()), end="")
    print(f"{'ok' if good else 'not ok'} {number} /fuzz/{name}/corpus-of-{len(corpus)}-inputs-is-survived")
