/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/bus/notice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "daemon/bus/call.h"
#include "daemon/bus/dictionary.h"
#include "daemon/bus/properties.h"
#include "daemon/util/file.h"
#include "dbus/lanza1-names.h"

/* Microseconds: a burst is over when nothing happened for the first; it is not waited for longer than the second. */
enum { QUIET = 200 * 1000, LONGEST = 2 * 1000 * 1000, ACCURACY = 20 * 1000 };

#define CHANGES                                                                                                        \
        (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE | IN_DELETE_SELF |           \
         IN_MOVE_SELF | IN_ONLYDIR)

/* Of the folder itself, whatever name is looked for in it. */
#define CHANGES_OF_FOLDER (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED | IN_Q_OVERFLOW)

typedef struct Watcher {
        Notice *notice;
        const WatchPlace *place; /* borrowed from the state */
        sd_event_source *source; /* NULL: cannot be watched */
} Watcher;

typedef struct LookJob {
        Job job;
        Notice *notice;
        Look look;
} LookJob;

struct Notice {
        Bus *bus;
        bool is_known;     /* STATE is one */
        SystemState state; /* what the bus was told */
        bool modified[WATCH_AREAS];
        uint64_t ended[WATCH_AREAS];
        Watcher *watchers;
        size_t watcher_count;
        int mounts_fd;
        sd_event_source *mounts, *timer;
        uint64_t burst_begin; /* CLOCK_MONOTONIC; 0: there is none */
        LookJob job;
        bool is_due, is_looking;
};

static void system_state_done(SystemState *state) {
        record_done(system_state_operation.result, state);
}

void look_done(Look *look) {
        system_state_done(&look->state);
        failure_done(&look->failure);
        *look = (Look){};
}

void look_run(Look *look, const BusHost *host) {
        look->r = host->run(host->userdata, &system_state_operation, /* parameters= */ NULL, &look->state,
                            /* watch= */ NULL, &look->failure);
}

void notice_begin(Notice *notice, Look *look) {
        look_done(look);
        memcpy(look->modified, notice->modified, sizeof(look->modified));
        memcpy(look->ended, notice->ended, sizeof(look->ended));
        memset(notice->modified, 0, sizeof(notice->modified));
}

