# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of module.nix: firmware updates by fwupd, whose EFI helper has to be signed.
{ config, lib, ... }:

let
  cfg = config.boot.lanzaboote;
  fwupd = config.services.fwupd;

  # Where this fwupd looks for its helper.
  helpers = "${fwupd.package.fwupd-efi}/libexec/fwupd/efi";
in
{
  options.boot.lanzaboote.fwupd.enable = lib.mkEnableOption "" // {
    default = fwupd.enable;
    defaultText = lib.literalExpression "config.services.fwupd.enable";
    description = ''
      Whether to sign fwupd's EFI helper whenever fwupd starts, so that it can update the machine's firmware with Secure Boot on.
    '';
  };

  config = lib.mkIf (cfg.enable && cfg.fwupd.enable && fwupd.enable) {
    systemd.services.lanzad-sign-fwupd = {
      environment.HELPERS = helpers;
      restartIfChanged = false;
      unitConfig.RequiresMountsFor = cfg.pkiBundle;
    };
    systemd.services.fwupd = {
      wants = [ "lanzad-sign-fwupd.service" ];
      after = [ "lanzad-sign-fwupd.service" ];
      serviceConfig.BindReadOnlyPaths = [ "-/run/lanzad-fwupd/efi:${helpers}" ];
    };
    # There is no shim on these machines that would start it.
    services.fwupd.uefiCapsuleSettings.DisableShimForSecureBoot = lib.mkDefault true;
  };
}
