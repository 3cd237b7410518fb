/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Host security attributes, in fwupd's form: names of the fields, numbers of flags, levels and results are those of
 * fwupd-enums.h and fwupd-security-attr.h, so that programs that know fwupd's attributes know ours. An attribute is one
 * statement about the machine: it holds (SECURITY_SUCCESS), it does not hold, or that can't be told
 * (SECURITY_MISSING_DATA, without a result). */

#include <stdint.h>

#include "daemon/ops/record.h"
#include "daemon/util/failure.h"

/* FwupdSecurityAttrFlags */
enum {
        SECURITY_SUCCESS = 1 << 0,
        SECURITY_MISSING_DATA = 1 << 2,
        SECURITY_RUNTIME_ISSUE = 1 << 10, /* of the system that runs, not of the hardware: it has no level */
        SECURITY_CONTACT_OEM = 1 << 11,   /* who may mend it: the vendor, */
        SECURITY_CONFIG_FW = 1 << 12,     /* firmware's settings, */
        SECURITY_CONFIG_OS = 1 << 13,     /* the operating system's */
};

/* FwupdSecurityAttrResult */
typedef enum SecurityOutcome {
        SECURITY_UNKNOWN = 0,
        SECURITY_ENABLED = 1,
        SECURITY_NOT_ENABLED = 2,
        SECURITY_VALID = 3,
        SECURITY_NOT_VALID = 4,
        SECURITY_LOCKED = 5,
        SECURITY_NOT_LOCKED = 6,
        SECURITY_FOUND = 11,
        SECURITY_NOT_FOUND = 12,
        SECURITY_NOT_SUPPORTED = 14,
} SecurityOutcome;

typedef enum SecurityKind {
        SECURITY_UEFI_SECURE_BOOT,
        SECURITY_UEFI_PK,
        SECURITY_UEFI_BOOTSERVICE_VARS,
        SECURITY_UEFI_DB,
        SECURITY_KERNEL_LOCKDOWN,
        SECURITY_BOOT_FILES,
        SECURITY_BOOT_STUB,
        SECURITY_BOOTED_IMAGE,
        SECURITY_PCR11,
        SECURITY_PRIVATE_KEYS,
        SECURITY_REVOCATIONS,
        SECURITY_KIND_COUNT,
} SecurityKind;

/* Keys of an attribute's metadata that are ours. */
#define SECURITY_METADATA_MESSAGE "message" /* what was found, a sentence */
#define SECURITY_METADATA_HINT "hint"       /* what to do next, a sentence */

typedef struct SecurityAttribute {
        char *appstream_id;
        uint64_t created; /* seconds since 1970 */
        char *name, *summary, *description, *plugin, *uri;
        uint64_t flags;
        uint32_t level, result, result_success;
        StringList metadata; /* pairs */
} SecurityAttribute;

extern const Record security_attribute_record;

/* Appends an attribute of KIND to LIST about which nothing is said yet; valid until the next one is added. *RET is one
 * of LIST's. -ENOMEM. */
int security_attribute_add(RecordList *list, SecurityKind kind, uint64_t now, SecurityAttribute **ret);

/* It holds. RESULT SECURITY_UNKNOWN stands for the kind's own. */
void security_attribute_succeed(SecurityAttribute *attribute, SecurityOutcome result);

/* It does not hold. FLAGS besides those that the kind has: who may mend it. MESSAGE and HINT may be NULL. -ENOMEM. */
int security_attribute_fail(SecurityAttribute *attribute, SecurityOutcome result, uint64_t flags, const char *message,
                            const char *hint);

/* It can't be told. -ENOMEM. */
int security_attribute_miss(SecurityAttribute *attribute, const char *message, const char *hint);

/* The same, because of ERROR (a negative errno) and FAILURE. Returns ERROR if that is -ENOMEM. */
int security_attribute_miss_failure(SecurityAttribute *attribute, int error, const Failure *failure);

/* Adds a pair to the metadata. -ENOMEM. */
int security_attribute_note(SecurityAttribute *attribute, const char *name, const char *value);

/* Ends the list: an attribute with SECURITY_RUNTIME_ISSUE has no level. *RET is the host security id, "HSI:1" or
 * "HSI:0!": the highest level below which nothing fails, and a mark if a runtime issue does. Owned. -ENOMEM. */
int security_attributes_finish(RecordList *list, char **ret);
