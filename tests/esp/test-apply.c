/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "tests/esp/esp-fixture.h"

static const FakeGeneration one = {.number = 1, .toplevel = "/nix/store/1", .kernel = "k1", .initrd = "i1"};
static const FakeGeneration two = {.number = 2, .toplevel = "/nix/store/2", .kernel = "k1", .initrd = "i2"};
static const FakeGeneration three = {
        .number = 3, .toplevel = "/nix/store/3", .kernel = "k3", .initrd = "i3", .is_default = true};

/* The system's operations, counted, with one that fails and one before which something else happens. */
typedef struct FaultyIo {
        EspSystemIo system;
        EspIo real;
        unsigned calls, barriers;
        unsigned fail_at; /* the number of the call that fails; 0: none */
        int error;
        void (*meanwhile)(int root); /* before the first rename */
} FaultyIo;

static FaultyIo *faulty_of(EspIo *io) {
        return (FaultyIo *)io;
}

static int next_call(EspIo *io) {
        FaultyIo *faulty = faulty_of(io);

        return ++faulty->calls == faulty->fail_at ? faulty->error : 0;
}

static int faulty_make_folders(EspIo *io, const char *folder) {
        int r = next_call(io);

        return r < 0 ? r : faulty_of(io)->real.make_folders(io, folder);
}

static int faulty_create(EspIo *io, const char *path, EspFile **ret) {
        int r = next_call(io);

        return r < 0 ? r : faulty_of(io)->real.create(io, path, ret);
}

static int faulty_write(EspIo *io, EspFile *file, Span bytes) {
        int r = next_call(io);

        return r < 0 ? r : faulty_of(io)->real.write(io, file, bytes);
}

static int faulty_close(EspIo *io, EspFile *file) {
        int r = next_call(io), closed = faulty_of(io)->real.close(io, file);

        return r < 0 ? r : closed;
}

static int faulty_rename(EspIo *io, const char *from, const char *to) {
        FaultyIo *faulty = faulty_of(io);
        int r = next_call(io);

        return r < 0 ? r : faulty->real.rename(io, from, to);
}

static int faulty_remove(EspIo *io, const char *path) {
        int r = next_call(io);

        return r < 0 ? r : faulty_of(io)->real.remove(io, path);
}

static int faulty_barrier(EspIo *io) {
        FaultyIo *faulty = faulty_of(io);
        int r = next_call(io);

        /* The second one of a writing phase stands before its renames. */
        if (++faulty->barriers == 2 && faulty->meanwhile)
                faulty->meanwhile(faulty->system.root_fd);
        return r < 0 ? r : faulty->real.barrier(io);
}

static void faulty_init(FaultyIo *faulty, int root) {
        *faulty = (FaultyIo){};
        esp_system_io_init(&faulty->system, root);
        faulty->real = faulty->system.io;
        faulty->system.io.make_folders = faulty_make_folders;
        faulty->system.io.create = faulty_create;
        faulty->system.io.write = faulty_write;
        faulty->system.io.close = faulty_close;
        faulty->system.io.rename = faulty_rename;
        faulty->system.io.remove = faulty_remove;
        faulty->system.io.barrier = faulty_barrier;
}

/* A volume and a run on it. */
typedef struct Run {
        Volume volume;
        Wanted wanted;
        FaultyIo io;
        FakeSources sources;
        VolumeSpace space;
        Plan plan;
        ApplyResult result;
        Failure failure;
} Run;

static void run_open(Run *run, gconstpointer unused) {
        *run = (Run){.wanted = {.has_signer = true}, .space = {1024 * 1024, 512}};
        volume_open(&run->volume, NULL);
        faulty_init(&run->io, run->volume.fd);
        fake_sources_init(&run->sources);
}

static void run_close(Run *run, gconstpointer unused) {
        plan_done(&run->plan);
        apply_result_done(&run->result);
        failure_done(&run->failure);
        wanted_done(&run->wanted);
        volume_close(&run->volume, NULL);
}

static int sync_volume(Run *run) {
        _cleanup_(inventory_done) Inventory inventory = {};
        int r;

        plan_done(&run->plan);
        apply_result_done(&run->result);
        failure_done(&run->failure);
        g_assert_cmpint(fake_inventory(run->volume.fd, &inventory), ==, 0);
        r = plan_make(&inventory, &run->wanted, run->space, &run->plan, &run->failure);
        if (r < 0)
                return r;
        return apply_plan(&run->io.system.io, &run->wanted, &run->plan, &run->sources.sources, &run->result,
                          &run->failure);
}

