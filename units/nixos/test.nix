# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests that boot a NixOS machine, for those who have Nix and KVM: nix-build -A tests, nix flake check
{ pkgs }:

{
  # From a machine that was just installed, without keys, to one whose firmware runs only what it signed, and on to its next generation.
  setup = pkgs.testers.runNixOSTest {
    name = "lanzad-setup";

    nodes.machine =
      { pkgs, ... }:
      {
        imports = [ ./module.nix ];

        boot.lanzaboote.enable = true;
        boot.loader.efi.canTouchEfiVariables = true;
        boot.loader.timeout = 0;

        virtualisation = {
          useBootLoader = true;
          useEFIBoot = true;
          useSecureBoot = true;
          efi.OVMF = pkgs.OVMFFull.fd;
          mountHostNixStore = false;
        };

        specialisation.other.configuration.environment.etc.other.text = "other";
      };

    testScript = ''
      machine.start(allow_reboot=True)
      machine.wait_for_unit("multi-user.target")
      machine.succeed("grep -q '^Stub=/nix/store/' /etc/lanza/lanzad.conf")
      machine.succeed("ls /boot/EFI/Linux/nixos-generation-1-*.efi")

      with subtest("one command, and a reboot"):
          machine.fail("lanzactl status --json=short | grep -q '\"secure-boot\":true'")
          machine.succeed("lanzactl setup --yes --yes-this-might-brick-my-machine")
          machine.reboot()
          machine.wait_for_unit("multi-user.target")
          assert "Secure Boot: enabled (user)" in machine.succeed("bootctl status")
          machine.succeed("lanzactl status --check")

      with subtest("the next switch is signed, too"):
          machine.succeed("/run/current-system/specialisation/other/bin/switch-to-configuration switch")
          machine.reboot()
          machine.wait_for_unit("multi-user.target")
          machine.succeed("test -e /etc/other")
          assert "Secure Boot: enabled (user)" in machine.succeed("bootctl status")

      with subtest("the service is there for whoever asks"):
          machine.succeed("systemctl is-enabled lanzad.service | grep -q static")
          machine.succeed("busctl call org.lanzaboote.Lanza1 /org/lanzaboote/Lanza1 org.freedesktop.DBus.Peer Ping")
    '';
  };
}
