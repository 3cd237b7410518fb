# SPDX-License-Identifier: LGPL-2.1-or-later
# The client: one program, of all that stands here. build/lanzactl is installed, build/san/lanzactl is what tests run.

LIBRARIES_client := libsystemd jansson

CFLAGS_FOR_client = $(call package_flags,$(LIBRARIES_client),--cflags) $(PLACES)

define client_rules
$(2): $(patsubst %.c,$(B)/$(1)/%.o,$(wildcard client/*.c))
	@echo "  LD $$@"
	@$$(CC_$(1)) $$(LDFLAGS_$(1)) -o $$@ $$^ $$(call package_flags,$$(LIBRARIES_client),--libs)
endef
$(eval $(call client_rules,release,$(B)/lanzactl))
$(eval $(call client_rules,san,$(B)/san/lanzactl))
$(eval $(call client_rules,cov,$(B)/cov/lanzactl))
$(eval $(call client_rules,tsan,$(B)/tsan/lanzactl))

all: $(B)/lanzactl
