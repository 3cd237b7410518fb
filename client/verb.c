/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/verb.h"

#include <string.h>

/* In the order of the help. */
static const Verb *const verbs[] = {
        &setup_verb,
        &status_verb,
        &security_verb,
        &list_verb,
        &create_keys_verb,
        &enroll_keys_verb,
        &list_enrolled_keys_verb,
        &sync_verb,
        &gc_verb,
        &sign_verb,
        &monitor_verb,
};

const Verb *verb_at(size_t index) {
        return index < sizeof(verbs) / sizeof(*verbs) ? verbs[index] : NULL;
}

const Verb *verb_find(const char *name) {
        for (size_t i = 0; verb_at(i); i++)
                if (strcmp(verb_at(i)->name, name) == 0)
                        return verb_at(i);
        return NULL;
}

const Option *option_find(Options options, const char *name) {
        for (const Option *option = options; option && option->name; option++)
                if (strcmp(option->name, name) == 0)
                        return option;
        return NULL;
}
