// Stacks and processes that begin and end in unusual ways, in the middle of calls.
#define _GNU_SOURCE
#include "truth.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

// Between two stacks lies a page that nobody may touch, as between all stacks.
enum { STACK_BYTES = 1 << 17, GUARD_BYTES = 1 << 12, PAIR_BYTES = 2 * STACK_BYTES + GUARD_BYTES };
enum { SECOND_STACK = STACK_BYTES + GUARD_BYTES };

// signal: a handler on a stack of its own, in the middle of a call.
static atomic_ulong handled_sum;
static atomic_long handled;

COUNTED(in_handler);
PROBED void in_handler(int number) {
    // A path on a stack of its own.
    struct node *interrupted = here;
    here = NULL;
    ENTER(in_handler);
    atomic_fetch_add(&handled_sum, plain_step(number));
    handled++;
    LEAVE(in_handler);
    here = interrupted;
}

COUNTED(raise_inside);
PROBED unsigned long raise_inside(unsigned long x) {
    ENTER(raise_inside);
    raise(SIGUSR1);
    unsigned long sum = mix(x, 13);
    LEAVE(raise_inside);
    return sum;
}

static void handle(int signal, void *stack) {
    stack_t alternate = {.ss_sp = stack, .ss_size = STACK_BYTES};
    struct sigaction action = {.sa_handler = in_handler, .sa_flags = SA_ONSTACK};
    handled_sum = 0;
    handled = 0;
    if (sigaltstack(&alternate, NULL) || sigaction(signal, &action, NULL)) abort();
}

static unsigned long run_signal(long n) {
    static unsigned char stack[STACK_BYTES];
    unsigned long sum = 0;
    handle(SIGUSR1, stack);
    for (long i = 0; i < n; i++) sum = mix(sum, raise_inside(i));
    return mix(sum, handled_sum);
}

// signal_above: the handler's stack lies above the one that it interrupts.
static unsigned char *stack_pair(void) {
    unsigned char *pair = mmap(NULL, PAIR_BYTES, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pair == MAP_FAILED || mprotect(pair + STACK_BYTES, GUARD_BYTES, PROT_NONE)) abort();
    return pair;
}

static unsigned char *pair;

static void *handled_above(void *n) {
    unsigned long sum = 0;
    handle(SIGUSR1, pair + SECOND_STACK);
    for (long i = 0; i < (long)n; i++) sum = mix(sum, raise_inside(i));
    return (void *)mix(sum, handled_sum);
}

static unsigned long run_signal_above(long n) {
    pthread_attr_t attributes;
    pthread_t thread;
    void *sum;
    pair = stack_pair();
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, pair, STACK_BYTES);
    if (pthread_create(&thread, &attributes, handled_above, (void *)n)) abort();
    pthread_join(thread, &sum);
    pthread_attr_destroy(&attributes);
    munmap(pair, PAIR_BYTES);
    return (unsigned long)sum;
}

