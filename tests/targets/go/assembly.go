// Functions in assembly, which keep nothing where the compiler keeps it.
package main

import "runtime"

// The callers count, because the assembly does not.
var assemblyLeafCount = &count{name: "main.assemblyLeaf"}
var assemblyCallerCount = &count{name: "main.assemblyCaller"}

func assemblyLeaf(x, y uint64) uint64
func assemblyCaller(x uint64) uint64

var calledByAssemblyCount = &count{name: "main.calledByAssembly"}

// assembledAt is the path of the assembly's call: it passes nothing on.
var assembledAt *node

//go:noinline
func calledByAssembly(x uint64) uint64 {
	assembledAt.enter(calledByAssemblyCount)
	sum := mix(x, 7)
	calledByAssemblyCount.leave()
	return sum
}

func runAssembly(n int) uint64 {
	// Assembly is paired by thread: where a goroutine moves while assembly calls Go, a pair is lost.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return sumOf(n, func(i int) uint64 {
		root.enter(assemblyLeafCount)
		sum := assemblyLeaf(uint64(i), 12345)
		assemblyLeafCount.leave()
		assembledAt = root.enter(assemblyCallerCount)
		sum = mix(sum, assemblyCaller(sum))
		assemblyCallerCount.leave()
		return sum
	})
}
