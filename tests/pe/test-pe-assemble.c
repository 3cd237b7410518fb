/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pe/pe-assemble.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/pe/pe-image.h"
#include "stubs/stub-abi.h"
#include "tests/lib/pe-fixture.h"
#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"

static Span span_of(const GByteArray *array) {
        return (Span){array->data, array->len};
}

static const uint8_t hash[LANZA_HASH_SIZE] = {0xde, 0xad};

static void usual_sections(PeNewSection ret[static 4]) {
        ret[0] = (PeNewSection){LANZA_SECTION_OSREL, span_from_string("ID=\"lanza\"\n")};
        ret[1] = (PeNewSection){LANZA_SECTION_CMDLINE, span_from_string("quiet")};
        ret[2] = (PeNewSection){LANZA_SECTION_KERNEL, span_from_string("\\EFI\\nixos\\kernel.efi")};
        ret[3] = (PeNewSection){LANZA_SECTION_KERNEL_HASH, {hash, sizeof(hash)}};
}

static GByteArray *read_stub(const char *variable_path) {
        const char *build = g_getenv("LANZA_BUILD");
        g_autofree char *path = g_build_filename(build ? build : "build", variable_path, NULL);
        GByteArray *array;
        char *content;
        gsize size;

        g_assert_true(g_file_get_contents(path, &content, &size, NULL));
        array = g_byte_array_new_take((uint8_t *)content, size);
        return array;
}

static void assert_assembled(const GByteArray *stub) {
        _cleanup_(buffer_done) Buffer made = {};
        PeNewSection sections[4];
        PeImage before, after;
        uint32_t end;

        usual_sections(sections);
        g_assert_cmpint(pe_image_parse(span_of(stub), &before), ==, 0);
        g_assert_cmpint(pe_assemble(span_of(stub), sections, 4, &made), ==, 0);
        g_assert_cmpint(pe_image_parse(buffer_span(&made), &after), ==, 0);

        g_assert_cmpuint(after.n_sections, ==, before.n_sections + 4);
        g_assert_cmpuint(made.size % 8, ==, 0);
        g_assert_cmpuint(after.size_of_headers, ==, before.size_of_headers);
        g_assert_cmpmem(after.sections, before.n_sections * sizeof(PeSection), before.sections,
                        before.n_sections * sizeof(PeSection));
        end = before.size_of_image;
        for (size_t i = 0; i < 4; i++) {
                const PeSection *section = &after.sections[before.n_sections + i];
                Span content;

                g_assert_cmpint(pe_image_section(&after, sections[i].name, &content), ==, 0);
                g_assert_true(span_equal(content, sections[i].content));
                g_assert_cmpuint(section->characteristics, ==, LANZA_SECTION_CHARACTERISTICS);
                g_assert_cmpuint(section->virtual_address, ==, end);
                g_assert_cmpuint(section->raw_offset % before.file_alignment, ==, 0);
                g_assert_cmpuint(section->raw_size % before.file_alignment, ==, 0);
                end += 4096;
        }
        g_assert_cmpuint(after.size_of_image, ==, end);
        g_assert_cmpuint(after.size_of_initialized_data, ==,
                         before.size_of_initialized_data + 4 * before.file_alignment);
}

static void test_appends(void) {
        g_autoptr(GByteArray) stub = pe_fixture_stub();

        assert_assembled(stub);
}

/* Firmware then gives the section what it has in the file. */
static void test_appends_behind_no_virtual_size(void) {
        enum { VIRTUAL_SIZE = 8 };
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        PeImage image;

        g_assert_cmpint(pe_image_parse(span_of(stub), &image), ==, 0);
        pe_fixture_set32(stub, PE_FIXTURE_SECTIONS + (image.n_sections - 1) * 40 + VIRTUAL_SIZE, 0);
        assert_assembled(stub);
}

static void test_appends_to_our_stub(void) {
        g_autoptr(GByteArray) stub = read_stub("stubs/lanzastubx64.efi");

        assert_assembled(stub);
}

/* Checksum, overlaps and order as python3-pefile sees them. */
static void judge(Span made) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        const char *source = g_getenv("LANZA_SOURCE");
        g_autofree char *image = test_path(folder, "image.efi");
        g_autofree char *judge = g_build_filename(source ? source : ".", "tests/pe/judge-layout", NULL);
        g_autofree char *output = NULL;

        test_write(folder, "image.efi", made.data, made.size, 0600);
        output = test_run_good("/usr/bin/python3", judge, image, NULL);
        g_assert_cmpstr(output, ==, "good\n");
}

static void test_judged(void) {
        g_autoptr(GByteArray) ours = read_stub("stubs/lanzastubx64.efi");
        g_autoptr(GByteArray) fixture = pe_fixture_stub();
        const GByteArray *stubs[] = {ours, fixture};

        for (size_t i = 0; i < G_N_ELEMENTS(stubs); i++) {
                _cleanup_(buffer_done) Buffer made = {};
                PeNewSection sections[4];

                usual_sections(sections);
                g_assert_cmpint(pe_assemble(span_of(stubs[i]), sections, 4, &made), ==, 0);
                judge(buffer_span(&made));
        }
}

