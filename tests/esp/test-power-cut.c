/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Cuts the power of a modelled vfat at every moment of a run, and holds what is left against the invariant: every image
 * under its final name refers to complete files whose hashes match, and the booted one is among them. Then runs again
 * from there, with and without a file system check between, until the job is done. */

#include "tests/esp/vfat-model.h"

#define SYSTEMD "EFI/systemd/systemd-bootx64.efi"
#define FALLBACK "EFI/BOOT/BOOTX64.EFI"

enum { ROOM = 14 * MODEL_CLUSTER }; /* where there is not enough */

/* Contents of a few clusters each. */
static char *k1, *k2, *k3, *i1, *i2, *i3;

static FakeGeneration one, two, three, three_rekeyed, two_rekeyed;

static void make_generations(void) {
        char **texts[] = {&k1, &k2, &k3, &i1, &i2, &i3};

        for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
                g_autofree char *padding = g_strnfill(500 + 40 * i, 'a' + i);

                *texts[i] = g_strdup_printf("content %u %s", i, padding);
        }
        one = (FakeGeneration){.number = 1, .toplevel = "/nix/store/1", .kernel = k1, .initrd = i1};
        two = (FakeGeneration){.number = 2, .toplevel = "/nix/store/2", .kernel = k2, .initrd = i2};
        three = (FakeGeneration){
                .number = 3, .toplevel = "/nix/store/3", .kernel = k2, .initrd = i3, .is_default = true, .tries = 3};
        two_rekeyed = two;
        two_rekeyed.key = "new";
        three_rekeyed = three;
        three_rekeyed.key = "new";
}

/* What a run starts from, and what it is to reach. */
typedef struct Scenario {
        const char *name;
        void (*prepare)(EspIo *io);
        const FakeGeneration *wanted[3];
        const FakeGeneration *booted; /* NULL: nothing of ours */
        unsigned left_out;            /* so many of the wanted ones, for want of room */
} Scenario;

static void put(EspIo *io, const char *path, const char *text) {
        g_autofree char *folder = g_path_get_dirname(path);
        EspFile *file;

        g_assert_cmpint(io->make_folders(io, folder), ==, 0);
        g_assert_cmpint(io->create(io, path, &file), ==, 0);
        if (*text)
                g_assert_cmpint(io->write(io, file, span_from_string(text)), ==, 0);
        g_assert_cmpint(io->close(io, file), ==, 0);
}

static void put_content(EspIo *io, ContentKind kind, const char *text) {
        g_autofree char *path = content_path(kind, text);

        put(io, path, text);
}

static void put_image(EspIo *io, const FakeGeneration *generation, const char *signer, const char *counter) {
        g_autofree char *path = image_path(generation, counter);
        g_autofree char *text = fake_image(generation->toplevel, signer, generation->kernel, generation->initrd);

        put(io, path, text);
}

static void put_loaders(EspIo *io, const char *version) {
        g_autofree char *text =
                g_strdup_printf("MZ\nsigner=current\n#### LoaderInfo: systemd-boot %s ####\nend\n", version);

        put(io, SYSTEMD, text);
        put(io, FALLBACK, text);
        put(io, "loader/loader.conf", "default of old\n");
}

static void prepare_fresh(EspIo *io) {
}

static void prepare_update(EspIo *io) {
        put_content(io, CONTENT_KERNEL, k1);
        put_content(io, CONTENT_INITRD, i1);
        put_content(io, CONTENT_KERNEL, k2);
        put_content(io, CONTENT_INITRD, i2);
        put_content(io, CONTENT_KERNEL, k3);
        put_image(io, &one, "current", "");
        put_image(io, &two, "current", "+2-1");
        put_loaders(io, "256");
        put(io, "EFI/nixos/LANZ0001.TMP", "an earlier run was cut, too");
        put(io, "EFI/Linux/other.efi", "MZ another system's\nend\n");
}

