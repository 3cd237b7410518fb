/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-names.h"
#include "daemon/esp/plan.h"

void wanted_done(Wanted *wanted) {
        for (size_t i = 0; i < wanted->image_count; i++) {
                free(wanted->images[i].name);
                free(wanted->images[i].title);
                free(wanted->images[i].toplevel);
                string_list_done(&wanted->images[i].contents);
        }
        free(wanted->images);
        for (size_t i = 0; i < wanted->content_count; i++)
                free(wanted->contents[i].name);
        free(wanted->contents);
        for (size_t i = 0; i < wanted->shielded_count; i++)
                free(wanted->shielded[i].profile);
        free(wanted->shielded);
        free(wanted->token);
        string_list_done(&wanted->toplevels);
        free(wanted->machine_id);
        free(wanted->booted_entry);
        free(wanted->booted_toplevel);
        free(wanted->loader_version);
        buffer_done(&wanted->loader_lines);
        *wanted = (Wanted){};
}

int wanted_add_image(Wanted *wanted, WantedImage **ret) {
        WantedImage *images = reallocarray(wanted->images, wanted->image_count + 1, sizeof(*images));

        if (!images)
                return -ENOMEM;
        wanted->images = images;
        images[wanted->image_count] = (WantedImage){};
        *ret = &images[wanted->image_count++];
        return 0;
}

int wanted_add_content(Wanted *wanted, const char *name, WantedContent **ret) {
        WantedContent *contents;
        char *copy;

        for (size_t i = 0; i < wanted->content_count; i++)
                if (fat_name_equal(wanted->contents[i].name, name)) {
                        *ret = &wanted->contents[i];
                        return 0;
                }
        contents = reallocarray(wanted->contents, wanted->content_count + 1, sizeof(*contents));
        if (!contents)
                return -ENOMEM;
        wanted->contents = contents;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        contents[wanted->content_count] = (WantedContent){.name = copy};
        *ret = &contents[wanted->content_count++];
        return 0;
}

int wanted_add_shielded(Wanted *wanted, const char *profile, uint64_t generation) {
        ShieldedGeneration *shielded =
                reallocarray(wanted->shielded, wanted->shielded_count + 1, sizeof(wanted->shielded[0]));
        char *copy;

        if (!shielded)
                return -ENOMEM;
        wanted->shielded = shielded;
        copy = strdup(profile ?: "");
        if (!copy)
                return -ENOMEM;
        shielded[wanted->shielded_count++] = (ShieldedGeneration){copy, generation};
        return 0;
}
