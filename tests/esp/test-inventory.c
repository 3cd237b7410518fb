/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/stat.h>

#include "tests/esp/esp-fixture.h"

static const EspImage *find_image(const Inventory *inventory, const char *name) {
        for (size_t i = 0; i < inventory->image_count; i++)
                if (strcmp(inventory->images[i].name, name) == 0)
                        return &inventory->images[i];
        return NULL;
}

static void test_empty(Volume *volume, gconstpointer unused) {
        _cleanup_(inventory_done) Inventory inventory = {};

        g_assert_cmpint(fake_inventory(volume->fd, &inventory), ==, 0);
        g_assert_cmpuint(inventory.image_count + inventory.content_count + inventory.leftover_count, ==, 0);
        g_assert_false(inventory.has_loader_conf);
        g_assert_false(inventory.loaders[LOADER_SYSTEMD].exists);
        g_assert_cmpstr(inventory.loaders[LOADER_SYSTEMD].path, ==, "EFI/systemd/systemd-bootx64.efi");
        g_assert_cmpstr(inventory.loaders[LOADER_FALLBACK].path, ==, "EFI/BOOT/BOOTX64.EFI");
}

static void test_full(Volume *volume, gconstpointer unused) {
        FakeGeneration generation = {.number = 1, .toplevel = "/nix/store/1", .kernel = "k", .initrd = "i"};
        g_autofree char *name = fake_image_name(&generation), *path = test_path("EFI/Linux", name);
        g_autofree char *kernel = fake_content_name(CONTENT_KERNEL, "k"), *kernel_path = test_path("EFI/nixos", kernel);
        g_autofree char *text = fake_image("/nix/store/1", "held", "k", NULL);
        g_autofree char *foreign = fake_image(NULL, "other", NULL, NULL);
        _cleanup_(inventory_done) Inventory inventory = {};
        const EspImage *image;

        volume_write(volume, path, text);
        volume_write(volume, "EFI/Linux/other-os.EFI", foreign);
        volume_write(volume, "EFI/Linux/readme.txt", "no image");
        volume_write(volume, kernel_path, "k");
        volume_write(volume, "EFI/nixos/bzImage.efi", "k");
        volume_write(volume, "EFI/nixos/LANZ0001.TMP", "1234");
        volume_write(volume, "loader/LANZ0000.TMP", "");
        volume_write(volume, "loader/loader.conf", "default x\n");
        volume_write(volume, "EFI/systemd/systemd-bootx64.efi",
                     "MZ\n#### LoaderInfo: systemd-boot 257.4 ####\nsigner=current\nend\n");
        volume_write(volume, "EFI/BOOT/BOOTX64.EFI", "MZ another system's\nend\n");

        g_assert_cmpint(fake_inventory(volume->fd, &inventory), ==, 0);
        g_assert_cmpuint(inventory.image_count, ==, 2);
        image = find_image(&inventory, name);
        g_assert_true(image->our_form && image->regular && image->error == 0);
        g_assert_cmpuint(image->size, ==, strlen(text));
        g_assert_cmpstr(image->facts.toplevel, ==, "/nix/store/1");
        g_assert_true(image->facts.signed_by_us && !image->facts.signed_by_current);
        g_assert_cmpuint(image->paths.count, ==, 1);
        g_assert_cmpstr(image->paths.items[0], ==, kernel_path);
        g_assert_false(find_image(&inventory, "other-os.EFI")->our_form);

        g_assert_cmpuint(inventory.content_count, ==, 2);
        g_assert_false(inventory.contents[0].exact_form);
        g_assert_true(inventory.contents[1].exact_form);
        g_assert_cmpuint(inventory.contents[1].size, ==, 1);
        g_assert_cmpuint(inventory.leftover_count, ==, 2);
        g_assert_cmpstr(inventory.leftovers[0].path, ==, "EFI/nixos/LANZ0001.TMP");
        g_assert_cmpuint(inventory.leftovers[0].size, ==, 4);
        g_assert_true(inventory.has_loader_conf);
        g_assert_true(span_equal(buffer_span(&inventory.loader_conf), span_from_string("default x\n")));
        g_assert_cmpstr(inventory.loaders[LOADER_SYSTEMD].version, ==, "257.4");
        g_assert_true(inventory.loaders[LOADER_SYSTEMD].signed_by_current);
        g_assert_true(inventory.loaders[LOADER_FALLBACK].exists);
        g_assert_null(inventory.loaders[LOADER_FALLBACK].version);
}

