package main

import (
	"sync"

	"github.com/moby/spdystream/spdy"
)

// queueLength is the number of frames that wait for a worker before reading stops.
const queueLength = 50

// leastUrgent is the priority of frames without a stream that is open.
const leastUrgent = 7

// queue is what waits for a worker: by priority, then in order. Kubernetes opens all
// streams with priority 0, that of PINGs, so that its order is that of arrival.
type queue struct {
	lock    sync.Mutex
	changed *sync.Cond
	waiting [leastUrgent + 1][]spdy.Frame
	length  int
	closed  bool
}

func newQueue() *queue {
	q := &queue{}
	q.changed = sync.NewCond(&q.lock)
	return q
}

// push waits for room.
func (q *queue) push(frame spdy.Frame, priority uint8) {
	q.lock.Lock()
	defer q.lock.Unlock()
	for q.length >= queueLength {
		q.changed.Wait()
	}
	q.waiting[priority] = append(q.waiting[priority], frame)
	q.length++
	q.changed.Broadcast()
}

// pop waits for a frame, and returns nil behind the last one of a closed queue.
func (q *queue) pop() spdy.Frame {
	q.lock.Lock()
	defer q.lock.Unlock()
	for q.length == 0 {
		if q.closed {
			return nil
		}
		q.changed.Wait()
	}
	for priority, frames := range q.waiting {
		if len(frames) > 0 {
			q.waiting[priority] = frames[1:]
			q.length--
			q.changed.Broadcast()
			return frames[0]
		}
	}
	return nil
}

func (q *queue) close() {
	q.lock.Lock()
	q.closed = true
	q.changed.Broadcast()
	q.lock.Unlock()
}
