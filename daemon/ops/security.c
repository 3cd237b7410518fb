/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each attribute is judged by a function of its own, from firmware variables, the kernel's files, the ESP and the key
 * store. What fwupd judges too is judged as its plugins do (uefi-capsule, uefi-pk, uefi-db, linux-lockdown, bios), so
 * that the two never disagree about a machine. What cannot be read makes its attributes unknown; nothing is guessed. */

#include "daemon/ops/security.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#include "daemon/crypto/certificate.h"
#include "daemon/esp/esp-names.h"
#include "daemon/esp/inventory.h"
#include "daemon/firmware/bootservice-variables.h"
#include "daemon/firmware/kernel-lockdown.h"
#include "daemon/firmware/platform-key.h"
#include "daemon/firmware/secure-boot.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/firmware/tpm.h"
#include "daemon/firmware/vendor-certificates.h"
#include "daemon/ops/boot-check.h"
#include "daemon/ops/context.h"
#include "daemon/ops/partitions.h"
#include "daemon/ops/security-attribute.h"
#include "daemon/ops/system.h"
#include "daemon/trust/trust.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"

#define STUB_NAME "lanzastub "
#define STUB_PCR 11
#define STUB_PCR_TEXT "11"
#define IMAGE_FOLDER "EFI/Linux"

enum { IMAGE_MAX_BYTES = 512 * 1024 * 1024 /* a standard UKI */ };

static const Record no_parameters = {};

static const Field result_fields[] = {
        FIELD_LIST(SecurityState, attributes, security_attribute_record, "attributes"),
        FIELD(SecurityState, host_security_id, FIELD_STRING, "host-security-id"),
};
static const Record result_record = RECORD(SecurityState, result_fields);

/* What several attributes are judged by. */
typedef struct Facts {
        const Context *context;
        SecureBootState state; /* if ERROR is 0 */
        int error;             /* why there is no state */
        Failure why;
} Facts;

static void facts_done(Facts *facts) {
        secure_boot_state_done(&facts->state);
        failure_done(&facts->why);
}

static void read_facts(Facts *facts) {
        if (facts->context->variables)
                facts->error = secure_boot_state_read(facts->context->variables, &facts->state, &facts->why);
        else
                facts->error = context_no_variables(facts->context, "to read", &facts->why);
}

static Span database(const Facts *facts, SecureVariable variable) {
        return buffer_span(&facts->state.variables[variable].lists);
}

/* What to do about it stands with the first attribute. */
static int miss_state(const Facts *facts, SecurityAttribute *attribute) {
        return security_attribute_miss(attribute, facts->why.message, /* hint= */ NULL);
}

static bool started_by_bios(const Context *context) {
        _cleanup_(close_fd) int sysfs = root_open(context->root_fd, "/sys", O_PATH | O_DIRECTORY);
        _cleanup_(close_fd) int efi = root_open(context->root_fd, "/sys/firmware/efi", O_PATH | O_DIRECTORY);

        return context->live && sysfs >= 0 && efi == -ENOENT;
}

static const char *secure_boot_hint(const SecureBootState *state) {
        if (state->setup_mode)
                return "Enroll keys with 'lanzactl setup'.";
        return "Reboot; if that changes nothing, switch Secure Boot on in the firmware's settings.";
}

static int judge_secure_boot(const Facts *facts, SecurityAttribute *attribute) {
        const uint64_t flags = SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_FW;
        _cleanup_(buffer_done) Buffer content = {};
        int r;

        if (!facts->context->variables && started_by_bios(facts->context))
                return security_attribute_fail(attribute, SECURITY_NOT_ENABLED, flags,
                                               "This system was not started by UEFI firmware",
                                               "Boot this system in UEFI mode.");
        if (facts->error < 0)
                return security_attribute_miss_failure(attribute, facts->error, &facts->why);
        r = variables_read(facts->context->variables, &efi_global_variable_guid, "SecureBoot",
                           /* ret_attributes= */ NULL, &content);
        if (r == -ENOENT)
                return security_attribute_fail(attribute, SECURITY_NOT_FOUND, SECURITY_MISSING_DATA,
                                               "The firmware has no Secure Boot", NULL);
        if (!facts->state.secure_boot)
                return security_attribute_fail(attribute, SECURITY_NOT_ENABLED, flags, NULL,
                                               secure_boot_hint(&facts->state));
        security_attribute_succeed(attribute, SECURITY_UNKNOWN);
        return 0;
}

