/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* service VERSION [ERROR MESSAGE]: a made-up lanzad on the bus of DBUS_SYSTEM_BUS_ADDRESS, for tests of the client. It
 * has that version, prints each call it gets, tells of progress, and answers with the error or with a result in which
 * every type occurs that results have. With the error "leave" it goes away instead of an answer; with "once" it signs
 * one image, and does not answer when it is asked again. */

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "dbus/lanza1-names.h"

static char **arguments;

static int answer_property(sd_bus_message *call) {
        const char *interface, *name;
        int r;

        r = sd_bus_message_read(call, "ss", &interface, &name);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(call, "v", "s", strcmp(name, "Version") == 0 ? arguments[1] : "HSI:0!");
}

static int tell_phase(sd_bus_message *call, const char *phase, uint64_t done, uint64_t total) {
        sd_bus_message *signal = NULL;
        int r;

        r = sd_bus_message_new_signal(sd_bus_message_get_bus(call), &signal, LANZA1_OBJECT_PATH, LANZA1_MANAGER,
                                      "Progress");
        if (r >= 0)
                r = sd_bus_message_append(signal, "tsstt", (uint64_t)7, "sync", phase, done, total);
        if (r >= 0)
                r = sd_bus_send_to(sd_bus_message_get_bus(call), signal, sd_bus_message_get_sender(call), NULL);
        sd_bus_message_unref(signal);
        return r;
}

static int tell_progress(sd_bus_message *call) {
        int r;

        r = tell_phase(call, LANZA1_PHASE_QUEUED, 0, 0);
        if (r >= 0)
                r = tell_phase(call, LANZA1_PHASE_WAITING, 0, 0);
        return r < 0 ? r : tell_phase(call, "images", 1, 2);
}

static int tell_everybody(sd_bus *bus) {
        int r;

        r = sd_bus_emit_signal(bus, LANZA1_OBJECT_PATH, LANZA1_MANAGER, "StateChanged", "as", 2, "keys", "esp");
        return r < 0 ? r
                     : sd_bus_emit_signal(bus, LANZA1_OBJECT_PATH, "org.freedesktop.DBus.Properties",
                                          "PropertiesChanged", "sa{sv}as", LANZA1_KEYS, 2, "Present", "b", 1, "Pairs",
                                          "a(st)", 1, "db", (uint64_t)7, 1, "Other");
}

static int answer_list(sd_bus_message *call) {
        return sd_bus_reply_method_return(call, "aa{sv}", 1, 2, "variable", "s", "db", "not-after", "t", (uint64_t)1);
}

/* One that holds, one that fails with notes, one that nobody knows, and one from the future. */
static int answer_attributes(sd_bus_message *call) {
        return sd_bus_reply_method_return(
                call, "aa{sv}", 4, 4, "Name", "s", "Platform key", "Flags", "t", (uint64_t)1, "HsiLevel", "u", 1u,
                "HsiResult", "u", 3u, 4, "Name", "s", "Kernel\033 lockdown", "Flags", "t", (uint64_t)(1024 | 8192),
                "HsiResult", "u", 2u, "Metadata", "a{ss}", 2, "message", "It is\033 off", "hint", "Switch it on.", 3,
                "Name", "s", "Revocations", "Flags", "t", (uint64_t)4, "Metadata", "a{ss}", 1, "message",
                "Nobody knows", 3, "Name", "s", "Novelty", "HsiLevel", "u", 4000000000u, "HsiResult", "u", 4000000000u);
}

static int answer_result(sd_bus_message *call) {
        return sd_bus_reply_method_return(call, "a{sv}", 6, "dry-run", "b", 1, "created", "as", 2, "KEK", "db",
                                          "number", "t", (uint64_t)1 << 40, "partitions", "aa{sv}", 1, 4, "path", "s",
                                          "/boot", "default-entry", "s", "a.efi", "boots", "b", 1, "images-kept", "t",
                                          (uint64_t)2, "warnings", "as", 0, LANZA1_EXIT_STATUS, "t", (uint64_t)5);
}

/* One of two partitions failed. */
static int answer_in_part(sd_bus_message *call) {
        return sd_bus_reply_method_return(call, "a{sv}", 3, "partitions", "aa{sv}", 2, 3, "path", "s", "/boot",
                                          "default-entry", "s", "a.efi", "boots", "b", 1, 3, "path", "s", "/boot2",
                                          "error", "s", arguments[3], "problem", "s", arguments[4], "warnings", "as", 0,
                                          LANZA1_EXIT_STATUS, "t", (uint64_t)5);
}

