# SPDX-License-Identifier: LGPL-2.1-or-later
# The package: pkgs.callPackage ./package.nix { }
{
  lib,
  stdenv,
  buildPackages,
  coreutils,
  pkg-config,
  openssl,
  jansson,
  efivar,
  gnu-efi,
  systemd,
  systemdLibs ? systemd,
}:

let
  root = ../..;
  llvm = buildPackages.llvmPackages;
  out = placeholder "out";
in
stdenv.mkDerivation {
  pname = "lanzad";
  version = lib.head (builtins.match ".*\nVERSION := ([^\n]+)\n.*" (builtins.readFile (root + "/Makefile")));

  # What is compiled and installed: a change of a document or of the module builds nothing anew.
  src = lib.fileset.toSource {
    inherit root;
    fileset = lib.fileset.unions [
      (root + "/Makefile")
      (root + "/stubs")
      (root + "/daemon")
      (root + "/client")
      (root + "/dbus")
      (lib.fileset.difference (root + "/units") (root + "/units/nixos"))
      (lib.fileset.fileFilter (file: file.name == "build.mk") (root + "/tests"))
    ];
  };

  strictDeps = true;
  nativeBuildInputs = [ pkg-config ];
  buildInputs = [
    openssl
    jansson
    efivar
    systemdLibs
  ];

  # The stub is a freestanding program for another system: the compiler without the wrapper's flags for this one, but with its own headers.
  env.CLANG = "${llvm.clang-unwrapped}/bin/clang -resource-dir=${llvm.clang}/resource-root";

  makeFlags = [
    "prefix=${out}"
    "sbindir=${out}/bin"
    "sysconfdir=${out}/etc"
    "touch=${coreutils}/bin/touch"
    "rm=${coreutils}/bin/rm"
    "mkdir=${coreutils}/bin/mkdir"
    "cp=${coreutils}/bin/cp"
    "mv=${coreutils}/bin/mv"
    # Only the module knows which fwupd there is.
    "fwupddir=/run/no-fwupd"
    "loaderdir=${systemd}/lib/systemd/boot/efi"
    "EFI_INCLUDE=${gnu-efi}/include/efi"
    "LLD_LINK=${llvm.lld}/bin/lld-link"
    "AR=${stdenv.cc.targetPrefix}ar"
    "WERROR="
  ];
  buildFlags = [ "all" ];
  enableParallelBuilding = true;

  # The module says it all.
  postInstall = ''
    rm -r $out/lib/systemd/system/fwupd.service.d
  '';

  # strip(1) would move what stands in front of the stub's first section. The stub as it was built:
  postFixup = ''
    install -m 644 build/stubs/lanzastubx64.efi $out/lib/lanzad/lanzastubx64.efi
  '';

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    $out/bin/lanzad --version
    $out/bin/lanzactl --version
    runHook postInstallCheck
  '';

  meta = {
    description = "Secure Boot for NixOS, owned by one service";
    license = lib.licenses.lgpl21Plus;
    platforms = [ "x86_64-linux" ];
    mainProgram = "lanzactl";
  };
}
