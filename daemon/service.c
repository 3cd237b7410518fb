/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The event loop. It ends when nothing was asked for a while, or by SIGTERM or SIGINT; either way in order: give the
 * name back, so that the next call starts a new process, answer what has come until then, then exit. An operation that
 * runs is always finished. */
#include "daemon/service.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/bus/bus.h"
#include "daemon/execution.h"
#include "dbus/lanza1-names.h"

enum { EXIT_USAGE = 2, IDLE_TIMEOUT_DEFAULT = 60, DESCRIPTORS_MAX = 8192 };
#define SECONDS UINT64_C(1000000)

typedef struct Service {
        Execution execution;
        uint64_t idle_timeout; /* microseconds */
        sd_event *event;
        sd_bus *connection;
        sd_event_source *idle;
        Bus *bus;
        bool ending;   /* the name is being given back */
        bool released; /* and the bus has said so: no more calls come */
} Service;

static void service_done(Service *service) {
        if (service->bus)
                bus_free(service->bus);
        sd_event_source_disable_unref(service->idle);
        sd_bus_flush_close_unref(service->connection);
        sd_event_unref(service->event);
}

static int run_operation(void *userdata, const Operation *operation, const void *parameters, void *result,
                         const OperationWatch *watch, Failure *failure) {
        const Service *service = userdata;
        Execution execution = service->execution;
        int r;

        /* Verbs are told what is odd in the configuration; what properties show is read all the time. */
        if (!operation->help)
                execution.warn = NULL;
        r = execution_run(&execution, operation, parameters, result, watch, failure);

        if (r == -EROFS && failure->condition == CONDITION_FAILED && !failure->hint)
                failure_set_hint(failure, "%s",
                                 "If that place is not read-only for others, lanzad.service's sandbox must name it: "
                                 "lanzad(8) explains how.");
        return r;
}

/* What came before the name was given back waits in the connection's queue. */
static int end_if_settled(Service *service) {
        uint64_t queued = 0;

        (void)sd_bus_get_n_queued_read(service->connection, &queued);
        if (service->released && queued == 0 && !bus_busy(service->bus))
                return sd_event_exit(service->event, EXIT_SUCCESS);
        return 0;
}

static int give_name_back(Service *service);

/* The bus drops its answer where too much already waits for us. */
static int on_released(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Service *service = userdata;

        if (sd_bus_message_is_method_error(reply, /* name= */ NULL))
                return give_name_back(service);
        service->released = true;
        return end_if_settled(service);
}

static int give_name_back(Service *service) {
        sd_bus_message *message = NULL;
        int r;

        r = sd_bus_message_new_method_call(service->connection, &message, "org.freedesktop.DBus",
                                           "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReleaseName");
        if (r >= 0)
                r = sd_bus_message_append(message, "s", LANZA1_BUS_NAME);
        if (r >= 0)
                r = sd_bus_call_async(service->connection, /* ret_slot= */ NULL, message, on_released, service,
                                      SECONDS);
        sd_bus_message_unref(message);
        return r;
}

static int begin_end(Service *service) {
        int r = 0;

        if (!service->ending)
                r = give_name_back(service);
        if (r < 0)
                return r;
        service->ending = true;
        return end_if_settled(service);
}

static void rearm(Service *service) {
        /* Once the name is given back, only to see whether the queue has become empty. */
        (void)sd_event_source_set_time_relative(service->idle, service->ending ? SECONDS / 100 : service->idle_timeout);
        (void)sd_event_source_set_enabled(service->idle, SD_EVENT_ONESHOT);
}

static int on_idle(sd_event_source *source, uint64_t now, void *userdata) {
        Service *service = userdata;
        int r = 0;

        if (service->ending || !bus_busy(service->bus))
                r = begin_end(service);
        rearm(service);
        return r;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *information, void *userdata) {
        Service *service = userdata;
        int r;

        /* Once the name is given back, systemd asks for the end by itself: what has come until then is still answered.
         */
        if (!service->ending)
                bus_stop(service->bus);
        r = begin_end(service);
        rearm(service); /* from now on it looks whether the queue is empty */
        return r;
}

static void on_settled(void *userdata) {
        rearm(userdata);
}

static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        if (sd_bus_message_is_method_call(message, /* interface= */ NULL, /* member= */ NULL))
                rearm(userdata);
        return 0;
}

