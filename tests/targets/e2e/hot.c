// A function that is called as fast as possible, and one that is called as often as it is asked.
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static volatile int stop;
static unsigned long hot_calls;

__attribute__((noinline)) int hot(int x) {
    __asm__ volatile("");
    return x + 1;
}

__attribute__((noinline)) int calm(int x) {
    __asm__ volatile("");
    return x + 2;
}

static void *spin(void *argument) {
    int x = 0;
    while (!stop) {
        x = hot(x);
        hot_calls++;
    }
    return argument;
}

int main(void) {
    char line[64];
    pthread_t thread;
    pthread_create(&thread, NULL, spin, NULL);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n") != 0) {
        int n = 0, x = 0;
        if (sscanf(line, "calm %d", &n) == 1) {
            for (int i = 0; i < n; i++) {
                x = calm(x);
            }
        }
        printf("%d\n", x);
        fflush(stdout);
    }
    stop = 1;
    pthread_join(thread, NULL);
    return 0;
}
