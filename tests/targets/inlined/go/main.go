// A program with functions that are inlined; tests/inlined.rs knows how often each is called for the
// number that the program is given.
package main

import (
	"os"
	"strconv"
)

var sink uint64
var cells [64]uint64

func mix(x uint64) uint64 {
	x ^= x >> 31
	x *= 0x9e3779b97f4a7c15
	if x&1 == 1 {
		x += sink
	}
	return x ^ (x >> 17)
}
func tiny(x uint64) uint64 {
	return x*3 + 1
}
func store(x uint64) {
	cells[x&63] += x
}
func looped(n uint64) uint64 {
	s := uint64(0)
	for i := uint64(0); i < n; i++ {
		s += s*i ^ sink
	}
	return s
}
func outer(x uint64) uint64 {
	return mix(x) + 9
}

type T struct {
	a, b uint64
}

func (t *T) add(x uint64) {
	t.a += x
	if x > 5 {
		t.b++
	}
}
func pick[E ~uint64](x, y E) E {
	if x > y {
		return x
	}
	return y
}

//go:noinline
func straight(x uint64) uint64 {
	return mix(x) + 5
}

//go:noinline
func inLoop(n uint64) uint64 {
	s := uint64(0)
	for i := uint64(0); i < n; i++ {
		s += mix(i)
	}
	return s
}

//go:noinline
func twice(x uint64) uint64 {
	a := mix(x)
	return a + mix(a+3)
}

//go:noinline
func branch(x uint64) uint64 {
	if x%3 == 0 {
		return mix(x)
	}
	return x
}

//go:noinline
func tinyLoop(n uint64, p []uint64) uint64 {
	s := uint64(0)
	for i := uint64(0); i < n; i++ {
		s += tiny(p[i])
	}
	return s
}

//go:noinline
func nested(n uint64) uint64 {
	return looped(n) + 1
}

//go:noinline
func nestedLoop(n uint64) uint64 {
	s := uint64(0)
	for i := uint64(0); i < n; i++ {
		s += looped(i)
	}
	return s
}

//go:noinline
func deep(n uint64) uint64 {
	s := uint64(0)
	for i := uint64(0); i < n; i++ {
		s += outer(i)
	}
	return s
}

//go:noinline
func method(t *T, n uint64) {
	for i := uint64(0); i < n; i++ {
		t.add(i)
		store(i)
		store(i + 1)
	}
}

//go:noinline
func generic(x uint64) uint64 {
	return pick(x, 7)
}
func main() {
	n, _ := strconv.ParseUint(os.Args[1], 0, 64)
	arr := make([]uint64, 100)
	t := &T{}
	s := uint64(0)
	for i := uint64(0); i < n; i++ {
		s += straight(i) + inLoop(10) + twice(i) + branch(i) + tinyLoop(10, arr) + nested(i%5) + nestedLoop(5) + deep(3) + generic(i)
		method(t, 10)
	}
	sink = s
	println(s)
}
