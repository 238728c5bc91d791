// A program that knows the truth about its own calls. tests/targets/README.md has the protocol.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

type scenario struct {
	name     string
	run      func(n int) uint64
	defaultN int
	counts   []*count
	// Assembly does not say which goroutine it runs for, so what it calls has no known caller.
	withoutTree bool
}

func answer(line string) any {
	words := strings.Fields(line)
	names := []string{}
	for i := range scenarios {
		s := &scenarios[i]
		names = append(names, s.name)
		if len(words) < 2 || words[0] != "run" || words[1] != s.name {
			continue
		}
		n := s.defaultN
		if len(words) == 3 {
			if given, err := strconv.Atoi(words[2]); err == nil {
				n = given
			}
		}
		return s.measure(n)
	}
	if line == "list" {
		return names
	}
	return map[string]string{"error": "not understood"}
}

func main() {
	fmt.Println("ready")
	output := json.NewEncoder(os.Stdout)
	output.SetEscapeHTML(false)
	for input := bufio.NewScanner(os.Stdin); input.Scan() && input.Text() != "quit"; {
		if err := output.Encode(answer(input.Text())); err != nil {
			os.Exit(1)
		}
	}
}

var scenarios = []scenario{
	{name: "plain", run: runPlain, defaultN: 2000, counts: []*count{plainOuterCount, plainStepCount}},
	{name: "leaf", run: runLeaf, defaultN: 3000, counts: []*count{leafCount}},
	{name: "many_returns", run: runManyReturns, defaultN: 1000, counts: []*count{manyReturnsCount}},
	{name: "error", run: runError, defaultN: 900, counts: []*count{checkedCount, lookupCount}},
	{name: "closure", run: runClosure, defaultN: 800, counts: []*count{makeAdderCount, adderCount}},
	{name: "generic", run: runGeneric, defaultN: 800, counts: []*count{largestCount}},
	{name: "method", run: runMethod, defaultN: 800, counts: []*count{depositCount, doubleCount}},
	{name: "wrapper", run: runWrapper, defaultN: 800, counts: []*count{touchCount}},
	{name: "grow", run: runGrow, defaultN: 2000, counts: []*count{growCount, growInnerCount}},
	{name: "migrate", run: runMigrate, defaultN: 400, counts: []*count{migrateCount, yieldCount}},
	{name: "preempt", run: runPreempt, defaultN: 60, counts: []*count{busyCount, plainStepCount}},
	{name: "recurse", run: runRecurse, defaultN: 1, counts: []*count{descendCount, isEvenCount, isOddCount}},
	{name: "many", run: runMany, defaultN: 1000, counts: []*count{waitInsideCount}},
	{name: "panic", run: runPanic, defaultN: 600, counts: []*count{panicOuterCount, panicDownCount, recoverAllCount}},
	{name: "repanic", run: runRepanic, defaultN: 300, counts: []*count{repanicOuterCount, repanicMiddleCount, panicDownCount, recoverAllCount}},
	{name: "goexit", run: runGoexit, defaultN: 500, counts: []*count{goexitDownCount}},
	{name: "assembly", run: runAssembly, defaultN: 1000, counts: []*count{assemblyLeafCount, assemblyCallerCount, calledByAssemblyCount}, withoutTree: true},
	{name: "crowd", run: runMany, defaultN: 100000, counts: []*count{waitInsideCount}},
	{name: "adversarial", run: runAdversarial, defaultN: 1600, counts: adversarialCounts},
}
