// A program that knows the truth about its own calls. tests/targets/README.md has the protocol.
#define _GNU_SOURCE
#include "truth.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static unsigned long monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)now.tv_sec * 1000000000ul + (unsigned long)now.tv_nsec;
}

// plain: two functions, one of which calls the other.
COUNTED(plain_step);
PROBED unsigned long plain_step(unsigned long x) {
    ENTER(plain_step);
    unsigned long sum = x;
    for (int i = 0; i < 8; i++) sum = mix(sum, x + i);
    LEAVE(plain_step);
    return sum;
}

COUNTED(plain_outer);
PROBED unsigned long plain_outer(unsigned long x) {
    ENTER(plain_outer);
    unsigned long sum = mix(plain_step(x), plain_step(x + 1));
    LEAVE(plain_outer);
    return sum;
}

static unsigned long run_plain(long n) {
    unsigned long sum = 0;
    for (long i = 0; i < n; i++) sum = mix(sum, plain_outer(i));
    return sum;
}

// recurse: to the depths at which tools are known to lose count.
COUNTED(descend);
PROBED unsigned long descend(long depth) {
    ENTER(descend);
    unsigned long sum = depth > 1 ? mix(descend(depth - 1), depth) : 1;
    LEAVE(descend);
    return sum;
}

COUNTED(is_odd);
PROBED bool is_odd(long n);
COUNTED(is_even);
PROBED bool is_even(long n) {
    ENTER(is_even);
    bool even = n == 0 || !!is_odd(n - 1);
    LEAVE(is_even);
    return even;
}

PROBED bool is_odd(long n) {
    ENTER(is_odd);
    bool odd = n != 0 && !!is_even(n - 1);
    LEAVE(is_odd);
    return odd;
}

static unsigned long run_recurse(long n) {
    unsigned long sum = 0;
    for (long depth = 1; depth <= 65; depth++) sum = mix(sum, descend(depth));
    sum = mix(sum, descend(1000));
    for (long i = 0; i < n; i++) sum = mix(sum, descend(10000));
    return mix(sum, is_even(301) + 2 * is_even(64));
}

// threads: several at once in the same function.
#define THREADS 8

static void *thread_main(void *n) {
    return (void *)run_plain((long)n);
}

static unsigned long run_on_threads(void *(*body)(void *), long n) {
    pthread_t threads[THREADS];
    unsigned long sum = 0;
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, body, (void *)(n + i));
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum = mix(sum, (unsigned long)result);
    }
    return sum;
}

static unsigned long run_threads(long n) {
    return run_on_threads(thread_main, n);
}

// thread_exit: threads that end inside of calls.
COUNTED(exit_down);
PROBED unsigned long exit_down(long level, unsigned long x) {
    ENTER(exit_down);
    if (level == 1 && x % 2 == 0) pthread_exit((void *)x);
    unsigned long sum = level == 1 ? x : mix(exit_down(level - 1, x), level);
    LEAVE(exit_down);
    return sum;
}

static void *exiting_main(void *x) {
    return (void *)exit_down(1 + (long)x % 5, (unsigned long)x);
}

static unsigned long run_thread_exit(long n) {
    unsigned long sum = 0;
    for (long i = 0; i < n; i++) sum = mix(sum, run_on_threads(exiting_main, i));
    return sum;
}

// longjmp: over one to five levels, and returns over the same levels.
static jmp_buf landing;

COUNTED(jump_down);
PROBED unsigned long jump_down(long level, bool jump) {
    ENTER(jump_down);
    if (level == 1 && jump) longjmp(landing, 1);
    unsigned long sum = level == 1 ? 7 : mix(jump_down(level - 1, jump), level);
    LEAVE(jump_down);
    return sum;
}

COUNTED(jump_outer);
PROBED unsigned long jump_outer(long level, bool jump) {
    ENTER(jump_outer);
    unsigned long sum = setjmp(landing) == 0 ? jump_down(level, jump) : 99;
    LEAVE(jump_outer);
    return sum;
}

static unsigned long run_longjmp(long n) {
    unsigned long sum = 0;
    for (long i = 0; i < n; i++) sum = mix(sum, jump_outer(1 + i % 5, i % 3 != 0));
    return sum;
}

// tail: calls in return position, which an optimiser turns into jumps.
COUNTED(tail_last);
PROBED unsigned long tail_last(unsigned long x) {
    ENTER(tail_last);
    unsigned long sum = mix(x, 3);
    LEAVE(tail_last);
    return sum;
}

COUNTED(tail_first);
PROBED unsigned long tail_first(unsigned long x) {
    ENTER(tail_first);
    LEAVE(tail_first);
    return tail_last(x + 1);
}

static unsigned long (*volatile tail_target)(unsigned long) = tail_last;

COUNTED(tail_by_pointer);
PROBED unsigned long tail_by_pointer(unsigned long x) {
    ENTER(tail_by_pointer);
    LEAVE(tail_by_pointer);
    return tail_target(x + 2);
}

