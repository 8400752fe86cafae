// Prints how net/http takes odd requests, as a JSON list of the bytes (as Latin-1), the answer if the server refuses them,
// and otherwise the requests that its handler got:
//
//	go run tests/server/raw_requests/main.go > tests/server/raw_requests/answers.json
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"
)

var date = regexp.MustCompile("Date: [^\r]*\r\n")

type entry struct {
	Request string   `json:"request"`
	Refusal string   `json:"refusal"`
	Handled []string `json:"handled"`
}

func head(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

func get(target string, headers ...string) string {
	return head(append([]string{"GET " + target + " HTTP/1.1", "Host: x"}, headers...)...)
}

func post(body string, headers ...string) string {
	return head(append([]string{"POST /p HTTP/1.1", "Host: x"}, headers...)...) + body
}

var chunks = "2\r\nab\r\n0\r\n\r\n"

var requests = []string{
	// request lines
	"\r\n" + get("/"), "HELLO\r\n", "GET /\r\n\r\n", head("GET / HTTP/1.1"), "GET / HTTP/1.1\nHost: x\n\n", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
	"get / HTTP/1.1\r\nHost: x\r\n\r\n", "FOO / HTTP/1.1\r\nHost: x\r\n\r\n", "F@O / HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT h:1 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET / HTTP/9.9\r\nHost: x\r\n\r\n", "GET / HTTP/2.0\r\nHost: x\r\n\r\n", "GET / http/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.10\r\nHost: x\r\n\r\n",
	"GET / HTTP/1.2\r\nHost: x\r\n\r\n", "GET / HTTP/0.9\r\nHost: x\r\n\r\n", "GET / HTTP/1.1 \r\nHost: x\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
	// targets
	get("foo"), get("*"), get("?a"), get("1:/p"), get("mailto:a"), get("http://h/p?q=1"), get("http://h"), get("http://h:x/p"), get("http:///p"), get("//h/p"),
	get("/%zz"), get("/a?%zz"), get("/a%00"), get("/a#b"), get("/\xff\xfe"), get("/%20%ff"), get("/\x01"), get("/a b"), get("/?a b"), get("/a\tb"), get("/a\x7fb"),
	get("/a\"<>\\^`{|}b?\"<>\\^`{|}#"),
	// headers
	get("/", "Host: y"), get("/", "A B: c"), get("/", "A : c"), get("/", ": c"), get("/", "nocolon"), get("/", "X: a", " b"), get("/", "X\xff: 1"), get("/", "X: \xff"),
	get("/", "X: a\x00b"), get("/", "X: a\rb"), get("/", "X: a\x01b"), head("GET / HTTP/1.1", " Host: x"), head("GET / HTTP/1.1", "Host: a b"), head("GET / HTTP/1.1", "Host: \xff"),
	head("GET / HTTP/1.1", "Host:"), head("GET / HTTP/1.1", "Host: x:99999"), get("/", "Expect: foo"),
	// lengths
	post("ab", "Content-Length: 2"), post("", "Content-Length: -1"), post("ab", "Content-Length: +2"), post("ab", "Content-Length: 02"), post("ab", "Content-Length: 0x2"),
	post("ab", "Content-Length: 2", "Content-Length: 2"), post("ab", "Content-Length: 2", "Content-Length: 3"), post("ab", "Content-Length: 2, 2"), post("ab", "Content-Length: "),
	post("ab", "Content-Length: 99999999999999999999"),
	// encodings
	post(chunks, "Transfer-Encoding: chunked"), post(chunks, "Transfer-Encoding: CHUNKED"), post(chunks, "Transfer-Encoding: chunked", "Content-Length: 9"),
	post("2;ext=1\r\nab\r\n0\r\nTrailer: a\r\n\r\n", "Transfer-Encoding: chunked"), post(chunks, "Transfer-Encoding: gzip"), post(chunks, "Transfer-Encoding: gzip, chunked"),
	post(chunks, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), post("", "Transfer-Encoding: "),
	post(chunks, "Transfer-Encoding: chunked", "Content-Length: -1"), post(chunks, "Transfer-Encoding: chunked", "Content-Length: 1", "Content-Length: 2"),
	post(chunks, "Transfer-Encoding: chunked", "Content-Length: "), post(chunks, "Transfer-Encoding: gzip", "Content-Length: x"),
	// beginnings of heads
	"G", "GET / HTTP/1.1", "GET / HTTP/1.1\r\nHost: x\r\n", get("/1") + "GET", get("/1") + "GET /2 HT", get("/1", "Connection: close") + "GET /2 HT",
	// several requests
	get("/1") + get("/2"), get("/1") + "BAD\r\n\r\n", get("/1") + get("/%zz"), get("/1") + "FOO /2 HTTP/1.1\r\nHost: x\r\n\r\n", post("a", "Content-Length: 1") + "\r\n" + get("/2"),
	get("/1", "Connection: close") + get("/2"), post(chunks, "Transfer-Encoding: chunked") + get("/\xff"), get("/1", "Connection: Upgrade", "Upgrade: h2c") + get("/2"),
	post("ab", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "Content-Length: 2") + post(chunks, "Connection: upgrade", "Upgrade: x", "Transfer-Encoding: chunked") + get("/2"),
}

func latin1(text string) string {
	runes := make([]rune, 0, len(text))
	for _, b := range []byte(text) {
		runes = append(runes, rune(b))
	}
	return string(runes)
}

func send(address, request string, handled chan string) entry {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	connection.Write([]byte(request))
	connection.(*net.TCPConn).CloseWrite()
	result := entry{Request: request, Handled: []string{}}
	answer := make([]byte, 0)
	for {
		connection.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		part := make([]byte, 65536)
		count, err := connection.Read(part)
		answer = append(answer, part[:count]...)
		if err != nil {
			break
		}
	}
	for len(handled) > 0 {
		result.Handled = append(result.Handled, latin1(<-handled))
	}
	parts := strings.SplitAfter(string(answer), "HTTP/1.1 ")
	if last := parts[len(parts)-1]; !strings.HasPrefix(last, "200") && !strings.HasPrefix(last, "HTTP/1.0 200") {
		result.Refusal = "HTTP/1.1 " + date.ReplaceAllString(last, "")
	}
	result.Request = latin1(request)
	return result
}

func main() {
	handled := make(chan string, 10)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		handled <- fmt.Sprintf("%s %s %s %d", r.Method, r.URL.Path, r.URL.RawQuery, len(body))
	})
	go (&http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: handler}).Serve(listener)
	entries := []entry{}
	for _, request := range requests {
		entries = append(entries, send(listener.Addr().String(), request, handled))
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(entries); err != nil {
		log.Fatal(err)
	}
}
