/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sets OpenSSL up for this program, before anything else uses it: without the system's openssl.cnf, which could load
 * code into a privileged process, and in which no mistake may keep a machine from booting. */
void crypto_set_up(void);
