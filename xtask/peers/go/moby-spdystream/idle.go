package main

import (
	"sync"
	"time"
)

// idleTimer runs down while no frame is read or written. A PING is a frame: with a
// client that sends them, no session is ever idle.
type idleTimer struct {
	lock  sync.Mutex
	limit time.Duration
	timer *time.Timer
}

func (i *idleTimer) start(limit time.Duration, expired func()) {
	i.lock.Lock()
	i.limit, i.timer = limit, time.AfterFunc(limit, expired)
	i.lock.Unlock()
}

func (i *idleTimer) restart() {
	i.lock.Lock()
	if i.timer != nil && i.timer.Stop() {
		i.timer.Reset(i.limit)
	}
	i.lock.Unlock()
}

func (i *idleTimer) stop() {
	i.lock.Lock()
	if i.timer != nil {
		i.timer.Stop()
	}
	i.lock.Unlock()
}
