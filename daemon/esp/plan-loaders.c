/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/loader-version.h"
#include "daemon/esp/planner.h"
#include "daemon/util/file.h"

/* Whether the loader that is there has to give way. A newer one is kept only if the firmware that knows our key runs
 * it: one that nobody signed anew would stop the machine from booting, now or once that key is all there is. */
static int judge_loader(Planner *planner, LoaderPlace place, bool *ret) {
        const EspLoader *loader = &planner->inventory->loaders[place];
        const Wanted *wanted = planner->wanted;
        bool good = loader->error == 0 && (!wanted->has_signer || loader->signed_by_current);
        int order;

        *ret = false;
        if (loader->exists && !loader->regular) {
                planner->plan.blocked = true;
                return string_list_add_format(&planner->plan.warnings,
                                              "%s is no file: systemd-boot is not installed there", loader->path);
        }
        if (loader->exists && loader->size > 0 && !loader->version && place == LOADER_FALLBACK)
                return 0; /* another system's */
        if (!loader->exists || loader->size == 0 || !loader->version || loader->error < 0) {
                *ret = true;
                return 0;
        }
        order = version_compare(wanted->loader_version, loader->version);
        *ret = order > 0 || !good || (order < 0 && wanted->allow_downgrade);
        if (order < 0 && !good)
                return string_list_add_format(&planner->plan.warnings,
                                              "%s is systemd-boot %s, which the current key has not signed: it is "
                                              "replaced by %s, although that is older",
                                              loader->path, loader->version, wanted->loader_version);
        return 0;
}

int planner_write_loaders(Planner *planner) {
        static const StepKind kinds[LOADER_PLACES] = {STEP_WRITE_LOADER, STEP_WRITE_FALLBACK};
        const Wanted *wanted = planner->wanted;
        bool replace;
        int r;

        planner->loader_version = planner->inventory->loaders[LOADER_SYSTEMD].version;
        if (!wanted->loader_version || wanted->garbage_only)
                return 0;
        for (LoaderPlace place = 0; place < LOADER_PLACES; place++) {
                const EspLoader *loader = &planner->inventory->loaders[place];

                r = judge_loader(planner, place, &replace);
                if (r < 0)
                        return r;
                if (!replace || planner_is_twin(planner, loader->path))
                        continue;
                if (place == LOADER_SYSTEMD)
                        planner->loader_version = wanted->loader_version;
                r = planner_add_step(planner, (Step){.kind = kinds[place], .path = strdup(loader->path)},
                                     wanted->loader_size, loader->size);
                if (r < 0)
                        return r;
        }
        return 0;
}
