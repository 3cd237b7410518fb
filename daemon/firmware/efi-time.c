/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/efi-time.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

/* EFI_TIME: year (two bytes), month, day, hour, minute, second, then what must be zero. */
enum { YEAR_MIN = 1900, YEAR_MAX = 9999, MONTH = 2, DAY, HOUR, MINUTE, SECOND, FIRST_ZERO };

static int year_of(const EfiTime *time) {
        return time->bytes[0] | time->bytes[1] << 8;
}

int efi_time_from_seconds(int64_t seconds, EfiTime *ret) {
        time_t value = seconds;
        struct tm date;

        if (!gmtime_r(&value, &date))
                return -ERANGE;
        int year = date.tm_year + 1900;
        if (year < YEAR_MIN || year > YEAR_MAX)
                return -ERANGE;

        *ret = (EfiTime){
                .bytes = {year & 0xff, year >> 8, date.tm_mon + 1, date.tm_mday, date.tm_hour, date.tm_min,
                          date.tm_sec},
        };
        return 0;
}

int efi_time_to_seconds(const EfiTime *time, int64_t *ret) {
        const uint8_t *b = time->bytes;
        EfiTime again;

        struct tm date = {
                .tm_year = year_of(time) - 1900,
                .tm_mon = b[MONTH] - 1,
                .tm_mday = b[DAY],
                .tm_hour = b[HOUR],
                .tm_min = b[MINUTE],
                .tm_sec = b[SECOND],
        };
        int64_t seconds = timegm(&date);

        /* timegm() carries over what is out of range: then the way back ends elsewhere. */
        if (efi_time_from_seconds(seconds, &again) < 0 || memcmp(again.bytes, b, EFI_TIME_SIZE) != 0)
                return -EBADMSG;
        *ret = seconds;
        return 0;
}

int efi_time_compare(const EfiTime *a, const EfiTime *b) {
        if (year_of(a) != year_of(b))
                return year_of(a) - year_of(b);
        return memcmp(a->bytes + MONTH, b->bytes + MONTH, FIRST_ZERO - MONTH);
}

bool efi_time_is_plain(const EfiTime *time) {
        for (size_t i = FIRST_ZERO; i < EFI_TIME_SIZE; i++)
                if (time->bytes[i] != 0)
                        return false;
        return true;
}