static int judge_platform_key(const Facts *facts, SecurityAttribute *attribute) {
        _cleanup_(free_pointer) char *name = NULL;
        int r;

        if (facts->error < 0)
                return miss_state(facts, attribute);
        if (database(facts, SECURE_VARIABLE_PK).size == 0)
                return security_attribute_fail(attribute, SECURITY_NOT_FOUND, SECURITY_CONFIG_OS,
                                               "There is no platform key: the firmware is in Setup Mode",
                                               "Enroll keys with 'lanzactl setup'.");
        r = platform_key_is_for_tests(database(facts, SECURE_VARIABLE_PK), &name);
        if (r == -EBADMSG)
                return security_attribute_miss(attribute, "PK holds something that is no certificate", NULL);
        if (r < 0)
                return r;
        if (r > 0)
                return security_attribute_fail(
                        attribute, SECURITY_NOT_VALID, SECURITY_CONFIG_FW | SECURITY_CONTACT_OEM, name,
                        "Put the firmware into Setup Mode in its settings, then run 'lanzactl setup'.");
        security_attribute_succeed(attribute, SECURITY_UNKNOWN);
        return 0;
}

static int judge_bootservice_variables(const Facts *facts, SecurityAttribute *attribute) {
        _cleanup_(free_pointer) char *name = NULL;
        char guid[GUID_TEXT_SIZE];
        const Guid *vendor;
        int r;

        if (!facts->context->variables)
                return miss_state(facts, attribute);
        r = bootservice_variable_find(facts->context->variables, &vendor, &name);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return security_attribute_miss(attribute, "The firmware's variables cannot be listed", NULL);
        if (r == 0) {
                security_attribute_succeed(attribute, SECURITY_UNKNOWN);
                return 0;
        }
        guid_format(vendor, guid);
        r = security_attribute_note(attribute, "guid", guid);
        if (r >= 0)
                r = security_attribute_note(attribute, "name", name);
        if (r < 0)
                return r;
        return security_attribute_fail(attribute, SECURITY_NOT_LOCKED, SECURITY_CONTACT_OEM,
                                       "The firmware shows a variable that is for itself alone",
                                       "Look for an update of the firmware.");
}

/* Whoever trusts neither of Microsoft's certificates has no need of the newer one. */
static int judge_signature_database(const Facts *facts, SecurityAttribute *attribute) {
        int older, newer;

        if (facts->error < 0)
                return miss_state(facts, attribute);
        older = vendor_certificates_have_third_party(database(facts, SECURE_VARIABLE_DB), 2011);
        newer = vendor_certificates_have_third_party(database(facts, SECURE_VARIABLE_DB), 2023);
        if (older < 0 || newer < 0)
                return older < 0 ? older : newer;
        if (older > 0 && newer == 0)
                return security_attribute_fail(
                        attribute, SECURITY_NOT_VALID, 0, "db has Microsoft UEFI CA 2011, and not the one of 2023",
                        "Put the firmware into Setup Mode, then run 'lanzactl enroll-keys --microsoft'; or update db "
                        "with fwupd.");
        security_attribute_succeed(attribute, newer > 0 ? SECURITY_VALID : SECURITY_NOT_FOUND);
        return 0;
}

