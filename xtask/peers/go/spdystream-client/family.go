package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/docker/spdystream"
)

// family opens a stream and a child of it, and takes another child of it that
// the server opens; bytes go both ways on each.
func family(connection *spdystream.Connection, opened chan *spdystream.Stream) string {
	parent := open(connection, http.Header{"Children": {"yes"}})
	ours, err := parent.CreateSubStream(http.Header{"Streamtype": {"child"}}, false)
	check("child", err)
	check("its reply", ours.WaitTimeout(10*time.Second))
	check("write", ours.WriteData([]byte("of the client"), false))
	answer(ours, "of the client")
	check("close", ours.Close())

	theirs := <-opened
	if theirs.Parent() != parent {
		fail(fmt.Sprintf("stream %d is no child of %d", theirs.Identifier(), parent.Identifier()))
	}
	check("reply", theirs.SendReply(http.Header{}, false))
	answer(theirs, "of the server")
	check("write", theirs.WriteData([]byte("of the server"), true))
	check("close", parent.Close())
	return fmt.Sprintf("parent %d, children %d and %d",
		parent.Identifier(), ours.Identifier(), theirs.Identifier())
}

func answer(stream *spdystream.Stream, expected string) {
	data, err := stream.ReadData()
	check("read", err)
	if string(data) != expected {
		fail(fmt.Sprintf("stream %d: %q", stream.Identifier(), data))
	}
}
