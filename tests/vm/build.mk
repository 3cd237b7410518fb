# SPDX-License-Identifier: LGPL-2.1-or-later
# The machine for tests, and what is shown in it.

PACKAGES += qemu-system-x86 mmdebstrap fdisk kmod e2fsprogs util-linux

# What the machine gets of lanzad is what `make install` installs.
FIRMWARE_INPUTS := $(B)/vm/installed $(B)/vm/kernel.efi $(B)/vm/meterx64.efi $(B)/vm/older/lanzad $(B)/$(V)/tests/firmware/test-agreement $(B)/pki/.made

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

# A driver, which systemd-boot loads before its menu.
$(B)/vm/meterx64.efi: $(B)/vm/meter.obj $(B)/stubs/x64/memory.obj
	@echo "  LD $@"
	@lld-link $(subst efi_application,efi_boot_service_driver,$(STUB_LDFLAGS)) -out:$@ $^

# A lanzad of another version: what it says of itself differs, and nothing else.
OLDER_OBJECTS := $(patsubst %.c,$(B)/vm/older/%.o,$(shell grep -l LANZA_VERSION $(wildcard daemon/*.c daemon/*/*.c)))
$(B)/vm/older/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC older $<"
	@$(CC) $(CFLAGS_release) $(CFLAGS_FOR_daemon) -ULANZA_VERSION -DLANZA_VERSION='"0.0.1"' -c $< -o $@
$(B)/vm/older/lanzad: $(OLDER_OBJECTS) $(B)/lanzad
	@echo "  LD $@"
	@$(CC) $(LDFLAGS_release) -o $@ $(OLDER_OBJECTS) $(B)/release/daemon/daemon.a $(foreach f,$(ORDER),$(B)/release/daemon/$(f).a) \
		$(call package_flags,$(sort $(call libraries_of,ops) $(LIBRARIES_bus)),--libs)

.PHONY: demo
demo: deps ## Watch a machine become one that runs only what it signed (in QEMU; installs what is missing)
	@$(MAKE) --no-print-directory -j2 $(B)/vm/installed
	@tests/vm/demo.py
