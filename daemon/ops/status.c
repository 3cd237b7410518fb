/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/inventory.h"
#include "daemon/firmware/secure-boot.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/ops/certificate-record.h"
#include "daemon/ops/context.h"
#include "daemon/ops/image-facts.h"
#include "daemon/ops/system.h"
#include "daemon/util/file.h"

typedef struct StatusParameters {
        bool check;
} StatusParameters;

static const Field parameter_fields[] = {
        {.name = "check",
         .type = FIELD_BOOLEAN,
         .offset = offsetof(StatusParameters, check),
         .help = "exit with status 6 if the machine would not boot as it stands"},
};

typedef struct StatusGeneration {
        char *profile;
        uint64_t number;
        char *toplevel;
        char *label;
        bool current, booted;
        char *problem;
} StatusGeneration;

static const Field generation_fields[] = {
        FIELD(StatusGeneration, profile, FIELD_STRING, "profile"),
        FIELD(StatusGeneration, number, FIELD_UNSIGNED, "number"),
        FIELD(StatusGeneration, toplevel, FIELD_STRING, "toplevel"),
        FIELD(StatusGeneration, label, FIELD_STRING, "label"),
        FIELD(StatusGeneration, current, FIELD_BOOLEAN, "current"),
        FIELD(StatusGeneration, booted, FIELD_BOOLEAN, "booted"),
        FIELD(StatusGeneration, problem, FIELD_STRING, "problem"),
};
static const Record generation_record = RECORD(StatusGeneration, generation_fields);

typedef struct StatusPartition {
        char *path;
        char *partition_uuid;
        uint64_t bytes_total, bytes_free;
        bool read_only, private;
        uint64_t images, images_of_ours;
        char *loader_version;
} StatusPartition;

static const Field partition_fields[] = {
        FIELD(StatusPartition, path, FIELD_STRING, "path"),
        FIELD(StatusPartition, partition_uuid, FIELD_STRING, "partition-uuid"),
        FIELD(StatusPartition, bytes_total, FIELD_UNSIGNED, "bytes-total"),
        FIELD(StatusPartition, bytes_free, FIELD_UNSIGNED, "bytes-free"),
        FIELD(StatusPartition, read_only, FIELD_BOOLEAN, "read-only"),
        FIELD(StatusPartition, private, FIELD_BOOLEAN, "private"),
        FIELD(StatusPartition, images, FIELD_UNSIGNED, "images"),
        FIELD(StatusPartition, images_of_ours, FIELD_UNSIGNED, "images-of-ours"),
        FIELD(StatusPartition, loader_version, FIELD_STRING, "loader-version"),
};
static const Record partition_record = RECORD(StatusPartition, partition_fields);

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
        RecordList partitions, generations, problems;
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
        FIELD_LIST(StatusResult, partitions, partition_record, "partitions"),
        FIELD_LIST(StatusResult, generations, generation_record, "generations"),
        FIELD_LIST(StatusResult, problems, problem_record, "problems"),
};

static const Record parameters_record = RECORD(StatusParameters, parameter_fields);
static const Record result_record = RECORD(StatusResult, result_fields);

static int add_problem(StatusResult *status, const char *message, const char *hint) {
        StatusProblem *problem = record_list_add(&status->problems, &problem_record);

        if (!problem)
                return -ENOMEM;
        problem->message = strdup(message);
        problem->hint = hint ? strdup(hint) : NULL;
        return problem->message && (problem->hint || !hint) ? 0 : -ENOMEM;
}

/* What an operation would refuse with is a problem here. */
static int add_failure(StatusResult *status, int r, const Failure *failure) {
        if (r == -ENOMEM)
                return r;
        return add_problem(status, failure->message ? failure->message : strerror(-r), failure_hint(failure));
}

static int copy_text(char **place, const char *text) {
        *place = text ? strdup(text) : NULL;
        return text && !*place ? -ENOMEM : 0;
}

static int read_keys(const Context *context, StatusResult *status) {
        int r = 0;

        status->keys_present = true;
        for (KeyRole role = 0; r >= 0 && role < KEY_ROLE_COUNT; role++) {
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
                _cleanup_(failure_done) Failure failure = {};

                r = key_store_certificate(context->keys, role, &certificate, &failure);
                if (r >= 0) {
                        r = certificate_record_add(&status->certificates, key_role_name(role), certificate);
                        continue;
                }
                status->keys_present = false;
                r = add_failure(status, r, &failure);
        }
        return r;
}

static bool database_has(const Context *context, Span database, KeyRole role) {
        _cleanup_(certificate_unrefp) Certificate *certificate = NULL;

        return key_store_certificate(context->keys, role, &certificate, /* failure= */ NULL) >= 0 &&
               signature_database_contains(database, &signature_type_x509, /* owner= */ NULL,
                                           certificate_der(certificate)) > 0;
}

static int judge_firmware(const SecureBootState *state, StatusResult *status) {
        if (state->mode == SECURE_BOOT_UNSUPPORTED)
                return add_problem(status, "The firmware has no Secure Boot", NULL);
        if (status->setup_mode)
                return add_problem(status, "The firmware is in Setup Mode: it runs everything",
                                   status->keys_present ? "Enroll the keys with 'enroll-keys'."
                                                        : "Make keys with 'create-keys', then enroll them.");
        if (!status->keys_enrolled)
                return add_problem(status, "The firmware trusts other keys, not the ones of this key store",
                                   "Put the firmware into Setup Mode in its settings, then run 'enroll-keys'.");
        if (!status->secure_boot)
                return add_problem(
                        status, "The keys are enrolled, but this start did not enforce them",
                        "Reboot; if that changes nothing, switch Secure Boot on in the firmware's settings.");
        return 0;
}

