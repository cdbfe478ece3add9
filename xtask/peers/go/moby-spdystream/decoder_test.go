package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/spdystream/spdy"
)

// TestBounds has, for each bound, the last input that passes and the first that does
// not.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		name   string
		input  []byte
		failed string
	}{
		{"1000 fields", synStream(t, fields(1000)), ""},
		{"1001 fields", synStream(t, fields(1001)), "header fields"},
		{"a value of 1 MiB", synStream(t, http.Header{"a": {strings.Repeat("x", 1<<20)}}), ""},
		{"a value of 1 MiB and a byte", synStream(t, http.Header{"a": {strings.Repeat("x", 1<<20), ""}}), "header field of"},
		{"a name of more than 1 MiB", synStream(t, http.Header{strings.Repeat("n", 1<<20+1): {""}}), "header field of"},
		{"a forbidden field", synStream(t, http.Header{"host": {"a"}}), "invalid header"},
		{"SETTINGS", control(4, []uint32{1, 4, 100}), ""},
		{"SETTINGS without a count", control(4, nil), "SETTINGS with 0 bytes"},
		{"SETTINGS with a count too high", control(4, []uint32{2, 4, 100}), "2 entries in 8 bytes"},
		{"SETTINGS with a count too low", control(4, []uint32{0, 4, 100}), "0 entries in 8 bytes"},
		{"SETTINGS with 2^29 entries, times 8 is 0", control(4, []uint32{1 << 29}), "entries in 0 bytes"},
		{"PING", control(6, []uint32{1}), ""},
		{"PING of 8 bytes", control(6, []uint32{1, 2}), "type 6 with 8 bytes"},
		{"GOAWAY of 4 bytes", control(7, []uint32{0}), "type 7 with 4 bytes"},
		{"RST_STREAM of 4 bytes", control(3, []uint32{1}), "type 3 with 4 bytes"},
		{"WINDOW_UPDATE of 12 bytes", control(9, []uint32{1, 1, 1}), "type 9 with 12 bytes"},
		{"SYN_STREAM of 8 bytes", control(1, []uint32{1, 0}), "type 1 with 8 bytes"},
		{"SYN_REPLY whose block is cut", cutBlock(t), "ends early"},
		{"an unknown type", control(5, nil), "invalid control frame"},
	} {
		_, err := decode(t, c.input)
		if c.failed == "" && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.failed != "" && (err == nil || !strings.Contains(err.Error(), c.failed)) {
			t.Errorf("%s: %v, and not %q", c.name, err, c.failed)
		}
	}
}

// TestTheEndOfTheInput tells the end of the input from errors.
func TestTheEndOfTheInput(t *testing.T) {
	frame := control(6, []uint32{1})
	for length := range frame {
		expected := errCut
		if length == 0 {
			expected = io.EOF
		}
		if _, err := decode(t, frame[:length]); err != expected {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}

// TestSequence has several frames behind each other, with one compression state.
func TestSequence(t *testing.T) {
	var input bytes.Buffer
	encoder, _ := spdy.NewFramer(&input, nil)
	for id := spdy.StreamId(1); id < 100; id += 2 {
		encoder.WriteFrame(&spdy.SynStreamFrame{StreamId: id, Headers: fields(int(id))})
		encoder.WriteFrame(&spdy.DataFrame{StreamId: id, Data: make([]byte, id)})
	}
	d, err := newDecoder(&input)
	if err != nil {
		t.Fatal(err)
	}
	for id := spdy.StreamId(1); id < 100; id += 2 {
		opening, err := d.next()
		if err != nil || len(opening.(*spdy.SynStreamFrame).Headers) != int(id) {
			t.Fatal(id, opening, err)
		}
		data, err := d.next()
		if err != nil || len(data.(*spdy.DataFrame).Data) != int(id) {
			t.Fatal(id, data, err)
		}
	}
}

func decode(t *testing.T, input []byte) (spdy.Frame, error) {
	d, err := newDecoder(bytes.NewReader(input))
	if err != nil {
		t.Fatal(err)
	}
	return d.next()
}

func fields(count int) http.Header {
	header := http.Header{}
	for i := 0; i < count; i++ {
		header["f"+strconv.Itoa(i)] = []string{"v"}
	}
	return header
}

func synStream(t *testing.T, header http.Header) []byte {
	var frame bytes.Buffer
	encoder, err := spdy.NewFramer(&frame, nil)
	if err == nil {
		err = encoder.WriteFrame(&spdy.SynStreamFrame{StreamId: 1, Headers: header})
	}
	if err != nil {
		t.Fatal(err)
	}
	return frame.Bytes()
}

// cutBlock has a block without its last 10 bytes, in a frame whose length says so.
func cutBlock(t *testing.T) []byte {
	var frame bytes.Buffer
	encoder, _ := spdy.NewFramer(&frame, nil)
	err := encoder.WriteFrame(&spdy.SynReplyFrame{StreamId: 1, Headers: fields(10)})
	if err != nil {
		t.Fatal(err)
	}
	cut := frame.Bytes()[:frame.Len()-10]
	binary.BigEndian.PutUint32(cut[4:8], uint32(len(cut)-8))
	return cut
}

func control(kind uint16, words []uint32) []byte {
	frame := binary.BigEndian.AppendUint16([]byte{0x80, 3}, kind)
	frame = binary.BigEndian.AppendUint32(frame, uint32(4*len(words)))
	for _, word := range words {
		frame = binary.BigEndian.AppendUint32(frame, word)
	}
	return frame
}
