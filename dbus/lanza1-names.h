/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The well-known names of the bus interface, each written once. The XML files beside this one say what they mean. */

#define LANZA1_BUS_NAME "org.lanzaboote.Lanza1"
#define LANZA1_OBJECT_PATH "/org/lanzaboote/Lanza1"
#define LANZA1_ERROR_PREFIX LANZA1_BUS_NAME ".Error."

#define LANZA1_KEYS LANZA1_BUS_NAME ".Keys"
#define LANZA1_FIRMWARE LANZA1_BUS_NAME ".Firmware"
#define LANZA1_ESP LANZA1_BUS_NAME ".Esp"
#define LANZA1_SECURITY LANZA1_BUS_NAME ".Security"
#define LANZA1_MANAGER LANZA1_BUS_NAME ".Manager"

/* fwupd's, a part of which our object has, too */
#define FWUPD_INTERFACE "org.freedesktop.fwupd"

#define PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"

/* polkit's actions */
#define LANZA1_ACTION_SYNC "org.lanzaboote.lanza1.sync"
#define LANZA1_ACTION_MANAGE_KEYS "org.lanzaboote.lanza1.manage-keys"
#define LANZA1_ACTION_ENROLL "org.lanzaboote.lanza1.enroll"

/* The key of a result that says how an operation ended that did not fail: absent, or t as in the manual page's table
 * of exit statuses (5: done in part; 6: the machine would not boot). It is no field of the operation's own. */
#define LANZA1_EXIT_STATUS "exit-status"

/* Phases of Progress that are the service's own. */
#define LANZA1_PHASE_QUEUED "queued"   /* others run first */
#define LANZA1_PHASE_WAITING "waiting" /* another program holds the lock */
