# SPDX-License-Identifier: LGPL-2.1-or-later
# One Makefile for everything; each folder adds its part in a build.mk, and none calls make below itself.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
SHELL := bash

VERSION := 0.1.0

prefix ?= /usr
DESTDIR ?=
bindir ?= $(prefix)/bin
sbindir ?= $(prefix)/sbin
libdir ?= $(prefix)/lib
datadir ?= $(prefix)/share
mandir ?= $(datadir)/man
sysconfdir ?= /etc
docdir ?= $(datadir)/doc/lanzad
unitdir ?= $(prefix)/lib/systemd/system
presetdir ?= $(prefix)/lib/systemd/system-preset
# Programs that units start.
touch ?= /usr/bin/touch
rm ?= /usr/bin/rm
mkdir ?= /usr/bin/mkdir
cp ?= /usr/bin/cp
mv ?= /usr/bin/mv
# Where systemd has its boot loader.
loaderdir ?= /usr/lib/systemd/boot/efi
# Where fwupd looks for its EFI helper.
fwupddir ?= /usr/libexec/fwupd/efi

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
AR := ar
CLANG ?= clang
LLD_LINK ?= lld-link
PKG_CONFIG ?= pkg-config

# Who packages builds with compilers that we have not seen: make WERROR=
WERROR ?= -Werror

B := build

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "; print "lanzad: make TARGET, where TARGET is one of"} \
		/^[a-z][a-z-]*:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Packages that building and testing need on Debian 12; a folder's build.mk adds what only it needs.
PACKAGES := gcc make pkg-config libc6-dev libssl-dev libsystemd-dev libefivar-dev libjansson-dev gnu-efi

.PHONY: all
all: ## Build lanzad and the stub

include stubs/build.mk
include daemon/build.mk
include client/build.mk
include tests/build.mk

all: $(B)/lanzad stubs

# What is compiled with the name of a place is compiled anew when that place changes.
PLACES := -DLANZAD_PATH='"$(sbindir)/lanzad"' -DLANZA_STUB_PATH='"$(libdir)/lanzad/lanzastubx64.efi"' \
	-DLANZA_LOADER_PATH='"$(loaderdir)/systemd-bootx64.efi"' -DLANZA_DOC_FOLDER='"$(docdir)"'
.PHONY: places
$(B)/places: places
	@mkdir -p $(@D)
	@echo "$(PLACES)" | cmp -s - $@ || echo "$(PLACES)" > $@
$(foreach v,$(VARIANTS),$(addprefix $(B)/$(v)/,daemon/config.o daemon/esp/esp-volume.o client/program.o)): $(B)/places

.PHONY: deps
deps: ## Install the Debian packages that building and testing need (root)
	@tests/lib/install-packages $(PACKAGES)

.PHONY: format
format: ## Format the C code
	clang-format -i $$(git ls-files -co --exclude-standard '*.c' '*.h')

# $(call install_text,FILE,PLACE): with the places that this build has. The files in the tree name the default ones.
install_text = install -D -m 644 $(1) $(DESTDIR)$(2) && sed -i \
	-e 's,@sbindir@,$(sbindir),g' -e 's,@bindir@,$(bindir),g' -e 's,@touch@,$(touch),g' -e 's,@rm@,$(rm),g' -e 's,@mkdir@,$(mkdir),g' \
	-e 's,@cp@,$(cp),g' -e 's,@mv@,$(mv),g' -e 's,/usr/libexec/fwupd/efi,$(fwupddir),g' \
	-e 's,/usr/lib/lanzad/,$(libdir)/lanzad/,g' -e 's,/usr/lib/systemd/boot/efi/,$(loaderdir)/,g' \
	-e 's,/usr/share/doc/lanzad/,$(docdir)/,g' -e 's,/usr/share/dbus-1/,$(datadir)/dbus-1/,g' $(DESTDIR)$(2)

.PHONY: install install-texts
install: all install-texts ## Install below DESTDIR and prefix
	install -D -m 755 $(B)/lanzad $(DESTDIR)$(sbindir)/lanzad
	install -D -m 755 $(B)/lanzactl $(DESTDIR)$(bindir)/lanzactl
	install -D -m 644 $(B)/stubs/lanzastubx64.efi $(DESTDIR)$(libdir)/lanzad/lanzastubx64.efi

install-texts:
	install -D -m 644 client/lanzactl.1 $(DESTDIR)$(mandir)/man1/lanzactl.1
	$(call install_text,units/lanzad.conf.5,$(mandir)/man5/lanzad.conf.5)
	$(call install_text,units/lanzad.8,$(mandir)/man8/lanzad.8)
	install -D -m 644 client/completions/lanzactl.bash $(DESTDIR)$(datadir)/bash-completion/completions/lanzactl
	install -D -m 644 client/completions/_lanzactl $(DESTDIR)$(datadir)/zsh/site-functions/_lanzactl
	install -D -m 644 client/completions/lanzactl.fish $(DESTDIR)$(datadir)/fish/vendor_completions.d/lanzactl.fish
	install -D -m 644 dbus/org.lanzaboote.Lanza1.conf $(DESTDIR)$(datadir)/dbus-1/system.d/org.lanzaboote.Lanza1.conf
	install -D -m 644 -t $(DESTDIR)$(datadir)/dbus-1/interfaces dbus/org.lanzaboote.Lanza1.*.xml
	install -D -m 644 dbus/org.lanzaboote.Lanza1.service $(DESTDIR)$(datadir)/dbus-1/system-services/org.lanzaboote.Lanza1.service
	install -D -m 644 dbus/org.lanzaboote.lanza1.policy $(DESTDIR)$(datadir)/polkit-1/actions/org.lanzaboote.lanza1.policy
	$(call install_text,units/lanzad.service,$(unitdir)/lanzad.service)
	$(call install_text,units/lanzad-generate-keys.service,$(unitdir)/lanzad-generate-keys.service)
	$(call install_text,units/lanzad-sign-images.service,$(unitdir)/lanzad-sign-images.service)
	$(call install_text,units/lanzad-enroll-keys.service,$(unitdir)/lanzad-enroll-keys.service)
	$(call install_text,units/lanzad-leave-keys.service,$(unitdir)/lanzad-leave-keys.service)
	$(call install_text,units/lanzad-sign-fwupd.service,$(unitdir)/lanzad-sign-fwupd.service)
	$(call install_text,units/fwupd.service.d/lanzad.conf,$(unitdir)/fwupd.service.d/lanzad.conf)
	install -D -m 644 units/lanzad.preset $(DESTDIR)$(presetdir)/90-lanzad.preset
	install -D -m 644 -t $(DESTDIR)$(docdir) units/esp-path.conf units/reboot-after-enrollment.conf
	$(call install_text,units/lanzad.conf,$(sysconfdir)/lanza/lanzad.conf)

.PHONY: clean
clean: ## Remove what was built
	rm -rf $(B)
