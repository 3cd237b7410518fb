/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From the two files of a role to what signs, and what is said where a key is no use. */

#include <errno.h>

#include "daemon/keys/key-store-private.h"
#include "daemon/util/file.h"
#include "daemon/util/macro.h"

/* What sbctl keeps in place of a key that is not in a file; NULL if it is no such thing. */
static const char *holder_of(Span key) {
        size_t at;

        if (span_find(key, span_from_string("-----BEGIN TSS2 PRIVATE KEY-----"), 0, &at) >= 0)
                return "a TPM";
        return span_starts_with(key, span_from_string("{")) ? "a token" : NULL;
}

/* The firmware may know the lost one: a new one has to be enrolled. */
static void hint_at_lost_key(const KeyStore *store, KeyRole role, Failure *failure) {
        const char *name = key_role_name(role);

        if (key_role_is_configured(store, role))
                failure_set_hint(failure, "Restore the file from a backup, or name another key and its certificate in "
                                          "the section [Keys] of the configuration.");
        else
                failure_set_hint(failure,
                                 "Restore the file from a backup. If there is none: mv '%s/keys/%s' '%s/keys/%s.old', "
                                 "make a new pair with 'lanzactl create-keys', and enroll it in Setup Mode with "
                                 "'lanzactl enroll-keys'.",
                                 store->folder, name, store->folder, name);
}

static int report_held_key(const char *path, const char *holder, Failure *failure) {
        int r = failure_set(failure, CONDITION_BAD_KEYS,
                            "%s holds a key that only %s can use; lanzad signs with keys in files", path, holder);

        failure_set_hint(failure, "Let lanzad make its own: name another folder as Directory= in the section [Keys] of "
                                  "/etc/lanza/lanzad.conf, then run 'lanzactl setup' with the firmware in Setup Mode.");
        return r;
}

static int report_no_key(const KeyStore *store, KeyRole role, const char *path, Span key, Failure *failure) {
        static const char none[] = "no private key in PEM form";
        static const char bad[] =
                "a private key that cannot be read: it is damaged, or in a form that OpenSSL does not know";
        const char *holder = holder_of(key);
        size_t at;
        int r;

        if (holder)
                return report_held_key(path, holder, failure);
        r = span_find(key, span_from_string("PRIVATE KEY-----"), 0, &at);
        r = failure_set(failure, CONDITION_BAD_KEYS, "%s holds %s", path, r < 0 ? none : bad);
        hint_at_lost_key(store, role, failure);
        return r;
}

static int report_bad_signer(const KeyStore *store, KeyRole role, Span content, int error, Failure *failure) {
        _cleanup_(free_pointer) char *key = key_file_path(store, role, KEY_FILE_KEY);
        _cleanup_(free_pointer) char *certificate = key_file_path(store, role, KEY_FILE_CERTIFICATE);
        int r;

        if (!key || !certificate)
                return -ENOMEM;
        switch (error) {
        case -EBADMSG:
                return key_report_bad_certificate(store, role, error, failure);
        case -ENOKEY:
                return report_no_key(store, role, key, content, failure);
        case -EACCES:
                r = failure_set(failure, CONDITION_BAD_KEYS, "%s is encrypted; lanzad asks nobody for a passphrase",
                                key);
                failure_set_hint(failure, "Decrypt it into a file that only root may read: openssl pkey -in '%s'", key);
                return r;
        case -EKEYREJECTED:
                return failure_set(failure, CONDITION_BAD_KEYS, "The key %s does not belong to the certificate %s", key,
                                   certificate);
        case -ERANGE:
                return failure_set(failure, CONDITION_BAD_KEYS,
                                   "%s is not an RSA key of 2048 to 4096 bits, which is what firmware can check", key);
        default:
                return failure_set_errno(failure, error, "Cannot use the key %s", key);
        }
}

int key_store_read_signer(const KeyStore *store, KeyRole role, Signer **ret, Failure *failure) {
        _cleanup_(buffer_done) Buffer certificate = {};
        _cleanup_(buffer_wipe) Buffer key = {};
        int r;

        r = key_store_read_certificate(store, role, &certificate, failure);
        if (r < 0)
                return r;
        r = key_file_read(store, role, KEY_FILE_KEY, &key, failure);
        if (r < 0)
                return r;
        r = signer_read_pem(buffer_span(&key), buffer_span(&certificate), ret);
        return r < 0 ? report_bad_signer(store, role, buffer_span(&key), r, failure) : 0;
}

int key_store_try_signer(const KeyStore *store, KeyRole role, Signer *signer, Failure *failure) {
        _cleanup_(free_pointer) char *path = key_file_path(store, role, KEY_FILE_KEY);
        int r = signer_try(signer);

        if (r >= 0)
                return 0;
        if (r != -ENOKEY || !path)
                return report_bad_signer(store, role, /* content= */ (Span){}, r, failure);
        r = failure_set(failure, CONDITION_BAD_KEYS,
                        "The private key in %s is damaged: no signature that it makes is good", path);
        hint_at_lost_key(store, role, failure);
        return r;
}

int key_store_signer(const KeyStore *store, KeyRole role, Signer **ret, Failure *failure) {
        _cleanup_(signer_freep) Signer *signer = NULL;
        int r;

        r = key_store_read_signer(store, role, &signer, failure);
        if (r >= 0)
                r = key_store_try_signer(store, role, signer, failure);
        if (r < 0)
                return r;
        *ret = TAKE_POINTER(signer);
        return 0;
}
