// A library that is loaded while its functions are waited for.
__attribute__((noinline)) long late(long x) { return x + 1; }
