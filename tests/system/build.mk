# SPDX-License-Identifier: LGPL-2.1-or-later
# The installed service under a real service manager: the small Debian of tests/vm, in a container.

PACKAGES += systemd-container mmdebstrap util-linux

SYSTEM_TESTS := $(wildcard tests/system/test-*.py)
