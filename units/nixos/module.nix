# SPDX-License-Identifier: LGPL-2.1-or-later
# The NixOS module. Options keep the names that lanzaboote gave them where they mean the same.
{
  config,
  lib,
  options,
  pkgs,
  utils,
  ...
}:

let
  inherit (lib) mkOption types;

  cfg = config.boot.lanzaboote;
  loader = config.boot.loader;
  systemdBoot = loader.systemd-boot;

  espPath = loader.efi.efiSysMountPoint;
  espPaths = [ espPath ] ++ cfg.extraEfiSysMountPoints;
  bootPaths = espPaths ++ lib.optional (cfg.xbootldrMountPoint != null) cfg.xbootldrMountPoint;

  stub = "${cfg.package}/lib/lanzad/lanzastubx64.efi";
  lanzactl = "${cfg.package}/bin/lanzactl";

  # --- What the programs read ------------------------------------------------------------------------------------

  scalar = types.oneOf [
    types.bool
    types.int
    types.singleLineStr
  ];
  toText = value: if value == true then "yes" else if value == false then "no" else toString value;
  withoutNull = lib.filterAttrs (_: value: value != null);

  loaderConf = pkgs.writeText "loader.conf" (
    lib.concatStrings (lib.mapAttrsToList (key: value: "${key} ${toText value}\n") (withoutNull cfg.settings))
  );
  lanzadConf = pkgs.writeText "lanzad.conf" (
    lib.generators.toINI { mkKeyValue = key: value: "${key}=${toText value}"; } (lib.mapAttrs (_: withoutNull) cfg.daemonSettings)
  );

  # Activation takes a path, not a command. It is called with the new system's toplevel.
  installHook = pkgs.writeShellScript "lanzad-install" ''
    exec ${lanzactl} sync --hook --config=${lanzadConf} -- "$1"
  '';

  # --- What is mounted where -------------------------------------------------------------------------------------

  fileSystems = lib.attrValues config.fileSystems;
  fileSystemAt = path: lib.findFirst (fs: fs.mountPoint == path) null fileSystems;

  # The file system that PATH is on.
  isBelow = path: mountPoint: mountPoint == "/" || path == mountPoint || lib.hasPrefix "${mountPoint}/" path;
  fileSystemOf =
    path:
    lib.foldl' (
      best: fs:
      if isBelow path fs.mountPoint && (best == null || lib.stringLength fs.mountPoint >= lib.stringLength best.mountPoint) then
        fs
      else
        best
    ) null fileSystems;

  # Others than root have no way into the mounted folder.
  isPrivate = fs: lib.any (option: builtins.match "(umask|dmask)=[0-7]*7" option != null) fs.options;
  isFat = fs: lib.elem fs.fsType [
    "vfat"
    "auto"
  ];

  mountUnit = path: "${utils.escapeSystemdPath path}.mount";

  # What lanzad.service may write to without being told: lanzad(8), SANDBOX.
  writablePaths = [
    "/boot"
    "/efi"
    "/boot/efi"
    "/var/lib/lanzad"
  ];

  # A unit of the package, enabled, for this key store: an empty condition takes those away that the unit has. It runs at a start of the
  # machine only: an activation starts what is new, too, and a configuration that is tried by "nixos-rebuild test" is not installed.
  provisioning =
    conditions: more:
    lib.recursiveUpdate {
      wantedBy = [ "multi-user.target" ];
      after = map mountUnit bootPaths;
      restartIfChanged = false;
      environment.KEYS = cfg.pkiBundle;
      serviceConfig.ExecCondition = [ "${pkgs.coreutils}/bin/test /run/booted-system -ef /run/current-system" ];
      unitConfig = {
        RequiresMountsFor = cfg.pkiBundle;
        ConditionPathExists = [ "" ] ++ conditions;
      };
    } more;

  setupMode = "/sys/firmware/efi/efivars/SetupMode-8be4df61-93ca-11d2-aa0d-00e098032b8c";
  enrollConditions = [
    "${cfg.pkiBundle}/keys/PK/PK.key"
    "!${cfg.pkiBundle}/provisioning"
    "!${cfg.pkiBundle}/enrolled"
  ];
  enrolling =
    conditions: more:
    provisioning conditions (
      lib.recursiveUpdate {
        environment.ENROLL = toString (
          lib.optional cfg.autoEnrollKeys.includeMicrosoftKeys "--microsoft"
          ++ lib.optional cfg.autoEnrollKeys.allowBrickingMyMachine "--yes-this-might-brick-my-machine"
        );
        serviceConfig.ExecStart = lib.optional cfg.autoEnrollKeys.autoReboot "${config.systemd.package}/bin/systemctl --no-block reboot";
      } more
    );

  isPathText = path: builtins.match "/[^[:space:]%$\"'\\\\]*" path != null && builtins.match ".*/\\.\\.?(/.*)?" path == null;
  isInStore = path: lib.hasPrefix "${builtins.storeDir}/" (toString path);
  certificateIsDefault = toString cfg.publicKeyFile == "${cfg.pkiBundle}/keys/db/db.pem";
  keyIsDefault = toString cfg.privateKeyFile == "${cfg.pkiBundle}/keys/db/db.key";
  limit = if cfg.configurationLimit == null then 0 else cfg.configurationLimit;

  removed = name: text: lib.mkRemovedOptionModule ([ "boot" "lanzaboote" ] ++ name) text;