void notice_soon(Notice *notice) {
        uint64_t now, due;

        if (sd_event_now(notice->bus->event, CLOCK_MONOTONIC, &now) < 0)
                return;
        if (notice->burst_begin == 0)
                notice->burst_begin = now;
        due = now + QUIET;
        if (due > notice->burst_begin + LONGEST)
                due = notice->burst_begin + LONGEST;
        (void)sd_event_source_set_time(notice->timer, due);
        (void)sd_event_source_set_enabled(notice->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t now, void *userdata) {
        Notice *notice = userdata;

        notice->burst_begin = 0;
        notice->is_due = true;
        bus_read_next(notice->bus);
        return 0;
}

static int on_mounts(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        notice_soon(userdata);
        return 0;
}

static bool concerns(const WatchPlace *place, const struct inotify_event *event) {
        if (!place->name || event->mask & CHANGES_OF_FOLDER)
                return true;
        /* FAT has names in any case. */
        return event->len > 0 && strcasecmp(event->name, place->name) == 0;
}

static int on_change(sd_event_source *source, const struct inotify_event *event, void *userdata) {
        const Watcher *watcher = userdata;
        Notice *notice = watcher->notice;
        WatchArea area = watcher->place->area;

        if (!concerns(watcher->place, event) || call_area_is_busy(notice->bus->calls, area))
                return 0;
        /* FAT's clock is too coarse to tell each time that content changed. */
        if (event->mask & IN_MODIFY && area == WATCH_ESP)
                notice->modified[area] = true;
        notice_soon(notice);
        return 0;
}

static void stop_watching(Notice *notice) {
        for (size_t i = 0; i < notice->watcher_count; i++)
                sd_event_source_disable_unref(notice->watchers[i].source);
        free(notice->watchers);
        notice->watchers = NULL;
        notice->watcher_count = 0;
}

/* Changes come before a worker's end, so that those of our own operations are known for what they are. */
static int watch_place(Watcher *watcher) {
        int r;

        r = sd_event_add_inotify(watcher->notice->bus->event, &watcher->source, watcher->place->folder, CHANGES,
                                 on_change, watcher);
        return r < 0 ? r : sd_event_source_set_priority(watcher->source, SD_EVENT_PRIORITY_IMPORTANT);
}

/* Watches the state's places. What cannot be watched, for it has just gone, will be another place at the next look. */
static void start_watching(Notice *notice) {
        const RecordList *places = &notice->state.watch.places;

        stop_watching(notice);
        notice->watchers = calloc(places->count, sizeof(*notice->watchers));
        if (!notice->watchers)
                return;
        notice->watcher_count = places->count;
        for (size_t i = 0; i < places->count; i++) {
                notice->watchers[i] = (Watcher){
                        .notice = notice,
                        .place = (const WatchPlace *)places->items + i,
                };
                (void)watch_place(&notice->watchers[i]);
        }
}

/* What happened between the look and now is seen by the next one. */
static void take_places(Notice *notice, SystemState *state) {
        RecordList *places = &notice->state.watch.places, before = *places;
        static const Field field = {.type = FIELD_RECORDS, .record = &watch_place_record};

        if (dictionary_same_value(&field, places, &state->watch.places))
                return;
        stop_watching(notice);
        *places = state->watch.places;
        state->watch.places = before;
        start_watching(notice);
        notice_soon(notice);
}

static void take_keys(Notice *notice, SystemState *state) {
        KeyState before = notice->state.keys;

        notice->state.keys = state->keys;
        state->keys = before;
        if (notice->is_known)
                property_group_emit(notice->bus, &keys_properties, &before, &notice->state.keys);
}

static void take_firmware(Notice *notice, SystemState *state) {
        FirmwareState before = notice->state.firmware;

        if (!state->firmware.mode)
                return;
        notice->state.firmware = state->firmware;
        state->firmware = before;
        if (before.mode)
                property_group_emit(notice->bus, &firmware_properties, &before, &notice->state.firmware);
}

/* Takes what LOOK saw of AREA; returns whether that is news. */
static bool take_area(Notice *notice, WatchArea area, Look *look) {
        char **mark = &notice->state.watch.marks[area], *before = *mark;

        *mark = TAKE_POINTER(look->state.watch.marks[area]);
        look->state.watch.marks[area] = before;
        return look->modified[area] || (before && strcmp(before, *mark) != 0);
}

static void emit(const Notice *notice, const bool areas[static WATCH_AREAS]) {
        const char *names[WATCH_AREAS + 1];
        size_t count = 0;
        sd_bus_message *signal = NULL;
        int r;

        for (WatchArea area = 0; area < WATCH_AREAS; area++)
                if (areas[area])
                        names[count++] = watch_area_name(area);
        names[count] = NULL;
        if (count == 0)
                return;
        r = sd_bus_message_new_signal(notice->bus->connection, &signal, LANZA1_OBJECT_PATH, LANZA1_MANAGER,
                                      "StateChanged");
        if (r >= 0)
                r = sd_bus_message_append_strv(signal, (char **)names);
        if (r >= 0)
                (void)sd_bus_send(notice->bus->connection, signal, /* cookie= */ NULL);
        sd_bus_message_unref(signal);
        security_changed(notice->bus);
}

static void take(Notice *notice, Look *look, const bool areas[static WATCH_AREAS]) {
        bool news[WATCH_AREAS] = {};

        for (WatchArea area = 0; area < WATCH_AREAS; area++)
                news[area] = areas[area] && take_area(notice, area, look);
        emit(notice, news);
        if (areas[WATCH_KEYS])
                take_keys(notice, &look->state);
        if (areas[WATCH_FIRMWARE])
                take_firmware(notice, &look->state);
        take_places(notice, &look->state);
        notice->is_known = true;
        look_done(look);
}

void notice_take(Notice *notice, Look *look) {
        bool areas[WATCH_AREAS];

        if (look->r < 0) {
                look_done(look);
                return;
        }
        for (WatchArea area = 0; area < WATCH_AREAS; area++)
                areas[area] = look->ended[area] == notice->ended[area] && !call_area_is_busy(notice->bus->calls, area);
        take(notice, look, areas);
}

void notice_take_own(Notice *notice, WatchArea area, Look *look) {
        bool areas[WATCH_AREAS] = {};

        areas[area] = true;
        notice->ended[area]++;
        notice->modified[area] = false;
        if (look->r >= 0)
                take(notice, look, areas);
        else
                emit(notice, areas); /* it may have changed */
        look_done(look);
}

static void run_job(Job *job) {
        LookJob *own = (LookJob *)job;

        look_run(&own->look, &own->notice->bus->host);
}

Job *notice_next_job(Notice *notice) {
        if (!notice->is_due || notice->is_looking)
                return NULL;
        notice->is_due = false;
        notice->is_looking = true;
        notice_begin(notice, &notice->job.look);
        return &notice->job.job;
}

bool notice_finish_job(Notice *notice, const Job *job) {
        if (job != &notice->job.job)
                return false;
        notice->is_looking = false;
        notice_take(notice, &notice->job.look);
        return true;
}

static int start(Notice *notice) {
        sd_event *event = notice->bus->event;
        int r;

        r = sd_event_add_time_relative(event, &notice->timer, CLOCK_MONOTONIC, QUIET, ACCURACY, on_timer, notice);
        if (r < 0)
                return r;
        notice->mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (notice->mounts_fd < 0)
                return 0; /* without /proc mounts cannot be followed */
        return sd_event_add_io(event, &notice->mounts, notice->mounts_fd, EPOLLPRI, on_mounts, notice);
}

int notice_new(Bus *bus, Notice **ret) {
        Notice *notice = calloc(1, sizeof(*notice));
        int r;

        if (!notice)
                return -ENOMEM;
        notice->bus = bus;
        notice->mounts_fd = -EBADF;
        notice->job.job.run = run_job;
        notice->job.notice = notice;
        r = start(notice);
        if (r < 0) {
                notice_free(notice);
                return r;
        }
        notice_begin(notice, &notice->job.look);
        look_run(&notice->job.look, &bus->host);
        notice_take(notice, &notice->job.look);
        *ret = notice;
        return 0;
}

Notice *notice_free(Notice *notice) {
        if (!notice)
                return NULL;
        stop_watching(notice);
        sd_event_source_disable_unref(notice->mounts);
        sd_event_source_disable_unref(notice->timer);
        close_fd(&notice->mounts_fd);
        look_done(&notice->job.look);
        system_state_done(&notice->state);
        free(notice);
        return NULL;
}