static void assert_bytes(Run *run, const char *path, const char *expected) {
        g_autoptr(GBytes) bytes = test_read(run->volume.path, path);

        g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), expected, strlen(expected));
}

static void assert_generation(Run *run, const FakeGeneration *generation, const char *counter) {
        g_autofree char *kernel = content_path(CONTENT_KERNEL, generation->kernel);
        g_autofree char *initrd = content_path(CONTENT_INITRD, generation->initrd);
        g_autofree char *image = image_path(generation, counter);
        g_autofree char *text = fake_image(generation->toplevel, "current", generation->kernel, generation->initrd);

        assert_bytes(run, kernel, generation->kernel);
        assert_bytes(run, initrd, generation->initrd);
        assert_bytes(run, image, text);
}

static bool has_leftovers(Run *run) {
        g_autofree char *listing = test_listing(run->volume.path);

        return strstr(listing, ".TMP");
}

static void want_all(Run *run) {
        want_generation(&run->wanted, &three);
        want_generation(&run->wanted, &two);
        run->wanted.loader_version = strdup("257");
        run->wanted.loader_size = 100;
        run->wanted.has_loader_conf = true;
        g_assert_cmpint(buffer_append_string(&run->wanted.loader_lines, "timeout 1\n"), ==, 0);
}

static void put_old(Run *run) {
        volume_put(&run->volume, &one);
        volume_put(&run->volume, &two);
        volume_write(&run->volume, "EFI/systemd/systemd-bootx64.efi", "");
        volume_write(&run->volume, "loader/loader.conf", "default old\n");
        volume_write(&run->volume, "loader/LANZ0000.TMP", "left over");
}

static void test_from_nothing(Run *run, gconstpointer unused) {
        g_autofree char *name = fake_image_name(&three), *conf = g_strdup_printf("timeout 1\ndefault %s\n", name);

        want_all(run);
        g_assert_cmpint(sync_volume(run), ==, 0);
        assert_generation(run, &three, "");
        assert_generation(run, &two, "");
        assert_bytes(run, "EFI/systemd/systemd-bootx64.efi", run->sources.loader);
        assert_bytes(run, "EFI/BOOT/BOOTX64.EFI", run->sources.loader);
        assert_bytes(run, "loader/loader.conf", conf);
        g_assert_false(has_leftovers(run));
        g_assert_cmpuint(run->result.images_written.count, ==, 2);
        g_assert_cmpuint(run->result.contents_written.count, ==, 4);
        g_assert_cmpuint(run->result.loaders_written.count, ==, 3);
        g_assert_cmpuint(run->sources.built, ==, 4);
}

static void test_again(Run *run, gconstpointer unused) {
        want_all(run);
        g_assert_cmpint(sync_volume(run), ==, 0);
        run->io.calls = run->sources.built = 0;
        g_assert_cmpint(sync_volume(run), ==, 0);
        g_assert_cmpuint(run->io.calls, ==, 0);
        g_assert_cmpuint(run->sources.built, ==, 0);
        g_assert_cmpuint(run->result.images_kept, ==, 2);
        g_assert_cmpuint(run->result.contents_kept, ==, 4);
        g_assert_cmpuint(run->result.bytes_written, ==, 0);
}

static void test_update(Run *run, gconstpointer unused) {
        g_autofree char *old_image = image_path(&one, ""), *old_initrd = content_path(CONTENT_INITRD, "i1");

        want_all(run);
        put_old(run);
        g_assert_cmpint(sync_volume(run), ==, 0);
        assert_generation(run, &three, "");
        assert_generation(run, &two, "");
        g_assert_false(test_exists(run->volume.path, old_image));
        g_assert_false(test_exists(run->volume.path, old_initrd));
        g_assert_false(has_leftovers(run));
        g_assert_cmpuint(run->result.images_removed.count, ==, 1);
        g_assert_cmpuint(run->result.contents_removed.count, ==, 1);
        g_assert_cmpuint(run->result.images_kept, ==, 1);
        g_assert_cmpuint(run->result.bytes_removed, >, 512);
}

static void test_corrupt_source(Run *run, gconstpointer unused) {
        want_all(run);
        run->sources.corrupt = "i3";
        g_assert_cmpint(sync_volume(run), <, 0);
        g_assert_cmpint(run->failure.condition, ==, CONDITION_FAILED);
        g_assert_nonnull(strstr(run->failure.message, "changed while it was copied"));
        g_assert_cmpuint(run->result.contents_written.count, ==, 0);
        g_assert_false(has_leftovers(run));
        g_autofree char *listing = test_listing(run->volume.path);
        g_assert_null(strstr(listing, ".efi"));
}

