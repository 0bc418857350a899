/* A disk that fails: preloaded (LD_PRELOAD), it counts the system calls on what lies below a
 * folder, and lets the n-th fail, once or from then on. The test that is run with it finds the
 * functions at the end by dlsym. To be compiled with -D_GNU_SOURCE. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <unistd.h>

/* What a call does; a fault is for some of these. tests/disk.rs has the same numbers. */
enum {
    OPEN = 1,
    CREATE = 2,
    READ = 4,
    WRITE = 8,
    SYNC = 16,
    SIZE = 32,
    MAP = 64,
    REMOVE = 128,
    LOOK = 256,
    LOCK = 512,
    RIGHTS = 1024,
    CLOSE = 2048,
};

/* The fault of a call that does a part of its work and no more, where others have a number of
 * errno. */
enum { SHORT = -1 };

enum { DESCRIPTORS_MAX = 1 << 16 };

/* The calls on a file that one who models the medium must know: see `failing_watch`. */
typedef void watcher(const char *path, int kind, long offset, long len, int failed);

/* Told of every call that could fail: its name, the file without the folder, and of what kinds it
 * is. */
typedef void noter(const char *call, const char *file, int kinds);

static char below[PATH_MAX];
static size_t below_len;
static _Atomic(const char *) names[DESCRIPTORS_MAX];
static atomic_long counted, failed, closed_twice;
static long first;
static int kinds, fault;
static bool goes_on;
static atomic_bool armed;
static char first_call[PATH_MAX + 32];
static watcher *_Atomic watching;
static noter *_Atomic noting;
/* What is done by the one who is told of a call does not fail, and is not told of. */
static _Thread_local bool is_told;

static bool is_below(const char *path) {
    return below_len > 0 && path != NULL && strncmp(path, below, below_len) == 0;
}

static const char *name_of(int descriptor) {
    return descriptor >= 0 && descriptor < DESCRIPTORS_MAX ? atomic_load(&names[descriptor]) : NULL;
}

/* Whether this call on this file is to fail; errno is set then. */
static bool fails(const char *call, const char *path, int kind) {
    if (!atomic_load(&armed) || is_told || !is_below(path))
        return false;
    noter *noted = atomic_load(&noting);
    if (noted != NULL) {
        int saved = errno;
        is_told = true;
        noted(call, path + below_len, kind);
        is_told = false;
        errno = saved;
    }
    if (!(kinds & kind))
        return false;
    long number = atomic_fetch_add(&counted, 1) + 1;
    if (number < first || (number > first && !goes_on))
        return false;
    if (atomic_fetch_add(&failed, 1) == 0)
        snprintf(first_call, sizeof first_call, "%s %s", call, path + below_len);
    if (fault > 0)
        errno = fault;
    return true;
}

static void tell(const char *path, int kind, long offset, long len, bool has_failed) {
    watcher *told = atomic_load(&watching);
    if (told != NULL && !is_told && is_below(path)) {
        int saved = errno;
        is_told = true;
        told(path, kind, offset, len, has_failed);
        is_told = false;
        errno = saved;
    }
}

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

/* The function of this name that would be called otherwise. */
#define NEXT(type, name, ...)                                                                      \
    static _Atomic(void *) looked_up;                                                              \
    if (atomic_load(&looked_up) == NULL)                                                           \
        atomic_store(&looked_up, next(name));                                                      \
    type (*original)(__VA_ARGS__) = (type(*)(__VA_ARGS__))atomic_load(&looked_up)

struct kept_path {
    struct kept_path *before;
    char path[];
};
static _Atomic(struct kept_path *) last_kept;

/* A copy of a path. Other threads may look at it when the file is closed: it is kept for good, where
 * whoever looks for leaks finds it. */
