// Calls that tools pair wrongly: stacks that grow, goroutines that move or end, panics, deep
// recursion, collections. Each call knows between which moments its entry and its exit lie: `run N`
// on stdin; on stdout `ran`, a line for each call, `FUNCTION BEFORE BEGUN ENDED AFTER`, and `end`.
// The last two moments, on the monotonic clock in nanoseconds, are 0 where it did not return.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

const (
	atOnce     = 8
	mostCalls  = 1 << 20
	spinRounds = 100000
)

type call struct {
	function                    string
	before, begun, ended, after int64
}

var calls [mostCalls]call
var callCount atomic.Int64

func now() int64 {
	var at syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&at)), 0)
	return at.Nano()
}

// before is a call that is about to begin.
func before(function string) *call {
	c := &calls[callCount.Add(1)-1]
	c.function = function
	c.before = now()
	return c
}

func (c *call) begin() { c.begun = now() }
func (c *call) end()   { c.ended = now() }

// returned is after the call.
func (c *call) returned() { c.after = now() }

//go:noinline
func step(c *call, x uint64) uint64 {
	c.begin()
	x = x*31 + 7
	c.end()
	return x
}

func timedStep(x uint64) uint64 {
	c := before("step")
	x = step(c, x)
	c.returned()
	return x
}

// grow has a frame for which the stack is copied before it begins, at every level.
//
//go:noinline
func grow(c *call, levels int) uint64 {
	c.begin()
	var frame [3000]byte
	for i := range frame {
		frame[i] = byte(levels + i)
	}
	sum := timedStep(uint64(levels))
	if levels > 1 {
		sum += timedGrow(levels - 1)
	}
	sum += uint64(frame[sum%3000])
	c.end()
	return sum
}

func timedGrow(levels int) uint64 {
	c := before("grow")
	sum := grow(c, levels)
	c.returned()
	return sum
}

// move often ends on another thread than it began on.
//
//go:noinline
func move(c *call) uint64 {
	c.begin()
	var sum uint64
	for i := 0; i < 8; i++ {
		sum = timedStep(sum)
		runtime.Gosched()
	}
	c.end()
	return sum
}

// spin takes long enough to be preempted.
//
//go:noinline
func spin(c *call) uint64 {
	c.begin()
	var sum uint64
	for i := uint64(0); i < spinRounds; i++ {
		sum = sum*31 + i
	}
	sum += timedStep(sum)
	c.end()
	return sum
}

//go:noinline
func recurse(c *call, levels int) uint64 {
	c.begin()
	sum := uint64(levels)
	if levels > 1 {
		sum += timedRecurse(levels - 1)
	} else {
		sum += timedStep(sum)
	}
	c.end()
	return sum
}

func timedRecurse(levels int) uint64 {
	c := before("recurse")
	sum := recurse(c, levels)
	c.returned()
	return sum
}

//go:noinline
func fail(c *call, levels int) uint64 {
	c.begin()
	sum := timedStep(uint64(levels))
	if levels == 1 {
		panic("it fails")
	}
	sum += timedFail(levels - 1)
	c.end()
	return sum
}

func timedFail(levels int) uint64 {
	c := before("fail")
	sum := fail(c, levels)
	c.returned()
	return sum
}

// save returns after the panic below it.
//
//go:noinline
func save(c *call, levels int) uint64 {
	c.begin()
	defer func() {
		recover()
		c.end()
	}()
	return timedFail(levels)
}

// leave ends its goroutine at the innermost level.
//
//go:noinline
func leave(c *call, levels int) {
	c.begin()
	if timedStep(1); levels == 1 {
		runtime.Goexit()
	}
	leave(before("leave"), levels-1)
}

func act(i int) {
	switch i % 6 {
	case 0:
		timedGrow(1 + i%9)
	case 1:
		c := before("move")
		move(c)
		c.returned()
	case 2:
		c := before("spin")
		spin(c)
		c.returned()
	case 3:
		timedRecurse(1 + i*7%300)
	case 4:
		c := before("save")
		save(c, 1+i%5)
		c.returned()
		timedStep(uint64(i))
	case 5:
		leave(before("leave"), 1+i%5)
	}
}

func run(n int) {
	callCount.Store(0)
	var collecting atomic.Bool
	collecting.Store(true)
	go func() {
		for collecting.Load() {
			runtime.GC()
		}
	}()
	var acts sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for i := 0; i < n; i++ {
		acts.Add(1)
		places <- struct{}{}
		go func(i int) {
			defer func() { <-places; acts.Done() }()
			act(i)
		}(i)
	}
	acts.Wait()
	collecting.Store(false)
}

func main() {
	runtime.GOMAXPROCS(4)
	output := bufio.NewWriter(os.Stdout)
	fmt.Println("ready")
	var n int
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		if _, err := fmt.Sscanf(input.Text(), "run %d", &n); err != nil {
			break
		}
		run(n)
		fmt.Println("ran")
		for i := int64(0); i < callCount.Load(); i++ {
			c := &calls[i]
			fmt.Fprintln(output, c.function, c.before, c.begun, c.ended, c.after)
		}
		fmt.Fprintln(output, "end")
		output.Flush()
	}
}
