// Calls one small function in a loop, or two in turn: `run N` or `turn N` on stdin, nanoseconds per
// call on stdout.
package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"time"
)

// The median of so many batches counts, so that a batch that was preempted does not.
const batchCount = 20

//go:noinline
func mix(x uint64) uint64 { return x*31 + 7 }

//go:noinline
func work(x uint64) uint64 { return mix(x) + x }

//go:noinline
func other(x uint64) uint64 { return mix(x) - x }

func main() {
	var order string
	var calls int
	var sum uint64
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "%s %d", &order, &calls); err != nil {
			break
		}
		functions := [2]func(uint64) uint64{work, work}
		if order == "turn" {
			functions[1] = other
		}
		batches := make([]float64, batchCount)
		for i := range batches {
			begin := time.Now()
			for call := 0; call < calls/batchCount; call++ {
				sum = functions[call%2](sum)
			}
			batches[i] = float64(time.Since(begin).Nanoseconds()) / float64(calls/batchCount)
		}
		slices.Sort(batches)
		fmt.Printf("%.3f\n", batches[batchCount/2])
	}
	if sum == 1 {
		os.Exit(1)
	}
}
