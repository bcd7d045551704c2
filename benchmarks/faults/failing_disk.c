/* A disk that fails from the k-th call on, below one folder; loaded with LD_PRELOAD.

   arm(folder, call, last, error, kind) counts the calls of a kind below the folder. Calls from
   number `call` to `last` fail with `error`; error 0 means that a write writes half of what it got.
   kind: 1 writes, 2 flushes, 4 renames, 8 files and folders that are made, 16 those removed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char below[PATH_MAX];
static long seen, from, until;
static int fault, kinds;

void arm(const char *folder, long call, long last, int error, int kind) {
    snprintf(below, sizeof below, "%s", folder);
    seen = 0, from = call, until = last, fault = error, kinds = kind;
}
long disarm(void) { below[0] = 0; return seen; }

static int hit(const char *path, int kind) {
    if (!below[0] || !(kinds & kind) || strncmp(path, below, strlen(below))) return 0;
    seen++;
    return seen >= from && seen <= until;
}
static int hit_fd(int fd, int kind) {
    char link[64], path[PATH_MAX];
    if (!below[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return hit(path, kind);
}
#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define FAIL do { errno = fault; return -1; } while (0)

ssize_t write(int fd, const void *buffer, size_t n) {
    REAL(write);
    if (hit_fd(fd, 1)) { if (fault) FAIL; n = n > 1 ? n / 2 : n; }
    return real(fd, buffer, n);
}
ssize_t pwrite64(int fd, const void *buffer, size_t n, off64_t at) {
    REAL(pwrite64);
    if (hit_fd(fd, 1)) { if (fault) FAIL; n = n > 1 ? n / 2 : n; }
    return real(fd, buffer, n, at);
}
ssize_t writev(int fd, const struct iovec *parts, int n) {
    REAL(writev);
    if (hit_fd(fd, 1) && fault) FAIL;
    return real(fd, parts, n);
}
int fsync(int fd) { REAL(fsync); if (hit_fd(fd, 2)) FAIL; return real(fd); }
int rename(const char *a, const char *b) { REAL(rename); if (hit(b, 4)) FAIL; return real(a, b); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); if (hit(path, 8)) FAIL; return real(path, mode); }
int unlink(const char *path) { REAL(unlink); if (hit(path, 16)) FAIL; return real(path); }
int open64(const char *path, int flags, ...) {
    REAL(open64);
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && hit(path, 8)) FAIL;
    return real(path, flags, mode);
}
