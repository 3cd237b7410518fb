/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/lib/cut.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Reads up to SIZE bytes of the child's memory; at least those up to the end of ADDRESS's page. */
static void read_child(pid_t pid, uint64_t address, void *data, size_t size) {
        size_t page = sysconf(_SC_PAGESIZE), first = MIN(size, page - address % page);
        struct iovec here = {data, size};
        struct iovec there[] = {
                {(void *)(uintptr_t)address, first},
                {(void *)(uintptr_t)(address + first), size - first},
        };

        g_assert_cmpint(process_vm_readv(pid, &here, 1, there, G_N_ELEMENTS(there), 0), >=, (ssize_t)first);
}

static char *path_of_fd(pid_t pid, int fd) {
        g_autofree char *name =
                fd == AT_FDCWD ? g_strdup_printf("/proc/%d/cwd", pid) : g_strdup_printf("/proc/%d/fd/%d", pid, fd);

        return g_file_read_link(name, NULL);
}

/* The full path that a call names by a folder descriptor and a path. */
static char *path_at(pid_t pid, uint64_t fd, uint64_t address) {
        char path[PATH_MAX] = {};
        g_autofree char *folder = NULL;

        read_child(pid, address, path, sizeof(path) - 1);
        if (g_path_is_absolute(path))
                return g_strdup(path);
        folder = path_of_fd(pid, (int)fd);
        return strcmp(path, ".") == 0 ? g_strdup(folder) : g_build_filename(folder, path, NULL);
}

static char *describe_fd(pid_t pid, const char *verb, uint64_t fd) {
        g_autofree char *path = path_of_fd(pid, (int)fd);

        if (!path || path[0] != '/' || g_str_has_prefix(path, "/dev/"))
                return NULL;
        return g_strdup_printf("%s %s", verb, path);
}

static char *describe_at(pid_t pid, const char *verb, uint64_t fd, uint64_t address) {
        g_autofree char *path = path_at(pid, fd, address);

        return g_strdup_printf("%s %s", verb, path);
}

static char *describe_rename(pid_t pid, uint64_t from_fd, uint64_t from, uint64_t to_fd, uint64_t to) {
        g_autofree char *a = path_at(pid, from_fd, from), *b = path_at(pid, to_fd, to);

        return g_strdup_printf("rename %s %s", a, b);
}

/* What a call changes, or NULL. */
static char *describe(pid_t pid, uint64_t call, const uint64_t *a) {
        struct open_how how = {};

        switch (call) {
        case SYS_write:
        case SYS_pwrite64:
        case SYS_writev:
        case SYS_pwritev:
        case SYS_ftruncate:
        case SYS_fallocate:
                return describe_fd(pid, "write", a[0]);
        case SYS_copy_file_range:
                return describe_fd(pid, "write", a[2]);
        case SYS_sendfile:
                return describe_fd(pid, "write", a[0]);
        case SYS_fsync:
        case SYS_fdatasync:
                return describe_fd(pid, "sync", a[0]);
        case SYS_syncfs:
                return describe_fd(pid, "syncfs", a[0]);
        case SYS_openat:
                return a[2] & O_CREAT ? describe_at(pid, "create", a[0], a[1]) : NULL;
        case SYS_openat2:
                read_child(pid, a[2], &how, sizeof(how));
                return how.flags & O_CREAT ? describe_at(pid, "create", a[0], a[1]) : NULL;
        case SYS_mkdirat:
                return describe_at(pid, "mkdir", a[0], a[1]);
        case SYS_unlinkat:
                return describe_at(pid, "remove", a[0], a[1]);
        case SYS_renameat:
        case SYS_renameat2:
                return describe_rename(pid, a[0], a[1], a[2], a[3]);
#ifdef SYS_mkdir /* architectures that have the old calls, which their C libraries use */
        case SYS_mkdir:
                return describe_at(pid, "mkdir", AT_FDCWD, a[0]);
        case SYS_unlink:
        case SYS_rmdir:
                return describe_at(pid, "remove", AT_FDCWD, a[0]);
        case SYS_rename:
                return describe_rename(pid, AT_FDCWD, a[0], AT_FDCWD, a[1]);
#endif
        default:
                return NULL;
        }
}

static _Noreturn void run_child(CutFunction function, void *userdata) {
        g_assert_cmpint(ptrace(PTRACE_TRACEME, 0, NULL, NULL), ==, 0);
        raise(SIGSTOP);
        _exit(-function(userdata));
}

/* Lets the child run to its next stop. Returns false when it has ended. */
static bool next_stop(pid_t pid, int signal, int *ret_status) {
        g_assert_cmpint(ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(uintptr_t)signal), ==, 0);
        g_assert_cmpint(waitpid(pid, ret_status, 0), ==, pid);
        return WIFSTOPPED(*ret_status);
}

bool cut_before(CutFunction function, void *userdata, int n, GPtrArray *log) {
        struct __ptrace_syscall_info info;
        int status, signal = 0, count = 0;
        pid_t pid = fork();

        g_assert_cmpint(pid, >=, 0);
        if (pid == 0)
                run_child(function, userdata);

        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_cmpint(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), ==, 0);
        while (next_stop(pid, signal, &status)) {
                g_autofree char *change = NULL;

                signal = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
                if (signal != 0)
                        continue;
                g_assert_cmpint(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info), >, 0);
                if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
                        change = describe(pid, info.entry.nr, (const uint64_t *)info.entry.args);
                if (!change)
                        continue;
                if (count++ == n) {
                        /* A call that has not begun is not made any more. */
                        kill(pid, SIGKILL);
                        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
                        return true;
                }
                if (log)
                        g_ptr_array_add(log, g_steal_pointer(&change));
        }
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(-WEXITSTATUS(status), ==, 0);
        return false;
}

static void change_entry(GHashTable *dirty, const char *path) {
        g_hash_table_add(dirty, g_path_get_dirname(path));
}

/* Something at or below PATH that is not durable, or NULL. */
static const char *dirty_below(GHashTable *dirty, const char *path) {
        GHashTableIter iterator;
        gpointer key;

        g_hash_table_iter_init(&iterator, dirty);
        while (g_hash_table_iter_next(&iterator, &key, NULL))
                if (g_str_has_prefix(key, path) && strchr("/", ((const char *)key)[strlen(path)]))
                        return key;
        return NULL;
}

char *cut_log_check_durable(GPtrArray *log) {
        g_autoptr(GHashTable) dirty = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

        for (guint i = 0; i < log->len; i++) {
                g_auto(GStrv) words = g_strsplit(log->pdata[i], " ", 0);
                const char *below;

                if (g_str_equal(words[0], "sync")) {
                        g_hash_table_remove(dirty, words[1]);
                } else if (g_str_equal(words[0], "write")) {
                        g_hash_table_add(dirty, g_strdup(words[1]));
                } else if (g_str_equal(words[0], "rename")) {
                        below = dirty_below(dirty, words[1]);
                        if (below)
                                return g_strdup_printf("%s, but %s was not durable", (char *)log->pdata[i], below);
                        change_entry(dirty, words[1]);
                        change_entry(dirty, words[2]);
                } else {
                        if (g_str_equal(words[0], "remove"))
                                g_hash_table_remove(dirty, words[1]);
                        change_entry(dirty, words[1]);
                }
        }
        if (g_hash_table_size(dirty) > 0) {
                GHashTableIter iterator;
                gpointer key;

                g_hash_table_iter_init(&iterator, dirty);
                g_hash_table_iter_next(&iterator, &key, NULL);
                return g_strdup_printf("%s is not durable in the end", (char *)key);
        }
        return NULL;
}
