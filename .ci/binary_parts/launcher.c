/* The beginning of the single file `rpw-fixture`: unpacks what follows it, once, and starts it.
 *
 * The file is this program, then a Zstandard frame (see single_file.py for what is in it), then a trailer.
 * Below a cache folder there are
 *
 *   ID            a link to the generation in use; ID is the digest of the frame
 *   ID.lock       locked while somebody unpacks
 *   ID.XXXXXX/    a generation: the unpacked files, `.in-use` and `.manifest`
 *
 * `.manifest` is written last and holds size and hash of every file; a start reads all of them (they are
 * needed anyway), so that a damaged cache is noticed and a new generation takes its place. A running program
 * keeps a shared lock on `.in-use`, so that its generation is not removed under it. After SIGKILL in the
 * middle of unpacking, there is a generation that no link leads to: the next one who unpacks removes it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

enum { ID_LENGTH = 16, PATH_LIMIT = 4096, ENVIRONMENT_LACKS = 3, EXTRA_ARGUMENTS = 8 };
enum { ABANDONED_SECONDS = 60, UNUSED_SECONDS = 30 * 24 * 3600 };
static const char MAGIC[16] = "rpw-fixture-file";

struct trailer {
    uint64_t offset, size;
    char id[ID_LENGTH];
    char magic[16];
};

/* One file: this header, its path, its content. A path length of 0 ends the list. */
struct entry {
    uint32_t path_length, mode;
    uint64_t size;
    uint32_t loader_offset, loader_space; /* where the path of the dynamic loader is to be written */
};

struct manifest {
    uint32_t count, path_bytes;
    uint64_t hash; /* of all that follows */
};

struct check {
    uint64_t size, hash;
    uint32_t path_length, padding;
};

struct program {
    char path[PATH_LIMIT];
    const unsigned char *frame;
    size_t frame_size;
    char id[ID_LENGTH + 1];
};

static char problems[16384];

static void note(const char *where, const char *what, int code) {
    size_t used = strlen(problems);
    snprintf(problems + used, sizeof problems - used, "\n  %s: %s%s%s", where, what, code ? ": " : "",
             code ? strerror(code) : "");
}

/* Every one-bit change of the content changes it; it is no protection against people. */
static uint64_t hash(const unsigned char *data, size_t size) {
    uint64_t lanes[4] = {1, 2, 3, 4}, word;
    size_t at = 0;
    for (; at + 32 <= size; at += 32)
        for (int lane = 0; lane < 4; lane++) {
            memcpy(&word, data + at + 8 * lane, 8);
            lanes[lane] = (lanes[lane] ^ word) * 0x9E3779B97F4A7C15u;
            lanes[lane] ^= lanes[lane] >> 29;
        }
    uint64_t sum = size;
    for (int lane = 0; lane < 4; lane++) sum = (sum ^ lanes[lane]) * 0xC2B2AE3D27D4EB4Fu, sum ^= sum >> 31;
    for (; at < size; at++) sum = (sum ^ data[at]) * 0x100000001B3u;
    return sum ^ sum >> 32;
}

static int join(char *out, size_t space, const char *first, const char *second) {
    return snprintf(out, space, "%s/%s", first, second) < (int)space;
}

static int make_folders(char *path) {
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        int failed = mkdir(path, 0700) && errno != EEXIST;
        *slash = '/';
        if (failed) return -1;
    }
    return 0;
}

