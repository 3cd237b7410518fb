/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Programs that append secrets to an initrd, good and bad ones. */

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/ops/initrd-secrets.h"
#include "tests/lib/test-folder.h"

enum { SECONDS = 60 };

typedef struct Program {
        char *folder;
        char *path;
} Program;

static void program_done(Program *program) {
        test_folder_cleanup(&program->folder);
        g_free(program->path);
}

/* A shell script that gets the initrd's name as $1; NOTES is a folder that it can leave something in. */
static Program program_make(const char *script) {
        Program program = {.folder = test_folder_make()};
        g_autofree char *text =
                g_strdup_printf("#!/bin/sh\nNOTES=%s\nprintf %%s \"$1\" > $NOTES/file\n%s\n", program.folder, script);

        test_write(program.folder, "program", text, -1, 0700);
        program.path = test_path(program.folder, "program");
        return program;
}

/* What the program wrote into its NOTES. */
static char *read_note(const Program *program, const char *name) {
        g_autoptr(GBytes) note = test_read(program->folder, name);

        return g_strndup(g_bytes_get_data(note, NULL), g_bytes_get_size(note));
}

/* The folder that it worked in, with secrets in it, is in memory, and gone. */
static void assert_clean(const Program *program) {
        g_autofree char *file = read_note(program, "file"), *folder = g_path_get_dirname(file);

        g_assert_true(g_str_has_prefix(folder, "/run/lanzad-"));
        g_assert_false(g_file_test(folder, G_FILE_TEST_EXISTS));
}

static void succeed(const char *script, const char *expected) {
        _cleanup_(program_done) Program program = program_make(script);
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(buffer_wipe) Buffer secrets = {};
        int r = initrd_secrets_run(program.path, SECONDS, &secrets, &failure);

        g_assert_cmpstr(failure.message, ==, NULL);
        g_assert_cmpint(r, ==, 0);
        g_assert_cmpmem(secrets.data, secrets.size, expected, strlen(expected));
        assert_clean(&program);
}

static void fail(const char *script, unsigned seconds, const char *message) {
        _cleanup_(program_done) Program program = program_make(script);
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(buffer_wipe) Buffer secrets = {};

        g_assert_cmpint(initrd_secrets_run(program.path, seconds, &secrets, &failure), <, 0);
        g_assert_cmpint(failure.condition, ==, CONDITION_SECRETS_FAILED);
        g_assert_nonnull(strstr(failure.message, program.path));
        if (!strstr(failure.message, message))
                g_error("\"%s\" does not contain \"%s\"", failure.message, message);
        g_assert_null(secrets.data);
        assert_clean(&program);
}

static void test_output(void) {
        succeed("printf secret >> \"$1\"", "secret");
        succeed("echo not a secret; printf secret >> \"$1\"; printf more >> \"$1\"", "secretmore");
}

static void test_empty(void) {
        succeed("exit 0", "");
        succeed("test ! -s \"$1\"", "");
}

static void test_surroundings(void) {
        g_setenv("LANZA_TEST_SECRET", "1", /* overwrite= */ TRUE);
        succeed("test -z \"$LANZA_TEST_SECRET\" && test $# = 1 && test -n \"$PATH\" && ! read line", "");
        succeed("test \"$(stat -c %a \"$1\")\" = 600 && test \"$(stat -c %a \"$(dirname \"$1\")\")\" = 700", "");
}

static void test_fails(void) {
        fail("printf secret >> \"$1\"; exit 1", SECONDS, "failed with exit status 1");
        fail("kill -9 $$", SECONDS, "ended by signal 9");
        fail("not-a-program-at-all", SECONDS, "cannot be started");
}

static void test_hangs(void) {
        gint64 start = g_get_monotonic_time();

        fail("exec >/dev/null 2>&1; sleep 1000", 1, "did not end within 1 seconds");
        fail("exec >/dev/null 2>&1; trap '' TERM INT HUP; while :; do sleep 1000; done", 1,
             "did not end within 1 seconds");
        g_assert_cmpint(g_get_monotonic_time() - start, <, 500 * G_USEC_PER_SEC);
}

static void test_too_much(void) {
        g_autofree char *exact = g_strdup_printf("head -c %d /dev/zero > \"$1\"", INITRD_SECRETS_MAX_BYTES);
        g_autofree char *script = g_strdup_printf("exec head -c %d /dev/zero > \"$1\"", INITRD_SECRETS_MAX_BYTES + 1);
        _cleanup_(program_done) Program program = program_make(exact);
        _cleanup_(buffer_wipe) Buffer secrets = {};

        fail(script, SECONDS, "it wrote too much");
        g_assert_cmpint(initrd_secrets_run(program.path, SECONDS, &secrets, /* failure= */ NULL), ==, 0);
        g_assert_cmpuint(secrets.size, ==, INITRD_SECRETS_MAX_BYTES);
}

static bool is_alive(pid_t pid) {
        g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid), *text = NULL;
        const char *state;

        if (!g_file_get_contents(path, &text, NULL, NULL))
                return false;
        state = strrchr(text, ')');
        return state && strncmp(state, ") Z", 3) != 0;
}

