/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/console.h"

#include "stubs/efi.h"

enum {
        SECONDS = 8,
        UNITS_A_SECOND = 10 * 1000 * 1000, /* timers count 100 ns */
};

static void print(const uint16_t *text) {
        if (ST->ConOut)
                ST->ConOut->OutputString(ST->ConOut, (CHAR16 *)text);
}

/* Lines may not be as long as the console is wide: the cursor would go on to the next one by itself. */
static size_t columns(void) {
        UINTN width, height;

        if (!ST->ConOut || !ST->ConOut->Mode ||
            EFI_ERROR(ST->ConOut->QueryMode(ST->ConOut, (UINTN)ST->ConOut->Mode->Mode, &width, &height)) || width < 40)
                return 79;
        return width - 1;
}

static void print_lines(Text *text) {
        size_t width = columns();

        for (uint16_t *rest = text->data; *rest != 0;) {
                size_t length = text_line(rest, width);
                uint16_t next = rest[length];
                rest[length] = 0;
                print(rest);
                print(u"\r\n");
                rest[length] = next;
                rest += next == 0 ? length : length + 1;
        }
}

void console_note(const char *format, ...) {
        static Text line;
        __builtin_va_list arguments;

        text_clear(&line);
        text_append(&line, "lanzastub: ");
        __builtin_va_start(arguments, format);
        text_append_list(&line, format, arguments);
        __builtin_va_end(arguments);
        print_lines(&line);
}

static void wait_for_key_or_timeout(void) {
        EFI_EVENT timer;
        UINTN index;

        if (EFI_ERROR(BS->CreateEvent(EVT_TIMER, TPL_APPLICATION, NULL, NULL, &timer)))
                return;
        if (!EFI_ERROR(BS->SetTimer(timer, TimerRelative, (UINT64)SECONDS * UNITS_A_SECOND))) {
                EFI_EVENT events[] = {timer, ST->ConIn ? ST->ConIn->WaitForKey : NULL};
                BS->WaitForEvent(events[1] ? 2 : 1, events, &index);
        }
        BS->CloseEvent(timer);
}

/* Takes in all keys that were pressed; whether "m" was among them. */
static bool read_keys(void) {
        EFI_INPUT_KEY key;
        bool menu = false;

        while (ST->ConIn && !EFI_ERROR(ST->ConIn->ReadKeyStroke(ST->ConIn, &key)))
                menu = menu || key.UnicodeChar == 'm' || key.UnicodeChar == 'M';
        return menu;
}

bool console_explain(const Text *sentence) {
        /* The key that chose this entry may still be waiting; what comes after the first word is an answer. */
        read_keys();
        print(u"\r\n");
        console_note("%w", sentence->data);
        console_note("Press m for the menu, to choose another entry.");
        console_note("Back to the boot loader in %u seconds, or at a key press.", (uint64_t)SECONDS);

        wait_for_key_or_timeout();
        return read_keys();
}
