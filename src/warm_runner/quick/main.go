// The quick client: does what client.py does in the usual case, without the start of a Python.
//
// It knows one way only: there is a parent for this configuration, it accepts the run and starts it.
// Where there is none to connect to, this process becomes the Python client in ../bin, which starts
// parents; where the parent does not start the run, the real ansible-runner. The protocol is protocol.py's, the
// key is key.py's, and the tests of the Python client are this one's too.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"os"
	"os/signal"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const (
	version  = "warm-runner 1"
	accepted = 'A'
	started  = 'S'
	goOn     = 'G'
	ended    = 'E'

	defaultWaitSeconds = 10.0
	maxPathOfSocket    = 107
)

var (
	keyPrefixes = []string{"ANSIBLE_", "LC_", "PYTHON", "WARM_RUNNER"}
	keyNames    = []string{"COLUMNS", "HOME", "LANG", "LANGUAGE", "LINES", "NO_COLOR", "TERM", "TZ"}
	renewed     = []string{"ANSIBLE_CACHE_PLUGIN_CONNECTION", "ANSIBLE_ROLES_PATH"}
	offValues   = []string{"off", "0", "no", "false"}

	// Whatever it is: the Python client does better, or says what is wrong.
	errNotQuick = errors.New("left to the Python client")
	errRefused  = errors.New("the parent refused it: see its own line")
	errDied     = errors.New("its process died before the run began")
)

func main() {
	executable, err := os.Executable()
	if err == nil {
		executable, err = filepath.EvalSymlinks(executable)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "warm-runner: cannot find its own folder:", err)
		os.Exit(1)
	}
	base := filepath.Dir(filepath.Dir(executable))
	if isOff() {
		if runner, err := realRunner(base); err == nil {
			become(runner)
		}
	}
	folder, connection, pid, err := enter(base)
	if err != nil {
		become(filepath.Join(base, "bin", "ansible-runner"))
	}
	leave(folder, connection, pid)
}

// become turns this process into another program with the same arguments.
func become(path string) {
	err := syscall.Exec(path, append([]string{path}, os.Args[1:]...), os.Environ())
	fmt.Fprintf(os.Stderr, "warm-runner: cannot execute %s: %v\n", path, err)
	os.Exit(1)
}

// isOff tells whether the real ansible-runner is wanted.
func isOff() bool {
	return contains(offValues, strings.ToLower(os.Getenv("WARM_RUNNER")))
}

// enter has the run made ready and started, and returns the connection and the run's pid.
func enter(base string) (folder string, connection int, pid int, err error) {
	if len(os.Args) < 2 || os.Args[1] != "run" {
		return "", 0, 0, errNotQuick
	}
	wait := defaultWaitSeconds
	if text := os.Getenv("WARM_RUNNER_WAIT_SECONDS"); text != "" {
		if wait, err = strconv.ParseFloat(text, 64); err != nil || wait <= 0 {
			return "", 0, 0, errNotQuick
		}
	}
	runner, err := realRunner(base)
	if err != nil {
		return "", 0, 0, err
	}
	folder, err = ownFolder()
	if err != nil {
		return "", 0, 0, err
	}
	request, err := encodeRequest()
	if err != nil {
		return "", 0, 0, err
	}
	connection, err = connect(filepath.Join(folder, keyOf(runner)+".socket"))
	if err != nil {
		return "", 0, 0, err
	}
	pid, err = handOver(connection, request, wait)
	if err != nil {
		// The Python client would ask the same parent again.
		syscall.Close(connection)
		note(folder, "a cold run: "+err.Error())
		become(runner)
	}
	return folder, connection, pid, nil
}

func contains(words []string, word string) bool {
	for _, known := range words {
		if known == word {
			return true
		}
	}
	return false
}

