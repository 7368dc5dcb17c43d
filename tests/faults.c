/* Preloaded into a process: counts what it writes below a folder, and lets the disk be full, or kills it, at the n-th.

   FAULT_UNDER  the folder, as the system names it
   FAULT_AT     number of the write, from 1; 0: none, count only
   FAULT_KILL   set: the process is killed there; else that write and all later ones find no space
   FAULT_COUNT  file for the number of writes, written at the end

   A write is a call of write, pwrite or ftruncate on a regular file, or a rename. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static long count = 0;

static int below(const char *path) {
    const char *under = getenv("FAULT_UNDER");
    return under && strncmp(path, under, strlen(under)) == 0;
}

static int file_below(int fd) {
    char link[64], path[4096];
    struct stat status;
    if (fd < 3 || fstat(fd, &status) || !S_ISREG(status.st_mode)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return below(path);
}

/* Whether this write finds no space. */
static int fault(int is_rename) {
    const char *at = getenv("FAULT_AT");
    long now = __sync_add_and_fetch(&count, 1), n = at ? atol(at) : 0;
    if (n == 0 || now < n) return 0;
    if (getenv("FAULT_KILL")) {
        if (now == n) kill(getpid(), SIGKILL);
        return 0;
    }
    return !is_rename; /* a full disk renames */
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t n) {
    if (file_below(fd) && fault(0)) { errno = ENOSPC; return -1; }
    return REAL(write)(fd, data, n);
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) {
    if (file_below(fd) && fault(0)) { errno = ENOSPC; return -1; }
    return REAL(pwrite)(fd, data, n, at);
}
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) {
    if (file_below(fd) && fault(0)) { errno = ENOSPC; return -1; }
    return REAL(pwrite64)(fd, data, n, at);
}
int ftruncate(int fd, off_t n) {
    if (file_below(fd) && fault(0)) { errno = ENOSPC; return -1; }
    return REAL(ftruncate)(fd, n);
}
int ftruncate64(int fd, off64_t n) {
    if (file_below(fd) && fault(0)) { errno = ENOSPC; return -1; }
    return REAL(ftruncate64)(fd, n);
}
int rename(const char *from, const char *to) {
    if (below(to)) fault(1);
    return REAL(rename)(from, to);
}

__attribute__((destructor)) static void report(void) {
    const char *path = getenv("FAULT_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file) { fprintf(file, "%ld", count); fclose(file); }
}
