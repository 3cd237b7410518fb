/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/lib/test-program.h"

#include <stdarg.h>
#include <sys/wait.h>

static int run(GPtrArray *arguments, char **ret_output) {
        g_autofree char *output = NULL;
        g_autofree char *errors = NULL;
        GError *error = NULL;
        int status;

        g_ptr_array_add(arguments, NULL);
        g_spawn_sync(/* working_directory= */ NULL, (char **)arguments->pdata, /* envp= */ NULL, G_SPAWN_SEARCH_PATH,
                     NULL, NULL, &output, &errors, &status, &error);
        g_assert_no_error(error);
        g_assert_true(WIFEXITED(status));
        if (ret_output)
                *ret_output = g_strconcat(output, errors, NULL);
        return WEXITSTATUS(status);
}

static GPtrArray *collect(const char *program, va_list list) {
        GPtrArray *arguments = g_ptr_array_new();

        for (const char *i = program; i; i = va_arg(list, const char *))
                g_ptr_array_add(arguments, (char *)i);
        return arguments;
}

int test_run(char **ret_output, const char *program, ...) {
        g_autoptr(GPtrArray) arguments = NULL;
        va_list list;

        va_start(list, program);
        arguments = collect(program, list);
        va_end(list);
        return run(arguments, ret_output);
}

char *test_run_good(const char *program, ...) {
        g_autoptr(GPtrArray) arguments = NULL;
        char *output;
        va_list list;
        int status;

        va_start(list, program);
        arguments = collect(program, list);
        va_end(list);
        status = run(arguments, &output);
        if (status != 0)
                g_test_message("%s", output);
        g_assert_cmpint(status, ==, 0);
        return output;
}
