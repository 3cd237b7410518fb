/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/volume.h"

#include "stubs/esp-path.h"

enum {
        /* Large enough to be quick. Some firmware fails for good when asked for tens of megabytes at once. */
        READ_MAX = 1024 * 1024,
};

/* EFI_FILE_INFO ends with the file's name, which FAT limits to 255 characters. */
typedef union FileInfo {
        EFI_FILE_INFO info;
        uint8_t buffer[sizeof(EFI_FILE_INFO) + 256 * sizeof(CHAR16)];
} FileInfo;

EFI_STATUS volume_open(EFI_HANDLE device, Volume *ret, Text *why) {
        EFI_GUID protocol = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
        EFI_FILE_IO_INTERFACE *file_system;

        if (!device)
                return fail(why, EFI_UNSUPPORTED,
                            "The boot loader does not say which volume this boot image came from, "
                            "so that its kernel cannot be found there. Start it from the firmware's own boot menu.");
        EFI_STATUS status = BS->HandleProtocol(device, &protocol, (void **)&file_system);
        if (!EFI_ERROR(status))
                status = file_system->OpenVolume(file_system, &ret->root);
        if (EFI_ERROR(status))
                return fail(why, status,
                            "The volume that this boot image came from cannot be opened (%s). "
                            "Restart the machine, or boot it from another disk.",
                            status_name(status));
        return EFI_SUCCESS;
}

void volume_close(Volume *volume) {
        if (volume->root)
                volume->root->Close(volume->root);
        *volume = (Volume){};
}

static EFI_STATUS check_file(const VolumeFile *file, size_t size_max, size_t *ret_size, Text *why) {
        EFI_GUID type = EFI_FILE_INFO_ID;
        FileInfo information;
        UINTN size = sizeof information;

        EFI_STATUS status = file->handle->GetInfo(file->handle, &type, &size, &information);
        if (EFI_ERROR(status))
                return fail(why, status, "The %s %b cannot be examined (%s). " BOOT_ANOTHER, file->what, file->path,
                            status_name(status));
        uint64_t file_size = information.info.FileSize;
        if (information.info.Attribute & EFI_FILE_DIRECTORY)
                return fail(why, EFI_LOAD_ERROR, "The %s %b is a folder. " BOOT_ANOTHER, file->what, file->path);
        if (file_size == 0)
                return fail(why, EFI_LOAD_ERROR, "The %s %b is empty. " BOOT_ANOTHER, file->what, file->path);
        if (file_size > size_max)
                return fail(why, EFI_LOAD_ERROR, "The %s %b has %u bytes, and at most %u are supported. " BOOT_ANOTHER,
                            file->what, file->path, file_size, (uint64_t)size_max);

        *ret_size = (size_t)file_size;
        return EFI_SUCCESS;
}

EFI_STATUS volume_open_file(const Volume *volume, const char *what, Bytes path, size_t size_max, VolumeFile *ret,
                            Text *why) {
        VolumeFile file = {.what = what, .path = path};
        CHAR16 name[LANZA_ESP_PATH_MAX_BYTES + 1];

        esp_path_to_utf16(path, name);
        EFI_STATUS status = volume->root->Open(volume->root, &file.handle, name, EFI_FILE_MODE_READ, 0);
        if (status == EFI_NOT_FOUND)
                return fail(why, status, "The %s %b is not on the volume that this boot image came from. " BOOT_ANOTHER,
                            what, path);
        if (EFI_ERROR(status))
                return fail(why, status, "The %s %b cannot be opened (%s). " BOOT_ANOTHER, what, path,
                            status_name(status));
        status = check_file(&file, size_max, &file.size, why);
        if (EFI_ERROR(status)) {
                volume_file_close(&file);
                return status;
        }

        *ret = file;
        return EFI_SUCCESS;
}

void volume_file_close(VolumeFile *file) {
        if (file->handle)
                file->handle->Close(file->handle);
        *file = (VolumeFile){};
}

EFI_STATUS volume_file_read(const VolumeFile *file, size_t from, size_t size, uint8_t *buffer, Text *why) {
        for (size_t done = 0; done < size;) {
                UINTN wanted = size - done < READ_MAX ? size - done : READ_MAX, read = wanted;
                EFI_STATUS status = file->handle->Read(file->handle, &read, buffer + done);
                if (EFI_ERROR(status))
                        return fail(why, status, "The %s %b cannot be read at byte %u (%s). " BOOT_ANOTHER, file->what,
                                    file->path, (uint64_t)(from + done), status_name(status));
                if (read == 0 || read > wanted)
                        return fail(why, EFI_LOAD_ERROR, "The %s %b ends after %u of its %u bytes. " BOOT_ANOTHER,
                                    file->what, file->path, (uint64_t)(from + done), (uint64_t)file->size);
                done += read;
        }
        return EFI_SUCCESS;
}
