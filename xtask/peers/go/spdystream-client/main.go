// spdystream-client ADDR STREAMS BYTES: docker/spdystream as a client of
// SPDY/3.1 raw streams. Opens STREAMS streams at once, sends BYTES bytes on
// each, expects them back, pings, and ends with GOAWAY.
//
// spdystream-client ADDR PACE BYTES: one large stream and a busy one beside it;
// PACE is fast, slow-reader or slow-writer (see beside.go).
//
// spdystream-client ADDR family 0: streams that belong to others (see
// family.go).
//
// The library has no flow control. It writes as fast as the socket takes it,
// whatever the peer's window, so that each stream here keeps at most WINDOW
// bytes on the way: what a correct peer grants without being asked.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/docker/spdystream"
)

const (
	chunk  = 16 * 1024
	window = 64 * 1024
)

func main() {
	if len(os.Args) != 4 {
		fail("usage: spdystream-client ADDR STREAMS BYTES")
	}
	streams, notNumber := strconv.Atoi(os.Args[2])
	length, _ := strconv.Atoi(os.Args[3])
	time.AfterFunc(60*time.Second, func() { fail("timed out") })

	conn, err := net.Dial("tcp", os.Args[1])
	check("dial", err)
	connection, err := spdystream.NewConnection(conn, false)
	check("connection", err)
	opened := make(chan *spdystream.Stream, 1)
	go connection.Serve(func(stream *spdystream.Stream) { opened <- stream })

	if os.Args[2] == "family" {
		printed := family(connection, opened)
		check("close", connection.CloseWait())
		fmt.Println(printed)
		return
	}
	if notNumber != nil {
		printed := beside(connection, length, os.Args[2])
		check("close", connection.CloseWait())
		fmt.Println(printed)
		return
	}
	results := make(chan error)
	for i := 0; i < streams; i++ {
		go func(i int) { results <- exchange(connection, i, length, window/streams) }(i)
	}
	for i := 0; i < streams; i++ {
		check("stream", <-results)
	}
	_, err = connection.Ping()
	check("ping", err)
	check("close", connection.CloseWait())
	fmt.Println(streams, "streams", length, "bytes each, ping, goaway")
}

func exchange(connection *spdystream.Connection, number, length, window int) error {
	headers := http.Header{"Streamtype": {"data"}, "Number": {strconv.Itoa(number)}}
	stream, err := connection.CreateStream(headers, nil, false)
	if err != nil {
		return err
	}
	if err := stream.WaitTimeout(10 * time.Second); err != nil {
		return fmt.Errorf("no reply: %w", err)
	}
	if window < 1 {
		window = 1
	}
	sent, received := sha256.New(), sha256.New()
	back := 0
	for at := 0; at < length || back < length; {
		for at < length && at-back < window {
			size := min(chunk, length-at, window-(at-back))
			part := bytes.Repeat([]byte{byte(at >> 10), byte(at), byte(number)}, size/3+1)[:size]
			if err := stream.WriteData(part, false); err != nil {
				return fmt.Errorf("write at %d: %w", at, err)
			}
			sent.Write(part)
			at += size
		}
		data, err := stream.ReadData()
		if err != nil {
			return fmt.Errorf("read at %d: %w", back, err)
		}
		received.Write(data)
		back += len(data)
	}
	if err := stream.Close(); err != nil {
		return err
	}
	if _, err := stream.ReadData(); err == nil {
		return fmt.Errorf("more came than was sent")
	}
	if !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
		return fmt.Errorf("stream %d: the echo differs", number)
	}
	return nil
}

func min(values ...int) int {
	least := values[0]
	for _, value := range values {
		if value < least {
			least = value
		}
	}
	return least
}

func check(what string, err error) {
	if err != nil {
		fail(what + ": " + err.Error())
	}
}

func fail(message string) {
	fmt.Println("FAIL", message)
	os.Exit(1)
}
