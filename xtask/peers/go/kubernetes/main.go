// kubernetes: docker/spdystream as kubelets and kubectl use it. Its modes and
// options are those of kube.Program.
package main

import (
	"net"
	"net/http"
	"time"

	"../kube"
	"github.com/docker/spdystream"
)

func main() { kube.Run(start) }

func start(conn net.Conn, server bool, opened func(kube.Stream)) (kube.Connection, error) {
	connected, err := spdystream.NewConnection(conn, server)
	if err != nil {
		return nil, err
	}
	go connected.Serve(func(stream *spdystream.Stream) { opened(stream) })
	return connection{connected}, nil
}

type connection struct{ *spdystream.Connection }

func (c connection) Open(header http.Header, timeout time.Duration) (kube.Stream, error) {
	stream, err := c.CreateStream(header, nil, false)
	if err != nil {
		return nil, err
	}
	return stream, stream.WaitTimeout(timeout)
}
