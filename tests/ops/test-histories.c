/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Random histories of a machine: generations come and go, numbers are used again, keys and stubs change, the boot
 * loader counts, neighbours leave files, the ESP is too small. After each run of sync or gc an ESP is judged that
 * judge-fixture.c reads by itself:
 *
 * - every image refers to complete files, the one that was booted among them;
 * - nothing foreign changed;
 * - every wanted generation can be booted, unless the run says that there is no room for it; what is wanted is worked
 *   out here anew;
 * - nothing of ours is left that nobody needs;
 * - a second run writes nothing.
 *
 * A history is a list of events with random numbers, which mean something in any state, so that a failing one shrinks
 * by leaving events out. Each runs in a process of its own. */

#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/test-folder.h"
#include "tests/ops/judge-fixture.h"
#include "tests/ops/world-fixture.h"

enum { EVENTS_MAX = 24, SHRINK_RUNS_MAX = 300 };

static const struct {
        const char *name;
        unsigned weight;
} kinds[KINDS] = {
        [ADD] = {"add a generation", 5},
        [REMOVE] = {"remove a generation", 2},
        [RENUMBER] = {"use the newest number for another", 1},
        [CURRENT] = {"make another one current", 1},
        [LIMIT] = {"set the limit", 1},
        [TRIES] = {"set the tries", 1},
        [FOREIGN] = {"write something foreign", 3},
        [UNFOREIGN] = {"remove something foreign", 1},
        [LANZABOOTE] = {"write an image of lanzaboote's", 2},
        [BUILDER] = {"write what the systemd-boot builder does", 1},
        [BOOT] = {"boot an entry", 4},
        [BLESS] = {"bless it", 2},
        [KEY] = {"change the key", 1},
        [STUB] = {"change the stub", 1},
        [BREAK] = {"break a generation's document", 1},
        [MEND] = {"mend all documents", 1},
        [LOSE] = {"lose an image", 1},
        [SYNC] = {"sync", 7},
        [SYNC_TOPLEVEL] = {"sync a toplevel", 1},
        [RESTUB] = {"sync --restub", 1},
        [DRY_RUN] = {"sync --dry-run", 1},
        [GC] = {"gc", 1},
};

typedef struct History {
        unsigned esp_kib; /* 0: as large as need be */
        GArray *events;
} History;

/* --- Judging -------------------------------------------------------------------------------------------------- */

static void check_foreign(World *world) {
        GHashTableIter iter;
        gpointer path, hash;

        g_hash_table_iter_init(&iter, world->foreign);
        while (g_hash_table_iter_next(&iter, &path, &hash)) {
                g_autofree char *now = world_hash(world, path);

                if (strcmp(now, hash) != 0)
                        world_complain(world, "the foreign %s changed: %s", (char *)path, now);
        }
}

/* What a broken generation had can't be judged, and a file that is empty is none. */
static void check_images(World *world, GPtrArray *images) {
        for (unsigned i = 0; i < images->len; i++) {
                JudgedImage *image = images->pdata[i];
                g_autofree char *path = g_build_filename(world->esp, "EFI/Linux", image->name, NULL);
                GStatBuf st;

                if (!image->problem || g_str_has_prefix(image->name, "other-") ||
                    (g_stat(path, &st) == 0 && st.st_size == 0))
                        continue;
                world_complain(world, "%s: %s", image->name, image->problem);
        }
}

static bool starts(GPtrArray *images, const char *toplevel) {
        for (unsigned i = 0; i < images->len; i++) {
                JudgedImage *image = images->pdata[i];

                if (!image->problem && g_str_has_prefix(image->name, "nixos-") &&
                    g_strcmp0(image->toplevel, toplevel) == 0)
                        return true;
        }
        return false;
}

static bool has_entry(GPtrArray *images, const char *entry) {
        for (unsigned i = 0; i < images->len; i++)
                if (strcmp(((JudgedImage *)images->pdata[i])->entry, entry) == 0)
                        return true;
        return false;
}

