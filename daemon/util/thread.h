/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <pthread.h>

/* Starts a thread with all signals blocked: they stay with the threads that wait for them. A negative errno. */
int thread_start(pthread_t *ret, void *(*run)(void *userdata), void *userdata);
