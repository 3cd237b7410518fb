# SPDX-License-Identifier: LGPL-2.1-or-later
# The EFI stub: clang for a PE target and lld-link make a real PE (sections, .reloc, NX), which gcc's ELF detour does not.

PACKAGES += clang lld llvm

# Pure functions of their arguments: they compile for the host too, where they are tested and fuzzed.
STUB_PURE_SOURCES := $(addprefix stubs/,boot-image.c command-line.c cpio.c device-path.c esp-path.c initrd-list.c kernel-image.c pe-view.c \
	sha256.c sha256-x86.c text.c)

# What only runs on firmware.
STUB_SOURCES := $(STUB_PURE_SOURCES) $(addprefix stubs/,console.c content.c efi.c extra.c initrd.c kernel.c kernel-call.c lanzastub.c \
	load-options.c loader-interface.c memory.c pages.c sbat.c secure-boot.c stack-protector.c volume.c)

# gnu-efi's headers; nothing else of it is used.
EFI_INCLUDE ?= /usr/include/efi

# A stub for another CPU architecture is one more word here and one more pair of lines.
STUB_ARCHITECTURES := x64
STUB_TARGET_x64 := x86_64-unknown-windows
STUB_FLAGS_x64 := -mno-red-zone -I$(EFI_INCLUDE)/x86_64

# -mno-stack-arg-probe: there is no __chkstk; no function has a frame that needs it. -fno-builtin: memory.c.
STUB_CFLAGS := -std=gnu17 -O2 -ffreestanding -fno-builtin -fshort-wchar -fno-strict-aliasing -fstack-protector-strong \
	-mno-stack-arg-probe -fgnuc-version=4.2.1 -fno-ms-extensions -fno-ms-compatibility \
	-DGNU_EFI_USE_MS_ABI -DLANZA_VERSION='"$(VERSION)"' -I. -isystem $(EFI_INCLUDE) \
	-Wall -Wextra $(WERROR) -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wundef -Wwrite-strings -Wvla \
	-Wno-unused-parameter -Wno-missing-field-initializers -Wframe-larger-than=4000 -MMD -MP

# -Brepro: no time stamps. -filealign leaves the room in front of the first section that stub-abi.h promises.
STUB_LDFLAGS := -subsystem:efi_application -entry:efi_main -nodefaultlib -nxcompat -dynamicbase -filealign:2048 -Brepro \
	-opt:ref

define stub_rules
$(B)/stubs/$(1)/%.obj: stubs/%.c stubs/build.mk Makefile
	@mkdir -p $$(@D)
	@echo "  CC $(1) $$<"
	@$$(CLANG) -target $$(STUB_TARGET_$(1)) $$(STUB_CFLAGS) $$(STUB_FLAGS_$(1)) -c $$< -o $$@
$(B)/stubs/lanzastub$(1).efi: $(patsubst stubs/%.c,$(B)/stubs/$(1)/%.obj,$(STUB_SOURCES))
	@echo "  LD $$@"
	@$$(LLD_LINK) $$(STUB_LDFLAGS) -out:$$@ $$^
-include $(patsubst stubs/%.c,$(B)/stubs/$(1)/%.d,$(STUB_SOURCES))
endef
$(foreach a,$(STUB_ARCHITECTURES),$(eval $(call stub_rules,$(a))))

.PHONY: stubs
stubs: $(foreach a,$(STUB_ARCHITECTURES),$(B)/stubs/lanzastub$(a).efi) ## Build the EFI stub
