package main

import (
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/moby/spdystream/spdy"
)

var (
	errReset    = errors.New("the stream was reset")
	errFinished = errors.New("this side of the stream has ended")
)

// Stream is one side of a stream.
type Stream struct {
	connection *Connection
	id         spdy.StreamId
	header     http.Header
	priority   uint8
	byPeer     bool

	// started takes the result of an opening of ours.
	started chan error
	lock    sync.Mutex
	// answered tells of replied.
	answered *sync.Cond
	replied  bool
	// finished: FIN or RST_STREAM was sent, or RST_STREAM received.
	finished bool

	// data has no buffer: a worker waits for the reader.
	data   chan []byte
	unread []byte
	// ended is closed with the peer's half.
	ended chan struct{}
	once  sync.Once
}

func newStream(c *Connection, id spdy.StreamId, header http.Header) *Stream {
	s := &Stream{
		connection: c,
		id:         id,
		header:     header,
		started:    make(chan error, 1),
		data:       make(chan []byte),
		ended:      make(chan struct{}),
	}
	s.answered = sync.NewCond(&s.lock)
	return s
}

// Headers have names in the canonical form of MIME.
func (s *Stream) Headers() http.Header { return s.header }

func (s *Stream) Identifier() uint32 { return uint32(s.id) }

// Read returns what one frame has, and io.EOF behind FIN and RST_STREAM alike.
func (s *Stream) Read(p []byte) (int, error) {
	if len(s.unread) == 0 {
		data, err := s.ReadData()
		if err != nil {
			return 0, err
		}
		s.unread = data
	}
	n := copy(p, s.unread)
	s.unread = s.unread[n:]
	return n, nil
}

func (s *Stream) ReadData() ([]byte, error) {
	select {
	case <-s.ended:
		return nil, io.EOF
	case data := <-s.data:
		return data, nil
	}
}

// Write sends a frame. It fails with the connection alone: a stream that was reset
// takes any number of them.
func (s *Stream) Write(p []byte) (int, error) {
	if err := s.send(p, 0); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close sends FIN, once.
func (s *Stream) Close() error {
	select {
	case <-s.ended:
		s.connection.remove(s)
	default:
	}
	s.awaitReply()
	if !s.finish() {
		return errFinished
	}
	return s.send(nil, spdy.DataFlagFin)
}

// Reset sends RST_STREAM(CANCEL), unless this side has ended the stream before.
func (s *Stream) Reset() error {
	s.connection.remove(s)
	return s.reset()
}

func (s *Stream) reset() error {
	s.endPeersHalf()
	if !s.finish() && !s.connection.resetFinished {
		return nil
	}
	return s.connection.write(&spdy.RstStreamFrame{StreamId: s.id, Status: spdy.Cancel})
}

// Refuse answers a stream of the peer with RST_STREAM(REFUSED_STREAM).
func (s *Stream) Refuse() error {
	s.setReplied()
	return s.connection.write(&spdy.RstStreamFrame{StreamId: s.id, Status: spdy.RefusedStream})
}

// SendReply lets DATA pass, in both directions.
func (s *Stream) SendReply(header http.Header, fin bool) error {
	frame := &spdy.SynReplyFrame{StreamId: s.id, Headers: header}
	if fin {
		frame.CFHeader.Flags = spdy.ControlFlagFin
	}
	if err := s.connection.write(frame); err != nil {
		return err
	}
	s.setReplied()
	return nil
}

func (s *Stream) send(data []byte, flags spdy.DataFlags) error {
	s.awaitReply()
	return s.connection.write(&spdy.DataFrame{StreamId: s.id, Flags: flags, Data: data})
}

// awaitReply waits until this side has answered a stream of the peer.
func (s *Stream) awaitReply() {
	s.lock.Lock()
	for s.byPeer && !s.replied {
		s.answered.Wait()
	}
	s.lock.Unlock()
}

// setReplied returns whether this was the first reply.
func (s *Stream) setReplied() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	first := !s.replied
	s.replied = true
	s.answered.Broadcast()
	return first
}

func (s *Stream) hasReply() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.replied
}

// finish returns whether it ended this side.
func (s *Stream) finish() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	first := !s.finished
	s.finished = true
	return first
}

func (s *Stream) endPeersHalf() { s.once.Do(func() { close(s.ended) }) }

func (s *Stream) receiveReply(fin bool) {
	if !s.setReplied() {
		return
	}
	if fin {
		s.receiveEnd()
	}
	s.started <- nil
}

// receiveData drops DATA before the reply, and waits for the reader of any other.
func (s *Stream) receiveData(data []byte, fin bool) {
	if !s.hasReply() {
		return
	}
	if len(data) > 0 {
		select {
		case <-s.ended:
		case s.data <- data:
		}
	}
	if fin {
		s.receiveEnd()
	}
}

// receiveEnd drops the stream if this side has ended as well.
func (s *Stream) receiveEnd() {
	s.endPeersHalf()
	s.lock.Lock()
	finished := s.finished
	s.lock.Unlock()
	if finished {
		s.connection.remove(s)
	}
}

func (s *Stream) receiveReset() {
	s.connection.remove(s)
	s.endPeersHalf()
	if s.setReplied() {
		s.started <- errReset
	}
	s.finish()
}

// receiveHeaders waits for a reader of HEADERS, which Kubernetes has not.
func (s *Stream) receiveHeaders() {
	if s.hasReply() {
		<-s.ended
	}
}
