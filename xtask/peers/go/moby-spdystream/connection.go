package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/moby/spdystream/spdy"

	"../kube"
)

const maxStreamID = 0x7fffffff

// Connection is one side of a connection.
type Connection struct {
	conn          net.Conn
	decoder       *decoder
	idle          idleTimer
	resetFinished bool

	writing sync.Mutex
	encoder *spdy.Framer
	// mute: nothing is written any more, since nothing is read any more.
	mute bool

	opening sync.Mutex
	nextID  spdy.StreamId

	lock sync.Mutex
	// emptied tells of a stream that has left the table.
	emptied *sync.Cond
	streams map[spdy.StreamId]*Stream
	// leastID is the least id that the peer may still use.
	leastID  spdy.StreamId
	goneAway bool
	shutting bool

	pings      sync.Mutex
	nextPing   uint32
	unanswered map[uint32]chan struct{}

	// closed once nothing more is read.
	closed chan bool
}

func newConnection(conn net.Conn, server bool) (*Connection, error) {
	c := &Connection{
		conn:       conn,
		nextID:     1,
		leastID:    2,
		nextPing:   1,
		streams:    map[spdy.StreamId]*Stream{},
		unanswered: map[uint32]chan struct{}{},
		closed:     make(chan bool),
	}
	if server {
		c.nextID, c.leastID, c.nextPing = 2, 1, 2
	}
	c.emptied = sync.NewCond(&c.lock)
	var err error
	if c.decoder, err = newDecoder(conn); err != nil {
		return nil, err
	}
	// Without a buffer: each field of a frame is a write of its own.
	c.encoder, err = spdy.NewFramer(conn, nil)
	return c, err
}

// Open sends SYN_STREAM, and waits for SYN_REPLY or RST_STREAM.
func (c *Connection) Open(header http.Header, timeout time.Duration) (kube.Stream, error) {
	stream, err := c.open(header)
	if err != nil {
		return nil, err
	}
	select {
	case err := <-stream.started:
		return stream, err
	case <-time.After(timeout):
		return nil, errors.New("no reply in time")
	}
}

func (c *Connection) open(header http.Header) (*Stream, error) {
	// Ids must rise on the wire as well.
	c.opening.Lock()
	defer c.opening.Unlock()
	if c.nextID > maxStreamID {
		return nil, errors.New("no stream id is left")
	}
	stream := newStream(c, c.nextID, header)
	c.nextID += 2
	c.add(stream)
	return stream, c.write(&spdy.SynStreamFrame{StreamId: stream.id, Headers: header})
}

// Ping waits for the answer.
func (c *Connection) Ping() (time.Duration, error) {
	answered := make(chan struct{})
	c.pings.Lock()
	id := c.nextPing
	c.nextPing += 2
	c.unanswered[id] = answered
	c.pings.Unlock()
	began := time.Now()
	if err := c.write(&spdy.PingFrame{Id: id}); err != nil {
		return 0, err
	}
	select {
	case <-answered:
		return time.Since(began), nil
	case <-c.closed:
		return 0, errors.New("the connection is closed")
	}
}

// Close sends GOAWAY with the last id that was accepted. The transport ends when the
// last stream is gone, however long that takes.
func (c *Connection) Close() error {
	c.lock.Lock()
	if c.goneAway {
		c.lock.Unlock()
		return nil
	}
	c.goneAway = true
	var last spdy.StreamId
	if c.leastID > 2 {
		last = c.leastID - 2
	}
	c.lock.Unlock()
	err := c.write(&spdy.GoAwayFrame{LastGoodStreamId: last, Status: spdy.GoAwayOK})
	go c.shutDown()
	return err
}

// CloseChan is closed once nothing more is read.
func (c *Connection) CloseChan() <-chan bool { return c.closed }

// SetIdleTimeout resets all streams when no frame has passed for so long.
func (c *Connection) SetIdleTimeout(limit time.Duration) {
	c.idle.start(limit, func() {
		for _, stream := range c.takeStreams() {
			stream.reset()
		}
		c.Close()
	})
}

// shutDown does not wait for output: what the peer has not taken is lost if the
// peer sends anything more.
func (c *Connection) shutDown() {
	c.lock.Lock()
	if c.shutting {
		c.lock.Unlock()
		return
	}
	c.shutting = true
	for len(c.streams) > 0 {
		c.emptied.Wait()
	}
	c.lock.Unlock()
	c.conn.Close()
}

func (c *Connection) write(frame spdy.Frame) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.mute {
		return io.EOF
	}
	if err := c.encoder.WriteFrame(frame); err != nil {
		return err
	}
	c.idle.restart()
	return nil
}

func (c *Connection) silence() {
	c.writing.Lock()
	c.mute = true
	c.writing.Unlock()
}

func (c *Connection) add(stream *Stream) {
	c.lock.Lock()
	c.streams[stream.id] = stream
	c.lock.Unlock()
}

func (c *Connection) remove(stream *Stream) {
	c.lock.Lock()
	delete(c.streams, stream.id)
	c.emptied.Broadcast()
	c.lock.Unlock()
}

func (c *Connection) stream(id spdy.StreamId) *Stream {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.streams[id]
}

func (c *Connection) takeStreams() map[spdy.StreamId]*Stream {
	c.lock.Lock()
	defer c.lock.Unlock()
	streams := c.streams
	c.streams = map[spdy.StreamId]*Stream{}
	c.emptied.Broadcast()
	return streams
}
