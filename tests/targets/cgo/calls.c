// The C side: it counts for itself, and calls back into Go.
#include <stdatomic.h>
#include <stdint.h>

#define PROBED __attribute__((noinline, noclone, noipa))

extern uint64_t goBack(uint64_t x, int levels);

static atomic_ulong leaves, callings;

PROBED uint64_t c_leaf(uint64_t x) {
    leaves++;
    return x * 7 + 3;
}

PROBED uint64_t c_calling(uint64_t x, int levels) {
    callings++;
    return goBack(x + 1, levels) ^ c_leaf(x);
}

uint64_t c_counts(int of) {
    return of == 0 ? leaves : callings;
}

void c_reset(void) {
    leaves = callings = 0;
}
