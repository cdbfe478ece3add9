package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"github.com/moby/spdystream/spdy"
)

const workers = 5

// serve reads to the end of the input, to an error or to GOAWAY. What waits in the
// queues is still handled; what comes behind GOAWAY is lost. Then the peer's half
// of every stream has ended. Only after GOAWAY does the transport end by itself.
func (c *Connection) serve(opened func(*Stream)) {
	var queues [workers]*queue
	var running sync.WaitGroup
	for i := range queues {
		queues[i] = newQueue()
		running.Add(1)
		go func(q *queue) {
			defer running.Done()
			for frame := q.pop(); frame != nil; frame = q.pop() {
				c.handle(frame, opened)
			}
		}(queues[i])
	}
	goAway := c.read(&queues)
	c.idle.stop()
	close(c.closed)
	for _, q := range queues {
		q.close()
	}
	// A writer may hold the lock for as long as the peer does not read.
	go c.silence()
	running.Wait()
	if goAway {
		c.lock.Lock()
		first := !c.goneAway
		c.goneAway = true
		c.lock.Unlock()
		if first {
			go c.shutDown()
		}
	}
	for _, stream := range c.takeStreams() {
		stream.endPeersHalf()
	}
}

// read returns whether GOAWAY ended it. One full queue stops all reading.
func (c *Connection) read(queues *[workers]*queue) bool {
	// The next worker for frames that belong to no stream.
	turn := 0
	next := func() *queue {
		turn = (turn + 1) % workers
		return queues[(turn+workers-1)%workers]
	}
	for {
		frame, err := c.decoder.next()
		if err != nil {
			if _, isOfTransport := err.(net.Error); err != io.EOF && err != errCut && !isOfTransport {
				fmt.Fprintln(os.Stderr, "decoder:", err)
			}
			return false
		}
		c.idle.restart()
		switch frame := frame.(type) {
		case *spdy.GoAwayFrame:
			return true
		case *spdy.SynStreamFrame:
			if c.admit(frame) {
				queues[frame.StreamId%workers].push(frame, frame.Priority)
			}
		case *spdy.SynReplyFrame:
			queues[frame.StreamId%workers].push(frame, c.priority(frame.StreamId))
		case *spdy.DataFrame:
			queues[frame.StreamId%workers].push(frame, c.priority(frame.StreamId))
		case *spdy.RstStreamFrame:
			queues[frame.StreamId%workers].push(frame, c.priority(frame.StreamId))
		case *spdy.HeadersFrame:
			queues[frame.StreamId%workers].push(frame, c.priority(frame.StreamId))
		case *spdy.PingFrame:
			next().push(frame, 0)
		default:
			// SETTINGS and WINDOW_UPDATE take a place of a queue, and mean nothing.
			next().push(frame, leastUrgent)
		}
	}
}

// admit refuses ids that do not rise. After GOAWAY of either side a new stream gets
// no answer at all.
func (c *Connection) admit(frame *spdy.SynStreamFrame) bool {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.goneAway {
		return false
	}
	if frame.StreamId > maxStreamID || frame.StreamId < c.leastID {
		go c.write(&spdy.RstStreamFrame{StreamId: frame.StreamId, Status: spdy.ProtocolError})
		return false
	}
	c.leastID = frame.StreamId + 2
	stream := newStream(c, frame.StreamId, frame.Headers)
	stream.byPeer, stream.priority = true, frame.Priority
	stream.finished = frame.CFHeader.Flags&spdy.ControlFlagUnidirectional != 0
	if frame.CFHeader.Flags&spdy.ControlFlagFin != 0 {
		stream.endPeersHalf()
	}
	c.streams[stream.id] = stream
	return true
}

func (c *Connection) priority(id spdy.StreamId) uint8 {
	if stream := c.stream(id); stream != nil {
		return stream.priority
	}
	return leastUrgent
}

func (c *Connection) handle(frame spdy.Frame, opened func(*Stream)) {
	switch frame := frame.(type) {
	case *spdy.SynStreamFrame:
		if stream := c.stream(frame.StreamId); stream != nil {
			opened(stream)
		}
	case *spdy.SynReplyFrame:
		if stream := c.stream(frame.StreamId); stream != nil {
			stream.receiveReply(frame.CFHeader.Flags&spdy.ControlFlagFin != 0)
		}
	case *spdy.DataFrame:
		if stream := c.stream(frame.StreamId); stream != nil {
			stream.receiveData(frame.Data, frame.Flags&spdy.DataFlagFin != 0)
		}
	case *spdy.RstStreamFrame:
		if stream := c.stream(frame.StreamId); stream != nil {
			stream.receiveReset()
		}
	case *spdy.HeadersFrame:
		if stream := c.stream(frame.StreamId); stream != nil {
			stream.receiveHeaders()
		}
	case *spdy.PingFrame:
		c.receivePing(frame)
	}
}

// receivePing returns a PING of the peer, and takes the answer to one of ours.
func (c *Connection) receivePing(frame *spdy.PingFrame) {
	c.pings.Lock()
	isOurs := frame.Id%2 == c.nextPing%2
	answered := c.unanswered[frame.Id]
	if isOurs {
		delete(c.unanswered, frame.Id)
	}
	c.pings.Unlock()
	if !isOurs {
		c.write(frame)
	} else if answered != nil {
		close(answered)
	}
}
