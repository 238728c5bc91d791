// A storm of calls: threads that call an empty function as fast as they can, and a slow function
// a few times. tests/targets/README.md has the protocol.
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PROBED __attribute__((noinline, noclone, noipa))

enum { THREADS = 2, SLOW_EVERY = 100000 };

// What an optimiser makes of it, a no-operation and a jump, the kernel emulates: probes cost the
// least there, and come the fastest.
PROBED void storm_nothing(void) {}

PROBED void storm_empty(void) {
    __asm__ volatile("nop");
    storm_nothing();
}

PROBED unsigned long storm_slow(unsigned long x) {
    struct timespec duration = {.tv_nsec = 1000000};
    nanosleep(&duration, NULL);
    return x * 3 + 1;
}

static struct part {
    pthread_t thread;
    long calls;
    unsigned long sum;
    // Written by its own thread only, which costs nothing.
    atomic_long empty, slow;
} __attribute__((aligned(128))) parts[THREADS];

static atomic_bool stopping;

static void *storm(void *argument) {
    struct part *part = argument;
    for (long i = 1; i <= part->calls; i++) {
        storm_empty();
        atomic_store_explicit(&part->empty, i, memory_order_relaxed);
        if (i % SLOW_EVERY) continue;
        part->sum += storm_slow((unsigned long)i);
        atomic_fetch_add(&part->slow, 1);
        if (stopping) break;
    }
    return NULL;
}

static void begin(long calls) {
    stopping = false;
    for (int i = 0; i < THREADS; i++) {
        parts[i].calls = calls;
        parts[i].sum = 0;
        parts[i].empty = parts[i].slow = 0;
        pthread_create(&parts[i].thread, NULL, storm, &parts[i]);
    }
}

static void join(void) {
    for (int i = 0; i < THREADS; i++) pthread_join(parts[i].thread, NULL);
}

static void print_counts(void) {
    long empty = 0, slow = 0;
    unsigned long sum = 0;
    for (int i = 0; i < THREADS; i++) {
        empty += parts[i].empty;
        slow += parts[i].slow;
        sum += parts[i].sum;
    }
    printf("{\"scenario\":\"storm\",\"functions\":{"
           "\"storm_empty\":{\"calls\":%ld,\"returns\":%ld,\"unwound\":0},"
           "\"storm_slow\":{\"calls\":%ld,\"returns\":%ld,\"unwound\":0}},"
           "\"checksum\":\"%016lx\"}\n",
           empty, empty, slow, slow, sum);
}

int main(void) {
    char line[256];
    bool is_running = false;
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n") != 0) {
        long calls = 0;
        if (strcmp(line, "list\n") == 0) {
            printf("[\"storm\"]\n");
        } else if (!is_running && sscanf(line, "begin %ld", &calls) == 1) {
            begin(calls);
            is_running = true;
            printf("begun\n");
        } else if (!is_running && strncmp(line, "run storm", 9) == 0) {
            begin(sscanf(line, "run storm %ld", &calls) == 1 ? calls : 1000000);
            join();
            print_counts();
        } else if (is_running && strcmp(line, "end\n") == 0) {
            stopping = true;
            join();
            is_running = false;
            print_counts();
        } else {
            print_counts();
        }
        fflush(stdout);
    }
    stopping = true;
    if (is_running) join();
    return 0;
}