static void assert_ended_with_it(const char *script) {
        _cleanup_(program_done) Program program = program_make(script);
        _cleanup_(buffer_wipe) Buffer secrets = {};
        g_autofree char *text = NULL;
        pid_t pid;

        g_assert_cmpint(initrd_secrets_run(program.path, SECONDS, &secrets, /* failure= */ NULL), ==, 0);
        g_assert_cmpmem(secrets.data, secrets.size, "secret", 6);
        text = read_note(&program, "pid");
        pid = atoi(text);
        g_assert_cmpint(pid, >, 1);
        /* SIGKILL was sent before it returned; when the kernel is through with it is the kernel's business. */
        for (unsigned i = 0; i < 6000 && is_alive(pid); i++)
                g_usleep(10 * 1000);
        g_assert_false(is_alive(pid));
}

/* What it leaves in the background has our privileges and the file: it goes with it, also from a session of its own. */
static void test_background(void) {
        assert_ended_with_it("sleep 1000 >/dev/null 2>&1 & echo $! > $NOTES/pid; printf secret >> \"$1\"");
        assert_ended_with_it(
                "setsid sh -c 'echo $$ > $0/pid; trap \"\" TERM INT HUP; sleep 1000' $NOTES >/dev/null 2>&1 & "
                "while ! test -s $NOTES/pid; do sleep 0.01; done; printf secret >> \"$1\"");
        assert_ended_with_it("(setsid sh -c '(sleep 1000 & echo $! > $0/pid) & sleep 1000' $NOTES >/dev/null 2>&1 &) ; "
                             "while ! test -s $NOTES/pid; do sleep 0.01; done; printf secret >> \"$1\"");
}

static pid_t wait_for_note(const Program *program) {
        g_autofree char *path = test_path(program->folder, "pid"), *text = NULL;

        for (unsigned i = 0; i < 6000 && !(g_file_get_contents(path, &text, NULL, NULL) && strchr(text, '\n')); i++) {
                g_clear_pointer(&text, g_free);
                g_usleep(10 * 1000);
        }
        g_assert_nonnull(text);
        return atoi(text);
}

/* Ctrl-C: no program goes on, and no secrets stay. */
static void test_interrupted(void) {
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

        for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
                _cleanup_(program_done) Program program =
                        program_make("exec 2>&-; printf secret >> \"$1\"; echo $$ > $NOTES/pid; exec sleep 1000");
                pid_t ours = fork(), pid;
                int status;

                g_assert_cmpint(ours, >=, 0);
                if (ours == 0) {
                        _cleanup_(buffer_wipe) Buffer secrets = {};

                        (void)signal(signals[i], SIG_DFL); /* what runs in the background may ignore it */
                        (void)initrd_secrets_run(program.path, SECONDS, &secrets, /* failure= */ NULL);
                        _exit(0);
                }
                pid = wait_for_note(&program);
                g_assert_cmpint(pid, >, 1);
                g_assert_cmpint(kill(ours, signals[i]), ==, 0);
                g_assert_cmpint(waitpid(ours, &status, 0), ==, ours);
                g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
                g_assert_false(is_alive(pid));
                assert_clean(&program);
        }
}

static void test_strange_results(void) {
        fail("rm \"$1\"; mkdir -p \"$1/secret\"; echo secret > \"$1/secret/file\"", SECONDS, "Is a directory");
        fail("echo more > \"$1.tmp\"; exit 1", SECONDS, "exit status 1");
        fail("rm \"$1\"", SECONDS, "No such file");
        fail("rm \"$1\"; mkfifo \"$1\"", SECONDS, "It is no regular file");
        fail("ln -sf /etc/passwd \"$1\"", SECONDS, "It is a symbolic link");
        fail("ln -sf \"$1\" \"$1\" || :; ln -sf /dev/zero \"$1\"", SECONDS, "It is a symbolic link");
        /* What it appends to is empty: cut short or put anew it is what it is. */
        succeed("printf more >> \"$1\"; truncate -s 2 \"$1\"", "mo");
        succeed("printf secret > \"$1.new\"; mv \"$1.new\" \"$1\"", "secret");
}

static void test_not_startable(void) {
        static const char *const bad[] = {"/nowhere/program", "/etc/passwd", "/"};

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                _cleanup_(failure_done) Failure failure = {};
                Buffer secrets = {};

                g_assert_cmpint(initrd_secrets_run(bad[i], SECONDS, &secrets, &failure), <, 0);
                g_assert_cmpint(failure.condition, ==, CONDITION_SECRETS_FAILED);
                g_assert_nonnull(strstr(failure.message, bad[i]));
                g_assert_nonnull(strstr(failure.message, "cannot be started"));
        }
}

#define TEST(name, function) g_test_add_func("/ops/initrd-secrets/" name, function)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("are-what-the-program-appends", test_output);
        TEST("may-be-none", test_empty);
        TEST("program-sees-little-of-us", test_surroundings);
        TEST("fail-with-the-program", test_fails);
        TEST("end-a-program-that-hangs", test_hangs);
        TEST("have-a-limit", test_too_much);
        TEST("end-what-runs-in-the-background", test_background);
        TEST("are-gone-when-we-are-ended-meanwhile", test_interrupted);
        TEST("refuse-what-is-no-file-afterwards", test_strange_results);
        TEST("refuse-what-is-no-program", test_not_startable);
        return g_test_run();
}