static void test_strange(Volume *volume, gconstpointer unused) {
        g_autofree char *link = test_path(volume->path, "EFI/Linux/link.efi");
        g_autofree char *fifo = test_path(volume->path, "EFI/Linux/fifo.efi");
        _cleanup_(inventory_done) Inventory inventory = {};
        const EspImage *image;

        test_make_folder(volume->path, "EFI/Linux/folder.efi", 0700);
        test_make_folder(volume->path, "EFI/nixos/fw", 0700);
        test_make_folder(volume->path, "EFI/nixos/LANZ0000.TMP", 0700);
        test_make_folder(volume->path, "EFI/BOOT/BOOTX64.EFI", 0700);
        test_make_folder(volume->path, "loader/loader.conf", 0700);
        volume_write(volume, "EFI/Linux/empty.efi", "");
        volume_write(volume, "EFI/Linux/text.efi", "hello");
        volume_write(volume, "EFI/Linux/cut.efi", "MZ but then");
        volume_write(volume, "EFI/Linux/odd.efi", "MZ\nreference=EFI/nixos/x\nend\n");
        volume_write(volume, "EFI/Linux/.efi", "MZ");
        g_assert_cmpint(symlink("/etc/passwd", link), ==, 0);
        g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);

        g_assert_cmpint(fake_inventory(volume->fd, &inventory), ==, 0);
        g_assert_cmpuint(inventory.image_count, ==, 7);
        g_assert_false(find_image(&inventory, "folder.efi")->regular);
        g_assert_false(find_image(&inventory, "link.efi")->regular);
        g_assert_false(find_image(&inventory, "fifo.efi")->regular);
        g_assert_cmpint(find_image(&inventory, "empty.efi")->error, ==, -ENOEXEC);
        g_assert_cmpint(find_image(&inventory, "text.efi")->error, ==, -ENOEXEC);
        g_assert_cmpint(find_image(&inventory, "cut.efi")->error, ==, -EBADMSG);
        image = find_image(&inventory, "odd.efi");
        g_assert_cmpint(image->error, ==, -EINVAL);
        g_assert_cmpuint(image->paths.count + image->facts.references.count, ==, 0);

        g_assert_cmpuint(inventory.content_count, ==, 2);
        g_assert_false(inventory.contents[0].regular || inventory.contents[1].regular);
        g_assert_cmpuint(inventory.leftover_count, ==, 0);
        g_assert_true(inventory.loaders[LOADER_FALLBACK].exists && !inventory.loaders[LOADER_FALLBACK].regular);
        g_assert_true(inventory.loader_conf_blocked && !inventory.has_loader_conf);
}

static void test_no_folder(Volume *volume, gconstpointer unused) {
        InventoryParameters parameters = {.read_image = fake_read_image, .architecture = "x64"};
        _cleanup_(failure_done) Failure failure = {};
        Inventory inventory = {};

        volume_write(volume, "EFI/Linux", "a file");
        g_assert_cmpint(inventory_read(volume->fd, &parameters, &inventory, &failure), ==, -ENOTDIR);
        g_assert_nonnull(strstr(failure.message, "EFI/Linux"));
}

