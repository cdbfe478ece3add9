package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/docker/spdystream"
)

// beside sends length bytes on one stream and takes them back, and meanwhile
// messages on another. Nothing limits what is on the way but TCP. The server is
// asked to take its time with pace "slow-writer"; with "slow-reader" we do.
func beside(connection *spdystream.Connection, length int, pace string) string {
	header := http.Header{"Streamtype": {"large"}}
	if pace == "slow-writer" {
		header.Set("Pace", "slow")
	}
	large := open(connection, header)
	busy := open(connection, http.Header{"Streamtype": {"busy"}})

	var done, turns int32
	finished := make(chan bool)
	go func() {
		converse(busy, &done, &turns)
		finished <- true
	}()

	sent, received := sha256.New(), sha256.New()
	go func() {
		state := uint64(0x9e3779b97f4a7c15)
		part := make([]byte, chunk)
		for left := length; left > 0; {
			for i := range part {
				state ^= state << 13
				state ^= state >> 7
				state ^= state << 17
				part[i] = byte(state)
			}
			size := min(left, chunk)
			sent.Write(part[:size])
			check("write", large.WriteData(part[:size], left == size))
			left -= size
		}
	}()
	back, rested := 0, 0
	for {
		data, err := large.ReadData()
		if err != nil {
			break
		}
		received.Write(data)
		back += len(data)
		if pace == "slow-reader" && back-rested > 1<<20 {
			rested = back
			time.Sleep(20 * time.Millisecond)
		}
	}
	atomic.StoreInt32(&done, 1)
	<-finished
	if back != length || !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
		fail(fmt.Sprint(back, " bytes came back, or not the same"))
	}
	return fmt.Sprint(length, " bytes, ", turns, " messages")
}

func open(connection *spdystream.Connection, header http.Header) *spdystream.Stream {
	stream, err := connection.CreateStream(header, nil, false)
	check("open", err)
	check("reply", stream.WaitTimeout(10*time.Second))
	return stream
}

// converse sends a message, waits for its echo, and sends the next.
func converse(stream *spdystream.Stream, done, turns *int32) {
	for atomic.LoadInt32(done) == 0 {
		message := bytes.Repeat([]byte{byte(*turns)}, 1000)
		check("message", stream.WriteData(message, false))
		var answer []byte
		for len(answer) < len(message) {
			data, err := stream.ReadData()
			check("answer", err)
			answer = append(answer, data...)
		}
		if !bytes.Equal(answer, message) {
			fail("a message came back different")
		}
		*turns++
	}
	check("close", stream.Close())
}