static void test_sizes(void) {
        static uint8_t content[3 * 4096 + 1];
        static const size_t sizes[] = {1, 511, 512, 513, 4095, 4096, 4097, sizeof(content)};
        static const uint32_t file_alignments[] = {8, 16, 512, 4096}; /* the first two leave an odd end */

        memset(content, 0xaa, sizeof(content));
        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
                for (size_t k = 0; k < G_N_ELEMENTS(file_alignments); k++) {
                        const PeFixtureSection text = {".text", content, 100, 0x60000020};
                        const PeNewSection sections[] = {{".a", {content, sizes[i]}}, {".b", {content, 7}}};
                        g_autoptr(GByteArray) stub = pe_fixture_build(&(PeFixture){.file_alignment = file_alignments[k],
                                                                                   .free_headers = 2,
                                                                                   .sections = &text,
                                                                                   .n_sections = 1});
                        _cleanup_(buffer_done) Buffer made = {};
                        PeImage image;
                        Span a, b;

                        g_assert_cmpint(pe_assemble(span_of(stub), sections, 2, &made), ==, 0);
                        g_assert_cmpint(pe_image_parse(buffer_span(&made), &image), ==, 0);
                        g_assert_cmpint(pe_image_section(&image, ".a", &a), ==, 0);
                        g_assert_cmpint(pe_image_section(&image, ".b", &b), ==, 0);
                        g_assert_cmpmem(a.data, a.size, content, sizes[i]);
                        g_assert_cmpmem(b.data, b.size, content, 7);
                        judge(buffer_span(&made));
                }
}

static void test_same_bytes(void) {
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        _cleanup_(buffer_done) Buffer a = {}, b = {};
        PeNewSection sections[4];

        usual_sections(sections);
        g_assert_cmpint(pe_assemble(span_of(stub), sections, 4, &a), ==, 0);
        g_assert_cmpint(pe_assemble(span_of(stub), sections, 4, &b), ==, 0);
        g_assert_true(span_equal(buffer_span(&a), buffer_span(&b)));
}

static int assemble(const GByteArray *stub, const PeNewSection *sections, size_t n) {
        _cleanup_(buffer_done) Buffer made = {};
        int r = pe_assemble(span_of(stub), sections, n, &made);

        if (r < 0)
                g_assert_null(made.data);
        return r;
}

static void test_refuses_sections(void) {
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        const Span x = span_from_string("x");
        const PeNewSection twice[] = {{".a", x}, {".b", x}, {".a", x}};
        const PeNewSection there[] = {{".sbat", x}};
        const PeNewSection empty[] = {{".a", {}}}, no_name[] = {{"", x}}, long_name[] = {{".ninebyte", x}};
        const PeNewSection eight[] = {{".eightby", x}, {".eightbx", x}};
        PeNewSection many[17];
        char names[G_N_ELEMENTS(many)][PE_SECTION_NAME_SIZE + 1];

        g_assert_cmpint(assemble(stub, twice, 3), ==, -EEXIST);
        g_assert_cmpint(assemble(stub, there, 1), ==, -EEXIST);
        g_assert_cmpint(assemble(stub, empty, 1), ==, -EINVAL);
        g_assert_cmpint(assemble(stub, no_name, 1), ==, -EINVAL);
        g_assert_cmpint(assemble(stub, long_name, 1), ==, -EINVAL);
        g_assert_cmpint(assemble(stub, eight, 2), ==, 0);
        g_assert_cmpint(assemble(stub, NULL, 0), ==, 0);

        for (size_t i = 0; i < G_N_ELEMENTS(many); i++) {
                g_snprintf(names[i], sizeof(names[i]), ".n%zu", i);
                many[i] = (PeNewSection){names[i], x};
        }
        g_assert_cmpint(assemble(stub, many, 16), ==, 0);
        g_assert_cmpint(assemble(stub, many, 97), ==, -E2BIG);
}

static void test_refuses_without_room(void) {
        const PeFixtureSection text = {".text", "x", 1, 0x60000020};
        const PeNewSection sections[] = {{".a", span_from_string("x")}, {".b", span_from_string("x")}};
        g_autoptr(GByteArray) stub = pe_fixture_build(
                &(PeFixture){.file_alignment = 8, .free_headers = 1, .sections = &text, .n_sections = 1});

        g_assert_cmpint(assemble(stub, sections, 1), ==, 0);
        g_assert_cmpint(assemble(stub, sections, 2), ==, -ENOSPC);
        stub->data[PE_FIXTURE_SECTIONS + 40 + 39] = 1; /* something else stands in the room */
        g_assert_cmpint(assemble(stub, sections, 1), ==, -ENOSPC);
}

