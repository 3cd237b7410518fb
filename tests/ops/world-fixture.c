/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/ops/world-fixture.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tests/lib/pe-fixture.h"
#include "tests/lib/test-folder.h"
#include "tests/ops/judge-fixture.h"

#define OTHER_ID "fedcba9876543210fedcba9876543210"

enum { FIRST_ID = 1000, SPARE_BYTES = 64 * 1024 };

void G_GNUC_PRINTF(2, 3) world_complain(World *world, const char *format, ...) {
        va_list arguments;

        if (world->problem)
                return;
        va_start(arguments, format);
        world->problem = g_strdup_vprintf(format, arguments);
        va_end(arguments);
}

Generation *world_generation(World *world, unsigned index) {
        return &g_array_index(world->generations, Generation, index);
}

/* --- What a generation is ------------------------------------------------------------------------------------- */

char *generation_toplevel(const Generation *generation, bool special) {
        return g_strdup_printf("/nix/store/%ssystem-%u%s", generation->is_work ? "work-" : "", generation->id,
                               special ? "-x" : "");
}

char *generation_title_of(const Generation *generation) {
        return g_strdup_printf("%sgeneration %u", generation->is_work ? "profile work, " : "", generation->number);
}

static char *link_of(const Generation *generation) {
        return g_strdup_printf("nix/var/nix/profiles/%s-%u-link",
                               generation->is_work ? "system-profiles/work" : "system", generation->number);
}

static bool is_current(const World *world, const Generation *generation) {
        return !generation->is_work && generation->id == world->current;
}

bool world_is_booted(const World *world, const Generation *generation) {
        g_autofree char *toplevel = generation_toplevel(generation, false),
                        *special = generation_toplevel(generation, true);

        return g_strcmp0(world->booted_toplevel, toplevel) == 0 || g_strcmp0(world->booted_toplevel, special) == 0;
}

/* Of its profile: how many good ones are newer. */
static unsigned count_newer(World *world, const Generation *generation) {
        unsigned count = 0;

        for (unsigned i = 0; i < world->generations->len; i++) {
                Generation *other = world_generation(world, i);

                count += !other->is_broken && other->is_work == generation->is_work &&
                         other->number > generation->number;
        }
        return count;
}

bool world_is_wanted(World *world, const Generation *generation, unsigned default_id) {
        unsigned limit = world->machine->settings.limit;

        if (generation->is_broken)
                return false;
        return limit == 0 || count_newer(world, generation) < limit || generation->id == default_id ||
               world_is_booted(world, generation);
}

/* --- Events that change the system ---------------------------------------------------------------------------- */

static unsigned newest_number(World *world, bool is_work) {
        unsigned newest = 0;

        for (unsigned i = 0; i < world->generations->len; i++)
                if (world_generation(world, i)->is_work == is_work)
                        newest = MAX(newest, world_generation(world, i)->number);
        return newest;
}

static void point_current(World *world, const Generation *generation) {
        g_autofree char *link = link_of(generation), *name = g_path_get_basename(link);
        g_autofree char *path =
                g_strdup_printf("nix/var/nix/profiles/%s", generation->is_work ? "system-profiles/work" : "system");

        machine_symlink(world->machine, name, path);
        if (!generation->is_work)
                world->current = generation->id;
}

static void make_generation(World *world, const Event *event, unsigned number, bool is_work) {
        Generation generation = {number, world->next_id++, is_work, event->b % 4 == 0, false};
        g_autofree char *initrd = g_strnfill((40 + event->a % 200) * 1024, 'a' + generation.id % 26);
        g_autofree char *kernel = g_strdup_printf("kernel %u", event->c % 3);
        g_autofree char *made = NULL, *link = link_of(&generation), *from = NULL, *to = NULL;
        Generation as_made = generation;

        /* Made under its id, which nobody else has; then it gets its number. */
        memcpy(initrd, kernel, strlen(kernel));
        machine_add_generation(world->machine,
                               &(MachineGeneration){.number = generation.id,
                                                    .profile = is_work ? "work" : NULL,
                                                    .kernel = kernel,
                                                    .initrd = initrd,
                                                    .specialisation = generation.has_special ? "x" : NULL});
        as_made.number = generation.id;
        made = link_of(&as_made);
        from = test_path(world->machine->root, made);
        to = test_path(world->machine->root, link);
        g_assert_cmpint(g_rename(from, to), ==, 0);
        g_array_append_val(world->generations, generation);
        point_current(world, &generation);
}

