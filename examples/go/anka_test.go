package anka

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The template 14.5-arm64, 28 GB. Ids are made from the seed and the name, so it is the same in every run.
const template = "d05c2c8b-1a50-4718-87ef-cc20aee0d4e7"

func TestStartGoesThroughAPull(t *testing.T) {
	client, mock := begin(t)
	began := mock.now()

	id, err := client.Start(template, "job-1")
	must(t, err)
	mock.advanceUntil(id, "Pulling")
	if state := show(t, client, id).State; state != "Pulling" {
		t.Errorf("it is %s", state)
	}
	mock.advanceUntil(id, "Started")
	if ip := show(t, client, id).VM.HostIP; ip == "" {
		t.Error("it is started, but nobody knows where")
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
		t.Errorf("the starts were answered with %v", sent)
	}

	must(t, client.Terminate(id))
}

func TestStartEndsInAnErrorWhenItsNodeDies(t *testing.T) {
	client, mock := begin(t)
	mock.addFault(`{"match": {"event": "pull"}, "do": {"node": "offline", "at": "50%"}}`)

	id, err := client.Start(template, "job-1")
	must(t, err)
	mock.advanceUntil(id, "Error")
	if message := show(t, client, id).Message; !strings.Contains(message, "offline") {
		t.Errorf("it does not say why: %q", message)
	}

	// An instance in Error is still there, and is left behind unless it is terminated as well.
	must(t, client.Terminate(id))
}

func TestStartFailsWhileTheControllerIsAway(t *testing.T) {
	client, mock := begin(t)
	mock.addFault(`{"id": "away", "match": {}, "do": {"refuse": "1m"}}`)

	if _, err := client.Start(template, "job-1"); err == nil {
		t.Error("nobody was there, yet it was started")
	}

	// The control API has a port of its own, which answers meanwhile.
	mock.removeFault("away")
	if sent := mock.statuses(); len(sent) != 1 {
		t.Errorf("it was sent %d times; who knows what the first one started?", len(sent))
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
