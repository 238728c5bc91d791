// An HTTP service that knows the truth about its own calls. tests/targets/README.md has the
// protocol.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"example.com/shop/ledger"
)

// What the functions take by themselves, without those they call.
const (
	handleCheckoutTime    = 1 * time.Millisecond
	validateCartTime      = 4 * time.Millisecond
	checkInventoryTime    = 8 * time.Millisecond
	processPaymentTime    = 2 * time.Millisecond
	validateCardTime      = 5 * time.Millisecond
	callExternalAPITime   = 60 * time.Millisecond
	recordTransactionTime = 6 * time.Millisecond
	sendConfirmationTime  = 12 * time.Millisecond
	loadPageTime          = 2 * time.Millisecond
)

// How many pages one request of the list loads, one after the other.
const pages = 3

// A counter is of the completed calls of one function. Adding to it is a single instruction in its
// caller: no function of its own for a trace to show.
type counter struct {
	name          string
	calls, failed atomic.Int64
}

var counters []*counter

func newCounter(name string) *counter {
	c := &counter{name: name}
	counters = append(counters, c)
	return c
}

var (
	handleCheckoutCount    = newCounter("main.handleCheckout")
	validateCartCount      = newCounter("main.validateCart")
	checkInventoryCount    = newCounter("main.checkInventory")
	processPaymentCount    = newCounter("main.processPayment")
	validateCardCount      = newCounter("main.validateCard")
	callExternalAPICount   = newCounter("main.callExternalAPI")
	recordTransactionCount = newCounter("main.recordTransaction")
	sendConfirmationCount  = newCounter("main.sendConfirmation")
	handleListCount        = newCounter("main.handleList")
	loadPageCount          = newCounter("main.loadPage")
	handleHealthCount      = newCounter("main.handleHealth")
)

type journal interface{ Append(refuse bool) error }

var book journal = &ledger.Memory{}

//go:noinline
func handleCheckout(w http.ResponseWriter, r *http.Request) {
	for start := time.Now(); time.Since(start) < handleCheckoutTime; {
	}
	err := validateCart(r.URL.Query().Get("cart"))
	if err == nil {
		err = processPayment(r.URL.Query().Has("refuse"))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusPaymentRequired)
	} else {
		sendConfirmation(w)
	}
	handleCheckoutCount.calls.Add(1)
}

//go:noinline
func validateCart(cart string) error {
	time.Sleep(validateCartTime)
	err := checkInventory(cart)
	validateCartCount.calls.Add(1)
	if err != nil {
		validateCartCount.failed.Add(1)
	}
	return err
}

//go:noinline
func checkInventory(cart string) error {
	time.Sleep(checkInventoryTime)
	checkInventoryCount.calls.Add(1)
	if cart == "empty" {
		checkInventoryCount.failed.Add(1)
		return fmt.Errorf("the cart %q is empty", cart)
	}
	return nil
}

//go:noinline
func processPayment(refuse bool) error {
	time.Sleep(processPaymentTime)
	validateCard()
	err := recordTransaction(refuse)
	processPaymentCount.calls.Add(1)
	if err != nil {
		processPaymentCount.failed.Add(1)
	}
	return err
}

//go:noinline
func validateCard() {
	for start := time.Now(); time.Since(start) < validateCardTime; {
	}
	callExternalAPI()
	validateCardCount.calls.Add(1)
}

//go:noinline
func callExternalAPI() {
	time.Sleep(callExternalAPITime)
	callExternalAPICount.calls.Add(1)
}

//go:noinline
func recordTransaction(refuse bool) error {
	time.Sleep(recordTransactionTime)
	err := book.Append(refuse)
	recordTransactionCount.calls.Add(1)
	if err != nil {
		recordTransactionCount.failed.Add(1)
	}
	return err
}

//go:noinline
func sendConfirmation(w http.ResponseWriter) {
	time.Sleep(sendConfirmationTime)
	fmt.Fprintln(w, "confirmed")
	sendConfirmationCount.calls.Add(1)
}

//go:noinline
func handleList(w http.ResponseWriter, _ *http.Request) {
	for page := 0; page < pages; page++ {
		fmt.Fprintln(w, loadPage(page))
	}
	handleListCount.calls.Add(1)
}

//go:noinline
func loadPage(page int) string {
	time.Sleep(loadPageTime)
	loadPageCount.calls.Add(1)
	return fmt.Sprint("page ", page)
}

//go:noinline
func handleHealth(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "ok")
	handleHealthCount.calls.Add(1)
}

//go:noinline
func handleTruth(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	tell(json.NewEncoder(w))
}

// truth is of completed calls, so ask for it when no request is under way.
type truth struct {
	Paths     map[string]int64 `json:"paths"`
	Functions map[string]int64 `json:"functions"`
	Failed    map[string]int64 `json:"failed"`
}

func tell(output *json.Encoder) {
	all := truth{Functions: map[string]int64{}, Failed: map[string]int64{}}
	for _, c := range counters {
		all.Functions[c.name] = c.calls.Load()
		all.Failed[c.name] = c.failed.Load()
	}
	all.Paths = map[string]int64{
		"/api/checkout": handleCheckoutCount.calls.Load(),
		"/api/list":     handleListCount.calls.Load(),
		"/health":       handleHealthCount.calls.Load(),
	}
	if err := output.Encode(&all); err != nil {
		log.Print(err)
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/checkout", handleCheckout)
	mux.HandleFunc("/api/list", handleList)
	mux.HandleFunc("/health", handleHealth)
	mux.HandleFunc("/truth", handleTruth)
	go func() { log.Fatal(http.Serve(listener, mux)) }()

	fmt.Println("ready", listener.Addr().(*net.TCPAddr).Port)
	output := json.NewEncoder(os.Stdout)
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		if tell(output); input.Text() == "quit" {
			return
		}
	}
}
