#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>

#include "loop/thread.h"

static char name[16];
static bool term_blocked;

static void look_around(void *ctx)
{
    sigset_t mask;

    pthread_getname_np(pthread_self(), name, sizeof(name));
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    term_blocked = sigismember(&mask, SIGTERM);
    *(bool *)ctx = true;
}

Test(thread, runs_the_function_and_join_waits_for_it)
{
    struct thread *thread;
    bool ran = false;

    cr_assert_eq(thread_start("serve-0", look_around, &ran, &thread, NULL), CODE_OK);
    thread_join(thread);
    cr_assert(ran);
}

Test(thread, bears_its_name_cut_at_15_bytes)
{
    struct thread *thread;
    bool ran;

    cr_assert_eq(thread_start("a-name-that-is-too-long", look_around, &ran, &thread, NULL),
                 CODE_OK);
    thread_join(thread);
    cr_assert_str_eq(name, "a-name-that-is-");
}

Test(thread, gets_no_signals_and_leaves_the_starter_its_own)
{
    struct thread *thread;
    sigset_t mask;
    bool ran;

    cr_assert_eq(thread_start("t", look_around, &ran, &thread, NULL), CODE_OK);
    thread_join(thread);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    cr_assert(term_blocked);
    cr_assert_not(sigismember(&mask, SIGTERM));
}

Test(thread, join_of_null_is_fine)
{
    thread_join(NULL);
}
