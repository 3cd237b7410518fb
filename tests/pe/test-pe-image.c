/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pe/pe-image.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>

#include "daemon/util/file.h"
#include "tests/lib/pe-fixture.h"
#include "tests/lib/test-folder.h"

static Span span_of(const GByteArray *array) {
        return (Span){array->data, array->len};
}

/* Offset of a field in the header of section INDEX. */
static size_t section_field(unsigned index, unsigned field) {
        return PE_FIXTURE_SECTIONS + 40 * index + field;
}

static void test_reads_headers(void) {
        g_autoptr(GByteArray) file = pe_fixture_stub();
        const PeSection *sbat;
        PeImage image;

        g_assert_cmpint(pe_image_parse(span_of(file), &image), ==, 0);
        g_assert_cmpuint(image.machine, ==, PE_MACHINE_X64);
        g_assert_true(image.is_pe32_plus);
        g_assert_cmpuint(image.n_sections, ==, 3);
        g_assert_cmpuint(image.file_alignment, ==, 512);
        g_assert_cmpuint(image.section_alignment, ==, 4096);
        g_assert_cmpuint(image.subsystem, ==, 10);
        g_assert_cmpuint(image.dll_characteristics, ==, 0x100);
        g_assert_cmpuint(image.certificates_size, ==, 0);
        g_assert_cmpuint(image.certificates_directory_offset, ==, PE_FIXTURE_CERTIFICATES);
        g_assert_cmpuint(image.section_table_offset, ==, PE_FIXTURE_SECTIONS);
        g_assert_cmpint(pe_image_find_section(&image, ".sbat", &sbat), ==, 0);
        g_assert_cmpuint(sbat->characteristics, ==, 0x40000040);
        g_assert_cmpuint(sbat->virtual_address, ==, 3 * 4096);
}

static void test_other_kinds(void) {
        static const struct {
                uint16_t machine;
                bool pe32;
        } kinds[] = {{PE_MACHINE_I386, true},     {PE_MACHINE_ARM, true},      {PE_MACHINE_X64, false},
                     {PE_MACHINE_AARCH64, false}, {PE_MACHINE_RISCV64, false}, {0x1234, false}};
        const PeFixtureSection section = {".data", "text", 4, 0x40000040};

        for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
                g_autoptr(GByteArray) file = pe_fixture_build(&(PeFixture){
                        .machine = kinds[i].machine, .pe32 = kinds[i].pe32, .sections = &section, .n_sections = 1});
                PeImage image;
                Span content;

                g_assert_cmpint(pe_image_parse(span_of(file), &image), ==, 0);
                g_assert_cmpuint(image.machine, ==, kinds[i].machine);
                g_assert_cmpint(image.is_pe32_plus, ==, !kinds[i].pe32);
                g_assert_cmpint(pe_image_section(&image, ".data", &content), ==, 0);
                g_assert_cmpmem(content.data, content.size, "text", 4);
        }
}

static void test_content(void) {
        const PeFixtureSection sections[] = {{".eightby", "exact", 5, 0x40000040},
                                             {".twice", "a", 1, 0x40000040},
                                             {".twice", "b", 1, 0x40000040},
                                             {".empty", "", 0, 0x40000040}};
        g_autoptr(GByteArray) file = pe_fixture_build(&(PeFixture){.sections = sections, .n_sections = 4});
        PeImage image;
        Span content;

        g_assert_cmpint(pe_image_parse(span_of(file), &image), ==, 0);
        g_assert_cmpint(pe_image_section(&image, ".eightby", &content), ==, 0);
        g_assert_cmpmem(content.data, content.size, "exact", 5);
        g_assert_cmpint(pe_image_section(&image, ".eightbyt", &content), ==, -ENOENT);
        g_assert_cmpint(pe_image_section(&image, ".eight", &content), ==, -ENOENT);
        g_assert_cmpint(pe_image_section(&image, ".twice", &content), ==, -ENOTUNIQ);
        g_assert_cmpint(pe_image_section(&image, ".empty", &content), ==, 0);
        g_assert_cmpuint(content.size, ==, 0);

        pe_fixture_set32(file, section_field(0, 8), 513); /* more than there is in the file */
        g_assert_cmpint(pe_image_parse(span_of(file), &image), ==, 0);
        g_assert_cmpint(pe_image_section(&image, ".eightby", &content), ==, -EBADMSG);
}