static void prepare_rekey(EspIo *io) {
        put_content(io, CONTENT_KERNEL, k2);
        put_content(io, CONTENT_INITRD, i2);
        put_content(io, CONTENT_INITRD, i3);
        put_image(io, &two, "held", "");
        put_image(io, &three, "held", "+1-2");
        put_loaders(io, "257");
}

/* What fsck or an interrupted run leaves: empty and short files under final names. */
static void prepare_damaged(EspIo *io) {
        g_autofree char *kernel = content_path(CONTENT_KERNEL, k1), *image = image_path(&three, "+3");

        put_content(io, CONTENT_KERNEL, k2);
        put_content(io, CONTENT_INITRD, i2);
        put_image(io, &two, "current", "");
        put(io, kernel, "cut off");
        put(io, image, "");
        put(io, SYSTEMD, "");
        put(io, FALLBACK, "MZ\nsigner=held\n#### LoaderInfo: systemd-boot 257 ####\nend\n");
        put(io, "loader/loader.conf", "");
}

/* There is no room for all beside what is there: something goes first, and its clusters are written over. */
static void prepare_full(EspIo *io) {
        uint64_t free_bytes;

        prepare_update(io);
        for (unsigned i = 0; io->free_bytes(io, &free_bytes) >= 0 && free_bytes > ROOM; i++) {
                unsigned clusters = MIN((free_bytes - ROOM) / MODEL_CLUSTER, MODEL_FILE_CLUSTERS);
                g_autofree char *path = g_strdup_printf("EFI/nixos/somebody's-%u", i);
                g_autofree char *text = g_strnfill(clusters * MODEL_CLUSTER, 's');

                put(io, path, text);
        }
}

static const Scenario scenarios[] = {
        {"fresh", prepare_fresh, {&three, &two, &one}, NULL},
        {"update", prepare_update, {&three, &two}, &one},
        {"rekey", prepare_rekey, {&three_rekeyed, &two_rekeyed}, &two},
        {"damaged", prepare_damaged, {&three, &two, &one}, &two},
        {"full", prepare_full, {&three, &two}, &two},
        {"too full", prepare_full, {&three, &two, &one}, &two, .left_out = 1},
};

static void want(const Scenario *scenario, Wanted *wanted) {
        *wanted = (Wanted){.has_signer = true, .loader_version = strdup("257"), .loader_size = 100};
        for (unsigned i = 0; i < G_N_ELEMENTS(scenario->wanted) && scenario->wanted[i]; i++)
                want_generation(wanted, scenario->wanted[i]);
        if (scenario->booted)
                wanted->booted_entry = fake_image_name(scenario->booted);
        wanted->has_loader_conf = true;
        g_assert_cmpint(buffer_append_string(&wanted->loader_lines, "timeout 1\n"), ==, 0);
}

/* --- Judging -------------------------------------------------------------------------------------------------- */

static bool is_complete_image(const char *text) {
        return g_str_has_prefix(text, "MZ") && g_str_has_suffix(text, "\nend\n");
}

/* Whether what stands under this path is what its name says. */
static bool is_complete_content(ModelDisk *disk, const char *path) {
        ModelName *name = model_disk_find(disk, path);
        g_autofree char *text = NULL, *expected = NULL;
        ContentName parsed;
        Sha256 hash;

        if (!name || content_name_parse(strrchr(path, '/') + 1, &parsed) < 0)
                return false;
        text = model_disk_read(disk, &name->entry);
        hash = fake_hash(text);
        expected = base32_encode((Span){hash.bytes, sizeof(hash.bytes)});
        return span_equal(parsed.hash, span_from_string(expected));
}

/* What is wrong with the image that is TEXT, or NULL. Owned. */
static char *judge_image(ModelDisk *disk, const char *path, const char *text) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

        if (!is_complete_image(text))
                return g_strdup_printf("%s is not complete", path);
        for (char **line = lines; *line; line++) {
                g_autofree char *reference = NULL;

                if (!g_str_has_prefix(*line, "reference=\\"))
                        continue;
                reference = g_strdelimit(g_strdup(*line + strlen("reference=\\")), "\\", '/');
                if (!is_complete_content(disk, reference))
                        return g_strdup_printf("%s refers to %s, which is missing or not complete", path, reference);
        }
        return NULL;
}

