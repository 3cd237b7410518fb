/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/crypto/crypto.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

void crypto_set_up(void) {
        (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, /* settings= */ NULL);
        /* For the usual generator, on AES, OpenSSL gets all of its ciphers ready, of which nobody here uses one: 0.7 ms
         * of each run. Where this one is not to be had, the usual one stays. */
        (void)RAND_set_DRBG_type(/* ctx= */ NULL, "HASH-DRBG", /* propq= */ NULL, /* cipher= */ NULL, "SHA256");
}