COUNTED(tail_either);
PROBED unsigned long tail_either(unsigned long x) {
    ENTER(tail_either);
    LEAVE(tail_either);
    return x % 2 ? tail_first(x) : tail_last(x);
}

static unsigned long run_tail(long n) {
    unsigned long sum = 0;
    for (long i = 0; i < n; i++) {
        sum = mix(sum, tail_first(i));
        sum = mix(sum, tail_by_pointer(i));
        sum = mix(sum, tail_either(i));
    }
    return sum;
}

// cold: an unlikely path that the compiler moves out of the function.
static atomic_ulong rare_sum;

__attribute__((noinline, cold)) static void note_rare(unsigned long x) {
    atomic_fetch_add(&rare_sum, x);
}

COUNTED(cold_path);
PROBED unsigned long cold_path(unsigned long x) {
    ENTER(cold_path);
    unsigned long sum = mix(x, 5);
    if (__builtin_expect(x % 16 == 0, 0)) {
        note_rare(x);
        if (x % 32 == 0) {
            note_rare(sum);
            LEAVE(cold_path);
            return sum + 1;
        }
        sum = mix(sum, x);
    }
    LEAVE(cold_path);
    return sum;
}

static unsigned long run_cold(long n) {
    unsigned long sum = 0;
    for (long i = 0; i < n; i++) sum = mix(sum, cold_path(i));
    return sum;
}

// switch: a jump table, and a function with an exit in every branch.
COUNTED(by_table);
PROBED unsigned long by_table(unsigned long x, unsigned long y) {
    ENTER(by_table);
    LEAVE(by_table);
    switch (x % 12) {
    case 0: return y + x;
    case 1: return y * x;
    case 2: return y ^ (x << 3);
    case 3: return mix(y, x);
    case 4: return mix(x, y);
    case 5: return y - x;
    case 6: return y / (x + 1);
    case 7: return y % (x + 1);
    case 8: return ~y & x;
    case 9: return y | x;
    case 10: return (y >> 2) + x;
    default: return -y;
    }
}

static unsigned long run_switch(long n) {
    unsigned long sum = 0;
    for (long i = 0; i < n; i++) sum = mix(sum, by_table(i, sum));
    return sum;
}

COUNTED(many_returns);
PROBED unsigned long many_returns(const unsigned char *text) {
    ENTER(many_returns);
    LEAVE(many_returns);
    if (text[0] == 0) return 1;
    if (text[0] > 'x') return plain_step(text[0]);
    if (text[1] == 0) return 2;
    if (text[1] > 'x') return text[1] * 3ul;
    for (int i = 2; text[i]; i++) {
        if (text[i] == 'q') return i;
        if (text[i] == text[i - 1]) return i * 5ul;
    }
    return mix(text[0], text[1]);
}

static unsigned long run_many_returns(long n) {
    unsigned long sum = 0;
    for (long i = 0; i < n; i++) {
        unsigned char text[8] = {0};
        for (int at = 0; at < i % 7; at++) text[at] = 'a' + mix(i, at) % 26;
        sum = mix(sum, many_returns(text));
    }
    return sum;
}

// leaf: code that lives below the stack pointer, with the five-byte no-operations of alignment
// and of tracers in it. A kernel that turns one of those into a call destroys the result.
COUNTED(leaf_red_zone);
PROBED __attribute__((optimize("O2,align-loops=32"))) unsigned long
leaf_red_zone(unsigned long x) {
    volatile unsigned long below[12];
    for (int i = 0; i < 12; i++) below[i] = x + i;
    unsigned long sum = 0;
    for (int i = 0; i < 12; i++) sum = (sum << 1) ^ below[i];
    return sum;
}

