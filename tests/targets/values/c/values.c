// Functions whose arguments and results are read.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum color { RED, GREEN = 5 };
struct point { int x; int y; };
struct named { const char *name; long id; };
struct mixed { double weight; long id; };
struct large { long values[4]; };
typedef unsigned int count_t;

__attribute__((noinline)) long integers(int a, unsigned char b, short c, _Bool d, count_t e,
                                        long long f, long g, int h) {
    return a + b + c + d + e + f + g + h;
}

__attribute__((noinline)) const char *texts(const char *name, char *mutable_name, void *data,
                                            const int *numbers) {
    printf("%s%s%p%d\n", name, mutable_name, data, *numbers);
    return name;
}

__attribute__((noinline)) struct point structures(struct point p, struct named n, struct mixed m,
                                                  struct large l, enum color c) {
    p.x += (int)n.id + (int)m.id + (int)l.values[0] + c;
    printf("%s\n", n.name);
    return p;
}

__attribute__((noinline)) struct large large_result(long first) {
    struct large l = {{first, 2, 3, 4}};
    printf("%ld\n", first);
    return l;
}

__attribute__((noinline)) struct named pair_result(const char *name) {
    struct named n = {name, 7};
    printf("%s\n", name);
    return n;
}

__attribute__((noinline)) double floats(float a, int b, double c) { return a + b + c; }

// The compiler takes the unused argument away and passes what is left in other registers.
__attribute__((noinline)) static long shrunk(long unused, struct large *l, long used) {
    printf("%ld\n", used);
    return l->values[0] * used;
}

int main(int argc, char **argv) {
    struct large l = {{argc, 2, 3, 4}};
    struct point p = {1, 2};
    struct named n = {argv[0], 3};
    struct mixed m = {1.5, 4};
    int number = argc;
    integers(argc, 2, 3, 1, 5, 6, 7, 8);
    texts("name", argv[0], argv, &number);
    structures(p, n, m, l, GREEN);
    large_result(argc);
    pair_result(argv[0]);
    floats(1, argc, 2);
    return (int)shrunk(1, &l, argc) == 12345;
}