// signal_timer: handlers that interrupt calls anywhere, also at a probe.
static unsigned long run_signal_timer(long n) {
    static unsigned char stack[STACK_BYTES];
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    unsigned long sum = 0;
    handle(SIGALRM, stack);
    setitimer(ITIMER_REAL, &often, NULL);
    for (long i = 0; i < n || handled < 20; i++) {
        unsigned long step = plain_outer(i);
        if (i < n) sum = mix(sum, step);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    return sum;
}

// coroutine: two stacks on one thread, which take turns in the middle of their calls.
static struct coroutine {
    ucontext_t context;
    struct node *here;
    unsigned long sum;
    long calls;
    bool ended;
} coroutines[2], *running;
static ucontext_t scheduler;

COUNTED(coroutine_yield);
PROBED void coroutine_yield(void) {
    ENTER(coroutine_yield);
    running->here = here;
    swapcontext(&running->context, &scheduler);
    here = running->here;
    LEAVE(coroutine_yield);
}

COUNTED(coroutine_call);
PROBED unsigned long coroutine_call(long level, unsigned long x) {
    ENTER(coroutine_call);
    coroutine_yield();
    unsigned long sum = level > 1 ? coroutine_call(level - 1, x + 1) : plain_step(x);
    coroutine_yield();
    LEAVE(coroutine_call);
    return mix(sum, level);
}

static void coroutine_main(void) {
    struct coroutine *self = running;
    long number = self - coroutines;
    for (long i = 0; i < self->calls; i++)
        self->sum = mix(self->sum, coroutine_call(1 + (i + number) % 4, i));
    self->ended = true;
}

static unsigned long run_coroutine(long n) {
    unsigned char *stacks = stack_pair();
    for (int i = 0; i < 2; i++) {
        struct coroutine *coroutine = &coroutines[i];
        *coroutine = (struct coroutine){.calls = n + i};
        getcontext(&coroutine->context);
        coroutine->context.uc_stack.ss_sp = stacks + i * SECOND_STACK;
        coroutine->context.uc_stack.ss_size = STACK_BYTES;
        coroutine->context.uc_link = &scheduler;
        makecontext(&coroutine->context, coroutine_main, 0);
    }
    for (int turn = 0; !coroutines[0].ended || !coroutines[1].ended; turn++) {
        running = &coroutines[turn % 2];
        here = NULL;
        if (!running->ended) swapcontext(&scheduler, &running->context);
    }
    here = NULL;
    munmap(stacks, PAIR_BYTES);
    return mix(coroutines[0].sum, coroutines[1].sum);
}

// fork: the child's calls are the child's; its answer must be right all the same.
static unsigned long status_of(pid_t child) {
    int status = -1;
    waitpid(child, &status, 0);
    return (unsigned long)status;
}

static unsigned long run_fork(long n) {
    unsigned long sum = plain_outer(n), expected = sum;
    for (int child = 0; child < 3; child++) {
        pid_t pid = fork();
        if (pid == 0) _exit(plain_outer(n) == expected ? 42 : 1);
        sum = mix(sum, status_of(pid));
    }
    return sum;
}

COUNTED(fork_inside);
PROBED unsigned long fork_inside(unsigned long x) {
    ENTER(fork_inside);
    pid_t pid = fork();
    unsigned long sum = plain_outer(x);
    LEAVE(fork_inside);
    // The child returns from the call that its parent began.
    return pid == 0 ? 0 : mix(sum, status_of(pid));
}

// fork_inside: a call that two processes return from.
static unsigned long run_fork_inside(long n) {
    unsigned long sum = 0;
    for (long i = 0; i < n; i++) {
        unsigned long step = fork_inside(i);
        if (step == 0) _exit(42);
        sum = mix(sum, step);
    }
    return sum;
}

// vfork: a child that runs in its parent's memory, probes and counts included.
static unsigned long run_vfork(long n) {
    unsigned long sum = 0;
    for (long i = 0; i < n; i++) {
        unsigned long expected = plain_outer(i);
        // The child counts in the same memory, and its calls are none of this process.
        const struct count before[] = {count_plain_outer, count_plain_step};
        count_plain_outer.counted = count_plain_step.counted = false;
        pid_t pid = vfork();
        if (pid == 0) _exit(plain_outer(i) == expected ? 42 : 1);
        count_plain_outer = before[0];
        count_plain_step = before[1];
        sum = mix(mix(sum, expected), status_of(pid));
    }
    return sum;
}

// spawn: children with another copy of the program.
static unsigned long run_spawn(long n) {
    char *const arguments[] = {"target", "plain", NULL}, *const environment[] = {NULL};
    unsigned long sum = 0;
    for (long i = 0; i < n; i++) {
        pid_t pid;
        sum = mix(sum, plain_outer(i));
        if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environment)) abort();
        sum = mix(mix(sum, plain_outer(i)), status_of(pid));
    }
    return sum;
}

#define PLAIN &count_plain_outer, &count_plain_step

const struct scenario stack_scenarios[] = {
    {"signal", run_signal, 300, {&count_raise_inside, &count_in_handler, &count_plain_step}},
    {"signal_above", run_signal_above, 300,
     {&count_raise_inside, &count_in_handler, &count_plain_step}, .stacks_switch = true},
    // A handler may interrupt a call that has not counted itself yet.
    {"signal_timer", run_signal_timer, 300, {PLAIN, &count_in_handler}, .without_tree = true},
    {"coroutine", run_coroutine, 200,
     {&count_coroutine_call, &count_coroutine_yield, &count_plain_step}, .stacks_switch = true},
    {"fork", run_fork, 1, {PLAIN}},
    {"fork_inside", run_fork_inside, 5, {&count_fork_inside, PLAIN}},
    {"vfork", run_vfork, 20, {PLAIN}},
    {"spawn", run_spawn, 5, {PLAIN}},
    {"confined", run_confined, 2000, {PLAIN}},
    {0},
};
