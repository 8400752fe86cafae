// Package anka is a small client of the Anka Build Cloud controller. It stands for the code under test and does not
// depend on mockanka.
package anka

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

type Client struct {
	URL     string
	Retries int           // number of times that a start is repeated
	Backoff time.Duration // pause before a start is repeated
}

type Instance struct {
	State   string `json:"instance_state"`
	Message string `json:"message"`
	VM      struct {
		HostIP string `json:"host_ip"`
	} `json:"vminfo"`
}

// Unavailable is the error for a 503 response: the request was not carried out.
type Unavailable struct{ Path string }

func (e *Unavailable) Error() string { return e.Path + ": the controller is unavailable" }

// Start starts an instance of a template and returns its id.
//
// The request is repeated after a 503 only. If a response is lost, the instance may exist already, and repeating the
// request may start a second one.
func (c *Client) Start(template, job string) (string, error) {
	for attempt := 0; ; attempt++ {
		var ids []string
		err := c.call("POST", "/api/v1/vm", map[string]string{"vmid": template, "external_id": job}, &ids)
		var unavailable *Unavailable
		if errors.As(err, &unavailable) && attempt < c.Retries {
			time.Sleep(c.Backoff)
			continue
		}
		if err != nil {
			return "", err
		}
		if len(ids) != 1 {
			return "", fmt.Errorf("%d instances were started instead of one", len(ids))
		}
		return ids[0], nil
	}
}

func (c *Client) Show(id string) (Instance, error) {
	var found Instance
	err := c.call("GET", "/api/v1/vm?id="+url.QueryEscape(id), nil, &found)
	return found, err
}

func (c *Client) Terminate(id string) error {
	return c.call("DELETE", "/api/v1/vm", map[string]string{"id": id}, nil)
}

func (c *Client) call(method, path string, body, into any) error {
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequest(method, c.URL+path, &content)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusServiceUnavailable {
		return &Unavailable{path}
	}
	// Check the envelope, not the HTTP status: failures have status 200 before release 1.20, and 400 from then on.
	var envelope struct {
		Status, Message string
		Body            json.RawMessage
	}
	if err := json.NewDecoder(response.Body).Decode(&envelope); err != nil {
		return fmt.Errorf("%s %s: %s: %w", method, path, response.Status, err)
	}
	if envelope.Status != "OK" {
		return fmt.Errorf("%s %s: %s", method, path, envelope.Message)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(envelope.Body, into)
}
