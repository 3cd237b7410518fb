/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/platform-key.h"

#include <errno.h>
#include <string.h>

#include "daemon/crypto/certificate.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/util/macro.h"

static bool warns(const char *name) {
        return strstr(name, "DO NOT TRUST") || strstr(name, "DO NOT SHIP");
}

static int judge(Span der, char **ret_name) {
        _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
        const char *name;
        int r;

        r = certificate_from_der(der, &certificate);
        if (r < 0)
                return r;
        name = certificate_subject(certificate);
        if (!warns(name))
                name = certificate_issuer(certificate);
        if (!warns(name))
                return 0;
        *ret_name = strdup(name);
        return *ret_name ? 1 : -ENOMEM;
}

int platform_key_is_for_tests(Span pk, char **ret_name) {
        SignatureIterator iterator = signature_iterator(pk);
        SignatureEntry entry;
        int r;

        while ((r = signature_iterator_next(&iterator, &entry)) > 0) {
                if (!guid_equal(&entry.type, &signature_type_x509))
                        continue;
                r = judge(entry.data, ret_name);
                if (r != 0)
                        return r;
        }
        return r;
}
