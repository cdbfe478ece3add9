package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/moby/spdystream/spdy"
)

// peer is the other end of a connection under test, frame by frame.
type peer struct {
	*testing.T
	conn   net.Conn
	codec  *spdy.Framer
	opened chan *Stream
	c      *Connection
}

func start(t *testing.T, server bool) *peer {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	codec, _ := spdy.NewFramer(conn, conn)
	c, err := newConnection(accepted, server)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{T: t, conn: conn, codec: codec, opened: make(chan *Stream, 100), c: c}
	go c.serve(func(stream *Stream) { p.opened <- stream })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return p
}

// open opens a stream of the other end, with or without an answer.
func (p *peer) open(id spdy.StreamId, reply bool) *Stream {
	p.send(&spdy.SynStreamFrame{StreamId: id, Headers: http.Header{}})
	stream := <-p.opened
	if reply {
		stream.SendReply(http.Header{}, false)
		if _, ok := p.receive().(*spdy.SynReplyFrame); !ok {
			p.Fatal("no reply")
		}
	}
	return stream
}

func (p *peer) send(frame spdy.Frame) {
	if err := p.codec.WriteFrame(frame); err != nil {
		p.Fatal(err)
	}
}

func (p *peer) receive() spdy.Frame {
	frame, err := p.codec.ReadFrame()
	if err != nil {
		p.Fatal(err)
	}
	return frame
}

func (p *peer) data(id spdy.StreamId, text string) {
	p.send(&spdy.DataFrame{StreamId: id, Data: []byte(text)})
}

// The worker holds a frame, 50 wait for it, and the reader of frames holds a PING.
func TestUnreadFramesStopTheConnection(t *testing.T) {
	p := start(t, true)
	stream := p.open(5, true)
	for i := 0; i < 1+queueLength; i++ {
		p.data(5, "unread")
	}
	// The first PING has the first worker, to which stream 5 belongs.
	for id := uint32(1); id <= 9; id += 2 {
		p.send(&spdy.PingFrame{Id: id})
	}
	p.conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if frame, err := p.codec.ReadFrame(); err == nil {
		t.Fatalf("%T, although the connection stands still", frame)
	}
	p.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	for i := 0; i < 1+queueLength; i++ {
		if data, err := stream.ReadData(); err != nil || string(data) != "unread" {
			t.Fatal(i, data, err)
		}
	}
	answers := map[uint32]bool{}
	for len(answers) < 5 {
		answers[p.receive().(*spdy.PingFrame).Id] = true
	}
}

func TestDataBeforeTheReplyIsDropped(t *testing.T) {
	p := start(t, true)
	stream := p.open(1, false)
	p.data(1, "lost")
	// The same worker opens stream 11: the DATA is handled then.
	p.open(11, true)
	stream.SendReply(http.Header{}, false)
	p.receive()
	p.data(1, "kept")
	if data, err := stream.ReadData(); string(data) != "kept" {
		t.Fatal(string(data), err)
	}
}

func TestAResetIsTheEndBehindDataAndStopsNoWriter(t *testing.T) {
	p := start(t, true)
	stream := p.open(1, true)
	p.data(1, "first")
	p.send(&spdy.RstStreamFrame{StreamId: 1, Status: spdy.Cancel})
	data, err := io.ReadAll(stream)
	if string(data) != "first" || err != nil {
		t.Fatal(string(data), err)
	}
	if _, err := stream.Write([]byte("goes on")); err != nil {
		t.Fatal(err)
	}
	if frame := p.receive().(*spdy.DataFrame); string(frame.Data) != "goes on" {
		t.Fatal(frame)
	}
}

func TestNothingIsReadBehindGoAway(t *testing.T) {
	p := start(t, true)
	stream := p.open(1, true)
	p.data(1, "before")
	p.send(&spdy.GoAwayFrame{})
	p.data(1, "behind")
	data, err := io.ReadAll(stream)
	if string(data) != "before" || err != nil {
		t.Fatal(string(data), err)
	}
	if _, err := stream.Write([]byte("late")); err != io.EOF {
		t.Fatal(err)
	}
	<-p.c.CloseChan()
	// The transport ends. Bytes that were not read make the kernel reset it.
	if _, err := io.ReadAll(p.conn); err != nil && err.(net.Error).Timeout() {
		t.Fatal(err)
	}
}

// A stream that this side has ended is not reset, unless that is asked for.
func TestTheEndsOfASession(t *testing.T) {
	for _, resetFinished := range []bool{false, true} {
		p := start(t, true)
		p.c.resetFinished = resetFinished
		status, output := p.open(1, true), p.open(3, true)
		output.Close()
		if frame := p.receive().(*spdy.DataFrame); frame.StreamId != 3 || frame.Flags != spdy.DataFlagFin {
			t.Fatal(frame)
		}
		status.Write([]byte("status"))
		status.Reset()
		output.Reset()
		p.c.Close()
		expected := []spdy.Frame{
			&spdy.DataFrame{StreamId: 1},
			&spdy.RstStreamFrame{StreamId: 1, Status: spdy.Cancel},
			&spdy.RstStreamFrame{StreamId: 3, Status: spdy.Cancel},
			&spdy.GoAwayFrame{LastGoodStreamId: 3},
		}
		if !resetFinished {
			expected = append(expected[:2], expected[3])
		}
		for _, frame := range expected {
			var received, wanted bytes.Buffer
			write(t, &received, p.receive())
			if data, ok := frame.(*spdy.DataFrame); ok {
				data.Data = []byte("status")
			}
			write(t, &wanted, frame)
			if !bytes.Equal(received.Bytes(), wanted.Bytes()) {
				t.Fatalf("%x and not %x", received.Bytes(), wanted.Bytes())
			}
		}
		if rest, err := io.ReadAll(p.conn); len(rest) > 0 || err != nil {
			t.Fatal(rest, err)
		}
	}
}

func TestAnIdleConnectionResetsItsStreams(t *testing.T) {
	p := start(t, true)
	stream := p.open(1, true)
	p.c.SetIdleTimeout(50 * time.Millisecond)
	if _, ok := p.receive().(*spdy.RstStreamFrame); !ok {
		t.Fatal("the stream was not reset")
	}
	if _, ok := p.receive().(*spdy.GoAwayFrame); !ok {
		t.Fatal("no GOAWAY")
	}
	if _, err := stream.ReadData(); err != io.EOF {
		t.Fatal(err)
	}
}

func write(t *testing.T, to io.Writer, frame spdy.Frame) {
	codec, _ := spdy.NewFramer(to, nil)
	if err := codec.WriteFrame(frame); err != nil {
		t.Fatal(err)
	}
}
