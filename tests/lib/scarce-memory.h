/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Memory that is short, to order. Only what is linked into the test program allocates from it: libraries do not notice.
 * Any thread's allocations count. */

/* The allocation NUMBER from now on (the next one is 1) fails, and no other; 0: none. */
void scarce_memory_begin(unsigned number);

/* Ends that, and says how many allocations there were. */
unsigned scarce_memory_end(void);
