/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the ESP's inventory must know of a boot image, read from its headers, its small sections and its signature. */

#include "daemon/crypto/certificate.h"
#include "daemon/esp/inventory.h"
#include "daemon/keys/key-store.h"
#include "daemon/ops/stub-shelf.h"
#include "daemon/util/span.h"
#include "daemon/util/string-list.h"

typedef struct ImageFactsReader {
        const KeyStore *keys;
        const Certificate *current;        /* of the signer that would sign now; NULL: none */
        StubShelf *stubs;                  /* that new images get; NULL: none is compared */
        const GenerationList *generations; /* whose they are; with STUBS */

        /* The reader's own: what the key store said of the last signer. Thousands of images may have the same one, and
         * the store reads its files at each question. */
        Sha256 last;
        bool last_was_held, has_last;
} ImageFactsReader;

/* An ImageReader (daemon/esp/inventory.h) whose userdata is an ImageFactsReader. */
int image_facts_read(void *reader, int fd, ImageFacts *ret);

/* The ESP paths in the contents of .linux and .initrd (empty: there is none), as they are spelled; none if the kernel
 * is embedded. Returns -EBADMSG for text with a NUL or too many paths. Appends to RET, which may have grown on failure.
 */
int image_references_parse(Span kernel, Span initrd, StringList *ret);
