/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-names.h"
#include "daemon/firmware/secure-boot.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/ops/boot-check.h"
#include "daemon/ops/certificate-record.h"
#include "daemon/ops/context.h"
#include "daemon/ops/image-build.h"
#include "daemon/ops/survey.h"
#include "daemon/ops/system.h"
#include "daemon/util/file.h"

typedef struct StatusParameters {
        bool check;
} StatusParameters;

static const Field parameter_fields[] = {
        {.name = "check",
         .type = FIELD_BOOLEAN,
         .offset = offsetof(StatusParameters, check),
         .help = "exit with status 6 unless the machine would boot as it stands"},
};

typedef struct StatusProblem {
        char *message, *hint;
} StatusProblem;

static const Field problem_fields[] = {
        FIELD(StatusProblem, message, FIELD_STRING, "message"),
        FIELD(StatusProblem, hint, FIELD_STRING, "hint"),
};
static const Record problem_record = RECORD(StatusProblem, problem_fields);

typedef struct StatusResult {
        char *mode; /* unsupported, setup, audit, user, deployed */
        bool secure_boot, setup_mode;
        bool keys_present, keys_enrolled;
        RecordList certificates;
        char *booted_entry, *booted_toplevel, *stub, *loader;
        RecordList partitions, generations, problems, notes;
        bool default_broken; /* a problem says why */
} StatusResult;

static const Field result_fields[] = {
        FIELD(StatusResult, mode, FIELD_STRING, "mode"),
        FIELD(StatusResult, secure_boot, FIELD_BOOLEAN, "secure-boot"),
        FIELD(StatusResult, setup_mode, FIELD_BOOLEAN, "setup-mode"),
        FIELD(StatusResult, keys_present, FIELD_BOOLEAN, "keys-present"),
        FIELD(StatusResult, keys_enrolled, FIELD_BOOLEAN, "keys-enrolled"),
        FIELD_LIST(StatusResult, certificates, certificate_record, "certificates"),
        FIELD(StatusResult, booted_entry, FIELD_STRING, "booted-entry"),
        FIELD(StatusResult, booted_toplevel, FIELD_STRING, "booted-toplevel"),
        FIELD(StatusResult, stub, FIELD_STRING, "booted-stub"),
        FIELD(StatusResult, loader, FIELD_STRING, "booted-loader"),
        FIELD_LIST(StatusResult, partitions, survey_partition_record, "partitions"),
        FIELD_LIST(StatusResult, generations, survey_generation_record, "generations"),
        FIELD_LIST(StatusResult, problems, problem_record, "problems"),
        FIELD_LIST(StatusResult, notes, problem_record, "notes"), /* what is as it should be, and worth knowing */
};

static const Record parameters_record = RECORD(StatusParameters, parameter_fields);
static const Record result_record = RECORD(StatusResult, result_fields);

/* Two who find the same say it once. */
static int add_finding(RecordList *list, const char *message, const char *hint) {
        const StatusProblem *found = list->items;
        StatusProblem *problem;

        for (size_t i = 0; i < list->count; i++)
                if (strcmp(found[i].message, message) == 0)
                        return 0;
        problem = record_list_add(list, &problem_record);
        if (!problem)
                return -ENOMEM;
        problem->message = strdup(message);
        problem->hint = hint ? strdup(hint) : NULL;
        return problem->message && (problem->hint || !hint) ? 0 : -ENOMEM;
}

static int add_problem(StatusResult *status, const char *message, const char *hint) {
        return add_finding(&status->problems, message, hint);
}

/* What an operation would refuse with is a problem here. */
static int add_failure(StatusResult *status, int r, const Failure *failure) {
        if (r == -ENOMEM)
                return r;
        return add_problem(status, failure->message ? failure->message : strerror(-r), failure_hint(failure));
}

static _printf_(3, 4) int add_format(RecordList *list, const char *hint, const char *format, ...) {
        _cleanup_(free_pointer) char *message = NULL;
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = vasprintf(&message, format, arguments);
        va_end(arguments);
        if (r < 0) {
                message = NULL;
                return -ENOMEM;
        }
        return add_finding(list, message, hint);
}

static int copy_text(char **place, const char *text) {
        *place = text ? strdup(text) : NULL;
        return text && !*place ? -ENOMEM : 0;
}

