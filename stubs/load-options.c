/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/load-options.h"

/* EFI_SHELL_PARAMETERS_PROTOCOL (UEFI Shell specification), as far as it is read here. */
typedef struct ShellParameters {
        CHAR16 **arguments;
        UINTN count;
} ShellParameters;

static EFI_GUID shell_parameters_guid = {0x752f3136, 0x4e16, 0x4fdc, {0xa2, 0x2a, 0xe5, 0xf4, 0x68, 0x12, 0xf4, 0xca}};

static bool join_arguments(const ShellParameters *shell, CommandLine *ret) {
        static Text line;

        text_clear(&line);
        for (UINTN i = 1; i < shell->count; i++)
                text_append(&line, i > 1 ? " %w" : "%w", shell->arguments[i]);
        return command_line_from_load_options((Bytes){(const uint8_t *)line.data, line.length * sizeof *line.data},
                                              ret);
}

bool load_options_read(EFI_HANDLE image, const EFI_LOADED_IMAGE *loaded_image, CommandLine *ret) {
        ShellParameters *shell;

        if (!EFI_ERROR(BS->HandleProtocol(image, &shell_parameters_guid, (void **)&shell)))
                return join_arguments(shell, ret);

        Bytes options = {loaded_image->LoadOptions, loaded_image->LoadOptions ? loaded_image->LoadOptionsSize : 0};
        return command_line_from_load_options(options, ret);
}
