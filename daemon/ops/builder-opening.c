/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/builder-opening.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/ops/signing.h"
#include "daemon/util/worker.h"

/* A job, and what it came to. */
typedef struct Step {
        Job job;
        BuilderOpening *opening;
        int result;
        Failure failure;
} Step;

struct BuilderOpening {
        const Context *context;
        Worker *worker; /* NULL where no thread is to be had: then a step is taken by who waits for it */
        Step open, try;
        ImageBuilder builder; /* until it is taken */
        StringList warnings;
        Signer *signer; /* the builder's */
};

static BuilderOpening *opening_of(Job *job) {
        return ((Step *)job)->opening;
}

static void run_open(Job *job) {
        BuilderOpening *opening = opening_of(job);
        Step *step = &opening->open;

        step->result = signing_signer(opening->context, &opening->signer, &opening->warnings, &step->failure);
        if (step->result >= 0)
                step->result = image_builder_init(&opening->builder, opening->context, opening->signer, &step->failure);
}

static void run_try(Job *job) {
        BuilderOpening *opening = opening_of(job);
        Step *step = &opening->try;

        if (opening->open.result >= 0 && opening->signer)
                step->result =
                        key_store_try_signer(opening->context->keys, KEY_ROLE_DB, opening->signer, &step->failure);
}

int builder_opening_new(const Context *context, BuilderOpening **ret) {
        BuilderOpening *opening = calloc(1, sizeof(*opening));

        if (!opening)
                return -ENOMEM;
        opening->context = context;
        opening->open = (Step){.job.run = run_open, .opening = opening};
        opening->try = (Step){.job.run = run_try, .opening = opening};
        if (worker_new(&opening->worker) >= 0) {
                worker_submit(opening->worker, &opening->open.job);
                worker_submit(opening->worker, &opening->try.job);
        }
        *ret = opening;
        return 0;
}

BuilderOpening *builder_opening_free(BuilderOpening *opening) {
        if (opening->worker)
                worker_free(opening->worker);
        image_builder_done(&opening->builder);
        string_list_done(&opening->warnings);
        failure_done(&opening->open.failure);
        failure_done(&opening->try.failure);
        free(opening);
        return NULL;
}

static int finish(Step *step, Failure *failure) {
        if (step->opening->worker)
                worker_wait(step->opening->worker, &step->job);
        else
                step->job.run(&step->job);
        return step->result < 0 ? failure_pass(failure, &step->failure, step->result) : 0;
}

int builder_opening_take(BuilderOpening *opening, ImageBuilder *ret, StringList *warnings, Failure *failure) {
        int r = finish(&opening->open, failure);

        for (size_t i = 0; r >= 0 && i < opening->warnings.count; i++)
                r = string_list_add(warnings, opening->warnings.items[i]);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(opening->builder);
        return 0;
}

int builder_opening_check_key(BuilderOpening *opening, Failure *failure) {
        return finish(&opening->try, failure);
}
