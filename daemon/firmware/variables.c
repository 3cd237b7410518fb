/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/variables.h"

#include <errno.h>
#include <stdlib.h>

const Guid efi_global_variable_guid =
        GUID_INIT(0x8be4df61, 0x93ca, 0x11d2, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c);
const Guid efi_image_security_database_guid =
        GUID_INIT(0xd719b2cb, 0x3d3a, 0x4596, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f);

struct Variables {
        const VariablesOps *ops;
        void *backend;
};

int variables_new(const VariablesOps *ops, void *backend, Variables **ret) {
        Variables *variables = malloc(sizeof(*variables));
        if (!variables)
                return -ENOMEM;
        *variables = (Variables){.ops = ops, .backend = backend};
        *ret = variables;
        return 0;
}

Variables *variables_free(Variables *variables) {
        if (!variables)
                return NULL;
        if (variables->ops->free)
                variables->ops->free(variables->backend);
        free(variables);
        return NULL;
}

void *variables_backend(Variables *variables, const VariablesOps *ops) {
        return variables->ops == ops ? variables->backend : NULL;
}

const char *variables_path(const Variables *variables) {
        return variables->ops->path ? variables->ops->path(variables->backend) : NULL;
}

const char *variables_place(const Variables *variables) {
        return variables->ops->place;
}

int variables_read(Variables *variables, const Guid *vendor, const char *name, uint32_t *ret_attributes, Buffer *ret) {
        _cleanup_(buffer_done) Buffer data = {};
        uint32_t attributes;

        int r = variables->ops->read(variables->backend, vendor, name, &attributes, &data);
        if (r < 0)
                return r;
        if (data.size > VARIABLE_SIZE_MAX)
                return -EFBIG;
        if (ret_attributes)
                *ret_attributes = attributes;
        *ret = TAKE_STRUCT(data);
        return 0;
}

int variables_list(Variables *variables, const Guid *vendor, StringList *ret) {
        _cleanup_(string_list_done) StringList names = {};

        int r = variables->ops->list(variables->backend, vendor, &names);
        if (r < 0)
                return r;
        string_list_sort(&names);
        *ret = TAKE_STRUCT(names);
        return 0;
}

int variables_read_flag(Variables *variables, const Guid *vendor, const char *name, bool default_value, bool *ret) {
        _cleanup_(buffer_done) Buffer data = {};

        int r = variables_read(variables, vendor, name, /* ret_attributes= */ NULL, &data);
        if (r == -ENOENT) {
                *ret = default_value;
                return 0;
        }
        if (r < 0)
                return r;
        if (data.size != 1 || data.data[0] > 1)
                return -EBADMSG;
        *ret = data.data[0];
        return 0;
}

/* One text for what a person sees, whichever backend said so. */
static int write_failure(const Variables *variables, const char *name, uint32_t attributes, int error,
                         Failure *failure) {
        switch (error) {
        case -EACCES:
                error = failure_set(
                        failure, CONDITION_FIRMWARE_REFUSED,
                        "The firmware refused to change %s: the key that signed this may not change it, or its timestamp is not newer than that of the last change",
                        name);
                failure_set_hint(failure, "If the key is the right one, name a later time with '--timestamp'.");
                return error;
        case -EINVAL:
                error = failure_set(
                        failure, CONDITION_FIRMWARE_REFUSED,
                        "The firmware refused to change %s: the content is too large or of a form that it does not take, or its attributes are not 0x%x",
                        name, (unsigned)attributes);
                failure_set_hint(
                        failure,
                        "Enroll less at once, or look for an update of the firmware; its settings may take the files of '--export=auth'.");
                return error;
        case -EROFS:
                return failure_set(failure, CONDITION_VARIABLES_READ_ONLY, "%s can't be written: %s is read-only", name,
                                   variables->ops->place);
        case -EPERM:
                error = failure_set(failure, CONDITION_VARIABLES_READ_ONLY,
                                    "%s can't be written: it is protected in %s, and this process may not change that",
                                    name, variables->ops->place);
                failure_set_hint(failure, "Run this as root, with the capability CAP_LINUX_IMMUTABLE.");
                return error;
        case -ENOSPC:
                return failure_set(failure, CONDITION_VARIABLE_STORE_FULL,
                                   "%s can't be written: the firmware's variable store is full", name);
        default:
                return failure_set_errno(failure, error, "%s can't be written in %s", name, variables->ops->place);
        }
}

int variables_write(Variables *variables, const Guid *vendor, const char *name, uint32_t attributes, Span data,
                    Failure *failure) {
        int r = variables->ops->write(variables->backend, vendor, name, attributes, data);
        if (r < 0)
                return write_failure(variables, name, attributes, r, failure);
        return 0;
}

int variables_check_writable(Variables *variables, Failure *failure) {
        int r = variables->ops->check_writable(variables->backend);
        if (r == -EROFS)
                return failure_set(failure, CONDITION_VARIABLES_READ_ONLY, "%s is read-only", variables->ops->place);
        if (r == -EACCES || r == -EPERM) {
                r = failure_set(failure, CONDITION_VARIABLES_READ_ONLY, "This process may not write to %s",
                                variables->ops->place);
                failure_set_hint(failure, "Run this as root.");
                return r;
        }
        if (r < 0)
                return failure_set_errno(failure, r, "%s can't be used", variables->ops->place);
        return 0;
}

int variables_query_space(Variables *variables, uint64_t *ret_available) {
        return variables->ops->query_space(variables->backend, ret_available);
}
