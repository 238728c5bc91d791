// What functions know about their own calls: how many there were, on which paths, and how long.
package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A count is what one function knows about its calls: those left in another way than by return
// were unwound.
type count struct {
	name                   string
	calls, returns, errors atomic.Int64
	// Goroutines end inside of its calls: whether a tool sees that is not known here.
	goroutineEnds bool
	// Whether the running scenario asks for it; other functions are no part of paths.
	counted bool
	// Of the calls that returned: what passed inside of them, and around them.
	inside, around durations
}

func (c *count) leave() { c.returns.Add(1) }

// A node is a path of calls. One directly inside of another of the same function is on the same
// path. Functions receive the path of their caller, because goroutines have nothing of their own.
type node struct {
	id, parent int
	count      *count
	calls      atomic.Int64
	children   sync.Map
}

// root is the path before any call.
var root *node
var nodes []*node
var nodesLock sync.Mutex

// enter counts a call, and returns its path.
func (at *node) enter(c *count) *node {
	c.calls.Add(1)
	if !c.counted {
		return at
	}
	if at.count != c {
		at = at.child(c)
	}
	at.calls.Add(1)
	return at
}

func (at *node) child(c *count) *node {
	if known, ok := at.children.Load(c); ok {
		return known.(*node)
	}
	nodesLock.Lock()
	defer nodesLock.Unlock()
	if known, ok := at.children.Load(c); ok {
		return known.(*node)
	}
	child := &node{id: len(nodes), parent: at.id, count: c}
	nodes = append(nodes, child)
	at.children.Store(c, child)
	return child
}

// now is on the clock that probes use.
func now() int64 { return int64(time.Since(start)) }

var start = time.Now()

type durations struct {
	lock            sync.Mutex
	min, max, total int64
}

// since adds what has passed since a call began.
func (d *durations) since(began int64) {
	passed := now() - began
	d.lock.Lock()
	defer d.lock.Unlock()
	if d.total == 0 || passed < d.min {
		d.min = passed
	}
	if passed > d.max {
		d.max = passed
	}
	d.total += passed
}

type callsTruth struct {
	Calls             int64 `json:"calls"`
	Returns           int64 `json:"returns"`
	Unwound           int64 `json:"unwound"`
	UnwoundOrInFlight int64 `json:"unwound_or_in_flight"`
	Errors            int64 `json:"errors"`
}

type durationsTruth struct {
	Min         int64 `json:"min"`
	Max         int64 `json:"max"`
	Total       int64 `json:"total"`
	InsideMin   int64 `json:"inside_min"`
	InsideMax   int64 `json:"inside_max"`
	InsideTotal int64 `json:"inside_total"`
}

type nodeTruth struct {
	Parent   *int   `json:"parent"`
	Function string `json:"function"`
	Calls    int64  `json:"calls"`
}

type truth struct {
	Scenario  string                `json:"scenario"`
	Functions map[string]callsTruth `json:"functions"`
	Tree      []nodeTruth           `json:"tree"`
	Checksum  string                `json:"checksum"`
	// What a scenario is there to provoke, and how often it did.
	Provoked  map[string]int64          `json:"provoked"`
	Durations map[string]durationsTruth `json:"durations_ns"`
}

// provoked is filled by scenarios whose point could be missed by chance.
var provoked map[string]int64

func (s *scenario) measure(n int) truth {
	for _, c := range s.counts {
		*c = count{name: c.name, goroutineEnds: c.goroutineEnds, counted: true}
	}
	root, nodes = &node{parent: -1, id: -1}, nil
	provoked = map[string]int64{}
	sum := s.run(n)
	told := truth{
		Scenario:  s.name,
		Functions: map[string]callsTruth{},
		Checksum:  fmt.Sprintf("%016x", sum),
		Provoked:  provoked,
		Durations: map[string]durationsTruth{},
	}
	for _, c := range s.counts {
		told.add(c)
		c.counted = false
	}
	for _, each := range nodes {
		if !s.withoutTree {
			told.Tree = append(told.Tree, each.truth())
		}
	}
	return told
}

func (t *truth) add(c *count) {
	f := callsTruth{Calls: c.calls.Load(), Returns: c.returns.Load(), Errors: c.errors.Load()}
	if c.goroutineEnds {
		f.UnwoundOrInFlight = f.Calls - f.Returns
	} else {
		f.Unwound = f.Calls - f.Returns
	}
	t.Functions[c.name] = f
	if in, out := &c.inside, &c.around; out.total > 0 {
		t.Durations[c.name] = durationsTruth{out.min, out.max, out.total, in.min, in.max, in.total}
	}
}

func (at *node) truth() nodeTruth {
	told := nodeTruth{Function: at.count.name, Calls: at.calls.Load()}
	if parent := at.parent; parent >= 0 {
		told.Parent = &parent
	}
	return told
}
