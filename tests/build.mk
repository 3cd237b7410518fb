# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests mirror the tree: tests/FOLDER/test-NOUN.c tests daemon/FOLDER/, and links only what that folder may use.

PACKAGES += libglib2.0-dev clang lld llvm libclang-rt-dev clang-format shellcheck pyflakes3 perl python3 python3-pefile gcovr openssl \
	git cpio sbsigntool osslsigncode pesign efitools fwupd mtools dosfstools dbus-daemon polkitd libglib2.0-bin systemd util-linux mount man-db less zsh fish \
	python3-gi gir1.2-fwupd-2.0 nix-bin

# Which variant the unit tests are built in: san, or cov for coverage.
V ?= san

include tests/vm/build.mk
include tests/system/build.mk

# The bus is tested from outside, by tests/bus/test-*.py.
TEST_FOLDERS := $(filter-out bus,$(FOLDERS)) daemon
USES_daemon := $(FOLDERS)

# $(call test_link,VARIANT,FOLDER): archives and libraries of a test of daemon/FOLDER/
test_archives = $(B)/$(1)/tests/lib.a $(if $(filter daemon,$(2)),$(B)/$(1)/daemon/daemon.a) $(call archives,$(1),$(2))
test_libraries = $(call package_flags,glib-2.0 gio-2.0 $(call libraries_of,$(1)),--libs)

CFLAGS_FOR_tests = $(call package_flags,glib-2.0,--cflags)

# Allocations of what is linked into a test can fail to order: tests/lib/scarce-memory.c.
SCARCE := malloc calloc realloc reallocarray strdup strndup vasprintf asprintf
test_wraps := $(SCARCE:%=-Wl,--wrap=%) $(SCARCE:%=-Wl,-u,__wrap_%)

# Where threads are counted.
$(B)/%/tests/ops/test-threads: test_wraps += -Wl,--wrap=thread_start,--wrap=pthread_join

# Where calls fail to order.
FAILING := fsync fchmod fstat fstatat mkdirat renameat write
$(B)/%/tests/keys/test-key-creation: test_wraps += $(FAILING:%=-Wl,--wrap=%)

