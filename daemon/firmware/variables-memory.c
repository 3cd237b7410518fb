/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A firmware in memory, as a backend of Variables, with its file and with faults to order. What it answers to a write
 * is decided in edk2-variables.c. */

#include "daemon/firmware/variables-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/firmware/edk2-variables.h"
#include "daemon/firmware/memory-store.h"
#include "daemon/util/encode.h"
#include "daemon/util/file.h"

#define FILE_HEADER "lanzad-variables 1"

enum {
        CAPACITY_DEFAULT = 0x3ffb8, /* OVMF's, of 4 MiB */
        FILE_SIZE_MAX = 4 * VARIABLE_SIZE_MAX,
        LINE_FIELDS_MAX = 7,
};

typedef struct MemoryBackend {
        MemoryStore store;
        char *path; /* NULL: in memory only */
        EfiStatus last_status;
        size_t write_count;
        unsigned fail_write; /* 0: none */
        int fail_error;
        bool read_only;
} MemoryBackend;

static const VariablesOps memory_ops;

static MemoryBackend *memory_backend_free(MemoryBackend *backend) {
        if (!backend)
                return NULL;
        memory_store_done(&backend->store);
        free(backend->path);
        free(backend);
        return NULL;
}
DEFINE_POINTER_CLEANUP(MemoryBackend *, memory_backend_free)

static void free_backend(void *backend) {
        memory_backend_free(backend);
}

const char *efi_status_name(EfiStatus status) {
        switch (status) {
        case EFI_STATUS_SUCCESS:
                return "EFI_SUCCESS";
        case EFI_STATUS_INVALID_PARAMETER:
                return "EFI_INVALID_PARAMETER";
        case EFI_STATUS_UNSUPPORTED:
                return "EFI_UNSUPPORTED";
        case EFI_STATUS_DEVICE_ERROR:
                return "EFI_DEVICE_ERROR";
        case EFI_STATUS_WRITE_PROTECTED:
                return "EFI_WRITE_PROTECTED";
        case EFI_STATUS_OUT_OF_RESOURCES:
                return "EFI_OUT_OF_RESOURCES";
        case EFI_STATUS_NOT_FOUND:
                return "EFI_NOT_FOUND";
        case EFI_STATUS_SECURITY_VIOLATION:
                return "EFI_SECURITY_VIOLATION";
        }
        return "?";
}

/* efi_status_to_err() of Linux; efivarfs makes EIO of a variable that is not found while it is written. */
int efi_status_errno(EfiStatus status) {
        switch (status) {
        case EFI_STATUS_SUCCESS:
                return 0;
        case EFI_STATUS_DEVICE_ERROR:
        case EFI_STATUS_NOT_FOUND:
                return -EIO;
        case EFI_STATUS_WRITE_PROTECTED:
                return -EROFS;
        case EFI_STATUS_OUT_OF_RESOURCES:
                return -ENOSPC;
        case EFI_STATUS_SECURITY_VIOLATION:
                return -EACCES;
        default:
                return -EINVAL;
        }
}

/* The file. */

static int append_variable(Buffer *text, const MemoryVariable *variable) {
        char vendor[GUID_TEXT_SIZE];
        _cleanup_(free_pointer) char *timestamp = hex_encode((Span){variable->timestamp.bytes, EFI_TIME_SIZE});
        _cleanup_(free_pointer) char *signer = hex_encode((Span){variable->signer.bytes, SHA256_SIZE});
        _cleanup_(free_pointer) char *data = hex_encode(buffer_span(&variable->data));

        if (!timestamp || !signer || !data)
                return -ENOMEM;
        guid_format(&variable->vendor, vendor);
        return buffer_append_format(text, "variable %s %s %02" PRIx32 " %s %s %s\n", vendor, variable->name,
                                    variable->attributes, timestamp, signer, *data ? data : "-");
}

static int save(const MemoryBackend *backend) {
        _cleanup_(buffer_done) Buffer text = {};
        int r;

        if (!backend->path)
                return 0;
        r = buffer_append_format(&text, FILE_HEADER "\ncapacity %" PRIu64 "\n", backend->store.capacity);
        if (r >= 0 && backend->read_only)
                r = buffer_append_string(&text, "read-only\n");
        if (r >= 0 && backend->fail_write > 0)
                r = buffer_append_format(&text, "fail-write %u %d\n", backend->fail_write, -backend->fail_error);
        for (size_t i = 0; r >= 0 && i < backend->store.count; i++)
                r = append_variable(&text, &backend->store.variables[i]);
        if (r < 0)
                return r;
        return file_replace(AT_FDCWD, backend->path, buffer_span(&text), 0600);
}