/* The files that entries of the boot loader name. */
static void check_entries(World *world) {
        g_auto(GStrv) names = judge_folder(world->esp, "loader/entries");

        for (size_t i = 0; names[i]; i++) {
                g_autofree char *path = g_build_filename(world->esp, "loader/entries", names[i], NULL), *text = NULL;
                g_autofree char *kernel = NULL, *full = NULL;
                const char *place;

                g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
                place = strstr(text, "linux /");
                g_assert_nonnull(place);
                kernel = g_strndup(place + strlen("linux /"), strcspn(place + strlen("linux /"), "\n"));
                full = g_build_filename(world->esp, kernel, NULL);
                if (!g_file_test(full, G_FILE_TEST_EXISTS))
                        world_complain(world, "%s names %s, which is missing", names[i], kernel);
        }
}

static bool names_file(World *world, GPtrArray *images, const char *path) {
        g_auto(GStrv) names = judge_folder(world->esp, "loader/entries");

        for (unsigned i = 0; i < images->len; i++)
                if (g_strv_contains((const char *const *)((JudgedImage *)images->pdata[i])->paths, path))
                        return true;
        for (size_t i = 0; names[i]; i++) {
                g_autofree char *entry = g_build_filename(world->esp, "loader/entries", names[i], NULL), *text = NULL;

                g_assert_true(g_file_get_contents(entry, &text, NULL, NULL));
                if (strstr(text, path))
                        return true;
        }
        return false;
}

/* Whether a boot of GENERATION was confirmed good, as far as names tell: an image without counter starts it. */
static bool was_confirmed(GPtrArray *images, const Generation *generation) {
        g_autofree char *toplevel = generation_toplevel(generation, false),
                        *special = generation_toplevel(generation, true);

        for (unsigned i = 0; i < images->len; i++) {
                JudgedImage *image = images->pdata[i];

                if (!image->problem && g_regex_match_simple(WORLD_OUR_IMAGE, image->name, 0, 0) &&
                    image_number(image->name) == generation->number &&
                    g_str_has_prefix(image->name, "nixos-work-") == generation->is_work &&
                    (g_strcmp0(image->toplevel, toplevel) == 0 || g_strcmp0(image->toplevel, special) == 0))
                        return true;
        }
        return false;
}

/* Where boots are counted the newest generation that was confirmed good still is: the machine falls back to it. */
static void check_confirmed(World *world, GPtrArray *before, GPtrArray *after) {
        for (unsigned work = 0; work < 2 && world->machine->settings.tries > 0; work++) {
                Generation *newest = NULL;
                g_autofree char *title = NULL;

                for (unsigned i = 0; i < world->generations->len; i++) {
                        Generation *generation = world_generation(world, i);

                        if (generation->is_work == work && !generation->is_broken &&
                            was_confirmed(before, generation) && (!newest || generation->number > newest->number))
                                newest = generation;
                }
                title = newest ? generation_title_of(newest) : NULL;
                if (newest && !was_confirmed(after, newest))
                        world_complain(world, "%s was confirmed good, and is no more", title);
        }
}

static bool is_left_out(char **left_out, const Generation *generation) {
        g_autofree char *title = generation_title_of(generation);

        return g_strv_contains((const char *const *)left_out, title);
}

static void check_wanted(World *world, GPtrArray *images, unsigned default_id, char **left_out) {
        for (unsigned i = 0; i < world->generations->len; i++) {
                Generation *generation = world_generation(world, i);
                g_autofree char *toplevel = generation_toplevel(generation, false),
                                *special = generation_toplevel(generation, true);
                g_autofree char *title = generation_title_of(generation);

                if (!world_is_wanted(world, generation, default_id))
                        continue;
                if (is_left_out(left_out, generation)) {
                        if (generation->id == default_id || world_is_booted(world, generation))
                                world_complain(world, "%s is left out, which is protected", title);
                        continue;
                }
                if (!starts(images, toplevel))
                        world_complain(world, "%s is wanted, and nothing starts %s", title, toplevel);
                if (generation->has_special && !starts(images, special))
                        world_complain(world, "%s is wanted, and nothing starts %s", title, special);
        }
}

/* Whether a generation's boot may count as confirmed: one of its images has no counter. A specialisation of it that has
 * to be written anew has one. */
static bool may_be_confirmed(GPtrArray *images, const JudgedImage *image) {
        g_autoptr(GRegex) rest = g_regex_new("(generation-[0-9]+).*", 0, 0, NULL);
        g_autofree char *generation = g_regex_replace(rest, image->name, -1, 0, "\\1", 0, NULL);

        for (unsigned i = 0; i < images->len; i++) {
                const JudgedImage *other = images->pdata[i];
                g_autofree char *others = g_regex_replace(rest, other->name, -1, 0, "\\1", 0, NULL);

                if (strcmp(others, generation) == 0 && strcmp(other->name, other->entry) == 0)
                        return true;
        }
        return false;
}

