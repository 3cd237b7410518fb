#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Copies FILES into FOLDER durably and hashes them, one after the other: what a first installation cannot do without.
set -eu
folder=$1
shift

for file in "$@"; do
        name=${file#*/nix/store/}
        cp "$file" "$folder/${name//\//-}"
done
sync -f "$folder"
openssl dgst -sha256 "$@"
