// A program that pays: its calls have arguments, results and errors that it knows.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

type order struct {
	ID     string
	Amount int
}

var errStock = errors.New("no stock")

//go:noinline
func pay(user string, amount int, o order, password string, items []int, fast bool) (string, error) {
	if amount == 199 {
		time.Sleep(20 * time.Millisecond)
	}
	if amount%7 == 0 {
		return "", errStock
	}
	return "ok " + user, nil
}

//go:noinline
func round(n int) (failed int) {
	for i := 0; i < n; i++ {
		user := fmt.Sprintf("u_%d", i%3)
		_, err := pay(user, i%200, order{"o_" + user, i}, "hunter2-secret", []int{1, 2, 3}, i%2 == 0)
		if err != nil {
			failed++
		}
	}
	return failed
}

//go:noinline
func hang(done chan int) int { return <-done }

func main() {
	fmt.Println("ready")
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		var n int
		switch word, _, _ := strings.Cut(input.Text(), " "); word {
		case "round":
			fmt.Sscanf(input.Text(), "round %d", &n)
			fmt.Println(round(n))
		case "hang":
			go hang(make(chan int))
			fmt.Println("hangs")
		case "quit":
			return
		}
	}
}
