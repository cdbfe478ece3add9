package kube

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// session is a connection with the streams that its owner has not given up, as
// Kubernetes keeps them above spdystream.
type session struct {
	Connection
	lock           sync.Mutex
	streams        map[uint32]Stream
	sent, answered int
}

// acceptance takes a stream of the peer, or says why not. The stream is answered when
// it returns; replied is closed then. Meanwhile the stream holds its worker.
type acceptance func(stream Stream, replied <-chan struct{}) error

// start begins a session. Without accept, the peer's streams are refused.
func (p *Program) start(conn net.Conn, server bool, accept acceptance) *session {
	s := &session{streams: map[uint32]Stream{}}
	ready := make(chan bool)
	connection, err := p.library(conn, server, func(stream Stream) {
		<-ready
		s.opened(stream, accept)
	})
	check("connection", err)
	s.Connection = connection
	close(ready)
	if interval := p.pingInterval(server); interval > 0 {
		go s.sendPings(interval)
	}
	return s
}

func (s *session) opened(stream Stream, accept acceptance) {
	if accept == nil {
		stream.Refuse()
		return
	}
	replied := make(chan struct{})
	if err := accept(stream, replied); err != nil {
		fmt.Println("stream", stream.Identifier(), "is not accepted:", err)
		stream.Reset()
		return
	}
	s.register(stream)
	stream.SendReply(http.Header{}, false)
	close(replied)
}

func (s *session) open(header http.Header) Stream {
	stream, err := s.Open(header, creationTimeout)
	check("stream", err)
	s.register(stream)
	return stream
}

func (s *session) register(stream Stream) {
	s.lock.Lock()
	s.streams[stream.Identifier()] = stream
	s.lock.Unlock()
}

// forget leaves the end of streams to themselves.
func (s *session) forget(streams ...Stream) {
	s.lock.Lock()
	for _, stream := range streams {
		delete(s.streams, stream.Identifier())
	}
	s.lock.Unlock()
}

// end resets what is open, and says GOAWAY behind it. A peer that takes a reset for
// the loss of earlier data loses the end of a session here.
func (s *session) end() {
	s.lock.Lock()
	for _, stream := range s.streams {
		stream.Reset()
	}
	s.streams = map[uint32]Stream{}
	s.lock.Unlock()
	s.Close()
}

// sendPings sends one PING after the other: the next one waits for the answer.
func (s *session) sendPings(interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-s.CloseChan():
			return
		case <-ticker.C:
		}
		s.count(&s.sent)
		if _, err := s.Ping(); err == nil {
			s.count(&s.answered)
		}
	}
}

func (s *session) count(counter *int) {
	s.lock.Lock()
	*counter++
	s.lock.Unlock()
}

// report says how many PINGs were sent and answered.
func (s *session) report(to *os.File) {
	s.lock.Lock()
	fmt.Fprintf(to, "pings: %d sent, %d answered\n", s.sent, s.answered)
	s.lock.Unlock()
}
