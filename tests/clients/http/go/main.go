// Command httpclient sends requests with net/http, as the public clients in Go do.
//
// Each line of the standard input is a method, a URL, a timeout in seconds and a body, with tabs between them. The
// method AGAIN sends the request object of the line before once more. Each line of the output is a status or an error.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	client := &http.Client{}
	var request *http.Request
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		seconds, err := strconv.ParseFloat(fields[2], 64)
		if err == nil && fields[0] != "AGAIN" {
			request, err = newRequest(fields[0], fields[1], fields[3])
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		client.Timeout = time.Duration(seconds * float64(time.Second))
		fmt.Println(send(client, request))
	}
}

func newRequest(method, url, body string) (*http.Request, error) {
	if body == "" {
		return http.NewRequest(method, url, nil)
	}
	return http.NewRequest(method, url, bytes.NewBufferString(body))
}

func send(client *http.Client, request *http.Request) string {
	response, err := client.Do(request)
	if err != nil {
		return "error: " + err.Error()
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err != nil {
		return "error: " + err.Error()
	}
	return strconv.Itoa(response.StatusCode)
}
