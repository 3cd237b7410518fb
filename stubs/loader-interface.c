/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/loader-interface.h"

#include "stubs/console.h"
#include "stubs/device-path.h"

enum {
        /* StubFeatures, of those that systemd defines (EFI_STUB_FEATURE_…): what is true of this stub. */
        REPORTS_LOADER_PARTITION = 1 << 0,
        REPORTS_STUB_PARTITION = 1 << 10,
};

static EFI_GUID vendor = {0x4a67b082, 0x0a4c, 0x41cf, {0xb6, 0xc7, 0x44, 0x0b, 0x29, 0xbb, 0x8c, 0x4f}};

static void set(const uint16_t *name, const void *data, size_t size) {
        UINT32 attributes = EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS;

        EFI_STATUS status = RT->SetVariable((CHAR16 *)name, &vendor, attributes, size, (void *)data);
        if (EFI_ERROR(status))
                console_note("The variable %w cannot be set (%s); the boot goes on.", name, status_name(status));
}

static void set_text(const uint16_t *name, const Text *text) {
        set(name, text->data, (text->length + 1) * sizeof *text->data);
}

static bool is_set(const uint16_t *name) {
        UINTN size = 0;

        return RT->GetVariable((CHAR16 *)name, &vendor, /* Attributes= */ NULL, &size, NULL) == EFI_BUFFER_TOO_SMALL;
}

static void publish_partition(const EFI_LOADED_IMAGE *loaded_image, Text *text) {
        EFI_GUID protocol = EFI_DEVICE_PATH_PROTOCOL_GUID;
        void *path;

        text_clear(text);
        if (EFI_ERROR(BS->HandleProtocol(loaded_image->DeviceHandle, &protocol, &path)) ||
            !device_path_append_partition(path, text))
                return; /* not from a GPT partition: there is nothing to say */
        set_text(u"StubDevicePartUUID", text);
        if (!is_set(u"LoaderDevicePartUUID"))
                set_text(u"LoaderDevicePartUUID", text);
}

static void publish_file(const EFI_LOADED_IMAGE *loaded_image, Text *text) {
        text_clear(text);
        if (!loaded_image->FilePath || !device_path_append_file(loaded_image->FilePath, text))
                return; /* a boot loader that loaded us from memory may leave the path out */
        set_text(u"StubImageIdentifier", text);
        if (!is_set(u"LoaderImageIdentifier"))
                set_text(u"LoaderImageIdentifier", text);
}

static void publish_firmware(Text *text) {
        text_clear(text);
        text_append(text, "%w %u.%0u", ST->FirmwareVendor, (uint64_t)(ST->FirmwareRevision >> 16),
                    (uint64_t)(ST->FirmwareRevision & 0xFFFF));
        if (!is_set(u"LoaderFirmwareInfo"))
                set_text(u"LoaderFirmwareInfo", text);

        text_clear(text);
        text_append(text, "UEFI %u.%0u", (uint64_t)(ST->Hdr.Revision >> 16), (uint64_t)(ST->Hdr.Revision & 0xFFFF));
        if (!is_set(u"LoaderFirmwareType"))
                set_text(u"LoaderFirmwareType", text);
}

void loader_interface_publish(const EFI_LOADED_IMAGE *loaded_image) {
        static Text text;
        const uint64_t features = REPORTS_LOADER_PARTITION | REPORTS_STUB_PARTITION;

        text_clear(&text);
        text_append(&text, "lanzastub " LANZA_VERSION);
        set_text(u"StubInfo", &text);
        set(u"StubFeatures", &features, sizeof features);
        publish_partition(loaded_image, &text);
        publish_file(loaded_image, &text);
        publish_firmware(&text);
}
