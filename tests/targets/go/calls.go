// Calls that return, in the shapes that Go code has.
package main

import "fmt"

func mix(sum, value uint64) uint64 { return (sum^value)*0x9e3779b97f4a7c15 + 1 }

func sumOf(n int, step func(i int) uint64) uint64 {
	var sum uint64
	for i := 0; i < n; i++ {
		sum = mix(sum, step(i))
	}
	return sum
}

// plain: a function that calls another.
var plainStepCount = &count{name: "main.plainStep"}

//go:noinline
func plainStep(x uint64, at *node) uint64 {
	at = at.enter(plainStepCount)
	sum := x
	for i := uint64(0); i < 8; i++ {
		sum = mix(sum, x+i)
	}
	plainStepCount.leave()
	return sum
}

var plainOuterCount = &count{name: "main.plainOuter"}

//go:noinline
func plainOuter(x uint64, at *node) uint64 {
	at = at.enter(plainOuterCount)
	sum := mix(plainStep(x, at), plainStep(x+1, at))
	plainOuterCount.leave()
	return sum
}

func runPlain(n int) uint64 { return sumOf(n, func(i int) uint64 { return plainOuter(uint64(i), root) }) }

// leaf: no frame, no stack check. The caller counts, so that the code stays as it is.
var leafCount = &count{name: "main.leaf"}

//go:noinline
func leaf(x, y uint64) uint64 {
	if x&1 == 0 {
		return x ^ y
	}
	return x*y + 1
}

func runLeaf(n int) uint64 {
	return sumOf(n, func(i int) uint64 {
		root.enter(leafCount)
		sum := leaf(uint64(i), 12345)
		leafCount.leave()
		return sum
	})
}

// many_returns: several results, and a return in every branch.
var manyReturnsCount = &count{name: "main.manyReturns"}

//go:noinline
func manyReturns(x int, at *node) (a uint64, b string, c float64) {
	at = at.enter(manyReturnsCount)
	manyReturnsCount.leave()
	switch x % 11 {
	case 0:
		return 1, "zero", 0.5
	case 1:
		return uint64(x), "one", float64(x)
	case 2:
		return plainStep(uint64(x), at), "two", 1
	case 3:
		return 4, fmt.Sprint("three", x), 3
	case 4:
		return 9, "four", float64(x) / 3
	case 5:
		if x%2 == 0 {
			return 10, "even five", 1
		}
		return 11, "odd five", 2
	case 6, 7, 8:
		for i := 0; i < x; i++ {
			if i*i > x {
				return uint64(i), "root", float64(i)
			}
		}
		return 0, "none", 0
	}
	return 12, "other", 12
}

func runManyReturns(n int) uint64 {
	return sumOf(n, func(i int) uint64 {
		a, b, c := manyReturns(i, root)
		return mix(a, uint64(len(b))+uint64(c*1000))
	})
}

// error: every third call fails, as the last and as the only result.
var checkedCount = &count{name: "main.checked"}

//go:noinline
func checked(x int, at *node) error {
	at = at.enter(checkedCount)
	var err error
	if x%3 == 0 {
		err = fmt.Errorf("%d is divisible by three", x)
		checkedCount.errors.Add(1)
	}
	checkedCount.leave()
	return err
}

var lookupCount = &count{name: "main.lookup"}

//go:noinline
func lookup(x int, at *node) (string, error) {
	at = at.enter(lookupCount)
	if err := checked(x, at); err != nil {
		lookupCount.errors.Add(1)
		lookupCount.leave()
		return "", fmt.Errorf("lookup: %w", err)
	}
	lookupCount.leave()
	return "found", nil
}

func runError(n int) uint64 {
	return sumOf(n, func(i int) uint64 {
		value, err := lookup(i, root)
		if err != nil {
			return uint64(len(err.Error()))
		}
		return uint64(len(value))
	})
}

// closure: a function value that captures, called through a variable.
var makeAdderCount = &count{name: "main.makeAdder"}
var adderCount = &count{name: "main.makeAdder.func1"}

//go:noinline
func makeAdder(start uint64, at *node) func(uint64, *node) uint64 {
	at = at.enter(makeAdderCount)
	sum := start
	makeAdderCount.leave()
	return func(x uint64, at *node) uint64 {
		at = at.enter(adderCount)
		sum = mix(sum, plainStep(x, at))
		adderCount.leave()
		return sum
	}
}

var adder func(uint64, *node) uint64

func runClosure(n int) uint64 {
	adder = makeAdder(7, root)
	return sumOf(n, func(i int) uint64 {
		if i%10 == 9 {
			adder = makeAdder(uint64(i), root)
		}
		return adder(uint64(i), root)
	})
}

// generic: two types of one shape, hence one function.
type celsius float64
type kelvin float64

var largestCount = &count{name: "main.largest[go.shape.float64]"}

//go:noinline
func largest[T ~float64](values []T, at *node) T {
	at = at.enter(largestCount)
	var most T
	for _, value := range values {
		if value > most {
			most = value
		}
	}
	largestCount.leave()
	return most
}

func runGeneric(n int) uint64 {
	return sumOf(n, func(i int) uint64 {
		x := float64(i % 100)
		return uint64(largest([]celsius{1, celsius(x), 50}, root)) + uint64(largest([]kelvin{3, kelvin(x)}, root))
	})
}

// method: receivers by pointer and by value, directly and through an interface.
type account struct{ balance uint64 }

var depositCount = &count{name: "main.(*account).deposit"}

//go:noinline
func (a *account) deposit(amount uint64, at *node) uint64 {
	at = at.enter(depositCount)
	a.balance = mix(a.balance, amount)
	depositCount.leave()
	return a.balance
}

type amount struct{ a, b uint64 }

type doubler interface{ double(x uint64, at *node) uint64 }

var doubleCount = &count{name: "main.amount.double"}

//go:noinline
func (a amount) double(x uint64, at *node) uint64 {
	at = at.enter(doubleCount)
	sum := mix(a.a+x, a.b)
	doubleCount.leave()
	return sum
}

func runMethod(n int) uint64 {
	owner := &account{}
	var value doubler = amount{1, 2}
	var pointer doubler = &amount{3, 4}
	return sumOf(n, func(i int) uint64 {
		x := uint64(i)
		return owner.deposit(x, root) + value.double(x, root) + pointer.double(x, root)
	})
}

// wrapper: a promoted method, reached by the jump of a wrapper that the compiler makes.
type inner struct{ touched uint64 }

var touchCount = &count{name: "main.(*inner).touch"}

//go:noinline
func (i *inner) touch(x uint64, at *node) uint64 {
	at = at.enter(touchCount)
	i.touched = mix(i.touched, x)
	touchCount.leave()
	return i.touched
}

type outer struct {
	name string
	*inner
}

type toucher interface{ touch(x uint64, at *node) uint64 }

func runWrapper(n int) uint64 {
	var promoted toucher = &outer{"outer", &inner{}}
	return sumOf(n, func(i int) uint64 { return promoted.touch(uint64(i), root) })
}
