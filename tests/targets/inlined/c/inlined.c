// A program with functions that are inlined; tests/inlined.rs knows how often each is called for the
// number that the program is given. What computes the same each time would be called once: the
// assembly hides that it does.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NOINLINE __attribute__((noinline, noclone))
#define HIDDEN(x) ({ __typeof__(x) hidden = (x); __asm__ volatile("" : "+r"(hidden)::"memory"); hidden; })

static uint64_t sink;

static inline uint64_t mix(uint64_t x) {
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15ull;
    if (x & 1) x += sink;
    return x ^ (x >> 17);
}

static inline uint64_t tiny(uint64_t x) {
    return x * 3 + 1;
}

static inline uint64_t looped(uint64_t n) {
    uint64_t s = 0;
    for (uint64_t i = 0; i < n; i++) s += s * i ^ sink;
    return s;
}

NOINLINE uint64_t straight(uint64_t x) {
    return mix(x) + 5;
}

NOINLINE uint64_t in_loop(uint64_t n) {
    uint64_t s = 0;
    for (uint64_t i = 0; i < n; i++) s += mix(i);
    return s;
}

NOINLINE uint64_t twice(uint64_t x) {
    uint64_t a = mix(x);
    return a + mix(a + 3);
}

NOINLINE uint64_t branch(uint64_t x) {
    if (x % 3 == 0) return mix(x);
    return x;
}

NOINLINE uint64_t tiny_loop(uint64_t n, const uint64_t *p) {
    uint64_t s = 0;
    for (uint64_t i = 0; i < n; i++) s += tiny(p[i]);
    return s;
}

NOINLINE uint64_t nested(uint64_t n) {
    return looped(n) + 1;
}

NOINLINE uint64_t nested_loop(uint64_t n) {
    uint64_t s = 0;
    for (uint64_t i = 0; i < n; i++) s += looped(i);
    return s;
}

int main(int count, char **arguments) {
    uint64_t n = strtoull(arguments[1], 0, 0), s = 0, numbers[10] = {(uint64_t)count};
    for (uint64_t i = 0; i < n; i++) {
        s += straight(HIDDEN(i)) + in_loop(HIDDEN(10ul)) + twice(HIDDEN(i)) + branch(HIDDEN(i));
        s += tiny_loop(HIDDEN(10ul), numbers) + nested(HIDDEN(i % 5)) + nested_loop(HIDDEN(5ul));
    }
    sink = s;
    printf("%lu\n", s);
}
