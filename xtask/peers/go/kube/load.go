package kube

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
)

// load moves length bytes and prints the CPU time of this process. The kinds:
// exec-stdout, exec-stdin; forward-down and forward-up with the port of the pod
// behind a colon; raw-down and raw-up.
func (p *Program) load(address, kind string, length int) {
	kind, argument, _ := strings.Cut(kind, ":")
	switch kind {
	case "exec-stdout":
		out := &counter{}
		argv := []string{"head", "-c", strconv.Itoa(length), "/dev/zero"}
		expect(p.run(address, &command{path: "exec", argv: argv, stdout: out}), 0)
		expect(out.count, length)
	case "exec-stdin":
		argv := []string{"sh", "-c", "exec cat > /dev/null"}
		expect(p.run(address, &command{path: "exec", argv: argv, stdin: &zeros{length}}), 0)
	case "forward-down", "forward-up":
		port, err := strconv.Atoi(argument)
		check("port", err)
		s := p.connect(address, pod+"/portforward", "portforward.k8s.io")
		data, failed := s.openPair(port, 0)
		exchange(data, kind == "forward-down", length)
		data.Reset()
		if text := <-failed; text != "" {
			fail(text)
		}
		s.Close()
	case "raw-down", "raw-up":
		conn, err := dial(address)
		check("dial", err)
		s := p.start(conn, false, nil)
		exchange(s.open(http.Header{}), kind == "raw-down", length)
		s.Close()
	default:
		fail("no kind " + kind)
	}
	var used syscall.Rusage
	check("rusage", syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	seconds := float64(used.Utime.Sec+used.Stime.Sec) + float64(used.Utime.Usec+used.Stime.Usec)/1e6
	fmt.Printf("client CPU: %.1f ms/GB\n", seconds*1e3/(float64(length)/1e9))
}

// exchange says how many bytes go which way, and moves them. The other side sends
// back a byte once it has received all of an upload. Received bytes are not copied,
// as ours are not.
func exchange(stream Stream, down bool, length int) {
	direction := "up"
	if down {
		direction = "down"
	}
	_, err := fmt.Fprintf(stream, "%-4s %015d\n", direction, length)
	check("request", err)
	expected := length
	if !down {
		_, err := io.Copy(onlyWriter{stream}, &zeros{length})
		check("upload", err)
		expected = 1
	}
	check("end", stream.Close())
	received := 0
	for {
		data, err := stream.ReadData()
		if err == io.EOF {
			break
		}
		check("answer", err)
		received += len(data)
	}
	expect(received, expected)
}

type counter struct{ count int }

func (c *counter) Write(p []byte) (int, error) {
	c.count += len(p)
	return len(p), nil
}

type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := len(p)
	if n > z.left {
		n = z.left
	}
	z.left -= n
	return n, nil
}

func expect(got, wanted int) {
	if got != wanted {
		fail(fmt.Sprintf("%d and not %d", got, wanted))
	}
}
