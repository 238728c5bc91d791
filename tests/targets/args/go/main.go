// Functions that are called with known values. tests/targets/README.md has the protocol.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// callsKept is how many of the last calls of a function are told.
const callsKept = 5

// A value is an argument or a result.
type value struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type call struct {
	Args    []value `json:"args"`
	Results []value `json:"results"`
}

type calls struct {
	Calls int    `json:"calls"`
	Last  []call `json:"last"`
}

var known map[string]*calls

func note(function string, args, results []value) {
	if known[function] == nil {
		known[function] = &calls{}
	}
	of := known[function]
	of.Calls++
	of.Last = append(of.Last, call{args, results})
	if len(of.Last) > callsKept {
		of.Last = of.Last[1:]
	}
}

// of describes a value in the words that the tool has for it.
func of(name string, v any) value { return value{name, shown(v)} }

func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case string:
		return strconv.Quote(v)
	case []byte:
		return strconv.Quote(string(v))
	case []int:
		return strings.ReplaceAll(fmt.Sprint(v), " ", ", ")
	case error:
		return fmt.Sprintf("%T(%q)", v, v.Error())
	}
	return fmt.Sprint(v)
}

// boxed describes what an interface without methods holds.
func boxed(name string, v any) value {
	if v == nil {
		return of(name, nil)
	}
	return value{name, fmt.Sprintf("%T(%s)", v, shown(v))}
}

//go:noinline
func integers(a int, b uint8, c int16, d uint64) int64 {
	result := int64(a) + int64(b) + int64(c) + int64(d)
	note("main.integers", []value{of("a", a), of("b", b), of("c", c), of("d", d)}, []value{of("", result)})
	return result
}

//go:noinline
func text(name string, loud bool) (string, bool) {
	result := name
	if loud {
		result = strings.ToUpper(name)
	}
	note("main.text", []value{of("name", name), of("loud", loud)}, []value{of("", result), of("", loud)})
	return result, loud
}

//go:noinline
func slices(ids []int, raw []byte) int {
	result := len(ids) + len(raw)
	note("main.slices", []value{of("ids", ids), of("raw", raw)}, []value{of("", result)})
	return result
}

//go:noinline
func floats(x float64, y float32) float64 {
	result := x + float64(y)
	note("main.floats", []value{of("x", x), of("y", y)}, []value{of("", result)})
	return result
}

type order struct {
	ID     int
	User   string
	Urgent bool
}

//go:noinline
func submit(o order, limit int) (int, error) {
	var err error
	if o.ID > limit {
		err = errors.New("over the limit")
	}
	note("main.submit", []value{of("o.ID", o.ID), of("o.User", o.User), of("o.Urgent", o.Urgent), of("limit", limit)},
		[]value{of("", o.ID), of("", err)})
	return o.ID, err
}

//go:noinline
func handle(err error, payload any) error {
	note("main.handle", []value{of("err", err), boxed("payload", payload)}, []value{of("", err)})
	return err
}

var errLost = errors.New("lost")

func run(n int) {
	for i := 0; i < n; i++ {
		integers(i-3, uint8(250+i), int16(-i*100), uint64(i)<<60)
		text([]string{"u_1", "", "größer", "a \"quoted\" name"}[i%4], i%2 == 0)
		slices(make([]int, i%3), []byte("bytes")[:i%5])
		floats(float64(i)/4, -float32(i)/8)
		submit(order{i, fmt.Sprintf("u_%d", i), i%2 == 0}, 10)
		handle([]error{nil, errLost}[i%2], []any{nil, i, "payload"}[i%3])
	}
}

func main() {
	fmt.Println("ready")
	output := json.NewEncoder(os.Stdout)
	output.SetEscapeHTML(false)
	for input := bufio.NewScanner(os.Stdin); input.Scan() && input.Text() != "quit"; {
		n := 20
		_, _ = fmt.Sscanf(input.Text(), "run args %d", &n)
		known = map[string]*calls{}
		run(n)
		if err := output.Encode(known); err != nil {
			os.Exit(1)
		}
	}
}