// realRunner returns the path of the ansible-runner that both clients stand in front of.
func realRunner(base string) (string, error) {
	if given := os.Getenv("WARM_RUNNER_REAL"); given != "" {
		return given, nil
	}
	for _, folder := range strings.Split(os.Getenv("PATH"), ":") {
		path := filepath.Join(folder, "ansible-runner")
		// The paths that Python's os.path.join makes; others are rare.
		if folder == "" || path != folder+"/ansible-runner" {
			return "", errNotQuick
		}
		if syscall.Access(path, 1) != nil {
			continue
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil || filepath.Dir(filepath.Dir(real)) != base {
			return path, nil
		}
	}
	return "", errNotQuick
}

// ownFolder returns the folder of the sockets where it exists and is this user's alone.
func ownFolder() (string, error) {
	folder := os.Getenv("WARM_RUNNER_FOLDER")
	if folder == "" {
		base := os.Getenv("XDG_RUNTIME_DIR")
		if base == "" {
			base = os.Getenv("TMPDIR")
		}
		if base == "" {
			base = "/tmp"
		}
		folder = fmt.Sprintf("%s/warm-runner-%d", base, os.Geteuid())
	}
	var found syscall.Stat_t
	if syscall.Lstat(folder, &found) != nil || found.Uid != uint32(os.Geteuid()) ||
		found.Mode&0o170077 != 0o040000 {
		return "", errNotQuick
	}
	return folder, nil
}

// keyOf returns the key of the parent that serves runs in this environment.
func keyOf(runner string) string {
	parts := []string{runner}
	home := os.Getenv("HOME")
	for _, path := range []string{
		os.Getenv("ANSIBLE_CONFIG"), home + "/.ansible.cfg", "/etc/ansible/ansible.cfg",
	} {
		parts = append(parts, fingerprint(path))
	}
	var variables []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if isOfTheKey(name) {
			variables = append(variables, variable)
		}
	}
	sort.Slice(variables, func(one, two int) bool {
		first, _, _ := strings.Cut(variables[one], "=")
		second, _, _ := strings.Cut(variables[two], "=")
		return first < second
	})
	text := []byte(strings.Join(append(parts, variables...), "\x00"))
	return fmt.Sprintf("%08x%08x", crc32.ChecksumIEEE(text), adler32.Checksum(text))
}

func isOfTheKey(name string) bool {
	if contains(renewed, name) {
		return false
	}
	for _, prefix := range keyPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return contains(keyNames, name)
}

// fingerprint describes a file so that a change of it shows.
func fingerprint(path string) string {
	var found syscall.Stat_t
	if syscall.Stat(path, &found) != nil {
		return path + ": none"
	}
	return fmt.Sprintf("%s: %d %d %d", path, found.Mtim.Nano(), found.Size, found.Ino)
}

// encodeRequest returns all that a process is started with, its length first.
func encodeRequest() ([]byte, error) {
	// Not os.Getwd: that one believes $PWD.
	buffer := make([]byte, syscall.PathMax)
	length, err := syscall.Getcwd(buffer)
	if err != nil || length < 1 {
		return nil, errNotQuick
	}
	umask := syscall.Umask(0o077)
	syscall.Umask(umask)
	arguments := os.Args[1:]
	parts := []string{version, string(buffer[:length-1]), strconv.Itoa(umask)}
	parts = append(parts, strconv.Itoa(len(arguments)))
	parts = append(append(parts, arguments...), os.Environ()...)
	data := strings.Join(parts, "\x00")
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...), nil
}

