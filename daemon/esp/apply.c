/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Steps of one kind are taken together, between barriers:
 *
 *     writing   temporary files, barrier, renames, barrier
 *     removing  removals, barrier, the clusters are let go of, barrier
 *
 * What that buys, on a file system without a journal whose writes the disk may reorder between two flushes:
 *
 * - a name never refers to bytes that are not there yet: they were durable before the rename was asked for;
 * - clusters are written to only when it is durable that nobody refers to them any more. So removals end with a
 * barrier, and a file that a rename replaces is held open until the rename is durable (vfat frees its clusters at once
 *   otherwise, and a cut may show the old entry with someone else's bytes);
 * - images appear after their contents and go before them.
 *
 * Where room had to be made, removals come before the writing phases too, and end with the same barriers.
 *
 * There is a barrier before the first write too: another program may have removed files without one. The file systems
 * of the sources become durable meanwhile: nothing gets its name, and nothing is removed, before they are. */

#include "daemon/esp/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/crypto/stream-digest.h"
#include "daemon/esp/esp-names.h"
#include "daemon/util/encode.h"
#include "daemon/util/file.h"
#include "daemon/util/flush.h"

enum {
        BATCH_MAX = 256,           /* files that are held open at once */
        TEMPORARY_TRIES_MAX = 256, /* names that others may have taken */
};

typedef struct Apply {
        EspIo *io;
        const Wanted *wanted;
        const Plan *plan;
        const ApplySources *sources;
        ApplyResult *result;
        Flush flush;                /* of the sources' file systems */
        uint64_t written, to_write; /* bytes, for progress; clusters, as planned */
        unsigned next_temporary;
} Apply;

/* A file on its way to its name. */
typedef struct Pending {
        const Step *step;
        char *temporary; /* path; NULL as soon as it has its name */
        EspFile *held;   /* what stood under that name before */
        uint64_t size;
} Pending;

static bool is_write(StepKind kind) {
        return kind >= STEP_WRITE_CONTENT && kind <= STEP_WRITE_LOADER_CONF;
}

/* MORE: bytes of a file that is being written. */
static void report_progress(Apply *apply, StepKind kind, uint64_t more) {
        if (apply->sources->progress)
                apply->sources->progress(apply->sources->userdata, kind, apply->written + more, apply->to_write);
}

/* What an operation on the volume failed with, in words. */
static int io_failure(int error, const char *what, const char *path, Failure *failure) {
        if (error == -EROFS)
                return failure_set(failure, CONDITION_ESP_READ_ONLY,
                                   "Cannot %s %s: the EFI system partition is read-only", what, path);
        return failure_set_errno(failure, error, "Cannot %s %s on the EFI system partition", what, path);
}

/* Says how much is missing for what STEP and all after it take. Called when nothing of theirs is on the volume. */
static int full_failure(Apply *apply, const Step *step, Failure *failure) {
        uint64_t needed = 0, available = 0;

        for (; step < apply->plan->steps + apply->plan->step_count; step++)
                needed += step->takes;
        if (apply->io->free_bytes(apply->io, &available) < 0)
                available = 0;
        return failure_set(failure, CONDITION_ESP_FULL,
                           "The EFI system partition is full: at least %" PRIu64 " bytes are missing",
                           needed > available ? needed - available : 1);
}

static int barrier(Apply *apply, Failure *failure) {
        int r = apply->io->barrier(apply->io);

        return r < 0 ? io_failure(r, "make changes durable in", "/", failure) : 0;
}

/* Before the first change that counts. */
static int wait_for_sources(Apply *apply, Failure *failure) {
        int r = flush_wait(&apply->flush);

        return r < 0 ? failure_set_errno(failure, r,
                                         "Cannot make the file systems of the store and the profiles durable")
                     : 0;
}

/* --- Temporary files ------------------------------------------------------------------------------------------ */

static int create_temporary(Apply *apply, const char *path, EspFile **ret_file, char **ret_path) {
        const char *slash = strrchr(path, '/');
        char name[TEMPORARY_NAME_SIZE];
        int r = -EEXIST;

        for (unsigned tries = 0; tries < TEMPORARY_TRIES_MAX && r == -EEXIST; tries++) {
                _cleanup_(free_pointer) char *temporary = NULL;

                temporary_name_format(apply->next_temporary++, name);
                if (asprintf(&temporary, "%.*s/%s", (int)(slash - path), path, name) < 0) {
                        temporary = NULL;
                        return -ENOMEM;
                }
                r = apply->io->create(apply->io, temporary, ret_file);
                if (r >= 0)
                        *ret_path = TAKE_POINTER(temporary);
        }
        return r;
}

static int check_digest(const Sha256 *hash, uint64_t size, const WantedContent *content, Failure *failure) {
        _cleanup_(free_pointer) char *expected = NULL, *found = NULL;

        if (size == content->size && sha256_equal(hash, &content->hash))
                return 0;
        expected = hex_encode((Span){content->hash.bytes, SHA256_SIZE});
        found = hex_encode((Span){hash->bytes, SHA256_SIZE});
        failure_set(failure, CONDITION_FAILED,
                    "The source of %s changed while it was copied: expected %" PRIu64 " bytes with SHA-256 %s, found "
                    "%" PRIu64 " with %s",
                    content->name, content->size, expected ?: "?", size, found ?: "?");
        return -EBADMSG;
}

/* Copies from SOURCE to FILE until the end and checks what was copied. Never reads much more than is expected. */
static int copy_content(Apply *apply, int source, const WantedContent *content, EspFile *file, Failure *failure) {
        _cleanup_(stream_digest_freep) StreamDigest *stream = NULL;
        uint64_t size = 0;
        Sha256 hash;
        ssize_t n;
        int r;

        r = stream_digest_new(&stream);
        if (r < 0)
                return r;
        for (; size <= content->size; size += n) {
                uint8_t *piece = stream_digest_piece(stream);

                n = pread(source, piece, STREAM_PIECE_BYTES, size);
                if (n < 0 && errno == EINTR) {
                        n = 0;
                        continue;
                }
                if (n < 0)
                        return failure_set_errno(failure, -errno, "Cannot read the source of %s", content->name);
                if (n == 0)
                        break;
                r = stream_digest_add(stream, n);
                if (r < 0)
                        return r;
                r = apply->io->write(apply->io, file, (Span){piece, n});
                if (r < 0)
                        return r;
                report_progress(apply, STEP_WRITE_CONTENT, size + n);
        }
        r = stream_digest_final(stream, &hash);
        return r < 0 ? r : check_digest(&hash, size, content, failure);
}

static int write_content(Apply *apply, const WantedContent *content, EspFile *file, uint64_t *ret_size,
                         Failure *failure) {
        const ApplySources *sources = apply->sources;
        _cleanup_(close_fd) int source = -EBADF;
        int r;

        r = sources->open_content(sources->userdata, content, &source, failure);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot open the source of %s", content->name);
        *ret_size = content->size;
        return copy_content(apply, source, content, file, failure);
}

/* The whole of an image, a loader or loader.conf. */
static int build(Apply *apply, const Step *step, Buffer *ret, Failure *failure) {
        const ApplySources *sources = apply->sources;
        int r;

        if (step->kind == STEP_WRITE_LOADER_CONF)
                r = buffer_append(ret, buffer_span(&apply->plan->loader_conf));
        else if (step->kind == STEP_WRITE_IMAGE)
                r = sources->build_image(sources->userdata, step->image, ret, failure);
        else
                r = sources->build_loader(sources->userdata, ret, failure);
        return r < 0 ? failure_set_errno(failure, r, "Cannot make %s", step->path) : 0;
}

static int write_bytes(Apply *apply, const Step *step, EspFile *file, uint64_t *ret_size, Failure *failure) {
        _cleanup_(buffer_done) Buffer bytes = {};
        int r;

        r = build(apply, step, &bytes, failure);
        if (r < 0)
                return r;
        *ret_size = bytes.size;
        return apply->io->write(apply->io, file, buffer_span(&bytes));
}

static int make_folders_of(Apply *apply, const char *path) {
        _cleanup_(free_pointer) char *folder = strndup(path, strrchr(path, '/') - path);

        return folder ? apply->io->make_folders(apply->io, folder) : -ENOMEM;
}

static int write_temporary(Apply *apply, Pending *pending, Failure *failure) {
        const Step *step = pending->step;
        EspFile *file;
        int r, closed;

        r = create_temporary(apply, step->path, &file, &pending->temporary);
        if (r == -ENOENT) {
                r = make_folders_of(apply, step->path);
                if (r >= 0)
                        r = create_temporary(apply, step->path, &file, &pending->temporary);
        }
        if (r < 0)
                return r;
        r = step->kind == STEP_WRITE_CONTENT ? write_content(apply, step->content, file, &pending->size, failure)
                                             : write_bytes(apply, step, file, &pending->size, failure);
        closed = apply->io->close(apply->io, file);
        if (r < 0 || closed < 0)
                return r < 0 ? r : closed;
        apply->written += step->takes;
        report_progress(apply, step->kind, 0);
        return 0;
}

/* --- Names ---------------------------------------------------------------------------------------------------- */

/* The name under which the entry of NAME stands now: NAME itself, or else one with another boot counter (an entry may
 * have several files). Owned; NULL if it is gone. */
static int find_entry(Apply *apply, const char *name, char **ret) {
        _cleanup_(string_list_done) StringList names = {};
        const char *found = NULL;
        int r;

        r = apply->io->list(apply->io, ESP_IMAGE_FOLDER, &names);
        if (r < 0)
                return r;
        for (size_t i = 0; i < names.count; i++)
                if (fat_name_equal(names.items[i], name) || (!found && entry_name_equal(names.items[i], name)))
                        found = names.items[i];
        *ret = found ? strdup(found) : NULL;
        return found && !*ret ? -ENOMEM : 0;
}

/* The path that a step's file gets: as planned, but with the boot counter that its forerunner has now. */
static int final_path(Apply *apply, const Step *step, char **ret) {
        _cleanup_(free_pointer) char *forerunner = NULL, *name = NULL;
        int r;

        if (step->counter_from) {
                r = find_entry(apply, step->counter_from, &forerunner);
                if (r < 0)
                        return r;
        }
        if (!forerunner) {
                *ret = strdup(step->path);
                return *ret ? 0 : -ENOMEM;
        }
        name = entry_name_with_counter(step->image->name, entry_name_counter(forerunner));
        if (!name)
                return -ENOMEM;
        *ret = path_join(ESP_IMAGE_FOLDER, name);
        return *ret ? 0 : -ENOMEM;
}

static const char *file_name(const char *path) {
        return strrchr(path, '/') + 1;
}

static int record_written(Apply *apply, StepKind kind, const char *path, uint64_t size) {
        apply->result->bytes_written += size;
        switch (kind) {
        case STEP_WRITE_CONTENT:
                return string_list_add(&apply->result->contents_written, file_name(path));
        case STEP_WRITE_IMAGE:
                return string_list_add(&apply->result->images_written, file_name(path));
        default:
                return string_list_add(&apply->result->loaders_written, path);
        }
}

static int rename_pending(Apply *apply, Pending *pending) {
        _cleanup_(free_pointer) char *path = NULL;
        int r;

        r = final_path(apply, pending->step, &path);
        if (r < 0)
                return r;
        r = apply->io->hold(apply->io, path, &pending->held);
        if (r < 0 && r != -ENOENT)
                return r;
        r = apply->io->rename(apply->io, pending->temporary, path);
        if (r < 0)
                return r;
        free(TAKE_POINTER(pending->temporary));
        return record_written(apply, pending->step->kind, path, pending->size);
}

/* --- Phases --------------------------------------------------------------------------------------------------- */

/* Lets go of a batch. Temporary files that did not get their name are removed. */
static void drop_batch(Apply *apply, Pending *pending, size_t count) {
        for (size_t i = 0; i < count; i++) {
                if (pending[i].temporary)
                        apply->io->remove(apply->io, pending[i].temporary);
                if (pending[i].held)
                        apply->io->close(apply->io, pending[i].held);
                free(pending[i].temporary);
        }
}

static int run_batch(Apply *apply, Pending *pending, size_t count, Failure *failure) {
        int r;

        for (size_t i = 0; i < count; i++) {
                r = write_temporary(apply, &pending[i], failure);
                if (r == -ENOSPC)
                        return r;
                if (r < 0)
                        return io_failure(r, "write", pending[i].step->path, failure);
        }
        r = barrier(apply, failure);
        if (r >= 0)
                r = wait_for_sources(apply, failure);
        if (r < 0)
                return r;
        for (size_t i = 0; i < count; i++) {
                r = rename_pending(apply, &pending[i]);
                if (r < 0 && r != -ENOSPC)
                        io_failure(r, "give its name to", pending[i].step->path, failure);
                if (r < 0)
                        break;
        }
        /* What has its name by now is made durable in any case: what it replaced is let go of next. */
        return barrier(apply, failure) < 0 && r >= 0 ? -EIO : r;
}

static int write_batch(Apply *apply, const Step *steps, size_t count, Failure *failure) {
        Pending pending[BATCH_MAX] = {};
        int r;

        for (size_t i = 0; i < count; i++)
                pending[i].step = &steps[i];
        r = run_batch(apply, pending, count, failure);
        drop_batch(apply, pending, count);
        return r == -ENOSPC ? full_failure(apply, steps, failure) : r;
}

/* Removes the file at PATH, which stays allocated until *RET_HELD is closed (NULL if it can't be opened). */
static int remove_path(Apply *apply, const char *path, EspFile **ret_held) {
        EspFile *held = NULL;
        int r;

        if (apply->io->hold(apply->io, path, &held) < 0)
                held = NULL;
        r = apply->io->remove(apply->io, path);
        if (r >= 0)
                *ret_held = TAKE_POINTER(held);
        if (held)
                apply->io->close(apply->io, held);
        return r;
}

/* Whether an image is there to stay: that it has the entry of one that goes is not enough to remove it. */
static bool is_to_stay(const Apply *apply, const char *name) {
        return string_list_has_name(&apply->plan->image_files, name) ||
               string_list_has_name(&apply->result->images_written, name);
}

/* Removes a file; an image also if its boot counter changed since it was seen. Gone already is fine. */
static int remove_file(Apply *apply, const Step *step, EspFile **ret_held) {
        _cleanup_(free_pointer) char *name = NULL, *path = NULL;
        int r;

        r = remove_path(apply, step->path, ret_held);
        if (r != -ENOENT)
                return r;
        if (step->kind != STEP_REMOVE_IMAGE)
                return 0;
        r = find_entry(apply, file_name(step->path), &name);
        if (r < 0 || !name || is_to_stay(apply, name))
                return r;
        path = path_join(ESP_IMAGE_FOLDER, name);
        if (!path)
                return -ENOMEM;
        return remove_path(apply, path, ret_held);
}

static int record_removed(Apply *apply, const Step *step) {
        if (step->kind == STEP_REMOVE_TEMPORARY)
                return 0;
        apply->result->bytes_removed += step->frees;
        return string_list_add(step->kind == STEP_REMOVE_IMAGE   ? &apply->result->images_removed
                               : step->kind == STEP_REMOVE_ENTRY ? &apply->result->entries_removed
                                                                 : &apply->result->contents_removed,
                               file_name(step->path));
}

static int run_removals(Apply *apply, const Step *steps, size_t count, EspFile **held, Failure *failure) {
        int r;

        for (size_t i = 0; i < count; i++) {
                r = remove_file(apply, &steps[i], &held[i]);
                if (r < 0)
                        return io_failure(r, "remove", steps[i].path, failure);
                r = record_removed(apply, &steps[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int remove_batch(Apply *apply, const Step *steps, size_t count, Failure *failure) {
        EspFile *held[BATCH_MAX] = {};
        int r, durable;

        r = wait_for_sources(apply, failure);
        if (r < 0)
                return r;
        r = run_removals(apply, steps, count, held, failure);
        durable = barrier(apply, failure);
        for (size_t i = 0; i < count; i++)
                if (held[i])
                        apply->io->close(apply->io, held[i]);
        if (r < 0 || durable < 0)
                return r < 0 ? r : durable;
        return barrier(apply, failure);
}

/* Steps of one kind, so many at a time that not too many files are open. */
static int run_phase(Apply *apply, const Step *steps, size_t count, Failure *failure) {
        int r;

        report_progress(apply, steps->kind, 0);
        for (size_t i = 0; i < count; i += BATCH_MAX) {
                size_t batch = count - i < BATCH_MAX ? count - i : BATCH_MAX;

                r = is_write(steps->kind) ? write_batch(apply, steps + i, batch, failure)
                                          : remove_batch(apply, steps + i, batch, failure);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int run_phases(Apply *apply, size_t from, size_t end, Failure *failure) {
        const Plan *plan = apply->plan;
        size_t to;
        int r;

        for (; from < end; from = to) {
                StepKind kind = plan->steps[from].kind;

                for (to = from; to < end && plan->steps[to].kind == kind;)
                        to++;
                r = run_phase(apply, plan->steps + from, to - from, failure);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* How many steps there are up to the last that writes. */
static size_t count_writing(const Plan *plan) {
        size_t count = plan->step_count;

        while (count > 0 && !is_write(plan->steps[count - 1].kind))
                count--;
        return count;
}

static Apply apply_of(EspIo *io, const Wanted *wanted, const Plan *plan, const ApplySources *sources,
                      ApplyResult *result) {
        return (Apply){
                .io = io,
                .wanted = wanted,
                .plan = plan,
                .sources = sources,
                .result = result,
                .to_write = plan->takes,
        };
}

static int begin(Apply *apply, Failure *failure) {
        flush_start(&apply->flush, apply->sources->durable_fds, apply->sources->durable_count);
        return barrier(apply, failure);
}

int apply_writes(EspIo *io, const Wanted *wanted, const Plan *plan, const ApplySources *sources, ApplyResult *ret,
                 Failure *failure) {
        Apply apply = apply_of(io, wanted, plan, sources, ret);
        size_t count = count_writing(plan);
        int r = 0;

        *ret = (ApplyResult){.images_kept = plan->images_kept, .contents_kept = plan->contents_kept};
        if (count > 0)
                r = begin(&apply, failure);
        if (r >= 0)
                r = run_phases(&apply, 0, count, failure);
        flush_done(&apply.flush);
        ret->all_written = r >= 0;
        return r;
}

int apply_garbage(EspIo *io, const Wanted *wanted, const Plan *plan, const ApplySources *sources, ApplyResult *result,
                  Failure *failure) {
        Apply apply = apply_of(io, wanted, plan, sources, result);
        size_t first = count_writing(plan);
        int r = 0;

        apply.written = plan->takes;
        /* What was written ended with a barrier. */
        if (first == 0 && plan->step_count > 0)
                r = begin(&apply, failure);
        if (r >= 0)
                r = run_phases(&apply, first, plan->step_count, failure);
        flush_done(&apply.flush);
        return r;
}

int apply_plan(EspIo *io, const Wanted *wanted, const Plan *plan, const ApplySources *sources, ApplyResult *ret,
               Failure *failure) {
        int r;

        r = apply_writes(io, wanted, plan, sources, ret, failure);
        return r < 0 ? r : apply_garbage(io, wanted, plan, sources, ret, failure);
}

void apply_result_done(ApplyResult *result) {
        string_list_done(&result->images_written);
        string_list_done(&result->images_removed);
        string_list_done(&result->contents_written);
        string_list_done(&result->contents_removed);
        string_list_done(&result->entries_removed);
        string_list_done(&result->loaders_written);
        *result = (ApplyResult){};
}
