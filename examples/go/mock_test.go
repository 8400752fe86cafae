package anka

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"testing"
	"time"
)

// mock is a client of mockanka's control API. It ends the test if a request fails, so tests need no error handling.
type mock struct {
	t   *testing.T
	url string
}

// begin resets the mock, and checks its report at the end of the test. Tests that use it share one controller, so they
// must not call t.Parallel.
func begin(t *testing.T) (*Client, *mock) {
	t.Helper()
	m := &mock{t, os.Getenv("MOCKANKA_URL")}
	if m.url == "" {
		t.Fatal("run this with: mockanka run cold-cache --clock manual -- go test -count=1 ./...")
	}
	m.call("POST", "/_mock/reset", nil, nil)
	t.Cleanup(m.checkReport)
	// Simulated time does not pass while the client waits, so it retries without a pause.
	return &Client{URL: os.Getenv("ANKA_CONTROLLER_URL"), Retries: 2, Backoff: 0}, m
}

// checkReport checks the report. Call it before the next reset, which clears the report.
func (m *mock) checkReport() {
	var report struct {
		Findings []struct{ Kind, Message string }
		Unused   []string `json:"unused_faults"`
	}
	m.call("GET", "/_mock/report", nil, &report)
	for _, finding := range report.Findings {
		m.t.Errorf("%s: %s", finding.Kind, finding.Message)
	}
	for _, rule := range report.Unused {
		m.t.Errorf("fault %s never fired, so the test did not test it", rule)
	}
}

// advanceUntil advances the clock until an instance is in a state. It fails if the instance can never reach it.
func (m *mock) advanceUntil(id, state string) {
	m.t.Helper()
	m.call("POST", "/_mock/clock/advance", map[string]any{"until": map[string]string{"instance": id, "state": state}}, nil)
}

func (m *mock) now() time.Time {
	m.t.Helper()
	var clock struct{ Now time.Time }
	m.call("GET", "/_mock/clock", nil, &clock)
	return clock.Now
}

// addFault adds a fault rule.
func (m *mock) addFault(rule string) {
	m.t.Helper()
	m.call("POST", "/_mock/faults", json.RawMessage(rule), nil)
}

func (m *mock) removeFault(id string) {
	m.t.Helper()
	m.call("DELETE", "/_mock/faults/"+id, nil, nil)
}

// statuses returns the HTTP statuses of all starts, in order.
func (m *mock) statuses() (found []int) {
	m.t.Helper()
	var journal struct{ Requests []struct{ Status int } }
	m.call("GET", "/_mock/requests?method=POST&path=/api/v1/vm", nil, &journal)
	for _, request := range journal.Requests {
		found = append(found, request.Status)
	}
	return found
}

func (m *mock) call(method, path string, body, into any) {
	m.t.Helper()
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			m.t.Fatal(err)
		}
	}
	request, err := http.NewRequest(method, m.url+path, &content)
	if err != nil {
		m.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		m.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	if response.StatusCode >= 300 {
		m.t.Fatalf("%s %s: %s", method, path, text) // problem+json, which contains the reason
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			m.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
}