/* What can't be made durable may be gone after a cut: no name may stand for it, and nothing go in its favour. */
static void test_volatile_sources(Run *run, gconstpointer unused) {
        static const int none = -1;
        g_autofree char *before = NULL, *after = NULL;

        want_all(run);
        put_old(run);
        g_assert_cmpint(unlinkat(run->volume.fd, "loader/LANZ0000.TMP", 0), ==, 0); /* a removal would come first */
        before = test_listing(run->volume.path);
        run->sources.sources.durable_fds = &none;
        run->sources.sources.durable_count = 1;
        g_assert_cmpint(sync_volume(run), ==, -EBADF);
        g_assert_nonnull(strstr(run->failure.message, "durable"));
        after = test_listing(run->volume.path);
        g_assert_cmpstr(after, ==, before);
        assert_bytes(run, "loader/loader.conf", "default old\n");

        run->wanted.garbage_only = true;
        g_assert_cmpint(sync_volume(run), ==, -EBADF);
        g_free(g_steal_pointer(&after));
        after = test_listing(run->volume.path);
        g_assert_cmpstr(after, ==, before);
}

static int short_source(void *userdata, const WantedContent *content, int *ret_fd, Failure *failure) {
        *ret_fd = memfd_create("content", MFD_CLOEXEC);
        return 0;
}

static int endless_source(void *userdata, const WantedContent *content, int *ret_fd, Failure *failure) {
        *ret_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        return 0;
}

static int no_source(void *userdata, const WantedContent *content, int *ret_fd, Failure *failure) {
        return failure_set(failure, CONDITION_BAD_BOOTSPEC, "the store path is gone");
}

static void test_bad_sources(Run *run, gconstpointer unused) {
        want_all(run);
        run->sources.sources.open_content = short_source;
        g_assert_cmpint(sync_volume(run), ==, -EBADMSG);
        run->sources.sources.open_content = endless_source;
        g_assert_cmpint(sync_volume(run), ==, -EBADMSG);
        run->sources.sources.open_content = no_source;
        g_assert_cmpint(sync_volume(run), <, 0);
        g_assert_cmpint(run->failure.condition, ==, CONDITION_BAD_BOOTSPEC);
        g_assert_false(has_leftovers(run));
}

/* Each operation fails in turn, in each way. */
static void test_faults(gconstpointer data) {
        static const struct {
                int error;
                Condition condition;
        } faults[] = {{-EIO, CONDITION_FAILED}, {-ENOSPC, CONDITION_ESP_FULL}, {-EROFS, CONDITION_ESP_READ_ONLY}};
        static const char garbage[] = "EFI/nixos/initrd-6.1.1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.efi";
        bool done = false, only_garbage_left = false;

        for (unsigned at = 1; !done; at++)
                for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
                        Run run;
                        int r;

                        run_open(&run, NULL);
                        want_all(&run);
                        put_old(&run);
                        volume_write(&run.volume, garbage, "");
                        run.wanted.booted_entry = fake_image_name(&one);
                        run.io.fail_at = at;
                        run.io.error = faults[i].error;
                        r = sync_volume(&run);
                        /* Closing what was only held, and removing after a failure, may fail unheard. */
                        done = run.io.calls < at;
                        if (r < 0) {
                                g_test_message("%u: %s", at, run.failure.message);
                                g_assert_nonnull(run.failure.message);
                                if (faults[i].error != -ENOSPC)
                                        g_assert_cmpint(run.failure.condition, ==, faults[i].condition);
                        }
                        /* The generations that were there are still there. */
                        assert_generation(&run, &one, "");
                        assert_generation(&run, &two, "");
                        if (run.result.all_written)
                                assert_generation(&run, &three, "");
                        g_assert_true(r < 0 || run.result.all_written);
                        only_garbage_left = only_garbage_left || (r < 0 && run.result.all_written);
                        run.io.fail_at = 0;
                        g_assert_cmpint(sync_volume(&run), ==, 0);
                        assert_generation(&run, &three, "");
                        g_assert_false(has_leftovers(&run));
                        run.io.calls = 0;
                        g_assert_cmpint(sync_volume(&run), ==, 0);
                        g_assert_cmpuint(run.io.calls, ==, 0);
                        run_close(&run, NULL);
                }
        g_assert_true(only_garbage_left);
}

