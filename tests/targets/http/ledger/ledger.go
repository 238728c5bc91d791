// Package ledger is a package of the program's own module, called through an interface.
package ledger

import (
	"errors"
	"sync"
)

// Memory keeps transactions in memory.
type Memory struct {
	lock    sync.Mutex
	entries int
}

// ErrRefused is what a refused transaction fails with.
var ErrRefused = errors.New("refused")

// Append adds a transaction, or refuses it.
//
//go:noinline
func (m *Memory) Append(refuse bool) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	if refuse {
		return ErrRefused
	}
	m.entries++
	return nil
}