static bool has_complete_loader(ModelDisk *disk) {
        static const char *const paths[] = {SYSTEMD, FALLBACK};

        for (unsigned i = 0; i < G_N_ELEMENTS(paths); i++) {
                ModelName *name = model_disk_find(disk, paths[i]);
                g_autofree char *text = name ? model_disk_read(disk, &name->entry) : NULL;

                if (text && is_complete_image(text))
                        return true;
        }
        return false;
}

/* A file that can't be read though it has its final name, or NULL: it may be empty, or old, or new, but it is whole. */
static const char *find_unsound(const ModelDisk *disk) {
        for (unsigned i = 0; i < MODEL_FILES; i++)
                if (disk->names[i].path && !temporary_name_valid(strrchr(disk->names[i].path, '/') + 1) &&
                    !model_disk_sound(disk, &disk->names[i].entry))
                        return disk->names[i].path;
        return NULL;
}

/* What the invariant says against DISK, or NULL. An empty file is no image (systemd-boot shows none), but the booted
 * one must be one. Owned. */
static char *judge(ModelDisk *disk, const Scenario *scenario, bool had_loader) {
        g_autofree char *booted = scenario->booted ? fake_image_name(scenario->booted) : NULL;
        bool booted_found = !booted;
        ImageName parsed;

        if (find_unsound(disk))
                return g_strdup_printf("%s cannot be read", find_unsound(disk));

        for (unsigned i = 0; i < MODEL_FILES; i++) {
                ModelName *name = &disk->names[i];
                g_autofree char *text = NULL;
                char *problem;

                if (!name->path || !g_str_has_prefix(name->path, "EFI/Linux/") || name->entry.size == 0 ||
                    image_name_parse(name->path + strlen("EFI/Linux/"), NULL, &parsed) < 0)
                        continue;
                text = model_disk_read(disk, &name->entry);
                problem = judge_image(disk, name->path, text);
                if (problem)
                        return problem;
                if (booted && entry_name_equal(name->path + strlen("EFI/Linux/"), booted))
                        booted_found = true;
        }
        if (!booted_found)
                return g_strdup("the booted image is gone");
        if (had_loader && !has_complete_loader(disk))
                return g_strdup("no boot loader is complete");
        return NULL;
}

/* --- Running -------------------------------------------------------------------------------------------------- */

/* Makes real files of the model's, for the inventory. (test_write() would wait for the disk each time.) */
static void materialize(const ModelDisk *disk, Volume *volume) {
        static const char *const folders[] = {"EFI/Linux", "EFI/nixos", "EFI/systemd", "EFI/BOOT", "loader"};

        for (unsigned i = 0; i < G_N_ELEMENTS(folders); i++)
                g_assert_cmpint(folder_make(volume->fd, folders[i], 0700), ==, 0);
        for (unsigned i = 0; i < MODEL_FILES; i++) {
                g_autofree char *text = disk->names[i].path ? model_disk_read(disk, &disk->names[i].entry) : NULL;
                _cleanup_(close_fd) int fd = -EBADF;

                if (!text)
                        continue;
                fd = file_open(volume->fd, disk->names[i].path, O_WRONLY | O_CREAT | O_EXCL, 0600);
                g_assert_cmpint(fd, >=, 0);
                g_assert_cmpint(file_write_fd(fd, (Span){(uint8_t *)text, disk->names[i].entry.size}), ==, 0);
        }
}

static void current_disk(Model *model, ModelDisk *ret) {
        model_cut(model, model->log->len, NULL, NULL, ret, NULL);
}

