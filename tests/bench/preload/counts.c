/*
 * Preloaded into Lookaside by `make bench-count`: counts its allocations and those calls of the kernel that a push or a connection may cost, into the
 * file that $BENCH_COUNTS names, where the bench reads them while it runs. Calls that libraries make for themselves inside libc are not seen.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* The order is counters.py's. */
enum { ALLOCATIONS, LIVE_BYTES, SENDS, RECEIVES, WATCHES, COUNTERS };

static _Atomic uint64_t before_start[COUNTERS];
static _Atomic uint64_t *counters = before_start;

static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_recv)(int, void *, size_t, int);
static ssize_t (*real_read)(int, void *, size_t);
static int (*real_ctl)(int, int, int, struct epoll_event *);

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void __libc_free(void *ptr);

static void add(int counter, uint64_t amount)
{
    atomic_fetch_add_explicit(&counters[counter], amount, memory_order_relaxed);
}

/* Libraries' constructors may call before this one's had its turn. */
static void count_call(int counter, void *function, const char *name)
{
    add(counter, 1);
    if (!*(void **)function)
        *(void **)function = dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("BENCH_COUNTS");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    void *shared = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, sizeof(before_start)) == 0)
        shared = mmap(NULL, sizeof(before_start), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
        return;
    close(fd);
    counters = shared;
}

/* ---- memory ---- */

static void *allocated(void *ptr)
{
    add(ALLOCATIONS, 1);
    add(LIVE_BYTES, malloc_usable_size(ptr));
    return ptr;
}

void *malloc(size_t size)
{
    return allocated(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return allocated(__libc_calloc(count, size));
}

void *realloc(void *ptr, size_t size)
{
    add(LIVE_BYTES, -(uint64_t)malloc_usable_size(ptr));
    return allocated(__libc_realloc(ptr, size));
}

void free(void *ptr)
{
    add(LIVE_BYTES, -(uint64_t)malloc_usable_size(ptr));
    __libc_free(ptr);
}

/* ---- the kernel ---- */

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    count_call(SENDS, &real_sendmsg, "sendmsg");
    return real_sendmsg(fd, message, flags);
}

ssize_t send(int fd, const void *ptr, size_t len, int flags)
{
    count_call(SENDS, &real_send, "send");
    return real_send(fd, ptr, len, flags);
}

ssize_t write(int fd, const void *ptr, size_t len)
{
    count_call(SENDS, &real_write, "write");
    return real_write(fd, ptr, len);
}

ssize_t writev(int fd, const struct iovec *vector, int count)
{
    count_call(SENDS, &real_writev, "writev");
    return real_writev(fd, vector, count);
}

ssize_t recv(int fd, void *ptr, size_t len, int flags)
{
    count_call(RECEIVES, &real_recv, "recv");
    return real_recv(fd, ptr, len, flags);
}

ssize_t read(int fd, void *ptr, size_t len)
{
    count_call(RECEIVES, &real_read, "read");
    return real_read(fd, ptr, len);
}

int epoll_ctl(int fd, int operation, int other, struct epoll_event *event)
{
    count_call(WATCHES, &real_ctl, "epoll_ctl");
    return real_ctl(fd, operation, other, event);
}
