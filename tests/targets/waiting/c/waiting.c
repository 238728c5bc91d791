// A program whose threads wait where tests/stacks.rs knows. Each says its name and its id before.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

static void say(const char *name) {
    printf("%s %d\n", name, gettid());
    fflush(stdout);
}

static pthread_mutex_t closed = PTHREAD_MUTEX_INITIALIZER;

static inline __attribute__((always_inline)) int take(pthread_mutex_t *mutex) {
    return pthread_mutex_lock(mutex) + 1; // take
}

static NOINLINE int enter(int depth) {
    if (depth == 0) {
        say("mutex");
        return take(&closed) + 2; // enter
    }
    return enter(depth - 1) + depth; // recurse
}

// The compiler addresses an array of a variable length by the frame pointer.
static NOINLINE int with_array(int size) {
    char room[size];
    room[size / 2] = (char)enter(3); // with_array
    return room[size / 2] + size;
}

static void *thread(void *argument) {
    return (void *)((long)with_array(100) + (long)argument); // thread
}

static NOINLINE long wait_for_input(char *byte) {
    say("main");
    return read(0, byte, 1) + 1; // read
}

static NOINLINE long serve(int size) {
    char room[64] = {0};
    return wait_for_input(room) + room[size]; // serve
}

int main(int count, char **arguments) {
    (void)arguments;
    pthread_mutex_lock(&closed);
    pthread_t other;
    pthread_create(&other, 0, thread, &other);
    return (int)serve(count) & 1; // main
}
