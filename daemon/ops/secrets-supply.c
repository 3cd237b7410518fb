/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/secrets-supply.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/ops/initrd-secrets.h"

void secrets_done(Secrets *secrets) {
        sealed_memory_free(secrets->memory);
        free(secrets->kept.name);
        *secrets = (Secrets){};
}

int secrets_make(const char *program, SealedMemory **ret, Failure *failure) {
        _cleanup_(buffer_wipe) Buffer bytes = {};
        int r;

        r = initrd_secrets_run(program, INITRD_SECRETS_SECONDS, &bytes, failure);
        if (r < 0)
                return r;
        *ret = NULL;
        if (bytes.size == 0)
                return 0;
        r = sealed_memory_make("initrd-secrets", buffer_span(&bytes), ret);
        return r < 0 ? failure_set_errno(failure, r, "Cannot keep what %s left in memory", program) : 0;
}

static int use_handed_in(const SealedMemory *memory, Secrets *ret, Failure *failure) {
        int r = memory->size > 0 ? sealed_memory_take(memory->fd, memory->size, &ret->memory) : 0;

        return r < 0 ? failure_set_errno(failure, r, "Cannot take the initrd secrets that were handed over") : 0;
}

static int find_kept(const SecretsSupply *supply, const SecretsRequest *request, Secrets *ret) {
        return kept_secrets_find(&supply->kept, request->variant->bootspec->toplevel, request->kernel, request->initrd,
                                 &ret->kept);
}

/* In a tree the program can't run, and the image is good for something without its secrets. */
static int obtain_in_tree(const SecretsSupply *supply, const SecretsRequest *request, StringList *warnings,
                          Secrets *ret) {
        const char *program = request->variant->bootspec->initrd_secrets;
        int r = find_kept(supply, request, ret);

        if (r >= 0)
                return string_list_add_format(
                        warnings,
                        "%s keeps the initrd secrets that it has: only the system itself can run %s for new ones",
                        request->title, program);
        if (r != -ENOENT)
                return r;
        return string_list_add_format(warnings,
                                      "%s: only the system itself can run %s; if it adds secrets to the initrd, "
                                      "'lanzad --oneshot sync' there puts them on the ESP",
                                      request->title, program);
}

static int obtain_from_program(const SecretsSupply *supply, const SecretsRequest *request, StringList *warnings,
                               Secrets *ret, Failure *failure) {
        _cleanup_(failure_done) Failure problem = {};
        int r, error;

        error = secrets_make(request->variant->bootspec->initrd_secrets, &ret->memory, &problem);
        if (error >= 0)
                return 0;
        if (request->is_default || !problem.message)
                return failure_pass(failure, &problem, error);
        r = find_kept(supply, request, ret);
        if (r >= 0)
                return string_list_add_format(warnings, "%s keeps the initrd secrets that it has: %s", request->title,
                                              problem.message);
        return r == -ENOENT ? failure_pass(failure, &problem, error) : r;
}

static int obtain_without(const SecretsSupply *supply, const SecretsRequest *request, Secrets *ret, Failure *failure) {
        int r = find_kept(supply, request, ret);

        if (r == -ENOENT) {
                r = failure_set(failure, CONDITION_SECRETS_FAILED,
                                "%s needs initrd secrets: none stand on the ESP, none were handed over, and the "
                                "service does not run %s",
                                request->title, request->variant->bootspec->initrd_secrets);
                failure_set_hint(failure, "Run 'lanzactl sync' as root, which runs that program.");
                return r;
        }
        ret->not_handed_in = r >= 0;
        return r;
}

int secrets_obtain(const SecretsSupply *supply, const SecretsRequest *request, StringList *warnings, Secrets *ret,
                   Failure *failure) {
        const Bootspec *bootspec = request->variant->bootspec;
        const SealedMemory *memory;
        int r;

        if (!bootspec->initrd_secrets)
                return 0;
        if (supply->only_kept) {
                r = find_kept(supply, request, ret);
                return r == -ENOENT ? 0 : r;
        }
        memory = supply->handed_in ? memory_list_find(supply->handed_in, bootspec->toplevel) : NULL;
        if (memory)
                return use_handed_in(memory, ret, failure);
        if (!supply->context->runs_programs)
                return obtain_without(supply, request, ret, failure);
        if (!supply->context->live)
                return obtain_in_tree(supply, request, warnings, ret);
        return obtain_from_program(supply, request, warnings, ret, failure);
}