/* One run. Returns what apply returned; *ret_steps: how many steps it had. */
static int run(Model *model, const Scenario *scenario, size_t *ret_steps, Failure *failure) {
        _cleanup_(wanted_done) Wanted wanted = {};
        _cleanup_(inventory_done) Inventory inventory = {};
        _cleanup_(plan_done) Plan plan = {};
        _cleanup_(apply_result_done) ApplyResult result = {};
        VolumeSpace space = {.cluster_bytes = MODEL_CLUSTER};
        FakeSources sources;
        ModelDisk *disk = g_new0(ModelDisk, 1);
        Volume volume;
        int r;

        volume_open(&volume, NULL);
        current_disk(model, disk);
        materialize(disk, &volume);
        g_assert_cmpint(fake_inventory(volume.fd, &inventory), ==, 0);
        model_free_bytes(&model->io, &space.free_bytes);
        want(scenario, &wanted);
        fake_sources_init(&sources);
        r = plan_make(&inventory, &wanted, space, &plan, failure);
        if (r >= 0) {
                *ret_steps = plan.step_count;
                r = apply_plan(&model->io, &wanted, &plan, &sources.sources, &result, failure);
        }
        model_disk_done(disk);
        g_free(disk);
        volume_close(&volume, NULL);
        return r;
}

/* Compares with the state that an uninterrupted run reaches. What lost its long name in a cut is nobody's. */
static void assert_reached(ModelDisk *disk, ModelDisk *goal) {
        for (unsigned i = 0; i < MODEL_FILES; i++) {
                ModelName *wanted = &goal->names[i], *found = wanted->path ? model_disk_find(disk, wanted->path) : NULL;
                g_autofree char *wanted_text = NULL, *found_text = NULL;

                if (!wanted->path)
                        continue;
                if (!found)
                        g_error("%s is missing", wanted->path);
                wanted_text = model_disk_read(goal, &wanted->entry);
                found_text = model_disk_read(disk, &found->entry);
                g_assert_cmpstr(found_text, ==, wanted_text);
        }
        for (unsigned i = 0; i < MODEL_FILES; i++)
                if (disk->names[i].path && !model_disk_find(goal, disk->names[i].path) &&
                    !strstr(disk->names[i].path, "ALIAS~"))
                        g_error("%s should be gone", disk->names[i].path);
}

/* Whether a file lost its long name. Its twin among the temporary files is then taken for one of the file that was
 * written anew as well, and stays. */
static bool has_short_name(const ModelDisk *disk) {
        for (unsigned i = 0; i < MODEL_FILES; i++)
                if (disk->names[i].path && strstr(disk->names[i].path, "ALIAS~"))
                        return true;
        return false;
}

static bool has_leftover(const ModelDisk *disk) {
        for (unsigned i = 0; i < MODEL_FILES; i++)
                if (disk->names[i].path && temporary_name_valid(strrchr(disk->names[i].path, '/') + 1))
                        return true;
        return false;
}

typedef struct Cutting {
        const Scenario *scenario;
        ModelDisk start, goal;
        bool had_loader;
        GRand *random;
        unsigned states, read_only, full, twins; /* counted, to see that the test meets what it is about */
} Cutting;

static void assert_invariant(Cutting *cutting, ModelDisk *disk, const char *when) {
        g_autofree char *problem = judge(disk, cutting->scenario, cutting->had_loader);

        if (problem)
                g_error("%s, %s: %s", cutting->scenario->name, when, problem);
}

/* The volume is mounted again, without a check: runs until done. What a cut broke of the allocation table may turn it
 * read-only; then it is checked after all. */
