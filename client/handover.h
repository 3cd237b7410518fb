/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What root hands to the service along with a sync, as sealed memory, for the service may not fetch it itself: another
 * configuration, and the initrd secrets of the generations. Their programs are code of those generations and are run
 * by the lanzad that was installed with us. Activation runs before the new system's /etc is in place, and its secrets
 * are wherever root keeps them. */

#include <systemd/sd-bus.h>

#include "client/verb.h"

/* What one message of the system bus can carry: 16 descriptors (dbus-daemon's max_message_unix_fds), one of them the
 * configuration. */
enum { HANDOVER_SECRETS_MAX = 15 };

typedef struct Secrets {
        char *toplevel; /* whose they are; owned */
        int fd;
} Secrets;

typedef struct Handover {
        int configuration; /* descriptor; -1: none */
        Secrets secrets[HANDOVER_SECRETS_MAX];
        size_t secret_count;
        bool too_much; /* there is more than a message can carry */
} Handover;

#define HANDOVER_NONE ((Handover){.configuration = -1})

void handover_done(Handover *handover);

/* Whether such a call, of this user, goes with a handover. */
bool handover_is_due(const char *verb);

/* Takes the file of --config, if one is given, which must be root's and writable by nobody else. Returns 0, or an exit
 * status and the error as an object, owned by the caller. */
int handover_take_configuration(Handover *handover, const Session *session, json_t **ret_error);

/* Has lanzad run the programs for the sync that OPTIONS ask for. Returns 0, or an exit status and the error as an
 * object (NULL: something was said), owned by the caller; lanzad has said it. */
int handover_take_secrets(Handover *handover, const Session *session, json_t *options, json_t **ret_error);

/* Appends the entries to the dictionary of options that is open in MESSAGE, which copies the descriptors. */
int handover_append(const Handover *handover, sd_bus_message *message);
