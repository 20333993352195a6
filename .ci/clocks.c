/* Waits that follow the real clock, ahead of libfaketime 0.9.10 in LD_PRELOAD (.ci/clocks).
 *
 * libfaketime takes an absolute time of the monotonic clock for a shifted one, so that Python's time.sleep() fails. And
 * while a program waits in it, signal handlers see the real time: PostgreSQL's time limits then never pass. So these
 * calls go to the C library itself; the clocks that they leave alone are libfaketime's business. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

#define WAIT(name, parameters, arguments)                                                   \
    int name parameters                                                                     \
    {                                                                                       \
        static int (*own) parameters;                                                       \
        if (own == NULL)                                                                    \
            own = dlsym(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), #name);               \
        return own arguments;                                                               \
    }

WAIT(clock_nanosleep, (clockid_t clock, int flags, const struct timespec *for_, struct timespec *left),
     (clock, flags, for_, left))
WAIT(nanosleep, (const struct timespec *for_, struct timespec *left), (for_, left))
WAIT(epoll_wait, (int epoll, struct epoll_event *events, int most, int ms), (epoll, events, most, ms))
WAIT(epoll_pwait, (int epoll, struct epoll_event *events, int most, int ms, const sigset_t *mask),
     (epoll, events, most, ms, mask))
WAIT(poll, (struct pollfd *files, nfds_t count, int ms), (files, count, ms))
WAIT(ppoll, (struct pollfd *files, nfds_t count, const struct timespec *for_, const sigset_t *mask),
     (files, count, for_, mask))
WAIT(select, (int count, fd_set *read, fd_set *write, fd_set *except, struct timeval *for_),
     (count, read, write, except, for_))
WAIT(pselect, (int count, fd_set *read, fd_set *write, fd_set *except, const struct timespec *for_, const sigset_t *mask),
     (count, read, write, except, for_, mask))
