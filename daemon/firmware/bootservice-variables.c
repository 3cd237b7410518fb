/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/bootservice-variables.h"

#include <errno.h>

static bool is_shown(Variables *variables, const Guid *vendor, const char *name) {
        _cleanup_(buffer_done) Buffer content = {};
        uint32_t attributes;

        return variables_read(variables, vendor, name, &attributes, &content) >= 0 &&
               (attributes & (VARIABLE_BOOTSERVICE_ACCESS | VARIABLE_RUNTIME_ACCESS)) == VARIABLE_BOOTSERVICE_ACCESS;
}

static int find(Variables *variables, const Guid *vendor, char **ret_name) {
        _cleanup_(string_list_done) StringList names = {};
        int r;

        r = variables_list(variables, vendor, &names);
        if (r < 0)
                return r;
        for (size_t i = 0; i < names.count; i++)
                if (is_shown(variables, vendor, names.items[i])) {
                        *ret_name = TAKE_POINTER(names.items[i]);
                        return 1;
                }
        return 0;
}

int bootservice_variable_find(Variables *variables, const Guid **ret_vendor, char **ret_name) {
        static const Guid *const vendors[] = {&efi_image_security_database_guid, &efi_global_variable_guid};
        int r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(vendors); i++) {
                r = find(variables, vendors[i], ret_name);
                if (r > 0)
                        *ret_vendor = vendors[i];
        }
        return r;
}
