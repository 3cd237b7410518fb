/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/bus/call.h"

static const CallKind sync_kind = {.verb = "sync", .area = WATCH_ESP};
static const CallKind gc_kind = {.verb = "gc", .area = WATCH_ESP};

static const CallKind sign_kind = {.verb = "sign", .memory = "image"};

static const CallKind generations_kind = {.verb = "list", .list = "generations"};
static const CallKind images_kind = {.verb = "list", .list = "images"};
static const CallKind partitions_kind = {.verb = "list", .list = "partitions"};

static int method_sync(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &sync_kind, error);
}

static int method_collect_garbage(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &gc_kind, error);
}

static int method_sign_image(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &sign_kind, error);
}

static int method_list_generations(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &generations_kind, error);
}

static int method_list_images(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &images_kind, error);
}

static int method_list_partitions(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &partitions_kind, error);
}

const sd_bus_vtable esp_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Sync", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", result), method_sync,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CollectGarbage", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", result),
                                method_collect_garbage, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListGenerations", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", generations),
                                method_list_generations, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListImages", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", images), method_list_images,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListPartitions", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", partitions),
                                method_list_partitions, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SignImage", SD_BUS_ARGS("h", image), SD_BUS_RESULT("h", signed), method_sign_image,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
