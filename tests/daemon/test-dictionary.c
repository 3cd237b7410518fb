/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Records as dictionaries of the bus: what may be given, and when two readings are the same. No bus is needed: the
 * messages are made and read in one place. */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/bus/dictionary.h"
#include "daemon/util/file.h"
#include "dbus/lanza1-names.h"

enum { ROOT = 0, SOMEBODY = 1000 };

typedef struct Options {
        bool flag, power;
        uint64_t number;
        char *text;
        StringList list;
        SealedMemory *memory;
        MemoryList memories;
} Options;

static const Field fields[] = {
        FIELD(Options, flag, FIELD_BOOLEAN, "flag"),
        {.name = "power", .type = FIELD_BOOLEAN, .offset = offsetof(Options, power), .root_only = true},
        FIELD(Options, number, FIELD_UNSIGNED, "number"),
        FIELD(Options, text, FIELD_STRING, "text"),
        FIELD(Options, list, FIELD_STRINGS, "list"),
        {.name = "memory", .type = FIELD_MEMORY, .offset = offsetof(Options, memory), .maximum = 8},
        {.name = "memories", .type = FIELD_MEMORIES, .offset = offsetof(Options, memories), .maximum = 8},
};
static const Record record = RECORD(Options, fields);

/* A connection to nobody. */
typedef struct Fixture {
        sd_bus *bus;
        int other_end;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data) {
        int fds[2];

        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
        fixture->other_end = fds[1];
        g_assert_cmpint(sd_bus_new(&fixture->bus), >=, 0);
        g_assert_cmpint(sd_bus_set_fd(fixture->bus, fds[0], fds[0]), >=, 0);
        g_assert_cmpint(sd_bus_start(fixture->bus), >=, 0);
}

static void tear_down(Fixture *fixture, gconstpointer data) {
        sd_bus_close(fixture->bus);
        sd_bus_unref(fixture->bus);
        close(fixture->other_end);
}

static sd_bus_message *new_message(Fixture *fixture) {
        sd_bus_message *message = NULL;

        g_assert_cmpint(
                sd_bus_message_new_method_call(fixture->bus, &message, NULL, LANZA1_OBJECT_PATH, LANZA1_ESP, "Sync"),
                >=, 0);
        return message;
}

static void seal(sd_bus_message *message) {
        g_assert_cmpint(sd_bus_message_seal(message, /* cookie= */ 1, /* timeout_usec= */ 0), >=, 0);
}

/* A memory file with TEXT, sealed or not. */
static int memory_of(const char *text, bool sealed) {
        SealedMemory *memory = NULL;
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        g_assert_cmpint(file_write_fd(fd, span_from_string(text)), ==, 0);
        if (!sealed)
                return fd;
        close(fd);
        g_assert_cmpint(sealed_memory_make("test", span_from_string(text), &memory), ==, 0);
        fd = memory->fd;
        memory->fd = -EBADF;
        sealed_memory_free(memory);
        return fd;
}

static void read_options(sd_bus_message *message, uid_t uid, Options *ret) {
        sd_bus_error error = SD_BUS_ERROR_NULL;

        g_assert_cmpint(sd_bus_message_rewind(message, /* complete= */ true), >=, 0);
        g_assert_cmpint(dictionary_read(message, &record, /* withheld= */ NULL, uid, ret, &error), >=, 0);
        g_assert_null(error.name);
}

/* That MESSAGE, which is ended with it, is refused by an error that ends in NAME and says TEXT. */
static void assert_refused(sd_bus_message *message, uid_t uid, const char *name, const char *text) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        Options options = {};

        seal(message);
        g_assert_cmpint(dictionary_read(message, &record, /* withheld= */ NULL, uid, &options, &error), <, 0);
        g_assert_nonnull(error.name);
        g_assert_true(g_str_has_suffix(error.name, name));
        g_assert_nonnull(strstr(error.message, text));
        sd_bus_error_free(&error);
        record_done(&record, &options);
        sd_bus_message_unref(message);
}

/* Two readings of one message are the same; one of another message is not. */
static void assert_differ(sd_bus_message *a, sd_bus_message *b) {
        Options first = {}, again = {}, other = {};

        seal(a);
        seal(b);
        read_options(a, ROOT, &first);
        read_options(a, ROOT, &again);
        read_options(b, ROOT, &other);
        g_assert_true(dictionary_equal(&record, &first, &again));
        g_assert_false(dictionary_equal(&record, &first, &other));
        g_assert_false(dictionary_equal(&record, &other, &first));
        record_done(&record, &first);
        record_done(&record, &again);
        record_done(&record, &other);
        sd_bus_message_unref(a);
        sd_bus_message_unref(b);
}

static sd_bus_message *with_memory(Fixture *fixture, int fd) {
        sd_bus_message *message = new_message(fixture);

        g_assert_cmpint(sd_bus_message_append(message, "a{sv}", 1, "memory", "h", fd), >=, 0);
        return message;
}

static sd_bus_message *with_memories(Fixture *fixture, const char *name, int fd, const char *second, int second_fd) {
        sd_bus_message *message = new_message(fixture);

        g_assert_cmpint(sd_bus_message_append(message, "a{sv}", 1, "memories", "a(sh)", 2, name, fd, second, second_fd),
                        >=, 0);
        return message;
}

