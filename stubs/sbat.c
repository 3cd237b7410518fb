/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Revocation levels for shim (github.com/rhboot/shim, SBAT.md): the second field of our line rises when a fault in the
 * stub makes older versions unsafe. Firmware without shim never reads it. Columns: component, generation, vendor,
 * package, version, address. */
__attribute__((used, section(".sbat"))) static const char sbat[] =
        "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"
        "lanzastub,1,lanzad,lanzastub," LANZA_VERSION ",-\n";
