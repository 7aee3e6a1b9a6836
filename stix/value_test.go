package stix

import (
	"strings"
	"testing"
	"unsafe"
)

func TestValue(t *testing.T) {
	v, err := ParseValue([]byte(` {"s":"a\u0062","n":-1.5e1,"t":true,"f":false,"z":null,"l":["x","y"],"m":{"d":"2020-01-01T00:00:00Z"}} `))
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Get("s").Str(); got != "ab" {
		t.Errorf("string %q", got)
	}
	if got, ok := v.Get("n").Int(); !ok || got != -15 {
		t.Errorf("number %d, %t", got, ok)
	}
	if got, ok := v.Get("t").Flag(); !ok || !got {
		t.Error("true is not true")
	}
	if got, ok := v.Get("f").Flag(); !ok || got {
		t.Error("false is not false")
	}
	if !v.Get("z").Ok() || v.Get("z").Kind() != Null {
		t.Error("null is not there")
	}
	if got := v.Get("l").Index(1).Str(); got != "y" || v.Get("l").Len() != 2 || v.Len() != 7 {
		t.Errorf("item %q", got)
	}
	if got, err := v.Get("m").Get("d").Time(); err != nil || got != at2020 {
		t.Errorf("time %v, %v", got, err)
	}
	if got := string(v.Get("s").Raw()); got != `"a\u0062"` {
		t.Errorf("raw %s", got)
	}
	if got, ok := v.Get("l").Strings(); !ok || strings.Join(got, "") != "xy" {
		t.Errorf("strings %q", got)
	}
	// What is absent gives nothing, however it is asked.
	for _, none := range []Value{{}, v.Get("x"), v.Get("s").Get("x"), v.Get("l").Index(2), v.Get("l").Index(-1), new(Object).Value()} {
		_, flag := none.Flag()
		_, number := none.Float()
		_, list := none.Strings()
		_, err := none.Time()
		if none.Ok() || none.Kind() != Absent || none.Str() != "" || flag || number || list || err == nil || none.Raw() != nil || none.Canonical() != nil || none.Len() != 0 || none.Get("x").Ok() {
			t.Errorf("%+v is something", none)
		}
	}
}

// TestStringsDoNotKeepObjects: a string of a large object that somebody keeps
// does not keep the object.
func TestStringsDoNotKeepObjects(t *testing.T) {
	o := parse(t, sample("identity", `"name":"n","description":"`+strings.Repeat("d", smallText)+`"`))
	at := uintptr(unsafe.Pointer(unsafe.StringData(o.ID)))
	begin := uintptr(unsafe.Pointer(unsafe.StringData(o.tape.text)))
	if at >= begin && at < begin+uintptr(len(o.tape.text)) {
		t.Error("the identifier is a part of the object's text")
	}
}

// TestRawIsTheCallers: what the caller does to the bytes changes nothing.
func TestRawIsTheCallers(t *testing.T) {
	text := []byte(sample("identity", `"name":"n","extensions":{"x":{"b":1,"a":2}}`))
	o, err := ParseObject(text)
	if err != nil {
		t.Fatal(err)
	}
	clear(text)
	body, ok := o.Extension("x")
	if !ok || string(body) != `{"a":2,"b":1}` || o.Name() != "n" || TypeOf(o.ID) != "identity" {
		t.Errorf("%s, %s", body, o.Name())
	}
	_, ok = o.Extension("y")
	if ok {
		t.Error("an extension that is not there")
	}
}
