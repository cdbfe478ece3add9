// spdystream-server ADDR: docker/spdystream as a server of SPDY/3.1 raw
// streams. Every stream is accepted and echoed; its own end closes ours. For one
// with the header field "children" a child of it is opened from this side.
//
// The library has no flow control: it ignores the peer's windows and never
// sends a WINDOW_UPDATE.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/docker/spdystream"
)

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		fmt.Println("listen:", err)
		os.Exit(1)
	}
	fmt.Println("listening")
	for {
		conn, err := listener.Accept()
		if err != nil {
			fmt.Println("accept:", err)
			return
		}
		connection, err := spdystream.NewConnection(conn, true)
		if err != nil {
			fmt.Println("connection:", err)
			continue
		}
		go connection.Serve(echo)
	}
}

func echo(stream *spdystream.Stream) {
	fmt.Println("stream", stream.Identifier(), stream.Headers())
	if err := stream.SendReply(http.Header{"X-Peer": {"spdystream"}}, false); err != nil {
		fmt.Println("reply:", err)
		return
	}
	if parent := stream.Parent(); parent != nil {
		fmt.Println("stream", stream.Identifier(), "is a child of", parent.Identifier())
	}
	if stream.Headers().Get("Children") != "" {
		go child(stream)
	}
	go func() {
		defer stream.Close()
		total := 0
		for {
			data, err := stream.ReadData()
			if err != nil {
				fmt.Println("stream", stream.Identifier(), "echoed", total, err)
				return
			}
			total += len(data)
			if _, err := stream.Write(data); err != nil {
				fmt.Println("write:", err)
				return
			}
		}
	}()
}

func child(parent *spdystream.Stream) {
	stream, err := parent.CreateSubStream(http.Header{"Streamtype": {"child"}}, false)
	if err == nil {
		err = stream.Wait()
	}
	if err == nil {
		err = stream.WriteData([]byte("of the server"), false)
	}
	if err != nil {
		fmt.Println("child:", err)
		return
	}
	data, err := stream.ReadData()
	fmt.Printf("child %d answered %q %v\n", stream.Identifier(), data, err)
	stream.Close()
}