COUNTED(leaf_nop_first);
unsigned long leaf_nop_first(unsigned long x);
COUNTED(leaf_nop_later);
unsigned long leaf_nop_later(unsigned long x);
#define FIVE_BYTE_NOP ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n"
#define LEAF(name, before, after)                                                     \
    __asm__(".text\n.p2align 4\n.type " #name ", @function\n" #name ":\n" before       \
            "mov %rdi, -8(%rsp)\n"                                                    \
            "movq $3, -16(%rsp)\n" after                                              \
            "mov -8(%rsp), %rax\n"                                                    \
            "add -16(%rsp), %rax\n"                                                   \
            "ret\n.size " #name ", . - " #name "\n")
LEAF(leaf_nop_first, FIVE_BYTE_NOP, "");
LEAF(leaf_nop_later, "", FIVE_BYTE_NOP);

static unsigned long run_leaf(long n) {
    unsigned long sum = 0;
    for (long i = 0; i < n; i++) {
        sum = mix(sum, CALL(leaf_red_zone, i));
        sum = mix(sum, CALL(leaf_nop_first, i));
        sum = mix(sum, CALL(leaf_nop_later, i));
    }
    return sum;
}

// aliases: two names of one function.
COUNTED(alias_real);
PROBED unsigned long alias_real(unsigned long x) {
    ENTER(alias_real);
    unsigned long sum = mix(x, 11);
    LEAVE(alias_real);
    return sum;
}
extern unsigned long alias_other(unsigned long x) __attribute__((alias("alias_real")));

static unsigned long run_aliases(long n) {
    unsigned long sum = 0;
    for (long i = 0; i < n; i++) sum = mix(mix(sum, alias_real(i)), alias_other(i));
    return sum;
}

// wait: calls whose durations are known from both sides. What a probe measures lies between
// the time that passed inside of the call and the time that passed around it.
struct durations {
    unsigned long min, max, total;
};

static struct durations inside, around;

static void add_duration(struct durations *durations, unsigned long ns) {
    if (durations->total == 0 || ns < durations->min) durations->min = ns;
    if (ns > durations->max) durations->max = ns;
    durations->total += ns;
}

COUNTED(timed_wait);
PROBED unsigned long timed_wait(unsigned long ns) {
    unsigned long started = monotonic_ns();
    ENTER(timed_wait);
    struct timespec duration = {.tv_nsec = (long)ns};
    nanosleep(&duration, NULL);
    LEAVE(timed_wait);
    add_duration(&inside, monotonic_ns() - started);
    return ns + 1;
}

static unsigned long run_wait(long n) {
    unsigned long sum = 0;
    inside = around = (struct durations){0};
    for (long i = 0; i < n; i++) {
        unsigned long started = monotonic_ns();
        sum = mix(sum, timed_wait(100000 + i % 10 * 300000));
        add_duration(&around, monotonic_ns() - started);
    }
    return sum;
}

static const struct scenario scenarios[] = {
    {"plain", run_plain, 2000, {&count_plain_outer, &count_plain_step}},
    {"recurse", run_recurse, 1, {&count_descend, &count_is_even, &count_is_odd}},
    {"threads", run_threads, 500, {&count_plain_outer, &count_plain_step}},
    {"thread_exit", run_thread_exit, 20, {&count_exit_down}, .threads_end = true},
    {"longjmp", run_longjmp, 600, {&count_jump_outer, &count_jump_down}},
    {"tail", run_tail, 600,
     {&count_tail_first, &count_tail_last, &count_tail_by_pointer, &count_tail_either},
     .without_tree = true},
    {"cold", run_cold, 1000, {&count_cold_path}},
    {"switch", run_switch, 1200, {&count_by_table}},
    {"many_returns", run_many_returns, 1000, {&count_many_returns, &count_plain_step},
     .without_tree = true},
    {"leaf", run_leaf, 2000,
     {&count_leaf_red_zone, &count_leaf_nop_first, &count_leaf_nop_later}},
    {"aliases", run_aliases, 500, {&count_alias_real}},
    {"wait", run_wait, 100, {&count_timed_wait}},
    {0},
};

static const struct scenario *const tables[] = {scenarios, stack_scenarios, NULL};
static void run(const struct scenario *scenario, long n) {
    reset_counts(scenario);
    rare_sum = 0;
    unsigned long sum = scenario->run(n);
    printf("{\"scenario\":\"%s\",", scenario->name);
    print_counts(scenario);
    printf(",\"checksum\":\"%016lx\"", mix(sum, rare_sum));
    if (scenario->run == run_wait)
        printf(",\"durations_ns\":{\"timed_wait\":{\"min\":%lu,\"max\":%lu,\"total\":%lu,"
               "\"inside_min\":%lu,\"inside_max\":%lu,\"inside_total\":%lu}}",
               around.min, around.max, around.total, inside.min, inside.max, inside.total);
    printf("}\n");
}

static const struct scenario *find(const char *name) {
    for (int table = 0; tables[table]; table++)
        for (const struct scenario *each = tables[table]; each->name; each++)
            if (strcmp(each->name, name) == 0) return each;
    return NULL;
}

static void list(void) {
    const char *separator = "[";
    for (int table = 0; tables[table]; table++)
        for (const struct scenario *each = tables[table]; each->name; each++) {
            printf("%s\"%s\"", separator, each->name);
            separator = ",";
        }
    printf("]\n");
}

static void obey(const char *line) {
    char name[64];
    long n = 0;
    int words = sscanf(line, "run %63s %ld", name, &n);
    const struct scenario *scenario = words >= 1 ? find(name) : NULL;
    if (scenario) run(scenario, words == 2 ? n : scenario->default_n);
    else if (strcmp(line, "list\n") == 0) list();
    else if (strcmp(line, "exec\n") == 0) execl("/proc/self/exe", "target", (char *)NULL);
    else printf("{\"error\":\"not understood\"}\n");
}

int main(int argc, char **argv) {
    char line[256];
    // What a spawned child does.
    if (argc > 1 && strcmp(argv[1], "plain") == 0) return run_plain(2) == run_plain(2) ? 42 : 1;
    setvbuf(stdin, NULL, _IONBF, 0);
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n") != 0) {
        obey(line);
        fflush(stdout);
    }
    return 0;
}
