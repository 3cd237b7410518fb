/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/esp/esp-names.h"
#include "daemon/esp/inventory.h"
#include "daemon/ops/default-entry.h"
#include "daemon/ops/image-build.h"
#include "daemon/ops/image-facts.h"
#include "daemon/ops/system.h"
#include "daemon/util/file.h"

static const Field generation_fields[] = {
        FIELD(SurveyGeneration, profile, FIELD_STRING, "profile"),
        FIELD(SurveyGeneration, number, FIELD_UNSIGNED, "number"),
        FIELD(SurveyGeneration, toplevel, FIELD_STRING, "toplevel"),
        FIELD(SurveyGeneration, label, FIELD_STRING, "label"),
        FIELD(SurveyGeneration, made, FIELD_UNSIGNED, "made"),
        FIELD(SurveyGeneration, current, FIELD_BOOLEAN, "current"),
        FIELD(SurveyGeneration, booted, FIELD_BOOLEAN, "booted"),
        FIELD(SurveyGeneration, is_default, FIELD_BOOLEAN, "default"),
        FIELD(SurveyGeneration, images, FIELD_STRINGS, "images"),
        FIELD(SurveyGeneration, problem, FIELD_STRING, "problem"),
};

static const Field image_fields[] = {
        FIELD(SurveyImage, partition, FIELD_STRING, "partition"),
        FIELD(SurveyImage, name, FIELD_STRING, "name"),
        FIELD(SurveyImage, size, FIELD_UNSIGNED, "size"),
        FIELD(SurveyImage, profile, FIELD_STRING, "profile"),
        FIELD(SurveyImage, generation, FIELD_UNSIGNED, "generation"),
        FIELD(SurveyImage, specialisation, FIELD_STRING, "specialisation"),
        FIELD(SurveyImage, toplevel, FIELD_STRING, "toplevel"),
        FIELD(SurveyImage, ours, FIELD_BOOLEAN, "ours"),
        FIELD(SurveyImage, has_signature, FIELD_BOOLEAN, "signed"),
        FIELD(SurveyImage, booted, FIELD_BOOLEAN, "booted"),
        FIELD(SurveyImage, is_default, FIELD_BOOLEAN, "default"),
        FIELD(SurveyImage, has_old_stub, FIELD_BOOLEAN, "old-stub"),
        FIELD(SurveyImage, counted, FIELD_BOOLEAN, "counted"),
        FIELD(SurveyImage, tries_left, FIELD_UNSIGNED, "tries-left"),
        FIELD(SurveyImage, tries_done, FIELD_UNSIGNED, "tries-done"),
        FIELD(SurveyImage, files, FIELD_STRINGS, "files"),
        FIELD(SurveyImage, problem, FIELD_STRING, "problem"),
};

static const Field partition_fields[] = {
        FIELD(SurveyPartition, path, FIELD_STRING, "path"),
        FIELD(SurveyPartition, partition_uuid, FIELD_STRING, "partition-uuid"),
        FIELD(SurveyPartition, role, FIELD_STRING, "role"),
        FIELD(SurveyPartition, boots, FIELD_BOOLEAN, "boots"),
        FIELD(SurveyPartition, bytes_total, FIELD_UNSIGNED, "bytes-total"),
        FIELD(SurveyPartition, bytes_free, FIELD_UNSIGNED, "bytes-free"),
        FIELD(SurveyPartition, read_only, FIELD_BOOLEAN, "read-only"),
        FIELD(SurveyPartition, private, FIELD_BOOLEAN, "private"),
        FIELD(SurveyPartition, images, FIELD_UNSIGNED, "images"),
        FIELD(SurveyPartition, images_of_ours, FIELD_UNSIGNED, "images-of-ours"),
        FIELD(SurveyPartition, loader_version, FIELD_STRING, "loader-version"),
};

const Record survey_generation_record = RECORD(SurveyGeneration, generation_fields);
const Record survey_image_record = RECORD(SurveyImage, image_fields);
const Record survey_partition_record = RECORD(SurveyPartition, partition_fields);