# What only one folder's tests share: tests/FOLDER/*-fixture.c
test_fixtures = $(patsubst %.c,$(B)/$(1)/%.o,$(wildcard tests/$(2)/*-fixture.c))

define test_rules
$(B)/$(1)/tests/$(2)/test-%: $(B)/$(1)/tests/$(2)/test-%.o $(call test_fixtures,$(1),$(2)) $(call test_archives,$(1),$(2))
	@echo "  LD $$@"
	@$$(CC_$(1)) $$(LDFLAGS_$(1)) $$(test_wraps) -o $$@ $$^ $$(call test_libraries,$(2))
endef
$(foreach v,san cov tsan,$(foreach f,$(TEST_FOLDERS),$(eval $(call test_rules,$(v),$(f)))))

define test_lib_rules
$(B)/$(1)/tests/lib.a: $(patsubst %.c,$(B)/$(1)/%.o,$(wildcard tests/lib/*.c))
	@mkdir -p $$(@D)
	@rm -f $$@
	@$(AR) rcs $$@ $$^
endef
$(foreach v,san cov tsan,$(eval $(call test_lib_rules,$(v))))

# The stub's pure parts, compiled for the host.
define stub_test_rules
$(B)/$(1)/stubs.a: $(patsubst %.c,$(B)/$(1)/%.o,$(STUB_PURE_SOURCES))
	@rm -f $$@
	@$(AR) rcs $$@ $$^
$(B)/$(1)/tests/stubs/test-%: $(B)/$(1)/tests/stubs/test-%.o $(B)/$(1)/stubs.a $(B)/$(1)/tests/lib.a
	@echo "  LD $$@"
	@$$(CC_$(1)) $$(LDFLAGS_$(1)) -o $$@ $$^ $$(call package_flags,glib-2.0,--libs)
endef
$(foreach v,san cov,$(eval $(call stub_test_rules,$(v))))

# A made-up service for tests of the client.
$(B)/$(V)/tests/client/service: $(B)/$(V)/tests/client/service.o
	@echo "  LD $@"
	@$(CC_$(V)) $(LDFLAGS_$(V)) -o $@ $^ $(call package_flags,libsystemd,--libs)

# A fuzzer names in its first lines the folder whose archives it links: /* fuzzes: pe */
FUZZERS := $(patsubst tests/fuzz/fuzz-%.c,%,$(wildcard tests/fuzz/fuzz-*.c))
fuzz_folder = $(shell sed -n 's,^/\* fuzzes: \([a-z]*\) \*/$$,\1,p' tests/fuzz/fuzz-$(1).c)
fuzz_archives = $(if $(filter stubs client,$(2)),$(B)/$(1)/$(2).a,$(if $(filter daemon,$(2)),$(B)/$(1)/daemon/daemon.a) $(call archives,$(1),$(2)))

# Two forms: with libFuzzer (make fuzz), and with a plain main that replays the corpus (make check).
define fuzz_rules
$(B)/fuzz/fuzz-$(1): $(B)/fuzz/tests/fuzz/fuzz-$(1).o $(call fuzz_archives,fuzz,$(2))
	@echo "  LD $$@"
	@$$(CC_fuzz) $$(LDFLAGS_fuzz) -o $$@ $$^ $$(call package_flags,$(call libraries_of,$(2)),--libs)
$(B)/$(V)/replay/replay-$(1): $(B)/$(V)/tests/fuzz/fuzz-$(1).o $(B)/$(V)/tests/fuzz/replay.o $(call fuzz_archives,$(V),$(2))
	@mkdir -p $$(@D)
	@echo "  LD $$@"
	@$$(CC_$(V)) $$(LDFLAGS_$(V)) -o $$@ $$^ $$(call package_flags,$(call libraries_of,$(2)),--libs)
endef
$(foreach f,$(FUZZERS),$(eval $(call fuzz_rules,$(f),$(call fuzz_folder,$(f)))))
# The client is one program: without its main it can be asked piece by piece.
define client_archive_rules
$(B)/$(1)/client.a: $(patsubst %.c,$(B)/$(1)/%.o,$(filter-out client/main.c,$(wildcard client/*.c)))
	@rm -f $$@
	@$$(AR) rcs $$@ $$^
endef
$(foreach v,fuzz $(V),$(eval $(call client_archive_rules,$(v))))
$(B)/fuzz/stubs.a: $(patsubst %.c,$(B)/fuzz/%.o,$(STUB_PURE_SOURCES))
	@rm -f $@
	@$(AR) rcs $@ $^

UNIT_PROGRAMS := $(patsubst %.c,$(B)/$(V)/%,$(wildcard $(foreach f,$(TEST_FOLDERS) stubs,tests/$(f)/test-*.c)))
UNIT_SCRIPTS := $(wildcard $(foreach f,$(TEST_FOLDERS) stubs client lint fuzz nixos docs,tests/$(f)/test-*.sh tests/$(f)/test-*.py))
UNIT_TESTS := $(UNIT_PROGRAMS) $(UNIT_SCRIPTS)
BUS_TESTS := $(wildcard tests/bus/test-*.py)
FIRMWARE_TESTS := $(wildcard tests/vm/test-*.py)

# What tests read besides their own program.
UNIT_INPUTS := $(B)/lanzad $(B)/$(V)/lanzad $(B)/$(V)/lanzactl $(B)/$(V)/tests/client/service $(B)/stubs/lanzastubx64.efi $(foreach f,$(FUZZERS),$(B)/$(V)/replay/replay-$(f)) $(B)/pki/.made $(B)/shim/shimx64.efi

$(B)/pki/.made: tests/lib/make-pki
	@rm -rf $(@D)
	@tests/lib/make-pki $(@D)
	@touch $@

$(B)/shim/shimx64.efi: tests/lib/fetch-shim
	@tests/lib/fetch-shim $@

PROVE := prove --timer --exec tests/lib/tap
export LANZA_BUILD := $(abspath $(B))
export LANZA_SOURCE := $(CURDIR)
export LANZA_VARIANT := $(V)

.PHONY: check check-unit check-bus check-system check-firmware check-threads check-long check-built
check: deps ## Run every test (installs what is missing)
	@$(MAKE) --no-print-directory -j2 check-built
# What boots machines takes longest and goes first.
check-built: $(UNIT_TESTS) $(UNIT_INPUTS) $(FIRMWARE_INPUTS)
	@$(PROVE) -j2 $(FIRMWARE_TESTS) $(SYSTEM_TESTS) $(BUS_TESTS) $(UNIT_TESTS)
check-unit: $(UNIT_TESTS) $(UNIT_INPUTS) ## Run the unit tests, with sanitizers
	@$(PROVE) -j2 $(UNIT_TESTS)
check-bus: $(B)/lanzad $(B)/$(V)/lanzad $(B)/$(V)/lanzactl $(B)/pki/.made $(B)/stubs/lanzastubx64.efi ## Run the service on a private bus, with sanitizers
	@$(PROVE) $(BUS_TESTS)
check-system: $(B)/vm/installed ## Run the installed service under systemd, in a container
	@$(PROVE) $(SYSTEM_TESTS)
check-firmware: $(FIRMWARE_INPUTS) ## Run the tests that boot real firmware in QEMU
	@$(PROVE) -j2 $(FIRMWARE_TESTS)
# What has threads: those that sign, hash, flush and wait, and the service.
THREAD_PROGRAMS := $(addprefix $(B)/tsan/tests/,util/test-ahead util/test-flush util/test-thread util/test-worker crypto/test-stream-digest ops/test-threads)
THREAD_SCRIPTS := tests/daemon/test-sign.py tests/bus/test-concurrency.py tests/bus/test-service.py
check-threads: $(THREAD_PROGRAMS) $(B)/tsan/lanzad $(B)/tsan/lanzactl $(B)/pki/.made $(B)/stubs/lanzastubx64.efi ## Run the tests of what has threads with the thread sanitizer
	@LANZA_VARIANT=tsan TSAN_OPTIONS=halt_on_error=1 $(PROVE) $(THREAD_PROGRAMS) $(THREAD_SCRIPTS)
check-long: deps ## Run every test with its full counts, and what has threads with the thread sanitizer, too
	@LANZA_LONG=1 $(MAKE) --no-print-directory -j2 check-built
	@LANZA_LONG=1 $(MAKE) --no-print-directory -j2 check-threads

FUZZ_SECONDS ?= 60
FUZZ_JOBS ?= 2
.PHONY: fuzz
fuzz: $(foreach f,$(FUZZERS),$(B)/fuzz/fuzz-$(f)) ## Run each fuzzer for FUZZ_SECONDS (60), FUZZ_JOBS (2) at once
	@printf '%s\n' $(FUZZERS) | xargs -P $(FUZZ_JOBS) -I NAME tests/fuzz/run $(B) $(FUZZ_SECONDS) NAME

# Other Debian releases: with compilers, libraries and systemd that NixOS has, too.
SUITES ?= trixie sid
.PHONY: built check-portability
built: all $(UNIT_PROGRAMS) $(UNIT_INPUTS) $(foreach f,$(FUZZERS),$(B)/fuzz/fuzz-$(f))
check-portability: deps ## Build and test on newer Debian releases, in roots of their own (SUITES)
	@for s in $(SUITES); do tests/portability/run $$s $(PACKAGES) || exit 1; done

# Percent of the lines of daemon/ and of the stub's pure parts.
COVERAGE_MINIMUM := 85
.PHONY: coverage
coverage: ## Line coverage of the unit tests, and with the bus tests; fails where that of the unit tests is low
	@rm -rf $(B)/cov
	@$(MAKE) --no-print-directory V=cov check-unit
	@tests/lib/coverage unit $(COVERAGE_MINIMUM)
	@$(MAKE) --no-print-directory V=cov check-bus
	@tests/lib/coverage unit-and-bus

.PHONY: bench
bench: $(B)/lanzad $(B)/lanzactl $(B)/stubs/lanzastubx64.efi $(B)/vm/kernel.efi $(B)/vm/meterx64.efi $(B)/pki/.made ## Measure against other programs in the same run
	@tests/bench/run

.PHONY: lint
lint: $(foreach f,$(FOLDERS),$(B)/release/daemon/$(f).a) ## Check layers, format, shell and licence lines
	@tests/lint/run '$(foreach f,$(FOLDERS),$(f):$(USES_$(f)):$(LIBRARIES_$(f));)'
