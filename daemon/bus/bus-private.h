/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of this folder share. */

#include "daemon/bus/bus.h"
#include "daemon/bus/callers.h"
#include "daemon/util/worker.h"

typedef struct Call Call;
typedef struct Notice Notice;

struct Bus {
        sd_bus *connection; /* borrowed, as the loop */
        sd_event *event;
        BusHost host;
        Worker *writer, *reader;
        sd_event_source *writer_source, *reader_source, *progress_source;
        sd_bus_slot *slots[6], *property_slot;
        Callers *callers;
        Call *calls; /* all that are not answered */
        Notice *notice;
        const Job *reading;           /* what the reader was given */
        uint64_t turns;               /* how often it was somebody's turn */
        const char *running;          /* the verb that Manager.Operation shows; "" for none */
        char *host_security_id;       /* Security.HostSecurityId, */
        uint64_t host_security_until; /* if that is not over yet (CLOCK_MONOTONIC) */
        uint64_t last_id;
        uint64_t refusals_since; /* when counting them began, microseconds */
        unsigned refusals;
        bool stopping;
};

/* An interface: its members, with a Bus as userdata. */
extern const sd_bus_vtable keys_vtable[], firmware_vtable[], esp_vtable[], security_vtable[], manager_vtable[];

/* For messages to our object, before the tables are asked. */
int security_answer_property(sd_bus_message *message, void *userdata, sd_bus_error *error);

/* What host security attributes are made of has changed. */
void security_changed(Bus *bus);

/* Gives the reader what is next, if it has nothing. */
void bus_read_next(Bus *bus);

/* What Manager.Operation shows may have changed. */
void bus_note_running(Bus *bus);

/* Fills ERROR with the D-Bus error of FAILURE: the message, and below it the hint. Returns a negative errno. */
int bus_error_set_failure(sd_bus_error *error, const Failure *failure);
