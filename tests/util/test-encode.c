/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Text forms: hexadecimal, base32, GUIDs, UTF-8. */

#include "daemon/util/encode.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/util/file.h"
#include "daemon/util/guid.h"
#include "daemon/util/macro.h"
#include "daemon/util/utf8.h"

static void test_hex(void) {
        static const uint8_t bytes[] = {0x00, 0x0f, 0xf0, 0xab, 0xff};
        _cleanup_(free_pointer) char *text = hex_encode((Span){bytes, sizeof(bytes)}), *nothing = hex_encode((Span){});
        uint8_t decoded[sizeof(bytes)];

        g_assert_cmpstr(text, ==, "000ff0abff");
        g_assert_cmpstr(nothing, ==, "");
        g_assert_cmpint(hex_decode("000FF0aBff", decoded, sizeof(decoded)), ==, 0);
        g_assert_cmpmem(decoded, sizeof(decoded), bytes, sizeof(bytes));
        g_assert_cmpint(hex_decode("", decoded, 0), ==, 0);
}

static void test_bad_hex(void) {
        static const char *const texts[] = {"",
                                            "0",
                                            "000",
                                            "00000",
                                            "0g00",
                                            " 000",
                                            "0x00",
                                            "00\n0",
                                            "\xff"
                                            "000"};
        uint8_t decoded[2];

        for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
                g_assert_cmpint(hex_decode(texts[i], decoded, sizeof(decoded)), ==, -EINVAL);
}

/* RFC 4648, section 10, in lower case and without padding. */
static void test_base32(void) {
        static const char *const vectors[][2] = {
                {"", ""},
                {"f", "my"},
                {"fo", "mzxq"},
                {"foo", "mzxw6"},
                {"foob", "mzxw6yq"},
                {"fooba", "mzxw6ytb"},
                {"foobar", "mzxw6ytboi"},
        };
        uint8_t digest[32];
        _cleanup_(free_pointer) char *of_digest = NULL;

        for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
                _cleanup_(free_pointer) char *text = base32_encode(span_from_string(vectors[i][0]));

                g_assert_cmpstr(text, ==, vectors[i][1]);
        }
        memset(digest, 0xff, sizeof(digest));
        of_digest = base32_encode((Span){digest, sizeof(digest)});
        g_assert_cmpuint(strlen(of_digest), ==, 52);
        g_assert_true(g_str_has_prefix(of_digest, "777777"));
        g_assert_true(g_str_has_suffix(of_digest, "7q"));
}

static void test_guid(void) {
        static const char text[] = "77fa9abd-0359-4d32-bd60-28f4e78f784b";
        static const Guid expected =
                GUID_INIT(0x77fa9abd, 0x0359, 0x4d32, 0xbd, 0x60, 0x28, 0xf4, 0xe7, 0x8f, 0x78, 0x4b);
        static const uint8_t stored[] = {0xbd, 0x9a, 0xfa, 0x77, 0x59, 0x03, 0x32, 0x4d,
                                         0xbd, 0x60, 0x28, 0xf4, 0xe7, 0x8f, 0x78, 0x4b};
        static const char *const bad[] = {
                "",
                "77fa9abd-0359-4d32-bd60-28f4e78f784",
                "77fa9abd-0359-4d32-bd60-28f4e78f784b0",
                "77fa9abd00359-4d32-bd60-28f4e78f784b",
                "77fa9abd-0359-4d32-bd60028f4e78f784b",
                "77fa9abg-0359-4d32-bd60-28f4e78f784b",
                "-7fa9abd-0359-4d32-bd60-28f4e78f784b",
        };
        char again[GUID_TEXT_SIZE];
        Guid guid;

        g_assert_cmpint(guid_parse(span_from_string("77FA9abd-0359-4D32-bd60-28f4e78f784b"), &guid), ==, 0);
        g_assert_true(guid_equal(&guid, &expected));
        g_assert_cmpmem(guid.bytes, GUID_SIZE, stored, sizeof(stored));
        guid_format(&guid, again);
        g_assert_cmpstr(again, ==, text);
        for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
                g_assert_cmpint(guid_parse(span_from_string(bad[i]), &guid), ==, -EINVAL);
        g_assert_true(guid_equal(&guid, &expected));
}

static void test_random_guid(void) {
        char text[GUID_TEXT_SIZE];
        Guid a, b;

        g_assert_cmpint(guid_random(&a), ==, 0);
        g_assert_cmpint(guid_random(&b), ==, 0);
        g_assert_false(guid_equal(&a, &b));
        guid_format(&a, text);
        g_assert_cmpint(text[14], ==, '4');
        g_assert_nonnull(strchr("89ab", text[19]));
}

static void test_utf8(void) {
        static const struct {
                const char *text;
                bool good;
        } cases[] = {
                {"", true},
                {"plain", true},
                {"gr\xc3\xb6\xc3\x9f"
                 "e \xe2\x82\xac \xf0\x9f\x90\xa7",
                 true},
                {"\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf", true},
                {"\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", true},
                {"\x80", false}, /* a continuation by itself */
                {"\xc3", false}, /* cut off */
                {"\xe2\x82", false},
                {"\xc3(", false},    /* no continuation */
                {"\xc0\xaf", false}, /* longer than it need be */
                {"\xc1\xbf", false},
                {"\xe0\x9f\xbf", false},
                {"\xf0\x8f\xbf\xbf", false},
                {"\xed\xa0\x80", false}, /* surrogates */
                {"\xed\xbf\xbf", false},
                {"\xf4\x90\x80\x80", false}, /* above U+10FFFF */
                {"\xf5\x80\x80\x80", false},
                {"\xff", false},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                /* GLib judges the same texts the same way */
                g_assert_true(g_utf8_validate(cases[i].text, -1, NULL) == cases[i].good);
                g_assert_cmpint(utf8_check(span_from_string(cases[i].text)), ==, cases[i].good ? 0 : -EBADMSG);
        }
        g_assert_cmpint(utf8_check((Span){(const uint8_t *)"a\0b", 3}), ==, -EBADMSG);
}

/* Random bytes, and what GLib says of them. */
static void test_random_utf8(void) {
        unsigned tries = g_getenv("LANZA_LONG") ? 5000000 : 200000;

        for (unsigned i = 0; i < tries; i++) {
                char bytes[5] = {};
                size_t length = g_test_rand_int_range(1, 5);

                for (size_t k = 0; k < length; k++)
                        bytes[k] = g_test_rand_bit() ? g_test_rand_int_range(1, 256) : g_test_rand_int_range(0xc0, 256);
                for (size_t k = 1; k < length; k++)
                        if (g_test_rand_int_range(0, 4) > 0)
                                bytes[k] = g_test_rand_int_range(0x80, 0xc0);
                if (g_utf8_validate(bytes, length, NULL) != (utf8_check((Span){(uint8_t *)bytes, length}) == 0))
                        g_error("%02x %02x %02x %02x", bytes[0] & 0xff, bytes[1] & 0xff, bytes[2] & 0xff,
                                bytes[3] & 0xff);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/hex/goes-there-and-back", test_hex);
        g_test_add_func("/util/hex/refuses-everything-else", test_bad_hex);
        g_test_add_func("/util/base32/agrees-with-the-rfc", test_base32);
        g_test_add_func("/util/guid/has-the-byte-order-of-efi", test_guid);
        g_test_add_func("/util/guid/random-ones-differ-and-say-so", test_random_guid);
        g_test_add_func("/util/utf8/accepts-exactly-the-rfc", test_utf8);
        g_test_add_func("/util/utf8/agrees-with-glib", test_random_utf8);
        return g_test_run();
}