/* A store that never was used is one thing to do, not three. */
static int add_missing_keys(StatusResult *status, const StringList *missing) {
        if (missing->count == KEY_ROLE_COUNT)
                return add_problem(status, "There are no keys here yet", "Make keys with 'lanzactl create-keys'.");
        for (size_t i = 0; i < missing->count; i++) {
                int r = add_format(&status->problems, "Make it with 'lanzactl create-keys'.",
                                   "The key store has no key for %s", missing->items[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What can be told without reading the key. */
static int judge_pair(const Context *context, KeyRole role, const Certificate *certificate, StatusResult *status) {
        _cleanup_(string_list_done) StringList warnings = {};
        _cleanup_(failure_done) Failure failure = {};
        int r;

        r = key_store_check_private(context->keys, role, &failure);
        if (r < 0)
                r = add_failure(status, r, &failure);
        if (r >= 0 && certificate_not_after(certificate) < context->now)
                r = key_store_warn_of_time(context->keys, role, context->now, &warnings);
        for (size_t i = 0; r >= 0 && i < warnings.count; i++)
                r = add_finding(&status->notes, warnings.items[i], /* hint= */ NULL);
        return r;
}

static int read_keys(const Context *context, StatusResult *status) {
        _cleanup_(string_list_done) StringList missing = {};
        int r = 0;

        status->keys_present = true;
        for (KeyRole role = 0; r >= 0 && role < KEY_ROLE_COUNT; role++) {
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
                _cleanup_(failure_done) Failure failure = {};

                r = key_store_certificate(context->keys, role, &certificate, &failure);
                if (r >= 0) {
                        r = certificate_record_add(&status->certificates, key_role_name(role), certificate);
                        if (r >= 0)
                                r = judge_pair(context, role, certificate, status);
                        continue;
                }
                status->keys_present = false;
                r = failure.condition == CONDITION_NO_KEYS ? string_list_add(&missing, key_role_name(role))
                                                           : add_failure(status, r, &failure);
        }
        return r < 0 ? r : add_missing_keys(status, &missing);
}

/* Whether each of our certificates is where it belongs: 1, 0 or -ENOMEM. */
static int are_keys_enrolled(const Context *context, const SecureBootState *state) {
        static const SecureVariable variables[] = {
                [KEY_ROLE_PK] = SECURE_VARIABLE_PK,
                [KEY_ROLE_KEK] = SECURE_VARIABLE_KEK,
                [KEY_ROLE_DB] = SECURE_VARIABLE_DB,
        };
        int r;

        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++) {
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
                Span database = buffer_span(&state->variables[variables[role]].lists);

                r = key_store_certificate(context->keys, role, &certificate, /* failure= */ NULL);
                if (r < 0)
                        return r == -ENOMEM ? r : 0;
                if (signature_database_contains(database, &signature_type_x509, /* owner= */ NULL,
                                                certificate_der(certificate)) <= 0)
                        return 0;
        }
        return 1;
}

#define FIRMWARE_SETTINGS "the firmware's settings ('systemctl reboot --firmware-setup' goes there)"

static int judge_firmware(const SecureBootState *state, StatusResult *status) {
        if (state->mode == SECURE_BOOT_UNSUPPORTED)
                return add_problem(status, "The firmware has no Secure Boot",
                                   "A newer version of it may have; what lanzad signs starts in any case.");
        if (status->setup_mode)
                return add_problem(status, "The firmware is in Setup Mode: it runs everything",
                                   "Enroll the keys with 'lanzactl setup', which also does what must come before.");
        if (!status->keys_enrolled)
                return add_problem(status, "The firmware trusts other keys, not the ones of this key store",
                                   "Put the firmware into Setup Mode in " FIRMWARE_SETTINGS
                                   ", then run 'lanzactl setup'.");
        if (!status->secure_boot)
                return add_problem(status, "The keys are enrolled, but this start did not enforce them",
                                   "Run 'systemctl reboot'. If that changes nothing, switch Secure Boot on "
                                   "in " FIRMWARE_SETTINGS ".");
        return 0;
}

static int read_firmware(const Context *context, StatusResult *status) {
        _cleanup_(secure_boot_state_done) SecureBootState state = {};
        _cleanup_(failure_done) Failure failure = {};
        int r;

        if (!context->variables) {
                if (!context->live)
                        return 0;
                r = add_problem(status, "There are no EFI variables here",
                                "Boot this system in UEFI mode. If it was, mount them: 'mount -t efivarfs efivarfs "
                                "/sys/firmware/efi/efivars'.");
                return r < 0 ? r : copy_text(&status->mode, secure_boot_mode_name(SECURE_BOOT_UNSUPPORTED));
        }
        r = secure_boot_state_read(context->variables, &state, &failure);
        if (r < 0)
                return add_failure(status, r, &failure);
        r = copy_text(&status->mode, secure_boot_mode_name(state.mode));
        if (r < 0)
                return r;
        status->secure_boot = state.secure_boot;
        status->setup_mode = state.setup_mode;
        r = are_keys_enrolled(context, &state);
        if (r < 0)
                return r;
        status->keys_enrolled = r > 0;
        return judge_firmware(&state, status);
}

static int read_programs(const Context *context, StatusResult *status) {
        int r;

        r = system_loader_variable(context, "StubInfo", &status->stub);
        return r < 0 ? r : system_loader_variable(context, "LoaderInfo", &status->loader);
}

/* What stands above loader.conf. */
static int read_overrides(const Context *context, StatusResult *status) {
        static const struct {
                const char *name, *when, *hint;
        } overrides[] = {
                {"LoaderEntryOneShot", " next", "Clear it with 'bootctl set-oneshot \"\"'."},
                {"LoaderEntryPreferred", " as long as it has tries left",
                 "Clear it with 'bootctl set-preferred \"\"'."},
                {"LoaderEntryDefault", "", "Clear it with 'bootctl set-default \"\"'."},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ARRAY_LENGTH(overrides); i++) {
                _cleanup_(free_pointer) char *entry = NULL;

                r = system_loader_variable(context, overrides[i].name, &entry);
                if (r >= 0 && entry && *entry)
                        r = add_format(
                                &status->problems, overrides[i].hint,
                                "The firmware's variable %s names %s: that entry is started%s, whatever the default is",
                                overrides[i].name, entry, overrides[i].when);
        }
        return r;
}

/* Images that sync would take for its own. */
typedef struct OwnImages {
        size_t without_signature, with_old_stub;
        bool only_booted; /* has an old stub */
} OwnImages;

static OwnImages count_images(const Survey *survey, const SurveyPartition *partition) {
        const SurveyImage *images = survey->images.items;
        OwnImages own = {.only_booted = true};

        for (size_t i = 0; i < survey->images.count; i++) {
                if (strcmp(images[i].partition, partition->path) != 0)
                        continue;
                own.without_signature += images[i].ours && !images[i].has_signature;
                own.with_old_stub += images[i].has_old_stub;
                if (images[i].has_old_stub && !images[i].booted)
                        own.only_booted = false;
        }
        return own;
}

static int judge_images(StatusResult *status, const Survey *survey) {
        const SurveyImage *images = survey->images.items;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < survey->images.count; i++)
                if (images[i].problem && images[i].generation > 0)
                        r = add_format(&status->problems, "Run 'lanzactl sync'.", "%s on %s cannot be booted: %s",
                                       images[i].name, images[i].partition, images[i].problem);
        return r;
}

/* What the boot loader starts by itself stands nowhere as a whole. */
static bool is_default_broken(const Survey *survey) {
        const SurveyImage *images = survey->images.items;
        bool broken = false;

        for (size_t i = 0; i < survey->images.count; i++) {
                if (images[i].is_default && !images[i].problem)
                        return false;
                broken = broken || images[i].is_default;
        }
        return broken;
}

static int judge_access(StatusResult *status, const SurveyPartition *partition) {
        _cleanup_(free_pointer) char *hint = NULL;

        if (asprintf(&hint,
                     "Run 'umount %1$s && mount -o umask=0077 %1$s', and add umask=0077 to its mount options for good "
                     "(in NixOS: fileSystems.\"%1$s\".options).",
                     partition->path) < 0) {
                hint = NULL;
                return -ENOMEM;
        }
        return add_format(&status->problems, hint, "%s can be read by others, and initrd secrets stand on it",
                          partition->path);
}

/* Where other keys are enforced, sync refuses to write what would not start. */
static const char *sync_hint(const StatusResult *status) {
        return status->secure_boot && !status->keys_enrolled
                       ? "'lanzactl setup' does this, too, once the firmware is in Setup Mode."
                       : "Run 'lanzactl sync'.";
}

static int judge_partition(const Context *context, StatusResult *status, const Survey *survey,
                           const SurveyPartition *partition) {
        const OwnImages own = count_images(survey, partition);
        int r = 0;

        if (partition->read_only)
                r = add_format(&status->problems, partition->read_only_hint, "%s is mounted read-only",
                               partition->path);
        if (r >= 0 && survey->has_secrets && !partition->private && partition->has_images)
                r = judge_access(status, partition);
        if (r >= 0 && partition->images_of_ours == 0 && partition->has_images && survey->list.count > 0)
                r = add_format(&status->problems, sync_hint(status), "No image of a generation stands on %s",
                               partition->path);
        if (r >= 0 && own.without_signature > 0 && status->keys_present)
                r = add_format(&status->problems, sync_hint(status),
                               "%zu of the images on %s are not signed by these keys", own.without_signature,
                               partition->path);
        if (r >= 0 && own.with_old_stub > 0)
                r = add_format(&status->notes,
                               own.only_booted
                                       ? "It was booted, and is kept until an image with the new stub was; then "
                                         "'lanzactl sync --restub' renews it."
                                       : "Renew them with 'lanzactl sync --restub'.",
                               "%zu of the images on %s have another stub than new ones get, which is %s",
                               own.with_old_stub, partition->path, context->settings->stub);
        return r;
}

/* What the next sync would take. */
static int check_loader(const Context *context, StatusResult *status) {
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(free_pointer) char *version = NULL;
        _cleanup_(buffer_done) Buffer loader = {};
        int r = boot_loader_read(context, &loader, &version, &failure);

        return r < 0 ? add_failure(status, r, &failure) : 0;
}

static int judge_partitions(const Context *context, const Survey *survey, StatusResult *status) {
        const SurveyPartition *partitions = survey->partitions.items;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < survey->places.count; i++)
                if (survey->places.items[i].error < 0)
                        r = add_failure(status, survey->places.items[i].error, &survey->places.items[i].problem);
        for (size_t i = 0; r >= 0 && i < survey->places.warnings.count; i++)
                r = add_problem(status, survey->places.warnings.items[i], "Name it once in lanzad.conf.");
        for (size_t i = 0; r >= 0 && i < survey->partitions.count; i++)
                r = judge_partition(context, status, survey, &partitions[i]);
        return r < 0 ? r : judge_images(status, survey);
}

static int read_partitions(const Context *context, Survey *survey, StatusResult *status) {
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(failure_done) Failure no_stub = {};
        int r;

        r = survey_stubs(context, survey, &no_stub);
        if (r < 0)
                r = add_failure(status, r, &no_stub);
        if (r >= 0)
                r = check_loader(context, status);
        if (r < 0)
                return r;
        r = survey_partitions(context, survey, &failure);
        return r < 0 ? add_failure(status, r, &failure) : judge_partitions(context, survey, status);
}

static int read_generations(const Context *context, Survey *survey, StatusResult *status) {
        _cleanup_(failure_done) Failure failure = {};
        int r;

        r = survey_generations(context, survey, &failure);
        if (r < 0)
                return add_failure(status, r, &failure);
        for (size_t i = 0; r >= 0 && i < survey->list.count; i++) {
                const Failure *problem = &survey->list.items[i].problem;

                if (problem->message)
                        r = add_failure(status, condition_errno(problem->condition), problem);
        }
        return r;
}

/* The toplevel that is to be the default, where nobody names another. */
static const char *intended_default(const Survey *survey) {
        const SurveyGeneration *generations = survey->generations.items;

        for (size_t i = 0; i < survey->generations.count; i++)
                if (generations[i].current && strcmp(generations[i].profile, "system") == 0)
                        return generations[i].toplevel;
        return NULL;
}

static const SurveyImage *find_started(const Survey *survey, const char *partition) {
        const SurveyImage *images = survey->images.items;

        for (size_t i = 0; i < survey->images.count; i++)
                if (images[i].is_default && strcmp(images[i].partition, partition) == 0)
                        return &images[i];
        return NULL;
}

/* The image of TOPLEVEL on PARTITION that has no tries left; NULL if there is none, or another that can be started. */
static const SurveyImage *find_used_up(const Survey *survey, const char *partition, const char *toplevel) {
        const SurveyImage *images = survey->images.items, *found = NULL;

        for (size_t i = 0; i < survey->images.count; i++) {
                if (!images[i].ours || strcmp(images[i].partition, partition) != 0 ||
                    strcmp(images[i].toplevel ?: "", toplevel) != 0)
                        continue;
                if (!images[i].counted || images[i].tries_left > 0)
                        return NULL;
                found = &images[i];
        }
        return found;
}

/* How to give IMAGE new tries, or (where nothing is counted) to take its counter away. Owned. */
static char *retry_hint(const Context *context, const SurveyImage *image) {
        unsigned tries = context->settings->tries;
        char counter[16] = "", *hint;

        if (tries > 0)
                snprintf(counter, sizeof(counter), "+%u", tries);
        return asprintf(&hint,
                        "Make a generation that starts, or one that does the default. Once what kept this one from it "
                        "is mended, 'mv %1$s/%2$s/%3$s %1$s/%2$s/%4$.*5$s%6$s.efi' lets it be tried again.",
                        image->partition, ESP_IMAGE_FOLDER, image->name, image->name, (int)strcspn(image->name, "+"),
                        counter) < 0
                       ? NULL
                       : hint;
}

static int judge_default_tries(const Context *context, StatusResult *status, const Survey *survey,
                               const char *partition) {
        const char *toplevel = intended_default(survey);
        const SurveyImage *image = toplevel ? find_used_up(survey, partition, toplevel) : NULL,
                          *started = find_started(survey, partition);
        _cleanup_(free_pointer) char *hint = NULL;

        /* What still runs from its last try is judged by that. */
        if (!image || image->booted || (image == started && context->settings->tries == 0))
                return 0;
        hint = retry_hint(context, image);
        if (!hint)
                return -ENOMEM;
        if (image == started)
                return add_format(&status->problems, hint,
                                  "The default entry, %s, has no tries left, nor has any other: it is started all the "
                                  "same",
                                  image->name);
        return add_format(&status->problems, hint, "The default entry, %s, has no tries left: %s is started",
                          image->name, started ? started->name : "another");
}

static int judge_booted_tries(StatusResult *status, const SurveyImage *image) {
        if (!image->booted || !image->counted)
                return 0;
        if (image->tries_left == 0)
                return add_format(
                        &status->problems,
                        "If all is well, 'systemctl start systemd-bless-boot.service' confirms it. On its own "
                        "that service does so once boot-complete.target is reached.",
                        "%s was booted with its last try, and is not confirmed good: other entries come before "
                        "it at the next start",
                        image->name);
        return add_format(
                &status->notes,
                "systemd-bless-boot.service does that once boot-complete.target is reached; 'systemctl status "
                "systemd-bless-boot.service boot-complete.target' shows both.",
                "%s was booted, and is not confirmed good yet (tries left: %" PRIu64 ")", image->name,
                image->tries_left);
}

static int judge_counting(const Context *context, StatusResult *status, const Survey *survey) {
        const SurveyPartition *partitions = survey->partitions.items;
        const SurveyImage *images = survey->images.items;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < survey->partitions.count; i++)
                r = judge_default_tries(context, status, survey, partitions[i].path);
        for (size_t i = 0; r >= 0 && i < survey->images.count; i++)
                r = judge_booted_tries(status, &images[i]);
        return r;
}

