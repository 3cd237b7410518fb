# SPDX-License-Identifier: LGPL-2.1-or-later
STUB_PURE_SOURCES :=
.PHONY: stubs
stubs: ## Build the EFI stub