/* Each case is one field of a good image, and a value that a firmware's loader refuses. */
static void test_refuses_fields(void) {
        static const struct {
                size_t offset;
                unsigned size;
                uint32_t value;
        } cases[] = {
                {0, 2, 0x5a4e},        /* MZ */
                {0x3c, 4, 0xffffffff}, /* PE header far away */
                {0x3c, 4, 0x7fffffff},
                {0x3c, 4, 0x81},
                {PE_FIXTURE_COFF - 4, 4, 0x4551}, /* PE */
                {PE_FIXTURE_COFF + 2, 2, 97},     /* sections */
                {PE_FIXTURE_COFF + 2, 2, 0xffff},
                {PE_FIXTURE_COFF + 2, 2, 40}, /* more than headers have room for */
                {PE_FIXTURE_COFF + 16, 2, 0}, /* size of the optional header */
                {PE_FIXTURE_COFF + 16, 2, 0xffff},
                {PE_FIXTURE_COFF + 16, 2, 239},
                {PE_FIXTURE_OPTIONAL, 2, 0x107},         /* magic */
                {PE_FIXTURE_OPTIONAL, 2, 0x10b},         /* the other magic */
                {PE_FIXTURE_OPTIONAL + 56, 4, 0},        /* SizeOfImage */
                {PE_FIXTURE_OPTIONAL + 56, 4, 3 * 4096}, /* the last section outside */
                {PE_FIXTURE_OPTIONAL + 60, 4, 0},        /* SizeOfHeaders */
                {PE_FIXTURE_OPTIONAL + 60, 4, 0xffffffff},
                {PE_FIXTURE_OPTIONAL + 60, 4, PE_FIXTURE_SECTIONS + 3 * 40 - 1},
                {PE_FIXTURE_OPTIONAL + 108, 4, 17}, /* directories */
                {PE_FIXTURE_OPTIONAL + 108, 4, 0xffffffff},
                {PE_FIXTURE_CERTIFICATES + 4, 4, 0xffffffff}, /* certificate table */
                {PE_FIXTURE_CERTIFICATES + 4, 4, 0x7fffffff},
                {PE_FIXTURE_SECTIONS + 8, 4, 0xffffffff},  /* VirtualSize */
                {PE_FIXTURE_SECTIONS + 12, 4, 0xfffff000}, /* VirtualAddress */
                {PE_FIXTURE_SECTIONS + 12, 4, 0},          /* over the headers */
                {PE_FIXTURE_SECTIONS + 16, 4, 0xffffffff}, /* SizeOfRawData */
                {PE_FIXTURE_SECTIONS + 20, 4, 0xffffffff}, /* PointerToRawData */
                {PE_FIXTURE_SECTIONS + 20, 4, 0xfffffe00},
                {PE_FIXTURE_SECTIONS + 20, 4, 0}, /* over the headers */
        };
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GByteArray) file = pe_fixture_stub();
                PeImage image = {.machine = 0xabcd};

                if (cases[i].size == 2)
                        pe_fixture_set16(file, cases[i].offset, cases[i].value);
                else
                        pe_fixture_set32(file, cases[i].offset, cases[i].value);
                g_test_message("offset %zu value %#x", cases[i].offset, cases[i].value);
                g_assert_cmpint(pe_image_parse(span_of(file), &image), ==, -EBADMSG);
                g_assert_cmpuint(image.machine, ==, 0xabcd);
        }
}

static void test_nothing_in_memory(void) {
        g_autoptr(GByteArray) file = pe_fixture_build(&(PeFixture){});
        PeImage image;

        g_assert_cmpint(pe_image_parse(span_of(file), &image), ==, 0);
        pe_fixture_set32(file, PE_FIXTURE_OPTIONAL + 56, image.size_of_headers);
        g_assert_cmpint(pe_image_parse(span_of(file), &image), ==, -EBADMSG);
}

/* By length: from memory whose end the sanitizer watches, and from a file. */
static void test_cut(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = test_path(folder, "image");
        g_autoptr(GByteArray) file = pe_fixture_stub();
        PeImage image;

        for (size_t size = 0; size < file->len; size++) {
                g_autofree uint8_t *copy = g_memdup2(file->data, size);
                g_assert_cmpint(pe_image_parse((Span){copy, size}, &image), ==, -EBADMSG);
        }
        for (size_t size = 0; size < file->len; size += 41) {
                _cleanup_(close_fd) int fd = -EBADF;

                test_write(folder, "image", size > 0 ? file->data : (const void *)"", size, 0600);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                g_assert_cmpint(pe_image_read(fd, &image), ==, -EBADMSG);
        }
}

