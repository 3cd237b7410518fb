/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/bus/authority.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

/* polkit's interface org.freedesktop.PolicyKit1.Authority: CheckAuthorization(subject (sa{sv}), action_id s, details
 * a{ss}, flags u, cancellation_id s) → (is_authorized b, is_challenge b, details a{ss}). */
enum { CHECK_ALLOW_USER_INTERACTION = 1 };

#define SECONDS UINT64_C(1000000)
#define ANSWER_MAX (5 * SECONDS)
#define ANSWER_WITH_PASSWORD_MAX (300 * SECONDS)

#define HINT "\nRun this as root, for example with sudo."

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

static int take_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused) {
        const Question *question = userdata;
        sd_bus_error why = SD_BUS_ERROR_NULL;
        int allowed = false, challenge = false;

        if (sd_bus_message_is_method_error(reply, /* name= */ NULL) || read_answer(reply, &allowed, &challenge) < 0) {
                allowed = false;
                sd_bus_error_setf(&why, SD_BUS_ERROR_ACCESS_DENIED,
                                  "polkit gives no answer about %s, and without one only root may do this" HINT,
                                  question->action);
        } else if (!allowed && challenge) {
                sd_bus_error_setf(
                        &why, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                        "An administrator's password is needed for %s, and the call does not allow to ask for it" HINT,
                        question->action);
        } else if (!allowed) {
                sd_bus_error_setf(&why, SD_BUS_ERROR_ACCESS_DENIED, "polkit does not allow this caller %s" HINT,
                                  question->action);
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