static int watch_signals(Service *service) {
        static const int signals[] = {SIGTERM, SIGINT};
        sigset_t blocked;
        int r = 0;

        sigemptyset(&blocked);
        for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
                sigaddset(&blocked, signals[i]);
        if (sigprocmask(SIG_BLOCK, &blocked, /* oldset= */ NULL) < 0)
                return -errno;
        for (size_t i = 0; r >= 0 && i < ARRAY_LENGTH(signals); i++)
                r = sd_event_add_signal(service->event, /* ret= */ NULL, signals[i], on_signal, service);
        return r;
}

/* A message may carry descriptors, and those that wait for an answer keep theirs: with the usual 1024 a few users could
 * use them up. */
static void allow_descriptors(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS_MAX)
                return;
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int connect_bus(Service *service) {
        int r;

        r = sd_bus_open_system(&service->connection);
        if (r < 0)
                return r;
        r = sd_bus_set_exit_on_disconnect(service->connection, true);
        if (r < 0)
                return r;
        return sd_bus_attach_event(service->connection, service->event, SD_EVENT_PRIORITY_NORMAL);
}

/* Signals come first: they are blocked before there is a second thread. */
static int service_start(Service *service) {
        const BusHost host = {.run = run_operation, .settled = on_settled, .userdata = service};
        int r;

        allow_descriptors();
        r = sd_event_new(&service->event);
        if (r >= 0)
                r = watch_signals(service);
        if (r >= 0)
                r = connect_bus(service);
        if (r >= 0)
                r = bus_new(service->connection, service->event, &host, &service->bus);
        if (r >= 0)
                r = sd_event_add_time_relative(service->event, &service->idle, CLOCK_MONOTONIC, service->idle_timeout,
                                               /* accuracy= */ SECONDS / 10, on_idle, service);
        if (r >= 0)
                r = sd_bus_add_filter(service->connection, /* slot= */ NULL, on_message, service);
        if (r >= 0)
                r = sd_bus_request_name(service->connection, LANZA1_BUS_NAME, /* flags= */ 0);
        return r;
}

static void print_warning(void *userdata, const char *warning) {
        fprintf(stderr, "lanzad: %s\n", warning);
}

static bool parse_seconds(const char *text, uint64_t *ret) {
        char *end;

        errno = 0;
        unsigned long value = strtoul(text, &end, 10);
        if (errno != 0 || *end || *text < '0' || *text > '9' || value > 24 * 60 * 60)
                return false;
        *ret = value * SECONDS;
        return true;
}

static int usage_error(const char *what, const char *argument) {
        fprintf(stderr, "lanzad: %s: %s\nTry 'lanzad --help'.\n", argument, what);
        return EXIT_USAGE;
}

static int parse_arguments(Service *service, int count, char *arguments[]) {
        const struct {
                const char *prefix, **text;
        } texts[] = {
                {"--root=", &service->execution.root},
                {"--config=", &service->execution.configuration},
                {"--keys=", &service->execution.keys},
                {"--variables=", &service->execution.variables},
        };
        static const char idle[] = "--idle-timeout=";

        for (int i = 0; i < count; i++) {
                bool known = false;

                for (size_t j = 0; j < ARRAY_LENGTH(texts); j++)
                        if (strncmp(arguments[i], texts[j].prefix, strlen(texts[j].prefix)) == 0) {
                                *texts[j].text = arguments[i] + strlen(texts[j].prefix);
                                known = true;
                        }
                if (!known && strncmp(arguments[i], idle, strlen(idle)) != 0)
                        return usage_error("no such option", arguments[i]);
                if (!known && !parse_seconds(arguments[i] + strlen(idle), &service->idle_timeout))
                        return usage_error("this option takes a number of seconds, up to a day", arguments[i]);
        }
        return 0;
}

int service_main(int count, char *arguments[]) {
        _cleanup_(service_done) Service service = {
                .execution.warn = print_warning,
                .idle_timeout = IDLE_TIMEOUT_DEFAULT * SECONDS,
        };
        int r;

        r = parse_arguments(&service, count, arguments);
        if (r != 0)
                return r;
        r = service_start(&service);
        if (r < 0) {
                fprintf(stderr, "lanzad: Cannot serve %s on the system bus: %s\n%s\n", LANZA1_BUS_NAME, strerror(-r),
                        "To run one operation without a bus, use 'lanzad --oneshot'.");
                return EXIT_FAILURE;
        }
        r = sd_event_loop(service.event);
        return r < 0 ? EXIT_FAILURE : r;
}
