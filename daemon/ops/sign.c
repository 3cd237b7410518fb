/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/sign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ops/context.h"
#include "daemon/ops/file-exchange.h"
#include "daemon/ops/parameters.h"
#include "daemon/pe/authenticode.h"
#include "daemon/util/ahead.h"
#include "daemon/util/file.h"

typedef struct SignParameters {
        WriteParameters write;
        StringList files;
        char *output;
        SealedMemory *image;
} SignParameters;

static const Field parameter_fields[] = {
        WRITE_PARAMETER_FIELDS(SignParameters),
        {.name = "files",
         .type = FIELD_STRINGS,
         .offset = offsetof(SignParameters, files),
         .help = "the EFI binaries, not below --root",
         .argument = "FILE"},
        {.name = "output",
         .type = FIELD_STRING,
         .offset = offsetof(SignParameters, output),
         .help = "write the one FILE there, and leave it as it is",
         .argument = "FILE"},
        {.name = SIGN_IMAGE,
         .type = FIELD_MEMORY,
         .offset = offsetof(SignParameters, image),
         .maximum = SIGN_MEMORY_MAX_BYTES},
};

typedef struct SignedFile {
        char *path;
        bool is_signed; /* it is signed, or would be; else it was already */
} SignedFile;

static const Field file_fields[] = {
        FIELD(SignedFile, path, FIELD_STRING, "path"),
        FIELD(SignedFile, is_signed, FIELD_BOOLEAN, "signed"),
};
static const Record file_record = RECORD(SignedFile, file_fields);

typedef struct SignResult {
        bool dry_run;
        RecordList files;
        SealedMemory *image;
} SignResult;

static const Field result_fields[] = {
        FIELD(SignResult, dry_run, FIELD_BOOLEAN, "dry-run"),
        FIELD_LIST(SignResult, files, file_record, "files"),
        FIELD(SignResult, image, FIELD_MEMORY, SIGN_IMAGE),
};

static const Record parameters_record = RECORD(SignParameters, parameter_fields);
static const Record result_record = RECORD(SignResult, result_fields);

/* What is to be signed, each with its descriptor. */
typedef struct Signing {
        const StringList *files;
        int fds[SIGN_FILES_MAX];
        bool is_good[SIGN_FILES_MAX]; /* signed already: of whoever makes that item, then of whoever took it */
        Signer *signer;
        FileExchange *exchange;
} Signing;

/* Adds a signature where there is no good one of ours. */
static int sign_bytes(Signer *signer, const char *what, Buffer *bytes, bool *ret_was_good, Failure *failure) {
        Certificate *certificate = signer_certificate(signer);
        int r = authenticode_verify(buffer_span(bytes), certificate);

        *ret_was_good = r >= 0;
        if (r >= 0 || r == -ENOMEM)
                return r;
        /* A fixed time makes the signature reproducible; the certificate's beginning is one at which it was valid. */
        r = authenticode_add(bytes, signer, certificate_not_before(certificate));
        if (r == -EBADMSG)
                return failure_set(failure, CONDITION_BAD_IMAGE,
                                   "%s cannot be signed: it is no PE image, or a damaged one", what);
        return r < 0 ? failure_set_errno(failure, r, "Cannot sign %s", what) : 0;
}

/* On any thread. */
static int sign_file(void *userdata, size_t index, Buffer *ret, Failure *failure) {
        Signing *signing = userdata;
        const char *path = signing->files->items[index];
        _cleanup_(buffer_done) Buffer bytes = {};
        int r;

        r = file_read_fd(signing->fds[index], SIGN_FILE_MAX_BYTES, &bytes);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot read %s", path);
        r = sign_bytes(signing->signer, path, &bytes, &signing->is_good[index], failure);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(bytes);
        return 0;
}

static int note_file(SignResult *result, const char *path, bool is_signed) {
        SignedFile *file = record_list_add(&result->files, &file_record);

        if (!file)
                return -ENOMEM;
        file->is_signed = is_signed;
        file->path = strdup(path);
        return file->path ? 0 : -ENOMEM;
}