// connect connects to a parent of this user; a queue that is full refuses at once.
func connect(path string) (int, error) {
	if len(path) > maxPathOfSocket {
		return 0, errNotQuick
	}
	kind := syscall.SOCK_STREAM | syscall.SOCK_CLOEXEC | syscall.SOCK_NONBLOCK
	connection, err := syscall.Socket(syscall.AF_UNIX, kind, 0)
	if err != nil {
		return 0, err
	}
	err = syscall.Connect(connection, &syscall.SockaddrUnix{Name: path})
	if err == nil {
		var peer *syscall.Ucred
		peer, err = syscall.GetsockoptUcred(connection, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		if err == nil && peer.Uid != uint32(os.Geteuid()) {
			err = errNotQuick
		}
	}
	if err == nil {
		err = syscall.SetNonblock(connection, false)
	}
	if err != nil {
		syscall.Close(connection)
		return 0, err
	}
	return connection, nil
}

// handOver sends the request, and says go once the run's process has answered with its pid.
func handOver(connection int, request []byte, wait float64) (int, error) {
	if err := limit(connection, time.Duration(wait*float64(time.Second))); err != nil {
		return 0, err
	}
	sent, err := syscall.SendmsgN(connection, request, syscall.UnixRights(0, 1, 2), nil, 0)
	for err == nil && sent < len(request) {
		var more int
		more, err = syscall.SendmsgN(connection, request[sent:], nil, nil, 0)
		sent += more
	}
	if err != nil {
		return 0, err
	}
	answer := make([]byte, 1)
	if !receive(connection, answer) || answer[0] != accepted {
		return 0, errRefused
	}
	// Accepted, it may have to queue, and each run ahead of it lasts as long as it lasts.
	if err := limit(connection, 0); err != nil {
		return 0, err
	}
	pid, ok := receiveNumber(connection, started)
	if !ok {
		return 0, errDied
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for number := range signals {
			// Where it has ended just now, its status is on the way.
			_ = syscall.Kill(pid, number.(syscall.Signal))
		}
	}()
	if _, err := syscall.Write(connection, []byte{goOn}); err != nil {
		// It was not started: without the word it ends.
		signal.Reset(syscall.SIGTERM, syscall.SIGINT)
		return 0, err
	}
	return pid, nil
}

// limit sets how long sending and receiving may wait; 0 is for ever.
func limit(connection int, wait time.Duration) error {
	value := syscall.NsecToTimeval(wait.Nanoseconds())
	for _, option := range []int{syscall.SO_RCVTIMEO, syscall.SO_SNDTIMEO} {
		err := syscall.SetsockoptTimeval(connection, syscall.SOL_SOCKET, option, &value)
		if err != nil {
			return err
		}
	}
	return nil
}

// receive fills the buffer, and tells whether it could.
func receive(connection int, buffer []byte) bool {
	for filled := 0; filled < len(buffer); {
		more, err := syscall.Read(connection, buffer[filled:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil || more <= 0 {
			return false
		}
		filled += more
	}
	return true
}

// receiveNumber returns the number of a message of this kind.
func receiveNumber(connection int, kind byte) (int, bool) {
	message := make([]byte, 5)
	if !receive(connection, message) || message[0] != kind {
		return 0, false
	}
	return int(binary.BigEndian.Uint32(message[1:])), true
}

// leave awaits the run's end and ends alike.
func leave(folder string, connection int, pid int) {
	number, ok := receiveNumber(connection, ended)
	if !ok {
		message := fmt.Sprintf("the warm parent died during run %d; it is not run again", pid)
		note(folder, message)
		fmt.Fprintf(os.Stderr, "warm-runner: %s; see %s/log\n", message, folder)
		os.Exit(1)
	}
	status := syscall.WaitStatus(number)
	if status.Signaled() {
		dieOf(status.Signal())
	}
	os.Exit(status.ExitStatus())
}

// note appends a line to the folder's log; a log that cannot be written stops nothing.
func note(folder string, message string) {
	flags := os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_NOFOLLOW
	log, err := os.OpenFile(filepath.Join(folder, "log"), flags, 0o600)
	if err != nil {
		return
	}
	defer log.Close()
	now := time.Now().UTC().Format("2006-01-02T15:04:05Z")
	fmt.Fprintf(log, "%s [%d] %s\n", now, os.Getpid(), message)
}

// dieOf ends this process by a signal, past Go's own handlers, which would turn it into an exit.
func dieOf(number syscall.Signal) {
	// A struct sigaction of zeros is the default action.
	var action [8]uint64
	const bytesOfMask = 8
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(number),
		uintptr(unsafe.Pointer(&action)), 0, bytesOfMask, 0, 0)
	_ = syscall.Kill(os.Getpid(), number)
	// It arrives at any of the threads; there is nothing else to do.
	select {}
}
