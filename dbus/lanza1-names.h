/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The well-known names of the bus interface, each written once. */

#define LANZA1_BUS_NAME "org.lanzaboote.Lanza1"
#define LANZA1_OBJECT_PATH "/org/lanzaboote/Lanza1"
#define LANZA1_ERROR_PREFIX LANZA1_BUS_NAME ".Error."
