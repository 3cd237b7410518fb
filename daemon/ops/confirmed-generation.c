/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/confirmed-generation.h"

#include <string.h>

#include "daemon/esp/esp-names.h"

typedef struct Search {
        const Context *context;
        const Inventory *inventory;
} Search;

/* A number may have been given anew, and a toplevel may be of several generations: both must agree. */
static bool is_image_of(const Search *search, const EspImage *image, const Generation *generation) {
        const char *token = search->context->settings->entry_token;
        ImageName name;

        return image->facts.toplevel && boot_variant_list_find(&generation->variants, image->facts.toplevel) &&
               image_name_parse(image->name, token, &name) >= 0 &&
               image_name_is_of(&name, token, generation->profile, generation->number);
}

static bool did_boot(void *userdata, const Generation *generation) {
        const Search *search = userdata;

        for (size_t i = 0; i < search->inventory->image_count; i++) {
                const EspImage *image = &search->inventory->images[i];

                if (image->our_form && image->regular && image->error == 0 &&
                    entry_name_counter(image->name).size == 0 && is_image_of(search, image, generation))
                        return true;
        }
        return false;
}

void confirmed_generations_choose(const Context *context, const Inventory *inventory, GenerationList *list) {
        Search search = {context, inventory};

        if (context->settings->tries > 0)
                generations_choose_confirmed(list, did_boot, &search);
}
