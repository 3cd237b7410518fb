/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/security-attribute.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/util/macro.h"

#define FWUPD_PAGE "https://fwupd.github.io/libfwupdplugin/hsi.html#"
#define FWUPD "org.fwupd.hsi."
#define OURS "org.lanzaboote.hsi."
#define PLUGIN "lanzad"

/* FwupdSecurityAttrLevel goes up to this. */
enum { LEVEL_CRITICAL = 1, LEVEL_MAX = 5 };

static const Field attribute_fields[] = {
        FIELD(SecurityAttribute, appstream_id, FIELD_STRING, "AppstreamId"),
        FIELD_SPARSE(SecurityAttribute, created, FIELD_UNSIGNED, "Created"),
        FIELD(SecurityAttribute, name, FIELD_STRING, "Name"),
        FIELD(SecurityAttribute, summary, FIELD_STRING, "Summary"),
        FIELD(SecurityAttribute, description, FIELD_STRING, "Description"),
        FIELD(SecurityAttribute, plugin, FIELD_STRING, "Plugin"),
        FIELD(SecurityAttribute, uri, FIELD_STRING, "Uri"),
        FIELD_SPARSE(SecurityAttribute, flags, FIELD_UNSIGNED, "Flags"),
        FIELD_SPARSE(SecurityAttribute, level, FIELD_UINT32, "HsiLevel"),
        FIELD_SPARSE(SecurityAttribute, result, FIELD_UINT32, "HsiResult"),
        FIELD_SPARSE(SecurityAttribute, result_success, FIELD_UINT32, "HsiResultSuccess"),
        FIELD_SPARSE(SecurityAttribute, metadata, FIELD_PAIRS, "Metadata"),
};
const Record security_attribute_record = RECORD(SecurityAttribute, attribute_fields);

static const struct {
        const char *id, *name, *summary, *description;
        uint64_t flags;
        uint32_t level;
        SecurityOutcome success;
} kinds[SECURITY_KIND_COUNT] = {
        [SECURITY_UEFI_SECURE_BOOT] =
                {FWUPD "Uefi.SecureBoot", "Secure Boot", "Firmware enforces Secure Boot",
                 "With Secure Boot the firmware starts only programs that an enrolled key signed.", 0, LEVEL_CRITICAL,
                 SECURITY_ENABLED},
        [SECURITY_UEFI_PK] = {FWUPD "Uefi.Pk", "Platform key", "The platform key is no test key",
                              "Whoever has the platform key's private half may change all of Secure Boot's keys. Some "
                              "machines were shipped with one that is only meant for tests, and widely known.",
                              0, LEVEL_CRITICAL, SECURITY_VALID},
        [SECURITY_UEFI_BOOTSERVICE_VARS] =
                {FWUPD "Uefi.BootserviceVars", "Boot service variables",
                 "Firmware hides its own variables from the system",
                 "Variables that are meant for firmware and boot loaders alone should not be "
                 "readable once the operating system runs.",
                 0, LEVEL_CRITICAL, SECURITY_LOCKED},
        [SECURITY_UEFI_DB] = {FWUPD "Uefi.Db", "Signature database", "db has Microsoft's newer certificate, or none",
                              "A machine that trusts Microsoft's certificate of 2011 for other vendors' programs needs "
                              "that of 2023, too: newer programs are signed with it alone.",
                              SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_FW, 0, SECURITY_VALID},
        [SECURITY_KERNEL_LOCKDOWN] = {FWUPD "Kernel.Lockdown", "Kernel lockdown", "The kernel is locked down",
                                      "Under lockdown not even root can change the kernel that runs.",
                                      SECURITY_RUNTIME_ISSUE, 0, SECURITY_ENABLED},
        [SECURITY_BOOT_FILES] =
                {OURS "BootFilesVerified", "Boot files", "Every boot file passes the firmware's check",
                 "The boot loaders and boot images on the EFI system partition, and what the boot order "
                 "names there, are signed by what db holds, and none of it is revoked.",
                 SECURITY_RUNTIME_ISSUE, 0, SECURITY_VALID},
        [SECURITY_BOOT_STUB] = {OURS "BootedByStub", "Boot stub", "Started by lanzad's stub",
                                "The stub checks kernel and initrds against the digests in the signed image before it "
                                "runs them.",
                                SECURITY_RUNTIME_ISSUE, 0, SECURITY_FOUND},
        [SECURITY_BOOTED_IMAGE] =
                {OURS "BootedImageSigned", "Booted image", "The booted image is signed by this machine",
                 "The image that was started, as it now stands on the EFI system partition, carries a "
                 "good signature by the db key of this machine's key store.",
                 SECURITY_RUNTIME_ISSUE, 0, SECURITY_VALID},
        [SECURITY_PCR11] =
                {OURS "Pcr11Measured", "Measured boot", "What was booted is measured into PCR 11",
                 "The stub recorded kernel, initrd and command line in the TPM, so that secrets can be bound "
                 "to them.",
                 SECURITY_RUNTIME_ISSUE, 0, SECURITY_ENABLED},
        [SECURITY_PRIVATE_KEYS] = {OURS "PrivateKeys", "Private keys", "The private keys are root's alone",
                                   "Who can read the private keys can sign what this machine starts.",
                                   SECURITY_RUNTIME_ISSUE, 0, SECURITY_LOCKED},
        /* Never told so far: no runtime issue, which would mark every machine. */
        [SECURITY_REVOCATIONS] = {OURS "Revocations", "Revocations", "dbx holds the newest revocations",
                                  "dbx names programs with known holes, which the firmware refuses although they are "
                                  "signed.",
                                  0, 0, SECURITY_VALID},
};

