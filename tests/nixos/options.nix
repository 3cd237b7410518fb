# SPDX-License-Identifier: LGPL-2.1-or-later
# As much of NixOS' options as the module reads and sets, with the types and defaults that they have there. Some are left out on
# purpose that only newer releases have: a case declares them.
{ lib, ... }:

let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  enable = { enable = option types.bool false; };
  unit = {
    after = option (types.listOf types.str) [ ];
    before = option (types.listOf types.str) [ ];
    requires = option (types.listOf types.str) [ ];
    wants = option (types.listOf types.str) [ ];
    wantedBy = option (types.listOf types.str) [ ];
    unitConfig = option (types.attrsOf types.unspecified) { };
  };
  service = unit // {
    description = option types.str "";
    environment = option (types.attrsOf (types.nullOr types.str)) { };
    restartIfChanged = option types.bool true;
    serviceConfig = option (types.attrsOf types.unspecified) { };
  };
  units = unit: option (types.attrsOf (types.submodule { options = unit; })) { };
in
{
  options = {
    assertions = option (types.listOf types.unspecified) [ ];
    warnings = option (types.listOf types.str) [ ];

    boot = {
      bootspec = {
        enable = option types.bool true;
        extensions = option (types.attrsOf (types.attrsOf types.unspecified)) { };
      };
      initrd.secrets = option (types.attrsOf (types.nullOr types.path)) { };
      loader = {
        timeout = option (types.nullOr types.int) 5;
        supportsInitrdSecrets = option types.bool false;
        efi = {
          canTouchEfiVariables = option types.bool false;
          efiSysMountPoint = option types.str "/boot";
        };
        external = enable // {
          installHook = mkOption { type = types.path; };
        };
        grub.enable = option types.bool false;
        systemd-boot = enable // {
          configurationLimit = option (types.nullOr types.int) null;
          consoleMode = option types.str "keep";
          editor = option types.bool true;
          extraEntries = option (types.attrsOf types.lines) { };
          extraFiles = option (types.attrsOf types.path) { };
          extraInstallCommands = option types.lines "";
          memtest86 = enable;
        };
      };
    };

    fileSystems = option (types.attrsOf (
      types.submodule (
        { name, ... }:
        {
          options = {
            mountPoint = option types.str name;
            device = option (types.nullOr types.str) null;
            fsType = option types.str "auto";
            options = option (types.listOf types.str) [ "defaults" ];
          };
        }
      )
    )) { };

    environment = {
      systemPackages = option (types.listOf types.package) [ ];
      etc = option (types.attrsOf (types.submodule { options.source = mkOption { type = types.path; }; })) { };
    };
    security.polkit = enable // {
      extraConfig = option types.lines "";
    };
    services.fwupd = enable // {
      package = mkOption { type = types.package; };
      uefiCapsuleSettings = option (types.attrsOf types.unspecified) { };
    };
    services.dbus.packages = option (types.listOf types.path) [ ];
    systemd = {
      package = mkOption { type = types.package; };
      packages = option (types.listOf types.package) [ ];
      services = units service;
      targets = units unit;
      tmpfiles.rules = option (types.listOf types.str) [ ];
    };
  };
}