static const char *kept(const char *path) {
    size_t bytes = strlen(path) + 1;
    struct kept_path *one = malloc(sizeof *one + bytes);
    if (one == NULL)
        abort();
    memcpy(one->path, path, bytes);
    one->before = atomic_load(&last_kept);
    while (!atomic_compare_exchange_weak(&last_kept, &one->before, one)) {
    }
    return one->path;
}

static int opened(const char *path, int descriptor) {
    if (descriptor >= 0 && descriptor < DESCRIPTORS_MAX)
        atomic_store(&names[descriptor], is_below(path) ? kept(path) : NULL);
    return descriptor;
}

#define OPEN_CALL(name)                                                                            \
    int name(const char *path, int flags, ...) {                                                   \
        NEXT(int, #name, const char *, int, ...);                                                  \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;               \
        va_end(arguments);                                                                         \
        if (fails(#name, path, flags & O_CREAT ? OPEN | CREATE : OPEN))                            \
            return -1;                                                                             \
        return opened(path, original(path, flags, mode));                                          \
    }
OPEN_CALL(open)
OPEN_CALL(open64)

int close(int descriptor) {
    NEXT(int, "close", int);
    const char *name = name_of(descriptor);
    bool is_failing = name != NULL && fails("close", name, CLOSE);
    int saved = errno;
    if (name != NULL)
        atomic_store(&names[descriptor], NULL);
    /* As Linux does it: the number is free whatever close says. */
    int result = original(descriptor);
    if (result < 0 && errno == EBADF)
        atomic_fetch_add(&closed_twice, 1);
    if (is_failing)
        errno = saved;
    return is_failing ? -1 : result;
}

#define TYPES(...) __VA_ARGS__

/* Reading or writing `len` bytes at `position`; a part of them where the fault is that. */
#define TRANSFER(name, kind, parameters, types, arguments, position)                               \
    ssize_t name parameters {                                                                      \
        NEXT(ssize_t, #name, types);                                                               \
        const char *path = name_of(descriptor);                                                    \
        if (path != NULL && fails(#name, path, kind)) {                                            \
            if (fault != SHORT)                                                                    \
                return -1;                                                                         \
            len = len > 1 ? len / 2 : len;                                                         \
        }                                                                                          \
        long at = path != NULL ? (long)(position) : 0;                                             \
        ssize_t done = original arguments;                                                         \
        if (path != NULL && kind == WRITE)                                                         \
            tell(path, WRITE, at, done, done < 0);                                                 \
        return done;                                                                               \
    }
#define TRANSFER_AT(name, kind, type, offset_type)                                                 \
    TRANSFER(name, kind, (int descriptor, type buffer, size_t len, offset_type offset),            \
             TYPES(int, type, size_t, offset_type), (descriptor, buffer, len, offset), offset)
#define TRANSFER_NEXT(name, kind, type)                                                            \
    TRANSFER(name, kind, (int descriptor, type buffer, size_t len), TYPES(int, type, size_t),      \
             (descriptor, buffer, len), lseek(descriptor, 0, SEEK_CUR))
TRANSFER_AT(pread, READ, void *, off_t)
TRANSFER_AT(pread64, READ, void *, off64_t)
TRANSFER_AT(pwrite, WRITE, const void *, off_t)
TRANSFER_AT(pwrite64, WRITE, const void *, off64_t)
TRANSFER_NEXT(read, READ, void *)
TRANSFER_NEXT(write, WRITE, const void *)

#define SYNC_CALL(name)                                                                            \
    int name(int descriptor) {                                                                     \
        NEXT(int, #name, int);                                                                     \
        const char *path = name_of(descriptor);                                                    \
        bool is_failing = path != NULL && fails(#name, path, SYNC);                                \
        if (path != NULL)                                                                          \
            tell(path, SYNC, 0, 0, is_failing);                                                    \
        return is_failing ? -1 : original(descriptor);                                             \
    }
SYNC_CALL(fsync)
SYNC_CALL(fdatasync)

#define TRUNCATE_CALL(name, type)                                                                  \
    int name(int descriptor, type len) {                                                           \
        NEXT(int, #name, int, type);                                                               \
        const char *path = name_of(descriptor);                                                    \
        return path != NULL && fails(#name, path, SIZE) ? -1 : original(descriptor, len);          \
    }
TRUNCATE_CALL(ftruncate, off_t)
TRUNCATE_CALL(ftruncate64, off64_t)

/* It says what is wrong itself, and not by errno. */
#define ALLOCATE_CALL(name, type)                                                                  \
    int name(int descriptor, type offset, type len) {                                              \
        NEXT(int, #name, int, type, type);                                                         \
        const char *path = name_of(descriptor);                                                    \
        int saved = errno, number = fault;                                                         \
        bool is_failing = path != NULL && fails(#name, path, SIZE);                                \
        errno = saved;                                                                             \
        return is_failing ? number : original(descriptor, offset, len);                            \
    }
ALLOCATE_CALL(posix_fallocate, off_t)
ALLOCATE_CALL(posix_fallocate64, off64_t)

#define RESERVE_CALL(name, type)                                                                   \
    int name(int descriptor, int mode, type offset, type len) {                                    \
        NEXT(int, #name, int, int, type, type);                                                    \
        const char *path = name_of(descriptor);                                                    \
        return path != NULL && fails(#name, path, SIZE) ? -1                                       \
                                                        : original(descriptor, mode, offset, len); \
    }
RESERVE_CALL(fallocate, off_t)
RESERVE_CALL(fallocate64, off64_t)

#define MAP_CALL(name, type)                                                                       \
    void *name(void *address, size_t len, int protection, int flags, int descriptor,               \
               type offset) {                                                                      \
        NEXT(void *, #name, void *, size_t, int, int, int, type);                                  \
        const char *path = name_of(descriptor);                                                    \
        if (path != NULL && fails(#name, path, MAP))                                               \
            return MAP_FAILED;                                                                     \
        return original(address, len, protection, flags, descriptor, offset);                      \
    }
MAP_CALL(mmap, off_t)
MAP_CALL(mmap64, off64_t)

/* A call that names its file and says -1 where it fails. */
#define PATH_CALL(name, kind, parameters, types, arguments)                                        \
    int name parameters {                                                                          \
        NEXT(int, #name, types);                                                                   \
        return fails(#name, path, kind) ? -1 : original arguments;                                 \
    }
PATH_CALL(access, LOOK, (const char *path, int mode), TYPES(const char *, int), (path, mode))
PATH_CALL(stat, LOOK, (const char *path, struct stat *found), TYPES(const char *, struct stat *),
          (path, found))
PATH_CALL(lstat, LOOK, (const char *path, struct stat *found), TYPES(const char *, struct stat *),
          (path, found))
PATH_CALL(stat64, LOOK, (const char *path, struct stat64 *found),
          TYPES(const char *, struct stat64 *), (path, found))
PATH_CALL(lstat64, LOOK, (const char *path, struct stat64 *found),
          TYPES(const char *, struct stat64 *), (path, found))
PATH_CALL(statfs, LOOK, (const char *path, struct statfs *found),
          TYPES(const char *, struct statfs *), (path, found))
PATH_CALL(statfs64, LOOK, (const char *path, struct statfs64 *found),
          TYPES(const char *, struct statfs64 *), (path, found))

int unlink(const char *path) {
    NEXT(int, "unlink", const char *);
    if (fails("unlink", path, REMOVE))
        return -1;
    int done = original(path);
    if (done == 0)
        tell(path, REMOVE, 0, 0, false);
    return done;
}

int statx(int folder, const char *path, int flags, unsigned mask, struct statx *found) {
    NEXT(int, "statx", int, const char *, int, unsigned, struct statx *);
    /* An empty path means the descriptor itself. */
    const char *name = flags & AT_EMPTY_PATH ? name_of(folder) : path;
    return fails("statx", name, LOOK) ? -1 : original(folder, path, flags, mask, found);
}

ssize_t readlink(const char *path, char *buffer, size_t len) {
    NEXT(ssize_t, "readlink", const char *, char *, size_t);
    return fails("readlink", path, LOOK) ? -1 : original(path, buffer, len);
}

char *realpath(const char *path, char *resolved) {
    NEXT(char *, "realpath", const char *, char *);
    return fails("realpath", path, LOOK) ? NULL : original(path, resolved);
}

/* A call that takes a descriptor and says -1 where it fails. */
#define DESCRIPTOR_CALL(name, kind, parameters, types, arguments)                                  \
    int name parameters {                                                                          \
        NEXT(int, #name, types);                                                                   \
        const char *path = name_of(descriptor);                                                    \
        return path != NULL && fails(#name, path, kind) ? -1 : original arguments;                 \
    }
DESCRIPTOR_CALL(fstat, LOOK, (int descriptor, struct stat *found), TYPES(int, struct stat *),
                (descriptor, found))
DESCRIPTOR_CALL(fstat64, LOOK, (int descriptor, struct stat64 *found), TYPES(int, struct stat64 *),
                (descriptor, found))
DESCRIPTOR_CALL(fchmod, RIGHTS, (int descriptor, mode_t mode), TYPES(int, mode_t),
                (descriptor, mode))
DESCRIPTOR_CALL(fchown, RIGHTS, (int descriptor, uid_t owner, gid_t group),
                TYPES(int, uid_t, gid_t), (descriptor, owner, group))

#define LOCK_CALL(name)                                                                            \
    int name(int descriptor, int command, ...) {                                                   \
        NEXT(int, #name, int, int, ...);                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, command);                                                              \
        void *argument = va_arg(arguments, void *);                                                \
        va_end(arguments);                                                                         \
        const char *path = name_of(descriptor);                                                    \
        /* No kernel fails to unlock a file of its own. */                                         \
        bool locks = (command == F_OFD_SETLK || command == F_SETLK) &&                             \
                     ((struct flock *)argument)->l_type != F_UNLCK;                                \
        if (path != NULL && locks && fails(#name, path, LOCK))                                     \
            return -1;                                                                             \
        int result = original(descriptor, command, argument);                                      \
        /* What Rust's standard library clones a file by. */                                       \
        if (path != NULL && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))                    \
            opened(path, result);                                                                  \
        return result;                                                                             \
    }
LOCK_CALL(fcntl)
LOCK_CALL(fcntl64)

/* The folder from now on, with its last '/'; while nothing of it is open. */
void failing_below(const char *folder) {
    snprintf(below, sizeof below, "%s", folder);
    below_len = strlen(below);
}

/* Lets the call with this number, counted from 1 and among those of these kinds, fail in this way;
 * `on`: and all after it. */
void failing_arm(int of_kinds, int in_this_way, long number, int on) {
    kinds = of_kinds;
    fault = in_this_way;
    first = number;
    goes_on = on != 0;
    first_call[0] = 0;
    atomic_store(&counted, 0);
    atomic_store(&failed, 0);
    atomic_store(&closed_twice, 0);
    atomic_store(&armed, true);
}

/* Ends it; how many calls failed. */
long failing_disarm(void) {
    atomic_store(&armed, false);
    return atomic_load(&failed);
}

/* How many calls were counted. */
long failing_counted(void) { return atomic_load(&counted); }

/* How often a descriptor was closed that was not open: in another moment it would have been somebody else's. */
long failing_closed_twice(void) { return atomic_load(&closed_twice); }

/* The first call that failed, and the file without the folder. */
const char *failing_first(void) { return first_call; }

/* Tells of every write, sync and removal from now on. */
void failing_watch(watcher *told) { atomic_store(&watching, told); }

/* Tells of every call from now on, while it is armed. */
void failing_note(noter *told) { atomic_store(&noting, told); }
