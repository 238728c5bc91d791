// Functions whose arguments and results are read.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"unsafe"
)

type request struct {
	ID    uint64
	User  string
	Admin bool
}

type point struct{ X, Y float64 }

type small struct{ Codes [1]int16 }

type pair struct{ Codes [2]int }

type empty struct{}

type cart struct{ items int }

//go:noinline
func integers(a int, b uint8, c int16, d bool, e *cart, f uintptr) (int32, bool) {
	return int32(a) + int32(b) + int32(c) + int32(e.items) + int32(f), d
}

//go:noinline
func texts(name string, data []byte, ids []int32) string {
	return name + string(data) + string(rune(ids[0]))
}

//go:noinline
func structure(r request, p point, x float32) (request, float64) {
	r.ID += uint64(p.X) + uint64(x)
	return r, p.Y
}

//go:noinline
func failing(user string, cause error, value any) (int, error) {
	if cause != nil {
		return len(user), cause
	}
	if value == nil {
		return 0, nil
	}
	return 1, errors.New("no stock")
}

//go:noinline
func spills(a, b, c, d, e, f, g, h int, s string, i int, z string) (string, error) {
	return s + z, http.ErrBodyNotAllowed
}

//go:noinline
func tooMany(a [2]int, b int, c int32) (p pair, err error) {
	p.Codes = a
	p.Codes[0] += b + int(c)
	return p, nil
}

//go:noinline
func arrays(s small, e empty, one [1]string, p pair, last int) int {
	return int(s.Codes[0]) + len(one[0]) + p.Codes[1] + last
}

//go:noinline
func (c *cart) add(name string, price int64) (total int64, err error) {
	c.items++
	return price * int64(len(name)), nil
}

//go:noinline
func (r request) valued(factor int) int { return int(r.ID) * factor }

//go:noinline
func generic[T int | string](value T, count int) T {
	if count > 0 {
		return value
	}
	var zero T
	return zero
}

//go:noinline
func unnamed(_ int, kept func(int) int, m map[string]int, c chan int, z complex128) (_ int, _ func(int) int) {
	return kept(m["a"]) + len(c) + int(real(z)), kept
}

//go:noinline
func results(n int) (a, b, c, d, e, f, g, h, i int, j int, err error) {
	return n, n, n, n, n, n, n, n, n, n, errors.New("full")
}

//go:noinline
func errorFirst(n int) (error, int) { return nil, n }

func main() {
	if len(os.Args) > 1 {
		tell()
		return
	}
	c := &cart{}
	n := len(os.Args)
	integers(n, 2, 3, true, c, 5)
	println(texts("a", []byte("b"), []int32{65}))
	structure(request{ID: 1, User: "u"}, point{1, 2}, 3)
	failing("u", nil, n)
	spills(1, 2, 3, 4, 5, 6, 7, 8, "s", 9, "z")
	tooMany([2]int{1, 2}, 3, 4)
	arrays(small{}, empty{}, [1]string{"x"}, pair{}, n)
	c.add("x", 2)
	request{}.valued(3)
	generic(n, 1)
	generic("text", n)
	unnamed(1, func(i int) int { return i + n }, nil, nil, 1)
	results(n)
	errorFirst(n)
	http.Serve(nil, nil)
}

// tell prints what the compiler knows: where the path of a request is, and the first words of
// interfaces with the names of the types in them. Then it waits for the end of its input.
func tell() {
	fmt.Println(unsafe.Offsetof(http.Request{}.URL), unsafe.Offsetof(url.URL{}.Path))
	for _, value := range []error{errors.New("x"), &os.PathError{}, http.ErrNotSupported} {
		fmt.Printf("methods %d %T\n", *(*uintptr)(unsafe.Pointer(&value)), value)
	}
	for _, value := range []any{1, "x", request{}, &cart{}, []int{}, map[string]error{}, 1.5} {
		fmt.Printf("empty %d %T\n", *(*uintptr)(unsafe.Pointer(&value)), value)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}
