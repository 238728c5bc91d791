// Calls an empty function as fast as it can, or at a pace: `run CALLS THREADS INTERVAL_NS` on
// stdin; on stdout the calls it made, the processor time they took and the time they took, in
// nanoseconds.
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define THREADS_MAX 8

// A no-operation and a jump: the kernel emulates both, so that probes there come the fastest.
__attribute__((noipa)) void nothing(void) {}

__attribute__((noipa)) void empty(long number) {
    (void)number;
    __asm__ volatile("nop");
    nothing();
}

static struct part {
    pthread_t thread;
    long calls, interval_ns, made, processor_ns;
} __attribute__((aligned(128))) parts[THREADS_MAX];

static long now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *storm(void *argument) {
    struct part *part = argument;
    long began_ns = now_ns(CLOCK_THREAD_CPUTIME_ID), next_ns = now_ns(CLOCK_MONOTONIC);
    for (long made = 1; made <= part->calls; made++) {
        empty(made);
        part->made = made;
        next_ns += part->interval_ns;
        while (part->interval_ns && now_ns(CLOCK_MONOTONIC) < next_ns);
    }
    part->processor_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns;
    return NULL;
}

int main(void) {
    char line[64];
    long calls, threads, interval_ns;
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) &&
           sscanf(line, "run %ld %ld %ld", &calls, &threads, &interval_ns) == 3 &&
           threads <= THREADS_MAX) {
        long made = 0, processor_ns = 0, began_ns = now_ns(CLOCK_MONOTONIC);
        for (long i = 0; i < threads; i++) {
            parts[i] = (struct part){.calls = calls / threads, .interval_ns = interval_ns};
            pthread_create(&parts[i].thread, NULL, storm, &parts[i]);
        }
        for (long i = 0; i < threads; i++) {
            pthread_join(parts[i].thread, NULL);
            made += parts[i].made;
            processor_ns += parts[i].processor_ns;
        }
        printf("%ld %ld %ld\n", made, processor_ns, now_ns(CLOCK_MONOTONIC) - began_ns);
        fflush(stdout);
    }
    return 0;
}
