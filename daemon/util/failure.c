/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_FAILED = 1, EXIT_REFUSED = 3 };

static const struct {
        const char *name;
        int exit_status;
        int error;
        const char *hint;
} conditions[CONDITION_COUNT] = {
        [CONDITION_FAILED] = {"Failed", EXIT_FAILED, EIO, NULL},
        [CONDITION_NO_KEYS] = {"NoKeys", EXIT_REFUSED, ENOKEY, "Make keys with 'lanzactl create-keys'."},
        [CONDITION_KEYS_EXIST] =
                {"KeysExist", EXIT_REFUSED, EEXIST,
                 "Nothing was changed: lanzad never overwrites keys. The ones that are there can be used."},
        [CONDITION_BAD_KEYS] = {"BadKeys", EXIT_REFUSED, EKEYREJECTED,
                                "Restore the key store from a backup, or move it away and make new keys."},
        [CONDITION_NOT_IN_SETUP_MODE] =
                {"NotInSetupMode", EXIT_REFUSED, EPERM,
                 "Clear the platform key (PK) in the firmware's settings, often called 'Reset to Setup Mode' or 'Erase all Secure Boot keys', then run this again."},
        [CONDITION_FIRMWARE_REFUSED] = {"FirmwareRefused", EXIT_REFUSED, EACCES, NULL},
        [CONDITION_TIMESTAMP_NOT_NEWER] = {"TimestampNotNewer", EXIT_REFUSED, ESTALE,
                                           "Name a later time with '--timestamp'."},
        [CONDITION_VARIABLES_READ_ONLY] = {"VariablesReadOnly", EXIT_REFUSED, EROFS,
                                           "Mount efivarfs writable: mount -o remount,rw /sys/firmware/efi/efivars"},
        [CONDITION_VARIABLE_STORE_FULL] =
                {"VariableStoreFull", EXIT_REFUSED, ENOSPC,
                 "Delete variables that nothing needs, such as old crash dumps (dump-type0-*)."},
        [CONDITION_NOT_SUPPORTED] =
                {"NotSupported", EXIT_REFUSED, EOPNOTSUPP,
                 "Boot this system in UEFI mode, with efivarfs mounted on /sys/firmware/efi/efivars."},
        [CONDITION_OPTION_ROM_RISK] =
                {"OptionRomRisk", EXIT_REFUSED, ECONNREFUSED,
                 "Add '--microsoft', or '--microsoft=option-rom' for devices alone: Microsoft signs such firmware for its makers. Only if no device of this machine needs any, add '--yes-this-might-brick-my-machine'."},
        [CONDITION_WOULD_NOT_BOOT] = {"WouldNotBoot", EXIT_REFUSED, EHOSTDOWN, "Nothing was changed."},
        [CONDITION_ESP_NOT_FOUND] =
                {"EspNotFound", EXIT_REFUSED, ENODEV,
                 "Mount the EFI system partition, for example with 'mount /boot', or name its mount point as Path= in the [Esp] section of /etc/lanza/lanzad.conf."},
        [CONDITION_ESP_FULL] =
                {"EspFull", EXIT_REFUSED, ENOSPC,
                 "Free space on the EFI system partition, or keep fewer generations (Limit= in /etc/lanza/lanzad.conf)."},
        [CONDITION_ESP_READ_ONLY] = {"EspReadOnly", EXIT_REFUSED, EROFS, "Mount the EFI system partition writable."},
        [CONDITION_ESP_NOT_PRIVATE] =
                {"EspNotPrivate", EXIT_REFUSED, EPERM,
                 "Mount the EFI system partition with the option umask=0077 (in NixOS: fileSystems.\"/boot\".options)."},
        [CONDITION_BAD_BOOTSPEC] = {"BadBootspec", EXIT_REFUSED, EBADMSG,
                                    "Build the generation again (nixos-rebuild), or delete it."},
        [CONDITION_BAD_IMAGE] = {"BadImage", EXIT_REFUSED, ENOEXEC,
                                 "Install the package that the file belongs to again."},
        [CONDITION_BAD_CONFIGURATION] = {"BadConfiguration", EXIT_REFUSED, EINVAL,
                                         "Mend the configuration; nothing was changed."},
        [CONDITION_SECRETS_FAILED] = {"SecretsFailed", EXIT_REFUSED, EPROTO,
                                      "Run the generation's append-initrd-secrets by hand to see why."},
        [CONDITION_NOTHING_BOOTABLE] =
                {"NothingBootable", EXIT_REFUSED, ENOENT,
                 "Nothing was changed. Build a generation first, for example with 'nixos-rebuild boot'."},
        [CONDITION_FOREIGN_TOPLEVEL] =
                {"ForeignToplevel", EXIT_REFUSED, EXDEV,
                 "Make the toplevel a generation first: nix-env --profile /nix/var/nix/profiles/system --set TOPLEVEL"},
        [CONDITION_BUSY] = {"Busy", EXIT_FAILED, EBUSY,
                            "Run this again when the other operation has ended, or wait longer with '--timeout'."},
        [CONDITION_CANCELED] = {"Canceled", EXIT_FAILED, ECANCELED, "Nothing was changed; run this again."},
        [CONDITION_LIMITS_EXCEEDED] = {"LimitsExceeded", EXIT_FAILED, EDQUOT,
                                       "Run this again when there are fewer of them."},
};

void failure_done(Failure *failure) {
        free(failure->message);
        free(failure->hint);
        *failure = (Failure){};
}

static _printf_(1, 0) char *format_or_note(const char *format, va_list arguments) {
        char *text;

        return vasprintf(&text, format, arguments) < 0 ? strdup("out of memory") : text;
}

int failure_set(Failure *failure, Condition condition, const char *format, ...) {
        va_list arguments;

        if (failure && !failure->message) {
                va_start(arguments, format);
                failure->condition = condition;
                failure->message = format_or_note(format, arguments);
                va_end(arguments);
        }
        return condition_errno(condition);
}

int failure_set_errno(Failure *failure, int error, const char *format, ...) {
        va_list arguments;
        char *text;

        if (!failure || failure->message)
                return error;

        va_start(arguments, format);
        text = format_or_note(format, arguments);
        va_end(arguments);
        failure->condition = CONDITION_FAILED;
        if (!text || asprintf(&failure->message, "%s: %s", text, strerror(-error)) < 0)
                failure->message = strdup(strerror(-error));
        free(text);
        return error;
}

int failure_pass(Failure *failure, Failure *from, int r) {
        if (failure && !failure->message) {
                failure_done(failure);
                *failure = TAKE_STRUCT(*from);
        }
        return r;
}

void failure_set_hint(Failure *failure, const char *format, ...) {
        va_list arguments;

        if (!failure || !failure->message)
                return;
        free(failure->hint);
        va_start(arguments, format);
        failure->hint = format_or_note(format, arguments);
        va_end(arguments);
}

const char *failure_hint(const Failure *failure) {
        return failure->hint ? failure->hint : conditions[failure->condition].hint;
}

const char *condition_name(Condition condition) {
        return conditions[condition].name;
}

int condition_exit_status(Condition condition) {
        return conditions[condition].exit_status;
}

int condition_errno(Condition condition) {
        return -conditions[condition].error;
}
