/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/list.h"

#include <errno.h>

#include "daemon/ops/survey.h"
#include "daemon/util/string-list.h"

typedef struct ListResult {
        RecordList generations, images, partitions;
        StringList warnings;
} ListResult;

static const Field result_fields[] = {
        FIELD_LIST(ListResult, generations, survey_generation_record, "generations"),
        FIELD_LIST(ListResult, images, survey_image_record, "images"),
        FIELD_LIST(ListResult, partitions, survey_partition_record, "partitions"),
        FIELD(ListResult, warnings, FIELD_STRINGS, "warnings"),
};

static const Record parameters_record = {};
static const Record result_record = RECORD(ListResult, result_fields);

/* What cannot be looked at keeps nothing else from being listed. */
static int warn(ListResult *list, int r, const Failure *failure) {
        if (r >= 0 || r == -ENOMEM || !failure->message)
                return r;
        return string_list_add(&list->warnings, failure->message);
}

static int list_partitions(const Context *context, Survey *survey, ListResult *list) {
        _cleanup_(failure_done) Failure failure = {};
        int r;

        r = warn(list, survey_partitions(context, survey, &failure), &failure);
        for (size_t i = 0; r >= 0 && i < survey->places.count; i++)
                r = warn(list, survey->places.items[i].error, &survey->places.items[i].problem);
        return r;
}

static int run(Context *context, const void *parameters, void *result, Failure *failure) {
        _cleanup_(survey_done) Survey survey = {};
        _cleanup_(failure_done) Failure no_generations = {};
        ListResult *list = result;
        int r;

        r = survey_booted(context, &survey);
        if (r >= 0)
                r = warn(list, survey_generations(context, &survey, &no_generations), &no_generations);
        /* Without it nothing is compared; status tells. */
        if (r >= 0 && survey_stubs(context, &survey, /* failure= */ NULL) == -ENOMEM)
                r = -ENOMEM;
        if (r >= 0)
                r = list_partitions(context, &survey, list);
        if (r < 0)
                return r;
        list->generations = TAKE_STRUCT(survey.generations);
        list->images = TAKE_STRUCT(survey.images);
        list->partitions = TAKE_STRUCT(survey.partitions);
        return list->warnings.count > 0 ? OPERATION_IN_PART : 0;
}

const Operation list_operation = {
        .verb = "list",
        .help = "show generations, the images on the ESP, and the ESP",
        .parameters = &parameters_record,
        .result = &result_record,
        .run = run,
};