static void finish(Cutting *cutting, const ModelDisk *disk, bool checked) {
        _cleanup_(failure_done) Failure failure = {};
        ModelDisk *after = g_new0(ModelDisk, 1);
        Model *model = model_new(disk);
        bool twins;
        size_t steps;
        int r;

        r = run(model, cutting->scenario, &steps, &failure);
        current_disk(model, after);
        assert_invariant(cutting, after, "after running again");
        if (r < 0) {
                /* A cut also leaves clusters that nobody has until a check, and files that are nobody's. */
                bool full = failure.condition == CONDITION_ESP_FULL && cutting->scenario->prepare == prepare_full;

                if (!full)
                        g_assert_cmpint(failure.condition, ==, CONDITION_ESP_READ_ONLY);
                g_assert_cmpuint(model->errors, ==, full ? 0 : 1);
                g_assert_true(!checked || (full && has_short_name(after)));
                cutting->read_only += !full;
                cutting->full += full;
                model_disk_check(after, cutting->random);
                if (!checked)
                        finish(cutting, after, /* checked= */ true);
        } else {
                twins = has_leftover(after);
                cutting->twins += twins;
                if (twins && checked && !has_short_name(after))
                        g_error("a temporary file stays though the file system was checked");
                if (!twins)
                        assert_reached(after, &cutting->goal);
                g_assert_cmpuint(model->errors, ==, 0);
                g_assert_cmpint(run(model, cutting->scenario, &steps, NULL), ==, 0);
                g_assert_cmpuint(steps, ==, 0);
        }
        model_free(model);
        model_disk_done(after);
        g_free(after);
}

/* --- Cuts ----------------------------------------------------------------------------------------------------- */

/* Which of the pending records a cut keeps. */
typedef enum CutMode {
        CUT_KEEP_ALL,
        CUT_KEEP_NONE,
        CUT_DROP_ONE,
        CUT_KEEP_ONE,
        CUT_EMPTY_ONE,
        CUT_SHORT_NAME_ONE,
        CUT_RANDOM,
} CutMode;

typedef struct Cut {
        CutMode mode;
        unsigned which;
        GRand *random;
} Cut;

static bool keep_record(void *userdata, unsigned index, ModelOutcome *ret_outcome) {
        Cut *cut = userdata;
        unsigned dice;

        switch (cut->mode) {
        case CUT_KEEP_ALL:
                return true;
        case CUT_KEEP_NONE:
                return false;
        case CUT_DROP_ONE:
                return index != cut->which;
        case CUT_KEEP_ONE:
                return index == cut->which;
        case CUT_EMPTY_ONE:
                *ret_outcome = index == cut->which ? MODEL_EMPTY : MODEL_WHOLE;
                return true;
        case CUT_SHORT_NAME_ONE:
                *ret_outcome = index == cut->which ? MODEL_SHORT_NAME : MODEL_WHOLE;
                return true;
        case CUT_RANDOM:
                dice = g_rand_int_range(cut->random, 0, 8);
                *ret_outcome = dice < 2 ? MODEL_EMPTY : dice < 3 ? MODEL_SHORT_NAME : MODEL_WHOLE;
                return g_rand_boolean(cut->random);
        }
        g_assert_not_reached();
}

/* A second cut, in the run that follows the first. Where that one ran on a volume with twins that nobody had checked,
 * what it wrote may build on a file that a later check empties; what the firmware sees is right in any case. */
static void cut_again(Cutting *cutting, const ModelDisk *disk, bool checked) {
        Cut cut = {.mode = CUT_RANDOM, .random = cutting->random};
        Model *model = model_new(disk);
        ModelDisk *again = g_new0(ModelDisk, 1);
        size_t steps;

        run(model, cutting->scenario, &steps, NULL);
        model_cut(model, g_rand_int_range(cutting->random, 0, model->log->len + 1), keep_record, &cut, again, NULL);
        assert_invariant(cutting, again, "after a second cut");
        if (checked) {
                model_disk_check(again, cutting->random);
                assert_invariant(cutting, again, "after a second cut and a check");
                finish(cutting, again, /* checked= */ true);
        }
        model_free(model);
        model_disk_done(again);
        g_free(again);
}

static void cut_once(Cutting *cutting, Model *model, unsigned at, Cut *cut, bool run_again) {
        ModelDisk *disk = g_new0(ModelDisk, 1);
        g_autofree char *when = g_strdup_printf("cut after %u of %u records, mode %u, record %u", at, model->log->len,
                                                cut->mode, cut->which);

        cutting->states++;
        model_cut(model, at, keep_record, cut, disk, NULL);
        assert_invariant(cutting, disk, when);
        if (run_again) {
                finish(cutting, disk, /* checked= */ false);
                cut_again(cutting, disk, /* checked= */ false);
        }
        model_disk_check(disk, cutting->random);
        assert_invariant(cutting, disk, "after a check");
        if (run_again) {
                finish(cutting, disk, /* checked= */ true);
                cut_again(cutting, disk, /* checked= */ true);
        }
        model_disk_done(disk);
        g_free(disk);
}

