#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Signs FILES in place by the key of the tree ROOT, one after the other.
set -eu
keys=$1/var/lib/lanzad/keys/db
shift

for file in "$@"; do
        sbsign --key "$keys/db.key" --cert "$keys/db.pem" --output "$file" "$file"
done
