/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/boot-check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-names.h"
#include "daemon/esp/inventory.h"
#include "daemon/firmware/boot-entry.h"
#include "daemon/firmware/secure-boot.h"
#include "daemon/firmware/vendor-certificates.h"
#include "daemon/ops/enforcement.h"
#include "daemon/ops/signing.h"
#include "daemon/ops/system.h"
#include "daemon/pe/pe-image.h"
#include "daemon/trust/trust.h"
#include "daemon/util/file.h"

#define SYSTEMD_BOOT "EFI/systemd/systemd-bootx64.efi"
#define FALLBACK_LOADER "EFI/BOOT/BOOTX64.EFI"

enum {
        JUDGED_MAX_BYTES = 512 * 1024 * 1024, /* a loader, or a standard UKI */
        BUILT_MAX_BYTES = 64 * 1024 * 1024,   /* what is kept in memory for writing; beyond it is built once more */
        FOLDER_MAX = 65536,
        BOOT_ENTRIES_MAX = 1024,
};

/* Firmware that enforces nothing runs all that it can load. */
static int judge_soundness(Span image, const char *what, Failure *failure) {
        PeImage parsed;

        if (pe_image_parse(image, &parsed) >= 0)
                return 0;
        return failure_set(failure, CONDITION_WOULD_NOT_BOOT, "%s is no PE image, or a damaged one", what);
}

/* The class of Microsoft's certificates that lets IMAGE run, which LISTS refuse as they are; NULL if none does. */
static int class_that_allows(Span image, const TrustLists *lists, const char **ret) {
        for (VendorClasses class = 1; class < VENDOR_ALL; class <<= 1) {
                _cleanup_(trust_verdict_done) TrustVerdict verdict = {};
                _cleanup_(buffer_done) Buffer db = {};
                TrustLists wider = *lists;
                int r;

                r = buffer_append(&db, lists->db);
                if (r >= 0)
                        r = vendor_certificates_add(class, SECURE_VARIABLE_DB, &db);
                wider.db = buffer_span(&db);
                if (r > 0)
                        r = trust_judge(image, &wider, &verdict);
                if (r < 0 && r != -EBADMSG)
                        return r;
                if (verdict.allowed) {
                        *ret = vendor_class_name(class);
                        return 0;
                }
        }
        *ret = NULL;
        return 0;
}

/* Refuses with WouldNotBoot if LISTS (NULL: nothing is enforced) refuse IMAGE, which WHAT names at the beginning of a
 * sentence. */
static int judge(Span image, const TrustLists *lists, const char *what, Failure *failure) {
        _cleanup_(trust_verdict_done) TrustVerdict verdict = {};
        const char *class;
        int r;

        if (!lists)
                return judge_soundness(image, what, failure);
        r = trust_judge(image, lists, &verdict);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot judge %s", what);
        if (verdict.allowed)
                return 0;
        r = class_that_allows(image, lists, &class);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot judge %s", what);
        return failure_set(failure, CONDITION_WOULD_NOT_BOOT, "%s would be refused by the firmware: %s%s%s", what,
                           verdict.reason, class ? "; it needs Microsoft's certificates of the class " : "",
                           class ?: "");
}

/* The image is kept for writing, as long as all of them together are small. */
static int judge_image(WantedSystem *system, const Step *step, const TrustLists *lists, uint64_t *kept,
                       Failure *failure) {
        ImageSource *source = step->image->source;
        _cleanup_(buffer_done) Buffer built = {};
        int r;

        r = wanted_system_build(system, source, &built, failure);
        if (r < 0)
                return r;
        r = judge(buffer_span(&built), lists, step->path, failure);
        if (r < 0)
                return r;
        if (*kept + built.size <= BUILT_MAX_BYTES) {
                *kept += built.size;
                source->built = TAKE_STRUCT(built);
        }
        return 0;
}

static int judge_loader(WantedSystem *system, const Step *step, const TrustLists *lists, Failure *failure) {
        _cleanup_(buffer_done) Buffer built = {};
        int r;

        r = image_builder_loader(system->builder, &built, failure);
        return r < 0 ? r : judge(buffer_span(&built), lists, step->path, failure);
}

static int judge_plan(WantedSystem *system, const Plan *plan, const TrustLists *lists, Failure *failure) {
        uint64_t kept = 0;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < plan->step_count; i++) {
                const Step *step = &plan->steps[i];

                if (step->kind == STEP_WRITE_IMAGE)
                        r = judge_image(system, step, lists, &kept, failure);
                else if (step->kind == STEP_WRITE_LOADER || step->kind == STEP_WRITE_FALLBACK)
                        r = judge_loader(system, step, lists, failure);
        }
        return r;
}

