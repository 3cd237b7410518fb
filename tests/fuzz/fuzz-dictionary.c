/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: daemon */

/* Options of a call, as anybody may send them: names that are known, unknown or repeated, values of any type, and
 * descriptors of things that are sealed memory or are not. The bus has seen to it that a message is well-formed, so the
 * input is a list of instructions to make one. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/bus/dictionary.h"
#include "daemon/ops/operation.h"
#include "dbus/lanza1-names.h"

enum { ROOT = 0, SOMEBODY = 1000, ENTRIES_MAX = 64, ITEMS_MAX = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sd_bus *bus;
static int descriptors[5];

static void need(bool condition) {
        if (!condition)
                abort();
}

static int make_memory(const char *text, int seals) {
        int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        need(write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fcntl(fd, F_ADD_SEALS, seals) == 0);
        return fd;
}

static void set_up(void) {
        const int all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
        int fds[2];

        need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        need(sd_bus_new(&bus) >= 0 && sd_bus_set_fd(bus, fds[0], fds[0]) >= 0 && sd_bus_start(bus) >= 0);
        descriptors[0] = make_memory("text", all);
        descriptors[1] = make_memory("", all);
        descriptors[2] = make_memory("text", 0);
        descriptors[3] = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        need(ftruncate(descriptors[3], INT64_C(4) << 30) == 0 && fcntl(descriptors[3], F_ADD_SEALS, all) == 0);
        descriptors[4] = fds[1];
}

static uint8_t take(Span *input) {
        if (input->size == 0)
                return 0;
        input->size--;
        return *input->data++;
}

static int take_descriptor(Span *input) {
        return descriptors[take(input) % (sizeof(descriptors) / sizeof(*descriptors))];
}

/* A field's name, or any other text. */
static const char *take_name(Span *input, const Record *record, char text[static 64]) {
        uint8_t choice = take(input);
        size_t length = choice % 63;

        if (choice < record->field_count)
                return record->fields[choice].name;
        for (size_t i = 0; i < length; i++)
                text[i] = 1 + take(input) % 126;
        text[length] = 0;
        return text;
}

static void append_memories(Span *input, const Record *record, sd_bus_message *message) {
        size_t count = take(input) % ITEMS_MAX;
        char text[64];

        need(sd_bus_message_open_container(message, 'v', "a(sh)") >= 0);
        need(sd_bus_message_open_container(message, 'a', "(sh)") >= 0);
        for (size_t i = 0; i < count && input->size > 0; i++) {
                const char *name = take_name(input, record, text);

                need(sd_bus_message_append(message, "(sh)", name, take_descriptor(input)) >= 0);
        }
        need(sd_bus_message_close_container(message) >= 0 && sd_bus_message_close_container(message) >= 0);
}

static int append_value(Span *input, const Record *record, sd_bus_message *message) {
        char text[64];

        switch (take(input) % 9) {
        case 0:
                return sd_bus_message_append(message, "v", "b", take(input) & 1);
        case 1:
                return sd_bus_message_append(message, "v", "t", UINT64_C(1) << (take(input) % 64));
        case 2:
                return sd_bus_message_append(message, "v", "s", take_name(input, record, text));
        case 3:
                return sd_bus_message_append(message, "v", "as", 2, "one", take_name(input, record, text));
        case 4:
                return sd_bus_message_append(message, "v", "h", take_descriptor(input));
        case 5:
                append_memories(input, record, message);
                return 0;
        case 6:
                return sd_bus_message_append(message, "v", "v", "h", take_descriptor(input));
        case 7:
                return sd_bus_message_append(message, "v", "a(hs)", 1, take_descriptor(input), "text");
        default:
                return sd_bus_message_append(message, "v", "aa{sv}", 0);
        }
}

static sd_bus_message *make_message(Span *input, const Record *record) {
        sd_bus_message *message = NULL;
        char text[64];

        need(sd_bus_message_new_method_call(bus, &message, NULL, LANZA1_OBJECT_PATH, LANZA1_ESP, "Sync") >= 0);
        need(sd_bus_message_open_container(message, 'a', "{sv}") >= 0);
        for (size_t i = 0; i < ENTRIES_MAX && input->size > 0; i++) {
                need(sd_bus_message_open_container(message, 'e', "sv") >= 0);
                need(sd_bus_message_append(message, "s", take_name(input, record, text)) >= 0);
                need(append_value(input, record, message) >= 0);
                need(sd_bus_message_close_container(message) >= 0);
        }
        need(sd_bus_message_close_container(message) >= 0);
        need(sd_bus_message_seal(message, /* cookie= */ 1, /* timeout_usec= */ 0) >= 0);
        return message;
}

static int read_as(sd_bus_message *message, const Record *record, uid_t uid, void *options) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        need(sd_bus_message_rewind(message, /* complete= */ true) >= 0);
        r = dictionary_read(message, record, /* withheld= */ NULL, uid, options, &error);
        need((r < 0) == (error.name != NULL)); /* who is refused is told why */
        sd_bus_error_free(&error);
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char *const verbs[] = {"sync", "enroll-keys"};
        Span input = {data, size};
        sd_bus_message *message;

        if (!bus)
                set_up();
        const Record *record = operation_find(verbs[take(&input) % 2])->parameters;
        void *first = calloc(1, record->size), *again = calloc(1, record->size), *other = calloc(1, record->size);

        need(first && again && other);
        message = make_message(&input, record);
        int r = read_as(message, record, ROOT, first), second = read_as(message, record, ROOT, again);
        need(r == second);
        need(r < 0 || dictionary_equal(record, first, again));
        /* Others may give less, and never more. */
        need(read_as(message, record, SOMEBODY, other) < 0 || r >= 0);
        record_done(record, first);
        record_done(record, again);
        record_done(record, other);
        free(first);
        free(again);
        free(other);
        sd_bus_message_unref(message);
        return 0;
}
