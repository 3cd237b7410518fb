/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Microsoft's certificates, by what they are for. They are part of the program: no file can be put in their place.
 *
 * A class is what a user asks for; it brings its certificates of 2011 and of 2023, since firmware does not look at
 * expiry and what a machine has in it may be signed by either. The classes overlap: until 2023 there was one
 * certificate for third-party loaders and option ROMs. Any class brings the KEK certificates, without which Microsoft's
 * updates of dbx would not be taken any more. */

#include <stdbool.h>
#include <stddef.h>

#include "daemon/firmware/secure-boot.h"
#include "daemon/util/failure.h"

typedef enum VendorClass {
        VENDOR_WINDOWS = 1 << 0,     /* Windows' own loader */
        VENDOR_THIRD_PARTY = 1 << 1, /* loaders of others that Microsoft signed: shim, and with it most distributions */
        VENDOR_OPTION_ROM = 1 << 2,  /* firmware on graphics cards, network cards, … */
        VENDOR_ALL = VENDOR_WINDOWS | VENDOR_THIRD_PARTY | VENDOR_OPTION_ROM,
} VendorClass;

/* Several, as bits; 0: none. */
typedef unsigned VendorClasses;

typedef struct VendorCertificate {
        SecureVariable variable; /* KEK or db */
        VendorClasses classes;   /* that it belongs to; of a KEK: all */
        unsigned year;           /* its generation: 2011 or 2023 */
        const char *subject;     /* CN */
        const uint8_t *start, *end;
} VendorCertificate;

/* The certificate at INDEX, from 0 on; NULL behind the last one. */
const VendorCertificate *vendor_certificate_at(size_t index);
Span vendor_certificate_der(const VendorCertificate *certificate);

/* Whether these bytes are one of them. */
bool vendor_certificate_is(Span der);

/* "windows", "third-party", "option-rom"; NULL for what is not exactly one class. */
const char *vendor_class_name(VendorClass class);

/* Reads a list of names with commas between them; "all" stands for all. BadConfiguration, naming the classes that there
 * are, for anything else, an empty list among them. */
int vendor_classes_parse(const char *text, VendorClasses *ret, Failure *failure);

/* Appends the certificates of CLASSES that are for VARIABLE to DATABASE, each a list of its own with Microsoft as
 * owner, unless it is there. Returns how many were added, or -EBADMSG, -ENOMEM. */
int vendor_certificates_add(VendorClasses classes, SecureVariable variable, Buffer *database);

/* Returns 1 if DATABASE has every certificate that option ROMs are signed with, of any owner; 0; or -EBADMSG. */
int vendor_certificates_cover_option_roms(Span database);

/* Returns 1 if DATABASE has the one of YEAR (2011, 2023) that third-party loaders are signed with; 0; or -EBADMSG. */
int vendor_certificates_have_third_party(Span database, unsigned year);

/* Returns 1 if DATABASE has one that third-party loaders are signed with; 0; or -EBADMSG. */
int vendor_certificates_allow_third_party(Span database);
