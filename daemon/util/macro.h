/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Every macro of the project that a newcomer has to learn. At most ten; each says what it saves. */

#include <stddef.h>

/* Runs FUNCTION(&variable) when the variable's scope ends: ownership stands at the declaration. */
#define _cleanup_(function) __attribute__((cleanup(function)))

/* Lets the compiler check a printf-like function's arguments. */
#define _printf_(format_index, first_index) __attribute__((format(printf, format_index, first_index)))

/* The number of elements of an array (not of a pointer: that does not compile). */
#define ARRAY_LENGTH(array)                                                                                            \
        (sizeof(array) / sizeof((array)[0]) +                                                                          \
         0 * sizeof(char[1 - 2 * __builtin_types_compatible_p(typeof(array), typeof(&(array)[0]))]))

/* Hands an owned pointer on: its value is the pointer's old value, and the pointer becomes NULL. */
#define TAKE_POINTER(pointer)                                                                                          \
        ({                                                                                                             \
                typeof(pointer) _taken = (pointer);                                                                    \
                (pointer) = NULL;                                                                                      \
                _taken;                                                                                                \
        })

/* The same for a file descriptor, which becomes -EBADF. */
#define TAKE_FD(fd)                                                                                                    \
        ({                                                                                                             \
                int _taken = (fd);                                                                                     \
                (fd) = -9 /* -EBADF */;                                                                                \
                _taken;                                                                                                \
        })

/* The same for a structure that owns something; it becomes all zero. */
#define TAKE_STRUCT(structure)                                                                                         \
        ({                                                                                                             \
                typeof(structure) _taken = (structure);                                                                \
                (structure) = (typeof(structure)){};                                                                   \
                _taken;                                                                                                \
        })

/* Defines FUNCTIONp(TYPE *p), for _cleanup_(FUNCTIONp), where FUNCTION frees what a TYPE (a pointer) owns. */
#define DEFINE_POINTER_CLEANUP(type, function)                                                                         \
        static inline void function##p(type *pointer) {                                                                \
                if (*pointer)                                                                                          \
                        function(*pointer);                                                                            \
        }
