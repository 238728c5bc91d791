// A program that speaks the HTTP dialect of Coral's SDK for Go about its own functions: the truth,
// or what its argument says. tests/targets/README.md has the protocol.
package main

import (
	"bufio"
	"debug/elf"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// How many calls of pay there were.
var paid int

//go:noinline
func pay(amount int) int {
	paid++
	return amount * 3
}

type function struct {
	Name      string `json:"name"`
	Offset    uint64 `json:"offset"`
	File      string `json:"file,omitempty"`
	Line      int    `json:"line,omitempty"`
	SizeBytes uint64 `json:"size_bytes,omitempty"`
}

type argument struct {
	Name   string
	Type   string
	Offset int
}

// The functions of this program, by its own file.
func functions() []function {
	file, err := elf.Open("/proc/self/exe")
	if err != nil {
		log.Fatal(err)
	}
	symbols, err := file.Symbols()
	if err != nil {
		log.Fatal(err)
	}
	var list []function
	for _, symbol := range symbols {
		if elf.ST_TYPE(symbol.Info) != elf.STT_FUNC || symbol.Size == 0 {
			continue
		}
		for _, segment := range file.Progs {
			inside := symbol.Value >= segment.Vaddr && symbol.Value < segment.Vaddr+segment.Filesz
			if segment.Type == elf.PT_LOAD && segment.Flags&elf.PF_X != 0 && inside {
				offset := symbol.Value - segment.Vaddr + segment.Off
				list = append(list, function{symbol.Name, offset, "", 0, symbol.Size})
			}
		}
	}
	return list
}

// What is wrong with the answers.
func spoil(mode string, list []function) []function {
	for i := range list {
		switch {
		case mode == "low_pc":
			// What one gets by taking an address for an offset.
			list[i].Offset += 0x400000
		case mode == "one" && list[i].Name == "main.pay":
			list[i].Offset++
		}
	}
	if mode == "long" {
		list = append(list, function{strings.Repeat("x", 64<<10), 1, "", 0, 1})
	}
	return list
}

func main() {
	mode := "honest"
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	list := spoil(mode, functions())
	answer := func(w http.ResponseWriter, value any) {
		if mode == "slow" {
			time.Sleep(time.Hour)
		}
		json.NewEncoder(w).Encode(value)
	}
	http.HandleFunc("/debug/capabilities", func(w http.ResponseWriter, r *http.Request) {
		pid := os.Getpid()
		if mode == "other" {
			pid = 1
		}
		answer(w, map[string]any{
			"process_id":     strconv.Itoa(pid),
			"binary_path":    os.Args[0],
			"binary_hash":    "none",
			"function_count": len(list),
		})
	})
	http.HandleFunc("/debug/functions", func(w http.ResponseWriter, r *http.Request) {
		offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		if mode == "endless" {
			page := make([]function, limit)
			for i := range page {
				page[i] = function{fmt.Sprint("main.f", offset+i, strings.Repeat("x", 4000)), 1, "", 0, 1}
			}
			answer(w, map[string]any{"functions": page, "total": 1 << 40, "has_more": true})
			return
		}
		page := list[min(offset, len(list)):min(offset+limit, len(list))]
		answer(w, map[string]any{
			"functions": page,
			"total":     len(list),
			"returned":  len(page),
			"offset":    offset,
			"has_more":  offset+len(page) < len(list),
		})
	})
	http.HandleFunc("/debug/functions/main.pay", func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]any{
			"name":          "main.pay",
			"arguments":     []argument{{"amount", "int", 0}},
			"return_values": []argument{{"", "int", 8}},
		})
	})
	go http.Serve(listener, nil)
	fmt.Println("ready", listener.Addr().(*net.TCPAddr).Port)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() && lines.Text() != "quit" {
		times, _ := strconv.Atoi(lines.Text())
		sum := 0
		for i := 0; i < times; i++ {
			sum += pay(i)
		}
		fmt.Println("paid", paid, sum)
	}
}