void survey_done(Survey *survey) {
        record_list_done(&survey->generations, &survey_generation_record);
        record_list_done(&survey->images, &survey_image_record);
        record_list_done(&survey->partitions, &survey_partition_record);
        partitions_done(&survey->places);
        generation_list_done(&survey->list);
        free(survey->booted_toplevel);
        free(survey->booted_entry);
        stub_shelf_free(survey->stubs);
        *survey = (Survey){};
}

static int copy_text(char **place, const char *text) {
        *place = text ? strdup(text) : NULL;
        return text && !*place ? -ENOMEM : 0;
}

static int copy_span(char **place, Span text) {
        *place = text.size > 0 ? strndup((const char *)text.data, text.size) : NULL;
        return text.size > 0 && !*place ? -ENOMEM : 0;
}

int survey_booted(const Context *context, Survey *survey) {
        int r;

        r = system_loader_variable(context, "LoaderEntrySelected", &survey->booted_entry);
        return r < 0 ? r : system_booted_toplevel(context, &survey->booted_toplevel);
}

static int add_generation(Survey *survey, const Generation *generation) {
        SurveyGeneration *record = record_list_add(&survey->generations, &survey_generation_record);
        const char *booted = survey->booted_toplevel;
        int r;

        if (!record)
                return -ENOMEM;
        record->number = generation->number;
        record->made = generation->made > 0 ? generation->made : 0;
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
        survey->has_secrets |= generation->bootspec.initrd_secrets != NULL;
        return r;
}

int survey_generations(const Context *context, Survey *survey, Failure *failure) {
        int r;

        r = system_generations(context, /* warnings= */ NULL, &survey->list, failure);
        for (size_t i = 0; r >= 0 && i < survey->list.count; i++)
                r = add_generation(survey, &survey->list.items[i]);
        return r;
}

static void add_counter(SurveyImage *image, const char *name) {
        Span counter = entry_name_counter(name);
        unsigned long long left, done = 0;
        char text[64] = "";

        image->counted = counter.size > 0 && counter.size < sizeof(text);
        if (!image->counted)
                return;
        memcpy(text, counter.data, counter.size);
        if (sscanf(text, "+%llu-%llu", &left, &done) < 1)
                return;
        image->tries_left = left;
        image->tries_done = done;
        return;
}

static int add_name(SurveyImage *image, const EspImage *found, const char *token) {
        ImageName name;
        int r;

        if (!found->our_form || image_name_parse(found->name, token, &name) < 0)
                return 0;
        image->generation = name.generation;
        r = name.profile.size > 0 ? copy_span(&image->profile, name.profile) : copy_text(&image->profile, "system");
        return r < 0 ? r : copy_span(&image->specialisation, name.specialisation);
}

static _printf_(2, 3) int set_problem(SurveyImage *image, const char *format, ...) {
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = vasprintf(&image->problem, format, arguments);
        va_end(arguments);
        if (r >= 0)
                return 0;
        image->problem = NULL;
        return -ENOMEM;
}

