// Prints what encoding/json says of values that the field of a request cannot hold, as a JSON list of the operation, the
// body and the message:
//
//	go run tests/api/mistyped_bodies/main.go > tests/api/mistyped_bodies/messages.json
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

type DiskBody struct {
	Size                string `json:"size"`
	SkipContainerResize bool   `json:"skip_container_resize"`
}

type PortRuleBody struct {
	Name      string `json:"name"`
	GuestPort string `json:"guest_port"`
	HostIP    string `json:"host_ip"`
	HostPort  string `json:"host_port"`
}

type StartBody struct {
	Vmid              string                 `json:"vmid"`
	Tag               string                 `json:"tag"`
	Version           uint                   `json:"version"`
	Count             uint                   `json:"count"`
	StartupScript     string                 `json:"startup_script"`
	ScriptMonitoring  bool                   `json:"script_monitoring"`
	ScriptTimeout     int                    `json:"script_timeout"`
	ScriptFailHandler int                    `json:"script_fail_handler"`
	Hvapic            string                 `json:"hvapic"`
	PortForwarding    []PortRuleBody         `json:"port_forwarding_override"`
	Disk              DiskBody               `json:"disk"`
	Priority          int                    `json:"priority"`
	Vcpu              int                    `json:"vcpu"`
	Metadata          map[string]interface{} `json:"metadata"`
}

type ConfigBody struct {
	NodeID     string `json:"node_id"`
	MaxVMCount int    `json:"max_vm_count"`
	DrainMode  bool   `json:"drain_mode"`
}

type MembershipBody struct {
	GroupIDs []string `json:"group_ids"`
	NodeIDs  []string `json:"node_ids"`
}

type GroupChangesBody struct {
	Name            string `json:"name"`
	FallbackGroupID string `json:"fallback_group_id"`
}

type entry struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	Body    string `json:"body"`
	Message string `json:"message"`
}

type operation struct {
	method, path string
	target       func() any
	bodies       []string
}

func main() {
	operations := []operation{
		{"POST", "/api/v1/vm", func() any { return new(StartBody) }, []string{
			`[]`, `[{}]`, `"x"`, `1`, `-1.5`, `true`, `false`,
			`{"vmid":1}`, `{"vmid":-1.5}`, `{"vmid":true}`, `{"vmid":[]}`, `{"vmid":["a"]}`, `{"vmid":{}}`, `{"VMID":1}`, `{"Vmid":{"a":1}}`,
			`{"tag":0}`, `{"startup_script":["ls"]}`, `{"hvapic":true}`,
			`{"count":"1"}`, `{"count":""}`, `{"count":-1}`, `{"count":-99}`, `{"count":1.0}`, `{"count":1.5}`, `{"count":1e2}`, `{"count":1E+2}`, `{"count":-0.0}`,
			`{"count":1e400}`, `{"count":18446744073709551616}`, `{"count":-9223372036854775809}`, `{"count":true}`, `{"count":[]}`, `{"count":[1]}`, `{"count":{}}`,
			`{"version":-1}`, `{"version":-0}`, `{"count":-0}`, `{"version":"0"}`, `{"version":0.5}`, `{"version":false}`,
			`{"priority":"high"}`, `{"priority":1.5}`, `{"priority":9223372036854775808}`, `{"priority":-9223372036854775809}`, `{"priority":[]}`,
			`{"script_timeout":"30"}`, `{"script_timeout":30.0}`, `{"script_fail_handler":true}`, `{"vcpu":"4"}`, `{"vcpu":{}}`,
			`{"script_monitoring":"true"}`, `{"script_monitoring":1}`, `{"script_monitoring":0}`, `{"script_monitoring":[]}`, `{"script_monitoring":{}}`,
			`{"metadata":"x"}`, `{"metadata":1}`, `{"metadata":true}`, `{"metadata":[]}`, `{"metadata":[{"a":1}]}`,
			`{"disk":"100G"}`, `{"disk":[]}`, `{"disk":1}`, `{"disk":{"size":100}}`, `{"disk":{"size":"100G","skip_container_resize":"no"}}`, `{"disk":{"SIZE":[]}}`,
			`{"port_forwarding_override":{}}`, `{"port_forwarding_override":"22"}`, `{"port_forwarding_override":[22]}`, `{"port_forwarding_override":["22"]}`,
			`{"port_forwarding_override":[[]]}`, `{"port_forwarding_override":[{"name":"ssh","guest_port":22}]}`, `{"port_forwarding_override":[{"name":"a"},{"host_port":8080}]}`,
			`{"port_forwarding_override":[{"name":null,"guest_port":{}}]}`, `{"port_forwarding_override":[null,1]}`,
			`{"vmid":"a","count":"2","tag":3}`, `{"tag":3,"count":"2"}`, `{"count":"2","vmid":1}`, `{"disk":{"size":1},"vmid":2}`, `{"unknown":1,"vmid":2}`,
			`{"unknown":{"vmid":1},"priority":"1"}`, `{"vmid":null,"count":"1"}`, `{"count":0,"vcpu":"x"}`, `{"vmid":"a","metadata":{"count":"x"},"count":false}`,
		}},
		{"POST", "/api/v1/node/config", func() any { return new(ConfigBody) }, []string{
			`[]`, `"x"`, `{"node_id":1}`, `{"max_vm_count":"2"}`, `{"max_vm_count":2.5}`, `{"max_vm_count":true}`, `{"drain_mode":"true"}`, `{"drain_mode":0}`,
			`{"node_id":"n","drain_mode":[]}`,
		}},
		{"POST", "/api/v1/node/group", func() any { return new(MembershipBody) }, []string{
			`[]`, `{"group_ids":"g"}`, `{"group_ids":1}`, `{"group_ids":{}}`, `{"group_ids":[1]}`, `{"group_ids":["g",true]}`, `{"group_ids":["g",null,[]]}`,
			`{"group_ids":["g"],"node_ids":[{}]}`, `{"node_ids":[1.5],"group_ids":1}`,
		}},
		{"PUT", "/api/v1/group", func() any { return new(GroupChangesBody) }, []string{
			`[]`, `1`, `{"name":1}`, `{"name":{}}`, `{"fallback_group_id":false}`, `{"name":"a","fallback_group_id":["g"]}`,
		}},
	}
	entries := []entry{}
	for _, operation := range operations {
		for _, body := range operation.bodies {
			err := json.Unmarshal([]byte(body), operation.target())
			if err == nil {
				fmt.Fprintf(os.Stderr, "no error: %s\n", body)
				os.Exit(1)
			}
			entries = append(entries, entry{operation.method, operation.path, body, err.Error()})
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(entries); err != nil {
		panic(err)
	}
}
