package kube

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"strconv"
)

var success = encode(map[string]interface{}{"status": "Success"})

// run is what a container runtime does: it ends the output, and returns the status
// when the output is read to its end.
func run(argv []string, streams map[string]Stream, tty bool, s *session) []byte {
	command := osexec.Command(argv[0], argv[1:]...)
	if tty {
		return runInTerminal(command, streams, s)
	}
	var stdin io.WriteCloser
	if stream := streams["stdin"]; stream != nil {
		stdin, _ = command.StdinPipe()
	}
	if stream := streams["stdout"]; stream != nil {
		command.Stdout = onlyWriter{stream}
		defer stream.Close()
	}
	if stream := streams["stderr"]; stream != nil {
		command.Stderr = onlyWriter{stream}
		defer stream.Close()
	}
	if err := command.Start(); err != nil {
		return failure("InternalError", "cannot run: "+err.Error(), "")
	}
	if stdin != nil {
		go func() {
			io.Copy(stdin, streams["stdin"])
			stdin.Close()
		}()
	}
	return wait(command, s)
}

// runInTerminal has one output, and follows the client's sizes.
func runInTerminal(command *osexec.Cmd, streams map[string]Stream, s *session) []byte {
	controller, terminal, err := openTerminal()
	check("terminal", err)
	// The command sees the first size at once.
	sizes := json.NewDecoder(streams["resize"])
	followSize(sizes, controller)
	if err := startInTerminal(command, terminal); err != nil {
		controller.Close()
		return failure("InternalError", "cannot run: "+err.Error(), "")
	}
	go func() {
		for followSize(sizes, controller) {
		}
	}()
	if stdin := streams["stdin"]; stdin != nil {
		go io.Copy(controller, stdin)
	}
	copied := make(chan bool)
	go func() {
		// Ends with EIO, once the command's side is closed.
		io.Copy(onlyWriter{streams["stdout"]}, struct{ io.Reader }{controller})
		close(copied)
	}()
	status := wait(command, s)
	<-copied
	controller.Close()
	streams["stdout"].Close()
	return status
}

// followSize returns false behind the last size, and at one that is none.
func followSize(sizes *json.Decoder, controller *os.File) bool {
	var size struct{ Width, Height uint16 }
	if err := sizes.Decode(&size); err != nil {
		return false
	}
	fmt.Printf("size %dx%d\n", size.Width, size.Height)
	setSize(controller, size.Width, size.Height)
	return true
}

// wait kills the command once its client is gone.
func wait(command *osexec.Cmd, s *session) []byte {
	ended := make(chan bool)
	go func() {
		select {
		case <-s.CloseChan():
			command.Process.Kill()
		case <-ended:
		}
	}()
	err := command.Wait()
	close(ended)
	if exit, ok := err.(*osexec.ExitError); ok {
		code := strconv.Itoa(exit.ExitCode())
		text := "command terminated with non-zero exit code: exit status " + code
		return failure("NonZeroExitCode", text, code)
	}
	if err != nil {
		return failure("InternalError", err.Error(), "")
	}
	return success
}

func failure(reason, message, code string) []byte {
	status := map[string]interface{}{"status": "Failure", "reason": reason, "message": message}
	if code != "" {
		cause := map[string]string{"reason": "ExitCode", "message": code}
		status["details"] = map[string]interface{}{"causes": []interface{}{cause}}
	} else {
		status["code"] = 500
	}
	return encode(status)
}

func encode(status map[string]interface{}) []byte {
	encoded, err := json.Marshal(status)
	check("status", err)
	return encoded
}

// onlyWriter hides the other methods of a stream from io.Copy and os/exec.
type onlyWriter struct{ io.Writer }
