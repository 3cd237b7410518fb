#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What people do by hand for COUNT boot images: copy CONTENTS, add the sections, sign, put them in place; one sync in the end.
set -eu
root=$1 stub=$2 count=$3
shift 3
keys=$root/var/lib/lanzad/keys/db

mkdir -p "$root/boot/EFI/Linux" "$root/boot/EFI/nixos"
for content in "$@"; do
        cp "$content" "$root/boot/EFI/nixos/${content##*/}"
done
echo quiet > "$root/cmdline"
for i in $(seq "$count"); do
        objcopy --add-section .cmdline="$root/cmdline" --change-section-vma .cmdline=0x180040000 "$stub" "$root/image.efi"
        sbsign --key "$keys/db.key" --cert "$keys/db.pem" --output "$root/image.signed" "$root/image.efi"
        mv "$root/image.signed" "$root/boot/EFI/Linux/image-$i.efi"
done
sync -f "$root/boot"
