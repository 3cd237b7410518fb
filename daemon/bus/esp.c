/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/bus/call.h"

static const CallKind sync_kind = {.verb = "sync", .state = "esp"};
static const CallKind gc_kind = {.verb = "gc", .state = "esp"};

static int method_sync(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &sync_kind, error);
}

static int method_collect_garbage(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &gc_kind, error);
}

const sd_bus_vtable esp_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Sync", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", result), method_sync,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CollectGarbage", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", result),
                                method_collect_garbage, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