static int judge_lockdown(const Facts *facts, SecurityAttribute *attribute) {
        KernelLockdown lockdown;
        int r;

        r = kernel_lockdown_read(facts->context->root_fd, &lockdown);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return security_attribute_miss(attribute,
                                               r == -ENOENT    ? "There is no /sys/kernel/security/lockdown"
                                               : r == -EBADMSG ? "/sys/kernel/security/lockdown says nothing known"
                                                               : "/sys/kernel/security/lockdown cannot be read",
                                               NULL);
        r = security_attribute_note(attribute, "mode", kernel_lockdown_name(lockdown));
        if (r < 0)
                return r;
        if (lockdown == KERNEL_LOCKDOWN_NONE)
                return security_attribute_fail(attribute, SECURITY_NOT_ENABLED, SECURITY_CONFIG_OS, NULL,
                                               "Boot with 'lockdown=integrity' on the kernel's command line; the "
                                               "kernel then loads signed modules only.");
        security_attribute_succeed(attribute, SECURITY_UNKNOWN);
        return 0;
}

static int judge_boot_files(const Facts *facts, SecurityAttribute *attribute) {
        _cleanup_(failure_done) Failure failure = {};
        int r;

        if (facts->error < 0)
                return miss_state(facts, attribute);
        if (facts->state.mode != SECURE_BOOT_USER && facts->state.mode != SECURE_BOOT_DEPLOYED)
                return security_attribute_fail(attribute, SECURITY_NOT_ENABLED, SECURITY_CONFIG_OS,
                                               "The firmware has no keys to check anything by",
                                               "Enroll keys with 'lanzactl setup'.");
        r = boot_check_present(facts->context, &failure);
        if (r >= 0) {
                security_attribute_succeed(attribute, SECURITY_UNKNOWN);
                return 0;
        }
        if (failure.condition == CONDITION_WOULD_NOT_BOOT)
                return security_attribute_fail(attribute, SECURITY_NOT_VALID, SECURITY_CONFIG_OS, failure.message,
                                               failure_hint(&failure));
        return security_attribute_miss_failure(attribute, r, &failure);
}

static int judge_stub(const Facts *facts, SecurityAttribute *attribute) {
        _cleanup_(free_pointer) char *stub = NULL;
        int r;

        if (!facts->context->variables)
                return miss_state(facts, attribute);
        r = system_loader_variable(facts->context, "StubInfo", &stub);
        if (r < 0)
                return r;
        if (stub && strncmp(stub, STUB_NAME, strlen(STUB_NAME)) == 0) {
                security_attribute_succeed(attribute, SECURITY_UNKNOWN);
                return 0;
        }
        return security_attribute_fail(attribute, SECURITY_NOT_FOUND, SECURITY_CONFIG_OS,
                                       stub ? "Another stub started this system" : "No stub started this system",
                                       "Run 'lanzactl sync', then choose an entry of NixOS in the boot menu.");
}

/* The volume that the machine was booted from, as stub or boot loader tell. NULL if it is none of these. */
static int find_booted_volume(const Context *context, const PartitionList *partitions, const EspVolume **ret) {
        static const char *const names[] = {"StubDevicePartUUID", "LoaderDevicePartUUID"};
        _cleanup_(free_pointer) char *uuid = NULL;
        int r = 0;

        *ret = NULL;
        for (size_t i = 0; r >= 0 && !uuid && i < ARRAY_LENGTH(names); i++)
                r = system_loader_variable(context, names[i], &uuid);
        for (size_t i = 0; r >= 0 && uuid && *uuid && i < partitions->count; i++) {
                const Partition *partition = &partitions->items[i];

                if (partition->error >= 0 && strcasecmp(uuid, partition->volume.partition_uuid) == 0)
                        *ret = &partition->volume;
        }
        return r;
}

/* Reads the file that VARIABLE names: an ESP path, or (IN_FOLDER) the name of a boot image. -ENOENT if it is not set,
 * no such path, or that file is gone. */
