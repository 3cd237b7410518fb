/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/bootservice-variables.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/util/file.h"

enum {
        HIDDEN = VARIABLE_NON_VOLATILE | VARIABLE_BOOTSERVICE_ACCESS,
        ORDINARY = VARIABLE_NON_VOLATILE | VARIABLE_BOOTSERVICE_ACCESS | VARIABLE_RUNTIME_ACCESS,
};

static const Guid other_vendor = GUID_INIT(0x01020304, 0x0506, 0x0708, 9, 10, 11, 12, 13, 14, 15, 16);

/* A firmware that shows one variable "Setup", whatever its attributes, besides ordinary ones and one that is listed and
 * cannot be read. */
typedef struct Firmware {
        const Guid *vendor;
        uint32_t attributes;
} Firmware;

static int list(void *userdata, const Guid *vendor, StringList *ret) {
        const Firmware *firmware = userdata;
        int r;

        r = string_list_add(ret, "BootOrder");
        if (r >= 0)
                r = string_list_add(ret, "Gone");
        if (r >= 0 && guid_equal(vendor, firmware->vendor))
                r = string_list_add(ret, "Setup");
        return r;
}

static int read_variable(void *userdata, const Guid *vendor, const char *name, uint32_t *ret_attributes, Buffer *ret) {
        const Firmware *firmware = userdata;

        if (strcmp(name, "Gone") == 0)
                return -EIO;
        *ret_attributes = strcmp(name, "Setup") == 0 ? firmware->attributes : ORDINARY;
        return 0;
}

static const VariablesOps ops = {.read = read_variable, .list = list, .place = "a firmware of the test"};

static int find(Firmware firmware, const Guid **ret_vendor, char **ret_name) {
        _cleanup_(variables_freep) Variables *variables = NULL;

        g_assert_cmpint(variables_new(&ops, &firmware, &variables), ==, 0);
        return bootservice_variable_find(variables, ret_vendor, ret_name);
}

static void test_hidden(void) {
        const Guid *vendor = NULL;
        char *name = NULL;

        g_assert_cmpint(find((Firmware){&efi_global_variable_guid, ORDINARY}, &vendor, &name), ==, 0);
        g_assert_cmpint(find((Firmware){&efi_global_variable_guid, VARIABLE_RUNTIME_ACCESS}, &vendor, &name), ==, 0);
        g_assert_cmpint(find((Firmware){&other_vendor, HIDDEN}, &vendor, &name), ==, 0);
        g_assert_true(!vendor && !name);
}

static void test_shown(void) {
        static const Guid *const vendors[] = {&efi_global_variable_guid, &efi_image_security_database_guid};

        for (size_t i = 0; i < G_N_ELEMENTS(vendors); i++) {
                _cleanup_(free_pointer) char *name = NULL;
                const Guid *vendor = NULL;

                g_assert_cmpint(find((Firmware){vendors[i], HIDDEN}, &vendor, &name), ==, 1);
                g_assert_true(guid_equal(vendor, vendors[i]));
                g_assert_cmpstr(name, ==, "Setup");
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/firmware/bootservice-variables/what-is-for-the-system-or-other-vendors-is-no-finding",
                        test_hidden);
        g_test_add_func("/firmware/bootservice-variables/one-of-firmwares-own-that-shows-is-found", test_shown);
        return g_test_run();
}