static void test_read(Fixture *fixture, gconstpointer data) {
        _cleanup_(close_fd) int one = memory_of("one", true), two = memory_of("two", true);
        sd_bus_message *message = new_message(fixture);
        _cleanup_(buffer_done) Buffer content = {};
        Options options = {};

        g_assert_cmpint(sd_bus_message_append(message, "a{sv}", 4, "power", "b", true, "memory", "h", one, "memories",
                                              "a(sh)", 2, "/a", two, "/b", one, "number", "t", UINT64_C(7)),
                        >=, 0);
        seal(message);
        read_options(message, ROOT, &options);
        sd_bus_message_unref(message); /* what was read does not need it */
        g_assert_true(options.power && !options.flag);
        g_assert_cmpuint(options.number, ==, 7);
        g_assert_cmpuint(options.memories.count, ==, 2);
        g_assert_true(sealed_memory_same(memory_list_find(&options.memories, "/b"), options.memory));
        g_assert_null(memory_list_find(&options.memories, "/c"));
        g_assert_cmpint(sealed_memory_read(memory_list_find(&options.memories, "/a"), &content), ==, 0);
        g_assert_cmpmem(content.data, content.size, "two", 3);
        record_done(&record, &options);
}

static void test_root_only(Fixture *fixture, gconstpointer data) {
        sd_bus_message *message = new_message(fixture);

        g_assert_cmpint(sd_bus_message_append(message, "a{sv}", 1, "power", "b", false), >=, 0);
        assert_refused(message, SOMEBODY, ".AccessDenied", "'power'");
}

static void test_no_memory(Fixture *fixture, gconstpointer data) {
        _cleanup_(close_fd) int good = memory_of("good", true), loose = memory_of("loose", false);
        _cleanup_(close_fd) int large = memory_of("too large", true), null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        assert_refused(with_memory(fixture, loose), ROOT, ".InvalidArgs", "'memory' hands over is not sealed");
        assert_refused(with_memory(fixture, large), ROOT, ".InvalidArgs", "at most 8 bytes");
        assert_refused(with_memory(fixture, null), ROOT, ".InvalidArgs", "no memory file");
        assert_refused(with_memories(fixture, "/a", good, "/b", loose), ROOT, ".InvalidArgs", "for /b is not sealed");
        assert_refused(with_memories(fixture, "/a", good, "/a", good), ROOT, ".InvalidArgs", "names /a twice");
}

static void test_other_type(Fixture *fixture, gconstpointer data) {
        sd_bus_message *message = new_message(fixture);

        g_assert_cmpint(sd_bus_message_append(message, "a{sv}", 1, "memory", "s", "text"), >=, 0);
        assert_refused(message, ROOT, ".InvalidArgs", "is of type 'h', not 's'");
}

/* While polkit is asked nobody can change a message or sealed memory. If they could, it would be noticed. */
static void test_differences(Fixture *fixture, gconstpointer data) {
        static const struct {
                const char *name, *type, *a, *b;
        } texts[] = {{"text", "s", "a", "b"}, {"text", "s", "a", ""}};
        _cleanup_(close_fd) int one = memory_of("same", true), two = memory_of("same", true);

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                sd_bus_message *a = new_message(fixture), *b = new_message(fixture);

                sd_bus_message_append(a, "a{sv}", 1, texts[i].name, texts[i].type, texts[i].a);
                sd_bus_message_append(b, "a{sv}", 1, texts[i].name, texts[i].type, texts[i].b);
                assert_differ(a, b);
        }
        sd_bus_message *more = new_message(fixture), *less = new_message(fixture);
        sd_bus_message_append(more, "a{sv}", 1, "list", "as", 2, "x", "y");
        sd_bus_message_append(less, "a{sv}", 1, "list", "as", 1, "x");
        assert_differ(more, less);
        sd_bus_message *yes = new_message(fixture), *no = new_message(fixture);
        sd_bus_message_append(yes, "a{sv}", 1, "flag", "b", true);
        sd_bus_message_append(no, "a{sv}", 1, "flag", "b", false);
        assert_differ(yes, no);

        assert_differ(with_memory(fixture, one), with_memory(fixture, two));
        assert_differ(with_memories(fixture, "/a", one, "/b", two), with_memories(fixture, "/a", one, "/c", two));
        assert_differ(with_memories(fixture, "/a", one, "/b", two), with_memories(fixture, "/a", one, "/b", one));
        sd_bus_message *without = new_message(fixture);
        sd_bus_message_append(without, "a{sv}", 0);
        assert_differ(with_memory(fixture, one), without);
}

#define TEST(name, function) g_test_add("/bus/dictionary/" name, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("memory-outlives-the-message", test_read);
        TEST("options-of-root-are-root-s", test_root_only);
        TEST("takes-no-memory-that-can-change", test_no_memory);
        TEST("takes-no-other-type", test_other_type);
        TEST("two-readings-that-differ-are-told-apart", test_differences);
        return g_test_run();
}
