/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who may call what: the one table. A method that is not in it is nobody's, root's neither. Properties are read by
 * everybody, and none can be written. */

typedef enum AccessKind {
        ACCESS_DENIED, /* not in the table */
        ACCESS_EVERYBODY,
        ACCESS_ACTION, /* root, and whom polkit allows the action */
} AccessKind;

typedef struct Access {
        AccessKind kind;
        const char *action;
} Access;

/* INTERFACE and MEMBER as the message has them; NULL is in no row. */
Access access_find(const char *interface, const char *member);
