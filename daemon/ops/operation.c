/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/operation.h"

#include <string.h>

#include "daemon/ops/create-keys.h"
#include "daemon/ops/enroll-keys.h"
#include "daemon/ops/list-enrolled-keys.h"
#include "daemon/ops/list.h"
#include "daemon/ops/security.h"
#include "daemon/ops/send-secrets.h"
#include "daemon/ops/sign.h"
#include "daemon/ops/status.h"
#include "daemon/ops/sync.h"
#include "daemon/util/macro.h"

static const Operation *const operations[] = {
        &create_keys_operation,        &sync_operation,   &gc_operation,   &enroll_keys_operation,
        &list_enrolled_keys_operation, &status_operation, &list_operation, &send_secrets_operation,
        &security_operation,           &sign_operation,
};

const Operation *operation_at(size_t index) {
        return index < ARRAY_LENGTH(operations) ? operations[index] : NULL;
}

const Operation *operation_find(const char *verb) {
        for (size_t i = 0; i < ARRAY_LENGTH(operations); i++)
                if (strcmp(operations[i]->verb, verb) == 0)
                        return operations[i];
        return NULL;
}

int operation_run(const Operation *operation, Context *context, const void *parameters, void *result,
                  Failure *failure) {
        int r = operation->run(context, parameters, result, failure);

        /* What nobody could explain any better, such as memory that is short. */
        if (r < 0 && !failure->message)
                failure_set_errno(failure, r, "%s failed", operation->verb);
        return r;
}
