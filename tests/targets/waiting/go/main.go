// A program whose goroutines wait where tests/stacks.rs knows. Each says its name, and the address
// of its runtime.g, before it does; a comment at a line's end is what a test finds the line by.
package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// g returns the address of the goroutine's descriptor.
func g() uintptr

func say(name string) {
	fmt.Printf("%s %d\n", name, g())
}

var never, also = make(chan int), make(chan int)

// receive is inlined.
func receive(from chan int) int {
	return <-from // receive
}

// take is inlined, and so is what it calls.
func take(from chan int) int {
	return receive(from) + 1 // take
}

//go:noinline
func third(from chan int) int {
	say("channel")
	return take(from) + 2 // third
}

//go:noinline
func second(from chan int) int {
	var room [64]int
	room[third(from)&63] = 1 // second
	return room[5]
}

//go:noinline
func first(from chan int) {
	_ = second(from) // first
}

//go:noinline
func recurse(depth int) int {
	var room [32]int
	if depth == 0 {
		say("deep")
		select { // bottom
		case <-never:
		case <-also:
		}
		return 0
	}
	room[depth&31] = recurse(depth - 1) // recurse
	return room[1] + depth
}

type shop struct {
	closed sync.Mutex
}

//go:noinline
func (s *shop) enter() {
	say("mutex")
	s.closed.Lock() // enter
}

//go:noinline
func sleep() {
	say("sleep")
	time.Sleep(time.Hour) // sleep
}

//go:noinline
func readPipe(file *os.File) {
	say("poll")
	file.Read(make([]byte, 1)) // read
}

func main() {
	go first(never)
	go func() {
		recurse(1000)
	}()
	closed := &shop{}
	closed.closed.Lock()
	go closed.enter()
	go sleep()
	reader, writer, _ := os.Pipe()
	go readPipe(reader)
	os.Stdin.Read(make([]byte, 1)) // system call
	fmt.Fprintln(writer)
}
