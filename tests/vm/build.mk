# SPDX-License-Identifier: LGPL-2.1-or-later
# The machine for tests, and what is shown in it.

PACKAGES += qemu-system-x86 swtpm mmdebstrap fdisk kmod e2fsprogs util-linux

# What the machine gets of lanzad is what `make install` installs.
FIRMWARE_INPUTS := $(B)/vm/installed $(B)/vm/kernel.efi $(B)/vm/meterx64.efi $(B)/vm/updatablex64.efi $(B)/$(V)/tests/firmware/test-agreement $(B)/pki/.made

$(B)/vm/installed: $(B)/lanzad $(B)/lanzactl $(B)/stubs/lanzastubx64.efi Makefile $(wildcard units/lanzad* units/*.conf units/*.d/* dbus/*)
	@rm -rf $(B)/vm/root
	@$(MAKE) --no-print-directory install DESTDIR=$(abspath $(B)/vm/root) prefix=/usr sysconfdir=/etc
	@touch $@

# Built as the stub is; its version in the header says that it knows how to ask for an initrd.
$(B)/vm/%.obj: tests/stubs/%.c tests/stubs/meter.h stubs/build.mk tests/vm/build.mk
	@mkdir -p $(@D)
	@echo "  CC x64 $<"
	@$(CLANG) -target $(STUB_TARGET_x64) $(STUB_CFLAGS) -fno-stack-protector -Wno-frame-larger-than $(STUB_FLAGS_x64) -c $< -o $@
$(B)/vm/kernel.efi: $(B)/vm/kernel.obj $(B)/stubs/x64/memory.obj
	@echo "  LD $@"
	@$(LLD_LINK) $(STUB_LDFLAGS) -version:1.0 -out:$@ $^

# Drivers, which systemd-boot loads before its menu.
$(B)/vm/%x64.efi: $(B)/vm/%.obj $(B)/stubs/x64/memory.obj
	@echo "  LD $@"
	@lld-link $(subst efi_application,efi_boot_service_driver,$(STUB_LDFLAGS)) -out:$@ $^

# lanzad as Nix packages it, this version and an older one, below build/vm/nix: what names a version or a place is compiled for each,
# all else is the same.
NIX_STORE := /nix/store/11111111111111111111111111111111
NIX_VERSIONS := 0.0.1 $(VERSION)
NIX_SOURCES := $(shell grep -lE 'LANZA_(VERSION|STUB_PATH|LOADER_PATH|DOC_FOLDER)|LANZAD_PATH' $(wildcard daemon/*.c daemon/*/*.c client/*.c))
redefine = -U$(1) -D$(1)='"$(2)"'
nix_flags = $(call redefine,LANZA_VERSION,$(1)) $(call redefine,LANZAD_PATH,$(2)/bin/lanzad) \
	$(call redefine,LANZA_STUB_PATH,$(2)/lib/lanzad/lanzastubx64.efi) $(call redefine,LANZA_DOC_FOLDER,$(2)/share/doc/lanzad) \
	$(call redefine,LANZA_LOADER_PATH,$(NIX_STORE)-systemd/lib/systemd/boot/efi/systemd-bootx64.efi)
nix_objects = $(patsubst %.c,$(B)/vm/nix-$(1)/%.o,$(filter $(2)/%,$(NIX_SOURCES)))

# $(call nix_rules,VERSION,PLACE)
define nix_rules
$(B)/vm/nix-$(1)/%.o: %.c
	@mkdir -p $$(@D)
	@echo "  CC $(1) $$<"
	@$$(CC_release) $$(CFLAGS_release) $$(CFLAGS_FOR_$$(firstword $$(subst /, ,$$<))) $(call nix_flags,$(1),$(2)) -c $$< -o $$@
-include $$(shell find $(B)/vm/nix-$(1) -name '*.d' 2>/dev/null)

$(B)/vm/nix-$(1)/lanzad: $(call nix_objects,$(1),daemon) $(B)/release/daemon/daemon.a $(foreach f,$(ORDER),$(B)/release/daemon/$(f).a)
	@echo "  LD $$@"
	@$$(CC_release) $$(LDFLAGS_release) -o $$@ $$^ $$(call package_flags,$$(sort $$(call libraries_of,ops) $$(LIBRARIES_bus)),--libs)
$(B)/vm/nix-$(1)/lanzactl: $(call nix_objects,$(1),client) $(patsubst %.c,$(B)/release/%.o,$(filter-out $(NIX_SOURCES),$(wildcard client/*.c)))
	@echo "  LD $$@"
	@$$(CC_release) $$(LDFLAGS_release) -o $$@ $$^ $$(call package_flags,$$(LIBRARIES_client),--libs)

$(B)/vm/nix-$(1)/installed: $(B)/vm/nix-$(1)/lanzad $(B)/vm/nix-$(1)/lanzactl $(B)/vm/installed
	@rm -rf $(B)/vm/nix/$(notdir $(2)) $(B)/vm/nix-$(1)/root
	@$$(MAKE) --no-print-directory install-texts DESTDIR=$(abspath $(B)/vm/nix-$(1)/root) prefix=$(2) sbindir=$(2)/bin sysconfdir=$(2)/etc \
		loaderdir=$(NIX_STORE)-systemd/lib/systemd/boot/efi >$$@.log
	@install -D -m 755 -t $(B)/vm/nix-$(1)/root$(2)/bin $(B)/vm/nix-$(1)/lanzad $(B)/vm/nix-$(1)/lanzactl
	@install -D -m 644 -t $(B)/vm/nix-$(1)/root$(2)/lib/lanzad $(B)/stubs/lanzastubx64.efi
	@mkdir -p $(B)/vm/nix && mv $(B)/vm/nix-$(1)/root$(2) $(B)/vm/nix/ && rm -r $(B)/vm/nix-$(1)/root
	@touch $$@
FIRMWARE_INPUTS += $(B)/vm/nix-$(1)/installed
endef
$(foreach v,$(NIX_VERSIONS),$(eval $(call nix_rules,$(v),$(NIX_STORE)-lanzad-$(v))))

.PHONY: demo
demo: deps ## Watch a machine become one that runs only what it signed (in QEMU; installs what is missing)
	@$(MAKE) --no-print-directory -j2 $(B)/vm/installed
	@tests/vm/demo.py
