/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/boot-order.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/firmware/secure-boot.h"
#include "daemon/util/buffer.h"

enum { BOOT_ENTRIES_MAX = 1024 };

void boot_order_done(BootOrder *order) {
        for (size_t i = 0; i < order->count; i++)
                boot_entry_done(&order->items[i]);
        free(order->items);
        *order = (BootOrder){};
}

/* 1, or 0 if there is nothing to be had from it. */
static int read_entry(const Context *context, uint16_t number, BootEntry *ret) {
        _cleanup_(buffer_done) Buffer content = {};
        char name[sizeof("BootFFFF")];
        int r;

        snprintf(name, sizeof(name), "Boot%04X", number);
        r = variables_read(context->variables, &efi_global_variable_guid, name, /* ret_attributes= */ NULL, &content);
        if (r >= 0)
                r = boot_entry_parse(buffer_span(&content), ret);
        return r == -ENOMEM ? r : r >= 0;
}

int boot_order_read(const Context *context, BootOrder *ret, Failure *failure) {
        _cleanup_(boot_order_done) BootOrder order = {};
        _cleanup_(buffer_done) Buffer numbers = {};
        uint16_t number;
        int r;

        if (!context->variables)
                return 0;
        r = variables_read(context->variables, &efi_global_variable_guid, "BootOrder", /* ret_attributes= */ NULL,
                           &numbers);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot read the variable BootOrder");
        order.items = calloc(numbers.size / 2 + 1, sizeof(*order.items));
        if (!order.items)
                return -ENOMEM;
        for (size_t i = 0; i < numbers.size / 2 && i < BOOT_ENTRIES_MAX; i++) {
                (void)span_u16(buffer_span(&numbers), 2 * i, &number);
                r = read_entry(context, number, &order.items[order.count]);
                if (r < 0)
                        return r;
                order.count += r;
        }
        *ret = TAKE_STRUCT(order);
        return 0;
}

bool boot_entry_is_on(const BootEntry *entry, const char *partition_uuid) {
        char uuid[GUID_TEXT_SIZE];

        if (!entry->has_partition || !partition_uuid[0])
                return false;
        guid_format(&entry->partition, uuid);
        return strcasecmp(uuid, partition_uuid) == 0;
}
