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

// mock steers mockanka by its control API. It ends the test when it is refused, so that tests read as a story.
type mock struct {
	t   *testing.T
	url string
}

// begin resets the mock, and looks at its report when the test is over. Tests that use it share one controller: they
// must not call t.Parallel.
func begin(t *testing.T) (*Client, *mock) {
	t.Helper()
	m := &mock{t, os.Getenv("MOCKANKA_URL")}
	if m.url == "" {
		t.Fatal("run this with: mockanka run cold-cache --clock manual -- go test -count=1 ./...")
	}
	m.ask("POST", "/_mock/reset", nil, nil)
	t.Cleanup(m.findNoFault)
	// The mock waits for nobody, so the client need not wait for it.
	return &Client{URL: os.Getenv("ANKA_CONTROLLER_URL"), Retries: 2, Backoff: 0}, m
}

// findNoFault looks at the report. It must be read before the next reset, which forgets it.
func (m *mock) findNoFault() {
	var report struct {
		Findings []struct{ Kind, Message string }
		Unused   []string `json:"unused_faults"`
	}
	m.ask("GET", "/_mock/report", nil, &report)
	for _, finding := range report.Findings {
		m.t.Errorf("%s: %s", finding.Kind, finding.Message)
	}
	for _, rule := range report.Unused {
		m.t.Errorf("fault %s never struck, so nothing was tested by it", rule)
	}
}

// advanceUntil lets time pass until an instance is in a state. The mock refuses if it can never get there.
func (m *mock) advanceUntil(id, state string) {
	m.t.Helper()
	m.ask("POST", "/_mock/clock/advance", map[string]any{"until": map[string]string{"instance": id, "state": state}}, nil)
}

func (m *mock) now() time.Time {
	m.t.Helper()
	var clock struct{ Now time.Time }
	m.ask("GET", "/_mock/clock", nil, &clock)
	return clock.Now
}

// addFault puts a fault rule in force.
func (m *mock) addFault(rule string) {
	m.t.Helper()
	m.ask("POST", "/_mock/faults", json.RawMessage(rule), nil)
}

func (m *mock) removeFault(id string) {
	m.t.Helper()
	m.ask("DELETE", "/_mock/faults/"+id, nil, nil)
}

// statuses are the HTTP statuses of all starts, in order.
func (m *mock) statuses() (found []int) {
	m.t.Helper()
	var journal struct{ Requests []struct{ Status int } }
	m.ask("GET", "/_mock/requests?method=POST&path=/api/v1/vm", nil, &journal)
	for _, request := range journal.Requests {
		found = append(found, request.Status)
	}
	return found
}

func (m *mock) ask(method, path string, body, into any) {
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
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	if response.StatusCode >= 300 {
		m.t.Fatalf("%s %s: %s", method, path, answer) // problem+json: it says why
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			m.t.Fatalf("%s %s: %v: %s", method, path, err, answer)
		}
	}
}
