package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/moby/spdystream/spdy"
)

// The bounds of a header block.
const (
	maxHeaderFields    = 1000
	maxHeaderFieldSize = 1 << 20
)

// payloadLengths are those of control frames without headers. The library checks
// GOAWAY and WINDOW_UPDATE, and in SETTINGS that the count fits. Of the others it
// reads what it needs, and takes the rest for the next frame; here that is an error
// at once.
var payloadLengths = map[spdy.ControlFrameType]int{
	spdy.TypeRstStream:    8,
	spdy.TypePing:         4,
	spdy.TypeGoAway:       8,
	spdy.TypeWindowUpdate: 8,
}

// leastLengths are those of the fields in front of a header block.
var leastLengths = map[spdy.ControlFrameType]int{
	spdy.TypeSynStream: 10,
	spdy.TypeSynReply:  4,
	spdy.TypeHeaders:   4,
}

// decoder reads frames, and checks each before and after the codec takes it. The
// codec reads from the decoder, which ends with the frame.
type decoder struct {
	source io.Reader
	codec  *spdy.Framer
	head   [12]byte
	// ahead is the part of head that the codec has not read.
	ahead []byte
	// left is the number of bytes of the frame that source still has.
	left int
	// cut: source has ended inside of a frame.
	cut bool
}

// errCut is the end of the input inside of a frame.
var errCut = errors.New("the input ends inside of a frame")

func newDecoder(source io.Reader) (*decoder, error) {
	d := &decoder{source: source}
	codec, err := spdy.NewFramer(io.Discard, d)
	d.codec = codec
	return d, err
}

// next returns io.EOF or errCut at the end of the input.
func (d *decoder) next() (spdy.Frame, error) {
	if err := d.readHead(); err != nil {
		return nil, err
	}
	frame, err := d.codec.ReadFrame()
	rest := d.left + len(d.ahead)
	switch {
	case d.cut:
		return nil, errCut
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("a frame that ends early")
	case err != nil:
		return nil, err
	case rest > 0:
		return nil, fmt.Errorf("%T with %d bytes too many", frame, rest)
	}
	return frame, checkHeader(frame)
}

// readHead reads the first 8 bytes, and the count of SETTINGS.
func (d *decoder) readHead() error {
	if _, err := io.ReadFull(d.source, d.head[:8]); err != nil {
		return cut(err)
	}
	d.left = int(binary.BigEndian.Uint32(d.head[4:8]) & 0xffffff)
	d.ahead = d.head[:8]
	if d.head[0]&0x80 == 0 {
		return nil
	}
	kind := spdy.ControlFrameType(binary.BigEndian.Uint16(d.head[2:4]))
	if length, isFixed := payloadLengths[kind]; isFixed && d.left != length {
		return fmt.Errorf("control frame of type %d with %d bytes, not %d", kind, d.left, length)
	}
	if d.left < leastLengths[kind] {
		return fmt.Errorf("control frame of type %d with %d bytes", kind, d.left)
	}
	if kind == spdy.TypeSettings {
		return d.readCount()
	}
	return nil
}

// readCount keeps a count from becoming an allocation: 2^32 settings of 8 bytes.
func (d *decoder) readCount() error {
	if d.left < 4 {
		return fmt.Errorf("SETTINGS with %d bytes", d.left)
	}
	if _, err := io.ReadFull(d.source, d.head[8:12]); err != nil {
		return cut(err)
	}
	d.ahead = d.head[:12]
	d.left -= 4
	if count := binary.BigEndian.Uint32(d.head[8:12]); uint64(count)*8 != uint64(d.left) {
		return fmt.Errorf("SETTINGS of %d entries in %d bytes", count, d.left)
	}
	return nil
}

func (d *decoder) Read(p []byte) (int, error) {
	if len(d.ahead) > 0 {
		n := copy(p, d.ahead)
		d.ahead = d.ahead[n:]
		return n, nil
	}
	if d.left == 0 {
		return 0, io.EOF
	}
	if len(p) > d.left {
		p = p[:d.left]
	}
	n, err := d.source.Read(p)
	d.left -= n
	d.cut = d.cut || err == io.EOF && d.left > 0
	return n, err
}

func cut(err error) error {
	if err == io.ErrUnexpectedEOF {
		return errCut
	}
	return err
}

// checkHeader looks at what the library checks while it reads the block.
func checkHeader(frame spdy.Frame) error {
	var header http.Header
	switch frame := frame.(type) {
	case *spdy.SynStreamFrame:
		header = frame.Headers
	case *spdy.SynReplyFrame:
		header = frame.Headers
	case *spdy.HeadersFrame:
		header = frame.Headers
	}
	if len(header) > maxHeaderFields {
		return fmt.Errorf("%T with %d header fields", frame, len(header))
	}
	for name, values := range header {
		// Zero bytes join the values of a name.
		size := len(values) - 1
		for _, value := range values {
			size += len(value)
		}
		if len(name) > maxHeaderFieldSize || size > maxHeaderFieldSize {
			return fmt.Errorf("%T with a header field of %d + %d bytes", frame, len(name), size)
		}
	}
	return nil
}