static int parse_number(const char *text, int base, uint64_t maximum, uint64_t *ret) {
        char *end;

        errno = 0;
        unsigned long long value = strtoull(text, &end, base);
        if (errno != 0 || end == text || *end != '\0' || value > maximum)
                return -EBADMSG;
        *ret = value;
        return 0;
}

static int parse_data(const char *text, Buffer *ret) {
        size_t size = strlen(text) / 2;
        _cleanup_(buffer_done) Buffer data = {};

        if (strcmp(text, "-") == 0)
                return 0;
        int r = buffer_append_zero(&data, size);
        if (r < 0)
                return r;
        if (hex_decode(text, data.data, size) < 0)
                return -EBADMSG;
        *ret = TAKE_STRUCT(data);
        return 0;
}

/* FIELDS: "variable", vendor, name, attributes, timestamp, signer, data. */
static int parse_variable(MemoryStore *store, char *const fields[static LINE_FIELDS_MAX]) {
        _cleanup_(buffer_done) Buffer data = {};
        uint64_t attributes;
        EfiTime timestamp;
        Sha256 signer;
        Guid vendor;
        int r;

        if (guid_parse(span_from_string(fields[1]), &vendor) < 0 ||
            parse_number(fields[3], 16, UINT32_MAX, &attributes) < 0 ||
            hex_decode(fields[4], timestamp.bytes, sizeof(timestamp.bytes)) < 0 ||
            hex_decode(fields[5], signer.bytes, sizeof(signer.bytes)) < 0)
                return -EBADMSG;
        r = parse_data(fields[6], &data);
        if (r < 0)
                return r;
        r = memory_store_set(store, &vendor, fields[2], attributes, buffer_span(&data));
        if (r < 0)
                return r;
        MemoryVariable *variable = memory_store_find(store, &vendor, fields[2]);
        variable->timestamp = timestamp;
        variable->signer = signer;
        return 0;
}

static int parse_line(MemoryBackend *backend, char *line) {
        char *fields[LINE_FIELDS_MAX + 1] = {}, *rest = NULL;
        uint64_t number = 0, error = 0;
        size_t count = 0;

        for (char *field = strtok_r(line, " ", &rest); field; field = strtok_r(NULL, " ", &rest)) {
                if (count >= LINE_FIELDS_MAX)
                        return -EBADMSG;
                fields[count++] = field;
        }
        if (count == 0)
                return 0;
        if (count == 7 && strcmp(fields[0], "variable") == 0)
                return parse_variable(&backend->store, fields);
        if (count == 1 && strcmp(fields[0], "read-only") == 0) {
                backend->read_only = true;
                return 0;
        }
        if (count == 2 && strcmp(fields[0], "capacity") == 0)
                return parse_number(fields[1], 10, UINT64_MAX, &backend->store.capacity);
        if (count == 3 && strcmp(fields[0], "fail-write") == 0 &&
            parse_number(fields[1], 10, UINT32_MAX, &number) >= 0 && parse_number(fields[2], 10, 4095, &error) >= 0) {
                backend->fail_write = number;
                backend->fail_error = -(int)error;
                return 0;
        }
        return -EBADMSG;
}

static int load(MemoryBackend *backend) {
        _cleanup_(buffer_done) Buffer text = {};
        char *rest = NULL;
        int r;

        r = file_read(AT_FDCWD, backend->path, FILE_SIZE_MAX, &text);
        if (r == -ENOENT || (r >= 0 && text.size == 0))
                return edk2_start(&backend->store);
        if (r < 0)
                return r;
        r = buffer_append_u8(&text, '\0');
        if (r < 0)
                return r;
        char *line = strtok_r((char *)text.data, "\n", &rest);
        if (!line || strcmp(line, FILE_HEADER) != 0)
                return -EBADMSG;
        while ((line = strtok_r(NULL, "\n", &rest))) {
                r = parse_line(backend, line);
                if (r < 0)
                        return r;
        }
        /* A file that somebody wrote by hand has no volatile variables. */
        return memory_store_find(&backend->store, &efi_global_variable_guid, "SetupMode") ? 0
                                                                                          : edk2_start(&backend->store);
}

/* The backend. */

static int read_variable(void *userdata, const Guid *vendor, const char *name, uint32_t *ret_attributes, Buffer *ret) {
        MemoryBackend *backend = userdata;
        const MemoryVariable *variable = memory_store_find(&backend->store, vendor, name);
        _cleanup_(buffer_done) Buffer data = {};

        if (!variable || !(variable->attributes & VARIABLE_RUNTIME_ACCESS))
                return -ENOENT;
        int r = buffer_append(&data, buffer_span(&variable->data));
        if (r < 0)
                return r;
        *ret_attributes = variable->attributes;
        *ret = TAKE_STRUCT(data);
        return 0;
}

