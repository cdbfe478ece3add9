// Package kube has the habits of kubelet and kubectl above spdystream: which
// streams are opened, what is waited for, and how a session ends. The library
// below is the program's choice.
package kube

import (
	"io"
	"net"
	"net/http"
	"time"
)

const creationTimeout = 30 * time.Second

// Library starts a connection on either side, and calls opened for each stream of
// the peer. What opened waits for delays the streams of the same worker.
type Library func(conn net.Conn, server bool, opened func(Stream)) (Connection, error)

// Connection is the part of spdystream.Connection that Kubernetes uses.
type Connection interface {
	// Open sends SYN_STREAM, and waits for the reply.
	Open(header http.Header, timeout time.Duration) (Stream, error)
	// Ping waits for the answer.
	Ping() (time.Duration, error)
	// Close sends GOAWAY, waits for the open streams, and closes the transport.
	Close() error
	// CloseChan is closed once nothing more is read.
	CloseChan() <-chan bool
	SetIdleTimeout(time.Duration)
}

// Stream is the part of spdystream.Stream that Kubernetes uses.
type Stream interface {
	io.ReadWriteCloser
	// ReadData returns the payload of a frame without a copy.
	ReadData() ([]byte, error)
	Reset() error
	Refuse() error
	SendReply(header http.Header, fin bool) error
	Headers() http.Header
	Identifier() uint32
}
