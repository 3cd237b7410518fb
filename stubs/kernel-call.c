/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/kernel-call.h"

#if defined(__x86_64__)

/* Calls ENTRY, after it has put to *RET_STACK what kernel_call_leave() needs. Both come back as a return from the
 * first, with everything that the UEFI calling convention preserves as it was: it stands on the stack that is gone back
 * to. (The compiler's own __builtin_setjmp restores a wrong frame pointer on this target.) */
EFI_STATUS EFIAPI kernel_call_enter(EFI_HANDLE image, EFI_SYSTEM_TABLE *system_table, EFI_IMAGE_ENTRY_POINT entry,
                                    void **ret_stack);
_Noreturn void EFIAPI kernel_call_leave(void *stack, EFI_STATUS status);

__asm__(".text\n"
        ".p2align 4\n"
        "kernel_call_enter:\n"
        "        pushq %rbp\n"
        "        pushq %rbx\n"
        "        pushq %rdi\n"
        "        pushq %rsi\n"
        "        pushq %r12\n"
        "        pushq %r13\n"
        "        pushq %r14\n"
        "        pushq %r15\n"
        "        subq $200, %rsp\n" /* 32 for the callee, ten registers, and 8 to align */
        "        movaps %xmm6, 32(%rsp)\n"
        "        movaps %xmm7, 48(%rsp)\n"
        "        movaps %xmm8, 64(%rsp)\n"
        "        movaps %xmm9, 80(%rsp)\n"
        "        movaps %xmm10, 96(%rsp)\n"
        "        movaps %xmm11, 112(%rsp)\n"
        "        movaps %xmm12, 128(%rsp)\n"
        "        movaps %xmm13, 144(%rsp)\n"
        "        movaps %xmm14, 160(%rsp)\n"
        "        movaps %xmm15, 176(%rsp)\n"
        "        movq %rsp, (%r9)\n"
        "        callq *%r8\n"
        "kernel_call_back:\n"
        "        movaps 32(%rsp), %xmm6\n"
        "        movaps 48(%rsp), %xmm7\n"
        "        movaps 64(%rsp), %xmm8\n"
        "        movaps 80(%rsp), %xmm9\n"
        "        movaps 96(%rsp), %xmm10\n"
        "        movaps 112(%rsp), %xmm11\n"
        "        movaps 128(%rsp), %xmm12\n"
        "        movaps 144(%rsp), %xmm13\n"
        "        movaps 160(%rsp), %xmm14\n"
        "        movaps 176(%rsp), %xmm15\n"
        "        addq $200, %rsp\n"
        "        popq %r15\n"
        "        popq %r14\n"
        "        popq %r13\n"
        "        popq %r12\n"
        "        popq %rsi\n"
        "        popq %rdi\n"
        "        popq %rbx\n"
        "        popq %rbp\n"
        "        retq\n"
        ".p2align 4\n"
        "kernel_call_leave:\n"
        "        movq %rcx, %rsp\n"
        "        movq %rdx, %rax\n"
        "        cld\n"
        "        jmp kernel_call_back\n");

static struct {
        EFI_HANDLE image;
        EFI_EXIT firmware;
        void *stack;
} call;

static EFI_STATUS EFIAPI exit_kernel(EFI_HANDLE image, EFI_STATUS status, UINTN size, CHAR16 *data) {
        if (image != call.image)
                return call.firmware(image, status, size, data);
        kernel_call_leave(call.stack, status);
}

EFI_STATUS kernel_call(EFI_IMAGE_ENTRY_POINT entry, EFI_HANDLE image) {
        call.image = image;
        call.firmware = BS->Exit;
        BS->Exit = exit_kernel;
        EFI_STATUS status = kernel_call_enter(image, ST, entry, &call.stack);
        BS->Exit = call.firmware;
        return status;
}

#else

EFI_STATUS kernel_call(EFI_IMAGE_ENTRY_POINT entry, EFI_HANDLE image) {
        return entry(image, ST);
}

#endif