static void drop_generation(World *world, unsigned index) {
        g_autofree char *link = link_of(world_generation(world, index)), *path = test_path(world->machine->root, link);

        g_assert_cmpint(g_unlink(path), ==, 0);
        g_array_remove_index(world->generations, index);
}

static void remove_generation(World *world, const Event *event) {
        unsigned index = event->a % world->generations->len;

        if (!is_current(world, world_generation(world, index)))
                drop_generation(world, index);
}

static void renumber(World *world, const Event *event) {
        unsigned number = newest_number(world, false);

        for (unsigned i = 0; i < world->generations->len; i++)
                if (!world_generation(world, i)->is_work && world_generation(world, i)->number == number) {
                        drop_generation(world, i);
                        break;
                }
        make_generation(world, event, number, false);
}

static void break_generation(World *world, const Event *event) {
        Generation *generation = world_generation(world, event->a % world->generations->len);
        g_autofree char *toplevel = generation_toplevel(generation, false);
        g_autofree char *from = g_strdup_printf("%s%s/boot.json", world->machine->root, toplevel);
        g_autofree char *to = g_strdup_printf("%s.good", from), *path = g_strdup_printf("%s/boot.json", toplevel);

        if (generation->is_broken || is_current(world, generation))
                return;
        g_assert_cmpint(g_rename(from, to), ==, 0);
        machine_write(world->machine, path, "{");
        generation->is_broken = true;
}

static void mend_generations(World *world) {
        for (unsigned i = 0; i < world->generations->len; i++) {
                Generation *generation = world_generation(world, i);
                g_autofree char *toplevel = generation_toplevel(generation, false);
                g_autofree char *to = g_strdup_printf("%s%s/boot.json", world->machine->root, toplevel);
                g_autofree char *from = g_strdup_printf("%s.good", to);

                if (generation->is_broken)
                        g_assert_cmpint(g_rename(from, to), ==, 0);
                generation->is_broken = false;
        }
}

static void change_stub(World *world) {
        g_autofree char *data = g_strdup_printf("stub number %u", ++world->stub);
        const PeFixtureSection sections[] = {
                {".text", "\x31\xc0\xc3", 3, 0x60000020},
                {".data", data, strlen(data), 0xc0000040},
                {".sbat", "sbat,1\n", 7, 0x40000040},
        };
        g_autoptr(GBytes) stub = g_byte_array_free_to_bytes(pe_fixture_build(
                &(PeFixture){.free_headers = 16, .sections = sections, .n_sections = G_N_ELEMENTS(sections)}));

        test_write_bytes(world->machine->root, MACHINE_STUB, stub, 0644);
}

/* --- Events on the ESP ---------------------------------------------------------------------------------------- */

static char *esp_path(const World *world, const char *path) {
        return g_build_filename(world->esp, path, NULL);
}

char *world_hash(const World *world, const char *path) {
        g_autofree char *full = esp_path(world, path), *content = NULL;
        size_t size;

        if (!g_file_get_contents(full, &content, &size, NULL))
                return g_strdup("missing");
        return g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)content, size);
}

static bool has_room(const World *world, size_t size) {
        struct statvfs st;

        g_assert_cmpint(statvfs(world->esp, &st), ==, 0);
        return (uint64_t)st.f_bavail * st.f_frsize > size + SPARE_BYTES;
}