static int read_firmware(const Context *context, StatusResult *status) {
        _cleanup_(secure_boot_state_done) SecureBootState state = {};
        _cleanup_(failure_done) Failure failure = {};
        int r;

        if (!context->variables) {
                if (!context->live)
                        return 0;
                r = add_problem(status, "There are no EFI variables here", "Boot this system in UEFI mode.");
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
        status->keys_enrolled =
                database_has(context, buffer_span(&state.variables[SECURE_VARIABLE_PK].lists), KEY_ROLE_PK) &&
                database_has(context, buffer_span(&state.variables[SECURE_VARIABLE_KEK].lists), KEY_ROLE_KEK) &&
                database_has(context, buffer_span(&state.variables[SECURE_VARIABLE_DB].lists), KEY_ROLE_DB);
        return judge_firmware(&state, status);
}

static int read_booted(const Context *context, StatusResult *status) {
        int r;

        r = system_loader_variable(context, "LoaderEntrySelected", &status->booted_entry);
        if (r >= 0)
                r = system_loader_variable(context, "StubInfo", &status->stub);
        if (r >= 0)
                r = system_loader_variable(context, "LoaderInfo", &status->loader);
        if (r >= 0)
                r = system_booted_toplevel(context, &status->booted_toplevel);
        return r;
}

static int count_images(const Context *context, const EspVolume *volume, StatusPartition *partition, Failure *failure) {
        _cleanup_(inventory_done) Inventory inventory = {};
        ImageFactsReader reader = {.keys = context->keys};
        InventoryParameters parameters = {
                .read_image = image_facts_read,
                .userdata = &reader,
                .token = context->settings->entry_token,
                .architecture = "x64",
        };
        int r;

        r = inventory_read(volume->fd, &parameters, &inventory, failure);
        if (r < 0)
                return r;
        partition->images = inventory.image_count;
        for (size_t i = 0; i < inventory.image_count; i++)
                partition->images_of_ours += inventory.images[i].our_form && inventory.images[i].facts.signed_by_us;
        return copy_text(&partition->loader_version, inventory.loaders[LOADER_SYSTEMD].version);
}

static int read_partition(const Context *context, StatusResult *status) {
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(esp_volume_done) EspVolume volume = {.fd = -EBADF};
        StatusPartition *partition;
        int r;

        r = system_esp(context, &volume, &failure);
        if (r < 0)
                return add_failure(status, r, &failure);
        partition = record_list_add(&status->partitions, &partition_record);
        if (!partition)
                return -ENOMEM;
        r = copy_text(&partition->path, volume.path);
        if (r >= 0 && volume.partition_uuid[0])
                r = copy_text(&partition->partition_uuid, volume.partition_uuid);
        if (r < 0)
                return r;
        partition->bytes_total = volume.total_bytes;
        partition->bytes_free = volume.free_bytes;
        partition->read_only = volume.read_only;
        partition->private = !volume.world_readable;
        r = count_images(context, &volume, partition, &failure);
        if (r < 0)
                return add_failure(status, r, &failure);
        if (partition->images_of_ours == 0)
                return add_problem(status, "No image of a generation stands on the ESP", "Run 'sync'.");
        return 0;
}

static int add_generation(const Generation *generation, const char *booted, RecordList *list) {
        StatusGeneration *record = record_list_add(list, &generation_record);
        int r;

        if (!record)
                return -ENOMEM;
        record->number = generation->number;
        record->current = generation->current;
        r = copy_text(&record->profile, generation->profile ? generation->profile : "system");
        if (r >= 0)
                r = copy_text(&record->toplevel, generation->toplevel);
        if (r >= 0)
                r = copy_text(&record->label, generation->bootspec.label);
        if (r >= 0)
                r = copy_text(&record->problem, generation->problem.message);
        if (booted && generation->toplevel)
                record->booted = strcmp(booted, generation->toplevel) == 0 ||
                                 boot_variant_list_find(&generation->variants, booted);
        return r;
}

static int read_generations(const Context *context, StatusResult *status) {
        _cleanup_(generation_list_done) GenerationList generations = {};
        _cleanup_(failure_done) Failure failure = {};
        int r;

        r = system_generations(context, /* warnings= */ NULL, &generations, &failure);
        if (r < 0)
                return add_failure(status, r, &failure);
        for (size_t i = 0; r >= 0 && i < generations.count; i++)
                r = add_generation(&generations.items[i], status->booted_toplevel, &status->generations);
        return r;
}

static int run(Context *context, const void *parameters, void *result, Failure *failure) {
        StatusResult *status = result;
        int r;

        r = read_keys(context, status);
        if (r >= 0)
                r = read_firmware(context, status);
        if (r >= 0)
                r = read_booted(context, status);
        if (r >= 0)
                r = read_partition(context, status);
        if (r >= 0)
                r = read_generations(context, status);
        return r;
}

const Operation status_operation = {
        .verb = "status",
        .help = "show where this machine stands, and what to do next",
        .parameters = &parameters_record,
        .result = &result_record,
        .run = run,
};
