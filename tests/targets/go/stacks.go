// Goroutines whose stacks grow, that move between threads, and that are many.
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// spread runs step(0) to step(n-1), each on a fresh goroutine, and adds up what they return.
func spread(n int, step func(i int) uint64) uint64 {
	var sum atomic.Uint64
	var done sync.WaitGroup
	for i := 0; i < n; i++ {
		done.Add(1)
		go func(i int) {
			defer done.Done()
			sum.Add(step(i))
		}(i)
	}
	done.Wait()
	return sum.Load()
}

// grow: a frame so large that the runtime copies the fresh stack before the function's body.
var growCount = &count{name: "main.grow"}

//go:noinline
func grow(x uint64, at *node) uint64 {
	at = at.enter(growCount)
	var frame [4096]byte
	for i := range frame {
		frame[i] = byte(x) + byte(i)
	}
	sum := growInner(x, 3, at)
	for i := 0; i < len(frame); i += 512 {
		sum = mix(sum, uint64(frame[i]))
	}
	growCount.leave()
	return sum
}

var growInnerCount = &count{name: "main.growInner"}

//go:noinline
func growInner(x uint64, levels int, at *node) uint64 {
	at = at.enter(growInnerCount)
	var frame [8192]byte
	frame[x%8192] = 1
	sum := x
	if levels > 0 {
		sum = mix(growInner(x+1, levels-1, at), uint64(frame[x%8192]))
	}
	growInnerCount.leave()
	return sum
}

// address hides where a variable lies from the compiler, which would move it to the heap.
//
//go:noinline
func address(variable *byte) uintptr { return uintptr(unsafe.Pointer(variable)) }

func runGrow(n int) uint64 {
	var moves atomic.Int64
	sum := spread(n, func(i int) uint64 {
		var here byte
		before := address(&here)
		sum := grow(uint64(i), root)
		if address(&here) != before {
			moves.Add(1)
		}
		return sum
	})
	provoked["stack_moves"] = moves.Load()
	return sum
}

// migrate: calls that begin on one thread and end on another.
var migrateCount = &count{name: "main.migrate"}

//go:noinline
func migrate(x uint64, handoff chan uint64, moved *atomic.Int64, at *node) uint64 {
	at = at.enter(migrateCount)
	thread := syscall.Gettid()
	sum := x
	for i := 0; i < 10; i++ {
		sum = yield(sum, at)
		handoff <- 1
		sum = mix(sum, <-handoff)
	}
	if syscall.Gettid() != thread {
		moved.Add(1)
	}
	migrateCount.leave()
	return sum
}

var yieldCount = &count{name: "main.yield"}

//go:noinline
func yield(x uint64, at *node) uint64 {
	at = at.enter(yieldCount)
	runtime.Gosched()
	sum := mix(x, 3)
	yieldCount.leave()
	return sum
}

func runMigrate(n int) uint64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	var stop atomic.Bool
	var noise sync.WaitGroup
	for i := 0; i < 3; i++ {
		noise.Add(1)
		go func() {
			defer noise.Done()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for !stop.Load() {
				runtime.Gosched()
			}
		}()
	}
	handoff := make(chan uint64, n)
	var moved atomic.Int64
	sum := spread(n, func(i int) uint64 { return migrate(uint64(i), handoff, &moved, root) })
	stop.Store(true)
	noise.Wait()
	provoked["migrations"] = moved.Load()
	return sum
}

// preempt: calls that the garbage collector stops, at their stack checks and in the middle.
var busyCount = &count{name: "main.busy"}

//go:noinline
func busy(x uint64, at *node) uint64 {
	at = at.enter(busyCount)
	sum := sumOf(40, func(i int) uint64 { return plainStep(x + uint64(i), at) })
	busyCount.leave()
	return sum
}

func runPreempt(n int) uint64 {
	var stop atomic.Bool
	var collections atomic.Int64
	collector := make(chan struct{})
	go func() {
		defer close(collector)
		for !stop.Load() {
			runtime.GC()
			collections.Add(1)
		}
	}()
	round := func() uint64 {
		return spread(4, func(worker int) uint64 {
			return sumOf(n, func(i int) uint64 { return busy(uint64(worker*n + i), root) })
		})
	}
	sum := round()
	for collections.Load() < 20 {
		if round() != sum {
			sum = 0
		}
	}
	stop.Store(true)
	<-collector
	provoked["collections"] = collections.Load()
	return sum
}

// recurse: to the depths at which tools are known to lose count, on fresh stacks.
var descendCount = &count{name: "main.descend"}

//go:noinline
func descend(depth int, at *node) uint64 {
	at = at.enter(descendCount)
	var sum uint64 = 1
	if depth > 1 {
		sum = mix(descend(depth-1, at), uint64(depth))
	}
	descendCount.leave()
	return sum
}

var isEvenCount = &count{name: "main.isEven"}
var isOddCount = &count{name: "main.isOdd"}

//go:noinline
func isEven(n int, at *node) bool {
	at = at.enter(isEvenCount)
	even := n == 0 || isOdd(n-1, at)
	isEvenCount.leave()
	return even
}

//go:noinline
func isOdd(n int, at *node) bool {
	at = at.enter(isOddCount)
	odd := n != 0 && isEven(n-1, at)
	isOddCount.leave()
	return odd
}

func runRecurse(n int) uint64 {
	sum := spread(300, func(i int) uint64 { return descend(i + 1, root) })
	sum = mix(sum, spread(4, func(i int) uint64 { return descend([]int{64, 65, 1000, 10000}[i], root) }))
	sum = mix(sum, sumOf(n, func(i int) uint64 { return descend(10000 + i, root) }))
	if isEven(301, root) || !isOdd(65, root) {
		return 0
	}
	return sum
}

// many: calls that are all in flight at once.
var waitInsideCount = &count{name: "main.waitInside"}

//go:noinline
func waitInside(x uint64, inside *sync.WaitGroup, release chan struct{}, at *node) uint64 {
	at = at.enter(waitInsideCount)
	inside.Done()
	<-release
	waitInsideCount.leave()
	return mix(x, 5)
}

func runMany(n int) uint64 {
	var inside sync.WaitGroup
	inside.Add(n)
	release := make(chan struct{})
	go func() {
		inside.Wait()
		close(release)
	}()
	return spread(n, func(i int) uint64 { return waitInside(uint64(i), &inside, release, root) })
}
