/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/boot-option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-names.h"
#include "daemon/firmware/boot-entry.h"
#include "daemon/ops/boot-order.h"
#include "daemon/util/buffer.h"
#include "daemon/util/file.h"

#define DESCRIPTION "Linux Boot Manager" /* the name that bootctl gives it, too */
#define LOADER "\\EFI\\systemd\\systemd-bootx64.efi"
#define LOADER_PATH "EFI/systemd/systemd-bootx64.efi"

enum {
        ATTRIBUTES = VARIABLE_NON_VOLATILE | VARIABLE_BOOTSERVICE_ACCESS | VARIABLE_RUNTIME_ACCESS,
        NAME_SIZE = sizeof("BootFFFF"),
        NUMBER_DIGITS = 4,
};

static int read_variable(const Context *context, const char *name, Buffer *ret) {
        return variables_read(context->variables, &efi_global_variable_guid, name, /* ret_attributes= */ NULL, ret);
}

/* Whether NAME is Boot####, with upper-case digits as the specification has them. */
static bool parse_name(const char *name, uint16_t *ret) {
        const char *digits = name + strlen("Boot");

        if (strncmp(name, "Boot", strlen("Boot")) != 0 || strlen(digits) != NUMBER_DIGITS ||
            strspn(digits, "0123456789ABCDEF") != NUMBER_DIGITS)
                return false;
        *ret = strtoul(digits, NULL, 16);
        return true;
}

/* The offset right behind NUMBER in ORDER; 0 if it does not stand there. */
static size_t offset_behind(Span order, uint16_t number) {
        uint16_t found;

        for (size_t i = 0; span_u16(order, i, &found) >= 0; i += sizeof(found))
                if (found == number)
                        return i + sizeof(found);
        return 0;
}

/* 1 if the variable NAME starts the loader on VOLUME, else 0: also if it can't be read or understood. -ENOMEM. */
static int starts_loader(const Context *context, const char *name, const EspVolume *volume, bool *ret_active) {
        _cleanup_(boot_entry_done) BootEntry entry = {};
        _cleanup_(buffer_done) Buffer content = {};
        _cleanup_(free_pointer) char *path = NULL;
        int r;

        r = read_variable(context, name, &content);
        if (r >= 0)
                r = boot_entry_parse(buffer_span(&content), &entry);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        if (!entry.path || !boot_entry_is_on(&entry, volume->partition_uuid))
                return 0;
        *ret_active = entry.active;
        r = esp_path_parse(span_from_string(entry.path), &path);
        return r == -ENOMEM ? r : r >= 0 && fat_name_equal(path, LOADER_PATH);
}

typedef struct Found {
        bool exists, in_order, active;
        uint16_t number;
} Found;

/* How well an entry will do: the first of the best is taken. */
static int rank(const Found *found) {
        return !found->exists ? 0 : !found->in_order ? found->active : found->active ? 3 : 2;
}

static int find_entry(const Context *context, const StringList *names, const EspVolume *volume, Span order,
                      Found *ret) {
        Found best = {};
        int r;

        for (size_t i = 0; i < names->count; i++) {
                Found found = {.exists = true};

                if (!parse_name(names->items[i], &found.number))
                        continue;
                r = starts_loader(context, names->items[i], volume, &found.active);
                if (r < 0)
                        return r;
                found.in_order = offset_behind(order, found.number) > 0;
                if (r > 0 && rank(&found) > rank(&best))
                        best = found;
        }
        *ret = best;
        return 0;
}

/* Firmware leaves the numbers of entries that are gone in the order. */
static int find_free(const StringList *names, Span order, uint16_t *ret_number) {
        char name[NAME_SIZE];

        for (unsigned number = 0; number <= UINT16_MAX; number++) {
                snprintf(name, sizeof(name), "Boot%04X", number);
                if (!string_list_contains(names, name) && offset_behind(order, number) == 0) {
                        *ret_number = number;
                        return 0;
                }
        }
        return -ENOSPC;
}

static int write_variable(const Context *context, const char *name, const Buffer *content, Failure *failure) {
        return variables_write(context->variables, &efi_global_variable_guid, name, ATTRIBUTES, buffer_span(content),
                               failure);
}

static int write_entry(const Context *context, const char *name, const EspVolume *volume, Failure *failure) {
        BootEntry entry = {
                .active = true,
                .description = (char *)DESCRIPTION,
                .path = (char *)LOADER,
                .has_partition = true,
                .partition_number = volume->place.number,
                .partition_start = volume->place.start,
                .partition_blocks = volume->place.blocks,
        };
        _cleanup_(buffer_done) Buffer content = {};
        int r;

        r = guid_parse(span_from_string(volume->partition_uuid), &entry.partition);
        if (r >= 0)
                r = boot_entry_format(&entry, &content);
        return r < 0 ? r : write_variable(context, name, &content, failure);
}

/* At OFFSET of the order. Half a number at its end is left out. */
static int put_in_order(const Context *context, uint16_t number, Span order, size_t offset, Failure *failure) {
        _cleanup_(buffer_done) Buffer content = {};
        const size_t size = order.size & ~(size_t)1;
        int r;

        r = buffer_append(&content, (Span){order.data, offset});
        if (r >= 0)
                r = buffer_append_u16(&content, number);
        if (r >= 0 && size > offset)
                r = buffer_append(&content, (Span){order.data + offset, size - offset});
        return r < 0 ? r : write_variable(context, "BootOrder", &content, failure);
}

/* Makes the entry unless it is there, and puts it behind PREVIOUS, or in front. */
static int add(const Context *context, const EspVolume *volume, const Found *found, const Found *previous, Span order,
               Failure *failure) {
        const size_t offset = previous->in_order ? offset_behind(order, previous->number) : 0;
        char name[NAME_SIZE];
        int r = 0;

        snprintf(name, sizeof(name), "Boot%04X", found->number);
        if (!found->exists)
                r = write_entry(context, name, volume, failure);
        return r < 0 ? r : put_in_order(context, found->number, order, offset, failure);
}

int boot_option_keep(const Context *context, const EspVolume *volume, const EspVolume *behind, bool dry_run,
                     char **ret_name, Failure *failure) {
        _cleanup_(string_list_done) StringList names = {};
        _cleanup_(buffer_done) Buffer order = {};
        Found found, previous = {};
        int r;

        r = variables_list(context->variables, &efi_global_variable_guid, &names);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot list the firmware's variables");
        r = read_variable(context, "BootOrder", &order);
        if (r < 0 && r != -ENOENT)
                return failure_set_errno(failure, r, "Cannot read the variable BootOrder");
        r = find_entry(context, &names, volume, buffer_span(&order), &found);
        if (r >= 0 && behind)
                r = find_entry(context, &names, behind, buffer_span(&order), &previous);
        if (r >= 0 && !found.exists)
                r = find_free(&names, buffer_span(&order), &found.number);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot find a place for a boot entry");

        *ret_name = NULL;
        if (found.in_order)
                return found.active;
        if (!dry_run) {
                r = add(context, volume, &found, &previous, buffer_span(&order), failure);
                if (r < 0)
                        return r;
        }
        return asprintf(ret_name, "Boot%04X", found.number) < 0 ? -ENOMEM : 1;
}
