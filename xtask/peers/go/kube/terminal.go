package kube

import (
	"fmt"
	"os"
	osexec "os/exec"
	"syscall"
	"unsafe"
)

// openTerminal returns both sides of a new terminal.
func openTerminal() (controller, terminal *os.File, err error) {
	controller, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	var unlocked, number int32
	if err = control(controller, syscall.TIOCSPTLCK, unsafe.Pointer(&unlocked)); err != nil {
		return nil, nil, err
	}
	if err = control(controller, syscall.TIOCGPTN, unsafe.Pointer(&number)); err != nil {
		return nil, nil, err
	}
	path := fmt.Sprintf("/dev/pts/%d", number)
	terminal, err = os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	return controller, terminal, err
}

func startInTerminal(command *osexec.Cmd, terminal *os.File) error {
	defer terminal.Close()
	command.Stdin, command.Stdout, command.Stderr = terminal, terminal, terminal
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	return command.Start()
}

func setSize(controller *os.File, columns, rows uint16) {
	size := [4]uint16{rows, columns}
	control(controller, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
}

func control(file *os.File, request uintptr, argument unsafe.Pointer) error {
	_, _, code := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), request, uintptr(argument))
	if code != 0 {
		return code
	}
	return nil
}
