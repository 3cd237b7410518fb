/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The contract between the daemon, which assembles and signs boot images, and lanzastub, which runs them. Nothing else
 * is shared across that line. It is plain preprocessor text: no types, so that firmware code, the daemon and host tests
 * can all include it.
 *
 * A boot image is the stub's PE file with the sections below appended, then signed. The sections and their meaning are
 * those of lanzaboote's images and of the UKI specification (UAPI.5), which both stay loadable.
 *
 * Appending a section
 * -------------------
 * - The stub as it is built has room for LANZA_STUB_FREE_SECTION_HEADERS more section headers: that many times 40
 *   bytes, all zero, between the end of its section table and SizeOfHeaders. A test of the built stub holds it to that.
 *   A new header is written there; nothing in the file moves, and SizeOfHeaders stays.
 * - Its FileAlignment and SectionAlignment are in its optional header (2048 and 4096 today: read them, don't assume).
 *   PointerToRawData and SizeOfRawData are multiples of the first, VirtualAddress of the second, in ascending order
 *   behind the last section. The padding is zero. SizeOfImage, SizeOfInitializedData, NumberOfSections and CheckSum
 *   follow.
 * - VirtualSize is the exact length of the content, never rounded: it is what is read, compared and measured. It is not
 *   zero (content of zero bytes means: no such section) and not above SizeOfRawData.
 * - Characteristics are LANZA_SECTION_CHARACTERISTICS: initialised data, readable, never writable or executable.
 * - Each name occurs at most once. The stub refuses an image in which one of these names occurs twice.
 * - The stub has no symbol table and no certificate table of its own; .sbat and .reloc are its own sections.
 */

/* Section names: up to eight bytes, padded with NUL in the header; with eight there is no NUL. */
#define LANZA_SECTION_OSREL ".osrel"        /* os-release text for the boot loader's menu */
#define LANZA_SECTION_CMDLINE ".cmdline"    /* kernel command line: see below */
#define LANZA_SECTION_KERNEL ".linux"       /* ESP path of the kernel; or, where it begins with "MZ", the kernel */
#define LANZA_SECTION_KERNEL_HASH ".linuxh" /* SHA-256 of the whole kernel file, LANZA_HASH_SIZE raw bytes */
#define LANZA_SECTION_INITRD ".initrd"      /* list of ESP paths; or, where the kernel is embedded, the initrd itself */
#define LANZA_SECTION_INITRD_HASH ".initrdh" /* one SHA-256 a path, raw, in the order of the paths, nothing between */
#define LANZA_SECTION_UNAME ".uname"         /* kernel release, text */
#define LANZA_SECTION_SBAT ".sbat"           /* revocation levels, CSV; the stub brings its own */
#define LANZA_SECTION_SPLASH ".splash"       /* picture */
#define LANZA_SECTION_UCODE ".ucode"         /* early initrd with microcode */
#define LANZA_SECTION_DTB ".dtb"             /* device tree */
#define LANZA_SECTION_PROFILE ".profile"     /* begins a profile of a multi-profile image */
#define LANZA_SECTION_PCRSIG ".pcrsig"       /* signed PCR policies, JSON */
#define LANZA_SECTION_PCRPKEY ".pcrpkey"     /* their public key, PEM */

/* IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ */
#define LANZA_SECTION_CHARACTERISTICS 0x40000040u

/* What the built stub guarantees. */
#define LANZA_STUB_FREE_SECTION_HEADERS 16

/* SHA-256. */
#define LANZA_HASH_SIZE 32

/* ESP paths
 * ---------
 * A path names a file on the volume that the boot image itself was loaded from (ESP or XBOOTLDR), from its root. It is
 *
 *     path      = 1*( "\" component )               ; LANZA_ESP_PATH_MAX_BYTES at most, no NUL at its end
 *     component = 1*character                       ; not beginning with a space, not ending with a space or a "."
 *     character = %x20-7E except " * / : < > ? \ |  ; printable ASCII that FAT allows in a long name
 *
 * So it begins with a backslash, has no slash, no empty component, no backslash at its end, and neither "." nor "..".
 * The rule about spaces and dots at the edges is there because FAT drivers strip them: two spellings would name one
 * file. FAT compares names without regard to case: so must whoever compares two paths to decide whether they name one
 * file.
 *
 * .linux is exactly one path. .initrd is one path or several, up to LANZA_INITRDS_MAX, joined by one LF: no LF at the
 * end, no empty line, no CR. The section .initrd may be missing (no initrd); it may not be empty. The same path may
 * occur twice. */
#define LANZA_ESP_PATH_MAX_BYTES 255
#define LANZA_ESP_PATH_SEPARATOR '\\'
#define LANZA_INITRDS_MAX 16
#define LANZA_LIST_SEPARATOR '\n'

/* What separates an ESP path from an embedded kernel in .linux: these two first bytes. With an embedded kernel, .initrd
 * (if it is there) is the initrd itself, and there is neither .linuxh nor .initrdh: that is a standard UKI. */
#define LANZA_EMBEDDED_MAGIC "MZ"

/* .ucode goes in front of the initrds, files or embedded, and makes an initrd also where there is no other. Behind the
 * initrds, if there are any, goes an archive with the folder /.extra and, where the image has them, .osrel in it as
 * os-release, .profile as profile, .pcrsig as tpm2-pcr-signature.json and .pcrpkey as tpm2-pcr-public-key.pem. */

/* Files that the paths name. All are non-empty regular files. The initrds are handed to Linux as one: in the order of
 * the list, each zero-padded to LANZA_INITRD_ALIGNMENT before the next begins; their hashes are of the files, unpadded.
 */
#define LANZA_KERNEL_MAX_BYTES (256u * 1024 * 1024)
#define LANZA_INITRDS_MAX_BYTES (1024u * 1024 * 1024) /* all of them together, padding included */
#define LANZA_INITRD_ALIGNMENT 4

/* The embedded command line
 * -------------------------
 * UTF-8 (shortest form, no surrogates, nothing above U+10FFFF), no NUL, no control characters (below 0x20, and 0x7F)
 * but tab, at most LANZA_CMDLINE_MAX_BYTES. White space at its end, LF included, is accepted and dropped. A LF
 * elsewhere is refused, since Linux would silently stop reading there. Linux on x86 and arm64 itself keeps only the
 * first 2047 bytes. */
#define LANZA_CMDLINE_MAX_BYTES 16384

/* How trust follows from what is there
 * ------------------------------------
 * .linux is a path, .linuxh is there    the file's bytes must have that hash, whether Secure Boot is on or off
 * .linux is a path, .linuxh is missing  the firmware's LoadImage judges the kernel's own signature
 * .linux is the kernel                  the image's signature covers it
 *
 * A .linuxh of another length than LANZA_HASH_SIZE, and a .initrdh of another length than LANZA_HASH_SIZE times the
 * number of paths, are refused; so are both next to an embedded kernel. Without .initrdh initrds named by path are
 * accepted only while Secure Boot is off. While it is on, an image without .cmdline boots with an empty command line,
 * and what the boot loader passed is ignored in any case. */
