/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The running firmware's variables, through libefivar over efivarfs.
 *
 * libefivar clears a variable's immutable flag, hands attributes and data to the kernel in one write, and sets the flag
 * again. Where it found no efivarfs when it was loaded, its functions must not be called at all (version 37 calls a
 * null pointer). What it does not tell (read-only mount, room) is asked of the file system itself. */

#include <assert.h>
#include <efivar/efivar.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "daemon/firmware/variables.h"
#include "daemon/util/file.h"

enum { VARIABLES_MAX = 10000 };

#define EFIVARFS_DEFAULT_PATH "/sys/firmware/efi/efivars/"

static const char *efivarfs_path(void) {
        const char *path = secure_getenv("EFIVARFS_PATH"); /* libefivar's own choice */

        return path ?: EFIVARFS_DEFAULT_PATH;
}

/* Both have the 16 bytes in the order of the specification. */
static efi_guid_t to_efivar(const Guid *guid) {
        efi_guid_t converted;

        static_assert(sizeof(converted) == sizeof(guid->bytes), "the two forms of a GUID are the same bytes");
        memcpy(&converted, guid->bytes, sizeof(converted));
        return converted;
}

static const char *path(void *backend) {
        return efivarfs_path();
}

static int check_writable(void *backend) {
        return faccessat(AT_FDCWD, efivarfs_path(), W_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int read_variable(void *backend, const Guid *vendor, const char *name, uint32_t *ret_attributes, Buffer *ret) {
        uint8_t *data = NULL;
        size_t size = 0;
        uint32_t attributes = 0;

        if (efi_get_variable(to_efivar(vendor), name, &data, &size, &attributes) < 0)
                return -errno;
        /* A file that somebody created and firmware then refused to fill has no attributes. */
        if (attributes == 0 && size == 0) {
                free(data);
                return -ENOENT;
        }
        *ret_attributes = attributes;
        *ret = (Buffer){.data = data, .size = size, .allocated = size};
        return 0;
}

static int write_variable(void *backend, const Guid *vendor, const char *name, uint32_t attributes, Span data) {
        if (efi_set_variable(to_efivar(vendor), name, (uint8_t *)data.data, data.size, attributes, 0644) >= 0)
                return 0;

        /* EACCES is the firmware's answer for a bad signature, but also the kernel's to who is not root. */
        int error = -errno;
        return error == -EACCES && check_writable(backend) == -EACCES ? -EPERM : error;
}

/* efivarfs names its files NAME-GUID. (libefivar's own walk through them keeps its place in a global variable.) */
static int list_variables(void *backend, const Guid *vendor, StringList *ret) {
        _cleanup_(string_list_done) StringList files = {};
        const size_t tail = GUID_TEXT_SIZE; /* with the hyphen, without the NUL */
        int r;

        r = folder_list(AT_FDCWD, efivarfs_path(), VARIABLES_MAX, &files);
        for (size_t i = 0; r >= 0 && i < files.count; i++) {
                char *file = files.items[i];
                size_t length = strlen(file);
                Guid guid;

                if (length <= tail || file[length - tail] != '-' ||
                    guid_parse(span_from_string(file + length - tail + 1), &guid) < 0 || !guid_equal(&guid, vendor))
                        continue;
                file[length - tail] = '\0';
                r = string_list_add(ret, file);
        }
        return r < 0 ? r : 0;
}

static int query_space(void *backend, uint64_t *ret_available) {
        struct statfs info;

        if (statfs(efivarfs_path(), &info) < 0)
                return -errno;
        if (info.f_blocks == 0) /* Linux before 6.6, or a firmware that does not tell */
                return -EOPNOTSUPP;
        *ret_available = (uint64_t)info.f_bavail * (uint64_t)info.f_bsize;
        return 0;
}

static const VariablesOps efivar_ops = {
        .read = read_variable,
        .write = write_variable,
        .list = list_variables,
        .query_space = query_space,
        .check_writable = check_writable,
        .path = path,
        .place = "efivarfs",
};

int variables_new_efivar(Variables **ret, Failure *failure) {
        if (!efi_variables_supported()) {
                if (access("/sys/firmware/efi", F_OK) == 0)
                        return failure_set(failure, CONDITION_NOT_SUPPORTED,
                                           "EFI variables can't be used: efivarfs is not mounted on %s",
                                           efivarfs_path());
                return failure_set(failure, CONDITION_NOT_SUPPORTED,
                                   "EFI variables can't be used: this system was not started by UEFI firmware");
        }

        int r = variables_new(&efivar_ops, /* backend= */ NULL, ret);
        if (r < 0)
                return failure_set_errno(failure, r, "EFI variables can't be used");
        return 0;
}
