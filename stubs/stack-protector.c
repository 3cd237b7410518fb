/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/stack-protector.h"

#include "stubs/efi.h"

/* For Windows' ABI, which PE targets have, clang calls these two by these names: each protected function keeps the
 * cookie, mixed with its stack pointer, below its return address, and hands it unmixed to the check before it returns.
 */
uintptr_t __security_cookie = (uintptr_t)0x5bd1e995a3c7f10d;
void __security_check_cookie(uintptr_t cookie);

static uint64_t cycles(void) {
#if defined(__x86_64__)
        return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
        uint64_t count;
        __asm__ volatile("mrs %0, cntvct_el0" : "=r"(count));
        return count;
#endif
}

/* A guess of the cookie must fit in one try; the counter's low bits and where firmware put us are enough for that. */
WITHOUT_STACK_PROTECTOR void stack_protector_seed(void) {
        uint64_t value = cycles() * 0x9e3779b97f4a7c15 ^ (uintptr_t)&__security_cookie ^ (uintptr_t)&value;

        __security_cookie ^= value;
}

/* Nothing that stands on the stack can be trusted any more, the way back to the boot loader least of all: restart. */
WITHOUT_STACK_PROTECTOR void __security_check_cookie(uintptr_t cookie) {
        if (cookie == __security_cookie)
                return;

        if (ST->ConOut)
                ST->ConOut->OutputString(ST->ConOut,
                                         (CHAR16 *)u"\r\nlanzastub: the stack was overwritten. Restarting.\r\n");
        BS->Stall(5 * 1000 * 1000);
        RT->ResetSystem(EfiResetCold, EFI_ABORTED, 0, NULL);
        __builtin_trap();
}
