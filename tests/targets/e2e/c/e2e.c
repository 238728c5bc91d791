// A program that calls functions with known values and in known orders. ../../README.md has the
// protocol; the scenarios know their own counts.
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBED __attribute__((noinline, noipa))

static volatile long sink;

// values
PROBED int scalars(int debt, unsigned char level, long long large, bool paid) {
    sink += debt + level + large + paid;
    return debt - 1;
}

PROBED const char *texts(const char *name, const char *missing, const char *unmapped) {
    sink += (long)missing + (long)unmapped;
    return name;
}

PROBED long pay(long amount, const char *user) {
    sink += user[0];
    return amount;
}

static void run_values(void) {
    scalars(-5, 250, 1LL << 40, true);
    texts("ann", NULL, (const char *)16);
    printf("\"scalars\":{\"calls\":1,\"returns\":1,\"unwound\":0},"
           "\"texts\":{\"calls\":1,\"returns\":1,\"unwound\":0}");
}

static void run_long(void) {
    static char text[1001];
    for (int i = 0; i < 1000; i++) text[i] = (char)('a' + i % 26);
    texts(text, NULL, NULL);
    printf("\"texts\":{\"calls\":1,\"returns\":1,\"unwound\":0}");
}

static void pay_all(void) {
    const char *users[] = {"u_0", "u_1", "u_2"};
    for (int i = 0; i < 60; i++) pay(185 + i % 10, users[i % 3]);
}

static void run_pay(void) {
    pay_all();
    printf("\"pay\":{\"calls\":60,\"returns\":60,\"unwound\":0}");
}

// tree: outer calls inner three times, second calls it twice; descend calls itself.
PROBED long inner(long x) { return sink += x; }

PROBED long outer(long x) {
    for (int i = 0; i < 3; i++) x += inner(i);
    return x + 1;
}

PROBED long second(long x) {
    x += inner(x);
    x += inner(x);
    return x + 2;
}

PROBED long descend(long depth) {
    inner(depth);
    // What follows the call keeps it from becoming a loop.
    if (depth > 1) sink += descend(depth - 1);
    return sink;
}

static void run_tree(void) {
    for (int i = 0; i < 10; i++) outer(i);
    for (int i = 0; i < 5; i++) second(i);
    descend(4);
    printf("\"outer\":{\"calls\":10,\"returns\":10,\"unwound\":0},"
           "\"second\":{\"calls\":5,\"returns\":5,\"unwound\":0},"
           "\"descend\":{\"calls\":4,\"returns\":4,\"unwound\":0},"
           "\"inner\":{\"calls\":44,\"returns\":44,\"unwound\":0}");
}

// storm: hot is called as fast as possible until `stop`, calm a hundred times a second.
PROBED long hot(long x) { return sink += x; }
PROBED long calm(long x) { return sink -= x; }
PROBED long spare(long x) { return sink ^= x; }

static atomic_bool storms;
static atomic_long hot_calls, calm_calls;
static pthread_t storm_threads[3];

static void *hot_main(void *unused) {
    (void)unused;
    while (storms) {
        hot(1);
        spare(1);
        hot_calls++;
    }
    return NULL;
}

static void *calm_main(void *unused) {
    (void)unused;
    while (storms) {
        calm(1);
        calm_calls++;
        usleep(10000);
    }
    return NULL;
}

static void begin_storm(void) {
    storms = true;
    hot_calls = calm_calls = 0;
    pthread_create(&storm_threads[0], NULL, hot_main, NULL);
    pthread_create(&storm_threads[1], NULL, hot_main, NULL);
    pthread_create(&storm_threads[2], NULL, calm_main, NULL);
}

static void end_storm(void) {
    storms = false;
    for (int i = 0; i < 3; i++) pthread_join(storm_threads[i], NULL);
    printf("\"hot\":{\"calls\":%ld,\"returns\":%ld,\"unwound\":0},"
           "\"calm\":{\"calls\":%ld,\"returns\":%ld,\"unwound\":0}",
           hot_calls, hot_calls, calm_calls, calm_calls);
}

// block: a thread waits inside of two calls until it is released.
static int gate[2];

static atomic_bool is_blocked;

PROBED long blocked(long x) {
    char byte;
    is_blocked = true;
    sink += read(gate[0], &byte, 1);
    return x + 1;
}