/* Whether an image may stay after a sync: its generation is wanted, or can't be judged, or it is what was booted. */
static bool may_stay(World *world, GPtrArray *images, const JudgedImage *image, unsigned default_id, char **left_out) {
        bool by_toplevel = !world->booted_entry || !g_str_has_suffix(world->booted_entry, ".efi");

        if (world->machine->settings.tries > 0 && may_be_confirmed(images, image))
                return true;
        if (g_strcmp0(image->entry, world->booted_entry) == 0 ||
            (world->booted_toplevel && g_strcmp0(image->toplevel, world->booted_toplevel) == 0 && by_toplevel))
                return true;
        for (unsigned i = 0; i < world->generations->len; i++) {
                Generation *generation = world_generation(world, i);
                g_autofree char *toplevel = generation_toplevel(generation, false),
                                *special = generation_toplevel(generation, true);

                if (generation->is_broken && generation->number == image_number(image->name))
                        return true;
                if ((g_strcmp0(image->toplevel, toplevel) == 0 || g_strcmp0(image->toplevel, special) == 0) &&
                    world_is_wanted(world, generation, default_id) && !is_left_out(left_out, generation))
                        return true;
        }
        return false;
}

static void check_garbage(World *world, GPtrArray *images, unsigned default_id, char **left_out) {
        g_autoptr(GRegex) content = g_regex_new(WORLD_OUR_CONTENT, 0, 0, NULL),
                          ours = g_regex_new(WORLD_OUR_IMAGE, 0, 0, NULL);
        g_auto(GStrv) names = judge_folder(world->esp, "EFI/nixos");

        for (unsigned i = 0; i < images->len; i++) {
                JudgedImage *image = images->pdata[i];

                if (g_regex_match(ours, image->entry, 0, NULL) && !may_stay(world, images, image, default_id, left_out))
                        world_complain(world, "%s is garbage", image->name);
        }
        for (size_t i = 0; names[i]; i++) {
                g_autofree char *path = g_strdup_printf("EFI/nixos/%s", names[i]);

                if (g_regex_match(content, names[i], 0, NULL) && !names_file(world, images, path))
                        world_complain(world, "%s is garbage", path);
        }
}

static bool has_broken(World *world) {
        for (unsigned i = 0; i < world->generations->len; i++)
                if (world_generation(world, i)->is_broken)
                        return true;
        return false;
}

/* What holds after any run, of whatever. */
static void check_invariant(World *world, GPtrArray *before, GPtrArray *after) {
        check_images(world, after);
        check_foreign(world);
        check_entries(world);
        check_confirmed(world, before, after);
        if (world->booted_entry && has_entry(before, world->booted_entry) && !has_entry(after, world->booted_entry))
                world_complain(world, "%s, which was booted, is gone", world->booted_entry);
}

/* --- Running -------------------------------------------------------------------------------------------------- */

static char **get_left_out(const Outcome *outcome) {
        g_autofree char *text = outcome_get(outcome, "partitions.0.left-out");

        return g_strsplit(text, "\n", -1);
}

static void check_again(World *world, const char *toplevel, int status) {
        g_autofree char *before = machine_snapshot(world->machine, "boot"), *after = NULL;
        _cleanup_(outcome_freep) Outcome *outcome =
                machine_run(world->machine, "sync", toplevel ? "toplevel" : NULL, toplevel, NULL);

        after = machine_snapshot(world->machine, "boot");
        if (outcome->status != status)
                world_complain(world, "the second run returned %d instead of %d", outcome->status, status);
        if (strcmp(before, after) != 0)
                world_complain(world, "the second run wrote something:\n%s\nbecame\n%s", before, after);
        if (outcome->signatures > 0)
                world_complain(world, "the second run signed something");
}

