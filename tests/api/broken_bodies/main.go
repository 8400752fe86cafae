// Prints what encoding/json says of broken bodies, as a JSON list of the body in base64 and the message:
//
//	go run tests/api/broken_bodies/main.go > tests/api/broken_bodies/messages.json
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

type entry struct {
	Body    []byte `json:"body"`
	Message string `json:"message"`
}

func main() {
	bodies := []string{
		"", " ", "\n\t", "{", "[", "\"", "{\"", "{\"vmid", "{\"vmid\"", "{\"vmid\":", "{\"vmid\": ", "{\"vmid\":\"a", "{\"vmid\":\"a\"",
		"{\"vmid\":\"a\",", "{\"vmid\":\"a\",}", "{,}", "{\"a\" 1}", "{\"a\";1}", "{\"a\":1 \"b\":2}", "{\"a\":1;}", "{\"a\":1]", "{a:1}",
		"{'a':1}", "{1:2}", "{null:1}", "{\"a\":}", "{\"a\":,}", "{\"a\"}", "{\"a\":1}}", "{} {}", "{}x", "{}\x00", "{}[", "{\"a\":1},",
		"[1,]", "[,1]", "[1 2]", "[1;2]", "[1}", "[1,2", "]", "}", ",", ":", "x", "X", "'", "`", "\\", "/", "/* c */ {}", "// c\n{}", "# c\n{}",
		"vmid=a&count=1", "<html></html>", "hello", "{\"a\":tru}", "{\"a\":truE}", "{\"a\":True}", "{\"a\":fals}", "{\"a\":False}", "{\"a\":nul}",
		"{\"a\":None}", "{\"a\":nulL}", "{\"a\":undefined}", "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":-Infinity}", "t", "tr", "tru", "f", "n", "nul",
		"-", "+1", "{\"a\":+1}", "{\"a\":-}", "{\"a\":-a}", "{\"a\":01}", "{\"a\":00}", "{\"a\":-01}", "{\"a\":.5}", "{\"a\":1.}", "{\"a\":1.a}", "{\"a\":1e}",
		"{\"a\":1e+}", "{\"a\":1ex}", "{\"a\":1.5e-}", "{\"a\":0x10}", "{\"a\":1_000}", "{\"a\":1a}", "[01]", "[1.]", "01", "1.", "1e", "1x", "0-1",
		"{\"a\":\"\n\"}", "{\"a\":\"\t\"}", "{\"a\":\"\x00\"}", "{\"a\":\"\x1f\"}", "{\"a\":\"\r\"}", "{\"a\":\"\b\"}", "{\"a\":\"\x0b\"}", "{\"a\":\"\x0c\"}", "{\"a\":\"\x07\"}",
		"{\"a\":\"\\x\"}", "{\"a\":\"\\'\"}", "{\"a\":\"\\a\"}", "{\"a\":\"\\ \"}", "{\"a\":\"\\\n\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"\\uZZZZ\"}", "{\"a\":\"\\u", "{\"a\":\"\\",
		"\xef\xbb\xbf{}", "\xff", "\x80", "\x7f", "\x00", "\x1b", "\u00e9", "\xa0{}", "\xad", "{\u00a0}", "{\"a\":\u201cb\u201d}", "{\"a\":1}\xc2\xa0", "{\"a\":1,\xe2\x80\xa8}",
		"\"a\"b", "1 2", "null null", "[] []", "[[]", "{\"a\":{\"b\":{\"c\":1}", "{\"a\":[1,{\"b\":2]}", "[{]}", "{\"a\":[}", "{\"count\":--1}", "{\"count\":1-}", "{$vmid}", "{template_id:", "{node_id:",
	}
	entries := []entry{}
	for _, body := range bodies {
		var value any
		err := json.Unmarshal([]byte(body), &value)
		if err == nil {
			fmt.Fprintf(os.Stderr, "no error: %q\n", body)
			os.Exit(1)
		}
		entries = append(entries, entry{[]byte(body), err.Error()})
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(entries); err != nil {
		panic(err)
	}
}
