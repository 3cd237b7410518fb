/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: stubs */

/* The input cut into the contents of up to three files at each 0xFF: read again by its headers, the archive has them at
 * multiples of four, nothing else, and exactly the size that was said. */

#include <stdlib.h>
#include <string.h>

#include "stubs/cpio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
        HEADER = 110,
        SIZE_FIELD = 6 + 6 * 8,
        NAME_SIZE_FIELD = 6 + 11 * 8,
        FILES_MAX = 3,
};

static void require(bool condition) {
        if (!condition)
                abort();
}

static size_t read_field(const uint8_t *header, size_t offset) {
        char digits[9] = {}, *end;

        memcpy(digits, header + offset, 8);
        size_t value = strtoul(digits, &end, 16);
        require(end == digits + 8);
        return value;
}

static size_t align(size_t size) {
        return (size + 3) / 4 * 4;
}

/* Returns the offset behind the member at OFFSET, which must be this one. */
static size_t check_member(Bytes archive, size_t offset, const char *name, Bytes content) {
        Bytes header, found;

        require(offset % 4 == 0 && bytes_slice(archive, offset, HEADER, &header));
        require(memcmp(header.data, "070701", 6) == 0);
        require(read_field(header.data, NAME_SIZE_FIELD) == strlen(name) + 1);
        require(read_field(header.data, SIZE_FIELD) == content.size);
        require(bytes_slice(archive, offset + HEADER, strlen(name) + 1, &found) &&
                memcmp(found.data, name, found.size) == 0);
        offset = align(offset + HEADER + found.size);
        require(bytes_slice(archive, offset, content.size, &found) && bytes_equal(found, content));
        return align(offset + content.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char *const names[FILES_MAX] = {"a", "file", "long-name.json"};
        static const char *const paths[FILES_MAX] = {"folder/a", "folder/file", "folder/long-name.json"};
        CpioFile files[FILES_MAX];
        size_t count = 0, start = 0, offset;

        for (size_t i = 0; i <= size && count < FILES_MAX; i++)
                if (i == size || data[i] == 0xFF) {
                        files[count] = (CpioFile){names[count], {data + start, i - start}};
                        start = i + 1;
                        count++;
                }
        size_t archive_size = cpio_size("folder", files, count);
        uint8_t *archive = malloc(archive_size); /* exactly: the sanitizer watches its end */
        require(archive);
        cpio_write("folder", files, count, archive);

        Bytes whole = {archive, archive_size};
        offset = check_member(whole, 0, "folder", (Bytes){});
        for (size_t i = 0; i < count; i++)
                offset = check_member(whole, offset, paths[i], files[i].content);
        require(check_member(whole, offset, "TRAILER!!!", (Bytes){}) == archive_size);
        free(archive);
        return 0;
}
