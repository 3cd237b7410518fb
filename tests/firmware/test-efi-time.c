/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/efi-time.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

static void test_writes_utc_in_whole_seconds(void) {
        static const uint8_t expected[EFI_TIME_SIZE] = {0xe8, 0x07, 2, 29, 23, 59, 58};
        EfiTime time;

        g_assert_cmpint(efi_time_from_seconds(1709251198, &time), ==, 0);
        g_assert_cmpmem(time.bytes, sizeof(time.bytes), expected, sizeof(expected));
        g_assert_true(efi_time_is_plain(&time));
}

static void test_goes_there_and_back(void) {
        static const int64_t values[] = {0, 1, 1709251198, 1767225600, INT64_C(4102444800), INT64_C(253402300799), -1};

        for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
                EfiTime time;
                int64_t seconds;

                g_assert_cmpint(efi_time_from_seconds(values[i], &time), ==, 0);
                g_assert_cmpint(efi_time_to_seconds(&time, &seconds), ==, 0);
                g_assert_cmpint(seconds, ==, values[i]);
        }
}

static void test_refuses_years_that_it_has_not(void) {
        EfiTime time;

        g_assert_cmpint(efi_time_from_seconds(INT64_C(253402300800), &time), ==, -ERANGE);
        g_assert_cmpint(efi_time_from_seconds(INT64_C(-2208988801), &time), ==, -ERANGE);
        g_assert_cmpint(efi_time_from_seconds(INT64_MAX, &time), ==, -ERANGE);
        g_assert_cmpint(efi_time_from_seconds(INT64_MIN, &time), ==, -ERANGE);
}

static void test_refuses_dates_that_there_are_not(void) {
        static const uint8_t bad[][EFI_TIME_SIZE] = {
                {0xe9, 0x07, 2, 29},
                {0xe8, 0x07, 0, 1},
                {0xe8, 0x07, 13, 1},
                {0xe8, 0x07, 1, 0},
                {0xe8, 0x07, 1, 1, 24},
                {0xe8, 0x07, 1, 1, 0, 60},
                {0xe8, 0x07, 1, 1, 0, 0, 60},
                {0xe8, 0x07, 1, 1, 0, 0, 0, 1},
                {0xe8, 0x07, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
                {},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                EfiTime time;
                int64_t seconds = 7;

                memcpy(time.bytes, bad[i], sizeof(time.bytes));
                g_assert_cmpint(efi_time_to_seconds(&time, &seconds), ==, -EBADMSG);
                g_assert_cmpint(seconds, ==, 7);
        }
}

static void test_compares_from_the_year_down(void) {
        static const int64_t ascending[] = {0, 59, 60, 3599, 86399, 86400, 2678400, 31536000, 1767225599, 1767225600};

        for (size_t i = 0; i < G_N_ELEMENTS(ascending); i++)
                for (size_t j = 0; j < G_N_ELEMENTS(ascending); j++) {
                        EfiTime a, b;

                        g_assert_cmpint(efi_time_from_seconds(ascending[i], &a), ==, 0);
                        g_assert_cmpint(efi_time_from_seconds(ascending[j], &b), ==, 0);
                        int order = efi_time_compare(&a, &b);
                        g_assert_cmpint((order > 0) - (order < 0), ==, (i > j) - (i < j));
                }
}

static void test_compares_only_what_firmware_compares(void) {
        EfiTime a, b;

        g_assert_cmpint(efi_time_from_seconds(0, &a), ==, 0);
        b = a;
        b.bytes[8] = 1;
        g_assert_cmpint(efi_time_compare(&a, &b), ==, 0);
        g_assert_false(efi_time_is_plain(&b));
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/firmware/efi-time/" name, function)
        TEST("writes-utc-in-whole-seconds", test_writes_utc_in_whole_seconds);
        TEST("goes-there-and-back", test_goes_there_and_back);
        TEST("refuses-years-that-it-has-not", test_refuses_years_that_it_has_not);
        TEST("refuses-dates-that-there-are-not", test_refuses_dates_that_there_are_not);
        TEST("compares-from-the-year-down", test_compares_from_the_year_down);
        TEST("compares-only-what-firmware-compares", test_compares_only_what_firmware_compares);
        return g_test_run();
}