static void test_refuses_stubs(void) {
        const PeFixtureSection text = {".text", "x", 1, 0x60000020};
        const PeNewSection section = {".a", span_from_string("x")};
        g_autoptr(GByteArray) trailing = pe_fixture_build(&(PeFixture){
                .free_headers = 4, .sections = &text, .n_sections = 1, .trailing = "data", .trailing_size = 4});
        static const struct {
                unsigned field;
                uint32_t value;
        } alignments[] = {{36, 0}, {36, 3}, {36, 0x80000000}, {36, 2048}, {32, 0}, {32, 4097}, {32, 0x80000000}};

        g_assert_cmpint(assemble(trailing, &section, 1), ==, -EBADMSG);
        for (size_t i = 0; i < G_N_ELEMENTS(alignments); i++) {
                g_autoptr(GByteArray) stub = pe_fixture_stub();

                pe_fixture_set32(stub, PE_FIXTURE_OPTIONAL + alignments[i].field, alignments[i].value);
                g_assert_cmpint(assemble(stub, &section, 1), ==, -EBADMSG);
        }
}

/* A span claims a size that its memory has not: it must be refused before anything is copied. */
static void test_refuses_overflow(void) {
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        static const uint8_t byte[1];
        const PeNewSection huge[] = {{".a", {byte, UINT32_MAX - 4096}}};
        const PeNewSection larger[] = {{".a", {byte, (size_t)UINT32_MAX + 1}}};
        const PeNewSection sum[] = {{".a", {byte, 0x7fffffff}}, {".b", {byte, 0x7fffffff}}, {".c", {byte, 1}}};
        const PeNewSection largest[] = {{".a", {byte, SIZE_MAX}}};

        g_assert_cmpint(assemble(stub, huge, 1), ==, -EFBIG);
        g_assert_cmpint(assemble(stub, larger, 1), ==, -EFBIG);
        g_assert_cmpint(assemble(stub, sum, 3), ==, -EFBIG);
        g_assert_cmpint(assemble(stub, largest, 1), ==, -EFBIG);
}

static int assembled_from(Span image, Span stub) {
        char *folder = test_folder_make();
        g_autofree char *path = test_path(folder, "image");
        PeImage headers;
        int fd, r;

        test_write(folder, "image", image.data, image.size, 0600);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        g_assert_cmpint(pe_image_read(fd, &headers), ==, 0);
        r = pe_assembled_from(&headers, fd, stub);
        close(fd);
        test_folder_remove(folder);
        return r;
}

static void test_knows_stub(void) {
        g_autoptr(GByteArray) stub = read_stub("stubs/lanzastubx64.efi"), other = read_stub("stubs/lanzastubx64.efi");
        g_autoptr(GByteArray) fixture = pe_fixture_stub();
        _cleanup_(buffer_done) Buffer image = {}, foreign = {};
        PeNewSection sections[4];
        PeImage parsed;

        usual_sections(sections);
        g_assert_cmpint(pe_assemble(span_of(stub), sections, 4, &image), ==, 0);
        g_assert_cmpint(pe_assemble(span_of(fixture), sections, 4, &foreign), ==, 0);
        g_assert_cmpint(assembled_from(buffer_span(&image), span_of(stub)), ==, 1);
        g_assert_cmpint(assembled_from(span_of(stub), span_of(stub)), ==, 1);
        g_assert_cmpint(assembled_from(buffer_span(&foreign), span_of(fixture)), ==, 1);
        g_assert_cmpint(assembled_from(buffer_span(&foreign), span_of(stub)), ==, 0);
        g_assert_cmpint(assembled_from(buffer_span(&image), span_of(fixture)), ==, 0);
        g_assert_cmpint(assembled_from(span_of(stub), buffer_span(&image)), ==, 0);
        g_assert_cmpint(assembled_from(buffer_span(&image), (Span){stub->data, 100}), ==, 0);

        /* The first and the last byte, and one in the middle. */
        g_assert_cmpint(pe_image_parse(span_of(stub), &parsed), ==, 0);
        const size_t places[] = {parsed.size_of_headers, stub->len / 2, stub->len - 1};
        for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
                other->data[places[i]] ^= 1;
                g_assert_cmpint(assembled_from(buffer_span(&image), span_of(other)), ==, 0);
                other->data[places[i]] ^= 1;
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/pe/assemble/appends-sections-behind-everything", test_appends);
        g_test_add_func("/pe/assemble/appends-behind-a-section-without-virtual-size",
                        test_appends_behind_no_virtual_size);
        g_test_add_func("/pe/assemble/appends-sections-to-lanzastub", test_appends_to_our_stub);
        g_test_add_func("/pe/assemble/is-good-in-the-eyes-of-pefile", test_judged);
        g_test_add_func("/pe/assemble/keeps-contents-of-any-size-under-any-alignment", test_sizes);
        g_test_add_func("/pe/assemble/the-same-input-gives-the-same-bytes", test_same_bytes);
        g_test_add_func("/pe/assemble/refuses-double-empty-and-ill-named-sections", test_refuses_sections);
        g_test_add_func("/pe/assemble/refuses-a-stub-without-room-for-headers", test_refuses_without_room);
        g_test_add_func("/pe/assemble/refuses-stubs-with-odd-alignments-or-trailing-data", test_refuses_stubs);
        g_test_add_func("/pe/assemble/refuses-what-32-bits-cannot-hold", test_refuses_overflow);
        g_test_add_func("/pe/assemble/knows-the-stub-that-an-image-was-made-of", test_knows_stub);
        return g_test_run();
}
