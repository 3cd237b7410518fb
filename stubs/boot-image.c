/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/boot-image.h"

#include "stubs/esp-path.h"
#include "stubs/pe-view.h"

static bool refuse(Text *why, const char *format, ...) {
        __builtin_va_list arguments;

        text_append(why, "This boot image ");
        __builtin_va_start(arguments, format);
        text_append_list(why, format, arguments);
        __builtin_va_end(arguments);
        text_append(why, ". Boot another entry, and have this one written anew.");
        return false;
}

static const char *const section_names[] = {
        LANZA_SECTION_OSREL,  LANZA_SECTION_CMDLINE,     LANZA_SECTION_KERNEL, LANZA_SECTION_KERNEL_HASH,
        LANZA_SECTION_INITRD, LANZA_SECTION_INITRD_HASH, LANZA_SECTION_UNAME,  LANZA_SECTION_SBAT,
        LANZA_SECTION_SPLASH, LANZA_SECTION_UCODE,       LANZA_SECTION_DTB,    LANZA_SECTION_PROFILE,
        LANZA_SECTION_PCRSIG, LANZA_SECTION_PCRPKEY,
};

/* Two sections of one name would be two answers to one question, of which others may read the other. */
static bool check_names(const PeView *pe, Text *why) {
        PeSection section;

        for (size_t i = 0; i < sizeof section_names / sizeof *section_names; i++)
                if (pe_view_find(pe, section_names[i], &section) > 1)
                        return refuse(why, "has its section %s twice", section_names[i]);
        return true;
}

/* The content of a section of a loaded image, empty if there is no such section: content itself is never empty. */
static bool read_section(const PeView *pe, const char *name, Bytes *ret, Text *why) {
        PeSection section;
        Bytes content = {};

        if (pe_view_find(pe, name, &section) > 0 &&
            (section.virtual_size == 0 || section.virtual_size > section.raw_size ||
             !bytes_slice(pe->image, section.virtual_address, section.virtual_size, &content)))
                return refuse(why, "has a section %s of %u bytes in memory and %u in the file, which cannot be", name,
                              (uint64_t)section.virtual_size, (uint64_t)section.raw_size);

        *ret = content;
        return true;
}

/* An image that carries what it boots needs no hashes, since its signature covers all of it. With hashes it contradicts
 * itself. */
static bool read_embedded(const PeView *pe, Bytes kernel, BootImage *image, Text *why) {
        static const char *const hashes[] = {LANZA_SECTION_KERNEL_HASH, LANZA_SECTION_INITRD_HASH};
        PeSection section;

        for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
                if (pe_view_find(pe, hashes[i], &section) > 0)
                        return refuse(why, "carries its kernel inside, and a section %s, which is for files",
                                      hashes[i]);

        image->embedded_kernel = kernel;
        return read_section(pe, LANZA_SECTION_INITRD, &image->embedded_initrd, why);
}

static bool read_kernel(const PeView *pe, Bytes path, FileReference *ret, Text *why) {
        Bytes hash;

        if (!read_section(pe, LANZA_SECTION_KERNEL_HASH, &hash, why))
                return false;
        const char *wrong = esp_path_check(path);
        if (wrong)
                return refuse(why, "names as its kernel \"%b\", and that path %s", path, wrong);
        if (hash.size != 0 && hash.size != LANZA_HASH_SIZE)
                return refuse(why, "has a kernel hash of %u bytes instead of 32", (uint64_t)hash.size);

        *ret = (FileReference){path, hash.data};
        return true;
}

static bool read_initrds(const PeView *pe, bool secure_boot, BootImage *image, Text *why) {
        Bytes list, hashes, paths[LANZA_INITRDS_MAX];
        size_t count = 0;

        if (!read_section(pe, LANZA_SECTION_INITRD, &list, why) ||
            !read_section(pe, LANZA_SECTION_INITRD_HASH, &hashes, why))
                return false;
        const char *wrong = list.size > 0 ? esp_path_list_parse(list, paths, &count) : NULL;
        if (wrong)
                return refuse(why, "names as its initrds \"%b\", and that list %s", list, wrong);
        if (hashes.size > 0 && hashes.size != count * LANZA_HASH_SIZE)
                return refuse(why, "has %u bytes of initrd hashes instead of 32 for each of its %u initrds",
                              (uint64_t)hashes.size, (uint64_t)count);
        if (count > 0 && hashes.size == 0 && secure_boot)
                return refuse(why, "has no hash of its initrd %b, which is needed while Secure Boot is on", paths[0]);

        for (size_t i = 0; i < count; i++)
                image->initrds[i] = (FileReference){paths[i], hashes.data ? hashes.data + i * LANZA_HASH_SIZE : NULL};
        image->initrd_count = count;
        return true;
}

static bool read_contents(const PeView *pe, bool secure_boot, BootImage *image, Text *why) {
        Bytes kernel;

        if (!read_section(pe, LANZA_SECTION_KERNEL, &kernel, why))
                return false;
        if (kernel.size == 0)
                return refuse(why, "names no kernel (it has no section %s)", LANZA_SECTION_KERNEL);
        if (bytes_start_with(kernel, LANZA_EMBEDDED_MAGIC))
                return read_embedded(pe, kernel, image, why);
        return read_kernel(pe, kernel, &image->kernel, why) && read_initrds(pe, secure_boot, image, why);
}

static bool read_extra(const PeView *pe, BootImage *image, Text *why) {
        return read_section(pe, LANZA_SECTION_OSREL, &image->os_release, why) &&
               read_section(pe, LANZA_SECTION_PROFILE, &image->profile, why) &&
               read_section(pe, LANZA_SECTION_PCRSIG, &image->pcr_signature, why) &&
               read_section(pe, LANZA_SECTION_PCRPKEY, &image->pcr_public_key, why);
}

bool boot_image_read(Bytes image, bool secure_boot, BootImage *ret, Text *why) {
        BootImage boot = {};
        PeView pe;

        const char *wrong = pe_view_open(image, &pe);
        if (wrong)
                return refuse(why, "%s", wrong);
        if (!check_names(&pe, why) || !read_section(&pe, LANZA_SECTION_CMDLINE, &boot.command_line, why) ||
            !read_contents(&pe, secure_boot, &boot, why) ||
            !read_section(&pe, LANZA_SECTION_UCODE, &boot.microcode, why) || !read_extra(&pe, &boot, why))
                return false;

        *ret = boot;
        return true;
}