/* What the machine has, and what is wrong with it. */
static int read_system(const Context *context, StatusResult *status) {
        _cleanup_(survey_done) Survey survey = {};
        int r;

        r = survey_booted(context, &survey);
        if (r >= 0)
                r = read_generations(context, &survey, status);
        if (r >= 0)
                r = read_partitions(context, &survey, status);
        if (r >= 0)
                r = judge_counting(context, status, &survey);
        if (r < 0)
                return r;
        status->default_broken = is_default_broken(&survey);
        status->booted_entry = TAKE_POINTER(survey.booted_entry);
        status->booted_toplevel = TAKE_POINTER(survey.booted_toplevel);
        status->generations = TAKE_STRUCT(survey.generations);
        status->partitions = TAKE_STRUCT(survey.partitions);
        return 0;
}

/* Whether the machine would boot as it stands: what is wrong is a problem, too. */
static int check(const Context *context, StatusResult *status) {
        _cleanup_(failure_done) Failure failure = {};
        int r, added;

        r = boot_check_present(context, &failure);
        if (r >= 0)
                return status->default_broken ? OPERATION_WOULD_NOT_BOOT : 0;
        added = add_failure(status, r, &failure);
        return added < 0 ? added : OPERATION_WOULD_NOT_BOOT;
}

static int run(Context *context, const void *parameters, void *result, Failure *failure) {
        const StatusParameters *asked = parameters;
        StatusResult *status = result;
        int r;

        r = read_keys(context, status);
        if (r >= 0)
                r = read_firmware(context, status);
        if (r >= 0)
                r = read_programs(context, status);
        if (r >= 0)
                r = read_overrides(context, status);
        if (r >= 0)
                r = read_system(context, status);
        if (r >= 0 && asked->check)
                r = check(context, status);
        return r;
}

const Operation status_operation = {
        .verb = "status",
        .help = "show where this machine stands, and what to do next",
        .parameters = &parameters_record,
        .result = &result_record,
        .run = run,
};