static char *make_uri(const char *id) {
        char *uri;

        return asprintf(&uri, FWUPD_PAGE "%s", id) < 0 ? NULL : uri;
}

int security_attribute_add(RecordList *list, SecurityKind kind, uint64_t now, SecurityAttribute **ret) {
        SecurityAttribute *attribute = record_list_add(list, &security_attribute_record);
        bool is_fwupds = strncmp(kinds[kind].id, FWUPD, strlen(FWUPD)) == 0;

        if (!attribute)
                return -ENOMEM;
        *attribute = (SecurityAttribute){
                .appstream_id = strdup(kinds[kind].id),
                .created = now,
                .name = strdup(kinds[kind].name),
                .summary = strdup(kinds[kind].summary),
                .description = strdup(kinds[kind].description),
                .plugin = strdup(PLUGIN),
                .uri = is_fwupds ? make_uri(kinds[kind].id) : NULL,
                .flags = kinds[kind].flags,
                .level = kinds[kind].level,
                .result_success = kinds[kind].success,
        };
        *ret = attribute;
        return attribute->appstream_id && attribute->name && attribute->summary && attribute->description &&
                               attribute->plugin && (attribute->uri || !is_fwupds)
                       ? 0
                       : -ENOMEM;
}

void security_attribute_succeed(SecurityAttribute *attribute, SecurityOutcome result) {
        attribute->flags |= SECURITY_SUCCESS;
        attribute->result = result == SECURITY_UNKNOWN ? attribute->result_success : result;
}

int security_attribute_note(SecurityAttribute *attribute, const char *name, const char *value) {
        int r;

        r = string_list_add(&attribute->metadata, name);
        return r < 0 ? r : string_list_add(&attribute->metadata, value);
}

static int explain(SecurityAttribute *attribute, const char *message, const char *hint) {
        int r = 0;

        if (message)
                r = security_attribute_note(attribute, SECURITY_METADATA_MESSAGE, message);
        if (r >= 0 && hint)
                r = security_attribute_note(attribute, SECURITY_METADATA_HINT, hint);
        return r;
}

int security_attribute_fail(SecurityAttribute *attribute, SecurityOutcome result, uint64_t flags, const char *message,
                            const char *hint) {
        attribute->flags |= flags;
        attribute->result = result;
        return explain(attribute, message, hint);
}

int security_attribute_miss(SecurityAttribute *attribute, const char *message, const char *hint) {
        return security_attribute_fail(attribute, SECURITY_UNKNOWN, SECURITY_MISSING_DATA, message, hint);
}

int security_attribute_miss_failure(SecurityAttribute *attribute, int error, const Failure *failure) {
        if (error == -ENOMEM)
                return error;
        return security_attribute_miss(attribute, failure->message ? failure->message : strerror(-error),
                                       failure_hint(failure));
}

static bool holds(const SecurityAttribute *attribute) {
        return attribute->flags & SECURITY_SUCCESS;
}

/* The highest level that something holds on, below which (and on which) nothing fails. */
static unsigned find_level(const SecurityAttribute *attributes, size_t count) {
        unsigned reached = 0;

        for (unsigned level = 1; level <= LEVEL_MAX; level++) {
                size_t held = 0, all = 0;

                for (size_t i = 0; i < count; i++)
                        if (attributes[i].level == level) {
                                held += holds(&attributes[i]);
                                all++;
                        }
                if (held < all)
                        break;
                if (held > 0)
                        reached = level;
        }
        return reached;
}

int security_attributes_finish(RecordList *list, char **ret) {
        SecurityAttribute *attributes = list->items;
        bool has_issue = false;

        for (size_t i = 0; i < list->count; i++) {
                if (!(attributes[i].flags & SECURITY_RUNTIME_ISSUE))
                        continue;
                attributes[i].level = 0;
                has_issue = has_issue || !holds(&attributes[i]);
        }
        if (asprintf(ret, "HSI:%u%s", find_level(attributes, list->count), has_issue ? "!" : "") >= 0)
                return 0;
        *ret = NULL;
        return -ENOMEM;
}