static void test_headers_only(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = test_path(folder, "image");
        g_autofree char *large = g_strnfill(100000, 'x');
        const PeFixtureSection sections[] = {{".first", "one", 3, 0x40000040}, {".large", large, 100000, 0x40000040}};
        g_autoptr(GByteArray) file = pe_fixture_build(&(PeFixture){.sections = sections, .n_sections = 2});
        _cleanup_(close_fd) int fd = -EBADF;
        _cleanup_(buffer_done) Buffer first = {}, whole = {};
        PeImage image;

        test_write(folder, "image", file->data, file->len, 0600);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        g_assert_cmpint(pe_image_read(fd, &image), ==, 0);
        g_assert_cmpuint(image.file_size, ==, file->len);
        g_assert_null(image.file.data);
        g_assert_cmpint(pe_image_read_section(&image, fd, ".first", 100, &first), ==, 0);
        g_assert_cmpmem(first.data, first.size, "one", 3);
        g_assert_cmpint(pe_image_read_section(&image, fd, ".large", 99999, &whole), ==, -EFBIG);
        g_assert_null(whole.data);
        g_assert_cmpint(pe_image_read_section(&image, fd, ".large", 100000, &whole), ==, 0);
        g_assert_cmpmem(whole.data, whole.size, large, 100000);
        g_assert_cmpint(pe_image_read_section(&image, fd, ".none", 100, &whole), ==, -ENOENT);
        g_assert_cmpint(pe_image_read_certificates(&image, fd, 100, &whole), ==, -ENOENT);
}

/* Headers larger than the first read: 96 sections. */
static void test_many_sections(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = test_path(folder, "image");
        PeFixtureSection sections[PE_SECTIONS_MAX + 1];
        char names[PE_SECTIONS_MAX + 1][9];
        _cleanup_(close_fd) int fd = -EBADF;
        PeImage image;

        for (size_t i = 0; i < G_N_ELEMENTS(sections); i++) {
                g_snprintf(names[i], sizeof(names[i]), ".s%zu", i);
                sections[i] = (PeFixtureSection){names[i], names[i], strlen(names[i]), 0x40000040};
        }
        g_autoptr(GByteArray) most = pe_fixture_build(&(PeFixture){.sections = sections, .n_sections = 96});
        g_autoptr(GByteArray) too_many = pe_fixture_build(&(PeFixture){.sections = sections, .n_sections = 97});

        test_write(folder, "image", most->data, most->len, 0600);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        g_assert_cmpint(pe_image_read(fd, &image), ==, 0);
        g_assert_cmpuint(image.n_sections, ==, 96);
        g_assert_cmpstr(image.sections[95].name, ==, ".s95");
        g_assert_cmpint(pe_image_parse(span_of(most), &image), ==, 0);
        g_assert_cmpint(pe_image_parse(span_of(too_many), &image), ==, -EBADMSG);
}

/* Whatever the bytes are: an error or content inside the file. */
static void test_damage(void) {
        g_autoptr(GByteArray) file = pe_fixture_stub();
        const uint32_t size_of_headers = pe_fixture_get32(file, PE_FIXTURE_OPTIONAL + 60);

        for (size_t i = 0; i < 8 * size_of_headers; i++) {
                PeImage image;
                Span content;

                file->data[i / 8] ^= 1 << i % 8;
                if (pe_image_parse(span_of(file), &image) >= 0)
                        for (size_t k = 0; k < image.n_sections; k++)
                                if (pe_image_section(&image, image.sections[k].name, &content) >= 0 && content.size > 0)
                                        g_assert_true(content.data >= file->data &&
                                                      content.data + content.size <= file->data + file->len);
                file->data[i / 8] ^= 1 << i % 8;
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/pe/image/reads-the-headers", test_reads_headers);
        g_test_add_func("/pe/image/knows-pe32-and-other-machines", test_other_kinds);
        g_test_add_func("/pe/image/content-is-exactly-the-virtual-size", test_content);
        g_test_add_func("/pe/image/refuses-each-field-that-a-loader-refuses", test_refuses_fields);
        g_test_add_func("/pe/image/refuses-an-image-that-is-headers-only", test_nothing_in_memory);
        g_test_add_func("/pe/image/refuses-a-file-cut-at-any-length", test_cut);
        g_test_add_func("/pe/image/reads-sections-of-a-file-one-by-one", test_headers_only);
        g_test_add_func("/pe/image/takes-96-sections-and-no-more", test_many_sections);
        g_test_add_func("/pe/image/survives-every-flipped-bit-of-the-headers", test_damage);
        return g_test_run();
}
