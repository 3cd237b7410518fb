/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asks polkit, without waiting. Whatever is no clear yes is a no: polkit absent, silent, failing. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

/* ALLOWED, or WHY not: a D-Bus error to answer with, borrowed. */
typedef void (*AuthorityAnswer)(void *userdata, bool allowed, const sd_bus_error *why);

/* Whether the sender of MESSAGE may do ACTION. ANSWER is called once, later, unless *RET is unreferenced before. A
 * negative errno if the question could not be sent. */
int authority_ask(sd_bus_message *message, const char *action, AuthorityAnswer answer, void *userdata,
                  sd_bus_slot **ret);
