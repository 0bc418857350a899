/* fcntl(2) as SQLite calls it. It takes a variable number of arguments, and such functions cannot
 * be defined in Rust. Pointers have 64 bits wherever this library works, and struct flock is the
 * same for all. */
#include <fcntl.h>
#include <stdarg.h>

typedef int lock_function(int descriptor, int command, struct flock *lock);

static lock_function *locks;

static int with_locks(int descriptor, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    int result;
    if (command == F_SETLK || command == F_SETLKW || command == F_GETLK)
        result = locks(descriptor, command, va_arg(arguments, struct flock *));
    else /* Whatever else SQLite asks for takes an int, or does not look at it. */
        result = fcntl(descriptor, command, va_arg(arguments, int));
    va_end(arguments);
    return result;
}

/* fcntl with `lock` in the place of its three commands for locks. To be called once. */
void (*ledger_files_fcntl(lock_function *lock))(void) {
    locks = lock;
    return (void (*)(void))with_locks;
}