static int read_dbt(const Context *context, Buffer *ret) {
        int r = variables_read(context->variables, secure_variable_vendor(SECURE_VARIABLE_DB), "dbt",
                               /* ret_attributes= */ NULL, ret);

        return r == -ENOENT ? 0 : r;
}

/* What the firmware decides by now. */
typedef struct LiveLists {
        SecureBootState state;
        Buffer dbt;
        bool enforced;
        TrustLists lists;
} LiveLists;

static void live_lists_done(LiveLists *live) {
        secure_boot_state_done(&live->state);
        buffer_done(&live->dbt);
}

static int live_lists_read(LiveLists *live, const Context *context, Failure *failure) {
        int r;

        if (!context->variables)
                return 0;
        r = secure_boot_state_read(context->variables, &live->state, failure);
        if (r < 0)
                return r;
        r = read_dbt(context, &live->dbt);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot read the variable dbt");
        live->enforced = enforcement_is_due(context, &live->state);
        live->lists = (TrustLists){
                .db = buffer_span(&live->state.variables[SECURE_VARIABLE_DB].lists),
                .dbx = buffer_span(&live->state.variables[SECURE_VARIABLE_DBX].lists),
                .dbt = buffer_span(&live->dbt),
        };
        return 0;
}

/* A file on the volume. Returns -ENOENT if it is not there. */
static int judge_file(const EspVolume *volume, const char *path, const TrustLists *lists, Failure *failure) {
        _cleanup_(free_pointer) char *shown = path_join(volume->path, path);
        _cleanup_(buffer_done) Buffer content = {};
        int r;

        if (!shown)
                return -ENOMEM;
        r = entry_file_read(volume->fd, path, JUDGED_MAX_BYTES, &content);
        if (r == -ENOENT || r == -ENOTDIR)
                return -ENOENT;
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot read %s", shown);
        return judge(buffer_span(&content), lists, shown, failure);
}

/* Who names a default is told if it cannot be started, also where it stands there already. */
static int judge_kept_default(const EspVolume *volume, const Plan *plan, const TrustLists *lists, Failure *failure) {
        _cleanup_(free_pointer) char *path = NULL;

        if (!plan->kept_default)
                return 0;
        path = path_join(ESP_IMAGE_FOLDER, plan->kept_default);
        return path ? judge_file(volume, path, lists, failure) : -ENOMEM;
}

int boot_check_plan(const Context *context, const EspVolume *volume, WantedSystem *system, const Plan *plan,
                    Failure *failure) {
        _cleanup_(live_lists_done) LiveLists live = {};
        int r;

        if (system->wanted.garbage_only)
                return 0;
        r = live_lists_read(&live, context, failure);
        if (r < 0 || !live.enforced)
                return r;
        r = judge_plan(system, plan, &live.lists, failure);
        if (r >= 0)
                r = judge_kept_default(volume, plan, &live.lists, failure);
        if (r == condition_errno(CONDITION_WOULD_NOT_BOOT))
                failure_set_hint(
                        failure,
                        "The firmware does not trust what this key store signs: restore the one whose keys "
                        "are enrolled, or put the firmware into Setup Mode and run 'lanzactl enroll-keys'. Nothing "
                        "was changed.");
        return r;
}

/* Another image of the same generation and specialisation as NAMES[INDEX] that would run: 1, 0, or a negative errno. */
static int find_stand_in(const EspVolume *volume, const StringList *names, size_t index, const char *token,
                         const TrustLists *lists) {
        ImageName refused, other;

        if (image_name_parse(names->items[index], token, &refused) < 0)
                return 0;
        for (size_t i = 0; i < names->count; i++) {
                _cleanup_(free_pointer) char *path = path_join(ESP_IMAGE_FOLDER, names->items[i]);
                _cleanup_(failure_done) Failure problem = {};

                if (!path)
                        return -ENOMEM;
                if (i == index || image_name_parse(names->items[i], token, &other) < 0 ||
                    !span_equal(refused.identity, other.identity))
                        continue;
                if (judge_file(volume, path, lists, &problem) >= 0)
                        return 1;
        }
        return 0;
}

/* What was booted stays on the ESP until another start was good: then it may be of a time before the keys, and the
 * image that has taken its place stands beside it. */
