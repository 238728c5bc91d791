// Calls that are left in another way than by return.
package main

import "runtime"

// panic: over one to five levels, and returns over the same levels.
var panicDownCount = &count{name: "main.panicDown"}

//go:noinline
func panicDown(level int, fail bool, at *node) uint64 {
	at = at.enter(panicDownCount)
	if level == 1 && fail {
		panic(at)
	}
	var sum uint64 = 7
	if level > 1 {
		sum = mix(panicDown(level-1, fail, at), uint64(level))
	}
	panicDownCount.leave()
	return sum
}

var recoverAllCount = &count{name: "main.recoverAll"}

//go:noinline
func recoverAll(result *uint64, at *node) {
	if problem := recover(); problem != nil {
		// It runs on top of the calls that it ends.
		at = problem.(*node)
		*result = 99
	}
	at.enter(recoverAllCount)
	recoverAllCount.leave()
}

var panicOuterCount = &count{name: "main.panicOuter"}

// It returns whether it recovers or not, because a recovered panic goes on at its end.
//
//go:noinline
func panicOuter(level int, fail bool, at *node) (result uint64) {
	at = at.enter(panicOuterCount)
	panicOuterCount.leave()
	defer recoverAll(&result, at)
	return panicDown(level, fail, at)
}

func runPanic(n int) uint64 {
	sum := sumOf(n, func(i int) uint64 { return panicOuter(1+i%5, i%3 != 0, root) })
	fresh := spread(n, func(i int) uint64 { return panicOuter(1+i%5, i%2 == 0, root) })
	return mix(sum, fresh)
}

// repanic: a deferred function panics again, out of a frame that is being unwound.
var repanicMiddleCount = &count{name: "main.repanicMiddle"}

//go:noinline
func repanicMiddle(level int, fail bool, at *node) uint64 {
	at = at.enter(repanicMiddleCount)
	defer func() {
		if problem := recover(); problem != nil {
			panic(problem)
		}
	}()
	sum := panicDown(level, fail, at)
	repanicMiddleCount.leave()
	return sum
}

var repanicOuterCount = &count{name: "main.repanicOuter"}

//go:noinline
func repanicOuter(level int, fail bool, at *node) (result uint64) {
	at = at.enter(repanicOuterCount)
	repanicOuterCount.leave()
	defer recoverAll(&result, at)
	return repanicMiddle(level, fail, at)
}

func runRepanic(n int) uint64 {
	return sumOf(n, func(i int) uint64 { return repanicOuter(1+i%5, i%3 != 0, root) })
}

// goexit: goroutines that end inside of nested calls.
var goexitDownCount = &count{name: "main.goexitDown", goroutineEnds: true}

//go:noinline
func goexitDown(level int, leave bool, result *uint64, at *node) {
	at = at.enter(goexitDownCount)
	*result = mix(*result, uint64(level))
	if level == 1 && leave {
		runtime.Goexit()
	}
	if level > 1 {
		goexitDown(level-1, leave, result, at)
	}
	goexitDownCount.leave()
}

func runGoexit(n int) uint64 {
	results := make([]uint64, n)
	spread(n, func(i int) uint64 {
		goexitDown(1+i%5, i%3 != 0, &results[i], root)
		return 0
	})
	return sumOf(n, func(i int) uint64 { return results[i] })
}