/* A tmpfs of a few pages, in a mount namespace of its own. */
static void test_full_volume(Run *run, gconstpointer unused) {
        Volume small = {.path = test_path(run->volume.path, "small")};
        Volume outer = run->volume;

        test_make_folder(run->volume.path, "small", 0700);
        if (unshare(CLONE_NEWNS) < 0)
                g_assert_cmpint(unshare(CLONE_NEWUSER | CLONE_NEWNS), ==, 0);
        g_assert_cmpint(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), ==, 0);
        g_assert_cmpint(mount("small", small.path, "tmpfs", 0, "size=16384"), ==, 0);
        small.fd = open(small.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        run->volume = small;
        run->io.system.root_fd = small.fd;

        /* The volume says that it has room, but has not. */
        want_all(run);
        g_assert_cmpint(sync_volume(run), <, 0);
        g_assert_cmpint(run->failure.condition, ==, CONDITION_ESP_FULL);
        g_assert_nonnull(strstr(run->failure.message, "bytes are missing"));
        g_assert_false(has_leftovers(run));

        /* Read-only. */
        g_assert_cmpint(mount(NULL, small.path, NULL, MS_REMOUNT | MS_RDONLY, NULL), ==, 0);
        g_assert_cmpint(sync_volume(run), <, 0);
        g_assert_cmpint(run->failure.condition, ==, CONDITION_ESP_READ_ONLY);

        close(small.fd);
        g_assert_cmpint(umount2(small.path, MNT_DETACH), ==, 0);
        run->volume = outer;
        g_free(small.path);
}

static void bless(int root) {
        g_autofree char *from = image_path(&three, "+2-1"), *to = image_path(&three, "");

        g_assert_cmpint(renameat(root, from, root, to), ==, 0);
}

static void test_blessed_meanwhile(Run *run, gconstpointer unused) {
        FakeGeneration rekeyed = three;

        /* The forerunner is confirmed good between plan and rename: so is its successor, and the forerunner goes. */
        rekeyed.key = "new key";
        want_generation(&run->wanted, &rekeyed);
        volume_put_contents(&run->volume, &three);
        volume_put_image(&run->volume, &three, "held", "+2-1");
        run->io.meanwhile = bless;
        g_assert_cmpint(sync_volume(run), ==, 0);
        assert_generation(run, &rekeyed, "");
        g_autofree char *old = image_path(&three, ""), *older = image_path(&three, "+2-1");
        g_assert_false(test_exists(run->volume.path, old));
        g_assert_false(test_exists(run->volume.path, older));
        g_assert_cmpint(sync_volume(run), ==, 0);
        g_assert_cmpuint(run->plan.step_count, ==, 0);
}

static void test_replaced_under_new_counter(Run *run, gconstpointer unused) {
        g_autofree char *damaged = image_path(&three, "+2-1");

        want_generation(&run->wanted, &three);
        volume_put_contents(&run->volume, &three);
        volume_write(&run->volume, damaged, "");
        run->io.meanwhile = bless;
        g_assert_cmpint(sync_volume(run), ==, 0);
        assert_generation(run, &three, "");
        g_assert_false(test_exists(run->volume.path, damaged));
}

static void test_replaced_of_two(Run *run, gconstpointer unused) {
        g_autofree char *confirmed = image_path(&three, ""), *counted = image_path(&three, "+1");

        /* Both were signed by another key. The better of them is replaced, and keeps its name; the other goes. */
        want_generation(&run->wanted, &three);
        volume_put_contents(&run->volume, &three);
        volume_put_image(&run->volume, &three, "held", "");
        volume_put_image(&run->volume, &three, "held", "+1");
        g_assert_cmpint(sync_volume(run), ==, 0);
        assert_generation(run, &three, "");
        g_assert_false(test_exists(run->volume.path, counted));

        /* The other can't be judged, and stays. */
        volume_write(&run->volume, confirmed, "MZ damaged");
        volume_write(&run->volume, counted, "MZ damaged");
        g_assert_cmpint(sync_volume(run), ==, 0);
        assert_generation(run, &three, "");
        assert_bytes(run, counted, "MZ damaged");
}

static void test_blessed_over_another(Run *run, gconstpointer unused) {
        /* Of two files of one entry that with a counter goes, and gets the other's name meanwhile. */
        want_generation(&run->wanted, &three);
        want_generation(&run->wanted, &two);
        volume_put(&run->volume, &three);
        volume_put_image(&run->volume, &three, "current", "+2-1");
        run->io.meanwhile = bless;
        g_assert_cmpint(sync_volume(run), ==, 0);
        assert_generation(run, &three, "");
        assert_generation(run, &two, "");
}