static int judge_image_file(const Context *context, const EspVolume *volume, const StringList *names, size_t index,
                            const TrustLists *lists, StringList *warnings, Failure *failure) {
        _cleanup_(free_pointer) char *path = path_join(ESP_IMAGE_FOLDER, names->items[index]);
        _cleanup_(failure_done) Failure problem = {};
        int r, stand_in;

        if (!path)
                return -ENOMEM;
        r = judge_file(volume, path, lists, &problem);
        if (r != condition_errno(CONDITION_WOULD_NOT_BOOT))
                return failure_pass(failure, &problem, r);
        stand_in = find_stand_in(volume, names, index, context->settings->entry_token, lists);
        if (stand_in <= 0)
                return failure_pass(failure, &problem, stand_in < 0 ? stand_in : r);
        return string_list_add_format(warnings, "%s; a newer image of this generation would run", problem.message);
}

static int judge_images(const Context *context, const EspVolume *volume, const TrustLists *lists, StringList *warnings,
                        Failure *failure) {
        _cleanup_(string_list_done) StringList names = {};
        size_t count = 0;
        ImageName name;
        int r;

        r = folder_list(volume->fd, ESP_IMAGE_FOLDER, FOLDER_MAX, &names);
        if (r < 0 && r != -ENOENT)
                return failure_set_errno(failure, r, "Cannot list %s/" ESP_IMAGE_FOLDER, volume->path);
        for (size_t i = 0; i < names.count; i++) {
                if (image_name_parse(names.items[i], context->settings->entry_token, &name) < 0)
                        continue;
                r = judge_image_file(context, volume, &names, i, lists, warnings, failure);
                if (r < 0)
                        return r;
                count++;
        }
        if (count > 0)
                return 0;
        r = failure_set(failure, CONDITION_WOULD_NOT_BOOT, "No image of a generation stands on %s", volume->path);
        failure_set_hint(failure, "Run 'lanzactl sync'.");
        return r;
}

/* Whether the firmware's lists trust the signature of the file at PATH: 1, 0, or a negative errno. What is not there or
 * cannot be read has none. */
static int is_trusted(const EspVolume *volume, const char *path, const TrustLists *lists) {
        _cleanup_(trust_verdict_done) TrustVerdict verdict = {};
        _cleanup_(buffer_done) Buffer content = {};
        int r;

        r = file_read(volume->fd, path, JUDGED_MAX_BYTES, &content);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        r = trust_judge(buffer_span(&content), lists, &verdict);
        return r < 0 ? r : verdict.allowed;
}

static int refuse_unsigned(const EspVolume *volume, const char *path, Failure *failure) {
        int r = failure_set(failure, CONDITION_NO_KEYS,
                            "There are no keys to sign with, and %s/%s is signed by one that the firmware trusts",
                            volume->path, path);

        failure_set_hint(failure, SIGNING_LOST_HINT);
        return r;
}

int boot_check_unsigned(const Context *context, const EspVolume *volume, Failure *failure) {
        _cleanup_(live_lists_done) LiveLists live = {};
        _cleanup_(string_list_done) StringList names = {};
        ImageName name;
        int r;

        r = live_lists_read(&live, context, failure);
        if (r < 0 || live.lists.db.size == 0)
                return r;
        r = folder_list(volume->fd, ESP_IMAGE_FOLDER, FOLDER_MAX, &names);
        for (size_t i = 0; r >= 0 && i < names.count; i++) {
                _cleanup_(free_pointer) char *path = path_join(ESP_IMAGE_FOLDER, names.items[i]);

                if (image_name_parse(names.items[i], context->settings->entry_token, &name) < 0)
                        continue;
                r = path ? is_trusted(volume, path, &live.lists) : -ENOMEM;
                if (r > 0)
                        return refuse_unsigned(volume, path, failure);
        }
        return r == -ENOENT ? 0 : r;
}

/* systemd-boot is what starts the images; the fallback is what firmware starts when it knows nothing better. */
static int judge_loaders(const EspVolume *volume, const TrustLists *lists, Failure *failure) {
        int systemd_boot, fallback;

        systemd_boot = judge_file(volume, SYSTEMD_BOOT, lists, failure);
        if (systemd_boot < 0 && systemd_boot != -ENOENT)
                return systemd_boot;
        fallback = judge_file(volume, FALLBACK_LOADER, lists, failure);
        if (fallback < 0 && fallback != -ENOENT)
                return fallback;
        if (systemd_boot >= 0 || fallback >= 0)
                return 0;
        failure_set(failure, CONDITION_WOULD_NOT_BOOT, "No boot loader stands on %s", volume->path);
        failure_set_hint(failure, "Run 'lanzactl sync'.");
        return condition_errno(CONDITION_WOULD_NOT_BOOT);
}