static int read_named_image(const Context *context, const EspVolume *volume, const char *variable, bool in_folder,
                            Buffer *ret) {
        _cleanup_(free_pointer) char *text = NULL, *path = NULL;
        int r;

        r = system_loader_variable(context, variable, &text);
        if (r < 0)
                return r;
        if (!text)
                return -ENOENT;
        if (in_folder) {
                path = strchr(text, '/') ? NULL : path_join(IMAGE_FOLDER, text);
                r = path || strchr(text, '/') ? 0 : -ENOMEM;
        } else {
                r = esp_path_parse(span_from_string(text), &path);
        }
        if (r == -ENOMEM)
                return r;
        return path ? entry_file_read(volume->fd, path, IMAGE_MAX_BYTES, ret) : -ENOENT;
}

static int read_booted_image(const Context *context, Buffer *ret, Failure *failure) {
        _cleanup_(partitions_done) PartitionList partitions = {};
        const EspVolume *volume;
        int r;

        r = partitions_open(context, &partitions, failure);
        if (r < 0)
                return r;
        r = find_booted_volume(context, &partitions, &volume);
        if (r < 0)
                return r;
        if (!volume && partitions.items[0].error < 0)
                return failure_pass(failure, &partitions.items[0].problem, partitions.items[0].error);
        if (!volume)
                return failure_set(failure, CONDITION_FAILED, "It is not known to have been booted from %s",
                                   partitions.items[0].path);
        r = read_named_image(context, volume, "StubImageIdentifier", /* in_folder= */ false, ret);
        if (r == -ENOENT)
                r = read_named_image(context, volume, "LoaderEntrySelected", /* in_folder= */ true, ret);
        return r < 0 ? failure_set_errno(failure, r, "The booted image cannot be read from %s", volume->path) : 0;
}

/* As firmware would judge whose db holds the own certificate and nothing else. */
static int judge_signer(Span image, const Certificate *certificate, SecurityAttribute *attribute) {
        _cleanup_(trust_verdict_done) TrustVerdict verdict = {};
        _cleanup_(buffer_done) Buffer db = {};
        const Guid owner = {};
        int r;

        r = signature_database_add(&db, &signature_type_x509, &owner, certificate_der(certificate));
        if (r < 0)
                return r;
        r = trust_judge(image, &(TrustLists){.db = buffer_span(&db)}, &verdict);
        if (r < 0)
                return r;
        if (!verdict.allowed)
                return security_attribute_fail(attribute, SECURITY_NOT_VALID, SECURITY_CONFIG_OS,
                                               "The booted image carries no good signature by this machine's key",
                                               "Run 'lanzactl sync', then reboot.");
        security_attribute_succeed(attribute, SECURITY_UNKNOWN);
        return 0;
}

static int judge_booted_image(const Facts *facts, SecurityAttribute *attribute) {
        _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(buffer_done) Buffer image = {};
        int r;

        if (!facts->context->variables)
                return miss_state(facts, attribute);
        r = key_store_certificate(facts->context->keys, KEY_ROLE_DB, &certificate, &failure);
        if (r >= 0)
                r = read_booted_image(facts->context, &image, &failure);
        if (r < 0)
                return security_attribute_miss_failure(attribute, r, &failure);
        return judge_signer(buffer_span(&image), certificate, attribute);
}

/* There is nothing to do about it: lanzad's stub does not measure. */
static int fail_pcr11(SecurityAttribute *attribute, const char *message) {
        return security_attribute_fail(attribute, SECURITY_NOT_ENABLED, 0, message, /* hint= */ NULL);
}

