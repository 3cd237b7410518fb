/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the store remembers beside its keys: the last timestamp, and the certificates that were ever in use. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/keys/key-store-private.h"
#include "daemon/util/encode.h"
#include "daemon/util/file.h"

#define TIMESTAMP "timestamp"
#define HELD "held"

/* The last second of the year 9999, where EFI_TIME ends (UEFI specification, 8.3). */
static const int64_t timestamp_max = INT64_C(253402300799);

int key_timestamp_parse(Span text, int64_t *ret) {
        int64_t value = 0;

        if (text.size > 0 && text.data[text.size - 1] == '\n')
                text.size--;
        if (text.size == 0)
                return -EBADMSG;
        for (size_t i = 0; i < text.size; i++) {
                if (text.data[i] < '0' || text.data[i] > '9')
                        return -EBADMSG;
                value = 10 * value + (text.data[i] - '0');
                if (value > timestamp_max)
                        return -EBADMSG;
        }
        *ret = value;
        return 0;
}

/* The last timestamp that was used, or -1. */
static int last_timestamp(const KeyStore *store, int64_t *ret, Failure *failure) {
        _cleanup_(buffer_done) Buffer text = {};
        int r;

        r = file_read(store->fd, TIMESTAMP, 4096, &text);
        if (r == -ENOENT) {
                *ret = -1;
                return 0;
        }
        if (r < 0)
                return key_store_report_member(store, r, TIMESTAMP, failure);
        if (key_timestamp_parse(buffer_span(&text), ret) < 0) {
                r = failure_set(failure, CONDITION_BAD_KEYS,
                                "%s/" TIMESTAMP " does not hold the time of the last update, in seconds since 1970",
                                store->folder);
                failure_set_hint(failure, "Delete it: the next update then takes the present time.");
                return r;
        }
        return 0;
}

int key_store_next_timestamp(KeyStore *store, int64_t now, int64_t *ret, Failure *failure) {
        char text[sizeof("-9223372036854775808\n")];
        int64_t last, next;
        int r;

        r = key_store_make_folder(store, failure);
        if (r < 0)
                return r;
        r = last_timestamp(store, &last, failure);
        if (r < 0)
                return r;
        next = now > last ? now : last + 1;
        if (next > timestamp_max)
                return failure_set(failure, CONDITION_FAILED, "No firmware can express a time after the year 9999");
        snprintf(text, sizeof(text), "%" PRIi64 "\n", next);
        r = file_replace(store->fd, TIMESTAMP, span_from_string(text), 0600);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot record the timestamp in %s/" TIMESTAMP, store->folder);
        *ret = next;
        return 0;
}

/* "held/FINGERPRINT.der". Owned. */
static char *held_name(const Sha256 *fingerprint) {
        _cleanup_(free_pointer) char *hex = hex_encode((Span){fingerprint->bytes, sizeof(fingerprint->bytes)});
        char *name;

        return !hex || asprintf(&name, HELD "/%s.der", hex) < 0 ? NULL : name;
}

/* 1 if the certificate is among the recorded ones, 0 if not, or a negative errno. */
static int is_recorded(const KeyStore *store, const Sha256 *fingerprint) {
        _cleanup_(free_pointer) char *name = held_name(fingerprint);
        _cleanup_(close_fd) int fd = -EBADF;

        if (!name)
                return -ENOMEM;
        if (store->fd < 0)
                return 0;
        fd = file_open(store->fd, name, O_PATH, 0);
        if (fd == -ENOENT)
                return 0;
        return fd < 0 ? fd : 1;
}

static int record(KeyStore *store, const Certificate *certificate) {
        _cleanup_(free_pointer) char *name = held_name(certificate_fingerprint(certificate));
        int r;

        if (!name)
                return -ENOMEM;
        if (mkdirat(store->fd, HELD, 0700) < 0 && errno != EEXIST)
                return -errno;
        r = folder_fsync(store->fd, ".");
        if (r < 0)
                return r;
        return file_replace(store->fd, name, certificate_der(certificate), 0644);
}

/* What every sync asks: no certificate is parsed for it. */
static bool present_is_recorded(const KeyStore *store, KeyRole role) {
        _cleanup_(buffer_done) Buffer pem = {};
        Sha256 fingerprint;

        return key_store_read_certificate(store, role, &pem, NULL) >= 0 &&
               certificate_fingerprint_of_pem(buffer_span(&pem), &fingerprint) >= 0 &&
               is_recorded(store, &fingerprint) > 0;
}

int key_store_remember(KeyStore *store, Failure *failure) {
        int r;

        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++) {
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;

                if (present_is_recorded(store, role) || key_store_certificate(store, role, &certificate, NULL) < 0)
                        continue;
                r = key_store_make_folder(store, failure);
                if (r < 0)
                        return r;
                r = record(store, certificate);
                if (r < 0)
                        return failure_set_errno(failure, r, "Cannot record the certificate of %s in %s/" HELD,
                                                 key_role_name(role), store->folder);
        }
        return 0;
}

int key_store_has_held(const KeyStore *store, const Certificate *certificate) {
        int r;

        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++) {
                _cleanup_(certificate_unrefp) Certificate *present = NULL;

                r = key_store_certificate(store, role, &present, NULL);
                if (r == -ENOMEM)
                        return r;
                if (r >= 0 && certificate_equal(present, certificate))
                        return 1;
        }
        r = is_recorded(store, certificate_fingerprint(certificate));
        return r == -ENOMEM || r > 0 ? r : 0;
}

bool key_store_ever_held_keys(const KeyStore *store) {
        _cleanup_(string_list_done) StringList held = {};
        int r;

        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++)
                if (key_role_is_configured(store, role) || key_file_exists(store, role, KEY_FILE_KEY) != 0 ||
                    key_file_exists(store, role, KEY_FILE_CERTIFICATE) != 0)
                        return true;
        if (store->fd < 0)
                return false;
        r = folder_list(store->fd, HELD, 1, &held);
        return r != -ENOENT && (r < 0 || held.count > 0);
}