static void put(World *world, const char *path, const char *content, size_t size) {
        g_autofree char *full = esp_path(world, path), *parent = g_path_get_dirname(full);

        g_assert_cmpint(g_mkdir_with_parents(parent, 0700), ==, 0);
        g_assert_true(g_file_set_contents_full(full, content, size, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

static void put_foreign(World *world, const char *path, const char *content, size_t size) {
        if (!has_room(world, size))
                return;
        put(world, path, content, size);
        g_hash_table_insert(world->foreign, g_strdup(path), world_hash(world, path));
}

/* An image of ours that would start, by a random number. Borrowed from IMAGES; NULL: there is none. */
static JudgedImage *pick_image(World *world, GPtrArray *images, unsigned number) {
        for (unsigned i = 0; i < images->len; i++) {
                JudgedImage *image = images->pdata[(i + number) % images->len];
                g_autofree char *path = g_strdup_printf("EFI/Linux/%s", image->name);

                if (!image->problem && image->toplevel && !g_hash_table_contains(world->foreign, path))
                        return image;
        }
        return NULL;
}

static void copy_image(World *world, const JudgedImage *image, const char *name, bool is_foreign) {
        g_autofree char *from = g_build_filename(world->esp, "EFI/Linux", image->name, NULL), *content = NULL;
        g_autofree char *path = g_strdup_printf("EFI/Linux/%s", name), *to = esp_path(world, path);
        size_t size;

        g_assert_true(g_file_get_contents(from, &content, &size, NULL));
        if (g_file_test(to, G_FILE_TEST_EXISTS) || !has_room(world, size))
                return;
        if (is_foreign)
                put_foreign(world, path, content, size);
        else
                put(world, path, content, size);
}

/* The number in an image's name. */
unsigned image_number(const char *name) {
        const char *place = strstr(name, "generation-");

        return place ? strtoul(place + strlen("generation-"), NULL, 10) : 1;
}

/* Under names that lanzaboote gave: now, with odd specialisations, and of old. */
static void write_lanzaboote(World *world, const Event *event) {
        g_autoptr(GPtrArray) images = judge_images(world->esp);
        JudgedImage *image = images->len > 0 ? pick_image(world, images, event->a) : NULL;
        g_autofree char *hash = g_strnfill(52, "aq"[event->c % 2]), *name = NULL;

        if (!image)
                return;
        switch (event->b % 3) {
        case 0:
                name = g_strdup_printf("nixos-generation-%u-%s.efi", image_number(image->name), hash);
                break;
        case 1:
                name = g_strdup_printf("nixos-generation-%u.efi", image_number(image->name));
                break;
        default:
                name = g_strdup_printf("nixos-generation-%u-specialisation-a b-%s+3.efi", image_number(image->name),
                                       hash);
                break;
        }
        copy_image(world, image, name, /* is_foreign= */ false);
}

static char *entry_text(const char *kernel, const char *toplevel, const char *machine_id) {
        return g_strdup_printf("title NixOS\nlinux /EFI/nixos/%s\ninitrd /EFI/nixos/%s\noptions init=%s/init quiet\n"
                               "machine-id %s\n",
                               kernel, kernel, toplevel, machine_id);
}

static void write_builders(World *world, const Event *event) {
        Generation *generation = world_generation(world, event->a % world->generations->len);
        g_autofree char *toplevel = generation_toplevel(generation, false);
        g_autofree char *kernel = g_strdup_printf("%032u-linux-6.1-bzImage.efi", generation->id);
        g_autofree char *text = entry_text(kernel, toplevel, WORLD_MACHINE_ID);
        g_autofree char *entry = g_strdup_printf("loader/entries/nixos-%sgeneration-%u.conf",
                                                 generation->is_work ? "work-" : "", generation->number);
        g_autofree char *path = g_strdup_printf("EFI/nixos/%s", kernel);

        if (!has_room(world, 2 * SPARE_BYTES))
                return;
        put(world, path, kernel, strlen(kernel));
        put(world, entry, text, strlen(text));
}

static void write_foreign_entry(World *world, const char *name, const char *kernel, const char *machine_id) {
        g_autofree char *entry = g_strdup_printf("loader/entries/%s.conf", name);
        g_autofree char *path = g_strdup_printf("EFI/nixos/%s", kernel);
        g_autofree char *text = entry_text(kernel, "/nix/store/of-another-machine", machine_id);

        if (!has_room(world, 2 * SPARE_BYTES))
                return;
        put_foreign(world, path, kernel, strlen(kernel));
        put_foreign(world, entry, text, strlen(text));
}

static void write_foreign(World *world, const Event *event) {
        unsigned number = world->files++;
        g_autofree char *filler = g_strnfill(event->b % 200 * 1024, 'f'), *hash = g_strnfill(50, 'b');
        g_autofree char *path = NULL, *kernel = NULL, *name = NULL;
        g_autoptr(GPtrArray) images = judge_images(world->esp);
        JudgedImage *image = images->len > 0 ? pick_image(world, images, event->c) : NULL;

        switch (event->a % 6) {
        case 0:
                path = g_strdup_printf("EFI/nixos/fw/update-%u.cap", number);
                put_foreign(world, path, filler, strlen(filler));
                break;
        case 1:
                path = g_strdup_printf("EFI/Linux/other-%u.efi", number);
                put_foreign(world, path, filler, strlen(filler));
                break;
        case 2: /* somebody's own, with a kernel in our form */
                name = g_strdup_printf("mine-%u", number);
                kernel = g_strdup_printf("kernel-9.9-%s%c%c.efi", hash, 'a' + number % 26, 'a');
                write_foreign_entry(world, name, kernel, WORLD_MACHINE_ID);
                break;
        case 3: /* another machine's, by the builder */
                name = g_strdup_printf("nixos-generation-%u", 500 + number);
                kernel = g_strdup_printf("%032u-linux-6.1-bzImage.efi", number);
                write_foreign_entry(world, name, kernel, OTHER_ID);
                break;
        case 4: /* another install's image, which shares our contents */
                name = g_strdup_printf("laptop-generation-%u-%s%c%c.efi", number, hash, 'a' + number % 26, 'a');
                if (image)
                        copy_image(world, image, name, /* is_foreign= */ true);
                break;
        default:
                path = g_strdup_printf("filler-%u", number);
                put_foreign(world, path, filler, strlen(filler));
                break;
        }
}

static void remove_foreign(World *world) {
        GHashTableIter iter;
        gpointer path;

        g_hash_table_iter_init(&iter, world->foreign);
        while (g_hash_table_iter_next(&iter, &path, NULL)) {
                g_autofree char *full = esp_path(world, path);

                if (!g_str_has_prefix(path, "filler-") && !g_str_has_prefix(path, "EFI/nixos/fw/"))
                        continue;
                g_assert_cmpint(g_unlink(full), ==, 0);
                g_hash_table_iter_remove(&iter);
                return;
        }
}

static void rename_image(World *world, const char *from, const char *to) {
        g_autofree char *old = g_build_filename(world->esp, "EFI/Linux", from, NULL);
        g_autofree char *new = g_build_filename(world->esp, "EFI/Linux", to, NULL);

        if (!g_file_test(new, G_FILE_TEST_EXISTS))
                g_assert_cmpint(g_rename(old, new), ==, 0);
}

/* As systemd-boot does it: it takes one of the tries that are left. */
static void count_boot(World *world, const JudgedImage *image) {
        unsigned left, done = 0;
        const char *plus = strrchr(image->name, '+');
        g_autofree char *name = NULL;

        if (strcmp(image->name, image->entry) == 0 || sscanf(plus, "+%u-%u", &left, &done) < 1 || left == 0)
                return;
        name = g_strdup_printf("%.*s+%u-%u.efi", (int)(plus - image->name), image->name, left - 1, done + 1);
        rename_image(world, image->name, name);
}

static void set_booted(World *world, const char *entry, const char *toplevel) {
        machine_set_loader_variable(world->machine, "LoaderEntrySelected", entry);
        machine_symlink(world->machine, toplevel, "run/booted-system");
        g_free(world->booted_entry);
        g_free(world->booted_toplevel);
        world->booted_entry = judge_entry_name(entry);
        world->booted_toplevel = g_strdup(toplevel);
}

static void boot(World *world, const Event *event) {
        g_autoptr(GPtrArray) images = judge_images(world->esp);
        JudgedImage *image = images->len > 0 ? pick_image(world, images, event->a) : NULL;
        g_auto(GStrv) entries = judge_folder(world->esp, "loader/entries");

        for (size_t i = 0; entries[i] && event->b % 4 == 0; i++)
                for (unsigned j = 0; j < world->generations->len; j++) {
                        Generation *generation = world_generation(world, j);
                        g_autofree char *name = g_strdup_printf("nixos-generation-%u.conf", generation->number);
                        g_autofree char *toplevel = generation_toplevel(generation, false);

                        if (generation->is_work || generation->is_broken || strcmp(name, entries[i]) != 0)
                                continue;
                        set_booted(world, name, toplevel);
                        return;
                }
        if (!image)
                return;
        set_booted(world, image->name, image->toplevel);
        count_boot(world, image);
}

static void bless(World *world) {
        g_autoptr(GPtrArray) images = judge_images(world->esp);

        for (unsigned i = 0; i < images->len; i++) {
                JudgedImage *image = images->pdata[i];

                if (strcmp(image->entry, world->booted_entry ?: "") == 0 && strcmp(image->name, image->entry) != 0)
                        rename_image(world, image->name, image->entry);
        }
}

/* As a cut, or somebody, may: removed, or empty. Not the one that runs. */
static void lose_image(World *world, const Event *event) {
        g_autoptr(GPtrArray) images = judge_images(world->esp);
        JudgedImage *image = images->len > 0 ? pick_image(world, images, event->a) : NULL;
        g_autofree char *path = image ? g_build_filename(world->esp, "EFI/Linux", image->name, NULL) : NULL;
        g_autoptr(GRegex) ours = g_regex_new(WORLD_OUR_IMAGE, 0, 0, NULL);

        if (!image || strcmp(image->entry, world->booted_entry ?: "") == 0 ||
            g_strcmp0(image->toplevel, world->booted_toplevel) == 0 || !g_regex_match(ours, image->entry, 0, NULL))
                return;
        if (event->b % 2 == 1)
                g_assert_cmpint(truncate(path, 0), ==, 0);
        else
                g_assert_cmpint(g_unlink(path), ==, 0);
}

/* --- All of it ------------------------------------------------------------------------------------------------ */

void world_change(World *world, const Event *event) {
        Generation *generation = world_generation(world, event->a % MAX(world->generations->len, 1));
        bool is_work = event->c % 5 == 0;

        switch (event->kind) {
        case ADD:
                make_generation(world, event, newest_number(world, is_work) + 1, is_work);
                break;
        case REMOVE:
                remove_generation(world, event);
                break;
        case RENUMBER:
                renumber(world, event);
                break;
        case CURRENT:
                if (!generation->is_broken)
                        point_current(world, generation);
                break;
        case LIMIT:
                world->machine->settings.limit = event->a % 5;
                break;
        case TRIES:
                world->machine->settings.tries = event->a % 4;
                break;
        case FOREIGN:
                write_foreign(world, event);
                break;
        case UNFOREIGN:
                remove_foreign(world);
                break;
        case LANZABOOTE:
                write_lanzaboote(world, event);
                break;
        case BUILDER:
                write_builders(world, event);
                break;
        case BOOT:
                boot(world, event);
                break;
        case BLESS:
                bless(world);
                break;
        case KEY:
                machine_set_keys(world->machine, ++world->key % 2 == 0 ? "" : "foreign-");
                break;
        case STUB:
                change_stub(world);
                break;
        case BREAK:
                break_generation(world, event);
                break;
        case MEND:
                mend_generations(world);
                break;
        case LOSE:
                lose_image(world, event);
                break;
        default:
                break;
        }
}

void world_init(World *world, unsigned esp_kib) {
        *world = (World){.machine = machine_new(/* has_firmware= */ true), .next_id = FIRST_ID};
        world->esp = test_path(world->machine->root, "boot");
        world->generations = g_array_new(FALSE, FALSE, sizeof(Generation));
        world->foreign = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        world->is_small = esp_kib > 0;
        if (world->is_small)
                machine_mount_esp(world->machine, esp_kib);
        machine_set_keys(world->machine, "");
        machine_write(world->machine, "etc/machine-id", WORLD_MACHINE_ID "\n");
}

void world_done(World *world) {
        machine_free(world->machine);
        g_array_unref(world->generations);
        g_hash_table_unref(world->foreign);
        g_free(world->esp);
        g_free(world->booted_entry);
        g_free(world->booted_toplevel);
        g_free(world->problem);
}
