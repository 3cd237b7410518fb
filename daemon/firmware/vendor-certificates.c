/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/vendor-certificates.h"

#include <errno.h>
#include <string.h>

#include "daemon/firmware/signature-list.h"
#include "daemon/firmware/vendor-certificates-data.h"

#define DATA(name) vendor_##name##_start, vendor_##name##_end

static const VendorCertificate certificates[] = {
        {SECURE_VARIABLE_KEK, VENDOR_ALL, 2011, "Microsoft Corporation KEK CA 2011", DATA(kek_2011)},
        {SECURE_VARIABLE_KEK, VENDOR_ALL, 2023, "Microsoft Corporation KEK 2K CA 2023", DATA(kek_2023)},
        {SECURE_VARIABLE_DB, VENDOR_WINDOWS, 2011, "Microsoft Windows Production PCA 2011", DATA(windows_2011)},
        {SECURE_VARIABLE_DB, VENDOR_WINDOWS, 2023, "Windows UEFI CA 2023", DATA(windows_2023)},
        {SECURE_VARIABLE_DB, VENDOR_THIRD_PARTY | VENDOR_OPTION_ROM, 2011, "Microsoft Corporation UEFI CA 2011",
         DATA(third_party_2011)},
        {SECURE_VARIABLE_DB, VENDOR_THIRD_PARTY, 2023, "Microsoft UEFI CA 2023", DATA(third_party_2023)},
        {SECURE_VARIABLE_DB, VENDOR_OPTION_ROM, 2023, "Microsoft Option ROM UEFI CA 2023", DATA(option_rom_2023)},
};

static const struct {
        const char *name;
        VendorClasses classes;
} names[] = {
        {"windows", VENDOR_WINDOWS},
        {"third-party", VENDOR_THIRD_PARTY},
        {"option-rom", VENDOR_OPTION_ROM},
        {"all", VENDOR_ALL},
};

const VendorCertificate *vendor_certificate_at(size_t index) {
        return index < ARRAY_LENGTH(certificates) ? &certificates[index] : NULL;
}

Span vendor_certificate_der(const VendorCertificate *certificate) {
        return (Span){certificate->start, certificate->end - certificate->start};
}

bool vendor_certificate_is(Span der) {
        for (size_t i = 0; i < ARRAY_LENGTH(certificates); i++)
                if (span_equal(vendor_certificate_der(&certificates[i]), der))
                        return true;
        return false;
}

const char *vendor_class_name(VendorClass class) {
        for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
                if (names[i].classes == class && class != VENDOR_ALL)
                        return names[i].name;
        return NULL;
}

static VendorClasses find_classes(const char *name, size_t length) {
        for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
                if (strlen(names[i].name) == length && memcmp(names[i].name, name, length) == 0)
                        return names[i].classes;
        return 0;
}

int vendor_classes_parse(const char *text, VendorClasses *ret, Failure *failure) {
        VendorClasses classes = 0;

        for (const char *name = text;; name++) {
                size_t length = strcspn(name, ",");
                VendorClasses found = find_classes(name, length);

                if (found == 0)
                        return failure_set(failure, CONDITION_BAD_CONFIGURATION,
                                           "'%.*s' is no class of Microsoft's certificates: windows, third-party and "
                                           "option-rom are, with commas between them, or all",
                                           length > 100 ? 100 : (int)length, name);
                classes |= found;
                name += length;
                if (!*name)
                        break;
        }
        *ret = classes;
        return 0;
}

int vendor_certificates_add(VendorClasses classes, SecureVariable variable, Buffer *database) {
        int added = 0;

        for (size_t i = 0; i < ARRAY_LENGTH(certificates); i++) {
                if (certificates[i].variable != variable || !(certificates[i].classes & classes))
                        continue;
                int r = signature_database_add(database, &signature_type_x509, &signature_owner_microsoft,
                                               vendor_certificate_der(&certificates[i]));
                if (r < 0)
                        return r;
                added += r;
        }
        return added;
}

/* How many of a class's certificates for db there are, and how many of these DATABASE has. */
static int count_present(VendorClass class, Span database, int *ret_all) {
        int present = 0, all = 0;

        for (size_t i = 0; i < ARRAY_LENGTH(certificates); i++) {
                if (certificates[i].variable != SECURE_VARIABLE_DB || !(certificates[i].classes & class))
                        continue;
                int r = signature_database_contains(database, &signature_type_x509, /* owner= */ NULL,
                                                    vendor_certificate_der(&certificates[i]));
                if (r < 0)
                        return r;
                present += r;
                all++;
        }
        *ret_all = all;
        return present;
}

int vendor_certificates_cover_option_roms(Span database) {
        int all, present = count_present(VENDOR_OPTION_ROM, database, &all);

        return present < 0 ? present : present == all;
}

int vendor_certificates_have_third_party(Span database, unsigned year) {
        for (size_t i = 0; i < ARRAY_LENGTH(certificates); i++)
                if (certificates[i].variable == SECURE_VARIABLE_DB && certificates[i].year == year &&
                    (certificates[i].classes & VENDOR_THIRD_PARTY))
                        return signature_database_contains(database, &signature_type_x509, /* owner= */ NULL,
                                                           vendor_certificate_der(&certificates[i]));
        return 0;
}

int vendor_certificates_allow_third_party(Span database) {
        int all, present = count_present(VENDOR_THIRD_PARTY, database, &all);

        return present < 0 ? present : present > 0;
}
