/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the compiler's stack protector needs of the environment. */

/* Chooses this boot's value. Only a function that is itself without protection may call it, and first of all. */
void stack_protector_seed(void);

#define WITHOUT_STACK_PROTECTOR __attribute__((no_stack_protector))
