// Calls that are left in another way than by return.
package main

import "runtime"

// panic: over one to five levels, and returns over the same levels.
var panicDownCount = &count{name: "main.panicDown"}

//go:noinline
func panicDown(level int, fail bool) uint64 {
	panicDownCount.enter()
	if level == 1 && fail {
		panic("as the test wants it")
	}
	var sum uint64 = 7
	if level > 1 {
		sum = mix(panicDown(level-1, fail), uint64(level))
	}
	panicDownCount.leave()
	return sum
}

var recoverAllCount = &count{name: "main.recoverAll"}

//go:noinline
func recoverAll(result *uint64) {
	recoverAllCount.enter()
	if recover() != nil {
		*result = 99
	}
	recoverAllCount.leave()
}

var panicOuterCount = &count{name: "main.panicOuter"}

// It returns whether it recovers or not, because a recovered panic goes on at its end.
//
//go:noinline
func panicOuter(level int, fail bool) (result uint64) {
	panicOuterCount.enter()
	panicOuterCount.leave()
	defer recoverAll(&result)
	return panicDown(level, fail)
}

func runPanic(n int) uint64 {
	sum := sumOf(n, func(i int) uint64 { return panicOuter(1+i%5, i%3 != 0) })
	fresh := spread(n, func(i int) uint64 { return panicOuter(1+i%5, i%2 == 0) })
	return mix(sum, fresh)
}

// repanic: a deferred function panics again, out of a frame that is being unwound.
var repanicMiddleCount = &count{name: "main.repanicMiddle"}

//go:noinline
func repanicMiddle(level int, fail bool) uint64 {
	repanicMiddleCount.enter()
	defer func() {
		if problem := recover(); problem != nil {
			panic(problem)
		}
	}()
	sum := panicDown(level, fail)
	repanicMiddleCount.leave()
	return sum
}

var repanicOuterCount = &count{name: "main.repanicOuter"}

//go:noinline
func repanicOuter(level int, fail bool) (result uint64) {
	repanicOuterCount.enter()
	repanicOuterCount.leave()
	defer recoverAll(&result)
	return repanicMiddle(level, fail)
}

func runRepanic(n int) uint64 {
	return sumOf(n, func(i int) uint64 { return repanicOuter(1+i%5, i%3 != 0) })
}

// goexit: goroutines that end inside of nested calls.
var goexitDownCount = &count{name: "main.goexitDown"}

//go:noinline
func goexitDown(level int, leave bool, result *uint64) {
	goexitDownCount.enter()
	*result = mix(*result, uint64(level))
	if level == 1 && leave {
		runtime.Goexit()
	}
	if level > 1 {
		goexitDown(level-1, leave, result)
	}
	goexitDownCount.leave()
}

func runGoexit(n int) uint64 {
	results := make([]uint64, n)
	spread(n, func(i int) uint64 {
		goexitDown(1+i%5, i%3 != 0, &results[i])
		return 0
	})
	return sumOf(n, func(i int) uint64 { return results[i] })
}
