// Calls one small function in a loop, or two in turn: `run N` or `turn N` on stdin, nanoseconds per
// call on stdout.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// The median of so many batches counts, so that a batch that was preempted does not.
#define BATCHES 20

__attribute__((noipa)) unsigned long mix(unsigned long x) { return x * 31 + 7; }

// It needs x after the call, so it begins as most functions do: by saving a register.
__attribute__((noipa)) unsigned long work(unsigned long x) { return mix(x) + x; }

__attribute__((noipa)) unsigned long other(unsigned long x) { return mix(x) - x; }

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

static int ascending(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

int main(void) {
    char line[64], order[8];
    long calls;
    unsigned long sum = 0;
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && sscanf(line, "%7s %ld", order, &calls) == 2) {
        unsigned long (*functions[])(unsigned long) = {work, *order == 't' ? other : work};
        double batches[BATCHES];
        for (int batch = 0; batch < BATCHES; batch++) {
            double begin = now_ns();
            for (long call = 0; call < calls / BATCHES; call++)
                sum = functions[call % 2](sum);
            batches[batch] = (now_ns() - begin) / (calls / BATCHES);
        }
        qsort(batches, BATCHES, sizeof *batches, ascending);
        printf("%.3f\n", batches[BATCHES / 2]);
        fflush(stdout);
    }
    return sum == 1;
}
