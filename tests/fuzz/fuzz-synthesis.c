/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: boot */

/* The input as what stands in a toplevel without boot.json: texts with a NUL behind each, for the system and for a
 * specialisation of it. The document that is made of them is JSON, or there is none; what the parser accepts of it says
 * what the texts said. */

#include <stdlib.h>
#include <string.h>

#include "daemon/boot/bootspec.h"
#include "daemon/boot/synthesis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
        if (!condition)
                abort();
}

/* The text up to the next NUL, or the end. Owned. */
static char *take_text(Span *rest) {
        size_t length = rest->size > 0 ? strnlen((const char *)rest->data, rest->size) : 0;
        char *text = strndup(length > 0 ? (const char *)rest->data : "", length);

        require(text != NULL);
        length += length < rest->size;
        if (length > 0)
                *rest = (Span){rest->data + length, rest->size - length};
        return text;
}

static char *take_optional(Span *rest) {
        char *text = take_text(rest);

        if (*text)
                return text;
        free(text);
        return NULL;
}

static void fill(SystemFacts *facts, Span *rest) {
        facts->toplevel = strdup("/nix/store/system");
        facts->init = strdup("/nix/store/system/init");
        facts->version = take_text(rest);
        facts->system = take_text(rest);
        facts->params = take_text(rest);
        facts->kernel = take_text(rest);
        facts->release = take_optional(rest);
        facts->initrd = take_optional(rest);
        facts->secrets = take_optional(rest);
        require(facts->toplevel && facts->init);
}

static void check(const SystemFacts *facts, const Bootspec *bootspec) {
        const char *params = facts->params;

        require(strncmp(bootspec->label, "NixOS ", 6) == 0 &&
                strncmp(bootspec->label + 6, facts->version, strlen(facts->version)) == 0);
        require(!facts->release || strstr(bootspec->label, facts->release));
        require(strcmp(bootspec->kernel, facts->kernel) == 0 && strcmp(bootspec->system, facts->system) == 0);
        require(!bootspec->initrd == !facts->initrd && !bootspec->initrd_secrets == !facts->secrets);
        for (size_t i = 0; i < bootspec->kernel_params.count; i++) {
                size_t length = strlen(bootspec->kernel_params.items[i]);

                require(strncmp(params, bootspec->kernel_params.items[i], length) == 0);
                params += length;
                params += *params == ' ';
        }
        require(*params == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(system_facts_done) SystemFacts facts = {};
        _cleanup_(bootspec_done) Bootspec bootspec = {};
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(buffer_done) Buffer json = {};
        Span rest = {data, size};

        fill(&facts, &rest);
        if (rest.size > 0) {
                facts.specialisations = calloc(1, sizeof(SystemFacts));
                require(facts.specialisations != NULL);
                facts.specialisation_count = 1;
                facts.specialisations[0].name = take_text(&rest);
                fill(&facts.specialisations[0], &rest);
        }
        if (system_facts_format(&facts, &json) < 0)
                return 0;
        if (bootspec_parse(buffer_span(&json), "made", &bootspec, &failure) < 0) {
                require(failure.condition == CONDITION_BAD_BOOTSPEC);
                return 0;
        }
        check(&facts, &bootspec);
        require(bootspec.specialisation_count == facts.specialisation_count);
        if (facts.specialisation_count > 0)
                check(&facts.specialisations[0], &bootspec.specialisations[0].bootspec);
        return 0;
}