static bool on_volume(const BootEntry *entry, const EspVolume *volume) {
        char uuid[GUID_TEXT_SIZE];

        if (!entry->has_partition || !volume->partition_uuid[0])
                return false;
        guid_format(&entry->partition, uuid);
        return strcasecmp(uuid, volume->partition_uuid) == 0;
}

/* An entry whose file is gone boots nothing today either. */
static int judge_entry(const EspVolume *volume, const BootEntry *entry, const TrustLists *lists, StringList *warnings,
                       Failure *failure) {
        _cleanup_(free_pointer) char *path = NULL;
        int r;

        if (!entry->active || !entry->path)
                return 0;
        if (!on_volume(entry, volume))
                return string_list_add_format(warnings,
                                              "The boot entry \"%s\" starts %s on another partition: whether the "
                                              "firmware will still run it was not checked",
                                              entry->description, entry->path);
        r = esp_path_parse(span_from_string(entry->path), &path);
        if (r == -EINVAL)
                return string_list_add_format(warnings, "The boot entry \"%s\" names no valid path: %s",
                                              entry->description, entry->path);
        if (r < 0)
                return r;
        r = judge_file(volume, path, lists, failure);
        return r == -ENOENT ? 0 : r;
}

static int judge_entries(const Context *context, const EspVolume *volume, const TrustLists *lists, StringList *warnings,
                         Failure *failure) {
        _cleanup_(buffer_done) Buffer order = {};
        int r;

        if (!context->variables)
                return 0;
        r = variables_read(context->variables, &efi_global_variable_guid, "BootOrder", /* ret_attributes= */ NULL,
                           &order);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot read the variable BootOrder");
        for (size_t i = 0; i < order.size / 2 && i < BOOT_ENTRIES_MAX; i++) {
                _cleanup_(boot_entry_done) BootEntry entry = {};
                _cleanup_(buffer_done) Buffer content = {};
                char name[sizeof("BootFFFF")];
                uint16_t number;

                (void)span_u16(buffer_span(&order), 2 * i, &number);
                snprintf(name, sizeof(name), "Boot%04X", number);
                r = variables_read(context->variables, &efi_global_variable_guid, name, /* ret_attributes= */ NULL,
                                   &content);
                if (r == -ENOMEM)
                        return r;
                if (r < 0 || boot_entry_parse(buffer_span(&content), &entry) < 0)
                        continue;
                r = judge_entry(volume, &entry, lists, warnings, failure);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* All that the machine boots from. */
static int judge_volume(const Context *context, const TrustLists *lists, StringList *warnings, Failure *failure) {
        _cleanup_(esp_volume_done) EspVolume volume = {.fd = -EBADF};
        int r;

        r = system_esp(context, &volume, failure);
        if (r < 0)
                return r;
        r = judge_images(context, &volume, lists, warnings, failure);
        if (r < 0)
                return r;
        r = judge_loaders(&volume, lists, failure);
        if (r < 0)
                return r;
        return judge_entries(context, &volume, lists, warnings, failure);
}

int boot_check_present(const Context *context, Failure *failure) {
        _cleanup_(string_list_done) StringList warnings = {};
        _cleanup_(live_lists_done) LiveLists live = {};
        int r;

        r = live_lists_read(&live, context, failure);
        if (r < 0)
                return r;
        r = judge_volume(context, live.enforced ? &live.lists : NULL, &warnings, failure);
        if (r == condition_errno(CONDITION_WOULD_NOT_BOOT) && failure && !failure->hint)
                failure_set_hint(failure,
                                 "Run 'lanzactl sync', which writes and signs what is ours; what is not ours has to be "
                                 "signed by a key that is enrolled, or to leave the boot order.");
        return r;
}

int boot_check_enrollment(const Context *context, Span db, Span dbx, StringList *warnings, Failure *failure) {
        _cleanup_(buffer_done) Buffer dbt = {};
        TrustLists lists = {.db = db, .dbx = dbx};
        int r;

        r = read_dbt(context, &dbt);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot read the variable dbt");
        lists.dbt = buffer_span(&dbt);
        r = judge_volume(context, &lists, warnings, failure);
        if (r == condition_errno(CONDITION_WOULD_NOT_BOOT) && failure && !failure->hint)
                failure_set_hint(
                        failure,
                        "Run 'lanzactl sync', which signs what is ours; what Microsoft signed needs '--microsoft' with "
                        "its class; what else is not ours has to be signed by a key that is enrolled, or to "
                        "leave the boot order. Nothing was changed.");
        return r;
}
