// A Go program that calls C, which calls back. tests/targets/README.md has the protocol.
package main

/*
#cgo CFLAGS: -O2 -g
#include <stdint.h>
uint64_t c_leaf(uint64_t x);
uint64_t c_calling(uint64_t x, int levels);
uint64_t c_counts(int of);
void c_reset(void);
*/
import "C"

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

type calls struct {
	Calls   uint64 `json:"calls"`
	Returns uint64 `json:"returns"`
	Unwound uint64 `json:"unwound"`
}

func mix(sum, value uint64) uint64 { return (sum^value)*0x9e3779b97f4a7c15 + 1 }

var outerCalls, outerReturns, backCalls, backReturns atomic.Uint64

//go:noinline
func outer(x uint64, levels int) uint64 {
	outerCalls.Add(1)
	sum := mix(uint64(C.c_leaf(C.uint64_t(x))), uint64(C.c_calling(C.uint64_t(x), C.int(levels))))
	outerReturns.Add(1)
	return sum
}

// back is called by C, on the goroutine that called C.
//
//go:noinline
func back(x uint64, levels int) uint64 {
	backCalls.Add(1)
	sum := mix(x, 5)
	if levels > 1 {
		sum = outer(x+1, levels-1)
	}
	backReturns.Add(1)
	return sum
}

//export goBack
func goBack(x C.uint64_t, levels C.int) C.uint64_t {
	return C.uint64_t(back(uint64(x), int(levels)))
}

func run(n int) uint64 {
	var sum atomic.Uint64
	var done sync.WaitGroup
	for worker := 0; worker < 4; worker++ {
		done.Add(1)
		go func(worker int) {
			defer done.Done()
			for i := worker; i < n; i += 4 {
				sum.Add(outer(uint64(i), 1+i%3))
			}
		}(worker)
	}
	done.Wait()
	return sum.Load()
}

func measure(n int) any {
	for _, number := range []*atomic.Uint64{&outerCalls, &outerReturns, &backCalls, &backReturns} {
		number.Store(0)
	}
	C.c_reset()
	sum := run(n)
	same := func(number C.uint64_t) calls { return calls{Calls: uint64(number), Returns: uint64(number)} }
	return map[string]any{
		"scenario": "cgo",
		"checksum": fmt.Sprintf("%016x", sum),
		"functions": map[string]calls{
			"main.outer": {Calls: outerCalls.Load(), Returns: outerReturns.Load()},
			"main.back":  {Calls: backCalls.Load(), Returns: backReturns.Load()},
			"c_leaf":     same(C.c_counts(0)),
			"c_calling":  same(C.c_counts(1)),
		},
	}
}

func main() {
	fmt.Println("ready")
	output := json.NewEncoder(os.Stdout)
	for input := bufio.NewScanner(os.Stdin); input.Scan() && input.Text() != "quit"; {
		words := strings.Fields(input.Text())
		var answer any = []string{"cgo"}
		if len(words) > 0 && words[0] == "run" {
			n := 400
			if len(words) == 3 {
				n, _ = strconv.Atoi(words[2])
			}
			answer = measure(n)
		}
		if err := output.Encode(answer); err != nil {
			os.Exit(1)
		}
	}
}
