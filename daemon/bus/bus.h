/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The service's object on the bus. Everything here is called by the thread that runs the event loop; operations run on
 * two workers, one for what writes and one for what reads a lot. */

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/ops/operation.h"

typedef struct Bus Bus;

/* What the bus asks of the service. */
typedef struct BusHost {
        /* Runs OPERATION on the system that is served; as operation_run(). Called on any thread. */
        int (*run)(void *userdata, const Operation *operation, const void *parameters, void *result,
                   const OperationWatch *watch, Failure *failure);

        /* The last call has ended. */
        void (*settled)(void *userdata);
        void *userdata;
} BusHost;

/* Offers the object on CONNECTION, which EVENT serves; HOST is copied. Does not request the name. */
int bus_new(sd_bus *connection, sd_event *event, const BusHost *host, Bus **ret);

/* Waits for what runs; whoever still waits for an answer gets none. Returns NULL. */
Bus *bus_free(Bus *bus);
DEFINE_POINTER_CLEANUP(Bus *, bus_free)

/* Whether a call has not been answered yet. */
bool bus_busy(const Bus *bus);

/* Cancels what waits, and begins nothing new. */
void bus_stop(Bus *bus);