in
{
  imports = [
    ./fwupd.nix
    (removed [ "enrollKeys" ] "Keys are enrolled by `lanzactl setup`.")
    (removed [ "autoEnrollKeys" "includeFirmwareBuiltinKeys" ] ''
      lanzad does not enroll the firmware's default keys. What is in the firmware's variables when keys are enrolled stays there.
    '')
    (removed [ "autoEnrollKeys" "includeChecksumsFromTPM" ] ''
      lanzad does not enroll digests of device firmware. With includeMicrosoftKeys that firmware runs by Microsoft's signature.
    '')
    (removed [ "installCommand" ] ''
      Images are built without it: `lanzad --oneshot sync --root=DIR --config=FILE TOPLEVEL` works on the tree of an image, with the
      store, the profile and the ESP below DIR. FILE is `config.environment.etc."lanza/lanzad.conf".source`.
    '')
    (removed [ "measuredBoot" ] ''
      lanzad runs no systemd-pcrlock, and its stub measures nothing. The firmware measures the boot loader and each boot image, which has the
      command line and the hashes of kernel and initrds in it, into PCR 4.
    '')
  ];

  options.boot.lanzaboote = {
    enable = lib.mkEnableOption "Secure Boot with lanzad, which installs signed boot images of this system and systemd-boot";

    package = mkOption {
      type = types.package;
      default = pkgs.lanzad or (pkgs.callPackage ./package.nix { });
      defaultText = lib.literalExpression "pkgs.lanzad";
      description = "The lanzad package.";
    };

    configurationLimit = mkOption {
      type = types.nullOr types.int;
      default = systemdBoot.configurationLimit;
      defaultText = lib.literalExpression "config.boot.loader.systemd-boot.configurationLimit";
      example = 20;
      description = ''
        How many of the newest generations of a profile are in the boot menu; `null` means all. The default one and the booted one
        always are.
      '';
    };

    settings = mkOption {
      type = types.attrsOf (types.nullOr scalar);
      default = { };
      example = lib.literalExpression ''
        {
          editor = null; # no such line
          beep = true;
          timeout = 10;
        }
      '';
      description = ''
        What stands in systemd-boot's {file}`loader.conf`, see {manpage}`loader.conf(5)`; `null` leaves a line out. Timeout, console
        mode and editor come from {option}`boot.loader.timeout` and {option}`boot.loader.systemd-boot`. `default` and `preferred` are
        lanzad's.
      '';
    };

    daemonSettings = mkOption {
      type = types.attrsOf (types.attrsOf (types.nullOr (types.either scalar (types.listOf types.singleLineStr))));
      default = { };
      example = lib.literalExpression ''{ Keys.PlatformKey = "/run/keys/PK.key"; }'';
      description = ''
        What stands in {file}`/etc/lanza/lanzad.conf`, by section and key, see {manpage}`lanzad.conf(5)`. The other options here
        set most of it; `null` leaves a line out.
      '';
    };

    sortKey = mkOption {
      type = types.str;
      default = "lanza";
      description = ''
        What the boot menu sorts this system's entries by, relative to other systems. It is part of a generation: a change counts
        from the next one.
      '';
    };

    bootCounting.initialTries = mkOption {
      type = types.ints.between 0 1000000;
      default = 0;
      description = ''
        How often a new generation may fail to boot before the boot loader takes an older one; 0: no boot counting. A boot is good
        once `boot-complete.target` is reached, which comes after `multi-user.target`: what has to work before that is `requiredBy`
        and `before` it. See <https://systemd.io/AUTOMATIC_BOOT_ASSESSMENT/>.
      '';
    };

    extraEfiSysMountPoints = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "/boot2" ];
      description = ''
        Further EFI system partitions, brought to the same state as {option}`boot.loader.efi.efiSysMountPoint`, so that the machine
        boots when a disk is gone. One that is missing or full does not stop a switch.
      '';
    };

    xbootldrMountPoint = mkOption {
      type = types.nullOr types.str;
      default = systemdBoot.xbootldrMountPoint or null;
      defaultText = lib.literalExpression "config.boot.loader.systemd-boot.xbootldrMountPoint";
      description = ''
        Where an extended boot loader partition (XBOOTLDR) is mounted. Images, kernels and initrds stand there; the boot loader and
        its configuration stay on the EFI system partition.
      '';
    };

    entryToken = mkOption {
      type = types.nullOr (types.strMatching "[A-Za-z0-9._]{1,16}");
      default = null;
      description = ''
        Begins the images' names in place of `nixos`, for two installations that share an EFI system partition and keys.
      '';
    };

    strictPermissions = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Refuse an EFI system partition that others can read while initrd secrets stand on it, instead of warning of it.
      '';
    };

    checkMountPoints = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Check that {option}`fileSystems` mounts the partitions above. Where something else mounts them, turn it off. lanzad itself
        writes to no folder that no EFI system partition is mounted on.
      '';
    };

    pkiBundle = mkOption {
      type = types.str;
      default = "/var/lib/lanzad";
      example = "/var/lib/sbctl";
      description = ''
        The key store, a folder of root's: the owner's GUID and the keys, in the layout that sbctl has, too. It has to survive a
        reboot, and nobody else may read it.
      '';
    };

    publicKeyFile = mkOption {
      type = types.path;
      default = "${cfg.pkiBundle}/keys/db/db.pem";
      defaultText = lib.literalExpression ''"''${config.boot.lanzaboote.pkiBundle}/keys/db/db.pem"'';
      description = "The certificate that images are signed with, where it is not in the key store.";
    };

    privateKeyFile = mkOption {
      type = types.path;
      default = "${cfg.pkiBundle}/keys/db/db.key";
      defaultText = lib.literalExpression ''"''${config.boot.lanzaboote.pkiBundle}/keys/db/db.key"'';
      description = "The key that images are signed with, where it is not in the key store. It must not be in the Nix store.";
    };

    allowUnsigned = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether images may be unsigned as long as there never were keys and Secure Boot does not enforce: how a machine boots before
        `lanzactl setup`, which needs lanzad installed. Without it such a switch fails. Once there are keys this means nothing.
      '';
    };

    autoGenerateKeys.enable = lib.mkEnableOption "" // {
      description = ''
        Whether to make keys at the first start that finds none, and to sign the boot images with them. Starts that are cut off are
        finished by the next one.
      '';
    };

    autoEnrollKeys = {
      enable = lib.mkEnableOption "" // {
        description = ''
          Whether to enroll the keys when a start finds the firmware in Setup Mode. That is done once; what `lanzactl enroll-keys`
          refuses is not done.
        '';
      };

      autoReboot = lib.mkEnableOption "" // {
        description = "Whether to reboot when the keys have been enrolled, so that Secure Boot is on without anybody's doing.";
      };

      method = mkOption {
        type = types.enum [
          "system"
          "boot-loader"
        ];
        default = "system";
        description = ''
          Who enrolls: the running system, which checks first that everything that the machine boots would run, or systemd-boot, for
          firmware that takes keys only from there. For the latter the keys are left on the EFI system partition, in
          {file}`loader/keys/auto`, and enrolled by whichever start finds the firmware in Setup Mode.
        '';
      };

      includeMicrosoftKeys = lib.mkEnableOption "" // {
        default = true;
        description = "Whether to enroll Microsoft's certificates, too, which the firmware of graphics cards and other devices may need.";
      };

      allowBrickingMyMachine = lib.mkEnableOption "" // {
        description = ''
          Whether no device of this machine needs firmware that its vendor signed. A machine that does need it may show nothing at all
          afterwards, not even the firmware's settings.
        '';
      };
    };

    logLevel = mkOption {
      type = types.enum [
        "err"
        "warning"
        "notice"
        "info"
        "debug"
      ];
      default = "info";
      description = "What the journal keeps of what {command}`lanzad.service` says: messages of this level and more important ones.";
    };

    polkitGroup = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "secureboot";
      description = ''
        Members of this group may do what otherwise takes an administrator ({option}`security.polkit.adminIdentities`), and confirm
        it with their own password. Changing the firmware's keys still takes somebody who sits at the machine.
      '';
    };
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        assertions =
          map
            (name: {
              assertion = !(loader.${name}.enable or false);
              message = ''
                boot.lanzaboote.enable and boot.loader.${name}.enable exclude each other: lanzad installs its own, signed systemd-boot.
                Remove boot.loader.${name}.enable, or set it to lib.mkForce false. The other options of boot.loader.systemd-boot
                (configurationLimit, consoleMode, editor) keep their meaning.
              '';
            })
            [
              "systemd-boot"
              "grub"
              "limine"
              "refind"
              "generic-extlinux-compatible"
            ]
          ++ map (path: {
            assertion = isPathText path;
            message = "boot.lanzaboote: '${path}' is no path that lanzad takes: absolute, without spaces, quotes, % $ \\, '.' and '..'.";
          }) (bootPaths ++ [ cfg.pkiBundle ])
          ++ lib.concatMap (path: [
            {
              assertion = cfg.checkMountPoints -> fileSystemAt path != null;
              message = ''
                boot.lanzaboote: nothing is mounted on ${path}, where the boot partition is to be. Mount it with
                fileSystems."${path}", name another place (boot.loader.efi.efiSysMountPoint, boot.lanzaboote.extraEfiSysMountPoints,
                boot.lanzaboote.xbootldrMountPoint), or, if something else mounts it, set boot.lanzaboote.checkMountPoints = false.
              '';
            }
            {
              assertion = fileSystemAt path != null -> isFat (fileSystemAt path);
              message = "boot.lanzaboote: fileSystems.\"${path}\" has fsType ${
                toString (fileSystemAt path).fsType or "?"
              }; firmware and boot loader read vfat.";
            }
          ]) bootPaths
          ++ [
            {
              assertion = bootPaths == lib.unique bootPaths;
              message = "boot.lanzaboote: each partition is named once; these are: ${toString bootPaths}.";
            }
            {
              assertion = limit >= 0 && limit <= 1000000;
              message = "boot.lanzaboote.configurationLimit is ${toString limit}: a number from 0 to 1000000 is needed; 0 and null mean all.";
            }
            {
              assertion = builtins.match "[A-Za-z0-9._-]{0,64}" cfg.sortKey != null;
              message = "boot.lanzaboote.sortKey is '${cfg.sortKey}': up to 64 letters, digits and . _ - are needed.";
            }
            {
              assertion = !lib.any isInStore [
                cfg.pkiBundle
                cfg.privateKeyFile
              ];
              message = ''
                boot.lanzaboote: the private key would be in the Nix store, where everybody can read it. Give pkiBundle and privateKeyFile
                as strings, with a path outside.
              '';
            }
            {
              assertion = certificateIsDefault == keyIsDefault;
              message = "boot.lanzaboote: publicKeyFile and privateKeyFile belong together; name both or neither.";
            }
            {
              assertion = cfg.autoEnrollKeys.enable -> cfg.autoEnrollKeys.includeMicrosoftKeys || cfg.autoEnrollKeys.allowBrickingMyMachine;
              message = ''
                boot.lanzaboote.autoEnrollKeys: without Microsoft's certificates a device whose firmware Microsoft signed, such as a
                graphics card, would not run any more. Set includeMicrosoftKeys, or, if there is no such device, allowBrickingMyMachine.
              '';
            }
            {
              assertion = config.boot.bootspec.enable or true;
              message = "boot.lanzaboote needs boot.bootspec.enable: a generation says there which stub and sort key it has.";
            }
            {
              assertion = pkgs.stdenv.hostPlatform.isx86_64;
              message = "boot.lanzaboote: lanzad's stub exists for x86_64 only.";
            }
          ];

        warnings =
          lib.optional (lib.elem (fileSystemOf cfg.pkiBundle).fsType or null [
            "tmpfs"
            "ramfs"
          ]) ''
            boot.lanzaboote.pkiBundle, ${cfg.pkiBundle}, is on a ${(fileSystemOf cfg.pkiBundle).fsType}: the keys are gone after a reboot,
            and with Secure Boot on nothing new can be signed. Keep the folder on a disk, as a fileSystems entry of its own.
          ''
          ++ lib.concatMap (
            path:
            lib.optional
              (config.boot.initrd.secrets or { } != { } && fileSystemAt path != null && !isPrivate (fileSystemAt path))
              ''
                boot.lanzaboote: everybody can read ${path}, and with it the secrets of boot.initrd.secrets. Add "umask=0077" to
                fileSystems."${path}".options.
              ''
          ) bootPaths
          ++ lib.optional (lib.any (key: !lib.elem (cfg.settings.${key} or null) [ null "nixos-*" ]) [
            "default"
            "preferred"
          ]) "boot.lanzaboote.settings: default and preferred have no effect, lanzad names the default entry itself."
          ++ lib.concatMap (
            name:
            lib.optional (lib.elem (systemdBoot.${name} or { }).enable or (systemdBoot.${name} or { } != { }) [ true ])
              "boot.loader.systemd-boot.${name} has no effect: its entries and files are installed by NixOS' own builder for systemd-boot."
          ) [ "extraEntries" "extraFiles" "memtest86" "netbootxyz" "edk2-uefi-shell" "windows" ]
          ++ lib.optional (systemdBoot.extraInstallCommands or "" != "") ''
            boot.loader.systemd-boot.extraInstallCommands is not run: lanzad installs the boot loader itself. Where it keeps other
            partitions in the same state, boot.lanzaboote.extraEfiSysMountPoints does that.
          '';

        boot.lanzaboote.settings = lib.mapAttrs (_: lib.mkDefault) (
          {
            timeout = if loader.timeout == null then "menu-force" else loader.timeout;
            console-mode = systemdBoot.consoleMode;
            editor = systemdBoot.editor;
          }
          // lib.optionalAttrs (systemdBoot.rebootForBitlocker or false) { reboot-for-bitlocker = true; }
        );

        boot.lanzaboote.daemonSettings = lib.mapAttrs (_: lib.mapAttrs (_: lib.mkDefault)) {
          Keys = {
            Directory = cfg.pkiBundle;
            DatabaseKey = if keyIsDefault then null else toString cfg.privateKeyFile;
            DatabaseCertificate = if certificateIsDefault then null else toString cfg.publicKeyFile;
          };
          Boot = {
            Limit = limit;
            Tries = cfg.bootCounting.initialTries;
            Stub = stub;
            Loader = "${config.systemd.package}/lib/systemd/boot/efi/systemd-bootx64.efi";
            LoaderConfig = "${loaderConf}";
            SortKey = cfg.sortKey;
            EntryToken = cfg.entryToken;
            AllowUnsigned = if cfg.allowUnsigned then "auto" else "no";
          };
          Esp = {
            Path = espPath;
            ExtraPaths = if cfg.extraEfiSysMountPoints == [ ] then null else cfg.extraEfiSysMountPoints;
            XbootldrPath = cfg.xbootldrMountPoint;
            BootEntry = if loader.efi.canTouchEfiVariables then "auto" else "no";
            StrictPermissions = cfg.strictPermissions;
          };
        };

        boot.loader.supportsInitrdSecrets = true;
        boot.loader.external = {
          enable = true;
          inherit installHook;
        };
        boot.bootspec.extensions."org.lanzaboote.lanzad" = {
          inherit (cfg) sortKey;
          inherit stub;
        };

        environment.systemPackages = [ cfg.package ];
        environment.etc."lanza/lanzad.conf".source = lanzadConf;
        services.dbus.packages = [ cfg.package ];
        systemd.packages = [ cfg.package ];
        systemd.tmpfiles.rules = [
          "d ${cfg.pkiBundle} 0700 root root -"
          "d /var/cache/lanzad 0700 root root -"
        ];

        # It ends by itself when nobody asks for a minute; until then lanzactl of another version does without it.
        systemd.services.lanzad = {
          restartIfChanged = false;
          after = map mountUnit bootPaths;
          serviceConfig = {
            ReadWritePaths = map (path: "-${path}") (lib.subtractLists writablePaths (bootPaths ++ [ cfg.pkiBundle ]));
            LogLevelMax = cfg.logLevel;
          };
        };
      }

      (lib.mkIf (cfg.bootCounting.initialTries > 0) {
        # systemd-bless-boot.service, which its generator starts where boots are counted, comes after this target.
        systemd.targets.boot-complete.after = [ "multi-user.target" ];
      })

      (lib.mkIf cfg.autoGenerateKeys.enable {
        systemd.services.lanzad-generate-keys = provisioning [ "!${cfg.pkiBundle}/keys" ] { };
        systemd.services.lanzad-sign-images = provisioning [
          "${cfg.pkiBundle}/keys"
          "${cfg.pkiBundle}/provisioning"
        ] { };
      })

      (lib.mkIf (cfg.autoEnrollKeys.enable && cfg.autoEnrollKeys.method == "system") {
        systemd.services.lanzad-enroll-keys = enrolling ([ setupMode ] ++ enrollConditions) { };
      })

      (lib.mkIf (cfg.autoEnrollKeys.enable && cfg.autoEnrollKeys.method == "boot-loader") {
        systemd.services.lanzad-leave-keys = enrolling (enrollConditions ++ [ "${espPath}/loader/loader.conf" ]) {
          environment.ESP = espPath;
          unitConfig.ConditionFileNotEmpty = [
            ""
            "!${espPath}/loader/keys/auto/PK.auth"
          ];
        };
        boot.lanzaboote.settings.secure-boot-enroll = lib.mkDefault "force";
      })

      (lib.mkIf (cfg.polkitGroup != null) {
        security.polkit.enable = lib.mkDefault true;
        security.polkit.extraConfig = ''
          polkit.addRule(function(action, subject) {
            if (action.id.indexOf("org.lanzaboote.lanza1.") != 0 || !subject.isInGroup(${builtins.toJSON cfg.polkitGroup}))
              return polkit.Result.NOT_HANDLED;
            if (action.id == "org.lanzaboote.lanza1.enroll" && !(subject.local && subject.active))
              return polkit.Result.NO;
            return action.id == "org.lanzaboote.lanza1.sync" ? polkit.Result.AUTH_SELF_KEEP : polkit.Result.AUTH_SELF;
          });
        '';
      })

      # NixOS before 24.11 has no such checks.
      (lib.optionalAttrs (options ? system.preSwitchChecks) {
        # What would not boot or not fit is said before anything is stopped; only switch and boot install anything.
        system.preSwitchChecks.lanzad = ''
          case "''${NIXOS_ACTION:-switch}" in
            switch | boot) ${lanzactl} sync --dry-run --quiet --hook --config=${lanzadConf} -- "$1" ;;
            check) ${lanzactl} sync --dry-run --quiet --hook --allow-unlisted --config=${lanzadConf} -- "$1" ;;
          esac
        '';
      })
    ]
  );
}
