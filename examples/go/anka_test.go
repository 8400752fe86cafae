package anka

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The id of the template 14.5-arm64 (28 GB), which is derived from the seed and the name and thus constant.
const template = "d05c2c8b-1a50-4718-87ef-cc20aee0d4e7"

func TestStartGoesThroughAPull(t *testing.T) {
	client, mock := begin(t)
	began := mock.now()

	id, err := client.Start(template, "job-1")
	must(t, err)
	mock.advanceUntil(id, "Pulling")
	if state := show(t, client, id).State; state != "Pulling" {
		t.Errorf("expected Pulling, got %s", state)
	}
	mock.advanceUntil(id, "Started")
	if ip := show(t, client, id).VM.HostIP; ip == "" {
		t.Error("the instance is Started, but has no address")
	}
	if took := mock.now().Sub(began); took < 3*time.Minute {
		t.Errorf("28 GB cannot have been pulled in %v", took)
	}

	must(t, client.Terminate(id))
	mock.advanceUntil(id, "Terminated")
}

func TestStartIsSentAgainAfterA503(t *testing.T) {
	client, mock := begin(t)
	mock.addFault(`{"match": {"method": "POST", "path": "/api/v1/vm"}, "do": {"status": 503}, "times": 1}`)

	id, err := client.Start(template, "job-1")
	must(t, err)
	if sent := mock.statuses(); !slices.Equal(sent, []int{503, 200}) {
		t.Errorf("the responses to the starts were %v", sent)
	}

	must(t, client.Terminate(id))
}

func TestStartEndsInAnErrorWhenItsPullFails(t *testing.T) {
	client, mock := begin(t)
	mock.addFault(`{"match": {"event": "pull"}, "do": {"fail": "request canceled", "at": "50%", "final": true}}`)

	id, err := client.Start(template, "job-1")
	must(t, err)
	mock.advanceUntil(id, "Error")
	if message := show(t, client, id).Message; !strings.Contains(message, "canceled") {
		t.Errorf("the message does not contain the reason: %q", message)
	}

	// An instance in Error still exists and has to be terminated as well.
	must(t, client.Terminate(id))
}

func TestStartFailsWhileTheControllerIsAway(t *testing.T) {
	client, mock := begin(t)
	mock.addFault(`{"id": "away", "match": {}, "do": {"refuse": "1m"}}`)

	if _, err := client.Start(template, "job-1"); err == nil {
		t.Error("the start succeeded although connections were refused")
	}

	// The control API has a separate port, which remains available.
	mock.removeFault("away")
	if sent := mock.statuses(); len(sent) != 1 {
		t.Errorf("the start was sent %d times; the first one may have started an instance", len(sent))
	}
	id, err := client.Start(template, "job-1")
	must(t, err)
	must(t, client.Terminate(id))
}

func show(t *testing.T, client *Client, id string) Instance {
	t.Helper()
	found, err := client.Show(id)
	must(t, err)
	return found
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