static void sync_machine(World *world, const char *option, const char *value, unsigned default_id) {
        g_autoptr(GPtrArray) before = judge_images(world->esp), after = NULL;
        g_autofree char *snapshot = machine_snapshot(world->machine, "boot"), *now = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = machine_run(world->machine, "sync", option, value, NULL);
        g_auto(GStrv) left_out = NULL;

        after = judge_images(world->esp);
        check_invariant(world, before, after);
        if (outcome->status < 0) {
                now = machine_snapshot(world->machine, "boot");
                if (!world->is_small || outcome->failure.condition != CONDITION_ESP_FULL)
                        world_complain(world, "sync failed: %s", outcome->failure.message);
                else if (strcmp(snapshot, now) != 0)
                        world_complain(world, "there was no room, and all the same something was written");
                return;
        }
        left_out = get_left_out(outcome);
        if (!world->is_small && *left_out && **left_out)
                world_complain(world, "%s is left out, though there is room", *left_out);
        if (outcome->status != ((*left_out && **left_out) || has_broken(world) ? OPERATION_IN_PART : 0))
                world_complain(world, "sync returned %d", outcome->status);
        check_wanted(world, after, default_id, left_out);
        check_garbage(world, after, default_id, left_out);
        if (!world->problem)
                check_again(world, g_strcmp0(option, "toplevel") == 0 ? value : NULL, outcome->status);
}

static void sync_toplevel(World *world, const Event *event) {
        Generation *generation = world_generation(world, event->a % world->generations->len);
        g_autofree char *toplevel = generation_toplevel(generation, generation->has_special && event->b % 2 == 0);

        if (!generation->is_broken)
                sync_machine(world, "toplevel", toplevel, generation->id);
}

static void run_dry(World *world) {
        g_autofree char *before = machine_snapshot(world->machine, "boot"), *after = NULL;

        outcome_free(machine_run(world->machine, "sync", "dry-run", "yes", NULL));
        after = machine_snapshot(world->machine, "boot");
        if (strcmp(before, after) != 0)
                world_complain(world, "a dry run changed something");
}

/* What could be booted and is wanted still can be. */
static void collect_garbage(World *world) {
        g_autoptr(GPtrArray) before = judge_images(world->esp), after = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = machine_run(world->machine, "gc", NULL);

        after = judge_images(world->esp);
        check_invariant(world, before, after);
        if (outcome->status < 0 && outcome->failure.condition != CONDITION_NOTHING_BOOTABLE)
                world_complain(world, "gc failed: %s", outcome->failure.message);
        for (unsigned i = 0; i < world->generations->len; i++) {
                Generation *generation = world_generation(world, i);
                g_autofree char *toplevel = generation_toplevel(generation, false);

                if (world_is_wanted(world, generation, world->current) && starts(before, toplevel) &&
                    !starts(after, toplevel))
                        world_complain(world, "gc took the image of %s", toplevel);
        }
}

static void happen(World *world, const Event *event) {
        switch (event->kind) {
        case SYNC:
                sync_machine(world, NULL, NULL, world->current);
                break;
        case SYNC_TOPLEVEL:
                sync_toplevel(world, event);
                break;
        case RESTUB:
                sync_machine(world, "restub", "yes", world->current);
                break;
        case DRY_RUN:
                run_dry(world);
                break;
        case GC:
                collect_garbage(world);
                break;
        default:
                world_change(world, event);
                break;
        }
}

/* In the child: what is wrong, or NULL. Owned. */
static char *live(const History *history) {
        const Event first = {.kind = ADD, .a = 50, .b = 1, .c = 1};
        World world;
        char *problem;

        world_init(&world, history->esp_kib);
        happen(&world, &first);
        for (unsigned i = 0; i < history->events->len && !world.problem; i++)
                happen(&world, &g_array_index(history->events, Event, i));
        problem = g_steal_pointer(&world.problem);
        world_done(&world);
        return problem;
}

static char *read_all(int fd) {
        GString *text = g_string_new(NULL);
        char piece[4096];
        ssize_t n;

        while ((n = read(fd, piece, sizeof(piece))) > 0)
                g_string_append_len(text, piece, n);
        close(fd);
        return g_string_free(text, FALSE);
}

/* What is wrong with HISTORY, or NULL. Owned. */
static char *try_history(const History *history) {
        g_autofree char *text = NULL;
        int ends[2], status;
        pid_t child;

        g_assert_cmpint(pipe(ends), ==, 0);
        child = fork();
        g_assert_cmpint(child, >=, 0);
        if (child == 0) {
                g_assert_nonnull(freopen("/dev/null", "w", stdout));
                text = live(history);
                if (text)
                        (void)!write(ends[1], text, strlen(text));
                _exit(text ? 1 : 0);
        }
        close(ends[1]);
        text = read_all(ends[0]);
        g_assert_cmpint(waitpid(child, &status, 0), ==, child);
        if (status == 0)
                return NULL;
        return *text ? g_steal_pointer(&text) : g_strdup_printf("it ended with status %#x", status);
}

