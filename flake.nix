# SPDX-License-Identifier: LGPL-2.1-or-later
{
  description = "Secure Boot for NixOS, owned by one service";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { nixpkgs, ... }:
    let
      lanzad = import ./. { pkgs = nixpkgs.legacyPackages.x86_64-linux; };
    in
    {
      inherit (lanzad) nixosModules overlays;
      packages.x86_64-linux = lanzad.packages;
      checks.x86_64-linux = lanzad.tests // {
        package = lanzad.packages.default;
      };
    };
}
