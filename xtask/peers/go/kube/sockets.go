package kube

import (
	"context"
	"net"
	"syscall"
	"time"
)

const tcpCongestion = 13

// listen and dial make sockets with Linux's usual congestion control, as the benches' do
// (benches/src/kube/socket.rs has the reason). A machine without it keeps its own.
func listen(address string) (net.Listener, error) {
	config := net.ListenConfig{Control: useCubic}
	return config.Listen(context.Background(), "tcp", address)
}

func dial(address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second, Control: useCubic}
	return dialer.Dial("tcp", address)
}

func useCubic(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) {
		_ = syscall.SetsockoptString(int(fd), syscall.IPPROTO_TCP, tcpCongestion, "cubic")
	})
}