static void test_many(Volume *volume, gconstpointer unused) {
        unsigned count = g_getenv("LANZA_LONG") ? 50000 : 2000, calls = 0;
        InventoryParameters parameters = {.read_image = fake_read_image, .userdata = &calls, .architecture = "aa64"};
        _cleanup_(inventory_done) Inventory inventory = {};
        char path[64];

        test_make_folder(volume->path, "EFI/Linux", 0700);
        for (unsigned i = 0; i < count; i++) {
                snprintf(path, sizeof(path), "EFI/Linux/%06u.%s", i, i % 100 == 0 ? "efi" : "txt");
                _cleanup_(close_fd) int fd = openat(volume->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                g_assert_cmpint(write(fd, "x", 1), ==, 1);
        }
        g_assert_cmpint(inventory_read(volume->fd, &parameters, &inventory, NULL), ==, 0);
        g_assert_cmpuint(inventory.image_count, ==, count / 100);
        g_assert_cmpuint(calls, ==, count / 100);
        g_assert_cmpstr(inventory.loaders[LOADER_FALLBACK].path, ==, "EFI/BOOT/BOOTAA64.EFI");
}

/* --- systemd-bless-boot, while the inventory is read ----------------------------------------------------------- */

static const FakeGeneration first = {.number = 1, .toplevel = "/nix/store/1", .kernel = "k", .initrd = "i"};
static const FakeGeneration second = {.number = 2, .toplevel = "/nix/store/2", .kernel = "k", .initrd = "i"};

/* Renames the image of the second generation while that of the first is read. USERDATA is the volume. */
static int read_and_bless(void *userdata, int fd, ImageFacts *ret) {
        g_autofree char *counted = image_path(&second, "+2-1"), *good = image_path(&second, "");
        const Volume *volume = userdata;
        int r = renameat(volume->fd, counted, volume->fd, good);

        g_assert_true(r == 0 || errno == ENOENT);
        return fake_read_image(NULL, fd, ret);
}

static void test_blessed(Volume *volume, gconstpointer unused) {
        InventoryParameters parameters = {.read_image = read_and_bless, .userdata = volume, .architecture = "x64"};
        g_autofree char *name = fake_image_name(&second);
        _cleanup_(inventory_done) Inventory inventory = {};
        const EspImage *image;

        volume_put_image(volume, &first, "current", "");
        volume_put_image(volume, &second, "current", "+2-1");
        g_assert_cmpint(inventory_read(volume->fd, &parameters, &inventory, NULL), ==, 0);
        g_assert_cmpuint(inventory.image_count, ==, 2);
        image = find_image(&inventory, name);
        g_assert_nonnull(image);
        g_assert_cmpint(image->error, ==, 0);
        g_assert_cmpstr(image->facts.toplevel, ==, second.toplevel);
}

/* Removes it. */
static int read_and_remove(void *userdata, int fd, ImageFacts *ret) {
        g_autofree char *counted = image_path(&second, "+2-1");
        const Volume *volume = userdata;

        unlinkat(volume->fd, counted, 0);
        return fake_read_image(NULL, fd, ret);
}

static void test_gone(Volume *volume, gconstpointer unused) {
        InventoryParameters parameters = {.read_image = read_and_remove, .userdata = volume, .architecture = "x64"};
        _cleanup_(inventory_done) Inventory inventory = {};

        volume_put_image(volume, &first, "current", "");
        volume_put_image(volume, &second, "current", "+2-1");
        g_assert_cmpint(inventory_read(volume->fd, &parameters, &inventory, NULL), ==, 0);
        g_assert_cmpuint(inventory.image_count, ==, 1);
}

static void test_entry_file(Volume *volume, gconstpointer unused) {
        g_autofree char *counted = image_path(&first, "+2-1"), *good = image_path(&first, "");
        _cleanup_(buffer_done) Buffer content = {};

        volume_write(volume, good, "good");
        g_assert_cmpint(entry_file_read(volume->fd, counted, 100, &content), ==, 0);
        g_assert_true(span_equal(buffer_span(&content), span_from_string("good")));
        g_assert_cmpint(entry_file_read(volume->fd, "EFI/Linux/other+1.efi", 100, &content), ==, -ENOENT);
        g_assert_cmpint(entry_file_read(volume->fd, "EFI/Missing/other.efi", 100, &content), ==, -ENOENT);
}

#define TEST(name, function) g_test_add("/esp/inventory/" name, Volume, NULL, volume_open, function, volume_close)

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        TEST("an-empty-volume-is-an-empty-inventory", test_empty);
        TEST("tells-images-contents-loaders-and-leftovers", test_full);
        TEST("strange-things-are-recorded-and-stop-nothing", test_strange);
        TEST("a-file-in-place-of-a-folder-is-named", test_no_folder);
        TEST("many-foreign-files-are-not-opened", test_many);
        TEST("an-image-that-is-blessed-meanwhile-is-found-under-its-new-name", test_blessed);
        TEST("an-image-that-is-removed-meanwhile-is-not-there", test_gone);
        TEST("a-file-is-read-whatever-counter-its-entry-has-by-now", test_entry_file);
        return g_test_run();
}