static bool fault_is_due(MemoryBackend *backend) {
        return backend->fail_write > 0 && --backend->fail_write == 0;
}

static int write_variable(void *userdata, const Guid *vendor, const char *name, uint32_t attributes, Span data) {
        MemoryBackend *backend = userdata;
        int r, q;

        if (backend->read_only)
                return -EROFS;
        backend->write_count++;
        if (fault_is_due(backend)) {
                r = save(backend);
                return r < 0 ? r : backend->fail_error;
        }
        r = edk2_set_variable(&backend->store, vendor, name, attributes, data, &backend->last_status);
        if (r < 0)
                return r;
        q = save(backend);
        return q < 0 ? q : efi_status_errno(backend->last_status);
}

static int list_variables(void *userdata, const Guid *vendor, StringList *ret) {
        const MemoryStore *store = &((const MemoryBackend *)userdata)->store;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < store->count; i++)
                if (guid_equal(&store->variables[i].vendor, vendor) &&
                    (store->variables[i].attributes & VARIABLE_RUNTIME_ACCESS))
                        r = string_list_add(ret, store->variables[i].name);
        return r;
}

static int query_space(void *userdata, uint64_t *ret_available) {
        const MemoryBackend *backend = userdata;
        uint64_t used = memory_store_used(&backend->store);

        *ret_available = used < backend->store.capacity ? backend->store.capacity - used : 0;
        return 0;
}

static int check_writable(void *userdata) {
        const MemoryBackend *backend = userdata;

        return backend->read_only ? -EROFS : 0;
}

static const char *path(void *backend) {
        return ((const MemoryBackend *)backend)->path;
}

static const VariablesOps memory_ops = {
        .read = read_variable,
        .write = write_variable,
        .list = list_variables,
        .query_space = query_space,
        .check_writable = check_writable,
        .free = free_backend,
        .path = path,
        .place = "the test firmware",
};

static MemoryBackend *memory_backend_new(void) {
        MemoryBackend *backend = calloc(1, sizeof(*backend));

        if (backend)
                backend->store.capacity = CAPACITY_DEFAULT;
        return backend;
}

int variables_new_memory(Variables **ret) {
        _cleanup_(memory_backend_freep) MemoryBackend *backend = memory_backend_new();
        int r;

        if (!backend)
                return -ENOMEM;
        r = edk2_start(&backend->store);
        if (r < 0)
                return r;
        r = variables_new(&memory_ops, backend, ret);
        if (r < 0)
                return r;
        backend = NULL;
        return 0;
}

int variables_new_memory_file(const char *path, Variables **ret) {
        _cleanup_(memory_backend_freep) MemoryBackend *backend = memory_backend_new();
        int r;

        if (!backend)
                return -ENOMEM;
        backend->path = strdup(path);
        if (!backend->path)
                return -ENOMEM;
        r = load(backend);
        if (r < 0)
                return r;
        r = variables_new(&memory_ops, backend, ret);
        if (r < 0)
                return r;
        backend = NULL;
        return 0;
}

/* For tests. */

static MemoryBackend *backend_of(Variables *variables) {
        return variables_backend(variables, &memory_ops);
}

int variables_memory_reboot(Variables *variables) {
        MemoryBackend *backend = backend_of(variables);

        int r = edk2_start(&backend->store);
        return r < 0 ? r : save(backend);
}

int variables_memory_set(Variables *variables, const Guid *vendor, const char *name, uint32_t attributes, Span data) {
        MemoryBackend *backend = backend_of(variables);
        MemoryVariable *present = memory_store_find(&backend->store, vendor, name);
        int r;

        if (data.size > 0) {
                r = memory_store_set(&backend->store, vendor, name, attributes, data);
                if (r < 0)
                        return r;
        } else if (present)
                memory_store_remove(&backend->store, present);
        return save(backend);
}

EfiStatus variables_memory_last_status(Variables *variables) {
        return backend_of(variables)->last_status;
}

size_t variables_memory_write_count(Variables *variables) {
        return backend_of(variables)->write_count;
}

int variables_memory_fail_write(Variables *variables, unsigned number, int error) {
        MemoryBackend *backend = backend_of(variables);

        backend->fail_write = number;
        backend->fail_error = error;
        return save(backend);
}

int variables_memory_set_read_only(Variables *variables, bool read_only) {
        backend_of(variables)->read_only = read_only;
        return save(backend_of(variables));
}

int variables_memory_set_capacity(Variables *variables, uint64_t bytes) {
        backend_of(variables)->store.capacity = bytes;
        return save(backend_of(variables));
}
