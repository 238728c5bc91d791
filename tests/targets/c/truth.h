// What the functions of a C target know about their own calls: how often they were called and
// returned, and on which paths. tests/targets/README.md has the details.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>

#define PROBED __attribute__((noinline, noclone, noipa))

// What one function knows about its calls; calls left in another way than by return were unwound.
struct count {
    const char *name;
    atomic_long calls, returns;
    // Whether the running scenario asks for it; other functions are no part of paths.
    bool counted;
};

#define COUNTED(function) struct count count_##function = {.name = #function}
#define ENTER(function) struct node *caller = enter(&count_##function)
#define LEAVE(function) leave(&count_##function, caller)
// For functions whose code must stay as it is: the caller counts.
#define CALL(function, ...) \
    (leave(&count_##function, enter(&count_##function)), function(__VA_ARGS__))

// A path of calls: its last function, and the path before it.
struct node;
// The path of the calls that the running thread is in; code that switches stacks switches it too.
extern __thread struct node *here;

// A call begins; the path that it came from.
struct node *enter(struct count *count);
// It returns to that path.
void leave(struct count *count, struct node *caller);

// What a scenario knows beside its counts.
struct scenario {
    const char *name;
    unsigned long (*run)(long n);
    long default_n;
    struct count *counts[4];
    // Threads end inside of calls: whether a tool sees that is not known here.
    bool threads_end;
    // Whether a call in return position has a caller depends on the optimiser.
    bool without_tree;
    // Threads go to another stack in the middle of calls, and the depth of one says nothing about
    // that of the other.
    bool stacks_switch;
};

// Those that begin and leave stacks in unusual ways, up to one without a name.
extern const struct scenario stack_scenarios[];

// Runs under a strict filter of system calls, from the first time on.
unsigned long run_confined(long n);

void print_counts(const struct scenario *scenario);
void reset_counts(const struct scenario *scenario);

static inline unsigned long mix(unsigned long sum, unsigned long value) {
    return (sum ^ value) * 0x9e3779b97f4a7c15ul + 1;
}

// Two functions, one of which calls the other.
PROBED unsigned long plain_step(unsigned long x);
PROBED unsigned long plain_outer(unsigned long x);
extern struct count count_plain_step, count_plain_outer;