static void test_links(Run *run, gconstpointer unused) {
        g_autofree char *elsewhere = test_folder_make(), *link = test_path(run->volume.path, "EFI");
        _cleanup_(inventory_done) Inventory inventory = {};
        Inventory refused = {};

        want_all(run);
        g_assert_cmpint(fake_inventory(run->volume.fd, &inventory), ==, 0);
        g_assert_cmpint(symlink(elsewhere, link), ==, 0);
        g_assert_cmpint(fake_inventory(run->volume.fd, &refused), ==, -EXDEV);

        /* The link came after the inventory. */
        g_assert_cmpint(plan_make(&inventory, &run->wanted, run->space, &run->plan, NULL), ==, 0);
        g_assert_cmpint(apply_plan(&run->io.system.io, &run->wanted, &run->plan, &run->sources.sources, &run->result,
                                   &run->failure),
                        <, 0);
        g_autofree char *listing = test_listing(elsewhere);
        g_assert_cmpstr(listing, ==, "");
        test_folder_remove(g_steal_pointer(&elsewhere));
}

static void test_large(Run *run, gconstpointer unused) {
        g_autofree char *kernel = g_strnfill(3 * 1024 * 1024 + 17, 'k');
        FakeGeneration large = {.number = 9, .toplevel = "/nix/store/9", .kernel = kernel, .initrd = "i"};

        run->space.free_bytes = 16 * 1024 * 1024;
        want_generation(&run->wanted, &large);
        g_assert_cmpint(sync_volume(run), ==, 0);
        assert_generation(run, &large, "");
}

static void test_many(Run *run, gconstpointer unused) {
        enum { COUNT = 300 };
        FakeGeneration *generations = g_new0(FakeGeneration, COUNT);

        /* More than are held open at once. */
        for (unsigned i = 0; i < COUNT; i++) {
                generations[i] = three;
                generations[i].number = i + 1;
                want_generation(&run->wanted, &generations[i]);
        }
        run->space.free_bytes = 1024 * 1024 * 1024;
        g_assert_cmpint(sync_volume(run), ==, 0);
        g_assert_cmpuint(run->result.images_written.count, ==, COUNT);
        g_assert_false(has_leftovers(run));
        g_assert_cmpint(sync_volume(run), ==, 0);
        g_assert_cmpuint(run->plan.step_count, ==, 0);
        g_free(generations);
}

/* What progress was reported, and that it never goes back. */
typedef struct Progress {
        uint64_t done;
        StepKind kind;
} Progress;

static Progress progress;

static void note_progress(void *userdata, StepKind kind, uint64_t done, uint64_t total) {
        g_assert_cmpint(kind, >=, progress.kind);
        g_assert_cmpuint(done, >=, progress.done);
        g_assert_cmpuint(done, <=, total);
        progress = (Progress){done, kind};
}

static void test_progress(Run *run, gconstpointer unused) {
        progress = (Progress){};
        want_all(run);
        put_old(run);
        run->sources.sources.progress = note_progress;
        g_assert_cmpint(sync_volume(run), ==, 0);
        g_assert_cmpuint(progress.done, ==, run->plan.takes);
        g_assert_cmpint(progress.kind, ==, STEP_REMOVE_CONTENT);
}

#define TEST(name, function) g_test_add("/esp/apply/" name, Run, NULL, run_open, function, run_close)

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        TEST("an-empty-volume-gets-all-that-is-wanted", test_from_nothing);
        TEST("a-second-run-touches-nothing-and-signs-nothing", test_again);
        TEST("an-update-replaces-and-removes", test_update);
        TEST("a-source-that-changed-stops-the-run-before-a-rename", test_corrupt_source);
        TEST("nothing-gets-its-name-or-goes-before-the-sources-are-durable", test_volatile_sources);
        TEST("short-endless-and-missing-sources-are-refused", test_bad_sources);
        g_test_add_data_func("/esp/apply/whichever-operation-fails-the-old-stays-and-the-next-run-finishes", NULL,
                             test_faults);
        TEST("an-entry-that-is-blessed-meanwhile-hands-that-down", test_blessed_meanwhile);
        TEST("a-damaged-entry-is-replaced-under-the-name-it-has-by-then", test_replaced_under_new_counter);
        TEST("of-two-files-of-an-entry-the-better-is-replaced", test_replaced_of_two);
        TEST("what-got-the-name-of-one-that-stays-is-not-removed", test_blessed_over_another);
        TEST("nothing-is-written-through-a-link", test_links);
        TEST("large-files-are-copied-whole", test_large);
        TEST("more-files-than-are-held-open-at-once", test_many);
        TEST("progress-only-grows-and-ends-at-its-total", test_progress);
        TEST("a-full-or-read-only-file-system-is-named-and-left-clean", test_full_volume);
        return g_test_run();
}
