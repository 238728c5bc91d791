// Calls a function when it is told to: `call` once, `flood N` about N times a second for ever.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile long ticks;

__attribute__((noinline)) long tick(long by) {
    ticks += by;
    return ticks;
}

static void *flood(void *a_second) {
    // In batches, so that few sleeps are enough.
    long batch = (long)a_second / 100;
    for (;;) {
        for (long i = 0; i < batch; i++)
            tick(i);
        usleep(10000);
    }
}

int main(void) {
    char line[64];
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (strncmp(line, "flood ", 6) == 0) {
            pthread_t thread;
            pthread_create(&thread, NULL, flood, (void *)atol(line + 6));
        } else {
            tick(1);
        }
        puts("done");
        fflush(stdout);
    }
}
