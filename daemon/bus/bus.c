/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/bus/bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon/bus/bus-private.h"
#include "daemon/bus/call.h"
#include "daemon/bus/notice.h"
#include "daemon/util/file.h"
#include "daemon/util/utf8.h"
#include "dbus/lanza1-names.h"

enum { PROGRESS_INTERVAL = 100 * 1000 /* microseconds: ten a second */ };

static const struct {
        const char *interface;
        const sd_bus_vtable *vtable;
} interfaces[] = {
        {LANZA1_MANAGER, manager_vtable}, {LANZA1_KEYS, keys_vtable},         {LANZA1_FIRMWARE, firmware_vtable},
        {LANZA1_ESP, esp_vtable},         {LANZA1_SECURITY, security_vtable}, {FWUPD_INTERFACE, security_vtable},
};

int bus_error_set_failure(sd_bus_error *error, const Failure *failure) {
        const char *message = failure->message ? failure->message : "Out of memory", *hint = failure_hint(failure);
        _cleanup_(free_pointer) char *text = utf8_repair(message), *way_out = utf8_repair(hint ? hint : "");
        char name[128];

        snprintf(name, sizeof(name), LANZA1_ERROR_PREFIX "%s", condition_name(failure->condition));
        sd_bus_error_setf(error, name, "%s%s%s", text ? text : "Out of memory", hint ? "\n" : "",
                          way_out ? way_out : "");
        return condition_errno(failure->condition);
}

static int send_progress(sd_event_source *source, uint64_t now, void *userdata) {
        const Bus *bus = userdata;
        const Job *running = worker_running(bus->writer);

        if (!running)
                return 0;
        call_send_progress(bus->calls, running);
        (void)sd_event_source_set_time_relative(source, PROGRESS_INTERVAL);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void bus_note_running(Bus *bus) {
        const Job *job = worker_running(bus->writer);
        const char *running = job ? call_verb(bus->calls, job) : "";

        if (job) {
                (void)sd_event_source_set_time_relative(bus->progress_source, PROGRESS_INTERVAL);
                (void)sd_event_source_set_enabled(bus->progress_source, SD_EVENT_ONESHOT);
        }
        if (strcmp(running, bus->running) == 0)
                return;
        bus->running = running;
        (void)sd_bus_emit_properties_changed(bus->connection, LANZA1_OBJECT_PATH, LANZA1_MANAGER, "Operation", NULL);
}

/* One at a time is with the reader, so that it can be told at the last moment whose turn it is. */
void bus_read_next(Bus *bus) {
        Job *job;

        if (bus->reading || bus->stopping)
                return;
        job = notice_next_job(bus->notice);
        if (!job)
                job = call_next_read(bus->calls);
        bus->reading = job;
        if (job)
                worker_submit(bus->reader, job);
}

static void finish_job(Bus *bus, const Job *job) {
        if (job == bus->reading)
                bus->reading = NULL;
        bus_note_running(bus);
        if (!notice_finish_job(bus->notice, job))
                call_finish(bus->calls, job);
}

static int take_finished(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Bus *bus = userdata;
        Worker *worker = source == bus->writer_source ? bus->writer : bus->reader;
        Job *job;

        while ((job = worker_take_finished(worker)))
                finish_job(bus, job);
        bus_note_running(bus);
        bus_read_next(bus);
        return 0;
}

static int start_worker(Bus *bus, Worker **ret, sd_event_source **ret_source) {
        int r;

        r = worker_new(ret);
        if (r < 0)
                return r;
        return sd_event_add_io(bus->event, ret_source, worker_fd(*ret), EPOLLIN, take_finished, bus);
}

static void caller_left(void *userdata, const char *name) {
        const Bus *bus = userdata;

        call_sender_left(bus->calls, name);
}

static int start(Bus *bus) {
        int r;

        r = callers_new(bus->connection, caller_left, bus, &bus->callers);
        if (r < 0)
                return r;
        r = start_worker(bus, &bus->writer, &bus->writer_source);
        if (r < 0)
                return r;
        r = start_worker(bus, &bus->reader, &bus->reader_source);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(bus->event, &bus->progress_source, CLOCK_MONOTONIC, PROGRESS_INTERVAL,
                                       /* accuracy= */ 1000, send_progress, bus);
        if (r >= 0)
                r = notice_new(bus, &bus->notice);
        if (r >= 0)
                r = sd_bus_add_object(bus->connection, &bus->property_slot, LANZA1_OBJECT_PATH,
                                      security_answer_property, bus);
        for (size_t i = 0; r >= 0 && i < ARRAY_LENGTH(interfaces); i++)
                r = sd_bus_add_object_vtable(bus->connection, &bus->slots[i], LANZA1_OBJECT_PATH,
                                             interfaces[i].interface, interfaces[i].vtable, bus);
        return r;
}

int bus_new(sd_bus *connection, sd_event *event, const BusHost *host, Bus **ret) {
        _cleanup_(bus_freep) Bus *bus = calloc(1, sizeof(*bus));
        int r;

        if (!bus)
                return -ENOMEM;
        bus->connection = connection;
        bus->event = event;
        bus->host = *host;
        bus->running = "";
        r = start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_POINTER(bus);
        return 0;
}

Bus *bus_free(Bus *bus) {
        for (size_t i = 0; i < ARRAY_LENGTH(bus->slots); i++)
                sd_bus_slot_unref(bus->slots[i]);
        sd_bus_slot_unref(bus->property_slot);
        if (bus->callers)
                callers_free(bus->callers);
        sd_event_source_disable_unref(bus->progress_source);
        sd_event_source_disable_unref(bus->reader_source);
        sd_event_source_disable_unref(bus->writer_source);
        if (bus->writer)
                worker_free(bus->writer);
        if (bus->reader)
                worker_free(bus->reader);
        while (bus->calls)
                call_free(bus->calls);
        free(bus->host_security_id);
        notice_free(bus->notice);
        free(bus);
        return NULL;
}

bool bus_busy(const Bus *bus) {
        return bus->calls;
}

void bus_stop(Bus *bus) {
        bus->stopping = true;
        call_cancel_waiting(bus->calls);
}