/* --- Histories ------------------------------------------------------------------------------------------------ */

static Kind random_kind(GRand *random) {
        unsigned sum = 0, chosen;
        Kind kind = 0;

        for (Kind i = 0; i < KINDS; i++)
                sum += kinds[i].weight;
        for (chosen = g_rand_int_range(random, 0, sum); chosen >= kinds[kind].weight; kind++)
                chosen -= kinds[kind].weight;
        return kind;
}

static History make_history(unsigned seed) {
        g_autoptr(GRand) random = g_rand_new_with_seed(seed);
        History history = {
                .esp_kib = g_rand_int_range(random, 0, 2) ? 0 : g_rand_int_range(random, 700, 2500),
                .events = g_array_new(FALSE, FALSE, sizeof(Event)),
        };
        unsigned count = g_rand_int_range(random, 4, EVENTS_MAX);
        Event event = {};

        for (unsigned i = 0; i < count; i++) {
                event = (Event){random_kind(random), g_rand_int_range(random, 0, 100000),
                                g_rand_int_range(random, 0, 100000), g_rand_int_range(random, 0, 100000)};
                g_array_append_val(history.events, event);
        }
        event.kind = SYNC;
        g_array_append_val(history.events, event);
        return history;
}

static History without(const History *history, unsigned from, unsigned count) {
        History shorter = {history->esp_kib, g_array_copy(history->events)};

        g_array_remove_range(shorter.events, from, MIN(count, shorter.events->len - from));
        return shorter;
}

/* Leaves out what the failure does not need. *PROBLEM is what is wrong with what is left. */
static void shrink(History *history, char **problem) {
        unsigned runs = 0;

        for (unsigned chunk = history->events->len / 2; chunk > 0; chunk /= 2)
                for (unsigned from = 0; from < history->events->len && runs < SHRINK_RUNS_MAX;) {
                        History shorter = without(history, from, chunk);
                        char *found = try_history(&shorter);

                        runs++;
                        if (!found) {
                                g_array_unref(shorter.events);
                                from += chunk;
                                continue;
                        }
                        g_array_unref(history->events);
                        *history = shorter;
                        g_free(*problem);
                        *problem = found;
                }
}

static char *describe(const History *history) {
        GString *text = g_string_new(NULL);

        g_string_append_printf(text, "an ESP of %u KiB (0: large)", history->esp_kib);
        for (unsigned i = 0; i < history->events->len; i++) {
                const Event *event = &g_array_index(history->events, Event, i);

                g_string_append_printf(text, "; %s (%u %u %u)", kinds[event->kind].name, event->a, event->b, event->c);
        }
        return g_string_free(text, FALSE);
}

/* The few that run with every change are always the same: what fails then is the change. Others come with the full
 * count. */
static void test_histories(void) {
        const char *seed_text = g_getenv("LANZA_SEED");
        bool is_long = g_getenv("LANZA_LONG");
        unsigned seed = seed_text ? strtoul(seed_text, NULL, 10) : is_long ? g_random_int() % 1000000000 : 1;
        unsigned count = is_long ? 2000 : 100;

        g_test_message("LANZA_SEED=%u", seed);
        for (unsigned i = 0; i < count; i++) {
                History history = make_history(seed + i);
                g_autofree char *problem = try_history(&history), *text = NULL;

                if (problem) {
                        shrink(&history, &problem);
                        text = describe(&history);
                        g_test_message("LANZA_SEED=%u begins with this one; shrunk: %s", seed + i, text);
                        g_error("%s", problem);
                }
                g_array_unref(history.events);
        }
        g_test_message("%u histories", count);
}

int main(int argc, char **argv) {
        g_autofree char *folder =
                g_strdup(access("/dev/shm", W_OK) == 0 ? "/dev/shm/lanza-XXXXXX" : "/tmp/lanza-XXXXXX");
        int r;

        /* In memory, where there is such a place, and gone in any case. */
        g_assert_nonnull(g_mkdtemp(folder));
        g_setenv("TMPDIR", folder, TRUE);
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ops/histories/after-each-run-every-image-starts-and-nothing-foreign-changed", test_histories);
        r = g_test_run();
        test_folder_remove(g_steal_pointer(&folder));
        return r;
}