/* A line "memory NAME sealed CONTENT" for each descriptor among the options. */
static void show_memory(const char *name, int fd) {
        static const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
        char content[4096] = "";

        if (pread(fd, content, sizeof(content) - 1, 0) < 0)
                abort();
        printf("memory %s %s %s\n", name, fcntl(fd, F_GET_SEALS) == seals ? "sealed" : "open", content);
}

static int show_list(sd_bus_message *call) {
        const char *name;
        int fd, r;

        r = sd_bus_message_enter_container(call, 'v', "a(sh)");
        if (r >= 0)
                r = sd_bus_message_enter_container(call, 'a', "(sh)");
        while (r >= 0 && (r = sd_bus_message_read(call, "(sh)", &name, &fd)) > 0)
                show_memory(name, fd);
        if (r >= 0)
                r = sd_bus_message_exit_container(call);
        return r < 0 ? r : sd_bus_message_exit_container(call);
}

static int show_option(sd_bus_message *call) {
        const char *name, *contents;
        int fd, r;

        r = sd_bus_message_read(call, "s", &name);
        if (r >= 0)
                r = sd_bus_message_peek_type(call, /* type= */ NULL, &contents);
        if (r < 0)
                return r;
        if (strcmp(contents, "a(sh)") == 0)
                return show_list(call);
        if (strcmp(contents, "h") != 0)
                return sd_bus_message_skip(call, "v");
        r = sd_bus_message_read(call, "v", "h", &fd);
        if (r >= 0)
                show_memory(name, fd);
        return r;
}

static int show_handed_over(sd_bus_message *call) {
        int r;

        r = sd_bus_message_rewind(call, /* complete= */ 1);
        if (r >= 0)
                r = sd_bus_message_enter_container(call, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(call, 'e', "sv")) > 0) {
                r = show_option(call);
                if (r >= 0)
                        r = sd_bus_message_exit_container(call);
        }
        return r;
}

/* The image comes back as it is; or, once, another one, and then nothing more. */
static int answer_image(sd_bus_message *call) {
        static bool answered;
        int fd, r;

        if (arguments[2] && answered)
                return 1; /* with 0 sd-bus answers in its place */
        answered = true;
        if (arguments[2]) {
                fd = memfd_create("image", MFD_CLOEXEC);
                if (fd < 0 || write(fd, "signed", 6) != 6)
                        abort();
                return sd_bus_reply_method_return(call, "h", fd);
        }
        r = sd_bus_message_rewind(call, /* complete= */ 1);
        if (r >= 0)
                r = sd_bus_message_read(call, "h", &fd);
        return r < 0 ? r : sd_bus_reply_method_return(call, "h", fd);
}

static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *error) {
        if (sd_bus_message_is_method_call(call, "org.freedesktop.DBus.Properties", "Get"))
                return answer_property(call);
        sd_bus_message_dump(call, stdout, SD_BUS_MESSAGE_DUMP_WITH_HEADER);
        if (sd_bus_message_is_method_call(call, LANZA1_ESP, "Sync") && show_handed_over(call) < 0)
                abort();
        fflush(stdout);
        if (arguments[2] && strcmp(arguments[2], "leave") == 0)
                exit(EXIT_SUCCESS);
        if (tell_progress(call) < 0 || tell_everybody(sd_bus_message_get_bus(call)) < 0)
                abort();
        if (arguments[2] && strcmp(arguments[2], "part") == 0)
                return answer_in_part(call);
        if (arguments[2] && strcmp(arguments[2], "once") != 0)
                return sd_bus_reply_method_errorf(call, arguments[2], "%s", arguments[3]);
        if (sd_bus_message_is_method_call(call, LANZA1_SECURITY, "GetHostSecurityAttrs"))
                return answer_attributes(call);
        if (sd_bus_message_is_method_call(call, LANZA1_ESP, "SignImage"))
                return answer_image(call);
        return strncmp(sd_bus_message_get_member(call), "List", 4) == 0 ? answer_list(call) : answer_result(call);
}

int main(int argc, char *argv[]) {
        sd_bus *bus = NULL;
        int r;

        arguments = argv;
        r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = sd_bus_add_object(bus, /* slot= */ NULL, LANZA1_OBJECT_PATH, on_call, NULL);
        if (r >= 0)
                r = sd_bus_request_name(bus, LANZA1_BUS_NAME, 0);
        if (r >= 0)
                puts("ready");
        fflush(stdout);
        while (r >= 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        return EXIT_FAILURE;
}
