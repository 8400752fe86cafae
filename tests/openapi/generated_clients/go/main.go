// Drives the control API through the client that oapi-codegen generates, and prints what it saw.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"

	"example.com/generated/control"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pointer[T any](value T) *T { return &value }

func get(url string) int {
	response, err := http.Get(url)
	check(err)
	response.Body.Close()
	return response.StatusCode
}

func main() {
	url, template := os.Args[1], os.Args[2]
	ctx := context.Background()
	client, err := control.NewClientWithResponses(url)
	check(err)

	health, err := client.ShowHealthWithResponse(ctx)
	check(err)
	fmt.Println("health", health.JSON200.Status)

	var delay control.Delay
	check(delay.FromDelayDistribution(control.DelayDistribution{Uniform: &[]control.Duration{"1ms", "2ms"}}))
	added, err := client.AddFaultWithResponse(ctx, control.FaultRule{
		Match: &control.FaultMatch{Method: pointer(control.GET), Path: pointer("/api/v1/status")},
		Do:    control.FaultAction{Status: pointer(503), Delay: &delay},
		Times: pointer(1),
	})
	check(err)
	fmt.Println("added", *added.JSON201.Id)
	fmt.Println("status", get(url+"/api/v1/status"), get(url+"/api/v1/status"))

	rules, err := client.ListFaultsWithResponse(ctx)
	check(err)
	fmt.Println("fired", *rules.JSON200.Faults[0].Fired)
	_, err = client.RemoveFaultWithResponse(ctx, *added.JSON201.Id)
	check(err)

	wrong, err := client.AddFaultWithResponse(ctx, control.FaultRule{Do: control.FaultAction{Exit: pointer(3)}})
	check(err)
	fmt.Println("refused", wrong.ApplicationproblemJSON400.Status, len(*wrong.ApplicationproblemJSON400.Problems))

	body := strings.NewReader(`{"vmid": "` + template + `"}`)
	response, err := http.Post(url+"/api/v1/vm", "application/json", body)
	check(err)
	response.Body.Close()
	journal, err := client.ListRequestsWithResponse(ctx, &control.ListRequestsParams{Path: pointer("/api/v1/*")})
	check(err)
	newest := journal.JSON200.Requests[len(journal.JSON200.Requests)-1]
	instance := newest.Instances[0]
	fmt.Println("requests", len(journal.JSON200.Requests), newest.Method, *newest.Status, newest.Fault == nil)

	var until control.Advance_Until
	check(until.FromUntilInstance(control.UntilInstance{Instance: instance, State: "Started"}))
	_, err = client.AdvanceClockWithResponse(ctx, control.Advance{Until: &until})
	check(err)
	timeline, err := client.ShowInstanceWithResponse(ctx, instance)
	check(err)
	states := []string{}
	for _, entry := range timeline.JSON200.Timeline {
		states = append(states, string(entry.State))
	}
	fmt.Println("timeline", strings.Join(states, " "))

	node, err := client.SetNodeStateWithResponse(ctx, "mini-01", "unhealthy", control.SetNodeStateJSONRequestBody{})
	check(err)
	fmt.Println("node", node.JSON200.State)

	report, err := client.ShowReportWithResponse(ctx)
	check(err)
	fmt.Println("finding", report.JSON200.Findings[0].Kind)
	var scenario control.Reset_Scenario
	check(scenario.FromScenarioName("busy"))
	reset, err := client.ResetWithResponse(ctx, control.Reset{Scenario: &scenario})
	check(err)
	fmt.Println("reset", reset.JSON200.Status)
}