/* All cuts are judged; from all, or a sample of them, it is run again. */
static void cut_everywhere(Cutting *cutting, Model *model) {
        unsigned one_in = g_getenv("LANZA_LONG") ? 4 : 160, pending;
        ModelDisk *disk = g_new0(ModelDisk, 1);

        for (unsigned at = 0; at <= model->log->len; at++) {
                model_cut(model, at, NULL, NULL, disk, &pending);
                model_disk_done(disk);
                for (CutMode mode = 0; mode <= CUT_RANDOM; mode++) {
                        bool once = mode == CUT_KEEP_ALL || mode == CUT_KEEP_NONE;

                        for (unsigned which = 0; which < (once ? 1 : pending); which++) {
                                Cut cut = {mode, which, cutting->random};

                                cut_once(cutting, model, at, &cut, g_rand_int_range(cutting->random, 0, one_in) == 0);
                        }
                }
        }
        g_free(disk);
}

static void test_scenario(gconstpointer data) {
        const char *seed_text = g_getenv("LANZA_SEED");
        unsigned seed = seed_text ? strtoul(seed_text, NULL, 10) : (unsigned)g_test_rand_int();
        Cutting *cutting = g_new0(Cutting, 1);
        ModelDisk *empty = g_new0(ModelDisk, 1);
        Model *builder = model_new(empty), *model;
        size_t steps;

        g_test_message("LANZA_SEED=%u", seed);
        cutting->scenario = data;
        cutting->random = g_rand_new_with_seed(seed);
        cutting->scenario->prepare(&builder->io);
        current_disk(builder, &cutting->start);
        cutting->had_loader = has_complete_loader(&cutting->start);

        model = model_new(&cutting->start);
        g_assert_cmpint(run(model, cutting->scenario, &steps, NULL), ==, 0);
        g_assert_cmpuint(steps, >, 0);
        current_disk(model, &cutting->goal);
        assert_invariant(cutting, &cutting->goal, "uninterrupted");
        g_assert_cmpuint(model->errors, ==, 0);
        for (unsigned i = 0;
             i + cutting->scenario->left_out < G_N_ELEMENTS(cutting->scenario->wanted) && cutting->scenario->wanted[i];
             i++) {
                g_autofree char *name = fake_image_name(cutting->scenario->wanted[i]);
                bool found = false;

                for (unsigned j = 0; j < MODEL_FILES; j++)
                        found = found || (cutting->goal.names[j].path &&
                                          entry_name_equal(strrchr(cutting->goal.names[j].path, '/') + 1, name));
                g_assert_true(found);
        }

        cut_everywhere(cutting, model);
        g_test_message("%u records, %u states, %u times read-only, %u times full, %u times twins", model->log->len,
                       cutting->states, cutting->read_only, cutting->full, cutting->twins);
        g_assert_cmpuint(cutting->states, >, 1000);

        model_free(builder);
        model_free(model);
        model_disk_done(&cutting->start);
        model_disk_done(&cutting->goal);
        g_rand_free(cutting->random);
        g_free(cutting);
        g_free(empty);
}

int main(int argc, char **argv) {
        /* Thousands of small folders: in memory, where there is such a place. */
        if (access("/dev/shm", W_OK) == 0)
                g_setenv("TMPDIR", "/dev/shm", FALSE);
        g_test_init(&argc, &argv, NULL);
        make_generations();
        for (unsigned i = 0; i < G_N_ELEMENTS(scenarios); i++) {
                g_autofree char *name =
                        g_strdup_printf("/esp/power-cut/at-any-moment-the-machine-boots-and-the-next-run-finishes/%s",
                                        scenarios[i].name);

                g_test_add_data_func(name, &scenarios[i], test_scenario);
        }
        return g_test_run();
}
