# SPDX-License-Identifier: LGPL-2.1-or-later
# What the module makes of a configuration: { lib = path of nixpkgs' lib; configuration = a module; }
{ lib, configuration }:

let
  library = import lib;

  # Nothing is built: of a package there is the name, of a text the file.
  package = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/${name}";
  };
  file = name: text: package name // { outPath = builtins.toFile name text; };
  pkgs = {
    lanzad = package "lanzad";
    coreutils = package "coreutils";
    writeText = file;
    writeShellScript = file;
    stdenv.hostPlatform.isx86_64 = true;
  };
  utils.escapeSystemdPath = path: library.replaceStrings [ "-" "/" ] [ "\\x2d" "-" ] (library.removePrefix "/" path);

  evaluated = library.evalModules {
    specialArgs = { inherit pkgs utils; };
    modules = [
      ./options.nix
      ../../units/nixos/module.nix
      {
        systemd.package = package "systemd";
        services.fwupd.package = package "fwupd" // { fwupd-efi = package "fwupd-efi"; };
      }
      configuration
    ];
  };
  inherit (evaluated) config;
  paths = map toString;
in
{
  refused = map (one: one.message) (library.filter (one: !one.assertion) config.assertions);
  inherit (config) warnings;
  inherit (config.boot.loader) supportsInitrdSecrets;
  hook = toString config.boot.loader.external.installHook;
  configuration = "${config.environment.etc."lanza/lanzad.conf".source or "none"}";
  extensions = config.boot.bootspec.extensions;
  installed = paths config.environment.systemPackages;
  bus = paths config.services.dbus.packages;
  units = paths config.systemd.packages;
  inherit (config.systemd) services targets;
  tmpfiles = config.systemd.tmpfiles.rules;
  polkit = config.security.polkit;
  capsules = config.services.fwupd.uefiCapsuleSettings;
  checks = config.system.preSwitchChecks or { };
}
