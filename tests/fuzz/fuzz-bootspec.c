/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: boot */

/* The input as boot.json. What is accepted keeps what the header promises; what is refused says why, in plain text. */

#include <stdlib.h>
#include <string.h>

#include "daemon/boot/bootspec.h"
#include "daemon/boot/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
        if (!condition)
                abort();
}

static void check_text(const char *text) {
        require(text && *text && !text_problem(text, /* tab_allowed= */ false));
}

static void check_path(const char *path) {
        size_t length;

        check_text(path);
        length = strlen(path);
        require(path[0] == '/' && path[length - 1] != '/' && !strstr(path, "//") && !strstr(path, "/../") &&
                !strstr(path, "/./"));
        require(length < 3 || strcmp(path + length - 3, "/..") != 0);
}

static void check_bootspec(const Bootspec *bootspec) {
        check_text(bootspec->label);
        check_text(bootspec->system);
        check_path(bootspec->toplevel);
        check_path(bootspec->kernel);
        check_path(bootspec->init);
        require(!strpbrk(bootspec->init, " \t\"'"));
        if (bootspec->initrd)
                check_path(bootspec->initrd);
        if (bootspec->initrd_secrets)
                check_path(bootspec->initrd_secrets);
        if (bootspec->stub)
                check_path(bootspec->stub);
        if (bootspec->device_tree)
                check_path(bootspec->device_tree);
        if (bootspec->sort_key)
                check_text(bootspec->sort_key);
        require(bootspec->kernel_params.count <= BOOTSPEC_MAX_PARAMS);
        for (size_t i = 0; i < bootspec->kernel_params.count; i++)
                require(!text_problem(bootspec->kernel_params.items[i], /* tab_allowed= */ true));
        for (size_t i = 0; i < bootspec->specialisation_count; i++) {
                check_text(bootspec->specialisations[i].name);
                require(!strchr(bootspec->specialisations[i].name, '/'));
                require(i == 0 || strcmp(bootspec->specialisations[i - 1].name, bootspec->specialisations[i].name) < 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(boot_variant_list_done) BootVariantList variants = {};
        _cleanup_(bootspec_done) Bootspec bootspec = {};
        _cleanup_(failure_done) Failure failure = {};

        if (bootspec_parse((Span){data, size}, "boot.json", &bootspec, &failure) < 0) {
                require(failure.condition == CONDITION_BAD_BOOTSPEC && !bootspec.label);
                check_text(failure.message);
                return 0;
        }
        require(!failure.message && bootspec_variants(&bootspec, &variants) == 0);
        require(variants.count >= 1 && variants.count <= 1 + BOOTSPEC_MAX_SPECIALISATIONS);
        for (size_t i = 0; i < variants.count; i++)
                check_bootspec(variants.items[i].bootspec);
        return 0;
}
