# SPDX-License-Identifier: LGPL-2.1-or-later
# What package.nix asks stdenv for, but for its source, which takes a newer Nix than Debian's: { lib = path of nixpkgs' lib; }
{ lib }:

let
  library = import lib;
  package = name: { outPath = "/nix/store/${name}"; };
  built = import ../../units/nixos/package.nix {
    lib = library;
    stdenv = {
      mkDerivation = arguments: arguments;
      cc.targetPrefix = "";
    };
    buildPackages.llvmPackages = {
      clang = package "clang";
      clang-unwrapped = package "clang-unwrapped";
      lld = package "lld";
    };
    coreutils = package "coreutils";
    pkg-config = package "pkg-config";
    openssl = package "openssl";
    jansson = package "jansson";
    efivar = package "efivar";
    gnu-efi = package "gnu-efi";
    systemd = package "systemd";
  };
in
{
  inherit (built) version makeFlags;
  license = built.meta.license.spdxId;
  clang = built.env.CLANG;
}
