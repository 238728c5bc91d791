// A program that calls functions with known values, as often as it is told. ../../README.md has
// the protocol; the functions do not count for themselves, because the scenarios know.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
)

type order struct {
	ID     uint64
	User   string
	Amount int
}

type cart struct{ items int }

type outOfStock struct{ sku string }

func (e *outOfStock) Error() string { return "out of stock: " + e.sku }

var sink int

//go:noinline
func scalars(count int, debt int32, paid bool, level uint8, missing *cart) (int, bool) {
	sink += count + int(level)
	return count + int(debt), !paid
}

//go:noinline
func texts(user string, codes []int, weight float64, request order) string {
	sink += len(codes) + int(weight)
	return user + request.User
}

//go:noinline
func fails(amount int, cause error) (int, error) {
	if amount%3 == 0 {
		return 0, &outOfStock{"sku-7"}
	}
	return amount, cause
}

//go:noinline
func signIn(user, password string, header string) bool {
	sink += len(password)
	return header != ""
}

//go:noinline
func pay(amount int, user string) {
	sink += amount
}

//go:noinline
func (c *cart) add(items int) { c.items += items }

//go:noinline
func parent(n int) {
	for i := 0; i < n; i++ {
		child(i)
	}
	child(n)
}

//go:noinline
func child(i int) {
	if i%2 == 0 {
		leaf(i)
	}
}

//go:noinline
func leaf(i int) { (&cart{}).add(i) }

var gate chan int
var entered = make(chan int)

//go:noinline
func waiting(x int) int { return blocked(x) + 1 }

//go:noinline
func blocked(x int) int {
	entered <- 1
	return x + <-gate
}

// Is inlined into `straight` and into `branch`.
func mix(x uint64) uint64 {
	x ^= x >> 31
	x *= 0x9e3779b97f4a7c15
	if x&1 == 1 {
		x += uint64(sink)
	}
	return x ^ (x >> 17)
}

//go:noinline
func straight(x uint64) uint64 { return mix(x) + 5 }

//go:noinline
func branch(x uint64) uint64 {
	if x%3 == 0 {
		return mix(x + 1)
	}
	return x
}

//go:noinline
func escapes(x int) int {
	if x > 0 {
		panic(x)
	}
	return x
}

//go:noinline
func exits(x int) int {
	if x > 0 {
		runtime.Goexit()
	}
	return x
}

func recovers() {
	defer func() { recover() }()
	escapes(1)
}

// A scenario returns what it has called.
var scenarios = map[string]func() map[string]int{
	"values": func() map[string]int {
		scalars(42, -7, true, 200, nil)
		texts("u_1", []int{3, 5, 8}, 2.5, order{ID: 9, User: "ann", Amount: 120})
		return map[string]int{"main.scalars": 1, "main.texts": 1}
	},
	"long": func() map[string]int {
		long := make([]byte, 1000)
		for i := range long {
			long[i] = 'a' + byte(i%26)
		}
		texts(string(long), nil, 0, order{})
		return map[string]int{"main.texts": 1}
	},
	"errors": func() map[string]int {
		for amount := 1; amount <= 10; amount++ {
			var cause error
			if amount == 5 {
				cause = errors.New("declined")
			}
			fails(amount, cause)
		}
		return map[string]int{"main.fails": 10}
	},
	"secrets": func() map[string]int {
		signIn("ann", "open-sesame", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl")
		return map[string]int{"main.signIn": 1}
	},
	"pay": func() map[string]int {
		for i := 0; i < 60; i++ {
			pay(185+i%10, fmt.Sprint("u_", i%3))
		}
		return map[string]int{"main.pay": 60}
	},
	"tree": func() map[string]int {
		var both sync.WaitGroup
		for n := 4; n <= 5; n++ {
			both.Add(1)
			go func(n int) {
				defer both.Done()
				parent(n)
			}(n)
		}
		both.Wait()
		return map[string]int{"main.parent": 2, "main.child": 11, "main.leaf": 6}
	},
	// A goroutine waits inside of two calls until it is released.
	"begin_block": func() map[string]int {
		gate = make(chan int)
		go func() { gate <- waiting(1) }()
		<-entered
		return nil
	},
	"inlined": func() map[string]int {
		for x := uint64(0); x < 100; x++ {
			sink += int(straight(x)&1 + branch(x)&1)
		}
		return map[string]int{"main.straight": 100, "main.branch": 100, "main.mix": 134}
	},
	// A goroutine leaves a call without returning from it, and waits outside of it.
	"begin_escape": func() map[string]int {
		gate = make(chan int)
		go func() {
			recovers()
			gate <- <-gate
		}()
		return nil
	},
	// Goroutines end inside of a call; nothing comes after them.
	"exits": func() map[string]int {
		var all sync.WaitGroup
		for i := 0; i < 5; i++ {
			all.Add(1)
			go func() {
				defer all.Done()
				exits(1)
			}()
		}
		all.Wait()
		return map[string]int{"main.exits": 5}
	},
	"end_block": func() map[string]int {
		gate <- 1
		<-gate
		return map[string]int{"main.waiting": 1, "main.blocked": 1}
	},
}

func main() {
	fmt.Println("ready")
	for input := bufio.NewScanner(os.Stdin); input.Scan() && input.Text() != "quit"; {
		var name string
		fmt.Sscanf(input.Text(), "run %s", &name)
		functions := ""
		for function, n := range scenarios[name]() {
			if functions != "" {
				functions += ","
			}
			functions += fmt.Sprintf(`%q:{"calls":%d,"returns":%d,"unwound":0}`, function, n, n)
		}
		fmt.Printf("{\"scenario\":%q,\"functions\":{%s},\"checksum\":\"\"}\n", name, functions)
	}
}
