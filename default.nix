# SPDX-License-Identifier: LGPL-2.1-or-later
# For those who use no flakes: (import ./lanzad { }).nixosModules.default
{
  pkgs ? import <nixpkgs> { },
}:

rec {
  nixosModules = {
    default = ./units/nixos/module.nix;
    # The name that lanzaboote's has, for those who come from there.
    lanzaboote = nixosModules.default;
  };

  overlays.default = final: _: { lanzad = final.callPackage ./units/nixos/package.nix { }; };

  packages = rec {
    lanzad = pkgs.callPackage ./units/nixos/package.nix { };
    default = lanzad;
  };

  # Boots machines: nix-build -A tests
  tests = import ./units/nixos/test.nix { inherit pkgs; };
}