static int write_all(int file, const void *data, size_t size) {
    const char *at = data;
    while (size) {
        ssize_t written = write(file, at, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return -1;
        at += written, size -= written;
    }
    return 0;
}

static int write_file(int folder, const char *path, mode_t mode, const void *data, size_t size) {
    int file = openat(folder, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file < 0) return -1;
    int failed = fchmod(file, mode) || write_all(file, data, size);
    return close(file) || failed ? -1 : 0;
}

/* Map a file; NULL if it is missing, empty or has another size than expected (0: any). */
static unsigned char *map_file(int folder, const char *path, size_t expected, size_t *size) {
    int file = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;
    unsigned char *data = NULL;
    if (file < 0) return NULL;
    if (!fstat(file, &status) && S_ISREG(status.st_mode) && status.st_size &&
        (!expected || (size_t)status.st_size == expected)) {
        *size = status.st_size;
        data = mmap(NULL, *size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
        if (data == MAP_FAILED) data = NULL;
    }
    close(file);
    return data;
}

static int is_whole_file(int folder, const char *path, const struct check *expected) {
    size_t size = 0;
    struct stat status;
    if (!expected->size) return !fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW) && !status.st_size;
    unsigned char *data = map_file(folder, path, expected->size, &size);
    if (!data) return 0;
    int whole = hash(data, size) == expected->hash;
    munmap(data, size);
    return whole;
}

static int is_whole(int folder) {
    size_t size;
    unsigned char *data = map_file(folder, ".manifest", 0, &size);
    struct manifest head;
    if (!data) return 0;
    int whole = 0;
    if (size >= sizeof head) {
        memcpy(&head, data, sizeof head);
        const unsigned char *at = data + sizeof head, *paths = at + head.count * sizeof(struct check);
        whole = size == sizeof head + head.count * sizeof(struct check) + head.path_bytes &&
                hash(at, size - sizeof head) == head.hash;
        for (uint32_t index = 0; whole && index < head.count; index++) {
            struct check expected;
            memcpy(&expected, at + index * sizeof expected, sizeof expected);
            whole = is_whole_file(folder, (const char *)paths, &expected);
            paths += expected.path_length + 1;
        }
    }
    munmap(data, size);
    return whole;
}

/* Lock a file. 0: locked, or this file system has no locks; -1: locked by others. */
static int lock(int file, int kind) {
    while (flock(file, kind)) {
        if (errno == EINTR) continue;
        return errno == EWOULDBLOCK ? -1 : 0;
    }
    return 0;
}

/* Open the generation that the link of this program leads to, if it is whole, and keep it in use. */
static int open_current(const struct program *program, const char *cache, char *generation) {
    char link[PATH_LIMIT], name[64];
    struct stat status;
    if (!join(link, sizeof link, cache, program->id)) return -1;
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length <= 0) return -1;
    name[length] = 0;
    if (strchr(name, '/') || !join(generation, PATH_LIMIT, cache, name)) return -1;
    int folder = open(generation, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder < 0) return -1;
    int file = openat(folder, ".in-use", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    int in_use = file < 0 ? -1 : fcntl(file, F_DUPFD, 3); /* inherited by the program */
    if (file >= 0) close(file);
    int usable = in_use >= 0 && !lock(in_use, LOCK_SH | LOCK_NB) && !fstat(in_use, &status) &&
                 status.st_nlink && is_whole(folder);
    close(folder);
    if (usable) futimens(in_use, NULL);
    if (!usable && in_use >= 0) close(in_use);
    return usable ? 0 : -1;
}

static void remove_tree(int parent, const char *name) {
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder >= 0) {
        DIR *listing = fdopendir(folder);
        struct dirent *each;
        while (listing && (each = readdir(listing))) {
            if (!strcmp(each->d_name, ".") || !strcmp(each->d_name, "..")) continue;
            if (unlinkat(folder, each->d_name, 0)) remove_tree(folder, each->d_name);
        }
        if (listing) closedir(listing);
        else close(folder);
    }
    unlinkat(parent, name, AT_REMOVEDIR);
}

