// moby-spdystream: the behaviour on the wire of moby/spdystream 0.5.1 (March 2026),
// in both roles. Its modes and options are those of kube.Program, and:
//
//	-reset-finished    RST_STREAM also for a stream that this side has ended
//
// No package that can be installed has this version. The connection and the streams
// are written anew, after what the library does; the codec of the packaged 0.2.0
// carries the frames, since both versions write the same bytes. A breach of the
// decoder's bounds is printed as "decoder: ...", and ends the connection.
//
// What matters to the other side:
//
//   - The decoder has bounds (decoder.go): more than 1,000 header fields or a name or
//     value of more than 1 MiB end the connection without a word.
//   - There is no flow control. SETTINGS and WINDOW_UPDATE are read and dropped, and
//     no WINDOW_UPDATE is ever sent: who waits for one waits for ever.
//   - DATA goes out in three writes, of 4, 4 and n bytes. Each write of the user is a
//     frame: up to 32 KiB behind io.Copy, and up to 16 MiB otherwise.
//   - Five workers take the frames by the id of their stream (receive.go). A stream
//     without a reader stops its worker, and behind 50 frames the whole connection,
//     PINGs included.
//   - RST_STREAM is the end of the stream for its reader, behind earlier data. Its
//     writer notices nothing, and DATA goes on behind a reset (stream.go).
//   - Nothing is read behind GOAWAY, and nothing more is written (receive.go).
package main

import (
	"flag"
	"net"

	"../kube"
)

func main() {
	resetFinished := flag.Bool("reset-finished", false, "RST_STREAM also for a stream that this side has ended")
	kube.Run(func(conn net.Conn, server bool, opened func(kube.Stream)) (kube.Connection, error) {
		c, err := newConnection(conn, server)
		if err != nil {
			return nil, err
		}
		c.resetFinished = *resetFinished
		go c.serve(func(stream *Stream) { opened(stream) })
		return c, nil
	})
}
