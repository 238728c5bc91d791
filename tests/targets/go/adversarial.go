// Everything at once that makes tools take one call for another: stacks that grow, goroutines that
// move, panics, goroutines that end, deep recursion, collections. Each call knows its duration.
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
)

var growingCount = &count{name: "main.growing"}
var movingCount = &count{name: "main.moving"}
var stoppedCount = &count{name: "main.stopped"}
var deepCount = &count{name: "main.deep"}
var failingCount = &count{name: "main.failing"}
var savingCount = &count{name: "main.saving"}
var endingCount = &count{name: "main.ending", goroutineEnds: true}
var stepCount = &count{name: "main.step"}

var adversarialCounts = []*count{growingCount, movingCount, stoppedCount, deepCount, failingCount,
	savingCount, endingCount, stepCount}

// leaveAfter counts a return, and what passed inside of the call.
func (c *count) leaveAfter(began int64) {
	c.inside.since(began)
	c.leave()
}

// step is called by all others.
//
//go:noinline
func step(x uint64, at *node) uint64 {
	began := now()
	at.enter(stepCount)
	sum := mix(x, 3)
	stepCount.leaveAfter(began)
	return sum
}

func timedStep(x uint64, at *node) uint64 {
	began := now()
	sum := step(x, at)
	stepCount.around.since(began)
	return sum
}

// growing has a frame for which the runtime copies the stack before it begins, at every level.
//
//go:noinline
func growing(x uint64, levels int, at *node) uint64 {
	began := now()
	at = at.enter(growingCount)
	var frame [3000]byte
	for i := range frame {
		frame[i] = byte(x) + byte(i)
	}
	sum := timedStep(x, at)
	if levels > 1 {
		sum = mix(sum, timedGrowing(x+1, levels-1, at))
	}
	sum = mix(sum, uint64(frame[x%3000]))
	growingCount.leaveAfter(began)
	return sum
}

func timedGrowing(x uint64, levels int, at *node) uint64 {
	began := now()
	sum := growing(x, levels, at)
	growingCount.around.since(began)
	return sum
}

// moving ends on another thread than it began on, often.
//
//go:noinline
func moving(x uint64, moved *atomic.Int64, at *node) uint64 {
	began := now()
	at = at.enter(movingCount)
	thread := syscall.Gettid()
	sum := x
	for i := 0; i < 8; i++ {
		sum = timedStep(sum, at)
		runtime.Gosched()
	}
	if syscall.Gettid() != thread {
		moved.Add(1)
	}
	movingCount.leaveAfter(began)
	return sum
}

// stopped runs long enough to be preempted.
//
//go:noinline
func stopped(x uint64, at *node) uint64 {
	began := now()
	at = at.enter(stoppedCount)
	sum := x
	for i := uint64(0); i < 200000; i++ {
		sum = mix(sum, i)
	}
	sum = timedStep(sum, at)
	stoppedCount.leaveAfter(began)
	return sum
}

//go:noinline
func deep(levels int, at *node) uint64 {
	began := now()
	at = at.enter(deepCount)
	var sum uint64
	if levels > 1 {
		sum = mix(timedDeep(levels-1, at), uint64(levels))
	} else {
		sum = timedStep(1, at)
	}
	deepCount.leaveAfter(began)
	return sum
}

func timedDeep(levels int, at *node) uint64 {
	began := now()
	sum := deep(levels, at)
	deepCount.around.since(began)
	return sum
}

//go:noinline
func failing(levels int, fail bool, at *node) uint64 {
	began := now()
	at = at.enter(failingCount)
	sum := timedStep(uint64(levels), at)
	if levels > 1 {
		sum = mix(sum, timedFailing(levels-1, fail, at))
	} else if fail {
		panic(at)
	}
	failingCount.leaveAfter(began)
	return sum
}

func timedFailing(levels int, fail bool, at *node) uint64 {
	began := now()
	sum := failing(levels, fail, at)
	failingCount.around.since(began)
	return sum
}

// saving always returns: after a panic, from its end.
//
//go:noinline
func saving(levels int, fail bool, at *node) (result uint64) {
	began := now()
	at = at.enter(savingCount)
	defer func() {
		if recover() != nil {
			result = 99
		}
		savingCount.leaveAfter(began)
	}()
	return timedFailing(levels, fail, at)
}

// ending ends its goroutine at the innermost level, or returns.
//
//go:noinline
func ending(levels int, end bool, result *uint64, at *node) {
	began := now()
	at = at.enter(endingCount)
	*result = mix(*result, timedStep(uint64(levels), at))
	if levels > 1 {
		around := now()
		ending(levels-1, end, result, at)
		endingCount.around.since(around)
	} else if end {
		runtime.Goexit()
	}
	endingCount.leaveAfter(began)
}

// An adversary does one of these things, by its number, on a goroutine of its own.
type adversary struct {
	results                      []uint64
	moved, grown, panicked, gone atomic.Int64
}

func (a *adversary) act(i int) uint64 {
	x := uint64(i)
	switch i % 6 {
	case 0:
		var here byte
		before := address(&here)
		sum := timedGrowing(x, 1+i%9, root)
		if address(&here) != before {
			a.grown.Add(1)
		}
		return sum
	case 1:
		began := now()
		sum := moving(x, &a.moved, root)
		movingCount.around.since(began)
		return sum
	case 2:
		began := now()
		sum := stopped(x, root)
		stoppedCount.around.since(began)
		return sum
	case 3:
		return timedDeep(1+i*7%300, root)
	case 4:
		fail := i%5 != 0
		if fail {
			a.panicked.Add(1)
		}
		began := now()
		sum := saving(1+i%5, fail, root)
		savingCount.around.since(began)
		// The next call at this depth must not be taken for one of those that are gone.
		return mix(sum, timedStep(x, root))
	}
	end := i%4 != 3
	if end {
		a.gone.Add(1)
	}
	began := now()
	ending(1+i%5, end, &a.results[i], root)
	endingCount.around.since(began)
	return 0
}

func runAdversarial(n int) uint64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	var stop atomic.Bool
	var collections atomic.Int64
	var collector sync.WaitGroup
	collector.Add(1)
	go func() {
		defer collector.Done()
		for !stop.Load() {
			runtime.GC()
			collections.Add(1)
		}
	}()
	act := adversary{results: make([]uint64, n)}
	sum := spread(n, act.act)
	stop.Store(true)
	collector.Wait()
	provoked["stack_moves"] = act.grown.Load()
	provoked["migrations"] = act.moved.Load()
	provoked["panics"] = act.panicked.Load()
	provoked["ended_goroutines"] = act.gone.Load()
	provoked["collections"] = collections.Load()
	return mix(sum, sumOf(n, func(i int) uint64 { return act.results[i] }))
}