/* The stub tells that it measured; the TPM itself tells if that cannot be. */
static int judge_pcr11(const Facts *facts, SecurityAttribute *attribute) {
        _cleanup_(free_pointer) char *pcr = NULL;
        Tpm tpm;
        int r;

        if (!facts->context->variables)
                return miss_state(facts, attribute);
        r = tpm_read(facts->context->root_fd, STUB_PCR, &tpm);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return security_attribute_miss(attribute, "It cannot be told whether there is a TPM", NULL);
        if (!tpm.present)
                return security_attribute_fail(attribute, SECURITY_NOT_SUPPORTED, SECURITY_CONFIG_FW,
                                               "There is no TPM 2.0",
                                               "If the machine has one, switch it on in the firmware's settings.");
        r = system_loader_variable(facts->context, "StubPcrKernelImage", &pcr);
        if (r < 0)
                return r;
        if (!pcr || strcmp(pcr, STUB_PCR_TEXT) != 0)
                return fail_pcr11(attribute,
                                  "Nobody told of having measured what was booted; lanzad's stub does not do that yet");
        if (tpm.pcr_told && tpm.pcr_zero)
                return fail_pcr11(attribute, "PCR 11 is empty, although a stub says that it measured");
        security_attribute_succeed(attribute, SECURITY_UNKNOWN);
        return 0;
}

static int judge_private_keys(const Facts *facts, SecurityAttribute *attribute) {
        _cleanup_(failure_done) Failure failure = {};
        int found = 0, r = 0;

        for (KeyRole role = 0; r >= 0 && role < KEY_ROLE_COUNT; role++) {
                r = key_store_check_private(facts->context->keys, role, &failure);
                found += r > 0;
        }
        if (failure.condition == CONDITION_BAD_KEYS)
                return security_attribute_fail(attribute, SECURITY_NOT_LOCKED, SECURITY_CONFIG_OS, failure.message,
                                               failure_hint(&failure));
        if (r < 0)
                return security_attribute_miss_failure(attribute, r, &failure);
        if (found == 0)
                return security_attribute_fail(attribute, SECURITY_NOT_FOUND, SECURITY_CONFIG_OS,
                                               "There are no keys here yet", "Make keys with 'lanzactl create-keys'.");
        security_attribute_succeed(attribute, SECURITY_UNKNOWN);
        return 0;
}

/* Nothing here knows the newest list. */
static int judge_revocations(const Facts *facts, SecurityAttribute *attribute) {
        return facts->error < 0
                       ? miss_state(facts, attribute)
                       : security_attribute_miss(attribute,
                                                 "Which revocations there should be by now is not known here", NULL);
}

static int run(Context *context, const void *parameters, void *result, Failure *failure) {
        static int (*const judges[SECURITY_KIND_COUNT])(const Facts *, SecurityAttribute *) = {
                [SECURITY_UEFI_SECURE_BOOT] = judge_secure_boot,
                [SECURITY_UEFI_PK] = judge_platform_key,
                [SECURITY_UEFI_BOOTSERVICE_VARS] = judge_bootservice_variables,
                [SECURITY_UEFI_DB] = judge_signature_database,
                [SECURITY_KERNEL_LOCKDOWN] = judge_lockdown,
                [SECURITY_BOOT_FILES] = judge_boot_files,
                [SECURITY_BOOT_STUB] = judge_stub,
                [SECURITY_BOOTED_IMAGE] = judge_booted_image,
                [SECURITY_PCR11] = judge_pcr11,
                [SECURITY_PRIVATE_KEYS] = judge_private_keys,
                [SECURITY_REVOCATIONS] = judge_revocations,
        };
        _cleanup_(facts_done) Facts facts = {.context = context};
        SecurityState *state = result;
        int r = 0;

        read_facts(&facts);
        if (facts.error == -ENOMEM)
                return -ENOMEM;
        for (SecurityKind kind = 0; r >= 0 && kind < SECURITY_KIND_COUNT; kind++) {
                SecurityAttribute *attribute;

                r = security_attribute_add(&state->attributes, kind, context->now, &attribute);
                if (r >= 0)
                        r = judges[kind](&facts, attribute);
        }
        return r < 0 ? r : security_attributes_finish(&state->attributes, &state->host_security_id);
}

const Operation security_operation = {
        .verb = "security",
        .help = "show how well this machine is protected, as fwupd and GNOME show it",
        .parameters = &no_parameters,
        .result = &result_record,
        .run = run,
};