/* What is good already is only written where it is not yet. */
static int take_file(Signing *signing, const SignParameters *asked, Ahead *ahead, size_t index, SignResult *result,
                     Failure *failure) {
        _cleanup_(buffer_done) Buffer bytes = {};
        int r;

        r = ahead_take(ahead, index, &bytes, failure);
        if (r >= 0 && !asked->write.dry_run && (!signing->is_good[index] || asked->output))
                r = file_exchange_write(signing->exchange, index, asked->output, buffer_span(&bytes), failure);
        return r < 0 ? r : note_file(result, asked->files.items[index], !signing->is_good[index]);
}

static int open_files(Signing *signing, Failure *failure) {
        struct stat st;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < signing->files->count; i++)
                r = file_exchange_open(signing->exchange, signing->files->items[i], &signing->fds[i], &st, failure);
        return r;
}

/* Nothing gets its name before all are signed. */
static int sign_files(Context *context, Signer *signer, const SignParameters *asked, SignResult *result,
                      Failure *failure) {
        _cleanup_(file_exchange_freep) FileExchange *exchange = NULL;
        _cleanup_(ahead_freep) Ahead *ahead = NULL;
        Signing signing = {.files = &asked->files, .signer = signer};
        int r;

        r = file_exchange_new(&exchange);
        if (r < 0)
                return r;
        signing.exchange = exchange;
        r = open_files(&signing, failure);
        if (r >= 0)
                r = ahead_new(sign_file, &signing, asked->files.count, &ahead);
        for (size_t i = 0; r >= 0 && i < asked->files.count; i++) {
                r = take_file(&signing, asked, ahead, i, result, failure);
                context_progress(context, "sign", i + 1, asked->files.count);
        }
        return r < 0 ? r : file_exchange_finish(exchange, failure);
}

static int sign_memory(Signer *signer, const SignParameters *asked, SignResult *result, Failure *failure) {
        _cleanup_(buffer_done) Buffer bytes = {};
        bool was_good;
        int r;

        r = sealed_memory_read(asked->image, &bytes);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot read the image that was handed over");
        r = sign_bytes(signer, "The image", &bytes, &was_good, failure);
        return r < 0 ? r : sealed_memory_make("signed-image", buffer_span(&bytes), &result->image);
}

static int check_asked(const SignParameters *asked, Failure *failure) {
        if (!asked->image && asked->files.count == 0)
                return parameter_refused(failure, "Nothing can be signed: no file is named");
        if (asked->files.count > SIGN_FILES_MAX)
                return parameter_refused(failure, "%zu files cannot be signed in one run: %d can", asked->files.count,
                                         SIGN_FILES_MAX);
        if (asked->output && asked->files.count != 1)
                return parameter_refused(failure, "%zu files cannot be written as one: --output is for a single one",
                                         asked->files.count);
        return 0;
}

/* Where there are no keys, no folder is made to be locked. */
static int open_signer(Context *context, const WriteParameters *write, Signer **ret, Failure *failure) {
        _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
        int r;

        r = key_store_certificate(context->keys, KEY_ROLE_DB, &certificate, failure);
        if (r >= 0 && !write->dry_run)
                r = context_lock_keys(context, write, failure);
        return r < 0 ? r : key_store_signer(context->keys, KEY_ROLE_DB, ret, failure);
}

static int run(Context *context, const void *parameters, void *made, Failure *failure) {
        const SignParameters *asked = parameters;
        _cleanup_(signer_freep) Signer *signer = NULL;
        SignResult *result = made;
        int r;

        result->dry_run = asked->write.dry_run;
        r = check_asked(asked, failure);
        if (r >= 0)
                r = open_signer(context, &asked->write, &signer, failure);
        if (r < 0)
                return r;
        r = asked->image ? sign_memory(signer, asked, result, failure)
                         : sign_files(context, signer, asked, result, failure);
        context->signatures += signer_signature_count(signer);
        return r;
}

const Operation sign_operation = {
        .verb = "sign",
        .help = "sign EFI binaries with the key of db, beside the signatures that they have",
        .mutates = true,
        .parameters = &parameters_record,
        .result = &result_record,
        .positional = "files",
        .run = run,
};
