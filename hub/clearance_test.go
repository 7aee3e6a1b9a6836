package hub

import (
	"strings"
	"testing"

	"ecs/contract"
)

func TestClearancesOfTheConfiguration(t *testing.T) {
	good := func() Config {
		return Config{
			Program: "Sample", Key: "hub.example", Identity: "identity--8f9f2b0c-6c7e-4f5c-9d53-0d3f0f6a7b11", Data: "data",
			Console: "127.0.0.1:0", Door: "127.0.0.1:0", DoorNames: []string{"localhost"}, Ceiling: contract.Amber,
			Accounts: []Account{{Login: "ann", Person: "Ann", Clearance: "S//SI REL USA TLP:RED"}},
		}
	}
	c := good()
	err := c.Check()
	if err != nil {
		t.Fatal(err)
	}
	holds, err := c.holds()
	if err != nil || holds.String() != "U TLP:AMBER" {
		t.Errorf("a hub without clearance holds %s, %v", holds, err)
	}
	c.Clearance = "TS//TK TLP:RED"
	holds, err = c.holds()
	if err != nil || holds.String() != "TS//TK TLP:RED" {
		t.Errorf("it holds %s, %v", holds, err)
	}
	for want, change := range map[string]func(*Config){
		"clearance: ":         func(c *Config) { c.Clearance = "secret" },
		"accounts: ann: acce": func(c *Config) { c.Accounts[0].Clearance = "U TLP:PURPLE" },
	} {
		c := good()
		change(&c)
		err := c.Check()
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
