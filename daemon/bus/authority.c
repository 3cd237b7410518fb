/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/bus/authority.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/macro.h"
#include "dbus/lanza1-names.h"

/* polkit's interface org.freedesktop.PolicyKit1.Authority: CheckAuthorization(subject (sa{sv}), action_id s, details
 * a{ss}, flags u, cancellation_id s) → (is_authorized b, is_challenge b, details a{ss}). */
enum { CHECK_ALLOW_USER_INTERACTION = 1 };

#define SECONDS UINT64_C(1000000)
#define ANSWER_MAX (25 * SECONDS) /* as long as the bus waits for polkitd to come up */
#define ANSWER_WITH_PASSWORD_MAX (300 * SECONDS)

/* What is refused, as a person would say it, and why an administrator's password alone is sometimes not enough. */
static const struct {
        const char *action, *what, *where;
} actions[] = {
        {LANZA1_ACTION_SYNC, "writing boot images", ""},
        {LANZA1_ACTION_MANAGE_KEYS, "making or changing Secure Boot keys", ""},
        {LANZA1_ACTION_ENROLL, "changing the firmware's Secure Boot settings",
         ", given at this machine itself and not from a remote shell"},
};

typedef struct Question {
        AuthorityAnswer answer;
        void *userdata;
        const char *action;
} Question;

static int read_answer(sd_bus_message *reply, int *ret_allowed, int *ret_challenge) {
        int r;

        r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_STRUCT, "bba{ss}");
        if (r <= 0)
                return -EBADMSG;
        r = sd_bus_message_read(reply, "bb", ret_allowed, ret_challenge);
        return r <= 0 ? -EBADMSG : 0;
}

/* An action that is missing in the table is named as polkit knows it. */
static void refuse(sd_bus_error *error, const char *name, const char *action, const char *reason) {
        const char *what = action, *where = "";

        for (size_t i = 0; i < ARRAY_LENGTH(actions); i++)
                if (strcmp(actions[i].action, action) == 0) {
                        what = actions[i].what;
                        where = actions[i].where;
                }
        sd_bus_error_setf(error, name,
                          "Not authorised for %s (%s): %s\n"
                          "This takes an administrator's password%s. Or run it as root, for example with sudo.",
                          what, action, reason, where);
}

static int take_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused) {
        const Question *question = userdata;
        sd_bus_error why = SD_BUS_ERROR_NULL;
        int allowed = false, challenge = false;

        if (sd_bus_message_is_method_error(reply, /* name= */ NULL) || read_answer(reply, &allowed, &challenge) < 0) {
                allowed = false;
                refuse(&why, SD_BUS_ERROR_ACCESS_DENIED, question->action,
                       "polkit gives no answer, and without one only root may do this");
        } else if (!allowed && challenge) {
                refuse(&why, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, question->action,
                       "nobody could be asked for an administrator's password here");
        } else if (!allowed) {
                refuse(&why, SD_BUS_ERROR_ACCESS_DENIED, question->action, "polkit refuses it");
        }
        question->answer(question->userdata, allowed, &why);
        sd_bus_error_free(&why);
        return 0;
}

int authority_ask(sd_bus_message *message, const char *action, AuthorityAnswer answer, void *userdata,
                  sd_bus_slot **ret) {
        sd_bus *bus = sd_bus_message_get_bus(message);
        int interactive = sd_bus_message_get_allow_interactive_authorization(message);
        sd_bus_message *question_message = NULL;
        sd_bus_slot *slot = NULL;
        Question *question = malloc(sizeof(*question));
        int r;

        if (!question)
                return -ENOMEM;
        *question = (Question){answer, userdata, action};
        r = sd_bus_message_new_method_call(bus, &question_message, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(question_message, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                                          sd_bus_message_get_sender(message), action, 0,
                                          interactive > 0 ? CHECK_ALLOW_USER_INTERACTION : 0, "");
        if (r >= 0)
                r = sd_bus_call_async(bus, &slot, question_message, take_answer, question,
                                      interactive > 0 ? ANSWER_WITH_PASSWORD_MAX : ANSWER_MAX);
        sd_bus_message_unref(question_message);
        if (r < 0) {
                free(question);
                return r;
        }
        (void)sd_bus_slot_set_destroy_callback(slot, free);
        *ret = slot;
        return 0;
}
