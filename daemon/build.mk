# SPDX-License-Identifier: LGPL-2.1-or-later
# The daemon's folders: an archive each, and who may use whom.

FOLDERS := util crypto pe keys firmware boot esp trust ops bus

# What a folder may include and call, besides itself and libc. Lint and the unit tests' link lines follow this table.
USES_util :=
USES_crypto := util
USES_pe := crypto util
USES_keys := crypto util
USES_firmware := crypto util
USES_boot := crypto util
USES_esp := crypto util
USES_trust := pe firmware crypto util
USES_ops := trust keys firmware pe boot esp crypto util
USES_bus := ops util

# The libraries that a folder's own code may call.
LIBRARIES_crypto := libcrypto
LIBRARIES_firmware := efivar
LIBRARIES_boot := jansson
LIBRARIES_bus := libsystemd

# gcc cannot know that -errno is negative: "may be used uninitialized" is noise here.
CFLAGS_BASE := -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DLANZA_VERSION='"$(VERSION)"' -I. -Wall -Wextra $(WERROR) -Wshadow \
	-Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wundef -Wwrite-strings -Wformat=2 -Wvla \
	-Wno-unused-parameter -Wno-maybe-uninitialized -Wno-missing-field-initializers -fno-strict-aliasing -MMD -MP

# A variant is one way to compile everything: build/VARIANT/…
CC_release = $(CC)
CFLAGS_release = $(CFLAGS_BASE) -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE $(CFLAGS)
LDFLAGS_release = -pie -Wl,-z,relro,-z,now $(LDFLAGS)
CC_san = $(CC)
CFLAGS_san = $(CFLAGS_BASE) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS_san = -fsanitize=address,undefined
CC_cov = $(CC)
# Atomic: threads count what they run.
CFLAGS_cov = $(CFLAGS_BASE) -O0 -g --coverage -fprofile-update=atomic
LDFLAGS_cov = --coverage
CC_fuzz = $(CLANG)
CFLAGS_fuzz = $(CFLAGS_BASE) -Wno-unknown-warning-option -Wno-gnu-variable-sized-type-not-at-end -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDFLAGS_fuzz = -fsanitize=fuzzer,address,undefined
# What only some tests are built in: those that have threads.
CC_tsan = $(CC)
CFLAGS_tsan = $(CFLAGS_BASE) -O1 -g -fsanitize=thread
LDFLAGS_tsan = -fsanitize=thread
VARIANTS := release san cov fuzz tsan

# Packages for pkg-config, asked only when something is compiled (make deps runs before they are there).
libraries_of = $(sort $(foreach f,$(1) $(USES_$(1)),$(LIBRARIES_$(f))))
package_flags = $(if $(1),$$($(PKG_CONFIG) $(2) $(1)))

daemon_sources = $(wildcard daemon/$(1)/*.c)
MAIN_SOURCES := $(filter-out daemon/main.c,$(wildcard daemon/*.c))

define archive_rules
$(B)/$(1)/daemon/$(2).a: $(patsubst %.c,$(B)/$(1)/%.o,$(call daemon_sources,$(2)))
	@rm -f $$@
	@$(AR) rcs $$@ $$^
endef

define variant_rules
$(B)/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	@echo "  CC $(1) $$<"
	@$$(CC_$(1)) $$(CFLAGS_$(1)) $$(CFLAGS_FOR_$$(firstword $$(subst /, ,$$<))) -c $$< -o $$@
$(B)/$(1)/daemon/daemon.a: $(patsubst %.c,$(B)/$(1)/%.o,$(MAIN_SOURCES))
	@rm -f $$@
	@$(AR) rcs $$@ $$^
$(foreach f,$(FOLDERS),$(eval $(call archive_rules,$(1),$(f))))
-include $$(shell find $(B)/$(1) -name '*.d' 2>/dev/null)
endef
$(foreach v,$(VARIANTS),$(eval $(call variant_rules,$(v))))

# What the assembler reads is in no .d file.
$(foreach v,$(VARIANTS),$(B)/$(v)/daemon/firmware/vendor-certificates-data.o): $(wildcard daemon/firmware/vendor/*.der)

# efivar's and OpenSSL's headers stand in the default include path; pkg-config's flags are added for systems where not.
CFLAGS_FOR_daemon = $(call package_flags,$(sort $(foreach f,$(FOLDERS),$(LIBRARIES_$(f)))),--cflags) $(PLACES)

# Archives in an order in which each stands before what it uses.
ORDER := bus ops trust keys firmware pe boot esp crypto util
archives = $(foreach f,$(filter $(2) $(USES_$(2)),$(ORDER)),$(B)/$(1)/daemon/$(f).a)

# The program; build/lanzad is the one that is installed, build/san/lanzad the one that tests run.
define program_rules
$(2): $(B)/$(1)/daemon/main.o $(B)/$(1)/daemon/daemon.a $(foreach f,$(ORDER),$(B)/$(1)/daemon/$(f).a)
	@echo "  LD $$@"
	@$$(CC_$(1)) $$(LDFLAGS_$(1)) -o $$@ $$^ $$(call package_flags,$$(sort $$(call libraries_of,ops) $$(LIBRARIES_bus)),--libs)
endef
$(eval $(call program_rules,release,$(B)/lanzad))
$(eval $(call program_rules,san,$(B)/san/lanzad))
$(eval $(call program_rules,cov,$(B)/cov/lanzad))
$(eval $(call program_rules,tsan,$(B)/tsan/lanzad))