/* Remove a generation unless it is in use, or is what a link leads to and was used lately. */
static void remove_unused(int cache, const char *name) {
    char path[PATH_LIMIT], id[ID_LENGTH + 1], current[64] = "";
    struct stat status;
    snprintf(id, sizeof id, "%s", name);
    int is_current = readlinkat(cache, id, current, sizeof current - 1) > 0 && !strcmp(current, name);
    snprintf(path, sizeof path, "%s/.in-use", name);
    int in_use = openat(cache, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (in_use < 0) {
        /* Somebody may be about to create it. */
        int known = !fstatat(cache, name, &status, AT_SYMLINK_NOFOLLOW);
        if (known && time(NULL) - status.st_mtime > ABANDONED_SECONDS) remove_tree(cache, name);
        return;
    }
    int is_old = !fstat(in_use, &status) && time(NULL) - status.st_mtime > UNUSED_SECONDS;
    if ((!is_current || is_old) && !flock(in_use, LOCK_EX | LOCK_NB)) {
        if (is_current) unlinkat(cache, id, 0);
        remove_tree(cache, name);
    }
    close(in_use);
}

static void clean_up(const char *cache) {
    int folder = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = folder < 0 ? NULL : fdopendir(folder);
    struct dirent *each;
    while (listing && (each = readdir(listing)))
        if (strlen(each->d_name) == ID_LENGTH + 7 && each->d_name[ID_LENGTH] == '.')
            remove_unused(folder, each->d_name);
    if (listing) closedir(listing);
}

static int write_manifest(int folder, struct manifest *head, const struct check *checks, const char *paths) {
    size_t fixed = head->count * sizeof *checks, size = sizeof *head + fixed + head->path_bytes;
    unsigned char *all = malloc(size);
    if (!all) return -1;
    memcpy(all + sizeof *head, checks, fixed);
    memcpy(all + sizeof *head + fixed, paths, head->path_bytes);
    head->hash = hash(all + sizeof *head, size - sizeof *head);
    memcpy(all, head, sizeof *head);
    int failed = write_file(folder, ".manifest.new", 0600, all, size) ||
                 renameat(folder, ".manifest.new", folder, ".manifest");
    free(all);
    return failed ? -1 : 0;
}

static int write_entries(int folder, const char *generation, unsigned char *at) {
    struct manifest head = {0};
    struct check *checks = NULL;
    char *paths = NULL, path[PATH_LIMIT], loader[PATH_LIMIT];
    for (struct entry each;; at += each.path_length + each.size) {
        memcpy(&each, at, sizeof each);
        at += sizeof each;
        if (!each.path_length) break;
        snprintf(path, sizeof path, "%.*s", (int)each.path_length, (char *)at);
        unsigned char *content = at + each.path_length;
        if (each.loader_space) {
            if (!join(loader, sizeof loader, generation, "lib/loader")) return errno = ENAMETOOLONG, -1;
            if (strlen(loader) >= each.loader_space) return errno = ENAMETOOLONG, -1;
            memset(content + each.loader_offset, 0, each.loader_space);
            memcpy(content + each.loader_offset, loader, strlen(loader));
        }
        if (!(head.count & 255)) checks = realloc(checks, (head.count + 256) * sizeof *checks);
        paths = realloc(paths, head.path_bytes + each.path_length + 1);
        if (!checks || !paths) return errno = ENOMEM, -1;
        memcpy(paths + head.path_bytes, path, each.path_length + 1);
        head.path_bytes += each.path_length + 1;
        checks[head.count++] =
            (struct check){.size = each.size, .hash = hash(content, each.size), .path_length = each.path_length};
        if (write_file(folder, path, each.mode, content, each.size)) {
            char parents[2 * PATH_LIMIT];
            if (errno != ENOENT || !join(parents, sizeof parents, generation, path) || make_folders(parents) ||
                write_file(folder, path, each.mode, content, each.size))
                return -1;
        }
    }
    return write_manifest(folder, &head, checks, paths);
}

static void fail(const char *message, const char *detail) {
    fprintf(stderr, "rpw-fixture: %s%s\n", message, detail);
    exit(ENVIRONMENT_LACKS);
}

static void refuse_damaged(const struct program *program) {
    fail("this file is not whole, copy or download it again: ", program->path);
}

static unsigned char *decompress(const struct program *program) {
    unsigned long long size = ZSTD_getFrameContentSize(program->frame, program->frame_size);
    if (size >= ZSTD_CONTENTSIZE_ERROR) refuse_damaged(program);
    unsigned char *data = malloc(size);
    if (data && ZSTD_decompress(data, size, program->frame, program->frame_size) != size) refuse_damaged(program);
    return data;
}

static int unpack(const struct program *program, const char *cache) {
    char generation[PATH_LIMIT], name[64], link[PATH_LIMIT];
    snprintf(name, sizeof name, "%s.XXXXXX", program->id);
    unsigned char *data = decompress(program);
    if (!data || !join(generation, sizeof generation, cache, name) || !mkdtemp(generation)) return -1;
    snprintf(name, sizeof name, "%s", strrchr(generation, '/') + 1);
    int folder = open(generation, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int in_use = openat(folder, ".in-use", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int failed = in_use < 0 || lock(in_use, LOCK_EX | LOCK_NB) ||
                 write_entries(folder, generation, data);
    if (!failed) {
        failed = !join(link, sizeof link, cache, program->id) || symlinkat(name, folder, ".link") ||
                 renameat(folder, ".link", AT_FDCWD, link);
    }
    int code = errno;
    if (failed) remove_tree(AT_FDCWD, generation);
    free(data);
    close(folder);
    if (in_use >= 0) close(in_use);
    errno = code;
    return failed ? -1 : 0;
}

/* Only we may write there: what is in the folder is going to be run. */
static int is_private(const char *folder) {
    struct stat status;
    return !lstat(folder, &status) && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
           !(status.st_mode & 022);
}

static void start(const struct program *program, const char *generation, int count, char **given) {
    static char executable[PATH_LIMIT + 16], option[PATH_LIMIT + 32];
    char **arguments = calloc(count + EXTRA_ARGUMENTS + 1, sizeof *arguments);
    snprintf(executable, sizeof executable, "%s/bin/python3", generation);
    snprintf(option, sizeof option, "rpw_fixture_file=%s", program->path);
    char *first[EXTRA_ARGUMENTS] = {executable, "-I", "-S", "-B", "-X", option, "-m", "rpw_fixture"};
    memcpy(arguments, first, sizeof first);
    for (int index = 1; index < count; index++) arguments[EXTRA_ARGUMENTS - 1 + index] = given[index];
    execv(executable, arguments);
    note(generation, "cannot start the program there", errno);
    free(arguments);
}

/* Start from one cache folder. Returns only if that does not work. */
static void try_cache(const struct program *program, char *cache, int count, char **given) {
    char generation[PATH_LIMIT], lock_path[PATH_LIMIT];
    if (make_folders(cache) || (mkdir(cache, 0700) && errno != EEXIST)) {
        note(cache, "cannot be created", errno);
        return;
    }
    if (!is_private(cache)) {
        note(cache, "belongs to or can be written by another user", 0);
        return;
    }
    if (open_current(program, cache, generation)) {
        snprintf(lock_path, sizeof lock_path, "%s/%s.lock", cache, program->id);
        int file = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (file >= 0) lock(file, LOCK_EX);
        /* Another one may have unpacked it while we waited. */
        int missing = open_current(program, cache, generation);
        if (missing && unpack(program, cache)) {
            note(cache, "cannot unpack there", errno);
            missing = -1;
        } else if (missing) {
            missing = open_current(program, cache, generation);
            if (missing) note(cache, "what was unpacked there is not what was written", 0);
            clean_up(cache);
        }
        if (file >= 0) close(file);
        if (missing) return;
    }
    start(program, generation, count, given);
}

static void read_program(struct program *program) {
    struct trailer trailer;
    struct stat status;
    ssize_t length = readlink("/proc/self/exe", program->path, sizeof program->path - 1);
    /* The dynamic loader needs it too, to find the libraries. */
    if (length <= 0) fail("/proc is not mounted; without it there is no way to find the program's parts", "");
    program->path[length] = 0;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status)) fail("cannot read its own file: ", strerror(errno));
    size_t size = status.st_size;
    unsigned char *all = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (all == MAP_FAILED) fail("cannot read its own file: ", strerror(errno));
    close(file);
    if (size >= sizeof trailer) memcpy(&trailer, all + size - sizeof trailer, sizeof trailer);
    if (size < sizeof trailer || memcmp(trailer.magic, MAGIC, sizeof MAGIC) ||
        trailer.offset + trailer.size + sizeof trailer != size)
        refuse_damaged(program);
    program->frame = all + trailer.offset;
    program->frame_size = trailer.size;
    snprintf(program->id, sizeof program->id, "%.*s", ID_LENGTH, trailer.id);
}

int main(int count, char **given) {
    static struct program program;
    char cache[PATH_LIMIT];
    read_program(&program);
    const char *configured = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (configured && *configured == '/') {
        if (join(cache, sizeof cache, configured, "rpw_fixture/file")) try_cache(&program, cache, count, given);
    } else if (home && *home == '/') {
        if (join(cache, sizeof cache, home, ".cache/rpw_fixture/file")) try_cache(&program, cache, count, given);
    }
    const char *temporary[] = {getenv("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm", getenv("TEST_TMPDIR")};
    for (size_t index = 0; index < sizeof temporary / sizeof *temporary; index++) {
        if (!temporary[index] || *temporary[index] != '/' || access(temporary[index], W_OK | X_OK)) continue;
        /* Not rpw_fixture-…: servers remove folders with such names that no server uses. */
        int length = snprintf(cache, sizeof cache, "%s/rpw-fixture-file-%u", temporary[index], (unsigned)geteuid());
        if (length < (int)sizeof cache) try_cache(&program, cache, count, given);
    }
    fail("cannot unpack itself anywhere; set XDG_CACHE_HOME to a folder that you can write:", problems);
}