PROBED long waiting(long x) { return blocked(x) + 1; }

static pthread_t blocked_thread;

static void *blocked_main(void *unused) {
    waiting(1);
    return unused;
}

static void begin_block(void) {
    if (pipe(gate) != 0) abort();
    pthread_create(&blocked_thread, NULL, blocked_main, NULL);
    while (!is_blocked) sched_yield();
    is_blocked = false;
}

// inlined: mix is inlined into straight and into branch.
static inline unsigned long mix(unsigned long x) {
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15;
    if (x & 1) x += sink;
    return x ^ x >> 17;
}

PROBED unsigned long straight(unsigned long x) { return mix(x) + 5; }
PROBED unsigned long branch(unsigned long x) { return x % 3 == 0 ? mix(x + 1) : x; }

static void run_inlined(void) {
    for (int i = 0; i < 100; i++) sink += (straight(i) & 1) + (branch(i) & 1);
    printf("\"straight\":{\"calls\":100,\"returns\":100,\"unwound\":0},"
           "\"branch\":{\"calls\":100,\"returns\":100,\"unwound\":0},"
           "\"mix\":{\"calls\":134,\"returns\":134,\"unwound\":0}");
}

// fork: a child waits until it is released, and then pays as its parent does in `pay`.
static pid_t child;

static void begin_fork(void) {
    char byte;
    if (pipe(gate) != 0) abort();
    child = fork();
    if (child != 0) return;
    sink += read(gate[0], &byte, 1);
    pay_all();
    _exit(0);
}

static void end_fork(void) {
    int status;
    if (write(gate[1], "x", 1) != 1 || waitpid(child, &status, 0) != child || status != 0) abort();
    printf("\"pay\":{\"calls\":60,\"returns\":60,\"unwound\":0}");
}

// load, late: a library that comes later, and calls of its function.
static long (*late)(long);

static void run_load(void) {
    void *library = dlopen(getenv("LATE_LIBRARY"), RTLD_NOW);
    if (library == NULL) abort();
    late = (long (*)(long))dlsym(library, "late");
}

static void run_late(void) {
    for (int i = 0; i < 25; i++) sink += late(i);
    printf("\"late\":{\"calls\":25,\"returns\":25,\"unwound\":0}");
}

// escape: a thread leaves a call without returning from it, and waits outside of it.
static jmp_buf outside;

PROBED long escapes(long x) {
    sink += x;
    if (x > 0) longjmp(outside, 1);
    return x;
}

static void *escaped_main(void *unused) {
    char byte;
    if (setjmp(outside) == 0) escapes(1);
    sink += read(gate[0], &byte, 1);
    return unused;
}

static void begin_escape(void) {
    if (pipe(gate) != 0) abort();
    pthread_create(&blocked_thread, NULL, escaped_main, NULL);
}

static void end_block(void) {
    if (write(gate[1], "x", 1) != 1) abort();
    pthread_join(blocked_thread, NULL);
    printf("\"waiting\":{\"calls\":1,\"returns\":1,\"unwound\":0},"
           "\"blocked\":{\"calls\":1,\"returns\":1,\"unwound\":0}");
}

static const struct {
    const char *name;
    void (*run)(void);
} scenarios[] = {
    {"values", run_values},          {"long", run_long},           {"pay", run_pay},
    {"tree", run_tree},              {"begin_storm", begin_storm}, {"end_storm", end_storm},
    {"begin_block", begin_block},    {"end_block", end_block},
    {"begin_escape", begin_escape},  {"inlined", run_inlined},
    {"begin_fork", begin_fork},      {"end_fork", end_fork},       {"load", run_load},
    {"late", run_late},
};

int main(void) {
    char line[256], name[64];
    setvbuf(stdin, NULL, _IONBF, 0);
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (strcmp(line, "exec\n") == 0) execl("/proc/self/exe", "e2e", (char *)NULL);
        if (sscanf(line, "run %63s", name) != 1) break;
        printf("{\"scenario\":\"%s\",\"functions\":{", name);
        for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
            if (strcmp(scenarios[i].name, name) == 0) scenarios[i].run();
        printf("},\"checksum\":\"\"}\n");
        fflush(stdout);
    }
    return 0;
}