static int add_files(SurveyImage *image, const EspImage *found, const EspVolume *volume) {
        struct stat st;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < found->paths.count; i++) {
                const char *path = found->paths.items[i];

                r = string_list_add(&image->files, path);
                if (r < 0 || image->problem)
                        continue;
                if (fstatat(volume->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        r = set_problem(image, "Its file %s: %s", path, strerror(errno));
                else if (!S_ISREG(st.st_mode) || st.st_size == 0)
                        r = set_problem(image, "Its file %s is empty, or no file", path);
        }
        return r;
}

static int add_condition(SurveyImage *image, const EspImage *found, const EspVolume *volume) {
        if (found->error == -ENOEXEC)
                return set_problem(image, "It is no EFI program");
        if (found->error == -EBADMSG)
                return set_problem(image, "It is damaged");
        if (found->error < 0)
                return set_problem(image, "It cannot be read: %s", strerror(-found->error));
        return add_files(image, found, volume);
}

int survey_stubs(const Context *context, Survey *survey, Failure *failure) {
        return stub_shelf_new(context, &survey->stubs, failure);
}

/* Where the boot loader did not tell which entry it took, whatever starts the system that runs. */
static bool is_booted(const Survey *survey, const EspImage *found) {
        if (survey->booted_entry)
                return entry_name_equal(survey->booted_entry, found->name);
        return survey->booted_toplevel && found->facts.toplevel &&
               strcmp(survey->booted_toplevel, found->facts.toplevel) == 0;
}

static int add_image(const Context *context, Survey *survey, const Partition *partition, const EspImage *found) {
        const EspVolume *volume = &partition->volume;
        SurveyImage *image = record_list_add(&survey->images, &survey_image_record);
        const char *toplevel = found->facts.toplevel;
        int r;

        if (!image)
                return -ENOMEM;
        image->size = found->size;
        image->has_signature = found->facts.signed_by_us;
        image->ours = (found->our_form || (found->old_form && found->paths.count > 0)) && found->error >= 0 &&
                      (found->facts.signed_by_us ||
                       (toplevel && generation_list_find(&survey->list, toplevel, /* ret_variant= */ NULL)));
        image->booted = is_booted(survey, found) && partition_was_booted(&survey->places, partition);
        image->has_old_stub = image->ours && found->facts.has_other_stub;
        r = copy_text(&image->partition, volume->path);
        if (r >= 0)
                r = copy_text(&image->name, found->name);
        if (r >= 0)
                r = copy_text(&image->toplevel, toplevel);
        if (r >= 0)
                r = add_name(image, found, context->settings->entry_token);
        add_counter(image, found->name);
        return r < 0 ? r : add_condition(image, found, volume);
}

/* The first image whose name is not before PREFIX; they are sorted. */
static size_t lower_bound(const Inventory *inventory, const char *prefix) {
        size_t low = 0, high = inventory->image_count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (strcmp(inventory->images[middle].name, prefix) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* What every image's name of that generation begins with: "nixos-generation-7-". Owned. */
static int image_prefix(const char *token, const Generation *generation, const char *specialisation, char **ret) {
        _cleanup_(free_pointer) char *name = NULL;
        const Sha256 any = {};
        ImageName parsed;
        int r;

        r = image_name_format(token, generation->profile, generation->number, specialisation, &any, &name);
        if (r >= 0)
                r = image_name_parse(name, token, &parsed);
        if (r < 0)
                return r;
        *ret = strndup((const char *)parsed.identity.data, parsed.identity.size + 1);
        return *ret ? 0 : -ENOMEM;
}

/* A number may have been given anew: the image must start this toplevel. */
static int match_variant(const Context *context, const Inventory *inventory, const Generation *generation,
                         const BootVariant *variant, StringList *names) {
        _cleanup_(free_pointer) char *prefix = NULL;
        int r;

        r = image_prefix(context->settings->entry_token, generation, variant->specialisation, &prefix);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        for (size_t i = lower_bound(inventory, prefix); i < inventory->image_count; i++) {
                const EspImage *image = &inventory->images[i];

                if (strncmp(image->name, prefix, strlen(prefix)) != 0)
                        break;
                if (!image->our_form || !image->facts.toplevel ||
                    strcmp(image->facts.toplevel, variant->bootspec->toplevel) != 0)
                        continue;
                r = string_list_contains(names, image->name) ? 0 : string_list_add(names, image->name);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int match_generations(const Context *context, Survey *survey, const Inventory *inventory,
                             const char *default_name) {
        SurveyGeneration *records = survey->generations.items;
        int r = 0;

        for (size_t i = 0; i < survey->list.count; i++) {
                const Generation *generation = &survey->list.items[i];

                for (size_t j = 0; r >= 0 && j < generation->variants.count; j++)
                        r = match_variant(context, inventory, generation, &generation->variants.items[j],
                                          &records[i].images);
                if (r < 0)
                        return r;
                if (default_name && string_list_contains(&records[i].images, default_name))
                        records[i].is_default = true;
        }
        return 0;
}

static int read_inventory(const Context *context, Survey *survey, const EspVolume *volume, Inventory *ret,
                          Failure *failure) {
        ImageFactsReader reader = {.keys = context->keys, .stubs = survey->stubs, .generations = &survey->list};
        InventoryParameters parameters = {
                .read_image = image_facts_read,
                .userdata = &reader,
                .token = context->settings->entry_token,
                .architecture = "x64",
        };

        return inventory_read(volume->fd, &parameters, ret, failure);
}

static int add_images(const Context *context, Survey *survey, const Partition *partition, const Inventory *inventory,
                      const char *default_name, SurveyPartition *record) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < inventory->image_count; i++) {
                r = add_image(context, survey, partition, &inventory->images[i]);
                if (r < 0)
                        return r;
                SurveyImage *image = (SurveyImage *)survey->images.items + survey->images.count - 1;
                image->is_default = default_name && strcmp(default_name, image->name) == 0;
                record->images_of_ours += image->ours;
        }
        record->images = inventory->image_count;
        return match_generations(context, survey, inventory, default_name);
}

static int add_partition(Survey *survey, const Partition *partition) {
        SurveyPartition *record = record_list_add(&survey->partitions, &survey_partition_record);
        const EspVolume *volume = &partition->volume;
        int r;

        if (!record)
                return -ENOMEM;
        record->bytes_total = volume->total_bytes;
        record->bytes_free = volume->free_bytes;
        record->read_only = volume->read_only;
        record->read_only_hint = esp_volume_read_only_hint(volume);
        record->private = !volume->world_readable;
        record->boots = partition->boots;
        record->has_images = partition->has_images;
        r = copy_text(&record->path, volume->path);
        if (r >= 0)
                r = copy_text(&record->role, partition_role_name(partition));
        if (r >= 0 && volume->partition_uuid[0])
                r = copy_text(&record->partition_uuid, volume->partition_uuid);
        return r;
}

/* What the boot loader of an ESP sees: what is on it, and the images on what belongs to it. Borrows from INVENTORIES.
 */
static int find_default(const Context *context, const Inventory *inventories, size_t count, char **ret) {
        Inventory seen = inventories[0];
        int r;

        seen.image_count = 0;
        for (size_t i = 0; i < count; i++)
                seen.image_count += inventories[i].image_count;
        seen.images = calloc(seen.image_count + 1, sizeof(*seen.images));
        if (!seen.images)
                return -ENOMEM;
        seen.image_count = 0;
        for (size_t i = 0; i < count; i++)
                for (size_t j = 0; j < inventories[i].image_count; j++)
                        seen.images[seen.image_count++] = inventories[i].images[j];
        r = default_entry_find(context, &seen, ret);
        free(seen.images);
        return r;
}

/* COUNT places from FIRST on, which are one home. */
static int read_home(const Context *context, Survey *survey, size_t first, size_t count, Inventory *inventories) {
        size_t records = survey->partitions.count;
        _cleanup_(free_pointer) char *default_name = NULL;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < count; i++) {
                Partition *place = &survey->places.items[first + i];

                if (place->error < 0)
                        continue;
                r = add_partition(survey, place);
                if (r < 0)
                        return r;
                place->error = read_inventory(context, survey, &place->volume, &inventories[i], &place->problem);
                r = place->error == -ENOMEM ? -ENOMEM : 0;
        }
        if (r >= 0)
                r = find_default(context, inventories, count, &default_name);
        for (size_t i = 0; r >= 0 && i < count; i++) {
                const Partition *place = &survey->places.items[first + i];

                if (!place->volume.path)
                        continue;
                SurveyPartition *record = (SurveyPartition *)survey->partitions.items + records++;
                r = add_images(context, survey, place, &inventories[i], default_name, record);
                if (r >= 0)
                        r = copy_text(&record->loader_version, inventories[i].loaders[LOADER_SYSTEMD].version);
        }
        return r;
}

int survey_partitions(const Context *context, Survey *survey, Failure *failure) {
        PartitionList *places = &survey->places;
        size_t count;
        int r;

        r = partitions_open(context, places, failure);
        for (size_t first = 0; r >= 0 && first < places->count; first += count) {
                Inventory *inventories = calloc(places->count, sizeof(*inventories));

                if (!inventories)
                        return -ENOMEM;
                for (count = 1; first + count < places->count && places->items[first + count].home == first;)
                        count++;
                r = read_home(context, survey, first, count, inventories);
                for (size_t i = 0; i < count; i++)
                        inventory_done(&inventories[i]);
                free(inventories);
        }
        return r;
}
