/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/esp/entry-order.h"
#include "daemon/esp/esp-names.h"

/* Owned. */
static char *name_of(const char *profile, unsigned generation, const char *specialisation, const char *counter) {
        static const Sha256 hash;
        g_autofree char *name = NULL;

        g_assert_cmpint(image_name_format(NULL, profile, generation, specialisation, &hash, &name), ==, 0);
        return entry_name_with_counter(name, span_from_string(counter));
}

static void test_order(void) {
        char *names[] = {
                name_of("work", 12, NULL, ""), name_of(NULL, 11, NULL, "+1-2"), name_of(NULL, 10, NULL, ""),
                name_of(NULL, 10, "x", ""),    name_of(NULL, 2, NULL, "+3"),    g_strdup("nixos-other.efi"),
                name_of(NULL, 9, NULL, "+0"),  name_of(NULL, 8, NULL, "+0-3"),
        };

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                for (size_t j = 0; j < G_N_ELEMENTS(names); j++)
                        g_assert_cmpint(entry_is_before(names[i], names[j], NULL), ==, i < j);
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                g_free(names[i]);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/esp/entry-order/used-up-last-then-newest-first-systems-before-specialisations", test_order);
        return g_test_run();
}
