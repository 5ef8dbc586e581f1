#include "loop/thread.h"

#include <pthread.h>
#include <signal.h>
#include <uv.h>

#define THREAD_NAME_SIZE 16 /* of the kernel */

struct thread {
    pthread_t id;
    char name[THREAD_NAME_SIZE];
    void (*fn)(void *ctx);
    void *ctx;
};

static void *run(void *arg)
{
    struct thread *thread = arg;

    pthread_setname_np(pthread_self(), thread->name);
    thread->fn(thread->ctx);
    return NULL;
}

/* The new thread inherits the mask, so that no signal finds it in between. */
static int create_with_signals_blocked(struct thread *thread)
{
    sigset_t all, before;
    int status;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    status = pthread_create(&thread->id, NULL, run, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

enum code thread_start(const char *name, void (*fn)(void *ctx), void *ctx,
                       struct thread **ret_thread, struct err *err)
{
    CLEANUP(freep) struct thread *thread = xcalloc(1, sizeof(*thread));
    int status;

    snprintf(thread->name, sizeof(thread->name), "%s", name);
    thread->fn = fn;
    thread->ctx = ctx;
    status = create_with_signals_blocked(thread);
    if (status != 0)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "cannot start thread '%s': %s", name,
                    uv_strerror(uv_translate_sys_error(status)));
    *ret_thread = TAKE(thread);
    return CODE_OK;
}

void thread_join(struct thread *thread)
{
    if (!thread)
        return;
    pthread_join(thread->id, NULL);
    free(thread);
}
