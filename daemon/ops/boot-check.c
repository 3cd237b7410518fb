/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/boot-check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-names.h"
#include "daemon/esp/inventory.h"
#include "daemon/firmware/secure-boot.h"
#include "daemon/firmware/vendor-certificates.h"
#include "daemon/ops/boot-order.h"
#include "daemon/ops/enforcement.h"
#include "daemon/ops/partitions.h"
#include "daemon/ops/signing.h"
#include "daemon/pe/pe-image.h"
#include "daemon/trust/trust.h"
#include "daemon/util/file.h"

#define SYSTEMD_BOOT "EFI/systemd/systemd-bootx64.efi"
#define FALLBACK_LOADER "EFI/BOOT/BOOTX64.EFI"

enum {
        JUDGED_MAX_BYTES = 512 * 1024 * 1024, /* a loader, or a standard UKI */
        FOLDER_MAX = 65536,
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

static int judge_image(WantedSystem *system, const Step *step, const TrustLists *lists, Failure *failure) {
        _cleanup_(buffer_done) Buffer built = {};
        int r;

        r = wanted_system_build_image(system, step->image, &built, failure);
        return r < 0 ? r : judge(buffer_span(&built), lists, step->path, failure);
}

static int judge_loader(WantedSystem *system, const Step *step, const TrustLists *lists, Failure *failure) {
        _cleanup_(buffer_done) Buffer built = {};
        int r;

        r = wanted_system_build_loader(system, &built, failure);
        return r < 0 ? r : judge(buffer_span(&built), lists, step->path, failure);
}

static int judge_plan(WantedSystem *system, const Plan *plan, const TrustLists *lists, Failure *failure) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < plan->step_count; i++) {
                const Step *step = &plan->steps[i];

                if (step->kind == STEP_WRITE_IMAGE)
                        r = judge_image(system, step, lists, failure);
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

static void hint_at_keys(Failure *failure) {
        failure_set_hint(failure,
                         "The firmware does not trust what this key store signs: restore the one whose keys "
                         "are enrolled, or put the firmware into Setup Mode and run 'lanzactl enroll-keys'. Nothing "
                         "was changed.");
}

int boot_check_plan(const Context *context, WantedSystem *system, const Plan *plan, Failure *failure) {
        _cleanup_(live_lists_done) LiveLists live = {};
        int r;

        if (system->wanted.garbage_only)
                return 0;
        r = live_lists_read(&live, context, failure);
        if (r < 0 || !live.enforced)
                return r;
        system->keeps_built = true;
        r = judge_plan(system, plan, &live.lists, failure);
        if (r == condition_errno(CONDITION_WOULD_NOT_BOOT))
                hint_at_keys(failure);
        return r;
}

/* Who names a default is told if it cannot be started, also where it stands there already. */
int boot_check_default(const Context *context, const EspVolume *volume, const Plan *plan, Failure *failure) {
        _cleanup_(live_lists_done) LiveLists live = {};
        _cleanup_(free_pointer) char *path = NULL;
        int r;

        if (!plan->kept_default)
                return 0;
        r = live_lists_read(&live, context, failure);
        if (r < 0 || !live.enforced)
                return r;
        path = path_join(ESP_IMAGE_FOLDER, plan->kept_default);
        r = path ? judge_file(volume, path, &live.lists, failure) : -ENOMEM;
        if (r == condition_errno(CONDITION_WOULD_NOT_BOOT))
                hint_at_keys(failure);
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

/* Returns how many there are. */
static int judge_images(const Context *context, const EspVolume *volume, const TrustLists *lists, StringList *warnings,
                        Failure *failure) {
        _cleanup_(string_list_done) StringList names = {};
        int count = 0;
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
        return count;
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

/* The volume that ENTRY starts something on; NULL if it is none of these. */
static const EspVolume *find_volume(const PartitionList *partitions, const BootEntry *entry) {
        for (size_t i = 0; i < partitions->count; i++) {
                const Partition *partition = &partitions->items[i];

                if (partition->error >= 0 && boot_entry_is_on(entry, partition->volume.partition_uuid))
                        return &partition->volume;
        }
        return NULL;
}

/* An entry whose file is gone boots nothing today either. */
static int judge_entry(const PartitionList *partitions, const BootEntry *entry, const TrustLists *lists,
                       StringList *warnings, Failure *failure) {
        const EspVolume *volume = find_volume(partitions, entry);
        _cleanup_(free_pointer) char *path = NULL;
        int r;

        if (!entry->active || !entry->path)
                return 0;
        if (!volume)
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

static int judge_entries(const Context *context, const PartitionList *partitions, const TrustLists *lists,
                         StringList *warnings, Failure *failure) {
        _cleanup_(boot_order_done) BootOrder order = {};
        int r;

        r = boot_order_read(context, &order, failure);
        for (size_t i = 0; r >= 0 && i < order.count; i++)
                r = judge_entry(partitions, &order.items[i], lists, warnings, failure);
        return r;
}

/* An ESP, and what belongs to it. */
static int judge_home(const Context *context, PartitionList *partitions, size_t home, const TrustLists *lists,
                      StringList *warnings, Failure *failure) {
        const EspVolume *esp = &partitions->items[home].volume;
        int r, count = 0;

        for (size_t i = home; i < partitions->count && partitions->items[i].home == home; i++) {
                Partition *partition = &partitions->items[i];

                if (partition->error < 0)
                        return failure_pass(failure, &partition->problem, partition->error);
                r = judge_images(context, &partition->volume, lists, warnings, failure);
                if (r < 0)
                        return r;
                count += r;
        }
        if (count > 0)
                return judge_loaders(esp, lists, failure);
        r = failure_set(failure, CONDITION_WOULD_NOT_BOOT, "No image of a generation stands on %s", esp->path);
        failure_set_hint(failure, "Run 'lanzactl sync'.");
        return r;
}

/* How all homes are judged, and what it came to. */
typedef struct Judgement {
        const TrustLists *lists; /* NULL: nothing is enforced */
        StringList *warnings;
        bool each;   /* one that can be looked at and would not boot is a failure, whatever the others are */
        bool any;    /* there is one that would boot, and it is one that counts */
        Failure bad; /* of the first that would not, or cannot be looked at */
        int error;   /* of BAD */
} Judgement;

/* What is passed over is not looked at again. */
static void drop_home(PartitionList *partitions, size_t home) {
        for (size_t i = home; i < partitions->count && partitions->items[i].home == home; i++) {
                if (partitions->items[i].error >= 0)
                        esp_volume_done(&partitions->items[i].volume);
                partitions->items[i].error = -ENODEV;
        }
}

static int pass_over(Judgement *judgement, PartitionList *partitions, size_t home, Failure *problem, int error,
                     Failure *failure) {
        bool reachable = partitions->items[home].error >= 0;

        if (!problem->message || (reachable && judgement->each))
                return failure_pass(failure, problem, error);
        drop_home(partitions, home);
        if (judgement->error < 0)
                return string_list_add(judgement->warnings, problem->message);
        judgement->error = error;
        failure_pass(&judgement->bad, problem, error);
        return 0;
}

static int judge_homes(const Context *context, PartitionList *partitions, Judgement *judgement, Failure *failure) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < partitions->count; i++) {
                _cleanup_(failure_done) Failure problem = {};

                if (partitions->items[i].home != i)
                        continue;
                r = judge_home(context, partitions, i, judgement->lists, judgement->warnings, &problem);
                if (r >= 0)
                        judgement->any = judgement->any || partitions->items[i].boots || judgement->each;
                else
                        r = pass_over(judgement, partitions, i, &problem, r, failure);
        }
        return r;
}

static int not_started(const PartitionList *partitions, Failure *failure) {
        const char *path = "";

        for (size_t i = 0; i < partitions->count; i++)
                if (partitions->items[i].error >= 0)
                        path = partitions->items[i].path;
        return failure_set(failure, CONDITION_WOULD_NOT_BOOT,
                           "%s could be booted from, but the firmware starts another partition", path);
}

/* All that the machine boots from. */
static int judge_machine(const Context *context, Judgement *judgement, Failure *failure) {
        _cleanup_(partitions_done) PartitionList partitions = {};
        int r;

        r = partitions_open(context, &partitions, failure);
        if (r >= 0)
                r = judge_homes(context, &partitions, judgement, failure);
        if (r >= 0 && !judgement->any)
                return judgement->error < 0 ? failure_pass(failure, &judgement->bad, judgement->error)
                                            : not_started(&partitions, failure);
        if (r >= 0 && judgement->error < 0)
                r = string_list_add(judgement->warnings, judgement->bad.message);
        return r < 0 ? r : judge_entries(context, &partitions, judgement->lists, judgement->warnings, failure);
}

int boot_check_present(const Context *context, Failure *failure) {
        _cleanup_(string_list_done) StringList warnings = {};
        _cleanup_(live_lists_done) LiveLists live = {};
        Judgement judgement = {.warnings = &warnings};
        int r;

        r = live_lists_read(&live, context, failure);
        if (r < 0)
                return r;
        judgement.lists = live.enforced ? &live.lists : NULL;
        r = judge_machine(context, &judgement, failure);
        failure_done(&judgement.bad);
        if (r == condition_errno(CONDITION_WOULD_NOT_BOOT) && failure && !failure->hint)
                failure_set_hint(failure,
                                 "Run 'lanzactl sync', which writes and signs what is ours; what is not ours has to be "
                                 "signed by a key that is enrolled, or to leave the boot order.");
        return r;
}

int boot_check_enrollment(const Context *context, Span db, Span dbx, StringList *warnings, Failure *failure) {
        _cleanup_(buffer_done) Buffer dbt = {};
        TrustLists lists = {.db = db, .dbx = dbx};
        Judgement judgement = {.lists = &lists, .warnings = warnings, .each = true};
        int r;

        r = read_dbt(context, &dbt);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot read the variable dbt");
        lists.dbt = buffer_span(&dbt);
        r = judge_machine(context, &judgement, failure);
        failure_done(&judgement.bad);
        if (r == condition_errno(CONDITION_WOULD_NOT_BOOT) && failure && !failure->hint)
                failure_set_hint(
                        failure,
                        "Run 'lanzactl sync', which signs what is ours; what Microsoft signed needs '--microsoft' with "
                        "its class; what else is not ours has to be signed by a key that is enrolled, or to "
                        "leave the boot order. Nothing was changed.");
        return r;
}
